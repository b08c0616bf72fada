/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The input plays the back-end of a vhost-user connection, and says what is asked of it.
 * There is no second thread: the peer moves within the front-end's sendmsg, which the
 * linker wraps (--wrap=sendmsg), so an answer is there as soon as its request is sent, and
 * the front-end never waits for one that is not.
 */
#include <vubridge/vhost.h>

#include <sys/socket.h>
#include <unistd.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "fuzz.h"
#include "vhost/proto.h"
#include "vhost/user.h"

#define BIT(n) (UINT64_C(1) << (n))

struct message {
	struct vhost_user_header hdr;
	uint8_t payload[sizeof(union vhost_user_payload) + 64]; /* room for too much */
};

struct fuzz {
	struct input in;
	struct vhost *v;
	int listen_fd, peer_fd;
	int channel_fd; /* on which the peer speaks first, or -1 */
	bool gone;	/* the peer hung up */
	uint64_t acked; /* protocol features, as the peer heard it */
};

/* sendmsg has no argument to pass it in. */
static struct fuzz *current;

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);

/* ---- the peer ---- */

/* Whatever came before, only well-formed messages that were negotiated may be sent. */
static const struct vhost_user_msg_desc *check_request(const struct fuzz *z,
						       const struct message *m,
						       const struct fdmsg_fds *fds)
{
	const struct vhost_user_msg_desc *desc = proto_request(m->hdr.request);

	MUST(desc);
	MUST((m->hdr.flags & ~VHOST_USER_NEED_REPLY_MASK) == VHOST_USER_VERSION);
	MUST(m->hdr.size >= desc->size_min && m->hdr.size <= desc->size_max);
	MUST(fds->n >= desc->fds_min && fds->n <= desc->fds_max);
	if (desc->needs >= 0)
		MUST(z->acked & BIT(desc->needs));
	if (m->hdr.flags & VHOST_USER_NEED_REPLY_MASK)
		MUST(!desc->reply && z->acked & BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK));
	return desc;
}

/* The request that was sent; false when it has no answer. */
static bool read_request(struct fuzz *z, struct message *m)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(0, -1);
	const struct vhost_user_msg_desc *desc;
	struct fdmsg_fds fds;

	MUST(fdmsg_receive(z->peer_fd, &m->hdr, sizeof(m->hdr), &fds, &wait) == 0);
	MUST(m->hdr.size <= sizeof(m->payload));
	MUST(fdmsg_receive(z->peer_fd, m->payload, m->hdr.size, NULL, &wait) == 0);
	desc = check_request(z, m, &fds);
	if (m->hdr.request == VHOST_USER_SET_BACKEND_REQ_FD) {
		close_fd(&z->channel_fd);
		z->channel_fd = fds.fd[0];
		fds.n = 0;
	}
	fdmsg_close_fds(&fds);
	if (m->hdr.request == VHOST_USER_SET_PROTOCOL_FEATURES)
		memcpy(&z->acked, m->payload, sizeof(z->acked));
	return desc->reply || m->hdr.flags & VHOST_USER_NEED_REPLY_MASK;
}

/* Makes of a request the answer that its header has to be followed by, with any content. */
static void make_answer(struct fuzz *z, struct message *m)
{
	m->hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK;
	switch (m->hdr.request) {
	case VHOST_USER_GET_CONFIG:
		if (input8(&z->in) & 1)
			return;
		input_bytes(&z->in, m->payload, VHOST_USER_CONFIG_HDR_SIZE);
		break;
	case VHOST_USER_GET_VRING_BASE:
		input_bytes(&z->in, m->payload + 4, 4); /* of the ring that was asked for */
		break;
	default:
		m->hdr.size = sizeof(uint64_t);
		input_bytes(&z->in, m->payload, sizeof(uint64_t));
		break;
	}
}

static void send_bytes(struct fuzz *z, const struct message *m, size_t len, bool with_fd)
{
	struct iovec iov = { .iov_base = (void *)m, .iov_len = MIN(len, sizeof(*m)) };
	const struct fdmsg_wait wait = fdmsg_wait_ms(0, -1);

	fdmsg_send(z->peer_fd, &iov, 1, &z->listen_fd, with_fd, &wait);
}

static void hang_up(struct fuzz *z)
{
	close_fd(&z->peer_fd);
	z->gone = true;
}

/* What may go wrong with @m, the answer that is due. */
static void misbehave(struct fuzz *z, struct message *m, uint8_t how)
{
	size_t len = sizeof(m->hdr) + m->hdr.size;

	switch (how) {
	case 1: /* another header */
		m->hdr.request ^= input8(&z->in);
		m->hdr.flags ^= input8(&z->in);
		m->hdr.size ^= input16(&z->in);
		send_bytes(z, m, sizeof(m->hdr) + m->hdr.size, false);
		break;
	case 2: /* too little or too much */
		send_bytes(z, m, input16(&z->in), false);
		break;
	case 3:
		send_bytes(z, m, input16(&z->in) % len, false);
		hang_up(z);
		break;
	case 4:
		send_bytes(z, m, len, true);
		break;
	case 5: /* anything */
		len = input8(&z->in);
		input_bytes(&z->in, m, len);
		send_bytes(z, m, len, false);
		break;
	default: /* nothing */
		break;
	}
}

static void peer_move(struct fuzz *z)
{
	struct message m = { 0 };
	const struct fdmsg_wait wait = fdmsg_wait_ms(0, -1);
	bool due;
	uint8_t how;

	if (z->peer_fd < 0)
		z->peer_fd = fdmsg_accept(z->listen_fd, &wait);
	MUST(z->peer_fd >= 0);
	due = read_request(z, &m);
	how = input8(&z->in) % 32;
	if (due)
		make_answer(z, &m);
	if (how > 0 && how < 8)
		misbehave(z, &m, how);
	else if (due)
		send_bytes(z, &m, sizeof(m.hdr) + m.hdr.size, false);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct fuzz *z = current;
	ssize_t n = __real_sendmsg(fd, msg, flags);

	if (n > 0 && fd == z->v->fd && !z->gone)
		peer_move(z);
	return n;
}

/* ---- the front-end's user ---- */

static int get_config(struct fuzz *z)
{
	uint32_t offset = input16(&z->in), len = input16(&z->in) % 512;
	uint8_t *buf = malloc(len ? len : 1); /* of just that size, for AddressSanitizer */
	int ret;

	MUST(buf);
	ret = z->v->ops->get_config(z->v, buf, offset, len);
	if (ret == 0)
		MUST(offset + len <= VHOST_USER_MAX_CONFIG_SIZE);
	free(buf);
	return ret;
}

static int get_vring_base(struct fuzz *z)
{
	uint16_t base = 0xa5a5;
	int ret = z->v->ops->get_vring_base(z->v, input8(&z->in), &base);

	if (ret < 0)
		MUST(base == 0xa5a5);
	return ret;
}

static int set_mem_table(struct fuzz *z)
{
	struct vhost_region regions[VHOST_USER_MAX_MEM_REGIONS + 1];
	unsigned int n = input8(&z->in) % 10, i;

	for (i = 0; i < n; i++)
		regions[i] = (struct vhost_region){ .memory_size = 4096, .fd = z->listen_fd };
	return z->v->ops->set_mem_table(z->v, regions, n);
}

static int set_vring(struct fuzz *z)
{
	struct vhost_ring ring = { .index = input8(&z->in), .num = 256 };

	ring.kick_fd = ring.index & 1 ? z->listen_fd : -1;
	return z->v->ops->set_vring(z->v, &ring);
}

static int get_status(struct fuzz *z)
{
	uint8_t status;

	return z->v->ops->get_status(z->v, &status);
}

static int hear(struct fuzz *z)
{
	enum vhost_news news;
	int ret = z->v->ops->hear(z->v, &news);

	MUST(ret == 0 || news == VHOST_NEWS_NONE);
	return ret;
}

/* The peer speaks first: a header of any content, whole, since half of one is waited for. */
static int hear_channel(struct fuzz *z)
{
	struct vhost_user_header hdr = {
		.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		.flags = VHOST_USER_VERSION,
	};
	const struct iovec iov = {.iov_base = &hdr, .iov_len = sizeof(hdr)};
	const struct fdmsg_wait wait = fdmsg_wait_ms(0, -1);
	uint8_t how = input8(&z->in);

	if (how & 1)
		input_bytes(&z->in, &hdr, sizeof(hdr));
	if (how & 2)
		hdr.flags |= VHOST_USER_NEED_REPLY_MASK;
	if (z->channel_fd >= 0)
		fdmsg_send(z->channel_fd, &iov, 1, &z->listen_fd, (how & 4) != 0, &wait);
	if (how & 8)
		close_fd(&z->channel_fd);
	return hear(z);
}

static int our_move(struct fuzz *z, uint8_t op)
{
	static const uint8_t mac[6] = {2};

	const struct vhost_ops *ops = z->v->ops;
	unsigned int index;

	switch (op) {
	case 0:
		return get_config(z);
	case 1:
		return get_vring_base(z);
	case 2:
		return set_mem_table(z);
	case 3:
		return set_vring(z);
	case 4:
		return ops->set_features(z->v, z->v->features & ~(uint64_t)input32(&z->in));
	case 5:
		return ops->set_status(z->v, input8(&z->in));
	case 6:
		return ops->set_mtu(z->v, input16(&z->in));
	case 7:
		return ops->set_vring_call(z->v, input16(&z->in) % 260, z->listen_fd);
	case 8:
		index = input8(&z->in);
		return ops->set_vring_enable(z->v, index, index & 1);
	case 9:
		return hear(z);
	case 10:
		return get_status(z);
	case 11:
		return ops->announce(z->v, mac);
	default:
		return hear_channel(z);
	}
}

static void check_open(const struct vhost *v, int ret)
{
	if (ret < 0) {
		MUST(v->fd == -1 && v->features == 0 && v->max_pairs == 0);
		MUST(!v->has_status && !v->has_config);
		return;
	}
	MUST(v->fd >= 0);
	MUST(v->max_pairs >= 1 && v->max_pairs <= VHOST_USER_MAX_PAIRS);
	MUST(!(v->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)));
}

static void converse(struct fuzz *z)
{
	int ret = z->v->ops->open(z->v);

	MUST(ret <= 0);
	check_open(z->v, ret);
	/* after an error, too: what fails is only to be closed, but it must not break */
	while (z->in.left) {
		ret = our_move(z, input8(&z->in) % 13);
		MUST(ret <= 0);
		MUST(z->v->request && z->v->why);
	}
}

/* The lowest free descriptor: it rises when one is lost. */
static int free_fd(void)
{
	int fd = dup(STDERR_FILENO), number = fd;

	close_fd(&fd);
	return number;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz z = { .in = { data, size }, .peer_fd = -1, .channel_fd = -1 };
	int before = free_fd();
	char path[64];

	snprintf(path, sizeof(path), "@fuzz_vhost_user.%d", getpid());
	z.listen_fd = fdmsg_listen(path, SOCK_STREAM, 1);
	z.v = vhost_user_new(path, 0, -1);
	MUST(z.listen_fd >= 0 && z.v);
	current = &z;
	converse(&z);
	vhost_user_free(z.v);
	close_fd(&z.peer_fd);
	close_fd(&z.channel_fd);
	close_fd(&z.listen_fd);
	current = NULL;
	MUST(free_fd() == before);
	return 0;
}
