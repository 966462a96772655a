/* SPDX-License-Identifier: MIT */
/*
 * The local APIC (Intel SDM volume 3, chapter 11), as an integrated APIC of version 14h with six LVT entries.
 *
 * The timer's bus clock is 1 GHz, so that a count is a nanosecond times the divisor; timer, TSC deadline and the rest
 * of the machine follow one clock.  After power-on LINT0 of the bootstrap processor passes the 8259's INTR through
 * (virtual wire mode), as firmware leaves it: real hardware masks it.
 *
 * Left out on purpose: SMI, remote read, the focus processor, level-triggered LINT pins (taken as edges), EOI
 * suppression, CMCI.
 */
#include "cpu/lapic.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"

enum {
	REG_ID = 0x20, REG_VERSION = 0x30, REG_TPR = 0x80, REG_PPR = 0xa0, REG_EOI = 0xb0 /* WO */, REG_LDR = 0xd0,
	REG_DFR = 0xe0, REG_SVR = 0xf0, REG_ISR = 0x100, REG_TMR = 0x180, REG_IRR = 0x200, REG_ESR = 0x280,
	REG_ICR_LOW = 0x300,
	REG_ICR_HIGH = 0x310, REG_LVT_TIMER = 0x320, REG_LVT_ERROR = 0x370, REG_INITIAL = 0x380, REG_CURRENT = 0x390,
	REG_DIVIDE = 0x3e0, REG_SELF_IPI = 0x3f0 /* x2APIC, WO */,

	VERSION = 0x14 | (LVT_COUNT - 1) << 16,

	BASE_BSP = 1 << 8, BASE_EXTD = 1 << 10, BASE_EN = 1 << 11,
	SVR_ENABLED = 1 << 8, SVR_BITS = 0x3ff,
	LVT_VECTOR = 0xff, LVT_MODE = 7 << 8, LVT_MASKED = 1 << 16,
	TIMER_MODE = 3 << 17, TIMER_ONE_SHOT = 0 << 17, TIMER_PERIODIC = 1 << 17, TIMER_DEADLINE = 2 << 17,
	ESR_SEND_ILLEGAL = 1 << 5, ESR_RECEIVE_ILLEGAL = 1 << 6, ESR_REGISTER = 1 << 7,

	MODE_FIXED = 0, MODE_LOWEST = 1, MODE_SMI = 2, MODE_NMI = 4, MODE_INIT = 5, MODE_SIPI = 6, MODE_EXTINT = 7,
	ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15, ICR_BITS = 0xccfff,

	EXTINT = 1 << 8,                /* in events: an ExtINT message waits for its INTA cycle */
	MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800,
	PERIOD_MIN_NS = 20000,          /* a periodic timer interrupts no more often, whatever the guest asks for */
};
#define ADDRESS_DEFAULT 0xfee00000u
#define ADDRESS_BITS 0xfffffff000ull    /* of IA32_APIC_BASE, with 40 physical address bits */

static const uint32_t lvt_bits[LVT_COUNT] = {
	[LVT_TIMER] = LVT_VECTOR | LVT_MASKED | TIMER_MODE, [LVT_THERMAL] = LVT_VECTOR | LVT_MODE | LVT_MASKED,
	[LVT_PERF] = LVT_VECTOR | LVT_MODE | LVT_MASKED, [LVT_LINT0] = LVT_VECTOR | LVT_MODE | LVT_MASKED | 0xa000,
	[LVT_LINT1] = LVT_VECTOR | LVT_MODE | LVT_MASKED | 0xa000, [LVT_ERROR] = LVT_VECTOR | LVT_MASKED,
};

static bool enabled(const struct lapic *l) { return l->base & BASE_EN; }
static bool x2apic(const struct lapic *l) { return (l->base & (BASE_EN | BASE_EXTD)) == (BASE_EN | BASE_EXTD); }
static bool soft_enabled(const struct lapic *l) { return l->svr & SVR_ENABLED; }

/* --- priorities -------------------------------------------------------------------------------------------------- */

static int highest_isr(const struct lapic *l)
{
	int n;

	for (n = 7; n >= 0; n--)
		if (l->isr[n])
			return n * 32 + 31 - __builtin_clz(l->isr[n]);
	return -1;
}

static int highest_irr(const struct lapic *l)
{
	int n;

	for (n = 7; n >= 0; n--) {
		uint32_t bits = atomic_load_explicit(&l->irr[n], memory_order_relaxed);

		if (bits)
			return n * 32 + 31 - __builtin_clz(bits);
	}
	return -1;
}

static void update_ppr(struct lapic *l)
{
	int isr = highest_isr(l);
	uint32_t in_service = isr < 0 ? 0 : isr & 0xf0;

	l->ppr = (l->tpr & 0xf0) >= in_service ? l->tpr : in_service;
}

/* The vector that the priorities let through now; -1: none. */
static int deliverable(const struct lapic *l)
{
	int irr = highest_irr(l);

	return irr >= 0 && enabled(l) && (irr & 0xf0) > (l->ppr & 0xf0) ? irr : -1;
}

/* Whether the 8259's INTR reaches the processor. */
static bool extint_waits(const struct lapic *l)
{
	uint32_t lint0 = l->lvt[LVT_LINT0];

	if (l->events & EXTINT)
		return true;
	return l->intr && (!enabled(l) || (lint0 & (LVT_MASKED | LVT_MODE)) == MODE_EXTINT << 8);
}

unsigned lapic_pending(const struct lapic *l)
{
	unsigned events = l->events & (LAPIC_NMI | LAPIC_INIT | LAPIC_SIPI);

	if (deliverable(l) >= 0 || extint_waits(l))
		events |= LAPIC_INTR;
	return events;
}

int lapic_ack(struct lapic *l)
{
	int vector = deliverable(l);

	if (vector >= 0) {
		atomic_fetch_and(&l->irr[vector / 32], ~(1u << vector % 32));
		l->isr[vector / 32] |= 1u << vector % 32;
		update_ppr(l);
		return vector;
	}
	if (!extint_waits(l))
		return -1;
	atomic_fetch_and(&l->events, ~EXTINT);
	return l->ops->int_ack(l->owner);
}

bool lapic_take(struct lapic *l, unsigned event)
{
	return atomic_fetch_and(&l->events, ~event) & event;
}

static void look_again(struct lapic *l)
{
	if (lapic_pending(l))
		l->ops->kick(l->owner);
}

static void end_of_interrupt(struct lapic *l)
{
	int vector = highest_isr(l);

	if (vector < 0)
		return;
	l->isr[vector / 32] &= ~(1u << vector % 32);
	update_ppr(l);
	if (l->tmr[vector / 32] >> vector % 32 & 1)
		l->ops->eoi(l->owner, vector);
	look_again(l);
}

/* --- accepting ---------------------------------------------------------------------------------------------------- */

static void post_event(struct lapic *l, unsigned event)
{
	atomic_fetch_or(&l->events, event);
	l->ops->kick(l->owner);
}

static void set_irr(struct lapic *l, uint8_t vector, bool level)
{
	if (level)
		atomic_fetch_or(&l->tmr[vector / 32], 1u << vector % 32);
	else
		atomic_fetch_and(&l->tmr[vector / 32], ~(1u << vector % 32));
	atomic_fetch_or(&l->irr[vector / 32], 1u << vector % 32);
	l->ops->kick(l->owner);
}

static void error(struct lapic *l, uint32_t bit)
{
	uint32_t lvt = l->lvt[LVT_ERROR];
	bool first = !(atomic_fetch_or(&l->esr_pending, bit) & bit);

	if (first && !(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= 16)
		set_irr(l, lvt & LVT_VECTOR, false);
}

/* A message of this delivery mode reached l. */
static void accept_message(struct lapic *l, unsigned mode, uint8_t vector, bool level)
{
	if (!enabled(l))
		return;
	switch (mode) {
	case MODE_FIXED: case MODE_LOWEST: lapic_deliver(l, vector, level); break;
	case MODE_NMI: post_event(l, LAPIC_NMI); break;
	case MODE_INIT: post_event(l, LAPIC_INIT); break;
	case MODE_SIPI:
		l->sipi_vector = vector;
		post_event(l, LAPIC_SIPI);
		break;
	case MODE_EXTINT: post_event(l, EXTINT); break;
	default: log_unimp("lapic", "interrupt message of delivery mode %u", mode); break;
	}
}

void lapic_deliver(struct lapic *l, uint8_t vector, bool level)
{
	if (!enabled(l) || !soft_enabled(l))
		return;
	if (vector < 16)
		error(l, ESR_RECEIVE_ILLEGAL);
	else
		set_irr(l, vector, level);
}

/* An edge on a pin whose LVT entry says what it means. */
static void pin(struct lapic *l, unsigned entry)
{
	uint32_t lvt = l->lvt[entry];

	if (lvt & LVT_MASKED)
		return;
	switch ((lvt & LVT_MODE) >> 8) {
	case MODE_FIXED: lapic_deliver(l, lvt & LVT_VECTOR, false); break;
	case MODE_NMI: post_event(l, LAPIC_NMI); break;
	case MODE_INIT: post_event(l, LAPIC_INIT); break;
	}
}

void lapic_intr(struct lapic *l, bool level)
{
	bool was = atomic_exchange(&l->intr, level);

	if (was == level || !level)
		return;
	if (enabled(l) && (l->lvt[LVT_LINT0] & LVT_MODE) != MODE_EXTINT << 8)
		pin(l, LVT_LINT0);
	else if (extint_waits(l))
		l->ops->kick(l->owner);
}

void lapic_nmi(struct lapic *l)
{
	if (enabled(l))
		pin(l, LVT_LINT1);
	else
		post_event(l, LAPIC_NMI);
}

/* --- the bus ------------------------------------------------------------------------------------------------------ */

static bool matches_logical(const struct lapic *l, uint32_t dest, bool wide)
{
	uint32_t ldr = l->ldr;

	if (x2apic(l))
		return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
	if (wide && dest > 0xff)
		return false;
	if (l->dfr >> 28 == 0xf)                /* flat */
		return dest & ldr >> 24;
	return (dest >> 4 == ldr >> 28 || dest >> 4 == 0xf) && (dest & ldr >> 24 & 0xf);
}

/* wide: dest has 32 bits (from an x2APIC), else 8. */
static bool matches(const struct lapic *l, uint32_t dest, bool logical, bool wide)
{
	if (!enabled(l))
		return false;
	if (dest == (wide ? 0xffffffffu : 0xffu))
		return true;
	if (logical)
		return matches_logical(l, dest, wide);
	return dest == (x2apic(l) ? l->id : l->id >> 24);
}

/* The one with the least priority takes it; of equals, the first. */
static void send_lowest(struct lapic_bus *bus, uint32_t dest, bool logical, bool wide, uint8_t vector, bool level)
{
	struct lapic *best = NULL;
	unsigned n;

	for (n = 0; n < bus->count; n++) {
		struct lapic *l = bus->apic[n];

		if (matches(l, dest, logical, wide) && soft_enabled(l) && (!best || l->ppr < best->ppr))
			best = l;
	}
	if (best)
		accept_message(best, MODE_LOWEST, vector, level);
}

static void send(struct lapic_bus *bus, uint32_t dest, bool logical, bool wide, unsigned mode, uint8_t vector,
		 bool level)
{
	unsigned n;

	if (mode == MODE_LOWEST) {
		send_lowest(bus, dest, logical, wide, vector, level);
		return;
	}
	for (n = 0; n < bus->count; n++)
		if (matches(bus->apic[n], dest, logical, wide))
			accept_message(bus->apic[n], mode, vector, level);
}

void lapic_bus_msi(struct lapic_bus *bus, uint64_t addr, uint32_t data)
{
	bool logical = addr & 1 << 2, redirect = addr & 1 << 3, level = data & 1 << 15;
	unsigned mode = data >> 8 & 7;

	if (mode == MODE_FIXED && redirect && logical)
		mode = MODE_LOWEST;
	send(bus, addr >> 12 & 0xff, logical, false, mode, data & 0xff, level);
}

/* The command in icr_low and icr_high (SDM volume 3, 11.6.1). */
static void interprocessor(struct lapic *l)
{
	unsigned mode = l->icr_low >> 8 & 7, shorthand = l->icr_low >> 18 & 3, n;
	uint8_t vector = l->icr_low & 0xff;
	bool level = l->icr_low & ICR_LEVEL;
	uint32_t dest = x2apic(l) ? l->icr_high : l->icr_high >> 24;

	if ((mode == MODE_FIXED || mode == MODE_LOWEST) && vector < 16) {
		error(l, ESR_SEND_ILLEGAL);
		return;
	}
	if (mode == MODE_INIT && level && !(l->icr_low & ICR_ASSERT))
		return;                 /* INIT level de-assert: arbitration ids, which no one has any more */
	if (mode == MODE_EXTINT || mode == 3) {
		log_guest("lapic", "interprocessor interrupt of delivery mode %u", mode);
		return;
	}
	level = false;                  /* interprocessor interrupts are edges */
	switch (shorthand) {
	case 0: send(l->bus, dest, l->icr_low & ICR_LOGICAL, x2apic(l), mode, vector, level); break;
	case 1:
		if (mode == MODE_FIXED)
			accept_message(l, mode, vector, level);
		break;
	default:
		for (n = 0; n < l->bus->count; n++)
			if (shorthand == 2 || l->bus->apic[n] != l)
				accept_message(l->bus->apic[n], mode, vector, level);
		break;
	}
}

/* --- timer -------------------------------------------------------------------------------------------------------- */

static unsigned timer_mode(const struct lapic *l) { return l->lvt[LVT_TIMER] & TIMER_MODE; }

static unsigned divisor(const struct lapic *l)
{
	unsigned code = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);

	return code == 7 ? 1 : 2u << code;
}

static uint64_t period(const struct lapic *l) { return (uint64_t)l->timer_initial * divisor(l); }

static void arm(struct lapic *l, uint64_t expiry)
{
	if (l->timer_expiry == expiry)
		return;
	l->timer_expiry = expiry;
	l->ops->deadline(l->owner, expiry);
}

static uint32_t current_count(struct lapic *l)
{
	uint64_t now = l->ops->now(l->owner), left;

	if (l->timer_expiry == CLOCK_NEVER || timer_mode(l) == TIMER_DEADLINE)
		return 0;
	if (now < l->timer_expiry)
		left = l->timer_expiry - now;
	else if (timer_mode(l) == TIMER_PERIODIC && period(l))
		left = period(l) - (now - l->timer_expiry) % period(l);
	else
		return 0;
	return (left + divisor(l) - 1) / divisor(l);
}

static void start_timer(struct lapic *l)
{
	if (timer_mode(l) == TIMER_DEADLINE)
		return;
	arm(l, l->timer_initial ? l->ops->now(l->owner) + period(l) : CLOCK_NEVER);
}

/* The first nanosecond at which the guest's TSC has reached the deadline. */
static void start_deadline(struct lapic *l)
{
	int64_t ticks = (int64_t)(l->tsc_deadline - (uint64_t)l->tsc_offset);
	unsigned __int128 ns;

	if (!l->tsc_deadline) {
		arm(l, CLOCK_NEVER);
		return;
	}
	if (ticks < 0)                          /* past; or so far away that it is as good as never */
		ticks = l->tsc_deadline >> 63 ? INT64_MAX : 0;
	ns = ((unsigned __int128)ticks * 1000000000 + l->tsc_hz - 1) / l->tsc_hz;
	arm(l, ns >= CLOCK_NEVER ? CLOCK_NEVER : (uint64_t)ns);
}

void lapic_timer_service(struct lapic *l, uint64_t now)
{
	uint32_t lvt = l->lvt[LVT_TIMER];
	uint64_t next = CLOCK_NEVER;

	if (now < l->timer_expiry)
		return;
	if (timer_mode(l) == TIMER_PERIODIC && period(l)) {
		uint64_t step = period(l);

		if (step < PERIOD_MIN_NS)
			step *= (PERIOD_MIN_NS + step - 1) / step;
		next = l->timer_expiry + ((now - l->timer_expiry) / step + 1) * step;
	}
	l->tsc_deadline = 0;
	arm(l, next);
	if (!(lvt & LVT_MASKED))
		lapic_deliver(l, lvt & LVT_VECTOR, false);
}

void lapic_tsc_offset(struct lapic *l, int64_t offset)
{
	l->tsc_offset = offset;
	if (timer_mode(l) == TIMER_DEADLINE && l->tsc_deadline)
		start_deadline(l);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static void set_tpr(struct lapic *l, uint32_t value)
{
	l->tpr = value & 0xff;
	update_ppr(l);
	look_again(l);
}

uint64_t lapic_cr8(const struct lapic *l) { return l->tpr >> 4; }
void lapic_set_cr8(struct lapic *l, uint64_t value) { set_tpr(l, value << 4); }

static void write_svr(struct lapic *l, uint32_t value)
{
	unsigned n;

	l->svr = value & SVR_BITS;
	if (!soft_enabled(l))
		for (n = 0; n < LVT_COUNT; n++)
			l->lvt[n] |= LVT_MASKED;
}

static void write_lvt(struct lapic *l, unsigned entry, uint32_t value)
{
	uint32_t old_mode = timer_mode(l);

	value &= lvt_bits[entry];
	if (!soft_enabled(l))
		value |= LVT_MASKED;
	if (entry == LVT_TIMER && ((value & TIMER_MODE) == TIMER_MODE ||
				   (!l->tsc_deadline_mode && (value & TIMER_DEADLINE))))
		value &= ~TIMER_DEADLINE;       /* reserved */
	l->lvt[entry] = value;
	if (entry == LVT_TIMER && (old_mode == TIMER_DEADLINE) != ((value & TIMER_MODE) == TIMER_DEADLINE)) {
		l->timer_initial = 0;
		l->tsc_deadline = 0;
		arm(l, CLOCK_NEVER);
	}
	if (entry == LVT_LINT0)
		look_again(l);          /* INTR may be up already */
}

static void write_divide(struct lapic *l, uint32_t value)
{
	uint32_t count = current_count(l);
	bool running = l->timer_expiry != CLOCK_NEVER && timer_mode(l) != TIMER_DEADLINE;

	l->timer_divide = value & 0xb;
	if (running)
		arm(l, l->ops->now(l->owner) + (uint64_t)count * divisor(l));
}

static uint32_t read_register(struct lapic *l, uint32_t reg)
{
	if (reg >= REG_ISR && reg < REG_ISR + 0x80)
		return l->isr[(reg - REG_ISR) >> 4];
	if (reg >= REG_TMR && reg < REG_TMR + 0x80)
		return l->tmr[(reg - REG_TMR) >> 4];
	if (reg >= REG_IRR && reg < REG_IRR + 0x80)
		return l->irr[(reg - REG_IRR) >> 4];
	if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR)
		return l->lvt[(reg - REG_LVT_TIMER) >> 4];
	switch (reg) {
	case REG_ID: return l->id;
	case REG_VERSION: return VERSION;
	case REG_TPR: return l->tpr;
	case REG_PPR: return l->ppr;
	case REG_LDR: return l->ldr;
	case REG_DFR: return l->dfr;
	case REG_SVR: return l->svr;
	case REG_ESR: return l->esr;
	case REG_ICR_LOW: return l->icr_low;
	case REG_ICR_HIGH: return l->icr_high;
	case REG_INITIAL: return l->timer_initial;
	case REG_CURRENT: return current_count(l);
	case REG_DIVIDE: return l->timer_divide;
	}
	return 0;
}

/* What both modes write alike; false: no such register. */
static bool write_register(struct lapic *l, uint32_t reg, uint32_t value)
{
	if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
		write_lvt(l, (reg - REG_LVT_TIMER) >> 4, value);
		return true;
	}
	switch (reg) {
	case REG_TPR: set_tpr(l, value); break;
	case REG_EOI: end_of_interrupt(l); break;
	case REG_SVR: write_svr(l, value); break;
	case REG_ESR: l->esr = atomic_exchange(&l->esr_pending, 0); break;
	case REG_INITIAL:
		if (timer_mode(l) == TIMER_DEADLINE)
			break;
		l->timer_initial = value;
		start_timer(l);
		break;
	case REG_DIVIDE: write_divide(l, value); break;
	default: return false;
	}
	return true;
}

/* Registers that exist in both modes. */
static bool readable(uint32_t reg)
{
	switch (reg) {
	case REG_ID: case REG_VERSION: case REG_TPR: case REG_PPR: case REG_LDR: case REG_SVR: case REG_ESR:
	case REG_ICR_LOW:
	case REG_INITIAL: case REG_CURRENT: case REG_DIVIDE:
		return true;
	}
	return (reg >= REG_ISR && reg < REG_IRR + 0x80) || (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR);
}

uint64_t lapic_mmio_read(struct lapic *l, uint32_t offset, unsigned size)
{
	uint32_t value;

	if (offset >= 0x400 || (offset & 0xf) >= 4) {
		log_guest("lapic", "read of %u bytes at %#x", size, offset);
		return 0;
	}
	value = read_register(l, offset & ~0xfu) >> (offset & 3) * 8;
	return size >= 4 ? value : value & ((1u << size * 8) - 1);
}

void lapic_mmio_write(struct lapic *l, uint32_t offset, uint64_t value, unsigned size)
{
	if (offset >= 0x400 || (offset & 0xf) || size < 4) {
		log_guest("lapic", "write of %u bytes at %#x", size, offset);
		return;
	}
	switch (offset) {
	case REG_ID: l->id = value & 0xff000000; break;
	case REG_LDR: l->ldr = value & 0xff000000; break;
	case REG_DFR: l->dfr = value | 0x0fffffff; break;
	case REG_ICR_HIGH: l->icr_high = value & 0xff000000; break;
	case REG_ICR_LOW:
		l->icr_low = value & ICR_BITS;
		interprocessor(l);
		break;
	default:
		if (!write_register(l, offset, value)) {
			log_guest("lapic", "write of %#x to register %#x", (unsigned)value, offset);
			if (!readable(offset))
				error(l, ESR_REGISTER);
		}
	}
}

bool lapic_covers(const struct lapic *l, uint64_t gpa)
{
	return enabled(l) && !x2apic(l) && (gpa & ~0xfffull) == (l->base & ADDRESS_BITS);
}

/* --- MSRs --------------------------------------------------------------------------------------------------------- */

/* The logical id follows from the id (SDM volume 3, 11.12.10.2). */
static uint32_t x2apic_ldr(uint32_t id) { return (id & ~0xfu) << 12 | 1u << (id & 0xf); }

static bool write_base(struct lapic *l, uint64_t value)
{
	uint64_t old = l->base;
	bool was_x2apic = old & BASE_EXTD;

	if (value & ~(ADDRESS_BITS | BASE_BSP | BASE_EN | BASE_EXTD))
		return false;
	if ((value & BASE_EXTD) && (!(value & BASE_EN) || !l->x2apic))
		return false;
	if ((value & BASE_EXTD) && !was_x2apic && !(old & BASE_EN))
		return false;                   /* off to x2APIC: only by way of xAPIC */
	if (was_x2apic && (value & BASE_EN) && !(value & BASE_EXTD))
		return false;                   /* back to xAPIC: only by way of off */
	l->base = value;
	if (!(value & BASE_EN)) {
		lapic_init_reset(l);
	} else if ((value & BASE_EXTD) && !was_x2apic) {
		l->id = l->index;
		l->ldr = x2apic_ldr(l->index);
	} else if (!(old & BASE_EN)) {
		l->id = l->index << 24;
	}
	if ((value & ADDRESS_BITS) != ADDRESS_DEFAULT)
		log_guest("lapic", "register page at %#llx", (unsigned long long)(value & ADDRESS_BITS));
	look_again(l);
	return true;
}

bool lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value)
{
	uint32_t reg = (msr & 0x3f) << 4;

	if (msr == MSR_APIC_BASE) {
		*value = l->base;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE) {
		*value = l->tsc_deadline;
		return l->tsc_deadline_mode;
	}
	if (!x2apic(l) || !readable(reg))
		return false;
	*value = read_register(l, reg);
	if (reg == REG_ICR_LOW)
		*value |= (uint64_t)l->icr_high << 32;
	return true;
}

/* Reserved bits of x2APIC registers are #GP (SDM volume 3, table 11-6 and 11.12.1.2). */
static bool x2apic_write(struct lapic *l, uint32_t reg, uint64_t value)
{
	if (reg == REG_ICR_LOW) {
		if (value & 0xffffffff & ~(uint64_t)ICR_BITS)
			return false;
		l->icr_low = (uint32_t)value;
		l->icr_high = value >> 32;
		interprocessor(l);
		return true;
	}
	if (value >> 32)
		return false;
	switch (reg) {
	case REG_SELF_IPI:
		if (value > 0xff)
			return false;
		if (value < 16)
			error(l, ESR_SEND_ILLEGAL);
		else
			lapic_deliver(l, value, false);
		return true;
	case REG_EOI: case REG_ESR:
		if (value)
			return false;
		break;
	case REG_TPR:
		if (value > 0xff)
			return false;
		break;
	case REG_SVR:
		if (value & ~(uint64_t)SVR_BITS)
			return false;
		break;
	}
	return write_register(l, reg, value);
}

bool lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value)
{
	if (msr == MSR_APIC_BASE)
		return write_base(l, value);
	if (msr == MSR_TSC_DEADLINE) {
		if (!l->tsc_deadline_mode)
			return false;
		if (timer_mode(l) == TIMER_DEADLINE) {
			l->tsc_deadline = value;
			start_deadline(l);
		}
		return true;
	}
	return x2apic(l) && x2apic_write(l, (msr & 0x3f) << 4, value);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void lapic_init_reset(struct lapic *l)
{
	unsigned n;

	for (n = 0; n < 8; n++)
		l->irr[n] = l->tmr[n] = l->isr[n] = 0;
	for (n = 0; n < LVT_COUNT; n++)
		l->lvt[n] = LVT_MASKED;
	l->svr = 0xff;
	l->dfr = 0xffffffff;
	l->ldr = x2apic(l) ? x2apic_ldr(l->index) : 0;
	l->esr = 0;
	l->esr_pending = 0;
	l->tpr = l->icr_low = l->icr_high = 0;
	l->timer_initial = l->timer_divide = 0;
	l->tsc_deadline = 0;
	atomic_fetch_and(&l->events, ~EXTINT);
	update_ppr(l);
	arm(l, CLOCK_NEVER);
}

void lapic_reset(struct lapic *l)
{
	l->base = ADDRESS_DEFAULT | BASE_EN | (l->index == 0 ? BASE_BSP : 0);
	l->events = 0;
	l->sipi_vector = 0;
	l->tsc_offset = 0;
	lapic_init_reset(l);
	l->id = l->index << 24;
	if (l->index == 0) {
		l->lvt[LVT_LINT0] = MODE_EXTINT << 8;
		l->lvt[LVT_LINT1] = MODE_NMI << 8;
	}
}

void lapic_init(struct lapic *l, struct lapic_bus *bus, uint64_t tsc_hz, const struct lapic_ops *ops, void *owner)
{
	memset(l, 0, sizeof(*l));
	l->ops = ops;
	l->owner = owner;
	l->bus = bus;
	l->tsc_hz = tsc_hz;
	l->index = bus->count;
	l->timer_expiry = CLOCK_NEVER;
	l->x2apic = l->tsc_deadline_mode = true;
	bus->apic[bus->count++] = l;
	lapic_reset(l);
}

static void print_bits(const char *name, const uint32_t *words, void (*out)(void *to, const char *line), void *to)
{
	char line[128];
	size_t len = snprintf(line, sizeof(line), "  %s ", name);
	unsigned n;

	for (n = 0; n < 256; n++) {
		if (!(words[n / 32] >> n % 32 & 1) || len + 4 > sizeof(line))
			continue;
		len += snprintf(line + len, sizeof(line) - len, " %02x", n);
	}
	out(to, line);
}

void lapic_print(struct lapic *l, void (*out)(void *to, const char *line), void *to)
{
	static const char *const names[LVT_COUNT] = { "timer", "thermal", "perf", "lint0", "lint1", "error" };
	static const char *const modes[4] = { "one-shot", "periodic", "tsc-deadline", "?" };
	uint32_t words[8];
	char line[128];
	unsigned n;

	snprintf(line, sizeof(line), "local APIC %u: %s%s, id %08x, base %llx", l->index,
		 !enabled(l) ? "off" : x2apic(l) ? "x2APIC" : "xAPIC", soft_enabled(l) ? "" : " (software disabled)",
			l->id,
		 (unsigned long long)l->base);
	out(to, line);
	snprintf(line, sizeof(line), "  tpr %02x ppr %02x ldr %08x dfr %08x svr %03x icr %08x:%08x esr %02x", l->tpr,
		 l->ppr, l->ldr,
		 l->dfr, l->svr, l->icr_high, l->icr_low, l->esr);
	out(to, line);
	for (n = 0; n < LVT_COUNT; n++) {
		snprintf(line, sizeof(line), "  %-7s %05x%s%s%s", names[n], l->lvt[n],
			 l->lvt[n] & LVT_MASKED ? " masked" : "",
			 n == LVT_TIMER ? " " : "", n == LVT_TIMER ? modes[timer_mode(l) >> 17] : "");
		out(to, line);
	}
	snprintf(line, sizeof(line), "  timer   divide by %u, initial %u, current %u", divisor(l), l->timer_initial,
		 current_count(l));
	out(to, line);
	print_bits("isr", l->isr, out, to);
	for (n = 0; n < 8; n++)
		words[n] = l->irr[n];
	print_bits("irr", words, out, to);
}
