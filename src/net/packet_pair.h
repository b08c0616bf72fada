/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pair of a veth port: found, or made, and given back. */
#ifndef NET_PACKET_PAIR_H
#define NET_PACKET_PAIR_H

#include "net/packet.h"
#include "net/packet_io.h"

/* Finds or makes the pair and holds it for this process; 0, or -errno and *why. */
int packet_pair_find(struct packet *p, const struct packet_config *cfg, const char **why);
/* Readies the hidden end (veth_hide); 0 or -errno. */
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
