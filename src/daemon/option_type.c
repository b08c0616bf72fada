/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/option_type.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/if.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"

static bool has_control(const char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s))
			return true;
	return false;
}

static bool store_path(const struct option_row *row, const char *value, void *field)
{
	(void)row;
	if (strlen(value) >= PATH_MAX || has_control(value))
		return false;
	*(const char **)field = value;
	return true;
}

static void allowed_path(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "a path of 1 to %d bytes without control characters", PATH_MAX - 1);
}

/* What the kernel's dev_valid_name and dev_alloc_name accept. */
static bool store_iface(const struct option_row *row, const char *value, void *field)
{
	const char *percent = strchr(value, '%');

	(void)row;
	if (strlen(value) >= IFNAMSIZ || !strcmp(value, ".") || !strcmp(value, ".."))
		return false;
	if (strpbrk(value, "/: ") || has_control(value))
		return false;
	if (percent && (percent[1] != 'd' || strchr(percent + 1, '%')))
		return false;
	*(const char **)field = value;
	return true;
}

static void allowed_iface(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "1 to %d bytes, not . or .., no / : space, %% in one %%d",
		 IFNAMSIZ - 1);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool store_mac(const struct option_row *row, const char *value, void *field)
{
	static const uint8_t zero[ETH_ALEN];
	struct options_mac mac = {.given = true};
	unsigned int i;

	(void)row;
	if (strlen(value) != ETH_ALEN * 3 - 1)
		return false;
	for (i = 0; i < ETH_ALEN; i++) {
		int high = hex_digit(value[3 * i]), low = hex_digit(value[3 * i + 1]);

		if (high < 0 || low < 0 || (i < ETH_ALEN - 1 && value[3 * i + 2] != ':'))
			return false;
		mac.addr[i] = (uint8_t)(high << 4 | low);
	}
	if ((mac.addr[0] & 1) || !memcmp(mac.addr, zero, ETH_ALEN))
		return false;
	*(struct options_mac *)field = mac;
	return true;
}

static void allowed_mac(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "a unicast address like 02:00:00:00:00:01");
}

/* Decimal digits and nothing else: strtoul takes spaces and signs, too. */
static bool read_number(const struct option_row *row, const char *value, unsigned int *n)
{
	uint64_t sum = 0;

	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return false;
		sum = sum * 10 + (unsigned int)(*value - '0');
		if (sum > row->max)
			return false;
	}
	*n = (unsigned int)sum;
	return *n >= row->min;
}

static bool store_number(const struct option_row *row, const char *value, void *field)
{
	return read_number(row, value, field);
}

static void allowed_number(const struct option_row *row, char *buf, size_t size)
{
	snprintf(buf, size, "a whole number from %u to %u", row->min, row->max);
}

static bool store_power(const struct option_row *row, const char *value, void *field)
{
	unsigned int n;

	if (!read_number(row, value, &n) || (n & (n - 1)))
		return false;
	*(unsigned int *)field = n;
	return true;
}

static void allowed_power(const struct option_row *row, char *buf, size_t size)
{
	snprintf(buf, size, "a power of two from %u to %u", row->min, row->max);
}

static bool store_choice(const struct option_row *row, const char *value, void *field)
{
	const struct option_choice *c;

	for (c = row->choices; c->name; c++) {
		if (!strcmp(c->name, value)) {
			*(int *)field = c->value;
			return true;
		}
	}
	return false;
}

static void allowed_choice(const struct option_row *row, char *buf, size_t size)
{
	const struct option_choice *c;
	size_t n = (size_t)snprintf(buf, size, "one of");

	for (c = row->choices; c->name && n < size; c++)
		n += (size_t)snprintf(buf + n, size - n, "%s %s", c == row->choices ? "" : ",",
				      c->name);
}

static bool store_onoff(const struct option_row *row, const char *value, void *field)
{
	(void)row;
	if (strcmp(value, "0") && strcmp(value, "1"))
		return false;
	*(bool *)field = value[0] == '1';
	return true;
}

static void allowed_onoff(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "0 or 1");
}

/* Permission bits of a file, in octal as chmod takes them. */
static bool store_mode(const struct option_row *row, const char *value, void *field)
{
	struct options_mode mode = {.given = true};

	(void)row;
	if (strlen(value) > 4)
		return false;
	for (; *value; value++) {
		if (*value < '0' || *value > '7')
			return false;
		mode.mode = mode.mode << 3 | (mode_t)(*value - '0');
	}
	if (mode.mode > 0777)
		return false;
	*(struct options_mode *)field = mode;
	return true;
}

static void allowed_mode(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "permission bits in octal from 0 to 0777");
}

/* A name of the group database, or a number. */
static bool store_group(const struct option_row *row, const char *value, void *field)
{
	const struct option_row id = {.max = INT_MAX};
	struct options_group group = {.given = true};
	const struct group *entry = getgrnam(value);
	unsigned int number;

	(void)row;
	if (entry)
		group.gid = entry->gr_gid;
	else if (read_number(&id, value, &number))
		group.gid = number;
	else
		return false;
	*(struct options_group *)field = group;
	return true;
}

static void allowed_group(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "the name or number of a group");
}

/* Reads "N" or "N-M" up to a comma or the end; returns what follows, NULL: wrong. */
static const char *read_cpus(const char *s, struct options_cpus *cpus)
{
	const struct option_row cpu = {.max = OPTIONS_CPU_MAX};
	unsigned int first, last;
	char word[16];
	size_t len = strcspn(s, ",");
	char *dash;

	if (len == 0 || len >= sizeof(word))
		return NULL;
	memcpy(word, s, len);
	word[len] = '\0';
	dash = strchr(word, '-');
	if (dash)
		*dash = '\0';
	if (!word[0] || !read_number(&cpu, word, &first))
		return NULL;
	last = first;
	if (dash && (!dash[1] || !read_number(&cpu, dash + 1, &last)))
		return NULL;
	if (last < first)
		return NULL;
	for (; first <= last; first++) {
		if (cpus->n == ARRAY_SIZE(cpus->cpu))
			return NULL;
		cpus->cpu[cpus->n++] = (int)first;
	}
	return s[len] ? s + len + 1 : s + len;
}

static bool store_cpus(const struct option_row *row, const char *value, void *field)
{
	struct options_cpus cpus = {0};
	size_t len = strlen(value);

	(void)row;
	if (len && value[len - 1] == ',')
		return false;
	while (value && *value)
		value = read_cpus(value, &cpus);
	if (!value || !cpus.n)
		return false;
	*(struct options_cpus *)field = cpus;
	return true;
}

static void allowed_cpus(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "a list of up to %u processors like 0,2-3", OPTIONS_CPUS_MAX);
}

/* A name in the directory of "ip netns", or a path. */
static bool store_netns(const struct option_row *row, const char *value, void *field)
{
	if (!strcmp(value, ".") || !strcmp(value, ".."))
		return false;
	if (!strchr(value, '/') && strlen(value) > NAME_MAX)
		return false;
	return store_path(row, value, field);
}

static void allowed_netns(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "a name as in \"ip netns\", or a path with a / in it");
}

static bool store_user(const struct option_row *row, const char *value, void *field)
{
	const struct passwd *pw = getpwnam(value);

	(void)row;
	if (!pw)
		return false;
	*(struct options_user *)field =
		(struct options_user){.name = value, .uid = pw->pw_uid, .gid = pw->pw_gid};
	return true;
}

static void allowed_user(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "the name of a user of this system");
}

const struct option_type option_netns = {store_netns, allowed_netns, NULL, false};
const struct option_type option_user = {store_user, allowed_user, NULL, true};

/* Taken apart by options.c, which knows the keys. */
static bool store_devargs(const struct option_row *row, const char *value, void *field)
{
	(void)row;
	(void)field;
	return *value;
}

static void allowed_devargs(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "a list of KEY=VALUE like path=/tmp/sock,queues=2");
}

const struct option_type option_devargs = {store_devargs, allowed_devargs, NULL, false};
const struct option_type option_path = {store_path, allowed_path, NULL, false};
const struct option_type option_iface = {store_iface, allowed_iface, NULL, false};
const struct option_type option_mac = {store_mac, allowed_mac, NULL, false};
const struct option_type option_number = {store_number, allowed_number, NULL, false};
const struct option_type option_power = {store_power, allowed_power, NULL, false};
const struct option_type option_choice = {store_choice, allowed_choice, NULL, false};
const struct option_type option_onoff = {store_onoff, allowed_onoff, NULL, false};
const struct option_type option_switch = {store_onoff, allowed_onoff, "1", false};
const struct option_type option_mode = {store_mode, allowed_mode, NULL, false};
const struct option_type option_group = {store_group, allowed_group, NULL, true};
const struct option_type option_cpus = {store_cpus, allowed_cpus, NULL, false};
