/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Watches one network interface by the kernel's link events, for an event loop. */
#ifndef NET_LINKMON_H
#define NET_LINKMON_H

#include <linux/if.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdint.h>

struct linkmon_state {
	unsigned int flags; /* IFF_UP, IFF_LOWER_UP, IFF_RUNNING, … */
	unsigned int mtu;
	uint8_t operstate; /* IF_OPER_… (RFC 2863) */
	bool carrier;      /* also while the interface is down, unlike IFF_LOWER_UP */
	bool promisc, allmulti; /* whoever asked for it, unlike the flags: a bridge, tcpdump */
	uint8_t mac[ETH_ALEN];
	char name[IFNAMSIZ];
};

/* Called from linkmon_dispatch; neither may close the monitor. */
struct linkmon_events {
	/* The state differs from the last one told. The first call tells what was found. */
	void (*changed)(void *owner, const struct linkmon_state *state);
	/* The interface was deleted, or moved to another network namespace. */
	void (*gone)(void *owner);
};

struct linkmon;

/*
 * Watches interface @ifindex (0: none yet) of this network namespace. Nothing is told before the
 * first linkmon_dispatch. @events must outlive the monitor.
 */
int linkmon_open(struct linkmon **out, unsigned int ifindex, const struct linkmon_events *events,
		 void *owner);
/*
 * Forgets what was told and watches interface @ifindex, of the same namespace, from now
 * on; 0: none. Not from within an event.
 */
int linkmon_watch(struct linkmon *lm, unsigned int ifindex);
/* Readable when linkmon_dispatch has something to do. */
int linkmon_fd(const struct linkmon *lm);
/* Reads all that is pending, without blocking. 0, or -errno when the socket failed. */
int linkmon_dispatch(struct linkmon *lm);
void linkmon_close(struct linkmon *lm);

#endif
