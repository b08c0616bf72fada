/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio-user device: the driver side of a virtio-net device whose rings a vhost
 * peer serves, from the first attempt to connect through any number of reconnects.
 */
#ifndef PORT_FRONTEND_H
#define PORT_FRONTEND_H

#include <systemd/sd-event.h>
#include <vubridge/vhost.h>
#include <vubridge/vport.h>

#include "base/listener.h"
#include "port/device.h"

struct frontend_config {
	struct vhost *vhost;     /* borrowed, closed when the port is */
	/* where the peer connects to us (server mode), borrowed; NULL: we connect to it */
	struct listener *listen;
	const char *path;        /* where the peer is: for the log, and to see it come */
	const char *tag;         /* of log lines; must outlive the port */
	struct device_config device;
};

/* A stopped port on the loop @event. 0 or -errno. */
int frontend_open(struct vport **out, sd_event *event, const struct frontend_config *config,
		  const struct vport_events *events, void *owner);

#endif
