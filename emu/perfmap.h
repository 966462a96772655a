/* SPDX-License-Identifier: MIT */
/* -perfmap: which guest code the translator put where, for perf. */
#ifndef EMU_PERFMAP_H
#define EMU_PERFMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct perfmap;

/* Makes /tmp/perf-PID.map, where perf looks for it. */
struct perfmap *perfmap_new(struct err *err);
void perfmap_free(struct perfmap *p);
/* The code at host is for the guest's instructions from rip on.  Any thread. */
void perfmap_add(struct perfmap *p, const void *host, size_t size, uint64_t rip);

#endif
