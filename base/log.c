/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"

unsigned log_mask;
const char *log_name = "tenbox";
static FILE *log_file;          /* NULL: stderr */

static const struct {
	const char *name;
	unsigned bit;
	const char *what;
} items[] = {
	{ "in_asm", LOG_IN_ASM, "guest code as it is first decoded" },
	{ "int", LOG_INT, "interrupts and exceptions" },
	{ "cpu", LOG_CPU, "registers before each block" },
	{ "guest_errors", LOG_GUEST_ERRORS, "the guest did what a data sheet forbids" },
	{ "unimp", LOG_UNIMP, "the guest asked for what is left out" },
	{ "exec", LOG_EXEC, "each block as it is entered" },
	{ "op", LOG_OP, "decoded form of each block" },
	{ "out_asm", LOG_OUT_ASM, "host code of each block" },
	{ "mmu", LOG_MMU, "page walks that fault" },
	{ "nochain", LOG_NOCHAIN, "do not chain blocks (exec does so too)" },
	{ "net", LOG_NET, "what the network side refuses" },
};

bool log_parse(const char *list, unsigned *mask, const char **bad)
{
	unsigned m = 0;

	while (*list) {
		size_t n = strcspn(list, ","), i;

		for (i = 0; i < ARRAY_SIZE(items); i++)
			if (strlen(items[i].name) == n && !memcmp(items[i].name, list, n))
				break;
		if (i == ARRAY_SIZE(items)) {
			*bad = list;
			return false;
		}
		m |= items[i].bit;
		list += n;
		if (*list == ',')
			list++;
	}
	*mask = m;
	return true;
}

void log_help(void)
{
	puts("Log items (comma separated):");
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		printf("%-15s %s\n", items[i].name, items[i].what);
}

int log_open(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	setvbuf(f, NULL, _IOLBF, 0);
	if (log_file)
		fclose(log_file);
	log_file = f;
	return 0;
}

static void write_line(const char *prefix, const char *format, va_list ap)
{
	char line[1024];
	size_t n = 0;

	if (prefix)
		n = (size_t)snprintf(line, sizeof(line), "%s: ", prefix);
	if (n < sizeof(line))
		vsnprintf(line + n, sizeof(line) - n, format, ap);
	fprintf(log_file ? log_file : stderr, "%s\n", line);
}

void log_line(unsigned mask, const char *format, ...)
{
	va_list ap;

	if (!(log_mask & mask))
		return;
	va_start(ap, format);
	write_line(NULL, format, ap);
	va_end(ap);
}

void log_limited(struct log_limit *l, unsigned mask, const char *part, const char *format, ...)
{
	enum { LINES_MAX = 10 };
	const uint64_t window = 1000000000;
	uint64_t now;
	va_list ap;

	if (!(log_mask & mask))
		return;
	now = clock_monotonic(NULL);
	if (now - l->window_ns >= window) {
		if (l->dropped)
			fprintf(log_file ? log_file : stderr, "%s: %u more like the last one\n", part, l->dropped);
		l->window_ns = now;
		l->lines = l->dropped = 0;
	}
	if (l->lines >= LINES_MAX) {
		l->dropped++;
		return;
	}
	l->lines++;
	va_start(ap, format);
	write_line(part, format, ap);
	va_end(ap);
}

void log_user(const char *format, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	fprintf(stderr, "%s: %s\n", log_name, line);
}
