/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A unix socket that listens at a path: that of server mode, where the back-end connects,
 * leaves and comes back, and the control socket.
 *
 * A socket file that a dead process left is replaced, that of a live one never: a lock
 * beside it keeps two of us apart, and a try to connect everyone else.
 */
#ifndef BASE_LISTENER_H
#define BASE_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

struct listener;

struct listener_config {
	const char *path; /* see base/fdmsg.h for what it may be */
	int type;	  /* SOCK_STREAM or SOCK_SEQPACKET */
	const char *lock_path; /* of the lock file; NULL: PATH.lock */
	bool has_mode;	  /* else as the umask has it */
	mode_t mode;	  /* permission bits of the socket file */
	gid_t gid;	  /* its group, (gid_t)-1: as it comes */
	bool has_uid;	  /* else who we are */
	uid_t uid;	  /* its owner, and the lock's */
	int fd;		  /* a socket that listens already (socket activation), or -1 */
};

/*
 * Listens. On error returns -errno and sets *why to one English phrase with the remedy,
 * "" when the errno says all. Nothing of what was made stays behind then.
 */
int listener_open(struct listener **out, const struct listener_config *config,
		      const char **why);
/* Readable when someone connects. */
int listener_fd(const struct listener *l);
/*
 * A connection, the caller's to close; -EAGAIN: there is none (any more). After any other
 * error (-EMFILE, -ENFILE, -ENOMEM) the fd stays readable: wait before the next try.
 */
int listener_accept(struct listener *l);
/* Will the socket file outlive us, because who we are now may not remove it? */
bool listener_stays_behind(const struct listener *l);
/* Removes the socket file, if it is still ours, and the lock. NULL-safe. */
void listener_close(struct listener *l);

#endif
