/* SPDX-License-Identifier: MIT */
/* The same guest on both engines, one after the other: what each left behind, and where that differs. */
#ifndef COMPARE_ENGINES_H
#define COMPARE_ENGINES_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/cpu/guest_bench.h"

enum { GONE = 0x400000, READ_ONLY = 0x600000, LOW = 0x40000 /* compared: all below */ };

static uint8_t *memory_of[2];
static struct cpu_regs regs_of[2];
static int vector_of[2];

/* What is compared: code, stacks and data, and the pages around the edges; not page tables, for their A and D bits. */
static const struct { uint32_t from, len; } watched[] = {
	{ 0, 0x8000 }, { 0x10000, LOW - 0x10000 }, { DATA_AT, 0x4000 }, { GONE - 0x1000, 0x2000 },
	{ READ_ONLY - 0x1000, 0x2000 }, { 0x50000, 0x10000 },
};

static void keep(enum cpu_engine e, int vector)
{
	size_t n, at = 0, all = 0;

	for (n = 0; n < ARRAY_SIZE(watched); n++)
		all += watched[n].len;
	free(memory_of[e]);
	memory_of[e] = malloc(all);
	for (n = 0; n < ARRAY_SIZE(watched); n++, at += watched[n - 1].len)
		memcpy(memory_of[e] + at, m->ram + watched[n].from, watched[n].len);
	regs_of[e] = regs();
	vector_of[e] = vector;
}

static const char *first_difference(void)
{
	static char text[160];
	const struct cpu_regs *a = &regs_of[0], *b = &regs_of[1];
	size_t n, at = 0, k;

	if (vector_of[0] != vector_of[1])
		snprintf(text, sizeof(text), "vector: interp %d, xlat %d", vector_of[0], vector_of[1]);
	else if (a->rip != b->rip || a->rflags != b->rflags || a->cr2 != b->cr2)
		snprintf(text, sizeof(text), "rip %llx flags %llx cr2 %llx, xlat %llx %llx %llx",
			(unsigned long long)a->rip,
			 (unsigned long long)a->rflags, (unsigned long long)a->cr2, (unsigned long long)b->rip,
			 (unsigned long long)b->rflags, (unsigned long long)b->cr2);
	else
		text[0] = 0;
	if (text[0])
		return text;
	for (k = 0; k < 16; k++)
		if (a->gpr[k] != b->gpr[k]) {
			snprintf(text, sizeof(text), "r%zu: interp %llx, xlat %llx", k, (unsigned long long)a->gpr[k],
				 (unsigned long long)b->gpr[k]);
			return text;
		}
	for (n = 0; n < ARRAY_SIZE(watched); n++, at += watched[n - 1].len)
		for (k = 0; k < watched[n].len; k++)
			if (memory_of[0][at + k] != memory_of[1][at + k]) {
				snprintf(text, sizeof(text), "memory at %zx: interp %02x, xlat %02x",
					watched[n].from + k,
					 memory_of[0][at + k], memory_of[1][at + k]);
				return text;
			}
	return NULL;
}

static void forget(void)
{
	free(memory_of[0]);
	free(memory_of[1]);
	memory_of[0] = memory_of[1] = NULL;
}

static int run_any(void)
{
	enum cpu_exit why = cpu_run(m->cpu, 20000);
	uint64_t at = regs().rip - 1;

	if (why != CPU_EXIT_HALT)
		return -2 - (int)why;
	return at >= HANDLERS_AT && at < HANDLERS_AT + 0x1000 ? (int)(at - HANDLERS_AT) / 16 : NO_VECTOR;
}

/* For tests that make their own machines. */
static int setup_none(void **state)
{
	(void)state;
	fake_icount = true;
	return 0;
}

static int teardown_none(void **state)
{
	(void)state;
	fake_icount = true;
	forget();
	return 0;
}

#endif
