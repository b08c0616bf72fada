/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rings of one connection: their memory, their eventfds, and how they are told
 * to the peer. Made anew for each connection, so that a peer that was given up can
 * neither write to the rings of its successor nor wake them.
 */
#ifndef PORT_RINGS_H
#define PORT_RINGS_H

#include <vubridge/vhost.h>
#include <vubridge/vq.h>

#include "virtio/pool.h"

struct rings {
	struct pool pool;
	unsigned int count; /* two a queue pair */
	unsigned int size;  /* descriptors each */
	struct vq **vqs;    /* [count] */
	int *fds;           /* [2 * count]: kick and call of each ring */
	unsigned int at;    /* the ring whose set-up failed, 0: the first, or none */
	bool at_call;	    /* it failed when the peer was told its call eventfd */
};

/* 0 or -errno; closed again on error. */
int rings_open(struct rings *rings, unsigned int pairs, unsigned int size, uint64_t features,
	       bool hugepages);
/* Safe on a zeroed or half-open object. */
void rings_close(struct rings *rings);

/* Tells the peer the call eventfds. 0 or -errno as vhost's operations. */
int rings_tell_calls(struct rings *rings, struct vhost *v);
/* Memory table, then size, base, addresses and kick of each ring. */
int rings_tell(struct rings *rings, struct vhost *v);
/* The rings of @pairs pairs from @first on. */
int rings_enable(struct rings *rings, struct vhost *v, unsigned int first, unsigned int pairs,
		 bool on);
/* Stops each ring at the peer (GET_VRING_BASE). */
int rings_stop(const struct rings *rings, struct vhost *v);

#endif
