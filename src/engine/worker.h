/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker: the thread that forwards for one or several queue pairs. It owns their
 * lanes and the rings in them between worker_start and worker_stop of that pair; the
 * control thread asks, it never touches.
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include <vubridge/kport.h>
#include <vubridge/vq.h>

#include "engine/lane.h"

enum worker_io { WORKER_IO_AUTO, WORKER_IO_URING, WORKER_IO_PLAIN };

struct worker_config {
	struct kport *kp; /* borrowed */
	/* serves pairs first, first + step, first + 2 * step, … below kp->pairs */
	unsigned int first, step;
	enum worker_io io;
	struct merge_config merge; /* neither tcp nor udp_max: nothing is merged */
	bool busy;        /* never sleep */
	unsigned int idle_us; /* spin at most that long without work before sleeping (spin.h) */
	int cpu;          /* the one to run on, -EINVAL if it may not; -1: any */
};

struct worker;

/*
 * Starts the thread, without rings. 0 or -errno; with WORKER_IO_URING also when
 * io_uring is refused. With WORKER_IO_AUTO *io_error tells why it was (or 0).
 */
int worker_open(struct worker **out, const struct worker_config *config, int *io_error);
void worker_close(struct worker *w); /* NULL-safe; stops first */

/* "uring" or "plain" */
const char *worker_io_name(const struct worker *w);

/*
 * Hands over the two rings of @pair, whose peer takes the offloads @taken (HOST_ bits), and
 * its forwarding begins.
 */
void worker_start(struct worker *w, unsigned int pair, struct vq *receive, struct vq *transmit,
		  uint64_t taken);
/* Takes the rings back; when it returns, they are quiescent. Harmless when stopped. */
void worker_stop(struct worker *w, unsigned int pair);

/*
 * Sends a packet of our own to the backend by the rings of @pair. 0, -ENOBUFS when they
 * are full, -ENOTCONN when it has none.
 */
int worker_send(struct worker *w, unsigned int pair, const void *packet, uint32_t len);

/* Records from now on what passes the lanes of @pair; NULL: nothing, and what was recorded to
 * before is in no one's hands when it returns. */
void worker_capture(struct worker *w, unsigned int pair, struct capture_tap *rx,
		    struct capture_tap *tx);

/* Changes what is merged, from the next batch on. */
void worker_set_merge(struct worker *w, const struct merge_config *merge);

/* Changes how it waits for work, busy and idle_us of its configuration, at any time. */
void worker_set_poll(struct worker *w, bool busy, unsigned int idle_us);

/* Returns when the worker has answered, which shows that it lives. */
void worker_check(struct worker *w);

/*
 * Readable when the worker gave up on a ring or on an fd; worker_take_failure then
 * says which, one failure a call and each once. The pair waits for worker_stop, which
 * forgets a failure not taken. Also when the kernel refused a superframe.
 */
int worker_event_fd(const struct worker *w);

struct worker_failure {
	const struct vq *vq; /* the broken ring, or NULL */
	int fd_error;        /* -errno of the kernel's fd, or 0 */
};
/* Neither is set when there is no failure (any more). */
struct worker_failure worker_take_failure(struct worker *w);

/*
 * The number of a pair for which the kernel has refused a superframe, so that nothing is merged
 * until it is started again; each once, to be asked after worker_take_failure. -1: of none.
 */
int worker_take_refusal(struct worker *w);

/* Written by the worker, readable at any time (count_read). */
struct worker_counters {
	const struct lane_counters *to_fd; /* backend → kernel */
	const struct lane_counters *to_vq; /* kernel → backend */
	const uint64_t *sleeps; /* of the worker, while it had rings */
};
struct worker_counters worker_counters(const struct worker *w, unsigned int pair);

#endif
