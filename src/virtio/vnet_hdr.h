/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks a virtio-net header (virtio 1.3, 5.1.6) that the other side wrote. */
#ifndef VIRTIO_VNET_HDR_H
#define VIRTIO_VNET_HDR_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What a header may ask for, by the features negotiated. */
struct vnet_hdr_rules {
	bool csum;         /* VIRTIO_NET_HDR_F_NEEDS_CSUM and DATA_VALID */
	bool ecn;          /* VIRTIO_NET_HDR_GSO_ECN */
	uint8_t gso_types; /* bit n: gso_type n is allowed */
};

/* Headers from the device: the GUEST_ features. */
struct vnet_hdr_rules vnet_hdr_rules_from_device(uint64_t features);
/* Headers from the driver: CSUM and the HOST_ features. */
struct vnet_hdr_rules vnet_hdr_rules_from_driver(uint64_t features);

/*
 * Checks the private, little-endian copy @hdr of a packet of @len bytes. What is
 * harmless and meaningless is cleared (unknown flags, DATA_VALID that was not
 * negotiated, a hint of a header longer than the packet); what would make the
 * kernel touch the wrong bytes is refused. Returns NULL, or what is wrong.
 */
const char *vnet_hdr_check(const struct vnet_hdr_rules *rules, struct virtio_net_hdr_v1 *hdr,
			   uint32_t len);

/* A header that asks for nothing and says nothing, as most do: it needs no check. */
static inline bool vnet_hdr_is_empty(const struct virtio_net_hdr_v1 *hdr)
{
	uint64_t first;
	uint16_t offset;

	memcpy(&first, hdr, sizeof(first));
	memcpy(&offset, &hdr->csum_offset, sizeof(offset));
	return !first && !offset;
}

#endif
