/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A port with its io_uring and a batch of frames, for the tests of engine/uring.c. */
#ifndef URING_RIG_H
#define URING_RIG_H

#include "engine/io.h"
#include "engine_rig.h"

#define URING_RIG_ROOM 2048u

/* A port and its io_uring, and a batch of frames in up to two pieces each. */
struct uring_rig {
	struct fake_kport port;
	struct io *io;
	struct frame frames[IO_BATCH];
	struct iovec iovs[IO_BATCH][3];
	uint8_t bytes[IO_BATCH][URING_RIG_ROOM];
	int errors[IO_BATCH];
};

/* For cmocka. */
int uring_rig_setup(void **state);
int uring_rig_teardown(void **state);

/* Opens the io_uring, or does so with another descriptor in the port's place. */
struct uring_rig *uring_rig_begin(void **state);
struct uring_rig *uring_rig_begin_with(void **state, int fd);

/* Frame @i, of @len bytes in two pieces, the first of which has @first. */
struct frame *uring_rig_lay_out(struct uring_rig *b, unsigned int i, uint32_t first, uint32_t len);

/* Room for a whole batch. */
void uring_rig_make_room(struct uring_rig *b);

/* The first @n frames; receiving makes room for them before. */
int uring_rig_send(struct uring_rig *b, unsigned int n);
int uring_rig_receive(struct uring_rig *b, unsigned int n);

/* A descriptor of this process that is an io_uring's, or -1. */
int uring_rig_fd(void);

#endif
