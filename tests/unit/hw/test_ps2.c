/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/ps2.h"
#include "tests/fake/fake_clock.h"

struct bench {
	struct fake_clock clock;
	struct state_list *states;
	struct ps2_kbd *kbd;
	struct ps2_mouse *mouse;
	int ready;
};

static void ready(void *owner)
{
	struct bench *b = owner;

	b->ready++;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct ps2_config config = { .ready = ready, .owner = b };

	fake_clock_init(&b->clock);
	b->states = state_list_new();
	config.clock = b->clock.clock;
	config.states = b->states;
	b->kbd = ps2_kbd_new(&config);
	b->mouse = ps2_mouse_new(&config);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	ps2_kbd_free(b->kbd);
	ps2_mouse_free(b->mouse);
	state_list_free(b->states);
	fake_clock_free(&b->clock);
	free(b);
	return 0;
}

/* Everything that the device has to say is exactly these bytes. */
static void expect(struct bench *b, bool mouse, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(mouse ? ps2_mouse_read(b->mouse) : ps2_kbd_read(b->kbd), (uint8_t)bytes[i]);
	assert_int_equal(mouse ? ps2_mouse_read(b->mouse) : ps2_kbd_read(b->kbd), -1);
}

#define EXPECT_KBD(bytes) expect(b, false, bytes, sizeof(bytes) - 1)
#define EXPECT_MOUSE(bytes) expect(b, true, bytes, sizeof(bytes) - 1)

static void kbd(struct bench *b, uint8_t byte)
{
	ps2_kbd_write(b->kbd, byte);
}

static void mouse(struct bench *b, uint8_t byte)
{
	ps2_mouse_write(b->mouse, byte);
}

static void press(struct bench *b, const char *name, bool down)
{
	ps2_kbd_key(b->kbd, keyboard_key_by_name(name), down);
}

static void keyboard_commands_are_answered(void **state)
{
	struct bench *b = *state;

	kbd(b, 0xff);
	EXPECT_KBD("\xfa\xaa");
	kbd(b, 0xf2);
	EXPECT_KBD("\xfa\xab\x83");
	kbd(b, 0xee);
	EXPECT_KBD("\xee");
	kbd(b, 0xed);
	EXPECT_KBD("\xfa");
	kbd(b, 0x06);
	EXPECT_KBD("\xfa");
	assert_int_equal(ps2_kbd_leds(b->kbd), 6);
	kbd(b, 0xf0);
	EXPECT_KBD("\xfa");
	kbd(b, 0x00);
	EXPECT_KBD("\xfa\x02");
	kbd(b, 0xfe);
	EXPECT_KBD("\x02");
	kbd(b, 0x01);
	EXPECT_KBD("\xfe");
	kbd(b, 0xed);
	kbd(b, 0xf4);                           /* a command where an argument was due */
	EXPECT_KBD("\xfa");
	assert_true(b->ready > 0);
}

static void keys_send_set_2_codes(void **state)
{
	struct bench *b = *state;

	press(b, "a", true);
	press(b, "a", false);
	EXPECT_KBD("\x1c\xf0\x1c");
	press(b, "up", true);
	press(b, "up", false);
	EXPECT_KBD("\xe0\x75\xe0\xf0\x75");
	press(b, "pause", true);
	press(b, "pause", false);
	EXPECT_KBD("\xe1\x14\x77\xe1\xf0\x14\xf0\x77");
	press(b, "print", true);
	press(b, "print", false);
	EXPECT_KBD("\xe0\x12\xe0\x7c\xe0\xf0\x7c\xe0\xf0\x12");
	press(b, "alt", true);
	press(b, "sysrq", true);
	press(b, "sysrq", false);
	press(b, "alt", false);
	EXPECT_KBD("\x11\x84\xf0\x84\xf0\x11");
	press(b, "z", false);                   /* was not down */
	EXPECT_KBD("");
}

static void sets_1_and_3_can_be_chosen(void **state)
{
	struct bench *b = *state;

	kbd(b, 0xf0);
	kbd(b, 1);
	EXPECT_KBD("\xfa");
	press(b, "a", true);
	press(b, "a", false);
	press(b, "delete", true);
	press(b, "delete", false);
	EXPECT_KBD("\x1e\x9e\xe0\x53\xe0\xd3");
	kbd(b, 0xf0);
	kbd(b, 3);
	EXPECT_KBD("\xfa");
	press(b, "ctrl_r", true);
	press(b, "ctrl_r", false);
	EXPECT_KBD("\x58\xf0\x58");
	kbd(b, 0xf9);
	EXPECT_KBD("\xfa");
	press(b, "a", true);
	press(b, "a", false);
	EXPECT_KBD("\x1c");
	kbd(b, 0xfc);
	kbd(b, 0x1c);
	EXPECT_KBD("\xfa");
	kbd(b, 0xf4);
	EXPECT_KBD("\xfa");
	press(b, "a", true);
	press(b, "a", false);
	EXPECT_KBD("\x1c\xf0\x1c");
}

static void a_held_key_repeats_at_the_rate_that_was_set(void **state)
{
	struct bench *b = *state;
	int n = 0;

	kbd(b, 0xf3);
	kbd(b, 0x00);                           /* 250 ms, 30 a second */
	EXPECT_KBD("\xfa");
	press(b, "x", true);
	EXPECT_KBD("\x22");
	fake_clock_advance(&b->clock, MS(240));
	EXPECT_KBD("");
	for (int i = 0; i < 100; i++) {
		fake_clock_advance(&b->clock, MS(10));
		while (ps2_kbd_read(b->kbd) >= 0)
			n++;
	}
	assert_in_range(n, 28, 31);
	press(b, "x", false);
	EXPECT_KBD("\xf0\x22");
	fake_clock_advance(&b->clock, S(2));
	EXPECT_KBD("");
}

static void a_keyboard_that_nobody_reads_drops_keys_whole(void **state)
{
	struct bench *b = *state;
	bool taken = true;
	int n = 0;

	while (taken && n < 1000) {
		taken = ps2_kbd_key(b->kbd, keyboard_key_by_name("up"), n % 2 == 0);
		n++;
	}
	assert_in_range(n, 10, 60);
	fake_clock_advance(&b->clock, S(10));
	for (int i = 0; i < 64; i++)
		ps2_kbd_read(b->kbd);
	assert_int_equal(ps2_kbd_read(b->kbd), -1);
}

static void a_disabled_keyboard_is_silent_but_answers(void **state)
{
	struct bench *b = *state;

	kbd(b, 0xf5);
	EXPECT_KBD("\xfa");
	press(b, "a", true);
	press(b, "a", false);
	EXPECT_KBD("");
	kbd(b, 0xf4);
	press(b, "b", true);
	EXPECT_KBD("\xfa\x32");
}

static void the_mouse_tells_motion_and_buttons(void **state)
{
	struct bench *b = *state;

	ps2_mouse_move(b->mouse, 5, 5, 0);      /* before it is enabled */
	EXPECT_MOUSE("");
	mouse(b, 0xff);
	EXPECT_MOUSE("\xfa\xaa\x00");
	mouse(b, 0xf4);
	EXPECT_MOUSE("\xfa");
	ps2_mouse_move(b->mouse, 3, -2, 0);
	EXPECT_MOUSE("\x08\x03\x02");
	ps2_mouse_move(b->mouse, -3, 2, 0);
	EXPECT_MOUSE("\x38\xfd\xfe");
	ps2_mouse_buttons(b->mouse, PS2_LEFT | PS2_MIDDLE);
	EXPECT_MOUSE("\x0d\x00\x00");
	ps2_mouse_buttons(b->mouse, 0);
	EXPECT_MOUSE("\x08\x00\x00");
	ps2_mouse_move(b->mouse, 300, 0, 0);    /* more than a packet holds */
	EXPECT_MOUSE("\x08\xff\x00\x08\x2d\x00");
}

static void wheel_and_side_buttons_come_after_the_knock(void **state)
{
	struct bench *b = *state;
	static const uint8_t knock[] = { 0xf3, 200, 0xf3, 100, 0xf3, 80 };
	static const uint8_t knock2[] = { 0xf3, 200, 0xf3, 200, 0xf3, 80 };

	for (size_t i = 0; i < sizeof(knock); i++)
		mouse(b, knock[i]);
	mouse(b, 0xf2);
	EXPECT_MOUSE("\xfa\x03");
	mouse(b, 0xf4);
	EXPECT_MOUSE("\xfa");
	ps2_mouse_move(b->mouse, 0, 0, -1);
	EXPECT_MOUSE("\x08\x00\x00\xff");
	for (size_t i = 0; i < sizeof(knock2); i++)
		mouse(b, knock2[i]);
	mouse(b, 0xf2);
	EXPECT_MOUSE("\xfa\x04");
	ps2_mouse_buttons(b->mouse, PS2_SIDE);
	EXPECT_MOUSE("\x08\x00\x00\x10");
	ps2_mouse_buttons(b->mouse, PS2_EXTRA);
	ps2_mouse_move(b->mouse, 0, 0, 1);
	EXPECT_MOUSE("\x08\x00\x00\x20\x08\x00\x00\x21");
	mouse(b, 0xff);
	EXPECT_MOUSE("\xfa\xaa\x00");
}

static void mouse_modes_and_status(void **state)
{
	struct bench *b = *state;

	mouse(b, 0xe8);
	mouse(b, 3);
	mouse(b, 0xe7);
	mouse(b, 0xf3);
	mouse(b, 40);
	EXPECT_MOUSE("\xfa");
	mouse(b, 0xe9);
	EXPECT_MOUSE("\xfa\x10\x03\x28");
	mouse(b, 0xf0);
	EXPECT_MOUSE("\xfa");
	ps2_mouse_move(b->mouse, 7, 0, 0);
	EXPECT_MOUSE("");
	mouse(b, 0xeb);
	EXPECT_MOUSE("\xfa\x08\x07\x00");
	mouse(b, 0xee);
	EXPECT_MOUSE("\xfa");
	mouse(b, 0x55);
	EXPECT_MOUSE("\x55");
	mouse(b, 0xec);
	EXPECT_MOUSE("\xfa");
	mouse(b, 0xea);
	mouse(b, 0xf4);
	EXPECT_MOUSE("\xfa");
	ps2_mouse_move(b->mouse, 3, 5, 0);      /* 2:1 scaling: 3 is 3, 5 is 9 */
	EXPECT_MOUSE("\x28\x03\xf7");
	mouse(b, 0x13);
	EXPECT_MOUSE("\xfe");
}

static void extreme_motion_does_not_overflow(void **state)
{
	struct bench *b = *state;
	int n = 0;

	mouse(b, 0xf4);
	for (int i = 0; i < 10000; i++)
		ps2_mouse_move(b->mouse, INT32_MAX, INT32_MIN, INT32_MIN);
	while (ps2_mouse_read(b->mouse) >= 0 && n < 100000)
		n++;
	assert_in_range(n, 3, 99999);
}

static void random_commands_keep_both_alive(void **state)
{
	struct bench *b = *state;
	uint32_t x = 7;

	for (int i = 0; i < 200000; i++) {
		x = x * 1664525 + 1013904223;
		switch (x >> 29) {
		case 0:
			kbd(b, x >> 16 & 0xff);
			break;
		case 1:
			kbd(b, (x >> 16 & 0x1f) | 0xe0);
			break;
		case 2:
			mouse(b, x >> 16 & 0xff);
			break;
		case 3:
			mouse(b, (x >> 16 & 0x1f) | 0xe0);
			break;
		case 4:
			ps2_kbd_key(b->kbd, x >> 16 & 0x7f, x & 0x100);
			break;
		case 5:
			ps2_mouse_move(b->mouse, (int)(x >> 8 & 0xff) - 128, (int)(x >> 16 & 0xff) - 128,
				       (int)(x & 7) - 4);
			ps2_mouse_buttons(b->mouse, x >> 12);
			break;
		default:
			ps2_kbd_read(b->kbd);
			ps2_mouse_read(b->mouse);
			fake_clock_advance(&b->clock, US(x >> 16 & 1023));
		}
	}
	state_reset_all(b->states);
	kbd(b, 0xff);
	EXPECT_KBD("\xfa\xaa");
	mouse(b, 0xff);
	EXPECT_MOUSE("\xfa\xaa\x00");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keyboard_commands_are_answered),
		TEST(keys_send_set_2_codes),
		TEST(sets_1_and_3_can_be_chosen),
		TEST(a_held_key_repeats_at_the_rate_that_was_set),
		TEST(a_keyboard_that_nobody_reads_drops_keys_whole),
		TEST(a_disabled_keyboard_is_silent_but_answers),
		TEST(the_mouse_tells_motion_and_buttons),
		TEST(wheel_and_side_buttons_come_after_the_knock),
		TEST(mouse_modes_and_status),
		TEST(extreme_motion_does_not_overflow),
		TEST(random_commands_keep_both_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
