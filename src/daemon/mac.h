/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_MAC_H
#define DAEMON_MAC_H

#include <linux/if_ether.h>
#include <stdint.h>

/*
 * A locally administered address for interface @iface of the network namespace @netns ("": it
 * has no name), the same after each restart and another one on each machine: made of
 * /etc/machine-id and both names. (Of the interface's alone, a vnet0 in each of two namespaces
 * would share one. What else tells namespaces apart is not the same after a restart.)
 * -errno where there is no machine-id.
 */
int mac_derive(const char *iface, const char *netns, uint8_t mac[ETH_ALEN]);
/* Likewise, of the namespace that the calling thread is in. */
int mac_derive_here(const char *iface, uint8_t mac[ETH_ALEN]);

/* Room for an address as text, with its zero. */
#define MAC_TEXT 18u

void mac_format(char text[MAC_TEXT], const uint8_t mac[ETH_ALEN]);

#endif
