/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * veth has no carrier of its own to set: an end has one while both ends are up. So the
 * carrier that the user sees is the hidden end's IFF_UP.
 */
#include "net/packet.h"

#include "base/uapi.h"
#include "base/util.h"
#include "net/ethfeat.h"
#include "net/netns.h"
#include "net/packet_io.h"
#include "net/packet_pair.h"
#include "net/packet_user.h"
#include "net/veth.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel doubles these for its overhead: some 40,000 small frames or 480 superframes,
 * less than fd_to_vq_drain takes. */
#define PACKET_RECEIVE_BUF (16 << 20)
#define PACKET_SEND_BUF	   (4 << 20)

static struct packet *packet_of(struct kport *kp)
{
	return container_of(kp, struct packet, kport);
}

static int packet_setsockopt(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* --- control ------------------------------------------------------------ */

/* Asking for the user's end makes newer kernels tell of its carrier at once (tap.c). */
static int packet_set_carrier(struct kport *kp, bool on)
{
	struct packet *p = packet_of(kp);
	struct rtnl_info info;
	int err = rtnl_set_up(p->rtnl, kp->hidden_ifindex, on);

	if (!err && !rtnl_get(p->rtnl, kp->hidden_ifindex, &info))
		rtnl_get_in(p->rtnl, info.link_netnsid, info.link, &info);
	return err == -ENODEV ? -EBADFD : err;
}

/*
 * In another namespace the features stay as they are, which does if the peer takes
 * superframes no worse than the last one (checksums are completed in packet_io.c).
 */
static int packet_set_offload(struct kport *kp, uint64_t host_features)
{
	struct packet *p = packet_of(kp);
	uint64_t features = host_features & kp->offloads;
	struct rtnl_info info;
	int err = rtnl_get(p->rtnl, kp->hidden_ifindex, &info);

	if (!err && info.link_netnsid == p->user_netnsid)
		err = packet_user_tell(p, info.link, features);
	else if (!err && p->told & PACKET_GSO & ~features)
		err = -EREMOTE;
	/* whatever the user's end was told: it may be out of reach, with a mind of its own */
	kp->offered = kp->offloads;
	return err == -ENODEV ? -EBADFD : err;
}

/* There is one, which nobody can take away. */
static int packet_set_pairs(struct kport *kp, unsigned int n)
{
	return n <= kp->pairs ? 0 : -EINVAL;
}

static int packet_get_overflows(struct kport *kp, uint64_t *count)
{
	struct packet *p = packet_of(kp);
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0)
		return -errno;
	p->overflows += stats.tp_drops;
	*count = p->overflows + count_read(&p->unfit);
	return 0;
}

/* The hidden end knows of the other one, but not where it is when it is not here. */
static int packet_find_user(struct kport *kp, int *netns __attribute__((unused)))
{
	struct packet *p = packet_of(kp);
	struct rtnl_info hidden, user;
	int err = rtnl_get(p->rtnl, kp->hidden_ifindex, &hidden);

	kp->ifindex = 0;
	if (err)
		return err == -ENODEV ? -EBADFD : err;
	if (hidden.link_netnsid != p->user_netnsid)
		return -EREMOTE;
	err = rtnl_get(p->user_rtnl, hidden.link, &user);
	if (err)
		return err;
	kp->ifindex = user.ifindex;
	memcpy(kp->name, user.name, sizeof(kp->name));
	return 0;
}

static void packet_close(struct kport *kp)
{
	struct packet *p;

	if (!kp)
		return;
	p = packet_of(kp);
	close_fd(&p->fd);
	if (p->rtnl)
		packet_pair_remove(p);
	close_fd(&p->lock_fd);
	close_fd(&p->ethfeat_fd);
	rtnl_close(p->rtnl);
	rtnl_close(p->user_rtnl);
	free(p);
}

static const struct kport_ops packet_ops = {
	.send = packet_io_send,
	.receive = packet_io_receive,
	.set_carrier = packet_set_carrier,
	.set_offload = packet_set_offload,
	.set_pairs = packet_set_pairs,
	.find = packet_find_user,
	.get_overflows = packet_get_overflows,
	.close = packet_close,
};

/* --- open: the socket --------------------------------------------------- */

/* A header of 12 bytes came after the one for UDP segments (6.2): it tells of both. */
static int packet_set_header(struct packet *p)
{
	struct kport *kp = &p->kport;

	kp->offloads = PACKET_FEATURE(CSUM) | PACKET_FEATURE(HOST_TSO4) |
		       PACKET_FEATURE(HOST_TSO6) | PACKET_FEATURE(HOST_ECN) |
		       PACKET_FEATURE(GUEST_CSUM) | PACKET_FEATURE(GUEST_TSO4) |
		       PACKET_FEATURE(GUEST_TSO6) | PACKET_FEATURE(GUEST_ECN);
	kp->hdr_len = sizeof(struct virtio_net_hdr_v1);
	if (!packet_setsockopt(p->fd, SOL_PACKET, PACKET_VNET_HDR_SZ, kp->hdr_len)) {
		kp->offloads |= PACKET_FEATURE(HOST_USO) | PACKET_FEATURE(GUEST_USO4) |
				PACKET_FEATURE(GUEST_USO6);
		return 0;
	}
	kp->hdr_len = sizeof(struct virtio_net_hdr);
	return packet_setsockopt(p->fd, SOL_PACKET, PACKET_VNET_HDR, 1);
}

/* The size of a socket's buffer, above the system's limit where that is allowed. */
static int packet_set_buf(int fd, int force, int plain, int size)
{
	return packet_setsockopt(fd, SOL_SOCKET, force, size) ?
		       packet_setsockopt(fd, SOL_SOCKET, plain, size) :
		       0;
}

/* What must be of the user's namespace, which the thread is in for the moment alone. */
static int packet_open_user(struct packet *p, const char **why)
{
	int err = rtnl_open(&p->user_rtnl);

	if (err)
		return packet_fail(why, err, "cannot open a netlink socket");
	p->ethfeat_fd = ethfeat_open();
	if (p->ethfeat_fd < 0)
		return packet_fail(why, p->ethfeat_fd, "cannot open a socket for ethtool");
	return 0;
}

/* Receives nothing before it is bound. */
static int packet_open_socket(struct packet *p, const char **why)
{
	int err;

	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return packet_fail(why, -errno, errno == EPERM ?
				   "no permission for a packet socket; run with CAP_NET_RAW" :
				   "the kernel has no packet sockets; run `modprobe af_packet`");
	err = packet_set_header(p);
	if (!err)
		err = packet_setsockopt(p->fd, SOL_PACKET, PACKET_AUXDATA, 1);
	if (!err)
		err = packet_setsockopt(p->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (!err)
		err = packet_setsockopt(p->fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
	if (!err)
		err = packet_set_buf(p->fd, SO_RCVBUFFORCE, SO_RCVBUF, PACKET_RECEIVE_BUF);
	if (!err)
		err = packet_set_buf(p->fd, SO_SNDBUFFORCE, SO_SNDBUF, PACKET_SEND_BUF);
	return err ? packet_fail(why, err, "the kernel's packet sockets lack what veth needs") : 0;
}

static int packet_bind(struct packet *p, const char **why)
{
	const struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)p->kport.hidden_ifindex,
	};

	if (bind(p->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return packet_fail(why, -errno, "the packet socket is not tied to the hidden end");
	return 0;
}

static int packet_prepare(struct packet *p, const char **why)
{
	int err = packet_pair_hide(p);

	if (!err)
		err = packet_user_prepare(p);
	if (err == -EPERM)
		return packet_fail(why, err,
				   "no permission to configure the veth; run with CAP_NET_ADMIN");
	return err ? packet_fail(why, err, "the kernel does not configure the veth") : 0;
}

/* All that is of the hidden end's namespace, which the thread is in. */
static int packet_open_hidden(struct packet *p, const struct packet_pair_wish *wish,
			      const char **why)
{
	int err = rtnl_open(&p->rtnl);

	if (err)
		return packet_fail(why, err, "cannot open a netlink socket");
	err = packet_open_socket(p, why);
	if (!err)
		err = packet_pair_find(p, wish, why);
	if (!err)
		err = packet_prepare(p, why);
	return err ? err : packet_bind(p, why);
}

static int packet_open_at_home(struct packet *p, struct packet_pair_wish *wish, const char **why)
{
	int err = netns_enter(wish->home, &wish->there), left;

	if (err)
		return packet_fail(why, err, "cannot enter the network namespace of its other end");
	p->kport.hidden_apart = true;
	err = packet_open_hidden(p, wish, why);
	left = netns_leave(&wish->there);
	return err ? err : left;
}

static struct packet *packet_alloc(void)
{
	struct packet *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->kport.ops = &packet_ops;
	p->kport.needs_net_admin = true;
	p->kport.pairs = 1;
	p->kport.fds = &p->fd;
	p->user_netnsid = RTNL_NETNS_HERE;
	p->fd = -1;
	p->lock_fd = -1;
	p->ethfeat_fd = -1;
	return p;
}

int packet_open_apart(const struct packet_config *cfg, int home, struct kport **out,
		      const char **why)
{
	struct packet_pair_wish wish = {
		.name = cfg->name, .peer = cfg->peer, .home = home, .there = -1,
	};
	const char *unused;
	struct packet *p = packet_alloc();
	int err;

	*out = NULL;
	why = why ? why : &unused;
	*why = "";
	if (!p)
		return -ENOMEM;
	if (home >= 0 && netns_is_own(home))
		wish.home = -1;
	err = packet_open_user(p, why);
	if (!err)
		err = packet_pair_look(p, &wish, why);
	if (!err)
		err = wish.home < 0 ? packet_open_hidden(p, &wish, why) :
				      packet_open_at_home(p, &wish, why);
	if (err) {
		packet_close(&p->kport);
		return err;
	}
	*out = &p->kport;
	return 0;
}

int packet_open(const struct packet_config *cfg, struct kport **out, const char **why)
{
	return packet_open_apart(cfg, -1, out, why);
}
