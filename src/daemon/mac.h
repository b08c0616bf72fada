/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_MAC_H
#define DAEMON_MAC_H

#include <linux/if_ether.h>
#include <stdint.h>

/*
 * A locally administered address for interface @iface of the backend at @path, the same
 * after each restart and another one on each machine: made of /etc/machine-id and both
 * names. (Of the interface's alone, two containers with a vnet0 each would share one.)
 * -errno where there is no machine-id.
 */
int mac_derive(const char *iface, const char *path, uint8_t mac[ETH_ALEN]);

/* Room for an address as text, with its zero. */
#define MAC_TEXT 18u

void mac_format(char text[MAC_TEXT], const uint8_t mac[ETH_ALEN]);

#endif
