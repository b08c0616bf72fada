/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plain frames taken many at once: no other ones, and with all that vq_take would check. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "ring_rig.h"

#define MRG   (FEATURE(F_VERSION_1) | FEATURE_NET(MRG_RXBUF))
#define ORDER (MRG | FEATURE(F_IN_ORDER))
#define NUM   32
#define HDR   12u

static struct ring_rig *begin(void **state, enum vq_direction direction, uint64_t features)
{
	struct ring_rig *rig = *state;

	assert_int_equal(ring_rig_open(rig, direction, NUM, features), 0);
	vq_flush(rig->vq);
	return rig;
}

/* The peer fills @n buffers with 60 bytes and more, each with its number. */
static void fill(struct ring_rig *rig, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		assert_true(ring_rig_fill(rig, 1, 60 + i, (uint8_t)i) >= 0);
	ring_rig_publish(rig);
}

/* The first frame by itself, which is a look at the ring, and plain ones behind it, up to @n. */
static unsigned int take(struct ring_rig *rig, unsigned int n)
{
	rig->takes = 0;
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	return 1 + vq_take_plain(rig->vq, rig->frames + 1, n - 1, rig->iovs[1], HDR);
}

static void assert_frame(const struct frame *f, unsigned int number)
{
	assert_int_equal(f->len, 60 + number);
	assert_int_equal(f->span.count, 1);
	assert_int_equal(f->iovcnt, 2);
	assert_ptr_equal(f->iov[0].iov_base, &f->hdr);
	assert_int_equal(f->iov[0].iov_len, HDR);
	assert_int_equal(f->iov[1].iov_len, f->len);
	assert_int_equal(*(uint8_t *)f->iov[1].iov_base, number);
}

/* ---- all that come ---- */

static void give(struct ring_rig *rig, unsigned int i)
{
	vq_give(rig->vq, rig->frames[i].span, 0, NULL);
}

/* Takes, untakes, takes again, and gives back in another order, around the ring. */
static void take_rounds(struct ring_rig *rig)
{
	unsigned int round, i;

	for (round = 0; round < 6500; round++) { /* the indexes wrap */
		fill(rig, 11);
		assert_int_equal(take(rig, RIG_FRAMES), 11);
		for (i = 11; i-- > 3;)
			vq_untake(rig->vq, rig->frames[i].span);
		assert_int_equal(vq_quiesce(rig->vq), 3);
		for (i = 3; i < 11; i++)
			assert_int_equal(ring_rig_take(rig, i, 0), 1);
		for (i = 0; i < 11; i++)
			assert_frame(&rig->frames[i], i);
		assert_int_equal(vq_quiesce(rig->vq), 11);
		for (i = 0; i < 11; i++)
			give(rig, i * 7 % 11);
		assert_int_equal(vq_quiesce(rig->vq), 0);
		vq_flush(rig->vq);
	}
	assert_int_equal(rig->vq->broken, 0);
}

static void test_rounds(void **state)
{
	take_rounds(begin(state, VQ_CONTENT, MRG));
}

/* Besides, the peer has the descriptors in its cache: none may change. */
static void test_rounds_in_order(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, ORDER);
	struct vring_desc before[NUM];

	memcpy(before, rig->ring.vr.desc, sizeof(before));
	take_rounds(rig);
	assert_memory_equal(before, rig->ring.vr.desc, sizeof(before));
}

/* What was checked is a copy: the peer may write its own afterwards. */
static void test_private_header(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);
	int i;

	fill(rig, 3);
	assert_int_equal(take(rig, 3), 3);
	for (i = 0; i < 3; i++)
		memset(ring_rig_memory(rig, (uint32_t)i, NULL), 0xff, HDR);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rig->frames[i].hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(rig->frames[i].hdr.flags, 0);
	}
}

/* Up to what is asked for, and what was there at the last look. */
static void test_no_more_than_asked_for(void **state)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, MRG);

	fill(rig, 6);
	assert_int_equal(vq_take_plain(rig->vq, rig->frames, 6, rig->iovs[0], HDR), 0);
	assert_int_equal(take(rig, 4), 4);
	fill(rig, 1);
	assert_int_equal(vq_take_plain(rig->vq, rig->frames, 9, rig->iovs[0], HDR), 2);
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
}

/* ---- up to one that is not plain ---- */

/* The header that the peer put before its last frame, which is not told yet. */
static struct virtio_net_hdr_v1 *last_header(struct ring_rig *rig, int head)
{
	return (struct virtio_net_hdr_v1 *)(void *)ring_rig_memory(rig, (uint32_t)head, NULL);
}

/* Three plain frames before what the peer has put behind them; then vq_take finds @error. */
static void assert_stops(struct ring_rig *rig, int error)
{
	ring_rig_publish(rig);
	assert_int_equal(take(rig, RIG_FRAMES), 3);
	assert_int_equal(vq_take_plain(rig->vq, rig->frames + 3, 9, rig->iovs[3], HDR), 0);
	rig->takes = 0;
	assert_int_equal(ring_rig_take(rig, 3, 0), error ? error : 1);
	assert_int_equal(vq_quiesce(rig->vq), error ? 3 : 3 + rig->frames[3].span.count);
}

static struct ring_rig *begin_with_three(void **state, uint64_t features)
{
	struct ring_rig *rig = begin(state, VQ_CONTENT, features | FEATURE_NET(GUEST_CSUM));

	fill(rig, 3);
	return rig;
}

static void test_group(void **state)
{
	struct ring_rig *rig = begin_with_three(state, MRG);

	assert_true(ring_rig_fill(rig, 2, 100, 7) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(take(rig, RIG_FRAMES), 3);
	assert_int_equal(ring_rig_take(rig, 3, 0), 0); /* incomplete */
	assert_int_equal(vq_take_plain(rig->vq, rig->frames + 3, 9, rig->iovs[3], HDR), 0);
	assert_false(vq_arm(rig->vq, true));
	assert_true(ring_rig_fill_more(rig, 100, 7) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 3, 0), 1);
	assert_int_equal(rig->frames[3].len, 200);
	assert_int_equal(rig->frames[3].span.count, 2);
}

static void test_header_that_says_something(void **state)
{
	struct ring_rig *rig = begin_with_three(state, MRG);

	last_header(rig, ring_rig_fill(rig, 1, 100, 7))->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	assert_stops(rig, 0);
	assert_int_equal(rig->frames[3].hdr.flags, VIRTIO_NET_HDR_F_DATA_VALID);
}

static void test_header_alone(void **state)
{
	struct ring_rig *rig = begin_with_three(state, MRG);

	assert_true(ring_rig_fill(rig, 1, 0, 7) >= 0);
	assert_stops(rig, 0);
	assert_int_equal(rig->frames[3].len, 0);
}

static void test_no_buffers(void **state)
{
	struct ring_rig *rig = begin_with_three(state, MRG);

	assert_true(ring_rig_fill(rig, 0, 100, 7) >= 0);
	assert_stops(rig, -EPROTO);
}

static void use_another(void **state, uint64_t features, uint32_t id, uint32_t len)
{
	struct ring_rig *rig = begin_with_three(state, features);

	assert_int_equal(ring_rig_fill(rig, 1, 100, 7), 3);
	rig->used_idx--;
	ring_rig_use(rig, id, len);
	assert_stops(rig, -EPROTO);
}

static void test_id_out_of_range(void **state)
{
	use_another(state, MRG, NUM, HDR + 60);
}

static void test_id_repeated(void **state)
{
	use_another(state, MRG, 1, HDR + 60);
}

static void test_id_out_of_order(void **state)
{
	use_another(state, ORDER, 5, HDR + 60);
}

static void test_too_long(void **state)
{
	use_another(state, MRG, 3, 4160 + 1);
}

static void test_too_short(void **state)
{
	use_another(state, MRG, 3, HDR - 1);
}

/* One entry for all that are left, in a ring in order: what it does not tell is not read. */
static void test_batch_in_order(void **state)
{
	struct ring_rig *rig = begin_with_three(state, ORDER);
	uint16_t at = rig->used_idx;
	unsigned int i;

	for (i = 3; i < 6; i++)
		assert_int_equal(ring_rig_fill(rig, 1, 60, (uint8_t)i), i);
	rig->used_idx = at;
	ring_rig_use(rig, 5, HDR + 60);
	ring_rig_use(rig, 0xdeadbeef, 0xdeadbeef);
	ring_rig_use(rig, 0xdeadbeef, 0xdeadbeef);
	assert_stops(rig, 0);
	for (i = 4; i < 6; i++) {
		assert_int_equal(vq_take_plain(rig->vq, rig->frames, 9, rig->iovs[0], HDR), 0);
		assert_int_equal(ring_rig_take(rig, i, 0), 1);
		assert_int_equal(*(uint8_t *)rig->frames[i].iov[1].iov_base, i);
	}
	fill(rig, 2);
	assert_int_equal(take(rig, 9), 2); /* and on it goes */
}

/* ---- rings that have no such way ---- */

static void take_none(void **state, enum vq_direction direction, uint64_t features)
{
	struct ring_rig *rig = begin(state, direction, features);

	if (direction == VQ_CONTENT)
		fill(rig, 2);
	rig->takes = 0;
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_int_equal(vq_take_plain(rig->vq, rig->frames + 1, 1, rig->iovs[1], HDR), 0);
	rig->takes = 0;
	assert_int_equal(ring_rig_take(rig, 1, 0), 1);
}

static void test_other_rings(void **state)
{
	static const uint64_t features[] = {0, FEATURE_NET(MRG_RXBUF), FEATURE(F_VERSION_1),
					    FEATURE(F_VERSION_1) | FEATURE(F_IN_ORDER)};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		take_none(state, VQ_CONTENT, features[i]);
		ring_rig_close(*state);
	}
	take_none(state, VQ_SPACE, MRG);
}

#define T(name) cmocka_unit_test_setup_teardown(name, ring_rig_setup, ring_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_rounds),		 T(test_rounds_in_order),
		T(test_private_header),	 T(test_no_more_than_asked_for),
		T(test_group),		 T(test_header_that_says_something),
		T(test_header_alone),	 T(test_no_buffers),
		T(test_id_out_of_range), T(test_id_repeated),
		T(test_id_out_of_order), T(test_too_long),
		T(test_too_short),	 T(test_batch_in_order),
		T(test_other_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
