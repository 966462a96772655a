/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's engine: decodes blocks, and runs them one after the other.
 *
 * A block is a run of instructions of one page that ends with a branch, with what may change the mode, or at a limit.  An
 * instruction that crosses into the next page is a block of its own.  Blocks know nothing of linear addresses: the same
 * physical code runs wherever it is mapped.  A block that goes on in its own page remembers its successor (to[]); all
 * others are looked up by linear RIP in a table that is emptied whenever translations change.
 *
 * Interrupts are taken between blocks.  The budget is exact: a block that is longer than what is left is run one
 * instruction at a time.
 */
#include "cpu/interp/run.h"

#include <stdio.h>

#include "base/log.h"
#include "cpu/decode_table.h"
#include "cpu/interp/hot.h"
#include "cpu/interp/interp.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "cpu/xlat/run.h"

op_handler op_table[OP_COUNT];

static void op_undefined(struct cpu *c, const struct insn *i)
{
	if (i->op != OP_INVALID && i->op != OP_UD2)
		log_unimp("cpu", "no handler for %s", op_name(i->op));
	fault_ud(c);
}

void interp_init(void)
{
	static const op_handler *const families[] = {
		alu_ops, shift_ops, muldiv_ops, bit_ops, bcd_ops, mov_ops, stack_ops, string_ops, branch_ops, far_ops,
		port_ops, misc_ops, sys_ops, x87_ops, x87_env_ops, fpu_state_ops, mmx_ops, sse_move_ops, sse_int_ops,
		sse_fp_ops, sse4_ops, aes_ops, avx_ops,
	};
	unsigned f, op;

	for (op = 0; op < OP_COUNT; op++) {
		op_table[op] = op_undefined;
		for (f = 0; f < ARRAY_SIZE(families); f++)
			if (families[f][op])
				op_table[op] = families[f][op];
	}
}

/* --- generic instructions --------------------------------------------------------------------------------------- */

/* The instruction at u is done; the block is to be left. */
static struct block *leave(struct cpu *c, const struct uop *u)
{
	if (c->cur) {
		c->s.rip = (c->s.gpr[17] + u->offset + u->len) & (code64(c) ? UINT64_MAX : 0xffffffff);
		c->left += c->block->n - (int64_t)(u - c->block->uops) - 1;
	}
	return NULL;
}

static struct block *run_generic(struct cpu *c, const struct uop *u)
{
	const struct generic *g = (const struct generic *)(uintptr_t)u->imm;

	c->cur = u;
	g->handler(c, &g->insn);
	if (__builtin_expect(c->leave, 0))
		return leave(c, u);
	return u[1].run(c, u + 1);
}

/* The last of a block: handlers that branch set s.rip. */
static struct block *run_generic_end(struct cpu *c, const struct uop *u)
{
	const struct generic *g = (const struct generic *)(uintptr_t)u->imm;

	c->cur = u;
	c->s.rip = c->s.gpr[17] + u->offset + u->len;
	if (!code64(c))
		c->s.rip = (uint32_t)c->s.rip;
	g->handler(c, &g->insn);
	return NULL;
}

/* What this processor in this mode makes of a decoded instruction. */
void interp_gate(const struct cpu *c, struct insn *i)
{
	cpuid_gate(c->model, i);
	if (i->traits & INSN_NOREAL && c->key & KEY_REAL)
		insn_invalidate(i);
}

/* Decode the instruction of a specialised uop again, for its generic handler. */
static void decode_again(struct cpu *c, const struct uop *u, struct insn *i)
{
	static const uint8_t modes[] = { 16, 32, 64, 64 };
	const struct block *b = c->block;

	insn_decode(i, b->code + u->offset, 4096 - (b->gpa & 0xfff) - u->offset, modes[b->key & KEY_CODE]);
	interp_gate(c, i);
}

struct block *hot_miss(struct cpu *c, const struct uop *u)
{
	struct insn i;

	c->cur = u;
	decode_again(c, u, &i);
	if (i.len != u->len) {          /* changed under our eyes by another processor: start over from here */
		cpu_leave_block(c, 0);
		return NULL;
	}
	op_table[i.op](c, &i);
	if (c->leave)
		return leave(c, u);
	return u[1].run(c, u + 1);
}

struct block *hot_miss_end(struct cpu *c, const struct uop *u)
{
	struct insn i;

	c->cur = u;
	decode_again(c, u, &i);
	if (i.len != u->len) {
		cpu_leave_block(c, 0);
		return NULL;
	}
	c->s.rip = (c->s.gpr[17] + u->offset + u->len) & c->addr_mask;
	op_table[i.op](c, &i);
	return NULL;
}

struct block *hot_link(struct cpu *c, unsigned way, uint64_t rip)
{
	struct block *from = c->block, *to;

	c->s.rip = rip;
	if (!(from->key & KEY_FLAT) || (rip ^ c->s.gpr[17]) >> 12 || from->page2 != NO_PAGE || !from->valid)
		return NULL;
	/* The same page: the mapping is the one this block was found by. */
	to = code_find(c, (from->gpa & ~0xfffull) | (rip & 0xfff), from->key);
	if (!to || to->page2 != NO_PAGE)
		return NULL;
	from->to[way] = to;
	c->s.gpr[17] = rip;
	c->block = to;
	return to;
}

/* Behind the last instruction of a block that does not branch. */
static struct block *run_fall_through(struct cpu *c, const struct uop *u)
{
	return hot_goto(c, 0, (c->s.gpr[17] + u->offset) & c->addr_mask);
}

/* Behind the only instruction of a step. */
static struct block *run_stop(struct cpu *c, const struct uop *u)
{
	c->s.rip = (c->s.gpr[17] + u->offset) & (code64(c) ? UINT64_MAX : 0xffffffff);
	return NULL;
}

/* --- decoding --------------------------------------------------------------------------------------------------- */

static void log_insn(const struct cpu *c, const struct insn *i, uint64_t rip)
{
	char text[128];

	insn_text(i, rip, text, sizeof(text));
	log_line(LOG_IN_ASM, "cpu%u: %04x:%016llx  %s", c->index, c->s.seg[SEG_CS].selector, (unsigned long long)rip, text);
}

/* Bytes at linear for one instruction, at most 15, across a page if need be (may fault); returns how many lie in the first. */
static unsigned fetch_bytes(struct cpu *c, uint64_t linear, uint8_t *buf, bool second)
{
	unsigned first = 4096 - (unsigned)(linear & 0xfff), n = MIN(first, 15), k;
	uint64_t gpa;
	uint8_t *host;

	fetch_page(c, linear, &gpa, &host);
	for (k = 0; k < n; k++)
		buf[k] = host ? host[(linear & 0xfff) + k] : fetch_byte_slow(c, gpa | ((linear & 0xfff) + k));
	if (n < 15 && second) {
		fetch_page(c, (linear + first) & c->linear_mask, &gpa, &host);
		for (k = n; k < 15; k++)
			buf[k] = host ? host[k - n] : fetch_byte_slow(c, gpa + k - n);
	}
	return n;
}

static unsigned code_mode(const struct cpu *c)
{
	static const uint8_t modes[] = { 16, 32, 64, 64 };

	return modes[c->key & KEY_CODE];
}

/* One instruction at s.rip, by itself; faults as its fetch does.  Sets *crosses if it lies in two pages. */
static void decode_one(struct cpu *c, uint64_t linear, struct insn *i, bool *crosses)
{
	uint8_t buf[15];
	unsigned n = fetch_bytes(c, linear, buf, false);
	enum decode_result r = insn_decode(i, buf, n, code_mode(c));

	*crosses = false;
	if (r == DECODE_SHORT && n < 15) {
		fetch_bytes(c, linear, buf, true);
		r = insn_decode(i, buf, 15, code_mode(c));
		*crosses = true;
	}
	if (r != DECODE_OK)
		fault_gp(c, 0);
	if (!code64(c) && c->s.rip + i->len - 1 > c->s.seg[SEG_CS].limit)
		fault_gp(c, 0);
	interp_gate(c, i);
}

void interp_generic(struct generic *g, const struct insn *i)
{
	g->handler = op_table[i->op];
	g->insn = *i;
}

static void set_generic(struct uop *u, struct generic *g, const struct insn *i, bool end)
{
	interp_generic(g, i);
	u->run = end ? run_generic_end : run_generic;
	u->imm = (uintptr_t)g;
}

static bool ends_block(const struct insn *i)
{
	return i->traits & INSN_ENDS_BLOCK || i->op == OP_INVALID;
}

/*
 * Decode a block at s.rip, whose first byte is at gpa (RAM at host, offset in page the same).  NULL: no room, or memory
 * changed meanwhile: try again.
 */
static struct block *decode_block(struct cpu *c, uint64_t linear, uint64_t gpa, const uint8_t *host)
{
	unsigned room = MIN(4096 - (unsigned)(linear & 0xfff), BLOCK_BYTES + 15), at = 0, n = 0, k;
	uint64_t rip = c->s.rip, page2 = NO_PAGE, left_in_cs;
	struct insn insns[BLOCK_INSNS];
	uint8_t bytes[BLOCK_BYTES + 15];
	struct generic *g;
	struct block *b;
	bool crosses = false;

	if (!code_room(c))
		code_flush(c);
	code_mark(c, gpa & ~0xfffull);
	memcpy(bytes, host, room);
	left_in_cs = code64(c) ? UINT64_MAX : (uint64_t)c->s.seg[SEG_CS].limit - rip + 1;
	while (n < BLOCK_INSNS && at < BLOCK_BYTES) {
		struct insn *i = &insns[n];

		if (insn_decode(i, bytes + at, room - at, code_mode(c)) != DECODE_OK || at + i->len > left_in_cs)
			break;
		interp_gate(c, i);
		if (log_mask & LOG_IN_ASM)
			log_insn(c, i, rip + at);
		at += i->len;
		n++;
		if (ends_block(i))
			break;
	}
	if (!n) {
		uint8_t *host2;

		decode_one(c, linear, &insns[0], &crosses);
		if (crosses) {
			fetch_page(c, (linear & ~0xfffull) + 4096, &page2, &host2);
			if (!host2)
				return NULL;
			code_mark(c, page2);
			/* Now that stores there are seen, look again. */
			decode_one(c, linear, &insns[0], &crosses);
		}
		n = 1;
		at = insns[0].len;
		if (!crosses)
			page2 = NO_PAGE;
	}
	b = code_alloc(c, sizeof(*b) + (n + 1) * sizeof(b->uops[0]));
	if (!b)
		return NULL;
	*b = (struct block){ .gpa = gpa, .page2 = page2, .code = host, .key = c->key, .n = (uint16_t)n, .bytes = (uint16_t)at };
	memset(b->uops, 0, (n + 1) * sizeof(b->uops[0]));
	for (k = 0, at = 0; k < n; k++) {
		struct uop *u = &b->uops[k];

		u->offset = (uint16_t)at;
		u->len = insns[k].len;
		at += insns[k].len;
		if (page2 == NO_PAGE && !c->no_fast && hot_choose(u, &insns[k], c->key, (unsigned)gpa & 0xfff))
			continue;
		g = code_alloc(c, sizeof(*g));
		if (!g) {
			code_unalloc(c, b);
			return NULL;
		}
		set_generic(u, g, &insns[k], ends_block(&insns[k]));
	}
	b->uops[n].run = run_fall_through;
	b->uops[n].offset = (uint16_t)at;
	if (!c->no_fast && page2 == NO_PAGE)
		hot_fuse(b);
	if (page2 == NO_PAGE) {
		code_note(c, gpa, at);
		if (memcmp(bytes, host, at)) {
			code_unalloc(c, b);
			return NULL;
		}
	} else {
		code_note(c, gpa, 4096 - (unsigned)(gpa & 0xfff));
		code_note(c, page2, at - (4096 - (unsigned)(gpa & 0xfff)));
	}
	code_add(c, b);
	return b;
}

/* The block at s.rip by the slow way.  NULL: it must be stepped. */
static struct block *find_block(struct cpu *c, uint64_t linear)
{
	uint64_t gpa, gpa2;
	uint8_t *host, *host2;
	struct block *b;
	struct jump *j;
	unsigned tries;

	if (code64(c) ? !canonical(c->s.rip) : c->s.rip > c->s.seg[SEG_CS].limit)
		fault_gp(c, 0);
	fetch_page(c, linear, &gpa, &host);
	if (!host)
		return NULL;
	gpa |= linear & 0xfff;
	b = code_find(c, gpa, c->key);
	if (b && b->page2 != NO_PAGE) {
		fetch_page(c, ((linear & ~0xfffull) + 4096) & c->linear_mask, &gpa2, &host2);
		if (gpa2 != b->page2)
			return NULL;
	}
	for (tries = 0; !b && tries < 4; tries++)
		b = decode_block(c, linear, gpa, host + (linear & 0xfff));
	if (!b || (!code64(c) && c->s.rip + b->bytes - 1 > c->s.seg[SEG_CS].limit))
		return NULL;
	j = &c->jumps[jump_slot(linear)];
	j->linear = linear;
	j->block = b;
	j->tag = c->jump_tag;
	return b;
}

/* --- running ---------------------------------------------------------------------------------------------------- */

static uint64_t linear_rip(const struct cpu *c)
{
	return code64(c) ? c->s.rip : (uint32_t)(c->s.seg[SEG_CS].base + c->s.rip);
}

/* Run exactly one instruction, from a block that nobody keeps. */
void interp_one(struct cpu *c, const struct generic *g)
{
	struct {
		struct block b;
		struct uop uops[2];
	} one;

	one.b = (struct block){ .gpa = NO_PAGE, .page2 = NO_PAGE, .key = c->key, .n = 1, .bytes = g->insn.len, .valid = true };
	memset(one.uops, 0, sizeof(one.uops));
	one.uops[0].len = g->insn.len;
	one.uops[0].run = ends_block(&g->insn) ? run_generic_end : run_generic;
	one.uops[0].imm = (uintptr_t)g;
	one.uops[1].run = run_stop;
	one.uops[1].offset = g->insn.len;
	c->s.gpr[17] = c->s.rip;
	c->block = &one.b;
	c->leave = false;
	c->left--;
	one.uops[0].run(c, &one.uops[0]);
	c->cur = NULL;
	c->block = NULL;
}

void interp_step(struct cpu *c)
{
	struct generic g;
	struct insn i;
	bool crosses;

	if (code64(c) ? !canonical(c->s.rip) : c->s.rip > c->s.seg[SEG_CS].limit)
		fault_gp(c, 0);
	decode_one(c, linear_rip(c), &i, &crosses);
	if (log_mask & LOG_IN_ASM)
		log_insn(c, &i, c->s.rip);
	interp_generic(&g, &i);
	interp_one(c, &g);
}

/* One instruction with all that hangs on it: breakpoints, TF, the end of a shadow. */
static void careful_step(struct cpu *c)
{
	bool trap = c->s.flags & FLAG_TF;
	uint8_t shadow = c->s.shadow;
	uint32_t hit;

	if (c->s.dr[7] & 0xff && !(c->s.flags & FLAG_RF) && shadow != 2) {
		hit = debug_fetch(c, linear_rip(c));
		if (hit) {
			c->s.dr[6] = (c->s.dr[6] & ~0xfull) | hit;
			c->db_is_fault = true;
			fault(c, VEC_DB, 0);
		}
	}
	c->s.shadow = 0;
	/* It is clear behind every instruction but IRET, which loads it; a fault pushes it set (pushed_flags). */
	c->s.flags &= ~(uint32_t)FLAG_RF;
	interp_step(c);
	if (trap)
		c->debug_hit |= 1 << 14;
	cpu_mode_changed(c);
	if (shadow)
		cpu_interrupts_enabled(c);
}

/* Traps that became due with the last instruction. */
static void debug_trap(struct cpu *c)
{
	if (c->s.shadow == 2)           /* after MOV SS: one instruction later */
		return;
	c->s.dr[6] = (c->s.dr[6] & ~0xfull) | c->debug_hit;
	c->debug_hit = 0;
	c->db_is_fault = false;
	fault(c, VEC_DB, 0);
}

static void log_block(const struct cpu *c)
{
	log_line(LOG_CPU, "cpu%u: rip %04x:%llx flags %x rax %llx rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx rbp %llx rsp %llx",
		 c->index, c->s.seg[SEG_CS].selector, (unsigned long long)c->s.rip, get_flags(c),
		 (unsigned long long)c->s.gpr[RAX], (unsigned long long)c->s.gpr[RBX], (unsigned long long)c->s.gpr[RCX],
		 (unsigned long long)c->s.gpr[RDX], (unsigned long long)c->s.gpr[RSI], (unsigned long long)c->s.gpr[RDI],
		 (unsigned long long)c->s.gpr[RBP], (unsigned long long)c->s.gpr[RSP]);
}

/* The block at s.rip, NULL: it must be stepped. */
static struct block *block_here(struct cpu *c)
{
	uint64_t linear = linear_rip(c);
	const struct jump *j = &c->jumps[jump_slot(linear)];
	struct block *b = j->block;

	if (j->linear != linear || j->tag != c->jump_tag || !b->valid ||
	    (!(c->key & KEY_FLAT) && c->s.rip + b->bytes - 1 > c->s.seg[SEG_CS].limit))
		b = find_block(c, linear);
	return b;
}

void interp_block(struct cpu *c)
{
	struct block *b = block_here(c);

	if (!b || c->left < b->n) {
		interp_step(c);
		return;
	}
	c->s.gpr[17] = c->s.rip;
	c->block = b;
	c->left -= b->n;
	if (b->uops[0].run(c, b->uops))
		c->s.rip = c->s.gpr[17];
	c->cur = NULL;
	c->block = NULL;
}

/* s.rip says where; returns when the run loop must look at something. */
void interp_run(struct cpu *c)
{
	const bool log = log_mask & LOG_CPU;
	struct block *b;

	while (!atomic_load_explicit(&c->attention, memory_order_relaxed)) {
		c->cur = NULL;
		c->block = NULL;
		c->leave = false;
		if (c->debug_hit)
			debug_trap(c);
		if (c->left <= 0 || (c->x && xlat_usable(c)))
			return;
		if (log)
			log_block(c);
		if (c->step || c->s.shadow) {
			careful_step(c);
			continue;
		}
		b = block_here(c);
		if (!b) {
			interp_step(c);
			continue;
		}
		c->s.gpr[17] = c->s.rip;
		c->block = b;
		do {
			c->left -= b->n;
			if (__builtin_expect(c->left < 0, 0)) {
				c->left += b->n;
				c->s.rip = c->s.gpr[17];
				c->block = NULL;
				if (c->left)
					interp_step(c);
				break;
			}
			b = b->uops[0].run(c, b->uops);
			if (!b)
				break;
			if (log || atomic_load_explicit(&c->attention, memory_order_relaxed)) {
				c->s.rip = c->s.gpr[17];
				break;
			}
		} while (true);
	}
	c->cur = NULL;
	c->block = NULL;
	if (c->debug_hit)
		debug_trap(c);
}
