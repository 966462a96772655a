/* SPDX-License-Identifier: MIT */
/*
 * Runs code on our processor from a given state: a machine of 1 MiB whose page tables show the test pages to user
 * mode and whose every interrupt gate leads to a HLT of its own at CPL 0.
 */
#include "tests/diff/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cpu/interp/interp.h"
#include "cpu/model.h"
#include "cpu/xlat/run.h"

enum {                                  /* guest-physical */
	PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000, PDPT_HIGH = 0x5000, PD_HIGH = 0x6000, PT_HIGH = 0x7000,
	IDT = 0x8000, GDT = 0x9000, TSS = 0xa000, HANDLERS = 0xb000, STACK = 0xc000,
	CODE = 0x20000, DATA = 0x30000, RAM = 0x100000,
};
#define HIGH 0xffffffff80000000ull      /* the supervisor's pages */

static enum cpu_engine engine = CPU_INTERP;
static bool exact = true, counted = true;
static uint8_t *ram;
static struct cpus *made[2][2], *cpus;  /* by engine and `counted`; the one in use */
static struct cpu *cpu;

static uint64_t mem_read(void *owner, uint64_t gpa, unsigned size)
{
	(void)owner;
	(void)gpa;
	(void)size;
	return UINT64_MAX;
}

static void mem_write(void *owner, uint64_t gpa, uint64_t v, unsigned size)
{
	(void)owner;
	(void)gpa;
	(void)v;
	(void)size;
}

static uint32_t io_read(void *owner, uint16_t port, unsigned size)
{
	(void)owner;
	(void)port;
	(void)size;
	return UINT32_MAX;
}

static void io_write(void *owner, uint16_t port, uint32_t v, unsigned size)
{
	(void)owner;
	(void)port;
	(void)v;
	(void)size;
}

static bool page(void *owner, uint64_t gpa, struct cpu_page *p)
{
	(void)owner;
	if (gpa >= RAM)
		return false;
	*p = (struct cpu_page){ .host = ram + gpa, .writable = true };
	return true;
}

static void mark_code(void *owner, uint64_t gpa, bool code)
{
	(void)owner;
	(void)gpa;
	(void)code;
}

static int int_ack(void *owner)
{
	(void)owner;
	return -1;
}

static uint64_t now(void *owner)
{
	(void)owner;
	return 0;
}

static void deadline(void *owner, struct cpu *c, uint64_t ns)
{
	(void)owner;
	(void)c;
	(void)ns;
}

static void wake(void *owner, struct cpu *c)
{
	(void)owner;
	(void)c;
}

static void apic_eoi(void *owner, uint8_t vector)
{
	(void)owner;
	(void)vector;
}

static unsigned ferrs;
static void ferr(void *owner)
{
	(void)owner;
	ferrs++;
}

static const struct cpu_ops ops = {
	.mem_read = mem_read, .mem_write = mem_write, .io_read = io_read, .io_write = io_write, .page = page,
	.mark_code = mark_code, .int_ack = int_ack, .now = now, .deadline = deadline, .wake = wake,
	.apic_eoi = apic_eoi,
	.ferr = ferr,
};

static void put_entry(uint64_t table, unsigned n, uint64_t v) { put_le64(ram + table + 8 * n, v); }

static void make_tables(void)
{
	enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40 };

	put_entry(PML4, 0, PDPT | P | W | U | A);
	put_entry(PDPT, 0, PD | P | W | U | A);
	put_entry(PD, CODE_BASE >> 21, PT | P | W | U | A);
	for (unsigned n = 0; n < CODE_SIZE / 4096; n++)
		put_entry(PT, n, (CODE + n * 4096) | P | W | U | A | D);
	for (unsigned n = 0; n < DATA_SIZE / 4096; n++)
		put_entry(PT, (DATA_BASE >> 12 & 511) + n,
			  (uint64_t)(DATA + n * 4096) | P | (n < DATA_WRITABLE / 4096 ? W : 0) | U | A | D |
			  1ull << 63);
	put_entry(PML4, 511, PDPT_HIGH | P | W | A);
	put_entry(PDPT_HIGH, 510, PD_HIGH | P | W | A);
	put_entry(PD_HIGH, 0, PT_HIGH | P | W | A);
	for (unsigned n = 0; n < 32; n++)
		put_entry(PT_HIGH, n, n * 4096 | P | W | A | D);

	for (unsigned v = 0; v < 256; v++) {
		uint64_t at = HIGH + HANDLERS + v;

		ram[HANDLERS + v] = 0xf4;       /* HLT */
		put_entry(IDT, 2 * v, (at & 0xffff) | 0x08 << 16 | (uint64_t)(v == 3 || v == 4 ? 0xee : 0x8e) << 40 |
				      (at >> 16 & 0xffff) << 48);
		put_entry(IDT, 2 * v + 1, at >> 32);
	}
	put_entry(GDT, 1, 0x00209b0000000000);  /* 08: 64-bit code */
	put_entry(GDT, 4, 0x00cffb000000ffff);  /* 20: 32-bit user code */
	put_entry(GDT, 5, 0x00cff3000000ffff);  /* 28: user data */
	put_entry(GDT, 6, 0x0020fb0000000000);  /* 30: 64-bit user code */
	put_le64(ram + TSS + 4, HIGH + STACK + 0x1000);
	put_le16(ram + TSS + 102, 0xffff);      /* no I/O bitmap */
}

bool sim_init(const char *model, const char **why)
{
	static struct err err;
	struct cpus_config config = {
		.ops = &ops, .count = 1, .engine = engine, .model = model ? model : "max", .tsc_hz = 1000000000,
		.icount = counted,
	};
	struct cpu_state *s;

	if (!ram) {
		ram = aligned_alloc(4096, RAM);
		memset(ram, 0, RAM);
		make_tables();
	}
	if (!made[engine][counted])
		made[engine][counted] = cpus_new(&config, &err);
	cpus = made[engine][counted];
	if (!cpus) {
		*why = err.text;
		return false;
	}
	cpus_reset(cpus);
	cpu = cpus_get(cpus, 0);
	s = &cpu->s;
	s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	s->cr3 = PML4;
	s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s->xcr0 = 3;
	if (cpu_has(cpu->model, CPU_XSAVE)) {
		s->cr4 |= CR4_OSXSAVE;
		s->xcr0 = cpu_has(cpu->model, CPU_AVX) ? 7 : 3;
	}
	s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	s->idt.base = HIGH + IDT;
	s->idt.limit = 0xfff;
	s->gdt.base = HIGH + GDT;
	s->gdt.limit = 0x3f;
	s->tr = (struct segment){ .selector = 0x38, .attr = 0x8b, .limit = 103, .base = HIGH + TSS };
	s->run = RUN_RUNNING;
	if (engine == CPU_XLAT)
		xlat_set_exact(cpu, exact);
	return true;
}

void sim_use_dead_flags(void) { exact = false; }
void sim_count(bool on) { counted = on; }
bool sim_flags_are_exact(void) { return exact; }

void sim_use(enum cpu_engine e)
{
	engine = e;
}

void sim_seal(const uint8_t *data)
{
	memset(sim_code(), 0xcc, CODE_SIZE);
	memcpy(sim_data(), data, DATA_SIZE);
}

uint8_t *sim_code(void) { return ram + CODE; }
uint8_t *sim_data(void) { return ram + DATA; }
void sim_set_fast(bool fast) { cpu->no_fast = !fast; }
struct cpu *sim_cpu(void) { return cpu; }
unsigned sim_ferr(void) { return ferrs; }

/* Whether the guest's processor has this instruction at all. */
bool sim_has(const struct insn *i)
{
	struct insn copy = *i;

	cpuid_gate(cpu->model, &copy);
	return copy.op == i->op;
}

static struct segment segment(uint16_t selector, uint64_t base, uint32_t limit, unsigned attr)
{
	return (struct segment){ .selector = selector, .base = base, .limit = limit, .attr = (uint16_t)attr };
}

static void load_segments(struct cpu_state *s, unsigned mode)
{
	enum { CODE_ATTR = SEG_P | SEG_DPL | SEG_S | SEG_CODE | SEG_RW | SEG_ACCESSED,
	       DATA_ATTR = SEG_P | SEG_DPL | SEG_S | SEG_RW | SEG_ACCESSED };
	struct segment data = segment(GDT_DATA, 0, UINT32_MAX, DATA_ATTR | SEG_DB | SEG_G);

	if (mode == 64)
		s->seg[SEG_CS] = segment(GDT_CODE64, 0, UINT32_MAX, CODE_ATTR | SEG_L | SEG_G);
	else if (mode == 32)
		s->seg[SEG_CS] = segment(GDT_CODE32, 0, UINT32_MAX, CODE_ATTR | SEG_DB | SEG_G);
	else
		s->seg[SEG_CS] = segment(LDT_CODE16, CODE_BASE, 0xffff, CODE_ATTR);
	if (mode == 16)
		data = segment(LDT_DATA16, DATA_BASE, 0xffff, DATA_ATTR);
	s->seg[SEG_DS] = s->seg[SEG_ES] = s->seg[SEG_SS] = data;
	s->seg[SEG_FS] = s->seg[SEG_GS] = segment(0, 0, 0, 0);
}

void sim_run(unsigned mode, struct diff_state *d)
{
	struct cpu_state *s = &cpu->s;
	const uint8_t *frame;
	enum cpu_exit e;

	cpus_code_written(cpus, CODE, CODE_SIZE);
	memcpy(s->gpr, d->gpr, sizeof(d->gpr));
	s->rip = d->rip;
	s->flags = (uint32_t)d->rflags & ~(uint32_t)FLAGS_ARITH;
	set_arith_flags(cpu, (uint32_t)d->rflags);
	s->fpu = d->fpu;
	load_segments(s, mode);
	s->cpl = 3;
	s->run = RUN_RUNNING;
	s->shadow = 0;
	s->cr2 = 0;
	cpu_mode_changed(cpu);
	if (engine == CPU_XLAT)
		xlat_take_signals();
	e = cpu_run(cpu, 2000);
	memcpy(d->gpr, s->gpr, sizeof(d->gpr));
	d->fpu = s->fpu;
	d->cr2 = s->cr2;
	d->rip = s->rip;
	d->error = 0;
	if (e != CPU_EXIT_HALT || s->cpl) {
		d->vector = e == CPU_EXIT_BUDGET ? 255 : 254;
		d->rflags = get_flags(cpu);
		return;
	}
	d->vector = (int)(s->rip - 1 - (HIGH + HANDLERS));
	frame = ram + (s->gpr[RSP] - HIGH);
	if (s->gpr[RSP] - (HIGH + STACK) == 0x1000 - 48) {
		d->error = le32(frame);
		frame += 8;
	}
	d->rip = le64(frame);
	d->rflags = le64(frame + 16);
	d->gpr[RSP] = le64(frame + 24);
}
