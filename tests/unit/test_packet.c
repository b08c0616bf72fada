/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The veth port: what opening makes, finds, leaves and refuses, and its carrier. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "base/util.h"
#include "net/packet.h"
#include "net/veth.h"
#include "veth_rig.h"

static struct kport *open_packet(const char *name, const char *peer)
{
	const struct packet_config cfg = { .name = name, .peer = peer };
	const char *why = NULL;
	struct kport *kp;

	if (packet_open(&cfg, &kp, &why))
		fail_msg("%s: %s", name, why);
	assert_string_equal(why, "");
	return kp;
}

/* Opening fails with @err, says @text, and leaves nothing open. */
static void assert_refused(const char *name, const char *peer, int err, const char *text)
{
	const struct packet_config cfg = { .name = name, .peer = peer };
	unsigned int fds = count_fds();
	struct kport *kp = (struct kport *)&cfg;
	const char *why = NULL;

	assert_int_equal(packet_open(&cfg, &kp, &why), err);
	assert_null(kp);
	assert_non_null(why);
	if (!strstr(why, text))
		fail_msg("\"%s\" does not say \"%s\"", why, text);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(packet_open(&cfg, &kp, NULL), err);
}

/* --- what open makes ---------------------------------------------------- */

static void test_open(void **state)
{
	unsigned int fds = count_fds();
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_packet("vnet0", NULL);
	struct rtnl_info user = look(rt, "vnet0"), hidden = look(rt, "vnet0-vub");

	(void)state;
	assert_string_equal(kp->name, "vnet0");
	assert_string_equal(user.kind, "veth");
	assert_int_equal(kp->ifindex, user.ifindex);
	assert_int_equal(kp->hidden_ifindex, hidden.ifindex);
	assert_int_equal(hidden.link, user.ifindex);
	assert_memory_equal(kp->mac, user.mac, sizeof(user.mac));
	assert_true(kp->hdr_len == 12 || kp->hdr_len == 10);
	assert_false(kp->vectored);
	assert_int_equal(kp->pairs, 1);
	assert_true(fcntl(kp->fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(kp->fds[0], F_GETFD) & FD_CLOEXEC);
	assert_false(hidden.flags & IFF_UP);
	assert_true(hidden.flags & IFF_NOARP);
	assert_int_equal(hidden.mtu, 65535);
	assert_int_equal(user.mtu, 1500);
	assert_false(user.flags & (IFF_UP | IFF_NOARP));
	kp->ops->close(kp);
	assert_int_equal(netns_ifindex(rt, "vnet0"), 0);
	assert_int_equal(netns_ifindex(rt, "vnet0-vub"), 0);
	rtnl_close(rt);
	assert_int_equal(count_fds(), fds);
}

static void test_names(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *a = open_packet("vu%d", NULL), *b = open_packet("vu%d", "other%d");
	struct kport *c = open_packet("fifteen-letters", NULL);

	(void)state;
	assert_string_equal(a->name, "vu0");
	assert_int_equal(look(rt, "vu0-vub").ifindex, a->hidden_ifindex);
	assert_string_equal(b->name, "vu1");
	assert_int_equal(look(rt, "other0").ifindex, b->hidden_ifindex);
	assert_int_equal(look(rt, "fifteen-let-vub").ifindex, c->hidden_ifindex);
	assert_refused("fifteen-letter2", NULL, -EEXIST, "give one with --veth-peer");
	assert_int_equal(netns_ifindex(rt, "fifteen-letter2"), 0);
	assert_refused("vx%d", "other0", -EEXIST, "give another with --veth-peer");
	assert_int_equal(netns_ifindex(rt, "vx0"), 0);
	a->ops->close(a);
	b->ops->close(b);
	c->ops->close(c);
	rtnl_close(rt);
}

static void test_offloads(void **state)
{
	const uint64_t all = UINT64_C(1) << VIRTIO_NET_F_CSUM |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO6 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_ECN |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4 |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_TSO6 |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_ECN;
	const uint64_t uso = UINT64_C(1) << VIRTIO_NET_F_HOST_USO |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_USO4 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_USO6;
	struct kport *kp = open_packet("vnet0", NULL);

	(void)state;
	assert_int_equal(kp->offloads, kp->hdr_len == 12 ? all | uso : all);
	assert_int_equal(kp->ops->set_offload(kp, ~UINT64_C(0)), 0);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tx-udp-segmentation: on'"),
			 kp->hdr_len == 12 ? 0 : 256);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tx-tcp-segmentation: on'"), 0);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tx-gre-segmentation: on'"), 256);
	assert_int_equal(kp->ops->set_offload(kp, UINT64_C(1) << VIRTIO_NET_F_CSUM), 0);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tcp.*segmentation: on'"), 256);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tx-checksum-ip-generic: on'"), 0);
	assert_int_equal(kp->ops->set_offload(kp, 0), 0);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tx-checksum-ip-generic: on'"), 256);
	kp->ops->close(kp);
}

/* The daemon is in another namespace than its interface is (--netns), where one of the same
 * name is a stranger's. */
static void test_offloads_from_elsewhere(void **state)
{
	const uint64_t tso = UINT64_C(1) << VIRTIO_NET_F_CSUM |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4;
	struct kport *kp = open_packet("vnet0", NULL);
	int there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(there >= 0);
	assert_int_equal(netns_new(NULL), 0);
	assert_int_equal(kp->ops->set_offload(kp, tso), 0);
	assert_int_equal(system("ip link add vnet0 type veth peer name other"), 0);
	assert_int_equal(kp->ops->set_offload(kp, 0), 0);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tx-tcp-segmentation: on'"), 0);
	assert_int_equal(kp->ops->set_offload(kp, tso), 0);
	assert_int_equal(system("ethtool -K vnet0 tso off"), 0);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tx-tcp-segmentation: on'"), 0);
	kp->ops->close(kp);
	close(there);
}

/* --- what exists already ------------------------------------------------ */

static void test_existing_is_kept(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct rtnl_info before, after;
	struct kport *kp;

	(void)state;
	assert_int_equal(system("ip link add mine type veth peer name theirs"), 0);
	assert_int_equal(system("ip link set mine up mtu 4000; ip link set theirs mtu 3000 up"), 0);
	before = look(rt, "theirs");
	assert_refused("mine", "others", -EEXIST, "has another name");
	kp = open_packet("mine", NULL);
	assert_int_equal(kp->hidden_ifindex, before.ifindex);
	assert_false(look(rt, "mine").flags & IFF_LOWER_UP);
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	assert_true(look(rt, "mine").flags & IFF_LOWER_UP);
	kp->ops->close(kp);
	after = look(rt, "theirs");
	assert_int_equal(after.flags & (IFF_NOARP | IFF_MULTICAST | IFF_UP), IFF_MULTICAST);
	assert_int_equal(after.mtu, 3000);
	assert_true(look(rt, "mine").flags & IFF_UP);
	assert_int_equal(look(rt, "mine").mtu, 4000);
	assert_int_equal(system("tc qdisc show dev theirs | grep -q clsact"), 256);
	rtnl_close(rt);
}

/* All that ip and ethtool know of the pair. */
static void describe_pair(char *text, size_t size)
{
	FILE *f = popen("for i in mine theirs; do ip -d -o link show $i; ethtool -k $i; "
			"tc qdisc show dev $i; done",
			"r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	assert_true(n > 0 && n < size - 1);
	assert_int_equal(pclose(f), 0);
}

static void test_existing_is_given_back(void **state)
{
	const uint64_t tso = UINT64_C(1) << VIRTIO_NET_F_CSUM |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_TSO6;
	static const char *const settings[] = {
		"true",
		"ethtool -K mine tso off tx-udp-segmentation off",
		"ethtool -K mine tx off",
		"ip link set mine gso_max_size 30000; ip link set theirs gso_max_size 20000",
		"ip link set mine gso_max_size 100000; ip link set theirs addrgenmode random",
		"ip link set theirs addrgenmode none arp off multicast off mtu 2000",
	};
	static char before[16384], during[16384], after[16384];
	struct kport *kp;
	size_t i;

	(void)state;
	assert_int_equal(system("ip link add mine type veth peer name theirs"), 0);
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		assert_int_equal(system(settings[i]), 0);
		describe_pair(before, sizeof(before));
		kp = open_packet("mine", NULL);
		assert_int_equal(kp->ops->set_offload(kp, tso), 0);
		describe_pair(during, sizeof(during));
		assert_string_not_equal(during, before);
		kp->ops->close(kp);
		describe_pair(after, sizeof(after));
		assert_string_equal(after, before);
	}
}

static void test_existing_is_unfit(void **state)
{
	struct kport *kp = open_packet("vnet0", NULL);
	int tap = netns_tun("tap0", IFF_TAP);
	pid_t child;

	(void)state;
	assert_refused("vnet0", NULL, -EBUSY, "in use by another process");
	assert_refused("vnet0-vub", NULL, -EBUSY, "in use by another process");
	kp->ops->close(kp);
	assert_refused("tap0", NULL, -EEXIST, "is not a veth");
	assert_refused("lo", NULL, -EEXIST, "is not a veth");
	assert_refused("new0", "tap0", -EEXIST, "is taken by another interface");
	assert_int_equal(system("ip link add a0 type veth peer name b0"), 0);
	assert_int_equal(system("ip link add br0 type bridge && ip link set b0 master br0"), 0);
	assert_refused("a0", NULL, -EBUSY, "port of a bridge");
	assert_int_equal(system("ip link set b0 nomaster"), 0);
	child = move_away("b0");
	assert_refused("a0", NULL, -EXDEV, "in another network namespace");
	end_away(child);
	assert_refused("a/b", NULL, -EINVAL, "does not create a veth of that name");
	close(tap);
}

/* A killed process leaves its pair; the next one takes it over and removes it. */
static void test_after_kill(void **state)
{
	struct rtnl *rt = open_rtnl();
	unsigned int ifindex;
	struct kport *kp;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		const struct packet_config cfg = { .name = "vnet0" };

		_exit(packet_open(&cfg, &kp, NULL) ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ifindex = look(rt, "vnet0").ifindex;
	kp = open_packet("vnet0", NULL);
	assert_int_equal(kp->ifindex, ifindex);
	kp->ops->close(kp);
	assert_int_equal(netns_ifindex(rt, "vnet0"), 0);
	rtnl_close(rt);
}

/* The user's end in another namespace: carrier, offloads, taking over, removal. */
static void test_moved(void **state)
{
	const uint64_t csum = UINT64_C(1) << VIRTIO_NET_F_CSUM;
	struct rtnl *rt = open_rtnl();
	const uint64_t tso = csum | UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4;
	struct kport *kp = open_packet("vnet0", NULL);
	struct rtnl_info hidden, user;
	char command[128];
	pid_t child;

	(void)state;
	assert_int_equal(kp->ops->set_offload(kp, tso), 0);
	child = move_away("vnet0");
	hidden = look(rt, "vnet0-vub");
	assert_true(hidden.link_netnsid >= 0);
	snprintf(command, sizeof(command), "nsenter -n -t %d ip link set vnet0 up", (int)child);
	assert_int_equal(system(command), 0);
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	assert_int_equal(rtnl_get_in(rt, hidden.link_netnsid, hidden.link, &user), 0);
	assert_true(user.flags & IFF_LOWER_UP);
	/* it left with TSO: a peer that takes none is one too many, one that takes it is fine */
	assert_int_equal(kp->ops->set_offload(kp, csum), -EREMOTE);
	assert_int_equal(kp->ops->set_offload(kp, tso), 0);
	assert_int_equal(kp->ops->set_offload(kp, ~UINT64_C(0)), 0);
	assert_int_equal(kp->ops->set_carrier(kp, false), 0);
	assert_int_equal(rtnl_get_in(rt, hidden.link_netnsid, hidden.link, &user), 0);
	assert_false(user.flags & IFF_LOWER_UP);
	/* meanwhile a second one is refused, also by the hidden end's name */
	assert_refused("vnet0", NULL, -EBUSY, "in use by another process");
	kp->ops->close(kp);
	assert_int_equal(netns_ifindex(rt, "vnet0-vub"), 0);
	end_away(child);
	rtnl_close(rt);
}

static void test_moved_and_killed(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *kp;
	pid_t child, maker = fork();
	int status;

	(void)state;
	if (maker == 0) {
		const struct packet_config cfg = { .name = "vnet0" };

		_exit(packet_open(&cfg, &kp, NULL) ? 1 : 0);
	}
	assert_int_equal(waitpid(maker, &status, 0), maker);
	assert_int_equal(status, 0);
	child = move_away("vnet0");
	kp = open_packet("vnet0", NULL);
	assert_int_equal(kp->ifindex, 0);
	assert_string_equal(kp->name, "vnet0");
	assert_int_equal(kp->hidden_ifindex, look(rt, "vnet0-vub").ifindex);
	/* it left with no superframes, as the mark tells: any peer will do */
	assert_int_equal(kp->ops->set_offload(kp, 0), 0);
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	kp->ops->close(kp);
	assert_int_equal(netns_ifindex(rt, "vnet0-vub"), 0);
	end_away(child);
	rtnl_close(rt);
}

static void test_deleted_by_others(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_packet("vnet0", NULL);
	uint64_t count;

	(void)state;
	assert_int_equal(rtnl_delete(rt, kp->ifindex), 0);
	assert_int_equal(kp->ops->set_carrier(kp, true), -EBADFD);
	assert_int_equal(kp->ops->set_offload(kp, 0), -EBADFD);
	assert_int_equal(kp->ops->get_overflows(kp, &count), 0);
	kp->ops->close(kp);
	rtnl_close(rt);
}

static void test_no_permission(void **state)
{
	(void)state;
	assert_int_equal(seteuid(65534), 0);
	assert_refused("vnet0", NULL, -EPERM, "CAP_NET_RAW");
	assert_int_equal(seteuid(0), 0);
}

/* --- carrier ------------------------------------------------------------ */

static void test_carrier(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_packet("vnet0", NULL);
	unsigned int i;

	(void)state;
	assert_int_equal(rtnl_set_up(rt, kp->ifindex, true), 0);
	for (i = 0; i < 10; i++) {
		bool on = i & 2; /* each twice */

		assert_int_equal(kp->ops->set_carrier(kp, on), 0);
		assert_int_equal(!!(look(rt, "vnet0").flags & IFF_LOWER_UP), on);
	}
	/* the user's own doing */
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	assert_int_equal(rtnl_set_up(rt, kp->ifindex, false), 0);
	assert_false(look(rt, "vnet0").flags & IFF_LOWER_UP);
	assert_true(look(rt, "vnet0-vub").flags & IFF_UP);
	assert_int_equal(rtnl_set_up(rt, kp->ifindex, true), 0);
	assert_true(look(rt, "vnet0").flags & IFF_LOWER_UP);
	kp->ops->close(kp);
	rtnl_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_open),
		NETNS_TEST(test_names),
		NETNS_TEST(test_offloads),
		NETNS_TEST(test_offloads_from_elsewhere),
		NETNS_TEST(test_existing_is_kept),
		NETNS_TEST(test_existing_is_given_back),
		NETNS_TEST(test_existing_is_unfit),
		NETNS_TEST(test_after_kill),
		NETNS_TEST(test_moved),
		NETNS_TEST(test_moved_and_killed),
		NETNS_TEST(test_deleted_by_others),
		NETNS_TEST(test_no_permission),
		NETNS_TEST(test_carrier),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
