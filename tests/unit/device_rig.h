/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device queue over memory that a hand-written driver has filled, honest or not.
 * The memory is two regions; the second one ends where the guest's addresses do.
 */
#ifndef DEVICE_RIG_H
#define DEVICE_RIG_H

#include <vubridge/vq.h>

#include "virtio/feature.h"
#include "virtio/ring.h"
#include "virtio/vq_device.h"

#define V1 FEATURE(F_VERSION_1)
#define MRG (V1 | FEATURE_NET(MRG_RXBUF))
#define EVENT FEATURE(RING_F_EVENT_IDX)
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

#define NUM 8u /* descriptors */
#define REGION 0x40000u
#define LOW UINT64_C(0x100000) /* the region with the ring */
#define BUFFERS (LOW + 0x4000)
#define HIGH (UINT64_MAX - REGION + 1) /* ends with the address space */
#define USER UINT64_C(0x7f0000000000)

struct device_rig {
	struct vq_device_memory memory;
	struct vq *vq;
	struct ring ring; /* as the driver sees it */
	int kick_fd, call_fd;
	uint16_t avail_idx;
	struct frame frames[NUM];
	struct iovec iovs[NUM][FRAME_IOV_MAX];
};

/* cmocka fixtures: *state is the rig, its memory zeroed, without a queue yet. */
int device_rig_setup(void **state);
int device_rig_teardown(void **state);

/* What describes a queue of NUM descriptors at the start of the first region. */
struct vq_device_config device_rig_config(struct device_rig *rig, enum vq_direction direction,
					  uint64_t features);
/* The rig of *state with such a queue opened; a failed assertion if that fails. */
struct device_rig *device_rig_open(void **state, enum vq_direction direction, uint64_t features);

/* The driver's: fills descriptor @id; offers a chain by its head and publishes that. */
void device_rig_desc(struct device_rig *rig, unsigned int id, uint64_t addr, uint32_t len,
		     uint16_t flags, uint16_t next);
void device_rig_offer(struct device_rig *rig, uint16_t head);
/* Offers descriptor @id alone, with @len bytes of its own. */
void device_rig_offer_one(struct device_rig *rig, uint16_t id, uint32_t len, uint16_t flags);

/* Makes frames[i] empty, then takes into it. */
int device_rig_take(struct device_rig *rig, unsigned int i, uint32_t min_bytes);

/* Used entry @i is this one, by assertion. */
void device_rig_used_is(struct device_rig *rig, unsigned int i, uint32_t id, uint32_t len);
uint16_t device_rig_used_idx(const struct device_rig *rig);
/* Where guest address @addr of the first region is in this process. */
uint8_t *device_rig_at(struct device_rig *rig, uint64_t addr);

#endif
