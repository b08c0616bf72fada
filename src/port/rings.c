/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/rings.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/util.h"
#include "virtio/vq_driver.h"

static int kick_fd(const struct rings *r, unsigned int i)
{
	return r->fds[2 * i];
}

static int call_fd(const struct rings *r, unsigned int i)
{
	return r->fds[2 * i + 1];
}

static struct vq_driver_config ring_config(const struct rings *r, unsigned int i,
					   uint64_t features)
{
	return (struct vq_driver_config){
		/* virtio 1.3, 5.1.2: receiveq1, transmitq1, receiveq2, … */
		.direction = i % 2 ? VQ_SPACE : VQ_CONTENT,
		.index = (uint16_t)i,
		.num = (uint16_t)r->size,
		.features = features,
		.kick_fd = kick_fd(r, i),
		.call_fd = call_fd(r, i),
	};
}

/* At once none of them is open: 0 would be one that is someone else's. */
static int *alloc_fds(unsigned int n)
{
	int *fds = malloc(n * sizeof(*fds));
	unsigned int i;

	for (i = 0; fds && i < n; i++)
		fds[i] = -1;
	return fds;
}

static int open_fds(struct rings *r)
{
	unsigned int i;

	for (i = 0; i < 2 * r->count; i++) {
		r->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (r->fds[i] < 0)
			return -errno;
	}
	return 0;
}

static int open_vqs(struct rings *r, uint64_t features, bool hugepages)
{
	struct vq_driver_config config;
	size_t size = 0;
	unsigned int i;
	int error;

	for (i = 0; i < r->count; i++) {
		config = ring_config(r, i, features);
		size += vq_driver_size(&config);
	}
	error = pool_open(&r->pool, size, hugepages);
	for (i = 0; i < r->count && !error; i++) {
		config = ring_config(r, i, features);
		error = vq_driver_open(&r->vqs[i], &r->pool, &config);
	}
	return error;
}

int rings_open(struct rings *r, unsigned int pairs, unsigned int size, uint64_t features,
	       bool hugepages)
{
	int error = -ENOMEM;

	*r = (struct rings){ .count = 2 * pairs, .size = size, .pool.fd = -1 };
	r->vqs = calloc(r->count, sizeof(struct vq *));
	r->fds = alloc_fds(2 * r->count);
	if (r->vqs && r->fds)
		error = open_fds(r);
	if (!error)
		error = open_vqs(r, features, hugepages);
	if (error)
		rings_close(r);
	return error;
}

void rings_close(struct rings *r)
{
	unsigned int i;

	for (i = 0; i < r->count; i++) {
		if (r->vqs)
			vq_driver_close(r->vqs[i]);
		if (r->fds) {
			close_fd(&r->fds[2 * i]);
			close_fd(&r->fds[2 * i + 1]);
		}
	}
	free(r->vqs);
	free(r->fds);
	if (r->count)
		pool_close(&r->pool);
	*r = (struct rings){ .pool.fd = -1 };
}

int rings_tell_calls(struct rings *r, struct vhost *v)
{
	unsigned int i;
	int error = 0;

	for (i = 0; i < r->count && !error; i++) {
		error = v->ops->set_vring_call(v, i, call_fd(r, i));
		r->at = error ? i : 0;
	}
	r->at_call = error != 0;
	return error;
}

int rings_tell(struct rings *r, struct vhost *v)
{
	struct vhost_region region = {
		.guest_phys_addr = POOL_GUEST_BASE,
		.memory_size = r->pool.size,
		.userspace_addr = (uintptr_t)r->pool.base,
		.mmap_offset = 0,
		.fd = r->pool.fd,
	};
	int error = v->ops->set_mem_table(v, &region, 1);
	unsigned int i;

	for (i = 0; i < r->count && !error; i++) {
		struct vq_driver_addrs addrs;
		struct vhost_ring ring = {
			.index = i,
			.num = r->size,
			.base = 0,
			.kick_fd = kick_fd(r, i),
			.call_fd = call_fd(r, i),
		};

		vq_driver_get_addrs(r->vqs[i], &addrs);
		ring.desc = (uintptr_t)addrs.desc;
		ring.avail = (uintptr_t)addrs.avail;
		ring.used = (uintptr_t)addrs.used;
		error = v->ops->set_vring(v, &ring);
		r->at = error ? i : 0;
	}
	return error;
}

int rings_enable(struct rings *r, struct vhost *v, unsigned int first, unsigned int pairs, bool on)
{
	unsigned int i;
	int error = 0;

	for (i = 2 * first; i < 2 * (first + pairs) && i < r->count && !error; i++) {
		error = v->ops->set_vring_enable(v, i, on);
		r->at = error ? i : 0;
	}
	return error;
}

int rings_stop(const struct rings *r, struct vhost *v)
{
	unsigned int i;
	int error = 0;

	for (i = 0; i < r->count && !error; i++) {
		uint16_t base;

		error = v->ops->get_vring_base(v, i, &base);
	}
	return error;
}
