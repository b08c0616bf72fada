/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vhost/request.h"

#include "base/fdmsg.h"
#include "base/util.h"
#include "vhost/backend_channel.h"

int request_fail(struct requester *r, uint32_t id, int err, const char *why)
{
	const struct vhost_user_msg_desc *desc = proto_request(id);

	r->vhost->request = desc ? desc->name : "unknown request";
	r->vhost->why = why;
	return err;
}

/* A failure after which this connection is of no use. */
static int broken(struct requester *r, uint32_t id, int err, const char *why)
{
	r->broken = err;
	return request_fail(r, id, err, why);
}

static struct fdmsg_wait wait_for_answer(const struct requester *r)
{
	const struct vhost *v = r->vhost;
	struct fdmsg_wait wait = fdmsg_wait_ms(v->timeout_ms, v->cancel_fd);

	if (v->deadline_ns)
		wait.deadline_ns = MIN(wait.deadline_ns, v->deadline_ns);
	return wait;
}

/* Did the last of many answers come too late, rather than this one? */
static bool deadline_is_over(const struct requester *r)
{
	return r->vhost->deadline_ns && now_ns() >= r->vhost->deadline_ns;
}

static int send_failed(struct requester *r, uint32_t id, int err)
{
	switch (err) {
	case -ECONNRESET:
		return broken(r, id, err, "the peer hung up");
	case -ETIMEDOUT:
		return broken(r, id, err, "the peer does not read");
	default:
		return broken(r, id, err, "");
	}
}

static int receive_failed(struct requester *r, uint32_t id, int err)
{
	switch (err) {
	case -ECONNRESET:
		return broken(r, id, err, "the peer hung up instead of answering");
	case -EPROTO:
		return broken(r, id, err, "the peer hung up within its answer");
	case -EBADMSG:
		return broken(r, id, -EPROTO, "descriptors came with the answer");
	case -ETIMEDOUT:
		return broken(r, id, err,
			      deadline_is_over(r) ? "the answers take too long in all"
						  : "no answer in time");
	case -ECANCELED:
		return broken(r, id, err, "given up while waiting for the answer");
	default:
		return broken(r, id, err, "");
	}
}

/* Answers match requests by order alone, so nothing may stand before the next one. */
static int check_idle(struct requester *r, uint32_t id)
{
	int n;

	if (r->broken)
		return request_fail(r, id, r->broken, "an earlier request failed");
	if (r->vhost->fd < 0)
		return request_fail(r, id, -ENOTCONN, "");
	n = fdmsg_pending(r->vhost->fd);
	if (n < 0)
		return send_failed(r, id, n);
	if (n > 0)
		return broken(r, id, -EPROTO, "the peer sent what it was not asked for");
	return 0;
}

static int send_request(struct requester *r, const struct vhost_user_header *hdr,
			const void *payload, const int *fds, unsigned int nfds,
			const struct fdmsg_wait *wait)
{
	const struct iovec iov[] = {
		{.iov_base = (void *)hdr, .iov_len = sizeof(*hdr)},
		{.iov_base = (void *)payload, .iov_len = hdr->size},
	};
	int ret = check_idle(r, hdr->request);

	if (ret < 0)
		return ret;
	r->vhost->request = proto_request(hdr->request)->name;
	r->vhost->why = "";
	ret = fdmsg_send(r->vhost->fd, iov, hdr->size ? 2 : 1, fds, nfds, wait);
	return ret < 0 ? send_failed(r, hdr->request, ret) : 0;
}

static int check_reply(struct requester *r, uint32_t id, const struct vhost_user_header *hdr,
		       uint32_t min, uint32_t max)
{
	if ((hdr->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return broken(r, id, -EPROTO, "the answer has another protocol version");
	if (!(hdr->flags & VHOST_USER_REPLY_MASK))
		return broken(r, id, -EPROTO, "the answer is not marked as one");
	if (hdr->request != id)
		return broken(r, id, -EPROTO, "the answer is to another request");
	if (hdr->size < min || hdr->size > max)
		return broken(r, id, -EPROTO, "the answer has the wrong size");
	return 0;
}

/*
 * Until the answer begins to come, what the peer says first is heard and answered: it may have
 * but one thread, which waits for that before it goes on with our request.
 */
static int await_answer(struct requester *r, uint32_t id, const struct fdmsg_wait *wait)
{
	struct vhost *v = r->vhost;

	while (v->backend_fd >= 0 && fdmsg_pending(v->fd) == 0) {
		enum vhost_news news = VHOST_NEWS_NONE;
		int ret = fdmsg_await(v->fd, v->backend_fd, wait);

		if (ret < 0)
			return receive_failed(r, id, ret);
		ret = backend_channel_hear(v, r->reply_ack, &news);
		if (ret < 0) {
			r->broken = ret;
			return ret;
		}
		if (news != VHOST_NEWS_NONE)
			v->news = news;
	}
	return 0;
}

/* Receives the answer to @id into @reply; returns its size, from @min to @max bytes. */
static int receive_reply(struct requester *r, uint32_t id, void *reply, uint32_t min, uint32_t max,
			 const struct fdmsg_wait *wait)
{
	struct vhost_user_header hdr;
	int ret = await_answer(r, id, wait);

	if (ret < 0)
		return ret;
	ret = fdmsg_receive(r->vhost->fd, &hdr, sizeof(hdr), NULL, wait);
	if (ret < 0)
		return receive_failed(r, id, ret);
	ret = check_reply(r, id, &hdr, min, max);
	if (ret < 0)
		return ret;
	ret = fdmsg_receive(r->vhost->fd, reply, hdr.size, NULL, wait);
	/* its header has been here */
	if (ret < 0)
		return receive_failed(r, id, ret == -ECONNRESET ? -EPROTO : ret);
	return (int)hdr.size;
}

int request_tell_fds(struct requester *r, uint32_t id, const void *payload, uint32_t size,
		     const int *fds, unsigned int nfds)
{
	const struct fdmsg_wait wait = wait_for_answer(r);
	const struct vhost_user_header hdr = {
		.request = id,
		.flags = VHOST_USER_VERSION | (r->reply_ack ? VHOST_USER_NEED_REPLY_MASK : 0),
		.size = size,
	};
	uint64_t refusal = 0;
	int ret = send_request(r, &hdr, payload, fds, nfds, &wait);

	if (ret < 0 || !r->reply_ack)
		return ret;
	ret = receive_reply(r, id, &refusal, sizeof(refusal), sizeof(refusal), &wait);
	if (ret < 0)
		return ret;
	return refusal ? request_fail(r, id, -EREMOTEIO, "the peer refused it") : 0;
}

int request_tell(struct requester *r, uint32_t id, const void *payload, uint32_t size)
{
	return request_tell_fds(r, id, payload, size, NULL, 0);
}

int request_tell_u64(struct requester *r, uint32_t id, uint64_t value)
{
	return request_tell(r, id, &value, sizeof(value));
}

int request_tell_state(struct requester *r, uint32_t id, uint32_t index, uint32_t num)
{
	const struct vhost_vring_state state = {.index = index, .num = num};

	return request_tell(r, id, &state, sizeof(state));
}

int request_ask(struct requester *r, uint32_t id, const void *payload, uint32_t size, void *reply,
		uint32_t reply_size)
{
	const struct fdmsg_wait wait = wait_for_answer(r);
	const struct vhost_user_msg_desc *desc = proto_request(id);
	const struct vhost_user_header hdr = {
		.request = id,
		.flags = VHOST_USER_VERSION,
		.size = size,
	};
	int ret = send_request(r, &hdr, payload, NULL, 0, &wait);

	if (ret < 0)
		return ret;
	return receive_reply(r, id, reply, desc->reply_min, MIN(desc->reply_max, reply_size),
			     &wait);
}

int request_ask_u64(struct requester *r, uint32_t id, uint64_t *value)
{
	int ret = request_ask(r, id, NULL, 0, value, sizeof(*value));

	return ret < 0 ? ret : 0;
}

int request_answer_u64(struct requester *r, uint32_t id, uint64_t *value)
{
	const struct fdmsg_wait wait = wait_for_answer(r);
	int ret;

	r->vhost->request = proto_request(id)->name;
	r->vhost->why = "";
	ret = receive_reply(r, id, value, sizeof(*value), sizeof(*value), &wait);
	return ret < 0 ? ret : 0;
}
