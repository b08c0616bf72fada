/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frames that a fuzz target has taken, and the promises of vq.h that hold whatever
 * the peer does. Spans go back by the caller's rules: untaken newest first, and not
 * once a newer one has been given.
 */
#ifndef HELD_H
#define HELD_H

#include <vubridge/vq.h>

#include "fuzz.h"

#define HELD_MAX 8u

struct held {
	struct vq *vq;
	uint32_t min_bytes;
	size_t hdr_len;
	struct frame *frames[HELD_MAX]; /* oldest first */
	unsigned int count;
	unsigned int frozen; /* so many of the oldest can only be given */
	bool empty;          /* the last take found nothing, and nothing has happened since */
	bool fresh;          /* the peer has done nothing since the last take */
	struct frame pool[HELD_MAX];
	struct iovec iovs[HELD_MAX][FRAME_IOV_MAX];
};

static inline void held_init(struct held *h, struct vq *vq, size_t hdr_len, uint32_t min_bytes)
{
	unsigned int i;

	memset(h, 0, sizeof(*h));
	h->vq = vq;
	h->hdr_len = hdr_len;
	h->min_bytes = min_bytes;
	for (i = 0; i < HELD_MAX; i++)
		h->frames[i] = &h->pool[i];
}

/* To be called whenever the peer has moved. */
static inline void held_peer_moved(struct held *h)
{
	h->empty = false;
	h->fresh = false;
}

static inline void held_check(struct held *h)
{
	unsigned int i;
	int tokens = 0;

	for (i = 0; i < h->count; i++)
		tokens += h->frames[i]->span.count;
	MUST(vq_quiesce(h->vq) == tokens);
	MUST(h->vq->broken <= 0);
	MUST(!h->vq->broken || h->vq->why);
}

static inline void held_check_frame(const struct held *h, const struct frame *f)
{
	uint64_t len = 0;
	unsigned int i;

	MUST(f->span.count > 0);
	MUST(f->iovcnt >= 1 && f->iovcnt <= f->iovmax);
	MUST(f->iov[0].iov_base == &f->hdr && f->iov[0].iov_len == h->hdr_len);
	for (i = 1; i < f->iovcnt; i++) {
		MUST(f->iov[i].iov_len > 0);
		len += f->iov[i].iov_len;
	}
	MUST(len == f->len && f->len <= FRAME_LEN_MAX);
	if (h->vq->direction == VQ_SPACE)
		MUST(f->len >= h->min_bytes);
}

/* The frame taken, NULL for none; @quick: by vq_take_plain, if that takes it. */
static inline struct frame *held_take(struct held *h, bool quick)
{
	unsigned int slot = h->count;
	struct frame *f;
	int before = h->vq->broken;
	struct iovec *iov;
	int r;

	if (slot == HELD_MAX)
		return NULL;
	f = h->frames[slot];
	iov = h->iovs[f - h->pool];
	r = quick ? (int)vq_take_plain(h->vq, f, 1, iov, (uint8_t)h->hdr_len) : 0;
	if (!r) {
		frame_init(f, iov, FRAME_IOV_MAX, h->hdr_len);
		r = vq_take(h->vq, h->min_bytes, f);
	}
	MUST(r <= 1);
	MUST(!before || r == before);
	MUST(r >= 0 || r == h->vq->broken);
	h->empty = r == 0;
	h->fresh = true;
	h->count += r > 0;
	held_check(h);
	if (r <= 0)
		return NULL;
	held_check_frame(h, f);
	return f;
}

static inline void held_untake(struct held *h)
{
	if (h->count == h->frozen)
		return;
	vq_untake(h->vq, h->frames[--h->count]->span);
	h->empty = false;
	held_check(h);
}

/* Gives frame number @i, of which the newest may be shorter than what was taken. */
static inline void held_give(struct held *h, unsigned int i, uint32_t len)
{
	struct frame *f;
	unsigned int k;

	if (h->count == 0)
		return;
	i %= h->count;
	f = h->frames[i];
	len = i == h->count - 1 ? len % (f->len + 1) : f->len;
	if (h->vq->direction == VQ_SPACE)
		vq_give(h->vq, f->span, len, &f->hdr);
	else
		vq_give(h->vq, f->span, 0, NULL);
	h->count--;
	for (k = i; k < h->count; k++)
		h->frames[k] = h->frames[k + 1];
	h->frames[h->count] = f;
	h->frozen = h->frozen > i + 1 ? h->frozen - 1 : i;
	h->empty = false;
	held_check(h);
}

/* arm may neither make a sleeper spin nor let it sleep over work. */
static inline void held_arm(struct held *h)
{
	bool work = vq_arm(h->vq, true);

	if (h->vq->broken)
		return;
	if (h->empty && h->fresh)
		MUST(!work);
	if (!work && h->fresh && h->vq->direction == VQ_CONTENT && h->count < HELD_MAX)
		MUST(!held_take(h, false));
}

static inline void held_give_all(struct held *h)
{
	while (h->count)
		held_give(h, h->count - 1, 0);
	vq_flush(h->vq);
	MUST(vq_quiesce(h->vq) == 0);
}

#endif
