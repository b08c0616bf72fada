/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device against a vhost that is none: what it asks of its peer and in which order,
 * what it makes of the answers, and what the control queue does to the rings.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "port/device.h"
#include "port/status.h"
#include "virtio/feature.h"

#define CALLS_MAX 128

enum call {
	SET_FEATURES,
	SET_STATUS,
	GET_STATUS,
	GET_CONFIG,
	SET_MEM_TABLE,
	SET_VRING_CALL,
	SET_VRING,
	ENABLE,
	DISABLE,
	GET_VRING_BASE,
	CLOSE,
};

/* A peer, the device in front of it, and its owner. */
struct bench {
	struct vhost vhost;
	struct vport vport;
	struct device device;
	/* the peer */
	enum call calls[CALLS_MAX];
	unsigned int values[CALLS_MAX];
	int n;
	int fail_at, error; /* the call that fails */
	uint64_t acked;
	bool keeps_status;
	uint8_t status, hides; /* bits that GET_STATUS leaves out */
	struct virtio_net_config config;
	size_t config_len; /* it refuses to say more */
	/* the owner */
	int told_pairs;
	unsigned int active_when_told;
	int control_error;
};

static int note(struct vhost *v, enum call call, unsigned int value)
{
	struct bench *b = container_of(v, struct bench, vhost);

	assert_in_range(b->n, 0, CALLS_MAX - 1);
	b->calls[b->n] = call;
	b->values[b->n] = value;
	return b->n++ == b->fail_at ? b->error : 0;
}

static int set_features(struct vhost *v, uint64_t features)
{
	container_of(v, struct bench, vhost)->acked = features;
	return note(v, SET_FEATURES, 0);
}

static int set_status(struct vhost *v, uint8_t status)
{
	container_of(v, struct bench, vhost)->status = status;
	return note(v, SET_STATUS, status);
}

static int get_status(struct vhost *v, uint8_t *status)
{
	struct bench *b = container_of(v, struct bench, vhost);

	if (!b->keeps_status)
		return -EOPNOTSUPP;
	*status = b->status & (uint8_t)~b->hides;
	return note(v, GET_STATUS, 0);
}

static int get_config(struct vhost *v, void *buf, uint32_t offset, uint32_t len)
{
	struct bench *b = container_of(v, struct bench, vhost);
	int r = note(v, GET_CONFIG, len);

	if (r)
		return r;
	if (offset + len > b->config_len)
		return -EREMOTEIO;
	memcpy(buf, (char *)&b->config + offset, len);
	return 0;
}

static int set_mem_table(struct vhost *v, const struct vhost_region *regions, unsigned int n)
{
	assert_int_equal(n, 1);
	assert_true(regions[0].fd >= 0);
	return note(v, SET_MEM_TABLE, n);
}

static int set_vring_call(struct vhost *v, unsigned int index, int call_fd)
{
	assert_true(call_fd >= 0);
	return note(v, SET_VRING_CALL, index);
}

static int set_vring(struct vhost *v, const struct vhost_ring *ring)
{
	return note(v, SET_VRING, ring->index);
}

static int set_vring_enable(struct vhost *v, unsigned int index, bool on)
{
	return note(v, on ? ENABLE : DISABLE, index);
}

static int get_vring_base(struct vhost *v, unsigned int index, uint16_t *base)
{
	*base = 0;
	return note(v, GET_VRING_BASE, index);
}

static void close_vhost(struct vhost *v)
{
	note(v, CLOSE, 0);
}

static const struct vhost_ops ops = {
	.set_features = set_features,
	.set_status = set_status,
	.get_status = get_status,
	.get_config = get_config,
	.set_mem_table = set_mem_table,
	.set_vring_call = set_vring_call,
	.set_vring = set_vring,
	.set_vring_enable = set_vring_enable,
	.get_vring_base = get_vring_base,
	.close = close_vhost,
};

static void on_pairs(void *owner)
{
	struct bench *b = owner;

	b->told_pairs = b->n;
	b->active_when_told = b->vport.active_pairs;
}

static const struct vport_events events = {.pairs = on_pairs};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->vhost.ops = &ops;
	b->vhost.features = FEATURE_RING_MASK | FEATURE_NET(MQ) | FEATURE_NET(MTU) |
			    FEATURE_NET(STATUS) | FEATURE_NET(MAC);
	b->vhost.max_pairs = 4;
	b->vhost.cancel_fd = -1;
	b->vport.events = &events;
	b->vport.owner = b;
	b->device.vport = &b->vport;
	b->device.vhost = &b->vhost;
	b->device.rings.pool.fd = -1;
	b->device.config = (struct device_config){
		.pairs = 1,
		.queue_size = 64,
		.features = FEATURE_RING_MASK | FEATURE_SHARED_MASK | FEATURE_DEVICE_MASK,
	};
	b->fail_at = b->told_pairs = -1;
	b->error = -EREMOTEIO;
	b->config = (struct virtio_net_config){
		.mac = {0x52, 0x54, 0, 1, 2, 3},
		.status = htole16(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = htole16(3),
		.mtu = htole16(1400),
	};
	b->config_len = sizeof(b->config);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	b->fail_at = -1;
	b->n = 0;
	device_forget(&b->device);
	free(b);
	return 0;
}

static void assert_calls(const struct bench *b, int from, const enum call *calls,
			 const unsigned int *values, int n)
{
	int i;

	assert_int_equal(b->n - from, n);
	for (i = 0; i < n; i++) {
		assert_int_equal(b->calls[from + i], calls[i]);
		assert_int_equal(b->values[from + i], values[i]);
	}
}

static void test_one_pair(void **state)
{
	static const enum call calls[] = {
		SET_STATUS,	SET_STATUS,   SET_STATUS, GET_CONFIG, SET_VRING_CALL,
		SET_VRING_CALL, SET_FEATURES, SET_STATUS, GET_STATUS, SET_MEM_TABLE,
		SET_VRING,	SET_VRING,    ENABLE,	  ENABLE,     SET_STATUS,
	};
	static const unsigned int values[] = {
		STATUS_RESET,
		STATUS_ACKNOWLEDGE,
		STATUS_DRIVER,
		12,
		0,
		1,
		0,
		STATUS_FEATURES_OK,
		0,
		1,
		0,
		1,
		0,
		1,
		STATUS_DRIVER_OK,
	};
	struct bench *b = *state;

	b->vhost.has_config = b->keeps_status = true;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_calls(b, 0, calls, values, ARRAY_SIZE(calls));
	assert_int_equal(b->vport.device_status, STATUS_DRIVER_OK);
	assert_true(b->vport.connected && b->vport.rings_enabled);
	assert_int_equal(b->vport.pairs, 1);
	assert_int_equal(b->vport.active_pairs, 1);
	/* what the device does by itself the peer is not told, nor of pairs that there are not */
	assert_int_equal(b->acked, FEATURE_RING_MASK - FEATURE(F_ANY_LAYOUT) + FEATURE_NET(MTU));
	assert_true(feature_has(b->vport.features, VIRTIO_NET_F_CTRL_VQ));
	assert_false(feature_has(b->vport.features, VIRTIO_NET_F_MQ));
	assert_int_equal(b->told_pairs, -1);
}

static void test_several_pairs(void **state)
{
	static const enum call calls[] = {ENABLE, ENABLE, SET_STATUS, ENABLE,
					  ENABLE, ENABLE, ENABLE};
	static const unsigned int values[] = {0, 1, STATUS_DRIVER_OK, 2, 3, 4, 5};
	struct bench *b = *state;

	b->device.config.pairs = 8;
	b->vhost.has_config = true;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_true(feature_has(b->acked, VIRTIO_NET_F_MQ));
	assert_int_equal(b->vport.max_pairs, 3); /* the configuration's word */
	assert_int_equal(b->vport.pairs, 3);
	assert_calls(b, b->n - 7, calls, values, ARRAY_SIZE(calls));
	assert_int_equal(b->told_pairs, -1); /* nobody has any of them yet */
}

static void test_pairs_without_mq(void **state)
{
	struct bench *b = *state;

	b->device.config.pairs = 8;
	b->vhost.features &= ~FEATURE_NET(MQ);
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_int_equal(b->vport.pairs, 1);
}

static void test_configuration(void **state)
{
	struct bench *b = *state;

	b->vhost.has_config = true;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_true(b->vport.has_mac);
	assert_memory_equal(b->vport.peer_mac, b->config.mac, ETH_ALEN);
	assert_int_equal(b->vport.mtu, 1400);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
}

/* A field counts only with its feature bit. */
static void test_configuration_without_features(void **state)
{
	struct bench *b = *state;

	b->vhost.has_config = true;
	b->vhost.features = FEATURE_RING_MASK;
	b->config.status = 0;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_false(b->vport.has_mac);
	assert_int_equal(b->vport.mtu, 0);
	assert_int_equal(b->vport.max_pairs, 4);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
}

/* A peer that has less of it is asked for less. */
static void test_short_configuration(void **state)
{
	struct bench *b = *state;

	b->vhost.has_config = true;
	b->config_len = 8;
	b->config.status = 0;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_true(b->vport.has_mac);
	assert_int_equal(b->vport.net_status, 0);
	assert_int_equal(b->vport.mtu, 0);
	device_forget(&b->device);
	b->config_len = 0;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_false(b->vport.has_mac);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
}

static void test_wrong_configuration(void **state)
{
	struct bench *b = *state;

	b->vhost.has_config = true;
	b->config.mac[0] = 1; /* multicast: no address */
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_false(b->vport.has_mac);
	device_forget(&b->device);
	b->config.mtu = htole16(67);
	assert_int_equal(device_bring_up(&b->device), -EPROTO);
	assert_string_equal(b->vhost.request, "GET_CONFIG");
}

static void test_features_not_ok(void **state)
{
	struct bench *b = *state;

	b->keeps_status = true;
	b->hides = VIRTIO_CONFIG_S_FEATURES_OK;
	assert_int_equal(device_bring_up(&b->device), -EPROTO);
	assert_string_equal(b->vhost.request, "GET_STATUS");
}

/* Whichever request fails, the attempt does, and leaves nothing behind. */
static void test_failure_at_every_step(void **state)
{
	struct bench *b = *state;
	int steps, step;

	b->vhost.has_config = b->keeps_status = true;
	b->device.config.pairs = 2;
	b->error = -ECONNRESET;
	assert_int_equal(device_bring_up(&b->device), 0);
	steps = b->n;
	for (step = 0; step < steps; step++) {
		device_forget(&b->device);
		b->n = 0;
		b->fail_at = step;
		assert_int_equal(device_bring_up(&b->device), -ECONNRESET);
		assert_int_equal(b->n, step + 1);
		b->fail_at = -1;
		device_forget(&b->device);
		assert_false(b->vport.connected || b->vport.rings_enabled);
		assert_int_equal(b->vport.device_status, STATUS_RESET);
		assert_null(b->vport.vqs);
	}
}

static uint8_t control(struct bench *b, uint8_t class, uint8_t command, const void *data,
		       size_t len)
{
	b->control_error = 0;
	return device_control(&b->device, class, command, data, len, &b->control_error);
}

static uint8_t set_pairs(struct bench *b, uint16_t n)
{
	uint16_t le = htole16(n);

	return control(b, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le,
			      sizeof(le));
}

/* Workers let go of a ring before it is disabled, and get it after it was enabled. */
static void test_pairs_at_run_time(void **state)
{
	struct bench *b = *state;

	b->device.config.pairs = 3;
	assert_int_equal(device_bring_up(&b->device), 0);
	b->n = 0;
	assert_int_equal(set_pairs(b, 1), VIRTIO_NET_OK);
	assert_calls(b, 0, (enum call[]){DISABLE, DISABLE, DISABLE, DISABLE},
		     (unsigned int[]){2, 3, 4, 5}, 4);
	assert_int_equal(b->told_pairs, 0);
	assert_int_equal(b->active_when_told, 1);
	b->n = 0;
	assert_int_equal(set_pairs(b, 2), VIRTIO_NET_OK);
	assert_calls(b, 0, (enum call[]){ENABLE, ENABLE}, (unsigned int[]){2, 3}, 2);
	assert_int_equal(b->told_pairs, 2);
	assert_int_equal(b->active_when_told, 2);
	b->n = 0;
	b->told_pairs = -1;
	assert_int_equal(set_pairs(b, 2), VIRTIO_NET_OK);
	assert_int_equal(set_pairs(b, 4), VIRTIO_NET_ERR); /* more than there are */
	assert_int_equal(set_pairs(b, 0), VIRTIO_NET_ERR);
	assert_int_equal(b->n, 0);
	assert_int_equal(b->told_pairs, -1);
	b->fail_at = 0;
	assert_int_equal(set_pairs(b, 3), VIRTIO_NET_ERR);
	assert_int_equal(b->control_error, -EREMOTEIO);
	assert_int_equal(b->vport.active_pairs, 2);
}

static void test_control(void **state)
{
	struct bench *b = *state;

	assert_int_equal(control(b, VIRTIO_NET_CTRL_RX, 0, "\1", 1),
			 VIRTIO_NET_ERR); /* before DRIVER_OK */
	b->vhost.has_config = true;
	b->config.status = htole16(VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_int_equal(control(b, VIRTIO_NET_CTRL_RX, 0, "\1", 1), VIRTIO_NET_OK);
	assert_true(b->device.ctrl.promisc);
	assert_int_equal(control(b, VIRTIO_NET_CTRL_MAC, 1, "\2\1\1\1\1\1", 6),
			 VIRTIO_NET_OK);
	assert_memory_equal(b->vport.mac, "\2\1\1\1\1\1", 6);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	assert_int_equal(control(b, VIRTIO_NET_CTRL_ANNOUNCE, 0, NULL, 0),
			 VIRTIO_NET_OK);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(set_pairs(b, 1), VIRTIO_NET_ERR); /* MQ was not negotiated */
	assert_int_equal(control(b, 77, 0, NULL, 0), VIRTIO_NET_ERR);
}

static void test_without_control_queue(void **state)
{
	struct bench *b = *state;
	unsigned int changes;

	b->device.config.features &= ~FEATURE_NET(CTRL_VQ);
	b->device.config.pairs = 2;
	b->vhost.has_config = true;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_int_equal(b->vport.pairs, 1); /* MQ needs it */
	assert_int_equal(control(b, VIRTIO_NET_CTRL_RX, 0, "\1", 1),
			 VIRTIO_NET_ERR);
	b->config.status |= htole16(VIRTIO_NET_S_ANNOUNCE);
	assert_int_equal(device_refresh(&b->device, &changes), 0);
	assert_int_equal(changes, 0);
}

static void test_write_config(void **state)
{
	struct bench *b = *state;
	size_t offset, len;

	assert_int_equal(device_bring_up(&b->device), 0);
	assert_int_equal(device_write_config(&b->device, 0, "\2\2\2\2\2\2", 6), 0);
	assert_memory_equal(b->vport.mac, "\2\2\2\2\2\2", 6);
	assert_int_equal(device_write_config(&b->device, 0, "\3\2\2\2\2\2", 6), -EPERM);
	for (offset = 0; offset < 12; offset++)
		for (len = 0; len + offset <= 12; len++)
			if (offset || len != 6)
				assert_int_equal(device_write_config(&b->device, offset,
								     "\4\4\4\4\4\4\4\4\4\4\4\4",
								     len),
						 -EPERM);
	assert_memory_equal(b->vport.mac, "\2\2\2\2\2\2", 6);
}

static void test_refresh(void **state)
{
	struct bench *b = *state;
	unsigned int changes;

	b->vhost.has_config = b->keeps_status = true;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_int_equal(device_refresh(&b->device, &changes), 0);
	assert_int_equal(changes, 0);
	b->config.status = 0;
	b->config.mtu = htole16(9000);
	assert_int_equal(device_refresh(&b->device, &changes), 0);
	assert_int_equal(changes, VPORT_LINK | VPORT_MTU);
	assert_int_equal(b->vport.mtu, 9000);
	b->config.status = htole16(VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	b->config.mac[5] = 9;
	assert_int_equal(device_refresh(&b->device, &changes), 0);
	assert_int_equal(changes, VPORT_LINK | VPORT_ANNOUNCE | VPORT_MAC);
	b->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	assert_int_equal(device_refresh(&b->device, &changes), -ENODEV);
	assert_int_equal(changes, 0);
	assert_true(b->vport.device_status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_shut_down(void **state)
{
	struct bench *b = *state;

	assert_int_equal(device_bring_up(&b->device), 0);
	b->n = 0;
	device_shut_down(&b->device);
	assert_calls(b, 0, (enum call[]){GET_VRING_BASE, GET_VRING_BASE, SET_STATUS},
		     (unsigned int[]){0, 1, STATUS_RESET}, 3);
}

/* The peer is told, and not waited for long. */
static void test_fail(void **state)
{
	struct bench *b = *state;

	b->vhost.timeout_ms = 3000;
	assert_int_equal(device_bring_up(&b->device), 0);
	b->n = 0;
	device_fail(&b->device);
	assert_calls(b, 0, (enum call[]){SET_STATUS},
		     (unsigned int[]){STATUS_DRIVER_OK | VIRTIO_CONFIG_S_FAILED}, 1);
	assert_int_equal(b->vhost.timeout_ms, 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_pair),
		TEST(test_several_pairs),
		TEST(test_pairs_without_mq),
		TEST(test_configuration),
		TEST(test_configuration_without_features),
		TEST(test_short_configuration),
		TEST(test_wrong_configuration),
		TEST(test_features_not_ok),
		TEST(test_failure_at_every_step),
		TEST(test_pairs_at_run_time),
		TEST(test_control),
		TEST(test_without_control_queue),
		TEST(test_write_config),
		TEST(test_refresh),
		TEST(test_shut_down),
		TEST(test_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
