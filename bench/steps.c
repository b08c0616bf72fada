/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * steps NAME LENGTH ROUNDS: the stages of a frame's way through this program, each alone,
 * for callgrind to count their instructions (bench/row_steps.sh). Driver and device share a
 * ring in this process; frames of LENGTH bytes go round it, BATCH at a time, and only the
 * stage is counted: callgrind collects while the function step_NAME runs.
 *
 * steps --list prints the names. A new stage is a function and a row in the table.
 */
#include <endian.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/util.h"
#include "engine/merge.h"
#include "engine/segment.h"
#include "virtio/feature.h"
#include "virtio/pool.h"
#include "virtio/vq_device.h"
#include "virtio/vq_driver.h"

#define BATCH	 64u
#define RING_NUM 256u
#define FEATURES (FEATURE(F_VERSION_1) | FEATURE(RING_F_EVENT_IDX) | FEATURE_NET(MRG_RXBUF))

#define STEP __attribute__((noinline))

/* A driver's ring and its device, and a batch of frames in the driver's hand. */
struct rig {
	struct pool pool;
	struct vq_device_memory memory;
	struct vq *driver, *device;
	uint32_t len; /* of every frame */
	unsigned int taken;
	struct frame frames[BATCH];
	struct iovec iovs[BATCH][FRAME_IOV_MAX];
	struct merge *merge;
	uint32_t next_seq; /* of the one TCP flow whose packets all frames are */
	uint8_t superframe[FRAME_LEN_MAX], packet[FRAME_LEN_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "steps: %s\n", what);
	exit(1);
}

static void rig_open(struct rig *rig, enum vq_direction direction, uint32_t len)
{
	struct vq_driver_config driver = {
		.direction = direction,
		.num = RING_NUM,
		.features = FEATURES,
		.kick_fd = -1,
		.call_fd = -1,
	};
	struct vq_device_config device = {
		.direction = direction == VQ_CONTENT ? VQ_SPACE : VQ_CONTENT,
		.num = RING_NUM,
		.features = FEATURES,
		.kick_fd = -1,
		.call_fd = -1,
	};
	const struct merge_config merge = {.tcp = true, .udp_max = 64, .hdr_len = 12};
	struct vq_driver_addrs addrs;

	rig->len = len;
	if (pool_open(&rig->pool, vq_driver_size(&driver), false) ||
	    vq_driver_open(&rig->driver, &rig->pool, &driver))
		die("no ring");
	vq_flush(rig->driver);
	vq_driver_get_addrs(rig->driver, &addrs);
	device.desc = (uintptr_t)addrs.desc;
	device.avail = (uintptr_t)addrs.avail;
	device.used = (uintptr_t)addrs.used;
	rig->memory.count = 1;
	rig->memory.regions[0] = (struct vq_device_region){
		.guest_phys_addr = POOL_GUEST_BASE,
		.userspace_addr = (uintptr_t)rig->pool.base,
		.size = rig->pool.size,
		.base = rig->pool.base,
	};
	if (vq_device_open(&rig->device, &rig->memory, &device))
		die("no device");
	rig->merge = merge_open(&merge);
	if (!rig->merge)
		die("no memory");
}

static void rig_close(struct rig *rig)
{
	merge_close(rig->merge);
	vq_device_close(rig->device);
	vq_driver_close(rig->driver);
	pool_close(&rig->pool);
}

/* ---- packets ---- */

/* The headers of a TCP packet. */
struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

/* The pseudo header and the TCP segment: what its checksum covers. */
static uint32_t tcp_sum(const struct headers *h, const uint8_t *payload, uint32_t len)
{
	const uint16_t tail[] = {htobe16(IPPROTO_TCP), htobe16((uint16_t)(sizeof(h->tcp) + len))};
	uint32_t sum = checksum_add(0, (const uint8_t *)h + offsetof(struct headers, ip.saddr), 8);

	sum = checksum_add(sum, tail, sizeof(tail));
	sum = checksum_add(sum, (const uint8_t *)h + offsetof(struct headers, tcp), sizeof(h->tcp));
	return checksum_add(sum, payload, len);
}

/* Writes the next packet of the flow, its @payload bytes included. */
static void write_packet(struct rig *rig, uint8_t *to, uint32_t payload)
{
	struct headers h = {
		.eth = {.h_proto = htobe16(ETH_P_IP)},
		.ip = {.version = 4,
		       .ihl = 5,
		       .ttl = 64,
		       .protocol = IPPROTO_TCP,
		       .tot_len = htobe16((uint16_t)(sizeof(h) - sizeof(h.eth) + payload)),
		       .frag_off = htobe16(0x4000),
		       .saddr = htobe32(0x0a000001),
		       .daddr = htobe32(0x0a000002)},
		.tcp = {.source = htobe16(5001),
			.dest = htobe16(5001),
			.doff = 5,
			.ack = 1,
			.seq = htobe32(rig->next_seq)},
	};
	uint32_t sum = checksum_add(0, (const uint8_t *)&h + sizeof(h.eth), sizeof(h.ip));

	memset(to + sizeof(h), 0x5a, payload);
	h.ip.check = (uint16_t)~checksum_fold(sum);
	h.tcp.check = (uint16_t)~checksum_fold(tcp_sum(&h, to + sizeof(h), payload));
	memcpy(to, &h, sizeof(h));
	rig->next_seq += payload;
}

/* ---- the stages ---- */

/* A batch of frames that the device has put into the ring. */
static STEP void step_take(struct rig *rig)
{
	struct frame *f = rig->frames;

	rig->taken = 0;
	frame_init(f, rig->iovs[0], FRAME_IOV_MAX, 12);
	if (vq_take(rig->driver, 0, f) > 0)
		rig->taken = 1 + vq_take_plain(rig->driver, f + 1, BATCH - 1, rig->iovs[1], 12);
}

/* Their buffers back to the ring, in one flush. */
static STEP void step_give(struct rig *rig)
{
	unsigned int i;

	for (i = 0; i < rig->taken; i++)
		vq_give(rig->driver, rig->frames[i].span, 0, NULL);
	vq_flush(rig->driver);
}

/* The batch, one TCP flow, becomes superframes: checksums are verified, payloads copied. */
static STEP void step_merge(struct rig *rig)
{
	struct frame *units;

	if (merge_batch(rig->merge, rig->frames, rig->taken, &units) >= rig->taken)
		die("nothing was merged");
}

/* Two superframes become a batch, checksums and all. */
static STEP void step_segment(struct rig *rig)
{
	const uint32_t payload = rig->len - (uint32_t)sizeof(struct headers);
	const struct virtio_net_hdr_v1 superframe = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = htole16(sizeof(struct headers)),
		.gso_size = htole16((uint16_t)payload),
		.csum_start = htole16(offsetof(struct headers, tcp)),
		.csum_offset = htole16(offsetof(struct tcphdr, check)),
	};
	uint32_t len = (uint32_t)sizeof(struct headers) + BATCH / 2 * payload;
	struct virtio_net_hdr_v1 hdr;
	struct segment s;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (segment_open(&s, rig->superframe, len, &superframe, true))
			die("a superframe cannot be cut");
		while (s.next < s.pieces)
			segment_write(&s, rig->packet, &hdr);
	}
}

/* Room for a batch of any frames. */
static STEP void step_take_room(struct rig *rig)
{
	for (rig->taken = 0; rig->taken < BATCH; rig->taken++) {
		struct frame *f = &rig->frames[rig->taken];

		frame_init(f, rig->iovs[rig->taken], FRAME_IOV_MAX, 12);
		if (vq_take(rig->driver, rig->len, f) <= 0)
			break;
	}
}

/* The frames to the device, in one flush. */
static STEP void step_give_filled(struct rig *rig)
{
	static const struct virtio_net_hdr_v1 hdr;
	unsigned int i;

	for (i = 0; i < rig->taken; i++)
		vq_give(rig->driver, rig->frames[i].span, rig->len, &hdr);
	vq_flush(rig->driver);
}

struct step {
	const char *name; /* of the function, behind step_ */
	enum vq_direction direction;
	void (*run)(struct rig *rig);
};

/* Those of a direction in the order of a frame's way. */
static const struct step steps[] = {
	{"take", VQ_CONTENT, step_take},     {"merge", VQ_CONTENT, step_merge},
	{"give", VQ_CONTENT, step_give},     {"take_room", VQ_SPACE, step_take_room},
	{"segment", VQ_SPACE, step_segment}, {"give_filled", VQ_SPACE, step_give_filled},
};

/* ---- the other side ---- */

/* The device takes a batch of whatever it is for, and gives it back used. */
static void device_batch(struct rig *rig, enum vq_direction direction)
{
	static struct iovec iovs[FRAME_IOV_MAX];
	static const struct virtio_net_hdr_v1 hdr = {.num_buffers = 1};
	const uint32_t payload = rig->len - (uint32_t)sizeof(struct headers);
	struct frame f;
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		frame_init(&f, iovs, FRAME_IOV_MAX, 12);
		if (vq_take(rig->device, direction == VQ_CONTENT ? rig->len : 0, &f) <= 0)
			die("the ring is stuck");
		if (direction == VQ_SPACE) {
			vq_give(rig->device, f.span, 0, NULL);
			continue;
		}
		write_packet(rig, f.iov[1].iov_base, payload);
		vq_give(rig->device, f.span, rig->len, &hdr);
	}
	vq_flush(rig->device);
}

/* One batch all the way; returns its frames. */
static unsigned int round_trip(struct rig *rig, enum vq_direction direction)
{
	size_t i;

	if (direction == VQ_CONTENT)
		device_batch(rig, direction);
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i].direction == direction)
			steps[i].run(rig);
	if (direction == VQ_SPACE)
		device_batch(rig, direction);
	return rig->taken;
}

static int list(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++)
		printf("%s\n", steps[i].name);
	return 0;
}

int main(int argc, char **argv)
{
	static struct rig rig;
	unsigned long rounds, frames = 0;
	size_t i = 0;

	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	while (argc == 4 && i < ARRAY_SIZE(steps) && strcmp(argv[1], steps[i].name))
		i++;
	if (argc != 4 || i == ARRAY_SIZE(steps)) {
		fprintf(stderr, "usage: steps NAME LENGTH ROUNDS | steps --list\n");
		return 2;
	}
	if (strtoul(argv[2], NULL, 10) < 64 || strtoul(argv[2], NULL, 10) > 1514) {
		fprintf(stderr, "steps: LENGTH is 64 to 1514\n");
		return 2;
	}
	write_packet(&rig, rig.superframe, 1460 * BATCH / 2);
	rig_open(&rig, steps[i].direction, (uint32_t)strtoul(argv[2], NULL, 10));
	for (rounds = strtoul(argv[3], NULL, 10); rounds > 0; rounds--)
		frames += round_trip(&rig, steps[i].direction);
	rig_close(&rig);
	printf("frames %lu\n", frames);
	return 0;
}
