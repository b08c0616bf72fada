/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket of server mode: we listen at a path, the back-end connects, leaves and
 * comes back.
 *
 * A socket file that a dead process left is replaced, that of a live one never: a lock
 * beside it (PATH.lock) keeps two of us apart, and a try to connect everyone else.
 */
#ifndef VHOST_LISTEN_H
#define VHOST_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

struct vhost_listen;

struct vhost_listen_config {
	const char *path; /* see base/fdmsg.h for what it may be */
	bool has_mode;	  /* else as the umask has it */
	mode_t mode;	  /* permission bits of the socket file */
	gid_t gid;	  /* its group, (gid_t)-1: as it comes */
	int fd;		  /* a socket that listens already (socket activation), or -1 */
};

/*
 * Listens. On error returns -errno and sets *why to one English phrase with the remedy,
 * "" when the errno says all. Nothing of what was made stays behind then.
 */
int vhost_listen_open(struct vhost_listen **out, const struct vhost_listen_config *config,
		      const char **why);
/* Readable when a back-end connects. */
int vhost_listen_fd(const struct vhost_listen *l);
/*
 * A connection, the caller's to close; -EAGAIN: there is none (any more). After any other
 * error (-EMFILE, -ENFILE, -ENOMEM) the fd stays readable: wait before the next try.
 */
int vhost_listen_accept(struct vhost_listen *l);
/* Removes the socket file, if it is still ours, and the lock. NULL-safe. */
void vhost_listen_close(struct vhost_listen *l);

#endif
