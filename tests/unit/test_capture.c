/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring of a capture: the daemon's side (src/engine) and the reader's (src/ctl). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "ctl/capture_ring.h"
#include "engine/capture.h"
#include "engine/lane.h"
#include "lane_rig.h"

#define CONFIG_ALL                                                                                 \
	{                                                                                          \
		.snaplen = FRAME_LEN_MAX, .pairs = 1, .rx = true, .tx = true                       \
	}

struct bench {
	struct capture *c;
	uint8_t *memory; /* as the reader has it */
	size_t size, stride;
	struct capture_ring ring; /* the first */
	uint8_t packet[FRAME_LEN_MAX];
};

static void begin(struct bench *b, const struct capture_config *config)
{
	struct stat st;

	assert_int_equal(capture_open(&b->c, config), 0);
	assert_int_equal(fstat(capture_fd(b->c), &st), 0);
	b->size = (size_t)st.st_size;
	b->stride = capture_ring_size(b->c) + (size_t)CAPTURE_CONTROL;
	b->memory = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, capture_fd(b->c), 0);
	assert_true(b->memory != MAP_FAILED);
	capture_ring_open(&b->ring, b->memory, capture_ring_size(b->c));
}

static void finish(struct bench *b)
{
	munmap(b->memory, b->size);
	capture_close(b->c);
}

/* Records frame @number, in @pieces. */
static void put(struct capture_tap *tap, uint32_t number, unsigned int pieces)
{
	static __thread uint8_t bytes[2048];
	uint32_t len = rig_frame_len(number), at = 0;
	struct iovec iovs[8];
	struct frame f;
	unsigned int i;

	rig_frame_fill(bytes, number);
	frame_init(&f, iovs, ARRAY_SIZE(iovs), sizeof(f.hdr));
	f.hdr = (struct virtio_net_hdr_v1){.gso_size = (uint16_t)number, .num_buffers = 3};
	f.hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID | VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f.len = len;
	for (i = 1; i <= pieces; i++) {
		/* room is longer than what is in it */
		uint32_t n = i == pieces ? FRAME_LEN_MAX : MIN(len / pieces, len - at);

		iovs[i] = (struct iovec){bytes + at, n};
		at += n;
	}
	f.iovcnt = (uint16_t)(pieces + 1);
	capture_frames(tap, &f, 1);
}

/* The next record is that of frame @number, whole; returns how many are told lost before it. */
static uint32_t get(struct bench *b, uint32_t number)
{
	struct capture_record record;

	assert_int_equal(capture_ring_look(&b->ring), 0);
	assert_int_equal(capture_ring_peek(&b->ring, &record), 1);
	assert_int_equal(record.len, rig_frame_len(number));
	assert_int_equal(record.captured, record.len);
	assert_int_equal(record.hdr.gso_size, (uint16_t)number);
	capture_ring_take(&b->ring, &record, b->packet);
	assert_int_equal(rig_frame_number(b->packet, record.captured), number);
	return record.lost;
}

static void assert_empty(struct bench *b)
{
	struct capture_record record;

	assert_int_equal(capture_ring_look(&b->ring), 0);
	assert_int_equal(capture_ring_peek(&b->ring, &record), 0);
}

/* ---- tests ---- */

/* Through the ring's end many times, at each place of it. */
static void test_in_order(void **state)
{
	static struct bench b;
	const struct capture_config config = CONFIG_ALL;
	uint32_t number, before = 0;
	struct capture_tap *tap;

	(void)state;
	begin(&b, &config);
	tap = capture_tap(b.c, 0, true);
	for (number = 0; number < 40000; number++) {
		put(tap, number, 1 + number % 6);
		if (number % 7 == 0)
			for (; before <= number; before++)
				assert_int_equal(get(&b, before), 0);
	}
	for (; before < number; before++)
		assert_int_equal(get(&b, before), 0);
	assert_empty(&b);
	assert_true(b.ring.read > 2 * (uint64_t)b.ring.size);
	assert_int_equal(capture_ring_dropped(&b.ring), 0);
	finish(&b);
}

static void test_snaplen(void **state)
{
	static const uint32_t lengths[] = {1, 13, 31, 32, 33, 100};
	static struct bench b;
	struct capture_record record;
	uint8_t whole[2048];
	size_t i;

	(void)state;
	rig_frame_fill(whole, 1000);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct capture_config config = CONFIG_ALL;
		uint64_t before = realtime_ns();

		config.snaplen = lengths[i];
		begin(&b, &config);
		put(capture_tap(b.c, 0, true), 1000, 6);
		assert_int_equal(capture_ring_look(&b.ring), 0);
		assert_int_equal(capture_ring_peek(&b.ring, &record), 1);
		assert_int_equal(record.captured, lengths[i]);
		assert_int_equal(record.len, rig_frame_len(1000));
		assert_in_range(record.time_ns, before, realtime_ns());
		memset(b.packet, 0, sizeof(b.packet));
		capture_ring_take(&b.ring, &record, b.packet);
		assert_memory_equal(b.packet, whole, lengths[i]);
		assert_int_equal(b.packet[lengths[i]], 0);
		assert_empty(&b);
		finish(&b);
	}
}

/* What finds no room is counted, and told with the next record. */
static void test_full(void **state)
{
	static struct bench b;
	const struct capture_config config = CONFIG_ALL;
	uint32_t number = 0, recorded, i;
	struct capture_tap *tap;

	(void)state;
	begin(&b, &config);
	tap = capture_tap(b.c, 0, true);
	while (!capture_ring_dropped(&b.ring))
		put(tap, number++, 1);
	recorded = number - 1;
	/* nearly all of it was of use */
	assert_int_equal(capture_ring_look(&b.ring), 0);
	assert_true(b.ring.end > b.ring.size - capture_record_size(2048));
	for (i = 0; i < 10; i++)
		put(tap, recorded, 1); /* of that length there is no room */
	assert_int_equal(capture_ring_dropped(&b.ring), 11);
	for (i = 0; i < recorded; i++)
		assert_int_equal(get(&b, i), 0);
	assert_empty(&b);
	put(tap, 5, 1);
	put(tap, 6, 1);
	assert_int_equal(get(&b, 5), 11);
	assert_int_equal(get(&b, 6), 0);
	assert_int_equal(capture_ring_dropped(&b.ring), 11);
	finish(&b);
}

/* Whatever the reader says of itself, nothing beyond the ring is written, nor waited for. */
static void test_lying_reader(void **state)
{
	static const uint64_t lies[] = {1, 4096, UINT64_MAX, UINT64_MAX / 2, UINT64_C(1) << 63};
	static struct bench b;
	const struct capture_config config = CONFIG_ALL;
	uint8_t *guard;
	uint32_t i;
	size_t k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(lies); k++) {
		struct capture_tap *tap;

		begin(&b, &config);
		tap = capture_tap(b.c, 0, true);
		guard = b.memory + b.stride;
		memset(guard, 0x5a, b.size - b.stride);
		/* more than was ever written, or a little less: no room, or less of it */
		__atomic_store_n(&b.ring.control->read, lies[k], __ATOMIC_RELEASE);
		put(tap, 0, 1);
		assert_int_equal(capture_ring_dropped(&b.ring), lies[k] != UINT64_MAX);
		/* it says that it has read everything, again and again, and reads nothing */
		__atomic_store_n(&b.ring.control->read, 0, __ATOMIC_RELEASE);
		for (i = 0; i < 20000; i++) {
			put(tap, i, 1);
			__atomic_store_n(&b.ring.control->read, b.ring.control->written,
					 __ATOMIC_RELEASE);
		}
		/* it writes all over the ring's control, which is but a copy */
		memset(b.memory, 0xff, CAPTURE_CONTROL);
		put(tap, 0, 1);
		for (i = 0; i < b.size - b.stride; i++)
			assert_int_equal(guard[i], 0x5a);
		finish(&b);
	}
}

/* A reader that is lied to notices. */
static void test_lying_writer(void **state)
{
	static struct bench b;
	const struct capture_config config = CONFIG_ALL;
	struct capture_record record, *there;

	(void)state;
	begin(&b, &config);
	put(capture_tap(b.c, 0, true), 0, 1);
	there = (struct capture_record *)(b.memory + CAPTURE_CONTROL);
	there->captured = UINT32_MAX;
	assert_int_equal(capture_ring_look(&b.ring), 0);
	assert_int_equal(capture_ring_peek(&b.ring, &record), -EPROTO);
	there->captured = 0;
	assert_int_equal(capture_ring_peek(&b.ring, &record), 1);
	b.ring.control->written = 8;
	assert_int_equal(capture_ring_look(&b.ring), 0);
	assert_int_equal(capture_ring_peek(&b.ring, &record), -EPROTO);
	b.ring.control->written = b.ring.size + UINT64_C(32);
	assert_int_equal(capture_ring_look(&b.ring), -EPROTO);
	finish(&b);
}

/* Which lanes have a tap, and which ring is theirs. */
static void test_taps(void **state)
{
	static const struct {
		struct capture_config config;
		unsigned int pairs[8], n;
		bool rx[8];
	} cases[] = {
		{{64, 0, 2, true, true}, {0, 0, 1, 1}, 4, {true, false, true, false}},
		{{64, 0, 3, true, false}, {0, 1, 2}, 3, {true, true, true}},
		{{64, 5, 1, false, true}, {5}, 1, {false}},
		{{64, 2, 1, true, true}, {2, 2}, 2, {true, false}},
	};
	static struct bench b;
	struct capture_record record;
	unsigned int pair, k, taps;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(&b, &cases[i].config);
		assert_int_equal(b.size, cases[i].n * b.stride);
		for (taps = pair = 0; pair < 8; pair++)
			taps += !!capture_tap(b.c, pair, true) + !!capture_tap(b.c, pair, false);
		assert_int_equal(taps, cases[i].n);
		for (k = 0; k < cases[i].n; k++) {
			put(capture_tap(b.c, cases[i].pairs[k], cases[i].rx[k]), k, 1);
			capture_ring_open(&b.ring, b.memory + k * b.stride, capture_ring_size(b.c));
			assert_int_equal(capture_ring_look(&b.ring), 0);
			assert_int_equal(capture_ring_peek(&b.ring, &record), 1);
			assert_int_equal(record.len, rig_frame_len(k));
			/* a driver sends no DATA_VALID, and num_buffers 0 */
			assert_int_equal(record.hdr.num_buffers, cases[i].rx[k] ? 3 : 0);
			assert_int_equal(
				record.hdr.flags,
				VIRTIO_NET_HDR_F_NEEDS_CSUM |
					(cases[i].rx[k] ? VIRTIO_NET_HDR_F_DATA_VALID : 0));
		}
		finish(&b);
	}
}

/* It cannot be taken from under the daemon, and is bounded however many lanes there are. */
static void test_memory(void **state)
{
	struct capture_config config = CONFIG_ALL;
	static struct bench b;

	(void)state;
	begin(&b, &config);
	assert_int_equal(ftruncate(capture_fd(b.c), 0), -1);
	assert_int_equal(ftruncate(capture_fd(b.c), (off_t)b.size * 2), -1);
	assert_true(b.size <= (17u << 20));
	finish(&b);
	config.pairs = 128;
	begin(&b, &config);
	assert_true(b.size <= (65u << 20));
	assert_true(capture_ring_size(b.c) >= 3 * FRAME_LEN_MAX);
	finish(&b);
	capture_close(NULL);
}

/* ---- two threads ---- */

#define NUMBERS 300000u

static void *write_numbers(void *tap)
{
	uint32_t i;

	for (i = 0; i < NUMBERS; i++) {
		put(tap, i, 1 + i % 3);
		if (i % 1000 == 0)
			sched_yield();
	}
	return NULL;
}

/* Each record is whole, in order, and the gaps are as large as it is told. */
static void test_concurrent(void **state)
{
	static struct bench b;
	const struct capture_config config = CONFIG_ALL;
	struct capture_record record;
	uint64_t captured = 0, lost = 0;
	int64_t number, last = -1;
	bool ended = false, at_end;
	pthread_t thread;

	(void)state;
	begin(&b, &config);
	assert_int_equal(pthread_create(&thread, NULL, write_numbers, capture_tap(b.c, 0, true)),
			 0);
	do {
		at_end = ended;
		ended = at_end || pthread_tryjoin_np(thread, NULL) == 0;
		assert_int_equal(capture_ring_look(&b.ring), 0);
		while (capture_ring_peek(&b.ring, &record) > 0) {
			capture_ring_take(&b.ring, &record, b.packet);
			number = rig_frame_number(b.packet, record.captured);
			assert_int_equal(number, last + 1 + record.lost);
			last = number;
			captured++;
			lost += record.lost;
		}
	} while (!at_end);
	lost += NUMBERS - 1 - (uint64_t)last;
	assert_int_equal(captured + lost, NUMBERS);
	assert_int_equal(capture_ring_dropped(&b.ring), lost);
	assert_true(captured > 1000);
	finish(&b);
}

/* ---- in the lanes ---- */

static void test_lane_from_ring(void **state)
{
	struct lane_rig *rig = lane_rig_begin(state, VQ_CONTENT, 70);
	static struct bench b;
	const struct capture_config config = CONFIG_ALL;
	uint32_t i;

	begin(&b, &config);
	assert_int_equal(vq_to_fd_run(&rig->lane), 64); /* nobody looks */
	rig->lane.tap = capture_tap(b.c, 0, true);
	assert_int_equal(vq_to_fd_run(&rig->lane), 6);
	assert_int_equal(vq_to_fd_run(&rig->lane), 0);
	for (i = 64; i < 70; i++)
		assert_int_equal(get(&b, i), 0);
	assert_empty(&b);
	lane_rig_assert_outside(rig, 0, 70);
	lane_rig_assert_sound(rig);
	finish(&b);
}

static void test_lane_to_ring(void **state)
{
	struct lane_rig *rig = lane_rig_begin(state, VQ_SPACE, FAKE_TOKENS);
	static struct bench b;
	const struct capture_config config = {.snaplen = FRAME_LEN_MAX, .pairs = 1, .tx = true};
	static const uint8_t own[60] = {1, 2, 3};
	struct capture_record record;
	uint32_t i;

	begin(&b, &config);
	rig->q.pieces = 3;
	rig->lane.tap = capture_tap(b.c, 0, false);
	rig->lane.reads = 16;
	lane_rig_put(rig, 0, 9);
	assert_int_equal(fd_to_vq_run(&rig->lane), 9);
	for (i = 0; i < 9; i++)
		assert_int_equal(get(&b, i), 0);
	assert_empty(&b);
	/* what is our own goes there as well */
	assert_int_equal(fd_to_vq_inject(&rig->lane, own, sizeof(own)), 0);
	assert_int_equal(capture_ring_look(&b.ring), 0);
	assert_int_equal(capture_ring_peek(&b.ring, &record), 1);
	assert_int_equal(record.len, sizeof(own));
	capture_ring_take(&b.ring, &record, b.packet);
	assert_memory_equal(b.packet, own, sizeof(own));
	rig->lane.tap = NULL;
	lane_rig_put(rig, 9, 12);
	assert_int_equal(fd_to_vq_run(&rig->lane), 3);
	assert_empty(&b);
	lane_rig_assert_ring(rig, 0, 0, 9);
	lane_rig_assert_ring(rig, 10, 9, 12);
	lane_rig_assert_sound(rig);
	finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),     cmocka_unit_test(test_snaplen),
		cmocka_unit_test(test_full),	     cmocka_unit_test(test_lying_reader),
		cmocka_unit_test(test_lying_writer), cmocka_unit_test(test_taps),
		cmocka_unit_test(test_memory),	     cmocka_unit_test(test_concurrent),
		LANE_RIG_PLAIN(test_lane_from_ring), LANE_RIG_PLAIN(test_lane_to_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
