/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one capture at a time, and the client of the control socket whose it is. */
#ifndef DAEMON_RECORDING_H
#define DAEMON_RECORDING_H

#include "daemon/workers.h"
#include "engine/capture.h"

struct recording {
	struct capture *capture; /* NULL: there is none */
	unsigned int client;
};

/* Has the workers record for @client from now on; -EBUSY: there is a capture already. */
int recording_begin(struct recording *r, struct workers *workers, const char *tag,
		    const struct capture_config *config, unsigned int client);
/* Ends it, if it is that of @client. */
void recording_end(struct recording *r, struct workers *workers, const char *tag,
		   unsigned int client);

#endif
