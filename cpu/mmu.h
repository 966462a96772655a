/* SPDX-License-Identifier: MIT */
/* Address translation inside cpu/: page walks, TLBs, and physical memory as one processor reaches it. */
#ifndef CPU_MMU_H
#define CPU_MMU_H

#include "cpu/state.h"

/* The page of code at a linear address, with execute permission checked (may fault).  *host is NULL for memory that is not RAM. */
void fetch_page(struct cpu *c, uint64_t linear, uint64_t *gpa, uint8_t **host);
/* Whether a fetch from linear with CPL 3, or as supervisor, would come from that page. */
bool code_is_at(struct cpu *c, uint64_t linear, bool user, uint64_t gpa);
/* One byte of code from memory that is not RAM. */
uint8_t fetch_byte_slow(struct cpu *c, uint64_t gpa);

/* Empty TLBs of a new processor. */
void mmu_init(struct cpu *c);
/* Forget translations: all (keep_global: of the current address space, but for global pages), or of one linear page in it. */
void tlb_flush(struct cpu *c, bool keep_global);
void tlb_flush_page(struct cpu *c, uint64_t linear);
/* Of all address spaces but for global pages; of the one with this PCID; of a linear page in that. */
void tlb_flush_spaces(struct cpu *c);
void tlb_flush_pcid(struct cpu *c, unsigned pcid);
void tlb_flush_pcid_page(struct cpu *c, unsigned pcid, uint64_t linear);
/* CR3 was loaded.  keep: what is still known of the PCID that it names holds. */
void tlb_switch(struct cpu *c, bool keep);
/* Forget where code was fetched from. */
void mmu_forget_fetches(struct cpu *c);
/*
 * Enter the page of a data access by the running privilege: true: its tag for that access is there now.  Otherwise it faults
 * (nothing is raised) or is not for a TLB.  Uses no vector registers.
 */
bool tlb_fill(struct cpu *c, uint64_t linear, bool write);
/* Take the write tags off the page at gpa, which now holds code. */
void tlb_untag(struct cpu *c, uint64_t gpa);
/* The machine's memory map changed. */
void mmu_remapped(struct cpu *c);
/* Point c->tlb at the TLB of the current privilege. */
void mmu_select_tlb(struct cpu *c);

/* PAE: read the four PDPTEs at cr3; false: a reserved bit is set, nothing was changed. */
bool mmu_load_pdptes(struct cpu *c, uint64_t cr3);

/* Physical memory, A20 applied, RAM or device. */
uint64_t phys_read(struct cpu *c, uint64_t gpa, unsigned size);
void phys_write(struct cpu *c, uint64_t gpa, uint64_t v, unsigned size);
/* Translate for a debugger: no faults, no A/D, no permission; false if not mapped. */
bool mmu_debug_translate(struct cpu *c, uint64_t linear, uint64_t *gpa);
/* Host address of a RAM page, NULL if it is none. */
uint8_t *phys_page(struct cpu *c, uint64_t gpa, bool *writable);

/* Leaving guest memory for a while (device access, waiting); others need not wait for us meanwhile. */
void outside_begin(struct cpu *c);
void outside_end(struct cpu *c);

#endif
