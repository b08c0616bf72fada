/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps an eye on the interface: what changes of it, and where it goes. A rename and a
 * move to another network namespace are followed and logged here.
 */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include <systemd/sd-event.h>
#include <vubridge/kport.h>

#include "net/linkmon.h"
#include "net/rtnl.h"

struct watch_events {
	/* The state differs from the last one told; the first call tells what was found. */
	void (*changed)(void *owner, const struct linkmon_state *state);
	/*
	 * Time to put right what others may have set: all that was pending is told or, with
	 * @seen false, nothing is known, for the interface is where it cannot be seen.
	 */
	void (*settled)(void *owner, bool seen);
	/* It was followed to another network namespace, that of @rtnl, which is the owner's from
	 * now on in place of the one it had. */
	void (*moved)(void *owner, struct rtnl *rtnl);
	/* It is gone for good, and why is logged. */
	void (*lost)(void *owner);
};

struct watch;

/*
 * Watches @kp, an interface of the calling thread's network namespace; that is the one
 * called @netns (a name or path as netns_open takes it), or with NULL the program's own.
 */
int watch_open(struct watch **out, sd_event *event, struct kport *kp, const char *netns,
	       const struct watch_events *events, void *owner);
void watch_close(struct watch *w); /* NULL-safe */

#endif
