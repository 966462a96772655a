/* SPDX-License-Identifier: MIT */
/*
 * Everything a processor is.  Internal to cpu/.
 *
 * The first part is plain data (reset restores it, a snapshot carries it): registers as the architecture names them.
 * Floating-point and vector state has the layout of the XSAVE area (SDM volume 1, 13.4), which is what the host's own
 * FXRSTOR/XRSTOR load.
 */
#ifndef CPU_STATE_H
#define CPU_STATE_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"
#include "cpu/lapic.h"
#include "cpu/model.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

enum {
	FLAG_CF = 1 << 0, FLAG_PF = 1 << 2, FLAG_AF = 1 << 4, FLAG_ZF = 1 << 6, FLAG_SF = 1 << 7, FLAG_TF = 1 << 8,
	FLAG_IF = 1 << 9, FLAG_DF = 1 << 10, FLAG_OF = 1 << 11, FLAG_IOPL = 3 << 12, FLAG_NT = 1 << 14, FLAG_RF = 1 << 16,
	FLAG_VM = 1 << 17, FLAG_AC = 1 << 18, FLAG_VIF = 1 << 19, FLAG_VIP = 1 << 20, FLAG_ID = 1 << 21,
	FLAGS_ARITH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
};

enum {
	VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6, VEC_NM = 7, VEC_DF = 8, VEC_TS = 10,
	VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_MF = 16, VEC_AC = 17, VEC_MC = 18, VEC_XM = 19,
};

enum {
	CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_ET = 16, CR0_NE = 32, CR0_WP = 1 << 16, CR0_AM = 1 << 18,
	CR0_NW = 1 << 29, CR0_CD = 1 << 30,
	CR4_VME = 1 << 0, CR4_PVI = 1 << 1, CR4_TSD = 1 << 2, CR4_DE = 1 << 3, CR4_PSE = 1 << 4, CR4_PAE = 1 << 5, CR4_MCE = 1 << 6,
	CR4_PGE = 1 << 7, CR4_PCE = 1 << 8, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_UMIP = 1 << 11,
	CR4_LA57 = 1 << 12, CR4_FSGSBASE = 1 << 16, CR4_PCIDE = 1 << 17, CR4_OSXSAVE = 1 << 18, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21,
	EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11,
};
#define CR0_PG (1u << 31)

struct fpu_area {                       /* XSAVE standard format: legacy region, header, AVX at 576 */
	uint16_t fcw, fsw;
	uint8_t ftw, reserved0;         /* abridged tags: bit n set: physical register n is not empty */
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];              /* st[n] is ST(n), relative to TOP: 80 bits, then 6 bytes of padding */
	uint8_t xmm[16][16];
	uint8_t reserved1[96];
	uint64_t xstate_bv, xcomp_bv, reserved2[6];
	uint8_t ymm_hi[16][16];         /* bits 255:128 */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct fpu_area) == 832, "XSAVE layout");


struct segment {
	uint16_t selector;
	uint16_t attr;                  /* descriptor bits 40..55, limit bits cleared: enum below */
	uint32_t limit;                 /* bytes, after granularity; offset of the last byte */
	uint64_t base;
};
enum {
	SEG_TYPE = 0xf, SEG_ACCESSED = 1, SEG_RW = 2 /* data: writable; code: readable */, SEG_DOWN = 4 /* data: expands down */,
	SEG_CONFORMING = 4 /* code */, SEG_CODE = 8, SEG_S = 1 << 4 /* code or data */, SEG_DPL = 3 << 5, SEG_P = 1 << 7,
	SEG_AVL = 1 << 12, SEG_L = 1 << 13, SEG_DB = 1 << 14, SEG_G = 1 << 15,
};
static inline unsigned segment_dpl(const struct segment *s) { return s->attr >> 5 & 3; }

/* What the block cache must know of the mode beside the address; see cpu_mode_changed(). */
enum {
	KEY_16 = 0, KEY_32 = 1, KEY_64 = 2, KEY_CODE = 3,       /* size of code */
	KEY_STACK32 = 1 << 2,           /* SS.B */
	KEY_FLAT = 1 << 3,              /* CS, SS, DS, ES need neither base nor check (always so in 64-bit mode) */
	KEY_USER = 1 << 4,              /* CPL 3 */
	KEY_FS = 1 << 5, KEY_GS = 1 << 6, /* these too need only their base added */
	KEY_REAL = 1 << 7,              /* real or virtual-8086 mode: some instructions are not there */
	KEY_SMAP = 1 << 8,              /* supervisor, and user pages are refused */
	KEY_INNER = 1 << 9,             /* CPL 1 or 2 */
	KEY_FLAT_CS = 1 << 10, KEY_FLAT_SS = 1 << 11, KEY_FLAT_DS = 1 << 12, KEY_FLAT_ES = 1 << 13,     /* the parts of KEY_FLAT */
	KEY_DOWN = 1 << 14,             /* a segment that expands down: bounds[].first counts */
	KEY_BITS = 15,
	KEY_PLAIN = 1 << 15,            /* of a translated block: accesses do not share checks */
	KEY_XLAT = 1 << 16,             /* of a block: it is the translator's */
	KEY_CS = 18,                    /* of a translated block whose CS is not flat: from this bit on, which CS it is */
};

/*
 * What an access in a segment that is not flat is checked against: its offset is `first` or more, and the offset of its last
 * byte (not cut to 32 bits) no more than last[], signed: -1 where no access is allowed.
 */
struct bounds {
	uint64_t base, first;
	int64_t last[2];                /* loads, stores */
};

/*
 * What an access looks at: one direct-mapped table for loads, one for stores (so that a copy does not fight with itself).
 * `tag` is the page's linear address, or tlb_never() of the slot if the access must take the slow path: not mapped, not
 * permitted, not RAM; for stores also: not yet dirty, or code was decoded from it.
 */
struct tlb_entry {
	uint64_t tag;
	uint8_t *host;
};
/* What a slot holds, for the slow path; linear is set although the tag may be withheld. */
struct tlb_page {
	uint64_t linear;
	uint64_t gpa;                   /* of the page; low bits: TLB_GLOBAL, TLB_LARGE, TLB_RAM */
};
enum { TLB_BITS = 12, TLB_SIZE = 1 << TLB_BITS, TLB_GLOBAL = 1, TLB_LARGE = 2, TLB_RAM = 4 };
enum { TLB_READ, TLB_WRITE };
enum { TLB_KERNEL, TLB_USER, TLB_SMAP /* kernel, user pages refused */, TLB_NEVER /* every access is slow */, TLB_COUNT };
struct tlb {
	struct tlb_entry e[2][TLB_SIZE];        /* TLB_READ, TLB_WRITE */
	struct tlb_page page[2][TLB_SIZE];
	uint16_t local[1024];           /* slots filled with pages that are not global since the last flush, TLB_SIZE added for */
	unsigned locals;                /* stores: a ring, with the latest */
	uint64_t large[16], huge[4];    /* filters: bits by address / 4 MB and / 1 GB, where parts of larger pages were filled in */
};
/* A tag that no address which selects this slot can match: its page number selects another slot. */
static inline uint64_t tlb_never(unsigned slot)
{
	return 1ull << 63 | (uint64_t)(slot ^ TLB_SIZE / 2) << 12;
}

/* An address space that a PCID names: what is remembered of it, and while it does not run also what of it was in the TLBs (tlb.c). */
enum { TLB_SPACES = 8, TLB_KEPT = 256 };
struct tlb_space {
	uint16_t pcid;
	uint8_t number;                 /* from 1 */
	bool used;
	uint64_t left;                  /* when it was left, in switches */
	uint64_t dirs_epoch;            /* of those of cpu.dirs that are its */
	uint32_t low_generation;        /* of xlat.low, the first low_seen pages of which are where this space has them */
	unsigned low_seen;
	unsigned kept;
	struct tlb_kept { uint64_t linear, gpa; uint8_t *host; } page[TLB_KEPT];
};

enum {                                  /* bits of cpu.events, see cpu_event() */
	EV_KICK = 1 << 0,               /* cpu_kick: cpu_run returns */
	EV_WORK = 1 << 1,               /* other processors or DMA left work: flushes, code to drop */
	EV_APIC = 1 << 2,               /* lapic_pending() may have changed, or its timer be due */
};

enum run_state { RUN_RUNNING, RUN_HALTED, RUN_WAIT_SIPI, RUN_SHUTDOWN };

struct block;
struct uop;
struct generic;
struct code_cache;
struct xlat;

/* The MSRs that are only stored; those with an effect of their own are fields of struct cpu_state. */
struct msr_state {
	uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, mtrr_def, mtrr_var[16], mtrr_fix[11];
	uint64_t mcg_status, mcg_ctl, mc[10][4];
	uint64_t misc_enable, spec_ctrl, debugctl, feature_control, ucode_rev, tsc_deadline_seen, xss;
	uint64_t amd_hwcr, amd_syscfg, amd_decfg, amd_lscfg;
	uint64_t kvm_system_time, kvm_wall_clock;
};

/* Plain data: what reset restores and a snapshot carries. */
struct cpu_state {
	/*
	 * rax..r15, then constants that make an effective address one formula: [16] is 0 (no base, no index), [17] is the
	 * RIP of the running block's first instruction.
	 */
	uint64_t gpr[18];
	uint64_t rip;                   /* of the next instruction; inside a block see cpu_rip() */
	/*
	 * Arithmetic flags, each held as what it can be computed from: ZF is cc_z == 0; SF is bit 63 of cc_s and PF the
	 * parity of its low byte; cc_c has CF in bit 63, CF ^ OF in bit 62 (that is: the carries out of the two top bits)
	 * and AF in bit 3.
	 */
	uint64_t cc_z, cc_s, cc_c;
	uint32_t flags;                 /* the other flags: TF IF DF IOPL NT RF VM AC VIF VIP ID; bit 1 is 1 */
	uint8_t cpl;
	bool nmi_blocked;
	uint8_t shadow;                 /* interrupts are held off for one instruction: after STI (1), MOV/POP SS (2) */
	uint8_t run;                    /* enum run_state */
	struct segment seg[6], ldtr, tr;
	struct { uint64_t base; uint16_t limit; } gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
	uint64_t dr[8];
	uint64_t pdpte[4];              /* PAE: loaded with CR3 */
	int64_t tsc_offset;             /* guest TSC = scaled clock + offset */
	uint64_t tsc_adjust;
	struct msr_state msr;
	uint64_t rng;                   /* RDRAND under icount */
	struct fpu_area fpu;
};

/* What translated code reaches by itself (cpu/xlat). */
struct xlat_env {
	struct cpu *self;
	uint64_t enter_at;              /* host address */
	uint64_t exit_rip, tmp, fill_at;
	uint32_t exit_kind, exit_arg;
	uint32_t branch;                /* the last indirect branch, as an exit_arg */
	uint32_t image;                 /* arithmetic flags as LAHF and SETO AL leave them in AX */
	uint32_t mxcsr;                 /* the host's default */
	uint64_t window[8];             /* host addresses of what a block touches more than once */
	uint32_t cs;                    /* number of the code segment that is loaded, if it is not flat: xlat_segment() */
	uint8_t fpu;                    /* vector state is on the host's units: 0 no, 1 x87 and SSE, 2 AVX too */
	int32_t fill_error;             /* the last TLB fill that failed: error code of its page fault, -1: it was none */
	uint32_t load_fpu;              /* it goes there with the next entry */
	atomic_int thread;              /* that runs this processor, as the kernel numbers it */
};
enum { IND_SEGMENTED = 6 /* code whose CS is not flat */, IND_TABLES };

struct cpus {
	struct cpus_config config;
	const struct cpu_ops *ops;
	void *owner;
	struct cpu_model model;
	struct lapic_bus apic_bus;
	atomic_flag code_lock;          /* of the next three tables' removals */
	struct cpu *cpu[8];
	unsigned count;
	uint64_t a20_mask;              /* of physical addresses */
	atomic_flag lock_prefix;        /* held by locked accesses that no host instruction can do */
	/*
	 * Per page of RAM (index: page number, modulo CODE_PAGES), a bit per processor: it has decoded code from the page; it
	 * may have a write tag for it; and, of all processors together, which 64-byte granules hold code.
	 */
	_Atomic uint8_t *code_by, *write_tag_by;
	_Atomic uint64_t *code_granules;
};
enum { CODE_PAGES = 1 << 24 };

enum { JUMPS = 2048 };
struct jump {                           /* from linear RIP to block */
	uint64_t linear;
	struct block *block;
	uint32_t tag;                   /* cpu.jump_tag when it was entered */
};

struct cpu_work {                       /* code to drop, posted by others */
	atomic_flag lock;
	atomic_uint done;               /* ticket of the last work done */
	uint32_t posted;
	unsigned count;
	bool all_code, all_tlb, moved;  /* moved: code whose memory is elsewhere now */
	struct { uint64_t gpa; uint32_t len; bool untag; } item[32];
};

struct cpu {
	/* Hot, and not state: derived from it by cpu_mode_changed(). */
	struct tlb *tlb;                /* of the current privilege */
	uint64_t addr_mask;             /* of linear addresses in flat code: 32 or 64 bits */
	uint64_t flat_base[8];          /* by SEG_*: bases that flat code adds; ES CS SS DS are 0 */
	uint64_t linear_mask;           /* of linear addresses in this mode of paging */
	struct bounds bounds[6];        /* by SEG_*: of those that the key does not call flat */
	uint32_t key;                   /* KEY_* of the current mode */
	uint32_t jump_tag, jump_generation;
	atomic_uint attention;          /* the run loop must look at events */
	int64_t left;                   /* instructions until the budget is used up, the running block's not counted in */
	struct block *block;            /* running */
	const struct uop *cur;          /* running generic instruction; NULL outside a block */
	bool irq_waits;                 /* the APIC has something that IF or a shadow held off when it was last looked at */
	bool kicked;
	int64_t storm_left;             /* what `left` was at the last exception, */
	unsigned storm;                 /* and how many there were since an instruction was retired */
	unsigned rep_room;              /* elements or runs until a REP lets the run loop look */
	bool holds_lock;                /* cpus.lock_prefix */
	bool watch;                     /* data breakpoints are on */
	bool step;                      /* one instruction at a time: TF, instruction breakpoints, a shadow */
	bool leave;                     /* leave the block after this instruction: mode or code changed */

	struct xlat_env xe;
	struct cpu_state s;

	uint64_t retired;               /* when the budget began, plus it: instructions = retired - left */
	atomic_uint events;
	atomic_bool in_guest;           /* touching guest memory through cached pages */
	atomic_bool away;               /* not in cpu_run: there is nobody to interrupt */
	jmp_buf on_fault;
	uint8_t fault_vector;
	uint32_t fault_code;
	int16_t delivering;             /* the exception being delivered, -1 none: what faults now may double */
	bool db_is_fault;               /* the #DB is an instruction breakpoint */
	uint32_t debug_hit;             /* DR6 bits for a trap after this instruction */
	struct cpus *all;
	struct lapic apic;
	const struct cpu_model *model;
	struct jump jumps[JUMPS];
	struct code_cache *code;
	struct xlat *x;                 /* NULL: the interpreter is the engine */
	struct cpu_work work;
	unsigned index;
	bool no_fast;                   /* tests: every instruction through its generic handler */
	struct { uint64_t gpa; uint8_t *host; bool writable, valid; } phys[512];  /* answers of ops->page for table walks */
	/* Where the page table for 2 MB of long mode's addresses lies, and what the levels above permit; see dir_tag(). */
	struct { uint64_t tag, table; bool writable, user, nx; } dirs[512];
	uint64_t dirs_epoch;            /* the next that no space has yet */
	struct tlb_space *space;        /* the one that runs */
	uint64_t spaces_left;           /* switches so far */
	struct tlb_space spaces[TLB_SPACES];
	struct tlb tlbs[TLB_COUNT];
	struct { uint16_t slot; uint8_t tlb, count; } tagged[4096];      /* by physical page: the slot with its write tag; count 2: several */
	struct { uint64_t page, gpa; uint8_t *host; } itlb[2][256];     /* page: plus the number of its space */
	uint64_t itlb_large[4];         /* filter by GB: where there are parts of large pages */
	void *indirect[IND_TABLES][65536];      /* by the low bits of RIP: where translated code for it may be; last: not cleared when made */
};

/* --- cpu.c ------------------------------------------------------------------------------------------------------ */
/* Something happened that the run loop must look at.  Any thread. */
void cpu_event(struct cpu *c, unsigned events);
/* CR0, CR4, EFER, RFLAGS.VM/AC, CPL, CS, SS, DS or ES changed: derive key, tlb and bases anew. */
void cpu_mode_changed(struct cpu *c);
/* IF or a shadow changed so that what waits may be taken. */
void cpu_interrupts_enabled(struct cpu *c);
/* RIP of the running instruction (of the next one, outside blocks). */
uint64_t cpu_rip(const struct cpu *c);

static inline bool long_mode(const struct cpu *c) { return c->s.efer & EFER_LMA; }
static inline bool code64(const struct cpu *c) { return (c->key & KEY_CODE) == KEY_64; }
static inline bool protected_mode(const struct cpu *c) { return c->s.cr0 & CR0_PE && !(c->s.flags & FLAG_VM); }
static inline bool real_or_v86(const struct cpu *c) { return !protected_mode(c); }
static inline unsigned iopl(const struct cpu *c) { return c->s.flags >> 12 & 3; }

/* --- flags ------------------------------------------------------------------------------------------------------ */
static inline bool get_cf(const struct cpu *c) { return c->s.cc_c >> 63; }
static inline bool get_zf(const struct cpu *c) { return c->s.cc_z == 0; }
static inline bool get_sf(const struct cpu *c) { return c->s.cc_s >> 63; }
static inline bool get_of(const struct cpu *c) { return (c->s.cc_c ^ c->s.cc_c << 1) >> 63; }
static inline bool get_af(const struct cpu *c) { return c->s.cc_c >> 3 & 1; }
static inline bool get_pf(const struct cpu *c) { return !__builtin_parity((uint8_t)c->s.cc_s); }
static inline uint64_t carries(bool cf, bool of, bool af)
{
	return (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62 | (uint64_t)af << 3;
}
/* The six arithmetic flags as EFLAGS bits. */
static inline uint32_t get_arith_flags(const struct cpu *c)
{
	return (get_cf(c) ? FLAG_CF : 0) | (get_pf(c) ? FLAG_PF : 0) | (get_af(c) ? FLAG_AF : 0) | (get_zf(c) ? FLAG_ZF : 0) |
	       (get_sf(c) ? FLAG_SF : 0) | (get_of(c) ? FLAG_OF : 0);
}
static inline void set_arith_flags(struct cpu *c, uint32_t f)
{
	c->s.cc_z = !(f & FLAG_ZF);
	c->s.cc_s = (uint64_t)!!(f & FLAG_SF) << 63 | !(f & FLAG_PF);
	c->s.cc_c = carries(f & FLAG_CF, f & FLAG_OF, f & FLAG_AF);
}
static inline uint32_t get_flags(const struct cpu *c) { return c->s.flags | get_arith_flags(c); }

/* --- fault.c ---------------------------------------------------------------------------------------------------- */
/*
 * Leave the running instruction by an exception.  Nothing that the instruction changed is undone: check and probe first.
 * code is ignored for vectors that push none.
 */
_Noreturn void fault(struct cpu *c, unsigned vector, uint32_t code);
_Noreturn void fault_page(struct cpu *c, uint64_t linear, uint32_t code);
static inline _Noreturn void fault_ud(struct cpu *c) { fault(c, VEC_UD, 0); }
static inline _Noreturn void fault_gp(struct cpu *c, uint32_t code) { fault(c, VEC_GP, code); }

#endif
