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
 * A descriptor, to be closed, that reaches the interfaces of the calling thread's network
 * namespace, also once the thread has left it. Or -errno.
 */
int ethfeat_open(void);

/*
 * Asks which of @features, by their names, are wanted on interface @ifname of the namespace
 * that @fd reaches, whether or not it has them now. 0 or -errno.
 */
int ethfeat_get(int fd, const char *ifname, struct ethfeat *features, size_t n);
/*
 * Sets those of @wanted that this kernel knows on interface @ifname of the namespace that @fd
 * reaches; it leaves out what the device cannot do. 0 or -errno.
 */
int ethfeat_set(int fd, const char *ifname, const struct ethfeat *wanted, size_t n);

#endif
