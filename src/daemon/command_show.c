/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that look: state, counters, the table of counters, events, version. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <linux/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/command.h"
#include "daemon/mac.h"
#include "daemon/metric.h"
#include "virtio/feature.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

/* ---- state ---- */

/* Seconds since 1970, to the millisecond. */
static json_t *time_of(uint64_t ns)
{
	return json_real((double)(ns / 1000000u) / 1000);
}

static json_t *string_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *backend_state(const struct bridge_view *v)
{
	bool kernel = v->kind == PATH_VHOST_NET;
	json_t *s = json_object();

	put(s, "path", json_string(v->options->path));
	put(s, "type", json_string(kernel ? "vhost-net" : "vhost-user"));
	put(s, "listening", json_boolean(v->options->server)); /* we are, it connects */
	put(s, "connected", json_boolean(v->vport->connected));
	put(s, "since", time_of(v->connected_since));
	put(s, "connects", json_integer((json_int_t)v->vport->connects));
	return s;
}

static json_t *carrier_state(const struct bridge_view *v)
{
	json_t *s = json_object();

	put(s, "on", json_boolean(!v->no_carrier));
	put(s, "since", time_of(v->carrier_since));
	put(s, "reason", string_or_null(v->no_carrier));
	return s;
}

static json_t *queue_state(const struct bridge_view *v)
{
	json_t *s = json_object();

	put(s, "configured", json_integer(v->kport->pairs));
	put(s, "backend", json_integer(v->vport->max_pairs));
	put(s, "active", json_integer(v->vport->active_pairs));
	put(s, "size", json_integer(v->vport->connected ? v->vport->queue_size :
							  v->options->queue_size));
	return s;
}

static json_t *worker_state(const struct bridge_view *v)
{
	const struct workers_poll poll = workers_poll(v->workers);
	int how = poll.busy ? OPTIONS_POLL_BUSY : OPTIONS_POLL_ADAPTIVE;
	json_t *s = json_object(), *cpus = json_array();
	unsigned int i;

	for (i = 0; i < v->options->cpus.n; i++)
		json_array_append_new(cpus, json_integer(v->options->cpus.cpu[i]));
	put(s, "count", json_integer(workers_count(v->workers)));
	put(s, "io", json_string(workers_io_name(v->workers)));
	put(s, "poll", json_string(options_choice("poll", how)));
	put(s, "idle_us", json_integer(poll.idle_us));
	put(s, "cpus", cpus);
	return s;
}

/* The names of @features, without @prefix, which each has. */
static json_t *feature_list(uint64_t features, const char *prefix)
{
	size_t len = strlen(prefix);
	json_t *names = json_array();
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		const char *name = feature_has(features, bit) ? feature_name(bit) : NULL;

		if (name && !strncmp(name, prefix, len))
			json_array_append_new(names, json_string(name + len));
	}
	return names;
}

/* By direction: what frames from the backend may need of the kernel, and the other way. */
static json_t *offload_state(const struct bridge_view *v)
{
	uint64_t offloads = v->vport->features & FEATURE_OFFLOAD_MASK;
	json_t *s = json_object(), *tx = feature_list(offloads, "HOST_");

	if (feature_has(offloads, VIRTIO_NET_F_CSUM))
		json_array_insert_new(tx, 0, json_string("CSUM"));
	put(s, "rx", feature_list(offloads, "GUEST_"));
	put(s, "tx", tx);
	return s;
}

json_t *command_state(const struct bridge_view *v)
{
	const struct vport *vp = v->vport;
	const char *waiting = v->options->server ? "listening" : "connecting";
	json_t *s = json_object();
	char mac[MAC_TEXT];

	mac_format(mac, v->kport->mac);
	put(s, "interface", json_string(v->kport->name));
	put(s, "ifindex", json_integer(v->kport->ifindex));
	put(s, "kind", json_string(options_choice("iface-type", v->options->iface_type)));
	put(s, "netns", string_or_null(v->options->netns));
	put(s, "up", json_boolean(v->link->flags & IFF_UP));
	put(s, "state", json_string(vp->connected ? "connected" : waiting));
	put(s, "link", json_string(v->link_down ? "down" : "up"));
	put(s, "carrier", carrier_state(v));
	put(s, "backend", backend_state(v));
	put(s, "mac", json_string(mac));
	put(s, "mtu", json_integer(v->link->mtu));
	put(s, "backend_mtu", vp->mtu ? json_integer(vp->mtu) : json_null());
	put(s, "promisc", json_boolean(vp->promisc)); /* as the device was told */
	put(s, "allmulti", json_boolean(vp->allmulti));
	put(s, "features", feature_list(vp->features & ~FEATURE_DEVICE_MASK, ""));
	put(s, "offloads", offload_state(v));
	put(s, "offload", json_string(options_choice("offload", v->offload)));
	put(s, "merge", json_string(options_choice("merge", v->merge)));
	put(s, "queues", queue_state(v));
	put(s, "workers", worker_state(v));
	put(s, "log_level", json_string(options_choice("log-level", log_get_level())));
	put(s, "started", time_of(v->started));
	return s;
}

json_t *command_show(struct telemetry_call *call)
{
	const struct bridge_view v = bridge_view(call->owner);

	return command_state(&v);
}

/* The answer is the state as it is now, and what changes of it comes afterwards. */
json_t *command_monitor(struct telemetry_call *call)
{
	call->subscribe = true;
	return command_show(call);
}

json_t *command_version(struct telemetry_call *call __attribute__((unused)))
{
	return json_pack("{s:s, s:i}", "version", PACKAGE_VERSION, "pid", (int)getpid());
}

/* ---- counters ---- */

static json_t *read_scope(const struct bridge_view *v, enum metric_scope scope, unsigned int index)
{
	json_t *object = json_object(), *drops = json_object(), *gauges = json_object();
	uint64_t value;
	size_t i;

	for (i = 0; i < metrics_count; i++) {
		const struct metric *m = &metrics[i];
		bool known = m->scope == scope && !metric_read(m, v, index, &value);

		if (m->scope == scope)
			put(m->drop		      ? drops
			    : m->type == METRIC_GAUGE ? gauges
						      : object,
			    m->name, known ? json_integer((json_int_t)value) : json_null());
	}
	put(object, "drops", drops);
	put(object, "gauges", gauges);
	return object;
}

static json_t *read_lane(const struct bridge_view *v, unsigned int pair,
			 enum metric_direction direction)
{
	json_t *object = json_object(), *drops = json_object();
	size_t i;

	for (i = 0; i < metrics_count; i++) {
		const struct metric *m = &metrics[i];
		uint64_t value;

		if (!metric_of_lane(m, direction))
			continue;
		value = metric_read_lane(m, v, pair, direction);
		put(m->drop ? drops : object, m->name, json_integer((json_int_t)value));
	}
	put(object, "drops", drops);
	return object;
}

static json_t *read_workers(const struct bridge_view *v)
{
	json_t *workers = json_array();
	unsigned int i;

	for (i = 0; i < workers_count(v->workers); i++)
		json_array_append_new(workers, read_scope(v, METRIC_WORKER, i));
	return workers;
}

static json_t *read_all(const struct bridge_view *v)
{
	json_t *stats = json_object();

	put(stats, "interface", json_string(v->kport->name));
	put(stats, "queues", json_integer(v->kport->pairs));
	put(stats, "bridge", read_scope(v, METRIC_BRIDGE, 0));
	put(stats, "workers", read_workers(v));
	return stats;
}

/* Without a parameter what there is one of, with the number of a queue pair its lanes: all
 * pairs would be more than an answer can hold. */
json_t *command_stats(struct telemetry_call *call)
{
	const struct bridge_view v = bridge_view(call->owner);
	unsigned long pair;
	json_t *stats;
	char *end;

	if (!call->params)
		return read_all(&v);
	pair = strtoul(call->params, &end, 10);
	if (end == call->params || *end || pair >= v.kport->pairs)
		return command_refuse(call, "queue '%.32s': must be a number below %u",
				      call->params, v.kport->pairs);
	stats = json_object();
	put(stats, "queue", json_integer((json_int_t)pair));
	put(stats, "rx", read_lane(&v, (unsigned int)pair, METRIC_RX));
	put(stats, "tx", read_lane(&v, (unsigned int)pair, METRIC_TX));
	return stats;
}

static json_t *describe(const struct metric *m)
{
	static const char *const scopes[] = {
		[METRIC_LANE] = "queue", [METRIC_WORKER] = "worker", [METRIC_BRIDGE] = "bridge"};
	json_t *row = json_object();

	put(row, "name", json_string(m->name));
	put(row, "unit", json_string(m->unit));
	put(row, "help", json_string(m->help));
	put(row, "type", json_string(m->type == METRIC_GAUGE ? "gauge" : "counter"));
	put(row, "scope", json_string(scopes[m->scope]));
	put(row, "direction", json_string(metric_direction_name(m->direction)));
	put(row, "drop", json_boolean(m->drop));
	return row;
}

json_t *command_metrics(struct telemetry_call *call __attribute__((unused)))
{
	json_t *table = json_array();
	size_t i;

	for (i = 0; i < metrics_count; i++)
		json_array_append_new(table, describe(&metrics[i]));
	return table;
}
