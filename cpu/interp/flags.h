/* SPDX-License-Identifier: MIT */
/* Setting the arithmetic flags from operands and results; see struct cpu_state for how they are held.  size: 1, 2, 4, 8. */
#ifndef CPU_INTERP_FLAGS_H
#define CPU_INTERP_FLAGS_H

#include "cpu/state.h"

static inline uint64_t sign_extend(uint64_t v, unsigned size)
{
	unsigned up = 64 - 8 * size;

	return (uint64_t)((int64_t)(v << up) >> up);
}

static inline uint64_t zero_extend(uint64_t v, unsigned size)
{
	unsigned up = 64 - 8 * size;

	return v << up >> up;
}

/* Carries out of each bit, moved so that those of the operand's two top bits are bits 63 and 62; bit 3 stays. */
static inline uint64_t spread(uint64_t carry, unsigned size)
{
	return size == 8 ? carry : carry << (64 - 8 * size) | (carry & 8);
}

static inline void flags_result(struct cpu *c, uint64_t r, unsigned size)
{
	c->s.cc_z = c->s.cc_s = sign_extend(r, size);
}

static inline void flags_logic(struct cpu *c, uint64_t r, unsigned size)
{
	flags_result(c, r, size);
	c->s.cc_c = 0;
}

/* r = a + b + carry in */
static inline void flags_add(struct cpu *c, uint64_t a, uint64_t b, uint64_t r, unsigned size)
{
	flags_result(c, r, size);
	c->s.cc_c = spread((a & b) | ((a | b) & ~r), size);
}

/* r = a - b - borrow in */
static inline void flags_sub(struct cpu *c, uint64_t a, uint64_t b, uint64_t r, unsigned size)
{
	flags_result(c, r, size);
	c->s.cc_c = spread((~a & b) | (~(a ^ b) & r), size);
}

/* ZF, SF and PF of r; the others as given. */
static inline void flags_set(struct cpu *c, uint64_t r, unsigned size, bool cf, bool of, bool af)
{
	flags_result(c, r, size);
	c->s.cc_c = carries(cf, of, af);
}

static inline void set_cf(struct cpu *c, bool cf)
{
	c->s.cc_c = carries(cf, get_of(c), get_af(c));
}

static inline void set_cf_of(struct cpu *c, bool cf, bool of)
{
	c->s.cc_c = carries(cf, of, get_af(c));
}

/* Condition 0..15, the low nibble of Jcc's opcode. */
static inline bool condition(const struct cpu *c, unsigned cc)
{
	bool v;

	switch (cc >> 1) {
	case 0: v = get_of(c); break;
	case 1: v = get_cf(c); break;
	case 2: v = get_zf(c); break;
	case 3: v = get_cf(c) || get_zf(c); break;
	case 4: v = get_sf(c); break;
	case 5: v = get_pf(c); break;
	case 6: v = get_sf(c) != get_of(c); break;
	default: v = get_zf(c) || get_sf(c) != get_of(c); break;
	}
	return v != (cc & 1);
}

#endif
