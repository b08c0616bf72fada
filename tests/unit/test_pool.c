/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio/pool.h"

static void test_open_and_close(void **state)
{
	struct pool pool;
	struct stat st;

	(void)state;
	assert_int_equal(pool_open(&pool, 10000, false), 0);
	assert_true(pool.fd >= 0);
	assert_true(pool.size >= 10000);
	assert_int_equal(pool.size % (size_t)sysconf(_SC_PAGESIZE), 0);
	assert_false(pool.huge);
	assert_int_equal(fstat(pool.fd, &st), 0);
	assert_int_equal(st.st_size, pool.size);
	assert_true(fcntl(pool.fd, F_GETFD) & FD_CLOEXEC);
	pool.base[pool.size - 1] = 1;
	pool_close(&pool);
	assert_int_equal(pool.fd, -1);
	assert_null(pool.base);
	pool_close(&pool); /* again: nothing happens */
}

static void test_close_of_a_pool_never_opened(void **state)
{
	struct pool pool = { .fd = -1 };

	(void)state;
	pool_close(&pool);
	assert_int_equal(pool.fd, -1);
}

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_a_failed_open_leaves_nothing(void **state)
{
	unsigned int before = open_fds();
	struct pool pool;

	(void)state;
	assert_true(pool_open(&pool, 0, false) < 0);
	assert_int_equal(pool.fd, -1);
	assert_null(pool.base);
	assert_true(pool_open(&pool, (size_t)1 << 62, false) < 0);
	assert_int_equal(pool.fd, -1);
	assert_int_equal(open_fds(), before);
	pool_close(&pool);
}

/* What the peer does with its copy of the descriptor must not reach us as SIGBUS. */
static void test_the_peer_cannot_change_its_size(void **state)
{
	struct pool pool;

	(void)state;
	assert_int_equal(pool_open(&pool, 65536, false), 0);
	assert_int_equal(ftruncate(pool.fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(pool.fd, (off_t)pool.size * 2), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(pool.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(errno, EPERM);
	pool_close(&pool);
}

static void test_the_peer_sees_what_is_written(void **state)
{
	struct pool pool;
	uint8_t *peer, *p;

	(void)state;
	assert_int_equal(pool_open(&pool, 65536, false), 0);
	peer = mmap(NULL, pool.size, PROT_READ | PROT_WRITE, MAP_SHARED, pool.fd, 0);
	assert_true(peer != MAP_FAILED);
	assert_non_null(pool_alloc(&pool, 5000, 1));
	p = pool_alloc(&pool, 4, 64);
	assert_non_null(p);
	memcpy(p, "ring", 4);
	assert_memory_equal(peer + (pool_guest_addr(&pool, p) - POOL_GUEST_BASE), "ring", 4);
	munmap(peer, pool.size);
	pool_close(&pool);
}

static void test_alloc_aligns_zeroes_and_keeps_apart(void **state)
{
	struct pool pool;
	uint8_t *last = NULL;
	size_t align;

	(void)state;
	assert_int_equal(pool_open(&pool, 65536, false), 0);
	for (align = 1; align <= 4096; align *= 2) {
		uint8_t *p = pool_alloc(&pool, 100, align);
		size_t i;

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % align, 0);
		assert_true(p >= pool.base && p + 100 <= pool.base + pool.size);
		if (last)
			assert_true(p >= last + 100);
		for (i = 0; i < 100; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, 100);
		last = p;
	}
	pool_close(&pool);
}

static void test_alloc_to_the_last_byte_and_no_further(void **state)
{
	struct pool pool;

	(void)state;
	assert_int_equal(pool_open(&pool, 8192, false), 0);
	assert_null(pool_alloc(&pool, pool.size + 1, 1));
	assert_null(pool_alloc(&pool, SIZE_MAX, 1));
	assert_null(pool_alloc(&pool, SIZE_MAX - 100, 4096));
	assert_non_null(pool_alloc(&pool, pool.size - 1, 1));
	assert_null(pool_alloc(&pool, 1, 4096));
	assert_non_null(pool_alloc(&pool, 1, 1));
	assert_null(pool_alloc(&pool, 1, 1));
	pool_close(&pool);
}

/* With huge pages or without: a pool there is in any case. */
static void test_hugepages_are_a_wish(void **state)
{
	struct pool pool;
	uint8_t *p;

	(void)state;
	assert_int_equal(pool_open(&pool, 100000, true), 0);
	assert_true(pool.size >= 100000);
	if (pool.huge)
		assert_int_equal(pool.size % (64 * 1024), 0);
	p = pool_alloc(&pool, 100000, 4096);
	assert_non_null(p);
	memset(p, 1, 100000);
	assert_int_equal(ftruncate(pool.fd, 0), -1);
	pool_close(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_close),
		cmocka_unit_test(test_close_of_a_pool_never_opened),
		cmocka_unit_test(test_a_failed_open_leaves_nothing),
		cmocka_unit_test(test_the_peer_cannot_change_its_size),
		cmocka_unit_test(test_the_peer_sees_what_is_written),
		cmocka_unit_test(test_alloc_aligns_zeroes_and_keeps_apart),
		cmocka_unit_test(test_alloc_to_the_last_byte_and_no_further),
		cmocka_unit_test(test_hugepages_are_a_wish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
