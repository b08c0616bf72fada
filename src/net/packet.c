/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * veth has no carrier of its own to set: an end has one while both ends are up. So the
 * carrier that the user sees is the hidden end's IFF_UP.
 *
 * A pair outlives the process that made it, so one made here bears a mark, by which the
 * next process knows that it is its to remove. Two packet sockets on one end would both
 * get every frame; a name that is unique in the network namespace keeps the second away.
 */
#include "net/packet.h"

#include "base/uapi.h"
#include "base/util.h"
#include "net/ethfeat.h"
#include "net/packet_io.h"
#include "net/veth.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The kernel doubles these for its overhead: some 40,000 small frames or 480 superframes,
 * less than fd_to_vq_drain takes. */
#define PACKET_RECEIVE_BUF (16 << 20)
#define PACKET_SEND_BUF	   (4 << 20)

/* Superframes are shorter than this, and so than FRAME_LEN_MAX with a tag. */
#define PACKET_GSO_MAX 65536u

#define PACKET_SUFFIX "-vub"

#define PACKET_FEATURE(name) (UINT64_C(1) << VIRTIO_NET_F_##name)
#define PACKET_GSO                                                                                 \
	(PACKET_FEATURE(HOST_TSO4) | PACKET_FEATURE(HOST_TSO6) | PACKET_FEATURE(HOST_ECN) |        \
	 PACKET_FEATURE(HOST_USO))
/* What the user's end hands out from the first: it may move away before a peer is there,
 * and what any peer can be given must be enough then. */
#define PACKET_AT_FIRST PACKET_FEATURE(CSUM)

static const struct {
	const char *name;
	uint64_t feature; /* 0: virtio-net has no header for it */
} packet_ethfeats[] = {
	{ "tx-checksum-ip-generic", PACKET_FEATURE(CSUM) },
	{ "tx-tcp-segmentation", PACKET_FEATURE(HOST_TSO4) },
	{ "tx-tcp6-segmentation", PACKET_FEATURE(HOST_TSO6) },
	{ "tx-tcp-ecn-segmentation", PACKET_FEATURE(HOST_ECN) },
	{ "tx-udp-segmentation", PACKET_FEATURE(HOST_USO) },
	{ "tx-checksum-sctp", 0 },
	{ "tx-tcp-mangleid-segmentation", 0 },
	{ "tx-tcp-accecn-segmentation", 0 },
	{ "tx-gre-segmentation", 0 },
	{ "tx-gre-csum-segmentation", 0 },
	{ "tx-ipxip4-segmentation", 0 },
	{ "tx-ipxip6-segmentation", 0 },
	{ "tx-udp_tnl-segmentation", 0 },
	{ "tx-udp_tnl-csum-segmentation", 0 },
	{ "tx-gso-partial", 0 },
	{ "tx-tunnel-remcsum-segmentation", 0 },
	{ "tx-sctp-segmentation", 0 },
	{ "tx-esp-segmentation", 0 },
	{ "tx-gso-list", 0 },
};

static struct packet *packet_of(struct kport *kp)
{
	return container_of(kp, struct packet, kport);
}

/* Sets *why and passes @err on. */
static int packet_fail(const char **why, int err, const char *text)
{
	*why = text;
	return err;
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

/* Has the user's end, which is in our namespace, hand out no more than @features. */
static int packet_tell(struct packet *p, unsigned int ifindex, uint64_t features)
{
	struct ethfeat wanted[ARRAY_SIZE(packet_ethfeats)];
	struct rtnl_info info;
	size_t i;
	int err = rtnl_get(p->rtnl, ifindex, &info);

	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		wanted[i] = (struct ethfeat){ packet_ethfeats[i].name,
					      features & packet_ethfeats[i].feature };
	err = ethfeat_set(p->ethfeat_fd, info.name, wanted, ARRAY_SIZE(wanted));
	if (!err && p->kport.created)
		err = veth_set_mark(p->rtnl, p->kport.hidden_ifindex, features);
	if (!err)
		p->told = features;
	return err;
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

	if (!err && info.link_netnsid == RTNL_NETNS_HERE)
		err = packet_tell(p, info.link, features);
	else if (!err && p->told & PACKET_GSO & ~features)
		err = -EREMOTE;
	if (!err)
		count_set(&p->taken, features);
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
	if (hidden.link_netnsid != RTNL_NETNS_HERE)
		return -EREMOTE;
	err = rtnl_get(p->rtnl, hidden.link, &user);
	if (err)
		return err;
	kp->ifindex = user.ifindex;
	memcpy(kp->name, user.name, sizeof(kp->name));
	return 0;
}

static void packet_remove(struct packet *p)
{
	struct rtnl_info info;
	uint64_t told;

	if (rtnl_get(p->rtnl, p->kport.hidden_ifindex, &info))
		return;
	if (!p->kport.created)
		veth_give_back(p->rtnl, p->kport.hidden_ifindex, &p->before);
	else if (veth_made_here(&info, &told))
		rtnl_delete(p->rtnl, p->kport.hidden_ifindex);
}

static void packet_close(struct kport *kp)
{
	struct packet *p;

	if (!kp)
		return;
	p = packet_of(kp);
	close_fd(&p->fd);
	if (p->rtnl)
		packet_remove(p);
	close_fd(&p->lock_fd);
	close_fd(&p->ethfeat_fd);
	rtnl_close(p->rtnl);
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

/* --- open: the pair ----------------------------------------------------- */

/* The hidden end's name for the user's end @name. */
static void packet_derive(char out[IFNAMSIZ], const char *name)
{
	snprintf(out, IFNAMSIZ, "%.*s" PACKET_SUFFIX, (int)(IFNAMSIZ - sizeof(PACKET_SUFFIX)),
		 name);
}

/* Holds interface @ifindex of this namespace for as long as *fd is open. */
static int packet_lock(int *fd, unsigned int ifindex)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int len;

	*fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	/* an abstract name: of this network namespace, and gone with its socket */
	len = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "vubridge-veth-%u", ifindex);
	if (bind(*fd, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0)
		return errno == EADDRINUSE ? -EBUSY : -errno;
	return 0;
}

/* The user's end must not be someone's hidden end, so that is tried as well. */
static int packet_lock_pair(struct packet *p, unsigned int hidden, unsigned int user)
{
	int fd = -1, err = packet_lock(&p->lock_fd, hidden);

	if (!err && user)
		err = packet_lock(&fd, user);
	close_fd(&fd);
	return err;
}

/* Takes the hidden end @hidden for this process, with the user's end @user. */
static int packet_take(struct packet *p, const struct rtnl_info *hidden,
		       const struct rtnl_info *user, const char **why)
{
	unsigned int ifindex = hidden->link_netnsid == RTNL_NETNS_HERE ? user->ifindex : 0;
	int err;

	/* the bridge would get each frame too */
	if (hidden->master)
		return packet_fail(why, -EBUSY,
				   "the hidden end of the existing veth is a port of a bridge or "
				   "the like; take it out (ip link set ... nomaster)");
	err = packet_lock_pair(p, hidden->ifindex, ifindex);
	if (err)
		return packet_fail(why, err, "the existing veth is in use by another process");
	p->kport.hidden_ifindex = hidden->ifindex;
	p->kport.ifindex = ifindex;
	memcpy(p->kport.name, user->name, sizeof(p->kport.name));
	memcpy(p->kport.mac, user->mac, sizeof(p->kport.mac));
	p->told = PACKET_GSO; /* nobody knows, unless the mark tells */
	p->kport.created = veth_made_here(hidden, &p->told);
	p->before.flags = hidden->flags;
	p->before.mtu = hidden->mtu;
	return 0;
}

/* The user's end is here. */
static int packet_attach(struct packet *p, const struct packet_config *cfg,
			 const struct rtnl_info *user, const char **why)
{
	struct rtnl_info hidden;
	int err;

	if (strcmp(user->kind, "veth"))
		return packet_fail(why, -EEXIST,
				   "the interface of that name is not a veth; choose another name");
	if (user->link_netnsid != RTNL_NETNS_HERE)
		return packet_fail(why, -EXDEV,
				   "the other end of the existing veth is in another network "
				   "namespace; run there with --veth-peer, or bring it here");
	err = rtnl_get(p->rtnl, user->link, &hidden);
	if (err)
		return packet_fail(why, err, "the other end of the existing veth is not found");
	if (cfg->peer && strcmp(cfg->peer, hidden.name))
		return packet_fail(why, -EEXIST,
				   "the existing veth's other end has another name than "
				   "--veth-peer gives");
	return packet_take(p, &hidden, user, why);
}

/* The user's end is not here. If the hidden one is, it was moved away. */
static int packet_attach_hidden(struct packet *p, const struct rtnl_info *hidden, const char **why)
{
	struct rtnl_info user;
	int err;

	if (strcmp(hidden->kind, "veth") || hidden->link_netnsid == RTNL_NETNS_HERE)
		return packet_fail(why, -EEXIST,
				   "the name of the hidden end is taken by another interface; "
				   "give one with --veth-peer");
	err = rtnl_get_in(p->rtnl, hidden->link_netnsid, hidden->link, &user);
	if (err)
		return packet_fail(why, err,
				   "the existing veth's other end is in a network namespace that "
				   "cannot be looked into");
	return packet_take(p, hidden, &user, why);
}

/* Under a name that nobody else uses, until the kernel has found the user's end its own. */
static int packet_create(struct packet *p, const struct packet_config *cfg, const char **why)
{
	char name[IFNAMSIZ];
	struct rtnl_info hidden, user;
	int err;

	snprintf(name, sizeof(name), "vub-%x", (unsigned int)getpid());
	err = veth_add(p->rtnl, cfg->name, name);
	if (!err)
		err = rtnl_get_by_name(p->rtnl, name, &hidden);
	if (err == -EOPNOTSUPP)
		return packet_fail(why, err, "the kernel has no veth; run `modprobe veth`");
	if (err == -EPERM)
		return packet_fail(why, err,
				   "no permission to create a veth; run with CAP_NET_ADMIN");
	if (err)
		return packet_fail(why, err, "the kernel does not create a veth of that name");
	err = rtnl_get(p->rtnl, hidden.link, &user);
	if (!err) {
		packet_derive(name, user.name);
		err = rtnl_set_name(p->rtnl, hidden.ifindex, cfg->peer ? cfg->peer : name);
		if (err)
			*why = "the hidden end cannot have its name; give another with --veth-peer";
	}
	if (!err)
		err = packet_take(p, &hidden, &user, why);
	if (err)
		rtnl_delete(p->rtnl, hidden.ifindex);
	return err;
}

static int packet_find(struct packet *p, const struct packet_config *cfg, const char **why)
{
	char derived[IFNAMSIZ];
	const char *peer = cfg->peer ? cfg->peer : derived;
	struct rtnl_info info;

	if (!strchr(cfg->name, '%')) {
		packet_derive(derived, cfg->name);
		if (!rtnl_get_by_name(p->rtnl, cfg->name, &info))
			return packet_attach(p, cfg, &info, why);
		if (!rtnl_get_by_name(p->rtnl, peer, &info))
			return packet_attach_hidden(p, &info, why);
	}
	return packet_create(p, cfg, why);
}

static int packet_prepare(struct packet *p, const char **why)
{
	int err = veth_hide(p->rtnl, p->kport.hidden_ifindex, &p->before.filter);

	if (!err && p->kport.ifindex)
		err = veth_limit_gso(p->rtnl, p->kport.ifindex, PACKET_GSO_MAX);
	if (!err && p->kport.ifindex)
		err = packet_tell(p, p->kport.ifindex, PACKET_AT_FIRST);
	if (err == -EPERM)
		return packet_fail(why, err,
				   "no permission to configure the veth; run with CAP_NET_ADMIN");
	return err ? packet_fail(why, err, "the kernel does not configure the veth") : 0;
}

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

/* What must be of the pair's namespace, which the thread is in for the moment alone. */
static int packet_open_control(struct packet *p, const char **why)
{
	int err = rtnl_open(&p->rtnl);

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

static struct packet *packet_alloc(void)
{
	struct packet *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->kport.ops = &packet_ops;
	p->kport.needs_net_admin = true;
	p->kport.pairs = 1;
	p->kport.fds = &p->fd;
	p->fd = -1;
	p->lock_fd = -1;
	p->ethfeat_fd = -1;
	return p;
}

int packet_open(const struct packet_config *cfg, struct kport **out, const char **why)
{
	const char *unused;
	struct packet *p = packet_alloc();
	int err;

	*out = NULL;
	why = why ? why : &unused;
	*why = "";
	if (!p)
		return -ENOMEM;
	err = packet_open_control(p, why);
	if (!err)
		err = packet_open_socket(p, why);
	if (!err)
		err = packet_find(p, cfg, why);
	if (!err)
		err = packet_prepare(p, why);
	if (!err)
		err = packet_bind(p, why);
	if (err) {
		packet_close(&p->kport);
		return err;
	}
	*out = &p->kport;
	return 0;
}
