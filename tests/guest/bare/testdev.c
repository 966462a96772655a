/* SPDX-License-Identifier: MIT */
/*
 * A kernel that tries QEMU's test devices: multiboot, 32-bit, no paging.  -append "KEY=VALUE..." and one module with
 * the text "module" are what it expects (exit=N: the status to end with, of 0 to 127); it prints a line for each thing
 * that works, and ends through isa-debug-exit at F4h, with 99 if something does not.  It runs unchanged on QEMU:
 *
 *   -kernel testdev.elf -append exit=21 -initrd FILE -device pc-testdev -device pci-testdev
 *   -device isa-debug-exit,iobase=0xf4
 */
#include "kernel.h"

enum { PIN = 15 };
#define TEST_MEMORY ((volatile uint8_t *)0xff000000)

static volatile unsigned pic_count, apic_count;

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

void on_pic(void)
{
	pic_count++;
	out8(PIC1, 0x20);
	out8(PIC0, 0x20);
}

void on_apic(void)
{
	apic_count++;
	LAPIC[0xb0 / 4] = 0;
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
	check(TEST_MEMORY[0xfff1] == 0x56 && *(volatile uint16_t *)(TEST_MEMORY + 0xfff2) == 0x1234,
	      "pc-testdev: memory at FF000000h");
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
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++)
		v |= (uint32_t)bar_read(bar, offset + i) << 8 * i;
	return v;
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

void kernel_main(uint32_t magic, const struct info *info)
{
	const struct module *modules = (const struct module *)info->mods_addr;
	int status;

	check(magic == 0x2badb002, "multiboot magic");
	check(info->flags & 1 && info->mem_lower >= 600 && info->mem_upper >= 16384, "memory sizes");
	check((info->flags & 8) && info->mods_count == 1 && modules->end - modules->start == 6 &&
	      begins((const char *)modules->start, "module"), "a module");
	status = info->flags & 4 ? status_asked((const char *)info->cmdline) : -1;
	check(status >= 0 && status < 128, "command line");
	set_up_interrupts(0xfb, 0xbf, PIN);    /* the cascade, and of the slave IRQ 14 */
	try_pc_testdev();
	try_pci_testdev();
	print("all of it works\n");
	leave((uint8_t)status);
}
