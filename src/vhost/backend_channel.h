/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket on which a back-end speaks first (vhost-user: "Back-end message types"):
 * of what it may say there only the change of the configuration was agreed on.
 */
#ifndef VHOST_BACKEND_CHANNEL_H
#define VHOST_BACKEND_CHANNEL_H

#include <stdbool.h>
#include <vubridge/vhost.h>

/*
 * Reads one message from v->backend_fd, if there is one, and answers it where it wants
 * to be. 0 and *news, or -errno when the peer broke the rules. A peer that closes the
 * socket has nothing more to say: backend_fd is -1 then.
 */
int backend_channel_hear(struct vhost *v, bool reply_ack, enum vhost_news *news);

#endif
