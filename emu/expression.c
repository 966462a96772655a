/* SPDX-License-Identifier: MIT */
#include "emu/expression.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cpu/cpu.h"

enum { DEPTH_MAX = 50 };                /* of parentheses and signs: the text is the user's */

struct parser {
	const char *at;
	const struct cpu_regs *regs;
	unsigned depth;
	struct err *err;
};

static bool sum(struct parser *p, uint64_t *v);

static void skip_blanks(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

/* Whether one of these comes next; if so it is taken. */
static char take(struct parser *p, const char *among)
{
	skip_blanks(p);
	return *p->at && strchr(among, *p->at) ? *p->at++ : '\0';
}

static bool named(const char *name, size_t len, const char *wanted)
{
	return strlen(wanted) == len && !strncmp(name, wanted, len);
}

/* QEMU's names: pc is the linear address of the next instruction. */
static bool lookup(const struct cpu_regs *r, const char *name, size_t len, uint64_t *v)
{
	static const char gpr[16][4] = {
		"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
	};
	static const char seg[6][3] = { "es", "cs", "ss", "ds", "fs", "gs" };
	const struct { const char *name; uint64_t value; } others[] = {
		{ "pc", r->seg[1].base + r->rip }, { "rip", r->rip }, { "eip", (uint32_t)r->rip },
		{ "ip", (uint16_t)r->rip }, { "rflags", r->rflags }, { "eflags", (uint32_t)r->rflags },
		{ "cr0", r->cr0 }, { "cr2", r->cr2 }, { "cr3", r->cr3 }, { "cr4", r->cr4 }, { "cr8", r->cr8 },
		{ "efer", r->efer },
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (named(name, len, others[i].name)) {
			*v = others[i].value;
			return true;
		}
	for (unsigned i = 0; i < 6; i++)
		if (named(name, len, seg[i])) {
			*v = r->seg[i].selector;
			return true;
		}
	for (unsigned i = 0; i < 16; i++) {
		bool prefixed = i < 8 && len == 3 && (*name == 'r' || *name == 'e') && named(name + 1, 2, gpr[i]);

		if (!prefixed && !named(name, len, gpr[i]))
			continue;
		*v = r->gpr[i];
		if (prefixed && *name == 'e')
			*v = (uint32_t)*v;
		else if (!prefixed && i < 8)
			*v = (uint16_t)*v;
		return true;
	}
	return false;
}

static bool primary(struct parser *p, uint64_t *v)
{
	char *end;
	size_t n;

	skip_blanks(p);
	if (take(p, "(")) {
		if (!sum(p, v))
			return false;
		return take(p, ")") || err_set(p->err, "')' expected");
	}
	if (*p->at == '\'') {
		if (!p->at[1] || p->at[2] != '\'')
			return err_set(p->err, "missing terminating ' character");
		*v = (uint8_t)p->at[1];
		p->at += 3;
		return true;
	}
	if (take(p, "$")) {
		for (n = 0; isalnum((unsigned char)p->at[n]); n++)
			;
		if (!lookup(p->regs, p->at, n, v))
			return err_set(p->err, "unknown register '%.*s'", (int)MIN(n, (size_t)20), p->at);
		p->at += n;
		return true;
	}
	errno = 0;
	*v = strtoull(p->at, &end, 0);
	if (!isdigit((unsigned char)*p->at) || errno)
		return err_set(p->err, "invalid number '%.40s'", p->at);
	p->at = end;
	return true;
}

static bool unary(struct parser *p, uint64_t *v)
{
	char sign;
	bool ok;

	if (p->depth == DEPTH_MAX)
		return err_set(p->err, "too many parentheses or signs");
	p->depth++;
	sign = take(p, "+-~");
	ok = sign ? unary(p, v) : primary(p, v);
	p->depth--;
	if (sign == '-')
		*v = -*v;
	if (sign == '~')
		*v = ~*v;
	return ok;
}

static bool product(struct parser *p, uint64_t *v)
{
	uint64_t w = 0;
	char sign;

	if (!unary(p, v))
		return false;
	while ((sign = take(p, "*/%")) != '\0') {
		if (!unary(p, &w))
			return false;
		if (sign != '*' && w == 0)
			return err_set(p->err, "divide by zero");
		*v = sign == '*' ? *v * w : sign == '/' ? *v / w : *v % w;
	}
	return true;
}

static bool bits(struct parser *p, uint64_t *v)
{
	uint64_t w = 0;
	char sign;

	if (!product(p, v))
		return false;
	while ((sign = take(p, "&|^")) != '\0') {
		if (!product(p, &w))
			return false;
		*v = sign == '&' ? *v & w : sign == '|' ? *v | w : *v ^ w;
	}
	return true;
}

static bool sum(struct parser *p, uint64_t *v)
{
	uint64_t w = 0;
	char sign;

	if (!bits(p, v))
		return false;
	while ((sign = take(p, "+-")) != '\0') {
		if (!bits(p, &w))
			return false;
		*v = sign == '+' ? *v + w : *v - w;
	}
	return true;
}

bool expression(const char *text, const struct cpu_regs *r, uint64_t *value, struct err *err)
{
	struct parser p = { .at = text, .regs = r, .err = err };

	*value = 0;
	if (!sum(&p, value))
		return false;
	skip_blanks(&p);
	return !*p.at || err_set(err, "invalid number '%.40s'", text);
}
