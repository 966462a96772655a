/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/i8042.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"

struct bench {
	struct fake_clock clock;
	struct fake_irq irq_kbd, irq_mouse, a20, reset;
	struct bus *ports;
	struct state_list *states;
	struct i8042 *kbc;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_clock_init(&b->clock);
	b->ports = bus_new(BUS_PORTS);
	b->states = state_list_new();
	b->kbc = i8042_new(&(struct i8042_config){
		.ports = b->ports, .irq_kbd = fake_irq_line(&b->irq_kbd), .irq_mouse = fake_irq_line(&b->irq_mouse),
		.a20 = fake_irq_line(&b->a20), .reset = fake_irq_line(&b->reset), .clock = b->clock.clock,
		.states = b->states });
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	i8042_free(b->kbc);
	state_list_free(b->states);
	bus_free(b->ports);
	fake_clock_free(&b->clock);
	free(b);
	return 0;
}

static unsigned in(struct bench *b, unsigned port)
{
	return (unsigned)bus_read(b->ports, port, 1);
}

static void out(struct bench *b, unsigned port, unsigned value)
{
	bus_write(b->ports, port, value, 1);
}

/* Wait as a driver does; the byte, with 0x100 if it came from the mouse's side. */
static unsigned take(struct bench *b)
{
	for (int i = 0; i < 100; i++) {
		unsigned status = in(b, 0x64);

		if (status & 1)
			return in(b, 0x60) | (status & 0x20 ? 0x100 : 0);
		fake_clock_advance(&b->clock, US(10));
	}
	return 0x1000;
}

static void press(struct bench *b, const char *name, bool down)
{
	ps2_kbd_key(i8042_keyboard(b->kbc), keyboard_key_by_name(name), down);
}

static void self_tests_pass(void **state)
{
	struct bench *b = *state;

	out(b, 0x64, 0xaa);
	assert_int_equal(take(b), 0x55);
	out(b, 0x64, 0xab);
	assert_int_equal(take(b), 0x00);
	out(b, 0x64, 0xa9);
	assert_int_equal(take(b), 0x00);
	assert_int_equal(in(b, 0x64), 0x1c);    /* last was a command, system flag, not locked */
	out(b, 0x64, 0x20);
	assert_int_equal(take(b), 0x47);
	out(b, 0x64, 0x60);
	out(b, 0x60, 0x65);
	assert_int_equal(in(b, 0x64), 0x14);
	out(b, 0x64, 0x20);
	assert_int_equal(take(b), 0x65);
	out(b, 0x64, 0x71);
	out(b, 0x60, 0x99);
	out(b, 0x64, 0x31);
	assert_int_equal(take(b), 0x99);
}

static void keys_arrive_translated_with_an_interrupt_each(void **state)
{
	struct bench *b = *state;

	press(b, "a", true);
	assert_true(b->irq_kbd.level);
	assert_int_equal(in(b, 0x64) & 0x21, 0x01);
	press(b, "a", false);
	press(b, "up", true);
	press(b, "up", false);
	assert_int_equal(in(b, 0x60), 0x1e);
	assert_false(b->irq_kbd.level);
	assert_int_equal(in(b, 0x60), 0x1e);    /* a second reader in the chain sees the same */
	assert_int_equal(take(b), 0x9e);
	assert_int_equal(take(b), 0xe0);
	assert_int_equal(take(b), 0x48);
	assert_int_equal(take(b), 0xe0);
	assert_int_equal(take(b), 0xc8);
	assert_int_equal(take(b), 0x1000);
	assert_int_equal(b->irq_kbd.rises, 6);
	press(b, "f7", true);
	assert_int_equal(take(b), 0x41);
}

static void every_key_of_set_2_translates_to_its_set_1_code(void **state)
{
	struct bench *b = *state;

	for (unsigned key = KEY_SYSRQ + 1; keyboard_key(key); key++) {
		const struct keyboard_key *k = keyboard_key(key);

		ps2_kbd_key(i8042_keyboard(b->kbc), key, true);
		if (k->extended)
			assert_int_equal(take(b), 0xe0);
		assert_int_equal(take(b), k->set1);
		ps2_kbd_key(i8042_keyboard(b->kbc), key, false);
		if (k->extended)
			assert_int_equal(take(b), 0xe0);
		assert_int_equal(take(b), k->set1 | 0x80);
	}
}

static void without_translation_codes_pass(void **state)
{
	struct bench *b = *state;

	out(b, 0x64, 0x60);
	out(b, 0x60, 0x03);
	press(b, "a", true);
	press(b, "a", false);
	assert_int_equal(take(b), 0x1c);
	assert_int_equal(take(b), 0xf0);
	assert_int_equal(take(b), 0x1c);
}

static void the_keyboard_identifies_itself_through_the_controller(void **state)
{
	struct bench *b = *state;

	out(b, 0x60, 0xf2);
	assert_int_equal(take(b), 0xfa);
	assert_int_equal(take(b), 0xab);
	assert_int_equal(take(b), 0x41);        /* 83 translated: what Linux and BIOSes expect */
	out(b, 0x60, 0xff);
	assert_int_equal(take(b), 0xfa);
	assert_int_equal(take(b), 0xaa);
	out(b, 0x60, 0xed);
	assert_int_equal(take(b), 0xfa);
	out(b, 0x60, 0x02);
	assert_int_equal(take(b), 0xfa);
	assert_int_equal(ps2_kbd_leds(i8042_keyboard(b->kbc)), 2);
}

static void a_held_clock_keeps_bytes_in_the_device(void **state)
{
	struct bench *b = *state;

	out(b, 0x64, 0xad);
	press(b, "a", true);
	assert_int_equal(take(b), 0x1000);
	out(b, 0x64, 0x20);
	assert_int_equal(take(b), 0x57);
	out(b, 0x64, 0xae);
	assert_int_equal(take(b), 0x1e);
	out(b, 0x64, 0xa7);
	out(b, 0x64, 0x20);
	assert_int_equal(take(b), 0x67);
	out(b, 0x64, 0xd4);                     /* speaking to the mouse enables its line */
	out(b, 0x60, 0xf4);
	assert_int_equal(take(b), 0x1fa);
}

static void the_mouse_is_on_irq_12(void **state)
{
	struct bench *b = *state;

	out(b, 0x64, 0xd4);
	out(b, 0x60, 0xf4);
	assert_true(b->irq_mouse.level);
	assert_false(b->irq_kbd.level);
	assert_int_equal(take(b), 0x1fa);
	assert_false(b->irq_mouse.level);
	ps2_mouse_move(i8042_mouse(b->kbc), 1, 0, 0);
	assert_int_equal(take(b), 0x108);
	assert_int_equal(take(b), 0x101);
	assert_int_equal(take(b), 0x100);
	out(b, 0x64, 0x60);
	out(b, 0x60, 0x45);
	ps2_mouse_move(i8042_mouse(b->kbc), 1, 0, 0);
	fake_clock_advance(&b->clock, MS(1));
	assert_false(b->irq_mouse.level);
	assert_int_equal(in(b, 0x64) & 0x21, 0x21);
}

static void linux_probe_of_the_auxiliary_port_succeeds(void **state)
{
	struct bench *b = *state;

	out(b, 0x64, 0xd3);                     /* loop test */
	out(b, 0x60, 0x5a);
	assert_int_equal(take(b), 0x15a);
	out(b, 0x64, 0xa8);
	out(b, 0x64, 0x20);
	assert_int_equal(take(b) & 0x20, 0);
	out(b, 0x64, 0xa7);
	out(b, 0x64, 0x20);
	assert_int_equal(take(b) & 0x20, 0x20);
	out(b, 0x64, 0xd3);                     /* no multiplexer: what is written comes back */
	out(b, 0x60, 0xf0);
	assert_int_equal(take(b), 0x1f0);
	out(b, 0x64, 0xd3);
	out(b, 0x60, 0xa4);
	assert_int_equal(take(b), 0x1a4);
	b->irq_mouse.rises = 0;
	out(b, 0x64, 0xd3);
	out(b, 0x60, 0xa5);
	assert_int_equal(b->irq_mouse.rises, 1);
	assert_int_equal(take(b), 0x1a5);
	out(b, 0x64, 0xd2);
	out(b, 0x60, 0x12);
	assert_int_equal(take(b), 0x012);
}

static void a20_and_reset_are_driven(void **state)
{
	struct bench *b = *state;

	assert_true(b->a20.level);
	out(b, 0x64, 0xd0);
	assert_int_equal(take(b) & 3, 3);
	out(b, 0x64, 0xd1);
	out(b, 0x60, 0xdd);
	assert_false(b->a20.level);
	out(b, 0x64, 0xd0);
	assert_int_equal(take(b) & 3, 1);
	out(b, 0x64, 0xdf);
	assert_true(b->a20.level);
	out(b, 0x64, 0xdd);
	assert_false(b->a20.level);
	assert_int_equal(b->reset.rises, 0);
	out(b, 0x64, 0xff);                     /* pulses nothing */
	assert_int_equal(b->reset.rises, 0);
	out(b, 0x64, 0xfe);
	assert_int_equal(b->reset.rises, 1);
	assert_false(b->reset.level);
	out(b, 0x64, 0xd1);
	out(b, 0x60, 0xde);
	assert_int_equal(b->reset.rises, 2);
	state_reset_all(b->states);
	assert_true(b->a20.level);
}

static void random_stores_keep_it_alive(void **state)
{
	struct bench *b = *state;
	uint32_t x = 31;

	for (int i = 0; i < 300000; i++) {
		x = x * 1664525 + 1013904223;
		if (x & 0x80000000)
			out(b, x & 0x100 ? 0x60 : 0x64, x >> 16 & 0xff);
		else
			in(b, x & 0x100 ? 0x60 : 0x64);
		if (x % 16 == 1)
			ps2_kbd_key(i8042_keyboard(b->kbc), x >> 16 & 0x7f, x & 0x200);
		else if (x % 16 == 2)
			ps2_mouse_move(i8042_mouse(b->kbc), (int)(x >> 8 & 255) - 128, 3, 0);
		else if (x % 16 == 3)
			fake_clock_advance(&b->clock, US(x >> 16 & 255));
	}
	state_reset_all(b->states);
	out(b, 0x64, 0xaa);
	assert_int_equal(take(b), 0x55);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(self_tests_pass),
		TEST(keys_arrive_translated_with_an_interrupt_each),
		TEST(every_key_of_set_2_translates_to_its_set_1_code),
		TEST(without_translation_codes_pass),
		TEST(the_keyboard_identifies_itself_through_the_controller),
		TEST(a_held_clock_keeps_bytes_in_the_device),
		TEST(the_mouse_is_on_irq_12),
		TEST(linux_probe_of_the_auxiliary_port_succeeds),
		TEST(a20_and_reset_are_driven),
		TEST(random_stores_keep_it_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
