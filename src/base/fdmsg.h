/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix sockets that carry file descriptors. All functions return 0, a
 * count or a descriptor, or -errno. Those that wait take a struct fdmsg_wait and
 * end with -ETIMEDOUT or -ECANCELED; those that talk say -ECONNRESET when the
 * other end is gone, and never raise SIGPIPE. Descriptors made here are O_CLOEXEC.
 *
 * A path may be longer than sun_path, and "@name" is an abstract address.
 */
#ifndef BASE_FDMSG_H
#define BASE_FDMSG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define FDMSG_FDS_MAX 8

struct fdmsg_wait {
	uint64_t deadline_ns; /* CLOCK_MONOTONIC, UINT64_MAX: none */
	int cancel_fd;	      /* readable: give up, or -1 */
};

/* Descriptors that came with a message: the receiver's to close. */
struct fdmsg_fds {
	unsigned int n;
	int fd[FDMSG_FDS_MAX];
};

/* A wait that begins now. */
struct fdmsg_wait fdmsg_wait_ms(unsigned int timeout_ms, int cancel_fd);

/*
 * A socket of @type (SOCK_STREAM or SOCK_SEQPACKET) connected to @path. What can go wrong
 * besides connect(2): -ENOTSOCK when the file is no socket, -EPROTOTYPE when it is one of
 * another type, -ECONNREFUSED when nobody listens, -ETIMEDOUT when the listener does not
 * accept.
 */
int fdmsg_connect(const char *path, int type, const struct fdmsg_wait *wait);

/* A socket of @type that listens at @path; removing an old file there is the caller's. */
int fdmsg_listen(const char *path, int type, int backlog);
int fdmsg_accept(int listen_fd, const struct fdmsg_wait *wait);
/* Two sockets that are connected with one another. */
int fdmsg_pair(int fds[2]);

/* Sends all of @iov, with @nfds descriptors (at most FDMSG_FDS_MAX). */
int fdmsg_send(int fd, const struct iovec *iov, unsigned int iovcnt, const int *fds,
	       unsigned int nfds, const struct fdmsg_wait *wait);

/*
 * Receives exactly @len bytes and the descriptors among them; with @fds NULL none
 * may come. -EPROTO: the end came after the first byte. -EBADMSG: too many
 * descriptors, or they could not all be received. On error none stays open.
 */
int fdmsg_receive(int fd, void *buf, size_t len, struct fdmsg_fds *fds,
		  const struct fdmsg_wait *wait);

/* 1 when something waits to be received, 0 when nothing does, -ECONNRESET at the end. */
int fdmsg_pending(int fd);

/* 0 when @fd or @other (-1: none) may have something to receive, or its end. */
int fdmsg_await(int fd, int other, const struct fdmsg_wait *wait);

/* Closes what was received; safe to repeat. */
void fdmsg_close_fds(struct fdmsg_fds *fds);

#endif
