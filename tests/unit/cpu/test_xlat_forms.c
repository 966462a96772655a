/* SPDX-License-Identifier: MIT */
/*
 * Faults in the middle of instructions that access memory more than once, or much of it, in 64-bit and 32-bit code:
 * what the
 * translator leaves is what the interpreter leaves, vector state too.  The plainer forms are in test_xlat.c.
 */
#include "cpu/xlat/xlat.h"
#include "tests/unit/cpu/compare_engines.h"

#define FORMS64(X) \
	X(bt_far, "mov ecx, 32768\n bt [rdi], rcx") X(btc_back, "mov rcx, -70\n btc [rdi], rcx") \
	X(lock_bts, "mov ecx, 63\n lock bts [rdi], rcx") X(lock_cx8, "lock cmpxchg8b [rdi]") \
	X(enter_deep, "enter 16, 3") X(lods_, "lodsq") X(scas_, "scasq") X(stos_, "stosq") \
	X(repe_cmps, "mov ecx, 9\n repe cmpsb") X(repne_scas, "mov ecx, 9\n mov al, 0xff\n repne scasb") \
	X(rep_movsq, "mov ecx, 4\n rep movsq") X(rep_movsw_down, "std\n mov ecx, 7\n rep movsw\n cld") \
	X(rep_lods, "mov ecx, 5\n rep lodsd") X(rep_stosb, "mov ecx, 30\n rep stosb") X(fxsave_, "fxsave [rdi]") \
	X(fxrstor_, "fxrstor [rdi]") X(xsave_, "mov eax, 7\n xor edx, edx\n xsave [rdi]") \
	X(xrstor_, "mov eax, 7\n xor edx, edx\n xrstor [rdi]") X(fnsave_, "fnsave [rdi]") X(frstor_, "frstor [rdi]") \
	X(fldenv_, "fldenv [rdi]") X(fldcw_, "fldcw [rdi]") X(fnstcw_, "fnstcw [rdi]") X(fnstsw_, "fnstsw [rdi]") \
	X(fbstp_, "fld1\n fbstp [rdi]") X(ldmxcsr_, "ldmxcsr [rdi]") X(stmxcsr_, "stmxcsr [rdi]") \
	X(maskmovdqu_, "pcmpeqd xmm1, xmm1\n maskmovdqu xmm0, xmm1") \
	X(maskmovq_, "pcmpeqd mm1, mm1\n maskmovq mm0, mm1\n emms") \
	X(vmaskmov_store, "vpcmpeqd ymm1, ymm1, ymm1\n vmaskmovps [rdi], ymm1, ymm0") \
	X(vmaskmov_load, "vpcmpeqd ymm1, ymm1, ymm1\n vmaskmovps ymm2, ymm1, [rdi]") \
	X(vmaskmov_half, "pcmpeqd xmm1, xmm1\n vpmaskmovd [rdi], ymm1, ymm0") \
	X(vmovups_store, "vmovups [rdi], ymm0") X(vmovups_load, "vmovups ymm3, [rdi]") \
	X(vmovaps_store, "vmovaps [rdi], ymm0") \
	X(gather, "vpcmpeqd ymm3, ymm3, ymm3\n vpxor ymm2, ymm2, ymm2\n vgatherdps ymm1, [rdi + ymm2*4], ymm3") \
	X(gather_step, "mov eax, 2\n vmovd xmm2, eax\n vpslldq xmm2, xmm2, 8\n vpcmpeqd xmm3, xmm3, xmm3\n" \
	  "vpgatherdq xmm1, [rdi + xmm2*4], xmm3") \
	X(movntdq_, "movntdq [rdi], xmm0") X(movhps_, "movhps [rdi], xmm0") X(pinsrq_, "pinsrq xmm0, [rdi], 1") \
	X(extractps_, "extractps [rdi], xmm0, 1") X(sgdt_, "sgdt [rdi]") X(call_far, "call fword ptr [rdi]") \
	X(jmp_far, "jmp fword ptr [rdi]") X(retf_, ".byte 0xcb") X(iretq_, "iretq") X(int80, "int 0x80") \
	X(lfs_, "lfs eax, [rdi]") X(mov_seg, "mov ds, [rdi]") X(rcl_, "rcl qword ptr [rdi], 5\n test eax, eax") \
	X(shld_, "shld [rdi], rbx, 7\n test eax, eax") \
	X(idiv_, "mov edx, -1\n idiv dword ptr [rdi]\n test eax, eax") \
	X(imul_, "imul rax, [rdi], 9\n test eax, eax") X(crc_, "crc32 rax, qword ptr [rdi]") \
	X(not_, "not dword ptr [rdi]") X(lock_not, "lock not word ptr [rdi]") \
	X(lock_neg, "lock neg dword ptr [rdi]") X(cmpxchg_, "cmpxchg [rdi], rbx") \
	X(lock_cmpxchg, "lock cmpxchg [rdi], ebx") X(xadd_b, "xadd [rdi], bl") X(xchg_b, "xchg [rdi], ah") \
	X(pop16, "pop word ptr [rdi]") X(push16, "push word ptr [rdi]") \
	X(movs_push, "movsd\n push rax\n movsd\n push rbx")
#define FORMS32(X) \
	X(pusha_, "pushad") X(popa_, "popad") X(pusha16, "pushaw") X(popa16, "popaw") X(enter32, "enter 8, 2") \
	X(leave32, "mov ebp, esi\n leave") X(les_, "les eax, [edi]") X(lds_, "lds eax, [edi]") \
	X(bound_, "bound eax, [edi]") X(call_far32, "call fword ptr [edi]") X(retf32, ".byte 0xcb") \
	X(retf_n, ".byte 0xca, 8, 0") X(iretd_, "iretd") X(int80_32, "int 0x80") X(into_, "into") \
	X(push_es, "push es") X(pop_es, "pop es") X(pop_ss, "pop ss") X(pushfd_, "pushfd") X(popfd_, "popfd") \
	X(call32, "call [edi]") X(push32, "push dword ptr [edi]") X(pop32, "pop dword ptr [edi]") \
	X(cx8_32, "cmpxchg8b [edi]") X(arpl_, "arpl [edi], ax") X(rep_movsd, "mov ecx, 6\n rep movsd") \
	X(add64, "add [edi], eax\n adc [edi + 4], edx") X(fstp32, "fld1\n fstp tbyte ptr [edi]") \
	X(fnsave32, "fnsave [edi]") X(movups32, "movups [edi], xmm0") X(xlat32, "mov ebx, edi\n xlatb") \
	X(bts32, "mov ecx, 999\n bts [edi], ecx")
#define AS_CODE64(name, text) CODE(at_##name, 64, "cmp rcx, rdx\n " text "\n setc dl\n adc r12, 0\n ud2");
#define AS_CODE32(name, text) CODE(at_##name, 32, "cmp ecx, edx\n " text "\n setc dl\n adc edx, 0\n ud2");
FORMS64(AS_CODE64)
FORMS32(AS_CODE32)
#define AS_ENTRY(name, text) { #name, at_##name, at_##name##_end },
static const struct form { const char *name; const uint8_t *code, *end; } forms64[] = { FORMS64(AS_ENTRY) },
	forms32[] = { FORMS32(AS_ENTRY) };

static const uint64_t places[] = {
	DATA_AT + 0x100, DATA_AT + 0x107, DATA_AT + 0xffc /* across pages that are there */, GONE - 8, GONE - 20,
		GONE + 8, READ_ONLY + 0x40,
	READ_ONLY - 6, 0xfffffffffffffff8, CODE_AT + 0xff8,
};

static void put(const struct form *f, bool wide, unsigned rdi, unsigned rsi, unsigned rsp)
{
	struct cpu_regs r;
	unsigned k;

	if (wide)
		start64(f->code, f->end);
	else
		start32(f->code, f->end);
	memset(m->ram + 0x70000, 0, 0x1000);
	put_le64(m->ram + 0x70000, 0xa001);                     /* the PAE one */
	for (k = 0; k < 512; k++)
		put_le64(m->ram + 0xa000 + 8 * k, (uint64_t)k << 21 | 0x87);
	put_le64(m->ram + 0xa000 + 8 * (GONE >> 21), 0);
	put_le64(m->ram + 0xa000 + 8 * (READ_ONLY >> 21), READ_ONLY | 0x85);
	memset(m->ram + CODE_AT + 0x800, 0, 0x1000);
	for (k = 0; k < 0x4000; k++)
		m->ram[DATA_AT + k] = (uint8_t)(k * 7);
	for (k = 0; k < 0x2000; k++)
		m->ram[GONE - 0x1000 + k] = m->ram[READ_ONLY - 0x1000 + k] = (uint8_t)(k * 5);
	put_le64(m->ram + DATA_AT + 0x100, CODE_AT);            /* something to jump to */
	put_le16(m->ram + DATA_AT + 0x104, wide ? FAKE_UCS64 | 3 : FAKE_UCS32 | 3);
	to_user(wide ? FAKE_UCS64 : FAKE_UCS32);
	r = regs();
	for (k = 0; k < (wide ? 16u : 8u); k++)
		if (k != 4)
			r.gpr[k] = wide ? 0x1111111111111111ull * k : 0x11111111ull * k;
	r.gpr[RDI] = wide ? places[rdi] : (uint32_t)places[rdi];
	r.gpr[RSI] = wide ? places[rsi] : (uint32_t)places[rsi];
	r.gpr[RSP] = wide ? places[rsp] : (uint32_t)places[rsp];
	r.gpr[RCX] = rdi & 1 ? 5 : 50;
	r.gpr[RDX] = 20;
	r.cr0 |= 0x80010000;
	r.cr4 |= 0x40620;
	if (!wide) {
		r.cr3 = 0x70000;
		for (k = 0; k < 6; k++)
			if (k != 1) {
				r.seg[k].selector = FAKE_UDS | 3;
				r.seg[k].attributes = 0xc0f3;
			}
	}
	cpu_set_regs(m->cpu, &r);
	m->cpu->s.xcr0 = 7;
	m->cpu->s.fpu.fcw = 0x37f;
	m->cpu->s.fpu.mxcsr = 0x1f80;
	for (k = 0; k < 16; k++)
		memset(m->cpu->s.fpu.xmm[k], (int)(0x30 + k), 16);
	cpu_mode_changed(m->cpu);
}

static bool vectors_differ(const struct fpu_area f[2])
{
	return memcmp(f[0].xmm, f[1].xmm, sizeof(f[0].xmm)) || memcmp(f[0].ymm_hi, f[1].ymm_hi,
		sizeof(f[0].ymm_hi)) || f[0].fcw != f[1].fcw ||
	       f[0].fsw != f[1].fsw || f[0].ftw != f[1].ftw || f[0].mxcsr != f[1].mxcsr || memcmp(f[0].st, f[1].st,
	       	sizeof(f[0].st));
}

static void same_faults(const struct form *forms, unsigned count, bool wide)
{
	struct fake_machine *machines[2];
	struct fpu_area fpu[2];
	unsigned n, a, b, e, wrong = 0, faults = 0;

	for (e = 0; e < 2; e++) {
		fake_engine = (enum cpu_engine)e;
		machines[e] = fake_machine_new(1, NULL);
	}
	for (n = 0; n < count; n++)
		for (a = 0; a < ARRAY_SIZE(places); a++)
			for (b = 0; b < ARRAY_SIZE(places); b += 3) {
				const char *what;

				for (e = 0; e < 2; e++) {
					m = machines[e];
					fake_engine = (enum cpu_engine)e;
					put(&forms[n], wide, a, b, (a + b) % ARRAY_SIZE(places));
					keep((enum cpu_engine)e, run_any());
					fpu[e] = m->cpu->s.fpu;
				}
				faults += vector_of[0] != 6;
				what = first_difference();
				if (!what && vectors_differ(fpu))
					what = "vector state";
				if (what && wrong++ < 10)
					print_error("%s, rdi %llx, rsi %llx: %s\n", forms[n].name,
						(unsigned long long)places[a],
						    (unsigned long long)places[b], what);
			}
	fake_machine_free(machines[0]);
	fake_machine_free(machines[1]);
	assert_int_equal(wrong, 0);
	assert_true(faults > count * 10);
}

static void forms_of_64_bit_code_fault_as_on_the_interpreter(void **state)
{
	(void)state;
	same_faults(forms64, ARRAY_SIZE(forms64), true);
}

static void forms_of_32_bit_code_fault_as_on_the_interpreter(void **state)
{
	(void)state;
	same_faults(forms32, ARRAY_SIZE(forms32), false);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_none, teardown_none)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(forms_of_64_bit_code_fault_as_on_the_interpreter), TEST(forms_of_32_bit_code_fault_as_on_the_interpreter),
	};

	(void)setup;
	(void)teardown;
	(void)run;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
