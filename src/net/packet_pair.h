/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pair of a veth port: found, or made, and given back. */
#ifndef NET_PACKET_PAIR_H
#define NET_PACKET_PAIR_H

#include "net/packet_io.h"

struct packet_pair_wish {
	const char *name, *peer; /* struct packet_config */
	int home, there;         /* the namespaces of hidden and user's end, -1: the same */
	bool found;              /* the user's end is there already: */
	struct rtnl_info user;
};

/* All functions return 0 or -errno, with *why. */

/* In the user's namespace: looks for the user's end; @wish's home is -1 if both are here. */
int packet_pair_look(struct packet *p, struct packet_pair_wish *wish, const char **why);
/* In the hidden end's: finds or makes the pair and holds it for this process. */
int packet_pair_find(struct packet *p, const struct packet_pair_wish *wish, const char **why);
/* Readies the hidden end (veth_hide). */
int packet_pair_hide(struct packet *p);
/* Removes a pair made here, gives back what was there before. */
void packet_pair_remove(struct packet *p);

/* Sets *why and passes @err on. */
static inline int packet_fail(const char **why, int err, const char *text)
{
	*why = text;
	return err;
}

#endif
