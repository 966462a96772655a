/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/nic/eeprom93.h"

static void bits(struct eeprom93 *e, unsigned value, int n)
{
	while (n-- > 0) {
		eeprom93_drive(e, true, false, value >> n & 1);
		eeprom93_drive(e, true, true, value >> n & 1);
	}
}

static uint16_t take(struct eeprom93 *e, int n)
{
	unsigned v = 0;

	while (n-- > 0) {
		eeprom93_drive(e, true, false, false);
		eeprom93_drive(e, true, true, false);
		v = v << 1 | eeprom93_out(e);
	}
	return (uint16_t)v;
}

static void deselect(struct eeprom93 *e)
{
	eeprom93_drive(e, false, false, false);
}

static uint16_t read_word(struct eeprom93 *e, unsigned address)
{
	uint16_t v;

	bits(e, 6 << 6 | address, 9);
	assert_false(eeprom93_out(e));          /* the dummy bit */
	v = take(e, 16);
	deselect(e);
	return v;
}

static struct eeprom93 fresh(void)
{
	struct eeprom93 e = { .word = { 0 } };

	for (int i = 0; i < EEPROM93_WORDS; i++)
		e.word[i] = (uint16_t)(0x1234 * i + 7);
	eeprom93_reset(&e);
	return e;
}

static void each_word_is_read_behind_a_dummy_zero(void **state)
{
	struct eeprom93 e = fresh();

	(void)state;
	for (unsigned i = 0; i < EEPROM93_WORDS; i++)
		assert_int_equal(read_word(&e, i), (uint16_t)(0x1234 * i + 7));
}

static void reading_on_gives_the_next_word(void **state)
{
	struct eeprom93 e = fresh();

	(void)state;
	bits(&e, 6 << 6 | 63, 9);
	assert_int_equal(take(&e, 16), e.word[63]);
	assert_int_equal(take(&e, 16), e.word[0]);
}

static void leading_zeros_are_no_start_bit(void **state)
{
	struct eeprom93 e = fresh();

	(void)state;
	bits(&e, 0, 5);
	assert_int_equal(read_word(&e, 9), e.word[9]);
}

static void writes_need_ewen_and_stop_after_ewds(void **state)
{
	struct eeprom93 e = fresh();

	(void)state;
	bits(&e, 5 << 6 | 3, 9), bits(&e, 0xbeef, 16), deselect(&e);
	assert_int_equal(read_word(&e, 3), (uint16_t)(0x1234 * 3 + 7));
	bits(&e, 4 << 6 | 0x30, 9), deselect(&e);       /* EWEN */
	bits(&e, 5 << 6 | 3, 9), bits(&e, 0xbeef, 16), deselect(&e);
	assert_int_equal(read_word(&e, 3), 0xbeef);
	bits(&e, 7 << 6 | 3, 9), deselect(&e);          /* ERASE */
	assert_int_equal(read_word(&e, 3), 0xffff);
	bits(&e, 4 << 6 | 0x00, 9), deselect(&e);       /* EWDS */
	bits(&e, 5 << 6 | 3, 9), bits(&e, 0x1111, 16), deselect(&e);
	assert_int_equal(read_word(&e, 3), 0xffff);
}

static void deselecting_in_the_middle_forgets_the_command(void **state)
{
	struct eeprom93 e = fresh();

	(void)state;
	bits(&e, 6, 3);
	deselect(&e);
	assert_int_equal(read_word(&e, 17), e.word[17]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_word_is_read_behind_a_dummy_zero),
		cmocka_unit_test(reading_on_gives_the_next_word),
		cmocka_unit_test(leading_zeros_are_no_start_bit),
		cmocka_unit_test(writes_need_ewen_and_stop_after_ewds),
		cmocka_unit_test(deselecting_in_the_middle_forgets_the_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
