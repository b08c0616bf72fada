/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server mode: those who have connected, until they answer the first question. Anyone may
 * connect and say nothing, so all are asked at once, and whoever answers first comes first.
 */
#ifndef PORT_GREETER_H
#define PORT_GREETER_H

#include <systemd/sd-event.h>
#include <vubridge/vhost.h>

struct greeter;

struct greeter_events {
	/* Someone has answered: see greeter_take. */
	void (*answered)(void *owner);
	/* Someone was dropped who did not, for this reason. */
	void (*dropped)(void *owner, int error, const char *why);
};

/* @vhost lends its greet operation alone. 0 or -errno. */
int greeter_open(struct greeter **out, sd_event *event, struct vhost *vhost,
		 const struct greeter_events *events, void *owner);
void greeter_close(struct greeter *g); /* NULL-safe */

/* Greets who is at the other end of @fd, and owns it from then on. */
void greeter_add(struct greeter *g, int fd);
/* The connection of the one who has waited longest since it answered, or -1. */
int greeter_take(struct greeter *g);
/* Sends all away; how many of them had answered. */
unsigned int greeter_clear(struct greeter *g);

#endif
