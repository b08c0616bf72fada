/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * speed: how many additions a nanosecond this processor makes, in four chains that do not wait
 * for each other. Of a virtual processor that tells whether the core is its own at this moment:
 * with a busy neighbour on the core's other thread it has about half.
 */
#include <stdint.h>
#include <stdio.h>

#include "base/util.h"

#define LOOPS	   10000u
#define DURATION   5000000u /* nanoseconds */
#define OPERATIONS 8u	    /* in a loop */

/* The compiler may not know what becomes of them. */
static inline void add_once(uint64_t n[4])
{
	__asm__ volatile("" : "+r"(n[0]), "+r"(n[1]), "+r"(n[2]), "+r"(n[3]));
	n[0]++;
	n[1]++;
	n[2]++;
	n[3]++;
}

int main(void)
{
	uint64_t n[4] = {0}, start = now_ns(), end, operations = 0;
	unsigned int i;

	do {
		for (i = 0; i < LOOPS; i++) {
			add_once(n);
			add_once(n);
		}
		operations += (uint64_t)LOOPS * OPERATIONS;
		end = now_ns();
	} while (end - start < DURATION);
	printf("%.2f\n", (double)operations / (double)(end - start));
	return 0;
}
