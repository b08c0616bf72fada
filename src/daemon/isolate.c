/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/isolate.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/path.h"

/* Capabilities that may be kept, as far as they are there. */
enum isolate_keep {
	ISOLATE_NET_ADMIN = 1, /* change interfaces */
	ISOLATE_SYS_ADMIN = 2, /* enter another network namespace */
};

static const struct {
	enum isolate_keep keep;
	unsigned int capability;
} names[] = {
	{ISOLATE_NET_ADMIN, CAP_NET_ADMIN},
	{ISOLATE_SYS_ADMIN, CAP_SYS_ADMIN},
};

static int fail(const char **why, int err, const char *text)
{
	*why = text;
	return err;
}

/* The library reads the thread's sets once, and works on its copy. */
static int read_sets(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	return capng_get_caps_process() ? -EIO : 0;
}

/* Which of @keep the calling thread has. */
static unsigned int have_of(unsigned int keep)
{
	unsigned int have = 0;
	size_t i;

	if (read_sets())
		return 0;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if ((keep & names[i].keep) &&
		    capng_have_capability(CAPNG_EFFECTIVE, names[i].capability))
			have |= names[i].keep;
	return have;
}

static void choose(unsigned int keep)
{
	size_t i;

	capng_clear(CAPNG_SELECT_ALL);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (keep & names[i].keep)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
				     names[i].capability);
}

static bool is_user(const struct options_user *user)
{
	return !user->name || (user->uid == getuid() && user->uid == geteuid());
}

/* With its groups. Capabilities @keep, of enum isolate_keep, survive it. */
static int become_user(const struct options_user *user, unsigned int keep, bool bounding,
		       const char **why)
{
	/* the library would look for the groups by number, which may have two names */
	if (initgroups(user->name, user->gid) < 0)
		return fail(why, -errno, "no permission to change to this user; run as root");
	choose(keep);
	if (capng_change_id((int)user->uid, (int)user->gid,
			    CAPNG_CLEAR_AMBIENT | (bounding ? CAPNG_CLEAR_BOUNDING : 0)))
		return fail(why, -EPERM, "cannot change to this user; run as root");
	return 0;
}

/* In the ambient and, with @bounding, the bounding set too. */
static int drop_capabilities(unsigned int keep, bool bounding, const char **why)
{
	choose(keep);
	if (capng_apply(bounding ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) ||
	    capng_apply(CAPNG_SELECT_AMBIENT))
		return fail(why, -EPERM, "cannot give up the capabilities");
	return 0;
}

/* On error returns -errno and *why: one English phrase (static). */
static int drop(const struct options_user *user, unsigned int keep, const char **why)
{
	bool change = !is_user(user), bounding;
	int r = 0;

	*why = "";
	keep = have_of(keep);
	if (read_sets())
		return fail(why, -EIO, "cannot read the capabilities");
	/* without this one the bounding set cannot be changed, nor need it be: with new
	 * privileges forbidden it says nothing any more */
	bounding = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	if (change)
		r = become_user(user, keep, bounding, why);
	if (!r)
		r = drop_capabilities(keep, bounding && !change, why);
	if (!r && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(why, -errno, "cannot give up new privileges");
	return r;
}

/* Says in one line who we are now (@user, or NULL: who we were), and what cannot be done. */
static void log_what_is_left(const char *tag, const char *user)
{
	static const char *const texts[] = {
		[0] = "no capability, as intended: the MTU of the interface stays, and it is not "
		      "watched in another network namespace (--keep-caps)",
		[ISOLATE_NET_ADMIN] =
			"CAP_NET_ADMIN alone: the interface is not watched in another "
			"network namespace",
		[ISOLATE_SYS_ADMIN] = "CAP_SYS_ADMIN alone: the MTU of the interface stays, and it "
				      "is not watched in another network namespace",
		[ISOLATE_NET_ADMIN | ISOLATE_SYS_ADMIN] = "CAP_NET_ADMIN and CAP_SYS_ADMIN alone",
	};
	unsigned int have = have_of(ISOLATE_NET_ADMIN | ISOLATE_SYS_ADMIN);

	log_info(tag, "running%s%s with %s", user ? " as " : "", user ? user : "", texts[have]);
}

int isolate_privileges(const struct options *o, const char *tag, bool needs_net_admin, char *error,
		       size_t size)
{
	unsigned int keep = o->keep_caps      ? ISOLATE_NET_ADMIN | ISOLATE_SYS_ADMIN
			    : needs_net_admin ? ISOLATE_NET_ADMIN
					      : 0;
	enum path_kind kind;
	const char *why;
	int r = drop(&o->user, keep, &why);

	if (r && o->user.name) {
		options_refuse(error, size, "user", o->user.name, "%s (%s)", why, strerror(-r));
		return r;
	}
	if (r) {
		snprintf(error, size, "%s: %s", why, strerror(-r));
		return r;
	}
	log_what_is_left(tag, o->user.name);
	/* what root may connect to, this user perhaps may not */
	return o->server ? 0 : path_classify(o->path, false, &kind, error, size);
}
