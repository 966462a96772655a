/* SPDX-License-Identifier: MIT */
/*
 * Shifts and rotates.  Counts are masked to 5 bits (6 for 64-bit operands); a masked count of 0 changes no flag.  Where the
 * SDM leaves OF undefined (counts other than 1) it is what the formula for 1 gives on the last step, as processors do.
 */
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

static unsigned count_of(struct cpu *c, const struct insn *i, unsigned operand)
{
	unsigned n = i->operands > operand ? (unsigned)get_operand(c, i, operand) : 1;

	return n & (i->o[0].size == 8 ? 63 : 31);
}

static bool bit(uint64_t v, unsigned n)
{
	return n < 64 && v >> n & 1;
}

static void op_shl(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 1), bits;
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), r;
	bool cf;

	bits = 8 * m.size;
	r = n < 64 ? zero_extend(a << n, m.size) : 0;
	rmw_end(c, &m, r);
	if (!n)
		return;
	cf = n <= bits && bit(a, bits - n);
	flags_set(c, r, m.size, cf, bit(r, bits - 1) != cf, false);
}

static void op_shr(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 1), bits;
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), r = a >> n;

	bits = 8 * m.size;
	rmw_end(c, &m, r);
	if (n)
		flags_set(c, r, m.size, bit(a, n - 1), n == 1 ? bit(a, bits - 1) : bit(r, bits - 1) != bit(r, bits - 2), false);
}

static void op_sar(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 1);
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), s = sign_extend(a, m.size);

	rmw_end(c, &m, (uint64_t)((int64_t)s >> n));
	if (n)
		flags_set(c, (uint64_t)((int64_t)s >> n), m.size, (uint64_t)((int64_t)s >> (n - 1)) & 1, false, false);
}

static void op_rol(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 1), bits, k;
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), r;

	bits = 8 * m.size;
	k = n % bits;
	r = k ? zero_extend(a << k | a >> (bits - k), m.size) : a;
	rmw_end(c, &m, r);
	if (n)
		set_cf_of(c, r & 1, (r & 1) != bit(r, bits - 1));
}

static void op_ror(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 1), bits, k;
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), r;

	bits = 8 * m.size;
	k = n % bits;
	r = k ? zero_extend(a >> k | a << (bits - k), m.size) : a;
	rmw_end(c, &m, r);
	if (n)
		set_cf_of(c, bit(r, bits - 1), bit(r, bits - 1) != bit(r, bits - 2));
}

static void op_rcl(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 1), bits, k;
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), r = a;
	bool cf = get_cf(c), out;

	bits = 8 * m.size;
	if (m.size < 4)
		n %= bits + 1;
	for (k = 0; k < n; k++) {
		out = bit(r, bits - 1);
		r = zero_extend(r << 1 | cf, m.size);
		cf = out;
	}
	rmw_end(c, &m, r);
	if (n)
		set_cf_of(c, cf, bit(r, bits - 1) != cf);
}

static void op_rcr(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 1), bits, k;
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), r = a;
	bool cf = get_cf(c), out;

	bits = 8 * m.size;
	if (m.size < 4)
		n %= bits + 1;
	for (k = 0; k < n; k++) {
		out = r & 1;
		r = r >> 1 | (uint64_t)cf << (bits - 1);
		cf = out;
	}
	rmw_end(c, &m, r);
	if (n)
		set_cf_of(c, cf, bit(r, bits - 1) != bit(r, bits - 2));
}

/*
 * Counts beyond 16 with 16-bit operands are undefined.  Processors shift the 48 bits destination:source:destination, which
 * is what is done here.
 */
static void op_shld(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 2), bits;
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), b = get_reg(c, &i->o[1]), r;
	bool cf;

	if (!n) {
		rmw_end(c, &m, a);
		return;
	}
	bits = 8 * m.size;
	if (m.size == 2) {
		uint64_t wide = a << 32 | b << 16 | a;

		r = wide << n >> 32 & 0xffff;
		cf = bit(wide, 48 - n);
	} else {
		r = zero_extend(a << n | b >> (bits - n), m.size);
		cf = bit(a, bits - n);
	}
	rmw_end(c, &m, r);
	flags_set(c, r, m.size, cf, bit(a, bits - 1) != bit(r, bits - 1), false);
}

static void op_shrd(struct cpu *c, const struct insn *i)
{
	unsigned n = count_of(c, i, 2), bits;
	struct rmw m;
	uint64_t a = rmw_begin(c, i, 0, &m), b = get_reg(c, &i->o[1]), r;
	bool cf;

	if (!n) {
		rmw_end(c, &m, a);
		return;
	}
	bits = 8 * m.size;
	if (m.size == 2) {
		uint64_t wide = a << 32 | b << 16 | a;

		r = wide >> n & 0xffff;
		cf = bit(wide, n - 1);
	} else {
		r = zero_extend(a >> n | b << (bits - n), m.size);
		cf = bit(a, n - 1);
	}
	rmw_end(c, &m, r);
	flags_set(c, r, m.size, cf, bit(a, bits - 1) != bit(r, bits - 1), false);
}

/* BMI2: no flags, the count in a register. */
static unsigned count3(struct cpu *c, const struct insn *i)
{
	return (unsigned)get_operand(c, i, 2) & (8u * i->o[0].size - 1);
}

static void op_shlx(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1);

	set_reg(c, &i->o[0], a << count3(c, i));
}

static void op_shrx(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1);

	set_reg(c, &i->o[0], a >> count3(c, i));
}

static void op_sarx(struct cpu *c, const struct insn *i)
{
	uint64_t a = sign_extend(get_operand(c, i, 1), i->o[0].size);

	set_reg(c, &i->o[0], (uint64_t)((int64_t)a >> count3(c, i)));
}

static void op_rorx(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1);
	unsigned bits = 8 * i->o[0].size, n = count3(c, i);

	set_reg(c, &i->o[0], n ? a >> n | a << (bits - n) : a);
}

const op_handler shift_ops[OP_COUNT] = {
	[OP_SHL] = op_shl, [OP_SHR] = op_shr, [OP_SAR] = op_sar, [OP_ROL] = op_rol, [OP_ROR] = op_ror, [OP_RCL] = op_rcl,
	[OP_RCR] = op_rcr, [OP_SHLD] = op_shld, [OP_SHRD] = op_shrd, [OP_SHLX] = op_shlx, [OP_SHRX] = op_shrx,
	[OP_SARX] = op_sarx, [OP_RORX] = op_rorx,
};
