/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/util.h"

/* One attempt with one kind of page; -errno leaves the pool closed. */
static int open_pages(struct pool *pool, size_t size, unsigned int memfd_flags)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct statfs fs;
	void *base;
	int r;

	pool->fd = memfd_create("vubridge", MFD_CLOEXEC | MFD_ALLOW_SEALING | memfd_flags);
	if (pool->fd < 0)
		return -errno;
	if (fstatfs(pool->fd, &fs) < 0)
		goto fail;
	pool->huge = memfd_flags & MFD_HUGETLB;
	pool->size = ALIGN_UP(size, pool->huge ? (size_t)fs.f_bsize :
						 (size_t)sysconf(_SC_PAGESIZE));
	if (ftruncate(pool->fd, (off_t)pool->size) < 0 || fcntl(pool->fd, F_ADD_SEALS, seals) < 0)
		goto fail;
	/* MAP_SHARED of huge pages reserves them here, so that a lack shows now, not as SIGBUS */
	base = mmap(NULL, pool->size, PROT_READ | PROT_WRITE, MAP_SHARED, pool->fd, 0);
	if (base == MAP_FAILED)
		goto fail;
	pool->base = base;
	pool->used = 0;
	return 0;
fail:
	r = -errno;
	close_fd(&pool->fd);
	return r;
}

int pool_open(struct pool *pool, size_t size, bool hugepages)
{
	*pool = (struct pool){ .fd = -1 };
	if (hugepages && open_pages(pool, size, MFD_HUGETLB) == 0)
		return 0;
	return open_pages(pool, size, 0);
}

void pool_close(struct pool *pool)
{
	if (pool->base)
		munmap(pool->base, pool->size);
	pool->base = NULL;
	pool->size = 0;
	pool->used = 0;
	close_fd(&pool->fd);
}

void *pool_alloc(struct pool *pool, size_t size, size_t align)
{
	size_t start = ALIGN_UP(pool->used, align);

	if (start > pool->size || size > pool->size - start)
		return NULL;
	pool->used = start + size;
	return pool->base + start;
}
