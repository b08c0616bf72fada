/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that look answer, of a bridge that is made up: as large as one can be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "base/uapi.h"
#include "base/util.h"
#include "daemon/command.h"
#include "daemon/metric.h"
#include "virtio/feature.h"

#define PAIRS_MAX 128u

struct bench {
	struct options options;
	struct kport kport;
	struct vport vport;
	struct linkmon_state link;
	struct lane_counters to_fd[PAIRS_MAX], to_vq[PAIRS_MAX];
	uint64_t sleeps;
	unsigned int workers;
	struct workers_poll poll;
	const char *no_carrier;
	char error[512];
};

/* ---- what the linker puts in the place of bridge.c and workers.c ---- */

/* The pointers that the commands pass on unseen are both to the bench. */
struct bridge_view __wrap_bridge_view(const struct bridge *b);
unsigned int __wrap_workers_count(const struct workers *ws);
struct worker_counters __wrap_workers_counters(const struct workers *ws, unsigned int pair);
struct workers_poll __wrap_workers_poll(const struct workers *ws);
const char *__wrap_workers_io_name(const struct workers *ws);

struct bridge_view __wrap_bridge_view(const struct bridge *bridge)
{
	const struct bench *b = (const void *)bridge;

	return (struct bridge_view){
		.options = &b->options,
		.kport = (struct kport *)&b->kport,
		.link = &b->link,
		.vport = &b->vport,
		.workers = (const void *)b,
		.started = UINT64_C(1700000000123456789),
		.connected_since = UINT64_C(1700000001000000000),
		.no_carrier = b->no_carrier,
		.carrier_since = UINT64_C(1700000002000000000),
	};
}

unsigned int __wrap_workers_count(const struct workers *ws)
{
	return ((const struct bench *)(const void *)ws)->workers;
}

struct worker_counters __wrap_workers_counters(const struct workers *ws, unsigned int pair)
{
	const struct bench *b = (const void *)ws;

	return (struct worker_counters){&b->to_fd[pair], &b->to_vq[pair], &b->sleeps};
}

struct workers_poll __wrap_workers_poll(const struct workers *ws)
{
	return ((const struct bench *)(const void *)ws)->poll;
}

const char *__wrap_workers_io_name(const struct workers *ws)
{
	(void)ws;
	return "uring";
}

static int get_overflows(struct kport *kp, uint64_t *count)
{
	*count = 5;
	return kp->ifindex ? 0 : -EREMOTE;
}

/* ---- the bench ---- */

static const struct kport_ops kport_ops = {.get_overflows = get_overflows};

static void setup(struct bench *b, unsigned int pairs)
{
	memset(b, 0, sizeof(*b));
	b->options = (struct options){.path = "/tmp/sock", .queue_size = 256, .queues = pairs};
	b->kport = (struct kport){.ops = &kport_ops, .name = "vnet0", .ifindex = 7, .pairs = pairs};
	b->kport.mac[0] = 2;
	b->link.mtu = 1500;
	b->vport.connected = true;
	b->vport.active_pairs = b->vport.pairs = b->vport.max_pairs = pairs;
	b->workers = pairs;
}

static json_t *run(struct bench *b, json_t *(*command)(struct telemetry_call *), const char *params)
{
	struct telemetry_call call = {
		.owner = b,
		.by = "a test",
		.params = params,
		.error = b->error,
		.size = sizeof(b->error),
	};

	b->error[0] = '\0';
	return command(&call);
}

static void assert_json(json_t *value, const char *path, json_t *expected)
{
	json_t *at = value;
	char copy[128], *rest = copy, *key;

	snprintf(copy, sizeof(copy), "%s", path);
	while (at && (key = strsep(&rest, ".")))
		at = json_object_get(at, key);
	if (!json_equal(at, expected))
		fail_msg("%s is %s", path, json_dumps(at, JSON_ENCODE_ANY));
	json_decref(expected);
}

/* ---- tests ---- */

static void test_state(void **state)
{
	static struct bench b;
	json_t *s;

	(void)state;
	setup(&b, 2);
	b.options.server = true;
	b.vport.features = FEATURE(F_VERSION_1) | FEATURE_NET(CSUM) | FEATURE_NET(HOST_TSO4) |
			   FEATURE_NET(GUEST_CSUM) | FEATURE_NET(GUEST_USO4) |
			   FEATURE_NET(CTRL_VQ) | UINT64_C(1) << 60;
	s = run(&b, command_show, NULL);
	assert_json(s, "interface", json_string("vnet0"));
	assert_json(s, "mac", json_string("02:00:00:00:00:00"));
	assert_json(s, "netns", json_null());
	assert_json(s, "state", json_string("connected"));
	assert_json(s, "started", json_real(1700000000.123));
	assert_json(s, "carrier",
		    json_pack("{s:b, s:f, s:n}", "on", 1, "since", 1700000002.0, "reason"));
	assert_json(s, "backend.listening", json_true());
	assert_json(s, "backend_mtu", json_null());
	assert_json(s, "promisc", json_false());
	assert_json(s, "allmulti", json_false());
	/* what the device does alone is no feature of the backend's */
	assert_json(s, "features",
		    json_pack("[s,s,s,s,s]", "CSUM", "GUEST_CSUM", "HOST_TSO4", "VERSION_1",
			      "GUEST_USO4"));
	assert_json(s, "offloads.rx", json_pack("[s,s]", "CSUM", "USO4"));
	assert_json(s, "offloads.tx", json_pack("[s,s]", "CSUM", "TSO4"));
	json_decref(s);
	b.vport = (struct vport){.mtu = 1400, .allmulti = true};
	b.no_carrier = "backend not connected";
	s = run(&b, command_show, NULL);
	assert_json(s, "state", json_string("listening"));
	assert_json(s, "backend_mtu", json_integer(1400));
	assert_json(s, "promisc", json_false());
	assert_json(s, "allmulti", json_true());
	assert_json(s, "carrier.on", json_false());
	assert_json(s, "carrier.reason", json_string("backend not connected"));
	assert_json(s, "features", json_array());
	json_decref(s);
	b.options.server = false;
	s = run(&b, command_show, NULL);
	assert_json(s, "state", json_string("connecting"));
	json_decref(s);
}

static void test_stats(void **state)
{
	static struct bench b;
	json_t *s;

	(void)state;
	setup(&b, 2);
	b.to_fd[1].frames = 3;
	b.to_fd[1].drops[LANE_DROP_REFUSED] = 4;
	b.to_vq[1].bytes = UINT64_C(1) << 40;
	b.sleeps = 9;
	s = run(&b, command_stats, NULL);
	assert_json(s, "queues", json_integer(2));
	assert_json(s, "bridge.drops.overflow", json_integer(5));
	assert_json(s, "bridge.gauges.active_pairs", json_integer(2));
	assert_int_equal(json_array_size(json_object_get(s, "workers")), 2);
	assert_json(json_array_get(json_object_get(s, "workers"), 1), "sleeps", json_integer(9));
	json_decref(s);
	s = run(&b, command_stats, "1");
	assert_json(s, "rx.frames", json_integer(3));
	assert_json(s, "rx.drops.refused", json_integer(4));
	assert_json(s, "tx.bytes", json_integer((json_int_t)1 << 40));
	assert_json(s, "queue", json_integer(1));
	json_decref(s);
	/* where it cannot be asked for */
	b.kport.ifindex = 0;
	s = run(&b, command_stats, NULL);
	assert_json(s, "bridge.drops.overflow", json_null());
	json_decref(s);
}

static void test_bad_params(void **state)
{
	static const char *const bad[] = {"2", "-1", "x", "1x", "99999999999999999999", ","};
	static struct bench b;
	size_t i;

	(void)state;
	setup(&b, 2);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_null(run(&b, command_stats, bad[i]));
		assert_non_null(strstr(b.error, "must be a number below 2"));
		assert_null(run(&b, command_ethdev_stats, bad[i]));
		assert_string_equal(b.error, "give the port's number, which is 0");
	}
	assert_null(run(&b, command_ethdev_xstats, NULL));
	assert_null(run(&b, command_ethdev_info, "00"));
	assert_null(run(&b, command_ethdev_link_status, ""));
}

static void test_ethdev(void **state)
{
	static struct bench b;
	json_t *s;

	(void)state;
	setup(&b, 2);
	b.to_fd[0] = (struct lane_counters){.frames = 1, .bytes = 60};
	b.to_fd[1] = (struct lane_counters){.frames = 2, .bytes = 120};
	b.to_fd[1].drops[LANE_DROP_NO_MEMORY] = 7;
	b.to_fd[0].drops[LANE_DROP_REFUSED] = 1;
	b.to_vq[1] = (struct lane_counters){.frames = 4, .bytes = 240};
	b.to_vq[1].drops[LANE_DROP_STALE] = 10;
	s = run(&b, command_ethdev_stats, "0");
	assert_json(s, "ipackets", json_integer(3));
	assert_json(s, "opackets", json_integer(4));
	assert_json(s, "ibytes", json_integer(180));
	assert_json(s, "ierrors", json_integer(8));
	assert_json(s, "oerrors", json_integer(15)); /* with what the kernel dropped */
	assert_json(s, "rx_nombuf", json_integer(7));
	assert_int_equal(json_integer_value(json_array_get(json_object_get(s, "q_ipackets"), 1)),
			 2);
	assert_int_equal(json_array_size(json_object_get(s, "q_opackets")), 16);
	json_decref(s);
	s = run(&b, command_ethdev_xstats, "0,hide_zero=true");
	assert_json(s, "rx_q1_frames", json_integer(2));
	assert_json(s, "rx_q1_drop_no_memory", json_integer(7));
	assert_json(s, "tx_q1_drop_stale", json_integer(10));
	assert_json(s, "tx_drop_overflow", json_integer(5));
	assert_json(s, "worker1_sleeps", json_integer(0));
	assert_json(s, "tx_q0_frames", json_integer(0));
	json_decref(s);
	s = run(&b, command_ethdev_link_status, "0");
	assert_json(s, "status", json_string("UP"));
	assert_json(s, "speed", json_integer(UINT32_MAX));
	json_decref(s);
	b.options.speed = 25000;
	s = run(&b, command_ethdev_link_status, "0");
	assert_json(s, "speed", json_integer(25000));
	json_decref(s);
	b.no_carrier = "device not ready";
	s = run(&b, command_ethdev_link_status, "0");
	assert_json(s, "status", json_string("DOWN"));
	assert_int_equal(json_object_size(s), 1);
	json_decref(s);
}

static size_t length(json_t *value)
{
	size_t n = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);

	assert_true(n > 0);
	json_decref(value);
	return n;
}

/* No answer is longer than a client expects, however many queues there are. */
static void test_lengths(void **state)
{
	static json_t *(*const commands[])(struct telemetry_call *) = {
		command_ethdev_info, command_ethdev_stats, command_ethdev_xstats,
		command_show,	     command_metrics,	   command_monitor,
	};
	static struct bench b;
	static char path[4096];
	unsigned int pair;
	size_t i;

	(void)state;
	setup(&b, PAIRS_MAX);
	memset(path, '\x01', sizeof(path) - 1); /* six bytes each in JSON */
	b.options.path = path;
	b.vport.features = UINT64_MAX;
	b.options.cpus.n = OPTIONS_CPUS_MAX;
	for (pair = 0; pair < PAIRS_MAX; pair++) {
		/* years of traffic, and no mishap but the usual one */
		b.to_fd[pair].frames = UINT64_C(1) << 44;
		b.to_fd[pair].bytes = UINT64_C(1) << 54;
		b.to_fd[pair].kicks = b.to_fd[pair].calls = UINT64_C(1) << 40;
		b.to_vq[pair] = b.to_fd[pair];
		b.to_vq[pair].drops[LANE_DROP_STALE] = 1000;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		assert_in_range(length(run(&b, commands[i], "0")), 10, TELEMETRY_OUTPUT_MAX - 64);
	assert_in_range(length(run(&b, command_stats, NULL)), 10, TELEMETRY_OUTPUT_MAX - 64);
	assert_in_range(length(run(&b, command_stats, "127")), 10, TELEMETRY_OUTPUT_MAX - 64);
}

static void test_table(void **state)
{
	static struct bench b;
	json_t *table, *row;
	size_t i;

	(void)state;
	setup(&b, 1);
	table = run(&b, command_metrics, NULL);
	assert_int_equal(json_array_size(table), metrics_count);
	json_array_foreach(table, i, row)
	{
		assert_json(row, "name", json_string(metrics[i].name));
		assert_json(row, "help", json_string(metrics[i].help));
		assert_json(row, "drop", json_boolean(metrics[i].drop));
	}
	json_decref(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state),	   cmocka_unit_test(test_stats),
		cmocka_unit_test(test_bad_params), cmocka_unit_test(test_ethdev),
		cmocka_unit_test(test_lengths),	   cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
