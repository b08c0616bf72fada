/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the control queue (virtio 1.3, 5.1.6.5): what a driver asked for, and
 * what the device has to do about it. No known vhost peer serves a control queue, so the
 * device here answers every command by itself.
 */
#ifndef PORT_CTRL_H
#define PORT_CTRL_H

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTRL_MACS_MAX 64u
#define CTRL_VLANS    4096u

/* A filter table; one that is too long for it lets everything through. */
struct ctrl_macs {
	unsigned int n;
	bool overflow;
	uint8_t macs[CTRL_MACS_MAX][ETH_ALEN];
};

/* What the driver asked for since the reset. */
struct ctrl {
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	struct ctrl_macs unicast, multicast;
	uint8_t vlans[CTRL_VLANS / 8]; /* a bit for each id that shall come through */
	uint8_t mac[ETH_ALEN];
	unsigned int pairs;
};

/* What is left to do for the device after a command. */
enum ctrl_effect {
	CTRL_ERROR, /* unknown, not negotiated, or wrong */
	CTRL_DONE,
	CTRL_MAC,	/* ctrl->mac is the device's address from now on */
	CTRL_PAIRS,	/* ctrl->pairs shall be active, not yet checked against what there is */
	CTRL_ANNOUNCED, /* the announcement that the device asked for was made */
};

/* Takes one command; commands whose feature bit is not in @features are errors. */
enum ctrl_effect ctrl_take(struct ctrl *ctrl, uint64_t features, uint8_t class, uint8_t command,
			   const void *data, size_t len);

static inline bool ctrl_has_vlan(const struct ctrl *ctrl, unsigned int id)
{
	return ctrl->vlans[id / 8] >> id % 8 & 1;
}

#endif
