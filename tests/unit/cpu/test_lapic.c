/* SPDX-License-Identifier: MIT */
/* cpu/lapic.c, driven through its registers and its bus, as processors, devices and kernels do. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "cpu/lapic.h"

enum {
	ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100,
		TMR = 0x180,
	IRR = 0x200, ESR = 0x280, ICR = 0x300, ICR2 = 0x310, TIMER = 0x320, LINT0 = 0x350, LINT1 = 0x360,
		LVTERR = 0x370, INITIAL = 0x380,
	CURRENT = 0x390, DIVIDE = 0x3e0,
	MASKED = 1 << 16, PERIODIC = 1 << 17, DEADLINE = 2 << 17,
};

struct one {
	struct lapic apic;
	struct bench *bench;
	atomic_uint kicks;
	unsigned eois, acks;
	uint8_t last_eoi;
	uint64_t deadline;
};

struct bench {
	struct lapic_bus bus;
	struct one cpu[3];
	uint64_t now;
	int vector8259;
};

static uint64_t now(void *owner) { return ((struct one *)owner)->bench->now; }
static void deadline(void *owner, uint64_t ns) { ((struct one *)owner)->deadline = ns; }
static void kick(void *owner) { ((struct one *)owner)->kicks++; }
static void eoi(void *owner, uint8_t vector)
{
	struct one *c = owner;

	c->eois++;
	c->last_eoi = vector;
}
static int int_ack(void *owner)
{
	struct one *c = owner;

	c->acks++;
	return c->bench->vector8259;
}
static const struct lapic_ops ops = { now, deadline, kick, eoi, int_ack };

static int setup(void **state)
{
	static struct bench b;
	unsigned n;

	memset(&b, 0, sizeof(b));
	b.vector8259 = -1;
	for (n = 0; n < ARRAY_SIZE(b.cpu); n++) {
		b.cpu[n].bench = &b;
		b.cpu[n].deadline = CLOCK_NEVER;
		lapic_init(&b.cpu[n].apic, &b.bus, 2000000000, &ops, &b.cpu[n]);
	}
	*state = &b;
	return 0;
}

static void put(struct bench *b, unsigned cpu, uint32_t reg,
		uint32_t value) { lapic_mmio_write(&b->cpu[cpu].apic, reg, value, 4); }
static uint32_t get(struct bench *b, unsigned cpu, uint32_t reg) { return lapic_mmio_read(&b->cpu[cpu].apic, reg, 4); }
static void enable(struct bench *b)
{
	unsigned n;

	for (n = 0; n < ARRAY_SIZE(b->cpu); n++) {
		put(b, n, SVR, 0x1ff);
		put(b, n, LDR, 1u << (24 + n));
	}
}
static unsigned pending(struct bench *b, unsigned cpu) { return lapic_pending(&b->cpu[cpu].apic); }
static int ack(struct bench *b, unsigned cpu) { return lapic_ack(&b->cpu[cpu].apic); }
static void advance(struct bench *b, uint64_t to)
{
	unsigned n;

	b->now = to;
	for (n = 0; n < ARRAY_SIZE(b->cpu); n++)
		if (b->cpu[n].deadline <= to)
			lapic_timer_service(&b->cpu[n].apic, to);
}

static void registers_have_their_power_on_values(void **state)
{
	struct bench *b = *state;
	uint64_t base;

	assert_int_equal(get(b, 1, ID), 1 << 24);
	assert_int_equal(get(b, 0, VERSION), 0x50014);
	assert_int_equal(get(b, 0, SVR), 0xff);
	assert_int_equal(get(b, 0, DFR), 0xffffffff);
	assert_int_equal(get(b, 0, TIMER), MASKED);
	assert_int_equal(get(b, 1, LINT0), MASKED);
	assert_true(lapic_msr_read(&b->cpu[0].apic, 0x1b, &base));
	assert_int_equal(base, 0xfee00900);
	assert_true(lapic_msr_read(&b->cpu[1].apic, 0x1b, &base));
	assert_int_equal(base, 0xfee00800);
	assert_int_equal(b->cpu[0].kicks, 0);
}

static void the_8259_passes_through_the_bootstrap_processor(void **state)
{
	struct bench *b = *state;

	b->vector8259 = 0x08;
	lapic_intr(&b->cpu[0].apic, true);
	lapic_intr(&b->cpu[1].apic, true);
	assert_int_equal(pending(b, 0), LAPIC_INTR);
	assert_int_equal(pending(b, 1), 0);
	assert_int_equal(ack(b, 0), 0x08);
	assert_int_equal(b->cpu[0].acks, 1);
	lapic_intr(&b->cpu[0].apic, false);
	assert_int_equal(pending(b, 0), 0);
	assert_int_equal(ack(b, 0), -1);
	put(b, 1, LINT0, 0x700);                        /* masked, as long as it is software disabled */
	b->cpu[1].kicks = 0;
	lapic_intr(&b->cpu[1].apic, false);
	lapic_intr(&b->cpu[1].apic, true);
	assert_int_equal(b->cpu[1].kicks, 0);           /* nobody is woken for nothing */
	lapic_intr(&b->cpu[0].apic, true);
	put(b, 0, LINT0, MASKED | 0x700);
	assert_int_equal(pending(b, 0), 0);
	put(b, 0, SVR, 0x1ff);
	b->cpu[0].kicks = 0;
	put(b, 0, LINT0, 0x700);                /* unmasked while INTR is up */
	assert_int_equal(pending(b, 0), LAPIC_INTR);
	assert_int_not_equal(b->cpu[0].kicks, 0);
}

static void a_disabled_apic_leaves_the_pins_to_the_processor(void **state)
{
	struct bench *b = *state;

	assert_true(lapic_msr_write(&b->cpu[1].apic, 0x1b, 0xfee00000));
	assert_false(lapic_covers(&b->cpu[1].apic, 0xfee00000));
	lapic_intr(&b->cpu[1].apic, true);
	lapic_nmi(&b->cpu[1].apic);
	assert_int_equal(pending(b, 1), LAPIC_INTR | LAPIC_NMI);
	lapic_bus_msi(&b->bus, 0xfee01000, 0x40);
	assert_int_equal(get(b, 1, IRR + 0x20), 0);
}

static void an_interrupt_message_is_delivered_and_ended(void **state)
{
	struct bench *b = *state;

	enable(b);
	lapic_bus_msi(&b->bus, 0xfee01000, 0x4041);
	assert_int_equal(pending(b, 0), 0);
	assert_int_equal(pending(b, 1), LAPIC_INTR);
	assert_int_equal(b->cpu[1].kicks, 1);
	assert_int_equal(get(b, 1, IRR + 0x20), 1 << 1);
	assert_int_equal(ack(b, 1), 0x41);
	assert_int_equal(get(b, 1, IRR + 0x20), 0);
	assert_int_equal(get(b, 1, ISR + 0x20), 1 << 1);
	assert_int_equal(get(b, 1, PPR), 0x40);
	put(b, 1, EOI, 0);
	assert_int_equal(get(b, 1, ISR + 0x20), 0);
	assert_int_equal(b->cpu[1].eois, 0);    /* edge: nobody is told */
}

static void end_of_a_level_interrupt_is_told(void **state)
{
	struct bench *b = *state;

	enable(b);
	lapic_bus_msi(&b->bus, 0xfee00000, 0xc055);
	assert_int_equal(get(b, 0, TMR + 0x20), 1 << 21);
	assert_int_equal(ack(b, 0), 0x55);
	put(b, 0, EOI, 0);
	assert_int_equal(b->cpu[0].eois, 1);
	assert_int_equal(b->cpu[0].last_eoi, 0x55);
	lapic_deliver(&b->cpu[0].apic, 0x55, false);
	assert_int_equal(get(b, 0, TMR + 0x20), 0);
}

static void priority_holds_back_lower_classes(void **state)
{
	struct bench *b = *state;

	enable(b);
	lapic_deliver(&b->cpu[0].apic, 0x51, false);
	assert_int_equal(ack(b, 0), 0x51);
	lapic_deliver(&b->cpu[0].apic, 0x5f, false);    /* the same class waits */
	assert_int_equal(pending(b, 0), 0);
	lapic_deliver(&b->cpu[0].apic, 0x61, false);
	assert_int_equal(ack(b, 0), 0x61);
	b->cpu[0].kicks = 0;
	put(b, 0, EOI, 0);
	assert_int_equal(get(b, 0, ISR + 0x20), 1 << 17);
	assert_int_equal(pending(b, 0), 0);
	put(b, 0, EOI, 0);
	assert_int_equal(pending(b, 0), LAPIC_INTR);
	assert_int_equal(b->cpu[0].kicks, 1);           /* so that the run loop looks again */
	put(b, 0, TPR, 0x50);
	assert_int_equal(pending(b, 0), 0);
	assert_int_equal(lapic_cr8(&b->cpu[0].apic), 5);
	lapic_set_cr8(&b->cpu[0].apic, 4);
	assert_int_equal(get(b, 0, TPR), 0x40);
	assert_int_equal(ack(b, 0), 0x5f);
}

static void a_software_disabled_apic_takes_no_fixed_interrupt(void **state)
{
	struct bench *b = *state;

	enable(b);
	put(b, 1, LINT0, 0x700);
	put(b, 1, SVR, 0xff);
	assert_int_equal(get(b, 1, LINT0), MASKED | 0x700);
	put(b, 1, LINT0, 0x700);
	assert_int_equal(get(b, 1, LINT0), MASKED | 0x700);     /* the mask cannot be cleared */
	lapic_bus_msi(&b->bus, 0xfee01000, 0x60);
	assert_int_equal(pending(b, 1), 0);
	lapic_bus_msi(&b->bus, 0xfee01000, 0x400);
	assert_int_equal(pending(b, 1), LAPIC_NMI);
	assert_true(lapic_take(&b->cpu[1].apic, LAPIC_NMI));
	assert_false(lapic_take(&b->cpu[1].apic, LAPIC_NMI));
}

static void start_up_takes_init_then_sipi(void **state)
{
	struct bench *b = *state;

	put(b, 0, ICR2, 2u << 24);
	put(b, 0, ICR, 0x0000c500);
	assert_int_equal(pending(b, 2), LAPIC_INIT);
	put(b, 0, ICR, 0x00008500);             /* de-assert: nothing */
	put(b, 0, ICR, 0x00000699);
	assert_int_equal(pending(b, 2), LAPIC_INIT | LAPIC_SIPI);
	assert_int_equal(b->cpu[2].apic.sipi_vector, 0x99);
	assert_int_equal(pending(b, 1), 0);
	assert_int_equal(get(b, 0, ICR) & 1 << 12, 0);          /* delivered */
}

static void shorthands_address_self_all_and_others(void **state)
{
	struct bench *b = *state;

	enable(b);
	put(b, 1, ICR, 0x00040031);
	assert_int_equal(ack(b, 1), 0x31);
	assert_int_equal(pending(b, 0) | pending(b, 2), 0);
	put(b, 1, ICR, 0x00080041);
	assert_int_equal(ack(b, 0), 0x41);
	assert_int_equal(ack(b, 1), 0x41);
	assert_int_equal(ack(b, 2), 0x41);
	put(b, 1, ICR, 0x000c0051);
	assert_int_equal(ack(b, 0), 0x51);
	assert_int_equal(pending(b, 1), 0);
	assert_int_equal(ack(b, 2), 0x51);
	put(b, 1, ICR, 0x000c0400);
	assert_int_equal(pending(b, 0), LAPIC_NMI);
}

static void logical_destinations_are_flat_or_clusters(void **state)
{
	struct bench *b = *state;
	unsigned n;

	enable(b);
	lapic_bus_msi(&b->bus, 0xfee05004, 0x61);       /* flat: processors 0 and 2 */
	assert_int_equal(pending(b, 1), 0);
	assert_int_equal(ack(b, 0), 0x61);
	assert_int_equal(ack(b, 2), 0x61);
	for (n = 0; n < 3; n++) {
		put(b, n, DFR, 0x0fffffff);
		put(b, n, LDR, (n < 2 ? 0x10u | 1 << n : 0x21) << 24);
	}
	lapic_bus_msi(&b->bus, 0xfee13004, 0x71);       /* cluster 1, both */
	assert_int_equal(ack(b, 0), 0x71);
	assert_int_equal(ack(b, 1), 0x71);
	assert_int_equal(pending(b, 2), 0);
	lapic_bus_msi(&b->bus, 0xfeeff004, 0x81);       /* everyone */
	assert_int_equal(ack(b, 2), 0x81);
}

static void lowest_priority_chooses_the_least_busy(void **state)
{
	struct bench *b = *state;

	enable(b);
	put(b, 0, TPR, 0x30);
	put(b, 2, TPR, 0x20);
	put(b, 1, TPR, 0x10);
	lapic_bus_msi(&b->bus, 0xfee0700c, 0x0141);
	assert_int_equal(pending(b, 0) | pending(b, 2), 0);
	assert_int_equal(ack(b, 1), 0x41);              /* in service: now the busiest */
	lapic_bus_msi(&b->bus, 0xfee07004, 0x0151);
	assert_int_equal(ack(b, 2), 0x51);
	put(b, 0, SVR, 0xff);
	put(b, 0, TPR, 0);
	lapic_bus_msi(&b->bus, 0xfee07004, 0x0161);
	assert_int_equal(pending(b, 0), 0);             /* disabled ones do not take part */
}

static void the_one_shot_timer_fires_once(void **state)
{
	struct bench *b = *state;

	enable(b);
	b->now = 1000;
	put(b, 0, DIVIDE, 0x3);                         /* by 16 */
	put(b, 0, TIMER, 0xec);
	put(b, 0, INITIAL, 1000);
	assert_int_equal(b->cpu[0].deadline, 17000);
	advance(b, 9000);
	assert_int_equal(get(b, 0, CURRENT), 500);
	assert_int_equal(pending(b, 0), 0);
	advance(b, 17000);
	assert_int_equal(ack(b, 0), 0xec);
	put(b, 0, EOI, 0);
	assert_int_equal(get(b, 0, CURRENT), 0);
	assert_true(b->cpu[0].deadline == CLOCK_NEVER);
	advance(b, 100000);
	assert_int_equal(pending(b, 0), 0);
	put(b, 0, INITIAL, 50);
	put(b, 0, INITIAL, 0);
	assert_true(b->cpu[0].deadline == CLOCK_NEVER);
}

static void the_periodic_timer_keeps_its_phase(void **state)
{
	struct bench *b = *state;

	enable(b);
	put(b, 0, DIVIDE, 0xb);                         /* by 1 */
	put(b, 0, TIMER, PERIODIC | 0x40);
	put(b, 0, INITIAL, 100000);
	advance(b, 100000);
	assert_int_equal(ack(b, 0), 0x40);
	put(b, 0, EOI, 0);
	assert_int_equal(b->cpu[0].deadline, 200000);
	advance(b, 530000);                             /* late by three */
	assert_int_equal(ack(b, 0), 0x40);
	assert_int_equal(b->cpu[0].deadline, 600000);
	assert_int_equal(get(b, 0, CURRENT), 70000);
	put(b, 0, TIMER, MASKED | PERIODIC | 0x40);
	put(b, 0, EOI, 0);
	advance(b, 600000);
	assert_int_equal(pending(b, 0), 0);
}

static void a_tiny_period_cannot_flood_the_machine(void **state)
{
	struct bench *b = *state;

	enable(b);
	put(b, 0, DIVIDE, 0xb);
	put(b, 0, TIMER, PERIODIC | 0x40);
	put(b, 0, INITIAL, 1);
	advance(b, 10);
	assert_true(b->cpu[0].deadline >= 20000);
}

static void the_tsc_deadline_follows_the_guest_tsc(void **state)
{
	struct bench *b = *state;
	struct lapic *l = &b->cpu[0].apic;
	uint64_t v;

	enable(b);
	assert_true(lapic_msr_write(l, 0x6e0, 4000));   /* not in that mode: ignored */
	assert_true(b->cpu[0].deadline == CLOCK_NEVER);
	put(b, 0, TIMER, DEADLINE | 0x60);
	assert_true(lapic_msr_write(l, 0x6e0, 4001));   /* at 2 GHz */
	assert_int_equal(b->cpu[0].deadline, 2001);
	lapic_tsc_offset(l, 2001);
	assert_int_equal(b->cpu[0].deadline, 1000);
	assert_true(lapic_msr_read(l, 0x6e0, &v));
	assert_int_equal(v, 4001);
	put(b, 0, INITIAL, 55);
	assert_int_equal(get(b, 0, CURRENT), 0);
	advance(b, 1000);
	assert_int_equal(ack(b, 0), 0x60);
	assert_true(lapic_msr_read(l, 0x6e0, &v));
	assert_int_equal(v, 0);
	assert_true(lapic_msr_write(l, 0x6e0, 1));      /* long past */
	assert_true(b->cpu[0].deadline <= b->now);
	assert_true(lapic_msr_write(l, 0x6e0, UINT64_MAX));
	assert_true(b->cpu[0].deadline > S(1000000));
	assert_true(lapic_msr_write(l, 0x6e0, 0));
	assert_true(b->cpu[0].deadline == CLOCK_NEVER);
}

static void x2apic_has_msrs_instead_of_a_page(void **state)
{
	struct bench *b = *state;
	struct lapic *l = &b->cpu[2].apic;
	uint64_t v;

	assert_false(lapic_msr_read(l, 0x802, &v));
	assert_false(lapic_msr_write(l, 0x1b, 0xfee00400));             /* x2APIC but not enabled */
	assert_true(lapic_msr_write(l, 0x1b, 0xfee00c00));
	assert_false(lapic_covers(l, 0xfee00000));
	assert_true(lapic_msr_read(l, 0x802, &v));
	assert_int_equal(v, 2);
	assert_true(lapic_msr_read(l, 0x80d, &v));
	assert_int_equal(v, 4);
	assert_false(lapic_msr_read(l, 0x80e, &v));                     /* no DFR */
	assert_false(lapic_msr_read(l, 0x80b, &v));                     /* EOI is write-only */
	assert_false(lapic_msr_write(l, 0x802, 2));
	assert_false(lapic_msr_write(l, 0x80b, 1));
	assert_false(lapic_msr_write(l, 0x80f, 1ull << 32));
	assert_true(lapic_msr_write(l, 0x80f, 0x1ff));
	assert_false(lapic_msr_write(l, 0x1b, 0xfee00800));             /* straight back */
	assert_true(lapic_msr_write(l, 0x83f, 0x33));
	assert_int_equal(ack(b, 2), 0x33);
	assert_true(lapic_msr_write(l, 0x80b, 0));
	assert_true(lapic_msr_read(l, 0x812, &v));
	assert_int_equal(v, 0);
	put(b, 1, SVR, 0x1ff);
	assert_true(lapic_msr_write(l, 0x830, 1ull << 32 | 0x4044));    /* to id 1 */
	assert_int_equal(ack(b, 1), 0x44);
	assert_true(lapic_msr_read(l, 0x830, &v));
	assert_true(v == (1ull << 32 | 0x4044));
	lapic_bus_msi(&b->bus, 0xfee04004, 0x45);                       /* logical, cluster 0, bit 2 */
	assert_int_equal(ack(b, 2), 0x45);
	assert_true(lapic_msr_write(l, 0x1b, 0xfee00000));
	assert_true(lapic_msr_write(l, 0x1b, 0xfee00800));
	assert_int_equal(get(b, 2, ID), 2 << 24);
	assert_false(lapic_msr_write(l, 0x1b, 1ull << 45));
	assert_false(lapic_msr_write(l, 0x1b, 0xfee00801));
}

static void illegal_vectors_are_reported(void **state)
{
	struct bench *b = *state;

	enable(b);
	put(b, 0, LVTERR, 0xfe);
	put(b, 0, ICR, 0x0004000f);
	assert_int_equal(get(b, 0, ESR), 0);
	put(b, 0, ESR, 0);
	assert_int_equal(get(b, 0, ESR), 1 << 5);
	assert_int_equal(ack(b, 0), 0xfe);
	lapic_bus_msi(&b->bus, 0xfee00000, 0x03);
	put(b, 0, ESR, 0);
	assert_int_equal(get(b, 0, ESR), 1 << 6);
	put(b, 0, ESR, 0);
	assert_int_equal(get(b, 0, ESR), 0);
	put(b, 0, 0x40, 1);
	put(b, 0, ESR, 0);
	assert_int_equal(get(b, 0, ESR), 1 << 7);
}

static void odd_accesses_do_nothing(void **state)
{
	struct bench *b = *state;
	struct lapic *l = &b->cpu[0].apic;
	unsigned offset, size;

	enable(b);
	lapic_mmio_write(l, TPR, 0x33, 1);
	lapic_mmio_write(l, TPR + 1, 0x33, 4);
	assert_int_equal(get(b, 0, TPR), 0);
	assert_int_equal(lapic_mmio_read(l, VERSION + 2, 1), 5);
	assert_int_equal(lapic_mmio_read(l, VERSION + 4, 4), 0);
	for (offset = 0; offset < 0x1000; offset++)
		for (size = 1; size <= 8; size *= 2) {
			lapic_mmio_read(l, offset, size);
			lapic_mmio_write(l, offset, 0xffffffffffffffff, size);
		}
	for (offset = 0x800; offset < 0x840; offset++) {
		uint64_t v;

		lapic_msr_read(l, offset, &v);
		lapic_msr_write(l, offset, 0xffffffffffffffff);
	}
}

static void init_clears_all_but_identity(void **state)
{
	struct bench *b = *state;

	enable(b);
	lapic_deliver(&b->cpu[1].apic, 0x61, true);
	put(b, 1, TPR, 0x20);
	put(b, 1, TIMER, 0x44);
	put(b, 1, INITIAL, 1000);
	lapic_init_reset(&b->cpu[1].apic);
	assert_int_equal(pending(b, 1), 0);
	assert_int_equal(get(b, 1, ID), 1 << 24);
	assert_int_equal(get(b, 1, TPR), 0);
	assert_int_equal(get(b, 1, SVR), 0xff);
	assert_int_equal(get(b, 1, TIMER), MASKED);
	assert_true(b->cpu[1].deadline == CLOCK_NEVER);
}

enum { SENDERS = 3, MESSAGES = 5000 };
static struct sender {
	struct bench *b;
	uint8_t vector;
	atomic_bool waiting;            /* its interrupt is on the way */
} senders[SENDERS];

static void *sender(void *arg)
{
	struct sender *s = arg;
	unsigned n;

	for (n = 0; n < MESSAGES; n++) {
		while (atomic_load(&s->waiting))
			sched_yield();
		atomic_store(&s->waiting, true);
		lapic_bus_msi(&s->b->bus, n & 1 ? 0xfee00000 : 0xfee01004, s->vector | (n & 2 ? 0xc000 : 0));
	}
	return NULL;
}

/* Only atomic state is touched from elsewhere (run it under the thread sanitizer, too). */
static void interrupts_from_other_threads_are_not_lost(void **state)
{
	struct bench *b = *state;
	pthread_t threads[SENDERS];
	unsigned n, taken = 0;

	enable(b);
	for (n = 0; n < SENDERS; n++) {
		senders[n].b = b;
		senders[n].vector = 0x31 + 0x11 * n;
		atomic_store(&senders[n].waiting, false);
		assert_int_equal(pthread_create(&threads[n], NULL, sender, &senders[n]), 0);
	}
	while (taken < SENDERS * MESSAGES) {
		int vector;

		if (!(pending(b, 0) & LAPIC_INTR)) {
			sched_yield();
			continue;
		}
		vector = ack(b, 0);
		assert_true(vector >= 0x31 && (vector - 0x31) % 0x11 == 0);
		put(b, 0, TPR, taken & 0x1f);
		put(b, 0, EOI, 0);
		put(b, 0, TPR, 0);
		taken++;
		atomic_store(&senders[(vector - 0x31) / 0x11].waiting, false);
	}
	for (n = 0; n < SENDERS; n++)
		pthread_join(threads[n], NULL);
	assert_int_equal(pending(b, 0), 0);
}

static void check_line(void *to, const char *line)
{
	assert_true(strlen(line) < 128);
	++*(unsigned *)to;
}

static void it_prints_itself_whatever_is_pending(void **state)
{
	struct bench *b = *state;
	unsigned lines = 0, n;

	enable(b);
	for (n = 16; n < 256; n++)
		lapic_deliver(&b->cpu[0].apic, n, n & 1);
	lapic_print(&b->cpu[0].apic, check_line, &lines);
	assert_int_equal(lines, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers_have_their_power_on_values, setup),
		cmocka_unit_test_setup(the_8259_passes_through_the_bootstrap_processor, setup),
		cmocka_unit_test_setup(a_disabled_apic_leaves_the_pins_to_the_processor, setup),
		cmocka_unit_test_setup(an_interrupt_message_is_delivered_and_ended, setup),
		cmocka_unit_test_setup(end_of_a_level_interrupt_is_told, setup),
		cmocka_unit_test_setup(priority_holds_back_lower_classes, setup),
		cmocka_unit_test_setup(a_software_disabled_apic_takes_no_fixed_interrupt, setup),
		cmocka_unit_test_setup(start_up_takes_init_then_sipi, setup),
		cmocka_unit_test_setup(shorthands_address_self_all_and_others, setup),
		cmocka_unit_test_setup(logical_destinations_are_flat_or_clusters, setup),
		cmocka_unit_test_setup(lowest_priority_chooses_the_least_busy, setup),
		cmocka_unit_test_setup(the_one_shot_timer_fires_once, setup),
		cmocka_unit_test_setup(the_periodic_timer_keeps_its_phase, setup),
		cmocka_unit_test_setup(a_tiny_period_cannot_flood_the_machine, setup),
		cmocka_unit_test_setup(the_tsc_deadline_follows_the_guest_tsc, setup),
		cmocka_unit_test_setup(x2apic_has_msrs_instead_of_a_page, setup),
		cmocka_unit_test_setup(illegal_vectors_are_reported, setup),
		cmocka_unit_test_setup(odd_accesses_do_nothing, setup),
		cmocka_unit_test_setup(interrupts_from_other_threads_are_not_lost, setup),
		cmocka_unit_test_setup(init_clears_all_but_identity, setup),
		cmocka_unit_test_setup(it_prints_itself_whatever_is_pending, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
