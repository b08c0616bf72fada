/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counters as the log shows them; their names are those of the manual page. */
#ifndef DAEMON_COUNTERS_H
#define DAEMON_COUNTERS_H

#include <vubridge/kport.h>
#include <vubridge/vport.h>

#include "engine/worker.h"

/* Two lines: each lane of queue pair @pair. */
void counters_log_pair(const char *tag, unsigned int pair, struct worker_counters counters);
/* One line: what the kernel dropped, and how often the backend came. */
void counters_log_port(const char *tag, struct kport *kp, const struct vport *vp);

#endif
