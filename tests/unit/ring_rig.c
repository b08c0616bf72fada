/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ring_rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/vq_driver.h"

static void look_at_ring(struct ring_rig *rig, uint16_t num, uint64_t features)
{
	struct vq_driver_addrs addrs;

	vq_driver_get_addrs(rig->vq, &addrs);
	rig->ring.vr = (struct vring){
		.num = num,
		.desc = addrs.desc,
		.avail = addrs.avail,
		.used = addrs.used,
	};
	rig->ring.mask = (uint16_t)(num - 1);
	rig->ring.little = feature_has(features, VIRTIO_F_VERSION_1);
	rig->ring.event_idx = feature_has(features, VIRTIO_RING_F_EVENT_IDX);
	rig->ring.hdr_len = feature_hdr_len(features);
}

int ring_rig_open(struct ring_rig *rig, enum vq_direction direction, uint16_t num,
		  uint64_t features)
{
	struct vq_driver_config c = {
		.direction = direction,
		.num = num,
		.features = features,
	};
	int r;

	memset(rig, 0, sizeof(*rig));
	rig->pool.fd = -1;
	rig->kick_fd = c.kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rig->call_fd = c.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (rig->kick_fd < 0 || rig->call_fd < 0)
		return -errno;
	r = pool_open(&rig->pool, vq_driver_size(&c), false);
	if (!r)
		r = vq_driver_open(&rig->vq, &rig->pool, &c);
	if (!r)
		look_at_ring(rig, num, features);
	return r;
}

void ring_rig_close(struct ring_rig *rig)
{
	if (!rig->pool.base && !rig->vq && !rig->kick_fd)
		return; /* never opened */
	vq_driver_close(rig->vq);
	rig->vq = NULL;
	pool_close(&rig->pool);
	close_fd(&rig->kick_fd);
	close_fd(&rig->call_fd);
}

int ring_rig_setup(void **state)
{
	*state = calloc(1, sizeof(struct ring_rig));
	return *state ? 0 : -1;
}

int ring_rig_teardown(void **state)
{
	ring_rig_close(*state);
	free(*state);
	return 0;
}

int ring_rig_take(struct ring_rig *rig, unsigned int i, uint32_t min_bytes)
{
	struct frame *f = &rig->frames[i];

	if (rig->takes++ % 2 && vq_take_plain(rig->vq, f, 1, rig->iovs[i], rig->ring.hdr_len))
		return 1;
	frame_init(f, rig->iovs[i], FRAME_IOV_MAX, rig->ring.hdr_len);
	return vq_take(rig->vq, min_bytes, f);
}

int ring_rig_next(struct ring_rig *rig)
{
	const struct ring *r = &rig->ring;

	if (rig->avail_idx == ring16(r, load_acquire16(&r->vr.avail->idx)))
		return -1;
	return ring16(r, r->vr.avail->ring[rig->avail_idx++ & r->mask]);
}

uint8_t *ring_rig_memory(const struct ring_rig *rig, uint32_t id, uint32_t *len)
{
	const struct vring_desc *desc = &rig->ring.vr.desc[id];

	if (len)
		*len = ring32(&rig->ring, desc->len);
	return rig->pool.base + (ring64(&rig->ring, desc->addr) - POOL_GUEST_BASE);
}

void ring_rig_use(struct ring_rig *rig, uint32_t id, uint32_t len)
{
	struct vring_used_elem *e = &rig->ring.vr.used->ring[rig->used_idx++ & rig->ring.mask];

	e->id = ring32(&rig->ring, id);
	e->len = ring32(&rig->ring, len);
}

void ring_rig_publish(struct ring_rig *rig)
{
	ring_rig_publish_at(rig, rig->used_idx);
}

void ring_rig_publish_at(struct ring_rig *rig, uint16_t idx)
{
	store_release16(&rig->ring.vr.used->idx, ring16(&rig->ring, idx));
}

int ring_rig_fill(struct ring_rig *rig, uint16_t num_buffers, uint32_t len, uint8_t fill)
{
	struct virtio_net_hdr_v1 hdr = { .num_buffers = ring16(&rig->ring, num_buffers) };
	int head = ring_rig_next(rig);
	uint8_t *p;

	if (head < 0)
		return head;
	p = ring_rig_memory(rig, (uint32_t)head, NULL);
	memcpy(p, &hdr, rig->ring.hdr_len);
	memset(p + rig->ring.hdr_len, fill, len);
	ring_rig_use(rig, (uint32_t)head, rig->ring.hdr_len + len);
	return head;
}

int ring_rig_fill_more(struct ring_rig *rig, uint32_t len, uint8_t fill)
{
	int head = ring_rig_next(rig);

	if (head < 0)
		return head;
	memset(ring_rig_memory(rig, (uint32_t)head, NULL), fill, len);
	ring_rig_use(rig, (uint32_t)head, len);
	return head;
}

uint64_t ring_rig_count(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
