/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the veth port share. Include after "netns.h". */
#ifndef TESTS_VETH_RIG_H
#define TESTS_VETH_RIG_H

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static inline unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline struct rtnl *open_rtnl(void)
{
	struct rtnl *rt;

	assert_int_equal(rtnl_open(&rt), 0);
	return rt;
}

static inline struct rtnl_info look(struct rtnl *rt, const char *name)
{
	struct rtnl_info info;

	assert_int_equal(rtnl_get_by_name(rt, name, &info), 0);
	return info;
}

/* Moves interface @name of this namespace to a new one, which the child returned holds. */
static inline pid_t move_away(const char *name)
{
	char command[128], byte = 0;
	int ready[2];
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	snprintf(command, sizeof(command), "ip link set %s netns %d", name, (int)child);
	assert_int_equal(system(command), 0);
	return child;
}

/* Ends the namespace, and with it, a little later, what lives in it. */
static inline void end_away(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

#endif
