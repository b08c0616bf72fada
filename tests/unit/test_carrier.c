/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole truth table of the carrier rule. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "daemon/carrier.h"

/* What the rule shall say, written down a second time and from the other end. */
static const char *expected(bool connected, bool ready, bool enabled, bool up)
{
	static const char *const first_missing[16] = {
		[0xf] = NULL, /* bits: connected 8, ready 4, enabled 2, up 1 */
		[0xe] = "link down by the backend",
		[0xd] = "rings not enabled",
		[0xc] = "rings not enabled",
		[0xb] = "device not ready",
		[0xa] = "device not ready",
		[0x9] = "device not ready",
		[0x8] = "device not ready",
		[0x7] = "backend not connected",
		[0x6] = "backend not connected",
		[0x5] = "backend not connected",
		[0x4] = "backend not connected",
		[0x3] = "backend not connected",
		[0x2] = "backend not connected",
		[0x1] = "backend not connected",
		[0x0] = "backend not connected",
	};

	return first_missing[connected << 3 | ready << 2 | enabled << 1 | up];
}

static void check(const struct carrier_inputs *in)
{
	const char *want = !in->wanted ? "link set down" :
					 expected(in->connected, in->device_status & 4,
						  in->rings_enabled, in->net_status & 1);
	const char *got = carrier_reason(in);

	assert_int_equal(carrier_is_on(in), !want);
	if (want) {
		assert_non_null(got);
		assert_string_equal(got, want);
	} else {
		assert_null(got);
	}
}

/* Every status byte, every net status of one byte and a few beyond. */
static void test_all(void **state)
{
	struct carrier_inputs in;
	unsigned int status, net, flags, on = 0;

	(void)state;
	for (status = 0; status < 256; status++) {
		for (net = 0; net < 256 * 4; net++) {
			for (flags = 0; flags < 8; flags++) {
				in.connected = flags & 1;
				in.rings_enabled = flags & 2;
				in.wanted = flags & 4;
				in.device_status = (uint8_t)status;
				in.net_status = (uint16_t)((net & 0xff) | (net >> 8) << 14);
				check(&in);
				on += carrier_is_on(&in);
			}
		}
	}
	/* half of the status bytes, half of the net statuses, one of the flags */
	assert_int_equal(on, 128 * 512);
}

/* LINK_UP and ACKNOWLEDGE are both 1: one must not stand in for the other. */
static void test_bits_do_not_mix(void **state)
{
	struct carrier_inputs in = {
		.wanted = true, .connected = true, .rings_enabled = true};

	(void)state;
	in.device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			   VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	assert_false(carrier_is_on(&in));
	assert_string_equal(carrier_reason(&in), "link down by the backend");
	in.net_status = VIRTIO_NET_S_LINK_UP;
	assert_true(carrier_is_on(&in));
	in.device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE;
	in.net_status = 0xffff;
	assert_string_equal(carrier_reason(&in), "device not ready");
	in.device_status = 0; /* the device was reset */
	assert_false(carrier_is_on(&in));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_bits_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
