/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of the peer of a device that is up, one thing after the other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "log_capture.h"

#include <errno.h>

#include "base/util.h"
#include "fake_vhost.h"
#include "port/asker.h"

#define PATIENCE_NS (60 * UINT64_C(1000000000))

struct bench {
	struct fake_vhost *b;
	sd_event *event;
	struct asker asker;
	unsigned int home;
	int result;
};

static void on_home(void *owner, int result)
{
	struct bench *t = owner;

	t->home++;
	t->result = result;
}

/* A device with three pairs that is up, of which the peer is asked in a thread, or @here. */
static void begin(struct bench *t, struct fake_vhost *b, bool here)
{
	*t = (struct bench){.b = b};
	b->device.config.pairs = 3;
	b->vhost.waits = !here;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	b->n = 0;
	assert_true(sd_event_new(&t->event) >= 0);
	t->asker = (struct asker){.device = &b->device, .tag = "v0"};
	assert_int_equal(errand_open(&t->asker.errand, t->event, on_home, t), 0);
}

static void end(struct bench *t)
{
	errand_close(t->asker.errand);
	sd_event_unref(t->event);
}

/* Waits for the answer; what the asker makes of it. */
static int come_home(struct bench *t)
{
	unsigned int before = t->home, changes;
	uint64_t deadline = now_ns() + PATIENCE_NS;

	while (t->home == before) {
		assert_true(now_ns() < deadline);
		assert_true(sd_event_run(t->event, 10000) >= 0);
	}
	return asker_home(&t->asker, t->result, &changes);
}

/* Workers let go of a ring before it is disabled, and get it after it was enabled. */
static void test_pairs(void **state)
{
	struct fake_vhost *b = *state;
	struct bench t;

	begin(&t, b, false);
	asker_want_pairs(&t.asker, 1);
	assert_int_equal(b->active_when_told, 1);
	assert_int_equal(b->n, 0);
	assert_true(asker_send(&t.asker));
	assert_int_equal(come_home(&t), 0);
	fake_vhost_assert_calls(b, 0, (enum call[]){DISABLE, DISABLE, DISABLE, DISABLE},
				(unsigned int[]){2, 3, 4, 5}, 4);
	assert_false(asker_send(&t.asker));
	b->n = 0;
	asker_want_pairs(&t.asker, 2);
	assert_true(asker_send(&t.asker));
	assert_int_equal(b->vport.active_pairs, 1);
	assert_int_equal(come_home(&t), 0);
	fake_vhost_assert_calls(b, 0, (enum call[]){ENABLE, ENABLE}, (unsigned int[]){2, 3}, 2);
	assert_int_equal(b->told_pairs, 2);
	assert_int_equal(b->active_when_told, 2);
	end(&t);
}

/* Fewer are wanted while more are asked for: nobody uses one that is about to go. */
static void test_pairs_wanted_otherwise(void **state)
{
	struct fake_vhost *b = *state;
	struct bench t;

	begin(&t, b, false);
	asker_want_pairs(&t.asker, 1);
	assert_true(asker_send(&t.asker));
	assert_int_equal(come_home(&t), 0);
	asker_want_pairs(&t.asker, 3);
	assert_true(asker_send(&t.asker));
	asker_want_pairs(&t.asker, 2);
	assert_int_equal(come_home(&t), 0);
	assert_int_equal(b->vport.active_pairs, 1);
	assert_true(asker_send(&t.asker));
	assert_int_equal(come_home(&t), 0);
	assert_int_equal(b->vport.active_pairs, 2);
	assert_int_equal(b->device.draft.active_pairs, 2);
	/* and back before its turn has come: the peer need not hear of it */
	b->n = 0;
	asker_want_pairs(&t.asker, 1);
	asker_want_pairs(&t.asker, 2);
	assert_false(asker_send(&t.asker));
	assert_int_equal(b->vport.active_pairs, 2);
	assert_int_equal(b->n, 0);
	end(&t);
}

static void test_pairs_refused(void **state)
{
	struct log_capture log;
	struct fake_vhost *b = *state;
	struct bench t;

	log_capture_begin(&log);
	begin(&t, b, false);
	asker_want_pairs(&t.asker, 1);
	assert_true(asker_send(&t.asker));
	assert_int_equal(come_home(&t), 0);
	b->n = 0;
	b->fail_at = 0;
	asker_want_pairs(&t.asker, 3);
	assert_true(asker_send(&t.asker));
	assert_int_equal(come_home(&t), 0);
	assert_int_equal(b->vport.active_pairs, 1);
	assert_false(asker_send(&t.asker)); /* not again and again */
	assert_int_equal(log_capture_lines(&log, "v0: the backend refuses to make 3 queue pairs"),
			 1);
	/* what is no answer ends the connection */
	b->n = 0;
	b->error = -ETIMEDOUT;
	asker_want_pairs(&t.asker, 2);
	assert_true(asker_send(&t.asker));
	assert_int_equal(come_home(&t), -ETIMEDOUT);
	end(&t);
	log_capture_end(&log);
}

/* Where nothing has to wait it is done at once, and comes home all the same. */
static void test_here(void **state)
{
	struct fake_vhost *b = *state;
	struct bench t;

	begin(&t, b, true);
	b->vhost.has_config = true;
	b->config.status = 0;
	asker_want(&t.asker, ASKER_CONFIG);
	assert_true(asker_send(&t.asker));
	assert_true(b->n > 0);
	assert_true(errand_is_out(t.asker.errand));
	assert_int_equal(come_home(&t), 0);
	assert_int_equal(b->vport.net_status, 0);
	/* nothing comes home that was called back, or forgotten */
	asker_want(&t.asker, ASKER_CONFIG);
	assert_true(asker_send(&t.asker));
	errand_call_back(t.asker.errand);
	sd_event_run(t.event, 10000);
	assert_int_equal(t.home, 1);
	asker_want(&t.asker, ASKER_CONFIG);
	asker_forget(&t.asker);
	assert_false(asker_send(&t.asker));
	end(&t);
}

/* What the peer tells in between is asked for next. */
static void test_news(void **state)
{
	struct fake_vhost *b = *state;
	struct bench t;

	begin(&t, b, false);
	asker_want_pairs(&t.asker, 1);
	assert_true(asker_send(&t.asker));
	b->vhost.news = VHOST_NEWS_CONFIG;
	assert_int_equal(come_home(&t), 0);
	assert_int_equal(b->vhost.news, VHOST_NEWS_NONE);
	b->n = 0;
	b->vhost.has_config = true;
	assert_true(asker_send(&t.asker));
	assert_int_equal(come_home(&t), 0);
	assert_int_equal(b->calls[0], GET_CONFIG);
	end(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_vhost_setup, fake_vhost_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pairs),	  TEST(test_pairs_wanted_otherwise),
		TEST(test_pairs_refused), TEST(test_here),
		TEST(test_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
