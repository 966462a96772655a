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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tftp/root.h"

struct bench {
	char top[100], root[120];
	struct tftp_root *r;
};

static void make(const char *dir, const char *name, const char *text)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void link_to(struct bench *b, const char *name, const char *target)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", b->root, name);
	assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	const char *tmp = getenv("TMPDIR");
	char path[300];
	struct err err;

	snprintf(b->top, sizeof(b->top), "%s/tenbox-tftp-XXXXXX", tmp && strlen(tmp) < 60 ? tmp : P_tmpdir);
	assert_non_null(mkdtemp(b->top));
	snprintf(b->root, sizeof(b->root), "%s/root", b->top);
	assert_int_equal(mkdir(b->root, 0700), 0);
	make(b->top, "outside", "outside");
	make(b->root, "file", "inside");
	make(b->root, "..odd", "odd");
	snprintf(path, sizeof(path), "%s/sub", b->root);
	assert_int_equal(mkdir(path, 0700), 0);
	make(path, "file", "deeper");
	snprintf(path, sizeof(path), "%s/fifo", b->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	link_to(b, "escape", "../outside");
	link_to(b, "absolute", "/etc/passwd");
	link_to(b, "up", "..");
	link_to(b, "loop", "loop");
	link_to(b, "device", "/dev/zero");
	b->r = tftp_root_open(b->root, &err);
	if (!b->r)
		fail_msg("%s", err.text);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "root/sub/file", "root/file", "root/..odd", "root/fifo", "root/escape", "root/absolute",
					     "root/up", "root/loop", "root/device", "outside" };
	struct bench *b = *state;
	char path[300];

	tftp_root_close(b->r);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->top, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/root/sub", b->top);
	rmdir(path);
	rmdir(b->root);
	assert_int_equal(rmdir(b->top), 0);
	free(b);
	return 0;
}

static int open_name(struct bench *b, const char *name, char *text, size_t room)
{
	uint64_t size;
	ssize_t n;
	int fd = tftp_root_files.open(b->r, name, &size);

	if (fd < 0)
		return fd;
	n = tftp_root_files.read(b->r, fd, 0, text, room - 1);
	tftp_root_files.close(b->r, fd);
	assert_int_equal(n, (ssize_t)size);
	text[n] = '\0';
	return 0;
}

static void names_beneath_the_folder_are_served(void **state)
{
	struct bench *b = *state;
	char text[20];

	for (int walk = 0; walk < 2; walk++) {
		tftp_root_walk(b->r, walk);
		assert_int_equal(open_name(b, "file", text, sizeof(text)), 0);
		assert_string_equal(text, "inside");
		assert_int_equal(open_name(b, "/file", text, sizeof(text)), 0);
		assert_int_equal(open_name(b, "//sub//file", text, sizeof(text)), 0);
		assert_string_equal(text, "deeper");
		assert_int_equal(open_name(b, "./file", text, sizeof(text)), 0);
		assert_int_equal(open_name(b, "..odd", text, sizeof(text)), 0);
		assert_int_equal(open_name(b, "missing", text, sizeof(text)), -ENOENT);
	}
}

static void nothing_outside_and_nothing_odd_is(void **state)
{
	static const char *const names[] = { "../outside", "..", ".", "", "/", "sub", "sub/", "sub/..", "sub/../../outside",
					     "/../outside", "escape", "absolute", "up/outside", "loop", "fifo", "device", "..\\outside",
					     "C:outside", "file/", "file/x", "sub/../../../../../../etc/passwd" };
	struct bench *b = *state;
	char text[2000], longer[600];

	memset(longer, 'x', sizeof(longer));
	longer[599] = '\0';
	for (int walk = 0; walk < 2; walk++) {
		tftp_root_walk(b->r, walk);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			assert_true(open_name(b, names[i], text, sizeof(text)) < 0);
		assert_true(open_name(b, longer, text, sizeof(text)) < 0);
	}
}

static void a_folder_that_is_none_is_refused(void **state)
{
	struct bench *b = *state;
	char path[300], expected[400];
	struct err err;

	snprintf(path, sizeof(path), "%s/file", b->root);
	assert_null(tftp_root_open(path, &err));
	snprintf(expected, sizeof(expected), "tftp folder '%s': Not a directory", path);
	assert_string_equal(err.text, expected);
	assert_null(tftp_root_open("/nowhere/at/all", &err));
	assert_string_equal(err.text, "tftp folder '/nowhere/at/all': No such file or directory");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_beneath_the_folder_are_served),
		TEST(nothing_outside_and_nothing_odd_is),
		TEST(a_folder_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
