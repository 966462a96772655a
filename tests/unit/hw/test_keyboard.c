/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/keyboard.h"

static void names_of_qemu_are_known(void **state)
{
	static const char *const names[] = {
		"shift", "shift_r", "alt", "alt_r", "ctrl", "ctrl_r", "menu", "esc", "1", "0", "minus", "equal",
		"backspace", "tab", "q", "m", "bracket_left", "bracket_right", "ret", "semicolon", "apostrophe",
		"grave_accent", "backslash", "comma", "dot", "slash", "asterisk", "spc", "caps_lock", "f1", "f12",
		"num_lock", "scroll_lock", "kp_divide", "kp_multiply", "kp_subtract", "kp_add", "kp_enter",
		"kp_decimal", "sysrq", "kp_0", "kp_9", "less", "print", "home", "pgup", "pgdn", "end", "left", "up",
		"down", "right", "insert", "delete", "pause", "meta_l", "meta_r", "compose",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_not_equal(keyboard_key_by_name(names[i]), KEY_NONE);
	assert_int_equal(keyboard_key_by_name("sysrq"), KEY_SYSRQ);
	assert_int_equal(keyboard_key_by_name("pause"), KEY_PAUSE);
	assert_int_equal(keyboard_key_by_name(""), KEY_NONE);
	assert_int_equal(keyboard_key_by_name("nosuchkey"), KEY_NONE);
}

static void no_two_keys_share_a_name_or_a_code(void **state)
{
	(void)state;
	for (unsigned i = 1; keyboard_key(i); i++)
		for (unsigned j = i + 1; keyboard_key(j); j++) {
			const struct keyboard_key *a = keyboard_key(i), *b = keyboard_key(j);

			assert_string_not_equal(a->name, b->name);
			if (i == KEY_PAUSE)
				continue;
			assert_false(a->extended == b->extended && a->set1 == b->set1);
			assert_false(a->extended == b->extended && a->set2 == b->set2);
		}
	assert_null(keyboard_key(0));
	assert_null(keyboard_key(100000));
}

static void codes_lead_back_to_keys(void **state)
{
	(void)state;
	assert_int_equal(keyboard_key_by_code(0x1c), keyboard_key_by_name("ret"));
	assert_int_equal(keyboard_key_by_code(0x9c), keyboard_key_by_name("kp_enter"));
	assert_int_equal(keyboard_key_by_code(0x45), keyboard_key_by_name("num_lock"));
	assert_int_equal(keyboard_key_by_code(0), KEY_NONE);
	assert_int_equal(keyboard_key_by_code(0x1000), KEY_NONE);
}

static void characters_are_typed_on_a_us_keyboard(void **state)
{
	bool shift;

	(void)state;
	assert_int_equal(keyboard_key_by_char('a', &shift), keyboard_key_by_name("a"));
	assert_false(shift);
	assert_int_equal(keyboard_key_by_char('Z', &shift), keyboard_key_by_name("z"));
	assert_true(shift);
	assert_int_equal(keyboard_key_by_char('|', &shift), keyboard_key_by_name("backslash"));
	assert_true(shift);
	assert_int_equal(keyboard_key_by_char('\n', &shift), keyboard_key_by_name("ret"));
	for (int c = 32; c < 127; c++)
		assert_int_not_equal(keyboard_key_by_char((char)c, &shift), KEY_NONE);
	assert_int_equal(keyboard_key_by_char(0, &shift), KEY_NONE);
	assert_int_equal(keyboard_key_by_char((char)0xe9, &shift), KEY_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_qemu_are_known),
		cmocka_unit_test(no_two_keys_share_a_name_or_a_code),
		cmocka_unit_test(codes_lead_back_to_keys),
		cmocka_unit_test(characters_are_typed_on_a_us_keyboard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
