/* SPDX-License-Identifier: MIT */
/*
 * Processors: making them, reset and INIT (SDM volume 3, 10.1), events, the outer run loop, and registers for others.
 */
#ifndef __x86_64__
#error "tenbox runs on x86-64 hosts: both engines compute on the host's own x87, SSE and AVX units"
#endif
#include "cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "cpu/code.h"
#include "cpu/interp/run.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "cpu/xlat/run.h"

/* --- derived state ---------------------------------------------------------------------------------------------- */

static bool is_flat(const struct segment *s)
{
	return s->limit == 0xffffffff && (s->attr & (SEG_P | SEG_S | SEG_CODE | SEG_DOWN | SEG_RW)) == (SEG_P | SEG_S | SEG_RW);
}

static bool is_down(const struct segment *s)
{
	return (s->attr & (SEG_P | SEG_CODE | SEG_DOWN)) == (SEG_P | SEG_DOWN);
}

enum { ALL_FLAT = KEY_FLAT_CS | KEY_FLAT_SS | KEY_FLAT_DS | KEY_FLAT_ES, EVERY_FLAT = ALL_FLAT | KEY_FS | KEY_GS };

static uint32_t mode_key(const struct cpu *c)
{
	static const struct { uint8_t seg; uint32_t key; } data[] = {
		{ SEG_SS, KEY_FLAT_SS }, { SEG_DS, KEY_FLAT_DS }, { SEG_ES, KEY_FLAT_ES },
	};
	const struct segment *s = c->s.seg;
	unsigned k;
	uint32_t key = c->s.cpl == 3 ? KEY_USER : c->s.cr4 & CR4_SMAP && !(c->s.flags & FLAG_AC) ? KEY_SMAP : 0;

	if (c->s.cpl == 1 || c->s.cpl == 2)
		key |= KEY_INNER;
	if (long_mode(c) && s[SEG_CS].attr & SEG_L)
		return key | KEY_64 | KEY_STACK32 | KEY_FLAT | ALL_FLAT | KEY_FS | KEY_GS;
	if (real_or_v86(c))
		key |= KEY_REAL;
	if (s[SEG_CS].attr & SEG_DB)
		key |= KEY_32;
	if (s[SEG_SS].attr & SEG_DB)
		key |= KEY_STACK32;
	if (!s[SEG_CS].base && s[SEG_CS].limit == 0xffffffff && s[SEG_CS].attr & SEG_RW)
		key |= KEY_FLAT_CS;
	for (k = 0; k < ARRAY_SIZE(data); k++)
		if (is_flat(&s[data[k].seg]) && !s[data[k].seg].base)
			key |= data[k].key;
	if ((key & ALL_FLAT) == ALL_FLAT)
		key |= KEY_FLAT;
	key |= (is_flat(&s[SEG_FS]) ? KEY_FS : 0) | (is_flat(&s[SEG_GS]) ? KEY_GS : 0);
	for (k = 0; k < 6 && (key & EVERY_FLAT) != EVERY_FLAT; k++)
		if (is_down(&s[k]))
			key |= KEY_DOWN;
	return key;
}

static void set_bounds(const struct segment *s, struct bounds *b)
{
	bool there = s->attr & SEG_P, code = s->attr & SEG_CODE, rw = s->attr & SEG_RW;
	int64_t last = is_down(s) ? (s->attr & SEG_DB ? 0xffffffff : 0xffff) :
		       s->limit == 0xffffffff ? INT64_MAX /* an access may wrap there */ : (int64_t)s->limit;

	b->base = s->base;
	b->first = is_down(s) ? (uint64_t)s->limit + 1 : 0;
	b->last[TLB_READ] = there && (rw || !code) ? last : -1;
	b->last[TLB_WRITE] = there && rw && !code ? last : -1;
}

void cpu_mode_changed(struct cpu *c)
{
	uint32_t key = mode_key(c);
	unsigned k;
	bool step = c->s.flags & FLAG_TF || (c->s.dr[7] & 0xff && debug_fetch_armed(c));

	if (key != c->key || step != c->step) {
		c->key = key;
		c->jump_tag = c->jump_generation | key;
		c->step = step;
		c->leave = true;
	}
	c->addr_mask = (key & KEY_CODE) == KEY_64 ? UINT64_MAX : 0xffffffff;
	c->linear_mask = long_mode(c) ? UINT64_MAX : 0xffffffff;
	c->flat_base[SEG_FS] = c->s.seg[SEG_FS].base;
	c->flat_base[SEG_GS] = c->s.seg[SEG_GS].base;
	for (k = 0; k < 6 && (key & EVERY_FLAT) != EVERY_FLAT; k++)
		set_bounds(&c->s.seg[k], &c->bounds[k]);
	mmu_select_tlb(c);
}

uint64_t cpu_rip(const struct cpu *c)
{
	uint64_t rip;

	if (!c->cur)
		return c->s.rip;
	rip = c->s.gpr[17] + c->cur->offset;
	return code64(c) ? rip : (uint32_t)rip;
}

uint64_t cpu_instructions(const struct cpu *c)
{
	int64_t left = c->left;

	if (c->cur)
		left += c->block->n - (c->cur - c->block->uops);
	return c->retired - (uint64_t)left;
}

uint64_t cpu_tsc(struct cpu *c)
{
	uint64_t now = c->all->ops->now(c->all->owner);

	if (c->model->tsc_hz == 1000000000)
		return now + (uint64_t)c->s.tsc_offset;
	return (uint64_t)((unsigned __int128)now * c->model->tsc_hz / 1000000000) + (uint64_t)c->s.tsc_offset;
}

/* --- events ----------------------------------------------------------------------------------------------------- */

void cpu_event(struct cpu *c, unsigned events)
{
	atomic_fetch_or(&c->events, events);
	if (c->all->config.icount)
		c->leave = true;        /* taken behind this instruction, whichever engine runs it and however long its block */
	if (!atomic_exchange(&c->attention, 1) && c->x && !atomic_load(&c->away))
		xlat_interrupt(c);
	if (!atomic_load(&c->in_guest))
		c->all->ops->wake(c->all->owner, c);
}

void cpu_kick(struct cpu *c)
{
	cpu_event(c, EV_KICK);
}

void cpu_interrupts_enabled(struct cpu *c)
{
	if (!lapic_pending(&c->apic))
		return;
	atomic_store(&c->attention, 1);
	if (c->all->config.icount)
		c->leave = true;
}

static uint64_t apic_now(void *owner)
{
	struct cpu *c = owner;

	return c->all->ops->now(c->all->owner);
}

static void apic_deadline(void *owner, uint64_t ns)
{
	struct cpu *c = owner;

	if (c->xe.fpu)
		xlat_save_vector(c);
	c->all->ops->deadline(c->all->owner, c, ns);
}

static void apic_kick(void *owner)
{
	cpu_event(owner, EV_APIC);
}

static void apic_eoi(void *owner, uint8_t vector)
{
	struct cpu *c = owner;
	bool inside = atomic_load(&c->in_guest);

	if (inside)
		outside_begin(c);
	c->all->ops->apic_eoi(c->all->owner, vector);
	if (inside)
		outside_end(c);
}

static int apic_int_ack(void *owner)
{
	struct cpu *c = owner;
	int vector;

	outside_begin(c);
	vector = c->all->ops->int_ack(c->all->owner);
	outside_end(c);
	return vector;
}

static const struct lapic_ops apic_ops = { apic_now, apic_deadline, apic_kick, apic_eoi, apic_int_ack };

/* --- reset ------------------------------------------------------------------------------------------------------ */

static void set_segment(struct segment *s, uint16_t selector, uint64_t base, uint16_t attr)
{
	*s = (struct segment){ .selector = selector, .base = base, .limit = 0xffff, .attr = attr };
}

/* What INIT and power-on have in common. */
static void init_registers(struct cpu *c)
{
	struct cpu_state *s = &c->s;
	unsigned k;

	memset(s->gpr, 0, sizeof(s->gpr));
	s->gpr[RDX] = c->model->signature;
	s->rip = 0xfff0;
	set_arith_flags(c, 0);
	s->flags = 2;
	s->cpl = 0;
	s->nmi_blocked = false;
	s->shadow = 0;
	for (k = 0; k < 6; k++)
		set_segment(&s->seg[k], 0, 0, SEG_P | SEG_S | SEG_RW | SEG_ACCESSED);
	set_segment(&s->seg[SEG_CS], 0xf000, 0xffff0000, SEG_P | SEG_S | SEG_RW | SEG_ACCESSED);
	set_segment(&s->ldtr, 0, 0, SEG_P | 2);
	set_segment(&s->tr, 0, 0, SEG_P | 11);
	s->gdt.base = s->idt.base = 0;
	s->gdt.limit = 0xffff;
	s->idt.limit = 0x3ff;
	s->cr0 = (s->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
	s->cr2 = s->cr3 = s->cr4 = s->efer = 0;
	memset(s->dr, 0, sizeof(s->dr));
	s->dr[6] = 0xffff0ff0;
	s->dr[7] = 0x400;
}

static void reset_msrs(struct msr_state *m)
{
	memset(m, 0, sizeof(*m));
	m->pat = 0x0007040600070406;
	m->misc_enable = 1;             /* fast strings */
	m->mcg_ctl = 0;
	m->feature_control = 1;         /* locked, no VMX */
	m->amd_hwcr = 1 << 24;          /* TscFreqSel: the TSC runs at P0, whatever the clock does */
}

static void settle(struct cpu *c)
{
	c->debug_hit = 0;
	c->delivering = -1;
	c->cur = NULL;
	c->block = NULL;
	tlb_flush(c, false);
	debug_changed(c);
	cpu_mode_changed(c);
}

static void reset(struct cpu *c)
{
	struct cpu_state *s = &c->s;

	memset(s, 0, sizeof(*s));
	s->cr0 = CR0_CD | CR0_NW;
	init_registers(c);
	reset_msrs(&s->msr);
	s->xcr0 = 1;
	s->fpu.fcw = 0x40;
	s->fpu.ftw = 0xff;              /* power-on FPU: tags say empty only after FNINIT; registers are +0 */
	s->fpu.mxcsr = 0x1f80;
	s->fpu.mxcsr_mask = 0xffff;
	s->run = c->index == 0 ? RUN_RUNNING : RUN_WAIT_SIPI;
	s->rng = 0x9e3779b97f4a7c15ull * (c->index + 1);
	lapic_reset(&c->apic);
	lapic_tsc_offset(&c->apic, 0);
	atomic_store(&c->events, EV_WORK);
	atomic_store(&c->attention, 1);
	c->work.count = 0;
	c->work.all_tlb = c->work.all_code = c->work.moved = false;
	mmu_remapped(c);
	code_flush(c);
	settle(c);
}

static void init_signal(struct cpu *c)
{
	lapic_init_reset(&c->apic);
	init_registers(c);
	c->s.run = c->index == 0 ? RUN_RUNNING : RUN_WAIT_SIPI;
	settle(c);
}

static void start_up(struct cpu *c, uint8_t vector)
{
	set_segment(&c->s.seg[SEG_CS], (uint16_t)(vector << 8), (uint64_t)vector << 12, SEG_P | SEG_S | SEG_RW | SEG_ACCESSED);
	c->s.rip = 0;
	c->s.run = RUN_RUNNING;
	cpu_mode_changed(c);
}

void cpus_reset(struct cpus *s)
{
	unsigned k;

	s->a20_mask = UINT64_MAX;
	for (k = 0; k < s->count; k++)
		reset(s->cpu[k]);
}

/* --- making ----------------------------------------------------------------------------------------------------- */

/* Bytes of code memory for each processor. */
static size_t code_size(const struct cpus_config *config)
{
	size_t all = (size_t)(config->tb_size ? config->tb_size : 40) << 20;
	size_t each = (all / config->count) & ~(size_t)0xfffff;

	return each < 1 << 20 ? 1 << 20 : each > 256 << 20 ? 256 << 20 : each;
}

static void cpu_delete(struct cpu *c)
{
	if (!c)
		return;
	xlat_free(c);
	code_free(c->code);
	free(c);
}

static struct cpu *cpu_new(struct cpus *s, unsigned index, struct err *err)
{
	struct cpu *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);

	if (!c) {
		err_set(err, "out of memory for processor %u", index);
		return NULL;
	}
	memset(c, 0, offsetof(struct cpu, indirect));
	c->all = s;
	c->index = index;
	c->model = &s->model;
	c->delivering = -1;
	c->code = code_new(s->config.engine == CPU_XLAT);
	if (!c->code) {
		err_set(err, "out of memory for the code of processor %u", index);
		cpu_delete(c);
		return NULL;
	}
	if (s->config.engine == CPU_XLAT && !xlat_new(c, code_size(&s->config), err)) {
		cpu_delete(c);
		return NULL;
	}
	mmu_init(c);
	lapic_init(&c->apic, &s->apic_bus, s->model.tsc_hz, &apic_ops, c);
	c->apic.x2apic = cpu_has(&s->model, CPU_X2APIC);
	c->apic.tsc_deadline_mode = cpu_has(&s->model, CPU_TSC_DEADLINE);
	return c;
}

struct cpus *cpus_new(const struct cpus_config *config, struct err *err)
{
	struct cpus *s;
	unsigned k;

	s = calloc(1, sizeof(*s));
	if (!s) {
		err_set(err, "out of memory");
		return NULL;
	}
	s->config = *config;
	s->ops = config->ops;
	s->owner = config->owner;
	s->count = config->count;
	s->a20_mask = UINT64_MAX;
	if (!cpu_model_init(&s->model, config->model, config->features, config->count, config->tsc_hz, err))
		goto fail;
	interp_init();
	if (!code_share_init(s)) {
		err_set(err, "out of memory for the processors' tables");
		goto fail;
	}
	for (k = 0; k < s->count; k++) {
		s->cpu[k] = cpu_new(s, k, err);
		if (!s->cpu[k])
			goto fail;
	}
	cpus_reset(s);
	return s;
fail:
	cpus_free(s);
	return NULL;
}

void cpus_free(struct cpus *s)
{
	unsigned k;

	if (!s)
		return;
	for (k = 0; k < s->count; k++)
		cpu_delete(s->cpu[k]);
	code_share_free(s);
	free(s);
}

struct cpu *cpus_get(struct cpus *s, unsigned index)
{
	return index < s->count ? s->cpu[index] : NULL;
}

unsigned cpus_count(const struct cpus *s)
{
	return s->count;
}

void cpus_print_models(void (*out)(void *to, const char *line), void *to)
{
	cpu_model_print(out, to);
}

/* --- signals from the machine ----------------------------------------------------------------------------------- */

void cpus_a20(struct cpus *s, bool on)
{
	uint64_t mask = on ? UINT64_MAX : ~(1ull << 20);

	if (s->a20_mask == mask)
		return;
	s->a20_mask = mask;
	cpus_remapped(s);
}

void cpus_remapped(struct cpus *s)
{
	unsigned k;

	for (k = 0; k < s->count; k++)
		code_post_remapped(s->cpu[k]);
}

void cpus_intr(struct cpus *s, bool level)
{
	unsigned k;

	for (k = 0; k < s->count; k++)
		lapic_intr(&s->cpu[k]->apic, level);
}

void cpus_nmi(struct cpus *s)
{
	unsigned k;

	for (k = 0; k < s->count; k++)
		lapic_nmi(&s->cpu[k]->apic);
}

void cpus_msi(struct cpus *s, uint64_t addr, uint32_t data)
{
	lapic_bus_msi(&s->apic_bus, addr, data);
}

/* --- running ---------------------------------------------------------------------------------------------------- */

static bool deliverable(const struct cpu *c, unsigned pending)
{
	if (pending & LAPIC_INIT)
		return true;
	if (c->s.run == RUN_WAIT_SIPI)
		return pending & LAPIC_SIPI;
	return (pending & LAPIC_NMI && !c->s.nmi_blocked) || (pending & LAPIC_INTR && c->s.flags & FLAG_IF);
}

bool cpu_runnable(const struct cpu *c)
{
	return c->s.run == RUN_RUNNING || c->s.run == RUN_SHUTDOWN || atomic_load(&c->events) & (EV_KICK | EV_WORK) ||
	       deliverable(c, lapic_pending(&c->apic));
}

/* Take what waits, in the order of SDM volume 3, table 6-2.  True: an event was taken. */
static bool take_event(struct cpu *c)
{
	unsigned pending = lapic_pending(&c->apic);
	int vector;

	c->irq_waits = pending;
	if (!pending)
		return false;
	if (pending & LAPIC_INIT && lapic_take(&c->apic, LAPIC_INIT)) {
		init_signal(c);
		return true;
	}
	if (pending & LAPIC_SIPI && lapic_take(&c->apic, LAPIC_SIPI)) {
		if (c->s.run == RUN_WAIT_SIPI)
			start_up(c, atomic_load(&c->apic.sipi_vector));
		return true;
	}
	if (pending & LAPIC_SMI)
		lapic_take(&c->apic, LAPIC_SMI);        /* there is no system management mode */
	if (c->s.run == RUN_WAIT_SIPI || c->s.shadow)
		return false;
	if (pending & LAPIC_NMI && !c->s.nmi_blocked && lapic_take(&c->apic, LAPIC_NMI)) {
		c->s.run = RUN_RUNNING;
		c->s.nmi_blocked = true;
		deliver(c, VEC_NMI, EVENT_NMI, 0);
		return true;
	}
	if (pending & LAPIC_INTR && c->s.flags & FLAG_IF) {
		vector = lapic_ack(&c->apic);
		if (vector < 0)
			return false;
		c->s.run = RUN_RUNNING;
		deliver(c, (unsigned)vector, EVENT_EXTERNAL, 0);
		return true;
	}
	return false;
}

/* Handlers that fault at their first instruction, for ever: from some point on that must use up the budget. */
static void count_storm(struct cpu *c)
{
	c->storm = c->left == c->storm_left ? c->storm + 1 : 0;
	if (c->storm > 64)
		c->left--;
	c->storm_left = c->left;
}

static enum cpu_exit run(struct cpu *c)
{
	unsigned events;

	if (setjmp(c->on_fault)) {
		count_storm(c);
		exception(c);
	}
	for (;;) {
		atomic_store(&c->attention, 0);
		events = atomic_load(&c->events);
		if (events & EV_WORK)
			code_do_work(c);
		if (events & EV_APIC)
			atomic_fetch_and(&c->events, ~(unsigned)EV_APIC);
		if (events & EV_KICK) {
			atomic_fetch_and(&c->events, ~(unsigned)EV_KICK);
			c->kicked = true;
		}
		if (c->s.run == RUN_SHUTDOWN)
			return CPU_EXIT_SHUTDOWN;
		if (c->kicked) {
			c->kicked = false;
			return CPU_EXIT_KICK;
		}
		if (take_event(c))
			continue;
		if (c->s.run != RUN_RUNNING) {
			if (atomic_load(&c->attention))
				continue;
			return CPU_EXIT_HALT;
		}
		if (c->left <= 0)
			return CPU_EXIT_BUDGET;
		if (c->x && xlat_usable(c))
			xlat_run(c);
		else
			interp_run(c);
	}
}

enum cpu_exit cpu_run(struct cpu *c, uint64_t budget)
{
	enum cpu_exit why;

	c->left = budget > INT64_MAX ? INT64_MAX : (int64_t)budget;
	c->retired += (uint64_t)c->left;
	if (c->x)
		xlat_enter_thread(c);
	atomic_store(&c->away, false);          /* before run() looks at the events */
	outside_end(c);
	lapic_timer_service(&c->apic, c->all->ops->now(c->all->owner));
	do {
		why = run(c);
		outside_begin(c);
		/* Whoever had something for us while we were inside did not wake anyone. */
		if (why != CPU_EXIT_HALT || !cpu_runnable(c))
			break;
		outside_end(c);
	} while (true);
	atomic_store(&c->away, true);
	c->cur = NULL;
	c->block = NULL;
	c->retired -= (uint64_t)c->left;
	c->left = 0;
	return why;
}

/* --- registers for others --------------------------------------------------------------------------------------- */

static void get_segment(const struct segment *s, struct cpu_segment *r)
{
	*r = (struct cpu_segment){ s->selector, s->base, s->limit, s->attr };
}

static void put_segment(struct segment *s, const struct cpu_segment *r)
{
	s->selector = r->selector;
	s->base = r->base;
	s->limit = r->limit;
	s->attr = r->attributes & 0xf0ff;
}

void cpu_get_regs(const struct cpu *c, struct cpu_regs *r)
{
	unsigned k;

	memcpy(r->gpr, c->s.gpr, sizeof(r->gpr));
	r->rip = cpu_rip(c);
	r->rflags = get_flags(c);
	for (k = 0; k < 6; k++)
		get_segment(&c->s.seg[k], &r->seg[k]);
	get_segment(&c->s.ldtr, &r->ldtr);
	get_segment(&c->s.tr, &r->tr);
	r->gdt_base = c->s.gdt.base;
	r->gdt_limit = c->s.gdt.limit;
	r->idt_base = c->s.idt.base;
	r->idt_limit = c->s.idt.limit;
	r->cr0 = c->s.cr0;
	r->cr2 = c->s.cr2;
	r->cr3 = c->s.cr3;
	r->cr4 = c->s.cr4;
	r->cr8 = lapic_cr8(&c->apic);
	r->efer = c->s.efer;
}

void cpu_set_regs(struct cpu *c, const struct cpu_regs *r)
{
	struct cpu_state *s = &c->s;
	unsigned k;

	memcpy(s->gpr, r->gpr, sizeof(r->gpr));
	s->rip = r->rip;
	set_arith_flags(c, (uint32_t)r->rflags);
	s->flags = ((uint32_t)r->rflags & 0x3f7700) | 2;
	for (k = 0; k < 6; k++)
		put_segment(&s->seg[k], &r->seg[k]);
	put_segment(&s->ldtr, &r->ldtr);
	put_segment(&s->tr, &r->tr);
	s->gdt.base = r->gdt_base;
	s->gdt.limit = r->gdt_limit;
	s->idt.base = r->idt_base;
	s->idt.limit = r->idt_limit;
	s->cr0 = r->cr0 | CR0_ET;
	s->cr2 = r->cr2;
	s->cr3 = r->cr3;
	s->cr4 = r->cr4;
	s->efer = r->efer & ~(uint64_t)EFER_LMA;
	if (s->efer & EFER_LME && s->cr0 & CR0_PG)
		s->efer |= EFER_LMA;
	s->cpl = s->flags & FLAG_VM ? 3 : s->cr0 & CR0_PE ? segment_dpl(&s->seg[SEG_SS]) : 0;
	s->shadow = 0;
	s->run = RUN_RUNNING;
	lapic_set_cr8(&c->apic, r->cr8);
	settle(c);
	if (s->cr0 & CR0_PG && s->cr4 & CR4_PAE && !long_mode(c))
		mmu_load_pdptes(c, s->cr3);
}

size_t cpu_peek(struct cpu *c, uint64_t linear, void *buf, size_t len)
{
	uint8_t *to = buf, *host;
	size_t done = 0, n;
	uint64_t gpa;

	while (done < len) {
		if (!mmu_debug_translate(c, linear + done, &gpa))
			break;
		host = phys_page(c, gpa, NULL);
		if (!host)
			break;
		n = MIN(len - done, 4096 - (gpa & 0xfff));
		memcpy(to + done, host + (gpa & 0xfff), n);
		done += n;
	}
	return done;
}

static void print_segment(const char *name, const struct segment *s, void (*out)(void *to, const char *line), void *to)
{
	char line[128];

	snprintf(line, sizeof(line), "%s=%04x %016llx %08x %04x", name, s->selector, (unsigned long long)s->base, s->limit, s->attr);
	out(to, line);
}

void cpu_print(const struct cpu *c, void (*out)(void *to, const char *line), void *to)
{
	static const char *const names[] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
					     "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15" };
	static const char *const segs[] = { "ES ", "CS ", "SS ", "DS ", "FS ", "GS " };
	static const char *const states[] = { "running", "halted", "waiting for SIPI", "shut down" };
	char line[160];
	size_t at = 0;
	unsigned k;

	for (k = 0; k < 16; k++) {
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s=%016llx%s", names[k],
				       (unsigned long long)c->s.gpr[k], k % 4 == 3 ? "" : " ");
		if (k % 4 == 3) {
			out(to, line);
			at = 0;
		}
	}
	snprintf(line, sizeof(line), "RIP=%016llx RFL=%08x CPL=%u %s", (unsigned long long)cpu_rip(c), get_flags(c), c->s.cpl,
		 states[c->s.run]);
	out(to, line);
	for (k = 0; k < 6; k++)
		print_segment(segs[k], &c->s.seg[k], out, to);
	print_segment("LDT", &c->s.ldtr, out, to);
	print_segment("TR ", &c->s.tr, out, to);
	snprintf(line, sizeof(line), "GDT=%016llx %04x IDT=%016llx %04x", (unsigned long long)c->s.gdt.base, c->s.gdt.limit,
		 (unsigned long long)c->s.idt.base, c->s.idt.limit);
	out(to, line);
	snprintf(line, sizeof(line), "CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx EFER=%016llx",
		 (unsigned long long)c->s.cr0, (unsigned long long)c->s.cr2, (unsigned long long)c->s.cr3,
		 (unsigned long long)c->s.cr4, (unsigned long long)c->s.efer);
	out(to, line);
	snprintf(line, sizeof(line), "DR0=%016llx DR1=%016llx DR2=%016llx DR3=%016llx DR6=%08llx DR7=%08llx",
		 (unsigned long long)c->s.dr[0], (unsigned long long)c->s.dr[1], (unsigned long long)c->s.dr[2],
		 (unsigned long long)c->s.dr[3], (unsigned long long)c->s.dr[6], (unsigned long long)c->s.dr[7]);
	out(to, line);
}

void cpu_print_apic(const struct cpu *c, void (*out)(void *to, const char *line), void *to)
{
	lapic_print((struct lapic *)(uintptr_t)&c->apic, out, to);
}

void cpu_print_jit(const struct cpu *c, void (*out)(void *to, const char *line), void *to)
{
	xlat_print(c, out, to);
}
