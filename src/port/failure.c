/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/failure.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

/* What went wrong with @v, in one phrase. */
static void describe(const struct failure_log *f, const struct vhost *v, int error, char *buf,
		     size_t size)
{
	/* some peers have rings of one size, and say so in no other way */
	if (error == -EREMOTEIO && !strcmp(v->request, "SET_VRING_NUM")) {
		snprintf(buf, size, "%s: %s; its rings may be smaller than %u (--queue-size)",
			 v->request, v->why, f->queue_size);
		return;
	}
	snprintf(buf, size, "%s%s%s", v->request && v->request[0] ? v->request : "",
		 v->request && v->request[0] ? ": " : "",
		 v->why && v->why[0] ? v->why : strerror(-error));
}

/* Puts @reason in front of the first @n, the last of which makes room for it. */
static void remember(struct failure_log *f, const char *reason, unsigned int n)
{
	memmove(f->reasons[1], f->reasons[0], (n - 1) * sizeof(f->reasons[0]));
	snprintf(f->reasons[0], sizeof(f->reasons[0]), "%s", reason);
}

/* Is this reason a new one, or one that was not met for longest, and so forgotten? */
static bool is_new(struct failure_log *f, const char *reason)
{
	unsigned int i;

	for (i = 0; i < f->n; i++) {
		if (!strcmp(reason, f->reasons[i])) {
			remember(f, reason, i + 1);
			return false;
		}
	}
	f->n = MIN(f->n + 1, FAILURE_REASONS);
	remember(f, reason, f->n);
	return true;
}

/* Some backends cannot listen where one that was killed has left its socket. */
static void log_absent(const struct failure_log *f, int error)
{
	if (error == -ECONNREFUSED && f->path[0] != '@')
		log_notice(f->tag,
			   "waiting for the backend at %s: nobody listens there (%s); if it cannot "
			   "listen again, remove the stale socket file",
			   f->path, strerror(-error));
	else
		log_notice(f->tag, "waiting for the backend at %s (%s)", f->path, strerror(-error));
}

/* The same reason again and again is one line. */
void failure_log(struct failure_log *f, const struct vhost *v, int error)
{
	bool absent = error == -ENOENT || error == -ECONNREFUSED;
	char reason[FAILURE_LEN];

	if (error == -ECANCELED)
		return;
	if (absent) /* no file, or one that nobody listens on: which, may change while it waits */
		strcpy(reason, "absent");
	else
		describe(f, v, error, reason, sizeof(reason));
	if (!is_new(f, reason))
		return;
	if (absent)
		log_absent(f, error);
	else
		log_warning(f->tag, "cannot use the backend at %s: %s; trying again", f->path,
			    reason);
}

void failure_log_end(const struct failure_log *f, const struct vhost *v, int error)
{
	char reason[FAILURE_LEN];

	if (error == -ECONNRESET) {
		log_notice(f->tag, "the backend at %s disconnected", f->path);
		return;
	}
	describe(f, v, error, reason, sizeof(reason));
	log_warning(f->tag, "disconnecting from %s: %s", f->path, reason);
}

void failure_log_ring(const struct failure_log *f, const struct vq *vq)
{
	log_queue(LOG_WARNING, f->tag, vq->direction == VQ_CONTENT ? 'r' : 't', vq->index / 2u,
		  "the backend broke the rules: %s (%u); disconnecting", vq->why, vq->why_value);
}

void failure_log_write(const struct failure_log *f, size_t offset, size_t len)
{
	log_warning(f->tag,
		    "refused a write of %zu bytes at %zu of the configuration: the MAC alone may "
		    "be written",
		    len, offset);
}

void failure_forget(struct failure_log *f)
{
	f->n = 0;
}
