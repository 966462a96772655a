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

/* How many elements from here on stay in the page of this index register and do not wrap it; 0: not the plain case. */
static uint64_t run_length(struct cpu *c, const struct insn *i, unsigned reg, unsigned seg, unsigned size, uint64_t n)
{
	uint64_t at = c->s.gpr[reg] & index_mask(i), linear;

	if (c->s.flags & FLAG_DF || c->step || !(c->key & KEY_FLAT))
		return 0;
	linear = seg == SEG_FS || seg == SEG_GS ? c->s.seg[seg].base + at : at;
	if (!code64(c) && (seg == SEG_FS || seg == SEG_GS))
		return 0;
	return MIN(n, MIN((4096 - (linear & 0xfff)) / size, (index_mask(i) - at) / size));
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
	unsigned size = i->o[0].size;
	uint64_t n = count(c, i), run, v, from;

	while (n) {
		run = n > 1 ? MIN(run_length(c, i, RSI, i->mem.seg, size, n), run_length(c, i, RDI, SEG_ES, size, n)) : 0;
		if (run > 1) {
			unsigned bytes = (unsigned)(run * size);
			uint8_t *src = ld_host(c, source(c, i, bytes), bytes), *dst = NULL;

			if (src)
				dst = st_host(c, destination(c, i, bytes, true), bytes);
			if (dst) {
				copy_run(dst, src, run, size);
			} else {
				run = 0;
			}
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
			unsigned bytes = (unsigned)(run * size);
			uint8_t *dst = st_host(c, destination(c, i, bytes, true), bytes);

			if (dst)
				fill_run(dst, v, run, size);
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
