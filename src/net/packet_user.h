/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user's end of a veth port's pair: what it may hand out. */
#ifndef NET_PACKET_USER_H
#define NET_PACKET_USER_H

#include "base/uapi.h"
#include "net/packet_io.h"

#define PACKET_FEATURE(name) (UINT64_C(1) << VIRTIO_NET_F_##name)
#define PACKET_GSO                                                                                 \
	(PACKET_FEATURE(HOST_TSO4) | PACKET_FEATURE(HOST_TSO6) | PACKET_FEATURE(HOST_ECN) |        \
	 PACKET_FEATURE(HOST_USO))

/* All functions return 0 or -errno. */

/*
 * Readies it, if it is in the user's namespace: it may move away before a peer is there, and
 * what it hands out from the first must be what any peer can be given. What it was is kept for
 * packet_user_give_back.
 */
int packet_user_prepare(struct packet *p);
/* Has the user's end @ifindex, in the user's namespace, hand out no more than @features. */
int packet_user_tell(struct packet *p, unsigned int ifindex, uint64_t features);
/* Makes the user's end @ifindex, which is there too, what it was, as far as that was changed. */
void packet_user_give_back(struct packet *p, unsigned int ifindex);

#endif
