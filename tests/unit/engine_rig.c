/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/io.h"
#include "engine_rig.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "virtio/vq_driver.h"

/* ---- frames ---- */

uint32_t rig_frame_len(uint32_t number)
{
	return 14 + number * 37 % 1500;
}

static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 5 + at * 7 + (at >> 8));
}

void rig_frame_fill(uint8_t *p, uint32_t number)
{
	uint32_t len = rig_frame_len(number);
	uint32_t i;

	memcpy(p, &number, sizeof(number));
	for (i = sizeof(number); i < len; i++)
		p[i] = byte_of(number, i);
}

int64_t rig_frame_number(const uint8_t *p, size_t len)
{
	uint32_t i, number;

	if (len < sizeof(number))
		return -1;
	memcpy(&number, p, sizeof(number));
	if (len != rig_frame_len(number))
		return -1;
	for (i = sizeof(number); i < len; i++)
		if (p[i] != byte_of(number, i))
			return -1;
	return number;
}

/* ---- kernel port ---- */

static int port_send(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n)
{
	struct fake_kport *p = container_of(kp, struct fake_kport, kport);
	unsigned int i;

	for (i = 0; i < n; i++) {
		int error = p->scripted ? *p->script : 0;

		if (p->scripted) {
			if (error && i)
				return (int)i; /* the next call begins with it */
			p->script++;
			p->scripted--;
		}
		if (!error && writev(kp->fds[pair], frames[i].iov, frames[i].iovcnt) < 0)
			error = errno;
		if (error)
			return i ? (int)i : -error;
	}
	return (int)i;
}

static int port_receive(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n)
{
	struct fake_kport *p = container_of(kp, struct fake_kport, kport);
	int error = __atomic_load_n(&p->receive_error, __ATOMIC_RELAXED);
	unsigned int i;

	for (i = 0; i < n; i++) {
		ssize_t len = readv(kp->fds[pair], frames[i].iov, frames[i].iovcnt);

		if (len <= kp->hdr_len)
			return i || !error ? (int)i : -error;
		frames[i].len = (uint32_t)len - kp->hdr_len;
		frames[i].hdr.num_buffers = 0;
	}
	return (int)i;
}

static int port_set_pairs(struct kport *kp, unsigned int n)
{
	(void)kp;
	return n == 1 ? 0 : -EINVAL;
}

static const struct kport_ops port_ops = {
	.send = port_send,
	.receive = port_receive,
	.set_pairs = port_set_pairs,
};

void fake_kport_open(struct fake_kport *p)
{
	int size = 1 << 20; /* or what the kernel allows */
	int i, fds[2];

	memset(p, 0, sizeof(*p));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	for (i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->fd = fds[0];
	p->outside = fds[1];
	p->kport.ops = &port_ops;
	p->kport.hdr_len = sizeof(struct virtio_net_hdr_v1);
	p->kport.vectored = true;
	p->kport.pairs = 1;
	p->kport.fds = &p->fd;
}

void fake_kport_close(struct fake_kport *p)
{
	if (!p->kport.ops)
		return;
	close_fd(&p->fd);
	close_fd(&p->outside);
}

bool fake_kport_put(struct fake_kport *p, uint32_t number, bool with_hdr)
{
	struct virtio_net_hdr_v1 hdr = { .num_buffers = 0x7777 };
	uint8_t buf[sizeof(hdr) + 2048];
	ssize_t len = (ssize_t)(sizeof(hdr) + rig_frame_len(number));

	if (with_hdr)
		hdr.gso_size = (uint16_t)number;
	memcpy(buf, &hdr, sizeof(hdr));
	rig_frame_fill(buf + sizeof(hdr), number);
	return send(p->outside, buf, (size_t)len, MSG_NOSIGNAL) == len;
}

int64_t fake_kport_get(struct fake_kport *p, int timeout_ms, struct virtio_net_hdr_v1 *hdr)
{
	struct pollfd pfd = { .fd = p->outside, .events = POLLIN };
	uint8_t buf[sizeof(*hdr) + 2048];
	int64_t number;
	ssize_t len;

	/* looked at first, so that what may wait for long is waited for only if it must */
	len = recv(p->outside, buf, sizeof(buf), 0);
	if (len < 0 && timeout_ms && poll(&pfd, 1, timeout_ms) == 1)
		len = recv(p->outside, buf, sizeof(buf), 0);
	if (len < 0)
		return -1;
	if (len < (ssize_t)sizeof(*hdr))
		return -2;
	if (hdr)
		memcpy(hdr, buf, sizeof(*hdr));
	number = rig_frame_number(buf + sizeof(*hdr), (size_t)len - sizeof(*hdr));
	return number < 0 ? -2 : number;
}

/* ---- a ring that is none ---- */

static struct fake_vq *fake(struct vq *vq)
{
	return container_of(vq, struct fake_vq, vq);
}

static void violated(struct fake_vq *q, const char *what)
{
	if (!q->violation)
		q->violation = what;
}

/* All but the last piece have one byte. */
static void point_at(struct frame *f, uint8_t *data, unsigned int pieces)
{
	unsigned int n = MIN(pieces, f->len);
	unsigned int i;

	for (i = 1; i < n; i++)
		f->iov[i] = (struct iovec){ data++, 1 };
	f->iov[n] = (struct iovec){ data, f->len - (n - 1) };
	f->iovcnt = (uint16_t)(n + 1);
}

static int fake_take(struct vq *vq, uint32_t min_bytes, struct frame *f)
{
	struct fake_vq *q = fake(vq);
	struct fake_token *t = &q->tokens[q->next];

	if (q->next == q->breaks_at)
		vq->broken = -EPROTO;
	if (vq->broken)
		return vq->broken;
	if (q->next == q->ready)
		return 0;
	if (vq->direction == VQ_SPACE)
		memset(t->data, 0xee, min_bytes);
	else
		f->hdr = t->hdr;
	f->len = vq->direction == VQ_SPACE ? min_bytes : t->len;
	f->span = (struct span){ .first = (uint16_t)q->next, .count = 1 };
	point_at(f, t->data, q->pieces);
	t->taken = true;
	q->next++;
	return 1;
}

/* Those in one piece, of which every third is not plain to it. */
static unsigned int fake_take_plain(struct vq *vq, struct frame *frames, unsigned int n,
				    struct iovec *iov, uint8_t hdr_len)
{
	struct fake_vq *q = fake(vq);
	unsigned int i;

	if (vq->direction != VQ_CONTENT || q->pieces != 1 || vq->broken)
		return 0;
	for (i = 0; i < n && q->next < q->ready && q->next != q->breaks_at && q->next % 3; i++) {
		frame_init(&frames[i], iov + (size_t)2 * i, 2, hdr_len);
		fake_take(vq, 0, &frames[i]);
	}
	q->plain += i;
	return i;
}

static void fake_untake(struct vq *vq, struct span span)
{
	struct fake_vq *q = fake(vq);

	q->untaken++;
	if (q->next == 0 || span.first != q->next - 1 || span.count != 1)
		violated(q, "untake of a span that is not the newest");
	else if (!q->tokens[span.first].taken)
		violated(q, "untake of a span that was given");
	else
		q->tokens[--q->next].taken = false;
}

static void fake_give(struct vq *vq, struct span span, uint32_t len,
		      const struct virtio_net_hdr_v1 *hdr)
{
	struct fake_vq *q = fake(vq);
	struct fake_token *t = &q->tokens[span.first];

	if (span.first >= q->next || span.count != 1 || !t->taken) {
		violated(q, "give of a span that is not taken");
		return;
	}
	t->taken = false;
	q->given[q->ngiven++] = span.first;
	if (vq->direction == VQ_SPACE) {
		t->len = len;
		t->hdr = *hdr;
	} else if (len || hdr) {
		violated(q, "give of content with a length or a header");
	}
}

static void fake_flush(struct vq *vq)
{
	struct fake_vq *q = fake(vq);

	q->flushes++;
	if (q->flushed != q->ngiven)
		count_add(&vq->counters.kicks, 1);
	q->flushed = q->ngiven;
}

static bool fake_arm(struct vq *vq, bool on)
{
	return on && fake(vq)->next != fake(vq)->ready;
}

static int fake_quiesce(struct vq *vq)
{
	return (int)(fake(vq)->next - fake(vq)->ngiven);
}

static const struct vq_ops fake_ops = {
	.take = fake_take,
	.take_plain = fake_take_plain,
	.untake = fake_untake,
	.give = fake_give,
	.flush = fake_flush,
	.arm = fake_arm,
	.quiesce = fake_quiesce,
};

void fake_vq_open(struct fake_vq *q, enum vq_direction direction, unsigned int ready)
{
	unsigned int i;

	memset(q, 0, sizeof(*q));
	q->vq.ops = &fake_ops;
	q->vq.direction = direction;
	q->vq.capacity = FAKE_TOKENS;
	q->vq.notify_fd = q->vq.notified_fd = -1;
	q->ready = ready;
	q->breaks_at = UINT32_MAX;
	q->pieces = 1;
	q->memory = calloc(FAKE_TOKENS, FRAME_LEN_MAX);
	assert_non_null(q->memory);
	for (i = 0; i < FAKE_TOKENS; i++) {
		struct fake_token *t = &q->tokens[i];

		t->data = q->memory + (size_t)i * FRAME_LEN_MAX;
		if (direction == VQ_SPACE)
			continue;
		t->len = rig_frame_len(i);
		t->hdr.gso_size = (uint16_t)i;
		rig_frame_fill(t->data, i);
	}
}

void fake_vq_close(struct fake_vq *q)
{
	free(q->memory);
	q->memory = NULL;
}

/* ---- two real rings ---- */

static void open_driver(struct ring_pair *rp, int i, uint16_t num)
{
	const struct vq_driver_config c = {
		.direction = i ? VQ_SPACE : VQ_CONTENT,
		.index = (uint16_t)i,
		.num = num,
		.features = rp->features,
		.kick_fd = rp->kick_fd[i],
		.call_fd = rp->call_fd[i],
	};

	if (!rp->pool.base) /* the transmit queue's buffers are the larger ones */
		assert_int_equal(pool_open(&rp->pool,
					   2 * vq_driver_size(&(struct vq_driver_config){
						       .direction = VQ_SPACE,
						       .num = num,
						       .features = rp->features }),
					   false),
				 0);
	assert_int_equal(vq_driver_open(&rp->driver[i], &rp->pool, &c), 0);
}

static void open_device(struct ring_pair *rp, int i, uint16_t num)
{
	struct vq_driver_addrs addrs;
	struct vq_device_config c = {
		.direction = i ? VQ_CONTENT : VQ_SPACE,
		.index = (uint16_t)i,
		.num = num,
		.features = rp->features,
		.kick_fd = rp->kick_fd[i],
		.call_fd = rp->call_fd[i],
	};

	vq_driver_get_addrs(rp->driver[i], &addrs);
	c.desc = (uintptr_t)addrs.desc;
	c.avail = (uintptr_t)addrs.avail;
	c.used = (uintptr_t)addrs.used;
	rp->shared[i].avail = addrs.avail;
	rp->shared[i].used = addrs.used;
	assert_int_equal(vq_device_open(&rp->device[i], &rp->memory, &c), 0);
}

void ring_pair_open(struct ring_pair *rp, uint16_t num, uint64_t features)
{
	int i;

	memset(rp, 0, sizeof(*rp));
	rp->features = features;
	rp->pool.fd = -1;
	for (i = 0; i < 2; i++) {
		rp->kick_fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		rp->call_fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(rp->kick_fd[i] >= 0 && rp->call_fd[i] >= 0);
		open_driver(rp, i, num);
	}
	rp->memory.count = 1;
	rp->memory.regions[0] = (struct vq_device_region){
		.guest_phys_addr = POOL_GUEST_BASE,
		.userspace_addr = (uintptr_t)rp->pool.base,
		.size = rp->pool.size,
		.base = rp->pool.base,
	};
	for (i = 0; i < 2; i++)
		open_device(rp, i, num);
}

void ring_pair_close(struct ring_pair *rp)
{
	int i;

	if (!rp->pool.base)
		return;
	for (i = 0; i < 2; i++) {
		vq_device_close(rp->device[i]);
		vq_driver_close(rp->driver[i]);
		close_fd(&rp->kick_fd[i]);
		close_fd(&rp->call_fd[i]);
	}
	pool_close(&rp->pool);
	memset(rp, 0, sizeof(*rp));
}

static void gather(const struct frame *f, uint8_t *to)
{
	uint16_t i;

	for (i = 1; i < f->iovcnt; i++) {
		memcpy(to, f->iov[i].iov_base, f->iov[i].iov_len);
		to += f->iov[i].iov_len;
	}
}

static void scatter(const struct frame *f, const uint8_t *from, size_t len)
{
	uint16_t i;

	for (i = 1; i < f->iovcnt && len; i++) {
		size_t n = MIN(len, f->iov[i].iov_len);

		memcpy(f->iov[i].iov_base, from, n);
		from += n;
		len -= n;
	}
}

static bool put_bytes(struct ring_pair *rp, const uint8_t *bytes, uint32_t len)
{
	const struct virtio_net_hdr_v1 hdr = { 0 };
	struct iovec iov[FRAME_IOV_MAX];
	struct frame f;

	frame_init(&f, iov, FRAME_IOV_MAX, sizeof(hdr));
	if (vq_take(rp->device[0], len, &f) != 1)
		return false;
	scatter(&f, bytes, len);
	vq_give(rp->device[0], f.span, len, &hdr);
	return true;
}

bool ring_pair_put(struct ring_pair *rp, uint32_t number)
{
	uint8_t bytes[2048];

	rig_frame_fill(bytes, number);
	return put_bytes(rp, bytes, rig_frame_len(number));
}

/* Takes the next frame of the driver; its length or -1. */
static int64_t take_bytes(struct ring_pair *rp, uint8_t *bytes, size_t size, struct span *span)
{
	struct iovec iov[FRAME_IOV_MAX];
	struct frame f;

	frame_init(&f, iov, FRAME_IOV_MAX, sizeof(f.hdr));
	if (vq_take(rp->device[1], 0, &f) != 1)
		return -1;
	if (f.len <= size)
		gather(&f, bytes);
	*span = f.span;
	return f.len;
}

int64_t ring_pair_get(struct ring_pair *rp)
{
	uint8_t bytes[2048];
	struct span span;
	int64_t len = take_bytes(rp, bytes, sizeof(bytes), &span);
	int64_t number;

	if (len < 0)
		return -1;
	vq_give(rp->device[1], span, 0, NULL);
	number = len > (int64_t)sizeof(bytes) ? -1 : rig_frame_number(bytes, (size_t)len);
	return number < 0 ? -2 : number;
}

void ring_pair_flush(struct ring_pair *rp)
{
	vq_flush(rp->device[0]);
	vq_flush(rp->device[1]);
}

/* ---- the backend ---- */

/* Sends one frame back: 1, 0 when none is there, -1 when there is no room for it. */
static int reflect(struct reflector *r)
{
	uint8_t bytes[2048];
	struct span span;
	int64_t len = take_bytes(r->rp, bytes, sizeof(bytes), &span);

	if (len < 0)
		return 0;
	if (len > (int64_t)sizeof(bytes) || rig_frame_number(bytes, (size_t)len) < 0) {
		r->wrong++;
		len = MIN(len, (int64_t)sizeof(bytes));
	}
	if (!put_bytes(r->rp, bytes, (uint32_t)len)) {
		vq_untake(r->rp->device[1], span);
		return -1;
	}
	vq_give(r->rp->device[1], span, 0, NULL);
	r->frames++;
	return 1;
}

/* Waits for frames or, with @starved, for room; false when it is time to stop. */
static bool reflector_sleep(struct reflector *r, bool starved)
{
	struct vq *vq = r->rp->device[starved ? 0 : 1];
	struct pollfd pfds[2] = {
		{ .fd = r->stop_fd, .events = POLLIN },
		{ .fd = vq->notified_fd, .events = POLLIN },
	};
	uint64_t value;

	if (!vq_arm(vq, true)) {
		poll(pfds, 2, -1);
		if (read(vq->notified_fd, &value, sizeof(value)) < 0)
			value = 0; /* not its turn */
	} else {
		poll(pfds, 2, 0);
	}
	vq_arm(vq, false);
	return !(pfds[0].revents & POLLIN);
}

static void *reflector_main(void *arg)
{
	struct reflector *r = arg;
	int result, n;

	do {
		for (n = 0; n < 32 && (result = reflect(r)) > 0; n++)
			;
		ring_pair_flush(r->rp);
	} while (reflector_sleep(r, result < 0));
	return NULL;
}

void reflector_start(struct reflector *r, struct ring_pair *rp)
{
	r->rp = rp;
	r->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(r->stop_fd >= 0);
	assert_int_equal(pthread_create(&r->thread, NULL, reflector_main, r), 0);
}

void reflector_stop(struct reflector *r)
{
	const uint64_t one = 1;

	if (!r->rp)
		return;
	assert_int_equal(write(r->stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(r->thread, NULL);
	close_fd(&r->stop_fd);
	r->rp = NULL;
}

/* ---- io_uring ---- */

int rig_uring_unavailable(void)
{
	const char *ci = getenv("CI");
	struct fake_kport port;
	struct io *io;
	int r;

	fake_kport_open(&port);
	r = uring_open(&io, &port.kport, 0);
	io_close(io);
	fake_kport_close(&port);
	if (!r)
		return 0;
	fprintf(stderr, "skipped: io_uring is refused here (%s)\n", strerror(-r));
	return ci && !strcmp(ci, "true") ? 1 : 77;
}
