/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder for 16-, 32- and 64-bit code (Intel SDM volume 2, chapter 2 and appendix A).
 *
 * Bytes are taken in order: prefixes, REX or VEX, opcode, ModRM, SIB, displacement, immediates.  The opcode maps
 * (decode_map*.c) lead to a form, which names the mnemonic and its operands; decode_op.c says what the mnemonic does.
 *
 * Where processors differ, this is Intel's way: 66 on a near branch in 64-bit mode is ignored; far pointers in memory
 * have a 64-bit offset with REX.W; VPEXTRQ outside 64-bit mode is VPEXTRD; VPERMQ with W = 0 is #UD.
 * EVEX and XOP are #UD.  What is #UD for the lack of a CPU feature is not known here: cpuid_gate() does that.
 *
 * Checked against objdump (tests/unit/cpu/test_decode.c) and, for #UD and lengths, against a Zen 4
 * (tests/diff/decode_host.c) in 32- and 64-bit mode.
 */
#include "cpu/insn.h"

#include <string.h>

#include "base/bytes.h"
#include "cpu/decode_table.h"
#include "cpu/model.h"

enum { MAX_LENGTH = 15 };

enum {                                  /* what a byte is before the opcode */
	PREFIX_NONE, PREFIX_66, PREFIX_67, PREFIX_LOCK, PREFIX_REP, PREFIX_SEG, PREFIX_REX, PREFIX_VEX,
};

static const uint8_t prefix_kind[256] = {
	[0x26] = PREFIX_SEG, [0x2e] = PREFIX_SEG, [0x36] = PREFIX_SEG, [0x3e] = PREFIX_SEG, [0x64] = PREFIX_SEG,
	[0x65] = PREFIX_SEG,
	[0x40 ... 0x4f] = PREFIX_REX, [0x66] = PREFIX_66, [0x67] = PREFIX_67, [0xf0] = PREFIX_LOCK,
	[0xf2] = PREFIX_REP, [0xf3] = PREFIX_REP, [0x62] = PREFIX_VEX, [0xc4] = PREFIX_VEX, [0xc5] = PREFIX_VEX,
};

/* Opcodes of the first two maps with a ModRM byte; those of the other two all have one. */
static const uint8_t has_modrm[2][256] = {
	{
		[0x00 ... 0x03] = 1, [0x08 ... 0x0b] = 1, [0x10 ... 0x13] = 1, [0x18 ... 0x1b] = 1, [0x20 ... 0x23] = 1,
		[0x28 ... 0x2b] = 1,
		[0x30 ... 0x33] = 1, [0x38 ... 0x3b] = 1, [0x62 ... 0x63] = 1, [0x69] = 1, [0x6b] = 1,
		[0x80 ... 0x8f] = 1,
		[0xc0 ... 0xc1] = 1, [0xc4 ... 0xc7] = 1, [0xd0 ... 0xd3] = 1, [0xd8 ... 0xdf] = 1, [0xf6 ... 0xf7] = 1,
		[0xfe ... 0xff] = 1,
	}, {
		[0x00 ... 0x03] = 1, [0x0d] = 1, [0x10 ... 0x23] = 1, [0x28 ... 0x2f] = 1, [0x40 ... 0x76] = 1,
		[0x78 ... 0x7f] = 1,
		[0x90 ... 0x9f] = 1, [0xa3 ... 0xa5] = 1, [0xab ... 0xc7] = 1, [0xd0 ... 0xff] = 1,
	},
};

static const struct form *const maps[4] = { decode_map, decode_map_0f, decode_map_0f38, decode_map_0f3a };

struct spec_place {
	uint8_t place, width;
};

static const struct spec_place specs[SPEC_COUNT] = {
#define SPEC_ROW(name, place, width) [name] = { place, width },
	SPECS(SPEC_ROW)
#undef SPEC_ROW
};

/* Bytes left, and whether one was wanted that was not there. */
struct reader {
	const uint8_t *p, *end;
	bool ended;
};

static inline uint8_t next8(struct reader *r)
{
	if (r->p >= r->end) {
		r->ended = true;
		return 0;
	}
	return *r->p++;
}

static inline uint64_t next_le(struct reader *r, unsigned size)
{
	uint64_t v = 0;

	if ((size_t)(r->end - r->p) < size) {
		r->ended = true;
		return 0;
	}
	memcpy(&v, r->p, size);
	r->p += size;
	return v;
}

static inline uint64_t next_signed(struct reader *r, unsigned size)
{
	uint64_t v = next_le(r, size);

	switch (size) {
	case 1: return (uint64_t)(int8_t)v;
	case 2: return (uint64_t)(int16_t)v;
	case 4: return (uint64_t)(int32_t)v;
	}
	return v;
}

/* What is gathered before the form is known. */
struct state {
	struct reader r;
	struct insn *i;
	bool has_66, has_67, has_lock;
	uint8_t last_rep;               /* 0, 0xf2, 0xf3 */
	uint8_t seg;                    /* override, or SEG_NONE */
	uint8_t vvvv;
	bool b, x, r_bit, w;            /* REX or VEX bits, as register bit 3 */
	bool mod3;                      /* the operand of ModRM.rm is a register */
	bool mmx, vector;               /* the form names an MMX, an XMM operand, be it memory */
	bool ud;
};

/* --- prefixes ---------------------------------------------------------------------------------------------------- */

/* C4 and C5: VEX in 64-bit mode or with mod 3; takes the map and the register bits.  False if it is LES or LDS. */
static bool vex_prefix(struct state *s, uint8_t byte)
{
	struct insn *i = s->i;
	static const uint8_t pp[4] = { 0, 0x66, 0xf3, 0xf2 };
	uint8_t b1, b2;

	if (i->mode != 64) {
		if (s->r.p >= s->r.end) {
			s->r.ended = true;
			return true;
		}
		if (*s->r.p < 0xc0)
			return false;
	}
	if (s->has_66 || s->last_rep || s->has_lock || i->rex)
		s->ud = true;
	b1 = next8(&s->r);
	s->r_bit = !(b1 & 0x80);
	i->map = 1;
	b2 = b1;
	if (byte == 0xc4) {
		b2 = next8(&s->r);
		s->x = !(b1 & 0x40);
		s->b = !(b1 & 0x20);
		s->w = b2 & 0x80;
		i->map = b1 & 0x1f;
		if (i->map < 1 || i->map > 3)
			s->ud = true;
	}
	s->vvvv = (~b2 >> 3) & 15;
	i->vex = true;
	i->vex_l = b2 & 4;
	i->vex_w = s->w;
	i->mandatory = pp[b2 & 3];
	if (i->mode != 64)
		s->r_bit = s->x = s->b = false;
	return true;
}

/* Up to and including the opcode. */
static void opcode_bytes(struct state *s)
{
	static const uint8_t seg_of[8] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };
	struct insn *i = s->i;
	uint8_t byte;

	for (;;) {
		byte = next8(&s->r);
		switch (prefix_kind[byte]) {
		case PREFIX_66: s->has_66 = true; break;
		case PREFIX_67: s->has_67 = true; break;
		case PREFIX_LOCK: s->has_lock = true; break;
		case PREFIX_REP: s->last_rep = byte; break;
		case PREFIX_SEG:
			if (byte >= 0x64)
				s->seg = seg_of[byte - 0x60];
			else if (i->mode != 64)
				s->seg = seg_of[(byte >> 3) & 3];
			break;
		case PREFIX_REX:
			if (i->mode != 64)
				goto opcode;
			i->rex = byte;
			continue;
		case PREFIX_VEX:
			if (byte == 0x62) {
				if (i->mode == 64)
					s->ud = true;   /* EVEX */
				goto opcode;
			}
			if (!vex_prefix(s, byte))
				goto opcode;
			i->opcode = next8(&s->r);
			return;
		default:
			goto opcode;
		}
		if (s->r.ended)
			return;
		i->rex = 0;             /* a REX prefix counts only right before the opcode */
	}
opcode:
	s->b = i->rex & 1;
	s->x = i->rex & 2;
	s->r_bit = i->rex & 4;
	s->w = i->rex & 8;
	if (byte == 0x0f) {
		byte = next8(&s->r);
		i->map = 1;
		if (byte == 0x38 || byte == 0x3a) {
			i->map = byte == 0x38 ? 2 : 3;
			byte = next8(&s->r);
		}
	}
	i->opcode = byte;
}

/* --- the form ---------------------------------------------------------------------------------------------------- */

static const struct form *choose(struct state *s, const struct form *f)
{
	struct insn *i = s->i;
	uint8_t prefix = i->vex ? i->mandatory : s->last_rep ? s->last_rep : s->has_66 ? 0x66 : 0;

	while (f->kind != FORM) {
		switch (f->kind) {
		case BY_REG: f = &f->sub[(i->modrm >> 3) & 7]; break;
		case BY_RM: f = &f->sub[i->modrm & 7]; break;
		case BY_MOD: f = &f->sub[i->modrm >= 0xc0]; break;
		case BY_MODE: f = &f->sub[i->mode == 64]; break;
		case BY_VEX: f = &f->sub[i->vex]; break;
		case BY_L: f = &f->sub[i->vex_l]; break;
		case BY_W: f = &f->sub[s->w]; break;
		case BY_W64: f = &f->sub[s->w && i->mode == 64]; break;
		case BY_PREFIX:
			i->mandatory = prefix;
			f = &f->sub[prefix == 0 ? 0 : prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : 3];
			break;
		case BY_REP:
			f = &f->sub[prefix == 0xf3 ? 1 : prefix == 0xf2 ? 2 : 0];
			if (prefix >= 0xf2)
				i->mandatory = prefix;
			break;
		case NOP_90:
			if (s->b)
				return f;
			i->op = s->last_rep == 0xf3 ? OP_PAUSE : OP_NOP;
			if (s->last_rep == 0xf3)
				i->mandatory = 0xf3;
			return NULL;
		}
	}
	return f;
}

/* Whether the form exists with these prefixes in this mode. */
static bool form_exists(const struct state *s, const struct form *f)
{
	const struct insn *i = s->i;
	unsigned attr = f->attr;

	if (f->op == OP_INVALID || ((attr & NO64) && i->mode == 64) || ((attr & ONLY64) && i->mode != 64))
		return false;
	if ((attr & NOPFX) && (s->has_66 || s->last_rep || (i->vex && i->mandatory)))
		return false;
	if (!i->vex)
		return !(attr & VONLY);
	if (!(attr & (V | VONLY)))
		return false;
	return !((attr & L0) && i->vex_l) && !((attr & L1) && !i->vex_l) && !((attr & W0) && s->w) &&
		!((attr & W1) && !s->w);
}

static void sizes(struct state *s, const struct form *f)
{
	struct insn *i = s->i;
	bool has_66 = s->has_66 && i->mandatory != 0x66;

	if (i->mode == 64) {
		i->addrsize = s->has_67 ? 4 : 8;
		if (f && (f->attr & F64))
			i->opsize = 8;
		else if (s->w)
			i->opsize = 8;
		else if (has_66)
			i->opsize = 2;
		else
			i->opsize = f && (f->attr & D64) ? 8 : 4;
	} else {
		i->addrsize = (i->mode == 32) != s->has_67 ? 4 : 2;
		i->opsize = (i->mode == 32) != has_66 ? 4 : 2;
	}
}

/* --- memory operands --------------------------------------------------------------------------------------------- */

static void memory_16(struct state *s)
{
	static const uint8_t base[8] = { 3, 3, 5, 5, 6, 7, 5, 3 };
	static const uint8_t index[8] = { 6, 7, 6, 7, REG_NONE, REG_NONE, REG_NONE, REG_NONE };
	struct insn *i = s->i;
	unsigned rm = i->modrm & 7, mod = i->modrm >> 6;

	i->mem.base = base[rm];
	i->mem.index = index[rm];
	if (mod == 0 && rm == 6) {
		i->mem.base = REG_NONE;
		i->mem.disp = (int32_t)next_signed(&s->r, 2);
	} else if (mod == 1) {
		i->mem.disp = (int32_t)next_signed(&s->r, 1);
	} else if (mod == 2) {
		i->mem.disp = (int32_t)next_signed(&s->r, 2);
	}
	if (i->mem.base == 5)
		i->mem.seg = SEG_SS;
}

static void memory_32(struct state *s, bool vsib)
{
	struct insn *i = s->i;
	unsigned rm = i->modrm & 7, mod = i->modrm >> 6;

	if (rm == 4) {
		uint8_t sib = next8(&s->r);
		unsigned index = ((sib >> 3) & 7) | s->x << 3;

		rm = sib & 7;
		if (index != 4 || vsib) {
			i->mem.index = index;
			i->mem.scale = 1 << (sib >> 6);
		}
		i->mem.base = rm | s->b << 3;
		if (rm == 5 && mod == 0) {
			i->mem.base = REG_NONE;
			i->mem.disp = (int32_t)next_signed(&s->r, 4);
		}
	} else if (rm == 5 && mod == 0) {
		i->mem.base = i->mode == 64 ? REG_RIP : REG_NONE;
		i->mem.disp = (int32_t)next_signed(&s->r, 4);
	} else {
		i->mem.base = rm | s->b << 3;
	}
	if (mod == 1)
		i->mem.disp = (int32_t)next_signed(&s->r, 1);
	else if (mod == 2)
		i->mem.disp = (int32_t)next_signed(&s->r, 4);
	if (i->mem.base == 4 || i->mem.base == 5)
		i->mem.seg = SEG_SS;
}

static bool is_vsib(const struct form *f)
{
	return specs[f->opd[1]].place == AT_VSIB_X || specs[f->opd[1]].place == AT_VSIB_DQ;
}

static void memory(struct state *s, const struct form *f)
{
	struct insn *i = s->i;
	bool vsib = is_vsib(f);

	i->mem.seg = SEG_DS;
	if (i->addrsize == 2)
		memory_16(s);
	else
		memory_32(s, vsib);
	if (vsib && (i->addrsize == 2 || (i->modrm & 7) != 4))
		s->ud = true;
	if (s->seg != SEG_NONE)
		i->mem.seg = s->seg;
}

/* Memory at a register that the instruction implies. */
static void memory_implied(struct state *s, unsigned base, bool override)
{
	struct insn *i = s->i;

	i->mem.base = base;
	i->mem.seg = !override ? SEG_ES : s->seg != SEG_NONE ? s->seg : SEG_DS;
}

/* --- operands ---------------------------------------------------------------------------------------------------- */

static unsigned width(const struct state *s, unsigned rule)
{
	const struct insn *i = s->i;

	if (rule < WIDTH_RULES)
		return rule;
	switch (rule) {
	case WIDTH_V: return i->opsize;
	case WIDTH_Z: return MIN(i->opsize, 4);
	case WIDTH_Y: return s->w && i->mode == 64 ? 8 : 4;
	case WIDTH_NATIVE: return i->mode == 64 ? 8 : 4;
	case WIDTH_X: return 16 << i->vex_l;
	case WIDTH_X_HALF: return 8 << i->vex_l;
	case WIDTH_X_QUARTER: return 4 << i->vex_l;
	case WIDTH_X_EIGHTH: return 2 << i->vex_l;
	case WIDTH_DDUP: return i->vex_l ? 32 : 8;
	case WIDTH_P: return i->opsize + 2;
	case WIDTH_A: return i->opsize * 2;
	case WIDTH_S: return i->mode == 64 ? 10 : 6;
	case WIDTH_ENV: return i->opsize == 2 ? 14 : 28;
	case WIDTH_FSAVE: return i->opsize == 2 ? 94 : 108;
	case WIDTH_V_MEM2: return s->mod3 ? i->opsize : 2;
	case WIDTH_D_MEM1: return s->mod3 ? 4 : 1;
	case WIDTH_D_MEM2: return s->mod3 ? 4 : 2;
	}
	return 0;
}

static inline void gpr(const struct insn *i, struct operand *o, unsigned reg)
{
	o->kind = OPD_GPR;
	o->reg = reg;
	if (o->size == 1 && reg >= 4 && reg < 8 && !i->rex) {
		o->reg = reg - 4;
		o->high = 1;
	}
}

/* VEX.vvvv as a register.  Its top bit does not count outside 64-bit mode where it is used (it must be 1 where not). */
static inline unsigned take_vvvv(struct state *s)
{
	unsigned reg = s->vvvv & (s->i->mode == 64 ? 15 : 7);

	s->vvvv = 0;
	return reg;
}

static inline void mem_operand(struct insn *i, struct operand *o, unsigned n)
{
	o->kind = OPD_MEM;
	i->mem_op = n;
}

static inline void imm_operand(struct insn *i, struct operand *o, uint64_t value)
{
	o->kind = OPD_IMM;
	i->imm = value;
}

static void place_system_register(struct state *s, struct operand *o, unsigned place)
{
	unsigned reg = (s->i->modrm >> 3) & 7;

	if (place == AT_REG_SEG) {      /* REX.R is ignored */
		o->kind = OPD_SEG;
		o->reg = reg;
		if (reg > SEG_GS)
			s->ud = true;
		return;
	}
	reg |= s->r_bit << 3;
	o->reg = reg;
	if (place == AT_REG_CR) {
		o->kind = OPD_CR;
		if (reg > 8 || reg == 1 || (reg >= 5 && reg <= 7))
			s->ud = true;
	} else {
		o->kind = OPD_DR;
		if (reg > 7)
			s->ud = true;
	}
}

static void place_immediate(struct state *s, struct operand *o, unsigned place)
{
	struct insn *i = s->i;

	switch (place) {
	case AT_IMM8: imm_operand(i, o, next_le(&s->r, 1)); break;
	case AT_IMM8S: imm_operand(i, o, next_signed(&s->r, 1)); break;
	case AT_IMM16: imm_operand(i, o, next_le(&s->r, 2)); break;
	case AT_IMMZ: imm_operand(i, o, next_signed(&s->r, i->opsize == 2 ? 2 : 4)); break;
	case AT_IMMV: imm_operand(i, o, next_signed(&s->r, i->opsize)); break;
	case AT_ONE: imm_operand(i, o, 1); break;
	case AT_IMM8_SECOND:
		o->kind = OPD_IMM2;
		i->imm2 = next_le(&s->r, 1);
		break;
	case AT_REL8:
		o->kind = OPD_REL;
		i->imm = next_signed(&s->r, 1);
		break;
	case AT_RELZ:
		o->kind = OPD_REL;
		i->imm = next_signed(&s->r, i->opsize == 2 ? 2 : 4);
		break;
	case AT_FAR:
		o->kind = OPD_FAR;
		i->imm = next_le(&s->r, i->opsize == 2 ? 2 : 4);
		i->imm2 = next_le(&s->r, 2);
		break;
	case AT_MOFFS:
		i->mem.moffs = true;
		i->mem.seg = s->seg != SEG_NONE ? s->seg : SEG_DS;
		i->imm = next_le(&s->r, i->addrsize);
		i->mem.disp = (int32_t)i->imm;
		break;
	}
}

static void place_vector(struct state *s, struct operand *o, unsigned n, unsigned place)
{
	struct insn *i = s->i;
	unsigned reg = ((i->modrm >> 3) & 7) | s->r_bit << 3, rm = (i->modrm & 7) | s->b << 3;

	o->kind = OPD_XMM;
	s->vector = true;
	switch (place) {
	case AT_REG_XMM: o->reg = reg; break;
	case AT_RM_XMM:
		o->reg = rm;
		if (!s->mod3)
			mem_operand(i, o, n);
		break;
	case AT_RM_REG_XMM:
		o->reg = rm;
		if (!s->mod3)
			s->ud = true;
		break;
	case AT_VVVV_XMM:
		if (!i->vex) {
			*o = i->o[0];
			break;
		}
		o->reg = take_vvvv(s);
		break;
	case AT_IMM_XMM:
		o->reg = next8(&s->r) >> 4;
		if (i->mode != 64)
			o->reg &= 7;
		break;
	case AT_XMM0: o->reg = 0; break;
	}
}

static void place(struct state *s, unsigned n, unsigned spec)
{
	struct insn *i = s->i;
	struct operand *o = &i->o[n];
	unsigned at = specs[spec].place;

	o->size = width(s, specs[spec].width);
	switch (at) {
	case AT_RM:
		if (!s->mod3)
			mem_operand(i, o, n);
		else
			gpr(i, o, (i->modrm & 7) | s->b << 3);
		break;
	case AT_MEM:
		if (s->mod3)
			s->ud = true;
		mem_operand(i, o, n);
		break;
	case AT_RM_REG:
		if (!s->mod3)
			s->ud = true;
		gpr(i, o, (i->modrm & 7) | s->b << 3);
		break;
	case AT_REG: gpr(i, o, ((i->modrm >> 3) & 7) | s->r_bit << 3); break;
	case AT_OPCODE: gpr(i, o, (i->opcode & 7) | s->b << 3); break;
	case AT_VVVV:
		gpr(i, o, take_vvvv(s));
		break;
	case AT_AL: gpr(i, o, 0); break;
	case AT_CL: gpr(i, o, 1); break;
	case AT_DX: gpr(i, o, 2); break;
	case AT_MOFFS:
		mem_operand(i, o, n);
		/* fall through */
	case AT_IMM8: case AT_IMM8S: case AT_IMM16: case AT_IMMZ: case AT_IMMV: case AT_IMM8_SECOND: case AT_ONE:
	case AT_REL8: case AT_RELZ: case AT_FAR:
		place_immediate(s, o, at);
		break;
	case AT_ES: case AT_CS: case AT_SS: case AT_DS: case AT_FS: case AT_GS:
		o->kind = OPD_SEG;
		o->reg = SEG_ES + (at - AT_ES);
		break;
	case AT_REG_SEG: case AT_REG_CR: case AT_REG_DR: place_system_register(s, o, at); break;
	case AT_ST0: o->kind = OPD_ST; break;
	case AT_STI:
		o->kind = OPD_ST;
		o->reg = i->modrm & 7;
		break;
	case AT_REG_MMX:
		s->mmx = true;
		o->kind = OPD_MMX;
		o->reg = (i->modrm >> 3) & 7;
		break;
	case AT_RM_MMX: case AT_RM_REG_MMX:
		s->mmx = true;
		o->kind = OPD_MMX;
		o->reg = i->modrm & 7;
		if (!s->mod3 && at == AT_RM_REG_MMX)
			s->ud = true;
		else if (!s->mod3)
			mem_operand(i, o, n);
		break;
	case AT_REPEAT: *o = i->o[0]; break;
	case AT_SI:
		memory_implied(s, 6, true);
		mem_operand(i, o, n);
		break;
	case AT_DI:
		memory_implied(s, 7, false);
		mem_operand(i, o, n);
		break;
	case AT_DI_DS:
		memory_implied(s, 7, true);
		mem_operand(i, o, n);
		break;
	case AT_BX:
		memory_implied(s, 3, true);
		mem_operand(i, o, n);
		break;
	case AT_VSIB_X: case AT_VSIB_DQ:
		i->mem.vsib = at == AT_VSIB_X ? 16 << i->vex_l : 16;
		if (s->mod3)
			s->ud = true;
		mem_operand(i, o, n);
		break;
	default: place_vector(s, o, n, at); break;
	}
}

/* --- what follows from the operands ------------------------------------------------------------------------------ */

static void mark(struct insn *i, unsigned n, bool read, bool written)
{
	i->o[n].read = read;
	i->o[n].written = written;
}

static void accesses(struct insn *i, unsigned access)
{
	unsigned n;

	if (access == ACCESS_NONE)
		return;
	if (access == ACCESS_IMUL)
		access = i->operands == 1 ? ACCESS_R : i->operands == 2 ? ACCESS_RW : ACCESS_WR;
	if (access == ACCESS_RW_OR_R)
		access = i->operands == 1 ? ACCESS_R : ACCESS_RW;
	for (n = 0; n < i->operands; n++)
		mark(i, n, n > 0 || access != ACCESS_WR, n == 0 && access != ACCESS_R);
	switch (access) {
	case ACCESS_RW_RW: mark(i, 1, true, true); break;
	case ACCESS_W_W:
		mark(i, 0, false, true);
		mark(i, 1, false, true);
		break;
	case ACCESS_LEA:
		mark(i, 0, false, true);
		mark(i, 1, false, false);
		break;
	case ACCESS_MASKMOV:
		mark(i, 0, true, false);
		mark(i, 2, false, true);
		break;
	case ACCESS_GATHER: mark(i, 2, true, true); break;
	}
	/* x87 loads of environments and other implied results name no register: nothing more to mark. */
}

static uint16_t condition_reads(unsigned cc)
{
	static const uint16_t reads[8] = { 0x800, 0x1, 0x40, 0x41, 0x80, 0x4, 0x880, 0x8c0 };

	return reads[(cc >> 1) & 7];
}

/* Shifts and rotates: OF is defined for a count of 1 only, and a count of 0 leaves all flags alone. */
static void shift_flags(struct insn *i)
{
	const struct operand *count = &i->o[i->operands - 1];
	unsigned mask = i->opsize == 8 && i->o[0].size == 8 ? 63 : 31, n;

	if (count->kind != OPD_IMM) {
		i->flags.read |= i->flags.written | i->flags.undefined;
		i->flags.written &= ~0x800;
		i->flags.undefined |= 0x800;
		return;
	}
	n = i->imm & mask;
	if (n == 0) {
		i->flags = (struct flag_use){ 0 };
	} else if (n > 1) {
		i->flags.written &= ~0x800;
		i->flags.undefined |= 0x800;
		if (i->op == OP_RCL || i->op == OP_RCR)
			return;
		if ((i->op == OP_SHL || i->op == OP_SHR) && n > i->o[0].size * 8u) {
			i->flags.written &= ~1;
			i->flags.undefined |= 1;
		} else if ((i->op == OP_SHLD || i->op == OP_SHRD) && n > i->o[0].size * 8u) {
			i->flags.undefined |= i->flags.written;
			i->flags.written = 0;
		}
	}
}

static void flags(struct insn *i)
{
	i->flags = decode_op[i->op].flags;
	switch (i->op) {
	case OP_ROL: case OP_ROR: case OP_RCL: case OP_RCR: case OP_SHL: case OP_SHR: case OP_SAR: case OP_SHLD:
	case OP_SHRD:
		shift_flags(i);
		break;
	case OP_CMPS: case OP_SCAS:
		if (i->rep != REP_NONE)
			i->flags.read |= i->flags.written;
		break;
	case OP_JCC: case OP_SETCC: case OP_CMOVCC:
		i->cc = i->opcode & 15;
		i->flags.read = condition_reads(i->cc);
		break;
	}
}

static void traits(const struct state *s, const struct form *f)
{
	struct insn *i = s->i;
	const struct op_info *info = &decode_op[i->op];

	i->traits = info->traits;
	i->feature = info->feature;
	if (s->mmx)
		i->traits |= INSN_MMX;
	if (s->vector || (i->traits & INSN_SSE))
		i->traits = (i->traits & ~INSN_SSE) | (i->vex ? INSN_AVX : INSN_SSE);
	if (i->vex)
		i->traits |= INSN_NOREAL;
	if (i->vex_l && (f->attr & INT256))
		i->feature = CPU_AVX2;
	if ((i->op == OP_VBROADCASTSS || i->op == OP_VBROADCASTSD) && i->mem_op == 0xff)
		i->feature = CPU_AVX2;
	if (i->o[0].kind == OPD_CR || i->o[0].kind == OPD_DR)
		i->traits |= INSN_PRIVILEGED | INSN_ENDS_BLOCK;
	if (i->o[1].kind == OPD_CR || i->o[1].kind == OPD_DR)
		i->traits |= INSN_PRIVILEGED;
	if (i->o[0].kind == OPD_SEG && i->o[0].written)
		i->traits |= INSN_ENDS_BLOCK;
	if (f->attr & NO64)
		i->traits |= INSN_NO64;
	if (i->mem_op != 0xff && i->o[i->mem_op].size >= 16 &&
	    (info->alignment == ALIGN_ALWAYS || (info->alignment == ALIGN_LEGACY && (i->traits & INSN_SSE))))
		i->traits |= INSN_ALIGNED;
}

/* #UD for reasons that need the operands. */
static bool operands_exist(const struct state *s)
{
	const struct insn *i = s->i;

	if (i->lock && (!(decode_op[i->op].traits & INSN_LOCKABLE) || i->mem_op != 0))
		return false;
	if (i->vex && s->vvvv)                  /* unused: must be 1111 */
		return false;
	if (i->op == OP_MOV && i->o[0].kind == OPD_SEG && i->o[0].reg == SEG_CS)
		return false;
	/* The registers of a gather must differ (SDM, VGATHERDPS). */
	if (i->mem.vsib && (i->o[0].reg == i->o[2].reg || i->o[0].reg == i->mem.index || i->o[2].reg == i->mem.index))
		return false;
	return true;
}

void insn_invalidate(struct insn *i)
{
	i->op = OP_INVALID;
	i->operands = 0;
	memset(i->o, 0, sizeof(i->o));
	i->mem_op = 0xff;
	i->lock = false;
	i->flags = (struct flag_use){ 0 };
	i->traits = INSN_ENDS_BLOCK;
	i->feature = CPU_FEATURE_NONE;
}

/* Everything behind the opcode.  False: #UD, or the bytes ended (s->r.ended). */
static bool decode_form(struct state *s)
{
	struct insn *i = s->i;
	const struct form *f = &maps[i->map][i->opcode];
	unsigned n;

	if (f->kind == FORM && f->op == OP_INVALID)
		return false;
	i->has_modrm = i->map >= 2 || has_modrm[i->map][i->opcode];
	if (i->has_modrm) {
		i->modrm = next8(&s->r);
		if (s->r.ended)
			return false;
		s->mod3 = i->modrm >= 0xc0;
	}
	f = choose(s, f);
	if (f && !form_exists(s, f))
		return false;
	sizes(s, f);
	if (!f) {               /* NOP, PAUSE */
		i->traits = decode_op[i->op].traits;
		return !i->lock;
	}
	i->op = f->op;
	if (i->has_modrm) {
		if (f->attr & ANYMOD)
			s->mod3 = true;
		if (!s->mod3)
			memory(s, f);
	}
	for (n = 0; n < ARRAY_SIZE(f->opd) && f->opd[n]; n++)
		place(s, n, f->opd[n]);
	i->operands = n;
	if (s->ud || s->r.ended)
		return false;
	if (s->last_rep && !i->vex && i->mandatory != s->last_rep)
		i->rep = s->last_rep == 0xf2 ? REP_F2 : REP_F3;
	accesses(i, decode_op[i->op].access);
	flags(i);
	traits(s, f);
	return operands_exist(s);
}

enum decode_result insn_decode(struct insn *i, const uint8_t *bytes, size_t avail, unsigned mode)
{
	struct state s = { .r = { bytes, bytes + MIN(avail, (size_t)MAX_LENGTH), false }, .i = i, .seg = SEG_NONE };

	memset(i, 0, sizeof(*i));
	i->mode = mode;
	i->mem_op = 0xff;
	i->mem.base = i->mem.index = REG_NONE;
	i->mem.scale = 1;
	i->mem.seg = SEG_NONE;
	opcode_bytes(&s);
	i->lock = s.has_lock;
	if (s.r.ended || s.ud || !decode_form(&s)) {
		if (s.r.ended)
			return avail >= MAX_LENGTH ? DECODE_LONG : DECODE_SHORT;
		insn_invalidate(i);
	}
	i->len = s.r.p - bytes;
	return DECODE_OK;
}
