/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include <errno.h>
#include <netlink/errno.h>

static struct rtnl *open_rtnl(void)
{
	struct rtnl *rt;

	assert_int_equal(rtnl_open(&rt), 0);
	assert_non_null(rt);
	return rt;
}

static void test_loopback(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct rtnl_info info;

	(void)state;
	assert_int_equal(rtnl_get_by_name(rt, "lo", &info), 0);
	assert_int_equal(info.ifindex, 1);
	assert_string_equal(info.name, "lo");
	assert_string_equal(info.kind, "");
	assert_true(info.flags & IFF_LOOPBACK);
	assert_int_equal(info.mtu, 65536);
	assert_int_equal(rtnl_get(rt, 1, &info), 0);
	assert_string_equal(info.name, "lo");
	rtnl_close(rt);
}

static void test_missing(void **state)
{
	static const char *const names[] = { "none0", "", "longer-than-any-interface", "a/b" };
	struct rtnl *rt = open_rtnl();
	struct rtnl_info info;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(rtnl_get_by_name(rt, names[i], &info), -ENODEV);
	assert_int_equal(rtnl_get(rt, 0, &info), -ENODEV);
	assert_int_equal(rtnl_get(rt, 4711, &info), -ENODEV);
	assert_int_equal(rtnl_set_mtu(rt, 4711, 1500), -ENODEV);
	assert_int_equal(rtnl_set_up(rt, 4711, true), -ENODEV);
	assert_int_equal(rtnl_delete(rt, 4711), -ENODEV);
	/* an error leaves nothing behind that the next answer could be mistaken for */
	assert_int_equal(rtnl_get(rt, 1, &info), 0);
	rtnl_close(rt);
	rtnl_close(NULL);
}

static void test_tun_kinds(void **state)
{
	struct rtnl *rt = open_rtnl();
	int tap = netns_tun("tap0", IFF_TAP);
	int tun = netns_tun("tun0", IFF_TUN);
	int multi = netns_tun("multi0", IFF_TAP | IFF_MULTI_QUEUE);
	struct rtnl_info info;

	(void)state;
	assert_int_equal(rtnl_get_by_name(rt, "tap0", &info), 0);
	assert_string_equal(info.kind, "tun");
	assert_int_equal(info.tun_type, IFF_TAP);
	assert_false(info.tun_multi_queue);
	assert_false(info.tun_persistent);
	assert_int_equal(ioctl(tap, TUNSETPERSIST, 1), 0);
	assert_int_equal(rtnl_get_by_name(rt, "tap0", &info), 0);
	assert_true(info.tun_persistent);
	assert_int_equal(rtnl_get_by_name(rt, "tun0", &info), 0);
	assert_int_equal(info.tun_type, IFF_TUN);
	assert_int_equal(rtnl_get_by_name(rt, "multi0", &info), 0);
	assert_int_equal(info.tun_type, IFF_TAP);
	assert_true(info.tun_multi_queue);
	close(tap);
	close(tun);
	close(multi);
	rtnl_close(rt);
}

static void test_configure(void **state)
{
	static const uint8_t mac[] = { 0x02, 0x12, 0x34, 0x56, 0x78, 0x9a };
	struct rtnl *rt = open_rtnl();
	int tap = netns_tun("tap0", IFF_TAP);
	unsigned int ifindex = netns_ifindex(rt, "tap0");
	struct rtnl_info info;

	(void)state;
	assert_int_equal(rtnl_set_mtu(rt, ifindex, 9000), 0);
	assert_int_equal(rtnl_set_mac(rt, ifindex, mac), 0);
	assert_int_equal(rtnl_set_txqlen(rt, ifindex, 4096), 0);
	assert_int_equal(rtnl_set_up(rt, ifindex, true), 0);
	assert_int_equal(rtnl_get(rt, ifindex, &info), 0);
	assert_int_equal(info.mtu, 9000);
	assert_memory_equal(info.mac, mac, sizeof(mac));
	assert_int_equal(info.txqlen, 4096);
	assert_true(info.flags & IFF_UP);
	assert_int_equal(info.tx_dropped, 0);

	assert_int_equal(rtnl_set_up(rt, ifindex, false), 0);
	assert_int_equal(rtnl_get(rt, ifindex, &info), 0);
	assert_false(info.flags & IFF_UP);
	assert_int_equal(info.mtu, 9000);
	close(tap);
	rtnl_close(rt);
}

/* The kernel's own errno comes through, not a code of libnl. */
static void test_refused(void **state)
{
	static const uint8_t multicast[] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };
	struct rtnl *rt = open_rtnl();
	int tap = netns_tun("tap0", IFF_TAP);
	unsigned int ifindex = netns_ifindex(rt, "tap0");

	(void)state;
	assert_int_equal(rtnl_set_mtu(rt, ifindex, 65522), -EINVAL);
	assert_int_equal(rtnl_set_mtu(rt, ifindex, 67), -EINVAL);
	assert_int_equal(rtnl_set_mtu(rt, ifindex, 68), 0);
	assert_int_equal(rtnl_set_mtu(rt, ifindex, 65521), 0);
	assert_int_equal(rtnl_set_mac(rt, ifindex, multicast), -EADDRNOTAVAIL);
	assert_int_equal(rtnl_delete(rt, 1), -EOPNOTSUPP);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(rtnl_set_mtu(rt, ifindex, 1500), -EPERM);
	assert_int_equal(rtnl_delete(rt, ifindex), -EPERM);
	assert_int_equal(seteuid(0), 0);
	close(tap);
	rtnl_close(rt);
}

static void test_delete(void **state)
{
	struct rtnl *rt = open_rtnl();
	int tap = netns_tun("tap0", IFF_TAP);
	unsigned int ifindex = netns_ifindex(rt, "tap0");
	struct rtnl_info info;

	(void)state;
	assert_int_equal(rtnl_delete(rt, ifindex), 0);
	assert_int_equal(rtnl_get(rt, ifindex, &info), -ENODEV);
	assert_int_equal(rtnl_delete(rt, ifindex), -ENODEV);
	close(tap);
	rtnl_close(rt);
}

static void test_errno(void **state)
{
	int nle;

	(void)state;
	assert_int_equal(rtnl_errno(0), 0);
	assert_int_equal(rtnl_errno(-NLE_PERM), EPERM);
	assert_int_equal(rtnl_errno(NLE_PERM), EPERM);
	assert_int_equal(rtnl_errno(-NLE_NODEV), ENODEV);
	assert_int_equal(rtnl_errno(-NLE_DUMP_INTR), EINTR);
	assert_int_equal(rtnl_errno(-NLE_MAX - 1), EIO);
	for (nle = 1; nle <= NLE_MAX; nle++)
		assert_true(rtnl_errno(nle) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_loopback),  NETNS_TEST(test_missing), NETNS_TEST(test_tun_kinds),
		NETNS_TEST(test_configure), NETNS_TEST(test_refused), NETNS_TEST(test_delete),
		NETNS_TEST(test_errno),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
