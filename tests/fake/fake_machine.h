/* SPDX-License-Identifier: MIT */
/*
 * The machine around a processor under test: RAM from 0, a page of registers for MMIO, ports that remember, an interrupt
 * controller that gives one vector, time by hand.
 */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

#include "cpu/cpu.h"

enum { FAKE_MMIO = 0xf0000000 };        /* a device: reads give mmio_value, writes are remembered */

struct fake_access {
	uint64_t at, value;
	unsigned size;
	bool write, port;
};

struct fake_machine {
	uint8_t *ram;
	uint64_t ram_size, rom_from, rom_to;    /* pages of [rom_from, rom_to) are not writable */
	uint64_t moved, moved_to;               /* the page at moved, not 0, is really the one at moved_to */
	struct cpus *cpus;
	struct cpu *cpu;                        /* the first */
	uint64_t now;
	uint64_t mmio_value;
	uint32_t port_value;
	int vector;                             /* what int_ack answers; the line drops with it */
	unsigned wakes, marks;
	struct fake_access log[256];
	unsigned accesses;
};

/* Of the machines that are made from now on. */
extern enum cpu_engine fake_engine;
extern unsigned fake_verify;                    /* cpus_config.verify; reports go to fake_differs */
void fake_differs(void *owner, const char *line);
extern unsigned fake_tb_size;                   /* cpus_config.tb_size */
extern bool fake_icount;                        /* true unless a test says otherwise */

/* model NULL: "max"; "max,+monitor": with features.  RAM is 64 MB; page tables made by fake_machine_long lie at 0x8000..0xffff. */
struct fake_machine *fake_machine_new(unsigned cpus, const char *model);
void fake_machine_free(struct fake_machine *m);

/* Registers for flat code at rip, CPL 0, stack at rsp, interrupts off; GDT at 0x1000, IDT at 0x2000 (both empty but for these). */
void fake_machine_real(struct fake_machine *m, uint16_t cs, uint16_t ip);
void fake_machine_protected(struct fake_machine *m, uint32_t eip, uint32_t esp);
void fake_machine_long(struct fake_machine *m, uint64_t rip, uint64_t rsp);     /* first 1 GB mapped by itself, 2 MB pages */
enum { FAKE_CS32 = 0x08, FAKE_DS32 = 0x10, FAKE_CS64 = 0x18, FAKE_UCS32 = 0x20, FAKE_UDS = 0x28, FAKE_UCS64 = 0x30,
       FAKE_TSS = 0x38, FAKE_CS16 = 0x48, FAKE_DS16 = 0x50, FAKE_GDT = 0x1000, FAKE_IDT = 0x2000, FAKE_TSS_AT = 0x3000 };
void fake_descriptor(struct fake_machine *m, uint16_t selector, uint32_t base, uint32_t limit, uint16_t attributes);
/* An interrupt gate (type 14, or 6, 7, 15, 5) for a vector; 16 bytes if the processor is in long mode. */
void fake_gate(struct fake_machine *m, unsigned vector, uint16_t selector, uint64_t offset, unsigned type, unsigned dpl);

void fake_code(struct fake_machine *m, uint64_t at, const void *bytes, size_t len);

#endif
