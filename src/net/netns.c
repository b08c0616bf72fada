/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/util.h"

/* of the thread, not of the process: only the control thread ever leaves */
#define NETNS_OWN "/proc/thread-self/ns/net"

int netns_path(const char *name, char *path, size_t size)
{
	int n = snprintf(path, size, "%s%s%s", strchr(name, '/') ? "" : NETNS_DIR,
			 strchr(name, '/') ? "" : "/", name);

	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static int netns_fail(const char **why, int err, const char *text)
{
	*why = text;
	return err;
}

static int netns_open_failed(const char *name, int err, const char **why)
{
	switch (err) {
	case -ENOENT:
		if (strchr(name, '/'))
			return netns_fail(why, err, "there is no such file; correct the path");
		return netns_fail(why, err,
				  "there is no network namespace of that name; make it (ip netns "
				  "add ...), or give a path like /proc/PID/ns/net");
	case -EACCES:
	case -EPERM:
		return netns_fail(why, err, "no permission to open it; run as root");
	default:
		return netns_fail(why, err, "");
	}
}

int netns_open(const char *name, const char **why)
{
	char path[PATH_MAX];
	int fd, err = netns_path(name, path, sizeof(path));

	*why = "";
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return netns_open_failed(name, -errno, why);
	/* a name whose mount is gone is an empty file */
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close_fd(&fd);
		return netns_fail(why, -EINVAL,
				  "is not a network namespace; name one that \"ip netns\" lists, "
				  "or give a path like /proc/PID/ns/net");
	}
	return fd;
}

int netns_enter(int fd, int *home)
{
	*home = open(NETNS_OWN, O_RDONLY | O_CLOEXEC);
	if (*home < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET) < 0) {
		close_fd(home);
		return -errno;
	}
	return 0;
}

int netns_leave(int *home)
{
	int err = 0;

	if (*home >= 0 && setns(*home, CLONE_NEWNET) < 0)
		err = -errno;
	close_fd(home);
	return err;
}

static bool netns_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool netns_is_own(int fd)
{
	struct stat own, other;

	return !stat(NETNS_OWN, &own) && !fstat(fd, &other) && netns_same(&own, &other);
}

int netns_find_name(int fd, char *name, size_t size)
{
	struct stat wanted, st;
	struct dirent *entry;
	int err = -ENOENT;
	DIR *dir;

	if (fstat(fd, &wanted) < 0)
		return -errno;
	dir = opendir(NETNS_DIR);
	if (!dir)
		return -errno;
	while (err && (entry = readdir(dir))) {
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || !netns_same(&st, &wanted))
			continue;
		if ((size_t)snprintf(name, size, "%s", entry->d_name) < size)
			err = 0;
	}
	closedir(dir);
	return err;
}
