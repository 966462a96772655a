/* SPDX-License-Identifier: MIT */
/*
 * Intel 82441FX PMC (data sheet 290549-001): configuration mechanism 1, PAM registers, the memory map.
 * Left out on purpose: SMRAM (SeaBIOS is told that SMM needs no set-up), DRAM timing, AGP.
 *
 *   0         A0000      C0000         100000         low RAM      FEC00000      4G - bios     4G        high RAM
 *   | RAM     | VGA, PCI | RAM or ROM  | RAM           | PCI        | APIC, HPET  | firmware    | RAM     |
 */
#include "hw/i440fx.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	REG_PAM = 0x59, PAM_COUNT = 7, REG_SMRAM = 0x72,
	PAM_READ = 1, PAM_WRITE = 2,    /* of a region's nibble: go to RAM, else to PCI (which here is the ROM) */
	SMRAM_OPEN = 1 << 6, SMRAM_LOCK = 1 << 4, SMRAM_RESET = 0x02,
	REGIONS = 13, SHADOW = 0xc0000, SHADOW_END = 0x100000, LAST_REGION = 0xf0000, REGION = 0x4000,
	ROM_ALIAS = 0x20000, PAGE = 4096,
	CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, CF9_OFFSET = 1,
};
#define ADDRESS_ENABLE 0x80000000u

struct i440fx;

struct region {
	struct i440fx *bridge;
	uint32_t base, len;
	unsigned mode;                  /* what is mapped now, PAM_READ | PAM_WRITE */
};

struct i440fx {
	struct i440fx_config cfg;
	struct pci_device *pci;
	uint8_t *bios;
	struct region region[REGIONS];
	/* plain state, beside the configuration bytes: */
	struct state {
		uint32_t address;
	} s;
};

/* --- shadow RAM ------------------------------------------------------------------------------------------------ */

/* The ROM's byte at a legacy address, NULL where no ROM is. */
static uint8_t *rom_at(struct i440fx *s, uint32_t addr)
{
	uint32_t alias = (uint32_t)MIN(s->cfg.bios_len, (size_t)ROM_ALIAS);

	if (addr < SHADOW_END - alias)
		return NULL;
	return s->bios + s->cfg.bios_len - (SHADOW_END - addr);
}

/* Reads from the ROM and writes to RAM, while firmware copies itself: the one case that is not plain memory. */
static uint64_t read_copying(void *dev, uint64_t offset, unsigned size)
{
	struct region *r = dev;
	uint8_t *rom = rom_at(r->bridge, r->base + (uint32_t)offset);
	uint64_t value = 0;

	if (!rom)
		return UINT64_MAX;
	memcpy(&value, rom, size);
	return value;
}

static void write_copying(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct region *r = dev;

	memcpy(r->bridge->cfg.ram + r->base + offset, &value, size);
}

static const struct io_ops copying_ops = { read_copying, write_copying, .max_size = 8, .dma = true };

static unsigned wanted_mode(struct i440fx *s, unsigned i)
{
	const uint8_t *pam = pci_config_bytes(s->pci) + REG_PAM;

	/* region 12 is F0000, in PAM0's high nibble; the others follow in PAM1..6, low nibble first */
	return (i == REGIONS - 1 ? pam[0] >> 4 : pam[1 + i / 2] >> (i & 1 ? 4 : 0)) & (PAM_READ | PAM_WRITE);
}

static void map_region(struct i440fx *s, struct region *r, unsigned mode)
{
	struct bus *memory = s->cfg.memory;
	uint8_t *ram = s->cfg.ram + r->base;

	if (r->mode == PAM_WRITE)
		bus_unmap(memory, r->base);
	r->mode = mode;
	if (mode & PAM_READ) {
		bus_map_ram(memory, r->base, r->len, ram, mode & PAM_WRITE ? BUS_RAM : BUS_ROM, "shadow");
	} else if (mode == PAM_WRITE) {
		bus_unmap_ram(memory, r->base, r->len);
		bus_map(memory, r->base, r->len, &copying_ops, r, "shadow-copying", NULL);
	} else if (rom_at(s, r->base)) {
		bus_map_ram(memory, r->base, r->len, rom_at(s, r->base), BUS_ROM, "bios");
	} else {
		bus_unmap_ram(memory, r->base, r->len);
	}
}

static void update_regions(struct i440fx *s)
{
	for (unsigned i = 0; i < REGIONS; i++)
		if (s->region[i].mode != wanted_mode(s, i))
			map_region(s, &s->region[i], wanted_mode(s, i));
}

void i440fx_shadow_all(struct i440fx *s)
{
	memset(pci_config_bytes(s->pci) + REG_PAM, 0x33, PAM_COUNT);
	update_regions(s);
}

static void config_written(void *owner, unsigned offset, unsigned size)
{
	struct i440fx *s = owner;
	uint8_t *smram = pci_config_bytes(s->pci) + REG_SMRAM, *writable = pci_config_writable(s->pci) + REG_SMRAM;

	if (offset < REG_PAM + PAM_COUNT && offset + size > REG_PAM)
		update_regions(s);
	if (offset <= REG_SMRAM && offset + size > REG_SMRAM) {
		if (*smram & SMRAM_LOCK) {
			*smram &= (uint8_t)~SMRAM_OPEN;
			*writable = 0;
		}
		if (*smram & SMRAM_OPEN)
			log_unimp("i440fx", "SMRAM opened at A0000");
	}
}

/* --- configuration mechanism 1 --------------------------------------------------------------------------------- */

static uint64_t read_address(void *dev, uint64_t offset, unsigned size)
{
	struct i440fx *s = dev;

	if (offset == 0 && size == 4)
		return s->s.address;
	if (offset == CF9_OFFSET && size == 1 && s->cfg.cf9_read)
		return s->cfg.cf9_read(s->cfg.cf9_owner);
	return UINT64_MAX;
}

/* Only a whole store is one to CONFADD; narrower ones pass through to the ISA bus (section 3.1.1). */
static void write_address(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct i440fx *s = dev;

	if (offset == 0 && size == 4)
		s->s.address = (uint32_t)value & ~0x7f000003u;
	else if (offset == CF9_OFFSET && size == 1 && s->cfg.cf9_write)
		s->cfg.cf9_write(s->cfg.cf9_owner, (uint8_t)value);
}

static uint64_t read_data(void *dev, uint64_t offset, unsigned size)
{
	struct i440fx *s = dev;
	uint32_t a = s->s.address;

	if (!(a & ADDRESS_ENABLE))
		return UINT64_MAX;
	return pci_config_read(s->cfg.pci, a >> 16 & 0xff, a >> 8 & 0xff, (a & 0xfc) | (unsigned)offset, size);
}

static void write_data(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct i440fx *s = dev;
	uint32_t a = s->s.address;

	if (a & ADDRESS_ENABLE)
		pci_config_write(s->cfg.pci, a >> 16 & 0xff, a >> 8 & 0xff, (a & 0xfc) | (unsigned)offset, (uint32_t)value, size);
}

static const struct io_ops address_ops = { read_address, write_address, .max_size = 4 };
static const struct io_ops data_ops = { read_data, write_data, .max_size = 4 };

/* --- life cycle ------------------------------------------------------------------------------------------------ */

static void map_memory(struct i440fx *s)
{
	const struct i440fx_config *c = &s->cfg;
	uint64_t low = MIN(c->ram_size, c->low_max);

	bus_map_ram(c->memory, 0, MIN(low, (uint64_t)0xa0000), c->ram, BUS_RAM, "ram");
	if (low > SHADOW_END)
		bus_map_ram(c->memory, SHADOW_END, low - SHADOW_END, c->ram + SHADOW_END, BUS_RAM, "ram");
	if (c->ram_size > low)
		bus_map_ram(c->memory, (uint64_t)1 << 32, c->ram_size - low, c->ram + low, BUS_RAM, "ram-above-4g");
	if (c->bios_len)
		bus_map_ram(c->memory, ((uint64_t)1 << 32) - c->bios_len, c->bios_len, s->bios, BUS_ROM, "bios");
	for (unsigned i = 0; i < REGIONS; i++) {
		struct region *r = &s->region[i];

		*r = (struct region){ s, i == REGIONS - 1 ? LAST_REGION : SHADOW + i * REGION,
				      i == REGIONS - 1 ? SHADOW_END - LAST_REGION : REGION, 0 };
		map_region(s, r, 0);
	}
}

static void reset(void *owner)
{
	struct i440fx *s = owner;

	s->s.address = 0;
	pci_config_bytes(s->pci)[REG_SMRAM] = SMRAM_RESET;
	pci_config_writable(s->pci)[REG_SMRAM] = 0x78;
	update_regions(s);
}

static void loaded(void *owner)
{
	update_regions(owner);
}

struct i440fx *i440fx_new(const struct i440fx_config *config, struct err *err)
{
	struct i440fx *s = calloc(1, sizeof(*s));

	assert(s && config->bios_len % PAGE == 0 && config->ram_size >= SHADOW_END);
	s->cfg = *config;
	s->pci = pci_add(config->pci, &(struct pci_config){ .name = "i440FX", .vendor = 0x8086, .device = 0x1237,
		.subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 2, .class_code = 6, .devfn = 0,
		.owner = s, .config_written = config_written }, err);
	if (!s->pci) {
		free(s);
		return NULL;
	}
	memset(pci_config_writable(s->pci) + REG_PAM, 0x33, PAM_COUNT);
	if (config->bios_len) {
		s->bios = aligned_alloc(PAGE, config->bios_len);
		assert(s->bios);
		memcpy(s->bios, config->bios, config->bios_len);
	}
	map_memory(s);
	bus_map(config->ports, CONFIG_ADDRESS, 4, &address_ops, s, "pci-conf-idx", NULL);
	bus_map(config->ports, CONFIG_DATA, 4, &data_ops, s, "pci-conf-data", NULL);
	state_add(config->states, &(struct state_section){ .name = "i440fx", .version = 1, .data = &s->s,
		.size = sizeof(s->s), .owner = s, .reset = reset, .loaded = loaded });
	reset(s);
	return s;
}

void i440fx_free(struct i440fx *s)
{
	if (s)
		free(s->bios);
	free(s);
}
