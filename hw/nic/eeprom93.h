/* SPDX-License-Identifier: MIT */
/*
 * A Microwire serial EEPROM of the 93C46 kind: 64 words of 16 bits behind three wires (Atmel AT93C46 data sheet, organisation
 * x16).  Cards of the time keep their MAC address in one.
 */
#ifndef HW_NIC_EEPROM93_H
#define HW_NIC_EEPROM93_H

#include <stdbool.h>
#include <stdint.h>

enum { EEPROM93_WORDS = 64 };

/* Plain data: lies in the owner's state section. */
struct eeprom93 {
	uint16_t word[EEPROM93_WORDS];
	uint16_t shift;                 /* bits taken in so far, or being sent out */
	uint8_t count;                  /* of bits in this phase */
	uint8_t phase, command, address;
	bool select, clock, out;        /* CS, SK, DO */
	bool writable;                  /* after EWEN, until EWDS */
};

/* Power-on: the wires at rest, the words untouched. */
void eeprom93_reset(struct eeprom93 *e);
/* Drive CS, SK and DI; the bit on DO is eeprom93_out(). */
void eeprom93_drive(struct eeprom93 *e, bool select, bool clock, bool in);
static inline bool eeprom93_out(const struct eeprom93 *e) { return e->out; }

#endif
