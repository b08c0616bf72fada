/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events are found, not told: after each turn of the loop the state that `show` answers is
 * compared with the one before, and what differs is published. So whatever can be seen can be
 * monitored, and nothing that changes it has to know of this.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "daemon/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdmsg.h"
#include "base/listener.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/command.h"
#include "daemon/telemetry.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define SOCKET_MODE	 0660
#define SYSTEM_DIRECTORY "/run"
/* Several of one name, in different network namespaces, number themselves as DPDK does. */
#define INSTANCES	 10
#define PROBE_TIMEOUT_MS 100

#define MONITOR "/vubridge/monitor"
#define SET	"/vubridge/set/"

struct control {
	const struct options *options;
	struct bridge *bridge;
	char directory[PATH_MAX]; /* ours to remove; "": the path was given */
	struct listener *listener;
	const char *missing;  /* why there is none */
	char tried[PATH_MAX]; /* where there is none */
	struct telemetry *telemetry;
	sd_event_source *post;
	json_t *last; /* the state as it was published, NULL: nobody listens */
};

/* clang-format off */
static const struct telemetry_command commands[] = {
	{ "/ethdev/info", "Returns what the interface is. Parameter: 0", false,
	  command_ethdev_info },
	{ "/ethdev/link_status", "Returns whether there is a carrier. Parameter: 0", false,
	  command_ethdev_link_status },
	{ "/ethdev/list", "Returns the number of the one port, 0", false, command_ethdev_list },
	{ "/ethdev/stats", "Returns the usual counters. Parameter: 0", false,
	  command_ethdev_stats },
	{ "/ethdev/xstats", "Returns all counters by name. Parameter: 0", false,
	  command_ethdev_xstats },
	{ "/vubridge/capture",
	  "Records frames at the rings into the memory that comes with the answer, until the "
	  "connection ends. Parameters: snaplen=N,queue=N,direction=rx|tx, all optional", true,
	  command_capture },
	{ "/vubridge/link", "Sets the link. Parameter: up or down", true, command_link },
	{ "/vubridge/metrics", "Returns the names, units and help texts of all counters", false,
	  command_metrics },
	{ MONITOR, "Returns the state as show does, and then what changes of it", false,
	  command_monitor },
	{ "/vubridge/reconnect", "Leaves the backend and connects anew", true,
	  command_reconnect },
	{ "/vubridge/set/idle-us", "Sets the time before a worker sleeps, in microseconds", true,
	  command_set_idle_us },
	{ "/vubridge/set/log-level", "Sets the least important lines to log", true,
	  command_set_log_level },
	{ "/vubridge/set/mac", "Sets the address of interface and device", true,
	  command_set_mac },
	{ "/vubridge/set/merge", "Sets what is merged into superframes: on, strict or off", true,
	  command_set_merge },
	{ "/vubridge/set/mtu", "Sets the MTU of the interface", true, command_set_mtu },
	{ "/vubridge/set/offload",
	  "Sets what becomes of checksums and superframes: auto, on or off. Connects anew where "
	  "that has to be negotiated", true, command_set_offload },
	{ "/vubridge/set/poll", "Sets whether an idle worker sleeps: adaptive or busy", true,
	  command_set_poll },
	{ "/vubridge/set/queues", "Sets how many queue pairs are used", true,
	  command_set_queues },
	{ "/vubridge/show", "Returns the state", false, command_show },
	{ "/vubridge/stats",
	  "Returns counters, with the number of a queue pair as parameter those of its queues",
	  false, command_stats },
	{ "/vubridge/version", "Returns version and process id", false, command_version },
};
/* clang-format on */

/* ---- events ---- */

static void publish_differences(struct control *c, json_t *now)
{
	json_t *changes = json_object(), *value;
	const char *key;

	json_object_foreach(now, key, value) if (!json_equal(value, json_object_get(c->last, key)))
		json_object_set(changes, key, value);
	if (json_object_size(changes))
		telemetry_publish(c->telemetry, MONITOR, json_incref(changes));
	json_decref(changes);
}

static int on_post(sd_event_source *source __attribute__((unused)), void *userdata)
{
	struct control *c = userdata;
	const struct bridge_view view = bridge_view(c->bridge);
	json_t *now = NULL;

	if (telemetry_has_subscribers(c->telemetry))
		now = command_state(&view);
	if (now && c->last)
		publish_differences(c, now);
	json_decref(c->last);
	c->last = now;
	return 0;
}

/* ---- its place ---- */

/* As the user who will have to remove what is in it. */
static int make_directory(const char *path, const struct options_user *user)
{
	int fd, r = 0;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && fchown(fd, user->name ? user->uid : 0, (gid_t)-1) < 0)
		r = -errno;
	close_fd(&fd);
	return r;
}

static int listen_at(struct control *c, const char *path, const char **why)
{
	const struct options *o = c->options;
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	char lock[PATH_MAX + 16];
	struct listener_config config = {
		.path = path,
		.type = SOCK_SEQPACKET,
		.lock_path = lock,
		.has_mode = true,
		.mode = SOCKET_MODE,
		.has_uid = o->user.name,
		.uid = o->user.uid,
		.gid = o->control_group.given ? o->control_group.gid : (gid_t)-1,
		.fd = -1,
	};

	/* hidden, for DPDK's tools take every file dpdk_telemetry.v2* for a socket */
	snprintf(lock, sizeof(lock), "%.*s.%s.lock", (int)(file - path), path, file);
	return listener_open(&c->listener, &config, why);
}

/* Does someone serve that socket? (To find its lock taken would last longer.) */
static bool is_alive(const char *path)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(PROBE_TIMEOUT_MS, -1);
	int fd = fdmsg_connect(path, SOCK_SEQPACKET, &wait);
	bool alive = fd >= 0 || fd == -ETIMEDOUT;

	close_fd(&fd);
	return alive;
}

/* The first of the names that is free. */
static int listen_in(struct control *c, const char *runtime, const char **why)
{
	char path[PATH_MAX + 32];
	int r, i;

	snprintf(c->tried, sizeof(c->tried), "%s/dpdk/vubridge-%s", runtime,
		 bridge_name(c->bridge));
	snprintf(path, sizeof(path), "%s/dpdk", runtime);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	strcpy(c->directory, c->tried);
	r = make_directory(c->directory, &c->options->user);
	for (i = 0; i < INSTANCES && !r; i++) {
		snprintf(path, sizeof(path), "%s/dpdk_telemetry.v2", c->directory);
		if (i)
			snprintf(path + strlen(path), sizeof(path) - strlen(path), ":%d", i);
		r = is_alive(path) ? -EADDRINUSE : listen_at(c, path, why);
		if (r != -EADDRINUSE)
			break;
		r = i + 1 < INSTANCES ? 0 : r;
	}
	if (r)
		rmdir(c->directory);
	return r;
}

/* Where DPDK's programs have theirs: a user that may not have it there, in his own place. */
static int listen_by_default(struct control *c, const char **why)
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	int r = listen_in(c, SYSTEM_DIRECTORY, why);

	return r && geteuid() != 0 && own && own[0] == '/' ? listen_in(c, own, why) : r;
}

/* As --path does. */
static void refuse_directory(const char *path, char *error, size_t size)
{
	const char *slash = strrchr(path, '/');

	options_refuse(error, size, "control", path,
		       "directory '%.*s' does not exist; make it or correct the path",
		       slash ? (int)(slash - path) : 0, path);
}

int control_listen(struct control **out, const struct options *options, struct bridge *bridge,
		   char *error, size_t size)
{
	struct control *c = NULL;
	const char *why = "";
	int r;

	*out = NULL;
	if (options->control && !strcmp(options->control, OPTIONS_CONTROL_NONE))
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c) {
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	c->options = options;
	c->bridge = bridge;
	if (options->control && options->control[0] == '@')
		r = -EINVAL, why = "an abstract socket has no permissions; give a path";
	else if (options->control)
		r = listen_at(c, options->control, &why);
	else
		r = listen_by_default(c, &why);
	if (r)
		c->missing = why[0] ? why : strerrordesc_np(-r);
	if (r == -ENOENT && options->control) { /* of the lock file, which would be made */
		refuse_directory(options->control, error, size);
		control_close(c);
		return r;
	}
	if (r && options->control) {
		options_refuse(error, size, "control", options->control, "%s", c->missing);
		control_close(c);
		return r;
	}
	*out = c;
	return 0;
}

/* ---- for others than clients ---- */

int control_set(struct bridge *bridge, const char *name, const char *value, const char *by,
		char *error, size_t size)
{
	struct telemetry_call call = {
		.owner = bridge,
		.by = by,
		.params = value,
		.error = error,
		.size = size,
	};
	json_t *answer;
	size_t i;

	error[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strncmp(commands[i].name, SET, strlen(SET)) ||
		    strcmp(commands[i].name + strlen(SET), name))
			continue;
		answer = commands[i].run(&call);
		json_decref(answer);
		return answer ? 0 : -EINVAL;
	}
	return -ENOENT;
}

/* ---- life ---- */

int control_start(struct control *c, sd_event *event)
{
	struct telemetry_config config;
	int r;

	if (!c)
		return 0;
	if (c->missing) {
		log_notice(bridge_name(c->bridge),
			   "no control socket in %s: %s; --control gives another path", c->tried,
			   c->missing);
		return 0;
	}
	config = (struct telemetry_config){
		.listen_fd = listener_fd(c->listener),
		.tag = bridge_name(c->bridge),
		.version = "vubridge " PACKAGE_VERSION,
		.commands = commands,
		.ncommands = ARRAY_SIZE(commands),
		.left = command_left,
		.owner = c->bridge,
	};
	r = telemetry_open(&c->telemetry, event, &config);
	if (!r)
		r = sd_event_add_post(event, &c->post, on_post, c);
	return r < 0 ? r : 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	sd_event_source_disable_unref(c->post);
	telemetry_close(c->telemetry);
	listener_close(c->listener);
	/* not if another one is in it, or if that takes more privileges than there are left */
	if (c->directory[0])
		rmdir(c->directory);
	json_decref(c->last);
	free(c);
}
