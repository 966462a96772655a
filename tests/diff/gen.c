/* SPDX-License-Identifier: MIT */
/*
 * Makes random cases.  For each operation some encodings are collected by decoding many byte strings once; a case
 * takes one, makes prefixes, registers, displacement and immediate random, and steers memory operands (explicit and
 * implied) into the data pages by choosing base registers.  What is left out is what a user-mode process may not or
 * must not try: system calls, segment loads, far transfers, time stamps, FS and GS.
 */
#include "tests/diff/diff.h"

#include <stdlib.h>
#include <string.h>

uint64_t diff_random(struct diff_rng *r)        /* xorshift64* */
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * 0x2545f4914f6cdd1d;
}

static unsigned below(struct diff_rng *r, unsigned n) { return (unsigned)((diff_random(r) >> 32) % n); }
static bool one_in(struct diff_rng *r, unsigned n) { return below(r, n) == 0; }

/* --- values -------------------------------------------------------------------------------------------------- */

static uint64_t integer(struct diff_rng *r)
{
	static const uint64_t special[] = {
		0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
		INT64_MAX, 1ull << 63, UINT64_MAX, 0x8080808080808080, 0x0123456789abcdef, 0x00ff00ff00ff00ff,
	};

	switch (below(r, 5)) {
	case 0:
		return special[below(r, ARRAY_SIZE(special))];
	case 1:
		return diff_random(r) & 0xff;
	case 2:
		return (uint64_t)(int64_t)(int8_t)diff_random(r);
	case 3:
		return diff_random(r) >> below(r, 64);
	default:
		return diff_random(r);
	}
}

static uint32_t single(struct diff_rng *r)
{
	static const uint32_t special[] = {
		0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001,
		0xffa00000, 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x4effffff,
		0x3f000000, 0x40490fdb,
	};

	if (one_in(r, 2))
		return special[below(r, ARRAY_SIZE(special))];
	if (one_in(r, 2))       /* near 1, so that sums cancel and products do not overflow */
		return (uint32_t)(diff_random(r) & 0x807fffff) | (120 + below(r, 16)) << 23;
	return (uint32_t)diff_random(r);
}

static uint64_t twice(struct diff_rng *r)
{
	static const uint64_t special[] = {
		0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
		0x7ff8000000000000, 0xfff8000000000001, 0x7ff0000000000001, 0xfff4000000000000, 1, 0x800fffffffffffff,
		0x0010000000000000, 0x7fefffffffffffff, 0x41dfffffffc00000, 0x41e0000000000000, 0xc1e0000000000000,
		0x43e0000000000000, 0xc3e0000000000000, 0x3fe0000000000000, 0x47efffffffffffff, 0x3690000000000000,
	};

	if (one_in(r, 2))
		return special[below(r, ARRAY_SIZE(special))];
	if (one_in(r, 2))
		return (diff_random(r) & 0x800fffffffffffff) | (uint64_t)(1000 + below(r, 48)) << 52;
	return diff_random(r);
}

static void extended(struct diff_rng *r, uint8_t p[10])
{
	static const uint16_t exponents[] = {
		0, 1, 0x7fff, 0x7ffe, 0x3fff, 0x4000, 0x3ffe, 0x403e, 0x401e, 0x400e, 0x3c00, 0x43ff,
	};
	uint64_t mantissa = diff_random(r);
	unsigned exponent = one_in(r, 2) ? exponents[below(r, ARRAY_SIZE(exponents))] : 0x3ff0 + below(r, 64);

	if (one_in(r, 3))
		mantissa = one_in(r, 2) ? 0 : mantissa & 0xc000000000000000;
	if (exponent && !one_in(r, 16))
		mantissa |= 1ull << 63;
	else if (one_in(r, 2))
		mantissa &= INT64_MAX;
	put_le64(p, mantissa);
	put_le16(p + 8, (uint16_t)(exponent | (one_in(r, 2) ? 0x8000 : 0)));
}

static void vector(struct diff_rng *r, uint8_t p[16])
{
	unsigned kind = below(r, 4);

	for (unsigned n = 0; n < 16; n += 8) {
		if (kind == 0) {
			put_le32(p + n, single(r));
			put_le32(p + n + 4, single(r));
		} else {
			put_le64(p + n, kind == 1 ? twice(r) : kind == 2 ? integer(r) : diff_random(r));
		}
	}
}

void gen_data(struct diff_rng *r, uint8_t *data)
{
	for (unsigned n = 0; n < DATA_SIZE; n += 16) {
		if (one_in(r, 4))
			extended(r, data + n);
		else
			vector(r, data + n);
	}
}

static void state(struct diff_rng *r, struct diff_state *s, unsigned mode)
{
	struct fpu_area *f = &s->fpu;

	memset(s, 0, sizeof(*s));
	for (unsigned n = 0; n < (mode == 64 ? 16 : 8); n++) {
		s->gpr[n] = integer(r);
		if (mode != 64)
			s->gpr[n] = (uint32_t)s->gpr[n];
	}
	s->rflags = FLAG_IF | 2 | (diff_random(r) & FLAGS_ARITH) | (one_in(r, 4) ? FLAG_DF : 0);
	for (unsigned n = 0; n < 16; n++) {
		vector(r, f->xmm[n]);
		vector(r, f->ymm_hi[n]);
	}
	f->mxcsr = 0x1f80 | (diff_random(r) & 0x3f);
	if (one_in(r, 4))
		f->mxcsr |= diff_random(r) & 0xe040;
	if (one_in(r, 6))
		f->mxcsr &= (uint32_t)~(diff_random(r) & 0x1f80);
	f->mxcsr_mask = 0xffff;
	f->fcw = 0x37f;
	if (one_in(r, 2))
		f->fcw = (uint16_t)((f->fcw & 0xf0ff) | (diff_random(r) & 0x0c00) | below(r, 3) << 8);
	if (one_in(r, 6))
		f->fcw &= (uint16_t)~(diff_random(r) & 0x3f);
	f->fsw = (uint16_t)(diff_random(r) & 0x7f7f);
	if (!one_in(r, 8))
		f->fsw &= (uint16_t)~(~f->fcw & 0x3f);
	if (f->fsw & ~f->fcw & 0x3f)
		f->fsw |= 0x8080;
	f->ftw = one_in(r, 4) ? (uint8_t)diff_random(r) : 0xff;
	for (unsigned n = 0; n < 8; n++)
		extended(r, f->st[n]);
	f->fop = (uint16_t)(diff_random(r) & 0x7ff);
	f->fip = (uint32_t)diff_random(r);
	f->fdp = (uint32_t)diff_random(r);
}

/* --- encodings ----------------------------------------------------------------------------------------------- */

enum { TEMPLATES = 48 };
struct template { uint8_t prefix, vex, map, opcode, modrm, w, l; };
static struct { struct template t[TEMPLATES]; unsigned seen; } templates[3][OP_COUNT];
static bool collected[3];

static unsigned mode_index(unsigned mode) { return mode == 64 ? 2 : mode == 32 ? 1 : 0; }

/* Opcode bytes of a template, behind legacy prefixes; returns their number, ModRM not included. */
static unsigned encode(const struct template *t, uint8_t *p, unsigned rex)
{
	unsigned n = 0;

	if (t->vex) {
		unsigned pp = t->prefix == 0x66 ? 1 : t->prefix == 0xf3 ? 2 : t->prefix == 0xf2 ? 3 : 0;

		p[n++] = 0xc4;
		p[n++] = (uint8_t)((~rex & 7) << 5 | t->map);
		p[n++] = (uint8_t)(t->w << 7 | (rex >> 4 & 15) << 3 | t->l << 2 | pp);
		p[n++] = t->opcode;
		return n;
	}
	if (t->prefix)
		p[n++] = t->prefix;
	if (rex)
		p[n++] = (uint8_t)rex;
	if (t->map)
		p[n++] = 0x0f;
	if (t->map > 1)
		p[n++] = t->map == 2 ? 0x38 : 0x3a;
	p[n++] = t->opcode;
	return n;
}

static void collect(unsigned mode)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
	struct diff_rng r = { 0x1234567 };
	struct template t;
	struct insn i;
	uint8_t buf[32];

	for (unsigned vex = 0; vex < 2; vex++)
	for (unsigned map = vex; map < 4; map++)
	for (unsigned p = 0; p < 4; p++)
	for (unsigned opcode = 0; opcode < 256; opcode++)
	for (unsigned k = 0; k < (vex ? 256 : 80); k++) {
		/* ModRM: all reg fields with memory and with registers */
		unsigned modrm = (k & 7) << 3 | (k & 8 ? 0xc0 : 0x80) | 1;

		if (k >= 64 && !vex)
			modrm = 0xc0 | below(&r, 64);
		t = (struct template){ prefixes[p], (uint8_t)vex, (uint8_t)map, (uint8_t)opcode, (uint8_t)modrm,
			k >> 4 & 1, k >> 5 & 1 };
		memset(buf, 0, sizeof(buf));
		/* vvvv: all ones (none), or a register */
		buf[encode(&t, buf, vex ? (k & 64 || mode != 64 ? 0xf0 : 0x30) : 0)] = t.modrm;
		if (insn_decode(&i, buf, sizeof(buf), mode) != DECODE_OK || i.op == OP_INVALID)
			continue;
		if (!vex && i.has_modrm && (i.map != map || i.opcode != opcode))
			continue;
		unsigned seen = templates[mode_index(mode)][i.op].seen++;
		if (seen < TEMPLATES)
			templates[mode_index(mode)][i.op].t[seen] = t;
		else if (below(&r, seen + 1) < TEMPLATES)
			templates[mode_index(mode)][i.op].t[below(&r, TEMPLATES)] = t;
	}
	collected[mode_index(mode)] = true;
}

/* --- what is not tried --------------------------------------------------------------------------------------- */

static bool excluded_op(enum op op)
{
	switch ((int)op) {
	case OP_SYSCALL: case OP_SYSENTER: case OP_SYSRET: case OP_SYSEXIT: case OP_INT: case OP_IRET: case OP_POPF:
	case OP_CPUID: case OP_RDTSC: case OP_RDTSCP: case OP_RDPMC: case OP_RDPID: case OP_RDRAND: case OP_RDSEED:
	case OP_XGETBV:
	case OP_SGDT: case OP_SIDT: case OP_SLDT: case OP_STR: case OP_SMSW: case OP_LAR: case OP_LSL: case OP_VERR:
	case OP_VERW:
	case OP_LDS: case OP_LES: case OP_LFS: case OP_LGS: case OP_LSS: case OP_CALLF: case OP_JMPF: case OP_RETF:
	case OP_RDFSBASE: case OP_RDGSBASE: case OP_WRFSBASE: case OP_WRGSBASE: case OP_MONITOR: case OP_MWAIT:
	case OP_VMCALL: case OP_VMMCALL: case OP_RSM: case OP_XSAVEOPT: case OP_XSAVES: case OP_XRSTORS:
	case OP_INS: case OP_OUTS: case OP_IN: case OP_OUT:     /* ioperm(), and the order of #GP and #PF */
	case OP_INT1:                   /* hypervisors get RIP wrong */
		return true;
	default:
		return false;
	}
}

static bool is_branch(const struct insn *i)
{
	switch ((int)i->op) {
	case OP_JMP: case OP_CALL: case OP_RET: case OP_JCC: case OP_LOOP: case OP_LOOPE: case OP_LOOPNE: case OP_JCXZ:
		return true;
	default:
		return false;
	}
}

static bool allowed(const struct insn *i, const uint8_t *code)
{
	if (excluded_op(i->op))
		return false;
	for (unsigned n = 0; n < i->operands; n++)
		if ((i->o[n].kind == OPD_SEG && i->o[n].written) || i->o[n].kind == OPD_CR || i->o[n].kind == OPD_DR ||
		    i->o[n].kind == OPD_FAR)
			return false;
	if (i->mem_op != 0xff && (i->mem.seg == SEG_FS || i->mem.seg == SEG_GS) && i->op != OP_LEA)
		return false;
	if (i->op == OP_PUSH && i->o[0].kind == OPD_SEG)        /* selectors differ */
		return false;
	/* On AMD a repeat prefix turns LOOPE into LOOPNE and back; 0F 0D with a register is refused. */
	if ((i->op == OP_LOOPE || i->op == OP_LOOPNE) && i->rep)
		return false;
	if (i->op == OP_NOP && i->map == 1 && i->opcode == 0x0d)
		return false;
	/* The result is undefined. */
	if ((i->op == OP_SHLD || i->op == OP_SHRD) && i->opsize == 2 && (i->o[2].kind != OPD_IMM || (i->imm & 31) > 16))
		return false;
	/* AMD obeys an operand size prefix on near branches in 64-bit mode, Intel (and the decoder) does not. */
	if (i->mode == 64 && is_branch(i) && memchr(code, 0x66, i->len - 1u))
		return false;
	/* SDM, MOVSXD: with an operand size of 16 bits it reads a word; AMD reads 32 bits, which shows at the end of a page. */
	if (i->op == OP_MOVSXD && i->opsize == 2 && i->mem_op != 0xff)
		return false;
	/* AMD refuses VEX.W outside 64-bit mode here, Intel ignores it. */
	if ((i->op == OP_PINSRD || i->op == OP_PEXTRD) && i->vex && i->vex_w && i->mode != 64)
		return false;
	if (i->op == OP_MOV && i->o[1].kind == OPD_SEG)
		return false;
	return true;
}

/* --- memory operands ----------------------------------------------------------------------------------------- */

/* Linear address to aim at: mostly inside, sometimes across an edge or on the read-only page. */
static uint64_t aim(struct diff_rng *r, unsigned size)
{
	uint64_t a = DATA_BASE + 64 + below(r, DATA_WRITABLE - 0x400);

	if (one_in(r, 24))
		a = DATA_BASE + DATA_WRITABLE + below(r, DATA_SIZE - DATA_WRITABLE);
	else if (one_in(r, 24))
		a = DATA_BASE + 0x1000 * (1 + below(r, 4)) - below(r, 40);
	else if (one_in(r, 48))
		a = DATA_BASE - below(r, 40);
	if (size >= 16 && !one_in(r, 8))
		a &= ~(uint64_t)63;
	else if (one_in(r, 2))
		a &= ~(uint64_t)7;
	return a;
}

static uint64_t address_mask(const struct insn *i)
{
	return i->addrsize == 8 ? UINT64_MAX : i->addrsize == 4 ? UINT32_MAX : 0xffff;
}

static uint64_t segment_base(unsigned mode, unsigned seg)
{
	return mode != 16 ? 0 : seg == SEG_CS ? CODE_BASE : DATA_BASE;
}

static uint64_t offset_of(const struct diff_case *t, const struct insn *i, uint64_t rip)
{
	uint64_t a = (uint64_t)(int64_t)i->mem.disp;

	if (i->mem.moffs)
		a = i->imm;
	if (i->mem.base == REG_RIP)
		a += rip + i->len;
	else if (i->mem.base != REG_NONE)
		a += t->in.gpr[i->mem.base];
	if (i->mem.index != REG_NONE && !i->mem.vsib)
		a += t->in.gpr[i->mem.index] * i->mem.scale;
	return a & address_mask(i);
}

static uint64_t gen_address_of(const struct diff_case *t, const struct insn *i, uint64_t rip)
{
	uint64_t a = segment_base(t->mode, i->mem.seg) + offset_of(t, i, rip);

	return t->mode == 64 ? a : (uint32_t)a;
}

uint64_t gen_address(const struct diff_case *t)
{
	return gen_address_of(t, &t->insn[0], t->in.rip);
}

/* May a host access go there?  Below the sanitizer's shadow nothing is mapped but our pages. */
static bool harmless(uint64_t linear)
{
	return linear < 0x7fff0000 - 0x1000000 || (linear + (1ull << 47)) >> 48;
}

static void set_address_register(struct diff_case *t, struct diff_rng *r, const struct insn *i, unsigned reg,
				 uint64_t v)
{
	uint64_t mask = address_mask(i);

	v &= mask;
	if (mask != UINT64_MAX && t->mode == 64)
		v |= diff_random(r) & ~mask;
	else if (mask == 0xffff)
		v |= diff_random(r) & 0xffff0000;
	t->in.gpr[reg] = v;
}

/* Changes the displacement in the code to `disp`, if it has one of 4 (2) bytes; re-decodes. */
static bool patch_disp(struct diff_case *t, struct insn *i, uint8_t *code, int64_t disp)
{
	unsigned size = i->addrsize == 2 ? 2 : i->mem.moffs ? i->addrsize : 4;
	uint64_t old = i->mem.moffs ? i->imm : (uint64_t)(int64_t)i->mem.disp;
	struct insn again;

	for (unsigned n = i->len - size; n > 0; n--) {
		if (memcmp(code + n, &old, size))
			continue;
		uint8_t saved[8];
		memcpy(saved, code + n, size);
		memcpy(code + n, &disp, size);
		if (insn_decode(&again, code, i->len, t->mode) == DECODE_OK && again.op == i->op &&
		    again.len == i->len &&
		    (again.mem.moffs ? again.imm != old : again.mem.disp != i->mem.disp)) {
			*i = again;
			return true;
		}
		memcpy(code + n, saved, size);
	}
	return false;
}

static bool steer(struct diff_case *t, struct diff_rng *r, struct insn *i, uint8_t *code)
{
	unsigned size = i->mem_op == 0xff ? 0 : i->o[i->mem_op].size;
	uint64_t target = aim(r, size ? size : 64), rip = t->in.rip, want;

	if (!size)
		target = DATA_BASE + (below(r, 16) + 1) * 64;
	want = target - segment_base(t->mode, i->mem.seg);
	if (i->mem.moffs || i->mem.base == REG_RIP || (i->mem.base == REG_NONE && i->mem.index == REG_NONE)) {
		int64_t disp = (int64_t)(i->mem.base == REG_RIP ? want - (rip + i->len) : want);

		patch_disp(t, i, code, disp);
	} else if (i->mem.vsib) {
		union { uint32_t d[8]; uint64_t q[4]; } v;
		bool q = i->op == OP_VGATHERQPS || i->op == OP_VGATHERQPD || i->op == OP_VPGATHERQD ||
			i->op == OP_VPGATHERQQ;

		for (unsigned n = 0; n < 8; n++) {
			int at = (int)below(r, 2048) - (one_in(r, 16) ? 0x4000 : 1024);

			if (q && n < 4)
				v.q[n] = (uint64_t)(int64_t)at;
			else if (!q)
				v.d[n] = (uint32_t)at;
		}
		memcpy(t->in.fpu.xmm[i->mem.index], &v, 16);
		memcpy(t->in.fpu.ymm_hi[i->mem.index], (uint8_t *)&v + 16, 16);
		if (i->mem.base == REG_NONE)
			return patch_disp(t, i, code, DATA_BASE + 0x1800);
		set_address_register(t, r, i, i->mem.base, DATA_BASE + 0x1800 - (uint64_t)(int64_t)i->mem.disp);
		return true;
	} else if (i->mem.base == i->mem.index) {
		set_address_register(t, r, i, i->mem.base,
				     (want - (uint64_t)(int64_t)i->mem.disp) / (1u + i->mem.scale));
	} else if (i->mem.base == REG_NONE) {
		set_address_register(t, r, i, i->mem.index, (want - (uint64_t)(int64_t)i->mem.disp) / i->mem.scale);
	} else {
		uint64_t index = i->mem.index == REG_NONE ? 0 : t->in.gpr[i->mem.index] * i->mem.scale;

		set_address_register(t, r, i, i->mem.base, want - (uint64_t)(int64_t)i->mem.disp - index);
	}
	return true;
}

static uint64_t around_zero(struct diff_rng *r, unsigned limit)
{
	return (uint64_t)(int64_t)((int)below(r, 2 * limit) - (int)limit);
}

/* The registers that an instruction uses without saying so. */
static void implied(struct diff_case *t, struct diff_rng *r, const struct insn *i)
{
	uint64_t base = t->mode == 16 ? 0 : DATA_BASE, width = t->mode == 64 ? UINT64_MAX : UINT32_MAX;
	bool upper = t->mode == 64 && i->addrsize == 4;

	if (i->traits & INSN_STRING) {
		t->in.gpr[RSI] = base + 0x400 + below(r, 0x2000);
		t->in.gpr[RDI] = base + 0x400 + below(r, 0x2000);
		if (one_in(r, 8))
			t->in.gpr[one_in(r, 2) ? RSI : RDI] = base + 0x1000 * (1 + below(r, 4)) - below(r, 40);
		t->in.gpr[RCX] = below(r, 40);
		if (upper) {
			t->in.gpr[RSI] |= diff_random(r) << 32;
			t->in.gpr[RDI] |= diff_random(r) << 32;
		}
	}
	if (i->op == OP_LOOP || i->op == OP_LOOPE || i->op == OP_LOOPNE || i->op == OP_JCXZ)
		t->in.gpr[RCX] = below(r, 3);
	if (i->op == OP_XLAT)
		t->in.gpr[RBX] = base + 0x200 + below(r, 0x2000);
	if (i->op == OP_ENTER || i->op == OP_LEAVE)
		t->in.gpr[RBP] = base + 0x800 + (below(r, 0x1000) & ~7u);
	if (i->op == OP_XSAVE || i->op == OP_XSAVEC || i->op == OP_XRSTOR) {
		t->in.gpr[RAX] = below(r, 8);
		t->in.gpr[RDX] = 0;
	}
	/* bit offsets in memory reach far */
	if ((i->op == OP_BT || i->op == OP_BTS || i->op == OP_BTR || i->op == OP_BTC) && i->o[0].kind == OPD_MEM &&
	    i->o[1].kind == OPD_GPR && i->o[1].reg != i->mem.base && i->o[1].reg != i->mem.index)
		t->in.gpr[i->o[1].reg] = around_zero(r, 4096) & width;
	/* inputs near the quotient's edge, or every division overflows */
	if ((i->op == OP_DIV || i->op == OP_IDIV) && !one_in(r, 4)) {
		t->in.gpr[RDX] = one_in(r, 2) ? 0 : one_in(r, 2) ? below(r, 256) : (uint64_t)-1;
		if (t->mode != 64)
			t->in.gpr[RDX] = (uint32_t)t->in.gpr[RDX];
	}
	if (i->op == OP_PCMPESTRI || i->op == OP_PCMPESTRM) {
		t->in.gpr[RAX] = around_zero(r, 20) & width;
		t->in.gpr[RDX] = around_zero(r, 20) & width;
	}
}

/* A place in the code page before the case. */
static uint64_t landing(struct diff_rng *r, unsigned mode)
{
	return (mode == 16 ? 0 : CODE_BASE) + 16 + below(r, 0x800);
}

static bool branch_is_safe(struct diff_case *t, struct diff_rng *r, const struct insn *i)
{
	uint64_t next = t->in.rip + i->len, to;

	if (!i->operands || i->o[0].kind == OPD_IMM)
		return true;                    /* RET: the stack was prepared, or is random */
	if (i->o[0].kind == OPD_REL) {
		to = next + i->imm;
		if (i->opsize == 2 || t->mode == 16)
			to &= i->opsize == 2 ? 0xffff : UINT32_MAX;
		if (t->mode != 64)
			to = (uint32_t)to;
		to += segment_base(t->mode, SEG_CS);
		if (to >= CODE_BASE + 0xf00 && to < CODE_BASE + CODE_SIZE)
			return to == next;
		return harmless(to);
	}
	if (i->o[0].kind == OPD_GPR) {
		t->in.gpr[i->o[0].reg] = landing(r, t->mode);
		return i->o[0].reg != RSP;
	}
	return true;
}

/* General registers that i writes, also without saying so; all of them for what is not worth listing. */
static uint16_t registers_written(const struct insn *i)
{
	uint16_t mask = 0;

	for (unsigned n = 0; n < i->operands; n++)
		if (i->o[n].kind == OPD_GPR && i->o[n].written)
			mask |= (uint16_t)(1 << i->o[n].reg);
	switch ((int)i->op) {
	case OP_MUL: case OP_IMUL: case OP_DIV: case OP_IDIV: case OP_CWD: case OP_CBW: case OP_CMPXCHG:
	case OP_CMPXCHG8B:
	case OP_CMPXCHG16B: case OP_LAHF: case OP_XLAT: case OP_AAA: case OP_AAS: case OP_AAD: case OP_AAM:
	case OP_DAA: case OP_DAS:
	case OP_SALC: case OP_PCMPESTRI: case OP_PCMPISTRI:
		return mask | 1 << RAX | 1 << RDX | 1 << RCX | 1 << RBX;
	case OP_PUSH: case OP_POP: case OP_PUSHF: case OP_PUSHA: case OP_ENTER: case OP_LEAVE:
		return mask | 1 << RSP | 1 << RBP;
	case OP_POPA:
		return 0xffff;
	default:
		return i->traits & INSN_STRING ? 0xffff : mask;
	}
}

static uint16_t address_registers(const struct insn *i)
{
	uint16_t mask = 0;

	if (i->mem_op != 0xff && i->mem.base < 16)
		mask |= (uint16_t)(1 << i->mem.base);
	if (i->mem_op != 0xff && i->mem.index < 16 && !i->mem.vsib)
		mask |= (uint16_t)(1 << i->mem.index);
	return mask;
}

static bool explicit_memory(const struct insn *i)
{
	return i->mem_op != 0xff && !(i->traits & INSN_STRING) && i->op != OP_XLAT;
}

/* What it stores has parts that are the host's own (MXCSR_MASK, x87 pointers): nothing behind it may load them. */
static bool stores_the_hosts_own(const struct insn *i)
{
	switch ((int)i->op) {
	case OP_FXSAVE: case OP_XSAVE: case OP_XSAVEC: case OP_FNSAVE: case OP_FNSTENV:
		return true;
	default:
		return false;
	}
}

static bool gen_insn(struct diff_rng *r, struct diff_case *t, enum op op, bool follower)
{
	unsigned m = mode_index(t->mode), n = 0;
	uint8_t *code = t->code + t->code_len;
	struct insn *i = &t->insn[t->count];
	const struct template *tp;
	unsigned rex = 0, seen;

	if (op == OP_INVALID)
		op = (enum op)(1 + below(r, OP_COUNT - 1));
	seen = templates[m][op].seen;
	if (!seen || excluded_op(op))
		return false;
	tp = &templates[m][op].t[below(r, MIN(seen, TEMPLATES))];
	if (one_in(r, 12))
		code[n++] = 0x67;
	if (one_in(r, 12))
		code[n++] = (uint8_t[]){ 0x2e, 0x36, 0x3e, 0x26 }[below(r, 4)];
	if (!tp->vex && !tp->prefix && one_in(r, 4))
		code[n++] = (uint8_t[]){ 0x66, 0x66, 0xf2, 0xf3, 0xf0 }[below(r, 5)];
	else if (!tp->vex && tp->prefix && tp->prefix != 0x66 && one_in(r, 8))
		code[n++] = 0x66;
	else if (!tp->vex && one_in(r, 24))
		code[n++] = 0xf0;
	if (tp->vex)
		rex = t->mode == 64 ? below(r, 256) : 0x80 | below(r, 8) << 4;
	else if (t->mode == 64 && one_in(r, 2))
		rex = 0x40 | below(r, 16);
	if (tp->vex && one_in(r, 3))
		rex |= 0xf0;
	n += encode(tp, code + n, rex);
	code[n] = tp->modrm;
	if (one_in(r, 2))
		code[n] = (uint8_t)((tp->modrm & 0x38) | below(r, 4) << 6 | below(r, 8));
	if (one_in(r, 2))
		code[n] = (uint8_t)((code[n] & 0xc7) | below(r, 8) << 3);
	n++;
	for (unsigned k = 0; k < 16; k++)
		code[n + k] = one_in(r, 3) ? (uint8_t)below(r, 16) : (uint8_t)diff_random(r);
	if (op == OP_ENTER)             /* a frame that is there; n is behind the first byte of its size */
		code[n] &= 1;
	if (insn_decode(i, code, 15, t->mode) != DECODE_OK || i->op != op || !allowed(i, code))
		return false;
	/* What diff.c knows to be different is only looked for in the first place. */
	if (follower && (i->op == OP_MASKMOVQ || i->op == OP_MASKMOVDQU || i->op == OP_DPPS || i->op == OP_DPPD ||
			 i->op == OP_VCVTPS2PH || i->op == OP_LDMXCSR || i->op == OP_FNSTENV || i->op == OP_FNSAVE || i->op == OP_FLDENV ||
			 i->op == OP_FRSTOR || i->op == OP_BOUND))
		return false;
	if (t->stack_lost && (i->op == OP_PUSH || i->op == OP_POP || i->op == OP_PUSHF))
		return false;
	if (follower && (is_branch(i) || i->traits & INSN_STRING || i->op == OP_XLAT || i->op == OP_LEAVE ||
			 i->op == OP_ENTER ||
			 i->op == OP_POPA || i->op == OP_PUSHA))
		return false;
	if (follower && stores_the_hosts_own(&t->insn[0]) && (i->mem_op != 0xff || i->op == OP_POP))
		return false;
	if (follower && (explicit_memory(i) && i->op != OP_LEA)) {
		/* Simple ones only, by registers that are still as they were; free ones may yet be chosen. */
		bool simple = i->o[i->mem_op].size && i->o[i->mem_op].size <= 16 && !i->mem.vsib &&
			      !(i->op >= OP_SHA1RNDS4 && i->op <= OP_SHA256MSG2) &&
			      i->op != OP_BT && i->op != OP_BTS && i->op != OP_BTR && i->op != OP_BTC;
		uint64_t rip = t->in.rip;

		if (!simple || address_registers(i) & t->written)
			return false;
		t->in.rip += t->code_len;
		if (!(address_registers(i) & t->pinned) && !steer(t, r, i, code))
			simple = false;
		t->in.rip = rip;
		if (!simple || !harmless(gen_address_of(t, i, rip + t->code_len)))
			return false;
		if (t->mode == 16 && i->o[i->mem_op].size > 8 && offset_of(t, i, rip + t->code_len) > 0xf000)
			return false;           /* which part faults first: as below */
	} else if (!follower) {
		implied(t, r, i);
		if (explicit_memory(i)) {
			if (!steer(t, r, i, code) || !harmless(gen_address(t)))
				return false;
			if ((i->op == OP_XSAVE || i->op == OP_XSAVEC || i->op == OP_XRSTOR) &&
			    (t->in.gpr[RAX] > 7 || t->in.gpr[RDX]))     /* the host has more components */
				return false;
			if (i->op >= OP_SHA1RNDS4 && i->op <= OP_SHA256MSG2 && gen_address(t) & 15)
				return false;           /* AMD does not insist on alignment here */
			/* Which of #PF and #GP comes first at the end of a segment, when it takes several accesses? */
			if (t->mode == 16 && (i->o[i->mem_op].size > 8 || !i->o[i->mem_op].size || i->op == OP_BOUND) &&
			    offset_of(t, i, t->in.rip) > 0xf000)
				return false;
			if ((i->op == OP_BT || i->op == OP_BTS || i->op == OP_BTR || i->op == OP_BTC) &&
			    i->o[1].kind == OPD_GPR && t->in.gpr[i->o[1].reg] + 0x10000 > 0x7fff0000ull + 0x10000)
				return false;
		}
		if (is_branch(i) && !branch_is_safe(t, r, i))
			return false;
	}
	if (i->flags.read & t->undefined)
		return false;
	t->undefined |= i->flags.undefined;     /* also if a later one sets them: it may fault */
	for (unsigned k = 0; k < i->operands; k++)
		if (i->o[k].kind == OPD_GPR && i->o[k].written && i->o[k].reg == RSP)
			t->stack_lost = true;
	t->written |= registers_written(i);
	t->pinned |= address_registers(i) | 1 << RSP;
	if (i->op == OP_XSAVE || i->op == OP_XSAVEC || i->op == OP_XRSTOR)
		t->pinned |= 1 << RAX | 1 << RDX;
	if (i->traits & INSN_STRING || i->op == OP_XLAT || i->op == OP_ENTER || i->op == OP_LEAVE ||
	    i->op == OP_MASKMOVQ ||
	    i->op == OP_MASKMOVDQU || i->op == OP_DIV || i->op == OP_IDIV || is_branch(i))
		t->pinned = 0xffff;     /* implied() chose them */
	t->code_len += i->len;
	t->count++;
	return true;
}

static const enum op frequent[] = {
	OP_MOV, OP_MOV, OP_MOV, OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP, OP_CMP, OP_TEST,
	OP_TEST, OP_INC, OP_DEC, OP_NEG, OP_NOT, OP_SHL, OP_SHR, OP_SAR, OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHLD,
	OP_SHRD, OP_MOVZX, OP_MOVSX, OP_MOVSXD, OP_LEA, OP_SETCC, OP_CMOVCC, OP_IMUL, OP_MUL, OP_BT, OP_BTS, OP_BSF,
	OP_BSR, OP_XCHG, OP_XADD, OP_CMPXCHG, OP_PUSH, OP_POP, OP_CBW, OP_CWD, OP_BSWAP, OP_MOVBE, OP_ANDN, OP_SHLX,
	OP_RORX, OP_MOVAPS, OP_MOVUPS, OP_MOVQ, OP_PXOR, OP_PCMPEQB, OP_PMOVMSKB, OP_LAHF, OP_SAHF, OP_CMC, OP_CLC,
	OP_STC,
};

static void append(struct diff_case *t, const uint8_t *code, unsigned len)
{
	struct insn *i = &t->insn[t->count];

	memcpy(t->code + t->code_len, code, len);
	if (insn_decode(i, t->code + t->code_len, len, t->mode) != DECODE_OK || i->len != len)
		abort();
	t->code_len += len;
	t->count++;
}

/* An instruction that perhaps is not run: nothing behind relies on it, because what is written never points anywhere again. */
static void gen_skipped(struct diff_rng *r, struct diff_case *t)
{
	unsigned cc = below(r, 16), at = t->code_len, k;
	struct insn *jcc = &t->insn[t->count];
	bool stack_lost = t->stack_lost;
	uint8_t code[] = { (uint8_t)(0x70 | cc), 0 };

	append(t, code, 2);
	if (jcc->flags.read & t->undefined || t->stack_lost) {
		t->count--;
		t->code_len = at;
		return;
	}
	for (k = 0; k < 50; k++)
		if (gen_insn(r, t, frequent[below(r, ARRAY_SIZE(frequent))], true))
			break;
	t->stack_lost |= stack_lost;
	t->code[at + 1] = (uint8_t)(t->code_len - at - 2);
	insn_decode(jcc, t->code + at, 2, t->mode);
}

/* May the case run again from its start, with what it leaves behind?  Addresses must be what they were. */
static bool may_loop(const struct diff_case *t)
{
	const struct insn *i = &t->insn[0];

	if (t->stack_lost || t->written & t->pinned & ~(1 << RSP) || is_branch(i) || (i->mem_op != 0xff && i->mem.vsib))
		return false;
	if (i->mem_op != 0xff && (!i->o[i->mem_op].size || i->o[i->mem_op].size > 32 || i->op == OP_BT || i->op == OP_BTS ||
				  i->op == OP_BTR || i->op == OP_BTC))
		return false;
	switch ((int)i->op) {
	case OP_FNSTENV: case OP_FNSAVE: case OP_FLDENV: case OP_FRSTOR: case OP_LDMXCSR: case OP_DPPS: case OP_DPPD: case OP_VCVTPS2PH:
	case OP_MASKMOVQ: case OP_MASKMOVDQU: case OP_UD0: case OP_UD1: case OP_ENTER:
		return false;
	default:
		return true;
	}
}

/* ... SUB counter, 1; JNZ first: all flags are defined again. */
static void gen_loop(struct diff_rng *r, struct diff_case *t)
{
	unsigned reg = 3 + below(r, t->mode == 64 ? 13 : 5), n = 0;
	uint8_t sub[4], jnz[6] = { 0x0f, 0x85 };

	if (t->mode == 16 || !may_loop(t) || reg == RSP || (t->written | t->pinned) >> reg & 1)
		return;
	if (reg >= 8)
		sub[n++] = 0x41;
	sub[n++] = 0x83;
	sub[n++] = (uint8_t)(0xe8 | (reg & 7));
	sub[n++] = 1;
	append(t, sub, n);
	put_le32(jnz + 2, 0 - (t->code_len + 6));
	append(t, jnz, 6);
	t->in.gpr[reg] = 1 + below(r, 6);
}

bool gen_case(struct diff_rng *r, struct diff_case *t, unsigned mode, enum op op, unsigned count)
{
	struct diff_state in;

	if (!collected[mode_index(mode)])
		collect(mode);
	state(r, &in, mode);            /* costs most of all this: once, not with each attempt */
	for (unsigned attempt = 0; attempt < 200; attempt++) {
		memset(t, 0, sizeof(*t));
		t->mode = mode;
		t->in = in;
		t->in.gpr[RSP] = (mode == 16 ? 0 : DATA_BASE) + 0x1000 + (below(r, 0x1000) & ~7u);
		t->in.rip = (mode == 16 ? 0 : CODE_BASE) + 0xf80 + below(r, 0x100);
		if (one_in(r, 32))
			t->in.rip = (mode == 16 ? 0 : CODE_BASE) + CODE_SIZE - 1 - below(r, 15);
		if (!gen_insn(r, t, op, false))
			continue;
		for (unsigned k = 0; k < 50 && t->count < count; k++) {
			if (count >= DIFF_BRANCHES && one_in(r, 8))
				gen_skipped(r, t);
			else
				gen_insn(r, t, one_in(r, 3) ? OP_INVALID : frequent[below(r, ARRAY_SIZE(frequent))], true);
		}
		if (count >= DIFF_BRANCHES && one_in(r, 2))
			gen_loop(r, t);
		if ((t->in.rip & 0xffff) + t->code_len > CODE_SIZE && t->count > 1)
			continue;
		return true;
	}
	return false;
}
