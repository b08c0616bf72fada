/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watch over an interface that moves while descriptors run out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "daemon/watch.h"
#include "log_capture.h"
#include "net/netns.h"
#include "net/tap.h"

#include <sys/mount.h>
#include <sys/resource.h>

/* More than following an interface takes; how many that is, is not for the test to know. */
#define DESCRIPTORS_ENOUGH 20u

struct bench {
	sd_event *event;
	struct kport *kp;
	struct rtnl *rtnl;
	struct watch *watch;
	struct linkmon_state link;
	unsigned int moves, settled;
	bool seen;
};

static void on_changed(void *owner, const struct linkmon_state *state)
{
	struct bench *b = owner;

	b->link = *state;
}

static void on_settled(void *owner, bool seen)
{
	struct bench *b = owner;

	b->settled++;
	b->seen = seen;
}

static void on_moved(void *owner, struct rtnl *rtnl)
{
	struct bench *b = owner;

	rtnl_close(b->rtnl);
	b->rtnl = rtnl;
	b->moves++;
}

static void on_lost(void *owner)
{
	(void)owner;
	fail_msg("the interface is not lost");
}

static const struct watch_events events = {
	.changed = on_changed,
	.settled = on_settled,
	.moved = on_moved,
	.lost = on_lost,
};

static void run_until_settled(struct bench *b)
{
	unsigned int before = b->settled;

	while (b->settled == before)
		assert_true(sd_event_run(b->event, 5000000) > 0);
}

static void bench_open(struct bench *b)
{
	const struct tap_config config = { .name = "vnet0", .pairs = 1 };

	memset(b, 0, sizeof(*b));
	assert_true(sd_event_new(&b->event) >= 0);
	assert_int_equal(rtnl_open(&b->rtnl), 0);
	assert_int_equal(tap_open(&config, &b->kp, NULL), 0);
	assert_int_equal(watch_open(&b->watch, b->event, b->kp, NULL, &events, b), 0);
	run_until_settled(b);
	assert_true(b->seen);
}

static void bench_close(struct bench *b)
{
	watch_close(b->watch);
	b->kp->ops->close(b->kp);
	rtnl_close(b->rtnl);
	sd_event_unref(b->event);
}

/* Runs the loop once the interface has moved, with @n descriptors to be had. */
static void run_with_descriptors(struct bench *b, unsigned int n)
{
	struct rlimit limit, low;
	int lowest = dup(STDERR_FILENO);

	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)lowest + n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	run_until_settled(b);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* All of it is where it was: the port too, which says that the interface is elsewhere. */
static void assert_nothing_moved(struct bench *b)
{
	int netns = -1;

	assert_int_equal(b->moves, 0);
	assert_int_equal(b->kp->ops->find(b->kp, &netns), 1);
	close(netns);
}

/* Link events, netlink requests and the port are of the interface's new namespace. */
static void assert_all_moved(struct bench *b)
{
	struct rtnl_info info;

	assert_int_equal(b->moves, 1);
	assert_int_equal(rtnl_get(b->rtnl, b->kp->ifindex, &info), 0);
	assert_string_equal(info.name, "vnet0");
	assert_int_equal(system("ip -n there link set vnet0 mtu 1234"), 0);
	while (b->link.mtu != 1234)
		run_until_settled(b);
	assert_true(b->seen);
}

/* Whatever fails on the way, the interface is then followed as a whole. */
static void test_descriptors_run_out(void **state)
{
	struct log_capture log;
	unsigned int n, failed = 0;
	struct bench b;

	(void)state;
	log_capture_begin(&log);
	for (n = 0; n < DESCRIPTORS_ENOUGH; n++) {
		assert_int_equal(netns_new(NULL), 0);
		bench_open(&b);
		assert_int_equal(system("ip netns add there"), 0);
		assert_int_equal(system("ip link set vnet0 netns there"), 0);
		run_with_descriptors(&b, n);
		if (b.seen)
			n = DESCRIPTORS_ENOUGH;
		else
			assert_nothing_moved(&b);
		failed += !b.seen;
		while (!b.seen) /* it is tried again each second */
			run_until_settled(&b);
		assert_all_moved(&b);
		bench_close(&b);
		assert_int_equal(system("ip netns del there"), 0);
	}
	log_capture_end(&log);
	assert_true(failed >= 3); /* a way home and two sockets at least */
	assert_int_equal(n, DESCRIPTORS_ENOUGH + 1);
}

/* Names of namespaces that only this process sees. */
static int own_names(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	if (system("mkdir -p " NETNS_DIR) != 0)
		return -1;
	return mount("names", NETNS_DIR, "tmpfs", 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_descriptors_run_out),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, own_names, NULL);
}
