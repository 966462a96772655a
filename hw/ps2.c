/* SPDX-License-Identifier: MIT */
/*
 * PS/2 keyboard and mouse (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device";
 * Microsoft's IntelliMouse and Explorer extensions).
 *
 * Answers to commands wait in a queue of their own, ahead of key and motion bytes, as a device that is spoken to stops
 * scanning until it has answered.
 */
#include "hw/ps2.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	ACK = 0xfa, RESEND = 0xfe, SELF_TEST_PASSED = 0xaa, ECHO = 0xee, RELEASED = 0xf0, EXTENDED = 0xe0,
	EXTENDED_1 = 0xe1,

	KBD_LEDS = 0xed, KBD_ECHO = 0xee, KBD_SET = 0xf0, KBD_IDENTIFY = 0xf2, KBD_TYPEMATIC = 0xf3, KBD_ENABLE = 0xf4,
	KBD_DISABLE = 0xf5, KBD_DEFAULTS = 0xf6, KBD_ALL_TYPEMATIC = 0xf7, KBD_ALL_MAKE_BREAK = 0xf8,
	KBD_ALL_MAKE = 0xf9, KBD_ALL = 0xfa, KBD_KEY_TYPEMATIC = 0xfb, KBD_KEY_MAKE_BREAK = 0xfc, KBD_KEY_MAKE = 0xfd,
	KBD_RESEND = 0xfe, KBD_RESET = 0xff,

	MOUSE_SCALE_1 = 0xe6, MOUSE_SCALE_2 = 0xe7, MOUSE_RESOLUTION = 0xe8, MOUSE_STATUS = 0xe9, MOUSE_STREAM = 0xea,
	MOUSE_READ = 0xeb, MOUSE_WRAP_END = 0xec, MOUSE_WRAP = 0xee, MOUSE_REMOTE = 0xf0, MOUSE_IDENTIFY = 0xf2,
	MOUSE_RATE = 0xf3, MOUSE_ENABLE = 0xf4, MOUSE_DISABLE = 0xf5, MOUSE_DEFAULTS = 0xf6, MOUSE_RESEND = 0xfe,
	MOUSE_RESET = 0xff,

	REPLIES = 8, EVENTS = 64,
};

enum { TYPE_REPEAT = 1, TYPE_BREAK = 2 };       /* of a key, in set 3 */

struct fifo {
	uint8_t replies[REPLIES], events[EVENTS];
	uint8_t reply_count, event_count;
	uint8_t last;                   /* the byte sent last, for RESEND */
};

static void put_reply(struct fifo *f, uint8_t byte)
{
	if (f->reply_count < REPLIES)
		f->replies[f->reply_count++] = byte;
}

static unsigned event_room(const struct fifo *f)
{
	return EVENTS - f->event_count;
}

static void put_event(struct fifo *f, uint8_t byte)
{
	f->events[f->event_count++] = byte;
}

static int peek(const struct fifo *f)
{
	return f->reply_count ? f->replies[0] : f->event_count ? f->events[0] : -1;
}

static int take(struct fifo *f)
{
	int byte = peek(f);

	if (f->reply_count)
		memmove(f->replies, f->replies + 1, --f->reply_count);
	else if (f->event_count)
		memmove(f->events, f->events + 1, --f->event_count);
	if (byte >= 0)
		f->last = (uint8_t)byte;
	return byte;
}

static void clamp_fifo(struct fifo *f)
{
	f->reply_count = MIN(f->reply_count, (uint8_t)REPLIES);
	f->event_count = MIN(f->event_count, (uint8_t)EVENTS);
}

/* --- keyboard ----------------------------------------------------------------------------------------------------- */

struct ps2_kbd {
	struct ps2_config cfg;
	struct timer repeat;
	/* what reset() restores: */
	struct ps2_kbd_state {
		struct fifo fifo;
		uint8_t command;                /* waits for its argument; 0: none */
		uint8_t set, leds, typematic;
		bool scanning;
		bool down[128];                 /* by key number */
		uint8_t type[256];              /* TYPE_ bits by set 3 code */
		uint8_t repeat_key;
		uint64_t repeat_at;
	} r;
};

/* Delay and period of typematic as the F3 argument encodes them. */
static uint64_t repeat_delay(const struct ps2_kbd *k)
{
	return MS(250) * ((k->r.typematic >> 5 & 3) + 1u);
}

static uint64_t repeat_period(const struct ps2_kbd *k)
{
	return ((k->r.typematic & 7) + 8u) * (1u << (k->r.typematic >> 3 & 3)) * US(4170);
}

static void arm_repeat(struct ps2_kbd *k, uint8_t key, uint64_t at)
{
	k->r.repeat_key = key;
	k->r.repeat_at = at;
	timer_set(&k->repeat, at);
}

static bool held(const struct ps2_kbd *k, const char *name)
{
	return k->r.down[keyboard_key_by_name(name)];
}

static size_t put_code(uint8_t *p, uint8_t set, bool extended, uint8_t code, bool down)
{
	size_t n = 0;

	if (extended)
		p[n++] = EXTENDED;
	if (!down && set == 2)
		p[n++] = RELEASED;
	p[n++] = code | (!down && set == 1 ? 0x80 : 0);
	return n;
}

static size_t pause_codes(uint8_t *p, uint8_t set)
{
	static const uint8_t set1[] = { EXTENDED_1, 0x1d, 0x45, EXTENDED_1, 0x9d, 0xc5 };
	static const uint8_t set2[] = { EXTENDED_1, 0x14, 0x77, EXTENDED_1, RELEASED, 0x14, RELEASED, 0x77 };

	if (set == 1) {
		memcpy(p, set1, sizeof(set1));
		return sizeof(set1);
	}
	memcpy(p, set2, sizeof(set2));
	return sizeof(set2);
}

/* Print Screen is SysRq with Alt, and sends a shift of its own if none is held. */
static size_t print_codes(const struct ps2_kbd *k, uint8_t *p, bool down)
{
	uint8_t set = k->r.set, code = set == 1 ? 0x37 : 0x7c, shift = set == 1 ? 0x2a : 0x12;
	bool modified = held(k, "shift") || held(k, "shift_r") || held(k, "ctrl") || held(k, "ctrl_r");
	size_t n;

	if (held(k, "alt") || held(k, "alt_r"))
		return put_code(p, set, false, set == 1 ? 0x54 : 0x84, down);
	if (modified)
		return put_code(p, set, true, code, down);
	n = put_code(p, set, true, down ? shift : code, down);
	return n + put_code(p + n, set, true, down ? code : shift, down);
}

/* The bytes that a key sends now. */
static size_t codes(const struct ps2_kbd *k, unsigned key, bool down, uint8_t *p)
{
	const struct keyboard_key *e = keyboard_key(key);

	if (k->r.set == 3) {
		if (!e->set3 || (!down && !(k->r.type[e->set3] & TYPE_BREAK)))
			return 0;
		if (down) {
			p[0] = e->set3;
			return 1;
		}
		p[0] = RELEASED;
		p[1] = e->set3;
		return 2;
	}
	if (key == KEY_PAUSE) {
		if (!down)
			return 0;
		if (held(k, "ctrl") || held(k, "ctrl_r")) {     /* Break: made and released at once */
			size_t n = put_code(p, k->r.set, true, k->r.set == 1 ? 0x46 : 0x7e, true);

			return n + put_code(p + n, k->r.set, true, k->r.set == 1 ? 0x46 : 0x7e, false);
		}
		return pause_codes(p, k->r.set);
	}
	if (key == KEY_SYSRQ)
		return print_codes(k, p, down);
	return put_code(p, k->r.set, e->extended, k->r.set == 1 ? e->set1 : e->set2, down);
}

static bool send_key(struct ps2_kbd *k, unsigned key, bool down)
{
	uint8_t bytes[16];
	size_t n = codes(k, key, down, bytes);

	if (n > event_room(&k->r.fifo))
		return false;
	for (size_t i = 0; i < n; i++)
		put_event(&k->r.fifo, bytes[i]);
	if (n)
		k->cfg.ready(k->cfg.owner);
	return true;
}

static bool repeats(const struct ps2_kbd *k, unsigned key)
{
	return key != KEY_PAUSE && (k->r.set != 3 || (k->r.type[keyboard_key(key)->set3] & TYPE_REPEAT));
}

bool ps2_kbd_key(struct ps2_kbd *k, unsigned key, bool down)
{
	bool was;

	if (!keyboard_key(key))
		return true;
	was = k->r.down[key];
	k->r.down[key] = down;
	if (!down && k->r.repeat_key == key)
		arm_repeat(k, 0, CLOCK_NEVER);
	if (!k->r.scanning || (!down && !was))
		return true;
	if (!send_key(k, key, down))
		return false;
	if (down && repeats(k, key))
		arm_repeat(k, (uint8_t)key, clock_now(k->cfg.clock) + repeat_delay(k));
	return true;
}

static void repeat(void *owner)
{
	struct ps2_kbd *k = owner;
	uint8_t key = k->r.repeat_key;

	k->r.repeat_at = CLOCK_NEVER;
	if (!key || !k->r.scanning)
		return;
	if (k->r.fifo.event_count < EVENTS / 4) /* nobody wants a backlog of repeats */
		send_key(k, key, true);
	arm_repeat(k, key, clock_now(k->cfg.clock) + repeat_period(k));
}

static void kbd_defaults(struct ps2_kbd *k)
{
	k->r.set = 2;
	k->r.typematic = 0x2b;                  /* 500 ms, 10.9 a second */
	memset(k->r.type, TYPE_REPEAT | TYPE_BREAK, sizeof(k->r.type));
	k->r.fifo.event_count = 0;
	arm_repeat(k, 0, CLOCK_NEVER);
}

static void kbd_argument(struct ps2_kbd *k, uint8_t byte)
{
	struct fifo *f = &k->r.fifo;
	uint8_t command = k->r.command;

	k->r.command = 0;
	put_reply(f, ACK);
	switch (command) {
	case KBD_LEDS:
		k->r.leds = byte & 7;
		break;
	case KBD_SET:
		if (byte == 0)
			put_reply(f, k->r.set);
		else if (byte <= 3)
			k->r.set = byte;
		break;
	case KBD_TYPEMATIC:
		k->r.typematic = byte & 0x7f;
		break;
	case KBD_KEY_TYPEMATIC:
		k->r.type[byte] = TYPE_REPEAT;
		k->r.command = command;         /* more keys may follow, until another command */
		break;
	case KBD_KEY_MAKE_BREAK:
		k->r.type[byte] = TYPE_BREAK;
		k->r.command = command;
		break;
	case KBD_KEY_MAKE:
		k->r.type[byte] = 0;
		k->r.command = command;
		break;
	}
}

static void kbd_command(struct ps2_kbd *k, uint8_t command)
{
	static const uint8_t types[] = { TYPE_REPEAT, TYPE_BREAK, 0, TYPE_REPEAT | TYPE_BREAK };
	struct fifo *f = &k->r.fifo;

	switch (command) {
	case KBD_ECHO:
		put_reply(f, ECHO);
		return;
	case KBD_RESEND:
		put_reply(f, f->last);
		return;
	case KBD_LEDS: case KBD_SET: case KBD_TYPEMATIC:
	case KBD_KEY_TYPEMATIC: case KBD_KEY_MAKE_BREAK: case KBD_KEY_MAKE:
		k->r.command = command;
		break;
	case KBD_IDENTIFY:
		put_reply(f, ACK);
		put_reply(f, 0xab);
		put_reply(f, 0x83);
		return;
	case KBD_ENABLE:
		k->r.scanning = true;
		f->event_count = 0;
		break;
	case KBD_DISABLE:
		kbd_defaults(k);
		k->r.scanning = false;
		break;
	case KBD_DEFAULTS:
		kbd_defaults(k);
		break;
	case KBD_ALL_TYPEMATIC: case KBD_ALL_MAKE_BREAK: case KBD_ALL_MAKE: case KBD_ALL:
		memset(k->r.type, types[command - KBD_ALL_TYPEMATIC], sizeof(k->r.type));
		break;
	case KBD_RESET:
		kbd_defaults(k);
		k->r.leds = 0;
		k->r.scanning = true;
		put_reply(f, ACK);
		put_reply(f, SELF_TEST_PASSED);
		return;
	default:
		put_reply(f, RESEND);
		return;
	}
	put_reply(f, ACK);
}

void ps2_kbd_write(struct ps2_kbd *k, uint8_t byte)
{
	k->r.fifo.reply_count = 0;              /* a new command withdraws what was not fetched */
	if (k->r.command && byte < KBD_LEDS) {
		kbd_argument(k, byte);
	} else {
		k->r.command = 0;
		kbd_command(k, byte);
	}
	k->cfg.ready(k->cfg.owner);
}

int ps2_kbd_read(struct ps2_kbd *k)
{
	return take(&k->r.fifo);
}

int ps2_kbd_peek(const struct ps2_kbd *k)
{
	return peek(&k->r.fifo);
}

unsigned ps2_kbd_leds(const struct ps2_kbd *k)
{
	return k->r.leds;
}

static void kbd_reset(void *owner)
{
	struct ps2_kbd *k = owner;

	memset(&k->r, 0, sizeof(k->r));
	kbd_defaults(k);
	k->r.scanning = true;
}

static void kbd_loaded(void *owner)
{
	struct ps2_kbd *k = owner;

	clamp_fifo(&k->r.fifo);
	if (!keyboard_key(k->r.repeat_key))
		k->r.repeat_key = 0;
	timer_set(&k->repeat, k->r.repeat_at);
}

struct ps2_kbd *ps2_kbd_new(const struct ps2_config *config)
{
	struct ps2_kbd *k = calloc(1, sizeof(*k));

	assert(k && !keyboard_key(ARRAY_SIZE(k->r.down)));
	k->cfg = *config;
	timer_init(&k->repeat, k->cfg.clock, repeat, k);
	kbd_reset(k);
	state_add(k->cfg.states, &(struct state_section){
		.name = "ps2-kbd", .version = 1, .data = &k->r, .size = sizeof(k->r), .owner = k, .reset = kbd_reset,
		.loaded = kbd_loaded });
	return k;
}

void ps2_kbd_free(struct ps2_kbd *k)
{
	if (!k)
		return;
	timer_cancel(&k->repeat);
	free(k);
}

/* --- mouse -------------------------------------------------------------------------------------------------------- */

enum { ID_PLAIN = 0, ID_WHEEL = 3, ID_EXPLORER = 4, DELTA_MAX = 255, BACKLOG_MAX = 1 << 20 };

struct ps2_mouse {
	struct ps2_config cfg;
	/* what reset() restores: */
	struct ps2_mouse_state {
		struct fifo fifo;
		uint8_t command;                /* waits for its argument; 0: none */
		uint8_t id, rate, resolution;
		uint8_t knock[2];               /* the sample rates set before, for the identity knocks */
		bool reporting, remote, wrap, scale_2;
		uint8_t buttons, sent_buttons;
		int32_t dx, dy, dz;             /* moved and not told yet; dy up */
	} r;
};

static int clip(int32_t *v, int min, int max)
{
	int n = MAX(MIN(*v, max), min);

	*v -= n;
	return n;
}

static int scaled(int v)
{
	static const uint8_t small[] = { 0, 1, 1, 3, 6, 9 };
	int a = abs(v), b = a < (int)ARRAY_SIZE(small) ? small[a] : 2 * a;

	b = MIN(b, DELTA_MAX);
	return v < 0 ? -b : b;
}

static void make_packet(struct ps2_mouse *m, bool stream, void (*put)(struct fifo *f, uint8_t byte))
{
	int dx = clip(&m->r.dx, -DELTA_MAX, DELTA_MAX), dy = clip(&m->r.dy, -DELTA_MAX, DELTA_MAX), dz;
	struct fifo *f = &m->r.fifo;

	if (stream && m->r.scale_2) {
		dx = scaled(dx);
		dy = scaled(dy);
	}
	put(f, (uint8_t)(0x08 | (m->r.buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0)));
	put(f, (uint8_t)dx);
	put(f, (uint8_t)dy);
	if (m->r.id == ID_WHEEL) {
		dz = clip(&m->r.dz, -127, 127);
		put(f, (uint8_t)dz);
	} else if (m->r.id == ID_EXPLORER) {
		dz = clip(&m->r.dz, -7, 7);
		put(f, (uint8_t)((dz & 15) | (m->r.buttons & (PS2_SIDE | PS2_EXTRA)) << 1));
	} else {
		m->r.dz = 0;
	}
	m->r.sent_buttons = m->r.buttons;
}

static bool moved(const struct ps2_mouse *m)
{
	return m->r.dx || m->r.dy || m->r.dz || m->r.buttons != m->r.sent_buttons;
}

/* In stream mode: a packet whenever the last one has left; what happens meanwhile adds up. */
static void stream(struct ps2_mouse *m)
{
	if (!m->r.reporting || m->r.remote || m->r.wrap || m->r.fifo.event_count || !moved(m))
		return;
	make_packet(m, true, put_event);
	m->cfg.ready(m->cfg.owner);
}

static void mouse_defaults(struct ps2_mouse *m)
{
	m->r.rate = 100;
	m->r.resolution = 2;
	m->r.scale_2 = m->r.reporting = m->r.remote = false;
	m->r.dx = m->r.dy = m->r.dz = 0;
	m->r.fifo.event_count = 0;
}

static void set_rate(struct ps2_mouse *m, uint8_t rate)
{
	if (m->r.knock[0] == 200 && m->r.knock[1] == 100 && rate == 80)
		m->r.id = ID_WHEEL;
	else if (m->r.knock[0] == 200 && m->r.knock[1] == 200 && rate == 80 && m->r.id == ID_WHEEL)
		m->r.id = ID_EXPLORER;
	m->r.knock[0] = m->r.knock[1];
	m->r.knock[1] = rate;
	m->r.rate = rate;
}

static void mouse_status(struct ps2_mouse *m)
{
	uint8_t b = m->r.buttons;

	put_reply(&m->r.fifo, (m->r.remote ? 0x40 : 0) | (m->r.reporting ? 0x20 : 0) | (m->r.scale_2 ? 0x10 : 0) |
			      (b & PS2_LEFT ? 4 : 0) | (b & PS2_MIDDLE ? 2 : 0) | (b & PS2_RIGHT ? 1 : 0));
	put_reply(&m->r.fifo, m->r.resolution);
	put_reply(&m->r.fifo, m->r.rate);
}

static void mouse_command(struct ps2_mouse *m, uint8_t command)
{
	struct fifo *f = &m->r.fifo;

	switch (command) {
	case MOUSE_RESEND:
		put_reply(f, f->last);
		return;
	case MOUSE_SCALE_1: case MOUSE_SCALE_2: case MOUSE_RESOLUTION: case MOUSE_STATUS: case MOUSE_STREAM:
	case MOUSE_READ: case MOUSE_WRAP_END: case MOUSE_WRAP: case MOUSE_REMOTE: case MOUSE_IDENTIFY:
	case MOUSE_RATE: case MOUSE_ENABLE:
	case MOUSE_DISABLE: case MOUSE_DEFAULTS: case MOUSE_RESET:
		break;
	default:
		put_reply(f, RESEND);
		return;
	}
	put_reply(f, ACK);
	switch (command) {
	case MOUSE_SCALE_1: case MOUSE_SCALE_2:
		m->r.scale_2 = command == MOUSE_SCALE_2;
		break;
	case MOUSE_RESOLUTION: case MOUSE_RATE:
		m->r.command = command;
		break;
	case MOUSE_STATUS:
		mouse_status(m);
		break;
	case MOUSE_STREAM: case MOUSE_REMOTE:
		m->r.remote = command == MOUSE_REMOTE;
		break;
	case MOUSE_READ:
		make_packet(m, false, put_reply);
		break;
	case MOUSE_WRAP:
		m->r.wrap = true;
		break;
	case MOUSE_IDENTIFY:
		put_reply(f, m->r.id);
		break;
	case MOUSE_ENABLE:
		m->r.reporting = true;
		m->r.dx = m->r.dy = m->r.dz = 0;
		break;
	case MOUSE_DISABLE:
		m->r.reporting = false;
		f->event_count = 0;
		break;
	case MOUSE_DEFAULTS:
		mouse_defaults(m);
		break;
	case MOUSE_RESET:
		mouse_defaults(m);
		m->r.id = ID_PLAIN;
		put_reply(f, SELF_TEST_PASSED);
		put_reply(f, m->r.id);
		break;
	}
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte)
{
	uint8_t command = m->r.command;

	m->r.fifo.reply_count = 0;
	m->r.command = 0;
	if (m->r.wrap) {                        /* an echo of all but two commands */
		if (byte == MOUSE_WRAP_END || byte == MOUSE_RESET)
			m->r.wrap = false;
		else
			put_reply(&m->r.fifo, byte);
		if (byte == MOUSE_WRAP_END)
			put_reply(&m->r.fifo, ACK);
		else if (byte == MOUSE_RESET)
			mouse_command(m, byte);
	} else if (command == MOUSE_RATE) {
		set_rate(m, byte);
		put_reply(&m->r.fifo, ACK);
	} else if (command == MOUSE_RESOLUTION) {
		m->r.resolution = byte & 3;
		put_reply(&m->r.fifo, ACK);
	} else {
		mouse_command(m, byte);
	}
	m->cfg.ready(m->cfg.owner);
}

int ps2_mouse_read(struct ps2_mouse *m)
{
	int byte = take(&m->r.fifo);

	stream(m);
	return byte;
}

int ps2_mouse_peek(const struct ps2_mouse *m)
{
	return peek(&m->r.fifo);
}

static void add(int32_t *sum, int n)
{
	*sum = MAX(MIN(*sum + MAX(MIN(n, BACKLOG_MAX), -BACKLOG_MAX), BACKLOG_MAX), -BACKLOG_MAX);
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz)
{
	if (!m->r.reporting && !m->r.remote)
		return;
	add(&m->r.dx, dx);
	add(&m->r.dy, dy > INT32_MIN ? -dy : INT32_MAX);
	add(&m->r.dz, dz);
	stream(m);
}

void ps2_mouse_buttons(struct ps2_mouse *m, unsigned buttons)
{
	m->r.buttons = buttons & 31;
	stream(m);
}

static void mouse_reset(void *owner)
{
	struct ps2_mouse *m = owner;

	memset(&m->r, 0, sizeof(m->r));
	mouse_defaults(m);
}

static void mouse_loaded(void *owner)
{
	struct ps2_mouse *m = owner;

	clamp_fifo(&m->r.fifo);
}

struct ps2_mouse *ps2_mouse_new(const struct ps2_config *config)
{
	struct ps2_mouse *m = calloc(1, sizeof(*m));

	assert(m);
	m->cfg = *config;
	mouse_reset(m);
	state_add(m->cfg.states, &(struct state_section){
		.name = "ps2-mouse", .version = 1, .data = &m->r, .size = sizeof(m->r), .owner = m,
		.reset = mouse_reset, .loaded = mouse_loaded });
	return m;
}

void ps2_mouse_free(struct ps2_mouse *m)
{
	free(m);
}
