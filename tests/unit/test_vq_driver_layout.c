/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a driver queue is made, and how it lays its buffers out for the peer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "ring_rig.h"
#include "virtio/vq_driver.h"

#define V1 FEATURE(F_VERSION_1)
#define MRG (V1 | FEATURE_NET(MRG_RXBUF))
#define BUFFER 4160u /* of a mergeable receive queue: an odd number of cache lines */
#define WHOLE 69696u /* of any frame: likewise */

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

static uint8_t first_byte(const struct frame *f)
{
	return *(uint8_t *)f->iov[1].iov_base;
}

static void test_open_refuses_wrong_sizes(void **state)
{
	static const uint16_t wrong[] = { 0, 1, 3, 100, 32769, 65535 };
	struct ring_rig *rig = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct vq_driver_config c = { .direction = VQ_CONTENT, .num = wrong[i] };
		struct vq *vq;

		assert_int_equal(pool_open(&rig->pool, 1 << 20, false), 0);
		assert_int_equal(vq_driver_open(&vq, &rig->pool, &c), -EINVAL);
		assert_null(vq);
		pool_close(&rig->pool);
	}
	rig->kick_fd = rig->call_fd = -1;
	vq_driver_close(NULL);
}

/* What vq_driver_size says is enough, and one page less is not. */
static void test_size_is_what_open_takes(void **state)
{
	static const uint64_t features[] = { 0, FEATURE(F_ANY_LAYOUT), V1, MRG,
					     FEATURE_NET(MRG_RXBUF) };
	struct ring_rig *rig = *state;
	size_t i;

	rig->kick_fd = rig->call_fd = -1;
	for (i = 0; i < ARRAY_SIZE(features) * 2; i++) {
		struct vq_driver_config c = {
			.direction = i % 2 ? VQ_SPACE : VQ_CONTENT,
			.num = (uint16_t)(2u << i),
			.features = features[i / 2],
		};
		struct vq *vq;

		assert_int_equal(pool_open(&rig->pool, vq_driver_size(&c), false), 0);
		assert_int_equal(vq_driver_open(&vq, &rig->pool, &c), 0);
		vq_driver_close(vq);
		pool_close(&rig->pool);
		assert_int_equal(pool_open(&rig->pool, vq_driver_size(&c) - 4096, false), 0);
		assert_int_equal(vq_driver_open(&vq, &rig->pool, &c), -ENOMEM);
		assert_null(vq);
		pool_close(&rig->pool);
	}
}

static void test_receive_buffers_are_published_by_the_first_flush(void **state)
{
	struct ring_rig *rig = *state;
	unsigned int i;

	assert_int_equal(ring_rig_open(rig, VQ_CONTENT, 8, MRG), 0);
	assert_int_equal(ring_rig_next(rig), -1);
	vq_flush(rig->vq);
	assert_int_equal(ring_rig_count(rig->kick_fd), 1);
	for (i = 0; i < 8; i++)
		assert_int_equal(ring_rig_next(rig), i);
	assert_int_equal(ring_rig_next(rig), -1);
}

/* One descriptor of @size bytes for a token, or two with the header alone in the first. */
static void check_layout(struct ring_rig *rig, unsigned int tokens, uint32_t size, uint16_t flags)
{
	const struct ring *r = &rig->ring;
	unsigned int per_token = r->vr.num / tokens;
	unsigned int t;

	for (t = 0; t < tokens; t++) {
		const struct vring_desc *d = &r->vr.desc[t * per_token];
		uint32_t len = ring32(r, d[0].len);

		if (per_token == 1) {
			assert_int_equal(ring16(r, d[0].flags), flags);
			assert_int_equal(len, size);
			continue;
		}
		assert_int_equal(ring16(r, d[0].flags), flags | VRING_DESC_F_NEXT);
		assert_int_equal(ring16(r, d[0].next), t * 2 + 1);
		assert_int_equal(len, 10);
		assert_int_equal(ring16(r, d[1].flags), flags);
		assert_int_equal(ring64(r, d[1].addr), ring64(r, d[0].addr) + 10);
		assert_int_equal(ring32(r, d[1].len), size - 10);
	}
}

static void test_layouts(void **state)
{
	static const struct {
		enum vq_direction direction;
		uint64_t features;
		unsigned int tokens, size;
	} rows[] = {
		{ VQ_CONTENT, MRG, 8, BUFFER },
		{ VQ_CONTENT, V1, 8, WHOLE },
		{ VQ_CONTENT, FEATURE_NET(MRG_RXBUF), 8, BUFFER },
		{ VQ_CONTENT, FEATURE(F_ANY_LAYOUT), 8, WHOLE },
		{ VQ_CONTENT, 0, 4, WHOLE },
		{ VQ_SPACE, MRG, 8, WHOLE },
		{ VQ_SPACE, V1, 8, WHOLE },
		{ VQ_SPACE, FEATURE(F_ANY_LAYOUT), 8, WHOLE },
		{ VQ_SPACE, 0, 4, WHOLE },
	};
	struct ring_rig *rig = *state;
	size_t i;

	assert_true(WHOLE >= FRAME_LEN_MAX + 12);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(ring_rig_open(rig, rows[i].direction, 8, rows[i].features), 0);
		check_layout(rig, rows[i].tokens, rows[i].size,
			     rows[i].direction == VQ_CONTENT ? VRING_DESC_F_WRITE : 0);
		assert_int_equal((uintptr_t)rig->ring.vr.used % 4096, 0);
		ring_rig_close(rig);
	}
}

/* Legacy: 10 bytes of header in a descriptor of its own, lengths of both together. */
static void test_legacy_receive(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, 0);
	int head;

	assert_int_equal(rig->ring.hdr_len, 10);
	assert_int_equal(ring_rig_fill(rig, 0, 60, 5), 0);
	head = ring_rig_fill(rig, 0, FRAME_LEN_MAX, 6);
	assert_int_equal(head, 2);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_int_equal(rig->frames[0].len, 60);
	assert_int_equal(first_byte(&rig->frames[0]), 5);
	assert_int_equal(ring_rig_take(rig, 1, 0), 1);
	assert_int_equal(rig->frames[1].len, FRAME_LEN_MAX);
	assert_int_equal(rig->frames[1].iovcnt, 2);
	assert_int_equal(((uint8_t *)rig->frames[1].iov[1].iov_base)[FRAME_LEN_MAX - 1], 6);
}

static void test_legacy_transmit(void **state)
{
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID,
		.csum_start = htole16(34),
		.num_buffers = htole16(7),
	};
	struct ring_rig *rig = transmit_queue(state, 8, 0);
	struct virtio_net_hdr seen;
	uint32_t len;

	assert_int_equal(ring_rig_take(rig, 0, 100), 1);
	memset(rig->frames[0].iov[1].iov_base, 9, 100);
	vq_give(rig->vq, rig->frames[0].span, 100, &hdr);
	vq_flush(rig->vq);
	assert_int_equal(ring_rig_next(rig), 0);
	memcpy(&seen, ring_rig_memory(rig, 0, &len), sizeof(seen));
	assert_int_equal(len, 10);
	assert_int_equal(seen.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM); /* 5.1.6.2: no DATA_VALID */
	assert_int_equal(seen.csum_start, 34);			   /* native */
	assert_int_equal(*ring_rig_memory(rig, 1, &len), 9);
	assert_int_equal(len, 100);
}

static void test_modern_transmit(void **state)
{
	struct virtio_net_hdr_v1 hdr = { .hdr_len = htole16(54), .num_buffers = htole16(7) };
	struct ring_rig *rig = transmit_queue(state, 8, V1);
	struct virtio_net_hdr_v1 seen;
	uint32_t len;

	assert_int_equal(ring_rig_take(rig, 0, FRAME_LEN_MAX), 1);
	assert_int_equal(rig->frames[0].len, FRAME_LEN_MAX);
	vq_give(rig->vq, rig->frames[0].span, FRAME_LEN_MAX, &hdr);
	vq_flush(rig->vq);
	memcpy(&seen, ring_rig_memory(rig, 0, &len), sizeof(seen));
	assert_int_equal(len, 12 + FRAME_LEN_MAX);
	assert_int_equal(le16toh(seen.hdr_len), 54);
	assert_int_equal(seen.num_buffers, 0);
}

/* ---- as many receive buffers as are offered ---- */

/* The peer fills whatever it has, each with its number; returns how many that were. */
static unsigned int fill_all(struct ring_rig *rig)
{
	unsigned int n;
	int head;

	for (n = 0; (head = ring_rig_fill(rig, 1, 60, 0)) >= 0; n++)
		memcpy(ring_rig_memory(rig, (uint32_t)head, NULL) + 12, &n, sizeof(n));
	ring_rig_publish(rig);
	return n;
}

static unsigned int number_of(const struct frame *f)
{
	unsigned int n;

	memcpy(&n, f->iov[1].iov_base, sizeof(n));
	return n;
}

static void take_and_give_all(struct ring_rig *rig, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		assert_int_equal(ring_rig_take(rig, 0, 0), 1);
		assert_int_equal(number_of(&rig->frames[0]), i);
		vq_give(rig->vq, rig->frames[0].span, 0, NULL);
	}
	assert_int_equal(ring_rig_take(rig, 0, 0), 0);
	vq_flush(rig->vq);
}

/* The same, but for some that are given back when others have been offered, newest first. */
static void take_all_and_keep_some(struct ring_rig *rig, unsigned int n)
{
	unsigned int i, kept = 0;

	for (i = 0; i < n; i++) {
		struct frame *f = &rig->frames[kept];

		assert_int_equal(ring_rig_take(rig, kept, 0), 1);
		assert_int_equal(number_of(f), i);
		if (i % 7 == 3 && kept < RIG_FRAMES - 1)
			kept++;
		else
			vq_give(rig->vq, f->span, 0, NULL);
	}
	vq_flush(rig->vq);
	while (kept-- > 0)
		vq_give(rig->vq, rig->frames[kept].span, 0, NULL);
	vq_flush(rig->vq);
}

static void follow_offers(void **state, uint64_t features)
{
	static const uint16_t offers[] = { 4096, 4096, 2048, 100, 4096, 2048 };
	struct ring_rig *rig = receive_queue(state, 4096, features);
	unsigned int n = fill_all(rig), i;

	assert_int_equal(n, VQ_OFFERED_LEAST);
	for (i = 0; i < ARRAY_SIZE(offers); i++) {
		rig->vq->offered = offers[i];
		take_and_give_all(rig, n);
		n = fill_all(rig);
		assert_int_equal(n, offers[i]);
	}
	for (i = 0; i < ARRAY_SIZE(offers); i++) {
		rig->vq->offered = offers[i];
		take_all_and_keep_some(rig, n);
		n = fill_all(rig);
		assert_int_equal(n, offers[i]);
	}
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	assert_int_equal(rig->vq->waiting, n);
	assert_int_equal(rig->vq->broken, 0);
}

static void test_offered(void **state)
{
	follow_offers(state, MRG);
}

static void test_offered_in_order(void **state)
{
	follow_offers(state, MRG | FEATURE(F_IN_ORDER));
}

/* Half of the buffers take turns in a ring of twice as many: soon no descriptor changes. */
static void test_descriptors_stay_in_order(void **state)
{
	struct ring_rig *rig = receive_queue(state, 4096, MRG | FEATURE(F_IN_ORDER));
	struct vring_desc *desc = rig->ring.vr.desc;
	uint64_t before[4096];
	unsigned int round, i;

	for (round = 0; round < 6; round++) {
		take_and_give_all(rig, fill_all(rig));
		for (i = 0; i < 4096 && round == 2; i++)
			before[i] = desc[i].addr;
		for (i = 0; i < 4096 && round > 2; i++)
			assert_int_equal(desc[i].addr, before[i]);
	}
	for (i = 0; i < VQ_OFFERED_LEAST; i++)
		assert_int_equal(desc[i].addr, desc[i + VQ_OFFERED_LEAST].addr);
}

/* ---- a long transmit ring ---- */

#define LONG_RING 1024
#define TRANSMIT_BUFFERS 256

/* The number in the frame whose descriptors begin with @head; legacy has the header apart. */
static uint32_t number_at(const struct ring_rig *rig, int head, uint64_t features)
{
	unsigned int hdr_len = features & V1 ? 12 : 0;
	uint32_t len, number;
	uint8_t *p = ring_rig_memory(rig, (uint32_t)head + !hdr_len, &len);

	assert_int_equal(len, hdr_len + sizeof(number));
	memcpy(&number, p + hdr_len, sizeof(number));
	return number;
}

/* Takes and gives as many frames as there are buffers, each with its number; the peer reads and
 * uses them all. @round: how often that was done before. */
static void transmit_all(struct ring_rig *rig, uint64_t features, unsigned int round)
{
	const bool in_order = features & FEATURE(F_IN_ORDER);
	const unsigned int per_token = features & V1 ? 1 : 2;
	const struct virtio_net_hdr_v1 hdr = { 0 };
	struct span spans[TRANSMIT_BUFFERS];
	unsigned int i;
	int head;

	for (i = 0; i < 3; i++) /* and changes its mind */
		assert_int_equal(ring_rig_take(rig, i, 0), 1);
	while (i > 0)
		vq_untake(rig->vq, rig->frames[--i].span);
	for (i = 0; i < TRANSMIT_BUFFERS; i++) {
		assert_int_equal(ring_rig_take(rig, 0, 0), 1);
		memcpy(rig->frames[0].iov[1].iov_base, &i, sizeof(i));
		spans[i] = rig->frames[0].span;
	}
	assert_int_equal(ring_rig_take(rig, 0, 0), 0);
	for (i = 0; i < TRANSMIT_BUFFERS; i++)
		vq_give(rig->vq, spans[i], sizeof(i), &hdr);
	vq_flush(rig->vq);
	for (i = 0; i < TRANSMIT_BUFFERS; i++) {
		head = ring_rig_next(rig);
		if (in_order)
			assert_int_equal(head, (round * TRANSMIT_BUFFERS + i) % LONG_RING);
		else
			assert_in_range(head, 0, (TRANSMIT_BUFFERS - 1) * per_token);
		assert_int_equal(number_at(rig, head, features), i);
		ring_rig_use(rig, (uint32_t)head, 0);
	}
	assert_int_equal(ring_rig_next(rig), -1);
	ring_rig_publish(rig);
}

/* A long transmit ring has fewer buffers than descriptors, in order or not. */
static void long_transmit_ring(void **state, uint64_t features)
{
	struct ring_rig *rig = transmit_queue(state, LONG_RING, features);
	unsigned int round;

	assert_int_equal(rig->vq->capacity, TRANSMIT_BUFFERS);
	assert_true(rig->pool.size < (TRANSMIT_BUFFERS + 16) * WHOLE);
	for (round = 0; round < 3 * LONG_RING / TRANSMIT_BUFFERS; round++)
		transmit_all(rig, features, round);
	assert_int_equal(rig->vq->broken, 0);
	assert_int_equal(vq_quiesce(rig->vq), 0);
}

static void test_long_transmit_ring(void **state)
{
	long_transmit_ring(state, V1);
}

static void test_long_transmit_ring_legacy(void **state)
{
	long_transmit_ring(state, 0);
}

/* A token without a buffer has never been the peer's. */
static void test_used_id_without_a_buffer(void **state)
{
	struct ring_rig *rig = transmit_queue(state, LONG_RING, V1);
	const struct virtio_net_hdr_v1 hdr = { 0 };

	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	vq_give(rig->vq, rig->frames[0].span, 60, &hdr);
	vq_flush(rig->vq);
	ring_rig_use(rig, TRANSMIT_BUFFERS, 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), -EPROTO);
}

static void test_long_transmit_ring_in_order(void **state)
{
	long_transmit_ring(state, V1 | FEATURE(F_IN_ORDER));
}

#define T(name) cmocka_unit_test_setup_teardown(name, ring_rig_setup, ring_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_open_refuses_wrong_sizes),
		T(test_size_is_what_open_takes),
		T(test_receive_buffers_are_published_by_the_first_flush),
		T(test_layouts),
		T(test_legacy_receive),
		T(test_legacy_transmit),
		T(test_modern_transmit),
		T(test_offered),
		T(test_offered_in_order),
		T(test_descriptors_stay_in_order),
		T(test_long_transmit_ring),
		T(test_long_transmit_ring_in_order),
		T(test_long_transmit_ring_legacy),
		T(test_used_id_without_a_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
