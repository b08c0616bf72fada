/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A token is a descriptor chain, named by its head. The driver is the peer here and
 * is not trusted: each descriptor is read once, into private memory, before it is
 * checked and used; its address is translated for the whole length or refused.
 *
 * Frames for the driver (VQ_SPACE) take as many chains as they need when the
 * buffers are mergeable, and one otherwise. What each chain can hold is remembered
 * by its head, to share the length out when the frame is given.
 *
 * With VIRTIO_F_IN_ORDER (2.7.9) chains are used in the order in which they were made
 * available: what is given before its turn waits.
 */
#include "virtio/vq_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/feature.h"
#include "virtio/ring.h"
#include "virtio/vnet_hdr.h"

struct chain {
	uint16_t next;     /* in its span */
	bool taken;        /* a driver must not offer a head twice */
	uint32_t capacity; /* bytes, header included */
	uint8_t *hdr;      /* where the virtio-net header lies, if it is the span's first */
	bool given;        /* IN_ORDER: waits for those before it */
	uint32_t len;      /* to be told when it is used */
};

struct vq_device {
	struct vq vq;
	struct ring ring;
	const struct vq_device_memory *memory;
	struct vnet_hdr_rules rules;
	bool mergeable;
	bool in_order;
	bool batches; /* one used entry stands for all that are used at a time */

	uint16_t avail_idx;  /* next available entry to read */
	uint16_t avail_seen; /* the driver's index when last looked at, checked */
	uint16_t used_idx;   /* next used entry to write */
	uint16_t used_flushed;
	uint16_t done_idx; /* IN_ORDER: available entry of the next chain to be used */
	uint16_t taken;
	bool withheld; /* SPACE: what is available is not enough for a frame */

	struct chain *chains; /* [num], by head */
	uint16_t *order;      /* [num], IN_ORDER: heads by their available entry */
};

static struct vq_device *to_device(struct vq *vq)
{
	return container_of(vq, struct vq_device, vq);
}

static int __attribute__((cold)) broken(struct vq_device *d, int error, const char *why,
					uint32_t value)
{
	if (!d->vq.broken) {
		d->vq.why = why;
		d->vq.why_value = value;
		d->vq.broken = error;
	}
	return d->vq.broken;
}

static void *translate_guest(const struct vq_device_memory *m, uint64_t addr, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < m->count; i++) {
		const struct vq_device_region *r = &m->regions[i];
		uint64_t offset = addr - r->guest_phys_addr;

		if (addr >= r->guest_phys_addr && offset < r->size && len <= r->size - offset)
			return r->base + offset;
	}
	return NULL;
}

static void *translate_user(const struct vq_device_memory *m, uint64_t addr, uint64_t len,
			    uint64_t align)
{
	unsigned int i;

	for (i = 0; i < m->count; i++) {
		const struct vq_device_region *r = &m->regions[i];
		uint64_t offset = addr - r->userspace_addr;

		/* aligned here, that is: the driver says where its regions start */
		if (addr >= r->userspace_addr && offset < r->size && len <= r->size - offset)
			return (uintptr_t)(r->base + offset) % align ? NULL : r->base + offset;
	}
	return NULL;
}

static int look_at_avail(struct vq_device *d)
{
	uint16_t idx = ring16(&d->ring, load_acquire16(&d->ring.vr.avail->idx)); /* A */

	if (unlikely((uint16_t)(idx - d->avail_idx) > d->ring.vr.num))
		return broken(d, -EPROTO, "available index jumped to", idx);
	d->avail_seen = idx;
	return 0;
}

/* Adds descriptor @id to the frame; returns the next one's number, -1 at the end. */
static int add_descriptor(struct vq_device *d, struct frame *f, uint16_t id, uint32_t skip,
			  struct chain *chain)
{
	const struct vring_desc *desc = &d->ring.vr.desc[id];
	uint64_t addr = ring64(&d->ring, load_once64(&desc->addr));
	uint32_t len = ring32(&d->ring, load_once32(&desc->len));
	uint16_t flags = ring16(&d->ring, load_once16(&desc->flags));
	uint16_t next = ring16(&d->ring, load_once16(&desc->next));
	bool write = flags & VRING_DESC_F_WRITE;
	uint8_t *p;

	if (unlikely(flags & VRING_DESC_F_INDIRECT))
		return broken(d, -EPROTO, "indirect descriptor that was not negotiated", id);
	if (unlikely(write != (d->vq.direction == VQ_SPACE)))
		return broken(d, -EPROTO, "descriptor of the wrong direction", id);
	p = translate_guest(d->memory, addr, len);
	if (unlikely(!p || len == 0))
		return broken(d, -EFAULT, "descriptor outside the shared memory", id);
	if (skip) {
		if (unlikely(len < skip))
			return broken(d, -EPROTO, "descriptor too short for the header", id);
		chain->hdr = p;
	}
	if (unlikely(len - skip > FRAME_LEN_MAX - f->len)) {
		if (!write)
			return broken(d, -EPROTO, "frame longer than any may be, in chain", id);
		len = skip + FRAME_LEN_MAX - f->len; /* no frame needs more room */
	}
	chain->capacity += len;
	if (len > skip) {
		if (unlikely(f->iovcnt == f->iovmax))
			return broken(d, -E2BIG, "frame scattered over too many descriptors", id);
		f->iov[f->iovcnt].iov_base = p + skip;
		f->iov[f->iovcnt].iov_len = len - skip;
		f->iovcnt++;
		f->len += len - skip;
	}
	if (!(flags & VRING_DESC_F_NEXT))
		return -1;
	if (unlikely(next >= d->ring.vr.num))
		return broken(d, -EPROTO, "descriptor out of range", next);
	return next;
}

/* Adds the next available chain to the frame; 0 or -errno. */
static int take_chain(struct vq_device *d, struct frame *f, uint16_t *last)
{
	uint16_t head = ring16(&d->ring, load_once16(&d->ring.vr.avail->ring[d->avail_idx &
									    d->ring.mask]));
	struct chain *chain;
	uint32_t skip = f->span.count ? 0 : d->ring.hdr_len;
	uint32_t steps;
	int id = head;

	if (unlikely(head >= d->ring.vr.num))
		return broken(d, -EPROTO, "available head out of range", head);
	chain = &d->chains[head];
	if (unlikely(chain->taken))
		return broken(d, -EPROTO, "available head offered twice", head);
	*chain = (struct chain){ 0 };
	for (steps = 0; id >= 0; steps++, skip = 0) {
		if (unlikely(steps == d->ring.vr.num))
			return broken(d, -ELOOP, "descriptor chain without end from", head);
		id = add_descriptor(d, f, (uint16_t)id, skip, chain);
		if (unlikely(d->vq.broken))
			return d->vq.broken;
	}
	chain->taken = true;
	d->order[d->avail_idx & d->ring.mask] = head;
	d->avail_idx++;
	d->taken++;
	if (f->span.count++)
		d->chains[*last].next = head;
	else
		f->span.first = head;
	*last = head;
	return 0;
}

/* Something available? 1, 0 or -errno. */
static int available(struct vq_device *d)
{
	if (d->avail_idx == d->avail_seen && look_at_avail(d))
		return d->vq.broken;
	return d->avail_idx != d->avail_seen;
}

static void start_frame(struct frame *f)
{
	f->iovcnt = 1;
	f->len = 0;
	f->span.count = 0;
}

static void swap_hdr(const struct vq_device *d, struct virtio_net_hdr_v1 *h)
{
	if (d->ring.little)
		return;
	h->hdr_len = htole16(h->hdr_len);
	h->gso_size = htole16(h->gso_size);
	h->csum_start = htole16(h->csum_start);
	h->csum_offset = htole16(h->csum_offset);
	h->num_buffers = htole16(h->num_buffers);
}

static void untake(struct vq *vq, struct span span)
{
	struct vq_device *d = to_device(vq);
	uint16_t head = span.first;
	uint16_t i;

	for (i = 0; i < span.count; i++, head = d->chains[head].next)
		d->chains[head].taken = false;
	d->avail_idx = (uint16_t)(d->avail_idx - span.count);
	d->taken = (uint16_t)(d->taken - span.count);
	d->withheld = false;
}

static int take_content(struct vq *vq, uint32_t min_bytes __attribute__((unused)), struct frame *f)
{
	struct vq_device *d = to_device(vq);
	uint16_t last = 0;
	const char *why;
	int r = vq->broken ? vq->broken : available(d);

	if (r <= 0)
		return r;
	start_frame(f);
	if (take_chain(d, f, &last))
		return vq->broken;
	memcpy(&f->hdr, d->chains[f->span.first].hdr, d->ring.hdr_len);
	f->hdr.num_buffers = 0;
	swap_hdr(d, &f->hdr);
	why = vnet_hdr_check(&d->rules, &f->hdr, f->len);
	if (unlikely(why)) {
		untake(vq, f->span);
		return broken(d, -EPROTO, why, f->len);
	}
	return 1;
}

/* Adds one more chain to a frame that is short of room: 1, 0 when there is none, -errno. */
static int gather(struct vq_device *d, struct frame *f, uint16_t *last)
{
	int r = d->vq.broken ? d->vq.broken : available(d);

	if (unlikely(f->span.count && !d->mergeable))
		return broken(d, -EMSGSIZE, "receive buffer too small, of bytes", f->len);
	if (r <= 0)
		return r;
	return take_chain(d, f, last) ? d->vq.broken : 1;
}

static int take_space(struct vq *vq, uint32_t min_bytes, struct frame *f)
{
	struct vq_device *d = to_device(vq);
	uint16_t last = 0;
	int r;

	if (min_bytes > FRAME_LEN_MAX)
		return vq->broken;
	start_frame(f);
	do {
		r = gather(d, f, &last);
	} while (r > 0 && f->len < min_bytes);
	if (r <= 0)
		untake(vq, f->span);
	d->withheld = r == 0;
	return r;
}

static void write_used(struct vq_device *d, uint16_t head, uint32_t len)
{
	struct vring_used_elem *e = &d->ring.vr.used->ring[d->used_idx & d->ring.mask];

	store_once32(&e->id, ring32(&d->ring, head));
	store_once32(&e->len, ring32(&d->ring, len));
}

/* Uses what was given, as far as no chain before it is missing. */
static void use_in_order(struct vq_device *d)
{
	uint16_t batch = 0;

	while (d->done_idx != d->avail_idx) {
		uint16_t head = d->order[d->done_idx & d->ring.mask];
		struct chain *chain = &d->chains[head];

		if (!chain->given)
			break;
		chain->given = chain->taken = false;
		/* of a batch the first place has the last one's entry, the others none */
		write_used(d, head, chain->len);
		d->done_idx++;
		batch++;
		if (!d->batches) {
			d->used_idx++;
			batch = 0;
		}
	}
	d->used_idx = (uint16_t)(d->used_idx + batch);
}

static void push_used(struct vq_device *d, uint16_t head, uint32_t len)
{
	struct chain *chain = &d->chains[head];

	d->taken--;
	if (d->in_order) {
		chain->len = len;
		chain->given = true;
		if (!d->batches) /* else all that a flush finds are one */
			use_in_order(d);
		return;
	}
	write_used(d, head, len);
	d->used_idx++;
	chain->taken = false;
}

static void give_content(struct vq *vq, struct span span, uint32_t len __attribute__((unused)),
			 const struct virtio_net_hdr_v1 *hdr __attribute__((unused)))
{
	push_used(to_device(vq), span.first, 0);
}

/* How many chains of @span the @total bytes (header included) reach into. */
static uint16_t chains_filled(const struct vq_device *d, struct span span, uint32_t total)
{
	uint16_t head = span.first;
	uint16_t n = 1;

	while (n < span.count && total > d->chains[head].capacity) {
		total -= d->chains[head].capacity;
		head = d->chains[head].next;
		n++;
	}
	return n;
}

static void give_space(struct vq *vq, struct span span, uint32_t len,
		       const struct virtio_net_hdr_v1 *hdr)
{
	struct vq_device *d = to_device(vq);
	uint32_t left = len + d->ring.hdr_len;
	uint16_t filled = chains_filled(d, span, left);
	struct virtio_net_hdr_v1 h = *hdr;
	uint16_t head = span.first;
	uint16_t i, next;

	h.num_buffers = htole16(filled);
	swap_hdr(d, &h);
	memcpy(d->chains[head].hdr, &h, d->ring.hdr_len);
	for (i = 0; i < filled; i++, head = next) {
		uint32_t part = MIN(left, d->chains[head].capacity);

		next = d->chains[head].next;
		push_used(d, head, part);
		left -= part;
	}
	if (filled < span.count) /* see the header: these are the newest */
		untake(vq, (struct span){ .first = head,
					 .count = (uint16_t)(span.count - filled) });
}

static void flush(struct vq *vq)
{
	struct vq_device *d = to_device(vq);
	struct ring *r = &d->ring;
	const uint64_t one = 1;
	uint16_t old = d->used_flushed;
	bool wanted;

	if (d->batches)
		use_in_order(d);
	if (d->used_idx == old)
		return;
	store_release16(&r->vr.used->idx, ring16(r, d->used_idx)); /* B */
	d->used_flushed = d->used_idx;
	full_barrier(); /* D */
	if (r->event_idx)
		wanted = vring_need_event(ring16(r, load_once16(ring_used_event(r))), d->used_idx,
					  old);
	else
		wanted = !(ring16(r, load_once16(&r->vr.avail->flags)) &
			   VRING_AVAIL_F_NO_INTERRUPT);
	if (!wanted)
		count_add(&vq->counters.suppressed, 1);
	else if (write(vq->notify_fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN)
		count_add(&vq->counters.kicks, 1);
}

static bool arm(struct vq *vq, bool on)
{
	struct vq_device *d = to_device(vq);
	struct ring *r = &d->ring;

	if (!on) {
		if (!r->event_idx)
			store_once16(&r->vr.used->flags, ring16(r, VRING_USED_F_NO_NOTIFY));
		return false;
	}
	if (r->event_idx)
		store_once16(ring_avail_event(r), ring16(r, d->avail_seen));
	else
		store_once16(&r->vr.used->flags, 0);
	full_barrier(); /* C */
	if (d->avail_idx != d->avail_seen && !d->withheld)
		return true;
	return ring16(r, load_once16(&r->vr.avail->idx)) != d->avail_seen;
}

static int quiesce(struct vq *vq)
{
	return to_device(vq)->taken;
}

static const struct vq_ops content_ops = {
	.take = take_content,
	.untake = untake,
	.give = give_content,
	.flush = flush,
	.arm = arm,
	.quiesce = quiesce,
};

static const struct vq_ops space_ops = {
	.take = take_space,
	.untake = untake,
	.give = give_space,
	.flush = flush,
	.arm = arm,
	.quiesce = quiesce,
};

static int map_ring(struct vq_device *d, const struct vq_device_config *c)
{
	size_t num = c->num;
	struct vring *vr = &d->ring.vr;

	vr->num = c->num;
	vr->desc = translate_user(d->memory, c->desc, num * sizeof(*vr->desc), 16);
	vr->avail = translate_user(d->memory, c->avail, sizeof(*vr->avail) + (num + 1) * 2, 2);
	vr->used = translate_user(d->memory, c->used,
				  sizeof(*vr->used) + num * sizeof(vr->used->ring[0]) + 2, 4);
	return vr->desc && vr->avail && vr->used ? 0 : -EFAULT;
}

int vq_device_open(struct vq **out, const struct vq_device_memory *memory,
		   const struct vq_device_config *c)
{
	struct vq_device *d;
	int r;

	*out = NULL;
	if (c->num < RING_NUM_MIN || c->num > RING_NUM_MAX || c->num & (c->num - 1))
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->memory = memory;
	d->chains = calloc(c->num, sizeof(*d->chains));
	d->order = calloc(c->num, sizeof(*d->order));
	r = d->chains && d->order ? map_ring(d, c) : -ENOMEM;
	if (r) {
		vq_device_close(&d->vq);
		return r;
	}
	d->vq.ops = c->direction == VQ_CONTENT ? &content_ops : &space_ops;
	d->vq.direction = c->direction;
	d->vq.index = c->index;
	d->vq.notify_fd = c->call_fd;
	d->vq.notified_fd = c->kick_fd;
	d->ring.mask = (uint16_t)(c->num - 1);
	d->ring.little = feature_has(c->features, VIRTIO_F_VERSION_1);
	d->ring.event_idx = feature_has(c->features, VIRTIO_RING_F_EVENT_IDX);
	d->ring.hdr_len = feature_hdr_len(c->features);
	d->rules = vnet_hdr_rules_from_driver(c->features);
	d->mergeable = feature_has(c->features, VIRTIO_NET_F_MRG_RXBUF);
	d->in_order = feature_has(c->features, VIRTIO_F_IN_ORDER);
	d->batches = d->in_order && c->batches && c->direction == VQ_CONTENT;
	d->vq.capacity = c->num;
	d->avail_idx = d->avail_seen = d->done_idx = c->base;
	d->used_idx = d->used_flushed = ring16(&d->ring, load_acquire16(&d->ring.vr.used->idx));
	*out = &d->vq;
	return 0;
}

void vq_device_close(struct vq *vq)
{
	struct vq_device *d;

	if (!vq)
		return;
	d = to_device(vq);
	free(d->chains);
	free(d->order);
	free(d);
}

uint16_t vq_device_base(const struct vq *vq)
{
	return container_of(vq, const struct vq_device, vq)->avail_idx;
}
