/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many queue pairs the device has, in front of peers that count them in different ways;
 * what the control queue does to them, and else.
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

static void test_several_pairs(void **state)
{
	static const enum call calls[] = {ENABLE, ENABLE, SET_STATUS, ENABLE,
					  ENABLE, ENABLE, ENABLE};
	static const unsigned int values[] = {0, 1, STATUS_DRIVER_OK, 2, 3, 4, 5};
	struct fake_vhost *b = *state;

	b->device.config.pairs = 8;
	b->vhost.has_config = true;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_true(feature_has(b->acked, VIRTIO_NET_F_MQ));
	assert_int_equal(b->vport.max_pairs, 3); /* the configuration's word */
	assert_int_equal(b->vport.pairs, 3);
	fake_vhost_assert_calls(b, b->n - 7, calls, values, ARRAY_SIZE(calls));
	assert_int_equal(b->told_pairs, -1); /* nobody has any of them yet */
}

/* How many rings the peer is told of at first, which the failure at ring @refused ends. */
static void assert_refused_at(struct fake_vhost *b, int refused, int error)
{
	b->n = 0;
	b->fail_at = refused < 0 ? -1 : 3 + refused; /* after three moves of the status */
	b->error = error;
	assert_int_equal(fake_vhost_bring_up(b), refused < 0 ? 0 : error);
	if (refused >= 0) {
		/* the last but for FAILED, which who still hears is told */
		int last = b->n - 1 - (error == -EREMOTEIO);

		assert_int_equal(b->calls[last], SET_VRING_CALL);
		assert_int_equal(b->values[last], refused);
	}
}

static void assert_pairs(struct fake_vhost *b, unsigned int pairs)
{
	assert_refused_at(b, -1, 0);
	assert_int_equal(b->vport.pairs, pairs);
	device_forget(&b->device);
}

/* A peer that says rings and means them: half of them are pairs, from the next time on. */
static void test_pairs_counted_as_rings(void **state)
{
	struct fake_vhost *b = *state;

	b->device.config.pairs = 8;
	assert_refused_at(b, 4, -EREMOTEIO);
	assert_non_null(strstr(b->vhost.why, "counts rings"));
	device_forget(&b->device);
	assert_pairs(b, 2);
	assert_pairs(b, 2); /* for good, as long as it says the same */
	b->vhost.max_pairs = 6;
	assert_pairs(b, 6);
	b->vhost.max_pairs = 4;
	assert_pairs(b, 4);
	/* two at a time may be one too many */
	b->vhost.max_pairs = 3;
	assert_refused_at(b, 3, -EREMOTEIO);
	device_forget(&b->device);
	assert_pairs(b, 1);
	/* by the configuration it is known beforehand */
	b->vhost.has_config = true;
	b->config.max_virtqueue_pairs = htole16(2);
	b->vhost.max_pairs = 4;
	assert_pairs(b, 2);
}

/* Who hangs up there may have had another reason; who does so twice has not. */
static void test_pairs_counted_by_hang_ups(void **state)
{
	struct fake_vhost *b = *state;

	b->device.config.pairs = 8;
	assert_refused_at(b, 4, -ECONNRESET);
	device_forget(&b->device);
	assert_pairs(b, 4); /* it had; nothing is left of the suspicion */
	assert_refused_at(b, 4, -ECONNRESET);
	device_forget(&b->device);
	assert_refused_at(b, 5, -ECONNRESET);
	assert_non_null(strstr(b->vhost.why, "counts rings"));
	device_forget(&b->device);
	assert_pairs(b, 2);
}

static void guess_rings(struct fake_vhost *b)
{
	int i;

	b->device.config.pairs = 8;
	for (i = 0; i < 2; i++) {
		assert_refused_at(b, 4, -ECONNRESET);
		device_forget(&b->device);
	}
	assert_pairs(b, 2);
	assert_pairs(b, 2);
}

/* The guess is tried once more after a connection that lasted: it may have been wrong. */
static void test_guess_that_was_wrong(void **state)
{
	struct fake_vhost *b = *state;

	guess_rings(b);
	device_lasted(&b->device);
	assert_refused_at(b, 2, -ETIMEDOUT); /* says nothing of it */
	device_forget(&b->device);
	assert_pairs(b, 4);
	assert_int_equal(b->device.ring_signs, 0);
	assert_pairs(b, 4);
}

/* And once only, if it was right. */
static void test_guess_that_was_right(void **state)
{
	struct fake_vhost *b = *state;

	guess_rings(b);
	device_lasted(&b->device);
	assert_refused_at(b, 4, -ECONNRESET);
	assert_non_null(strstr(b->vhost.why, "counts rings"));
	device_forget(&b->device);
	assert_pairs(b, 2);
	device_lasted(&b->device);
	assert_pairs(b, 2);
}

/* So is what a refusal told: it may have had another reason. */
static void test_refusal_that_passed(void **state)
{
	struct fake_vhost *b = *state;

	b->device.config.pairs = 8;
	assert_refused_at(b, 2, -EREMOTEIO);
	device_forget(&b->device);
	assert_pairs(b, 1);
	assert_pairs(b, 1); /* that one did not last */
	device_lasted(&b->device);
	assert_refused_at(b, 2, -ETIMEDOUT); /* says nothing of it */
	device_forget(&b->device);
	assert_pairs(b, 4);
	assert_int_equal(b->device.refused_pairs, 0);
	assert_pairs(b, 4);
	/* the next one has a trial of its own, as has one of a ring beyond */
	assert_refused_at(b, 4, -EREMOTEIO);
	device_forget(&b->device);
	assert_pairs(b, 2);
	device_lasted(&b->device);
	assert_pairs(b, 4);
}

/* Two that come one soon after the other are no trial yet; the one that fails is the last. */
static void test_refusal_that_stays(void **state)
{
	struct fake_vhost *b = *state;
	int i;

	b->device.config.pairs = 8;
	assert_refused_at(b, 4, -EREMOTEIO);
	device_forget(&b->device);
	assert_refused_at(b, 2, -EREMOTEIO);
	device_forget(&b->device);
	assert_pairs(b, 1);
	device_lasted(&b->device);
	assert_refused_at(b, 6, -EREMOTEIO);
	device_forget(&b->device);
	for (i = 0; i < 2; i++) {
		assert_pairs(b, 3);
		device_lasted(&b->device);
	}
	/* as long as it says the same */
	b->vhost.max_pairs = 6;
	assert_pairs(b, 6);
	assert_refused_at(b, 6, -EREMOTEIO);
	device_forget(&b->device);
	assert_pairs(b, 3);
	device_lasted(&b->device);
	assert_pairs(b, 6);
}

/* A connection of fewer pairs than were refused is no trial. */
static void test_refusal_not_tried(void **state)
{
	struct fake_vhost *b = *state;

	b->device.config.pairs = 8;
	assert_refused_at(b, 4, -EREMOTEIO);
	device_forget(&b->device);
	device_lasted(&b->device);
	b->device.config.pairs = 2;
	assert_pairs(b, 2);
	assert_int_equal(b->device.refused_pairs, 2);
	b->device.config.pairs = 8;
	assert_pairs(b, 4);
	assert_int_equal(b->device.refused_pairs, 0);
}

/* A peer that says more pairs than it has: those before the one refused, from the next time on. */
static void test_pairs_that_lie(void **state)
{
	struct fake_vhost *b = *state;

	b->device.config.pairs = 4;
	b->vhost.max_pairs = 100;
	assert_refused_at(b, 5, -EREMOTEIO);
	assert_non_null(strstr(b->vhost.why, "fewer queue pairs than it says"));
	device_forget(&b->device);
	assert_pairs(b, 2);
	assert_pairs(b, 2);
	/* it may have been one ring too many again */
	assert_refused_at(b, 2, -EREMOTEIO);
	device_forget(&b->device);
	assert_pairs(b, 1);
	/* as long as it says the same */
	b->vhost.max_pairs = 3;
	assert_pairs(b, 3);
	b->vhost.max_pairs = 100;
	assert_pairs(b, 4);
}

/* What is refused for another reason costs no pair. */
static void test_pairs_refused(void **state)
{
	struct fake_vhost *b = *state;
	int i;

	b->device.config.pairs = 8;
	for (i = 0; i < 2; i++) {
		assert_refused_at(b, i, -EREMOTEIO); /* a ring that it must have */
		device_forget(&b->device);
		assert_refused_at(b, 2 + i, -ECONNRESET); /* of those that it says */
		device_forget(&b->device);
		assert_refused_at(b, 4, -ETIMEDOUT);
		device_forget(&b->device);
	}
	assert_pairs(b, 4);
	b->fail_at = 3 + 8; /* SET_FEATURES */
	b->error = -EREMOTEIO;
	b->n = 0;
	assert_int_equal(fake_vhost_bring_up(b), -EREMOTEIO);
	assert_int_equal(b->calls[b->n - 2], SET_FEATURES);
	device_forget(&b->device);
	assert_pairs(b, 4);
	/* one pair is what everyone has */
	b->device.config.pairs = 1;
	b->vhost.max_pairs = 1;
	assert_refused_at(b, 1, -EREMOTEIO);
	device_forget(&b->device);
	assert_pairs(b, 1);
	assert_int_equal(b->device.ring_signs, 0);
	assert_int_equal(b->device.refused_pairs, 0);
}

static void test_pairs_without_mq(void **state)
{
	struct fake_vhost *b = *state;

	b->device.config.pairs = 8;
	b->vhost.features &= ~FEATURE_NET(MQ);
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_int_equal(b->vport.pairs, 1);
}

static uint8_t set_pairs(struct fake_vhost *b, uint16_t n)
{
	uint16_t le = htole16(n);

	return fake_vhost_control(b, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le,
			      sizeof(le));
}

/* What is wanted is asked of the peer by whoever has the time, and shown to the workers. */
static void test_pairs_at_run_time(void **state)
{
	struct fake_vhost *b = *state;

	b->device.config.pairs = 3;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	b->n = 0;
	assert_int_equal(set_pairs(b, 1), VIRTIO_NET_OK);
	assert_int_equal(b->wanted_pairs, 1);
	assert_int_equal(b->n, 0);
	device_show_pairs(&b->device, 1);
	assert_int_equal(b->told_pairs, 0);
	assert_int_equal(b->active_when_told, 1);
	assert_int_equal(device_enable(&b->device, 1), 0);
	fake_vhost_assert_calls(b, 0, (enum call[]){DISABLE, DISABLE, DISABLE, DISABLE},
		     (unsigned int[]){2, 3, 4, 5}, 4);
	b->n = 0;
	assert_int_equal(device_enable(&b->device, 2), 0);
	fake_vhost_assert_calls(b, 0, (enum call[]){ENABLE, ENABLE}, (unsigned int[]){2, 3}, 2);
	assert_int_equal(b->vport.active_pairs, 1);
	device_show_pairs(&b->device, 2);
	assert_int_equal(b->told_pairs, 2);
	assert_int_equal(b->active_when_told, 2);
	b->n = 0;
	b->told_pairs = -1;
	device_show_pairs(&b->device, 2);
	assert_int_equal(device_enable(&b->device, 2), 0);
	assert_int_equal(set_pairs(b, 4), VIRTIO_NET_ERR); /* more than there are */
	assert_int_equal(b->wanted_pairs, 0);
	assert_int_equal(set_pairs(b, 0), VIRTIO_NET_ERR);
	assert_int_equal(b->wanted_pairs, 0);
	assert_int_equal(b->n, 0);
	assert_int_equal(b->told_pairs, -1);
	b->fail_at = 0;
	assert_int_equal(device_enable(&b->device, 3), -EREMOTEIO);
	assert_int_equal(b->vport.active_pairs, 2);
	assert_int_equal(b->device.draft.active_pairs, 2);
}

static void test_control(void **state)
{
	struct fake_vhost *b = *state;

	assert_int_equal(fake_vhost_control(b, VIRTIO_NET_CTRL_RX, 0, "\1", 1),
			 VIRTIO_NET_ERR); /* before DRIVER_OK */
	b->vhost.has_config = true;
	b->config.status = htole16(VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_int_equal(fake_vhost_control(b, VIRTIO_NET_CTRL_RX, 0, "\1", 1), VIRTIO_NET_OK);
	assert_true(b->vport.promisc);
	assert_false(b->vport.allmulti);
	assert_int_equal(fake_vhost_control(b, VIRTIO_NET_CTRL_RX, 1, "\1", 1), VIRTIO_NET_OK);
	assert_true(b->vport.allmulti);
	assert_int_equal(fake_vhost_control(b, VIRTIO_NET_CTRL_RX, 0, "\0", 1), VIRTIO_NET_OK);
	assert_false(b->vport.promisc);
	assert_int_equal(fake_vhost_control(b, VIRTIO_NET_CTRL_MAC, 1, "\2\1\1\1\1\1", 6),
			 VIRTIO_NET_OK);
	assert_memory_equal(b->vport.mac, "\2\1\1\1\1\1", 6);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	assert_int_equal(fake_vhost_control(b, VIRTIO_NET_CTRL_ANNOUNCE, 0, NULL, 0),
			 VIRTIO_NET_OK);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(set_pairs(b, 1), VIRTIO_NET_ERR); /* MQ was not negotiated */
	assert_int_equal(fake_vhost_control(b, 77, 0, NULL, 0), VIRTIO_NET_ERR);
	device_forget(&b->device);
	assert_false(b->vport.allmulti);
}

#define COMMAND(class, command) VIRTIO_NET_CTRL_##class, VIRTIO_NET_CTRL_##class##_##command

/* The peer has no control queue: of what a command means it is told the pairs, and nothing else. */
static void test_commands_without_messages(void **state)
{
	static const struct {
		uint8_t class, command;
		const char *data;
		size_t len;
		uint8_t ack;
	} table[] = {
		{COMMAND(RX, PROMISC), "\1", 1, VIRTIO_NET_OK},
		{COMMAND(RX, ALLMULTI), "\1", 1, VIRTIO_NET_OK},
		{COMMAND(RX, ALLUNI), "\1", 1, VIRTIO_NET_OK},
		{COMMAND(RX, NOMULTI), "\1", 1, VIRTIO_NET_OK},
		{COMMAND(RX, NOUNI), "\1", 1, VIRTIO_NET_OK},
		{COMMAND(RX, NOBCAST), "\1", 1, VIRTIO_NET_OK},
		{COMMAND(RX, NOBCAST), "\2", 1, VIRTIO_NET_ERR},
		{COMMAND(MAC, TABLE_SET), "\1\0\0\0\2\2\2\2\2\2\0\0\0\0", 14, VIRTIO_NET_OK},
		{COMMAND(MAC, TABLE_SET), "\1\0\0\0", 4, VIRTIO_NET_ERR},
		{COMMAND(MAC, ADDR_SET), "\2\1\1\1\1\1", 6, VIRTIO_NET_OK},
		{COMMAND(MAC, ADDR_SET), "\1\1\1\1\1\1", 6, VIRTIO_NET_ERR},
		{COMMAND(VLAN, ADD), "\7\0", 2, VIRTIO_NET_OK},
		{COMMAND(VLAN, DEL), "\7\0", 2, VIRTIO_NET_OK},
		{COMMAND(VLAN, ADD), "\0\x10", 2, VIRTIO_NET_ERR},
		{COMMAND(ANNOUNCE, ACK), "", 0, VIRTIO_NET_OK},
		{COMMAND(MQ, VQ_PAIRS_SET), "\4\0", 2, VIRTIO_NET_ERR},
		{COMMAND(MQ, RSS_CONFIG), "\1\0", 2, VIRTIO_NET_ERR},
		{COMMAND(MQ, HASH_CONFIG), "\1\0", 2, VIRTIO_NET_ERR},
		{COMMAND(GUEST_OFFLOADS, SET), "\0\0\0\0\0\0\0\0", 8, VIRTIO_NET_ERR},
	};
	struct fake_vhost *b = *state;
	size_t i;

	b->device.config.pairs = 3;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_int_equal(b->vport.pairs, 3);
	b->n = 0;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(fake_vhost_control(b, table[i].class, table[i].command,
						    table[i].data, table[i].len),
				 table[i].ack);
		assert_int_equal(b->wanted_pairs, 0);
		assert_int_equal(b->n, 0);
	}
}

/* What SET_VRING_ENABLE is told for the one command that has messages. */
static void test_pairs_and_their_messages(void **state)
{
	static const struct {
		uint16_t pairs;
		int n;
		enum call calls[4];
		unsigned int rings[4];
	} table[] = {
		{1, 4, {DISABLE, DISABLE, DISABLE, DISABLE}, {2, 3, 4, 5}},
		{2, 2, {ENABLE, ENABLE}, {2, 3}},
		{2, 0, {0}, {0}},
		{3, 2, {ENABLE, ENABLE}, {4, 5}},
		{2, 2, {DISABLE, DISABLE}, {4, 5}},
	};
	struct fake_vhost *b = *state;
	size_t i;

	b->device.config.pairs = 3;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		b->n = 0;
		assert_int_equal(set_pairs(b, table[i].pairs), VIRTIO_NET_OK);
		assert_int_equal(b->wanted_pairs, table[i].pairs);
		assert_int_equal(b->n, 0); /* whoever has the time asks the peer */
		assert_int_equal(device_enable(&b->device, b->wanted_pairs), 0);
		fake_vhost_assert_calls(b, 0, table[i].calls, table[i].rings, table[i].n);
	}
}

static void test_without_control_queue(void **state)
{
	struct fake_vhost *b = *state;
	unsigned int changes;

	b->device.config.features &= ~FEATURE_NET(CTRL_VQ);
	b->device.config.pairs = 2;
	b->vhost.has_config = true;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_int_equal(b->vport.pairs, 1); /* MQ needs it */
	assert_int_equal(fake_vhost_control(b, VIRTIO_NET_CTRL_RX, 0, "\1", 1),
			 VIRTIO_NET_ERR);
	b->config.status |= htole16(VIRTIO_NET_S_ANNOUNCE);
	assert_int_equal(fake_vhost_refresh(b, &changes), 0);
	assert_int_equal(changes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_vhost_setup, fake_vhost_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_several_pairs),
		TEST(test_pairs_counted_as_rings),
		TEST(test_pairs_counted_by_hang_ups),
		TEST(test_guess_that_was_wrong),
		TEST(test_guess_that_was_right),
		TEST(test_refusal_that_passed),
		TEST(test_refusal_that_stays),
		TEST(test_refusal_not_tried),
		TEST(test_pairs_that_lie),
		TEST(test_pairs_refused),
		TEST(test_pairs_without_mq),
		TEST(test_pairs_at_run_time),
		TEST(test_control),
		TEST(test_commands_without_messages),
		TEST(test_pairs_and_their_messages),
		TEST(test_without_control_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
