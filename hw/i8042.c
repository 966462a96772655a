/* SPDX-License-Identifier: MIT */
/*
 * The keyboard controller of the PC/AT and PS/2 (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller"), an 8042 with the usual program.
 *
 * One byte waits in the output buffer; the next one, from the controller itself or from a device whose clock is not
 * held, is put there when the guest has read it, and not before GAP_NS have passed: a byte takes its time on the wire,
 * and interrupt handlers that read port 60h twice must see the same byte.
 */
#include "hw/i8042.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	STATUS_OBF = 0x01, STATUS_SYSTEM = 0x04, STATUS_COMMAND = 0x08, STATUS_UNLOCKED = 0x10, STATUS_AUX = 0x20,

	MODE_KBD_INT = 0x01, MODE_AUX_INT = 0x02, MODE_SYSTEM = 0x04, MODE_KBD_OFF = 0x10, MODE_AUX_OFF = 0x20,
	MODE_TRANSLATE = 0x40,

	READ_MODE = 0x20, WRITE_MODE = 0x60, AUX_OFF = 0xa7, AUX_ON = 0xa8, TEST_AUX = 0xa9, SELF_TEST = 0xaa,
	TEST_KBD = 0xab, KBD_OFF = 0xad, KBD_ON = 0xae, READ_INPUT = 0xc0, READ_OUTPUT = 0xd0, WRITE_OUTPUT = 0xd1,
	WRITE_KBD_BUFFER = 0xd2, WRITE_AUX_BUFFER = 0xd3, WRITE_AUX = 0xd4, A20_OFF = 0xdd, A20_ON = 0xdf,
	READ_TEST = 0xe0, PULSE = 0xf0,

	OUTPUT_RESET = 0x01 /* low: reset */, OUTPUT_A20 = 0x02, OUTPUT_KBD_OBF = 0x10, OUTPUT_AUX_OBF = 0x20,

	RAM_SIZE = 32,
};

#define GAP_NS US(100)

enum source { FROM_CONTROLLER, FROM_KBD, FROM_AUX };

struct i8042 {
	struct i8042_config cfg;
	struct ps2_kbd *kbd;
	struct ps2_mouse *mouse;
	struct timer gap;
	/* what reset() restores: */
	struct i8042_state {
		uint8_t mode;                   /* the command byte, RAM 0 */
		uint8_t ram[RAM_SIZE];
		uint8_t command;                /* waits for its data byte; 0: none */
		bool last_was_command, system, a20;
		bool obf, aux;                  /* the output buffer: full; holds a byte of the auxiliary device */
		uint8_t data;
		bool reply_waits, reply_aux;    /* a byte of the controller's own, for when the buffer is empty */
		uint8_t reply;
		bool release;                   /* translation: F0 was seen */
		uint64_t gap_until;             /* CLOCK_NEVER: no gap */
	} r;
};

static void update_irq(struct i8042 *s)
{
	irq_set(&s->cfg.irq_kbd, s->r.obf && !s->r.aux && (s->r.mode & MODE_KBD_INT));
	irq_set(&s->cfg.irq_mouse, s->r.obf && s->r.aux && (s->r.mode & MODE_AUX_INT));
}

/* Set 2 to set 1.  -1: nothing comes of this byte yet. */
static int translate(struct i8042 *s, uint8_t byte)
{
	static const uint8_t table[128] = {
		0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
		0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
		0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
		0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
		0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
		0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
		0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
		0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
	};
	uint8_t release;

	if (!(s->r.mode & MODE_TRANSLATE))
		return byte;
	if (byte == 0xf0) {
		s->r.release = true;
		return -1;
	}
	if (byte == 0x83)
		byte = 0x41;
	else if (byte == 0x84)
		byte = 0x54;
	else if (byte < 128)
		byte = table[byte];
	else
		return byte;                    /* prefixes and answers; the F0 of a break code comes after E0 */
	release = s->r.release ? 0x80 : 0;
	s->r.release = false;
	return byte | release;
}

static void fill(struct i8042 *s, uint8_t byte, enum source from)
{
	s->r.data = byte;
	s->r.obf = true;
	s->r.aux = from == FROM_AUX;
	update_irq(s);
}

/* Put the next byte into the output buffer, if it is empty and its time has come. */
static void next(struct i8042 *s)
{
	if (s->r.obf)
		return;
	if (s->r.reply_waits) {                 /* the controller's own bytes come over no wire */
		s->r.reply_waits = false;
		fill(s, s->r.reply, s->r.reply_aux ? FROM_AUX : FROM_CONTROLLER);
		return;
	}
	if (s->r.gap_until != CLOCK_NEVER)
		return;
	while (!s->r.obf && !(s->r.mode & MODE_KBD_OFF) && ps2_kbd_peek(s->kbd) >= 0) {
		int byte = translate(s, (uint8_t)ps2_kbd_read(s->kbd));

		if (byte >= 0)
			fill(s, (uint8_t)byte, FROM_KBD);
	}
	if (!s->r.obf && !(s->r.mode & MODE_AUX_OFF) && ps2_mouse_peek(s->mouse) >= 0)
		fill(s, (uint8_t)ps2_mouse_read(s->mouse), FROM_AUX);
}

static void device_ready(void *owner)
{
	next(owner);
}

static void gap_over(void *owner)
{
	struct i8042 *s = owner;

	s->r.gap_until = CLOCK_NEVER;
	next(s);
}

static void reply(struct i8042 *s, uint8_t byte, bool aux)
{
	s->r.reply = byte;
	s->r.reply_aux = aux;
	s->r.reply_waits = true;
	next(s);
}

static void set_a20(struct i8042 *s, bool on)
{
	s->r.a20 = on;
	irq_set(&s->cfg.a20, on);
}

static void pulse_reset(struct i8042 *s)
{
	irq_set(&s->cfg.reset, true);
	irq_set(&s->cfg.reset, false);
}

static uint8_t output_port(const struct i8042 *s)
{
	return 0xc0 | OUTPUT_RESET | (s->r.a20 ? OUTPUT_A20 : 0) | (s->r.obf && !s->r.aux ? OUTPUT_KBD_OBF : 0) |
	       (s->r.obf && s->r.aux ? OUTPUT_AUX_OBF : 0);
}

static void set_mode(struct i8042 *s, uint8_t mode)
{
	s->r.mode = mode & 0x7f;
	s->r.system = mode & MODE_SYSTEM;
	update_irq(s);
	next(s);
}

/* --- port 64h ----------------------------------------------------------------------------------------------------- */

static void command(struct i8042 *s, uint8_t c)
{
	s->r.command = 0;
	switch (c) {
	case READ_MODE:
		reply(s, s->r.mode, false);
		break;
	case READ_MODE + 1 ... READ_MODE + RAM_SIZE - 1:
		reply(s, s->r.ram[c - READ_MODE], false);
		break;
	case WRITE_MODE ... WRITE_MODE + RAM_SIZE - 1:
	case WRITE_OUTPUT: case WRITE_KBD_BUFFER: case WRITE_AUX_BUFFER: case WRITE_AUX:
		s->r.command = c;
		break;
	case AUX_OFF:
		set_mode(s, s->r.mode | MODE_AUX_OFF);
		break;
	case AUX_ON:
		set_mode(s, s->r.mode & ~MODE_AUX_OFF);
		break;
	case KBD_OFF:
		set_mode(s, s->r.mode | MODE_KBD_OFF);
		break;
	case KBD_ON:
		set_mode(s, s->r.mode & ~MODE_KBD_OFF);
		break;
	case SELF_TEST:
		s->r.system = true;
		s->r.mode |= MODE_SYSTEM;
		reply(s, 0x55, false);
		break;
	case TEST_AUX: case TEST_KBD:
		reply(s, 0x00, false);          /* nothing is wrong with the lines */
		break;
	case READ_INPUT:
		reply(s, 0x80, false);          /* not locked */
		break;
	case READ_OUTPUT:
		reply(s, output_port(s), false);
		break;
	case A20_OFF: case A20_ON:
		set_a20(s, c == A20_ON);
		break;
	case READ_TEST:
		reply(s, 0x00, false);
		break;
	case PULSE ... 0xff:                    /* the bits that are 0 are pulsed low; bit 0 resets the processor */
		if (!(c & OUTPUT_RESET))
			pulse_reset(s);
		break;
	default:
		log_guest("i8042", "command %02x", c);
	}
}

/* --- port 60h ----------------------------------------------------------------------------------------------------- */

static void data(struct i8042 *s, uint8_t byte)
{
	uint8_t c = s->r.command;

	s->r.command = 0;
	switch (c) {
	case WRITE_MODE:
		set_mode(s, byte);
		break;
	case WRITE_MODE + 1 ... WRITE_MODE + RAM_SIZE - 1:
		s->r.ram[c - WRITE_MODE] = byte;
		break;
	case WRITE_OUTPUT:
		set_a20(s, byte & OUTPUT_A20);
		if (!(byte & OUTPUT_RESET))
			pulse_reset(s);
		break;
	case WRITE_KBD_BUFFER:
		reply(s, byte, false);
		break;
	case WRITE_AUX_BUFFER:
		reply(s, byte, true);
		break;
	case WRITE_AUX:
		s->r.mode &= ~MODE_AUX_OFF;     /* speaking to a device lets its clock go */
		ps2_mouse_write(s->mouse, byte);
		break;
	default:
		s->r.mode &= ~MODE_KBD_OFF;
		s->r.release = false;
		ps2_kbd_write(s->kbd, byte);
	}
}

static uint64_t data_read(void *dev, uint64_t offset, unsigned size)
{
	struct i8042 *s = dev;

	(void)offset;
	(void)size;
	if (s->r.obf) {
		s->r.obf = false;
		update_irq(s);
		s->r.gap_until = clock_now(s->cfg.clock) + GAP_NS;
		timer_set(&s->gap, s->r.gap_until);
		next(s);
	}
	return s->r.data;
}

static void data_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct i8042 *s = dev;

	(void)offset;
	(void)size;
	s->r.last_was_command = false;
	data(s, (uint8_t)value);
}

static uint64_t status_read(void *dev, uint64_t offset, unsigned size)
{
	struct i8042 *s = dev;

	(void)offset;
	(void)size;
	return (s->r.obf ? STATUS_OBF : 0) | (s->r.obf && s->r.aux ? STATUS_AUX : 0) |
	       (s->r.system ? STATUS_SYSTEM : 0) | (s->r.last_was_command ? STATUS_COMMAND : 0) | STATUS_UNLOCKED;
}

static void command_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct i8042 *s = dev;

	(void)offset;
	(void)size;
	s->r.last_was_command = true;
	command(s, (uint8_t)value);
}

static const struct io_ops data_ops = { .read = data_read, .write = data_write, .max_size = 1 };
static const struct io_ops command_ops = { .read = status_read, .write = command_write, .max_size = 1 };

/* --- life --------------------------------------------------------------------------------------------------------- */

static void reset(void *owner)
{
	struct i8042 *s = owner;

	/* As a BIOS leaves it, for kernels that are booted without one. */
	s->r = (struct i8042_state){
		.mode = MODE_KBD_INT | MODE_AUX_INT | MODE_SYSTEM | MODE_TRANSLATE, .system = true,
		.gap_until = CLOCK_NEVER };
	timer_cancel(&s->gap);
	set_a20(s, true);
	update_irq(s);
}

static void loaded(void *owner)
{
	struct i8042 *s = owner;

	timer_set(&s->gap, s->r.gap_until);
	irq_set(&s->cfg.a20, s->r.a20);
	update_irq(s);
}

struct i8042 *i8042_new(const struct i8042_config *config)
{
	struct i8042 *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	timer_init(&s->gap, s->cfg.clock, gap_over, s);
	s->kbd = ps2_kbd_new(&(struct ps2_config){
		.ready = device_ready, .owner = s, .clock = s->cfg.clock, .states = s->cfg.states });
	s->mouse = ps2_mouse_new(&(struct ps2_config){
		.ready = device_ready, .owner = s, .clock = s->cfg.clock, .states = s->cfg.states });
	reset(s);
	bus_map(s->cfg.ports, 0x60, 1, &data_ops, s, "i8042-data", NULL);
	bus_map(s->cfg.ports, 0x64, 1, &command_ops, s, "i8042-command", NULL);
	state_add(s->cfg.states, &(struct state_section){
		.name = "i8042", .version = 1, .data = &s->r, .size = sizeof(s->r), .owner = s, .reset = reset,
		.loaded = loaded });
	return s;
}

void i8042_free(struct i8042 *s)
{
	if (!s)
		return;
	timer_cancel(&s->gap);
	bus_unmap(s->cfg.ports, 0x60);
	bus_unmap(s->cfg.ports, 0x64);
	ps2_kbd_free(s->kbd);
	ps2_mouse_free(s->mouse);
	free(s);
}

struct ps2_kbd *i8042_keyboard(struct i8042 *s)
{
	return s->kbd;
}

struct ps2_mouse *i8042_mouse(struct i8042 *s)
{
	return s->mouse;
}
