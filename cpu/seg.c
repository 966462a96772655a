/* SPDX-License-Identifier: MIT */
/*
 * Descriptors, segment registers and the stack.  SDM volume 3, chapters 3 (segments), 5 (protection), 8 (TSS); volume 2,
 * MOV and LDS for the checks of loads.
 */
#include "cpu/seg.h"

#include "cpu/interp/interp.h"
#include "cpu/mmu.h"

uint32_t desc_limit(const struct desc *d)
{
	uint32_t limit = (uint32_t)(d->raw & 0xffff) | (uint32_t)(d->raw >> 32 & 0xf0000);

	return d->raw >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

static bool table_of(const struct cpu *c, uint16_t selector, uint64_t *base, uint32_t *limit)
{
	if (!(selector & 4)) {
		*base = c->s.gdt.base;
		*limit = c->s.gdt.limit;
		return true;
	}
	*base = c->s.ldtr.base;
	*limit = c->s.ldtr.limit;
	return c->s.ldtr.attr & SEG_P;
}

bool desc_read(struct cpu *c, uint16_t selector, struct desc *d)
{
	uint64_t base;
	uint32_t limit;

	d->high = 0;
	if (!table_of(c, selector, &base, &limit) || (selector & ~7u) + 7 > limit)
		return false;
	d->at = base + (selector & ~7u);
	d->raw = ld_system(c, d->at, 8);
	return true;
}

bool desc_read_system(struct cpu *c, uint16_t selector, struct desc *d)
{
	uint64_t base;
	uint32_t limit;

	if (!desc_read(c, selector, d))
		return false;
	if (!long_mode(c) || !desc_is_system(d))
		return true;
	if (!table_of(c, selector, &base, &limit) || (selector & ~7u) + 15 > limit)
		return false;
	d->high = ld_system(c, d->at + 8, 8);
	return true;
}

void desc_set_accessed(struct cpu *c, struct desc *d)
{
	if (d->raw >> 40 & 1)
		return;
	d->raw |= 1ull << 40;
	st_system(c, d->at + 5, d->raw >> 40 & 0xff, 1);
}

void segment_set(struct segment *s, uint16_t selector, const struct desc *d)
{
	s->selector = selector;
	s->base = desc_base(d);
	s->limit = desc_limit(d);
	s->attr = d->raw >> 40 & 0xf0ff;
}

void segment_set_system(struct segment *s, uint16_t selector, const struct desc *d)
{
	segment_set(s, selector, d);
	s->base |= d->high << 32;
}

/* --- loads ------------------------------------------------------------------------------------------------------ */

void segment_load_real(struct cpu *c, unsigned seg, uint16_t selector)
{
	struct segment *s = &c->s.seg[seg];

	s->selector = selector;
	s->base = (uint64_t)selector << 4;
	if (c->s.flags & FLAG_VM) {
		s->limit = 0xffff;
		s->attr = SEG_P | SEG_DPL | SEG_S | SEG_RW | SEG_ACCESSED;
	} else {
		/* Limit and size stay: "unreal" mode lives on it. */
		s->attr = (s->attr & (SEG_DB | SEG_G)) | SEG_P | SEG_S | SEG_RW | SEG_ACCESSED;
	}
	cpu_mode_changed(c);
}

static void load_null(struct cpu *c, unsigned seg, uint16_t selector)
{
	struct segment *s = &c->s.seg[seg];

	s->selector = selector;
	s->attr = 0;
	s->limit = 0;
	/* Intel clears the hidden base; AMD keeps it. */
	if (c->model->intel || !long_mode(c))
		s->base = 0;
}

static void load_ss(struct cpu *c, uint16_t selector)
{
	struct desc d;

	if (selector_null(selector)) {
		if (!code64(c) || c->s.cpl == 3 || (selector & 3) != c->s.cpl)
			fault_gp(c, 0);
		load_null(c, SEG_SS, selector);
		c->s.seg[SEG_SS].attr = (uint16_t)(c->s.cpl << 5);
		return;
	}
	if (!desc_read(c, selector, &d))
		fault_gp(c, selector & ~3u);
	if ((selector & 3) != c->s.cpl || desc_is_system(&d) || desc_is_code(&d) || !(desc_type(&d) & SEG_RW) ||
	    desc_dpl(&d) != c->s.cpl)
		fault_gp(c, selector & ~3u);
	if (!desc_present(&d))
		fault(c, VEC_SS, selector & ~3u);
	desc_set_accessed(c, &d);
	segment_set(&c->s.seg[SEG_SS], selector, &d);
}

void segment_load(struct cpu *c, unsigned seg, uint16_t selector)
{
	struct desc d;

	if (real_or_v86(c)) {
		segment_load_real(c, seg, selector);
		return;
	}
	if (seg == SEG_SS) {
		load_ss(c, selector);
		cpu_mode_changed(c);
		return;
	}
	if (selector_null(selector)) {
		load_null(c, seg, selector);
		cpu_mode_changed(c);
		return;
	}
	if (!desc_read(c, selector, &d) || desc_is_system(&d) || (desc_is_code(&d) && !(desc_type(&d) & SEG_RW)))
		fault_gp(c, selector & ~3u);
	if (!desc_is_conforming(&d) && ((selector & 3u) > desc_dpl(&d) || c->s.cpl > desc_dpl(&d)))
		fault_gp(c, selector & ~3u);
	if (!desc_present(&d))
		fault(c, VEC_NP, selector & ~3u);
	desc_set_accessed(c, &d);
	segment_set(&c->s.seg[seg], selector, &d);
	cpu_mode_changed(c);
}

void segments_drop_inner(struct cpu *c, unsigned cpl)
{
	static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	unsigned k;

	for (k = 0; k < sizeof(data); k++) {
		struct segment *s = &c->s.seg[data[k]];
		bool conforming = (s->attr & (SEG_CODE | SEG_CONFORMING)) == (SEG_CODE | SEG_CONFORMING);

		if (!(s->attr & SEG_P) || (segment_dpl(s) < cpl && !conforming)) {
			s->selector = 0;
			s->attr = 0;
			s->limit = 0;
			if (!long_mode(c))
				s->base = 0;
		}
	}
}

void segment_load_cs(struct cpu *c, uint16_t selector, struct desc *d, unsigned cpl)
{
	desc_set_accessed(c, d);
	segment_set(&c->s.seg[SEG_CS], (uint16_t)((selector & ~3u) | cpl), d);
	c->s.cpl = (uint8_t)cpl;
	cpu_mode_changed(c);
}

void segment_load_ldt(struct cpu *c, uint16_t selector)
{
	struct desc d;

	if (selector_null(selector)) {
		c->s.ldtr.selector = selector;
		c->s.ldtr.attr = 0;
		return;
	}
	if (selector & 4 || !desc_read_system(c, selector, &d) || !desc_is_system(&d) || desc_type(&d) != SYS_LDT)
		fault_gp(c, selector & ~3u);
	if (!desc_present(&d))
		fault(c, VEC_NP, selector & ~3u);
	if (!canonical(d.high << 32))
		fault_gp(c, selector & ~3u);
	segment_set_system(&c->s.ldtr, selector, &d);
}

void segment_load_tr(struct cpu *c, uint16_t selector)
{
	struct desc d;

	if (selector_null(selector))
		fault_gp(c, 0);
	if (selector & 4 || !desc_read_system(c, selector, &d) || !desc_is_system(&d) ||
	    (desc_type(&d) != SYS_TSS32 && (desc_type(&d) != SYS_TSS16 || long_mode(c))))
		fault_gp(c, selector & ~3u);
	if (!desc_present(&d))
		fault(c, VEC_NP, selector & ~3u);
	if (!canonical(d.high << 32))
		fault_gp(c, selector & ~3u);
	d.raw |= 2ull << 40;                            /* busy */
	st_system(c, d.at + 5, d.raw >> 40 & 0xff, 1);
	segment_set_system(&c->s.tr, selector, &d);
}

/* --- the task state segment ------------------------------------------------------------------------------------- */

void tss_stack(struct cpu *c, unsigned ring, uint16_t *ss, uint32_t *esp)
{
	const struct segment *tr = &c->s.tr;
	uint32_t at;

	if ((tr->attr & SEG_TYPE & ~2) == SYS_TSS32) {
		at = 4 + 8 * ring;
		if (at + 5 > tr->limit)
			fault(c, VEC_TS, (tr->selector & ~3u));
		*esp = (uint32_t)ld_system(c, tr->base + at, 4);
		*ss = (uint16_t)ld_system(c, tr->base + at + 4, 2);
	} else {
		at = 2 + 4 * ring;
		if (at + 3 > tr->limit)
			fault(c, VEC_TS, (tr->selector & ~3u));
		*esp = (uint16_t)ld_system(c, tr->base + at, 2);
		*ss = (uint16_t)ld_system(c, tr->base + at + 2, 2);
	}
}

uint64_t tss_stack64(struct cpu *c, unsigned n)
{
	uint32_t at = n < 3 ? 4 + 8 * n : 0x24 + 8 * (n - 4);

	if (at + 7 > c->s.tr.limit)
		fault(c, VEC_TS, c->s.tr.selector & ~3u);
	return ld_system(c, c->s.tr.base + at, 8);
}

bool tss_io_allowed(struct cpu *c, uint16_t port, unsigned size)
{
	const struct segment *tr = &c->s.tr;
	uint32_t at, bits;

	if (!(tr->attr & SEG_P) || (tr->attr & SEG_TYPE & ~2) != SYS_TSS32 || tr->limit < 0x67)
		return false;
	at = (uint32_t)ld_system(c, tr->base + 0x66, 2) + port / 8;
	if (at + 1 > tr->limit)
		return false;
	bits = (uint32_t)ld_system(c, tr->base + at, 2) >> (port & 7);
	return !(bits & ((1u << size) - 1));
}

/* --- the stack -------------------------------------------------------------------------------------------------- */

void set_sp(struct cpu *c, uint64_t sp)
{
	if (code64(c))
		c->s.gpr[RSP] = sp;
	else if (c->s.seg[SEG_SS].attr & SEG_DB)
		c->s.gpr[RSP] = (uint32_t)sp;
	else
		put_le16(&c->s.gpr[RSP], (uint16_t)sp);
}

void push(struct cpu *c, uint64_t v, unsigned size)
{
	uint64_t sp = (c->s.gpr[RSP] - size) & stack_mask(c);

	st_size(c, linear_address(c, SEG_SS, sp, size, true), v, size);
	set_sp(c, sp);
}

uint64_t stack_peek(struct cpu *c, unsigned skip, unsigned size)
{
	uint64_t sp = (c->s.gpr[RSP] + skip) & stack_mask(c);

	return ld_size(c, linear_address(c, SEG_SS, sp, size, false), size);
}
