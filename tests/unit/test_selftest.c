/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the self-test says of this kernel, and of one that spoils superframes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "daemon/selftest.h"
#include "netns.h"
#include "virtio/feature.h"

#define TSO (FEATURE_NET(GUEST_TSO4) | FEATURE_NET(GUEST_TSO6))

/* The byte of what is sent that comes out wrong, counted from its end; 0: none does. */
static size_t spoilt;
static bool refuses;

ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
	static uint8_t copy[80000];

	if (refuses) {
		errno = EINVAL;
		return -1;
	}
	assert_in_range(len, spoilt, sizeof(copy));
	memcpy(copy, buf, len);
	if (spoilt)
		copy[len - spoilt] ^= 1;
	return __real_send(fd, copy, len, flags);
}

static int setup(void **state)
{
	(void)state;
	spoilt = 0;
	refuses = false;
	return 0;
}

static void test_sound(void **state)
{
	uint64_t wrong;
	const char *how;

	(void)state;
	assert_int_equal(selftest_superframes(true, &wrong, &how), 0);
	assert_string_equal(how, "");
	assert_int_equal(wrong, 0);
	assert_int_equal(selftest_superframes(false, &wrong, &how), 0);
	assert_int_equal(wrong, 0);
}

static void test_spoilt(void **state)
{
	uint64_t wrong;
	const char *how;

	(void)state;
	spoilt = 150; /* of the second packet */
	assert_int_equal(selftest_superframes(true, &wrong, &how), 0);
	assert_int_equal(wrong & TSO, TSO);
	assert_non_null(strstr(how, "other packets"));
}

static void test_refused(void **state)
{
	uint64_t wrong;
	const char *how;

	(void)state;
	refuses = true;
	assert_int_equal(selftest_superframes(true, &wrong, &how), 0);
	assert_int_equal(wrong & TSO, TSO);
	assert_non_null(strstr(how, "does not send it"));
}

/* Nothing is said of a kernel that could not be tried. */
static void test_not_permitted(void **state)
{
	uint64_t wrong;
	const char *how;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(selftest_superframes(true, &wrong, &how) != -EPERM || wrong);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sound, setup),
		cmocka_unit_test_setup(test_spoilt, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_not_permitted, setup),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
