/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The receive queue: frames come out of buffers that the peer has filled. */
#include "virtio/vq_driver_ring.h"

static void copy_hdr_in(const struct vq_driver *d, const uint8_t *from,
			struct virtio_net_hdr_v1 *hdr)
{
	/* of a length that the compiler knows */
	if (likely(d->ring.hdr_len == sizeof(*hdr))) {
		memcpy(hdr, from, sizeof(*hdr));
	} else {
		hdr->num_buffers = 0;
		memcpy(hdr, from, sizeof(struct virtio_net_hdr));
	}
	if (!d->ring.little) {
		hdr->hdr_len = htole16(hdr->hdr_len);
		hdr->gso_size = htole16(hdr->gso_size);
		hdr->csum_start = htole16(hdr->csum_start);
		hdr->csum_offset = htole16(hdr->csum_offset);
		hdr->num_buffers = htole16(hdr->num_buffers);
	}
}

static int add_iov(struct vq_driver *d, struct frame *f, uint8_t *base, uint32_t len)
{
	if (unlikely(f->iovcnt == f->iovmax))
		return vq_driver_broken(d, -EPROTO, "frame scattered over too many buffers",
					f->span.count);
	f->iov[f->iovcnt++] = (struct iovec){ .iov_base = base, .iov_len = len };
	f->len += len;
	if (unlikely(f->len > FRAME_LEN_MAX))
		return vq_driver_broken(d, -EPROTO, "frame longer than any may be", f->len);
	return 0;
}

/*
 * Reads a used entry that may stand for a batch: its id is that of the batch's last buffer,
 * and those before it have been filled (2.7.9). The next entry is as far behind it as the
 * batch is long; what stands between them is of no meaning.
 */
static int read_batch(struct vq_driver *d)
{
	const struct vring_used_elem *e = &d->ring.vr.used->ring[d->read_idx & d->ring.mask];
	uint32_t id = ring32(&d->ring, load_once32(&e->id));
	uint16_t more = (uint16_t)(id - token_at(d, d->read_idx)) & (uint16_t)(d->tokens - 1);

	if (unlikely(id >= d->tokens))
		return vq_driver_broken(d, -EPROTO, "used id out of range", id);
	if (unlikely(more >= (uint16_t)(d->used_seen - d->read_idx)))
		return vq_driver_broken(d, -EPROTO, "used id out of order", id);
	for (; more; more--)
		d->used_len[token_at(d, d->read_idx++)] = d->buf_size;
	d->used_len[token_at(d, d->read_idx++)] = ring32(&d->ring, load_once32(&e->len));
	return 0;
}

/* The next used buffer is the next in order; its entry may have been read before. */
static int read_in_order(struct vq_driver *d, struct used_entry *u)
{
	if (d->read_idx == d->used_idx && read_batch(d))
		return d->vq.broken;
	u->token = token_at(d, d->used_idx);
	u->len = d->used_len[u->token];
	return 0;
}

/*
 * The peer's processor has what it wrote: the first lines of a buffer come over while those
 * before it are worked on. Whatever an entry says is only a hint here.
 */
#define AHEAD 4u

static void prefetch(const struct vq_driver *d)
{
	uint16_t idx = (uint16_t)(d->used_idx + AHEAD);
	uint32_t id = ring32(&d->ring, load_once32(&d->ring.vr.used->ring[idx & d->ring.mask].id));
	const uint8_t *p = buffer_of(d, (uint16_t)(id >> d->shift) & (d->tokens - 1));

	__builtin_prefetch(p);
	__builtin_prefetch(p + CACHE_LINE);
}

/* Reads the next used entry, of a buffer with at least @min bytes in it; 0 or -errno. */
static int read_filled(struct vq_driver *d, uint32_t min, struct used_entry *u)
{
	if (unlikely(d->in_order ? read_in_order(d, u) : read_used(d, u)))
		return d->vq.broken;
	if (unlikely(u->len > d->buf_size))
		return vq_driver_broken(d, -EPROTO, "used length beyond the buffer", u->len);
	if (unlikely(u->len < min))
		return vq_driver_broken(d, -EPROTO, "used length too short", u->len);
	return 0;
}

/* Adds the next used buffer to the frame; the first one begins with the header. */
static int take_buffer(struct vq_driver *d, struct frame *f, const struct used_entry *u,
		       uint16_t *last)
{
	uint32_t skip = f->span.count ? 0 : d->ring.hdr_len;

	consume(d, u->token, TOKEN_TAKEN);
	d->taken++;
	if (f->span.count++)
		d->next[*last] = u->token;
	else
		f->span.first = u->token;
	*last = u->token;
	return u->len > skip ? add_iov(d, f, buffer_of(d, u->token) + skip, u->len - skip) : 0;
}

/* How many buffers the frame that begins with @u spans; 0: not all are there yet. */
static int group_size(struct vq_driver *d, const struct used_entry *u,
		      struct virtio_net_hdr_v1 *hdr)
{
	uint16_t n;

	copy_hdr_in(d, buffer_of(d, u->token), hdr);
	if (!d->mergeable)
		return 1;
	n = le16toh(hdr->num_buffers);
	if (unlikely(n == 0 || n > d->outstanding))
		return vq_driver_broken(d, -EPROTO, "header with a wrong number of buffers", n);
	/* the rest may have come since the last look */
	if (n > (uint16_t)(d->used_seen - d->used_idx) && look_at_used(d))
		return d->vq.broken;
	return n <= (uint16_t)(d->used_seen - d->used_idx) ? n : 0;
}

/* Takes the @n used buffers of one frame, from @u on, its header copied already. */
static int take_group(struct vq_driver *d, struct frame *f, struct used_entry *u, int n)
{
	const char *why;
	uint16_t last = 0;
	int i;

	f->iovcnt = 1;
	f->len = 0;
	f->span.count = 0;
	for (i = 0; i < n; i++)
		if ((i && read_filled(d, 1, u)) || take_buffer(d, f, u, &last))
			return d->vq.broken;
	if (likely(vnet_hdr_is_empty(&f->hdr)))
		return 1;
	why = vnet_hdr_check(&d->rules, &f->hdr, f->len);
	if (unlikely(why))
		return vq_driver_broken(d, -EPROTO, why, f->len);
	return 1;
}

static int take_content(struct vq *vq, uint32_t min_bytes __attribute__((unused)), struct frame *f)
{
	struct vq_driver *d = to_driver(vq);
	struct used_entry u;
	int n;

	if (unlikely(vq->broken))
		return vq->broken;
	if (d->used_idx == d->used_seen) {
		if (look_at_used(d))
			return vq->broken;
		vq->waiting = d->used_seen - d->used_idx;
		if (!vq->waiting)
			return 0;
	}
	prefetch(d);
	if (read_filled(d, d->ring.hdr_len, &u))
		return vq->broken;
	n = group_size(d, &u, &f->hdr);
	d->withheld = n == 0;
	if (n <= 0)
		return n;
	n = take_group(d, f, &u, n);
	if (unlikely(n < 0)) /* nobody will give the broken frame back */
		d->taken = (uint16_t)(d->taken - f->span.count);
	return n;
}

/* Spans come back newest first, so the used entries need only be read again. */
static void untake_content(struct vq *vq, struct span span)
{
	struct vq_driver *d = to_driver(vq);
	uint16_t token = span.first;
	uint16_t i;

	for (i = 0; i < span.count; i++, token = d->next[token])
		d->state[token] = TOKEN_AVAIL;
	d->used_idx = (uint16_t)(d->used_idx - span.count);
	d->outstanding = (uint16_t)(d->outstanding + span.count);
	d->taken = (uint16_t)(d->taken - span.count);
	d->withheld = false; /* what is next now was complete */
}

/* Gives free buffers to the peer, up to what it is offered; those last given first. */
static inline void offer(struct vq_driver *d)
{
	while (d->nfree > 0 && d->outstanding + d->taken < d->vq.offered) {
		uint16_t token = d->in_order ? token_at(d, d->avail_idx) : d->free[d->nfree - 1];

		if (d->state[token] != TOKEN_FREE) /* it is still taken, and its turn (2.7.9) */
			return;
		d->buffer[token] = d->free[--d->nfree];
		if (d->in_order)
			follow_buffer(d, token);
		expose(d, token);
	}
}

static void give_content(struct vq *vq, struct span span,
			 uint32_t len __attribute__((unused)),
			 const struct virtio_net_hdr_v1 *hdr __attribute__((unused)))
{
	struct vq_driver *d = to_driver(vq);
	uint16_t token = span.first;
	uint16_t i, next;

	for (i = 0; i < span.count; i++, token = next) {
		next = d->next[token];
		d->state[token] = TOKEN_FREE;
		d->free[d->nfree++] = d->buffer[token];
	}
	d->taken = (uint16_t)(d->taken - span.count);
	offer(d);
}

static bool arm_content(struct vq *vq, bool on)
{
	struct vq_driver *d = to_driver(vq);
	struct ring *r = &d->ring;

	if (!on) {
		/* with EVENT_IDX a wish is used up by its call: nothing to withdraw */
		if (!r->event_idx)
			store_once16(&r->vr.avail->flags, ring16(r, VRING_AVAIL_F_NO_INTERRUPT));
		return false;
	}
	if (r->event_idx)
		store_once16(ring_used_event(r), ring16(r, d->used_seen));
	else
		store_once16(&r->vr.avail->flags, 0);
	full_barrier(); /* D */
	if (d->used_idx != d->used_seen && !d->withheld)
		return true;
	return ring16(r, load_once16(&r->vr.used->idx)) != d->used_seen;
}

const struct vq_ops vq_driver_content_ops = {
	.take = take_content,
	.untake = untake_content,
	.give = give_content,
	.flush = vq_driver_flush,
	.arm = arm_content,
	.quiesce = vq_driver_quiesce,
};
