/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes in pieces of all shapes against the same bytes in one piece. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "net/iov.h"

#define ROUNDS 20000u
#define TOTAL  200u
#define PIECES 24u

struct pieces {
	uint8_t bytes[TOTAL];
	struct iovec iov[PIECES];
	uint8_t *piece[PIECES];
	unsigned int n;
};

/* Cuts @p->bytes into pieces, each allocated alone so that a sanitizer sees its ends. */
static void cut(struct pieces *p, unsigned int *seed)
{
	size_t at = 0;

	for (p->n = 0; at < TOTAL; p->n++) {
		size_t n = p->n == PIECES - 1 ? TOTAL - at : (size_t)rand_r(seed) % 17;

		n = MIN(n, TOTAL - at);
		p->piece[p->n] = malloc(n ? n : 1);
		assert_non_null(p->piece[p->n]);
		memcpy(p->piece[p->n], p->bytes + at, n);
		p->iov[p->n] = (struct iovec){ p->piece[p->n], n };
		at += n;
	}
}

/* Puts the pieces together again. */
static void join(struct pieces *p, uint8_t out[TOTAL])
{
	unsigned int i;

	for (i = 0; i < p->n; i++) {
		memcpy(out, p->piece[i], p->iov[i].iov_len);
		out += p->iov[i].iov_len;
		free(p->piece[i]);
	}
}

static void fill(struct pieces *p, unsigned int *seed)
{
	unsigned int i;

	for (i = 0; i < TOTAL; i++)
		p->bytes[i] = (uint8_t)rand_r(seed);
	cut(p, seed);
}

static void test_insert4(void **state)
{
	static const uint8_t four[4] = { 0x81, 0x00, 0x20, 0x07 };
	unsigned int seed = 1, round;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		uint8_t out[TOTAL];
		struct pieces p;
		size_t len = 1 + (size_t)rand_r(&seed) % (TOTAL - 4);
		size_t at = (size_t)rand_r(&seed) % (len + 1);

		fill(&p, &seed);
		iov_insert4(p.iov, at, len, four);
		join(&p, out);
		assert_memory_equal(out, p.bytes, at);
		assert_memory_equal(out + at, four, 4);
		assert_memory_equal(out + at + 4, p.bytes + at, len - at);
		assert_memory_equal(out + len + 4, p.bytes + len + 4, TOTAL - len - 4);
	}
}

static void test_copy(void **state)
{
	unsigned int seed = 2, round;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		uint8_t out[TOTAL], unchanged[TOTAL];
		struct pieces from, to;
		size_t len = (size_t)rand_r(&seed) % (TOTAL + 1);

		fill(&from, &seed);
		fill(&to, &seed);
		iov_copy(to.iov, from.iov, len);
		join(&to, out);
		join(&from, unchanged);
		assert_memory_equal(out, from.bytes, len);
		assert_memory_equal(out + len, to.bytes + len, TOTAL - len);
		assert_memory_equal(unchanged, from.bytes, TOTAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_insert4),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
