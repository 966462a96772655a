/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

static char path[] = "/tmp/tenbox-test-log-XXXXXX";

static int open_log(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	return log_open(path);
}

static int remove_log(void **state)
{
	(void)state;
	return unlink(path);
}

static int lines_with(const char *text)
{
	char line[2048];
	FILE *f = fopen(path, "r");
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

static void items_are_parsed_and_the_first_unknown_is_shown(void **state)
{
	const char *bad = NULL;
	unsigned mask = 0;

	(void)state;
	assert_true(log_parse("int,guest_errors", &mask, &bad));
	assert_int_equal(mask, LOG_INT | LOG_GUEST_ERRORS);
	assert_true(log_parse("", &mask, &bad));
	assert_int_equal(mask, 0);
	assert_false(log_parse("int,frob,cpu", &mask, &bad));
	assert_int_equal(strncmp(bad, "frob", 4), 0);
	assert_false(log_parse("in", &mask, &bad));             /* the beginning of a name is none */
}

static void only_items_that_are_on_are_written(void **state)
{
	(void)state;
	log_mask = LOG_INT;
	log_line(LOG_INT, "wanted %d", 1);
	log_line(LOG_CPU, "unwanted %d", 1);
	assert_int_equal(lines_with("unwanted"), 0);
	assert_int_equal(lines_with("wanted 1"), 1);
}

static void a_guest_in_a_loop_cannot_fill_the_log(void **state)
{
	(void)state;
	log_mask = LOG_GUEST_ERRORS;
	for (int i = 0; i < 100000; i++)
		log_guest("chip", "register %d", i);
	assert_true(lines_with("chip: register") >= 10);
	assert_true(lines_with("chip: register") <= 100);
	for (int i = 0; i < 10; i++)
		log_guest("other", "line %d", i);               /* another place has its own limit */
	assert_int_equal(lines_with("other: line"), 10);
}

static void a_target_that_cannot_be_opened_leaves_the_old_one(void **state)
{
	(void)state;
	log_mask = LOG_INT;
	assert_int_equal(log_open("/nowhere/at/all"), -ENOENT);
	log_line(LOG_INT, "still here");
	assert_int_equal(lines_with("still here"), 1);
}

static void a_line_too_long_is_cut_not_overrun(void **state)
{
	static char text[5000];

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	log_mask = LOG_INT;
	log_line(LOG_INT, "long %s", text);
	assert_int_equal(lines_with("long yyyy"), 1);
}

static void errors_carry_errno_and_prefixes_within_their_size(void **state)
{
	struct err e;
	static char text[1000];

	(void)state;
	assert_false(err_errno(&e, ENOENT, "open %s", "x"));
	assert_string_equal(e.text, "open x: No such file or directory");
	err_prefix(&e, "-hda %s", "x");
	assert_string_equal(e.text, "-hda x: open x: No such file or directory");
	memset(text, 'z', sizeof(text) - 1);
	assert_false(err_set(&e, "%s", text));
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_false(err_errno(&e, ENOENT, "%s", text));
	err_prefix(&e, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_false(err_set(NULL, "nobody asked"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_are_parsed_and_the_first_unknown_is_shown),
		cmocka_unit_test(only_items_that_are_on_are_written),
		cmocka_unit_test(a_guest_in_a_loop_cannot_fill_the_log),
		cmocka_unit_test(a_target_that_cannot_be_opened_leaves_the_old_one),
		cmocka_unit_test(a_line_too_long_is_cut_not_overrun),
		cmocka_unit_test(errors_carry_errno_and_prefixes_within_their_size),
	};

	return cmocka_run_group_tests(tests, open_log, remove_log);
}
