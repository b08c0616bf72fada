/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/ctrl.h"

#include <endian.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "base/util.h"

#define FEATURE_BIT(name) (UINT64_C(1) << VIRTIO_NET_F_##name)

struct command {
	uint8_t class, command;
	uint64_t feature;
	enum ctrl_effect (*take)(struct ctrl *ctrl, const struct command *c, const uint8_t *data,
				 size_t len);
	size_t offset; /* of a receive mode in struct ctrl */
};

/* One byte, 0 or 1 (5.1.6.5.1). */
static enum ctrl_effect take_mode(struct ctrl *ctrl, const struct command *c, const uint8_t *data,
				  size_t len)
{
	if (len != 1 || data[0] > 1)
		return CTRL_ERROR;
	*((bool *)((char *)ctrl + c->offset)) = data[0];
	return CTRL_DONE;
}

/* Reads one table and returns what stands behind it, NULL when it is cut off. */
static const uint8_t *read_table(struct ctrl_macs *table, const uint8_t *data, size_t *len)
{
	uint32_t entries;
	uint32_t i;

	if (*len < sizeof(entries))
		return NULL;
	memcpy(&entries, data, sizeof(entries));
	entries = le32toh(entries);
	*len -= sizeof(entries);
	data += sizeof(entries);
	if (entries > *len / ETH_ALEN)
		return NULL;
	table->overflow = entries > CTRL_MACS_MAX;
	table->n = table->overflow ? 0 : entries;
	for (i = 0; i < table->n; i++)
		memcpy(table->macs[i], data + i * ETH_ALEN, ETH_ALEN);
	*len -= entries * ETH_ALEN;
	return data + entries * ETH_ALEN;
}

/* Two tables, unicast and multicast; nothing changes unless both are whole. */
static enum ctrl_effect take_tables(struct ctrl *ctrl,
				    const struct command *c __attribute__((unused)),
				    const uint8_t *data, size_t len)
{
	struct ctrl_macs unicast, multicast;

	data = read_table(&unicast, data, &len);
	if (data)
		data = read_table(&multicast, data, &len);
	if (!data || len)
		return CTRL_ERROR;
	ctrl->unicast = unicast;
	ctrl->multicast = multicast;
	return CTRL_DONE;
}

static enum ctrl_effect take_mac(struct ctrl *ctrl, const struct command *c __attribute__((unused)),
				 const uint8_t *data, size_t len)
{
	static const uint8_t zero[ETH_ALEN];

	if (len != ETH_ALEN || data[0] & 1 || !memcmp(data, zero, ETH_ALEN))
		return CTRL_ERROR;
	memcpy(ctrl->mac, data, ETH_ALEN);
	return CTRL_MAC;
}

/* Two bytes, little-endian. */
static bool read_le16(const uint8_t *data, size_t len, uint16_t *value)
{
	if (len != sizeof(*value))
		return false;
	memcpy(value, data, sizeof(*value));
	*value = le16toh(*value);
	return true;
}

static enum ctrl_effect take_vlan(struct ctrl *ctrl, const struct command *c, const uint8_t *data,
				  size_t len)
{
	uint16_t id;

	if (!read_le16(data, len, &id) || id >= CTRL_VLANS)
		return CTRL_ERROR;
	if (c->command == VIRTIO_NET_CTRL_VLAN_ADD)
		ctrl->vlans[id / 8] |= (uint8_t)(1u << id % 8);
	else
		ctrl->vlans[id / 8] &= (uint8_t) ~(1u << id % 8);
	return CTRL_DONE;
}

static enum ctrl_effect take_pairs(struct ctrl *ctrl,
				   const struct command *c __attribute__((unused)),
				   const uint8_t *data, size_t len)
{
	uint16_t pairs;

	if (!read_le16(data, len, &pairs) || pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN ||
	    pairs > VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX)
		return CTRL_ERROR;
	ctrl->pairs = pairs;
	return CTRL_PAIRS;
}

static enum ctrl_effect take_ack(struct ctrl *ctrl __attribute__((unused)),
				 const struct command *c __attribute__((unused)),
				 const uint8_t *data __attribute__((unused)), size_t len)
{
	return len ? CTRL_ERROR : CTRL_ANNOUNCED;
}

#define MODE(name, bit, field)                                                                     \
	{                                                                                          \
		VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_##name, FEATURE_BIT(bit), take_mode,        \
			offsetof(struct ctrl, field)                                               \
	}

static const struct command commands[] = {
	MODE(PROMISC, CTRL_RX, promisc),
	MODE(ALLMULTI, CTRL_RX, allmulti),
	MODE(ALLUNI, CTRL_RX_EXTRA, alluni),
	MODE(NOMULTI, CTRL_RX_EXTRA, nomulti),
	MODE(NOUNI, CTRL_RX_EXTRA, nouni),
	MODE(NOBCAST, CTRL_RX_EXTRA, nobcast),
	{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, FEATURE_BIT(CTRL_RX), take_tables, 0},
	{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, FEATURE_BIT(CTRL_MAC_ADDR), take_mac,
	 0},
	{VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, FEATURE_BIT(CTRL_VLAN), take_vlan, 0},
	{VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, FEATURE_BIT(CTRL_VLAN), take_vlan, 0},
	{VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, FEATURE_BIT(GUEST_ANNOUNCE),
	 take_ack, 0},
	{VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, FEATURE_BIT(MQ), take_pairs, 0},
};

enum ctrl_effect ctrl_take(struct ctrl *ctrl, uint64_t features, uint8_t class, uint8_t command,
			   const void *data, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (c->class == class && c->command == command)
			return features & c->feature ? c->take(ctrl, c, data, len) : CTRL_ERROR;
	}
	return CTRL_ERROR;
}
