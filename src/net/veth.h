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
 * The hidden end, @peer, is marked as made here.
 */
int veth_add(struct rtnl *rt, const char *name, const char *peer);
/* The mark holds a number for the next process to find. */
int veth_set_mark(struct rtnl *rt, unsigned int hidden, uint64_t number);
bool veth_made_here(const struct rtnl_info *hidden, uint64_t *number);

/*
 * Puts the hidden end down, and keeps the network stack of its namespace out of the pair's
 * traffic: it answers no ARP, has no address, sends nothing, and drops what comes in once
 * packet sockets have seen it (*filter: the filter for that was put there, by this call).
 * MTU and superframes are then limited by the user's end alone.
 */
int veth_hide(struct rtnl *rt, unsigned int hidden, bool *filter);

/* What veth_hide changes of an end. */
struct veth_before {
	unsigned int flags;
	unsigned int mtu;
	bool filter; /* was put there */
};

/* Undoes veth_hide, and puts the end down. */
void veth_give_back(struct rtnl *rt, unsigned int hidden, const struct veth_before *before);

/* Bounds the superframes that an end hands out, in bytes. */
int veth_limit_gso(struct rtnl *rt, unsigned int ifindex, uint32_t size);

#endif
