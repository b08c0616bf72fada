/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/metric.h"

#include "base/util.h"

static int read_sleeps(const struct bridge_view *v, unsigned int worker, uint64_t *value)
{
	/* worker i serves pair i, among others */
	*value = count_read(workers_counters(v->workers, worker).sleeps);
	return 0;
}

static int read_overflow(const struct bridge_view *v, unsigned int index __attribute__((unused)),
			 uint64_t *value)
{
	return v->kport->ops->get_overflows(v->kport, value);
}

static int read_connects(const struct bridge_view *v, unsigned int index __attribute__((unused)),
			 uint64_t *value)
{
	*value = v->vport->connects;
	return 0;
}

static int read_connected(const struct bridge_view *v, unsigned int index __attribute__((unused)),
			  uint64_t *value)
{
	*value = v->vport->connected;
	return 0;
}

static int read_carrier(const struct bridge_view *v, unsigned int index __attribute__((unused)),
			uint64_t *value)
{
	*value = !v->no_carrier;
	return 0;
}

static int read_pairs(const struct bridge_view *v, unsigned int index __attribute__((unused)),
		      uint64_t *value)
{
	*value = v->vport->active_pairs;
	return 0;
}

static int read_mtu(const struct bridge_view *v, unsigned int index __attribute__((unused)),
		    uint64_t *value)
{
	*value = v->link->mtu;
	return 0;
}

static int read_start(const struct bridge_view *v, unsigned int index __attribute__((unused)),
		      uint64_t *value)
{
	*value = v->started / 1000000000u;
	return 0;
}

static int read_carrier_change(const struct bridge_view *v,
			       unsigned int index __attribute__((unused)), uint64_t *value)
{
	*value = v->carrier_since / 1000000000u;
	return 0;
}

#define LANE(field) .scope = METRIC_LANE, .offset = offsetof(struct lane_counters, field)
#define DROP(reason) LANE(drops[reason]), .drop = true
#define WORKER(function) .scope = METRIC_WORKER, .direction = METRIC_BOTH, .read = function
#define BRIDGE(function) .scope = METRIC_BRIDGE, .read = function

/* clang-format off */
const struct metric metrics[] = {
	{ "frames", "", "frames forwarded", LANE(frames), .direction = METRIC_BOTH },
	{ "bytes", "bytes", "bytes of these frames, without virtio-net headers",
	  LANE(bytes), .direction = METRIC_BOTH },
	{ "kicks", "", "notifications sent to the backend", LANE(kicks), .direction = METRIC_BOTH },
	{ "calls", "", "notifications received from the backend",
	  LANE(calls), .direction = METRIC_BOTH },

	{ "superframes", "",
	  "superframes that frames were merged into, or that were cut into frames",
	  LANE(superframes), .direction = METRIC_BOTH },
	{ "segments", "", "frames that were merged, or that superframes were cut into",
	  LANE(segments), .direction = METRIC_BOTH },
	{ "refusals", "",
	  "superframes that the kernel refused, which ends merging until the next connection",
	  LANE(refusals), .direction = METRIC_RX },

	{ "refused", "", "the kernel did not accept the frame or its header (EINVAL)",
	  DROP(LANE_DROP_REFUSED), .direction = METRIC_RX },
	{ "iface_down", "", "the interface is down (EIO)",
	  DROP(LANE_DROP_IFACE_DOWN), .direction = METRIC_RX },
	{ "no_memory", "", "the kernel had no memory or no room for the frame",
	  DROP(LANE_DROP_NO_MEMORY), .direction = METRIC_BOTH },
	{ "stale", "", "queued by the one side before the other was there",
	  DROP(LANE_DROP_STALE), .direction = METRIC_BOTH },
	{ "unfit", "", "a superframe that could not be cut for the backend",
	  DROP(LANE_DROP_UNFIT), .direction = METRIC_TX },
	{ "stopped", "", "in hand when the connection ended",
	  DROP(LANE_DROP_STOPPED), .direction = METRIC_BOTH },
	{ "other_error", "", "the kernel gave any other error",
	  DROP(LANE_DROP_OTHER), .direction = METRIC_BOTH },

	{ "sleeps", "", "times the worker went to sleep", WORKER(read_sleeps) },

	{ "overflow", "", "the interface's own queue was full, the backend took frames too slowly",
	  BRIDGE(read_overflow), .drop = true, .direction = METRIC_TX },
	{ "connects", "", "times a backend was connected and ready",
	  BRIDGE(read_connects), .direction = METRIC_BOTH },
	{ "connected", "", "whether a backend is connected",
	  BRIDGE(read_connected), .type = METRIC_GAUGE, .direction = METRIC_BOTH },
	{ "carrier", "", "whether the interface has a carrier",
	  BRIDGE(read_carrier), .type = METRIC_GAUGE, .direction = METRIC_BOTH },
	{ "active_pairs", "", "queue pairs in use",
	  BRIDGE(read_pairs), .type = METRIC_GAUGE, .direction = METRIC_BOTH },
	{ "mtu_bytes", "bytes", "the interface's MTU",
	  BRIDGE(read_mtu), .type = METRIC_GAUGE, .direction = METRIC_BOTH },
	{ "start_time_seconds", "seconds", "when the program started, in seconds since 1970",
	  BRIDGE(read_start), .type = METRIC_GAUGE, .direction = METRIC_BOTH },
	{ "carrier_change_time_seconds", "seconds",
	  "when the carrier last changed, in seconds since 1970",
	  BRIDGE(read_carrier_change), .type = METRIC_GAUGE, .direction = METRIC_BOTH },
};
/* clang-format on */

const size_t metrics_count = ARRAY_SIZE(metrics);

const char *metric_direction_name(enum metric_direction direction)
{
	static const char *const names[] = {
		[METRIC_RX] = "rx", [METRIC_TX] = "tx", [METRIC_BOTH] = "both"};

	return names[direction];
}

uint64_t metric_read_lane(const struct metric *m, const struct bridge_view *v, unsigned int pair,
			  enum metric_direction direction)
{
	struct worker_counters c = workers_counters(v->workers, pair);
	const struct lane_counters *lane = direction == METRIC_RX ? c.to_fd : c.to_vq;

	return count_read((const uint64_t *)((const char *)lane + m->offset));
}

int metric_read(const struct metric *m, const struct bridge_view *v, unsigned int index,
		uint64_t *value)
{
	return m->read(v, index, value);
}
