/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stats -w: the counters again and again. */
#ifndef CTL_WATCH_H
#define CTL_WATCH_H

#include "ctl/ctl.h"

/* Each @interval seconds, @count times; 0: until it is ended. Returns an exit status. */
int watch(struct ctl *ctl, double interval, long count);

#endif
