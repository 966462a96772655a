/* SPDX-License-Identifier: MIT */
#include "emu/patience.h"

#include "base/bytes.h"
#include "base/clock.h"

#define PATIENCE_MIN US(5)
#define PATIENCE_MAX US(50)
#define PREEMPTED US(100)               /* between two looks: the core was taken away */
#define PENALTY MS(20)

void patience_begin(struct patience *p, uint64_t now)
{
	p->looked = now;
}

bool patience_lasts(struct patience *p, uint64_t now, uint64_t end)
{
	bool preempted = now - p->looked > PREEMPTED;

	p->looked = now;
	if (preempted) {
		p->ns = 0;
		p->not_before = now + PENALTY;
	}
	return now < end && !preempted;
}

void patience_learn(struct patience *p, uint64_t began, uint64_t now)
{
	uint64_t took = now - began;

	if (took <= p->ns || !p->allowed || now < p->not_before)
		return;
	if (took <= 2 * PATIENCE_MAX)
		p->ns = p->ns < PATIENCE_MIN ? PATIENCE_MIN : MIN(p->ns * 2, PATIENCE_MAX);
	else
		p->ns = p->ns / 2 < PATIENCE_MIN ? 0 : p->ns / 2;
}
