/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts: how they leave an instruction, and how handlers are entered in real, protected, virtual-8086
 * and long mode (SDM volume 3, chapter 6; 20.2 and 20.3 for V86).
 */
#include "base/log.h"
#include "cpu/code.h"
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

void cpu_leave_block(struct cpu *c, unsigned done)
{
	if (c->cur) {
		c->s.rip = cpu_rip(c);
		c->left += c->block->n - (int64_t)(c->cur - c->block->uops) - done;
		c->cur = NULL;
	}
	c->block = NULL;
}

_Noreturn void fault(struct cpu *c, unsigned vector, uint32_t code)
{
	if (c->xe.fpu)
		xlat_save_vector(c);
	cpu_leave_block(c, 0);
	lock_prefix_end(c);
	c->fault_vector = (uint8_t)vector;
	c->fault_code = code;
	longjmp(c->on_fault, 1);
}

_Noreturn void fault_page(struct cpu *c, uint64_t linear, uint32_t code)
{
	c->s.cr2 = linear;
	fault(c, VEC_PF, code);
}

static bool pushes_code(unsigned vector)
{
	return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;
}

/* Selector error codes carry EXT when what is being delivered did not come from the program. */
static unsigned ext_bit(enum event_kind kind)
{
	return kind == EVENT_INT_N || kind == EVENT_INT3 ? 0 : 1;
}

/* The EFLAGS image that a handler finds. */
static uint32_t pushed_flags(const struct cpu *c, unsigned vector, enum event_kind kind)
{
	uint32_t f = get_flags(c);

	/* Faults resume at the instruction with RF set, so that a breakpoint on it does not hit again (SDM 17.3.1.1). */
	if (kind == EVENT_EXCEPTION && vector != VEC_DB && vector != VEC_DF)
		f |= FLAG_RF;
	if (kind == EVENT_EXCEPTION && vector == VEC_DB && c->db_is_fault)
		f |= FLAG_RF;
	return f;
}

static void deliver_real(struct cpu *c, unsigned vector, uint32_t image)
{
	uint32_t entry;

	if (vector * 4 + 3 > c->s.idt.limit)
		fault_gp(c, vector * 8 + 2);
	entry = (uint32_t)ld_system(c, c->s.idt.base + vector * 4, 4);
	if (((c->s.gpr[RSP] - 1) & stack_mask(c)) < 5)
		fault(c, VEC_SS, 0);
	push(c, image, 2);
	push(c, c->s.seg[SEG_CS].selector, 2);
	push(c, c->s.rip, 2);
	c->s.flags &= ~(uint32_t)(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
	segment_load_real(c, SEG_CS, (uint16_t)(entry >> 16));
	c->s.rip = entry & 0xffff;
	cpu_mode_changed(c);
}

struct frame {                          /* a stack being filled for a handler, before anything else changes */
	struct segment ss;
	uint64_t sp, mask;
	unsigned cpl;
};

static void frame_push(struct cpu *c, struct frame *f, uint64_t v, unsigned size)
{
	uint64_t at, sp = (f->sp - size) & f->mask;

	if (!code64(c) && !long_mode(c)) {
		const struct segment *s = &f->ss;
		bool down = (s->attr & (SEG_CODE | SEG_DOWN)) == SEG_DOWN;
		uint64_t last = sp + size - 1;

		if (down ? sp <= s->limit || last > (s->attr & SEG_DB ? 0xffffffff : 0xffff) :
		    last > s->limit && s->limit != 0xffffffff)
			fault(c, VEC_SS, f->cpl != c->s.cpl ? s->selector & ~3u : 0);
		at = (uint32_t)(s->base + sp);
	} else {
		at = sp;
	}
	if (f->cpl == c->s.cpl && f->cpl == 3)
		st_size(c, at, v, size);
	else
		st_system(c, at, v, size);
	f->sp = sp;
}

/* The stack segment of an inner ring, checked as an interrupt or call gate does. */
void inner_stack(struct cpu *c, unsigned ring, unsigned ext, struct segment *ss, uint32_t *esp)
{
	uint16_t selector;
	struct desc d;

	tss_stack(c, ring, &selector, esp);
	if (selector_null(selector))
		fault(c, VEC_TS, ext);
	if (!desc_read(c, selector, &d) || (selector & 3u) != ring || desc_dpl(&d) != ring || desc_is_system(&d) ||
	    desc_is_code(&d) || !(desc_type(&d) & SEG_RW))
		fault(c, VEC_TS, (selector & ~3u) | ext);
	if (!desc_present(&d))
		fault(c, VEC_SS, (selector & ~3u) | ext);
	desc_set_accessed(c, &d);
	segment_set(ss, selector, &d);
}

static void deliver_protected(struct cpu *c, unsigned vector, enum event_kind kind, bool with_code, uint32_t code, uint32_t image)
{
	unsigned ext = ext_bit(kind), type, size, ring;
	bool v86 = c->s.flags & FLAG_VM;
	struct frame f;
	struct desc cs;
	uint64_t gate, offset;
	uint32_t esp;
	uint16_t selector;

	if (vector * 8 + 7 > c->s.idt.limit)
		fault_gp(c, vector * 8 + 2 + ext);
	gate = ld_system(c, c->s.idt.base + vector * 8, 8);
	type = gate >> 40 & 0x1f;
	if (type != SYS_TASK_GATE && type != SYS_INT16 && type != SYS_TRAP16 && type != SYS_INT32 && type != SYS_TRAP32)
		fault_gp(c, vector * 8 + 2 + ext);
	if ((kind == EVENT_INT_N || kind == EVENT_INT3) && (gate >> 45 & 3) < c->s.cpl)
		fault_gp(c, vector * 8 + 2);
	if (!(gate >> 47 & 1))
		fault(c, VEC_NP, vector * 8 + 2 + ext);
	selector = (uint16_t)(gate >> 16);
	if (type == SYS_TASK_GATE) {
		task_switch(c, selector, TASK_GATE, c->s.rip, with_code, code);
		return;
	}
	size = type & 8 ? 4 : 2;
	offset = (gate & 0xffff) | (type & 8 ? gate >> 32 & 0xffff0000 : 0);
	if (selector_null(selector))
		fault_gp(c, ext);
	if (!desc_read(c, selector, &cs) || !desc_is_code(&cs) || desc_is_system(&cs) || desc_dpl(&cs) > c->s.cpl)
		fault_gp(c, (selector & ~3u) | ext);
	if (!desc_present(&cs))
		fault(c, VEC_NP, (selector & ~3u) | ext);
	ring = desc_is_conforming(&cs) ? c->s.cpl : desc_dpl(&cs);
	if (v86 && ring != 0)
		fault_gp(c, (selector & ~3u) | ext);
	f.cpl = ring;
	if (ring < c->s.cpl) {
		inner_stack(c, ring, ext, &f.ss, &esp);
		f.sp = esp;
	} else {
		f.ss = c->s.seg[SEG_SS];
		f.sp = c->s.gpr[RSP];
	}
	f.mask = f.ss.attr & SEG_DB ? 0xffffffff : 0xffff;
	if (offset > desc_limit(&cs))
		fault_gp(c, ext);
	if (ring < c->s.cpl) {
		if (v86) {
			frame_push(c, &f, c->s.seg[SEG_GS].selector, size);
			frame_push(c, &f, c->s.seg[SEG_FS].selector, size);
			frame_push(c, &f, c->s.seg[SEG_DS].selector, size);
			frame_push(c, &f, c->s.seg[SEG_ES].selector, size);
		}
		frame_push(c, &f, c->s.seg[SEG_SS].selector, size);
		frame_push(c, &f, c->s.gpr[RSP], size);
	}
	frame_push(c, &f, image, size);
	frame_push(c, &f, c->s.seg[SEG_CS].selector, size);
	frame_push(c, &f, c->s.rip, size);
	if (with_code)
		frame_push(c, &f, code, size);

	desc_set_accessed(c, &cs);
	if (!(type & 1))
		c->s.flags &= ~(uint32_t)FLAG_IF;
	c->s.flags &= ~(uint32_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	if (v86) {
		static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
		unsigned k;

		for (k = 0; k < sizeof(data); k++)
			c->s.seg[data[k]] = (struct segment){ .selector = 0 };
	}
	if (ring < c->s.cpl) {
		c->s.seg[SEG_SS] = f.ss;
		c->s.gpr[RSP] = f.mask == 0xffff ? (c->s.gpr[RSP] & ~0xffffull & 0xffffffff) | f.sp : f.sp;
	} else {
		set_sp(c, f.sp);
	}
	segment_load_cs(c, selector, &cs, ring);
	c->s.rip = (uint32_t)offset;
}

static void deliver_long(struct cpu *c, unsigned vector, enum event_kind kind, bool with_code, uint32_t code, uint32_t image)
{
	unsigned ext = ext_bit(kind), type, ring, ist;
	uint64_t low, high, offset;
	struct frame f;
	struct desc cs;
	uint16_t selector;

	if (vector * 16 + 15 > c->s.idt.limit)
		fault_gp(c, vector * 8 + 2 + ext);
	low = ld_system(c, c->s.idt.base + vector * 16, 8);
	high = ld_system(c, c->s.idt.base + vector * 16 + 8, 8);
	type = low >> 40 & 0x1f;
	if (type != SYS_INT32 && type != SYS_TRAP32)
		fault_gp(c, vector * 8 + 2 + ext);
	if ((kind == EVENT_INT_N || kind == EVENT_INT3) && (low >> 45 & 3) < c->s.cpl)
		fault_gp(c, vector * 8 + 2);
	if (!(low >> 47 & 1))
		fault(c, VEC_NP, vector * 8 + 2 + ext);
	selector = (uint16_t)(low >> 16);
	offset = (low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32;
	if (selector_null(selector))
		fault_gp(c, ext);
	if (!desc_read(c, selector, &cs) || !desc_is_code(&cs) || desc_is_system(&cs) || desc_dpl(&cs) > c->s.cpl ||
	    !desc_long(&cs) || desc_big(&cs))
		fault_gp(c, (selector & ~3u) | ext);
	if (!desc_present(&cs))
		fault(c, VEC_NP, (selector & ~3u) | ext);
	ring = desc_is_conforming(&cs) ? c->s.cpl : desc_dpl(&cs);
	ist = low >> 32 & 7;
	f.cpl = ring;
	f.mask = UINT64_MAX;
	if (ist)
		f.sp = tss_stack64(c, 3 + ist);
	else if (ring < c->s.cpl)
		f.sp = tss_stack64(c, ring);
	else
		f.sp = c->s.gpr[RSP];
	if (!canonical(f.sp) || !canonical(f.sp - 48))
		fault(c, VEC_SS, ext);
	if (!canonical(offset))
		fault_gp(c, ext);
	f.sp &= ~15ull;
	frame_push(c, &f, c->s.seg[SEG_SS].selector, 8);
	frame_push(c, &f, c->s.gpr[RSP], 8);
	frame_push(c, &f, image, 8);
	frame_push(c, &f, c->s.seg[SEG_CS].selector, 8);
	frame_push(c, &f, c->s.rip, 8);
	if (with_code)
		frame_push(c, &f, code, 8);

	desc_set_accessed(c, &cs);
	if (!(type & 1))
		c->s.flags &= ~(uint32_t)FLAG_IF;
	c->s.flags &= ~(uint32_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	if (ring < c->s.cpl)
		c->s.seg[SEG_SS] = (struct segment){ .selector = (uint16_t)ring, .attr = (uint16_t)(ring << 5) };
	c->s.gpr[RSP] = f.sp;
	segment_load_cs(c, selector, &cs, ring);
	c->s.rip = offset;
}

static void log_event(const struct cpu *c, unsigned vector, enum event_kind kind, uint32_t code)
{
	static const char *const kinds[] = { "exception", "interrupt", "int", "int3", "int1", "nmi" };

	log_line(LOG_INT, "cpu%u: %s %#04x code %#x at %04x:%016llx cpl %u sp %04x:%016llx cr2 %016llx rax %016llx", c->index,
		 kinds[kind], vector, code, c->s.seg[SEG_CS].selector, (unsigned long long)c->s.rip, c->s.cpl,
		 c->s.seg[SEG_SS].selector, (unsigned long long)c->s.gpr[RSP], (unsigned long long)c->s.cr2,
		 (unsigned long long)c->s.gpr[RAX]);
}

void deliver(struct cpu *c, unsigned vector, enum event_kind kind, uint32_t code)
{
	bool with_code = kind == EVENT_EXCEPTION && pushes_code(vector);
	uint32_t image = pushed_flags(c, vector, kind);

	if (log_mask & LOG_INT) {
		if (c->xe.fpu)
			xlat_save_vector(c);
		log_event(c, vector, kind, code);
	}
	c->s.shadow = 0;
	if (!(c->s.cr0 & CR0_PE))
		deliver_real(c, vector, image);
	else if (long_mode(c))
		deliver_long(c, vector, kind, with_code, code, image);
	else
		deliver_protected(c, vector, kind, with_code, code, image);
	cpu_mode_changed(c);
}

/* --- escalation ------------------------------------------------------------------------------------------------- */

static bool contributory(int vector)
{
	return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP);
}

void exception(struct cpu *c)
{
	int first = c->delivering, second = c->fault_vector;
	uint32_t code = c->fault_code;

	if (first == VEC_DF && (contributory(second) || second == VEC_PF)) {
		log_line(LOG_INT, "cpu%u: triple fault at %04x:%llx", c->index, c->s.seg[SEG_CS].selector,
			 (unsigned long long)c->s.rip);
		c->delivering = -1;
		c->s.run = RUN_SHUTDOWN;
		return;
	}
	if ((first == VEC_PF && (contributory(second) || second == VEC_PF)) || (contributory(first) && contributory(second))) {
		second = VEC_DF;
		code = 0;
	}
	c->delivering = (int16_t)second;
	deliver(c, (unsigned)second, EVENT_EXCEPTION, code);
	c->delivering = -1;
}

/* --- INT n ------------------------------------------------------------------------------------------------------ */

/* In V86 mode with CR4.VME: INT n goes to the 8086 program's own handler if the TSS says so (SDM volume 3, 20.3.3). */
static bool v86_redirects(struct cpu *c, unsigned vector)
{
	uint32_t at;

	if (!(c->s.cr4 & CR4_VME) || (c->s.tr.attr & SEG_TYPE & ~2) != SYS_TSS32 || c->s.tr.limit < 0x67)
		return false;
	at = (uint32_t)ld_system(c, c->s.tr.base + 0x66, 2);
	if (at < 32 || at - 32 + vector / 8 > c->s.tr.limit)
		return false;
	return !(ld_system(c, c->s.tr.base + at - 32 + vector / 8, 1) >> (vector & 7) & 1);
}

static void deliver_v86(struct cpu *c, unsigned vector)
{
	uint32_t image = get_flags(c), entry = (uint32_t)ld_size(c, vector * 4, 4);

	if (iopl(c) < 3)
		image = (image & ~(uint32_t)FLAG_IF) | FLAG_IOPL | (c->s.flags & FLAG_VIF ? FLAG_IF : 0);
	push(c, image, 2);
	push(c, c->s.seg[SEG_CS].selector, 2);
	push(c, c->s.rip, 2);
	c->s.flags &= ~(uint32_t)(FLAG_TF | FLAG_RF | (iopl(c) < 3 ? FLAG_VIF : FLAG_IF));
	segment_load_real(c, SEG_CS, (uint16_t)(entry >> 16));
	c->s.rip = entry & 0xffff;
	cpu_mode_changed(c);
}

void software_interrupt(struct cpu *c, const struct insn *i, unsigned vector, enum event_kind kind)
{
	uint64_t rip = cpu_rip(c), sp = c->s.gpr[RSP];

	if (c->s.flags & FLAG_VM && kind == EVENT_INT_N) {
		if (v86_redirects(c, vector)) {
			c->s.rip = (uint16_t)(rip + i->len);
			probe_write(c, linear_address(c, SEG_SS, (sp - 6) & 0xffff, 6, true), 6);
			deliver_v86(c, vector);
			return;
		}
		if (iopl(c) < 3)
			fault_gp(c, 0);
	}
	/* fault() finds the instruction through c->cur; the handler gets the next one's address. */
	c->s.rip = rip + i->len;
	if (!code64(c))
		c->s.rip = (uint32_t)c->s.rip;
	deliver(c, vector, kind, 0);
}

/* --- EFLAGS ----------------------------------------------------------------------------------------------------- */

void set_flags(struct cpu *c, uint32_t value, uint32_t mask)
{
	uint32_t old = c->s.flags;

	if (mask & FLAGS_ARITH)
		set_arith_flags(c, (value & mask & FLAGS_ARITH) | (get_arith_flags(c) & ~mask));
	mask &= ~(uint32_t)FLAGS_ARITH;
	c->s.flags = (old & ~mask) | (value & mask) | 2;
	if ((old ^ c->s.flags) & (FLAG_TF | FLAG_VM | FLAG_AC | FLAG_RF))
		cpu_mode_changed(c);
	if (c->s.flags & FLAG_IF && !(old & FLAG_IF) && c->irq_waits)
		atomic_store(&c->attention, 1);
}
