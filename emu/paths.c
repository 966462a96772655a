/* SPDX-License-Identifier: MIT */
#include "emu/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

bool paths_find(const char *data_dir, const char *name, char *path, size_t size)
{
	static const char *const dirs[] = { "/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu", "/usr/share/qemu-kvm" };

	snprintf(path, size, "%s", name);
	if (access(path, F_OK) == 0)
		return true;
	if (strchr(name, '/'))
		return false;
	if (data_dir) {
		snprintf(path, size, "%s/%s", data_dir, name);
		if (access(path, F_OK) == 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, size, "%s/%s", dirs[i], name);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

bool paths_read(const char *path, size_t max, void **data, size_t *len, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t size, at = 0;
	struct stat st;
	char *buf;

	if (fd < 0)
		return err_errno(err, errno, "could not open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		int e = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;

		close(fd);
		return err_errno(err, e, "could not open '%s'", path);
	}
	if (st.st_size == 0 || (uint64_t)st.st_size > max) {
		close(fd);
		return st.st_size ? err_set(err, "'%s' is too large: %lld bytes, at most %zu", path, (long long)st.st_size, max) :
		       err_set(err, "'%s' is empty", path);
	}
	size = (size_t)st.st_size;
	buf = malloc(size);
	while (buf && at < size) {
		ssize_t n = read(fd, buf + at, size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_errno(err, n ? errno : EIO, "could not read '%s'", path);
			free(buf);
			close(fd);
			return false;
		}
		at += (size_t)n;
	}
	close(fd);
	if (!buf)
		return err_set(err, "out of memory for '%s'", path);
	*data = buf;
	*len = size;
	return true;
}
