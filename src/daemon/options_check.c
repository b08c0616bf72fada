/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/options.h"

#include <string.h>

#include "daemon/options_table.h"

static int check_mandatory(struct parse *p)
{
	const struct option_row *row;
	char allowed[256];

	for (row = options_rows; row->name; row++) {
		if (!row->mandatory || p->seen >> (row - options_rows) & 1)
			continue;
		row->type->allowed(row, allowed, sizeof(allowed));
		return options_refuse(p->error, p->size, row->name, NULL, "must be given: %s",
				      allowed);
	}
	return 0;
}

static bool given(const struct parse *p, const char *name)
{
	return p->seen >> options_number(name) & 1;
}

/* Mode and group are those of a socket file of our own making. */
static int check_socket(struct parse *p)
{
	const struct options *o = p->out;
	const char *name = o->socket_mode.given	   ? "socket-mode" :
			   o->socket_group.given ? "socket-group" :
						     NULL;

	if (!name)
		return 0;
	if (!o->server)
		return options_refuse(p->error, p->size, name, NULL, "needs --server");
	if (o->path[0] == '@')
		return options_refuse(p->error, p->size, name, NULL,
				      "cannot be used with an abstract socket, to which anyone "
				      "may connect");
	return 0;
}

static int check_veth(struct parse *p)
{
	const struct options *o = p->out;
	char number[16];

	if (o->veth_peer && o->iface_type != OPTIONS_IFACE_VETH)
		return options_refuse(p->error, p->size, "veth-peer", o->veth_peer,
				      "needs --iface-type veth");
	if (o->iface_type != OPTIONS_IFACE_VETH)
		return 0;
	snprintf(number, sizeof(number), "%u", o->queues);
	if (o->queues > 1)
		return options_refuse(p->error, p->size, "queues", number,
				      "must be 1 with --iface-type veth");
	if (o->persist)
		return options_refuse(p->error, p->size, "persist", NULL,
				      "cannot be used with --iface-type veth");
	snprintf(number, sizeof(number), "%u", o->speed);
	if (o->speed)
		return options_refuse(p->error, p->size, "speed", number,
				      "cannot be used with --iface-type veth, whose speed the "
				      "kernel says");
	if (o->io == OPTIONS_IO_URING)
		return options_refuse(p->error, p->size, "io", "uring",
				      "cannot be used with --iface-type veth, use --io plain");
	return 0;
}

/* What each option allows alone may not go together. */
static int check_together(struct parse *p)
{
	struct options *o = p->out;
	char number[16];
	int r;

	o->queue_size_given = given(p, "queue-size");
	if (!given(p, "cq"))
		o->cq = o->queues > 1;
	if (o->queues > 1 && !o->cq)
		return options_refuse(p->error, p->size, "cq", "0",
				      "must be 1 with %u queue pairs (--queues)", o->queues);
	snprintf(number, sizeof(number), "%u", o->workers);
	if (o->workers > o->queues)
		return options_refuse(p->error, p->size, "workers", number,
				      "must be at most %u, the number of --queues", o->queues);
	r = check_socket(p);
	return r ? r : check_veth(p);
}

int options_check(struct parse *p)
{
	int r = check_mandatory(p);

	return r ? r : check_together(p);
}

int options_check_path(const struct options *o, bool vhost_net, char *error, size_t size)
{
	if (!vhost_net && o->vhost_iface)
		return options_refuse(error, size, "vhost-iface", o->vhost_iface,
				      "needs --path /dev/vhost-net, not a socket");
	/* with a %d the kernel makes two of one; another namespace has its own names */
	if (vhost_net && o->vhost_iface && !o->netns && !strchr(o->iface, '%') &&
	    !strcmp(o->vhost_iface, o->iface))
		return options_refuse(error, size, "vhost-iface", o->vhost_iface,
				      "must be another one than --iface");
	if (vhost_net && o->server)
		return options_refuse(error, size, "server", NULL,
				      "needs a socket, not /dev/vhost-net");
	return 0;
}
