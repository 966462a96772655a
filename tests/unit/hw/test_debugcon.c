/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/debugcon.h"

static char said[16];
static size_t said_len;

static size_t take(struct chardev *c, const void *buf, size_t len)
{
	(void)c;
	if (said_len + len > sizeof(said))
		return 0;
	memcpy(said + said_len, buf, len);
	said_len += len;
	return len;
}

static void bytes_come_out_and_firmware_finds_the_port(void **state)
{
	struct bus *io = bus_new(BUS_PORTS);
	struct chardev c = { .write = take };
	struct debugcon *d = debugcon_new(&(struct debugcon_config){ io, 0x402, &c }, NULL);
	struct err e;

	(void)state;
	assert_non_null(d);
	assert_int_equal(bus_read(io, 0x402, 1), 0xe9);
	for (const char *p = "hello"; *p; p++)
		bus_write(io, 0x402, (uint8_t)*p, 1);
	assert_int_equal(said_len, 5);
	assert_memory_equal(said, "hello", 5);
	for (int i = 0; i < 100; i++)
		bus_write(io, 0x402, 'x', 1);
	assert_int_equal(said_len, sizeof(said));
	assert_null(debugcon_new(&(struct debugcon_config){ io, 0x402, &c }, &e));
	assert_non_null(strstr(e.text, "0x402"));
	debugcon_free(d);
	bus_free(io);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bytes_come_out_and_firmware_finds_the_port) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
