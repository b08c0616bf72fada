/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "net/netns.h"

#include <errno.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void test_path(void **state)
{
	char path[PATH_MAX], tiny[12];

	(void)state;
	assert_int_equal(netns_path("blue", path, sizeof(path)), 0);
	assert_string_equal(path, "/run/netns/blue");
	assert_int_equal(netns_path("./blue", path, sizeof(path)), 0);
	assert_string_equal(path, "./blue");
	assert_int_equal(netns_path("/proc/1/ns/net", path, sizeof(path)), 0);
	assert_string_equal(path, "/proc/1/ns/net");
	assert_int_equal(netns_path("blue", tiny, sizeof(tiny)), -ENAMETOOLONG);
}

static void test_refused(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(netns_open("no-such-namespace", &why), -ENOENT);
	assert_non_null(strstr(why, "ip netns add"));
	assert_int_equal(netns_open("/no/such/file", &why), -ENOENT);
	assert_non_null(strstr(why, "correct the path"));
	assert_int_equal(netns_open("/dev/null", &why), -EINVAL);
	assert_non_null(strstr(why, "not a network namespace"));
	assert_int_equal(netns_open("/proc/self/ns/mnt", &why), -EINVAL);
	assert_non_null(strstr(why, "not a network namespace"));
}

/* Into another one, where an interface is made, and back, where it is not. */
static void test_enter_and_leave(void **state)
{
	struct rtnl *there, *here;
	const char *why;
	int other, home, tap;

	(void)state;
	other = netns_open("/proc/thread-self/ns/net", &why);
	assert_true(other >= 0);
	assert_true(netns_is_own(other));
	assert_int_equal(netns_new(NULL), 0);
	assert_false(netns_is_own(other));

	assert_int_equal(netns_enter(other, &home), 0);
	assert_true(netns_is_own(other));
	tap = netns_tun("visitor0", IFF_TAP);
	assert_int_equal(rtnl_open(&there), 0);
	assert_int_equal(netns_leave(&home), 0);
	assert_int_equal(home, -1);
	assert_false(netns_is_own(other));
	assert_int_equal(netns_leave(&home), 0);

	assert_int_equal(rtnl_open(&here), 0);
	assert_int_equal(netns_ifindex(here, "visitor0"), 0);
	/* what was opened there goes on looking there */
	assert_int_not_equal(netns_ifindex(there, "visitor0"), 0);
	rtnl_close(here);
	rtnl_close(there);
	close(tap);
	close(other);
}

static void test_enter_what_is_none(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), home;

	(void)state;
	assert_int_equal(netns_enter(fd, &home), -EINVAL);
	assert_int_equal(home, -1);
	close(fd);
}

static void test_find_name(void **state)
{
	const char *why;
	char path[PATH_MAX], name[64], short_name[4];
	int fd, own;

	(void)state;
	snprintf(name, sizeof(name), "vut-find-%d", (int)getpid());
	snprintf(path, sizeof(path), NETNS_DIR "/%s", name);
	own = netns_open("/proc/thread-self/ns/net", &why);
	assert_true(own >= 0);
	assert_int_equal(netns_find_name(own, name, sizeof(name)), -ENOENT);
	mkdir(NETNS_DIR, 0755);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(netns_open(strrchr(path, '/') + 1, &why), -EINVAL);
	assert_int_equal(mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL), 0);
	memset(name, 0, sizeof(name));
	assert_int_equal(netns_find_name(own, name, sizeof(name)), 0);
	assert_string_equal(name, strrchr(path, '/') + 1);
	assert_int_equal(netns_find_name(own, short_name, sizeof(short_name)), -ENOENT);
	fd = netns_open(name, &why);
	assert_true(fd >= 0);
	assert_true(netns_is_own(fd));
	close(fd);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	unlink(path);
	assert_int_equal(netns_find_name(own, name, sizeof(name)), -ENOENT);
	close(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_refused),
		NETNS_TEST(test_enter_and_leave),
		NETNS_TEST(test_enter_what_is_none),
		NETNS_TEST(test_find_name),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
