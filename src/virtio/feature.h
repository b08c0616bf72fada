/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device feature bits (virtio 1.3, sections 2.2, 5.1.3 and 6), in one table. */
#ifndef VIRTIO_FEATURE_H
#define VIRTIO_FEATURE_H

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uapi.h"

#define FEATURE(name) (UINT64_C(1) << VIRTIO_##name)
#define FEATURE_NET(name) (UINT64_C(1) << VIRTIO_NET_F_##name)

/* What the rings of this program can do whatever the kernel port is. */
#define FEATURE_RING_MASK                                                                          \
	(FEATURE(F_VERSION_1) | FEATURE(F_ANY_LAYOUT) | FEATURE(RING_F_EVENT_IDX) |                \
	 FEATURE(F_IN_ORDER) | FEATURE_NET(MRG_RXBUF))

/* Checksum and segmentation bits: negotiated only as far as the kernel port goes. */
#define FEATURE_OFFLOAD_MASK                                                                       \
	(FEATURE_NET(CSUM) | FEATURE_NET(GUEST_CSUM) | FEATURE_NET(GUEST_TSO4) |                   \
	 FEATURE_NET(GUEST_TSO6) | FEATURE_NET(GUEST_ECN) | FEATURE_NET(GUEST_USO4) |              \
	 FEATURE_NET(GUEST_USO6) | FEATURE_NET(GUEST_UFO) | FEATURE_NET(HOST_TSO4) |               \
	 FEATURE_NET(HOST_TSO6) | FEATURE_NET(HOST_ECN) | FEATURE_NET(HOST_USO) |                  \
	 FEATURE_NET(HOST_UFO))

/*
 * What the device here does by itself, whatever its peer offers: it answers the control
 * queue's commands and has the configuration space. No peer is told of these.
 */
#define FEATURE_DEVICE_MASK                                                                        \
	(FEATURE_NET(CTRL_VQ) | FEATURE_NET(CTRL_RX) | FEATURE_NET(CTRL_VLAN) |                    \
	 FEATURE_NET(CTRL_RX_EXTRA) | FEATURE_NET(CTRL_MAC_ADDR) | FEATURE_NET(GUEST_ANNOUNCE) |   \
	 FEATURE_NET(MAC) | FEATURE_NET(STATUS))

/* What the peer and the device have to do together. */
#define FEATURE_SHARED_MASK (FEATURE_NET(MQ) | FEATURE_NET(MTU))

static inline bool feature_has(uint64_t features, unsigned int bit)
{
	return features >> bit & 1;
}

/* Bytes of virtio-net header in the ring (5.1.6.1). */
static inline uint8_t feature_hdr_len(uint64_t features)
{
	return features & (FEATURE(F_VERSION_1) | FEATURE_NET(MRG_RXBUF)) ?
		       sizeof(struct virtio_net_hdr_v1) :
		       sizeof(struct virtio_net_hdr);
}

/*
 * The bits a driver acks: those @offered by the device that are @wanted, without the
 * ones whose conditions (5.1.3.1) are not met.
 */
uint64_t feature_select(uint64_t offered, uint64_t wanted);

/*
 * The offload bits among @features with driver and device in each other's place: what
 * one end of a link may send is what the other may be given. (USO has two bits on the
 * driver's side: one alone has no counterpart.)
 */
uint64_t feature_mirror(uint64_t features);

/* The specification's name of @bit without its prefix, or NULL. */
const char *feature_name(unsigned int bit);

/*
 * Writes the names of @features to @buf, separated by spaces, unknown ones as
 * "bit N". Always terminated; cut when @size is too small.
 */
void feature_format(uint64_t features, char *buf, size_t size);

#endif
