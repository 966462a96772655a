/* SPDX-License-Identifier: MIT */
/* Interrupt flag, HLT, CPUID, time stamps, random numbers, hypercalls, cache control. */
#include <cpuid.h>

#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

static void op_cli(struct cpu *c, const struct insn *i)
{
	(void)i;
	if (c->s.cr0 & CR0_PE && iopl(c) < c->s.cpl) {
		/* VME and PVI: at CPL 3 the program has a flag of its own. */
		if (c->s.cpl == 3 && c->s.cr4 & (c->s.flags & FLAG_VM ? CR4_VME : CR4_PVI)) {
			c->s.flags &= ~(uint32_t)FLAG_VIF;
			return;
		}
		fault_gp(c, 0);
	}
	c->s.flags &= ~(uint32_t)FLAG_IF;
}

static void op_sti(struct cpu *c, const struct insn *i)
{
	(void)i;
	if (c->s.cr0 & CR0_PE && iopl(c) < c->s.cpl) {
		if (c->s.cpl == 3 && c->s.cr4 & (c->s.flags & FLAG_VM ? CR4_VME : CR4_PVI) && !(c->s.flags & FLAG_VIP)) {
			c->s.flags |= FLAG_VIF;
			return;
		}
		fault_gp(c, 0);
	}
	if (c->s.flags & FLAG_IF)
		return;
	c->s.flags |= FLAG_IF;
	c->s.shadow = 1;
	c->leave = true;
}

static void op_hlt(struct cpu *c, const struct insn *i)
{
	(void)i;
	need_cpl0(c);
	c->s.run = RUN_HALTED;
	atomic_store(&c->attention, 1);
	c->leave = true;
}

static void op_cpuid(struct cpu *c, const struct insn *i)
{
	struct cpuid_state state = {
		.apic_id = c->index,
		.apic_on = atomic_load(&c->apic.base) >> 11 & 1,
		.osxsave = c->s.cr4 & CR4_OSXSAVE,
		.xcr0 = c->s.xcr0,
	};
	uint32_t out[4];

	(void)i;
	cpuid_leaf(c->model, &state, (uint32_t)c->s.gpr[RAX], (uint32_t)c->s.gpr[RCX], out);
	c->s.gpr[RAX] = out[0];
	c->s.gpr[RBX] = out[1];
	c->s.gpr[RCX] = out[2];
	c->s.gpr[RDX] = out[3];
}

static void read_tsc(struct cpu *c)
{
	uint64_t v;

	if (c->s.cr4 & CR4_TSD && c->s.cpl)
		fault_gp(c, 0);
	v = cpu_tsc(c);
	c->s.gpr[RAX] = (uint32_t)v;
	c->s.gpr[RDX] = v >> 32;
}

static void op_rdtsc(struct cpu *c, const struct insn *i)
{
	(void)i;
	read_tsc(c);
}

static void op_rdtscp(struct cpu *c, const struct insn *i)
{
	(void)i;
	read_tsc(c);
	c->s.gpr[RCX] = (uint32_t)c->s.msr.tsc_aux;
}

static void op_rdpid(struct cpu *c, const struct insn *i)
{
	c->s.gpr[i->o[0].reg] = c->s.msr.tsc_aux;
}

/* There are no performance counters. */
static void op_rdpmc(struct cpu *c, const struct insn *i)
{
	(void)i;
	fault_gp(c, 0);
}

/* Asked for once: CPUID is slow where the host is a virtual machine. */
static bool host_has_rdrand(void)
{
	static signed char known;
	unsigned a, b, c, d;

	if (!known)
		known = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_RDRND) ? 1 : -1;
	return known > 0;
}

/* Counted time gets counted numbers (splitmix64); otherwise the host's generator is mixed in. */
static uint64_t random_number(struct cpu *c)
{
	unsigned long long host = 0;
	uint64_t z;

	c->s.rng += 0x9e3779b97f4a7c15ull;
	z = c->s.rng;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	if (!c->all->config.icount && host_has_rdrand()) {
		unsigned char ok;

		__asm__ volatile("rdrand %0; setc %1" : "=r"(host), "=qm"(ok) : : "cc");
		if (ok)
			z ^= host;
	}
	return z;
}

static void op_rdrand(struct cpu *c, const struct insn *i)
{
	set_reg(c, &i->o[0], random_number(c));
	set_arith_flags(c, FLAG_CF);
}

/* KVM's hypercall ABI: the number in rAX, the result there too. */
static void op_vmcall(struct cpu *c, const struct insn *i)
{
	enum { KVM_ENOSYS = 1000, KVM_EPERM = 1 };

	(void)i;
	if (!cpu_has(c->model, CPU_HYPERVISOR) || real_or_v86(c))
		fault_ud(c);
	c->s.gpr[RAX] = (uint64_t)(int64_t)(c->s.cpl ? -KVM_EPERM : -KVM_ENOSYS);
	if (!code64(c))
		c->s.gpr[RAX] = (uint32_t)c->s.gpr[RAX];
}

static void op_wbinvd(struct cpu *c, const struct insn *i)
{
	(void)i;
	need_cpl0(c);
}

static void op_clflush(struct cpu *c, const struct insn *i)
{
	probe_read(c, mem_address(c, i, 1, false), 1);
}

static void op_fence(struct cpu *c, const struct insn *i)
{
	(void)c;
	(void)i;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* No extension and no hint is known (CPUID.05H:ECX is 0): ECX must be 0. */
static void begin_wait(struct cpu *c)
{
	if (c->s.cpl)
		fault_ud(c);
	if ((uint32_t)c->s.gpr[RCX])
		fault_gp(c, 0);
}

static void op_monitor(struct cpu *c, const struct insn *i)
{
	uint64_t at = c->s.gpr[RAX];

	begin_wait(c);
	at = i->addrsize == 8 ? at : i->addrsize == 4 ? (uint32_t)at : (uint16_t)at;
	probe_read(c, linear_address(c, SEG_DS, at, 1, false), 1);
}

/* A wake-up for no reason is allowed at any time, so it may return at once; it would rather not spin. */
static void op_mwait(struct cpu *c, const struct insn *i)
{
	(void)i;
	begin_wait(c);
}

static void op_rsm(struct cpu *c, const struct insn *i)
{
	(void)i;
	fault_ud(c);
}

const op_handler misc_ops[OP_COUNT] = {
	[OP_CLI] = op_cli, [OP_STI] = op_sti, [OP_HLT] = op_hlt, [OP_CPUID] = op_cpuid, [OP_RDTSC] = op_rdtsc,
	[OP_RDTSCP] = op_rdtscp, [OP_RDPID] = op_rdpid, [OP_RDPMC] = op_rdpmc, [OP_RDRAND] = op_rdrand,
	[OP_RDSEED] = op_rdrand, [OP_VMCALL] = op_vmcall, [OP_VMMCALL] = op_vmcall, [OP_WBINVD] = op_wbinvd,
	[OP_INVD] = op_wbinvd, [OP_CLFLUSH] = op_clflush, [OP_CLFLUSHOPT] = op_clflush, [OP_CLWB] = op_clflush,
	[OP_LFENCE] = op_fence, [OP_MFENCE] = op_fence, [OP_SFENCE] = op_fence, [OP_MONITOR] = op_monitor,
	[OP_MWAIT] = op_mwait, [OP_RSM] = op_rsm,
};
