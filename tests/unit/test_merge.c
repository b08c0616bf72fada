/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which packets become one superframe, and that cutting it gives back what went in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/util.h"
#include "engine/merge.h"
#include "engine/segment.h"
#include "packet_rig.h"

#define PACKET_MAX 2048u
#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define URG 0x20
#define CWR 0x80

struct bench {
	struct merge *m;
	unsigned int n; /* packets in the batch */
	struct frame frames[MERGE_BATCH];
	struct iovec iovs[MERGE_BATCH][2];
	uint32_t lens[MERGE_BATCH];
	uint8_t packets[MERGE_BATCH][PACKET_MAX];
	uint8_t flat[FRAME_LEN_MAX], piece[PACKET_MAX];
};

static void open_merge(struct bench *b, bool strict, unsigned int udp_max)
{
	const struct merge_config config = {
		.strict = strict, .tcp = true, .udp_max = udp_max, .hdr_len = 12,
	};

	merge_close(b->m);
	b->m = merge_open(&config);
	assert_non_null(b->m);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	*state = b;
	open_merge(b, false, 64);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	merge_close(b->m);
	free(b);
	return 0;
}

static struct frame *add(struct bench *b, const struct packet_spec *spec)
{
	unsigned int i = b->n++;

	b->lens[i] = packet_rig_build(spec, b->packets[i]);
	packet_rig_frame(&b->frames[i], b->iovs[i], b->packets[i], b->lens[i]);
	return &b->frames[i];
}

/* The packet that goes on where @spec ended. */
static void go_on(struct packet_spec *spec)
{
	spec->seq += spec->payload;
	spec->id++;
}

static const struct packet_spec tcp = { .flow = 1000, .seq = 77, .ttl = 64, .payload = 1000,
					.timestamp = 1, .id = 65535 };
static const struct packet_spec udp = { .udp = true, .flow = 1000, .ttl = 64, .payload = 300 };

/* ---- cutting, to see what is in a unit ---- */

/* Cuts @unit and compares each piece with the member it must be. */
static void assert_cut(struct bench *b, unsigned int unit, const struct frame *f)
{
	uint16_t place = merge_first(b->m, unit);
	uint32_t len = packet_rig_flatten(f, b->flat);
	struct segment s;
	unsigned int i;

	assert_int_equal(len, f->len);
	if (merge_members(b->m, unit) == 1) {
		assert_int_equal(len, b->lens[place]);
		assert_memory_equal(b->flat, b->packets[place], len);
		return;
	}
	assert_int_equal(segment_open(&s, b->flat, len, &f->hdr, true), 0);
	assert_int_equal(s.pieces, merge_members(b->m, unit));
	for (i = 0; i < s.pieces; i++, place = merge_next(b->m)[place]) {
		struct virtio_net_hdr_v1 hdr = f->hdr;

		assert_true(place < b->n);
		len = segment_write(&s, b->piece, &hdr);
		assert_int_equal(len, b->lens[place]);
		assert_memory_equal(b->piece, b->packets[place], len);
		assert_int_equal(hdr.flags, 0);
		assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	}
	assert_int_equal(place, MERGE_END);
}

/* Merges the batch; there are units of so many members, and of them all packets come. */
static void assert_units(struct bench *b, const unsigned int *members, unsigned int n)
{
	struct frame *units;
	unsigned int got = merge_batch(b->m, b->frames, b->n, &units), i;

	for (i = 0; i < MIN(got, n); i++) {
		assert_int_equal(merge_members(b->m, i), members[i]);
		assert_cut(b, i, &units[i]);
	}
	assert_int_equal(got, n);
	b->n = 0;
}

#define ASSERT_UNITS(b, ...)                                                                       \
	assert_units(b, (const unsigned int[]){ __VA_ARGS__ },                                     \
		     ARRAY_SIZE(((const unsigned int[]){ __VA_ARGS__ })))

/* ---- what is merged ---- */

static void test_run_of_each_kind(void **state)
{
	struct bench *b = *state;
	unsigned int kind, i;

	for (kind = 0; kind < 16; kind++) {
		struct packet_spec s = kind & 1 ? udp : tcp;

		s.v6 = kind & 2;
		s.vlan = kind & 4;
		s.payload = kind & 8 ? 22 : 1001; /* copied, or pointed at; odd */
		for (i = 0; i < 20; i++, go_on(&s))
			add(b, &s);
		ASSERT_UNITS(b, 20);
	}
}

static void test_header_of_a_superframe(void **state)
{
	struct bench *b = *state;
	struct packet_spec s = tcp;
	struct frame *units;

	add(b, &s);
	go_on(&s);
	s.payload = 10;
	s.tcp_flags = PSH;
	add(b, &s);
	assert_int_equal(merge_batch(b->m, b->frames, 2, &units), 1);
	assert_int_equal(units[0].hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(units[0].hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(le16toh(units[0].hdr.gso_size), 1000);
	assert_int_equal(le16toh(units[0].hdr.hdr_len), 66);
	assert_int_equal(le16toh(units[0].hdr.csum_start), 34);
	assert_int_equal(le16toh(units[0].hdr.csum_offset), 16);
	assert_int_equal(units[0].len, 66 + 1010);
}

/* Flows that alternate: each has its superframe, in order of their first packets. */
static void test_flows_between_each_other(void **state)
{
	struct bench *b = *state;
	struct packet_spec a = tcp, c = tcp, u = udp;
	unsigned int i;

	c.flow = 2;
	for (i = 0; i < 5; i++, go_on(&a), go_on(&c), go_on(&u)) {
		add(b, &a);
		add(b, &u);
		add(b, &c);
	}
	ASSERT_UNITS(b, 5, 5, 5);
}

static void test_length_limits(void **state)
{
	struct bench *b = *state;
	struct packet_spec s = tcp;
	unsigned int i;

	s.payload = 1448;
	for (i = 0; i < 50; i++, go_on(&s))
		add(b, &s);
	ASSERT_UNITS(b, 45, 5); /* 52 + 45 * 1448 = 65212 */
	s = udp;
	s.payload = 1;
	for (i = 0; i < 130; i++, go_on(&s))
		add(b, &s);
	ASSERT_UNITS(b, 64, 64, 2);
}

static void test_udp_without_the_kernel(void **state)
{
	struct bench *b = *state;
	struct packet_spec s = udp;

	open_merge(b, false, 0);
	add(b, &s);
	go_on(&s);
	add(b, &s);
	ASSERT_UNITS(b, 1, 1);
}

/* ---- what is not ---- */

/* Two packets, the second changed by @change, are not merged; nor is a third behind it. */
static void assert_apart(struct bench *b, const struct packet_spec *first,
			 const struct packet_spec *second)
{
	add(b, first);
	add(b, second);
	ASSERT_UNITS(b, 1, 1);
}

static void test_what_must_be_the_same(void **state)
{
	struct bench *b = *state;
	struct packet_spec v6 = tcp;
	unsigned int i;

	v6.v6 = true;
	for (i = 0; i < 2; i++) {
		const struct packet_spec *base = i ? &v6 : &tcp;
		struct packet_spec next = *base, s;

		go_on(&next);
		s = next, s.seq++, assert_apart(b, base, &s);
		s = next, s.seq -= 1000, assert_apart(b, base, &s);
		s = next, s.ack++, assert_apart(b, base, &s);
		s = next, s.ttl--, assert_apart(b, base, &s);
		s = next, s.tos = 1, assert_apart(b, base, &s);
		s = next, s.timestamp = 2, assert_apart(b, base, &s);
		s = next, s.timestamp = 0, assert_apart(b, base, &s);
		s = next, s.vlan = true, assert_apart(b, base, &s);
		s = next, s.payload = 1001, assert_apart(b, base, &s);
		s = next, s.payload = 0, assert_apart(b, base, &s);
		s = next, s.tcp_flags = SYN, assert_apart(b, base, &s);
		s = next, s.tcp_flags = RST, assert_apart(b, base, &s);
		s = next, s.tcp_flags = URG, assert_apart(b, base, &s);
		s = next, s.tcp_flags = CWR, assert_apart(b, base, &s);
		s = next, s.fault = PACKET_BAD_SUM, assert_apart(b, base, &s);
		s = *base, s.fault = PACKET_BAD_SUM, assert_apart(b, &s, &next);
		s = *base, s.tcp_flags = PSH, assert_apart(b, &s, &next);
		s = *base, s.tcp_flags = FIN, assert_apart(b, &s, &next);
		s = *base, s.payload = 0, assert_apart(b, &s, base);
	}
}

/* The same behind a run of two, whose unit is looked at first; a good one follows. */
static void test_what_ends_a_run(void **state)
{
	struct bench *b = *state;
	struct packet_spec first = tcp, second, third, s;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		first.v6 = i;
		second = first, go_on(&second);
		third = second, go_on(&third);
		add(b, &first), add(b, &second);
		s = third, s.ack++, add(b, &s), go_on(&s), add(b, &s);
		ASSERT_UNITS(b, 2, 2);
		add(b, &first), add(b, &second);
		s = third, s.flow++, add(b, &s), add(b, &third);
		ASSERT_UNITS(b, 3, 1);
		add(b, &first), add(b, &second);
		s = third, s.fault = PACKET_BAD_SUM, add(b, &s), add(b, &third);
		ASSERT_UNITS(b, 2, 1, 1);
	}
	first.v6 = second.v6 = third.v6 = false;
	add(b, &first), add(b, &second);
	s = third, s.fault = PACKET_FRAGMENT, add(b, &s), add(b, &third);
	ASSERT_UNITS(b, 2, 1, 1);
}

static void test_ipv4_of_its_own(void **state)
{
	struct bench *b = *state;
	struct packet_spec next = tcp, s;

	go_on(&next);
	s = next, s.fault = PACKET_BAD_IP_SUM, assert_apart(b, &tcp, &s);
	s = tcp, s.fault = PACKET_BAD_IP_SUM, assert_apart(b, &s, &next);
	s = next, s.may_fragment = true, assert_apart(b, &tcp, &s);
	s = next, s.id += 1, assert_apart(b, &tcp, &s);
	s = next, s.fault = PACKET_PADDED, assert_apart(b, &tcp, &s);
	s = next, s.fault = PACKET_IP_OPTIONS, assert_apart(b, &tcp, &s);
	s = next, s.fault = PACKET_FRAGMENT, assert_apart(b, &tcp, &s);
}

/* Datagrams whose ids all are the same, which may not be fragmented: atomic ones. */
static void test_ids_that_stay(void **state)
{
	struct bench *b = *state;
	struct packet_spec s = udp;
	struct frame *units;

	add(b, &s);
	s.seq += s.payload;
	add(b, &s);
	assert_int_equal(merge_batch(b->m, b->frames, 2, &units), 1);
	open_merge(b, true, 64);
	ASSERT_UNITS(b, 1, 1);
	open_merge(b, false, 64);
	s.may_fragment = true;
	add(b, &s);
	s.seq += s.payload;
	add(b, &s);
	ASSERT_UNITS(b, 1, 1);
}

static void test_udp_of_its_own(void **state)
{
	struct bench *b = *state;
	struct packet_spec next = udp, s;

	go_on(&next);
	s = next, s.fault = PACKET_NO_SUM, assert_apart(b, &udp, &s);
	s = udp, s.fault = PACKET_NO_SUM, assert_apart(b, &s, &next);
	s = next, s.payload++, assert_apart(b, &udp, &s);
	s = next, s.fault = PACKET_BAD_SUM, assert_apart(b, &udp, &s);
}

/* What ends a run is its last member, and what follows begins another. */
static void test_run_ends(void **state)
{
	struct bench *b = *state;
	struct packet_spec s = tcp;

	add(b, &s);
	go_on(&s);
	s.tcp_flags = PSH;
	add(b, &s);
	go_on(&s);
	s.tcp_flags = 0;
	add(b, &s);
	go_on(&s);
	s.payload = 999;
	add(b, &s);
	go_on(&s);
	s.payload = 1000;
	add(b, &s);
	go_on(&s);
	s.tcp_flags = FIN;
	add(b, &s);
	ASSERT_UNITS(b, 2, 2, 2);
}

/* A packet that is not merged goes behind what came before it, and before what follows. */
static void test_order_in_a_flow(void **state)
{
	static const enum packet_fault hidden[] = { PACKET_FRAGMENT, PACKET_IP_OPTIONS };
	struct bench *b = *state;
	struct packet_spec s = tcp, other;
	size_t i;

	add(b, &s); /* an acknowledgement of the same flow */
	go_on(&s);
	other = s;
	other.payload = 0;
	add(b, &other);
	add(b, &s);
	ASSERT_UNITS(b, 1, 1, 1);
	for (i = 0; i < ARRAY_SIZE(hidden); i++) { /* of any flow */
		s = tcp;
		add(b, &s);
		go_on(&s);
		other = udp;
		other.fault = hidden[i];
		add(b, &other);
		add(b, &s);
		ASSERT_UNITS(b, 1, 1, 1);
	}
	other.fault = PACKET_PADDED; /* of another */
	s = tcp;
	add(b, &s);
	go_on(&s);
	add(b, &other);
	add(b, &s);
	ASSERT_UNITS(b, 2, 1);
	s = tcp; /* of this one */
	add(b, &s);
	other = s;
	other.fault = PACKET_PADDED;
	add(b, &other);
	go_on(&s);
	add(b, &s);
	ASSERT_UNITS(b, 1, 1, 1);
	s = tcp; /* of none */
	add(b, &s);
	go_on(&s);
	other.fault = PACKET_NO_IP;
	add(b, &other);
	add(b, &s);
	ASSERT_UNITS(b, 2, 1);
}

/* UDP over IPv6 has nothing in it that tells of an order: a tag's priority must not matter. */
static void test_order_beside_priorities(void **state)
{
	struct bench *b = *state;
	struct packet_spec s = udp;

	s.vlan = s.v6 = true;
	add(b, &s);
	add(b, &s);
	b->packets[1][14] |= 0x60;
	add(b, &s);
	ASSERT_UNITS(b, 1, 1, 1);
	add(b, &s);
	add(b, &s);
	b->packets[1][15] ^= 1; /* another VLAN is another flow */
	add(b, &s);
	ASSERT_UNITS(b, 2, 1);
	s.vlan = false;
	add(b, &s);
	add(b, &s);
	b->packets[1][11] ^= 1; /* another sender of the same flow */
	add(b, &s);
	ASSERT_UNITS(b, 1, 1, 1);
}

static void test_what_the_header_says(void **state)
{
	struct bench *b = *state;
	struct packet_spec bad = tcp;
	struct frame *f, *units;

	/* its checksum is known to be good, and so it is not computed */
	add(b, &tcp);
	go_on(&bad);
	bad.fault = PACKET_BAD_SUM;
	add(b, &bad)->hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	assert_int_equal(merge_batch(b->m, b->frames, 2, &units), 1);
	/* it is left to be computed, where TCP has it, or somewhere else */
	f = &b->frames[1];
	f->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->hdr.csum_start = htole16(34);
	f->hdr.csum_offset = htole16(16);
	assert_int_equal(merge_batch(b->m, b->frames, 2, &units), 1);
	f->hdr.csum_offset = htole16(18);
	assert_int_equal(merge_batch(b->m, b->frames, 2, &units), 2);
	/* a superframe already */
	f->hdr.csum_offset = htole16(16);
	f->hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	f->hdr.gso_size = htole16(100);
	assert_int_equal(merge_batch(b->m, b->frames, 2, &units), 2);
	assert_int_equal(units[1].hdr.gso_size, htole16(100));
}

/* ---- the sums themselves ---- */

static void test_checksum_of_any_length(void **state)
{
	static uint8_t bytes[5000], copy[5000];
	size_t len, i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13) | (i % 7 ? 0 : 0xff);
	for (len = 0; len < sizeof(bytes) - 8; len += len < 300 ? 1 : 97) {
		const uint8_t *p = bytes + len % 8;
		uint32_t plain = 0;

		for (i = 0; i < len; i++)
			plain += i % 2 ? (uint32_t)p[i] << 8 : p[i];
		while (plain >> 16)
			plain = (plain & 0xffff) + (plain >> 16);
		assert_int_equal(le16toh(checksum_fold(checksum_add(0, p, len))), plain);
		assert_int_equal(le16toh(checksum_fold(checksum_copy(0, copy, p, len))), plain);
		assert_memory_equal(copy, p, len);
		/* in two pieces, the second perhaps at an odd offset */
		i = len / 3;
		plain = checksum_add(0, p + i, len - i);
		plain = checksum_join(checksum_add(0, p, i), i % 2 ? checksum_shift(plain) : plain);
		assert_int_equal(checksum_fold(plain), checksum_fold(checksum_add(0, p, len)));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_run_of_each_kind),	   TEST(test_header_of_a_superframe),
		TEST(test_flows_between_each_other), TEST(test_length_limits),
		TEST(test_udp_without_the_kernel), TEST(test_what_must_be_the_same),
		TEST(test_what_ends_a_run),
		TEST(test_ipv4_of_its_own),	   TEST(test_ids_that_stay),
		TEST(test_udp_of_its_own),	   TEST(test_run_ends),
		TEST(test_order_in_a_flow),	   TEST(test_order_beside_priorities),
		TEST(test_what_the_header_says),
		TEST(test_checksum_of_any_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
