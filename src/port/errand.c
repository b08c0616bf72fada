/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/errand.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/util.h"

/* What is written to one eventfd before, is read after it by the other thread. */
struct errand {
	int go_fd;     /* the thread waits on it */
	int home_fd;   /* the loop does */
	int cancel_fd; /* whatever the errand waits for does */
	bool has_thread, out, ending;

	int (*fn)(void *arg);
	void *arg;
	int result;

	pthread_t thread;
	sd_event_source *source;
	void (*home)(void *owner, int result);
	void *owner;
};

static void signal_fd(int fd)
{
	eventfd_write(fd, 1);
}

static void *run(void *arg)
{
	struct errand *e = arg;
	eventfd_t count;

	prctl(PR_SET_NAME, "errand");
	signal_fd(e->home_fd); /* it runs */
	for (;;) {
		if (eventfd_read(e->go_fd, &count) < 0)
			continue; /* a signal: nothing else can go wrong */
		if (e->ending)
			return NULL;
		e->result = e->fn(e->arg);
		signal_fd(e->home_fd);
	}
}

static int on_home(sd_event_source *source __attribute__((unused)), int fd,
		   uint32_t revents __attribute__((unused)), void *userdata)
{
	struct errand *e = userdata;
	eventfd_t count;

	if (eventfd_read(fd, &count) < 0 || !e->out)
		return 0;
	e->out = false;
	e->home(e->owner, e->result);
	return 0;
}

static void wait_for_home(struct errand *e)
{
	struct pollfd home = {.fd = e->home_fd, .events = POLLIN};
	eventfd_t count;

	while (eventfd_read(e->home_fd, &count) < 0)
		poll(&home, 1, -1);
}

/*
 * Signals are the other threads'. What a thread calls as it begins may be forbidden soon
 * (daemon/isolate.h), so that is waited for.
 */
static int start_thread(struct errand *e)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&e->thread, NULL, run, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	e->has_thread = !r;
	if (!r)
		wait_for_home(e);
	return r;
}

static int open_fds(struct errand *e)
{
	e->go_fd = eventfd(0, EFD_CLOEXEC);
	e->home_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return e->go_fd < 0 || e->home_fd < 0 || e->cancel_fd < 0 ? -errno : 0;
}

int errand_open(struct errand **out, sd_event *event, void (*home)(void *owner, int result),
		void *owner)
{
	struct errand *e = calloc(1, sizeof(*e));
	int r;

	*out = NULL;
	if (!e)
		return -ENOMEM;
	e->go_fd = e->home_fd = e->cancel_fd = -1;
	e->home = home;
	e->owner = owner;
	r = open_fds(e);
	if (!r)
		r = sd_event_add_io(event, &e->source, e->home_fd, EPOLLIN, on_home, e);
	if (r >= 0)
		r = start_thread(e);
	if (r < 0) {
		errand_close(e);
		return r;
	}
	*out = e;
	return 0;
}

void errand_close(struct errand *e)
{
	if (!e)
		return;
	errand_call_back(e);
	if (e->has_thread) {
		e->ending = true;
		signal_fd(e->go_fd);
		pthread_join(e->thread, NULL);
	}
	sd_event_source_disable_unref(e->source);
	close_fd(&e->go_fd);
	close_fd(&e->home_fd);
	close_fd(&e->cancel_fd);
	free(e);
}

int errand_cancel_fd(const struct errand *e)
{
	return e->cancel_fd;
}

void errand_send(struct errand *e, int (*fn)(void *arg), void *arg, bool here)
{
	e->out = true;
	e->fn = fn;
	e->arg = arg;
	if (!here) {
		signal_fd(e->go_fd);
		return;
	}
	e->result = fn(arg);
	signal_fd(e->home_fd);
}

bool errand_is_out(const struct errand *e)
{
	return e->out;
}

void errand_call_back(struct errand *e)
{
	eventfd_t count;

	if (!e->out)
		return;
	signal_fd(e->cancel_fd);
	wait_for_home(e);
	eventfd_read(e->cancel_fd, &count);
	e->out = false;
}
