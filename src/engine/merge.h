/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes superframes of packets that belong together, as the kernel's generic receive
 * offload would, before they are written to the kernel: one write then carries dozens.
 *
 * A batch of frames goes in, and units come out: a frame as it was, or a superframe that
 * stands for several members. What is cut from a superframe again (by TCP segmentation, or
 * UDP's) is byte for byte what went in, but for the IPv4 id of datagrams that have none
 * to speak of (RFC 6864, 4.1: atomic ones). Order within a flow stays; nothing waits.
 */
#ifndef ENGINE_MERGE_H
#define ENGINE_MERGE_H

#include <vubridge/frame.h>

#include <stdbool.h>

/* Frames in one batch at most: as many as a ring offers by itself, half of what it has. */
#define MERGE_BATCH 2048u
/* The iovecs of all of them together, headers included. */
#define MERGE_PIECES (2 * MERGE_BATCH + FRAME_IOV_MAX)

/* Only TCP and UDP over IPv4 or IPv6, at most one VLAN tag. */
struct merge_config {
	bool strict;	      /* IPv4 ids must rise by one, also in atomic datagrams */
	bool tcp;	      /* the kernel takes VIRTIO_NET_HDR_GSO_TCPV4 and TCPV6 */
	unsigned int udp_max; /* datagrams in one VIRTIO_NET_HDR_GSO_UDP_L4; below 2: none */
	uint8_t hdr_len;      /* bytes of virtio-net header before each unit */
};

struct merge;

/* Behind the last member of a unit. */
#define MERGE_END UINT16_MAX

/* NULL when there is no memory. */
struct merge *merge_open(const struct merge_config *config);
void merge_close(struct merge *m); /* NULL-safe */
/* Another configuration, from the next batch on; hdr_len stays as it is. */
void merge_configure(struct merge *m, const struct merge_config *config);

/*
 * Makes units of @frames[0..n), n at most MERGE_BATCH, in MERGE_PIECES iovecs at most. They
 * must stay where they are, with the memory they point to, until the units are written.
 * Returns how many units *units has; they are valid until the next call.
 */
unsigned int merge_batch(struct merge *m, struct frame *frames, unsigned int n,
			 struct frame **units);

/* The place among the frames of a unit's first member, and how many there are. */
uint16_t merge_first(const struct merge *m, unsigned int unit);
uint16_t merge_members(const struct merge *m, unsigned int unit);
/* The bytes of all members of a unit that has several, headers included. */
uint32_t merge_bytes(const struct merge *m, unsigned int unit);
/* By the place of a member: that of the one behind it in its unit, or MERGE_END. */
const uint16_t *merge_next(const struct merge *m);

#endif
