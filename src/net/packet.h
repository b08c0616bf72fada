/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel port (<vubridge/kport.h>) over a veth pair: the user has one end, a packet
 * socket on the other, the hidden one, carries the frames.
 */
#ifndef NET_PACKET_H
#define NET_PACKET_H

#include <vubridge/kport.h>

struct packet_config {
	const char *name; /* of the user's end of a pair that exists or is to be made; %d: one */
	/* of the hidden end, or NULL: that of an existing pair, else @name's with "-vub" */
	const char *peer;
};

/*
 * Makes the pair in this network namespace, or attaches to it. The carrier is off, the
 * offloads are those that any peer can be given; MTU, MAC and IFF_UP of the user's end are as
 * they were. The user's end may be in another namespace if the hidden one is here.
 *
 * Frames carry a header of 12 bytes, or of 10 where the kernel knows no other, little-endian.
 * Their VLAN tags are in place. While either end is down send says -EIO. Once the pair is
 * deleted send fails, receive finds nothing, set_carrier says -EBADFD. set_offload says
 * -EREMOTE when the user's end hands out superframes that are not wanted, from another
 * namespace, out of reach.
 *
 * A pair made here, also by a process that was killed, is removed by close; of one made by
 * someone else the hidden end is put down, and both are otherwise given back as they were; but
 * for a user's end that is in another namespace by then.
 *
 * On error returns -errno and, unless @why is NULL, sets *why as tap_open does.
 */
int packet_open(const struct packet_config *cfg, struct kport **out, const char **why);

/*
 * The same with the user's end in this network namespace and the hidden one in that of the
 * descriptor @home, where its name is made another one if the usual name is taken. A pair that
 * is here with both ends is taken as it is, kport.hidden_apart tells. @home may be -1.
 */
int packet_open_apart(const struct packet_config *cfg, int home, struct kport **out,
		      const char **why);

#endif
