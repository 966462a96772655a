/* SPDX-License-Identifier: MIT */
/*
 * The PC that QEMU calls "pc": i440FX, PIIX3 and what is soldered to them.  wire() reads from top to bottom as the board's
 * wiring diagram; the rest fills in CMOS, fw_cfg and tables, and stands in for firmware in a direct boot.
 *
 *   interrupts:  ISA device --.                        .--> 8259 input n ----> INTR
 *                PCI pin -> PIRQA..D -> PIIX3 route ---+--> I/O APIC input n (timer: 2) --> message
 *                HPET, legacy route ------------------'
 */
#include "hw/pc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "cpu/cpu.h"
#include "hw/acpi.h"
#include "hw/chardev.h"
#include "hw/debugcon.h"
#include "hw/disk.h"
#include "hw/fw_cfg.h"
#include "hw/hpet.h"
#include "hw/i440fx.h"
#include "hw/i8042.h"
#include "hw/i8254.h"
#include "hw/i8259.h"
#include "hw/ioapic.h"
#include "hw/isa_debug_exit.h"
#include "hw/mc146818.h"
#include "hw/pci.h"
#include "hw/piix3.h"
#include "hw/piix3_ide.h"
#include "hw/piix4_pm.h"
#include "hw/smbios.h"
#include "hw/state.h"
#include "hw/uart16550.h"
#include "hw/vga.h"

enum {
	MIB = 1 << 20,
	LINES = 16,
	/* who may hold a line up: the bits of struct state's level[] */
	SOURCE_ISA = 0, SOURCE_ISA_SECOND = 1, SOURCE_PCI = 2, SOURCE_HPET = 3, SOURCE_TEST = 4,
	IRQ_TIMER = 0, IRQ_KBD = 1, IRQ_RTC = 8, IRQ_MOUSE = 12, IRQ_COPROCESSOR = 13, IRQ_IDE = 14, IOAPIC_TIMER = 2,
	PORT_COPROCESSOR = 0xf0,
	BDA_EBDA = 0x40e, BDA_MEMORY_KB = 0x413, EBDA = 0x9fc00, LEGACY_END = 0x100000,
	RSDP_AT = 0xf5a00, SMBIOS_AT = 0xf5b00, ACPI_ALIGN = 64 << 10,
	E820_FILE_ENTRY = 20,
};
#define LOW_SPLIT 0xc0000000u           /* with RAM of 3.5 GiB or more, what is below 4 GiB ends here, as on QEMU's pc */
#define LOW_MAX 0xe0000000u
#define FOUR_GIB ((uint64_t)1 << 32)

static const uint8_t pirq_irqs[4] = { 10, 10, 11, 11 };         /* SeaBIOS's choice */

struct pc {
	struct pc_config cfg;
	uint64_t low_ram;
	struct bus *memory, *ports;
	struct state_list *states;
	struct pci_bus *pci;
	struct i8259 *pic;
	struct ioapic *ioapic;
	struct i440fx *bridge;
	struct piix3 *piix3;
	struct piix4_pm *pm;
	struct i8254 *pit;
	struct hpet *hpet;
	struct mc146818 *rtc;
	struct i8042 *kbc;
	struct uart16550 *com[4];
	struct piix3_ide *ide;
	struct vga *vga;
	struct fw_cfg *fw_cfg;
	struct debugcon *debugcon;
	struct isa_debug_exit *debug_exit;
	struct acpi acpi;
	struct smbios smbios;
	uint8_t e820[2 * E820_FILE_ENTRY];
	uint8_t boot_fail_wait[4], boot_menu_wait[4];
	uint32_t rsdp, acpi_at;         /* after pc_direct_boot */
	/* plain state: */
	struct state {
		uint8_t level[LINES];   /* a bit per source */
		bool hpet_legacy;
	} s;
};

/* --- interrupt lines ------------------------------------------------------------------------------------------- */

static bool line_level(const struct pc *pc, unsigned irq)
{
	/* the HPET's legacy replacement route takes IRQ 8 from the RTC (the 8254 is told itself) */
	return pc->s.level[irq] & (irq == IRQ_RTC && pc->s.hpet_legacy ? 1 << SOURCE_HPET : 0xff);
}

static void drive_line(struct pc *pc, unsigned irq, bool level)
{
	struct irq_line pic = i8259_input(pc->pic, (int)irq);
	struct irq_line apic = ioapic_input(pc->ioapic, irq == IRQ_TIMER ? IOAPIC_TIMER : (int)irq);

	irq_set(&pic, level);
	if (irq != IOAPIC_TIMER)
		irq_set(&apic, level);
}

/* number: line, and in the second byte the source's bit */
static void set_line(void *owner, int number, bool level)
{
	struct pc *pc = owner;
	unsigned irq = number & 0xff, bit = 1u << (number >> 8);
	bool was = line_level(pc, irq);

	pc->s.level[irq] = (uint8_t)(level ? pc->s.level[irq] | bit : pc->s.level[irq] & ~bit);
	if (line_level(pc, irq) != was)
		drive_line(pc, irq, !was);
}

static struct irq_line line(struct pc *pc, int irq, int source)
{
	return (struct irq_line){ set_line, pc, irq | source << 8 };
}

struct irq_line pc_isa_irq(struct pc *pc, int irq)
{
	assert(irq >= 0 && irq < LINES);
	return line(pc, irq, SOURCE_ISA);
}

/* 8259 input 2 is the cascade, and I/O APIC input 2 the timer's, so line 2 is that input alone. */
struct irq_line pc_test_irq(struct pc *pc, int n)
{
	assert(n >= 0 && n < IOAPIC_PINS);
	return n < LINES && n != IOAPIC_TIMER ? line(pc, n, SOURCE_TEST) : ioapic_input(pc->ioapic, n);
}

static void set_pirq(void *owner, int number, bool level)
{
	struct pc *pc = owner;

	if (pc->piix3)
		piix3_pirq(pc->piix3, number, level);
}

static void set_intr(void *owner, int number, bool level)
{
	struct pc *pc = owner;

	(void)number;
	if (pc->cfg.cpus)
		cpus_intr(pc->cfg.cpus, level);
}

static void send_msi(void *owner, uint64_t addr, uint32_t data)
{
	struct pc *pc = owner;

	if (pc->cfg.cpus)
		cpus_msi(pc->cfg.cpus, addr, data);
}

static void set_hpet_legacy(void *owner, bool on)
{
	struct pc *pc = owner;
	bool was = line_level(pc, IRQ_RTC);

	i8254_disconnect(pc->pit, on);
	pc->s.hpet_legacy = on;
	if (line_level(pc, IRQ_RTC) != was)
		drive_line(pc, IRQ_RTC, !was);
}

/* --- other wires ----------------------------------------------------------------------------------------------- */

static void set_a20(void *owner, int number, bool level)
{
	struct pc *pc = owner;

	(void)number;
	if (pc->cfg.cpus)
		cpus_a20(pc->cfg.cpus, level);
}

static void reset_asked(void *owner)
{
	struct pc *pc = owner;

	if (pc->cfg.events.reset)
		pc->cfg.events.reset(pc->cfg.owner);
}

static void reset_pulse(void *owner, int number, bool level)
{
	(void)number;
	if (level)
		reset_asked(owner);
}

static void shutdown_asked(void *owner)
{
	struct pc *pc = owner;

	if (pc->cfg.events.shutdown)
		pc->cfg.events.shutdown(pc->cfg.owner);
}

static void exit_asked(void *owner, int status)
{
	struct pc *pc = owner;

	if (pc->cfg.events.debug_exit)
		pc->cfg.events.debug_exit(pc->cfg.owner, status);
}

/* The latch between the coprocessor's error pin and IRQ 13: port F0h clears it. */
static uint64_t coprocessor_read(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0xff;
}

static void coprocessor_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)offset;
	(void)value;
	(void)size;
	set_line(dev, IRQ_COPROCESSOR | SOURCE_ISA << 8, false);
}

static const struct io_ops coprocessor_ops = { coprocessor_read, coprocessor_write, .max_size = 1 };

void pc_ferr(struct pc *pc)
{
	set_line(pc, IRQ_COPROCESSOR | SOURCE_ISA << 8, true);
}

static void apm_command(void *owner, uint8_t command)
{
	struct pc *pc = owner;

	piix4_pm_apm(pc->pm, command);
}

static void remapped(void *owner)
{
	struct pc *pc = owner;

	if (pc->cfg.cpus)
		cpus_remapped(pc->cfg.cpus);
}

static void code_written(void *owner, uint64_t addr, size_t len)
{
	struct pc *pc = owner;

	if (pc->cfg.cpus)
		cpus_code_written(pc->cfg.cpus, addr, len);
}

static void reset_lines(void *owner)
{
	struct pc *pc = owner;

	memset(pc->s.level, 0, sizeof(pc->s.level));
}

/* --- the board ------------------------------------------------------------------------------------------------- */

static bool wire(struct pc *pc, struct err *err)
{
	static const uint16_t com_base[4] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
	const struct pc_config *c = &pc->cfg;
	struct state_list *states = pc->states = state_list_new();
	struct bus *memory = pc->memory = bus_new(BUS_MEMORY), *ports = pc->ports = bus_new(BUS_PORTS);
	struct msi_sink msi = { send_msi, pc };
	struct pci_bus_config pci = { .memory = memory, .ports = ports, .msi = msi, .states = states };
	struct piix3_config piix3 = { .ports = ports, .a20 = { set_a20, pc, 0 }, .reset = reset_asked, .apm = apm_command,
				      .owner = pc, .states = states };
	struct hpet_config hpet = { .memory = memory, .legacy_route = set_hpet_legacy, .owner = pc, .clock = c->clock,
				    .states = states };

	bus_listen(memory, &(struct bus_listener){ remapped, code_written, pc });
	/* interrupt controllers first: at reset the lines settle into them */
	state_add(states, &(struct state_section){ .name = "pc", .version = 1, .data = &pc->s, .size = sizeof(pc->s),
		.owner = pc, .reset = reset_lines });
	pc->pic = i8259_new(&(struct i8259_config){ .ports = ports, .intr = { set_intr, pc, 0 }, .states = states });
	pc->ioapic = ioapic_new(&(struct ioapic_config){ .memory = memory, .msi = msi, .states = states });

	/* slot 0: host bridge; slot 1: south bridge, IDE, power management; slot 2: VGA */
	for (int i = 0; i < 4; i++)
		pci.pirq[i] = (struct irq_line){ set_pirq, pc, i };
	piix3.pci = pc->pci = pci_bus_new(&pci);
	for (int i = 0; i < LINES; i++)
		piix3.irq[i] = line(pc, i, SOURCE_PCI);
	pc->piix3 = piix3_new(&piix3, err);
	pc->bridge = i440fx_new(&(struct i440fx_config){ .memory = memory, .ports = ports, .pci = pc->pci, .ram = c->ram,
		.ram_size = c->ram_size, .low_max = pc->low_ram, .bios = c->bios, .bios_len = c->bios_len,
		.cf9_read = piix3_cf9_read, .cf9_write = piix3_cf9_write, .cf9_owner = pc->piix3, .states = states }, err);
	pc->ide = piix3_ide_new(&(struct piix3_ide_config){ .pci = pc->pci, .devfn = 1 << 3 | 1, .ports = ports,
		.irq = { line(pc, IRQ_IDE, SOURCE_ISA), line(pc, IRQ_IDE + 1, SOURCE_ISA) },
		.disk = { { c->ide[0][0], c->ide[0][1] }, { c->ide[1][0], c->ide[1][1] } },
		.clock = c->clock, .states = states }, err);
	pc->pm = piix4_pm_new(&(struct piix4_pm_config){ .ports = ports, .pci = pc->pci, .sci = line(pc, PM_SCI_IRQ, SOURCE_ISA),
		.clock = c->clock, .shutdown = shutdown_asked, .owner = pc, .states = states }, err);
	if (!pc->piix3 || !pc->bridge || !pc->ide || !pc->pm)
		return false;
	if (c->vga == PC_VGA_STD) {
		pc->vga = vga_new(&(struct vga_config){ .memory = memory, .ports = ports, .pci = pc->pci, .devfn = 2 << 3,
			.clock = c->clock, .states = states }, err);
		if (!pc->vga)
			return false;
		if (c->vga_rom && !pci_rom_image(vga_pci(pc->vga), c->vga_rom, c->vga_rom_len, false, err))
			return false;
	}

	/* timers and the clock */
	pc->pit = i8254_new(&(struct i8254_config){ .ports = ports, .irq = line(pc, IRQ_TIMER, SOURCE_ISA), .clock = c->clock,
		.states = states });
	pc->rtc = mc146818_new(&(struct mc146818_config){ .ports = ports, .irq = line(pc, IRQ_RTC, SOURCE_ISA),
		.clock = c->clock, .now_s = c->rtc_s, .states = states });
	for (int i = 0; i < 32; i++)
		if (HPET_ROUTES >> i & 1)
			hpet.irq[i] = ioapic_input(pc->ioapic, i);
	hpet.legacy[0] = line(pc, IRQ_TIMER, SOURCE_HPET);
	hpet.legacy[1] = line(pc, IRQ_RTC, SOURCE_HPET);
	if (!c->no_hpet)
		pc->hpet = hpet_new(&hpet);

	/* Super I/O */
	pc->kbc = i8042_new(&(struct i8042_config){ .ports = ports, .irq_kbd = line(pc, IRQ_KBD, SOURCE_ISA),
		.irq_mouse = line(pc, IRQ_MOUSE, SOURCE_ISA), .a20 = { set_a20, pc, 0 }, .reset = { reset_pulse, pc, 0 },
		.clock = c->clock, .states = states });
	for (unsigned i = 0; i < 4; i++)
		if (c->serial[i])
			pc->com[i] = uart16550_new(&(struct uart16550_config){ .ports = ports, .base = com_base[i],
				.irq = line(pc, i & 1 ? 3 : 4, i < 2 ? SOURCE_ISA : SOURCE_ISA_SECOND), .chardev = c->serial[i],
				.clock = c->clock, .states = states, .instance = i });

	if (!bus_map(ports, PORT_COPROCESSOR, 1, &coprocessor_ops, pc, "coprocessor error", err))
		return false;

	/* what real boards do not have */
	pc->fw_cfg = fw_cfg_new(&(struct fw_cfg_config){ .ports = ports, .memory = memory, .states = states });
	if (c->debugcon) {
		pc->debugcon = debugcon_new(&(struct debugcon_config){ ports, c->debugcon_port ? c->debugcon_port : 0x402,
			c->debugcon }, err);
		if (!pc->debugcon)
			return false;
	}
	if (c->debug_exit_port) {
		pc->debug_exit = isa_debug_exit_new(&(struct isa_debug_exit_config){ ports, c->debug_exit_port,
			c->debug_exit_size ? c->debug_exit_size : 2, exit_asked, pc }, err);
		if (!pc->debug_exit)
			return false;
	}
	return true;
}

/* --- CMOS ------------------------------------------------------------------------------------------------------ */

static void cmos_word(struct pc *pc, unsigned index, uint64_t value)
{
	mc146818_set_cmos(pc->rtc, index, (uint8_t)value);
	mc146818_set_cmos(pc->rtc, index + 1, (uint8_t)(value >> 8));
}

static unsigned boot_code(char letter)
{
	switch (letter) {
	case 'a': case 'b':
		return 1;
	case 'c':
		return 2;
	case 'd':
		return 3;
	case 'n':
		return 4;
	}
	return 0;
}

void pc_set_boot_order(struct pc *pc, const char *order)
{
	if (!order)
		order = "cad";
	mc146818_set_cmos(pc->rtc, 0x3d, (uint8_t)(boot_code(order[0]) | (order[0] ? boot_code(order[1]) << 4 : 0)));
	mc146818_set_cmos(pc->rtc, 0x38, (uint8_t)((strlen(order) > 2 ? boot_code(order[2]) << 4 : 0) | pc->cfg.no_fd_bootchk));
}

/* A disk's geometry for firmware that asks CMOS: type 47, 16 heads, 63 sectors (index 1Bh and 24h, nine bytes each). */
static void cmos_disk(struct pc *pc, unsigned unit)
{
	const struct disk *d = pc->cfg.ide[0][unit];
	unsigned at = unit ? 0x24 : 0x1b;
	uint64_t cylinders;

	if (!d || d->cdrom)
		return;
	cylinders = MIN(d->size / 512 / (16 * 63), (uint64_t)16383);
	mc146818_set_cmos(pc->rtc, 0x12, mc146818_cmos(pc->rtc, 0x12) | (unit ? 0x0f : 0xf0));
	mc146818_set_cmos(pc->rtc, 0x19 + unit, 47);
	cmos_word(pc, at, cylinders);
	mc146818_set_cmos(pc->rtc, at + 2, 16);
	cmos_word(pc, at + 3, 0xffff);
	mc146818_set_cmos(pc->rtc, at + 5, 0xc8);
	cmos_word(pc, at + 6, cylinders);
	mc146818_set_cmos(pc->rtc, at + 8, 63);
}

/* What SeaBIOS and DOS-era firmware look up; indices as in Ralf Brown's CMOS list. */
static void fill_cmos(struct pc *pc)
{
	const struct pc_config *c = &pc->cfg;
	uint64_t above_1m = pc->low_ram - MIB, above_16m = pc->low_ram > 16 * MIB ? pc->low_ram - 16 * MIB : 0;
	uint64_t high = c->ram_size - pc->low_ram;
	unsigned translate = 0, sum = 0;

	mc146818_set_cmos(pc->rtc, 0x14, 0x06);                         /* equipment: FPU, PS/2 mouse */
	cmos_word(pc, 0x15, 640);
	cmos_word(pc, 0x17, MIN(above_1m / 1024, (uint64_t)0xffff));
	cmos_word(pc, 0x30, MIN(above_1m / 1024, (uint64_t)0xffff));
	cmos_word(pc, 0x34, MIN(above_16m >> 16, (uint64_t)0xffff));
	cmos_word(pc, 0x5b, MIN(high >> 16, (uint64_t)0xffffff));
	mc146818_set_cmos(pc->rtc, 0x5d, (uint8_t)(high >> 32));
	mc146818_set_cmos(pc->rtc, 0x5f, (uint8_t)(c->cpu_count - 1));
	for (unsigned i = 0; i < 2; i++)
		cmos_disk(pc, i);
	for (unsigned i = 0; i < 4; i++) {
		const struct disk *d = c->ide[i / 2][i % 2];

		if (d && !d->cdrom && d->size / 512 / (16 * 63) > 1024)
			translate |= 1u << (2 * i);                     /* LBA translation */
	}
	mc146818_set_cmos(pc->rtc, 0x39, (uint8_t)translate);
	pc_set_boot_order(pc, c->boot_order);
	for (unsigned i = 0x10; i <= 0x2d; i++)
		sum += mc146818_cmos(pc->rtc, i);
	mc146818_set_cmos(pc->rtc, 0x2e, (uint8_t)(sum >> 8));
	mc146818_set_cmos(pc->rtc, 0x2f, (uint8_t)sum);
}

/* --- fw_cfg ---------------------------------------------------------------------------------------------------- */

static void build_tables(struct pc *pc)
{
	const struct pc_config *c = &pc->cfg;
	struct smbios_config smbios = { c->cpu_count, c->ram_size, pc->low_ram, { 0 } };
	unsigned com_ports = 0;

	for (unsigned i = 0; i < 4; i++)
		com_ports |= (c->serial[i] != NULL) << i;
	if (!c->no_acpi)
		acpi_build(&pc->acpi, &(struct acpi_config){ c->cpu_count, pc->low_ram,
			c->ram_size > pc->low_ram ? FOUR_GIB + c->ram_size - pc->low_ram : 0, pc->hpet != NULL,
			pc->vga != NULL, com_ports });
	memcpy(smbios.uuid, c->uuid, 16);
	smbios_build(&pc->smbios, &smbios);
}

static size_t fill_e820(struct pc *pc)
{
	uint64_t high = pc->cfg.ram_size - pc->low_ram;

	put_le64(pc->e820 + 8, pc->low_ram);
	put_le32(pc->e820 + 16, 1);
	put_le64(pc->e820 + E820_FILE_ENTRY, FOUR_GIB);
	put_le64(pc->e820 + E820_FILE_ENTRY + 8, high);
	put_le32(pc->e820 + E820_FILE_ENTRY + 16, 1);
	return high ? 2 * E820_FILE_ENTRY : E820_FILE_ENTRY;
}

static bool fill_fw_cfg(struct pc *pc, struct err *err)
{
	const struct pc_config *c = &pc->cfg;
	struct fw_cfg *f = pc->fw_cfg;

	fw_cfg_item(f, FW_CFG_UUID, pc->cfg.uuid, 16);
	fw_cfg_number(f, FW_CFG_RAM_SIZE, c->ram_size, 8);
	fw_cfg_number(f, FW_CFG_NOGRAPHIC, c->vga == PC_VGA_NONE, 2);
	fw_cfg_number(f, FW_CFG_NB_CPUS, c->cpu_count, 2);
	fw_cfg_number(f, FW_CFG_MAX_CPUS, c->cpu_count, 2);
	fw_cfg_number(f, FW_CFG_NUMA, 0, 8);
	fw_cfg_number(f, FW_CFG_BOOT_MENU, c->boot_menu, 2);
	fw_cfg_number(f, FW_CFG_IRQ0_OVERRIDE, 1, 4);
	if (pc->acpi.tables)
		if (!fw_cfg_file(f, ACPI_FILE_RSDP, pc->acpi.rsdp, pc->acpi.rsdp_len, err) ||
		    !fw_cfg_file(f, ACPI_FILE_TABLES, pc->acpi.tables, pc->acpi.tables_len, err) ||
		    !fw_cfg_file(f, ACPI_FILE_LOADER, pc->acpi.loader, pc->acpi.loader_len, err))
			return false;
	put_le32(pc->boot_fail_wait, UINT32_MAX);               /* nothing to boot: stay, do not reboot */
	put_le32(pc->boot_menu_wait, c->boot_menu_wait_ms);
	if (!fw_cfg_file(f, SMBIOS_FILE_TABLES, pc->smbios.tables, pc->smbios.len, err) ||
	    !fw_cfg_file(f, SMBIOS_FILE_ANCHOR, pc->smbios.anchor, SMBIOS_ANCHOR, err) ||
	    !fw_cfg_file(f, "etc/e820", pc->e820, fill_e820(pc), err) ||
	    !fw_cfg_file(f, "etc/boot-fail-wait", pc->boot_fail_wait, 4, err))
		return false;
	if (c->boot_menu_wait_ms && !fw_cfg_file(f, "etc/boot-menu-wait", pc->boot_menu_wait, 4, err))
		return false;
	for (size_t i = 0; i < c->file_count; i++)
		if (!fw_cfg_file(f, c->files[i].name, c->files[i].data, c->files[i].len, err))
			return false;
	return true;
}

/* --- life cycle ------------------------------------------------------------------------------------------------ */

static bool check(const struct pc_config *c, struct err *err)
{
	if (c->cpu_count < 1 || c->cpu_count > 8)
		return err_set(err, "%u processors: there can be 1 to 8", c->cpu_count);
	if (c->ram_size < MIB || c->ram_size % MIB)
		return err_set(err, "%" PRIu64 " bytes of RAM: it must be a multiple of 1 MiB", c->ram_size);
	if (c->ram_size > (uint64_t)512 << 30)
		return err_set(err, "%" PRIu64 " MiB of RAM: there can be at most 512 GiB", c->ram_size / MIB);
	if (c->bios_len && (c->bios_len % (64 << 10) || c->bios_len > 8 * MIB))
		return err_set(err, "a firmware image of %zu bytes: it must be a multiple of 64 KiB, up to 8 MiB", c->bios_len);
	return true;
}

struct pc *pc_new(const struct pc_config *config, struct err *err)
{
	struct pc *pc;

	if (!check(config, err))
		return NULL;
	pc = calloc(1, sizeof(*pc));
	assert(pc && config->ram && config->clock);
	pc->cfg = *config;
	pc->low_ram = config->ram_size < LOW_MAX ? config->ram_size : LOW_SPLIT;
	if (!wire(pc, err))
		goto fail;
	fill_cmos(pc);
	build_tables(pc);
	if (!fill_fw_cfg(pc, err))
		goto fail;
	pc_reset(pc);
	return pc;
fail:
	pc_free(pc);
	return NULL;
}

void pc_free(struct pc *pc)
{
	if (!pc)
		return;
	isa_debug_exit_free(pc->debug_exit);
	debugcon_free(pc->debugcon);
	fw_cfg_free(pc->fw_cfg);
	for (unsigned i = 0; i < 4; i++)
		if (pc->com[i])
			uart16550_free(pc->com[i]);
	if (pc->kbc)
		i8042_free(pc->kbc);
	hpet_free(pc->hpet);
	mc146818_free(pc->rtc);
	i8254_free(pc->pit);
	if (pc->vga)
		vga_free(pc->vga);
	piix4_pm_free(pc->pm);
	if (pc->ide)
		piix3_ide_free(pc->ide);
	i440fx_free(pc->bridge);
	piix3_free(pc->piix3);
	pci_bus_free(pc->pci);
	ioapic_free(pc->ioapic);
	i8259_free(pc->pic);
	bus_free(pc->ports);
	bus_free(pc->memory);
	state_list_free(pc->states);
	acpi_free(&pc->acpi);
	smbios_free(&pc->smbios);
	free(pc);
}

void pc_reset(struct pc *pc)
{
	pc->rsdp = pc->acpi_at = 0;
	state_reset_all(pc->states);
	if (pc->cfg.cpus)
		cpus_reset(pc->cfg.cpus);
}

void pc_power_button(struct pc *pc)
{
	piix4_pm_power_button(pc->pm);
}

void pc_nmi(struct pc *pc)
{
	if (pc->cfg.cpus)
		cpus_nmi(pc->cfg.cpus);
}

struct bus *pc_memory(struct pc *pc) { return pc->memory; }
struct bus *pc_ports(struct pc *pc) { return pc->ports; }
struct pci_bus *pc_pci(struct pc *pc) { return pc->pci; }
struct state_list *pc_states(struct pc *pc) { return pc->states; }
struct fw_cfg *pc_fw_cfg(struct pc *pc) { return pc->fw_cfg; }
struct vga *pc_vga(struct pc *pc) { return pc->vga; }
struct ps2_kbd *pc_keyboard(struct pc *pc) { return i8042_keyboard(pc->kbc); }
uint64_t pc_low_ram(const struct pc *pc) { return pc->low_ram; }

/* --- the processors' side -------------------------------------------------------------------------------------- */

uint64_t pc_mem_read(struct pc *pc, uint64_t gpa, unsigned size)
{
	return bus_read(pc->memory, gpa, size);
}

void pc_mem_write(struct pc *pc, uint64_t gpa, uint64_t value, unsigned size)
{
	bus_write(pc->memory, gpa, value, size);
}

uint32_t pc_io_read(struct pc *pc, uint16_t port, unsigned size)
{
	return (uint32_t)bus_read(pc->ports, port, size);
}

void pc_io_write(struct pc *pc, uint16_t port, uint32_t value, unsigned size)
{
	bus_write(pc->ports, port, value, size);
}

bool pc_page(struct pc *pc, uint64_t gpa, struct bus_page *page)
{
	return bus_page(pc->memory, gpa, page);
}

bool pc_doorbell(struct pc *pc, uint64_t gpa, uint64_t value, unsigned size)
{
	return bus_doorbell(pc->memory, gpa, value, size);
}

void pc_mark_code(struct pc *pc, uint64_t gpa, bool code)
{
	bus_mark_code(pc->memory, gpa, code);
}

int pc_int_ack(struct pc *pc)
{
	return i8259_pending(pc->pic) ? i8259_acknowledge(pc->pic) : -1;
}

void pc_apic_eoi(struct pc *pc, uint8_t vector)
{
	ioapic_eoi(pc->ioapic, vector);
}

/* --- a boot without firmware ----------------------------------------------------------------------------------- */

void pc_direct_boot(struct pc *pc)
{
	uint8_t *ram = pc->cfg.ram;
	uint32_t tables = (uint32_t)(pc->acpi.tables_len + ACPI_ALIGN - 1) & ~(uint32_t)(ACPI_ALIGN - 1);

	i440fx_shadow_all(pc->bridge);
	pci_assign(pc->pci, &(struct pci_resources){ 0xc000, 0x10000, LOW_MAX, IOAPIC_BASE,
		{ pirq_irqs[0], pirq_irqs[1], pirq_irqs[2], pirq_irqs[3] } });
	piix3_route(pc->piix3, pirq_irqs);
	piix4_pm_place(pc->pm);
	bus_write(pc->ports, 0x4d1, 1 << (9 - 8) | 1 << (10 - 8) | 1 << (11 - 8), 1);  /* ELCR: SCI and the PIRQs */
	if (pc->vga)
		vga_text_mode(pc->vga, pc->cfg.vga_rom, pc->cfg.vga_rom_len);
	memset(ram + 0xc0000, 0, LEGACY_END - 0xc0000);
	put_le16(ram + BDA_EBDA, EBDA >> 4);
	put_le16(ram + BDA_MEMORY_KB, EBDA / 1024);
	smbios_install(&pc->smbios, ram, SMBIOS_AT);
	pc->acpi_at = (uint32_t)pc->low_ram;
	if (!pc->acpi.tables || pc->low_ram < 2 * MIB)
		return;                 /* 1 MiB of RAM has no room above the first: such a guest knows no ACPI */
	pc->acpi_at -= tables;
	pc->rsdp = RSDP_AT;
	acpi_install(&pc->acpi, ram, pc->acpi_at, RSDP_AT);
}

uint64_t pc_rsdp(const struct pc *pc)
{
	return pc->rsdp;
}

size_t pc_e820(const struct pc *pc, struct pc_e820 *map, size_t max)
{
	const struct pc_e820 all[] = {
		{ 0, EBDA, 1 },
		{ EBDA, 0xa0000 - EBDA, 2 },
		{ 0xf0000, LEGACY_END - 0xf0000, 2 },
		{ LEGACY_END, pc->acpi_at - LEGACY_END, 1 },
		{ pc->acpi_at, pc->low_ram - pc->acpi_at, 3 },
		{ FOUR_GIB - pc->cfg.bios_len, pc->cfg.bios_len, 2 },
		{ FOUR_GIB, pc->cfg.ram_size - pc->low_ram, 1 },
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all) && n < max; i++)
		if (all[i].len)
			map[n++] = all[i];
	return n;
}

/* --- the monitor's side ---------------------------------------------------------------------------------------- */

void pc_print_mtree(struct pc *pc, void (*out)(void *to, const char *line), void *to)
{
	out(to, "memory");
	bus_print(pc->memory, out, to);
	out(to, "I/O");
	bus_print(pc->ports, out, to);
}

void pc_print_pci(struct pc *pc, void (*out)(void *to, const char *line), void *to)
{
	pci_print(pc->pci, out, to);
}

void pc_print_irq(struct pc *pc, void (*out)(void *to, const char *line), void *to)
{
	ioapic_print(pc->ioapic, out, to);
}

void pc_print_pic(struct pc *pc, void (*out)(void *to, const char *line), void *to)
{
	i8259_print(pc->pic, out, to);
}
