/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's vhost-net: a vhost peer that serves each queue pair with a TAP. */
#ifndef VHOST_KERNEL_H
#define VHOST_KERNEL_H

#include <vubridge/vhost.h>

struct vhost_kernel_config {
	const char *path;     /* of the device, usually /dev/vhost-net */
	const int *tap_fds;   /* [pairs], borrowed, of a TAP with IFF_VNET_HDR */
	unsigned int pairs;   /* queue pairs, at least 1 */
	uint64_t tap_offloads; /* VIRTIO_NET_F_ bits that the TAP can do for the driver */
	/*
	 * Makes the TAP's header length and offloads those of the features that were
	 * acked; called by set_features, before any ring is served. 0 or -errno.
	 */
	int (*prepare_tap)(void *owner, uint64_t features);
	/* The other end of the link has this MTU now: the TAP's should be the same. */
	void (*set_tap_mtu)(void *owner, uint16_t mtu);
	void *owner;
};

/*
 * A closed vhost, ready for its open operation as often as wanted. Strings and
 * descriptors are copied by value and must outlive it. NULL: no memory.
 *
 * While it is open, its fd is an eventfd that the kernel writes to when it finds a ring
 * broken. That the TAP was deleted it does not tell.
 */
struct vhost *vhost_kernel_new(const struct vhost_kernel_config *config);

/* Closes and frees it; NULL-safe. */
void vhost_kernel_free(struct vhost *v);

#endif
