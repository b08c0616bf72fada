/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Says why there is no connection: each reason once, however often it is met. */
#ifndef PORT_FAILURE_H
#define PORT_FAILURE_H

#include <stddef.h>
#include <vubridge/vhost.h>
#include <vubridge/vq.h>

/* Different reasons kept until the next success: one that comes back after as many others is
 * logged again. */
#define FAILURE_REASONS 8u
#define FAILURE_LEN 128u

struct failure_log {
	const char *tag, *path;  /* of the lines, and where the peer is */
	unsigned int queue_size; /* that was asked for */
	char reasons[FAILURE_REASONS][FAILURE_LEN]; /* met last comes first */
	unsigned int n;
};

/* Logs why the attempt came to nothing, unless that was logged before. */
void failure_log(struct failure_log *f, const struct vhost *v, int error);
/* Logs why a connection that was there is not any more. */
void failure_log_end(const struct failure_log *f, const struct vhost *v, int error);
/* The peer broke the rules of ring @vq. */
void failure_log_ring(const struct failure_log *f, const struct vq *vq);
/* A write of the configuration space, @len bytes at @offset, was refused. */
void failure_log_write(const struct failure_log *f, size_t offset, size_t len);
/* After a success everything is news again. */
void failure_forget(struct failure_log *f);

#endif
