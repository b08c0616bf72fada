/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vu_peer is told while it runs, a line each: changes of the configuration space. */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "peer.h"

#define DEADLINE_MS 1000

bool command_read_mac(const char *s, uint8_t mac[ETH_ALEN])
{
	unsigned int b[ETH_ALEN];
	int i;

	if (sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
		return false;
	for (i = 0; i < ETH_ALEN; i++)
		mac[i] = (uint8_t)b[i];
	return true;
}

/* Says BACKEND_CONFIG_CHANGE_MSG, without asking for an answer. */
static void tell_driver(struct device *d)
{
	const struct vhost_user_header hdr = {
		.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		.flags = VHOST_USER_VERSION,
	};
	const struct iovec iov = {.iov_base = (void *)&hdr, .iov_len = sizeof(hdr)};
	const struct fdmsg_wait wait = fdmsg_wait_ms(DEADLINE_MS, -1);

	if (d->backend_fd < 0)
		printf("%s: no channel to tell it on\n", d->path);
	else if (fdmsg_send(d->backend_fd, &iov, 1, NULL, 0, &wait) < 0)
		printf("%s: cannot tell it\n", d->path);
}

static bool change(struct peer_config *c, struct device *devices, unsigned int n, const char *what,
		   const char *value)
{
	unsigned int i;

	if (!strcmp(what, "link"))
		c->net_status = !strcmp(value, "up") ? VIRTIO_NET_S_LINK_UP : 0;
	else if (!strcmp(what, "announce"))
		c->net_status |= VIRTIO_NET_S_ANNOUNCE;
	else if (!strcmp(what, "mtu"))
		c->mtu = (uint16_t)strtoul(value, NULL, 10);
	else if (!strcmp(what, "mac"))
		return command_read_mac(value, c->mac);
	else if (!strcmp(what, "needs-reset"))
		for (i = 0; i < n; i++)
			devices[i].status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	else
		return false;
	return true;
}

void command_run(struct peer_config *c, struct device *devices, unsigned int n, char *line)
{
	char *what = strtok(line, " \n"), *value = strtok(NULL, " \n");
	unsigned int i;

	if (!what)
		return;
	if (!change(c, devices, n, what, value ? value : "")) {
		fprintf(stderr, "vu_peer: no such command: %s\n", what);
		return;
	}
	for (i = 0; i < n; i++) {
		if (devices[i].fd < 0)
			continue;
		/* before it is heard: what follows from it is timed from here */
		printf("telling %s: %s%s%s\n", devices[i].path, what, value ? " " : "",
		       value ? value : "");
		tell_driver(&devices[i]);
	}
}
