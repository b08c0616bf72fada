/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The announcement, byte for byte, and the address that it is for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "daemon/announce.h"
#include "daemon/mac.h"

static void test_packet(void **state)
{
	static const uint8_t mac[ETH_ALEN] = {0x52, 0x54, 0, 1, 2, 3};
	static const uint8_t expected[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 1,
		2,    3,    0x80, 0x35,			     /* Ethernet */
		0,    1,    8,	  0,	6,    4,    0,	  3, /* Ethernet, IPv4, reverse request */
		0x52, 0x54, 0,	  1,	2,    3,    0,	  0,	0, 0, /* sender */
		0x52, 0x54, 0,	  1,	2,    3,    0,	  0,	0, 0, /* target */
	};
	uint8_t packet[ANNOUNCE_LEN], zero[ANNOUNCE_LEN] = {0};

	(void)state;
	memset(packet, 0xa5, sizeof(packet));
	announce_packet(packet, mac);
	assert_int_equal(sizeof(packet), 60);
	assert_memory_equal(packet, expected, sizeof(expected));
	assert_memory_equal(packet + sizeof(expected), zero, sizeof(packet) - sizeof(expected));
}

static void test_derived_mac(void **state)
{
	static const char *const names[][2] = {
		{"vnet0", ""},
		{"vnet1", ""},
		{"vnet0", "blue"},
		{"vnet0b", "lue"}, /* the two names are kept apart */
	};
	uint8_t macs[4][ETH_ALEN], again[ETH_ALEN];
	size_t i, k;

	(void)state;
	if (access("/etc/machine-id", R_OK)) {
		assert_true(mac_derive("vnet0", "", again) < 0);
		return;
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(mac_derive(names[i][0], names[i][1], macs[i]), 0);
		assert_int_equal(macs[i][0] & 3, 2); /* unicast, locally administered */
		assert_int_equal(mac_derive(names[i][0], names[i][1], again), 0);
		assert_memory_equal(macs[i], again, ETH_ALEN);
		for (k = 0; k < i; k++)
			assert_memory_not_equal(macs[i], macs[k], ETH_ALEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_derived_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
