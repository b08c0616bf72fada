/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets made to order, byte by byte as a sender would make them. */
#ifndef PACKET_RIG_H
#define PACKET_RIG_H

#include <vubridge/frame.h>

#include <stdbool.h>

enum packet_fault {
	PACKET_SOUND,
	PACKET_BAD_IP_SUM,    /* IPv4 only */
	PACKET_BAD_SUM,	      /* of TCP or UDP */
	PACKET_NO_SUM,	      /* UDP: 0 */
	PACKET_FRAGMENT,      /* IPv4 only */
	PACKET_IP_OPTIONS,    /* IPv4 only: 4 bytes of them */
	PACKET_EXTENSION,     /* IPv6 only: hop-by-hop options */
	PACKET_PADDED,	      /* more bytes than the IP header says */
	PACKET_NO_IP,	      /* of another type altogether */
};

struct packet_spec {
	bool v6, vlan, udp;
	uint16_t flow; /* source port */
	uint32_t seq;  /* also what the payload begins with */
	uint32_t ack;
	uint16_t id;
	bool may_fragment; /* no DF */
	uint8_t tcp_flags; /* besides ACK */
	uint8_t timestamp; /* TCP option, 0: none */
	uint8_t ttl, tos;
	uint16_t payload;
	enum packet_fault fault;
};

/* Writes the packet to @out (at most payload + 134 bytes) and returns its length. */
uint32_t packet_rig_build(const struct packet_spec *spec, uint8_t *out);

/* Makes @f that packet in one piece (iovcnt 2), without anything in its header. */
void packet_rig_frame(struct frame *f, struct iovec iov[2], uint8_t *packet, uint32_t len);

/* Copies what the iovecs of @f behind the header hold to @out; returns how much. */
uint32_t packet_rig_flatten(const struct frame *f, uint8_t *out);

#endif
