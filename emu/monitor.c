/* SPDX-License-Identifier: MIT */
/*
 * Line editing, the table of commands, and help.  Bytes come in under the machine lock; a finished line is run from a timer
 * of the loop clock, without the lock, because commands stop processors and those may want it.
 */
#include "emu/monitor.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "emu/machine.h"
#include "emu/version.h"

enum { LINE_MAX_ = 1024, HISTORY = 32, WORDS_MAX = 32, OUTPUT_MAX = 4 << 20 };

static const char prompt[] = "(tenbox) ";

struct monitor {
	struct machine *machine;
	struct chardev *dev;
	struct timer work;              /* on the loop clock: run the line */
	bool greeted, busy;             /* busy: a line waits to be run */
	unsigned cpu;                   /* what x and info registers look at */

	char line[LINE_MAX_];
	size_t len;
	enum { PLAIN, ESCAPE, BRACKET } state;  /* of an arrow key's bytes */
	char last;                      /* the byte before, for CR LF */
	char *history[HISTORY];
	unsigned history_count, history_at;

	char *out;                      /* what the stream had no room for */
	size_t out_len, out_room;
};

static const struct command cmd_monitor[];
static const struct command *const tables[] = {
	cmd_machine, cmd_block, cmd_network, cmd_cpu, cmd_memory, cmd_screen, cmd_monitor,
};

/* --- output ------------------------------------------------------------------------------------------------------- */

/* With the machine lock held. */
static void flush(struct monitor *mon)
{
	size_t n;

	if (!mon->out_len)
		return;
	n = mon->dev->write(mon->dev, mon->out, mon->out_len);
	mon->out_len -= n;
	memmove(mon->out, mon->out + n, mon->out_len);
}

static void put(struct monitor *mon, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (mon->out_len + 2 > mon->out_room) {
			char *more;

			if (mon->out_room >= OUTPUT_MAX)
				return;         /* nobody reads: it is only text */
			more = realloc(mon->out, mon->out_room ? 2 * mon->out_room : 4096);
			if (!more)
				return;
			mon->out = more;
			mon->out_room = mon->out_room ? 2 * mon->out_room : 4096;
		}
		if (text[i] == '\n')
			mon->out[mon->out_len++] = '\r';
		mon->out[mon->out_len++] = text[i];
	}
}

static void say(struct monitor *mon, const char *text)
{
	put(mon, text, strlen(text));
}

void monitor_printf(struct monitor *mon, const char *format, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0)
		return;
	put(mon, text, (size_t)n);
	free(text);
}

void monitor_line(void *to, const char *line)
{
	put(to, line, strlen(line));
	put(to, "\n", 1);
}

unsigned monitor_cpu(const struct monitor *mon) { return mon->cpu; }
void monitor_set_cpu(struct monitor *mon, unsigned index) { mon->cpu = index; }

static void show_prompt(struct monitor *mon)
{
	if (!mon->greeted)
		say(mon, "tenbox " TENBOX_VERSION " monitor - type 'help' for more information\n");
	mon->greeted = true;
	say(mon, prompt);
	put(mon, mon->line, mon->len);
}

/* --- running a line ----------------------------------------------------------------------------------------------- */

/* Cut the line into words; double quotes keep blanks together, a backslash takes the next byte as it is. */
static int split(char *line, char **words, int max)
{
	char *from = line, *to = line;
	int n = 0;

	for (;;) {
		bool quoted = false;

		while (*from == ' ' || *from == '\t')
			from++;
		if (!*from || n == max)
			return n;
		words[n++] = to;
		for (; *from && (quoted || (*from != ' ' && *from != '\t')); from++) {
			if (*from == '"')
				quoted = !quoted;
			else if (*from == '\\' && from[1])
				*to++ = *++from;
			else
				*to++ = *from;
		}
		if (!*from) {
			*to = '\0';
			return n;
		}
		from++;                         /* `to` is not ahead of it: words only shrink */
		*to++ = '\0';
	}
}

/* How many words a command's `args` asks for: those that are not in brackets as a whole. */
static int needed(const char *args)
{
	int n = 0;

	while (args && *args) {
		bool whole = *args == '[';
		int depth = 0;

		for (; *args && (*args != ' ' || depth); args++) {
			depth += *args == '[';
			depth -= *args == ']';
			if (depth == 0 && args[1] && args[1] != ' ')
				whole = false;
		}
		n += !whole;
		args += *args == ' ';
	}
	return n;
}

/* "info network": two words; the name may list other spellings behind '|'. */
static bool named(const char *name, const char *first, const char *second, bool *two)
{
	while (*name) {
		size_t n = strcspn(name, "|"), space = strcspn(name, " ");

		if (space < n) {
			*two = true;
			if (second && strlen(first) == space && !strncmp(name, first, space) && strlen(second) == n - space - 1 &&
			    !strncmp(name + space + 1, second, n - space - 1))
				return true;
		} else if (strlen(first) == n && !strncmp(name, first, n)) {
			*two = false;
			return true;
		}
		name += n + (name[n] == '|');
	}
	return false;
}

static void run_command(struct monitor *mon, const struct command *c, int argc, char **argv, const char *slash)
{
	struct machine *m = mon->machine;

	if (c->run) {
		c->run(mon, m, argc, argv, slash);
	} else if (c->act) {
		c->act(mon, m);
	} else {
		run_freeze(m->run);
		run_lock(m->run);
		c->show(m->pc, monitor_line, mon);
		run_unlock(m->run);
		run_thaw(m->run);
	}
}

static void run_line(struct monitor *mon, char *line)
{
	char *words[WORDS_MAX], *slash;
	int n = split(line, words, WORDS_MAX);

	if (n == 0)
		return;
	slash = strchr(words[0], '/');
	if (slash)
		*slash++ = '\0';
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (const struct command *c = tables[t]; c->name; c++) {
			bool two = false;

			if (!named(c->name, words[0], n > 1 ? words[1] : NULL, &two))
				continue;
			if (n - 1 - two < needed(c->args)) {
				monitor_printf(mon, "%s: missing argument (%s)\nTry \"help %s\" for more information\n", words[0], c->args,
					       words[0]);
				return;
			}
			run_command(mon, c, n - two, words + two, slash);
			return;
		}
	}
	if (!strcmp(words[0], "info"))
		monitor_printf(mon, "unknown command: 'info%s%s' (help info lists them)\n", n > 1 ? " " : "", n > 1 ? words[1] : "");
	else
		monitor_printf(mon, "unknown command: '%s'\n", words[0]);
}

static void remember(struct monitor *mon)
{
	mon->history_at = mon->history_count;
	if (!mon->len || (mon->history_count && !strcmp(mon->history[mon->history_count - 1], mon->line)))
		return;
	if (mon->history_count == HISTORY) {
		free(mon->history[0]);
		memmove(mon->history, mon->history + 1, (HISTORY - 1) * sizeof(*mon->history));
		mon->history_count--;
	}
	mon->history[mon->history_count++] = strdup(mon->line);
	mon->history_at = mon->history_count;
}

static void work(void *owner)
{
	struct monitor *mon = owner;
	char line[LINE_MAX_];

	mon->line[mon->len] = '\0';
	memcpy(line, mon->line, mon->len + 1);
	remember(mon);
	run_line(mon, line);
	run_lock(mon->machine->run);
	mon->len = 0;
	mon->busy = false;
	if (!run_ending(mon->machine->run))
		show_prompt(mon);
	flush(mon);
	mon->dev->accept_input(mon->dev);
	run_unlock(mon->machine->run);
}

/* --- editing ------------------------------------------------------------------------------------------------------ */

static void replace_line(struct monitor *mon, const char *with)
{
	say(mon, "\r\033[K");
	mon->len = strlen(with);
	memcpy(mon->line, with, mon->len);
	show_prompt(mon);
}

static void arrow(struct monitor *mon, char key)
{
	if (key == 'A' && mon->history_at > 0)
		replace_line(mon, mon->history[--mon->history_at]);
	if (key == 'B' && mon->history_at < mon->history_count)
		replace_line(mon, ++mon->history_at < mon->history_count ? mon->history[mon->history_at] : "");
}

static void erase(struct monitor *mon, size_t n)
{
	for (; n && mon->len; n--) {
		mon->len--;
		say(mon, "\b \b");
	}
}

static size_t last_word(const struct monitor *mon)
{
	size_t n = mon->len;

	while (n && mon->line[n - 1] == ' ')
		n--;
	while (n && mon->line[n - 1] != ' ')
		n--;
	return mon->len - n;
}

/* Complete what is typed to the longest text that all commands which begin so share. */
static void complete(struct monitor *mon)
{
	char found[64] = "";
	unsigned count = 0;

	mon->line[mon->len] = '\0';
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (const struct command *c = tables[t]; c->name; c++) {
			char name[64];
			size_t k = 0;

			snprintf(name, sizeof(name), "%.*s", (int)strcspn(c->name, "|"), c->name);
			if (strncmp(name, mon->line, mon->len))
				continue;
			if (count++ == 0) {
				strcpy(found, name);
				continue;
			}
			while (found[k] && found[k] == name[k])
				k++;
			found[k] = '\0';
		}
	}
	if (!count || strlen(found) < mon->len)
		return;
	say(mon, found + mon->len);
	mon->len = (size_t)snprintf(mon->line, sizeof(mon->line), "%s%s", found, count == 1 ? " " : "");
	if (count == 1)
		say(mon, " ");
}

/* Returns false if the rest of the input must wait: a line is complete. */
static bool key(struct monitor *mon, uint8_t c)
{
	char last = mon->last;

	mon->last = (char)c;
	if (mon->state == ESCAPE) {
		mon->state = c == '[' || c == 'O' ? BRACKET : PLAIN;
		return true;
	}
	if (mon->state == BRACKET) {
		if (c >= 0x40)
			mon->state = PLAIN;
		arrow(mon, (char)c);
		return true;
	}
	switch (c) {
	case 0x1b:
		mon->state = ESCAPE;
		return true;
	case '\n':
		if (last == '\r')
			return true;
		/* fall through */
	case '\r':
		say(mon, "\n");
		mon->busy = true;
		timer_soon(&mon->work);
		return false;
	case 0x7f:
	case '\b':
		erase(mon, 1);
		return true;
	case 0x15:                              /* Ctrl-U */
		erase(mon, mon->len);
		return true;
	case 0x17:                              /* Ctrl-W */
		erase(mon, last_word(mon));
		return true;
	case 0x10:                              /* Ctrl-P, Ctrl-N */
	case 0x0e:
		arrow(mon, c == 0x10 ? 'A' : 'B');
		return true;
	case '\t':
		complete(mon);
		return true;
	}
	if (c >= ' ' && mon->len + 1 < sizeof(mon->line)) {
		mon->line[mon->len++] = (char)c;
		put(mon, (char *)&c, 1);
	}
	return true;
}

static size_t can_receive(void *owner)
{
	struct monitor *mon = owner;

	return mon->busy ? 0 : 1;               /* byte by byte: a finished line holds back the next */
}

static void receive(void *owner, const uint8_t *buf, size_t len)
{
	struct monitor *mon = owner;

	for (size_t i = 0; i < len; i++)
		key(mon, buf[i]);
	flush(mon);
}

static void writable(void *owner)
{
	flush(owner);
}

static void opened(void *owner)
{
	struct monitor *mon = owner;

	if (mon->busy)
		return;
	if (mon->greeted)
		say(mon, "\r\033[K");
	show_prompt(mon);
	flush(mon);
}

static void closed(void *owner)
{
	struct monitor *mon = owner;

	mon->greeted = false;
	mon->len = mon->busy ? mon->len : 0;
	mon->out_len = 0;
	mon->state = PLAIN;
}

struct monitor *monitor_new(struct machine *m, struct chr *c, struct err *err)
{
	static const struct chardev_user user = { .can_receive = can_receive, .receive = receive, .writable = writable };
	struct monitor *mon = calloc(1, sizeof(*mon));

	assert(mon);
	mon->machine = m;
	timer_init(&mon->work, run_loop_clock(m->run), work, mon);
	mon->dev = chr_attach(c, "monitor", &(struct chr_events){ opened, closed, mon }, err);
	if (!mon->dev) {
		free(mon);
		return NULL;
	}
	mon->dev->user = &user;
	mon->dev->owner = mon;
	if (!chr_is_mux(c))
		opened(mon);                    /* into the void if nobody is connected yet */
	if (!chr_connected(c))
		closed(mon);
	mon->dev->accept_input(mon->dev);
	return mon;
}

void monitor_free(struct monitor *mon)
{
	if (!mon)
		return;
	timer_cancel(&mon->work);
	for (unsigned i = 0; i < mon->history_count; i++)
		free(mon->history[i]);
	free(mon->out);
	free(mon);
}

/* --- help --------------------------------------------------------------------------------------------------------- */

static void help(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	bool info = argc > 1 && !strcmp(argv[1], "info");

	(void)m, (void)slash;
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (const struct command *c = tables[t]; c->name; c++) {
			bool two;

			if (argc > 1 && !info && !named(c->name, argv[1], argc > 2 ? argv[2] : NULL, &two))
				continue;
			if (info && strncmp(c->name, "info ", 5))
				continue;
			if (argc == 1 && !strncmp(c->name, "info ", 5))
				continue;
			monitor_printf(mon, "%s%s%s -- %s\n", c->name, c->args ? " " : "", c->args ? c->args : "", c->help);
		}
	}
	if (argc == 1)
		monitor_printf(mon, "info [subcommand] -- show what there is (help info lists them)\n");
}

static void info(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	char *words[2] = { argv[0], (char *)"info" };

	if (argc > 1)
		monitor_printf(mon, "unknown command: 'info %s' (help info lists them)\n", argv[1]);
	else
		help(mon, m, 2, words, slash);
}

static const struct command cmd_monitor[] = {
	{ "help|?", "[command]", "this list, or one command of it", .run = help },
	{ "info", NULL, "list the subcommands of info", .run = info },
	{ .name = NULL },
};
