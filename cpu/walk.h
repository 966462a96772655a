/* SPDX-License-Identifier: MIT */
/* Between the parts of address translation: mmu.c (accesses), walk.c (page tables), tlb.c (what is remembered of them). */
#ifndef CPU_WALK_H
#define CPU_WALK_H

#include "cpu/mmu.h"

#define PAGE_OF(a) ((a) & ~0xfffull)

enum access { ACC_READ, ACC_WRITE, ACC_EXEC };

struct walk {                           /* what a walk found */
	uint64_t gpa;
	bool writable, user, global, dirty;
	uint8_t shift;                  /* size of the page: 12, 21, 22, 30 */
};

/* Translate; -1 and *w on success, otherwise a page fault's error code.  Sets accessed and dirty bits. */
int mmu_walk(struct cpu *c, uint64_t linear, enum access kind, bool user, bool smap, struct walk *w);
/* Forget where page tables lie: of the current address space, or of all. */
void walk_forget(struct cpu *c);
void walk_forget_all(struct cpu *c);
/* Code was fetched from a page of 2 MB or more. */
void mmu_fetched_large(struct cpu *c, uint64_t linear);
/* For a device's physical address, as the bus has it. */
void phys_write_device(struct cpu *c, uint64_t gpa, uint64_t v, unsigned size);

/* Enter a page for loads, or one that may be stored to for stores. */
struct tlb_entry *tlb_enter(struct cpu *c, unsigned index, uint64_t linear, const struct walk *w, uint8_t *host, bool ram,
			    bool write);

#endif
