/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_machine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "cpu/xlat/run.h"

enum cpu_engine fake_engine = CPU_INTERP;
bool fake_icount = true;
unsigned fake_verify, fake_tb_size;

__attribute__((weak)) void fake_differs(void *owner, const char *line)
{
	(void)owner;
	(void)line;
}

static void record(struct fake_machine *m, uint64_t at, uint64_t value, unsigned size, bool write, bool port)
{
	if (m->accesses < ARRAY_SIZE(m->log))
		m->log[m->accesses] = (struct fake_access){ at, value, size, write, port };
	m->accesses++;
}

static uint64_t mem_read(void *owner, uint64_t gpa, unsigned size)
{
	struct fake_machine *m = owner;

	record(m, gpa, m->mmio_value, size, false, false);
	return gpa >= FAKE_MMIO && gpa < FAKE_MMIO + 4096 ? m->mmio_value : UINT64_MAX;
}

static void mem_write(void *owner, uint64_t gpa, uint64_t value, unsigned size)
{
	record(owner, gpa, value, size, true, false);
}

static uint32_t io_read(void *owner, uint16_t port, unsigned size)
{
	struct fake_machine *m = owner;

	record(m, port, m->port_value, size, false, true);
	return m->port_value;
}

static void io_write(void *owner, uint16_t port, uint32_t value, unsigned size)
{
	record(owner, port, value, size, true, true);
}

static bool page(void *owner, uint64_t gpa, struct cpu_page *p)
{
	struct fake_machine *m = owner;

	if (gpa >= m->ram_size)
		return false;
	p->host = m->ram + (m->moved && gpa == m->moved ? m->moved_to : gpa);
	p->writable = gpa < m->rom_from || gpa >= m->rom_to;
	return true;
}

static void mark_code(void *owner, uint64_t gpa, bool code)
{
	struct fake_machine *m = owner;

	(void)gpa;
	(void)code;
	m->marks++;
}

static int int_ack(void *owner)
{
	struct fake_machine *m = owner;
	int vector = m->vector;

	m->vector = -1;
	cpus_intr(m->cpus, false);
	return vector;
}

static uint64_t now(void *owner)
{
	struct fake_machine *m = owner;

	return m->now;
}

static void deadline(void *owner, struct cpu *c, uint64_t ns)
{
	(void)owner;
	(void)c;
	(void)ns;
}

static void wake(void *owner, struct cpu *c)
{
	struct fake_machine *m = owner;

	(void)c;
	m->wakes++;
}

static void apic_eoi(void *owner, uint8_t vector)
{
	(void)owner;
	(void)vector;
}

static const struct cpu_ops ops = {
	.mem_read = mem_read, .mem_write = mem_write, .io_read = io_read, .io_write = io_write, .page = page,
	.mark_code = mark_code, .int_ack = int_ack, .now = now, .deadline = deadline, .wake = wake, .apic_eoi = apic_eoi,
	.differs = fake_differs,
};

struct fake_machine *fake_machine_new(unsigned cpus, const char *model)
{
	struct fake_machine *m = calloc(1, sizeof(*m));
	const char *comma = model ? strchr(model, ',') : NULL;
	char name[32];
	struct err err;

	assert(m);
	snprintf(name, sizeof(name), "%.*s", comma ? (int)(comma - model) : 31, model ? model : "max");
	m->ram_size = 64 << 20;
	m->ram = mmap(NULL, m->ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(m->ram != MAP_FAILED);
	m->vector = -1;
	m->cpus = cpus_new(&(struct cpus_config){ .ops = &ops, .owner = m, .count = cpus, .engine = fake_engine,
						  .model = name, .features = comma ? comma + 1 : NULL, .tsc_hz = 1000000000, .icount = fake_icount,
						  .verify = fake_verify, .tb_size = fake_tb_size }, &err);
	assert(m->cpus);
	m->cpu = cpus_get(m->cpus, 0);
	return m;
}

void fake_machine_free(struct fake_machine *m)
{
	cpus_free(m->cpus);
	munmap(m->ram, m->ram_size);
	free(m);
}

void fake_code(struct fake_machine *m, uint64_t at, const void *bytes, size_t len)
{
	memcpy(m->ram + at, bytes, len);
	cpus_code_written(m->cpus, at, len);
}

void fake_descriptor(struct fake_machine *m, uint16_t selector, uint32_t base, uint32_t limit, uint16_t attributes)
{
	uint32_t units = attributes & 0x8000 ? limit >> 12 : limit;
	uint64_t d = (units & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attributes & 0xf0ff) << 40 |
		     (uint64_t)(units >> 16 & 15) << 48 | (uint64_t)(base >> 24) << 56;

	put_le64(m->ram + FAKE_GDT + (selector & ~7), d);
}

void fake_gate(struct fake_machine *m, unsigned vector, uint16_t selector, uint64_t offset, unsigned type, unsigned dpl)
{
	struct cpu_regs r;
	uint64_t low = (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)(0x80 | dpl << 5 | type) << 40 |
		       (offset >> 16 & 0xffff) << 48;

	cpu_get_regs(m->cpu, &r);
	if (r.efer & 1 << 10) {
		put_le64(m->ram + FAKE_IDT + 16 * vector, low);
		put_le64(m->ram + FAKE_IDT + 16 * vector + 8, offset >> 32);
	} else {
		put_le64(m->ram + FAKE_IDT + 8 * vector, low);
	}
}

static void tables(struct fake_machine *m)
{
	memset(m->ram + FAKE_GDT, 0, 0x1000);
	fake_descriptor(m, FAKE_CS32, 0, 0xffffffff, 0xc09b);
	fake_descriptor(m, FAKE_DS32, 0, 0xffffffff, 0xc093);
	fake_descriptor(m, FAKE_CS64, 0, 0xffffffff, 0xa09b);
	fake_descriptor(m, FAKE_UCS32, 0, 0xffffffff, 0xc0fb);
	fake_descriptor(m, FAKE_UDS, 0, 0xffffffff, 0xc0f3);
	fake_descriptor(m, FAKE_UCS64, 0, 0xffffffff, 0xa0fb);
	fake_descriptor(m, FAKE_TSS, FAKE_TSS_AT, 0xfff, 0x008b);
	fake_descriptor(m, FAKE_CS16, 0, 0xffff, 0x009b);
	fake_descriptor(m, FAKE_DS16, 0, 0xffff, 0x0093);
}

static struct cpu_segment segment(uint16_t selector, uint64_t base, uint32_t limit, uint16_t attributes)
{
	return (struct cpu_segment){ selector, base, limit, attributes };
}

/* All ways to start: cmocka takes the signals for each test. */
static void power_on(struct fake_machine *m)
{
	cpus_reset(m->cpus);
	if (fake_engine == CPU_XLAT)
		xlat_take_signals();
}

static void common(struct cpu_regs *r, uint64_t rip, uint64_t rsp)
{
	memset(r, 0, sizeof(*r));
	r->rip = rip;
	r->gpr[4] = rsp;
	r->rflags = 2;
	r->gdt_base = FAKE_GDT;
	r->gdt_limit = 0xff;
	r->idt_base = FAKE_IDT;
	r->idt_limit = 0xfff;
	r->tr = segment(FAKE_TSS, FAKE_TSS_AT, 0xfff, 0x008b);
	r->ldtr = segment(0, 0, 0, 0);
}

void fake_machine_real(struct fake_machine *m, uint16_t cs, uint16_t ip)
{
	struct cpu_regs r;
	unsigned k;

	power_on(m);
	common(&r, ip, 0xfff0);
	for (k = 0; k < 6; k++)
		r.seg[k] = segment(0, 0, 0xffff, 0x93);
	r.seg[1] = segment(cs, (uint64_t)cs << 4, 0xffff, 0x93);
	r.cr0 = 0x10;
	r.idt_base = 0;
	r.idt_limit = 0x3ff;
	cpu_set_regs(m->cpu, &r);
}

void fake_machine_protected(struct fake_machine *m, uint32_t eip, uint32_t esp)
{
	struct cpu_regs r;
	unsigned k;

	power_on(m);
	tables(m);
	common(&r, eip, esp);
	for (k = 0; k < 6; k++)
		r.seg[k] = segment(FAKE_DS32, 0, 0xffffffff, 0xc093);
	r.seg[1] = segment(FAKE_CS32, 0, 0xffffffff, 0xc09b);
	r.cr0 = 0x11;
	r.cr4 = 0x600;
	cpu_set_regs(m->cpu, &r);
}

void fake_machine_long(struct fake_machine *m, uint64_t rip, uint64_t rsp)
{
	struct cpu_regs r;
	unsigned k;

	power_on(m);
	tables(m);
	memset(m->ram + 0x8000, 0, 0x3000);
	put_le64(m->ram + 0x8000, 0x9000 | 7);
	put_le64(m->ram + 0x9000, 0xa000 | 7);
	for (k = 0; k < 512; k++)
		put_le64(m->ram + 0xa000 + 8 * k, (uint64_t)k << 21 | 0x87);
	common(&r, rip, rsp);
	for (k = 0; k < 6; k++)
		r.seg[k] = segment(FAKE_DS32, 0, 0xffffffff, 0xc093);
	r.seg[1] = segment(FAKE_CS64, 0, 0xffffffff, 0xa09b);
	r.cr0 = 0x80000011;
	r.cr3 = 0x8000;
	r.cr4 = 0x620;
	r.efer = 0xd01;
	cpu_set_regs(m->cpu, &r);
}
