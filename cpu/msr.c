/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers: those that Linux, SeaBIOS, GRUB and iPXE touch (SDM volume 4; AMD PPR for C001_xxxx; the KVM
 * guest ABI for 11H, 12H and 4B56_4Dxx).  What is not here is #GP(0), as on a processor that lacks it, and logged.
 */
#include "cpu/interp/interp.h"

#include "base/log.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

enum {
	MSR_TSC = 0x10, MSR_PLATFORM_ID = 0x17, MSR_SMI_COUNT = 0x34, MSR_FEATURE_CONTROL = 0x3a, MSR_TSC_ADJUST = 0x3b,
	MSR_SPEC_CTRL = 0x48, MSR_PRED_CMD = 0x49, MSR_UCODE_WRITE = 0x79, MSR_UCODE_REV = 0x8b, MSR_PLATFORM_INFO = 0xce,
	MSR_MTRRCAP = 0xfe, MSR_ARCH_CAPABILITIES = 0x10a, MSR_FLUSH_CMD = 0x10b, MSR_MISC_FEATURES = 0x140,
	MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176, MSR_MCG_CAP = 0x179, MSR_MCG_STATUS = 0x17a,
	MSR_MCG_CTL = 0x17b, MSR_MISC_ENABLE = 0x1a0, MSR_DEBUGCTL = 0x1d9, MSR_MTRR_VAR = 0x200, MSR_PAT = 0x277,
	MSR_MTRR_DEF = 0x2ff, MSR_MC0 = 0x400, MSR_XSS = 0xda0,
	MSR_KVM_WALL_OLD = 0x11, MSR_KVM_TIME_OLD = 0x12, MSR_KVM_WALL = 0x4b564d00, MSR_KVM_TIME = 0x4b564d01,
};
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_FMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u
#define MSR_AMD_PERF 0xc0010000u        /* ..7 */
#define MSR_AMD_SYSCFG 0xc0010010u
#define MSR_AMD_HWCR 0xc0010015u
#define MSR_AMD_TOP_MEM 0xc001001au
#define MSR_AMD_TOP_MEM2 0xc001001du
#define MSR_AMD_NB_CFG 0xc001001fu
#define MSR_AMD_INT_PENDING 0xc0010055u
#define MSR_AMD_MMIO_CFG 0xc0010058u
#define MSR_AMD_VM_CR 0xc0010114u
#define MSR_AMD_LS_CFG 0xc0011020u
#define MSR_AMD_DE_CFG 0xc0011029u

enum { BANKS = 10, MCG_CTL_P = 1 << 8, MTRRS = 8 };

/* --- the paravirtual clock -------------------------------------------------------------------------------------- */

/*
 * struct pvclock_vcpu_time_info: time is system_time + ((tsc - tsc_timestamp) << shift) * mul >> 32.  The guest's TSC is an
 * exact linear function of our clock, so one write serves until the guest moves its TSC.
 */
static void write_system_time(struct cpu *c)
{
	uint64_t at = c->s.msr.kvm_system_time & ~1ull, hz = c->model->tsc_hz;
	uint64_t now = c->all->ops->now(c->all->owner);
	uint64_t tsc = (uint64_t)((unsigned __int128)now * hz / 1000000000) + (uint64_t)c->s.tsc_offset;
	int8_t shift = 0;
	uint32_t version;

	if (!(c->s.msr.kvm_system_time & 1))
		return;
	while (hz > 2000000000) {
		hz >>= 1;
		shift--;
	}
	while (hz <= 1000000000) {
		hz <<= 1;
		shift++;
	}
	version = ((uint32_t)phys_read(c, at, 4) | 1) + 2;      /* odd: being changed */
	phys_write(c, at, version, 4);
	phys_write(c, at + 4, 0, 4);
	phys_write(c, at + 8, tsc, 8);
	phys_write(c, at + 16, now, 8);
	phys_write(c, at + 24, (uint32_t)(((unsigned __int128)1000000000 << 32) / hz), 4);
	phys_write(c, at + 28, (uint8_t)shift | (cpu_has(c->model, CPU_KVMCLOCK_STABLE) ? 1u << 8 : 0), 4);
	phys_write(c, at, version + 1, 4);
}

/* struct pvclock_wall_clock: what the time was when system_time was 0. */
static void write_wall_clock(struct cpu *c)
{
	uint64_t at = c->s.msr.kvm_wall_clock, ns = c->all->ops->wall ? c->all->ops->wall(c->all->owner) : 0;

	phys_write(c, at, 1, 4);
	phys_write(c, at + 4, ns / 1000000000, 4);
	phys_write(c, at + 8, ns % 1000000000, 4);
	phys_write(c, at, 2, 4);
}

static void move_tsc(struct cpu *c, int64_t by)
{
	c->s.tsc_offset += by;
	c->s.tsc_adjust += (uint64_t)by;
	lapic_tsc_offset(&c->apic, c->s.tsc_offset);
	write_system_time(c);
}

/* --- EFER ------------------------------------------------------------------------------------------------------- */

static bool set_efer(struct cpu *c, uint64_t v)
{
	uint64_t allowed = (cpu_has(c->model, CPU_SYSCALL) ? EFER_SCE : 0) |
			   (cpu_has(c->model, CPU_LM) ? EFER_LME | EFER_LMA : 0) | (cpu_has(c->model, CPU_NX) ? EFER_NXE : 0);
	uint64_t old = c->s.efer;

	if (v & ~allowed)
		return false;
	if ((v ^ old) & EFER_LME && c->s.cr0 & CR0_PG)
		return false;
	c->s.efer = (v & ~(uint64_t)EFER_LMA) | (old & EFER_LMA);
	if ((v ^ old) & EFER_NXE)
		tlb_flush(c, false);
	return true;
}

/* --- reading and writing ---------------------------------------------------------------------------------------- */

/* Registers that hold what was written. */
static uint64_t *plain(struct cpu *c, uint32_t msr)
{
	struct msr_state *m = &c->s.msr;

	if (msr >= MSR_MTRR_VAR && msr < MSR_MTRR_VAR + 2 * MTRRS)
		return &m->mtrr_var[msr - MSR_MTRR_VAR];
	if (msr >= MSR_MC0 && msr < MSR_MC0 + 4 * BANKS)
		return &m->mc[(msr - MSR_MC0) / 4][(msr - MSR_MC0) % 4];
	switch (msr) {
	case 0x250: return &m->mtrr_fix[0];
	case 0x258: case 0x259: return &m->mtrr_fix[1 + msr - 0x258];
	case 0x268: case 0x269: case 0x26a: case 0x26b: case 0x26c: case 0x26d: case 0x26e: case 0x26f:
		return &m->mtrr_fix[3 + msr - 0x268];
	case MSR_MTRR_DEF: return &m->mtrr_def;
	case MSR_SYSENTER_CS: return &m->sysenter_cs;
	case MSR_MCG_STATUS: return &m->mcg_status;
	case MSR_MCG_CTL: return &m->mcg_ctl;
	case MSR_MISC_ENABLE: return &m->misc_enable;
	case MSR_DEBUGCTL: return &m->debugctl;
	case MSR_STAR: return &m->star;
	case MSR_TSC_AUX: return cpu_has(c->model, CPU_RDTSCP) || cpu_has(c->model, CPU_RDPID) ? &m->tsc_aux : NULL;
	case MSR_SPEC_CTRL:
		return cpu_has(c->model, CPU_SPEC_CTRL) ? &m->spec_ctrl : NULL;
	case MSR_AMD_SYSCFG: return c->model->intel ? NULL : &m->amd_syscfg;
	case MSR_AMD_HWCR: return c->model->intel ? NULL : &m->amd_hwcr;
	case MSR_AMD_DE_CFG: return c->model->intel ? NULL : &m->amd_decfg;
	case MSR_AMD_LS_CFG: return c->model->intel ? NULL : &m->amd_lscfg;
	case MSR_UCODE_REV: return &m->ucode_rev;
	default: return NULL;
	}
}

/* Those that must hold canonical addresses. */
static uint64_t *address(struct cpu *c, uint32_t msr)
{
	switch (msr) {
	case MSR_LSTAR: return &c->s.msr.lstar;
	case MSR_CSTAR: return &c->s.msr.cstar;
	case MSR_KERNEL_GS: return &c->s.msr.kernel_gs_base;
	case MSR_FS_BASE: return &c->s.seg[SEG_FS].base;
	case MSR_GS_BASE: return &c->s.seg[SEG_GS].base;
	case MSR_SYSENTER_ESP: return &c->s.msr.sysenter_esp;
	case MSR_SYSENTER_EIP: return &c->s.msr.sysenter_eip;
	default: return NULL;
	}
}

/* Those that read as zero and ignore writes. */
static bool inert(const struct cpu *c, uint32_t msr)
{
	if (!c->model->intel)
		return (msr >= MSR_AMD_PERF && msr < MSR_AMD_PERF + 8) || msr == MSR_AMD_TOP_MEM || msr == MSR_AMD_TOP_MEM2 ||
		       msr == MSR_AMD_INT_PENDING || msr == MSR_AMD_NB_CFG || msr == MSR_AMD_MMIO_CFG || msr == MSR_AMD_VM_CR;
	return msr == MSR_SMI_COUNT || msr == MSR_MISC_FEATURES || msr == MSR_PLATFORM_ID;
}

static bool has_kvm_clock(const struct cpu *c)
{
	return cpu_has(c->model, CPU_KVMCLOCK);
}

static bool read_msr(struct cpu *c, uint32_t msr, uint64_t *v)
{
	const uint64_t *p;

	if (lapic_owns_msr(msr))
		return lapic_msr_read(&c->apic, msr, v);
	p = plain(c, msr);
	if (!p)
		p = address(c, msr);
	if (p) {
		*v = *p;
		return true;
	}
	*v = 0;
	switch (msr) {
	case MSR_TSC: *v = cpu_tsc(c); return true;
	case MSR_TSC_ADJUST: *v = c->s.tsc_adjust; return cpu_has(c->model, CPU_TSC_ADJUST);
	case MSR_EFER: *v = c->s.efer; return true;
	case MSR_FMASK: *v = c->s.msr.fmask; return true;
	case MSR_PAT: *v = c->s.msr.pat; return true;
	case MSR_MTRRCAP: *v = MTRRS | 1 << 8 | 1 << 10; return cpu_has(c->model, CPU_MTRR);
	case MSR_MCG_CAP: *v = BANKS | MCG_CTL_P; return true;
	case MSR_FEATURE_CONTROL: *v = c->s.msr.feature_control; return c->model->intel;
	case MSR_PLATFORM_INFO: return c->model->intel;
	case MSR_ARCH_CAPABILITIES:
		*v = cpuid_arch_capabilities(c->model);
		return cpu_has(c->model, CPU_ARCH_CAPABILITIES);
	case MSR_XSS: *v = c->s.msr.xss; return cpu_has(c->model, CPU_XSAVES);
	case MSR_KVM_TIME: case MSR_KVM_TIME_OLD: *v = c->s.msr.kvm_system_time; return has_kvm_clock(c);
	case MSR_KVM_WALL: case MSR_KVM_WALL_OLD: *v = c->s.msr.kvm_wall_clock; return has_kvm_clock(c);
	default: return inert(c, msr);
	}
}

static bool valid_pat(uint64_t v)
{
	unsigned k;

	for (k = 0; k < 64; k += 8)
		if ((v >> k & 0xff) > 7 || (v >> k & 0xff) == 2 || (v >> k & 0xff) == 3)
			return false;
	return true;
}

static bool write_msr(struct cpu *c, uint32_t msr, uint64_t v)
{
	uint64_t *p;

	if (lapic_owns_msr(msr)) {
		if (!lapic_msr_write(&c->apic, msr, v))
			return false;
		if (msr == 0x1b)
			mmu_remapped(c);
		return true;
	}
	p = address(c, msr);
	if (p) {
		if (!canonical(v))
			return false;
		*p = v;
		cpu_mode_changed(c);
		return true;
	}
	if (msr == MSR_UCODE_REV || msr == MSR_UCODE_WRITE || msr == MSR_FLUSH_CMD)
		return true;                    /* the write starts or clears something that is not there */
	if (msr >= MSR_MC0 && msr < MSR_MC0 + 4 * BANKS && msr % 4 != 0 && v)
		return false;                   /* status, address and misc can only be cleared */
	p = plain(c, msr);
	if (p) {
		*p = v;
		return true;
	}
	switch (msr) {
	case MSR_TSC: move_tsc(c, (int64_t)(v - cpu_tsc(c))); return true;
	case MSR_TSC_ADJUST:
		if (!cpu_has(c->model, CPU_TSC_ADJUST))
			return false;
		move_tsc(c, (int64_t)(v - c->s.tsc_adjust));
		return true;
	case MSR_EFER: return set_efer(c, v);
	case MSR_FMASK: c->s.msr.fmask = (uint32_t)v; return true;
	case MSR_PAT:
		if (!valid_pat(v))
			return false;
		c->s.msr.pat = v;
		return true;
	case MSR_PRED_CMD: return !(v & ~1ull);
	case MSR_FEATURE_CONTROL: return c->model->intel && !(c->s.msr.feature_control & 1);
	case MSR_XSS: return cpu_has(c->model, CPU_XSAVES) && !v;
	case MSR_KVM_TIME: case MSR_KVM_TIME_OLD:
		c->s.msr.kvm_system_time = v;
		write_system_time(c);
		return has_kvm_clock(c);
	case MSR_KVM_WALL: case MSR_KVM_WALL_OLD:
		if (!has_kvm_clock(c))
			return false;
		c->s.msr.kvm_wall_clock = v;
		write_wall_clock(c);
		return true;
	default: return inert(c, msr);
	}
}

void op_rdmsr(struct cpu *c, const struct insn *i)
{
	uint32_t msr = (uint32_t)c->s.gpr[RCX];
	uint64_t v;

	(void)i;
	need_cpl0(c);
	if (!read_msr(c, msr, &v)) {
		log_unimp("cpu", "rdmsr %#x at %llx", msr, (unsigned long long)cpu_rip(c));
		fault_gp(c, 0);
	}
	c->s.gpr[RAX] = (uint32_t)v;
	c->s.gpr[RDX] = v >> 32;
}

void op_wrmsr(struct cpu *c, const struct insn *i)
{
	uint32_t msr = (uint32_t)c->s.gpr[RCX];
	uint64_t v = (uint32_t)c->s.gpr[RAX] | c->s.gpr[RDX] << 32;

	(void)i;
	need_cpl0(c);
	if (!write_msr(c, msr, v)) {
		log_unimp("cpu", "wrmsr %#x %#llx at %llx", msr, (unsigned long long)v, (unsigned long long)cpu_rip(c));
		fault_gp(c, 0);
	}
}
