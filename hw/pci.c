/* SPDX-License-Identifier: MIT */
/*
 * PCI functions on one bus (PCI Local Bus Specification 3.0): configuration space, base address registers, INTx.
 * MSI and MSI-X are in pci_msi.c.  Left out on purpose: bridges, hot plug, parity, VGA palette snooping.
 *
 * A BAR appears on the bus while its decode bit is set and it names a place that is free.  Guests size BARs with decoding on
 * and place them on top of one another; whoever is there first stays, and the others are tried again whenever
 * something moves.
 */
#include "hw/pci.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "hw/pci_device.h"
#include "hw/state.h"

enum {
	PAGE = 4096,
	STATUS_INTERRUPT = 1 << 3, STATUS_CAP_LIST = 1 << 4,
	STATUS_W1C = 0xf900,            /* parity, target and master abort, system and parity error: section 6.2.3 */
	HEADER_MULTIFUNCTION = 0x80,
	BAR_IO = 1, BAR_64 = 4, BAR_PREFETCH = 8, ROM_ENABLE = 1,
	HEADER_SIZE = 0x40,
	MEMORY_BITS = 40,               /* memory BARs that are host memory end below 1 TiB (bus.c) */
	LEGACY_END = 0x100000,          /* memory BARs stay off the first megabyte: it is the chipset's to decode */
};

struct pci_bus {
	struct pci_bus_config cfg;
	struct pci_device *device[256];
	unsigned asserted[4];           /* functions that drive PIRQA..D */
};

struct state_list *pci_states(struct pci_device *d)
{
	return d->bus->cfg.states;
}

const struct msi_sink *pci_msi_sink(struct pci_device *d)
{
	return &d->bus->cfg.msi;
}

/* --- BARs ------------------------------------------------------------------------------------------------------ */

static unsigned bar_offset(int n)
{
	return n == PCI_BAR_ROM ? PCI_ROM : PCI_BAR0 + 4 * (unsigned)n;
}

static bool is_64(const struct pci_bar_slot *bar)
{
	return bar->kind == PCI_BAR_MEM64 || bar->kind == PCI_BAR_MEM64_PREFETCH;
}

/* Where the guest wants BAR n; UINT64_MAX: nowhere. */
static uint64_t wanted(const struct pci_device *d, int n)
{
	const struct pci_bar_slot *bar = &d->bar[n];
	const uint8_t *config = d->state.config;
	uint64_t base = le32(config + bar_offset(n));
	unsigned command = le16(config + PCI_COMMAND);

	if (bar->kind == PCI_BAR_IO) {
		base &= ~(bar->size - 1);
		return command & PCI_COMMAND_IO && base && base + bar->size <= 0x10000 ? base : UINT64_MAX;
	}
	if (!(command & PCI_COMMAND_MEMORY) || (n == PCI_BAR_ROM && !(base & ROM_ENABLE)))
		return UINT64_MAX;
	if (is_64(bar))
		base |= (uint64_t)le32(config + bar_offset(n) + 4) << 32;
	base &= ~(bar->size - 1);
	if (base < LEGACY_END || base + bar->size <= base)
		return UINT64_MAX;
	if (!is_64(bar) && base + bar->size > (uint64_t)1 << 32)
		return UINT64_MAX;
	if (bar->host && base + bar->size > (uint64_t)1 << MEMORY_BITS)
		return UINT64_MAX;
	return base;
}

static void unmap_bar(struct pci_device *d, struct pci_bar_slot *bar)
{
	if (bar->mapped == UINT64_MAX)
		return;
	if (bar->host)
		bus_unmap_ram(d->bus->cfg.memory, bar->mapped, bar->size);
	else
		bus_unmap(bar->kind == PCI_BAR_IO ? d->bus->cfg.ports : d->bus->cfg.memory, bar->mapped);
	bar->mapped = UINT64_MAX;
}

static void map_bar(struct pci_device *d, int n, uint64_t base)
{
	struct pci_bar_slot *bar = &d->bar[n];
	struct bus *memory = d->bus->cfg.memory;
	bool ok;

	if (bar->kind == PCI_BAR_IO) {
		ok = bus_map(d->bus->cfg.ports, base, bar->size, bar->ops, bar->dev, d->cfg.name, NULL);
	} else {
		ok = !bus_has_ram(memory, base, bar->size) && !bus_has_window(memory, base, bar->size);
		if (ok && bar->host)
			bus_map_ram(memory, base, bar->size, bar->host, n == PCI_BAR_ROM ? BUS_ROM : BUS_RAM, d->cfg.name);
		else if (ok)
			ok = bus_map(memory, base, bar->size, bar->ops, bar->dev, d->cfg.name, NULL);
	}
	if (ok)
		bar->mapped = base;
	else
		log_guest("pci", "%s: BAR %d at 0x%" PRIx64 " lies over something else and stays off", d->cfg.name, n, base);
}

/* Bring the buses in line with all BARs: first take away what moved, then place what is not placed. */
static void update_mappings(struct pci_bus *b)
{
	for (unsigned i = 0; i < 256; i++)
		for (int n = 0; b->device[i] && n < PCI_BARS; n++) {
			struct pci_bar_slot *bar = &b->device[i]->bar[n];

			if (bar->size && bar->mapped != UINT64_MAX && bar->mapped != wanted(b->device[i], n))
				unmap_bar(b->device[i], bar);
		}
	for (unsigned i = 0; i < 256; i++)
		for (int n = 0; b->device[i] && n < PCI_BARS; n++) {
			struct pci_bar_slot *bar = &b->device[i]->bar[n];
			uint64_t base = bar->size ? wanted(b->device[i], n) : UINT64_MAX;

			if (base != UINT64_MAX && bar->mapped == UINT64_MAX)
				map_bar(b->device[i], n, base);
		}
}

static struct pci_bar_slot *init_bar(struct pci_device *d, int n, uint64_t size, enum pci_bar_kind kind)
{
	static const uint8_t type[] = {
		[PCI_BAR_IO] = BAR_IO, [PCI_BAR_MEM32] = 0, [PCI_BAR_MEM64] = BAR_64,
		[PCI_BAR_MEM32_PREFETCH] = BAR_PREFETCH, [PCI_BAR_MEM64_PREFETCH] = BAR_64 | BAR_PREFETCH,
	};
	struct pci_bar_slot *bar = &d->bar[n];
	unsigned offset = bar_offset(n);

	assert(n >= 0 && n < PCI_BARS && !bar->size && size >= (kind == PCI_BAR_IO ? 4 : 16) && !(size & (size - 1)));
	bar->size = size;
	bar->kind = kind;
	bar->mapped = UINT64_MAX;
	put_le32(d->state.config + offset, type[kind]);
	put_le32(d->writable + offset, (uint32_t)~(size - 1) | (n == PCI_BAR_ROM ? ROM_ENABLE : 0));
	if (is_64(bar)) {
		assert(n < 5);
		put_le32(d->writable + offset + 4, (uint32_t)(~(size - 1) >> 32));
	}
	return bar;
}

void pci_bar(struct pci_device *d, int n, uint64_t size, enum pci_bar_kind kind, const struct io_ops *ops, void *dev)
{
	struct pci_bar_slot *bar = init_bar(d, n, size, kind);

	bar->ops = ops;
	bar->dev = dev;
}

void pci_bar_ram(struct pci_device *d, int n, uint64_t size, enum pci_bar_kind kind, void *host)
{
	assert(kind != PCI_BAR_IO && size >= PAGE && host);
	init_bar(d, n, size, kind)->host = host;
}

uint64_t pci_bar_address(const struct pci_device *d, int n)
{
	return d->bar[n].size ? d->bar[n].mapped : UINT64_MAX;
}

void pci_rom(struct pci_device *d, const void *image, size_t len)
{
	size_t size = PAGE;
	uint8_t *copy;

	while (size < len)
		size *= 2;
	copy = aligned_alloc(PAGE, size);
	assert(copy);
	memcpy(copy, image, len);
	memset(copy + len, 0xff, size - len);
	init_bar(d, PCI_BAR_ROM, size, PCI_BAR_MEM32)->host = copy;
}

bool pci_rom_image(struct pci_device *d, const void *image, size_t len, bool patch_ids, struct err *err)
{
	enum { PCIR_POINTER = 0x18, PCIR_SIZE = 0x18, ROM_MAX = 16 << 20 };
	const uint8_t *rom = image;
	uint8_t *pcir, *copy;
	unsigned at;

	if (len < 512)
		return err_set(err, "%zu bytes are too few for an option ROM", len);
	if (len > ROM_MAX)
		return err_set(err, "%zu bytes are too many for an option ROM", len);
	if (rom[0] != 0x55 || rom[1] != 0xaa)
		return err_set(err, "not an option ROM: it does not begin with 55 AA");
	at = le16(rom + PCIR_POINTER);
	if (at + PCIR_SIZE > len || memcmp(rom + at, "PCIR", 4) != 0)
		return err_set(err, "not a PCI option ROM: it has no PCIR structure");
	if (le16(rom + at + 0x10) * (size_t)512 > len)
		return err_set(err, "the option ROM is cut short: %zu bytes of %zu", len, le16(rom + at + 0x10) * (size_t)512);
	pci_rom(d, image, len);
	copy = d->bar[PCI_BAR_ROM].host;
	pcir = copy + at;
	if (patch_ids) {
		uint8_t sum = 0;

		/* the image must go on summing to 0: byte 6 takes up the difference, as it is free in PC ROMs */
		for (unsigned i = 4; i < 8; i++)
			sum += pcir[i];
		put_le16(pcir + 4, d->cfg.vendor);
		put_le16(pcir + 6, d->cfg.device);
		for (unsigned i = 4; i < 8; i++)
			sum -= pcir[i];
		copy[6] += sum;
	}
	return true;
}

/* --- INTx ------------------------------------------------------------------------------------------------------ */

unsigned pci_pirq(unsigned devfn, unsigned pin)
{
	return ((devfn >> 3) + 3 + (pin - 1)) & 3;      /* the i440FX boards' swizzle: slot 1, INTA is PIRQA */
}

static void update_intx(struct pci_device *d)
{
	bool drive = d->state.pin && !(le16(d->state.config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
	unsigned line = pci_pirq(d->devfn, d->cfg.int_pin);

	d->state.config[PCI_STATUS] &= (uint8_t)~STATUS_INTERRUPT;
	d->state.config[PCI_STATUS] |= d->state.pin ? STATUS_INTERRUPT : 0;
	if (drive == d->intx_driven)
		return;
	d->intx_driven = drive;
	d->bus->asserted[line] += drive ? 1 : -1u;
	irq_set(&d->bus->cfg.pirq[line], d->bus->asserted[line] != 0);
}

void pci_intx(struct pci_device *d, bool level)
{
	assert(d->cfg.int_pin);
	if (d->state.pin == level)
		return;
	d->state.pin = level;
	update_intx(d);
}

/* --- bus mastering --------------------------------------------------------------------------------------------- */

bool pci_master(const struct pci_device *d)
{
	return d->state.config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

bool pci_dma_read(struct pci_device *d, uint64_t addr, void *buf, size_t len)
{
	if (pci_master(d))
		return dma_read(d->bus->cfg.memory, addr, buf, len);
	memset(buf, 0xff, len);
	return false;
}

bool pci_dma_write(struct pci_device *d, uint64_t addr, const void *buf, size_t len)
{
	return pci_master(d) && dma_write(d->bus->cfg.memory, addr, buf, len);
}

size_t pci_dma_map(struct pci_device *d, uint64_t addr, size_t len, struct iovec *iov, size_t max)
{
	return pci_master(d) ? dma_map(d->bus->cfg.memory, addr, len, iov, max) : 0;
}

void pci_dma_dirty(struct pci_device *d, uint64_t addr, size_t len)
{
	dma_dirty(d->bus->cfg.memory, addr, len);
}

/* --- configuration cycles -------------------------------------------------------------------------------------- */

static bool overlaps(unsigned offset, unsigned size, unsigned first, unsigned end)
{
	return offset < end && offset + size > first;
}

uint32_t pci_config_read(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned offset, unsigned size)
{
	struct pci_device *d = bus == 0 ? b->device[devfn & 0xff] : NULL;
	uint32_t value = 0;

	if (!d || offset + size > 256)
		return size == 4 ? UINT32_MAX : (1u << (8 * size)) - 1;
	if (d->cfg.config_reading)
		d->cfg.config_reading(d->cfg.owner, offset, size);
	memcpy(&value, d->state.config + offset, size);
	return value;
}

void pci_config_write(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned offset, uint32_t value, unsigned size)
{
	struct pci_device *d = bus == 0 ? b->device[devfn & 0xff] : NULL;

	if (!d || offset + size > 256)
		return;
	for (unsigned i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)(value >> (8 * i)), *config = &d->state.config[offset + i];
		uint8_t writable = d->writable[offset + i];

		*config = (uint8_t)((*config & ~writable) | (byte & writable));
		*config &= (uint8_t)~(byte & d->clearable[offset + i]);
	}
	if (overlaps(offset, size, PCI_COMMAND, PCI_COMMAND + 2)) {
		if (d->cfg.int_pin)
			update_intx(d);
		update_mappings(b);
	} else if (overlaps(offset, size, PCI_BAR0, PCI_BAR0 + 24) || overlaps(offset, size, PCI_ROM, PCI_ROM + 4)) {
		update_mappings(b);
	}
	pci_msix_config_written(d, offset, size);
	if (d->cfg.config_written)
		d->cfg.config_written(d->cfg.owner, offset, size);
}

/* --- life cycle ------------------------------------------------------------------------------------------------ */

static void reset(void *owner)
{
	pci_bus_reset(owner);
}

static void loaded(void *owner)
{
	struct pci_device *d = owner;

	if (d->cfg.int_pin)
		update_intx(d);
	update_mappings(d->bus);
}

struct pci_bus *pci_bus_new(const struct pci_bus_config *config)
{
	struct pci_bus *b = calloc(1, sizeof(*b));

	assert(b);
	b->cfg = *config;
	state_add(config->states, &(struct state_section){ .name = "pci-bus", .owner = b, .reset = reset });
	return b;
}

void pci_bus_free(struct pci_bus *b)
{
	if (!b)
		return;
	for (unsigned i = 0; i < 256; i++)
		if (b->device[i]) {
			pci_msix_free(b->device[i]);
			free(b->device[i]->bar[PCI_BAR_ROM].host);
			free(b->device[i]);
		}
	free(b);
}

void pci_bus_reset(struct pci_bus *b)
{
	for (unsigned i = 0; i < 256; i++) {
		struct pci_device *d = b->device[i];

		if (!d)
			continue;
		for (unsigned k = 0; k < 256; k++)
			d->state.config[k] &= (uint8_t)~(d->writable[k] | d->clearable[k]);
		d->state.pin = false;
		pci_msix_reset(d);
		if (d->cfg.int_pin)
			update_intx(d);
	}
	update_mappings(b);
}

static bool place(struct pci_bus *b, const struct pci_config *c, unsigned *devfn, struct err *err)
{
	if (c->devfn >= 0) {
		*devfn = (unsigned)c->devfn;
		if (*devfn < 256 && !b->device[*devfn])
			return true;
		if (*devfn > 255)
			return err_set(err, "%s: there is no PCI slot %u", c->name, *devfn >> 3);
		return err_set(err, "%s: PCI slot %u function %u is taken by %s", c->name, *devfn >> 3, *devfn & 7,
			       b->device[*devfn]->cfg.name);
	}
	for (*devfn = 0; *devfn < 256; *devfn += 8)
		if (!b->device[*devfn])
			return true;
	return err_set(err, "%s: all 32 PCI slots are taken", c->name);
}

static void init_header(struct pci_device *d)
{
	const struct pci_config *c = &d->cfg;
	uint8_t *config = d->state.config, *w = d->writable;

	put_le16(config + PCI_VENDOR_ID, c->vendor);
	put_le16(config + PCI_DEVICE_ID, c->device);
	config[PCI_REVISION] = c->revision;
	config[PCI_PROG_IF] = c->prog_if;
	config[PCI_SUBCLASS] = c->subclass;
	config[PCI_CLASS] = c->class_code;
	config[PCI_HEADER_TYPE] = c->multifunction ? HEADER_MULTIFUNCTION : 0;
	put_le16(config + PCI_SUBSYS_VENDOR, c->subsystem_vendor);
	put_le16(config + PCI_SUBSYS_ID, c->subsystem);
	config[PCI_INT_PIN] = c->int_pin;
	put_le16(w + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | 0x140 |
		 (c->int_pin ? PCI_COMMAND_INTX_DISABLE : 0));  /* 0x140: parity response, SERR# enable */
	put_le16(d->clearable + PCI_STATUS, STATUS_W1C);
	w[PCI_CACHE_LINE] = w[PCI_LATENCY] = 0xff;
	w[PCI_INT_LINE] = c->int_pin ? 0xff : 0;
	memset(d->used, true, HEADER_SIZE);
}

struct pci_device *pci_add(struct pci_bus *b, const struct pci_config *config, struct err *err)
{
	struct pci_device *d;
	unsigned devfn;

	if (!place(b, config, &devfn, err))
		return NULL;
	d = calloc(1, sizeof(*d));
	assert(d && config->int_pin <= 4);
	d->bus = b;
	d->cfg = *config;
	d->devfn = devfn;
	for (int n = 0; n < PCI_BARS; n++)
		d->bar[n].mapped = UINT64_MAX;
	init_header(d);
	b->device[devfn] = d;
	state_add(b->cfg.states, &(struct state_section){ .name = "pci", .instance = devfn, .version = 1,
		.data = &d->state, .size = sizeof(d->state), .owner = d, .loaded = loaded });
	return d;
}

uint8_t *pci_config_bytes(struct pci_device *d)
{
	return d->state.config;
}

uint8_t *pci_config_writable(struct pci_device *d)
{
	return d->writable;
}

int pci_devfn(const struct pci_device *d)
{
	return (int)d->devfn;
}

const char *pci_name(const struct pci_device *d)
{
	return d->cfg.name;
}

unsigned pci_capability(struct pci_device *d, uint8_t id, unsigned offset, unsigned len)
{
	uint8_t *config = d->state.config;

	for (unsigned at = HEADER_SIZE; !offset && at + len <= 256; at += 4) {
		offset = at;
		for (unsigned i = 0; i < len; i++)
			if (d->used[at + i])
				offset = 0;
	}
	assert(offset >= HEADER_SIZE && offset % 4 == 0 && offset + len <= 256);
	memset(d->used + offset, true, len);
	config[offset] = id;
	config[offset + 1] = config[PCI_CAP_PTR];
	config[PCI_CAP_PTR] = (uint8_t)offset;
	config[PCI_STATUS] |= STATUS_CAP_LIST;
	return offset;
}

/* --- a boot without firmware ----------------------------------------------------------------------------------- */

/* Give every BAR of exactly this size a place: large ones go first, so all stay aligned without gaps. */
static void assign_size(struct pci_bus *b, uint64_t size, uint64_t *io, uint64_t *memory, const struct pci_resources *r)
{
	for (unsigned i = 0; i < 256; i++)
		for (int n = 0; b->device[i] && n < PCI_BAR_ROM; n++) {
			struct pci_bar_slot *bar = &b->device[i]->bar[n];
			bool is_io = bar->kind == PCI_BAR_IO;
			uint64_t *at = is_io ? io : memory, base = (*at + size - 1) & ~(size - 1);
			uint8_t *config = b->device[i]->state.config + bar_offset(n);

			if (bar->size != size)
				continue;
			if (base + size > (is_io ? r->io_end : r->memory_end)) {
				log_unimp("pci", "no room for BAR %d of %s", n, b->device[i]->cfg.name);
				continue;
			}
			put_le32(config, (uint32_t)base | (le32(config) & (is_io ? 3 : 15)));
			*at = base + size;
		}
}

void pci_assign(struct pci_bus *b, const struct pci_resources *r)
{
	uint64_t io = r->io, memory = r->memory;

	for (uint64_t size = (uint64_t)1 << 31; size >= 4; size /= 2)
		assign_size(b, size, &io, &memory, r);
	for (unsigned i = 0; i < 256; i++) {
		struct pci_device *d = b->device[i];
		unsigned command;

		if (!d)
			continue;
		command = le16(d->state.config + PCI_COMMAND) | PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
		put_le16(d->state.config + PCI_COMMAND, (uint16_t)(command & le16(d->writable + PCI_COMMAND)));
		if (d->cfg.int_pin)
			d->state.config[PCI_INT_LINE] = r->irq[pci_pirq(i, d->cfg.int_pin)];
		if (d->cfg.config_written)
			d->cfg.config_written(d->cfg.owner, PCI_COMMAND, 2);
	}
	update_mappings(b);
}

/* --- info pci -------------------------------------------------------------------------------------------------- */

static const char *class_name(const struct pci_config *c)
{
	static const struct {
		uint16_t class;
		const char *name;
	} names[] = {
		{ 0x0101, "IDE controller" }, { 0x0100, "SCSI controller" }, { 0x0200, "Ethernet controller" },
		{ 0x0300, "VGA controller" }, { 0x0600, "Host bridge" }, { 0x0601, "ISA bridge" }, { 0x0680, "Bridge" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].class == (c->class_code << 8 | c->subclass))
			return names[i].name;
	return NULL;
}

static void print_bar(const struct pci_device *d, int n, void (*out)(void *to, const char *line), void *to)
{
	const struct pci_bar_slot *bar = &d->bar[n];
	uint64_t base = wanted(d, n);
	char line[120];

	if (bar->kind == PCI_BAR_IO)
		snprintf(line, sizeof(line), "      BAR%d: I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "].", n, base,
			 base + bar->size - 1);
	else
		snprintf(line, sizeof(line), "      BAR%d: %d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "].", n,
			 is_64(bar) ? 64 : 32,
			 bar->kind == PCI_BAR_MEM32_PREFETCH || bar->kind == PCI_BAR_MEM64_PREFETCH ? " prefetchable" : "",
			 base, base + bar->size - 1);
	out(to, line);
}

void pci_print(struct pci_bus *b, void (*out)(void *to, const char *line), void *to)
{
	char line[120];

	for (unsigned i = 0; i < 256; i++) {
		const struct pci_device *d = b->device[i];
		const struct pci_config *c;
		char unnamed[20];

		if (!d)
			continue;
		c = &d->cfg;
		snprintf(line, sizeof(line), "  Bus  0, device %3u, function %u:", i >> 3, i & 7);
		out(to, line);
		snprintf(unnamed, sizeof(unnamed), "Class %04x", c->class_code << 8 | c->subclass);
		snprintf(line, sizeof(line), "    %s: PCI device %04x:%04x (%s)", class_name(c) ? class_name(c) : unnamed,
			 c->vendor, c->device, c->name);
		out(to, line);
		if (c->subsystem_vendor || c->subsystem) {
			snprintf(line, sizeof(line), "      PCI subsystem %04x:%04x", c->subsystem_vendor, c->subsystem);
			out(to, line);
		}
		if (c->int_pin) {
			snprintf(line, sizeof(line), "      IRQ %u, pin %c", d->state.config[PCI_INT_LINE], '@' + c->int_pin);
			out(to, line);
		}
		for (int n = 0; n < PCI_BARS; n++)
			if (d->bar[n].size)
				print_bar(d, n, out, to);
	}
}
