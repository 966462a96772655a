/* SPDX-License-Identifier: MIT */
#include "emu/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "emu/chr_internal.h"

static struct termios before, raw;
static volatile bool changed;
static bool taken;

void stdio_restore(void)
{
	if (changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

void stdio_resume(void)
{
	if (changed && tcgetpgrp(STDIN_FILENO) == getpgrp())
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* `signals`: Ctrl-C and Ctrl-Z stay the terminal's; else they are the guest's. */
static void make_raw(bool signals)
{
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
		return;
	raw = before;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_oflag |= OPOST;
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | (signals ? 0 : ISIG));
	raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcgetpgrp(STDIN_FILENO) != getpgrp())       /* in the background: the shell would stop us */
		return;
	changed = true;
	atexit(stdio_restore);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static bool open_stdio(struct chr *c, struct opts *o, struct err *err)
{
	bool signals = true;

	if (!opts_bool(o, "signal", &signals, err))
		return false;
	if (taken)
		return err_set(err, "cannot use stdio by multiple character devices (mux=on or mon:stdio lets them share it)");
	/* As fd 0 and 1 are, shared with the shell: no O_NONBLOCK here, chr.c asks before it reads or writes. */
	if (!chr_connect(c, STDIN_FILENO, STDOUT_FILENO, err))
		return false;
	taken = true;
	make_raw(signals);
	return true;
}

static void free_stdio(struct chr *c)
{
	(void)c;
	stdio_restore();
	changed = false;
	taken = false;
}

const struct chr_kind chr_stdio = { .name = "stdio", .open = open_stdio, .free = free_stdio };
