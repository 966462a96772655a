/* SPDX-License-Identifier: MIT */
/*
 * How long a thread looks whether there is work before it sleeps.  A dialogue between guest and loop thread then costs neither a
 * system call nor the time in which a sleeping core wakes up; who idles does not look at all.  It is learnt from the last
 * sleeps: longer when they were so short that looking on had been better, not at all for a while when somebody else needed
 * the core meanwhile.  Times are in nanoseconds of one monotonic clock.
 */
#ifndef EMU_PATIENCE_H
#define EMU_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

struct patience {
	bool allowed;                   /* set by the owner: this host has a core for it */
	uint64_t ns;                    /* how long to look; 0: sleep at once */
	uint64_t looked;                /* the time of the last look */
	uint64_t not_before;            /* nothing is learnt until then */
};

/* One begins to look. */
void patience_begin(struct patience *p, uint64_t now);

/* Between two looks: whether there is time for one more before `end`.  No, and never soon again, if the core was taken away. */
bool patience_lasts(struct patience *p, uint64_t now, uint64_t end);

/* What one waited for, from `began` on, by looking or asleep, came now. */
void patience_learn(struct patience *p, uint64_t began, uint64_t now);

#endif
