/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio port: a virtio-net device seen from one of its two sides, with its
 * rings, its link and its life. Today the driver side over a vhost peer
 * (port/frontend.c); later the device side.
 *
 * Everything here is the control thread's. Between `up` and the return of `down`
 * the rings belong to the workers.
 */
#ifndef VUBRIDGE_VPORT_H
#define VUBRIDGE_VPORT_H

#include <vubridge/vq.h>

struct vport;

/* What a port tells its owner; called from the control thread. */
struct vport_events {
	/*
	 * The device has reached DRIVER_OK with its rings enabled: features, pairs and
	 * rings are valid. Return 0, or -errno to refuse (the port disconnects and retries).
	 */
	int (*up)(void *owner);
	/*
	 * The connection is over. Carrier must go off and every ring be quiesced
	 * before this returns; afterwards ring memory is reset or unmapped.
	 */
	void (*down)(void *owner);
	/* The net status of the device changed (virtio 1.3, 5.1.4: VIRTIO_NET_S_LINK_UP). */
	void (*link)(void *owner);
};

struct vport_ops {
	/* Begins to connect, and goes on for ever. 0 or -errno. */
	int (*start)(struct vport *vp);
	/* Disconnects, telling the peer where it can still hear it. Calls down if it was up. */
	void (*stop)(struct vport *vp);
	/* A worker found ring @vq broken: log it, disconnect, retry with back-off. */
	void (*broken)(struct vport *vp, const struct vq *vq);
	void (*close)(struct vport *vp); /* NULL-safe, stops first */
};

struct vport {
	const struct vport_ops *ops;
	const struct vport_events *events;
	void *owner;

	/* Two variables on purpose: device status bits and link bits share values. */
	uint8_t device_status; /* virtio 2.1: ACKNOWLEDGE | DRIVER | … */
	uint16_t net_status;   /* 5.1.4: VIRTIO_NET_S_LINK_UP | … */

	bool connected;     /* the peer is there */
	bool rings_enabled; /* every active ring is enabled */
	uint64_t features;  /* negotiated, valid while connected */
	unsigned int pairs; /* active queue pairs */
	uint8_t ring_hdr_len; /* bytes of virtio-net header in the rings: 10 or 12 */
	uint64_t connects;  /* times up was called */
	struct vq **vqs;    /* [2 * pairs]: even receive (VQ_CONTENT), odd transmit (VQ_SPACE) */
};

#endif
