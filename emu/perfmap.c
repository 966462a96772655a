/* SPDX-License-Identifier: MIT */
/*
 * A line for each translated block, "START SIZE NAME" in hexadecimal, in the file where perf report looks for the names
 * of code that is in no file (perf's own tools/perf/Documentation/jit-interface.txt).
 */
#include "emu/perfmap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct perfmap {
	FILE *file;
};

struct perfmap *perfmap_new(struct err *err)
{
	struct perfmap *p = calloc(1, sizeof(*p));
	char path[64];
	int fd;

	if (!p) {
		err_set(err, "out of memory");
		return NULL;
	}
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	/* Whoever could put a link there must not make us write elsewhere; what a process of this number left may go. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	p->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!p->file) {
		err_errno(err, errno, "%s", path);
		if (fd >= 0)
			close(fd);
		free(p);
		return NULL;
	}
	return p;
}

void perfmap_free(struct perfmap *p)
{
	if (!p)
		return;
	fclose(p->file);
	free(p);
}

void perfmap_add(struct perfmap *p, const void *host, size_t size, uint64_t rip)
{
	if (rip == UINT64_MAX)
		fprintf(p->file, "%" PRIxPTR " %zx translator's ways in and out\n", (uintptr_t)host, size);
	else
		fprintf(p->file, "%" PRIxPTR " %zx guest %016" PRIx64 "\n", (uintptr_t)host, size, rip);
}
