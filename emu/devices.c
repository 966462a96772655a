/* SPDX-License-Identifier: MIT */
#include "emu/devices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "emu/machine.h"
#include "emu/paths.h"
#include "hw/nic/e1000.h"
#include "hw/nic/virtio_net.h"

static const char *const pci_properties[] = { "addr", "bus", "multifunction", "romfile", "rombar", NULL };
static const char *const nic_properties[] = { "id", "mac", "netdev", "bootindex", NULL };
static const char *const virtio_net_properties[] = {
	"vectors", "rx_queue_size", "tx_queue_size", "host_mtu", "speed", "duplex", "disable-legacy", "disable-modern", NULL,
};
static const char *const e1000_properties[] = { "autonegotiation", "mitigation", "extra_mac_registers", NULL };
static const char *const virtio_blk_properties[] = {
	"id", "drive", "bootindex", "serial", "queue-size", "disable-legacy", "disable-modern", "addr", "bus", "multifunction", NULL,
};
static const char *const ide_properties[] = { "id", "drive", "bus", "unit", "bootindex", "serial", NULL };
static const char *const debug_exit_properties[] = { "id", "iobase", "iosize", NULL };
static const char *const pc_testdev_properties[] = { "id", NULL };
static const char *const pci_testdev_properties[] = { "id", "membar", "addr", "bus", "multifunction", NULL };
static const char *const debugcon_properties[] = { "id", "iobase", "chardev", NULL };

enum { TRANSITIONAL_AUTO, TRANSITIONAL, NON_TRANSITIONAL };
enum { ROM_MAX = 16 << 20 };

/*
 * The option ROM's image for a card, malloc'ed: romfile= (empty: none), rombar=off, or the driver's own, which gets the
 * card's ids (*patch).
 */
static bool rom_for(struct machine *m, struct nic *n, void **rom, size_t *len, bool *patch, struct err *err)
{
	const char *given = opts_get(&n->opts, "romfile");
	char path[4096];
	bool bar = true;

	*patch = !given;
	if (!opts_bool(&n->opts, "rombar", &bar, err))
		return false;
	if (!bar || (given && !*given) || (!given && !n->driver->romfile))
		return true;
	if (!paths_find(m->o->data_dir, given ? given : n->driver->romfile, path, sizeof(path)))
		return err_set(err, "failed to find romfile \"%s\" (package ipxe-qemu has it; romfile= does without)",
			       given ? given : n->driver->romfile);
	if (!paths_read(path, ROM_MAX, rom, len, err))
		return false;
	/* PCI Firmware Specification 3.0, 5.1: the signature, and the image's length in units of 512 bytes. */
	if (*len >= 512 && le16(*rom) == 0xaa55 && ((uint8_t *)*rom)[2] * 512u <= *len)
		return true;
	free(*rom);
	return err_set(err, "romfile \"%s\" is no option ROM, or cut short", path);
}

static bool virtio_switches(struct nic *n, struct virtio_net_config *c, struct err *err)
{
	for (size_t i = 0; i < n->opts.count; i++) {
		struct opt *o = &n->opts.list[i];
		bool on;

		if (o->used)
			continue;
		if (!virtio_net_property(c, o->key, true))
			continue;
		o->used = true;
		if (!opt_parse_bool(o->value, &on))
			return err_set(err, "Property '%s.%s' expects 'on' or 'off', not '%s'", n->driver->name, o->key, o->value);
		virtio_net_property(c, o->key, on);
	}
	return true;
}

static bool make_virtio_net(struct machine *m, struct nic *n, int devfn, struct err *err)
{
	static unsigned instance;
	struct virtio_net_config c = { 0 };
	uint64_t vectors = 0, rx = 0, tx = 0, mtu = 0;
	const char *speed, *duplex, *legacy;
	void *rom = NULL;

	virtio_net_defaults(&c);
	c.pci = pc_pci(m->pc);
	c.clock = run_clock(m->run);
	c.states = pc_states(m->pc);
	c.guard = run_guard(m->run);
	c.instance = instance++;
	c.name = n->name;
	c.devfn = devfn;
	memcpy(c.mac, n->mac, 6);
	vectors = c.vectors;
	rx = c.rx_queue_size;
	tx = c.tx_queue_size;
	if (!opts_number(&n->opts, "vectors", 0, 2048, &vectors, err) ||
	    !opts_number(&n->opts, "rx_queue_size", 64, 1024, &rx, err) ||
	    !opts_number(&n->opts, "tx_queue_size", 64, 1024, &tx, err) ||
	    !opts_number(&n->opts, "host_mtu", 0, 65535, &mtu, err))
		return false;
	if (rx & (rx - 1) || tx & (tx - 1))
		return err_set(err, "rx_queue_size and tx_queue_size must be powers of two from 64 to 1024");
	c.vectors = (unsigned)vectors;
	c.rx_queue_size = (unsigned)rx;
	c.tx_queue_size = (unsigned)tx;
	c.host_mtu = (uint16_t)mtu;
	speed = opts_get(&n->opts, "speed");
	if (speed && strcmp(speed, "-1")) {
		uint64_t v;

		if (!opts_number(&n->opts, "speed", 0, INT32_MAX, &v, err))
			return false;
		c.speed = (int32_t)v;
	}
	duplex = opts_get(&n->opts, "duplex");
	if (duplex && strcmp(duplex, "half") && strcmp(duplex, "full"))
		return err_set(err, "Property '%s.duplex' expects 'half' or 'full', not '%s'", n->driver->name, duplex);
	if (duplex)
		c.duplex = !strcmp(duplex, "full");
	c.disable_legacy = n->driver->variant == NON_TRANSITIONAL;
	legacy = opts_get(&n->opts, "disable-legacy");
	if ((!legacy || strcmp(legacy, "auto")) && !opts_bool(&n->opts, "disable-legacy", &c.disable_legacy, err))
		return false;
	if (!opts_bool(&n->opts, "disable-modern", &c.disable_modern, err) || !virtio_switches(n, &c, err))
		return false;
	if (c.disable_legacy && c.disable_modern)
		return err_set(err, "device cannot work as neither modern nor legacy mode is enabled");
	if (!rom_for(m, n, &rom, &c.rom_len, &c.rom_patch_ids, err))
		return false;
	c.rom = rom;
	n->card = virtio_net_new(&c, err);
	free(rom);
	if (!n->card)
		return false;
	n->port = virtio_net_port(n->card);
	n->pci = virtio_net_pci(n->card);
	return true;
}

static void free_virtio_net(struct nic *n)
{
	virtio_net_free(n->card);
}

static bool announce_virtio_net(struct nic *n)
{
	return virtio_net_announce(n->card);
}

static bool make_e1000(struct machine *m, struct nic *n, int devfn, struct err *err)
{
	static unsigned instance;
	struct e1000_config c = {
		.pci = pc_pci(m->pc), .clock = run_clock(m->run), .states = pc_states(m->pc), .guard = run_guard(m->run),
		.instance = instance++, .model = (enum e1000_model)n->driver->variant, .name = n->name, .devfn = devfn,
	};
	bool mitigation = true, always = true;
	void *rom = NULL;

	memcpy(c.mac, n->mac, 6);
	if (!opts_bool(&n->opts, "mitigation", &mitigation, err) || !opts_bool(&n->opts, "autonegotiation", &always, err) ||
	    !opts_bool(&n->opts, "extra_mac_registers", &always, err))
		return false;
	if (!always)
		return err_set(err, "autonegotiation and extra_mac_registers are always on");
	if (!rom_for(m, n, &rom, &c.rom_len, &c.rom_patch_ids, err))
		return false;
	c.rom = rom;
	c.no_mitigation = !mitigation;
	n->card = e1000_new(&c, err);
	free(rom);
	if (!n->card)
		return false;
	n->port = e1000_port(n->card);
	n->pci = e1000_pci(n->card);
	return true;
}

static void free_e1000(struct nic *n)
{
	e1000_free(n->card);
}

#define E1000(name_, alias_, variant_) \
	{ .name = name_, .alias = alias_, .kind = DRIVER_NIC, .bus = "PCI", .what = "Intel Gigabit Ethernet", .model = name_, \
	  .variant = variant_, .romfile = "efi-e1000.rom", .make = make_e1000, .free = free_e1000, .properties = e1000_properties }
#define VIRTIO_NET(name_, alias_, variant_) \
	{ .name = name_, .alias = alias_, .kind = DRIVER_NIC, .bus = "PCI", .what = "virtio network card", .model = name_, \
	  .variant = variant_, .romfile = "efi-virtio.rom", .make = make_virtio_net, .free = free_virtio_net, \
	  .announce = announce_virtio_net, \
	  .properties = virtio_net_properties, .switches = virtio_net_property_names }
#define VIRTIO_BLK(name_, alias_, variant_) \
	{ .name = name_, .alias = alias_, .kind = DRIVER_VIRTIO_BLK, .bus = "PCI", .what = "virtio disk", .variant = variant_, \
	  .properties = virtio_blk_properties }

static const struct driver drivers[] = {
	E1000("e1000", "e1000-82540em", E1000_82540EM),
	E1000("e1000-82544gc", NULL, E1000_82544GC),
	E1000("e1000-82545em", NULL, E1000_82545EM),
	VIRTIO_NET("virtio-net-pci", "virtio-net", TRANSITIONAL_AUTO),
	VIRTIO_NET("virtio-net-pci-non-transitional", NULL, NON_TRANSITIONAL),
	VIRTIO_NET("virtio-net-pci-transitional", NULL, TRANSITIONAL),
	VIRTIO_BLK("virtio-blk-pci", "virtio-blk", TRANSITIONAL_AUTO),
	VIRTIO_BLK("virtio-blk-pci-non-transitional", NULL, NON_TRANSITIONAL),
	VIRTIO_BLK("virtio-blk-pci-transitional", NULL, TRANSITIONAL),
	{ .name = "ide-hd", .kind = DRIVER_IDE, .bus = "IDE", .what = "ATA disk", .properties = ide_properties },
	{ .name = "ide-cd", .kind = DRIVER_IDE, .variant = 1, .bus = "IDE", .what = "ATAPI CD-ROM", .properties = ide_properties },
	{ .name = "isa-debug-exit", .kind = DRIVER_DEBUG_EXIT, .bus = "ISA", .what = "a store ends the program",
	  .properties = debug_exit_properties },
	{ .name = "isa-debugcon", .kind = DRIVER_DEBUGCON, .bus = "ISA", .what = "debug console",
	  .properties = debugcon_properties },
	{ .name = "pc-testdev", .kind = DRIVER_PC_TESTDEV, .bus = "ISA", .what = "interrupt lines and registers for test kernels",
	  .properties = pc_testdev_properties },
	{ .name = "pci-testdev", .kind = DRIVER_PCI_TESTDEV, .bus = "PCI", .what = "PCI Test Device",
	  .properties = pci_testdev_properties },
};

const struct driver *driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (!strcmp(drivers[i].name, name) || (drivers[i].alias && !strcmp(drivers[i].alias, name)))
			return &drivers[i];
	return NULL;
}

const struct driver *driver_default_nic(void)
{
	return &drivers[0];
}

static bool in_list(const char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp(*list, name))
			return true;
	return false;
}

bool driver_has_property(const struct driver *d, const char *name)
{
	if (in_list(d->properties, name) || in_list(d->switches, name))
		return true;
	return d->kind == DRIVER_NIC && (in_list(pci_properties, name) || in_list(nic_properties, name));
}

/* --- help --------------------------------------------------------------------------------------------------------- */

static void print_kind(const char *title, enum driver_kind from, enum driver_kind to)
{
	printf("%s:\n", title);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		const struct driver *d = &drivers[i];

		if (d->kind < from || d->kind > to)
			continue;
		printf("name \"%s\", bus %s", d->name, d->bus);
		if (d->alias)
			printf(", alias \"%s\"", d->alias);
		printf(", desc \"%s\"\n", d->what);
	}
}

void devices_help(void)
{
	print_kind("Storage devices", DRIVER_VIRTIO_BLK, DRIVER_IDE);
	print_kind("\nNetwork devices", DRIVER_NIC, DRIVER_NIC);
	print_kind("\nMisc devices", DRIVER_DEBUG_EXIT, DRIVER_PCI_TESTDEV);
}

void devices_nic_help(void)
{
	const char *last = "";

	puts("Supported NIC models:");
	for (;;) {                              /* sorted, as QEMU does */
		const char *next = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
			if (drivers[i].kind == DRIVER_NIC && strcmp(drivers[i].name, last) > 0 &&
			    (!next || strcmp(drivers[i].name, next) < 0))
				next = drivers[i].name;
		if (!next)
			return;
		puts(next);
		last = next;
	}
}

void devices_netdev_help(void)
{
	puts("Available netdev backend types:\nhubport\nuser");
}

static void print_properties(const char *const *list)
{
	for (; list && *list; list++)
		printf("  %s\n", *list);
}

bool devices_property_help(const char *driver, struct err *err)
{
	const struct driver *d = driver_find(driver);

	if (!d)
		return devices_known(driver, err);
	printf("%s options:\n", d->name);
	if (d->kind == DRIVER_NIC) {
		print_properties(nic_properties);
		print_properties(pci_properties);
	}
	print_properties(d->properties);
	for (const char *const *s = d->switches; s && *s; s++)
		printf("  %s=on|off\n", *s);
	return true;
}

bool devices_known(const char *driver, struct err *err)
{
	return driver_find(driver) ? true :
	       err_set(err, "'%s' is not a valid device model name (-device help lists them)", driver);
}
