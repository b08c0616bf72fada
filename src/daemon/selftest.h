/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does this kernel do with superframes what it should? Some did not. */
#ifndef DAEMON_SELFTEST_H
#define DAEMON_SELFTEST_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Merges packets, has the kernel take the superframe in and cut it again, and compares: TCP and
 * UDP, IPv4 and IPv6, as far as a TAP takes them. This happens at a TAP of its own, in a network
 * namespace that nobody else sees and that is gone afterwards.
 *
 * *wrong are the offloads, of GUEST_TSO4, TSO6, USO4 and USO6, with which it came out otherwise;
 * *how is what it came to with the last of them, one phrase. 0, or -errno if there could be no
 * test: it takes CAP_NET_ADMIN and CAP_SYS_ADMIN.
 *
 * The kernel takes much longer to clear up. With @to_its_end this is waited for; else a thread
 * goes on with that for some milliseconds, without capabilities, in which the process must not
 * change its user: it could not.
 */
int selftest_superframes(bool to_its_end, uint64_t *wrong, const char **how);

#endif
