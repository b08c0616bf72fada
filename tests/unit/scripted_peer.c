/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "scripted_peer.h"
#include "vhost/user.h"

#define LONG_MS 5000

static struct fdmsg_wait for_long(void)
{
	return fdmsg_wait_ms(LONG_MS, -1);
}

static bool negotiated(const struct peer *p, int needs)
{
	if (needs == PROTO_NEEDS_PROTOCOL_FEATURES)
		return p->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	return needs == PROTO_NEEDS_NOTHING || (needs >= 0 && (p->acked & BIT(needs)));
}

static const char *check_message(const struct peer *p, const struct message *m)
{
	const struct vhost_user_msg_desc *d = proto_request(m->hdr.request);
	uint32_t flags = VHOST_USER_VERSION;

	if (!d)
		return "unknown";
	if (!negotiated(p, d->needs))
		return "not negotiated";
	if ((p->acked & PF(REPLY_ACK)) && !d->reply)
		flags |= VHOST_USER_NEED_REPLY_MASK;
	if (m->hdr.flags != flags)
		return "flags";
	if (m->hdr.size < d->size_min || m->hdr.size > d->size_max)
		return "size";
	if (m->nfds < d->fds_min || m->nfds > d->fds_max)
		return "descriptors";
	return NULL;
}

static int read_message(struct peer *p, int fd, struct message *m)
{
	struct fdmsg_wait wait = for_long();
	struct fdmsg_fds fds;
	int r = fdmsg_receive(fd, &m->hdr, sizeof(m->hdr), &fds, &wait);

	if (r < 0)
		return r;
	m->nfds = fds.n;
	if (m->hdr.request == VHOST_USER_SET_BACKEND_REQ_FD && fds.n == 1 && p->channel < 0) {
		p->channel = fds.fd[0];
		fds.n = 0;
	}
	fdmsg_close_fds(&fds);
	if (m->hdr.size > sizeof(m->payload))
		return -EMSGSIZE;
	return fdmsg_receive(fd, &m->payload, m->hdr.size, NULL, &wait);
}

static void fill_config(const struct peer *p, struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->payload.config.size; i++)
		m->payload.config.region[i] = (uint8_t)(m->payload.config.offset + i);
	m->payload.config.offset += p->config_shift;
	if (p->refuse_config)
		m->hdr.size = p->refuse_with_head ? VHOST_USER_CONFIG_HDR_SIZE : 0;
	if (p->refuse_config)
		m->payload.config.size = 0;
}

/* Turns request @m into its answer; false when it gets none. */
static bool answer(struct peer *p, struct message *m)
{
	if (!proto_request(m->hdr.request)->reply && !(m->hdr.flags & VHOST_USER_NEED_REPLY_MASK))
		return false;
	m->hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK;
	if (m->hdr.request == VHOST_USER_GET_CONFIG) {
		fill_config(p, m);
		return true;
	}
	m->hdr.size = sizeof(uint64_t);
	if (m->hdr.request == VHOST_USER_GET_VRING_BASE)
		m->payload.state.num = p->base;
	else if (m->hdr.request == VHOST_USER_GET_FEATURES)
		m->payload.u64 = p->features;
	else if (m->hdr.request == VHOST_USER_GET_PROTOCOL_FEATURES)
		m->payload.u64 = p->protocol_features;
	else if (m->hdr.request == VHOST_USER_GET_STATUS)
		m->payload.u64 = p->status;
	else if (m->hdr.request == VHOST_USER_GET_QUEUE_NUM)
		m->payload.u64 = p->queue_num;
	else
		m->payload.u64 = 0;
	return true;
}

static void spoil(struct message *m, enum fault fault)
{
	if (fault == OVERSIZE)
		m->hdr.size += 8;
	else if (fault == UNDERSIZE)
		m->hdr.size -= 4;
	else if (fault == WRONG_ID)
		m->hdr.request++;
	else if (fault == NO_REPLY_FLAG)
		m->hdr.flags &= ~VHOST_USER_REPLY_MASK;
	else if (fault == WRONG_VERSION)
		m->hdr.flags ^= VHOST_USER_VERSION_MASK;
	else if (fault == NACK)
		m->payload.u64 = 1;
}

static void send_bytes(int fd, struct message *m, size_t len, int with_fd)
{
	unsigned char buf[sizeof(m->hdr) + sizeof(m->payload)];
	struct iovec iov = {buf, len};
	struct fdmsg_wait wait = for_long();

	memcpy(buf, &m->hdr, sizeof(m->hdr));
	memcpy(buf + sizeof(m->hdr), &m->payload, sizeof(m->payload));
	/* the front-end may have hung up by now, which is its right */
	fdmsg_send(fd, &iov, 1, &with_fd, with_fd >= 0, &wait);
}

/* Whether the front-end answered. */
static bool ask_first(int channel)
{
	struct vhost_user_header hdr = {
		.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		.flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK,
	};
	const struct iovec iov = {&hdr, sizeof(hdr)};
	struct fdmsg_wait wait = for_long();
	uint64_t result = 1;

	return !fdmsg_send(channel, &iov, 1, NULL, 0, &wait) &&
	       !fdmsg_receive(channel, &hdr, sizeof(hdr), NULL, &wait) &&
	       !fdmsg_receive(channel, &result, sizeof(result), NULL, &wait) && result == 0;
}

static bool goes_on(enum fault fault)
{
	return fault != CLOSE && fault != TRUNCATE && fault != TRUNCATE_HEAD;
}

static void send_answer(int fd, struct message *m, enum fault fault)
{
	size_t len = sizeof(m->hdr) + m->hdr.size;

	if (fault == TRUNCATE || fault == STALL)
		len -= 3;
	if (fault == TRUNCATE_HEAD)
		len = 5;
	spoil(m, fault);
	if (fault == OVERSIZE)
		len += 8;
	send_bytes(fd, m, len, fault == WITH_FD ? fd : -1);
	if (fault == DOUBLE)
		send_bytes(fd, m, len, -1);
}

/* One message; false at the end of the conversation. */
static bool serve_one(struct peer *p, int fd, bool *silent)
{
	enum fault fault;
	struct message m;

	if (read_message(p, fd, &m) < 0 || p->n == MESSAGE_MAX)
		return false;
	fault = p->n == p->fault_at ? p->fault : NONE;
	p->got[p->n] = m;
	if (!p->complaint)
		p->complaint = check_message(p, &m);
	__atomic_store_n(&p->n, p->n + 1, __ATOMIC_RELEASE);
	if (m.hdr.request == VHOST_USER_SET_PROTOCOL_FEATURES)
		p->acked = m.payload.u64;
	*silent |= fault == HANG || fault == CANCEL;
	if (fault == CANCEL)
		eventfd_write(p->v->cancel_fd, 1);
	if (fault == CLOSE || *silent || p->complaint)
		return fault != CLOSE && !p->complaint;
	if (fault == ASK_FIRST && !ask_first(p->channel))
		return false;
	usleep(p->slow_ms * 1000);
	if (answer(p, &m))
		send_answer(fd, &m, fault);
	*silent |= fault == STALL;
	return goes_on(fault);
}

static void *serve(void *arg)
{
	struct fdmsg_wait wait = for_long();
	struct peer *p = arg;
	int fd = fdmsg_accept(p->listener, &wait);
	bool silent = false;

	while (fd >= 0 && serve_one(p, fd, &silent))
		;
	close_fd(&fd);
	return NULL;
}

void scripted_peer_start(struct peer *p)
{
	p->n = 0;
	p->complaint = NULL;
	p->acked = 0;
	close_fd(&p->channel);
	p->listener = fdmsg_listen(p->path, SOCK_STREAM, 1);
	assert_true(p->listener >= 0);
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

void scripted_peer_stop(struct peer *p)
{
	p->v->ops->close(p->v);
	assert_int_equal(p->v->fd, -1);
	assert_int_equal(pthread_join(p->thread, NULL), 0);
	close_fd(&p->listener);
	if (p->complaint)
		fail_msg("%s: %s", proto_request(p->got[p->n - 1].hdr.request)->name, p->complaint);
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int scripted_peer_setup(void **state)
{
	static int number;
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->open_fds = count_fds();
	snprintf(p->path, sizeof(p->path), "@scripted_peer.%d.%d", getpid(), number++);
	p->features = BIT(VHOST_USER_F_PROTOCOL_FEATURES) | SCRIPTED_PEER_FEATURES;
	p->protocol_features = UINT32_MAX;
	p->queue_num = 1;
	p->base = 77;
	p->fault_at = -1;
	p->channel = -1;
	p->v = vhost_user_new(p->path, LONG_MS, -1);
	assert_non_null(p->v);
	*state = p;
	return 0;
}

int scripted_peer_teardown(void **state)
{
	struct peer *p = *state;

	vhost_user_free(p->v);
	close_fd(&p->channel);
	assert_int_equal(count_fds(), p->open_fds);
	free(p);
	return 0;
}

int scripted_peer_hear(struct vhost *v)
{
	enum vhost_news news;
	int r = v->ops->hear(v, &news);

	assert_int_equal(news, VHOST_NEWS_NONE);
	return r;
}

/* ---- the front-end's whole conversation ---- */

static int set_up_rings(struct vhost *v)
{
	struct vhost_ring ring = {.num = 256, .desc = 0x1000, .avail = 0x2000, .used = 0x3000};
	int r = 0;

	ring.kick_fd = STDERR_FILENO;
	for (ring.index = 0; r == 0 && ring.index < 2; ring.index++)
		r = v->ops->set_vring(v, &ring);
	for (ring.index = 0; r == 0 && ring.index < 2; ring.index++)
		r = v->ops->set_vring_enable(v, ring.index, true);
	return r;
}

static int stop_rings(struct vhost *v)
{
	uint16_t base[2] = {0};
	int r = v->ops->get_vring_base(v, 0, &base[0]);

	if (r == 0)
		r = v->ops->get_vring_base(v, 1, &base[1]);
	if (r == 0 && (base[0] != 77 || base[1] != 77))
		r = -EILSEQ;
	return r;
}

/* What may be said once the device runs. */
static int say_more(struct vhost *v)
{
	static const uint8_t mac[6] = { 2, 3, 4, 5, 6, 7 };
	uint8_t status;
	int r = v->ops->get_status(v, &status);

	if (r == 0 || r == -EOPNOTSUPP)
		r = v->ops->announce(v, mac);
	return r == -EOPNOTSUPP ? 0 : r;
}

int scripted_peer_converse(struct vhost *v)
{
	const struct vhost_region regions[2] = {
		{0x10000, 0x4000, 0x7f0000000000, 0, STDERR_FILENO},
		{0x20000, 0x8000, 0x7f0000100000, 0x4000, STDERR_FILENO},
	};
	uint8_t config[10] = {0};
	int r = v->ops->open(v);

	if (r == 0 && v->has_config)
		r = v->ops->get_config(v, config, 2, sizeof(config));
	if (r == 0 && v->has_config && (config[0] != 2 || config[9] != 11))
		r = -EILSEQ;
	if (r == 0)
		r = v->ops->set_vring_call(v, 0, STDERR_FILENO);
	if (r == 0)
		r = v->ops->set_vring_call(v, 1, -1);
	if (r == 0)
		r = v->ops->set_features(v, SCRIPTED_PEER_FEATURES & v->features);
	if (r == 0)
		r = v->ops->set_mtu(v, 1500);
	if (r == 0)
		r = v->ops->set_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (r == 0)
		r = v->ops->set_mem_table(v, regions, ARRAY_SIZE(regions));
	if (r == 0)
		r = set_up_rings(v);
	if (r == 0)
		r = v->ops->set_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
	if (r == 0)
		r = say_more(v);
	return r ? r : stop_rings(v);
}
