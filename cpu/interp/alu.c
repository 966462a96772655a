/* SPDX-License-Identifier: MIT */
/* Addition, subtraction, logic, comparison, and the locked exchanges built on them. */
#include "cpu/interp/flags.h"
#include "cpu/interp/host.h"
#include "cpu/interp/interp.h"

/* Operand 1 is evaluated first: if it is memory, operand 0 is a register. */
#define BINARY(name, expression, set_flags) \
static void name(struct cpu *c, const struct insn *i) \
{ \
	uint64_t b = get_operand(c, i, 1), a, r, carry = get_cf(c); \
	struct rmw m; \
	\
	a = rmw_begin(c, i, 0, &m); \
	do { \
		a = m.old; \
		r = expression; \
	} while (!rmw_end(c, &m, r)); \
	(void)carry; \
	set_flags; \
}
BINARY(op_add, a + b, flags_add(c, a, b, r, m.size))
BINARY(op_adc, a + b + carry, flags_add(c, a, b, r, m.size))
BINARY(op_sub, a - b, flags_sub(c, a, b, r, m.size))
BINARY(op_sbb, a - b - carry, flags_sub(c, a, b, r, m.size))
BINARY(op_and, a & b, flags_logic(c, r, m.size))
BINARY(op_or, a | b, flags_logic(c, r, m.size))
BINARY(op_xor, a ^ b, flags_logic(c, r, m.size))

static void op_cmp(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 0), b = get_operand(c, i, 1);

	flags_sub(c, a, b, a - b, i->o[0].size);
}

static void op_test(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 0), b = get_operand(c, i, 1);

	flags_logic(c, a & b, i->o[0].size);
}

static void op_not(struct cpu *c, const struct insn *i)
{
	struct rmw m;

	rmw_begin(c, i, 0, &m);
	while (!rmw_end(c, &m, ~m.old))
		;
}

static void op_neg(struct cpu *c, const struct insn *i)
{
	struct rmw m;
	uint64_t a;

	rmw_begin(c, i, 0, &m);
	do
		a = m.old;
	while (!rmw_end(c, &m, -a));
	flags_sub(c, 0, a, -a, m.size);
}

static void op_inc(struct cpu *c, const struct insn *i)
{
	bool cf = get_cf(c);
	struct rmw m;
	uint64_t a;

	rmw_begin(c, i, 0, &m);
	do
		a = m.old;
	while (!rmw_end(c, &m, a + 1));
	flags_add(c, a, 1, a + 1, m.size);
	set_cf(c, cf);
}

static void op_dec(struct cpu *c, const struct insn *i)
{
	bool cf = get_cf(c);
	struct rmw m;
	uint64_t a;

	rmw_begin(c, i, 0, &m);
	do
		a = m.old;
	while (!rmw_end(c, &m, a - 1));
	flags_sub(c, a, 1, a - 1, m.size);
	set_cf(c, cf);
}

static void op_xadd(struct cpu *c, const struct insn *i)
{
	uint64_t b = get_reg(c, &i->o[1]), a;
	struct rmw m;

	rmw_begin(c, i, 0, &m);
	do
		a = m.old;
	while (m.memory && !rmw_end(c, &m, a + b));
	set_reg(c, &i->o[1], a);
	if (!m.memory)
		rmw_end(c, &m, a + b);          /* xadd r,r: the sum wins */
	flags_add(c, a, b, a + b, m.size);
}

static void op_cmpxchg(struct cpu *c, const struct insn *i)
{
	struct operand rax = { .kind = OPD_GPR, .reg = RAX, .size = i->o[0].size };
	uint64_t expected = get_reg(c, &rax), new = get_reg(c, &i->o[1]), old;
	struct rmw m;

	/* Memory is written in both cases, so it must be writable in both (SDM); a register's upper half shows it is not. */
	rmw_begin(c, i, 0, &m);
	do
		old = m.old;
	while ((m.memory || old == expected) && !rmw_end(c, &m, old == expected ? new : old));
	if (old != expected)
		set_reg(c, &rax, old);
	flags_sub(c, expected, old, expected - old, m.size);
}

static void op_xchg(struct cpu *c, const struct insn *i)
{
	uint64_t b = get_reg(c, &i->o[1]), a;
	struct rmw m;

	/* xchg r8, m and xchg m, r8 are one encoding; the decoder puts memory first. */
	rmw_begin(c, i, 0, &m);
	do
		a = m.old;
	while (!rmw_end(c, &m, b));
	set_reg(c, &i->o[1], a);
}

static void set_zf(struct cpu *c, bool zf)
{
	set_arith_flags(c, (get_arith_flags(c) & ~(uint32_t)FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

static void op_cmpxchg8b(struct cpu *c, const struct insn *i)
{
	uint64_t expected = (uint32_t)c->s.gpr[RAX] | c->s.gpr[RDX] << 32, old;
	uint64_t new = (uint32_t)c->s.gpr[RBX] | c->s.gpr[RCX] << 32;
	struct insn wide = *i;
	struct rmw m;

	wide.o[0].size = 8;
	rmw_begin(c, &wide, 0, &m);
	do
		old = m.old;
	while (!rmw_end(c, &m, old == expected ? new : old));
	if (old != expected) {
		c->s.gpr[RAX] = (uint32_t)old;
		c->s.gpr[RDX] = old >> 32;
	}
	set_zf(c, old == expected);
}

static void op_cmpxchg16b(struct cpu *c, const struct insn *i)
{
	unsigned __int128 expected = c->s.gpr[RAX] | (unsigned __int128)c->s.gpr[RDX] << 64, old;
	unsigned __int128 new = c->s.gpr[RBX] | (unsigned __int128)c->s.gpr[RCX] << 64;
	uint64_t linear = mem_address(c, i, 16, true);
	uint8_t *host;
	bool same;

	if (linear & 15)
		fault_gp(c, 0);
	host = st_host(c, linear, 16);
	if (host && cpu_host_cmpxchg16(host, &expected, new)) {
		same = true;
	} else if (host) {
		same = false;
		c->s.gpr[RAX] = (uint64_t)expected;
		c->s.gpr[RDX] = (uint64_t)(expected >> 64);
	} else {
		probe_write(c, linear, 16);
		lock_prefix_begin(c);
		old = ld64(c, linear) | (unsigned __int128)ld64(c, linear + 8) << 64;
		same = old == expected;
		st64(c, linear, (uint64_t)(same ? new : old));
		st64(c, linear + 8, (uint64_t)((same ? new : old) >> 64));
		lock_prefix_end(c);
		if (!same) {
			c->s.gpr[RAX] = (uint64_t)old;
			c->s.gpr[RDX] = (uint64_t)(old >> 64);
		}
	}
	set_zf(c, same);
}

static void op_adcx(struct cpu *c, const struct insn *i)
{
	uint64_t b = get_operand(c, i, 1), a = get_reg(c, &i->o[0]), r = a + b + get_cf(c);

	set_reg(c, &i->o[0], r);
	set_cf_of(c, spread((a & b) | ((a | b) & ~r), i->o[0].size) >> 63, get_of(c));
}

static void op_adox(struct cpu *c, const struct insn *i)
{
	uint64_t b = get_operand(c, i, 1), a = get_reg(c, &i->o[0]), r = a + b + get_of(c);

	set_reg(c, &i->o[0], r);
	set_cf_of(c, get_cf(c), spread((a & b) | ((a | b) & ~r), i->o[0].size) >> 63);
}

const op_handler alu_ops[OP_COUNT] = {
	[OP_ADD] = op_add, [OP_OR] = op_or, [OP_ADC] = op_adc, [OP_SBB] = op_sbb, [OP_AND] = op_and, [OP_SUB] = op_sub,
	[OP_XOR] = op_xor, [OP_CMP] = op_cmp, [OP_TEST] = op_test, [OP_NOT] = op_not, [OP_NEG] = op_neg, [OP_INC] = op_inc,
	[OP_DEC] = op_dec, [OP_XADD] = op_xadd, [OP_CMPXCHG] = op_cmpxchg, [OP_XCHG] = op_xchg,
	[OP_CMPXCHG8B] = op_cmpxchg8b, [OP_CMPXCHG16B] = op_cmpxchg16b, [OP_ADCX] = op_adcx, [OP_ADOX] = op_adox,
};
