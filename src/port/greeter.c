/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/greeter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/fdmsg.h"
#include "base/util.h"

/* What any backend knows at once; later answers have more time. */
#define FIRST_ANSWER_US 1000000u
/* With more of them the one that has been silent for longest makes room. */
#define GUESTS_MAX 64u

struct guest {
	struct greeter *greeter;
	int fd;
	uint64_t answered; /* its number in the order of answers; 0: it is silent */
	sd_event_source *io, *timer;
};

struct greeter {
	sd_event *event;
	struct vhost *vhost;
	const struct greeter_events *events;
	void *owner;

	struct guest *guests[GUESTS_MAX]; /* in the order of their coming */
	unsigned int n;
	uint64_t answers;
};

/* Takes guest @i away; its connection is the caller's. */
static int let_go(struct greeter *g, unsigned int i)
{
	struct guest *guest = g->guests[i];
	int fd = guest->fd;

	g->n--;
	memmove(&g->guests[i], &g->guests[i + 1], (g->n - i) * sizeof(g->guests[0]));
	sd_event_source_disable_unref(guest->io);
	sd_event_source_disable_unref(guest->timer);
	free(guest);
	return fd;
}

static void send_away(struct greeter *g, unsigned int i)
{
	int fd = let_go(g, i);

	close_fd(&fd);
}

static void drop(struct guest *guest, int error, const char *why)
{
	struct greeter *g = guest->greeter;
	unsigned int i = 0;

	while (g->guests[i] != guest)
		i++;
	send_away(g, i);
	g->events->dropped(g->owner, error, why);
}

static int on_guest(sd_event_source *source __attribute__((unused)), int fd,
		    uint32_t revents __attribute__((unused)), void *userdata)
{
	struct guest *guest = userdata;
	struct greeter *g = guest->greeter;
	int n = fdmsg_pending(fd);

	if (n < 0) {
		drop(guest, n, n == -ECONNRESET ? "the peer hung up instead of answering" : "");
	} else if (n > 0) {
		guest->answered = ++g->answers;
		guest->io = sd_event_source_disable_unref(guest->io);
		guest->timer = sd_event_source_disable_unref(guest->timer);
		g->events->answered(g->owner);
	}
	return 0;
}

static int on_silence(sd_event_source *source __attribute__((unused)),
		      uint64_t usec __attribute__((unused)), void *userdata)
{
	drop(userdata, -ETIMEDOUT, "no answer in time");
	return 0;
}

/* ---- life ---- */

int greeter_open(struct greeter **out, sd_event *event, struct vhost *vhost,
		 const struct greeter_events *events, void *owner)
{
	struct greeter *g = calloc(1, sizeof(*g));

	*out = g;
	if (!g)
		return -ENOMEM;
	g->event = sd_event_ref(event);
	g->vhost = vhost;
	g->events = events;
	g->owner = owner;
	return 0;
}

void greeter_close(struct greeter *g)
{
	if (!g)
		return;
	greeter_clear(g);
	sd_event_unref(g->event);
	free(g);
}

static void make_room(struct greeter *g)
{
	unsigned int i;

	if (g->n < GUESTS_MAX)
		return;
	for (i = 0; i < g->n - 1 && g->guests[i]->answered; i++)
		;
	send_away(g, i);
}

static int watch(struct greeter *g, struct guest *guest)
{
	int r = sd_event_add_io(g->event, &guest->io, guest->fd, EPOLLIN, on_guest, guest);

	if (r >= 0)
		r = sd_event_add_time_relative(g->event, &guest->timer, CLOCK_MONOTONIC,
					       FIRST_ANSWER_US, 1000, on_silence, guest);
	return r < 0 ? r : 0;
}

void greeter_add(struct greeter *g, int fd)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	int r;

	if (!guest) {
		close_fd(&fd);
		g->events->dropped(g->owner, -ENOMEM, "");
		return;
	}
	make_room(g);
	*guest = (struct guest){.greeter = g, .fd = fd};
	g->guests[g->n++] = guest;
	r = g->vhost->ops->greet(fd);
	if (!r)
		r = watch(g, guest);
	if (r)
		drop(guest, r, r == -ECONNRESET ? "the peer hung up" : "");
}

int greeter_take(struct greeter *g)
{
	unsigned int i, first = g->n;

	for (i = 0; i < g->n; i++)
		if (g->guests[i]->answered &&
		    (first == g->n || g->guests[i]->answered < g->guests[first]->answered))
			first = i;
	return first < g->n ? let_go(g, first) : -1;
}

unsigned int greeter_clear(struct greeter *g)
{
	unsigned int answered = 0;

	while (g->n) {
		answered += g->guests[g->n - 1]->answered != 0;
		send_away(g, g->n - 1);
	}
	return answered;
}
