/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/nic/filter.h"

static void the_crc_gives_the_hashes_that_drivers_compute(void **state)
{
	static const uint8_t all_hosts[6] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
	uint32_t reflected = UINT32_MAX;

	(void)state;
	/* the same CRC computed least bit first with the reflected polynomial */
	for (unsigned i = 0; i < 6; i++) {
		reflected ^= all_hosts[i];
		for (unsigned bit = 0; bit < 8; bit++)
			reflected = reflected >> 1 ^ (reflected & 1 ? 0xedb88320 : 0);
	}
	assert_int_equal(filter_crc_le(all_hosts), reflected);
	assert_int_equal(filter_crc(all_hosts) >> 26, 0x1f);
	assert_int_equal(filter_crc(broadcast) >> 26, 0x3f);
}

static void a_table_knows_its_addresses(void **state)
{
	struct filter_table t = { .count = 2, .mac = { { 1, 2, 3, 4, 5, 6 }, { 6, 5, 4, 3, 2, 1 } } };

	(void)state;
	assert_true(filter_has(&t, t.mac[0]));
	assert_true(filter_has(&t, t.mac[1]));
	assert_false(filter_has(&t, (const uint8_t[]){ 1, 2, 3, 4, 5, 7 }));
	t.count = 1;
	assert_false(filter_has(&t, t.mac[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_crc_gives_the_hashes_that_drivers_compute),
		cmocka_unit_test(a_table_knows_its_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
