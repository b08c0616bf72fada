/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells the network behind the backend where an address is now. */
#ifndef DAEMON_ANNOUNCE_H
#define DAEMON_ANNOUNCE_H

#include <linux/if_ether.h>
#include <stdint.h>

/* As short as Ethernet allows, without checksum. */
#define ANNOUNCE_LEN ETH_ZLEN

/* A broadcast by which every switch on its way learns @mac: a RARP request (RFC 903). */
void announce_packet(uint8_t packet[ANNOUNCE_LEN], const uint8_t mac[ETH_ALEN]);

#endif
