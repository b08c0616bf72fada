/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/util.h"

int device_rig_setup(void **state)
{
	struct device_rig *rig = calloc(1, sizeof(*rig));
	static const uint64_t guest[] = { LOW, HIGH };
	unsigned int i;

	if (!rig)
		return -1;
	for (i = 0; i < 2; i++) {
		void *base = aligned_alloc(4096, REGION);

		if (!base)
			return -1;
		memset(base, 0, REGION);
		rig->memory.regions[i] = (struct vq_device_region){
			.guest_phys_addr = guest[i],
			.userspace_addr = USER + 2 * i * REGION,
			.size = REGION,
			.base = base,
		};
	}
	rig->memory.count = 2;
	rig->kick_fd = eventfd(0, EFD_NONBLOCK);
	rig->call_fd = eventfd(0, EFD_NONBLOCK);
	*state = rig;
	return 0;
}

int device_rig_teardown(void **state)
{
	struct device_rig *rig = *state;

	vq_device_close(rig->vq);
	free(rig->memory.regions[0].base);
	free(rig->memory.regions[1].base);
	close_fd(&rig->kick_fd);
	close_fd(&rig->call_fd);
	free(rig);
	return 0;
}

struct vq_device_config device_rig_config(struct device_rig *rig, enum vq_direction direction,
					  uint64_t features)
{
	struct vring *vr = &rig->ring.vr;
	uint8_t *base = rig->memory.regions[0].base;

	vring_init(vr, NUM, base, RING_ALIGN);
	rig->ring.mask = NUM - 1;
	rig->ring.little = feature_has(features, VIRTIO_F_VERSION_1);
	rig->ring.event_idx = feature_has(features, VIRTIO_RING_F_EVENT_IDX);
	rig->ring.hdr_len = feature_hdr_len(features);
	return (struct vq_device_config){
		.direction = direction,
		.num = NUM,
		.features = features,
		.desc = USER,
		.avail = USER + (uint64_t)((uint8_t *)vr->avail - base),
		.used = USER + (uint64_t)((uint8_t *)vr->used - base),
		.kick_fd = rig->kick_fd,
		.call_fd = rig->call_fd,
	};
}

struct device_rig *device_rig_open(void **state, enum vq_direction direction, uint64_t features)
{
	struct device_rig *rig = *state;
	struct vq_device_config c = device_rig_config(rig, direction, features);

	assert_int_equal(vq_device_open(&rig->vq, &rig->memory, &c), 0);
	return rig;
}

void device_rig_desc(struct device_rig *rig, unsigned int id, uint64_t addr, uint32_t len,
		     uint16_t flags, uint16_t next)
{
	rig->ring.vr.desc[id] = (struct vring_desc){
		.addr = ring64(&rig->ring, addr),
		.len = ring32(&rig->ring, len),
		.flags = ring16(&rig->ring, flags),
		.next = ring16(&rig->ring, next),
	};
}

void device_rig_offer(struct device_rig *rig, uint16_t head)
{
	struct vring_avail *avail = rig->ring.vr.avail;

	avail->ring[rig->avail_idx++ & rig->ring.mask] = ring16(&rig->ring, head);
	avail->idx = ring16(&rig->ring, rig->avail_idx);
}

void device_rig_offer_one(struct device_rig *rig, uint16_t id, uint32_t len, uint16_t flags)
{
	device_rig_desc(rig, id, BUFFERS + id * 0x1000u, len, flags, 0);
	device_rig_offer(rig, id);
}

int device_rig_take(struct device_rig *rig, unsigned int i, uint32_t min_bytes)
{
	frame_init(&rig->frames[i], rig->iovs[i], FRAME_IOV_MAX, rig->ring.hdr_len);
	return vq_take(rig->vq, min_bytes, &rig->frames[i]);
}

void device_rig_used_is(struct device_rig *rig, unsigned int i, uint32_t id, uint32_t len)
{
	const struct vring_used_elem *e = &rig->ring.vr.used->ring[i & rig->ring.mask];

	assert_int_equal(ring32(&rig->ring, e->id), id);
	assert_int_equal(ring32(&rig->ring, e->len), len);
}

uint16_t device_rig_used_idx(const struct device_rig *rig)
{
	return ring16(&rig->ring, rig->ring.vr.used->idx);
}

uint8_t *device_rig_at(struct device_rig *rig, uint64_t addr)
{
	return rig->memory.regions[0].base + (addr - LOW);
}
