/* SPDX-License-Identifier: MIT */
/*
 * The translator on code with segments: real, virtual-8086 and 16-bit protected mode, 32-bit code in segments that are not
 * flat.  Each program runs on both engines, to its end and cut off in many places, and must leave the same registers,
 * segments and memory; and it must be the translator that ran it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/xlat/xlat.h"
#include "tests/unit/cpu/guest_bench.h"
#include "tests/unit/cpu/storm.h"

enum { COMPARED = 0x100000, COUNTER = 0x20, ROUNDS = 40, DS_AT = 0x50000, ES_AT = 0x60000, BIG_AT = 0x200000 };

static struct fake_machine *machines[2];
static struct cpu_regs left[2];
static uint64_t entered;

static int setup_both(void **state)
{
	unsigned e;

	(void)state;
	fake_icount = true;
	for (e = 0; e < 2; e++) {
		fake_engine = (enum cpu_engine)e;
		machines[e] = fake_machine_new(1, NULL);
	}
	entered = 0;
	return 0;
}

static int teardown_both(void **state)
{
	(void)state;
	fake_machine_free(machines[0]);
	fake_machine_free(machines[1]);
	return 0;
}

static void seed(struct cpu_regs *r)
{
	unsigned k;

	for (k = 0; k < 8; k++)
		r->gpr[k] = 0xdead0000u + 0x111 * k;
	r->gpr[4] = 0xcafe1000;
	r->gpr[6] = 0xbeef0100;
	r->gpr[7] = 0xbeef0200;
	r->rflags = 2;
}

static void fill(void)
{
	unsigned k;

	for (k = 0; k < 0x20000; k++)
		m->ram[DS_AT + k] = (uint8_t)(k * 7 + (k >> 8));
	memset(m->ram + STACK_AT, 0, 0x10000);
	memset(m->ram + BIG_AT, 0x5a, 0x1000);
	put_le16(m->ram + DS_AT + COUNTER, ROUNDS);
}

static struct cpu_segment segment16(uint16_t selector)
{
	return (struct cpu_segment){ .selector = selector, .base = (uint64_t)selector << 4, .limit = 0xffff, .attributes = 0x93 };
}

/* CS:0 is the program; DS, ES, SS and the others are apart. */
static void prepare_real(const uint8_t *code, const uint8_t *end)
{
	struct cpu_regs r;

	start16(code, end);
	fill();
	r = regs();
	seed(&r);
	r.seg[0] = segment16(ES_AT >> 4);
	r.seg[2] = segment16(STACK_AT >> 4);
	r.seg[3] = segment16(DS_AT >> 4);
	r.seg[4] = segment16((DS_AT >> 4) + 0x10);
	r.seg[5] = segment16((DS_AT >> 4) + 0x20);
	cpu_set_regs(m->cpu, &r);
}

static const char *difference(void)
{
	static char text[160];
	const struct cpu_regs *a = &left[0], *b = &left[1];
	unsigned k;

	if (a->rip != b->rip || a->rflags != b->rflags || a->seg[1].selector != b->seg[1].selector) {
		snprintf(text, sizeof(text), "interp at %x:%llx flags %llx, xlat at %x:%llx flags %llx", a->seg[1].selector,
			 (unsigned long long)a->rip, (unsigned long long)a->rflags, b->seg[1].selector, (unsigned long long)b->rip,
			 (unsigned long long)b->rflags);
		return text;
	}
	for (k = 0; k < 8; k++)
		if (a->gpr[k] != b->gpr[k]) {
			snprintf(text, sizeof(text), "r%u: interp %llx, xlat %llx", k, (unsigned long long)a->gpr[k], (unsigned long long)b->gpr[k]);
			return text;
		}
	for (k = 0; k < 6; k++)
		if (a->seg[k].selector != b->seg[k].selector || a->seg[k].base != b->seg[k].base || a->seg[k].limit != b->seg[k].limit ||
		    a->seg[k].attributes != b->seg[k].attributes) {
			snprintf(text, sizeof(text), "segment %u: interp %x base %llx limit %x attributes %x, xlat %x base %llx limit %x attributes %x", k,
				 a->seg[k].selector, (unsigned long long)a->seg[k].base, a->seg[k].limit, a->seg[k].attributes, b->seg[k].selector,
				 (unsigned long long)b->seg[k].base, b->seg[k].limit, b->seg[k].attributes);
			return text;
		}
	for (k = 0; k < COMPARED; k++)
		if (machines[0]->ram[k] != machines[1]->ram[k]) {
			snprintf(text, sizeof(text), "memory at %x: interp %02x, xlat %02x", k, machines[0]->ram[k], machines[1]->ram[k]);
			return text;
		}
	return memcmp(machines[0]->ram + BIG_AT, machines[1]->ram + BIG_AT, 0x1000) ? "memory above 1 MB" : NULL;
}

enum { SHUTDOWN = -2 };

static int where(void)
{
	uint64_t at = regs().rip - 1 + (regs().seg[1].selector == HANDLERS_AT >> 4 ? HANDLERS_AT : 0);

	return at >= HANDLERS_AT && at < HANDLERS_AT + 0x1000 ? (int)(at - HANDLERS_AT) / 16 : NO_VECTOR;
}

/* Ends in this vector's handler, or at its own HLT. */
static void same(const char *name, int vector, void (*prepare)(const uint8_t *, const uint8_t *), const uint8_t *code, const uint8_t *end)
{
	struct xlat *x = machines[1]->cpu->x;
	unsigned budget, e;
	uint64_t by_interp;

	for (budget = 0; budget < 30; budget++) {
		by_interp = x->count.interpreted;
		for (e = 0; e < 2; e++) {
			int found = SHUTDOWN;

			m = machines[e];
			fake_engine = (enum cpu_engine)e;
			prepare(code, end);
			if (budget || cpu_run(m->cpu, 10000000) != CPU_EXIT_SHUTDOWN)
				found = budget ? (int)cpu_run(m->cpu, budget * 5) : where();
			left[e] = regs();
			if (!budget && found != vector)
				fail_msg("%s on engine %u: vector %d, not %d, at %x:%llx", name, e, found, vector, left[e].seg[1].selector,
					 (unsigned long long)left[e].rip);
		}
		if (difference())
			fail_msg("%s, budget %u: %s", name, budget, difference());
		if (!budget && x->count.interpreted - by_interp > 8)
			fail_msg("%s: the interpreter ran %llu blocks", name, (unsigned long long)(x->count.interpreted - by_interp));
	}
	/* It was translated: the interpreter only had what a budget cut off, or a fetch that faults. */
	assert_true(x->count.enters > entered);
	entered = x->count.enters;
}
#define REAL(code, vector) same(#code, vector, prepare_real, code, code##_end)

/* --- real mode --------------------------------------------------------------------------------------------------- */

#define AGAIN "dec word ptr [0x20]\n jnz 1b\n hlt\n"
CODE(stack, 16, "1: mov sp, 2\n push ax\n push cx\n pop dx\n pop bx\n mov sp, 0\n call 2f\n mov esp, 0xabcd0004\n push eax\n push ax\n pop si\n pop edi\n"
     "mov ebp, 0x77770004\n enter 6, 0\n mov [bp - 2], ax\n leave\n pusha\n popa\n pushf\n pop ax\n push 0x1234\n push word ptr [0x10]\n pop word ptr [0x12]\n"
     "push es\n pop fs\n pop cx\n pushfd\n popfd\n push -3\n pop ebx\n call word ptr [0x30]\n mov dx, offset 3f - stack\n call dx\n inc ax\n" AGAIN "2: inc bp\n ret\n 3: inc bp\n ret");
CODE(addresses, 16, "1: mov ax, [bx + si + 7]\n mov [bp + di - 3], ax\n add [di], eax\n lea ecx, [bx + di]\n lea si, [bp + 5]\n xlatb\n mov al, cs:[si + 1]\n mov es:[di + 4], ax\n"
     "adc word ptr fs:[bx], 3\n mov gs:[0x40], al\n mov ebx, 0x300\n mov edi, [ebx + ebx * 2]\n lock xadd [ebx], edx\n add es:[ebx + 8], ecx\n sbb byte ptr [0xffff], 1\n movzx edi, word ptr [bx]\n"
     "imul si, [bx + 2], 3\n bts [bx], ax\n bt eax, 3\n cmpxchg [bx + 4], cx\n xchg [bx + 6], dl\n shl word ptr [bx + 8], 3\n setc [bx + 10]\n cmovc ax, [bx + 12]\n mov ah, [bx]\n"
     "and di, 0x7ff\n and si, 0x7ff\n mov bp, 0x600\n neg dword ptr [bx]\n cwd\n cbw\n jcxz 2f\n inc dh\n 2: mov cx, 3\n 3: add dl, cl\n loop 3b\n mov cx, 4\n 4: cmp dl, cl\n loopne 4b\n"
     "mov ecx, 2\n 5: addr32 loop 5b\n aam\n aad\n daa\n aas\n .byte 0xd6\n and bx, 0x7ff\n" AGAIN);
/* The same offset in two segments. */
CODE(far_calls, 16, "1: .byte 0x9a\n .word 0x40, 0x1100\n .byte 0x9a\n .word 0x40, 0x1200\n call dword ptr [0x34]\n .byte 0xea\n .word 2f - far_calls, 0x1000\n nop\n 2: pushf\n push cs\n push 3f - far_calls\n"
     "iret\n nop\n 3: .byte 0x66, 0x9a\n .long 0x60\n .word 0x1200\n" AGAIN);
CODE(in_segment, 16, "mov dx, 0x80\n call dx\n jmp 4f\n nop\n 4: retf\n");
CODE(in_segment32, 16, "inc bp\n .byte 0x66\n retf\n");
CODE(adds_3, 16, "add bp, 3\n ret");
CODE(adds_80, 16, "add bp, 80\n add ax, bp\n ret");
CODE(reloads, 16, "mov ax, 0x5000\n 1: mov ds, ax\n add [si], bx\n add ax, 0x11\n push ax\n pop es\n mov es:[di], ax\n mov fs, [0x42]\n mov dx, fs\n mov gs, dx\n add gs:[si], dx\n les di, [0x44]\n"
     "and di, 0xff\n lds si, [bp]\n and si, 0xff\n mov cx, es\n mov [si + 2], es\n mov edx, ds\n mov bx, 0x2000\n mov ss, bx\n mov sp, 0x1000\n push ss\n pop bx\n lss sp, cs:[9f - reloads]\n mov bp, 0x5000\n mov ds, bp\n"
     "mov bp, 0x800\n" AGAIN "9: .word 0x900, 0x2100");
CODE(calls_interrupts, 16, "1: int 0x21\n sti\n nop\n cli\n mov ax, 0x7fff\n add ax, cx\n into\n int3\n pushf\n pop dx\n bound si, [0x48]\n" AGAIN);
CODE(dos, 16, "add bp, 1\n push bp\n mov bp, sp\n or word ptr [bp + 6], 1\n pop bp\n iret");
CODE(strings, 16, "1: mov si, 0xfff6\n mov di, 0xfffa\n mov cx, 20\n rep movsb\n mov si, 0x10\n mov di, 0x21\n mov cx, 9\n std\n rep movsw\n movsb\n stosb\n lodsb\n stosw\n cld\n lodsw\n stosb\n movsw\n"
     "lodsd\n stosd\n movsd\n mov di, 0xfffe\n stosw\n stosw\n mov si, 0xffff\n lodsb\n es lodsb\n mov cx, 12\n repe cmpsb\n mov cx, 30\n repne scasw\n mov esi, 0x100\n mov edi, 0x400\n mov ecx, 7\n addr32 rep movsd\n"
     "addr32 movsb\n mov cx, 0\n rep stosb\n mov cx, 1000\n rep stosw\n mov si, 0x2000\n mov di, 0x2001\n mov cx, 3000\n rep movsb\n std\n mov cx, 5000\n rep movsb\n mov cx, 300\n rep stosb\n cld\n" AGAIN);
CODE(rewrites, 16, "1: inc byte ptr cs:[2f - rewrites + 1]\n 2: mov bl, 0\n add dx, bx\n add byte ptr cs:[3f - rewrites + 2], 3\n nop\n 3: add ax, 0x1000\n mov word ptr cs:[4f - rewrites], 0x4545\n test bl, 1\n"
     "jz 5f\n mov word ptr cs:[4f - rewrites], 0x4d45\n 5: .skip 3, 0x90\n 4: nop\n nop\n inc word ptr cs:[6f - rewrites]\n" AGAIN "6: .word 0");
CODE(steps, 16, "pushf\n pop ax\n or ah, 1\n push ax\n popf\n 1: add bx, cx\n call 2f\n mov cx, 3\n rep stosb\n mov ds, si\n mov si, ds\n mov dx, 0x5000\n mov ds, dx\n push ss\n pop ss\n inc dx\n dec word ptr [0x20]\n jnz 1b\n hlt\n"
     "2: inc ax\n ret");
CODE(counts_steps, 16, "push ax\n mov ax, cs:[0x100]\n inc ax\n mov cs:[0x100], ax\n pop ax\n iret");

static void put_words(void)
{
	put_le16(m->ram + DS_AT + 0x30, 0);                             /* set below */
	put_le32(m->ram + DS_AT + 0x34, 0x11000040);
	put_le16(m->ram + DS_AT + 0x42, 0x5345);
	put_le32(m->ram + DS_AT + 0x44, 0x60120123);
	put_le32(m->ram + DS_AT + 0x48, 0x7fff8000);
	PUT_CODE(m, 0x11040, in_segment);
	PUT_CODE(m, 0x12040, in_segment);
	PUT_CODE(m, 0x12060, in_segment32);
	PUT_CODE(m, 0x11080, adds_3);
	PUT_CODE(m, 0x12080, adds_80);
	PUT_CODE(m, 0x13000, dos);
	PUT_CODE(m, 0x14000, counts_steps);
	put_le16(m->ram + 0x14100, 0);
	put_le32(m->ram + 4 * 1, 0x1400u << 16);
	put_le32(m->ram + 4 * 3, 0x1300u << 16);
	put_le32(m->ram + 4 * 4, 0x1300u << 16);
	put_le32(m->ram + 4 * 0x21, 0x1300u << 16);
	put_le32(m->ram + STACK_AT + 0x800, 0x50030077);
}

static void prepare_more(const uint8_t *code, const uint8_t *end)
{
	prepare_real(code, end);
	put_words();
	put_le16(m->ram + DS_AT + 0x30, (uint16_t)(end - code - 2));   /* `stack`: its last INC BP, RET */
	set_reg_value(5, 0x99990800);
}
#define MORE(code, vector) same(#code, vector, prepare_more, code, code##_end)

static void real_mode_programs_end_the_same(void **state)
{
	(void)state;
	MORE(stack, NO_VECTOR);
	MORE(addresses, NO_VECTOR);
	MORE(reloads, NO_VECTOR);
	MORE(calls_interrupts, NO_VECTOR);
	MORE(strings, NO_VECTOR);
}

static void the_same_offset_in_two_segments_is_two_places(void **state)
{
	(void)state;
	MORE(far_calls, NO_VECTOR);
	assert_true(machines[1]->cpu->x->segments >= 3);
}

static void real_mode_code_that_writes_itself_runs_as_written(void **state)
{
	(void)state;
	MORE(rewrites, NO_VECTOR);
}

static void single_steps_hit_in_real_mode(void **state)
{
	(void)state;
	MORE(steps, NO_VECTOR);
	assert_true(le16(machines[1]->ram + 0x14100) > 0);
}

CODE(over_ds, 16, "mov ax, [0xfffe]\n mov cl, [0xffff]\n mov ax, [0xffff]\n hlt");
CODE(over_ds_store, 16, "inc bx\n mov si, 0xfffd\n mov [si], eax\n hlt");
CODE(over_ss, 16, "mov bp, 0xffff\n mov al, [bp]\n stc\n adc [bp], ax\n hlt");
CODE(over_32, 16, "mov ebx, 0xffff\n mov al, [ebx]\n mov al, [ebx + 1]\n hlt");
CODE(push_over, 16, "mov sp, 1\n push ax\n hlt");
CODE(push32_over, 16, "mov sp, 2\n push eax\n hlt");
CODE(call_over, 16, "mov sp, 1\n call 1f\n 1: hlt");
CODE(string_over, 16, "mov si, 0xfff9\n mov cx, 8\n rep lodsw\n hlt");
CODE(jump_over, 16, "mov eax, 0x10000\n jmp eax\n hlt");
CODE(call_eax_over, 16, "mov eax, 0x10000\n call eax\n hlt");
CODE(ret_over, 16, "push 1\n push 0\n .byte 0x66\n ret\n hlt");
CODE(jcc_over, 16, "xor ax, ax\n .byte 0x66, 0x0f, 0x84\n .long 0x20000\n hlt");
CODE(runs_off, 16, "mov ax, 0xfffc\n jmp ax");
CODE(divides, 16, "mov dx, 5\n xor bx, bx\n div bx\n hlt");

static void offsets_beyond_the_limit_fault_as_their_segment_does(void **state)
{
	(void)state;
	REAL(over_ds, 13);
	REAL(over_ds_store, 13);
	REAL(over_ss, 12);
	REAL(over_32, 13);
	REAL(push_over, SHUTDOWN);
	REAL(push32_over, SHUTDOWN);
	REAL(call_over, SHUTDOWN);
	REAL(string_over, 13);
	REAL(jump_over, 13);
	REAL(call_eax_over, 13);
	REAL(ret_over, 13);
	REAL(jcc_over, 13);
	REAL(divides, 0);
}

/* NOPs at the very end: what comes next is beyond the limit. */
static void prepare_end(const uint8_t *code, const uint8_t *end)
{
	prepare_real(code, end);
	memset(m->ram + CODE_AT + 0xfff0, 0x90, 16);
	m->ram[CODE_AT + 0x10000] = 0xf4;
}
static void prepare_cut(const uint8_t *code, const uint8_t *end)
{
	prepare_end(code, end);
	m->ram[CODE_AT + 0xffff] = 0xb8;
}

CODE(wraps, 16, "mov word ptr [0x50], 0\n 1: inc word ptr [0x50]\n mov ax, 0xfff0\n jmp ax\n 2: dec word ptr [0x20]\n jnz 1b\n hlt\n .org wraps + 0xe00\n");
static void prepare_wrap(const uint8_t *code, const uint8_t *end)
{
	uint8_t *top = m->ram + CODE_AT + 0xfff0;

	prepare_real(code, end);
	/* inc bp; jc back over the end (not taken); jmp 2: over the end */
	top[0] = 0x45;
	top[1] = 0xf8;
	top[2] = 0x72;
	top[3] = 0x7f;
	top[4] = 0xe9;
	put_le16(top + 5, (uint16_t)(0x0f - 0xfff7));
}

static void ip_wraps_by_jumps_only(void **state)
{
	(void)state;
	same("runs_off", 13, prepare_end, runs_off, runs_off_end);
	same("cut", 13, prepare_cut, runs_off, runs_off_end);
	same("wraps", NO_VECTOR, prepare_wrap, wraps, wraps_end);
}

/* DS and ES reach over all memory, as firmware leaves them. */
static void prepare_unreal(const uint8_t *code, const uint8_t *end)
{
	struct cpu_regs r;

	prepare_real(code, end);
	r = regs();
	r.seg[3].base = 0;
	r.seg[3].selector = 0;
	r.seg[3].limit = r.seg[0].limit = 0xffffffff;
	r.seg[3].attributes = r.seg[0].attributes = 0x8093;
	cpu_set_regs(m->cpu, &r);
}
CODE(unreal, 16, "mov ebx, 0x200000\n 1: add eax, [ebx]\n mov [ebx + 4], eax\n mov [bx], ax\n mov si, 0xffff\n mov dx, [si]\n push ds\n pop ds\n inc dword ptr [ebx + 8]\n mov dx, 0x20\n mov ds, dx\n add [ebx + 0x10], ecx\n"
     "xor dx, dx\n mov ds, dx\n mov edi, 0x200100\n sub edi, 0x60000\n es addr32 stosd\n mov esi, 0x200200\n mov ecx, 20\n addr32 rep movsd\n mov dl, es:[ebx - 0x60000]\n dec word ptr [ebx + 0x300]\n"
     "cmp word ptr [ebx + 0x300], 0x5a00\n jne 1b\n hlt");

static void unreal_mode_reaches_over_its_megabyte(void **state)
{
	(void)state;
	same("unreal", NO_VECTOR, prepare_unreal, unreal, unreal_end);
}

static void a20_wraps_the_second_megabyte_for_translated_code(void **state);
CODE(over_a_megabyte, 16, "mov ax, 0xffff\n mov ds, ax\n 1: mov bx, [0x10]\n mov [0x12], bx\n .byte 0x9a\n .word 0x5010, 0xffff\n dec cx\n jnz 1b\n hlt");
CODE(returns, 16, "inc bp\n retf");
static void prepare_a20(const uint8_t *code, const uint8_t *end)
{
	prepare_real(code, end);
	PUT_CODE(m, 0x5000, returns);
	memset(m->ram + 0x100000, 0x33, 16);
	set_reg_value(1, 50);
	cpus_a20(m->cpus, false);
}
static void a20_wraps_the_second_megabyte_for_translated_code(void **state)
{
	(void)state;
	same("over_a_megabyte", NO_VECTOR, prepare_a20, over_a_megabyte, over_a_megabyte_end);
	assert_int_equal(m->ram[0x100002], 0x33);
}

/* --- protected mode ---------------------------------------------------------------------------------------------- */

static struct cpu_segment limited(uint64_t base, uint32_t limit, uint16_t attributes)
{
	return (struct cpu_segment){ .selector = 0x50, .base = base, .limit = limit, .attributes = attributes };
}

/*
 * DS has 1000h bytes, ES expands down from there, FS is null, GS may not be written, SS has 2000h bytes.  16-bit code of
 * 800h bytes and 16-bit stack, or 32-bit code with a stack of either kind.
 */
static void prepare_protected(const uint8_t *code, const uint8_t *end, unsigned cs, unsigned ss, unsigned es)
{
	struct cpu_regs r;

	start32(code, end);
	fill();
	r = regs();
	seed(&r);
	r.rip = 0;
	r.seg[0] = limited(ES_AT, 0xfff, (uint16_t)(0x97 | es));
	r.seg[1] = limited(CODE_AT, 0x7ff, (uint16_t)(0x9b | cs));
	r.seg[1].selector = FAKE_CS16;
	r.seg[2] = limited(STACK_AT, 0x1fff, (uint16_t)(0x93 | ss));
	r.seg[3] = limited(DS_AT, 0xfff, 0x93);
	r.seg[4] = (struct cpu_segment){ 0 };
	r.seg[5] = limited(DS_AT + 0x100, 0xffff, 0x91);
	if (ss)
		r.gpr[4] = 0x1000;
	cpu_set_regs(m->cpu, &r);
	put_le16(m->ram + DS_AT + 0x42, FAKE_DS32);
}
static void prepare_16(const uint8_t *code, const uint8_t *end) { prepare_protected(code, end, 0, 0, 0); }
static void prepare_32(const uint8_t *code, const uint8_t *end) { prepare_protected(code, end, 0x4000, 0x4000, 0x4000); }
static void prepare_32_16(const uint8_t *code, const uint8_t *end) { prepare_protected(code, end, 0x4000, 0, 0); }
#define P16(code, vector) same(#code, vector, prepare_16, code, code##_end)
#define P32(code, vector) same(#code, vector, prepare_32, code, code##_end); same(#code " on a 16-bit stack", vector, prepare_32_16, code, code##_end)

CODE(all_16, 16, "1: mov ax, [0xffe]\n add es:[0x1000], ax\n adc ax, gs:[bx]\n push ax\n push eax\n pop edx\n pop cx\n mov al, cs:[si]\n call 2f\n mov es:[0xfffe], cx\n mov ecx, 2\n mov edi, 0x1100\n addr32 rep stosd\n"
     "mov dx, 0x10\n mov es, dx\n mov edi, 0x60000\n mov es:[edi], eax\n add [si], edx\n push es\n pop fs\n mov fs:[edi + 8], ax\n mov gs, [0x42]\n mov gs:[edi + 12], cx\n" AGAIN "2: inc bp\n ret 0");
CODE(all_32, 32, "1: mov eax, [0xffc]\n add es:[0x1000], eax\n mov ebx, 0x100\n adc ax, gs:[ebx]\n push ax\n push eax\n pop edx\n pop cx\n mov al, cs:[ebx]\n call 2f\n mov ecx, 2\n mov edi, 0x1100\n rep stosd\n stosb\n mov esi, 0x40\n lodsd\n"
     "mov bx, 0x20\n mov [bx + 3], cx\n push 5\n push dword ptr [0x40]\n pop dword ptr [0x44]\n enter 8, 0\n leave\n pushad\n popad\n pushfd\n popfd\n mov cx, 3\n 3: addr16 loop 3b\n push ds\n pop edx\n jmp 4f\n nop\n 4: mov edx, offset 5f - all_32\n"
     "call edx\n mov dx, 0x10\n mov es, dx\n mov edi, 0x60000\n mov es:[edi], eax\n" AGAIN "2: inc ebp\n ret\n 5: dec ebp\n ret 0");
CODE(ds_end, 16, "mov al, [0xfff]\n mov ax, [0xfff]");
CODE(es_low, 16, "mov al, es:[0x1000]\n mov al, es:[0xfff]");
CODE(es_high, 16, "mov al, es:[0xffff]\n mov es:[0xffff], ax");
CODE(fs_null, 16, "inc ax\n mov ax, fs:[bx]");
CODE(gs_store, 16, "xor bx, bx\n mov ax, gs:[bx]\n mov gs:[bx], al");
CODE(gs_rmw, 16, "xor bx, bx\n cmp ax, gs:[bx]\n or gs:[bx], al");
CODE(cs_store, 16, "xor bx, bx\n mov ax, cs:[bx]\n mov cs:[bx], al");
CODE(ss_end, 16, "mov sp, 0x2002\n pop ax\n pop bx\n hlt");
CODE(ss_push, 16, "mov sp, 0x2002\n push ax\n hlt");
CODE(bp_end, 16, "mov bp, 0x1ffe\n mov ax, [bp]\n mov ax, [bp + 1]");
CODE(past_cs, 16, "jmp 1f\n .org past_cs + 0x7fe\n 1: nop\n nop\n nop");
CODE(jump_past_cs, 16, "inc ax\n .byte 0xe9\n .word 0x900");
CODE(call_past_cs, 16, "mov ax, 0x800\n call ax");
CODE(ret_past_cs, 16, "push 0x7ff\n push 0x800\n ret");
CODE(es_high_32, 32, "mov eax, es:[0xfffffffc]\n mov ebx, 0xfffffffd\n mov eax, es:[ebx]");
CODE(es_low_32, 32, "mov al, es:[0x1000]\n mov ebx, 0xffe\n mov es:[ebx], eax");
CODE(ds_minus, 32, "mov al, [0]\n mov ebx, -1\n mov al, [ebx]");
CODE(esp_past, 32, "mov esp, 0x2002\n push eax\n hlt");
CODE(far_past_cs, 32, "mov eax, 0x80000010\n jmp eax");

static void sixteen_bit_protected_code_ends_the_same(void **state)
{
	(void)state;
	P16(all_16, NO_VECTOR);
}

static void thirty_two_bit_code_in_small_segments_ends_the_same(void **state)
{
	(void)state;
	P32(all_32, NO_VECTOR);
}

static void what_a_segment_does_not_allow_faults(void **state)
{
	(void)state;
	P16(ds_end, 13);
	P16(es_low, 13);
	P16(es_high, 13);
	P16(fs_null, 13);
	P16(gs_store, 13);
	P16(gs_rmw, 13);
	P16(cs_store, 13);
	P16(ss_end, SHUTDOWN);
	P16(ss_push, SHUTDOWN);
	P16(bp_end, 12);
	P16(past_cs, 13);
	P16(jump_past_cs, 13);
	P16(call_past_cs, 13);
	P16(ret_past_cs, 13);
	same("es_high_32", 13, prepare_32, es_high_32, es_high_32_end);
	P32(es_low_32, 13);
	P32(ds_minus, 13);
	same("esp_past", SHUTDOWN, prepare_32, esp_past, esp_past_end);
	P32(far_past_cs, 13);
}

/* --- virtual-8086 mode -------------------------------------------------------------------------------------------- */

static void prepare_v86(const uint8_t *code, const uint8_t *end, uint32_t iopl)
{
	struct cpu_regs r, v;

	prepare_more(code, end);
	v = regs();
	start32(code, end);
	r = regs();
	memcpy(r.gpr, v.gpr, sizeof(r.gpr));
	memcpy(r.seg, v.seg, sizeof(r.seg));
	for (unsigned k = 0; k < 6; k++)
		r.seg[k].attributes = 0xf3;
	r.rip = 0;
	r.rflags = 0x20002 | iopl << 12;
	cpu_set_regs(m->cpu, &r);
}
static void prepare_v86_3(const uint8_t *code, const uint8_t *end) { prepare_v86(code, end, 3); }
static void prepare_v86_0(const uint8_t *code, const uint8_t *end) { prepare_v86(code, end, 0); }
#define V86(code, vector, iopl) same(#code " in V86", vector, prepare_v86_##iopl, code, code##_end)

CODE(v86_cli, 16, "inc ax\n cli\n hlt");
CODE(v86_pushf, 16, "inc ax\n pushf\n hlt");
CODE(v86_in, 16, "inc ax\n in al, 0x60\n hlt");
CODE(v86_int, 16, "inc ax\n int 0x20\n hlt");
CODE(v86_far, 16, "mov ax, 0x1100\n mov ds, ax\n mov bx, [0x40]\n mov es, ax\n add es:[0x44], bx\n .byte 0x9a\n .word 0x40, 0x1200\n mov ax, 0x5000\n mov ds, ax\n hlt");

static void virtual_8086_programs_end_the_same(void **state)
{
	(void)state;
	/* HLT is the monitor's */
	V86(stack, 13, 3);
	V86(addresses, 13, 3);
	V86(reloads, 13, 3);
	V86(strings, 13, 3);
	V86(v86_far, 13, 0);
	V86(over_ds, 13, 3);
	V86(over_ss, 12, 0);
}

static void what_is_the_monitors_faults_in_virtual_8086_mode(void **state)
{
	(void)state;
	V86(v86_cli, 13, 0);
	V86(v86_pushf, 13, 0);
	V86(v86_in, 13, 3);
	V86(v86_int, 13, 0);
	V86(v86_int, 0x20, 3);
}

/* --- many segments, interrupts at any time ------------------------------------------------------------------------ */

/* Each paragraph has a program of its own at the same offset; more of them than there are numbers for code segments. */
CODE(everywhere, 16, "1: mov ax, 0x1800\n 2: mov [0x52], ax\n mov word ptr [0x50], 0\n call dword ptr [0x50]\n add ax, 1\n cmp ax, 0x1800 + 3000\n jne 2b\n" AGAIN);
CODE(all_the_same, 16, "inc ebp\n retf\n");

static void more_code_segments_than_numbers_are_no_problem(void **state)
{
	struct xlat *x;
	unsigned k;

	(void)state;
	fake_engine = CPU_XLAT;
	m = machines[1];
	prepare_real(everywhere, everywhere_end);
	for (k = 0; k < 3000; k++)
		PUT_CODE(m, 0x18000 + 16 * k, all_the_same);
	put_le16(m->ram + DS_AT + COUNTER, 3);
	x = m->cpu->x;
	set_reg_value(5, 0);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[5], 9000);
	assert_true(x->segments <= SEGMENTS && x->count.flushes > 2);
}

CODE(sums, 16, "1: mov si, 0x100\n inc ebx\n add [si], ebx\n mov eax, [si]\n adc edx, eax\n push edx\n pop edi\n push di\n pop word ptr [si + 4]\n xor edi, eax\n call 2f\n cmp bx, 7\n mov [si + 6], dx\n setc al\n add dl, al\n"
     "push word ptr [si]\n pop ax\n mov es, ax\n push es\n pop bp\n add dx, bp\n mov ax, 0x6000\n mov es, ax\n mov di, 0x500\n movsw\n add dx, bp\n pushf\n pop bp\n and bp, 0x8d5\n add edx, ebp\n .byte 0x9a\n .word 0x40, 0x1100\n dec ecx\n jnz 1b\n 3: hlt\n jmp 3b\n"
     "2: rol edx, 3\n ret");
CODE(far_add, 16, "add edx, 5\n retf");
CODE(nmi, 16, "push ax\n lock inc dword ptr cs:[0x100]\n xor ax, ax\n pop ax\n iret");

static void run_sums(enum cpu_engine e, struct cpu_regs *r, uint8_t *data)
{
	unsigned k;

	fake_engine = e;
	prepare_real(sums, sums_end);
	PUT_CODE(m, 0x11040, far_add);
	PUT_CODE(m, 0x14000, nmi);
	put_le32(m->ram + 4 * 2, 0x1400u << 16);
	set_reg_value(1, 200000);
	set_reg_value(5, 0);
	for (k = 0; k < 100000000; k++)
		if (cpu_run(m->cpu, INT64_MAX) == CPU_EXIT_HALT && regs().seg[1].selector == CODE_AT >> 4)
			break;
	*r = regs();
	memcpy(data, m->ram + DS_AT, 0x400);
}

static void storms_of_interrupts_lose_and_repeat_nothing_in_real_mode(void **state)
{
	uint8_t calm_data[0x400], data[0x400];
	struct cpu_regs calm, wild;
	uint64_t interrupts = 0;
	unsigned k;

	(void)state;
	fake_icount = false;
	fake_engine = CPU_INTERP;
	m = fake_machine_new(1, NULL);
	run_sums(CPU_INTERP, &calm, calm_data);
	fake_machine_free(m);
	fake_engine = CPU_XLAT;
	m = fake_machine_new(1, NULL);
	storm_begins();
	for (k = 0; k < 20 && interrupts < 300; k++) {
		put_le32(m->ram + 0x14100, 0);
		run_sums(CPU_XLAT, &wild, data);
		interrupts += le32(m->ram + 0x14100);
		assert_memory_equal(calm.gpr, wild.gpr, sizeof(calm.gpr));
		assert_memory_equal(data, calm_data, sizeof(data));
	}
	storm_ends();
	print_message("%llu interrupts, %llu times out of the middle of translated code\n", (unsigned long long)interrupts,
		      (unsigned long long)m->cpu->x->count.exits[EXIT_ASYNC]);
	assert_true(interrupts > 20);
	fake_machine_free(m);
	fake_icount = true;
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_both, teardown_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(real_mode_programs_end_the_same), TEST(the_same_offset_in_two_segments_is_two_places),
		TEST(real_mode_code_that_writes_itself_runs_as_written), TEST(single_steps_hit_in_real_mode),
		TEST(offsets_beyond_the_limit_fault_as_their_segment_does), TEST(ip_wraps_by_jumps_only),
		TEST(unreal_mode_reaches_over_its_megabyte), TEST(a20_wraps_the_second_megabyte_for_translated_code),
		TEST(sixteen_bit_protected_code_ends_the_same), TEST(thirty_two_bit_code_in_small_segments_ends_the_same),
		TEST(what_a_segment_does_not_allow_faults), TEST(virtual_8086_programs_end_the_same),
		TEST(what_is_the_monitors_faults_in_virtual_8086_mode), TEST(more_code_segments_than_numbers_are_no_problem),
		TEST(storms_of_interrupts_lose_and_repeat_nothing_in_real_mode),
	};

	(void)setup;
	(void)teardown;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
