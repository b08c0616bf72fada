/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a virtio device asks of the peer that serves its rings (the vhost-user
 * backend behind a socket, or the kernel's vhost). An operation that the peer has no
 * use for succeeds at once, unless it says otherwise below.
 *
 * One thread at a time may use it. They return 0 or -errno and are silent; what
 * went wrong is in vhost->why and vhost->request, for the one who logs. A request
 * that gets no answer, or none before the deadline, ends with -ETIMEDOUT, one interrupted
 * by cancel_fd with -ECANCELED. After any error the connection must be closed.
 */
#ifndef VUBRIDGE_VHOST_H
#define VUBRIDGE_VHOST_H

#include <linux/vhost_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One region of memory shared with the peer (vhost-user: Memory region description). */
struct vhost_region {
	uint64_t guest_phys_addr; /* what descriptors hold */
	uint64_t memory_size;     /* bytes, a multiple of the page size of fd */
	uint64_t userspace_addr;  /* where this process maps it; what ring addresses hold */
	uint64_t mmap_offset;     /* bytes from the start of fd */
	int fd;                   /* borrowed */
};

/* One ring as the peer has to know it. The fds are borrowed. */
struct vhost_ring {
	unsigned int index;
	uint32_t num;     /* descriptors */
	uint16_t base;    /* next available index the peer shall process */
	uint64_t desc;    /* userspace_addr of the descriptor table */
	uint64_t avail;   /* of the available ring */
	uint64_t used;    /* of the used ring */
	int kick_fd;      /* the peer waits on it */
	int call_fd;      /* the peer writes to it */
};

struct vhost;

/* What the peer told unasked. */
enum vhost_news {
	VHOST_NEWS_NONE,
	VHOST_NEWS_CONFIG, /* the configuration space changed: read it again */
};

struct vhost_ops {
	/*
	 * Says the first words on a connection that the peer made, and waits for nothing: it
	 * becomes readable when they are answered. Touches no vhost. NULL: peers never
	 * connect.
	 */
	int (*greet)(int fd);
	/*
	 * Connects, or takes over vhost->accepted_fd, and negotiates the transport (owner,
	 * protocol features). Sets vhost->fd and what is offered below.
	 */
	int (*open)(struct vhost *v);
	/* Device features to ack: a subset of vhost->features (transport bits are added here). */
	int (*set_features)(struct vhost *v, uint64_t features);
	/* virtio 2.1 device status; nothing to do (0) where the peer keeps no status. */
	int (*set_status)(struct vhost *v, uint8_t status);
	/* What the peer made of it: -EOPNOTSUPP where vhost->has_status is false. */
	int (*get_status)(struct vhost *v, uint8_t *status);
	/*
	 * The MTU of the interface, after set_features; nothing to do (0) where the peer did
	 * not agree to hear it or VIRTIO_NET_F_MTU was not acked.
	 */
	int (*set_mtu)(struct vhost *v, uint16_t mtu);
	/* Asks the peer to tell the network where @mac is now (RARP); -EOPNOTSUPP where
	 * vhost->has_announce is false. */
	int (*announce)(struct vhost *v, const uint8_t mac[6]);
	/* Reads @len bytes at @offset of the device's configuration space; -EOPNOTSUPP
	 * where vhost->has_config is false. */
	int (*get_config)(struct vhost *v, void *buf, uint32_t offset, uint32_t len);
	int (*set_mem_table)(struct vhost *v, const struct vhost_region *regions, unsigned int n);
	/* The call eventfd of ring @index: the one thing some peers need before all else. */
	int (*set_vring_call)(struct vhost *v, unsigned int index, int call_fd);
	/* Size, base, addresses, kick: in the order that every peer accepts. */
	int (*set_vring)(struct vhost *v, const struct vhost_ring *ring);
	int (*set_vring_enable)(struct vhost *v, unsigned int index, bool on);
	/* Stops a ring and returns its base (the next available index) in *base. */
	int (*get_vring_base)(struct vhost *v, unsigned int index, uint16_t *base);
	/*
	 * Reads what the peer sent unasked: call when fd or backend_fd is readable, or
	 * vhost->news is set. 0 and *news, of which there may be more, or -errno when the peer
	 * hung up (-ECONNRESET) or sent something that it may not (-EPROTO).
	 */
	int (*hear)(struct vhost *v, enum vhost_news *news);
	/* Closes the connection and forgets everything negotiated; safe at any time. */
	void (*close)(struct vhost *v);
};

struct vhost {
	const struct vhost_ops *ops;
	/* set by whoever makes the object */
	bool waits;              /* for answers: its operations take as long as the peer does */
	int cancel_fd;           /* readable: give up waiting (borrowed), or -1 */
	unsigned int timeout_ms; /* for one answer */
	uint64_t deadline_ns;    /* for all of them, by CLOCK_MONOTONIC; 0: none */
	/*
	 * A connection that the peer made (server mode) and that was greeted, for the next
	 * open, which owns it from then on; -1: open connects.
	 */
	int accepted_fd;

	/* set by open */
	int fd;                  /* watch for readable and hang-up; -1 when closed */
	int backend_fd;          /* watch for readable; -1: the peer has no such channel */
	uint64_t features;       /* VIRTIO_*_F_ bits the peer offers, transport bits removed */
	unsigned int max_pairs;  /* queue pairs, or rings, the peer serves: at least 1 */
	bool has_status;         /* set_status reaches the peer */
	bool has_config;         /* get_config is served */
	bool has_announce;       /* announce is served */
	enum vhost_news news;    /* that came while an answer was awaited: for hear to tell */

	/* set on error: static strings */
	const char *request; /* the message that failed, by the specification's name */
	const char *why;     /* one English phrase, "" when the errno says all */
};

#endif
