/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <string.h>

#include "virtio/feature.h"
#include "virtio/vnet_hdr.h"

#define CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM
#define VALID VIRTIO_NET_HDR_F_DATA_VALID

static const struct vnet_hdr_rules none;
static const struct vnet_hdr_rules csum_only = { .csum = true };
static const struct vnet_hdr_rules tcp4 = {
	.csum = true,
	.gso_types = 1u << VIRTIO_NET_HDR_GSO_TCPV4,
};

static struct virtio_net_hdr_v1 csum_at(uint16_t start, uint16_t offset)
{
	return (struct virtio_net_hdr_v1){
		.flags = CSUM,
		.csum_start = htole16(start),
		.csum_offset = htole16(offset),
	};
}

static struct virtio_net_hdr_v1 gso(uint8_t type, uint16_t size)
{
	struct virtio_net_hdr_v1 h = csum_at(34, 16);

	h.gso_type = type;
	h.gso_size = htole16(size);
	return h;
}

static void accepts(const struct vnet_hdr_rules *rules, struct virtio_net_hdr_v1 h, uint32_t len)
{
	const char *why = vnet_hdr_check(rules, &h, len);

	if (why)
		fail_msg("refused: %s", why);
}

static void refuses(const struct vnet_hdr_rules *rules, struct virtio_net_hdr_v1 h, uint32_t len,
		    const char *what)
{
	const char *why = vnet_hdr_check(rules, &h, len);

	assert_non_null(why);
	if (!strstr(why, what))
		fail_msg("\"%s\" does not say \"%s\"", why, what);
}

static void test_rules_from_device_are_the_guest_features(void **state)
{
	struct vnet_hdr_rules r = vnet_hdr_rules_from_device(0);

	(void)state;
	assert_false(r.csum);
	assert_false(r.ecn);
	assert_int_equal(r.gso_types, 0);
	/* the other direction's features give no leave */
	r = vnet_hdr_rules_from_device(FEATURE_NET(CSUM) | FEATURE_NET(HOST_TSO4) |
				       FEATURE_NET(HOST_USO) | FEATURE_NET(HOST_ECN));
	assert_false(r.csum);
	assert_false(r.ecn);
	assert_int_equal(r.gso_types, 0);
	r = vnet_hdr_rules_from_device(FEATURE_NET(GUEST_CSUM) | FEATURE_NET(GUEST_ECN) |
				       FEATURE_NET(GUEST_TSO4) | FEATURE_NET(GUEST_TSO6));
	assert_true(r.csum);
	assert_true(r.ecn);
	assert_int_equal(r.gso_types, 1u << VIRTIO_NET_HDR_GSO_TCPV4 |
					      1u << VIRTIO_NET_HDR_GSO_TCPV6);
	r = vnet_hdr_rules_from_device(FEATURE_NET(GUEST_USO6));
	assert_int_equal(r.gso_types, 1u << VIRTIO_NET_HDR_GSO_UDP_L4);
	r = vnet_hdr_rules_from_device(FEATURE_NET(GUEST_UFO));
	assert_int_equal(r.gso_types, 1u << VIRTIO_NET_HDR_GSO_UDP);
}

static void test_rules_from_driver_are_the_host_features(void **state)
{
	struct vnet_hdr_rules r = vnet_hdr_rules_from_driver(FEATURE_NET(GUEST_CSUM) |
							     FEATURE_NET(GUEST_TSO4));

	(void)state;
	assert_false(r.csum);
	assert_int_equal(r.gso_types, 0);
	r = vnet_hdr_rules_from_driver(FEATURE_NET(CSUM) | FEATURE_NET(HOST_TSO6) |
				       FEATURE_NET(HOST_USO) | FEATURE_NET(HOST_ECN));
	assert_true(r.csum);
	assert_true(r.ecn);
	assert_int_equal(r.gso_types, 1u << VIRTIO_NET_HDR_GSO_TCPV6 |
					      1u << VIRTIO_NET_HDR_GSO_UDP_L4);
}

static void test_plain_header(void **state)
{
	struct virtio_net_hdr_v1 h = { 0 };

	(void)state;
	assert_null(vnet_hdr_check(&none, &h, 60));
	assert_null(vnet_hdr_check(&none, &h, 0));
	assert_null(vnet_hdr_check(&tcp4, &h, 60));
}

static void test_flags_without_meaning_are_cleared(void **state)
{
	struct virtio_net_hdr_v1 h = { .flags = 0xff & ~CSUM };

	(void)state;
	assert_null(vnet_hdr_check(&csum_only, &h, 60));
	assert_int_equal(h.flags, VALID);
	h.flags = 0xff & ~CSUM;
	assert_null(vnet_hdr_check(&none, &h, 60));
	assert_int_equal(h.flags, 0);
}

static void test_checksum_not_negotiated(void **state)
{
	struct virtio_net_hdr_v1 h = csum_at(0, 0);

	(void)state;
	assert_null(vnet_hdr_check(&none, &h, 60));
	assert_int_equal(h.flags, 0);
	refuses(&none, csum_at(34, 0), 60, "not negotiated");
	refuses(&none, csum_at(0, 16), 60, "not negotiated");
}

/* The flag with nothing behind it asks for nothing, whatever was negotiated. */
static void test_checksum_of_nothing(void **state)
{
	struct virtio_net_hdr_v1 h = csum_at(0, 0);

	(void)state;
	h.flags |= VALID;
	assert_null(vnet_hdr_check(&csum_only, &h, 60));
	assert_int_equal(h.flags, VALID);
}

static void test_checksum_offsets_to_the_last_byte(void **state)
{
	(void)state;
	accepts(&csum_only, csum_at(34, 16), 60);
	accepts(&csum_only, csum_at(34, 16), 52);
	refuses(&csum_only, csum_at(34, 16), 51, "outside");
	refuses(&csum_only, csum_at(13, 16), 60, "within the Ethernet header");
	refuses(&csum_only, csum_at(0, 16), 60, "within the Ethernet header");
	accepts(&csum_only, csum_at(14, 0), 16);
	refuses(&csum_only, csum_at(14, 0), 15, "outside");
	/* no wrap in 16 bits */
	refuses(&csum_only, csum_at(0xffff, 1), 60, "outside");
	refuses(&csum_only, csum_at(0xffff, 0xffff), 65600, "outside");
}

static void test_offsets_without_the_flag_are_cleared(void **state)
{
	struct virtio_net_hdr_v1 h = csum_at(0xffff, 0xffff);

	(void)state;
	h.flags = VALID;
	assert_null(vnet_hdr_check(&csum_only, &h, 60));
	assert_int_equal(h.csum_start, 0);
	assert_int_equal(h.csum_offset, 0);
	assert_int_equal(h.flags, VALID);
}

static void test_hdr_len_is_a_hint(void **state)
{
	struct virtio_net_hdr_v1 h = { .hdr_len = htole16(60) };

	(void)state;
	assert_null(vnet_hdr_check(&none, &h, 60));
	assert_int_equal(le16toh(h.hdr_len), 60);
	h.hdr_len = htole16(61);
	assert_null(vnet_hdr_check(&none, &h, 60));
	assert_int_equal(h.hdr_len, 0);
}

static void test_gso_type_must_be_negotiated(void **state)
{
	unsigned int type;

	(void)state;
	accepts(&tcp4, gso(VIRTIO_NET_HDR_GSO_TCPV4, 1448), 3000);
	for (type = 1; type < 256; type++)
		if (type != VIRTIO_NET_HDR_GSO_TCPV4)
			refuses(&tcp4, gso((uint8_t)type, 1448), 3000, "not negotiated");
	for (type = 1; type < 256; type++)
		refuses(&csum_only, gso((uint8_t)type, 1448), 3000, "not negotiated");
}

static void test_gso_ecn_must_be_negotiated(void **state)
{
	struct vnet_hdr_rules ecn = tcp4;
	uint8_t type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;

	(void)state;
	refuses(&tcp4, gso(type, 1448), 3000, "ECN");
	ecn.ecn = true;
	accepts(&ecn, gso(type, 1448), 3000);
	/* ECN alone is no segmentation type */
	refuses(&ecn, gso(VIRTIO_NET_HDR_GSO_ECN, 1448), 3000, "not negotiated");
}

static void test_gso_size(void **state)
{
	struct virtio_net_hdr_v1 h = { .gso_size = htole16(1448) };

	(void)state;
	refuses(&tcp4, gso(VIRTIO_NET_HDR_GSO_TCPV4, 0), 3000, "size of 0");
	accepts(&tcp4, gso(VIRTIO_NET_HDR_GSO_TCPV4, 1), 3000);
	/* a size without a type means nothing, and is not passed on */
	assert_null(vnet_hdr_check(&none, &h, 60));
	assert_int_equal(h.gso_size, 0);
}

static void test_gso_does_not_excuse_the_checksum(void **state)
{
	struct virtio_net_hdr_v1 h = gso(VIRTIO_NET_HDR_GSO_TCPV4, 1448);

	(void)state;
	h.csum_start = htole16(5000);
	refuses(&tcp4, h, 3000, "outside");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_from_device_are_the_guest_features),
		cmocka_unit_test(test_rules_from_driver_are_the_host_features),
		cmocka_unit_test(test_plain_header),
		cmocka_unit_test(test_flags_without_meaning_are_cleared),
		cmocka_unit_test(test_checksum_not_negotiated),
		cmocka_unit_test(test_checksum_of_nothing),
		cmocka_unit_test(test_checksum_offsets_to_the_last_byte),
		cmocka_unit_test(test_offsets_without_the_flag_are_cleared),
		cmocka_unit_test(test_hdr_len_is_a_hint),
		cmocka_unit_test(test_gso_type_must_be_negotiated),
		cmocka_unit_test(test_gso_ecn_must_be_negotiated),
		cmocka_unit_test(test_gso_size),
		cmocka_unit_test(test_gso_does_not_excuse_the_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
