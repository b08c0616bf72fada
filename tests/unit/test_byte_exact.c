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
#include "flow_rig.h"

#define ROUNDS	   1000u
#define PACKET_MAX 2048u

struct bench {
	struct merge *m;
	bool strict;
	struct flow_rig flows;
	unsigned int n;
	uint8_t name[MERGE_BATCH]; /* of the flow of the packet at that place */
	uint32_t lens[MERGE_BATCH];
	struct frame frames[MERGE_BATCH];
	struct iovec iovs[MERGE_BATCH][3];
	uint8_t packets[MERGE_BATCH][PACKET_MAX];
	uint8_t flat[FRAME_LEN_MAX], piece[PACKET_MAX];
	unsigned int merged;
};

/* Half of the packets in two pieces, as mergeable buffers would have them. */
static void lay_out(struct bench *b, unsigned int i)
{
	struct frame *f = &b->frames[i];
	uint32_t len = b->lens[i], first = len;

	packet_rig_frame(f, b->iovs[i], b->packets[i], len);
	if (flow_rig_roll(&b->flows, 2) && len > 140)
		first = 130 + flow_rig_roll(&b->flows, len - 130);
	f->iov[1].iov_len = first;
	if (first < len)
		f->iov[f->iovcnt++] = (struct iovec){b->packets[i] + first, len - first};
}

static void add(struct bench *b, unsigned int flow)
{
	unsigned int i = b->n++;
	struct packet_spec spec;

	b->name[i] = flow_rig_next(&b->flows, flow, &spec);
	b->lens[i] = packet_rig_build(&spec, b->packets[i]);
	lay_out(b, i);
}

static void compare(struct bench *b, const uint8_t *got, uint32_t len, uint16_t place)
{
	static uint8_t a[PACKET_MAX], c[PACKET_MAX];

	assert_int_equal(len, b->lens[place]);
	memcpy(a, got, len);
	memcpy(c, b->packets[place], len);
	if (!b->strict) {
		flow_rig_forget_id(a, false);
		flow_rig_forget_id(c, false);
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
	for (i = 0; i < members; i++, place = merge_next(b->m)[place]) {
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
	int newest[FLOW_RIG_NAMES];

	memset(newest, 0xff, sizeof(newest));
	wanted = 1 + flow_rig_roll(&b->flows, MERGE_BATCH);
	for (b->n = 0; b->n < wanted;) {
		unsigned int flow = flow_rig_roll(&b->flows, FLOW_RIG_FLOWS);
		unsigned int burst = 1 + flow_rig_roll(&b->flows, 20);

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
		.strict = strict,
		.tcp = true,
		.udp_max = 64,
		.hdr_len = 12,
	};
	struct bench *b = calloc(1, sizeof(*b));
	unsigned int i;

	assert_non_null(b);
	flow_rig_init(&b->flows, seed);
	b->strict = strict;
	b->m = merge_open(&config);
	assert_non_null(b->m);
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
