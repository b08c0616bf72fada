/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All workers of a bridge: which of them serves which queue pair, and what becomes of their
 * failures. Of the interface those queues are attached that a worker reads.
 */
#ifndef DAEMON_WORKERS_H
#define DAEMON_WORKERS_H

#include <systemd/sd-event.h>

#include "daemon/options.h"
#include "engine/worker.h"

/* Called from the loop. */
struct workers_events {
	/* The backend broke the rules of ring @vq. */
	void (*broken)(void *owner, const struct vq *vq);
	/* The interface cannot be read any more, which is logged. */
	void (*unreadable)(void *owner);
};

struct workers;

/*
 * Starts them, without rings, for the pairs of @kp. On error returns -errno with one line in
 * @error. @options and @kp must outlive them.
 */
int workers_open(struct workers **out, sd_event *event, const struct options *options,
		 struct kport *kp, const struct workers_events *events, void *owner, char *error,
		 size_t size);
void workers_close(struct workers *ws); /* NULL-safe */

/*
 * Forwards for the first @n pairs and for no others; @vqs as in struct vport, whose peer has
 * taken the offloads @taken. Rings of pairs that were stopped are quiescent when it returns.
 */
void workers_run(struct workers *ws, struct vq **vqs, unsigned int n, uint64_t taken);

/* Sends a packet of our own by the rings of @pair, as worker_send does. */
int workers_send(struct workers *ws, unsigned int pair, const void *packet, uint32_t len);

/* Records to @c what its configuration says; NULL: nothing any more. */
void workers_capture(struct workers *ws, struct capture *c);

/* Merges as @how, an enum options_merge, says, if the kernel takes superframes. */
void workers_set_merge(struct workers *ws, int how);

/* Changes how all of them wait for work. */
void workers_set_poll(struct workers *ws, bool busy, unsigned int idle_us);

/* As worker_check, each of them. */
void workers_check(struct workers *ws);

struct workers_poll {
	bool busy;
	unsigned int idle_us;
};
struct workers_poll workers_poll(const struct workers *ws);

unsigned int workers_count(const struct workers *ws);
struct worker_counters workers_counters(const struct workers *ws, unsigned int pair);
/* "uring" or "plain" */
const char *workers_io_name(const struct workers *ws);

#endif
