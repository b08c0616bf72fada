/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *   kport_send    → hidden end → vnet0 → packet socket (what the kernel got)
 *   kport_receive ← hidden end ← vnet0 ← packet socket (what the kernel sends)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "base/util.h"
#include "net/packet.h"
#include "net/packet_io.h"

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

/* A pair whose carrier is on, and a packet socket on the user's end. */
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
	const struct packet_config cfg = { .name = "vnet0" };
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct bench *b = calloc(1, sizeof(*b));
	int on = 1;

	assert_non_null(b);
	assert_int_equal(rtnl_open(&b->rt), 0);
	assert_int_equal(packet_open(&cfg, &b->kp, NULL), 0);
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

/* A tag in front of frame @i's ethertype, priority 1, VLAN 7; the offsets move along. */
static void bench_tag(struct bench *b, unsigned int i)
{
	static const uint8_t tag[] = { 0x81, 0x00, 0x20, 0x07 };
	struct frame *f = &b->frames[i];

	memmove(b->bytes[i] + 16, b->bytes[i] + 12, f->len - 12);
	memcpy(b->bytes[i] + 12, tag, sizeof(tag));
	f->len += sizeof(tag);
	f->iov[1].iov_len = f->len;
	if (f->hdr.flags)
		f->hdr.csum_start = htole16(le16toh(f->hdr.csum_start) + sizeof(tag));
	if (f->hdr.hdr_len)
		f->hdr.hdr_len = htole16(le16toh(f->hdr.hdr_len) + sizeof(tag));
}

/* Room for all frames, with the header that the port wants. */
static int receive(struct bench *b, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		bench_room(b, i, FRAME_LEN_MAX);
		b->iov[i][0].iov_len = b->kp->hdr_len;
	}
	return kport_receive(b->kp, 0, b->frames, n);
}

static int send_first(struct bench *b, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		b->iov[i][0].iov_len = b->kp->hdr_len;
	return kport_send(b->kp, 0, b->frames, n);
}

/* --- towards the kernel ------------------------------------------------- */

static void test_send(void **state)
{
	static const uint32_t lens[] = { 14, 60, 64, 1514, 4096, 9014, 65549 };
	struct bench *b = bench_open(65535);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		bench_fill(b, 0, lens[i], (unsigned int)i);
		assert_int_equal(send_first(b, 1), 1);
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
	assert_int_equal(send_first(b, BATCH), BATCH);
	for (i = 0; i < BATCH; i++) {
		assert_int_equal(kernel_got(b), 100 + i);
		assert_memory_equal(b->packet + 10, b->bytes[i], 100 + i);
	}
	assert_int_equal(kernel_got(b), 0);
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
	assert_int_equal(send_first(b, BATCH), 2);
	assert_int_equal(kport_send(b->kp, 0, b->frames + 2, 2), -EINVAL);
	assert_int_equal(kport_send(b->kp, 0, b->frames + 3, 1), 1);
	for (i = 0; i < 3; i++)
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
	assert_int_equal(send_first(b, 1), 1);
	assert_int_equal(kernel_got(b), SUPER);
	memcpy(&hdr, b->packet, sizeof(hdr));
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(hdr.gso_size, MSS);
	assert_memory_equal(b->packet + 10, b->bytes[0], SUPER);
	b->frames[0].hdr.gso_size = 0;
	assert_int_equal(send_first(b, 1), -EINVAL);
	bench_close(b);
}

/* The kernel takes the tag out; a VLAN interface on the user's end gets the frame. */
static void test_send_tagged(void **state)
{
	struct bench *b = bench_open(1500);
	uint8_t sent[2000];

	(void)state;
	bench_fill(b, 0, 1514, 5);
	memcpy(sent, b->bytes[0], 1514);
	bench_tag(b, 0);
	assert_int_equal(send_first(b, 1), 1);
	assert_int_equal(kernel_got(b), 1514);
	assert_memory_equal(b->packet + 10, sent, 1514);
	bench_fill_tcp(b, 0, HEADERS + 10 * MSS);
	bench_tag(b, 0);
	assert_int_equal(send_first(b, 1), 1);
	assert_int_equal(kernel_got(b), HEADERS + 10 * MSS);
	bench_close(b);
}

static void test_down_and_up(void **state)
{
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(1500);
	int r;

	(void)state;
	bench_fill(b, 0, 100, 0);
	assert_int_equal(b->kp->ops->set_carrier(b->kp, false), 0);
	assert_int_equal(receive(b, 1), 0);
	bench_fill(b, 0, 100, 0);
	assert_int_equal(send_first(b, 1), -EIO);
	/* the errno of having been down is not the first frame's, in either direction */
	assert_int_equal(b->kp->ops->set_carrier(b->kp, true), 0);
	assert_int_equal(send_first(b, 1), 1);
	assert_int_equal(b->kp->ops->set_carrier(b->kp, false), 0);
	assert_int_equal(b->kp->ops->set_carrier(b->kp, true), 0);
	kernel_sends(b, &hdr, b->bytes[0], 100);
	assert_int_equal(receive(b, 1), 1);
	/* the user's end down: our own end may know by now that it has no carrier */
	assert_int_equal(rtnl_set_up(b->rt, b->kp->ifindex, false), 0);
	bench_fill(b, 0, 100, 0);
	r = send_first(b, 1);
	assert_true(r == -EIO || r == -ENOBUFS);
	assert_int_equal(rtnl_set_up(b->rt, b->kp->ifindex, true), 0);
	assert_int_equal(send_first(b, 1), 1);
	assert_int_equal(rtnl_delete(b->rt, b->kp->ifindex), 0);
	assert_true(send_first(b, 1) < 0);
	assert_int_equal(receive(b, 1), 0);
	bench_close(b);
}

/* --- from the kernel ---------------------------------------------------- */

static void test_receive(void **state)
{
	static const uint32_t lens[] = { 60, 64, 1514, 4096, 9014, 65549 };
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(65535);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		bench_fill(b, 1, lens[i], (unsigned int)i);
		kernel_sends(b, &hdr, b->bytes[1], lens[i]);
		assert_int_equal(receive(b, 1), 1);
		assert_int_equal(b->frames[0].len, lens[i]);
		assert_memory_equal(b->bytes[0], b->bytes[1], lens[i]);
		assert_int_equal(b->frames[0].hdr.flags, 0);
		assert_int_equal(b->frames[0].hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(b->frames[0].hdr.num_buffers, 0);
	}
	assert_int_equal(receive(b, 1), 0);
	bench_close(b);
}

/* A read that fails among others costs its own frame, and is told once. */
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
	b->iov[1][1].iov_base = (void *)8;
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), 1);
	assert_int_equal(b->frames[0].len, 100);
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), -EFAULT);
	assert_int_equal(receive(b, BATCH), 1);
	assert_int_equal(b->frames[0].len, 102);
	bench_close(b);
}

static void test_receive_tagged(void **state)
{
	static const uint32_t lens[] = { 60, 1514, 9014 };
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(9000);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		bench_fill(b, 1, lens[i], (unsigned int)i);
		bench_tag(b, 1);
		kernel_sends(b, &hdr, b->bytes[1], lens[i] + 4);
		assert_int_equal(receive(b, 1), 1);
		assert_int_equal(b->frames[0].len, lens[i] + 4);
		assert_memory_equal(b->bytes[0], b->bytes[1], lens[i] + 4);
	}
	/* with a service tag */
	bench_fill(b, 1, 100, 0);
	bench_tag(b, 1);
	b->bytes[1][12] = 0x88;
	b->bytes[1][13] = 0xa8;
	kernel_sends(b, &hdr, b->bytes[1], 104);
	assert_int_equal(receive(b, 1), 1);
	assert_memory_equal(b->bytes[0], b->bytes[1], 104);
	bench_close(b);
}

/* The kernel sends a superframe of @len bytes; returns how many frames that gives. */
static unsigned int superframe(struct bench *b, uint32_t len, bool tagged)
{
	struct virtio_net_hdr hdr;
	unsigned int n = 0;

	bench_fill_tcp(b, 1, len);
	if (tagged)
		bench_tag(b, 1);
	memcpy(&hdr, &b->frames[1].hdr, sizeof(hdr));
	kernel_sends(b, &hdr, b->bytes[1], b->frames[1].len);
	bench_room(b, 0, FRAME_LEN_MAX);
	b->iov[0][0].iov_len = b->kp->hdr_len;
	while (kport_receive(b->kp, 0, b->frames, 1) == 1) {
		n++;
		if (!tagged && !(b->frames[0].hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
			assert_tcp_checksum(b->bytes[0], b->frames[0].len);
	}
	return n;
}

static unsigned int superframe_as(struct bench *b, uint64_t features, uint32_t len, bool tagged)
{
	assert_int_equal(b->kp->ops->set_offload(b->kp, features), 0);
	return superframe(b, len, tagged);
}

#define CSUM (UINT64_C(1) << VIRTIO_NET_F_CSUM)
#define TSO  (CSUM | UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4)

static void test_receive_by_offload(void **state)
{
	struct bench *b = bench_open(1500);
	const struct virtio_net_hdr_v1 *hdr = &b->frames[0].hdr;
	uint32_t len = HEADERS + 10 * MSS;

	(void)state;
	/* at first only checksums are left to us */
	assert_int_equal(superframe(b, len, false), 10);
	assert_int_equal(superframe_as(b, CSUM, len, false), 10);
	assert_int_equal(hdr->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(superframe_as(b, TSO, SUPER_OUT, false), 1);
	assert_int_equal(b->frames[0].len, SUPER_OUT);
	assert_int_equal(hdr->gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(le16toh(hdr->gso_size), MSS);
	assert_int_equal(le16toh(hdr->csum_start), ETH_HLEN + sizeof(struct iphdr));
	assert_int_equal(hdr->num_buffers, 0);
	assert_memory_equal(b->bytes[0], b->bytes[1], SUPER_OUT);
	assert_int_equal(superframe_as(b, 0, len, false), 10);
	assert_int_equal(superframe_as(b, TSO & ~CSUM, len, false), 10);
	bench_close(b);
}

static void test_receive_tagged_by_offload(void **state)
{
	struct bench *b = bench_open(1500);
	const struct virtio_net_hdr_v1 *hdr = &b->frames[0].hdr;

	(void)state;
	assert_int_equal(superframe_as(b, TSO, SUPER_OUT - 4, true), 1);
	assert_int_equal(b->frames[0].len, SUPER_OUT);
	assert_memory_equal(b->bytes[0], b->bytes[1], SUPER_OUT);
	assert_int_equal(le16toh(hdr->csum_start), 4 + ETH_HLEN + sizeof(struct iphdr));
	assert_true(le16toh(hdr->hdr_len) >= 4 + HEADERS);
	assert_int_equal(superframe_as(b, CSUM, HEADERS + 10 * MSS, true), 10);
	assert_int_equal(hdr->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(le16toh(hdr->csum_start), 4 + ETH_HLEN + sizeof(struct iphdr));
	bench_close(b);
}

/* What there is no room for is dropped, counted, and leaves no gap. */
static void test_receive_unfit(void **state)
{
	static const uint32_t lens[] = { 101, 500, 102, 103 };
	const struct virtio_net_hdr none = { 0 };
	struct bench *b = bench_open(1500);
	uint64_t count;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		bench_fill(b, 1, lens[i], i);
		kernel_sends(b, &none, b->bytes[1], lens[i]);
	}
	for (i = 0; i < BATCH; i++) {
		bench_room(b, i, 499);
		b->iov[i][0].iov_len = b->kp->hdr_len;
	}
	assert_int_equal(kport_receive(b->kp, 0, b->frames, BATCH), 3);
	assert_int_equal(b->frames[0].len, 101);
	assert_int_equal(b->frames[1].len, 102);
	assert_int_equal(b->frames[2].len, 103);
	bench_fill(b, 3, 102, 2);
	assert_memory_equal(b->bytes[1], b->bytes[3], 102);
	assert_int_equal(b->kp->ops->get_overflows(b->kp, &count), 0);
	assert_int_equal(count, 1);
	/* less room than bytes, and than bytes with a tag */
	bench_fill(b, 1, 200, 1);
	kernel_sends(b, &none, b->bytes[1], 200);
	bench_tag(b, 1);
	kernel_sends(b, &none, b->bytes[1], 204);
	bench_room(b, 0, 198);
	b->iov[0][0].iov_len = b->kp->hdr_len;
	assert_int_equal(kport_receive(b->kp, 0, b->frames, 1), 0);
	kernel_sends(b, &none, b->bytes[1], 204);
	bench_room(b, 0, 202);
	b->iov[0][0].iov_len = b->kp->hdr_len;
	assert_int_equal(kport_receive(b->kp, 0, b->frames, 1), 0);
	assert_int_equal(b->kp->ops->get_overflows(b->kp, &count), 0);
	assert_int_equal(count, 4);
	bench_close(b);
}

static void test_overflows(void **state)
{
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(1500);
	unsigned int sent, got = 0;
	uint64_t count = 99;
	int size = 1, r;

	(void)state;
	assert_int_equal(b->kp->ops->get_overflows(b->kp, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(setsockopt(b->kp->fds[0], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	bench_fill(b, 1, 100, 0);
	for (sent = 0; sent < 50; sent++)
		kernel_sends(b, &hdr, b->bytes[1], 100);
	/* reading it twice must not make it less */
	assert_int_equal(b->kp->ops->get_overflows(b->kp, &count), 0);
	assert_int_equal(b->kp->ops->get_overflows(b->kp, &count), 0);
	while ((r = receive(b, BATCH)) > 0)
		got += (unsigned int)r;
	assert_true(got > 0 && got < sent);
	assert_int_equal(count, sent - got);
	bench_close(b);
}

/* The namespace of the hidden end neither answers nor speaks, whatever its addresses are. */
static void test_hidden_is_silent(void **state)
{
	static const uint8_t arp[] = { /* who has 10.9.9.9, tell 10.9.9.1 */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
		2, 0, 0, 0, 0, 1, 10, 9, 9, 1, 0, 0, 0, 0, 0, 0, 10, 9, 9, 9,
	};
	const struct virtio_net_hdr hdr = { 0 };
	struct bench *b = bench_open(1500);

	(void)state;
	assert_int_equal(system("ip link set lo up; ip addr add 10.9.9.9/32 dev lo"), 0);
	memcpy(b->bytes[1], arp, sizeof(arp));
	memset(b->bytes[1] + sizeof(arp), 0, 60 - sizeof(arp));
	kernel_sends(b, &hdr, b->bytes[1], 60);
	assert_int_equal(receive(b, 1), 1);
	usleep(100000);
	assert_int_equal(kernel_got(b), 0);
	bench_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_send),
		NETNS_TEST(test_send_batch),
		NETNS_TEST(test_send_stops_at_error),
		NETNS_TEST(test_send_superframe),
		NETNS_TEST(test_send_tagged),
		NETNS_TEST(test_down_and_up),
		NETNS_TEST(test_receive),
		NETNS_TEST(test_receive_fails),
		NETNS_TEST(test_receive_tagged),
		NETNS_TEST(test_receive_by_offload),
		NETNS_TEST(test_receive_tagged_by_offload),
		NETNS_TEST(test_receive_unfit),
		NETNS_TEST(test_overflows),
		NETNS_TEST(test_hidden_is_silent),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
