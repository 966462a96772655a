/* SPDX-License-Identifier: MIT */
/*
 * x86 processors: made together (they share translated code and the APIC bus), run one thread each.
 *
 * Everything a processor needs of the machine comes through struct cpu_ops; cpu/ makes no system call but for
 * the translator's code memory.  The ops are called on the thread that runs the processor and take whatever
 * lock they need themselves.
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct cpu;
struct cpus;

struct cpu_page {
	uint8_t *host;                  /* 4096 bytes */
	bool writable;                  /* false: stores go through mem_write */
};

struct cpu_ops {
	/* Guest-physical memory that is not plain RAM; size 1, 2, 4 or 8, never across a page. */
	uint64_t (*mem_read)(void *owner, uint64_t gpa, unsigned size);
	void (*mem_write)(void *owner, uint64_t gpa, uint64_t value, unsigned size);
	uint32_t (*io_read)(void *owner, uint16_t port, unsigned size);         /* size 1, 2, 4 */
	void (*io_write)(void *owner, uint16_t port, uint32_t value, unsigned size);
	/* The page at gpa (page-aligned) as host memory; false: not plain memory.  Cached until cpus_remapped(). */
	bool (*page)(void *owner, uint64_t gpa, struct cpu_page *page);
	/* Code was decoded from (true) or is gone from (false) the RAM page at gpa: report DMA there by cpus_code_written(). */
	void (*mark_code)(void *owner, uint64_t gpa, bool code);
	int (*int_ack)(void *owner);                    /* INTA cycle to the 8259s: the vector; -1: line already dropped */
	/* Virtual ns, the machine's clock; TSC and APIC timer follow it.  Must not touch vector registers (the guest's may be live). */
	uint64_t (*now)(void *owner);
	uint64_t (*wall)(void *owner);                  /* ns since 1970 at virtual time 0, for the KVM wall clock; NULL: not known */
	/* c's APIC timer expires at this time (CLOCK_NEVER: disarmed): call cpu_kick(c) then. */
	void (*deadline)(void *owner, struct cpu *c, uint64_t ns);
	/* c has something pending and may be asleep in the owner's halt wait.  Called from any thread. */
	void (*wake)(void *owner, struct cpu *c);
	void (*apic_eoi)(void *owner, uint8_t vector);  /* EOI of a level-triggered vector, for the IOAPIC */
	/* FERR# goes active: an x87 error with CR0.NE off, IRQ 13 in a PC.  NULL: not connected. */
	void (*ferr)(void *owner);
	/* The engines do not agree (config.verify): a report, line by line, then NULL.  NULL: nobody asks. */
	void (*differs)(void *owner, const char *line);
	/* The translator put its code for the instructions from rip on at host (rip UINT64_MAX: its own).  NULL: nobody asks. */
	void (*code_made)(void *owner, const void *host, size_t size, uint64_t rip);
};

enum cpu_engine { CPU_INTERP, CPU_XLAT };

/* What the translator uses of the host if it is there; and can do without. */
enum { HOST_AVX = 1 << 0, HOST_BMI2 = 1 << 1, HOST_FSGSBASE = 1 << 2, HOST_XSAVE = 1 << 3 };

struct cpus_config {
	const struct cpu_ops *ops;
	void *owner;
	unsigned count;                 /* 1..8; APIC ids are 0..count-1, cpu 0 is the bootstrap processor */
	enum cpu_engine engine;
	const char *model;              /* "qemu64", "x86-64-v2", "x86-64-v3", "max"; NULL: x86-64-v2 */
	const char *features;           /* "+aes,-avx,avx2=off"; NULL: none */
	uint64_t tsc_hz;                /* of the guest's TSC */
	unsigned tb_size;               /* translator: MiB for translated code, of all processors together; 0: as many as are good */
	bool exact_flags;               /* translator: flags that no way on can see are computed all the same */
	unsigned without;               /* translator: HOST_* not to use, for tests */
	bool one_insn;                  /* translator: a block holds one instruction */
	unsigned verify;                /* translator: the interpreter runs one block in so many, too, and must agree; 0: none */
	bool icount;                    /* time is counted in instructions: never look at the host's TSC */
};

/* NULL with err on an unknown model or feature (err names it and lists what there is). */
struct cpus *cpus_new(const struct cpus_config *config, struct err *err);
void cpus_free(struct cpus *s);
struct cpu *cpus_get(struct cpus *s, unsigned index);
unsigned cpus_count(const struct cpus *s);
void cpus_print_models(void (*out)(void *to, const char *line), void *to);      /* -cpu help */

enum cpu_exit {
	CPU_EXIT_BUDGET,                /* the budget is used up */
	CPU_EXIT_KICK,                  /* cpu_kick() asked for it */
	CPU_EXIT_HALT,                  /* HLT or wait-for-SIPI, and nothing pending: sleep until wake */
	CPU_EXIT_SHUTDOWN,              /* triple fault: the machine resets */
};
/*
 * Run until something of enum cpu_exit.  Only on c's own thread.  budget: guest instructions; exact with the interpreter and
 * with icount, otherwise translated code is not counted and runs until it is kicked.
 */
enum cpu_exit cpu_run(struct cpu *c, uint64_t budget);
/* Instructions retired since creation; exact whenever an op is called from cpu_run. */
uint64_t cpu_instructions(const struct cpu *c);
/* Make cpu_run return soon (or the next one return at once).  Any thread, signal-safe. */
void cpu_kick(struct cpu *c);
/* Whether cpu_run would do anything now: not halted, or an interrupt is deliverable.  c's thread. */
bool cpu_runnable(const struct cpu *c);

/* Power-on reset of all processors; none may be running. */
void cpus_reset(struct cpus *s);
/* A20 gate: off masks address bit 20. */
void cpus_a20(struct cpus *s, bool on);
/* bus_page answers changed: every processor drops its cached ones.  Any thread. */
void cpus_remapped(struct cpus *s);
/* A bus master stored into [gpa, gpa+len), pages that mark_code() named.  Any thread. */
void cpus_code_written(struct cpus *s, uint64_t gpa, size_t len);

/* The 8259's INTR pin (LINT0 of every LAPIC).  Any thread. */
void cpus_intr(struct cpus *s, bool level);
void cpus_nmi(struct cpus *s);
/* An interrupt message (MSI, IOAPIC): a store of data to addr 0xFEExxxxx.  Any thread. */
void cpus_msi(struct cpus *s, uint64_t addr, uint32_t data);

/* Registers, for boot protocols, monitors and tests; c must not be running. */
struct cpu_segment {
	uint16_t selector;
	uint64_t base;
	uint32_t limit;                 /* bytes, after granularity */
	uint16_t attributes;            /* descriptor bits 40..55: type, S, DPL, P, AVL, L, D/B, G */
};
struct cpu_regs {
	uint64_t gpr[16];               /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
	uint64_t rip, rflags;
	struct cpu_segment seg[6];      /* es cs ss ds fs gs */
	struct cpu_segment ldtr, tr;
	uint64_t gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer;
};
void cpu_get_regs(const struct cpu *c, struct cpu_regs *r);
void cpu_set_regs(struct cpu *c, const struct cpu_regs *r);
/* Guest-virtual memory as c sees it now, for monitors; returns bytes read before the first unmapped one. */
size_t cpu_peek(struct cpu *c, uint64_t linear, void *buf, size_t len);
void cpu_print(const struct cpu *c, void (*out)(void *to, const char *line), void *to);        /* info registers */
void cpu_print_apic(const struct cpu *c, void (*out)(void *to, const char *line), void *to);   /* info lapic */
void cpu_print_jit(const struct cpu *c, void (*out)(void *to, const char *line), void *to);    /* info jit */

#endif
