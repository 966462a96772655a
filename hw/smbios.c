/* SPDX-License-Identifier: MIT */
/*
 * System Management BIOS (DSP0134, version 2.8): firmware, system, chassis, processors, memory, boot status.
 * A structure is a formatted area, then its strings, each ended by a zero, then one more zero.
 */
#include "hw/smbios.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum {
	ROOM = 4096,
	TYPE_BIOS = 0, TYPE_SYSTEM = 1, TYPE_CHASSIS = 3, TYPE_PROCESSOR = 4, TYPE_MEMORY_ARRAY = 16, TYPE_MEMORY = 17,
	TYPE_MEMORY_MAP = 19, TYPE_BOOT = 32, TYPE_END = 127,
	HANDLE_BIOS = 0x0000, HANDLE_SYSTEM = 0x0100, HANDLE_CHASSIS = 0x0300, HANDLE_PROCESSOR = 0x0400,
	HANDLE_ARRAY = 0x1000, HANDLE_MEMORY = 0x1100, HANDLE_MAP = 0x1300, HANDLE_BOOT = 0x2000, HANDLE_END = 0x7f00,
	UNKNOWN = 2,                    /* the enumerations' value for it */
};

struct builder {
	struct smbios *s;
	unsigned count, largest;
};

/* Append a structure; fields begin behind its four header bytes.  strings: each ended by \0, the last one by two. */
static void add(struct builder *b, uint8_t type, uint16_t handle, const uint8_t *fields, size_t len, const char *strings)
{
	struct smbios *s = b->s;
	uint8_t *at = s->tables + s->len;
	size_t text = 0;

	while (strings[text])
		text += strlen(strings + text) + 1;
	text = MAX(text + 1, (size_t)2);
	assert(s->len + 4 + len + text <= ROOM && len + 4 <= 0xff);
	at[0] = type;
	at[1] = (uint8_t)(4 + len);
	put_le16(at + 2, handle);
	memcpy(at + 4, fields, len);
	memset(at + 4 + len, 0, text);
	if (*strings)
		memcpy(at + 4 + len, strings, text);
	s->len += 4 + len + text;
	b->count++;
	b->largest = MAX(b->largest, (unsigned)(4 + len + text));
}

static void bios_and_system(struct builder *b, const struct smbios_config *c)
{
	uint8_t bios[0x18 - 4] = { 1, 2, 0x00, 0xe8, 3, 0 };            /* at E800h; 64 KiB */
	uint8_t system[0x1b - 4] = { 1, 2, 3 };
	uint8_t chassis[0x16 - 4] = { 1, 1 /* other */, 2, 0, 0, 3, 3, 3, UNKNOWN };

	put_le64(bios + 6, 1 << 3);     /* characteristics are not supported: none are claimed */
	bios[15] = 1 << 4;              /* virtual machine */
	bios[16] = bios[17] = 0;
	bios[18] = bios[19] = 0xff;
	add(b, TYPE_BIOS, HANDLE_BIOS, bios, sizeof(bios), "tenbox\0" "1\0" "04/01/2014\0");
	/* the first three fields of a UUID are little-endian here (7.2.1) */
	memcpy(system + 4, c->uuid, 16);
	put_le32(system + 4, be32(c->uuid));
	put_le16(system + 8, be16(c->uuid + 4));
	put_le16(system + 10, be16(c->uuid + 6));
	system[20] = 6;                 /* woken by the power switch */
	add(b, TYPE_SYSTEM, HANDLE_SYSTEM, system, sizeof(system),
	    "tenbox\0" "Standard PC (i440FX + PIIX, 1996)\0" "pc-i440fx\0");
	add(b, TYPE_CHASSIS, HANDLE_CHASSIS, chassis, sizeof(chassis), "tenbox\0" "pc-i440fx\0");
}

static void processors(struct builder *b, const struct smbios_config *c)
{
	for (unsigned i = 0; i < c->cpu_count; i++) {
		uint8_t f[0x2a - 4] = { 1, 3 /* central processor */, 1 /* other family */, 2 };
		char strings[40] = { 0 };
		int n = snprintf(strings, sizeof(strings), "CPU %u", i);

		memcpy(strings + n + 1, "tenbox", 6);
		put_le16(f + 16, 2000);         /* maximum and current MHz */
		put_le16(f + 18, 2000);
		f[20] = 0x41;                   /* populated, enabled */
		f[21] = 1;
		put_le16(f + 22, 0xffff);       /* no cache structures */
		put_le16(f + 24, 0xffff);
		put_le16(f + 26, 0xffff);
		f[31] = f[32] = f[33] = 1;      /* cores, enabled ones, threads */
		put_le16(f + 34, UNKNOWN);
		put_le16(f + 36, 1);
		add(b, TYPE_PROCESSOR, (uint16_t)(HANDLE_PROCESSOR + i), f, sizeof(f), strings);
	}
}

static void map_range(struct builder *b, unsigned n, uint64_t first, uint64_t end)
{
	uint8_t f[0x1f - 4] = { 0 };

	put_le32(f, (uint32_t)(first / 1024));
	put_le32(f + 4, (uint32_t)(end / 1024 - 1));
	put_le16(f + 8, HANDLE_ARRAY);
	f[10] = 1;
	add(b, TYPE_MEMORY_MAP, (uint16_t)(HANDLE_MAP + n), f, sizeof(f), "\0");
}

static void memory(struct builder *b, const struct smbios_config *c)
{
	uint8_t array[0x17 - 4] = { 1 /* other location */, 3 /* system memory */, 6 /* multi-bit ECC */ };
	uint8_t device[0x28 - 4] = { 0 };
	uint64_t mib = c->ram_size >> 20;

	put_le32(array + 3, (uint32_t)MIN(c->ram_size / 1024, (uint64_t)0x80000000));
	put_le16(array + 7, 0xfffe);    /* no error structure */
	put_le16(array + 9, 1);
	put_le64(array + 11, c->ram_size);
	add(b, TYPE_MEMORY_ARRAY, HANDLE_ARRAY, array, sizeof(array), "\0");
	put_le16(device, HANDLE_ARRAY);
	put_le16(device + 2, 0xfffe);
	put_le16(device + 4, 0xffff);   /* widths unknown */
	put_le16(device + 6, 0xffff);
	put_le16(device + 8, mib < 0x7fff ? (uint16_t)mib : 0x7fff);
	device[10] = 9;                 /* DIMM */
	device[12] = 1;
	device[14] = 7;                 /* RAM */
	put_le16(device + 15, 2);       /* other detail */
	device[19] = 2;
	if (mib >= 0x7fff)
		put_le32(device + 24, (uint32_t)mib);
	add(b, TYPE_MEMORY, HANDLE_MEMORY, device, sizeof(device), "DIMM 0\0" "tenbox\0");
	map_range(b, 0, 0, c->low_ram);
	if (c->ram_size > c->low_ram)
		map_range(b, 1, (uint64_t)1 << 32, ((uint64_t)1 << 32) + c->ram_size - c->low_ram);
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total += *p++;
	return total;
}

/* Two checksums: the inner one covers the part from _DMI_ on. */
static void seal(uint8_t *anchor)
{
	anchor[0x15] = anchor[0x04] = 0;
	anchor[0x15] = (uint8_t)-sum(anchor + 0x10, 0x0f);
	anchor[0x04] = (uint8_t)-sum(anchor, SMBIOS_ANCHOR);
}

void smbios_build(struct smbios *s, const struct smbios_config *config)
{
	static const uint8_t boot[0x0b - 4];
	struct builder b = { .s = s };

	*s = (struct smbios){ .tables = calloc(1, ROOM) };
	assert(s->tables);
	bios_and_system(&b, config);
	processors(&b, config);
	memory(&b, config);
	add(&b, TYPE_BOOT, HANDLE_BOOT, boot, sizeof(boot), "\0");
	add(&b, TYPE_END, HANDLE_END, boot, 0, "\0");
	memcpy(s->anchor, "_SM_", 4);
	s->anchor[5] = SMBIOS_ANCHOR;
	s->anchor[6] = 2;
	s->anchor[7] = 8;
	put_le16(s->anchor + 8, (uint16_t)b.largest);
	memcpy(s->anchor + 0x10, "_DMI_", 5);
	put_le16(s->anchor + 0x16, (uint16_t)s->len);
	put_le16(s->anchor + 0x1c, (uint16_t)b.count);
	s->anchor[0x1e] = 0x28;
	seal(s->anchor);
}

void smbios_free(struct smbios *s)
{
	free(s->tables);
	*s = (struct smbios){ 0 };
}

uint32_t smbios_install(const struct smbios *s, uint8_t *ram, uint32_t at)
{
	uint32_t tables = at + 32;

	memcpy(ram + at, s->anchor, SMBIOS_ANCHOR);
	memcpy(ram + tables, s->tables, s->len);
	put_le32(ram + at + 0x18, tables);
	seal(ram + at);
	return tables + (uint32_t)s->len;
}
