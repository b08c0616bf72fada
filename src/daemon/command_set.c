/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands that change something. What a value may be is said by the table of options,
 * so that the command line and the socket take the same words and refuse with the same ones.
 * Those that succeed answer true.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/command.h"

json_t *command_refuse(struct telemetry_call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(call->error, call->size, format, args);
	va_end(args);
	return NULL;
}

/* The parameter as a value of option @name; false with a line in call->error. */
static bool read_value(struct telemetry_call *call, const char *name, struct options *given)
{
	const char *value = call->params ? call->params : "";

	return options_store(given, name, value, call->error, call->size) == 0;
}

static void log_change(struct telemetry_call *call, const char *name)
{
	log_notice(bridge_name(call->owner), "%s %s, by %s", name, call->params, call->by);
}

/* true, or NULL with what -errno @r says of the change. */
static json_t *finish(struct telemetry_call *call, const char *name, int r)
{
	const char *why = strerror(-r);

	if (!r) {
		log_change(call, name);
		return json_true();
	}
	if (r == -EPERM)
		why = "no permission (start vubridge with --keep-caps, or use ip link set)";
	else if (r == -EREMOTE)
		why = "the interface is out of reach, in another network namespace";
	else if (r == -EREMOTEIO)
		why = "the backend does not do it";
	return command_refuse(call, "%s '%s': %s", name, call->params, why);
}

json_t *command_set_mac(struct telemetry_call *call)
{
	struct options given;

	if (!read_value(call, "mac", &given))
		return NULL;
	return finish(call, "mac", bridge_set_mac(call->owner, given.mac.addr));
}

json_t *command_set_mtu(struct telemetry_call *call)
{
	struct options given;

	if (!read_value(call, "mtu", &given))
		return NULL;
	return finish(call, "mtu", bridge_set_mtu(call->owner, given.mtu));
}

/* No more than there were at the start: the interface has queues and workers for those. */
json_t *command_set_queues(struct telemetry_call *call)
{
	unsigned int most = bridge_view(call->owner).options->queues;
	struct options given;

	if (!read_value(call, "queues", &given))
		return NULL;
	if (given.queues > most)
		return command_refuse(call, "queues '%s': must be at most %u (--queues)",
				      call->params, most);
	return finish(call, "queues", bridge_set_pairs(call->owner, given.queues));
}

json_t *command_set_offload(struct telemetry_call *call)
{
	struct options given;
	int r;

	if (!read_value(call, "offload", &given))
		return NULL;
	log_change(call, "offload"); /* before what comes of it */
	r = bridge_set_offload(call->owner, given.offload);
	return r ? finish(call, "offload", r) : json_true();
}

json_t *command_set_merge(struct telemetry_call *call)
{
	struct options given;

	if (!read_value(call, "merge", &given))
		return NULL;
	bridge_set_merge(call->owner, given.merge);
	return finish(call, "merge", 0);
}

json_t *command_set_poll(struct telemetry_call *call)
{
	const struct workers_poll now = workers_poll(bridge_view(call->owner).workers);
	struct options given;

	if (!read_value(call, "poll", &given))
		return NULL;
	bridge_set_poll(call->owner, given.poll == OPTIONS_POLL_BUSY, now.idle_us);
	return finish(call, "poll", 0);
}

json_t *command_set_idle_us(struct telemetry_call *call)
{
	const struct workers_poll now = workers_poll(bridge_view(call->owner).workers);
	struct options given;

	if (!read_value(call, "idle-us", &given))
		return NULL;
	bridge_set_poll(call->owner, now.busy, given.idle_us);
	return finish(call, "idle-us", 0);
}

json_t *command_set_log_level(struct telemetry_call *call)
{
	struct options given;

	if (!read_value(call, "log-level", &given))
		return NULL;
	log_set_level(given.log_level);
	return finish(call, "log-level", 0);
}

json_t *command_link(struct telemetry_call *call)
{
	const char *value = call->params ? call->params : "";
	bool up = !strcmp(value, "up");

	if (!up && strcmp(value, "down") != 0)
		return command_refuse(call, "link '%.32s': must be one of up, down", value);
	log_change(call, "link");
	bridge_set_link(call->owner, up);
	return json_true();
}

json_t *command_reconnect(struct telemetry_call *call)
{
	int r;

	log_notice(bridge_name(call->owner), "reconnecting, by %s", call->by);
	r = bridge_reconnect(call->owner);
	return r ? command_refuse(call, "cannot reconnect: %s", strerror(-r)) : json_true();
}
