/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to frames: the copying between one driver's rings and another's. */
#include <endian.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "peer.h"
#include "virtio/feature.h"

#define BATCH 64u

struct cursor {
	const struct frame *f;
	unsigned int iov; /* iov[0] is the header's */
	size_t offset;
};

static uint8_t *cursor_at(struct cursor *c, size_t *room)
{
	while (c->offset == c->f->iov[c->iov].iov_len) {
		c->iov++;
		c->offset = 0;
	}
	*room = c->f->iov[c->iov].iov_len - c->offset;
	return (uint8_t *)c->f->iov[c->iov].iov_base + c->offset;
}

/* Copies @len bytes between frames whose pieces need not match. */
static void copy_frame(const struct frame *to, const struct frame *from, uint32_t len)
{
	struct cursor a = { .f = to, .iov = 1 }, b = { .f = from, .iov = 1 };

	while (len > 0) {
		size_t room, there, n;
		uint8_t *dst = cursor_at(&a, &room);
		const uint8_t *src = cursor_at(&b, &there);

		n = MIN(MIN(room, there), (size_t)len);
		memcpy(dst, src, n);
		a.offset += n;
		b.offset += n;
		len -= (uint32_t)n;
	}
}

static uint8_t *byte_at(const struct frame *f, uint32_t at)
{
	unsigned int i = 1;

	while (at >= f->iov[i].iov_len)
		at -= (uint32_t)f->iov[i++].iov_len;
	return (uint8_t *)f->iov[i].iov_base + at;
}

/* Puts the checksum in that the sender left to us (virtio 1.3, 5.1.6.2). */
static void complete_checksum(struct frame *f, uint32_t len)
{
	uint32_t start = le16toh(f->hdr.csum_start);
	uint32_t at = start + le16toh(f->hdr.csum_offset);
	uint32_t sum = 0, i;

	for (i = start; i < len; i++)
		sum += (i - start) % 2 ? *byte_at(f, i) : (uint32_t)*byte_at(f, i) << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	if (sum == 0)
		sum = 0xffff;
	*byte_at(f, at) = (uint8_t)(sum >> 8);
	*byte_at(f, at + 1) = (uint8_t)sum;
	f->hdr.flags = 0;
	f->hdr.csum_start = f->hdr.csum_offset = 0;
}

static void frame_at(struct frame *f, struct iovec *iov)
{
	frame_init(f, iov, FRAME_IOV_MAX, sizeof(f->hdr));
}

/*
 * Can @to take a frame with this header? GSO must have been agreed on; a checksum can
 * be completed here.
 */
static bool acceptable(const struct device *to, const struct virtio_net_hdr_v1 *hdr)
{
	switch (hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return feature_has(to->features, VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return feature_has(to->features, VIRTIO_NET_F_GUEST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return feature_has(to->features, VIRTIO_NET_F_GUEST_USO4);
	default:
		return false;
	}
}

static void swap_macs(struct frame *f)
{
	uint32_t i;

	for (i = 0; f->len >= 12 && i < 6; i++) {
		uint8_t byte = *byte_at(f, i);

		*byte_at(f, i) = *byte_at(f, i + 6);
		*byte_at(f, i + 6) = byte;
	}
}

static void dump(const struct device *from, const struct frame *f)
{
	uint32_t i;

	printf("frame %s: %u bytes ", from->path, f->len);
	for (i = 0; i < MIN(f->len, 64u); i++)
		printf("%02x", *byte_at(f, i));
	putchar('\n');
}

/* One frame from @from to ring @out of @to. False: no room there, it stays where it is. */
static bool deliver(struct device *to, struct vq *out, struct frame *f, bool swap)
{
	struct iovec iov[FRAME_IOV_MAX];
	struct frame g;

	if (!acceptable(to, &f->hdr)) {
		to->mismatched++;
		return true;
	}
	frame_at(&g, iov);
	if (vq_take(out, f->len, &g) <= 0)
		return out->broken;
	copy_frame(&g, f, f->len);
	g.hdr = f->hdr;
	if (swap)
		swap_macs(&g);
	if (g.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    !feature_has(to->features, VIRTIO_NET_F_GUEST_CSUM))
		complete_checksum(&g, f->len);
	vq_give(out, g.span, f->len, &g.hdr);
	misbehave_frame(to, out);
	to->to_driver++;
	to->given++;
	return true;
}

/* From a driver's transmit ring to wherever the mode says; frames moved. */
static unsigned int forward_ring(struct device *from, struct vq *in, struct device *to,
				 struct vq *out, const struct peer_config *c)
{
	struct iovec iov[FRAME_IOV_MAX];
	struct frame f;
	unsigned int n;

	for (n = 0; n < BATCH; n++) {
		frame_at(&f, iov);
		if (vq_take(in, 0, &f) <= 0)
			break;
		if (!out) {
			from->dropped += c->mode != MODE_SINK;
		} else if (!deliver(to, out, &f, c->swap_mac)) {
			vq_untake(in, f.span);
			break;
		}
		if (c->dump)
			dump(from, &f);
		from->from_driver++;
		vq_give(in, f.span, 0, NULL);
	}
	if (n) {
		vq_flush(in);
		if (out)
			vq_flush(out);
	}
	return n;
}

/* ---- generated frames ---- */

static uint16_t ip_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htobe16((uint16_t)~sum);
}

struct __attribute__((packed)) head {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	uint64_t number;
};

/* An Ethernet frame of UDP over IPv4 without UDP checksum; its number is its payload. */
static void write_frame(const struct frame *f, uint32_t len, uint64_t number, unsigned int flow)
{
	struct head h = {
		.eth = { .h_source = { 2, 0, 0, 0, 0, 1 }, .h_proto = htobe16(ETH_P_IP) },
		.ip = {
			.ihl = 5,
			.version = 4,
			.tot_len = htobe16((uint16_t)(len - sizeof(h.eth))),
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.saddr = htobe32(0xc0000201), /* 192.0.2.1 */
			.daddr = htobe32(0xc0000202),
		},
		.udp = {
			.source = htobe16((uint16_t)(1024 + flow)),
			.dest = htobe16(9),
			.len = htobe16((uint16_t)(len - sizeof(h.eth) - sizeof(h.ip))),
		},
		.number = number,
	};
	const uint8_t *bytes = (const uint8_t *)&h;
	uint32_t i;

	memset(h.eth.h_dest, 0xff, sizeof(h.eth.h_dest));
	h.ip.check = ip_sum(&h.ip, sizeof(h.ip));
	for (i = 0; i < len; i++)
		*byte_at(f, i) = i < sizeof(h) ? bytes[i] : (uint8_t)(number + i);
}

static uint64_t may_generate(const struct device *d, const struct peer_config *c)
{
	static const uint64_t second = UINT64_C(1000000000);
	uint64_t limit = c->count ? c->count - MIN(c->count, d->generated) : BATCH;

	/* by the clock alone: a pause is not made up for */
	if (c->rate && now_ns() % second * c->rate / second == d->generated % c->rate)
		return 0;
	return MIN(limit, c->rate ? 1 : BATCH);
}

static unsigned int generate(struct device *d, struct vq *out, const struct peer_config *c)
{
	const struct virtio_net_hdr_v1 hdr = { 0 };
	uint64_t limit = may_generate(d, c);
	struct iovec iov[FRAME_IOV_MAX];
	struct frame f;
	unsigned int n;

	for (n = 0; n < limit; n++) {
		frame_at(&f, iov);
		if (vq_take(out, c->size, &f) <= 0)
			break;
		write_frame(&f, c->size, d->generated, (unsigned int)(d->generated % c->flows));
		vq_give(out, f.span, c->size, &hdr);
		d->generated++;
		d->to_driver++;
		d->given++;
	}
	if (n)
		vq_flush(out);
	return n;
}

/* Where frames of pair @pair go: with fewer pairs over there, several share one. */
static struct vq *receive_ring(const struct device *to, unsigned int pair)
{
	unsigned int n = 0;

	while (device_ring(to, 2 * n))
		n++;
	return n ? device_ring(to, 2 * (pair % n)) : NULL;
}

unsigned int forward_run(struct device *devices, unsigned int n, const struct peer_config *c)
{
	bool passes = c->mode == MODE_CROSS || c->mode == MODE_REFLECT;
	unsigned int i, pair, moved = 0;

	for (i = 0; i < n; i++) {
		struct device *from = &devices[i];
		struct device *to = c->mode == MODE_CROSS ? &devices[i ^ 1] : from;

		for (pair = 0; pair < c->pairs; pair++) {
			struct vq *in = device_ring(from, 2 * pair + 1);
			struct vq *out = passes ? receive_ring(to, pair) : NULL;

			if (c->mode == MODE_GENERATE && device_ring(from, 2 * pair))
				moved += generate(from, device_ring(from, 2 * pair), c);
			if (in && !misbehave_holds(from, 2 * pair + 1))
				moved += forward_ring(from, in, to, out, c);
		}
	}
	return moved;
}
