/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driver side against device side, each in its own thread, in each layout and size:
 * every byte of every frame and their order are checked. Both sides take batches of
 * random size, return some of them unused, give out of order, and sleep on their
 * eventfd whenever the ring says that they may; a lost wake-up shows as a sleep
 * that nobody ends.
 *
 * The memory is mapped once (so that ThreadSanitizer sees all accesses), or twice, so
 * that the device has to translate every address.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/feature.h"
#include "virtio/pool.h"
#include "virtio/vq_device.h"
#include "virtio/vq_driver.h"

#define OFFLOADS                                                                                   \
	(FEATURE_NET(CSUM) | FEATURE_NET(HOST_TSO4) | FEATURE_NET(GUEST_CSUM) |                    \
	 FEATURE_NET(GUEST_TSO4))
#define LEN_MIN 14u
#define LEN_MAX 65549u
#define BATCH 16u
#define PATTERN (65536u + LEN_MAX)
#define PATIENCE_MS 10000

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define FRAMES(num) (100 + (num) / 2)
#else
#define FRAMES(num) (300 + 3 * (num))
#endif

/* One run: a ring with frames in one direction. */
struct run {
	enum vq_direction direction; /* of the driver's queue */
	uint64_t features;
	uint16_t num;
	bool mapped_twice;
	uint32_t frames;
	uint32_t len_max; /* what the ring can hold */
	uint32_t seed;
	const uint8_t *pattern; /* [PATTERN] */
	int stop;		/* atomic: one side has failed */
};

struct side {
	struct run *run;
	struct vq *vq;
	int wake_other; /* the eventfd on which the other side sleeps */
	const uint8_t *low, *high; /* where this side has the memory */
	uint32_t random;
	unsigned int sleeps;
	char error[200];
	uint8_t expected[LEN_MAX];
	struct frame frames[BATCH];
	struct iovec iovs[BATCH][FRAME_IOV_MAX];
};

static uint32_t mix(uint32_t x)
{
	x = (x ^ x >> 16) * 0x7feb352du;
	x = (x ^ x >> 15) * 0x846ca68bu;
	return x ^ x >> 16;
}

static uint32_t roll(struct side *s, uint32_t n)
{
	s->random = s->random * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)s->random * n >> 32);
}

static void __attribute__((format(printf, 2, 3))) fail_side(struct side *s, const char *format, ...)
{
	const uint64_t one = 1;
	va_list args;

	if (s->error[0])
		return; /* what follows from the first is no news */
	va_start(args, format);
	vsnprintf(s->error, sizeof(s->error), format, args);
	va_end(args);
	__atomic_store_n(&s->run->stop, 1, __ATOMIC_SEQ_CST);
	if (write(s->wake_other, &one, sizeof(one)) < 0)
		return;
}

static bool stopped(const struct side *s)
{
	return __atomic_load_n(&s->run->stop, __ATOMIC_SEQ_CST);
}

/* ---- what frame number @seq is: both sides know ---- */

static uint32_t frame_len(const struct run *run, uint32_t seq)
{
	uint32_t h = mix(run->seed + seq);
	uint32_t top = h % 8 < 4 ? 1514 : h % 8 < 6 ? 9018 : LEN_MAX;

	if (seq % 64 == 63) /* the longest one now and then */
		return run->len_max;
	top = MIN(top, run->len_max);
	return LEN_MIN + mix(h) % (top - LEN_MIN + 1);
}

static void frame_bytes(const struct run *run, uint32_t seq, uint8_t *to, uint32_t len)
{
	uint32_t id[2] = { seq, run->seed };

	memcpy(to, run->pattern + mix(run->seed ^ seq) % 65536, len);
	memcpy(to, id, sizeof(id));
}

static struct virtio_net_hdr_v1 frame_hdr(uint32_t seq, uint32_t len)
{
	struct virtio_net_hdr_v1 h = { 0 };

	if (len < 100 || seq % 3 == 0)
		return h;
	h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h.csum_start = htole16(34);
	h.csum_offset = htole16((uint16_t)(seq % 50));
	if (seq % 3 == 1)
		return h;
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	h.gso_size = htole16((uint16_t)(500 + seq % 900));
	h.hdr_len = htole16(54);
	return h;
}

/* ---- both sides ---- */

/* Nothing to do: spins a little or sleeps until woken. */
static void rest(struct side *s)
{
	struct pollfd p = { .fd = s->vq->notified_fd, .events = POLLIN };
	uint32_t delay = roll(s, 2) ? roll(s, 1000) : 0;
	uint64_t calls;

	/* the time between the last look and the wish to be woken, which the other side may use */
	while (delay-- > 0)
		cpu_relax();
	if (roll(s, 3) == 0) {
		sched_yield();
		return;
	}
	if (!vq_arm(s->vq, true)) {
		s->sleeps++;
		if (poll(&p, 1, PATIENCE_MS) != 1)
			fail_side(s, "nobody woke it: a lost notification");
		else if (read(p.fd, &calls, sizeof(calls)) != sizeof(calls) && errno != EAGAIN)
			fail_side(s, "eventfd: %s", strerror(errno));
	}
	vq_arm(s->vq, false);
}

static int take(struct side *s, unsigned int i, uint32_t min_bytes)
{
	struct frame *f = &s->frames[i];
	unsigned int k;
	int r;

	r = roll(s, 2) ? (int)vq_take_plain(s->vq, f, 1, s->iovs[i], 12) : 0;
	if (!r) {
		frame_init(f, s->iovs[i], FRAME_IOV_MAX, 12);
		r = vq_take(s->vq, min_bytes, f);
	}
	if (r < 0)
		fail_side(s, "broken: %s %u", s->vq->why, s->vq->why_value);
	for (k = 1; r > 0 && k < f->iovcnt; k++) {
		const uint8_t *p = f->iov[k].iov_base;

		if (p < s->low || f->iov[k].iov_len > (size_t)(s->high - p))
			fail_side(s, "an iovec outside of its own mapping");
	}
	return r;
}

/* Returns frames[from..to) unused, newest first. */
static void untake(struct side *s, unsigned int from, unsigned int to)
{
	while (to > from)
		vq_untake(s->vq, s->frames[--to].span);
}

/* ---- the side that fills the ring ---- */

static void fill(struct side *s, const struct frame *f, uint32_t seq, uint32_t len)
{
	uint32_t done = 0;
	unsigned int k;

	frame_bytes(s->run, seq, s->expected, len);
	for (k = 1; k < f->iovcnt && done < len; k++) {
		uint32_t part = MIN((uint32_t)f->iov[k].iov_len, len - done);

		memcpy(f->iov[k].iov_base, s->expected + done, part);
		done += part;
	}
	if (done != len)
		fail_side(s, "room for %u bytes of %u", done, len);
}

/* Takes room for frames from @seq on; slot i is for frame @seq + i. */
static unsigned int take_forward(struct side *s, uint32_t seq, unsigned int want)
{
	unsigned int n = 0;

	while (n < want && take(s, n, frame_len(s->run, seq + n)) > 0)
		n++;
	return n;
}

/* All or nothing; slot i is for frame @seq + @want - 1 - i. */
static unsigned int take_backward(struct side *s, uint32_t seq, unsigned int want)
{
	unsigned int n = 0;

	while (n < want && take(s, n, frame_len(s->run, seq + want - 1 - n)) > 0)
		n++;
	if (n == want)
		return n;
	untake(s, 0, n);
	return 0;
}

static unsigned int send_batch(struct side *s, uint32_t seq)
{
	unsigned int left = s->run->frames - seq;
	unsigned int want = 1 + roll(s, MIN(left, BATCH));
	bool in_order = feature_has(s->run->features, VIRTIO_F_IN_ORDER);
	bool backward = roll(s, 4) == 0;
	unsigned int i, n = backward && !in_order ? take_backward(s, seq, want) : 0;

	if (n == 0) {
		backward &= in_order; /* then the ring sees to it that frames keep their order */
		n = take_forward(s, seq, want);
	}
	if (n > 1 && !backward && roll(s, 4) == 0) {
		unsigned int keep = 1 + roll(s, n - 1);

		untake(s, keep, n);
		n = keep;
	}
	for (i = 0; i < n; i++) {
		struct frame *f = &s->frames[backward ? n - 1 - i : i];
		uint32_t number = seq + (backward && in_order ? n - 1 - i : i);
		uint32_t len = frame_len(s->run, number);
		struct virtio_net_hdr_v1 hdr = frame_hdr(number, len);

		fill(s, f, number, len);
		vq_give(s->vq, f->span, len, &hdr);
		if (roll(s, 8) == 0)
			vq_flush(s->vq);
	}
	vq_flush(s->vq);
	return n;
}

static void *send_all(void *arg)
{
	struct side *s = arg;
	uint32_t seq = 0;

	while (seq < s->run->frames && !stopped(s)) {
		unsigned int n = send_batch(s, seq);

		seq += n;
		if (seq < s->run->frames && (n == 0 || roll(s, 8) == 0))
			rest(s); /* with work left, arm has to say so */
	}
	return NULL;
}

/* ---- the side that empties it ---- */

static void check_hdr(struct side *s, const struct frame *f, uint32_t seq)
{
	struct virtio_net_hdr_v1 hdr = frame_hdr(seq, f->len);
	bool mergeable = feature_has(s->run->features, VIRTIO_NET_F_MRG_RXBUF);

	if (memcmp(&f->hdr, &hdr, sizeof(struct virtio_net_hdr)))
		fail_side(s, "frame %u: its header differs", seq);
	if (s->run->direction == VQ_CONTENT && mergeable &&
	    le16toh(f->hdr.num_buffers) != f->span.count)
		fail_side(s, "frame %u: num_buffers differs", seq);
}

static void check(struct side *s, const struct frame *f, uint32_t seq)
{
	uint32_t len = frame_len(s->run, seq);
	uint32_t done = 0;
	unsigned int k;

	if (f->len != len) {
		fail_side(s, "frame %u: %u bytes instead of %u", seq, f->len, len);
		return;
	}
	frame_bytes(s->run, seq, s->expected, len);
	for (k = 1; k < f->iovcnt; k++) {
		if (f->iov[k].iov_len > len - done ||
		    memcmp(f->iov[k].iov_base, s->expected + done, f->iov[k].iov_len)) {
			fail_side(s, "frame %u: its bytes from %u on differ", seq, done);
			return;
		}
		done += (uint32_t)f->iov[k].iov_len;
	}
	if (done != len)
		fail_side(s, "frame %u: iovecs of %u bytes, not %u", seq, done, len);
	check_hdr(s, f, seq);
}

static unsigned int receive_batch(struct side *s, uint32_t seq)
{
	unsigned int want = 1 + roll(s, BATCH);
	unsigned int i, n = 0;
	bool backward;

	while (n < want && take(s, n, 0) > 0)
		n++;
	if (n > 1 && roll(s, 4) == 0) {
		unsigned int keep = 1 + roll(s, n - 1);

		untake(s, keep, n);
		n = keep;
	}
	for (i = 0; i < n && !stopped(s); i++)
		check(s, &s->frames[i], seq + i);
	backward = roll(s, 2);
	for (i = 0; i < n; i++)
		vq_give(s->vq, s->frames[backward ? n - 1 - i : i].span, 0, NULL);
	vq_flush(s->vq);
	return n;
}

static void *receive_all(void *arg)
{
	struct side *s = arg;
	uint32_t seq = 0;

	while (seq < s->run->frames && !stopped(s)) {
		unsigned int n = receive_batch(s, seq);

		seq += n;
		if (seq < s->run->frames && (n == 0 || roll(s, 8) == 0))
			rest(s); /* with work left, arm has to say so */
	}
	if (!stopped(s) && take(s, 0, 0) != 0)
		fail_side(s, "more frames than were sent");
	return NULL;
}

/* ---- a run ---- */

struct pair {
	struct pool pool;
	uint8_t *second; /* mapping, or NULL */
	struct vq_device_memory memory;
	int kick_fd, call_fd;
	struct vq *driver, *device;
};

static void open_device(struct pair *p, const struct run *run)
{
	struct vq_driver_addrs addrs;
	struct vq_device_config c = {
		.direction = run->direction == VQ_CONTENT ? VQ_SPACE : VQ_CONTENT,
		.num = run->num,
		.features = run->features,
		.batches = run->seed & 1, /* where it may */
		.kick_fd = p->kick_fd,
		.call_fd = p->call_fd,
	};

	if (run->mapped_twice) {
		p->second = mmap(NULL, p->pool.size, PROT_READ | PROT_WRITE, MAP_SHARED, p->pool.fd,
				 0);
		assert_true(p->second != MAP_FAILED);
	}
	p->memory.count = 1;
	p->memory.regions[0] = (struct vq_device_region){
		.guest_phys_addr = POOL_GUEST_BASE,
		.userspace_addr = (uintptr_t)p->pool.base,
		.size = p->pool.size,
		.base = p->second ? p->second : p->pool.base,
	};
	vq_driver_get_addrs(p->driver, &addrs);
	c.desc = (uintptr_t)addrs.desc;
	c.avail = (uintptr_t)addrs.avail;
	c.used = (uintptr_t)addrs.used;
	assert_int_equal(vq_device_open(&p->device, &p->memory, &c), 0);
}

static void open_pair(struct pair *p, const struct run *run)
{
	struct vq_driver_config c = {
		.direction = run->direction,
		.num = run->num,
		.features = run->features,
	};

	memset(p, 0, sizeof(*p));
	p->kick_fd = c.kick_fd = eventfd(0, EFD_NONBLOCK);
	p->call_fd = c.call_fd = eventfd(0, EFD_NONBLOCK);
	assert_true(p->kick_fd >= 0 && p->call_fd >= 0);
	assert_int_equal(pool_open(&p->pool, vq_driver_size(&c), false), 0);
	assert_int_equal(vq_driver_open(&p->driver, &p->pool, &c), 0);
	open_device(p, run);
	vq_flush(p->driver);
}

static void close_pair(struct pair *p)
{
	vq_device_close(p->device);
	vq_driver_close(p->driver);
	if (p->second)
		munmap(p->second, p->pool.size);
	pool_close(&p->pool);
	close_fd(&p->kick_fd);
	close_fd(&p->call_fd);
}

static void init_side(struct side *s, struct run *run, const struct pair *p, bool device)
{
	memset(s, 0, sizeof(*s));
	s->run = run;
	s->vq = device ? p->device : p->driver;
	s->wake_other = device ? p->call_fd : p->kick_fd;
	s->low = device ? p->memory.regions[0].base : p->pool.base;
	s->high = s->low + p->pool.size;
	s->random = mix(run->seed + device);
}

static void describe(const struct run *run, char *buf, size_t size)
{
	char features[256];

	feature_format(run->features & ~OFFLOADS, features, sizeof(features));
	snprintf(buf, size, "%s, ring of %u, features [%s], seed %u",
		 run->direction == VQ_CONTENT ? "device to driver" : "driver to device", run->num,
		 features, run->seed);
}

/* Returns how often the two sides slept; @sides are only borrowed, they are large. */
static unsigned int go(struct run *run, struct side *sides)
{
	struct side *driver = &sides[0], *device = &sides[1];
	bool to_driver = run->direction == VQ_CONTENT;
	pthread_t thread;
	struct pair p;
	char what[400];

	open_pair(&p, run);
	init_side(driver, run, &p, false);
	init_side(device, run, &p, true);
	assert_int_equal(pthread_create(&thread, NULL, to_driver ? send_all : receive_all, device),
			 0);
	(to_driver ? receive_all : send_all)(driver);
	assert_int_equal(pthread_join(thread, NULL), 0);
	describe(run, what, sizeof(what));
	if (driver->error[0] || device->error[0])
		fail_msg("%s: driver: %s; device: %s", what, driver->error, device->error);
	assert_int_equal(vq_quiesce(p.driver), 0);
	assert_int_equal(vq_quiesce(p.device), 0);
	assert_true(p.driver->counters.kicks + p.driver->counters.suppressed > 0);
	assert_true(p.device->counters.kicks + p.device->counters.suppressed > 0);
	close_pair(&p);
	return driver->sleeps + device->sleeps;
}

/* The longest frame that all of the ring's receive buffers hold together. */
static uint32_t longest(const struct run *run)
{
	bool mergeable = feature_has(run->features, VIRTIO_NET_F_MRG_RXBUF);

	if (run->direction == VQ_SPACE || !mergeable)
		return LEN_MAX;
	return MIN(LEN_MAX, run->num * 2048u - 12u);
}

static uint8_t *make_pattern(uint32_t seed)
{
	uint8_t *pattern = malloc(PATTERN);
	uint32_t i;

	assert_non_null(pattern);
	for (i = 0; i < PATTERN; i++)
		pattern[i] = (uint8_t)mix(seed + i);
	return pattern;
}

/* Every ring size, mergeable or not, event indexes or not, both directions. */
static void all_runs(uint64_t layout, bool mapped_twice)
{
	struct side *sides = calloc(2, sizeof(*sides));
	uint8_t *pattern = make_pattern((uint32_t)layout);
	unsigned int sleeps = 0, i, num;

	assert_non_null(sides);
	for (num = 2; num <= 1024; num *= 2)
		for (i = 0; i < 8; i++) {
			struct run run = {
				.direction = i & 1 ? VQ_SPACE : VQ_CONTENT,
				.features = layout | OFFLOADS |
					    (i & 2 ? FEATURE_NET(MRG_RXBUF) : 0) |
					    (i & 4 ? FEATURE(RING_F_EVENT_IDX) : 0),
				.num = (uint16_t)num,
				.mapped_twice = mapped_twice,
				.frames = FRAMES(num),
				.seed = num * 8 + i,
				.pattern = pattern,
			};

			run.len_max = longest(&run);
			sleeps += go(&run, sides);
		}
	assert_true(sleeps > 0); /* else the wake-ups were never tried */
	free(pattern);
	free(sides);
}

static void test_modern_mapped_once(void **state)
{
	(void)state;
	all_runs(FEATURE(F_VERSION_1), false);
}

static void test_modern_mapped_twice(void **state)
{
	(void)state;
	all_runs(FEATURE(F_VERSION_1), true);
}

static void test_in_order(void **state)
{
	(void)state;
	all_runs(FEATURE(F_VERSION_1) | FEATURE(F_IN_ORDER), false);
	all_runs(FEATURE(F_VERSION_1) | FEATURE(F_IN_ORDER), true);
}

static void test_legacy_any_layout_mapped_once(void **state)
{
	(void)state;
	all_runs(FEATURE(F_ANY_LAYOUT), false);
}

static void test_legacy_any_layout_mapped_twice(void **state)
{
	(void)state;
	all_runs(FEATURE(F_ANY_LAYOUT), true);
}

static void test_legacy_mapped_once(void **state)
{
	(void)state;
	all_runs(0, false);
}

static void test_legacy_mapped_twice(void **state)
{
	(void)state;
	all_runs(0, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modern_mapped_once),
		cmocka_unit_test(test_modern_mapped_twice),
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_legacy_any_layout_mapped_once),
		cmocka_unit_test(test_legacy_any_layout_mapped_twice),
		cmocka_unit_test(test_legacy_mapped_once),
		cmocka_unit_test(test_legacy_mapped_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
