/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The channel on which a back-end speaks first. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "scripted_peer.h"

#define LONG_MS 5000
#define NEWS	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG

/* Opens, writes @len bytes of @hdr (and a descriptor) to the channel, and hears. */
static int hear_message(struct peer *p, const struct vhost_user_header *hdr, size_t len,
			bool with_fd, enum vhost_news *news)
{
	const struct iovec iov = {(void *)hdr, len};
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	const int fd = STDERR_FILENO;
	uint8_t config[2];

	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_true(p->v->backend_fd >= 0);
	/* when this has its answer, the descriptor is there */
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, sizeof(config)), 0);
	assert_true(p->channel >= 0);
	assert_int_equal(fdmsg_send(p->channel, &iov, 1, &fd, with_fd, &wait), 0);
	return p->v->ops->hear(p->v, news);
}

static void test_config_change(void **state)
{
	struct vhost_user_header hdr = {.request = NEWS, .flags = VHOST_USER_VERSION};
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	struct peer *p = *state;
	enum vhost_news news;
	uint64_t result;

	assert_int_equal(hear_message(p, &hdr, sizeof(hdr), false, &news), 0);
	assert_int_equal(news, VHOST_NEWS_CONFIG);
	assert_int_equal(scripted_peer_hear(p->v), 0);
	scripted_peer_stop(p);
	/* with an answer */
	hdr.flags |= VHOST_USER_NEED_REPLY_MASK;
	assert_int_equal(hear_message(p, &hdr, sizeof(hdr), false, &news), 0);
	assert_int_equal(news, VHOST_NEWS_CONFIG);
	assert_int_equal(fdmsg_receive(p->channel, &hdr, sizeof(hdr), NULL, &wait), 0);
	assert_int_equal(hdr.request, NEWS);
	assert_int_equal(hdr.flags, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK);
	assert_int_equal(hdr.size, sizeof(result));
	assert_int_equal(fdmsg_receive(p->channel, &result, sizeof(result), NULL, &wait), 0);
	assert_int_equal(result, 0);
	scripted_peer_stop(p);
}

/* A peer with one thread waits for our answer before it gives its own: neither waits long. */
static void test_asked_while_asking(void **state)
{
	struct peer *p = *state;
	enum vhost_news news;
	uint8_t config[2];

	p->fault = ASK_FIRST;
	p->fault_at = 6;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->n, 6);
	p->v->timeout_ms = LONG_MS / 5;
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, sizeof(config)), 0);
	/* the news is kept */
	assert_int_equal(p->v->ops->hear(p->v, &news), 0);
	assert_int_equal(news, VHOST_NEWS_CONFIG);
	assert_int_equal(scripted_peer_hear(p->v), 0);
	scripted_peer_stop(p);
}

/* What may not be said there may not be said then either. */
static void test_wrong_while_asking(void **state)
{
	const struct vhost_user_header hdr = {
		.request = VHOST_USER_BACKEND_IOTLB_MSG,
		.flags = VHOST_USER_VERSION,
	};
	const struct iovec iov = {(void *)&hdr, sizeof(hdr)};
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	struct peer *p = *state;
	uint8_t config[2];

	p->fault = HANG;
	p->fault_at = 7;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, sizeof(config)), 0);
	assert_int_equal(fdmsg_send(p->channel, &iov, 1, NULL, 0, &wait), 0);
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, sizeof(config)), -EPROTO);
	assert_string_equal(p->v->request, "back-end channel");
	/* questions and answers are out of step now */
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, sizeof(config)), -EPROTO);
	assert_string_equal(p->v->why, "an earlier request failed");
	scripted_peer_stop(p);
}

/* A peer that never stops talking there is not waited for longer than another. */
static void test_talk_while_asking(void **state)
{
	const struct vhost_user_header hdr = {.request = NEWS, .flags = VHOST_USER_VERSION};
	struct peer *p = *state;
	struct vhost_user_header many[4096];
	const struct iovec iov = {many, sizeof(many)};
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	uint8_t config[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = hdr;
	p->fault = HANG;
	p->fault_at = 7;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, sizeof(config)), 0);
	assert_int_equal(fdmsg_send(p->channel, &iov, 1, NULL, 0, &wait), 0);
	p->v->timeout_ms = 1; /* over before all of them are heard, or just after */
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, sizeof(config)), -ETIMEDOUT);
	scripted_peer_stop(p);
}

/* Who asks for an answer and leaves has told the news all the same. */
static void test_answer_not_awaited(void **state)
{
	const struct vhost_user_header hdr = {
		.request = NEWS,
		.flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK,
	};
	const struct iovec iov = {(void *)&hdr, sizeof(hdr)};
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	struct peer *p = *state;
	enum vhost_news news;

	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(fdmsg_send(p->channel, &iov, 1, NULL, 0, &wait), 0);
	close_fd(&p->channel);
	assert_int_equal(p->v->ops->hear(p->v, &news), 0);
	assert_int_equal(news, VHOST_NEWS_CONFIG);
	assert_int_equal(p->v->backend_fd, -1);
	scripted_peer_stop(p);
}

static void test_channel_closed(void **state)
{
	struct peer *p = *state;

	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	close_fd(&p->channel);
	assert_int_equal(scripted_peer_hear(p->v), 0);
	assert_int_equal(p->v->backend_fd, -1);
	assert_int_equal(scripted_peer_hear(p->v), 0);
	scripted_peer_stop(p);
}

static void test_channel_needs_config(void **state)
{
	struct peer *p = *state;

	p->protocol_features = PF(BACKEND_REQ);
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), 0);
	assert_int_equal(p->v->backend_fd, -1);
	scripted_peer_stop(p);
	assert_int_equal(p->channel, -1);
}

static void test_wrong_news(void **state)
{
	static const struct {
		struct vhost_user_header hdr;
		size_t len;
		bool with_fd;
		int err;
	} cases[] = {
		{{NEWS, 0, 0}, 12, false, -EPROTO},
		{{NEWS, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, 0}, 12, false, -EPROTO},
		{{NEWS, VHOST_USER_VERSION, 8}, 12, false, -EPROTO},
		{{NEWS, VHOST_USER_VERSION, UINT32_MAX}, 12, false, -EPROTO},
		{{NEWS, VHOST_USER_VERSION, 0}, 12, true, -EPROTO},
		{{VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION, 32}, 12, false, -EPROTO},
		{{VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG, VHOST_USER_VERSION, 24},
		 12,
		 false,
		 -EPROTO},
		{{0, VHOST_USER_VERSION, 0}, 12, false, -EPROTO},
		{{UINT32_MAX, VHOST_USER_VERSION, 0}, 12, false, -EPROTO},
		{{NEWS, VHOST_USER_VERSION, 0}, 7, false, -ETIMEDOUT},
	};
	struct peer *p = *state;
	enum vhost_news news;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			hear_message(p, &cases[i].hdr, cases[i].len, cases[i].with_fd, &news),
			cases[i].err);
		assert_int_equal(news, VHOST_NEWS_NONE);
		assert_string_equal(p->v->request, "back-end channel");
		assert_true(p->v->why[0]);
		scripted_peer_stop(p);
	}
	/* an answer that was not agreed on */
	p->protocol_features = PF(BACKEND_REQ) | PF(CONFIG);
	assert_int_equal(
		hear_message(p,
			     &(struct vhost_user_header){
				     NEWS, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK, 0},
			     12, false, &news),
		-EPROTO);
	scripted_peer_stop(p);
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, scripted_peer_setup, scripted_peer_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config_change),
		TEST(test_asked_while_asking),
		TEST(test_wrong_while_asking),
		TEST(test_talk_while_asking),
		TEST(test_answer_not_awaited),
		TEST(test_channel_closed),
		TEST(test_channel_needs_config),
		TEST(test_wrong_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
