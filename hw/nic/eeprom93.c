/* SPDX-License-Identifier: MIT */
/*
 * Bits move on the rising edge of SK while CS is high: a start bit (1), two opcode bits, six address bits, then 16 data bits
 * in (WRITE, WRAL) or out (READ, after a dummy 0; reading goes on into the next word).  Programming takes no time here:
 * DO shows "ready" at once.
 */
#include "hw/nic/eeprom93.h"

enum { PHASE_START, PHASE_COMMAND, PHASE_READ, PHASE_WRITE, PHASE_DONE };
enum { COMMAND_EXTENDED = 0, COMMAND_WRITE = 1, COMMAND_READ = 2, COMMAND_ERASE = 3 };
enum { EXTENDED_EWDS = 0, EXTENDED_WRAL = 1, EXTENDED_ERAL = 2, EXTENDED_EWEN = 3 };

void eeprom93_reset(struct eeprom93 *e)
{
	e->phase = PHASE_START;
	e->select = e->clock = e->writable = false;
	e->out = true;
	e->shift = e->count = e->command = e->address = 0;
}

static void fill(struct eeprom93 *e, uint16_t value)
{
	for (int i = 0; i < EEPROM93_WORDS; i++)
		e->word[i] = value;
}

/* Opcode and address are complete. */
static void begin(struct eeprom93 *e)
{
	e->command = e->shift >> 6 & 3;
	e->address = e->shift & 63;
	e->count = 0;
	e->phase = PHASE_DONE;
	switch (e->command) {
	case COMMAND_READ:
		e->shift = e->word[e->address];
		e->out = false;                 /* the dummy bit */
		e->phase = PHASE_READ;
		break;
	case COMMAND_WRITE:
		e->shift = 0;
		e->phase = PHASE_WRITE;
		break;
	case COMMAND_ERASE:
		if (e->writable)
			e->word[e->address] = 0xffff;
		break;
	case COMMAND_EXTENDED:
		switch (e->address >> 4) {
		case EXTENDED_EWEN:
			e->writable = true;
			break;
		case EXTENDED_EWDS:
			e->writable = false;
			break;
		case EXTENDED_ERAL:
			if (e->writable)
				fill(e, 0xffff);
			break;
		case EXTENDED_WRAL:
			e->shift = 0;
			e->phase = PHASE_WRITE;
			break;
		}
		break;
	}
}

static void rising_edge(struct eeprom93 *e, bool in)
{
	switch (e->phase) {
	case PHASE_START:
		if (in) {
			e->phase = PHASE_COMMAND;
			e->shift = e->count = 0;
		}
		break;
	case PHASE_COMMAND:
		e->shift = (uint16_t)(e->shift << 1 | in);
		if (++e->count == 8)
			begin(e);
		break;
	case PHASE_READ:
		e->out = e->shift >> 15;
		e->shift = (uint16_t)(e->shift << 1);
		if (++e->count == 16) {
			e->address = (e->address + 1) & 63;
			e->shift = e->word[e->address];
			e->count = 0;
		}
		break;
	case PHASE_WRITE:
		e->shift = (uint16_t)(e->shift << 1 | in);
		if (++e->count < 16)
			break;
		if (e->writable && e->command == COMMAND_WRITE)
			e->word[e->address] = e->shift;
		else if (e->writable)
			fill(e, e->shift);
		e->out = true;
		e->phase = PHASE_DONE;
		break;
	}
}

void eeprom93_drive(struct eeprom93 *e, bool select, bool clock, bool in)
{
	if (!select) {
		e->phase = PHASE_START;
		e->out = true;                  /* ready, once selected again */
	} else if (e->select && clock && !e->clock) {
		rising_edge(e, in);
	}
	e->select = select;
	e->clock = clock;
}
