/* SPDX-License-Identifier: MIT */
/*
 * Specialised forms of the frequent integer instructions, by operand form and width.
 *
 * A form does only the plain case: segments flat (or FS/GS with a base), a TLB hit within a page.  Whatever else comes up,
 * it hands the whole instruction, untouched, to the generic handler (hot_miss), which also fills the TLB.  So these are
 * leaves: they call nothing but, at the end, the next form, and the compiler keeps their state in registers.
 */
#pragma GCC optimize("no-tree-slp-vectorize")    /* two stores of one value are faster than one vector made of it */

#include "cpu/interp/hot.h"

#include "base/bytes.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

typedef struct block *run_fn(struct cpu *c, const struct uop *u);

#define UNLIKELY(x) __builtin_expect((x), 0)
#define HANDLER(name) static struct block *name(struct cpu *c, const struct uop *u)
#define NEXT return u[1].run(c, u + 1)
#define MISS hot_miss
#define MISS_END hot_miss_end
#define CANONICAL(a) ((uint64_t)((int64_t)((uint64_t)(a) << 16) >> 16) == (uint64_t)(a))

/* Offset of the memory operand, and with the segment's base. */
#define ADDRESS ((c->s.gpr[u->base] + (c->s.gpr[u->index] << u->shift) + (uint64_t)(int64_t)u->disp) & c->addr_mask)
#define LINEAR ((c->s.gpr[u->base] + (c->s.gpr[u->index] << u->shift) + (uint64_t)(int64_t)u->disp + \
		 c->flat_base[u->seg]) & c->addr_mask)

#define LOAD_AT(at, v, otherwise) do { \
	const struct tlb_entry *entry_ = &c->tlb->e[TLB_READ][(at) >> 12 & (TLB_SIZE - 1)]; \
	uint64_t offset_ = (at) - entry_->tag; \
	if (UNLIKELY(offset_ > 4096 - sizeof(v))) \
		return otherwise(c, u); \
	memcpy(&(v), entry_->host + offset_, sizeof(v)); \
} while (0)
#define STORE_AT(at, type, v, otherwise) do { \
	const struct tlb_entry *entry_ = &c->tlb->e[TLB_WRITE][(at) >> 12 & (TLB_SIZE - 1)]; \
	uint64_t offset_ = (at) - entry_->tag; \
	type value_ = (v); \
	if (UNLIKELY(offset_ > 4096 - sizeof(value_))) \
		return otherwise(c, u); \
	memcpy(entry_->host + offset_, &value_, sizeof(value_)); \
} while (0)
#define LOAD(v) uint64_t at_ = LINEAR; LOAD_AT(at_, v, MISS)
#define STORE(type, v) uint64_t at_ = LINEAR; STORE_AT(at_, type, v, MISS)
/* Load what BACK() stores again; only_load forms need no write tag. */
#define MODIFY(v, write_back) \
	uint64_t at_ = LINEAR; \
	const struct tlb_entry *entry_ = &c->tlb->e[(write_back) ? TLB_WRITE : TLB_READ][at_ >> 12 & (TLB_SIZE - 1)]; \
	uint64_t offset_ = at_ - entry_->tag; \
	if (UNLIKELY(offset_ > 4096 - sizeof(v))) \
		return hot_miss(c, u); \
	memcpy(&(v), entry_->host + offset_, sizeof(v))
#define BACK(v) memcpy(entry_->host + offset_, &(v), sizeof(v))

/* Where a direct branch goes; r2: the target lies in the block's page. */
#define TARGET(u) ((c->s.gpr[17] + (uint64_t)(int64_t)(u)->disp) & c->addr_mask)
#define GO(u) do { \
	uint64_t to_ = TARGET(u); \
	return (u)->r2 ? hot_goto(c, 1, to_) : hot_jump(c, to_); \
} while (0)
#define FALL(u) return hot_goto(c, 0, (c->s.gpr[17] + (u)->offset + (u)->len) & c->addr_mask)

/* Flat code: RIP is the linear address. */
static inline struct block *hot_jump(struct cpu *c, uint64_t rip)
{
	const struct jump *j = &c->jumps[jump_slot(rip)];

	c->s.rip = rip;
	if (UNLIKELY(j->linear != rip || j->tag != c->jump_tag || !j->block->valid))
		return NULL;
	c->s.gpr[17] = rip;
	c->block = j->block;
	return j->block;
}

#define W 8
#define U uint8_t
#define S int8_t
#include "cpu/interp/hot_width.h"
#define W 16
#define U uint16_t
#define S int16_t
#include "cpu/interp/hot_width.h"
#define W 32
#define U uint32_t
#define S int32_t
#include "cpu/interp/hot_width.h"
#define W 64
#define U uint64_t
#define S int64_t
#include "cpu/interp/hot_width.h"

HANDLER(nop) { NEXT; }
HANDLER(cwde) { c->s.gpr[RAX] = (uint32_t)(int16_t)c->s.gpr[RAX]; NEXT; }
HANDLER(cdqe) { c->s.gpr[RAX] = (uint64_t)(int64_t)(int32_t)c->s.gpr[RAX]; NEXT; }
HANDLER(cdq) { c->s.gpr[RDX] = (uint32_t)((int32_t)c->s.gpr[RAX] >> 31); NEXT; }
HANDLER(cqo) { c->s.gpr[RDX] = (uint64_t)((int64_t)c->s.gpr[RAX] >> 63); NEXT; }
HANDLER(jmp_rel) { GO(u); }

/* --- conditions ------------------------------------------------------------------------------------------------- */

#define CC_O get_of(c)
#define CC_B get_cf(c)
#define CC_Z get_zf(c)
#define CC_BE (get_cf(c) || get_zf(c))
#define CC_S get_sf(c)
#define CC_P get_pf(c)
#define CC_L ((int64_t)(c->s.cc_s ^ c->s.cc_c ^ c->s.cc_c << 1) < 0)
#define CC_LE (get_zf(c) || CC_L)
#define CONDITIONS(X) X(0, CC_O) X(1, !CC_O) X(2, CC_B) X(3, !CC_B) X(4, CC_Z) X(5, !CC_Z) X(6, CC_BE) X(7, !CC_BE) X(8, CC_S) \
	X(9, !CC_S) X(10, CC_P) X(11, !CC_P) X(12, CC_L) X(13, !CC_L) X(14, CC_LE) X(15, !CC_LE)

#define FORMS(n, cond) \
HANDLER(jcc_##n) { if (cond) GO(u); FALL(u); } \
HANDLER(setcc_r_##n) { ((uint8_t *)c->s.gpr)[u->r] = (cond); NEXT; } \
HANDLER(setcc_m_##n) { STORE(uint8_t, (cond)); NEXT; } \
HANDLER(cmov_rr32_##n) { c->s.gpr[u->r] = (uint32_t)c->s.gpr[(cond) ? u->r2 : u->r]; NEXT; } \
HANDLER(cmov_rr64_##n) { c->s.gpr[u->r] = c->s.gpr[(cond) ? u->r2 : u->r]; NEXT; } \
HANDLER(cmov_rm32_##n) { uint32_t v; LOAD(v); c->s.gpr[u->r] = (cond) ? v : (uint32_t)c->s.gpr[u->r]; NEXT; } \
HANDLER(cmov_rm64_##n) { uint64_t v; LOAD(v); c->s.gpr[u->r] = (cond) ? v : c->s.gpr[u->r]; NEXT; }
CONDITIONS(FORMS)
#define ROW(n, cond) { jcc_##n, setcc_r_##n, setcc_m_##n, cmov_rr32_##n, cmov_rr64_##n, cmov_rm32_##n, cmov_rm64_##n },
static run_fn *const conditional[16][7] = { CONDITIONS(ROW) };

/* --- a comparison and the branch on it, as one ------------------------------------------------------------------ */

/*
 * The branch is still there as a uop of its own, for when the first half must be done by its generic handler; the pair takes
 * its fields from it.
 */
#define BRANCH(cond) do { \
	u++; \
	if (cond) \
		GO(u); \
	FALL(u); \
} while (0)
#define SUB_FLAGS(W_, U_, S_) \
	r = (U_)(a - b); \
	k = (U_)((~a & b) | (~(a ^ b) & r)); \
	c->s.cc_z = c->s.cc_s = (uint64_t)(int64_t)(S_)r; \
	c->s.cc_c = (uint64_t)k << (64 - (W_)) | (k & ((W_) < 32 ? 8 : (U_)-1))
#define AND_FLAGS(S_) \
	c->s.cc_z = c->s.cc_s = (uint64_t)(int64_t)(S_)r; \
	c->s.cc_c = 0
#define REG(U_, x) (sizeof(U_) == 1 ? (U_)((const uint8_t *)c->s.gpr)[x] : (U_)c->s.gpr[x])
#define PAIR(n, W_, U_, S_, cmp_cond, test_cond) \
HANDLER(cmp_rr_jcc_##n##_##W_) { U_ a = REG(U_, u->r), b = REG(U_, u->r2), r, k; SUB_FLAGS(W_, U_, S_); BRANCH(cmp_cond); } \
HANDLER(cmp_ri_jcc_##n##_##W_) { U_ a = REG(U_, u->r), b = (U_)u->imm, r, k; SUB_FLAGS(W_, U_, S_); BRANCH(cmp_cond); } \
HANDLER(cmp_rm_jcc_##n##_##W_) { U_ a = REG(U_, u->r), b, r, k; LOAD(b); SUB_FLAGS(W_, U_, S_); BRANCH(cmp_cond); } \
HANDLER(cmp_mr_jcc_##n##_##W_) { U_ a, b = REG(U_, u->r2), r, k; LOAD(a); SUB_FLAGS(W_, U_, S_); BRANCH(cmp_cond); } \
HANDLER(cmp_mi_jcc_##n##_##W_) { U_ a, b = (U_)u->imm, r, k; LOAD(a); SUB_FLAGS(W_, U_, S_); BRANCH(cmp_cond); } \
HANDLER(test_rr_jcc_##n##_##W_) { U_ r = (U_)(REG(U_, u->r) & REG(U_, u->r2)); AND_FLAGS(S_); BRANCH(test_cond); } \
HANDLER(test_ri_jcc_##n##_##W_) { U_ r = (U_)(REG(U_, u->r) & (U_)u->imm); AND_FLAGS(S_); BRANCH(test_cond); } \
HANDLER(test_mi_jcc_##n##_##W_) { U_ r; LOAD(r); r &= (U_)u->imm; AND_FLAGS(S_); BRANCH(test_cond); }
#define PAIRS(W_, U_, S_) \
	PAIR(2, W_, U_, S_, a < b, false) PAIR(3, W_, U_, S_, a >= b, true) \
	PAIR(4, W_, U_, S_, a == b, r == 0) PAIR(5, W_, U_, S_, a != b, r != 0) \
	PAIR(6, W_, U_, S_, a <= b, r == 0) PAIR(7, W_, U_, S_, a > b, r != 0) \
	PAIR(8, W_, U_, S_, (S_)r < 0, (S_)r < 0) PAIR(9, W_, U_, S_, (S_)r >= 0, (S_)r >= 0) \
	PAIR(12, W_, U_, S_, (S_)a < (S_)b, (S_)r < 0) PAIR(13, W_, U_, S_, (S_)a >= (S_)b, (S_)r >= 0) \
	PAIR(14, W_, U_, S_, (S_)a <= (S_)b, (S_)r <= 0) PAIR(15, W_, U_, S_, (S_)a > (S_)b, (S_)r > 0)
PAIRS(8, uint8_t, int8_t)
PAIRS(32, uint32_t, int32_t)
PAIRS(64, uint64_t, int64_t)

#define PAIR_ROW(n, W_) [n] = { cmp_rr_jcc_##n##_##W_, cmp_ri_jcc_##n##_##W_, cmp_rm_jcc_##n##_##W_, cmp_mr_jcc_##n##_##W_, \
				cmp_mi_jcc_##n##_##W_, test_rr_jcc_##n##_##W_, test_ri_jcc_##n##_##W_, test_mi_jcc_##n##_##W_ },
#define PAIR_ROWS(W_) { PAIR_ROW(2, W_) PAIR_ROW(3, W_) PAIR_ROW(4, W_) PAIR_ROW(5, W_) PAIR_ROW(6, W_) PAIR_ROW(7, W_) \
			PAIR_ROW(8, W_) PAIR_ROW(9, W_) PAIR_ROW(12, W_) PAIR_ROW(13, W_) PAIR_ROW(14, W_) PAIR_ROW(15, W_) }
static run_fn *const pairs[3][16][8] = { PAIR_ROWS(8), PAIR_ROWS(32), PAIR_ROWS(64) };

/* What comes first in a pair, in the order of a row of `pairs`. */
static run_fn *const firsts[3][8] = {
	{ cmp_rr_8, cmp_ri_8, cmp_rm_8, cmp_mr_8, cmp_mi_8, test_rr_8, test_ri_8, test_mi_8 },
	{ cmp_rr_32, cmp_ri_32, cmp_rm_32, cmp_mr_32, cmp_mi_32, test_rr_32, test_ri_32, test_mi_32 },
	{ cmp_rr_64, cmp_ri_64, cmp_rm_64, cmp_mr_64, cmp_mi_64, test_rr_64, test_ri_64, test_mi_64 },
};

void hot_fuse(struct block *b)
{
	struct uop *u;
	unsigned cc, w, k;

	if (b->n < 2)
		return;
	u = &b->uops[b->n - 2];
	for (cc = 0; cc < 16 && u[1].run != conditional[cc][0]; cc++)
		;
	if (cc == 16)
		return;
	for (w = 0; w < 3; w++)
		for (k = 0; k < 8; k++)
			if (u->run == firsts[w][k] && pairs[w][cc][k]) {
				u->run = pairs[w][cc][k];
				return;
			}
}

/* --- choosing --------------------------------------------------------------------------------------------------- */

/* Fill in the memory operand; false: not the plain kind.  `linear`: segments count (not LEA). */
static bool set_memory(struct uop *u, const struct insn *i, uint32_t key, bool linear)
{
	unsigned native = (key & KEY_CODE) == KEY_64 ? 8 : 4;
	int64_t disp = i->mem.disp;

	if (i->addrsize != native || i->mem.vsib)
		return false;
	if (linear) {
		if (!(key & KEY_FLAT))
			return false;
		if ((i->mem.seg == SEG_FS && !(key & KEY_FS)) || (i->mem.seg == SEG_GS && !(key & KEY_GS)) ||
		    (i->mem.seg == SEG_CS && native != 8))
			return false;
	}
	if (i->mem.moffs) {
		disp = (int64_t)i->imm;
		if (native == 4)
			disp = (int32_t)disp;
	}
	u->base = i->mem.base == REG_NONE || i->mem.moffs ? 16 : i->mem.base;
	if (i->mem.base == REG_RIP) {
		u->base = 17;
		disp += u->offset + i->len;
	}
	u->index = i->mem.index == REG_NONE || i->mem.moffs ? 16 : i->mem.index;
	u->shift = u->index == 16 ? 0 : (uint8_t)__builtin_ctz(i->mem.scale);
	u->seg = i->mem.seg;
	u->disp = (int32_t)disp;
	return disp == (int32_t)disp && u->seg < 6;
}

static uint8_t reg_of(const struct operand *o)
{
	return o->size == 1 ? (uint8_t)(o->reg * 8 + o->high) : o->reg;
}

static unsigned width_index(unsigned size)
{
	return (unsigned)__builtin_ctz(size);
}

enum { FORM_RR, FORM_RI, FORM_RM, FORM_MR, FORM_MI, FORM_NONE };

static unsigned binary_form(struct uop *u, const struct insn *i, uint32_t key)
{
	const struct operand *d = &i->o[0], *s = &i->o[1];

	if (i->operands != 2)
		return FORM_NONE;
	if (d->kind == OPD_GPR)
		u->r = reg_of(d);
	if (s->kind == OPD_GPR)
		u->r2 = reg_of(s);
	if (s->kind == OPD_IMM)
		u->imm = i->imm;
	if (d->kind == OPD_GPR && s->kind == OPD_GPR)
		return FORM_RR;
	if (d->kind == OPD_GPR && s->kind == OPD_IMM)
		return FORM_RI;
	if (d->kind == OPD_GPR && s->kind == OPD_MEM)
		return set_memory(u, i, key, true) ? FORM_RM : FORM_NONE;
	if (d->kind == OPD_MEM && s->kind == OPD_GPR)
		return set_memory(u, i, key, true) ? FORM_MR : FORM_NONE;
	if (d->kind == OPD_MEM && s->kind == OPD_IMM)
		return set_memory(u, i, key, true) ? FORM_MI : FORM_NONE;
	return FORM_NONE;
}

static run_fn *choose_binary(struct uop *u, const struct insn *i, uint32_t key, unsigned row)
{
	unsigned form = binary_form(u, i, key);

	if (form == FORM_NONE || i->o[0].size > 8)
		return NULL;
	switch (i->o[0].size) {
	case 1: return binary_8[row][form];
	case 2: return binary_16[row][form];
	case 4: return binary_32[row][form];
	case 8: return binary_64[row][form];
	default: return NULL;
	}
}

static run_fn *choose_unary(struct uop *u, const struct insn *i, uint32_t key, unsigned row)
{
	bool memory = i->o[0].kind == OPD_MEM;

	if (memory && !set_memory(u, i, key, true))
		return NULL;
	u->r = reg_of(&i->o[0]);
	switch (i->o[0].size) {
	case 1: return unary_8[row][memory];
	case 2: return unary_16[row][memory];
	case 4: return unary_32[row][memory];
	default: return unary_64[row][memory];
	}
}

static run_fn *choose_shift(struct uop *u, const struct insn *i)
{
	static run_fn *const by_cl[3][2] = { { shl_rc_32, shl_rc_64 }, { shr_rc_32, shr_rc_64 }, { sar_rc_32, sar_rc_64 } };
	unsigned size = i->o[0].size, row = i->op == OP_SHL ? 0 : i->op == OP_SHR ? 1 : 2;

	if (i->o[0].kind != OPD_GPR)
		return NULL;
	u->r = reg_of(&i->o[0]);
	if (i->o[1].kind == OPD_GPR)
		return size >= 4 ? by_cl[row][size == 8] : NULL;
	u->imm = i->imm & (size == 8 ? 63 : 31);
	if (!u->imm || u->imm >= 8 * size)
		return NULL;
	switch (size) {
	case 1: return shift_8[row];
	case 2: return shift_16[row];
	case 4: return shift_32[row];
	default: return shift_64[row];
	}
}

static run_fn *choose_rotate(struct uop *u, const struct insn *i)
{
	unsigned size = i->o[0].size;

	if (i->o[0].kind != OPD_GPR || size < 4 || i->o[1].kind != OPD_IMM)
		return NULL;
	u->r = reg_of(&i->o[0]);
	u->imm = i->imm & (8 * size - 1);
	if (!u->imm)
		return NULL;
	if (i->op == OP_ROL)
		return size == 4 ? rol_ri_32 : rol_ri_64;
	return size == 4 ? ror_ri_32 : ror_ri_64;
}

static run_fn *choose_extend(struct uop *u, const struct insn *i, uint32_t key)
{
	static run_fn *const forms[2][2][2][3] = {      /* [sign][memory][64-bit][source width] */
		{ { { movzx8_rr_32, movzx16_rr_32, mov_rr_32 }, { movzx8_rr_64, movzx16_rr_64, mov_rr_32 } },
		  { { movzx8_rm_32, movzx16_rm_32, mov_rm_32 }, { movzx8_rm_64, movzx16_rm_64, mov_rm_32 } } },
		{ { { movsx8_rr_32, movsx16_rr_32, mov_rr_32 }, { movsx8_rr_64, movsx16_rr_64, movsx32_rr_64 } },
		  { { movsx8_rm_32, movsx16_rm_32, mov_rm_32 }, { movsx8_rm_64, movsx16_rm_64, movsx32_rm_64 } } },
	};
	bool memory = i->o[1].kind == OPD_MEM;

	if (i->o[0].size < 4 || i->o[1].size > 4 || (memory && !set_memory(u, i, key, true)))
		return NULL;
	u->r = i->o[0].reg;
	u->r2 = reg_of(&i->o[1]);
	return forms[i->op != OP_MOVZX][memory][i->o[0].size == 8][width_index(i->o[1].size)];
}

static run_fn *choose_imul(struct uop *u, const struct insn *i, uint32_t key)
{
	bool wide = i->o[0].size == 8;

	if (i->operands < 2 || i->o[0].size < 4)
		return NULL;
	u->r = i->o[0].reg;
	if (i->o[1].kind == OPD_GPR) {
		u->r2 = i->o[1].reg;
		if (i->operands == 2)
			return wide ? imul_rr_64 : imul_rr_32;
		u->imm = i->imm;
		return wide ? imul_rri_64 : imul_rri_32;
	}
	if (i->operands != 2 || !set_memory(u, i, key, true))
		return NULL;
	return wide ? imul_rm_64 : imul_rm_32;
}

static run_fn *choose_bt(struct uop *u, const struct insn *i)
{
	if (i->o[0].kind != OPD_GPR || i->opsize < 4)
		return NULL;
	u->r = i->o[0].reg;
	if (i->o[1].kind == OPD_GPR) {
		u->r2 = i->o[1].reg;
		return i->opsize == 8 ? bt_rr_64 : bt_rr_32;
	}
	u->imm = i->imm & (8u * i->opsize - 1);
	return i->opsize == 8 ? bt_ri_64 : bt_ri_32;
}

static run_fn *choose_stack(struct uop *u, const struct insn *i, uint32_t key)
{
	bool wide = (key & KEY_CODE) == KEY_64;

	/* Stack, operand and code of one width, on a flat stack. */
	if (!(key & KEY_FLAT) || !(key & KEY_STACK32) || (key & KEY_CODE) == KEY_16 || i->opsize != (wide ? 8 : 4))
		return NULL;
	if (i->op == OP_LEAVE)
		return wide ? leave_64 : leave_32;
	if (i->o[0].kind == OPD_GPR) {
		u->r = i->o[0].reg;
		if (i->op == OP_PUSH)
			return wide ? push_r_64 : push_r_32;
		return wide ? pop_r_64 : pop_r_32;
	}
	if (i->op != OP_PUSH)
		return NULL;
	if (i->o[0].kind == OPD_IMM) {
		u->imm = i->imm;
		return wide ? push_i_64 : push_i_32;
	}
	if (i->o[0].kind == OPD_MEM && set_memory(u, i, key, true))
		return wide ? push_m_64 : push_m_32;
	return NULL;
}

static run_fn *choose_conditional(struct uop *u, const struct insn *i, uint32_t key)
{
	bool memory = i->op == OP_SETCC ? i->o[0].kind == OPD_MEM : i->o[1].kind == OPD_MEM;

	if (memory && !set_memory(u, i, key, true))
		return NULL;
	u->r = reg_of(&i->o[0]);
	if (i->op == OP_SETCC)
		return conditional[i->cc][1 + memory];
	if (i->o[0].size < 4)
		return NULL;
	u->r2 = i->o[1].reg;
	return conditional[i->cc][3 + 2 * memory + (i->o[0].size == 8)];
}

/* Near branches of flat code with a RIP as wide as the code. */
static run_fn *choose_branch(struct uop *u, const struct insn *i, uint32_t key, unsigned page_offset)
{
	bool wide = (key & KEY_CODE) == KEY_64;
	int64_t to;

	if (!(key & KEY_FLAT) || (key & KEY_CODE) == KEY_16 || i->opsize != (wide ? 8 : 4))
		if (!(wide && (i->op == OP_JCC || i->op == OP_JMP) && i->o[0].kind == OPD_REL))
			return NULL;
	if ((i->op == OP_CALL || i->op == OP_RET) && !(key & KEY_STACK32))
		return NULL;
	if (i->op == OP_RET)
		return i->operands ? NULL : wide ? ret_64 : ret_32;
	if (i->o[0].kind == OPD_REL) {
		to = (int64_t)i->imm + u->offset + i->len;
		if (to != (int32_t)to)
			return NULL;
		u->disp = (int32_t)to;
		u->r2 = page_offset + to >= 0 && page_offset + to < 4096;
		if (i->op == OP_JCC)
			return conditional[i->cc][0];
		if (i->op == OP_JMP)
			return jmp_rel;
		return wide ? call_rel_64 : call_rel_32;
	}
	if (i->o[0].kind == OPD_GPR) {
		u->r = i->o[0].reg;
		if (i->op == OP_JMP)
			return wide ? jmp_r_64 : jmp_r_32;
		return wide ? call_r_64 : call_r_32;
	}
	if (i->o[0].kind != OPD_MEM || !set_memory(u, i, key, true))
		return NULL;
	if (i->op == OP_JMP)
		return wide ? jmp_m_64 : jmp_m_32;
	return wide ? call_m_64 : call_m_32;
}

static run_fn *choose(struct uop *u, const struct insn *i, uint32_t key, unsigned page_offset)
{
	bool two_regs = i->operands == 2 && i->o[0].kind == OPD_GPR && i->o[1].kind == OPD_GPR;

	switch (i->op) {
	case OP_ADD: return choose_binary(u, i, key, 0);
	case OP_OR: return choose_binary(u, i, key, 1);
	case OP_ADC: return choose_binary(u, i, key, 2);
	case OP_SBB: return choose_binary(u, i, key, 3);
	case OP_AND: return choose_binary(u, i, key, 4);
	case OP_SUB: return choose_binary(u, i, key, 5);
	case OP_XOR: return choose_binary(u, i, key, 6);
	case OP_CMP: return choose_binary(u, i, key, 7);
	case OP_TEST: return choose_binary(u, i, key, 8);
	case OP_MOV: return choose_binary(u, i, key, 9);
	case OP_INC: return choose_unary(u, i, key, 0);
	case OP_DEC: return choose_unary(u, i, key, 1);
	case OP_NOT: return choose_unary(u, i, key, 2);
	case OP_NEG: return choose_unary(u, i, key, 3);
	case OP_SHL: case OP_SHR: case OP_SAR: return choose_shift(u, i);
	case OP_ROL: case OP_ROR: return choose_rotate(u, i);
	case OP_MOVZX: case OP_MOVSX: case OP_MOVSXD: return choose_extend(u, i, key);
	case OP_IMUL: return choose_imul(u, i, key);
	case OP_BT: return choose_bt(u, i);
	case OP_PUSH: case OP_POP: case OP_LEAVE: return choose_stack(u, i, key);
	case OP_SETCC: case OP_CMOVCC: return choose_conditional(u, i, key);
	case OP_JCC: case OP_JMP: case OP_CALL: case OP_RET: return choose_branch(u, i, key, page_offset);
	case OP_CBW: return i->opsize == 4 ? cwde : i->opsize == 8 ? cdqe : NULL;
	case OP_CWD: return i->opsize == 4 ? cdq : i->opsize == 8 ? cqo : NULL;
	case OP_NOP: case OP_ENDBR32: case OP_ENDBR64: return nop;
	case OP_LEA:
		if (i->o[0].size < 4 || !set_memory(u, i, key, false))
			return NULL;
		u->r = i->o[0].reg;
		return i->o[0].size == 8 ? lea_64 : lea_32;
	case OP_XCHG:
		if (!two_regs || i->o[0].size < 4)
			return NULL;
		u->r = i->o[0].reg;
		u->r2 = i->o[1].reg;
		return i->o[0].size == 8 ? xchg_rr_64 : xchg_rr_32;
	default: return NULL;
	}
}

bool hot_choose(struct uop *u, const struct insn *i, uint32_t key, unsigned page_offset)
{
	struct uop blank = { .offset = u->offset, .len = u->len };

	if (i->lock || i->rep == REP_F2)
		return false;
	u->run = choose(u, i, key, page_offset);
	if (u->run)
		return true;
	*u = blank;
	return false;
}
