/* SPDX-License-Identifier: MIT */
/*
 * What all templates stand on: flags kept and brought back, addresses, the soft TLB in line, exits, and instructions that
 * are emitted as they are with their operands in new places.
 */
#include "cpu/xlat/gen.h"

/* --- flags ------------------------------------------------------------------------------------------------------ */

static uint32_t here(const struct gen *g) { return (uint32_t)(g->b.p - g->start); }

/* The byte of env.image that LAHF fills: SF ZF AF PF CF in their places, CF lowest. */
static struct rm image_ah(void) { return rm_gs((int32_t)offsetof(struct cpu, xe.image) + 1); }

/* What is dead may be anything, so that often less than all flags are kept. */
void gen_clobber(struct gen *g)
{
	static const uint8_t lahf_seto[] = { 0x9f, 0x0f, 0x90, 0xc0 };  /* LAHF; SETO AL */
	unsigned need = g->need[g->k];
	struct site *s = &g->site[g->k];

	if (g->fl == FL_SAVED || !need)
		return;
	if (need == FLAG_CF) {
		emit_op(&g->b, 0x192, 0, image_ah());                   /* SETC */
	} else {
		emit_mov_rr(&g->b, true, T1, HAX);
		emit_bytes(&g->b, lahf_seto, need & FLAG_OF ? 4 : 1);
		if (need & FLAG_OF)
			emit_store(&g->b, false, ENV(image), HAX);
		else
			emit_op(&g->b, 0x88, 4, image_ah());            /* MOV image, AH */
		emit_mov_rr(&g->b, true, HAX, T1);
	}
	g->fl = FL_SAVED;
	s->roll_from = s->roll_to = here(g);
	s->roll_saved = 1;
}

void gen_flags(struct gen *g)
{
	static const uint8_t back[] = { 0x04, 0x7f, 0x9e };             /* ADD AL, 7F; SAHF */
	unsigned need = g->need[g->k];

	if (g->fl == FL_HOST)
		return;
	g->fl = FL_HOST;
	if (!need)
		return;
	if (need == FLAG_CF) {
		emit_op(&g->b, 0x1ba, 4, ENV(image));                   /* BT image, 8 */
		emit8(&g->b, 8);
		return;
	}
	emit_mov_rr(&g->b, true, T1, HAX);
	if (need & FLAG_OF) {
		emit_load(&g->b, false, HAX, ENV(image));
		emit_bytes(&g->b, back, 3);
	} else {
		emit_op(&g->b, 0x8a, 4, image_ah());                    /* MOV AH, image */
		emit8(&g->b, 0x9e);
	}
	emit_mov_rr(&g->b, true, HAX, T1);
}

enum flags_for gen_flags_for(const struct gen *g)
{
	const struct insn *i = cur(g);

	if (g->fl == FL_HOST || !(i->flags.read || i->flags.written || i->flags.undefined))
		return FLAGS_STAY;
	if (i->flags.read || g->need[g->k + 1] & ~(unsigned)(i->flags.written | i->flags.undefined))
		return FLAGS_RESTORE;
	return FLAGS_FORGET;
}

void gen_flag_use(struct gen *g)
{
	enum flags_for use = gen_flags_for(g);

	if (use == FLAGS_RESTORE)
		gen_flags(g);
	else if (use == FLAGS_FORGET)
		g->fl = FL_HOST;
}

void gen_commit(struct gen *g)
{
	struct site *s = &g->site[g->k];

	s->commit = here(g);
	s->commit_saved = g->fl == FL_SAVED;
	/* With flags brought back in this instruction there is no going back to where they were in memory. */
	if (s->roll_saved == (g->fl == FL_SAVED) || !g->need[g->k])
		s->roll_to = here(g);
}

/* --- addresses -------------------------------------------------------------------------------------------------- */

static int in_reg(struct gen *g, unsigned guest, unsigned scratch)
{
	int h = host_of(guest);

	if (h >= 0)
		return h;
	emit_load(&g->b, true, scratch, gpr_home(guest));
	return (int)scratch;
}

static uint64_t cut(uint64_t a, unsigned size)
{
	return size == 8 ? a : size == 4 ? (uint32_t)a : (uint16_t)a;
}

void gen_offset(struct gen *g, unsigned to)
{
	const struct insn *i = cur(g);
	bool w = i->addrsize == 8;
	int base = -1, index = -1;
	unsigned to_cut = to;
	struct rm m;

	if (i->mem.moffs) {
		emit_mov_imm(&g->b, to, cut(i->imm, i->addrsize));
		return;
	}
	if (i->mem.base == REG_RIP) {
		emit_mov_imm(&g->b, to, cut(rip_behind(g) + (uint64_t)(int64_t)i->mem.disp, i->addrsize));
		return;
	}
	if (i->mem.base != REG_NONE)
		base = in_reg(g, i->mem.base, T0);
	if (i->mem.index != REG_NONE)
		index = in_reg(g, i->mem.index, T1);
	if (base < 0 && index < 0) {
		emit_mov_imm(&g->b, to, cut((uint64_t)(int64_t)i->mem.disp, i->addrsize));
		return;
	}
	m = rm_index(base, index, (unsigned)__builtin_ctz(i->mem.scale | 16) & 3, i->mem.disp);
	if (index < 0 && i->mem.disp == 0 && i->addrsize == 2) {
		to_cut = (unsigned)base;
	} else if (index < 0 && i->mem.disp == 0) {
		if (base != (int)to || !w)
			emit_mov_rr(&g->b, w, to, (unsigned)base);
	} else {
		emit_lea(&g->b, w, to, m);
	}
	if (i->addrsize == 2)
		emit_op(&g->b, 0x1b7, to, rm_reg((int)to_cut));         /* MOVZX to, to16 */
}

uint64_t gen_target(const struct gen *g, unsigned k)
{
	uint64_t to = g->rip + g->at[k + 1] + g->insn[k].imm;

	return g->wide ? to : g->insn[k].opsize == 2 ? (uint16_t)to : (uint32_t)to;
}

struct out *gen_check_page(struct gen *g, unsigned span, bool write)
{
	struct rm entry = { .reg = -1, .base = T1, .index = -1, .gs = true, .disp = gen_tlb(g, write) };
	struct out *o = &g->out[g->outs++];

	_Static_assert(sizeof(struct tlb_entry) == 16, "the rotation below");
	o->back = g->b.p;
	if (g->x->bmi2) {
		emit_vex(&g->b, 0xf203f0, false, T1, 0, rm_reg(T0));    /* RORX T1, T0, 8 */
		emit8(&g->b, 12 - 4);
	} else {
		emit_mov_rr(&g->b, false, T1, T0);
		emit_op(&g->b, 0xc1, 5, rm_reg(T1));                    /* SHR T1, 8 */
		emit8(&g->b, 12 - 4);
	}
	emit_alu_imm(&g->b, false, 4, rm_reg(T1), (TLB_SIZE - 1) * 16);
	emit_op(&g->b, 0x2b | EO_W, T0, entry);                         /* SUB T0, tag */
	emit_op(&g->b, 0x81 | EO_W, 7, rm_reg(T0));                     /* CMP T0, 4096 - span */
	emit32(&g->b, 4096 - span);
	o->from = emit_jcc(&g->b, 7);                                   /* JA */
	entry.disp += (int32_t)offsetof(struct tlb_entry, host);
	emit_load(&g->b, true, T1, entry);
	return o;
}

struct rm gen_access(struct gen *g, unsigned size, bool write)
{
	static const uint8_t log2_of[] = { [1] = 0, [2] = 1, [4] = 2, [8] = 3, [10] = 4, [16] = 4, [32] = 5 };
	struct out *o = gen_check_page(g, size, write);

	o->kind = write ? OUT_FILL_WRITE : OUT_FILL_READ;
	o->arg = (uint32_t)(g->k << ARG_SIZE_BITS | log2_of[size]);
	return rm_index(T0, T1, 0, 0);
}

void gen_fpu(struct gen *g, unsigned level)
{
	struct out *o;

	if (g->fpu >= level)
		return;
	gen_clobber(g);
	o = &g->out[g->outs++];
	o->kind = OUT_FPU;
	o->back = g->b.p;
	emit_op(&g->b, 0x80, 7, ENV(fpu));                              /* CMP env.fpu, level */
	emit8(&g->b, (uint8_t)level);
	o->from = emit_jcc(&g->b, 2);                                   /* JB */
	o->arg = (uint32_t)(g->k << ARG_SIZE_BITS | level);
	g->fpu = level;
}

/* --- exits ------------------------------------------------------------------------------------------------------ */

void gen_slow_if(struct gen *g, unsigned cc)
{
	struct out *o = &g->out[g->outs++];

	*o = (struct out){ .kind = OUT_SLOW, .from = emit_jcc(&g->b, cc), .arg = g->k << ARG_SIZE_BITS };
}

void gen_handler_if(struct gen *g, unsigned cc)
{
	struct out *o = &g->out[g->outs++];

	*o = (struct out){ .kind = OUT_LIGHT, .from = emit_jcc(&g->b, cc), .arg = g->k << ARG_SIZE_BITS };
}

void gen_exit(struct gen *g, int cc, uint64_t rip)
{
	struct link *l = &g->link[g->links];

	*l = (struct link){ .rip = rip, .insn = (uint8_t)g->k, .saved = g->fl == FL_SAVED };
	/* What begins at the end of a page may need the next one. */
	l->slot = !gen_same_page(g, rip) || ((rip + g->cs) & 0xfff) > 4096 - 15;
	g->link_field[g->links++] = cc >= 0 ? emit_jcc(&g->b, (unsigned)cc) : emit_jmp(&g->b);
}

void gen_indirect(struct gen *g)
{
	struct rm entry = { .reg = -1, .base = -1, .index = T1, .scale = 3, .gs = true };

	/* Where it came from, for a target that is no address. */
	emit_op(&g->b, 0xc7, 0, ENV(branch));
	emit32(&g->b, g->number << (ARG_INSN_BITS + ARG_SIZE_BITS) | g->k << ARG_SIZE_BITS);
	entry.disp = (int32_t)(offsetof(struct cpu, indirect) + sizeof(g->c->indirect[0]) * g->xb->ind);
	if (g->cs & 0xffff)
		emit_lea(&g->b, false, T1, rm_base(T0, (int32_t)(g->cs & 0xffff)));
	emit_op(&g->b, 0x1b7, T1, rm_reg(g->cs & 0xffff ? T1 : T0));    /* MOVZX (16 bits) */
	emit_op(&g->b, 0xff, 4, entry);
	g->ended = true;
}

/* --- instructions as they are ----------------------------------------------------------------------------------- */

struct fields {
	unsigned reg, rm, vvvv;
	uint8_t mod;
};

static struct fields fields_of(const struct gen *g)
{
	const struct insn *i = cur(g);
	const uint8_t *p = g->raw + g->at[g->k];
	unsigned rex = i->rex, vvvv = 0;

	if (i->vex) {
		while (*p != 0xc4 && *p != 0xc5)
			p++;
		rex = *p == 0xc5 ? (p[1] & 0x80 ? 0 : 4) : (p[1] & 0x80 ? 0 : 4) | (p[1] & 0x20 ? 0 : 1);
		vvvv = ~(unsigned)(*p == 0xc5 ? p[1] : p[2]) >> 3 & 15;
		if (!g->wide) {
			rex = 0;
			vvvv &= 7;
		}
	}
	return (struct fields){ (i->modrm >> 3 & 7) | (rex & 4 ? 8 : 0), (i->modrm & 7) | (rex & 1 ? 8 : 0), vvvv, i->modrm >> 6 };
}

/* Bytes of immediate behind ModRM and displacement. */
static unsigned imm_bytes(const struct insn *i)
{
	unsigned op = i->opcode;

	switch (i->map) {
	case 0:
		if (op == 0x80 || op == 0x82 || op == 0x83 || op == 0xc0 || op == 0xc1 || op == 0x6b || op == 0xc6)
			return 1;
		if (op == 0x81 || op == 0x69 || op == 0xc7)
			return i->opsize == 2 ? 2 : 4;
		if (op == 0xf6 && (i->modrm >> 3 & 7) < 2)
			return 1;
		if (op == 0xf7 && (i->modrm >> 3 & 7) < 2)
			return i->opsize == 2 ? 2 : 4;
		return 0;
	case 1:
		return (op >= 0x70 && op <= 0x73) || op == 0xa4 || op == 0xac || op == 0xba || op == 0xc2 || op == 0xc4 ||
		       op == 0xc5 || op == 0xc6;
	default:
		return i->map == 3;
	}
}

static uint32_t opcode_of(const struct insn *i)
{
	uint32_t op = i->opcode | (uint32_t)i->map << 8 | (uint32_t)i->mandatory << 16;
	unsigned o = i->opcode;

	if (i->vex)
		return op | (i->vex_w ? EO_W : 0);
	if (op == 0x82)                 /* 80 in another place, which 64-bit mode lacks */
		op = 0x80;
	/* What the guest's processor does not have and reads as its older twin. */
	if ((i->op == OP_BSF || i->op == OP_BSR) && i->mandatory)
		op &= ~(0xffu << 16);
	if (i->rex & 8)
		op |= EO_W;
	else if (i->opsize == 2 && i->mandatory != 0x66 && i->op != OP_MOVNTI && !(i->traits & (INSN_X87 | INSN_MMX | INSN_SSE)))
		op |= EO_16;
	if (i->lock)
		op |= EO_LOCK;
	if (i->map == 0 && ((o < 0x40 && !(o & 1)) || o == 0x84 || o == 0x86 || o == 0x88 || o == 0x8a))
		op |= EO_B_REG | EO_B_RM;
	else if (i->map == 1 && (o == 0xb0 || o == 0xc0))
		op |= EO_B_REG | EO_B_RM;
	else if (i->map == 0 && (o == 0x80 || o == 0x82 || o == 0xc0 || o == 0xc6 || o == 0xd0 || o == 0xd2 || o == 0xf6 || o == 0xfe))
		op |= EO_B_RM;
	else if ((i->map == 1 && ((o >= 0x90 && o <= 0x9f) || o == 0xb6 || o == 0xbe)) ||
		 (i->map == 2 && o == 0xf0 && i->mandatory == 0xf2))
		op |= EO_B_RM;
	return op;
}

/* Of the operands: whether a general register is written. */
static bool is_written(const struct insn *i, unsigned guest)
{
	unsigned k;

	for (k = 0; k < i->operands; k++)
		if (i->o[k].kind == OPD_GPR && i->o[k].reg == guest && i->o[k].written)
			return true;
	return false;
}

/* Whether its old value counts: it is read, or written in part. */
static bool is_wanted(const struct insn *i, unsigned guest)
{
	unsigned k;

	for (k = 0; k < i->operands; k++)
		if (i->o[k].kind == OPD_GPR && i->o[k].reg == guest && (i->o[k].read || i->o[k].size < 4))
			return true;
	return false;
}

/*
 * Whether the r/m operand, a register that lives in memory, can be named there.  Not where memory means something else than a
 * register (bit strings, XCHG's lock), nor where the upper half is to be cleared.
 */
static bool is_at_home(const struct insn *i, unsigned guest)
{
	unsigned k;

	if (i->traits & (INSN_SSE | INSN_AVX | INSN_MMX) || i->op == OP_XCHG || i->op == OP_XADD || i->op == OP_CMPXCHG || i->op == OP_MOVBE ||
	    ((i->op == OP_BT || i->op == OP_BTS || i->op == OP_BTR || i->op == OP_BTC) && i->opcode != 0xba))
		return false;
	for (k = 0; k < i->operands; k++)
		if (i->o[k].kind == OPD_GPR && i->o[k].reg == guest && i->o[k].written && i->o[k].size == 4)
			return false;
	return true;
}

/* Forms of two registers that can be written either way round. */
static bool has_twin(const struct insn *i)
{
	return i->map == 0 && ((i->opcode < 0x40 && (i->opcode & 7) < 4) || (i->opcode >= 0x88 && i->opcode <= 0x8b));
}

static bool any_high(const struct insn *i)
{
	unsigned k;

	for (k = 0; k < i->operands; k++)
		if (i->o[k].kind == OPD_GPR && i->o[k].high)
			return true;
	return false;
}

/* XCHG of a register's two low bytes: AL and AH, and so on. */
static void gen_swap_bytes(struct gen *g, unsigned reg)
{
	emit8(&g->b, 0x86);
	emit8(&g->b, (uint8_t)(0xc0 | (reg + 4) << 3 | reg));
}

static void emit_it(struct gen *g, uint32_t op, unsigned reg, unsigned vvvv, struct rm m)
{
	const struct insn *i = cur(g);
	unsigned n = imm_bytes(i);

	if (i->vex)
		emit_vex(&g->b, op, i->vex_l, reg, vvvv, m);
	else
		emit_op(&g->b, op, reg, m);
	if (i->vex && !g->wide && i->map == 3 && i->opcode >= 0x4a && i->opcode <= 0x4c)
		emit8(&g->b, g->raw[g->at[g->k + 1] - 1] & 0x7f);       /* the register number's top bit does not count there */
	else if (n)
		emit_bytes(&g->b, g->raw + g->at[g->k + 1] - n, n);
}

bool gen_copy(struct gen *g, enum field reg, enum field rm, enum field vvvv)
{
	const struct insn *i = cur(g);
	struct fields f = fields_of(g);
	bool memory = f.mod != 3, high = any_high(i), swap = false, home = false;
	enum flags_for use;
	uint32_t op = opcode_of(i);
	unsigned spilled[3], at[3], n = 0, k, free_at = T0, hreg = f.reg, hvvvv = f.vvvv, hrm = f.rm, swapped = 0;
	struct rm m = rm_reg(0);

	/* High bytes are numbered 4 to 7 in the encoding, and mean 0 to 3. */
	bool high_reg = high && reg == F_GPR && op & EO_B_REG && f.reg >= 4;
	bool high_rm = high && rm == F_GPR && !memory && op & EO_B_RM && f.rm >= 4;

	/* Below 64 bits, VEX.W does not make general registers wider. */
	if (!g->wide && (reg == F_GPR || rm == F_GPR || vvvv == F_GPR || i->op == OP_PCMPESTRI || i->op == OP_PCMPESTRM))
		op &= ~(uint32_t)EO_W;
	if (!memory && !high && reg == F_GPR && rm == F_GPR && host_of(f.reg) < 0 && host_of(f.rm) >= 0 && has_twin(i)) {
		unsigned other = f.reg;

		f.reg = hreg = f.rm;
		f.rm = hrm = other;
		op ^= 2;
	}
	if (rm == F_GPR && !memory && !high && host_of(f.rm) < 0 && is_at_home(i, f.rm) && (reg != F_GPR || f.reg != f.rm) &&
	    (vvvv != F_GPR || f.vvvv != f.rm)) {
		home = true;
		m = gpr_home(f.rm);
	}
	for (k = 0; k < i->operands; k++)
		if (i->o[k].kind == OPD_MEM && (!i->o[k].size || i->o[k].size > 32))
			return false;
	if (reg == F_GPR && !high_reg && host_of(f.reg) < 0)
		spilled[n++] = f.reg;
	if (rm == F_GPR && !memory && !home && !high_rm && host_of(f.rm) < 0 && !(n && spilled[0] == f.rm))
		spilled[n++] = f.rm;
	if (vvvv == F_GPR && host_of(f.vvvv) < 0 && !(n && spilled[0] == f.vvvv) && !(n > 1 && spilled[1] == f.vvvv))
		spilled[n++] = f.vvvv;
	if (n > (memory ? 1u : 2u))
		return false;

	if (memory) {
		const struct operand *o = &i->o[i->mem_op];

		if (!gen_place(g, 0, PLACE_MEM, o->size, o->written, &m))
			return false;
		if ((n || gen_flags_for(g) == FLAGS_RESTORE) && m.index >= 0) {
			emit_lea(&g->b, true, T0, m);
			m = rm_base(T0, 0);
		}
		free_at = T1;
	}
	use = gen_flags_for(g);
	if (use == FLAGS_RESTORE)
		gen_flags(g);
	for (k = 0; k < n; k++, free_at++) {
		at[k] = free_at;
		if (is_wanted(i, spilled[k]))
			emit_load(&g->b, true, free_at, gpr_home(spilled[k]));
	}
	if (reg == F_GPR && !high_reg)
		hreg = host_of(f.reg) >= 0 ? (unsigned)host_of(f.reg) : spilled[0] == f.reg ? at[0] : at[1];
	if (rm == F_GPR && !memory && !home && !high_rm)
		hrm = host_of(f.rm) >= 0 ? (unsigned)host_of(f.rm) : spilled[0] == f.rm ? at[0] : at[1];
	if (vvvv == F_GPR)
		hvvvv = host_of(f.vvvv) >= 0 ? (unsigned)host_of(f.vvvv) : spilled[0] == f.vvvv ? at[0] : at[1];
	if (!memory && !home)
		m = rm_reg((int)hrm);
	if (high) {
		if (emit_needs_rex(op, hreg, &m) || (!high_reg && op & EO_B_REG && hreg >= 4) ||
		    (!high_rm && !memory && op & EO_B_RM && hrm >= 4)) {
			swapped = (high_reg ? f.reg : f.rm) - 4;
			if ((high_reg && high_rm) || i->op == OP_CMPXCHG)
				return false;
			swap = true;
		} else {
			op |= EO_HIGH;
		}
	}
	gen_commit(g);
	if (use == FLAGS_FORGET)        /* not before: it may yet fault, and go to the interpreter with what was saved */
		g->fl = FL_HOST;
	if (swap) {
		gen_swap_bytes(g, swapped);
		if (high_reg)
			hreg = swapped;
		if (high_rm)
			m = rm_reg((int)swapped);
	}
	emit_it(g, op, hreg, hvvvv, m);
	if (swap)
		gen_swap_bytes(g, swapped);
	for (k = 0; k < n; k++)
		if (is_written(i, spilled[k]))
			emit_store(&g->b, true, gpr_home(spilled[k]), at[k]);
	return true;
}
