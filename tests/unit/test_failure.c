/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reasons why there is no connection: which of them are logged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "log_capture.h"

#include <errno.h>

#include "port/failure.h"

struct bench {
	struct failure_log f;
	struct log_capture log;
};

/* The log holds back what is the same within a second, so each part has a @tag of its own. */
static void begin(struct bench *b, const char *tag)
{
	*b = (struct bench){.f = {.tag = tag, .path = "/tmp/sock", .queue_size = 256}};
	log_capture_begin(&b->log);
}

/* Fails for reason @i; how many lines there are of it now. */
static unsigned int meet(struct bench *b, unsigned int i)
{
	char why[32];
	const struct vhost v = {.request = "GET_FEATURES", .why = why};

	snprintf(why, sizeof(why), "reason %u.", i);
	failure_log(&b->f, &v, -EPROTO);
	return log_capture_lines(&b->log, why);
}

static void test_each_once(void **state __attribute__((unused)))
{
	struct bench b;
	unsigned int i, round;

	begin(&b, "v0");
	for (round = 0; round < 3; round++)
		for (i = 0; i < FAILURE_REASONS; i++)
			assert_int_equal(meet(&b, i), 1);
	failure_forget(&b.f);
	b.f.tag = "v1";
	assert_int_equal(meet(&b, 0), 2);
	log_capture_end(&b.log);
}

/* One more than are kept is logged as well; the one not met for longest makes room. */
static void test_many(void **state __attribute__((unused)))
{
	struct bench b;
	unsigned int i;

	begin(&b, "v2");
	for (i = 0; i < FAILURE_REASONS; i++)
		meet(&b, i);
	meet(&b, 0);
	assert_int_equal(meet(&b, FAILURE_REASONS), 1);
	assert_int_equal(meet(&b, FAILURE_REASONS), 1);
	assert_int_equal(meet(&b, 0), 1);
	b.f.tag = "v3";
	assert_int_equal(meet(&b, 0), 1);
	assert_int_equal(meet(&b, 1), 2); /* was forgotten for it */
	assert_int_equal(b.f.n, FAILURE_REASONS);
	log_capture_end(&b.log);
}

static void test_not_logged(void **state __attribute__((unused)))
{
	const struct vhost v = {.request = "", .why = ""};
	struct bench b;

	begin(&b, "v4");
	failure_log(&b.f, &v, -ECANCELED);
	assert_int_equal(b.f.n, 0);
	/* whichever of the two it is, it is not there yet */
	failure_log(&b.f, &v, -ENOENT);
	failure_log(&b.f, &v, -ECONNREFUSED);
	assert_int_equal(log_capture_lines(&b.log, "waiting for the backend at /tmp/sock"), 1);
	/* a file that nobody listens on may be in the way; an abstract name has none */
	assert_int_equal(log_capture_lines(&b.log, "stale socket file"), 0);
	b.f.tag = "v5";
	failure_forget(&b.f);
	failure_log(&b.f, &v, -ECONNREFUSED);
	failure_log(&b.f, &v, -ECONNREFUSED);
	assert_int_equal(log_capture_lines(&b.log, "remove the stale socket file"), 1);
	b.f.tag = "v6";
	b.f.path = "@sock";
	failure_forget(&b.f);
	failure_log(&b.f, &v, -ECONNREFUSED);
	assert_int_equal(log_capture_lines(&b.log, "at @sock (Connection refused)"), 1);
	log_capture_end(&b.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_not_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
