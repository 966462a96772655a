/* SPDX-License-Identifier: MIT */
/* The ACPI tables of the PC, as files for firmware (fw_cfg) or put into memory directly. */
#ifndef HW_ACPI_H
#define HW_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_config {
	unsigned cpu_count;
	uint64_t low_ram, high_ram_end; /* the PCI windows begin behind them */
	bool hpet, vga;
	unsigned com_ports;             /* bit n: COM(n+1) is fitted */
};

/* Blobs with offsets in place of addresses, and the script (QEMU's table-loader) that says what to add where. */
struct acpi {
	uint8_t *tables, *rsdp, *loader;
	size_t tables_len, rsdp_len, loader_len;
};

/* Names of the blobs in fw_cfg; the script uses them. */
#define ACPI_FILE_TABLES "etc/acpi/tables"
#define ACPI_FILE_RSDP "etc/acpi/rsdp"
#define ACPI_FILE_LOADER "etc/table-loader"

void acpi_build(struct acpi *a, const struct acpi_config *config);
void acpi_free(struct acpi *a);
/* Run the script: put the blobs at these guest addresses (64- and 16-byte aligned), where host memory is ram + address. */
void acpi_install(const struct acpi *a, uint8_t *ram, uint32_t tables_at, uint32_t rsdp_at);

#endif
