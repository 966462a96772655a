/* SPDX-License-Identifier: MIT */
/* Three local APICs on one bus under any sequence of register accesses, messages, pins and delays. */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "cpu/lapic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COUNT = 3 };

static struct lapic_bus bus;
static struct lapic apic[COUNT];
static uint64_t now, armed[COUNT];

static uint64_t time_now(void *owner) { (void)owner; return now; }
static void deadline(void *owner, uint64_t ns) { armed[(struct lapic *)owner - apic] = ns; }
static void kick(void *owner) { (void)owner; }
static void eoi(void *owner, uint8_t vector) { (void)owner; assert(vector >= 16); }
static int int_ack(void *owner) { (void)owner; return now & 1 ? -1 : 0x20; }
static const struct lapic_ops ops = { time_now, deadline, kick, eoi, int_ack };
static void line(void *to, const char *text) { assert(strlen(text) < 128); ++*(unsigned *)to; }

static void step(struct cursor *c)
{
	unsigned what = cursor_u8(c), reg = cursor_u8(c), n, lines = 0;
	struct lapic *l = &apic[what / 16 % COUNT];
	uint32_t low = cursor_be32(c);
	uint64_t value = low | (uint64_t)(what & 0x80 ? low : 0) << 32;

	switch (what % 16) {
	case 0: case 1: case 2: lapic_mmio_write(l, (reg & 0x3f) << 4, low, 4); break;
	case 3: lapic_mmio_write(l, low & 0xfff, value, 1u << (reg & 3)); break;
	case 4: lapic_mmio_read(l, low & 0xfff, 1u << (reg & 3)); break;
	case 5: lapic_msr_write(l, 0x800 + (reg & 0x3f), value); break;
	case 6: lapic_msr_read(l, 0x800 + (reg & 0x3f), &value); break;
	case 7: lapic_msr_write(l, 0x1b, reg & 1 ? value : 0xfee00000 | (low & 0xd00)); break;
	case 8: lapic_msr_write(l, 0x6e0, reg & 1 ? value : now + low); break;
	case 9: lapic_bus_msi(&bus, 0xfee00000 | (low >> 12), low & 0xffff); break;
	case 10: lapic_intr(l, reg & 1); break;
	case 11: lapic_nmi(l); break;
	case 12: lapic_set_cr8(l, reg & 15); break;
	case 13: lapic_tsc_offset(l, (int64_t)value); break;
	case 14: lapic_print(l, line, &lines); break;
	case 15: lapic_init_reset(l); break;
	}
	now += low >> (reg & 31);
	for (n = 0; n < COUNT; n++) {
		struct lapic *p = &apic[n];
		int vector;

		if (armed[n] <= now)
			lapic_timer_service(p, now);
		assert(armed[n] == CLOCK_NEVER || armed[n] > now || p->timer_expiry == armed[n]);
		if (!(reg & 1 << n) || !(lapic_pending(p) & LAPIC_INTR))
			continue;
		vector = lapic_ack(p);
		assert(vector >= -1 && vector < 256);
		lapic_take(p, LAPIC_NMI | LAPIC_INIT | LAPIC_SIPI);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	unsigned n;

	memset(&bus, 0, sizeof(bus));
	now = 0;
	for (n = 0; n < COUNT; n++) {
		armed[n] = CLOCK_NEVER;
		lapic_init(&apic[n], &bus, 2000000000, &ops, &apic[n]);
	}
	while (cursor_left(&c))
		step(&c);
	return 0;
}
