/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A queue owns a fixed number of tokens. A token is one buffer in shared memory
 * with the one or two descriptors that describe it (two where the legacy layout
 * wants the header in a descriptor of its own, 2.7.4.3 and 5.1.6.6); token t always
 * has the same descriptors and the same buffer, so that nothing the peer writes to
 * the descriptor table can mislead us: we never read it.
 *
 * A token is in one place at a time:
 *
 *        SPACE: alloc / CONTENT: consume used entry
 *   FREE ───────────────► TAKEN ───── give ─────► AVAIL (the peer's)
 *    ▲                      │ untake                 │
 *    └──────────────────────┴──── SPACE: reclaim ────┘
 *
 * (CONTENT has no FREE: its tokens go from AVAIL to TAKEN and back.) The peer's word
 * that it has used a token is only believed for tokens that are AVAIL.
 *
 * A span is a list of tokens linked by next[]. Buffers of a transmit queue are
 * taken last in, first out: the next frame goes where the cache is warm.
 */
#include "virtio/vq_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/feature.h"
#include "virtio/ring.h"
#include "virtio/vnet_hdr.h"

enum token_state { TOKEN_FREE, TOKEN_TAKEN, TOKEN_AVAIL };

/* A mergeable receive buffer: one holds any frame of the usual MTU. */
#define MERGEABLE_BUFFER 2048u
/* A buffer for any frame at all: whole pages, so that short frames touch one. */
#define WHOLE_BUFFER ALIGN_UP(FRAME_LEN_MAX + sizeof(struct virtio_net_hdr_v1), 4096u)

struct vq_driver {
	struct vq vq;
	struct ring ring;
	struct vnet_hdr_rules rules;
	bool mergeable; /* frames may span several buffers */

	uint16_t tokens;   /* how many there are */
	uint8_t per_token; /* descriptors each: 1 or 2 */
	uint32_t buf_size; /* bytes each, header included */
	uint8_t *buffers;

	uint16_t avail_idx;     /* next available entry to write */
	uint16_t avail_flushed; /* index the peer knows */
	uint16_t used_idx;      /* next used entry to read */
	uint16_t used_seen;     /* the peer's index when last looked at, checked */
	uint16_t outstanding;   /* tokens AVAIL */
	uint16_t taken;         /* tokens TAKEN */
	uint16_t nfree;         /* tokens in free[] */
	bool withheld;          /* an incomplete mergeable group is next */
	bool reclaimed;         /* looked for finished tokens since the last flush */

	uint8_t *state; /* [tokens] */
	uint16_t *next; /* [tokens], links of a span */
	uint16_t *free; /* [tokens], stack */
};

static struct vq_driver *to_driver(struct vq *vq)
{
	return container_of(vq, struct vq_driver, vq);
}

/* The peer broke the rules: remember the first time, yield nothing more. */
static int __attribute__((cold)) broken(struct vq_driver *d, int error, const char *why,
					uint32_t value)
{
	if (!d->vq.broken) {
		d->vq.why = why;
		d->vq.why_value = value;
		d->vq.broken = error;
	}
	return d->vq.broken;
}

static uint8_t *token_buffer(const struct vq_driver *d, uint16_t token)
{
	return d->buffers + (size_t)token * d->buf_size;
}

/* Reads the peer's used index [B] and checks it: it can only have used what it was given. */
static int look_at_used(struct vq_driver *d)
{
	uint16_t idx = ring16(&d->ring, load_acquire16(&d->ring.vr.used->idx));

	if (unlikely((uint16_t)(idx - d->used_idx) > d->outstanding))
		return broken(d, -EPROTO, "used index jumped to", idx);
	if (unlikely((uint16_t)(idx - d->used_idx) < (uint16_t)(d->used_seen - d->used_idx)))
		return broken(d, -EPROTO, "used index went back to", idx);
	d->used_seen = idx;
	return 0;
}

/* A used entry as it was when it was read, once, and checked. */
struct used_entry {
	uint16_t token;
	uint32_t len; /* bytes written, by the peer's account */
};

/* Reads the next used entry; 0 or -errno. */
static int read_used(struct vq_driver *d, struct used_entry *u)
{
	const struct vring_used_elem *e = &d->ring.vr.used->ring[d->used_idx & d->ring.mask];
	uint32_t id = ring32(&d->ring, load_once32(&e->id));

	if (unlikely(id / d->per_token >= d->tokens || id % d->per_token))
		return broken(d, -EPROTO, "used id out of range", id);
	u->token = (uint16_t)(id / d->per_token);
	u->len = ring32(&d->ring, load_once32(&e->len));
	if (unlikely(d->state[u->token] != TOKEN_AVAIL))
		return broken(d, -EPROTO, "used id that the peer did not hold", id);
	return 0;
}

static void consume(struct vq_driver *d, uint16_t token, enum token_state state)
{
	d->state[token] = (uint8_t)state;
	d->used_idx++;
	d->outstanding--;
}

/* Makes @token available; the peer learns of it at the next flush. */
static void expose(struct vq_driver *d, uint16_t token)
{
	uint16_t head = (uint16_t)(token * d->per_token);

	d->state[token] = TOKEN_AVAIL;
	store_once16(&d->ring.vr.avail->ring[d->avail_idx & d->ring.mask], ring16(&d->ring, head));
	d->avail_idx++;
	d->outstanding++;
}

/* ---- receive: content ---- */

static void copy_hdr_in(const struct vq_driver *d, const uint8_t *from,
			struct virtio_net_hdr_v1 *hdr)
{
	hdr->num_buffers = 0;
	memcpy(hdr, from, d->ring.hdr_len);
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
		return broken(d, -EPROTO, "frame scattered over too many buffers", f->span.count);
	f->iov[f->iovcnt++] = (struct iovec){ .iov_base = base, .iov_len = len };
	f->len += len;
	if (unlikely(f->len > FRAME_LEN_MAX))
		return broken(d, -EPROTO, "frame longer than any may be", f->len);
	return 0;
}

/* Reads the next used entry, of a buffer with at least @min bytes in it; 0 or -errno. */
static int read_filled(struct vq_driver *d, uint32_t min, struct used_entry *u)
{
	if (unlikely(read_used(d, u)))
		return d->vq.broken;
	if (unlikely(u->len > d->buf_size))
		return broken(d, -EPROTO, "used length beyond the buffer", u->len);
	if (unlikely(u->len < min))
		return broken(d, -EPROTO, "used length too short", u->len);
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
	return u->len > skip ? add_iov(d, f, token_buffer(d, u->token) + skip, u->len - skip) : 0;
}

/* How many buffers the frame that begins with @u spans; 0: not all are there yet. */
static int group_size(struct vq_driver *d, const struct used_entry *u,
		      struct virtio_net_hdr_v1 *hdr)
{
	uint16_t n;

	copy_hdr_in(d, token_buffer(d, u->token), hdr);
	if (!d->mergeable)
		return 1;
	n = le16toh(hdr->num_buffers);
	if (unlikely(n == 0 || n > d->outstanding))
		return broken(d, -EPROTO, "header with a wrong number of buffers", n);
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
	why = vnet_hdr_check(&d->rules, &f->hdr, f->len);
	if (unlikely(why))
		return broken(d, -EPROTO, why, f->len);
	return 1;
}

static int take_content(struct vq *vq, uint32_t min_bytes __attribute__((unused)), struct frame *f)
{
	struct vq_driver *d = to_driver(vq);
	struct used_entry u;
	int n;

	if (unlikely(vq->broken))
		return vq->broken;
	if (d->used_idx == d->used_seen && look_at_used(d))
		return vq->broken;
	if (d->used_idx == d->used_seen)
		return 0;
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

static void give_content(struct vq *vq, struct span span,
			 uint32_t len __attribute__((unused)),
			 const struct virtio_net_hdr_v1 *hdr __attribute__((unused)))
{
	struct vq_driver *d = to_driver(vq);
	uint16_t token = span.first;
	uint16_t i, next;

	for (i = 0; i < span.count; i++, token = next) {
		next = d->next[token];
		expose(d, token);
	}
	d->taken = (uint16_t)(d->taken - span.count);
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

/* ---- transmit: space ---- */

static void reclaim(struct vq_driver *d)
{
	d->reclaimed = true;
	if (look_at_used(d))
		return;
	while (d->used_idx != d->used_seen) {
		struct used_entry u;

		if (unlikely(read_used(d, &u)))
			return;
		consume(d, u.token, TOKEN_FREE);
		d->free[d->nfree++] = u.token;
	}
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
	token = d->free[--d->nfree];
	d->state[token] = TOKEN_TAKEN;
	d->taken++;
	f->span = (struct span){ .first = token, .count = 1 };
	f->len = room;
	f->iovcnt = 2;
	f->iov[1].iov_base = token_buffer(d, token) + d->ring.hdr_len;
	f->iov[1].iov_len = f->len;
	return 1;
}

static void untake_space(struct vq *vq, struct span span)
{
	struct vq_driver *d = to_driver(vq);

	d->state[span.first] = TOKEN_FREE;
	d->free[d->nfree++] = span.first;
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
	struct vring_desc *desc = &d->ring.vr.desc[token * d->per_token];

	copy_hdr_out(d, token_buffer(d, token), hdr);
	if (d->per_token == 2)
		store_once32(&desc[1].len, ring32(&d->ring, len));
	else
		store_once32(&desc[0].len, ring32(&d->ring, d->ring.hdr_len + len));
	d->taken--;
	expose(d, token);
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

/* ---- both ---- */

static bool peer_wants_kick(const struct vq_driver *d, uint16_t old)
{
	const struct ring *r = &d->ring;

	if (r->event_idx)
		return vring_need_event(ring16(r, load_once16(ring_avail_event(r))), d->avail_idx,
					old);
	return !(ring16(r, load_once16(&r->vr.used->flags)) & VRING_USED_F_NO_NOTIFY);
}

static void flush(struct vq *vq)
{
	struct vq_driver *d = to_driver(vq);
	const uint64_t one = 1;
	uint16_t old = d->avail_flushed;

	d->reclaimed = false;
	if (d->avail_idx == old)
		return;
	store_release16(&d->ring.vr.avail->idx, ring16(&d->ring, d->avail_idx)); /* A */
	d->avail_flushed = d->avail_idx;
	full_barrier(); /* C */
	if (!peer_wants_kick(d, old)) {
		count_add(&vq->counters.suppressed, 1);
		return;
	}
	/* EAGAIN: the counter is full, so the peer is being woken as it is */
	if (write(vq->notify_fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN)
		count_add(&vq->counters.kicks, 1);
}

static int quiesce(struct vq *vq)
{
	return to_driver(vq)->taken;
}

static const struct vq_ops content_ops = {
	.take = take_content,
	.untake = untake_content,
	.give = give_content,
	.flush = flush,
	.arm = arm_content,
	.quiesce = quiesce,
};

static const struct vq_ops space_ops = {
	.take = take_space,
	.untake = untake_space,
	.give = give_space,
	.flush = flush,
	.arm = arm_space,
	.quiesce = quiesce,
};

/* ---- life ---- */

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

size_t vq_driver_size(const struct vq_driver_config *c)
{
	size_t tokens = c->num / descriptors_per_token(c);

	return ALIGN_UP(vring_size(c->num, RING_ALIGN), RING_ALIGN) + tokens * buffer_size(c);
}

static void describe(struct vq_driver *d, const struct pool *pool, uint16_t token)
{
	struct ring *r = &d->ring;
	struct vring_desc *desc = &r->vr.desc[token * d->per_token];
	uint64_t addr = pool_guest_addr(pool, token_buffer(d, token));
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

/* Every receive token goes to the peer, every transmit token to the stack. */
static void fill(struct vq_driver *d, const struct pool *pool)
{
	uint16_t t;

	for (t = 0; t < d->tokens; t++) {
		describe(d, pool, t);
		if (d->vq.direction == VQ_CONTENT)
			expose(d, t);
		else
			d->free[d->nfree++] = (uint16_t)(d->tokens - 1 - t);
	}
}

static int allocate(struct vq_driver *d, struct pool *pool, uint16_t num)
{
	void *memory = pool_alloc(pool, vring_size(num, RING_ALIGN), RING_ALIGN);

	d->buffers = pool_alloc(pool, (size_t)d->tokens * d->buf_size, RING_ALIGN);
	d->state = calloc(d->tokens, sizeof(*d->state));
	d->next = calloc(d->tokens, sizeof(*d->next));
	d->free = calloc(d->tokens, sizeof(*d->free));
	if (!memory || !d->buffers || !d->state || !d->next || !d->free)
		return -ENOMEM;
	vring_init(&d->ring.vr, num, memory, RING_ALIGN);
	return 0;
}

int vq_driver_open(struct vq **out, struct pool *pool, const struct vq_driver_config *c)
{
	struct vq_driver *d;

	*out = NULL;
	if (c->num < RING_NUM_MIN || c->num > RING_NUM_MAX || c->num & (c->num - 1))
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->vq.ops = c->direction == VQ_CONTENT ? &content_ops : &space_ops;
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
	d->per_token = descriptors_per_token(c);
	d->tokens = (uint16_t)(c->num / d->per_token);
	d->vq.capacity = d->tokens;
	d->buf_size = buffer_size(c);
	if (allocate(d, pool, c->num)) {
		vq_driver_close(&d->vq);
		return -ENOMEM;
	}
	fill(d, pool);
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
	free(d);
}

void vq_driver_get_addrs(const struct vq *vq, struct vq_driver_addrs *addrs)
{
	const struct vq_driver *d = container_of(vq, const struct vq_driver, vq);

	addrs->desc = d->ring.vr.desc;
	addrs->avail = d->ring.vr.avail;
	addrs->used = d->ring.vr.used;
}
