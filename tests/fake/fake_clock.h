/* SPDX-License-Identifier: MIT */
/* A clock that a test moves by hand. */
#ifndef TESTS_FAKE_CLOCK_H
#define TESTS_FAKE_CLOCK_H

#include "base/clock.h"

struct fake_clock {
	struct clock *clock;
	uint64_t now;
};

void fake_clock_init(struct fake_clock *f);
void fake_clock_free(struct fake_clock *f);
/* Move time forward, firing each timer at its own deadline. */
void fake_clock_advance(struct fake_clock *f, uint64_t ns);

#endif
