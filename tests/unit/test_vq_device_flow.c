/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device side of a ring with a driver that keeps the rules: what each verb promises. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "device_rig.h"

static uint64_t calls(const struct device_rig *rig)
{
	uint64_t n;

	return read(rig->call_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* What the header in the first buffer says. */
static uint16_t num_buffers(struct device_rig *rig)
{
	struct virtio_net_hdr_v1 hdr;

	memcpy(&hdr, device_rig_at(rig, BUFFERS), sizeof(hdr));
	return ring16(&rig->ring, hdr.num_buffers);
}

static void test_address_up_to_the_end_of_the_memory(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_desc(rig, 0, LOW + REGION - 100, 100, 0, 0);
	device_rig_desc(rig, 1, HIGH + REGION - 100, 100, 0, 0); /* ends where the addresses do */
	device_rig_offer(rig, 0);
	device_rig_offer(rig, 1);
	assert_int_equal(device_rig_take(rig, 0, 0), 1);
	assert_ptr_equal(rig->iovs[0][1].iov_base, rig->memory.regions[0].base + REGION - 88);
	assert_int_equal(device_rig_take(rig, 1, 0), 1);
	assert_ptr_equal(rig->iovs[1][1].iov_base, rig->memory.regions[1].base + REGION - 88);
	assert_int_equal(rig->frames[1].len, 88);
}

/* ---- content ---- */

static void test_content_in_a_chain(void **state)
{
	struct virtio_net_hdr_v1 hdr = { .hdr_len = htole16(14), .num_buffers = 0xffff };
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);
	struct frame *f = &rig->frames[0];

	memcpy(device_rig_at(rig, BUFFERS), &hdr, sizeof(hdr));
	device_rig_desc(rig, 6, BUFFERS, 20, NEXT, 2); /* header and 8 bytes */
	device_rig_desc(rig, 2, BUFFERS + 0x100, 30, NEXT, 4);
	device_rig_desc(rig, 4, BUFFERS + 0x200, 40, 0, 0);
	device_rig_offer(rig, 6);
	assert_int_equal(device_rig_take(rig, 0, 0), 1);
	assert_int_equal(f->len, 78);
	assert_int_equal(f->iovcnt, 4);
	assert_ptr_equal(f->iov[1].iov_base, device_rig_at(rig, BUFFERS + 12));
	assert_ptr_equal(f->iov[3].iov_base, device_rig_at(rig, BUFFERS + 0x200));
	assert_int_equal(le16toh(f->hdr.hdr_len), 14);
	assert_int_equal(f->hdr.num_buffers, 0);
	assert_int_equal(vq_quiesce(rig->vq), 1);
	assert_int_equal(vq_device_base(rig->vq), 1);
	vq_give(rig->vq, f->span, 0, NULL);
	assert_int_equal(device_rig_used_idx(rig), 0);
	vq_flush(rig->vq);
	assert_int_equal(device_rig_used_idx(rig), 1);
	device_rig_used_is(rig, 0, 6, 0);
	assert_int_equal(vq_quiesce(rig->vq), 0);
	assert_int_equal(calls(rig), 1);
}

static void test_legacy_header_in_a_descriptor_of_its_own(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, 0);

	device_rig_desc(rig, 0, BUFFERS, 10, NEXT, 1);
	device_rig_desc(rig, 1, BUFFERS + 0x100, 60, 0, 0);
	device_rig_offer(rig, 0);
	assert_int_equal(device_rig_take(rig, 0, 0), 1);
	assert_int_equal(rig->frames[0].len, 60);
	assert_int_equal(rig->frames[0].iovcnt, 2);
	assert_ptr_equal(rig->iovs[0][1].iov_base, device_rig_at(rig, BUFFERS + 0x100));
}

static void test_content_untake_and_gives_in_any_order(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);
	uint16_t i;

	for (i = 0; i < 4; i++)
		device_rig_offer_one(rig, i, 72u + i, 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(device_rig_take(rig, i, 0), 1);
	vq_untake(rig->vq, rig->frames[3].span);
	vq_untake(rig->vq, rig->frames[2].span);
	assert_int_equal(vq_device_base(rig->vq), 2);
	assert_int_equal(vq_quiesce(rig->vq), 2);
	assert_true(vq_arm(rig->vq, true)); /* seen already, but not done */
	vq_give(rig->vq, rig->frames[1].span, 0, NULL);
	vq_give(rig->vq, rig->frames[0].span, 0, NULL);
	assert_int_equal(device_rig_take(rig, 2, 0), 1);
	assert_int_equal(rig->frames[2].len, 62);
	vq_give(rig->vq, rig->frames[2].span, 0, NULL);
	vq_flush(rig->vq);
	device_rig_used_is(rig, 0, 1, 0);
	device_rig_used_is(rig, 1, 0, 0);
	device_rig_used_is(rig, 2, 2, 0);
}

/* ---- space ---- */

static void test_mergeable_gathers_what_a_frame_needs(void **state)
{
	const struct virtio_net_hdr_v1 hdr = { .num_buffers = 0xffff };
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, MRG);
	struct frame *f = &rig->frames[0];
	uint16_t i;

	for (i = 0; i < 4; i++)
		device_rig_offer_one(rig, i, 1000, WRITE);
	assert_int_equal(device_rig_take(rig, 0, 2500), 1);
	assert_int_equal(f->span.count, 3);
	assert_int_equal(f->len, 2988);
	assert_int_equal(f->iovcnt, 4);
	vq_give(rig->vq, f->span, 2500, &hdr);
	vq_flush(rig->vq);
	assert_int_equal(device_rig_used_idx(rig), 3);
	device_rig_used_is(rig, 0, 0, 1000);
	device_rig_used_is(rig, 1, 1, 1000);
	device_rig_used_is(rig, 2, 2, 512);
	assert_int_equal(num_buffers(rig), 3);
	assert_int_equal(calls(rig), 1);
	assert_int_equal(vq_quiesce(rig->vq), 0);
}

static void test_mergeable_shorter_than_taken(void **state)
{
	const struct virtio_net_hdr_v1 hdr = { 0 };
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, MRG);
	uint16_t i;

	for (i = 0; i < 4; i++)
		device_rig_offer_one(rig, i, 1000, WRITE);
	assert_int_equal(device_rig_take(rig, 0, 3900), 1);
	assert_int_equal(rig->frames[0].span.count, 4);
	vq_give(rig->vq, rig->frames[0].span, 989, &hdr); /* one byte into the second */
	vq_flush(rig->vq);
	assert_int_equal(device_rig_used_idx(rig), 2);
	device_rig_used_is(rig, 1, 1, 1);
	assert_int_equal(num_buffers(rig), 2);
	assert_int_equal(vq_quiesce(rig->vq), 0);
	assert_int_equal(device_rig_take(rig, 0, 988), 1); /* the third is the next frame's */
	assert_int_equal(rig->frames[0].span.first, 2);
	assert_int_equal(rig->frames[0].span.count, 1);
}

static void test_mergeable_waits_for_enough(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, MRG | EVENT);

	device_rig_offer_one(rig, 0, 1000, WRITE);
	assert_int_equal(device_rig_take(rig, 0, 1500), 0);
	assert_int_equal(vq_quiesce(rig->vq), 0);
	assert_int_equal(vq_device_base(rig->vq), 0);
	assert_false(vq_arm(rig->vq, true)); /* sleep, do not spin */
	assert_int_equal(ring16(&rig->ring, *ring_avail_event(&rig->ring)), 1);
	device_rig_offer_one(rig, 1, 1000, WRITE);
	assert_true(vq_arm(rig->vq, true));
	assert_int_equal(device_rig_take(rig, 0, 1500), 1);
	assert_int_equal(rig->frames[0].span.count, 2);
	vq_untake(rig->vq, rig->frames[0].span);
	assert_true(vq_arm(rig->vq, true));
	assert_int_equal(device_rig_take(rig, 0, 988), 1);
	assert_int_equal(rig->frames[0].span.count, 1);
}

static void test_space_larger_than_any_frame(void **state)
{
	const struct virtio_net_hdr_v1 hdr = { 0 };
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, V1);

	device_rig_desc(rig, 0, BUFFERS, 0x10000, WRITE | NEXT, 1);
	device_rig_desc(rig, 1, BUFFERS + 0x10000, 0x8000, WRITE | NEXT, 2);
	device_rig_desc(rig, 2, BUFFERS + 0x18000, 0x8000, WRITE, 0);
	device_rig_offer(rig, 0);
	assert_int_equal(device_rig_take(rig, 0, FRAME_LEN_MAX + 1), 0);
	assert_int_equal(device_rig_take(rig, 0, FRAME_LEN_MAX), 1);
	assert_int_equal(rig->frames[0].len, FRAME_LEN_MAX);
	assert_int_equal(rig->iovs[0][1].iov_len + rig->iovs[0][2].iov_len, FRAME_LEN_MAX);
	vq_give(rig->vq, rig->frames[0].span, FRAME_LEN_MAX, &hdr);
	vq_flush(rig->vq);
	device_rig_used_is(rig, 0, 0, FRAME_LEN_MAX + 12);
	assert_int_equal(num_buffers(rig), 1);
}

/* ---- notifications ---- */

static void use_one(struct device_rig *rig, uint16_t id)
{
	device_rig_offer_one(rig, id, 72, 0);
	assert_int_equal(device_rig_take(rig, 0, 0), 1);
	vq_give(rig->vq, rig->frames[0].span, 0, NULL);
}

static void test_one_call_a_flush(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);
	uint16_t i;

	for (i = 0; i < 5; i++)
		use_one(rig, i);
	assert_int_equal(calls(rig), 0);
	vq_flush(rig->vq);
	assert_int_equal(calls(rig), 1);
	vq_flush(rig->vq); /* nothing new */
	assert_int_equal(calls(rig), 0);
	assert_int_equal(rig->vq->counters.kicks, 1);
	assert_int_equal(rig->vq->counters.suppressed, 0);
}

static void test_calls_by_flag(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	rig->ring.vr.avail->flags = ring16(&rig->ring, VRING_AVAIL_F_NO_INTERRUPT);
	use_one(rig, 0);
	vq_flush(rig->vq);
	assert_int_equal(calls(rig), 0);
	assert_int_equal(rig->vq->counters.suppressed, 1);
	rig->ring.vr.avail->flags = 0;
	use_one(rig, 0);
	vq_flush(rig->vq);
	assert_int_equal(calls(rig), 1);
}

/* A flush calls when it crosses the index that the driver named; the flags say nothing then. */
static void test_calls_by_event_index(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1 | EVENT);

	rig->ring.vr.avail->flags = ring16(&rig->ring, VRING_AVAIL_F_NO_INTERRUPT);
	*ring_used_event(&rig->ring) = ring16(&rig->ring, 2);
	use_one(rig, 0);
	use_one(rig, 1);
	vq_flush(rig->vq); /* 0 → 2: entry 2 is not among them */
	assert_int_equal(calls(rig), 0);
	use_one(rig, 0);
	vq_flush(rig->vq); /* 2 → 3 */
	assert_int_equal(calls(rig), 1);
	use_one(rig, 0);
	vq_flush(rig->vq); /* the wish is used up */
	assert_int_equal(calls(rig), 0);
	assert_int_equal(rig->vq->counters.kicks, 1);
	assert_int_equal(rig->vq->counters.suppressed, 2);
}

static void test_arm_by_flag(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);
	const uint16_t *flags = &rig->ring.vr.used->flags;

	assert_false(vq_arm(rig->vq, false));
	assert_int_equal(ring16(&rig->ring, *flags), VRING_USED_F_NO_NOTIFY);
	assert_false(vq_arm(rig->vq, true));
	assert_int_equal(*flags, 0);
	device_rig_offer_one(rig, 0, 72, 0);
	assert_true(vq_arm(rig->vq, true)); /* came in between */
	assert_int_equal(device_rig_take(rig, 0, 0), 1);
	assert_false(vq_arm(rig->vq, true));
}

static void test_arm_by_event_index(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1 | EVENT);
	const uint16_t *event = ring_avail_event(&rig->ring);

	assert_false(vq_arm(rig->vq, true));
	device_rig_offer_one(rig, 0, 72, 0);
	device_rig_offer_one(rig, 1, 72, 0);
	assert_true(vq_arm(rig->vq, true));
	assert_int_equal(device_rig_take(rig, 0, 0), 1);
	assert_true(vq_arm(rig->vq, true)); /* one of the two is left */
	assert_int_equal(device_rig_take(rig, 1, 0), 1);
	assert_false(vq_arm(rig->vq, true));
	assert_int_equal(ring16(&rig->ring, *event), 2);
	assert_false(vq_arm(rig->vq, false));
}

/* ---- indexes ---- */

/* A queue taken over from another device goes on where that one stopped. */
static void test_open_at_a_base(void **state)
{
	struct device_rig *rig = *state;
	struct vq_device_config c = device_rig_config(rig, VQ_CONTENT, V1);

	rig->avail_idx = c.base = 65533;
	rig->ring.vr.avail->idx = ring16(&rig->ring, 65533);
	rig->ring.vr.used->idx = ring16(&rig->ring, 65533);
	assert_int_equal(vq_device_open(&rig->vq, &rig->memory, &c), 0);
	assert_int_equal(vq_device_base(rig->vq), 65533);
	assert_int_equal(device_rig_take(rig, 0, 0), 0);
	use_one(rig, 5);
	vq_flush(rig->vq);
	device_rig_used_is(rig, 65533, 5, 0);
	assert_int_equal(device_rig_used_idx(rig), 65534);
	assert_int_equal(vq_device_base(rig->vq), 65534);
}

static void test_indexes_wrap(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1 | EVENT);
	unsigned int i;

	for (i = 0; i < 70000; i++) {
		*ring_used_event(&rig->ring) = ring16(&rig->ring, device_rig_used_idx(rig));
		use_one(rig, (uint16_t)(i % NUM));
		vq_flush(rig->vq);
	}
	assert_int_equal(rig->vq->broken, 0);
	assert_int_equal(rig->vq->counters.kicks, 70000);
	assert_int_equal(device_rig_used_idx(rig), 70000 - 65536);
	assert_int_equal(vq_quiesce(rig->vq), 0);
}

static void test_full_ring_of_heads_that_wrap(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, V1);
	const struct virtio_net_hdr_v1 hdr = { 0 };
	unsigned int turn;
	uint16_t i;

	for (turn = 0; turn < 65536 / NUM + 2; turn++) {
		for (i = 0; i < NUM; i++)
			device_rig_offer_one(rig, i, 100, WRITE);
		for (i = 0; i < NUM; i++)
			assert_int_equal(device_rig_take(rig, i, 60), 1);
		assert_int_equal(device_rig_take(rig, 0, 60), 0);
		for (i = NUM; i-- > 0;) /* newest first, against the order of the ring */
			vq_give(rig->vq, (struct span){ .first = i, .count = 1 }, 60, &hdr);
		vq_flush(rig->vq);
	}
	assert_int_equal(rig->vq->broken, 0);
	assert_int_equal(device_rig_used_idx(rig), 2 * NUM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, device_rig_setup, device_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_address_up_to_the_end_of_the_memory),
		T(test_content_in_a_chain),
		T(test_legacy_header_in_a_descriptor_of_its_own),
		T(test_content_untake_and_gives_in_any_order),
		T(test_mergeable_gathers_what_a_frame_needs),
		T(test_mergeable_shorter_than_taken),
		T(test_mergeable_waits_for_enough),
		T(test_space_larger_than_any_frame),
		T(test_one_call_a_flush),
		T(test_calls_by_flag),
		T(test_calls_by_event_index),
		T(test_arm_by_flag),
		T(test_arm_by_event_index),
		T(test_open_at_a_base),
		T(test_indexes_wrap),
		T(test_full_ring_of_heads_that_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
