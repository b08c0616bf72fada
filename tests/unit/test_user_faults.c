/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front-end against a scripted peer that misbehaves, at each message of the conversation.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "scripted_peer.h"
#include "vhost/proto.h"

#define SOON_MS 50
#define LONG_MS 5000

/*
 * The first word of a ring beyond the number said is a question too, or a peer that does not
 * answer, and counts rings, would be lost at some later message.
 */
static void test_rings_beyond(void **state)
{
	struct peer *p = *state;
	unsigned int i;

	p->protocol_features = PF(MQ);
	p->queue_num = 2;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(p->v->ops->set_vring_call(p->v, i, -1), 0);
	scripted_peer_stop(p);
	assert_int_equal(p->n, 5 + 6);
	for (i = 7; i < 11; i += 2) {
		assert_int_equal(p->got[i].hdr.request, VHOST_USER_SET_VRING_CALL);
		assert_int_equal(p->got[i + 1].hdr.request, VHOST_USER_GET_FEATURES);
	}
	p->fault = CLOSE;
	p->fault_at = 7;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(p->v->ops->set_vring_call(p->v, i, -1), 0);
	assert_int_equal(p->v->ops->set_vring_call(p->v, 2, -1), -ECONNRESET);
	scripted_peer_stop(p);
}

static int await_and_hear(struct vhost *v)
{
	struct pollfd pfd = {.fd = v->fd, .events = POLLIN};

	assert_int_equal(poll(&pfd, 1, LONG_MS), 1);
	return scripted_peer_hear(v);
}

/*
 * Repeats the conversation with @fault at each of its messages that has an answer
 * (@all: at every one) and expects @err each time, with the name of a message.
 */
static void check_fault(struct peer *p, enum fault fault, int err, bool all)
{
	const struct vhost_user_msg_desc *d;
	eventfd_t cancelled;
	int steps, step, r;

	p->fault = NONE;
	scripted_peer_start(p);
	assert_int_equal(scripted_peer_converse(p->v), 0);
	scripted_peer_stop(p);
	steps = p->n;
	p->fault = fault;
	for (step = 0; step < steps; step++) {
		p->fault_at = step;
		d = proto_request(p->got[step].hdr.request);
		if (!all && !d->reply && !(p->got[step].hdr.flags & VHOST_USER_NEED_REPLY_MASK))
			continue;
		scripted_peer_start(p);
		r = scripted_peer_converse(p->v);
		if (r == 0 && fault == DOUBLE)
			r = await_and_hear(p->v);
		if (r != err)
			fail_msg("fault %d at %s: %d, not %d", fault, d->name, r, err);
		assert_true(p->v->request[0] && p->v->why[0]);
		/* whatever comes next, nothing waits and nothing is sent */
		assert_true(p->v->ops->set_vring_call(p->v, 0, -1) < 0 || fault == NACK);
		scripted_peer_stop(p);
		if (fault == CANCEL)
			assert_int_equal(eventfd_read(p->v->cancel_fd, &cancelled), 0);
	}
	p->fault_at = -1;
}

static void test_close_at_every_step(void **state)
{
	struct peer *p = *state;

	check_fault(p, CLOSE, -ECONNRESET, true);
	p->protocol_features &= ~PF(REPLY_ACK);
	check_fault(p, CLOSE, -ECONNRESET, true);
	p->features = SCRIPTED_PEER_FEATURES;
	check_fault(p, CLOSE, -ECONNRESET, true);
}

static void test_hang_at_every_step(void **state)
{
	struct peer *p = *state;

	p->v->timeout_ms = SOON_MS;
	check_fault(p, HANG, -ETIMEDOUT, true);
	p->features = SCRIPTED_PEER_FEATURES;
	check_fault(p, HANG, -ETIMEDOUT, true);
	check_fault(p, STALL, -ETIMEDOUT, false);
}

static void test_broken_answers(void **state)
{
	struct peer *p = *state;

	check_fault(p, TRUNCATE, -EPROTO, false);
	check_fault(p, TRUNCATE_HEAD, -EPROTO, false);
	check_fault(p, OVERSIZE, -EPROTO, false);
	check_fault(p, UNDERSIZE, -EPROTO, false);
	check_fault(p, WRONG_ID, -EPROTO, false);
	check_fault(p, NO_REPLY_FLAG, -EPROTO, false);
	check_fault(p, WRONG_VERSION, -EPROTO, false);
	check_fault(p, WITH_FD, -EPROTO, false);
	check_fault(p, DOUBLE, -EPROTO, false);
}

/* What is told after REPLY_ACK was agreed on may be refused, one message after the other. */
static void test_nack_at_every_step(void **state)
{
	struct peer *p = *state;
	int step, acks = 0;

	scripted_peer_start(p);
	assert_int_equal(scripted_peer_converse(p->v), 0);
	scripted_peer_stop(p);
	p->fault = NACK;
	for (step = 0; step < p->n; step++) {
		if (!(p->got[step].hdr.flags & VHOST_USER_NEED_REPLY_MASK))
			continue;
		p->fault_at = step;
		scripted_peer_start(p);
		assert_int_equal(scripted_peer_converse(p->v), -EREMOTEIO);
		assert_string_equal(p->v->request, proto_request(p->got[step].hdr.request)->name);
		scripted_peer_stop(p);
		assert_int_equal(p->n, step + 1);
		p->fault_at = -1;
		scripted_peer_start(p);
		assert_int_equal(scripted_peer_converse(p->v), 0);
		scripted_peer_stop(p);
		acks++;
	}
	assert_int_equal(acks, 19);
}

static void test_cancel_at_every_step(void **state)
{
	struct peer *p = *state;

	p->v->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(p->v->cancel_fd >= 0);
	check_fault(p, CANCEL, -ECANCELED, true);
	close_fd(&p->v->cancel_fd);
}

static void test_refused_config(void **state)
{
	struct peer *p = *state;
	uint8_t config[8] = {9, 9};
	int i;

	p->refuse_config = true;
	for (i = 0; i < 2; i++) {
		p->refuse_with_head = i;
		scripted_peer_start(p);
		assert_int_equal(p->v->ops->open(p->v), 0);
		assert_int_equal(p->v->ops->get_config(p->v, config, 0, 8), -EREMOTEIO);
		assert_string_equal(p->v->request, "GET_CONFIG");
		assert_int_equal(config[0], 9);
		scripted_peer_stop(p);
	}
}

static void test_other_config(void **state)
{
	uint8_t config[8] = {9, 9};
	struct peer *p = *state;

	p->config_shift = 1;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, 8), -EPROTO);
	assert_int_equal(config[0], 9);
	scripted_peer_stop(p);
}

/* A second answer must not pass for the answer to a second request of the same kind. */
static void test_doubled_answer(void **state)
{
	struct peer *p = *state;
	struct pollfd pfd = {.events = POLLIN};
	uint8_t config[8];

	p->fault = DOUBLE;
	p->fault_at = 6;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, 8), 0);
	pfd.fd = p->v->fd;
	assert_int_equal(poll(&pfd, 1, LONG_MS), 1);
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, 8), -EPROTO);
	scripted_peer_stop(p);
	assert_int_equal(p->n, 7);
}

static void test_wild_base(void **state)
{
	struct peer *p = *state;
	uint16_t base = 5;

	p->base = 65536;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->ops->get_vring_base(p->v, 0, &base), -EPROTO);
	assert_int_equal(base, 5);
	scripted_peer_stop(p);
}

/* Each answer comes in time, all of them do not. */
static void test_deadline(void **state)
{
	struct peer *p = *state;
	uint64_t since = now_ns();

	p->slow_ms = 20;
	p->v->deadline_ns = now_ns() + 150 * UINT64_C(1000000);
	scripted_peer_start(p);
	assert_int_equal(scripted_peer_converse(p->v), -ETIMEDOUT);
	assert_string_equal(p->v->why, "the answers take too long in all");
	assert_true(now_ns() - since >= 150 * UINT64_C(1000000));
	scripted_peer_stop(p);
	assert_in_range(p->n, 2, 9);
	/* one that takes too long by itself is called so */
	p->v->deadline_ns = now_ns() + LONG_MS * UINT64_C(1000000);
	p->v->timeout_ms = 5;
	scripted_peer_start(p);
	assert_int_equal(scripted_peer_converse(p->v), -ETIMEDOUT);
	assert_string_equal(p->v->why, "no answer in time");
	scripted_peer_stop(p);
	p->v->deadline_ns = 0;
	p->v->timeout_ms = LONG_MS;
	scripted_peer_start(p);
	assert_int_equal(scripted_peer_converse(p->v), 0);
	scripted_peer_stop(p);
}

static void test_hear(void **state)
{
	struct peer *p = *state;

	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(scripted_peer_hear(p->v), 0);
	scripted_peer_stop(p);
	p->protocol_features = PF(STATUS);
	p->fault = CLOSE;
	p->fault_at = 4;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->ops->set_status(p->v, 0), 0);
	assert_int_equal(await_and_hear(p->v), -ECONNRESET);
	assert_true(p->v->why[0] != '\0');
	scripted_peer_stop(p);
}

static void test_wild_status(void **state)
{
	struct peer *p = *state;
	uint8_t status;

	p->status = 256;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->ops->get_status(p->v, &status), -EPROTO);
	scripted_peer_stop(p);
	p->status = 15;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->ops->get_status(p->v, &status), 0);
	assert_int_equal(status, 15);
	scripted_peer_stop(p);
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, scripted_peer_setup, scripted_peer_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rings_beyond),
		TEST(test_close_at_every_step),
		TEST(test_hang_at_every_step),
		TEST(test_broken_answers),
		TEST(test_nack_at_every_step),
		TEST(test_cancel_at_every_step),
		TEST(test_refused_config),
		TEST(test_other_config),
		TEST(test_doubled_answer),
		TEST(test_wild_base),
		TEST(test_deadline),
		TEST(test_hear),
		TEST(test_wild_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
