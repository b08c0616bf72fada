/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two lanes of a queue pair. Each run moves one batch and never blocks:
 *
 *   vq_to_fd:  take from the ring → merge → write to the fd → give back → flush
 *   fd_to_vq:  take room in the ring → read from the fd → give, or untake → flush
 *
 * Where the kernel hands out frames that the peer does not take as they are, the second
 * lane reads them into memory of its own (fit.c) and cuts them while it copies.
 */
#ifndef ENGINE_LANE_H
#define ENGINE_LANE_H

#include <vubridge/vq.h>

#include "base/util.h"
#include "engine/capture.h"
#include "engine/io.h"
#include "engine/merge.h"

/* Why a frame did not arrive. Each has a row in daemon/metric.c, as each counter below. */
enum lane_drop {
	LANE_DROP_REFUSED,      /* EINVAL: the kernel found the frame or its header wrong */
	LANE_DROP_IFACE_DOWN,   /* EIO: the interface is administratively down */
	LANE_DROP_NO_MEMORY,    /* ENOMEM, ENOBUFS, and EAGAIN when later frames found room */
	LANE_DROP_STALE,        /* queued by the one side before the other was (back) there */
	LANE_DROP_UNFIT,        /* a superframe that cannot be made to fit what the peer takes */
	LANE_DROP_STOPPED,      /* in hand when the pair was stopped */
	LANE_DROP_OTHER,        /* any other errno of the kernel */
	LANE_DROPS
};

/* Written by the worker alone, read by anyone (count_read); monotonic. */
struct lane_counters {
	uint64_t frames;
	uint64_t bytes; /* of packets, headers not counted */
	uint64_t kicks; /* notifications sent to the peer */
	uint64_t calls; /* notifications of the peer that woke the worker */
	uint64_t superframes; /* made by merging, or cut */
	uint64_t segments;    /* frames that those were made of, or cut into */
	uint64_t refusals;    /* superframes whose form the kernel refused */
	uint64_t drops[LANE_DROPS];
};

/* Frames that a lane has in hand at most, and their iovecs. */
#define LANE_BATCH MERGE_BATCH
#define LANE_IOVS  MERGE_PIECES
/* Frames that it merges at once, unless many flows ask for more. */
#define LANE_MERGE_LEAST 256u

struct fit;

struct lane {
	struct vq *vq;
	struct io *io;
	uint8_t hdr_len;       /* of the kernel port */
	uint64_t kicks_before; /* what the ring's count of kicks has to be added to */
	struct lane_counters counters;
	struct capture_tap *tap; /* NULL: nobody captures; survives lane_start */

	/* vq_to_fd */
	struct merge *next_merge; /* of batches to come, NULL: as they are; survives lane_start;
				   * the lane itself forgets it when superframes are refused */
	bool refused;         /* they were, which is to be told */
	struct merge *merge;  /* of the batch in hand */
	struct frame *units;  /* what is written: frames, or what merge made of them */
	unsigned int nunits;  /* of the batch in hand */
	unsigned int sent;    /* of them, so far */
	bool blocked;         /* the fd did not take all of the last run */
	bool gathers;         /* the last batch was large and worth merging */
	unsigned int batch;   /* frames to merge at once, at most */
	unsigned int batch_pause; /* batches for which that stays as it is */
	uint64_t took_ns;     /* when frames were found in the ring last */
	uint64_t period_ns;   /* since when these are counted: */
	unsigned int absences; /* long ones, after which many were found */

	/* fd_to_vq */
	struct fit *fit;      /* NULL: frames are read straight into the ring */
	unsigned int reads;   /* frames to ask for, follows the traffic */
	bool starved;         /* the last run found no room in the ring */
	unsigned int failures; /* reads that failed, since one that did not */
	uint64_t failed_ns;   /* when the last one did */

	struct frame frames[LANE_BATCH];
	struct iovec iovs[LANE_IOVS];
};

/*
 * An fd whose reads do nothing but fail is read again only after a pause: it would
 * otherwise take a whole processor.
 */
#define LANE_FAILURES_MAX 64u
#define LANE_PAUSE_MS	  100u

static inline bool lane_pauses(const struct lane *lane)
{
	return lane->failures >= LANE_FAILURES_MAX;
}

/* Ties the lane to a new ring; its counters go on. */
void lane_start(struct lane *lane, struct vq *vq, struct io *io, uint8_t hdr_len);

/* Gives back whatever the lane has in hand and counts it as stopped. */
void lane_stop(struct lane *lane);

/*
 * Takes up to @want frames of @min_bytes (vq_take) behind the @have in frames[]. Returns how
 * many there are now; *error is 0 or that of vq->broken.
 */
unsigned int lane_take(struct lane *lane, unsigned int have, unsigned int want, uint32_t min_bytes,
		       int *error);

/* Returns frames [from, to) to the ring, newest first. */
void lane_untake(struct lane *lane, unsigned int from, unsigned int to);

/* Flushes the ring and counts the kick. */
void lane_flush(struct lane *lane);

/* Counts @n drops for @error, the errno that the kernel gave. */
void lane_count_drops(struct lane *lane, int error, unsigned int n);

static inline void lane_count_drop(struct lane *lane, int error)
{
	lane_count_drops(lane, error, 1);
}

/* Frames as the ring has them, for who may be looking: once a batch. */
static inline void lane_capture(struct lane *lane, const struct frame *frames, unsigned int n)
{
	if (unlikely(lane->tap))
		capture_frames(lane->tap, frames, n);
}

/* Copies @len bytes to the room that @f describes. */
void lane_fill(const struct frame *f, const uint8_t *packet, uint32_t len);

/*
 * Both return how many frames were moved, lost or found, 0 when there was nothing to do,
 * or -errno: that of vq->broken, or when the ring is sound -EBADFD or that of io->broken.
 */
int vq_to_fd_run(struct lane *lane);
int fd_to_vq_run(struct lane *lane);

/* Give back what is in hand of a ring and return how many frames are lost thereby. */
unsigned int vq_to_fd_stop(struct lane *lane);
unsigned int fd_to_vq_stop(struct lane *lane);

/* Asks for twice of what came when all of it came, and slowly for less otherwise. */
void fd_to_vq_follow(struct lane *lane, unsigned int asked, unsigned int came);
/* What a read that failed with @error makes of a run. */
int fd_to_vq_failed(struct lane *lane, int error);

/*
 * Sends a packet of our own, checksummed and short enough for one frame, to the ring.
 * -ENOBUFS when that has no room, or the -errno of vq->broken.
 */
int fd_to_vq_inject(struct lane *lane, const void *packet, uint32_t len);

/* Reads away what waits at the fd and counts it as stale. */
void fd_to_vq_drain(struct lane *lane);

/* Gives back what waits in the ring, unsent, and counts it as stale; the caller flushes. */
void vq_to_fd_drain(struct lane *lane);

#endif
