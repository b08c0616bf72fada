/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzz targets share: the input as a stream of small numbers, and the alarm. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An input may end anywhere: what is missing reads as 0. */
struct input {
	const uint8_t *p;
	size_t left;
};

static inline void input_bytes(struct input *in, void *to, size_t n)
{
	size_t there = n < in->left ? n : in->left;

	memset(to, 0, n);
	if (there)
		memcpy(to, in->p, there);
	in->p += there;
	in->left -= there;
}

static inline uint8_t input8(struct input *in)
{
	uint8_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint16_t input16(struct input *in)
{
	uint16_t lo = input8(in);

	return (uint16_t)(lo | input8(in) << 8);
}

static inline uint32_t input32(struct input *in)
{
	uint32_t lo = input16(in);

	return lo | (uint32_t)input16(in) << 16;
}

/* A broken promise is a crash, which is what the fuzzer looks for. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
