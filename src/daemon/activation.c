/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/activation.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

/* As --path writes it: an abstract name with an @ in front. "" where it has none. */
static void address_of(int fd, char text[sizeof(struct sockaddr_un)])
{
	struct sockaddr_un sun = {0};
	socklen_t len = sizeof(sun) - 1;

	memset(text, 0, sizeof(struct sockaddr_un));
	if (getsockname(fd, (struct sockaddr *)&sun, &len) < 0 || sun.sun_family != AF_UNIX ||
	    len <= offsetof(struct sockaddr_un, sun_path))
		return;
	memcpy(text, sun.sun_path, sizeof(sun.sun_path));
	if (!text[0] && text[1])
		text[0] = '@';
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

/* Who gives the path shall be told if another one is served. */
static int check_address(const struct options *o, char *error, size_t size)
{
	char text[sizeof(struct sockaddr_un)];

	address_of(SD_LISTEN_FDS_START, text);
	if (!strcmp(text, o->path) ||
	    (text[0] != '@' && o->path[0] != '@' && is_same_file(text, o->path)))
		return 0;
	return options_refuse(error, size, "path", o->path,
			      "the socket that was handed over listens at '%s'; give the same "
			      "(ListenStream=)",
			      text);
}

int activation_check(const struct options *o, char *error, size_t size)
{
	int n = sd_listen_fds(0);

	if (n <= 0)
		return 0;
	if (!o->server)
		return options_refuse(error, size, "path", o->path,
				      "a socket to listen on was handed over, for --server alone");
	if (n > 1)
		return options_refuse(error, size, "server", NULL,
				      "%d sockets were handed over, of which one can be served; "
				      "give each a service of its own",
				      n);
	if (o->socket_mode.given)
		return options_refuse(error, size, "socket-mode", NULL,
				      "cannot be used with a socket that was handed over; set "
				      "SocketMode= in its unit");
	if (o->socket_group.given)
		return options_refuse(error, size, "socket-group", NULL,
				      "cannot be used with a socket that was handed over; set "
				      "SocketGroup= in its unit");
	return check_address(o, error, size);
}

/* The socket, or -1; the programs that we might start are not told of it any more. */
static int take(void)
{
	return sd_listen_fds(1) > 0 ? SD_LISTEN_FDS_START : -1;
}

int activation_listen(const struct options *o, struct listener **listen, char *error,
		      size_t size)
{
	const struct listener_config config = {
		.path = o->path,
		.type = SOCK_STREAM,
		.has_mode = o->socket_mode.given,
		.mode = o->socket_mode.mode,
		.gid = o->socket_group.given ? o->socket_group.gid : (gid_t)-1,
		.has_uid = o->user.name,
		.uid = o->user.uid,
		.fd = o->server ? take() : -1,
	};
	const char *why = "";
	int r;

	if (!o->server)
		return 0;
	r = listener_open(listen, &config, &why);
	if (r)
		options_refuse(error, size, "path", o->path, "%s",
			       why && why[0] ? why : strerror(-r));
	return r;
}
