/* SPDX-License-Identifier: MIT */
/*
 * IA-PC HPET (specification 1.0a): 64-bit counter at 100 MHz, three comparators, all of them able to be periodic.
 * Left out on purpose: FSB (message) delivery, which the capability bits say.
 */
#include "hw/hpet.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	REG_CAP = 0x000, REG_CONFIG = 0x010, REG_STATUS = 0x020, REG_COUNTER = 0x0f0, REG_TIMER = 0x100,
	TIMER_STRIDE = 0x20, TIMER_CONFIG = 0x00, TIMER_COMPARATOR = 0x08, TIMER_FSB = 0x10,
	CAP_REV = 1, CAP_64 = 1 << 13, CAP_LEGACY = 1 << 15,
	CONFIG_ENABLE = 1 << 0, CONFIG_LEGACY = 1 << 1,
	TN_LEVEL = 1 << 1, TN_ENABLE = 1 << 2, TN_PERIODIC = 1 << 3, TN_PERIODIC_CAP = 1 << 4, TN_64_CAP = 1 << 5,
	TN_SET_VALUE = 1 << 6, TN_32 = 1 << 8, TN_ROUTE_SHIFT = 9,
	TN_WRITABLE = TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_SET_VALUE | TN_32 | 0x1f << TN_ROUTE_SHIFT,
	TICK_NS = HPET_PERIOD_FS / 1000000,
	PERIOD_MIN_NS = 10000,          /* the loop is not asked to keep up with a faster interrupt */
};

struct comparator {
	uint64_t config, value, period;
	uint64_t deadline;
};

struct hpet {
	struct hpet_config cfg;
	struct timer timer[HPET_TIMERS];
	struct owner {
		struct hpet *hpet;
		unsigned n;
	} owner[HPET_TIMERS];
	/* plain state: */
	struct state {
		uint64_t config, status;
		uint64_t base;          /* counter while stopped; while it runs, counter less the clock's ticks */
		struct comparator timer[HPET_TIMERS];
	} s;
};

uint32_t hpet_id(void)
{
	return 0x80860000u | CAP_LEGACY | CAP_64 | (HPET_TIMERS - 1) << 8 | CAP_REV;
}

static uint64_t ticks(const struct hpet *s)
{
	return clock_now(s->cfg.clock) / TICK_NS;
}

static bool running(const struct hpet *s)
{
	return s->s.config & CONFIG_ENABLE;
}

static uint64_t counter(const struct hpet *s)
{
	return running(s) ? s->s.base + ticks(s) : s->s.base;
}

/* --- interrupts ------------------------------------------------------------------------------------------------ */

static const struct irq_line *line(const struct hpet *s, unsigned n)
{
	if (s->s.config & CONFIG_LEGACY && n < 2)
		return &s->cfg.legacy[n];
	return &s->cfg.irq[s->s.timer[n].config >> TN_ROUTE_SHIFT & 31];
}

static void raise(struct hpet *s, unsigned n)
{
	const struct comparator *t = &s->s.timer[n];

	if (t->config & TN_LEVEL)
		s->s.status |= (uint64_t)1 << n;
	if (!(t->config & TN_ENABLE))
		return;
	irq_set(line(s, n), false);
	irq_set(line(s, n), true);
	if (!(t->config & TN_LEVEL))
		irq_set(line(s, n), false);
}

static uint64_t width(const struct comparator *t)
{
	return t->config & TN_32 ? UINT32_MAX : UINT64_MAX;
}

/* Arm for the moment at which the counter meets the comparator. */
static void arm(struct hpet *s, unsigned n)
{
	struct comparator *t = &s->s.timer[n];
	uint64_t now = clock_now(s->cfg.clock), away = (t->value - counter(s)) & width(t), when;

	t->deadline = CLOCK_NEVER;
	/* a comparator without an interrupt is not worth a timer: nothing can be seen of it */
	if (running(s) && t->config & (TN_ENABLE | TN_LEVEL) && away < (CLOCK_NEVER - now) / TICK_NS / 2) {
		if (!away)
			away = width(t) < UINT64_MAX ? (uint64_t)1 << 32 : CLOCK_NEVER / TICK_NS / 4;
		when = (ticks(s) + away) * TICK_NS;
		t->deadline = when;
	}
	timer_set(&s->timer[n], t->deadline);
}

static void fire(void *owner)
{
	struct owner *o = owner;
	struct hpet *s = o->hpet;
	struct comparator *t = &s->s.timer[o->n];

	raise(s, o->n);
	if (t->config & TN_PERIODIC && t->period) {
		uint64_t behind = (counter(s) - t->value) & width(t), step = MAX(t->period, (uint64_t)(PERIOD_MIN_NS / TICK_NS));

		/* ticks that the host was too late for are lost, but the phase stays */
		t->value = (t->value + (behind / t->period + 1) * t->period) & width(t);
		if (((t->value - counter(s)) & width(t)) < step && t->period < step)
			t->value = (t->value + step / t->period * t->period) & width(t);
	}
	arm(s, o->n);
}

static void lower(struct hpet *s, unsigned n)
{
	s->s.status &= ~((uint64_t)1 << n);
	irq_set(line(s, n), false);
}

/* --- registers ------------------------------------------------------------------------------------------------- */

static uint64_t read_register(const struct hpet *s, unsigned reg)
{
	unsigned n = (reg - REG_TIMER) / TIMER_STRIDE;

	switch (reg) {
	case REG_CAP:
		return (uint64_t)HPET_PERIOD_FS << 32 | hpet_id();
	case REG_CONFIG:
		return s->s.config;
	case REG_STATUS:
		return s->s.status;
	case REG_COUNTER:
		return counter(s);
	}
	if (reg < REG_TIMER || n >= HPET_TIMERS)
		return 0;
	switch (reg % TIMER_STRIDE) {
	case TIMER_CONFIG:
		return s->s.timer[n].config | TN_PERIODIC_CAP | TN_64_CAP | (uint64_t)HPET_ROUTES << 32;
	case TIMER_COMPARATOR:
		return s->s.timer[n].value;
	}
	return 0;
}

static void write_config(struct hpet *s, uint64_t value)
{
	uint64_t was = s->s.config, now = counter(s);

	for (unsigned n = 0; n < HPET_TIMERS; n++)      /* lines may change hands */
		irq_set(line(s, n), false);
	s->s.config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
	s->s.base = running(s) ? now - ticks(s) : now;
	if ((was ^ s->s.config) & CONFIG_LEGACY && s->cfg.legacy_route)
		s->cfg.legacy_route(s->cfg.owner, s->s.config & CONFIG_LEGACY);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		arm(s, n);
}

/* In periodic mode a store to the comparator sets the period; right after SET_VALUE it sets the comparator too (2.3.9.2.2). */
static void write_comparator(struct hpet *s, struct comparator *t, uint64_t value, uint64_t mask)
{
	uint64_t v = value & mask;

	if (!(t->config & TN_PERIODIC) || t->config & TN_SET_VALUE)
		t->value = ((t->value & ~mask) | v) & width(t);
	if (t->config & TN_PERIODIC && !(t->config & TN_SET_VALUE))
		t->period = ((t->period & ~mask) | v) & width(t);
	else if (t->config & TN_PERIODIC && !t->period)
		t->period = v;          /* guests that write once mean both */
	t->config &= ~(uint64_t)TN_SET_VALUE;
	arm(s, (unsigned)(t - s->s.timer));
}

static void write_timer(struct hpet *s, unsigned n, unsigned reg, uint64_t value, uint64_t mask)
{
	struct comparator *t = &s->s.timer[n];
	uint64_t config = (t->config & ~mask) | (value & mask);

	switch (reg) {
	case TIMER_CONFIG:
		irq_set(line(s, n), false);
		t->config = config & TN_WRITABLE;
		if (!(HPET_ROUTES >> (t->config >> TN_ROUTE_SHIFT & 31) & 1))
			t->config &= ~((uint64_t)31 << TN_ROUTE_SHIFT);         /* not allowed: reads back as something else */
		t->value &= width(t);
		t->period &= width(t);
		if (t->config & TN_LEVEL && t->config & TN_ENABLE && s->s.status >> n & 1)
			irq_set(line(s, n), true);
		arm(s, n);
		break;
	case TIMER_COMPARATOR:
		write_comparator(s, t, value, mask);
		break;
	case TIMER_FSB:
		break;
	}
}

static void write_register(struct hpet *s, unsigned reg, uint64_t value, uint64_t mask)
{
	unsigned n = (reg - REG_TIMER) / TIMER_STRIDE;

	switch (reg) {
	case REG_CONFIG:
		write_config(s, (s->s.config & ~mask) | (value & mask));
		return;
	case REG_STATUS:
		for (n = 0; n < HPET_TIMERS; n++)
			if ((value & mask) >> n & 1 && s->s.status >> n & 1)
				lower(s, n);
		return;
	case REG_COUNTER:
		if (running(s))
			log_guest("hpet", "the counter is written while it runs");
		s->s.base = ((counter(s) & ~mask) | (value & mask)) - (running(s) ? ticks(s) : 0);
		for (n = 0; n < HPET_TIMERS; n++)
			arm(s, n);
		return;
	}
	if (reg >= REG_TIMER && n < HPET_TIMERS)
		write_timer(s, n, reg % TIMER_STRIDE, value, mask);
}

static uint64_t read_hpet(void *dev, uint64_t offset, unsigned size)
{
	uint64_t value = read_register(dev, (unsigned)offset & ~7u);

	return size == 8 ? value : value >> (offset & 4 ? 32 : 0);
}

static void write_hpet(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	unsigned shift = size == 4 && offset & 4 ? 32 : 0;
	uint64_t mask = (size == 8 ? UINT64_MAX : UINT32_MAX) << shift;

	if (offset & (size - 1)) {
		log_guest("hpet", "unaligned store at 0x%" PRIx64, offset);
		return;
	}
	write_register(dev, (unsigned)offset & ~7u, value << shift, mask);
}

static const struct io_ops hpet_ops = { read_hpet, write_hpet, .min_size = 4, .max_size = 8 };

static void reset(void *owner)
{
	struct hpet *s = owner;

	if (s->s.config & CONFIG_LEGACY && s->cfg.legacy_route)
		s->cfg.legacy_route(s->cfg.owner, false);
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		irq_set(line(s, n), false);
		timer_cancel(&s->timer[n]);
	}
	memset(&s->s, 0, sizeof(s->s));
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		s->s.timer[n] = (struct comparator){ .value = UINT64_MAX, .deadline = CLOCK_NEVER };
}

static void loaded(void *owner)
{
	struct hpet *s = owner;

	for (unsigned n = 0; n < HPET_TIMERS; n++)
		timer_set(&s->timer[n], s->s.timer[n].deadline);
}

struct hpet *hpet_new(const struct hpet_config *config)
{
	struct hpet *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		s->owner[n] = (struct owner){ s, n };
		timer_init(&s->timer[n], config->clock, fire, &s->owner[n]);
	}
	bus_map(config->memory, HPET_BASE, 0x400, &hpet_ops, s, "hpet", NULL);
	state_add(config->states, &(struct state_section){ .name = "hpet", .version = 1, .data = &s->s,
		.size = sizeof(s->s), .owner = s, .reset = reset, .loaded = loaded });
	reset(s);
	return s;
}

void hpet_free(struct hpet *s)
{
	for (unsigned n = 0; s && n < HPET_TIMERS; n++)
		timer_cancel(&s->timer[n]);
	free(s);
}
