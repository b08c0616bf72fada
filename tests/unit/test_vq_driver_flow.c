/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver side of a ring with a peer that keeps the rules: what each verb promises. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "ring_rig.h"

#define V1 FEATURE(F_VERSION_1)
#define MRG (V1 | FEATURE_NET(MRG_RXBUF))
#define EVENT FEATURE(RING_F_EVENT_IDX)
#define BUFFER 2048u

static struct ring_rig *receive_queue(void **state, uint16_t num, uint64_t features)
{
	struct ring_rig *rig = *state;

	assert_int_equal(ring_rig_open(rig, VQ_CONTENT, num, features), 0);
	vq_flush(rig->vq);
	return rig;
}

static struct ring_rig *transmit_queue(void **state, uint16_t num, uint64_t features)
{
	struct ring_rig *rig = *state;

	assert_int_equal(ring_rig_open(rig, VQ_SPACE, num, features), 0);
	return rig;
}

static void send_one(struct ring_rig *rig, uint32_t len)
{
	const struct virtio_net_hdr_v1 hdr = { 0 };

	assert_int_equal(ring_rig_take(rig, 0, len), 1);
	vq_give(rig->vq, rig->frames[0].span, len, &hdr);
}

/* The peer fills @n buffers of 60 bytes of @fill, @fill + 1, … */
static void fill_frames(struct ring_rig *rig, unsigned int n, uint8_t fill)
{
	while (n-- > 0)
		assert_true(ring_rig_fill(rig, 1, 60, fill++) >= 0);
	ring_rig_publish(rig);
}

static uint8_t first_byte(const struct frame *f)
{
	return *(uint8_t *)f->iov[1].iov_base;
}

/* ---- receive ---- */

static void test_group_is_withheld_until_complete(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG | EVENT);

	assert_true(ring_rig_fill(rig, 3, BUFFER - 12, 1) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 0);
	assert_false(vq_arm(rig->vq, true)); /* sleep, do not spin */
	assert_int_equal(ring16(&rig->ring, *ring_used_event(&rig->ring)), 1);
	assert_true(ring_rig_fill_more(rig, BUFFER, 2) >= 0);
	ring_rig_publish(rig);
	assert_true(vq_arm(rig->vq, true));
	assert_int_equal(ring_rig_take(rig, 0, 0), 0);
	assert_false(vq_arm(rig->vq, true));
	assert_true(ring_rig_fill_more(rig, 100, 3) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_int_equal(rig->frames[0].span.count, 3);
	assert_int_equal(rig->frames[0].iovcnt, 4);
	assert_int_equal(rig->frames[0].len, 2 * BUFFER - 12 + 100);
	assert_int_equal(*(uint8_t *)rig->frames[0].iov[3].iov_base, 3);
	assert_int_equal(vq_quiesce(rig->vq), 3);
	vq_give(rig->vq, rig->frames[0].span, 0, NULL);
	assert_int_equal(vq_quiesce(rig->vq), 0);
}

/* A group whose rest came while frames of an earlier look were being taken. */
static void test_group_completed_since_the_last_look(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 1, 60, 1) >= 0);
	assert_true(ring_rig_fill(rig, 2, BUFFER - 12, 2) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_true(ring_rig_fill_more(rig, 50, 3) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 1, 0), 1);
	assert_int_equal(rig->frames[1].len, BUFFER - 12 + 50);
}

/* A complete frame that comes back in front of an incomplete one is work. */
static void test_arm_sees_what_was_untaken_before_a_withheld_group(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG | EVENT);

	assert_true(ring_rig_fill(rig, 1, 60, 1) >= 0);
	assert_true(ring_rig_fill(rig, 2, BUFFER - 12, 2) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_int_equal(ring_rig_take(rig, 1, 0), 0);
	vq_untake(rig->vq, rig->frames[0].span);
	assert_true(vq_arm(rig->vq, true));
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_int_equal(first_byte(&rig->frames[0]), 1);
}

static void test_untake_newest_first(void **state)
{
	struct ring_rig *rig = receive_queue(state, 16, MRG);
	unsigned int i;

	assert_true(ring_rig_fill(rig, 1, 60, 10) >= 0);
	assert_true(ring_rig_fill(rig, 2, BUFFER - 12, 11) >= 0);
	assert_true(ring_rig_fill_more(rig, 7, 99) >= 0);
	assert_true(ring_rig_fill(rig, 1, 60, 12) >= 0);
	assert_true(ring_rig_fill(rig, 1, 60, 13) >= 0);
	ring_rig_publish(rig);
	for (i = 0; i < 4; i++)
		assert_int_equal(ring_rig_take(rig, i, 0), 1);
	assert_int_equal(vq_quiesce(rig->vq), 5);
	for (i = 4; i-- > 1;)
		vq_untake(rig->vq, rig->frames[i].span);
	assert_int_equal(vq_quiesce(rig->vq), 1);
	vq_give(rig->vq, rig->frames[0].span, 0, NULL);
	for (i = 1; i < 4; i++) {
		assert_int_equal(ring_rig_take(rig, i, 0), 1);
		assert_int_equal(first_byte(&rig->frames[i]), 10 + i);
	}
	assert_int_equal(rig->frames[1].len, BUFFER - 12 + 7);
	assert_int_equal(ring_rig_take(rig, 5, 0), 0);
	assert_int_equal(rig->vq->broken, 0);
}

static void test_gives_in_any_order(void **state)
{
	struct ring_rig *rig = receive_queue(state, 4, MRG);
	static const unsigned int order[] = { 2, 0, 3, 1 };
	unsigned int i;

	fill_frames(rig, 4, 20);
	for (i = 0; i < 4; i++)
		assert_int_equal(ring_rig_take(rig, i, 0), 1);
	for (i = 0; i < 4; i++)
		vq_give(rig->vq, rig->frames[order[i]].span, 0, NULL);
	assert_int_equal(ring_rig_next(rig), -1); /* not before the flush */
	vq_flush(rig->vq);
	for (i = 0; i < 4; i++)
		assert_int_equal(ring_rig_next(rig), order[i]);
}

/* A used entry of nothing but a header: a frame of no bytes, the caller's to judge. */
static void test_header_alone(void **state)
{
	struct ring_rig *rig = receive_queue(state, 4, MRG);

	assert_true(ring_rig_fill(rig, 1, 0, 0) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_int_equal(rig->frames[0].len, 0);
	assert_int_equal(rig->frames[0].iovcnt, 1);
	vq_give(rig->vq, rig->frames[0].span, 0, NULL);
}

/* ---- transmit ---- */

static void test_transmit_buffers_last_in_first_out(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 8, V1);
	uint16_t first, second;

	assert_int_equal(ring_rig_take(rig, 0, 60), 1);
	assert_int_equal(ring_rig_take(rig, 1, 60), 1);
	first = rig->frames[0].span.first;
	second = rig->frames[1].span.first;
	assert_int_not_equal(first, second);
	vq_untake(rig->vq, rig->frames[1].span);
	vq_untake(rig->vq, rig->frames[0].span);
	assert_int_equal(vq_quiesce(rig->vq), 0);
	send_one(rig, 60);
	vq_flush(rig->vq);
	assert_int_equal(rig->frames[0].span.first, first);
	ring_rig_use(rig, (uint32_t)ring_rig_next(rig), 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 60), 1); /* the one that just came back */
	assert_int_equal(rig->frames[0].span.first, first);
}

/* Nothing is flushed while the ring is full, so take alone has to see what was finished. */
static void test_transmit_ring_full_then_reclaimed(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 4, V1);
	unsigned int i;

	for (i = 0; i < 4; i++)
		send_one(rig, 60);
	vq_flush(rig->vq);
	assert_int_equal(ring_rig_take(rig, 0, 60), 0);
	assert_int_equal(ring_rig_take(rig, 0, 60), 0);
	ring_rig_next(rig);
	ring_rig_next(rig);
	ring_rig_use(rig, (uint32_t)ring_rig_next(rig), 0); /* out of order, too */
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 60), 1);
	assert_int_equal(rig->frames[0].span.first, 2);
	assert_int_equal(ring_rig_take(rig, 1, 60), 0);
	assert_int_equal(vq_quiesce(rig->vq), 1);
}

static void test_transmit_takes_no_more_than_a_frame_can_be(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 4, V1);

	assert_int_equal(ring_rig_take(rig, 0, FRAME_LEN_MAX + 1), 0);
	assert_int_equal(ring_rig_take(rig, 0, FRAME_LEN_MAX), 1);
	assert_int_equal(rig->frames[0].len, FRAME_LEN_MAX);
}

/* ---- notifications ---- */

static void test_one_kick_a_flush(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 8, V1);
	unsigned int i;

	for (i = 0; i < 5; i++)
		send_one(rig, 60);
	assert_int_equal(ring_rig_count(rig->kick_fd), 0);
	vq_flush(rig->vq);
	assert_int_equal(ring_rig_count(rig->kick_fd), 1);
	vq_flush(rig->vq); /* nothing new */
	assert_int_equal(ring_rig_count(rig->kick_fd), 0);
	assert_int_equal(rig->vq->counters.kicks, 1);
	assert_int_equal(rig->vq->counters.suppressed, 0);
}

static void test_kicks_by_flag(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 8, V1);
	uint16_t *flags = &rig->ring.vr.used->flags;

	*flags = ring16(&rig->ring, VRING_USED_F_NO_NOTIFY);
	send_one(rig, 60);
	vq_flush(rig->vq);
	assert_int_equal(ring_rig_count(rig->kick_fd), 0);
	assert_int_equal(rig->vq->counters.suppressed, 1);
	*flags = 0;
	send_one(rig, 60);
	vq_flush(rig->vq);
	assert_int_equal(ring_rig_count(rig->kick_fd), 1);
	assert_int_equal(rig->vq->counters.kicks, 1);
	assert_int_equal(rig->vq->counters.suppressed, 1);
}

/* A flush kicks when it crosses the index that the peer named; the flags say nothing then. */
static void test_kicks_by_event_index(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 8, V1 | EVENT);

	rig->ring.vr.used->flags = ring16(&rig->ring, VRING_USED_F_NO_NOTIFY);
	*ring_avail_event(&rig->ring) = ring16(&rig->ring, 2);
	send_one(rig, 60);
	send_one(rig, 60);
	vq_flush(rig->vq); /* 0 → 2: entry 2 is not among them */
	assert_int_equal(ring_rig_count(rig->kick_fd), 0);
	send_one(rig, 60);
	send_one(rig, 60);
	vq_flush(rig->vq); /* 2 → 4 */
	assert_int_equal(ring_rig_count(rig->kick_fd), 1);
	send_one(rig, 60);
	vq_flush(rig->vq); /* the wish is used up */
	assert_int_equal(ring_rig_count(rig->kick_fd), 0);
	assert_int_equal(rig->vq->counters.kicks, 1);
	assert_int_equal(rig->vq->counters.suppressed, 2);
}

static void test_arm_by_flag(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);
	uint16_t *flags = &rig->ring.vr.avail->flags;

	assert_false(vq_arm(rig->vq, false));
	assert_int_equal(ring16(&rig->ring, *flags), VRING_AVAIL_F_NO_INTERRUPT);
	assert_false(vq_arm(rig->vq, true));
	assert_int_equal(*flags, 0);
	fill_frames(rig, 1, 1);
	assert_true(vq_arm(rig->vq, true)); /* came in between */
	assert_false(vq_arm(rig->vq, false));
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_false(vq_arm(rig->vq, true));
}

static void test_arm_by_event_index(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG | EVENT);
	uint16_t *event = ring_used_event(&rig->ring);

	assert_false(vq_arm(rig->vq, true));
	assert_int_equal(ring16(&rig->ring, *event), 0);
	fill_frames(rig, 2, 1);
	assert_true(vq_arm(rig->vq, true));
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_true(vq_arm(rig->vq, true)); /* one of the two is left */
	assert_int_equal(ring_rig_take(rig, 1, 0), 1);
	assert_false(vq_arm(rig->vq, true));
	assert_int_equal(ring16(&rig->ring, *event), 2);
	vq_untake(rig->vq, rig->frames[1].span);
	assert_true(vq_arm(rig->vq, true));
	assert_false(vq_arm(rig->vq, false));
}

static void test_arm_space(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 4, V1 | EVENT);
	unsigned int i;

	assert_true(vq_arm(rig->vq, true)); /* there is room */
	for (i = 0; i < 4; i++)
		send_one(rig, 60);
	vq_flush(rig->vq);
	assert_int_equal(ring_rig_take(rig, 0, 60), 0);
	assert_false(vq_arm(rig->vq, true));
	/* half of them make a call, not each one */
	assert_int_equal(ring16(&rig->ring, *ring_used_event(&rig->ring)), 2);
	for (i = 0; i < 3; i++)
		ring_rig_use(rig, (uint32_t)ring_rig_next(rig), 0);
	ring_rig_publish(rig);
	assert_true(vq_arm(rig->vq, true));
	assert_int_equal(ring_rig_take(rig, 0, 60), 1);
}

/* With the last frame finished there is no call to come: arm has to say so. */
static void test_arm_space_when_all_is_finished(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 2, V1);
	unsigned int i;

	for (i = 0; i < 2; i++)
		send_one(rig, 60);
	vq_flush(rig->vq);
	assert_int_equal(ring_rig_take(rig, 0, 60), 0);
	for (i = 0; i < 2; i++)
		ring_rig_use(rig, (uint32_t)ring_rig_next(rig), 0);
	ring_rig_publish(rig);
	assert_true(vq_arm(rig->vq, true));
	assert_int_equal(rig->ring.vr.avail->flags, 0);
	vq_arm(rig->vq, false);
	assert_int_equal(ring16(&rig->ring, rig->ring.vr.avail->flags), VRING_AVAIL_F_NO_INTERRUPT);
}

/* ---- the indexes' wrap ---- */

static void wrap_receive(void **state, uint16_t num, uint64_t features)
{
	struct ring_rig *rig = receive_queue(state, num, features);
	unsigned int i;

	for (i = 0; i < 70000; i++) {
		fill_frames(rig, 1, (uint8_t)i);
		assert_true(vq_arm(rig->vq, true));
		assert_int_equal(ring_rig_take(rig, 0, 0), 1);
		assert_int_equal(first_byte(&rig->frames[0]), (uint8_t)i);
		if (i % 7 == 0) {
			vq_untake(rig->vq, rig->frames[0].span);
			assert_int_equal(ring_rig_take(rig, 0, 0), 1);
		}
		assert_false(vq_arm(rig->vq, true));
		vq_give(rig->vq, rig->frames[0].span, 0, NULL);
		vq_flush(rig->vq);
	}
	assert_int_equal(rig->used_idx, 70000 - 65536);
	assert_int_equal(rig->vq->broken, 0);
	ring_rig_close(rig);
}

static void test_receive_indexes_wrap(void **state)
{
	wrap_receive(state, 2, MRG | EVENT);
	wrap_receive(state, 2, MRG);
	wrap_receive(state, 2, 0); /* one token */
	wrap_receive(state, 8, V1 | EVENT);
}

static void wrap_transmit(void **state, uint16_t num, uint64_t features)
{
	struct ring_rig *rig = transmit_queue(state, num, features);
	unsigned int i;

	for (i = 0; i < 70000; i++) {
		int head;

		/* as a peer that sleeps after each frame wishes it */
		*ring_avail_event(&rig->ring) = ring16(&rig->ring, rig->avail_idx);
		send_one(rig, 60);
		vq_flush(rig->vq);
		head = ring_rig_next(rig);
		assert_true(head >= 0);
		ring_rig_use(rig, (uint32_t)head, 0);
		ring_rig_publish(rig);
	}
	assert_int_equal(rig->vq->broken, 0);
	assert_int_equal(rig->vq->counters.kicks, 70000);
	ring_rig_close(rig);
}

static void test_transmit_indexes_wrap(void **state)
{
	wrap_transmit(state, 2, V1 | EVENT);
	wrap_transmit(state, 2, 0);
	wrap_transmit(state, 8, EVENT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, ring_rig_setup, ring_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_group_is_withheld_until_complete),
		T(test_group_completed_since_the_last_look),
		T(test_arm_sees_what_was_untaken_before_a_withheld_group),
		T(test_untake_newest_first),
		T(test_gives_in_any_order),
		T(test_header_alone),
		T(test_transmit_buffers_last_in_first_out),
		T(test_transmit_ring_full_then_reclaimed),
		T(test_transmit_takes_no_more_than_a_frame_can_be),
		T(test_one_kick_a_flush),
		T(test_kicks_by_flag),
		T(test_kicks_by_event_index),
		T(test_arm_by_flag),
		T(test_arm_by_event_index),
		T(test_arm_space),
		T(test_arm_space_when_all_is_finished),
		T(test_receive_indexes_wrap),
		T(test_transmit_indexes_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
