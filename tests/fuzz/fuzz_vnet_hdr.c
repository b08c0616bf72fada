/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any header, any length, any features: what is accepted must be safe to hand to the
 * kernel, and must be accepted unchanged the second time.
 */
#include <endian.h>

#include "fuzz.h"
#include "virtio/feature.h"
#include "virtio/vnet_hdr.h"

static void check_accepted(const struct vnet_hdr_rules *rules, const struct virtio_net_hdr_v1 *h,
			   uint32_t len)
{
	uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	MUST(!(h->flags & ~(VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID)));
	MUST(!h->flags || rules->csum);
	MUST(le16toh(h->hdr_len) <= len);
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		MUST((uint64_t)le16toh(h->csum_start) + le16toh(h->csum_offset) + 2 <= len);
	else
		MUST(h->csum_start == 0 && h->csum_offset == 0);
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		MUST(h->gso_size == 0);
		return;
	}
	MUST(h->gso_size != 0);
	MUST(type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6 ||
	     type == VIRTIO_NET_HDR_GSO_UDP || type == VIRTIO_NET_HDR_GSO_UDP_L4);
	MUST(rules->gso_types & 1u << type);
	MUST(rules->ecn || !(h->gso_type & VIRTIO_NET_HDR_GSO_ECN));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint64_t features = input32(&in) | (uint64_t)input32(&in) << 32;
	struct vnet_hdr_rules rules = input8(&in) & 1 ? vnet_hdr_rules_from_device(features) :
							vnet_hdr_rules_from_driver(features);
	uint32_t len = input32(&in);
	struct virtio_net_hdr_v1 hdr, again;

	input_bytes(&in, &hdr, sizeof(hdr));
	if (vnet_hdr_check(&rules, &hdr, len))
		return 0;
	check_accepted(&rules, &hdr, len);
	again = hdr;
	MUST(!vnet_hdr_check(&rules, &again, len));
	MUST(!memcmp(&again, &hdr, sizeof(hdr)));
	return 0;
}
