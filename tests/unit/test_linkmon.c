/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "net/linkmon.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <poll.h>
#include <sys/socket.h>

/* One TAP, watched. */
struct watch {
	struct rtnl *rt;
	struct linkmon *lm;
	int tap;
	unsigned int ifindex;
	unsigned int changes;
	unsigned int ends;
	struct linkmon_state last;
};

static void on_changed(void *owner, const struct linkmon_state *state)
{
	struct watch *w = owner;

	w->changes++;
	w->last = *state;
}

static void on_gone(void *owner)
{
	struct watch *w = owner;

	w->ends++;
}

static const struct linkmon_events events = { .changed = on_changed, .gone = on_gone };

/* Dispatches what is there now; the kernel delivers most events before a request returns. */
static void dispatch(struct watch *w)
{
	assert_int_equal(linkmon_dispatch(w->lm), 0);
}

/* Dispatches until the carrier is told, which the kernel may put off by a second. */
static void dispatch_until_carrier(struct watch *w)
{
	struct pollfd pfd = { .fd = linkmon_fd(w->lm), .events = POLLIN };

	while (!(w->last.flags & IFF_LOWER_UP)) {
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		dispatch(w);
	}
}

static void watch_open(struct watch *w)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(rtnl_open(&w->rt), 0);
	w->tap = netns_tun("watched0", IFF_TAP);
	w->ifindex = netns_ifindex(w->rt, "watched0");
	assert_int_equal(linkmon_open(&w->lm, w->ifindex, &events, w), 0);
}

static void watch_close(struct watch *w)
{
	linkmon_close(w->lm);
	close(w->tap);
	rtnl_close(w->rt);
}

static void test_first_state(void **state)
{
	struct rtnl_info info;
	struct watch w;

	(void)state;
	watch_open(&w);
	assert_int_equal(w.changes, 0);
	dispatch(&w);
	assert_int_equal(w.changes, 1);
	assert_int_equal(rtnl_get(w.rt, w.ifindex, &info), 0);
	assert_string_equal(w.last.name, "watched0");
	assert_memory_equal(w.last.mac, info.mac, sizeof(info.mac));
	assert_int_equal(w.last.mtu, 1500);
	assert_int_equal(w.last.flags, info.flags);
	assert_false(w.last.flags & IFF_UP);
	dispatch(&w);
	assert_int_equal(w.changes, 1);
	watch_close(&w);
}

static void test_each_change(void **state)
{
	static const uint8_t mac[] = { 0x02, 0x12, 0x34, 0x56, 0x78, 0x9a };
	struct watch w;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	assert_int_equal(rtnl_set_mtu(w.rt, w.ifindex, 9000), 0);
	dispatch(&w);
	assert_int_equal(w.changes, 2);
	assert_int_equal(w.last.mtu, 9000);
	assert_int_equal(rtnl_set_mac(w.rt, w.ifindex, mac), 0);
	dispatch(&w);
	assert_int_equal(w.changes, 3);
	assert_memory_equal(w.last.mac, mac, sizeof(mac));
	/* events that say nothing new are not told */
	assert_int_equal(rtnl_set_mtu(w.rt, w.ifindex, 9000), 0);
	assert_int_equal(rtnl_set_mac(w.rt, w.ifindex, mac), 0);
	assert_int_equal(rtnl_set_txqlen(w.rt, w.ifindex, 77), 0);
	dispatch(&w);
	assert_int_equal(w.changes, 3);
	assert_int_equal(w.ends, 0);
	watch_close(&w);
}

static void test_rename(void **state)
{
	struct ifreq ifr = { .ifr_name = "watched0", .ifr_newname = "renamed0" };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct watch w;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	assert_int_equal(ioctl(sock, SIOCSIFNAME, &ifr), 0);
	dispatch(&w);
	assert_int_equal(w.changes, 2);
	assert_string_equal(w.last.name, "renamed0");
	close(sock);
	watch_close(&w);
}

static void test_up_and_carrier(void **state)
{
	int on = 1, off = 0;
	struct watch w;

	(void)state;
	watch_open(&w);
	assert_int_equal(ioctl(w.tap, TUNSETCARRIER, &off), 0);
	dispatch(&w);
	assert_int_equal(rtnl_set_up(w.rt, w.ifindex, true), 0);
	dispatch(&w);
	assert_true(w.last.flags & IFF_UP);
	assert_false(w.last.flags & IFF_LOWER_UP);
	assert_false(w.last.carrier);
	assert_int_equal(ioctl(w.tap, TUNSETCARRIER, &on), 0);
	dispatch_until_carrier(&w);
	assert_true(w.last.carrier);
	assert_int_equal(w.last.operstate, IF_OPER_UP);
	assert_int_equal(rtnl_set_up(w.rt, w.ifindex, false), 0);
	dispatch(&w);
	assert_false(w.last.flags & (IFF_UP | IFF_LOWER_UP));
	assert_true(w.last.carrier);
	watch_close(&w);
}

static void test_others_are_ignored(void **state)
{
	struct watch w;
	int other;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	other = netns_tun("other0", IFF_TAP);
	assert_int_equal(rtnl_set_mtu(w.rt, netns_ifindex(w.rt, "other0"), 1400), 0);
	close(other);
	dispatch(&w);
	assert_int_equal(w.changes, 1);
	assert_int_equal(w.ends, 0);
	watch_close(&w);
}

/* What a packet socket asks for the flags do not show. */
static void test_modes_of_a_socket(void **state)
{
	struct packet_mreq all = { .mr_type = PACKET_MR_ALLMULTI };
	struct packet_mreq any = { .mr_type = PACKET_MR_PROMISC };
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct watch w;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	assert_false(w.last.promisc || w.last.allmulti);
	all.mr_ifindex = any.mr_ifindex = (int)w.ifindex;
	assert_int_equal(setsockopt(sock, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &any, sizeof(any)), 0);
	dispatch(&w);
	assert_true(w.last.promisc);
	assert_false(w.last.allmulti);
	assert_false(w.last.flags & IFF_PROMISC);
	/* told with the next event */
	assert_int_equal(setsockopt(sock, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)), 0);
	assert_int_equal(rtnl_set_mtu(w.rt, w.ifindex, 1400), 0);
	dispatch(&w);
	assert_true(w.last.promisc && w.last.allmulti);
	assert_int_equal(close(sock), 0);
	dispatch(&w);
	assert_false(w.last.promisc);
	assert_int_equal(rtnl_set_mtu(w.rt, w.ifindex, 1300), 0);
	dispatch(&w);
	assert_false(w.last.allmulti);
	watch_close(&w);
}

/* The user's own, by ip link set promisc on, allmulticast on. */
static void test_modes_by_flag(void **state)
{
	struct ifreq ifr = { .ifr_name = "watched0", .ifr_flags = IFF_PROMISC };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct watch w;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	assert_int_equal(ioctl(sock, SIOCSIFFLAGS, &ifr), 0);
	dispatch(&w);
	assert_true(w.last.promisc && !w.last.allmulti);
	ifr.ifr_flags = IFF_ALLMULTI;
	assert_int_equal(ioctl(sock, SIOCSIFFLAGS, &ifr), 0);
	dispatch(&w);
	assert_true(!w.last.promisc && w.last.allmulti);
	close(sock);
	watch_close(&w);
}

/* Leaving a bridge is told by RTM_DELLINK as well, of family AF_BRIDGE. */
static void test_leaving_a_bridge_is_no_end(void **state)
{
	struct ifreq ifr = { .ifr_name = "br0" };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct watch w;

	(void)state;
	if (ioctl(sock, SIOCBRADDBR, "br0") < 0) {
		close(sock);
		skip();
	}
	watch_open(&w);
	dispatch(&w);
	ifr.ifr_ifindex = (int)w.ifindex;
	assert_int_equal(ioctl(sock, SIOCBRADDIF, &ifr), 0);
	dispatch(&w);
	assert_true(w.last.promisc && w.last.allmulti);
	assert_int_equal(ioctl(sock, SIOCBRDELIF, &ifr), 0);
	dispatch(&w);
	assert_false(w.last.promisc || w.last.allmulti);
	assert_int_equal(w.ends, 0);
	assert_int_equal(rtnl_set_mtu(w.rt, w.ifindex, 1400), 0);
	dispatch(&w);
	assert_int_equal(w.last.mtu, 1400);
	close(sock);
	watch_close(&w);
}

static void test_deleted(void **state)
{
	struct watch w;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	assert_int_equal(rtnl_delete(w.rt, w.ifindex), 0);
	dispatch(&w);
	assert_int_equal(w.ends, 1);
	dispatch(&w);
	assert_int_equal(w.ends, 1);
	watch_close(&w);
}

static void test_missing_from_the_start(void **state)
{
	struct watch w = { 0 };

	(void)state;
	assert_int_equal(linkmon_open(&w.lm, 4711, &events, &w), 0);
	dispatch(&w);
	assert_int_equal(w.changes, 0);
	assert_int_equal(w.ends, 1);
	linkmon_close(w.lm);
	linkmon_close(NULL);
}

/* Out to another namespace and back with its index: gone, then found anew. */
static void move_to(struct watch *w, int netns)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct rtnl_link *link = rtnl_link_alloc(), *changes = rtnl_link_alloc();

	assert_true(sock && link && changes);
	assert_int_equal(nl_connect(sock, NETLINK_ROUTE), 0);
	rtnl_link_set_ifindex(link, (int)w->ifindex);
	rtnl_link_set_ns_fd(changes, netns);
	assert_int_equal(rtnl_link_change(sock, link, changes, 0), 0);
	rtnl_link_put(changes);
	rtnl_link_put(link);
	nl_socket_free(sock);
}

static void test_moved_away_and_back(void **state)
{
	int here, there;
	struct watch w;

	there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(netns_new(state), 0);
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	watch_open(&w);
	dispatch(&w);
	move_to(&w, there);
	dispatch(&w);
	assert_int_equal(w.ends, 1);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	move_to(&w, here);
	dispatch(&w);
	assert_int_equal(w.ends, 1);
	assert_int_equal(w.changes, 2);
	assert_string_equal(w.last.name, "watched0");
	close(here);
	close(there);
	watch_close(&w);
}

/* One monitor, another interface; what was told of the first is forgotten. */
static void test_watch_another(void **state)
{
	unsigned int first;
	struct watch w;
	int other;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	other = netns_tun("watched1", IFF_TAP);
	first = w.ifindex;
	w.ifindex = netns_ifindex(w.rt, "watched1");
	assert_int_equal(linkmon_watch(w.lm, w.ifindex), 0);
	dispatch(&w);
	assert_int_equal(w.changes, 2);
	assert_string_equal(w.last.name, "watched1");
	assert_int_equal(rtnl_set_mtu(w.rt, first, 3000), 0);
	dispatch(&w);
	assert_int_equal(w.changes, 2);
	assert_int_equal(linkmon_watch(w.lm, 0), 0);
	assert_int_equal(rtnl_set_mtu(w.rt, w.ifindex, 3000), 0);
	close(other);
	dispatch(&w);
	assert_int_equal(w.changes, 2);
	assert_int_equal(w.ends, 0);
	watch_close(&w);
}

/* Makes more events than the monitor's socket can hold. */
static void overrun(struct watch *w)
{
	int fd = linkmon_fd(w->lm), small = 2048;
	unsigned int i;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (i = 0; i < 200; i++)
		assert_int_equal(rtnl_set_mtu(w->rt, w->ifindex, 1000 + i), 0);
}

static void test_overrun(void **state)
{
	struct watch w;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	overrun(&w);
	dispatch(&w);
	assert_true(w.changes < 100);
	assert_int_equal(w.last.mtu, 1199);
	/* and goes on as before */
	assert_int_equal(rtnl_set_mtu(w.rt, w.ifindex, 1500), 0);
	dispatch(&w);
	assert_int_equal(w.last.mtu, 1500);
	watch_close(&w);
}

static void test_deleted_in_an_overrun(void **state)
{
	struct watch w;

	(void)state;
	watch_open(&w);
	dispatch(&w);
	overrun(&w);
	assert_int_equal(rtnl_delete(w.rt, w.ifindex), 0);
	dispatch(&w);
	assert_int_equal(w.ends, 1);
	watch_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_first_state),
		NETNS_TEST(test_each_change),
		NETNS_TEST(test_rename),
		NETNS_TEST(test_up_and_carrier),
		NETNS_TEST(test_others_are_ignored),
		NETNS_TEST(test_modes_of_a_socket),
		NETNS_TEST(test_modes_by_flag),
		NETNS_TEST(test_leaving_a_bridge_is_no_end),
		NETNS_TEST(test_deleted),
		NETNS_TEST(test_missing_from_the_start),
		NETNS_TEST(test_moved_away_and_back),
		NETNS_TEST(test_watch_another),
		NETNS_TEST(test_overrun),
		NETNS_TEST(test_deleted_in_an_overrun),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
