/* SPDX-License-Identifier: MIT */
/*
 * Named, versioned sections of plain data: what reset restores and a snapshot carries (style.md 3.6).  A device registers the
 * section of its struct that holds its registers (no pointers, no host handles; timers as deadlines, lines as levels), and
 * gets reset, and later saving and comparing, for one line.
 */
#ifndef HW_STATE_H
#define HW_STATE_H

#include <stddef.h>
#include <stdint.h>

struct state_section {
	const char *name;               /* "i8254"; with `instance` unique in the machine */
	unsigned instance, version;
	void *data;
	size_t size;
	void *owner;
	void (*reset)(void *owner);     /* power-on state */
	void (*loaded)(void *owner);    /* data was replaced: re-arm timers from deadlines, re-drive lines; may be NULL */
};

/* A list of sections, in order of registration; reset runs in that order. */
struct state_list;
struct state_list *state_list_new(void);
void state_list_free(struct state_list *l);
/* Copied (`name` is kept).  A NULL list is fine: a device made in a test needs none. */
void state_add(struct state_list *l, const struct state_section *s);
void state_reset_all(struct state_list *l);
/* The sections in order; NULL past the end. */
const struct state_section *state_get(const struct state_list *l, size_t index);

#endif
