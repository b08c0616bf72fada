/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a capture looks like in the memory that the daemon shares with who asked for it: a ring
 * of records for each lane, filled by its worker and emptied by the reader.
 *
 *   ring i at i * (CAPTURE_CONTROL + ring size):
 *   struct capture_control | record | record | …        (ring size, a power of two)
 *
 * The writer never waits: what finds no room is counted. It reads nothing of this memory but
 * control.read, which it does not believe either: nothing that is written here can make it
 * write beyond its ring.
 *
 * A record is followed by the first bytes of its packet, and begins at a multiple of
 * CAPTURE_ALIGN. Its packet may go on at the ring's beginning; it itself never does.
 */
#ifndef VUBRIDGE_CAPTURE_H
#define VUBRIDGE_CAPTURE_H

#include <linux/virtio_net.h>
#include <stdint.h>

/* Counts with whatever is changed here; told with the memory. */
#define CAPTURE_VERSION 1

#define CAPTURE_CONTROL 4096u /* bytes before each ring */
#define CAPTURE_ALIGN	32u

/* Positions count bytes since the beginning; their place is the position modulo the size. */
struct capture_control {
	uint64_t written; /* the daemon's, atomic: records end here */
	uint64_t dropped; /* the daemon's, atomic: frames that found no room */
	uint8_t gap[112]; /* the two sides do not share a cache line */
	uint64_t read;	  /* the reader's, atomic: it needs nothing before this any more */
};

struct capture_record {
	uint64_t time_ns;  /* CLOCK_REALTIME, of the batch that it came in */
	uint32_t captured; /* bytes of the packet that follow */
	uint32_t len;	   /* of the packet, without its virtio-net header */
	uint32_t lost;	   /* frames that found no room, since the last record */
	struct virtio_net_hdr_v1 hdr;
};

_Static_assert(sizeof(struct capture_record) == CAPTURE_ALIGN, "a record fits before the wrap");

/* What a record takes of its ring. */
static inline uint64_t capture_record_size(uint32_t captured)
{
	return sizeof(struct capture_record) +
	       (((uint64_t)captured + CAPTURE_ALIGN - 1) & ~(uint64_t)(CAPTURE_ALIGN - 1));
}

#endif
