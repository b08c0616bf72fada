/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/workers.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "base/util.h"
#include "virtio/feature.h"

/* Datagrams in one superframe, by the kernel's UDP_MAX_SEGMENTS: 64 before 6.9, 128 since. */
#define UDP_SEGMENTS_MAX 64u

struct workers {
	const struct options *options;
	struct kport *kp;
	const struct workers_events *events;
	void *owner;

	unsigned int n;
	struct worker **workers;   /* [n] */
	sd_event_source **sources; /* [n] */
	unsigned int running;	   /* pairs that are forwarded for */
	struct workers_poll poll;
};

static const char *tag(const struct workers *ws)
{
	return ws->kp->name;
}

static struct worker *worker_of(const struct workers *ws, unsigned int pair)
{
	return ws->workers[pair % ws->n];
}

/* ---- forwarding ---- */

static void attach_pairs(struct workers *ws, unsigned int n)
{
	int r = ws->kp->ops->set_pairs(ws->kp, n);

	if (r && r != -EBADFD) /* a deleted interface is the watch's news */
		log_error(tag(ws), "cannot use %u queues of the interface: %s", n, strerror(-r));
}

/*
 * The kernel hands frames to a queue only while someone reads it: a queue is attached before
 * its worker starts and detached after it stopped.
 */
void workers_run(struct workers *ws, struct vq **vqs, unsigned int n, uint64_t taken)
{
	while (ws->running > n) {
		ws->running--;
		worker_stop(worker_of(ws, ws->running), ws->running);
	}
	if (n)
		attach_pairs(ws, n);
	for (; ws->running < n; ws->running++)
		worker_start(worker_of(ws, ws->running), ws->running, vqs[2 * ws->running],
			     vqs[2 * ws->running + 1], taken);
}

int workers_send(struct workers *ws, unsigned int pair, const void *packet, uint32_t len)
{
	return worker_send(worker_of(ws, pair), pair, packet, len);
}

void workers_capture(struct workers *ws, struct capture *c)
{
	unsigned int i;

	for (i = 0; i < ws->kp->pairs; i++)
		worker_capture(worker_of(ws, i), i, c ? capture_tap(c, i, true) : NULL,
			       c ? capture_tap(c, i, false) : NULL);
}

/* What the kernel takes as superframes on this interface. */
static struct merge_config merge_config(const struct workers *ws, int how)
{
	const uint64_t tso = FEATURE_NET(GUEST_TSO4) | FEATURE_NET(GUEST_TSO6);
	const uint64_t uso = FEATURE_NET(GUEST_USO4) | FEATURE_NET(GUEST_USO6);
	const uint64_t offloads = ws->kp->offloads;
	struct merge_config none = {0};

	if (how == OPTIONS_MERGE_OFF)
		return none;
	return (struct merge_config){
		.strict = how == OPTIONS_MERGE_STRICT,
		.tcp = (offloads & tso) == tso,
		.udp_max = (offloads & uso) == uso ? UDP_SEGMENTS_MAX : 0,
	};
}

void workers_set_merge(struct workers *ws, int how)
{
	const struct merge_config config = merge_config(ws, how);
	unsigned int i;

	for (i = 0; i < ws->n; i++)
		worker_set_merge(ws->workers[i], &config);
}

void workers_set_poll(struct workers *ws, bool busy, unsigned int idle_us)
{
	unsigned int i;

	ws->poll = (struct workers_poll){.busy = busy, .idle_us = idle_us};
	for (i = 0; i < ws->n; i++)
		worker_set_poll(ws->workers[i], busy, idle_us);
}

void workers_check(struct workers *ws)
{
	unsigned int i;

	for (i = 0; i < ws->n; i++)
		worker_check(ws->workers[i]);
}

/* ---- failures ---- */

static void on_failure(struct workers *ws, struct worker_failure failure)
{
	if (failure.vq) {
		ws->events->broken(ws->owner, failure.vq);
	} else if (failure.fd_error == -EBADFD) { /* deleted: the watch's news, in a moment */
		log_debug(tag(ws), "the interface's file descriptor is dead");
	} else if (failure.fd_error) {
		log_error(tag(ws), "cannot go on forwarding: %s", strerror(-failure.fd_error));
		ws->events->unreadable(ws->owner);
	}
}

static int on_worker(sd_event_source *source __attribute__((unused)), int fd,
		     uint32_t revents __attribute__((unused)), void *userdata)
{
	struct workers *ws = userdata;
	struct worker_failure failure;
	unsigned int i;
	int pair;

	for (i = 0; i < ws->n; i++) {
		if (worker_event_fd(ws->workers[i]) != fd)
			continue;
		failure = worker_take_failure(ws->workers[i]);
		while (failure.vq || failure.fd_error) {
			on_failure(ws, failure);
			failure = worker_take_failure(ws->workers[i]);
		}
		while ((pair = worker_take_refusal(ws->workers[i])) >= 0)
			log_warning(tag(ws),
				    "the kernel refused a superframe: nothing is merged for rxq%d "
				    "until the next connection", pair);
	}
	return 0;
}

/* ---- what can be seen ---- */

struct workers_poll workers_poll(const struct workers *ws)
{
	return ws->poll;
}

unsigned int workers_count(const struct workers *ws)
{
	return ws->n;
}

struct worker_counters workers_counters(const struct workers *ws, unsigned int pair)
{
	return worker_counters(worker_of(ws, pair), pair);
}

const char *workers_io_name(const struct workers *ws)
{
	return worker_io_name(ws->workers[0]);
}

/* ---- life ---- */

static int open_worker(struct workers *ws, sd_event *event, unsigned int i, int *io_error)
{
	const struct options *o = ws->options;
	const struct worker_config config = {
		.kp = ws->kp,
		.first = i,
		.step = ws->n,
		.io = o->io == OPTIONS_IO_URING ? WORKER_IO_URING :
		      o->io == OPTIONS_IO_PLAIN ? WORKER_IO_PLAIN :
						  WORKER_IO_AUTO,
		.merge = merge_config(ws, o->offload == OPTIONS_OFFLOAD_OFF ? OPTIONS_MERGE_OFF :
									      o->merge),
		.busy = ws->poll.busy,
		.idle_us = ws->poll.idle_us,
		.cpu = o->cpus.n ? o->cpus.cpu[i % o->cpus.n] : -1,
	};
	int r = worker_open(&ws->workers[i], &config, io_error);

	if (r)
		return r;
	r = sd_event_add_io(event, &ws->sources[i], worker_event_fd(ws->workers[i]), EPOLLIN,
			    on_worker, ws);
	return r < 0 ? r : 0;
}

/* Processors as --cpus takes them, "0,2-3". */
static void list_cpus(const cpu_set_t *set, char *buf, size_t size)
{
	int first, last;
	size_t n = 0;

	buf[0] = '\0';
	for (first = 0; first < CPU_SETSIZE && n < size; first = last + 1) {
		last = first;
		if (!CPU_ISSET(first, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		n += (size_t)snprintf(buf + n, size - n, last > first ? "%s%d-%d" : "%s%d",
				      n ? "," : "", first, last);
	}
}

/* The kernel leaves of all those that it allows; what was set narrower before may be widened. */
static void refuse_cpu(int cpu, char *error, size_t size)
{
	char number[16], list[256] = "";
	cpu_set_t before, all;

	memset(&all, 0xff, sizeof(all));
	if (!sched_getaffinity(0, sizeof(before), &before) &&
	    !sched_setaffinity(0, sizeof(all), &all)) {
		if (!sched_getaffinity(0, sizeof(all), &all))
			list_cpus(&all, list, sizeof(list));
		sched_setaffinity(0, sizeof(before), &before);
	}
	snprintf(number, sizeof(number), "%d", cpu);
	options_refuse(error, size, "cpus", number, "a worker may not run there; it may on %s",
		       list);
}

static int open_all(struct workers *ws, sd_event *event, char *error, size_t size)
{
	const struct options *o = ws->options;
	unsigned int i;
	int io_error = 0, r = 0;

	ws->workers = calloc(ws->n, sizeof(*ws->workers));
	ws->sources = calloc(ws->n, sizeof(*ws->sources));
	if (!ws->workers || !ws->sources)
		r = -ENOMEM;
	for (i = 0; i < ws->n && !r; i++)
		r = open_worker(ws, event, i, &io_error);
	if (r && o->io == OPTIONS_IO_URING)
		options_refuse(error, size, "io", "uring",
			       "io_uring is refused here (%s), use --io plain", strerror(-r));
	else if (r == -EINVAL && o->cpus.n)
		refuse_cpu(o->cpus.cpu[(i - 1) % o->cpus.n], error, size);
	else if (r)
		snprintf(error, size, "cannot start a worker: %s", strerror(-r));
	else if (io_error && ws->kp->vectored)
		log_notice(tag(ws), "io_uring is refused here (%s): using readv and writev",
			   strerror(-io_error));
	else
		log_info(tag(ws), "frames are read and written by %s",
			 strcmp(workers_io_name(ws), "uring") ? "readv and writev" : "io_uring");
	return r;
}

int workers_open(struct workers **out, sd_event *event, const struct options *options,
		 struct kport *kp, const struct workers_events *events, void *owner, char *error,
		 size_t size)
{
	struct workers *ws = calloc(1, sizeof(*ws));
	int r;

	*out = NULL;
	if (!ws)
		return -ENOMEM;
	ws->options = options;
	ws->kp = kp;
	ws->events = events;
	ws->owner = owner;
	ws->poll.busy = options->poll == OPTIONS_POLL_BUSY;
	ws->poll.idle_us = options->idle_us;
	ws->n = options->workers ? MIN(options->workers, kp->pairs) : kp->pairs;
	r = open_all(ws, event, error, size);
	if (r) {
		workers_close(ws);
		return r;
	}
	*out = ws;
	return 0;
}

void workers_close(struct workers *ws)
{
	unsigned int i;

	if (!ws)
		return;
	for (i = 0; i < ws->n; i++) {
		if (ws->sources)
			sd_event_source_disable_unref(ws->sources[i]);
		if (ws->workers)
			worker_close(ws->workers[i]);
	}
	free(ws->sources);
	free(ws->workers);
	free(ws);
}
