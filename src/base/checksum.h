/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sums of the Internet checksum (RFC 1071): 16-bit words in memory order, so the byte
 * order of the machine does not matter and a folded sum is stored as it is. A partial sum
 * is 32 bits wide, unfolded, and goes on with the next piece if this one was even.
 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* @sum and the @len bytes at @p, less than 4 GiB. */
uint32_t checksum_add(uint32_t sum, const void *p, size_t len);

/* The same while copying them to @to. */
uint32_t checksum_copy(uint32_t sum, void *to, const void *p, size_t len);

/* Adds two partial sums, or to one of them a word in memory order. */
static inline uint32_t checksum_join(uint32_t a, uint32_t b)
{
	uint64_t sum = (uint64_t)a + b;

	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

/* A sum of 64 bits and eight more bytes: the carry goes round. */
static inline uint64_t checksum_eight(uint64_t total, uint64_t eight)
{
	total += eight;
	return total + (total < eight);
}

/* The @n bytes before @end, fewer than 8, as if zeros followed; 8 can be read there. */
static inline uint64_t checksum_last(const uint8_t *end, size_t n)
{
	uint64_t eight;

	if (n == 0)
		return 0;
	memcpy(&eight, end - sizeof(eight), sizeof(eight));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return eight >> (64 - 8 * n);
#else
	return eight << (64 - 8 * n);
#endif
}

/* The same as checksum_add, of pieces so short that a call would cost as much. */
static inline uint32_t checksum_short(uint32_t sum, const void *from, size_t len)
{
	const uint8_t *p = from, *end = p + len;
	uint8_t few[sizeof(uint64_t)] = {0};
	uint64_t total = sum, eight, next;

	if (len < sizeof(eight)) {
		memcpy(few, p, len);
		p = few;
		end = few + sizeof(few);
	}
	for (; end - p >= (ptrdiff_t)(2 * sizeof(eight)); p += 2 * sizeof(eight)) {
		memcpy(&eight, p, sizeof(eight));
		memcpy(&next, p + sizeof(eight), sizeof(next));
		total = checksum_eight(checksum_eight(total, eight), next);
	}
	if (end - p >= (ptrdiff_t)sizeof(eight)) {
		memcpy(&eight, p, sizeof(eight));
		total = checksum_eight(total, eight);
		p += sizeof(eight);
	}
	total = checksum_eight(total, checksum_last(end, (size_t)(end - p)));
	return checksum_join((uint32_t)total, (uint32_t)(total >> 32));
}

/* @sum and @n words of 32 bits, which the compiler should know: a header's, say. */
static inline uint32_t checksum_words(uint32_t sum, const void *p, size_t n)
{
	uint64_t total = sum;
	uint32_t word;
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(&word, (const char *)p + i * sizeof(word), sizeof(word));
		total += word;
	}
	return checksum_join((uint32_t)total, (uint32_t)(total >> 32));
}

/* What a piece's sum is when an odd number of bytes stands before it. */
static inline uint32_t checksum_shift(uint32_t sum)
{
	return sum << 8 | sum >> 24;
}

/* Folded to 16 bits: 0xffff for all that is good, its complement is the checksum. */
static inline uint16_t checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

#endif
