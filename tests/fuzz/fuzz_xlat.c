/* SPDX-License-Identifier: MIT */
/*
 * Programs made of the input, on the interpreter and on the translator: after the same number of instructions both must
 * be in the same state, with the same memory and the same accesses to devices behind them.
 *
 * The first bytes choose the mode (real to 64-bit, flat or with segments, kernel or user) and how long to run; the rest
 * picks instructions from a table, with registers, addresses and branch targets of their own.  Code lies in four
 * physical pages, which show at eight linear ones:
 *
 *   page: 32 slots of 128 bytes; all branches go to the start of a slot.
 *   slot: a pad, 16 instructions of one byte each, which other instructions overwrite by stores of all kinds and sizes,
 *         at the address where it runs or another; then instructions from the table.  The last 16 bytes of a page are a
 *         pad, too.
 *
 * Programs remap their pages (code and data: elsewhere, read-only, not present, a device), load segments and control
 * registers, and copy into code.  A fault goes to a handler that sums up what was pushed and goes on at some slot.
 * Between runs the harness stores by DMA and raises interrupts.
 *
 * What instructions leave undefined is defined at once, and left out of account if a run ends just before that.  With
 * dead flags (input byte 1) the arithmetic flags that a fault pushes, and those at the end of a run, do not count.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cpu/interp/interp.h"
#include "cpu/xlat/run.h"
#include "tests/fake/fake_machine.h"
#include "tests/fake/guest_code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {                                          /* linear = physical below 2 MiB, but for what programs remap */
	CODE_RAM = 0x40000, RUN_AT = 0x400000, RUN_AT_LOW = 0x80000,    /* four pages; where they show, eight times */
	HANDLER = 0x50000, HANDLER_ERR = 0x50100, HANDLER_INTR = 0x50200, HANDLER_SYSCALL = 0x50300,
	HANDLER_REMAP = 0x50400, PARAMS = 0x51000, REMAP = 0x51100, REMAPS = 64,
	DATA = 0x60000, DATA_PAGES = 4, STACK = 0x68000,                /* the page behind each is not present */
	/* beyond what programs reach: an entry that changes without a flush may count or not */
	PML4 = 0x118000, PDPT = 0x119000, PD = 0x11a000, PT_LOW = 0x11b000, PT_CODE = 0x11c000,
	STACK0 = 0x70000,               /* of the handler, if it comes from CPL 3 or by IST */
	SLOT = 128, SLOTS = 32, PAD = 16,
	SEL_CS32 = 0x58, SEL_CS16 = 0x60, SEL_DS = 0x68, SEL_SS = 0x70, SEL_ES = 0x78, SEL_SS16 = 0x80,
};

enum kind { LONG, LONG_USER, COMPAT_USER, FLAT32, FLAT32_USER, SEG32, SEG16, REAL, V86, KINDS };

static const struct mode {
	unsigned bits;
	uint32_t run_at, code, data, stack;     /* linear; and offsets in CS, DS, SS */
	uint16_t cs, ss, ds, es, fs;
	bool user;
} modes[KINDS] = {
	[LONG] = { 64, RUN_AT, RUN_AT, DATA, STACK, FAKE_CS64, FAKE_DS32, FAKE_DS32, FAKE_DS32, FAKE_DS32, false },
	[LONG_USER] = { 64, RUN_AT, RUN_AT, DATA, STACK, FAKE_UCS64 | 3, FAKE_UDS | 3, FAKE_UDS | 3, FAKE_UDS | 3,
		FAKE_UDS | 3, true },
	[COMPAT_USER] = { 32, RUN_AT, RUN_AT, DATA, STACK, FAKE_UCS32 | 3, FAKE_UDS | 3, FAKE_UDS | 3, FAKE_UDS | 3,
		FAKE_UDS | 3, true },
	[FLAT32] = { 32, RUN_AT, RUN_AT, DATA, STACK, FAKE_CS32, FAKE_DS32, FAKE_DS32, FAKE_DS32, FAKE_DS32, false },
	[FLAT32_USER] = { 32, RUN_AT, RUN_AT, DATA, STACK, FAKE_UCS32 | 3, FAKE_UDS | 3, FAKE_UDS | 3, FAKE_UDS | 3,
		FAKE_UDS | 3, true },
	[SEG32] = { 32, RUN_AT, 0, 0x8000, 0x8000, SEL_CS32, SEL_SS, SEL_DS, SEL_ES, FAKE_DS32, false },
	[SEG16] = { 16, RUN_AT, 0, 0x8000, 0x8000, SEL_CS16, SEL_SS16, SEL_DS, SEL_ES, FAKE_DS32, false },
	[REAL] = { 16, CODE_RAM, 0, 0x8000, 0x8000, CODE_RAM >> 4, (STACK - 0x8000) >> 4, (DATA - 0x8000) >> 4,
		CODE_RAM >> 4, 0, false },
	[V86] = { 16, RUN_AT_LOW, 0, 0x8000, 0x8000, RUN_AT_LOW >> 4, (STACK - 0x8000) >> 4, (DATA - 0x8000) >> 4,
		RUN_AT_LOW >> 4, 0, true },
};

/* --- what a fault runs into --------------------------------------------------------------------------------------- */

/* Of PARAMS, quadwords. */
enum { P_COUNT, P_CODE, P_STACK, P_DATA, P_CS, P_SS, P_DS, P_ES, P_FS, P_SEL, P_FLAGS, P_MASK, P_SUM_FLAGS, P_SUM_RIP,
	P_SUM_ERROR, P_INTR, P_N };

CODE(fault64_err, 64, "push rax\n mov rax, [rsp + 8]\n add [0x51070], rax\n pop rax\n lea rsp, [rsp + 8]\n"
     "mov eax, 0x50000\n jmp rax");
CODE(fault64, 64, "push rax\n mov rax, [rsp + 24]\n and rax, [0x51058]\n add [0x51060], rax\n mov rax, [rsp + 8]\n"
     "add [0x51068], rax\n"
     "add dword ptr [0x51000], 0x680\n mov eax, [0x51000]\n and eax, 0x7f80\n add eax, [0x51008]\n"
     "mov [rsp + 8], rax\n mov eax, [0x51020]\n mov [rsp + 16], rax\n"
     "mov eax, [0x51050]\n mov [rsp + 24], rax\n mov eax, [0x51010]\n mov [rsp + 32], rax\n mov eax, [0x51028]\n"
     "mov [rsp + 40], rax\n clts\n"
     "mov eax, [0x51048]\n mov ds, eax\n mov es, eax\n mov fs, eax\n mov ebx, [0x51018]\n pop rax\n iretq");
CODE(intr64, 64, "inc dword ptr [0x51078]\n iretq");
CODE(syscall64, 64, "sysretq");
/* INT 32h: a page table entry changes, and the TLB is told.  Not in the program itself: its own page may be the one. */
CODE(remap64, 64, "push rdi\n push rcx\n and eax, 63\n shl eax, 4\n mov edi, [rax + 0x51100]\n"
     "mov ecx, [rax + 0x51104]\n"
     "mov [rdi], rcx\n mov edi, [rax + 0x51108]\n cmp dword ptr [rax + 0x5110c], 0\n je 1f\n invlpg [rdi]\n jmp 2f\n"
     "1: mov rcx, cr3\n mov cr3, rcx\n 2: pop rcx\n pop rdi\n iretq");
CODE(remap32, 32, "push ds\n push edi\n push ecx\n push 0x10\n pop ds\n and eax, 63\n shl eax, 4\n"
     "mov edi, [eax + 0x51100]\n"
     "mov ecx, [eax + 0x51104]\n mov [edi], ecx\n mov edi, [eax + 0x51108]\n cmp dword ptr [eax + 0x5110c], 0\n je 1f\n"
     "invlpg [edi]\n jmp 2f\n 1: mov ecx, cr3\n mov cr3, ecx\n 2: pop ecx\n pop edi\n pop ds\n iretd");
/* From CPL 0: a new stack. */
CODE(fault32_err, 32, "pop ecx\n mov eax, 0x10\n mov ds, eax\n add [0x51070], ecx\n mov eax, 0x50000\n jmp eax");
CODE(fault32, 32, "mov eax, 0x10\n mov ds, eax\n pop eax\n add [0x51068], eax\n pop eax\n pop eax\n"
     "and eax, [0x51058]\n add [0x51060], eax\n push 0\n clts\n"
     "mov eax, [0x51038]\n mov es, eax\n mov eax, [0x51040]\n mov fs, eax\n mov ebx, [0x51018]\n mov ss, [0x51028]\n"
     "mov esp, [0x51010]\n push [0x51050]\n"
     "push [0x51020]\n add dword ptr [0x51000], 0x680\n mov eax, [0x51000]\n and eax, 0x7f80\n add eax, [0x51008]\n"
     "push eax\n mov eax, [0x51030]\n mov ds, eax\n iretd");
CODE(intr32, 32, "push ds\n push 0x10\n pop ds\n inc dword ptr [0x51078]\n pop ds\n iretd");
/* From CPL 3 or virtual-8086 mode: the frame is changed. */
CODE(fault32u, 32, "mov eax, 0x10\n mov ds, eax\n mov eax, [esp]\n add [0x51068], eax\n mov eax, [esp + 8]\n"
     "and eax, [0x51058]\n add [0x51060], eax\n clts\n"
     "add dword ptr [0x51000], 0x680\n mov eax, [0x51000]\n and eax, 0x7f80\n add eax, [0x51008]\n mov [esp], eax\n"
     "mov eax, [0x51020]\n mov [esp + 4], eax\n"
     "mov eax, [0x51050]\n mov [esp + 8], eax\n mov eax, [0x51010]\n mov [esp + 12], eax\n mov eax, [0x51028]\n"
     "mov [esp + 16], eax\n"
     "mov eax, [0x51038]\n mov [esp + 20], eax\n mov eax, [0x51030]\n mov [esp + 24], eax\n mov eax, [0x51040]\n"
     "mov [esp + 28], eax\n mov [esp + 32], eax\n"
     "mov ebx, [0x51018]\n mov eax, [0x51048]\n mov es, eax\n mov fs, eax\n mov ds, eax\n iretd");
/* Real mode, segment 5000; the parameters are at 5100:0. */
CODE(fault16, 16, "mov ax, 0x5100\n mov ds, ax\n pop ax\n add [0x68], ax\n pop ax\n pop ax\n and ax, [0x58]\n"
     "add [0x60], ax\n push 0\n mov es, [0x38]\n mov fs, [0x40]\n"
     "mov bx, [0x18]\n movzx ebx, bx\n mov ss, [0x28]\n mov esp, [0x10]\n push [0x50]\n push [0x20]\n"
     "add word ptr [0], 0x680\n mov ax, [0]\n and ax, 0x7f80\n add ax, [8]\n push ax\n"
     "mov ds, [0x30]\n iret");
CODE(intr16, 16, "inc dword ptr cs:[0x1078]\n iret");

/* --- programs ----------------------------------------------------------------------------------------------------- */

struct maker {
	struct cursor in;
	uint64_t more;                  /* the bytes behind the input's end, by its last ones */
	const struct mode *mode;
	uint8_t buf[128];
	unsigned n;
	unsigned opsize, addrsize;      /* of the instruction being made */
	unsigned rex_at;                /* where its REX is; 0: none */
	uint32_t at;                    /* offset in CS of buf[0] */
};

static uint8_t byte(struct maker *k)
{
	if (cursor_left(&k->in))
		return cursor_u8(&k->in);
	k->more ^= k->more << 13;
	k->more ^= k->more >> 7;
	k->more ^= k->more << 17;
	return (uint8_t)(k->more >> 32);
}

static unsigned pick(struct maker *k, unsigned n) { return byte(k) % n; }
static void put8(struct maker *k, unsigned v) { k->buf[k->n++] = (uint8_t)v; }
static void put(struct maker *k, uint64_t v, unsigned size)
{
	for (; size; size--, v >>= 8)
		put8(k, (unsigned)v & 0xff);
}

static uint32_t target(struct maker *k) { return k->mode->code + 4096u * pick(k, 8) + SLOT * pick(k, SLOTS); }

/* Where `size` bytes of pad are, in linear pages that follow each other. */
static uint32_t pad(struct maker *k, unsigned size)
{
	unsigned page = pick(k, 8);

	if (pick(k, 4) == 0)            /* across pages */
		return k->mode->code + 4096u * (page % 7 + 1) - 1 - pick(k, size);
	return k->mode->code + 4096u * page + SLOT * pick(k, SLOTS) + pick(k, PAD - size + 1);
}

/* Instructions of one byte that leave nothing undefined, and do no harm wherever they are. */
static uint64_t one_byte_insns(struct maker *k, unsigned n)
{
	static const uint8_t insns[] = { 0x90, 0xf5, 0xf8, 0xf9, 0xfc, 0x98, 0x99, 0x90 };
	uint64_t v = 0;

	while (n--)
		v = v << 8 | insns[pick(k, sizeof(insns))];
	return v;
}

static unsigned reg(struct maker *k, unsigned rex_bit)  /* EBX and ESP stay what they are */
{
	static const uint8_t regs[] = { RAX, RCX, RDX, RBP, RSI, RDI };

	if (k->rex_at && pick(k, 2)) {
		k->buf[k->rex_at] |= (uint8_t)rex_bit;
		return pick(k, 8);
	}
	return regs[pick(k, 6)];
}

static unsigned byte_reg(struct maker *k)               /* AL CL DL AH CH DH; or SPL, which REX makes of AH: no */
{
	return k->rex_at ? pick(k, 3) : (unsigned[]){ 0, 1, 2, 4, 5, 6 }[pick(k, 6)];
}

/* [data + disp], near the edges of the pages of data, in the stack, or at the next pages. */
static void modrm_memory(struct maker *k, unsigned r)
{
	unsigned how = pick(k, 16);
	uint32_t disp = how < 10 ? pick(k, 64) * 8u : 4096u * (1u + pick(k, DATA_PAGES)) - pick(k, 20);

	if (how == 15)
		disp = 0u - pick(k, 20);
	r = (r & 7) << 3;
	if (k->addrsize == 2) {
		put8(k, 0x87 | r);              /* [BX + disp16] */
		put(k, disp, 2);
	} else if (how == 14) {                 /* [EBX + index + disp32]: anywhere */
		put8(k, 0x84 | r);
		put8(k, pick(k, 4) << 6 | (unsigned[]){ 0, 1, 2, 5, 6, 7 }[pick(k, 6)] << 3 | 3);
		put(k, disp, 4);
	} else {
		put8(k, 0x83 | r);
		put(k, disp, 4);
	}
}

static void modrm_absolute(struct maker *k, uint32_t at)
{
	if (k->addrsize == 2) {
		put8(k, 0x06);
		put(k, at, 2);
		return;
	}
	put8(k, k->mode->bits == 64 ? 0x04 : 0x05);
	if (k->mode->bits == 64)
		put8(k, 0x25);
	put(k, at, 4);
}

/*
 * An entry of the table is a sequence of these, separated by blanks:
 *   hh         a byte
 *   w a l s    perhaps: operand size or REX; address size; LOCK; a segment.  4, 2: operands of that size in any mode
 *   M R X      ModRM with any register: memory, register, either;  with a digit: that number in the register field
 *   Y          either, a byte;  V: either, any vector register
 *   i I        immediate of 8 bits, of the operand's size;  r: a register added to the byte before;  c: a condition,
 *   the same
 *   T          relative target (16 or 32 bits);  G: target as an immediate
 *   P1 .. P8   ModRM for that many bytes of pad, number 0
 *   O1 .. O8   that many bytes of one-byte instructions
 *   H D K S    immediates: address of a pad, of data; a small number (K4: four); a selector
 *   ;          the next instruction begins
 *   u          the same, and CMP EAX, ECX defines what was undefined
 *   L          not in 16-bit code
 */
static const char *const table[] = {
	/* arithmetic, flags live across it */
	"w 01 X", "w 03 X", "l w 09 M", "w 0b X", "w 11 X", "w 13 X", "l w 19 M", "w 1b X", "l w 21 M", "w 23 X",
	"w 29 X", "w 2b X", "l w 31 M", "w 33 X", "w 39 X", "w 3b X", "w 85 X", "a s w 01 M", "a s w 13 M",
	"s w 3b M", "l 00 Y", "02 Y", "10 Y", "3a Y", "84 Y", "28 Y", "w 81 X0 I", "w 81 X2 I", "w 81 X7 I",
	"l w 83 M0 i", "w 83 X3 i", "w 83 X5 i", "w 83 X7 i", "80 M7 i", "l 80 M0 i", "w 05 I", "w a9 I", "a8 i",
	"w ff R0", "w ff R1", "l w ff M0", "w ff M1", "l fe M0", "l w f7 M2", "w f7 R2", "l w f7 M3", "w f7 R3",
	"w 8d M", "a w 8d M", "w f7 X4 u", "w f7 X5 u", "w f7 X6 u", "w f7 X7 u", "f6 M4 u", "f6 M6 u", "w 0f af X u",
	"w 69 X I u", "w 6b X i u", "w d1 X0 u", "w d1 X4 u", "w c1 X1 i u", "w c1 X4 i u", "w c1 X5 i u",
	"w c1 X7 i u", "w d3 X4 u", "w d3 X0 u", "w c1 X2 i u", "w d3 X3 u", "d2 M5 u", "w 0f a4 R 05 u",
	"L 0f a5 M u", "L w 0f ac R 0b u", "f3 w 0f b8 X", "w 0f a3 X u", "l w 0f ab M u", "w 0f b3 R u",
	"w 0f ba X4 i u", "l w 0f ba M5 i u", "w 0f ba R7 i u", "0f c8 r", "27 u", "37 u", "f3 w 0f bc X u",
	"f3 w 0f bd X u", "d4 0a u", "d5 0a u", "w 98", "w 99", "9f", "9e", "9c ; 9d", "L 9c ; 58 r", "d6",
	/* moves */
	"w 89 X", "w 8b X", "a s w 8b M", "a s w 89 M", "88 Y", "8a Y", "w c7 M0 I", "c6 M0 i", "w b8 r I", "b0 i",
	"w 0f b6 X", "w 0f b7 X", "w 0f be X", "w 0f bf M", "48 63 X", "w 0f 40 c X", "w 0f 44 M", "w 0f 4c M",
	"0f 90 c M0", "0f 90 c M0", "w 87 M", "l w 87 M", "86 Y", "w 90 r", "l w 0f c1 M", "0f c0 Y", "l w 0f b1 M",
	"0f b0 Y", "l 0f c7 M1", "l 48 0f c7 M1", "w 0f 38 f0 M", "w 0f 38 f1 M", "w 8b M ; w 89 M",
	"w 8b M ; w 03 M ; w 89 M ; w 13 M", "w 89 M ; w 89 M", "s d7", "0f 0d M1", "0f ae M7 u",
	/* stack */
	"w 50 r", "w 58 r", "w 50 r ; w 58 r", "w 68 I", "w 6a i", "w ff M6", "w 8f M0", "60", "60 ; 61",
	"c8 08 00 00", "c8 10 00 01", "c8 10 00 03", "89 e5 ; c9", "c9", "1e", "0f a0", "0f a1", "1e ; 1f",
	"w 50 r ; w 50 r ; w 58 r ; w 58 r",
	/* branches */
	"0f 80 c T", "0f 80 c T", "0f 80 c T", "0f 80 c T", "e9 T", "e8 T", "b8 G ; ff e0", "b8 G ; ff d0",
	"68 G ; c3", "68 G ; c2 00 00", "e3 00", "e2 00", "e1 00", "e0 00", "70 c 00", "75 fe", "w ff M4", "w ff M2",
	"e2 fe", "85 c0 ; 0f 84 T", "39 c8 ; 0f 80 c T",
	/* x87, MMX, SSE, AVX */
	"d9 M0", "d9 M2", "d9 M3", "dd M0", "dd M3", "db M0", "db M3", "db M5", "db M7", "df M5", "df M7", "d8 M0",
	"dc M1", "de M1", "d9 e8", "d9 ee", "de c1", "d9 c0", "dd d8", "d9 fa", "df e0", "db e9", "db e3", "df f0",
	"9b d9 M7", "0f 77", "0f 6f V", "0f 7f V", "0f fc V", "0f d4 V", "0f e7 M", "66 0f 6f V", "66 0f 7f V",
	"f3 0f 6f V", "f3 0f 7f V", "0f 10 V", "0f 11 V", "0f 28 V", "0f 29 V", "66 0f ef V", "66 0f fe V",
	"66 0f 74 V", "0f 58 V", "f2 0f 59 V", "f3 0f 5e V", "f3 0f 51 V", "66 0f 2e V", "f2 0f 2a X", "f2 0f 2d M",
	"66 0f 6e X", "66 0f 7e X", "66 0f d6 V", "f3 0f 7e V", "66 0f e7 M", "0f 2b M", "0f c3 M", "66 0f 13 M",
	"66 0f 17 M", "66 0f 38 00 V", "66 0f 3a 0f V i", "0f ae M3", "c5 fd 6f V", "c5 fe 7f V", "c5 fd ef V",
	"c5 f8 77", "c5 f4 58 V", "c5 fc 11 V", "c4 e2 7d 2e M", "c4 e2 7d 8c M", "c4 e2 7d 8e M", "c4 e2 f9 f7 X",
	"c4 e2 70 f2 X u", "c4 e2 fb f7 X", "bf D ; 66 0f f7 c1", "bf D ; 0f f7 c1", "c4 e2 75 90 M", "f2 0f 38 f1 X",
	/* strings: in data, near its edges */
	"b9 K ; be D ; bf D ; a4", "b9 K ; be D ; bf D ; f3 a4", "b9 K ; be D ; bf D ; f3 w a5",
	"b9 K ; bf D ; f3 aa", "b9 K ; bf D ; f3 w ab", "b9 K ; be D ; f3 ac", "b9 K ; be D ; bf D ; f3 w a7",
	"b9 K ; bf D ; f2 ae", "be D ; bf D ; w a5", "bf D ; ab", "be D ; ac", "bf D ; ae",
	"b9 K ; bf D ; fd ; f3 aa ; fc", "fd", "fc", "bf D ; b9 K4 ; f3 6c", "be D ; b9 K4 ; f3 6e",
	/* into pads */
	"bf H ; 4 b8 O4 ; 4 ab ; bf D", "b0 O1 ; b9 K4 ; bf H ; f3 aa ; bf D", "be H ; bf H ; a4 ; bf D",
	"be H ; bf H ; 4 a5 ; bf D", "b9 K4 ; be H ; bf H ; f3 a4 ; bf D",
	"bf H ; b9 K4 ; 4 b8 90 90 90 90 ; f3 4 ab ; bf D", "26 c6 P1 O1", "26 c6 P1 O1", "26 2 c7 P2 O2",
	"26 4 c7 P4 O4", "26 4 c7 P4 O4", "4 b8 O4 ; 26 4 89 P4", "4 b8 O4 ; 26 4 87 P4", "26 f0 4 83 P4 00",
	"4 b8 O4 ; 66 0f 6e c0 ; 66 0f 70 c0 00 ; 26 0f 11 P8",
	"4 b8 O4 ; 66 0f 6e c0 ; 66 0f 70 c0 00 ; 26 66 0f d6 P8", "4 b8 O4 ; 66 0f 6e c0 ; 26 66 0f 7e P4",
	"48 b8 O8 ; 48 89 P8", "48 b8 O8 ; 48 0f c3 P8", "4 68 O4 ; 26 4 8f P4", "L 68 O4 ; db 04 24 ; 26 db P4",
	"31 c0 ; 26 f0 4 0f c1 P4", "31 c0 ; 26 f0 4 01 P4", "26 80 P1 00",
	/* system */
	"fa", "fb", "fb ; fa", "f4", "cc", "ce", "cd 20", "cd 31", "cd 30", "0f 05", "0f 34", "0f 0b", "0f 06",
	"0f 01 M4", "0f 01 M0", "0f 01 M1", "0f 01 M7", "0f 00 M1", "0f 00 M0", "b8 S ; 0f 02 c8 u",
	"b8 S ; 0f 00 e0 u", "b8 S ; 8e d8", "b8 S ; 8e c0", "b8 S ; 8e e0", "b8 S ; 8e e8", "8c M3", "8e M0",
	"w c4 M", "w 0f b4 M", "62 M", "e4 i", "ee", "ed", "e6 i", "0f 31", "0f a2", "0f 09", "f3 90", "0f ae f0",
	"0f ae e8", "0f 20 c0", "0f 20 c0 ; 83 f0 08 ; 0f 22 c0", "0f 20 c0 ; 83 f0 02 ; 0f 22 c0",
	"0f 20 c0 ; 83 f0 04 ; 0f 22 c0", "0f 20 e0 ; 34 80 ; 0f 22 e0", "0f 20 d8 ; 0f 22 d8",
	"L 0f 20 e0 ; 35 00 04 00 00 ; 0f 22 e0", "0f 01 ca", "0f 01 cb", "0f 01 f8",
	"L 0f 20 c0 ; 35 00 00 01 00 ; 0f 22 c0", "L b9 80 00 00 c0 ; 0f 32", "L b9 01 01 00 c0 ; 0f 32",
	"L 31 d2 ; b9 02 01 00 c0 ; 0f 30", "31 c9 ; 0f 01 d0", "f3 48 0f ae c0", "f3 48 0f ae d2", "0f 01 f9",
	"0f 23 c0", "0f 21 f8", "9d", "cf", "cb", "L 9c ; 81 0c 24 00 01 00 00 ; 9d",
	"L 9c ; 81 0c 24 00 00 04 00 ; 9d", "L 9c ; 81 24 24 ff fd ff ff ; 9d", "9b", "63 M", "L 9c ; 0e ; 68 G ; cf",
	"L 0e ; 68 G ; cb", "0f c7 f0 u",
};

static void set_sizes(struct maker *k)
{
	k->opsize = k->mode->bits == 16 ? 2 : 4;
	k->addrsize = k->mode->bits / 8;
	k->rex_at = 0;
}

static void other_opsize(struct maker *k)
{
	put8(k, 0x66);
	k->opsize = k->opsize == 2 ? 4 : 2;
}

static void maybe_opsize(struct maker *k)
{
	if (!pick(k, 8)) {
		other_opsize(k);
	} else if (k->mode->bits == 64 && pick(k, 3)) {
		k->rex_at = k->n;
		put8(k, 0x40 | (pick(k, 2) ? 8 : 0));
	}
}

static void modrm_any(struct maker *k, const char *t)
{
	bool memory = *t == 'M' || ((*t == 'X' || *t == 'Y' || *t == 'V') && pick(k, 2));
	unsigned r = t[1] ? (unsigned)(t[1] - '0') : *t == 'V' ? pick(k, 8) : *t == 'Y' ? byte_reg(k) : reg(k, 4);

	if (memory)
		modrm_memory(k, r);
	else
		put8(k, 0xc0 | (r & 7) << 3 | (*t == 'V' ? pick(k, 8) : *t == 'Y' ? byte_reg(k) : reg(k, 1)));
}

static void token(struct maker *k, const char *t, unsigned len)
{
	static const uint16_t selectors[] = { 0, FAKE_DS32, FAKE_UDS | 3, SEL_DS, SEL_ES, FAKE_CS64, FAKE_TSS, 0xf8,
		SEL_SS, FAKE_DS32 | 4, 3, SEL_CS32 };
	unsigned size = k->opsize > 4 ? 4 : k->opsize, n = len > 1 ? (unsigned)(t[1] - '0') : 0;
	char name[3] = { t[0], len > 1 ? t[1] : 0, 0 };

	if (len == 2 && strchr("0123456789abcdef", t[0])) {
		put8(k, (unsigned)strtoul(name, NULL, 16));
		return;
	}
	switch (t[0]) {
	case 'w':
		maybe_opsize(k);
		break;
	case '4': case '2':
		if (k->opsize != (unsigned)(t[0] - '0'))
			other_opsize(k);
		break;
	case 'a':
		if (!pick(k, 8)) {
			put8(k, 0x67);
			k->addrsize = k->addrsize == 4 ? 2 : 4;
		}
		break;
	case 'l':
		if (!pick(k, 3))
			put8(k, 0xf0);
		break;
	case 's':
		if (!pick(k, 3))
			put8(k, (const uint8_t[]){ 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 }[pick(k, 6)]);
		break;
	case 'M': case 'R': case 'X': case 'Y': case 'V':
		modrm_any(k, name);
		break;
	case 'i':
		put8(k, byte(k));
		break;
	case 'I':
		put(k, byte(k) * 0x01010101u, size);
		break;
	case 'r':
		k->buf[k->n - 1] |= (uint8_t)reg(k, 1);
		break;
	case 'c':
		k->buf[k->n - 1] |= (uint8_t)pick(k, 16);
		break;
	case 'T':
		put(k, target(k) - (k->at + k->n + size), size);
		break;
	case 'G':
		put(k, target(k), size);
		break;
	case 'P':                               /* ES has the code's base */
		modrm_absolute(k, pad(k, n));
		break;
	case 'O':
		put(k, one_byte_insns(k, n), n);
		break;
	case 'H':
		put(k, pad(k, 8), size);
		break;
	case 'D':
		put(k, k->mode->data + 4096u * pick(k, DATA_PAGES) + (pick(k, 2) ? 4000 : 0) + pick(k, 100), size);
		break;
	case 'K':
		put(k, n ? n : pick(k, 4) ? pick(k, 16) : pick(k, 256) * 8, size);
		break;
	case 'S':
		put(k, selectors[pick(k, ARRAY_SIZE(selectors))], size);
		break;
	case 'u':
		put(k, 0xc839, 2);
		break;
	case 'L':
		break;
	default:
		set_sizes(k);
		break;
	}
}

static void instruction(struct maker *k)
{
	unsigned n = byte(k) | (unsigned)byte(k) << 8;
	const char *t;

	k->n = 0;
	set_sizes(k);
	if (n % 24 == 0) {                      /* MOV EAX, which; INT 32h: another page */
		put8(k, 0xb8);
		put(k, pick(k, REMAPS), k->opsize);
		put(k, 0x32cd, 2);
		return;
	}
	if (n % 24 == 1) {                      /* the stack where it was, the data too */
		put8(k, 0xbc);
		put(k, k->mode->stack, k->opsize);
		put8(k, 0xbb);
		put(k, k->mode->data, k->opsize);
		return;
	}
	t = table[n % ARRAY_SIZE(table)];
	if (*t == 'L' && k->mode->bits == 16)
		t = "90";
	while (*t) {
		unsigned len = (unsigned)strcspn(t, " ");

		token(k, t, len);
		t += len + (t[len] == ' ');
	}
}

/* One page; what follows it in linear memory runs on. */
static void make_page(struct maker *k, uint8_t *page, unsigned number)
{
	unsigned s, at;

	memset(page, 0x90, 4096);
	for (s = 0; s < SLOTS; s++) {
		put_le64(page + s * SLOT, one_byte_insns(k, 8));
		at = s * SLOT + PAD;
		for (;;) {
			k->at = k->mode->code + number * 4096 + at;
			instruction(k);
			if (at + k->n > (s + 1) * SLOT - (s == SLOTS - 1 ? PAD : 0))
				break;
			memcpy(page + at, k->buf, k->n);
			at += k->n;
		}
	}
	if (number & 1)                         /* an instruction across the pages, its immediate a pad */
		page[4094 + (number >> 1)] = 0xb8;
}

/* --- machines ----------------------------------------------------------------------------------------------------- */

static struct fake_machine *machines[2];
static uint64_t began[2];                       /* instructions before the input */
/* What is compared: code, stacks and data, parameters,
	descriptors; page tables but for their A and D bits: the translator may set D for a store
 * that then faults, or does not come because something between accesses that share a check does. */
static const struct { uint32_t from, to; bool table; } compared[] = {
	{ 0x1000, 0x4000, false }, { PML4, PT_CODE + 0x1000, true }, { CODE_RAM, CODE_RAM + 0x8000, false }, { PARAMS,
	PARAMS + 8 * P_N, false },
	{ DATA - 0x1000, STACK + 0x1000, false }, { STACK0 - 0x1000, STACK0, false },
};

static void put_gates(struct fake_machine *m, enum kind kind)
{
	static const uint8_t with_error[] = { 8, 10, 11, 12, 13, 14, 17 };
	uint16_t cs = kind <= COMPAT_USER ? FAKE_CS64 : FAKE_CS32;
	unsigned n, k;

	for (n = 0; n < 0x33; n++) {
		uint32_t at = HANDLER;

		for (k = 0; k < sizeof(with_error); k++)
			if (n == with_error[k] && kind != REAL)
				at = HANDLER_ERR;
		if (n >= 0x30)
			at = n == 0x32 && kind != REAL ? HANDLER_REMAP : HANDLER_INTR;
		if (kind == REAL) {
			put_le32(m->ram + 4 * n, (HANDLER >> 4) << 16 | (at - HANDLER));
			continue;
		}
		fake_gate(m, n, cs, at, 14, n == 3 || n == 4 || n >= 0x31 ? 3 : 0);
		if (kind <= COMPAT_USER)
			m->ram[FAKE_IDT + 16 * n + 4] = 1;      /* IST1 */
	}
	memset(m->ram + FAKE_TSS_AT, 0, 0x1000);
	if (kind <= COMPAT_USER) {
		put_le64(m->ram + FAKE_TSS_AT + 4, STACK0 - 0x800);
		put_le64(m->ram + FAKE_TSS_AT + 0x24, STACK0 - 0x40);
	} else {
		put_le32(m->ram + FAKE_TSS_AT + 4, STACK0 - 0x40);
		put_le32(m->ram + FAKE_TSS_AT + 8, FAKE_DS32);
	}
}

#define PUT(at, name) memcpy(m->ram + (at), name, (size_t)(name##_end - (name)))

/* Of the flags that a fault pushes, those that count. */
static uint64_t mask_of(bool dead) { return dead ? ~0x8d5ull : ~0ull; }

static void put_handlers(struct fake_machine *m, enum kind kind, bool dead)
{
	const struct mode *o = &modes[kind];
	uint64_t params[P_N] = {
		[P_CODE] = o->code, [P_STACK] = o->stack, [P_DATA] = o->data, [P_CS] = o->cs, [P_SS] = o->ss,
			[P_DS] = o->ds, [P_ES] = o->es,
		[P_FS] = o->fs, [P_SEL] = kind == V86 || o->user ? FAKE_UDS | 3 : FAKE_DS32,
			[P_FLAGS] = 0x202 | (kind == V86 ? 0x23000 : 0),
		[P_MASK] = mask_of(dead),
	};

	memset(m->ram + HANDLER, 0, 0x2000);
	for (unsigned n = 0; n < P_N; n++)
		put_le64(m->ram + PARAMS + 8 * n, params[n]);
	if (kind <= COMPAT_USER) {
		PUT(HANDLER_ERR, fault64_err);
		PUT(HANDLER, fault64);
		PUT(HANDLER_INTR, intr64);
		PUT(HANDLER_REMAP, remap64);
		PUT(HANDLER_SYSCALL, syscall64);
	} else if (kind == REAL) {
		PUT(HANDLER, fault16);
		PUT(HANDLER_INTR, intr16);
	} else {
		PUT(HANDLER_ERR, fault32_err);
		if (o->user)
			PUT(HANDLER, fault32u);
		else
			PUT(HANDLER, fault32);
		PUT(HANDLER_INTR, intr32);
		PUT(HANDLER_REMAP, remap32);
	}
}

/* `ad`: the A and D bits that are set from the beginning. */
static void put_tables(struct fake_machine *m, enum kind kind, bool user_data, unsigned ad)
{
	bool wide = kind <= COMPAT_USER;
	unsigned n, u = modes[kind].user ? 4 : 0, data = u || user_data ? 4 : 0;

	memset(m->ram + PML4, 0, PT_CODE + 0x1000 - PML4);
	put_le64(m->ram + PML4, PDPT | 3 | u);
	put_le64(m->ram + PDPT, PD | (wide ? 7 : 1));
	if (!wide)                              /* PAE: what CR3 points at are the four PDPTEs */
		put_le64(m->ram + PML4, PD | 1);
	else
		put_le64(m->ram + PML4, PDPT | 7);
	put_le64(m->ram + PD, PT_LOW | 7);
	put_le64(m->ram + PD + 16, PT_CODE | 7);
	for (n = 0; n < 512; n++) {
		uint32_t at = n * 4096;
		bool is_data = at >= DATA - 0x1000 && at < STACK;

		if (at == DATA + DATA_PAGES * 4096 || at == STACK)
			continue;
		put_le64(m->ram + PT_LOW + 8 * n, (at >= PML4 && at < PT_CODE + 0x1000 ? 1ull << 63 : 0) | at | 3 | ad |
			 (at >= HANDLER && at < HANDLER + 0x2000 ? 0 : is_data ? data : u));
	}
	for (n = 0; n < 8; n++) {
		put_le64(m->ram + PT_CODE + 8 * n, (CODE_RAM + 4096u * (n % 4)) | 3 | ad | u);
		if (kind == V86)
			put_le64(m->ram + PT_LOW + 8 * (RUN_AT_LOW / 4096 + n), (CODE_RAM + 4096u * (n % 4)) | 7 | ad);
	}
}

/* What INT 32h does: each a page table entry, its value, the page, and whether by INVLPG. */
static void put_remaps(struct fake_machine *m, struct maker *k)
{
	unsigned i, u = k->mode->user ? 4 : 0;

	for (i = 0; i < REMAPS; i++) {
		bool code = pick(k, 3) == 0;
		unsigned n = pick(k, code ? 8 : DATA_PAGES), how = pick(k, 8);
		uint32_t linear = (code ? k->mode->run_at : DATA) + 4096 * n;
		uint32_t page = code ? CODE_RAM + 4096u * pick(k, 4) : DATA + 4096u * (pick(k, 2) ? n : pick(k,
			DATA_PAGES));
		uint32_t low = page | (n & 1 ? 0x60 : 0) | u | (how == 0 ? 2 : how == 1 && !code ? 1 : how == 2 &&
			!code ? 7 : 3);

		if (how == 3 && !code)
			low = FAKE_MMIO | 3 | u;
		put_le32(m->ram + REMAP + 16 * i, linear >= RUN_AT ? PT_CODE + 8 * n : PT_LOW + (linear >> 12) * 8);
		put_le32(m->ram + REMAP + 16 * i + 4, low);
		put_le32(m->ram + REMAP + 16 * i + 8, linear);
		put_le32(m->ram + REMAP + 16 * i + 12, pick(k, 2));
	}
}

static void put_segments(struct fake_machine *m, struct cpu_regs *r, enum kind kind)
{
	const struct mode *o = &modes[kind];
	unsigned n;

	fake_descriptor(m, SEL_CS32, o->run_at, 0x7fff, 0x409b);
	fake_descriptor(m, SEL_CS16, o->run_at, 0x7fff, 0x009b);
	fake_descriptor(m, SEL_DS, DATA - 0x8000, 0xffff, 0x4093);
	fake_descriptor(m, SEL_SS, STACK - 0x8000, 0x8fff, 0x4093);
	fake_descriptor(m, SEL_SS16, STACK - 0x8000, 0x8fff, 0x0093);
	fake_descriptor(m, SEL_ES, o->run_at, 0x7fff, 0x4093);
	for (n = 0; n < 6; n++) {
		uint16_t s = n == 1 ? o->cs : n == 2 ? o->ss : n == 0 ? o->es : n == 3 ? o->ds : o->fs;
		uint64_t d = le64(m->ram + FAKE_GDT + (s & ~7));
		uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));

		r->seg[n] = (struct cpu_segment){ s, (d >> 16 & 0xffffff) | (d >> 56) << 24,
			d >> 55 & 1 ? limit << 12 | 0xfff : limit, d >> 40 & 0xf0ff };
		if (kind == REAL || kind == V86)
			r->seg[n] = (struct cpu_segment){ s, (uint64_t)s << 4, 0xffff, kind == REAL ? 0x93 : 0xf3 };
	}
}

static uint8_t code_pages[4 * 4096];
static bool code_made;                          /* they are this input's */

static void set_up(struct fake_machine *m, const uint8_t *data, size_t size, enum kind kind, unsigned options)
{
	struct maker k = { .in = cursor_of(data, size), .mode = &modes[kind],
		.more = le64(data + size - 8) | 1 };
	struct cpu_regs r;
	unsigned n;

	memset(m->ram, 0, 0x200000);    /* all that can be reached: nothing of the input before */
	if (kind <= COMPAT_USER)
		fake_machine_long(m, 0, 0);
	else
		fake_machine_protected(m, 0, 0);
	memset(m->ram + DATA - 0x1000, 0, STACK + 0x2000 - DATA);
	memset(m->ram + STACK0 - 0x1000, 0, 0x1000);
	for (n = 0; n < DATA_PAGES * 4096u; n++)
		m->ram[DATA + n] = (uint8_t)(data[n % size] + n);
	if (!code_made)
		for (n = 0; n < 4; n++)
			make_page(&k, code_pages + 4096 * n, n);
	code_made = true;
	memcpy(m->ram + CODE_RAM, code_pages, sizeof(code_pages));
	memcpy(m->ram + CODE_RAM + 0x4000, code_pages, sizeof(code_pages));
	put_gates(m, kind);
	put_handlers(m, kind, options & 1);
	k.in = cursor_of(data, size);
	k.more = le64(data + size - 8) | 1;
	put_remaps(m, &k);
	put_tables(m, kind, options & 2, (options & 0x18) == 0x18 ? 0 : 0x60);
	cpu_get_regs(m->cpu, &r);
	put_segments(m, &r, kind);
	r.rip = modes[kind].code;
	r.rflags = 0x202 | (kind == V86 ? 0x23000 : 0);
	r.cr0 = kind == REAL ? 0x30 : 0x80010033;
	r.cr3 = PML4;
	r.efer |= 0x800;
	r.cr4 = 0x40620 | (options & 2 && kind == LONG ? 1 << 21 : 0) | (options & 4 &&
		!modes[kind].user ? 1 << 20 : 0) | (kind <= COMPAT_USER ? 1 << 16 : 0);
	if (kind == REAL)
		r.idt_base = 0;
	for (n = 0; n < (modes[kind].bits == 64 ? 16 : 8); n++)
		r.gpr[n] = data[n % size] * 0x01010101u;
	r.gpr[RBX] = modes[kind].data;
	r.gpr[RSP] = modes[kind].stack;
	cpu_set_regs(m->cpu, &r);
	m->cpu->s.xcr0 = 7;
	m->cpu->s.msr.star = (uint64_t)(FAKE_UCS32 | 3) << 48 | 8ull << 32;
	m->cpu->s.msr.lstar = m->cpu->s.msr.cstar = HANDLER_SYSCALL;
	m->cpu->s.msr.fmask = 0x47700;
	m->cpu->s.fpu.fcw = 0x37f;
	m->cpu->s.fpu.mxcsr = 0x1f80;
	cpu_mode_changed(m->cpu);
	cpus_code_written(m->cpus, 0, 0x200000);
	m->accesses = 0;
	m->port_value = 0x90909090;
	m->mmio_value = 0x9090909090909090;
	m->now = 0;
	m->vector = -1;
	began[m == machines[1]] = cpu_instructions(m->cpu);
}

/* --- comparison --------------------------------------------------------------------------------------------------- */

static char difference[200];

static bool differ(const char *what, uint64_t a, uint64_t b)
{
	if (a == b)
		return false;
	snprintf(difference, sizeof(difference), "%s: interp %llx, xlat %llx", what, (unsigned long long)a,
		(unsigned long long)b);
	return true;
}

static bool memory_differs(bool dead)
{
	const uint8_t *a = machines[0]->ram, *b = machines[1]->ram;
	unsigned n;
	uint32_t at;

	for (n = 0; n < ARRAY_SIZE(compared); n++) {
		if (dead && compared[n].from == STACK0 - 0x1000)
			continue;
		if (!compared[n].table && !memcmp(a + compared[n].from, b + compared[n].from,
			compared[n].to - compared[n].from))
			continue;
		for (at = compared[n].from; at < compared[n].to; at += 8) {
			uint64_t mask = compared[n].table ? ~0x60ull : ~0ull;
			char what[32];

			if (!((le64(a + at) ^ le64(b + at)) & mask))
				continue;
			snprintf(what, sizeof(what), "memory at %x", at);
			if (differ(what, le64(a + at) & mask, le64(b + at) & mask))
				return true;
		}
	}
	return false;
}

/* After these bytes only the arithmetic flags are undefined: CMP EAX, ECX is next. */
static bool next_defines_flags(void)
{
	struct cpu_regs r;
	uint8_t next[2];

	cpu_get_regs(machines[0]->cpu, &r);
	return cpu_peek(machines[0]->cpu, r.seg[1].base + r.rip, next, 2) == 2 && next[0] == 0x39 && next[1] == 0xc8;
}

static bool machines_differ(bool dead)
{
	const struct fpu_area *f[2] = { &machines[0]->cpu->s.fpu, &machines[1]->cpu->s.fpu };
	struct cpu_regs a, b;
	unsigned n;
	char what[32];

	if (dead || next_defines_flags())
		for (n = 0; n < 2; n++)
			set_arith_flags(machines[n]->cpu, 0);
	cpu_get_regs(machines[0]->cpu, &a);
	cpu_get_regs(machines[1]->cpu, &b);
	if (differ("instructions", cpu_instructions(machines[0]->cpu) - began[0],
		cpu_instructions(machines[1]->cpu) - began[1]) || differ("rip", a.rip, b.rip) ||
	    differ("rflags", a.rflags, b.rflags) || differ("cr0", a.cr0, b.cr0) || differ("cr2", a.cr2, b.cr2) ||
	    	differ("cr3", a.cr3, b.cr3) ||
	    differ("cr4", a.cr4, b.cr4) || differ("cs", a.seg[1].selector, b.seg[1].selector))
		return true;
	for (n = 0; n < 16; n++) {
		if (a.gpr[n] == b.gpr[n])
			continue;
		snprintf(what, sizeof(what), "r%u", n);
		if (differ(what, a.gpr[n], b.gpr[n]))
			return true;
	}
	for (n = 0; n < 6; n++)
		if (memcmp(&a.seg[n].base, &b.seg[n].base, 8) || a.seg[n].selector != b.seg[n].selector ||
			a.seg[n].limit != b.seg[n].limit)
			return differ("segment", n, 0x100 + n);
	if (differ("fcw", f[0]->fcw, f[1]->fcw) || differ("fsw", f[0]->fsw, f[1]->fsw) || differ("ftw", f[0]->ftw,
		f[1]->ftw) ||
	    differ("mxcsr", f[0]->mxcsr, f[1]->mxcsr))
		return true;
	for (n = 0; n < 16; n++)
		if (memcmp(f[0]->xmm[n], f[1]->xmm[n], 16) || memcmp(f[0]->ymm_hi[n], f[1]->ymm_hi[n], 16))
			return differ("vector register", n, 0x100 + n);
	for (n = 0; n < 8; n++)
		if (memcmp(f[0]->st[n], f[1]->st[n], 10))
			return differ("x87 register", n, 0x100 + n);
	if (differ("accesses to devices", machines[0]->accesses, machines[1]->accesses))
		return true;
	for (n = 0; n < MIN(machines[0]->accesses, (unsigned)ARRAY_SIZE(machines[0]->log)); n++) {
		const struct fake_access *x = &machines[0]->log[n], *y = &machines[1]->log[n];

		if (x->at != y->at || x->size != y->size || x->write != y->write || (x->write && x->value != y->value))
			return differ("access to a device", x->at, y->at);
	}
	return memory_differs(dead);
}

/* --- one input ---------------------------------------------------------------------------------------------------- */

/* How long each run is, and what comes before it: DMA into a pad, an interrupt. */
static void before_run(struct fake_machine *m, const uint8_t *data, unsigned step)
{
	/* With dead flags, only where an interrupt has a stack of its own, which is not compared. */
	bool may = !(data[1] & 1) || m->cpu->s.efer & 1 << 10 || modes[data[0] % KINDS].user;
	unsigned at = CODE_RAM + (data[8 + step] % 4) * 4096u + (data[9 + step] % SLOTS) * SLOT;

	if (data[3 + step] % 3 == 1) {
		m->ram[at] = (uint8_t)(data[3 + step] & 8 ? 0xf9 : 0xf8);
		cpus_code_written(m->cpus, at, 1);
	}
	if (may && data[3 + step] % 3 == 2 && !next_defines_flags()) {
		m->vector = 0x30;
		cpus_intr(m->cpus, true);
	}
	m->now += 1000;
}

static unsigned length_of(const uint8_t *data, unsigned step)
{
	return 1 + data[16 + step] * (data[2] & 1 << (step & 7) ? 4u : 1u) / (step & 1 ? 16 : 1);
}

static bool in_handler(struct fake_machine *m)
{
	return m->cpu->s.rip - HANDLER < 0x1000 || (m->cpu->s.seg[1].base == HANDLER && m->cpu->s.rip < 0x1000);
}

/* With dead flags a run does not end in the handler: what was pushed counts only when that has put it in order. */
static enum cpu_exit run(struct fake_machine *m, unsigned length, bool dead)
{
	enum cpu_exit why = cpu_run(m->cpu, length);

	while (dead && why == CPU_EXIT_BUDGET && in_handler(m))
		why = cpu_run(m->cpu, 1);
	return why;
}

/* All over again up to the run `last`, which is of so many instructions: do the engines differ? */
static bool again(const uint8_t *data, size_t size, enum kind kind, unsigned last, unsigned length)
{
	bool dead = data[1] & 1;
	unsigned e, step;
	enum cpu_exit why[2] = { CPU_EXIT_BUDGET, CPU_EXIT_BUDGET };

	for (e = 0; e < 2; e++)
		set_up(machines[e], data + 2, size - 2, kind, data[1]);
	for (step = 0; step <= last; step++) {
		for (e = 0; e < 2; e++)
			before_run(machines[e], data, step);
		for (e = 0; e < 2; e++)
			why[e] = run(machines[e], step < last ? length_of(data, step) : length, dead);
		if (differ("exit", why[0], why[1]) || machines_differ(dead))
			return true;
	}
	return false;
}

static bool next_insn(struct fake_machine *m, struct insn *i, uint8_t bytes[15])
{
	size_t got = cpu_peek(m->cpu, m->cpu->s.seg[1].base + m->cpu->s.rip, bytes, 15);

	return got && insn_decode(i, bytes, got, 16u << (m->cpu->key & KEY_CODE)) == DECODE_OK;
}

/*
 * Does something depend on what an instruction left undefined, or the manual leaves open?  So it may, where a page was
 * changed under the program's feet and it goes on in the middle of other instructions.
 */
static bool undefined(const uint8_t *data, size_t size, enum kind kind, unsigned last)
{
	struct fake_machine *m = machines[0];
	unsigned step, n, open = 0;
	uint8_t bytes[15];

	set_up(m, data + 2, size - 2, kind, data[1]);
	for (step = 0; step <= last; step++) {
		before_run(m, data, step);
		for (n = 0; n < length_of(data, step) || (data[1] & 1 && in_handler(m)); n++) {
			bool inside = in_handler(m);
			uint64_t at = m->cpu->s.seg[1].base + m->cpu->s.rip;
			struct insn i = { .op = OP_INVALID };
			uint8_t now[15];

			if (next_insn(m, &i, bytes)) {
				if (i.flags.read & open || ((i.op == OP_SHLD || i.op == OP_SHRD) && i.opsize == 2))
					return true;
			}
			cpu_run(m->cpu, 1);
			/* REP over its own bytes: whether the rest is still that is up to when it is interrupted. */
			if (i.op != OP_INVALID && i.rep && i.traits & INSN_STRING && cpu_peek(m->cpu, at, now,
				i.len) == i.len &&
			    memcmp(now, bytes, i.len))
				return true;
			if (in_handler(m) && !inside && open)
				return true;    /* pushed */
			open = (open & ~(unsigned)i.flags.written) | i.flags.undefined;
			if (i.op == OP_AND || i.op == OP_OR || i.op == OP_XOR || i.op == OP_TEST)
				open &= ~(unsigned)FLAG_AF;     /* cleared, on all processors and here */
		}
		if (open && step == last)
			return true;
	}
	/* or did it store there, so that other flags count? */
	return data[1] & 1 && le64(m->ram + PARAMS + 8 * P_MASK) != mask_of(true);
}

/* The instructions of the run that ended differently, as the interpreter sees them, to the first that shows it. */
static void explain(const uint8_t *data, size_t size, enum kind kind, unsigned last)
{
	enum { SHOWN = 40 };
	struct fake_machine *m = machines[0];
	char lines[SHOWN][160];
	unsigned step, n, end = 1;

	while (end < length_of(data, last) && !again(data, size, kind, last, end))
		end++;
	fprintf(stderr, "after %u instructions: %s\n", end, difference);
	set_up(m, data + 2, size - 2, kind, data[1]);
	for (step = 0; step <= last; step++) {
		before_run(m, data, step);
		if (step < last)
			run(m, length_of(data, step), data[1] & 1);
	}
	for (n = 0; n < end; n++) {
		uint64_t rip = m->cpu->s.rip;
		uint8_t bytes[15] = { 0 };
		char text[96] = "?";
		struct insn i;

		if (next_insn(m, &i, bytes))
			insn_text(&i, rip, text, sizeof(text));
		cpu_run(m->cpu, 1);
		snprintf(lines[n % SHOWN], sizeof(lines[0]), "%5u %8llx %02x %02x %02x %02x  %-50s flags %llx", n,
			(unsigned long long)rip, bytes[0], bytes[1],
			 bytes[2], bytes[3], text, (unsigned long long)get_flags(m->cpu));
	}
	for (n = end > SHOWN ? end - SHOWN : 0; n < end; n++)
		fprintf(stderr, "%s\n", lines[n % SHOWN]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { STEPS = 12 };
	enum kind kind;
	bool dead;
	unsigned e, step;

	if (size < 64)
		return 0;
	kind = (enum kind)(data[0] % KINDS);
	dead = data[1] & 1;
	code_made = false;
	for (e = 0; e < 2; e++) {
		fake_engine = (enum cpu_engine)e;
		if (!machines[e])
			machines[e] = fake_machine_new(1, NULL);
		set_up(machines[e], data + 2, size - 2, kind, data[1]);
	}
	xlat_set_exact(machines[1]->cpu, !dead);
	for (step = 0; step < STEPS; step++) {
		enum cpu_exit why[2];

		for (e = 0; e < 2; e++)
			before_run(machines[e], data, step);
		for (e = 0; e < 2; e++)
			why[e] = run(machines[e], length_of(data, step), dead);
		if (differ("exit", why[0], why[1]) || machines_differ(dead)) {
			char what[sizeof(difference)];

			memcpy(what, difference, sizeof(what));
			if (undefined(data, size, kind, step))
				return 0;
			fprintf(stderr, "mode %u, options %x, run %u of %u instructions: engines differ in %s\n",
				kind, data[1], step,
				length_of(data, step), what);
			explain(data, size, kind, step);
			abort();
		}
		if (why[0] == CPU_EXIT_SHUTDOWN)
			break;
	}
	return 0;
}
