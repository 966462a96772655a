/* SPDX-License-Identifier: MIT */
/* A PS/2 keyboard (sets 1 to 3) and a PS/2 mouse (IntelliMouse and Explorer): the device ends of two serial lines. */
#ifndef HW_PS2_H
#define HW_PS2_H

#include "base/clock.h"
#include "hw/keyboard.h"
#include "hw/state.h"

struct ps2_config {
	void (*ready)(void *owner);     /* the device has a byte to send; called on every new one */
	void *owner;
	struct clock *clock;
	struct state_list *states;
};

struct ps2_kbd;
struct ps2_kbd *ps2_kbd_new(const struct ps2_config *config);
void ps2_kbd_free(struct ps2_kbd *k);
void ps2_kbd_write(struct ps2_kbd *k, uint8_t byte);    /* from the controller */
int ps2_kbd_read(struct ps2_kbd *k);                    /* the next byte for the controller, -1: none */
int ps2_kbd_peek(const struct ps2_kbd *k);              /* the same without taking it */
/* Someone presses or releases a key.  false: the keyboard's buffer is full, the event is lost (as on a real one). */
bool ps2_kbd_key(struct ps2_kbd *k, unsigned key, bool down);
unsigned ps2_kbd_leds(const struct ps2_kbd *k);         /* 1 scroll, 2 num, 4 caps */

enum { PS2_LEFT = 1, PS2_RIGHT = 2, PS2_MIDDLE = 4, PS2_SIDE = 8, PS2_EXTRA = 16 };

struct ps2_mouse;
struct ps2_mouse *ps2_mouse_new(const struct ps2_config *config);
void ps2_mouse_free(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte);
int ps2_mouse_read(struct ps2_mouse *m);
int ps2_mouse_peek(const struct ps2_mouse *m);
/* Right, down and turning the wheel towards the user are positive. */
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz);
void ps2_mouse_buttons(struct ps2_mouse *m, unsigned buttons);

#endif
