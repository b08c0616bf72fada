/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control queue's commands, each with what it does and what it refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "base/util.h"
#include "port/ctrl.h"

#define ALL	  UINT64_MAX
#define BIT(name) (UINT64_C(1) << VIRTIO_NET_F_##name)

static enum ctrl_effect take(struct ctrl *c, uint8_t class, uint8_t command, const void *data,
			     size_t len)
{
	return ctrl_take(c, ALL, class, command, data, len);
}

static void test_rx_modes(void **state)
{
	static const struct {
		uint8_t command;
		size_t offset;
	} modes[] = {
		{VIRTIO_NET_CTRL_RX_PROMISC, offsetof(struct ctrl, promisc)},
		{VIRTIO_NET_CTRL_RX_ALLMULTI, offsetof(struct ctrl, allmulti)},
		{VIRTIO_NET_CTRL_RX_ALLUNI, offsetof(struct ctrl, alluni)},
		{VIRTIO_NET_CTRL_RX_NOMULTI, offsetof(struct ctrl, nomulti)},
		{VIRTIO_NET_CTRL_RX_NOUNI, offsetof(struct ctrl, nouni)},
		{VIRTIO_NET_CTRL_RX_NOBCAST, offsetof(struct ctrl, nobcast)},
	};
	struct ctrl c = {0};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(take(&c, VIRTIO_NET_CTRL_RX, modes[i].command, "\1", 1),
				 CTRL_DONE);
		for (k = 0; k < ARRAY_SIZE(modes); k++)
			assert_int_equal(*((bool *)((char *)&c + modes[k].offset)), k == i);
		assert_int_equal(take(&c, VIRTIO_NET_CTRL_RX, modes[i].command, "\2", 1),
				 CTRL_ERROR);
		assert_int_equal(take(&c, VIRTIO_NET_CTRL_RX, modes[i].command, "", 0), CTRL_ERROR);
		assert_int_equal(take(&c, VIRTIO_NET_CTRL_RX, modes[i].command, "\1\1", 2),
				 CTRL_ERROR);
		assert_true(*((bool *)((char *)&c + modes[i].offset)));
		assert_int_equal(take(&c, VIRTIO_NET_CTRL_RX, modes[i].command, "\0", 1),
				 CTRL_DONE);
		assert_false(*((bool *)((char *)&c + modes[i].offset)));
	}
	assert_int_equal(take(&c, VIRTIO_NET_CTRL_RX, 6, "\1", 1), CTRL_ERROR);
}

/* Appends a table of @n addresses, the first of which begins with @first. */
static size_t put_table(uint8_t *buf, size_t at, uint32_t n, uint8_t first)
{
	uint32_t le = htole32(n);
	uint32_t i;

	memcpy(buf + at, &le, sizeof(le));
	at += sizeof(le);
	for (i = 0; i < n; i++, at += ETH_ALEN)
		memset(buf + at, (int)(first + i), ETH_ALEN);
	return at;
}

static enum ctrl_effect set_tables(struct ctrl *c, const uint8_t *buf, size_t len)
{
	return take(c, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, len);
}

static void test_mac_tables(void **state)
{
	uint8_t buf[2 * sizeof(uint32_t) + (CTRL_MACS_MAX + 4) * ETH_ALEN];
	struct ctrl c = {0};
	size_t len, cut;

	(void)state;
	len = put_table(buf, put_table(buf, 0, 2, 0x10), 1, 0x21);
	assert_int_equal(set_tables(&c, buf, len), CTRL_DONE);
	assert_int_equal(c.unicast.n, 2);
	assert_int_equal(c.unicast.macs[1][5], 0x11);
	assert_int_equal(c.multicast.n, 1);
	assert_int_equal(c.multicast.macs[0][0], 0x21);
	assert_false(c.unicast.overflow || c.multicast.overflow);
	for (cut = 0; cut < len; cut++)
		assert_int_equal(set_tables(&c, buf, cut), CTRL_ERROR);
	assert_int_equal(set_tables(&c, buf, len + 1), CTRL_ERROR);
	assert_int_equal(c.unicast.n, 2); /* as it was */
	len = put_table(buf, put_table(buf, 0, 0, 0), CTRL_MACS_MAX + 1, 1);
	assert_int_equal(set_tables(&c, buf, len), CTRL_DONE);
	assert_int_equal(c.unicast.n, 0);
	assert_true(c.multicast.overflow);
	assert_int_equal(c.multicast.n, 0);
	/* a count that would wrap a product */
	put_table(buf, 0, 0, 0);
	memset(buf, 0xff, sizeof(uint32_t));
	assert_int_equal(set_tables(&c, buf, 64), CTRL_ERROR);
}

static void test_mac_address(void **state)
{
	struct ctrl c = {0};

	(void)state;
	assert_int_equal(
		take(&c, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\2\1\2\3\4\5", 6),
		CTRL_MAC);
	assert_memory_equal(c.mac, "\2\1\2\3\4\5", 6);
	assert_int_equal(
		take(&c, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\1\1\2\3\4\5", 6),
		CTRL_ERROR); /* multicast */
	assert_int_equal(
		take(&c, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\0\0\0\0\0\0", 6),
		CTRL_ERROR);
	assert_int_equal(
		take(&c, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\2\1\2\3\4\5", 5),
		CTRL_ERROR);
	assert_memory_equal(c.mac, "\2\1\2\3\4\5", 6);
}

static enum ctrl_effect vlan(struct ctrl *c, uint8_t command, uint16_t id)
{
	uint16_t le = htole16(id);

	return take(c, VIRTIO_NET_CTRL_VLAN, command, &le, sizeof(le));
}

static void test_vlan(void **state)
{
	static const uint16_t ids[] = {0, 1, 7, 8, 4094, 4095};
	struct ctrl c = {0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_false(ctrl_has_vlan(&c, ids[i]));
		assert_int_equal(vlan(&c, VIRTIO_NET_CTRL_VLAN_ADD, ids[i]), CTRL_DONE);
		assert_true(ctrl_has_vlan(&c, ids[i]));
	}
	assert_int_equal(vlan(&c, VIRTIO_NET_CTRL_VLAN_DEL, 8), CTRL_DONE);
	assert_false(ctrl_has_vlan(&c, 8));
	assert_true(ctrl_has_vlan(&c, 7));
	assert_int_equal(vlan(&c, VIRTIO_NET_CTRL_VLAN_ADD, 4096), CTRL_ERROR);
	assert_int_equal(vlan(&c, 2, 1), CTRL_ERROR);
	assert_int_equal(take(&c, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\1", 1),
			 CTRL_ERROR);
}

static enum ctrl_effect pairs(struct ctrl *c, uint16_t n)
{
	uint16_t le = htole16(n);

	return take(c, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le, sizeof(le));
}

static void test_pairs(void **state)
{
	struct ctrl c = {0};

	(void)state;
	assert_int_equal(pairs(&c, 4), CTRL_PAIRS);
	assert_int_equal(c.pairs, 4);
	assert_int_equal(pairs(&c, 0), CTRL_ERROR);
	assert_int_equal(pairs(&c, 0x8001), CTRL_ERROR);
	assert_int_equal(c.pairs, 4);
	assert_int_equal(pairs(&c, 0x8000), CTRL_PAIRS);
	/* RSS and hash report are not served */
	assert_int_equal(take(&c, VIRTIO_NET_CTRL_MQ, 1, "\1\0", 2), CTRL_ERROR);
	assert_int_equal(take(&c, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\1", 1),
			 CTRL_ERROR);
}

static void test_announce(void **state)
{
	struct ctrl c = {0};

	(void)state;
	assert_int_equal(take(&c, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0),
			 CTRL_ANNOUNCED);
	assert_int_equal(take(&c, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "\1", 1),
			 CTRL_ERROR);
}

/* Each command works with its own feature bit alone, and not without it. */
static void test_features(void **state)
{
	static const struct {
		uint8_t class, command;
		uint64_t feature;
		const char *data;
		size_t len;
	} commands[] = {
		{0, 0, BIT(CTRL_RX), "\1", 1},
		{0, 1, BIT(CTRL_RX), "\1", 1},
		{0, 2, BIT(CTRL_RX_EXTRA), "\1", 1},
		{0, 5, BIT(CTRL_RX_EXTRA), "\1", 1},
		{1, 0, BIT(CTRL_RX), "\0\0\0\0\0\0\0\0", 8},
		{1, 1, BIT(CTRL_MAC_ADDR), "\2\1\1\1\1\1", 6},
		{2, 0, BIT(CTRL_VLAN), "\1\0", 2},
		{2, 1, BIT(CTRL_VLAN), "\1\0", 2},
		{3, 0, BIT(GUEST_ANNOUNCE), "", 0},
		{4, 0, BIT(MQ), "\1\0", 2},
	};
	struct ctrl c = {0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		assert_true(ctrl_take(&c, commands[i].feature, commands[i].class,
				      commands[i].command, commands[i].data,
				      commands[i].len) != CTRL_ERROR);
		assert_int_equal(ctrl_take(&c, ~commands[i].feature, commands[i].class,
					   commands[i].command, commands[i].data, commands[i].len),
				 CTRL_ERROR);
	}
	assert_int_equal(take(&c, 5, 0, "\1", 1), CTRL_ERROR); /* guest offloads */
	assert_int_equal(take(&c, 255, 255, "\1", 1), CTRL_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rx_modes),    cmocka_unit_test(test_mac_tables),
		cmocka_unit_test(test_mac_address), cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_pairs),	    cmocka_unit_test(test_announce),
		cmocka_unit_test(test_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
