/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The thread runs the lanes of its pairs in turn for as long as there is work, spins for
 * the idle window when there is none, and then sleeps in epoll. Before it sleeps it arms
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
 * A kick is the one system call that a peer can make last: it shares the eventfd, may
 * make it block, and fill it. So only the worker kicks, and a letter that is not answered
 * soon is followed by a signal, which ends the kick (it counts as not sent).
 *
 * Each pair has a state:
 *
 *   PARKED ── start ──► RUNNING ── stop ──► PARKED
 *                          └─ broken ring or fd ──► FAILED ── stop ──► PARKED
 */
#include "engine/worker_thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "engine/spin.h"

static unsigned int place_of(const struct worker *w, const struct pair *p)
{
	return (unsigned int)(p - w->pairs);
}

int worker_thread_watch(struct worker *w, int fd, uint64_t data)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = data};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* The same fd, for frames and, while some wait to go there, for room. */
static bool watch_room(struct worker *w, struct pair *p, bool on)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLET | (on ? EPOLLOUT : 0u),
		.data.u64 = worker_wake_data(place_of(w, p), WAKE_FD),
	};

	/* this looks at the fd again: room that came meanwhile ends the sleep at once */
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev) == 0;
}

static void unwatch(struct worker *w, int fd)
{
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* Wakes the control thread. */
static void tell(struct worker *w)
{
	const uint64_t one = 1;

	while (write(w->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void tell_refusal(struct worker *w, struct pair *p)
{
	p->to_fd.refused = false;
	__atomic_store_n(&p->unmerged, true, __ATOMIC_RELEASE);
	tell(w);
}

static void fail(struct worker *w, struct pair *p, const struct vq *vq, int fd_error)
{
	p->state = PAIR_FAILED;
	w->running--;
	p->failure = (struct worker_failure){.vq = vq, .fd_error = fd_error};
	__atomic_store_n(&p->untaken, true, __ATOMIC_RELEASE);
	tell(w);
}

/* A run of @lane ended with @error: the ring's, or else the fd's. */
static void fail_lane(struct worker *w, struct pair *p, const struct lane *lane, int error)
{
	if (lane->vq->broken)
		fail(w, p, lane->vq, 0);
	else
		fail(w, p, NULL, error);
}

/* Some peers count a ring as started only when it was kicked. */
static void kick_once(const struct vq *vq)
{
	const uint64_t one = 1;

	/* a full counter has been kicked, and an interrupted write is a peer's own fault */
	if (write(vq->notify_fd, &one, sizeof(one)) < 0)
		return;
}

/* Does the kernel hand out frames that the peer does not take as they are? */
static bool must_fit(const struct worker *w, uint64_t taken)
{
	return w->config.kp->offered & ~taken;
}

static void set_lane_merge(const struct worker *w, struct pair *p)
{
	const struct merge_config *config = &w->config.merge;

	p->to_fd.next_merge = config->tcp || config->udp_max > 1 ? p->merge : NULL;
}

static void start(struct worker *w, struct pair *p, const struct request *req)
{
	struct vq *receive = req->receive, *transmit = req->transmit;
	int r;

	set_lane_merge(w, p);
	lane_start(&p->to_fd, receive, p->io, w->config.kp->hdr_len);
	lane_start(&p->to_vq, transmit, p->io, w->config.kp->hdr_len);
	p->to_vq.fit = must_fit(w, req->taken) ? p->fit : NULL;
	fit_start(p->fit, req->taken);
	p->state = PAIR_RUNNING;
	w->running++;
	fd_to_vq_drain(&p->to_vq);
	vq_to_fd_drain(&p->to_fd);
	vq_arm(receive, false);
	vq_arm(transmit, false);
	lane_flush(&p->to_fd); /* publishes the empty buffers */
	kick_once(receive);
	kick_once(transmit);
	r = worker_thread_watch(w, receive->notified_fd,
				worker_wake_data(place_of(w, p), WAKE_RECEIVE));
	if (!r)
		r = worker_thread_watch(w, transmit->notified_fd,
					worker_wake_data(place_of(w, p), WAKE_TRANSMIT));
	if (r)
		fail(w, p, NULL, r);
}

static void stop(struct worker *w, struct pair *p)
{
	if (p->state == PAIR_PARKED)
		return;
	unwatch(w, p->to_fd.vq->notified_fd);
	unwatch(w, p->to_vq.vq->notified_fd);
	lane_stop(&p->to_fd);
	lane_stop(&p->to_vq);
	w->running -= p->state == PAIR_RUNNING;
	p->state = PAIR_PARKED;
}

static int send_own(struct pair *p, const void *packet, uint32_t len)
{
	return p->state == PAIR_RUNNING ? fd_to_vq_inject(&p->to_vq, packet, len) : -ENOTCONN;
}

static void capture(struct pair *p, struct capture_tap *rx, struct capture_tap *tx)
{
	p->to_fd.tap = rx;
	p->to_vq.tap = tx;
}

void worker_thread_set_merge(struct worker *w, const struct merge_config *config)
{
	unsigned int i;

	w->config.merge = *config;
	for (i = 0; i < w->npairs; i++) {
		merge_configure(w->pairs[i].merge, config);
		set_lane_merge(w, &w->pairs[i]);
	}
}

static void set_poll(struct worker *w, bool busy, unsigned int idle_us)
{
	w->config.busy = busy;
	w->config.idle_us = idle_us;
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
		start(w, req->pair, req);
	else if (kind == REQUEST_STOP)
		stop(w, req->pair);
	else if (kind == REQUEST_SEND)
		req->result = send_own(req->pair, req->packet, req->len);
	else if (kind == REQUEST_CAPTURE)
		capture(req->pair, req->rx, req->tx);
	else if (kind == REQUEST_MERGE)
		worker_thread_set_merge(w, req->merge);
	else if (kind == REQUEST_POLL)
		set_poll(w, req->busy, req->idle_us);
	__atomic_store_n(&req->answered, true, __ATOMIC_RELEASE);
	sem_post(&req->done); /* the sender's stack: not ours from here on */
	return kind != REQUEST_QUIT;
}

/* Runs each lane of a pair once. Returns whether anything moved. */
static bool run_pair(struct worker *w, struct pair *p)
{
	int a = vq_to_fd_run(&p->to_fd);
	int b = fd_to_vq_run(&p->to_vq);

	if (unlikely(p->to_fd.refused))
		tell_refusal(w, p);
	if (unlikely(a < 0))
		fail_lane(w, p, &p->to_fd, a);
	else if (unlikely(b < 0))
		fail_lane(w, p, &p->to_vq, b);
	else
		return a > 0 || b > 0;
	return false;
}

static bool run_pairs(struct worker *w)
{
	bool moved = false;
	unsigned int i;

	for (i = 0; i < w->npairs; i++)
		if (w->pairs[i].state == PAIR_RUNNING)
			moved |= run_pair(w, &w->pairs[i]);
	return moved;
}

/*
 * Asks the rings to wake us; true when there is work already. The transmit ring only
 * matters when it is full: then frames may wait at the fd, whose edge has passed. So
 * does the fd's room when frames wait for it.
 */
static bool arm(struct worker *w, struct pair *p)
{
	bool work;

	if (p->to_fd.blocked)
		work = !watch_room(w, p, true);
	else
		work = vq_arm(p->to_fd.vq, true);
	if (p->to_vq.starved)
		work |= vq_arm(p->to_vq.vq, true);
	return work;
}

static void disarm(struct worker *w, struct pair *p)
{
	if (p->to_fd.blocked)
		watch_room(w, p, false);
	vq_arm(p->to_fd.vq, false);
	vq_arm(p->to_vq.vq, false);
}

static void count_wake(struct worker *w, uint64_t data)
{
	struct pair *p = &w->pairs[data / WAKES];

	if (data % WAKES == WAKE_RECEIVE)
		count_add(&p->to_fd.counters.calls, 1);
	else if (data % WAKES == WAKE_TRANSMIT)
		count_add(&p->to_vq.counters.calls, 1);
}

/* A lane that pauses wakes by itself. */
static int longest_sleep_ms(const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->npairs; i++)
		if (w->pairs[i].state == PAIR_RUNNING && lane_pauses(&w->pairs[i].to_vq))
			return LANE_PAUSE_MS;
	return -1;
}

static void sleep_until_woken(struct worker *w)
{
	struct epoll_event events[16];
	int n, i;

	n = epoll_wait(w->epoll_fd, events, ARRAY_SIZE(events), longest_sleep_ms(w));
	for (i = 0; i < n; i++)
		count_wake(w, events[i].data.u64);
}

/* Arms every running pair; true when one of them has work already. */
static bool arm_pairs(struct worker *w)
{
	bool work = false;
	unsigned int i;

	for (i = 0; i < w->npairs; i++)
		if (w->pairs[i].state == PAIR_RUNNING)
			work |= arm(w, &w->pairs[i]);
	return work;
}

static void disarm_pairs(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->npairs; i++)
		if (w->pairs[i].state == PAIR_RUNNING)
			disarm(w, &w->pairs[i]);
}

/* Nothing moved: spin on, or arm and sleep. */
static void idle(struct worker *w, struct spin *spin)
{
	const uint64_t most = (uint64_t)w->config.idle_us * 1000;

	if (w->config.busy || !spin_is_over(spin, now_ns(), most)) {
		cpu_relax();
		return;
	}
	if (!arm_pairs(w)) {
		spin_sleeps(spin);
		count_add(&w->sleeps, 1);
		sleep_until_woken(w);
	}
	disarm_pairs(w);
}

/* Runs the pairs once, or waits for something to do. */
static void run(struct worker *w, struct spin *spin)
{
	if (!run_pairs(w)) {
		if (w->running)
			idle(w, spin);
	} else if (spin->since) {
		spin_ends(spin);
	}
}

/* The first pair decides for all: what works for one fd of a port works for each. */
static int open_io(struct worker *w, unsigned int place)
{
	struct pair *p = &w->pairs[place];
	unsigned int number = worker_pair_number(w, place);
	int r = -EOPNOTSUPP;

	if (w->config.io != WORKER_IO_PLAIN && !w->io_error)
		r = uring_open(&p->io, w->config.kp, number);
	if (w->config.io == WORKER_IO_URING || !r)
		return r;
	if (w->config.io == WORKER_IO_AUTO && !w->io_error)
		w->io_error = r;
	return io_plain_open(&p->io, w->config.kp, number);
}

static int run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* Opens what has to be opened by the thread that uses it. */
static int open_thread(struct worker *w)
{
	unsigned int i;
	int r = 0;

	if (w->config.cpu >= 0)
		r = run_on(w->config.cpu);
	for (i = 0; i < w->npairs && !r; i++)
		r = open_io(w, i);
	return r;
}

static void close_thread(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->npairs; i++)
		io_close(w->pairs[i].io);
}

void *worker_thread_main(void *arg)
{
	struct worker *w = arg;
	struct spin spin = {0};

	prctl(PR_SET_NAME, "worker");
	w->open_error = open_thread(w);
	if (w->open_error)
		close_thread(w);
	sem_post(&w->opened);
	if (w->open_error)
		return NULL;
	while (read_mail(w)) {
		if (w->running)
			run(w, &spin);
		else
			sleep_until_woken(w);
	}
	close_thread(w);
	return NULL;
}
