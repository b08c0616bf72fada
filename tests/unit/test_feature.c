/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "virtio/feature.h"

#define ALL UINT64_MAX

static void test_select_takes_only_what_is_offered(void **state)
{
	(void)state;
	assert_int_equal(feature_select(0, ALL), 0);
	assert_int_equal(feature_select(FEATURE(F_VERSION_1), ALL), FEATURE(F_VERSION_1));
}

/* What the masks promise is what the rings, the lanes and the device can do. */
static void test_masks(void **state)
{
	static const uint64_t masks[] = { FEATURE_RING_MASK, FEATURE_OFFLOAD_MASK,
					  FEATURE_DEVICE_MASK, FEATURE_SHARED_MASK };
	uint64_t all = 0;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		assert_int_equal(all & masks[i], 0);
		all |= masks[i];
	}
	assert_false(feature_has(all, VIRTIO_F_RING_PACKED));
	assert_false(feature_has(all, VIRTIO_F_ACCESS_PLATFORM));
	assert_false(feature_has(all, VIRTIO_RING_F_INDIRECT_DESC));
	assert_false(feature_has(all, VIRTIO_F_NOTIFY_ON_EMPTY));
}

static void test_select_takes_only_what_is_wanted(void **state)
{
	uint64_t port = FEATURE_NET(CSUM) | FEATURE_NET(HOST_TSO4);

	(void)state;
	assert_int_equal(feature_select(ALL, 0), 0);
	assert_int_equal(feature_select(ALL, port), port);
}

static void test_select_drops_what_lacks_its_condition(void **state)
{
	static const struct {
		uint64_t bit, needs;
	} rows[] = {
		{ FEATURE_NET(GUEST_TSO4), FEATURE_NET(GUEST_CSUM) },
		{ FEATURE_NET(GUEST_TSO6), FEATURE_NET(GUEST_CSUM) },
		{ FEATURE_NET(GUEST_USO4), FEATURE_NET(GUEST_CSUM) },
		{ FEATURE_NET(GUEST_USO6), FEATURE_NET(GUEST_CSUM) },
		{ FEATURE_NET(HOST_TSO4), FEATURE_NET(CSUM) },
		{ FEATURE_NET(HOST_TSO6), FEATURE_NET(CSUM) },
		{ FEATURE_NET(HOST_USO), FEATURE_NET(CSUM) },
		{ FEATURE_NET(MQ), FEATURE_NET(CTRL_VQ) },
		{ FEATURE_NET(GUEST_ANNOUNCE), FEATURE_NET(CTRL_VQ) },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(feature_select(rows[i].bit, ALL), 0);
		assert_int_equal(feature_select(ALL, rows[i].bit), 0);
		assert_int_equal(feature_select(rows[i].bit | rows[i].needs, ALL),
				 rows[i].bit | rows[i].needs);
	}
}

/* ECN hangs on TSO, which hangs on CSUM: one pass has to see the whole chain. */
static void test_select_conditions_of_conditions(void **state)
{
	uint64_t ecn = FEATURE_NET(GUEST_ECN), tso = FEATURE_NET(GUEST_TSO6);

	(void)state;
	assert_int_equal(feature_select(ecn | tso, ALL), 0);
	assert_int_equal(feature_select(ecn | FEATURE_NET(GUEST_CSUM), ALL),
			 FEATURE_NET(GUEST_CSUM));
	assert_int_equal(feature_select(ecn | tso | FEATURE_NET(GUEST_CSUM), ALL),
			 ecn | tso | FEATURE_NET(GUEST_CSUM));
	assert_int_equal(feature_select(FEATURE_NET(HOST_ECN) | FEATURE_NET(HOST_TSO4), ALL), 0);
}

static void test_select_any_layout_is_legacy(void **state)
{
	(void)state;
	assert_int_equal(feature_select(FEATURE(F_ANY_LAYOUT), ALL), FEATURE(F_ANY_LAYOUT));
	assert_int_equal(feature_select(FEATURE(F_ANY_LAYOUT) | FEATURE(F_VERSION_1), ALL),
			 FEATURE(F_VERSION_1));
}

static void test_hdr_len(void **state)
{
	(void)state;
	assert_int_equal(feature_hdr_len(0), 10);
	assert_int_equal(feature_hdr_len(FEATURE(F_ANY_LAYOUT)), 10);
	assert_int_equal(feature_hdr_len(FEATURE(F_VERSION_1)), 12);
	assert_int_equal(feature_hdr_len(FEATURE_NET(MRG_RXBUF)), 12);
}

static void test_mirror(void **state)
{
	static const struct {
		uint64_t driver, device;
	} pairs[] = {
		{ FEATURE_NET(GUEST_CSUM), FEATURE_NET(CSUM) },
		{ FEATURE_NET(GUEST_TSO4), FEATURE_NET(HOST_TSO4) },
		{ FEATURE_NET(GUEST_TSO6), FEATURE_NET(HOST_TSO6) },
		{ FEATURE_NET(GUEST_ECN), FEATURE_NET(HOST_ECN) },
		{ FEATURE_NET(GUEST_USO4) | FEATURE_NET(GUEST_USO6), FEATURE_NET(HOST_USO) },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(feature_mirror(pairs[i].driver), pairs[i].device);
		assert_int_equal(feature_mirror(pairs[i].device), pairs[i].driver);
	}
	/* a TAP would hand out both kinds */
	assert_int_equal(feature_mirror(FEATURE_NET(GUEST_USO4)), 0);
	assert_int_equal(feature_mirror(FEATURE_NET(GUEST_USO6)), 0);
	assert_int_equal(feature_mirror(ALL), FEATURE_OFFLOAD_MASK);
	assert_int_equal(feature_mirror(~FEATURE_OFFLOAD_MASK), 0);
}

static void test_names(void **state)
{
	unsigned int a, b;

	(void)state;
	assert_string_equal(feature_name(VIRTIO_F_VERSION_1), "VERSION_1");
	assert_string_equal(feature_name(VIRTIO_NET_F_MRG_RXBUF), "MRG_RXBUF");
	assert_null(feature_name(63));
	assert_null(feature_name(1000));
	for (a = 0; a < 64; a++)
		for (b = 0; b < a; b++)
			if (feature_name(a) && feature_name(b))
				assert_string_not_equal(feature_name(a), feature_name(b));
}

static void test_format(void **state)
{
	char buf[64];

	(void)state;
	feature_format(0, buf, sizeof(buf));
	assert_string_equal(buf, "");
	feature_format(FEATURE_NET(CSUM) | FEATURE(F_VERSION_1) | UINT64_C(1) << 63, buf,
		       sizeof(buf));
	assert_string_equal(buf, "CSUM VERSION_1 bit 63");
}

static void test_format_is_cut_and_terminated(void **state)
{
	char whole[1024], buf[1024];
	size_t size;

	(void)state;
	feature_format(ALL, whole, sizeof(whole));
	assert_true(strlen(whole) < sizeof(whole) - 1);
	for (size = 1; size <= strlen(whole) + 1; size++) {
		memset(buf, 'x', sizeof(buf));
		feature_format(ALL, buf, size);
		assert_non_null(memchr(buf, '\0', size));
		assert_memory_equal(buf, whole, strlen(buf));
		assert_int_equal(buf[size], 'x');
	}
	assert_string_equal(buf, whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select_takes_only_what_is_offered),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_select_takes_only_what_is_wanted),
		cmocka_unit_test(test_select_drops_what_lacks_its_condition),
		cmocka_unit_test(test_select_conditions_of_conditions),
		cmocka_unit_test(test_select_any_layout_is_legacy),
		cmocka_unit_test(test_hdr_len),
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_is_cut_and_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
