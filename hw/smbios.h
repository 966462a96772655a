/* SPDX-License-Identifier: MIT */
/* The SMBIOS tables of the PC, as files for firmware or put into memory directly. */
#ifndef HW_SMBIOS_H
#define HW_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

struct smbios_config {
	unsigned cpu_count;
	uint64_t ram_size, low_ram;     /* bytes */
	uint8_t uuid[16];               /* as it is written; all zero: not settable */
};

enum { SMBIOS_ANCHOR = 31 };

struct smbios {
	uint8_t *tables;
	size_t len;
	uint8_t anchor[SMBIOS_ANCHOR];  /* without the tables' address: firmware, or smbios_install, puts it in */
};

#define SMBIOS_FILE_TABLES "etc/smbios/smbios-tables"
#define SMBIOS_FILE_ANCHOR "etc/smbios/smbios-anchor"

void smbios_build(struct smbios *s, const struct smbios_config *config);
void smbios_free(struct smbios *s);
/* Put the anchor at a 16-byte aligned guest address and the tables right behind it; returns the first byte after them. */
uint32_t smbios_install(const struct smbios *s, uint8_t *ram, uint32_t at);

#endif
