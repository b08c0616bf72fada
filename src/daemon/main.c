/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/activation.h"
#include "daemon/bridge.h"
#include "daemon/control.h"
#include "daemon/isolate.h"
#include "daemon/log_timer.h"
#include "daemon/metric_log.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/path.h"
#include "daemon/reload.h"
#include "daemon/selftest.h"
#include "virtio/feature.h"

/*
 * Where one of the three is closed, the next descriptor opened would take its place, and
 * the interface or the backend would get what is meant for the log.
 */
static int occupy_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* What runs on the loop. */
struct parts {
	struct bridge *bridge;
	struct control *control;
	struct notify *notify;
	struct reload *reload; /* NULL: there is no file */
};

static int on_end(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	const struct parts *p = userdata;

	log_notice(bridge_name(p->bridge), "ending on SIG%s", sigabbrev_np((int)si->ssi_signo));
	return sd_event_exit(sd_event_source_get_event(source), OPTIONS_EXIT_OK);
}

static int on_usr1(sd_event_source *source __attribute__((unused)),
		   const struct signalfd_siginfo *si __attribute__((unused)), void *userdata)
{
	const struct bridge_view view = bridge_view(userdata);

	metric_log(&view);
	return 0;
}

/* nohup(1) and its like ignore it for us; once blocked, it would be delivered all the same. */
static bool ignores_hangup(void)
{
	struct sigaction action;

	return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* With a file to read again SIGHUP does that; without, it ends the program. */
static bool hangup_ends(const struct options *options)
{
	return !options->config && !ignores_hangup();
}

/* Before any thread is made, so that each inherits it. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (!ignores_hangup())
		sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGPIPE);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static int open_loop(sd_event **event, const struct options *options, struct parts *parts)
{
	int r = sd_event_new(event);

	if (r >= 0)
		r = sd_event_add_signal(*event, NULL, SIGTERM, on_end, parts);
	if (r >= 0)
		r = sd_event_add_signal(*event, NULL, SIGINT, on_end, parts);
	if (r >= 0 && hangup_ends(options)) /* its terminal is gone */
		r = sd_event_add_signal(*event, NULL, SIGHUP, on_end, parts);
	if (r >= 0)
		r = log_timer_add(*event);
	return r < 0 ? r : 0;
}

static int on_hangup(sd_event_source *source __attribute__((unused)),
		     const struct signalfd_siginfo *si __attribute__((unused)), void *userdata)
{
	struct parts *p = userdata;

	notify_reloading();
	reload_run(p->reload);
	notify_ready(p->notify);
	return 0;
}

static int filter_syscalls(const struct bridge *bridge, char *error, size_t size)
{
	const struct bridge_view v = bridge_view(bridge);
	unsigned int uses = 0;
	int r;

	if (!strcmp(workers_io_name(v.workers), "uring"))
		uses |= ISOLATE_URING;
	if (v.options->keep_caps)
		uses |= ISOLATE_NAMESPACES;
	if (v.options->iface_type == OPTIONS_IFACE_VETH)
		uses |= ISOLATE_VETH;
	if (v.kind == PATH_VHOST_NET)
		uses |= ISOLATE_KERNEL;
	r = isolate_syscalls(uses);
	if (r)
		options_refuse(error, size, "seccomp", "on",
			       "the kernel refuses it (%s), use --seccomp off", strerror(-r));
	return r;
}

/* The offloads by which this kernel gets no superframes of us, since it spoils them. */
static uint64_t find_distrusted(const struct options *options, const char *tag)
{
	char names[128];
	const char *how;
	uint64_t wrong;
	int r;

	r = selftest_superframes(options->user.name, &wrong, &how);
	if (r)
		log_debug(tag, "superframes are not tested: %s", strerror(-r));
	if (!wrong)
		return 0;
	feature_format(wrong, names, sizeof(names));
	log_warning(tag, "no superframes for the kernel (%s): one failed the self-test, %s", names,
		    how);
	return wrong;
}

/* Each step with no more privileges than it takes. On error one line is in @error. */
static int start(struct parts *p, sd_event *event, const struct options *options,
		 enum path_kind kind, char *error, size_t size)
{
	int r = bridge_open(&p->bridge, event, options, kind, error, size);
	uint64_t distrusted = 0;

	if (!r)
		distrusted = find_distrusted(options, bridge_name(p->bridge));
	if (!r)
		r = control_listen(&p->control, options, p->bridge, error, size);
	if (!r)
		r = isolate_privileges(options, bridge_name(p->bridge),
				       bridge_view(p->bridge).kport->needs_net_admin, error, size);
	if (!r)
		r = bridge_start(p->bridge, distrusted, error, size);
	if (r)
		return r;
	r = control_start(p->control, event);
	if (r) {
		snprintf(error, size, "cannot serve the control socket: %s", strerror(-r));
		return r;
	}
	return options->seccomp == OPTIONS_SECCOMP_ON ? filter_syscalls(p->bridge, error, size) : 0;
}

static int add_signals(struct parts *p, sd_event *event, const struct options *options)
{
	int r = sd_event_add_signal(event, NULL, SIGUSR1, on_usr1, p->bridge);

	if (r < 0 || !options->config)
		return r;
	r = reload_open(&p->reload, p->bridge);
	if (r >= 0 && !ignores_hangup())
		r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, p);
	return r;
}

static void stop(struct parts *p)
{
	reload_close(p->reload);
	control_close(p->control);
	bridge_close(p->bridge);
}

static int run(sd_event *event, const struct options *options, enum path_kind kind,
	       struct parts *parts)
{
	char error[OPTIONS_ERROR_MAX];
	int r = start(parts, event, options, kind, error, sizeof(error));

	if (r) {
		options_tell_where(options, error, sizeof(error));
		log_error(LOG_PROGRAM, "%s", error);
		stop(parts);
		return OPTIONS_EXIT_SYSTEM;
	}
	r = add_signals(parts, event, options);
	if (r >= 0)
		r = notify_open(&parts->notify, event, parts->bridge);
	if (r >= 0) {
		notify_ready(parts->notify);
		r = sd_event_loop(event);
		log_finish(); /* before what there is to say of the end */
	}
	notify_close(parts->notify);
	stop(parts);
	if (r < 0) {
		log_error(LOG_PROGRAM, "the event loop failed: %s", strerror(-r));
		return OPTIONS_EXIT_SYSTEM;
	}
	return r;
}

/* What the path is decides which options have a meaning. */
static int check_path(const struct options *options, enum path_kind *kind)
{
	char error[OPTIONS_ERROR_MAX];
	int r = OPTIONS_EXIT_OK;

	if (path_classify(options->path, options->server, kind, error, sizeof(error)))
		r = OPTIONS_EXIT_SYSTEM;
	else if (options_check_path(options, *kind == PATH_VHOST_NET, error, sizeof(error)) ||
		 activation_check(options, error, sizeof(error)))
		r = OPTIONS_EXIT_USAGE;
	if (r) {
		options_tell_where(options, error, sizeof(error));
		log_error(LOG_PROGRAM, "%s", error);
	}
	return r;
}

int main(int argc, char **argv)
{
	char error[OPTIONS_ERROR_MAX];
	sd_event *event = NULL;
	struct parts parts = {0};
	struct options options;
	enum path_kind kind;
	int r;

	if (occupy_standard_fds())
		return OPTIONS_EXIT_SYSTEM;
	log_open();
	r = options_parse(argc, argv, stdout, &options, error, sizeof(error));
	if (r < 0) {
		log_error(LOG_PROGRAM, "%s", error);
		return OPTIONS_EXIT_USAGE;
	}
	if (r > 0)
		return fflush(stdout) ? OPTIONS_EXIT_SYSTEM : OPTIONS_EXIT_OK;
	log_set_level(options.log_level);
	log_set_socket(options.path);
	r = check_path(&options, &kind);
	if (r) {
		options_close(&options);
		return r;
	}
	r = block_signals();
	if (!r)
		r = open_loop(&event, &options, &parts);
	if (r) {
		log_error(LOG_PROGRAM, "cannot set up the event loop: %s", strerror(-r));
		r = OPTIONS_EXIT_SYSTEM;
	} else {
		r = run(event, &options, kind, &parts);
	}
	sd_event_unref(event);
	options_close(&options);
	log_finish();
	return r;
}
