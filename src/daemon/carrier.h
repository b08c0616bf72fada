/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the interface may say that it has a carrier: a rule without state. */
#ifndef DAEMON_CARRIER_H
#define DAEMON_CARRIER_H

#include <stdbool.h>
#include <stdint.h>

/* Named as in struct vport. The two status values share bits and never mix. */
struct carrier_inputs {
	bool wanted;           /* by the user (vubctl link) */
	bool connected;        /* to the backend */
	uint8_t device_status; /* virtio 1.3, 2.1: VIRTIO_CONFIG_S_* */
	bool rings_enabled;    /* every active ring is */
	uint16_t net_status;   /* 5.1.4: VIRTIO_NET_S_*; LINK_UP where the backend serves none */
};

/* The first condition that is missing, in English, or NULL: carrier is on. */
const char *carrier_reason(const struct carrier_inputs *in);

bool carrier_is_on(const struct carrier_inputs *in);

#endif
