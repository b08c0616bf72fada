/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the headers of a TCP or UDP packet are. Offsets count from the first byte of the
 * Ethernet header. All is read from one private copy: the peer may rewrite the ring's.
 */
#ifndef ENGINE_HEADERS_H
#define ENGINE_HEADERS_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stdint.h>

/* Ethernet with one tag, IPv6 without extensions, TCP with all options: 118 bytes. */
#define HEADERS_MAX 126u
/* Bytes before a copy of them, which align what follows the Ethernet header. */
#define HEADERS_PAD 2u

enum headers_kind {
	HEADERS_PLAIN,  /* TCP or UDP, whole, told below */
	HEADERS_APART,  /* the same, but padded or cut off: the IP header has another length */
	HEADERS_OTHER,  /* no TCP or UDP, nor a part of it */
	HEADERS_HIDDEN, /* perhaps TCP or UDP: a fragment, options, extensions */
};

struct headers {
	uint8_t network;   /* offset of the IP header */
	uint8_t transport; /* of the TCP or UDP header */
	uint8_t payload;   /* of what follows */
	uint8_t protocol;  /* IPPROTO_TCP or IPPROTO_UDP */
	bool v6;
};

/*
 * Reads the first bytes @p (at least MIN(@len, HEADERS_MAX) of them) of a packet of @len
 * bytes. HEADERS_PLAIN: an IPv4 header without options, or an IPv6 header without
 * extensions, whose length is exactly that of the packet, is no fragment, and is followed
 * by a whole TCP or UDP header.
 */
enum headers_kind headers_read(struct headers *h, const uint8_t *p, uint32_t len);

/*
 * The sum of the pseudo-header for a transport header and payload of @len bytes together
 * (RFC 9293, 3.1; RFC 8200, 8.1), not folded.
 */
uint32_t headers_pseudo_sum(const struct headers *h, const uint8_t *p, uint32_t len);

static inline struct iphdr *headers_ipv4(const struct headers *h, uint8_t *p)
{
	return (struct iphdr *)(void *)(p + h->network);
}

static inline struct ipv6hdr *headers_ipv6(const struct headers *h, uint8_t *p)
{
	return (struct ipv6hdr *)(void *)(p + h->network);
}

static inline struct tcphdr *headers_tcp(const struct headers *h, uint8_t *p)
{
	return (struct tcphdr *)(void *)(p + h->transport);
}

static inline struct udphdr *headers_udp(const struct headers *h, uint8_t *p)
{
	return (struct udphdr *)(void *)(p + h->transport);
}

#endif
