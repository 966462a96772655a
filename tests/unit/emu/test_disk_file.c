/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "emu/disk_file.h"
#include "emu/run.h"

enum { SIZE = 1 << 20 };

struct bench {
	struct run *run;
	char path[64];
	struct err err;
	int done, error, changes;
	struct disk *disk;
};

static void on_done(void *owner, struct disk_request *r, int error)
{
	struct bench *b = owner;

	(void)r;
	b->done++;
	b->error = error;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	uint8_t sector[512];
	int fd;

	b->run = run_new(&(struct run_config){ .stopped = true }, &b->err);
	strcpy(b->path, "test_disk_XXXXXX");
	fd = mkstemp(b->path);
	if (!b->run || fd < 0)
		return -1;
	for (unsigned i = 0; i < SIZE / 512; i++) {
		memset(sector, (int)i, sizeof(sector));
		if (write(fd, sector, sizeof(sector)) != sizeof(sector))
			return -1;
	}
	close(fd);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	disk_file_close(b->disk);
	unlink(b->path);
	run_free(b->run);
	free(b);
	return 0;
}

static struct disk *open_with(struct bench *b, struct disk_file_config c)
{
	c.run = b->run;
	c.name = "d";
	if (!c.path)
		c.path = b->path;
	b->err.text[0] = '\0';
	b->disk = disk_file_open(&c, &b->err);
	return b->disk;
}

/* One request, to its end. */
static int request(struct bench *b, enum disk_op op, uint64_t sector, void *buf, size_t len)
{
	struct iovec iov[2] = { { buf, len / 2 }, { (uint8_t *)buf + len / 2, len - len / 2 } };
	struct disk_request r = {
		.op = op, .offset = sector * 512, .len = len, .iov = iov, .iov_count = buf ? 2 : 0, .done = on_done, .owner = b,
	};

	b->done = 0;
	disk_submit(b->disk, &r);
	assert_int_equal(b->done, 0);           /* never from inside */
	for (int i = 0; !b->done && i < 200; i++) {
		run_lock(b->run);
		clock_run(run_clock(b->run));
		run_unlock(b->run);
		loop_poll(run_loop(b->run), 10000000);
	}
	assert_int_equal(b->done, 1);
	return b->error;
}

static uint8_t file_byte(struct bench *b, uint64_t sector)
{
	int fd = open(b->path, O_RDONLY);
	uint8_t v = 0;

	assert_int_equal(pread(fd, &v, 1, (off_t)sector * 512), 1);
	close(fd);
	return v;
}

static void reads_and_writes_reach_the_file(void **state)
{
	struct bench *b = *state;
	uint8_t buf[2048];

	assert_non_null(open_with(b, (struct disk_file_config){ 0 }));
	assert_int_equal(b->disk->size, SIZE);
	assert_true(b->disk->present);
	assert_int_equal(request(b, DISK_READ, 3, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0], 3);
	assert_int_equal(buf[2047], 6);
	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(request(b, DISK_WRITE, 8, buf, sizeof(buf)), 0);
	assert_int_equal(request(b, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(file_byte(b, 8), 0xaa);
	assert_int_equal(file_byte(b, 12), 12);
}

static void the_synchronous_kind_does_the_same(void **state)
{
	struct bench *b = *state;
	uint8_t buf[1024];

	assert_non_null(open_with(b, (struct disk_file_config){ .sync = true }));
	assert_int_equal(request(b, DISK_READ, 5, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0], 5);
	memset(buf, 0x55, sizeof(buf));
	assert_int_equal(request(b, DISK_WRITE, 5, buf, sizeof(buf)), 0);
	assert_int_equal(file_byte(b, 6), 0x55);
}

static void a_snapshot_keeps_writes_off_the_file(void **state)
{
	struct bench *b = *state;
	uint8_t buf[4096];

	assert_non_null(open_with(b, (struct disk_file_config){ .snapshot = true }));
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(request(b, DISK_WRITE, 2, buf, 1024), 0);
	assert_int_equal(request(b, DISK_READ, 0, buf, 4096), 0);       /* both kinds of sectors in one request */
	assert_int_equal(buf[512], 1);
	assert_int_equal(buf[1024], 0xee);
	assert_int_equal(buf[2047], 0xee);
	assert_int_equal(buf[2048], 4);
	assert_int_equal(file_byte(b, 2), 2);
}

static void zeroes_are_written_in_both_places(void **state)
{
	struct bench *b = *state;
	uint8_t buf[512];

	assert_non_null(open_with(b, (struct disk_file_config){ .snapshot = true }));
	assert_int_equal(request(b, DISK_WRITE_ZEROES, 7, NULL, 512), 0);
	assert_int_equal(request(b, DISK_READ, 7, buf, 512), 0);
	assert_int_equal(buf[0], 0);
	assert_int_equal(file_byte(b, 7), 7);
	disk_file_close(b->disk);
	assert_non_null(open_with(b, (struct disk_file_config){ 0 }));
	assert_int_equal(request(b, DISK_WRITE_ZEROES, 7, NULL, 1024), 0);
	assert_int_equal(file_byte(b, 8), 0);
	assert_int_equal(file_byte(b, 9), 9);
}

static void a_read_only_disk_refuses_to_be_written(void **state)
{
	struct bench *b = *state;
	uint8_t buf[512] = { 0 };

	assert_non_null(open_with(b, (struct disk_file_config){ .read_only = true }));
	assert_true(b->disk->read_only);
	assert_int_equal(request(b, DISK_WRITE, 0, buf, 512), EROFS);
	assert_int_equal(request(b, DISK_DISCARD, 0, NULL, 512), EROFS);
}

static void requests_beyond_the_end_fail(void **state)
{
	struct bench *b = *state;
	uint8_t buf[1024];

	assert_non_null(open_with(b, (struct disk_file_config){ .snapshot = true }));
	assert_int_equal(request(b, DISK_READ, SIZE / 512 - 1, buf, 1024), EINVAL);
	assert_int_equal(request(b, DISK_WRITE, UINT64_MAX / 512, buf, 512), EINVAL);
}

static void a_disk_in_use_for_writing_is_refused_and_two_readers_are_not(void **state)
{
	struct bench *b = *state;
	struct disk *first = open_with(b, (struct disk_file_config){ 0 }), *second;

	assert_non_null(first);
	assert_null(open_with(b, (struct disk_file_config){ 0 }));
	assert_non_null(strstr(b->err.text, "Failed to get \"write\" lock on 'test_disk_"));
	assert_null(open_with(b, (struct disk_file_config){ .read_only = true }));
	disk_file_close(first);
	first = open_with(b, (struct disk_file_config){ .read_only = true });
	second = open_with(b, (struct disk_file_config){ .read_only = true });
	assert_non_null(first);
	assert_non_null(second);
	assert_null(open_with(b, (struct disk_file_config){ 0 }));
	disk_file_close(first);
	disk_file_close(second);
	assert_non_null(open_with(b, (struct disk_file_config){ 0 }));
}

static void what_is_no_disk_is_refused_by_name(void **state)
{
	struct bench *b = *state;
	static const struct { const char *path, *text; } cases[] = {
		{ "no_such_image", "Could not open 'no_such_image': No such file or directory" },
		{ "/", "Could not open '/': Is a directory" },
		{ "/dev/null", "Could not open '/dev/null': neither a file nor a block device" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_null(open_with(b, (struct disk_file_config){ .path = cases[i].path, .read_only = true }));
		assert_string_equal(b->err.text, cases[i].text);
	}
	assert_int_equal(truncate(b->path, 100), 0);
	assert_null(open_with(b, (struct disk_file_config){ 0 }));
	assert_non_null(strstr(b->err.text, "100 bytes are less than one sector"));
	assert_int_equal(truncate(b->path, 0), 0);
	assert_null(open_with(b, (struct disk_file_config){ 0 }));
	assert_non_null(strstr(b->err.text, "the image is empty"));
}

static void poke(struct bench *b, off_t at, const void *data, size_t len)
{
	int fd = open(b->path, O_WRONLY);

	assert_int_equal(pwrite(fd, data, len, at), len);
	close(fd);
}

static void images_of_other_formats_are_refused_unless_asked_for(void **state)
{
	struct bench *b = *state;

	poke(b, 0, "QFI\xfb\0\0\0\3", 8);
	assert_null(open_with(b, (struct disk_file_config){ 0 }));
	assert_non_null(strstr(b->err.text, "qcow2 image; tenbox reads raw ones"));
	assert_non_null(open_with(b, (struct disk_file_config){ .as_is = true }));
}

static void an_image_shorter_than_its_partitions_is_refused(void **state)
{
	struct bench *b = *state;
	uint8_t mbr[512] = { 0 };

	mbr[446 + 4] = 0x83;
	put_le32(mbr + 446 + 8, 64);
	put_le32(mbr + 446 + 12, SIZE / 512 - 64);
	put_le16(mbr + 510, 0xaa55);
	poke(b, 0, mbr, sizeof(mbr));
	assert_non_null(open_with(b, (struct disk_file_config){ 0 }));
	disk_file_close(b->disk);
	put_le32(mbr + 446 + 12, SIZE / 512 - 63);
	poke(b, 0, mbr, sizeof(mbr));
	assert_null(open_with(b, (struct disk_file_config){ 0 }));
	assert_non_null(strstr(b->err.text, "cut short: it has 1048576 bytes, its partition table tells of 1049088"));
}

static void an_iso_shorter_than_its_volume_is_refused(void **state)
{
	struct bench *b = *state;
	uint8_t pvd[2048] = { 1, 'C', 'D', '0', '0', '1' };

	put_le32(pvd + 80, SIZE / 2048);
	put_le16(pvd + 128, 2048);
	poke(b, 16 * 2048, pvd, sizeof(pvd));
	assert_non_null(open_with(b, (struct disk_file_config){ .cdrom = true }));
	disk_file_close(b->disk);
	put_le32(pvd + 80, SIZE / 2048 + 1);
	poke(b, 16 * 2048, pvd, sizeof(pvd));
	assert_null(open_with(b, (struct disk_file_config){ .cdrom = true }));
	assert_non_null(strstr(b->err.text, "its volume descriptor tells of 1050624"));
}

static void an_empty_drive_has_no_medium(void **state)
{
	struct bench *b = *state;

	b->disk = disk_file_empty(&(struct disk_file_config){ .run = b->run, .name = "cd", .cdrom = true });
	assert_false(b->disk->present);
	assert_true(b->disk->cdrom);
	assert_int_equal(disk_file_sync(b->disk), 0);
}

static void on_changed(void *owner)
{
	((struct bench *)owner)->changes++;
}

static void a_medium_can_be_taken_out_and_changed(void **state)
{
	struct bench *b = *state;
	uint8_t buf[2048];
	struct err err;

	for (int sync = 0; sync < 2; sync++) {
		b->changes = 0;
		b->disk = disk_file_empty(&(struct disk_file_config){ .run = b->run, .name = "cd", .cdrom = true, .sync = sync });
		b->disk->changed = on_changed;
		b->disk->owner = b;
		assert_false(b->disk->present);
		assert_false(disk_file_change(b->disk, "nosuchfile", false, &err));
		assert_string_equal(err.text, "Could not open 'nosuchfile': No such file or directory");
		assert_int_equal(b->changes, 0);
		run_lock(b->run);
		assert_true(disk_file_change(b->disk, b->path, false, &err));
		run_unlock(b->run);
		assert_int_equal(b->changes, 1);
		assert_true(b->disk->present && b->disk->read_only);
		assert_int_equal(b->disk->size, SIZE);
		assert_int_equal(request(b, DISK_READ, 3, buf, sizeof(buf)), 0);
		assert_int_equal(buf[0], 3);
		run_lock(b->run);
		assert_false(disk_file_change(b->disk, ".", false, &err));      /* the old one stays */
		assert_true(b->disk->present);
		disk_file_eject(b->disk);
		run_unlock(b->run);
		assert_int_equal(b->changes, 2);
		assert_false(b->disk->present);
		assert_null(disk_file_path(b->disk));
		run_lock(b->run);
		assert_true(disk_file_change(b->disk, b->path, true, &err));
		run_unlock(b->run);
		assert_int_equal(request(b, DISK_READ, 7, buf, 512), 0);
		assert_int_equal(buf[0], 7);
		disk_file_close(b->disk);
		b->disk = NULL;
	}
}

/* The requests that are under way when the medium goes are done first, and their owner is told. */
static void a_request_under_way_ends_before_the_medium_goes(void **state)
{
	struct bench *b = *state;
	uint8_t buf[4096];
	struct iovec iov = { buf, sizeof(buf) };
	struct disk_request r = { .op = DISK_READ, .len = sizeof(buf), .iov = &iov, .iov_count = 1, .done = on_done, .owner = b };

	assert_non_null(open_with(b, (struct disk_file_config){ .cdrom = true }));
	run_lock(b->run);
	disk_submit(b->disk, &r);
	disk_file_eject(b->disk);
	run_unlock(b->run);
	assert_int_equal(b->done, 1);
	assert_int_equal(b->error, 0);
	assert_int_equal(buf[512], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_medium_can_be_taken_out_and_changed), TEST(a_request_under_way_ends_before_the_medium_goes),
		TEST(reads_and_writes_reach_the_file),
		TEST(the_synchronous_kind_does_the_same),
		TEST(a_snapshot_keeps_writes_off_the_file),
		TEST(zeroes_are_written_in_both_places),
		TEST(a_read_only_disk_refuses_to_be_written),
		TEST(requests_beyond_the_end_fail),
		TEST(a_disk_in_use_for_writing_is_refused_and_two_readers_are_not),
		TEST(what_is_no_disk_is_refused_by_name),
		TEST(images_of_other_formats_are_refused_unless_asked_for),
		TEST(an_image_shorter_than_its_partitions_is_refused),
		TEST(an_iso_shorter_than_its_volume_is_refused),
		TEST(an_empty_drive_has_no_medium),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
