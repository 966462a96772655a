/* SPDX-License-Identifier: MIT */
/*
 * Makes blocks: decodes a run of guest instructions, finds out where their flags are live, emits host code.
 *
 * A block runs on behind conditional branches, which are exits on its side; it ends with any other branch, with what may
 * change the mode, before an instruction that crosses its page, or at a limit.  Flags are dead where every way on sets
 * them before it reads them.  Ways into the same page are looked along for some instructions, and the bytes looked at belong to
 * the block: a store to them drops it.
 */
#include "base/log.h"
#include "cpu/decode_table.h"
#include "cpu/interp/run.h"
#include "cpu/mmu.h"
#include "cpu/xlat/gen.h"

enum {
	ALL_FLAGS = FLAGS_ARITH,
	PEEK_INSNS = 6,
	WORST_INSN = 500, WORST_BLOCK = BLOCK_INSNS * WORST_INSN,
	WORST_SIDE = sizeof(struct xblock) + (BLOCK_INSNS + 2) * (sizeof(struct link) + sizeof(struct site) + sizeof(struct generic) + 24) +
		     MAX_WINDOWS * sizeof(struct link),
};

_Static_assert(WORST_BLOCK < 1 << 16, "sites have offsets of 16 bits");

/* --- decoding --------------------------------------------------------------------------------------------------- */

static bool ends(const struct insn *i)
{
	if (i->op == OP_JCC || i->op == OP_JCXZ || i->op == OP_LOOP || i->op == OP_STI)
		return false;
	if (i->op == OP_STAC || i->op == OP_CLAC)
		return true;
	return i->traits & INSN_ENDS_BLOCK || i->op == OP_INVALID;
}

static unsigned decode(struct gen *g, unsigned room, uint64_t left_in_cs)
{
	unsigned at = 0, most = g->c->all->config.one_insn ? 1 : BLOCK_INSNS;

	while (g->n < most && at < BLOCK_BYTES) {
		struct insn *i = &g->insn[g->n];

		if (insn_decode(i, g->raw + at, room - at, xlat_code_size(g->key)) != DECODE_OK || at + i->len > left_in_cs)
			break;
		interp_gate(g->c, i);
		g->at[g->n++] = (uint16_t)at;
		at += i->len;
		if (ends(i))
			break;
	}
	g->at[g->n] = (uint16_t)at;
	return at;
}

/*
 * An instruction that begins in this page and ends in the next is a block of its own.  Indirect branches among them are the
 * interpreter's, which may have to take them back.  False: none that can be translated; may fault as the fetch does.
 */
static bool decode_crossing(struct gen *g, uint64_t linear, uint8_t *raw, unsigned first, uint64_t left_in_cs, uint64_t *page2,
			    const uint8_t **host2)
{
	struct insn *i = &g->insn[0];
	uint8_t *host;

	if (g->c->all->config.icount || left_in_cs < 15 || insn_decode(i, raw, first, xlat_code_size(g->key)) != DECODE_SHORT)
		return false;
	fetch_page(g->c, ((linear & ~0xfffull) + 4096) & g->c->linear_mask, page2, &host);
	if (!host)
		return false;
	*host2 = host;
	code_mark(g->c, *page2);
	memcpy(raw + first, host, 15 - first);
	if (insn_decode(i, raw, 15, xlat_code_size(g->key)) != DECODE_OK || i->len <= first)
		return false;
	interp_gate(g->c, i);
	if ((i->op == OP_CALL || i->op == OP_JMP || i->op == OP_RET) && i->o[0].kind != OPD_REL)
		return false;
	g->n = 1;
	g->at[0] = 0;
	g->at[1] = i->len;
	g->need[0] = g->need[1] = ALL_FLAGS;
	return true;
}

/* --- flags ------------------------------------------------------------------------------------------------------ */

/* For what goes to the interpreter, all flags count as read. */
static bool known(const struct insn *i)
{
	switch (i->op) {
	case OP_ADD: case OP_OR: case OP_AND: case OP_SUB: case OP_XOR: case OP_CMP: case OP_TEST: case OP_NEG: case OP_IMUL:
	case OP_ADC: case OP_SBB: case OP_INC: case OP_DEC: case OP_NOT: case OP_MOV: case OP_LEA: case OP_MOVZX: case OP_MOVSX:
	case OP_MOVSXD: case OP_PUSH: case OP_POP: case OP_LEAVE: case OP_SHL: case OP_SHR: case OP_SAR: case OP_ROL: case OP_ROR:
	case OP_CALL: case OP_RET: case OP_JMP: case OP_JCC: case OP_SETCC: case OP_CMOVCC: case OP_NOP: case OP_ENDBR64:
	case OP_ENDBR32: case OP_CBW: case OP_CWD: case OP_MUL: case OP_BT: case OP_BTS: case OP_BTR: case OP_POPCNT: case OP_TZCNT:
	case OP_CLI: case OP_STI: case OP_STAC: case OP_CLAC: case OP_SWAPGS: case OP_PUSHF: case OP_PAUSE: case OP_STOS: case OP_MOVS:
	case OP_RDTSC: case OP_RDTSCP: case OP_LFENCE: case OP_MFENCE: case OP_SFENCE: case OP_CLD: case OP_XCHG: case OP_BSWAP:
		return true;
	default:
		return i->traits & (INSN_SSE | INSN_AVX | INSN_MMX) && !(i->traits & INSN_X87);
	}
}

static unsigned before(const struct insn *i, unsigned behind)
{
	return (behind & ~(unsigned)(i->flags.written | i->flags.undefined)) | (i->flags.read & ALL_FLAGS);
}

/* Which flags are live at rip, by what lies there; the granules that were looked at go into *looked. */
static unsigned peek(struct gen *g, uint64_t rip, const uint8_t *page, uint64_t *looked)
{
	unsigned open = ALL_FLAGS, live = 0, k, at = (unsigned)(rip + g->cs) & 0xfff, first = at;
	struct insn i;

	if (!gen_same_page(g, rip) || g->x->exact)
		return ALL_FLAGS;
	for (k = 0; k < PEEK_INSNS && open; k++) {
		if (insn_decode(&i, page + at, 4096 - at, xlat_code_size(g->key)) != DECODE_OK)
			break;
		interp_gate(g->c, &i);
		if (!known(&i))
			break;
		live |= i.flags.read & open;
		open &= ~(unsigned)(i.flags.written | i.flags.undefined);
		at += i.len;
		if (i.traits & INSN_ENDS_BLOCK && open)
			break;
	}
	live |= open;
	if (live == ALL_FLAGS || at == first)
		return ALL_FLAGS;
	*looked |= (~0ull >> (63 - ((at - 1) / 64 - first / 64))) << first / 64;
	return live;
}

static void find_live(struct gen *g, const uint8_t *page, uint64_t *looked)
{
	const struct insn *last = &g->insn[g->n - 1];
	unsigned live = ALL_FLAGS, k;

	if (last->op == OP_JMP && last->o[0].kind == OPD_REL)
		live = peek(g, gen_target(g, g->n - 1), page, looked);
	else if (!ends(last))
		live = peek(g, g->rip + g->at[g->n], page, looked);
	g->need[g->n] = (uint16_t)live;
	for (k = g->n; k-- > 0;) {
		const struct insn *i = &g->insn[k];

		if (i->op == OP_JCC || i->op == OP_JCXZ || i->op == OP_LOOP)
			live |= peek(g, gen_target(g, k), page, looked);
		live = before(i, live);
		if (g->x->exact)
			live = ALL_FLAGS;
		g->need[k] = (uint16_t)live;
	}
}

/* Whether the first thing that happens to flags is that we need the host's for ourselves. */
static enum flags_at natural(const struct gen *g)
{
	unsigned k;

	for (k = 0; k < g->n && g->need[k]; k++) {
		const struct insn *i = &g->insn[k];

		if (i->flags.read & ALL_FLAGS || i->flags.written)
			return i->mem_op != 0xff && !(i->op == OP_LEA || i->op == OP_NOP) ? FL_SAVED : FL_HOST;
		if (i->mem_op != 0xff || i->op == OP_PUSH || i->op == OP_POP || i->op == OP_CALL || i->op == OP_RET ||
		    i->op == OP_LEAVE || i->traits & (INSN_X87 | INSN_SSE | INSN_AVX | INSN_MMX))
			return FL_SAVED;
		if (i->op == OP_JMP)
			return i->o[0].kind == OPD_REL ? FL_HOST : FL_SAVED;
	}
	return FL_HOST;
}

/* --- emission --------------------------------------------------------------------------------------------------- */

/* The instruction goes to the interpreter, which comes back behind it. */
static void gen_slow(struct gen *g)
{
	const struct xlat *x = g->x;

	gen_clobber(g);
	emit_mov_imm(&g->b, T1, (uint64_t)g->number << (ARG_INSN_BITS + ARG_SIZE_BITS) | g->k << ARG_SIZE_BITS);
	if (xlat_is_light(g->c, cur(g))) {
		emit_jmp_to(&g->b, x->rw + x->stub.light);      /* flags that are wanted are saved */
		g->fl = FL_SAVED;
	} else {
		emit_jmp_to(&g->b, x->rw + (g->fl == FL_SAVED ? x->stub.slow_saved : x->stub.slow_host));
	}
	g->fpu = 0;
	gen_close_windows(g);
	g->ended = ends(cur(g));
}

static void gen_insn(struct gen *g)
{
	struct site *s = &g->site[g->k];

	*s = (struct site){ .guest = g->at[g->k], .saved = g->fl == FL_SAVED, .fpu = g->fpu != 0, .window = gen_window_open(g),
			    .roll_saved = g->fl == FL_SAVED, .after_sti = g->k && g->insn[g->k - 1].op == OP_STI };
	s->host = s->roll_from = s->roll_to = (uint32_t)(g->b.p - g->start);
	if (!g->slow[g->k]) {
		uint8_t *p = g->b.p;
		unsigned outs = g->outs, links = g->links;
		enum flags_at fl = g->fl;
		unsigned fpu = g->fpu;
		struct site site = *s;
		struct window window[MAX_WINDOWS];

		memcpy(window, g->window, g->windows * sizeof(window[0]));

		if (gen_integer(g) || gen_stack(g) || gen_branch(g) || gen_vector(g) || gen_system(g) || gen_string(g))
			return;
		g->b.p = p;
		g->outs = outs;
		g->links = links;
		g->fl = fl;
		g->fpu = fpu;
		*s = site;
		memcpy(g->window, window, g->windows * sizeof(window[0]));
		g->slow[g->k] = true;
	}
	gen_slow(g);
}

/* Count the block's instructions; too few left: to the dispatcher. */
static void gen_count_insns(struct gen *g, uint8_t **out)
{
	gen_clobber(g);
	emit_op(&g->b, 0x81 | EO_W, 5, CPU(left));
	emit32(&g->b, g->n);
	*out = emit_jcc(&g->b, 8);                                      /* JS */
}

/* An exit on the side gives back what was counted and not done.  Flags stay. */
static void gen_give_back(struct gen *g, const struct link *l)
{
	unsigned rest = (unsigned)((int)g->n - l->insn - 1);

	if (!g->c->all->config.icount || !rest)
		return;
	emit_load(&g->b, true, T0, CPU(left));
	emit_lea(&g->b, true, T0, rm_base(T0, (int32_t)rest));
	emit_store(&g->b, true, CPU(left), T0);
}

static uint32_t offset(const struct gen *g) { return (uint32_t)(g->b.p - g->x->rw); }

static void gen_out(struct gen *g, const struct out *o)
{
	const struct xlat *x = g->x;
	uint64_t arg = (uint64_t)g->number << (ARG_INSN_BITS + ARG_SIZE_BITS) | o->arg;
	struct rm tag = { .reg = -1, .base = T1, .index = -1, .gs = true };

	emit_here(&g->b, o->from);
	switch (o->kind) {
	case OUT_WINDOW_READ:
	case OUT_WINDOW_WRITE:
		tag.disp = gen_tlb(g, o->kind == OUT_WINDOW_WRITE);
		emit_op(&g->b, 0x03 | EO_W, T0, tag);
		emit_mov_rr(&g->b, false, T1, T0);
		emit_alu_imm(&g->b, false, 4, rm_reg(T1), 0xfff);
		emit_alu_imm(&g->b, false, 7, rm_reg(T1), 4096 - (int32_t)o->span);
		g->link_field[o->link] = emit_jcc(&g->b, 7);
		emit_mov_imm(&g->b, T1, arg);
		emit_call_to(&g->b, x->rw + (o->kind == OUT_WINDOW_WRITE ? x->stub.fill_write : x->stub.fill_read));
		break;
	case OUT_FILL_READ:
	case OUT_FILL_WRITE:
		tag.disp = gen_tlb(g, o->kind == OUT_FILL_WRITE);
		emit_op(&g->b, 0x03 | EO_W, T0, tag);                   /* the linear address again */
		emit_mov_imm(&g->b, T1, arg);
		emit_call_to(&g->b, x->rw + (o->kind == OUT_FILL_WRITE ? x->stub.fill_write : x->stub.fill_read));
		break;
	case OUT_FPU:
		emit_mov_imm(&g->b, T1, arg);
		emit_call_to(&g->b, x->rw + x->stub.fpu);
		break;
	case OUT_LIGHT:                         /* its handler, in place */
		emit_mov_imm(&g->b, T1, arg);
		emit_jmp_to(&g->b, x->rw + x->stub.light);
		return;
	case OUT_SLOW:                          /* the interpreter's; flags are saved */
		emit_mov_imm(&g->b, T1, arg);
		emit_jmp_to(&g->b, x->rw + x->stub.slow_saved);
		return;
	}
	emit_jmp_to(&g->b, o->back);
}

static void gen_link(struct gen *g, unsigned n)
{
	const struct xlat *x = g->x;
	struct link *l = &g->link[n];
	uint32_t stub;

	if (g->c->all->config.icount && (int)g->n - l->insn - 1) {
		emit_here(&g->b, g->link_field[n]);
		gen_give_back(g, l);
		g->link_field[n] = emit_jmp(&g->b);
	}
	if (l->slot) {                          /* leaves by way of a slot, which at first points behind it */
		while ((uintptr_t)(g->b.p + 6) & 7)
			emit8(&g->b, 0xcc);
		emit_here(&g->b, g->link_field[n]);
		emit8(&g->b, 0xff);             /* JMP [RIP + 0] */
		emit8(&g->b, 0x25);
		emit32(&g->b, 0);
		l->field = offset(g);
		emit64(&g->b, (uintptr_t)xlat_rx(x, offset(g) + 8));
	} else {
		emit_here(&g->b, g->link_field[n]);
		l->field = (uint32_t)(g->link_field[n] - x->rw);
	}
	stub = offset(g);
	l->stub = stub;
	emit_mov_imm(&g->b, T1, (uint64_t)g->number << (ARG_INSN_BITS + ARG_SIZE_BITS) | n);
	emit_jmp_to(&g->b, x->rw + (l->saved ? x->stub.link_saved : x->stub.link_host));
}

/* The entry for indirect branches: is it really this RIP? */
static void gen_check(struct gen *g)
{
	const struct xlat *x = g->x;

	if (g->rip == (uint64_t)(int32_t)g->rip) {
		emit_op(&g->b, 0x81 | EO_W, 7, rm_reg(T0));
		emit32(&g->b, (uint32_t)g->rip);
	} else {
		emit_mov_imm(&g->b, T1, g->rip);
		emit_op(&g->b, 0x3b | EO_W, T0, rm_reg(T1));
	}
	emit_jcc_to(&g->b, 5, x->rw + x->stub.miss);
	if (g->key & KEY_FLAT_CS)
		return;
	emit_op(&g->b, 0x81, 7, ENV(cs));               /* and this code segment, in this mode? */
	emit32(&g->b, g->c->xe.cs);
	emit_jcc_to(&g->b, 5, x->rw + x->stub.miss);
}

static void gen_block(struct gen *g)
{
	struct xblock *xb = g->xb;
	enum flags_at entry = natural(g);
	uint16_t live = g->need[0];
	uint8_t *count_out = NULL, *restore = NULL, *body;
	unsigned k;

	g->k = 0;
	xb->indirect = offset(g);
	gen_check(g);
	/* Where the body wants flags in the host's and they are in memory: code behind the block. */
	xb->saved = offset(g);
	if (entry == FL_HOST && g->need[0])
		restore = emit_jmp(&g->b);
	body = g->b.p;
	g->start = body;
	xb->host = offset(g);
	if (entry == FL_HOST)
		xb->direct = offset(g);
	g->fl = entry;
	if (g->c->all->config.icount) {
		if (entry == FL_HOST && g->need[0]) {           /* natural() says HOST, but counting changes flags */
			g->fl = FL_HOST;
			gen_clobber(g);
		}
		gen_count_insns(g, &count_out);
	}
	for (k = 0; k < g->n; k++) {
		g->k = k;
		gen_insn(g);
	}
	g->k = g->n - 1;
	if (!g->ended) {
		uint64_t next = g->rip + g->at[g->n];

		g->need[g->k] = g->need[g->n];
		gen_exit(g, -1, g->wide ? next : (uint32_t)next);
	}
	g->site[g->n] = (struct site){ .guest = g->at[g->n], .host = (uint32_t)(g->b.p - g->start) };
	for (k = 0; k < g->outs; k++)
		gen_out(g, &g->out[k]);
	for (k = 0; k < g->links; k++)
		gen_link(g, k);
	g->k = 0;
	g->need[0] = live;              /* what stood there for the exit at the end was that of a block of one */
	if (restore) {
		emit_here(&g->b, restore);
		g->fl = FL_SAVED;
		gen_flags(g);
		emit_jmp_to(&g->b, body);
	}
	if (entry == FL_SAVED) {
		xb->direct = offset(g);
		g->fl = FL_HOST;
		gen_clobber(g);
		emit_jmp_to(&g->b, body);
	}
	if (count_out) {
		emit_here(&g->b, count_out);
		emit_op(&g->b, 0x81 | EO_W, 0, CPU(left));
		emit32(&g->b, g->n);
		emit_mov_imm(&g->b, T1, (uint64_t)g->number << (ARG_INSN_BITS + ARG_SIZE_BITS) | ARG_UNCOUNTED);
		emit_jmp_to(&g->b, g->x->rw + g->x->stub.async_saved);
	}
	xb->host_end = offset(g);
}

/* --- a block ---------------------------------------------------------------------------------------------------- */

/* What is kept of a block beside its code. */
static bool keep(struct gen *g)
{
	struct xlat *x = g->x;
	struct xblock *xb = g->xb;
	unsigned k;

	xb->link = cache_alloc(x, g->links * sizeof(*xb->link));
	xb->site = cache_alloc(x, (g->n + 1) * sizeof(*xb->site));
	if (!xb->link || !xb->site)
		return false;
	memcpy(xb->link, g->link, g->links * sizeof(*xb->link));
	memcpy(xb->site, g->site, (g->n + 1) * sizeof(*xb->site));
	xb->links = (uint16_t)g->links;
	for (k = 0; k < g->n; k++) {
		if (!g->slow[k] && !g->by_handler[k])
			continue;
		if (!xb->slow)
			xb->slow = cache_alloc(x, g->n * sizeof(*xb->slow));
		if (!xb->slow)
			return false;
		xb->slow[k] = cache_alloc(x, sizeof(*xb->slow[k]));
		if (!xb->slow[k])
			return false;
		interp_generic(xb->slow[k], &g->insn[k]);
	}
	return true;
}

static bool granules_are(const uint8_t *was, const uint8_t *is, uint64_t granules)
{
	for (; granules; granules &= granules - 1) {
		unsigned at = (unsigned)__builtin_ctzll(granules) * 64;

		if (memcmp(was + at, is + at, 64))
			return false;
	}
	return true;
}

struct xblock *xlat_translate(struct cpu *c, uint32_t key, uint64_t linear, uint64_t gpa, const uint8_t *host)
{
	static _Thread_local struct gen gen;
	struct gen *g = &gen;
	struct xlat *x = c->x;
	unsigned room_left = 4096 - (unsigned)(linear & 0xfff), bytes, n;
	uint8_t raw[BLOCK_BYTES + 15];
	uint64_t looked = 0, page = gpa & ~0xfffull, page2 = NO_PAGE, left_in_cs;
	const uint8_t *host2 = NULL;
	unsigned first;
	const struct region *r;
	struct xblock *xb;

	if (!code_room(c))
		code_flush(c);
	cache_make_room(c, WORST_BLOCK, WORST_SIDE);
	code_mark(c, page);
	n = MIN(room_left, (unsigned)sizeof(raw));
	memcpy(raw, host, n);
	g->c = c;
	g->x = x;
	g->raw = raw;
	g->n = g->outs = g->links = 0;
	g->rip = c->s.rip;
	g->key = key;
	g->number = cache_number(x);
	g->wide = code64(c);
	g->fpu = 0;
	g->ended = false;
	g->tlb = (int32_t)((uint8_t *)c->tlb - (uint8_t *)c);
	memset(g->slow, 0, sizeof(g->slow));
	memset(g->by_handler, 0, sizeof(g->by_handler));
	g->cs = key & KEY_FLAT_CS ? 0 : (uint32_t)c->s.seg[SEG_CS].base;
	g->limit = c->s.seg[SEG_CS].limit;
	g->sp = g->wide ? 8 : key & KEY_STACK32 ? 4 : 2;
	left_in_cs = g->wide ? UINT64_MAX : (uint64_t)g->limit - c->s.rip + 1;
	bytes = decode(g, n, left_in_cs);
	if (g->n) {
		memcpy(g->page, host - (linear & 0xfff), sizeof(g->page));
		find_live(g, g->page, &looked);
	} else {
		if (room_left >= 15 || !decode_crossing(g, linear, raw, room_left, left_in_cs, &page2, &host2))
			return NULL;
		bytes = g->at[1];
	}
	gen_find_windows(g);
	xb = cache_alloc(x, sizeof(*xb));
	if (!xb)
		return NULL;
	xb->b = (struct block){ .gpa = gpa, .page2 = page2, .code = host, .key = key | KEY_XLAT, .rip = g->rip,
				.n = (uint16_t)g->n, .bytes = (uint16_t)bytes, .looked = looked };
	xb->rip = g->rip;
	xb->number = g->number;
	xb->ind = (uint8_t)xlat_ind_table(c);
	xb->ind_slot = xlat_ind_slot(c, g->rip);
	g->xb = xb;
	r = &x->region[x->now];
	g->b = (struct buf){ .p = x->rw + r->used, .start = x->rw + r->used, .end = x->rw + r->end };
	gen_block(g);
	if (g->b.full || !keep(g)) {
		cache_unalloc(x, xb);
		return NULL;
	}
	first = MIN(bytes, room_left);
	code_note(c, gpa, first);
	code_note_granules(c, page, looked);
	if (host2)
		code_note(c, page2, bytes - first);
	if (memcmp(raw, host, first) || (host2 && memcmp(raw + first, host2, bytes - first))) {
		cache_unalloc(x, xb);
		return NULL;
	}
	/* What was only looked at may have changed, too, before stores there were seen. */
	if (!granules_are(g->page, host - (linear & 0xfff), looked)) {
		cache_unalloc(x, xb);
		return NULL;
	}
	if (log_mask & (LOG_IN_ASM | LOG_OP | LOG_OUT_ASM))
		xlat_show(g);
	if (c->all->ops->code_made)
		c->all->ops->code_made(c->all->owner, xlat_rx(x, xb->indirect), xb->host_end - xb->indirect, xb->rip);
	x->count.blocks++;
	x->count.insns += g->n;
	x->count.guest_bytes += bytes;
	x->count.host_bytes += xb->host_end - xb->indirect;
	cache_keep(x, xb);
	code_add(c, &xb->b);
	return xb;
}
