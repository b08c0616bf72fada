/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A queue owns a fixed number of tokens. A token is the one or two descriptors of a
 * buffer in shared memory (two where the legacy layout wants the header in a descriptor
 * of its own, 2.7.4.3 and 5.1.6.6); token t always has the same descriptors, and we
 * remember its buffer, so that nothing the peer writes to the descriptor table can
 * mislead us: we never read it.
 *
 * A token is in one place at a time:
 *
 *   SPACE:    FREE ── take ──► TAKEN ── give ──► AVAIL (the peer's) ── reclaim ──► FREE
 *   CONTENT:  AVAIL (the peer's) ── take ──► TAKEN ── give ──► AVAIL, or FREE until it is offered
 *
 * and back from TAKEN by untake. The peer's word that it has used a token is only believed
 * for tokens that are AVAIL. Of the buffers of a receive queue the peer has as many as it is
 * offered: with few of them each stays in the cache until it has been read.
 *
 * A span is a list of tokens linked by next[]. Free buffers are used last in, first
 * out (but for those of a receive queue in order): the next frame goes where the cache is
 * warm. A long transmit queue has fewer of them than tokens: those beyond are not used, unless
 * it is in order.
 *
 * With VIRTIO_F_IN_ORDER (2.7.9) tokens become available, and are used, in the order of the
 * descriptor table, so that a token's number follows from an index. What is given to a transmit
 * queue before its turn waits (GIVEN). Buffers are then no longer tied to tokens, which take
 * turns: each frame would go where the cache is coldest. Of a transmit queue the next token has
 * the warmest buffer; of a receive queue as many buffers as are offered take turns, too. The used
 * entries of a transmit queue need not be read at all; those of a receive queue may stand for a
 * batch.
 */
#include "virtio/vq_driver.h"

#include <stdlib.h>

#include "virtio/vq_driver_ring.h"

/*
 * Buffers are an odd number of cache lines long: at a distance of a power of two the first
 * lines of all of them, which is where headers are, would share a few sets of the cache.
 *
 * A mergeable receive buffer holds any frame of the usual MTU, and a sixteenth of the longest
 * superframe: with smaller ones few of these would fill a ring.
 */
#define MERGEABLE_BUFFER (4096u + CACHE_LINE)
/* A buffer for any frame at all. */
#define WHOLE_BUFFER                                                                              \
	(ALIGN_UP(FRAME_LEN_MAX + sizeof(struct virtio_net_hdr_v1), 4096u) + CACHE_LINE)
/*
 * A transmit queue has no more of them than this, however long its ring: a backend that locks its
 * memory (OVS-DPDK as its scripts start it, testpmd) has all of them resident.
 */
#define TRANSMIT_BUFFERS 256u

/* Legacy devices without ANY_LAYOUT want the header alone, but not of mergeable buffers. */
static uint8_t descriptors_per_token(const struct vq_driver_config *c)
{
	if (c->features & (FEATURE(F_VERSION_1) | FEATURE(F_ANY_LAYOUT)))
		return 1;
	if (c->direction == VQ_CONTENT && feature_has(c->features, VIRTIO_NET_F_MRG_RXBUF))
		return 1;
	return 2;
}

static uint32_t buffer_size(const struct vq_driver_config *c)
{
	if (c->direction == VQ_CONTENT && feature_has(c->features, VIRTIO_NET_F_MRG_RXBUF))
		return MERGEABLE_BUFFER;
	return WHOLE_BUFFER;
}

static uint16_t count_buffers(const struct vq_driver_config *c)
{
	uint16_t tokens = c->num / descriptors_per_token(c);

	return c->direction == VQ_CONTENT ? tokens : (uint16_t)MIN(tokens, TRANSMIT_BUFFERS);
}

size_t vq_driver_size(const struct vq_driver_config *c)
{
	return ALIGN_UP(vring_size(c->num, RING_ALIGN), RING_ALIGN) +
	       ALIGN_UP((size_t)count_buffers(c) * buffer_size(c), RING_ALIGN);
}

static void describe(struct vq_driver *d, uint16_t token)
{
	struct ring *r = &d->ring;
	struct vring_desc *desc = &r->vr.desc[token * d->per_token];
	uint64_t addr = guest_addr_of(d, token);
	uint16_t flags = d->vq.direction == VQ_CONTENT ? VRING_DESC_F_WRITE : 0;
	uint32_t head = d->per_token == 2 ? d->ring.hdr_len : d->buf_size;

	desc[0].addr = ring64(r, addr);
	desc[0].len = ring32(r, head);
	desc[0].flags = ring16(r, flags);
	if (d->per_token == 1)
		return;
	desc[0].flags = ring16(r, flags | VRING_DESC_F_NEXT);
	desc[0].next = ring16(r, (uint16_t)(token * 2 + 1));
	desc[1].addr = ring64(r, addr + head);
	desc[1].len = ring32(r, d->buf_size - head);
	desc[1].flags = ring16(r, flags);
}

/*
 * Receive buffers that are offered go to the peer, all others wait. Where buffers are fewer
 * than tokens, only IN_ORDER uses all tokens, and then with the buffer of the moment.
 */
static void fill(struct vq_driver *d)
{
	uint16_t t, b;

	for (t = 0; t < d->tokens; t++) {
		d->buffer[t] = t % d->vq.capacity;
		describe(d, t);
	}
	for (t = 0; t < d->vq.offered; t++) {
		d->held[t] = true;
		expose(d, t);
	}
	if (d->in_order && d->vq.direction == VQ_CONTENT)
		return;
	for (b = d->vq.capacity; b > d->vq.offered; b--)
		d->free[d->nfree++] = (uint16_t)(b - 1);
}

static int allocate(struct vq_driver *d, struct pool *pool, uint16_t num)
{
	void *memory = pool_alloc(pool, vring_size(num, RING_ALIGN), RING_ALIGN);

	d->buffers = pool_alloc(pool, (size_t)d->vq.capacity * d->buf_size, RING_ALIGN);
	d->state = alloc_lines(d->tokens * sizeof(*d->state));
	d->next = alloc_lines(d->tokens * sizeof(*d->next));
	d->free = alloc_lines(d->vq.capacity * sizeof(*d->free));
	d->buffer = alloc_lines(d->tokens * sizeof(*d->buffer));
	d->held = alloc_lines(d->vq.capacity * sizeof(*d->held));
	d->used_len = alloc_lines(d->tokens * sizeof(*d->used_len));
	if (!memory || !d->buffers || !d->state || !d->next || !d->free || !d->buffer ||
	    !d->held || !d->used_len)
		return -ENOMEM;
	d->guest_base = pool_guest_addr(pool, d->buffers);
	vring_init(&d->ring.vr, num, memory, RING_ALIGN);
	return 0;
}

int vq_driver_open(struct vq **out, struct pool *pool, const struct vq_driver_config *c)
{
	struct vq_driver *d;

	*out = NULL;
	if (c->num < RING_NUM_MIN || c->num > RING_NUM_MAX || c->num & (c->num - 1))
		return -EINVAL;
	/* which needs it (6.1), as a token of two descriptors would not be in order */
	if (feature_has(c->features, VIRTIO_F_IN_ORDER) &&
	    !feature_has(c->features, VIRTIO_F_VERSION_1))
		return -EINVAL;
	d = alloc_lines(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->vq.ops = c->direction == VQ_CONTENT ? &vq_driver_content_ops :
						   &vq_driver_space_ops;
	d->vq.direction = c->direction;
	d->vq.index = c->index;
	d->vq.notify_fd = c->kick_fd;
	d->vq.notified_fd = c->call_fd;
	d->ring.mask = (uint16_t)(c->num - 1);
	d->ring.little = feature_has(c->features, VIRTIO_F_VERSION_1);
	d->ring.event_idx = feature_has(c->features, VIRTIO_RING_F_EVENT_IDX);
	d->ring.hdr_len = feature_hdr_len(c->features);
	d->rules = vnet_hdr_rules_from_device(c->features);
	d->mergeable = feature_has(c->features, VIRTIO_NET_F_MRG_RXBUF);
	d->in_order = feature_has(c->features, VIRTIO_F_IN_ORDER);
	d->plain = d->ring.little && d->mergeable;
	d->per_token = descriptors_per_token(c);
	d->shift = d->per_token - 1;
	d->tokens = (uint16_t)(c->num / d->per_token);
	d->vq.capacity = count_buffers(c);
	if (c->direction == VQ_CONTENT)
		d->vq.offered = (uint16_t)MIN(d->vq.capacity, VQ_OFFERED_LEAST);
	d->buf_size = buffer_size(c);
	if (allocate(d, pool, c->num)) {
		vq_driver_close(&d->vq);
		return -ENOMEM;
	}
	fill(d);
	*out = &d->vq;
	return 0;
}

void vq_driver_close(struct vq *vq)
{
	struct vq_driver *d;

	if (!vq)
		return;
	d = to_driver(vq);
	free(d->state);
	free(d->next);
	free(d->free);
	free(d->buffer);
	free(d->held);
	free(d->used_len);
	free(d);
}

void vq_driver_get_addrs(const struct vq *vq, struct vq_driver_addrs *addrs)
{
	const struct vq_driver *d = container_of(vq, const struct vq_driver, vq);

	addrs->desc = d->ring.vr.desc;
	addrs->avail = d->ring.vr.avail;
	addrs->used = d->ring.vr.used;
}
