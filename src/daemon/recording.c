/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/recording.h"

#include <errno.h>

#include "base/log.h"

int recording_begin(struct recording *r, struct workers *workers, const char *tag,
		    const struct capture_config *config, unsigned int client)
{
	int error = r->capture ? -EBUSY : capture_open(&r->capture, config);

	if (error)
		return error;
	r->client = client;
	workers_capture(workers, r->capture);
	log_notice(tag, "a capture begins, by the control socket");
	return 0;
}

void recording_end(struct recording *r, struct workers *workers, const char *tag,
		   unsigned int client)
{
	if (!r->capture || r->client != client)
		return;
	workers_capture(workers, NULL);
	capture_close(r->capture);
	r->capture = NULL;
	log_notice(tag, "the capture has ended");
}
