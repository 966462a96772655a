/* SPDX-License-Identifier: MIT */
/* CPU models: which features a guest sees, and what CPUID answers. */
#ifndef CPU_MODEL_H
#define CPU_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct insn;

/* By Linux's and QEMU's names, lower case; see the table in cpuid.c for leaf, register and bit. */
enum cpu_feature {
	CPU_FEATURE_NONE = 0,
#define FEATURE(name, ...) CPU_##name,
#include "cpu/features.h"
#undef FEATURE
	CPU_FEATURES
};

struct cpu_model {
	const char *name;
	uint8_t has[CPU_FEATURES];      /* 1: the guest has it */
	bool intel;                     /* vendor GenuineIntel, else AuthenticAMD: as the host */
	char vendor[13];
	uint32_t signature;             /* leaf 1 eax: family, model, stepping; EDX at reset */
	unsigned count;                 /* processors */
	uint64_t tsc_hz;
	unsigned phys_bits, virt_bits;
	uint64_t xcr0;                  /* bits that XSETBV may set */
};

/* name NULL: the default.  false with err: unknown model or feature, or one that this host cannot give. */
bool cpu_model_init(struct cpu_model *m, const char *name, const char *features, unsigned count, uint64_t tsc_hz,
		    struct err *err);
void cpu_model_print(void (*out)(void *to, const char *line), void *to);

static inline bool cpu_has(const struct cpu_model *m, enum cpu_feature f) { return m->has[f]; }

/* What the answers depend on besides the model. */
struct cpuid_state {
	uint32_t apic_id;
	bool apic_on;                   /* IA32_APIC_BASE bit 11 */
	bool osxsave;                   /* CR4.OSXSAVE */
	uint64_t xcr0;                  /* for the size of the save area */
};
/* out: eax ebx ecx edx */
void cpuid_leaf(const struct cpu_model *m, const struct cpuid_state *s, uint32_t leaf, uint32_t subleaf,
		uint32_t out[4]);
uint64_t cpuid_arch_capabilities(const struct cpu_model *m);    /* IA32_ARCH_CAPABILITIES, if CPU_ARCH_CAPABILITIES */

/*
 * Make i what m executes: OP_INVALID if it needs a feature that m lacks; TZCNT and LZCNT become BSF and BSR, prefetches
 * NOP. Engines call it once, after insn_decode().
 */
void cpuid_gate(const struct cpu_model *m, struct insn *i);

#endif
