/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver queue in a pool of its own, and the same ring as a hand-written peer sees
 * it: the peer reads the available ring, writes into buffers and pokes used entries,
 * by the rules or against them.
 */
#ifndef RING_RIG_H
#define RING_RIG_H

#include <vubridge/vq.h>

#include "virtio/feature.h"
#include "virtio/pool.h"
#include "virtio/ring.h"

#define RIG_FRAMES 32

struct ring_rig {
	struct pool pool;
	struct vq *vq;
	struct ring ring;   /* as the peer sees it */
	int kick_fd, call_fd;
	uint16_t avail_idx; /* next available entry the peer reads */
	uint16_t used_idx;  /* next used entry the peer writes */
	unsigned int takes; /* every other one is tried the quick way first (vq_take_plain) */
	struct frame frames[RIG_FRAMES];
	struct iovec iovs[RIG_FRAMES][FRAME_IOV_MAX];
};

/* 0 or -errno; the ring's first flush is left to the caller. */
int ring_rig_open(struct ring_rig *rig, enum vq_direction direction, uint16_t num,
		  uint64_t features);
void ring_rig_close(struct ring_rig *rig); /* safe on a zeroed or half-built rig */

/* For cmocka: a zeroed rig in *state before a test, and its end, whatever the test left open. */
int ring_rig_setup(void **state);
int ring_rig_teardown(void **state);

/* Makes frames[i] empty, then takes into it. */
int ring_rig_take(struct ring_rig *rig, unsigned int i, uint32_t min_bytes);

/* The peer's: the next available head, -1 when there is none. */
int ring_rig_next(struct ring_rig *rig);
/* What descriptor @id points at, in this process; its length in *@len. */
uint8_t *ring_rig_memory(const struct ring_rig *rig, uint32_t id, uint32_t *len);
/* Writes a used entry; the driver sees it after the next publish. */
void ring_rig_use(struct ring_rig *rig, uint32_t id, uint32_t len);
void ring_rig_publish(struct ring_rig *rig);
/* Writes the used index and nothing else. */
void ring_rig_publish_at(struct ring_rig *rig, uint16_t idx);

/*
 * The peer receives by the rules: puts a header with @num_buffers and @len bytes of
 * @fill into the next available buffer, and uses it. Returns its head, -1 for none.
 */
int ring_rig_fill(struct ring_rig *rig, uint16_t num_buffers, uint32_t len, uint8_t fill);
/* As ring_rig_fill, for the further buffers of a group: no header. */
int ring_rig_fill_more(struct ring_rig *rig, uint32_t len, uint8_t fill);

/* Writes of 1 to eventfd @fd since the last call. */
uint64_t ring_rig_count(int fd);

#endif
