/* SPDX-License-Identifier: MIT */
/*
 * Address translation: paging as in the SDM, volume 3, chapter 4 (none, 32-bit, PAE, 4-level), and the soft TLBs.
 *
 * There is one TLB per privilege, each with a direct-mapped table for loads and one for stores: user, supervisor, and supervisor with SMAP in force; c->tlb points at the
 * current one, so that a change of CPL or AC is a change of pointer.  While an access must be looked at for other reasons
 * (data breakpoints, alignment checks) c->tlb points at TLB_NEVER, in which nothing ever hits.  A page gets a write tag
 * only if it is RAM, its D bit is set and no code was decoded from it.  Not-present translations are never kept.
 *
 * PCIDs are accepted but not used as tags: every CR3 load flushes what is not global, which is always allowed.  Links to code
 * that is still where it was stay (xlat/link.c).
 */
#include "cpu/mmu.h"

#include "cpu/code.h"
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

enum {
	PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 1 << 5, PTE_D = 1 << 6, PTE_PS = 1 << 7, PTE_G = 1 << 8,
	ERR_P = 1, ERR_W = 2, ERR_U = 4, ERR_RSVD = 8, ERR_I = 16,
};
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull
#define PAGE_OF(a) ((a) & ~0xfffull)

enum access { ACC_READ, ACC_WRITE, ACC_EXEC };

struct walk {
	uint64_t gpa;
	bool writable, user, global, dirty;
	uint8_t shift;                  /* size of the page: 12, 21, 22, 30 */
};

/* --- physical memory -------------------------------------------------------------------------------------------- */

void outside_begin(struct cpu *c)
{
	if (c->xe.fpu)
		xlat_save_vector(c);
	atomic_store(&c->in_guest, false);
}

void outside_end(struct cpu *c)
{
	atomic_store(&c->in_guest, true);
	if (atomic_load(&c->events) & EV_WORK)
		code_do_work(c);
}

uint8_t *phys_page(struct cpu *c, uint64_t gpa, bool *writable)
{
	uint64_t page = PAGE_OF(gpa);
	unsigned slot = (unsigned)(page >> 12) % ARRAY_SIZE(c->phys);
	struct cpu_page p = { NULL, false };

	if (!c->phys[slot].valid || c->phys[slot].gpa != page) {
		if (c->xe.fpu)
			xlat_save_vector(c);
		if (lapic_covers(&c->apic, page) || !c->all->ops->page(c->all->owner, page, &p))
			p.host = NULL;
		c->phys[slot].gpa = page;
		c->phys[slot].host = p.host;
		c->phys[slot].writable = p.host && p.writable;
		c->phys[slot].valid = true;
	}
	if (writable)
		*writable = c->phys[slot].writable;
	return c->phys[slot].host;
}

static uint64_t device_read(struct cpu *c, uint64_t gpa, unsigned size)
{
	uint64_t v;

	if (lapic_covers(&c->apic, gpa))
		return lapic_mmio_read(&c->apic, (uint32_t)gpa & 0xfff, size);
	outside_begin(c);
	v = c->all->ops->mem_read(c->all->owner, gpa, size);
	outside_end(c);
	return v;
}

static void device_write(struct cpu *c, uint64_t gpa, uint64_t v, unsigned size)
{
	if (lapic_covers(&c->apic, gpa)) {
		lapic_mmio_write(&c->apic, (uint32_t)gpa & 0xfff, v, size);
		return;
	}
	outside_begin(c);
	c->all->ops->mem_write(c->all->owner, gpa, v, size);
	outside_end(c);
}

static uint64_t host_read(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1: return *p;
	case 2: return le16(p);
	case 4: return le32(p);
	default: return le64(p);
	}
}

static void host_write(uint8_t *p, uint64_t v, unsigned size)
{
	switch (size) {
	case 1: *p = (uint8_t)v; break;
	case 2: put_le16(p, (uint16_t)v); break;
	case 4: put_le32(p, (uint32_t)v); break;
	default: put_le64(p, v); break;
	}
}

uint64_t phys_read(struct cpu *c, uint64_t gpa, unsigned size)
{
	uint8_t *host;

	gpa &= c->all->a20_mask;
	host = phys_page(c, gpa, NULL);
	return host ? host_read(host + (gpa & 0xfff), size) : device_read(c, gpa, size);
}

void phys_write(struct cpu *c, uint64_t gpa, uint64_t v, unsigned size)
{
	bool writable;
	uint8_t *host;

	gpa &= c->all->a20_mask;
	host = phys_page(c, gpa, &writable);
	if (!host || !writable) {
		device_write(c, gpa, v, size);
		return;
	}
	host_write(host + (gpa & 0xfff), v, size);
	code_stored(c, gpa, size);
}

/* --- the walk --------------------------------------------------------------------------------------------------- */

/* Set bits of a paging-structure entry, as the processor does: locked.  False: the entry is no longer `old`. */
static bool update_entry(struct cpu *c, uint64_t gpa, uint64_t old, uint64_t new, unsigned size)
{
	bool writable;
	uint8_t *host;

	gpa &= c->all->a20_mask;
	host = phys_page(c, gpa, &writable);
	if (!host || !writable) {
		device_write(c, gpa, new, size);
		return true;
	}
	host += gpa & 0xfff;
	if (size == 8) {
		if (!__atomic_compare_exchange_n((uint64_t *)(void *)host, &old, new, false, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			return false;
	} else {
		uint32_t old32 = (uint32_t)old;

		if (!__atomic_compare_exchange_n((uint32_t *)(void *)host, &old32, (uint32_t)new, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return false;
	}
	code_stored(c, gpa, size);
	return true;
}

struct path {                           /* entries gone through, root first */
	uint64_t at[4], entry[4];
	unsigned depth, size;
	bool writable, user, nx;
	bool above_writable, above_user, above_nx;      /* without the last entry's */
};

/* Never 0, and another one for every epoch: an entry is valid if its tag is this. */
static uint64_t dir_tag(const struct cpu *c, uint64_t linear)
{
	return (linear >> 21 & ((1ull << 43) - 1)) | (c->dirs_epoch << 43 | 1ull << 43);
}

static void forget_dirs(struct cpu *c)
{
	unsigned k;

	c->dirs_epoch += 2;             /* the lowest bit is always set in tags */
	for (k = 0; c->dirs_epoch >> 20 && k < ARRAY_SIZE(c->dirs); k++)
		c->dirs[k].tag = 0;
	c->dirs_epoch &= (1 << 20) - 1;
}

/* Walk 64-bit entries; 0: a leaf was found (shift in *shift), otherwise the error code's P and RSVD bits, or -1: not present. */
static int walk64(struct cpu *c, uint64_t linear, struct path *p, unsigned *shift)
{
	uint64_t reserved = ((1ull << 52) - (1ull << c->model->phys_bits));
	uint64_t base;
	int level;

	if (!(c->s.efer & EFER_NXE))
		reserved |= PTE_NX;
	p->size = 8;
	p->writable = p->user = true;
	if (long_mode(c)) {
		unsigned slot = (unsigned)(linear >> 21) % ARRAY_SIZE(c->dirs);

		base = c->s.cr3 & PTE_ADDR;
		level = 3;
		if (c->dirs[slot].tag == dir_tag(c, linear)) {
			base = c->dirs[slot].table;
			p->writable = c->dirs[slot].writable;
			p->user = c->dirs[slot].user;
			p->nx = c->dirs[slot].nx;
			level = 0;
		}
	} else {
		uint64_t pdpte = c->s.pdpte[linear >> 30 & 3];

		if (!(pdpte & PTE_P))
			return -1;
		base = pdpte & PTE_ADDR;
		reserved |= 0x7ff0000000000000ull;
		level = 1;
	}
	for (;; level--) {
		uint64_t at = base + (linear >> (12 + 9 * level) & 511) * 8, e = phys_read(c, at, 8), low = 0;

		if (!(e & PTE_P))
			return -1;
		*shift = 12 + 9 * (unsigned)level;
		if (level && e & PTE_PS)
			low = level == 3 || (level == 2 && !cpu_has(c->model, CPU_PDPE1GB)) ?
			      PTE_PS : (1ull << *shift) - (1 << 13);
		if (e & (reserved | low))
			return ERR_P | ERR_RSVD;
		p->writable &= e >> 1 & 1;
		p->user &= e >> 2 & 1;
		p->nx |= e >> 63;
		p->at[p->depth] = at;
		p->entry[p->depth++] = e;
		if (!level || e & PTE_PS)
			return 0;
		p->above_writable = p->writable;
		p->above_user = p->user;
		p->above_nx = p->nx;
		base = e & PTE_ADDR;
	}
}

static int walk32(struct cpu *c, uint64_t linear, struct path *p, unsigned *shift)
{
	uint64_t at = (c->s.cr3 & 0xfffff000) + (linear >> 22 & 0x3ff) * 4, e = phys_read(c, at, 4);

	p->size = 4;
	if (!(e & PTE_P))
		return -1;
	p->writable = e >> 1 & 1;
	p->user = e >> 2 & 1;
	p->at[0] = at;
	p->entry[0] = e;
	p->depth = 1;
	*shift = 22;
	if (e & PTE_PS && c->s.cr4 & CR4_PSE)           /* PSE-36: bits 20:13 are address bits 39:32; bit 21 is reserved */
		return e & 1 << 21 ? ERR_P | ERR_RSVD : 0;
	at = (e & 0xfffff000) + (linear >> 12 & 0x3ff) * 4;
	e = phys_read(c, at, 4);
	if (!(e & PTE_P))
		return -1;
	p->writable &= e >> 1 & 1;
	p->user &= e >> 2 & 1;
	p->at[1] = at;
	p->entry[1] = e;
	p->depth = 2;
	*shift = 12;
	return 0;
}

static bool permitted(const struct cpu *c, const struct path *p, enum access kind, bool user, bool smap)
{
	if (user && !p->user)
		return false;
	if (kind == ACC_EXEC)
		return !p->nx && (user || !p->user || !(c->s.cr4 & CR4_SMEP));
	if (kind == ACC_WRITE && !p->writable && (user || c->s.cr0 & CR0_WP))
		return false;
	return user || !p->user || !smap;
}

/* Translate; -1 and *w on success, otherwise a page fault's error code. */
static int walk(struct cpu *c, uint64_t linear, enum access kind, bool user, bool smap, struct walk *w)
{
	struct path p;
	unsigned shift, k;
	uint64_t leaf;
	int err;

	if (!(c->s.cr0 & CR0_PG)) {
		*w = (struct walk){ (uint32_t)linear & c->all->a20_mask, true, true, true, true, 12 };
		return -1;
	}
again:
	p = (struct path){ .depth = 0 };
	err = c->s.cr4 & CR4_PAE ? walk64(c, linear, &p, &shift) : walk32(c, linear, &p, &shift);
	if (err || !permitted(c, &p, kind, user, smap)) {
		k = (unsigned)(linear >> 21) % ARRAY_SIZE(c->dirs);
		if (c->s.efer & EFER_LMA && c->dirs[k].tag == dir_tag(c, linear)) {
			c->dirs[k].tag = 0;     /* a fault is only for what is in memory now */
			goto again;
		}
		if (!err)
			err = ERR_P;
		if (err < 0)
			err = 0;
		if (kind == ACC_EXEC && (c->s.cr4 & CR4_SMEP || (c->s.cr4 & CR4_PAE && c->s.efer & EFER_NXE)))
			err |= ERR_I;
		return err | (kind == ACC_WRITE ? ERR_W : 0) | (user ? ERR_U : 0);
	}
	for (k = 0; k < p.depth; k++) {
		uint64_t want = p.entry[k] | PTE_A;

		if (k == p.depth - 1 && kind == ACC_WRITE)
			want |= PTE_D;
		if (want != p.entry[k] && !update_entry(c, p.at[k], p.entry[k], want, p.size))
			goto again;
		p.entry[k] = want;
	}
	if (p.depth == 4) {             /* all accessed bits are set: the walk may begin at the last level next time */
		k = (unsigned)(linear >> 21) % ARRAY_SIZE(c->dirs);
		c->dirs[k].tag = dir_tag(c, linear);
		c->dirs[k].table = p.entry[2] & PTE_ADDR;
		c->dirs[k].writable = p.above_writable;
		c->dirs[k].user = p.above_user;
		c->dirs[k].nx = p.above_nx;
	}
	leaf = p.entry[p.depth - 1];
	w->gpa = leaf & PTE_ADDR;
	if (shift == 22)
		w->gpa = (leaf & 0xffc00000) | (leaf >> 13 & 0xff) << 32;
	w->gpa &= ~((1ull << shift) - 1);
	w->gpa = (w->gpa | (linear & ((1ull << shift) - 1))) & c->all->a20_mask;
	w->writable = p.writable || (!user && !(c->s.cr0 & CR0_WP));
	w->user = p.user;
	w->global = leaf & PTE_G && c->s.cr4 & CR4_PGE;
	w->shift = (uint8_t)shift;
	w->dirty = leaf & PTE_D;
	return -1;
}

bool mmu_debug_translate(struct cpu *c, uint64_t linear, uint64_t *gpa)
{
	struct path p = { .depth = 0 };
	unsigned shift;
	uint64_t leaf;

	if (!(c->s.cr0 & CR0_PG)) {
		*gpa = (uint32_t)linear & c->all->a20_mask;
		return true;
	}
	if (c->s.cr4 & CR4_PAE ? walk64(c, linear, &p, &shift) : walk32(c, linear, &p, &shift))
		return false;
	leaf = p.entry[p.depth - 1];
	*gpa = shift == 22 ? (leaf & 0xffc00000) | (leaf >> 13 & 0xff) << 32 : leaf & PTE_ADDR;
	*gpa = ((*gpa & ~((1ull << shift) - 1)) | (linear & ((1ull << shift) - 1))) & c->all->a20_mask;
	return true;
}

bool mmu_load_pdptes(struct cpu *c, uint64_t cr3)
{
	uint64_t reserved = ~((1ull << c->model->phys_bits) - 1) | 0x1e6, pdpte[4];
	unsigned k;

	for (k = 0; k < 4; k++) {
		pdpte[k] = phys_read(c, (cr3 & 0xffffffe0) + 8 * k, 8);
		if (pdpte[k] & PTE_P && pdpte[k] & reserved)
			return false;
	}
	memcpy(c->s.pdpte, pdpte, sizeof(pdpte));
	return true;
}

/* --- TLBs ------------------------------------------------------------------------------------------------------- */

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

void mmu_init(struct cpu *c)
{
	unsigned t;

	for (t = 0; t < TLB_COUNT; t++)
		clear_all(&c->tlbs[t]);
}

/* A page that is not global enters a slot.  Most flushes are for these, and they are few. */
static void note_local(struct tlb *t, unsigned kind, unsigned slot)
{
	if (t->locals < ARRAY_SIZE(t->local))
		t->local[t->locals] = (uint16_t)(kind << TLB_BITS | slot);
	t->locals++;
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

static void flush_one(struct tlb *t, bool keep_global)
{
	if (keep_global)
		flush_locals(t);
	else
		clear_all(t);
}

void tlb_flush(struct cpu *c, bool keep_global)
{
	unsigned k;

	forget_dirs(c);
	flush_one(&c->tlbs[TLB_KERNEL], keep_global);
	flush_one(&c->tlbs[TLB_USER], keep_global);
	flush_one(&c->tlbs[TLB_SMAP], keep_global);
	for (k = 0; k < ARRAY_SIZE(c->itlb[0]); k++)
		c->itlb[0][k].page = c->itlb[1][k].page = 1;    /* no page address */
	c->leave = true;
	code_map_changed(c, keep_global);
}

static unsigned large_bit(uint64_t linear) { return linear >> 22 & 1023; }
static unsigned huge_bit(uint64_t linear) { return linear >> 30 & 255; }

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
	unsigned slot = (unsigned)(linear >> 12) & (TLB_SIZE - 1), t, k;

	forget_dirs(c);
	for (t = 0; t < TLB_NEVER; t++) {
		clear_slot(&c->tlbs[t], TLB_READ, slot);
		clear_slot(&c->tlbs[t], TLB_WRITE, slot);
		flush_large(&c->tlbs[t], linear);
	}
	for (k = 0; k < ARRAY_SIZE(c->itlb[0]); k++)
		c->itlb[0][k].page = c->itlb[1][k].page = 1;
	if (c->x && !xlat_page_changed(c, linear))
		return;
	c->leave = true;
	code_map_changed(c, false);
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

void mmu_remapped(struct cpu *c)
{
	unsigned k;

	for (k = 0; k < ARRAY_SIZE(c->phys); k++)
		c->phys[k].valid = false;
	tlb_flush(c, false);
}

static unsigned tlb_index(const struct cpu *c)
{
	if (c->s.cpl == 3)
		return TLB_USER;
	return c->s.cr4 & CR4_SMAP && !(c->s.flags & FLAG_AC) ? TLB_SMAP : TLB_KERNEL;
}

static bool alignment_checked(const struct cpu *c)
{
	return c->s.cpl == 3 && c->s.cr0 & CR0_AM && c->s.flags & FLAG_AC;
}

void mmu_select_tlb(struct cpu *c)
{
	unsigned index = tlb_index(c);

	if (alignment_checked(c) || c->watch)
		index = TLB_NEVER;
	c->tlb = &c->tlbs[index];
}

/* Enter a page for loads, or one that may be stored to for stores. */
static struct tlb_entry *fill(struct cpu *c, unsigned index, uint64_t linear, const struct walk *w, uint8_t *host, bool ram, bool write)
{
	struct tlb *t = &c->tlbs[index];
	unsigned slot = (unsigned)(linear >> 12) & (TLB_SIZE - 1);
	struct tlb_entry *e = &t->e[write][slot];

	if (!w->global && (e->host == NULL || t->page[write][slot].gpa & TLB_GLOBAL))
		note_local(t, write, slot);
	e->host = host;
	e->tag = write && !code_may_write_tag(c, w->gpa) ? tlb_never(slot) : PAGE_OF(linear);
	t->page[write][slot] = (struct tlb_page){
		PAGE_OF(linear), PAGE_OF(w->gpa) | (w->global ? TLB_GLOBAL : 0) | (w->shift > 12 ? TLB_LARGE : 0) | (ram ? TLB_RAM : 0),
	};
	if (w->shift > 22)
		t->huge[huge_bit(linear) / 64] |= 1ull << huge_bit(linear) % 64;
	else if (w->shift > 12)
		t->large[large_bit(linear) / 64] |= 1ull << large_bit(linear) % 64;
	if (write && e->tag == PAGE_OF(linear))
		note_tagged(c, index, slot, w->gpa);
	return e;
}

/*
 * Where a data access goes that stays within one page: host address, NULL for a device (and for a store to ROM); the
 * guest-physical address in *gpa.  Faults if it is not permitted.
 */
static uint8_t *translate(struct cpu *c, uint64_t linear, enum access kind, uint64_t *gpa)
{
	unsigned index = tlb_index(c), slot = (unsigned)(linear >> 12) & (TLB_SIZE - 1);
	bool write = kind == ACC_WRITE, ram;
	const struct tlb_page *page = &c->tlbs[index].page[write][slot];
	struct walk w;
	uint8_t *host;
	int err;

	if (page->linear == PAGE_OF(linear)) {
		*gpa = PAGE_OF(page->gpa) | (linear & 0xfff);
		return c->tlbs[index].e[write][slot].host + (linear & 0xfff);
	}
	err = walk(c, linear, kind, index == TLB_USER, index == TLB_SMAP, &w);
	if (err >= 0)
		fault_page(c, linear, (uint32_t)err);
	*gpa = w.gpa;
	host = phys_page(c, w.gpa, &ram);
	if (!host || (write && !ram))
		return NULL;
	if (c->s.cr0 & CR0_PG || linear <= UINT32_MAX)
		fill(c, index, linear, &w, host, ram, write);
	return host + (linear & 0xfff);
}

bool tlb_fill(struct cpu *c, uint64_t linear, bool write)
{
	unsigned index = tlb_index(c);
	struct tlb_entry *e;
	struct walk w;
	uint8_t *host;
	bool ram;

	c->xe.fill_error = -1;
	if (long_mode(c) && !canonical(linear))         /* the walk does not see the upper bits */
		return false;
	c->xe.fill_error = walk(c, linear, write ? ACC_WRITE : ACC_READ, index == TLB_USER, index == TLB_SMAP, &w);
	if (c->xe.fill_error >= 0)
		return false;
	host = phys_page(c, w.gpa, &ram);
	if (!host || (write && !ram) || !(c->s.cr0 & CR0_PG || linear <= UINT32_MAX))
		return false;
	e = fill(c, index, linear, &w, host, ram, write);
	return e->tag == PAGE_OF(linear);
}

/* Data breakpoints and alignment, for accesses that come here because of TLB_NEVER. */
static void look_at(struct cpu *c, uint64_t linear, unsigned size, enum access kind, bool natural)
{
	if (c->tlb != &c->tlbs[TLB_NEVER])
		return;
	if (natural && alignment_checked(c) && linear & (size - 1))
		fault(c, VEC_AC, 0);
	if (c->watch)
		debug_watch(c, linear, size, kind == ACC_WRITE);
}

static uint64_t ld_slow(struct cpu *c, uint64_t linear, unsigned size)
{
	unsigned first = 4096 - (unsigned)(linear & 0xfff);
	uint64_t gpa, gpa2, v = 0;
	uint8_t *host, *host2;
	unsigned k;

	look_at(c, linear, size, ACC_READ, true);
	host = translate(c, linear, ACC_READ, &gpa);
	if (first >= size)
		return host ? host_read(host, size) : device_read(c, gpa, size);
	host2 = translate(c, (linear + first) & c->linear_mask, ACC_READ, &gpa2);
	host = translate(c, linear, ACC_READ, &gpa);
	for (k = 0; k < size; k++) {
		bool second = k >= first;
		uint8_t *h = second ? host2 : host;
		unsigned at = second ? k - first : k;

		v |= (uint64_t)(h ? h[at] : (uint8_t)device_read(c, (second ? gpa2 : gpa) + at, 1)) << (8 * k);
	}
	return v;
}

static void st_slow(struct cpu *c, uint64_t linear, uint64_t v, unsigned size)
{
	unsigned first = 4096 - (unsigned)(linear & 0xfff);
	uint64_t gpa, gpa2;
	uint8_t *host, *host2;
	unsigned k;

	look_at(c, linear, size, ACC_WRITE, true);
	if (first >= size) {
		host = translate(c, linear, ACC_WRITE, &gpa);
		if (host) {
			host_write(host, v, size);
			code_stored(c, gpa, size);
		} else {
			device_write(c, gpa, v, size);
		}
		return;
	}
	translate(c, linear, ACC_WRITE, &gpa);
	host2 = translate(c, (linear + first) & c->linear_mask, ACC_WRITE, &gpa2);
	host = translate(c, linear, ACC_WRITE, &gpa);
	for (k = 0; k < size; k++, v >>= 8) {
		bool second = k >= first;
		uint8_t *h = second ? host2 : host;
		unsigned at = second ? k - first : k;

		if (h)
			h[at] = (uint8_t)v;
		else
			device_write(c, (second ? gpa2 : gpa) + at, (uint8_t)v, 1);
	}
	if (host)
		code_stored(c, gpa, first);
	if (host2)
		code_stored(c, gpa2, size - first);
}

/* --- access by the running privilege ---------------------------------------------------------------------------- */

#define LD(name, type, size) \
type name(struct cpu *c, uint64_t linear) \
{ \
	const struct tlb_entry *e = &c->tlb->e[TLB_READ][linear >> 12 & (TLB_SIZE - 1)]; \
	uint64_t offset = linear - e->tag; \
	type v; \
\
	if (__builtin_expect(offset > 4096 - (size), 0)) \
		return (type)ld_slow(c, linear, (size)); \
	memcpy(&v, e->host + offset, sizeof(v)); \
	return v; \
}
#define ST(name, type, size) \
void name(struct cpu *c, uint64_t linear, type v) \
{ \
	const struct tlb_entry *e = &c->tlb->e[TLB_WRITE][linear >> 12 & (TLB_SIZE - 1)]; \
	uint64_t offset = linear - e->tag; \
\
	if (__builtin_expect(offset > 4096 - (size), 0)) \
		st_slow(c, linear, v, (size)); \
	else \
		memcpy(e->host + offset, &v, sizeof(v)); \
}
LD(ld8, uint8_t, 1)
LD(ld16, uint16_t, 2)
LD(ld32, uint32_t, 4)
LD(ld64, uint64_t, 8)
ST(st8, uint8_t, 1)
ST(st16, uint16_t, 2)
ST(st32, uint32_t, 4)
ST(st64, uint64_t, 8)

uint8_t *ld_host(struct cpu *c, uint64_t linear, unsigned len)
{
	const struct tlb_entry *e = &c->tlb->e[TLB_READ][linear >> 12 & (TLB_SIZE - 1)];
	uint64_t offset = linear - e->tag, gpa;

	if (offset <= 4096 - (uint64_t)len)
		return e->host + offset;
	if ((linear & 0xfff) + len > 4096)
		return NULL;
	look_at(c, linear, len, ACC_READ, false);
	return translate(c, linear, ACC_READ, &gpa);
}

uint8_t *st_host(struct cpu *c, uint64_t linear, unsigned len)
{
	const struct tlb_entry *e = &c->tlb->e[TLB_WRITE][linear >> 12 & (TLB_SIZE - 1)];
	uint64_t offset = linear - e->tag, gpa;
	uint8_t *host;

	if (offset <= 4096 - (uint64_t)len)
		return e->host + offset;
	if ((linear & 0xfff) + len > 4096)
		return NULL;
	look_at(c, linear, len, ACC_WRITE, false);
	host = translate(c, linear, ACC_WRITE, &gpa);
	return host && code_page_is_clean(c, gpa) ? host : NULL;
}

/* The part of [linear, linear+len) in its first page. */
static unsigned first_part(uint64_t linear, unsigned len)
{
	unsigned room = 4096 - (unsigned)(linear & 0xfff);

	return MIN(room, len);
}

static void check(struct cpu *c, uint64_t linear, unsigned len, enum access kind)
{
	unsigned first = first_part(linear, len);
	uint64_t gpa;

	translate(c, linear, kind, &gpa);
	if (first < len)
		translate(c, (linear + first) & c->linear_mask, kind, &gpa);
}

void probe_read(struct cpu *c, uint64_t linear, unsigned len)
{
	check(c, linear, len, ACC_READ);
}

void probe_write(struct cpu *c, uint64_t linear, unsigned len)
{
	check(c, linear, len, ACC_WRITE);
}

void ld_bytes(struct cpu *c, uint64_t linear, void *buf, unsigned len)
{
	uint8_t *to = buf, *host;
	uint64_t gpa;
	unsigned n, k;

	look_at(c, linear, len, ACC_READ, false);
	check(c, linear, len, ACC_READ);
	for (; len; len -= n, to += n, linear = (linear + n) & c->linear_mask) {
		n = first_part(linear, len);
		host = translate(c, linear, ACC_READ, &gpa);
		if (host)
			memcpy(to, host, n);
		else
			for (k = 0; k < n; k++)
				to[k] = (uint8_t)device_read(c, gpa + k, 1);
	}
}

void st_bytes(struct cpu *c, uint64_t linear, const void *buf, unsigned len)
{
	const uint8_t *from = buf;
	uint8_t *host;
	uint64_t gpa;
	unsigned n, k;

	look_at(c, linear, len, ACC_WRITE, false);
	check(c, linear, len, ACC_WRITE);
	for (; len; len -= n, from += n, linear = (linear + n) & c->linear_mask) {
		n = first_part(linear, len);
		host = translate(c, linear, ACC_WRITE, &gpa);
		if (host) {
			memcpy(host, from, n);
			code_stored(c, gpa, n);
			continue;
		}
		for (k = 0; k + 8 <= n && !((gpa + k) & 7); k += 8)
			device_write(c, gpa + k, le64(from + k), 8);
		for (; k < n; k++)
			device_write(c, gpa + k, from[k], 1);
	}
}

/* --- implicit supervisor accesses ------------------------------------------------------------------------------- */

/* Descriptor tables and task state: as supervisor whatever the CPL, SMAP whatever AC is at CPL 3. */
static uint8_t *translate_system(struct cpu *c, uint64_t linear, enum access kind, uint64_t *gpa)
{
	bool smap = c->s.cr4 & CR4_SMAP && (c->s.cpl == 3 || !(c->s.flags & FLAG_AC)), ram;
	unsigned index = smap ? TLB_SMAP : TLB_KERNEL;
	unsigned slot = (unsigned)(linear >> 12) & (TLB_SIZE - 1);
	const struct tlb_page *page = &c->tlbs[index].page[kind == ACC_WRITE][slot];
	struct walk w;
	uint8_t *host;
	int err;

	if (page->linear == PAGE_OF(linear)) {
		*gpa = PAGE_OF(page->gpa) | (linear & 0xfff);
		return c->tlbs[index].e[kind == ACC_WRITE][slot].host + (linear & 0xfff);
	}
	err = walk(c, linear, kind, false, smap, &w);
	if (err >= 0)
		fault_page(c, linear, (uint32_t)err);
	*gpa = w.gpa;
	host = phys_page(c, w.gpa, &ram);
	if (!host || (kind == ACC_WRITE && !ram))
		return NULL;
	return host + (linear & 0xfff);
}

uint64_t ld_system(struct cpu *c, uint64_t linear, unsigned size)
{
	uint64_t v = 0, gpa;
	uint8_t *host;
	unsigned k;

	linear &= c->linear_mask;
	if ((linear & 0xfff) + size <= 4096) {
		host = translate_system(c, linear, ACC_READ, &gpa);
		return host ? host_read(host, size) : device_read(c, gpa, size);
	}
	for (k = 0; k < size; k++)
		v |= ld_system(c, linear + k, 1) << (8 * k);
	return v;
}

void st_system(struct cpu *c, uint64_t linear, uint64_t v, unsigned size)
{
	uint64_t gpa;
	uint8_t *host;
	unsigned k;

	linear &= c->linear_mask;
	host = translate_system(c, linear, ACC_WRITE, &gpa);
	if ((linear & 0xfff) + size <= 4096) {
		if (host) {
			host_write(host, v, size);
			code_stored(c, gpa, size);
		} else {
			device_write(c, gpa, v, size);
		}
		return;
	}
	translate_system(c, (linear + size - 1) & c->linear_mask, ACC_WRITE, &gpa);
	for (k = 0; k < size; k++)
		st_system(c, linear + k, v >> (8 * k) & 0xff, 1);
}

/* --- code ------------------------------------------------------------------------------------------------------- */

void fetch_page(struct cpu *c, uint64_t linear, uint64_t *gpa, uint8_t **host)
{
	bool user = c->s.cpl == 3;
	unsigned slot = (unsigned)(linear >> 12) % ARRAY_SIZE(c->itlb[0]);
	struct walk w;
	int err;

	if (c->itlb[user][slot].page != PAGE_OF(linear)) {
		err = walk(c, linear, ACC_EXEC, user, false, &w);
		if (err >= 0)
			fault_page(c, linear, (uint32_t)err);
		c->itlb[user][slot].page = PAGE_OF(linear);
		c->itlb[user][slot].gpa = PAGE_OF(w.gpa);
		c->itlb[user][slot].host = phys_page(c, w.gpa, NULL);
		if (c->x)
			xlat_fetched(c, linear, PAGE_OF(w.gpa), w.global, w.shift > 12);
	}
	*gpa = c->itlb[user][slot].gpa;
	*host = c->itlb[user][slot].host;
}

bool code_is_at(struct cpu *c, uint64_t linear, bool user, uint64_t gpa)
{
	struct walk w;

	return walk(c, linear, ACC_EXEC, user, false, &w) < 0 && PAGE_OF(w.gpa) == gpa;
}

uint8_t fetch_byte_slow(struct cpu *c, uint64_t gpa)
{
	return (uint8_t)device_read(c, gpa, 1);
}
