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

/* A header between IPv6's and what it carries, which may be TCP or UDP (RFC 8200, 4.1). */
static bool is_extension(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case 139: /* HIP */
	case 140: /* Shim6 */
		return true;
	default:
		return false;
	}
}

/*
 * Reads the transport header; @left: bytes from there to the end of the packet, @said: as the
 * IP header has it.
 */
static enum headers_kind read_transport(struct headers *h, const uint8_t *p, uint32_t left,
					uint32_t said)
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
	return left == said ? HEADERS_PLAIN : HEADERS_APART;
}

static enum headers_kind read_ipv4(struct headers *h, const uint8_t *p, uint32_t left)
{
	struct iphdr ip;

	if (left < sizeof(ip))
		return HEADERS_HIDDEN;
	memcpy(&ip, p + h->network, sizeof(ip));
	if (!has_flows(ip.protocol))
		return HEADERS_OTHER;
	if (ip.version != 4 || ip.ihl != 5 || be16toh(ip.frag_off) & FRAGMENT)
		return HEADERS_HIDDEN;
	h->v6 = false;
	h->protocol = ip.protocol;
	h->transport = (uint8_t)(h->network + sizeof(ip));
	return read_transport(h, p, left - (uint32_t)sizeof(ip),
			      be16toh(ip.tot_len) - (uint32_t)sizeof(ip));
}

static enum headers_kind read_ipv6(struct headers *h, const uint8_t *p, uint32_t left)
{
	struct ipv6hdr ip;

	if (left < sizeof(ip))
		return HEADERS_HIDDEN;
	memcpy(&ip, p + h->network, sizeof(ip));
	if (ip.version != 6 || is_extension(ip.nexthdr))
		return HEADERS_HIDDEN;
	if (!has_flows(ip.nexthdr))
		return HEADERS_OTHER;
	h->v6 = true;
	h->protocol = ip.nexthdr;
	h->transport = (uint8_t)(h->network + sizeof(ip));
	return read_transport(h, p, left - (uint32_t)sizeof(ip), be16toh(ip.payload_len));
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

uint32_t headers_pseudo_sum(const struct headers *h, const uint8_t *p, uint32_t len)
{
	const uint8_t *ip = p + h->network;
	uint32_t sum = h->v6 ? checksum_words(0, ip + PSEUDO_ADDR6, 8)
			     : checksum_words(0, ip + PSEUDO_ADDR4, 2);

	/* IPv6 has the length in 32 bits, whose upper half adds the same to the sum */
	return checksum_join(sum, htobe16((uint16_t)len) + (uint32_t)htobe16(h->protocol));
}
