/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap_floor IFACE write FILE | tap_floor IFACE read: makes the TAP IFACE, and writes the
 * frames of FILE to it, or reads what comes, by io_uring, and does nothing else: no ring of
 * a device, no look at any frame. What the kernel allows on one processor.
 *
 * SIGUSR1 prints "frames N nanoseconds T": frames of the wire so far, superframes counted as
 * what they stand for, and the time. SIGTERM ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/uapi.h"
#include "base/util.h"
#include "replay.h"

#define BATCH	      64u
#define READ_ROOM     (REPLAY_HDR_LEN + 65600u)
#define IDLE_MS	      100
#define OFFLOADS      (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define OFFLOADS_USO  (OFFLOADS | TUN_F_USO4 | TUN_F_USO6)

struct floor {
	int tap;
	struct io_uring ring;
	uint64_t frames;
	int results[BATCH];
};

static volatile sig_atomic_t ended, asked;

static void on_signal(int signal)
{
	if (signal == SIGUSR1)
		asked = 1;
	else
		ended = 1;
}

static int open_tap(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int r = -errno;

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0)
		return r;
	/* kernels before 6.2 know no USO */
	if (ioctl(fd, TUNSETIFF, &ifr) == 0 && (ioctl(fd, TUNSETOFFLOAD, OFFLOADS_USO) == 0 ||
						ioctl(fd, TUNSETOFFLOAD, OFFLOADS) == 0))
		return fd;
	r = -errno;
	close_fd(&fd);
	return r;
}

/* @memory is registered: what is read and written lies in it. */
static int open_floor(struct floor *f, const char *name, void *memory, size_t size)
{
	struct iovec registered = {memory, size};
	int r;

	f->tap = open_tap(name);
	if (f->tap < 0)
		return f->tap;
	r = io_uring_queue_init(BATCH, &f->ring,
				IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	if (!r)
		r = io_uring_register_files(&f->ring, &f->tap, 1);
	if (!r)
		r = io_uring_register_buffers(&f->ring, &registered, 1);
	return r;
}

/* Of a floor that was opened, or was to be. */
static void close_floor(struct floor *f)
{
	if (f->ring.ring_fd > 0)
		io_uring_queue_exit(&f->ring);
	close_fd(&f->tap);
}

static void report(const struct floor *f)
{
	asked = 0;
	printf("frames %" PRIu64 " nanoseconds %" PRIu64 "\n", f->frames, now_ns());
	fflush(stdout);
}

/* Submits @n prepared entries and waits for their results. */
static int submit(struct floor *f, unsigned int n)
{
	do {
		struct io_uring_cqe *cqe;
		unsigned int head, seen = 0;
		int r = io_uring_submit_and_wait(&f->ring, n);

		if (r < 0 && r != -EINTR)
			return r;
		io_uring_for_each_cqe(&f->ring, head, cqe) {
			f->results[cqe->user_data] = cqe->res;
			seen++;
		}
		io_uring_cq_advance(&f->ring, seen);
		n -= seen;
	} while (n > 0);
	return 0;
}

static void prepare(struct floor *f, unsigned int i, bool write, void *at, size_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&f->ring);

	if (write)
		io_uring_prep_write_fixed(sqe, 0, at, (unsigned int)len, 0, 0);
	else
		io_uring_prep_read_fixed(sqe, 0, at, (unsigned int)len, 0, 0);
	sqe->rw_flags = RWF_NOWAIT;
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, i);
}

static int write_frames(struct floor *f, const struct replay *replay)
{
	unsigned int at = 0;

	while (!ended) {
		unsigned int i, done = 0;
		int r;

		for (i = 0; i < BATCH; i++) {
			const struct iovec *frame = &replay->frames[(at + i) % replay->count];

			prepare(f, i, true, frame->iov_base, frame->iov_len);
		}
		r = submit(f, BATCH);
		if (r)
			return r;
		for (i = 0; i < BATCH; i++) {
			const struct iovec *frame = &replay->frames[(at + i) % replay->count];

			if (f->results[i] < 0)
				continue;
			f->frames += replay_segments(frame->iov_base, frame->iov_len);
			done++;
		}
		at = (at + BATCH) % replay->count;
		if (asked)
			report(f);
		if (done == 0) /* the interface is not up yet */
			poll(NULL, 0, IDLE_MS);
	}
	return 0;
}

static int read_frames(struct floor *f, char *room)
{
	while (!ended) {
		unsigned int i, done = 0;
		int r;

		for (i = 0; i < BATCH; i++)
			prepare(f, i, false, room + i * READ_ROOM, READ_ROOM);
		r = submit(f, BATCH);
		if (r)
			return r;
		for (i = 0; i < BATCH; i++) {
			if (f->results[i] <= 0)
				continue;
			f->frames += replay_segments(room + i * READ_ROOM, (size_t)f->results[i]);
			done++;
		}
		if (asked)
			report(f);
		if (done == 0) {
			struct pollfd p = {.fd = f->tap, .events = POLLIN};

			poll(&p, 1, IDLE_MS);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct replay replay = {0};
	struct floor f = {.tap = -1};
	bool writing = argc == 4 && !strcmp(argv[2], "write");
	void *memory = NULL;
	size_t size = 0;
	int r = 0;

	if (!writing && (argc != 3 || strcmp(argv[2], "read"))) {
		fprintf(stderr, "usage: tap_floor IFACE write FILE | tap_floor IFACE read\n");
		return 2;
	}
	if (writing) {
		r = replay_load(&replay, argv[3]);
		memory = replay.memory;
		size = replay.size;
	} else {
		size = BATCH * READ_ROOM;
		memory = calloc(1, size);
		r = memory ? 0 : -ENOMEM;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	if (!r)
		r = open_floor(&f, argv[1], memory, size);
	if (!r)
		r = writing ? write_frames(&f, &replay) : read_frames(&f, memory);
	if (r)
		fprintf(stderr, "tap_floor: %s: %s\n", argv[1], strerror(-r));
	close_floor(&f);
	if (!writing)
		free(memory);
	replay_free(&replay);
	return r != 0;
}
