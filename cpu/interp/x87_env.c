/* SPDX-License-Identifier: MIT */
/*
 * x87 control: FNINIT, FNCLEX, FWAIT, control and status word, environment and state images (SDM volume 1, 8.1.10 and
 * figures 8-9 to 8-12), all in software.
 */
#include "cpu/interp/x87.h"

/* The registers stay where they are when TOP moves, but st[] counts from TOP. */
static void set_top(struct fpu_area *f, unsigned top)
{
	unsigned by = (top - (f->fsw >> 11)) & 7;
	uint8_t old[8][16];

	memcpy(old, f->st, sizeof(old));
	for (unsigned n = 0; n < 8; n++)
		memcpy(f->st[n], old[(n + by) & 7], 16);
	f->fsw = (uint16_t)((f->fsw & ~FSW_TOP) | top << 11);
}

void x87_init(struct fpu_area *f)
{
	set_top(f, 0);
	f->fcw = FCW_INIT;
	f->fsw = 0;
	f->ftw = 0;
	f->fop = 0;
	f->fip = f->fdp = 0;
}

void x87_normalise(struct fpu_area *f)
{
	f->fcw = (uint16_t)((f->fcw & ~FCW_RESERVED) | FCW_ONE);
	f->fsw &= (uint16_t)~(FSW_ES | FSW_B);
	if (f->fsw & ~f->fcw & FSW_FLAGS)
		f->fsw |= FSW_ES | FSW_B;
}

static void op_fwait(struct cpu *c, const struct insn *i)
{
	(void)i;
	if ((c->s.cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		fault(c, VEC_NM, 0);
	x87_check_pending(c);
}

static void op_fninit(struct cpu *c, const struct insn *i)
{
	(void)i;
	x87_available(c);
	x87_init(&c->s.fpu);
}

static void op_fnclex(struct cpu *c, const struct insn *i)
{
	(void)i;
	x87_available(c);
	c->s.fpu.fsw &= 0x7f00;
}

/* FENI, FDISI, FSETPM: of the 8087 and 80287. */
static void op_nothing(struct cpu *c, const struct insn *i)
{
	(void)i;
	x87_available(c);
}

static void op_fnstcw(struct cpu *c, const struct insn *i)
{
	x87_available(c);
	set_operand(c, i, 0, c->s.fpu.fcw);
}

static void op_fnstsw(struct cpu *c, const struct insn *i)
{
	x87_available(c);
	set_operand(c, i, 0, c->s.fpu.fsw);
}

static void op_fldcw(struct cpu *c, const struct insn *i)
{
	x87_available(c);
	x87_check_pending(c);
	c->s.fpu.fcw = (uint16_t)get_operand(c, i, 0);
	x87_normalise(&c->s.fpu);
}

/* --- images -------------------------------------------------------------------------------------------------- */

enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static uint16_t full_tags(const struct fpu_area *f)
{
	uint16_t tags = 0;

	for (unsigned n = 0; n < 8; n++) {
		const uint8_t *st = f->st[(n - (f->fsw >> 11)) & 7];
		uint64_t mantissa = le64(st);
		unsigned exponent = le16(st + 8) & 0x7fff, tag = TAG_VALID;

		if (!(f->ftw >> n & 1))
			tag = TAG_EMPTY;
		else if (!exponent && !mantissa)
			tag = TAG_ZERO;
		else if (!exponent || exponent == 0x7fff || !(mantissa >> 63))
			tag = TAG_SPECIAL;
		tags |= (uint16_t)(tag << 2 * n);
	}
	return tags;
}

static unsigned env_size(const struct insn *i) { return i->opsize == 2 ? 14 : 28; }

/* Real mode: a 32-bit linear pointer instead of selector and offset. */
static uint32_t linear_pointer(uint64_t p)
{
	return (uint32_t)p + ((uint32_t)(p >> 32) << 4);
}

static void put_env(const struct cpu *c, const struct insn *i, uint8_t *p)
{
	const struct fpu_area *f = &c->s.fpu;
	uint32_t word[7] = { f->fcw, f->fsw, full_tags(f) };

	if (protected_mode(c)) {
		word[3] = (uint32_t)f->fip;
		word[4] = (uint16_t)(f->fip >> 32);
		word[5] = (uint32_t)f->fdp;
		word[6] = (uint16_t)(f->fdp >> 32);
		if (code64(c))          /* 64-bit offsets have no selectors */
			word[4] = word[6] = 0;
		if (i->opsize != 2)
			word[4] |= (uint32_t)(f->fop & 0x7ff) << 16;
	} else {
		uint32_t ip = linear_pointer(f->fip), dp = linear_pointer(f->fdp);

		word[3] = ip & 0xffff;
		word[4] = (ip >> 16) << 12 | (f->fop & 0x7ff);
		word[5] = dp & 0xffff;
		word[6] = (dp >> 16) << 12;
	}
	if (i->opsize == 2) {
		for (unsigned n = 0; n < 7; n++)
			put_le16(p + 2 * n, (uint16_t)word[n]);
		return;
	}
	/* The reserved halves read as ones. */
	word[0] |= 0xffff0000;
	word[1] |= 0xffff0000;
	word[2] |= 0xffff0000;
	if (protected_mode(c))
		word[6] |= 0xffff0000;
	for (unsigned n = 0; n < 7; n++)
		put_le32(p + 4 * n, word[n]);
}

static void get_env(struct cpu *c, const struct insn *i, const uint8_t *p, bool keep_registers)
{
	struct fpu_area *f = &c->s.fpu;
	uint32_t word[7];
	uint16_t fsw;

	for (unsigned n = 0; n < 7; n++)
		word[n] = i->opsize == 2 ? le16(p + 2 * n) : le32(p + 4 * n);
	fsw = (uint16_t)word[1];
	if (keep_registers)
		set_top(f, fsw >> 11 & 7);
	f->fcw = (uint16_t)word[0];
	f->fsw = fsw;
	f->ftw = 0;
	for (unsigned n = 0; n < 8; n++)
		if ((word[2] >> 2 * n & 3) != TAG_EMPTY)
			f->ftw |= (uint8_t)(1 << n);
	if (protected_mode(c)) {
		f->fip = word[3] | (uint64_t)(uint16_t)word[4] << 32;
		f->fdp = word[5] | (uint64_t)(uint16_t)word[6] << 32;
		if (code64(c)) {
			f->fip = word[3];
			f->fdp = word[5];
		}
		f->fop = i->opsize == 2 ? 0 : word[4] >> 16 & 0x7ff;
	} else {
		f->fip = (word[3] & 0xffff) | (word[4] >> 12 & 0xffff) << 16;
		f->fdp = (word[5] & 0xffff) | (word[6] >> 12 & 0xffff) << 16;
		f->fop = word[4] & 0x7ff;
	}
	x87_normalise(f);
}

static void op_fnstenv(struct cpu *c, const struct insn *i)
{
	uint8_t image[28];

	x87_available(c);
	put_env(c, i, image);
	st_bytes(c, mem_address(c, i, env_size(i), true), image, env_size(i));
	c->s.fpu.fcw |= FCW_MASKS;
	x87_normalise(&c->s.fpu);
}

static void op_fldenv(struct cpu *c, const struct insn *i)
{
	uint8_t image[28];

	x87_available(c);
	x87_check_pending(c);
	ld_bytes(c, mem_address(c, i, env_size(i), false), image, env_size(i));
	get_env(c, i, image, true);
}

static void op_fnsave(struct cpu *c, const struct insn *i)
{
	unsigned env = env_size(i);
	uint8_t image[108];

	x87_available(c);
	put_env(c, i, image);
	for (unsigned n = 0; n < 8; n++)
		memcpy(image + env + 10 * n, c->s.fpu.st[n], 10);
	st_bytes(c, mem_address(c, i, env + 80, true), image, env + 80);
	x87_init(&c->s.fpu);
}

static void op_frstor(struct cpu *c, const struct insn *i)
{
	unsigned env = env_size(i);
	uint8_t image[108];

	x87_available(c);
	x87_check_pending(c);
	ld_bytes(c, mem_address(c, i, env + 80, false), image, env + 80);
	get_env(c, i, image, false);
	for (unsigned n = 0; n < 8; n++)
		memcpy(c->s.fpu.st[n], image + env + 10 * n, 10);
}

const op_handler x87_env_ops[OP_COUNT] = {
	[OP_FWAIT] = op_fwait, [OP_FNINIT] = op_fninit, [OP_FNCLEX] = op_fnclex,
	[OP_FNENI] = op_nothing, [OP_FNDISI] = op_nothing, [OP_FNSETPM] = op_nothing,
	[OP_FNSTCW] = op_fnstcw, [OP_FLDCW] = op_fldcw, [OP_FNSTSW] = op_fnstsw,
	[OP_FNSTENV] = op_fnstenv, [OP_FLDENV] = op_fldenv, [OP_FNSAVE] = op_fnsave, [OP_FRSTOR] = op_frstor,
};
