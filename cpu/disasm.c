/* SPDX-License-Identifier: MIT */
/*
 * Instructions as text, in Intel syntax with the spelling of GNU objdump -M intel, so that a log can be held against
 * its output. Prefixes without an effect are not shown.
 */
#include "cpu/insn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static const char *const names[OP_COUNT] = {
	[OP_INVALID] = "(bad)",
#define OP(name) [OP_##name] = #name,
#include "cpu/ops.h"
#undef OP
};

static const char conditions[16][4] = {
	"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
};

static const char gpr64[16][4] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};
static const char gpr8[8][4] = { "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil" };
static const char high8[4][3] = { "ah", "ch", "dh", "bh" };
static const char segments[8][3] = { "es", "cs", "ss", "ds", "fs", "gs", "?", "?" };

/* Text that ends where its buffer does. */
struct text {
	char *p;
	size_t len, size;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...)
{
	size_t room = t->len < t->size ? t->size - t->len : 0;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(room ? t->p + t->len : NULL, room, format, args);
	va_end(args);
	if (n > 0)
		t->len += n;
}

static char lower_names[OP_COUNT][20];

__attribute__((constructor)) static void make_lower_names(void)
{
	size_t op, n;

	for (op = 0; op < OP_COUNT; op++) {
		for (n = 0; names[op][n] && n + 1 < sizeof(lower_names[op]); n++) {
			char c = names[op][n];

			lower_names[op][n] = c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
		}
	}
}

const char *op_name(enum op op)
{
	return lower_names[op < OP_COUNT ? op : OP_INVALID];
}

/* --- operands ---------------------------------------------------------------------------------------------------- */

static void add_gpr(struct text *t, unsigned reg, unsigned size)
{
	reg &= 15;
	switch (size) {
	case 1:
		if (reg < 8)
			add(t, "%s", gpr8[reg]);
		else
			add(t, "%sb", gpr64[reg]);
		break;
	case 2: add(t, reg < 8 ? "%s" : "%sw", gpr64[reg] + (reg < 8)); break;
	case 4:
		if (reg < 8)
			add(t, "e%s", gpr64[reg] + 1);
		else
			add(t, "%sd", gpr64[reg]);
		break;
	default: add(t, "%s", gpr64[reg]); break;
	}
}

static const char *size_name(unsigned size)
{
	switch (size) {
	case 1: return "BYTE PTR ";
	case 2: return "WORD PTR ";
	case 4: return "DWORD PTR ";
	case 6: return "FWORD PTR ";
	case 8: return "QWORD PTR ";
	case 10: return "TBYTE PTR ";
	case 16: return "XMMWORD PTR ";
	case 32: return "YMMWORD PTR ";
	}
	return "";
}

/* Memory operands whose size objdump leaves out. */
static bool hides_size(const struct insn *i)
{
	switch (i->op) {
	case OP_LGDT: case OP_LIDT: case OP_SGDT: case OP_SIDT: case OP_FLDENV: case OP_FNSTENV: case OP_FNSAVE:
	case OP_FRSTOR:
	case OP_INVPCID: case OP_LDDQU:
		return true;
	}
	return false;
}

static uint64_t cut(uint64_t value, unsigned size)
{
	return size >= 8 ? value : value & ((1ull << (size * 8)) - 1);
}

static void add_base_index(struct text *t, const struct insn *i)
{
	const char *plus = "";

	add(t, "[");
	if (i->mem.base == REG_RIP) {
		add(t, "%s", i->addrsize == 8 ? "rip" : "eip");
		plus = "+";
	} else if (i->mem.base != REG_NONE) {
		add_gpr(t, i->mem.base, i->addrsize);
		plus = "+";
	}
	if (i->mem.index != REG_NONE) {
		add(t, "%s", plus);
		if (i->mem.vsib)
			add(t, "%cmm%u", i->mem.vsib == 32 ? 'y' : 'x', i->mem.index);
		else
			add_gpr(t, i->mem.index, i->addrsize);
		if (i->addrsize != 2)
			add(t, "*%u", i->mem.scale);
	}
}

static void add_memory(struct text *t, const struct insn *i, unsigned size)
{
	bool has_disp = i->mem.disp || (i->has_modrm && (i->modrm >> 6 == 1 || i->modrm >> 6 == 2));
	bool override = i->mem.seg == SEG_FS || i->mem.seg == SEG_GS;
	unsigned seg = i->mem.seg;
	int64_t disp = i->mem.disp;

	if (i->op == OP_INVLPG)
		add(t, "BYTE PTR ");
	else if (i->op == OP_CMPXCHG16B)
		add(t, "OWORD PTR ");
	else if (!hides_size(i) && !i->mem.moffs)
		add(t, "%s", size_name(size));
	if (i->mode != 64 && i->mem.base != REG_NONE) {
		bool stack = i->mem.base == 5 || (i->mem.base == 4 && i->addrsize != 2);

		override = seg != (stack ? SEG_SS : SEG_DS);
	}
	if (i->mem.base == REG_NONE && i->mem.index == REG_NONE) {
		uint64_t address = i->mem.moffs ? i->imm : (uint64_t)disp;
		unsigned width = i->mode == 64 && !i->mem.moffs ? 8 : i->addrsize;

		add(t, "%s:0x%llx", segments[seg & 7], (unsigned long long)cut(address, width));
		return;
	}
	if (override || (i->mem.base == REG_NONE && seg != SEG_DS))
		add(t, "%s:", segments[seg & 7]);
	add_base_index(t, i);
	if (i->mem.base == REG_NONE)
		has_disp = true;
	if (i->mem.base == REG_RIP)
		add(t, "+0x%llx", (unsigned long long)disp);
	else if (has_disp)
		add(t, "%c0x%llx", disp < 0 ? '-' : '+', (unsigned long long)(disp < 0 ? -disp : disp));
	add(t, "]");
}

/* A memory operand at a register that the instruction implies. */
static void add_implied(struct text *t, const struct insn *i, unsigned seg, unsigned base, unsigned size)
{
	add(t, "%s%s:[", size_name(size), segments[seg & 7]);
	add_gpr(t, base, i->addrsize);
	add(t, "]");
}

static void add_operand(struct text *t, const struct insn *i, const struct operand *o, uint64_t rip)
{
	switch (o->kind) {
	case OPD_GPR:
		if (o->high)
			add(t, "%s", high8[o->reg & 3]);
		else
			add_gpr(t, o->reg, o->size);
		break;
	case OPD_MEM: add_memory(t, i, o->size); break;
	case OPD_IMM:
		if (!i->map && (i->opcode & 0xfe) == 0xd0) {    /* shift by one */
			add(t, "1");
			break;
		}
		add(t, "0x%llx", (unsigned long long)cut(i->imm, o->size));
		break;
	case OPD_IMM2: add(t, "0x%llx", (unsigned long long)i->imm2); break;
	case OPD_REL: add(t, "0x%llx", (unsigned long long)cut(rip + i->len + i->imm, i->opsize)); break;
	case OPD_FAR: add(t, "0x%llx:0x%llx", (unsigned long long)i->imm2, (unsigned long long)i->imm); break;
	case OPD_SEG: add(t, "%s", segments[o->reg & 7]); break;
	case OPD_CR: add(t, "cr%u", o->reg); break;
	case OPD_DR: add(t, "dr%u", o->reg); break;
	case OPD_ST:
		/* The one that is ST(0) by its place is written st. */
		if (i->operands == 2 && o == &i->o[i->opcode == 0xdc || i->opcode == 0xde])
			add(t, "st");
		else
			add(t, "st(%u)", o->reg);
		break;
	case OPD_MMX: add(t, "mm%u", o->reg); break;
	case OPD_XMM: add(t, "%cmm%u", o->size == 32 ? 'y' : 'x', o->reg); break;
	}
}

/* --- mnemonics --------------------------------------------------------------------------------------------------- */

static const char *by_size(unsigned size, const char *two, const char *four, const char *eight)
{
	return size == 2 ? two : size == 4 ? four : eight;
}

/* 66 90, which objdump does not call a NOP. */
static bool is_wide_nop(const struct insn *i)
{
	return i->op == OP_NOP && !i->has_modrm && i->opsize == (i->mode == 16 ? 4 : 2);
}

/* Names that depend on a size; NULL: the op's own. */
static const char *sized_name(const struct insn *i)
{
	bool wide = i->mode == 16;      /* where the bare name means 16 bits */
	unsigned size = i->opsize;

	switch (i->op) {
	case OP_CBW: return by_size(i->opsize, "cbw", "cwde", "cdqe");
	case OP_CWD: return by_size(i->opsize, "cwd", "cdq", "cqo");
	case OP_PUSHA: return wide ? by_size(size, "pusha", "pushad", "") : by_size(size, "pushaw", "pusha", "");
	case OP_POPA: return wide ? by_size(size, "popa", "popad", "") : by_size(size, "popaw", "popa", "");
	case OP_PUSHF: return wide ? by_size(size, "pushf", "pushfd", "") : by_size(size, "pushfw", "pushf", "pushf");
	case OP_POPF: return wide ? by_size(size, "popf", "popfd", "") : by_size(size, "popfw", "popf", "popf");
	case OP_IRET: return wide ? by_size(size, "iret", "iretd", "") : by_size(size, "iretw", "iret", "iretq");
	case OP_SYSRET: return i->mode != 64 ? NULL : i->opsize == 8 ? "sysretq" : "sysretd";
	case OP_SYSEXIT: return i->mode != 64 ? NULL : i->opsize == 8 ? "sysexitq" : "sysexitd";
	case OP_JCXZ: return by_size(i->addrsize, "jcxz", "jecxz", "jrcxz");
	case OP_CALLF: return "call";
	case OP_JMPF: return "jmp";
	case OP_NOP: return is_wide_nop(i) ? "xchg" : NULL;
	case OP_FXSAVE: return i->opsize == 8 ? "fxsave64" : NULL;
	case OP_FXRSTOR: return i->opsize == 8 ? "fxrstor64" : NULL;
	case OP_XSAVE: return i->opsize == 8 ? "xsave64" : NULL;
	case OP_XSAVEOPT: return i->opsize == 8 ? "xsaveopt64" : NULL;
	case OP_XSAVEC: return i->opsize == 8 ? "xsavec64" : NULL;
	case OP_XSAVES: return i->opsize == 8 ? "xsaves64" : NULL;
	case OP_XRSTOR: return i->opsize == 8 ? "xrstor64" : NULL;
	case OP_XRSTORS: return i->opsize == 8 ? "xrstors64" : NULL;
	case OP_MOV:
		return i->mode == 64 && ((i->mem.moffs && i->addrsize == 8) ||
					 (i->o[0].size == 8 && i->o[1].kind == OPD_IMM && !i->has_modrm)) ?
			"movabs" : NULL;
	}
	return NULL;
}

/* The letter that objdump puts behind a name for a size which is not the mode's own. */
static const char *suffix(const struct insn *i)
{
	unsigned own = i->mode == 16 ? 2 : 4;
	bool odd = i->opsize != own;
	const char *letter = i->opsize == 2 ? "w" : i->opsize == 4 ? "d" : "q";

	switch (i->op) {
	case OP_LGDT: case OP_LIDT: case OP_SGDT: case OP_SIDT:
		return i->mode == 64 ? "" : letter;
	case OP_RETF: return odd ? letter : "";
	case OP_CALL: case OP_JMP:
		return i->mode != 64 && odd && i->o[0].kind == OPD_REL && i->opcode != 0xeb ? letter : "";
	case OP_PUSH: case OP_POP:
		if (i->o[0].kind != OPD_SEG && i->o[0].kind != OPD_IMM)
			return "";
		/* fall through */
	case OP_RET: case OP_ENTER: case OP_LEAVE:
		return i->mode == 64 ? (i->opsize == 2 ? letter : "") : odd ? letter : "";
	case OP_FLDENV: case OP_FNSTENV: case OP_FNSAVE: case OP_FRSTOR:
		return i->opsize == 2 && odd ? letter : i->opsize == 4 && odd ? letter : "";
	case OP_PCMPESTRI: case OP_PCMPESTRM:
		return (i->vex ? i->vex_w && i->mode == 64 : i->rex & 8) ? "q" : "";
	}
	return "";
}

static const char cmp_names[32][9] = {
	"eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord", "eq_uq", "nge", "ngt", "false", "neq_oq", "ge", "gt",
	"true",
	"eq_os", "lt_oq", "le_oq", "unord_s", "neq_us", "nlt_uq", "nle_uq", "ord_s", "eq_us", "nge_uq", "ngt_uq",
	"false_os",
	"neq_os", "ge_oq", "gt_oq", "true_us",
};

/* Comparisons and PCLMULQDQ have their immediate in the name where it has one.  Returns whether it does. */
static bool predicate_name(struct text *t, const struct insn *i)
{
	const char *v = i->vex ? "v" : "";

	switch (i->op) {
	case OP_CMPPS: case OP_CMPPD: case OP_CMPSS: case OP_CMPSD:
		if (i->imm >= (i->vex ? 32 : 8))
			return false;
		add(t, "%scmp%s%s", v, cmp_names[i->imm], op_name(i->op) + 3);
		return true;
	case OP_PCLMULQDQ:
		if (i->imm & ~0x11ull)
			return false;
		add(t, "%spclmul%cq%cqdq", v, i->imm & 1 ? 'h' : 'l', i->imm & 0x10 ? 'h' : 'l');
		return true;
	}
	return false;
}

static void add_prefixes(struct text *t, const struct insn *i)
{
	if (i->lock)
		add(t, "lock ");
	if ((i->traits & INSN_STRING) && i->rep) {
		if (i->op == OP_CMPS || i->op == OP_SCAS)
			add(t, "%s ", i->rep == REP_F2 ? "repnz" : "repz");
		else
			add(t, "%s ", i->rep == REP_F2 ? "repnz" : "rep");
	}
}

/* Returns whether the last operand is told by the name. */
static bool add_name(struct text *t, const struct insn *i)
{
	const char *name = sized_name(i);
	bool told = false;

	add_prefixes(t, i);
	if (i->op == OP_JCC)
		add(t, "j%s", conditions[i->cc]);
	else if (i->op == OP_SETCC)
		add(t, "set%s", conditions[i->cc]);
	else if (i->op == OP_CMOVCC)
		add(t, "cmov%s", conditions[i->cc]);
	else if (name)
		add(t, "%s%s", name, suffix(i));
	else if (predicate_name(t, i))
		told = true;
	else
		add(t, "%s%s", i->vex && (i->traits & INSN_AVX) && names[i->op][0] != 'V' ? "v" : "", op_name(i->op));
	add(t, "%s", name ? "" : suffix(i));
	while (t->len < 6)
		add(t, " ");
	return told;
}

/* --- whole instructions ------------------------------------------------------------------------------------------ */

static void add_string(struct text *t, const struct insn *i)
{
	static const char al[9][4] = { [1] = "al", [2] = "ax", [4] = "eax", [8] = "rax" };
	unsigned size = i->o[0].size;
	bool source = i->op == OP_MOVS || i->op == OP_CMPS || i->op == OP_LODS || i->op == OP_OUTS;

	switch (i->op) {
	case OP_MOVS: case OP_STOS: case OP_INS:
		add_implied(t, i, SEG_ES, 7, size);
		break;
	case OP_CMPS:
		add_implied(t, i, i->mem.seg, 6, size);
		add(t, ",");
		add_implied(t, i, SEG_ES, 7, size);
		return;
	case OP_OUTS: add(t, "dx"); break;
	case OP_LODS: case OP_SCAS: add(t, "%s", al[size]); break;
	}
	add(t, ",");
	if (source)
		add_implied(t, i, i->mem.seg, 6, size);
	else if (i->op == OP_STOS)
		add(t, "%s", al[size]);
	else if (i->op == OP_INS)
		add(t, "dx");
	else
		add_implied(t, i, SEG_ES, 7, size);
}

/* Whether operand 1 of a legacy SSE form is its destination once more (insn.h). */
static bool repeats(const struct insn *i)
{
	if (i->vex || !(i->traits & (INSN_SSE | INSN_MMX)) || i->operands < 3)
		return false;
	switch (i->op) {
	case OP_PSHUFW: case OP_PSHUFD: case OP_PSHUFHW: case OP_PSHUFLW: case OP_ROUNDPS: case OP_ROUNDPD:
	case OP_AESKEYGENASSIST:
	case OP_PCMPESTRI: case OP_PCMPESTRM: case OP_PCMPISTRI: case OP_PCMPISTRM: case OP_MASKMOVQ:
	case OP_MASKMOVDQU:
		return false;
	}
	return i->o[0].kind == i->o[1].kind && i->o[0].reg == i->o[1].reg;
}

static void add_operands(struct text *t, const struct insn *i, uint64_t rip, bool last_told)
{
	const char *comma = " ";
	unsigned n, count = i->operands - last_told;

	if (i->op == OP_MASKMOVQ || i->op == OP_MASKMOVDQU)
		count = 2;
	for (n = 0; n < count; n++) {
		if (n == 1 && repeats(i))
			continue;
		add(t, "%s", comma);
		add_operand(t, i, &i->o[n], rip);
		comma = ",";
	}
}

size_t insn_text(const struct insn *i, uint64_t rip, char *buf, size_t len)
{
	struct text t = { buf, 0, len };
	bool told = add_name(&t, i);

	if (i->traits & INSN_STRING) {
		add(&t, " ");
		add_string(&t, i);
	} else if (i->op == OP_XLAT) {
		add(&t, " ");
		add_implied(&t, i, i->mem.seg, 3, 1);
	} else if (is_wide_nop(i)) {
		add(&t, " ");
		add_gpr(&t, 0, i->opsize);
		add(&t, ",");
		add_gpr(&t, 0, i->opsize);
	} else if (i->op == OP_MONITOR) {
		add(&t, " ");
		add_gpr(&t, 0, i->addrsize);
		add(&t, ",ecx,edx");
	} else if (i->op == OP_MWAIT) {
		add(&t, " eax,ecx");
	} else {
		add_operands(&t, i, rip, told);
	}
	while (t.len && t.len < t.size && t.p[t.len - 1] == ' ')
		t.p[--t.len] = '\0';
	return t.len;
}
