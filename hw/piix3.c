/* SPDX-License-Identifier: MIT */
/*
 * Intel 82371SB PIIX3, function 0 (data sheet 290550-001): PIRQ route control, reset control, ports 92h and B2h/B3h, and the
 * DMA page registers as the scratch bytes that firmware takes them for (80h is the POST code).
 * Left out on purpose: the 8237s (nothing here uses ISA DMA), X-bus chip selects, SMI generation.
 */
#include "hw/piix3.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	REG_PIRQRC = 0x60, PIRQ_OFF = 0x80, PIRQ_IRQ = 0x0f,
	RCR_HARD = 1 << 1, RCR_RESET = 1 << 2,
	PORT92_FAST_RESET = 1 << 0, PORT92_A20 = 1 << 1,
	APM_CONTROL = 0, APM_STATUS = 1,
	ROUTABLE = 0xdef8,              /* IRQ 3..7, 9..12, 14, 15 (register PIRQRC) */
};

struct piix3 {
	struct piix3_config cfg;
	struct pci_device *pci;
	/* plain state, beside the configuration bytes: */
	struct state {
		uint8_t pirq;           /* levels of PIRQA..D */
		uint16_t driven;        /* ISA lines held up by them */
		uint8_t rcr, port92, apm[2], page[16];
	} s;
};

/* --- PCI interrupts -------------------------------------------------------------------------------------------- */

static void update_irq(struct piix3 *s)
{
	const uint8_t *route = pci_config_bytes(s->pci) + REG_PIRQRC;
	uint16_t drive = 0, changed;

	for (unsigned i = 0; i < 4; i++)
		if (s->s.pirq >> i & 1 && !(route[i] & PIRQ_OFF))
			drive |= (uint16_t)(1u << (route[i] & PIRQ_IRQ));
	drive &= ROUTABLE;
	changed = drive ^ s->s.driven;
	s->s.driven = drive;
	for (int irq = 0; irq < 16; irq++)
		if (changed >> irq & 1)
			irq_set(&s->cfg.irq[irq], drive >> irq & 1);
}

void piix3_pirq(struct piix3 *s, int pirq, bool level)
{
	uint8_t bit = (uint8_t)(1 << pirq);

	s->s.pirq = (uint8_t)(level ? s->s.pirq | bit : s->s.pirq & ~bit);
	update_irq(s);
}

void piix3_route(struct piix3 *s, const uint8_t irq[4])
{
	memcpy(pci_config_bytes(s->pci) + REG_PIRQRC, irq, 4);
	update_irq(s);
}

static void config_written(void *owner, unsigned offset, unsigned size)
{
	if (offset < REG_PIRQRC + 4 && offset + size > REG_PIRQRC)
		update_irq(owner);
}

/* --- reset, A20, APM ------------------------------------------------------------------------------------------- */

static void ask_reset(struct piix3 *s)
{
	if (s->cfg.reset)
		s->cfg.reset(s->cfg.owner);
}

uint8_t piix3_cf9_read(void *piix3)
{
	return ((struct piix3 *)piix3)->s.rcr;
}

void piix3_cf9_write(void *piix3, uint8_t value)
{
	struct piix3 *s = piix3;
	bool rise = value & RCR_RESET && !(s->s.rcr & RCR_RESET);

	s->s.rcr = value & (RCR_HARD | RCR_RESET);
	if (rise)
		ask_reset(s);           /* a soft reset (INIT) is taken for a hard one */
}

static uint64_t read_port92(void *dev, uint64_t offset, unsigned size)
{
	(void)offset;
	(void)size;
	return ((struct piix3 *)dev)->s.port92;
}

static void write_port92(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix3 *s = dev;
	bool rise = value & PORT92_FAST_RESET && !(s->s.port92 & PORT92_FAST_RESET);

	(void)offset;
	(void)size;
	s->s.port92 = value & (PORT92_FAST_RESET | PORT92_A20);
	irq_set(&s->cfg.a20, value & PORT92_A20);
	if (rise)
		ask_reset(s);
}

static uint64_t read_apm(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return ((struct piix3 *)dev)->s.apm[offset];
}

static void write_apm(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix3 *s = dev;

	(void)size;
	s->s.apm[offset] = (uint8_t)value;
	if (offset == APM_CONTROL && s->cfg.apm)
		s->cfg.apm(s->cfg.owner, (uint8_t)value);
}

static uint64_t read_page(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return ((struct piix3 *)dev)->s.page[offset];
}

static void write_page(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)size;
	((struct piix3 *)dev)->s.page[offset] = (uint8_t)value;
}

static const struct io_ops port92_ops = { read_port92, write_port92, .max_size = 1 };
static const struct io_ops apm_ops = { read_apm, write_apm, .max_size = 1 };
static const struct io_ops page_ops = { read_page, write_page, .max_size = 1 };

/* --- life cycle ------------------------------------------------------------------------------------------------ */

static void reset(void *owner)
{
	struct piix3 *s = owner;
	uint8_t *config = pci_config_bytes(s->pci);

	memset(config + REG_PIRQRC, PIRQ_OFF, 4);
	config[0x4c] = 0x4d;            /* IORT: recovery times */
	config[0x4e] = 0x03;            /* XBCS: keyboard and RTC chip selects */
	config[0x69] = 0x02;            /* TOM: ISA memory hole */
	s->s.rcr = 0;
	s->s.port92 = PORT92_A20;
	memset(s->s.apm, 0, sizeof(s->s.apm));
	memset(s->s.page, 0, sizeof(s->s.page));
	irq_set(&s->cfg.a20, true);
	update_irq(s);
}

static void loaded(void *owner)
{
	struct piix3 *s = owner;

	irq_set(&s->cfg.a20, s->s.port92 & PORT92_A20);
}

struct piix3 *piix3_new(const struct piix3_config *config, struct err *err)
{
	struct piix3 *s = calloc(1, sizeof(*s));
	uint8_t *writable;

	assert(s);
	s->cfg = *config;
	s->pci = pci_add(config->pci, &(struct pci_config){ .name = "PIIX3", .vendor = 0x8086, .device = 0x7000,
		.subsystem_vendor = 0x1af4, .subsystem = 0x1100, .class_code = 6, .subclass = 1, .devfn = 1 << 3,
		.multifunction = true, .owner = s, .config_written = config_written }, err);
	if (!s->pci) {
		free(s);
		return NULL;
	}
	writable = pci_config_writable(s->pci);
	memset(writable + REG_PIRQRC, PIRQ_OFF | PIRQ_IRQ, 4);
	writable[0x4c] = writable[0x4e] = writable[0x4f] = writable[0x69] = 0xff;
	put_le16(pci_config_bytes(s->pci) + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put_le16(writable + PCI_COMMAND, 0);    /* function 0 always decodes (register PCICMD) */
	bus_map(config->ports, 0x80, 16, &page_ops, s, "dma-page", NULL);
	/* 92h lies among the page registers' aliases, which the PIIX3 does not decode */
	bus_map(config->ports, 0x92, 1, &port92_ops, s, "port92", NULL);
	bus_map(config->ports, 0xb2, 2, &apm_ops, s, "apm", NULL);
	state_add(config->states, &(struct state_section){ .name = "piix3", .version = 1, .data = &s->s,
		.size = sizeof(s->s), .owner = s, .reset = reset, .loaded = loaded });
	reset(s);
	return s;
}

void piix3_free(struct piix3 *s)
{
	free(s);
}
