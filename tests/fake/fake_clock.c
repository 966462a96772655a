/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_clock.h"

static uint64_t now(void *owner)
{
	struct fake_clock *f = owner;

	return f->now;
}

void fake_clock_init(struct fake_clock *f)
{
	f->now = 0;
	f->clock = clock_new(&(struct clock_config){ .now = now, .owner = f });
}

void fake_clock_free(struct fake_clock *f)
{
	clock_free(f->clock);
}

void fake_clock_advance(struct fake_clock *f, uint64_t ns)
{
	uint64_t end = f->now + ns;

	clock_run(f->clock);
	while (clock_deadline(f->clock) <= end) {
		if (clock_deadline(f->clock) > f->now)
			f->now = clock_deadline(f->clock);
		clock_run(f->clock);
	}
	f->now = end;
}
