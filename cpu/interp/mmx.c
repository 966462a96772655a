/* SPDX-License-Identifier: MIT */
/*
 * MMX: the registers' aliasing with the x87 stack, and the instructions that only MMX has (SDM volume 1, chapter 9
 * and 12.2).  The packed arithmetic that it shares with SSE2 is in sse_int.c.
 */
#include "cpu/interp/simd.h"
#include "cpu/interp/x87.h"

void mmx_begin(struct cpu *c)
{
	if (c->s.cr0 & CR0_EM)
		fault_ud(c);
	if (c->s.cr0 & CR0_TS)
		fault(c, VEC_NM, 0);
	x87_check_pending(c);
}

void mmx_enter(struct cpu *c)
{
	struct fpu_area *f = &c->s.fpu;
	unsigned top = f->fsw >> 11 & 7;

	if (top) {
		uint8_t old[8][16];

		memcpy(old, f->st, sizeof(old));
		for (unsigned n = 0; n < 8; n++)
			memcpy(f->st[(n + top) & 7], old[n], 16);
		f->fsw &= (uint16_t)~FSW_TOP;
	}
	f->ftw = 0xff;
}

static void op_emms(struct cpu *c, const struct insn *i)
{
	(void)i;
	mmx_begin(c);
	mmx_enter(c);
	c->s.fpu.ftw = 0;
}

static void op_pshufw(struct cpu *c, const struct insn *i)
{
	union vec b, r = { V0 };

	mmx_begin(c);
	b.v = get_mm_src(c, i, 1);
	for (unsigned n = 0; n < 4; n++)
		r.w[n] = b.w[i->imm >> 2 * n & 3];
	mmx_enter(c);
	put_mm(c, i->o[0].reg, r.q[0]);
}

static void op_movntq(struct cpu *c, const struct insn *i)
{
	mmx_begin(c);
	simd_store(c, i, low64(get_mm(c, i->o[1].reg)), 8);
	mmx_enter(c);
}

/*
 * Bytes whose mask bit is clear are not accessed; a page fault reports the operand's first byte in the page
 * (measured).
 */
static void op_maskmov(struct cpu *c, const struct insn *i)
{
	bool mmx = i->o[0].kind == OPD_MMX;
	uint64_t offset, cut = i->addrsize == 8 ? UINT64_MAX : (1ull << 8 * i->addrsize) - 1;
	uint64_t address[16], first[2];
	union vec data, mask;

	if (mmx) {
		mmx_begin(c);
		data.v = low64(get_mm(c, i->o[0].reg));
		mask.v = low64(get_mm(c, i->o[1].reg));
	} else {
		simd_begin(c, i);
		data.v = get_xmm(c, i->o[0].reg);
		mask.v = get_xmm(c, i->o[1].reg);
	}
	offset = effective_address(c, i);
	for (unsigned n = 0, pages = 0; n < 16; n++) {
		address[n] = 0;
		if (mask.sb[n] < 0)
			address[n] = linear_address(c, i->mem.seg, (offset + n) & cut, 1, true);
		if (mask.sb[n] < 0 && (!pages || (address[n] ^ first[pages - 1]) >> 12)) {
			first[pages] = (address[n] & 0xfff) >= n ? address[n] - n : address[n] & ~0xfffull;
			probe_write(c, first[pages++], 1);
		}
	}
	for (unsigned n = 0; n < 16; n++)
		if (mask.sb[n] < 0)
			st8(c, address[n], data.b[n]);
	if (mmx)
		mmx_enter(c);
}

static void op_movq2dq(struct cpu *c, const struct insn *i)
{
	sse_begin(c);
	mmx_begin(c);
	mmx_enter(c);
	put_xmm(c, i, i->o[0].reg, low64(get_mm(c, i->o[1].reg)));
}

static void op_movdq2q(struct cpu *c, const struct insn *i)
{
	sse_begin(c);
	mmx_begin(c);
	mmx_enter(c);
	put_mm(c, i->o[0].reg, (uint64_t)get_xmm(c, i->o[1].reg)[0]);
}

const op_handler mmx_ops[OP_COUNT] = {
	[OP_EMMS] = op_emms,
	[OP_PSHUFW] = op_pshufw,
	[OP_MOVNTQ] = op_movntq,
	[OP_MASKMOVQ] = op_maskmov,
	[OP_MASKMOVDQU] = op_maskmov,
	[OP_MOVQ2DQ] = op_movq2dq,
	[OP_MOVDQ2Q] = op_movdq2q,
};
