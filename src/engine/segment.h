/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes of a frame of the kernel what a backend without offloads takes: cuts a superframe
 * into packets, and computes checksums that were left to the device. What is cut equals what
 * the kernel itself would have cut (its generic segmentation offload), byte for byte.
 */
#ifndef ENGINE_SEGMENT_H
#define ENGINE_SEGMENT_H

#include <vubridge/frame.h>

#include <stdbool.h>

/* The headers of a superframe; longer ones are refused. */
#define SEGMENT_HEADERS_MAX 254u

/* A frame on its way to be cut. All but .pieces and .next is this module's own. */
struct segment {
	unsigned int pieces; /* that it makes */
	unsigned int next;   /* of them to be written */
	const uint8_t *packet;
	uint32_t len;
	bool complete;	      /* compute checksums, instead of leaving them to the peer */
	uint8_t gso_type;     /* without VIRTIO_NET_HDR_GSO_ECN; NONE: one piece */
	bool v6;
	uint16_t network, transport, payload, check; /* offsets */
	uint16_t size;	      /* bytes of payload a piece */
	uint32_t addresses;   /* sum of the pseudo-header, without the length */
	uint8_t headers[2 + SEGMENT_HEADERS_MAX]; /* HEADERS_PAD before them */
};

/*
 * Prepares to cut the packet of @len bytes at @packet, which must stay there until the last
 * piece is written, as its header @hdr asks for. 0, or -EINVAL when packet and header do
 * not agree.
 */
int segment_open(struct segment *s, const uint8_t *packet, uint32_t len,
		 const struct virtio_net_hdr_v1 *hdr, bool complete);

/* The most bytes that a piece takes. */
uint32_t segment_room(const struct segment *s);

/* Writes the next piece to @to and its header to *hdr. Returns its length. */
uint32_t segment_write(struct segment *s, uint8_t *to, struct virtio_net_hdr_v1 *hdr);

#endif
