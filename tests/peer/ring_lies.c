/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lies that are told in the rings: by hand, past the device's own code. */
#include <endian.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "lies.h"
#include "virtio/feature.h"

void *raw_mapped(const struct device *d, uint64_t addr, bool guest)
{
	unsigned int i;

	for (i = 0; i < d->memory.count; i++) {
		const struct vq_device_region *r = &d->memory.regions[i];
		uint64_t start = guest ? r->guest_phys_addr : r->userspace_addr;

		if (addr >= start && addr - start < r->size)
			return r->base + (addr - start);
	}
	return NULL;
}

void raw_open(struct raw *raw, const struct device *d, unsigned int index, uint16_t avail)
{
	const struct peer_ring *ring = &d->rings[index];

	*raw = (struct raw){
		.device = d,
		.avail = avail,
		.hdr_len = feature_hdr_len(d->features),
	};
	raw->vr.num = ring->num;
	raw->vr.desc = raw_mapped(d, ring->addr.desc_user_addr, false);
	raw->vr.avail = raw_mapped(d, ring->addr.avail_user_addr, false);
	raw->vr.used = raw_mapped(d, ring->addr.used_user_addr, false);
	raw->used = raw->vr.used->idx;
}

uint32_t raw_next_head(struct raw *raw)
{
	return raw->vr.avail->ring[raw->avail++ & (raw->vr.num - 1)];
}

static void put_used(struct raw *raw, uint32_t id, uint32_t len)
{
	struct vring_used_elem *e = &raw->vr.used->ring[raw->used++ & (raw->vr.num - 1)];

	store_once32(&e->id, id);
	store_once32(&e->len, len);
	store_release16(&raw->vr.used->idx, raw->used);
}

/* Uses the next buffer for a frame of @len bytes with @hdr, and says @claimed for its length. */
static uint32_t put_frame(struct raw *raw, const struct virtio_net_hdr_v1 *hdr, uint32_t len,
			  uint32_t claimed)
{
	uint32_t head = raw_next_head(raw);
	uint8_t *buffer = raw_mapped(raw->device, raw->vr.desc[head].addr, true);

	memcpy(buffer, hdr, raw->hdr_len);
	memset(buffer + raw->hdr_len, 0xff, len);
	put_used(raw, head, claimed);
	return head;
}

#define HONEST_LEN 60u

static const struct virtio_net_hdr_v1 honest = { .num_buffers = 1 };

static void put_hdr(struct raw *raw, struct virtio_net_hdr_v1 hdr)
{
	put_frame(raw, &hdr, HONEST_LEN, raw->hdr_len + HONEST_LEN);
}

void raw_used_jump(struct device *d __attribute__((unused)), struct raw *raw)
{
	store_release16(&raw->vr.used->idx, (uint16_t)(raw->used + raw->vr.num + 1));
}

static void lie_used_back(struct device *d __attribute__((unused)), struct raw *raw)
{
	/* behind what the driver has seen for certain: it made these buffers available again */
	store_release16(&raw->vr.used->idx,
			(uint16_t)(load_once16(&raw->vr.avail->idx) - raw->vr.num - 1));
}

static void lie_used_id(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_used(raw, raw->vr.num + 7, HONEST_LEN);
}

static void lie_used_repeat(struct device *d, struct raw *raw)
{
	bool receives = d->config->lie.ring % 2 == 0;
	uint32_t len = receives ? raw->hdr_len + HONEST_LEN : 0;
	uint32_t head = raw_next_head(raw);

	if (receives) {
		uint8_t *buffer = raw_mapped(d, raw->vr.desc[head].addr, true);

		memcpy(buffer, &honest, raw->hdr_len);
		memset(buffer + raw->hdr_len, 0xff, HONEST_LEN);
	}
	/* both entries before the index, so that the driver meets them in one batch */
	raw->vr.used->ring[raw->used++ & (raw->vr.num - 1)] =
		(struct vring_used_elem){ .id = head, .len = len };
	put_used(raw, head, len);
}

static void lie_len_zero(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_frame(raw, &honest, HONEST_LEN, 0);
}

static void lie_len_over(struct device *d __attribute__((unused)), struct raw *raw)
{
	uint32_t head = raw->vr.avail->ring[raw->avail & (raw->vr.num - 1)];

	put_frame(raw, &honest, HONEST_LEN, raw->vr.desc[head].len + 1);
}

static void lie_len_64k(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_frame(raw, &honest, HONEST_LEN, 0x11000);
}

/* Each buffer is as long as it may be, but all of them are more than any frame. */
static void lie_len_merged(struct device *d, struct raw *raw)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	uint16_t n = 0, first = raw->avail, mask = (uint16_t)(raw->vr.num - 1);
	uint32_t total = 0;

	while (total <= FRAME_LEN_MAX + raw->hdr_len)
		total += raw->vr.desc[raw->vr.avail->ring[(uint16_t)(first + n++) & mask]].len;
	hdr.num_buffers = htole16(n);
	memcpy(raw_mapped(d, raw->vr.desc[raw->vr.avail->ring[first & mask]].addr, true), &hdr,
	       raw->hdr_len);
	while (n--) {
		uint32_t head = raw_next_head(raw);

		put_used(raw, head, raw->vr.desc[head].len);
	}
}

static void lie_buffers_zero(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = 0 });
}

static void lie_buffers_over(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = htole16(40000) });
}

static void lie_hdr_csum(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = htole16(1),
						 .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						 .csum_start = htole16(60000),
						 .csum_offset = htole16(16) });
}

static void lie_hdr_gso(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = htole16(1),
						 .gso_type = VIRTIO_NET_HDR_GSO_UDP,
						 .gso_size = htole16(1000) });
}

static void lie_hdr_gso_size(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = htole16(1),
						 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 });
}

/* Random bytes over all that is shared, a page at a time. */
static void lie_scribble(struct device *d, struct raw *raw)
{
	unsigned int seed = 1, i;
	uint64_t at;

	for (i = 0; i < d->memory.count; i++)
		for (at = 0; at < MIN(d->memory.regions[i].size, UINT64_C(65536)); at++)
			d->memory.regions[i].base[at] = (uint8_t)rand_r(&seed);
	store_release16(&raw->vr.used->idx, (uint16_t)(raw->used + 5));
}

static void lie_die(struct device *d __attribute__((unused)),
		    struct raw *raw __attribute__((unused)))
{
	raise(SIGKILL);
}

static void lie_exit(struct device *d __attribute__((unused)),
		     struct raw *raw __attribute__((unused)))
{
	exit(0);
}

static void lie_close(struct device *d, struct raw *raw __attribute__((unused)))
{
	device_disconnect(d, "closing on command");
}

static void lie_unasked(struct device *d, struct raw *raw __attribute__((unused)))
{
	const struct vhost_user_header h = { .request = VHOST_USER_GET_FEATURES,
					     .flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK };

	if (send(d->fd, &h, sizeof(h), MSG_NOSIGNAL) < 0)
		perror("vu_peer: send");
}

/* On the channel where it may speak first: what was not agreed on, and half of a message. */
static void say_first(const struct device *d, uint32_t request, uint32_t size, size_t len)
{
	const struct vhost_user_header h = {
		.request = request,
		.flags = VHOST_USER_VERSION,
		.size = size,
	};

	if (send(d->backend_fd, &h, len, MSG_NOSIGNAL) < 0)
		perror("vu_peer: send");
}

static void lie_news(struct device *d, struct raw *raw __attribute__((unused)))
{
	say_first(d, VHOST_USER_BACKEND_IOTLB_MSG, 32, sizeof(struct vhost_user_header));
}

static void lie_news_half(struct device *d, struct raw *raw __attribute__((unused)))
{
	say_first(d, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, 5);
}

/* The kick eventfd is one file for both: it can be made to block, and filled. */
static void lie_kick_blocks(struct device *d, struct raw *raw __attribute__((unused)))
{
	const uint64_t full = UINT64_MAX - 1;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		uint64_t value;

		while (read(d->rings[i].kick, &value, sizeof(value)) > 0)
			;
		if (fcntl(d->rings[i].kick, F_SETFL, 0) < 0 ||
		    write(d->rings[i].kick, &full, sizeof(full)) < 0)
			perror("vu_peer: kick");
	}
}

const struct lie ring_lies[] = {
	{ "used-jump", LIE_FIRST_IN_RINGS, raw_used_jump },
	{ "used-back", LIE_FIRST_IN_RINGS, lie_used_back },
	{ "used-id", LIE_FIRST_IN_RINGS, lie_used_id },
	{ "used-repeat", LIE_FIRST_IN_RINGS, lie_used_repeat },
	{ "used-len-zero", LIE_FIRST_IN_RINGS, lie_len_zero },
	{ "used-len-over", LIE_FIRST_IN_RINGS, lie_len_over },
	{ "used-len-64k", LIE_FIRST_IN_RINGS, lie_len_64k },
	{ "used-len-merged", LIE_FIRST_IN_RINGS, lie_len_merged },
	{ "num-buffers-zero", LIE_FIRST_IN_RINGS, lie_buffers_zero },
	{ "num-buffers-over", LIE_FIRST_IN_RINGS, lie_buffers_over },
	{ "hdr-csum", LIE_FIRST_IN_RINGS, lie_hdr_csum },
	{ "hdr-gso", LIE_FIRST_IN_RINGS, lie_hdr_gso },
	{ "hdr-gso-size-zero", LIE_FIRST_IN_RINGS, lie_hdr_gso_size },
	{ "scribble", LIE_FIRST_IN_RINGS, lie_scribble },
	{ "unasked-reply", LIE_FIRST_IN_RINGS, lie_unasked },
	{ "kick-blocks", LIE_FIRST_IN_RINGS, lie_kick_blocks },
	{ "news", LIE_FIRST_IN_RINGS, lie_news },
	{ "news-half", LIE_FIRST_IN_RINGS, lie_news_half },
	{ "close", LIE_FIRST_IN_RINGS, lie_close },
	{ "exit", LIE_FIRST_IN_RINGS, lie_exit },
	{ "die", LIE_FIRST_IN_RINGS, lie_die },
	{ 0 },
};
