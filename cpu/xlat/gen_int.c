/* SPDX-License-Identifier: MIT */
/* Integer instructions: nearly all are emitted as they are. */
#include "cpu/xlat/gen.h"

static bool is(const struct insn *i, unsigned k, unsigned kind) { return i->operands > k && i->o[k].kind == kind; }

/* A register-only instruction whose bytes name no register that lies elsewhere. */
static void gen_raw(struct gen *g, uint8_t opcode, bool w, bool o16)
{
	if (o16)
		emit8(&g->b, 0x66);
	if (w)
		emit8(&g->b, 0x48);
	emit8(&g->b, opcode);
}

/* ADD to CMP and TEST of the accumulator by an immediate: opcodes without ModRM. */
static bool gen_accumulator(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned size = i->o[0].size, ext = i->opcode >> 3 & 7;
	uint32_t width = size == 8 ? EO_W : size == 2 ? EO_16 : 0;

	gen_flag_use(g);
	gen_commit(g);
	if (i->op == OP_TEST)
		emit_op(&g->b, (size == 1 ? 0xf6 : 0xf7) | width, 0, rm_reg(HAX));
	else
		emit_op(&g->b, (size == 1 ? 0x80 : 0x81) | width, ext, rm_reg(HAX));
	emit_bytes(&g->b, &i->imm, size == 8 ? 4 : size);
	return true;
}

static bool gen_mov(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned op = i->opcode, size;
	struct rm m;

	if (is(i, 1, OPD_SEG))
		return gen_mov_from_segment(g);
	if (is(i, 0, OPD_SEG))
		return gen_mov_to_segment(g);
	if (is(i, 0, OPD_CR) || is(i, 1, OPD_CR) || is(i, 0, OPD_DR) || is(i, 1, OPD_DR))
		return false;
	if (op >= 0x88 && op <= 0x8b)
		return gen_copy(g, F_GPR, F_GPR, F_NONE);
	if (op == 0xc6 || op == 0xc7)
		return gen_copy(g, F_EXT, F_GPR, F_NONE);
	size = i->o[0].size;
	if (op >= 0xa0 && op <= 0xa3) {
		bool store = op & 2;

		gen_clobber(g);
		if (!gen_linear(g, size, store))
			return false;
		m = gen_access(g, size, store);
		gen_commit(g);
		emit_op(&g->b, (size == 1 ? 0x88 : 0x89) | (store ? 0 : 2) | (size == 8 ? EO_W : size == 2 ? EO_16 : 0), HAX, m);
		return true;
	}
	if (op < 0xb0 || op > 0xbf)
		return false;
	if (i->o[0].high) {
		gen_commit(g);
		emit8(&g->b, (uint8_t)(0xb4 + i->o[0].reg));
		emit8(&g->b, (uint8_t)i->imm);
		return true;
	}
	if (host_of(i->o[0].reg) < 0) {
		if (size == 8 || size == 4) {
			emit_mov_imm(&g->b, T0, size == 8 ? i->imm : (uint32_t)i->imm);
			gen_commit(g);
			emit_store(&g->b, true, gpr_home(i->o[0].reg), T0);
			return true;
		}
		gen_commit(g);
		emit_op(&g->b, size == 1 ? 0xc6 : 0xc7 | EO_16, 0, gpr_home(i->o[0].reg));
		emit_bytes(&g->b, &i->imm, size);
		return true;
	}
	if (size == 8 || size == 4) {
		emit_mov_imm(&g->b, (unsigned)host_of(i->o[0].reg), size == 8 ? i->imm : (uint32_t)i->imm);
		return true;
	}
	emit_op(&g->b, size == 1 ? 0xc6 | EO_B_RM : 0xc7 | EO_16, 0, rm_reg(host_of(i->o[0].reg)));
	emit_bytes(&g->b, &i->imm, size);
	return true;
}

/* INC and DEC by their one-byte opcodes, which are REX prefixes on the host. */
static bool gen_inc_dec(struct gen *g)
{
	const struct insn *i = cur(g);

	if (i->map == 0 && i->opcode >= 0x40 && i->opcode <= 0x4f) {
		gen_flag_use(g);
		gen_commit(g);
		emit_op(&g->b, 0xff | (i->opsize == 2 ? EO_16 : 0), i->op == OP_DEC, rm_reg(host_of(i->o[0].reg)));
		return true;
	}
	return gen_copy(g, F_EXT, F_GPR, F_NONE);
}

static bool gen_lea(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned size = i->o[0].size;
	int to = host_of(i->o[0].reg);

	if (i->mem.vsib)
		return false;
	gen_offset(g, T0);
	gen_commit(g);
	if (size == 2) {
		if (to < 0)
			emit_op(&g->b, 0x89 | EO_16, T0, gpr_home(i->o[0].reg));
		else
			emit_op(&g->b, 0x8b | EO_16, (unsigned)to, rm_reg(T0));
		return true;
	}
	if (to < 0) {
		if (size == 4)
			emit_mov_rr(&g->b, false, T0, T0);
		emit_store(&g->b, true, gpr_home(i->o[0].reg), T0);
	} else {
		emit_mov_rr(&g->b, size == 8, (unsigned)to, T0);
	}
	return true;
}

/* LEA whose parts are all in registers goes there at once. */
static bool gen_lea_fast(struct gen *g)
{
	const struct insn *i = cur(g);
	int to = host_of(i->o[0].reg), base = -1, index = -1;

	if (to < 0 || i->mem.vsib || i->mem.base == REG_RIP || (i->addrsize == 2 && i->o[0].size != 2) || i->mem.moffs)
		return false;
	if (i->o[0].size == 8 && i->addrsize == 4)
		return false;
	if (i->mem.base != REG_NONE && (base = host_of(i->mem.base)) < 0)
		return false;
	if (i->mem.index != REG_NONE && (index = host_of(i->mem.index)) < 0)
		return false;
	if (base < 0 && index < 0)
		return false;
	emit_op(&g->b, 0x8d | (i->o[0].size == 8 ? EO_W : i->o[0].size == 2 ? EO_16 : 0), (unsigned)to,
		rm_index(base, index, (unsigned)__builtin_ctz(i->mem.scale | 16) & 3, i->mem.disp));
	return true;
}

static bool gen_xchg(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned size = i->o[0].size, other;
	int h;

	if (i->map == 0 && (i->opcode == 0x86 || i->opcode == 0x87))
		return gen_copy(g, F_GPR, F_GPR, F_NONE);
	if (i->opcode == 0x90 && !(i->rex & 1))
		return true;                    /* NOP */
	other = (i->opcode & 7) | (i->rex & 1 ? 8 : 0);
	h = host_of(other);
	gen_commit(g);
	if (h >= 0) {
		emit_op(&g->b, 0x87 | (size == 8 ? EO_W : size == 2 ? EO_16 : 0), HAX, rm_reg(h));
		return true;
	}
	emit_load(&g->b, true, T0, gpr_home(other));
	gen_commit(g);
	emit_op(&g->b, 0x87 | (size == 8 ? EO_W : size == 2 ? EO_16 : 0), HAX, rm_reg(T0));
	emit_store(&g->b, true, gpr_home(other), T0);
	return true;
}

/* BT family on memory with the bit number in a register: the operand may be far from the address. */
static bool gen_bt_far(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned size = i->opsize, shift = size == 8 ? 6 : size == 4 ? 5 : 4;
	int bit = host_of(i->o[1].reg);
	uint32_t op = i->opcode | 1 << 8 | (size == 8 ? EO_W : size == 2 ? EO_16 : 0) | (i->lock ? EO_LOCK : 0);

	/* CF is what it makes; the others must not be wanted, because masking the number changes them. */
	if (bit < 0 || g->need[g->k + 1] & ~1u || i->addrsize == 2 || !gen_flat(g, i->mem.seg, true))
		return false;
	gen_clobber(g);
	if (!gen_linear(g, size, true))
		return false;
	if (size == 8)
		emit_mov_rr(&g->b, true, T1, (unsigned)bit);
	else
		emit_op(&g->b, size == 4 ? 0x63 | EO_W : 0x1bf | EO_W, T1, rm_reg(bit));        /* MOVSXD, MOVSX */
	emit_op(&g->b, 0xc1 | EO_W, 7, rm_reg(T1));                     /* SAR */
	emit8(&g->b, (uint8_t)shift);
	emit_lea(&g->b, i->addrsize == 8, T0, rm_index(T0, T1, shift - 3, 0));
	emit_lea(&g->b, true, T0, gen_access(g, size, i->o[0].written));
	emit_mov_rr(&g->b, true, T1, (unsigned)bit);
	emit_alu_imm(&g->b, false, 4, rm_reg(T1), (int32_t)size * 8 - 1);
	g->fl = FL_HOST;
	gen_commit(g);
	emit_op(&g->b, op, T1, rm_base(T0, 0));
	return true;
}

static bool gen_df(struct gen *g, bool set)
{
	gen_clobber(g);
	gen_commit(g);
	emit_op(&g->b, 0x81, set ? 1 : 4, CPU(s.flags));
	emit32(&g->b, set ? FLAG_DF : ~(uint32_t)FLAG_DF);
	return true;
}

static bool gen_bswap(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned guest = i->o[0].reg;
	int h = host_of(guest);
	bool w = i->opsize == 8;

	if (i->opsize == 2)
		return false;
	if (h < 0)
		emit_load(&g->b, true, T0, gpr_home(guest));
	gen_commit(g);
	if (w || h < 0 || h >= 8)
		emit8(&g->b, (uint8_t)(0x40 | (w ? 8 : 0) | (h < 0 || h >= 8)));
	emit8(&g->b, 0x0f);
	emit8(&g->b, (uint8_t)(0xc8 | ((h < 0 ? T0 : h) & 7)));
	if (h < 0)
		emit_store(&g->b, true, gpr_home(guest), T0);
	return true;
}

bool gen_integer(struct gen *g)
{
	const struct insn *i = cur(g);

	switch (i->op) {
	case OP_ADD: case OP_OR: case OP_ADC: case OP_SBB: case OP_AND: case OP_SUB: case OP_XOR: case OP_CMP:
		if (i->has_modrm)
			return gen_copy(g, i->opcode >= 0x80 ? F_EXT : F_GPR, F_GPR, F_NONE);
		return gen_accumulator(g);
	case OP_TEST:
		if (i->has_modrm)
			return gen_copy(g, i->opcode >= 0xf6 ? F_EXT : F_GPR, F_GPR, F_NONE);
		return gen_accumulator(g);
	case OP_MOV: return gen_mov(g);
	case OP_INC: case OP_DEC: return gen_inc_dec(g);
	case OP_NOT: case OP_NEG: case OP_MUL: case OP_DIV: case OP_IDIV: case OP_SETCC:
	case OP_ROL: case OP_ROR: case OP_RCL: case OP_RCR: case OP_SHL: case OP_SHR: case OP_SAR:
	case OP_CMPXCHG8B: case OP_CMPXCHG16B:
		return gen_copy(g, F_EXT, F_GPR, F_NONE);
	case OP_IMUL:
		return gen_copy(g, i->map == 0 && i->opcode >= 0xf6 ? F_EXT : F_GPR, F_GPR, F_NONE);
	case OP_BT: case OP_BTS: case OP_BTR: case OP_BTC:
		if (i->opcode == 0xba)
			return gen_copy(g, F_EXT, F_GPR, F_NONE);
		if (i->modrm < 0xc0)
			return gen_bt_far(g);
		return gen_copy(g, F_GPR, F_GPR, F_NONE);
	case OP_MOVZX: case OP_MOVSX: case OP_MOVSXD: case OP_CMOVCC: case OP_SHLD: case OP_SHRD: case OP_BSF: case OP_BSR:
	case OP_TZCNT: case OP_LZCNT: case OP_POPCNT: case OP_XADD: case OP_CMPXCHG: case OP_MOVBE: case OP_CRC32:
	case OP_ADCX: case OP_ADOX: case OP_MOVNTI:
		return gen_copy(g, F_GPR, F_GPR, F_NONE);
	case OP_ANDN: case OP_BEXTR: case OP_BZHI: case OP_MULX: case OP_PDEP: case OP_PEXT: case OP_SARX: case OP_SHLX: case OP_SHRX:
		return gen_copy(g, F_GPR, F_GPR, F_GPR);
	case OP_BLSI: case OP_BLSMSK: case OP_BLSR:
		return gen_copy(g, F_EXT, F_GPR, F_GPR);
	case OP_RORX: return gen_copy(g, F_GPR, F_GPR, F_NONE);
	case OP_LEA: return gen_lea_fast(g) || gen_lea(g);
	case OP_XCHG: return gen_xchg(g);
	case OP_BSWAP: return gen_bswap(g);
	case OP_CBW: case OP_CWD:
		gen_raw(g, i->op == OP_CBW ? 0x98 : 0x99, i->opsize == 8, i->opsize == 2);
		return true;
	case OP_LAHF: case OP_SAHF: case OP_CLC: case OP_STC: case OP_CMC:
		gen_flag_use(g);
		gen_commit(g);
		emit8(&g->b, i->opcode);
		return true;
	case OP_CLD: return gen_df(g, false);
	case OP_STD: return gen_df(g, true);
	case OP_NOP: case OP_ENDBR32: case OP_ENDBR64:
	case OP_PREFETCH: case OP_PREFETCHW: case OP_PREFETCHWT1: case OP_PREFETCHNTA: case OP_PREFETCHT0: case OP_PREFETCHT1:
	case OP_PREFETCHT2:
		return true;
	case OP_LFENCE: case OP_MFENCE: case OP_SFENCE:
		emit8(&g->b, 0x0f);
		emit8(&g->b, 0xae);
		emit8(&g->b, i->op == OP_LFENCE ? 0xe8 : i->op == OP_MFENCE ? 0xf0 : 0xf8);
		return true;
	default:
		return false;
	}
}
