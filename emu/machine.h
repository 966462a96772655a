/* SPDX-License-Identifier: MIT */
/*
 * The machine that the options describe: what there is of it, and how it is put together and taken apart.  machine_new checks all
 * it can before it makes anything that the outside could see; on failure nothing is left behind.
 */
#ifndef EMU_MACHINE_H
#define EMU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opts.h"
#include "cpu/cpu.h"
#include "emu/chr.h"
#include "emu/devices.h"
#include "emu/disk_file.h"
#include "emu/kernel.h"
#include "emu/guest_stream.h"
#include "emu/options.h"
#include "emu/run.h"
#include "hw/pc.h"
#include "hw/pci.h"
#include "net/hub.h"
#include "net/pcap.h"
#include "net/port.h"
#include "unet/unet.h"

enum {
	MACHINE_CHRS = 24, MACHINE_MONITORS = 8, MACHINE_DRIVES = 32, MACHINE_NETDEVS = 32, MACHINE_NICS = 32, MACHINE_DUMPS = 16, MACHINE_HUBS = 8, MACHINE_BOOT = 80,
	MACHINE_FILES = 24, MACHINE_BLKS = 24, MACHINE_TESTDEVS = 8,
};

/* An image in memory: firmware, fw_cfg files. */
struct blob {
	void *data;
	size_t len;
};

struct drive {
	char *id;
	const struct option_item *item;
	struct opts *opts;
	enum { DRIVE_IDE, DRIVE_VIRTIO, DRIVE_NONE } kind;
	unsigned index;                 /* IDE: channel * 2 + unit */
	bool used;                      /* something is plugged to it */
	bool cdrom;
	int bootindex;                  /* -1: none */
	struct disk *disk;
};

struct netdev {
	char *id;
	const struct option_item *item;
	struct opts *opts;
	int hub;                        /* of -net; -1: a cable straight to its card */
	unsigned hub_port;              /* its number there */
	bool hubport;                   /* -netdev hubport: a port of hub `hubid`, with `plugged` or a card at its outside */
	int hubid;
	struct netdev *plugged;
	struct unet *unet;
	struct port *port;
	struct nic *nic;                /* which card is at the other end; NULL: none */
	bool taken;                     /* a hub has it (hubport's netdev=) */
	struct in_addr net;
	bool restricted;
};

struct nic {
	char *name;                     /* its id, or "e1000.0" */
	const struct driver *driver;
	const struct option_item *item;
	struct opts opts;               /* the device's properties, -global ones included */
	uint8_t mac[6];
	bool has_mac;
	int hub;                        /* of -net; -1: none */
	unsigned hub_port;
	struct netdev *netdev;
	struct port *port;
	void *card;
	struct pci_device *pci;
	int bootindex;
};

struct blk {
	struct drive *drive;
	const struct option_item *item;
	struct opts opts;
	char *name;
	int bootindex;
	void *card;
	struct pci_device *pci;
};

struct dump {
	char *id, *file;
	uint64_t maxlen;
	struct port *port;
	struct pcap *pcap;
};

/* -device pci-testdev */
struct test_function {
	const struct option_item *item;
	int devfn;
	uint64_t membar;
	struct pci_testdev *card;
};

struct machine {
	const struct options *o;
	struct run *run;
	struct perfmap *perfmap;
	uint8_t *ram;
	void *ram_mapping;              /* what it lies in */
	uint64_t ram_mapping_size;
	uint64_t wall_ns;               /* since 1970 when virtual time was 0 */
	struct cpus *cpus;
	struct pc *pc;
	struct kernel *kernel;
	struct blob bios, vga_rom, files[MACHINE_FILES];
	struct pc_fw_file fw_files[MACHINE_FILES];
	unsigned file_count;
	struct { int index; char path[120]; } boot[MACHINE_BOOT];       /* bootindex=, in order of their numbers */
	unsigned boot_count;
	char bootorder[MACHINE_BOOT * 120];     /* what SeaBIOS reads of it */
	bool booted;

	struct chr *chrs[MACHINE_CHRS];
	unsigned chr_count;
	struct {                        /* targets of guestfwd */
		char *target;
		struct guest_stream *stream;
	} guest_streams[MACHINE_CHRS];
	unsigned guest_stream_count;
	struct monitor *monitors[MACHINE_MONITORS];
	unsigned monitor_count;
	struct drive drives[MACHINE_DRIVES];
	unsigned drive_count;
	struct blk blks[MACHINE_BLKS];
	unsigned blk_count;
	struct netdev netdevs[MACHINE_NETDEVS];
	unsigned netdev_count;
	struct nic nics[MACHINE_NICS];
	unsigned nic_count;
	struct hub *hubs[MACHINE_HUBS];
	char *hub_port_names[MACHINE_NICS + MACHINE_NETDEVS];
	unsigned hub_count, net_clients;        /* net_clients: ports of hub 0 taken by -net */
	bool hub0_shared;               /* hub 0 has more than a card and a backend: a real hub */
	struct dump dumps[MACHINE_DUMPS];
	unsigned dump_count;
	uint16_t debug_exit_port, debugcon_port;
	uint8_t debug_exit_size;
	const struct option_item *pc_testdev_item;
	struct pc_testdev *pc_testdev;
	struct test_function test_functions[MACHINE_TESTDEVS];
	unsigned test_function_count;
};

/* NULL with err, a whole line, on failure. */
struct machine *machine_new(const struct options *o, struct err *err);
void machine_free(struct machine *m);

/* The parts of machine_new that have their own files. */
bool network_plan(struct machine *m, struct err *err);          /* network.c: what is wanted; makes nothing */
bool network_backends(struct machine *m, struct err *err);      /* unet instances and their forwards */
bool network_streams(struct machine *m, struct err *err);       /* targets of guestfwd */
bool network_cards(struct machine *m, struct err *err);
bool network_dumps(struct machine *m, struct err *err);
void network_warn(const struct machine *m);
void network_free(struct machine *m);
struct nic *network_add_nic(struct machine *m, const struct driver *driver, const struct option_item *item, struct err *err);
bool network_bind_nic(struct machine *m, struct nic *nic, struct err *err);
/* The port that a netdev's or a card's name stands for; NULL: none. */
struct port *network_port(struct machine *m, const char *name);
struct netdev *network_netdev(struct machine *m, const char *id);

bool drives_plan(struct machine *m, struct err *err);           /* drives.c */
bool drives_open(struct machine *m, struct err *err);
bool drives_cards(struct machine *m, struct err *err);
void drives_free(struct machine *m);

bool misc_devices_plan(struct machine *m, struct err *err);     /* misc_devices.c: isa-debug-exit and such */
bool misc_devices_make(struct machine *m, struct err *err);
void misc_devices_free(struct machine *m);

bool streams_open(struct machine *m, struct pc_config *config, struct err *err);        /* streams.c: chardevs, serial, monitors */
void streams_free(struct machine *m);
/* The chardev with that id; NULL: none. */
struct chr *streams_find(struct machine *m, const char *id);
/* The stream of a -serial or -monitor word.  *none: the word says that there shall not be one. */
struct chr *streams_from_word(struct machine *m, const char *word, const char *id, bool *none, struct err *err);

/* Adds the -global values for this driver that the list does not have. */
bool machine_globals(struct machine *m, const struct driver *driver, struct opts *opts, struct err *err);
/* "addr=", "bus=", "multifunction=", common to PCI devices.  *devfn: -1 without addr. */
bool machine_pci_address(struct opts *opts, int *devfn, struct err *err);

#endif
