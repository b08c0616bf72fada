/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is asked of the peer of a device that is up: one thing at a time, by an errand, so
 * that nobody else waits for the answer. What is wanted again before its turn has come is
 * asked once, as it is wanted last.
 */
#ifndef PORT_ASKER_H
#define PORT_ASKER_H

#include "port/device.h"
#include "port/errand.h"

/* In the order in which they are asked. */
enum asker_what {
	ASKER_MTU,
	ASKER_PAIRS,
	ASKER_ANNOUNCE,
	ASKER_CONFIG,
	ASKER_KINDS,
};

struct asker {
	struct device *device;
	struct errand *errand;
	const char *tag; /* of log lines */

	unsigned int wanted; /* a bit for each kind */
	uint16_t mtu;
	unsigned int pairs;

	/* what is out */
	enum asker_what what;
	uint16_t asked_mtu;
	unsigned int asked_pairs;
	uint8_t asked_mac[ETH_ALEN];
};

void asker_want(struct asker *a, enum asker_what what);
void asker_want_mtu(struct asker *a, uint16_t mtu);
/* Pairs that are not active any more are taken from the workers at once. */
void asker_want_pairs(struct asker *a, unsigned int pairs);

/* Sends for the answer to the next thing that is wanted; false: there is none. */
bool asker_send(struct asker *a);
/*
 * It came home with @result. 0, or -errno when the connection is of no use any more: a
 * refusal is an answer. *changes gets VPORT_ bits of the configuration.
 */
int asker_home(struct asker *a, int result, unsigned int *changes);
/* Nothing is wanted any more. */
void asker_forget(struct asker *a);

#endif
