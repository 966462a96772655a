/* SPDX-License-Identifier: MIT */
/*
 * String instructions, with and without REP.  Registers are updated element by element (or run by run, where both sides are
 * plain memory within a page), so that a fault or an interrupt leaves a state from which the instruction goes on.
 */
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"
#include "cpu/interp/port.h"
#include "cpu/seg.h"

static uint64_t index_mask(const struct insn *i)
{
	return i->addrsize == 8 ? UINT64_MAX : i->addrsize == 4 ? 0xffffffff : 0xffff;
}

static void set_index(struct cpu *c, const struct insn *i, unsigned reg, uint64_t v)
{
	if (i->addrsize == 2)
		put_le16(&c->s.gpr[reg], (uint16_t)v);
	else
		c->s.gpr[reg] = v & index_mask(i);
}

static void advance(struct cpu *c, const struct insn *i, unsigned reg, uint64_t bytes)
{
	set_index(c, i, reg, c->s.flags & FLAG_DF ? c->s.gpr[reg] - bytes : c->s.gpr[reg] + bytes);
}

static uint64_t count(struct cpu *c, const struct insn *i)
{
	c->rep_room = 4096;
	return i->rep ? c->s.gpr[RCX] & index_mask(i) : 1;
}

static void count_down(struct cpu *c, const struct insn *i, uint64_t n)
{
	if (i->rep)
		set_index(c, i, RCX, (c->s.gpr[RCX] & index_mask(i)) - n);
}

static uint64_t source(struct cpu *c, const struct insn *i, unsigned len)
{
	return linear_address(c, i->mem.seg, c->s.gpr[RSI] & index_mask(i), len, false);
}

static uint64_t destination(struct cpu *c, const struct insn *i, unsigned len, bool write)
{
	return linear_address(c, SEG_ES, c->s.gpr[RDI] & index_mask(i), len, write);
}

/*
 * An element is done and more are to come: whether to go on at once.  If not, the instruction starts again from here; after
 * a long stretch that counts as an instruction, so that a budget always ends.
 */
static bool go_on(struct cpu *c)
{
	if (--c->rep_room == 0) {
		cpu_leave_block(c, 1);
		c->leave = true;
		return false;
	}
	if (!atomic_load_explicit(&c->attention, memory_order_relaxed) && !c->step && !c->s.shadow && !c->leave && !c->debug_hit)
		return true;
	cpu_leave_block(c, 0);
	c->leave = true;
	return false;
}

/*
 * How many elements from here on, upwards or downwards, stay in the page of this index register and do not wrap it; 0: not the
 * plain case.
 */
static uint64_t run_length(struct cpu *c, const struct insn *i, unsigned reg, unsigned seg, unsigned size, uint64_t n)
{
	uint64_t at = c->s.gpr[reg] & index_mask(i), linear = at, all = n;
	const struct segment *s = &c->s.seg[seg];

	if (c->step || c->watch)
		return 0;
	if (!code64(c)) {               /* what the segment lets pass; whether it lets anything is found out by the access */
		if (s->attr & SEG_DOWN || at > s->limit)
			return 0;
		n = MIN(n, ((uint64_t)s->limit + 1 - at) / size);
		linear = (uint32_t)(s->base + at);
	} else if (seg == SEG_FS || seg == SEG_GS) {
		linear = s->base + at;
	}
	if (!(c->s.flags & FLAG_DF))
		return MIN(n, MIN((4096 - (linear & 0xfff)) / size, (index_mask(i) - at) / size));
	if (!n || (linear & 0xfff) > 4096 - size || at > index_mask(i) - size)
		return 0;
	return MIN(all, MIN((linear & 0xfff) / size, at / size) + 1);
}

/*
 * The host's own string instructions: forward, element by element as far as can be seen, so that overlapping ones come out as
 * the guest's do.  They use no vector registers (the guest's may be live), unlike memcpy() and memset().
 */
static void copy_run(uint8_t *to, const uint8_t *from, uint64_t n, unsigned size)
{
	switch (size) {
	case 1: __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
	case 2: __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
	case 4: __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
	default: __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
	}
}

/* The same downwards; the addresses are those of the lowest element. */
static void copy_run_down(uint8_t *to, const uint8_t *from, uint64_t n, unsigned size)
{
	uint64_t last = (n - 1) * size, bytes = n * size;

	if (to + bytes <= from || from + bytes <= to) {
		copy_run(to, from, n, size);
		return;
	}
	to += last;
	from += last;
	switch (size) {
	case 1: __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
	case 2: __asm__ volatile("std\n\trep movsw\n\tcld" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
	case 4: __asm__ volatile("std\n\trep movsl\n\tcld" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
	default: __asm__ volatile("std\n\trep movsq\n\tcld" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); break;
	}
}

static void fill_run(uint8_t *to, uint64_t v, uint64_t n, unsigned size)
{
	switch (size) {
	case 1: __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(v) : "memory"); break;
	case 2: __asm__ volatile("rep stosw" : "+D"(to), "+c"(n) : "a"(v) : "memory"); break;
	case 4: __asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(v) : "memory"); break;
	default: __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(v) : "memory"); break;
	}
}

static void op_movs(struct cpu *c, const struct insn *i)
{
	bool down = c->s.flags & FLAG_DF;
	unsigned size = i->o[0].size;
	uint64_t n = count(c, i), run, v, from;

	while (n) {
		run = n > 1 ? MIN(run_length(c, i, RSI, i->mem.seg, size, n), run_length(c, i, RDI, SEG_ES, size, n)) : 0;
		if (run > 1) {
			/* The first element faults, if any; the others lie in its page. */
			uint8_t *src = ld_host(c, source(c, i, size), size), *dst = NULL;
			uint64_t below = down ? (run - 1) * size : 0;

			if (src)
				dst = st_host(c, destination(c, i, size, true), size);
			if (!dst)
				run = 0;
			else if (down)
				copy_run_down(dst - below, src - below, run, size);
			else
				copy_run(dst, src, run, size);
		}
		if (run <= 1) {
			run = 1;
			from = source(c, i, size);
			v = ld_size(c, from, size);
			st_size(c, destination(c, i, size, true), v, size);
		}
		advance(c, i, RSI, run * size);
		advance(c, i, RDI, run * size);
		count_down(c, i, run);
		n -= run;
		if (n && !go_on(c))
			return;
	}
}

static void op_stos(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint64_t n = count(c, i), run, v = zero_extend(c->s.gpr[RAX], size);

	while (n) {
		run = n > 1 ? run_length(c, i, RDI, SEG_ES, size, n) : 0;
		if (run > 1) {
			uint8_t *dst = st_host(c, destination(c, i, size, true), size);

			if (dst)
				fill_run(c->s.flags & FLAG_DF ? dst - (run - 1) * size : dst, v, run, size);
			else
				run = 0;
		}
		if (run <= 1) {
			run = 1;
			st_size(c, destination(c, i, size, true), v, size);
		}
		advance(c, i, RDI, run * size);
		count_down(c, i, run);
		n -= run;
		if (n && !go_on(c))
			return;
	}
}

static void op_lods(struct cpu *c, const struct insn *i)
{
	struct operand ax = { .kind = OPD_GPR, .reg = RAX, .size = i->o[0].size };
	uint64_t n = count(c, i);

	while (n) {
		set_reg(c, &ax, ld_size(c, source(c, i, ax.size), ax.size));
		advance(c, i, RSI, ax.size);
		count_down(c, i, 1);
		if (--n && !go_on(c))
			return;
	}
}

/* REPE and REPNE end when ZF says so. */
static bool compare_ends(const struct cpu *c, const struct insn *i)
{
	return i->rep == REP_F3 ? !get_zf(c) : get_zf(c);
}

static void op_cmps(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint64_t n = count(c, i), a, b;

	while (n) {
		b = ld_size(c, destination(c, i, size, false), size);
		a = ld_size(c, source(c, i, size), size);
		flags_sub(c, a, b, a - b, size);
		advance(c, i, RSI, size);
		advance(c, i, RDI, size);
		count_down(c, i, 1);
		if (--n == 0 || compare_ends(c, i) || !go_on(c))
			return;
	}
}

static void op_scas(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint64_t n = count(c, i), a = zero_extend(c->s.gpr[RAX], size), b;

	while (n) {
		b = ld_size(c, destination(c, i, size, false), size);
		flags_sub(c, a, b, a - b, size);
		advance(c, i, RDI, size);
		count_down(c, i, 1);
		if (--n == 0 || compare_ends(c, i) || !go_on(c))
			return;
	}
}

static void op_ins(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint16_t port = (uint16_t)c->s.gpr[RDX];
	uint64_t n = count(c, i), to;

	port_check(c, port, size);
	while (n) {
		to = destination(c, i, size, true);
		probe_write(c, to, size);
		st_size(c, to, port_in(c, port, size), size);
		advance(c, i, RDI, size);
		count_down(c, i, 1);
		if (--n && !go_on(c))
			return;
	}
}

static void op_outs(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint16_t port = (uint16_t)c->s.gpr[RDX];
	uint64_t n = count(c, i);

	port_check(c, port, size);
	while (n) {
		port_out(c, port, (uint32_t)ld_size(c, source(c, i, size), size), size);
		advance(c, i, RSI, size);
		count_down(c, i, 1);
		if (--n && !go_on(c))
			return;
	}
}

const op_handler string_ops[OP_COUNT] = {
	[OP_MOVS] = op_movs, [OP_STOS] = op_stos, [OP_LODS] = op_lods, [OP_CMPS] = op_cmps, [OP_SCAS] = op_scas,
	[OP_INS] = op_ins, [OP_OUTS] = op_outs,
};
