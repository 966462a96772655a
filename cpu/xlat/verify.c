/* SPDX-License-Identifier: MIT */
/*
 * Both engines on one block, and a comparison (-accel xlat,verify=N: one block in N).
 *
 * Before a block is entered, the interpreter runs the same instructions from the same state.  What they store is noted
 * with the bytes that were there, and taken back; so are the registers.  Then translated code runs, and what it leaves
 * behind must be the same: general registers, RIP, flags (which are never dead then), vector and x87 state, the bytes stored.
 *
 * Blocks are not chained then, so that each comes by here.  Passed over are those with an instruction that is the interpreter's
 * anyway, that touch a device, store into code, fault, or were left in their middle.  Device models may write to
 * what a block reads; a difference is none if such a byte has changed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/interp/run.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "cpu/xlat/run.h"
#include "cpu/xlat/xlat.h"

enum { MOST = 4 * BLOCK_INSNS, BYTES = 64 };

struct touched {
	uint8_t *host;
	uint8_t len;
	bool written;
	uint8_t before[BYTES], after[BYTES];
};

struct verify {
	unsigned share, wait;
	struct cpu_state before, after;         /* as the interpreter saw and left it */
	uint32_t flags_before, flags_after;
	unsigned undefined;                     /* flags that are nobody's to tell */
	struct touched t[MOST];
	unsigned n, ran;
	struct { uint64_t blocks, insns, passed, left, wrong; } count;
};

bool verify_new(struct xlat *x, unsigned share)
{
	x->verify = calloc(1, sizeof(*x->verify));
	if (!x->verify)
		return false;
	x->verify->share = x->verify->wait = share;
	return true;
}

void verify_print(const struct xlat *x, char *text, size_t len)
{
	const struct verify *v = x->verify;

	snprintf(text, len, "blocks %llu, instructions %llu; passed over %llu, left %llu; wrong %llu", (unsigned long long)v->count.blocks,
		 (unsigned long long)v->count.insns, (unsigned long long)v->count.passed, (unsigned long long)v->count.left,
		 (unsigned long long)v->count.wrong);
}

uint64_t verify_blocks(const struct xlat *x) { return x->verify->count.blocks; }

/* --- what an instruction touches -------------------------------------------------------------------------------- */

static bool touch_in_page(struct cpu *c, struct verify *v, uint64_t linear, unsigned len, bool written)
{
	struct touched *t = &v->t[v->n];
	bool writable;
	uint8_t *host;
	uint64_t gpa;

	if (v->n == MOST || len > BYTES || (code64(c) && !canonical(linear)) || !mmu_debug_translate(c, linear, &gpa))
		return false;
	host = phys_page(c, gpa, &writable);
	if (!host || (written && (!writable || !code_page_is_clean(c, gpa))))
		return false;
	t->host = host + (gpa & 0xfff);
	t->len = (uint8_t)len;
	t->written = written;
	memcpy(t->before, t->host, len);
	v->n++;
	return true;
}

static bool touch(struct cpu *c, struct verify *v, uint64_t linear, unsigned len, bool written)
{
	unsigned room;

	if (!code64(c))
		linear = (uint32_t)linear;
	room = 4096 - (unsigned)(linear & 0xfff);
	if (len <= room)
		return touch_in_page(c, v, linear, len, written);
	return touch_in_page(c, v, linear, room, written) && touch_in_page(c, v, linear + room, len - room, written);
}

static bool is_bit_op(const struct insn *i)
{
	return i->op == OP_BT || i->op == OP_BTS || i->op == OP_BTR || i->op == OP_BTC;
}

static bool touch_operand(struct cpu *c, struct verify *v, const struct insn *i)
{
	const struct operand *o = &i->o[i->mem_op];
	uint64_t a;
	int64_t bit;

	switch ((int)i->op) {
	case OP_LEA: case OP_NOP: case OP_PREFETCH: case OP_PREFETCHW: case OP_PREFETCHWT1: case OP_PREFETCHNTA: case OP_PREFETCHT0:
	case OP_PREFETCHT1: case OP_PREFETCHT2:
		return true;
	default:
		break;
	}
	if (!o->size || i->mem.vsib)
		return false;
	a = effective_address(c, i);
	if (is_bit_op(i) && i->o[1].kind == OPD_GPR) {
		bit = (int64_t)c->s.gpr[i->o[1].reg];
		bit = i->opsize == 8 ? bit : i->opsize == 4 ? (int32_t)bit : (int16_t)bit;
		a += (uint64_t)((bit >> (i->opsize == 8 ? 6 : i->opsize == 4 ? 5 : 4)) * i->opsize);
		if (i->addrsize == 4)
			a = (uint32_t)a;
	}
	else if (i->addrsize == 2)
		a = (uint16_t)a;
	if (!code64(c) || i->mem.seg == SEG_FS || i->mem.seg == SEG_GS)
		a += c->s.seg[i->mem.seg].base;
	return touch(c, v, a, o->size, o->written || i->op == OP_CMPXCHG || i->op == OP_CMPXCHG8B || i->op == OP_CMPXCHG16B);
}

/* False: not to be compared. */
static bool note(struct cpu *c, struct verify *v, const struct insn *i)
{
	unsigned defined = i->flags.written & ~(unsigned)i->flags.undefined;

	if (i->flags.read & v->undefined || i->traits & INSN_STRING)
		return false;
	v->undefined = (v->undefined & ~defined) | i->flags.undefined;
	switch ((int)i->op) {
	case OP_STI: case OP_RDTSC: case OP_RDTSCP: case OP_RDRAND: case OP_RDSEED: case OP_RDPMC: case OP_CPUID: case OP_PAUSE:
	case OP_XLAT: case OP_MASKMOVQ: case OP_MASKMOVDQU: case OP_VMASKMOVPS: case OP_VMASKMOVPD: case OP_VPMASKMOVD: case OP_VPMASKMOVQ:
	case OP_SYSCALL: case OP_SYSRET: case OP_IRET: case OP_INT: case OP_HLT: case OP_IN: case OP_OUT: case OP_POPF:
		return false;
	case OP_PUSH: case OP_CALL: case OP_PUSHF:
		if (!touch(c, v, ((c->s.gpr[RSP] - i->opsize) & stack_mask(c)) + (code64(c) ? 0 : c->s.seg[SEG_SS].base), i->opsize, true))
			return false;
		break;
	default:
		break;
	}
	return i->mem_op == 0xff || touch_operand(c, v, i);
}

/* --- the interpreter's turn ------------------------------------------------------------------------------------- */

static bool interpret(struct cpu *c, struct verify *v, const struct xblock *b)
{
	uint64_t mask = code64(c) ? UINT64_MAX : UINT32_MAX;
	struct insn i;
	unsigned k;

	for (k = 0; k < b->b.n; k++) {
		if (insn_decode(&i, b->b.code + b->site[k].guest, b->site[k + 1].guest - b->site[k].guest, xlat_code_size(c->key)) != DECODE_OK ||
		    !note(c, v, &i))
			return false;
		/* A branch to the next instruction (Linux patches such): RIP does not tell whether translated code leaves there. */
		if (k + 1 < b->b.n && i.operands && i.o[0].kind == OPD_REL && !i.imm)
			return false;
		interp_step(c);
		v->ran = k + 1;
		if (!b->b.valid || c->step || c->s.shadow || c->debug_hit)
			return false;
		if (c->s.rip != ((b->rip + b->site[k + 1].guest) & mask))
			break;
	}
	return true;
}

static void take_back(struct verify *v)
{
	unsigned k;

	for (k = 0; k < v->n; k++)
		memcpy(v->t[k].after, v->t[k].host, v->t[k].len);
	for (k = v->n; k-- > 0;)
		if (v->t[k].written)
			memcpy(v->t[k].host, v->t[k].before, v->t[k].len);
}

/* A block is going to be entered at its start, with flags in the image. */
bool verify_begin(struct cpu *c, const struct xblock *b)
{
	struct verify *v = c->x->verify;
	int64_t left = c->left;
	volatile bool good = false;
	jmp_buf outer;
	unsigned k;

	if (--v->wait)
		return false;
	v->wait = v->share;
	for (k = 0; k < b->b.n; k++)
		if (xlat_decoded(b, k)) {
			v->count.passed++;
			return false;
		}
	v->n = v->ran = 0;
	v->undefined = 0;
	v->before = c->s;
	v->flags_before = get_flags(c);
	memcpy(outer, c->on_fault, sizeof(outer));
	if (!setjmp(c->on_fault))
		good = interpret(c, v, b);
	memcpy(c->on_fault, outer, sizeof(outer));
	take_back(v);
	v->after = c->s;
	v->flags_after = get_flags(c);
	c->s = v->before;
	c->left = left;
	c->debug_hit = 0;
	c->cur = NULL;
	c->block = NULL;
	cpu_mode_changed(c);
	c->leave = false;
	v->count.passed += !good;
	return good;
}

/* --- the comparison --------------------------------------------------------------------------------------------- */

static void tell(struct cpu *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct cpu *c, const char *format, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (c->all->ops->differs)
		c->all->ops->differs(c->all->owner, text);
}

static const char *vectors_differ(const struct fpu_area *a, const struct fpu_area *b)
{
	unsigned k;

	if (a->fcw != b->fcw || a->fsw != b->fsw || a->ftw != b->ftw)
		return "x87 control, status or tags";
	if (a->mxcsr != b->mxcsr)
		return "mxcsr";
	for (k = 0; k < 8; k++)
		if (memcmp(a->st[k], b->st[k], 10))
			return "x87 registers";
	if (memcmp(a->xmm, b->xmm, sizeof(a->xmm)))
		return "xmm registers";
	return memcmp(a->ymm_hi, b->ymm_hi, sizeof(a->ymm_hi)) ? "upper halves of ymm registers" : NULL;
}

static const char *differ(const struct cpu *c, const struct verify *v)
{
	const struct cpu_state *i = &v->after, *x = &c->s;
	unsigned k;

	if (i->rip != x->rip)
		return "rip";
	if (memcmp(i->gpr, x->gpr, 16 * sizeof(i->gpr[0])))
		return "general registers";
	if ((v->flags_after ^ get_flags(c)) & ~v->undefined)
		return "flags";
	for (k = 0; k < v->n; k++)
		if (memcmp(v->t[k].host, v->t[k].after, v->t[k].len))
			return "memory";
	if (memcmp(i->seg, x->seg, sizeof(i->seg)) || i->msr.kernel_gs_base != x->msr.kernel_gs_base)
		return "segments";
	return vectors_differ(&i->fpu, &x->fpu);
}

/* Somebody else wrote what was only read. */
static bool disturbed(const struct verify *v)
{
	unsigned k, j;

	for (k = 0; k < v->n; k++) {
		const struct touched *t = &v->t[k];

		if (t->written)
			continue;
		for (j = 0; j < v->n; j++)
			if (v->t[j].written && v->t[j].host < t->host + t->len && t->host < v->t[j].host + v->t[j].len)
				break;
		if (j == v->n && (memcmp(t->before, t->after, t->len) || memcmp(t->host, t->after, t->len)))
			return true;
	}
	return false;
}

static void hex(const uint8_t *p, unsigned len, char *text)
{
	for (; len; len--, text += 2)
		snprintf(text, 3, "%02x", *p++);
}

static void report(struct cpu *c, const struct verify *v, const struct xblock *b, const char *what)
{
	const struct cpu_state *s = &v->before, *i = &v->after, *x = &c->s;
	char text[160], bytes[2 * BYTES + 1], ours[2 * BYTES + 1];
	struct insn insn;
	unsigned k;

	tell(c, "cpu%u: the engines differ in %s after block %u at %016llx, key %x", c->index, what, b->number, (unsigned long long)b->rip,
	     b->b.key & ~KEY_XLAT);
	for (k = 0; k < b->b.n; k++) {
		if (insn_decode(&insn, b->b.code + b->site[k].guest, 15, xlat_code_size(b->b.key)) != DECODE_OK)
			break;
		insn_text(&insn, b->rip + b->site[k].guest, text, sizeof(text));
		hex(b->b.code + b->site[k].guest, insn.len, bytes);
		tell(c, "  %016llx  %-24s  %s%s", (unsigned long long)b->rip + b->site[k].guest, bytes, text, k + 1 == v->ran ? "   <- the last" : "");
	}
	tell(c, "%-6s %-16s  %-16s  %-16s", "", "before", "interpreter", "translator");
	for (k = 0; k < 16; k++)
		tell(c, "r%-5u %016llx  %016llx  %016llx%s", k, (unsigned long long)s->gpr[k], (unsigned long long)i->gpr[k],
		     (unsigned long long)x->gpr[k], i->gpr[k] != x->gpr[k] ? "  <-" : "");
	tell(c, "rip    %016llx  %016llx  %016llx", (unsigned long long)s->rip, (unsigned long long)i->rip, (unsigned long long)x->rip);
	tell(c, "flags  %016x  %016x  %016x  (undefined %x)", v->flags_before, v->flags_after, get_flags(c), v->undefined);
	tell(c, "mxcsr  %016x  %016x  %016x", s->fpu.mxcsr, i->fpu.mxcsr, x->fpu.mxcsr);
	for (k = 0; k < 16; k++)
		if (memcmp(i->fpu.xmm[k], x->fpu.xmm[k], 16)) {
			hex(i->fpu.xmm[k], 16, bytes);
			hex(x->fpu.xmm[k], 16, ours);
			tell(c, "xmm%u   %s  %s", k, bytes, ours);
		}
	for (k = 0; k < v->n; k++) {
		hex(v->t[k].after, v->t[k].len, bytes);
		hex(v->t[k].host, v->t[k].len, ours);
		tell(c, "%s %s  %s%s", v->t[k].written ? "stored" : "loaded", bytes, ours, strcmp(bytes, ours) ? "  <-" : "");
	}
	if (c->all->ops->differs)
		c->all->ops->differs(c->all->owner, NULL);
}

/* Translated code came back; whole: from the block's end, with all in c->s. */
void verify_end(struct cpu *c, const struct xblock *b, bool whole)
{
	struct verify *v = c->x->verify;
	const char *what;

	if (!whole) {
		v->count.left++;
		return;
	}
	v->count.blocks++;
	v->count.insns += v->ran;
	what = differ(c, v);
	if (!what || disturbed(v))
		return;
	v->count.wrong++;
	report(c, v, b, what);
}
