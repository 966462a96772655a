/* SPDX-License-Identifier: MIT */
/* Pictures as PNG and PPM files. */
#ifndef EMU_SCREENDUMP_H
#define EMU_SCREENDUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hw/display.h"

enum picture { PICTURE_PPM, PICTURE_PNG };

/* Writes the whole file or, on failure, none. */
bool screendump(const struct image *image, const char *path, enum picture format, struct err *err);
/* The file's bytes; malloc'ed, NULL without memory. */
uint8_t *picture_encode(const struct image *image, enum picture format, size_t *len);

#endif
