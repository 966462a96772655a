/* SPDX-License-Identifier: MIT */
/* Operands: effective and linear addresses with the checks of segmentation, values in registers and memory, read-modify-write. */
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

uint64_t effective_address(struct cpu *c, const struct insn *i)
{
	uint64_t a;

	if (i->mem.moffs) {
		a = i->imm;
	} else {
		a = (uint64_t)(int64_t)i->mem.disp;
		if (i->mem.base == REG_RIP)
			a += next_rip(c, i);
		else if (i->mem.base != REG_NONE)
			a += c->s.gpr[i->mem.base];
		if (i->mem.index != REG_NONE && !i->mem.vsib)
			a += c->s.gpr[i->mem.index] * i->mem.scale;
	}
	return i->addrsize == 8 ? a : i->addrsize == 4 ? (uint32_t)a : (uint16_t)a;
}

static _Noreturn void bad_segment(struct cpu *c, unsigned seg)
{
	fault(c, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

uint64_t linear_address(struct cpu *c, unsigned seg, uint64_t offset, unsigned len, bool write)
{
	const struct segment *s = &c->s.seg[seg];
	uint64_t last, linear;

	if (code64(c)) {
		linear = seg == SEG_FS || seg == SEG_GS ? s->base + offset : offset;
		if (!canonical(linear) || !canonical(linear + len - 1))
			bad_segment(c, seg);
		return linear;
	}
	if (!(s->attr & SEG_P))
		bad_segment(c, seg);
	if (write ? (s->attr & (SEG_CODE | SEG_RW)) != SEG_RW : (s->attr & (SEG_CODE | SEG_RW)) == SEG_CODE)
		bad_segment(c, seg);
	last = offset + len - 1;
	if ((s->attr & (SEG_CODE | SEG_DOWN)) == SEG_DOWN) {
		if (offset <= s->limit || last > (s->attr & SEG_DB ? 0xffffffff : 0xffff))
			bad_segment(c, seg);
	} else if (last > s->limit) {
		/* In a segment of 4 GB an access may wrap. */
		if (s->limit != 0xffffffff || offset > 0xffffffff)
			bad_segment(c, seg);
	}
	return (uint32_t)(s->base + offset);
}

uint64_t ld_size(struct cpu *c, uint64_t linear, unsigned size)
{
	switch (size) {
	case 1: return ld8(c, linear);
	case 2: return ld16(c, linear);
	case 4: return ld32(c, linear);
	default: return ld64(c, linear);
	}
}

void st_size(struct cpu *c, uint64_t linear, uint64_t v, unsigned size)
{
	switch (size) {
	case 1: st8(c, linear, (uint8_t)v); break;
	case 2: st16(c, linear, (uint16_t)v); break;
	case 4: st32(c, linear, (uint32_t)v); break;
	default: st64(c, linear, v); break;
	}
}

static uint64_t truncated(uint64_t v, unsigned size)
{
	return size >= 8 ? v : v & ((1ull << 8 * size) - 1);
}

uint64_t get_operand(struct cpu *c, const struct insn *i, unsigned n)
{
	const struct operand *o = &i->o[n];

	switch (o->kind) {
	case OPD_GPR:
		return get_reg(c, o);
	case OPD_MEM:
		return ld_size(c, mem_address(c, i, o->size, false), o->size);
	case OPD_IMM2:
		return i->imm2;
	default:
		return o->size ? truncated(i->imm, o->size) : i->imm;
	}
}

void set_operand(struct cpu *c, const struct insn *i, unsigned n, uint64_t v)
{
	const struct operand *o = &i->o[n];

	if (o->kind == OPD_GPR)
		set_reg(c, o, v);
	else
		st_size(c, mem_address(c, i, o->size, true), v, o->size);
}

static uint64_t host_load(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1: return *p;
	case 2: return le16(p);
	case 4: return le32(p);
	default: return le64(p);
	}
}

static void host_store(uint8_t *p, uint64_t v, unsigned size)
{
	switch (size) {
	case 1: *p = (uint8_t)v; break;
	case 2: put_le16(p, (uint16_t)v); break;
	case 4: put_le32(p, (uint32_t)v); break;
	default: put_le64(p, v); break;
	}
}

void lock_prefix_begin(struct cpu *c)
{
	while (atomic_flag_test_and_set_explicit(&c->all->lock_prefix, memory_order_acquire))
		__builtin_ia32_pause();
	c->holds_lock = true;
}

void lock_prefix_end(struct cpu *c)
{
	if (!c->holds_lock)
		return;
	c->holds_lock = false;
	atomic_flag_clear_explicit(&c->all->lock_prefix, memory_order_release);
}

uint64_t rmw_begin(struct cpu *c, const struct insn *i, unsigned n, struct rmw *m)
{
	m->o = &i->o[n];
	m->size = m->o->size;
	m->memory = m->o->kind == OPD_MEM;
	m->host = NULL;
	if (!m->memory) {
		m->lock = false;
		return m->old = get_reg(c, m->o);
	}
	m->lock = i->lock || i->op == OP_XCHG;
	m->linear = mem_address(c, i, m->size, true);
	m->host = st_host(c, m->linear, m->size);
	if (m->host) {
		m->old = host_load(m->host, m->size);
	} else {
		/* Two pages, a device, or a page with code: no host instruction can lock that. */
		probe_write(c, m->linear, m->size);
		if (m->lock)
			lock_prefix_begin(c);
		m->old = ld_size(c, m->linear, m->size);
	}
	return m->old;
}

#define SWAP(type) ({ \
	type expected_ = (type)m->old; \
	bool done_ = __atomic_compare_exchange_n((type *)(void *)m->host, &expected_, (type)v, false, __ATOMIC_SEQ_CST, \
						 __ATOMIC_SEQ_CST); \
	m->old = expected_; \
	done_; \
})

/* The host allows misaligned locked accesses, which is what the guest may do too; no builtin check must stand before that. */
__attribute__((no_sanitize("alignment")))
static bool swap(struct rmw *m, uint64_t v)
{
	switch (m->size) {
	case 1: return SWAP(uint8_t);
	case 2: return SWAP(uint16_t);
	case 4: return SWAP(uint32_t);
	default: return SWAP(uint64_t);
	}
}

bool rmw_end(struct cpu *c, struct rmw *m, uint64_t v)
{
	if (!m->memory) {
		set_reg(c, m->o, v);
		return true;
	}
	if (m->host) {
		if (m->lock)
			return swap(m, v);
		host_store(m->host, v, m->size);
		return true;
	}
	st_size(c, m->linear, v, m->size);
	lock_prefix_end(c);
	return true;
}

void jump_to(struct cpu *c, const struct insn *i, uint64_t rip)
{
	if (code64(c)) {
		if (!canonical(rip))
			fault_gp(c, 0);
	} else {
		rip = i->opsize == 2 ? (uint16_t)rip : (uint32_t)rip;
		if (rip > c->s.seg[SEG_CS].limit)
			fault_gp(c, 0);
	}
	c->s.rip = rip;
}
