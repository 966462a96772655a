/* SPDX-License-Identifier: MIT */
/*
 * Several users on one terminal.  Input goes to the focused one, output of all is merged.  The keys after Ctrl-A are
 * those of QEMU's -nographic: h x s b c t and Ctrl-A itself.
 */
#include "emu/chr_mux.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "emu/run.h"

enum { ESCAPE = 0x01 };

static const char help[] =
	"\r\n"
	"C-a h    show this help\r\n"
	"C-a x    leave the emulator\r\n"
	"C-a s    write the disks' data to their files\r\n"
	"C-a t    switch time stamps on and off\r\n"
	"C-a b    send a break (Linux: magic SysRq)\r\n"
	"C-a c    switch between console and monitor\r\n"
	"C-a C-a  send a C-a\r\n";

/* What ends the program or waits for disks is done without the machine lock. */
static void menu_work(void *owner)
{
	struct chr *c = owner;

	if (c->menu_key == 'x' && c->menu.quit)
		c->menu.quit(c->menu.owner);
	if (c->menu_key == 's' && c->menu.save)
		c->menu.save(c->menu.owner);
}

void mux_init(struct chr *c)
{
	timer_init(&c->menu_work, run_loop_clock(c->run), menu_work, c);
}

void chr_set_menu(struct chr *c, const struct chr_menu *menu)
{
	c->menu = *menu;
}

static void switch_focus(struct chr *c)
{
	if (c->count < 2)
		return;
	c->focus = (c->focus + 1) % c->count;
	if (c->ends[c->focus].events.open)
		c->ends[c->focus].events.open(c->ends[c->focus].events.owner);
}

static void command(struct chr *c, uint8_t key)
{
	struct chr_end *e = &c->ends[c->focus];

	switch (key) {
	case 'h':
	case '?':
		chr_say(c, help);
		break;
	case 'x':
		chr_say(c, "tenbox: Terminated\r\n");
		/* fall through */
	case 's':
		c->menu_key = (char)key;
		timer_soon(&c->menu_work);
		break;
	case 'b':
		if (e->dev.user && e->dev.user->brk)
			e->dev.user->brk(e->dev.owner);
		break;
	case 'c':
		switch_focus(c);
		break;
	case 't':
		c->stamps = !c->stamps;
		c->stamps_from = run_now(c->run);
		break;
	}
}

size_t mux_room(struct chr *c)
{
	return sizeof(c->held) - c->held_len;
}

void mux_offer(struct chr *c)
{
	struct chr_end *e = &c->ends[c->focus];

	while (c->held_len && c->count && e->dev.user) {
		size_t n = MIN(e->dev.user->can_receive(e->dev.owner), c->held_len);
		uint8_t buf[sizeof(c->held)];

		if (n == 0)
			return;
		memcpy(buf, c->held, n);
		c->held_len -= (uint32_t)n;
		memmove(c->held, c->held + n, c->held_len);
		e->dev.user->receive(e->dev.owner, buf, n);
	}
}

void mux_input(struct chr *c, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (c->escape) {
			c->escape = false;
			if (buf[i] != ESCAPE) {
				mux_offer(c);           /* what was typed before the key belongs to the old focus */
				command(c, buf[i]);
				continue;
			}
		} else if (buf[i] == ESCAPE) {
			c->escape = true;
			continue;
		}
		c->held[c->held_len++] = buf[i];
	}
	mux_offer(c);
}

size_t mux_stamped(struct chr *c, struct chr_end *e, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		/* Room for a stamp and a byte, so that none is torn apart. */
		if (CHR_RING - (c->tail - c->head) < 40)
			return i;
		if (e->line_start) {
			uint64_t ms = (run_now(c->run) - c->stamps_from) / 1000000;
			char stamp[40];
			int n = snprintf(stamp, sizeof(stamp), "[%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "] ",
					 ms / 3600000 % 100, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);

			for (int k = 0; k < n; k++)
				c->ring[c->tail++ % CHR_RING] = (uint8_t)stamp[k];
			e->line_start = false;
		}
		c->ring[c->tail++ % CHR_RING] = buf[i];
		if (buf[i] == '\n')
			e->line_start = true;
	}
	return len;
}
