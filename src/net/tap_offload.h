/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a TAP's kernel does with checksums and superframes (TUNSETOFFLOAD), as features. */
#ifndef NET_TAP_OFFLOAD_H
#define NET_TAP_OFFLOAD_H

#include <vubridge/kport.h>

/*
 * Finds out by trying on the TAP's first descriptor: sets kp->offloads, and leaves all turned
 * off. 0 or -errno.
 */
int tap_offload_probe(struct kport *kp);

/* As the operation of struct kport_ops. */
int tap_offload_set(struct kport *kp, uint64_t host_features);

#endif
