/* SPDX-License-Identifier: MIT */
/* Hardware task switches (SDM volume 3, chapter 8): 16- and 32-bit task state segments, by JMP, CALL, IRET and task gates. */
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

/* Offsets in a task state segment. */
struct tss_layout {
	unsigned size;                  /* of its registers, in bytes */
	unsigned limit;                 /* at least */
	unsigned cr3, ip, flags, gpr, seg, ldt;         /* gpr: eax ecx edx ebx esp ebp esi edi; seg: es cs ss ds (fs gs) */
	unsigned segs;
};
static const struct tss_layout tss32 = { 4, 0x67, 0x1c, 0x20, 0x24, 0x28, 0x48, 0x60, 6 };
static const struct tss_layout tss16 = { 2, 0x2b, 0, 0x0e, 0x10, 0x12, 0x22, 0x2a, 4 };

struct incoming {
	uint64_t cr3, ip, gpr[8];
	uint32_t flags;
	uint16_t seg[6], ldt;
	bool trap;
};

static void save_old(struct cpu *c, const struct tss_layout *t, uint64_t next_rip, uint32_t flags)
{
	uint64_t base = c->s.tr.base;
	unsigned k;

	st_system(c, base + t->ip, next_rip, t->size);
	st_system(c, base + t->flags, flags, t->size);
	for (k = 0; k < 8; k++)
		st_system(c, base + t->gpr + k * t->size, c->s.gpr[k], t->size);
	for (k = 0; k < t->segs; k++)
		st_system(c, base + t->seg + k * t->size, c->s.seg[k].selector, 2);
}

static void load_new(struct cpu *c, const struct tss_layout *t, uint64_t base, struct incoming *n)
{
	unsigned k;

	memset(n, 0, sizeof(*n));
	if (t->size == 4) {
		n->cr3 = ld_system(c, base + t->cr3, 4);
		n->trap = ld_system(c, base + 0x64, 2) & 1;
	}
	n->ip = ld_system(c, base + t->ip, t->size);
	n->flags = (uint32_t)ld_system(c, base + t->flags, t->size);
	for (k = 0; k < 8; k++)
		n->gpr[k] = ld_system(c, base + t->gpr + k * t->size, t->size);
	for (k = 0; k < t->segs; k++)
		n->seg[k] = (uint16_t)ld_system(c, base + t->seg + k * t->size, 2);
	n->ldt = (uint16_t)ld_system(c, base + t->ldt, 2);
}

static void set_busy(struct cpu *c, const struct desc *d, bool busy)
{
	uint64_t type = (d->raw >> 40 & 0xff & ~2u) | (busy ? 2 : 0);

	st_system(c, d->at + 5, type, 1);
}

/* Faults from here on belong to the new task; the selectors are in place, their descriptors not yet. */
static void load_new_segments(struct cpu *c, const struct incoming *n)
{
	static const uint8_t data[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };
	unsigned k, cpl = n->seg[SEG_CS] & 3;
	struct desc d;
	uint16_t s;

	if (!selector_null(n->ldt)) {
		if (n->ldt & 4 || !desc_read_system(c, n->ldt, &d) || !desc_is_system(&d) || desc_type(&d) != SYS_LDT ||
		    !desc_present(&d))
			fault(c, VEC_TS, n->ldt & ~3u);
		segment_set_system(&c->s.ldtr, n->ldt, &d);
	}
	if (n->flags & FLAG_VM) {
		c->s.cpl = 3;
		for (k = 0; k < 6; k++)
			segment_load_real(c, k, n->seg[k]);
		return;
	}
	s = n->seg[SEG_CS];
	if (selector_null(s) || !desc_read(c, s, &d) || !desc_is_code(&d) || desc_is_system(&d) ||
	    (desc_is_conforming(&d) ? desc_dpl(&d) > cpl : desc_dpl(&d) != cpl))
		fault(c, VEC_TS, s & ~3u);
	if (!desc_present(&d))
		fault(c, VEC_NP, s & ~3u);
	segment_load_cs(c, s, &d, cpl);

	s = n->seg[SEG_SS];
	if (selector_null(s) || !desc_read(c, s, &d) || desc_is_system(&d) || desc_is_code(&d) || !(desc_type(&d) & SEG_RW) ||
	    desc_dpl(&d) != cpl || (s & 3u) != cpl)
		fault(c, VEC_TS, s & ~3u);
	if (!desc_present(&d))
		fault(c, VEC_SS, s & ~3u);
	desc_set_accessed(c, &d);
	segment_set(&c->s.seg[SEG_SS], s, &d);

	for (k = 0; k < sizeof(data); k++) {
		s = n->seg[data[k]];
		if (selector_null(s))
			continue;
		if (!desc_read(c, s, &d) || desc_is_system(&d) || (desc_is_code(&d) && !(desc_type(&d) & SEG_RW)) ||
		    (!desc_is_conforming(&d) && ((s & 3u) > desc_dpl(&d) || cpl > desc_dpl(&d))))
			fault(c, VEC_TS, s & ~3u);
		if (!desc_present(&d))
			fault(c, VEC_NP, s & ~3u);
		desc_set_accessed(c, &d);
		segment_set(&c->s.seg[data[k]], s, &d);
	}
}

void task_switch(struct cpu *c, uint16_t selector, enum task_reason reason, uint64_t next_rip, bool push_code, uint32_t code)
{
	unsigned vector = reason == TASK_IRET ? VEC_TS : VEC_GP, k;
	const struct tss_layout *to, *from;
	struct desc d, old;
	struct segment tss;
	struct incoming n;
	uint32_t flags;

	if (selector & 4 || selector_null(selector) || !desc_read(c, selector, &d) || !desc_is_system(&d))
		fault(c, vector, selector & ~3u);
	if ((desc_type(&d) & ~(unsigned)(8 | 2)) != SYS_TSS16 || !!(desc_type(&d) & 2) != (reason == TASK_IRET))
		fault(c, vector, selector & ~3u);
	if (!desc_present(&d))
		fault(c, VEC_NP, selector & ~3u);
	to = desc_type(&d) & 8 ? &tss32 : &tss16;
	from = c->s.tr.attr & 8 ? &tss32 : &tss16;
	if (desc_limit(&d) < to->limit || c->s.tr.limit < from->limit)
		fault(c, VEC_TS, selector & ~3u);
	segment_set(&tss, selector, &d);
	/* Both segments must be there before anything changes. */
	st_system(c, tss.base, ld_system(c, tss.base, 1), 1);
	st_system(c, tss.base + to->limit, ld_system(c, tss.base + to->limit, 1), 1);
	load_new(c, to, tss.base, &n);
	if (!desc_read(c, c->s.tr.selector, &old))
		fault(c, VEC_TS, c->s.tr.selector & ~3u);

	flags = get_flags(c);
	if (reason == TASK_IRET)
		flags &= ~(uint32_t)FLAG_NT;
	save_old(c, from, next_rip, flags);
	if (reason == TASK_JMP || reason == TASK_IRET)
		set_busy(c, &old, false);
	if (reason == TASK_CALL || reason == TASK_GATE) {
		st_system(c, tss.base, c->s.tr.selector, 2);
		n.flags |= FLAG_NT;
	}
	if (reason != TASK_IRET)
		set_busy(c, &d, true);

	cpu_leave_block(c, 1);
	tss.attr |= 2;
	c->s.tr = tss;
	c->s.cr0 |= CR0_TS;
	if (to == &tss32 && c->s.cr0 & CR0_PG)
		set_cr3(c, n.cr3);
	c->s.rip = n.ip;
	for (k = 0; k < 8; k++)
		c->s.gpr[k] = n.gpr[k];
	for (k = 0; k < 6; k++)
		c->s.seg[k] = (struct segment){ .selector = n.seg[k] };
	c->s.ldtr = (struct segment){ .selector = n.ldt };
	c->s.dr[7] &= ~0x155ull;                        /* local breakpoint enables */
	debug_changed(c);
	c->s.cpl = n.seg[SEG_CS] & 3;
	set_arith_flags(c, n.flags);
	c->s.flags = (n.flags & (FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF |
				 FLAG_VIP | FLAG_ID)) | 2;
	cpu_mode_changed(c);
	load_new_segments(c, &n);
	if (push_code)
		push(c, code, to->size);
	if (c->s.rip > c->s.seg[SEG_CS].limit)
		fault_gp(c, 0);
	if (n.trap)
		c->debug_hit |= 1 << 15;
	cpu_mode_changed(c);
	cpu_interrupts_enabled(c);
}
