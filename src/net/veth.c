/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/veth.h"

#include "base/uapi.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>

#define VETH_MARK    "vubridge"
#define VETH_MTU_MAX 65535u

/* For frames longer than an end's limit the kernel makes segments, which the way past its
 * queues (PACKET_QDISC_BYPASS) then drops. None is as long as this. */
#define VETH_HIDDEN_GSO 131072u

/* A request about interface @ifindex, of which the caller fills in the attributes. */
static struct nl_msg *veth_message(int type, int flags, unsigned int ifindex,
				   unsigned int if_flags, unsigned int if_change)
{
	struct ifinfomsg ifi = {
		.ifi_index = (int)ifindex, .ifi_flags = if_flags, .ifi_change = if_change,
	};
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (msg && nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

/* Sends what was built, unless @failed says that it could not be. */
static int veth_send(struct rtnl *rt, struct nl_msg *msg, int failed)
{
	if (failed) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return rtnl_request(rt, msg);
}

/* What the hidden end is born with: a message within the message. */
static int veth_put_peer(struct nl_msg *msg, const char *name)
{
	struct ifinfomsg ifi = { 0 };
	struct nlattr *data = nla_nest_start(msg, IFLA_INFO_DATA), *peer;
	int failed = !data;

	peer = failed ? NULL : nla_nest_start(msg, VETH_INFO_PEER);
	failed = failed || !peer || nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO);
	failed = failed || nla_put_string(msg, IFLA_IFNAME, name);
	if (failed)
		return -ENOMEM;
	nla_nest_end(msg, peer);
	nla_nest_end(msg, data);
	return 0;
}

static int veth_create(struct rtnl *rt, const char *name, int netns, const char *peer)
{
	struct nl_msg *msg = veth_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0, 0);
	struct nlattr *info;
	int failed;

	if (!msg)
		return -ENOMEM;
	failed = nla_put_string(msg, IFLA_IFNAME, name) ||
		 (netns >= 0 && nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)netns));
	info = nla_nest_start(msg, IFLA_LINKINFO);
	failed = failed || !info || nla_put_string(msg, IFLA_INFO_KIND, "veth") ||
		 veth_put_peer(msg, peer);
	if (!failed)
		nla_nest_end(msg, info);
	return veth_send(rt, msg, failed);
}

int veth_set_mark(struct rtnl *rt, unsigned int hidden, uint64_t number)
{
	struct nl_msg *msg = veth_message(RTM_NEWLINK, 0, hidden, 0, 0);
	char mark[RTNL_ALIAS_MAX];

	snprintf(mark, sizeof(mark), VETH_MARK " %" PRIx64, number);
	return msg ? veth_send(rt, msg, nla_put_string(msg, IFLA_IFALIAS, mark)) : -ENOMEM;
}

bool veth_made_here(const struct rtnl_info *hidden, uint64_t *number)
{
	return sscanf(hidden->alias, VETH_MARK " %" SCNx64, number) == 1;
}

int veth_add(struct rtnl *rt, const char *name, int netns, const char *peer)
{
	struct rtnl_info info;
	int err = veth_create(rt, name, netns, peer);

	if (err)
		return err;
	err = rtnl_get_by_name(rt, peer, &info);
	if (err)
		return err;
	err = veth_set_mark(rt, info.ifindex, 0);
	if (err)
		rtnl_delete(rt, info.ifindex);
	return err;
}

/* --- the hidden end ----------------------------------------------------- */

/* Where IPv6 is off, the kernel says that it does not know the family. */
static int veth_set_ipv6_mode(struct rtnl *rt, unsigned int hidden, uint8_t mode)
{
	struct nl_msg *msg = veth_message(RTM_NEWLINK, 0, hidden, 0, 0);
	struct nlattr *spec, *inet6;
	int err;

	if (!msg)
		return -ENOMEM;
	spec = nla_nest_start(msg, IFLA_AF_SPEC);
	inet6 = spec ? nla_nest_start(msg, AF_INET6) : NULL;
	if (!inet6 || nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, mode))
		return veth_send(rt, msg, -ENOMEM);
	nla_nest_end(msg, inet6);
	nla_nest_end(msg, spec);
	err = rtnl_request(rt, msg);
	return err == -EAFNOSUPPORT ? 0 : err;
}

static int veth_set_flags_mtu(struct rtnl *rt, unsigned int hidden, unsigned int flags,
			      unsigned int mtu)
{
	struct nl_msg *msg = veth_message(RTM_NEWLINK, 0, hidden, flags & ~IFF_UP,
					  IFF_NOARP | IFF_MULTICAST | IFF_UP);

	return msg ? veth_send(rt, msg, nla_put_u32(msg, IFLA_MTU, mtu)) : -ENOMEM;
}

static struct nl_msg *veth_tc_message(int type, int flags, const struct tcmsg *tcm,
				      const char *kind)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (msg && (nlmsg_append(msg, (void *)tcm, sizeof(*tcm), NLMSG_ALIGNTO) ||
		    nla_put_string(msg, TCA_KIND, kind))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

/* A filter that drops all: of the classifiers BPF is the one that needs no action module. */
static int veth_add_filter(struct rtnl *rt, unsigned int hidden)
{
	const struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, TC_ACT_SHOT);
	const struct tcmsg tcm = {
		.tcm_ifindex = (int)hidden,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
		.tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL)),
	};
	struct nl_msg *msg = veth_tc_message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &tcm,
					     "bpf");
	struct nlattr *options;
	int failed;

	if (!msg)
		return -ENOMEM;
	options = nla_nest_start(msg, TCA_OPTIONS);
	failed = !options || nla_put_u16(msg, TCA_BPF_OPS_LEN, 1) ||
		 nla_put(msg, TCA_BPF_OPS, sizeof(drop), &drop) ||
		 nla_put_u32(msg, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	if (!failed)
		nla_nest_end(msg, options);
	return veth_send(rt, msg, failed);
}

static struct nl_msg *veth_clsact(int type, int flags, unsigned int hidden)
{
	const struct tcmsg tcm = {
		.tcm_ifindex = (int)hidden,
		.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
		.tcm_parent = TC_H_CLSACT,
	};

	return veth_tc_message(type, flags, &tcm, "clsact");
}

/*
 * Packet sockets come before ingress filters, protocols after them. A kernel may lack
 * both modules; then what is left is broadcast to servers that listen everywhere.
 */
static bool veth_drop_ingress(struct rtnl *rt, unsigned int hidden)
{
	struct nl_msg *msg = veth_clsact(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, hidden);

	/* -EEXIST: it was done before, or it is someone's own */
	return msg && !rtnl_request(rt, msg) && !veth_add_filter(rt, hidden);
}

int veth_hide(struct rtnl *rt, const struct rtnl_info *hidden, struct veth_before *before)
{
	unsigned int ifindex = hidden->ifindex;
	int err = veth_set_ipv6_mode(rt, ifindex, IN6_ADDR_GEN_MODE_NONE);

	*before = (struct veth_before){ .link = *hidden };
	if (!err)
		err = veth_set_flags_mtu(rt, ifindex, IFF_NOARP, VETH_MTU_MAX);
	if (!err)
		err = veth_limit_gso(rt, ifindex, VETH_HIDDEN_GSO, VETH_HIDDEN_GSO);
	if (!err)
		before->filter = veth_drop_ingress(rt, ifindex);
	return err;
}

void veth_give_back(struct rtnl *rt, const struct veth_before *before)
{
	const struct rtnl_info *link = &before->link;
	struct nl_msg *msg = veth_clsact(RTM_DELQDISC, 0, link->ifindex);

	veth_set_flags_mtu(rt, link->ifindex, link->flags, link->mtu);
	if (link->inet6)
		veth_set_ipv6_mode(rt, link->ifindex, link->addr_gen_mode);
	veth_limit_gso(rt, link->ifindex, link->gso_max_size, link->gso_ipv4_max_size);
	if (before->filter && msg)
		rtnl_request(rt, msg);
	else
		nlmsg_free(msg);
}

int veth_limit_gso(struct rtnl *rt, unsigned int ifindex, uint32_t size, uint32_t ipv4_size)
{
	struct nl_msg *msg = veth_message(RTM_NEWLINK, 0, ifindex, 0, 0);

	if (!msg)
		return -ENOMEM;
	return veth_send(rt, msg, nla_put_u32(msg, IFLA_GSO_MAX_SIZE, size) ||
				  nla_put_u32(msg, IFLA_GSO_IPV4_MAX_SIZE, ipv4_size));
}
