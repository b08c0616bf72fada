/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bridge joins one virtio port and one kernel port: it owns both, their workers,
 * and the rule by which the interface's carrier follows the device.
 */
#ifndef DAEMON_BRIDGE_H
#define DAEMON_BRIDGE_H

#include <systemd/sd-event.h>
#include <vubridge/kport.h>
#include <vubridge/vport.h>

#include "daemon/options.h"
#include "daemon/path.h"
#include "daemon/workers.h"
#include "net/linkmon.h"

struct bridge;

/*
 * Opens all that may take privileges: the interface, the socket to listen at, the backend's
 * interface. @options must outlive the bridge, @kind is what their path is. On error returns
 * -errno with one line in @error, and nothing is left behind.
 *
 * When the interface, or that of vhost-net, is lost, the loop @event is ended with
 * OPTIONS_EXIT_SYSTEM.
 */
int bridge_open(struct bridge **out, sd_event *event, const struct options *options,
		enum path_kind kind, char *error, size_t size);
/* Makes the workers and the device, and begins to connect. Errors as above; close it then. */
int bridge_start(struct bridge *b, uint64_t distrusted, char *error, size_t size);
/* Stops the rings, removes the interface if it was made here. NULL-safe. */
void bridge_close(struct bridge *b);

const char *bridge_name(const struct bridge *b);

/*
 * What a bridge is like, for those who show it. All is borrowed; what the pointers lead to
 * changes whenever the loop runs. Times are CLOCK_REALTIME in nanoseconds.
 */
struct bridge_view {
	const struct options *options;
	enum path_kind kind;		  /* of options->path */
	struct kport *kport;
	const struct linkmon_state *link; /* the interface, as the kernel told it last */
	const struct vport *vport;	  /* NULL before bridge_start, as the workers */
	const struct workers *workers;
	bool link_down;		  /* as the user set it */
	int offload, merge;	  /* likewise, enum options_offload and options_merge */
	uint64_t started;
	uint64_t connected_since; /* or not connected: vport->connected says which */
	const char *no_carrier;   /* why there is none, NULL: there is one */
	uint64_t carrier_since;   /* the same, of the carrier */
};
struct bridge_view bridge_view(const struct bridge *b);

/* What the user may change while it runs. Called from the loop; 0 or -errno. */

/* Down: there is no carrier and nothing is forwarded, whatever the device says. */
void bridge_set_link(struct bridge *b, bool up);
/* At most that many pairs are used, from 1 to options->queues, of this connection and those
 * to come. -EREMOTEIO: the backend does not do it. */
int bridge_set_pairs(struct bridge *b, unsigned int pairs);
/* As mirror_set_mac and mirror_set_mtu. */
int bridge_set_mac(struct bridge *b, const uint8_t mac[ETH_ALEN]);
int bridge_set_mtu(struct bridge *b, unsigned int mtu);
/*
 * By enum options_offload and options_merge. Where other features have to be negotiated, it
 * leaves the backend and connects anew.
 */
int bridge_set_offload(struct bridge *b, int how);
void bridge_set_merge(struct bridge *b, int how);
void bridge_set_poll(struct bridge *b, bool busy, unsigned int idle_us);
/* Waits until each worker has answered: for ever, if one hangs. */
void bridge_check(struct bridge *b);
/* Leaves the backend and begins to connect anew. */
int bridge_reconnect(struct bridge *b);

/*
 * Begins to record for @client (of telemetry_call), in memory that is the bridge's: there is
 * one capture at a time. -EBUSY: there is one already.
 */
int bridge_capture(struct bridge *b, const struct capture_config *config, unsigned int client,
		   const struct capture **out);
/* Ends the capture of @client, if there is one. */
void bridge_end_capture(struct bridge *b, unsigned int client);

#endif
