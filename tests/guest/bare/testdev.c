/* SPDX-License-Identifier: MIT */
/*
 * A kernel that tries QEMU's test devices: multiboot, 32-bit, no paging.  -append "KEY=VALUE..." and one module with the text
 * "module" are what it expects (exit=N: the status to end with, of 0 to 127); it prints a line for each thing that works, and
 * ends through isa-debug-exit at F4h, with 99 if something does not.  It runs unchanged on QEMU:
 *
 *   -kernel testdev.elf -append exit=21 -initrd FILE -device pc-testdev -device pci-testdev -device isa-debug-exit,iobase=0xf4
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COM1 = 0x3f8, EXIT = 0xf4, FAILED = 99, PIC0 = 0x20, PIC1 = 0xa0, VECTORS = 0x20, APIC_VECTOR = 0x50, PIN = 15 };
#define TEST_MEMORY ((volatile uint8_t *)0xff000000)
#define IOAPIC ((volatile uint32_t *)0xfec00000)
#define LAPIC ((volatile uint32_t *)0xfee00000)

__asm__(".section .multiboot, \"a\"\n"
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
static volatile unsigned pic_count, apic_count;
static uint64_t idt[256];

static inline void out8(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" :: "a"(v), "Nd"(port)); }
static inline void out16(uint16_t port, uint16_t v) { __asm__ volatile("outw %0, %1" :: "a"(v), "Nd"(port)); }
static inline void out32(uint16_t port, uint32_t v) { __asm__ volatile("outl %0, %1" :: "a"(v), "Nd"(port)); }
static inline uint8_t in8(uint16_t port) { uint8_t v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint16_t in16(uint16_t port) { uint16_t v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint32_t in32(uint16_t port) { uint32_t v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }

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

static bool begins(const char *s, const char *with)
{
	for (; *with; s++, with++)
		if (*s != *with)
			return false;
	return true;
}

/* The number behind "exit=" anywhere in the text; -1: none. */
static int status_asked(const char *line)
{
	for (; *line; line++) {
		int v = 0;

		if (!begins(line, "exit="))
			continue;
		for (line += 5; *line >= '0' && *line <= '9'; line++)
			v = v * 10 + *line - '0';
		return v;
	}
	return -1;
}

/* --- interrupts --- */

__attribute__((used)) void on_pic(void)
{
	pic_count++;
	out8(PIC1, 0x20);
	out8(PIC0, 0x20);
}

__attribute__((used)) void on_apic(void)
{
	apic_count++;
	LAPIC[0xb0 / 4] = 0;
}

static void gate(unsigned vector, const uint8_t *stub)
{
	uint32_t at = (uint32_t)stub;
	uint16_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	idt[vector] = (at & 0xffff) | (uint64_t)cs << 16 | (uint64_t)0x8e00 << 32 | (uint64_t)(at >> 16) << 48;
}

static void set_up_interrupts(void)
{
	struct __attribute__((packed)) { uint16_t limit; uint32_t base; } idtr = { sizeof(idt) - 1, (uint32_t)idt };

	for (unsigned i = 0; i < 16; i++)
		gate(VECTORS + i, pic_stub);
	gate(APIC_VECTOR, apic_stub);
	out8(PIC0, 0x11); out8(PIC0 + 1, VECTORS); out8(PIC0 + 1, 4); out8(PIC0 + 1, 1);
	out8(PIC1, 0x11); out8(PIC1 + 1, VECTORS + 8); out8(PIC1 + 1, 2); out8(PIC1 + 1, 1);
	out8(PIC0 + 1, 0xfb);                   /* only the cascade and, of the slave, input 6: IRQ 14 */
	out8(PIC1 + 1, 0xbf);
	LAPIC[0xf0 / 4] = 0x1ff;                /* enabled, spurious vector FFh */
	LAPIC[0x350 / 4] = 0x700;               /* LINT0: ExtINT */
	IOAPIC[0] = 0x10 + 2 * PIN + 1;
	IOAPIC[4] = 0;
	IOAPIC[0] = 0x10 + 2 * PIN;
	IOAPIC[4] = APIC_VECTOR;                /* edge, physical, processor 0 */
	__asm__ volatile("lidt %0\n sti" :: "m"(idtr));
}

static void wait_a_little(volatile unsigned *count, unsigned until)
{
	for (unsigned i = 0; i < 100000 && *count < until; i++)
		in8(0x80);
}

/* --- the devices --- */

static void try_pc_testdev(void)
{
	out32(0xe0, 0x44332211);
	check(in16(0xe2) == 0x4433 && in8(0xe1) == 0x22 && in32(0xe0) == 0x44332211, "pc-testdev: the register at E0h");
	out16(0xea, 0xbbaa);
	check(in32(0xe8) == 0xbbaa2211 && in32(0xe0) == 0xbbaa2211, "pc-testdev: its bytes at E8h");
	out32(0xe4, 0x200000);
	check(in32(0xe4) == 0, "pc-testdev: flush at E4h");
	*(volatile uint32_t *)(TEST_MEMORY + 0xfff0) = 0x12345678;
	check(TEST_MEMORY[0xfff1] == 0x56 && *(volatile uint16_t *)(TEST_MEMORY + 0xfff2) == 0x1234, "pc-testdev: memory at FF000000h");
	out8(0x2000 + 14, 1);
	wait_a_little(&pic_count, 1);
	check(pic_count == 1, "pc-testdev: line 14 interrupts through the PIC");
	out8(0x2000 + 14, 1);
	wait_a_little(&pic_count, 2);
	check(pic_count == 1, "pc-testdev: once an edge");
	out8(0x2000 + 14, 0);
	out8(0x2000 + 14, 0x80);
	wait_a_little(&pic_count, 2);
	check(pic_count == 2, "pc-testdev: and again");
	out8(0x2000 + 14, 0);
	out8(0x2000 + PIN, 1);
	wait_a_little(&apic_count, 1);
	check(apic_count == 1, "pc-testdev: line 15 interrupts through the I/O APIC");
	out8(0x2000 + PIN, 0);
}

static uint32_t config_read(unsigned slot, unsigned offset)
{
	out32(0xcf8, 0x80000000 | slot << 11 | offset);
	return in32(0xcfc);
}

static uint8_t bar_read(uint32_t bar, unsigned offset)
{
	return bar & 1 ? in8((uint16_t)((bar & ~3u) + offset)) : *(volatile uint8_t *)((bar & ~15u) + offset);
}

static void bar_write(uint32_t bar, unsigned offset, uint8_t value)
{
	if (bar & 1)
		out8((uint16_t)((bar & ~3u) + offset), value);
	else
		*(volatile uint8_t *)((bar & ~15u) + offset) = value;
}

static uint32_t bar_read32(uint32_t bar, unsigned offset)
{
	return bar_read(bar, offset) | (uint32_t)bar_read(bar, offset + 1) << 8 | (uint32_t)bar_read(bar, offset + 2) << 16 |
	       (uint32_t)bar_read(bar, offset + 3) << 24;
}

/* Scans the tests of one BAR as the device's documentation says; returns how many there are. */
static unsigned scan(uint32_t bar)
{
	unsigned test;

	for (test = 0; test < 16; test++) {
		uint32_t offset;
		uint8_t data;

		bar_write(bar, 0, (uint8_t)test);
		if (bar_read(bar, 1) != 1)
			return test;
		offset = bar_read32(bar, 4);
		data = bar_read(bar, 8);
		for (int i = 0; i < 5; i++)
			bar_write(bar, offset, data);
		if (test == 0 && bar_read32(bar, 12) != 5)
			return 0;
	}
	return test;
}

static void try_pci_testdev(void)
{
	for (unsigned slot = 0; slot < 32; slot++) {
		if (config_read(slot, 0) != 0x00051b36)
			continue;
		check(scan(config_read(slot, 0x10)) == 3, "pci-testdev: memory BAR");
		check(scan(config_read(slot, 0x14)) == 3, "pci-testdev: I/O BAR");
		return;
	}
	check(false, "pci-testdev is there");
}

__attribute__((used)) void kernel_main(uint32_t magic, const struct info *info)
{
	const struct module *modules = (const struct module *)info->mods_addr;
	int status;

	check(magic == 0x2badb002, "multiboot magic");
	check(info->flags & 1 && info->mem_lower >= 600 && info->mem_upper >= 16384, "memory sizes");
	check((info->flags & 8) && info->mods_count == 1 && modules->end - modules->start == 6 &&
	      begins((const char *)modules->start, "module"), "a module");
	status = info->flags & 4 ? status_asked((const char *)info->cmdline) : -1;
	check(status >= 0 && status < 128, "command line");
	set_up_interrupts();
	try_pc_testdev();
	try_pci_testdev();
	print("all of it works\n");
	leave((uint8_t)status);
}
