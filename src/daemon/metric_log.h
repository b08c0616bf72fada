/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counters as the log shows them. */
#ifndef DAEMON_METRIC_LOG_H
#define DAEMON_METRIC_LOG_H

#include "daemon/bridge.h"

/* Two lines for each queue pair, one for each of its lanes, and one for all. */
void metric_log(const struct bridge_view *v);

#endif
