/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Link events may be lost (ENOBUFS: the socket's buffer was full). The state is
 * then asked for again, by interface index, on the same socket: its answer is an
 * RTM_NEWLINK like any other, or an error that says that the interface is gone.
 * It is asked for only once the buffer is drained, or it would be lost as well.
 *
 * IFF_PROMISC and IFF_ALLMULTI are shown only where the user has set them. The counts of all
 * who want it are attributes, of which older kernels lack the second. A count of
 * all-multicast that changes alone is no event: it is told with the next one.
 */
#include "net/linkmon.h"

#include "base/uapi.h"
#include "base/util.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#define LINKMON_BUF 32768u /* the kernel's largest link event is about half of it */

enum linkmon_told {
	LINKMON_NOTHING,
	LINKMON_STATE,
	LINKMON_GONE, /* an interface of this index may still come back */
};

struct linkmon {
	struct mnl_socket *sock;
	const struct linkmon_events *events;
	void *owner;
	unsigned int ifindex;
	unsigned int seq;
	enum linkmon_told told;     /* last */
	struct linkmon_state state; /* the last one told */
	char buf[LINKMON_BUF];
};

/* Asks for the link; linkmon_dispatch will read the answer. */
static int linkmon_request(struct linkmon *lm)
{
	char buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = ++lm->seq;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)lm->ifindex;
	return mnl_socket_sendto(lm->sock, nlh, nlh->nlmsg_len) < 0 ? -errno : 0;
}

int linkmon_open(struct linkmon **out, unsigned int ifindex, const struct linkmon_events *events,
		 void *owner)
{
	struct linkmon *lm = calloc(1, sizeof(*lm));
	int err = 0;

	*out = NULL;
	if (!lm)
		return -ENOMEM;
	lm->ifindex = ifindex;
	lm->events = events;
	lm->owner = owner;
	lm->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	/* subscribe before asking: what changes in between is told too */
	if (!lm->sock || mnl_socket_bind(lm->sock, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	if (!err && ifindex)
		err = linkmon_request(lm);
	if (err) {
		linkmon_close(lm);
		return err;
	}
	*out = lm;
	return 0;
}

void linkmon_close(struct linkmon *lm)
{
	if (!lm)
		return;
	if (lm->sock)
		mnl_socket_close(lm->sock);
	free(lm);
}

int linkmon_watch(struct linkmon *lm, unsigned int ifindex)
{
	lm->ifindex = ifindex;
	lm->told = LINKMON_NOTHING;
	memset(&lm->state, 0, sizeof(lm->state));
	return ifindex ? linkmon_request(lm) : 0;
}

int linkmon_fd(const struct linkmon *lm)
{
	return mnl_socket_get_fd(lm->sock);
}

/* Attributes that are missing (wireless events carry few) leave the state as it is. */
static int linkmon_parse_attr(const struct nlattr *attr, void *data)
{
	struct linkmon_state *state = data;
	size_t len = mnl_attr_get_payload_len(attr);
	const void *payload = mnl_attr_get_payload(attr);

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		memset(state->name, 0, sizeof(state->name));
		memcpy(state->name, payload, MIN(len, sizeof(state->name) - 1));
		break;
	case IFLA_ADDRESS:
		if (len == sizeof(state->mac))
			memcpy(state->mac, payload, len);
		break;
	case IFLA_MTU:
		if (len == sizeof(uint32_t))
			state->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_OPERSTATE:
		if (len == sizeof(uint8_t))
			state->operstate = mnl_attr_get_u8(attr);
		break;
	case IFLA_CARRIER:
		if (len == sizeof(uint8_t))
			state->carrier = mnl_attr_get_u8(attr) != 0;
		break;
	case IFLA_PROMISCUITY:
		if (len == sizeof(uint32_t))
			state->promisc = mnl_attr_get_u32(attr) != 0;
		break;
	case IFLA_ALLMULTI:
		if (len == sizeof(uint32_t))
			state->allmulti = mnl_attr_get_u32(attr) != 0;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static bool linkmon_same(const struct linkmon_state *a, const struct linkmon_state *b)
{
	return a->flags == b->flags && a->mtu == b->mtu && a->operstate == b->operstate &&
	       a->carrier == b->carrier && a->promisc == b->promisc &&
	       a->allmulti == b->allmulti && !memcmp(a->mac, b->mac, sizeof(a->mac)) &&
	       !strcmp(a->name, b->name);
}

static void linkmon_tell_gone(struct linkmon *lm)
{
	if (lm->told == LINKMON_GONE)
		return;
	lm->told = LINKMON_GONE;
	memset(&lm->state, 0, sizeof(lm->state));
	lm->events->gone(lm->owner);
}

static void linkmon_tell(struct linkmon *lm, const struct nlmsghdr *nlh, unsigned int flags)
{
	struct linkmon_state state = lm->state;

	state.flags = flags;
	state.promisc = flags & IFF_PROMISC;
	state.allmulti = flags & IFF_ALLMULTI;
	mnl_attr_parse(nlh, sizeof(struct ifinfomsg), linkmon_parse_attr, &state);
	if (lm->told == LINKMON_STATE && linkmon_same(&state, &lm->state))
		return;
	lm->told = LINKMON_STATE;
	lm->state = state;
	lm->events->changed(lm->owner, &state);
}

static int linkmon_on_message(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct linkmon *lm = data;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) ||
	    (unsigned int)ifi->ifi_index != lm->ifindex)
		return MNL_CB_OK;
	/* AF_BRIDGE: it joined or left a bridge, which is said with RTM_DELLINK too */
	if (ifi->ifi_family != AF_UNSPEC)
		return MNL_CB_OK;
	if (nlh->nlmsg_type == RTM_NEWLINK)
		linkmon_tell(lm, nlh, ifi->ifi_flags);
	else if (nlh->nlmsg_type == RTM_DELLINK)
		linkmon_tell_gone(lm);
	return MNL_CB_OK;
}

/* Handles one datagram of @len bytes; *lost is set when the state must be asked for again. */
static int linkmon_handle(struct linkmon *lm, size_t len, bool *lost)
{
	if (mnl_cb_run(lm->buf, len, 0, 0, linkmon_on_message, lm) >= 0)
		return 0;
	switch (errno) {
	case ENODEV: /* the answer to linkmon_request */
		linkmon_tell_gone(lm);
		return 0;
	case EINTR: /* NLM_F_DUMP_INTR */
		*lost = true;
		return 0;
	default:
		return -errno;
	}
}

int linkmon_dispatch(struct linkmon *lm)
{
	bool lost = false;

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(lm->sock, lm->buf, sizeof(lm->buf));
		int err = 0;

		if (n >= 0) {
			err = linkmon_handle(lm, (size_t)n, &lost);
		} else if (errno == ENOBUFS || errno == ENOSPC) { /* overrun, truncated */
			lost = true;
		} else if (errno == EAGAIN) {
			if (!lost)
				return 0;
			lost = false;
			err = linkmon_request(lm);
		} else if (errno != EINTR) {
			err = -errno;
		}
		if (err)
			return err;
	}
}
