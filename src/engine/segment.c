/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/segment.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <string.h>

#include "base/checksum.h"
#include "base/uapi.h"
#include "base/util.h"
#include "engine/headers.h"

#define TAG_LEN	 4u
#define TAGS_MAX 2u

/* The byte of flags in the TCP header, and those that pieces do not all have. */
#define TCP_FLAGS_AT 13u
#define TCP_FIN	     0x01u
#define TCP_PSH	     0x08u
#define TCP_CWR	     0x80u

_Static_assert(sizeof(((struct segment *)0)->headers) == HEADERS_PAD + SEGMENT_HEADERS_MAX,
	       "headers are aligned as headers.h has it");

static uint8_t *headers_at(struct segment *s, unsigned int offset)
{
	return s->headers + HEADERS_PAD + offset;
}

/* ---- reading what the header says ---- */

/* Where the IP header begins, behind VLAN tags; 0 where there is none. */
static uint16_t find_network(const uint8_t *p, uint32_t len)
{
	unsigned int at = ETH_HLEN, tags = 0;

	for (; at + 1 < len; at += TAG_LEN) {
		uint16_t type = (uint16_t)(p[at - 2] << 8 | p[at - 1]);

		if (type == ETH_P_IP || type == ETH_P_IPV6)
			return (uint16_t)at;
		if ((type != ETH_P_8021Q && type != ETH_P_8021AD) || tags++ == TAGS_MAX)
			break;
	}
	return 0;
}

static int read_network(struct segment *s)
{
	uint32_t ip;

	s->network = find_network(s->packet, s->len);
	if (!s->network)
		return -EINVAL;
	s->v6 = s->packet[s->network] >> 4 == 6;
	ip = s->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	if (s->network + ip > s->transport)
		return -EINVAL;
	if (!s->v6 && s->network + 4u * (s->packet[s->network] & 15) != s->transport)
		return -EINVAL;
	return 0;
}

/* The transport header's length by its own account. */
static int read_transport(struct segment *s)
{
	bool udp = s->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;
	uint32_t len = sizeof(struct udphdr);
	uint16_t check = offsetof(struct udphdr, check);

	if (!udp) {
		if (s->transport + sizeof(struct tcphdr) > s->len)
			return -EINVAL;
		len = 4u * (s->packet[s->transport + 12] >> 4);
		check = offsetof(struct tcphdr, check);
		if (len < sizeof(struct tcphdr))
			return -EINVAL;
	}
	s->payload = (uint16_t)(s->transport + len);
	if (s->payload > SEGMENT_HEADERS_MAX || s->payload >= s->len)
		return -EINVAL;
	return s->check == s->transport + check ? 0 : -EINVAL;
}

/* The length that the superframe's pseudo-header has, in memory order; UDP's says it itself. */
static uint16_t pseudo_len(const struct segment *s)
{
	uint16_t len = htobe16((uint16_t)(s->len - s->transport));

	if (s->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4)
		memcpy(&len, s->packet + s->transport + offsetof(struct udphdr, len), sizeof(len));
	return len;
}

/*
 * What all pieces have in common: the headers, and the sum of the pseudo-header but for its
 * length. That comes from the checksum field, where the sender left the sum (5.1.6.2): with
 * source routing the destination in it is another one than in the IP header.
 */
static void read_common(struct segment *s)
{
	uint16_t sum;

	memcpy(headers_at(s, 0), s->packet, s->payload);
	memcpy(&sum, headers_at(s, s->check), sizeof(sum));
	s->addresses = checksum_join(sum, (uint16_t)~pseudo_len(s));
	memset(headers_at(s, s->check), 0, sizeof(uint16_t));
}

static int open_superframe(struct segment *s, const struct virtio_net_hdr_v1 *hdr)
{
	int r;

	s->size = le16toh(hdr->gso_size);
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || !s->size)
		return -EINVAL;
	if (s->gso_type != VIRTIO_NET_HDR_GSO_TCPV4 && s->gso_type != VIRTIO_NET_HDR_GSO_TCPV6 &&
	    s->gso_type != VIRTIO_NET_HDR_GSO_UDP_L4)
		return -EINVAL;
	r = read_network(s);
	if (!r)
		r = read_transport(s);
	if (r)
		return r;
	s->pieces = (s->len - s->payload + s->size - 1) / s->size;
	read_common(s);
	return 0;
}

int segment_open(struct segment *s, const uint8_t *packet, uint32_t len,
		 const struct virtio_net_hdr_v1 *hdr, bool complete)
{
	s->packet = packet;
	s->len = len;
	s->complete = complete && hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	s->gso_type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	s->pieces = 1;
	s->next = 0;
	s->transport = le16toh(hdr->csum_start);
	s->check = (uint16_t)(s->transport + le16toh(hdr->csum_offset));
	if (s->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return open_superframe(s, hdr);
	if (s->complete && (s->check < s->transport || s->check + 2u > len))
		return -EINVAL;
	return 0;
}

uint32_t segment_room(const struct segment *s)
{
	return s->gso_type == VIRTIO_NET_HDR_GSO_NONE ? s->len
						      : MIN(s->len, (uint32_t)s->payload + s->size);
}

/* ---- writing pieces ---- */

/* Stores a checksum; in UDP's, 0 would say that there is none. */
static void store_check(uint8_t *at, uint32_t sum, bool not_zero)
{
	uint16_t check = (uint16_t)~checksum_fold(sum);

	if (!check && not_zero)
		check = 0xffff;
	memcpy(at, &check, sizeof(check));
}

/* A frame that is not cut, with its checksum computed if that is asked for. */
static uint32_t write_whole(const struct segment *s, uint8_t *to, struct virtio_net_hdr_v1 *hdr)
{
	if (!s->complete) {
		memcpy(to, s->packet, s->len);
		return s->len;
	}
	memcpy(to, s->packet, s->transport);
	/* whose it is, nobody said: any takes all ones for 0 */
	store_check(to + s->check,
		    checksum_copy(0, to + s->transport, s->packet + s->transport,
				  s->len - s->transport),
		    true);
	hdr->flags = 0;
	hdr->csum_start = hdr->csum_offset = 0;
	return s->len;
}

/* Fields of headers that need not be aligned: behind extensions they may be anywhere. */
static void put16(uint8_t *at, uint32_t value)
{
	uint16_t v = htobe16((uint16_t)value);

	memcpy(at, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void add32(uint8_t *at, uint32_t value)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	v = htobe32(be32toh(v) + value);
	memcpy(at, &v, sizeof(v));
}

static void patch_network(struct segment *s, uint32_t payload)
{
	uint32_t len = s->payload - s->network + payload;
	uint8_t *ip = headers_at(s, s->network);
	uint16_t check;

	if (s->v6) {
		put16(ip + offsetof(struct ipv6hdr, payload_len), len - sizeof(struct ipv6hdr));
		return;
	}
	put16(ip + offsetof(struct iphdr, tot_len), len);
	if (s->next)
		put16(ip + offsetof(struct iphdr, id), get16(ip + offsetof(struct iphdr, id)) + 1u);
	put16(ip + offsetof(struct iphdr, check), 0);
	check = (uint16_t)~checksum_fold(checksum_add(0, ip, 4u * (ip[0] & 15)));
	memcpy(ip + offsetof(struct iphdr, check), &check, sizeof(check));
}

/* CWR is of the first piece alone, FIN and PSH of the last (as the kernel's tcp_gso_segment). */
static void patch_tcp(struct segment *s)
{
	uint8_t *tcp = headers_at(s, s->transport);
	uint8_t flags = s->packet[s->transport + TCP_FLAGS_AT];

	if (s->next) {
		add32(tcp + offsetof(struct tcphdr, seq), s->size);
		flags &= (uint8_t)~TCP_CWR;
	}
	if (s->next + 1 < s->pieces)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	tcp[TCP_FLAGS_AT] = flags;
}

/* The transport checksum, or its part that the peer goes on from (5.1.6.2). */
static void write_check(const struct segment *s, uint8_t *to, uint32_t payload, uint32_t sum,
			struct virtio_net_hdr_v1 *hdr)
{
	uint32_t len = s->payload - s->transport + payload;
	uint32_t pseudo = checksum_join(s->addresses, htobe16((uint16_t)len));
	uint16_t part;

	hdr->gso_type = VIRTIO_NET_HDR_GSO_NONE;
	hdr->gso_size = 0;
	hdr->hdr_len = 0;
	if (!s->complete) {
		part = checksum_fold(pseudo);
		memcpy(to + s->check, &part, sizeof(part));
		return;
	}
	sum = checksum_join(sum, pseudo);
	sum = checksum_add(sum, to + s->transport, (size_t)(s->payload - s->transport));
	store_check(to + s->check, sum, s->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4);
	hdr->flags = 0;
	hdr->csum_start = hdr->csum_offset = 0;
}

uint32_t segment_write(struct segment *s, uint8_t *to, struct virtio_net_hdr_v1 *hdr)
{
	uint32_t at = s->payload + s->next * s->size, payload, sum = 0;

	if (s->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		s->next++;
		return write_whole(s, to, hdr);
	}
	payload = MIN((uint32_t)s->size, s->len - at);
	patch_network(s, payload);
	if (s->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4)
		put16(headers_at(s, s->transport) + offsetof(struct udphdr, len),
		      sizeof(struct udphdr) + payload);
	else
		patch_tcp(s);
	memcpy(to, headers_at(s, 0), s->payload);
	if (s->complete)
		sum = checksum_copy(0, to + s->payload, s->packet + at, payload);
	else
		memcpy(to + s->payload, s->packet + at, payload);
	write_check(s, to, payload, sum, hdr);
	s->next++;
	return s->payload + payload;
}
