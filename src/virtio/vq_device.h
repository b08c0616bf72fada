/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device side of a split virtqueue (virtio 1.3, 2.7): the rings and buffers are
 * the driver's, in memory that it shared with us.
 *
 * The virtio-net header must lie in the first descriptor of a chain, whole: so every
 * driver lays it out, the legacy ones by the letter.
 *
 * A VQ_SPACE frame given shorter than it was taken returns the chains that it does
 * not reach, so it must then be the newest one taken.
 */
#ifndef VIRTIO_VQ_DEVICE_H
#define VIRTIO_VQ_DEVICE_H

#include <vubridge/vq.h>

#include <stddef.h>

/* A part of the driver's memory and where this process has it mapped. */
struct vq_device_region {
	uint64_t guest_phys_addr; /* what descriptors hold */
	uint64_t userspace_addr;  /* what ring addresses hold */
	uint64_t size;            /* bytes */
	uint8_t *base;
};

/* Borrowed by the queues that use it. */
struct vq_device_memory {
	unsigned int count;
	struct vq_device_region regions[8];
};

struct vq_device_config {
	enum vq_direction direction; /* VQ_CONTENT: the driver's transmit queue */
	uint16_t index;
	uint16_t num;   /* descriptors, a power of two from 2 to 32768 */
	uint16_t base;  /* next available index to process */
	uint64_t features; /* negotiated */
	bool batches; /* with IN_ORDER: one used entry for all of VQ_CONTENT that a flush uses */
	uint64_t desc, avail, used; /* in terms of userspace_addr */
	int kick_fd, call_fd; /* borrowed: the driver writes the first, we the second */
};

/*
 * Makes a queue over the driver's ring. 0, -ENOMEM, -EINVAL for a wrong size, -EFAULT
 * for addresses outside the memory or not aligned.
 */
int vq_device_open(struct vq **out, const struct vq_device_memory *memory,
		   const struct vq_device_config *config);
void vq_device_close(struct vq *vq); /* NULL-safe */

/* The next available index that would be processed (GET_VRING_BASE). */
uint16_t vq_device_base(const struct vq *vq);

#endif
