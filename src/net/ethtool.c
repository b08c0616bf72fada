/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/ethtool.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/util.h"

/* Words of each of the three link mode masks that any kernel of the next years has. */
#define MASK_WORDS_MAX 16

union settings {
	struct ethtool_link_settings base;
	uint8_t room[sizeof(struct ethtool_link_settings) + 3 * MASK_WORDS_MAX * sizeof(uint32_t)];
};

static int ethtool_ioctl(const char *name, void *command)
{
	struct ifreq ifr = {.ifr_data = command};
	int fd, r;

	if (strlen(name) >= sizeof(ifr.ifr_name))
		return -ENODEV;
	strcpy(ifr.ifr_name, name);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* any kind does */
	if (fd < 0)
		return -errno;
	r = ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
	close_fd(&fd);
	return r;
}

/* The kernel first says how long its masks are, as a negative number. */
static int get_settings(const char *name, union settings *s)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->base.cmd = ETHTOOL_GLINKSETTINGS;
	r = ethtool_ioctl(name, s);
	if (r)
		return r;
	if (s->base.link_mode_masks_nwords >= 0 || s->base.link_mode_masks_nwords < -MASK_WORDS_MAX)
		return -EOPNOTSUPP;
	s->base.link_mode_masks_nwords = (int8_t)-s->base.link_mode_masks_nwords;
	s->base.cmd = ETHTOOL_GLINKSETTINGS;
	return ethtool_ioctl(name, s);
}

int ethtool_set_speed(const char *name, unsigned int mbps)
{
	union settings s;
	int r = get_settings(name, &s);

	if (r)
		return r;
	s.base.cmd = ETHTOOL_SLINKSETTINGS;
	s.base.speed = mbps;
	s.base.duplex = DUPLEX_FULL;
	return ethtool_ioctl(name, &s);
}
