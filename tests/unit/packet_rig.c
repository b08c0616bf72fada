/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "packet_rig.h"

#include <endian.h>
#include <string.h>

#define TCP_ACK 0x10

static uint8_t *put8(uint8_t *p, unsigned int v)
{
	*p = (uint8_t)v;
	return p + 1;
}

static uint8_t *put16(uint8_t *p, unsigned int v)
{
	return put8(put8(p, v >> 8), v);
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v & 0xffff);
}

/* By the letter of RFC 1071, so that it shares nothing with what is tested. */
static uint32_t sum(const uint8_t *p, size_t len, uint32_t total)
{
	size_t i;

	for (i = 0; i < len; i++)
		total += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

static uint8_t *put_ethernet(const struct packet_spec *s, uint8_t *p)
{
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };

	memcpy(p, macs, sizeof(macs));
	p += sizeof(macs);
	if (s->vlan)
		p = put16(put16(p, 0x8100), 42);
	if (s->fault == PACKET_NO_IP)
		return put16(p, 0x88b5);
	return put16(p, s->v6 ? 0x86dd : 0x0800);
}

static uint8_t *put_ipv4(const struct packet_spec *s, uint8_t *p, uint32_t transport)
{
	unsigned int options = s->fault == PACKET_IP_OPTIONS ? 4 : 0;
	uint8_t *ip = p;

	p = put8(put8(p, 0x45 + options / 4), s->tos);
	p = put16(put16(p, 20 + options + transport), s->id);
	p = put16(p, s->fault == PACKET_FRAGMENT ? 0x2000 : s->may_fragment ? 0 : 0x4000);
	p = put16(put8(put8(p, s->ttl), s->udp ? 17 : 6), 0);
	p = put32(put32(p, 0xc0000201), 0xc0000202);
	if (options)
		p = put32(p, 0x01010101);
	put16(ip + 10, fold(sum(ip, 20 + options, 0)) ^ (s->fault == PACKET_BAD_IP_SUM));
	return p;
}

static uint8_t *put_ipv6(const struct packet_spec *s, uint8_t *p, uint32_t transport)
{
	bool extended = s->fault == PACKET_EXTENSION;
	unsigned int protocol = s->udp ? 17 : 6, i;

	p = put32(p, 0x60000000 | (uint32_t)s->tos << 20 | 0x12345);
	p = put16(p, transport + (extended ? 8 : 0));
	p = put8(put8(p, extended ? 0 : protocol), s->ttl);
	for (i = 0; i < 2; i++)
		p = put32(put32(put32(put32(p, 0x20010db8), 0), 0), i + 1);
	if (extended)
		p = put32(put32(p, protocol << 24 | 0x0104), 0);
	return p;
}

static uint8_t *put_tcp(const struct packet_spec *s, uint8_t *p)
{
	p = put16(put16(p, s->flow), 80);
	p = put32(put32(p, s->seq), s->ack);
	p = put8(put8(p, s->timestamp ? 0x80 : 0x50), s->tcp_flags | TCP_ACK);
	p = put16(put16(put16(p, 512), 0), 0);
	if (s->timestamp)
		p = put32(put32(put32(p, 0x0101080a), s->timestamp), 7);
	return p;
}

static void put_payload(const struct packet_spec *s, uint8_t *p)
{
	uint32_t i;

	for (i = 0; i < s->payload; i++)
		p[i] = (uint8_t)((s->seq + i) * 2654435761u >> 24);
}

/* The checksum over pseudo-header, transport header and payload. */
static void put_checksum(const struct packet_spec *s, uint8_t *at, uint8_t *transport,
			 uint32_t len)
{
	/* the addresses stand in front of the transport header, but for extensions */
	unsigned int skip = s->fault == PACKET_IP_OPTIONS ? 4 :
			    s->fault == PACKET_EXTENSION  ? 8 :
							    0;
	unsigned int addresses = s->v6 ? 32 : 8;
	uint32_t total = sum(transport - skip - addresses, addresses, len + (s->udp ? 17 : 6));
	uint16_t check = fold(sum(transport, len, total));

	if (s->udp && !check)
		check = 0xffff;
	if (s->fault == PACKET_BAD_SUM)
		check ^= 0x0100;
	put16(at, s->fault == PACKET_NO_SUM ? 0 : check);
}

uint32_t packet_rig_build(const struct packet_spec *s, uint8_t *out)
{
	uint32_t header = s->udp ? 8 : s->timestamp ? 32 : 20;
	uint8_t *p = put_ethernet(s, out), *transport;

	p = s->v6 ? put_ipv6(s, p, header + s->payload) : put_ipv4(s, p, header + s->payload);
	transport = p;
	if (s->udp)
		p = put16(put16(put16(put16(p, s->flow), 80), 8u + s->payload), 0);
	else
		p = put_tcp(s, p);
	put_payload(s, p);
	put_checksum(s, transport + (s->udp ? 6 : 16), transport, header + s->payload);
	p += s->payload;
	if (s->fault == PACKET_PADDED)
		p = put16(p, 0);
	return (uint32_t)(p - out);
}

void packet_rig_frame(struct frame *f, struct iovec iov[2], uint8_t *packet, uint32_t len)
{
	frame_init(f, iov, 2, sizeof(f->hdr));
	memset(&f->hdr, 0, sizeof(f->hdr));
	iov[1] = (struct iovec){ .iov_base = packet, .iov_len = len };
	f->iovcnt = 2;
	f->len = len;
}

uint32_t packet_rig_flatten(const struct frame *f, uint8_t *out)
{
	uint32_t len = 0;
	unsigned int i;

	for (i = 1; i < f->iovcnt; i++) {
		memcpy(out + len, f->iov[i].iov_base, f->iov[i].iov_len);
		len += (uint32_t)f->iov[i].iov_len;
	}
	return len;
}
