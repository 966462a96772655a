/* SPDX-License-Identifier: MIT */
/*
 * What the kernels in this folder share: the multiboot header and entry, ports, COM1, the way out through
 * isa-debug-exit at F4h, and both interrupt controllers.  Included once by each kernel, which has kernel_main, on_pic
 * and on_apic.
 */
#ifndef BARE_KERNEL_H
#define BARE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COM1 = 0x3f8, EXIT = 0xf4, FAILED = 99, PIC0 = 0x20, PIC1 = 0xa0, VECTORS = 0x20, APIC_VECTOR = 0x50 };
#define IOAPIC ((volatile uint32_t *)0xfec00000)
#define LAPIC ((volatile uint32_t *)0xfee00000)

__asm__(".section .multiboot, \"a\"\n .balign 4\n"
	".long 0x1badb002, 0x2, -(0x1badb002 + 0x2)\n"  /* flags: memory information */
	".text\n"
	".globl _start\n"
	"_start: mov $stack_end, %esp\n"
	"push %ebx\n push %eax\n"
	"call kernel_main\n"
	"1: hlt\n jmp 1b\n"
	".bss\n .align 16\n .skip 16384\n stack_end:\n .text\n"
	/* One stub serves all PIC vectors, one the APIC's. */
	".globl pic_stub, apic_stub\n"
	"pic_stub: pusha\n cld\n call on_pic\n popa\n iret\n"
	"apic_stub: pusha\n cld\n call on_apic\n popa\n iret\n");

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
};

struct module {
	uint32_t start, end, text, reserved;
};

extern const uint8_t pic_stub[], apic_stub[];
void kernel_main(uint32_t magic, const struct info *info);
void on_pic(void);
void on_apic(void);

static uint64_t idt[256];

#define OUT(name, insn, type) \
	static inline void name(uint16_t port, type v) { __asm__ volatile(insn " %0, %1" :: "a"(v), "Nd"(port)); }
#define IN(name, insn, type) \
	static inline type name(uint16_t port) \
	{ type v; __asm__ volatile(insn " %1, %0" : "=a"(v) : "Nd"(port)); return v; }
OUT(out8, "outb", uint8_t)
OUT(out16, "outw", uint16_t)
OUT(out32, "outl", uint32_t)
IN(in8, "inb", uint8_t)
IN(in16, "inw", uint16_t)
IN(in32, "inl", uint32_t)

static void print(const char *s)
{
	for (; *s; s++) {
		while (!(in8(COM1 + 5) & 0x20))
			;
		out8(COM1, (uint8_t)*s);
	}
}

static void leave(uint8_t status)
{
	out8(EXIT, status);
	for (;;)
		__asm__ volatile("hlt");
}

static void check(bool works, const char *what)
{
	print(works ? "ok: " : "FAILED: ");
	print(what);
	print("\n");
	if (!works)
		leave(FAILED);
}

static void gate(unsigned vector, const uint8_t *stub)
{
	uint32_t at = (uint32_t)stub;
	uint16_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	idt[vector] = (at & 0xffff) | (uint64_t)cs << 16 | (uint64_t)0x8e00 << 32 | (uint64_t)(at >> 16) << 48;
}

/* The I/O APIC's input `pin`, edge-triggered, as APIC_VECTOR to this processor; the PICs' inputs those not masked. */
static void set_up_interrupts(uint8_t mask0, uint8_t mask1, unsigned pin)
{
	struct __attribute__((packed)) { uint16_t limit; uint32_t base; } idtr = { sizeof(idt) - 1, (uint32_t)idt };

	for (unsigned i = 0; i < 16; i++)
		gate(VECTORS + i, pic_stub);
	gate(APIC_VECTOR, apic_stub);
	out8(PIC0, 0x11); out8(PIC0 + 1, VECTORS); out8(PIC0 + 1, 4); out8(PIC0 + 1, 1);
	out8(PIC1, 0x11); out8(PIC1 + 1, VECTORS + 8); out8(PIC1 + 1, 2); out8(PIC1 + 1, 1);
	out8(PIC0 + 1, mask0);
	out8(PIC1 + 1, mask1);
	LAPIC[0xf0 / 4] = 0x1ff;                /* enabled, spurious vector FFh */
	LAPIC[0x350 / 4] = 0x700;               /* LINT0: ExtINT */
	IOAPIC[0] = 0x10 + 2 * pin + 1;
	IOAPIC[4] = 0;
	IOAPIC[0] = 0x10 + 2 * pin;
	IOAPIC[4] = APIC_VECTOR;                /* edge, physical, processor 0 */
	__asm__ volatile("lidt %0\n sti" :: "m"(idtr));
}

#endif
