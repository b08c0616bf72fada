/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network interfaces by rtnetlink: look them up, configure and delete them.
 *
 * Interfaces are those of the network namespace in which rtnl_open was called.
 * Functions return 0 or -errno: the kernel's own errno, not a code of the library.
 */
#ifndef NET_RTNL_H
#define NET_RTNL_H

#include <linux/if.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdint.h>

struct rtnl;

#define RTNL_KIND_MAX  16u
#define RTNL_ALIAS_MAX 32u
#define RTNL_NETNS_HERE (-1)

struct rtnl_info {
	unsigned int ifindex;
	unsigned int flags;  /* IFF_… */
	unsigned int mtu;    /* bytes */
	unsigned int txqlen; /* packets */
	unsigned int link;   /* the interface it is tied to: a veth's other end; 0: none */
	int link_netnsid;    /* in which namespace that is: RTNL_NETNS_HERE or our id for it */
	unsigned int master; /* the bridge or the like that it is a port of; 0: none */
	/* bytes of the longest superframe that is handed to it, of IPv6 (and all else) and IPv4 */
	uint32_t gso_max_size, gso_ipv4_max_size;
	uint64_t tx_dropped;
	char name[IFNAMSIZ];
	char kind[RTNL_KIND_MAX]; /* "tun", "veth", …; "" where the driver names none */
	char alias[RTNL_ALIAS_MAX]; /* cut, if it is longer */
	uint8_t mac[ETH_ALEN];
	/* how it comes by its IPv6 address, IN6_ADDR_GEN_MODE_…; false: it has no IPv6 */
	bool inet6;
	uint8_t addr_gen_mode;
	/* of kind "tun" only */
	uint8_t tun_type;    /* IFF_TUN or IFF_TAP */
	bool tun_persistent; /* outlives its last file descriptor */
	bool tun_multi_queue;
};

int rtnl_open(struct rtnl **out);
void rtnl_close(struct rtnl *rt);

/* What is known of an interface; -ENODEV when there is none. */
int rtnl_get(struct rtnl *rt, unsigned int ifindex, struct rtnl_info *info);
int rtnl_get_by_name(struct rtnl *rt, const char *name, struct rtnl_info *info);
/*
 * Under which number the namespace of @rt knows the one of descriptor @fd, which it is given if
 * it has none: link_netnsid of what is tied to an interface there. Not of the same namespace.
 */
int rtnl_get_netnsid(struct rtnl *rt, int fd, int *netnsid);
/* Of an interface in namespace @netnsid, which may be RTNL_NETNS_HERE. */
int rtnl_get_in(struct rtnl *rt, int netnsid, unsigned int ifindex, struct rtnl_info *info);

int rtnl_set_mtu(struct rtnl *rt, unsigned int ifindex, unsigned int mtu);
int rtnl_set_mac(struct rtnl *rt, unsigned int ifindex, const uint8_t mac[ETH_ALEN]);
int rtnl_set_up(struct rtnl *rt, unsigned int ifindex, bool up);
/* Packets that the interface may queue; on a TAP the size of the ring of each of its fds. */
int rtnl_set_txqlen(struct rtnl *rt, unsigned int ifindex, unsigned int packets);
/* @name may hold one %d; the interface must be down. */
int rtnl_set_name(struct rtnl *rt, unsigned int ifindex, const char *name);
int rtnl_delete(struct rtnl *rt, unsigned int ifindex);

/* Sends a request that has no other answer than an acknowledgement, and frees it. */
struct nl_msg;
int rtnl_request(struct rtnl *rt, struct nl_msg *msg);

/* The errno (positive) that the NLE_ code @nle of libnl stands for, whatever its sign. */
int rtnl_errno(int nle);

#endif
