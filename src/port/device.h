/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio-net device that a frontend makes of its vhost peer: negotiation, rings,
 * device status, configuration space and control queue, from an open connection to its
 * end. Nothing here knows how the connection came about.
 *
 * What it learns stands in the public fields of struct vport, once it is shown there: while
 * the peer is asked, which may be done in another thread (port/errand.h), it stands in a draft.
 * Operations return 0 or -errno as those of <vubridge/vhost.h>, with vhost->request and
 * vhost->why.
 */
#ifndef PORT_DEVICE_H
#define PORT_DEVICE_H

#include <vubridge/vhost.h>
#include <vubridge/vport.h>

#include "port/ctrl.h"
#include "port/rings.h"

struct device_config {
	unsigned int pairs;	 /* queue pairs wanted */
	unsigned int queue_size; /* descriptors of each ring, a power of two */
	bool any_queue_size;	 /* nobody asked for it: smaller ones will do for a peer */
	uint64_t features;	 /* what may be negotiated: FEATURE_..._MASK of virtio/feature.h */
	bool hugepages;		 /* ring memory in huge pages, if there are any */
};

struct device {
	struct vport *vport;
	struct vhost *vhost; /* borrowed */
	struct vport draft;  /* what the peer and we agreed on last, no operations */
	struct device_config config;
	unsigned int least_mtu;	 /* as the vport says before device_bring_up */
	unsigned int queue_size; /* of the next attempt, 0: as configured */
	struct rings rings;
	struct ctrl ctrl;
	/* of all connections: the number of queues that the peer said last, the pairs before the
	 * first one that it refused nevertheless (0: none), and hang-ups so far that say that it
	 * counts rings and not pairs; what either told is put to the test once */
	unsigned int said, refused_pairs, ring_signs;
	bool refusal_trial, refusal_proven, ring_trial;
};

/*
 * ---- what asks the peer, and takes as long as it does; one at a time ----
 */

/* From an open vhost to DRIVER_OK with every pair active that both sides have. */
int device_bring_up(struct device *d);
/* Reads configuration and status again. -ENODEV: the device needs a reset. */
int device_read(struct device *d);
/* Has the peer enable or disable the rings of pairs until it is @pairs that are. */
int device_enable(struct device *d, unsigned int pairs);
/* Stops the rings and resets the device, as far as the peer still hears. */
void device_shut_down(struct device *d);
/* Tells the peer that it broke the rules, without waiting long for its answer. */
void device_fail(struct device *d);

/*
 * ---- the control thread's ----
 */

/* After device_bring_up: the draft is what the device is. */
void device_show(struct device *d);
/* After device_read: the same of the configuration; VPORT_ bits of what is new. */
unsigned int device_show_config(struct device *d);
/* After device_enable, or before fewer pairs are enabled: the first @pairs are active. */
void device_show_pairs(struct device *d, unsigned int pairs);
/* A connection lasted: what was only guessed about the peer may have been wrong. */
void device_lasted(struct device *d);
/* Forgets the connection: the mirror of opening vhost and of device_bring_up. */
void device_forget(struct device *d);

/*
 * The driver's, also while the peer is asked: a command of the control queue, VIRTIO_NET_OK or
 * VIRTIO_NET_ERR. *pairs is the number of pairs that it wants to be active, or 0.
 */
uint8_t device_control(struct device *d, uint8_t class, uint8_t command, const void *data,
		       size_t len, unsigned int *pairs);
/* -EPERM for all but the whole MAC (5.1.4: "the driver may write to mac"). */
int device_write_config(struct device *d, size_t offset, const void *data, size_t len);

#endif
