/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtqueue as the engine sees it: six verbs, true for both roles (driver and
 * device side) and for every ring layout. See ARCHITECTURE.md, "One observation".
 *
 *   direction  | role   | take yields                     | give means
 *   -----------+--------+---------------------------------+---------------------------
 *   VQ_CONTENT | driver | a used buffer of ours, filled   | free, or available again
 *   VQ_CONTENT | device | an available chain, readable    | used, length 0
 *   VQ_SPACE   | driver | a free buffer of ours           | available, with its length
 *   VQ_SPACE   | device | an available chain, writable    | used, with its length
 *
 * A virtqueue belongs to one thread at a time: to its worker from start to
 * quiesce, to the control thread otherwise.
 */
#ifndef VUBRIDGE_VQ_H
#define VUBRIDGE_VQ_H

#include <vubridge/frame.h>

#include <stdbool.h>

enum vq_direction {
	VQ_CONTENT, /* frames come out of the ring */
	VQ_SPACE,   /* frames go into the ring */
};

/* Written by the worker, read by anyone; monotonic since the daemon's start. */
struct vq_counters {
	uint64_t kicks;      /* notifications sent to the peer */
	uint64_t suppressed; /* notifications the peer had asked not to get */
};

struct vq;

struct vq_ops {
	int (*take)(struct vq *vq, uint32_t min_bytes, struct frame *f);
	/* may be NULL */
	unsigned int (*take_plain)(struct vq *vq, struct frame *frames, unsigned int n,
				   struct iovec *iov, uint8_t hdr_len);
	void (*untake)(struct vq *vq, struct span span);
	void (*give)(struct vq *vq, struct span span, uint32_t len,
		     const struct virtio_net_hdr_v1 *hdr);
	void (*flush)(struct vq *vq);
	bool (*arm)(struct vq *vq, bool on);
	int (*quiesce)(struct vq *vq);
};

/* What a queue offers by itself, if it has as many. */
#define VQ_OFFERED_LEAST 2048u

struct vq {
	const struct vq_ops *ops;
	enum vq_direction direction;
	uint16_t index;  /* ring number in the device: pair * 2 is receive, pair * 2 + 1 transmit */
	uint16_t capacity; /* frames that anyone can have in hand at most; a ring may be longer */
	/*
	 * VQ_CONTENT of a driver: how many buffers the peer and whoever has taken them may have in
	 * all, not 0; what does not fit any more is kept back when it is given. The fewer they are,
	 * the sooner the cache has them. And how many the last look at the ring found filled, which
	 * whoever has drawn conclusions from it may set to 0.
	 */
	uint16_t offered, waiting;
	int notify_fd;   /* eventfd written to wake the peer (owned by the port) */
	int notified_fd; /* eventfd the peer writes to wake us (owned by the port) */
	/*
	 * Sticky: 0, or the -errno of the peer's first violation, with one English
	 * phrase of static storage. A broken ring yields and takes nothing.
	 */
	int broken;
	const char *why;
	uint32_t why_value; /* the offending number, for the log line */
	struct vq_counters counters;
};

/*
 * Takes one frame with at least @min_bytes of room (VQ_SPACE; content is as long
 * as it is). Fills @f: span, length, iovecs from iov[1], and for content the header,
 * checked against the negotiated features. Returns 1, 0 when there is nothing
 * complete, or the negative errno in vq->broken.
 */
static inline int vq_take(struct vq *vq, uint32_t min_bytes, struct frame *f)
{
	return vq->ops->take(vq, min_bytes, f);
}

/*
 * The quick way for plain frames of content: in one piece each, with headers that say nothing.
 * Takes up to @n of them, among what vq_take's last look at the ring found and as long as nothing
 * else comes next, into @frames as frame_init makes them of @hdr_len, with two iovecs each from
 * @iov on. Returns how many; if those are not all, vq_take tells what is next.
 */
static inline unsigned int vq_take_plain(struct vq *vq, struct frame *frames, unsigned int n,
					 struct iovec *iov, uint8_t hdr_len)
{
	return vq->ops->take_plain ? vq->ops->take_plain(vq, frames, n, iov, hdr_len) : 0;
}

/* Returns an unused span; of several, the newest first. */
static inline void vq_untake(struct vq *vq, struct span span)
{
	vq->ops->untake(vq, span);
}

/*
 * Hands a span back, in any order. VQ_SPACE: @len bytes of packet were put there
 * and @hdr describes them. VQ_CONTENT: @len is 0 and @hdr NULL.
 */
static inline void vq_give(struct vq *vq, struct span span, uint32_t len,
			   const struct virtio_net_hdr_v1 *hdr)
{
	vq->ops->give(vq, span, len, hdr);
}

/* Publishes all that was given and is not kept back: one index write, at most one notification. */
static inline void vq_flush(struct vq *vq)
{
	vq->ops->flush(vq);
}

/*
 * Asks the peer to notify when take may succeed again (@on), or to leave it.
 * Returns true when work is there already: do not sleep then.
 */
static inline bool vq_arm(struct vq *vq, bool on)
{
	return vq->ops->arm(vq, on);
}

/* Returns how many tokens are still taken; 0 means that memory may be reset. */
static inline int vq_quiesce(struct vq *vq)
{
	return vq->ops->quiesce(vq);
}

#endif
