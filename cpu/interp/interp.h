/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's inside: handlers, and what they use to reach memory, registers and flags.
 *
 * Every instruction has one generic handler, op_table[insn.op], of the shape below: complete, for all modes and operand
 * forms.  The frequent integer ones have specialised forms on top (hot.c), which fall back to the generic one whenever
 * something is not the plain case.
 *
 * A handler works on the state as it is before the instruction; RIP is advanced by the caller, so a handler that branches
 * calls jump_to().  Faults leave by fault(), which does not return: a handler changes nothing that can be seen before its
 * last possible fault.  Stores fault before they write a byte; who writes twice, or writes memory and a register that the
 * address depends on, probes first.
 */
#ifndef CPU_INTERP_INTERP_H
#define CPU_INTERP_INTERP_H

#include "base/bytes.h"
#include "cpu/state.h"

typedef void (*op_handler)(struct cpu *c, const struct insn *i);

/* One table per family, designated initialisers by OP_; merged into op_table when the first processor is made. */
extern const op_handler alu_ops[OP_COUNT], shift_ops[OP_COUNT], muldiv_ops[OP_COUNT], bit_ops[OP_COUNT], bcd_ops[OP_COUNT];
extern const op_handler mov_ops[OP_COUNT], stack_ops[OP_COUNT], string_ops[OP_COUNT], branch_ops[OP_COUNT];
extern const op_handler far_ops[OP_COUNT], port_ops[OP_COUNT], misc_ops[OP_COUNT], sys_ops[OP_COUNT];
/* Of the floating-point and vector families. */
extern const op_handler x87_ops[OP_COUNT], x87_env_ops[OP_COUNT], fpu_state_ops[OP_COUNT], mmx_ops[OP_COUNT];
extern const op_handler sse_move_ops[OP_COUNT], sse_int_ops[OP_COUNT], sse_fp_ops[OP_COUNT], sse4_ops[OP_COUNT];
extern const op_handler aes_ops[OP_COUNT], avx_ops[OP_COUNT];

/* --- memory by linear address (mmu.c) --------------------------------------------------------------------------- */
/* Loads and stores of the running privilege; any alignment, may cross a page; may fault. */
uint8_t ld8(struct cpu *c, uint64_t linear);
uint16_t ld16(struct cpu *c, uint64_t linear);
uint32_t ld32(struct cpu *c, uint64_t linear);
uint64_t ld64(struct cpu *c, uint64_t linear);
void st8(struct cpu *c, uint64_t linear, uint8_t v);
void st16(struct cpu *c, uint64_t linear, uint16_t v);
void st32(struct cpu *c, uint64_t linear, uint32_t v);
void st64(struct cpu *c, uint64_t linear, uint64_t v);
/* len up to 4096; all bytes are checked before the first is written. */
void ld_bytes(struct cpu *c, uint64_t linear, void *buf, unsigned len);
void st_bytes(struct cpu *c, uint64_t linear, const void *buf, unsigned len);
/* Fault now if a load or store of len (up to 4096) bytes would. */
void probe_read(struct cpu *c, uint64_t linear, unsigned len);
void probe_write(struct cpu *c, uint64_t linear, unsigned len);
/*
 * Host address of len bytes within one page that may be loaded or stored directly, NULL if that takes the slow path (MMIO,
 * page crossing, code in the page).  Faults like the access.  Valid until the next call here.
 */
uint8_t *ld_host(struct cpu *c, uint64_t linear, unsigned len);
uint8_t *st_host(struct cpu *c, uint64_t linear, unsigned len);
/* Supervisor accesses whatever the CPL: descriptor tables, TSS (explicit privilege as the SDM's implicit accesses). */
uint64_t ld_system(struct cpu *c, uint64_t linear, unsigned size);
void st_system(struct cpu *c, uint64_t linear, uint64_t v, unsigned size);

/* --- operands (operand.c) --------------------------------------------------------------------------------------- */
/* Offset in the segment of insn.mem, truncated to the address size. */
uint64_t effective_address(struct cpu *c, const struct insn *i);
/* Linear address of `len` bytes at an offset of a segment (SEG_*): limit, type and canonical checks (#GP or #SS). */
uint64_t linear_address(struct cpu *c, unsigned seg, uint64_t offset, unsigned len, bool write);
/* Both for insn.mem. */
static inline uint64_t mem_address(struct cpu *c, const struct insn *i, unsigned len, bool write)
{
	return linear_address(c, i->mem.seg, effective_address(c, i), len, write);
}

/* General registers as operands: size 1, 2, 4, 8; 32-bit writes clear the upper half. */
static inline uint64_t get_reg(const struct cpu *c, const struct operand *o)
{
	uint64_t v = c->s.gpr[o->reg];

	switch (o->size) {
	case 1: return (uint8_t)(o->high ? v >> 8 : v);
	case 2: return (uint16_t)v;
	case 4: return (uint32_t)v;
	default: return v;
	}
}

static inline void set_reg(struct cpu *c, const struct operand *o, uint64_t v)
{
	uint64_t *r = &c->s.gpr[o->reg];

	switch (o->size) {
	case 1:
		((uint8_t *)r)[o->high] = (uint8_t)v;
		break;
	case 2:
		put_le16(r, (uint16_t)v);
		break;
	case 4:
		*r = (uint32_t)v;
		break;
	default:
		*r = v;
		break;
	}
}

/* Operand n as a value, zero-extended: register, memory (loaded) or immediate. */
uint64_t get_operand(struct cpu *c, const struct insn *i, unsigned n);
/* Store to operand n: register or memory. */
void set_operand(struct cpu *c, const struct insn *i, unsigned n, uint64_t v);
uint64_t ld_size(struct cpu *c, uint64_t linear, unsigned size);
void st_size(struct cpu *c, uint64_t linear, uint64_t v, unsigned size);

/*
 * Operand 0 that is read, changed and written, possibly under LOCK:
 *	struct rmw m;  old = rmw_begin(c, i, 0, &m);  ... no fault from here on ...  rmw_end(c, &m, new);
 * rmw_end returns false if another processor changed it meanwhile (LOCK only): m.old has the new value, do it again.
 */
struct rmw {
	const struct operand *o;
	uint8_t *host;                  /* memory that can be reached directly */
	uint64_t linear, old;
	uint8_t size;
	bool memory, lock;
};
/* For locked accesses that no host instruction can do; a fault gives the lock back. */
void lock_prefix_begin(struct cpu *c);
void lock_prefix_end(struct cpu *c);
uint64_t rmw_begin(struct cpu *c, const struct insn *i, unsigned n, struct rmw *m);
bool rmw_end(struct cpu *c, struct rmw *m, uint64_t v);

/* MOV to and from control and debug registers, RDMSR, WRMSR (sys.c, msr.c). */
void mov_cr(struct cpu *c, const struct insn *i);
void mov_dr(struct cpu *c, const struct insn *i);
void op_rdmsr(struct cpu *c, const struct insn *i);
void op_wrmsr(struct cpu *c, const struct insn *i);

/* --- control ---------------------------------------------------------------------------------------------------- */
/* Near branch: RIP after this instruction, checked (#GP: beyond the limit of CS, not canonical) and truncated to opsize. */
void jump_to(struct cpu *c, const struct insn *i, uint64_t rip);
/* RIP of the next instruction. */
static inline uint64_t next_rip(const struct cpu *c, const struct insn *i)
{
	return cpu_rip(c) + i->len;
}
/* #GP(0) unless CPL is 0. */
static inline void need_cpl0(struct cpu *c)
{
	if (c->s.cpl)
		fault_gp(c, 0);
}

#endif
