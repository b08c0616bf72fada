/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel port (<vubridge/kport.h>) over a TAP interface. */
#ifndef NET_TAP_H
#define NET_TAP_H

#include <vubridge/kport.h>

/* Packets for each queue, against 1000 of the kernel's own: a burst of TCP is longer. */
#define TAP_TXQLEN 4096u

struct tap_config {
	const char *name;   /* of an existing TAP or one to make; may hold one %d */
	unsigned int pairs; /* queues, one file descriptor each */
};

/*
 * Makes the TAP, or attaches to it when it exists, in this network namespace. Its
 * carrier is off, its offloads are off, MTU, MAC and IFF_UP are as they were. Its queues
 * hold TAP_TXQLEN packets, unless that is not permitted or someone chose another number:
 * kport.txqlen tells.
 *
 * Frames carry a header of 12 bytes, little-endian. A read fills the room that a
 * frame describes: what does not fit is cut off without a sign, so there must be
 * room for the MTU (with an offload on, for FRAME_LEN_MAX). Once the interface is
 * deleted both directions say -EBADFD, while it is down send says -EIO.
 *
 * On error returns -errno and, unless @why is NULL, sets *why to one English phrase
 * (static, with the remedy where there is one; it names neither interface nor errno),
 * "" when the errno says all. kport's close keeps an interface that existed before.
 */
int tap_open(const struct tap_config *cfg, struct kport **out, const char **why);

/*
 * Makes the header in front of each frame @len bytes, 10 or 12; for a TAP whose fds are
 * handed to someone (vhost-net) who does not say how long a header it wants.
 */
int tap_set_hdr_len(struct kport *kp, uint8_t len);

/*
 * Is the interface IFF_UP, in whatever network namespace it is? (Kernels before 5.0 say
 * yes as long as it exists.)
 */
bool tap_is_up(const struct kport *kp);

#endif
