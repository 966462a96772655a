/* SPDX-License-Identifier: MIT */
/* QEMU's firmware configuration device: numbered items and named files that firmware and kernels read. */
#ifndef HW_FW_CFG_H
#define HW_FW_CFG_H

#include "base/err.h"
#include "hw/bus.h"
#include "hw/state.h"

enum {                                  /* item numbers (docs/specs/fw_cfg of QEMU, and its uses in SeaBIOS) */
	FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02, FW_CFG_RAM_SIZE = 0x03, FW_CFG_NOGRAPHIC = 0x04,
	FW_CFG_NB_CPUS = 0x05, FW_CFG_NUMA = 0x0d, FW_CFG_BOOT_MENU = 0x0e, FW_CFG_MAX_CPUS = 0x0f, FW_CFG_FILE_DIR = 0x19,
	FW_CFG_FILE_FIRST = 0x20, FW_CFG_FILES = 64,
	FW_CFG_ACPI_TABLES = 0x8000, FW_CFG_SMBIOS_ENTRIES = 0x8001, FW_CFG_IRQ0_OVERRIDE = 0x8002, FW_CFG_E820_TABLE = 0x8003,
	FW_CFG_HPET = 0x8004,
	FW_CFG_NAME_MAX = 55,
};

struct fw_cfg_config {
	struct bus *ports;              /* 510h and 514h are mapped */
	struct bus *memory;             /* where DMA goes */
	struct state_list *states;
};

struct fw_cfg;
struct fw_cfg *fw_cfg_new(const struct fw_cfg_config *config);
void fw_cfg_free(struct fw_cfg *f);

/* Items; data is kept, not copied, and must live as long as f.  A second item under a number replaces the first. */
void fw_cfg_item(struct fw_cfg *f, unsigned key, const void *data, size_t len);
void fw_cfg_number(struct fw_cfg *f, unsigned key, uint64_t value, unsigned size);      /* little-endian, 2, 4 or 8 bytes */
/* false with err: the name is too long or taken, or there are too many. */
bool fw_cfg_file(struct fw_cfg *f, const char *name, const void *data, size_t len, struct err *err);
const void *fw_cfg_find(const struct fw_cfg *f, const char *name, size_t *len);
void fw_cfg_print(const struct fw_cfg *f, void (*out)(void *to, const char *line), void *to);

#endif
