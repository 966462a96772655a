/* SPDX-License-Identifier: MIT */
/* Numbers as a monitor's user writes them: 0x7c00, $rsp+8, "$cs * 16 + $ip". */
#ifndef EMU_EXPRESSION_H
#define EMU_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct cpu_regs;

/*
 * From the loosest: + -, then & | ^, then * / % (QEMU's order), unary + - ~, parentheses, 'c', numbers in decimal,
 * octal and hexadecimal, and $registers of r.  False with err if the text is none.
 */
bool expression(const char *text, const struct cpu_regs *r, uint64_t *value, struct err *err);

#endif
