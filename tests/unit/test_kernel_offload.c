/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Beside the kernel's own GRO and GSO, on a veth pair:
 *
 *   pairs of packets: what we merge, the kernel's GRO merges, too; what it alone merges is named
 *   random flows through its GRO: our segment.c cuts what it makes into what went in
 *   random flows through our merge.c: its GSO cuts what we make into what went in
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netns.h"

#include "base/util.h"
#include "engine/merge.h"
#include "engine/segment.h"
#include "flow_rig.h"
#include "net/ethfeat.h"
#include "net/packet.h"
#include "virtio/feature.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>

#define USERS_END   "vnet0"
#define HIDDEN_END  "vnet0-vub"
#define PACKET_MAX  2048u
#define BATCH	    32u
#define ROUNDS	    200u
#define TRIES	    20u /* GRO joins what comes soon; a sender may be held up between two packets */
#define GRO_NS	    "4000000" /* for so long the kernel waits for more */
#define QUIET_MS    20	      /* longer than that, and a tick: nothing is on its way any more */
#define PATIENCE_MS 10000
#define HDR_LEN	    sizeof(struct virtio_net_hdr_v1)

struct bench {
	struct rtnl *rt;
	struct kport *kp;
	int sock; /* on the user's end */
	int out;  /* on the hidden end, as the port's but with a queue, for that lets GSO cut */
	struct merge *m;
	bool knows_vlans;
	bool any_ids; /* what comes out may have others */
	struct flow_rig flows;
	unsigned int n;
	uint8_t name[BATCH];
	bool seen[BATCH];
	uint32_t lens[BATCH];
	struct frame frames[BATCH];
	struct iovec iovs[BATCH][2];
	uint8_t packets[BATCH][PACKET_MAX];
	int newest[FLOW_RIG_NAMES]; /* place of the last packet seen of a flow */
	struct frame got;
	struct iovec got_iov[2];
	uint8_t bytes[HDR_LEN + FRAME_LEN_MAX], piece[PACKET_MAX];
	unsigned int superframes;
};

/* ---- the laboratory ---- */

static void write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, value, strlen(value)), strlen(value));
	close(fd);
}

static void set_features(const char *ifname, const struct ethfeat *features, size_t n)
{
	int fd = ethfeat_open();

	assert_true(fd >= 0);
	assert_int_equal(ethfeat_set(fd, ifname, features, n), 0);
	close(fd);
}

/* /sys shows the interfaces of the namespace that it was mounted in. */
static void see_own_interfaces(void)
{
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("sysfs", "/sys", "sysfs", 0, NULL), 0);
}

static int open_socket(unsigned int ifindex, int option)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)ifindex};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	int on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, option, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0);
	return fd;
}

/* A pair, a packet socket on the user's end, and the port on the hidden one. */
static struct bench *bench_open(void)
{
	const struct merge_config config = {.tcp = true, .udp_max = 64, .hdr_len = HDR_LEN};
	const struct packet_config pair = {.name = USERS_END};
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->m = merge_open(&config);
	assert_non_null(b->m);
	assert_int_equal(rtnl_open(&b->rt), 0);
	assert_int_equal(packet_open(&pair, &b->kp, NULL), 0);
	assert_int_equal(rtnl_set_mtu(b->rt, b->kp->ifindex, PACKET_MAX), 0);
	assert_int_equal(rtnl_set_up(b->rt, b->kp->ifindex, true), 0);
	assert_int_equal(b->kp->ops->set_carrier(b->kp, true), 0);
	b->knows_vlans =
		!system("ip link add link " USERS_END " name vlan5 type vlan id 5 2>/dev/null"
			" && ip link del vlan5");
	b->sock = open_socket(b->kp->ifindex, PACKET_AUXDATA);
	b->out = open_socket(b->kp->hidden_ifindex, PACKET_VNET_HDR);
	return b;
}

static void bench_close(struct bench *b)
{
	close(b->out);
	close(b->sock);
	b->kp->ops->close(b->kp);
	rtnl_close(b->rt);
	merge_close(b->m);
	free(b);
}

/* The kernel's GRO works at the hidden end, and keeps packets for others to come. */
static void gro_on(struct bench *b)
{
	static const struct ethfeat features[] = {
		{"rx-gro", true},
		{"rx-udp-gro-forwarding", true},
		{"rx-checksum", true},
	};

	see_own_interfaces();
	set_features(HIDDEN_END, features, ARRAY_SIZE(features));
	write_file("/sys/class/net/" HIDDEN_END "/gro_flush_timeout", GRO_NS);
	/* what the pair's user's end offers has no part in this, but we may be given it */
	assert_int_equal(b->kp->ops->set_offload(b->kp, b->kp->offloads), 0);
}

/* The kernel cuts all that leaves the hidden end, and computes its checksums. */
static void gso_off(void)
{
	static const struct ethfeat features[] = {
		{"tx-tcp-segmentation", false},	    {"tx-tcp6-segmentation", false},
		{"tx-udp-segmentation", false},	    {"tx-tcp-ecn-segmentation", false},
		{"tx-generic-segmentation", false}, {"tx-checksum-ip-generic", false},
	};

	set_features(HIDDEN_END, features, ARRAY_SIZE(features));
}

static void begin(struct bench *b)
{
	b->n = 0;
	memset(b->seen, 0, sizeof(b->seen));
	memset(b->newest, 0xff, sizeof(b->newest));
}

static void add(struct bench *b, const struct packet_spec *spec, uint8_t name)
{
	unsigned int i = b->n++;

	b->name[i] = name;
	b->lens[i] = packet_rig_build(spec, b->packets[i]);
	packet_rig_frame(&b->frames[i], b->iovs[i], b->packets[i], b->lens[i]);
}

/* The kernel's GRO hands on at once what it makes nothing of, before others of its flow. */
static bool may_overtake(const struct packet_spec *s)
{
	return s->fault != PACKET_SOUND || (s->udp && !s->payload);
}

static void add_flows(struct bench *b)
{
	unsigned int wanted = 1 + flow_rig_roll(&b->flows, BATCH), flow = 0, burst = 0;
	struct packet_spec spec;
	uint8_t name;

	while (b->n < wanted) {
		if (burst-- == 0) {
			flow = flow_rig_roll(&b->flows, FLOW_RIG_FLOWS);
			burst = flow_rig_roll(&b->flows, 20);
		}
		name = flow_rig_next(&b->flows, flow, &spec);
		add(b, &spec, may_overtake(&spec) ? FLOW_RIG_NONE : name);
	}
}

/* ---- what came out ---- */

static bool same_packet(struct bench *b, unsigned int place, const uint8_t *got, uint32_t len)
{
	uint8_t wanted[PACKET_MAX], other[PACKET_MAX];

	if (b->seen[place] || len != b->lens[place])
		return false;
	memcpy(wanted, b->packets[place], len);
	memcpy(other, got, len);
	flow_rig_forget_id(wanted, b->any_ids);
	flow_rig_forget_id(other, b->any_ids);
	return !memcmp(wanted, other, len);
}

/* It is one of those that went in, and none of its flow came out that went in later. */
static void check_packet(struct bench *b, const uint8_t *got, uint32_t len)
{
	unsigned int i;

	for (i = 0; i < b->n && !same_packet(b, i, got, len); i++)
		;
	assert_true(i < b->n);
	assert_true(b->name[i] == FLOW_RIG_NONE || b->newest[b->name[i]] < (int)i);
	b->newest[b->name[i]] = (int)i;
	b->seen[i] = true;
}

static bool all_seen(const struct bench *b)
{
	unsigned int i;

	for (i = 0; i < b->n; i++)
		if (!b->seen[i])
			return false;
	return true;
}

/* ---- through the kernel's GRO: user's end, hidden end, port ---- */

static void send_batch(struct bench *b)
{
	struct mmsghdr messages[BATCH];
	unsigned int i;

	memset(messages, 0, sizeof(messages));
	for (i = 0; i < b->n; i++) {
		messages[i].msg_hdr.msg_iov = &b->iovs[i][1];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	assert_int_equal(sendmmsg(b->sock, messages, b->n, 0), b->n);
}

/* The next frame from the port, in b->bytes; NULL when none comes within @ms. */
static const struct frame *port_receives(struct bench *b, int ms)
{
	struct pollfd pollfd = {.fd = b->kp->fds[0], .events = POLLIN};
	struct frame *f = &b->got;

	while (poll(&pollfd, 1, ms) == 1) { /* also when the end was down before */
		frame_init(f, b->got_iov, 2, b->kp->hdr_len);
		f->iov[1] = (struct iovec){b->bytes, FRAME_LEN_MAX};
		f->iovcnt = 2;
		f->len = FRAME_LEN_MAX;
		if (kport_receive(b->kp, 0, f, 1) == 1)
			return f;
	}
	return NULL;
}

/* How many frames the kernel's GRO makes of the batch. */
static unsigned int gro_units(struct bench *b)
{
	unsigned int n = 0;

	send_batch(b);
	while (port_receives(b, QUIET_MS))
		n++;
	return n;
}

static bool kernel_joins(struct bench *b, bool expected)
{
	unsigned int tries = expected ? TRIES : 2;

	while (tries--)
		if (gro_units(b) < b->n)
			return true;
	return false;
}

static bool we_join(struct bench *b)
{
	struct frame *units;

	return merge_batch(b->m, b->frames, b->n, &units) < b->n;
}

/* Who joins the second packet to the first. */
enum who {
	NONE,
	BOTH,
	NOT_US, /* kernels differ in what they do */
	VLAN,	/* both, if the kernel knows VLANs */
};

static void assert_joined(struct bench *b, const struct packet_spec *first,
			  const struct packet_spec *second, enum who who)
{
	bool ours, kernels;

	begin(b);
	add(b, first, 0);
	add(b, second, 0);
	ours = we_join(b);
	assert_int_equal(ours, who == BOTH || who == VLAN);
	kernels = kernel_joins(b, ours);
	if (who == NONE || who == BOTH || (who == VLAN && b->knows_vlans))
		assert_int_equal(kernels, ours);
}

struct change {
	const char *what;
	enum who tcp, udp; /* of IPv4 and IPv6 alike, but for the next one */
	void (*apply)(struct packet_spec *first, struct packet_spec *second);
};

#define CHANGE(name, statement)                                                                    \
	static void name(struct packet_spec *first, struct packet_spec *second)                    \
	{                                                                                          \
		(void)first;                                                                       \
		(void)second;                                                                      \
		statement;                                                                         \
	}

CHANGE(nothing, )
CHANGE(gap, second->seq++)
CHANGE(again, second->seq = first->seq)
CHANGE(acknowledges, second->ack++)
CHANGE(time_to_live, second->ttl--)
CHANGE(type_of_service, second->tos = 4)
CHANGE(congestion, second->tos = 3)
CHANGE(timestamp, second->timestamp = 7)
CHANGE(no_timestamp, second->timestamp = 0)
CHANGE(tagged, second->vlan = true)
CHANGE(both_tagged, first->vlan = second->vlan = true)
CHANGE(longer, second->payload++)
CHANGE(shorter, second->payload -= 1)
CHANGE(empty, second->payload = 0)
CHANGE(push, second->tcp_flags = 0x08)
CHANGE(push_before, first->tcp_flags = 0x08)
CHANGE(fin, second->tcp_flags = 0x01)
CHANGE(fin_before, first->tcp_flags = 0x01)
CHANGE(syn, first->tcp_flags = second->tcp_flags = 0x02)
CHANGE(rst, first->tcp_flags = second->tcp_flags = 0x04)
CHANGE(urgent, first->tcp_flags = second->tcp_flags = 0x20)
CHANGE(ece, first->tcp_flags = second->tcp_flags = 0x40)
CHANGE(ece_begins, second->tcp_flags = 0x40)
CHANGE(cwr, second->tcp_flags = 0x80)
CHANGE(bad_sum, second->fault = PACKET_BAD_SUM)
CHANGE(bad_sum_before, first->fault = PACKET_BAD_SUM)
CHANGE(padded, second->fault = PACKET_PADDED)
CHANGE(other_flow, second->flow++)

static const struct change changes[] = {
	{"nothing", BOTH, BOTH, nothing},
	{"a gap", NONE, BOTH, gap}, /* UDP has no sequence */
	{"sent again", NONE, BOTH, again},
	{"acknowledges more", NONE, BOTH, acknowledges},
	{"TTL", NONE, NONE, time_to_live},
	{"DSCP", NONE, NONE, type_of_service},
	{"CE", NONE, NONE, congestion},
	{"timestamp", NONE, BOTH, timestamp},
	{"no timestamp", NONE, BOTH, no_timestamp},
	{"a tag", NONE, NONE, tagged},
	{"both with a tag", VLAN, VLAN, both_tagged},
	{"longer", NONE, NONE, longer},
	{"shorter", BOTH, BOTH, shorter},
	{"no payload", NONE, NOT_US, empty},
	{"PSH", BOTH, BOTH, push},
	{"PSH in the first", NONE, BOTH, push_before},
	{"FIN", BOTH, BOTH, fin},
	{"FIN in the first", NONE, BOTH, fin_before},
	{"SYN", NONE, BOTH, syn},
	{"RST", NONE, BOTH, rst},
	{"URG", NONE, BOTH, urgent},
	{"ECE", BOTH, BOTH, ece},
	{"ECE begins", NONE, BOTH, ece_begins},
	{"CWR", NONE, BOTH, cwr},
	{"checksum", NONE, NONE, bad_sum},
	{"checksum of the first", NONE, NONE, bad_sum_before},
	{"padded", NONE, NONE, padded},
	{"another flow", NONE, NONE, other_flow},
};

static struct packet_spec basic(bool v6, bool udp)
{
	return (struct packet_spec){.v6 = v6,
				    .udp = udp,
				    .flow = 1000,
				    .seq = 77,
				    .ttl = 64,
				    .payload = 500,
				    .id = 65535,
				    .timestamp = udp ? 0 : 1};
}

static void test_pairs(void **state)
{
	struct bench *b = bench_open();
	struct packet_spec first, second;
	unsigned int kind;
	size_t i;

	(void)state;
	gro_on(b);
	for (kind = 0; kind < 4; kind++) {
		for (i = 0; i < ARRAY_SIZE(changes); i++) {
			first = second = basic(kind & 1, kind & 2);
			second.seq += second.payload;
			second.id++;
			changes[i].apply(&first, &second);
			print_message("%s %s: %s\n", kind & 1 ? "IPv6" : "IPv4",
				      kind & 2 ? "UDP" : "TCP", changes[i].what);
			assert_joined(b, &first, &second,
				      kind & 2 ? changes[i].udp : changes[i].tcp);
		}
	}
	bench_close(b);
}

/* Ids that say something must rise by one; those of atomic datagrams may also stay. */
static void test_ids(void **state)
{
	static const enum who ids[2][3] = {
		{BOTH, BOTH, NONE}, {NOT_US, BOTH, NONE}, /* Linux 6.18 does */
	};
	struct bench *b = bench_open();
	unsigned int i;

	(void)state;
	gro_on(b);
	for (i = 0; i < 6; i++) {
		struct packet_spec first = basic(false, false), second;
		unsigned int step = i % 3;

		first.may_fragment = i >= 3;
		second = first;
		second.seq += second.payload;
		second.id = (uint16_t)(second.id + step);
		print_message("%s, id + %u\n", first.may_fragment ? "no DF" : "DF", step);
		assert_joined(b, &first, &second, ids[first.may_fragment][step]);
	}
	bench_close(b);
}

/* A frame of the port, cut if it is a superframe. */
static void check_unit(struct bench *b, const struct frame *f)
{
	struct virtio_net_hdr_v1 hdr;
	struct segment s;
	unsigned int i;
	uint32_t len;

	if (f->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		check_packet(b, b->bytes, f->len);
		return;
	}
	b->superframes++;
	assert_int_equal(segment_open(&s, b->bytes, f->len, &f->hdr, true), 0);
	for (i = 0; i < s.pieces; i++) {
		hdr = f->hdr;
		assert_true(segment_room(&s) <= sizeof(b->piece));
		len = segment_write(&s, b->piece, &hdr);
		check_packet(b, b->piece, len);
	}
}

static void test_cut_what_the_kernel_merges(void **state)
{
	struct bench *b = bench_open();
	const struct frame *f;
	unsigned int i;

	(void)state;
	gro_on(b);
	b->any_ids = true; /* Linux 6.18 merges what has one id, and does not say that it did */
	flow_rig_init(&b->flows, 3);
	for (i = 0; i < ROUNDS; i++) {
		begin(b);
		add_flows(b);
		send_batch(b);
		while (!all_seen(b)) {
			f = port_receives(b, PATIENCE_MS);
			assert_non_null(f);
			check_unit(b, f);
		}
	}
	assert_null(port_receives(b, QUIET_MS));
	assert_true(b->superframes > ROUNDS);
	bench_close(b);
}

/* ---- through its GSO: hidden end, user's end ---- */

static void send_unit(struct bench *b, struct frame *f)
{
	f->iov[0].iov_len = sizeof(struct virtio_net_hdr); /* what PACKET_VNET_HDR asks for */
	assert_int_equal(writev(b->out, f->iov, (int)f->iovcnt), f->iov[0].iov_len + f->len);
	f->iov[0].iov_len = HDR_LEN;
}

/* The kernel takes a packet's VLAN tag out and tells it beside. */
static uint32_t put_tag_back(uint8_t *packet, uint32_t len, struct msghdr *msg)
{
	const struct tpacket_auxdata *aux;
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	uint16_t tag[2];

	assert_non_null(c);
	assert_int_equal(c->cmsg_type, PACKET_AUXDATA);
	aux = (const struct tpacket_auxdata *)CMSG_DATA(c);
	if (!(aux->tp_status & TP_STATUS_VLAN_VALID))
		return len;
	tag[0] = htons(aux->tp_vlan_tpid);
	tag[1] = htons(aux->tp_vlan_tci);
	memmove(packet + 16, packet + 12, len - 12);
	memcpy(packet + 12, tag, sizeof(tag));
	return len + (uint32_t)sizeof(tag);
}

/* The next packet at the user's end, in b->bytes; its length, 0 when none comes within @ms. */
static uint32_t user_receives(struct bench *b, int ms)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov = {b->bytes, FRAME_LEN_MAX};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct pollfd pollfd = {.fd = b->sock, .events = POLLIN};
	ssize_t n;

	if (poll(&pollfd, 1, ms) != 1)
		return 0;
	n = recvmsg(b->sock, &msg, 0);
	assert_true(n > 0);
	return put_tag_back(b->bytes, (uint32_t)n, &msg);
}

static void test_kernel_cuts_what_we_merge(void **state)
{
	struct bench *b = bench_open();
	struct frame *units;
	unsigned int i, k, n;
	uint32_t len;

	(void)state;
	gso_off();
	flow_rig_init(&b->flows, 4);
	for (i = 0; i < ROUNDS; i++) {
		begin(b);
		add_flows(b);
		n = merge_batch(b->m, b->frames, b->n, &units);
		b->superframes += n < b->n;
		for (k = 0; k < n; k++)
			send_unit(b, &units[k]);
		while (!all_seen(b)) {
			len = user_receives(b, PATIENCE_MS);
			assert_true(len > 0);
			check_packet(b, b->bytes, len);
		}
	}
	assert_int_equal(user_receives(b, QUIET_MS), 0);
	assert_true(b->superframes > ROUNDS / 2);
	bench_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_pairs),
		NETNS_TEST(test_ids),
		NETNS_TEST(test_cut_what_the_kernel_merges),
		NETNS_TEST(test_kernel_cuts_what_we_merge),
	};
	int status = netns_unavailable();

	return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
