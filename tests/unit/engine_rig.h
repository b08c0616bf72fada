/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the engine's tests stand between: a kernel port without an interface, a ring
 * without memory that watches over the contract of <vubridge/vq.h>, and a real pair of
 * rings with a backend that reflects.
 *
 * Frames are told apart by their number, which fixes every byte of them.
 */
#ifndef ENGINE_RIG_H
#define ENGINE_RIG_H

#include <vubridge/kport.h>
#include <vubridge/vq.h>

#include <pthread.h>

#include "virtio/pool.h"
#include "virtio/vq_device.h"

/* ---- frames ---- */

uint32_t rig_frame_len(uint32_t number); /* 14 to 1513 */
void rig_frame_fill(uint8_t *p, uint32_t number);
/* The number of a frame that is right in every byte, or -1. */
int64_t rig_frame_number(const uint8_t *p, size_t len);

/* ---- a kernel port: one end of a socketpair that keeps frames apart ---- */

struct fake_kport {
	struct kport kport;
	int fd;
	int outside;	    /* the other end */
	const int *script;  /* errno for each frame that kport_send tries, 0: it goes */
	unsigned int scripted;
	int receive_error;  /* atomic: errno of kport_receive */
};

void fake_kport_open(struct fake_kport *p);
void fake_kport_close(struct fake_kport *p); /* safe to repeat */

/* The outside sends frame @number, with it in gso_size and rubbish in num_buffers. */
bool fake_kport_put(struct fake_kport *p, uint32_t number, bool with_hdr);
/* What came outside within @timeout_ms: its number, -1 for nothing, -2 for a wrong frame. */
int64_t fake_kport_get(struct fake_kport *p, int timeout_ms, struct virtio_net_hdr_v1 *hdr);

/* ---- a ring that is none ---- */

#define FAKE_TOKENS 256u

struct fake_token {
	bool taken;
	uint32_t len; /* of the content, or of what was given */
	struct virtio_net_hdr_v1 hdr;
	uint8_t *data; /* [FRAME_LEN_MAX] */
};

struct fake_vq {
	struct vq vq;
	unsigned int ready;	/* tokens [0, ready) may be taken */
	unsigned int next;	/* the next one */
	unsigned int breaks_at; /* taking this one finds the ring broken */
	unsigned int pieces;	/* that each frame lies in, 1 unless changed */
	unsigned int plain;	/* so many were taken by take_plain */
	unsigned int untaken;	/* how often */
	unsigned int flushes;
	unsigned int ngiven;
	unsigned int given[FAKE_TOKENS]; /* in order */
	unsigned int flushed;		 /* of them */
	const char *violation;		 /* the first breach of the contract, or NULL */
	struct fake_token tokens[FAKE_TOKENS];
	uint8_t *memory;
};

/* VQ_CONTENT: token i holds frame i. */
void fake_vq_open(struct fake_vq *q, enum vq_direction direction, unsigned int ready);
void fake_vq_close(struct fake_vq *q); /* safe to repeat */

/* ---- two real rings and a backend behind them ---- */

struct ring_pair {
	uint64_t features;
	struct pool pool;
	struct vq_device_memory memory;
	int kick_fd[2], call_fd[2];
	struct vq *driver[2]; /* 0: receive, 1: transmit */
	struct vq *device[2]; /* the other side of each */
	struct {
		void *avail, *used;
	} shared[2];
};

void ring_pair_open(struct ring_pair *rp, uint16_t num, uint64_t features);
void ring_pair_close(struct ring_pair *rp); /* safe to repeat */

/* By hand, without a backend: frame @number to the driver; false when there is no room. */
bool ring_pair_put(struct ring_pair *rp, uint32_t number);
/* The number of the next frame from the driver, given back at once; -1: none, -2: wrong. */
int64_t ring_pair_get(struct ring_pair *rp);
/* Publishes both directions. */
void ring_pair_flush(struct ring_pair *rp);

/* A backend in a thread of its own: it sends back what it gets and sleeps in between. */
struct reflector {
	struct ring_pair *rp;
	pthread_t thread;
	int stop_fd;
	uint64_t frames;
	uint32_t wrong; /* frames with a wrong byte */
};

void reflector_start(struct reflector *r, struct ring_pair *rp);
void reflector_stop(struct reflector *r); /* safe to repeat */

/* 0, or the exit status of a test that needs io_uring where it is refused. */
int rig_uring_unavailable(void);

#endif
