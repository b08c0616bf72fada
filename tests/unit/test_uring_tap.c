/* SPDX-License-Identifier: GPL-2.0-or-later */
/* io_uring on a TAP in a network namespace of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "net/tap.h"
#include "uring_rig.h"

struct tap_bench {
	struct uring_rig *b;
	struct rtnl *rt;
	struct kport *kp;
	int sock;
};

static struct sockaddr_ll address(const struct tap_bench *t)
{
	return (struct sockaddr_ll){.sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = (int)t->kp->ifindex};
}

static void tap_begin(struct tap_bench *t, void **state)
{
	const struct tap_config cfg = {.name = "vnet0", .pairs = 1};
	struct sockaddr_ll sll;
	int on = 1, size = 1 << 20;

	t->b = *state;
	assert_int_equal(netns_new(NULL), 0);
	assert_int_equal(rtnl_open(&t->rt), 0);
	assert_int_equal(tap_open(&cfg, &t->kp, NULL), 0);
	assert_int_equal(uring_open(&t->b->io, t->kp, 0), 0);
	assert_int_equal(rtnl_set_mtu(t->rt, t->kp->ifindex, 2000), 0);
	assert_int_equal(rtnl_set_up(t->rt, t->kp->ifindex, true), 0);
	assert_int_equal(t->kp->ops->set_carrier(t->kp, true), 0);
	t->sock = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(t->sock >= 0);
	assert_int_equal(setsockopt(t->sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), 0);
	assert_int_equal(setsockopt(t->sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)),
			 0);
	sll = address(t);
	assert_int_equal(bind(t->sock, (struct sockaddr *)&sll, sizeof(sll)), 0);
}

static void tap_end(struct tap_bench *t)
{
	close(t->sock);
	io_close(t->b->io);
	t->b->io = NULL;
	t->kp->ops->close(t->kp);
	rtnl_close(t->rt);
}

/* An Ethernet frame that no protocol takes, with its number in it. */
static uint32_t ether(uint8_t *p, uint32_t number)
{
	uint32_t len = 60 + number % 1400;

	memset(p, (int)number, len);
	memset(p, 0xff, ETH_ALEN);
	p[6] = 2;
	p[12] = 0x88;
	p[13] = 0xb5;
	memcpy(p + 14, &number, sizeof(number));
	return len;
}

static void assert_ether(const uint8_t *p, size_t len, uint32_t number)
{
	uint8_t expected[URING_RIG_ROOM];

	assert_int_equal(len, ether(expected, number));
	assert_memory_equal(p, expected, len);
}

static void fill_ether(struct uring_rig *b, uint32_t from)
{
	uint32_t i;

	for (i = 0; i < IO_BATCH; i++) {
		struct frame *f = uring_rig_lay_out(b, i, 20, ether(b->bytes[i], from + i));

		memset(&f->hdr, 0, sizeof(f->hdr));
	}
}

static void tap_sends(void **state)
{
	struct tap_bench t;
	uint8_t buf[URING_RIG_ROOM];
	uint32_t round, i;

	tap_begin(&t, state);
	for (round = 0; round < 20; round++) {
		fill_ether(t.b, round * IO_BATCH);
		assert_int_equal(uring_rig_send(t.b, IO_BATCH), IO_BATCH);
		for (i = 0; i < IO_BATCH; i++) {
			ssize_t n = recv(t.sock, buf, sizeof(buf), 0);

			assert_true(n > 0);
			assert_int_equal(t.b->errors[i], 0);
			assert_ether(buf, (size_t)n, round * IO_BATCH + i);
		}
	}
	tap_end(&t);
}

static void tap_receives(void **state)
{
	struct tap_bench t;
	struct sockaddr_ll sll;
	uint8_t buf[URING_RIG_ROOM];
	uint32_t round, i;

	tap_begin(&t, state);
	sll = address(&t);
	assert_int_equal(uring_rig_receive(t.b, IO_BATCH), 0);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < IO_BATCH; i++) {
			ssize_t len = ether(buf, round * IO_BATCH + i);

			assert_int_equal(sendto(t.sock, buf, (size_t)len, 0,
						(struct sockaddr *)&sll, sizeof(sll)),
					 len);
		}
		assert_int_equal(uring_rig_receive(t.b, IO_BATCH), IO_BATCH);
		for (i = 0; i < IO_BATCH; i++)
			assert_ether(t.b->bytes[i], t.b->frames[i].len, round * IO_BATCH + i);
		assert_int_equal(uring_rig_receive(t.b, IO_BATCH), 0);
	}
	tap_end(&t);
}

static void tap_errors(void **state)
{
	struct tap_bench t;
	uint32_t i;

	tap_begin(&t, state);
	fill_ether(t.b, 0);
	t.b->frames[5].hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	t.b->frames[5].hdr.csum_start = 5000;
	assert_int_equal(uring_rig_send(t.b, IO_BATCH), IO_BATCH);
	for (i = 0; i < IO_BATCH; i++)
		assert_int_equal(t.b->errors[i], i == 5 ? EINVAL : 0);
	assert_int_equal(rtnl_set_up(t.rt, t.kp->ifindex, false), 0);
	fill_ether(t.b, 0);
	assert_int_equal(uring_rig_send(t.b, IO_BATCH), IO_BATCH);
	for (i = 0; i < IO_BATCH; i++)
		assert_int_equal(t.b->errors[i], EIO);
	assert_int_equal(uring_rig_receive(t.b, IO_BATCH), 0);
	assert_int_equal(rtnl_delete(t.rt, t.kp->ifindex), 0);
	assert_int_equal(uring_rig_receive(t.b, IO_BATCH), -EBADFD);
	tap_end(&t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, uring_rig_setup, uring_rig_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(tap_sends),
		TEST(tap_receives),
		TEST(tap_errors),
	};
	int r = rig_uring_unavailable();

	if (!r)
		r = netns_unavailable();
	return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
