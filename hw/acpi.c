/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables (ACPI 6.2; FADT of revision 3, as ACPI 2.0 has it, is what every guest reads): RSDP, RSDT, XSDT, FADT, FACS,
 * DSDT, MADT, HPET, WAET.  Left out on purpose: sleep states but S5, hot plug, thermal zones, NUMA.
 */
#include "hw/acpi.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "hw/aml.h"
#include "hw/hpet.h"
#include "hw/ioapic.h"
#include "hw/pci.h"
#include "hw/piix4_pm.h"

enum {
	HEADER = 36, CHECKSUM = 9, TABLES_MAX = 8,
	/* the loader script */
	COMMAND_SIZE = 128, FILE_NAME = 56, CMD_ALLOCATE = 1, CMD_POINTER = 2, CMD_CHECKSUM = 3, ZONE_HIGH = 1, ZONE_FSEG = 2,
	FACS_SIZE = 64, FADT_SIZE = 244, RSDP_SIZE = 36,
	FADT_WBINVD = 1 << 0, FADT_PROC_C1 = 1 << 2, FADT_SLP_BUTTON = 1 << 5, FADT_RESET_REG = 1 << 10,
	BOOT_LEGACY = 1 << 0, BOOT_8042 = 1 << 1, BOOT_NO_VGA = 1 << 2,
	SPACE_MEMORY = 0, SPACE_IO = 1, SPACE_PCI_CONFIG = 2,
	MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_NMI = 4, MADT_PCAT = 1,
	POLARITY_HIGH = 1, TRIGGER_LEVEL = 3 << 2,
	RESET_PORT = 0xcf9, RESET_VALUE = 0x06, CENTURY_INDEX = 0x32, APM_PORT = 0xb2,
};

/* --- the blobs grow -------------------------------------------------------------------------------------------- */

struct builder {
	struct aml tables, loader;      /* plain buffers; aml's growing is all that is used of it */
	uint32_t table[TABLES_MAX];
	unsigned count;
};

static void zeros(struct aml *a, size_t len)
{
	static const uint8_t zero[256];

	for (; len; len -= MIN(len, sizeof(zero)))
		aml_bytes(a, zero, MIN(len, sizeof(zero)));
}

static void command(struct builder *b, const uint8_t bytes[COMMAND_SIZE])
{
	aml_bytes(&b->loader, bytes, COMMAND_SIZE);
}

static void allocate(struct builder *b, const char *file, uint32_t align, uint8_t zone)
{
	uint8_t c[COMMAND_SIZE] = { CMD_ALLOCATE };

	memcpy(c + 4, file, strlen(file));
	put_le32(c + 4 + FILE_NAME, align);
	c[8 + FILE_NAME] = zone;
	command(b, c);
}

/* The `size` bytes at `offset` of file hold an offset into the tables: add the tables' address. */
static void pointer(struct builder *b, const char *file, uint32_t offset, uint8_t size)
{
	uint8_t c[COMMAND_SIZE] = { CMD_POINTER };

	memcpy(c + 4, file, strlen(file));
	memcpy(c + 4 + FILE_NAME, ACPI_FILE_TABLES, strlen(ACPI_FILE_TABLES));
	put_le32(c + 4 + 2 * FILE_NAME, offset);
	c[8 + 2 * FILE_NAME] = size;
	command(b, c);
}

static void checksum(struct builder *b, const char *file, uint32_t offset, uint32_t start, uint32_t len)
{
	uint8_t c[COMMAND_SIZE] = { CMD_CHECKSUM };

	memcpy(c + 4, file, strlen(file));
	put_le32(c + 4 + FILE_NAME, offset);
	put_le32(c + 8 + FILE_NAME, start);
	put_le32(c + 12 + FILE_NAME, len);
	command(b, c);
}

/* Begin a table; returns its offset.  end_table fills in the length. */
static uint32_t begin_table(struct builder *b, const char *signature, uint8_t revision)
{
	uint8_t h[HEADER] = { 0 };

	zeros(&b->tables, -b->tables.len & 15);
	memcpy(h, signature, 4);
	h[8] = revision;
	memcpy(h + 10, "TENBOX", 6);
	memcpy(h + 16, "TENBOXPC", 8);
	put_le32(h + 24, 1);
	memcpy(h + 28, "TNBX", 4);
	put_le32(h + 32, 1);
	aml_bytes(&b->tables, h, HEADER);
	return (uint32_t)(b->tables.len - HEADER);
}

static void end_table(struct builder *b, uint32_t at)
{
	uint32_t len = (uint32_t)b->tables.len - at;

	put_le32(b->tables.bytes + at + 4, len);
	checksum(b, ACPI_FILE_TABLES, at + CHECKSUM, at, len);
}

/* --- DSDT ------------------------------------------------------------------------------------------------------ */

static void hid(struct aml *a, const char *id)
{
	aml_name(a, "_HID");
	aml_eisa_id(a, id);
}

static void named_int(struct aml *a, const char *name, uint64_t value)
{
	aml_name(a, name);
	aml_int(a, value);
}

static void isa_device(struct aml *a, const char *name, const char *id, unsigned uid, const uint16_t *ports,
		       unsigned port_count, uint8_t len, int irq)
{
	aml_device(a, name);
	hid(a, id);
	if (uid)
		named_int(a, "_UID", uid);
	named_int(a, "_STA", 0x0f);
	aml_name(a, "_CRS");
	aml_resources(a);
	for (unsigned i = 0; i < port_count; i++)
		aml_res_io(a, ports[i], len);
	if (irq >= 0)
		aml_res_irq(a, (unsigned)irq);
	aml_resources_end(a);
	aml_end(a);
}

static void isa_bridge(struct aml *a, const struct acpi_config *c)
{
	static const uint16_t kbd[] = { 0x60, 0x64 }, rtc[] = { 0x70 }, com[4][1] = { { 0x3f8 }, { 0x2f8 }, { 0x3e8 }, { 0x2e8 } };
	static const char *com_name[4] = { "COM1", "COM2", "COM3", "COM4" }, *route[4] = { "PRQ0", "PRQ1", "PRQ2", "PRQ3" };

	aml_device(a, "ISA");
	named_int(a, "_ADR", 0x00010000);
	aml_region(a, "P40C", SPACE_PCI_CONFIG, 0x60, 4);
	aml_field(a, "P40C");
	for (unsigned i = 0; i < 4; i++)
		aml_field_unit(a, route[i], 8);
	aml_end(a);
	isa_device(a, "RTC", "PNP0B00", 0, rtc, 1, 2, 8);
	isa_device(a, "KBD", "PNP0303", 0, kbd, 2, 1, 1);
	isa_device(a, "MOU", "PNP0F13", 0, NULL, 0, 0, 12);
	for (unsigned i = 0; i < 4; i++)
		if (c->com_ports >> i & 1)
			isa_device(a, com_name[i], "PNP0501", i + 1, com[i], 1, 8, i & 1 ? 3 : 4);
	aml_end(a);
}

/* An interrupt link: a PIRQ whose route control register (bit 7: off) names the ISA interrupt. */
static void link_device(struct aml *a, unsigned n)
{
	static const uint32_t choices[] = { 5, 10, 11 }, none[] = { 0 };
	char name[] = "LNKA", reg[] = "\\_SB.PCI0.ISA.PRQ0";

	name[3] = (char)('A' + n);
	reg[sizeof(reg) - 2] = (char)('0' + n);
	aml_device(a, name);
	hid(a, "PNP0C0F");
	named_int(a, "_UID", n + 1);
	aml_name(a, "_PRS");
	aml_resources(a);
	aml_res_interrupts(a, choices, ARRAY_SIZE(choices));
	aml_resources_end(a);

	aml_method(a, "_STA", 0);               /* present; enabled unless switched off */
	aml_if(a);
	aml_op(a, AML_AND);
	aml_path(a, reg);
	aml_int(a, 0x80);
	aml_op(a, AML_NULL_TARGET);
	aml_op(a, AML_RETURN);
	aml_int(a, 0x09);
	aml_end(a);
	aml_op(a, AML_RETURN);
	aml_int(a, 0x0b);
	aml_end(a);

	aml_method(a, "_DIS", 0);
	aml_op(a, AML_OR);
	aml_path(a, reg);
	aml_int(a, 0x80);
	aml_path(a, reg);
	aml_end(a);

	aml_method(a, "_CRS", 0);               /* Local0 = template; Local0[5] = PRQn & 15 unless it is off */
	aml_op(a, AML_STORE);
	aml_resources(a);
	aml_res_interrupts(a, none, 1);
	aml_resources_end(a);
	aml_op(a, AML_LOCAL0);
	aml_dword_field(a, AML_LOCAL0, 5, "PRRI");
	aml_if(a);
	aml_op(a, AML_EQUAL);
	aml_op(a, AML_AND);
	aml_path(a, reg);
	aml_int(a, 0x80);
	aml_op(a, AML_NULL_TARGET);
	aml_int(a, 0);
	aml_op(a, AML_AND);
	aml_path(a, reg);
	aml_int(a, 0x0f);
	aml_path(a, "PRRI");
	aml_end(a);
	aml_op(a, AML_RETURN);
	aml_op(a, AML_LOCAL0);
	aml_end(a);

	aml_method(a, "_SRS", 1);
	aml_dword_field(a, AML_ARG0, 5, "PRRI");
	aml_op(a, AML_STORE);
	aml_path(a, "PRRI");
	aml_path(a, reg);
	aml_end(a);
	aml_end(a);
}

/* _PRT: four pins of 31 slots by the board's swizzle; the power management function's INTA is wired to the SCI. */
static void routing(struct aml *a)
{
	aml_name(a, "_PRT");
	aml_package(a, 31 * 4);
	for (unsigned slot = 1; slot < 32; slot++)
		for (unsigned pin = 0; pin < 4; pin++) {
			char name[] = "LNKA";

			name[3] = (char)('A' + pci_pirq(slot << 3, pin + 1));
			aml_package(a, 4);
			aml_int(a, slot << 16 | 0xffff);
			aml_int(a, pin);
			if (slot == 1 && pin == 0)
				aml_int(a, 0);
			else
				aml_path(a, name);
			aml_int(a, slot == 1 && pin == 0 ? PM_SCI_IRQ : 0);
			aml_end(a);
		}
	aml_end(a);
}

static void root_bridge(struct aml *a, const struct acpi_config *c)
{
	uint64_t high = MAX(c->high_ram_end, (uint64_t)1 << 32);

	high = (high + ((uint64_t)1 << 30) - 1) >> 30 << 30;
	aml_device(a, "PCI0");
	hid(a, "PNP0A03");
	named_int(a, "_UID", 0);
	aml_name(a, "_CRS");
	aml_resources(a);
	aml_res_window(a, AML_WINDOW_BUS, 2, 0, 0xff);
	aml_res_io(a, 0xcf8, 8);
	aml_res_window(a, AML_WINDOW_IO, 2, 0x0000, 0x0cf7);
	aml_res_window(a, AML_WINDOW_IO, 2, 0x0d00, 0xffff);
	aml_res_window(a, AML_WINDOW_MEMORY, 4, 0x000a0000, 0x000bffff);
	aml_res_window(a, AML_WINDOW_MEMORY, 4, c->low_ram, IOAPIC_BASE - 1);
	aml_res_window(a, AML_WINDOW_MEMORY, 8, high, high + ((uint64_t)32 << 30) - 1);
	aml_resources_end(a);
	routing(a);
	isa_bridge(a, c);
	aml_end(a);
}

static void cpu_device(struct aml *a, unsigned n)
{
	char name[] = "C000";

	name[3] = (char)('0' + n);
	aml_device(a, name);
	aml_name(a, "_HID");
	aml_string(a, "ACPI0007");
	named_int(a, "_UID", n);
	aml_end(a);
}

static uint32_t dsdt(struct builder *b, const struct acpi_config *c)
{
	uint32_t at = begin_table(b, "DSDT", 2);
	struct aml *a = &b->tables;

	aml_scope(a, "\\_SB");
	root_bridge(a, c);
	for (unsigned i = 0; i < 4; i++)
		link_device(a, i);
	if (c->hpet) {
		aml_device(a, "HPET");
		hid(a, "PNP0103");
		named_int(a, "_UID", 0);
		aml_name(a, "_CRS");
		aml_resources(a);
		aml_res_memory(a, HPET_BASE, 0x400);
		aml_resources_end(a);
		aml_end(a);
	}
	aml_device(a, "FWCF");                  /* the firmware configuration ports, as Linux's qemu_fw_cfg finds them */
	aml_name(a, "_HID");
	aml_string(a, "QEMU0002");
	named_int(a, "_STA", 0x0b);
	aml_name(a, "_CRS");
	aml_resources(a);
	aml_res_io(a, 0x510, 12);
	aml_resources_end(a);
	aml_end(a);
	for (unsigned i = 0; i < c->cpu_count; i++)
		cpu_device(a, i);
	aml_end(a);
	aml_name(a, "\\_S5");
	aml_package(a, 4);
	for (unsigned i = 0; i < 4; i++)
		aml_int(a, 0);
	aml_end(a);
	end_table(b, at);
	return at;
}

/* --- the other tables ------------------------------------------------------------------------------------------ */

static void generic_address(uint8_t *p, unsigned bits, unsigned access, uint64_t address)
{
	p[0] = SPACE_IO;
	p[1] = (uint8_t)bits;
	p[3] = (uint8_t)access;
	put_le64(p + 4, address);
}

static uint32_t fadt(struct builder *b, const struct acpi_config *c, uint32_t facs_at, uint32_t dsdt_at)
{
	uint32_t at = begin_table(b, "FACP", 3);
	uint8_t *t;

	zeros(&b->tables, FADT_SIZE - HEADER);
	t = b->tables.bytes + at;
	put_le32(t + 36, facs_at);
	put_le32(t + 40, dsdt_at);
	put_le16(t + 46, PM_SCI_IRQ);
	put_le32(t + 48, APM_PORT);
	t[52] = PM_ACPI_ENABLE;
	t[53] = PM_ACPI_DISABLE;
	put_le32(t + 56, PM_BASE);
	put_le32(t + 64, PM_BASE + 4);
	put_le32(t + 76, PM_BASE + 8);
	put_le32(t + 80, PM_GPE_BASE);
	t[88] = 4;                      /* lengths of the PM1 event, PM1 control, PM timer and GPE0 blocks */
	t[89] = 2;
	t[91] = 4;
	t[92] = PM_GPE_LEN;
	put_le16(t + 96, 0xfff);        /* latencies that say: no C2, no C3 */
	put_le16(t + 98, 0xfff);
	t[108] = CENTURY_INDEX;
	put_le16(t + 109, BOOT_LEGACY | BOOT_8042 | (c->vga ? 0 : BOOT_NO_VGA));
	put_le32(t + 112, FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_RESET_REG);
	generic_address(t + 116, 8, 1, RESET_PORT);
	t[128] = RESET_VALUE;
	put_le64(t + 140, dsdt_at);     /* X_FIRMWARE_CTRL stays 0: FIRMWARE_CTRL is given */
	generic_address(t + 148, 32, 2, PM_BASE);
	generic_address(t + 172, 16, 2, PM_BASE + 4);
	generic_address(t + 208, 32, 3, PM_BASE + 8);
	generic_address(t + 220, 8 * PM_GPE_LEN, 1, PM_GPE_BASE);
	pointer(b, ACPI_FILE_TABLES, at + 36, 4);
	pointer(b, ACPI_FILE_TABLES, at + 40, 4);
	pointer(b, ACPI_FILE_TABLES, at + 140, 8);
	end_table(b, at);
	return at;
}

static void override(struct aml *a, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	uint8_t e[10] = { MADT_OVERRIDE, sizeof(e), 0, irq };

	put_le32(e + 4, gsi);
	put_le16(e + 8, flags);
	aml_bytes(a, e, sizeof(e));
}

static uint32_t madt(struct builder *b, const struct acpi_config *c)
{
	static const uint8_t level[] = { 5, 9, 10, 11 };
	uint32_t at = begin_table(b, "APIC", 3);
	uint8_t head[8], ioapic[12] = { MADT_IOAPIC, sizeof(ioapic) }, nmi[6] = { MADT_LAPIC_NMI, sizeof(nmi), 0xff, 0, 0, 1 };

	put_le32(head, 0xfee00000);
	put_le32(head + 4, MADT_PCAT);
	aml_bytes(&b->tables, head, sizeof(head));
	for (unsigned i = 0; i < c->cpu_count; i++) {
		uint8_t e[8] = { MADT_LAPIC, sizeof(e), (uint8_t)i, (uint8_t)i, 1 };

		aml_bytes(&b->tables, e, sizeof(e));
	}
	put_le32(ioapic + 4, IOAPIC_BASE);
	aml_bytes(&b->tables, ioapic, sizeof(ioapic));
	override(&b->tables, 0, 2, 0);          /* the timer is at input 2 */
	for (unsigned i = 0; i < ARRAY_SIZE(level); i++)
		override(&b->tables, level[i], level[i], POLARITY_HIGH | TRIGGER_LEVEL);
	aml_bytes(&b->tables, nmi, sizeof(nmi));
	end_table(b, at);
	return at;
}

static uint32_t hpet(struct builder *b)
{
	uint32_t at = begin_table(b, "HPET", 1);
	uint8_t t[20] = { 0 };

	put_le32(t, hpet_id());
	t[4] = SPACE_MEMORY;
	t[5] = 64;
	put_le64(t + 8, HPET_BASE);
	aml_bytes(&b->tables, t, sizeof(t));
	end_table(b, at);
	return at;
}

/* Windows: reading RTC and PM timer once is enough, they are not the chips with the bugs. */
static uint32_t waet(struct builder *b)
{
	uint32_t at = begin_table(b, "WAET", 1);
	uint8_t flags[4] = { 3 };

	aml_bytes(&b->tables, flags, sizeof(flags));
	end_table(b, at);
	return at;
}

static uint32_t root_table(struct builder *b, const char *signature, unsigned size)
{
	uint32_t at = begin_table(b, signature, 1);

	for (unsigned i = 0; i < b->count; i++) {
		uint64_t offset = b->table[i];

		pointer(b, ACPI_FILE_TABLES, (uint32_t)b->tables.len, (uint8_t)size);
		aml_bytes(&b->tables, &offset, size);
	}
	end_table(b, at);
	return at;
}

static void facs(struct builder *b)
{
	uint8_t t[FACS_SIZE] = "FACS";

	put_le32(t + 4, FACS_SIZE);
	t[32] = 1;
	aml_bytes(&b->tables, t, sizeof(t));
}

void acpi_build(struct acpi *a, const struct acpi_config *config)
{
	struct builder b = { 0 };
	uint32_t dsdt_at, rsdt_at, xsdt_at;
	uint8_t *rsdp = calloc(1, RSDP_SIZE);

	assert(rsdp && config->cpu_count <= 8);
	allocate(&b, ACPI_FILE_RSDP, 16, ZONE_FSEG);
	allocate(&b, ACPI_FILE_TABLES, 64, ZONE_HIGH);
	facs(&b);                       /* first: it must be 64-byte aligned */
	dsdt_at = dsdt(&b, config);
	b.table[b.count++] = fadt(&b, config, 0, dsdt_at);
	b.table[b.count++] = madt(&b, config);
	if (config->hpet)
		b.table[b.count++] = hpet(&b);
	b.table[b.count++] = waet(&b);
	rsdt_at = root_table(&b, "RSDT", 4);
	xsdt_at = root_table(&b, "XSDT", 8);
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "TENBOX", 6);
	rsdp[15] = 2;
	put_le32(rsdp + 16, rsdt_at);
	put_le32(rsdp + 20, RSDP_SIZE);
	put_le64(rsdp + 24, xsdt_at);
	pointer(&b, ACPI_FILE_RSDP, 16, 4);
	pointer(&b, ACPI_FILE_RSDP, 24, 8);
	checksum(&b, ACPI_FILE_RSDP, 8, 0, 20);
	checksum(&b, ACPI_FILE_RSDP, 32, 0, RSDP_SIZE);
	*a = (struct acpi){ b.tables.bytes, rsdp, b.loader.bytes, b.tables.len, RSDP_SIZE, b.loader.len };
}

void acpi_free(struct acpi *a)
{
	free(a->tables);
	free(a->rsdp);
	free(a->loader);
	*a = (struct acpi){ 0 };
}

void acpi_install(const struct acpi *a, uint8_t *ram, uint32_t tables_at, uint32_t rsdp_at)
{
	memcpy(ram + tables_at, a->tables, a->tables_len);
	memcpy(ram + rsdp_at, a->rsdp, a->rsdp_len);
	for (size_t i = 0; i < a->loader_len; i += COMMAND_SIZE) {
		const uint8_t *c = a->loader + i;
		uint8_t *file = ram + (strcmp((const char *)c + 4, ACPI_FILE_RSDP) == 0 ? rsdp_at : tables_at), sum = 0;
		uint8_t *at;

		switch (c[0]) {
		case CMD_POINTER:
			at = file + le32(c + 4 + 2 * FILE_NAME);
			if (c[8 + 2 * FILE_NAME] == 8)
				put_le64(at, le64(at) + tables_at);
			else
				put_le32(at, le32(at) + tables_at);
			break;
		case CMD_CHECKSUM:
			for (uint32_t k = 0; k < le32(c + 12 + FILE_NAME); k++)
				sum += file[le32(c + 8 + FILE_NAME) + k];
			file[le32(c + 4 + FILE_NAME)] -= sum;
			break;
		}
	}
}
