/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/aml.h"

#define EXPECT(a, ...) do { \
	static const uint8_t want_[] = { __VA_ARGS__ }; \
	assert_int_equal((a)->len, sizeof(want_)); \
	assert_memory_equal((a)->bytes, want_, sizeof(want_)); \
	aml_free(a); \
} while (0)

static void integers_take_the_shortest_form(void **state)
{
	struct aml a = { 0 };

	(void)state;
	aml_int(&a, 0);
	aml_int(&a, 1);
	aml_int(&a, 2);
	aml_int(&a, 0x100);
	aml_int(&a, 0x10000);
	aml_int(&a, 0x100000000);
	EXPECT(&a, 0x00, 0x01, 0x0a, 2, 0x0b, 0, 1, 0x0c, 0, 0, 1, 0, 0x0e, 0, 0, 0, 0, 1, 0, 0, 0);
}

static void paths_are_padded_and_prefixed(void **state)
{
	struct aml a = { 0 };

	(void)state;
	aml_path(&a, "\\_SB");
	aml_path(&a, "ISA.PRQ0");
	aml_path(&a, "\\A.B.C");
	EXPECT(&a, '\\', '_', 'S', 'B', '_', 0x2e, 'I', 'S', 'A', '_', 'P', 'R', 'Q', '0',
	       '\\', 0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_');
}

static void eisa_ids_are_compressed(void **state)
{
	struct aml a = { 0 };

	(void)state;
	aml_eisa_id(&a, "PNP0A03");
	EXPECT(&a, 0x0c, 0x41, 0xd0, 0x0a, 0x03);
}

static void package_lengths_grow_with_their_contents(void **state)
{
	struct aml a = { 0 };
	uint8_t filler[5000] = { 0 };

	(void)state;
	aml_package(&a, 1);
	aml_int(&a, 5);
	aml_end(&a);
	EXPECT(&a, 0x12, 4, 1, 0x0a, 5);
	aml_scope(&a, "X");
	aml_bytes(&a, filler, 58);              /* 62 bytes of contents and one of length */
	aml_end(&a);
	assert_int_equal(a.bytes[1], 63);
	aml_free(&a);
	aml_scope(&a, "X");
	aml_bytes(&a, filler, 59);
	aml_end(&a);
	assert_int_equal(a.bytes[1], 0x40 | (65 & 15));
	assert_int_equal(a.bytes[2], 65 >> 4);
	assert_int_equal(a.len, 66);
	aml_free(&a);
	aml_scope(&a, "X");
	aml_bytes(&a, filler, 5000);
	aml_end(&a);
	assert_int_equal(a.bytes[1], 0x80 | (5007 & 15));
	assert_int_equal(a.bytes[2], 5007 >> 4 & 0xff);
	assert_int_equal(a.bytes[3], 5007 >> 12);
	assert_int_equal(a.bytes[4], 'X');
	aml_free(&a);
}

static void resource_templates_know_their_size(void **state)
{
	struct aml a = { 0 };

	(void)state;
	aml_resources(&a);
	aml_res_io(&a, 0x60, 1);
	aml_res_irq(&a, 1);
	aml_resources_end(&a);
	EXPECT(&a, 0x11, 17, 0x0b, 13, 0, 0x47, 1, 0x60, 0, 0x60, 0, 1, 1, 0x22, 2, 0, 0x79, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_take_the_shortest_form),
		cmocka_unit_test(paths_are_padded_and_prefixed),
		cmocka_unit_test(eisa_ids_are_compressed),
		cmocka_unit_test(package_lengths_grow_with_their_contents),
		cmocka_unit_test(resource_templates_know_their_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
