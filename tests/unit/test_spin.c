/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a worker goes on looking and when it sleeps at once, by a clock of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/spin.h"

#define MOST 50000u

/* A pause of @ns: for how much of it the worker looks, by looks @step apart. */
static uint64_t pause_of(struct spin *s, uint64_t *now, uint64_t ns)
{
	const uint64_t begin = *now, step = 100;
	uint64_t looked = 0;

	while (looked < ns && !spin_is_over(s, begin + looked, MOST))
		looked += step;
	if (looked < ns)
		spin_sleeps(s);
	*now = begin + ns;
	spin_ends(s);
	return looked;
}

static void test_at_first(void **state)
{
	struct spin s = {0};
	uint64_t now = 1000;

	(void)state;
	assert_int_equal(pause_of(&s, &now, 30000), 30000);
	assert_int_equal(pause_of(&s, &now, 1000000), MOST);
}

/* Packets that come one by one: it does not look for them, but once in a while. */
static void test_sparse(void **state)
{
	struct spin s = {0};
	uint64_t now = 1000, looked = 0;
	unsigned int i;

	(void)state;
	for (i = 0; i < SPIN_PATIENCE; i++)
		assert_int_equal(pause_of(&s, &now, MOST + 5000), MOST);
	for (i = 0; i < 800; i++)
		looked += pause_of(&s, &now, MOST + 5000);
	assert_int_equal(looked, 800 / SPIN_TRIAL * MOST);
	/* they come thick and fast again */
	for (i = 0; i < SPIN_TRIAL; i++)
		pause_of(&s, &now, 5000);
	for (i = 0; i < 100; i++)
		assert_int_equal(pause_of(&s, &now, 5000), 5000);
}

/* Bursts with long pauses between them: within a burst it looks all the time. */
static void test_bursts(void **state)
{
	struct spin s = {0};
	uint64_t now = 1000;
	unsigned int i, k;

	(void)state;
	for (i = 0; i < 1000; i++) {
		for (k = 0; k < 2; k++)
			assert_int_equal(pause_of(&s, &now, 2000), 2000);
		assert_int_equal(pause_of(&s, &now, 5 * 1000 * 1000), MOST);
	}
}

/* It is woken for nothing, and sleeps on: that is one pause. */
static void test_woken_for_nothing(void **state)
{
	struct spin s = {0};
	uint64_t now = 1000;
	unsigned int i;

	(void)state;
	while (!spin_is_over(&s, now, MOST))
		now += 100;
	for (i = 0; i < 100; i++, now += 1000) {
		assert_true(spin_is_over(&s, now, MOST));
		spin_sleeps(&s);
	}
	spin_ends(&s);
	assert_int_equal(pause_of(&s, &now, 3 * MOST), MOST);
}

/* Nothing is to be spent on looking. */
static void test_none(void **state)
{
	struct spin s = {0};

	(void)state;
	assert_true(spin_is_over(&s, 5, 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_first), cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_bursts),	 cmocka_unit_test(test_woken_for_nothing),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
