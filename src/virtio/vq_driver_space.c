/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The transmit queue: frames go into buffers that the peer gives back when it has read them. */
#include "virtio/vq_driver_ring.h"

/* In order all tokens up to the used index are done with: their entries say nothing more. */
static void reclaim_in_order(struct vq_driver *d)
{
	uint16_t token;

	while (d->used_idx != d->used_seen) {
		token = token_at(d, d->used_idx);
		consume(d, token, TOKEN_FREE);
		d->free[d->nfree++] = d->buffer[token];
	}
}

static void reclaim(struct vq_driver *d)
{
	d->reclaimed = true;
	if (look_at_used(d))
		return;
	if (d->in_order) {
		reclaim_in_order(d);
		return;
	}
	while (d->used_idx != d->used_seen) {
		struct used_entry u = { 0 };

		if (unlikely(read_used(d, &u)))
			return;
		consume(d, u.token, TOKEN_FREE);
		d->free[d->nfree++] = u.token;
	}
}

/* The next token: the warmest one, or in order the next one with the warmest buffer. */
static uint16_t next_token(struct vq_driver *d)
{
	uint16_t warmest = d->free[--d->nfree];
	uint16_t token = warmest;

	if (d->in_order)
		token = token_at(d, d->take_idx++);
	d->buffer[token] = warmest;
	return token;
}

static int take_space(struct vq *vq, uint32_t min_bytes, struct frame *f)
{
	struct vq_driver *d = to_driver(vq);
	uint32_t room = MIN(d->buf_size - d->ring.hdr_len, FRAME_LEN_MAX);
	uint16_t token;

	/* a full ring is looked at each time: no flush follows a take that found nothing */
	if (!vq->broken && (!d->reclaimed || d->nfree == 0))
		reclaim(d);
	if (unlikely(vq->broken))
		return vq->broken;
	if (d->nfree == 0 || min_bytes > room)
		return 0;
	token = next_token(d);
	d->state[token] = TOKEN_TAKEN;
	d->taken++;
	f->span = (struct span){ .first = token, .count = 1 };
	f->len = room;
	f->iovcnt = 2;
	f->iov[1].iov_base = buffer_of(d, token) + d->ring.hdr_len;
	f->iov[1].iov_len = f->len;
	return 1;
}

static void untake_space(struct vq *vq, struct span span)
{
	struct vq_driver *d = to_driver(vq);

	d->state[span.first] = TOKEN_FREE;
	d->free[d->nfree++] = d->buffer[span.first];
	d->take_idx--;
	d->taken--;
}

static void copy_hdr_out(const struct vq_driver *d, uint8_t *to,
			 const struct virtio_net_hdr_v1 *hdr)
{
	struct virtio_net_hdr_v1 h = *hdr;

	/* 5.1.6.2: a driver sends no DATA_VALID (the kernel may say so) and num_buffers 0 */
	h.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h.num_buffers = 0;
	if (!d->ring.little) {
		h.hdr_len = le16toh(h.hdr_len);
		h.gso_size = le16toh(h.gso_size);
		h.csum_start = le16toh(h.csum_start);
		h.csum_offset = le16toh(h.csum_offset);
	}
	memcpy(to, &h, d->ring.hdr_len);
}

static void give_space(struct vq *vq, struct span span, uint32_t len,
		       const struct virtio_net_hdr_v1 *hdr)
{
	struct vq_driver *d = to_driver(vq);
	uint16_t token = span.first;
	struct vring_desc *desc = &d->ring.vr.desc[token << d->shift];

	copy_hdr_out(d, buffer_of(d, token), hdr);
	if (d->per_token == 2)
		store_once32(&desc[1].len, ring32(&d->ring, len));
	else
		store_once32(&desc[0].len, ring32(&d->ring, d->ring.hdr_len + len));
	d->taken--;
	if (!d->in_order) {
		expose(d, token);
		return;
	}
	follow_buffer(d, token);
	d->state[token] = TOKEN_GIVEN;
	expose_in_order(d);
}

static bool arm_space(struct vq *vq, bool on)
{
	struct vq_driver *d = to_driver(vq);
	struct ring *r = &d->ring;

	if (!on) {
		if (!r->event_idx)
			store_once16(&r->vr.avail->flags, ring16(r, VRING_AVAIL_F_NO_INTERRUPT));
		return false;
	}
	/* one call for many finished frames, not one for each */
	if (r->event_idx)
		store_once16(ring_used_event(r),
			     ring16(r, (uint16_t)(d->used_idx + d->outstanding / 2)));
	else
		store_once16(&r->vr.avail->flags, 0);
	full_barrier(); /* D */
	d->reclaimed = false;
	return d->nfree > 0 ||
	       (uint16_t)(ring16(r, load_once16(&r->vr.used->idx)) - d->used_idx) >
		       d->outstanding / 2;
}

const struct vq_ops vq_driver_space_ops = {
	.take = take_space,
	.untake = untake_space,
	.give = give_space,
	.flush = vq_driver_flush,
	.arm = arm_space,
	.quiesce = vq_driver_quiesce,
};
