/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pair outlives the process that made it, so one made here bears a mark, by which the
 * next process knows that it is its to remove. Two packet sockets on one end would both
 * get every frame; a name that is unique in the network namespace keeps the second away.
 */
#include "net/packet_pair.h"

#include "base/util.h"
#include "net/packet_user.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PACKET_PAIR_SUFFIX "-vub"

/* The hidden end's name for the user's end @name. */
static void packet_pair_derive(char out[IFNAMSIZ], const char *name)
{
	snprintf(out, IFNAMSIZ, "%.*s" PACKET_PAIR_SUFFIX, (int)(IFNAMSIZ - sizeof(PACKET_PAIR_SUFFIX)),
		 name);
}

/* Holds interface @ifindex of this namespace for as long as *fd is open. */
static int packet_pair_lock(int *fd, unsigned int ifindex)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int len;

	*fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	/* an abstract name: of this network namespace, and gone with its socket */
	len = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "vubridge-veth-%u", ifindex);
	if (bind(*fd, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0)
		return errno == EADDRINUSE ? -EBUSY : -errno;
	return 0;
}

/* The user's end must not be someone's hidden end, so that is tried as well. */
static int packet_pair_lock_pair(struct packet *p, unsigned int hidden, unsigned int user)
{
	int fd = -1, err = packet_pair_lock(&p->lock_fd, hidden);

	if (!err && user)
		err = packet_pair_lock(&fd, user);
	close_fd(&fd);
	return err;
}

/* Takes the hidden end @hidden for this process, with the user's end @user. */
static int packet_pair_take(struct packet *p, const struct rtnl_info *hidden,
		       const struct rtnl_info *user, const char **why)
{
	unsigned int ifindex = hidden->link_netnsid == RTNL_NETNS_HERE ? user->ifindex : 0;
	int err;

	/* the bridge would get each frame too */
	if (hidden->master)
		return packet_fail(why, -EBUSY,
				   "the hidden end of the existing veth is a port of a bridge or "
				   "the like; take it out (ip link set ... nomaster)");
	err = packet_pair_lock_pair(p, hidden->ifindex, ifindex);
	if (err)
		return packet_fail(why, err, "the existing veth is in use by another process");
	p->kport.hidden_ifindex = hidden->ifindex;
	p->kport.ifindex = ifindex;
	memcpy(p->kport.name, user->name, sizeof(p->kport.name));
	memcpy(p->kport.mac, user->mac, sizeof(p->kport.mac));
	p->told = PACKET_GSO; /* nobody knows, unless the mark tells */
	p->kport.created = veth_made_here(hidden, &p->told);
	p->before.link = *hidden;
	return 0;
}

/* The user's end is here. */
static int packet_pair_attach(struct packet *p, const struct packet_config *cfg,
			 const struct rtnl_info *user, const char **why)
{
	struct rtnl_info hidden;
	int err;

	if (strcmp(user->kind, "veth"))
		return packet_fail(why, -EEXIST,
				   "the interface of that name is not a veth; choose another name");
	if (user->link_netnsid != RTNL_NETNS_HERE)
		return packet_fail(why, -EXDEV,
				   "the other end of the existing veth is in another network "
				   "namespace; run there with --veth-peer, or bring it here");
	err = rtnl_get(p->rtnl, user->link, &hidden);
	if (err)
		return packet_fail(why, err, "the other end of the existing veth is not found");
	if (cfg->peer && strcmp(cfg->peer, hidden.name))
		return packet_fail(why, -EEXIST,
				   "the existing veth's other end has another name than "
				   "--veth-peer gives");
	return packet_pair_take(p, &hidden, user, why);
}

/* The user's end is not here. If the hidden one is, it was moved away. */
static int packet_pair_attach_hidden(struct packet *p, const struct rtnl_info *hidden, const char **why)
{
	struct rtnl_info user;
	int err;

	if (strcmp(hidden->kind, "veth") || hidden->link_netnsid == RTNL_NETNS_HERE)
		return packet_fail(why, -EEXIST,
				   "the name of the hidden end is taken by another interface; "
				   "give one with --veth-peer");
	err = rtnl_get_in(p->rtnl, hidden->link_netnsid, hidden->link, &user);
	if (err)
		return packet_fail(why, err,
				   "the existing veth's other end is in a network namespace that "
				   "cannot be looked into");
	return packet_pair_take(p, hidden, &user, why);
}

/* Under a name that nobody else uses, until the kernel has found the user's end its own. */
static int packet_pair_create(struct packet *p, const struct packet_config *cfg, const char **why)
{
	char name[IFNAMSIZ];
	struct rtnl_info hidden, user;
	int err;

	snprintf(name, sizeof(name), "vub-%x", (unsigned int)getpid());
	err = veth_add(p->rtnl, cfg->name, name);
	if (!err)
		err = rtnl_get_by_name(p->rtnl, name, &hidden);
	if (err == -EOPNOTSUPP)
		return packet_fail(why, err, "the kernel has no veth; run `modprobe veth`");
	if (err == -EPERM)
		return packet_fail(why, err,
				   "no permission to create a veth; run with CAP_NET_ADMIN");
	if (err)
		return packet_fail(why, err, "the kernel does not create a veth of that name");
	err = rtnl_get(p->rtnl, hidden.link, &user);
	if (!err) {
		packet_pair_derive(name, user.name);
		err = rtnl_set_name(p->rtnl, hidden.ifindex, cfg->peer ? cfg->peer : name);
		if (err)
			*why = "the hidden end cannot have its name; give another with --veth-peer";
	}
	if (!err)
		err = packet_pair_take(p, &hidden, &user, why);
	if (err)
		rtnl_delete(p->rtnl, hidden.ifindex);
	return err;
}

int packet_pair_find(struct packet *p, const struct packet_config *cfg, const char **why)
{
	char derived[IFNAMSIZ];
	const char *peer = cfg->peer ? cfg->peer : derived;
	struct rtnl_info info;

	if (!strchr(cfg->name, '%')) {
		packet_pair_derive(derived, cfg->name);
		if (!rtnl_get_by_name(p->rtnl, cfg->name, &info))
			return packet_pair_attach(p, cfg, &info, why);
		if (!rtnl_get_by_name(p->rtnl, peer, &info))
			return packet_pair_attach_hidden(p, &info, why);
	}
	return packet_pair_create(p, cfg, why);
}

int packet_pair_hide(struct packet *p)
{
	const struct rtnl_info hidden = p->before.link;

	return veth_hide(p->rtnl, &hidden, &p->before);
}

/* The user's end in another namespace keeps what it was given. */
static void packet_pair_give_back(struct packet *p, const struct rtnl_info *hidden)
{
	if (hidden->link_netnsid == RTNL_NETNS_HERE)
		packet_user_give_back(p, hidden->link);
	veth_give_back(p->rtnl, &p->before);
}

void packet_pair_remove(struct packet *p)
{
	struct rtnl_info info;
	uint64_t told;

	if (rtnl_get(p->rtnl, p->kport.hidden_ifindex, &info))
		return;
	if (!p->kport.created)
		packet_pair_give_back(p, &info);
	else if (veth_made_here(&info, &told))
		rtnl_delete(p->rtnl, p->kport.hidden_ifindex);
}
