/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * veth pairs of which one end, the hidden one, is this program's own.
 *
 * Functions return 0 or -errno; -EOPNOTSUPP and the like where the kernel lacks veth.
 */
#ifndef NET_VETH_H
#define NET_VETH_H

#include "net/rtnl.h"

/*
 * Makes a pair, both ends down, named @name and @peer; @name may hold one %d, @peer not.
 * The hidden end, @peer, is marked as made here. The other one is made in the namespace of
 * descriptor @netns, if that is not -1.
 */
int veth_add(struct rtnl *rt, const char *name, int netns, const char *peer);
/* The mark holds a number for the next process to find. */
int veth_set_mark(struct rtnl *rt, unsigned int hidden, uint64_t number);
bool veth_made_here(const struct rtnl_info *hidden, uint64_t *number);

/* What an end was before it was hidden. */
struct veth_before {
	struct rtnl_info link;
	bool filter; /* was put there */
};

/*
 * Puts the hidden end down, and keeps the network stack of its namespace out of the pair's
 * traffic: it answers no ARP, has no address, sends nothing, and drops what comes in once
 * packet sockets have seen it. and superframes are then limited by
 * the user's end alone.
 */
int veth_hide(struct rtnl *rt, const struct rtnl_info *hidden, struct veth_before *before);
/* Undoes it, but for the end being down. */
void veth_give_back(struct rtnl *rt, const struct veth_before *before);

/* Bounds the superframes that an end hands out, of IPv6 (and all else) and of IPv4, in bytes. */
int veth_limit_gso(struct rtnl *rt, unsigned int ifindex, uint32_t size, uint32_t ipv4_size);

#endif
