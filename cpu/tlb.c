/* SPDX-License-Identifier: MIT */
/*
 * The soft TLBs: one per privilege, each with a direct-mapped table for loads and one for stores: user, supervisor, and
 * supervisor with SMAP in force; c->tlb points at the current one, so that a change of CPL or AC is a change of pointer.
 * While an access must be looked at for other reasons (data breakpoints, alignment checks) c->tlb points at TLB_NEVER, in
 * which nothing ever hits.  A page gets a write tag only if it is RAM, its D bit is set and no code was decoded from it.
 * Not-present translations are never kept.
 *
 * The tables hold what is global and what belongs to the address space that runs.  With PCIDs (SDM volume 3, 4.10.1),
 * what belongs to one that is left is put away, the latest TLB_KEPT of it, and comes back with it, unless it was flushed
 * meanwhile.
 */
#include "cpu/walk.h"

#include <string.h>

#include "base/bytes.h"
#include "cpu/code.h"

static void clear_slot(struct tlb *t, unsigned kind, unsigned slot)
{
	t->e[kind][slot] = (struct tlb_entry){ tlb_never(slot), NULL };
	t->page[kind][slot] = (struct tlb_page){ tlb_never(slot), 0 };
}

static void clear_all(struct tlb *t)
{
	unsigned kind, slot;

	for (kind = 0; kind < 2; kind++)
		for (slot = 0; slot < TLB_SIZE; slot++)
			clear_slot(t, kind, slot);
	t->locals = 0;
	memset(t->large, 0, sizeof(t->large));
	memset(t->huge, 0, sizeof(t->huge));
}

/* --- address spaces --------------------------------------------------------------------------------------------- */

void mmu_forget_fetches(struct cpu *c)
{
	unsigned k;

	for (k = 0; k < ARRAY_SIZE(c->itlb[0]); k++)
		c->itlb[0][k].page = c->itlb[1][k].page = 0;    /* the number of no space */
	memset(c->itlb_large, 0, sizeof(c->itlb_large));
}

static unsigned huge_bit(uint64_t linear) { return linear >> 30 & 255; }

void mmu_fetched_large(struct cpu *c, uint64_t linear)
{
	c->itlb_large[huge_bit(linear) / 64] |= 1ull << huge_bit(linear) % 64;
}

static void forget_fetch(struct cpu *c, uint64_t linear)
{
	unsigned slot = (unsigned)(linear >> 12) % ARRAY_SIZE(c->itlb[0]);

	if (c->itlb_large[huge_bit(linear) / 64] >> huge_bit(linear) % 64 & 1)
		mmu_forget_fetches(c);
	else
		c->itlb[0][slot].page = c->itlb[1][slot].page = 0;
}

static uint16_t current_pcid(const struct cpu *c)
{
	return c->s.cr4 & CR4_PCIDE ? c->s.cr3 & 0xfff : 0;
}

/* One space, the current one, of which nothing is known. */
static void forget_spaces(struct cpu *c)
{
	unsigned k;

	for (k = 0; k < TLB_SPACES; k++) {
		c->spaces[k].number = (uint8_t)(k + 1);
		c->spaces[k].used = false;
		c->spaces[k].kept = 0;
		c->spaces[k].low_seen = 0;
	}
	c->space = &c->spaces[0];
	c->space->used = true;
	c->space->pcid = current_pcid(c);
	walk_forget_all(c);
	mmu_forget_fetches(c);
}

static struct tlb_space *find_space(struct cpu *c, unsigned pcid)
{
	unsigned k;

	for (k = 0; k < TLB_SPACES; k++)
		if (c->spaces[k].used && c->spaces[k].pcid == pcid)
			return &c->spaces[k];
	return NULL;
}

/* Forget what is remembered of s.  If it is the current one, what is in the tables is for the caller. */
static void empty_space(struct cpu *c, struct tlb_space *s)
{
	struct tlb_space *now = c->space;

	s->kept = 0;
	s->low_seen = 0;
	c->space = s;
	walk_forget(c);
	c->space = now;
	mmu_forget_fetches(c);
}

/* A space for this PCID, empty; that which was left longest ago makes room. */
static struct tlb_space *new_space(struct cpu *c, unsigned pcid)
{
	struct tlb_space *s = NULL;
	unsigned k;

	for (k = 0; k < TLB_SPACES; k++) {
		struct tlb_space *o = &c->spaces[k];

		if (o != c->space && (!s || !o->used || (s->used && o->left < s->left)))
			s = o;
	}
	s->used = true;
	s->pcid = (uint16_t)pcid;
	empty_space(c, s);
	return s;
}

void mmu_init(struct cpu *c)
{
	unsigned t;

	for (t = 0; t < TLB_COUNT; t++)
		clear_all(&c->tlbs[t]);
	forget_spaces(c);
}

/* --- what is not global ----------------------------------------------------------------------------------------- */

/* A page that is not global enters a slot.  Most flushes are for these, and they are few; more than fit: the latest. */
static void note_local(struct tlb *t, unsigned kind, unsigned slot)
{
	t->local[t->locals++ % ARRAY_SIZE(t->local)] = (uint16_t)(kind << TLB_BITS | slot);
}

static void flush_locals(struct tlb *t)
{
	unsigned n = t->locals, k, slot, kind;

	if (n <= ARRAY_SIZE(t->local)) {
		for (k = 0; k < n; k++)
			clear_slot(t, t->local[k] >> TLB_BITS, t->local[k] & (TLB_SIZE - 1));
	} else {
		for (kind = 0; kind < 2; kind++)
			for (slot = 0; slot < TLB_SIZE; slot++)
				if (!(t->page[kind][slot].gpa & TLB_GLOBAL))
					clear_slot(t, kind, slot);
	}
	t->locals = 0;
}

enum { KEPT_STORE = 8, KEPT_TLB = 4 /* shift */, KEPT_BITS = 0x38 };

/* The latest of them move into s. */
static void put_away(struct cpu *c, unsigned index, struct tlb_space *s)
{
	struct tlb *t = &c->tlbs[index];
	unsigned k, last = t->locals > ARRAY_SIZE(t->local) ? t->locals - (unsigned)ARRAY_SIZE(t->local) : 0;

	for (k = t->locals; k-- > last && s->kept < TLB_KEPT;) {
		unsigned at = t->local[k % ARRAY_SIZE(t->local)], kind = at >> TLB_BITS, slot = at & (TLB_SIZE - 1);
		const struct tlb_page *page = &t->page[kind][slot];

		if (!t->e[kind][slot].host || page->gpa & TLB_GLOBAL)
			continue;               /* flushed, or given to another page, since it was noted */
		s->page[s->kept++] = (struct tlb_kept){
			page->linear, page->gpa | (kind ? KEPT_STORE : 0) | index << KEPT_TLB, t->e[kind][slot].host,
		};
		clear_slot(t, kind, slot);
	}
	flush_locals(t);
}

static unsigned tagged_bucket(uint64_t gpa) { return gpa >> 12 & 4095; }

/* Whether a slot has a write tag for a page of this bucket. */
static bool holds_tag(const struct cpu *c, unsigned t, unsigned slot, unsigned bucket)
{
	const struct tlb *tlb = &c->tlbs[t];

	return tlb->e[TLB_WRITE][slot].tag == tlb->page[TLB_WRITE][slot].linear && tlb->e[TLB_WRITE][slot].host &&
	       tagged_bucket(tlb->page[TLB_WRITE][slot].gpa) == bucket;
}

/* Remember which slot it was that just got a write tag for gpa. */
static void note_tagged(struct cpu *c, unsigned t, unsigned slot, uint64_t gpa)
{
	unsigned n = tagged_bucket(gpa);
	bool alone = c->tagged[n].count == 0 || (c->tagged[n].slot == slot && c->tagged[n].tlb == t) ||
		     !holds_tag(c, c->tagged[n].tlb, c->tagged[n].slot, n);

	c->tagged[n].count = alone && c->tagged[n].count < 2 ? 1 : 2;
	c->tagged[n].slot = (uint16_t)slot;
	c->tagged[n].tlb = (uint8_t)t;
}

static void untag_slot(struct cpu *c, unsigned t, unsigned slot, uint64_t gpa)
{
	if (PAGE_OF(c->tlbs[t].page[TLB_WRITE][slot].gpa) == gpa)
		c->tlbs[t].e[TLB_WRITE][slot].tag = tlb_never(slot);
}

void tlb_untag(struct cpu *c, uint64_t gpa)
{
	unsigned n = tagged_bucket(gpa), t, slot, others = 0;

	if (c->tagged[n].count == 0)
		return;
	if (c->tagged[n].count == 1) {
		untag_slot(c, c->tagged[n].tlb, c->tagged[n].slot, gpa);
		return;
	}
	for (t = 0; t < TLB_NEVER; t++) {
		for (slot = 0; slot < TLB_SIZE; slot++) {
			untag_slot(c, t, slot, gpa);
			others += holds_tag(c, t, slot, n);
		}
	}
	if (!others)
		c->tagged[n].count = 0;
}

static unsigned large_bit(uint64_t linear) { return linear >> 22 & 1023; }

struct tlb_entry *tlb_enter(struct cpu *c, unsigned index, uint64_t linear, const struct walk *w, uint8_t *host, bool ram,
			    bool write)
{
	struct tlb *t = &c->tlbs[index];
	unsigned slot = (unsigned)(linear >> 12) & (TLB_SIZE - 1);
	struct tlb_entry *e = &t->e[write][slot];

	if (!w->global && (e->host == NULL || t->page[write][slot].gpa & TLB_GLOBAL))
		note_local(t, write, slot);
	e->host = host;
	e->tag = write && !code_may_write_tag(c, w->gpa) ? tlb_never(slot) : PAGE_OF(linear);
	t->page[write][slot] = (struct tlb_page){
		PAGE_OF(linear),
		PAGE_OF(w->gpa) | (w->global ? TLB_GLOBAL : 0) | (w->shift > 12 ? TLB_LARGE : 0) | (ram ? TLB_RAM : 0),
	};
	if (w->shift > 22)
		t->huge[huge_bit(linear) / 64] |= 1ull << huge_bit(linear) % 64;
	else if (w->shift > 12)
		t->large[large_bit(linear) / 64] |= 1ull << large_bit(linear) % 64;
	if (write && e->tag == PAGE_OF(linear))
		note_tagged(c, index, slot, w->gpa);
	return e;
}

/* --- coming and going ------------------------------------------------------------------------------------------- */

/* What put_away() took comes back, oldest first. */
static void bring_back(struct cpu *c, struct tlb_space *s)
{
	while (s->kept) {
		const struct tlb_kept *p = &s->page[--s->kept];
		unsigned index = p->gpa >> KEPT_TLB & 3, slot = (unsigned)(p->linear >> 12) & (TLB_SIZE - 1);
		bool write = p->gpa & KEPT_STORE, tag = !write || code_may_write_tag(c, p->gpa);
		struct tlb *t = &c->tlbs[index];

		note_local(t, write, slot);
		t->e[write][slot] = (struct tlb_entry){ tag ? p->linear : tlb_never(slot), p->host };
		t->page[write][slot] = (struct tlb_page){ p->linear, p->gpa & ~(uint64_t)KEPT_BITS };
		if (write && tag)
			note_tagged(c, index, slot, p->gpa);
	}
}

void tlb_switch(struct cpu *c, bool keep)
{
	unsigned pcid = current_pcid(c);
	struct tlb_space *s;

	if (pcid == c->space->pcid) {
		if (!keep)
			tlb_flush(c, true);
		return;
	}
	s = find_space(c, pcid);
	if (!s)
		s = new_space(c, pcid);
	else if (!keep)
		empty_space(c, s);
	c->space->left = ++c->spaces_left;
	put_away(c, TLB_USER, c->space);
	put_away(c, TLB_SMAP, c->space);
	put_away(c, TLB_KERNEL, c->space);
	c->space = s;
	bring_back(c, s);
	c->leave = true;
	code_map_changed(c, true);
}

/* --- flushes ---------------------------------------------------------------------------------------------------- */

void tlb_flush(struct cpu *c, bool keep_global)
{
	unsigned t;

	if (keep_global)
		empty_space(c, c->space);
	else
		forget_spaces(c);
	for (t = 0; t < TLB_NEVER; t++) {
		if (keep_global)
			flush_locals(&c->tlbs[t]);
		else
			clear_all(&c->tlbs[t]);
	}
	c->leave = true;
	code_map_changed(c, keep_global);
}

void tlb_flush_spaces(struct cpu *c)
{
	unsigned k;

	for (k = 0; k < TLB_SPACES; k++)
		if (c->spaces[k].used && &c->spaces[k] != c->space)
			empty_space(c, &c->spaces[k]);
	tlb_flush(c, true);
}

void tlb_flush_pcid(struct cpu *c, unsigned pcid)
{
	struct tlb_space *s = find_space(c, pcid);

	if (s == c->space)
		tlb_flush(c, true);
	else if (s)
		empty_space(c, s);
}

/* Other parts of a page of 2 MB or more may be in other slots: drop all such near linear. */
static void flush_large(struct tlb *t, uint64_t linear)
{
	unsigned large = large_bit(linear), huge = huge_bit(linear), kind, slot;

	if (!(t->large[large / 64] >> large % 64 & 1) && !(t->huge[huge / 64] >> huge % 64 & 1))
		return;
	for (kind = 0; kind < 2; kind++)
		for (slot = 0; slot < TLB_SIZE; slot++)
			if (t->page[kind][slot].gpa & TLB_LARGE && (t->page[kind][slot].linear ^ linear) >> 30 == 0)
				clear_slot(t, kind, slot);
}

void tlb_flush_page(struct cpu *c, uint64_t linear)
{
	unsigned slot = (unsigned)(linear >> 12) & (TLB_SIZE - 1), t;

	walk_forget(c);
	c->space->low_seen = 0;
	for (t = 0; t < TLB_NEVER; t++) {
		clear_slot(&c->tlbs[t], TLB_READ, slot);
		clear_slot(&c->tlbs[t], TLB_WRITE, slot);
		flush_large(&c->tlbs[t], linear);
	}
	forget_fetch(c, linear);
	if (c->x && !xlat_page_changed(c, linear))
		return;
	c->leave = true;
	code_map_changed(c, false);
}

void tlb_flush_pcid_page(struct cpu *c, unsigned pcid, uint64_t linear)
{
	struct tlb_space *s = find_space(c, pcid);
	unsigned k, n = 0;

	if (s == c->space) {
		tlb_flush_page(c, linear);
	} else if (s) {
		struct tlb_kept *p = s->page;
		unsigned kept = s->kept;

		empty_space(c, s);
		for (k = 0; k < kept; k++)
			if (PAGE_OF(p[k].linear ^ linear) &&
			    !(p[k].gpa & TLB_LARGE && (p[k].linear ^ linear) >> 30 == 0))
				p[n++] = p[k];
		s->kept = n;
	}
}

void mmu_remapped(struct cpu *c)
{
	unsigned k;

	for (k = 0; k < ARRAY_SIZE(c->phys); k++)
		c->phys[k].valid = false;
	tlb_flush(c, false);
}
