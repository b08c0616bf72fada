/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bridge joins one virtio port and one kernel port: it owns both, their workers,
 * and the rule by which the interface's carrier follows the device.
 */
#ifndef DAEMON_BRIDGE_H
#define DAEMON_BRIDGE_H

#include <systemd/sd-event.h>

#include "daemon/options.h"
#include "daemon/path.h"

struct bridge;

/*
 * Makes everything that @options name and begins to connect; @options must outlive the
 * bridge, @kind is what their path is. @cancel_fd (borrowed) becomes readable when the
 * program shall end. On error returns -errno with one line in @error, and nothing is left
 * behind.
 *
 * When the interface, or that of vhost-net, is lost, the loop @event is ended with
 * OPTIONS_EXIT_SYSTEM.
 */
int bridge_open(struct bridge **out, sd_event *event, const struct options *options,
		enum path_kind kind, int cancel_fd, char *error, size_t size);
/* Stops the rings, removes the interface if it was made here. NULL-safe. */
void bridge_close(struct bridge *b);

const char *bridge_name(const struct bridge *b);

/* Writes all counters to the log. */
void bridge_log_counters(const struct bridge *b);

#endif
