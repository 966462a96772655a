/* SPDX-License-Identifier: MIT */
/* Descriptors and segment registers (SDM volume 3, chapters 3 and 5), the stack, and transfers that build on them. */
#ifndef CPU_SEG_H
#define CPU_SEG_H

#include "cpu/state.h"

enum {                                  /* types of system descriptors */
	SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK_GATE = 5, SYS_INT16 = 6, SYS_TRAP16 = 7,
	SYS_TSS32 = 9, SYS_TSS32_BUSY = 11, SYS_CALL32 = 12, SYS_INT32 = 14, SYS_TRAP32 = 15,
};

/* A descriptor as fetched; `at` is its linear address. */
struct desc {
	uint64_t raw, at;
	uint64_t high;                  /* second half of 16-byte descriptors, see desc_read16 */
};
static inline unsigned desc_type(const struct desc *d) { return d->raw >> 40 & 0xf; }
static inline bool desc_is_system(const struct desc *d) { return !(d->raw >> 44 & 1); }
static inline bool desc_is_code(const struct desc *d) { return (d->raw >> 43 & 3) == 3; }
static inline bool desc_is_conforming(const struct desc *d) { return (d->raw >> 42 & 7) == 7; }
static inline unsigned desc_dpl(const struct desc *d) { return d->raw >> 45 & 3; }
static inline bool desc_present(const struct desc *d) { return d->raw >> 47 & 1; }
static inline bool desc_long(const struct desc *d) { return d->raw >> 53 & 1; }
static inline bool desc_big(const struct desc *d) { return d->raw >> 54 & 1; }
static inline uint32_t desc_base(const struct desc *d)
{
	return (uint32_t)(d->raw >> 16 & 0xffffff) | (uint32_t)(d->raw >> 56) << 24;
}
uint32_t desc_limit(const struct desc *d);      /* in bytes */

static inline bool selector_null(uint16_t s) { return !(s & ~3); }

/* The descriptor of a selector; false: outside its table. */
bool desc_read(struct cpu *c, uint16_t selector, struct desc *d);
/* System descriptors: 16 bytes in long mode; d->high is the second half, 0 otherwise. */
bool desc_read_system(struct cpu *c, uint16_t selector, struct desc *d);
void desc_set_accessed(struct cpu *c, struct desc *d);
void segment_set(struct segment *s, uint16_t selector, const struct desc *d);

/* MOV, POP, LDS...: all modes, all checks. */
void segment_load(struct cpu *c, unsigned seg, uint16_t selector);
/* As a real-mode or V86 load does; no checks. */
void segment_load_real(struct cpu *c, unsigned seg, uint16_t selector);
/* A data segment that outer code may not keep after a return to cpl: make it null (SDM: RET, IRET). */
void segments_drop_inner(struct cpu *c, unsigned cpl);
/* Put a code segment in CS, and CPL with it; d was checked. */
void segment_load_cs(struct cpu *c, uint16_t selector, struct desc *d, unsigned cpl);
void segment_load_ldt(struct cpu *c, uint16_t selector);
void segment_load_tr(struct cpu *c, uint16_t selector);
/* Base and limit of TR or LDTR from a system descriptor. */
void segment_set_system(struct segment *s, uint16_t selector, const struct desc *d);

/* SS:SP of inner ring from the TSS (not long mode). */
void tss_stack(struct cpu *c, unsigned ring, uint16_t *ss, uint32_t *esp);
/* RSP n (0..2) or IST n (as 3+n) from the 64-bit TSS. */
uint64_t tss_stack64(struct cpu *c, unsigned n);
/* Whether the I/O bitmap of the TSS allows the ports; may fault. */
bool tss_io_allowed(struct cpu *c, uint16_t port, unsigned size);

enum task_reason { TASK_JMP, TASK_CALL, TASK_IRET, TASK_GATE };
/* Hardware task switch to the TSS that selector names (task.c); next_rip is saved as the old task's EIP. */
void task_switch(struct cpu *c, uint16_t selector, enum task_reason reason, uint64_t next_rip, bool push_code, uint32_t code);

/* --- the stack -------------------------------------------------------------------------------------------------- */
static inline uint64_t stack_mask(const struct cpu *c)
{
	return code64(c) ? UINT64_MAX : c->s.seg[SEG_SS].attr & SEG_DB ? 0xffffffff : 0xffff;
}
void set_sp(struct cpu *c, uint64_t sp);        /* as wide as the stack is */
void push(struct cpu *c, uint64_t v, unsigned size);
/* The value `skip` bytes above the top of the stack; SP stays. */
uint64_t stack_peek(struct cpu *c, unsigned skip, unsigned size);
static inline void add_sp(struct cpu *c, uint64_t n) { set_sp(c, c->s.gpr[RSP] + n); }

static inline bool canonical(uint64_t a) { return (uint64_t)((int64_t)(a << 16) >> 16) == a; }

/* --- fault.c ---------------------------------------------------------------------------------------------------- */
enum event_kind { EVENT_EXCEPTION, EVENT_EXTERNAL, EVENT_INT_N, EVENT_INT3 /* and INTO */, EVENT_INT1, EVENT_NMI };
/* Enter the handler of a vector; the pushed RIP is s.rip.  May fault. */
void deliver(struct cpu *c, unsigned vector, enum event_kind kind, uint32_t code);
/* What the run loop does when fault() came back to it: deliver, with #DF and shutdown as they come. */
void exception(struct cpu *c);
/* INT n, INT3, INTO, INT1 of the running instruction; RIP after it is pushed. */
void software_interrupt(struct cpu *c, const struct insn *i, unsigned vector, enum event_kind kind);

/* The stack segment and pointer of an inner ring from the TSS, with all checks; ext: bit 0 of error codes. */
void inner_stack(struct cpu *c, unsigned ring, unsigned ext, struct segment *ss, uint32_t *esp);
/* The running instruction branches away in the middle of what may fault: s.rip is what counts from now on. */
void cpu_leave_block(struct cpu *c, unsigned done);

/* EFLAGS bits that POPF, IRET and the like may change, and to what. */
void set_flags(struct cpu *c, uint32_t value, uint32_t mask);

/* --- sys.c ------------------------------------------------------------------------------------------------------ */
void set_cr0(struct cpu *c, uint64_t v);
void set_cr3(struct cpu *c, uint64_t v);
void set_cr4(struct cpu *c, uint64_t v);
/* DR7 changed or was loaded. */
void debug_changed(struct cpu *c);
/* A data access under breakpoints. */
void debug_watch(struct cpu *c, uint64_t linear, unsigned size, bool write);
void debug_watch_io(struct cpu *c, uint16_t port, unsigned size);
/* Whether DR7 enables an instruction breakpoint. */
bool debug_fetch_armed(const struct cpu *c);
/* DR6 bits of instruction breakpoints at a linear address. */
uint32_t debug_fetch(const struct cpu *c, uint64_t linear);
/* Guest TSC now. */
uint64_t cpu_tsc(struct cpu *c);

#endif
