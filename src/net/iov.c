/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/iov.h"

#include "base/util.h"

#include <string.h>

/* Skips the pieces before @at; what is left of it is an offset in the piece returned. */
static const struct iovec *iov_find(const struct iovec *iov, size_t *at)
{
	while (*at >= iov->iov_len)
		*at -= iov++->iov_len;
	return iov;
}

/* Puts @carry before the @len bytes at @p; the four that no longer fit become the carry. */
static void iov_push4(uint8_t *p, size_t len, uint8_t carry[4])
{
	uint8_t out[8];

	if (len < 4) {
		memcpy(out, carry, 4);
		memcpy(out + 4, p, len);
		memcpy(p, out, len);
		memcpy(carry, out + len, 4);
		return;
	}
	memcpy(out, p + len - 4, 4);
	memmove(p + 4, p, len - 4);
	memcpy(p, carry, 4);
	memcpy(carry, out, 4);
}

void iov_insert4(const struct iovec *iov, size_t at, size_t len, const uint8_t four[4])
{
	size_t left = len + 4 - at;
	uint8_t carry[4];

	memcpy(carry, four, 4);
	for (iov = iov_find(iov, &at); left > 0; iov++) {
		size_t n = MIN(iov->iov_len - at, left);

		iov_push4((uint8_t *)iov->iov_base + at, n, carry);
		left -= n;
		at = 0;
	}
}

void iov_copy(const struct iovec *to, const struct iovec *from, size_t len)
{
	size_t to_at = 0, from_at = 0;

	while (len > 0) {
		size_t n;

		to = iov_find(to, &to_at);
		from = iov_find(from, &from_at);
		n = MIN(len, MIN(to->iov_len - to_at, from->iov_len - from_at));
		memcpy((uint8_t *)to->iov_base + to_at, (const uint8_t *)from->iov_base + from_at,
		       n);
		to_at += n;
		from_at += n;
		len -= n;
	}
}
