/* SPDX-License-Identifier: MIT */
/*
 * Accesses that share a check.  Most blocks touch several places at small, known distances from one value of a register:
 * the stack, a frame, a structure.  The first of them checks that all lie in one page that may be accessed so, and notes
 * its host address; the others go there without asking.  Such a group is a window.
 *
 * A value is known by its origin (a register as it was at some point of the block) and a distance.  What is not known to
 * change only what its operands say ends all windows, because the interpreter may come in between.  Where the window
 * does not fit into a page, or not all of it may be accessed, a variant of the block without windows goes on.
 */
#include "cpu/xlat/gen.h"

enum { MAX_SPAN = 2048 };

struct value {
	uint16_t origin;
	int32_t distance;
};

/* What changes no general registers but those of its operands that are marked so, and those returned as bits. */
static bool changes(const struct insn *i, unsigned *also)
{
	*also = 0;
	switch (i->op) {
	case OP_ADD: case OP_OR: case OP_ADC: case OP_SBB: case OP_AND: case OP_SUB: case OP_XOR: case OP_CMP: case OP_TEST:
	case OP_LEA: case OP_INC: case OP_DEC: case OP_NOT: case OP_NEG: case OP_SHL: case OP_SHR:
	case OP_SAR: case OP_ROL: case OP_ROR: case OP_SHLD: case OP_SHRD: case OP_BT: case OP_SETCC: case OP_CMOVCC: case OP_BSWAP:
	case OP_MOVZX: case OP_MOVSX: case OP_MOVSXD: case OP_POPCNT: case OP_BSF: case OP_BSR: case OP_TZCNT: case OP_LZCNT:
	case OP_NOP: case OP_ENDBR64: case OP_ENDBR32: case OP_JCC: case OP_JMP: case OP_XADD:
		return !i->lock;
	case OP_MOV:
		return i->o[0].kind <= OPD_IMM && i->o[1].kind <= OPD_IMM;
	case OP_XCHG:
		return i->o[0].kind == OPD_GPR && i->o[1].kind == OPD_GPR;
	case OP_CBW:
		*also = 1 << RAX;
		return true;
	case OP_CWD:
		*also = 1 << RDX;
		return true;
	case OP_IMUL:
		if (i->operands == 1)
			*also = 1 << RAX | 1 << RDX;
		return true;
	case OP_MUL: case OP_DIV: case OP_IDIV:
		*also = 1 << RAX | 1 << RDX;
		return true;
	case OP_PUSH: case OP_CALL: case OP_RET:
		return true;
	case OP_POP:
		return i->o[0].kind == OPD_GPR;
	case OP_LEAVE:
		return true;
	case OP_PCMPESTRI: case OP_PCMPISTRI: case OP_PCMPESTRM: case OP_PCMPISTRM: case OP_LDMXCSR: case OP_FXSAVE: case OP_FXRSTOR:
		return false;
	default:
		return i->traits & (INSN_SSE | INSN_AVX) && !(i->traits & (INSN_X87 | INSN_MMX)) && !i->mem.vsib;
	}
}

struct tracker {
	struct gen *g;
	struct value v[16];
	uint16_t next;
	int open[32];                   /* windows that may still grow, by number */
	unsigned opened;
};

static void renew(struct tracker *t, unsigned reg)
{
	t->v[reg] = (struct value){ t->next++, 0 };
}

static void add_access(struct tracker *t, unsigned k, unsigned which, struct value v, unsigned size, bool write)
{
	struct gen *g = t->g;
	bool stack = v.origin == t->v[RSP].origin;
	struct window *w = NULL;
	unsigned n;

	for (n = 0; n < t->opened; n++) {
		w = &g->window[t->open[n]];
		if (w->origin == v.origin && (stack || w->write == write)) {
			int32_t low = MIN(w->low, v.distance), high = MAX(w->high, v.distance + (int32_t)size);

			if (high - low <= MAX_SPAN) {
				w->low = low;
				w->high = high;
				w->write |= write;
				w->accesses++;
				w->last = (uint8_t)k;
				g->sharing[k][which] = (struct sharing){ (int8_t)t->open[n], v.distance };
				return;
			}
			t->open[n] = t->open[--t->opened];
			break;
		}
	}
	if (g->windows == ARRAY_SIZE(g->window) || t->opened == ARRAY_SIZE(t->open))
		return;
	n = g->windows++;
	g->window[n] = (struct window){ .origin = v.origin, .low = v.distance, .high = v.distance + (int32_t)size, .write = write,
					.accesses = 1 };
	t->open[t->opened++] = (int)n;
	g->sharing[k][which] = (struct sharing){ (int8_t)n, v.distance };
}

/* The access of insn.mem, if its address is a register and a distance. */
static void add_memory(struct tracker *t, unsigned k)
{
	const struct insn *i = &t->g->insn[k];
	struct value v;

	if (i->mem_op == 0xff || i->op == OP_LEA || i->op == OP_NOP || i->mem.base >= 16 || i->mem.index != REG_NONE || i->mem.moffs ||
	    i->addrsize != (t->g->wide ? 8 : 4) || i->mem.seg == SEG_FS || i->mem.seg == SEG_GS || i->mem.seg == SEG_CS)
		return;
	if (!(i->o[i->mem_op].read || i->o[i->mem_op].written) || !i->o[i->mem_op].size || i->o[i->mem_op].size > 32)
		return;
	if (i->op == OP_BT && i->o[1].kind == OPD_GPR)
		return;
	v = t->v[i->mem.base];
	v.distance += i->mem.disp;
	if (v.distance > -(1 << 20) && v.distance < 1 << 20)
		add_access(t, k, 0, v, i->o[i->mem_op].size, i->o[i->mem_op].written);
}

static void track(struct tracker *t, unsigned k)
{
	const struct insn *i = &t->g->insn[k];
	unsigned width = t->g->wide ? 8 : 4, also, n;
	struct value top = t->v[RSP];

	if (!changes(i, &also)) {
		for (n = 0; n < 16; n++)
			renew(t, n);
		t->opened = 0;
		return;
	}
	add_memory(t, k);
	switch (i->op) {
	case OP_PUSH: case OP_CALL:
		top.distance -= (int32_t)i->opsize;
		add_access(t, k, i->o[0].kind == OPD_MEM, top, i->opsize, true);
		t->v[RSP] = top;
		return;
	case OP_POP: case OP_RET:
		add_access(t, k, 0, top, i->opsize, false);
		if (i->op == OP_POP && i->o[0].reg != RSP)
			renew(t, i->o[0].reg);
		top.distance += (int32_t)i->opsize;
		t->v[RSP] = top;
		if (i->op == OP_POP && i->o[0].reg == RSP)
			renew(t, RSP);
		return;
	case OP_LEAVE:
		add_access(t, k, 0, t->v[RBP], i->opsize, false);
		t->v[RSP] = t->v[RBP];
		t->v[RSP].distance += (int32_t)i->opsize;
		renew(t, RBP);
		return;
	default:
		break;
	}
	for (n = 0; n < i->operands; n++) {
		const struct operand *o = &i->o[n];
		struct value v;

		if (o->kind != OPD_GPR || !o->written)
			continue;
		v = t->v[o->reg];
		if (o->size == width && n == 0) {
			if ((i->op == OP_ADD || i->op == OP_SUB) && i->o[1].kind == OPD_IMM) {
				v.distance += i->op == OP_ADD ? (int32_t)i->imm : -(int32_t)i->imm;
				if (v.distance > -(1 << 20) && v.distance < 1 << 20) {
					t->v[o->reg] = v;
					continue;
				}
			} else if (i->op == OP_MOV && i->o[1].kind == OPD_GPR) {
				t->v[o->reg] = t->v[i->o[1].reg];
				continue;
			} else if (i->op == OP_LEA && i->mem.base < 16 && i->mem.index == REG_NONE && i->addrsize == width) {
				v = t->v[i->mem.base];
				v.distance += i->mem.disp;
				if (v.distance > -(1 << 20) && v.distance < 1 << 20) {
					t->v[o->reg] = v;
					continue;
				}
			} else if (i->op == OP_INC || i->op == OP_DEC) {
				t->v[o->reg].distance += i->op == OP_INC ? 1 : -1;
				continue;
			}
		}
		renew(t, o->reg);
	}
	for (n = 0; n < 16; n++)
		if (also & 1u << n)
			renew(t, n);
}

void gen_find_windows(struct gen *g)
{
	struct tracker t = { .g = g, .next = 16 };
	unsigned k, n, slots = 0;

	memset(g->sharing, -1, sizeof(g->sharing));
	g->windows = 0;
	if (g->key & KEY_PLAIN || (!g->wide && (g->sp != 4 || !(g->key & KEY_FLAT) || (g->key & KEY_CODE) == KEY_16)))
		return;
	for (n = 0; n < 16; n++)
		t.v[n] = (struct value){ (uint16_t)n, 0 };
	for (k = 0; k < g->n; k++)
		track(&t, k);
	for (n = 0; n < g->windows; n++) {
		g->window[n].slot = -1;
		if (g->window[n].accesses > 1 && slots < ARRAY_SIZE(g->c->xe.window))
			g->window[n].slot = (int8_t)slots++;
	}
}

/* Whether the current instruction, or one behind it, relies on a window that was made: the block cannot be entered here. */
bool gen_window_open(const struct gen *g)
{
	unsigned n;

	for (n = 0; n < g->windows; n++)
		if (g->window[n].made && g->k <= g->window[n].last)
			return true;
	return false;
}

void gen_close_windows(struct gen *g)
{
	unsigned n;

	for (n = 0; n < g->windows; n++)
		g->window[n].made = false;
}

/* `off`: from where it would be. */
static void stack_linear(struct gen *g, enum where where, int32_t off, unsigned size, bool write)
{
	gen_stack_linear(g, where == PLACE_FRAME ? HBP : HSPG, where == PLACE_PUSH ? off - (int32_t)size : off, size, write);
}

static bool plain_place(struct gen *g, enum where where, unsigned size, bool write, struct rm *m)
{
	if (where == PLACE_MEM) {
		if (!gen_linear(g, size, write))
			return false;
	} else {
		stack_linear(g, where, 0, size, write);
	}
	*m = gen_access(g, size, write);
	return true;
}

/* The first access of a window makes it: T0 = host address of the access. */
static bool make_window(struct gen *g, struct window *w, int32_t distance, enum where where, unsigned size)
{
	int32_t low = w->low - distance, span = w->high - w->low;
	struct out *o;

	if (where == PLACE_MEM) {
		struct insn *i = &g->insn[g->k];
		int32_t disp = i->mem.disp;
		bool ok;

		i->mem.disp += low;
		ok = gen_linear(g, size, w->write);
		i->mem.disp = disp;
		if (!ok)
			return false;
	} else {
		stack_linear(g, where, low, size, w->write);
	}
	o = gen_check_page(g, (unsigned)span, w->write);
	o->kind = w->write ? OUT_WINDOW_WRITE : OUT_WINDOW_READ;
	o->arg = (uint32_t)(g->k << ARG_SIZE_BITS | ARG_WINDOW);
	o->span = (uint16_t)span;
	o->link = (uint8_t)g->links;
	/* To the variant without windows, before this instruction. */
	g->link[g->links++] = (struct link){ .rip = g->wide ? g->rip + g->at[g->k] : (uint32_t)(g->rip + g->at[g->k]),
					     .insn = (int8_t)((int)g->k - 1), .saved = g->fl == FL_SAVED, .plain = true };
	emit_lea(&g->b, true, T0, rm_index(T0, T1, 0, -low));
	emit_store(&g->b, true, ENV(window[w->slot]), T0);
	w->made = true;
	w->at = distance;
	return true;
}

bool gen_place(struct gen *g, unsigned which, enum where where, unsigned size, bool write, struct rm *m)
{
	struct sharing *a = &g->sharing[g->k][which];
	struct window *w = a->window >= 0 ? &g->window[a->window] : NULL;

	if (w && w->slot >= 0 && w->made) {
		emit_load(&g->b, true, T0, ENV(window[w->slot]));
		*m = rm_base(T0, a->distance - w->at);
		return true;
	}
	gen_clobber(g);
	if (w && w->slot >= 0) {
		if (!make_window(g, w, a->distance, where, size))
			return false;
		*m = rm_base(T0, 0);
		return true;
	}
	return plain_place(g, where, size, write, m);
}
