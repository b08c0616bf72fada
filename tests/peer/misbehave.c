/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lies, each with a name; the tests tell them one by one. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "peer.h"
#include "virtio/feature.h"
#include "virtio/ring.h"

enum lie_kind {
	/* around an answer; the argument is the request */
	LIE_HANG_AT,
	LIE_CLOSE_AT,
	LIE_TRUNCATE_REPLY,
	LIE_OVERSIZE_REPLY,
	LIE_WRONG_REPLY,
	LIE_DOUBLE_REPLY,
	LIE_REPLY_FD,
	LIE_NACK,
	LIE_SLOW_AT,
	LIE_ASK_FIRST,
	/* anywhere on the socket */
	LIE_GARBAGE,
	LIE_TRUNCATE_MEMORY,
	LIE_COUNT_RINGS,
	LIE_USED_DISABLED,
	LIE_USED_SWITCHED_OFF,
	/* the argument is a number */
	LIE_QUEUE_NUM,
	LIE_SLOW,
	LIE_NUM_BUFFERS,
	/* in the rings, once frames have passed */
	LIE_FIRST_IN_RINGS,
};

struct raw;

struct lie {
	const char *name;
	enum lie_kind kind;
	void (*in_rings)(struct device *d, struct raw *raw);
};

/* ---- in the rings: by hand, past the device's own code ---- */

/* The driver's receive ring as the peer has it mapped. */
struct raw {
	struct vring vr;
	const struct device *device;
	uint16_t avail; /* next available entry */
	uint16_t used;  /* next used entry */
	uint8_t hdr_len;
};

static void *mapped(const struct device *d, uint64_t addr, bool guest)
{
	unsigned int i;

	for (i = 0; i < d->memory.count; i++) {
		const struct vq_device_region *r = &d->memory.regions[i];
		uint64_t start = guest ? r->guest_phys_addr : r->userspace_addr;

		if (addr >= start && addr - start < r->size)
			return r->base + (addr - start);
	}
	return NULL;
}

static uint32_t next_head(struct raw *raw)
{
	return raw->vr.avail->ring[raw->avail++ & (raw->vr.num - 1)];
}

static void put_used(struct raw *raw, uint32_t id, uint32_t len)
{
	struct vring_used_elem *e = &raw->vr.used->ring[raw->used++ & (raw->vr.num - 1)];

	store_once32(&e->id, id);
	store_once32(&e->len, len);
	store_release16(&raw->vr.used->idx, raw->used);
}

/* Uses the next buffer for a frame of @len bytes with @hdr, and says @claimed for its length. */
static uint32_t put_frame(struct raw *raw, const struct virtio_net_hdr_v1 *hdr, uint32_t len,
			  uint32_t claimed)
{
	uint32_t head = next_head(raw);
	uint8_t *buffer = mapped(raw->device, raw->vr.desc[head].addr, true);

	memcpy(buffer, hdr, raw->hdr_len);
	memset(buffer + raw->hdr_len, 0xff, len);
	put_used(raw, head, claimed);
	return head;
}

#define HONEST_LEN 60u

static const struct virtio_net_hdr_v1 honest = { .num_buffers = 1 };

static void put_hdr(struct raw *raw, struct virtio_net_hdr_v1 hdr)
{
	put_frame(raw, &hdr, HONEST_LEN, raw->hdr_len + HONEST_LEN);
}

static void lie_used_jump(struct device *d __attribute__((unused)), struct raw *raw)
{
	store_release16(&raw->vr.used->idx, (uint16_t)(raw->used + raw->vr.num + 1));
}

static void lie_used_back(struct device *d __attribute__((unused)), struct raw *raw)
{
	/* behind what the driver has seen for certain: it made these buffers available again */
	store_release16(&raw->vr.used->idx,
			(uint16_t)(load_once16(&raw->vr.avail->idx) - raw->vr.num - 1));
}

static void lie_used_id(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_used(raw, raw->vr.num + 7, HONEST_LEN);
}

static void lie_used_repeat(struct device *d __attribute__((unused)), struct raw *raw)
{
	uint32_t len = raw->hdr_len + HONEST_LEN;
	uint32_t head = next_head(raw);
	uint8_t *buffer = mapped(raw->device, raw->vr.desc[head].addr, true);

	/* both entries before the index, so that the driver meets them in one batch */
	memcpy(buffer, &honest, raw->hdr_len);
	memset(buffer + raw->hdr_len, 0xff, HONEST_LEN);
	raw->vr.used->ring[raw->used++ & (raw->vr.num - 1)] =
		(struct vring_used_elem){ .id = head, .len = len };
	put_used(raw, head, len);
}

static void lie_len_zero(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_frame(raw, &honest, HONEST_LEN, 0);
}

static void lie_len_over(struct device *d __attribute__((unused)), struct raw *raw)
{
	uint32_t head = raw->vr.avail->ring[raw->avail & (raw->vr.num - 1)];

	put_frame(raw, &honest, HONEST_LEN, raw->vr.desc[head].len + 1);
}

static void lie_len_64k(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_frame(raw, &honest, HONEST_LEN, 0x11000);
}

/* Each buffer is as long as it may be, but all of them are more than any frame. */
static void lie_len_merged(struct device *d, struct raw *raw)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	uint16_t n = 0, first = raw->avail, mask = (uint16_t)(raw->vr.num - 1);
	uint32_t total = 0;

	while (total <= FRAME_LEN_MAX + raw->hdr_len)
		total += raw->vr.desc[raw->vr.avail->ring[(uint16_t)(first + n++) & mask]].len;
	hdr.num_buffers = htole16(n);
	memcpy(mapped(d, raw->vr.desc[raw->vr.avail->ring[first & mask]].addr, true), &hdr,
	       raw->hdr_len);
	while (n--) {
		uint32_t head = next_head(raw);

		put_used(raw, head, raw->vr.desc[head].len);
	}
}

static void lie_buffers_zero(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = 0 });
}

static void lie_buffers_over(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = htole16(40000) });
}

static void lie_hdr_csum(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = htole16(1),
						 .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						 .csum_start = htole16(60000),
						 .csum_offset = htole16(16) });
}

static void lie_hdr_gso(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = htole16(1),
						 .gso_type = VIRTIO_NET_HDR_GSO_UDP,
						 .gso_size = htole16(1000) });
}

static void lie_hdr_gso_size(struct device *d __attribute__((unused)), struct raw *raw)
{
	put_hdr(raw, (struct virtio_net_hdr_v1){ .num_buffers = htole16(1),
						 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 });
}

/* Random bytes over all that is shared, a page at a time. */
static void lie_scribble(struct device *d, struct raw *raw)
{
	unsigned int seed = 1, i;
	uint64_t at;

	for (i = 0; i < d->memory.count; i++)
		for (at = 0; at < MIN(d->memory.regions[i].size, UINT64_C(65536)); at++)
			d->memory.regions[i].base[at] = (uint8_t)rand_r(&seed);
	store_release16(&raw->vr.used->idx, (uint16_t)(raw->used + 5));
}

static void lie_die(struct device *d __attribute__((unused)),
		    struct raw *raw __attribute__((unused)))
{
	raise(SIGKILL);
}

static void lie_exit(struct device *d __attribute__((unused)),
		     struct raw *raw __attribute__((unused)))
{
	exit(0);
}

static void lie_close(struct device *d, struct raw *raw __attribute__((unused)))
{
	device_disconnect(d, "closing on command");
}

static void lie_unasked(struct device *d, struct raw *raw __attribute__((unused)))
{
	const struct vhost_user_header h = { .request = VHOST_USER_GET_FEATURES,
					     .flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK };

	if (send(d->fd, &h, sizeof(h), MSG_NOSIGNAL) < 0)
		perror("vu_peer: send");
}

/* On the channel where it may speak first: what was not agreed on, and half of a message. */
static void say_first(const struct device *d, uint32_t request, uint32_t size, size_t len)
{
	const struct vhost_user_header h = {
		.request = request,
		.flags = VHOST_USER_VERSION,
		.size = size,
	};

	if (send(d->backend_fd, &h, len, MSG_NOSIGNAL) < 0)
		perror("vu_peer: send");
}

static void lie_news(struct device *d, struct raw *raw __attribute__((unused)))
{
	say_first(d, VHOST_USER_BACKEND_IOTLB_MSG, 32, sizeof(struct vhost_user_header));
}

static void lie_news_half(struct device *d, struct raw *raw __attribute__((unused)))
{
	say_first(d, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, 5);
}

/* The kick eventfd is one file for both: it can be made to block, and filled. */
static void lie_kick_blocks(struct device *d, struct raw *raw __attribute__((unused)))
{
	const uint64_t full = UINT64_MAX - 1;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		uint64_t value;

		while (read(d->rings[i].kick, &value, sizeof(value)) > 0)
			;
		if (fcntl(d->rings[i].kick, F_SETFL, 0) < 0 ||
		    write(d->rings[i].kick, &full, sizeof(full)) < 0)
			perror("vu_peer: kick");
	}
}

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
	{ "used-jump", LIE_FIRST_IN_RINGS, lie_used_jump },
	{ "used-back", LIE_FIRST_IN_RINGS, lie_used_back },
	{ "used-id", LIE_FIRST_IN_RINGS, lie_used_id },
	{ "used-repeat", LIE_FIRST_IN_RINGS, lie_used_repeat },
	{ "used-len-zero", LIE_FIRST_IN_RINGS, lie_len_zero },
	{ "used-len-over", LIE_FIRST_IN_RINGS, lie_len_over },
	{ "used-len-64k", LIE_FIRST_IN_RINGS, lie_len_64k },
	{ "used-len-merged", LIE_FIRST_IN_RINGS, lie_len_merged },
	{ "num-buffers-zero", LIE_FIRST_IN_RINGS, lie_buffers_zero },
	{ "num-buffers-over", LIE_FIRST_IN_RINGS, lie_buffers_over },
	{ "hdr-csum", LIE_FIRST_IN_RINGS, lie_hdr_csum },
	{ "hdr-gso", LIE_FIRST_IN_RINGS, lie_hdr_gso },
	{ "hdr-gso-size-zero", LIE_FIRST_IN_RINGS, lie_hdr_gso_size },
	{ "scribble", LIE_FIRST_IN_RINGS, lie_scribble },
	{ "unasked-reply", LIE_FIRST_IN_RINGS, lie_unasked },
	{ "kick-blocks", LIE_FIRST_IN_RINGS, lie_kick_blocks },
	{ "news", LIE_FIRST_IN_RINGS, lie_news },
	{ "news-half", LIE_FIRST_IN_RINGS, lie_news_half },
	{ "close", LIE_FIRST_IN_RINGS, lie_close },
	{ "exit", LIE_FIRST_IN_RINGS, lie_exit },
	{ "die", LIE_FIRST_IN_RINGS, lie_die },
};

static bool takes_number(const struct lie *lie)
{
	return lie->kind == LIE_QUEUE_NUM || lie->kind == LIE_SLOW || lie->kind == LIE_NUM_BUFFERS;
}

void misbehave_list(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lies); i++)
		printf("  %s%s\n", lies[i].name,
		       lies[i].kind < LIE_GARBAGE ? ":REQUEST" :
		       takes_number(&lies[i])	  ? ":N" :
						    "");
}

static uint32_t request_number(const char *name)
{
	uint32_t id;

	for (id = 1; id < VHOST_USER_REQUEST_END; id++)
		if (proto_request(id) && !strcmp(proto_request(id)->name, name))
			return id;
	return 0;
}

bool misbehave_parse(const char *text, struct misbehaviour *m)
{
	size_t len = strcspn(text, ":");
	const char *arg = text[len] ? text + len + 1 : "";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lies); i++)
		if (strlen(lies[i].name) == len && !strncmp(lies[i].name, text, len))
			m->lie = &lies[i];
	if (!m->lie)
		return false;
	if (m->lie->kind < LIE_GARBAGE)
		m->arg = request_number(arg);
	else if (takes_number(m->lie))
		m->arg = (uint32_t)strtoul(arg, NULL, 0);
	return m->lie->kind >= LIE_GARBAGE || m->arg;
}

static const struct lie *current(const struct device *d)
{
	const struct misbehaviour *m = &d->config->lie;

	if (!m->lie || d->connections > m->times || (m->once_ready && !d->ready))
		return NULL;
	return m->lie;
}

/* Receive ring @index, of which the peer has taken @avail entries. */
static void open_raw(struct raw *raw, const struct device *d, unsigned int index, uint16_t avail)
{
	const struct peer_ring *ring = &d->rings[index];

	*raw = (struct raw){
		.device = d,
		.avail = avail,
		.hdr_len = feature_hdr_len(d->features),
	};
	raw->vr.num = ring->num;
	raw->vr.desc = mapped(d, ring->addr.desc_user_addr, false);
	raw->vr.avail = mapped(d, ring->addr.avail_user_addr, false);
	raw->vr.used = mapped(d, ring->addr.used_user_addr, false);
	raw->used = raw->vr.used->idx;
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
	open_raw(&raw, d, index, ring->base);
	printf("lying %s: %s\n", d->path, lie->name);
	lie_used_jump(d, &raw);
}

/* Answers late: by so much each time, or at one request by a second. */
static void be_slow(const struct device *d, const struct lie *lie, uint32_t request)
{
	if (lie->kind == LIE_SLOW)
		usleep(d->config->lie.arg * 1000);
	else if (lie->kind == LIE_SLOW_AT && request == d->config->lie.arg)
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
	if (!lie || request != d->config->lie.arg)
		return LIE_NONE;
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
	const struct lie *lie = request == d->config->lie.arg ? current(d) : NULL;
	uint8_t padded[sizeof(union vhost_user_payload) + 16] = { 0 };
	const uint64_t one = 1;
	const int fd = STDOUT_FILENO;

	memcpy(padded, payload, size);
	switch (lie ? lie->kind : LIE_FIRST_IN_RINGS) {
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

void misbehave_rings(struct device *d)
{
	const struct lie *lie = current(d);
	struct vq *vq = device_ring(d, 0);
	const uint64_t one = 1;
	struct raw raw;

	if (!lie || !lie->in_rings || d->lied || !vq || d->given < d->config->lie.after)
		return;
	d->lied = true;
	open_raw(&raw, d, 0, vq_device_base(vq));
	printf("lying %s: %s\n", d->path, lie->name);
	lie->in_rings(d, &raw);
	if (d->fd >= 0 && d->rings[0].call >= 0 &&
	    write(d->rings[0].call, &one, sizeof(one)) < 0)
		perror("vu_peer: call");
}

/* One frame is said to span other buffers than it does; the next ones are honest. */
void misbehave_frame(struct device *d, const struct vq *out)
{
	const struct lie *lie = current(d);
	uint16_t *num_buffers;
	struct raw raw;

	if (!lie || lie->kind != LIE_NUM_BUFFERS || d->miscounted ||
	    d->given < d->config->lie.after || out != d->rings[0].vq)
		return;
	d->miscounted = true;
	/* the buffer that was taken last; what is in it is not published yet */
	open_raw(&raw, d, 0, (uint16_t)(vq_device_base(out) - 1));
	num_buffers = (uint16_t *)((uint8_t *)mapped(d, raw.vr.desc[next_head(&raw)].addr, true) +
				   offsetof(struct virtio_net_hdr_v1, num_buffers));
	printf("lying %s: %u buffers instead of %u\n", d->path, d->config->lie.arg,
	       le16toh(*num_buffers));
	*num_buffers = htole16((uint16_t)d->config->lie.arg);
}
