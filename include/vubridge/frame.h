/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frame on its way between a ring and a kernel file descriptor.
 *
 * The bytes of the packet stay where the ring put them; a frame only points at
 * them. Its virtio-net header is a private copy: the peer may rewrite shared
 * memory at any moment, and what was checked must be what is used.
 */
#ifndef VUBRIDGE_FRAME_H
#define VUBRIDGE_FRAME_H

#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * The longest packet, in bytes: a 64 KiB superframe with an Ethernet header and
 * room for tags (virtio 1.3, 5.1.6.3.1 asks a driver for 65562 with its header).
 */
#define FRAME_LEN_MAX 65600u

/* The most iovecs one frame may need, its header's included. */
#define FRAME_IOV_MAX 64u

/*
 * Tokens of a ring (buffers or chains) that one frame holds. What `first` names
 * is the ring's secret; whoever holds a span only hands it back.
 */
struct span {
	uint16_t first;
	uint16_t count; /* tokens, 0: none */
};

struct frame {
	/* 5.1.6; little-endian whatever the ring's own byte order is */
	struct virtio_net_hdr_v1 hdr;
	/* bytes of packet after the header: content, or room where it is to be filled */
	uint32_t len;
	struct span span;
	uint16_t iovcnt; /* used iovecs, the header's included */
	uint16_t iovmax; /* iovecs at .iov, FRAME_IOV_MAX for a frame that may be any */
	/*
	 * Borrowed from the lane. iov[0] is the header as the kernel port wants it,
	 * iov[1] and on are ring memory: ready for readv and writev.
	 */
	struct iovec *iov;
};

/* Ties a frame to @iovmax iovecs at @iov, with @hdr_len bytes (10 or 12) of header. */
static inline void frame_init(struct frame *f, struct iovec *iov, uint16_t iovmax, size_t hdr_len)
{
	f->iov = iov;
	f->iovmax = iovmax;
	f->iovcnt = 1;
	f->len = 0;
	f->span = (struct span){ 0 };
	iov[0].iov_base = &f->hdr;
	iov[0].iov_len = hdr_len;
}

#endif
