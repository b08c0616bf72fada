/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The input plays the device: it uses buffers by the rules or writes what it likes into
 * the ring and the headers. No frame may reach outside of the buffers of its queue or
 * share one with another frame in our hands.
 */
#include <vubridge/vq.h>

#include "../unit/ring_rig.h"
#include "base/util.h"
#include "fuzz.h"
#include "held.h"

#define NUM_MAX 32u

struct fuzz {
	struct input in;
	struct ring_rig rig;
	struct held held;
	uint8_t *buffers; /* behind the ring, to the end of the pool */
	uint8_t *memory[NUM_MAX]; /* of each descriptor, before anybody scribbles */
};

static void check_apart(const struct iovec *iov, const struct frame *other)
{
	const uint8_t *p = iov->iov_base;
	unsigned int i;

	for (i = 1; i < other->iovcnt; i++) {
		const uint8_t *q = other->iov[i].iov_base;

		MUST(q + other->iov[i].iov_len <= p || p + iov->iov_len <= q);
	}
}

static void check_place(const struct fuzz *z, const struct frame *f)
{
	const uint8_t *end = z->rig.pool.base + z->rig.pool.size;
	unsigned int i, k;

	for (i = 1; i < f->iovcnt; i++) {
		uint8_t *p = f->iov[i].iov_base;

		MUST(p >= z->buffers && p < end && f->iov[i].iov_len <= (size_t)(end - p));
		if (z->rig.vq->direction == VQ_SPACE)
			p[0] = p[f->iov[i].iov_len - 1] = 0xa5;
		for (k = 0; k < z->held.count; k++)
			if (z->held.frames[k] != f)
				check_apart(&f->iov[i], z->held.frames[k]);
	}
}

/* Uses the next buffer as a device does, but for what the input says of its contents. */
static void use_next(struct fuzz *z, bool first)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	uint32_t len = input16(&z->in);
	int head = ring_rig_next(&z->rig);

	if (first)
		hdr.num_buffers = ring16(&z->rig.ring, input8(&z->in));
	/* what was scribbled may have hit the available ring, too */
	if (head < 0 || head >= (int)z->rig.ring.vr.num)
		return;
	if (z->rig.vq->direction == VQ_CONTENT) {
		len %= 2049;
		if (first)
			memcpy(z->memory[head], &hdr, z->rig.ring.hdr_len);
	}
	ring_rig_use(&z->rig, (uint32_t)head, len);
	ring_rig_publish(&z->rig);
}

static void scribble_ring(struct fuzz *z)
{
	size_t size = (size_t)(z->buffers - z->rig.pool.base);

	z->rig.pool.base[input16(&z->in) % size] = input8(&z->in);
}

static void scribble_header(struct fuzz *z)
{
	size_t size = (size_t)(z->rig.pool.base + z->rig.pool.size - z->buffers);
	size_t buffer = input8(&z->in) * (size_t)2048 % size;

	input_bytes(&z->in, z->buffers + buffer, 12);
}

static void peer_move(struct fuzz *z, uint8_t op)
{
	uint32_t id;

	switch (op) {
	case 0:
		use_next(z, true);
		break;
	case 1:
		use_next(z, false);
		break;
	case 2:
		id = input32(&z->in);
		ring_rig_use(&z->rig, id, input32(&z->in));
		ring_rig_publish(&z->rig);
		break;
	case 3:
		ring_rig_publish_at(&z->rig, input16(&z->in));
		break;
	case 4:
		scribble_ring(z);
		break;
	default:
		scribble_header(z);
		break;
	}
	held_peer_moved(&z->held);
}

static void our_move(struct fuzz *z, uint8_t op)
{
	struct frame *f;
	uint8_t i;

	switch (op) {
	case 0:
	case 1:
		f = held_take(&z->held, op == 1);
		if (f)
			check_place(z, f);
		break;
	case 2:
		held_untake(&z->held);
		break;
	case 3:
		i = input8(&z->in);
		held_give(&z->held, i, input16(&z->in));
		break;
	case 4:
		vq_flush(z->rig.vq);
		z->held.empty = false;
		break;
	case 5:
		held_arm(&z->held);
		break;
	case 6:
		z->rig.vq->offered = input8(&z->in) % (z->rig.vq->capacity + 1u);
		break;
	default:
		vq_arm(z->rig.vq, false);
		break;
	}
}

static uint64_t pick_features(uint8_t b)
{
	return (b & 1 ? FEATURE(F_VERSION_1) : 0) | (b & 2 ? FEATURE_NET(MRG_RXBUF) : 0) |
	       (b & 4 ? FEATURE(RING_F_EVENT_IDX) : 0) | (b & 8 ? FEATURE(F_ANY_LAYOUT) : 0) |
	       ((b & 33) == 33 ? FEATURE(F_IN_ORDER) : 0) |
	       (b & 16 ? FEATURE_NET(GUEST_CSUM) | FEATURE_NET(GUEST_TSO4) : 0);
}

static void open_queue(struct fuzz *z)
{
	uint8_t b = input8(&z->in);
	uint16_t num = (uint16_t)(2u << input8(&z->in) % 5); /* up to NUM_MAX */
	uint16_t id;

	MUST(ring_rig_open(&z->rig, b & 128 ? VQ_SPACE : VQ_CONTENT, num, pick_features(b)) == 0);
	z->buffers = z->rig.pool.base + ALIGN_UP(vring_size(num, RING_ALIGN), RING_ALIGN);
	for (id = 0; id < num; id++)
		z->memory[id] = ring_rig_memory(&z->rig, id, NULL);
	held_init(&z->held, z->rig.vq, z->rig.ring.hdr_len, 60);
	vq_flush(z->rig.vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *z = calloc(1, sizeof(*z));

	MUST(z);
	z->in = (struct input){ data, size };
	open_queue(z);
	while (z->in.left) {
		uint8_t op = input8(&z->in);

		if (op & 8)
			peer_move(z, op % 8);
		else
			our_move(z, op % 8);
	}
	held_give_all(&z->held);
	ring_rig_close(&z->rig);
	free(z);
	return 0;
}
