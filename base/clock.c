/* SPDX-License-Identifier: MIT */
/*
 * A binary heap of timers, ordered by (deadline, order of arming), and beside it a stack of rung bells: any thread
 * pushes, whoever runs the clock takes the whole stack at once, so no bell is ever popped from under a pusher.
 */
#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

struct entry {
	struct timer *timer;
	uint64_t order;
};

struct clock {
	struct clock_config cfg;
	struct entry *heap;
	uint32_t count, room;
	uint64_t order;                 /* of the next arming */
	struct bell *rung;              /* atomic; last rung first */
	struct bell *answering;         /* taken from `rung`, first rung first */
	uint64_t running_at;            /* the time that clock_run works off; 0 outside of it */
};

uint64_t clock_monotonic(void *owner)
{
	struct timespec ts;

	(void)owner;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return S(ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

struct clock *clock_new(const struct clock_config *config)
{
	struct clock *c = calloc(1, sizeof(*c));

	assert(c && config->now);
	c->cfg = *config;
	return c;
}

void clock_free(struct clock *c)
{
	if (!c)
		return;
	assert(c->count == 0 && !c->rung && !c->answering);
	free(c->heap);
	free(c);
}

uint64_t clock_now(const struct clock *c)
{
	return c->cfg.now(c->cfg.owner);
}

static bool before(const struct entry *a, const struct entry *b)
{
	if (a->timer->deadline != b->timer->deadline)
		return a->timer->deadline < b->timer->deadline;
	return a->order < b->order;
}

static void put(struct clock *c, uint32_t i, struct entry e)
{
	c->heap[i] = e;
	e.timer->slot = i;
}

static void up(struct clock *c, uint32_t i, struct entry e)
{
	while (i > 0 && before(&e, &c->heap[(i - 1) / 2])) {
		put(c, i, c->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(c, i, e);
}

static void down(struct clock *c, uint32_t i, struct entry e)
{
	for (;;) {
		uint32_t kid = 2 * i + 1;

		if (kid >= c->count)
			break;
		if (kid + 1 < c->count && before(&c->heap[kid + 1], &c->heap[kid]))
			kid++;
		if (!before(&c->heap[kid], &e))
			break;
		put(c, i, c->heap[kid]);
		i = kid;
	}
	put(c, i, e);
}

void timer_init(struct timer *t, struct clock *c, void (*fire)(void *owner), void *owner)
{
	*t = (struct timer){ .clock = c, .fire = fire, .owner = owner, .deadline = CLOCK_NEVER };
}

void timer_cancel(struct timer *t)
{
	struct clock *c = t->clock;
	struct entry last;
	uint32_t i = t->slot;

	if (!timer_armed(t))
		return;
	t->deadline = CLOCK_NEVER;
	last = c->heap[--c->count];
	if (last.timer == t)
		return;
	if (i > 0 && before(&last, &c->heap[(i - 1) / 2]))
		up(c, i, last);
	else
		down(c, i, last);
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
	struct clock *c = t->clock;

	if (deadline_ns == t->deadline)
		return;
	timer_cancel(t);
	if (deadline_ns == CLOCK_NEVER)
		return;
	if (deadline_ns < c->running_at)        /* behind all that clock_run has still to fire, not in front of it */
		deadline_ns = c->running_at;
	if (c->count == c->room) {
		c->room = c->room ? 2 * c->room : 16;
		c->heap = realloc(c->heap, c->room * sizeof(*c->heap));
		assert(c->heap);
	}
	t->deadline = deadline_ns;
	up(c, c->count++, (struct entry){ t, c->order++ });
	if (t->slot == 0 && c->cfg.earlier)
		c->cfg.earlier(c->cfg.owner);
}

void bell_init(struct bell *b, struct clock *c, void (*answer)(void *owner), void *owner)
{
	*b = (struct bell){ .clock = c, .answer = answer, .owner = owner };
}

void bell_ring(struct bell *b)
{
	struct clock *c = b->clock;

	/*
	 * The exchange also publishes the ringer's stores when the bell rings already: answers begin with the
	 * exchange back to false.
	 */
	if (__atomic_exchange_n(&b->rung, true, __ATOMIC_SEQ_CST))
		return;
	b->next = __atomic_load_n(&c->rung, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&c->rung, &b->next, b, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	if (c->cfg.earlier)
		c->cfg.earlier(c->cfg.owner);
}

/* Appends what has rung to `answering`, oldest first. */
static void collect(struct clock *c)
{
	struct bell *stack, *list = NULL, **end = &c->answering;

	if (!__atomic_load_n(&c->rung, __ATOMIC_RELAXED))
		return;
	stack = __atomic_exchange_n(&c->rung, NULL, __ATOMIC_SEQ_CST);
	while (stack) {
		struct bell *b = stack;

		stack = b->next;
		b->next = list;
		list = b;
	}
	while (*end)
		end = &(*end)->next;
	*end = list;
}

void bell_cancel(struct bell *b)
{
	struct bell **at;

	if (!b->clock)
		return;
	collect(b->clock);
	for (at = &b->clock->answering; *at; at = &(*at)->next) {
		if (*at == b) {
			*at = b->next;
			break;
		}
	}
	b->rung = false;
}

static bool answer_bells(struct clock *c)
{
	bool any = false;
	struct bell *b, *last;

	collect(c);
	for (last = c->answering; last && last->next; last = last->next)
		;
	/* only those rung before the call: a bell that is rung from its own answer waits for the next run */
	while (c->answering && last) {
		b = c->answering;
		c->answering = b->next;
		if (b == last)
			last = NULL;
		(void)__atomic_exchange_n(&b->rung, false, __ATOMIC_SEQ_CST);
		b->answer(b->owner);
		any = true;
	}
	return any;
}

bool clock_quick(const struct clock *c)
{
	if (c->answering)
		return false;
	for (const struct bell *b = __atomic_load_n(&c->rung, __ATOMIC_ACQUIRE); b; b = b->next)
		if (!b->quick)
			return false;
	return true;
}

void clock_answer(struct clock *c)
{
	c->running_at = clock_now(c);
	answer_bells(c);
	c->running_at = 0;
}

uint64_t clock_deadline(const struct clock *c)
{
	if (c->answering || __atomic_load_n(&c->rung, __ATOMIC_RELAXED))
		return 0;
	return c->count ? c->heap[0].timer->deadline : CLOCK_NEVER;
}

bool clock_run(struct clock *c)
{
	uint64_t end = c->order, now = clock_now(c);
	bool any;

	c->running_at = now;
	any = answer_bells(c);
	while (c->count && c->heap[0].timer->deadline <= now && c->heap[0].order < end) {
		struct timer *t = c->heap[0].timer;

		timer_cancel(t);
		t->fire(t->owner);
		any = true;
	}
	c->running_at = 0;
	return any;
}
