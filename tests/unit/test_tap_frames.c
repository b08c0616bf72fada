/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *   kport_send    → TAP → packet socket (what the kernel got)
 *   kport_receive ← TAP ← packet socket (what the kernel sends)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "base/util.h"
#include "net/tap.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define BATCH	  4u
#define HEADERS	  (ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr))
#define SUPER	  (ETH_HLEN + 65535u) /* the longest IPv4 packet */
#define SUPER_OUT 65535u /* the kernel segments what is not below gso_max_size, 65536 */
#define MSS	  1448u

/* One queue of a TAP that is up with carrier, and a packet socket on it. */
struct bench {
	struct rtnl *rt;
	struct kport *kp;
	int sock;
	struct frame frames[BATCH];
	struct iovec iov[BATCH][3];
	uint8_t bytes[BATCH][FRAME_LEN_MAX];
	uint8_t packet[sizeof(struct virtio_net_hdr) + FRAME_LEN_MAX];
};

static struct bench *bench_open(unsigned int mtu)
{
	const struct tap_config cfg = { .name = "vnet0", .pairs = 1 };
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct bench *b = calloc(1, sizeof(*b));
	int on = 1;

	assert_non_null(b);
	assert_int_equal(rtnl_open(&b->rt), 0);
	assert_int_equal(tap_open(&cfg, &b->kp, NULL), 0);
	assert_int_equal(rtnl_set_mtu(b->rt, b->kp->ifindex, mtu), 0);
	assert_int_equal(rtnl_set_up(b->rt, b->kp->ifindex, true), 0);
	assert_int_equal(b->kp->ops->set_carrier(b->kp, true), 0);
	b->sock = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(b->sock >= 0);
	assert_int_equal(setsockopt(b->sock, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(b->sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)),
			 0);
	sll.sll_ifindex = (int)b->kp->ifindex;
	assert_int_equal(bind(b->sock, (struct sockaddr *)&sll, sizeof(sll)), 0);
	return b;
}

static void bench_close(struct bench *b)
{
	close(b->sock);
	b->kp->ops->close(b->kp);
	rtnl_close(b->rt);
	free(b);
}

/* Frame @i of @len bytes that no protocol takes, different for each @seed. */
static struct frame *bench_fill(struct bench *b, unsigned int i, uint32_t len, unsigned int seed)
{
	struct frame *f = &b->frames[i];
	uint32_t k;

	for (k = 0; k < len; k++)
		b->bytes[i][k] = (uint8_t)(k * 7 + seed + (k >> 8));
	memset(b->bytes[i], 0xff, ETH_ALEN);
	b->bytes[i][12] = 0x88; /* local experimental ethertype */
	b->bytes[i][13] = 0xb5;
	frame_init(f, b->iov[i], 3, sizeof(f->hdr));
	memset(&f->hdr, 0, sizeof(f->hdr));
	f->iov[1] = (struct iovec){ b->bytes[i], len };
	f->iovcnt = 2;
	f->len = len;
	return f;
}

/* Room for one frame of @len bytes, in two pieces, with a header full of rubbish. */
static struct frame *bench_room(struct bench *b, unsigned int i, uint32_t len)
{
	struct frame *f = &b->frames[i];
	uint32_t first = len / 3;

	memset(b->bytes[i], 0, sizeof(b->bytes[i]));
	frame_init(f, b->iov[i], 3, sizeof(f->hdr));
	memset(&f->hdr, 0xee, sizeof(f->hdr));
	f->iov[1] = (struct iovec){ b->bytes[i], first };
	f->iov[2] = (struct iovec){ b->bytes[i] + first, len - first };
	f->iovcnt = 3;
	f->len = len;
	return f;
}

/* One frame as the kernel got it: in b->packet, after a header of 10 bytes; its length or 0. */
static size_t kernel_got(struct bench *b)
{
	ssize_t n = recv(b->sock, b->packet, sizeof(b->packet), 0);

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	return (size_t)n - sizeof(struct virtio_net_hdr);
}

static void kernel_sends(struct bench *b, const struct virtio_net_hdr *hdr, const uint8_t *bytes,
			 size_t len)
{
	memcpy(b->packet, hdr, sizeof(*hdr));
	memcpy(b->packet + sizeof(*hdr), bytes, len);
	assert_int_equal(send(b->sock, b->packet, sizeof(*hdr) + len, 0), sizeof(*hdr) + len);
}

static uint16_t checksum_add(uint32_t sum, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t pseudo_header(const struct iphdr *ip, size_t tcp_len)
{
	return checksum_add(IPPROTO_TCP + (uint32_t)tcp_len, (const uint8_t *)&ip->saddr, 8);
}

/* A TCP superframe of @len bytes in frame @i, checksum left to whoever segments it. */
static struct frame *bench_fill_tcp(struct bench *b, unsigned int i, uint32_t len)
{
	struct frame *f = bench_fill(b, i, len, 3);
	struct iphdr ip = {
		.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP,
		.tot_len = htons((uint16_t)(len - ETH_HLEN)),
		.saddr = htonl(0x0a000001), .daddr = htonl(0x0a000002),
	};
	struct tcphdr tcp = { .source = htons(1000), .dest = htons(2000), .doff = 5, .ack = 1 };

	ip.check = htons((uint16_t)~checksum_add(0, (uint8_t *)&ip, sizeof(ip)));
	tcp.check = htons(checksum_add(pseudo_header(&ip, len - ETH_HLEN - sizeof(ip)), NULL, 0));
	b->bytes[i][12] = 0x08;
	b->bytes[i][13] = 0x00;
	memcpy(b->bytes[i] + ETH_HLEN, &ip, sizeof(ip));
	memcpy(b->bytes[i] + ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp));
	f->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->hdr.csum_start = htole16(ETH_HLEN + sizeof(ip));
	f->hdr.csum_offset = htole16(offsetof(struct tcphdr, check));
	f->hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	f->hdr.gso_size = htole16(MSS);
	f->hdr.hdr_len = htole16(HEADERS);
	return f;
}

static void assert_tcp_checksum(const uint8_t *bytes, size_t len)
{
	struct iphdr ip;

	memcpy(&ip, bytes + ETH_HLEN, sizeof(ip));
	len -= ETH_HLEN + sizeof(ip);
	assert_int_equal(checksum_add(pseudo_header(&ip, len), bytes + ETH_HLEN + sizeof(ip), len),
			 0xffff);
}

/* --- towards the kernel ------------------------------------------------- */

static void test_send(void **state)
{
	static const uint32_t lens[] = { 14, 60, 64, 1514, 4096, 9014, 9018 };
	struct bench *b = bench_open(9000);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		bench_fill(b, 0, lens[i], (unsigned int)i);
		assert_int_equal(kport_send(b->kp, 0, b->frames, 1), 1);
		assert_int_equal(kernel_got(b), lens[i]);
		assert_memory_equal(b->packet + 10, b->bytes[0], lens[i]);
	}
	bench_close(b);
}

static void test_send_batch(void **state)
{
	struct bench *b = bench_open(1500);
	unsigned int i;

	(void)state;
	for (i = 0; i < BATCH; i++)
		bench_fill(b, i, 100 + i, i);
	assert_int_equal(kport_send(b->kp, 0, b->frames, BATCH), BATCH);
	for (i = 0; i < BATCH; i++) {
		assert_int_equal(kernel_got(b), 100 + i);
		assert_memory_equal(b->packet + 10, b->bytes[i], 100 + i);
	}
	assert_int_equal(kernel_got(b), 0);
	assert_int_equal(kport_send(b->kp, 0, b->frames, 0), 0);
	bench_close(b);
}

static void test_send_stops_at_error(void **state)
{
	struct bench *b = bench_open(1500);
	unsigned int i;

	(void)state;
	for (i = 0; i < BATCH; i++)
		bench_fill(b, i, 100, i);
	b->frames[2].hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	b->frames[2].hdr.csum_start = htole16(0xfff0);
	assert_int_equal(kport_send(b->kp, 0, b->frames, BATCH), 2);
	assert_int_equal(kport_send(b->kp, 0, b->frames + 2, 2), -EINVAL);
	assert_int_equal(kport_send(b->kp, 0, b->frames + 3, 1), 1);
	assert_int_equal(kernel_got(b), 100);
	assert_int_equal(kernel_got(b), 100);
	assert_int_equal(kernel_got(b), 100);
	assert_memory_equal(b->packet + 10, b->bytes[3], 100);
	assert_int_equal(kernel_got(b), 0);
	bench_close(b);
}

static void test_send_superframe(void **state)
{
	struct bench *b = bench_open(1500);
	struct virtio_net_hdr hdr;

	(void)state;
	bench_fill_tcp(b, 0, SUPER);
	assert_int_equal(kport_send(b->kp, 0, b->frames, 1), 1);
	assert_int_equal(kernel_got(b), SUPER);
	memcpy(&hdr, b->packet, sizeof(hdr));
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(hdr.gso_size, MSS);
	assert_memory_equal(b->packet + 10, b->bytes[0], SUPER);
	/* segments of no size */
	b->frames[0].hdr.gso_size = 0;
	assert_int_equal(kport_send(b->kp, 0, b->frames, 1), -EINVAL);
	bench_close(b);
}

/* One datagram whose fragments the kernel may make (GSO_UDP): it comes whole to who is here. */
static void test_send_long_datagram(void **state)
{
	const uint32_t len = ETH_HLEN + sizeof(struct iphdr) + 3000;
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct bench *b = bench_open(1500);
	struct frame *f = bench_fill_tcp(b, 0, len);
	int plain = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));

	(void)state;
	assert_true(plain >= 0);
	sll.sll_ifindex = (int)b->kp->ifindex;
	assert_int_equal(bind(plain, (struct sockaddr *)&sll, sizeof(sll)), 0);
	b->bytes[0][ETH_HLEN + offsetof(struct iphdr, protocol)] = IPPROTO_UDP;
	f->hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	f->hdr.csum_offset = htole16(6); /* of UDP */
	assert_int_equal(kport_send(b->kp, 0, b->frames, 1), 1);
	assert_int_equal(recv(plain, b->packet, sizeof(b->packet), 0), len);
	assert_memory_equal(b->packet, b->bytes[0], len);
	close(plain);
	bench_close(b);
}

static void test_send_when_down(void **state)
{
	struct bench *b = bench_open(1500);

	(void)state;
	bench_fill(b, 0, 100, 0);
	assert_int_equal(rtnl_set_up(b->rt, b->kp->ifindex, false), 0);
	assert_int_equal(kport_send(b->kp, 0, b->frames, 1), -EIO);
	bench_room(b, 0, 1514);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, 1), 0);
	assert_int_equal(rtnl_delete(b->rt, b->kp->ifindex), 0);
	assert_int_equal(kport_send(b->kp, 0, b->frames, 1), -EBADFD);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, 1), -EBADFD);
	bench_close(b);
}

/* --- from the kernel ---------------------------------------------------- */

static void test_receive(void **state)
{
	static const uint32_t lens[] = { 60, 64, 1514, 4096, 9014 };
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(9000);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		bench_fill(b, 1, lens[i], (unsigned int)i);
		kernel_sends(b, &hdr, b->bytes[1], lens[i]);
		bench_room(b, 0, 9018);
		assert_int_equal(kport_receive(b->kp, 0, b->frames, 1), 1);
		assert_int_equal(b->frames[0].len, lens[i]);
		assert_memory_equal(b->bytes[0], b->bytes[1], lens[i]);
		assert_int_equal(b->frames[0].hdr.flags, 0);
		assert_int_equal(b->frames[0].hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(b->frames[0].hdr.num_buffers, 0);
	}
	assert_int_equal(kport_receive(b->kp, 0, b->frames, 1), 0);
	bench_close(b);
}

/* A read that fails among others is told once. */
static void test_receive_fails(void **state)
{
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(1500);
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		bench_fill(b, 3, 100 + i, i);
		kernel_sends(b, &hdr, b->bytes[3], 100 + i);
	}
	for (i = 0; i < BATCH; i++)
		bench_room(b, i, 1514);
	b->frames[1].iov = (struct iovec *)8;
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), 1);
	assert_int_equal(b->frames[0].len, 100);
	bench_room(b, 1, 1514);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), -EFAULT);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), 2);
	assert_int_equal(b->frames[1].len, 102);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), 0);
	bench_close(b);
}

static void test_receive_batch(void **state)
{
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(1500);
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		bench_fill(b, i, 200 + i, i);
		kernel_sends(b, &hdr, b->bytes[i], 200 + i);
	}
	for (i = 0; i < BATCH; i++)
		bench_room(b, i, 1514);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(b->frames[i].len, 200 + i);
		assert_int_equal(b->bytes[i][100], (uint8_t)(700 + i));
	}
	bench_close(b);
}

/* What does not fit is cut off: the room's size is the caller's care. */
static void test_receive_cut(void **state)
{
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(1500);

	(void)state;
	bench_fill(b, 1, 1000, 0);
	kernel_sends(b, &hdr, b->bytes[1], 1000);
	bench_room(b, 0, 600);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, 1), 1);
	assert_int_equal(b->frames[0].len, 600);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, 1), 0);
	bench_close(b);
}

/* The kernel sends a superframe of @len bytes; returns how many frames that gives. */
static unsigned int superframe(struct bench *b, uint32_t len)
{
	struct virtio_net_hdr hdr;
	unsigned int n = 0;

	bench_fill_tcp(b, 1, len);
	memcpy(&hdr, &b->frames[1].hdr, sizeof(hdr));
	kernel_sends(b, &hdr, b->bytes[1], len);
	bench_room(b, 0, FRAME_LEN_MAX);
	while (kport_receive(b->kp, 0, b->frames, 1) == 1) {
		n++;
		if (!(b->frames[0].hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
			assert_tcp_checksum(b->bytes[0], b->frames[0].len);
	}
	return n;
}

static unsigned int superframe_as(struct bench *b, uint64_t features, uint32_t len)
{
	assert_int_equal(b->kp->ops->set_offload(b->kp, features), 0);
	return superframe(b, len);
}

static void test_receive_by_offload(void **state)
{
	const uint64_t csum = UINT64_C(1) << VIRTIO_NET_F_CSUM;
	const uint64_t tso = csum | UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4;
	struct bench *b = bench_open(1500);
	const struct virtio_net_hdr_v1 *hdr = &b->frames[0].hdr;
	uint32_t len = HEADERS + 10 * MSS;

	(void)state;
	/* probing leaves no offload on */
	assert_int_equal(superframe(b, len), 10);
	assert_int_equal(hdr->flags, 0);
	assert_int_equal(superframe_as(b, csum, len), 10);
	assert_int_equal(hdr->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(superframe_as(b, tso, SUPER_OUT), 1);
	assert_int_equal(b->frames[0].len, SUPER_OUT);
	assert_int_equal(hdr->gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(le16toh(hdr->gso_size), MSS);
	assert_int_equal(le16toh(hdr->csum_start), ETH_HLEN + sizeof(struct iphdr));
	assert_int_equal(hdr->num_buffers, 0);
	assert_int_equal(superframe_as(b, 0, len), 10);
	assert_int_equal(hdr->flags, 0);
	/* segmentation without checksums is none */
	assert_int_equal(superframe_as(b, tso & ~csum, len), 10);
	bench_close(b);
}

static void test_overflows(void **state)
{
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(1500);
	uint64_t count = 99;
	unsigned int i;

	(void)state;
	assert_int_equal(b->kp->ops->get_overflows(b->kp, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(rtnl_set_txqlen(b->rt, b->kp->ifindex, 4), 0);
	bench_fill(b, 1, 100, 0);
	for (i = 0; i < 10; i++) {
		memcpy(b->packet, &hdr, sizeof(hdr));
		memcpy(b->packet + sizeof(hdr), b->bytes[1], 100);
		/* the kernel may tell the sender of the drop */
		if (send(b->sock, b->packet, sizeof(hdr) + 100, 0) < 0)
			assert_int_equal(errno, ENOBUFS);
	}
	assert_int_equal(b->kp->ops->get_overflows(b->kp, &count), 0);
	assert_int_equal(count, 6);
	for (i = 0; i < BATCH; i++)
		bench_room(b, i, 1514);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), 4);
	bench_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_send),
		NETNS_TEST(test_send_batch),
		NETNS_TEST(test_send_stops_at_error),
		NETNS_TEST(test_send_superframe),
		NETNS_TEST(test_send_long_datagram),
		NETNS_TEST(test_send_when_down),
		NETNS_TEST(test_receive),
		NETNS_TEST(test_receive_batch),
		NETNS_TEST(test_receive_fails),
		NETNS_TEST(test_receive_cut),
		NETNS_TEST(test_receive_by_offload),
		NETNS_TEST(test_overflows),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
