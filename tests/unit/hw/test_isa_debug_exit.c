/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/isa_debug_exit.h"

static int last, calls;

static void on_exit_asked(void *owner, int status)
{
	(void)owner;
	last = status;
	calls++;
}

static void the_status_is_odd_and_the_first_store_counts(void **state)
{
	struct bus *io = bus_new(BUS_PORTS);
	struct isa_debug_exit *d = isa_debug_exit_new(&(struct isa_debug_exit_config){ io, 0xf4, 2, on_exit_asked, NULL }, NULL);

	(void)state;
	assert_non_null(d);
	assert_int_equal(bus_read(io, 0xf4, 1), 0);
	assert_int_equal(calls, 0);
	bus_write(io, 0xf4, 0x10, 4);           /* wider than the two ports: arrives as bytes */
	assert_int_equal(last, 0x21);
	assert_int_equal(calls, 1);
	isa_debug_exit_free(d);
	d = isa_debug_exit_new(&(struct isa_debug_exit_config){ io, 0x501, 1, on_exit_asked, NULL }, NULL);
	bus_write(io, 0x501, 0, 1);
	assert_int_equal(last, 1);
	isa_debug_exit_free(d);
	bus_free(io);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_status_is_odd_and_the_first_store_counts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
