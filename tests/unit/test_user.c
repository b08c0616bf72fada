/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front-end against a scripted peer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "scripted_peer.h"
#include "vhost/proto.h"
#include "vhost/user.h"

#define LONG_MS 5000

#define F_PROTOCOL BIT(VHOST_USER_F_PROTOCOL_FEATURES)
#define F_DEVICE   SCRIPTED_PEER_FEATURES
#define PF_OURS                                                                                    \
	(PF(MQ) | PF(RARP) | PF(REPLY_ACK) | PF(NET_MTU) | PF(BACKEND_REQ) | PF(CONFIG) |          \
	 PF(STATUS))

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
	assert_int_equal(scripted_peer_converse(v), 0);
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
	assert_int_equal(scripted_peer_converse(p->v), 0);
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
	assert_int_equal(scripted_peer_converse(p->v), 0);
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
		assert_int_equal(scripted_peer_converse(p->v), 0);
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

/* A connection that the peer made is taken over, and the path left alone. */
static void test_accepted(void **state)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	struct peer *p = *state;
	struct vhost *v = vhost_user_new("/nonexistent/sock", LONG_MS, -1);

	scripted_peer_start(p);
	v->accepted_fd = fdmsg_connect(p->path, SOCK_STREAM, &wait);
	assert_true(v->accepted_fd >= 0);
	assert_int_equal(v->ops->greet(v->accepted_fd), 0);
	assert_int_equal(v->ops->open(v), 0);
	assert_int_equal(v->accepted_fd, -1);
	v->ops->close(v);
	scripted_peer_stop(p);
	assert_int_equal(v->ops->open(v), -ENOENT);
	vhost_user_free(v);
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
		TEST(test_all_offered),
		TEST(test_payloads),
		TEST(test_nothing_offered),
		TEST(test_each_protocol_feature),
		TEST(test_queue_num),
		TEST(test_own_mistakes),
		TEST(test_accepted),
		TEST(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
