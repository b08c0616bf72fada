/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/options.h"

#define VHOST_NET_PATH "/dev/vhost-net"

/* Fixed numbers of the kernel's list of devices; no UAPI header has them. */
#define MISC_MAJOR 10
#define VHOST_NET_MINOR 238

/* sun_path without the NUL in front of the name; an abstract name has no file to go round by */
#define ABSTRACT_NAME_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

struct refusal {
	const char *path;
	char *error;
	size_t size;
};

static int refuse(const struct refusal *to, int r, const char *what)
{
	options_refuse(to->error, to->size, "path", to->path,
		       "%s; give the socket of a vhost-user backend", what);
	return r;
}

static int classify_abstract(const struct refusal *to)
{
	size_t len = strlen(to->path + 1);

	if (!len)
		return refuse(to, -EINVAL, "is an abstract socket without a name");
	if (len <= ABSTRACT_NAME_MAX)
		return 0;
	options_refuse(to->error, to->size, "path", to->path,
		       "is an abstract socket whose name is longer than %zu bytes",
		       ABSTRACT_NAME_MAX);
	return -ENAMETOOLONG;
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "is a directory";
	case S_IFREG:
		return "is a regular file";
	case S_IFIFO:
		return "is a FIFO";
	case S_IFBLK:
		return "is a block device";
	case S_IFCHR:
		return "is a character device other than " VHOST_NET_PATH;
	default:
		return "is a file of unknown type";
	}
}

/*
 * Connecting as a datagram socket succeeds with one, and goes unnoticed by one of streams.
 * By a descriptor, since the path may be longer than an address of a socket.
 */
static bool is_datagram_socket(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int file = open(path, O_PATH | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d", file);
	is = file >= 0 && fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0;
	close_fd(&file);
	close_fd(&fd);
	return is;
}

static int check_access(const struct refusal *to, int mode, const char *why)
{
	if (faccessat(AT_FDCWD, to->path, mode, AT_EACCESS) == 0)
		return 0;
	if (errno != EACCES && errno != EPERM)
		return 0; /* gone meanwhile, or the call is not served: its use will tell */
	options_refuse(to->error, to->size, "path", to->path, "%s", why);
	return -EACCES;
}

/* Something is there. */
static int classify_file(const struct refusal *to, const struct stat *st, bool listen,
			 enum path_kind *kind)
{
	if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(MISC_MAJOR, VHOST_NET_MINOR)) {
		*kind = PATH_VHOST_NET;
		return check_access(to, R_OK | W_OK,
				    "no permission to open this device; run as root, or grant "
				    "read and write");
	}
	if (!S_ISSOCK(st->st_mode))
		return refuse(to, -ENOTSOCK, type_name(st->st_mode));
	if (is_datagram_socket(to->path))
		return refuse(to, -EPROTOTYPE, "is a socket of the datagram type");
	if (listen) /* whose it is is the listener's to find out */
		return 0;
	return check_access(
		to, W_OK,
		"no permission to connect to this socket; run as its owner or group "
		"(--user, in a unit User= or SupplementaryGroups=), or change its mode");
}

/* Writes the directory that @path, shorter than PATH_MAX, is in. */
static void parent_of(const char *path, char *dir)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		strcpy(dir, ".");
	else if (slash == path)
		strcpy(dir, "/");
	else
		snprintf(dir, PATH_MAX, "%.*s", (int)(slash - path), path);
}

static int classify_absent(const struct refusal *to)
{
	char dir[PATH_MAX];
	struct stat st;

	if (!strcmp(to->path, VHOST_NET_PATH)) {
		options_refuse(to->error, to->size, "path", to->path,
			       "does not exist; load the vhost_net module");
		return -ENODEV;
	}
	if (!to->path[0] || to->path[strlen(to->path) - 1] == '/')
		return refuse(to, -EISDIR, "names no file");
	parent_of(to->path, dir);
	if (stat(dir, &st) == 0)
		return 0;
	options_refuse(to->error, to->size, "path", to->path,
		       "directory '%.160s' does not exist; make it or correct the path", dir);
	return -ENOENT;
}

int path_classify(const char *path, bool listen, enum path_kind *kind, char *error, size_t size)
{
	const struct refusal to = { path, error, size };
	struct stat st;

	*kind = PATH_SOCKET;
	if (path[0] == '@')
		return classify_abstract(&to);
	if (strlen(path) >= PATH_MAX)
		errno = ENAMETOOLONG;
	else if (stat(path, &st) == 0)
		return classify_file(&to, &st, listen, kind);
	switch (errno) {
	case ENOENT:
		return classify_absent(&to);
	case EACCES:
		options_refuse(error, size, "path", path,
			       "no permission to enter its directory; run as a user who may");
		return -EACCES;
	case ENOTDIR:
		return refuse(&to, -ENOTDIR, "a part before the last '/' is not a directory");
	case ENAMETOOLONG:
		return refuse(&to, -ENAMETOOLONG, "is longer than a path may be");
	default:
		return refuse(&to, -errno, strerror(errno));
	}
}
