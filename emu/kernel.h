/* SPDX-License-Identifier: MIT */
/* Direct boot (-kernel): Linux by its 64-bit or 32-bit boot protocol, and multiboot images, without firmware. */
#ifndef EMU_KERNEL_H
#define EMU_KERNEL_H

#include <stdint.h>

#include "base/err.h"

struct cpu;
struct kernel;
struct pc;

struct kernel_config {
	const char *path, *initrd, *append;     /* initrd, append: NULL: none; all kept */
	uint64_t low_ram;                       /* bytes of RAM below 4 GiB */
};

/* Opens the files and checks what they are.  They stay open, and are read again at every kernel_load. */
struct kernel *kernel_open(const struct kernel_config *config, struct err *err);
void kernel_free(struct kernel *k);
/* After pc_reset and pc_direct_boot: the image, its parameters and the boot processor's registers. */
bool kernel_load(struct kernel *k, struct pc *pc, uint8_t *ram, struct cpu *boot_cpu, struct err *err);

#endif
