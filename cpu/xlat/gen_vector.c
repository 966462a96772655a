/* SPDX-License-Identifier: MIT */
/* x87, MMX, SSE and AVX: on the host's own units, where the state is live while translated code runs. */
#include "cpu/xlat/gen.h"

/* x87: what has a control word or the environment in it is the interpreter's. */
static bool gen_x87(struct gen *g)
{
	const struct insn *i = cur(g);
	const uint8_t *raw;

	switch (i->op) {
	case OP_FLDCW: case OP_FLDENV: case OP_FNSTENV: case OP_FNSAVE: case OP_FRSTOR: case OP_FNENI: case OP_FNDISI: case OP_FNSETPM:
		return false;
	default:
		break;
	}
	gen_fpu(g, 1);
	if (i->op != OP_FWAIT && i->modrm < 0xc0)
		return gen_copy(g, F_EXT, F_OTHER, F_NONE);
	gen_flag_use(g);
	gen_commit(g);
	raw = g->raw + g->at[g->k + 1];
	if (i->op == OP_FWAIT)
		emit8(&g->b, 0x9b);
	else
		emit_bytes(&g->b, raw - 2, 2);
	return true;
}

/* Which side of the encoding is a general register. */
static void general_fields(const struct insn *i, enum field *reg, enum field *rm)
{
	unsigned op = i->opcode;

	*reg = *rm = F_OTHER;
	if (i->map == 1) {
		if (op == 0x50 || op == 0xd7 || op == 0xc5 || ((op == 0x2c || op == 0x2d) && (i->mandatory == 0xf2 || i->mandatory == 0xf3)))
			*reg = F_GPR;
		else if (op == 0x6e || (op == 0x7e && i->mandatory != 0xf3) || op == 0xc4 ||
			 (op == 0x2a && (i->mandatory == 0xf2 || i->mandatory == 0xf3)))
			*rm = F_GPR;
		else if (op >= 0x71 && op <= 0x73)
			*reg = F_EXT;
		else if (op == 0xae)
			*reg = F_EXT;
	} else if (i->map == 3) {
		if ((op >= 0x14 && op <= 0x17) || op == 0x20 || op == 0x22)
			*rm = F_GPR;
	}
}

bool gen_vector(struct gen *g)
{
	const struct insn *i = cur(g);
	enum field reg, rm;

	if (i->traits & INSN_X87)
		return gen_x87(g);
	if (!(i->traits & (INSN_MMX | INSN_SSE | INSN_AVX)) || i->mem.vsib)
		return false;
	switch (i->op) {
	case OP_MASKMOVQ: case OP_MASKMOVDQU: case OP_VMASKMOVPS: case OP_VMASKMOVPD: case OP_VPMASKMOVD: case OP_VPMASKMOVQ:
	case OP_LDMXCSR: case OP_FXSAVE: case OP_FXRSTOR:
		return false;
	case OP_EMMS: case OP_VZEROALL: case OP_VZEROUPPER:
		gen_fpu(g, i->vex ? 2 : 1);
		gen_commit(g);
		if (i->vex) {
			emit8(&g->b, 0xc5);
			emit8(&g->b, i->vex_l ? 0xfc : 0xf8);
		} else {
			emit8(&g->b, 0x0f);
		}
		emit8(&g->b, 0x77);
		return true;
	default:
		break;
	}
	if (!i->has_modrm)
		return false;
	gen_fpu(g, i->vex ? 2 : 1);
	general_fields(i, &reg, &rm);
	return gen_copy(g, reg, rm, F_OTHER);
}
