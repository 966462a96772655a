/* SPDX-License-Identifier: MIT */
/*
 * The PC: i440FX and PIIX3 with everything that is soldered on, wired in one function (pc.c).  emu/ makes the processors
 * and the host's side of disks and streams, hands them in, and adds the cards that the user asked for through pc_pci.
 *
 * All calls with the machine lock held, but for pc_page and pc_doorbell, which any thread may make at any time.
 */
#ifndef HW_PC_H
#define HW_PC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hw/bus.h"
#include "hw/irq.h"

struct chardev;
struct clock;
struct cpus;
struct disk;
struct fw_cfg;
struct pc;
struct pci_bus;
struct ps2_kbd;
struct state_list;
struct vga;

enum pc_vga { PC_VGA_NONE, PC_VGA_STD };

enum {
	PC_LOW_MAX_MIB = 3584,          /* RAM below 4 GiB ends at 0xe0000000 at the latest; the rest begins at 4 GiB */
	PC_FILES_MAX = 32,
};

struct pc_fw_file {
	const char *name;               /* "opt/org.example/x", "bootorder", "genroms/..." */
	const void *data;               /* kept, not copied */
	size_t len;
};

/* What the guest does to the machine.  Called from inside a device access: only note it and act when cpu_run has returned. */
struct pc_events {
	void (*reset)(void *owner);                     /* port CF9, 92h, 64h, ACPI reset register */
	void (*shutdown)(void *owner);                  /* ACPI S5 */
	void (*debug_exit)(void *owner, int status);    /* isa-debug-exit: the process ends with this status */
};

struct pc_config {
	struct clock *clock;
	struct cpus *cpus;              /* NULL in tests; pc.c drives INTR, A20, MSI and the notices about remapped memory */
	unsigned cpu_count;             /* 1..8 */
	uint64_t ram_size;              /* bytes, a multiple of 1 MiB, at least 1 MiB */
	uint8_t *ram;                   /* ram_size bytes of page-aligned host memory, the caller's */
	const void *bios;               /* firmware image, up to 8 MiB, a multiple of 64 KiB; kept; NULL: none (direct boot only) */
	size_t bios_len;
	enum pc_vga vga;
	const void *vga_rom;            /* VGA BIOS for the card's ROM BAR, and the font of a direct boot; kept; NULL: none */
	size_t vga_rom_len;
	struct chardev *serial[4];      /* COM1..4; NULL: not fitted */
	struct chardev *debugcon;       /* port debugcon_port (0: 0x402); NULL: none */
	uint16_t debugcon_port;
	uint16_t debug_exit_port;       /* isa-debug-exit; 0: not fitted */
	uint8_t debug_exit_size;        /* ports that it covers (0: 2) */
	struct disk *ide[2][2];         /* [channel][unit]; NULL: none */
	bool no_hpet, no_acpi;
	const char *boot_order;         /* letters of a, c, d, n; NULL: "cad" */
	bool boot_menu;
	uint32_t boot_menu_wait_ms;     /* 0: SeaBIOS's own */
	bool no_fd_bootchk;             /* QEMU's fd-bootchk=off */
	int64_t rtc_s;                  /* what the RTC shows at pc_new: seconds since 1970, UTC or local as the user wants */
	const struct pc_fw_file *files;
	size_t file_count;
	uint8_t uuid[16];               /* for SMBIOS; all zero: not settable */
	struct pc_events events;
	void *owner;
};

/* NULL with err if the configuration cannot be (a bad size, say).  The machine is reset. */
struct pc *pc_new(const struct pc_config *config, struct err *err);
void pc_free(struct pc *pc);

/* Reset of all devices and, through cpus_reset, of the processors; none may be running. */
void pc_reset(struct pc *pc);
void pc_power_button(struct pc *pc);            /* system_powerdown */
void pc_nmi(struct pc *pc);
/* A processor's FERR# became active: IRQ 13, until the guest writes port F0h. */
void pc_ferr(struct pc *pc);

struct bus *pc_memory(struct pc *pc);
struct bus *pc_ports(struct pc *pc);
struct pci_bus *pc_pci(struct pc *pc);
struct state_list *pc_states(struct pc *pc);    /* devices that emu adds register here */
struct fw_cfg *pc_fw_cfg(struct pc *pc);
struct vga *pc_vga(struct pc *pc);              /* NULL: none */
struct ps2_kbd *pc_keyboard(struct pc *pc);
/* For -boot once=: what CMOS tells firmware from the next reset on. */
void pc_set_boot_order(struct pc *pc, const char *order);
struct irq_line pc_isa_irq(struct pc *pc, int irq);
/* Input `n` (0..23) of the I/O APIC, and of the 8259s below 16, for a device that drives lines of others (pc-testdev). */
struct irq_line pc_test_irq(struct pc *pc, int n);
uint64_t pc_low_ram(const struct pc *pc);       /* bytes of RAM below 4 GiB */

/* The processors' side, for struct cpu_ops. */
uint64_t pc_mem_read(struct pc *pc, uint64_t gpa, unsigned size);
void pc_mem_write(struct pc *pc, uint64_t gpa, uint64_t value, unsigned size);
uint32_t pc_io_read(struct pc *pc, uint16_t port, unsigned size);
void pc_io_write(struct pc *pc, uint16_t port, uint32_t value, unsigned size);
bool pc_page(struct pc *pc, uint64_t gpa, struct bus_page *page);
bool pc_doorbell(struct pc *pc, uint64_t gpa, uint64_t value, unsigned size);   /* memory doorbells, bus_doorbell */
void pc_mark_code(struct pc *pc, uint64_t gpa, bool code);
int pc_int_ack(struct pc *pc);                  /* -1: the 8259 has withdrawn its request */
void pc_apic_eoi(struct pc *pc, uint8_t vector);

/*
 * Direct boot: leave the machine as firmware would hand it over: shadow RAM on, PCI resources and interrupt lines assigned,
 * PIC level triggers set, ACPI and SMBIOS tables in memory.  After every pc_reset, before the kernel is loaded.
 */
void pc_direct_boot(struct pc *pc);
uint64_t pc_rsdp(const struct pc *pc);          /* guest address of the RSDP; 0 before pc_direct_boot or without ACPI */
struct pc_e820 {
	uint64_t base, len;
	uint32_t type;                  /* 1 RAM, 2 reserved, 3 ACPI */
};
/* The memory map for the kernel (after pc_direct_boot); returns the number of entries. */
size_t pc_e820(const struct pc *pc, struct pc_e820 *map, size_t max);

/* info mtree, pci, irq, pic, fw_cfg */
void pc_print_mtree(struct pc *pc, void (*out)(void *to, const char *line), void *to);
void pc_print_pci(struct pc *pc, void (*out)(void *to, const char *line), void *to);
void pc_print_irq(struct pc *pc, void (*out)(void *to, const char *line), void *to);
void pc_print_pic(struct pc *pc, void (*out)(void *to, const char *line), void *to);

#endif
