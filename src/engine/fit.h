/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fd_to_vq's other way: frames are made to fit what the peer takes (fit.c). */
#ifndef ENGINE_FIT_H
#define ENGINE_FIT_H

#include "engine/lane.h"

/* Memory for one lane, 4 MiB of which only what traffic touches is there; NULL: none left. */
struct fit *fit_open(void);
void fit_close(struct fit *fit); /* NULL-safe */

/* A new ring, whose peer takes @taken of what the kernel may hand out: HOST_ bits. */
void fit_start(struct fit *fit, uint64_t taken);

/* Moves a batch, as fd_to_vq_run. */
int fit_run(struct lane *lane);

/* Gives back the room in hand and returns how many frames are lost thereby. */
unsigned int fit_stop(struct lane *lane);

#endif
