/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two lanes of a queue pair. Each run moves one batch and never blocks:
 *
 *   vq_to_fd:  take from the ring → write to the fd → give back → flush
 *   fd_to_vq:  take room in the ring → read from the fd → give, or untake → flush
 */
#ifndef ENGINE_LANE_H
#define ENGINE_LANE_H

#include <vubridge/vq.h>

#include "engine/io.h"

/* Why a frame did not arrive. Each has a row in daemon/metric.c, as each counter below. */
enum lane_drop {
	LANE_DROP_REFUSED,      /* EINVAL: the kernel found the frame or its header wrong */
	LANE_DROP_IFACE_DOWN,   /* EIO: the interface is administratively down */
	LANE_DROP_NO_MEMORY,    /* ENOMEM, ENOBUFS, and EAGAIN when later frames found room */
	LANE_DROP_STALE,        /* queued by the kernel before the backend was (back) there */
	LANE_DROP_OTHER,        /* any other errno of the kernel */
	LANE_DROPS
};

/* Written by the worker alone, read by anyone (count_read); monotonic. */
struct lane_counters {
	uint64_t frames;
	uint64_t bytes; /* of packets, headers not counted */
	uint64_t kicks; /* notifications sent to the peer */
	uint64_t calls; /* notifications of the peer that woke the worker */
	uint64_t drops[LANE_DROPS];
};

/* iovecs for a batch of frames in two pieces each, and one frame of any shape after them. */
#define LANE_IOVS (IO_BATCH * 2 + FRAME_IOV_MAX)

struct lane {
	struct vq *vq;
	struct io *io;
	uint8_t hdr_len;        /* of the kernel port */
	unsigned int reads;     /* fd_to_vq: frames to ask for, follows the traffic */
	bool starved;           /* fd_to_vq: the last run found no room in the ring */
	bool blocked;           /* vq_to_fd: the fd did not take all of the last run */
	uint64_t kicks_before;  /* what the ring's count of kicks has to be added to */
	struct lane_counters counters;
	struct frame frames[IO_BATCH];
	struct iovec iovs[LANE_IOVS];
};

/* Ties the lane to a new ring; its counters go on. */
void lane_start(struct lane *lane, struct vq *vq, struct io *io, uint8_t hdr_len);

/* Returns frames [from, to) to the ring, newest first. */
void lane_untake(struct lane *lane, unsigned int from, unsigned int to);

/* Flushes the ring and counts the kick. */
void lane_flush(struct lane *lane);

/* Counts a drop for @error, the errno that the kernel gave. */
void lane_count_drop(struct lane *lane, int error);

/*
 * Both return how many frames were moved or found, 0 when there was nothing to do, or
 * -errno: that of vq->broken, or the fd's when the ring is sound.
 */
int vq_to_fd_run(struct lane *lane);
int fd_to_vq_run(struct lane *lane);

/*
 * Sends a packet of our own, checksummed and short enough for one frame, to the ring.
 * -ENOBUFS when that has no room, or the -errno of vq->broken.
 */
int fd_to_vq_inject(struct lane *lane, const void *packet, uint32_t len);

/* Reads away what waits at the fd and counts it as stale. */
void fd_to_vq_drain(struct lane *lane);

#endif
