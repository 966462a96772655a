/* SPDX-License-Identifier: MIT */
/* Where firmware and ROM files are. */
#ifndef EMU_PATHS_H
#define EMU_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Finds a file: a name with a slash is itself; else data_dir (-L; NULL: not given), then where Debian's packages put firmware.
 * A plain name is also looked for in the working directory, first.  False if it is nowhere.
 */
bool paths_find(const char *data_dir, const char *name, char *path, size_t size);
/* Reads a whole file of at most max bytes; *data is malloc'ed. */
bool paths_read(const char *path, size_t max, void **data, size_t *len, struct err *err);

#endif
