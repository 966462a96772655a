/* SPDX-License-Identifier: MIT */
/* Virtual-8086 mode and its extensions (SDM volume 3, 20.2 and 20.3), and those for protected mode (CR4.PVI, 20.4). */
#include "tests/unit/cpu/guest_bench.h"

enum {
	IF = 1 << 9, IOPL3 = 3 << 12, NT = 1 << 14, VM = 1 << 17, VIF = 1 << 19, VIP = 1 << 20,
	V86_AT = 0x11000, V86_SP = 0x8000, BITMAP = 0x80,
};

CODE(enter, 32, "iretd");
CODE(flags_dance, 16, "sti\n pushf\n pop ax\n cli\n pushf\n pop bx\n int3");
CODE(set_by_popf, 16, "push 0x202\n popf\n pushf\n pop ax\n push 0x2\n popf\n pushf\n pop bx\n int3");
CODE(set_by_iret, 16, "push 0x202\n push cs\n push 7f - set_by_iret\n iret\n hlt\n 7: pushf\n pop ax\n int3");
CODE(only_cli, 16, "cli\n int3");
CODE(only_sti, 16, "sti\n int3");
CODE(only_pushf, 16, "pushf\n int3");
CODE(only_pushfd, 16, "pushfd\n int3");
CODE(popf_if, 16, "push 0x202\n popf\n int3");
CODE(popf_tf, 16, "push 0x102\n popf\n int3");
CODE(interrupt, 16, "mov cx, 1\n int 0x21\n inc cx\n int3");
CODE(dos_handler, 16, "mov bp, sp\n mov ax, [bp + 4]\n mov dx, [bp]\n pushf\n pop bx\n iret");
CODE(use_port, 16, "in al, 0x60\n in al, 0x61\n int3");
CODE(halts, 16, "hlt");
CODE(pvi, 32, "sti\n pushfd\n pop eax\n cli\n pushfd\n pop ebx\n int 0x80");

/* In V86 mode at V86_AT with these EFLAGS, CR4.VME or not; the TSS has an interrupt redirection map of zeros. */
static void start_v86(const uint8_t *code, const uint8_t *end, uint32_t flags, bool vme)
{
	struct cpu_regs r;
	uint32_t frame[] = { 0, V86_AT >> 4, VM | 2 | flags, V86_SP, 0x2000, 0, 0, 0, 0 };

	START32(enter);
	fake_code(m, V86_AT, code, (size_t)(end - code));
	/* the I/O map at 80h behind the 32 bytes of redirection map, all of it within the limit */
	put_le16(m->ram + FAKE_TSS_AT + 0x66, BITMAP + 32);
	memset(m->ram + FAKE_TSS_AT + BITMAP, 0, 32 + 0x100);
	for (unsigned k = 0; k < ARRAY_SIZE(frame); k++)
		put_le32(m->ram + STACK_AT - 36 + 4 * k, frame[k]);
	r = regs();
	r.gpr[4] = STACK_AT - 36;
	r.cr4 = vme ? r.cr4 | 1 : r.cr4 & ~1ull;
	r.tr.limit = BITMAP + 32 + 0x100 - 1;
	cpu_set_regs(m->cpu, &r);
}
#define V86(code, flags, vme) start_v86(code, code##_end, flags, vme)

/* It ends in this vector's handler with this error code at the offset `ip` of the V86 code; the frame's EFLAGS. */
static uint32_t ends(int vector, uint32_t ip)
{
	bool code = vector == 13;

	assert_int_equal(run(), vector);
	if (code)
		assert_int_equal(frame32(0), 0);
	assert_int_equal(frame32(code), ip);
	assert_int_equal(frame32(code + 2) & VM, VM);
	return frame32(code + 2);
}

static void with_vme_a_program_has_an_interrupt_flag_of_its_own(void **state)
{
	uint32_t flags;

	(void)state;
	V86(flags_dance, IF, true);
	flags = ends(3, flags_dance_end - flags_dance);
	assert_int_equal(regs().gpr[0] & (IF | IOPL3), IF | IOPL3);     /* PUSHF shows VIF as IF, and IOPL 3 */
	assert_int_equal(regs().gpr[3] & (IF | IOPL3), IOPL3);
	assert_int_equal(flags & (IF | VIF | IOPL3), IF);               /* the real ones are untouched */
	V86(set_by_popf, 0, true);
	flags = ends(3, set_by_popf_end - set_by_popf);
	assert_int_equal(regs().gpr[0] & IF, IF);
	assert_int_equal(regs().gpr[3] & IF, 0);
	assert_int_equal(flags & (IF | VIF), 0);
	V86(set_by_iret, 0, true);
	flags = ends(3, set_by_iret_end - set_by_iret);
	assert_int_equal(regs().gpr[0] & IF, IF);
	assert_int_equal(flags & (IF | VIF), VIF);
}

static void without_it_those_instructions_are_the_monitors(void **state)
{
	(void)state;
	V86(only_cli, 0, false);
	ends(13, 0);
	V86(only_sti, 0, false);
	ends(13, 0);
	V86(only_pushf, 0, false);
	ends(13, 0);
	V86(popf_if, 0, false);
	ends(13, 3);
	V86(only_pushfd, 0, true);              /* of 32 bits: with VME, too */
	ends(13, 0);
	V86(only_cli, IOPL3 | IF, false);
	assert_int_equal(ends(3, 2) & IF, 0);   /* with IOPL 3 it has the real flag */
	V86(only_sti, IOPL3, true);
	assert_int_equal(ends(3, 2) & (IF | VIF), IF);
}

/* SDM volume 3, 20.3.2: with VIP set, the monitor wants to hear of it when the program allows interrupts. */
static void a_pending_virtual_interrupt_traps(void **state)
{
	(void)state;
	V86(only_sti, VIP, true);
	ends(13, 0);
	V86(popf_if, VIP, true);
	ends(13, 3);
	V86(set_by_iret, VIP, true);
	ends(13, set_by_iret_end - set_by_iret - 5);
	V86(only_cli, VIP | VIF, true);
	assert_int_equal(ends(3, 2) & (VIP | VIF), VIP);
	V86(popf_tf, 0, true);                  /* single stepping is the monitor's, too */
	ends(13, 3);
}

static void the_redirection_map_sends_int_n_to_the_programs_own_handler(void **state)
{
	uint32_t flags;

	(void)state;
	V86(interrupt, VIF, true);
	put_le32(m->ram + 4 * 0x21, 0x1200u << 16);
	PUT_CODE(m, 0x12000, dos_handler);
	flags = ends(3, interrupt_end - interrupt);
	assert_int_equal(regs().gpr[1] & 0xffff, 2);
	assert_int_equal(regs().gpr[2] & 0xffff, 5);                    /* IP behind INT */
	assert_int_equal(regs().gpr[0] & (IF | IOPL3), IF | IOPL3);     /* VIF on its stack, as IF */
	assert_int_equal(regs().gpr[3] & IF, 0);                        /* off in the handler */
	assert_int_equal(flags & (IF | VIF), VIF);                      /* IRET has brought it back */
	/* with IOPL 3 it is IF itself */
	V86(interrupt, IOPL3 | IF, true);
	put_le32(m->ram + 4 * 0x21, 0x1200u << 16);
	PUT_CODE(m, 0x12000, dos_handler);
	flags = ends(3, interrupt_end - interrupt);
	assert_int_equal(regs().gpr[3] & IF, 0);
	assert_int_equal(flags & (IF | VIF), IF);
}

static void a_bit_in_the_map_sends_it_to_the_monitor(void **state)
{
	(void)state;
	V86(interrupt, 0, true);
	m->ram[FAKE_TSS_AT + BITMAP + 0x21 / 8] = 1 << (0x21 % 8);
	ends(13, 3);                                                    /* IOPL 0: #GP */
	V86(interrupt, IOPL3, true);
	m->ram[FAKE_TSS_AT + BITMAP + 0x21 / 8] = 1 << (0x21 % 8);
	ends(0x21, 5);                                                  /* IOPL 3: through the IDT */
	V86(interrupt, 0, false);                                       /* no VME: no map */
	ends(13, 3);
	V86(interrupt, 0, true);                                        /* a map that lies outside the TSS is none */
	{
		struct cpu_regs r = regs();

		r.tr.limit = 0x67;
		cpu_set_regs(m->cpu, &r);
	}
	ends(13, 3);
}

/* In V86 mode the I/O map decides whatever IOPL is. */
static void ports_go_by_the_map_alone(void **state)
{
	(void)state;
	V86(use_port, IOPL3, false);
	m->ram[FAKE_TSS_AT + BITMAP + 32 + 0x60 / 8] = 1 << 1;
	ends(13, 2);
	assert_int_equal(m->accesses, 1);
	V86(halts, IOPL3, true);
	ends(13, 0);
}

static void pvi_gives_protected_mode_programs_the_same_flag(void **state)
{
	struct cpu_regs r;

	(void)state;
	for (int on = 0; on < 2; on++) {
		START32(pvi);
		to_user(FAKE_UCS32);
		r = regs();
		r.cr4 = on ? r.cr4 | 2 : r.cr4 & ~2ull;
		r.rflags |= IF;
		cpu_set_regs(m->cpu, &r);
		if (!on) {
			assert_int_equal(run(), 13);
			continue;
		}
		assert_int_equal(run(), 0x80);
		assert_int_equal(regs().gpr[0] & (IF | VIF), IF | VIF);         /* PUSHF shows both as they are */
		assert_int_equal(regs().gpr[3] & (IF | VIF), IF);
	}
	START32(pvi);
	to_user(FAKE_UCS32);
	r = regs();
	r.cr4 |= 2;
	r.rflags |= VIP;
	cpu_set_regs(m->cpu, &r);
	assert_int_equal(run(), 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_AND_FREE(with_vme_a_program_has_an_interrupt_flag_of_its_own),
		TEST_AND_FREE(without_it_those_instructions_are_the_monitors),
		TEST_AND_FREE(a_pending_virtual_interrupt_traps),
		TEST_AND_FREE(the_redirection_map_sends_int_n_to_the_programs_own_handler),
		TEST_AND_FREE(a_bit_in_the_map_sends_it_to_the_monitor), TEST_AND_FREE(ports_go_by_the_map_alone),
		TEST_AND_FREE(pvi_gives_protected_mode_programs_the_same_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
