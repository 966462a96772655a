/* SPDX-License-Identifier: MIT */
/* The keyboard controller and a serial port under any sequence of accesses, keys, bytes and delays. */
#include <assert.h>

#include "base/bytes.h"
#include "hw/i8042.h"
#include "hw/uart16550.h"
#include "tests/fake/fake_chardev.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct fake_clock clock;
	struct fake_irq kbd, mouse, serial, a20, reset;
	struct fake_chardev far;
	struct bus *ports;
	struct state_list *states;
	struct i8042 *kbc;
	struct uart16550 *uart;
} b;

static void set_up(void)
{
	fake_clock_init(&b.clock);
	fake_chardev_init(&b.far);
	b.ports = bus_new(BUS_PORTS);
	b.states = state_list_new();
	b.kbc = i8042_new(&(struct i8042_config){
		.ports = b.ports, .irq_kbd = fake_irq_line(&b.kbd), .irq_mouse = fake_irq_line(&b.mouse),
		.a20 = fake_irq_line(&b.a20), .reset = fake_irq_line(&b.reset), .clock = b.clock.clock,
		.states = b.states });
	b.uart = uart16550_new(&(struct uart16550_config){
		.ports = b.ports, .base = 0x3f8, .irq = fake_irq_line(&b.serial), .chardev = &b.far.chardev,
		.clock = b.clock.clock, .states = b.states });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);

	if (!b.kbc)
		set_up();
	b.far.room = SIZE_MAX;
	state_reset_all(b.states);
	b.far.len = 0;
	while (cursor_left(&c)) {
		uint8_t op = cursor_u8(&c), value = cursor_u8(&c);

		switch (op & 7) {
		case 0:
			bus_write(b.ports, 0x60 + (op >> 1 & 4), value, 1);
			break;
		case 1:
			bus_read(b.ports, 0x60 + (op >> 1 & 4), 1);
			break;
		case 2: case 3:
			bus_write(b.ports, 0x3f8 + (op >> 3 & 7), value, 1);
			break;
		case 4:
			bus_read(b.ports, 0x3f8 + (op >> 3 & 7), 1);
			break;
		case 5:
			ps2_kbd_key(i8042_keyboard(b.kbc), value & 127, value & 128);
			ps2_mouse_move(i8042_mouse(b.kbc), (int8_t)value, op, (int8_t)op);
			ps2_mouse_buttons(i8042_mouse(b.kbc), value);
			break;
		case 6:
			b.far.room = op & 8 ? value : SIZE_MAX;
			if (op & 16)
				b.far.chardev.user->writable(b.far.chardev.owner);
			else
				fake_chardev_type(&b.far, "0123456789abcdef", value % 17);
			if (op & 32)
				b.far.chardev.user->brk(b.far.chardev.owner);
			break;
		case 7:
			fake_clock_advance(&b.clock, US(value) * (op >> 3));
			break;
		}
	}
	/* Whatever came before, a reset brings both back. */
	b.far.room = SIZE_MAX;
	b.far.len = 0;
	state_reset_all(b.states);
	bus_write(b.ports, 0x64, 0xaa, 1);
	assert(bus_read(b.ports, 0x60, 1) == 0x55);
	assert((bus_read(b.ports, 0x3fd, 1) & 0x60) == 0x60);
	return 0;
}
