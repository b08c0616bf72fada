/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of a bridge: where it is, who may use it, what it answers, and the
 * events that it tells.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <systemd/sd-event.h>

#include "daemon/bridge.h"
#include "daemon/options.h"

struct control;

/*
 * Makes the socket, while there are privileges for its place, group and owner. On error
 * returns -errno with one line in @error. Without --control a socket that cannot be had is no
 * error: the log says so, and *out is NULL, as it is with --control none.
 */
int control_listen(struct control **out, const struct options *options, struct bridge *bridge,
		   char *error, size_t size);
/* Serves it, on the loop that runs from here on. 0 or -errno. NULL-safe, as control_close. */
int control_start(struct control *c, sd_event *event);
/*
 * Sets what a client's set of that name would, for @by, who is named in the log. -ENOENT: it
 * cannot be changed while it runs; -EINVAL with one line in @error: not to this value.
 */
int control_set(struct bridge *bridge, const char *name, const char *value, const char *by,
		char *error, size_t size);
/* Ends all connections and removes the socket. Before the bridge is closed. */
void control_close(struct control *c);

#endif
