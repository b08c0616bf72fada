/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vhost/backend_channel.h"

#include "base/fdmsg.h"
#include "base/util.h"
#include "vhost/proto.h"

/*
 * A message comes in one piece from any sane peer. Whoever sends half of one holds up the
 * control thread no longer than this.
 */
#define REST_TIMEOUT_MS 100

static int fail(struct vhost *v, int err, const char *why)
{
	v->request = "back-end channel";
	v->why = why;
	return err;
}

/* What the message has to be; NULL or what is wrong with it. */
static const char *check(const struct vhost_user_header *hdr, bool reply_ack)
{
	if ((hdr->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return "a message of another protocol version";
	if (hdr->flags & VHOST_USER_REPLY_MASK)
		return "an answer to what was not asked";
	if (hdr->request != VHOST_USER_BACKEND_CONFIG_CHANGE_MSG)
		return "a message that was not agreed on";
	if (hdr->size != 0)
		return "a message of the wrong size";
	if (hdr->flags & VHOST_USER_NEED_REPLY_MASK && !reply_ack)
		return "NEED_REPLY without REPLY_ACK";
	return NULL;
}

static int reply(struct vhost *v, uint32_t request, const struct fdmsg_wait *wait)
{
	const struct vhost_user_header hdr = {
		.request = request,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK,
		.size = sizeof(uint64_t),
	};
	const uint64_t success = 0;
	const struct iovec iov[] = {
		{.iov_base = (void *)&hdr, .iov_len = sizeof(hdr)},
		{.iov_base = (void *)&success, .iov_len = sizeof(success)},
	};
	int r = fdmsg_send(v->backend_fd, iov, ARRAY_SIZE(iov), NULL, 0, wait);

	/* who asks and leaves has still told the news */
	if (r == -ECONNRESET) {
		close_fd(&v->backend_fd);
		return 0;
	}
	return r < 0 ? fail(v, r, "cannot answer") : 0;
}

int backend_channel_hear(struct vhost *v, bool reply_ack, enum vhost_news *news)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(REST_TIMEOUT_MS, v->cancel_fd);
	struct vhost_user_header hdr;
	const char *why;
	int r = v->backend_fd < 0 ? 0 : fdmsg_pending(v->backend_fd);

	if (r == 0)
		return 0;
	if (r > 0)
		r = fdmsg_receive(v->backend_fd, &hdr, sizeof(hdr), NULL, &wait);
	if (r == -ECONNRESET) {
		close_fd(&v->backend_fd);
		return 0;
	}
	if (r < 0)
		return fail(v, r == -EBADMSG ? -EPROTO : r,
			    r == -EBADMSG     ? "descriptors that were not agreed on"
			    : r == -ETIMEDOUT ? "half a message"
					      : "");
	why = check(&hdr, reply_ack);
	if (why)
		return fail(v, -EPROTO, why);
	if (hdr.flags & VHOST_USER_NEED_REPLY_MASK)
		r = reply(v, hdr.request, &wait);
	if (r >= 0)
		*news = VHOST_NEWS_CONFIG;
	return r;
}
