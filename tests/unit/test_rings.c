/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rings of a connection when there is no memory or no descriptor for them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "port/rings.h"
#include "virtio/feature.h"

#define PAIRS 2u
#define SIZE  64u

/* The allocation that fails, counted down; 0: none does. */
static unsigned int fail_in;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static bool fails(void)
{
	return fail_in && --fail_in == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Whichever allocation fails: nothing stays open, and nothing is closed that is not ours. */
static void test_no_memory(void **state __attribute__((unused)))
{
	unsigned int before = count_fds(), failures = 0;
	struct rings rings;
	int r;

	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	do {
		fail_in = ++failures;
		r = rings_open(&rings, PAIRS, SIZE, FEATURE(F_VERSION_1), false);
		fail_in = 0;
		if (!r)
			rings_close(&rings);
		else
			assert_int_equal(r, -ENOMEM);
		assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
		assert_int_equal(count_fds(), before);
	} while (r);
	assert_true(failures > 3); /* it does meet the rings and their descriptors */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
