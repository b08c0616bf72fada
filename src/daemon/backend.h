/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What serves the device's rings, by what --path names: the backend behind a socket, or
 * the kernel's vhost-net with a TAP of its own. The bridge asks both the same things.
 */
#ifndef DAEMON_BACKEND_H
#define DAEMON_BACKEND_H

#include <stdbool.h>
#include <systemd/sd-event.h>
#include <vubridge/vhost.h>

#include "daemon/options.h"
#include "daemon/path.h"

/* Called from the loop; neither may close the backend. */
struct backend_events {
	/* backend_link_up has changed. */
	void (*link)(void *owner);
	/* The backend's TAP is gone, and with it the backend. It is logged. */
	void (*lost)(void *owner);
};

struct backend;

struct backend_config {
	const struct options *options; /* must outlive the backend */
	const char *tag;               /* of log lines, likewise */
	enum path_kind kind;           /* of options->path */
	unsigned int mtu;              /* of the interface that is bridged; 0: not known */
	const struct backend_events *events;
	void *owner;
};

/* On error returns -errno with one line in @error. */
int backend_open(struct backend **out, sd_event *event, const struct backend_config *config,
		 char *error, size_t size);
void backend_close(struct backend *bk); /* NULL-safe; the vhost must be closed */

/* The peer of the device. */
struct vhost *backend_vhost(const struct backend *bk);

/* May its link be up? (The net status that it serves, if any, says more.) */
bool backend_link_up(const struct backend *bk);

/*
 * The device has come up with its first @active_pairs in use, or that number changed; 0:
 * it is down. What lies behind the backend is told by the TAP's carrier.
 */
void backend_follow(struct backend *bk, unsigned int active_pairs);

#endif
