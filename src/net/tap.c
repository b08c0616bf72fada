/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TAP lives as long as one file descriptor is attached to it, unless it was made
 * persistent. So an interface made here goes away with this process, however that
 * ends, and one that an administrator made before is only borrowed.
 *
 * The kernel announces carrier changes by a work item that runs at once for the
 * first and is put off by up to a second for the next (net/core/link_watch.c). Since
 * Linux 6.8 whoever asks for the link by RTM_GETLINK makes it run first: that is what
 * tap_set_carrier does, so that each change is announced, at once.
 */
#include "net/tap.h"

#include "base/uapi.h"
#include "base/util.h"
#include "net/rtnl.h"
#include "net/tap_offload.h"

#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define TAP_DEVICE     "/dev/net/tun"
#define TAP_QUEUES_MAX 256u /* MAX_TAP_QUEUES of the kernel */

#define TAP_TXQLEN_DEFAULT 1000u /* the kernel's; any other number is someone's choice */

struct tap {
	struct kport kport;
	struct rtnl *rtnl;
	unsigned int attached; /* queues that the kernel uses, the first ones */
	bool persist;          /* it shall outlive us */
	int *failed;           /* [pairs]: -errno of a read behind frames, not told yet */
	int fds[];             /* [pairs], then failed */
};

static struct tap *tap_of(struct kport *kp)
{
	return container_of(kp, struct tap, kport);
}

static int tap_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

/* Sets *why and passes @err on. */
static int tap_fail(const char **why, int err, const char *text)
{
	*why = text;
	return err;
}

/* --- frames ------------------------------------------------------------- */

static int tap_send(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (writev(kp->fds[pair], frames[i].iov, frames[i].iovcnt) < 0)
			return i ? (int)i : -errno;
	}
	return (int)i;
}

static int tap_receive(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n)
{
	int *failed = &tap_of(kp)->failed[pair];
	unsigned int i;
	int err;

	for (i = 0; i < n && !*failed; i++) {
		ssize_t len = readv(kp->fds[pair], frames[i].iov, frames[i].iovcnt);

		if (len < 0 && errno != EAGAIN)
			*failed = -errno;
		if (len < kp->hdr_len)
			break;
		frames[i].len = (uint32_t)(len - kp->hdr_len);
		/* kernels up to 6.12 leave these two bytes as they were */
		frames[i].hdr.num_buffers = 0;
	}
	if (likely(i || !*failed))
		return (int)i;
	err = *failed;
	*failed = 0;
	return err;
}

/* --- control ------------------------------------------------------------ */

static int tap_set_carrier(struct kport *kp, bool on)
{
	struct rtnl_info info;
	int value = on;
	int err = tap_ioctl(kp->fds[0], TUNSETCARRIER, &value);

	if (!err) /* the carrier is set whatever comes of this */
		rtnl_get(tap_of(kp)->rtnl, kp->ifindex, &info);
	return err;
}

static int tap_set_queue(int fd, unsigned int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };

	return tap_ioctl(fd, TUNSETQUEUE, &ifr);
}

/* The kernel fills the gap that a queue leaves with its last one: so the last goes first. */
static int tap_set_pairs(struct kport *kp, unsigned int n)
{
	struct tap *tap = tap_of(kp);
	int err = 0;

	while (!err && tap->attached > n) {
		err = tap_set_queue(kp->fds[tap->attached - 1], IFF_DETACH_QUEUE);
		tap->attached -= !err;
	}
	while (!err && tap->attached < n) {
		err = tap_set_queue(kp->fds[tap->attached], IFF_ATTACH_QUEUE);
		tap->attached += !err;
	}
	return err;
}

static int tap_get_overflows(struct kport *kp, uint64_t *count)
{
	struct rtnl_info info;
	int err = rtnl_get(tap_of(kp)->rtnl, kp->ifindex, &info);

	if (!err)
		*count = info.tx_dropped;
	return err;
}

/*
 * The owner may attach to it again without a capability. Without an owner everybody
 * might, which is no state to leave it in.
 */
static int tap_persist(struct kport *kp)
{
	struct tap *tap = tap_of(kp);
	int err = 0;

	if (kp->created && ioctl(kp->fds[0], TUNSETOWNER, (unsigned long)geteuid()) < 0)
		err = -errno;
	if (!err && ioctl(kp->fds[0], TUNSETPERSIST, 1UL) < 0)
		err = -errno;
	tap->persist = !err;
	return err;
}

/* By its descriptor, which takes no capability, and wherever the interface is. */
static int tap_set_mac(struct kport *kp, const uint8_t mac[ETH_ALEN])
{
	struct ifreq ifr = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
	int err;

	memcpy(ifr.ifr_hwaddr.sa_data, mac, ETH_ALEN);
	err = tap_ioctl(kp->fds[0], SIOCSIFHWADDR, &ifr);
	if (!err)
		memcpy(kp->mac, mac, ETH_ALEN);
	return err;
}

/* Is the interface, called by its name of now, where our netlink socket looks? */
static bool tap_is_here(struct tap *tap)
{
	struct ifreq ifr = { 0 };
	struct rtnl_info info;

	/* names are not unique among namespaces, random addresses are */
	if (tap_ioctl(tap->fds[0], SIOCGIFHWADDR, &ifr) ||
	    rtnl_get_by_name(tap->rtnl, tap->kport.name, &info) || strcmp(info.kind, "tun") ||
	    memcmp(info.mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN) != 0)
		return false;
	tap->kport.ifindex = info.ifindex;
	memcpy(tap->kport.mac, info.mac, ETH_ALEN);
	return true;
}

/* Our descriptors stay tied to it wherever it goes. */
static int tap_find(struct kport *kp, int *netns)
{
	struct tap *tap = tap_of(kp);
	struct ifreq ifr = { 0 };
	int err = tap_ioctl(kp->fds[0], TUNGETIFF, &ifr);

	if (err)
		return err;
	memcpy(kp->name, ifr.ifr_name, sizeof(kp->name));
	if (tap_is_here(tap))
		return 0;
	kp->ifindex = 0;
	*netns = ioctl(kp->fds[0], TUNGETDEVNETNS, NULL);
	return *netns < 0 ? -errno : 1;
}

static int tap_settle(struct kport *kp)
{
	struct tap *tap = tap_of(kp);
	struct rtnl *old = tap->rtnl;
	int err = rtnl_open(&tap->rtnl);

	if (!err && tap_is_here(tap)) {
		rtnl_close(old);
		return 0;
	}
	rtnl_close(tap->rtnl);
	tap->rtnl = old;
	return err ? err : -ENODEV;
}

/*
 * An interface made here is gone with our descriptors, except when someone has made
 * it persistent or holds a duplicate of one.
 */
static void tap_remove(struct tap *tap)
{
	struct rtnl_info info;

	if (!tap->kport.ifindex || rtnl_get(tap->rtnl, tap->kport.ifindex, &info))
		return;
	if (!strcmp(info.kind, "tun"))
		rtnl_delete(tap->rtnl, tap->kport.ifindex);
}

static void tap_close(struct kport *kp)
{
	struct tap *tap;
	unsigned int i;
	bool remove;

	if (!kp)
		return;
	tap = tap_of(kp);
	remove = kp->created && !tap->persist;
	if (remove) /* takes no capability, unlike what tap_remove does */
		ioctl(kp->fds[0], TUNSETPERSIST, 0UL);
	for (i = 0; i < kp->pairs; i++)
		close_fd(&kp->fds[i]);
	if (remove && tap->rtnl)
		tap_remove(tap);
	rtnl_close(tap->rtnl);
	free(tap);
}

static const struct kport_ops tap_ops = {
	.send = tap_send,
	.receive = tap_receive,
	.set_carrier = tap_set_carrier,
	.set_offload = tap_offload_set,
	.set_pairs = tap_set_pairs,
	.set_mac = tap_set_mac,
	.get_overflows = tap_get_overflows,
	.persist = tap_persist,
	.find = tap_find,
	.settle = tap_settle,
	.close = tap_close,
};

/* --- open --------------------------------------------------------------- */

/* The kernel's rules (dev_valid_name, dev_alloc_name, sysctl_dev_name_is_allowed). */
static bool tap_name_valid(const char *name)
{
	const char *percent = strchr(name, '%');

	if (!name[0] || strlen(name) >= IFNAMSIZ || strpbrk(name, "/: \f\n\r\t\v\xa0"))
		return false;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	return !percent || (percent[1] == 'd' && !strchr(percent + 1, '%'));
}

static int tap_open_device(int *fd, const char **why)
{
	unsigned int features;

	*fd = open(TAP_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (*fd >= 0) {
		if (!ioctl(*fd, TUNGETFEATURES, &features))
			return 0;
		return tap_fail(why, -errno, TAP_DEVICE " is not the kernel's TUN/TAP device");
	}
	switch (errno) {
	case ENOENT:
		return tap_fail(why, -errno,
				TAP_DEVICE " does not exist; run `modprobe tun`, or "
				"make it visible in this container");
	case ENODEV:
	case ENXIO:
		return tap_fail(why, -errno, TAP_DEVICE " has no driver; run `modprobe tun`");
	case EACCES:
	case EPERM:
		return tap_fail(why, -errno,
				"no permission to open " TAP_DEVICE "; run as root, "
				"or grant read and write");
	default:
		return tap_fail(why, -errno, "cannot open " TAP_DEVICE);
	}
}

/* Ties @fd to the interface @name (IFNAMSIZ bytes, in and out), without carrier. */
static int tap_tie(int fd, char *name, unsigned int flags)
{
	struct ifreq ifr = { 0 };
	unsigned int features = 0;
	int err, off = 0;

	err = tap_ioctl(fd, TUNGETFEATURES, &features);
	if (err)
		return err;
	flags |= IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (features & IFF_NO_CARRIER);
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	ifr.ifr_flags = (short)flags;
	err = tap_ioctl(fd, TUNSETIFF, &ifr);
	if (err)
		return err;
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	/* every TUNSETIFF without IFF_NO_CARRIER turns the carrier on */
	return features & IFF_NO_CARRIER ? 0 : tap_ioctl(fd, TUNSETCARRIER, &off);
}

/* Can the interface that has our name be used? Says why not. */
static int tap_check_existing(struct tap *tap, const char **why)
{
	bool multi_queue = tap->kport.pairs > 1;
	struct rtnl_info info;
	int err = rtnl_get_by_name(tap->rtnl, tap->kport.name, &info);

	if (err)
		return tap_fail(why, err, "the interface of that name cannot be looked up");
	if (strcmp(info.kind, "tun"))
		return tap_fail(why, -EEXIST,
				"the interface of that name is not a TAP; choose "
				"another name");
	if (info.tun_type != IFF_TAP)
		return tap_fail(why, -EEXIST,
				"the interface of that name is a TUN, not a TAP; "
				"choose another name");
	if (info.tun_multi_queue && !multi_queue)
		return tap_fail(why, -EINVAL,
				"the existing TAP is multi-queue; make it again "
				"without multi_queue, or ask for several queue pairs");
	if (!info.tun_multi_queue && multi_queue)
		return tap_fail(why, -EINVAL,
				"the existing TAP is not multi-queue; make it again "
				"with multi_queue, or ask for one queue pair");
	return 0;
}

static int tap_attach_existing(struct tap *tap, unsigned int flags, const char **why)
{
	int err = tap_check_existing(tap, why);

	if (err)
		return err;
	err = tap_tie(tap->fds[0], tap->kport.name, flags);
	switch (err) {
	case 0:
		return 0;
	case -EBUSY:
		return tap_fail(why, err, "the existing TAP is in use by another process");
	case -EPERM:
		return tap_fail(why, err,
				"the existing TAP belongs to another user; run with "
				"CAP_NET_ADMIN, or set its owner (ip tuntap add ... "
				"user)");
	default:
		return tap_fail(why, err, "the kernel does not attach to the existing TAP");
	}
}

/* The first queue: makes the interface, or attaches to it when there is one. */
static int tap_attach(struct tap *tap, unsigned int flags, const char **why)
{
	int err = tap_open_device(&tap->fds[0], why);

	if (err)
		return err;
	/* exclusive at first: that alone says, without a race, who made the interface */
	err = tap_tie(tap->fds[0], tap->kport.name, flags | IFF_TUN_EXCL);
	switch (err) {
	case 0:
		tap->kport.created = true;
		return 0;
	case -EBUSY:
		return tap_attach_existing(tap, flags, why);
	case -EPERM:
		return tap_fail(why, err,
				"no permission to create a TAP; run with "
				"CAP_NET_ADMIN, or create it beforehand (ip tuntap "
				"add ... mode tap user ...)");
	default:
		return tap_fail(why, err, "the kernel does not create a TAP of that name");
	}
}

static int tap_attach_queues(struct tap *tap, const char **why)
{
	unsigned int flags = tap->kport.pairs > 1 ? IFF_MULTI_QUEUE : 0;
	int err = tap_attach(tap, flags, why);
	unsigned int i;

	for (i = 1; !err && i < tap->kport.pairs; i++) {
		err = tap_open_device(&tap->fds[i], why);
		if (err)
			return err;
		err = tap_tie(tap->fds[i], tap->kport.name, flags);
		if (err)
			*why = "the kernel does not attach another queue to the TAP";
	}
	return err;
}

static int tap_identify(struct tap *tap, const char **why)
{
	struct kport *kp = &tap->kport;
	struct rtnl_info info;
	int err = rtnl_get_by_name(tap->rtnl, kp->name, &info);

	if (err)
		return tap_fail(why, err, "the TAP cannot be looked up by netlink");
	kp->ifindex = info.ifindex;
	kp->txqlen = info.txqlen;
	memcpy(kp->mac, info.mac, sizeof(kp->mac));
	return 0;
}

/* The owner of an interface that exists may lack the permission, which is no reason to end. */
static int tap_set_txqlen(struct tap *tap)
{
	struct kport *kp = &tap->kport;
	int err;

	if (!kp->created && kp->txqlen != TAP_TXQLEN_DEFAULT)
		return 0;
	err = rtnl_set_txqlen(tap->rtnl, kp->ifindex, TAP_TXQLEN);
	if (!err)
		kp->txqlen = TAP_TXQLEN;
	return kp->created ? err : 0;
}

int tap_set_hdr_len(struct kport *kp, uint8_t len)
{
	int value = len;
	int err = tap_ioctl(kp->fds[0], TUNSETVNETHDRSZ, &value);

	if (!err)
		kp->hdr_len = len;
	return err;
}

/* Writable it is in the same moments, as long as nobody limits what may be on its way. */
bool tap_is_up(const struct kport *kp)
{
	struct pollfd pfd = {.fd = kp->fds[0], .events = POLLOUT};

	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLOUT;
}

static int tap_set_header(struct tap *tap, const char **why)
{
	int little_endian = 1;
	int err = tap_set_hdr_len(&tap->kport, sizeof(struct virtio_net_hdr_v1));

	if (!err)
		err = tap_ioctl(tap->kport.fds[0], TUNSETVNETLE, &little_endian);
	return err ? tap_fail(why, err, "the kernel's TAP does not do virtio 1.0 headers") : 0;
}

static int tap_probe_offloads(struct tap *tap, const char **why)
{
	int err = tap_offload_probe(&tap->kport);

	return err ? tap_fail(why, err, "the kernel does not turn the TAP's offloads off") : 0;
}

static struct tap *tap_alloc(const struct tap_config *cfg)
{
	struct tap *tap = calloc(1, sizeof(*tap) + 2 * cfg->pairs * sizeof(tap->fds[0]));
	unsigned int i;

	if (!tap)
		return NULL;
	tap->kport.ops = &tap_ops;
	tap->kport.vectored = true;
	tap->kport.pairs = cfg->pairs;
	tap->attached = cfg->pairs;
	tap->kport.fds = tap->fds;
	tap->failed = tap->fds + cfg->pairs;
	memcpy(tap->kport.name, cfg->name, strlen(cfg->name));
	for (i = 0; i < cfg->pairs; i++)
		tap->fds[i] = -1;
	return tap;
}

int tap_open(const struct tap_config *cfg, struct kport **out, const char **why)
{
	const char *unused;
	struct tap *tap;
	int err;

	*out = NULL;
	why = why ? why : &unused;
	*why = "";
	if (!strcmp(cfg->name, "all") || !strcmp(cfg->name, "default"))
		return tap_fail(why, -EINVAL,
				"a name that the kernel keeps for itself; choose another");
	if (!tap_name_valid(cfg->name))
		return tap_fail(why, -EINVAL,
				"not a valid interface name; use 1 to 15 bytes "
				"without '/', ':', blanks, or '%' other than one %d");
	if (cfg->pairs < 1 || cfg->pairs > TAP_QUEUES_MAX)
		return tap_fail(why, -EINVAL, "a TAP has 1 to 256 queue pairs");
	tap = tap_alloc(cfg);
	if (!tap)
		return -ENOMEM;
	err = rtnl_open(&tap->rtnl);
	if (err)
		*why = "cannot open a netlink socket";
	if (!err)
		err = tap_attach_queues(tap, why);
	if (!err)
		err = tap_identify(tap, why);
	if (!err)
		err = tap_set_header(tap, why);
	if (!err)
		err = tap_probe_offloads(tap, why);
	if (!err)
		err = tap_set_txqlen(tap);
	if (err) {
		tap_close(&tap->kport);
		return err;
	}
	*out = &tap->kport;
	return 0;
}
