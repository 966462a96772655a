/* SPDX-License-Identifier: MIT */
/*
 * fw_cfg, as its specification in QEMU's documentation describes it: a selector (510h), a byte-wide data port (511h) and
 * a DMA interface (514h, big-endian).  Left out on purpose: items that the guest writes.
 */
#include "hw/fw_cfg.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	ITEMS = FW_CFG_FILE_FIRST + FW_CFG_FILES, ARCH_ITEMS = 8, ARCH = 0x8000,
	ID_TRADITIONAL = 1, ID_DMA = 2,
	DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16,
	DIR_ENTRY = 64,
	PADDING_MAX = 64 << 10,         /* zeros that a read past an item's end may ask for */
};

struct item {
	const uint8_t *data;
	size_t len;
};

struct fw_cfg {
	struct fw_cfg_config cfg;
	struct item item[ITEMS], arch[ARCH_ITEMS];
	uint8_t numbers[ITEMS + ARCH_ITEMS][8];
	uint8_t directory[4 + FW_CFG_FILES * DIR_ENTRY];
	unsigned files;
	/* plain state: */
	struct state {
		uint16_t key;
		uint32_t offset;
		uint32_t dma_high;
	} s;
};

static struct item *find(struct fw_cfg *f, unsigned key)
{
	if (key < ITEMS)
		return &f->item[key];
	if (key >= ARCH && key < ARCH + ARCH_ITEMS)
		return &f->arch[key - ARCH];
	return NULL;
}

void fw_cfg_item(struct fw_cfg *f, unsigned key, const void *data, size_t len)
{
	struct item *i = find(f, key);

	assert(i);
	*i = (struct item){ data, len };
}

void fw_cfg_number(struct fw_cfg *f, unsigned key, uint64_t value, unsigned size)
{
	uint8_t *bytes = f->numbers[key < ITEMS ? key : ITEMS + (key - ARCH)];

	put_le64(bytes, value);
	fw_cfg_item(f, key, bytes, size);
}

bool fw_cfg_file(struct fw_cfg *f, const char *name, const void *data, size_t len, struct err *err)
{
	uint8_t *entry = f->directory + 4 + f->files * DIR_ENTRY;
	unsigned key = FW_CFG_FILE_FIRST + f->files;

	if (!*name || strlen(name) > FW_CFG_NAME_MAX)
		return err_set(err, "fw_cfg file name \"%s\" must have 1 to %d characters", name, FW_CFG_NAME_MAX);
	if (fw_cfg_find(f, name, NULL))
		return err_set(err, "fw_cfg file \"%s\" is there already", name);
	if (f->files == FW_CFG_FILES)
		return err_set(err, "fw_cfg file \"%s\": there can be only %d files", name, FW_CFG_FILES);
	f->files++;
	put_be32(f->directory, f->files);
	put_be32(entry, (uint32_t)len);
	put_be16(entry + 4, (uint16_t)key);
	memcpy(entry + 8, name, strlen(name));
	fw_cfg_item(f, FW_CFG_FILE_DIR, f->directory, 4 + f->files * DIR_ENTRY);
	fw_cfg_item(f, key, data, len);
	return true;
}

const void *fw_cfg_find(const struct fw_cfg *f, const char *name, size_t *len)
{
	for (unsigned i = 0; i < f->files; i++) {
		if (strcmp((const char *)f->directory + 4 + i * DIR_ENTRY + 8, name) != 0)
			continue;
		if (len)
			*len = f->item[FW_CFG_FILE_FIRST + i].len;
		return f->item[FW_CFG_FILE_FIRST + i].data;
	}
	return NULL;
}

/* --- ports ----------------------------------------------------------------------------------------------------- */

/* What is left of the selected item. */
static struct item rest(struct fw_cfg *f)
{
	struct item *i = find(f, f->s.key);

	if (!i || f->s.offset >= i->len)
		return (struct item){ NULL, 0 };
	return (struct item){ i->data + f->s.offset, i->len - f->s.offset };
}

static void skip(struct fw_cfg *f, uint32_t len)
{
	f->s.offset = f->s.offset + len < len ? UINT32_MAX : f->s.offset + len;
}

static uint64_t read_ports(void *dev, uint64_t offset, unsigned size)
{
	struct fw_cfg *f = dev;
	struct item left = rest(f);

	(void)size;
	if (offset == 0)
		return 0;
	skip(f, 1);
	return left.len ? *left.data : 0;
}

static void write_ports(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct fw_cfg *f = dev;

	if (offset == 0 && size == 2) {
		f->s.key = (uint16_t)value;
		f->s.offset = 0;
	}
}

static bool dma_data(struct fw_cfg *f, uint64_t addr, uint32_t len)
{
	static const uint8_t zeros[4096];
	struct item left = rest(f);
	uint32_t n = (uint32_t)MIN((size_t)len, left.len), padding = len - n;
	bool ok = dma_write(f->cfg.memory, addr, left.data, n);

	skip(f, len);
	if (padding > PADDING_MAX) {
		log_guest("fw_cfg", "read of 0x%x bytes past the end of item 0x%x", padding, f->s.key);
		return false;
	}
	for (uint32_t at = 0; at < padding; at += sizeof(zeros))
		ok &= dma_write(f->cfg.memory, addr + n + at, zeros, MIN(padding - at, sizeof(zeros)));
	return ok;
}

static void dma(struct fw_cfg *f, uint64_t at)
{
	uint8_t request[16], answer[4];
	uint32_t control, len;
	bool ok = true;

	if (!dma_read(f->cfg.memory, at, request, sizeof(request)))
		return;
	control = be32(request);
	len = be32(request + 4);
	if (control & DMA_SELECT) {
		f->s.key = (uint16_t)(control >> 16);
		f->s.offset = 0;
	}
	if (control & DMA_READ)
		ok = dma_data(f, be64(request + 8), len);
	else if (control & DMA_WRITE)
		ok = false;
	else if (control & DMA_SKIP)
		skip(f, len);
	put_be32(answer, ok ? 0 : DMA_ERROR);
	dma_write(f->cfg.memory, at, answer, sizeof(answer));
}

static uint64_t read_dma(void *dev, uint64_t offset, unsigned size)
{
	static const uint8_t signature[] = "QEMU CFG";
	uint64_t value = 0;

	(void)dev;
	memcpy(&value, signature + offset, size);
	return value;
}

static void write_dma(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct fw_cfg *f = dev;
	uint64_t at;

	if (size != 4)
		return;
	if (offset == 0) {
		f->s.dma_high = __builtin_bswap32((uint32_t)value);
		return;
	}
	at = (uint64_t)f->s.dma_high << 32 | __builtin_bswap32((uint32_t)value);
	f->s.dma_high = 0;
	if (offset == 4)
		dma(f, at);
}

static const struct io_ops port_ops = { read_ports, write_ports, .max_size = 2 };
static const struct io_ops dma_ops = { read_dma, write_dma, .max_size = 4 };

static void reset(void *owner)
{
	struct fw_cfg *f = owner;

	memset(&f->s, 0, sizeof(f->s));
}

struct fw_cfg *fw_cfg_new(const struct fw_cfg_config *config)
{
	struct fw_cfg *f = calloc(1, sizeof(*f));

	assert(f);
	f->cfg = *config;
	fw_cfg_item(f, FW_CFG_SIGNATURE, "QEMU", 4);
	fw_cfg_number(f, FW_CFG_ID, ID_TRADITIONAL | ID_DMA, 4);
	fw_cfg_item(f, FW_CFG_FILE_DIR, f->directory, 4);
	bus_map(config->ports, 0x510, 2, &port_ops, f, "fw_cfg", NULL);
	bus_map(config->ports, 0x514, 8, &dma_ops, f, "fw_cfg-dma", NULL);
	state_add(config->states, &(struct state_section){ .name = "fw_cfg", .version = 1, .data = &f->s,
		.size = sizeof(f->s), .owner = f, .reset = reset });
	return f;
}

void fw_cfg_free(struct fw_cfg *f)
{
	free(f);
}

void fw_cfg_print(const struct fw_cfg *f, void (*out)(void *to, const char *line), void *to)
{
	char line[120];

	for (unsigned i = 0; i < ITEMS + ARCH_ITEMS; i++) {
		const struct item *item = i < ITEMS ? &f->item[i] : &f->arch[i - ITEMS];
		const char *name = "";

		if (!item->len)
			continue;
		if (i >= FW_CFG_FILE_FIRST && i < ITEMS)
			name = (const char *)f->directory + 4 + (i - FW_CFG_FILE_FIRST) * DIR_ENTRY + 8;
		snprintf(line, sizeof(line), "0x%04x  %8zu  %s", i < ITEMS ? i : ARCH + i - ITEMS, item->len, name);
		out(to, line);
	}
}
