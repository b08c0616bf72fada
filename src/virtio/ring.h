/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The split virtqueue's memory (virtio 1.3, 2.7) over <linux/virtio_ring.h>, for
 * both sides. Layout and alignment are those of the legacy interface (2.7.2),
 * which the modern one contains.
 */
#ifndef VIRTIO_RING_H
#define VIRTIO_RING_H

#include <linux/virtio_ring.h>

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_ALIGN 4096u
#define RING_NUM_MIN 2u
#define RING_NUM_MAX 32768u

struct ring {
	struct vring vr;
	uint16_t mask;     /* num - 1 */
	bool little;       /* VERSION_1: little-endian, else this machine's order */
	bool event_idx;    /* VIRTIO_RING_F_EVENT_IDX */
	uint8_t hdr_len;   /* of the virtio-net header in it */
};

static inline uint16_t ring16(const struct ring *r, uint16_t v)
{
	return r->little ? htole16(v) : v; /* its own inverse */
}

static inline uint32_t ring32(const struct ring *r, uint32_t v)
{
	return r->little ? htole32(v) : v;
}

static inline uint64_t ring64(const struct ring *r, uint64_t v)
{
	return r->little ? htole64(v) : v;
}

static inline uint16_t *ring_used_event(const struct ring *r)
{
	return &vring_used_event(&r->vr);
}

static inline uint16_t *ring_avail_event(const struct ring *r)
{
	return (uint16_t *)&vring_avail_event(&r->vr);
}

#endif
