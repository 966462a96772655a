/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checksum.h"

/* RFC 1071 section 4.1, word by word. */
static uint16_t plain(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += be16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void every_length_and_alignment_agrees_with_the_rfc(void **state)
{
	uint8_t buf[300];

	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)rand();
	for (size_t at = 0; at < 8; at++)
		for (size_t len = 0; at + len <= sizeof(buf); len++)
			assert_int_equal(checksum(buf + at, len), plain(buf + at, len));
}

static void long_runs_of_ones_do_not_overflow(void **state)
{
	static uint8_t buf[65536];

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(checksum(buf, sizeof(buf)), plain(buf, sizeof(buf)));
}

static void rfc1071_example(void **state)
{
	static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	(void)state;
	assert_int_equal(checksum_fold(checksum_add(0, data, sizeof(data))), 0xddf2);
}

static void pieces_add_up(void **state)
{
	uint8_t buf[64];
	uint64_t sum;

	(void)state;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 37);
	sum = checksum_add(checksum_add(0, buf, 20), buf + 20, 44);
	assert_int_equal((uint16_t)~checksum_fold(sum), checksum(buf, 64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_and_alignment_agrees_with_the_rfc),
		cmocka_unit_test(long_runs_of_ones_do_not_overflow),
		cmocka_unit_test(rfc1071_example),
		cmocka_unit_test(pieces_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
