/* SPDX-License-Identifier: MIT */
/* Shared by kernel.c and multiboot.c. */
#ifndef EMU_KERNEL_INTERNAL_H
#define EMU_KERNEL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "emu/kernel.h"
#include "hw/pc.h"

struct boot_file {
	const char *path;
	int fd;
	uint64_t size;
};

bool file_open(struct boot_file *f, const char *path, struct err *err);
void file_close(struct boot_file *f);
bool file_read(const struct boot_file *f, uint64_t offset, void *buf, uint64_t len, struct err *err);

struct multiboot;

struct kernel {
	struct kernel_config cfg;
	struct boot_file file, initrd;
	uint8_t head[8192];             /* the first bytes of the file; zeros behind its end */
	/* Linux: */
	uint64_t payload, payload_len;  /* the protected-mode part of the file */
	uint64_t load, init_size;       /* where it goes, and what it needs there until it has found its feet */
	bool long_mode;
	struct multiboot *multiboot;    /* NULL: Linux */
};

void kernel_segments(struct cpu_regs *r, bool long_mode);
void kernel_gdt(uint8_t *ram, struct cpu_regs *r, bool long_mode);
uint64_t kernel_place(const struct pc_e820 *map, size_t n, uint64_t len, uint64_t floor, uint64_t limit);

bool multiboot_open(struct kernel *k, struct err *err);
void multiboot_free(struct kernel *k);
bool multiboot_load(struct kernel *k, struct pc *pc, uint8_t *ram, struct cpu_regs *r, struct err *err);

#endif
