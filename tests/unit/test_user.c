/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front-end against a scripted peer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "scripted_peer.h"
#include "vhost/proto.h"
#include "vhost/user.h"

#define SOON_MS 50
#define LONG_MS 5000

#define F_PROTOCOL BIT(VHOST_USER_F_PROTOCOL_FEATURES)
#define F_DEVICE   SCRIPTED_PEER_FEATURES
#define PF_OURS                                                                                    \
	(PF(MQ) | PF(RARP) | PF(REPLY_ACK) | PF(NET_MTU) | PF(BACKEND_REQ) | PF(CONFIG) |          \
	 PF(STATUS))

/* ---- the front-end's whole conversation ---- */

static int set_up_rings(struct vhost *v)
{
	struct vhost_ring ring = {.num = 256, .desc = 0x1000, .avail = 0x2000, .used = 0x3000};
	int r = 0;

	ring.kick_fd = STDERR_FILENO;
	for (ring.index = 0; r == 0 && ring.index < 2; ring.index++)
		r = v->ops->set_vring(v, &ring);
	for (ring.index = 0; r == 0 && ring.index < 2; ring.index++)
		r = v->ops->set_vring_enable(v, ring.index, true);
	return r;
}

static int stop_rings(struct vhost *v)
{
	uint16_t base[2] = {0};
	int r = v->ops->get_vring_base(v, 0, &base[0]);

	if (r == 0)
		r = v->ops->get_vring_base(v, 1, &base[1]);
	if (r == 0 && (base[0] != 77 || base[1] != 77))
		r = -EILSEQ;
	return r;
}

/* What may be said once the device runs. */
static int say_more(struct vhost *v)
{
	static const uint8_t mac[6] = { 2, 3, 4, 5, 6, 7 };
	uint8_t status;
	int r = v->ops->get_status(v, &status);

	if (r == 0 || r == -EOPNOTSUPP)
		r = v->ops->announce(v, mac);
	return r == -EOPNOTSUPP ? 0 : r;
}

static int converse(struct vhost *v)
{
	const struct vhost_region regions[2] = {
		{0x10000, 0x4000, 0x7f0000000000, 0, STDERR_FILENO},
		{0x20000, 0x8000, 0x7f0000100000, 0x4000, STDERR_FILENO},
	};
	uint8_t config[10] = {0};
	int r = v->ops->open(v);

	if (r == 0 && v->has_config)
		r = v->ops->get_config(v, config, 2, sizeof(config));
	if (r == 0 && v->has_config && (config[0] != 2 || config[9] != 11))
		r = -EILSEQ;
	if (r == 0)
		r = v->ops->set_vring_call(v, 0, STDERR_FILENO);
	if (r == 0)
		r = v->ops->set_vring_call(v, 1, -1);
	if (r == 0)
		r = v->ops->set_features(v, F_DEVICE & v->features);
	if (r == 0)
		r = v->ops->set_mtu(v, 1500);
	if (r == 0)
		r = v->ops->set_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (r == 0)
		r = v->ops->set_mem_table(v, regions, ARRAY_SIZE(regions));
	if (r == 0)
		r = set_up_rings(v);
	if (r == 0)
		r = v->ops->set_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
	if (r == 0)
		r = say_more(v);
	return r ? r : stop_rings(v);
}

static void check_order(const struct peer *p, const uint32_t *order, int n)
{
	int i;

	for (i = 0; i < n && i < p->n; i++)
		assert_string_equal(proto_request(p->got[i].hdr.request)->name,
				    proto_request(order[i])->name);
	assert_int_equal(p->n, n);
}

static const struct message *find(const struct peer *p, uint32_t id)
{
	int i;

	for (i = 0; i < p->n; i++)
		if (p->got[i].hdr.request == id)
			return &p->got[i];
	fail_msg("%s was not sent", proto_request(id)->name);
	return NULL;
}

#define RING                                                                                       \
	VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE, VHOST_USER_SET_VRING_ADDR,            \
		VHOST_USER_SET_VRING_KICK

static void test_all_offered(void **state)
{
	static const uint32_t order[] = {
		VHOST_USER_SET_OWNER,
		VHOST_USER_GET_FEATURES,
		VHOST_USER_GET_PROTOCOL_FEATURES,
		VHOST_USER_SET_PROTOCOL_FEATURES,
		VHOST_USER_GET_QUEUE_NUM,
		VHOST_USER_SET_BACKEND_REQ_FD,
		VHOST_USER_GET_CONFIG,
		VHOST_USER_SET_VRING_CALL,
		VHOST_USER_SET_VRING_CALL,
		VHOST_USER_SET_FEATURES,
		VHOST_USER_NET_SET_MTU,
		VHOST_USER_SET_STATUS,
		VHOST_USER_SET_MEM_TABLE,
		RING,
		RING,
		VHOST_USER_SET_VRING_ENABLE,
		VHOST_USER_SET_VRING_ENABLE,
		VHOST_USER_SET_STATUS,
		VHOST_USER_GET_STATUS,
		VHOST_USER_SEND_RARP,
		VHOST_USER_GET_VRING_BASE,
		VHOST_USER_GET_VRING_BASE,
	};
	struct peer *p = *state;
	struct vhost *v = p->v;

	p->features |= BIT(VHOST_F_LOG_ALL);
	p->queue_num = 8;
	scripted_peer_start(p);
	assert_int_equal(converse(v), 0);
	assert_true(v->features == F_DEVICE);
	assert_int_equal(v->max_pairs, 8);
	assert_true(v->has_status && v->has_config);
	assert_int_equal(scripted_peer_hear(v), 0);
	scripted_peer_stop(p);
	check_order(p, order, ARRAY_SIZE(order));
	assert_true(p->acked == PF_OURS);
	assert_true(v->features == 0 && v->max_pairs == 0 && !v->has_status && !v->has_config);
}

static void test_payloads(void **state)
{
	const struct message *m;
	struct peer *p = *state;

	scripted_peer_start(p);
	assert_int_equal(converse(p->v), 0);
	scripted_peer_stop(p);
	assert_true(find(p, VHOST_USER_SET_FEATURES)->payload.u64 == (F_DEVICE | F_PROTOCOL));
	assert_int_equal(find(p, VHOST_USER_NET_SET_MTU)->payload.u64, 1500);
	m = find(p, VHOST_USER_SET_MEM_TABLE);
	assert_int_equal(m->nfds, 2);
	assert_int_equal(m->hdr.size, 8 + 2 * 32);
	assert_int_equal(m->payload.memory.nregions, 2);
	assert_int_equal(m->payload.memory.regions[1].guest_phys_addr, 0x20000);
	assert_int_equal(m->payload.memory.regions[1].memory_size, 0x8000);
	assert_int_equal(m->payload.memory.regions[1].mmap_offset, 0x4000);
	m = find(p, VHOST_USER_SET_VRING_CALL);
	assert_int_equal(m->nfds, 1);
	assert_int_equal(m->payload.u64, 0);
	assert_int_equal(m[1].nfds, 0);
	assert_int_equal(m[1].payload.u64, 1 | VHOST_USER_VRING_NOFD_MASK);
	m = find(p, VHOST_USER_SET_VRING_ADDR);
	assert_int_equal(m->payload.addr.desc_user_addr, 0x1000);
	assert_int_equal(m->payload.addr.avail_user_addr, 0x2000);
	assert_int_equal(m->payload.addr.used_user_addr, 0x3000);
	assert_int_equal(find(p, VHOST_USER_SET_VRING_KICK)->nfds, 1);
	assert_int_equal(find(p, VHOST_USER_SET_VRING_NUM)->payload.state.num, 256);
	assert_int_equal(find(p, VHOST_USER_SET_VRING_ENABLE)->payload.state.num, 1);
	m = find(p, VHOST_USER_GET_CONFIG);
	assert_int_equal(m->hdr.size, 12 + 10);
	assert_memory_equal(&find(p, VHOST_USER_SEND_RARP)->payload.u64, "\2\3\4\5\6\7\0\0", 8);
}

static void test_nothing_offered(void **state)
{
	static const uint32_t order[] = {
		VHOST_USER_SET_OWNER,
		VHOST_USER_GET_FEATURES,
		VHOST_USER_SET_VRING_CALL,
		VHOST_USER_SET_VRING_CALL,
		VHOST_USER_SET_FEATURES,
		VHOST_USER_SET_MEM_TABLE,
		RING,
		RING,
		VHOST_USER_GET_VRING_BASE,
		VHOST_USER_GET_VRING_BASE,
	};
	struct peer *p = *state;
	uint8_t config[4];

	p->features = F_DEVICE;
	scripted_peer_start(p);
	assert_int_equal(converse(p->v), 0);
	assert_int_equal(p->v->max_pairs, 1);
	assert_false(p->v->has_status || p->v->has_config);
	assert_int_equal(p->v->ops->get_config(p->v, config, 0, 4), -EOPNOTSUPP);
	scripted_peer_stop(p);
	check_order(p, order, ARRAY_SIZE(order));
	assert_true(find(p, VHOST_USER_SET_FEATURES)->payload.u64 == F_DEVICE);
}

/* Each protocol feature alone and none at all: the peer's check finds what may not be sent. */
static void test_each_protocol_feature(void **state)
{
	struct peer *p = *state;
	int bit;

	for (bit = -1; bit < 64; bit++) {
		p->protocol_features = bit < 0 ? 0 : BIT(bit);
		scripted_peer_start(p);
		assert_int_equal(converse(p->v), 0);
		scripted_peer_stop(p);
		assert_true(p->acked == (p->protocol_features & PF_OURS));
		assert_true(find(p, VHOST_USER_SET_FEATURES)->payload.u64 & F_PROTOCOL);
	}
}

static void test_queue_num(void **state)
{
	static const uint64_t huge[] = {128, 129, 256, UINT64_MAX};
	struct peer *p = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(huge); i++) {
		p->queue_num = huge[i];
		scripted_peer_start(p);
		assert_int_equal(p->v->ops->open(p->v), 0);
		assert_int_equal(p->v->max_pairs, 128);
		scripted_peer_stop(p);
	}
	p->queue_num = 0;
	scripted_peer_start(p);
	assert_int_equal(p->v->ops->open(p->v), -EPROTO);
	assert_string_equal(p->v->request, "GET_QUEUE_NUM");
	assert_true(p->v->why[0] != '\0');
	scripted_peer_stop(p);
}

/* ---- misbehaviour ---- */

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
	assert_int_equal(converse(p->v), 0);
	scripted_peer_stop(p);
	steps = p->n;
	p->fault = fault;
	for (step = 0; step < steps; step++) {
		p->fault_at = step;
		d = proto_request(p->got[step].hdr.request);
		if (!all && !d->reply && !(p->got[step].hdr.flags & VHOST_USER_NEED_REPLY_MASK))
			continue;
		scripted_peer_start(p);
		r = converse(p->v);
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
	p->features = F_DEVICE;
	check_fault(p, CLOSE, -ECONNRESET, true);
}

static void test_hang_at_every_step(void **state)
{
	struct peer *p = *state;

	p->v->timeout_ms = SOON_MS;
	check_fault(p, HANG, -ETIMEDOUT, true);
	p->features = F_DEVICE;
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
	assert_int_equal(converse(p->v), 0);
	scripted_peer_stop(p);
	p->fault = NACK;
	for (step = 0; step < p->n; step++) {
		if (!(p->got[step].hdr.flags & VHOST_USER_NEED_REPLY_MASK))
			continue;
		p->fault_at = step;
		scripted_peer_start(p);
		assert_int_equal(converse(p->v), -EREMOTEIO);
		assert_string_equal(p->v->request, proto_request(p->got[step].hdr.request)->name);
		scripted_peer_stop(p);
		assert_int_equal(p->n, step + 1);
		p->fault_at = -1;
		scripted_peer_start(p);
		assert_int_equal(converse(p->v), 0);
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

/* Requests that no message can carry end here: the peer sees the handshake and no more. */
static void test_own_mistakes(void **state)
{
	struct vhost_region region[9] = {{.memory_size = 4096, .fd = STDERR_FILENO}};
	struct peer *p = *state;
	struct vhost *v = p->v;
	uint8_t config[300];

	assert_int_equal(v->ops->set_features(v, 0), -ENOTCONN);
	assert_int_equal(scripted_peer_hear(v), -ENOTCONN);
	scripted_peer_start(p);
	assert_int_equal(v->ops->open(v), 0);
	assert_int_equal(v->ops->set_features(v, BIT(VIRTIO_NET_F_CTRL_VQ)), -EINVAL);
	assert_int_equal(v->ops->set_mem_table(v, region, 0), -EINVAL);
	assert_int_equal(v->ops->set_mem_table(v, region, 9), -EINVAL);
	assert_int_equal(v->ops->set_vring_call(v, 256, STDERR_FILENO), -EINVAL);
	assert_int_equal(v->ops->get_config(v, config, 0, 257), -EINVAL);
	assert_int_equal(v->ops->get_config(v, config, 0, 0), -EINVAL);
	assert_int_equal(v->ops->get_config(v, config, UINT32_MAX, 2), -EINVAL);
	/* not before VIRTIO_NET_F_MTU is acked */
	assert_int_equal(v->ops->set_mtu(v, 1500), 0);
	scripted_peer_stop(p);
	assert_int_equal(p->n, 6);
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

/* A connection that the peer made is taken over, and the path left alone. */
static void test_accepted(void **state)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	struct peer *p = *state;
	struct vhost *v = vhost_user_new("/nonexistent/sock", LONG_MS, -1);

	scripted_peer_start(p);
	v->accepted_fd = fdmsg_connect(p->path, SOCK_STREAM, &wait);
	assert_true(v->accepted_fd >= 0);
	assert_int_equal(v->ops->open(v), 0);
	assert_int_equal(v->accepted_fd, -1);
	v->ops->close(v);
	scripted_peer_stop(p);
	assert_int_equal(v->ops->open(v), -ENOENT);
	vhost_user_free(v);
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

static void test_nobody_there(void **state)
{
	struct peer *p = *state;
	struct vhost *v = vhost_user_new("/nonexistent/sock", LONG_MS, -1);

	assert_int_equal(v->ops->open(v), -ENOENT);
	assert_string_equal(v->request, "connect");
	vhost_user_free(v);
	assert_int_equal(p->v->ops->open(p->v), -ECONNREFUSED);
	assert_true(p->v->why[0] != '\0');
	v = vhost_user_new("/dev/null", LONG_MS, -1);
	assert_int_equal(v->ops->open(v), -ENOTSOCK);
	assert_true(v->why[0] != '\0');
	vhost_user_free(v);
	vhost_user_free(NULL);
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, scripted_peer_setup, scripted_peer_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_offered),	       TEST(test_payloads),
		TEST(test_nothing_offered),    TEST(test_each_protocol_feature),
		TEST(test_queue_num),	       TEST(test_close_at_every_step),
		TEST(test_hang_at_every_step), TEST(test_broken_answers),
		TEST(test_nack_at_every_step), TEST(test_cancel_at_every_step),
		TEST(test_refused_config),     TEST(test_wild_base),
		TEST(test_other_config),       TEST(test_doubled_answer),
		TEST(test_own_mistakes),       TEST(test_hear),
		TEST(test_nobody_there),       TEST(test_accepted),
		TEST(test_wild_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
