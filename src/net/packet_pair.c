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
	snprintf(out, IFNAMSIZ, "%.*s" PACKET_PAIR_SUFFIX,
		 (int)(IFNAMSIZ - sizeof(PACKET_PAIR_SUFFIX)), name);
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

static int packet_pair_in_use(const char **why, int err)
{
	return packet_fail(why, err, "the existing veth is in use by another process");
}

/* --- in the user's namespace -------------------------------------------- */

/* The end of that name must not be someone's hidden end. */
static int packet_pair_look_at_user(const struct rtnl_info *user, const char **why)
{
	int fd = -1, err;

	if (strcmp(user->kind, "veth"))
		return packet_fail(why, -EEXIST,
				   "the interface of that name is not a veth; choose another name");
	err = packet_pair_lock(&fd, user->ifindex);
	close_fd(&fd);
	return err ? packet_pair_in_use(why, err) : 0;
}

int packet_pair_look(struct packet *p, struct packet_pair_wish *wish, const char **why)
{
	int home, err;

	wish->found = !strchr(wish->name, '%') &&
		      !rtnl_get_by_name(p->user_rtnl, wish->name, &wish->user);
	if (!wish->found)
		return 0;
	err = packet_pair_look_at_user(&wish->user, why);
	if (err)
		return err;
	if (wish->user.link_netnsid == RTNL_NETNS_HERE) {
		wish->home = -1;
		return 0;
	}
	if (wish->home >= 0 && !rtnl_get_netnsid(p->user_rtnl, wish->home, &home) &&
	    wish->user.link_netnsid == home)
		return 0;
	return packet_fail(why, -EXDEV,
			   "the other end of the existing veth is in another network namespace; "
			   "run there with --veth-peer, or bring it here");
}

/* --- in the hidden end's namespace -------------------------------------- */

/* Takes the hidden end @hidden for this process, with the user's end @user. */
static int packet_pair_take(struct packet *p, const struct rtnl_info *hidden,
			    const struct rtnl_info *user, const char **why)
{
	int err;

	/* the bridge would get each frame too */
	if (hidden->master)
		return packet_fail(why, -EBUSY,
				   "the hidden end of the existing veth is a port of a bridge or "
				   "the like; take it out (ip link set ... nomaster)");
	err = packet_pair_lock(&p->lock_fd, hidden->ifindex);
	if (err)
		return packet_pair_in_use(why, err);
	p->kport.hidden_ifindex = hidden->ifindex;
	p->kport.ifindex = hidden->link_netnsid == p->user_netnsid ? user->ifindex : 0;
	memcpy(p->kport.name, user->name, sizeof(p->kport.name));
	memcpy(p->kport.mac, user->mac, sizeof(p->kport.mac));
	p->told = PACKET_GSO; /* nobody knows, unless the mark tells */
	p->kport.created = veth_made_here(hidden, &p->told);
	p->before.link = *hidden;
	return 0;
}

/* The user's end is where it shall be. */
static int packet_pair_attach(struct packet *p, const struct packet_pair_wish *wish,
			      const char **why)
{
	struct rtnl_info hidden;
	int err = rtnl_get(p->rtnl, wish->user.link, &hidden);

	if (!err && (hidden.link != wish->user.ifindex || hidden.link_netnsid != p->user_netnsid))
		err = -ENODEV;
	if (err)
		return packet_fail(why, err, "the other end of the existing veth is not found");
	if (wish->peer && strcmp(wish->peer, hidden.name))
		return packet_fail(why, -EEXIST,
				   "the existing veth's other end has another name than "
				   "--veth-peer gives");
	return packet_pair_take(p, &hidden, &wish->user, why);
}

/* It is not there. If the hidden one is, it was moved away. */
static int packet_pair_attach_hidden(struct packet *p, const struct rtnl_info *hidden,
				     const char **why)
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

/*
 * Users in namespaces of their own may have given the same name to each, so hidden ends of the
 * same name would meet where they are: then a number makes them differ.
 */
static int packet_pair_name(struct packet *p, const struct packet_pair_wish *wish,
			    unsigned int hidden, const char *user)
{
	char name[IFNAMSIZ];
	int err;

	if (wish->peer)
		return rtnl_set_name(p->rtnl, hidden, wish->peer);
	packet_pair_derive(name, user);
	err = rtnl_set_name(p->rtnl, hidden, name);
	if (err != -EEXIST || wish->home < 0)
		return err;
	snprintf(name, sizeof(name), "%.8s" PACKET_PAIR_SUFFIX "%%d", user);
	return rtnl_set_name(p->rtnl, hidden, name);
}

static int packet_pair_add(struct packet *p, const struct packet_pair_wish *wish,
			   struct rtnl_info *hidden, const char **why)
{
	/* one that nobody else uses, until the kernel has found the user's end its own */
	char name[IFNAMSIZ];
	int err;

	snprintf(name, sizeof(name), "vub-%x", (unsigned int)getpid());
	err = veth_add(p->rtnl, wish->name, wish->there, name);
	if (!err)
		err = rtnl_get_by_name(p->rtnl, name, hidden);
	if (err == -EOPNOTSUPP)
		return packet_fail(why, err, "the kernel has no veth; run `modprobe veth`");
	if (err == -EPERM)
		return packet_fail(why, err,
				   "no permission to create a veth; run with CAP_NET_ADMIN");
	return err ? packet_fail(why, err, "the kernel does not create a veth of that name") : 0;
}

static int packet_pair_create(struct packet *p, const struct packet_pair_wish *wish,
			      const char **why)
{
	struct rtnl_info hidden, user;
	int err = packet_pair_add(p, wish, &hidden, why);

	if (err)
		return err;
	err = rtnl_get(p->user_rtnl, hidden.link, &user);
	if (!err) {
		err = packet_pair_name(p, wish, hidden.ifindex, user.name);
		if (err)
			*why = "the hidden end cannot have its name; give another with --veth-peer";
	}
	if (!err)
		err = packet_pair_take(p, &hidden, &user, why);
	if (err)
		rtnl_delete(p->rtnl, hidden.ifindex);
	return err;
}

int packet_pair_find(struct packet *p, const struct packet_pair_wish *wish, const char **why)
{
	const char *peer = wish->peer;
	char derived[IFNAMSIZ];
	struct rtnl_info info;
	int err = wish->home < 0 ? 0 : rtnl_get_netnsid(p->rtnl, wish->there, &p->user_netnsid);

	if (err)
		return packet_fail(why, err, "the network namespaces do not know each other");
	if (wish->found)
		return packet_pair_attach(p, wish, why);
	if (!peer && wish->home < 0) {
		packet_pair_derive(derived, wish->name);
		peer = derived;
	}
	if (peer && !strchr(wish->name, '%') && !rtnl_get_by_name(p->rtnl, peer, &info))
		return packet_pair_attach_hidden(p, &info, why);
	return packet_pair_create(p, wish, why);
}

int packet_pair_hide(struct packet *p)
{
	const struct rtnl_info hidden = p->before.link;

	return veth_hide(p->rtnl, &hidden, &p->before);
}

/* The user's end in another namespace keeps what it was given. */
static void packet_pair_give_back(struct packet *p, const struct rtnl_info *hidden)
{
	if (hidden->link_netnsid == p->user_netnsid)
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
