/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ring that is none → vq_to_fd, which merges → socketpair → outside; what the kernel may say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "lane_rig.h"
#include "packet_rig.h"

#define PAYLOAD 500u
#define HEADERS 54u
#define PSH	0x08u

struct bench {
	struct lane_rig *rig;
	struct merge *m;
	struct packet_spec flows[2];
};

/*
 * A lane that merges, and a ring with @n packets of two flows in turns of @run; the last one of
 * a turn has the TCP flags @last.
 */
static void begin(struct bench *b, void **state, unsigned int n, unsigned int run, uint8_t last)
{
	const struct merge_config config = {.tcp = true, .udp_max = 64, .hdr_len = 12};
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->rig = lane_rig_begin(state, VQ_CONTENT, n);
	b->m = merge_open(&config);
	assert_non_null(b->m);
	b->rig->lane.next_merge = b->m;
	for (i = 0; i < 2; i++)
		b->flows[i] = (struct packet_spec){
			.flow = (uint16_t)(1 + i), .ttl = 64, .payload = PAYLOAD};
	for (i = 0; i < n; i++) {
		struct packet_spec *s = &b->flows[i / run % 2];
		struct fake_token *t = &b->rig->q.tokens[i];

		memset(&t->hdr, 0, sizeof(t->hdr));
		s->tcp_flags = i % run == run - 1 ? last : 0;
		t->len = packet_rig_build(s, t->data);
		s->seq += PAYLOAD;
		s->id++;
	}
}

static void end(struct bench *b)
{
	lane_rig_assert_sound(b->rig);
	merge_close(b->m);
}

/* Outside comes what has @payload bytes of flow @flow, from sequence number @seq on. */
static void assert_came(struct bench *b, unsigned int flow, uint32_t seq, uint32_t payload)
{
	static uint8_t bytes[sizeof(struct virtio_net_hdr_v1) + FRAME_LEN_MAX];
	const uint8_t *tcp = bytes + sizeof(struct virtio_net_hdr_v1) + 34;
	struct virtio_net_hdr_v1 hdr;
	uint32_t field;

	assert_int_equal(recv(b->rig->port.outside, bytes, sizeof(bytes), 0),
			 sizeof(hdr) + HEADERS + payload);
	memcpy(&hdr, bytes, sizeof(hdr));
	assert_int_equal(hdr.gso_type,
			 payload > PAYLOAD ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_NONE);
	assert_int_equal(tcp[1], 1 + flow);
	memcpy(&field, tcp + 4, sizeof(field));
	assert_int_equal(be32toh(field), seq);
}

static void assert_no_more(struct bench *b)
{
	uint8_t byte;

	assert_int_equal(recv(b->rig->port.outside, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void script(struct bench *b, const int *errors, unsigned int n)
{
	b->rig->port.script = errors;
	b->rig->port.scripted = n;
}

static void test_merges(void **state)
{
	struct bench b;
	const struct lane_counters *c;

	begin(&b, state, 20, 1, 0);
	c = &b.rig->lane.counters;
	assert_int_equal(vq_to_fd_run(&b.rig->lane), 2);
	assert_came(&b, 0, 0, 10 * PAYLOAD);
	assert_came(&b, 1, 0, 10 * PAYLOAD);
	assert_no_more(&b);
	assert_int_equal(b.rig->q.ngiven, 20);
	assert_int_equal(c->superframes, 2);
	assert_int_equal(c->segments, 20);
	assert_int_equal(c->frames, 20);
	assert_int_equal(c->bytes, 20 * (HEADERS + PAYLOAD));
	end(&b);
}

/* The last one of a batch goes singly, in order, and nothing is merged any more. */
static void test_refused_last(void **state)
{
	static const int errors[] = {0, EINVAL};
	struct bench b;
	unsigned int i;

	begin(&b, state, 8, 4, 0);
	script(&b, errors, ARRAY_SIZE(errors));
	assert_int_equal(vq_to_fd_run(&b.rig->lane), 2);
	assert_came(&b, 0, 0, 4 * PAYLOAD);
	for (i = 0; i < 4; i++)
		assert_came(&b, 1, i * PAYLOAD, PAYLOAD);
	assert_no_more(&b);
	assert_int_equal(b.rig->lane.counters.refusals, 1);
	assert_int_equal(b.rig->lane.counters.superframes, 1);
	assert_int_equal(b.rig->lane.counters.frames, 8);
	assert_null(b.rig->lane.next_merge);
	assert_true(b.rig->lane.refused);
	end(&b);
}

/* Units of the batch that were not written yet go one by one, and none of their frames is lost. */
static void test_refused_all(void **state)
{
	enum { TURNS = 70 };
	static int errors[5 * TURNS];
	struct bench b;
	unsigned int i;

	for (i = 0; i < 64; i++) /* of the first call all but one */
		errors[i] = EINVAL;
	for (i = 64; i < ARRAY_SIZE(errors); i++)
		errors[i] = 0;
	errors[66] = errors[69] = EINVAL; /* behind the frames of the last one: two units more */
	begin(&b, state, 2 * TURNS, 2, PSH);
	script(&b, errors, ARRAY_SIZE(errors));
	while (b.rig->q.ngiven < 2 * TURNS)
		assert_true(vq_to_fd_run(&b.rig->lane) > 0);
	assert_int_equal(b.rig->lane.counters.refusals, 66);
	lane_rig_assert_drops(b.rig, LANE_DROP_REFUSED, 63 * 2);
	assert_int_equal(b.rig->lane.counters.frames, 2 * TURNS - 63 * 2);
	end(&b);
}

/* Two superframes, for the first of which the kernel says errors[0]: the second one comes. */
static void lose_first(struct bench *b, void **state, const int errors[2])
{
	begin(b, state, 8, 4, 0);
	script(b, errors, 2);
	assert_int_equal(vq_to_fd_run(&b->rig->lane), 2);
	assert_came(b, 1, 0, 4 * PAYLOAD);
	assert_no_more(b);
}

/* Behind it others have gone, perhaps of its flow: overtaken it goes no more, but is counted. */
static void test_refused_before_others(void **state)
{
	static const int errors[] = {EMSGSIZE, 0};
	struct bench b;

	lose_first(&b, state, errors);
	assert_int_equal(b.rig->lane.counters.refusals, 1);
	assert_int_equal(b.rig->lane.counters.frames, 4);
	lane_rig_assert_drops(b.rig, LANE_DROP_OTHER, 4);
	assert_int_equal(b.rig->q.ngiven, 8);
	end(&b);
}

/* What is the moment's fault is a loss, as that of any frame, and no reason to merge no more. */
static void test_no_memory(void **state)
{
	static const int errors[] = {ENOMEM, 0};
	struct bench b;

	lose_first(&b, state, errors);
	assert_int_equal(b.rig->lane.counters.refusals, 0);
	lane_rig_assert_drops(b.rig, LANE_DROP_NO_MEMORY, 4);
	assert_ptr_equal(b.rig->lane.next_merge, b.m);
	end(&b);
}

/* A full batch of as many flows as packets: the next one is larger, until it is worth nothing. */
static void test_batch_follows(void **state)
{
	struct packet_spec s = { .ttl = 64, .payload = 22 };
	struct bench b;
	unsigned int i;

	begin(&b, state, FAKE_TOKENS, 1, 0);
	for (i = 0; i < FAKE_TOKENS; i++) {
		s.flow = (uint16_t)i;
		b.rig->q.tokens[i].len = packet_rig_build(&s, b.rig->q.tokens[i].data);
	}
	assert_int_equal(b.rig->lane.batch, FAKE_TOKENS);
	assert_int_equal(vq_to_fd_run(&b.rig->lane), FAKE_TOKENS);
	assert_int_equal(b.rig->lane.batch, 2 * FAKE_TOKENS);
	end(&b);
	fake_vq_close(&b.rig->q);
	begin(&b, state, FAKE_TOKENS, FAKE_TOKENS, 0); /* one flow */
	b.rig->lane.batch = MERGE_BATCH;
	assert_true(vq_to_fd_run(&b.rig->lane) > 0);
	assert_int_equal(b.rig->lane.batch, FAKE_TOKENS);
	end(&b);
}

/* Units that the fd does not take stay in hand; stopped, each of their frames is counted. */
static void test_stopped(void **state)
{
	struct bench b;
	unsigned int went;
	int size = 1;

	begin(&b, state, 200, 4, PSH);
	assert_int_equal(setsockopt(b.rig->port.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	went = (unsigned int)vq_to_fd_run(&b.rig->lane);
	assert_true(b.rig->lane.blocked);
	assert_in_range(went, 1, 49);
	assert_int_equal(b.rig->lane.counters.frames, 4 * went);
	lane_stop(&b.rig->lane);
	assert_int_equal(vq_quiesce(&b.rig->q.vq), 0);
	assert_int_equal(b.rig->q.ngiven, 200);
	lane_rig_assert_drops(b.rig, LANE_DROP_STOPPED, 200 - 4 * went);
	merge_close(b.m);
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		LANE_RIG_PLAIN(test_merges),
		LANE_RIG_PLAIN(test_refused_last),
		LANE_RIG_PLAIN(test_refused_all),
		LANE_RIG_PLAIN(test_refused_before_others),
		LANE_RIG_PLAIN(test_no_memory),
		LANE_RIG_PLAIN(test_batch_follows),
		LANE_RIG_PLAIN(test_stopped),
	};
	static const struct CMUnitTest uring[] = {
		LANE_RIG_URING(test_merges),
		LANE_RIG_URING(test_stopped),
	};
	int r = cmocka_run_group_tests(plain, NULL, NULL);

	if (!r)
		r = rig_uring_unavailable();
	return r ? r : cmocka_run_group_tests(uring, NULL, NULL);
}
