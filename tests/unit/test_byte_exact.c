/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes in comes out: packets of random flows, sound and broken, in and out of order, are
 * merged, cut again as the kernel would, and compared byte by byte, in order within each flow.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "engine/merge.h"
#include "engine/segment.h"
#include "packet_rig.h"

#define FLOWS 12u
#define NO_FLOW 255u /* the name of what belongs to none */
#define ROUNDS 1000u
#define PACKET_MAX 2048u

struct bench {
	struct merge *m;
	bool strict;
	uint64_t random;
	struct packet_spec flows[FLOWS]; /* what each sends next */
	uint8_t names[FLOWS];		 /* of them; a flow that begins has a new one */
	uint8_t named;
	unsigned int n;
	uint8_t name[MERGE_BATCH]; /* of the flow of the packet at that place */
	uint32_t lens[MERGE_BATCH];
	struct frame frames[MERGE_BATCH];
	struct iovec iovs[MERGE_BATCH][3];
	uint8_t packets[MERGE_BATCH][PACKET_MAX];
	uint8_t flat[FRAME_LEN_MAX], piece[PACKET_MAX];
	unsigned int merged;
};

static unsigned int roll(struct bench *b, unsigned int n)
{
	b->random = b->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)(b->random >> 33) % n;
}

/* A flow that begins, of any kind. */
static void begin_flow(struct bench *b, unsigned int i)
{
	static const uint16_t sizes[] = { 1, 21, 22, 255, 256, 257, 1000, 1447, 1448 };

	b->named = (uint8_t)(b->named % (NO_FLOW - 1) + 1);
	b->names[i] = b->named;
	b->flows[i] = (struct packet_spec){
		.v6 = roll(b, 2), .vlan = !roll(b, 3), .udp = roll(b, 2),
		.flow = (uint16_t)(1000 + i), .seq = roll(b, 1u << 31) * 2u, .ack = roll(b, 9),
		.id = (uint16_t)roll(b, 65536), .may_fragment = roll(b, 2),
		.timestamp = (uint8_t)(roll(b, 2) * 5), .ttl = 64,
		.payload = sizes[roll(b, ARRAY_SIZE(sizes))],
	};
}

/* Something goes wrong with a packet, now and then. */
static void spoil(struct bench *b, struct packet_spec *s)
{
	static const uint8_t flags[] = { 0x01, 0x02, 0x04, 0x08, 0x20, 0x40, 0x80, 0x09 };
	enum packet_fault faults[] = {
		PACKET_BAD_SUM, PACKET_PADDED, PACKET_NO_IP,
		s->v6 ? PACKET_EXTENSION : PACKET_BAD_IP_SUM,
		s->v6 ? PACKET_SOUND : PACKET_FRAGMENT,
		s->v6 ? PACKET_SOUND : PACKET_IP_OPTIONS,
		s->udp ? PACKET_NO_SUM : PACKET_SOUND,
	};

	switch (roll(b, 8)) {
	case 0:
		s->fault = faults[roll(b, ARRAY_SIZE(faults))];
		break;
	case 1:
		s->tcp_flags = flags[roll(b, ARRAY_SIZE(flags))];
		break;
	case 2:
		s->payload = (uint16_t)roll(b, s->payload + 2u);
		break;
	case 3:
		s->seq += roll(b, 3) - 1; /* a gap, or again */
		break;
	case 4:
		s->id += (uint16_t)roll(b, 3);
		break;
	case 5:
		s->ack++;
		break;
	case 6:
		s->ttl--;
		break;
	default:
		s->tos ^= 1;
	}
}

/* Half of the packets in two pieces, as mergeable buffers would have them. */
static void lay_out(struct bench *b, unsigned int i)
{
	struct frame *f = &b->frames[i];
	uint32_t len = b->lens[i], first = len;

	packet_rig_frame(f, b->iovs[i], b->packets[i], len);
	if (roll(b, 2) && len > 140)
		first = 130 + roll(b, len - 130);
	f->iov[1].iov_len = first;
	if (first < len)
		f->iov[f->iovcnt++] = (struct iovec){ b->packets[i] + first, len - first };
}

static void add(struct bench *b, unsigned int flow)
{
	struct packet_spec *next = &b->flows[flow], s = *next;
	unsigned int i = b->n++;

	if (!roll(b, 12))
		spoil(b, &s);
	b->name[i] = s.fault == PACKET_NO_IP ? NO_FLOW : b->names[flow];
	b->lens[i] = packet_rig_build(&s, b->packets[i]);
	lay_out(b, i);
	next->seq = s.seq + s.payload;
	/* the ids of one flow in four stay the same */
	next->id = (uint16_t)(s.id + (flow % 4 != 0));
	if (!roll(b, 300))
		begin_flow(b, flow);
}

/* Of a datagram whose ids may stay the same, the id and what depends on it say nothing. */
static void forget_id(uint8_t *packet)
{
	unsigned int ip = packet[12] == 0x81 ? 18 : 14;

	if (packet[ip] >> 4 == 4 && packet[ip + 6] & 0x40) {
		memset(packet + ip + 4, 0, 2);
		memset(packet + ip + 10, 0, 2);
	}
}

static void compare(struct bench *b, const uint8_t *got, uint32_t len, uint16_t place)
{
	static uint8_t a[PACKET_MAX], c[PACKET_MAX];

	assert_int_equal(len, b->lens[place]);
	memcpy(a, got, len);
	memcpy(c, b->packets[place], len);
	if (!b->strict) {
		forget_id(a);
		forget_id(c);
	}
	assert_memory_equal(a, c, len);
}

/* Each packet of the unit; none is behind one of its flow that came later. */
static void check_unit(struct bench *b, unsigned int unit, const struct frame *f, int *newest)
{
	unsigned int members = merge_members(b->m, unit), i;
	uint32_t len = packet_rig_flatten(f, b->flat);
	uint16_t place = merge_first(b->m, unit);
	struct virtio_net_hdr_v1 hdr;
	struct segment s;

	assert_int_equal(len, f->len);
	if (members > 1)
		assert_int_equal(segment_open(&s, b->flat, len, &f->hdr, true), 0);
	for (i = 0; i < members; i++, place = merge_next(b->m, place)) {
		assert_true(place < b->n);
		assert_true(newest[b->name[place]] < place);
		newest[b->name[place]] = place;
		hdr = f->hdr;
		if (members == 1)
			compare(b, b->flat, len, place);
		else
			compare(b, b->piece, segment_write(&s, b->piece, &hdr), place);
	}
	assert_int_equal(place, MERGE_END);
	b->merged += members > 1 ? members : 0;
}

static void run(struct bench *b)
{
	struct frame *units;
	unsigned int i, n, wanted, seen = 0;
	int newest[NO_FLOW + 1];

	memset(newest, 0xff, sizeof(newest));
	wanted = 1 + roll(b, MERGE_BATCH);
	for (b->n = 0; b->n < wanted;) {
		unsigned int flow = roll(b, FLOWS);
		unsigned int burst = 1 + roll(b, 20);

		while (burst-- > 0 && b->n < wanted)
			add(b, flow);
	}
	n = merge_batch(b->m, b->frames, b->n, &units);
	for (i = 0; i < n; i++) {
		check_unit(b, i, &units[i], newest);
		seen += merge_members(b->m, i);
	}
	assert_int_equal(seen, b->n); /* none is lost, none comes twice */
}

static void all(uint64_t seed, bool strict)
{
	const struct merge_config config = {
		.strict = strict, .tcp = true, .udp_max = 64, .hdr_len = 12,
	};
	struct bench *b = calloc(1, sizeof(*b));
	unsigned int i;

	assert_non_null(b);
	b->random = seed;
	b->strict = strict;
	b->m = merge_open(&config);
	assert_non_null(b->m);
	for (i = 0; i < FLOWS; i++)
		begin_flow(b, i);
	for (i = 0; i < ROUNDS; i++)
		run(b);
	assert_true(b->merged > ROUNDS * 10); /* else nothing was tried */
	merge_close(b->m);
	free(b);
}

static void test_ids_may_stay(void **state)
{
	(void)state;
	all(1, false);
}

static void test_strict(void **state)
{
	(void)state;
	all(2, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_may_stay),
		cmocka_unit_test(test_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
