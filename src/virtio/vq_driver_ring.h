/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a driver's queue is inside: for vq_driver_content.c (receive), vq_driver_space.c
 * (transmit), and vq_driver.c, which tells how it works. */
#ifndef VIRTIO_VQ_DRIVER_RING_H
#define VIRTIO_VQ_DRIVER_RING_H

#include <vubridge/vq.h>

#include <errno.h>
#include <string.h>

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/feature.h"
#include "virtio/ring.h"
#include "virtio/vnet_hdr.h"

/* GIVEN: waits for those before it (SPACE, IN_ORDER). */
enum token_state { TOKEN_FREE, TOKEN_TAKEN, TOKEN_GIVEN, TOKEN_AVAIL };

struct vq_driver {
	struct vq vq;
	struct ring ring;
	struct vnet_hdr_rules rules;
	bool mergeable; /* frames may span several buffers */
	bool in_order;  /* VIRTIO_F_IN_ORDER */
	bool plain;     /* CONTENT: the usual layout, of which take_plain knows */

	uint16_t tokens;   /* how many there are, of which not all may have a buffer */
	uint8_t per_token; /* descriptors each: 1 or 2 ... */
	uint8_t shift;     /* ... and its logarithm */
	uint32_t buf_size; /* bytes each, header included */
	uint8_t *buffers;  /* [vq.capacity] */

	uint16_t avail_idx;     /* next available entry to write */
	uint16_t avail_flushed; /* index the peer knows */
	uint16_t used_idx;      /* next used entry to read */
	uint16_t used_seen;     /* the peer's index when last looked at, checked */
	uint16_t outstanding;   /* tokens AVAIL */
	uint16_t taken;         /* tokens TAKEN */
	uint16_t nfree;         /* entries of free[] */
	bool withheld;          /* an incomplete mergeable group is next */
	bool reclaimed;         /* looked for finished tokens since the last flush */

	uint64_t guest_base; /* of .buffers, for the device */

	uint8_t *state; /* [tokens] */
	uint16_t *next; /* [tokens], links of a span */
	uint16_t *free; /* [vq.capacity], stack: tokens, or SPACE's buffers IN_ORDER; else unused */
	uint16_t *buffer; /* [tokens], the buffer that a token has: IN_ORDER it changes */
	bool *held;       /* [vq.capacity], CONTENT IN_ORDER: a token has the buffer */

	/* IN_ORDER */
	uint16_t take_idx;   /* SPACE: where the next token taken will become available */
	uint16_t read_idx;   /* CONTENT: next used entry to read */
	uint32_t *used_len;  /* CONTENT: [tokens], bytes written by the peer's account */
};

static inline struct vq_driver *to_driver(struct vq *vq)
{
	return container_of(vq, struct vq_driver, vq);
}

/* The peer broke the rules: remembers the first time, yields nothing more. */
int vq_driver_broken(struct vq_driver *d, int error, const char *why, uint32_t value)
	__attribute__((cold));

static inline uint8_t *buffer_at(const struct vq_driver *d, uint16_t buffer)
{
	return d->buffers + (size_t)buffer * d->buf_size;
}

static inline uint8_t *buffer_of(const struct vq_driver *d, uint16_t token)
{
	return buffer_at(d, d->buffer[token]);
}

/* Where the device finds the buffer of a token. */
static inline uint64_t guest_addr_of(const struct vq_driver *d, uint16_t token)
{
	return d->guest_base + (uint64_t)d->buffer[token] * d->buf_size;
}

/* IN_ORDER: the descriptor of a token, which has but one, follows its buffer. */
static inline void follow_buffer(struct vq_driver *d, uint16_t token)
{
	d->ring.vr.desc[token].addr = ring64(&d->ring, guest_addr_of(d, token));
}

/* Where a token stands among all: IN_ORDER it follows from the index. */
static inline uint16_t token_at(const struct vq_driver *d, uint16_t idx)
{
	return idx & (uint16_t)(d->tokens - 1);
}

/* Reads the peer's used index [B] and checks it: it can only have used what it was told of. */
static inline int look_at_used(struct vq_driver *d)
{
	uint16_t idx = ring16(&d->ring, load_acquire16(&d->ring.vr.used->idx));

	if (unlikely((uint16_t)(idx - d->used_idx) > (uint16_t)(d->avail_flushed - d->used_idx)))
		return vq_driver_broken(d, -EPROTO, "used index jumped to", idx);
	if (unlikely((uint16_t)(idx - d->used_idx) < (uint16_t)(d->used_seen - d->used_idx)))
		return vq_driver_broken(d, -EPROTO, "used index went back to", idx);
	d->used_seen = idx;
	return 0;
}

/* A used entry as it was when it was read, once, and checked. */
struct used_entry {
	uint16_t token;
	uint32_t len; /* bytes written, by the peer's account */
};

/* Reads the next used entry, not IN_ORDER; 0 or -errno. */
static inline int read_used(struct vq_driver *d, struct used_entry *u)
{
	const struct vring_used_elem *e = &d->ring.vr.used->ring[d->used_idx & d->ring.mask];
	uint32_t id = ring32(&d->ring, load_once32(&e->id));

	if (unlikely(id >> d->shift >= d->tokens || id & (d->per_token - 1u)))
		return vq_driver_broken(d, -EPROTO, "used id out of range", id);
	u->token = (uint16_t)(id >> d->shift);
	u->len = ring32(&d->ring, load_once32(&e->len));
	if (unlikely(d->state[u->token] != TOKEN_AVAIL))
		return vq_driver_broken(d, -EPROTO, "used id that the peer did not hold", id);
	return 0;
}

static inline void consume(struct vq_driver *d, uint16_t token, enum token_state state)
{
	d->state[token] = (uint8_t)state;
	d->used_idx++;
	d->outstanding--;
}

/* Makes @token available; the peer learns of it at the next flush. */
static inline void expose(struct vq_driver *d, uint16_t token)
{
	uint16_t head = (uint16_t)(token << d->shift);

	d->state[token] = TOKEN_AVAIL;
	store_once16(&d->ring.vr.avail->ring[d->avail_idx & d->ring.mask], ring16(&d->ring, head));
	d->avail_idx++;
	d->outstanding++;
}

/* Makes available what was given, as far as no token before it is missing (2.7.9). */
static inline void expose_in_order(struct vq_driver *d)
{
	while (d->state[token_at(d, d->avail_idx)] == TOKEN_GIVEN)
		expose(d, token_at(d, d->avail_idx));
}

extern const struct vq_ops vq_driver_content_ops, vq_driver_space_ops;

/* Verbs that are the same for both directions. */
void vq_driver_flush(struct vq *vq);
int vq_driver_quiesce(struct vq *vq);

#endif
