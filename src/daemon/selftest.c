/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/selftest.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/util.h"
#include "engine/merge.h"
#include "net/rtnl.h"
#include "net/tap.h"
#include "virtio/feature.h"

#define PACKETS	    45u
#define PACKET_MAX  1536u
#define PATIENCE_MS 500

/* Of no host; by it our own frames are told from what the kernel says at a new interface. */
static const uint8_t source[ETH_ALEN] = {0x02, 0x76, 0x75, 0x62, 0x00, 0x01};

struct kind {
	bool v6, udp;
	uint64_t offload;
};

static const struct kind kinds[] = {
	{false, false, FEATURE_NET(GUEST_TSO4)},
	{true, false, FEATURE_NET(GUEST_TSO6)},
	{false, true, FEATURE_NET(GUEST_USO4)},
	{true, true, FEATURE_NET(GUEST_USO6)},
};

/* Payloads short enough to be copied together, and as many as there can be, pointed at. */
static const struct shape {
	unsigned int packets, payload;
} shapes[] = {{3, 100}, {PACKETS, 1440}};

struct test {
	struct kport *kp;
	int sock; /* sees and sends what passes the TAP, with a virtio-net header in front */
	struct merge *merge;
	const struct shape *shape;
	uint8_t packets[PACKETS][PACKET_MAX];
	uint32_t len; /* of each, in bytes */
};

/* ---- packets ---- */

static size_t write_ip(uint8_t *p, const struct kind *k, uint16_t id, size_t len)
{
	const uint8_t protocol = k->udp ? IPPROTO_UDP : IPPROTO_TCP;
	struct ipv6hdr v6 = {.version = 6, .nexthdr = protocol, .hop_limit = 64};
	struct iphdr v4 = {.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};

	if (k->v6) {
		v6.payload_len = htobe16((uint16_t)len);
		v6.saddr.s6_addr[0] = v6.daddr.s6_addr[0] = 0xfd;
		v6.saddr.s6_addr[15] = 1;
		v6.daddr.s6_addr[15] = 2;
		memcpy(p, &v6, sizeof(v6));
		return sizeof(v6);
	}
	v4.tot_len = htobe16((uint16_t)(sizeof(v4) + len));
	v4.id = htobe16(id);
	v4.saddr = htobe32(0xc6120001); /* RFC 2544: for tests of devices */
	v4.daddr = htobe32(0xc6120002);
	v4.check = (uint16_t)~checksum_fold(checksum_add(0, &v4, sizeof(v4)));
	memcpy(p, &v4, sizeof(v4));
	return sizeof(v4);
}

/* The sum of addresses, protocol and length; the addresses are what ends the IP header. */
static uint32_t pseudo_sum(const struct kind *k, const uint8_t *transport, size_t len)
{
	const size_t addresses = k->v6 ? 32 : 8;
	uint32_t sum = checksum_add(0, transport - addresses, addresses);

	return checksum_join(sum, htobe16((uint16_t)len) +
					  (uint32_t)htobe16(k->udp ? IPPROTO_UDP : IPPROTO_TCP));
}

/* Writes number @i of the packets of @k. Returns its length. */
static uint32_t write_packet(uint8_t *p, const struct kind *k, unsigned int payload, unsigned int i)
{
	struct udphdr udp = {.source = htobe16(9), .dest = htobe16(9)};
	struct tcphdr tcp = {.source = htobe16(9),
			     .dest = htobe16(9),
			     .doff = 5,
			     .ack = 1,
			     .seq = htobe32(1 + i * payload),
			     .window = htobe16(512)};
	size_t header = k->udp ? sizeof(udp) : sizeof(tcp), at = ETH_HLEN;
	uint16_t check;

	memset(p, 0, ETH_HLEN);
	memset(p, 0x02, 1);
	memcpy(p + ETH_ALEN, source, ETH_ALEN);
	p[12] = k->v6 ? 0x86 : 0x08;
	p[13] = k->v6 ? 0xdd : 0x00;
	at += write_ip(p + at, k, (uint16_t)(7 + i), header + payload);
	udp.len = htobe16((uint16_t)(header + payload));
	memcpy(p + at, k->udp ? (void *)&udp : (void *)&tcp, header);
	memset(p + at + header, (int)('a' + i), payload);
	check = (uint16_t)~checksum_fold(
		checksum_add(pseudo_sum(k, p + at, header + payload), p + at, header + payload));
	memcpy(p + at + (k->udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check)),
	       &check, sizeof(check));
	return (uint32_t)(at + header + payload);
}

/* ---- there and back ---- */

static bool is_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, PATIENCE_MS) == 1;
}

static bool is_ours(const uint8_t *packet, size_t len)
{
	return len > ETH_HLEN && !memcmp(packet + ETH_ALEN, source, ETH_ALEN);
}

/* The packets of @k become a superframe, which the kernel takes. */
static const char *take_in(struct test *t, const struct kind *k)
{
	struct frame frames[PACKETS], *units;
	struct iovec iovs[PACKETS][2];
	unsigned int i, n = t->shape->packets;

	for (i = 0; i < n; i++) {
		t->len = write_packet(t->packets[i], k, t->shape->payload, i);
		frame_init(&frames[i], iovs[i], 2, t->kp->hdr_len);
		frames[i].hdr = (struct virtio_net_hdr_v1){0};
		frames[i].len = t->len;
		frames[i].iovcnt = 2;
		iovs[i][1] = (struct iovec){.iov_base = t->packets[i], .iov_len = t->len};
	}
	if (merge_batch(t->merge, frames, n, &units) != 1)
		return "packets of one flow were not merged";
	if (kport_send(t->kp, 0, units, 1) != 1)
		return "the kernel does not take it";
	return NULL;
}

/* As the kernel's stack has it now, header included, to @buf. */
static const char *look_at(struct test *t, uint8_t *buf, size_t size, size_t *len)
{
	const ssize_t header = sizeof(struct virtio_net_hdr);
	ssize_t n;

	do {
		n = is_readable(t->sock) ? recv(t->sock, buf, size, 0) : -1;
		if (n < header)
			return "the kernel lost it";
	} while (!is_ours(buf + header, (size_t)(n - header)));
	*len = (size_t)n;
	return NULL;
}

/* Reads the next frame of ours from the TAP; false: there is none. */
static bool read_frame(struct test *t, uint8_t *packet, uint32_t *len)
{
	struct iovec iovs[2];
	struct frame f;

	do {
		frame_init(&f, iovs, 2, t->kp->hdr_len);
		f.iovcnt = 2;
		f.len = FRAME_LEN_MAX;
		iovs[1] = (struct iovec){.iov_base = packet, .iov_len = FRAME_LEN_MAX};
		if (!is_readable(t->kp->fds[0]) || kport_receive(t->kp, 0, &f, 1) != 1)
			return false;
	} while (!is_ours(packet, f.len));
	*len = f.len;
	return true;
}

/* Sent to an interface that takes single packets, it has to be cut to what it was made of. */
static const char *cut(struct test *t, const uint8_t *buf, size_t len)
{
	uint8_t packet[FRAME_LEN_MAX];
	unsigned int i;
	uint32_t n;

	if (send(t->sock, buf, len, 0) != (ssize_t)len)
		return "the kernel does not send it";
	for (i = 0; i < t->shape->packets; i++)
		if (!read_frame(t, packet, &n) || n != t->len || memcmp(packet, t->packets[i], n))
			return "the kernel cuts it into other packets";
	return NULL;
}

static const char *there_and_back(struct test *t, const struct kind *k)
{
	uint8_t buf[sizeof(struct virtio_net_hdr) + PACKETS * PACKET_MAX];
	const char *how;
	size_t len = 0;

	if (t->kp->ops->set_offload(t->kp, t->kp->offloads))
		return "the kernel does not turn offloads on";
	how = take_in(t, k);
	if (!how)
		how = look_at(t, buf, sizeof(buf), &len);
	if (!how && t->kp->ops->set_offload(t->kp, 0))
		how = "the kernel does not turn offloads off";
	return how ? how : cut(t, buf, len);
}

static const char *test_kind(struct test *t, const struct kind *k)
{
	const char *how = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shapes) && !how; i++) {
		t->shape = &shapes[i];
		how = there_and_back(t, k);
	}
	return how;
}

/* ---- the place ---- */

static int open_socket(const struct kport *kp, int *sock)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htobe16(ETH_P_ALL),
		.sll_ifindex = (int)kp->ifindex,
	};
	const int on = 1;

	*sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (*sock < 0 || setsockopt(*sock, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    setsockopt(*sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    bind(*sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

/* With a carrier before it is up: its queue is then ready at once. */
static int bring_up(const struct kport *kp)
{
	struct rtnl *rt;
	int r = kp->ops->set_carrier((struct kport *)kp, true);

	if (r)
		return r;
	r = rtnl_open(&rt);
	if (r)
		return r;
	r = rtnl_set_up(rt, kp->ifindex, true);
	rtnl_close(rt);
	return r;
}

static int test_open(struct test *t)
{
	const struct tap_config config = {.name = "selftest", .pairs = 1};
	int r = tap_open(&config, &t->kp, NULL);

	if (!r)
		r = bring_up(t->kp);
	if (!r)
		r = open_socket(t->kp, &t->sock);
	if (r)
		return r;
	t->merge = merge_open(&(struct merge_config){
		.strict = true, .tcp = true, .udp_max = PACKETS, .hdr_len = t->kp->hdr_len});
	return t->merge ? 0 : -ENOMEM;
}

static void test_close(struct test *t)
{
	merge_close(t->merge);
	close_fd(&t->sock);
	if (t->kp)
		t->kp->ops->close(t->kp);
}

struct run {
	uint64_t wrong;
	const char *how;
	int error;
	bool to_its_end;
	sem_t told; /* all that is above */
	sem_t heard;
};

static void test_all(struct test *t, struct run *run)
{
	const char *how;
	size_t i;

	run->error = unshare(CLONE_NEWNET) < 0 ? -errno : test_open(t);
	for (i = 0; i < ARRAY_SIZE(kinds) && !run->error; i++) {
		if (!(t->kp->offloads & kinds[i].offload))
			continue;
		how = test_kind(t, &kinds[i]);
		if (!how)
			continue;
		run->wrong |= kinds[i].offload;
		run->how = how;
	}
}

/* This thread's capabilities: closing takes none, and nobody is to find any here. */
static void give_up_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	syscall(SYS_capset, &header, none);
}

/* A thread, since the namespace that it makes is its own and ends with it. */
static void *run_thread(void *arg)
{
	struct test t = {.sock = -1};
	struct run *run = arg;

	test_all(&t, run);
	if (run->to_its_end)
		test_close(&t);
	give_up_capabilities();
	sem_post(&run->told);
	while (sem_wait(&run->heard) < 0)
		;
	if (!run->to_its_end)
		test_close(&t);
	free(run);
	return NULL;
}

static int start_thread(struct run *run, pthread_t *thread)
{

	sem_init(&run->told, 0, 0);
	sem_init(&run->heard, 0, 0);
	return -pthread_create(thread, NULL, run_thread, run);
}

int selftest_superframes(bool to_its_end, uint64_t *wrong, const char **how)
{
	struct run *run = calloc(1, sizeof(*run));
	pthread_t thread;
	int r;

	*wrong = 0;
	*how = "";
	if (!run)
		return -ENOMEM;
	run->to_its_end = to_its_end;
	r = start_thread(run, &thread);
	if (r) {
		free(run);
		return r;
	}
	while (sem_wait(&run->told) < 0)
		;
	*wrong = run->wrong;
	if (run->how)
		*how = run->how;
	r = run->error;
	sem_post(&run->heard);
	if (to_its_end)
		pthread_join(thread, NULL);
	else
		pthread_detach(thread);
	return r;
}
