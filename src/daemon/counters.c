/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

static void format_drops(const struct lane_counters *c, char *buf, size_t size)
{
	size_t used = 0;
	int i;

	for (i = 0; i < LANE_DROPS && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, " %s %" PRIu64,
					 lane_drop_name((enum lane_drop)i),
					 count_read(&c->drops[i]));
}

static void log_lane(const char *tag, const char *queue, unsigned int pair,
		     const struct lane_counters *c, uint64_t sleeps)
{
	char drops[256];

	format_drops(c, drops, sizeof(drops));
	log_notice(tag,
		   "%s%u: frames %" PRIu64 " bytes %" PRIu64 " kicks %" PRIu64 " calls %" PRIu64
		   " sleeps %" PRIu64 " drops:%s",
		   queue, pair, count_read(&c->frames), count_read(&c->bytes),
		   count_read(&c->kicks), count_read(&c->calls), sleeps, drops);
}

void counters_log_pair(const char *tag, unsigned int pair, struct worker_counters c)
{
	/* one worker sleeps for both of its lanes */
	uint64_t sleeps = count_read(c.sleeps);

	log_lane(tag, "rxq", pair, c.to_fd, sleeps);
	log_lane(tag, "txq", pair, c.to_vq, sleeps);
}

void counters_log_port(const char *tag, struct kport *kp, const struct vport *vp)
{
	uint64_t overflows;
	int r = kp->ops->get_overflows(kp, &overflows);

	if (r)
		log_notice(tag, "tx: drops: overflow unknown (%s); connects %" PRIu64,
			   strerror(-r), vp->connects);
	else
		log_notice(tag, "tx: drops: overflow %" PRIu64 "; connects %" PRIu64, overflows,
			   vp->connects);
}
