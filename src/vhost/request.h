/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests over a vhost-user connection, one at a time: told, or asked. Each
 * returns 0 (ask: the bytes of the answer) or -errno, with the message's name in
 * vhost->request and the reason in vhost->why.
 */
#ifndef VHOST_REQUEST_H
#define VHOST_REQUEST_H

#include <vubridge/vhost.h>

#include "vhost/proto.h"

struct requester {
	struct vhost *vhost; /* lends fd, cancel_fd, timeout_ms and deadline_ns */
	/* VHOST_USER_PROTOCOL_F_REPLY_ACK is acked: whatever is told gets an answer */
	bool reply_ack;
	/*
	 * The error after which questions and answers may be out of step: nothing is
	 * sent any more. (A refusal, -EREMOTEIO, is an answer like any other.)
	 */
	int broken;
};

/* Records why a request failed; returns @err. */
int request_fail(struct requester *r, uint32_t id, int err, const char *why);

/* A message without an answer of its own; -EREMOTEIO when the peer refused it. */
int request_tell(struct requester *r, uint32_t id, const void *payload, uint32_t size);
int request_tell_u64(struct requester *r, uint32_t id, uint64_t value);
int request_tell_state(struct requester *r, uint32_t id, uint32_t index, uint32_t num);
int request_tell_fds(struct requester *r, uint32_t id, const void *payload, uint32_t size,
		     const int *fds, unsigned int nfds);

/*
 * A message with an answer, of which at most @reply_size bytes are taken. Its size
 * has been checked to be what the message allows, nothing in it has been.
 */
int request_ask(struct requester *r, uint32_t id, const void *payload, uint32_t size, void *reply,
		uint32_t reply_size);
int request_ask_u64(struct requester *r, uint32_t id, uint64_t *value);
/* The answer to a question that was asked before there was a requester. */
int request_answer_u64(struct requester *r, uint32_t id, uint64_t *value);

#endif
