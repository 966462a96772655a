/* SPDX-License-Identifier: MIT */
/*
 * Intel 8254 programmable interval timer (data sheet 231164-005) at 1.193182 MHz, and port 61h (PIIX3, NMI status and
 * control).  A counter is never counted down: its value and OUT follow from the clock and the tick at which it was
 * loaded, so every reader of this clock sees one time.  Left out on purpose: sound.
 *
 *   mode 0  OUT low until the count is over      mode 1  the same, started by the gate
 *   mode 2  high, low for the last tick          mode 3  square wave, high for the first half
 *   mode 4  high, low for one tick at the end    mode 5  the same, started by the gate
 */
#include "hw/i8254.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	HZ = 1193182,
	REG_CONTROL = 3,
	RW_LATCH = 0, RW_LSB = 1, RW_MSB = 2, RW_BOTH = 3,
	PORT61_GATE2 = 1 << 0, PORT61_SPEAKER = 1 << 1, PORT61_REFRESH = 1 << 4, PORT61_OUT2 = 1 << 5,
	PORT61_WRITABLE = 0x0f,
	REFRESH_NS = 15085,             /* counter 1 as every BIOS sets it: 18 ticks */
	LATE_PERIODS_MAX = 64,          /* ticks made up for when the host was late; the rest are lost */
	PERIOD_MIN_NS = 10000,          /* the loop is not asked to keep up with a faster interrupt */
};

struct counter {
	uint64_t start;                 /* tick at which the count was loaded */
	uint32_t count;                 /* 1..65536 */
	uint16_t latched_count;
	uint8_t latched_status, mode, rw;
	uint8_t write_low;              /* first of two bytes */
	uint8_t latch_bytes;            /* of latched_count still to be read */
	bool bcd, gate;
	bool loaded;                    /* a count was written since the control word, and its start (gate) came */
	bool written;                   /* a count was written since the control word */
	bool write_second, read_second;
	bool status_latched;
	bool paused;                    /* gate low in a mode that stops: `elapsed` holds */
	uint64_t elapsed;               /* ticks counted when the gate went low */
};

struct i8254 {
	struct i8254_config cfg;
	struct timer timer;
	/* plain state: */
	struct state {
		struct counter counter[3];
		uint8_t port61;
		bool disconnected;
		uint64_t next_edge;     /* tick of counter 0's next rising OUT; UINT64_MAX: none */
		uint64_t deadline;
	} s;
};

static uint64_t tick_now(const struct i8254 *s)
{
	return (uint64_t)((unsigned __int128)clock_now(s->cfg.clock) * HZ / S(1));
}

/* The first nanosecond at which tick_now is `tick` or more. */
static uint64_t tick_to_ns(uint64_t tick)
{
	return (uint64_t)(((unsigned __int128)tick * S(1) + HZ - 1) / HZ);
}

/* --- what a counter shows -------------------------------------------------------------------------------------- */

static bool periodic(const struct counter *c)
{
	return c->mode == 2 || c->mode == 3;
}

static uint64_t elapsed(const struct counter *c, uint64_t now)
{
	return c->paused ? c->elapsed : now - c->start;
}

static uint16_t to_bcd(uint32_t v)
{
	return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}

/* The counting element, as the guest reads it. */
static uint16_t value(const struct counter *c, uint64_t now)
{
	uint32_t wrap = c->bcd ? 10000 : 65536, left;
	uint64_t t = elapsed(c, now);

	if (!c->loaded)
		left = c->count;
	else if (c->mode == 2)
		left = c->count - (uint32_t)(t % c->count);
	else if (c->mode == 3)          /* counts by two; an odd count loses its one at the start of each half */
		left = (c->count & ~1u) - (uint32_t)(2 * t % c->count & ~(uint64_t)1);
	else
		left = (uint32_t)((c->count + wrap - t % wrap) % wrap);
	left %= wrap;
	return c->bcd ? to_bcd(left) : (uint16_t)left;
}

static bool output(const struct counter *c, uint64_t now)
{
	uint64_t t = elapsed(c, now);

	if (!c->loaded)
		return c->mode != 0;
	switch (c->mode) {
	case 0:
	case 1:
		return t >= c->count;
	case 2:
		return !c->gate || t % c->count != c->count - 1;
	case 3:
		return !c->gate || t % c->count < (c->count + 1) / 2;
	default:
		return t != c->count;
	}
}

/* --- counter 0's interrupt ------------------------------------------------------------------------------------- */

/* The first tick after `after` at which OUT rises. */
static uint64_t next_rise(const struct counter *c, uint64_t after)
{
	uint64_t end;

	if (!c->loaded || c->paused)
		return UINT64_MAX;
	if (periodic(c))
		return after < c->start ? c->start + c->count : c->start + ((after - c->start) / c->count + 1) * c->count;
	end = c->start + c->count + (c->mode >= 4);
	return end > after ? end : UINT64_MAX;
}

static void arm(struct i8254 *s)
{
	uint64_t now = clock_now(s->cfg.clock);

	s->s.deadline = CLOCK_NEVER;
	if (s->s.next_edge != UINT64_MAX && !s->s.disconnected)
		s->s.deadline = tick_to_ns(s->s.next_edge);
	/* ticks that are made up for come one by one, with a pause for the guest between them */
	if (s->s.deadline <= now)
		s->s.deadline = now + PERIOD_MIN_NS;
	timer_set(&s->timer, s->s.deadline);
}

static void drive(struct i8254 *s, bool level)
{
	if (!s->s.disconnected)
		irq_set(&s->cfg.irq, level);
}

static void fire(void *owner)
{
	struct i8254 *s = owner;
	const struct counter *c = &s->s.counter[0];
	uint64_t now = tick_now(s), last = s->s.next_edge;

	/* the line stays up from edge to edge, so that a slow guest's controller sees a held request */
	drive(s, false);
	drive(s, true);
	if (periodic(c) && now - last > (uint64_t)LATE_PERIODS_MAX * c->count)
		last = now;
	s->s.next_edge = next_rise(c, last);
	if (periodic(c) && c->count < (uint64_t)PERIOD_MIN_NS * HZ / S(1))
		s->s.next_edge = next_rise(c, now + (uint64_t)PERIOD_MIN_NS * HZ / S(1));
	arm(s);
}

/* Counter 0 was loaded, stopped or put in another mode. */
static void restart(struct i8254 *s, unsigned which)
{
	uint64_t now = tick_now(s);

	if (which != 0)
		return;
	drive(s, output(&s->s.counter[0], now));
	s->s.next_edge = next_rise(&s->s.counter[0], now);
	arm(s);
}

void i8254_disconnect(struct i8254 *s, bool disconnected)
{
	if (s->s.disconnected == disconnected)
		return;
	if (disconnected)
		drive(s, false);
	s->s.disconnected = disconnected;
	restart(s, 0);
}

/* --- registers ------------------------------------------------------------------------------------------------- */

static uint32_t from_written(const struct counter *c, uint16_t v)
{
	if (c->bcd)
		v = (uint16_t)((v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12) * 1000);
	return v ? v : c->bcd ? 10000 : 65536;
}

static void load(struct i8254 *s, unsigned which, uint16_t written)
{
	struct counter *c = &s->s.counter[which];
	uint64_t now = tick_now(s);

	c->written = true;
	/* the same count again does not disturb a running mode 2 or 3: a new one is taken when the old one is over */
	if (periodic(c) && c->loaded && !c->paused && c->count == from_written(c, written))
		return;
	c->count = from_written(c, written);
	if (c->mode == 1 || c->mode == 5)
		return;                 /* waits for the gate */
	c->start = now;
	c->loaded = true;
	c->paused = !c->gate;
	c->elapsed = 0;
	restart(s, which);
}

static void latch_count(struct counter *c, uint64_t now)
{
	if (c->latch_bytes)
		return;                 /* the first one is kept until it is read */
	c->latched_count = value(c, now);
	c->latch_bytes = c->rw == RW_BOTH ? 2 : 1;
}

static void write_control(struct i8254 *s, uint8_t v)
{
	unsigned which = v >> 6, rw = v >> 4 & 3;
	uint64_t now = tick_now(s);
	struct counter *c;

	if (which == 3) {               /* read-back command */
		for (unsigned i = 0; i < 3; i++) {
			c = &s->s.counter[i];
			if (!(v >> (i + 1) & 1))
				continue;
			if (!(v & 0x10) && !c->status_latched) {
				c->latched_status = (uint8_t)(output(c, now) << 7 | !c->loaded << 6 | c->rw << 4 |
							      c->mode << 1 | c->bcd);
				c->status_latched = true;
			}
			if (!(v & 0x20))
				latch_count(c, now);
		}
		return;
	}
	c = &s->s.counter[which];
	if (rw == RW_LATCH) {
		latch_count(c, now);
		return;
	}
	c->rw = (uint8_t)rw;
	c->mode = v >> 1 & 7;
	if (c->mode > 5)
		c->mode &= 3;           /* bit 2 is "don't care" for modes 2 and 3 */
	c->bcd = v & 1;
	c->loaded = c->written = c->paused = false;
	c->write_second = c->read_second = c->status_latched = false;
	c->latch_bytes = 0;
	restart(s, which);
}

static void write_counter(struct i8254 *s, unsigned which, uint8_t v)
{
	struct counter *c = &s->s.counter[which];

	if (c->rw == RW_LSB) {
		load(s, which, v);
	} else if (c->rw == RW_MSB) {
		load(s, which, (uint16_t)(v << 8));
	} else if (!c->write_second) {
		c->write_low = v;
		c->write_second = true;
		if (c->mode == 0 && c->loaded) {        /* the first byte stops mode 0 (data sheet, "mode 0") */
			c->loaded = false;
			restart(s, which);
		}
	} else {
		c->write_second = false;
		load(s, which, (uint16_t)(v << 8 | c->write_low));
	}
}

static uint8_t read_counter(struct i8254 *s, unsigned which)
{
	struct counter *c = &s->s.counter[which];
	uint16_t v;
	bool high;

	if (c->status_latched) {
		c->status_latched = false;
		return c->latched_status;
	}
	v = c->latch_bytes ? c->latched_count : value(c, tick_now(s));
	high = c->rw == RW_MSB || (c->rw == RW_BOTH && c->read_second);
	if (c->latch_bytes)
		c->latch_bytes--;
	if (c->rw == RW_BOTH)
		c->read_second = !c->read_second;
	return (uint8_t)(high ? v >> 8 : v);
}

static uint64_t read_pit(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return offset == REG_CONTROL ? 0xff : read_counter(dev, (unsigned)offset);
}

static void write_pit(void *dev, uint64_t offset, uint64_t v, unsigned size)
{
	(void)size;
	if (offset == REG_CONTROL)
		write_control(dev, (uint8_t)v);
	else
		write_counter(dev, (unsigned)offset, (uint8_t)v);
}

/* --- port 61h -------------------------------------------------------------------------------------------------- */

static void set_gate(struct i8254 *s, unsigned which, bool gate)
{
	struct counter *c = &s->s.counter[which];
	uint64_t now = tick_now(s);
	bool rise = gate && !c->gate;

	if (gate == c->gate)
		return;
	if (c->mode == 0 || c->mode == 4) {             /* the gate stops and goes on */
		if (c->loaded && !gate) {
			c->elapsed = elapsed(c, now);
			c->paused = true;
		} else if (c->loaded && c->paused) {
			c->start = now - c->elapsed;
			c->paused = false;
		}
	} else if (periodic(c)) {                       /* stops; a rise begins anew */
		c->paused = c->loaded && !gate;
		c->elapsed = 0;
		if (rise)
			c->start = now;
	} else if (rise && c->written) {                /* triggers */
		c->loaded = true;
		c->start = now;
	}
	c->gate = gate;
	restart(s, which);
}

static uint64_t read_port61(void *dev, uint64_t offset, unsigned size)
{
	struct i8254 *s = dev;
	uint8_t v = s->s.port61;

	(void)offset;
	(void)size;
	if (clock_now(s->cfg.clock) / REFRESH_NS & 1)
		v |= PORT61_REFRESH;
	if (output(&s->s.counter[2], tick_now(s)))
		v |= PORT61_OUT2;
	return v;
}

static void write_port61(void *dev, uint64_t offset, uint64_t v, unsigned size)
{
	struct i8254 *s = dev;

	(void)offset;
	(void)size;
	s->s.port61 = v & PORT61_WRITABLE;
	set_gate(s, 2, v & PORT61_GATE2);
}

static const struct io_ops pit_ops = { read_pit, write_pit, .max_size = 1 };
static const struct io_ops port61_ops = { read_port61, write_port61, .max_size = 1 };

/* The data sheet leaves the power-on state open; nothing counts until it is told to. */
static void reset(void *owner)
{
	struct i8254 *s = owner;

	memset(&s->s, 0, sizeof(s->s));
	for (unsigned i = 0; i < 3; i++)
		s->s.counter[i] = (struct counter){ .start = tick_now(s), .count = 65536, .mode = 3, .rw = RW_BOTH,
			.gate = i != 2 };
	restart(s, 0);
}

static void loaded(void *owner)
{
	struct i8254 *s = owner;

	timer_set(&s->timer, s->s.deadline);
}

struct i8254 *i8254_new(const struct i8254_config *config)
{
	struct i8254 *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	timer_init(&s->timer, config->clock, fire, s);
	bus_map(config->ports, 0x40, 4, &pit_ops, s, "i8254", NULL);
	bus_map(config->ports, 0x61, 1, &port61_ops, s, "port61", NULL);
	state_add(config->states, &(struct state_section){ .name = "i8254", .version = 1, .data = &s->s,
		.size = sizeof(s->s), .owner = s, .reset = reset, .loaded = loaded });
	reset(s);
	return s;
}

void i8254_free(struct i8254 *s)
{
	if (s)
		timer_cancel(&s->timer);
	free(s);
}
