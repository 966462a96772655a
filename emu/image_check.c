/* SPDX-License-Identifier: MIT */
/*
 * Foreign formats are known by their magic numbers.  A cut image betrays itself by what it says of its own size: the
 * volume size of an ISO 9660 file system (ECMA-119, 8.4.8), the backup header's place of a GPT (UEFI 2.10, 5.3.2), the ends
 * of the partitions of an MBR.  format=raw skips all this.
 */
#include "emu/image_check.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

static const struct {
	const char *name, *magic;
	unsigned len, offset;
} formats[] = {
	{ "qcow2", "QFI\xfb", 4, 0 },
	{ "VMDK", "KDMV", 4, 0 },
	{ "VMDK", "# Disk DescriptorFile", 21, 0 },
	{ "VHDX", "vhdxfile", 8, 0 },
	{ "VHD", "conectix", 8, 0 },
	{ "VDI", "\x7f\x10\xda\xbe", 4, 64 },
	{ "QED", "QED", 4, 0 },
	{ "Parallels", "WithoutFreeSpace", 16, 0 },
	{ "LUKS", "LUKS\xba\xbe", 6, 0 },
	{ "gzip-compressed", "\x1f\x8b\x08", 3, 0 },
	{ "xz-compressed", "\xfd" "7zXZ", 6, 0 },
	{ "bzip2-compressed", "BZh", 3, 0 },
	{ "zstd-compressed", "\x28\xb5\x2f\xfd", 4, 0 },
	{ "ZIP", "PK\x03\x04", 4, 0 },
	{ "ELF", "\x7f" "ELF", 4, 0 },
};

static bool is_cut(struct err *err, const char *path, uint64_t size, uint64_t wanted, const char *who)
{
	return err_set(err, "Could not open '%s': cut short: it has %" PRIu64 " bytes, its %s tells of %" PRIu64
		       " (-drive with format=raw takes it as it is)", path, size, who, wanted);
}

static bool check_iso(int fd, const char *path, uint64_t size, struct err *err)
{
	uint8_t d[2048];
	uint64_t wanted;

	/* The Primary Volume Descriptor is in sector 16. */
	if (pread(fd, d, sizeof(d), 16 * 2048) != sizeof(d) || d[0] != 1 || memcmp(d + 1, "CD001", 5))
		return true;
	wanted = (uint64_t)le32(d + 80) * le16(d + 128);
	return size >= wanted || is_cut(err, path, size, wanted, "volume descriptor");
}

static bool check_partitions(int fd, const char *path, uint64_t size, const uint8_t *mbr, struct err *err)
{
	uint8_t gpt[512];
	uint64_t end = 0;

	if (pread(fd, gpt, sizeof(gpt), 512) == sizeof(gpt) && !memcmp(gpt, "EFI PART", 8)) {
		end = le64(gpt + 32);
		if (end < UINT64_MAX / 512 - 1 && (end + 1) * 512 > size)
			return is_cut(err, path, size, (end + 1) * 512, "partition table (GPT)");
		return true;
	}
	if (le16(mbr + 510) != 0xaa55)
		return true;
	for (int i = 0; i < 4; i++) {
		const uint8_t *p = mbr + 446 + 16 * i;

		if (p[0] & 0x7f)                /* the status byte is 0 or 80h in a table; else this is code or a file system */
			return true;
		if (p[4] && (uint64_t)le32(p + 8) + le32(p + 12) > end)
			end = (uint64_t)le32(p + 8) + le32(p + 12);
	}
	return end * 512 <= size || is_cut(err, path, size, end * 512, "partition table");
}

bool image_check(int fd, const char *path, uint64_t size, bool cdrom, struct err *err)
{
	uint8_t head[512] = { 0 };
	ssize_t n = pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return true;                    /* the guest will see the same error when it reads */
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!memcmp(head + formats[i].offset, formats[i].magic, formats[i].len))
			return err_set(err, "Could not open '%s': %s image; tenbox reads raw ones (qemu-img convert -O raw makes one, "
				       "format=raw takes it as it is)", path, formats[i].name);
	if (!check_iso(fd, path, size, err))
		return false;
	return cdrom || n < (ssize_t)sizeof(head) || check_partitions(fd, path, size, head, err);
}
