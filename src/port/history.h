/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Says what a new connection is like, and how it differs from the last one. */
#ifndef PORT_HISTORY_H
#define PORT_HISTORY_H

#include <vubridge/vport.h>

#include "port/device.h"

struct history {
	const char *tag, *path; /* of the lines, and where the peer is */
	bool known;		/* there was a connection before, of which the rest is: */
	uint64_t features;
	unsigned int hdr_len, pairs;
};

void history_connected(struct history *h, const struct device *d);

#endif
