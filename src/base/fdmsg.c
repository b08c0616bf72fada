/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/fdmsg.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/util.h"

/* A full backlog cannot be waited for by poll(): connect is tried again. */
#define CONNECT_RETRY_MS 10

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * FDMSG_FDS_MAX)];
};

/* An address, and the descriptor that its path goes through while it is used. */
struct address {
	struct sockaddr_un sun;
	socklen_t len;
	int path_fd;
};

struct fdmsg_wait fdmsg_wait_ms(unsigned int timeout_ms, int cancel_fd)
{
	return (struct fdmsg_wait){now_ns() + timeout_ms * UINT64_C(1000000), cancel_fd};
}

/* For poll(): rounded up, so that a wait never ends before its deadline. */
static int remaining_ms(const struct fdmsg_wait *wait)
{
	uint64_t now = now_ns(), ms;

	if (wait->deadline_ns == UINT64_MAX)
		return -1;
	if (now >= wait->deadline_ns)
		return 0;
	ms = (wait->deadline_ns - now + 999999) / 1000000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* 0 when @p[0] or @p[1] is ready or has failed; @p[2] is for the cancel fd. */
static int wait_ready_either(struct pollfd p[3], int timeout_ms, const struct fdmsg_wait *wait)
{
	int n;

	p[2] = (struct pollfd){.fd = wait->cancel_fd, .events = POLLIN};
	n = poll(p, 3, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[2].revents)
		return -ECANCELED;
	return n ? 0 : -ETIMEDOUT;
}

/* 0 when @fd (-1: none) is ready or has failed, which the next call on it will tell. */
static int wait_ready(int fd, short events, int timeout_ms, const struct fdmsg_wait *wait)
{
	struct pollfd p[3] = {{.fd = fd, .events = events}, {.fd = -1}};

	return wait_ready_either(p, timeout_ms, wait);
}

static int wait_for(int fd, short events, const struct fdmsg_wait *wait)
{
	return wait_ready(fd, events, remaining_ms(wait), wait);
}

/* Tells both ends of a connection apart from other errors, however the kernel puts it. */
static int talk_error(int err)
{
	return err == EPIPE || err == ECONNRESET ? -ECONNRESET : -err;
}

static int abstract_address(struct address *a, const char *path)
{
	size_t len = strlen(path);

	if (len > sizeof(a->sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(a->sun.sun_path, path, len);
	a->sun.sun_path[0] = '\0';
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return 0;
}

static int set_path(struct address *a, const char *path)
{
	if (strlen(path) >= sizeof(a->sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(a->sun.sun_path, path);
	a->len = sizeof(a->sun);
	return 0;
}

/* The short address of @path, or of a file descriptor that stands for it. */
static int connect_address(struct address *a, const char *path)
{
	char short_path[32];

	*a = (struct address){.sun.sun_family = AF_UNIX, .path_fd = -1};
	if (path[0] == '@')
		return abstract_address(a, path);
	if (set_path(a, path) == 0)
		return 0;
	a->path_fd = open(path, O_PATH | O_CLOEXEC);
	if (a->path_fd < 0)
		return -errno;
	snprintf(short_path, sizeof(short_path), "/proc/self/fd/%d", a->path_fd);
	return set_path(a, short_path);
}

/* The file is yet to be made, so its directory is what a descriptor can stand for. */
static int listen_address(struct address *a, const char *path)
{
	char dir[PATH_MAX], short_path[PATH_MAX];
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	*a = (struct address){.sun.sun_family = AF_UNIX, .path_fd = -1};
	if (path[0] == '@')
		return abstract_address(a, path);
	if (set_path(a, path) == 0)
		return 0;
	if (strlen(path) >= sizeof(dir))
		return -ENAMETOOLONG;
	snprintf(dir, sizeof(dir), "%.*s", (int)(base - path), path);
	a->path_fd = open(slash ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a->path_fd < 0)
		return -errno;
	snprintf(short_path, sizeof(short_path), "/proc/self/fd/%d/%.255s", a->path_fd, base);
	return set_path(a, short_path);
}

static int new_socket(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static bool is_other_file(const char *path)
{
	struct stat st;

	return path[0] != '@' && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

static int connect_socket(int fd, const struct address *a, const struct fdmsg_wait *wait)
{
	int r;

	while (connect(fd, (const struct sockaddr *)&a->sun, a->len) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (remaining_ms(wait) == 0)
			return -ETIMEDOUT;
		r = wait_ready(-1, 0, CONNECT_RETRY_MS, wait);
		if (r < 0 && r != -ETIMEDOUT)
			return r;
	}
	return 0;
}

int fdmsg_connect(const char *path, int type, const struct fdmsg_wait *wait)
{
	struct address a;
	int fd = -1, r;

	if (!path[0])
		return -EINVAL;
	r = connect_address(&a, path);
	if (r == 0)
		r = fd = new_socket(type);
	if (r >= 0)
		r = connect_socket(fd, &a, wait);
	/* the kernel says the same of a file that is no socket */
	if (r == -ECONNREFUSED && is_other_file(path))
		r = -ENOTSOCK;
	close_fd(&a.path_fd);
	if (r < 0)
		close_fd(&fd);
	return r < 0 ? r : fd;
}

int fdmsg_listen(const char *path, int type, int backlog)
{
	struct address a;
	int fd = -1, r;

	if (!path[0])
		return -EINVAL;
	r = listen_address(&a, path);
	if (r == 0)
		r = fd = new_socket(type);
	if (r >= 0 && bind(fd, (struct sockaddr *)&a.sun, a.len) < 0)
		r = -errno;
	if (r >= 0 && listen(fd, backlog) < 0)
		r = -errno;
	close_fd(&a.path_fd);
	if (r < 0)
		close_fd(&fd);
	return r < 0 ? r : fd;
}

int fdmsg_accept(int listen_fd, const struct fdmsg_wait *wait)
{
	int fd, r;

	for (;;) {
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			return -errno;
		r = wait_for(listen_fd, POLLIN, wait);
		if (r < 0)
			return r;
	}
}

int fdmsg_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ?
		       -errno :
		       0;
}

static void attach_fds(struct msghdr *msg, union control *control, const int *fds,
		       unsigned int nfds)
{
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control->buf;
	msg->msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
}

/* One sendmsg of what follows the first @done bytes of @iov. */
static ssize_t send_rest(int fd, const struct iovec *iov, unsigned int iovcnt, size_t done,
			 const int *fds, unsigned int nfds)
{
	struct iovec rest[4];
	struct msghdr msg = {.msg_iov = rest};
	union control control;
	unsigned int i;
	ssize_t n;

	for (i = 0; i < iovcnt; i++) {
		size_t skip = MIN(done, iov[i].iov_len);

		done -= skip;
		rest[i].iov_base = (char *)iov[i].iov_base + skip;
		rest[i].iov_len = iov[i].iov_len - skip;
	}
	msg.msg_iovlen = iovcnt;
	if (nfds)
		attach_fds(&msg, &control, fds, nfds);
	n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? talk_error(errno) : n;
}

int fdmsg_send(int fd, const struct iovec *iov, unsigned int iovcnt, const int *fds,
	       unsigned int nfds, const struct fdmsg_wait *wait)
{
	size_t len = 0, done = 0;
	unsigned int i;
	ssize_t n;

	if (iovcnt > 4 || nfds > FDMSG_FDS_MAX)
		return -EINVAL;
	for (i = 0; i < iovcnt; i++)
		len += iov[i].iov_len;
	while (done < len) {
		/* descriptors belong to the first byte */
		n = send_rest(fd, iov, iovcnt, done, fds, done ? 0 : nfds);
		if (n >= 0)
			done += (size_t)n;
		else if (n == -EAGAIN)
			n = wait_for(fd, POLLOUT, wait);
		if (n < 0 && n != -EINTR)
			return (int)n;
	}
	return 0;
}

void fdmsg_close_fds(struct fdmsg_fds *fds)
{
	while (fds && fds->n)
		close_fd(&fds->fd[--fds->n]);
}

/* Moves one control message's descriptors to @fds; those beyond its room are closed. */
static int take_fds(const struct cmsghdr *cmsg, struct fdmsg_fds *fds)
{
	size_t i, n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int r = 0;

	for (i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
		if (fds->n < FDMSG_FDS_MAX) {
			fds->fd[fds->n++] = fd;
		} else {
			close_fd(&fd);
			r = -EBADMSG;
		}
	}
	return r;
}

static int take_control(struct msghdr *msg, struct fdmsg_fds *fds)
{
	int r = msg->msg_flags & MSG_CTRUNC ? -EBADMSG : 0;
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		if (take_fds(cmsg, fds) < 0)
			r = -EBADMSG;
	}
	return r;
}

/* Without room for control data the kernel drops descriptors by itself, and says so. */
static ssize_t receive_some(int fd, void *buf, size_t len, struct fdmsg_fds *fds)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	ssize_t n;
	int r;

	if (fds) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
	}
	n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return talk_error(errno);
	r = take_control(&msg, fds);
	if (r < 0)
		return r;
	return n ? n : -ECONNRESET;
}

int fdmsg_receive(int fd, void *buf, size_t len, struct fdmsg_fds *fds,
		  const struct fdmsg_wait *wait)
{
	size_t done = 0;
	ssize_t n;

	if (fds)
		fds->n = 0;
	while (done < len) {
		n = receive_some(fd, (char *)buf + done, len - done, fds);
		if (n >= 0)
			done += (size_t)n;
		else if (n == -EAGAIN)
			n = wait_for(fd, POLLIN, wait);
		if (n < 0 && n != -EINTR) {
			fdmsg_close_fds(fds);
			return n == -ECONNRESET && done ? -EPROTO : (int)n;
		}
	}
	return 0;
}

int fdmsg_await(int fd, int other, const struct fdmsg_wait *wait)
{
	struct pollfd p[3] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
	int timeout_ms = remaining_ms(wait);

	/* else the one that is always ready would keep us waiting for the other */
	if (timeout_ms == 0)
		return -ETIMEDOUT;
	return wait_ready_either(p, timeout_ms, wait);
}

int fdmsg_pending(int fd)
{
	char byte;
	ssize_t n;

	do
		n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 1;
	if (n == 0)
		return -ECONNRESET;
	return errno == EAGAIN ? 0 : talk_error(errno);
}
