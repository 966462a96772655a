/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/uart16550.h"
#include "tests/fake/fake_chardev.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"

enum { THR = 0x3f8, IER, FCR, LCR, MCR, LSR, MSR, SCR, RBR = THR, IIR = FCR };

struct bench {
	struct fake_clock clock;
	struct fake_irq irq;
	struct fake_chardev far;
	struct bus *ports;
	struct state_list *states;
	struct uart16550 *uart;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_clock_init(&b->clock);
	fake_chardev_init(&b->far);
	b->ports = bus_new(BUS_PORTS);
	b->states = state_list_new();
	b->uart = uart16550_new(&(struct uart16550_config){
		.ports = b->ports, .base = THR, .irq = fake_irq_line(&b->irq), .chardev = &b->far.chardev,
		.clock = b->clock.clock, .states = b->states });
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	uart16550_free(b->uart);
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

static void wait_batch(struct bench *b)
{
	fake_clock_advance(&b->clock, MS(1));
}

static void a_driver_finds_a_16550a(void **state)
{
	struct bench *b = *state;

	assert_int_equal(in(b, LSR), 0x60);
	assert_int_equal(in(b, IIR), 0x01);
	out(b, SCR, 0xa5);
	assert_int_equal(in(b, SCR), 0xa5);
	out(b, IER, 0xff);
	assert_int_equal(in(b, IER), 0x0f);     /* no XScale bits */
	out(b, IER, 0);
	assert_int_equal(in(b, IER), 0);
	out(b, FCR, 0x21);                      /* FIFO on, and the 16750's bit */
	assert_int_equal(in(b, IIR), 0xc1);
	out(b, LCR, 0xbf);                      /* the 16650's door to EFR */
	assert_int_not_equal(in(b, IIR), 0);
	out(b, LCR, 0x83);
	out(b, THR, 1);
	out(b, IER, 2);
	assert_int_equal(in(b, THR), 1);
	assert_int_equal(in(b, IER), 2);
	out(b, LCR, 3);
	assert_int_equal(in(b, IER), 0);
	out(b, FCR, 0);
	assert_int_equal(in(b, IIR), 0x01);
	out(b, FCR, 0xc0);                      /* without bit 0 nothing is programmed */
	out(b, FCR, 1);
	assert_int_equal(in(b, IIR), 0xc1);
}

static void sent_bytes_leave_in_one_batch(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(in(b, LSR) & 0x60, 0x60);
		out(b, THR, (uint8_t)i);
	}
	assert_int_equal(b->far.writes, 0);
	wait_batch(b);
	assert_int_equal(b->far.writes, 1);
	assert_int_equal(b->far.len, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(b->far.sent[i], (uint8_t)i);
}

static void a_host_that_takes_nothing_holds_the_transmitter(void **state)
{
	struct bench *b = *state;
	size_t n = 0;

	out(b, FCR, 1);
	b->far.room = 0;
	while ((in(b, LSR) & 0x20) && n < 100000) {
		out(b, THR, (uint8_t)n++);
		wait_batch(b);
	}
	assert_in_range(n, 4096, 5000);
	for (int i = 0; i < 15; i++)
		out(b, THR, (uint8_t)n++);      /* the FIFO's other places */
	out(b, IER, 2);
	assert_int_equal(in(b, IIR), 0xc1);
	assert_false(b->irq.level);
	b->far.room = SIZE_MAX;
	b->far.chardev.user->writable(b->far.chardev.owner);
	wait_batch(b);
	assert_int_equal(b->far.len, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(b->far.sent[i], (uint8_t)i);
	assert_true(b->irq.level);
	assert_int_equal(in(b, LSR) & 0x60, 0x60);
	assert_int_equal(in(b, IIR), 0xc2);
}

static void transmit_interrupt_is_cleared_by_reading_its_id_or_sending(void **state)
{
	struct bench *b = *state;

	out(b, IER, 2);
	assert_true(b->irq.level);
	assert_int_equal(in(b, IIR), 0x02);
	assert_false(b->irq.level);
	assert_int_equal(in(b, IIR), 0x01);
	out(b, IER, 0);
	out(b, IER, 2);                         /* enabling asserts it again: what Linux's start_tx counts on */
	assert_int_equal(in(b, IIR), 0x02);
	out(b, THR, 'x');
	assert_true(b->irq.level);
	assert_int_equal(in(b, IIR), 0x02);
}

static void a_handler_that_loops_until_nothing_is_pending_comes_to_an_end(void **state)
{
	struct bench *b = *state;
	size_t sent = 0;
	int passes = 0;

	out(b, FCR, 1);
	out(b, IER, 2);
	while (!(in(b, IIR) & 1) && passes < 2000) {
		for (int i = 0; i < 16; i++, sent++)
			out(b, THR, 'x');
		passes++;
		if (passes % 100 == 0)
			wait_batch(b);
	}
	assert_in_range(passes, 1, 511);        /* Linux: "too much work for irq4" at 512 */
	assert_false(b->irq.level);
	wait_batch(b);
	assert_true(b->irq.level);
	assert_int_equal(b->far.len, sent);
}

static void received_bytes_interrupt_at_the_trigger_level(void **state)
{
	struct bench *b = *state;

	out(b, FCR, 0x81);                      /* 8 */
	out(b, IER, 1);
	assert_int_equal(fake_chardev_type(&b->far, "1234567", 7), 7);
	assert_false(b->irq.level);
	assert_int_equal(fake_chardev_type(&b->far, "8", 1), 1);
	assert_true(b->irq.level);
	assert_int_equal(in(b, IIR), 0xc4);
	assert_int_equal(in(b, RBR), '1');
	assert_false(b->irq.level);
	for (int i = '2'; i <= '8'; i++) {
		assert_int_equal(in(b, LSR), 0x61);
		assert_int_equal(in(b, RBR), i);
	}
	assert_int_equal(in(b, LSR), 0x60);
}

static void a_few_bytes_are_reported_by_the_timeout(void **state)
{
	struct bench *b = *state;

	out(b, FCR, 0xc1);
	out(b, IER, 1);
	out(b, LCR, 0x83);
	out(b, THR, 1);                         /* 115200: 4 characters are 347 us */
	out(b, IER, 0);
	out(b, LCR, 0x03);
	fake_chardev_type(&b->far, "ab", 2);
	fake_clock_advance(&b->clock, US(300));
	assert_false(b->irq.level);
	fake_clock_advance(&b->clock, US(100));
	assert_true(b->irq.level);
	assert_int_equal(in(b, IIR), 0xcc);
	assert_int_equal(in(b, RBR), 'a');
	assert_false(b->irq.level);
	fake_clock_advance(&b->clock, US(400));
	assert_int_equal(in(b, IIR), 0xcc);
	assert_int_equal(in(b, RBR), 'b');
	fake_clock_advance(&b->clock, US(400));
	assert_false(b->irq.level);
}

static void a_full_receiver_makes_the_host_wait_and_calls_it_back(void **state)
{
	struct bench *b = *state;
	const char *text = "0123456789abcdefghij";

	out(b, FCR, 1);
	assert_int_equal(fake_chardev_type(&b->far, text, 20), 16);
	assert_int_equal(fake_chardev_type(&b->far, text, 20), 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(in(b, RBR), text[i]);
	assert_int_equal(b->far.accepts, 0);    /* not from inside the guest's read */
	assert_int_equal(in(b, LSR), 0x60);
	wait_batch(b);
	assert_int_equal(b->far.accepts, 1);
	assert_int_equal(fake_chardev_type(&b->far, text + 16, 4), 4);
	assert_int_equal(in(b, RBR), 'g');
	assert_int_equal(in(b, LSR), 0x61);
}

static void without_fifo_one_byte_fits(void **state)
{
	struct bench *b = *state;

	out(b, IER, 1);
	assert_int_equal(fake_chardev_type(&b->far, "ab", 2), 1);
	assert_true(b->irq.level);
	assert_int_equal(in(b, IIR), 0x04);
	assert_int_equal(in(b, RBR), 'a');
	assert_false(b->irq.level);
	wait_batch(b);
	assert_int_equal(b->far.accepts, 1);
}

static void loopback_joins_transmitter_receiver_and_modem_lines(void **state)
{
	struct bench *b = *state;

	assert_int_equal(in(b, MSR), 0xb0);
	out(b, MCR, 0x1a);                      /* Linux's autoconfig test */
	assert_int_equal(in(b, MSR) & 0xf0, 0x90);
	out(b, MCR, 0x10);
	assert_int_equal(in(b, MSR), 0x09);     /* CTS and DCD went */
	assert_int_equal(in(b, MSR), 0x00);
	out(b, MCR, 0x14);
	assert_int_equal(in(b, MSR), 0x40);
	out(b, MCR, 0x10);
	assert_int_equal(in(b, MSR), 0x04);     /* the trailing edge of RI */
	out(b, THR, 'x');
	out(b, IER, 4);
	assert_int_equal(in(b, LSR), 0x61);
	out(b, THR, 'y');
	assert_true(b->irq.level);
	assert_int_equal(in(b, IIR), 0x06);
	assert_int_equal(in(b, LSR), 0x63);
	assert_false(b->irq.level);
	assert_int_equal(in(b, LSR), 0x61);
	assert_int_equal(in(b, RBR), 'y');
	assert_int_equal(fake_chardev_type(&b->far, "z", 1), 0);
	out(b, MCR, 0);
	wait_batch(b);
	assert_int_equal(b->far.accepts, 1);
	assert_int_equal(b->far.len, 0);
}

static void modem_changes_interrupt_until_read(void **state)
{
	struct bench *b = *state;

	out(b, IER, 8);
	assert_false(b->irq.level);
	out(b, MCR, 0x10);
	assert_true(b->irq.level);
	assert_int_equal(in(b, IIR), 0x00);
	in(b, MSR);
	assert_false(b->irq.level);
}

static void a_break_is_a_zero_byte_with_its_status(void **state)
{
	struct bench *b = *state;

	out(b, FCR, 1);
	out(b, IER, 4);
	fake_chardev_type(&b->far, "a", 1);
	b->far.chardev.user->brk(b->far.chardev.owner);
	assert_int_equal(in(b, LSR), 0xe1);     /* an error is in the FIFO, but not on top */
	assert_int_equal(in(b, RBR), 'a');
	assert_true(b->irq.level);
	assert_int_equal(in(b, LSR), 0xf1);
	assert_int_equal(in(b, LSR), 0x61);
	assert_int_equal(in(b, RBR), 0);
	assert_int_equal(in(b, LSR), 0x60);
}

static void enabling_the_fifo_empties_it(void **state)
{
	struct bench *b = *state;

	fake_chardev_type(&b->far, "a", 1);
	out(b, FCR, 1);
	assert_int_equal(in(b, LSR), 0x60);
	fake_chardev_type(&b->far, "abc", 3);
	out(b, FCR, 3);
	assert_int_equal(in(b, LSR), 0x60);
}

static void a_reset_forgets_registers_but_not_what_was_sent(void **state)
{
	struct bench *b = *state;

	out(b, IER, 15);
	out(b, MCR, 11);
	out(b, THR, 'x');
	state_reset_all(b->states);
	assert_int_equal(b->far.len, 1);
	assert_int_equal(in(b, IER), 0);
	assert_int_equal(in(b, MCR), 0);
	assert_int_equal(in(b, IIR), 1);
	assert_false(b->irq.level);
}

static void random_stores_keep_it_alive(void **state)
{
	struct bench *b = *state;
	uint32_t x = 12345;

	for (int i = 0; i < 200000; i++) {
		x = x * 1664525 + 1013904223;
		if (x & 0x80000000)
			out(b, THR + (x >> 8) % 8, x >> 16 & 0xff);
		else
			in(b, THR + (x >> 8) % 8);
		if (x % 64 == 0)
			fake_chardev_type(&b->far, "0123456789abcdef", x >> 20 & 15);
		if (x % 1024 == 5) {
			b->far.len = 0;
			b->far.room = x >> 10 & 4095;
			fake_clock_advance(&b->clock, US(x >> 16 & 1023));
		}
	}
	b->far.len = 0;
	b->far.room = SIZE_MAX;
	wait_batch(b);
	out(b, MCR, 0);
	assert_int_equal(in(b, LSR) & 0x60, 0x60);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_driver_finds_a_16550a),
		TEST(sent_bytes_leave_in_one_batch),
		TEST(a_host_that_takes_nothing_holds_the_transmitter),
		TEST(transmit_interrupt_is_cleared_by_reading_its_id_or_sending),
		TEST(a_handler_that_loops_until_nothing_is_pending_comes_to_an_end),
		TEST(received_bytes_interrupt_at_the_trigger_level),
		TEST(a_few_bytes_are_reported_by_the_timeout),
		TEST(a_full_receiver_makes_the_host_wait_and_calls_it_back),
		TEST(without_fifo_one_byte_fits),
		TEST(loopback_joins_transmitter_receiver_and_modem_lines),
		TEST(modem_changes_interrupt_until_read),
		TEST(a_break_is_a_zero_byte_with_its_status),
		TEST(enabling_the_fifo_empties_it),
		TEST(a_reset_forgets_registers_but_not_what_was_sent),
		TEST(random_stores_keep_it_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
