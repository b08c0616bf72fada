/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random flows of packets, in which now and then something is wrong; the same for a seed. */
#ifndef FLOW_RIG_H
#define FLOW_RIG_H

#include "packet_rig.h"

#define FLOW_RIG_FLOWS 12u
#define FLOW_RIG_NAMES 256u
#define FLOW_RIG_NONE  255u /* the name of what belongs to no flow */

struct flow_rig {
	uint64_t random;
	struct packet_spec flows[FLOW_RIG_FLOWS]; /* what each sends next */
	uint8_t names[FLOW_RIG_FLOWS];		  /* of them; a flow that begins has a new one */
	uint8_t named;
};

void flow_rig_init(struct flow_rig *r, uint64_t seed);

/* A number below @n. */
unsigned int flow_rig_roll(struct flow_rig *r, unsigned int n);

/* The next packet of flow number @i below FLOW_RIG_FLOWS; returns the flow's name. */
uint8_t flow_rig_next(struct flow_rig *r, unsigned int i, struct packet_spec *out);

/*
 * Of an IPv4 datagram that may not be fragmented, or of @any, the id and what depends on it
 * become 0: such an id says nothing, so it may have changed.
 */
void flow_rig_forget_id(uint8_t *packet, bool any);

#endif
