/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "peer.h"
#include "virtio/feature.h"

struct request {
	struct device *device;
	union vhost_user_payload *payload;
	uint32_t size;
	struct fdmsg_fds *fds;
	const char *why;
};

static int refuse(struct request *r, const char *why)
{
	r->why = why;
	return -EINVAL;
}

static struct peer_ring *ring_of(struct request *r, uint32_t index)
{
	if (index >= 2 * r->device->config->pairs)
		return NULL;
	return &r->device->rings[index];
}

static int get_features(struct request *r)
{
	r->payload->u64 = r->device->config->features;
	return sizeof(uint64_t);
}

static int set_features(struct request *r)
{
	if (r->payload->u64 & ~r->device->config->features)
		return refuse(r, "SET_FEATURES: a feature that was not offered");
	r->device->features = r->payload->u64;
	return 0;
}

static int set_owner(struct request *r)
{
	if (r->device->owned)
		return refuse(r, "SET_OWNER: a second time");
	r->device->owned = true;
	return 0;
}

static int get_protocol_features(struct request *r)
{
	r->payload->u64 = r->device->config->protocol_features;
	return sizeof(uint64_t);
}

static int set_protocol_features(struct request *r)
{
	if (r->payload->u64 & ~r->device->config->protocol_features)
		return refuse(r, "SET_PROTOCOL_FEATURES: a feature that was not offered");
	r->device->protocol_features = r->payload->u64;
	return 0;
}

static int get_queue_num(struct request *r)
{
	r->payload->u64 = misbehave_queue_num(r->device, r->device->config->pairs);
	return sizeof(uint64_t);
}

void message_unmap(struct device *d)
{
	unsigned int i;

	for (i = 0; i < d->memory.count; i++)
		munmap(d->memory.regions[i].base, d->memory.regions[i].size);
	d->memory.count = 0;
}

static int map_region(struct request *r, const struct vhost_user_memory_region *from, int fd)
{
	struct vq_device_memory *m = &r->device->memory;
	struct vq_device_region *to = &m->regions[m->count];
	struct stat st;
	void *base;

	if (fstat(fd, &st) < 0 || from->memory_size == 0 ||
	    from->mmap_offset > (uint64_t)st.st_size ||
	    from->memory_size > (uint64_t)st.st_size - from->mmap_offset)
		return refuse(r, "SET_MEM_TABLE: a region beyond its file");
	base = mmap(NULL, from->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)from->mmap_offset);
	if (base == MAP_FAILED)
		return refuse(r, "SET_MEM_TABLE: cannot map the region");
	misbehave_memory(r->device, fd);
	*to = (struct vq_device_region){
		.guest_phys_addr = from->guest_phys_addr,
		.userspace_addr = from->userspace_addr,
		.size = from->memory_size,
		.base = base,
	};
	m->count++;
	return 0;
}

static int set_mem_table(struct request *r)
{
	const struct vhost_user_memory *table = &r->payload->memory;
	unsigned int i;
	int e = 0;

	if (table->nregions == 0 || table->nregions > VHOST_USER_MAX_MEM_REGIONS ||
	    table->nregions != r->fds->n ||
	    r->size < offsetof(struct vhost_user_memory, regions) +
			      table->nregions * sizeof(table->regions[0]))
		return refuse(r, "SET_MEM_TABLE: regions, size and descriptors do not agree");
	if (r->device->ready)
		return refuse(r, "SET_MEM_TABLE: while rings run");
	message_unmap(r->device);
	for (i = 0; i < table->nregions && !e; i++)
		e = map_region(r, &table->regions[i], r->fds->fd[i]);
	return e;
}

static int set_vring_num(struct request *r)
{
	struct peer_ring *ring = ring_of(r, r->payload->state.index);
	uint32_t num = r->payload->state.num;

	if (!ring || num < 2 || num > r->device->config->queue_size || num & (num - 1))
		return refuse(r, "SET_VRING_NUM: a wrong index or size");
	ring->num = num;
	return 0;
}

static int set_vring_base(struct request *r)
{
	struct peer_ring *ring = ring_of(r, r->payload->state.index);

	if (!ring || r->payload->state.num > UINT16_MAX)
		return refuse(r, "SET_VRING_BASE: a wrong index or base");
	ring->base = (uint16_t)r->payload->state.num;
	return 0;
}

static int set_vring_addr(struct request *r)
{
	struct peer_ring *ring = ring_of(r, r->payload->addr.index);

	if (!ring)
		return refuse(r, "SET_VRING_ADDR: a wrong index");
	if (r->device->memory.count == 0 || ring->num == 0)
		return refuse(r, "SET_VRING_ADDR: before SET_MEM_TABLE or SET_VRING_NUM");
	ring->addr = r->payload->addr;
	ring->has_addr = true;
	return 0;
}

/* Stops the ring: the device processes nothing of it from here on. */
static int get_vring_base(struct request *r)
{
	struct peer_ring *ring = ring_of(r, r->payload->state.index);

	if (!ring)
		return refuse(r, "GET_VRING_BASE: a wrong index");
	r->payload->state.num = ring->vq ? vq_device_base(ring->vq) : ring->base;
	vq_device_close(ring->vq);
	ring->vq = NULL;
	close_fd(&ring->kick);
	ring->has_addr = false;
	return sizeof(r->payload->state);
}

/* Of KICK, CALL and ERR: where the ring keeps the descriptor that came. */
static int keep_fd(struct request *r, size_t member)
{
	struct peer_ring *ring = ring_of(r, r->payload->u64 & VHOST_USER_VRING_IDX_MASK);
	int *slot;

	if (!ring || r->payload->u64 & ~(uint64_t)(VHOST_USER_VRING_IDX_MASK |
						   VHOST_USER_VRING_NOFD_MASK))
		return refuse(r, "SET_VRING_KICK, CALL or ERR: a wrong index");
	if (!(r->payload->u64 & VHOST_USER_VRING_NOFD_MASK) != (r->fds->n == 1))
		return refuse(r, "SET_VRING_KICK, CALL or ERR: descriptor and flag do not agree");
	slot = (int *)((char *)ring + member);
	close_fd(slot);
	if (r->fds->n) {
		*slot = r->fds->fd[0];
		r->fds->n = 0;
	}
	return 0;
}

static int set_vring_kick(struct request *r)
{
	uint32_t index = r->payload->u64 & VHOST_USER_VRING_IDX_MASK;
	int e = keep_fd(r, offsetof(struct peer_ring, kick));

	/* without protocol features a ring is enabled as it starts */
	if (!e && !feature_has(r->device->features, VHOST_USER_F_PROTOCOL_FEATURES))
		ring_of(r, index)->enabled = true;
	return e;
}

static int set_vring_call(struct request *r)
{
	return keep_fd(r, offsetof(struct peer_ring, call));
}

static int set_vring_err(struct request *r)
{
	return keep_fd(r, offsetof(struct peer_ring, err));
}

static int set_vring_enable(struct request *r)
{
	struct peer_ring *ring = ring_of(r, r->payload->state.index);

	if (!ring || r->payload->state.num > 1)
		return refuse(r, "SET_VRING_ENABLE: a wrong index or value");
	ring->enabled = r->payload->state.num;
	return 0;
}

static int set_status(struct request *r)
{
	if (r->payload->u64 > UINT8_MAX)
		return refuse(r, "SET_STATUS: more than a byte");
	/* before the answer: what follows from it is timed from here */
	if (r->payload->u64 & ~(uint64_t)r->device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		printf("ready %s\n", r->device->path);
	r->device->status = (uint8_t)r->payload->u64;
	return 0;
}

static int get_status(struct request *r)
{
	r->payload->u64 = r->device->status;
	return sizeof(uint64_t);
}

static int get_config(struct request *r)
{
	const struct peer_config *c = r->device->config;
	struct vhost_user_config *config = &r->payload->config;
	struct virtio_net_config space = {
		.status = htole16(c->net_status),
		.max_virtqueue_pairs = htole16((uint16_t)c->pairs),
		.mtu = htole16(c->mtu),
	};
	uint32_t end = config->offset + config->size;

	memcpy(space.mac, c->mac, sizeof(space.mac));
	if (config->offset > sizeof(space) || end > sizeof(space) ||
	    r->size != VHOST_USER_CONFIG_HDR_SIZE + config->size)
		return refuse(r, "GET_CONFIG: a part that does not exist");
	memcpy(config->region, (uint8_t *)&space + config->offset, config->size);
	return (int)r->size;
}

static int net_set_mtu(struct request *r)
{
	if (r->payload->u64 < 68 || r->payload->u64 > 65535)
		return refuse(r, "NET_SET_MTU: out of range");
	printf("mtu %s %u\n", r->device->path, (unsigned int)r->payload->u64);
	return 0;
}

static int set_backend_req_fd(struct request *r)
{
	if (r->device->backend_fd >= 0)
		return refuse(r, "SET_BACKEND_REQ_FD: a second time");
	r->device->backend_fd = r->fds->fd[0];
	r->fds->n = 0; /* ours now */
	return 0;
}

/* The address in the first six bytes. */
static int send_rarp(struct request *r)
{
	const uint8_t *mac = (const uint8_t *)&r->payload->u64;

	printf("rarp %s %02x:%02x:%02x:%02x:%02x:%02x\n", r->device->path, mac[0], mac[1], mac[2],
	       mac[3], mac[4], mac[5]);
	return 0;
}

static int (*const handlers[VHOST_USER_REQUEST_END])(struct request *) = {
	[VHOST_USER_GET_FEATURES] = get_features,
	[VHOST_USER_SET_FEATURES] = set_features,
	[VHOST_USER_SET_OWNER] = set_owner,
	[VHOST_USER_GET_PROTOCOL_FEATURES] = get_protocol_features,
	[VHOST_USER_SET_PROTOCOL_FEATURES] = set_protocol_features,
	[VHOST_USER_GET_QUEUE_NUM] = get_queue_num,
	[VHOST_USER_SET_MEM_TABLE] = set_mem_table,
	[VHOST_USER_SET_VRING_NUM] = set_vring_num,
	[VHOST_USER_SET_VRING_BASE] = set_vring_base,
	[VHOST_USER_SET_VRING_ADDR] = set_vring_addr,
	[VHOST_USER_GET_VRING_BASE] = get_vring_base,
	[VHOST_USER_SET_VRING_KICK] = set_vring_kick,
	[VHOST_USER_SET_VRING_CALL] = set_vring_call,
	[VHOST_USER_SET_VRING_ERR] = set_vring_err,
	[VHOST_USER_SET_VRING_ENABLE] = set_vring_enable,
	[VHOST_USER_SET_STATUS] = set_status,
	[VHOST_USER_GET_STATUS] = get_status,
	[VHOST_USER_GET_CONFIG] = get_config,
	[VHOST_USER_NET_SET_MTU] = net_set_mtu,
	[VHOST_USER_SEND_RARP] = send_rarp,
	[VHOST_USER_SET_BACKEND_REQ_FD] = set_backend_req_fd,
};

int message_handle(struct device *d, uint32_t request, union vhost_user_payload *payload,
		   uint32_t size, struct fdmsg_fds *fds, const char **why)
{
	struct request r = { .device = d, .payload = payload, .size = size, .fds = fds };
	int result;

	if (request >= VHOST_USER_REQUEST_END || !handlers[request]) {
		*why = "a request that is not served";
		return -EOPNOTSUPP;
	}
	result = handlers[request](&r);
	*why = r.why;
	return result;
}
