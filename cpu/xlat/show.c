/* SPDX-License-Identifier: MIT */
/* What -d in_asm, op and out_asm tell of a block: guest code, what was found out about it, host code. */
#include <stdio.h>

#include "base/log.h"
#include "cpu/xlat/gen.h"

static void show_flags(unsigned need, char *text)
{
	static const struct { unsigned flag; char name; } names[] = {
		{ FLAG_OF, 'o' }, { FLAG_SF, 's' }, { FLAG_ZF, 'z' }, { FLAG_AF, 'a' }, { FLAG_PF, 'p' }, { FLAG_CF, 'c' },
	};
	unsigned k;

	for (k = 0; k < ARRAY_SIZE(names); k++)
		*text++ = need & names[k].flag ? names[k].name : '-';
	*text = 0;
}

static void show_host(const struct xlat *x, uint32_t from, uint32_t to)
{
	char text[160], hex[40];
	struct insn i;
	unsigned k;

	while (from < to) {
		if (insn_decode(&i, x->rw + from, to - from, 64) != DECODE_OK)
			return;
		insn_text(&i, (uintptr_t)xlat_rx(x, from), text, sizeof(text));
		for (k = 0; k < i.len; k++)
			snprintf(hex + 2 * k, sizeof(hex) - 2 * k, "%02x", x->rw[from + k]);
		log_line(LOG_OUT_ASM, "    %p  %-30s  %s", (void *)xlat_rx(x, from), hex, text);
		from += i.len;
	}
}

void xlat_show(const struct gen *g)
{
	const struct xblock *b = g->xb;
	uint32_t from = b->indirect;
	char text[160], flags[8];
	unsigned k;

	log_line(LOG_IN_ASM | LOG_OP | LOG_OUT_ASM, "cpu%u: block %u at %llx, key %x, %u instructions", g->c->index, b->number,
		 (unsigned long long)b->rip, g->key, g->n);
	for (k = 0; k < g->n; k++) {
		if (log_mask & LOG_OUT_ASM)
			show_host(g->x, from, b->host + g->site[k].host);
		from = b->host + g->site[k].host;
		insn_text(&g->insn[k], b->rip + g->at[k], text, sizeof(text));
		show_flags(g->need[k], flags);
		log_line(LOG_IN_ASM | LOG_OUT_ASM, "  %016llx  %s", (unsigned long long)b->rip + g->at[k], text);
		log_line(LOG_OP, "  %016llx  %-10s live %s, flags in %s%s%s", (unsigned long long)b->rip + g->at[k],
			 op_name((enum op)g->insn[k].op), flags, g->site[k].saved ? "memory" : "the host's",
			 g->slow[k] ? ", interpreter" : "", g->site[k].fpu ? ", vectors live" : "");
	}
	if (log_mask & LOG_OUT_ASM)
		show_host(g->x, from, b->host_end);
}
