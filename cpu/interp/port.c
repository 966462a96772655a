/* SPDX-License-Identifier: MIT */
/* IN and OUT, and the permission that all port accesses need (SDM volume 1, 19.5). */
#include "cpu/interp/port.h"

#include "cpu/interp/interp.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

void port_check(struct cpu *c, uint16_t port, unsigned size)
{
	if (c->s.cr0 & CR0_PE && (c->s.cpl > iopl(c) || c->s.flags & FLAG_VM) && !tss_io_allowed(c, port, size))
		fault_gp(c, 0);
	if (c->watch)
		debug_watch_io(c, port, size);
}

uint32_t port_in(struct cpu *c, uint16_t port, unsigned size)
{
	uint32_t v;

	outside_begin(c);
	v = c->all->ops->io_read(c->all->owner, port, size);
	outside_end(c);
	return v;
}

void port_out(struct cpu *c, uint16_t port, uint32_t v, unsigned size)
{
	outside_begin(c);
	c->all->ops->io_write(c->all->owner, port, v, size);
	outside_end(c);
}

static void op_in(struct cpu *c, const struct insn *i)
{
	uint16_t port = i->o[1].kind == OPD_IMM ? (uint8_t)i->imm : (uint16_t)c->s.gpr[RDX];

	port_check(c, port, i->o[0].size);
	set_reg(c, &i->o[0], port_in(c, port, i->o[0].size));
}

static void op_out(struct cpu *c, const struct insn *i)
{
	uint16_t port = i->o[0].kind == OPD_IMM ? (uint8_t)i->imm : (uint16_t)c->s.gpr[RDX];

	port_check(c, port, i->o[1].size);
	port_out(c, port, (uint32_t)get_reg(c, &i->o[1]), i->o[1].size);
}

const op_handler port_ops[OP_COUNT] = { [OP_IN] = op_in, [OP_OUT] = op_out };
