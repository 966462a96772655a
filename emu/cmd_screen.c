/* SPDX-License-Identifier: MIT */
/* Monitor commands about the screen. */
#include <stdlib.h>
#include <string.h>

#include "emu/machine.h"
#include "emu/monitor.h"
#include "emu/screendump.h"
#include "hw/vga.h"

static void screendump_command(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	const char *path = NULL, *dot;
	enum picture format;
	bool given = false, ok;
	struct image image;
	struct err err;

	(void)slash;
	format = PICTURE_PPM;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-f") && i + 1 < argc) {
			given = true;
			format = !strcmp(argv[++i], "png") ? PICTURE_PNG : PICTURE_PPM;
			if (strcmp(argv[i], "png") && strcmp(argv[i], "ppm")) {
				monitor_printf(mon, "Error: invalid parameter value: %s (png, ppm)\n", argv[i]);
				return;
			}
		} else {
			path = argv[i];
		}
	}
	if (!path) {
		monitor_printf(mon, "screendump: missing argument (FILE [-f png|ppm])\n");
		return;
	}
	dot = strrchr(path, '.');
	if (!given && dot && !strcmp(dot, ".png"))
		format = PICTURE_PNG;
	if (!pc_vga(m->pc)) {
		monitor_printf(mon, "Error: There is no console to take a screendump from\n");
		return;
	}
	run_lock(m->run);
	ok = vga_render(pc_vga(m->pc), &image);
	run_unlock(m->run);
	if (!ok) {
		monitor_printf(mon, "Error: out of memory\n");
		return;
	}
	if (!screendump(&image, path, format, &err))
		monitor_printf(mon, "Error: %s\n", err.text);
	free(image.rgb);
}

static void screentext(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	bool text;

	(void)argc, (void)argv, (void)slash;
	if (!pc_vga(m->pc)) {
		monitor_printf(mon, "Error: There is no screen\n");
		return;
	}
	run_lock(m->run);
	text = vga_text(pc_vga(m->pc), monitor_line, mon);
	run_unlock(m->run);
	if (!text)
		monitor_printf(mon, "the screen is in a graphics mode (screendump shows it)\n");
}

const struct command cmd_screen[] = {
	{ "screendump", "FILE [-f png|ppm]", "the screen as a picture; FILE.png is a PNG, else PPM", .run = screendump_command },
	{ "screentext", NULL, "the text screen as text", .run = screentext },
	{ .name = NULL },
};
