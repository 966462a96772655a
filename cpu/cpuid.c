/* SPDX-License-Identifier: MIT */
/*
 * CPU models and the CPUID instruction (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; the KVM and timing
 * leaves as the Linux kernel documents them in virt/kvm/x86/cpuid).
 *
 * A model is a set of capabilities, not a product.  The vendor is the host's unless the user names one, so that what
 * the vendors do differently (undefined flags, RCPPS, SYSCALL in 32-bit code) is what the host's own instructions give.
 *  Features whose instructions run on the host's units are offered only where the host has them.  Left out on purpose:
 *  AVX-512, AMX,
 * CET, protection keys, TSX, MPX, SGX, virtualisation, performance counters, thermal and power management.
 */
#include "cpu/model.h"

#include <cpuid.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "cpu/decode_table.h"

enum { EAX, EBX, ECX, EDX };

struct feature_bit {
	const char *name;
	uint32_t leaf;
	uint8_t subleaf, reg, bit;
};

static const struct feature_bit features[CPU_FEATURES] = {
#define FEATURE(name, leaf, subleaf, reg, bit) [CPU_##name] = { #name, leaf, subleaf, reg, bit },
#include "cpu/features.h"
#undef FEATURE
};

/* Other names that users know features by. */
static const struct {
	const char *name;
	uint8_t feature;
} aliases[] = {
	{ "pni", CPU_SSE3 }, { "lzcnt", CPU_ABM }, { "3dnowprefetch", CPU_PREFETCHW },
	{ "tsc_deadline_timer", CPU_TSC_DEADLINE },
	{ "sha", CPU_SHA_NI }, { "nonstop_tsc", CPU_INVTSC }, { "clfsh", CPU_CLFLUSH }, { "ibrs", CPU_SPEC_CTRL },
	{ "kvmclock_stable_bit", CPU_KVMCLOCK_STABLE },
};

/* What every model has: the x86-64 baseline and the platform that comes with the machine. */
static const uint8_t baseline[] = {
	CPU_FPU, CPU_VME, CPU_DE, CPU_PSE, CPU_TSC, CPU_MSR, CPU_PAE, CPU_MCE, CPU_CX8, CPU_APIC, CPU_SEP, CPU_MTRR,
	CPU_PGE, CPU_MCA,
	CPU_CMOV, CPU_PAT, CPU_PSE36, CPU_CLFLUSH, CPU_MMX, CPU_FXSR, CPU_SSE, CPU_SSE2, CPU_SYSCALL, CPU_NX, CPU_LM,
	CPU_X2APIC, CPU_TSC_DEADLINE, CPU_ARAT, CPU_INVTSC, CPU_HYPERVISOR, CPU_KVMCLOCK, CPU_KVMCLOCK_STABLE,
	CPU_KVM_NOPIODELAY,
	CPU_SPEC_CTRL, CPU_ARCH_CAPABILITIES, CPU_BHI_CTRL, CPU_MCDT_NO, CPU_SSE3, CPU_CX16, CPU_LAHF_LM, 0
};
/* The psABI's level, and what makes a guest's kernel quick: no cost to the engines. */
static const uint8_t level_v2[] = {
	CPU_SSSE3, CPU_SSE4_1, CPU_SSE4_2, CPU_POPCNT, CPU_PDPE1GB, CPU_RDTSCP, CPU_XSAVE, CPU_XSAVEOPT, CPU_XSAVEC,
	CPU_XGETBV1, CPU_FSGSBASE,
	CPU_SMEP, CPU_SMAP, CPU_UMIP, CPU_PCID, CPU_INVPCID, CPU_ERMS, CPU_FSRM, CPU_AES, CPU_PCLMULQDQ, CPU_RDRAND,
	CPU_RDSEED,
	CPU_SHA_NI, CPU_TSC_ADJUST, CPU_CLFLUSHOPT, CPU_PREFETCHW, 0
};
static const uint8_t level_v3[] = {
	CPU_AVX, CPU_AVX2, CPU_BMI1, CPU_BMI2, CPU_FMA, CPU_F16C, CPU_MOVBE, CPU_ABM, 0
};
static const uint8_t level_max[] = { CPU_ADX, CPU_CLWB, CPU_RDPID, 0 };

static const struct model_kind {
	const char *name, *what;
	const uint8_t *levels[5];
	const uint8_t *required;        /* the model is refused on a host that lacks one of these */
} models[] = {
	{ "qemu64", "the x86-64 baseline, for old guests", { baseline }, NULL },
	{ "x86-64-v2", "the psABI's level 2 with AES, SHA, XSAVE, PCID, SMAP (default)", { baseline, level_v2 }, NULL },
	{ "x86-64-v3", "level 3: with AVX2, FMA, BMI, MOVBE; the host must have them", { baseline, level_v2, level_v3 },
		level_v3 },
	{ "max", "all that tenbox can do on this host", { baseline, level_v2, level_v3, level_max }, NULL },
};

/* Features whose instructions the engines hand to the host. */
static const uint8_t by_host[] = {
	CPU_SSE3, CPU_SSSE3, CPU_SSE4_1, CPU_SSE4_2, CPU_POPCNT, CPU_AES, CPU_PCLMULQDQ, CPU_SHA_NI, CPU_RDRAND,
	CPU_RDSEED,
	CPU_AVX, CPU_AVX2, CPU_BMI1, CPU_BMI2, CPU_FMA, CPU_F16C, CPU_MOVBE, CPU_ABM, CPU_ADX,
};

/* feature, what it cannot be without */
static const uint8_t depends[][2] = {
	{ CPU_AVX, CPU_XSAVE }, { CPU_XSAVEOPT, CPU_XSAVE }, { CPU_XSAVEC, CPU_XSAVE }, { CPU_XGETBV1, CPU_XSAVE },
	{ CPU_XSAVES, CPU_XSAVEC }, { CPU_AVX2, CPU_AVX }, { CPU_FMA, CPU_AVX }, { CPU_F16C, CPU_AVX },
	{ CPU_SSE2, CPU_SSE },
	{ CPU_SSE3, CPU_SSE2 }, { CPU_SSSE3, CPU_SSE3 }, { CPU_SSE4_1, CPU_SSSE3 }, { CPU_SSE4_2, CPU_SSE4_1 },
	{ CPU_AES, CPU_SSE2 }, { CPU_PCLMULQDQ, CPU_SSE2 }, { CPU_SHA_NI, CPU_SSE2 }, { CPU_X2APIC, CPU_APIC },
	{ CPU_TSC_DEADLINE, CPU_APIC }, { CPU_INVPCID, CPU_PCID }, { CPU_KVMCLOCK_STABLE, CPU_KVMCLOCK },
	{ CPU_RDTSCP, CPU_TSC }, { CPU_INVTSC, CPU_TSC },
};

/* --- the host ---------------------------------------------------------------------------------------------------- */

static bool host_avx_enabled(void)
{
	uint32_t r[4] = { 0 }, low, high;

	if (!__get_cpuid(1, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[ECX] & 1u << 27))
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & 6) == 6;
}

static bool host_has(enum cpu_feature f)
{
	const struct feature_bit *b = &features[f];
	uint32_t r[4] = { 0 };

	if (!__get_cpuid_count(b->leaf, b->subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[b->reg] >> b->bit & 1))
		return false;
	if (f == CPU_AVX || f == CPU_AVX2 || f == CPU_FMA || f == CPU_F16C)
		return host_avx_enabled();
	return true;
}

static bool can_offer(enum cpu_feature f)
{
	size_t n;

	for (n = 0; n < ARRAY_SIZE(by_host); n++)
		if (by_host[n] == f)
			return host_has(f);
	return true;
}

static bool host_is_intel(void)
{
	uint32_t r[4] = { 0 };

	__get_cpuid(0, &r[EAX], &r[EBX], &r[ECX], &r[EDX]);
	return r[EBX] == 0x756e6547;            /* "Genu" */
}

static void set_vendor(struct cpu_model *m, bool intel)
{
	m->intel = intel;
	memcpy(m->vendor, m->intel ? "GenuineIntel" : "AuthenticAMD", sizeof(m->vendor));
	/*
	 * Ice Lake server, or Zen 3: products of which kernels know that the faults announced as absent (here and in
	 * IA32_ARCH_CAPABILITIES) can be absent.
	 */
	m->signature = m->intel ? 0x000606a6 : 0x00a00f11;
}

/* --- the user's words -------------------------------------------------------------------------------------------- */

static int fold(char c)
{
	return c == '-' || c == '.' ? '_' : tolower((unsigned char)c);
}

static bool same_name(const char *a, const char *b, size_t len)
{
	size_t n;

	for (n = 0; n < len; n++)
		if (!b[n] || fold(a[n]) != fold(b[n]))
			return false;
	return !b[len];
}

static enum cpu_feature find_feature(const char *name, size_t len)
{
	size_t n;

	for (n = 1; n < CPU_FEATURES; n++)
		if (same_name(name, features[n].name, len))
			return n;
	for (n = 0; n < ARRAY_SIZE(aliases); n++)
		if (same_name(name, aliases[n].name, len))
			return aliases[n].feature;
	return CPU_FEATURE_NONE;
}

static void print_name(char *to, size_t size, enum cpu_feature f)
{
	size_t n;

	for (n = 0; n + 1 < size && features[f].name[n]; n++)
		to[n] = features[f].name[n] == '_' ? '-' : tolower((unsigned char)features[f].name[n]);
	to[n] = '\0';
}

static bool apply_vendor(struct cpu_model *m, const char *name, size_t len, struct err *err)
{
	if (len != 12 || (memcmp(name, "GenuineIntel", 12) && memcmp(name, "AuthenticAMD", 12)))
		return err_set(err, "CPU vendor '%.*s': there are GenuineIntel and AuthenticAMD", (int)len, name);
	set_vendor(m, name[0] == 'G');
	return true;
}

/* One word of the feature list: +x, -x, x, x=on, x=off; or vendor=NAME. */
static bool apply_word(struct cpu_model *m, bool *asked, const char *word, size_t len, struct err *err)
{
	const char *name = word, *equals = memchr(word, '=', len);
	size_t name_len = equals ? (size_t)(equals - word) : len;
	enum cpu_feature f;
	bool on = true;

	if (equals && same_name(name, "vendor", name_len))
		return apply_vendor(m, equals + 1, len - name_len - 1, err);
	if (*word == '+' || *word == '-') {
		on = *word == '+';
		name++;
		name_len--;
	}
	f = find_feature(name, name_len);
	if (!name_len || f == CPU_FEATURE_NONE)
		return err_set(err, "unknown CPU feature '%.*s' (the CPU model 'help' lists those there are)",
			       (int)name_len, name);
	if (equals) {
		const char *value = equals + 1;
		size_t value_len = len - name_len - 1 - (name - word);

		if (name != word)
			return err_set(err, "CPU feature '%.*s': use either a sign or =on|off", (int)len, word);
		if (same_name(value, "on", value_len) || same_name(value, "true", value_len) ||
		    same_name(value, "yes", value_len))
			on = true;
		else if (same_name(value, "off", value_len) || same_name(value, "false", value_len) ||
			 same_name(value, "no", value_len))
			on = false;
		else
			return err_set(err, "CPU feature '%.*s' takes on or off, not '%.*s'", (int)name_len, name,
				       (int)value_len, value);
	}
	if (on && !can_offer(f))
		return err_set(err, "CPU feature '%.*s' needs a host processor that has it", (int)name_len, name);
	m->has[f] = on;
	asked[f] = on;
	return true;
}

static bool apply_features(struct cpu_model *m, bool *asked, const char *list, struct err *err)
{
	while (*list) {
		size_t len = strcspn(list, ",");

		if (len && !apply_word(m, asked, list, len, err))
			return false;
		list += len;
		if (*list)
			list++;
	}
	return true;
}

/* What lacks its base is taken away, or refused if the user asked for it by name. */
static bool settle_dependencies(struct cpu_model *m, const bool *asked, struct err *err)
{
	char name[32], base[32];
	bool again = true;
	size_t n;

	while (again) {
		again = false;
		for (n = 0; n < ARRAY_SIZE(depends); n++) {
			enum cpu_feature f = depends[n][0], on = depends[n][1];

			if (!m->has[f] || m->has[on])
				continue;
			if (asked[f]) {
				print_name(name, sizeof(name), f);
				print_name(base, sizeof(base), on);
				return err_set(err, "CPU feature '%s' needs '%s', which this CPU model does not have",
					       name, base);
			}
			m->has[f] = 0;
			again = true;
		}
	}
	return true;
}

static bool take_levels(struct cpu_model *m, const struct model_kind *kind, struct err *err)
{
	char name[32];
	size_t n, k;

	for (n = 0; kind->required && kind->required[n]; n++) {
		if (!can_offer(kind->required[n])) {
			print_name(name, sizeof(name), kind->required[n]);
			return err_set(err, "CPU model '%s' needs a host processor with %s; x86-64-v2 does not",
				       kind->name, name);
		}
	}
	for (n = 0; kind->levels[n]; n++)
		for (k = 0; kind->levels[n][k]; k++)
			m->has[kind->levels[n][k]] = can_offer(kind->levels[n][k]);
	return true;
}

bool cpu_model_init(struct cpu_model *m, const char *name, const char *list, unsigned count, uint64_t tsc_hz,
		    struct err *err)
{
	bool asked[CPU_FEATURES] = { false };
	const struct model_kind *kind = NULL;
	size_t n;

	memset(m, 0, sizeof(*m));
	if (!name)
		name = "x86-64-v2";
	for (n = 0; n < ARRAY_SIZE(models); n++)
		if (!strcmp(name, models[n].name))
			kind = &models[n];
	if (!kind)
		return err_set(err, "unknown CPU model '%s' (there are qemu64, x86-64-v2, x86-64-v3, max)", name);
	m->name = kind->name;
	m->count = count;
	m->tsc_hz = tsc_hz;
	m->phys_bits = 40;
	m->virt_bits = 48;
	set_vendor(m, host_is_intel());
	if (!take_levels(m, kind, err))
		return false;
	m->has[CPU_HT] = count > 1;
	if (list && !apply_features(m, asked, list, err))
		return false;
	if (!settle_dependencies(m, asked, err))
		return false;
	m->xcr0 = m->has[CPU_AVX] ? 7 : 3;
	return true;
}

void cpu_model_print(void (*out)(void *to, const char *line), void *to)
{
	char line[128], name[32];
	size_t len = 0, n;

	out(to, "CPU models:");
	for (n = 0; n < ARRAY_SIZE(models); n++) {
		snprintf(line, sizeof(line), "  %-10s  %s", models[n].name, models[n].what);
		out(to, line);
	}
	out(to, "vendor=GenuineIntel|AuthenticAMD: instead of the host's");
	out(to, "CPU features (+name, -name, name=on, name=off; in brackets: not with this host):");
	line[0] = '\0';
	for (n = 1; n < CPU_FEATURES; n++) {
		print_name(name, sizeof(name), n);
		if (len + strlen(name) + 5 > 100) {
			out(to, line);
			len = 0;
		}
		len += snprintf(line + len, sizeof(line) - len, can_offer(n) ? "  %s" : "  [%s]", name);
	}
	out(to, line);
}

/* --- CPUID ------------------------------------------------------------------------------------------------------- */

static void feature_bits(const struct cpu_model *m, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	size_t n;

	for (n = 1; n < CPU_FEATURES; n++)
		if (m->has[n] && features[n].leaf == leaf && features[n].subleaf == subleaf)
			out[features[n].reg] |= 1u << features[n].bit;
}

/* Bits of an APIC id that number processors in the package. */
static unsigned id_bits(const struct cpu_model *m)
{
	unsigned bits = 0;

	while (1u << bits < m->count)
		bits++;
	return bits;
}

static void text_leaf(const char *text, size_t at, uint32_t out[4])
{
	char buf[16] = { 0 };
	size_t len = strlen(text);

	if (at < len)
		memcpy(buf, text + at, MIN(len - at, sizeof(buf)));
	memcpy(out, buf, sizeof(buf));
}

static void vendor_leaf(const struct cpu_model *m, uint32_t max, uint32_t out[4])
{
	out[EAX] = max;
	memcpy(&out[EBX], m->vendor, 4);
	memcpy(&out[EDX], m->vendor + 4, 4);
	memcpy(&out[ECX], m->vendor + 8, 4);
}

/* Caches of one core, and the last level for all: type and level, ways, sets; lines have 64 bytes. */
static const struct {
	uint8_t type, level, ways;
	uint16_t sets;
} caches[] = { { 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 8, 1024 }, { 3, 3, 16, 16384 } };

/* Intel's leaf 4 and AMD's 8000001D have one layout but for who says how many cores there are. */
static void cache_leaf(const struct cpu_model *m, uint32_t subleaf, uint32_t out[4])
{
	unsigned sharing;

	if (subleaf >= ARRAY_SIZE(caches))
		return;
	sharing = caches[subleaf].level == 3 ? (1u << id_bits(m)) - 1 : 0;
	out[EAX] = caches[subleaf].type | caches[subleaf].level << 5 | 1 << 8 | sharing << 14;
	if (m->intel)
		out[EAX] |= ((1u << id_bits(m)) - 1) << 26;
	out[EBX] = (caches[subleaf].ways - 1u) << 22 | 63;
	out[ECX] = caches[subleaf].sets - 1u;
}

static void topology_leaf(const struct cpu_model *m, const struct cpuid_state *s, uint32_t subleaf, uint32_t out[4])
{
	out[ECX] = subleaf & 0xff;
	out[EDX] = s->apic_id;
	if (subleaf == 0) {             /* threads of a core: one */
		out[EBX] = 1;
		out[ECX] |= 1 << 8;
	} else if (subleaf == 1) {      /* cores of the package */
		out[EAX] = id_bits(m);
		out[EBX] = m->count;
		out[ECX] |= 2 << 8;
	}
}

/* Bytes of the XSAVE area: legacy region and header; upper halves of YMM. */
enum { SAVE_LEGACY = 576, SAVE_AVX = 256 };

static void xsave_leaf(const struct cpu_model *m, const struct cpuid_state *s, uint32_t subleaf, uint32_t out[4])
{
	if (!m->has[CPU_XSAVE])
		return;
	switch (subleaf) {
	case 0:
		out[EAX] = (uint32_t)m->xcr0;
		out[EBX] = SAVE_LEGACY + (s->xcr0 & 4 ? SAVE_AVX : 0);
		out[ECX] = SAVE_LEGACY + (m->xcr0 & 4 ? SAVE_AVX : 0);
		break;
	case 1:
		feature_bits(m, 0xd, 1, out);
		if (m->has[CPU_XSAVEC])
			out[EBX] = SAVE_LEGACY + (s->xcr0 & 4 ? SAVE_AVX : 0);
		break;
	case 2:
		if (m->xcr0 & 4) {
			out[EAX] = SAVE_AVX;
			out[EBX] = SAVE_LEGACY;
		}
		break;
	}
}

static void features_leaf(const struct cpu_model *m, const struct cpuid_state *s, uint32_t out[4])
{
	out[EAX] = m->signature;
	feature_bits(m, 1, 0, out);
	out[EBX] = s->apic_id << 24 | (1u << id_bits(m)) << 16 | 8 << 8;        /* CLFLUSH of 8 * 8 bytes */
	if (s->osxsave)
		out[ECX] |= 1u << 27;
	if (!s->apic_on)
		out[EDX] &= ~(1u << 9);
}

static bool basic_leaf(const struct cpu_model *m, const struct cpuid_state *s, uint32_t leaf, uint32_t subleaf,
		       uint32_t out[4])
{
	switch (leaf) {
	case 0: vendor_leaf(m, m->intel ? 0x16 : 0x10, out); break;
	case 1: features_leaf(m, s, out); break;
	case 2:
		if (m->intel) {         /* caches: see leaf 4; prefetches 64 bytes */
			out[EAX] = 0x00feff01;
			out[EDX] = 0x000000f0;
		}
		break;
	case 4:
		if (m->intel)
			cache_leaf(m, subleaf, out);
		break;
	case 5:                         /* the line that MONITOR watches */
		if (m->has[CPU_MONITOR])
			out[EAX] = out[EBX] = 64;
		break;
	case 6: feature_bits(m, 6, 0, out); break;
	case 7:
		if (subleaf == 0 || m->intel)
			feature_bits(m, 7, subleaf, out);
		if (subleaf == 0 && m->intel)
			out[EAX] = 2;           /* the last subleaf */
		break;
	case 0xb: topology_leaf(m, s, subleaf, out); break;
	case 0xd: xsave_leaf(m, s, subleaf, out); break;
	case 0x15:                      /* TSC = crystal * EBX / EAX, with a crystal of 1 MHz exact to the kHz */
		if (m->intel) {
			out[EAX] = 1000;
			out[EBX] = (uint32_t)(m->tsc_hz / 1000);
			out[ECX] = 1000000;
		}
		break;
	case 0x16:
		if (m->intel) {
			out[EAX] = out[EBX] = (uint32_t)(m->tsc_hz / 1000000);
			out[ECX] = 100;
		}
		break;
	default: return leaf <= (m->intel ? 0x16u : 0x10u);
	}
	return true;
}

static bool has_kvm(const struct cpu_model *m)
{
	return m->has[CPU_HYPERVISOR] && (m->has[CPU_KVMCLOCK] || m->has[CPU_KVM_NOPIODELAY]);
}

static void hypervisor_leaf(const struct cpu_model *m, uint32_t leaf, uint32_t out[4])
{
	if (!has_kvm(m))
		return;
	switch (leaf) {
	case 0x40000000:
		out[EAX] = 0x40000010;
		memcpy(&out[EBX], "KVMK", 4);
		memcpy(&out[ECX], "VMKV", 4);
		memcpy(&out[EDX], "M\0\0\0", 4);
		break;
	case 0x40000001: feature_bits(m, leaf, 0, out); break;
	case 0x40000010:                /* kHz of the TSC, and of the APIC timer's bus */
		out[EAX] = (uint32_t)(m->tsc_hz / 1000);
		out[EBX] = 1000000;
		break;
	}
}

static void extended_features(const struct cpu_model *m, uint32_t out[4])
{
	uint32_t first[4] = { 0 };

	feature_bits(m, 0x80000001, 0, out);
	if (m->intel)
		return;
	out[EAX] = m->signature;
	if (m->count > 1)
		out[ECX] |= 1 << 1;             /* CmpLegacy */
	out[ECX] |= 1 << 22;                    /* TopologyExtensions: leaves 8000001D and 8000001E */
	feature_bits(m, 1, 0, first);
	out[EDX] |= first[EDX] & 0x0183f3ff;    /* AMD repeats these */
}

static void extended_leaf(const struct cpu_model *m, const struct cpuid_state *s, uint32_t leaf, uint32_t subleaf,
			  uint32_t out[4])
{
	char brand[48];

	switch (leaf) {
	case 0x80000000:
		vendor_leaf(m, m->intel ? 0x80000008 : 0x80000021, out);
		if (m->intel)
			out[EBX] = out[ECX] = out[EDX] = 0;
		break;
	case 0x80000001: extended_features(m, out); break;
	case 0x80000002: case 0x80000003: case 0x80000004:
		snprintf(brand, sizeof(brand), "tenbox virtual processor %s", m->name);
		text_leaf(brand, (leaf - 0x80000002) * 16, out);
		break;
	case 0x80000005:                /* TLBs of 64 entries; 32 KB, 8 ways, 64-byte lines */
		if (!m->intel) {
			out[EAX] = out[EBX] = 0xff40ff40;
			out[ECX] = out[EDX] = 0x20080140;
		}
		break;
	case 0x80000006:                /* 512 KB, 8 ways; 16 MB, see 8000001D */
		out[ECX] = 512u << 16 | 6 << 12 | (m->intel ? 0x40 : 0x140);
		if (!m->intel)
			out[EDX] = 32u << 18 | 9 << 12 | 0x140;
		break;
	case 0x80000007: feature_bits(m, leaf, 0, out); break;
	case 0x80000008:
		out[EAX] = m->phys_bits | m->virt_bits << 8;
		if (!m->intel) {
			out[EBX] = 1u << 26;    /* no speculative store bypass */
			out[ECX] = (m->count - 1) | id_bits(m) << 12;
		}
		break;
	case 0x8000001d:
		if (!m->intel)
			cache_leaf(m, subleaf, out);
		break;
	case 0x8000001e:
		if (!m->intel) {
			out[EAX] = s->apic_id;
			out[EBX] = s->apic_id;  /* core id; one thread */
		}
		break;
	case 0x80000021:
		if (!m->intel) {
			/* LFENCE serialises, a null selector clears the base, SRSO_NO, TSA_SQ_NO, TSA_L1_NO */
			out[EAX] = 1u << 2 | 1u << 6 | 1u << 29;
			out[ECX] = 1u << 1 | 1u << 2;
		}
		break;
	}
}

void cpuid_leaf(const struct cpu_model *m, const struct cpuid_state *s, uint32_t leaf, uint32_t subleaf,
		uint32_t out[4])
{
	memset(out, 0, 4 * sizeof(out[0]));
	if (leaf >> 16 == 0x8000) {
		extended_leaf(m, s, leaf, subleaf, out);
		return;
	}
	if (leaf >> 16 == 0x4000 && m->has[CPU_HYPERVISOR]) {
		hypervisor_leaf(m, leaf, out);
		return;
	}
	/* Past the last leaf Intel's processors answer with the last one, AMD's with zeros. */
	if (!basic_leaf(m, s, leaf, subleaf, out) && m->intel)
		basic_leaf(m, s, 0x16, subleaf, out);
}

uint64_t cpuid_arch_capabilities(const struct cpu_model *m)
{
	if (!m->has[CPU_ARCH_CAPABILITIES])
		return 0;
	/*
	 * No code that the guest chooses runs speculatively past the engines' checks, so all the NO bits are true:
	 * RDCL_NO, IBRS_ALL, SKIP_L1DFL, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO,
	 * BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO (SDM volume 4, IA32_ARCH_CAPABILITIES).  Kernels then leave out
	 * retpolines and buffer clearing.
	 */
	return 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 20 |
	       1 << 24 | 1 << 26 | 1 << 27 | 1ull << 62;
}

/* --- what a model executes --------------------------------------------------------------------------------------- */

static void become(struct insn *i, enum op op)
{
	i->op = op;
	i->flags = decode_op[op].flags;
	i->feature = decode_op[op].feature;
	i->rep = REP_F3;
	i->mandatory = 0;
	i->o[0].read = 1;       /* BSF and BSR leave it alone for a zero source */
}

void cpuid_gate(const struct cpu_model *m, struct insn *i)
{
	if ((i->traits & INSN_AVX) && !m->has[CPU_AVX]) {
		insn_invalidate(i);
		return;
	}
	if (i->feature == CPU_FEATURE_NONE || m->has[i->feature]) {
		if ((i->op == OP_VMCALL || i->op == OP_VMMCALL) && !has_kvm(m))
			insn_invalidate(i);
		return;
	}
	switch (i->op) {
	case OP_TZCNT: become(i, OP_BSF); break;
	case OP_LZCNT: become(i, OP_BSR); break;
	case OP_PREFETCH: case OP_PREFETCHW: case OP_PREFETCHWT1:
		i->op = OP_NOP;
		i->feature = CPU_FEATURE_NONE;
		break;
	default: insn_invalidate(i); break;
	}
}
