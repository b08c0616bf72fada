/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device against a vhost that is none: what it asks of its peer and in which order, and
 * what it makes of the answers. Its queue pairs: test_device_pairs.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "fake_vhost.h"
#include "port/status.h"
#include "virtio/feature.h"

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
	struct fake_vhost *b = *state;

	b->vhost.has_config = b->keeps_status = true;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	fake_vhost_assert_calls(b, 0, calls, values, ARRAY_SIZE(calls));
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

static void test_configuration(void **state)
{
	struct fake_vhost *b = *state;

	b->vhost.has_config = true;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_true(b->vport.has_mac);
	assert_memory_equal(b->vport.peer_mac, b->config.mac, ETH_ALEN);
	assert_int_equal(b->vport.mtu, 1400);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
}

/* An MTU that is not kept to is not agreed on (5.1.4.2). */
static void test_mtu(void **state)
{
	struct fake_vhost *b = *state;

	assert_int_equal(device_bring_up(&b->device), 0);
	assert_true(feature_has(b->acked, VIRTIO_NET_F_MTU));
	device_forget(&b->device);
	b->vhost.has_config = true;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_true(feature_has(b->acked, VIRTIO_NET_F_MTU));
	device_forget(&b->device);
	b->device.least_mtu = 1400;
	assert_int_equal(device_bring_up(&b->device), 0);
	assert_true(feature_has(b->acked, VIRTIO_NET_F_MTU));
	device_forget(&b->device);
	b->device.least_mtu = 1401;
	assert_int_equal(device_bring_up(&b->device), 0);
	device_show(&b->device);
	assert_false(feature_has(b->acked | b->vport.features, VIRTIO_NET_F_MTU));
	assert_int_equal(b->vport.mtu, 1400);
}

/* A field counts only with its feature bit. */
static void test_configuration_without_features(void **state)
{
	struct fake_vhost *b = *state;

	b->vhost.has_config = true;
	b->vhost.features = FEATURE_RING_MASK;
	b->config.status = 0;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_false(b->vport.has_mac);
	assert_int_equal(b->vport.mtu, 0);
	assert_int_equal(b->vport.max_pairs, 4);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
}

/* A peer that has less of it is asked for less. */
static void test_short_configuration(void **state)
{
	struct fake_vhost *b = *state;

	b->vhost.has_config = true;
	b->config_len = 8;
	b->config.status = 0;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_true(b->vport.has_mac);
	assert_int_equal(b->vport.net_status, 0);
	assert_int_equal(b->vport.mtu, 0);
	device_forget(&b->device);
	b->config_len = 0;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_false(b->vport.has_mac);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
}

/* The last word of an initialisation that came to nothing (3.1.1). */
static void assert_told_failed(const struct fake_vhost *b)
{
	assert_int_equal(b->calls[b->n - 1], SET_STATUS);
	assert_true(b->values[b->n - 1] & VIRTIO_CONFIG_S_FAILED);
	assert_true(b->device.draft.device_status & VIRTIO_CONFIG_S_FAILED);
	assert_false(b->vport.connected); /* nobody has seen any of it */
}

static void test_wrong_configuration(void **state)
{
	struct fake_vhost *b = *state;

	b->vhost.has_config = true;
	b->config.mac[0] = 1; /* multicast: no address */
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_false(b->vport.has_mac);
	device_forget(&b->device);
	b->config.mtu = htole16(67);
	assert_int_equal(fake_vhost_bring_up(b), -EPROTO);
	assert_string_equal(b->vhost.request, "GET_CONFIG");
	assert_told_failed(b);
}

static void test_features_not_ok(void **state)
{
	struct fake_vhost *b = *state;

	b->keeps_status = true;
	b->hides = VIRTIO_CONFIG_S_FEATURES_OK;
	assert_int_equal(fake_vhost_bring_up(b), -EPROTO);
	assert_string_equal(b->vhost.request, "GET_STATUS");
	assert_int_equal(b->values[b->n - 1], STATUS_FEATURES_OK | VIRTIO_CONFIG_S_FAILED);
	assert_told_failed(b);
}

/* A refusal of whatever it was; its name and reason are left for the log. */
static void test_refused_at_every_step(void **state)
{
	struct fake_vhost *b = *state;
	int steps, step;

	b->keeps_status = true;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	steps = b->n;
	for (step = 2; step < steps; step++) { /* from reset there is no way but to ACKNOWLEDGE */
		device_forget(&b->device);
		b->n = 0;
		b->fail_at = step;
		assert_int_equal(fake_vhost_bring_up(b), -EREMOTEIO);
		assert_int_equal(b->n, step + 2);
		assert_told_failed(b);
		b->fail_at = -1;
	}
}

/* Whichever request fails, the attempt does, and leaves nothing behind. */
static void test_failure_at_every_step(void **state)
{
	struct fake_vhost *b = *state;
	int steps, step;

	b->vhost.has_config = b->keeps_status = true;
	b->device.config.pairs = 2;
	b->error = -ECONNRESET;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	steps = b->n;
	for (step = 0; step < steps; step++) {
		device_forget(&b->device);
		b->n = 0;
		b->fail_at = step;
		assert_int_equal(fake_vhost_bring_up(b), -ECONNRESET);
		assert_int_equal(b->n, step + 1);
		b->fail_at = -1;
		device_forget(&b->device);
		assert_false(b->vport.connected || b->vport.rings_enabled);
		assert_int_equal(b->vport.device_status, STATUS_RESET);
		assert_null(b->vport.vqs);
	}
}

static void test_write_config(void **state)
{
	struct fake_vhost *b = *state;
	size_t offset, len;

	assert_int_equal(fake_vhost_bring_up(b), 0);
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
	struct fake_vhost *b = *state;
	unsigned int changes;

	b->vhost.has_config = b->keeps_status = true;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_int_equal(fake_vhost_refresh(b, &changes), 0);
	assert_int_equal(changes, 0);
	b->config.status = 0;
	b->config.mtu = htole16(9000);
	assert_int_equal(fake_vhost_refresh(b, &changes), 0);
	assert_int_equal(changes, VPORT_LINK | VPORT_MTU);
	assert_int_equal(b->vport.mtu, 9000);
	b->config.status = htole16(VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	b->config.mac[5] = 9;
	assert_int_equal(fake_vhost_refresh(b, &changes), 0);
	assert_int_equal(changes, VPORT_LINK | VPORT_ANNOUNCE | VPORT_MAC);
	b->config.mac[0] = 1; /* no address any more */
	assert_int_equal(fake_vhost_refresh(b, &changes), 0);
	assert_false(b->vport.has_mac);
	b->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	assert_int_equal(fake_vhost_refresh(b, &changes), -ENODEV);
	assert_int_equal(changes, 0);
	assert_true(b->device.draft.device_status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_shut_down(void **state)
{
	struct fake_vhost *b = *state;

	assert_int_equal(fake_vhost_bring_up(b), 0);
	b->n = 0;
	device_shut_down(&b->device);
	fake_vhost_assert_calls(b, 0, (enum call[]){GET_VRING_BASE, GET_VRING_BASE, SET_STATUS},
		     (unsigned int[]){0, 1, STATUS_RESET}, 3);
}

/* The peer is told, and not waited for long. */
static void test_fail(void **state)
{
	struct fake_vhost *b = *state;

	b->vhost.timeout_ms = 3000;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	b->n = 0;
	device_fail(&b->device);
	fake_vhost_assert_calls(b, 0, (enum call[]){SET_STATUS},
		     (unsigned int[]){STATUS_DRIVER_OK | VIRTIO_CONFIG_S_FAILED}, 1);
	assert_int_equal(b->vhost.timeout_ms, 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_vhost_setup, fake_vhost_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_pair),
		TEST(test_configuration),
		TEST(test_mtu),
		TEST(test_configuration_without_features),
		TEST(test_short_configuration),
		TEST(test_wrong_configuration),
		TEST(test_features_not_ok),
		TEST(test_refused_at_every_step),
		TEST(test_failure_at_every_step),
		TEST(test_write_config),
		TEST(test_refresh),
		TEST(test_shut_down),
		TEST(test_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
