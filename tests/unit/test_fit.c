/* SPDX-License-Identifier: GPL-2.0-or-later */
/* socketpair → fit → a ring that is none: superframes go whole, cut as the peer needs them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "engine/fit.h"
#include "engine/merge.h"
#include "lane_rig.h"
#include "packet_rig.h"

#define FEATURE(name) (UINT64_C(1) << VIRTIO_NET_F_##name)
#define PACKETS 20u

struct bench {
	struct lane_rig *rig;
	struct fit *fit;
	uint32_t len[PACKETS];
	uint8_t packets[PACKETS][2048];
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	void *way = *state;

	assert_non_null(b);
	lane_rig_setup(&way);
	b->rig = way;
	b->fit = fit_open();
	assert_non_null(b->fit);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	void *way = b->rig;

	fit_close(b->fit);
	lane_rig_teardown(&way);
	free(b);
	return 0;
}

/* A lane to a ring with @ready tokens, whose peer takes @taken. */
static struct bench *begin(void **state, unsigned int ready, uint64_t taken)
{
	struct bench *b = *state;
	void *way = b->rig;

	lane_rig_begin(&way, VQ_SPACE, ready);
	fit_start(b->fit, taken);
	b->rig->lane.fit = b->fit;
	return b;
}

/* The kernel hands out the superframe that @n packets like @spec make. */
static void put_superframe(struct bench *b, struct packet_spec spec, unsigned int n)
{
	static const struct merge_config config = { .tcp = true, .udp_max = 64, .hdr_len = 12 };
	struct merge *m = merge_open(&config);
	uint8_t out[sizeof(struct virtio_net_hdr_v1) + 65536];
	struct iovec iovs[PACKETS][2];
	struct frame frames[PACKETS], *unit;
	unsigned int i;
	uint32_t len;

	assert_non_null(m);
	for (i = 0; i < n; i++, spec.seq += spec.payload, spec.id++) {
		b->len[i] = packet_rig_build(&spec, b->packets[i]);
		packet_rig_frame(&frames[i], iovs[i], b->packets[i], b->len[i]);
	}
	assert_int_equal(merge_batch(m, frames, n, &unit), 1);
	memcpy(out, &unit->hdr, sizeof(unit->hdr));
	len = packet_rig_flatten(unit, out + sizeof(unit->hdr));
	len += (uint32_t)sizeof(unit->hdr);
	assert_int_equal(send(b->rig->port.outside, out, len, 0), len);
	merge_close(m);
}

/* The ring was given the packets, from number @at of what it was given on. */
static void assert_packets(struct bench *b, unsigned int at, unsigned int n)
{
	unsigned int i;

	assert_int_equal(b->rig->q.ngiven, at + n);
	for (i = 0; i < n; i++) {
		const struct fake_token *t = &b->rig->q.tokens[b->rig->q.given[at + i]];

		assert_int_equal(t->len, b->len[i]);
		assert_memory_equal(t->data, b->packets[i], b->len[i]);
		assert_int_equal(t->hdr.flags, 0);
		assert_int_equal(t->hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(t->hdr.csum_start, 0);
	}
}

static const struct packet_spec tcp = { .flow = 1, .ttl = 64, .payload = 1000, .id = 9 };
static const struct packet_spec udp = { .udp = true, .flow = 1, .ttl = 64, .payload = 333 };

static void test_cut(void **state)
{
	unsigned int kind;

	for (kind = 0; kind < 8; kind++) {
		struct bench *b = begin(state, FAKE_TOKENS, 0);
		struct packet_spec s = kind & 1 ? udp : tcp;

		s.v6 = kind & 2;
		b->rig->q.pieces = kind & 4 ? 3 : 1; /* the ring's room, scattered */
		memset(&b->rig->lane.counters, 0, sizeof(b->rig->lane.counters));
		put_superframe(b, s, PACKETS);
		assert_int_equal(fd_to_vq_run(&b->rig->lane), 1);
		assert_packets(b, 0, PACKETS);
		assert_int_equal(b->rig->lane.counters.frames, PACKETS);
		assert_int_equal(b->rig->lane.counters.superframes, 1);
		assert_int_equal(b->rig->lane.counters.segments, PACKETS);
		assert_int_equal(b->rig->q.flushes, 1);
		lane_rig_assert_sound(b->rig);
		fake_vq_close(&b->rig->q);
	}
}

/* Room for some of the pieces: they wait, all of them, until there is room for all. */
static void test_whole_or_not_at_all(void **state)
{
	struct bench *b = begin(state, 7, 0);

	put_superframe(b, tcp, PACKETS);
	put_superframe(b, tcp, 2);
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 0);
	assert_true(b->rig->lane.starved);
	assert_int_equal(b->rig->q.ngiven, 0);
	assert_int_equal(vq_quiesce(&b->rig->q.vq), 7); /* kept for it */
	b->rig->q.ready = PACKETS + 1;
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 1);
	assert_int_equal(b->rig->q.ngiven, PACKETS);
	b->rig->q.ready = 100;
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 1);
	assert_false(b->rig->lane.starved);
	assert_packets(b, PACKETS, 2);
	lane_rig_assert_sound(b->rig);
}

/* More pieces than the ring can be asked for: as many parts as it takes. */
static void test_goes_in_parts(void **state)
{
	struct bench *b = begin(state, 7, 0);

	b->rig->q.vq.capacity = 8;
	put_superframe(b, tcp, PACKETS);
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 0);
	assert_true(b->rig->lane.starved);
	assert_int_equal(b->rig->q.ngiven, 4);
	assert_int_equal(b->rig->q.flushed, 4); /* so the peer can make room */
	assert_int_equal(b->rig->lane.counters.superframes, 0);
	b->rig->q.ready = PACKETS - 1;
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 0);
	assert_int_equal(b->rig->q.ngiven, 16);
	b->rig->q.ready = PACKETS;
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 1);
	assert_packets(b, 0, PACKETS);
	assert_int_equal(b->rig->lane.counters.superframes, 1);
	assert_int_equal(b->rig->lane.counters.segments, PACKETS);
	assert_int_equal(b->rig->q.flushed, PACKETS);
	lane_rig_assert_sound(b->rig);
}

static void test_stopped_while_it_waits(void **state)
{
	struct bench *b = begin(state, 7, 0);

	put_superframe(b, tcp, PACKETS);
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 0);
	lane_stop(&b->rig->lane);
	assert_int_equal(vq_quiesce(&b->rig->q.vq), 0);
	assert_int_equal(b->rig->q.ngiven, 0);
	lane_rig_assert_drops(b->rig, LANE_DROP_STOPPED, 1);
}

/* The peer computes checksums, but does not cut: they are left to it. */
static void test_checksums_left(void **state)
{
	struct bench *b = begin(state, FAKE_TOKENS, FEATURE(CSUM));
	unsigned int i;

	put_superframe(b, tcp, PACKETS);
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 1);
	assert_int_equal(b->rig->q.ngiven, PACKETS);
	for (i = 0; i < PACKETS; i++) {
		struct fake_token *t = &b->rig->q.tokens[b->rig->q.given[i]];

		assert_int_equal(t->hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(t->hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(le16toh(t->hdr.csum_start), 34);
		assert_int_equal(le16toh(t->hdr.csum_offset), 16);
		memset(t->data + 50, 0, 2); /* all the rest is as it was sent */
		memset(b->packets[i] + 50, 0, 2);
		assert_memory_equal(t->data, b->packets[i], b->len[i]);
	}
}

/* What the peer takes passes as it is, whatever else it does not take. */
static void test_passes_untouched(void **state)
{
	struct bench *b = begin(state, FAKE_TOKENS, FEATURE(CSUM) | FEATURE(HOST_TSO4));
	const struct fake_token *t = &b->rig->q.tokens[0];

	put_superframe(b, tcp, PACKETS);
	assert_int_equal(fd_to_vq_run(&b->rig->lane), 1);
	assert_int_equal(b->rig->q.ngiven, 1);
	assert_int_equal(t->hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(le16toh(t->hdr.gso_size), 1000);
	assert_int_equal(t->len, 54 + PACKETS * 1000);
	assert_int_equal(b->rig->lane.counters.superframes, 0);
}

static void put_broken(struct bench *b, uint8_t flags, uint16_t gso_size, uint16_t start)
{
	uint8_t out[sizeof(struct virtio_net_hdr_v1) + 2048] = { 0 };
	const struct virtio_net_hdr_v1 hdr = {
		.flags = flags, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = htole16(gso_size), .csum_start = htole16(start),
		.csum_offset = htole16(16),
	};

	memcpy(out, &hdr, sizeof(hdr));
	packet_rig_build(&tcp, out + sizeof(hdr));
	assert_int_equal(send(b->rig->port.outside, out, sizeof(hdr) + 1054, 0),
			 sizeof(hdr) + 1054);
}

/* What cannot be cut is dropped, counted, and holds up nothing. */
static void test_unfit(void **state)
{
	struct bench *b = begin(state, FAKE_TOKENS, 0);
	unsigned int n;

	put_broken(b, 0, 100, 34);				  /* no checksum to be computed */
	put_broken(b, VIRTIO_NET_HDR_F_NEEDS_CSUM, 0, 34);	  /* pieces of nothing */
	put_broken(b, VIRTIO_NET_HDR_F_NEEDS_CSUM, 100, 38);	  /* not where IP ends */
	put_broken(b, VIRTIO_NET_HDR_F_NEEDS_CSUM, 100, 1050);
	put_superframe(b, tcp, 2);
	for (n = 0; n < 5;)
		n += (unsigned int)fd_to_vq_run(&b->rig->lane);
	assert_packets(b, 0, 2);
	lane_rig_assert_drops(b->rig, LANE_DROP_UNFIT, 4);
	lane_rig_assert_sound(b->rig);
}

#define TEST(f)                                                                                    \
	{                                                                                          \
		#f, f, setup, teardown, "plain"                                                    \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_cut),
		TEST(test_whole_or_not_at_all),
		TEST(test_goes_in_parts),
		TEST(test_stopped_while_it_waits),
		TEST(test_checksums_left),
		TEST(test_passes_untouched),
		TEST(test_unfit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
