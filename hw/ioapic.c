/* SPDX-License-Identifier: MIT */
/*
 * Intel 82093AA I/O APIC (data sheet 290566-001), with the EOI register of version 20h.
 * Interrupt messages go out in the form of MSIs (Intel SDM volume 3, "Message Signalled Interrupts").
 */
#include "hw/ioapic.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum {
	MMIO_IOREGSEL = 0x00, MMIO_IOWIN = 0x10, MMIO_EOI = 0x40, MMIO_SIZE = 0x1000,
	REG_ID = 0, REG_VER = 1, REG_ARB = 2, REG_REDIRECTION = 0x10,
	VERSION = 0x20,
	RED_VECTOR = 0xff, RED_DELIVERY_SHIFT = 8, RED_LOGICAL = 1 << 11, RED_PENDING = 1 << 12, RED_LOW = 1 << 13,
	RED_REMOTE_IRR = 1 << 14, RED_LEVEL = 1 << 15, RED_MASKED = 1 << 16,
	RED_WRITABLE = 0x1afff,         /* of the low half: all but delivery status and remote IRR */
	RED_DEST_SHIFT = 56,
	DELIVERY_LOWEST = 1, DELIVERY_SMI = 2, DELIVERY_NMI = 4, DELIVERY_INIT = 5, DELIVERY_EXTINT = 7,
};

struct ioapic {
	struct ioapic_config cfg;
	struct state {
		uint64_t redirection[IOAPIC_PINS];
		uint32_t lines;         /* levels at the inputs, before the polarity bit */
		uint8_t select, id;
	} s;
};

static void send(struct ioapic *s, uint64_t entry)
{
	unsigned delivery = entry >> RED_DELIVERY_SHIFT & 7;
	uint64_t addr = 0xfee00000 | (entry >> RED_DEST_SHIFT) << 12 | (entry & RED_LOGICAL ? 1 << 2 : 0) |
			(delivery == DELIVERY_LOWEST ? 1 << 3 : 0);
	uint32_t data = (uint32_t)(entry & RED_VECTOR) | delivery << 8 | 1 << 14 | (entry & RED_LEVEL ? 1u << 15 : 0);

	if (s->cfg.msi.send)
		s->cfg.msi.send(s->cfg.msi.owner, addr, data);
}

/* Whether the input is asserted.  Our lines are active high whatever the polarity bit says: the board inverts to suit. */
static bool asserted(const struct ioapic *s, unsigned pin)
{
	return s->s.lines >> pin & 1;
}

/* A level-triggered input asks until it is served: remote IRR keeps it quiet from the message to the EOI. */
static void service_level(struct ioapic *s, unsigned pin)
{
	uint64_t *entry = &s->s.redirection[pin];
	unsigned delivery = *entry >> RED_DELIVERY_SHIFT & 7;

	if (!(*entry & RED_LEVEL) || *entry & (RED_MASKED | RED_REMOTE_IRR) || !asserted(s, pin))
		return;
	if (delivery <= DELIVERY_LOWEST)
		*entry |= RED_REMOTE_IRR;
	send(s, *entry);
}

static void input(void *owner, int number, bool level)
{
	struct ioapic *s = owner;
	uint32_t bit = 1u << number;
	bool rise = level && !(s->s.lines & bit);
	uint64_t entry = s->s.redirection[number];

	s->s.lines = level ? s->s.lines | bit : s->s.lines & ~bit;
	if (entry & RED_LEVEL)
		service_level(s, (unsigned)number);
	else if (rise && !(entry & RED_MASKED))
		send(s, entry);         /* an edge at a masked input is lost (section 3.2.4, interrupt mask) */
}

struct irq_line ioapic_input(struct ioapic *s, int pin)
{
	assert(pin >= 0 && pin < IOAPIC_PINS);
	return (struct irq_line){ input, s, pin };
}

void ioapic_eoi(struct ioapic *s, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t *entry = &s->s.redirection[pin];

		if (!(*entry & RED_REMOTE_IRR) || (*entry & RED_VECTOR) != vector)
			continue;
		*entry &= ~(uint64_t)RED_REMOTE_IRR;
		service_level(s, pin);
	}
}

static uint32_t read_register(const struct ioapic *s)
{
	unsigned reg = s->s.select, pin = (reg - REG_REDIRECTION) / 2;

	switch (reg) {
	case REG_ID:
	case REG_ARB:
		return (uint32_t)s->s.id << 24;
	case REG_VER:
		return VERSION | (IOAPIC_PINS - 1) << 16;
	}
	if (reg < REG_REDIRECTION || pin >= IOAPIC_PINS)
		return 0;
	return (uint32_t)(s->s.redirection[pin] >> (reg & 1 ? 32 : 0));
}

static void write_register(struct ioapic *s, uint32_t value)
{
	unsigned reg = s->s.select, pin = (reg - REG_REDIRECTION) / 2;
	uint64_t *entry;

	if (reg == REG_ID)
		s->s.id = value >> 24 & 15;
	if (reg < REG_REDIRECTION || pin >= IOAPIC_PINS)
		return;
	entry = &s->s.redirection[pin];
	if (reg & 1) {
		*entry = (*entry & 0xffffffff) | (uint64_t)(value & 0xff000000) << 32;
		return;
	}
	*entry = (*entry & ~(uint64_t)RED_WRITABLE) | (value & RED_WRITABLE);
	if (!(*entry & RED_LEVEL))
		*entry &= ~(uint64_t)RED_REMOTE_IRR;    /* how kernels end an interrupt whose EOI went astray */
	service_level(s, pin);
}

static uint64_t read_ioapic(void *dev, uint64_t offset, unsigned size)
{
	struct ioapic *s = dev;

	(void)size;
	switch (offset & ~(uint64_t)3) {
	case MMIO_IOREGSEL:
		return s->s.select;
	case MMIO_IOWIN:
		return read_register(s);
	}
	return 0;
}

static void write_ioapic(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct ioapic *s = dev;

	(void)size;
	switch (offset) {
	case MMIO_IOREGSEL:
		s->s.select = (uint8_t)value;
		break;
	case MMIO_IOWIN:
		write_register(s, (uint32_t)value);
		break;
	case MMIO_EOI:
		ioapic_eoi(s, (uint8_t)value);
		break;
	default:
		log_guest("ioapic", "store to 0x%" PRIx64 ", where no register is", offset);
	}
}

static const struct io_ops ioapic_ops = { read_ioapic, write_ioapic, .min_size = 4, .max_size = 4 };

static void reset(void *owner)
{
	struct ioapic *s = owner;

	memset(&s->s, 0, sizeof(s->s));
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		s->s.redirection[pin] = RED_MASKED;
}

struct ioapic *ioapic_new(const struct ioapic_config *config)
{
	struct ioapic *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	bus_map(config->memory, IOAPIC_BASE, MMIO_SIZE, &ioapic_ops, s, "ioapic", NULL);
	state_add(config->states, &(struct state_section){ .name = "ioapic", .version = 1, .data = &s->s,
		.size = sizeof(s->s), .owner = s, .reset = reset });
	reset(s);
	return s;
}

void ioapic_free(struct ioapic *s)
{
	free(s);
}

void ioapic_print(const struct ioapic *s, void (*out)(void *to, const char *line), void *to)
{
	static const char *delivery[8] = { "fixed", "lowest", "SMI", "3", "NMI", "INIT", "6", "ExtINT" };
	char line[120];

	snprintf(line, sizeof(line), "ioapic0: ver=0x%x id=0x%02x sel=0x%02x", VERSION, s->s.id, s->s.select);
	out(to, line);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t e = s->s.redirection[pin];

		snprintf(line, sizeof(line), "  pin %-2u 0x%016" PRIx64 " dest=%u vec=%u %s %s %s%s%s%s", pin, e,
			 (unsigned)(e >> RED_DEST_SHIFT), (unsigned)(e & RED_VECTOR), e & RED_LEVEL ? "level" : "edge",
			 delivery[e >> RED_DELIVERY_SHIFT & 7], e & RED_LOGICAL ? "logical" : "physical",
			 e & RED_MASKED ? " masked" : "", e & RED_REMOTE_IRR ? " remote-irr" : "",
			 asserted(s, pin) ? " high" : "");
		out(to, line);
	}
}
