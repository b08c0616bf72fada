/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio/vnet_hdr.h"

#include <endian.h>
#include <linux/if_ether.h>

#include "virtio/feature.h"

static uint8_t gso_bit(uint64_t features, unsigned int feature, unsigned int gso_type)
{
	return feature_has(features, feature) ? (uint8_t)(1u << gso_type) : 0;
}

struct vnet_hdr_rules vnet_hdr_rules_from_device(uint64_t f)
{
	return (struct vnet_hdr_rules){
		.csum = feature_has(f, VIRTIO_NET_F_GUEST_CSUM),
		.ecn = feature_has(f, VIRTIO_NET_F_GUEST_ECN),
		.gso_types = gso_bit(f, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_HDR_GSO_TCPV4) |
			     gso_bit(f, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_HDR_GSO_TCPV6) |
			     gso_bit(f, VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_HDR_GSO_UDP) |
			     gso_bit(f, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_HDR_GSO_UDP_L4) |
			     gso_bit(f, VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_HDR_GSO_UDP_L4),
	};
}

struct vnet_hdr_rules vnet_hdr_rules_from_driver(uint64_t f)
{
	return (struct vnet_hdr_rules){
		.csum = feature_has(f, VIRTIO_NET_F_CSUM),
		.ecn = feature_has(f, VIRTIO_NET_F_HOST_ECN),
		.gso_types = gso_bit(f, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_HDR_GSO_TCPV4) |
			     gso_bit(f, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_HDR_GSO_TCPV6) |
			     gso_bit(f, VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_HDR_GSO_UDP) |
			     gso_bit(f, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_HDR_GSO_UDP_L4),
	};
}

static const char *check_csum(const struct vnet_hdr_rules *rules, struct virtio_net_hdr_v1 *hdr,
			      uint32_t len)
{
	uint32_t start = le16toh(hdr->csum_start);
	uint32_t offset = le16toh(hdr->csum_offset);

	hdr->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
	/* some devices set it with zero offsets when only CSUM was negotiated: that asks for
	 * nothing */
	if (!start && !offset)
		hdr->flags &= VIRTIO_NET_HDR_F_DATA_VALID;
	if (!rules->csum) {
		if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			return "a checksum request that was not negotiated";
		hdr->flags = 0;
	}
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		hdr->csum_start = 0;
		hdr->csum_offset = 0;
		return NULL;
	}
	if (start + offset + 2 > len)
		return "a checksum offset outside the packet";
	if (start < ETH_HLEN)
		return "a checksum that begins within the Ethernet header";
	return NULL;
}

static const char *check_gso(const struct vnet_hdr_rules *rules,
			     const struct virtio_net_hdr_v1 *hdr)
{
	uint8_t type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN && !rules->ecn)
		return "an ECN segmentation that was not negotiated";
	if (type >= 8 || !(rules->gso_types >> type & 1))
		return "a segmentation type that was not negotiated";
	if (hdr->gso_size == 0)
		return "a segmentation size of 0";
	return NULL;
}

const char *vnet_hdr_check(const struct vnet_hdr_rules *rules, struct virtio_net_hdr_v1 *hdr,
			   uint32_t len)
{
	const char *why = check_csum(rules, hdr, len);

	if (why)
		return why;
	if (le16toh(hdr->hdr_len) > len)
		hdr->hdr_len = 0;
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		hdr->gso_size = 0;
		return NULL;
	}
	return check_gso(rules, hdr);
}
