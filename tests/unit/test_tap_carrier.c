/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TAP's carrier, as link events tell it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "base/util.h"
#include "net/linkmon.h"
#include "net/tap.h"

#include <poll.h>
#include <sys/utsname.h>

#define FLIPS 40u

static struct kport *open_tap(const char *name, unsigned int pairs)
{
	const struct tap_config cfg = { .name = name, .pairs = pairs };
	struct kport *kp;
	const char *why;

	assert_int_equal(tap_open(&cfg, &kp, &why), 0);
	assert_string_equal(why, "");
	return kp;
}

static struct rtnl *open_rtnl(void)
{
	struct rtnl *rt;

	assert_int_equal(rtnl_open(&rt), 0);
	return rt;
}

struct flips {
	struct linkmon *lm;
	unsigned int lower_up;
	unsigned int transitions;
};

static void on_changed(void *owner, const struct linkmon_state *state)
{
	struct flips *f = owner;
	unsigned int lower_up = state->flags & IFF_LOWER_UP;

	if (lower_up != f->lower_up)
		f->transitions++;
	f->lower_up = lower_up;
}

static void on_gone(void *owner)
{
	(void)owner;
	fail();
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Does this kernel announce a carrier change when it is asked for the link? */
static bool kernel_announces_on_request(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	assert_int_equal(uname(&u), 0);
	return sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 8));
}

/* Waits for the transition number @n; returns when it came. */
static uint64_t await_transition(struct flips *f, unsigned int n)
{
	struct pollfd pfd = { .fd = linkmon_fd(f->lm), .events = POLLIN };

	while (f->transitions < n) {
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		assert_int_equal(linkmon_dispatch(f->lm), 0);
	}
	assert_int_equal(f->transitions, n);
	return now_ns();
}

static void test_carrier_is_announced_once(void **state)
{
	static const struct linkmon_events events = { .changed = on_changed, .gone = on_gone };
	unsigned int i, flips = kernel_announces_on_request() ? FLIPS : 4;
	struct rtnl *rt = open_rtnl();
	struct kport *kp = open_tap("vnet0", 1);
	struct flips f = { 0 };
	uint64_t delay[FLIPS];

	(void)state;
	assert_int_equal(rtnl_set_up(rt, kp->ifindex, true), 0);
	assert_int_equal(linkmon_open(&f.lm, kp->ifindex, &events, &f), 0);
	assert_int_equal(kp->ops->set_carrier(kp, false), 0);
	assert_int_equal(linkmon_dispatch(f.lm), 0);
	assert_int_equal(f.transitions, 0);
	for (i = 0; i < flips; i++) {
		uint64_t start = now_ns();

		assert_int_equal(kp->ops->set_carrier(kp, i % 2 == 0), 0);
		delay[i] = await_transition(&f, i + 1) - start;
		/* setting it again tells nothing */
		assert_int_equal(kp->ops->set_carrier(kp, i % 2 == 0), 0);
	}
	/* late announcements would come within a second */
	usleep(1200000);
	assert_int_equal(linkmon_dispatch(f.lm), 0);
	assert_int_equal(f.transitions, flips);
	qsort(delay, flips, sizeof(delay[0]), compare_ns);
	print_message("carrier announced after %u us (median), %u us (worst)\n",
		      (unsigned int)(delay[flips / 2] / 1000),
		      (unsigned int)(delay[flips - 1] / 1000));
	if (kernel_announces_on_request())
		assert_true(delay[flips / 2] < 10000000u);
	linkmon_close(f.lm);
	kp->ops->close(kp);
	rtnl_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_carrier_is_announced_once),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
