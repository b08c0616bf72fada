/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The features of a network device that "ethtool -k" shows. */
#ifndef NET_ETHFEAT_H
#define NET_ETHFEAT_H

#include <stdbool.h>
#include <stddef.h>

struct ethfeat {
	const char *name; /* as the kernel has it, "tx-udp-segmentation" */
	bool on;
};

/*
 * Sets those of @wanted that this kernel knows on interface @ifname of this network
 * namespace; it leaves out what the device cannot do. 0 or -errno.
 */
int ethfeat_set(const char *ifname, const struct ethfeat *wanted, size_t n);

#endif
