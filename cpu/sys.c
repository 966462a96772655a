/* SPDX-License-Identifier: MIT */
/*
 * Control and debug registers, descriptor-table registers, fast system calls, and the other instructions of operating
 * systems.  SDM volume 3, chapters 2 (registers), 5.8.7 and 5.8.8 (SYSENTER, SYSCALL), 17.2 (breakpoints).
 */
#include "base/log.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

/* --- control registers ------------------------------------------------------------------------------------------ */

void set_cr0(struct cpu *c, uint64_t v)
{
	uint64_t old = c->s.cr0, changed;

	if (v >> 32 || (v & CR0_PG && !(v & CR0_PE)) || (v & CR0_NW && !(v & CR0_CD)))
		fault_gp(c, 0);
	v = (v & (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)) | CR0_ET;
	changed = old ^ v;
	if (changed & CR0_PG) {
		if (v & CR0_PG) {
			if (c->s.efer & EFER_LME && (!(c->s.cr4 & CR4_PAE) || c->s.seg[SEG_CS].attr & SEG_L))
				fault_gp(c, 0);
			if (!(c->s.efer & EFER_LME) && c->s.cr4 & CR4_PAE && !mmu_load_pdptes(c, c->s.cr3))
				fault_gp(c, 0);
			if (c->s.efer & EFER_LME)
				c->s.efer |= EFER_LMA;
		} else {
			if (code64(c) || c->s.cr4 & CR4_PCIDE)
				fault_gp(c, 0);
			c->s.efer &= ~(uint64_t)EFER_LMA;
		}
	} else if (v & CR0_PG && c->s.cr4 & CR4_PAE && !long_mode(c) && changed & (CR0_CD | CR0_NW)) {
		if (!mmu_load_pdptes(c, c->s.cr3))
			fault_gp(c, 0);
	}
	c->s.cr0 = v;
	/* PE alone changes only what segment loads do: firmware goes to and fro all the time. */
	if (changed & CR0_PG || (v & CR0_PG && changed & CR0_WP))
		tlb_flush(c, false);
	cpu_mode_changed(c);
	c->leave = true;
}

void set_cr3(struct cpu *c, uint64_t v)
{
	bool keep = false;

	if (long_mode(c)) {
		if (c->s.cr4 & CR4_PCIDE) {
			keep = v >> 63;
			v &= ~(1ull << 63);
		}
		if (v >> c->model->phys_bits)
			fault_gp(c, 0);
	} else {
		v &= 0xffffffff;
		if (c->s.cr0 & CR0_PG && c->s.cr4 & CR4_PAE && !mmu_load_pdptes(c, v))
			fault_gp(c, 0);
	}
	c->s.cr3 = v;
	tlb_switch(c, keep);
}

static uint64_t cr4_allowed(const struct cpu *c)
{
	static const struct { uint32_t bits; enum cpu_feature feature; } by_feature[] = {
		{ CR4_VME | CR4_PVI, CPU_VME }, { CR4_TSD, CPU_TSC }, { CR4_DE, CPU_DE }, { CR4_PSE, CPU_PSE },
		{ CR4_PAE, CPU_PAE }, { CR4_MCE, CPU_MCE }, { CR4_PGE, CPU_PGE }, { CR4_OSFXSR, CPU_FXSR },
		{ CR4_OSXMMEXCPT, CPU_SSE }, { CR4_UMIP, CPU_UMIP }, { CR4_FSGSBASE, CPU_FSGSBASE }, { CR4_PCIDE, CPU_PCID },
		{ CR4_OSXSAVE, CPU_XSAVE }, { CR4_SMEP, CPU_SMEP }, { CR4_SMAP, CPU_SMAP },
	};
	uint64_t allowed = CR4_PCE;
	unsigned k;

	for (k = 0; k < ARRAY_SIZE(by_feature); k++)
		if (cpu_has(c->model, by_feature[k].feature))
			allowed |= by_feature[k].bits;
	return allowed;
}

void set_cr4(struct cpu *c, uint64_t v)
{
	uint64_t changed = c->s.cr4 ^ v;

	if (v & ~cr4_allowed(c))
		fault_gp(c, 0);
	if (long_mode(c) && !(v & CR4_PAE))
		fault_gp(c, 0);
	if (changed & v & CR4_PCIDE && (!long_mode(c) || c->s.cr3 & 0xfff))
		fault_gp(c, 0);
	if (c->s.cr0 & CR0_PG && v & CR4_PAE && !long_mode(c) && changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) {
		if (!mmu_load_pdptes(c, c->s.cr3))
			fault_gp(c, 0);
	}
	c->s.cr4 = v;
	if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP | CR4_SMAP | CR4_PCIDE))
		tlb_flush(c, false);
	cpu_mode_changed(c);
	c->leave = true;
}

void mov_cr(struct cpu *c, const struct insn *i)
{
	bool to = i->o[0].kind == OPD_CR;
	unsigned reg = to ? i->o[0].reg : i->o[1].reg;
	uint64_t v;

	need_cpl0(c);
	if (!to) {
		switch (reg) {
		case 0: v = c->s.cr0; break;
		case 2: v = c->s.cr2; break;
		case 3: v = c->s.cr3; break;
		case 4: v = c->s.cr4; break;
		case 8: v = lapic_cr8(&c->apic); break;
		default: fault_ud(c);
		}
		c->s.gpr[i->o[0].reg] = code64(c) ? v : (uint32_t)v;
		return;
	}
	v = code64(c) ? c->s.gpr[i->o[1].reg] : (uint32_t)c->s.gpr[i->o[1].reg];
	switch (reg) {
	case 0: set_cr0(c, v); break;
	case 2: c->s.cr2 = v; break;
	case 3: set_cr3(c, v); break;
	case 4: set_cr4(c, v); break;
	case 8:
		if (v & ~15ull)
			fault_gp(c, 0);
		lapic_set_cr8(&c->apic, v);
		cpu_interrupts_enabled(c);
		break;
	default: fault_ud(c);
	}
}

static void op_clts(struct cpu *c, const struct insn *i)
{
	(void)i;
	need_cpl0(c);
	c->s.cr0 &= ~(uint64_t)CR0_TS;
}

static void op_lmsw(struct cpu *c, const struct insn *i)
{
	uint64_t v;

	need_cpl0(c);
	v = get_operand(c, i, 0) & 15;
	set_cr0(c, (c->s.cr0 & ~14ull) | v);    /* PE can be set but not cleared */
}

static void need_umip(struct cpu *c)
{
	if (c->s.cr4 & CR4_UMIP && c->s.cpl)
		fault_gp(c, 0);
}

static void op_smsw(struct cpu *c, const struct insn *i)
{
	need_umip(c);
	set_operand(c, i, 0, c->s.cr0);
}

/* --- debug registers -------------------------------------------------------------------------------------------- */

static bool breakpoint_on(const struct cpu *c, unsigned n)
{
	return c->s.dr[7] >> (2 * n) & 3;
}

static unsigned breakpoint_kind(const struct cpu *c, unsigned n)        /* 0 execute, 1 write, 2 I/O, 3 read or write */
{
	return c->s.dr[7] >> (16 + 4 * n) & 3;
}

static bool breakpoint_covers(const struct cpu *c, unsigned n, uint64_t at, unsigned size)
{
	static const uint8_t lengths[] = { 1, 2, 8, 4 };
	unsigned len = lengths[c->s.dr[7] >> (18 + 4 * n) & 3];
	uint64_t from = c->s.dr[n] & ~(uint64_t)(len - 1);

	return at < from + len && from < at + size;
}

bool debug_fetch_armed(const struct cpu *c)
{
	unsigned n;

	for (n = 0; n < 4; n++)
		if (breakpoint_on(c, n) && breakpoint_kind(c, n) == 0)
			return true;
	return false;
}

void debug_changed(struct cpu *c)
{
	unsigned n;

	c->watch = false;
	for (n = 0; n < 4; n++)
		if (breakpoint_on(c, n) && breakpoint_kind(c, n) != 0)
			c->watch = true;
	cpu_mode_changed(c);
	c->leave = true;
}

void debug_watch(struct cpu *c, uint64_t linear, unsigned size, bool write)
{
	unsigned n, kind;

	for (n = 0; n < 4; n++) {
		kind = breakpoint_kind(c, n);
		if (!breakpoint_on(c, n) || (kind != 3 && !(kind == 1 && write)) || !breakpoint_covers(c, n, linear, size))
			continue;
		c->debug_hit |= 1u << n;
		c->leave = true;
	}
}

void debug_watch_io(struct cpu *c, uint16_t port, unsigned size)
{
	unsigned n;

	for (n = 0; n < 4; n++)
		if (c->s.cr4 & CR4_DE && breakpoint_on(c, n) && breakpoint_kind(c, n) == 2 && breakpoint_covers(c, n, port, size)) {
			c->debug_hit |= 1u << n;
			c->leave = true;
		}
}

uint32_t debug_fetch(const struct cpu *c, uint64_t linear)
{
	uint32_t hit = 0;
	unsigned n;

	for (n = 0; n < 4; n++)
		if (breakpoint_on(c, n) && breakpoint_kind(c, n) == 0 && c->s.dr[n] == linear)
			hit |= 1u << n;
	return hit;
}

void mov_dr(struct cpu *c, const struct insn *i)
{
	bool to = i->o[0].kind == OPD_DR;
	unsigned n = to ? i->o[0].reg : i->o[1].reg;
	uint64_t v;

	if (n > 7 || (n >= 4 && n <= 5 && c->s.cr4 & CR4_DE))
		fault_ud(c);
	need_cpl0(c);
	if (c->s.dr[7] & 1 << 13) {             /* general detect */
		c->s.dr[6] |= 1 << 13;
		c->s.dr[7] &= ~(uint64_t)(1 << 13);
		c->db_is_fault = true;
		fault(c, VEC_DB, 0);
	}
	if (n == 4 || n == 5)
		n += 2;
	if (!to) {
		c->s.gpr[i->o[0].reg] = code64(c) ? c->s.dr[n] : (uint32_t)c->s.dr[n];
		return;
	}
	v = code64(c) ? c->s.gpr[i->o[1].reg] : (uint32_t)c->s.gpr[i->o[1].reg];
	if (n >= 6 && v >> 32)
		fault_gp(c, 0);
	if (n == 6)
		v = (v & 0xe00f) | 0xffff0ff0;
	if (n == 7)
		v = (v & 0xffff2bff) | 0x400;
	c->s.dr[n] = v;
	debug_changed(c);
}

/* --- descriptor tables ------------------------------------------------------------------------------------------ */

static void load_table(struct cpu *c, const struct insn *i, uint64_t *base, uint16_t *limit)
{
	unsigned len = code64(c) ? 10 : 6;
	uint8_t bytes[10] = { 0 };
	uint64_t v;

	need_cpl0(c);
	ld_bytes(c, mem_address(c, i, len, false), bytes, len);
	v = le64(bytes + 2);
	if (!code64(c))
		v = i->opsize == 2 ? v & 0xffffff : v & 0xffffffff;
	if (!canonical(v))
		fault_gp(c, 0);
	*base = v;
	*limit = le16(bytes);
}

static void op_lgdt(struct cpu *c, const struct insn *i)
{
	load_table(c, i, &c->s.gdt.base, &c->s.gdt.limit);
}

static void op_lidt(struct cpu *c, const struct insn *i)
{
	load_table(c, i, &c->s.idt.base, &c->s.idt.limit);
}

static void store_table(struct cpu *c, const struct insn *i, uint64_t base, uint16_t limit)
{
	unsigned len = code64(c) ? 10 : 6;
	uint8_t bytes[10];

	need_umip(c);
	put_le16(bytes, limit);
	put_le64(bytes + 2, base);
	st_bytes(c, mem_address(c, i, len, true), bytes, len);
}

static void op_sgdt(struct cpu *c, const struct insn *i)
{
	store_table(c, i, c->s.gdt.base, c->s.gdt.limit);
}

static void op_sidt(struct cpu *c, const struct insn *i)
{
	store_table(c, i, c->s.idt.base, c->s.idt.limit);
}

static void need_protected(struct cpu *c)
{
	if (real_or_v86(c))
		fault_ud(c);
}

static void op_lldt(struct cpu *c, const struct insn *i)
{
	need_protected(c);
	need_cpl0(c);
	segment_load_ldt(c, (uint16_t)get_operand(c, i, 0));
}

static void op_ltr(struct cpu *c, const struct insn *i)
{
	need_protected(c);
	need_cpl0(c);
	segment_load_tr(c, (uint16_t)get_operand(c, i, 0));
}

static void op_sldt(struct cpu *c, const struct insn *i)
{
	need_protected(c);
	need_umip(c);
	set_operand(c, i, 0, c->s.ldtr.selector);
}

static void op_str(struct cpu *c, const struct insn *i)
{
	need_protected(c);
	need_umip(c);
	set_operand(c, i, 0, c->s.tr.selector);
}

static void set_zf(struct cpu *c, bool zf)
{
	set_arith_flags(c, (get_arith_flags(c) & ~(uint32_t)FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

/* Whether a program at CPL with this selector may look at the descriptor. */
static bool may_see(const struct cpu *c, uint16_t selector, const struct desc *d)
{
	return desc_is_conforming(d) || (desc_dpl(d) >= c->s.cpl && desc_dpl(d) >= (selector & 3u));
}

/* LAR and LSL: bit n set: system type n is valid for it. */
static bool look_up(struct cpu *c, uint16_t selector, uint32_t types, struct desc *d)
{
	if (selector_null(selector) || !desc_read_system(c, selector, d))
		return false;
	if (desc_is_system(d)) {
		if (!(types >> desc_type(d) & 1))
			return false;
		return desc_dpl(d) >= c->s.cpl && desc_dpl(d) >= (selector & 3u);
	}
	return may_see(c, selector, d);
}

static void op_lar(struct cpu *c, const struct insn *i)
{
	uint32_t types = long_mode(c) ? 1u << 2 | 1u << 9 | 1u << 11 | 1u << 12 :
			 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 9 | 1u << 11 | 1u << 12;
	struct desc d;
	bool ok;

	need_protected(c);
	ok = look_up(c, (uint16_t)get_operand(c, i, 1), types, &d);
	if (ok)
		set_reg(c, &i->o[0], d.raw >> 32 & 0x00ffff00);
	set_zf(c, ok);
}

static void op_lsl(struct cpu *c, const struct insn *i)
{
	uint32_t types = long_mode(c) ? 1u << 2 | 1u << 9 | 1u << 11 : 1u << 1 | 1u << 2 | 1u << 3 | 1u << 9 | 1u << 11;
	struct desc d;
	bool ok;

	need_protected(c);
	ok = look_up(c, (uint16_t)get_operand(c, i, 1), types, &d);
	if (ok)
		set_reg(c, &i->o[0], desc_limit(&d));
	set_zf(c, ok);
}

static void verify(struct cpu *c, const struct insn *i, bool write)
{
	uint16_t selector;
	struct desc d;
	bool ok;

	need_protected(c);
	selector = (uint16_t)get_operand(c, i, 0);
	ok = !selector_null(selector) && desc_read(c, selector, &d) && !desc_is_system(&d) && may_see(c, selector, &d);
	if (ok && write)
		ok = !desc_is_code(&d) && desc_type(&d) & SEG_RW;
	else if (ok)
		ok = !desc_is_code(&d) || desc_type(&d) & SEG_RW;
	set_zf(c, ok);
}

static void op_verr(struct cpu *c, const struct insn *i) { verify(c, i, false); }
static void op_verw(struct cpu *c, const struct insn *i) { verify(c, i, true); }

static void op_arpl(struct cpu *c, const struct insn *i)
{
	uint16_t rpl, a;

	need_protected(c);
	rpl = (uint16_t)get_reg(c, &i->o[1]) & 3;
	a = (uint16_t)get_operand(c, i, 0);
	if ((a & 3) < rpl)              /* else it is not written */
		set_operand(c, i, 0, (a & ~3u) | rpl);
	set_zf(c, (a & 3) < rpl);
}

/* --- TLB -------------------------------------------------------------------------------------------------------- */

static void op_invlpg(struct cpu *c, const struct insn *i)
{
	uint64_t at;

	need_cpl0(c);
	at = effective_address(c, i);
	if (code64(c)) {
		if (i->mem.seg == SEG_FS || i->mem.seg == SEG_GS)
			at += c->s.seg[i->mem.seg].base;
		if (!canonical(at))
			return;
	} else {
		at = (uint32_t)(at + c->s.seg[i->mem.seg].base);
	}
	tlb_flush_page(c, at);
}

static void op_invpcid(struct cpu *c, const struct insn *i)
{
	uint64_t type, pcid, at, linear;

	need_protected(c);
	need_cpl0(c);
	linear = mem_address(c, i, 16, false);
	type = code64(c) ? c->s.gpr[i->o[0].reg] : (uint32_t)c->s.gpr[i->o[0].reg];
	pcid = ld64(c, linear);
	at = ld64(c, (linear + 8) & c->linear_mask);
	if (type > 3 || (type < 2 && (pcid >> 12 || (pcid && !(c->s.cr4 & CR4_PCIDE)))) || (type == 0 && !canonical(at)))
		fault_gp(c, 0);
	switch (type) {
	case 0: tlb_flush_pcid_page(c, (unsigned)pcid, at); break;
	case 1: tlb_flush_pcid(c, (unsigned)pcid); break;
	case 2: tlb_flush(c, false); break;
	default: tlb_flush_spaces(c); break;
	}
}

/* --- fast system calls ------------------------------------------------------------------------------------------ */

static void flat_segments(struct cpu *c, uint16_t cs, uint16_t ss, unsigned cpl, bool code_64)
{
	c->s.seg[SEG_CS] = (struct segment){ .selector = cs, .limit = 0xffffffff,
					     .attr = (uint16_t)(SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_ACCESSED | cpl << 5 | SEG_G |
								(code_64 ? SEG_L : SEG_DB)) };
	c->s.seg[SEG_SS] = (struct segment){ .selector = ss, .limit = 0xffffffff,
					     .attr = (uint16_t)(SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | cpl << 5 | SEG_G | SEG_DB) };
	c->s.cpl = (uint8_t)cpl;
}

static void op_syscall(struct cpu *c, const struct insn *i)
{
	uint64_t next = next_rip(c, i);
	uint16_t cs = (uint16_t)(c->s.msr.star >> 32) & 0xfffc;

	if (!(c->s.efer & EFER_SCE) || !(c->s.cr0 & CR0_PE) || (c->model->intel && !code64(c)))
		fault_ud(c);
	if (long_mode(c)) {
		bool from64 = code64(c);

		c->s.gpr[RCX] = next;
		c->s.gpr[R11] = get_flags(c) & ~(uint32_t)FLAG_RF;
		flat_segments(c, cs, (uint16_t)(cs + 8), 0, true);
		cpu_mode_changed(c);
		c->s.rip = from64 ? c->s.msr.lstar : c->s.msr.cstar;
		set_flags(c, 0, (uint32_t)c->s.msr.fmask | FLAG_RF);
	} else {
		c->s.gpr[RCX] = (uint32_t)next;
		flat_segments(c, cs, (uint16_t)(cs + 8), 0, false);
		c->s.rip = (uint32_t)c->s.msr.star;
		set_flags(c, 0, FLAG_IF | FLAG_VM | FLAG_RF);
		cpu_mode_changed(c);
	}
}

static void op_sysret(struct cpu *c, const struct insn *i)
{
	uint16_t base = (uint16_t)(c->s.msr.star >> 48);
	bool to64 = i->opsize == 8;

	if (!(c->s.efer & EFER_SCE) || (c->model->intel && !code64(c)))
		fault_ud(c);
	if (c->s.cpl || !(c->s.cr0 & CR0_PE))
		fault_gp(c, 0);
	if (to64 && !canonical(c->s.gpr[RCX]))
		fault_gp(c, 0);
	flat_segments(c, (uint16_t)((to64 ? base + 16 : base) | 3), (uint16_t)((base + 8) | 3), 3, to64);
	cpu_mode_changed(c);
	c->s.rip = to64 ? c->s.gpr[RCX] : (uint32_t)c->s.gpr[RCX];
	if (long_mode(c))
		set_flags(c, (uint32_t)c->s.gpr[R11], 0x3c7fd5 & ~(uint32_t)FLAG_RF);
	else
		set_flags(c, FLAG_IF, FLAG_IF);
}

static void op_sysenter(struct cpu *c, const struct insn *i)
{
	uint16_t cs = (uint16_t)c->s.msr.sysenter_cs & 0xfffc;

	(void)i;
	if (!c->model->intel && long_mode(c))
		fault_ud(c);
	if (!(c->s.cr0 & CR0_PE) || !cs)
		fault_gp(c, 0);
	flat_segments(c, cs, (uint16_t)(cs + 8), 0, long_mode(c));
	c->s.gpr[RSP] = long_mode(c) ? c->s.msr.sysenter_esp : (uint32_t)c->s.msr.sysenter_esp;
	c->s.rip = long_mode(c) ? c->s.msr.sysenter_eip : (uint32_t)c->s.msr.sysenter_eip;
	set_flags(c, 0, FLAG_VM | FLAG_IF | FLAG_RF);
	cpu_mode_changed(c);
}

static void op_sysexit(struct cpu *c, const struct insn *i)
{
	uint16_t cs = (uint16_t)c->s.msr.sysenter_cs & 0xfffc;
	bool to64 = i->opsize == 8;

	if (!c->model->intel && long_mode(c))
		fault_ud(c);
	if (!(c->s.cr0 & CR0_PE) || !cs || c->s.cpl)
		fault_gp(c, 0);
	if (to64 && (!canonical(c->s.gpr[RCX]) || !canonical(c->s.gpr[RDX])))
		fault_gp(c, 0);
	flat_segments(c, (uint16_t)((cs + (to64 ? 32 : 16)) | 3), (uint16_t)((cs + (to64 ? 40 : 24)) | 3), 3, to64);
	c->s.rip = to64 ? c->s.gpr[RDX] : (uint32_t)c->s.gpr[RDX];
	c->s.gpr[RSP] = to64 ? c->s.gpr[RCX] : (uint32_t)c->s.gpr[RCX];
	cpu_mode_changed(c);
}

static void need_64(struct cpu *c)
{
	if (!code64(c))
		fault_ud(c);
}

static void op_swapgs(struct cpu *c, const struct insn *i)
{
	uint64_t base = c->s.seg[SEG_GS].base;

	(void)i;
	need_64(c);
	need_cpl0(c);
	c->s.seg[SEG_GS].base = c->s.msr.kernel_gs_base;
	c->s.msr.kernel_gs_base = base;
	c->flat_base[SEG_GS] = c->s.seg[SEG_GS].base;
}

static void base_move(struct cpu *c, const struct insn *i, unsigned seg, bool write)
{
	uint64_t v;

	if (!code64(c) || !(c->s.cr4 & CR4_FSGSBASE))
		fault_ud(c);
	if (!write) {
		set_reg(c, &i->o[0], c->s.seg[seg].base);
		return;
	}
	v = get_reg(c, &i->o[0]);
	if (!canonical(v))
		fault_gp(c, 0);
	c->s.seg[seg].base = v;
	c->flat_base[seg] = v;
}

static void op_rdfsbase(struct cpu *c, const struct insn *i) { base_move(c, i, SEG_FS, false); }
static void op_rdgsbase(struct cpu *c, const struct insn *i) { base_move(c, i, SEG_GS, false); }
static void op_wrfsbase(struct cpu *c, const struct insn *i) { base_move(c, i, SEG_FS, true); }
static void op_wrgsbase(struct cpu *c, const struct insn *i) { base_move(c, i, SEG_GS, true); }

static void op_clac(struct cpu *c, const struct insn *i)
{
	(void)i;
	if (c->s.cpl)
		fault_ud(c);
	c->s.flags &= ~(uint32_t)FLAG_AC;
	cpu_mode_changed(c);
}

static void op_stac(struct cpu *c, const struct insn *i)
{
	(void)i;
	if (c->s.cpl)
		fault_ud(c);
	c->s.flags |= FLAG_AC;
	cpu_mode_changed(c);
}

static void op_xgetbv(struct cpu *c, const struct insn *i)
{
	uint32_t ecx = (uint32_t)c->s.gpr[RCX];

	(void)i;
	if (!(c->s.cr4 & CR4_OSXSAVE))
		fault_ud(c);
	if (ecx > 1 || (ecx == 1 && !cpu_has(c->model, CPU_XGETBV1)))
		fault_gp(c, 0);
	/* XCR0, or (1) the components not in their initial state. */
	c->s.gpr[RAX] = (uint32_t)(ecx ? c->s.xcr0 & 7 : c->s.xcr0);
	c->s.gpr[RDX] = 0;
}

static void op_xsetbv(struct cpu *c, const struct insn *i)
{
	uint64_t v = (uint32_t)c->s.gpr[RAX] | c->s.gpr[RDX] << 32;

	(void)i;
	if (!(c->s.cr4 & CR4_OSXSAVE))
		fault_ud(c);
	need_cpl0(c);
	if ((uint32_t)c->s.gpr[RCX] || !(v & 1) || v & ~c->model->xcr0 || (v & 6) == 4)
		fault_gp(c, 0);
	c->s.xcr0 = v;
	c->leave = true;
}

const op_handler sys_ops[OP_COUNT] = {
	[OP_CLTS] = op_clts, [OP_LMSW] = op_lmsw, [OP_SMSW] = op_smsw, [OP_LGDT] = op_lgdt, [OP_LIDT] = op_lidt,
	[OP_SGDT] = op_sgdt, [OP_SIDT] = op_sidt, [OP_LLDT] = op_lldt, [OP_LTR] = op_ltr, [OP_SLDT] = op_sldt,
	[OP_STR] = op_str, [OP_LAR] = op_lar, [OP_LSL] = op_lsl, [OP_VERR] = op_verr, [OP_VERW] = op_verw,
	[OP_ARPL] = op_arpl, [OP_INVLPG] = op_invlpg, [OP_INVPCID] = op_invpcid, [OP_SYSCALL] = op_syscall,
	[OP_SYSRET] = op_sysret, [OP_SYSENTER] = op_sysenter, [OP_SYSEXIT] = op_sysexit, [OP_SWAPGS] = op_swapgs,
	[OP_RDFSBASE] = op_rdfsbase, [OP_RDGSBASE] = op_rdgsbase, [OP_WRFSBASE] = op_wrfsbase, [OP_WRGSBASE] = op_wrgsbase,
	[OP_CLAC] = op_clac, [OP_STAC] = op_stac, [OP_XGETBV] = op_xgetbv, [OP_XSETBV] = op_xsetbv,
	[OP_RDMSR] = op_rdmsr, [OP_WRMSR] = op_wrmsr,
};
