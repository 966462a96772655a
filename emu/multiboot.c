/* SPDX-License-Identifier: MIT */
/*
 * The Multiboot Specification, version 0.6.96: images with the address fields ("a.out kludge") and ELF32 images.  -initrd names
 * modules: "FILE ARGUMENTS,FILE ARGUMENTS" (a comma in a name is doubled).
 *
 * The information structure, strings, memory map and module list lie together at 0x10000, below 0x30000.
 */
#include "emu/kernel_internal.h"

#include <assert.h>
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/opts.h"

enum {
	SEARCH = 8192, MAGIC = 0x1badb002, LOADER_MAGIC = 0x2badb002,
	HEADER_FLAGS = 4, HEADER_CHECKSUM = 8, HEADER_ADDR = 12, LOAD_ADDR = 16, LOAD_END_ADDR = 20, BSS_END_ADDR = 24, ENTRY_ADDR = 28,
	FLAG_ALIGN = 1 << 0, FLAG_MEMORY = 1 << 1, FLAG_VIDEO = 1 << 2, FLAG_ADDRESSES = 1 << 16,
	REQUIRED = 0xffff,              /* bits that a loader must know or refuse */
	INFO = 0x10000, INFO_END = 0x30000, INFO_SIZE = 120,
	INFO_FLAGS = 0, INFO_MEM_LOWER = 4, INFO_MEM_UPPER = 8, INFO_BOOT_DEVICE = 12, INFO_CMDLINE = 16, INFO_MODS_COUNT = 20,
	INFO_MODS_ADDR = 24, INFO_MMAP_LENGTH = 44, INFO_MMAP_ADDR = 48, INFO_LOADER_NAME = 64,
	INFO_HAS_MEMORY = 1, INFO_HAS_CMDLINE = 4, INFO_HAS_MODS = 8, INFO_HAS_MMAP = 64, INFO_HAS_LOADER_NAME = 512,
	SEGMENTS_MAX = 32, MODULES_MAX = 32,
};

struct segment {
	uint64_t offset, file_len;      /* in the file */
	uint64_t to, len;               /* in memory; zeros behind file_len */
};

struct module {
	struct boot_file file;
	char *text;                     /* "FILE ARGUMENTS", the module's string */
	char *path;
};

struct multiboot {
	struct segment segments[SEGMENTS_MAX];
	unsigned segment_count;
	uint32_t entry;
	uint64_t end;                   /* behind the last segment */
	struct module modules[MODULES_MAX];
	unsigned module_count;
	uint32_t at;                    /* next free byte of the information area, while loading */
};

static int find_header(const struct kernel *k)
{
	size_t end = MIN(k->file.size, (uint64_t)SEARCH);

	for (size_t i = 0; i + 12 <= end; i += 4)
		if (le32(k->head + i) == MAGIC &&
		    le32(k->head + i) + le32(k->head + i + HEADER_FLAGS) + le32(k->head + i + HEADER_CHECKSUM) == 0)
			return (int)i;
	return -1;
}

static bool add_segment(struct kernel *k, uint64_t offset, uint64_t file_len, uint64_t to, uint64_t len, struct err *err)
{
	struct multiboot *m = k->multiboot;

	if (offset > k->file.size || file_len > k->file.size - offset)
		return err_set(err, "'%s' is cut short: it has %" PRIu64 " bytes, a segment needs %" PRIu64, k->file.path, k->file.size,
			       offset + file_len);
	if (len < file_len || m->segment_count == SEGMENTS_MAX)
		return err_set(err, "'%s': bad program headers", k->file.path);
	/* Not over our own structures; those below 1 MiB are what old kernels with the address fields may want. */
	if (to < INFO_END + 0x8000 && to + len > INFO)
		return err_set(err, "'%s' wants to be loaded at 0x%" PRIx64 ", where the boot information lies", k->file.path, to);
	if (to + len < to || to + len > k->cfg.low_ram)
		return err_set(err, "'%s' needs memory up to 0x%" PRIx64 ", there are %" PRIu64 " MiB (-m gives more)", k->file.path,
			       to + len, k->cfg.low_ram >> 20);
	m->segments[m->segment_count++] = (struct segment){ offset, file_len, to, len };
	m->end = MAX(m->end, to + len);
	return true;
}

static bool open_addresses(struct kernel *k, unsigned at, struct err *err)
{
	const uint8_t *h = k->head + at;
	uint32_t header = le32(h + HEADER_ADDR), load = le32(h + LOAD_ADDR), load_end = le32(h + LOAD_END_ADDR);
	uint32_t bss_end = le32(h + BSS_END_ADDR);
	uint64_t offset, len;

	if (load > header || header - load > at)
		return err_set(err, "'%s': bad addresses in the multiboot header", k->file.path);
	offset = at - (header - load);
	if (load_end && load_end < load)
		return err_set(err, "'%s': bad addresses in the multiboot header", k->file.path);
	len = load_end ? load_end - load : k->file.size - offset;
	k->multiboot->entry = le32(h + ENTRY_ADDR);
	return add_segment(k, offset, len, load, bss_end > load && bss_end - load > len ? bss_end - load : len, err);
}

static bool open_elf(struct kernel *k, struct err *err)
{
	const Elf32_Ehdr *e = (const Elf32_Ehdr *)k->head;

	if (memcmp(e->e_ident, ELFMAG, SELFMAG))
		return err_set(err, "'%s' has a multiboot header, but neither addresses in it nor the ELF format", k->file.path);
	if (e->e_ident[EI_CLASS] != ELFCLASS32 || e->e_machine != EM_386)
		return err_set(err, "'%s' is a multiboot image in ELF64; give a 32-bit one", k->file.path);
	if (e->e_phentsize != sizeof(Elf32_Phdr))
		return err_set(err, "'%s': bad program headers", k->file.path);
	for (unsigned i = 0; i < e->e_phnum; i++) {
		Elf32_Phdr p;

		if ((uint64_t)e->e_phoff + (i + 1) * sizeof(p) > k->file.size)
			return err_set(err, "'%s' is cut short in its program headers", k->file.path);
		if (!file_read(&k->file, e->e_phoff + i * sizeof(p), &p, sizeof(p), err))
			return false;
		if (p.p_type == PT_LOAD && p.p_memsz &&
		    !add_segment(k, p.p_offset, p.p_filesz, p.p_paddr, p.p_memsz, err))
			return false;
	}
	if (!k->multiboot->segment_count)
		return err_set(err, "'%s' has no segment to load", k->file.path);
	k->multiboot->entry = e->e_entry;
	return true;
}

static bool open_modules(struct kernel *k, struct err *err)
{
	struct multiboot *m = k->multiboot;
	uint64_t total = 0;
	const char *p = k->cfg.initrd;

	while (p && *p) {
		struct module *mod;
		char *to;

		if (m->module_count == MODULES_MAX)
			return err_set(err, "more than %d modules", MODULES_MAX);
		mod = &m->modules[m->module_count++];
		mod->file.fd = -1;
		mod->text = to = malloc(strlen(p) + 1);
		assert(to);
		for (; *p && !(*p == ',' && p[1] != ','); p++) {
			p += *p == ',';
			*to++ = *p;
		}
		*to = '\0';
		p += *p == ',';
		mod->path = strndup(mod->text, strcspn(mod->text, " "));
		if (!file_open(&mod->file, mod->path, err))
			return false;
		total += (mod->file.size + 4095) & ~(uint64_t)4095;
	}
	if (((m->end + 4095) & ~(uint64_t)4095) + total > k->cfg.low_ram)
		return err_set(err, "the modules' %" PRIu64 " MiB do not fit into memory (-m gives more)", total >> 20);
	return true;
}

bool multiboot_open(struct kernel *k, struct err *err)
{
	int at = find_header(k);
	uint32_t flags;

	if (at < 0) {
		bool elf = !memcmp(k->head, ELFMAG, SELFMAG);

		err_set(err, "'%s' is neither a Linux bzImage nor a multiboot image%s", k->file.path,
			elf ? " (an ELF file without a multiboot header: give the bzImage, not vmlinux)" :
			k->file.size < 1024 ? " (it is cut short or something else)" : "");
		err_prefix(err, "-kernel %s", k->cfg.path);
		return false;
	}
	k->multiboot = calloc(1, sizeof(*k->multiboot));
	assert(k->multiboot);
	flags = le32(k->head + at + HEADER_FLAGS);
	if (flags & REQUIRED & ~(unsigned)(FLAG_ALIGN | FLAG_MEMORY | FLAG_VIDEO)) {
		err_set(err, "'%s' asks for multiboot features 0x%x that there are not", k->file.path, flags & REQUIRED);
		err_prefix(err, "-kernel %s", k->cfg.path);
		return false;
	}
	if (!(flags & FLAG_ADDRESSES ? at + 32 <= SEARCH && open_addresses(k, (unsigned)at, err) : open_elf(k, err))) {
		err_prefix(err, "-kernel %s", k->cfg.path);
		return false;
	}
	if (strlen(k->cfg.append) + strlen(k->cfg.path) > 0x8000) {
		err_set(err, "-append: the command line is longer than 32768 bytes");
		return false;
	}
	if (!open_modules(k, err)) {
		err_prefix(err, "-initrd %s", k->cfg.initrd);
		return false;
	}
	return true;
}

void multiboot_free(struct kernel *k)
{
	struct multiboot *m = k->multiboot;

	if (!m)
		return;
	for (unsigned i = 0; i < m->module_count; i++) {
		file_close(&m->modules[i].file);
		free(m->modules[i].text);
		free(m->modules[i].path);
	}
	free(m);
}

/* len bytes of the information area; 0 if it is full. */
static uint32_t reserve(struct multiboot *m, size_t len)
{
	uint32_t at = m->at;

	len = (len + 7) & ~(size_t)7;
	if (len > INFO_END - at)
		return 0;
	m->at += (uint32_t)len;
	return at;
}

static uint32_t put_text(struct multiboot *m, uint8_t *ram, const char *text)
{
	uint32_t at = reserve(m, strlen(text) + 1);

	if (at)
		strcpy((char *)ram + at, text);
	return at;
}

static bool load_modules(struct kernel *k, uint8_t *ram, uint8_t *info, struct err *err)
{
	struct multiboot *m = k->multiboot;
	uint64_t to = (m->end + 4095) & ~(uint64_t)4095;
	uint32_t list = reserve(m, 16 * m->module_count);

	for (unsigned i = 0; i < m->module_count; i++) {
		struct module *mod = &m->modules[i];
		uint32_t text = put_text(m, ram, mod->text);

		if (!list || !text)
			return err_set(err, "-initrd: the modules' strings are too long");
		if (!file_read(&mod->file, 0, ram + to, mod->file.size, err))
			return false;
		put_le32(ram + list + 16 * i, (uint32_t)to);
		put_le32(ram + list + 16 * i + 4, (uint32_t)(to + mod->file.size));
		put_le32(ram + list + 16 * i + 8, text);
		put_le32(ram + list + 16 * i + 12, 0);
		to = (to + mod->file.size + 4095) & ~(uint64_t)4095;
	}
	put_le32(info + INFO_MODS_COUNT, m->module_count);
	put_le32(info + INFO_MODS_ADDR, list);
	return true;
}

static void put_map(struct multiboot *m, struct pc *pc, uint8_t *ram, uint8_t *info)
{
	struct pc_e820 map[64];
	size_t n = pc_e820(pc, map, ARRAY_SIZE(map));
	uint32_t at = reserve(m, 24 * n), lower = 0, upper = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t *e = ram + at + 24 * i;

		put_le32(e, 20);                /* the size of what follows */
		put_le64(e + 4, map[i].base);
		put_le64(e + 12, map[i].len);
		put_le32(e + 20, map[i].type);
		if (map[i].type == 1 && map[i].base == 0)
			lower = (uint32_t)(map[i].len >> 10);
		if (map[i].type == 1 && map[i].base == 0x100000)
			upper = (uint32_t)MIN(map[i].len >> 10, (uint64_t)UINT32_MAX);
	}
	put_le32(info + INFO_MMAP_ADDR, at);
	put_le32(info + INFO_MMAP_LENGTH, (uint32_t)(24 * n));
	put_le32(info + INFO_MEM_LOWER, MIN(lower, 640u));
	put_le32(info + INFO_MEM_UPPER, upper);
}

bool multiboot_load(struct kernel *k, struct pc *pc, uint8_t *ram, struct cpu_regs *r, struct err *err)
{
	struct multiboot *m = k->multiboot;
	uint8_t *info = ram + INFO;
	uint32_t flags = INFO_HAS_MEMORY | INFO_HAS_CMDLINE | INFO_HAS_MMAP | INFO_HAS_LOADER_NAME;
	char *line;

	for (unsigned i = 0; i < m->segment_count; i++) {
		const struct segment *s = &m->segments[i];

		if (!file_read(&k->file, s->offset, ram + s->to, s->file_len, err))
			return false;
		memset(ram + s->to + s->file_len, 0, s->len - s->file_len);
	}
	m->at = INFO;
	reserve(m, INFO_SIZE);
	memset(info, 0, INFO_SIZE);
	put_map(m, pc, ram, info);
	if (asprintf(&line, "%s%s%s", k->cfg.path, *k->cfg.append ? " " : "", k->cfg.append) < 0)
		return err_set(err, "out of memory");
	put_le32(info + INFO_CMDLINE, put_text(m, ram, line));
	free(line);
	put_le32(info + INFO_LOADER_NAME, put_text(m, ram, "tenbox"));
	put_le32(info + INFO_BOOT_DEVICE, 0x8000ffff);          /* the first disk */
	if (m->module_count) {
		flags |= INFO_HAS_MODS;
		if (!load_modules(k, ram, info, err))
			return false;
	}
	put_le32(info + INFO_FLAGS, flags);

	kernel_segments(r, false);
	kernel_gdt(ram, r, false);
	r->gpr[0] = LOADER_MAGIC;
	r->gpr[3] = INFO;
	r->rip = m->entry;
	r->cr0 = 0x11;                          /* PE, ET; no paging */
	return true;
}
