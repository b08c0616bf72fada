/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker is inside, for its two halves: worker_control.c (the control thread's side) and
 * worker_thread.c (the thread). */
#ifndef ENGINE_WORKER_THREAD_H
#define ENGINE_WORKER_THREAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "base/barrier.h"
#include "base/util.h"
#include "engine/fit.h"
#include "engine/worker.h"

enum pair_state { PAIR_PARKED, PAIR_RUNNING, PAIR_FAILED };

enum request_kind {
	REQUEST_START,
	REQUEST_STOP,
	REQUEST_SEND,
	REQUEST_CAPTURE,
	REQUEST_MERGE,
	REQUEST_POLL,
	REQUEST_NOTHING, /* but an answer */
	REQUEST_QUIT,
};

struct pair;

struct request {
	enum request_kind kind;
	struct pair *pair;
	struct vq *receive, *transmit; /* to start with */
	uint64_t taken;		       /* HOST_ bits of the peer */
	const void *packet;	       /* to send */
	uint32_t len;
	struct capture_tap *rx, *tx;   /* to record to */
	const struct merge_config *merge;
	bool busy; /* how to poll */
	unsigned int idle_us;
	int result;
	sem_t done;
	bool answered; /* atomic, set before done: the order that ThreadSanitizer can see */
};

/* What an epoll event is about; its pointer is to one of these. */
enum wake { WAKE_MAIL, WAKE_FD, WAKE_RECEIVE, WAKE_TRANSMIT, WAKES };

/* A queue pair and its lanes: the worker's, but for what is said to be shared. */
struct pair {
	struct lane to_fd __attribute__((aligned(CACHE_LINE)));
	struct lane to_vq __attribute__((aligned(CACHE_LINE)));
	struct io *io;
	struct fit *fit; /* for to_vq, where it needs it */
	struct merge *merge; /* for to_fd, likewise */
	int fd; /* of the kernel port */
	enum pair_state state;

	/* shared */
	struct worker_failure failure; /* valid while untaken */
	bool untaken;		       /* atomic: the control thread does not know yet */
	bool unmerged;		       /* atomic: likewise, that superframes are refused */
};

struct worker {
	/* set before the thread runs, constant afterwards, but for how to poll and to
	 * merge, its own then */
	struct worker_config config;
	pthread_t thread;
	int mail_fd;  /* eventfd: there is a letter */
	int event_fd; /* eventfd: the worker failed */
	int epoll_fd;

	unsigned int npairs;

	/* shared */
	struct request *mail; /* atomic; NULL when read */

	/* the worker's */
	unsigned int running; /* pairs */
	uint64_t sleeps;

	/* how opening went, for worker_open */
	sem_t opened;
	int open_error, io_error;

	struct pair pairs[];
};

/* What epoll hands back, in its 64 bits: the pair's place and what of it. */
static inline uint64_t worker_wake_data(unsigned int place, enum wake wake)
{
	return (uint64_t)place * WAKES + wake;
}

static inline unsigned int worker_pair_number(const struct worker *w, unsigned int place)
{
	return w->config.first + place * w->config.step;
}

/* Merges by @config in all lanes, or not at all if that says so. */
void worker_thread_set_merge(struct worker *w, const struct merge_config *config);

/* The thread: @arg is its worker. */
void *worker_thread_main(void *arg);

/* Has epoll tell of @fd with @data. 0 or -errno. */
int worker_thread_watch(struct worker *w, int fd, uint64_t data);

#endif
