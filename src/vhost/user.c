/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vhost-user front-end.
 *
 * Peers differ most in what they do with a message they do not know: one closes
 * the socket, one panics, one ends its process. So nothing is sent here that was
 * not negotiated; an operation without a message to carry it succeeds at once.
 */
#include "vhost/user.h"

#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "vhost/backend_channel.h"
#include "vhost/proto.h"
#include "vhost/request.h"

#define BIT(n) (UINT64_C(1) << (n))

/* What is used here; a peer may treat any other bit as a promise. */
#define OUR_PROTOCOL_FEATURES                                                                      \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_RARP) |                         \
	 BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) | BIT(VHOST_USER_PROTOCOL_F_NET_MTU) |               \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CONFIG) |              \
	 BIT(VHOST_USER_PROTOCOL_F_STATUS))

/* Bits among the device features that belong to the transport. */
#define TRANSPORT_FEATURES (BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BIT(VHOST_F_LOG_ALL))

#define VIRTIO_NET_MTU_MIN 68

struct user {
	struct vhost vhost;
	struct requester requester;
	/* of this connection */
	bool has_protocol_features;
	uint64_t protocol_features; /* acked */
	uint64_t device_features;   /* acked */
	char path[];
};

static struct user *to_user(struct vhost *v)
{
	return container_of(v, struct user, vhost);
}

static struct requester *to_requester(struct vhost *v)
{
	return &to_user(v)->requester;
}

static bool has(const struct user *u, enum vhost_user_protocol_feature bit)
{
	return u->protocol_features & BIT(bit);
}

/* An operation that cannot be put into the message @id. */
static int refuse(struct vhost *v, uint32_t id, int err, const char *why)
{
	return request_fail(to_requester(v), id, err, why);
}

static void user_close(struct vhost *v)
{
	struct user *u = to_user(v);

	close_fd(&v->fd);
	close_fd(&v->backend_fd);
	v->features = 0;
	v->max_pairs = 0;
	v->has_status = false;
	v->has_config = false;
	v->has_announce = false;
	v->news = VHOST_NEWS_NONE;
	u->requester = (struct requester){.vhost = v};
	u->has_protocol_features = false;
	u->protocol_features = 0;
	u->device_features = 0;
}

static const char *connect_why(int err)
{
	switch (err) {
	case -ENOTSOCK:
		return "the file is not a socket";
	case -EPROTOTYPE:
		return "the socket is not of the stream type";
	case -ECONNREFUSED:
		return "nobody listens on the socket";
	case -EACCES:
		return "no permission; run as the socket's owner or group (--user, in a unit "
		       "User=)";
	case -ETIMEDOUT:
		return "the peer does not accept the connection";
	default:
		return "";
	}
}

static int connect_peer(struct vhost *v, bool *greeted)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(v->timeout_ms, v->cancel_fd);
	int fd = v->accepted_fd;

	*greeted = fd >= 0;
	v->accepted_fd = -1;
	if (fd < 0)
		fd = fdmsg_connect(to_user(v)->path, SOCK_STREAM, &wait);
	v->request = "connect";
	v->why = fd < 0 ? connect_why(fd) : "";
	if (fd < 0)
		return fd;
	v->fd = fd;
	return 0;
}

static int negotiate_protocol(struct user *u)
{
	struct requester *r = &u->requester;
	uint64_t offered, acked;
	int ret = request_ask_u64(r, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

	if (ret < 0)
		return ret;
	acked = offered & OUR_PROTOCOL_FEATURES;
	ret = request_tell_u64(r, VHOST_USER_SET_PROTOCOL_FEATURES, acked);
	if (ret < 0)
		return ret;
	u->protocol_features = acked;
	u->has_protocol_features = true;
	/* from here on, not for the message that agreed on it */
	r->reply_ack = has(u, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	u->vhost.has_status = has(u, VHOST_USER_PROTOCOL_F_STATUS);
	u->vhost.has_config = has(u, VHOST_USER_PROTOCOL_F_CONFIG);
	u->vhost.has_announce = has(u, VHOST_USER_PROTOCOL_F_RARP);
	return 0;
}

/* Peers count pairs, or rings: an upper bound. */
static int get_queue_num(struct user *u)
{
	uint64_t num;
	int ret;

	u->vhost.max_pairs = 1;
	if (!has(u, VHOST_USER_PROTOCOL_F_MQ))
		return 0;
	ret = request_ask_u64(&u->requester, VHOST_USER_GET_QUEUE_NUM, &num);
	if (ret < 0)
		return ret;
	if (num == 0)
		return refuse(&u->vhost, VHOST_USER_GET_QUEUE_NUM, -EPROTO,
			      "the peer has no queues");
	u->vhost.max_pairs = (unsigned int)MIN(num, (uint64_t)VHOST_USER_MAX_PAIRS);
	return 0;
}

/*
 * A socket on which the peer may tell by itself that the configuration changed. Without
 * CONFIG there is nothing that it could say.
 */
static int open_backend_channel(struct user *u)
{
	int fds[2];
	int ret;

	if (!has(u, VHOST_USER_PROTOCOL_F_BACKEND_REQ) || !has(u, VHOST_USER_PROTOCOL_F_CONFIG))
		return 0;
	ret = fdmsg_pair(fds);
	if (ret < 0)
		return refuse(&u->vhost, VHOST_USER_SET_BACKEND_REQ_FD, ret, "");
	u->vhost.backend_fd = fds[0];
	ret = request_tell_fds(&u->requester, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &fds[1], 1);
	close_fd(&fds[1]);
	return ret;
}

/* The same as first_words, before it is known whether anyone will answer. */
static int user_greet(int fd)
{
	const struct vhost_user_header words[] = {
		{.request = VHOST_USER_SET_OWNER, .flags = VHOST_USER_VERSION},
		{.request = VHOST_USER_GET_FEATURES, .flags = VHOST_USER_VERSION},
	};
	const struct iovec iov = {.iov_base = (void *)words, .iov_len = sizeof(words)};
	const struct fdmsg_wait at_once = fdmsg_wait_ms(0, -1);

	return fdmsg_send(fd, &iov, 1, NULL, 0, &at_once);
}

static int first_words(struct requester *r, bool greeted, uint64_t *offered)
{
	int ret;

	if (greeted)
		return request_answer_u64(r, VHOST_USER_GET_FEATURES, offered);
	ret = request_tell(r, VHOST_USER_SET_OWNER, NULL, 0);
	return ret < 0 ? ret : request_ask_u64(r, VHOST_USER_GET_FEATURES, offered);
}

static int handshake(struct user *u, bool greeted)
{
	uint64_t offered;
	int ret = first_words(&u->requester, greeted, &offered);

	if (ret < 0)
		return ret;
	if (offered & BIT(VHOST_USER_F_PROTOCOL_FEATURES))
		ret = negotiate_protocol(u);
	if (ret < 0)
		return ret;
	u->vhost.features = offered & ~TRANSPORT_FEATURES;
	ret = get_queue_num(u);
	return ret ? ret : open_backend_channel(u);
}

static int user_open(struct vhost *v)
{
	bool greeted;
	int ret;

	user_close(v);
	ret = connect_peer(v, &greeted);
	if (ret == 0)
		ret = handshake(to_user(v), greeted);
	if (ret < 0)
		user_close(v);
	return ret;
}

static int user_set_features(struct vhost *v, uint64_t features)
{
	struct user *u = to_user(v);
	uint64_t transport = 0;
	int ret;

	if (features & ~v->features)
		return refuse(v, VHOST_USER_SET_FEATURES, -EINVAL, "features not offered");
	if (u->has_protocol_features)
		transport = BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	ret = request_tell_u64(&u->requester, VHOST_USER_SET_FEATURES, features | transport);
	if (ret == 0)
		u->device_features = features;
	return ret;
}

static int user_set_status(struct vhost *v, uint8_t status)
{
	if (!v->has_status)
		return 0;
	return request_tell_u64(to_requester(v), VHOST_USER_SET_STATUS, status);
}

static int user_get_status(struct vhost *v, uint8_t *status)
{
	uint64_t value = 0;
	int ret;

	if (!v->has_status)
		return -EOPNOTSUPP;
	ret = request_ask_u64(to_requester(v), VHOST_USER_GET_STATUS, &value);
	if (value > UINT8_MAX)
		return refuse(v, VHOST_USER_GET_STATUS, -EPROTO, "a status above 255");
	*status = (uint8_t)value;
	return ret;
}

/* The address stands in the number's first six bytes, as in memory. */
static int user_announce(struct vhost *v, const uint8_t mac[6])
{
	uint64_t value = 0;

	if (!v->has_announce)
		return -EOPNOTSUPP;
	memcpy(&value, mac, 6);
	return request_tell_u64(to_requester(v), VHOST_USER_SEND_RARP, value);
}

static int user_set_mtu(struct vhost *v, uint16_t mtu)
{
	struct user *u = to_user(v);

	if (!has(u, VHOST_USER_PROTOCOL_F_NET_MTU) || !(u->device_features & BIT(VIRTIO_NET_F_MTU)))
		return 0;
	if (mtu < VIRTIO_NET_MTU_MIN)
		return refuse(v, VHOST_USER_NET_SET_MTU, -EINVAL, "an MTU below 68");
	return request_tell_u64(&u->requester, VHOST_USER_NET_SET_MTU, mtu);
}

static int user_get_config(struct vhost *v, void *buf, uint32_t offset, uint32_t len)
{
	struct vhost_user_config config = {.offset = offset, .size = len}, reply = {0};
	uint32_t size = VHOST_USER_CONFIG_HDR_SIZE + len;
	int ret;

	if (!v->has_config)
		return refuse(v, VHOST_USER_GET_CONFIG, -EOPNOTSUPP, "");
	if (len == 0 || len > sizeof(config.region) || offset > sizeof(config.region) - len)
		return refuse(v, VHOST_USER_GET_CONFIG, -EINVAL, "beyond the configuration space");
	ret = request_ask(to_requester(v), VHOST_USER_GET_CONFIG, &config, size, &reply, size);
	if (ret < 0)
		return ret;
	/* a refusal is empty; some peers leave the three numbers in */
	if (ret == 0 || (ret == VHOST_USER_CONFIG_HDR_SIZE && reply.size == 0))
		return refuse(v, VHOST_USER_GET_CONFIG, -EREMOTEIO, "the peer refused it");
	if ((uint32_t)ret != size || reply.offset != offset || reply.size != len)
		return refuse(v, VHOST_USER_GET_CONFIG, -EPROTO, "the answer is of another range");
	memcpy(buf, reply.region, len);
	return 0;
}

static int user_set_mem_table(struct vhost *v, const struct vhost_region *regions, unsigned int n)
{
	struct vhost_user_memory memory = {.nregions = n};
	int fds[VHOST_USER_MAX_MEM_REGIONS];
	unsigned int i;

	if (n == 0 || n > VHOST_USER_MAX_MEM_REGIONS)
		return refuse(v, VHOST_USER_SET_MEM_TABLE, -EINVAL, "not 1 to 8 regions");
	for (i = 0; i < n; i++) {
		memory.regions[i] = (struct vhost_user_memory_region){
			.guest_phys_addr = regions[i].guest_phys_addr,
			.memory_size = regions[i].memory_size,
			.userspace_addr = regions[i].userspace_addr,
			.mmap_offset = regions[i].mmap_offset,
		};
		fds[i] = regions[i].fd;
	}
	return request_tell_fds(to_requester(v), VHOST_USER_SET_MEM_TABLE, &memory,
				(uint32_t)(offsetof(struct vhost_user_memory, regions) +
					   n * sizeof(memory.regions[0])),
				fds, n);
}

/* KICK and CALL: a ring's index with its eventfd, or word that there is none. */
static int tell_vring_fd(struct vhost *v, uint32_t id, unsigned int index, int fd)
{
	uint64_t value = index;

	if (index > VHOST_USER_VRING_IDX_MASK)
		return refuse(v, id, -EINVAL, "a ring's index above 255");
	if (fd < 0)
		value |= VHOST_USER_VRING_NOFD_MASK;
	return request_tell_fds(to_requester(v), id, &value, sizeof(value), &fd, fd < 0 ? 0 : 1);
}

/*
 * The first word of a ring. Peers whose number of queues is one of rings hang up at the first
 * beyond it: so that this shows here, those that do not answer are asked something.
 */
static int user_set_vring_call(struct vhost *v, unsigned int index, int call_fd)
{
	struct requester *r = to_requester(v);
	uint64_t features;
	int ret = tell_vring_fd(v, VHOST_USER_SET_VRING_CALL, index, call_fd);

	if (ret == 0 && !r->reply_ack && v->max_pairs > 1 && index >= v->max_pairs)
		ret = request_ask_u64(r, VHOST_USER_GET_FEATURES, &features);
	return ret;
}

static int set_vring_addr(struct vhost *v, const struct vhost_ring *ring)
{
	const struct vhost_vring_addr addr = {
		.index = ring->index,
		.desc_user_addr = ring->desc,
		.used_user_addr = ring->used,
		.avail_user_addr = ring->avail,
	};

	return request_tell(to_requester(v), VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));
}

/* The addresses follow the size, which bounds them; the kick comes last: it starts the ring. */
static int user_set_vring(struct vhost *v, const struct vhost_ring *ring)
{
	struct requester *r = to_requester(v);
	int ret = request_tell_state(r, VHOST_USER_SET_VRING_NUM, ring->index, ring->num);

	if (ret == 0)
		ret = request_tell_state(r, VHOST_USER_SET_VRING_BASE, ring->index, ring->base);
	if (ret == 0)
		ret = set_vring_addr(v, ring);
	if (ret == 0)
		ret = tell_vring_fd(v, VHOST_USER_SET_VRING_KICK, ring->index, ring->kick_fd);
	return ret;
}

/* Without protocol features a ring is enabled from its start. */
static int user_set_vring_enable(struct vhost *v, unsigned int index, bool on)
{
	if (!to_user(v)->has_protocol_features)
		return 0;
	return request_tell_state(to_requester(v), VHOST_USER_SET_VRING_ENABLE, index, on);
}

static int user_get_vring_base(struct vhost *v, unsigned int index, uint16_t *base)
{
	struct vhost_vring_state state = {.index = index}, reply;
	int ret = request_ask(to_requester(v), VHOST_USER_GET_VRING_BASE, &state, sizeof(state),
			      &reply, sizeof(reply));

	if (ret < 0)
		return ret;
	if (reply.index != index)
		return refuse(v, VHOST_USER_GET_VRING_BASE, -EPROTO,
			      "the answer is of another ring");
	if (reply.num > UINT16_MAX)
		return refuse(v, VHOST_USER_GET_VRING_BASE, -EPROTO, "a base above 65535");
	*base = (uint16_t)reply.num;
	return 0;
}

static int user_hear(struct vhost *v, enum vhost_news *news)
{
	int n;

	*news = VHOST_NEWS_NONE;
	v->request = "connection";
	v->why = "";
	if (v->fd < 0)
		return -ENOTCONN;
	n = fdmsg_pending(v->fd);
	if (n == -ECONNRESET)
		v->why = "the peer hung up";
	if (n < 0)
		return n;
	if (n > 0) {
		v->why = "the peer sent what it was not asked for";
		return -EPROTO;
	}
	if (v->news != VHOST_NEWS_NONE) {
		*news = v->news;
		v->news = VHOST_NEWS_NONE;
		return 0;
	}
	return backend_channel_hear(v, has(to_user(v), VHOST_USER_PROTOCOL_F_REPLY_ACK), news);
}

static const struct vhost_ops user_ops = {
	.greet = user_greet,
	.open = user_open,
	.set_features = user_set_features,
	.set_status = user_set_status,
	.get_status = user_get_status,
	.set_mtu = user_set_mtu,
	.announce = user_announce,
	.get_config = user_get_config,
	.set_mem_table = user_set_mem_table,
	.set_vring_call = user_set_vring_call,
	.set_vring = user_set_vring,
	.set_vring_enable = user_set_vring_enable,
	.get_vring_base = user_get_vring_base,
	.hear = user_hear,
	.close = user_close,
};

struct vhost *vhost_user_new(const char *path, unsigned int timeout_ms, int cancel_fd)
{
	size_t size = strlen(path) + 1;
	struct user *u = calloc(1, sizeof(*u) + size);

	if (!u)
		return NULL;
	memcpy(u->path, path, size);
	u->vhost = (struct vhost){
		.ops = &user_ops,
		.waits = true,
		.cancel_fd = cancel_fd,
		.timeout_ms = timeout_ms,
		.accepted_fd = -1,
		.fd = -1,
		.backend_fd = -1,
		.request = "",
		.why = "",
	};
	user_close(&u->vhost);
	return &u->vhost;
}

void vhost_user_free(struct vhost *v)
{
	if (!v)
		return;
	user_close(v);
	close_fd(&v->accepted_fd);
	free(to_user(v));
}
