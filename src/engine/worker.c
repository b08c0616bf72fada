/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The thread runs both lanes in turn for as long as there is work, spins for the
 * idle window when there is none, and then sleeps in epoll. Before it sleeps it arms
 * the rings, which closes the race with a peer that has just written (barriers C and
 * D), and the kernel's fd was read until it was empty. All fds are edge-triggered: an
 * eventfd need not be read to be ready for its next event.
 *
 * A lane whose far side is full waits for that side alone: fd_to_vq without room in
 * the ring arms the ring, vq_to_fd whose frames the fd does not take waits for
 * EPOLLOUT and leaves its ring unarmed, which would only say that frames are there.
 *
 * The control thread speaks through a mailbox of one letter: it posts a request,
 * wakes the worker, and waits until it is done. The worker looks between two runs of
 * the lanes, so that a request never meets a frame half way.
 *
 *   PARKED ── start ──► RUNNING ── stop ──► PARKED
 *                          └─ broken ring or fd ──► FAILED ── stop ──► PARKED
 */
#include "engine/worker.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"

enum worker_state { WORKER_PARKED, WORKER_RUNNING, WORKER_FAILED };

enum request_kind { REQUEST_START, REQUEST_STOP, REQUEST_QUIT };

struct request {
	enum request_kind kind;
	struct vq *receive, *transmit;
	sem_t done;
};

/* What an epoll event is about. */
enum wake { WAKE_MAIL, WAKE_FD, WAKE_RECEIVE, WAKE_TRANSMIT };

struct worker {
	/* set before the thread runs, constant afterwards */
	struct worker_config config;
	pthread_t thread;
	int mail_fd;  /* eventfd: there is a letter */
	int event_fd; /* eventfd: the worker failed */
	int epoll_fd;

	/* shared */
	struct request *mail; /* atomic; NULL when read */
	struct worker_failure failure;

	/* the worker's */
	struct lane to_fd __attribute__((aligned(CACHE_LINE)));
	struct lane to_vq __attribute__((aligned(CACHE_LINE)));
	struct io *io;
	enum worker_state state;
	uint64_t sleeps;

	/* how opening went, for worker_open */
	sem_t opened;
	int open_error, io_error;
};

/* ---- the worker's thread ---- */

static int watch(struct worker *w, int fd, enum wake wake)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = wake };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* The same fd, for frames and, while some wait to go there, for room. */
static bool watch_room(struct worker *w, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = WAKE_FD };

	if (on)
		ev.events |= EPOLLOUT;
	/* this looks at the fd again: room that came meanwhile ends the sleep at once */
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, w->config.kp->fds[w->config.pair], &ev) == 0;
}

static void unwatch(struct worker *w, int fd)
{
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void fail(struct worker *w, const struct vq *vq, int fd_error)
{
	const uint64_t one = 1;

	w->state = WORKER_FAILED;
	w->failure = (struct worker_failure){ .vq = vq, .fd_error = fd_error };
	while (write(w->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* A run of @lane ended with @error: the ring's, or else the fd's. */
static void fail_lane(struct worker *w, const struct lane *lane, int error)
{
	if (lane->vq->broken)
		fail(w, lane->vq, 0);
	else
		fail(w, NULL, error);
}

static void start(struct worker *w, struct vq *receive, struct vq *transmit)
{
	int r;

	lane_start(&w->to_fd, receive, w->io, w->config.kp->hdr_len);
	lane_start(&w->to_vq, transmit, w->io, w->config.kp->hdr_len);
	w->failure = (struct worker_failure){ 0 };
	w->state = WORKER_RUNNING;
	fd_to_vq_drain(&w->to_vq);
	vq_arm(receive, false);
	vq_arm(transmit, false);
	lane_flush(&w->to_fd); /* publishes the empty buffers */
	r = watch(w, receive->notified_fd, WAKE_RECEIVE);
	if (!r)
		r = watch(w, transmit->notified_fd, WAKE_TRANSMIT);
	if (r)
		fail(w, NULL, r);
}

static void stop(struct worker *w)
{
	if (w->state == WORKER_PARKED)
		return;
	unwatch(w, w->to_fd.vq->notified_fd);
	unwatch(w, w->to_vq.vq->notified_fd);
	w->to_fd.vq = w->to_vq.vq = NULL;
	w->state = WORKER_PARKED;
}

/* Carries out a letter, if there is one. Returns false when it was the last. */
static bool read_mail(struct worker *w)
{
	struct request *req = __atomic_load_n(&w->mail, __ATOMIC_RELAXED);
	enum request_kind kind;

	if (likely(!req))
		return true;
	req = __atomic_exchange_n(&w->mail, NULL, __ATOMIC_ACQUIRE);
	kind = req->kind;
	if (kind == REQUEST_START)
		start(w, req->receive, req->transmit);
	else
		stop(w);
	sem_post(&req->done); /* the sender's stack: not ours from here on */
	return kind != REQUEST_QUIT;
}

/* Runs each lane once. Returns whether anything moved. */
static bool run_lanes(struct worker *w)
{
	int a = vq_to_fd_run(&w->to_fd);
	int b = fd_to_vq_run(&w->to_vq);

	if (unlikely(a < 0))
		fail_lane(w, &w->to_fd, a);
	else if (unlikely(b < 0))
		fail_lane(w, &w->to_vq, b);
	else
		return a > 0 || b > 0;
	return false;
}

/*
 * Asks the rings to wake us; true when there is work already. The transmit ring only
 * matters when it is full: then frames may wait at the fd, whose edge has passed. So
 * does the fd's room when frames wait for it.
 */
static bool arm(struct worker *w)
{
	bool work;

	if (w->to_fd.blocked)
		work = !watch_room(w, true);
	else
		work = vq_arm(w->to_fd.vq, true);
	if (w->to_vq.starved)
		work |= vq_arm(w->to_vq.vq, true);
	return work;
}

static void disarm(struct worker *w)
{
	if (w->to_fd.blocked)
		watch_room(w, false);
	vq_arm(w->to_fd.vq, false);
	vq_arm(w->to_vq.vq, false);
}

static void sleep_until_woken(struct worker *w)
{
	struct epoll_event events[4];
	int n, i;

	n = epoll_wait(w->epoll_fd, events, ARRAY_SIZE(events), -1);
	for (i = 0; i < n; i++) {
		if (events[i].data.u32 == WAKE_RECEIVE)
			count_add(&w->to_fd.counters.calls, 1);
		else if (events[i].data.u32 == WAKE_TRANSMIT)
			count_add(&w->to_vq.counters.calls, 1);
	}
}

/* Nothing moved since @since: spin on, or arm and sleep. Returns the new since. */
static uint64_t idle(struct worker *w, uint64_t since)
{
	uint64_t now = now_ns();

	if (since == 0)
		since = now;
	if (w->config.busy || now - since < (uint64_t)w->config.idle_us * 1000) {
		cpu_relax();
		return since;
	}
	if (!arm(w)) {
		count_add(&w->sleeps, 1);
		sleep_until_woken(w);
		since = 0;
	}
	disarm(w);
	return since;
}

static void *thread_main(void *arg)
{
	struct worker *w = arg;
	uint64_t idle_since = 0;

	if (w->config.io != WORKER_IO_PLAIN)
		w->io_error = uring_open(&w->io, w->config.kp, w->config.pair);
	if (!w->io && w->config.io == WORKER_IO_URING)
		w->open_error = w->io_error;
	else if (!w->io)
		w->open_error = io_plain_open(&w->io, w->config.kp, w->config.pair);
	sem_post(&w->opened);
	if (w->open_error)
		return NULL;
	while (read_mail(w)) {
		if (w->state != WORKER_RUNNING)
			sleep_until_woken(w);
		else if (run_lanes(w))
			idle_since = 0;
		else if (w->state == WORKER_RUNNING)
			idle_since = idle(w, idle_since);
	}
	io_close(w->io);
	return NULL;
}

/* ---- the control thread's side ---- */

static void post(struct worker *w, enum request_kind kind, struct vq *receive, struct vq *transmit)
{
	struct request req = { .kind = kind, .receive = receive, .transmit = transmit };
	const uint64_t one = 1;

	sem_init(&req.done, 0, 0);
	__atomic_store_n(&w->mail, &req, __ATOMIC_RELEASE);
	while (write(w->mail_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	while (sem_wait(&req.done) < 0 && errno == EINTR)
		;
	sem_destroy(&req.done);
}

void worker_start(struct worker *w, struct vq *receive, struct vq *transmit)
{
	post(w, REQUEST_START, receive, transmit);
}

void worker_stop(struct worker *w)
{
	uint64_t value;

	post(w, REQUEST_STOP, NULL, NULL);
	/* a failure that was on its way belongs to the rings that are gone now */
	if (read(w->event_fd, &value, sizeof(value)) < 0)
		return;
}

int worker_event_fd(const struct worker *w)
{
	return w->event_fd;
}

struct worker_failure worker_take_failure(struct worker *w)
{
	struct worker_failure none = { 0 };
	uint64_t value;

	/* the eventfd orders the worker's writes before this read */
	if (read(w->event_fd, &value, sizeof(value)) < 0)
		return none;
	return w->failure;
}

struct worker_counters worker_counters(const struct worker *w)
{
	return (struct worker_counters){ &w->to_fd.counters, &w->to_vq.counters, &w->sleeps };
}

const char *worker_io_name(const struct worker *w)
{
	return w->io->name;
}

static int open_fds(struct worker *w)
{
	int r;

	w->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->mail_fd < 0 || w->event_fd < 0 || w->epoll_fd < 0)
		return -errno;
	r = watch(w, w->mail_fd, WAKE_MAIL);
	return r ? r : watch(w, w->config.kp->fds[w->config.pair], WAKE_FD);
}

static void destroy(struct worker *w)
{
	close_fd(&w->mail_fd);
	close_fd(&w->event_fd);
	close_fd(&w->epoll_fd);
	sem_destroy(&w->opened);
	free(w);
}

/* Signals are the control thread's business. */
static int spawn(struct worker *w)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&w->thread, NULL, thread_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int worker_open(struct worker **out, const struct worker_config *config, int *io_error)
{
	struct worker *w = NULL;
	int r;

	*out = NULL;
	*io_error = 0;
	if (posix_memalign((void **)&w, CACHE_LINE, sizeof(*w)))
		return -ENOMEM;
	*w = (struct worker){ .config = *config, .mail_fd = -1, .event_fd = -1, .epoll_fd = -1 };
	sem_init(&w->opened, 0, 0);
	r = open_fds(w);
	if (!r)
		r = spawn(w);
	if (r) {
		destroy(w);
		return r;
	}
	while (sem_wait(&w->opened) < 0 && errno == EINTR)
		;
	*io_error = w->io_error;
	if (w->open_error) {
		r = w->open_error;
		pthread_join(w->thread, NULL);
		destroy(w);
		return r;
	}
	*out = w;
	return 0;
}

void worker_close(struct worker *w)
{
	if (!w)
		return;
	post(w, REQUEST_QUIT, NULL, NULL);
	pthread_join(w->thread, NULL);
	destroy(w);
}
