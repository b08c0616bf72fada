/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "peer.h"
#include "virtio/feature.h"

#define DEADLINE_MS 2000

static void watch(struct device *d, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u32 = d->index };

	if (fd >= 0)
		epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

bool device_has(const struct device *d, enum vhost_user_protocol_feature bit)
{
	return d->protocol_features >> bit & 1;
}

struct vq *device_ring(const struct device *d, unsigned int index)
{
	/* after a lie the rings are left as they are, for the driver to find */
	return index < 2 * PEER_MAX_PAIRS && !d->lied ? d->rings[index].vq : NULL;
}

/* ---- rings ---- */

static bool may_run(const struct device *d, const struct peer_ring *ring)
{
	if (device_has(d, VHOST_USER_PROTOCOL_F_STATUS) &&
	    !(d->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return false;
	return ring->kick >= 0 && ring->has_addr && ring->enabled;
}

static int start_ring(struct device *d, unsigned int i)
{
	struct peer_ring *ring = &d->rings[i];
	const struct vq_device_config config = {
		.direction = i % 2 ? VQ_CONTENT : VQ_SPACE,
		.index = (uint16_t)i,
		.num = (uint16_t)ring->num,
		.base = ring->base,
		.features = d->features,
		.batches = true, /* so that each test shows that a driver understands them */
		.desc = ring->addr.desc_user_addr,
		.avail = ring->addr.avail_user_addr,
		.used = ring->addr.used_user_addr,
		.kick_fd = ring->kick,
		.call_fd = ring->call,
	};
	int r = vq_device_open(&ring->vq, &d->memory, &config);

	if (r)
		return r;
	watch(d, ring->kick, EPOLLIN | EPOLLET);
	vq_arm(ring->vq, false);
	return 0;
}

static void stop_ring(struct peer_ring *ring)
{
	if (ring->vq)
		ring->base = vq_device_base(ring->vq);
	vq_device_close(ring->vq);
	ring->vq = NULL;
}

void device_update_rings(struct device *d)
{
	unsigned int i, running = 0;

	for (i = 0; i < 2 * d->config->pairs; i++) {
		struct peer_ring *ring = &d->rings[i];

		if (!may_run(d, ring))
			stop_ring(ring);
		else if (!ring->vq && start_ring(d, i)) {
			device_disconnect(d, "a ring that cannot be started");
			return;
		}
		running += ring->vq != NULL;
	}
	if (running >= 2 && !d->ready)
		printf("ready %s\n", d->path);
	d->ready = running >= 2;
}

/* ---- connection ---- */

static void reset(struct device *d)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(d->rings); i++) {
		vq_device_close(d->rings[i].vq);
		close_fd(&d->rings[i].kick);
		close_fd(&d->rings[i].call);
		close_fd(&d->rings[i].err);
		d->rings[i] = (struct peer_ring){ .kick = -1, .call = -1, .err = -1 };
	}
	message_unmap(d);
	close_fd(&d->backend_fd);
	close_fd(&d->fd);
	d->owned = d->silent = d->ready = d->lied = d->asked = false;
	d->miscounted = false;
	d->features = d->protocol_features = 0;
	d->status = 0;
	d->given = 0;
	d->met = 0;
}

void device_disconnect(struct device *d, const char *why)
{
	printf("disconnected %s: %s\n", d->path, why ? why : "the driver left");
	if (why)
		fprintf(stderr, "vu_peer: %s: %s\n", d->path, why);
	reset(d);
}

static void adopt(struct device *d, int fd)
{
	d->fd = fd;
	d->connections++;
	watch(d, fd, EPOLLIN | EPOLLRDHUP);
	printf("connected %s\n", d->path);
}

void device_connect(struct device *d)
{
	const struct fdmsg_wait at_once = fdmsg_wait_ms(0, -1);
	int fd;

	if (d->config->client) {
		if (d->fd < 0) {
			const struct fdmsg_wait wait = fdmsg_wait_ms(DEADLINE_MS, -1);

			fd = fdmsg_connect(d->path, SOCK_STREAM, &wait);
			if (fd >= 0)
				adopt(d, fd);
		}
		return;
	}
	if (d->fd >= 0)
		return; /* one driver at a time: the next one waits in the backlog */
	fd = fdmsg_accept(d->listen_fd, &at_once);
	if (fd >= 0)
		adopt(d, fd);
}

int device_open(struct device *d, const struct peer_config *config, const char *path,
		unsigned int index, int epoll_fd)
{
	*d = (struct device){
		.config = config,
		.path = path,
		.index = index,
		.epoll_fd = epoll_fd,
		.listen_fd = -1,
		.fd = -1,
		.backend_fd = -1,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(d->rings); i++)
		d->rings[i].kick = d->rings[i].call = d->rings[i].err = -1;
	if (config->client)
		return 0;
	unlink(path); /* left by one that was killed */
	d->listen_fd = fdmsg_listen(path, SOCK_STREAM, 4);
	if (d->listen_fd < 0)
		return d->listen_fd;
	watch(d, d->listen_fd, EPOLLIN);
	printf("listening %s\n", path);
	return 0;
}

void device_close(struct device *d)
{
	reset(d);
	if (d->listen_fd >= 0)
		unlink(d->path);
	close_fd(&d->listen_fd);
}

/* ---- messages ---- */

/* What every message has to satisfy; NULL or what is wrong. */
static const char *check(const struct device *d, const struct vhost_user_header *h,
			 const struct vhost_user_msg_desc *row, unsigned int fds)
{
	if ((h->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return "a wrong version";
	if (h->flags & VHOST_USER_REPLY_MASK)
		return "an answer where a request should be";
	if (!row)
		return "an unknown request";
	if (h->size < row->size_min || h->size > row->size_max)
		return "a wrong size";
	if (fds < row->fds_min || fds > row->fds_max)
		return "a wrong number of descriptors";
	if (row->needs >= 0 && !device_has(d, (enum vhost_user_protocol_feature)row->needs))
		return "a request that was not negotiated";
	if (row->needs == PROTO_NEEDS_PROTOCOL_FEATURES &&
	    !feature_has(d->config->features, VHOST_USER_F_PROTOCOL_FEATURES))
		return "a request that needs protocol features";
	if (h->flags & VHOST_USER_NEED_REPLY_MASK &&
	    !device_has(d, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return "NEED_REPLY that was not negotiated";
	return NULL;
}

static int receive(struct device *d, struct vhost_user_header *h,
		   union vhost_user_payload *payload, struct fdmsg_fds *fds)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(DEADLINE_MS, -1);
	int r = fdmsg_receive(d->fd, h, sizeof(*h), fds, &wait);

	if (r)
		return r;
	memset(payload, 0, sizeof(*payload));
	if (h->size > sizeof(*payload))
		return -EMSGSIZE;
	return h->size ? fdmsg_receive(d->fd, payload, h->size, NULL, &wait) : 0;
}

/* Answers @request, by the rules of NEED_REPLY where it has no answer of its own. */
static const char *answer(struct device *d, const struct vhost_user_header *h,
			  const struct vhost_user_msg_desc *row,
			  union vhost_user_payload *payload, int result, const char *why)
{
	uint64_t ack = result < 0;
	int r = 0;

	if (row->reply && result >= 0)
		r = misbehave_answer(d, h->request, payload, (uint32_t)result);
	else if (h->flags & VHOST_USER_NEED_REPLY_MASK && !row->reply)
		r = misbehave_answer(d, h->request, &ack, sizeof(ack));
	else if (result < 0)
		return why ? why : "a request that failed";
	if (result < 0)
		fprintf(stderr, "vu_peer: %s: refused: %s\n", d->path, why ? why : row->name);
	return r ? "cannot answer" : NULL;
}

void device_hear(struct device *d)
{
	const struct vhost_user_msg_desc *row;
	union vhost_user_payload payload;
	struct fdmsg_fds fds = { 0 };
	struct vhost_user_header h;
	enum lie_step step;
	const char *why;
	int result = receive(d, &h, &payload, &fds);

	if (result) {
		fdmsg_close_fds(&fds);
		device_disconnect(d, result == -ECONNRESET ? NULL : "a broken message");
		return;
	}
	row = proto_request(h.request);
	why = check(d, &h, row, fds.n);
	step = why ? LIE_NONE : misbehave_before(d, h.request, &payload);
	if (!why && step == LIE_NONE) {
		result = message_handle(d, h.request, &payload, h.size, &fds, &why);
		why = answer(d, &h, row, &payload, result, why);
	}
	fdmsg_close_fds(&fds);
	if (why || step == LIE_CLOSE)
		device_disconnect(d, why ? why : "closing on command");
	else if (step == LIE_HANG)
		d->silent = true;
	else
		device_update_rings(d);
}
