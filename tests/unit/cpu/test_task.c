/* SPDX-License-Identifier: MIT */
/* Task switches with the 80286's segments of 16 bits (SDM volume 3, 8.6); those of 32 bits are in test_seg.c. */
#include "tests/unit/cpu/guest_bench.h"

enum {
	TASK = 0x80, LDT = 0x88, TASK_AT = 0x4000, TASK_CODE = 0x41000, NT = 1 << 14,
	/* offsets in a TSS of 16 bits */
	LINK = 0, SP0 = 2, SS0 = 4, IP = 0x0e, FLAGS = 0x10, AX = 0x12, CX = 0x14, DX = 0x16, BX = 0x18,
	SP = 0x1a, BP = 0x1c, ES = 0x22, CS = 0x24, SS = 0x26, DS = 0x28, LDT_AT = 0x2a, LIMIT = 0x2b,
};

CODE(jump, 32, "mov ebx, 0x12340001\n mov ecx, 0xabcd5678\n .byte 0xea\n .long 0\n .word 0x80\n inc ebx\n hlt");
CODE(call, 32, "mov ebx, 1\n .byte 0x9a\n .long 0\n .word 0x80\n inc ebx\n hlt");
CODE(wait_for_int, 32, "mov ebx, 1\n int 0x40\n inc ebx\n hlt");
/* in the 16-bit task */
CODE(stays, 16, "mov ax, ss\n mov dx, ds\n hlt");
CODE(jumps_back, 16, "mov bx, 77\n mov cx, 88\n .byte 0xea\n .word 0, 0x38\n inc bx\n hlt");
CODE(returns, 16, "pushf\n pop cx\n iret\n inc bx\n hlt");
CODE(outer, 16, "int 0x41\n hlt");

static void word(unsigned offset, uint16_t v)
{
	put_le16(m->ram + TASK_AT + offset, v);
}

/* Code at TASK_CODE in a segment of 64 KB, so its IP is 1000h. */
static void make_task(const uint8_t *code, const uint8_t *end)
{
	fake_descriptor(m, TASK, TASK_AT, LIMIT, 0x0081);
	fake_descriptor(m, FAKE_CS16, 0x40000, 0xffff, 0x009b);
	fake_descriptor(m, FAKE_DS16, 0x20000, 0xffff, 0x0093);
	memset(m->ram + TASK_AT, 0xee, 0x80);
	memset(m->ram + TASK_AT, 0, LIMIT + 1);
	fake_code(m, TASK_CODE, code, (size_t)(end - code));
	word(IP, 0x1000);
	word(FLAGS, 2);
	word(BX, 40);
	word(SP, 0x4000);
	word(BP, 0x5555);
	word(ES, FAKE_DS32);
	word(CS, FAKE_CS16);
	word(SS, FAKE_DS16);
	word(DS, FAKE_DS16);
}
#define MAKE_TASK(code) make_task(code, code##_end)

static unsigned tss_type(void) { return m->ram[FAKE_GDT + TASK + 5] & 0xf; }

static void a_jump_loads_sixteen_bits_of_everything(void **state)
{
	struct cpu_regs r;

	(void)state;
	START32(jump);
	MAKE_TASK(stays);
	assert_int_equal(run(), NO_VECTOR);
	r = regs();
	assert_int_equal(r.tr.selector, TASK);
	assert_int_equal(tss_type(), 3);                        /* busy */
	assert_int_equal(r.seg[1].selector, FAKE_CS16);
	assert_int_equal(r.rip, 0x1000 + (stays_end - stays));
	assert_int_equal(r.gpr[3] & 0xffff, 40);
	assert_int_equal(r.gpr[4] & 0xffff, 0x4000);
	assert_int_equal(r.gpr[5] & 0xffff, 0x5555);
	assert_int_equal(r.gpr[0] & 0xffff, FAKE_DS16);
	assert_int_equal(r.gpr[2] & 0xffff, FAKE_DS16);
	assert_int_equal(r.seg[0].selector, FAKE_DS32);
	assert_int_equal(r.seg[4].selector, 0);                 /* FS and GS: it has none */
	assert_int_equal(r.seg[5].selector, 0);
	assert_int_equal(r.cr0 & 8, 8);                         /* TS */
	/* the old task, of 32 bits, is saved whole and no longer busy */
	assert_int_equal(le32(m->ram + FAKE_TSS_AT + 0x34), 0x12340001);
	assert_int_equal(le32(m->ram + FAKE_TSS_AT + 0x2c), 0xabcd5678);
	assert_int_equal(le32(m->ram + FAKE_TSS_AT + 0x20), CODE_AT + (jump_end - jump) - 2);
	assert_int_equal(m->ram[FAKE_GDT + FAKE_TSS + 5] & 0xf, 9);
}

static void a_jump_back_saves_sixteen_bits_and_nothing_behind_them(void **state)
{
	(void)state;
	START32(jump);
	MAKE_TASK(jumps_back);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().tr.selector, FAKE_TSS);
	assert_int_equal(regs().gpr[3], 0x12340002);
	assert_int_equal(regs().gpr[1], 0xabcd5678);
	assert_int_equal(tss_type(), 1);
	assert_int_equal(le16(m->ram + TASK_AT + BX), 77);
	assert_int_equal(le16(m->ram + TASK_AT + CX), 88);
	assert_int_equal(le16(m->ram + TASK_AT + IP), 0x1000 + (jumps_back_end - jumps_back) - 2);
	assert_int_equal(le16(m->ram + TASK_AT + CS), FAKE_CS16);
	assert_int_equal(le16(m->ram + TASK_AT + LDT_AT), 0);
	for (unsigned i = LIMIT + 1; i < 0x80; i++)
		assert_int_equal(m->ram[TASK_AT + i], 0xee);
}

static void a_call_links_back_and_iret_returns(void **state)
{
	(void)state;
	START32(call);
	MAKE_TASK(returns);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().tr.selector, FAKE_TSS);
	assert_int_equal(regs().gpr[3], 2);
	assert_int_equal(regs().rflags & NT, 0);
	assert_int_equal(le16(m->ram + TASK_AT + LINK), FAKE_TSS);
	assert_int_equal(le16(m->ram + TASK_AT + CX) & NT, NT);
	assert_int_equal(le16(m->ram + TASK_AT + FLAGS) & NT, 0);       /* IRET saves it cleared */
	assert_int_equal(tss_type(), 1);
	assert_int_equal(m->ram[FAKE_GDT + FAKE_TSS + 5] & 0xf, 0xb);   /* the caller stayed busy */
}

static void a_task_gate_leads_there_and_pushes_an_error_code_of_sixteen_bits(void **state)
{
	(void)state;
	START32(wait_for_int);
	MAKE_TASK(stays);
	put_le64(m->ram + FAKE_IDT + 8 * 0x40, (uint64_t)TASK << 16 | 0xe5ull << 40);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().tr.selector, TASK);
	assert_int_equal(regs().gpr[4] & 0xffff, 0x4000);               /* INT n pushes none */
	START32(wait_for_int);
	MAKE_TASK(stays);
	put_le64(m->ram + FAKE_IDT + 8 * 13, (uint64_t)TASK << 16 | 0xe5ull << 40);
	memset(m->ram + FAKE_IDT + 8 * 0x40, 0, 8);                     /* no gate: #GP(40h * 8 + 2) */
	put_le32(m->ram + 0x20000 + 0x3ffc, 0xdddddddd);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[4] & 0xffff, 0x3ffe);
	assert_int_equal(le32(m->ram + 0x20000 + 0x3ffc), (0x40u * 8 + 2) << 16 | 0xdddd);
}

static void an_interrupt_from_an_outer_ring_takes_the_stack_of_sixteen_bits(void **state)
{
	struct cpu_regs r;

	(void)state;
	START32(jump);
	MAKE_TASK(outer);
	fake_descriptor(m, FAKE_CS16, 0x40000, 0xffff, 0x00fb);         /* the task runs at ring 3 */
	fake_descriptor(m, FAKE_DS16, 0x20000, 0xffff, 0x00f3);
	word(CS, FAKE_CS16 | 3);
	word(SS, FAKE_DS16 | 3);
	word(DS, FAKE_DS16 | 3);
	word(ES, FAKE_DS16 | 3);
	word(SP0, 0x7000);
	word(SS0, FAKE_DS32);
	assert_int_equal(run(), 0x41);
	r = regs();
	assert_int_equal(r.seg[2].selector, FAKE_DS32);
	assert_int_equal(r.gpr[4], 0x7000 - 20);
	assert_int_equal(frame32(1), FAKE_CS16 | 3);
	assert_int_equal(frame32(3), 0x4000);
	assert_int_equal(frame32(4), FAKE_DS16 | 3);
}

static void a_segment_too_short_for_a_task_is_ts(void **state)
{
	(void)state;
	START32(jump);
	MAKE_TASK(stays);
	fake_descriptor(m, TASK, TASK_AT, LIMIT - 1, 0x0081);
	assert_int_equal(run(), 10);
	assert_int_equal(frame32(0), TASK);
	assert_int_equal(regs().tr.selector, FAKE_TSS);
	START32(jump);
	MAKE_TASK(stays);
	fake_descriptor(m, TASK, TASK_AT, LIMIT, 0x0083);               /* busy already */
	assert_int_equal(run(), 13);
	assert_int_equal(frame32(0), TASK);
	START32(jump);
	MAKE_TASK(stays);
	fake_descriptor(m, TASK, TASK_AT, LIMIT, 0x0001);               /* not present */
	assert_int_equal(run(), 11);
	assert_int_equal(frame32(0), TASK);
}

/* Faults over what a TSS holds come in the new task, whose registers are loaded by then. */
static void a_bad_segment_in_it_is_ts_in_the_new_task(void **state)
{
	const uint8_t *stack;

	(void)state;
	START32(jump);
	MAKE_TASK(stays);
	word(DS, 0x1000);                                               /* beyond the GDT */
	assert_int_equal(run(), 10);
	assert_int_equal(regs().tr.selector, TASK);
	stack = m->ram + 0x20000 + (regs().gpr[4] & 0xffff);            /* its own */
	assert_int_equal(le32(stack), 0x1000);
	assert_int_equal(le32(stack + 4), 0x1000);                      /* IP: nothing has run */
	assert_int_equal(regs().gpr[3] & 0xffff, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_AND_FREE(a_jump_loads_sixteen_bits_of_everything),
		TEST_AND_FREE(a_jump_back_saves_sixteen_bits_and_nothing_behind_them),
		TEST_AND_FREE(a_call_links_back_and_iret_returns),
		TEST_AND_FREE(a_task_gate_leads_there_and_pushes_an_error_code_of_sixteen_bits),
		TEST_AND_FREE(an_interrupt_from_an_outer_ring_takes_the_stack_of_sixteen_bits),
		TEST_AND_FREE(a_segment_too_short_for_a_task_is_ts),
		TEST_AND_FREE(a_bad_segment_in_it_is_ts_in_the_new_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
