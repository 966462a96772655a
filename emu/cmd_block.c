/* SPDX-License-Identifier: MIT */
/* Monitor commands about disks. */
#include <string.h>

#include "emu/machine.h"
#include "emu/monitor.h"

static void info_block(struct monitor *mon, struct machine *m)
{
	run_lock(m->run);
	for (unsigned i = 0; i < m->drive_count; i++)
		if (m->drives[i].disk)
			disk_file_print(m->drives[i].disk, monitor_line, mon);
	run_unlock(m->run);
}

/*
 * The drive whose medium may be taken out: argv is [-f] DEVICE ...  On return *argc and *argv begin with the device.
 * The machine lock is held.
 */
static struct disk *removable(struct monitor *mon, struct machine *m, int *argc, char ***argv)
{
	bool force = *argc > 2 && !strcmp((*argv)[1], "-f");
	const char *name;
	struct drive *d = NULL;

	*argc -= 1 + force;
	*argv += 1 + force;
	name = (*argv)[0];
	for (unsigned i = 0; i < m->drive_count; i++)
		if (m->drives[i].disk && !strcmp(m->drives[i].id, name))
			d = &m->drives[i];
	if (!d)
		monitor_printf(mon, "Error: Device '%s' not found\n", name);
	else if (!d->cdrom || d->kind != DRIVE_IDE)
		monitor_printf(mon, "Error: Device '%s' is not removable\n", name);
	else if (d->disk->locked && !force)
		monitor_printf(mon, "Error: Device '%s' is locked and force was not specified, wait for tray to open "
			       "and try again\n", name);
	else
		return d->disk;
	return NULL;
}

static void eject(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	struct disk *d;

	(void)slash;
	run_lock(m->run);
	d = removable(mon, m, &argc, &argv);
	if (d)
		disk_file_eject(d);
	run_unlock(m->run);
}

static void change(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	struct disk *d;
	struct err err;

	(void)slash;
	run_lock(m->run);
	d = removable(mon, m, &argc, &argv);
	if (d && argc < 2)
		monitor_printf(mon, "change: missing argument ([-f] DEVICE FILE [raw])\n");
	else if (d && argc > 2 && strcmp(argv[2], "raw"))
		monitor_printf(mon, "Error: Unknown driver '%s' (raw)\n", argv[2]);
	else if (d && !disk_file_change(d, argv[1], argc > 2, &err))
		monitor_printf(mon, "Error: %s\n", err.text);
	run_unlock(m->run);
}

const struct command cmd_block[] = {
	{ "info block", NULL, "the disks", .act = info_block },
	{ "eject", "[-f] DEVICE", "take the medium out of a CD-ROM drive; -f: even if the guest has locked it",
	  .run = eject },
	{ "change", "[-f] DEVICE FILE [raw]", "put another medium into it", .run = change },
	{ .name = NULL },
};
