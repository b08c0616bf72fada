/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The long middle of a piece is summed in vectors: each lane of 64 bits takes the halves
 * of its words, which no piece shorter than 4 GiB can make overflow. Wide vectors are
 * chosen when the program is loaded, where the processor has them.
 */
#include "base/checksum.h"

#include <string.h>

#if defined(__x86_64__) && defined(__has_attribute)
#if __has_attribute(target_clones) && !defined(__SANITIZE_ADDRESS__) &&                            \
	!defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define FOR_EACH_VECTOR_WIDTH __attribute__((target_clones("avx2", "default")))
#endif
#endif
#ifndef FOR_EACH_VECTOR_WIDTH
#define FOR_EACH_VECTOR_WIDTH
#endif

#define BLOCK 64u /* bytes summed at a time */

/* Two of these are a block; the compiler makes of them what the processor has. */
typedef uint64_t lanes __attribute__((vector_size(BLOCK / 2)));

/* Shorter pieces are quicker without. */
#define VECTOR_MIN (2 * BLOCK)

static uint32_t fold_to_32(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

/* The lanes' sums are shorter than 64 bits, so their own sum does not overflow. */
#define SUM_LANES(v) ((v)[0] + (v)[1] + (v)[2] + (v)[3])

FOR_EACH_VECTOR_WIDTH
static uint64_t sum_blocks(const uint8_t *p, size_t blocks)
{
	const lanes low = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
	lanes a = {0}, b = {0}, u, v;

	for (; blocks; blocks--, p += BLOCK) {
		memcpy(&u, p, sizeof(u));
		memcpy(&v, p + sizeof(u), sizeof(v));
		a += (u & low) + (v & low);
		b += (u >> 32) + (v >> 32);
	}
	a += b;
	return SUM_LANES(a);
}

FOR_EACH_VECTOR_WIDTH
static uint64_t copy_blocks(uint8_t *to, const uint8_t *p, size_t blocks)
{
	const lanes low = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
	lanes a = {0}, b = {0}, u, v;

	for (; blocks; blocks--, p += BLOCK, to += BLOCK) {
		memcpy(&u, p, sizeof(u));
		memcpy(&v, p + sizeof(u), sizeof(v));
		memcpy(to, &u, sizeof(u));
		memcpy(to + sizeof(u), &v, sizeof(v));
		a += (u & low) + (v & low);
		b += (u >> 32) + (v >> 32);
	}
	a += b;
	return SUM_LANES(a);
}

uint32_t checksum_add(uint32_t sum, const void *from, size_t len)
{
	const uint8_t *p = from;
	uint64_t total = sum;

	if (len >= VECTOR_MIN) {
		total += sum_blocks(p, len / BLOCK);
		p += len & ~(size_t)(BLOCK - 1);
		len %= BLOCK;
	}
	return checksum_short(fold_to_32(total), p, len);
}

uint32_t checksum_copy(uint32_t sum, void *to, const void *from, size_t len)
{
	const uint8_t *p = from;
	uint8_t *out = to;
	uint64_t total = sum;

	if (len >= VECTOR_MIN) {
		total += copy_blocks(out, p, len / BLOCK);
		p += len & ~(size_t)(BLOCK - 1);
		out += len & ~(size_t)(BLOCK - 1);
		len %= BLOCK;
	}
	memcpy(out, p, len);
	return checksum_short(fold_to_32(total), p, len);
}
