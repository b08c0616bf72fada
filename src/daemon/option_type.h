/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of option values: how a value is checked and stored, and how what is allowed
 * is put into words. A row of the table in options.c names one of them.
 */
#ifndef DAEMON_OPTION_TYPE_H
#define DAEMON_OPTION_TYPE_H

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* ---- values ---- */

struct options_mac {
	bool given; /* else the kernel chooses an address */
	uint8_t addr[ETH_ALEN];
};

struct options_user {
	const char *name; /* NULL: whoever we are */
	uid_t uid;
	gid_t gid;
};

struct options_mode {
	bool given;
	mode_t mode;
};

struct options_group {
	bool given;
	gid_t gid;
};

#define OPTIONS_CPUS_MAX 128u
#define OPTIONS_CPU_MAX	 1023u /* of a cpu_set_t */

struct options_cpus {
	unsigned int n; /* 0: not given */
	int cpu[OPTIONS_CPUS_MAX];
};

/* ---- types ---- */

struct option_choice {
	const char *name;
	int value;
};

struct option_row;

struct option_type {
	/* false: not allowed. @field is where the row's offset points. */
	bool (*store)(const struct option_row *row, const char *value, void *field);
	/* "must be …" */
	void (*allowed)(const struct option_row *row, char *buf, size_t size);
	/* the value when none is given, for those that may stand bare; else NULL */
	const char *bare;
	/* asks who there is on this system, which may load code */
	bool asks;
};

struct option_row {
	const char *name;
	const struct option_type *type; /* NULL: takes no value */
	const char *metavar;
	const char *fallback; /* the default, as one would type it; NULL: none */
	bool mandatory;
	bool devarg;			     /* also a key of --devargs, with _ for - */
	bool devargs;			     /* is --devargs */
	bool no_key;			     /* not for the file of --config */
	size_t offset;			     /* in struct options */
	unsigned int min, max;		     /* numbers */
	const struct option_choice *choices; /* ends with a NULL name */
	void (*print)(FILE *text);	     /* prints and ends the program */
	const char *help;
};

/* Each is of the type of the field it stores to, from above where it is a struct. */
extern const struct option_type option_devargs;
extern const struct option_type option_path;   /* const char * */
extern const struct option_type option_iface;  /* const char * */
extern const struct option_type option_mac;    /* struct options_mac */
extern const struct option_type option_number; /* unsigned int, from min to max */
extern const struct option_type option_power;  /* unsigned int, a power of two of those */
extern const struct option_type option_choice; /* int, of choices */
extern const struct option_type option_onoff;  /* bool, 0 or 1 */
extern const struct option_type option_switch; /* bool, 0 or 1, and 1 when bare */
extern const struct option_type option_mode;   /* struct options_mode */
extern const struct option_type option_group;  /* struct options_group */
extern const struct option_type option_netns;	/* const char * */
extern const struct option_type option_user;	/* struct options_user */
extern const struct option_type option_cpus;   /* struct options_cpus */

#endif
