/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vu_peer: a small vhost-user backend for the tests and the demo. It joins what
 * drivers send, generates or swallows frames, and lies or dies on command.
 *
 * It is strict on purpose: whatever a driver does that the specification does not
 * allow ends the connection with a line, so that a careless driver is found here.
 */
#ifndef PEER_H
#define PEER_H

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdint.h>
#include <vubridge/vq.h>

#include "base/fdmsg.h"
#include "vhost/proto.h"
#include "virtio/vq_device.h"

#define PEER_MAX_DEVICES 8u
#define PEER_MAX_PAIRS 8u

enum peer_mode { MODE_CROSS, MODE_REFLECT, MODE_SINK, MODE_GENERATE };

struct misbehaviour {
	const struct lie *lie; /* NULL: behaves */
	uint32_t arg;          /* a request's number, or a number */
	uint32_t nth;          /* which one of these requests on a connection, 0: each */
	uint64_t after;        /* frames given to the driver before a lie in the rings */
	unsigned int ring;     /* the one that a lie in the rings is in */
	unsigned int times;    /* connections that it is for, the first ones */
	bool once_ready;       /* not before all rings run */
};

struct peer_config {
	enum peer_mode mode;
	bool client;    /* connect instead of listening */
	bool swap_mac;  /* reflect: source and destination change places */
	bool dump;      /* print what comes from the driver */
	uint64_t features;
	uint64_t protocol_features;
	unsigned int pairs;
	unsigned int queue_size; /* larger rings are refused */
	uint16_t mtu, net_status;
	uint8_t mac[ETH_ALEN];
	unsigned int size, flows; /* generate */
	uint64_t rate, count;     /* generate: frames a second and in all, 0: no limit */
	struct misbehaviour lie;
};

/* One ring as the driver described it. */
struct peer_ring {
	uint32_t num;
	uint16_t base;
	struct vhost_vring_addr addr;
	bool has_addr, enabled;
	int kick, call, err;
	struct vq *vq; /* while it runs */
};

struct device {
	const struct peer_config *config;
	const char *path;
	unsigned int index;
	int epoll_fd;
	int listen_fd, fd; /* fd: the driver's connection */

	/* of this connection */
	bool owned, silent; /* silent: hangs on command, reads nothing more */
	bool ready;         /* told that all rings run */
	uint64_t features, protocol_features;
	uint8_t status;
	int backend_fd; /* where we may speak first */
	struct vq_device_memory memory;
	struct peer_ring rings[2 * PEER_MAX_PAIRS];
	bool lied, asked, miscounted;
	uint64_t given; /* frames to the driver on this connection */
	uint32_t met;	/* requests that the lie is about */

	/* of all connections */
	unsigned int connections;
	uint64_t from_driver, to_driver, dropped, mismatched;
	uint64_t generated;
};

/* ---- device.c: sockets and life ---- */

int device_open(struct device *d, const struct peer_config *config, const char *path,
		unsigned int index, int epoll_fd);
void device_close(struct device *d);
/* Accepts, or (client) connects; nothing to do is no error. */
void device_connect(struct device *d);
/* Reads one message of the driver and answers it. */
void device_hear(struct device *d);
/* Ends the connection; @why is for the line, NULL when the driver left. */
void device_disconnect(struct device *d, const char *why);
/* A ring that runs, or NULL. */
struct vq *device_ring(const struct device *d, unsigned int index);
/* Starts and stops rings as their state now demands. */
void device_update_rings(struct device *d);
bool device_has(const struct device *d, enum vhost_user_protocol_feature bit);

/* ---- message.c: what the driver asks ---- */

/*
 * Carries out a request that has passed the general checks. Returns bytes of answer
 * left in *payload for requests that have one, 0 for success, or -errno (refused:
 * answered with it if the driver wants to know, else the connection ends).
 */
int message_handle(struct device *d, uint32_t request, union vhost_user_payload *payload,
		   uint32_t size, struct fdmsg_fds *fds, const char **why);
void message_unmap(struct device *d);

/* ---- command.c ---- */

/* Carries out a line like "link down": see vu_peer --help. */
void command_run(struct peer_config *config, struct device *devices, unsigned int n, char *line);
/* Reads six bytes like 02:00:00:00:00:01. */
bool command_read_mac(const char *s, uint8_t mac[ETH_ALEN]);

/* ---- forward.c ---- */

/* Moves what there is to move; returns frames moved. */
unsigned int forward_run(struct device *devices, unsigned int n, const struct peer_config *config);

/* ---- misbehave.c ---- */

/* Reads "WHAT[:ARG]"; false: no such lie. */
bool misbehave_parse(const char *text, struct misbehaviour *m);
void misbehave_list(void);
/* The driver has sent @request: what happens instead of, or around, the answer. */
enum lie_step { LIE_NONE, LIE_HANG, LIE_CLOSE };
enum lie_step misbehave_before(struct device *d, uint32_t request,
			       const union vhost_user_payload *payload);
/* Sends @size bytes of answer, perhaps not quite. */
int misbehave_answer(struct device *d, uint32_t request, const void *payload, uint32_t size);
/* A frame was given to the driver by @out, and is not published yet. */
void misbehave_frame(struct device *d, const struct vq *out);
/* Lies in the rings, when it is time. */
void misbehave_rings(struct device *d);
/* Is ring @index of the driver's left alone, so that it has something to be lied about? */
bool misbehave_holds(const struct device *d, unsigned int index);
/* Does what it wants to the memory that the driver shares. */
void misbehave_memory(const struct device *d, int fd);
/* The number for GET_QUEUE_NUM. */
uint64_t misbehave_queue_num(const struct device *d, uint64_t truth);

#endif
