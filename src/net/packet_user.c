/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/packet_user.h"

#include "base/util.h"
#include "net/ethfeat.h"

/* Superframes are shorter than this, and so than FRAME_LEN_MAX with a tag. */
#define PACKET_USER_GSO_MAX 65536u

#define PACKET_USER_AT_FIRST PACKET_FEATURE(CSUM)

static const struct {
	const char *name;
	uint64_t feature; /* 0: virtio-net has no header for it */
} packet_user_features[] = {
	{ "tx-checksum-ip-generic", PACKET_FEATURE(CSUM) },
	{ "tx-tcp-segmentation", PACKET_FEATURE(HOST_TSO4) },
	{ "tx-tcp6-segmentation", PACKET_FEATURE(HOST_TSO6) },
	{ "tx-tcp-ecn-segmentation", PACKET_FEATURE(HOST_ECN) },
	{ "tx-udp-segmentation", PACKET_FEATURE(HOST_USO) },
	{ "tx-checksum-sctp", 0 },
	{ "tx-tcp-mangleid-segmentation", 0 },
	{ "tx-tcp-accecn-segmentation", 0 },
	{ "tx-gre-segmentation", 0 },
	{ "tx-gre-csum-segmentation", 0 },
	{ "tx-ipxip4-segmentation", 0 },
	{ "tx-ipxip6-segmentation", 0 },
	{ "tx-udp_tnl-segmentation", 0 },
	{ "tx-udp_tnl-csum-segmentation", 0 },
	{ "tx-gso-partial", 0 },
	{ "tx-tunnel-remcsum-segmentation", 0 },
	{ "tx-sctp-segmentation", 0 },
	{ "tx-esp-segmentation", 0 },
	{ "tx-gso-list", 0 },
};

/* The names of the table; which of them are on is the caller's to say. */
static void packet_user_name(struct ethfeat features[ARRAY_SIZE(packet_user_features)])
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(packet_user_features); i++)
		features[i] = (struct ethfeat){ .name = packet_user_features[i].name };
}

int packet_user_tell(struct packet *p, unsigned int ifindex, uint64_t features)
{
	struct ethfeat wanted[ARRAY_SIZE(packet_user_features)];
	struct rtnl_info info;
	size_t i;
	int err = rtnl_get(p->user_rtnl, ifindex, &info);

	if (err)
		return err;
	packet_user_name(wanted);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		wanted[i].on = features & packet_user_features[i].feature;
	err = ethfeat_set(p->ethfeat_fd, info.name, wanted, ARRAY_SIZE(wanted));
	if (!err && p->kport.created)
		err = veth_set_mark(p->rtnl, p->kport.hidden_ifindex, features);
	if (!err)
		p->told = features;
	return err;
}

/* Before anything of it is changed. */
static int packet_user_record(struct packet *p, const struct rtnl_info *info)
{
	struct ethfeat wanted[ARRAY_SIZE(packet_user_features)];
	struct packet_user_before *before = &p->user_before;
	size_t i;
	int err;

	_Static_assert(ARRAY_SIZE(wanted) <= 32, "a bit each");
	packet_user_name(wanted);
	err = ethfeat_get(p->ethfeat_fd, info->name, wanted, ARRAY_SIZE(wanted));
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		before->features |= (uint32_t)wanted[i].on << i;
	before->gso_max_size = info->gso_max_size;
	before->gso_ipv4_max_size = info->gso_ipv4_max_size;
	before->known = true;
	return 0;
}

int packet_user_prepare(struct packet *p)
{
	struct rtnl_info info;
	int err;

	if (!p->kport.ifindex)
		return 0;
	err = rtnl_get(p->user_rtnl, p->kport.ifindex, &info);
	if (!err)
		err = packet_user_record(p, &info);
	if (!err && MAX(info.gso_max_size, info.gso_ipv4_max_size) > PACKET_USER_GSO_MAX)
		err = veth_limit_gso(p->user_rtnl, info.ifindex,
				     MIN(info.gso_max_size, PACKET_USER_GSO_MAX),
				     MIN(info.gso_ipv4_max_size, PACKET_USER_GSO_MAX));
	return err ? err : packet_user_tell(p, info.ifindex, PACKET_USER_AT_FIRST);
}

void packet_user_give_back(struct packet *p, unsigned int ifindex)
{
	const struct packet_user_before *before = &p->user_before;
	struct ethfeat wanted[ARRAY_SIZE(packet_user_features)];
	struct rtnl_info info;
	size_t i;

	if (!before->known || rtnl_get(p->user_rtnl, ifindex, &info))
		return;
	packet_user_name(wanted);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		wanted[i].on = before->features & 1u << i;
	ethfeat_set(p->ethfeat_fd, info.name, wanted, ARRAY_SIZE(wanted));
	veth_limit_gso(p->user_rtnl, ifindex, before->gso_max_size, before->gso_ipv4_max_size);
}
