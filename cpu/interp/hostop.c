/* SPDX-License-Identifier: MIT */
/*
 * The host's instructions as C functions: see hostop.h for why this is assembler.
 *
 * The SysV ABI passes three vectors in XMM0..XMM2 and returns one in XMM0, so most functions are one instruction and
 * RET.  Immediates are encoded in the instruction, hence the tables of one function per value, at a fixed stride.
 */
#include "cpu/interp/hostop.h"

#define FUNCTION(name) \
	".balign 8\n.globl host_" name "\n.hidden host_" name "\n.type host_" name ", @function\nhost_" name ":\n"

#define BINARY(name) asm(".text\n" FUNCTION(#name) "\t" #name " %xmm1, %xmm0\n\tret\n");
HOST_OPS_INT(BINARY)
HOST_OPS_FP(BINARY)
#define TERNARY(name) asm(".text\n" FUNCTION(#name) "\t" #name " %xmm2, %xmm1, %xmm0\n\tret\n");
HOST_OPS_FMA(TERNARY)

#define FROM_INT(name, insn) asm(".text\n" FUNCTION(name) "\tmovq %xmm1, %rax\n\t" insn ", %xmm0\n\tret\n")
FROM_INT("CVTSI2SSL", "cvtsi2ssl %eax");
FROM_INT("CVTSI2SSQ", "cvtsi2ssq %rax");
FROM_INT("CVTSI2SDL", "cvtsi2sdl %eax");
FROM_INT("CVTSI2SDQ", "cvtsi2sdq %rax");

#define TO_INT(name, insn) asm(".text\n" FUNCTION(name) "\t" insn "\n\tmovq %rax, %xmm0\n\tret\n")
TO_INT("CVTSS2SIL", "cvtss2si %xmm1, %eax");
TO_INT("CVTSS2SIQ", "cvtss2si %xmm1, %rax");
TO_INT("CVTSD2SIL", "cvtsd2si %xmm1, %eax");
TO_INT("CVTSD2SIQ", "cvtsd2si %xmm1, %rax");
TO_INT("CVTTSS2SIL", "cvttss2si %xmm1, %eax");
TO_INT("CVTTSS2SIQ", "cvttss2si %xmm1, %rax");
TO_INT("CVTTSD2SIL", "cvttsd2si %xmm1, %eax");
TO_INT("CVTTSD2SIQ", "cvttsd2si %xmm1, %rax");
TO_INT("COMISS", "comiss %xmm1, %xmm0\n\tpushfq\n\tpop %rax");
TO_INT("COMISD", "comisd %xmm1, %xmm0\n\tpushfq\n\tpop %rax");
TO_INT("UCOMISS", "ucomiss %xmm1, %xmm0\n\tpushfq\n\tpop %rax");
TO_INT("UCOMISD", "ucomisd %xmm1, %xmm0\n\tpushfq\n\tpop %rax");
TO_INT("PTEST", "ptest %xmm1, %xmm0\n\tpushfq\n\tpop %rax");

/* Its third operand is XMM0 implicitly. */
asm(".text\n" FUNCTION("SHA256RNDS2")
	"\tmovdqa %xmm0, %xmm3\n"
	"\tmovdqa %xmm2, %xmm0\n"
	"\tsha256rnds2 %xmm0, %xmm1, %xmm3\n"
	"\tmovdqa %xmm3, %xmm0\n"
	"\tret\n");

#define ENTRY(name) [OP_##name] = host_##name,
host_op *const host_ops[OP_COUNT] = {
	HOST_OPS_INT(ENTRY)
	HOST_OPS_FP(ENTRY)
	HOST_OPS_FMA(ENTRY)
};

/* --- immediates ---------------------------------------------------------------------------------------------- */

#define TABLE(name, count, insn) \
	asm(".text\n.balign 8\n.globl host_imm_" name "\n.hidden host_imm_" name "\nhost_imm_" name ":\n" \
		".set host_n, 0\n.rept " count "\n\t.balign 8\n\t" insn "\n\tret\n.set host_n, host_n + 1\n.endr\n")
#define TABLE_LEGACY(name, count) TABLE(#name, count, #name " $host_n, %xmm1, %xmm0")
TABLE_LEGACY(CMPPS, "8");
TABLE_LEGACY(CMPPD, "8");
TABLE_LEGACY(CMPSS, "8");
TABLE_LEGACY(CMPSD, "8");
TABLE("VCMPPS", "32", "vcmpps $host_n, %xmm1, %xmm0, %xmm0");
TABLE("VCMPPD", "32", "vcmppd $host_n, %xmm1, %xmm0, %xmm0");
TABLE("VCMPSS", "32", "vcmpss $host_n, %xmm1, %xmm0, %xmm0");
TABLE("VCMPSD", "32", "vcmpsd $host_n, %xmm1, %xmm0, %xmm0");
TABLE_LEGACY(ROUNDPS, "16");
TABLE_LEGACY(ROUNDPD, "16");
TABLE_LEGACY(ROUNDSS, "16");
TABLE_LEGACY(ROUNDSD, "16");
TABLE_LEGACY(DPPS, "256");
TABLE_LEGACY(DPPD, "256");
TABLE_LEGACY(MPSADBW, "8");
TABLE("PCLMULQDQ", "4", "pclmulqdq $((host_n & 1) | (host_n & 2) << 3), %xmm1, %xmm0");
TABLE_LEGACY(AESKEYGENASSIST, "256");
TABLE_LEGACY(SHA1RNDS4, "4");
TABLE("VCVTPS2PH", "8", "vcvtps2ph $host_n, %xmm1, %xmm0");

#define TABLE_DECLARE(name) extern const uint8_t host_imm_##name[][8] __attribute__((visibility("hidden")))
TABLE_DECLARE(CMPPS);
TABLE_DECLARE(CMPPD);
TABLE_DECLARE(CMPSS);
TABLE_DECLARE(CMPSD);
TABLE_DECLARE(VCMPPS);
TABLE_DECLARE(VCMPPD);
TABLE_DECLARE(VCMPSS);
TABLE_DECLARE(VCMPSD);
TABLE_DECLARE(ROUNDPS);
TABLE_DECLARE(ROUNDPD);
TABLE_DECLARE(ROUNDSS);
TABLE_DECLARE(ROUNDSD);
TABLE_DECLARE(DPPS);
TABLE_DECLARE(DPPD);
TABLE_DECLARE(MPSADBW);
TABLE_DECLARE(PCLMULQDQ);
TABLE_DECLARE(AESKEYGENASSIST);
TABLE_DECLARE(SHA1RNDS4);
TABLE_DECLARE(VCVTPS2PH);

host_op *host_imm_op(enum host_imm table, uint8_t imm)
{
#define IMM_ENTRY(name, top) [HOST_##name] = { host_imm_##name, top }
	static const struct {
		const uint8_t (*code)[8];
		uint8_t mask;
	} tables[] = {
		IMM_ENTRY(CMPPS, 7), IMM_ENTRY(CMPPD, 7), IMM_ENTRY(CMPSS, 7), IMM_ENTRY(CMPSD, 7),
		IMM_ENTRY(VCMPPS, 31), IMM_ENTRY(VCMPPD, 31), IMM_ENTRY(VCMPSS, 31), IMM_ENTRY(VCMPSD, 31),
		IMM_ENTRY(ROUNDPS, 15), IMM_ENTRY(ROUNDPD, 15), IMM_ENTRY(ROUNDSS, 15), IMM_ENTRY(ROUNDSD, 15),
		IMM_ENTRY(DPPS, 255), IMM_ENTRY(DPPD, 255), IMM_ENTRY(MPSADBW, 7), IMM_ENTRY(PCLMULQDQ, 3),
		IMM_ENTRY(AESKEYGENASSIST, 255), IMM_ENTRY(SHA1RNDS4, 3), IMM_ENTRY(VCVTPS2PH, 7),
	};

	return (host_op *)(uintptr_t)tables[table].code[imm & tables[table].mask];
}

/* --- string compares ----------------------------------------------------------------------------------------- */

/* PCMPESTRx are written out with REX.W, so that the lengths are all of RAX and RDX: callers sign-extend 32-bit ones. */
#define STRING_TABLE(name, setup, last, finish) \
	asm(".text\n.balign 32\n.globl host_str_" name "\n.hidden host_str_" name "\nhost_str_" name ":\n" \
		".set host_n, 0\n.rept 256\n\t.balign 32\n\t" setup last finish \
		"\tpushfq\n\tpopq (%rdi)\n\tret\n.set host_n, host_n + 1\n.endr\n")
#define LENGTHS "movq %xmm2, %rax\n\tpextrq $1, %xmm2, %rdx\n"
STRING_TABLE("PCMPESTRI", LENGTHS, "\t.byte 0x66, 0x48, 0x0f, 0x3a, 0x61, 0xc1, host_n\n", "\tmovd %ecx, %xmm0\n");
STRING_TABLE("PCMPESTRM", LENGTHS, "\t.byte 0x66, 0x48, 0x0f, 0x3a, 0x60, 0xc1, host_n\n", "");
STRING_TABLE("PCMPISTRI", "", "pcmpistri $host_n, %xmm1, %xmm0\n", "\tmovd %ecx, %xmm0\n");
STRING_TABLE("PCMPISTRM", "", "pcmpistrm $host_n, %xmm1, %xmm0\n", "");

extern const uint8_t host_str_PCMPESTRI[256][32] __attribute__((visibility("hidden")));
extern const uint8_t host_str_PCMPESTRM[256][32] __attribute__((visibility("hidden")));
extern const uint8_t host_str_PCMPISTRI[256][32] __attribute__((visibility("hidden")));
extern const uint8_t host_str_PCMPISTRM[256][32] __attribute__((visibility("hidden")));

host_string_op *host_string_op_of(enum host_string which, uint8_t imm)
{
	static const uint8_t (*const tables[])[32] = {
		[HOST_PCMPESTRI] = host_str_PCMPESTRI, [HOST_PCMPESTRM] = host_str_PCMPESTRM,
		[HOST_PCMPISTRI] = host_str_PCMPISTRI, [HOST_PCMPISTRM] = host_str_PCMPISTRM,
	};

	return (host_string_op *)(uintptr_t)tables[which][imm];
}

/* --- x87 ----------------------------------------------------------------------------------------------------- */

/*
 * host_x87_code[opcode - D8][modrm - C0] are the register forms, host_x87_mem[opcode - D8][reg] the memory forms with
 * (%rsi), four bytes each: opcode, ModRM, RET, NOP.  Never called with an encoding that the decoder refused.
 */
asm(".text\n"
	".balign 4\n"
	"host_x87_code:\n"
	".set host_n, 0\n"
	".rept 512\n"
	"\t.byte 0xd8 + host_n / 64, 0xc0 + host_n % 64, 0xc3, 0x90\n"
	".set host_n, host_n + 1\n"
	".endr\n"
	"host_x87_mem:\n"
	".set host_n, 0\n"
	".rept 64\n"
	"\t.byte 0xd8 + host_n / 8, 0x06 + (host_n % 8) * 8, 0xc3, 0x90\n"
	".set host_n, host_n + 1\n"
	".endr\n"
	/* rdi: area, rsi: operand, rdx: code, ecx: flags */
	".balign 16\n"
	".type host_x87_run, @function\n"
	"host_x87_run:\n"
	"\tsub $8, %rsp\n"
	"\tstmxcsr (%rsp)\n"
	"\tfxrstor64 (%rdi)\n"
	"\tmov %cl, %ah\n"
	"\tsahf\n"
	"\tcall *%rdx\n"
	"\tlahf\n"
	"\tfxsave64 (%rdi)\n"
	"\tfninit\n"
	"\tldmxcsr (%rsp)\n"
	"\tadd $8, %rsp\n"
	"\tmovzbl %ah, %eax\n"
	"\tret\n");
/*
 * rdi: struct host_x87_light, rsi: operand, rdx: code, rcx: ST(i) or NULL, r8: ST(0), r9d: how.  The host's exception
 * flags are cleared only if one of them is not the guest's too: what is set afterwards, is the guest's.
 */
asm(".text\n"
	".balign 16\n"
	".type host_x87_run_light, @function\n"
	"host_x87_run_light:\n"
	"\tfnstsw %ax\n"
	"\tmovzwl 26(%rdi), %r10d\n"
	"\tnot %r10d\n"
	"\tand %eax, %r10d\n"
	"\ttest $0x3f, %r10d\n"
	"\tje 1f\n"
	"\tfnclex\n"
	"1:\tfldcw 24(%rdi)\n"
	"\ttest %rcx, %rcx\n"
	"\tje 2f\n"
	"\tfldt (%rcx)\n"
	"2:\ttest $1, %r9d\n"
	"\tje 3f\n"
	"\tfldt (%r8)\n"
	"3:\tcall *%rdx\n"
	"\tlahf\n"
	"\tmov %ah, 28(%rdi)\n"
	"\tfnstsw %ax\n"
	"\tmov %ax, 26(%rdi)\n"
	"\ttest $2, %r9d\n"
	"\tje 4f\n"
	"\tfstpt (%r8)\n"
	"4:\ttest %rcx, %rcx\n"
	"\tje 5f\n"
	"\tfstpt (%rcx)\n"
	"5:\tcmpw $0x37f, 24(%rdi)\n"
	"\tje 6f\n"
	"\tfldcw host_x87_default(%rip)\n"
	"6:\tret\n"
	"host_x87_default:\n"
	"\t.word 0x37f\n");
extern const uint8_t host_x87_code[8][64][4] __attribute__((visibility("hidden")));
extern const uint8_t host_x87_mem[8][8][4] __attribute__((visibility("hidden")));
uint8_t host_x87_run(void *area, void *mem, const void *code, uint32_t flags) __attribute__((visibility("hidden")));

static const void *x87_code(uint8_t opcode, uint8_t modrm)
{
	return modrm >= 0xc0 ? host_x87_code[opcode & 7][modrm & 63] : host_x87_mem[opcode & 7][modrm >> 3 & 7];
}

uint8_t host_x87(void *area, void *mem, uint8_t opcode, uint8_t modrm, uint8_t flags)
{
	return host_x87_run(area, mem, x87_code(opcode, modrm), flags);
}

void host_x87_run_light(struct host_x87_light *l, void *mem, const void *code, uint8_t *sti, uint8_t *st0, unsigned how)
	__attribute__((visibility("hidden")));
_Static_assert(offsetof(struct host_x87_light, fcw) == 24 && offsetof(struct host_x87_light, fsw) == 26 &&
	       offsetof(struct host_x87_light, flags) == 28, "offsets in host_x87_run_light");

void host_x87_light(struct host_x87_light *l, uint8_t opcode, uint8_t modrm)
{
	host_x87_run_light(l, l->mem, x87_code(opcode, modrm), l->sti, l->st0, l->how);
}
