/* SPDX-License-Identifier: MIT */
/* Ports: permission (IOPL, the TSS bitmap) and access, for IN, OUT, INS and OUTS. */
#ifndef CPU_INTERP_PORT_H
#define CPU_INTERP_PORT_H

#include "cpu/state.h"

void port_check(struct cpu *c, uint16_t port, unsigned size);   /* #GP(0) unless allowed */
uint32_t port_in(struct cpu *c, uint16_t port, unsigned size);
void port_out(struct cpu *c, uint16_t port, uint32_t v, unsigned size);

#endif
