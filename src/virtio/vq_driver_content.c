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
	f->iov[f->iovcnt++] = (struct iovec){.iov_base = base, .iov_len = len};
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

static inline void prefetch_lines(const uint8_t *p)
{
	__builtin_prefetch(p);
	__builtin_prefetch(p + CACHE_LINE);
}

static void prefetch(const struct vq_driver *d)
{
	uint16_t idx = (uint16_t)(d->used_idx + AHEAD);
	uint32_t id = ring32(&d->ring, load_once32(&d->ring.vr.used->ring[idx & d->ring.mask].id));

	prefetch_lines(buffer_of(d, (uint16_t)(id >> d->shift) & (d->tokens - 1)));
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

/* ---- taking many at once ---- */

/* What take_plain reads again for each frame, side by side. */
struct plain {
	const struct vring_used_elem *used;
	uint8_t *buffers, *state;
	const uint16_t *buffer;
	uint32_t *used_len;
	size_t buf_size;
	uint16_t mask; /* tokens are as many as entries */
	bool in_order;
};

static inline uint8_t *plain_buffer(const struct plain *r, uint32_t token)
{
	return r->buffers + r->buffer[token] * r->buf_size;
}

/* As prefetch(), and for the same reason. */
static inline void prefetch_plain(const struct plain *r, uint16_t idx)
{
	uint32_t id = le32toh(load_once32(&r->used[idx & r->mask].id));

	prefetch_lines(plain_buffer(r, id & r->mask));
}

/* Takes the buffer at @idx if it is a plain frame: all that take_content would check. */
static inline bool take_one_plain(const struct plain *r, uint16_t idx, struct frame *f,
				  struct iovec *iov, uint8_t hdr_len)
{
	const struct vring_used_elem *e = &r->used[idx & r->mask];
	uint32_t id = le32toh(load_once32(&e->id));
	uint32_t len = le32toh(load_once32(&e->len));
	uint8_t *p;

	if (unlikely(id > r->mask || r->state[id] != TOKEN_AVAIL || len > r->buf_size ||
		     len <= sizeof(f->hdr) || (r->in_order && id != (idx & r->mask))))
		return false;
	p = plain_buffer(r, id);
	memcpy(&f->hdr, p, sizeof(f->hdr));
	if (unlikely(!vnet_hdr_is_empty(&f->hdr) || f->hdr.num_buffers != htole16(1)))
		return false;
	r->state[id] = TOKEN_TAKEN;
	if (r->in_order)
		r->used_len[id] = len; /* for read_in_order, after an untake */
	f->len = len - (uint32_t)sizeof(f->hdr);
	f->span = (struct span){.first = (uint16_t)id, .count = 1};
	f->iovcnt = f->iovmax = 2;
	f->iov = iov;
	iov[0] = (struct iovec){.iov_base = &f->hdr, .iov_len = hdr_len};
	iov[1] = (struct iovec){.iov_base = p + sizeof(f->hdr), .iov_len = f->len};
	return true;
}

/* Among what the last look found; whatever is not plain, or wrong, is left to take_content. */
static unsigned int take_plain(struct vq *vq, struct frame *frames, unsigned int n,
			       struct iovec *iov, uint8_t hdr_len)
{
	struct vq_driver *d = to_driver(vq);
	const struct plain r = {
		.used = d->ring.vr.used->ring,
		.buffers = d->buffers,
		.state = d->state,
		.buffer = d->buffer,
		.used_len = d->used_len,
		.buf_size = d->buf_size,
		.mask = d->ring.mask,
		.in_order = d->in_order,
	};
	uint16_t idx = d->used_idx;
	unsigned int i;

	/* in the midst of a batch that one entry stands for there are no others to read */
	if (!d->plain || (d->in_order && d->read_idx != idx) || unlikely(vq->broken))
		return 0;
	n = MIN(n, (unsigned int)(uint16_t)(d->used_seen - idx));
	for (i = 0; i < n; i++, idx++, iov += 2) {
		prefetch_plain(&r, (uint16_t)(idx + AHEAD));
		if (!take_one_plain(&r, idx, &frames[i], iov, hdr_len))
			break;
	}
	d->used_idx = idx;
	if (d->in_order)
		d->read_idx = idx;
	d->outstanding = (uint16_t)(d->outstanding - i);
	d->taken = (uint16_t)(d->taken + i);
	d->withheld = d->withheld && i == 0;
	return i;
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

/* ---- giving back, in any order ---- */

/*
 * IN_ORDER tokens take turns, and buffers with them: as many as are offered (at least two), or the
 * power of two above, so that each comes back to the same tokens, and their descriptors, which the
 * peer has in its cache, stay as they are. They change only with what is offered.
 */
static inline uint16_t buffer_in_turn(const struct vq_driver *d, uint16_t token)
{
	unsigned int bits = 32u - (unsigned int)__builtin_clz((d->vq.offered - 1u) | 1u);

	return token & (uint16_t)((1u << bits) - 1);
}

/* Whether the next in turn could be offered: it, or its buffer, may still be taken (2.7.9). */
static inline bool offer_in_order(struct vq_driver *d)
{
	uint16_t token = token_at(d, d->avail_idx);
	uint16_t buffer = buffer_in_turn(d, token);

	if (d->state[token] != TOKEN_FREE || d->held[buffer])
		return false;
	d->held[buffer] = true;
	if (unlikely(d->buffer[token] != buffer)) {
		d->buffer[token] = buffer;
		follow_buffer(d, token);
	}
	expose(d, token);
	return true;
}

static inline bool has_enough(const struct vq_driver *d)
{
	return d->outstanding + d->taken >= d->vq.offered;
}

static void give_in_order(struct vq_driver *d, struct span span)
{
	uint16_t token = span.first;
	uint16_t i;

	for (i = 0; i < span.count; i++, token = d->next[token]) {
		d->state[token] = TOKEN_FREE;
		d->held[d->buffer[token]] = false;
	}
	while (!has_enough(d) && offer_in_order(d))
		;
}

static void give_any(struct vq_driver *d, struct span span)
{
	uint16_t token = span.first;
	uint16_t i;

	for (i = 0; i < span.count; i++, token = d->next[token]) {
		if (likely(!has_enough(d))) {
			expose(d, token);
		} else {
			d->state[token] = TOKEN_FREE;
			d->free[d->nfree++] = token;
		}
	}
	/* more are offered than before */
	while (!has_enough(d) && d->nfree > 0)
		expose(d, d->free[--d->nfree]);
}

static void give_content(struct vq *vq, struct span span, uint32_t len __attribute__((unused)),
			 const struct virtio_net_hdr_v1 *hdr __attribute__((unused)))
{
	struct vq_driver *d = to_driver(vq);

	d->taken = (uint16_t)(d->taken - span.count);
	if (d->in_order)
		give_in_order(d, span);
	else
		give_any(d, span);
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
	.take_plain = take_plain,
	.untake = untake_content,
	.give = give_content,
	.flush = vq_driver_flush,
	.arm = arm_content,
	.quiesce = vq_driver_quiesce,
};
