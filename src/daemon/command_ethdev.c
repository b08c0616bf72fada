/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that DPDK's ethdev library has, for the tools that know them. */
#include <inttypes.h>
#include <linux/if.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "daemon/command.h"
#include "daemon/mac.h"
#include "daemon/metric.h"

/* RTE_ETHDEV_QUEUE_STAT_CNTRS: queues that stats tells of one by one */
#define QUEUE_STATS 16u
/* A TAP's own word for its speed says nothing of how fast it is; DPDK has one for that. */
#define SPEED_UNKNOWN UINT32_MAX

static void put(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* Port 0, which is the only one. Some tools put more behind it (",hide_zero=true"). */
static bool is_port(struct telemetry_call *call)
{
	const char *p = call->params;

	if (p && p[0] == '0' && (!p[1] || p[1] == ','))
		return true;
	command_refuse(call, "give the port's number, which is 0");
	return false;
}

json_t *command_ethdev_list(struct telemetry_call *call __attribute__((unused)))
{
	return json_pack("[i]", 0);
}

/* ---- info ---- */

static json_t *queue_states(const struct bridge_view *v)
{
	json_t *states = json_array();
	unsigned int i;

	for (i = 0; i < v->kport->pairs; i++)
		json_array_append_new(states,
				      json_integer(!v->no_carrier && i < v->vport->active_pairs));
	return states;
}

json_t *command_ethdev_info(struct telemetry_call *call)
{
	const struct bridge_view v = bridge_view(call->owner);
	char mac[MAC_TEXT];
	json_t *info;

	if (!is_port(call))
		return NULL;
	mac_format(mac, v.kport->mac);
	info = json_object();
	json_object_set_new(info, "name", json_string(v.kport->name));
	json_object_set_new(info, "mac_addr", json_string(mac));
	put(info, "port_id", 0);
	put(info, "state", 1); /* RTE_ETH_DEV_ATTACHED */
	put(info, "nb_rx_queues", v.kport->pairs);
	put(info, "nb_tx_queues", v.kport->pairs);
	put(info, "mtu", v.link->mtu);
	put(info, "promiscuous", !!(v.link->flags & IFF_PROMISC));
	put(info, "all_multicast", !!(v.link->flags & IFF_ALLMULTI));
	put(info, "dev_started", !v.no_carrier);
	put(info, "dev_configured", v.vport->connected);
	json_object_set_new(info, "rxq_state", queue_states(&v));
	json_object_set_new(info, "txq_state", queue_states(&v));
	return info;
}

json_t *command_ethdev_link_status(struct telemetry_call *call)
{
	const struct bridge_view v = bridge_view(call->owner);

	if (!is_port(call))
		return NULL;
	if (v.no_carrier)
		return json_pack("{s:s}", "status", "DOWN");
	return json_pack("{s:s, s:I, s:s}", "status", "UP", "speed",
			 (json_int_t)(v.options->speed ? v.options->speed : SPEED_UNKNOWN),
			 "duplex", "full-duplex");
}

/* ---- stats ---- */

static const struct metric *find(const char *name)
{
	size_t i;

	for (i = 0; i < metrics_count; i++)
		if (!strcmp(metrics[i].name, name))
			return &metrics[i];
	return NULL;
}

static uint64_t sum(const struct bridge_view *v, const struct metric *m,
		    enum metric_direction direction)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < v->kport->pairs; i++)
		n += metric_read_lane(m, v, i, direction);
	return n;
}

static uint64_t sum_drops(const struct bridge_view *v, enum metric_direction direction)
{
	uint64_t n = 0, value;
	size_t i;

	for (i = 0; i < metrics_count; i++) {
		if (!metrics[i].drop)
			continue;
		if (metric_of_lane(&metrics[i], direction))
			n += sum(v, &metrics[i], direction);
		else if (metrics[i].scope == METRIC_BRIDGE && metrics[i].direction == direction &&
			 !metric_read(&metrics[i], v, 0, &value))
			n += value;
	}
	return n;
}

static void put_queues(json_t *stats, const char *name, const struct bridge_view *v,
		       const struct metric *m, enum metric_direction direction)
{
	json_t *values = json_array();
	unsigned int i;

	for (i = 0; i < QUEUE_STATS; i++) {
		uint64_t value = i < v->kport->pairs ? metric_read_lane(m, v, i, direction) : 0;

		json_array_append_new(values, json_integer((json_int_t)value));
	}
	json_object_set_new(stats, name, values);
}

json_t *command_ethdev_stats(struct telemetry_call *call)
{
	const struct bridge_view v = bridge_view(call->owner);
	const struct metric *frames = find("frames"), *bytes = find("bytes");
	json_t *stats;

	if (!is_port(call))
		return NULL;
	stats = json_object();
	put(stats, "ipackets", sum(&v, frames, METRIC_RX));
	put(stats, "opackets", sum(&v, frames, METRIC_TX));
	put(stats, "ibytes", sum(&v, bytes, METRIC_RX));
	put(stats, "obytes", sum(&v, bytes, METRIC_TX));
	put(stats, "imissed", 0);
	put(stats, "ierrors", sum_drops(&v, METRIC_RX));
	put(stats, "oerrors", sum_drops(&v, METRIC_TX));
	put(stats, "rx_nombuf", sum(&v, find("no_memory"), METRIC_RX));
	put_queues(stats, "q_ipackets", &v, frames, METRIC_RX);
	put_queues(stats, "q_opackets", &v, frames, METRIC_TX);
	put_queues(stats, "q_ibytes", &v, bytes, METRIC_RX);
	put_queues(stats, "q_obytes", &v, bytes, METRIC_TX);
	return stats;
}

/* ---- xstats ---- */

/* With very many queues there is room only for what is not 0. */
#define PAIRS_WITH_ZEROS 32u

static void put_lane(json_t *xstats, const struct bridge_view *v, unsigned int pair,
		     enum metric_direction direction)
{
	bool zeros = v->kport->pairs <= PAIRS_WITH_ZEROS;
	char name[64];
	size_t i;

	for (i = 0; i < metrics_count; i++) {
		const struct metric *m = &metrics[i];
		uint64_t value;

		if (!metric_of_lane(m, direction))
			continue;
		value = metric_read_lane(m, v, pair, direction);
		snprintf(name, sizeof(name), "%s_q%u_%s%s", metric_direction_name(direction), pair,
			 m->drop ? "drop_" : "", m->name);
		if (value || zeros)
			put(xstats, name, value);
	}
}

static void put_scope(json_t *xstats, const struct bridge_view *v, enum metric_scope scope,
		      unsigned int index, const char *prefix)
{
	char name[64];
	uint64_t value;
	size_t i;

	for (i = 0; i < metrics_count; i++) {
		const struct metric *m = &metrics[i];

		if (m->scope != scope || metric_read(m, v, index, &value))
			continue;
		if (m->drop)
			snprintf(name, sizeof(name), "%s_drop_%s",
				 metric_direction_name(m->direction), m->name);
		else
			snprintf(name, sizeof(name), "%s%s", prefix, m->name);
		put(xstats, name, value);
	}
}

json_t *command_ethdev_xstats(struct telemetry_call *call)
{
	const struct bridge_view v = bridge_view(call->owner);
	char prefix[32];
	json_t *xstats;
	unsigned int i;

	if (!is_port(call))
		return NULL;
	xstats = json_object();
	put_scope(xstats, &v, METRIC_BRIDGE, 0, "");
	for (i = 0; i < workers_count(v.workers); i++) {
		snprintf(prefix, sizeof(prefix), "worker%u_", i);
		put_scope(xstats, &v, METRIC_WORKER, i, prefix);
	}
	for (i = 0; i < v.kport->pairs; i++) {
		put_lane(xstats, &v, i, METRIC_RX);
		put_lane(xstats, &v, i, METRIC_TX);
	}
	return xstats;
}
