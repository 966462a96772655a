/* SPDX-License-Identifier: MIT */
/*
 * openat2(2) with RESOLVE_BENEATH keeps every name, and every symbolic link on the way, beneath the folder.  Kernels
 * before 5.6 (and sandboxes without it) get a walk that opens one component after the other and follows no link.
 * Only regular files are served: a FIFO would block, a device never end.
 */
#include "tftp/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

struct tftp_root {
	int fd;
	bool walk;
};

static int open_beneath(const struct tftp_root *r, const char *name)
{
	struct open_how how = { .flags = FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, r->fd, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int open_by_walk(const struct tftp_root *r, const char *name)
{
	int dir = r->fd, next;

	for (;;) {
		size_t n = strcspn(name, "/");
		char part[256];
		const char *rest = name + n + strspn(name + n, "/");

		if (n >= sizeof(part) || (n == 2 && !memcmp(name, "..", 2)))
			next = -EACCES;
		else {
			memcpy(part, name, n);
			part[n] = '\0';
			next = openat(dir, n ? part : ".", FLAGS | O_NOFOLLOW | (*rest ? O_PATH | O_DIRECTORY : 0));
			if (next < 0)
				next = errno == ELOOP ? -EACCES : -errno;
		}
		if (dir != r->fd)
			close(dir);
		if (next < 0 || !*rest)
			return next;
		dir = next;
		name = rest;
	}
}

static int root_open(void *owner, const char *name, uint64_t *size)
{
	struct tftp_root *r = owner;
	struct stat st;
	size_t len;
	int fd;

	name += strspn(name, "/");              /* the folder is the client's "/" */
	len = strlen(name);
	if (!len || name[len - 1] == '/')
		return -EISDIR;
	fd = r->walk ? -ENOSYS : open_beneath(r, name);
	if (fd == -ENOSYS || fd == -EPERM)
		fd = open_by_walk(r, name);
	if (fd < 0)
		return fd == -EXDEV || fd == -ELOOP ? -EACCES : fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EACCES;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

static ssize_t root_read(void *owner, int file, uint64_t offset, void *buf, size_t len)
{
	size_t got = 0;

	(void)owner;
	while (got < len) {
		ssize_t n = pread(file, (char *)buf + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static void root_close(void *owner, int file)
{
	(void)owner;
	close(file);
}

const struct tftp_files tftp_root_files = { .open = root_open, .read = root_read, .close = root_close };

struct tftp_root *tftp_root_open(const char *path, struct err *err)
{
	struct tftp_root *r = calloc(1, sizeof(*r));

	if (!r) {
		err_errno(err, ENOMEM, "tftp folder '%s'", path);
		return NULL;
	}
	r->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->fd < 0 || faccessat(r->fd, ".", R_OK | X_OK, 0) < 0) {
		err_errno(err, errno, "tftp folder '%s'", path);
		if (r->fd >= 0)
			close(r->fd);
		free(r);
		return NULL;
	}
	return r;
}

void tftp_root_close(struct tftp_root *r)
{
	if (!r)
		return;
	close(r->fd);
	free(r);
}

void tftp_root_walk(struct tftp_root *r, bool walk)
{
	r->walk = walk;
}
