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

/* The last 0 to 3 bytes of a piece, as if zeros followed. */
static inline uint32_t checksum_tail(const uint8_t *p, size_t len)
{
	uint16_t word = 0, last = 0;

	if (len & 2) {
		memcpy(&word, p, sizeof(word));
		p += sizeof(word);
	}
	if (len & 1)
		memcpy(&last, p, 1);
	return (uint32_t)word + last;
}

/* The same as checksum_add, of pieces so short that a call would cost as much. */
static inline uint32_t checksum_short(uint32_t sum, const void *from, size_t len)
{
	const uint8_t *p = from;
	uint64_t total = sum, eight;
	uint32_t four;

	for (; len >= sizeof(eight); p += sizeof(eight), len -= sizeof(eight)) {
		memcpy(&eight, p, sizeof(eight));
		total += eight;
		total += total < eight; /* the carry */
	}
	sum = checksum_join((uint32_t)total, (uint32_t)(total >> 32));
	if (len >= sizeof(four)) {
		memcpy(&four, p, sizeof(four));
		sum = checksum_join(sum, four);
		p += sizeof(four);
		len -= sizeof(four);
	}
	return checksum_join(sum, checksum_tail(p, len));
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
