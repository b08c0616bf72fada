/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The input plays the driver: it writes descriptors and available entries, good or bad,
 * and anything anywhere in the memory that it shared. Whatever a frame points at must
 * lie in that memory, and is written to the last byte where a frame is to be filled.
 */
#include <vubridge/vq.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/util.h"
#include "fuzz.h"
#include "held.h"
#include "virtio/feature.h"
#include "virtio/ring.h"
#include "virtio/vq_device.h"

#define REGIONS 2u
#define REGION_SIZE 0x8000u
#define USER UINT64_C(0x7f0000000000)

static const uint64_t guest_addrs[REGIONS] = { 0x10000, UINT64_MAX - REGION_SIZE + 1 };

struct fuzz {
	struct input in;
	struct vq_device_memory memory;
	struct ring ring; /* as the driver sees it */
	struct vq *vq;
	struct held held;
	uint16_t avail_idx;
};

static void touch(const struct fuzz *z, const struct frame *f)
{
	unsigned int i;

	for (i = 1; i < f->iovcnt; i++) {
		uint8_t *p = f->iov[i].iov_base;
		bool inside = false;
		unsigned int k;

		for (k = 0; k < REGIONS; k++) {
			uint8_t *base = z->memory.regions[k].base;

			inside |= p >= base && p < base + REGION_SIZE &&
				  f->iov[i].iov_len <= (size_t)(base + REGION_SIZE - p);
		}
		MUST(inside);
		if (z->vq->direction == VQ_SPACE)
			memset(p, 0xa5, f->iov[i].iov_len);
	}
}

static uint64_t pick_addr(struct fuzz *z)
{
	uint8_t how = input8(&z->in);

	if (how < 8)
		return input32(&z->in) | (uint64_t)input32(&z->in) << 32;
	return guest_addrs[how % REGIONS] + input16(&z->in);
}

static void write_desc(struct fuzz *z, uint16_t id, uint16_t flags, uint16_t next)
{
	uint64_t addr = pick_addr(z);
	uint32_t len = input8(&z->in) < 4 ? input32(&z->in) : input16(&z->in) % 4096;

	z->ring.vr.desc[id & z->ring.mask] = (struct vring_desc){
		.addr = ring64(&z->ring, addr),
		.len = ring32(&z->ring, len),
		.flags = ring16(&z->ring, flags),
		.next = ring16(&z->ring, next),
	};
}

static void offer(struct fuzz *z, uint16_t head)
{
	struct vring_avail *avail = z->ring.vr.avail;

	avail->ring[z->avail_idx++ & z->ring.mask] = ring16(&z->ring, head);
	avail->idx = ring16(&z->ring, z->avail_idx);
}

/* A chain of one to four descriptors of the right direction, offered. */
static void offer_chain(struct fuzz *z)
{
	uint16_t flags = z->vq->direction == VQ_SPACE ? VRING_DESC_F_WRITE : 0;
	uint16_t head = input8(&z->in) & z->ring.mask;
	unsigned int n = 1 + input8(&z->in) % 4, i;

	for (i = 0; i < n; i++) {
		uint16_t id = (uint16_t)(head + i) & z->ring.mask;
		uint16_t more = i + 1 < n ? VRING_DESC_F_NEXT : 0;

		write_desc(z, id, flags | more, (uint16_t)(id + 1) & z->ring.mask);
	}
	offer(z, head);
}

static void peer_move(struct fuzz *z, uint8_t op)
{
	uint16_t id;
	uint8_t flags;

	switch (op) {
	case 0:
	case 1:
		offer_chain(z);
		break;
	case 2:
		id = input8(&z->in);
		flags = input8(&z->in) & 7;
		write_desc(z, id, flags, input8(&z->in));
		break;
	case 3:
		offer(z, input8(&z->in));
		break;
	case 4:
		z->ring.vr.avail->idx = input16(&z->in);
		break;
	default:
		id = input16(&z->in) % REGION_SIZE;
		z->memory.regions[0].base[id] = input8(&z->in);
		break;
	}
	held_peer_moved(&z->held);
}

static void our_move(struct fuzz *z, uint8_t op)
{
	struct frame *f;
	uint8_t i;

	switch (op) {
	case 0:
	case 1:
		f = held_take(&z->held, false);
		if (f) {
			touch(z, f);
			held_peer_moved(&z->held); /* a buffer may lie in the ring itself */
		}
		break;
	case 2:
		held_untake(&z->held);
		break;
	case 3:
		i = input8(&z->in);
		held_give(&z->held, i, input16(&z->in));
		held_peer_moved(&z->held); /* a header may lie there, too */
		break;
	case 4:
		vq_flush(z->vq);
		held_peer_moved(&z->held);
		break;
	case 5:
		held_arm(&z->held);
		break;
	default:
		vq_arm(z->vq, false);
		held_peer_moved(&z->held);
		break;
	}
}

static void open_memory(struct fuzz *z)
{
	unsigned int i;

	z->memory.count = REGIONS;
	for (i = 0; i < REGIONS; i++) {
		z->memory.regions[i] = (struct vq_device_region){
			.guest_phys_addr = guest_addrs[i],
			.userspace_addr = USER + i * UINT64_C(0x100000),
			.size = REGION_SIZE,
			.base = aligned_alloc(4096, REGION_SIZE),
		};
		MUST(z->memory.regions[i].base);
		memset(z->memory.regions[i].base, 0, REGION_SIZE);
	}
}

static void open_queue(struct fuzz *z, int fd)
{
	uint8_t b = input8(&z->in);
	uint16_t num = (uint16_t)(2u << input8(&z->in) % 7);
	uint8_t *base = z->memory.regions[0].base;
	struct vq_device_config c = {
		.direction = b & 128 ? VQ_SPACE : VQ_CONTENT,
		.num = num,
		.features = (b & 1 ? FEATURE(F_VERSION_1) : 0) |
			    (b & 2 ? FEATURE_NET(MRG_RXBUF) : 0) |
			    (b & 4 ? FEATURE(RING_F_EVENT_IDX) : 0) |
			    ((b & 33) == 33 ? FEATURE(F_IN_ORDER) : 0) |
			    (b & 8 ? FEATURE_NET(CSUM) | FEATURE_NET(HOST_TSO4) : 0),
		.batches = b & 16,
		.kick_fd = fd,
		.call_fd = fd,
	};

	vring_init(&z->ring.vr, num, base, RING_ALIGN);
	z->ring.mask = (uint16_t)(num - 1);
	z->ring.little = b & 1;
	c.desc = USER;
	c.avail = USER + (uint64_t)((uint8_t *)z->ring.vr.avail - base);
	c.used = USER + (uint64_t)((uint8_t *)z->ring.vr.used - base);
	MUST(vq_device_open(&z->vq, &z->memory, &c) == 0);
	held_init(&z->held, z->vq, feature_hdr_len(c.features), input16(&z->in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *z = calloc(1, sizeof(*z));
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC); /* whom nobody waits for */
	unsigned int i;

	MUST(z && fd >= 0);
	z->in = (struct input){ data, size };
	open_memory(z);
	open_queue(z, fd);
	while (z->in.left) {
		uint8_t op = input8(&z->in);

		if (op & 8)
			peer_move(z, op % 8);
		else
			our_move(z, op % 8);
	}
	held_give_all(&z->held);
	vq_device_close(z->vq);
	for (i = 0; i < REGIONS; i++)
		free(z->memory.regions[i].base);
	close_fd(&fd);
	free(z);
	return 0;
}
