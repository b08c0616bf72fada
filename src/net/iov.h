/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes in pieces. An offset counts from the first byte of iov[0]; the pieces must hold
 * what a function touches.
 */
#ifndef NET_IOV_H
#define NET_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Moves bytes [@at, @len) up by four and puts @four there: @len + 4 bytes are touched. */
void iov_insert4(const struct iovec *iov, size_t at, size_t len, const uint8_t four[4]);

/* Copies @len bytes. */
void iov_copy(const struct iovec *to, const struct iovec *from, size_t len);

#endif
