/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "virtio/feature.h"
#include "worker_rig.h"

static enum worker_io io_of(const char *name)
{
	if (!name)
		return WORKER_IO_AUTO;
	return strcmp(name, "uring") ? WORKER_IO_PLAIN : WORKER_IO_URING;
}

int worker_rig_setup(void **state)
{
	struct worker_rig *b = calloc(1, sizeof(*b));
	unsigned int i;

	assert_non_null(b);
	for (i = 0; i < WORKER_RIG_PAIRS; i++) {
		fake_kport_open(&b->ports[i]);
		b->fds[i] = b->ports[i].fd;
		ring_pair_open(&b->rings[i], 64, WORKER_RIG_FEATURES);
	}
	b->ports[0].kport.pairs = WORKER_RIG_PAIRS;
	b->ports[0].kport.fds = b->fds;
	b->config = (struct worker_config){
		.kp = &b->ports[0].kport,
		.step = 1,
		.io = io_of(*state),
		.idle_us = 20,
		.cpu = -1,
	};
	*state = b;
	return 0;
}

int worker_rig_teardown(void **state)
{
	struct worker_rig *b = *state;
	unsigned int i;

	worker_rig_close(b);
	for (i = 0; i < WORKER_RIG_PAIRS; i++) {
		reflector_stop(&b->reflectors[i]);
		ring_pair_close(&b->rings[i]);
		fake_kport_close(&b->ports[i]);
	}
	free(b);
	return 0;
}

void worker_rig_open(struct worker_rig *b)
{
	int io_error;

	memset(b->noted, 0, sizeof(b->noted));
	assert_int_equal(worker_open(&b->w, &b->config, &io_error), 0);
	if (b->config.io != WORKER_IO_AUTO) {
		assert_int_equal(io_error, 0);
		assert_string_equal(worker_io_name(b->w),
				    b->config.io == WORKER_IO_URING ? "uring" : "plain");
	}
}

void worker_rig_close(struct worker_rig *b)
{
	worker_close(b->w);
	b->w = NULL;
}

void worker_rig_start(struct worker_rig *b, unsigned int i)
{
	worker_start(b->w, i, b->rings[i].driver[0], b->rings[i].driver[1], 0);
}

static void note(uint64_t *noted, const struct lane_counters *lane)
{
	const uint64_t *counters = (const uint64_t *)lane;
	size_t i;

	for (i = 0; i < WORKER_RIG_COUNTERS; i++) {
		uint64_t now = count_read(&counters[i]);

		assert_true(now >= noted[i]);
		noted[i] = now;
	}
}

void worker_rig_stop(struct worker_rig *b, unsigned int i)
{
	struct worker_counters c = worker_counters(b->w, i);

	worker_stop(b->w, i);
	assert_int_equal(vq_quiesce(b->rings[i].driver[0]), 0);
	assert_int_equal(vq_quiesce(b->rings[i].driver[1]), 0);
	note(b->noted[i][0], c.to_fd);
	note(b->noted[i][1], c.to_vq);
}

void worker_rig_new_rings(struct worker_rig *b, unsigned int i, uint16_t num, uint64_t features)
{
	reflector_stop(&b->reflectors[i]);
	ring_pair_close(&b->rings[i]);
	ring_pair_open(&b->rings[i], num, features);
}

void worker_rig_reflect(struct worker_rig *b, unsigned int i)
{
	reflector_start(&b->reflectors[i], &b->rings[i]);
}

void worker_rig_round_trips(struct worker_rig *b, unsigned int i, uint32_t from, uint32_t to)
{
	uint32_t next = from, got;

	for (got = from; got < to; got++) {
		while (next < to && next < got + 20)
			assert_true(fake_kport_put(&b->ports[i], next++, false));
		assert_int_equal(fake_kport_get(&b->ports[i], WORKER_RIG_PATIENCE_MS, NULL), got);
	}
}

void worker_rig_await(const uint64_t *counter, uint64_t at_least)
{
	uint64_t deadline = now_ns() + WORKER_RIG_PATIENCE_MS * UINT64_C(1000000);

	while (count_read(counter) < at_least) {
		assert_true(now_ns() < deadline);
		usleep(50);
	}
}
