/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/announce.h"

#include <arpa/inet.h>
#include <net/if_arp.h>
#include <string.h>

/* RFC 903 over Ethernet and IPv4: the addresses of IPv4 stay zero. */
struct rarp {
	struct ethhdr eth;
	struct arphdr arp;
	uint8_t sender_mac[ETH_ALEN];
	uint8_t sender_ip[4];
	uint8_t target_mac[ETH_ALEN];
	uint8_t target_ip[4];
} __attribute__((packed));

_Static_assert(sizeof(struct rarp) == 42, "Ethernet header and RARP packet");

void announce_packet(uint8_t packet[ANNOUNCE_LEN], const uint8_t mac[ETH_ALEN])
{
	struct rarp rarp = {
		.eth.h_proto = htons(ETH_P_RARP),
		.arp.ar_hrd = htons(ARPHRD_ETHER),
		.arp.ar_pro = htons(ETH_P_IP),
		.arp.ar_hln = ETH_ALEN,
		.arp.ar_pln = 4,
		.arp.ar_op = htons(ARPOP_RREQUEST),
	};

	memset(rarp.eth.h_dest, 0xff, ETH_ALEN);
	memcpy(rarp.eth.h_source, mac, ETH_ALEN);
	memcpy(rarp.sender_mac, mac, ETH_ALEN);
	memcpy(rarp.target_mac, mac, ETH_ALEN);
	memset(packet, 0, ANNOUNCE_LEN);
	memcpy(packet, &rarp, sizeof(rarp));
}
