/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The veth port with its hidden end in the daemon's namespace, the user's in another one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "net/packet.h"
#include "veth_rig.h"

#include <errno.h>

static int own_netns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

/* The namespaces of the daemon and of its interface. */
struct apart {
	int home, there;
	struct rtnl *at_home, *at_there;
};

/* Leaves the thread in that of the interface. */
static void apart_open(struct apart *a)
{
	a->home = own_netns();
	a->at_home = open_rtnl();
	assert_int_equal(netns_new(NULL), 0);
	a->there = own_netns();
	a->at_there = open_rtnl();
}

static void apart_close(struct apart *a)
{
	rtnl_close(a->at_there);
	rtnl_close(a->at_home);
	close(a->there);
	close(a->home);
}

static struct kport *open_apart(const struct apart *a, const char *name, const char *peer)
{
	const struct packet_config cfg = { .name = name, .peer = peer };
	const char *why = NULL;
	struct kport *kp;

	if (packet_open_apart(&cfg, a->home, &kp, &why))
		fail_msg("%s: %s", name, why);
	return kp;
}

static void assert_refused_apart(const struct apart *a, const char *name, const char *peer,
				 int err, const char *text)
{
	const struct packet_config cfg = { .name = name, .peer = peer };
	unsigned int fds = count_fds();
	const char *why = NULL;
	struct kport *kp;

	assert_int_equal(packet_open_apart(&cfg, a->home, &kp, &why), err);
	if (!strstr(why, text))
		fail_msg("\"%s\" does not say \"%s\"", why, text);
	assert_int_equal(count_fds(), fds);
}

static void test_apart(void **state)
{
	const uint64_t csum = UINT64_C(1) << VIRTIO_NET_F_CSUM;
	const uint64_t tso = csum | UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4;
	struct kport *kp;
	struct apart a;
	int found;

	(void)state;
	apart_open(&a);
	kp = open_apart(&a, "vnet0", NULL);
	assert_true(kp->hidden_apart);
	assert_int_equal(kp->ifindex, look(a.at_there, "vnet0").ifindex);
	assert_int_equal(netns_ifindex(a.at_there, "vnet0-vub"), 0);
	assert_int_equal(kp->hidden_ifindex, look(a.at_home, "vnet0-vub").ifindex);
	assert_int_equal(netns_ifindex(a.at_home, "vnet0"), 0);
	assert_refused_apart(&a, "vnet0", NULL, -EBUSY, "in use by another process");
	/* all that it does, it does from home */
	enter(a.home);
	assert_int_equal(kp->ops->set_offload(kp, tso), 0);
	enter(a.there);
	assert_int_equal(system("ethtool -k vnet0 | grep -q 'tx-tcp-segmentation: on'"), 0);
	enter(a.home);
	assert_int_equal(rtnl_set_up(a.at_there, kp->ifindex, true), 0);
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	assert_true(look(a.at_there, "vnet0").flags & IFF_LOWER_UP);
	assert_int_equal(kp->ops->set_carrier(kp, false), 0);
	assert_false(look(a.at_there, "vnet0").flags & IFF_LOWER_UP);
	assert_int_equal(kp->ops->find(kp, &found), 0);
	kp->ops->close(kp);
	assert_int_equal(netns_ifindex(a.at_home, "vnet0-vub"), 0);
	apart_close(&a);
}

/* Containers, each with an interface of the same name. */
static void test_apart_names(void **state)
{
	struct kport *first, *second, *third;
	struct apart a;

	(void)state;
	apart_open(&a);
	first = open_apart(&a, "eth0", NULL);
	assert_int_equal(netns_new(NULL), 0);
	second = open_apart(&a, "eth0", NULL);
	assert_int_equal(look(a.at_home, "eth0-vub0").ifindex, second->hidden_ifindex);
	third = open_apart(&a, "eth%d", "hid%d");
	assert_string_equal(third->name, "eth1");
	assert_int_equal(look(a.at_home, "hid0").ifindex, third->hidden_ifindex);
	assert_refused_apart(&a, "eth2", "hid0", -EBUSY, "in use by another process");
	first->ops->close(first);
	second->ops->close(second);
	third->ops->close(third);
	assert_int_equal(netns_ifindex(a.at_home, "eth0-vub0"), 0);
	apart_close(&a);
}

/* What is there: both ends, one here and one at home, or where neither is. */
static void test_apart_existing(void **state)
{
	struct rtnl_info before;
	char command[128];
	struct kport *kp;
	struct apart a;
	pid_t child;

	(void)state;
	apart_open(&a);
	assert_int_equal(system("ip link add both0 type veth peer name both1"), 0);
	kp = open_apart(&a, "both0", NULL);
	assert_false(kp->hidden_apart);
	assert_int_equal(kp->hidden_ifindex, look(a.at_there, "both1").ifindex);
	kp->ops->close(kp);

	snprintf(command, sizeof(command), "ip link add one0 type veth peer name one1 netns "
					   "/proc/%d/fd/%d",
		 (int)getpid(), a.home);
	assert_int_equal(system(command), 0);
	before = look(a.at_home, "one1");
	assert_refused_apart(&a, "one0", "one2", -EEXIST, "has another name");
	kp = open_apart(&a, "one0", NULL);
	assert_true(kp->hidden_apart);
	assert_int_equal(kp->hidden_ifindex, before.ifindex);
	assert_int_equal(look(a.at_home, "one1").mtu, 65535);
	kp->ops->close(kp);
	assert_int_equal(look(a.at_home, "one1").mtu, before.mtu);
	assert_int_equal(look(a.at_there, "one0").link, before.ifindex);

	child = move_away("both1");
	assert_refused_apart(&a, "both0", NULL, -EXDEV, "another network namespace");
	end_away(child);
	assert_refused_apart(&a, "lo", NULL, -EEXIST, "is not a veth");
	apart_close(&a);
}

/* The next one finds the pair by its user's end, whatever the hidden one is called. */
static void test_apart_killed(void **state)
{
	struct kport *kp;
	struct apart a;
	pid_t child;
	int status;

	(void)state;
	apart_open(&a);
	child = fork();
	if (child == 0) {
		const struct packet_config cfg = { .name = "vnet0" };

		_exit(packet_open_apart(&cfg, a.home, &kp, NULL) ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	kp = open_apart(&a, "vnet0", NULL);
	assert_true(kp->created);
	assert_int_equal(kp->hidden_ifindex, look(a.at_home, "vnet0-vub").ifindex);
	kp->ops->close(kp);
	assert_int_equal(netns_ifindex(a.at_home, "vnet0-vub"), 0);
	assert_int_equal(netns_ifindex(a.at_there, "vnet0"), 0);
	apart_close(&a);
}

static void test_apart_moved(void **state)
{
	char command[128];
	struct kport *kp;
	struct apart a;
	int found;

	(void)state;
	apart_open(&a);
	kp = open_apart(&a, "vnet0", NULL);
	/* where the hidden end is nobody looks for it either */
	snprintf(command, sizeof(command), "ip link set vnet0 netns /proc/%d/fd/%d", (int)getpid(),
		 a.home);
	assert_int_equal(system(command), 0);
	assert_int_equal(kp->ops->find(kp, &found), -EREMOTE);
	assert_int_equal(kp->ifindex, 0);
	assert_int_equal(kp->ops->set_offload(kp, 0), 0);
	enter(a.home);
	snprintf(command, sizeof(command), "ip link set vnet0 netns /proc/%d/fd/%d", (int)getpid(),
		 a.there);
	assert_int_equal(system(command), 0);
	assert_int_equal(kp->ops->find(kp, &found), 0);
	assert_int_equal(kp->ifindex, look(a.at_there, "vnet0").ifindex);
	kp->ops->close(kp);
	apart_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_apart),
		NETNS_TEST(test_apart_names),
		NETNS_TEST(test_apart_existing),
		NETNS_TEST(test_apart_killed),
		NETNS_TEST(test_apart_moved),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
