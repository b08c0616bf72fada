/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of counters and gauges is complete, and its names fit for every output. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "base/util.h"
#include "daemon/metric.h"

/* Whoever adds a counter to the engine adds its row, once. */
static void test_every_counter_has_a_row(void **state)
{
	size_t offset, i;
	(void)state;

	for (offset = 0; offset < sizeof(struct lane_counters); offset += sizeof(uint64_t)) {
		bool drop = offset >= offsetof(struct lane_counters, drops) &&
			    offset < offsetof(struct lane_counters, drops[LANE_DROPS]);
		unsigned int rows = 0;

		for (i = 0; i < metrics_count; i++) {
			if (metrics[i].scope != METRIC_LANE || metrics[i].offset != offset)
				continue;
			rows++;
			assert_int_equal(metrics[i].drop, drop);
			assert_int_equal(metrics[i].type, METRIC_COUNTER);
		}
		if (rows != 1)
			fail_msg("%u rows for the counter at %zu", rows, offset);
	}
}

static bool is_word(const char *s)
{
	if (!islower((unsigned char)*s))
		return false;
	while (islower((unsigned char)*s) || isdigit((unsigned char)*s) || *s == '_')
		s++;
	return !*s;
}

static bool ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && !strcmp(s + a - b, end);
}

static void test_names(void **state)
{
	size_t i, j;
	(void)state;

	assert_true(metrics_count > 10);
	for (i = 0; i < metrics_count; i++) {
		const struct metric *m = &metrics[i];

		assert_true(is_word(m->name));
		/* what an OpenMetrics parser expects, which appends _total itself */
		assert_true(ends_with(m->name, m->unit));
		assert_false(ends_with(m->name, "_total"));
		for (j = 0; j < i; j++)
			assert_string_not_equal(metrics[j].name, m->name);
	}
}

static void test_help(void **state)
{
	size_t i;
	(void)state;

	for (i = 0; i < metrics_count; i++) {
		const char *help = metrics[i].help;

		assert_true(strlen(help) > 5);
		assert_false(ends_with(help, "."));
		assert_null(strpbrk(help, "\n\\\""));
	}
}

/* Each can be read: a lane's by its place, any other by its function. */
static void test_where(void **state)
{
	size_t i;
	(void)state;

	for (i = 0; i < metrics_count; i++) {
		const struct metric *m = &metrics[i];

		assert_int_equal(m->scope == METRIC_LANE, m->read == NULL);
		if (m->scope == METRIC_BRIDGE && m->drop) /* the name says of which direction */
			assert_int_not_equal(m->direction, METRIC_BOTH);
		assert_int_equal(metric_of_lane(m, METRIC_RX) || metric_of_lane(m, METRIC_TX),
				 m->scope == METRIC_LANE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_counter_has_a_row),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
