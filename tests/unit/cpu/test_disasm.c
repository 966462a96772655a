/* SPDX-License-Identifier: MIT */
/* cpu/disasm.c: what the comparison with objdump (test_decode.c) strips or cannot reach, and short buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/insn.h"

static void shows(unsigned mode, uint64_t rip, const char *hex, const char *text)
{
	uint8_t bytes[16];
	char buf[128];
	size_t n = 0, len;
	struct insn i;
	unsigned byte;
	int used;

	while (sscanf(hex, "%2x%n", &byte, &used) == 1) {
		bytes[n++] = byte;
		hex += used;
	}
	assert_int_equal(insn_decode(&i, bytes, n, mode), DECODE_OK);
	len = insn_text(&i, rip, buf, sizeof(buf));
	assert_string_equal(buf, text);
	assert_int_equal(len, strlen(text));
}

static void prefixes_with_an_effect_are_shown(void **state)
{
	(void)state;
	shows(32, 0, "f3 a5", "rep movs DWORD PTR es:[edi],DWORD PTR ds:[esi]");
	shows(32, 0, "f2 ae", "repnz scas al,BYTE PTR es:[edi]");
	shows(32, 0, "f3 a6", "repz cmps BYTE PTR ds:[esi],BYTE PTR es:[edi]");
	shows(64, 0, "f3 48 ab", "rep stos QWORD PTR es:[rdi],rax");
	shows(32, 0, "64 f3 a4", "rep movs BYTE PTR es:[edi],BYTE PTR fs:[esi]");
	shows(16, 0, "f3 6c", "rep ins BYTE PTR es:[di],dx");
	shows(32, 0, "f0 ff 00", "lock inc DWORD PTR [eax]");
	shows(64, 0, "f3 90", "pause");
	shows(64, 0, "f3 c3", "ret");
}

static void branch_targets_are_absolute(void **state)
{
	(void)state;
	shows(64, 0xffffffff81000000, "e8 fb ff ff ff", "call   0xffffffff81000000");
	shows(32, 0xfffffffe, "eb 10", "jmp    0x10");
	shows(16, 0xfff0, "eb 10", "jmp    0x2");
	shows(64, 0x1000, "74 fe", "je     0x1000");
	shows(16, 0x7c00, "ea 05 7c 00 00", "jmp    0x0:0x7c05");
}

static void operands_are_spelt_as_objdump_does(void **state)
{
	(void)state;
	shows(64, 0, "48 8b 44 8d f0", "mov    rax,QWORD PTR [rbp+rcx*4-0x10]");
	shows(64, 0, "65 48 8b 04 25 28 00 00 00", "mov    rax,QWORD PTR gs:0x28");
	shows(64, 0, "48 8d 05 10 00 00 00", "lea    rax,[rip+0x10]");
	shows(64, 0, "48 b8 88 77 66 55 44 33 22 11", "movabs rax,0x1122334455667788");
	shows(64, 0, "66 0f 6f 00", "movdqa xmm0,XMMWORD PTR [rax]");
	shows(64, 0, "c5 fd 6f 00", "vmovdqa ymm0,YMMWORD PTR [rax]");
	shows(64, 0, "0f 58 c1", "addps  xmm0,xmm1");
	shows(64, 0, "c5 f0 58 c2", "vaddps xmm0,xmm1,xmm2");
	shows(64, 0, "66 0f 38 14 c1", "blendvps xmm0,xmm1,xmm0");
	shows(64, 0, "66 0f 71 d1 04", "psrlw  xmm1,0x4");
	shows(64, 0, "0f c2 c1 01", "cmpltps xmm0,xmm1");
	shows(32, 0, "d8 c1", "fadd   st,st(1)");
	shows(32, 0, "dc c1", "fadd   st(1),st");
	shows(32, 0, "db 2f", "fld    TBYTE PTR [edi]");
	shows(16, 0, "36 8b 07", "mov    ax,WORD PTR ss:[bx]");
	shows(16, 0, "8b 46 00", "mov    ax,WORD PTR [bp+0x0]");
	shows(32, 0, "0f 22 d8", "mov    cr3,eax");
	shows(32, 0, "8e d8", "mov    ds,eax");
	shows(32, 0, "d1 e0", "shl    eax,1");
	shows(64, 0, "83 c0 ff", "add    eax,0xffffffff");
	shows(64, 0, "66 90", "xchg   ax,ax");
	shows(32, 0, "0f 0b", "ud2");
	shows(32, 0, "d7", "xlat   BYTE PTR ds:[ebx]");
	shows(64, 0, "06", "(bad)");
}

static void a_short_buffer_gets_the_start_of_the_text(void **state)
{
	static const char full[] = "rep movs DWORD PTR es:[edi],DWORD PTR ds:[esi]";
	const uint8_t bytes[] = { 0xf3, 0xa5 };
	struct insn i;
	size_t size;

	(void)state;
	assert_int_equal(insn_decode(&i, bytes, 2, 32), DECODE_OK);
	for (size = 1; size <= sizeof(full); size++) {
		char *buf = malloc(size);       /* of exactly this size, for ASan to watch */

		assert_int_equal(insn_text(&i, 0, buf, size), sizeof(full) - 1);
		assert_memory_equal(buf, full, size - 1);
		assert_int_equal(buf[size - 1], 0);
		free(buf);
	}
	assert_int_equal(insn_text(&i, 0, NULL, 0), sizeof(full) - 1);
}

static void every_mnemonic_has_a_name(void **state)
{
	unsigned op;

	(void)state;
	assert_string_equal(op_name(OP_ADD), "add");
	assert_string_equal(op_name(OP_INVALID), "(bad)");
	assert_string_equal(op_name(OP_COUNT), "(bad)");
	for (op = 1; op < OP_COUNT; op++)
		assert_in_range(strlen(op_name(op)), 2, 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_with_an_effect_are_shown),
		cmocka_unit_test(branch_targets_are_absolute),
		cmocka_unit_test(operands_are_spelt_as_objdump_does),
		cmocka_unit_test(a_short_buffer_gets_the_start_of_the_text),
		cmocka_unit_test(every_mnemonic_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
