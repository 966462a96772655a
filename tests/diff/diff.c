/* SPDX-License-Identifier: MIT */
/* Runs a case on both processors and compares. */
#include "tests/diff/diff.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct text { char *at; size_t left; };

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(t->at, t->left, format, ap);
	va_end(ap);
	if (n > 0) {
		size_t k = MIN((size_t)n, t->left ? t->left - 1 : 0);

		t->at += k;
		t->left -= k;
	}
}

static void hex(struct text *t, const uint8_t *p, unsigned len)
{
	for (unsigned n = 0; n < len; n++)
		add(t, "%02x", p[len - 1 - n]);
}

void diff_print(const struct diff_case *c, char *text, size_t len)
{
	struct text t = { text, len };
	uint64_t rip = c->in.rip;
	const uint8_t *p = c->code;

	for (unsigned n = 0; n < c->count; n++) {
		char s[128];

		insn_text(&c->insn[n], rip, s, sizeof(s));
		add(&t, "%u-bit %08llx:", c->mode, (unsigned long long)rip);
		for (unsigned k = 0; k < c->insn[n].len; k++)
			add(&t, " %02x", *p++);
		add(&t, "  %s\n", s);
		rip += c->insn[n].len;
	}
	for (unsigned n = 0; n < (c->mode == 64 ? 16 : 8); n++)
		add(&t, "r%-2u %016llx%c", n, (unsigned long long)c->in.gpr[n], n % 4 == 3 ? '\n' : ' ');
	add(&t, "rflags %04llx mxcsr %04x fcw %04x fsw %04x ftw %02x\n", (unsigned long long)c->in.rflags,
	    c->in.fpu.mxcsr,
	    c->in.fpu.fcw, c->in.fpu.fsw, c->in.fpu.ftw);
	for (unsigned n = 0; n < c->count; n++)
		for (unsigned k = 0; k < c->insn[n].operands; k++) {
			const struct operand *o = &c->insn[n].o[k];

			if (o->kind == OPD_XMM) {
				add(&t, "ymm%-2u ", o->reg);
				hex(&t, c->in.fpu.ymm_hi[o->reg], 16);
				add(&t, "_");
				hex(&t, c->in.fpu.xmm[o->reg], 16);
				add(&t, "\n");
			} else if (o->kind == OPD_ST || o->kind == OPD_MMX) {
				unsigned at = o->kind == OPD_ST ? o->reg : (o->reg - (c->in.fpu.fsw >> 11)) & 7;

				add(&t, "%s%u ", o->kind == OPD_ST ? "st" : "mm", o->reg);
				hex(&t, c->in.fpu.st[at], 10);
				add(&t, "\n");
			}
		}
}

static bool has_error(int vector) { return (vector >= 10 && vector <= 14) || vector == 17 || vector == 8; }

static void take_native(uint64_t at, unsigned len)
{
	for (at -= DATA_BASE; len--; at++)
		if (at < DATA_WRITABLE)
			sim_data()[at] = native_data()[at];
}

static bool many_parts(enum op op)
{
	switch ((int)op) {
	case OP_FXSAVE: case OP_FXRSTOR: case OP_XSAVE: case OP_XSAVEC: case OP_XRSTOR:
	case OP_FNSAVE: case OP_FRSTOR: case OP_FNSTENV: case OP_FLDENV:
		return true;
	default:
		return false;
	}
}

/*
 * What is not ours to match:
 *  - how much a store of many parts (ENTER, MASKMOVxx) wrote before it faulted; which operand of CMPS faults first;
 *  - error codes of page faults in the kernel's half, and of instruction fetches, where the host has pages;
 *  - whether the bytes behind the opcode of UD0 are fetched;
 *  - the x87 pointers that AMD's FNSTENV stores, which a task switch of the host changes;
 *  - MXCSR_MASK: no misaligned SSE mode for the guest (AMD's MXCSR bit 17, reserved in ours);
 *  - the address of a page fault in a store or load of many parts, of MASKMOVxx with its error code too;
 *  - whether a faulting MASKMOVQ has entered MMX state, and whether MASKMOVxx with an empty mask faults (SDM, MASKMOVQ:
 *    "exceptions associated with addressing memory and page faults may still be signaled (implementation dependent)");
 *  - whether an access across the end of a 4 GiB segment breaks its limit or goes on at 0 (SDM volume 3, Limit Checking: with a limit of
 *    FFFFFFFFH it "may or may not cause the indicated exceptions");
 *  - the precision flag beside an unmasked overflow or underflow, which tells whether the result would be exact with
 *    a wider exponent; DPPx, whose steps raise exceptions one after the other; VCVTPS2PH, whose exact tiny results
 *    are not told.
 */
static void forgive(const struct diff_case *c, struct diff_state *h, struct diff_state *g)
{
	uint32_t unmasked = ~(c->in.fpu.mxcsr & h->fpu.mxcsr) >> 7 & 0x3f, flags = 0;       /* LDMXCSR may have been in the case */
	unsigned from;

	if (!sim_flags_are_exact() && h->vector != VEC_BP)
		h->rflags = (h->rflags & ~(uint64_t)FLAGS_ARITH) | (g->rflags & FLAGS_ARITH);
	switch ((int)c->insn[0].op) {
	case OP_FNSTENV: case OP_FNSAVE:
		from = c->insn[0].opsize == 2 ? 6 : 12;
		take_native(gen_address(c) + from, from == 6 ? 8 : 16);
		break;
	case OP_FXSAVE: case OP_XSAVE: case OP_XSAVEC:
		take_native(gen_address(c) + 28, 4);
		break;
	case OP_MASKMOVQ: case OP_MASKMOVDQU:
		if ((h->vector == VEC_PF || h->vector == VEC_GP) && h->rip == c->in.rip && g->rip != h->rip)
			*g = *h;
		if (h->vector == VEC_PF || h->vector == VEC_GP || h->vector == VEC_SS) {
			h->fpu = g->fpu;
			g->error = h->error;
			g->cr2 = h->cr2;
			memcpy(sim_data(), native_data(), DATA_WRITABLE);
		}
		break;
	case OP_ENTER:
		if (h->vector == VEC_PF || h->vector == VEC_SS)
			memcpy(sim_data(), native_data(), DATA_WRITABLE);
		break;
	case OP_UD0: case OP_UD1:
		if (h->vector == VEC_UD && g->vector == VEC_PF)
			*g = *h;
		break;
	case OP_CMPS:
		if (h->vector == VEC_PF && g->vector == VEC_PF)
			g->cr2 = h->cr2;
		break;
	case OP_LDMXCSR: case OP_FXRSTOR: case OP_XRSTOR:
		if (h->fpu.mxcsr >> 16 && g->vector == VEC_GP && g->rip == c->in.rip) {
			*h = *g;
			memcpy(sim_data(), native_data(), DATA_WRITABLE);
		}
		break;
	case OP_DPPS: case OP_DPPD:
		flags = 0x3f;
		break;
	case OP_VCVTPS2PH:
		if (unmasked & 0x10 && h->vector == VEC_XM && h->rip == c->in.rip) {
			*g = *h;
			memcpy(sim_data(), native_data(), DATA_WRITABLE);
		}
		break;
	}
	if (c->mode == 32 && (h->vector == VEC_GP || h->vector == VEC_SS) && g->vector == VEC_PF && h->rip == g->rip &&
	    (uint32_t)(g->cr2 + 64) < 128)
		*g = *h;
	if (h->vector == VEC_PF && (h->cr2 >> 63 || h->error & 0x10))
		g->error = h->error;
	if (many_parts(c->insn[0].op) && h->vector == VEC_PF && h->cr2 - gen_address(c) < sizeof(struct fpu_area))
		g->cr2 = h->cr2;
	if (unmasked & 0x18)
		flags |= 0x20;
	if (h->vector == VEC_XM)
		g->fpu.mxcsr = (g->fpu.mxcsr & ~flags) | (h->fpu.mxcsr & flags);
}

static bool compare(const struct diff_case *c, const struct diff_state *h, const struct diff_state *g, struct text *t)
{
	const struct fpu_area *hf = &h->fpu, *gf = &g->fpu;
	uint64_t mask = c->mode == 64 ? UINT64_MAX : UINT32_MAX;
	uint32_t flags = (FLAGS_ARITH | FLAG_DF | FLAG_TF | FLAG_NT | FLAG_AC) & ~(uint32_t)c->undefined;

#define DIFFERS(what, a, b) \
	do { \
		if ((a) != (b)) { \
			add(t, "%s: host %llx, ours %llx\n", what, (unsigned long long)(a), (unsigned long long)(b)); \
			return false; \
		} \
	} while (0)
	DIFFERS("vector", (unsigned)h->vector, (unsigned)g->vector);
	if (has_error(h->vector))
		DIFFERS("error code", h->error, g->error);
	if (h->vector == VEC_PF)
		DIFFERS("cr2", h->cr2, g->cr2);
	DIFFERS("rip", h->rip & mask, g->rip & mask);
	for (unsigned n = 0; n < (c->mode == 64 ? 16 : 8); n++) {
		char name[8];

		snprintf(name, sizeof(name), "r%u", n);
		DIFFERS(name, h->gpr[n] & mask, g->gpr[n] & mask);
	}
	DIFFERS("rflags", h->rflags & flags, g->rflags & flags);
	DIFFERS("mxcsr", hf->mxcsr, gf->mxcsr);
	DIFFERS("fcw", hf->fcw, gf->fcw);
	DIFFERS("fsw", hf->fsw, gf->fsw);
	DIFFERS("ftw", hf->ftw, gf->ftw);
	for (unsigned n = 0; n < 8; n++) {
		if (memcmp(hf->st[n], gf->st[n], 10)) {
			add(t, "st%u: host ", n);
			hex(t, hf->st[n], 10);
			add(t, ", ours ");
			hex(t, gf->st[n], 10);
			add(t, "\n");
			return false;
		}
	}
	for (unsigned n = 0; n < (c->mode == 64 ? 16 : 8); n++) {
		if (memcmp(hf->xmm[n], gf->xmm[n], 16) || memcmp(hf->ymm_hi[n], gf->ymm_hi[n], 16)) {
			add(t, "ymm%u: host ", n);
			hex(t, hf->ymm_hi[n], 16);
			add(t, "_");
			hex(t, hf->xmm[n], 16);
			add(t, "\n      ours ");
			hex(t, gf->ymm_hi[n], 16);
			add(t, "_");
			hex(t, gf->xmm[n], 16);
			add(t, "\n");
			return false;
		}
	}
	/*
	 * AMD keeps the pointers only of a pending exception, and loses them when another process runs; FNOP moves
	 * them too.
	 */
	if (hf->fsw & 0x80 && !(c->in.fpu.fsw & 0x80) && hf->fop && hf->fip && hf->fdp && c->count == 1) {
		DIFFERS("fop", hf->fop, gf->fop);
		DIFFERS("fip", hf->fip & mask & INT64_MAX >> 16, gf->fip & mask & INT64_MAX >> 16);
		DIFFERS("fdp", hf->fdp & mask & INT64_MAX >> 16, gf->fdp & mask & INT64_MAX >> 16);
	}
	if (memcmp(native_data(), sim_data(), DATA_WRITABLE)) {
		unsigned at = 0;

		while (native_data()[at] == sim_data()[at])
			at++;
		at &= ~7u;
		add(t, "memory at %x: host ", DATA_BASE + at);
		hex(t, native_data() + at, 16);
		add(t, ", ours ");
		hex(t, sim_data() + at, 16);
		add(t, "\n");
		return false;
	}
	return true;
}

/*
 * Our processor faulted where this process has memory of its own (a sanitizer's shadow is everywhere in the lower half): the
 * host's did not, and no conclusion follows.
 */
static bool fault_is_ours_alone(const struct diff_state *h, const struct diff_state *g)
{
	uint64_t page = g->cr2 & ~4095ull;

	if (g->vector != VEC_PF || (h->vector == VEC_PF && h->cr2 == g->cr2) ||
	    page - CODE_BASE < DATA_BASE + DATA_SIZE - CODE_BASE)
		return false;
	return msync((void *)(uintptr_t)page, 4096, MS_ASYNC) == 0;     /* ENOMEM: nothing is mapped there */
}

bool diff_one(const struct diff_case *c, const uint8_t *data, char *text, size_t len)
{
	struct diff_state h = c->in, g = c->in;
	struct text t = { text, len };
	unsigned at = (unsigned)(c->in.rip & (CODE_SIZE - 1)), room = MIN(c->code_len, CODE_SIZE - at);

	memset(native_code() + at, 0xcc, MIN((unsigned)DIFF_CODE, CODE_SIZE - at));
	memcpy(native_code() + at, c->code, room);
	memcpy(sim_code() + at, native_code() + at, MIN((unsigned)DIFF_CODE, CODE_SIZE - at));
	memcpy(native_data(), data, DATA_WRITABLE);
	memcpy(sim_data(), data, DATA_WRITABLE);
	native_arm();
	native_run(c->mode, &h);
	sim_run(c->mode, &g);
	memset(native_code() + at, 0xcc, MIN((unsigned)DIFF_CODE, CODE_SIZE - at));
	memset(sim_code() + at, 0xcc, MIN((unsigned)DIFF_CODE, CODE_SIZE - at));
	if (fault_is_ours_alone(&h, &g))
		return true;
	forgive(c, &h, &g);
	return compare(c, &h, &g, &t);
}
