/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frames of a file that frames.py made, in memory, each ready to be written. */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

#include <linux/virtio_net.h>
#include <stddef.h>
#include <sys/uio.h>

/* Before each frame; all zero where the file has none. */
#define REPLAY_HDR_LEN sizeof(struct virtio_net_hdr)

struct replay {
	void *memory;         /* all of them, one behind the other */
	size_t size;          /* bytes there */
	struct iovec *frames; /* [count], with their headers */
	unsigned int count;
};

/* 0 or -errno; -EINVAL for what is no such file. */
int replay_load(struct replay *r, const char *path);
void replay_free(struct replay *r);

/* How many frames of the wire a frame of @len bytes, header included, stands for. */
unsigned int replay_segments(const void *frame, size_t len);

#endif
