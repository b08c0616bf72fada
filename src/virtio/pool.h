/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory shared with the peer: one memfd, sealed against any change of size
 * (a peer that truncates it gets EPERM, and no SIGBUS comes), mapped once, handed
 * out from front to back and freed as a whole.
 */
#ifndef VIRTIO_POOL_H
#define VIRTIO_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where the region starts for the device. Any number serves; one that is no
 * address of this process makes a forgotten translation fault at once.
 */
#define POOL_GUEST_BASE UINT64_C(0x100000000)

struct pool {
	int fd;
	uint8_t *base;
	size_t size;      /* bytes, a multiple of the page size behind fd */
	bool huge;        /* in huge pages */
	size_t used;
};

/*
 * Makes a pool of at least @size bytes, in huge pages if @hugepages and if there
 * are enough of them (see pool->huge). 0 or -errno.
 */
int pool_open(struct pool *pool, size_t size, bool hugepages);
void pool_close(struct pool *pool);

/* @size zeroed bytes at a multiple of @align (a power of two, at most a page); NULL: exhausted. */
void *pool_alloc(struct pool *pool, size_t size, size_t align);

/* The address by which the device knows @p, a pointer into the pool. */
static inline uint64_t pool_guest_addr(const struct pool *pool, const void *p)
{
	return POOL_GUEST_BASE + (uint64_t)((const uint8_t *)p - pool->base);
}

#endif
