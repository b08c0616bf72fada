/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/mac.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-id128.h>

#include "base/util.h"
#include "net/netns.h"

/* What tells our use of the machine-id apart from anyone else's (machine-id(5)). */
#define APPLICATION_ID SD_ID128_MAKE(4c, 1d, 7e, 93, 5a, b8, 4f, 0e, 9b, 26, c3, 70, 18, ef, 54, ad)

/* FNV-1a: nobody gains from a collision, there need only be few. */
static uint64_t hash(uint64_t h, const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ data[i]) * UINT64_C(0x100000001b3);
	return h;
}

int mac_derive(const char *iface, const char *netns, uint8_t mac[ETH_ALEN])
{
	sd_id128_t id;
	uint64_t h;
	int r = sd_id128_get_machine_app_specific(APPLICATION_ID, &id);
	unsigned int i;

	if (r < 0)
		return r;
	h = hash(UINT64_C(0xcbf29ce484222325), id.bytes, sizeof(id.bytes));
	h = hash(h, (const uint8_t *)iface, strlen(iface) + 1);
	h = hash(h, (const uint8_t *)netns, strlen(netns));
	for (i = 0; i < ETH_ALEN; i++)
		mac[i] = (uint8_t)(h >> 8 * i);
	mac[0] = (uint8_t)((mac[0] & ~1u) | 2u); /* unicast, locally administered */
	return 0;
}

int mac_derive_here(const char *iface, uint8_t mac[ETH_ALEN])
{
	char netns[NAME_MAX + 1] = "";
	const char *why;
	int fd = netns_open("/proc/thread-self/ns/net", &why);

	if (fd >= 0 && netns_find_name(fd, netns, sizeof(netns)))
		netns[0] = '\0';
	close_fd(&fd);
	return mac_derive(iface, netns, mac);
}

void mac_format(char text[MAC_TEXT], const uint8_t mac[ETH_ALEN])
{
	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
}
