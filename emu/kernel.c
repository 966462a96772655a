/* SPDX-License-Identifier: MIT */
/*
 * Linux: the boot protocol of the kernel's own documentation (Documentation/arch/x86/boot.rst), version 2.06 and later, loaded
 * high.  Offsets BP_ are those of the real-mode header, which in the "zero page" are the same.
 * Multiboot images are in multiboot.c.
 *
 * Low memory while we hand over:
 *	0x10000 zero page   0x20000 command line   0x30000 GDT   0x31000 PML4, PDPT, 4 page directories: 4 GiB, one to one
 */
#include "emu/kernel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "emu/initrd_check.h"
#include "emu/kernel_internal.h"

enum {
	ZERO_PAGE = 0x10000, COMMAND_LINE = 0x20000, COMMAND_LINE_MAX = 0x10000, GDT = 0x30000, PAGE_TABLES = 0x31000,
	BP_VIDEO_MODE = 0x006, BP_VIDEO_COLS = 0x007, BP_VIDEO_EGA_BX = 0x00a, BP_VIDEO_LINES = 0x00e, BP_VIDEO_IS_VGA = 0x00f,
	BP_VIDEO_POINTS = 0x010, BP_ACPI_RSDP = 0x070, BP_E820_ENTRIES = 0x1e8, BP_SETUP_SECTS = 0x1f1, BP_SYSSIZE = 0x1f4, BP_VID_MODE = 0x1fa,
	BP_BOOT_FLAG = 0x1fe, BP_JUMP = 0x201, BP_HEADER = 0x202, BP_VERSION = 0x206, BP_TYPE_OF_LOADER = 0x210, BP_LOADFLAGS = 0x211,
	BP_CODE32_START = 0x214, BP_RAMDISK_IMAGE = 0x218, BP_RAMDISK_SIZE = 0x21c, BP_HEAP_END = 0x224, BP_CMD_LINE = 0x228,
	BP_INITRD_MAX = 0x22c, BP_ALIGNMENT = 0x230, BP_RELOCATABLE = 0x234, BP_XLOADFLAGS = 0x236, BP_CMDLINE_SIZE = 0x238,
	BP_PREF_ADDRESS = 0x258, BP_INIT_SIZE = 0x260, BP_E820_TABLE = 0x2d0,
	BP_E820_MAX = 128,
	LOADED_HIGH = 1, CAN_USE_HEAP = 0x80, XLF_KERNEL_64 = 1,
	CR0_PE = 1, CR0_ET = 16, CR4_PAE = 1 << 5, EFER_LME = 1 << 8, EFER_LMA = 1 << 10,
};
#define CR0_PG (1u << 31)

bool file_open(struct boot_file *f, const char *path, struct err *err)
{
	struct stat st;

	f->path = path;
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0)
		return err_errno(err, errno, "could not open '%s'", path);
	if (fstat(f->fd, &st) < 0)
		return err_errno(err, errno, "could not open '%s'", path);
	if (S_ISDIR(st.st_mode))
		return err_errno(err, EISDIR, "could not open '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, "could not open '%s': not a regular file", path);
	f->size = (uint64_t)st.st_size;
	if (!f->size)
		return err_set(err, "'%s' is empty", path);
	return true;
}

void file_close(struct boot_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

bool file_read(const struct boot_file *f, uint64_t offset, void *buf, uint64_t len, struct err *err)
{
	uint8_t *to = buf;

	while (len) {
		ssize_t n = pread(f->fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "could not read '%s'", f->path);
		if (n == 0)
			return err_set(err, "'%s' was cut short while tenbox runs", f->path);
		to += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return true;
}

void kernel_segments(struct cpu_regs *r, bool long_mode)
{
	/* The flat ones that the protocol asks for: __BOOT_CS 10h and __BOOT_DS 18h. */
	for (int i = 0; i < 6; i++)
		r->seg[i] = (struct cpu_segment){ 0x18, 0, 0xffffffff, 0xc093 };
	r->seg[1] = (struct cpu_segment){ 0x10, 0, 0xffffffff, long_mode ? 0xa09b : 0xc09b };
	r->ldtr = (struct cpu_segment){ 0, 0, 0xffff, 0x0082 };
	r->tr = (struct cpu_segment){ 0, 0, 0xffff, 0x008b };
	r->rflags = 2;
}

void kernel_gdt(uint8_t *ram, struct cpu_regs *r, bool long_mode)
{
	memset(ram + GDT, 0, 32);
	put_le64(ram + GDT + 0x10, long_mode ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
	put_le64(ram + GDT + 0x18, 0x00cf93000000ffff);
	r->gdt_base = GDT;
	r->gdt_limit = 31;
	r->idt_base = 0;
	r->idt_limit = 0;
}

static void page_tables(uint8_t *ram)
{
	uint8_t *pml4 = ram + PAGE_TABLES, *pdpt = pml4 + 4096, *pd = pdpt + 4096;

	memset(pml4, 0, 6 * 4096);
	put_le64(pml4, (PAGE_TABLES + 4096) | 3);
	for (uint64_t i = 0; i < 4; i++)
		put_le64(pdpt + 8 * i, (PAGE_TABLES + 4096 * (2 + i)) | 3);
	for (uint64_t i = 0; i < 2048; i++)             /* 2 MiB pages: present, writable, PS */
		put_le64(pd + 8 * i, i << 21 | 0x83);
}

/* Whether the header is Linux's; err is filled if it is one that cannot be booted. */
static bool linux_check(struct kernel *k, struct err *err)
{
	const uint8_t *h = k->head;
	uint64_t wanted;
	uint16_t version = le16(h + BP_VERSION);
	unsigned sectors = h[BP_SETUP_SECTS] ? h[BP_SETUP_SECTS] : 4;

	if (version < 0x206 || !(h[BP_LOADFLAGS] & LOADED_HIGH))
		return err_set(err, "'%s' is a Linux kernel with boot protocol %u.%02u; 2.06 and a bzImage are needed", k->file.path,
			       version >> 8, version & 0xff);
	k->payload = (sectors + 1) * 512;
	wanted = k->payload + (uint64_t)le32(h + BP_SYSSIZE) * 16;
	/* the header counts paragraphs: the last one may be there in part, as in iPXE's images */
	if (k->file.size < wanted && wanted - k->file.size < 16)
		wanted = k->file.size;
	if (k->file.size < wanted)
		return err_set(err, "'%s' is cut short: it has %" PRIu64 " bytes of %" PRIu64, k->file.path, k->file.size, wanted);
	k->payload_len = wanted - k->payload;
	k->long_mode = version >= 0x20c && le16(h + BP_XLOADFLAGS) & XLF_KERNEL_64;
	k->load = version >= 0x20a ? le64(h + BP_PREF_ADDRESS) : 0x100000;
	k->init_size = version >= 0x20a ? le32(h + BP_INIT_SIZE) : 0;
	if (k->init_size < k->payload_len)
		k->init_size = k->payload_len;
	if (!h[BP_RELOCATABLE] && k->load < 0x100000)
		k->load = 0x100000;
	/* Too little memory for where it would like to be: as low as its alignment allows. */
	if (k->load > UINT32_MAX || k->load + k->init_size > k->cfg.low_ram) {
		uint64_t align = le32(h + BP_ALIGNMENT);

		if (h[BP_RELOCATABLE] && align && !(align & (align - 1)))
			k->load = MAX(align, 0x100000u);
		if (k->load + k->init_size > k->cfg.low_ram)
			return err_set(err, "'%s' needs %" PRIu64 " MiB of memory to start, there are %" PRIu64 " (-m gives more)",
				       k->file.path, (k->load + k->init_size) >> 20, k->cfg.low_ram >> 20);
	}
	wanted = le32(h + BP_CMDLINE_SIZE);
	if (wanted >= COMMAND_LINE_MAX)
		wanted = COMMAND_LINE_MAX - 1;
	if (strlen(k->cfg.append) > wanted)
		return err_set(err, "the command line has %zu bytes, this kernel takes %" PRIu64, strlen(k->cfg.append), wanted);
	return true;
}

static bool open_initrd(struct kernel *k, struct err *err)
{
	uint64_t max = le32(k->head + BP_INITRD_MAX), room;

	if (!file_open(&k->initrd, k->cfg.initrd, err) || !initrd_check(k->initrd.fd, k->initrd.path, k->initrd.size, err))
		return false;
	/* Its place is worked out in kernel_load; here only whether there can be one. */
	room = MIN(k->cfg.low_ram, max + 1);
	if (room < k->load + k->init_size || k->initrd.size > room - (k->load + k->init_size))
		return err_set(err, "'%s' has %" PRIu64 " MiB and does not fit into memory beside the kernel (-m gives more)",
			       k->initrd.path, k->initrd.size >> 20);
	return true;
}

struct kernel *kernel_open(const struct kernel_config *config, struct err *err)
{
	struct kernel *k = calloc(1, sizeof(*k));
	bool ok;

	assert(k);
	k->cfg = *config;
	if (!k->cfg.append)
		k->cfg.append = "";
	k->file.fd = k->initrd.fd = -1;
	if (!file_open(&k->file, config->path, err) ||
	    !file_read(&k->file, 0, k->head, MIN(k->file.size, sizeof(k->head)), err)) {
		err_prefix(err, "-kernel %s", config->path);
		kernel_free(k);
		return NULL;
	}
	if (le16(k->head + BP_BOOT_FLAG) == 0xaa55 && !memcmp(k->head + BP_HEADER, "HdrS", 4)) {
		ok = linux_check(k, err);
		if (!ok)
			err_prefix(err, "-kernel %s", config->path);
		if (ok && config->initrd) {
			ok = open_initrd(k, err);
			if (!ok)
				err_prefix(err, "-initrd %s", config->initrd);
		}
	} else {
		ok = multiboot_open(k, err);
	}
	if (!ok) {
		kernel_free(k);
		return NULL;
	}
	return k;
}

void kernel_free(struct kernel *k)
{
	if (!k)
		return;
	file_close(&k->file);
	file_close(&k->initrd);
	multiboot_free(k);
	free(k);
}

/* The highest page below `limit` from which `len` bytes are RAM by the memory map, at `floor` or above; 0: none. */
uint64_t kernel_place(const struct pc_e820 *map, size_t n, uint64_t len, uint64_t floor, uint64_t limit)
{
	uint64_t best = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t start = MAX(map[i].base, floor), end = MIN(map[i].base + map[i].len, limit), at;

		if (map[i].type != 1 || end < start || end - start < len)
			continue;
		at = (end - len) & ~(uint64_t)0xfff;
		if (at >= start && at > best)
			best = at;
	}
	return best;
}

static bool load_initrd(struct kernel *k, uint8_t *ram, const struct pc_e820 *map, size_t n, struct err *err)
{
	uint64_t limit = MIN((uint64_t)le32(k->head + BP_INITRD_MAX) + 1, k->cfg.low_ram);
	uint64_t at = kernel_place(map, n, k->initrd.size, k->load + k->init_size, limit);

	if (!at)
		return err_set(err, "no room in memory for '%s' (-m gives more)", k->initrd.path);
	if (!file_read(&k->initrd, 0, ram + at, k->initrd.size, err))
		return false;
	put_le32(ram + ZERO_PAGE + BP_RAMDISK_IMAGE, (uint32_t)at);
	put_le32(ram + ZERO_PAGE + BP_RAMDISK_SIZE, (uint32_t)k->initrd.size);
	return true;
}

static bool linux_load(struct kernel *k, struct pc *pc, uint8_t *ram, struct cpu_regs *r, struct err *err)
{
	struct pc_e820 map[BP_E820_MAX];
	size_t n = pc_e820(pc, map, BP_E820_MAX), header_len;
	uint8_t *zero = ram + ZERO_PAGE;

	if (!file_read(&k->file, k->payload, ram + k->load, k->payload_len, err))
		return false;
	memset(zero, 0, 4096);
	header_len = BP_HEADER + k->head[BP_JUMP] - BP_SETUP_SECTS;
	memcpy(zero + BP_SETUP_SECTS, k->head + BP_SETUP_SECTS, MIN(header_len, (size_t)(BP_E820_TABLE - BP_SETUP_SECTS)));
	zero[BP_TYPE_OF_LOADER] = 0xff;         /* no assigned number */
	zero[BP_LOADFLAGS] |= CAN_USE_HEAP;
	put_le16(zero + BP_HEAP_END, 0xe000 - 0x200);
	put_le16(zero + BP_VID_MODE, 0xffff);
	if (pc_vga(pc)) {                       /* pc_direct_boot has set 80x25 text */
		zero[BP_VIDEO_MODE] = 3;
		zero[BP_VIDEO_COLS] = 80;
		zero[BP_VIDEO_EGA_BX] = 3;
		zero[BP_VIDEO_LINES] = 25;
		zero[BP_VIDEO_IS_VGA] = 1;
		zero[BP_VIDEO_POINTS] = 16;
	}
	put_le32(zero + BP_CODE32_START, (uint32_t)k->load);
	put_le32(zero + BP_CMD_LINE, COMMAND_LINE);
	strcpy((char *)ram + COMMAND_LINE, k->cfg.append);
	put_le64(zero + BP_ACPI_RSDP, pc_rsdp(pc));
	zero[BP_E820_ENTRIES] = (uint8_t)n;
	for (size_t i = 0; i < n; i++) {
		uint8_t *e = zero + BP_E820_TABLE + 20 * i;

		put_le64(e, map[i].base);
		put_le64(e + 8, map[i].len);
		put_le32(e + 16, map[i].type);
	}
	if (k->cfg.initrd && !load_initrd(k, ram, map, n, err))
		return false;

	kernel_segments(r, k->long_mode);
	kernel_gdt(ram, r, k->long_mode);
	r->gpr[6] = ZERO_PAGE;                  /* RSI */
	r->gpr[4] = 0x8000;
	r->rip = k->load;
	r->cr0 = CR0_PE | CR0_ET;
	if (k->long_mode) {
		page_tables(ram);
		r->rip = k->load + 0x200;
		r->cr3 = PAGE_TABLES;
		r->cr4 = CR4_PAE;
		r->efer = EFER_LME | EFER_LMA;
		r->cr0 |= CR0_PG;
	}
	return true;
}

bool kernel_load(struct kernel *k, struct pc *pc, uint8_t *ram, struct cpu *boot_cpu, struct err *err)
{
	struct cpu_regs r;
	bool ok;

	cpu_get_regs(boot_cpu, &r);
	memset(r.gpr, 0, sizeof(r.gpr));
	ok = k->multiboot ? multiboot_load(k, pc, ram, &r, err) : linux_load(k, pc, ram, &r, err);
	if (ok)
		cpu_set_regs(boot_cpu, &r);
	return ok;
}
