/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio/feature.h"

#include <stdio.h>

#include "base/util.h"

static const struct feature_row {
	unsigned int bit;
	const char *name;
	uint64_t needs_any; /* at least one of these, 0: no condition */
} rows[] = {
	{ VIRTIO_NET_F_CSUM, "CSUM", 0 },
	{ VIRTIO_NET_F_GUEST_CSUM, "GUEST_CSUM", 0 },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, "CTRL_GUEST_OFFLOADS", 0 },
	{ VIRTIO_NET_F_MTU, "MTU", 0 },
	{ VIRTIO_NET_F_MAC, "MAC", 0 },
	{ VIRTIO_NET_F_GUEST_TSO4, "GUEST_TSO4", FEATURE_NET(GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_TSO6, "GUEST_TSO6", FEATURE_NET(GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_ECN, "GUEST_ECN",
	  FEATURE_NET(GUEST_TSO4) | FEATURE_NET(GUEST_TSO6) },
	{ VIRTIO_NET_F_GUEST_UFO, "GUEST_UFO", FEATURE_NET(GUEST_CSUM) },
	{ VIRTIO_NET_F_HOST_TSO4, "HOST_TSO4", FEATURE_NET(CSUM) },
	{ VIRTIO_NET_F_HOST_TSO6, "HOST_TSO6", FEATURE_NET(CSUM) },
	{ VIRTIO_NET_F_HOST_ECN, "HOST_ECN", FEATURE_NET(HOST_TSO4) | FEATURE_NET(HOST_TSO6) },
	{ VIRTIO_NET_F_HOST_UFO, "HOST_UFO", FEATURE_NET(CSUM) },
	{ VIRTIO_NET_F_MRG_RXBUF, "MRG_RXBUF", 0 },
	{ VIRTIO_NET_F_STATUS, "STATUS", 0 },
	{ VIRTIO_NET_F_CTRL_VQ, "CTRL_VQ", 0 },
	{ VIRTIO_NET_F_CTRL_RX, "CTRL_RX", FEATURE_NET(CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_VLAN, "CTRL_VLAN", FEATURE_NET(CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_RX_EXTRA, "CTRL_RX_EXTRA", FEATURE_NET(CTRL_VQ) },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, "GUEST_ANNOUNCE", FEATURE_NET(CTRL_VQ) },
	{ VIRTIO_NET_F_MQ, "MQ", FEATURE_NET(CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, "CTRL_MAC_ADDR", FEATURE_NET(CTRL_VQ) },
	{ VIRTIO_F_NOTIFY_ON_EMPTY, "NOTIFY_ON_EMPTY", 0 },
	{ VIRTIO_F_ANY_LAYOUT, "ANY_LAYOUT", 0 },
	{ VIRTIO_RING_F_INDIRECT_DESC, "INDIRECT_DESC", 0 },
	{ VIRTIO_RING_F_EVENT_IDX, "EVENT_IDX", 0 },
	{ VIRTIO_F_VERSION_1, "VERSION_1", 0 },
	{ VIRTIO_F_ACCESS_PLATFORM, "ACCESS_PLATFORM", 0 },
	{ VIRTIO_F_RING_PACKED, "RING_PACKED", FEATURE(F_VERSION_1) },
	{ VIRTIO_F_IN_ORDER, "IN_ORDER", FEATURE(F_VERSION_1) },
	{ VIRTIO_F_ORDER_PLATFORM, "ORDER_PLATFORM", FEATURE(F_VERSION_1) },
	{ VIRTIO_NET_F_GUEST_USO4, "GUEST_USO4", FEATURE_NET(GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO6, "GUEST_USO6", FEATURE_NET(GUEST_CSUM) },
	{ VIRTIO_NET_F_HOST_USO, "HOST_USO", FEATURE_NET(CSUM) },
};

uint64_t feature_select(uint64_t offered, uint64_t wanted)
{
	uint64_t features = offered & wanted;
	size_t i;

	/* Ring layout is free with VERSION_1: ANY_LAYOUT says nothing more there (6.4.1). */
	if (feature_has(features, VIRTIO_F_VERSION_1))
		features &= ~FEATURE(F_ANY_LAYOUT);
	/* conditions stand before what depends on them in the table: one pass is enough */
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].needs_any && !(features & rows[i].needs_any))
			features &= ~(UINT64_C(1) << rows[i].bit);
	return features;
}

uint64_t feature_mirror(uint64_t features)
{
	static const struct {
		uint64_t driver, device;
	} pairs[] = {
		{ FEATURE_NET(GUEST_CSUM), FEATURE_NET(CSUM) },
		{ FEATURE_NET(GUEST_TSO4), FEATURE_NET(HOST_TSO4) },
		{ FEATURE_NET(GUEST_TSO6), FEATURE_NET(HOST_TSO6) },
		{ FEATURE_NET(GUEST_ECN), FEATURE_NET(HOST_ECN) },
		{ FEATURE_NET(GUEST_UFO), FEATURE_NET(HOST_UFO) },
		{ FEATURE_NET(GUEST_USO4) | FEATURE_NET(GUEST_USO6), FEATURE_NET(HOST_USO) },
	};
	uint64_t mirrored = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		if ((features & pairs[i].driver) == pairs[i].driver)
			mirrored |= pairs[i].device;
		if (features & pairs[i].device)
			mirrored |= pairs[i].driver;
	}
	return mirrored;
}

const char *feature_name(unsigned int bit)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].bit == bit)
			return rows[i].name;
	return NULL;
}

void feature_format(uint64_t features, char *buf, size_t size)
{
	size_t used = 0;
	unsigned int bit;

	buf[0] = '\0';
	for (bit = 0; bit < 64; bit++) {
		const char *name = feature_name(bit);
		int n;

		if (!feature_has(features, bit))
			continue;
		n = name ? snprintf(buf + used, size - used, "%s%s", used ? " " : "", name) :
			   snprintf(buf + used, size - used, "%sbit %u", used ? " " : "", bit);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}
