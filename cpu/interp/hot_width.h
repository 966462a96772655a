/* SPDX-License-Identifier: MIT */
/*
 * The specialised forms of one operand width: included by hot.c with W (8, 16, 32 or 64), U and S (the unsigned and signed
 * types) defined.  No guard: this is a template.
 */
#if W == 8
#define GET(x) (((const uint8_t *)c->s.gpr)[x])
#define PUT(x, v) (((uint8_t *)c->s.gpr)[x] = (uint8_t)(v))
#define SPREAD(k) ((uint64_t)(k) << 56 | ((k) & 8))
#elif W == 16
#define GET(x) ((uint16_t)c->s.gpr[x])
#define PUT(x, v) put_le16(&c->s.gpr[x], (uint16_t)(v))
#define SPREAD(k) ((uint64_t)(k) << 48 | ((k) & 8))
#elif W == 32
#define GET(x) ((uint32_t)c->s.gpr[x])
#define PUT(x, v) (c->s.gpr[x] = (uint32_t)(v))
#define SPREAD(k) ((uint64_t)(k) << 32 | (k))
#else
#define GET(x) (c->s.gpr[x])
#define PUT(x, v) (c->s.gpr[x] = (v))
#define SPREAD(k) (k)
#endif
#define FN__(name, w) name##_##w
#define FN_(name, w) FN__(name, w)
#define FN(name) FN_(name, W)
#define RESULT(r) (c->s.cc_z = c->s.cc_s = (uint64_t)(int64_t)(S)(r))
#define FLAGS_ADD (RESULT(r), k = (U)((a & b) | ((a | b) & ~r)), c->s.cc_c = SPREAD(k))
#define FLAGS_SUB (RESULT(r), k = (U)((~a & b) | (~(a ^ b) & r)), c->s.cc_c = SPREAD(k))
#define FLAGS_LOGIC (RESULT(r), (void)k, c->s.cc_c = 0)

/* Five forms of a binary operation: b is the source, a the destination; WRITE says whether r goes back. */
#define BINARY(name, expression, flags, WRITE) \
HANDLER(FN(name##_rr)) { U a = GET(u->r), b = GET(u->r2), r = (U)(expression), k; flags; if (WRITE) PUT(u->r, r); NEXT; } \
HANDLER(FN(name##_ri)) { U a = GET(u->r), b = (U)u->imm, r = (U)(expression), k; flags; if (WRITE) PUT(u->r, r); NEXT; } \
HANDLER(FN(name##_rm)) { U a = GET(u->r), b, r, k; LOAD(b); r = (U)(expression); flags; if (WRITE) PUT(u->r, r); NEXT; } \
HANDLER(FN(name##_mr)) { U a, b = GET(u->r2), r, k; MODIFY(a, WRITE); r = (U)(expression); if (WRITE) BACK(r); flags; NEXT; } \
HANDLER(FN(name##_mi)) { U a, b = (U)u->imm, r, k; MODIFY(a, WRITE); r = (U)(expression); if (WRITE) BACK(r); flags; NEXT; }

BINARY(add, a + b, FLAGS_ADD, 1)
BINARY(or, a | b, FLAGS_LOGIC, 1)
BINARY(adc, a + b + get_cf(c), FLAGS_ADD, 1)
BINARY(sbb, a - b - get_cf(c), FLAGS_SUB, 1)
BINARY(and, a & b, FLAGS_LOGIC, 1)
BINARY(sub, a - b, FLAGS_SUB, 1)
BINARY(xor, a ^ b, FLAGS_LOGIC, 1)
BINARY(cmp, a - b, FLAGS_SUB, 0)
BINARY(test, a & b, FLAGS_LOGIC, 0)

HANDLER(FN(mov_rr)) { PUT(u->r, GET(u->r2)); NEXT; }
HANDLER(FN(mov_ri)) { PUT(u->r, (U)u->imm); NEXT; }
HANDLER(FN(mov_rm)) { U v; LOAD(v); PUT(u->r, v); NEXT; }
HANDLER(FN(mov_mr)) { STORE(U, GET(u->r2)); NEXT; }
HANDLER(FN(mov_mi)) { STORE(U, (U)u->imm); NEXT; }

HANDLER(FN(not_r)) { PUT(u->r, (U)~GET(u->r)); NEXT; }
HANDLER(FN(neg_r)) { U a = 0, b = GET(u->r), r = (U)-b, k; FLAGS_SUB; PUT(u->r, r); NEXT; }

/* INC and DEC keep CF: bit 62 of cc_c is CF ^ OF, and OF is 1 only at one value. */
#define KEEP_CF(of, af) (c->s.cc_c = carries(get_cf(c), (of), (af)))
#define TOP ((U)((U)1 << (W - 1)))
HANDLER(FN(inc_r)) { U r = (U)(GET(u->r) + 1); RESULT(r); KEEP_CF(r == TOP, !(r & 15)); PUT(u->r, r); NEXT; }
HANDLER(FN(dec_r)) { U r = (U)(GET(u->r) - 1); RESULT(r); KEEP_CF(r == (U)(TOP - 1), (r & 15) == 15); PUT(u->r, r); NEXT; }
HANDLER(FN(inc_m)) { U r; MODIFY(r, 1); r++; BACK(r); RESULT(r); KEEP_CF(r == TOP, !(r & 15)); NEXT; }
HANDLER(FN(dec_m)) { U r; MODIFY(r, 1); r--; BACK(r); RESULT(r); KEEP_CF(r == (U)(TOP - 1), (r & 15) == 15); NEXT; }

/* Shifts by a constant from 1 to W - 1 (the generic form has the rest). */
#define BIT(v, n) ((v) >> (n) & 1)
#define SHL_BODY(n) { \
	U a = GET(u->r), r = (U)(a << (n)); \
	bool cf = BIT(a, W - (n)); \
	RESULT(r); c->s.cc_c = carries(cf, cf != BIT(r, W - 1), false); PUT(u->r, r); }
#define SHR_BODY(n) { \
	U a = GET(u->r), r = (U)(a >> (n)); \
	RESULT(r); c->s.cc_c = carries(BIT(a, (n) - 1), (n) == 1 && BIT(a, W - 1), false); PUT(u->r, r); }
#define SAR_BODY(n) { \
	S a = (S)GET(u->r), r = (S)(a >> (n)); \
	RESULT(r); c->s.cc_c = carries(BIT(a, (n) - 1), false, false); PUT(u->r, (U)r); }
HANDLER(FN(shl_ri)) { unsigned n = (unsigned)u->imm; SHL_BODY(n); NEXT; }
HANDLER(FN(shr_ri)) { unsigned n = (unsigned)u->imm; SHR_BODY(n); NEXT; }
HANDLER(FN(sar_ri)) { unsigned n = (unsigned)u->imm; SAR_BODY(n); NEXT; }
#if W >= 32
HANDLER(FN(xchg_rr)) { U a = GET(u->r), b = GET(u->r2); PUT(u->r, b); PUT(u->r2, a); NEXT; }
HANDLER(FN(shl_rc)) { unsigned n = c->s.gpr[RCX] & (W - 1); if (n) SHL_BODY(n) else PUT(u->r, GET(u->r)); NEXT; }
HANDLER(FN(shr_rc)) { unsigned n = c->s.gpr[RCX] & (W - 1); if (n) SHR_BODY(n) else PUT(u->r, GET(u->r)); NEXT; }
HANDLER(FN(sar_rc)) { unsigned n = c->s.gpr[RCX] & (W - 1); if (n) SAR_BODY(n) else PUT(u->r, GET(u->r)); NEXT; }
HANDLER(FN(rol_ri))
{
	unsigned n = (unsigned)u->imm;
	U a = GET(u->r), r = a << n | a >> (W - n);

	c->s.cc_c = carries(r & 1, (r & 1) != BIT(r, W - 1), get_af(c));
	PUT(u->r, r);
	NEXT;
}
HANDLER(FN(ror_ri))
{
	unsigned n = (unsigned)u->imm;
	U a = GET(u->r), r = a >> n | a << (W - n);

	c->s.cc_c = carries(BIT(r, W - 1), BIT(r, W - 1) != BIT(r, W - 2), get_af(c));
	PUT(u->r, r);
	NEXT;
}

#define IMUL_BODY(x, y) { \
	S r_; \
	bool over = __builtin_mul_overflow((S)(x), (S)(y), &r_); \
	RESULT(r_); c->s.cc_c = carries(over, over, false); PUT(u->r, (U)r_); }
HANDLER(FN(imul_rr)) { IMUL_BODY(GET(u->r), GET(u->r2)); NEXT; }
HANDLER(FN(imul_rm)) { U v; LOAD(v); IMUL_BODY(GET(u->r), v); NEXT; }
HANDLER(FN(imul_rri)) { IMUL_BODY(GET(u->r2), (U)u->imm); NEXT; }

HANDLER(FN(bt_ri))
{
	c->s.cc_c = carries(BIT(GET(u->r), u->imm), get_of(c), get_af(c));
	NEXT;
}
HANDLER(FN(bt_rr))
{
	c->s.cc_c = carries(BIT(GET(u->r), GET(u->r2) & (W - 1)), get_of(c), get_af(c));
	NEXT;
}

HANDLER(FN(movzx8_rr)) { PUT(u->r, ((const uint8_t *)c->s.gpr)[u->r2]); NEXT; }
HANDLER(FN(movzx16_rr)) { PUT(u->r, (uint16_t)c->s.gpr[u->r2]); NEXT; }
HANDLER(FN(movsx8_rr)) { PUT(u->r, (U)(S)(int8_t)((const uint8_t *)c->s.gpr)[u->r2]); NEXT; }
HANDLER(FN(movsx16_rr)) { PUT(u->r, (U)(S)(int16_t)c->s.gpr[u->r2]); NEXT; }
#if W == 64
HANDLER(FN(movsx32_rr)) { PUT(u->r, (U)(S)(int32_t)c->s.gpr[u->r2]); NEXT; }
#endif
HANDLER(FN(movzx8_rm)) { uint8_t v; LOAD(v); PUT(u->r, v); NEXT; }
HANDLER(FN(movzx16_rm)) { uint16_t v; LOAD(v); PUT(u->r, v); NEXT; }
HANDLER(FN(movsx8_rm)) { uint8_t v; LOAD(v); PUT(u->r, (U)(S)(int8_t)v); NEXT; }
HANDLER(FN(movsx16_rm)) { uint16_t v; LOAD(v); PUT(u->r, (U)(S)(int16_t)v); NEXT; }
#if W == 64
HANDLER(FN(movsx32_rm)) { uint32_t v; LOAD(v); PUT(u->r, (U)(S)(int32_t)v); NEXT; }
#endif

HANDLER(FN(lea)) { PUT(u->r, ADDRESS); NEXT; }

/* Stack operations as wide as the stack pointer is: 64-bit code, and 32-bit code on a flat 32-bit stack. */
#define STACK_STORE(v) \
	uint64_t sp_ = (U)(c->s.gpr[RSP] - sizeof(U)); \
	STORE_AT(sp_, U, v, MISS)
HANDLER(FN(push_r)) { U v = GET(u->r); STACK_STORE(v); c->s.gpr[RSP] = sp_; NEXT; }
HANDLER(FN(push_i)) { STACK_STORE((U)u->imm); c->s.gpr[RSP] = sp_; NEXT; }
HANDLER(FN(push_m)) { U v; LOAD(v); STACK_STORE(v); c->s.gpr[RSP] = sp_; NEXT; }
HANDLER(FN(pop_r)) { U v; uint64_t sp = GET(RSP); LOAD_AT(sp, v, MISS); c->s.gpr[RSP] = (U)(sp + sizeof(U)); PUT(u->r, v); NEXT; }
HANDLER(FN(leave)) { U v; uint64_t sp = GET(RBP); LOAD_AT(sp, v, MISS); c->s.gpr[RSP] = (U)(sp + sizeof(U)); PUT(RBP, v); NEXT; }

HANDLER(FN(call_rel))
{
	uint64_t next = (c->s.gpr[17] + u->offset + u->len) & c->addr_mask, sp = (U)(c->s.gpr[RSP] - sizeof(U));

	STORE_AT(sp, U, (U)next, MISS_END);
	c->s.gpr[RSP] = sp;
	GO(u);
}
HANDLER(FN(call_r))
{
	uint64_t next = (c->s.gpr[17] + u->offset + u->len) & c->addr_mask, sp = (U)(c->s.gpr[RSP] - sizeof(U)), to = GET(u->r);

	if (UNLIKELY(!CANONICAL(to)))
		return hot_miss_end(c, u);
	STORE_AT(sp, U, (U)next, MISS_END);
	c->s.gpr[RSP] = sp;
	return hot_jump(c, to);
}
HANDLER(FN(call_m))
{
	uint64_t next = (c->s.gpr[17] + u->offset + u->len) & c->addr_mask, sp = (U)(c->s.gpr[RSP] - sizeof(U)), at = LINEAR;
	U to;

	LOAD_AT(at, to, MISS_END);
	if (UNLIKELY(!CANONICAL(to)))
		return hot_miss_end(c, u);
	STORE_AT(sp, U, (U)next, MISS_END);
	c->s.gpr[RSP] = sp;
	return hot_jump(c, to);
}
HANDLER(FN(jmp_r))
{
	uint64_t to = GET(u->r);

	if (UNLIKELY(!CANONICAL(to)))
		return hot_miss_end(c, u);
	return hot_jump(c, to);
}
HANDLER(FN(jmp_m))
{
	uint64_t at = LINEAR;
	U to;

	LOAD_AT(at, to, MISS_END);
	if (UNLIKELY(!CANONICAL(to)))
		return hot_miss_end(c, u);
	return hot_jump(c, to);
}
HANDLER(FN(ret))
{
	uint64_t sp = GET(RSP);
	U to;

	LOAD_AT(sp, to, MISS_END);
	if (UNLIKELY(!CANONICAL(to)))
		return hot_miss_end(c, u);
	c->s.gpr[RSP] = (U)(sp + sizeof(U));
	return hot_jump(c, to);
}
#undef IMUL_BODY
#undef STACK_STORE
#endif

/* The tables that hot_choose() selects from. */
static run_fn *const FN(binary)[10][5] = {
	{ FN(add_rr), FN(add_ri), FN(add_rm), FN(add_mr), FN(add_mi) }, { FN(or_rr), FN(or_ri), FN(or_rm), FN(or_mr), FN(or_mi) },
	{ FN(adc_rr), FN(adc_ri), FN(adc_rm), FN(adc_mr), FN(adc_mi) }, { FN(sbb_rr), FN(sbb_ri), FN(sbb_rm), FN(sbb_mr), FN(sbb_mi) },
	{ FN(and_rr), FN(and_ri), FN(and_rm), FN(and_mr), FN(and_mi) }, { FN(sub_rr), FN(sub_ri), FN(sub_rm), FN(sub_mr), FN(sub_mi) },
	{ FN(xor_rr), FN(xor_ri), FN(xor_rm), FN(xor_mr), FN(xor_mi) }, { FN(cmp_rr), FN(cmp_ri), FN(cmp_rm), FN(cmp_mr), FN(cmp_mi) },
	{ FN(test_rr), FN(test_ri), FN(test_rm), FN(test_mr), FN(test_mi) }, { FN(mov_rr), FN(mov_ri), FN(mov_rm), FN(mov_mr), FN(mov_mi) },
};
static run_fn *const FN(unary)[4][2] = {
	{ FN(inc_r), FN(inc_m) }, { FN(dec_r), FN(dec_m) }, { FN(not_r), NULL }, { FN(neg_r), NULL },
};
static run_fn *const FN(shift)[3] = { FN(shl_ri), FN(shr_ri), FN(sar_ri) };

#undef GET
#undef PUT
#undef SPREAD
#undef FN
#undef FN_
#undef FN__
#undef RESULT
#undef FLAGS_ADD
#undef FLAGS_SUB
#undef FLAGS_LOGIC
#undef BINARY
#undef KEEP_CF
#undef TOP
#undef BIT
#undef SHL_BODY
#undef SHR_BODY
#undef SAR_BODY
#undef W
#undef U
#undef S
