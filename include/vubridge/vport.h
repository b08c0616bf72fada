/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio port: a virtio-net device seen from one of its two sides, with its
 * rings, its link and its life. Today the driver side over a vhost peer
 * (port/frontend.c); later the device side.
 *
 * Everything here is the control thread's. Between `up` and the return of `down`
 * the rings of active pairs belong to the workers.
 */
#ifndef VUBRIDGE_VPORT_H
#define VUBRIDGE_VPORT_H

#include <vubridge/vq.h>

#include <linux/if_ether.h>

struct vport;

/* What of the device's configuration (5.1.4) changed. */
enum vport_change {
	VPORT_LINK = 1,     /* net_status, VIRTIO_NET_S_LINK_UP */
	VPORT_MTU = 2,      /* mtu */
	VPORT_MAC = 4,      /* peer_mac */
	VPORT_ANNOUNCE = 8, /* the device asks to be announced (VIRTIO_NET_S_ANNOUNCE) */
};

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
	/* The configuration changed while the device was up; @changes: VPORT_ bits. */
	void (*changed)(void *owner, unsigned int changes);
	/*
	 * active_pairs changed while the device was up. Rings of pairs that are not active
	 * any more must be quiesced before this returns.
	 */
	void (*pairs)(void *owner);
	/* asking was true and is not any more, while the device is up. */
	void (*answered)(void *owner);
};

struct vport_ops {
	/* Begins to connect, and goes on for ever. 0 or -errno. */
	int (*start)(struct vport *vp);
	/* Disconnects, telling the peer where it can still hear it. Calls down if it was up. */
	void (*stop)(struct vport *vp);
	/* A worker found ring @vq broken: log it, disconnect, retry with back-off. */
	void (*broken)(struct vport *vp, const struct vq *vq);
	/*
	 * A command of the control queue (5.1.6.5), @len bytes at @data as they would stand
	 * in the ring. Returns VIRTIO_NET_OK or VIRTIO_NET_ERR.
	 */
	uint8_t (*control)(struct vport *vp, uint8_t class, uint8_t command, const void *data,
			   size_t len);
	/* A write to the configuration space: the MAC alone may be written, else -EPERM. */
	int (*write_config)(struct vport *vp, size_t offset, const void *data, size_t len);
	/*
	 * Of the peer is asked, and answered later: a number of pairs by control, and the next
	 * two; asking is true until all is answered. A refusal is logged; after any other
	 * error the connection is given up: down follows from the loop.
	 */
	/* Tells the peer the interface's MTU, if it agreed to hear it. 0 or -errno. */
	int (*set_mtu)(struct vport *vp, unsigned int mtu);
	/* What may be negotiated from the next connection on: VIRTIO_F_ and _NET_F_ bits. */
	void (*set_features)(struct vport *vp, uint64_t features);
	/* Has the peer tell the network where mac is; -EOPNOTSUPP: it does not do that. */
	int (*announce)(struct vport *vp);
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
	bool asking;        /* the peer has yet to answer something */
	uint64_t features;  /* negotiated, valid while connected */
	unsigned int max_pairs;    /* that the peer serves */
	unsigned int pairs;        /* that have rings: at most what was asked for */
	unsigned int active_pairs; /* the first of them, whose rings are enabled */
	unsigned int queue_size;   /* descriptors of each ring */
	uint8_t ring_hdr_len; /* bytes of virtio-net header in the rings: 10 or 12 */
	/* of the configuration space, as far as the peer serves it */
	bool has_mac; /* the peer gave one: */
	uint8_t peer_mac[ETH_ALEN];
	uint8_t mac[ETH_ALEN]; /* the device's, as its driver set it */
	bool promisc, allmulti; /* likewise, by the control queue */
	uint16_t mtu; /* the largest that the peer allows, 0: it did not say */

	/*
	 * The owner's: packets will be as long as this whatever the peer says, 0: its mtu is
	 * kept to. Of a peer that allows less, VIRTIO_NET_F_MTU is not acked (5.1.4.2), from the
	 * next connection on.
	 */
	unsigned int least_mtu;

	uint64_t connects;  /* times up was called */
	struct vq **vqs;    /* [2 * pairs]: even receive (VQ_CONTENT), odd transmit (VQ_SPACE) */
};

#endif
