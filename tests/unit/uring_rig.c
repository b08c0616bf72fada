/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uring_rig.h"

int uring_rig_setup(void **state)
{
	struct uring_rig *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	fake_kport_open(&b->port);
	*state = b;
	return 0;
}

int uring_rig_teardown(void **state)
{
	struct uring_rig *b = *state;

	io_close(b->io);
	fake_kport_close(&b->port);
	free(b);
	return 0;
}

struct uring_rig *uring_rig_begin(void **state)
{
	struct uring_rig *b = *state;

	assert_int_equal(uring_open(&b->io, &b->port.kport, 0), 0);
	assert_string_equal(b->io->name, "uring");
	return b;
}

/* Puts another descriptor into the port's place. */
struct uring_rig *uring_rig_begin_with(void **state, int fd)
{
	struct uring_rig *b = *state;

	assert_true(fd >= 0);
	close(b->port.fd);
	b->port.fd = fd;
	return uring_rig_begin(state);
}

struct frame *uring_rig_lay_out(struct uring_rig *b, unsigned int i, uint32_t first, uint32_t len)
{
	struct frame *f = &b->frames[i];

	frame_init(f, b->iovs[i], 3, b->port.kport.hdr_len);
	f->iov[1] = (struct iovec){b->bytes[i], first};
	f->iov[2] = (struct iovec){b->bytes[i] + first, len - first};
	f->iovcnt = 3;
	f->len = len;
	return f;
}

void uring_rig_make_room(struct uring_rig *b)
{
	unsigned int i;

	memset(b->bytes, 0xee, sizeof(b->bytes));
	for (i = 0; i < IO_BATCH; i++)
		uring_rig_lay_out(b, i, 1 + i % 5, URING_RIG_ROOM);
}

int uring_rig_send(struct uring_rig *b, unsigned int n)
{
	memset(b->errors, 0x55, sizeof(b->errors));
	return b->io->ops->send(b->io, b->frames, n, b->errors);
}

int uring_rig_receive(struct uring_rig *b, unsigned int n)
{
	uring_rig_make_room(b);
	return b->io->ops->receive(b->io, b->frames, n);
}

int uring_rig_fd(void)
{
	char path[40], target[40] = "";
	int fd;

	for (fd = 3; fd < 100; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		memset(target, 0, sizeof(target));
		if (readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "io_uring"))
			return fd;
	}
	return -1;
}
