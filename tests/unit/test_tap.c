/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "base/util.h"
#include "net/netns.h"
#include "net/tap.h"

#include <dirent.h>
#include <sys/mount.h>


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

static struct kport *open_tap(const char *name, unsigned int pairs)
{
	const struct tap_config cfg = { .name = name, .pairs = pairs };
	struct kport *kp;
	const char *why;

	assert_int_equal(tap_open(&cfg, &kp, &why), 0);
	assert_string_equal(why, "");
	return kp;
}

/* Opening fails with @err, says @text, and leaves nothing open. */
static void assert_refused(const char *name, unsigned int pairs, int err, const char *text)
{
	const struct tap_config cfg = { .name = name, .pairs = pairs };
	unsigned int fds = count_fds();
	struct kport *kp = (struct kport *)&cfg;
	const char *why = NULL;

	assert_int_equal(tap_open(&cfg, &kp, &why), err);
	assert_null(kp);
	assert_non_null(why);
	if (!strstr(why, text))
		fail_msg("\"%s\" does not say \"%s\"", why, text);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(tap_open(&cfg, &kp, NULL), err);
}

static struct rtnl *open_rtnl(void)
{
	struct rtnl *rt;

	assert_int_equal(rtnl_open(&rt), 0);
	return rt;
}

static void assert_absent(struct rtnl *rt, const char *name)
{
	assert_int_equal(netns_ifindex(rt, name), 0);
}

/* --- what open makes ---------------------------------------------------- */

static void test_open(void **state)
{
	unsigned int fds = count_fds();
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_tap("vnet0", 1);
	struct rtnl_info info;

	(void)state;
	assert_int_equal(rtnl_get_by_name(rt, "vnet0", &info), 0);
	assert_int_equal(kp->ifindex, info.ifindex);
	assert_string_equal(kp->name, "vnet0");
	assert_memory_equal(kp->mac, info.mac, sizeof(info.mac));
	assert_int_equal(info.tun_type, IFF_TAP);
	assert_false(info.tun_multi_queue);
	assert_int_equal(kp->hdr_len, 12);
	assert_true(kp->vectored);
	assert_int_equal(kp->pairs, 1);
	assert_true(fcntl(kp->fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(kp->fds[0], F_GETFD) & FD_CLOEXEC);
	kp->ops->close(kp);
	assert_absent(rt, "vnet0");
	rtnl_close(rt);
	assert_int_equal(count_fds(), fds);
}

static void test_template(void **state)
{
	struct kport *a = open_tap("vu%d", 1), *b = open_tap("vu%d", 1);

	(void)state;
	assert_string_equal(a->name, "vu0");
	assert_string_equal(b->name, "vu1");
	assert_int_not_equal(a->ifindex, b->ifindex);
	a->ops->close(a);
	b->ops->close(b);
}

static void test_pairs(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_tap("vnet0", 4);
	struct rtnl_info info;
	unsigned int i, j;

	(void)state;
	assert_int_equal(kp->pairs, 4);
	assert_int_equal(rtnl_get_by_name(rt, "vnet0", &info), 0);
	assert_true(info.tun_multi_queue);
	for (i = 0; i < 4; i++) {
		assert_true(kp->fds[i] >= 0);
		for (j = 0; j < i; j++)
			assert_int_not_equal(kp->fds[i], kp->fds[j]);
	}
	assert_int_equal(rtnl_set_up(rt, kp->ifindex, true), 0);
	assert_int_equal(rtnl_get(rt, kp->ifindex, &info), 0);
	assert_false(info.flags & IFF_LOWER_UP);
	kp->ops->close(kp);
	assert_absent(rt, "vnet0");
	rtnl_close(rt);
}

static void test_offloads(void **state)
{
	const uint64_t all = UINT64_C(1) << VIRTIO_NET_F_CSUM |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO6 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_ECN |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_UFO |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_UFO |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4 |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_TSO6 |
			     UINT64_C(1) << VIRTIO_NET_F_HOST_ECN;
	const uint64_t uso = UINT64_C(1) << VIRTIO_NET_F_HOST_USO |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_USO4 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_USO6;
	struct kport *kp = open_tap("vnet0", 1);
	bool has_uso;

	(void)state;
	/* ask the kernel itself, by another way than the probing from the largest set down */
	has_uso = !ioctl(kp->fds[0], TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6);
	assert_int_equal(kp->offloads, has_uso ? all | uso : all);
	/* any mixture of features can be set, nonsense and the bits of others included */
	assert_int_equal(kp->ops->set_offload(kp, ~UINT64_C(0)), 0);
	assert_int_equal(kp->ops->set_offload(kp, UINT64_C(1) << VIRTIO_NET_F_HOST_ECN), 0);
	assert_int_equal(kp->ops->set_offload(kp, UINT64_C(1) << VIRTIO_NET_F_HOST_TSO6), 0);
	assert_int_equal(kp->ops->set_offload(kp, UINT64_C(1) << VIRTIO_NET_F_HOST_USO), 0);
	assert_int_equal(kp->ops->set_offload(kp, 0), 0);
	kp->ops->close(kp);
}

/* --- what exists already ------------------------------------------------ */

static void test_hdr_len(void **state)
{
	struct kport *kp = open_tap("vnet0", 1);
	int len;

	(void)state;
	assert_int_equal(kp->hdr_len, 12);
	assert_int_equal(tap_set_hdr_len(kp, 10), 0);
	assert_int_equal(kp->hdr_len, 10);
	assert_int_equal(ioctl(kp->fds[0], TUNGETVNETHDRSZ, &len), 0);
	assert_int_equal(len, 10);
	/* shorter than any header: as it was */
	assert_int_equal(tap_set_hdr_len(kp, 9), -EINVAL);
	assert_int_equal(kp->hdr_len, 10);
	assert_int_equal(tap_set_hdr_len(kp, 12), 0);
	assert_int_equal(ioctl(kp->fds[0], TUNGETVNETHDRSZ, &len), 0);
	assert_int_equal(len, 12);
	kp->ops->close(kp);
}

static void test_existing_is_kept(void **state)
{
	struct rtnl *rt = open_rtnl();
	int fd = netns_tun("mine0", IFF_TAP);
	unsigned int ifindex = netns_ifindex(rt, "mine0");
	struct rtnl_info info;
	struct kport *kp;

	(void)state;
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	assert_int_equal(rtnl_set_mtu(rt, ifindex, 4000), 0);
	assert_int_equal(rtnl_set_up(rt, ifindex, true), 0);
	kp = open_tap("mine0", 1);
	assert_int_equal(kp->ifindex, ifindex);
	assert_int_equal(rtnl_get(rt, ifindex, &info), 0);
	assert_false(info.flags & IFF_LOWER_UP);
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	kp->ops->close(kp);
	assert_int_equal(rtnl_get(rt, ifindex, &info), 0);
	assert_false(info.flags & IFF_LOWER_UP);
	assert_true(info.flags & IFF_UP);
	assert_int_equal(info.mtu, 4000);
	assert_int_equal(rtnl_delete(rt, ifindex), 0);
	rtnl_close(rt);
}

/* A queue of the kernel's own length is made longer, one that someone has set is not. */
static void test_existing_queue(void **state)
{
	static const unsigned int lengths[][2] = { { 0, 4096 }, { 500, 500 }, { 9000, 9000 } };
	struct rtnl *rt = open_rtnl();
	struct rtnl_info info;
	struct kport *kp;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		assert_int_equal(system("ip tuntap add dev mine0 mode tap"), 0);
		if (lengths[i][0])
			assert_int_equal(rtnl_set_txqlen(rt, netns_ifindex(rt, "mine0"),
							 lengths[i][0]), 0);
		kp = open_tap("mine0", 1);
		assert_int_equal(rtnl_get(rt, kp->ifindex, &info), 0);
		assert_int_equal(info.txqlen, lengths[i][1]);
		assert_int_equal(kp->txqlen, lengths[i][1]);
		kp->ops->close(kp);
		assert_int_equal(rtnl_get_by_name(rt, "mine0", &info), 0);
		assert_int_equal(rtnl_delete(rt, info.ifindex), 0);
	}
	rtnl_close(rt);
}

static void test_existing_multi_queue(void **state)
{
	struct rtnl *rt = open_rtnl();
	int fd = netns_tun("multi0", IFF_TAP | IFF_MULTI_QUEUE);
	struct kport *kp;

	(void)state;
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	assert_refused("multi0", 1, -EINVAL, "is multi-queue");
	kp = open_tap("multi0", 2);
	kp->ops->close(kp);
	assert_true(netns_ifindex(rt, "multi0") > 0);
	rtnl_close(rt);
}

static void test_existing_is_unfit(void **state)
{
	int tun = netns_tun("tun0", IFF_TUN);
	int tap = netns_tun("tap0", IFF_TAP);

	(void)state;
	assert_refused("lo", 1, -EEXIST, "is not a TAP");
	assert_refused("tun0", 1, -EEXIST, "is a TUN");
	assert_refused("tap0", 1, -EBUSY, "in use by another process");
	assert_refused("tap0", 2, -EINVAL, "is not multi-queue");
	close(tun);
	close(tap);
}

/* What open made does not stay, whatever others did to it. */
static void test_nothing_stays(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_tap("vnet0", 1);
	int duplicate;

	(void)state;
	assert_int_equal(ioctl(kp->fds[0], TUNSETPERSIST, 1), 0);
	kp->ops->close(kp);
	assert_absent(rt, "vnet0");
	kp = open_tap("vnet0", 1);
	duplicate = dup(kp->fds[0]);
	kp->ops->close(kp);
	assert_absent(rt, "vnet0");
	close(duplicate);
	rtnl_close(rt);
}

static void test_deleted_by_others(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_tap("vnet0", 1);
	uint64_t count;

	(void)state;
	assert_int_equal(rtnl_delete(rt, kp->ifindex), 0);
	assert_int_equal(kp->ops->set_carrier(kp, true), -EBADFD);
	assert_int_equal(kp->ops->set_offload(kp, 0), -EBADFD);
	assert_int_equal(kp->ops->get_overflows(kp, &count), -ENODEV);
	kp->ops->close(kp);
	rtnl_close(rt);
}

/* Skips where only root may open the device. */
static void become_nobody(void)
{
	assert_int_equal(seteuid(65534), 0);
	if (euidaccess("/dev/net/tun", R_OK | W_OK) == 0)
		return;
	assert_int_equal(seteuid(0), 0);
	skip();
}

/* --- an interface that outlives us, or moves ------------------------------ */

static void test_persist(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_tap("vnet0", 1);
	struct rtnl_info info;
	unsigned int ifindex = kp->ifindex;

	(void)state;
	assert_int_equal(rtnl_set_up(rt, ifindex, true), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(kp->ops->persist(kp), 0);
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	kp->ops->close(kp);
	assert_int_equal(rtnl_get_by_name(rt, "vnet0", &info), 0);
	assert_int_equal(info.ifindex, ifindex);
	assert_true(info.tun_persistent);
	assert_true(info.flags & IFF_UP);
	assert_false(info.flags & IFF_LOWER_UP);
	/* whoever made it stay is its owner, which takes no capability */
	kp = open_tap("vnet0", 1);
	assert_int_equal(kp->ifindex, ifindex);
	kp->ops->close(kp);
	/* but nobody else is */
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(seteuid(65533), 0);
	assert_refused("vnet0", 1, -EPERM, "belongs to another user");
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(rtnl_delete(rt, ifindex), 0);
	rtnl_close(rt);
}

/* Calls ip with the words in @format. */
static void ip(const char *format, ...)
{
	char command[128] = "ip ";
	va_list args;

	va_start(args, format);
	vsnprintf(command + 3, sizeof(command) - 3, format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

static void test_find_moved(void **state)
{
	int there, here, found = -1, home;
	struct rtnl_info info;
	struct rtnl *rt;
	struct kport *kp;
	const char *why;

	there = netns_open("/proc/thread-self/ns/net", &why);
	assert_int_equal(netns_new(state), 0);
	here = netns_open("/proc/thread-self/ns/net", &why);
	kp = open_tap("vnet0", 1);
	assert_int_equal(kp->ops->find(kp, &found), 0);
	ip("link set vnet0 netns /proc/%d/fd/%d", (int)getpid(), there);

	/* another one of its name is not taken for it */
	ip("tuntap add dev vnet0 mode tap");
	assert_int_equal(kp->ops->find(kp, &found), 1);
	assert_int_equal(kp->ifindex, 0);
	assert_int_equal(kp->ops->settle(kp), -ENODEV);
	assert_int_equal(netns_enter(found, &home), 0);
	close(found);
	rt = open_rtnl();
	assert_false(tap_is_up(kp));
	ip("link set vnet0 up name moved0");
	assert_true(tap_is_up(kp));
	assert_int_equal(kp->ops->find(kp, &found), 1);
	close(found);
	assert_string_equal(kp->name, "moved0");
	assert_int_equal(kp->ops->settle(kp), 0);
	assert_int_equal(kp->ifindex, netns_ifindex(rt, "moved0"));
	assert_int_equal(kp->ops->find(kp, &found), 0);
	assert_int_equal(netns_leave(&home), 0);
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	assert_int_equal(rtnl_get(rt, kp->ifindex, &info), 0);
	assert_true(info.flags & IFF_LOWER_UP);

	assert_int_equal(rtnl_delete(rt, kp->ifindex), 0);
	assert_int_equal(kp->ops->find(kp, &found), -EBADFD);
	kp->ops->close(kp);
	rtnl_close(rt);
	close(here);
	close(there);
}

/* Without a capability it cannot be known where it is, but that it lives, and its name. */
static void test_find_unprivileged(void **state)
{
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_tap("vnet0", 1);
	const char *why;
	int here = netns_open("/proc/thread-self/ns/net", &why), there, found = -1;

	assert_int_equal(netns_new(state), 0);
	there = netns_open("/proc/thread-self/ns/net", &why);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	ip("link set vnet0 name gone0 netns /proc/%d/fd/%d", (int)getpid(), there);
	become_nobody();
	assert_int_equal(kp->ops->find(kp, &found), -EPERM);
	assert_int_equal(kp->ifindex, 0);
	assert_string_equal(kp->name, "gone0");
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	assert_int_equal(seteuid(0), 0);

	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	ip("link set gone0 netns /proc/%d/fd/%d", (int)getpid(), here);
	become_nobody();
	assert_int_equal(kp->ops->find(kp, &found), 0);
	assert_int_equal(kp->ifindex, netns_ifindex(rt, "gone0"));
	kp->ops->close(kp);
	assert_int_equal(seteuid(0), 0);
	assert_absent(rt, "gone0");
	rtnl_close(rt);
	close(here);
	close(there);
}

/* --- what cannot be opened ---------------------------------------------- */

static void test_bad_names(void **state)
{
	static const char *const names[] = {
		"",    ".",    "..",    "a/b",    "a b",	   "a:b", "a\tb",
		"%s",  "vu%",  "%d%d",  "sixteen-bytes-ab",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		assert_refused(names[i], 1, -EINVAL, "not a valid interface name");
	assert_refused("all", 1, -EINVAL, "keeps for itself");
	assert_refused("default", 1, -EINVAL, "keeps for itself");
	assert_refused("vnet0", 0, -EINVAL, "1 to 256");
	assert_refused("vnet0", 257, -EINVAL, "1 to 256");
}

static void test_no_permission(void **state)
{
	int fd = netns_tun("root0", IFF_TAP);

	(void)state;
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	assert_int_equal(ioctl(fd, TUNSETOWNER, 65533), 0);
	close(fd);
	become_nobody();
	assert_refused("vnet0", 1, -EPERM, "CAP_NET_ADMIN");
	assert_refused("root0", 1, -EPERM, "belongs to another user");
	assert_int_equal(seteuid(0), 0);
}

/* An owner may use his TAP without any capability. */
static void test_unprivileged_owner(void **state)
{
	int fd = netns_tun("owned0", IFF_TAP);
	struct kport *kp;

	(void)state;
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	assert_int_equal(ioctl(fd, TUNSETOWNER, 65534), 0);
	close(fd);
	become_nobody();
	kp = open_tap("owned0", 1);
	assert_int_equal(kp->ops->set_carrier(kp, true), 0);
	kp->ops->close(kp);
	assert_int_equal(seteuid(0), 0);
}

/* In a mount namespace of our own /dev/net/tun can be made to look as we like. */
static void test_no_device(void **state)
{
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/dev/net", "tmpfs", 0, NULL) < 0)
		skip();
	assert_refused("vnet0", 1, -ENOENT, "/dev/net/tun does not exist");
	fd = open("/dev/net/tun", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_refused("vnet0", 1, -ENOTTY, "is not the kernel's TUN/TAP device");
	assert_int_equal(seteuid(65534), 0);
	assert_refused("vnet0", 1, -EACCES, "no permission to open /dev/net/tun");
	assert_int_equal(seteuid(0), 0);
	close(fd);
	assert_int_equal(umount2("/dev/net", MNT_DETACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_open),
		NETNS_TEST(test_template),
		NETNS_TEST(test_pairs),
		NETNS_TEST(test_offloads),
		NETNS_TEST(test_hdr_len),
		NETNS_TEST(test_existing_is_kept),
		NETNS_TEST(test_existing_queue),
		NETNS_TEST(test_existing_multi_queue),
		NETNS_TEST(test_existing_is_unfit),
		NETNS_TEST(test_nothing_stays),
		NETNS_TEST(test_deleted_by_others),
		NETNS_TEST(test_persist),
		NETNS_TEST(test_find_moved),
		NETNS_TEST(test_find_unprivileged),
		NETNS_TEST(test_bad_names),
		NETNS_TEST(test_no_permission),
		NETNS_TEST(test_unprivileged_owner),
		NETNS_TEST(test_no_device), /* last: it leaves the mount namespace */
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
