/* SPDX-License-Identifier: MIT */
/*
 * Linux unpacks a chain of newc cpio archives (Documentation/driver-api/early-userspace/buffer-format.rst), each plain or
 * compressed, with zeros between them, or takes a file system image.  Plain archives are walked to their trailer, so that a cut one
 * is found before the guest panics; of compressed ones the start and, where the format has one, the end are looked at.
 */
#include "emu/initrd_check.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

static const struct { const char *magic; unsigned len, offset; } known[] = {
	{ "\x1f\x8b", 2, 0 }, { "\x1f\x9e", 2, 0 },             /* gzip */
	{ "BZh", 3, 0 }, { "\x5d\0\0", 3, 0 }, { "\xfd" "7zXZ\0", 6, 0 }, { "\x89LZO", 4, 0 }, { "\x02\x21\x4c\x18", 4, 0 },
	{ "\x04\x22\x4d\x18", 4, 0 }, { "\x28\xb5\x2f\xfd", 4, 0 },
	{ "\x53\xef", 2, 1080 }, { "hsqs", 4, 0 }, { "-rom1fs-", 8, 0 }, { "\x45\x3d\xcd\x28", 4, 0 },  /* ext2, squashfs, romfs, cramfs */
};

enum { CPIO_HEADER = 110, NAMESIZE = 94, FILESIZE = 54 };

static bool hex8(const uint8_t *p, uint64_t *value)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++) {
		int c = p[i] | 0x20;

		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (unsigned)(c - 'a' + 10);
		else
			return false;
	}
	*value = v;
	return true;
}

static bool cut(struct err *err, const char *path, uint64_t size)
{
	return err_set(err, "'%s' is cut short: its archive goes on behind its %" PRIu64 " bytes", path, size);
}

/* From a cpio header at *at to behind its trailer. */
static bool walk_cpio(int fd, const char *path, uint64_t size, uint64_t *at, struct err *err)
{
	for (;;) {
		uint8_t h[CPIO_HEADER + 11];
		uint64_t name_len, file_len, next;
		ssize_t n = pread(fd, h, sizeof(h), (off_t)*at);

		if (n < CPIO_HEADER)
			return cut(err, path, size);
		if (memcmp(h, "07070", 5) || !hex8(h + NAMESIZE, &name_len) || !hex8(h + FILESIZE, &file_len))
			return err_set(err, "'%s': bad cpio header at byte %" PRIu64, path, *at);
		next = (*at + CPIO_HEADER + name_len + 3) & ~(uint64_t)3;
		next = (next + file_len + 3) & ~(uint64_t)3;
		if (n == sizeof(h) && name_len == 11 && !memcmp(h + CPIO_HEADER, "TRAILER!!!", 11)) {
			*at = MIN(next, size);
			return true;
		}
		if (next > size)
			return cut(err, path, size);
		*at = next;
	}
}

bool initrd_check(int fd, const char *path, uint64_t size, struct err *err)
{
	uint64_t at = 0;

	for (;;) {
		uint8_t buf[4096] = { 0 };
		ssize_t n = pread(fd, buf, sizeof(buf), (off_t)at), i = 0;

		if (n <= 0)
			return true;                    /* all walked */
		while (i < n && !buf[i] && at)          /* padding between archives */
			i++;
		if (i) {
			at += (uint64_t)i;
			continue;
		}
		if (!memcmp(buf, "07070", 5) && (buf[5] == '1' || buf[5] == '2')) {
			if (!walk_cpio(fd, path, size, &at, err))
				return false;
			continue;
		}
		for (size_t k = 0; k < ARRAY_SIZE(known); k++) {
			if (memcmp(buf + known[k].offset, known[k].magic, known[k].len))
				continue;
			if (buf[0] == 0xfd) {           /* xz: the stream's footer ends in YZ, zeros may follow in fours */
				uint8_t tail[2];

				if (pread(fd, tail, 2, (off_t)size - 2) == 2 && (tail[0] | tail[1]) && memcmp(tail, "YZ", 2))
					return cut(err, path, size);
			}
			return true;
		}
		if (at)                                 /* behind a good archive Linux ignores what it does not know */
			return true;
		return err_set(err, "'%s' is no initial RAM disk (a cpio archive, maybe compressed, or a file system image)", path);
	}
}
