/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lies, each with a name; the tests tell them one by one. */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "lies.h"

static const struct lie lies[] = {
	{ "hang-at", LIE_HANG_AT, NULL },
	{ "close-at", LIE_CLOSE_AT, NULL },
	{ "truncate-reply", LIE_TRUNCATE_REPLY, NULL },
	{ "oversize-reply", LIE_OVERSIZE_REPLY, NULL },
	{ "wrong-reply", LIE_WRONG_REPLY, NULL },
	{ "double-reply", LIE_DOUBLE_REPLY, NULL },
	{ "reply-fd", LIE_REPLY_FD, NULL },
	{ "nack", LIE_NACK, NULL },
	{ "slow-at", LIE_SLOW_AT, NULL },
	{ "ask-first", LIE_ASK_FIRST, NULL },
	{ "garbage", LIE_GARBAGE, NULL },
	{ "truncate-memory", LIE_TRUNCATE_MEMORY, NULL },
	{ "count-rings", LIE_COUNT_RINGS, NULL },
	{ "queue-num", LIE_QUEUE_NUM, NULL },
	{ "slow", LIE_SLOW, NULL },
	{ "num-buffers", LIE_NUM_BUFFERS, NULL },
	{ "used-disabled", LIE_USED_DISABLED, NULL },
	{ "used-switched-off", LIE_USED_SWITCHED_OFF, NULL },
};

/* The lie whose name is these @len bytes, or NULL. */
static const struct lie *lie_named(const char *name, size_t len)
{
	const struct lie *lie;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lies); i++)
		if (strlen(lies[i].name) == len && !strncmp(lies[i].name, name, len))
			return &lies[i];
	for (lie = ring_lies; lie->name; lie++)
		if (strlen(lie->name) == len && !strncmp(lie->name, name, len))
			return lie;
	return NULL;
}

static bool takes_number(const struct lie *lie)
{
	return lie->kind == LIE_QUEUE_NUM || lie->kind == LIE_SLOW || lie->kind == LIE_NUM_BUFFERS;
}

void misbehave_list(void)
{
	const struct lie *lie;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lies); i++)
		printf("  %s%s\n", lies[i].name,
		       lies[i].kind < LIE_GARBAGE ? ":REQUEST[:NTH]" :
		       takes_number(&lies[i])	  ? ":N" :
						    "");
	for (lie = ring_lies; lie->name; lie++)
		printf("  %s\n", lie->name);
}

static uint32_t request_number(const char *name, size_t len)
{
	uint32_t id;

	for (id = 1; id < VHOST_USER_REQUEST_END; id++)
		if (proto_request(id) && strlen(proto_request(id)->name) == len &&
		    !strncmp(proto_request(id)->name, name, len))
			return id;
	return 0;
}

static bool read_number(const char *text, uint32_t *n)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	*n = (uint32_t)value;
	return *text && !*end && value <= UINT32_MAX;
}

/* REQUEST, or REQUEST:NTH */
static bool read_request(const char *text, struct misbehaviour *m)
{
	size_t len = strcspn(text, ":");

	m->arg = request_number(text, len);
	m->nth = 0;
	if (!m->arg || !text[len])
		return m->arg;
	return read_number(text + len + 1, &m->nth) && m->nth;
}

bool misbehave_parse(const char *text, struct misbehaviour *m)
{
	size_t len = strcspn(text, ":");
	const char *arg = text[len] ? text + len + 1 : "";

	m->lie = lie_named(text, len);
	if (!m->lie)
		return false;
	if (m->lie->kind < LIE_GARBAGE)
		return read_request(arg, m);
	if (takes_number(m->lie))
		return read_number(arg, &m->arg);
	return !text[len];
}

static const struct lie *current(const struct device *d)
{
	const struct misbehaviour *m = &d->config->lie;

	if (!m->lie || d->connections > m->times || (m->once_ready && !d->ready))
		return NULL;
	return m->lie;
}

/* Is it about @request, which has come d->met times, that this connection is lied to? */
static bool concerns(const struct device *d, const struct lie *lie, uint32_t request)
{
	const struct misbehaviour *m = &d->config->lie;

	return lie && lie->kind < LIE_GARBAGE && request == m->arg &&
	       (!m->nth || m->nth == d->met);
}

/*
 * Writes to a ring that is not enabled: more than the driver can have made available. That is
 * the first one before it is enabled, or the second pair's when it is switched off.
 */
static void use_disabled_ring(struct device *d, const struct lie *lie,
			      const struct vhost_vring_state *state)
{
	unsigned int index = lie->kind == LIE_USED_DISABLED ? 0 : 2;
	const struct peer_ring *ring = &d->rings[index];
	struct raw raw;

	if (lie->kind == LIE_USED_DISABLED ? ring->enabled : state->index != 2 || state->num)
		return;
	if (!ring->has_addr)
		return;
	raw_open(&raw, d, index, ring->base);
	printf("lying %s: %s\n", d->path, lie->name);
	raw_used_jump(d, &raw);
}

/* Answers late: by so much each time, or at one request by a second. */
static void be_slow(const struct device *d, const struct lie *lie, uint32_t request)
{
	if (lie->kind == LIE_SLOW)
		usleep(d->config->lie.arg * 1000);
	else if (lie->kind == LIE_SLOW_AT && concerns(d, lie, request))
		usleep(1000000);
}

/*
 * No lie, but what a backend with one thread may do: it tells news, once, and waits for the
 * answer to that before it gives its own.
 */
static void ask_first(struct device *d)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(10000, -1);
	struct vhost_user_header h = {
		.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		.flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK,
	};
	const struct iovec iov = { &h, sizeof(h) };
	uint64_t result = 1;
	int r;

	if (d->asked || d->backend_fd < 0)
		return;
	d->asked = true;
	r = fdmsg_send(d->backend_fd, &iov, 1, NULL, 0, &wait);
	if (!r)
		r = fdmsg_receive(d->backend_fd, &h, sizeof(h), NULL, &wait);
	if (!r)
		r = fdmsg_receive(d->backend_fd, &result, sizeof(result), NULL, &wait);
	printf("asked %s: %s\n", d->path, r || result ? "no answer" : "answered");
}

enum lie_step misbehave_before(struct device *d, uint32_t request,
			       const union vhost_user_payload *payload)
{
	const struct lie *lie = current(d);
	char bytes[64];

	if (lie && lie->kind < LIE_GARBAGE && request == d->config->lie.arg)
		d->met++;
	if (lie)
		be_slow(d, lie, request);
	if (lie && request == VHOST_USER_SET_VRING_ENABLE &&
	    (lie->kind == LIE_USED_DISABLED || lie->kind == LIE_USED_SWITCHED_OFF))
		use_disabled_ring(d, lie, &payload->state);
	if (lie && lie->kind == LIE_GARBAGE && request == VHOST_USER_GET_FEATURES) {
		memset(bytes, 0xa5, sizeof(bytes));
		if (send(d->fd, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
			perror("vu_peer: send");
		return LIE_HANG;
	}
	if (!concerns(d, lie, request))
		return LIE_NONE;
	/* a state, or which ring it is about */
	printf("lying %s: %s:%s %u\n", d->path, lie->name, proto_request(request)->name,
	       (unsigned int)(uint32_t)payload->u64);
	if (lie->kind == LIE_ASK_FIRST)
		ask_first(d);
	if (lie->kind == LIE_HANG_AT)
		return LIE_HANG;
	return lie->kind == LIE_CLOSE_AT ? LIE_CLOSE : LIE_NONE;
}

void misbehave_memory(const struct device *d, int fd)
{
	const struct lie *lie = current(d);

	if (!lie || lie->kind != LIE_TRUNCATE_MEMORY)
		return;
	printf("truncate %s: %s\n", d->path, ftruncate(fd, 0) ? strerror(errno) : "done");
}

uint64_t misbehave_queue_num(const struct device *d, uint64_t truth)
{
	const struct lie *lie = current(d);

	if (lie && lie->kind == LIE_COUNT_RINGS)
		return 2 * truth;
	if (!lie || lie->kind != LIE_QUEUE_NUM)
		return truth;
	printf("lying %s: %s\n", d->path, lie->name);
	return d->config->lie.arg;
}

/* In one piece, so that the second is there when the first has been read. */
static int send_twice(struct device *d, uint32_t request, uint32_t size, void *payload)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(1000, -1);
	struct vhost_user_header h = {
		.request = request,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK,
		.size = size,
	};
	const struct iovec iov[] = {
		{ &h, sizeof(h) }, { payload, size }, { &h, sizeof(h) }, { payload, size },
	};

	return fdmsg_send(d->fd, iov, ARRAY_SIZE(iov), NULL, 0, &wait);
}

static int send_answer(struct device *d, uint32_t request, uint32_t size, const void *payload,
		       uint32_t sent, const int *fds, unsigned int nfds)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(1000, -1);
	struct vhost_user_header h = {
		.request = request,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK,
		.size = size,
	};
	const struct iovec iov[] = { { &h, sizeof(h) }, { (void *)(uintptr_t)payload, sent } };

	return fdmsg_send(d->fd, iov, sent ? 2 : 1, fds, nfds, &wait);
}

int misbehave_answer(struct device *d, uint32_t request, const void *payload, uint32_t size)
{
	const struct lie *lie = current(d);
	uint8_t padded[sizeof(union vhost_user_payload) + 16] = { 0 };
	const uint64_t one = 1;
	const int fd = STDOUT_FILENO;

	memcpy(padded, payload, size);
	switch (concerns(d, lie, request) ? lie->kind : LIE_FIRST_IN_RINGS) {
	case LIE_TRUNCATE_REPLY:
		return send_answer(d, request, size, padded, size / 2, NULL, 0);
	case LIE_OVERSIZE_REPLY:
		return send_answer(d, request, size + 16, padded, size + 16, NULL, 0);
	case LIE_WRONG_REPLY:
		return send_answer(d, request + 1, size, padded, size, NULL, 0);
	case LIE_DOUBLE_REPLY:
		return send_twice(d, request, size, padded);
	case LIE_REPLY_FD:
		return send_answer(d, request, size, padded, size, &fd, 1);
	case LIE_NACK:
		return send_answer(d, request, sizeof(one), &one, sizeof(one), NULL, 0);
	default:
		break;
	}
	return send_answer(d, request, size, padded, size, NULL, 0);
}

/* The lie in the rings that is due on this connection, or NULL. */
static const struct lie *due(const struct device *d)
{
	const struct lie *lie = current(d);

	return lie && lie->in_rings && !d->lied && device_ring(d, d->config->lie.ring) &&
			       d->given >= d->config->lie.after ?
		       lie :
		       NULL;
}

bool misbehave_holds(const struct device *d, unsigned int index)
{
	return index % 2 && index == d->config->lie.ring && due(d);
}

/* Of a transmit ring, that is left alone: are there two buffers that the driver waits for? */
static bool is_owed(const struct raw *raw)
{
	return (uint16_t)(load_once16(&raw->vr.avail->idx) - raw->avail) >= 2;
}

void misbehave_rings(struct device *d)
{
	unsigned int ring = d->config->lie.ring;
	const struct lie *lie = due(d);
	const uint64_t one = 1;
	struct raw raw;

	if (!lie)
		return;
	raw_open(&raw, d, ring, vq_device_base(device_ring(d, ring)));
	if (ring % 2 && !is_owed(&raw))
		return;
	d->lied = true;
	printf("lying %s: %s\n", d->path, lie->name);
	lie->in_rings(d, &raw);
	if (d->fd >= 0 && d->rings[ring].call >= 0 &&
	    write(d->rings[ring].call, &one, sizeof(one)) < 0)
		perror("vu_peer: call");
}

/* One frame is said to span other buffers than it does; the next ones are honest. */
void misbehave_frame(struct device *d, const struct vq *out)
{
	const struct lie *lie = current(d);
	uint16_t *num_buffers;
	uint8_t *buffer;
	struct raw raw;

	if (!lie || lie->kind != LIE_NUM_BUFFERS || d->miscounted ||
	    d->given < d->config->lie.after || out != d->rings[0].vq)
		return;
	d->miscounted = true;
	/* the buffer that was taken last; what is in it is not published yet */
	raw_open(&raw, d, 0, (uint16_t)(vq_device_base(out) - 1));
	buffer = raw_mapped(d, raw.vr.desc[raw_next_head(&raw)].addr, true);
	num_buffers = (uint16_t *)(buffer + offsetof(struct virtio_net_hdr_v1, num_buffers));
	printf("lying %s: %u buffers instead of %u\n", d->path, d->config->lie.arg,
	       le16toh(*num_buffers));
	*num_buffers = htole16((uint16_t)d->config->lie.arg);
}
