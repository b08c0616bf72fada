/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Features have numbers, which differ from kernel to kernel, and names, which do not:
 * the kernel is asked for the names first.
 */
#include "net/ethfeat.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int ethfeat_ioctl(int fd, const char *ifname, void *command)
{
	struct ifreq ifr = { .ifr_data = command };

	if (strlen(ifname) >= sizeof(ifr.ifr_name))
		return -ENODEV;
	memcpy(ifr.ifr_name, ifname, strlen(ifname));
	return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static int ethfeat_count(int fd, const char *ifname, uint32_t *count)
{
	struct ethtool_sset_info *info = calloc(1, sizeof(*info) + sizeof(info->data[0]));
	int err;

	if (!info)
		return -ENOMEM;
	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ull << ETH_SS_FEATURES;
	err = ethfeat_ioctl(fd, ifname, info);
	if (!err && !info->sset_mask)
		err = -EOPNOTSUPP;
	*count = info->data[0];
	free(info);
	return err;
}

/* The names of all features, in order of their numbers; to be freed. */
static int ethfeat_names(int fd, const char *ifname, struct ethtool_gstrings **out)
{
	struct ethtool_gstrings *names;
	uint32_t count = 0;
	int err = ethfeat_count(fd, ifname, &count);

	if (err)
		return err;
	names = calloc(1, sizeof(*names) + (size_t)count * ETH_GSTRING_LEN);
	if (!names)
		return -ENOMEM;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = count;
	err = ethfeat_ioctl(fd, ifname, names);
	if (err) {
		free(names);
		return err;
	}
	*out = names;
	return 0;
}

static bool ethfeat_find(const struct ethtool_gstrings *names, const char *name, uint32_t *number)
{
	uint32_t i;

	for (i = 0; i < names->len; i++) {
		*number = i;
		if (!strncmp((const char *)names->data + (size_t)i * ETH_GSTRING_LEN, name,
			     ETH_GSTRING_LEN))
			return true;
	}
	return false;
}

static int ethfeat_look(int fd, const char *ifname, const struct ethtool_gstrings *names,
			struct ethfeat *features, size_t n)
{
	size_t blocks = (names->len + 31) / 32, i;
	struct ethtool_gfeatures *get = calloc(1, sizeof(*get) + blocks * sizeof(get->features[0]));
	uint32_t number;
	int err;

	if (!get)
		return -ENOMEM;
	get->cmd = ETHTOOL_GFEATURES;
	get->size = (uint32_t)blocks;
	err = ethfeat_ioctl(fd, ifname, get);
	for (i = 0; i < n; i++)
		features[i].on = !err && ethfeat_find(names, features[i].name, &number) &&
				 get->features[number / 32].requested & 1u << number % 32;
	free(get);
	return err;
}

static int ethfeat_apply(int fd, const char *ifname, const struct ethtool_gstrings *names,
			 const struct ethfeat *wanted, size_t n)
{
	size_t blocks = (names->len + 31) / 32, i;
	struct ethtool_sfeatures *set = calloc(1, sizeof(*set) + blocks * sizeof(set->features[0]));
	uint32_t number;
	int err;

	if (!set)
		return -ENOMEM;
	set->cmd = ETHTOOL_SFEATURES;
	set->size = (uint32_t)blocks;
	for (i = 0; i < n; i++) {
		if (!ethfeat_find(names, wanted[i].name, &number))
			continue;
		set->features[number / 32].valid |= 1u << number % 32;
		if (wanted[i].on)
			set->features[number / 32].requested |= 1u << number % 32;
	}
	err = ethfeat_ioctl(fd, ifname, set);
	free(set);
	return err;
}

int ethfeat_open(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int ethfeat_get(int fd, const char *ifname, struct ethfeat *features, size_t n)
{
	struct ethtool_gstrings *names = NULL;
	int err = ethfeat_names(fd, ifname, &names);

	if (!err)
		err = ethfeat_look(fd, ifname, names, features, n);
	free(names);
	return err;
}

int ethfeat_set(int fd, const char *ifname, const struct ethfeat *wanted, size_t n)
{
	struct ethtool_gstrings *names = NULL;
	int err = ethfeat_names(fd, ifname, &names);

	if (!err)
		err = ethfeat_apply(fd, ifname, names, wanted, n);
	free(names);
	return err;
}
