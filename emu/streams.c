/* SPDX-License-Identifier: MIT */
/* -chardev, -serial, -monitor, -mon, -debugcon and -nographic: which stream goes to which device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "emu/machine.h"
#include "emu/monitor.h"

struct chr *streams_find(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->chr_count; i++)
		if (!strcmp(chr_id(m->chrs[i]), id))
			return m->chrs[i];
	return NULL;
}

static struct chr *add(struct machine *m, struct opts *o, struct err *err)
{
	const char *id = opts_get(o, "id");
	struct chr *c;

	if (m->chr_count == MACHINE_CHRS) {
		err_set(err, "more than %d character devices", MACHINE_CHRS);
		return NULL;
	}
	if (id && streams_find(m, id)) {
		err_set(err, "Duplicate ID '%s' for chardev", id);
		return NULL;
	}
	c = chr_new(m->run, o, err);
	if (c)
		m->chrs[m->chr_count++] = c;
	return c;
}

struct chr *streams_from_word(struct machine *m, const char *word, const char *id, bool *none, struct err *err)
{
	struct opts o;
	struct chr *c;

	*none = !strcmp(word, "none");
	if (*none)
		return NULL;
	if (!strncmp(word, "chardev:", 8)) {
		c = streams_find(m, word + 8);
		if (!c)
			err_set(err, "chardev '%s' not found", word + 8);
		return c;
	}
	if (!chr_legacy(word, id, &o, err))
		return NULL;
	c = add(m, &o, err);
	opts_free(&o);
	return c;
}

static bool add_monitor(struct machine *m, struct chr *c, struct err *err)
{
	struct monitor *mon;

	if (m->monitor_count == MACHINE_MONITORS)
		return err_set(err, "more than %d monitors", MACHINE_MONITORS);
	mon = monitor_new(m, c, err);
	if (mon)
		m->monitors[m->monitor_count++] = mon;
	return mon;
}

static void menu_quit(void *owner)
{
	run_request_quit(((struct machine *)owner)->run, 0);
}

static void menu_save(void *owner)
{
	struct machine *m = owner;

	for (unsigned i = 0; i < m->drive_count; i++)
		if (m->drives[i].disk)
			disk_file_sync(m->drives[i].disk);
}

static unsigned count_of(const struct options *o, enum option_class class)
{
	unsigned n = 0;

	for (size_t i = 0; i < o->count; i++)
		n += o->items[i].class == class;
	return n;
}

static bool open_chardevs(struct machine *m, struct err *err)
{
	for (size_t i = 0; i < m->o->count; i++) {
		const struct option_item *item = &m->o->items[i];

		if (item->class == OPTION_CHARDEV && !add(m, (struct opts *)&item->opts, err)) {
			option_prefix(item, err);
			return false;
		}
	}
	return true;
}

/* One -serial or -debugcon: its stream's end for the device; NULL with *ok for "none". */
static struct chardev *open_serial(struct machine *m, const char *word, const char *id, bool *ok, struct err *err)
{
	struct chardev *dev = NULL;
	bool none;
	struct chr *c = streams_from_word(m, word, id, &none, err);

	*ok = none;
	if (c) {
		dev = chr_attach(c, id, NULL, err);
		*ok = dev;
	}
	/* mon:...: the monitor shares it. */
	if (dev && !strncmp(word, "mon:", 4))
		*ok = add_monitor(m, c, err);
	return dev;
}

static bool open_mons(struct machine *m, struct err *err)
{
	unsigned n = 0;

	for (size_t i = 0; i < m->o->count; i++) {
		const struct option_item *item = &m->o->items[i];
		struct opts *o = (struct opts *)&item->opts;
		struct chr *c = NULL;
		bool none = false, ok = false;
		char id[32];

		if (item->class == OPTION_MONITOR) {
			snprintf(id, sizeof(id), n ? "compat_monitor%u" : "compat_monitor0", n);
			n++;
			c = streams_from_word(m, item->text, id, &none, err);
			ok = none || (c && add_monitor(m, c, err));
		} else if (item->class == OPTION_MON) {
			const char *chardev = opts_get(o, "chardev"), *mode = opts_get(o, "mode");

			c = chardev ? streams_find(m, chardev) : NULL;
			if (!chardev)
				err_set(err, "chardev=ID is missing");
			else if (!c)
				err_set(err, "chardev '%s' not found", chardev);
			else if (mode && strcmp(mode, "readline"))
				err_set(err, "unknown monitor mode '%s' (readline)", mode);
			else
				ok = opts_done(o, err) && add_monitor(m, c, err);
		} else {
			continue;
		}
		if (!ok) {
			option_prefix(item, err);
			return false;
		}
	}
	return true;
}

/* The debug console of -debugcon or -device isa-debugcon. */
static bool open_debugcon(struct machine *m, struct pc_config *config, struct err *err)
{
	for (size_t i = 0; i < m->o->count; i++) {
		const struct option_item *item = &m->o->items[i];
		struct opts *o = (struct opts *)&item->opts;
		const char *id;
		struct chr *c;
		bool ok = true;

		if (item->class == OPTION_DEBUGCON) {
			config->debugcon = open_serial(m, item->text, "debugcon", &ok, err);
		} else if (item->class == OPTION_DEVICE && driver_find(opts_get(o, "driver"))->kind == DRIVER_DEBUGCON) {
			id = opts_get(o, "chardev");
			c = streams_find(m, id);
			config->debugcon = c ? chr_attach(c, "debugcon", NULL, err) : NULL;
			if (!c)
				err_set(err, "Property 'isa-debugcon.chardev' can't find value '%s'", id);
			ok = config->debugcon;
		}
		if (!ok) {
			option_prefix(item, err);
			return false;
		}
	}
	return true;
}

bool streams_open(struct machine *m, struct pc_config *config, struct err *err)
{
	const struct options *o = m->o;
	unsigned n = 0, monitors = count_of(o, OPTION_MONITOR) + count_of(o, OPTION_MON);
	bool ok;

	if (!open_chardevs(m, err))
		return false;
	for (size_t i = 0; i < o->count; i++) {
		char id[16];

		if (o->items[i].class != OPTION_SERIAL)
			continue;
		if (n == 4) {
			err_set(err, "max. 4 serial ports");
			option_prefix(&o->items[i], err);
			return false;
		}
		snprintf(id, sizeof(id), "serial%u", n);
		config->serial[n++] = open_serial(m, o->items[i].text, id, &ok, err);
		if (!ok) {
			option_prefix(&o->items[i], err);
			return false;
		}
	}
	/* The defaults: with -nographic both share the terminal; else the port is there with nothing at its end. */
	if (n == 0 && !o->nodefaults) {
		const char *word = !o->nographic ? "null" : monitors ? "stdio,signal=off" : "mon:stdio,signal=off";

		config->serial[0] = open_serial(m, word, "serial0", &ok, err);
		if (!ok) {
			err_prefix(err, o->nographic ? "-nographic" : "-serial %s", word);
			return false;
		}
	}
	if (!open_mons(m, err) || !open_debugcon(m, config, err))
		return false;
	if (o->nographic && n && !monitors && m->monitor_count == 0 && !o->nodefaults) {
		bool none;
		struct chr *c = streams_from_word(m, "stdio,signal=off,mux=on", "compat_monitor0", &none, NULL);

		/* As in QEMU the monitor takes the terminal if a -serial did not. */
		if (c && !add_monitor(m, c, err))
			return false;
	}
	for (unsigned i = 0; i < m->chr_count; i++)
		if (chr_is_mux(m->chrs[i]))
			chr_set_menu(m->chrs[i], &(struct chr_menu){ menu_quit, menu_save, m });
	return true;
}

void streams_free(struct machine *m)
{
	for (unsigned i = 0; i < m->monitor_count; i++)
		monitor_free(m->monitors[i]);
	for (unsigned i = 0; i < m->chr_count; i++) {
		chr_drain(m->chrs[i]);
		chr_free(m->chrs[i]);
	}
}
