/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scripted vhost-user back-end in a thread: it answers by the table of messages,
 * writes down what it got, and misbehaves at one message if told to.
 */
#ifndef TESTS_SCRIPTED_PEER_H
#define TESTS_SCRIPTED_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <vubridge/vhost.h>

#include "vhost/proto.h"

#define BIT(n)	    (UINT64_C(1) << (n))
#define MESSAGE_MAX 64
#define PF(name)    BIT(VHOST_USER_PROTOCOL_F_##name)

enum fault {
	NONE,
	CLOSE,	       /* hangs up without an answer */
	HANG,	       /* reads on, says nothing more */
	CANCEL,	       /* the same, and makes vhost->cancel_fd readable */
	TRUNCATE,      /* hangs up within the answer */
	STALL,	       /* stops within the answer */
	TRUNCATE_HEAD, /* hangs up within the answer's header */
	OVERSIZE,
	UNDERSIZE,
	WRONG_ID,
	NO_REPLY_FLAG,
	WRONG_VERSION,
	WITH_FD,
	DOUBLE,
	NACK,
	ASK_FIRST,     /* has one thread: tells news and waits for the answer to that */
};

struct message {
	struct vhost_user_header hdr;
	union vhost_user_payload payload;
	unsigned int nfds;
};

struct peer {
	/* the script */
	uint64_t features, protocol_features, queue_num;
	uint32_t base;	    /* what GET_VRING_BASE says */
	uint64_t status;    /* what GET_STATUS says */
	bool refuse_config; /* with nothing, or with three numbers */
	bool refuse_with_head;
	uint32_t config_shift; /* how far the range it answers with is off */
	enum fault fault;
	int fault_at; /* number of the message, from 0 */
	unsigned int slow_ms; /* before each answer */
	/* the record */
	struct message got[MESSAGE_MAX];
	int n;
	const char *complaint; /* a message that breaks the table */
	uint64_t acked;	       /* protocol features */
	int channel; /* what came with SET_BACKEND_REQ_FD, or -1; stays open after the stop */
	/* the machinery */
	int listener;
	pthread_t thread;
	char path[64];
	struct vhost *v; /* who talks to it */
	unsigned int open_fds;
};

/* What a peer offers by default, besides protocol features: all of them. */
#define SCRIPTED_PEER_FEATURES                                                                     \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_MTU))

/* For cmocka: makes a peer with a vhost for it; fails if descriptors are left over. */
int scripted_peer_setup(void **state);
int scripted_peer_teardown(void **state);

/* Listens at peer->path and serves one connection. */
void scripted_peer_start(struct peer *p);

/* Closes peer->v, waits for the peer to see it, and fails if a message broke the table. */
void scripted_peer_stop(struct peer *p);
/* How many messages it has got, also while it serves. */
static inline int scripted_peer_got(const struct peer *p)
{
	return __atomic_load_n(&p->n, __ATOMIC_ACQUIRE);
}

/* All that a front-end may say, from opening on, with as much as the peer offers. */
int scripted_peer_converse(struct vhost *v);

/* v->ops->hear, which must have no news. */
int scripted_peer_hear(struct vhost *v);

#endif
