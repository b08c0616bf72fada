/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel serves a route request within the sender's system call: when the
 * send returns, the one answer to it is in the socket. So the socket does not
 * block, every exchange is one send and one receive, and nothing is left over
 * for the next. (Acknowledgements are asked for only where there is no other
 * answer, which is why libnl's automatic ones are off.)
 */
#include "net/rtnl.h"

#include "base/uapi.h"
#include "base/util.h"

#include <linux/if_tun.h>
#include <linux/net_namespace.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdlib.h>
#include <string.h>

/* The headers may be older than what we parse. */
#define RTNL_IFLA_MAX MAX((int)IFLA_MAX, IFLA_GSO_IPV4_MAX_SIZE)

struct rtnl {
	struct nl_sock *sock;
	/* of the exchange under way */
	int error;              /* -errno in the kernel's answer */
	bool found;             /* a link was in the answer */
	struct rtnl_info *info; /* where it goes, or NULL */
	int netnsid;            /* in the answer */
};

/* libnl's codes are its own small numbers; several errnos share one, the commonest wins. */
static const int errno_of[] = {
	[NLE_SUCCESS] = 0,
	[NLE_FAILURE] = EIO,
	[NLE_INTR] = EINTR,
	[NLE_BAD_SOCK] = EBADF,
	[NLE_AGAIN] = EAGAIN,
	[NLE_NOMEM] = ENOMEM,
	[NLE_EXIST] = EEXIST,
	[NLE_INVAL] = EINVAL,
	[NLE_RANGE] = ERANGE,
	[NLE_MSGSIZE] = EMSGSIZE,
	[NLE_OPNOTSUPP] = EOPNOTSUPP,
	[NLE_AF_NOSUPPORT] = EAFNOSUPPORT,
	[NLE_OBJ_NOTFOUND] = ENOENT,
	[NLE_NOATTR] = ENODATA,
	[NLE_MISSING_ATTR] = EINVAL,
	[NLE_AF_MISMATCH] = EINVAL,
	[NLE_SEQ_MISMATCH] = EPROTO,
	[NLE_MSG_OVERFLOW] = EOVERFLOW,
	[NLE_MSG_TRUNC] = EMSGSIZE,
	[NLE_NOADDR] = EADDRNOTAVAIL,
	[NLE_SRCRT_NOSUPPORT] = EOPNOTSUPP,
	[NLE_MSG_TOOSHORT] = EBADMSG,
	[NLE_MSGTYPE_NOSUPPORT] = EOPNOTSUPP,
	[NLE_OBJ_MISMATCH] = EINVAL,
	[NLE_NOCACHE] = EINVAL,
	[NLE_BUSY] = EBUSY,
	[NLE_PROTO_MISMATCH] = EPROTONOSUPPORT,
	[NLE_NOACCESS] = EACCES,
	[NLE_PERM] = EPERM,
	[NLE_PKTLOC_FILE] = EIO,
	[NLE_PARSE_ERR] = EBADMSG,
	[NLE_NODEV] = ENODEV,
	[NLE_IMMUTABLE] = EPERM,
	[NLE_DUMP_INTR] = EINTR,
	[NLE_ATTRSIZE] = EMSGSIZE,
};

int rtnl_errno(int nle)
{
	unsigned int code = (unsigned int)abs(nle);

	return code < ARRAY_SIZE(errno_of) ? errno_of[code] : EIO;
}

/* The exact errno stands only here: libnl returns its own, coarser code for it. */
static int rtnl_on_error(struct sockaddr_nl *from, struct nlmsgerr *err, void *arg)
{
	struct rtnl *rt = arg;

	(void)from;
	rt->error = err->error;
	return NL_STOP;
}

static void rtnl_parse_tun(struct nlattr *data, struct rtnl_info *info)
{
	struct nlattr *tb[IFLA_TUN_MAX + 1];

	if (nla_parse_nested(tb, IFLA_TUN_MAX, data, NULL) < 0)
		return;
	if (tb[IFLA_TUN_TYPE])
		info->tun_type = nla_get_u8(tb[IFLA_TUN_TYPE]);
	if (tb[IFLA_TUN_PERSIST])
		info->tun_persistent = nla_get_u8(tb[IFLA_TUN_PERSIST]);
	if (tb[IFLA_TUN_MULTI_QUEUE])
		info->tun_multi_queue = nla_get_u8(tb[IFLA_TUN_MULTI_QUEUE]);
}

static void rtnl_parse_kind(struct nlattr *linkinfo, struct rtnl_info *info)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1];

	if (nla_parse_nested(tb, IFLA_INFO_MAX, linkinfo, NULL) < 0 || !tb[IFLA_INFO_KIND])
		return;
	nla_strlcpy(info->kind, tb[IFLA_INFO_KIND], sizeof(info->kind));
	if (tb[IFLA_INFO_DATA] && !strcmp(info->kind, "tun"))
		rtnl_parse_tun(tb[IFLA_INFO_DATA], info);
}

static void rtnl_parse_inet6(struct nlattr *spec, struct rtnl_info *info)
{
	struct nlattr *inet6 = nla_find(nla_data(spec), nla_len(spec), AF_INET6);
	struct nlattr *tb[IFLA_INET6_MAX + 1];

	if (!inet6 || nla_parse_nested(tb, IFLA_INET6_MAX, inet6, NULL) < 0 ||
	    !tb[IFLA_INET6_ADDR_GEN_MODE])
		return;
	info->inet6 = true;
	info->addr_gen_mode = nla_get_u8(tb[IFLA_INET6_ADDR_GEN_MODE]);
}

/* Kernels up to 6.2 have one limit for both. */
static void rtnl_parse_gso(struct nlattr *const *tb, struct rtnl_info *info)
{
	if (tb[IFLA_GSO_MAX_SIZE])
		info->gso_max_size = nla_get_u32(tb[IFLA_GSO_MAX_SIZE]);
	info->gso_ipv4_max_size = tb[IFLA_GSO_IPV4_MAX_SIZE] ?
					  nla_get_u32(tb[IFLA_GSO_IPV4_MAX_SIZE]) :
					  info->gso_max_size;
}

static void rtnl_parse_link(struct nlattr *const *tb, struct rtnl_info *info)
{
	if (tb[IFLA_IFNAME])
		nla_strlcpy(info->name, tb[IFLA_IFNAME], sizeof(info->name));
	if (tb[IFLA_MTU])
		info->mtu = nla_get_u32(tb[IFLA_MTU]);
	if (tb[IFLA_TXQLEN])
		info->txqlen = nla_get_u32(tb[IFLA_TXQLEN]);
	if (tb[IFLA_LINK])
		info->link = nla_get_u32(tb[IFLA_LINK]);
	info->link_netnsid = tb[IFLA_LINK_NETNSID] ? nla_get_s32(tb[IFLA_LINK_NETNSID]) :
						     RTNL_NETNS_HERE;
	if (tb[IFLA_MASTER])
		info->master = nla_get_u32(tb[IFLA_MASTER]);
	if (tb[IFLA_IFALIAS])
		nla_strlcpy(info->alias, tb[IFLA_IFALIAS], sizeof(info->alias));
	if (tb[IFLA_ADDRESS])
		nla_memcpy(info->mac, tb[IFLA_ADDRESS], sizeof(info->mac));
	if (tb[IFLA_STATS64]) {
		struct rtnl_link_stats64 stats = { 0 };

		nla_memcpy(&stats, tb[IFLA_STATS64], sizeof(stats));
		info->tx_dropped = stats.tx_dropped;
	}
	rtnl_parse_gso(tb, info);
	if (tb[IFLA_AF_SPEC])
		rtnl_parse_inet6(tb[IFLA_AF_SPEC], info);
	if (tb[IFLA_LINKINFO])
		rtnl_parse_kind(tb[IFLA_LINKINFO], info);
}

static int rtnl_on_netnsid(struct rtnl *rt, struct nlmsghdr *nlh)
{
	struct nlattr *id = nlmsg_find_attr(nlh, sizeof(struct rtgenmsg), NETNSA_NSID);

	if (!id)
		return NL_SKIP;
	rt->netnsid = nla_get_s32(id);
	return NL_OK;
}

static int rtnl_on_link(struct nl_msg *msg, void *arg)
{
	struct rtnl *rt = arg;
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct nlattr *tb[RTNL_IFLA_MAX + 1];
	struct ifinfomsg *ifi;

	if (nlh->nlmsg_type == RTM_NEWNSID)
		return rtnl_on_netnsid(rt, nlh);
	if (nlh->nlmsg_type != RTM_NEWLINK || !rt->info ||
	    nlmsg_parse(nlh, sizeof(*ifi), tb, RTNL_IFLA_MAX, NULL) < 0)
		return NL_SKIP;
	ifi = nlmsg_data(nlh);
	memset(rt->info, 0, sizeof(*rt->info));
	rt->info->ifindex = (unsigned int)ifi->ifi_index;
	rt->info->flags = ifi->ifi_flags;
	rtnl_parse_link(tb, rt->info);
	rt->found = true;
	return NL_OK;
}

int rtnl_open(struct rtnl **out)
{
	struct rtnl *rt = calloc(1, sizeof(*rt));
	int err;

	*out = NULL;
	if (!rt)
		return -ENOMEM;
	rt->sock = nl_socket_alloc();
	if (!rt->sock) {
		err = -ENOMEM;
		goto fail;
	}
	nl_socket_disable_auto_ack(rt->sock);
	err = nl_connect(rt->sock, NETLINK_ROUTE); /* close-on-exec */
	if (!err)
		err = nl_socket_set_nonblocking(rt->sock);
	if (!err)
		err = nl_socket_modify_err_cb(rt->sock, NL_CB_CUSTOM, rtnl_on_error, rt);
	if (!err)
		err = nl_socket_modify_cb(rt->sock, NL_CB_VALID, NL_CB_CUSTOM, rtnl_on_link, rt);
	if (err) {
		err = -rtnl_errno(err);
		goto fail;
	}
	*out = rt;
	return 0;
fail:
	rtnl_close(rt);
	return err;
}

void rtnl_close(struct rtnl *rt)
{
	if (!rt)
		return;
	nl_socket_free(rt->sock);
	free(rt);
}

/* Sends @msg, takes its answer, frees it. */
static int rtnl_exchange(struct rtnl *rt, struct nl_msg *msg, struct rtnl_info *info)
{
	int err;

	rt->error = 0;
	rt->found = false;
	rt->info = info;
	err = nl_send_auto(rt->sock, msg);
	nlmsg_free(msg);
	if (err >= 0)
		err = nl_recvmsgs_default(rt->sock);
	rt->info = NULL;
	if (rt->error)
		return rt->error;
	return err < 0 ? -rtnl_errno(err) : 0;
}

int rtnl_request(struct rtnl *rt, struct nl_msg *msg)
{
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_ACK;
	return rtnl_exchange(rt, msg, NULL);
}

static struct nl_msg *rtnl_netnsid_message(int type, int fd)
{
	struct rtgenmsg gen = {.rtgen_family = AF_UNSPEC};
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST);

	if (msg && (nlmsg_append(msg, &gen, sizeof(gen), NLMSG_ALIGNTO) ||
		    nla_put_u32(msg, NETNSA_FD, (uint32_t)fd) ||
		    (type == RTM_NEWNSID && nla_put_s32(msg, NETNSA_NSID, -1)))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

int rtnl_get_netnsid(struct rtnl *rt, int fd, int *netnsid)
{
	struct nl_msg *give = rtnl_netnsid_message(RTM_NEWNSID, fd);
	struct nl_msg *ask = rtnl_netnsid_message(RTM_GETNSID, fd);
	int err;

	if (give) /* -EEXIST: it has one */
		rtnl_request(rt, give);
	rt->netnsid = NETNSA_NSID_NOT_ASSIGNED;
	err = ask ? rtnl_exchange(rt, ask, NULL) : -ENOMEM;
	if (!err && rt->netnsid == NETNSA_NSID_NOT_ASSIGNED)
		err = -ENOENT;
	*netnsid = rt->netnsid;
	return err;
}

static int rtnl_lookup(struct rtnl *rt, int netnsid, unsigned int ifindex, const char *name,
		       struct rtnl_info *info)
{
	struct nl_msg *msg;
	int err = rtnl_link_build_get_request((int)ifindex, name, &msg);

	if (err)
		return -rtnl_errno(err);
	if (netnsid != RTNL_NETNS_HERE && nla_put_s32(msg, IFLA_TARGET_NETNSID, netnsid)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	err = rtnl_exchange(rt, msg, info);
	if (err)
		return err;
	return rt->found ? 0 : -EPROTO;
}

int rtnl_get(struct rtnl *rt, unsigned int ifindex, struct rtnl_info *info)
{
	return rtnl_get_in(rt, RTNL_NETNS_HERE, ifindex, info);
}

int rtnl_get_in(struct rtnl *rt, int netnsid, unsigned int ifindex, struct rtnl_info *info)
{
	return ifindex ? rtnl_lookup(rt, netnsid, ifindex, NULL, info) : -ENODEV;
}

int rtnl_get_by_name(struct rtnl *rt, const char *name, struct rtnl_info *info)
{
	/* the kernel answers -ERANGE or -EINVAL for a name that no interface can have */
	if (!name[0] || strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	return rtnl_lookup(rt, RTNL_NETNS_HERE, 0, name, info);
}

/* Asks for the @changes of interface @ifindex and frees them. */
static int rtnl_change(struct rtnl *rt, unsigned int ifindex, struct rtnl_link *changes)
{
	struct rtnl_link *link = rtnl_link_alloc();
	struct nl_msg *msg = NULL;
	int err = link ? 0 : -NLE_NOMEM;

	if (!err) {
		rtnl_link_set_ifindex(link, (int)ifindex);
		err = rtnl_link_build_change_request(link, changes, NLM_F_ACK, &msg);
	}
	rtnl_link_put(link);
	rtnl_link_put(changes);
	return err ? -rtnl_errno(err) : rtnl_exchange(rt, msg, NULL);
}

int rtnl_set_mtu(struct rtnl *rt, unsigned int ifindex, unsigned int mtu)
{
	struct rtnl_link *changes = rtnl_link_alloc();

	if (!changes)
		return -ENOMEM;
	rtnl_link_set_mtu(changes, mtu);
	return rtnl_change(rt, ifindex, changes);
}

int rtnl_set_mac(struct rtnl *rt, unsigned int ifindex, const uint8_t mac[ETH_ALEN])
{
	struct rtnl_link *changes = rtnl_link_alloc();
	struct nl_addr *addr = nl_addr_build(AF_LLC, mac, ETH_ALEN);

	if (!changes || !addr) {
		rtnl_link_put(changes);
		nl_addr_put(addr);
		return -ENOMEM;
	}
	rtnl_link_set_addr(changes, addr);
	nl_addr_put(addr);
	return rtnl_change(rt, ifindex, changes);
}

int rtnl_set_up(struct rtnl *rt, unsigned int ifindex, bool up)
{
	struct rtnl_link *changes = rtnl_link_alloc();

	if (!changes)
		return -ENOMEM;
	if (up)
		rtnl_link_set_flags(changes, IFF_UP);
	else
		rtnl_link_unset_flags(changes, IFF_UP);
	return rtnl_change(rt, ifindex, changes);
}

int rtnl_set_txqlen(struct rtnl *rt, unsigned int ifindex, unsigned int packets)
{
	struct rtnl_link *changes = rtnl_link_alloc();

	if (!changes)
		return -ENOMEM;
	rtnl_link_set_txqlen(changes, packets);
	return rtnl_change(rt, ifindex, changes);
}

int rtnl_set_name(struct rtnl *rt, unsigned int ifindex, const char *name)
{
	struct rtnl_link *changes = rtnl_link_alloc();

	if (!changes)
		return -ENOMEM;
	rtnl_link_set_name(changes, name);
	return rtnl_change(rt, ifindex, changes);
}

int rtnl_delete(struct rtnl *rt, unsigned int ifindex)
{
	struct rtnl_link *link = rtnl_link_alloc();
	struct nl_msg *msg = NULL;
	int err;

	if (!link)
		return -ENOMEM;
	rtnl_link_set_ifindex(link, (int)ifindex);
	err = rtnl_link_build_delete_request(link, &msg);
	rtnl_link_put(link);
	return err ? -rtnl_errno(err) : rtnl_request(rt, msg);
}
