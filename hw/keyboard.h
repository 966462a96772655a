/* SPDX-License-Identifier: MIT */
/* The keys of a PC keyboard: names as QEMU's `sendkey` knows them, and their scan codes. */
#ifndef HW_KEYBOARD_H
#define HW_KEYBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_NONE, KEY_PAUSE = 1, KEY_SYSRQ = 2 /* the two whose codes are special; the others are found by name */ };

struct keyboard_key {
	const char *name;               /* "ret", "a", "shift", ... */
	uint8_t set1, set2, set3;       /* make codes */
	bool extended;                  /* E0 before the codes of sets 1 and 2 */
};

/* The key of that name (QEMU's other spellings included), KEY_NONE if there is none. */
unsigned keyboard_key_by_name(const char *name);
/* The key whose set 1 code this is (bit 7: extended), as "0x1c" in sendkey means; KEY_NONE if none. */
unsigned keyboard_key_by_code(unsigned code);
/* For tab completion and the scan code tables: NULL beyond the last (key from 1). */
const struct keyboard_key *keyboard_key(unsigned key);
/* The keys that type this ASCII character on a US keyboard: *shift tells if Shift is held.  KEY_NONE if none. */
unsigned keyboard_key_by_char(char c, bool *shift);

#endif
