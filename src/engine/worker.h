/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker: the thread of one queue pair. It owns its two lanes and the rings in
 * them between worker_start and worker_stop; the control thread asks, it never
 * touches.
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include <vubridge/kport.h>
#include <vubridge/vq.h>

#include "engine/lane.h"

enum worker_io { WORKER_IO_AUTO, WORKER_IO_URING, WORKER_IO_PLAIN };

struct worker_config {
	struct kport *kp; /* borrowed */
	unsigned int pair;
	enum worker_io io;
	bool busy;        /* never sleep */
	unsigned int idle_us; /* spin that long without work before sleeping */
};

struct worker;

/*
 * Starts the thread, without lanes. 0 or -errno; with WORKER_IO_URING also when
 * io_uring is refused. With WORKER_IO_AUTO *io_error tells why it was (or 0).
 */
int worker_open(struct worker **out, const struct worker_config *config, int *io_error);
void worker_close(struct worker *w); /* NULL-safe; stops first */

/* "uring" or "plain" */
const char *worker_io_name(const struct worker *w);

/* Hands over the two rings of the pair, and forwarding begins. */
void worker_start(struct worker *w, struct vq *receive, struct vq *transmit);
/* Takes the rings back; when it returns, they are quiescent. Harmless when stopped. */
void worker_stop(struct worker *w);

/*
 * Readable when the worker gave up on a ring or on the fd; worker_take_failure then
 * says which, once, and worker_stop forgets it. It waits for worker_stop.
 */
int worker_event_fd(const struct worker *w);

struct worker_failure {
	const struct vq *vq; /* the broken ring, or NULL */
	int fd_error;        /* -errno of the kernel's fd, or 0 */
};
struct worker_failure worker_take_failure(struct worker *w);

/* Written by the worker, readable at any time (count_read). */
struct worker_counters {
	const struct lane_counters *to_fd; /* backend → kernel */
	const struct lane_counters *to_vq; /* kernel → backend */
	const uint64_t *sleeps; /* while it ran; a stopped worker sleeps uncounted */
};
struct worker_counters worker_counters(const struct worker *w);

#endif
