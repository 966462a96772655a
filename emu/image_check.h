/* SPDX-License-Identifier: MIT */
/* Tells a raw disk image from a file of another format and from one that was cut short. */
#ifndef EMU_IMAGE_CHECK_H
#define EMU_IMAGE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* False with err if what fd holds is not what a guest could use as a raw image of `size` bytes. */
bool image_check(int fd, const char *path, uint64_t size, bool cdrom, struct err *err);

#endif
