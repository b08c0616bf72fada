/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/listener.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fdmsg.h"
#include "base/util.h"

/* For those who connect at once; who is too many is told so when accepted. */
#define BACKLOG		 64
#define PROBE_TIMEOUT_MS 100
#define LOCK_TRIES 20 /* 10 ms each */

struct listener {
	int fd;
	int lock_fd;
	char *path; /* of the socket file that we made; NULL: there is none */
	char *lock_path;
	struct stat made; /* the socket file as we made it */
};

static int fail(const char **why, int err, const char *text)
{
	*why = text;
	return err;
}

/* ---- the lock ---- */

/* Is the file that we have locked the one that the path still names? */
static bool is_current(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* A process that was just killed holds its lock until its last thread is gone. */
static int lock_soon(int fd)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int i;

	for (i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return -EWOULDBLOCK;
}

/* Its next user may be that one again, who then has to open it. A link to something else is
 * left alone. */
static int give_lock(struct listener *l, const struct listener_config *c)
{
	struct stat st;

	if (!c->has_uid)
		return 0;
	if (fstat(l->lock_fd, &st) < 0)
		return -errno;
	if (st.st_uid == c->uid || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return 0;
	return fchown(l->lock_fd, c->uid, (gid_t)-1) < 0 ? -errno : 0;
}

/* Why it cannot be made. */
static const char *lock_why(int err)
{
	switch (err) {
	case ENOTDIR:
		return "a part before the last '/' is not a directory";
	case EROFS:
		return "its directory is on a file system that is read-only";
	case ENOSPC:
		return "no space left for the lock file beside it";
	default:
		return "cannot make the lock file beside it (of that name with .lock)";
	}
}

/* Who removes the lock file holds it, so a locked file that is not there is of no use. */
static int take_lock(struct listener *l, const char **why)
{
	int r;

	for (;;) {
		l->lock_fd = open(l->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (l->lock_fd < 0)
			return fail(why, -errno,
				    errno == EACCES ? "no permission for the lock file beside it "
						      "(of that name with .lock); run as its "
						      "owner, or choose another directory"
						    : lock_why(errno));
		r = lock_soon(l->lock_fd);
		if (r == -EWOULDBLOCK)
			return fail(why, -EADDRINUSE,
				    "another vubridge listens there; choose another path");
		if (r)
			return fail(why, r,
				    "cannot lock the file beside it (of that name with .lock)");
		if (is_current(l->lock_fd, l->lock_path))
			return 0;
		close_fd(&l->lock_fd);
	}
}

static void drop_lock(struct listener *l)
{
	if (l->lock_fd >= 0 && is_current(l->lock_fd, l->lock_path) &&
	    flock(l->lock_fd, LOCK_EX | LOCK_NB) == 0)
		unlink(l->lock_path);
	close_fd(&l->lock_fd);
}

/* ---- the socket file ---- */

/* Removes what a dead process left at @path. */
static int make_way(const char *path, int type, const char **why)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(PROBE_TIMEOUT_MS, -1);
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail(why, -errno, "");
	if (!S_ISSOCK(st.st_mode))
		return fail(why, -EEXIST,
			    "a file that is no socket is there; remove it or choose another path");
	fd = fdmsg_connect(path, type, &wait);
	if (fd == -ECONNREFUSED)
		return unlink(path) < 0 && errno != ENOENT
			       ? fail(why, -errno,
				      "cannot remove the socket that a dead process left")
			       : 0;
	if (fd == -ENOENT)
		return 0;
	if (fd == -EACCES || fd == -EPERM)
		return fail(why, fd,
			    "a socket is there that we may not connect to, to see whether it is in "
			    "use; remove it, or run as its owner");
	if (fd >= 0)
		close_fd(&fd);
	return fail(why, -EADDRINUSE, "another process listens there; choose another path");
}

/* Nobody else may connect before mode and group are what they shall be. */
static int make_socket(struct listener *l, const struct listener_config *c)
{
	bool by_umask = !c->has_mode && c->gid == (gid_t)-1;
	mode_t mask = by_umask ? 0 : umask(0177);
	int r = 0;

	l->fd = fdmsg_listen(c->path, c->type, BACKLOG);
	if (!by_umask)
		umask(mask);
	if (l->fd < 0)
		return l->fd;
	if (lstat(c->path, &l->made) < 0)
		return -errno;
	l->path = strdup(c->path);
	if (!l->path)
		return -ENOMEM;
	if ((c->has_uid || c->gid != (gid_t)-1) &&
	    lchown(c->path, c->has_uid ? c->uid : (uid_t)-1, c->gid) < 0)
		r = -errno;
	/* a group without a mode is there to connect */
	if (!r && !by_umask && chmod(c->path, c->has_mode ? c->mode : 0660) < 0)
		r = -errno;
	return r;
}

/* As unlink(2) has it. */
static bool may_unlink(const char *path)
{
	char *copy = strdup(path), *dir = copy ? dirname(copy) : NULL;
	struct stat d, f;
	bool may = dir && faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;

	if (may && stat(dir, &d) == 0 && d.st_mode & S_ISVTX && d.st_uid != geteuid())
		may = lstat(path, &f) == 0 && f.st_uid == geteuid();
	free(copy);
	return may;
}

bool listener_stays_behind(const struct listener *l)
{
	return l->path && !may_unlink(l->path);
}

static void remove_socket(struct listener *l)
{
	struct stat st;

	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->made.st_dev &&
	    st.st_ino == l->made.st_ino)
		unlink(l->path);
}

static int listen_at(struct listener *l, const struct listener_config *c, const char **why)
{
	int r;

	if (c->path[0] == '@') {
		l->fd = fdmsg_listen(c->path, c->type, BACKLOG);
		return l->fd >= 0 ? 0
		       : l->fd == -EADDRINUSE
			       ? fail(why, l->fd,
				      "another process listens there; choose another name")
			       : l->fd;
	}
	if (c->lock_path)
		l->lock_path = strdup(c->lock_path);
	else if (asprintf(&l->lock_path, "%s.lock", c->path) < 0)
		l->lock_path = NULL;
	if (!l->lock_path)
		return -ENOMEM;
	r = take_lock(l, why);
	if (!r)
		r = give_lock(l, c);
	if (!r)
		r = make_way(c->path, c->type, why);
	return r ? r : make_socket(l, c);
}

/* ---- socket activation ---- */

static bool has_option(int fd, int option, int expected)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == expected;
}

static int adopt(struct listener *l, const struct listener_config *c, const char **why)
{
	int fd = c->fd;

	if (!has_option(fd, SO_DOMAIN, AF_UNIX) || !has_option(fd, SO_TYPE, c->type) ||
	    !has_option(fd, SO_ACCEPTCONN, 1))
		return fail(why, -EINVAL,
			    "the socket handed over does not listen, or is of another kind");
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return fail(why, -errno, "");
	l->fd = fd;
	return 0;
}

/* ---- life ---- */

int listener_open(struct listener **out, const struct listener_config *config,
		      const char **why)
{
	struct listener *l = calloc(1, sizeof(*l));
	int r;

	*out = NULL;
	*why = "";
	if (!l)
		return -ENOMEM;
	l->fd = l->lock_fd = -1;
	r = config->fd >= 0 ? adopt(l, config, why) : listen_at(l, config, why);
	if (r) {
		listener_close(l);
		return r;
	}
	*out = l;
	return 0;
}

int listener_fd(const struct listener *l)
{
	return l->fd;
}

int listener_accept(struct listener *l)
{
	const struct fdmsg_wait at_once = fdmsg_wait_ms(0, -1);
	int fd = fdmsg_accept(l->fd, &at_once);

	return fd == -ETIMEDOUT ? -EAGAIN : fd;
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	remove_socket(l);
	close_fd(&l->fd);
	if (l->lock_path)
		drop_lock(l);
	free(l->path);
	free(l->lock_path);
	free(l);
}
