/* SPDX-License-Identifier: MIT */
/*
 * The page walk, as in the SDM, volume 3, chapter 4: none, 32-bit, PAE and 4-level paging.  Where the last level's tables
 * of long mode lie is remembered (c->dirs, the processor's paging-structure caches, 4.10.3), for each address space by an
 * epoch of its own.
 */
#include "cpu/walk.h"

#include "cpu/code.h"
#include "cpu/interp/interp.h"

enum {
	PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 1 << 5, PTE_D = 1 << 6, PTE_PS = 1 << 7, PTE_G = 1 << 8,
	ERR_P = 1, ERR_W = 2, ERR_U = 4, ERR_RSVD = 8, ERR_I = 16,
};
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

/* Set bits of a paging-structure entry, as the processor does: locked.  False: the entry is no longer `old`. */
static bool update_entry(struct cpu *c, uint64_t gpa, uint64_t old, uint64_t new, unsigned size)
{
	bool writable;
	uint8_t *host;

	gpa &= c->all->a20_mask;
	host = phys_page(c, gpa, &writable);
	if (!host || !writable) {
		phys_write_device(c, gpa, new, size);
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
	return (linear >> 21 & ((1ull << 43) - 1)) | (c->space->dirs_epoch << 43 | 1ull << 43);
}

void walk_forget_all(struct cpu *c)
{
	unsigned k;

	for (k = 0; k < ARRAY_SIZE(c->dirs); k++)
		c->dirs[k].tag = 0;
	for (k = 0; k < TLB_SPACES; k++)
		c->spaces[k].dirs_epoch = 2 * k;        /* the lowest bit is always set in tags */
	c->dirs_epoch = 2 * TLB_SPACES;
}

void walk_forget(struct cpu *c)
{
	if (c->dirs_epoch >> 20) {
		walk_forget_all(c);
		return;
	}
	c->space->dirs_epoch = c->dirs_epoch;
	c->dirs_epoch += 2;
}

/*
 * Walk 64-bit entries; 0: a leaf was found (shift in *shift), otherwise the error code's P and RSVD bits, or -1: not
 * present.
 */
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

int mmu_walk(struct cpu *c, uint64_t linear, enum access kind, bool user, bool smap, struct walk *w)
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
