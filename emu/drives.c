/* SPDX-License-Identifier: MIT */
/* -drive, -hda and their kin, and the -device disks: images, and which controller's cable they hang on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "emu/machine.h"
#include "hw/virtio_blk.h"

static struct drive *find_drive(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->drive_count; i++)
		if (!strcmp(m->drives[i].id, id))
			return &m->drives[i];
	return NULL;
}

static struct drive *ide_at(struct machine *m, unsigned index)
{
	for (unsigned i = 0; i < m->drive_count; i++)
		if (m->drives[i].kind == DRIVE_IDE && m->drives[i].index == index)
			return &m->drives[i];
	return NULL;
}

/* A value out of a list; NULL or absent is fine. */
static bool one_of(struct opts *o, const char *key, const char *const *values, struct err *err)
{
	const char *value = opts_get(o, key);
	char list[200] = "";

	if (!value)
		return true;
	for (size_t i = 0; values[i]; i++) {
		if (!strcmp(value, values[i]))
			return true;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", values[i]);
	}
	return err_set(err, "invalid %s option '%s' (%s)", key, value, list);
}

/* Settings that change how the host does its work, not what the guest sees: taken, and all the same here. */
static bool harmless(struct opts *o, struct err *err)
{
	static const char *const cache[] = { "none", "writeback", "writethrough", "directsync", "unsafe", "off", NULL };
	static const char *const aio[] = { "threads", "native", "io_uring", NULL };
	static const char *const zeroes[] = { "off", NULL };
	static const char *const errors[] = { "report", "ignore", "enospc", "stop", NULL };
	static const char *const locking[] = { "auto", "on", NULL };

	return one_of(o, "cache", cache, err) && one_of(o, "aio", aio, err) && one_of(o, "detect-zeroes", zeroes, err) &&
	       one_of(o, "werror", errors + 2, err) && one_of(o, "rerror", errors, err) && one_of(o, "file.locking", locking, err);
}

static bool plan_place(struct machine *m, struct drive *d, struct err *err)
{
	uint64_t index = 0, bus = 0, unit = 0;
	const char *given = opts_get(d->opts, "index");

	if (!opts_number(d->opts, "index", 0, 3, &index, err) || !opts_number(d->opts, "bus", 0, 1, &bus, err) ||
	    !opts_number(d->opts, "unit", 0, 1, &unit, err))
		return false;
	if (d->kind != DRIVE_IDE)
		return true;
	if (!given && (opts_get(d->opts, "bus") || opts_get(d->opts, "unit"))) {
		index = bus * 2 + unit;
	} else if (!given) {
		index = d->cdrom ? 2 : 0;
		while (index < 4 && ide_at(m, (unsigned)index))
			index++;
		for (unsigned i = 0; index == 4 && i < 4; i++)
			if (!ide_at(m, i))
				index = i;
		if (index == 4)
			return err_set(err, "all four places for IDE drives are taken (if=virtio has more)");
	}
	if (ide_at(m, (unsigned)index))
		return err_set(err, "drive with bus=%" PRIu64 ", unit=%" PRIu64 " (index=%" PRIu64 ") exists", index / 2, index % 2, index);
	d->index = (unsigned)index;
	return true;
}

static bool plan_drive(struct machine *m, const struct option_item *item, struct err *err)
{
	static const char *const media[] = { "disk", "cdrom", NULL }, *const formats[] = { "raw", NULL };
	static const char *const discards[] = { "ignore", "off", "unmap", "on", NULL };
	struct opts *o = (struct opts *)&item->opts;
	const char *kind = opts_get(o, "if"), *id = opts_get(o, "id"), *type = opts_get(o, "media");
	struct drive d = { .item = item, .opts = o, .bootindex = -1 };
	bool read_only, snapshot;

	if (m->drive_count == MACHINE_DRIVES)
		return err_set(err, "more than %d drives", MACHINE_DRIVES);
	if (kind && (!strcmp(kind, "scsi") || !strcmp(kind, "floppy") || !strcmp(kind, "sd") || !strcmp(kind, "mtd") ||
		     !strcmp(kind, "pflash")))
		return err_set(err, "machine type does not support if=%s (ide, virtio, none)", kind);
	if (kind && strcmp(kind, "ide") && strcmp(kind, "virtio") && strcmp(kind, "none"))
		return err_set(err, "unsupported bus type '%s' (ide, virtio, none)", kind);
	d.kind = !kind || !strcmp(kind, "ide") ? DRIVE_IDE : !strcmp(kind, "virtio") ? DRIVE_VIRTIO : DRIVE_NONE;
	if (id && !opt_is_id(id))
		return err_set(err, "Parameter 'id' expects an identifier, not '%s'", id);
	if (id && find_drive(m, id))
		return err_set(err, "Duplicate ID '%s' for drive", id);
	if (!one_of(o, "media", media, err) || !one_of(o, "format", formats, err) || !one_of(o, "discard", discards, err) ||
	    !harmless(o, err))
		return false;
	d.cdrom = type && !strcmp(type, "cdrom");
	if (opts_get(o, "readonly") && opts_get(o, "read-only"))
		return err_set(err, "'readonly' and 'read-only' are the same option");
	if (!opts_bool(o, "readonly", &read_only, err) || !opts_bool(o, "read-only", &read_only, err) ||
	    !opts_bool(o, "snapshot", &snapshot, err))
		return false;
	opts_get(o, "file");
	opts_get(o, "serial");
	if (!opts_get(o, "file") && !d.cdrom)
		return err_set(err, "Device needs media, but drive is empty (file=FILE)");
	if (!plan_place(m, &d, err) || !opts_done(o, err))
		return false;
	if (id)
		d.id = strdup(id);
	else if ((d.kind == DRIVE_IDE ? asprintf(&d.id, "ide%u-%s%u", d.index / 2, d.cdrom ? "cd" : "hd", d.index % 2) :
		  asprintf(&d.id, "%s%u", kind, m->drive_count)) < 0)
		return err_set(err, "out of memory");
	m->drives[m->drive_count++] = d;
	return true;
}

/* What a -device says of itself. */
static struct blk *add_blk(struct machine *m, struct drive *d, const struct option_item *item, const struct driver *driver,
			   struct err *err)
{
	struct blk *b;

	if (m->blk_count == MACHINE_BLKS) {
		err_set(err, "more than %d virtio disks", MACHINE_BLKS);
		return NULL;
	}
	b = &m->blks[m->blk_count++];
	*b = (struct blk){ .drive = d, .item = item, .bootindex = -1 };
	if (item && item->class == OPTION_DEVICE)
		for (size_t i = 0; i < item->opts.count; i++)
			opts_add(&b->opts, item->opts.list[i].key, item->opts.list[i].value);
	if (!machine_globals(m, driver, &b->opts, err))
		return NULL;
	d->used = true;
	return b;
}

static struct drive *drive_of(struct machine *m, const struct driver *driver, struct opts *o, struct err *err)
{
	const char *id = opts_get(o, "drive");
	struct drive *d = id ? find_drive(m, id) : NULL;

	if (!id)
		err_set(err, "drive property not set (drive=ID of a -drive with if=none)");
	else if (!d)
		err_set(err, "Property '%s.drive' can't find value '%s'", driver->name, id);
	else if (d->used || d->kind != DRIVE_NONE)
		err_set(err, "Drive '%s' is already in use%s", id, d->kind != DRIVE_NONE ? " by the machine (if=none keeps it free)" : "");
	else
		return d;
	return NULL;
}

static bool plan_ide_device(struct machine *m, const struct driver *driver, struct opts *o, struct err *err)
{
	struct drive *d;
	const char *bus = opts_get(o, "bus"), *serial = opts_get(o, "serial");
	uint64_t unit = 0, index;
	struct drive empty = { .kind = DRIVE_IDE, .cdrom = true, .bootindex = -1 };

	if (driver->variant && !opts_get(o, "drive")) {         /* an empty CD-ROM drive */
		static struct opts none;

		if (m->drive_count == MACHINE_DRIVES)
			return err_set(err, "more than %d drives", MACHINE_DRIVES);
		empty.opts = &none;
		empty.id = strdup(opts_get(o, "id") ? opts_get(o, "id") : "ide-cd");
		d = &m->drives[m->drive_count++];
		*d = empty;
	} else {
		d = drive_of(m, driver, o, err);
		if (!d)
			return false;
	}
	if (!opts_number(o, "unit", 0, 1, &unit, err))
		return false;
	if (bus && strcmp(bus, "ide.0") && strcmp(bus, "ide.1"))
		return err_set(err, "Bus '%s' not found (ide.0, ide.1)", bus);
	d->kind = DRIVE_NONE;
	if (bus) {
		index = (bus[4] == '1' ? 2u : 0) + unit;
		if (!opts_get(o, "unit") && ide_at(m, (unsigned)index))
			index++;
	} else {
		for (index = unit; index < 4 && ide_at(m, (unsigned)index); index += opts_get(o, "unit") ? 2 : 1)
			;
	}
	if (index > 3 || ide_at(m, (unsigned)index))
		return err_set(err, "IDE unit %" PRIu64 " is in use", index & 1);
	if (serial && d->item)
		opts_add(d->opts, "serial", serial);
	d->kind = DRIVE_IDE;
	d->index = (unsigned)index;
	d->used = true;
	d->cdrom = driver->variant;
	if (opts_get(o, "bootindex")) {
		if (!opts_number(o, "bootindex", 0, INT32_MAX, &unit, err))
			return false;
		d->bootindex = (int)unit;
	}
	return true;
}

static bool plan_device(struct machine *m, const struct option_item *item, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;
	const struct driver *driver = driver_find(opts_get(o, "driver"));
	struct drive *d;
	struct blk *b;
	uint64_t bootindex;

	if (!driver || (driver->kind != DRIVER_IDE && driver->kind != DRIVER_VIRTIO_BLK))
		return true;
	for (size_t i = 0; i < o->count; i++)
		if (strcmp(o->list[i].key, "driver") && !driver_has_property(driver, o->list[i].key))
			return err_set(err, "Property '%s.%s' not found (-device %s,help lists them)", driver->name, o->list[i].key,
				       driver->name);
	if (driver->kind == DRIVER_IDE)
		return plan_ide_device(m, driver, o, err);
	d = drive_of(m, driver, o, err);
	b = d ? add_blk(m, d, item, driver, err) : NULL;
	if (!b)
		return false;
	if (opts_get(&b->opts, "bootindex")) {
		if (!opts_number(&b->opts, "bootindex", 0, INT32_MAX, &bootindex, err))
			return false;
		b->bootindex = (int)bootindex;
	}
	return true;
}

bool drives_plan(struct machine *m, struct err *err)
{
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < m->o->count; i++) {
			const struct option_item *item = &m->o->items[i];

			if (item->class != (pass ? OPTION_DEVICE : OPTION_DRIVE))
				continue;
			if (!(pass ? plan_device(m, item, err) : plan_drive(m, item, err))) {
				option_prefix(item, err);
				return false;
			}
		}
	}
	for (unsigned i = 0; i < m->drive_count; i++) {
		struct drive *d = &m->drives[i];

		if (d->kind == DRIVE_VIRTIO && !add_blk(m, d, d->item, driver_find("virtio-blk-pci"), err))
			return false;
	}
	/* QEMU's default: an empty CD-ROM drive on the second channel. */
	if (!m->o->nodefaults && !ide_at(m, 2) && m->drive_count < MACHINE_DRIVES) {
		bool any = false;
		static struct opts none;

		for (unsigned i = 0; i < m->drive_count; i++)
			any |= m->drives[i].cdrom;
		if (!any)
			m->drives[m->drive_count++] = (struct drive){
				.id = strdup("ide1-cd0"), .opts = &none, .kind = DRIVE_IDE, .index = 2, .cdrom = true, .bootindex = -1,
			};
	}
	return true;
}

bool drives_open(struct machine *m, struct err *err)
{
	for (unsigned i = 0; i < m->drive_count; i++) {
		struct drive *d = &m->drives[i];
		const char *file = opts_get(d->opts, "file"), *discard = opts_get(d->opts, "discard");
		struct disk_file_config config = {
			.run = m->run, .path = file, .name = d->id, .serial = opts_get(d->opts, "serial"), .cdrom = d->cdrom,
			.snapshot = m->o->snapshot, .as_is = opts_get(d->opts, "format"), .sync = m->o->icount,
			.discard = discard && (!strcmp(discard, "unmap") || !strcmp(discard, "on")),
		};

		if (!opts_bool(d->opts, "readonly", &config.read_only, err) ||
		    !opts_bool(d->opts, "read-only", &config.read_only, err) ||
		    !opts_bool(d->opts, "snapshot", &config.snapshot, err))
			return false;
		/* An ATA disk cannot tell its driver that it must not be written to. */
		if (file && config.read_only && !d->cdrom && d->kind == DRIVE_IDE) {
			err_set(err, "Block node is read-only (if=virtio has read-only disks, snapshot=on keeps the file as it is)");
			option_prefix(d->item, err);
			return false;
		}
		d->disk = file && *file ? disk_file_open(&config, err) : disk_file_empty(&config);
		if (!d->disk) {
			option_prefix(d->item, err);
			return false;
		}
	}
	return true;
}

bool drives_cards(struct machine *m, struct err *err)
{
	for (unsigned i = 0; i < m->blk_count; i++) {
		struct blk *b = &m->blks[i];
		struct virtio_blk_config c = {
			.pci = pc_pci(m->pc), .clock = run_clock(m->run), .states = pc_states(m->pc), .disk = b->drive->disk, .instance = i,
			.name = b->drive->id, .serial = opts_get(&b->opts, "serial"),
		};
		const char *driver = opts_get(&b->opts, "driver"), *legacy = opts_get(&b->opts, "disable-legacy");
		uint64_t queue_size = 0;

		c.disable_legacy = driver && strstr(driver, "non-transitional");
		if (!machine_pci_address(&b->opts, &c.devfn, err) ||
		    !opts_number(&b->opts, "queue-size", 4, 1024, &queue_size, err) ||
		    ((!legacy || strcmp(legacy, "auto")) && !opts_bool(&b->opts, "disable-legacy", &c.disable_legacy, err)) ||
		    !opts_bool(&b->opts, "disable-modern", &c.disable_modern, err))
			goto fail;
		c.queue_size = (unsigned)queue_size;
		b->card = virtio_blk_new(&c, err);
		if (!b->card)
			goto fail;
		b->pci = virtio_blk_pci(b->card);
		continue;
fail:
		option_prefix(b->item, err);
		return false;
	}
	return true;
}

void drives_free(struct machine *m)
{
	for (unsigned i = 0; i < m->blk_count; i++) {
		if (m->blks[i].card)
			virtio_blk_free(m->blks[i].card);
		opts_free(&m->blks[i].opts);
	}
	for (unsigned i = 0; i < m->drive_count; i++)
		free(m->drives[i].id);
}
