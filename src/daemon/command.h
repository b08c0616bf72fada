/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the control socket, each as telemetry.h has it; owner is the bridge. Names
 * and help texts stand in the table of control.c.
 */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include "daemon/bridge.h"
#include "daemon/telemetry.h"

/* DPDK's, of a port whose number is always 0 (command_ethdev.c) */
json_t *command_ethdev_info(struct telemetry_call *call);
json_t *command_ethdev_link_status(struct telemetry_call *call);
json_t *command_ethdev_list(struct telemetry_call *call);
json_t *command_ethdev_stats(struct telemetry_call *call);
json_t *command_ethdev_xstats(struct telemetry_call *call);

/* our own, to look at things (command_show.c) */
json_t *command_metrics(struct telemetry_call *call);
json_t *command_monitor(struct telemetry_call *call);
json_t *command_show(struct telemetry_call *call);
json_t *command_stats(struct telemetry_call *call);
json_t *command_version(struct telemetry_call *call);

/* to see frames; command_left ends what a client began that is gone (command_capture.c) */
json_t *command_capture(struct telemetry_call *call);
void command_left(void *owner, unsigned int client);

/* and to change them (command_set.c) */
json_t *command_link(struct telemetry_call *call);
json_t *command_reconnect(struct telemetry_call *call);
json_t *command_set_idle_us(struct telemetry_call *call);
json_t *command_set_log_level(struct telemetry_call *call);
json_t *command_set_mac(struct telemetry_call *call);
json_t *command_set_merge(struct telemetry_call *call);
json_t *command_set_mtu(struct telemetry_call *call);
json_t *command_set_offload(struct telemetry_call *call);
json_t *command_set_poll(struct telemetry_call *call);
json_t *command_set_queues(struct telemetry_call *call);

/* What show answers, and of which the monitor tells the differences. */
json_t *command_state(const struct bridge_view *v);

/* Puts one line into call->error. Returns NULL. */
json_t *command_refuse(struct telemetry_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
