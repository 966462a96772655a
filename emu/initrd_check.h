/* SPDX-License-Identifier: MIT */
/* Tells an initial RAM disk from other files and from a cut one. */
#ifndef EMU_INITRD_CHECK_H
#define EMU_INITRD_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* False with err if the file is not an archive or image that Linux could unpack, as far as its outside shows. */
bool initrd_check(int fd, const char *path, uint64_t size, struct err *err);

#endif
