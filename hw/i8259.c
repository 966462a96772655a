/* SPDX-License-Identifier: MIT */
/*
 * Two 8259A in cascade (Intel 8259A data sheet 231468-003) and ELCR (82371SB PIIX3 data sheet, 4D0h/4D1h).
 * Left out on purpose: buffered mode (no effect on software) and MCS-80/85 call sequences.
 */
#include "hw/i8259.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum {
	ICW1_IC4 = 1 << 0, ICW1_SNGL = 1 << 1, ICW1_LTIM = 1 << 3, ICW1 = 1 << 4,
	ICW4_AEOI = 1 << 1, ICW4_SFNM = 1 << 4,
	OCW3 = 1 << 3, OCW3_RIS = 1 << 0, OCW3_RR = 1 << 1, OCW3_P = 1 << 2, OCW3_SMM = 1 << 5, OCW3_ESMM = 1 << 6,
	CASCADE = 2,                    /* the master's input that the slave drives */
	SPURIOUS = 7,
};

/* One chip; all of it is plain state. */
struct chip {
	uint8_t irr, isr, imr;
	uint8_t lines;                  /* levels at the inputs */
	uint8_t elcr;                   /* 1: level-triggered */
	uint8_t icw1, icw2, icw3, icw4;
	uint8_t expect;                 /* next ICW at the odd port: 2, 3, 4; 0: initialised */
	uint8_t lowest;                 /* input of lowest priority */
	bool read_isr, poll, special_mask, rotate_aeoi;
};

struct i8259 {
	struct i8259_config cfg;
	struct state {
		struct chip chip[2];
		bool intr;
	} s;
};

/* --- one chip -------------------------------------------------------------------------------------------------- */

/* Priority of an input: 0 is the highest. */
static unsigned rank(const struct chip *c, unsigned input)
{
	return (input - c->lowest - 1) & 7;
}

/* The input of highest priority in a set, 8 if it is empty. */
static unsigned first(const struct chip *c, uint8_t set)
{
	for (unsigned i = 0; i < 8; i++) {
		unsigned input = (c->lowest + 1 + i) & 7;

		if (set >> input & 1)
			return input;
	}
	return 8;
}

/* The input that would interrupt now, 8: none. */
static unsigned request(const struct chip *c, bool master)
{
	unsigned input = first(c, c->irr & (uint8_t)~c->imr), serving;
	uint8_t isr = c->isr;

	if (c->special_mask)
		isr &= (uint8_t)~c->imr;
	/* special fully nested: the slave in service does not keep its own higher requests out */
	if (master && c->icw4 & ICW4_SFNM && input == CASCADE)
		isr &= (uint8_t)~(1 << CASCADE);
	serving = first(c, isr);
	if (input < 8 && (serving == 8 || rank(c, input) < rank(c, serving)))
		return input;
	return 8;
}

static bool level_triggered(const struct chip *c, unsigned input)
{
	return c->elcr >> input & 1 || c->icw1 & ICW1_LTIM;
}

static void set_input(struct chip *c, unsigned input, bool level)
{
	uint8_t bit = (uint8_t)(1 << input);

	if (level && (level_triggered(c, input) || !(c->lines & bit)))
		c->irr |= bit;
	else if (!level)
		c->irr &= (uint8_t)~bit;        /* a request must be held until INTA, in both modes */
	c->lines = (uint8_t)(level ? c->lines | bit : c->lines & ~bit);
}

static void end_of_interrupt(struct chip *c, unsigned input, bool rotate)
{
	if (input < 8) {
		c->isr &= (uint8_t)~(1 << input);
		if (rotate)
			c->lowest = (uint8_t)input;
	}
}

/* The chip's part of INTA; returns the input, SPURIOUS if nothing asks any more. */
static unsigned acknowledge(struct chip *c, bool master)
{
	unsigned input = request(c, master);

	if (input == 8)
		return SPURIOUS;
	if (!level_triggered(c, input))
		c->irr &= (uint8_t)~(1 << input);
	c->isr |= (uint8_t)(1 << input);
	if (c->icw4 & ICW4_AEOI)
		end_of_interrupt(c, input, c->rotate_aeoi);
	return input;
}

/* --- the pair -------------------------------------------------------------------------------------------------- */

static void update(struct i8259 *s)
{
	struct chip *c = s->s.chip;
	bool intr;

	/* the slave's INT comes again for each of its requests: at the master it acts as a level */
	c[0].irr = (uint8_t)((c[0].irr & ~(1 << CASCADE)) | (request(&c[1], false) < 8) << CASCADE);
	intr = request(&c[0], true) < 8;
	if (intr == s->s.intr)
		return;
	s->s.intr = intr;
	irq_set(&s->cfg.intr, intr);
}

static void input(void *owner, int number, bool level)
{
	struct i8259 *s = owner;

	if (number == CASCADE || number < 0 || number > 15)
		return;
	set_input(&s->s.chip[number >> 3], (unsigned)number & 7, level);
	update(s);
}

struct irq_line i8259_input(struct i8259 *s, int irq)
{
	return (struct irq_line){ input, s, irq };
}

int i8259_acknowledge(struct i8259 *s)
{
	struct chip *c = s->s.chip;
	unsigned line = request(&c[0], true);
	int vector;

	if (line == CASCADE) {
		acknowledge(&c[0], true);
		vector = c[1].icw2 | (int)acknowledge(&c[1], false);
	} else {
		vector = c[0].icw2 | (int)acknowledge(&c[0], true);
	}
	update(s);
	return vector;
}

bool i8259_pending(const struct i8259 *s)
{
	return s->s.intr;
}

/* --- registers ------------------------------------------------------------------------------------------------- */

static void write_ocw2(struct chip *c, uint8_t value)
{
	unsigned level = value & 7, command = value >> 5, serving = c->isr;

	if (c->special_mask)
		serving &= (uint8_t)~c->imr;    /* a masked level in service is not the one meant */
	switch (command) {
	case 0:                                 /* clear, set: rotate in automatic EOI mode */
	case 4:
		c->rotate_aeoi = command == 4;
		break;
	case 1:                                 /* non-specific EOI, rotate on it */
	case 5:
		end_of_interrupt(c, first(c, (uint8_t)serving), command == 5);
		break;
	case 3:                                 /* specific EOI, rotate on it */
	case 7:
		end_of_interrupt(c, level, command == 7);
		break;
	case 6:                                 /* set priority */
		c->lowest = (uint8_t)level;
		break;
	}
}

static void write_even(struct chip *c, uint8_t value)
{
	if (value & ICW1) {
		uint8_t elcr = c->elcr, lines = c->lines;

		memset(c, 0, sizeof(*c));
		c->elcr = elcr;
		c->lines = lines;
		c->lowest = 7;
		c->icw1 = value;
		c->expect = 2;
		/* the edge sense circuit is reset: an edge-triggered input must go low and high again; a level asks at once */
		for (unsigned i = 0; i < 8; i++)
			if (lines >> i & 1 && level_triggered(c, i))
				c->irr |= (uint8_t)(1 << i);
		if (value & ICW1_SNGL)
			log_unimp("i8259", "single mode");
	} else if (value & OCW3) {
		if (value & OCW3_ESMM)
			c->special_mask = value & OCW3_SMM;
		if (value & OCW3_RR)
			c->read_isr = value & OCW3_RIS;
		c->poll = value & OCW3_P;
	} else {
		write_ocw2(c, value);
	}
}

static void write_odd(struct chip *c, uint8_t value)
{
	switch (c->expect) {
	case 0:
		c->imr = value;
		break;
	case 2:
		c->icw2 = value & 0xf8;
		c->expect = c->icw1 & ICW1_SNGL ? (c->icw1 & ICW1_IC4 ? 4 : 0) : 3;
		break;
	case 3:
		c->icw3 = value;
		c->expect = c->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	case 4:
		c->icw4 = value;
		c->expect = 0;
		break;
	}
}

static void write_chip(struct i8259 *s, unsigned which, uint64_t offset, uint64_t value)
{
	if (offset)
		write_odd(&s->s.chip[which], (uint8_t)value);
	else
		write_even(&s->s.chip[which], (uint8_t)value);
	update(s);
}

static uint64_t read_chip(struct i8259 *s, unsigned which, uint64_t offset)
{
	struct chip *c = &s->s.chip[which];

	if (c->poll) {
		unsigned asks = request(c, which == 0), line = asks < 8 ? acknowledge(c, which == 0) : SPURIOUS;

		c->poll = false;
		update(s);
		return line | (asks < 8 ? 0x80 : 0);
	}
	if (offset)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static uint64_t read_master(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return read_chip(dev, 0, offset);
}

static uint64_t read_slave(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return read_chip(dev, 1, offset);
}

static void write_master(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)size;
	write_chip(dev, 0, offset, value);
}

static void write_slave(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)size;
	write_chip(dev, 1, offset, value);
}

static uint64_t read_elcr(void *dev, uint64_t offset, unsigned size)
{
	struct i8259 *s = dev;

	(void)size;
	return s->s.chip[offset].elcr;
}

static void write_elcr(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct i8259 *s = dev;
	struct chip *c = &s->s.chip[offset];

	(void)size;
	/* inputs 0, 1, 2, 8 and 13 are always edge-triggered (PIIX3, section 2.5.11) */
	c->elcr = (uint8_t)(value & (offset ? 0xde : 0xf8));
	c->irr |= c->lines & c->elcr;
	update(s);
}

static const struct io_ops master_ops = { read_master, write_master, .max_size = 1 };
static const struct io_ops slave_ops = { read_slave, write_slave, .max_size = 1 };
static const struct io_ops elcr_ops = { read_elcr, write_elcr, .max_size = 1 };

static void reset(void *owner)
{
	struct i8259 *s = owner;

	memset(&s->s, 0, sizeof(s->s));
	s->s.chip[0].lowest = s->s.chip[1].lowest = 7;
	irq_set(&s->cfg.intr, false);
}

static void loaded(void *owner)
{
	struct i8259 *s = owner;

	irq_set(&s->cfg.intr, s->s.intr);
}

struct i8259 *i8259_new(const struct i8259_config *config)
{
	struct i8259 *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	bus_map(config->ports, 0x20, 2, &master_ops, s, "i8259-master", NULL);
	bus_map(config->ports, 0xa0, 2, &slave_ops, s, "i8259-slave", NULL);
	bus_map(config->ports, 0x4d0, 2, &elcr_ops, s, "elcr", NULL);
	state_add(config->states, &(struct state_section){ .name = "i8259", .version = 1, .data = &s->s,
		.size = sizeof(s->s), .owner = s, .reset = reset, .loaded = loaded });
	reset(s);
	return s;
}

void i8259_free(struct i8259 *s)
{
	free(s);
}

void i8259_print(const struct i8259 *s, void (*out)(void *to, const char *line), void *to)
{
	char line[120];

	for (int i = 1; i >= 0; i--) {
		const struct chip *c = &s->s.chip[i];

		snprintf(line, sizeof(line), "pic%d: irr=%02x imr=%02x isr=%02x hprio=%d irq_base=%02x rr_sel=%d elcr=%02x fnm=%d",
			 i, c->irr, c->imr, c->isr, (c->lowest + 1) & 7, c->icw2, c->read_isr, c->elcr,
			 !!(c->icw4 & ICW4_SFNM));
		out(to, line);
	}
}
