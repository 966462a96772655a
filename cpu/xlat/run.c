/* SPDX-License-Identifier: MIT */
/*
 * The translator's engine: finds or makes the block for where RIP is, enters it, and sees to why it came back.  What
 * translated code cannot do, the interpreter does, one instruction at a time.
 */
#include "cpu/xlat/run.h"

#include <stdlib.h>

#include "base/log.h"
#include "cpu/interp/run.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "cpu/xlat/xlat.h"

bool xlat_new(struct cpu *c, size_t size, struct err *err)
{
	struct xlat *x = calloc(1, sizeof(*x));

	c->x = x;
	if (!x) {
		err_set(err, "out of memory for the translator");
		return false;
	}
	if (!host_code_new(x, size, err))
		return false;
	if (c->all->config.verify && !verify_new(x, c->all->config.verify))
		return err_set(err, "out of memory for the translator");
	x->exact = x->verify || c->all->config.exact_flags || c->all->config.icount;
	c->xe.self = c;
	x->one.b = (struct block){ .gpa = NO_PAGE, .page2 = NO_PAGE, .n = 1, .valid = true };
	x->bmi2 = __builtin_cpu_supports("bmi2") && !(c->all->config.without & HOST_BMI2);
	xlat_make_stubs(c, x);
	if (!cache_new(x, err))
		return false;
	if (c->all->ops->code_made)
		c->all->ops->code_made(c->all->owner, x->rx, x->first, UINT64_MAX);
	xlat_reset(c);
	return true;
}

void xlat_free(struct cpu *c)
{
	if (!c->x)
		return;
	host_forget(c);
	host_code_free(c->x);
	cache_free(c->x);
	free(c->x->verify);
	free(c->x);
	c->x = NULL;
}

void xlat_set_exact(struct cpu *c, bool on)
{
	c->x->exact = on;
}

bool xlat_usable(const struct cpu *c)
{
	return !c->step && !c->s.shadow && !c->debug_hit && c->tlb != &c->tlbs[TLB_NEVER] && !(log_mask & LOG_CPU);
}

void xlat_save_vector(struct cpu *c)
{
	if (c->xe.fpu)
		((void (*)(void))(uintptr_t)xlat_rx(c->x, c->x->stub.save_fpu))();
}

void xlat_enter_thread(struct cpu *c)
{
	host_enter_thread(c);
}

/* --- blocks ----------------------------------------------------------------------------------------------------- */

/* The translated block at s.rip; NULL: there can be none here.  May fault as the fetch does. */
static struct xblock *find(struct cpu *c, uint32_t key)
{
	uint64_t linear = xlat_linear(c, c->s.rip), gpa;
	struct block *b;
	uint8_t *host;

	if (code64(c) ? !canonical(linear) : c->s.rip > c->s.seg[SEG_CS].limit)
		fault_gp(c, 0);
	fetch_page(c, linear, &gpa, &host);
	if (!host)
		return NULL;
	if (!xlat_segment(c)) {
		xlat_forget_segments(c->x);
		code_flush(c);
		xlat_segment(c);
	}
	key |= c->xe.cs << KEY_CS;
	gpa |= linear & 0xfff;
	b = code_find_at(c, gpa, key | KEY_XLAT, c->s.rip);
	if (b && b->page2 != NO_PAGE) {
		uint64_t gpa2;

		fetch_page(c, ((linear & ~0xfffull) + 4096) & c->linear_mask, &gpa2, &host);
		if (gpa2 != b->page2)
			return NULL;
	}
	if (b)
		return (struct xblock *)b;
	return xlat_translate(c, key, linear, gpa, host + (linear & 0xfff));
}

/* --- leaving and going on --------------------------------------------------------------------------------------- */

/* The block was left before instruction k: give back what was counted. */
static void uncount(struct cpu *c, const struct xblock *b, unsigned k)
{
	if (c->all->config.icount)
		c->left += b->b.n - k;
}

static bool load_vector(struct cpu *c)
{
	unsigned level = xlat_fpu_ready(c, 0, 1);

	if (level)
		c->xe.load_fpu = (uint8_t)level;
	return level;
}

/*
 * Instruction k of b is the interpreter's; then, if nothing stands against it, b goes on behind it: its host address, or NULL.
 */
static void *do_slow(struct cpu *c, struct xblock *b, unsigned k)
{
	struct xlat *x = c->x;
	uint64_t next = xlat_rip_of(c, b, k + 1);
	bool icount = c->all->config.icount;
	uint64_t *cause;

	c->s.rip = xlat_rip_of(c, b, k);
	flags_from_image(c);
	if (xlat_decoded(b, k)) {
		x->count.slow_insn++;
		x->count.slow_op[b->slow[k]->insn.op]++;
		interp_one(c, b->slow[k]);
	} else {
		cause = &x->count.slow[x->cause][x->cause_write];
		x->cause = SLOW_OTHER;
		x->count.slow[SLOW_FAULT][x->cause_write]++;    /* it does not come back, if so */
		interp_step(c);
		x->count.slow[SLOW_FAULT][x->cause_write]--;
		++*cause;
	}
	if (c->leave || c->s.rip != next || !b->b.valid || c->step || c->s.shadow || c->debug_hit || k + 1 == b->b.n ||
	    atomic_load_explicit(&c->attention, memory_order_relaxed))
		return NULL;
	if (b->site[k + 1].window)
		return NULL;
	if (b->site[k + 1].fpu && !load_vector(c))
		return NULL;
	if (icount) {
		if (c->left < (int64_t)(b->b.n - k - 1))
			return NULL;
		c->left -= b->b.n - k - 1;
	}
	flags_to_image(c);
	return xlat_rx(x, b->host + b->site[k + 1].host);
}

/* The indirect branch before this exit went where there can be no code: take it back, it is the branch that faults. */
static void take_back(struct cpu *c)
{
	struct xblock *b = arg_block(c->x, c->xe.branch);
	unsigned k = arg_insn(c->xe.branch);
	unsigned len = b->site[k + 1].guest - b->site[k].guest;
	unsigned first = b->b.page2 == NO_PAGE ? len : MIN(len, 4096 - (unsigned)(b->b.gpa & 0xfff));
	const uint8_t *rest = first < len ? phys_page(c, b->b.page2, NULL) : NULL;
	uint8_t bytes[15] = { 0 };
	struct insn i;

	memcpy(bytes, b->b.code + b->site[k].guest, first);
	if (rest)
		memcpy(bytes + first, rest, len - first);
	insn_decode(&i, bytes, len, 64);
	if (i.op == OP_RET)
		c->s.gpr[RSP] -= 8 + (i.operands ? (uint16_t)i.imm : 0);
	uncount(c, b, k);
	c->s.rip = xlat_rip_of(c, b, k);
	interp_step(c);
}

static void log_exec(const struct cpu *c)
{
	const uint64_t *r = c->s.gpr;

	log_line(LOG_EXEC, "cpu%u: %016llx image %04x rax %llx rcx %llx rdx %llx rbx %llx rsp %llx rbp %llx rsi %llx rdi %llx r8 %llx r9 %llx "
		 "r10 %llx r11 %llx r12 %llx r13 %llx r14 %llx r15 %llx", c->index, (unsigned long long)c->s.rip, c->xe.image & 0xffff,
		 (unsigned long long)r[0], (unsigned long long)r[1], (unsigned long long)r[2], (unsigned long long)r[3],
		 (unsigned long long)r[4], (unsigned long long)r[5], (unsigned long long)r[6], (unsigned long long)r[7],
		 (unsigned long long)r[8], (unsigned long long)r[9], (unsigned long long)r[10], (unsigned long long)r[11],
		 (unsigned long long)r[12], (unsigned long long)r[13], (unsigned long long)r[14], (unsigned long long)r[15]);
}

static void enter(struct cpu *c, const void *at)
{
	if (log_mask & LOG_EXEC)
		log_exec(c);
	c->x->count.enters++;
	((void (*)(const void *))(uintptr_t)xlat_rx(c->x, c->x->stub.enter))(at);
}

static bool chained(const struct xlat *x)
{
	return !x->verify && !(log_mask & (LOG_EXEC | LOG_NOCHAIN));
}

/* A block was left for s.rip: the one there; NULL: the run loop must look at something. */
static struct xblock *go_on(struct cpu *c, const struct xblock *verified, bool whole, uint32_t plain)
{
	flags_from_image(c);
	if (verified)
		verify_end(c, verified, whole);
	/* A budget that is used up comes before a fault of the next fetch. */
	if (atomic_load_explicit(&c->attention, memory_order_relaxed) || c->left <= 0)
		return NULL;
	return find(c, c->key | plain);
}

static struct xblock *on_link(struct cpu *c, const struct xblock *verified)
{
	struct xlat *x = c->x;
	uint32_t arg = c->xe.exit_arg;
	const struct xblock *b = arg_block(x, arg);
	struct link *l = &b->link[arg & ((1 << (ARG_INSN_BITS + ARG_SIZE_BITS)) - 1)];
	uint64_t flushes = x->count.flushes;
	struct xblock *to;

	c->s.rip = l->rip;
	to = go_on(c, verified, !l->plain, l->plain ? KEY_PLAIN : 0);
	/* Looking for it may have thrown b away. */
	if (to && x->count.flushes == flushes && b->b.valid && chained(x))
		xlat_link(c, l, to);
	return to;
}

static struct xblock *on_miss(struct cpu *c, const struct xblock *verified)
{
	struct xblock *to;

	c->s.rip = c->xe.exit_rip;
	if (code64(c) && !canonical(c->s.rip)) {
		flags_from_image(c);
		take_back(c);
		return NULL;
	}
	to = go_on(c, verified, true, 0);
	if (to && chained(c->x))
		xlat_remember(c, to);
	return to;
}

/* Where to go on; *counted: instructions of the block there that are counted as done. */
static void *on_slow(struct cpu *c, const struct xblock *verified, int64_t *counted)
{
	uint32_t arg = c->xe.exit_arg;
	struct xblock *b = arg_block(c->x, arg), *to;
	unsigned k = arg_insn(arg);
	void *at;

	if (verified)
		verify_end(c, verified, false);
	uncount(c, b, k);
	c->leave = false;
	if (arg_code(arg) == ARG_WINDOW) {
		c->s.rip = xlat_rip_of(c, b, k);
		flags_from_image(c);
		to = find(c, c->key | KEY_PLAIN);
		return to && !(c->all->config.icount && c->left < to->b.n) ? xlat_rx(c->x, to->saved) : NULL;
	}
	at = do_slow(c, b, k);
	*counted = at && c->all->config.icount ? b->b.n - (int64_t)k - 1 : 0;
	return at;
}

static void on_async(struct cpu *c)
{
	uint32_t arg = c->xe.exit_arg;
	const struct xblock *b = arg_block(c->x, arg);
	unsigned k = arg_insn(arg);

	if (arg_code(arg) != ARG_UNCOUNTED)
		uncount(c, b, k);
	c->s.rip = xlat_rip_of(c, b, k);
	flags_from_image(c);
	if (b->site[k].after_sti)
		c->s.shadow = 1;
}

/* Enter translated code at the start of `whole` and follow it until something is for the caller. */
static void follow(struct cpu *c, struct xblock *whole)
{
	struct xlat *x = c->x;
	void *at = xlat_rx(x, whole->saved);
	struct xblock *verified;
	int64_t counted = 0;

	while (at) {
		c->cur = NULL;
		c->block = NULL;
		/* `whole`: at is the start of that block */
		verified = x->verify && whole && !atomic_load_explicit(&c->attention, memory_order_relaxed) && verify_begin(c, whole) ? whole : NULL;
		whole = NULL;
		enter(c, at);
		x->count.exits[c->xe.exit_kind]++;
		at = NULL;
		if (c->xe.exit_kind == EXIT_ABORT) {            /* nothing has changed since */
			c->left += counted;
			return;
		}
		counted = 0;
		switch (c->xe.exit_kind) {
		case EXIT_LINK:
			whole = on_link(c, verified);
			break;
		case EXIT_MISS:
			whole = on_miss(c, verified);
			break;
		case EXIT_SLOW:
			at = on_slow(c, verified, &counted);
			break;
		case EXIT_ASYNC:
			on_async(c);
			break;
		default:                                        /* EXIT_DONE */
			flags_from_image(c);
			break;
		}
		if (whole)
			at = xlat_rx(x, whole->saved);
	}
}

void xlat_run(struct cpu *c)
{
	struct xblock *b;

	while (!atomic_load_explicit(&c->attention, memory_order_relaxed)) {
		c->cur = NULL;
		c->block = NULL;
		c->leave = false;
		if (c->left <= 0 || !xlat_usable(c))
			return;
		if (c->x->loose != !!(log_mask & (LOG_EXEC | LOG_NOCHAIN))) {
			c->x->loose = !c->x->loose;
			code_flush(c);          /* the monitor's log command: chains that are there go */
		}
		xlat_ind_table(c);
		b = find(c, c->key);
		if (!b || (c->all->config.icount && c->left < b->b.n)) {
			c->x->count.interpreted++;
			interp_block(c);
			continue;
		}
		flags_to_image(c);
		follow(c, b);
	}
}
