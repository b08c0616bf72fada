/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/headers.h"

#include <endian.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "base/checksum.h"

#define TAG_LEN	     4u
#define FRAGMENT     0x3fff /* more fragments, or an offset */
#define PSEUDO_ADDR4 offsetof(struct iphdr, saddr)
#define PSEUDO_ADDR6 offsetof(struct ipv6hdr, saddr)

static uint16_t ethertype_at(const uint8_t *p, unsigned int at)
{
	return (uint16_t)(p[at] << 8 | p[at + 1]);
}

/* A protocol whose packets may be told apart by what is in them only. */
static bool has_flows(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* Reads the transport header; @left: bytes from there to the end of the packet. */
static enum headers_kind read_transport(struct headers *h, const uint8_t *p, uint32_t left)
{
	uint32_t len = sizeof(struct udphdr);

	if (h->protocol == IPPROTO_TCP) {
		if (left < sizeof(struct tcphdr))
			return HEADERS_HIDDEN;
		len = 4u * (p[h->transport + 12] >> 4); /* the data offset */
		if (len < sizeof(struct tcphdr))
			return HEADERS_HIDDEN;
	}
	if (left < len)
		return HEADERS_HIDDEN;
	h->payload = (uint8_t)(h->transport + len);
	return HEADERS_PLAIN;
}

static enum headers_kind read_ipv4(struct headers *h, const uint8_t *p, uint32_t left)
{
	struct iphdr ip;

	if (left < sizeof(ip))
		return HEADERS_HIDDEN;
	memcpy(&ip, p + h->network, sizeof(ip));
	if (!has_flows(ip.protocol))
		return HEADERS_OTHER;
	if (ip.version != 4 || ip.ihl != 5 || be16toh(ip.tot_len) != left ||
	    be16toh(ip.frag_off) & FRAGMENT)
		return HEADERS_HIDDEN;
	h->v6 = false;
	h->protocol = ip.protocol;
	h->transport = (uint8_t)(h->network + sizeof(ip));
	return read_transport(h, p, left - (uint32_t)sizeof(ip));
}

static enum headers_kind read_ipv6(struct headers *h, const uint8_t *p, uint32_t left)
{
	struct ipv6hdr ip;

	if (left < sizeof(ip))
		return HEADERS_HIDDEN;
	memcpy(&ip, p + h->network, sizeof(ip));
	if (ip.nexthdr == IPPROTO_ICMPV6)
		return HEADERS_OTHER;
	if (ip.version != 6 || !has_flows(ip.nexthdr) ||
	    be16toh(ip.payload_len) + sizeof(ip) != left)
		return HEADERS_HIDDEN;
	h->v6 = true;
	h->protocol = ip.nexthdr;
	h->transport = (uint8_t)(h->network + sizeof(ip));
	return read_transport(h, p, left - (uint32_t)sizeof(ip));
}

enum headers_kind headers_read(struct headers *h, const uint8_t *p, uint32_t len)
{
	uint16_t type;

	if (len < ETH_HLEN + TAG_LEN)
		return HEADERS_OTHER;
	h->network = ETH_HLEN;
	type = ethertype_at(p, 2 * ETH_ALEN);
	if (type == ETH_P_8021Q) {
		h->network += TAG_LEN;
		type = ethertype_at(p, 2 * ETH_ALEN + TAG_LEN);
	}
	if (type == ETH_P_IP)
		return read_ipv4(h, p, len - h->network);
	if (type == ETH_P_IPV6)
		return read_ipv6(h, p, len - h->network);
	return HEADERS_OTHER;
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint16_t load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The bits in which some bytes at two places differ, so that 0 stands for none. */
static uint64_t differ64(const uint8_t *a, const uint8_t *b)
{
	return load64(a) ^ load64(b);
}

static uint64_t differ32(const uint8_t *a, const uint8_t *b)
{
	return load32(a) ^ load32(b);
}

/* The same for the bits that are 1 in @mask, whose first byte is the upper one. */
#define DIFFER64(a, b, mask) (differ64(a, b) & htobe64(UINT64_C(mask)))

/* All but total length, id, and checksum. */
static uint64_t differ_ipv4(const uint8_t *a, const uint8_t *b)
{
	return DIFFER64(a, b, 0xffff00000000ffff) | DIFFER64(a + 8, b + 8, 0xffff0000ffffffff) |
	       differ32(a + 16, b + 16);
}

/* All but payload length. */
static uint64_t differ_ipv6(const uint8_t *a, const uint8_t *b)
{
	return DIFFER64(a, b, 0xffffffff0000ffff) | differ64(a + 8, b + 8) |
	       differ64(a + 16, b + 16) | differ64(a + 24, b + 24) | differ64(a + 32, b + 32);
}

/* All but sequence number, PSH, FIN, and checksum. */
static uint64_t differ_tcp(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint64_t bits = differ32(a, b) | DIFFER64(a + 8, b + 8, 0xfffffffffff6ffff) |
			(uint64_t)(load16(a + 18) ^ load16(b + 18));
	size_t at;

	for (at = sizeof(struct tcphdr); at < len; at += 4)
		bits |= differ32(a + at, b + at);
	return bits;
}

bool headers_alike(const struct headers *h, const uint8_t *p, const uint8_t *first)
{
	const uint8_t *a = p + h->network, *b = first + h->network;
	/* the Ethernet header and a tag, in three pieces that overlap */
	uint64_t bits = differ64(p, first) | differ64(p + 6, first + 6) | differ64(a - 8, b - 8);

	bits |= h->v6 ? differ_ipv6(a, b) : differ_ipv4(a, b);
	a = p + h->transport;
	b = first + h->transport;
	bits |= h->protocol == IPPROTO_TCP ? differ_tcp(a, b, (size_t)(h->payload - h->transport))
					   : differ32(a, b); /* UDP's ports */
	return !bits;
}

uint32_t headers_pseudo_sum(const struct headers *h, const uint8_t *p, uint32_t len)
{
	const uint8_t *ip = p + h->network;
	uint32_t sum = h->v6 ? checksum_words(0, ip + PSEUDO_ADDR6, 8)
			     : checksum_words(0, ip + PSEUDO_ADDR4, 2);

	/* IPv6 has the length in 32 bits, whose upper half adds the same to the sum */
	return checksum_join(sum, htobe16((uint16_t)len) + (uint32_t)htobe16(h->protocol));
}
