/* SPDX-License-Identifier: MIT */
/* The multiplexer: Ctrl-A and a key.  Used by chr.c only, with the machine lock held. */
#ifndef EMU_CHR_MUX_H
#define EMU_CHR_MUX_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/chr_internal.h"

void mux_init(struct chr *c);
/* Bytes of input that can be taken now. */
size_t mux_room(struct chr *c);
/* Input from the descriptor; at most mux_room() bytes. */
void mux_input(struct chr *c, const uint8_t *buf, size_t len);
/* Hand on what was held while the focused user had no room. */
void mux_offer(struct chr *c);
/* A user's output with a time stamp at each line's start.  Returns how much of buf was taken. */
size_t mux_stamped(struct chr *c, struct chr_end *e, const uint8_t *buf, size_t len);

#endif
