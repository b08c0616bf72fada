/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control thread's side of a worker; what the thread does is in worker_thread.c. */
#include "engine/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/worker_thread.h"

/* A worker that has not answered after that is interrupted. */
#define ANSWER_NS	 100000000
#define INTERRUPT_SIGNAL SIGURG /* by default ignored, so that a late one harms nobody */

static unsigned int place_of_number(const struct worker *w, unsigned int pair)
{
	return (pair - w->config.first) / w->config.step;
}

static void on_interrupt(int signal __attribute__((unused)))
{
}

/* A signal that does nothing but end a system call of the worker. */
static int prepare_interrupt(void)
{
	const struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART */

	return sigaction(INTERRUPT_SIGNAL, &action, NULL) < 0 ? -errno : 0;
}

/* Waits until the worker has answered @req. */
static void await(struct worker *w, struct request *req)
{
	struct timespec deadline;

	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &deadline);
		deadline.tv_nsec += ANSWER_NS;
		deadline.tv_sec += deadline.tv_nsec / 1000000000;
		deadline.tv_nsec %= 1000000000;
		if (sem_clockwait(&req->done, CLOCK_MONOTONIC, &deadline) == 0 &&
		    __atomic_load_n(&req->answered, __ATOMIC_ACQUIRE))
			return;
		if (errno == ETIMEDOUT)
			pthread_kill(w->thread, INTERRUPT_SIGNAL);
	}
}

/* Posts @req and waits until the worker is done with it; returns its result. */
static int post(struct worker *w, struct request *req)
{
	const uint64_t one = 1;

	sem_init(&req->done, 0, 0);
	__atomic_store_n(&w->mail, req, __ATOMIC_RELEASE);
	while (write(w->mail_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	await(w, req);
	sem_destroy(&req->done);
	return req->result;
}

void worker_start(struct worker *w, unsigned int pair, struct vq *receive, struct vq *transmit,
		  uint64_t taken)
{
	post(w, &(struct request){
			.kind = REQUEST_START,
			.pair = &w->pairs[place_of_number(w, pair)],
			.receive = receive,
			.transmit = transmit,
			.taken = taken,
		});
}

void worker_stop(struct worker *w, unsigned int pair)
{
	struct pair *p = &w->pairs[place_of_number(w, pair)];

	post(w, &(struct request){.kind = REQUEST_STOP, .pair = p});
	/* a failure that was on its way belongs to the rings that are gone now */
	__atomic_store_n(&p->untaken, false, __ATOMIC_RELAXED);
}

int worker_send(struct worker *w, unsigned int pair, const void *packet, uint32_t len)
{
	return post(w, &(struct request){
			       .kind = REQUEST_SEND,
			       .pair = &w->pairs[place_of_number(w, pair)],
			       .packet = packet,
			       .len = len,
		       });
}

void worker_capture(struct worker *w, unsigned int pair, struct capture_tap *rx,
		    struct capture_tap *tx)
{
	post(w, &(struct request){
			.kind = REQUEST_CAPTURE,
			.pair = &w->pairs[place_of_number(w, pair)],
			.rx = rx,
			.tx = tx,
		});
}

void worker_set_merge(struct worker *w, const struct merge_config *merge)
{
	post(w, &(struct request){.kind = REQUEST_MERGE, .merge = merge});
}

void worker_set_poll(struct worker *w, bool busy, unsigned int idle_us)
{
	post(w, &(struct request){.kind = REQUEST_POLL, .busy = busy, .idle_us = idle_us});
}

void worker_check(struct worker *w)
{
	post(w, &(struct request){.kind = REQUEST_NOTHING});
}

int worker_event_fd(const struct worker *w)
{
	return w->event_fd;
}

struct worker_failure worker_take_failure(struct worker *w)
{
	struct worker_failure none = {0};
	uint64_t value;
	unsigned int i;

	/* before looking: what fails from here on makes it readable again */
	if (read(w->event_fd, &value, sizeof(value)) < 0 && errno != EAGAIN)
		return none;
	for (i = 0; i < w->npairs; i++)
		if (__atomic_exchange_n(&w->pairs[i].untaken, false, __ATOMIC_ACQUIRE))
			return w->pairs[i].failure;
	return none;
}

int worker_take_refusal(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->npairs; i++)
		if (__atomic_exchange_n(&w->pairs[i].unmerged, false, __ATOMIC_ACQUIRE))
			return (int)worker_pair_number(w, i);
	return -1;
}

struct worker_counters worker_counters(const struct worker *w, unsigned int pair)
{
	const struct pair *p = &w->pairs[place_of_number(w, pair)];

	return (struct worker_counters){&p->to_fd.counters, &p->to_vq.counters, &w->sleeps};
}

const char *worker_io_name(const struct worker *w)
{
	return w->pairs[0].io->name;
}

static int open_fds(struct worker *w)
{
	unsigned int i;
	int r;

	w->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->mail_fd < 0 || w->event_fd < 0 || w->epoll_fd < 0)
		return -errno;
	r = worker_thread_watch(w, w->mail_fd, worker_wake_data(0, WAKE_MAIL));
	for (i = 0; i < w->npairs && !r; i++) {
		w->pairs[i].fd = w->config.kp->fds[worker_pair_number(w, i)];
		r = worker_thread_watch(w, w->pairs[i].fd, worker_wake_data(i, WAKE_FD));
	}
	return r;
}

/* What the lanes need beside their own, for a worker's whole life. */
static int open_stages(struct worker *w)
{
	const struct merge_config *c = &w->config.merge;
	unsigned int i;

	for (i = 0; i < w->npairs; i++) {
		struct pair *p = &w->pairs[i];

		p->fit = fit_open();
		p->merge = merge_open(c);
		if (!p->fit || !p->merge)
			return -ENOMEM;
	}
	worker_thread_set_merge(w, c);
	return 0;
}

static void destroy(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->npairs; i++) {
		fit_close(w->pairs[i].fit);
		merge_close(w->pairs[i].merge);
	}
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
	sigdelset(&all, INTERRUPT_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&w->thread, NULL, worker_thread_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static struct worker *allocate(const struct worker_config *config)
{
	unsigned int n = (config->kp->pairs - config->first + config->step - 1) / config->step;
	size_t size = sizeof(struct worker) + n * sizeof(struct pair);
	struct worker *w;

	if (posix_memalign((void **)&w, CACHE_LINE, size))
		return NULL;
	memset(w, 0, size);
	w->config = *config;
	w->config.merge.hdr_len = config->kp->hdr_len;
	w->npairs = n;
	w->mail_fd = w->event_fd = w->epoll_fd = -1;
	return w;
}

int worker_open(struct worker **out, const struct worker_config *config, int *io_error)
{
	struct worker *w;
	int r;

	*out = NULL;
	*io_error = 0;
	w = allocate(config);
	if (!w)
		return -ENOMEM;
	sem_init(&w->opened, 0, 0);
	r = open_fds(w);
	if (!r)
		r = open_stages(w);
	if (!r)
		r = prepare_interrupt();
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
	post(w, &(struct request){.kind = REQUEST_QUIT});
	pthread_join(w->thread, NULL);
	destroy(w);
}
