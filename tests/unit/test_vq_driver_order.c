/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver side of a ring with VIRTIO_F_IN_ORDER (virtio 1.3, 2.7.9). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "ring_rig.h"

#define ORDER (FEATURE(F_VERSION_1) | FEATURE(F_IN_ORDER))
#define MRG FEATURE_NET(MRG_RXBUF)
#define HDR 12u
#define BUFFER 4160u /* of a mergeable receive queue: an odd number of cache lines */

static struct ring_rig *begin(void **state, enum vq_direction direction, uint64_t more)
{
	struct ring_rig *rig = *state;

	assert_int_equal(ring_rig_open(rig, direction, 8, ORDER | more), 0);
	vq_flush(rig->vq);
	return rig;
}

static void take(struct ring_rig *rig, unsigned int i)
{
	assert_int_equal(ring_rig_take(rig, i, 0), 1);
}

static void give(struct ring_rig *rig, unsigned int i)
{
	const struct virtio_net_hdr_v1 hdr = { 0 };

	vq_give(rig->vq, rig->frames[i].span, rig->vq->direction == VQ_SPACE ? 60 + i : 0,
		rig->vq->direction == VQ_SPACE ? &hdr : NULL);
}

/* The peer finds these heads available, and no other. */
static void assert_offered(struct ring_rig *rig, int from, int n)
{
	vq_flush(rig->vq);
	for (; n > 0; n--, from++)
		assert_int_equal(ring_rig_next(rig), from % 8);
	assert_int_equal(ring_rig_next(rig), -1);
}

static uint8_t first_byte(const struct frame *f)
{
	return *(uint8_t *)f->iov[1].iov_base;
}

/* The peer writes @n frames of 60 bytes, and an entry for each. */
static void fill(struct ring_rig *rig, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint16_t at = rig->used_idx;

		assert_int_equal(ring_rig_fill(rig, 1, 60, (uint8_t)i), at & 7);
	}
	ring_rig_publish(rig);
}

/* ---- receive ---- */

static void test_given_in_any_order(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);
	unsigned int i;

	fill(rig, 6);
	assert_offered(rig, 6, 2);
	for (i = 0; i < 6; i++) {
		take(rig, i);
		assert_int_equal(first_byte(&rig->frames[i]), i);
	}
	give(rig, 1);
	give(rig, 2);
	give(rig, 4);
	assert_offered(rig, 0, 0); /* they wait for 0 */
	give(rig, 0);
	assert_offered(rig, 0, 3);
	assert_int_equal(vq_quiesce(rig->vq), 2);
	give(rig, 5);
	give(rig, 3);
	assert_offered(rig, 3, 3);
	assert_int_equal(vq_quiesce(rig->vq), 0);
}

/* One entry stands for five buffers: four full ones, and the last as long as it says. */
static void test_batch(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);
	unsigned int round, i;

	for (round = 0; round < 5; round++) { /* around the ring */
		uint32_t last = (rig->used_idx + 4u) & 7;
		uint16_t at = rig->used_idx;

		for (i = 0; i < 5; i++)
			assert_true(ring_rig_fill(rig, 1, 60, (uint8_t)i) >= 0);
		rig->used_idx = at;
		ring_rig_use(rig, last, HDR + 99);
		for (i = 1; i < 5; i++)
			ring_rig_use(rig, 0xdeadbeef, 0xdeadbeef); /* of no meaning */
		ring_rig_publish(rig);
		for (i = 0; i < 5; i++) {
			take(rig, i);
			assert_int_equal(first_byte(&rig->frames[i]), i);
			assert_int_equal(rig->frames[i].len, i < 4 ? BUFFER - HDR : 99);
		}
		assert_int_equal(ring_rig_take(rig, 5, 0), 0);
		for (i = 0; i < 5; i++)
			give(rig, i);
		vq_flush(rig->vq);
	}
}

/* What was returned out of the middle of a batch is there again. */
static void test_untake_in_a_batch(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);
	unsigned int i;

	for (i = 0; i < 4; i++)
		assert_true(ring_rig_fill(rig, 1, 60, (uint8_t)i) >= 0);
	rig->used_idx = 0;
	ring_rig_use(rig, 3, HDR + 7);
	rig->used_idx = 4;
	ring_rig_publish(rig);
	for (i = 0; i < 3; i++)
		take(rig, i);
	vq_untake(rig->vq, rig->frames[2].span);
	vq_untake(rig->vq, rig->frames[1].span);
	for (i = 1; i < 4; i++) {
		take(rig, i);
		assert_int_equal(first_byte(&rig->frames[i]), i);
		assert_int_equal(rig->frames[i].len, i < 3 ? BUFFER - HDR : 7);
	}
	for (i = 4; i-- > 0;)
		give(rig, i);
	assert_offered(rig, 4, 8);
}

/* A mergeable frame that spans two entries, the first of which is a batch. */
static void test_group_over_a_batch(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);

	assert_int_equal(ring_rig_fill(rig, 3, BUFFER - HDR, 1), 0);
	assert_int_equal(ring_rig_fill_more(rig, BUFFER, 2), 1);
	assert_int_equal(ring_rig_fill_more(rig, 10, 3), 2);
	rig->used_idx = 0;
	ring_rig_use(rig, 1, BUFFER);
	rig->used_idx = 2;
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 0); /* one is missing */
	ring_rig_use(rig, 2, 10);
	ring_rig_publish(rig);
	take(rig, 0);
	assert_int_equal(rig->frames[0].len, 2 * BUFFER - HDR + 10);
	assert_int_equal(rig->frames[0].span.count, 3);
	give(rig, 0);
	assert_offered(rig, 3, 8);
}

static void assert_breaks(struct ring_rig *rig, const char *why, uint32_t value)
{
	assert_int_equal(ring_rig_take(rig, 0, 0), -EPROTO);
	assert_string_equal(rig->vq->why, why);
	assert_int_equal(rig->vq->why_value, value);
	assert_int_equal(ring_rig_take(rig, 0, 0), -EPROTO);
}

static void test_id_beyond_what_was_used(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);

	ring_rig_use(rig, 1, HDR + 60); /* two buffers, says the id; one, says the index */
	ring_rig_publish(rig);
	assert_breaks(rig, "used id out of order", 1);
}

static void test_id_that_goes_back(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);

	fill(rig, 2);
	take(rig, 1);
	take(rig, 2);
	ring_rig_use(rig, 1, HDR + 60);
	ring_rig_publish(rig);
	assert_breaks(rig, "used id out of order", 1);
}

static void test_id_out_of_range(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);

	ring_rig_use(rig, 8, HDR + 60);
	ring_rig_publish(rig);
	assert_breaks(rig, "used id out of range", 8);
}

static void test_length_over_the_buffer(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);

	ring_rig_use(rig, 0, BUFFER + 1);
	ring_rig_publish(rig);
	assert_breaks(rig, "used length beyond the buffer", BUFFER + 1);
}

/* ---- transmit ---- */

static void test_sent_in_any_order(void **state)
{
	struct ring_rig *rig = begin(state, VQ_SPACE, 0);
	uint32_t len;
	unsigned int i;

	for (i = 0; i < 4; i++)
		take(rig, i);
	give(rig, 3);
	give(rig, 1);
	assert_offered(rig, 0, 0);
	give(rig, 0);
	assert_offered(rig, 0, 2);
	give(rig, 2);
	assert_offered(rig, 2, 2);
	for (i = 0; i < 4; i++) {
		/* each descriptor points at the frame that was put there */
		assert_ptr_equal(ring_rig_memory(rig, i, &len) + HDR,
				 rig->frames[i].iov[1].iov_base);
		assert_int_equal(len, HDR + 60 + i);
	}
}

/* One entry, or none that can be read, for all: the index says enough. */
static void test_reclaimed_by_the_index(void **state)
{
	struct ring_rig *rig = begin(state, VQ_SPACE, 0);
	unsigned int round, i;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < 5; i++) {
			take(rig, i);
			give(rig, i);
		}
		assert_offered(rig, (int)(5 * round), 5);
		assert_int_equal(ring_rig_take(rig, 5, 0), 1);
		vq_untake(rig->vq, rig->frames[5].span);
		rig->used_idx = (uint16_t)(rig->used_idx + 5);
		ring_rig_publish(rig);
	}
	for (i = 0; i < 8; i++) /* none was lost */
		take(rig, i);
	assert_int_equal(ring_rig_take(rig, 8, 0), 0);
	assert_int_equal(vq_quiesce(rig->vq), 8);
	for (i = 8; i-- > 0;)
		vq_untake(rig->vq, rig->frames[i].span);
	take(rig, 0);
	give(rig, 0);
	assert_offered(rig, 25, 1);
}

/* Descriptors go round, buffers do not: the next frame goes where the last one was. */
static void test_warm_buffers(void **state)
{
	struct ring_rig *rig = begin(state, VQ_SPACE, 0);
	uint8_t *where = NULL;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		take(rig, 0);
		if (where)
			assert_ptr_equal(rig->frames[0].iov[1].iov_base, where);
		where = rig->frames[0].iov[1].iov_base;
		give(rig, 0);
		assert_offered(rig, (int)i, 1);
		ring_rig_use(rig, i & 7, 0);
		ring_rig_publish(rig);
	}
}

static void test_index_beyond_what_was_sent(void **state)
{
	struct ring_rig *rig = begin(state, VQ_SPACE, 0);

	take(rig, 0);
	take(rig, 1);
	give(rig, 1); /* waits: it was not told to the peer */
	vq_flush(rig->vq);
	ring_rig_publish_at(rig, 1);
	assert_breaks(rig, "used index jumped to", 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, ring_rig_setup, ring_rig_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_given_in_any_order),
		TEST(test_batch),
		TEST(test_untake_in_a_batch),
		TEST(test_group_over_a_batch),
		TEST(test_id_beyond_what_was_used),
		TEST(test_id_that_goes_back),
		TEST(test_id_out_of_range),
		TEST(test_length_over_the_buffer),
		TEST(test_sent_in_any_order),
		TEST(test_reclaimed_by_the_index),
		TEST(test_warm_buffers),
		TEST(test_index_beyond_what_was_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
