/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the interface and the device agree on address, MTU and receive modes: what the
 * kernel changes is what the device learns, and what the backend's configuration says is
 * set on the interface, unless an option says otherwise.
 */
#ifndef DAEMON_MIRROR_H
#define DAEMON_MIRROR_H

#include <vubridge/kport.h>
#include <vubridge/vport.h>

#include "daemon/options.h"
#include "net/linkmon.h"
#include "net/rtnl.h"

struct mirror {
	const struct options *options;
	struct kport *kport;
	struct vport *vport;
	struct rtnl *rtnl;	   /* of the interface's network namespace */
	struct linkmon_state link; /* as the kernel told it last */
	unsigned int mtu;          /* what was last set here, 0: never */
	int mtu_error;		   /* of the last try to set the backend's */
	struct {
		unsigned int ours, theirs;
	} named; /* the difference that the log has */
	uint8_t mac[ETH_ALEN];     /* likewise; what was found at first */
};

/* The interface's first address and MTU, before there is a device. 0 or -errno with one
 * line in @error. */
int mirror_begin(struct mirror *m, char *error, size_t size);
/* Can the MTU still be changed, with what privileges are left? It is set to what it is. */
void mirror_try_mtu(struct mirror *m);
/* The MTU that stays as it is, whatever the backend says; 0: it follows (vport->least_mtu). */
unsigned int mirror_least_mtu(const struct mirror *m);
/* Is what was agreed on with the backend about its MTU not so any more? Then the device has
 * to be negotiated anew. */
bool mirror_is_outdated(const struct mirror *m);
/* Tells the kernel which work on frames it may leave to device and workers. 0 or -errno. */
int mirror_offload(const struct mirror *m, bool wanted);
/* The device has come up: it learns all, and its configuration counts. 0, or -errno when
 * the connection is of no use any more. */
int mirror_up(struct mirror *m);
/* The kernel told a new state of the interface. */
void mirror_link(struct mirror *m, const struct linkmon_state *state);
/*
 * What the user wants while it runs: set on the interface, of which the device learns as of
 * any other change. 0 or -errno; -EREMOTE: the interface is out of reach.
 */
int mirror_set_mac(struct mirror *m, const uint8_t mac[ETH_ALEN]);
int mirror_set_mtu(struct mirror *m, unsigned int mtu);
/* The device's configuration changed: VPORT_ bits. */
void mirror_device(struct mirror *m, unsigned int changes);

#endif
