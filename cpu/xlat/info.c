/* SPDX-License-Identifier: MIT */
/* What "info jit" of the monitor tells: what the translator made, and why it left what it made. */
#include <stdarg.h>
#include <stdio.h>

#include "cpu/xlat/xlat.h"

struct printer {
	void (*out)(void *to, const char *line);
	void *to;
};

static void __attribute__((format(printf, 2, 3))) line(const struct printer *p, const char *format, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	p->out(p->to, text);
}

#define U(v) ((unsigned long long)(v))

/* Instructions by opcode, the most frequent first. */
static void print_opcodes(const struct printer *p, const char *title, const uint64_t count[OP_COUNT])
{
	unsigned top[16], tops = 0, k, j, op;
	uint64_t all = 0;

	for (op = 0; op < OP_COUNT; op++) {
		all += count[op];
		for (k = 0; k < tops && count[top[k]] >= count[op]; k++)
			;
		if (k == ARRAY_SIZE(top) || !count[op])
			continue;
		tops = MIN(tops + 1, (unsigned)ARRAY_SIZE(top));
		for (j = tops - 1; j > k; j--)
			top[j] = top[j - 1];
		top[k] = op;
	}
	line(p, "  %s: %llu", title, U(all));
	for (k = 0; k < tops; k++)
		line(p, "    %-28s %llu", op_name((enum op)top[k]), U(count[top[k]]));
}

static void print_slow(const struct printer *p, const struct xlat_counts *n)
{
	static const char *const names[SLOW_CAUSES] = {
		[SLOW_OTHER] = "device or read-only memory", [SLOW_CROSS] = "across pages", [SLOW_CODE] = "page with code",
		[SLOW_FAULT] = "fault", [SLOW_ATTENTION] = "attention meanwhile", [SLOW_VECTOR] = "vector state not usable",
		[SLOW_HOST] = "host's own fault",
	};
	unsigned k;

	for (k = 0; k < SLOW_CAUSES; k++)
		if (n->slow[k][0] + n->slow[k][1])
			line(p, "    %-28s %llu, stores %llu", names[k], U(n->slow[k][0]), U(n->slow[k][1]));
}

void xlat_print(const struct cpu *c, void (*out)(void *to, const char *line), void *to)
{
	const struct printer p = { out, to };
	const struct xlat *x = c->x;
	const struct xlat_counts *n;
	unsigned used = 0, side = 0, blocks = 0, k;

	if (!x) {
		line(&p, "cpu%u: the interpreter is the engine, nothing is translated", c->index);
		return;
	}
	n = &x->count;
	for (k = 0; k < REGIONS; k++) {
		used += x->region[k].used - x->region[k].start;
		side += x->region[k].side_used;
		blocks += x->region[k].blocks;
	}
	line(&p, "cpu%u: code %u of %u KiB, beside it %u KiB, blocks %u", c->index, used >> 10, x->size >> 10, side >> 10, blocks);
	line(&p, "  translated:  blocks %llu, instructions %llu, guest bytes %llu, host bytes %llu (%llu.%llu times)", U(n->blocks),
	     U(n->insns), U(n->guest_bytes), U(n->host_bytes), U(n->host_bytes / (n->guest_bytes + !n->guest_bytes)),
	     U(n->host_bytes * 10 / (n->guest_bytes + !n->guest_bytes) % 10));
	line(&p, "  chains:      made %llu, undone %llu", U(n->links), U(n->unlinks));
	line(&p, "  evictions:   %llu, blocks dropped because their bytes changed %llu", U(n->evictions), U(n->drops));
	line(&p, "  entries:     %llu, blocks run by the interpreter %llu", U(n->enters), U(n->interpreted));
	line(&p, "  exits:       not chained %llu, indirect miss %llu, interpreter %llu, attention %llu, at once %llu, "
	     "elsewhere %llu", U(n->exits[EXIT_LINK]), U(n->exits[EXIT_MISS]), U(n->exits[EXIT_SLOW]), U(n->exits[EXIT_ASYNC]),
	     U(n->exits[EXIT_ABORT]), U(n->exits[EXIT_DONE]));
	line(&p, "  TLB fills:   %llu", U(n->fills));
	line(&p, "  vector state loaded: %llu", U(n->fpu_loads));
	if (x->verify) {
		char text[150];

		verify_print(x, text, sizeof(text));
		line(&p, "  compared:    %s", text);
	}
	line(&p, "  slow accesses by cause (loads, stores):");
	print_slow(&p, n);
	print_opcodes(&p, "handlers called in place, by opcode", n->light);
	print_opcodes(&p, "interpreter by opcode", n->slow_op);
}
