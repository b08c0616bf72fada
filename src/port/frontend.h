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

struct frontend_config {
	struct vhost *vhost;     /* borrowed, closed when the port is */
	const char *path;        /* where the peer is: for the log, and to see it come */
	const char *tag;         /* of log lines; must outlive the port */
	unsigned int pairs;      /* queue pairs wanted */
	unsigned int queue_size; /* descriptors of each ring, a power of two */
	uint64_t offloads;       /* VIRTIO_NET_F_ bits that the kernel port can do */
	bool hugepages;          /* ring memory in huge pages, if there are any */
};

/* A stopped port on the loop @event. 0 or -errno. */
int frontend_open(struct vport **out, sd_event *event, const struct frontend_config *config,
		  const struct vport_events *events, void *owner);

#endif
