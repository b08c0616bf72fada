/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "port/status.h"

#define FAILED	    VIRTIO_CONFIG_S_FAILED
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

static const uint8_t way_up[] = {STATUS_RESET, STATUS_ACKNOWLEDGE, STATUS_DRIVER,
				 STATUS_FEATURES_OK, STATUS_DRIVER_OK};
#define STEPS (sizeof(way_up) / sizeof(way_up[0]))

static void test_way_up(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < STEPS; i++)
		for (k = 1; k < STEPS; k++)
			assert_int_equal(status_may_follow(way_up[i], way_up[k]), k == i + 1);
}

static void test_reset_from_everywhere(void **state)
{
	unsigned int from;

	(void)state;
	for (from = 0; from < 256; from++)
		assert_true(status_may_follow((uint8_t)from, STATUS_RESET));
}

static void test_failed(void **state)
{
	size_t i;

	(void)state;
	assert_false(status_may_follow(STATUS_RESET, FAILED));
	for (i = 1; i < STEPS; i++) {
		assert_true(status_may_follow(way_up[i], way_up[i] | FAILED));
		assert_false(status_may_follow(way_up[i], FAILED));
	}
}

/* Nothing but a reset leads out of these. */
static void test_dead_ends(void **state)
{
	static const uint8_t ends[] = {FAILED, NEEDS_RESET};
	size_t i, k, e;

	(void)state;
	for (e = 0; e < 2; e++)
		for (i = 0; i < STEPS; i++)
			for (k = 1; k < STEPS; k++) {
				assert_false(status_may_follow(way_up[i] | ends[e], way_up[k]));
				assert_false(status_may_follow(way_up[i] | ends[e],
							       way_up[k] | ends[e]));
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_way_up), cmocka_unit_test(test_reset_from_everywhere),
		cmocka_unit_test(test_failed), cmocka_unit_test(test_dead_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
