/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of one processor (SDM volume 3, chapter 11): xAPIC page, x2APIC MSRs, timer, interprocessor
 * interrupts.
 *
 * The owner is the processor's thread.  Other threads (devices, other processors) only set bits in the atomic part
 * (`irr`, `tmr`, `events`, `intr`) and call kick; everything else belongs to the owner's thread.
 */
#ifndef CPU_LAPIC_H
#define CPU_LAPIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LAPIC_MAX = 8 };                 /* processors on the bus */

/* What lapic_pending() reports. */
enum {
	LAPIC_INTR = 1 << 0,            /* a vector for lapic_ack(), subject to IF */
	LAPIC_NMI = 1 << 1, LAPIC_INIT = 1 << 2, LAPIC_SIPI = 1 << 3 /* see sipi_vector */,
	LAPIC_SMI = 1 << 4 /* never: no SMM */,
};

enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

struct lapic;

struct lapic_ops {
	uint64_t (*now)(void *owner);                           /* owner's thread */
	/* arm the wake-up for the timer; CLOCK_NEVER: none.  Owner's thread */
	void (*deadline)(void *owner, uint64_t ns);
	/* lapic_pending() may have changed: look soon.  Any thread */
	void (*kick)(void *owner);
	/* broadcast of a level-triggered vector's EOI.  Owner's thread */
	void (*eoi)(void *owner, uint8_t vector);
	/* INTA cycle to the 8259; -1: nothing there.  Owner's thread */
	int (*int_ack)(void *owner);
};

/* All local APICs of a machine. */
struct lapic_bus {
	unsigned count;
	struct lapic *apic[LAPIC_MAX];
};

struct lapic {
	const struct lapic_ops *ops;
	void *owner;
	struct lapic_bus *bus;
	unsigned index;                 /* place on the bus; the initial APIC id */
	uint64_t tsc_hz;

	bool x2apic, tsc_deadline_mode; /* offered; lapic_init says yes, the owner may say no */

	/* Any thread: */
	_Atomic uint32_t irr[8], tmr[8];
	_Atomic uint32_t events;        /* LAPIC_NMI INIT SIPI, and an ExtINT message */
	_Atomic bool intr;              /* level of the 8259's INTR pin */
	_Atomic uint8_t sipi_vector;
	_Atomic uint32_t esr_pending;   /* errors since the last write of ESR */
	/* Written by the owner, read by senders: */
	_Atomic uint32_t id, ldr, dfr, svr, lvt[LVT_COUNT];
	_Atomic uint64_t base;          /* IA32_APIC_BASE */
	_Atomic uint8_t ppr;

	/* Owner's thread only: */
	uint32_t isr[8];
	uint32_t tpr, esr, icr_low, icr_high;
	uint32_t timer_initial, timer_divide;
	uint64_t timer_expiry;          /* ns of the next expiry; CLOCK_NEVER: not running */
	uint64_t tsc_deadline;          /* IA32_TSC_DEADLINE; 0: disarmed */
	int64_t tsc_offset;             /* guest's TSC is ns * tsc_hz / 1e9 + this (lapic_tsc_offset) */
};

/* Put l on the bus (at place bus->count, its initial APIC id; place 0 is the bootstrap processor) and reset it. */
void lapic_init(struct lapic *l, struct lapic_bus *bus, uint64_t tsc_hz, const struct lapic_ops *ops, void *owner);
void lapic_reset(struct lapic *l);              /* power-on: also IA32_APIC_BASE and the latched events */
void lapic_init_reset(struct lapic *l);         /* INIT: registers but the APIC id and IA32_APIC_BASE */

/* Bits LAPIC_*: what waits for the processor.  Cheap; any thread (LAPIC_INTR is exact on the owner's only). */
unsigned lapic_pending(const struct lapic *l);
/* The vector to deliver, now in service; -1 if there is none after all (the 8259 withdrew it). */
int lapic_ack(struct lapic *l);
/* Take a latched event: true if it was there. */
bool lapic_take(struct lapic *l, unsigned event);

/* The register page: offset 0..0xfff, size 1..8.  Only 32-bit accesses at multiples of 16 do something. */
uint64_t lapic_mmio_read(struct lapic *l, uint32_t offset, unsigned size);
void lapic_mmio_write(struct lapic *l, uint32_t offset, uint64_t value, unsigned size);
/* Whether gpa lies in the page that IA32_APIC_BASE maps now (xAPIC mode). */
bool lapic_covers(const struct lapic *l, uint64_t gpa);
/* MSRs 0x1b, 0x6e0, 0x800..0x83f; false: #GP(0). */
bool lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value);
bool lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value);
static inline bool lapic_owns_msr(uint32_t msr)
{
	return msr == 0x1b || msr == 0x6e0 || (msr & ~0x3fu) == 0x800;
}

uint64_t lapic_cr8(const struct lapic *l);
void lapic_set_cr8(struct lapic *l, uint64_t value);    /* 0..15 */

/* Raise what is due at now (virtual ns), and arm the next deadline.  Owner's thread. */
void lapic_timer_service(struct lapic *l, uint64_t now);
/* The guest moved its TSC (IA32_TSC, IA32_TSC_ADJUST): the deadline timer follows. */
void lapic_tsc_offset(struct lapic *l, int64_t offset);

/* Any thread.  A fixed interrupt for this processor. */
void lapic_deliver(struct lapic *l, uint8_t vector, bool level);
void lapic_intr(struct lapic *l, bool level);   /* the 8259's INTR, on LINT0 */
void lapic_nmi(struct lapic *l);                /* the NMI line, on LINT1 */
/* An interrupt message: a store of data to addr 0xFEExxxxx (SDM volume 3, 11.11). */
void lapic_bus_msi(struct lapic_bus *bus, uint64_t addr, uint32_t data);

void lapic_print(struct lapic *l, void (*out)(void *to, const char *line), void *to);

#endif
