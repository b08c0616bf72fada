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
	*now = begin + ns;
	spin_ends(s, *now, MOST);
	return looked;
}

static void test_at_first(void **state)
{
	struct spin s = { 0 };
	uint64_t now = 1000;

	(void)state;
	assert_int_equal(pause_of(&s, &now, 30000), 30000);
	assert_int_equal(pause_of(&s, &now, 1000000), MOST);
}

/* Packets that come one by one: it does not look for them, after some. */
static void test_sparse(void **state)
{
	struct spin s = { 0 };
	uint64_t now = 1000;
	unsigned int i;

	(void)state;
	for (i = 0; pause_of(&s, &now, 60 * 1000 * 1000) > 0; i++)
		assert_in_range(i, 0, 10);
	for (i = 0; i < 100; i++)
		assert_int_equal(pause_of(&s, &now, MOST + 5000), 0);
	/* they come thick and fast again */
	for (i = 0; pause_of(&s, &now, 5000) == 0; i++)
		assert_in_range(i, 0, 10);
	assert_int_equal(pause_of(&s, &now, 5000), 5000);
}

/* Bursts with long pauses between them: within a burst it looks all the time. */
static void test_bursts(void **state)
{
	struct spin s = { 0 };
	uint64_t now = 1000;
	unsigned int i, k;

	(void)state;
	for (i = 0; i < 1000; i++) {
		for (k = 0; k < 20; k++)
			assert_int_equal(pause_of(&s, &now, 2000), 2000);
		assert_int_equal(pause_of(&s, &now, 5 * 1000 * 1000), MOST);
	}
}

/* Nothing is to be spent on looking. */
static void test_none(void **state)
{
	struct spin s = { 0 };

	(void)state;
	assert_true(spin_is_over(&s, 5, 0));
	spin_ends(&s, 7, 0);
	assert_true(spin_is_over(&s, 9, 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_first),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
