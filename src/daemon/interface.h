/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface that the rest of the system sees, of whatever kind and in whatever
 * network namespace: opened, configured, watched, and kept in agreement with the device.
 */
#ifndef DAEMON_INTERFACE_H
#define DAEMON_INTERFACE_H

#include <systemd/sd-event.h>
#include <vubridge/kport.h>

#include "daemon/mirror.h"
#include "daemon/options.h"
#include "daemon/watch.h"
#include "net/linkmon.h"

struct interface_events {
	/* Others may have changed the carrier: time to put it right. */
	void (*settled)(void *owner);
	/* It is gone for good, and why is logged. */
	void (*lost)(void *owner);
};

struct interface {
	const struct options *options;
	sd_event *event; /* borrowed */
	const struct interface_events *events;
	void *owner;

	struct kport *kport;
	struct rtnl *rtnl; /* of its network namespace */
	struct watch *watch;
	struct mirror mirror;
	bool seen; /* its link events reach us */

	/* of a veth, the end that is ours: its life, and whether it is up, is the port's */
	struct linkmon *hidden_linkmon;
	struct linkmon_state hidden;
	sd_event_source *hidden_source;
};

/*
 * Opens an interface of @pairs queue pairs; @i has options, event, events and owner set
 * and is zero otherwise. 0 or -errno with one line in @error; interface_close either way.
 */
int interface_open(struct interface *i, unsigned int pairs, char *error, size_t size);
void interface_close(struct interface *i);

/* Logs, if it is so, that the queues of a TAP which was there before are short. */
void interface_say_queue(const struct kport *kp);

/* Logs why, if it cannot be. */
void interface_set_carrier(struct interface *i, bool on);

/*
 * Is the carrier, as far as it is ours to set, what anyone last asked for and @on? False
 * also where it cannot be seen.
 */
bool interface_carrier_is(const struct interface *i, bool on);

#endif
