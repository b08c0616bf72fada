/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver side of a split virtqueue (virtio 1.3, 2.7) with buffers of its own:
 * the rings of a network card as a guest would run them.
 */
#ifndef VIRTIO_VQ_DRIVER_H
#define VIRTIO_VQ_DRIVER_H

#include <vubridge/vq.h>

#include "virtio/pool.h"

struct vq_driver_config {
	enum vq_direction direction; /* VQ_CONTENT: receive queue, VQ_SPACE: transmit queue */
	uint16_t index;              /* ring number in the device */
	uint16_t num;                /* descriptors, a power of two from 2 to 32768 */
	uint64_t features;           /* negotiated */
	int kick_fd, call_fd;        /* borrowed */
};

/* Where the device finds the ring: addresses in this process. */
struct vq_driver_addrs {
	void *desc, *avail, *used;
};

/* Bytes of pool that a queue with this configuration takes at most. */
size_t vq_driver_size(const struct vq_driver_config *config);

/*
 * Makes a queue in @pool; a receive queue gives the peer as many empty buffers as it
 * offers by itself, not yet published (the first flush does that). 0, -ENOMEM or -EINVAL.
 */
int vq_driver_open(struct vq **out, struct pool *pool, const struct vq_driver_config *config);
/* Forgets the queue, NULL-safe; its memory goes with the pool. */
void vq_driver_close(struct vq *vq);

void vq_driver_get_addrs(const struct vq *vq, struct vq_driver_addrs *addrs);

#endif
