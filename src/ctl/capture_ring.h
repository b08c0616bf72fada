/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader's side of a ring of <vubridge/capture.h>, and a record's header in words. */
#ifndef CTL_CAPTURE_RING_H
#define CTL_CAPTURE_RING_H

#include <vubridge/capture.h>

struct capture_ring {
	struct capture_control *control;
	const uint8_t *data; /* [size] */
	uint32_t size;
	uint64_t read;
	uint64_t end; /* records before it are there */
};

/* @base is where the ring's control is. */
void capture_ring_open(struct capture_ring *ring, void *base, uint32_t size);

/* Looks how much is there by now. 0, or -EPROTO when that cannot be. */
int capture_ring_look(struct capture_ring *ring);

/* The oldest record that was there at the last look. 1, 0: there is none, or -EPROTO. */
int capture_ring_peek(const struct capture_ring *ring, struct capture_record *record);

/* Copies the packet of @record, which was peeked, and makes room. */
void capture_ring_take(struct capture_ring *ring, const struct capture_record *record,
		       void *packet);

/* Frames that found no room, so far. */
uint64_t capture_ring_dropped(const struct capture_ring *ring);

/* "virtio-net flags=NEEDS_CSUM gso_type=TCPV4 hdr_len=54 …": all of it, in this order. */
#define CAPTURE_HEADER_TEXT 160u
void capture_header_text(char text[CAPTURE_HEADER_TEXT], const struct virtio_net_hdr_v1 *hdr);

#endif
