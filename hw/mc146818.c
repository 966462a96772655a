/* SPDX-License-Identifier: MIT */
/*
 * Motorola MC146818 real-time clock with CMOS RAM (data sheet, 1984), with the PC's century byte at 32h.
 * The time is the machine's clock plus an offset; no timer runs unless an interrupt is enabled, flags are made up when
 * register C is read.  Left out on purpose: daylight saving, square wave, a weekday at odds with the date.
 */
#include "hw/mc146818.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

enum {
	REG_SECONDS = 0, REG_SECONDS_ALARM = 1, REG_MINUTES = 2, REG_MINUTES_ALARM = 3, REG_HOURS = 4, REG_HOURS_ALARM = 5,
	REG_WEEKDAY = 6, REG_DAY = 7, REG_MONTH = 8, REG_YEAR = 9, REG_A = 10, REG_B = 11, REG_C = 12, REG_D = 13,
	REG_CENTURY = 0x32,
	A_UIP = 0x80, A_DV = 0x70, A_RS = 0x0f, DV_NORMAL = 0x20, DV_RESET = 0x60,
	B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 0x08, B_DM = 0x04, B_24 = 0x02,
	C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10,
	D_VRT = 0x80,
	PM = 0x80, DONT_CARE = 0xc0,
	UIP_NS = 244000 + 1984000,      /* UIP rises 244 us before the update cycle, which takes 1984 us (table 5) */
	DAY_S = 86400,
};

struct mc146818 {
	struct mc146818_config cfg;
	struct timer timer;
	/* plain state: */
	struct state {
		int64_t offset_ns;      /* shown time less the clock's */
		int64_t updated_s;      /* the last second whose update is in the flags */
		uint64_t ticked;        /* the last period whose end is in the flags */
		uint64_t deadline;
		int64_t fraction_ns;    /* of the second at which the time was stopped */
		uint8_t index;
		bool stopped;           /* SET, or the divider held in reset: the registers hold the time */
		uint8_t cmos[CMOS_SIZE];
	} s;
};

/* --- calendar -------------------------------------------------------------------------------------------------- */

struct date {
	int64_t year;
	unsigned month, day, weekday;   /* 1..12, 1..31, 1 = Sunday */
};

/* Days since 1970 and back, Gregorian; years are counted from March, so that the leap day ends them. */
static struct date to_date(int64_t days)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, year;
	unsigned doe = (unsigned)(z - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	year = (int64_t)yoe + era * 400 + (mp >= 10);
	return (struct date){ year, mp < 10 ? mp + 3 : mp - 9, doy - (153 * mp + 2) / 5 + 1,
			      (unsigned)(((days + 4) % 7 + 7) % 7) + 1 };
}

static int64_t to_days(int64_t year, unsigned month, unsigned day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400), doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

/* --- registers and time ---------------------------------------------------------------------------------------- */

static uint8_t encode(const struct mc146818 *s, unsigned v)
{
	return (uint8_t)(s->s.cmos[REG_B] & B_DM ? v : v % 10 | v / 10 % 10 << 4);
}

static unsigned decode(const struct mc146818 *s, uint8_t v)
{
	return s->s.cmos[REG_B] & B_DM ? v : (v & 15u) + (v >> 4) * 10u;
}

static uint8_t encode_hour(const struct mc146818 *s, unsigned hour)
{
	if (s->s.cmos[REG_B] & B_24)
		return encode(s, hour);
	return (uint8_t)(encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? PM : 0));
}

static unsigned decode_hour(const struct mc146818 *s, uint8_t v)
{
	if (s->s.cmos[REG_B] & B_24)
		return decode(s, v);
	return decode(s, v & (uint8_t)~PM) % 12 + (v & PM ? 12 : 0);
}

static int64_t shown_ns(const struct mc146818 *s)
{
	return (int64_t)clock_now(s->cfg.clock) + s->s.offset_ns;
}

static int64_t floor_s(int64_t ns)
{
	return ns / (int64_t)S(1) - (ns % (int64_t)S(1) < 0);
}

static void time_to_registers(struct mc146818 *s)
{
	int64_t now = floor_s(shown_ns(s)), days = now / DAY_S - (now % DAY_S < 0);
	unsigned second = (unsigned)(now - days * DAY_S);
	struct date d = to_date(days);
	uint8_t *r = s->s.cmos;

	r[REG_SECONDS] = encode(s, second % 60);
	r[REG_MINUTES] = encode(s, second / 60 % 60);
	r[REG_HOURS] = encode_hour(s, second / 3600);
	r[REG_WEEKDAY] = encode(s, d.weekday);
	r[REG_DAY] = encode(s, d.day);
	r[REG_MONTH] = encode(s, d.month);
	r[REG_YEAR] = encode(s, (unsigned)(d.year % 100));
	r[REG_CENTURY] = (uint8_t)(d.year / 100 % 10 | d.year / 1000 << 4);
}

static void registers_to_time(struct mc146818 *s, int64_t fraction_ns)
{
	const uint8_t *r = s->s.cmos;
	unsigned century = (r[REG_CENTURY] & 15u) + (r[REG_CENTURY] >> 4) * 10u, month = decode(s, r[REG_MONTH]);
	int64_t days, shown;

	if (century < 19 || century > 21)
		century = 20;           /* 64 bits of nanoseconds end in 2262 */
	/* whatever was stored, the result is some time within a few months of it */
	month = month >= 1 && month <= 12 ? month : 1;
	days = to_days(century * 100 + decode(s, r[REG_YEAR]) % 100, month, MAX(decode(s, r[REG_DAY]), 1u));
	shown = days * DAY_S + decode_hour(s, r[REG_HOURS]) * 3600 + decode(s, r[REG_MINUTES]) * 60 +
		decode(s, r[REG_SECONDS]);
	s->s.offset_ns = shown * (int64_t)S(1) + fraction_ns - (int64_t)clock_now(s->cfg.clock);
	s->s.updated_s = shown;
}

/* --- flags and the interrupt ----------------------------------------------------------------------------------- */

/* Nanoseconds between periodic ticks: RS 3..15 divide 32768 Hz by 2^(RS-1), 1 and 2 are as 8 and 9 (table 3). */
static uint64_t period_ns64(const struct mc146818 *s)
{
	unsigned rs = s->s.cmos[REG_A] & A_RS;

	if (!rs || (s->s.cmos[REG_A] & A_DV) >= DV_RESET)
		return 0;
	/* in 64ths of a nanosecond, so that 1/32768 s is a whole number */
	return (uint64_t)1953125 << ((rs <= 2 ? rs + 7 : rs) - 1);
}

static uint64_t period_number(const struct mc146818 *s)
{
	return (uint64_t)((unsigned __int128)clock_now(s->cfg.clock) * 64 / period_ns64(s));
}

static bool alarm_matches(const struct mc146818 *s, unsigned reg, unsigned value)
{
	uint8_t alarm = s->s.cmos[reg];

	return (alarm & DONT_CARE) == DONT_CARE || alarm == (reg == REG_HOURS_ALARM ? encode_hour(s, value) : encode(s, value));
}

/* The first second after `after` that the alarm names; INT64_MAX: none within a day. */
static int64_t next_alarm(const struct mc146818 *s, int64_t after)
{
	int64_t t = after + 1, end = after + DAY_S;

	while (t <= end) {
		unsigned second = (unsigned)((t % DAY_S + DAY_S) % DAY_S);

		if (!alarm_matches(s, REG_HOURS_ALARM, second / 3600))
			t += 3600 - second % 3600;
		else if (!alarm_matches(s, REG_MINUTES_ALARM, second / 60 % 60))
			t += 60 - second % 60;
		else if (!alarm_matches(s, REG_SECONDS_ALARM, second % 60))
			t++;
		else
			return t;
	}
	return INT64_MAX;
}

static uint64_t second_to_clock(const struct mc146818 *s, int64_t second)
{
	int64_t ns = second * (int64_t)S(1) - s->s.offset_ns;

	return ns < 0 ? 0 : (uint64_t)ns;
}

static void arm(struct mc146818 *s)
{
	uint8_t b = s->s.cmos[REG_B];

	s->s.deadline = CLOCK_NEVER;
	if (s->s.cmos[REG_C] & C_IRQF)
		;                       /* the line is up: nothing can change it before register C is read */
	else if (!s->s.stopped && b & B_UIE)
		s->s.deadline = second_to_clock(s, s->s.updated_s + 1);
	else if (!s->s.stopped && b & B_AIE && next_alarm(s, s->s.updated_s) != INT64_MAX)
		s->s.deadline = second_to_clock(s, next_alarm(s, s->s.updated_s));
	if (b & B_PIE && period_ns64(s) && !(s->s.cmos[REG_C] & C_IRQF)) {
		unsigned __int128 end = (unsigned __int128)(s->s.ticked + 1) * period_ns64(s) + 63;

		s->s.deadline = MIN(s->s.deadline, (uint64_t)(end / 64));
	}
	timer_set(&s->timer, s->s.deadline);
}

/* Bring the flags up to now, then the line and the timer. */
static void update(struct mc146818 *s)
{
	uint8_t *c = &s->s.cmos[REG_C];

	if (!s->s.stopped) {
		int64_t now = floor_s(shown_ns(s));

		if (now > s->s.updated_s) {
			*c |= C_UF;
			if (next_alarm(s, s->s.updated_s) <= now)
				*c |= C_AF;
			s->s.updated_s = now;
		}
	}
	if (period_ns64(s)) {
		if (period_number(s) > s->s.ticked)
			*c |= C_PF;
		s->s.ticked = period_number(s);
	}
	*c &= (uint8_t)~C_IRQF;
	if (*c & s->s.cmos[REG_B] & (C_PF | C_AF | C_UF))
		*c |= C_IRQF;
	irq_set(&s->cfg.irq, *c & C_IRQF);
	arm(s);
}

static void fire(void *owner)
{
	update(owner);
}

/* --- the guest's side ------------------------------------------------------------------------------------------ */

static uint8_t read_a(const struct mc146818 *s)
{
	int64_t to_go = (int64_t)S(1) - (shown_ns(s) - floor_s(shown_ns(s)) * (int64_t)S(1));

	return s->s.cmos[REG_A] | (!s->s.stopped && to_go <= UIP_NS ? A_UIP : 0);
}

static uint8_t read_index(struct mc146818 *s, unsigned index)
{
	uint8_t c;

	switch (index) {
	case REG_SECONDS: case REG_MINUTES: case REG_HOURS: case REG_WEEKDAY: case REG_DAY: case REG_MONTH: case REG_YEAR:
	case REG_CENTURY:
		if (!s->s.stopped)
			time_to_registers(s);
		return s->s.cmos[index];
	case REG_A:
		return read_a(s);
	case REG_C:
		update(s);
		c = s->s.cmos[REG_C];
		s->s.cmos[REG_C] = 0;
		update(s);
		return c;
	case REG_D:
		return D_VRT;
	}
	return s->s.cmos[index];
}

/* SET or the divider's reset may have come or gone. */
static void stop_or_go(struct mc146818 *s, bool divider_released)
{
	bool stop = s->s.cmos[REG_B] & B_SET || (s->s.cmos[REG_A] & A_DV) >= DV_RESET;

	if (stop && !s->s.stopped) {
		time_to_registers(s);
		s->s.fraction_ns = shown_ns(s) - floor_s(shown_ns(s)) * (int64_t)S(1);
		s->s.stopped = true;
	}
	if (divider_released)
		s->s.fraction_ns = MS(500);     /* the first update comes half a second later (register A, DV) */
	if (!stop && s->s.stopped) {
		s->s.stopped = false;
		registers_to_time(s, s->s.fraction_ns);
	}
}

static void write_index(struct mc146818 *s, unsigned index, uint8_t value)
{
	uint8_t *r = s->s.cmos, was = r[index];
	int64_t fraction;

	update(s);
	switch (index) {
	case REG_SECONDS: case REG_MINUTES: case REG_HOURS: case REG_WEEKDAY: case REG_DAY: case REG_MONTH: case REG_YEAR:
	case REG_CENTURY:
		if (s->s.stopped) {
			r[index] = value;
			break;
		}
		time_to_registers(s);
		fraction = shown_ns(s) - floor_s(shown_ns(s)) * (int64_t)S(1);
		r[index] = value;
		registers_to_time(s, fraction);
		break;
	case REG_A:
		r[REG_A] = value & (uint8_t)~A_UIP;
		stop_or_go(s, (was & A_DV) >= DV_RESET && (value & A_DV) < DV_RESET);
		s->s.ticked = period_ns64(s) ? period_number(s) : 0;
		break;
	case REG_B:
		r[REG_B] = value & B_SET ? value & (uint8_t)~B_UIE : value;     /* SET clears UIE */
		stop_or_go(s, false);
		break;
	case REG_C:
	case REG_D:
		break;                          /* read-only */
	default:
		r[index] = value;
	}
	update(s);
}

static uint64_t read_rtc(void *dev, uint64_t offset, unsigned size)
{
	struct mc146818 *s = dev;

	(void)size;
	return offset ? read_index(s, s->s.index) : 0xff;       /* 70h is write-only on a PC */
}

static void write_rtc(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct mc146818 *s = dev;

	(void)size;
	if (offset)
		write_index(s, s->s.index, (uint8_t)value);
	else
		s->s.index = value & 0x7f;      /* bit 7 masks NMI; nothing here raises one */
}

static const struct io_ops rtc_ops = { read_rtc, write_rtc, .max_size = 1 };

/* RESET# clears the enables and flags; time and memory have a battery. */
static void reset(void *owner)
{
	struct mc146818 *s = owner;

	s->s.cmos[REG_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | B_SQWE);
	s->s.cmos[REG_C] = 0;
	s->s.index = 0;
	update(s);
}

static void loaded(void *owner)
{
	struct mc146818 *s = owner;

	irq_set(&s->cfg.irq, s->s.cmos[REG_C] & C_IRQF);
	timer_set(&s->timer, s->s.deadline);
}

struct mc146818 *mc146818_new(const struct mc146818_config *config)
{
	struct mc146818 *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	timer_init(&s->timer, config->clock, fire, s);
	assert(config->now_s > -(int64_t)8e9 && config->now_s < (int64_t)8e9);
	s->s.offset_ns = config->now_s * (int64_t)S(1) - (int64_t)clock_now(config->clock);
	s->s.updated_s = config->now_s;
	s->s.cmos[REG_A] = DV_NORMAL | 6;       /* 32768 Hz crystal, 1024 Hz rate, as firmware leaves them */
	s->s.cmos[REG_B] = B_24;
	s->s.ticked = period_number(s);
	bus_map(config->ports, 0x70, 2, &rtc_ops, s, "rtc", NULL);
	state_add(config->states, &(struct state_section){ .name = "mc146818", .version = 1, .data = &s->s,
		.size = sizeof(s->s), .owner = s, .reset = reset, .loaded = loaded });
	reset(s);
	return s;
}

void mc146818_free(struct mc146818 *s)
{
	if (s)
		timer_cancel(&s->timer);
	free(s);
}

void mc146818_set_cmos(struct mc146818 *s, unsigned index, uint8_t value)
{
	assert(index > REG_D && index < CMOS_SIZE && index != REG_CENTURY);
	s->s.cmos[index] = value;
}

uint8_t mc146818_cmos(const struct mc146818 *s, unsigned index)
{
	return s->s.cmos[index % CMOS_SIZE];
}
