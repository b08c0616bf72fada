/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For unit tests that need real interfaces: every test gets a network namespace of
 * its own, which goes away, with all that is in it, when the next one is entered.
 * Include after <cmocka.h>.
 */
#ifndef TESTS_NETNS_H
#define TESTS_NETNS_H

#include "base/uapi.h"
#include "net/rtnl.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NETNS_TEST(f) cmocka_unit_test_setup(f, netns_new)

/* A new namespace in which the kernel sends nothing of its own over new interfaces. */
static inline int netns_new(void **state)
{
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) != 1)
			perror("disable_ipv6");
		close(fd);
	}
	return 0;
}

/* 0, or the exit status of a test that cannot run here. */
static inline int netns_unavailable(void)
{
	const char *ci = getenv("CI");
	const char *reason = NULL;

	if (geteuid() != 0)
		reason = "not root";
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		reason = "no /dev/net/tun";
	else if (netns_new(NULL) < 0)
		reason = "no network namespaces";
	if (!reason)
		return 0;
	fprintf(stderr, "skipped: %s\n", reason);
	return ci && !strcmp(ci, "true") ? 1 : 77;
}

/* An interface of the TUN/TAP driver; it lives as long as the descriptor returned. */
static inline int netns_tun(const char *name, unsigned int flags)
{
	struct ifreq ifr = { 0 };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(strlen(name) < sizeof(ifr.ifr_name));
	memcpy(ifr.ifr_name, name, strlen(name));
	ifr.ifr_flags = (short)(flags | IFF_NO_PI);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static inline unsigned int netns_ifindex(struct rtnl *rt, const char *name)
{
	struct rtnl_info info;

	return rtnl_get_by_name(rt, name, &info) ? 0 : info.ifindex;
}

#endif
