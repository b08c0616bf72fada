/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_uring on descriptors whose answers are known: a socketpair, a FIFO that takes
 * small frames when large ones do not fit, and a timer whose reads find something only
 * now and then.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/util.h"
#include "uring_rig.h"

static void fill(struct uring_rig *b, unsigned int i, uint32_t number)
{
	struct frame *f = uring_rig_lay_out(b, i, 1 + i % 13, rig_frame_len(number));

	memset(&f->hdr, 0, sizeof(f->hdr));
	f->hdr.gso_size = (uint16_t)number;
	rig_frame_fill(b->bytes[i], number);
}

static void fill_all(struct uring_rig *b, uint32_t from)
{
	unsigned int i;

	for (i = 0; i < IO_BATCH; i++)
		fill(b, i, from + i);
}

static void assert_outside_got(struct uring_rig *b, uint32_t number)
{
	struct virtio_net_hdr_v1 hdr;

	assert_int_equal(fake_kport_get(&b->port, 0, &hdr), number);
	assert_int_equal(hdr.gso_size, number);
}

static void assert_came(struct uring_rig *b, unsigned int i, uint32_t number)
{
	assert_int_equal(rig_frame_number(b->bytes[i], b->frames[i].len), number);
	assert_int_equal(b->frames[i].hdr.gso_size, number);
	assert_int_equal(b->frames[i].hdr.num_buffers, 0);
}

/* ---- a socketpair ---- */

static void sends_in_order(void **state)
{
	struct uring_rig *b = uring_rig_begin(state);
	uint32_t round, i;

	for (round = 0; round < 50; round++) {
		fill_all(b, round * IO_BATCH);
		assert_int_equal(uring_rig_send(b, IO_BATCH), IO_BATCH);
		for (i = 0; i < IO_BATCH; i++) {
			assert_int_equal(b->errors[i], 0);
			assert_outside_got(b, round * IO_BATCH + i);
		}
	}
	fill_all(b, 7);
	assert_int_equal(uring_rig_send(b, 1), 1);
	assert_outside_got(b, 7);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
}

static void receives_in_order(void **state)
{
	struct uring_rig *b = uring_rig_begin(state);
	uint32_t round, i;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < IO_BATCH; i++)
			assert_true(fake_kport_put(&b->port, round * IO_BATCH + i, true));
		assert_int_equal(uring_rig_receive(b, IO_BATCH), IO_BATCH);
		for (i = 0; i < IO_BATCH; i++)
			assert_came(b, i, round * IO_BATCH + i);
	}
	for (i = 0; i < 10; i++)
		assert_true(fake_kport_put(&b->port, i, true));
	assert_int_equal(uring_rig_receive(b, 3), 3);
	assert_came(b, 2, 2);
	assert_int_equal(uring_rig_receive(b, IO_BATCH), 7);
	assert_came(b, 0, 3);
	assert_came(b, 6, 9);
}

/* An empty fd is told at once, and nothing stays armed to catch a later frame. */
static void receives_nothing(void **state)
{
	struct uring_rig *b = uring_rig_begin(state);
	int i;

	for (i = 0; i < 100; i++)
		assert_int_equal(uring_rig_receive(b, IO_BATCH), 0);
	assert_int_equal(uring_rig_receive(b, 1), 0);
	assert_true(fake_kport_put(&b->port, 5, true));
	uring_rig_make_room(b);
	assert_int_equal(b->bytes[0][0], 0xee);
	assert_int_equal(uring_rig_receive(b, IO_BATCH), 1);
	assert_came(b, 0, 5);
}

/* Each of these is refused in its own way, one before io_uring has even tried. */
static void refused_amid_a_batch(void **state)
{
	struct uring_rig *b = uring_rig_begin(state);
	uint8_t *large = calloc(1, 8u << 20);
	uint32_t i;

	assert_non_null(large);
	fill_all(b, 0);
	b->frames[9].iov = (struct iovec *)8;
	b->frames[20].iov[1] = (struct iovec){(void *)8, 100};
	b->frames[30].iov[2] = (struct iovec){large, 8u << 20};
	b->frames[63].iov = (struct iovec *)8;
	assert_int_equal(uring_rig_send(b, IO_BATCH), IO_BATCH);
	for (i = 0; i < IO_BATCH; i++) {
		if (i == 9 || i == 20 || i == 63)
			assert_int_equal(b->errors[i], EFAULT);
		else if (i == 30)
			assert_int_equal(b->errors[i], EMSGSIZE);
		else
			assert_int_equal(b->errors[i], 0);
		if (!b->errors[i])
			assert_outside_got(b, i);
	}
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	free(large);
	fill_all(b, 100);
	assert_int_equal(uring_rig_send(b, IO_BATCH), IO_BATCH);
	for (i = 0; i < IO_BATCH; i++)
		assert_outside_got(b, 100 + i);
}

/* A full fd is told at once too, and takes nothing later on its own. */
static void full(void **state)
{
	struct uring_rig *b = uring_rig_begin(state);
	uint32_t went = 0, got = 0;
	int size = 1, r, i; /* as small as the kernel allows */

	assert_int_equal(setsockopt(b->port.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	for (i = 0; i < 100; i++) {
		fill_all(b, went);
		r = uring_rig_send(b, IO_BATCH);
		assert_in_range(r, 1, IO_BATCH - 1);
		went += (uint32_t)r;
		while (r-- > 0)
			assert_int_equal(b->errors[r], 0);
		assert_int_equal(uring_rig_send(b, IO_BATCH), 0);
		for (; got < went; got++)
			assert_outside_got(b, got);
		assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	}
}

static void receive_fails(void **state)
{
	struct uring_rig *b = uring_rig_begin(state);
	unsigned int i;

	uring_rig_make_room(b);
	for (i = 0; i < 3; i++)
		b->frames[i].iov = (struct iovec *)8;
	/* each is told, one by one */
	for (i = 0; i < 3; i++)
		assert_int_equal(b->io->ops->receive(b->io, b->frames, 3), -EFAULT);
	/* frames that came are not lost for it */
	assert_true(fake_kport_put(&b->port, 1, true));
	uring_rig_make_room(b);
	b->frames[1].iov = (struct iovec *)8;
	assert_int_equal(b->io->ops->receive(b->io, b->frames, 3), 1);
	assert_came(b, 0, 1);
	assert_int_equal(uring_rig_receive(b, 3), -EFAULT);
	assert_int_equal(uring_rig_receive(b, 3), 0);
	assert_int_equal(b->io->broken, 0);
}

/* ---- other descriptors ---- */

static bool knows_nowait(int fd)
{
	uint64_t value;
	struct iovec iov = {&value, sizeof(value)};

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) >= 0 || errno == EAGAIN;
}

/* @fd opened again, for reading and writing. */
static int reopen(int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static void write_frame(struct uring_rig *b, unsigned int i, uint32_t total)
{
	uring_rig_lay_out(b, i, 1, total - b->port.kport.hdr_len);
	memset(b->bytes[i], (int)i, URING_RIG_ROOM);
}

/*
 * A pipe of one page: the 3rd frame fits, after the 2nd did not. Whatever comes behind
 * it may be tried again, but the 2nd cannot.
 */
static void full_amid_a_batch(void **state)
{
	static const uint32_t sizes[] = {2000, 1500, 1500, 300, 1500, 1500};
	uint8_t page[4096];
	struct uring_rig *b;
	int ends[2], i;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(fcntl(ends[0], F_SETPIPE_SZ, sizeof(page)) > 0);
	b = uring_rig_begin_with(state, reopen(ends[0]));
	close(ends[0]);
	close(ends[1]);
	if (fcntl(b->port.fd, F_GETPIPE_SZ) != sizeof(page))
		skip(); /* of another page size */
	for (i = 0; i < 6; i++)
		write_frame(b, (unsigned int)i, sizes[i]);
	assert_int_equal(uring_rig_send(b, 6), 4);
	assert_int_equal(b->errors[0], 0);
	assert_int_equal(b->errors[1], 0);
	assert_int_equal(b->errors[2], EAGAIN);
	assert_int_equal(b->errors[3], 0);
	assert_int_equal(read(b->port.fd, page, sizeof(page)), 2000 + 1500 + 300);
	assert_int_equal(page[2000 + 20], 1);
	assert_int_equal(page[3500 + 20], 3);
	assert_int_equal(uring_rig_send(b, 1), 1);
	assert_int_equal(b->errors[0], 0);
}

/* A timer's eight bytes pass for a frame: a header of 4, and 4 bytes that are 0. */
static bool gap_was_closed(struct uring_rig *b)
{
	unsigned int i;
	int k, came;

	uring_rig_make_room(b);
	for (i = 0; i < IO_BATCH; i++)
		memset(&b->frames[i].hdr, 0xff, 4);
	came = b->io->ops->receive(b->io, b->frames, IO_BATCH);
	assert_true(came >= 0);
	for (k = 0; k < came; k++) {
		assert_int_equal(b->frames[k].len, 4);
		assert_memory_equal(b->bytes[k], "\0\0\0\0\xee\xee", 6);
		assert_memory_not_equal(&b->frames[k].hdr, "\xff\xff\xff\xff", 4);
	}
	/* a room beyond them that was written: its frame has moved */
	for (i = (unsigned int)came; i < IO_BATCH; i++)
		if (b->bytes[i][0] != 0xee)
			return true;
	return false;
}

static void gap_amid_reads(void **state)
{
	/* expires again and again while a batch is under way */
	const struct itimerspec often = {{0, 3000}, {0, 3000}};
	struct uring_rig *b = *state;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int tries;

	b->port.kport.hdr_len = 4;
	uring_rig_begin_with(state, fd);
	assert_int_equal(timerfd_settime(fd, 0, &often, NULL), 0);
	if (!knows_nowait(fd))
		skip(); /* an old kernel: it is read plainly, so there are no gaps */
	for (tries = 0; tries < 20000 && !gap_was_closed(b); tries++)
		;
	assert_in_range(tries, 0, 19999);
}

/* ---- when it cannot be, or ends ---- */

/* Both directions say so, each time, and no frame counts as passed. */
static void ring_dies(struct uring_rig *b)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), ring = uring_rig_fd(), i;

	assert_true(null >= 0 && ring >= 0);
	assert_int_equal(dup2(null, ring), ring);
	close(null);
	for (i = 0; i < 3; i++) {
		fill_all(b, 0);
		assert_true(uring_rig_send(b, IO_BATCH) < 0);
		assert_int_equal(b->errors[0], 0x55555555);
		assert_true(uring_rig_receive(b, IO_BATCH) < 0);
	}
}

static void ring_dies_on_send(void **state)
{
	struct uring_rig *b = uring_rig_begin(state);

	assert_true(fake_kport_put(&b->port, 1, true));
	ring_dies(b);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
}

/* The same where frames are read without io_uring: silence would lose all that is sent. */
static void ring_dies_read_plainly(void **state)
{
	char path[] = "/tmp/test_uring.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	unlink(path);
	ring_dies(uring_rig_begin_with(state, fd));
}

/* The port's ring, mapped once more: whoever has its descriptor can do that. */
static void map_ring(struct io_uring *ring, int fd)
{
	struct io_uring_params params = {0};
	struct io_uring alike;

	/* where its parts are, a ring of this size tells */
	assert_int_equal(io_uring_queue_init_params(IO_BATCH, &alike, &params), 0);
	io_uring_queue_exit(&alike);
	assert_int_equal(io_uring_queue_mmap(fd, &params, ring), 0);
	/* it was used already */
	ring->sq.sqe_head = ring->sq.sqe_tail = *ring->sq.ktail;
}

static int result_of(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int r = io_uring_submit_and_wait(ring, 1);

	assert_true(r >= 0);
	assert_int_equal(io_uring_peek_cqe(ring, &cqe), 0);
	r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return r;
}

/* What passes no filter of system calls: the ring itself does nothing but move frames. */
static void moves_frames_alone(void **state)
{
	struct uring_rig *b = uring_rig_begin(state);
	struct iovec iov = {b->bytes[0], 100};
	int fd = uring_rig_fd();
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	assert_true(fd >= 0);
	map_ring(&ring, dup(fd));
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/dev/null", O_RDWR, 0);
	assert_int_equal(result_of(&ring), -EACCES);
	io_uring_prep_socket(io_uring_get_sqe(&ring), AF_INET, SOCK_STREAM, 0, 0);
	assert_int_equal(result_of(&ring), -EACCES);
	io_uring_prep_connect(io_uring_get_sqe(&ring), b->port.fd, NULL, 0);
	assert_int_equal(result_of(&ring), -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_readv(sqe, 0, &iov, 1, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	assert_int_equal(result_of(&ring), -EACCES);
	assert_int_equal(io_uring_register_eventfd(&ring, fd), -EACCES);
	io_uring_queue_exit(&ring);
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 100; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void not_vectored(void **state)
{
	struct uring_rig *b = *state;
	unsigned int before = open_fds();

	b->port.kport.vectored = false;
	b->io = (struct io *)8;
	assert_int_equal(uring_open(&b->io, &b->port.kport, 0), -EOPNOTSUPP);
	assert_null(b->io);
	assert_int_equal(open_fds(), before);
}

static void no_descriptor_left(void **state)
{
	struct uring_rig *b = *state;
	unsigned int before = open_fds();
	struct rlimit old, none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	b->io = (struct io *)8;
	assert_int_equal(uring_open(&b->io, &b->port.kport, 0), -EMFILE);
	assert_null(b->io);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(open_fds(), before);
}

static void bad_descriptor(void **state)
{
	struct uring_rig *b = *state;
	unsigned int before = open_fds();
	int bad = 99, *fds = b->port.kport.fds;

	b->port.kport.fds = &bad;
	b->io = (struct io *)8;
	assert_int_equal(uring_open(&b->io, &b->port.kport, 0), -EBADF);
	assert_null(b->io);
	assert_int_equal(open_fds(), before);
	b->port.kport.fds = fds;
	io_close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, uring_rig_setup, uring_rig_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(sends_in_order),
		TEST(receives_in_order),
		TEST(receives_nothing),
		TEST(refused_amid_a_batch),
		TEST(full),
		TEST(receive_fails),
		TEST(full_amid_a_batch),
		TEST(gap_amid_reads),
		TEST(ring_dies_on_send),
		TEST(ring_dies_read_plainly),
		TEST(moves_frames_alone),
		TEST(not_vectored),
		TEST(no_descriptor_left),
		TEST(bad_descriptor),
	};
	int r = rig_uring_unavailable();

	return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
