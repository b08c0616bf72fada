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

int packet_user_tell(struct packet *p, unsigned int ifindex, uint64_t features)
{
	struct ethfeat wanted[ARRAY_SIZE(packet_user_features)];
	struct rtnl_info info;
	size_t i;
	int err = rtnl_get(p->rtnl, ifindex, &info);

	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		wanted[i] = (struct ethfeat){ packet_user_features[i].name,
					      features & packet_user_features[i].feature };
	err = ethfeat_set(p->ethfeat_fd, info.name, wanted, ARRAY_SIZE(wanted));
	if (!err && p->kport.created)
		err = veth_set_mark(p->rtnl, p->kport.hidden_ifindex, features);
	if (!err)
		p->told = features;
	return err;
}

int packet_user_prepare(struct packet *p)
{
	unsigned int ifindex = p->kport.ifindex;
	int err;

	if (!ifindex)
		return 0;
	err = veth_limit_gso(p->rtnl, ifindex, PACKET_USER_GSO_MAX);
	return err ? err : packet_user_tell(p, ifindex, PACKET_USER_AT_FIRST);
}
