/* SPDX-License-Identifier: MIT */
/*
 * A kernel that divides by zero on the x87 with CR0.NE off, as DOS and old systems do: the error comes as IRQ 13
 * through the 8259, the handler clears the latch at port F0h and the exception, and the program goes on.  (QEMU 7.2
 * with TCG aborts at the error.)
 */
#include "kernel.h"

static volatile unsigned count;
static volatile uint16_t status_in_handler;

void on_pic(void)
{
	uint16_t status;

	count++;
	out8(0xf0, 0);
	__asm__ volatile("fnstsw %0\n fnclex" : "=a"(status));
	status_in_handler = status;
	out8(PIC1, 0x20);
	out8(PIC0, 0x20);
}

void on_apic(void)
{
}

static void divide_by_zero(void)
{
	__asm__ volatile("fninit\n fldcw %0\n fld1\n fldz\n fdivrp\n nop\n fwait" :: "m"((uint16_t){ 0x37b }));
	for (unsigned i = 0; i < 1000 && !count; i++)
		in8(0x80);
}

void kernel_main(uint32_t magic, const struct info *info)
{
	uint32_t cr0;

	(void)info;
	check(magic == 0x2badb002, "multiboot magic");
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" :: "r"(cr0 & ~0x2cu));         /* NE, TS and EM off */
	set_up_interrupts(0xfb, 0xdf, 15);      /* the cascade, and of the slave IRQ 13 */
	divide_by_zero();
	check(count == 1, "an x87 error is IRQ 13");
	check(status_in_handler & 4, "the status word says zero divide");
	count = 0;
	divide_by_zero();
	check(count == 1, "port F0h lets the next one in");
	count = 0;
	__asm__ volatile("fninit\n fld1\n fldz\n fdivrp\n fwait");
	check(count == 0, "a masked one is none");
	out8(0xf0, 0);
	check(in8(0xf0) == 0xff && count == 0, "port F0h alone does nothing");
	print("all of it works\n");
	leave(1);
}
