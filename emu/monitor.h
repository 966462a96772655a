/* SPDX-License-Identifier: MIT */
/* The monitor: commands for the person (or script) who runs the machine, on any stream. */
#ifndef EMU_MONITOR_H
#define EMU_MONITOR_H

#include "base/err.h"

struct chr;
struct machine;
struct monitor;
struct pc;

struct monitor *monitor_new(struct machine *m, struct chr *c, struct err *err);
void monitor_free(struct monitor *mon);

/* For commands: text to the monitor's user; "\n" ends a line. */
void monitor_printf(struct monitor *mon, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same as a callback of the parts' print functions; to is the monitor. */
void monitor_line(void *to, const char *line);

/* The processor whose registers and memory commands show. */
unsigned monitor_cpu(const struct monitor *mon);
void monitor_set_cpu(struct monitor *mon, unsigned index);

/*
 * A command runs on the loop thread without the machine lock.  args: the words of `args` are how many it needs at least
 * ("FILE [-f FORMAT]": one); argv[0] is the command's last word, with what stood behind a '/' in `slash`.
 */
struct command {
	const char *name, *args, *help;
	/* One of the three: */
	void (*run)(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash);
	void (*act)(struct monitor *mon, struct machine *m);    /* for who wants no arguments */
	/* prints a part of the PC: with the machine lock held and the processors at rest */
	void (*show)(struct pc *pc, void (*out)(void *to, const char *line), void *to);
};

/* The parts of the table, each ended by a NULL name. */
extern const struct command cmd_machine[], cmd_block[], cmd_network[], cmd_cpu[], cmd_memory[], cmd_screen[];

#endif
