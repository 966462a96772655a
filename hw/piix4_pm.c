/* SPDX-License-Identifier: MIT */
/*
 * Intel 82371AB PIIX4, function 3 (data sheet 290562-001): the ACPI PM1 block, PM timer, SMBus host; and beside it a
 * general purpose event block at AFE0h, which the PC of QEMU has there.
 * Left out on purpose: device monitors, clock control, S1..S4, SMI; SMBus transfers end as if no device answered.
 */
#include "hw/piix4_pm.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	CONFIG_PMBA = 0x40, CONFIG_DEVACTB = 0x58, CONFIG_PMREGMISC = 0x80, CONFIG_SMBBA = 0x90, CONFIG_SMBHSTCFG = 0xd2,
	PMREGMISC_ENABLE = 1, SMBHSTCFG_ENABLE = 1, DEVACTB_APMC_EN = 0x02,      /* bit 25 of DEVACTB, in its last byte */
	PM_LEN = 64, SMBUS_LEN = 16,
	PMSTS = 0x00, PMEN = 0x02, PMCNTRL = 0x04, PMTMR = 0x08,
	STS_TMROF = 1 << 0, STS_GBL = 1 << 5, STS_PWRBTN = 1 << 8, STS_RTC = 1 << 10, STS_RSM = 1 << 15,
	STS_ALL = STS_TMROF | 1 << 4 | STS_GBL | STS_PWRBTN | 1 << 9 | STS_RTC | STS_RSM,
	EN_ALL = STS_TMROF | STS_GBL | STS_PWRBTN | 1 << 9 | STS_RTC,
	CNTRL_SCI_EN = 1 << 0, CNTRL_SUS_SHIFT = 10, CNTRL_SUS_EN = 1 << 13, SUS_SOFT_OFF = 0,
	TIMER_HALF = 1 << 23,           /* the timer overflows when its bit 23 changes */
	SMBHSTSTS = 0, SMBHSTCNT = 2, SMBHSTSTS_DEV_ERR = 1 << 2, SMBHSTCNT_START = 1 << 6,
};

struct piix4_pm {
	struct piix4_pm_config cfg;
	struct pci_device *pci;
	struct timer timer;
	uint64_t pm_mapped, smbus_mapped;       /* UINT64_MAX: not on the bus */
	/* plain state, beside the configuration bytes: */
	struct state {
		uint16_t sts, en, cntrl;
		uint64_t overflows;     /* half turns of the timer that are in sts */
		uint64_t deadline;
		uint8_t gpe[PM_GPE_LEN];        /* status, then enable */
		uint8_t smbus[SMBUS_LEN];
		uint8_t scratch[PM_LEN];        /* registers that only hold what is stored */
	} s;
};

/* --- timer and SCI --------------------------------------------------------------------------------------------- */

static uint64_t ticks(const struct piix4_pm *s)
{
	return (uint64_t)((unsigned __int128)clock_now(s->cfg.clock) * PM_TIMER_HZ / S(1));
}

static void update_sci(struct piix4_pm *s)
{
	bool gpe = (s->s.gpe[0] & s->s.gpe[2]) | (s->s.gpe[1] & s->s.gpe[3]);
	uint64_t half;

	if (ticks(s) / TIMER_HALF > s->s.overflows)
		s->s.sts |= STS_TMROF;
	s->s.overflows = ticks(s) / TIMER_HALF;
	irq_set(&s->cfg.sci, s->s.cntrl & CNTRL_SCI_EN && (gpe || s->s.sts & s->s.en & EN_ALL));
	s->s.deadline = CLOCK_NEVER;
	if (s->s.en & STS_TMROF && !(s->s.sts & STS_TMROF)) {
		half = (s->s.overflows + 1) * TIMER_HALF;
		s->s.deadline = (uint64_t)(((unsigned __int128)half * S(1) + PM_TIMER_HZ - 1) / PM_TIMER_HZ);
	}
	timer_set(&s->timer, s->s.deadline);
}

static void fire(void *owner)
{
	update_sci(owner);
}

void piix4_pm_power_button(struct piix4_pm *s)
{
	s->s.sts |= STS_PWRBTN;
	update_sci(s);
}

void piix4_pm_apm(struct piix4_pm *s, uint8_t command)
{
	if (command == PM_ACPI_ENABLE)
		s->s.cntrl |= CNTRL_SCI_EN;
	else if (command == PM_ACPI_DISABLE)
		s->s.cntrl &= (uint16_t)~CNTRL_SCI_EN;
	update_sci(s);
}

static void write_cntrl(struct piix4_pm *s, uint16_t value)
{
	unsigned type = value >> CNTRL_SUS_SHIFT & 7;

	s->s.cntrl = value & (uint16_t)~CNTRL_SUS_EN;
	if (!(value & CNTRL_SUS_EN))
		return;
	if (type == SUS_SOFT_OFF && s->cfg.shutdown)
		s->cfg.shutdown(s->cfg.owner);
	else
		log_unimp("piix4_pm", "suspend type %u", type);
}

/* --- PM registers ---------------------------------------------------------------------------------------------- */

static uint64_t read_pm(void *dev, uint64_t offset, unsigned size)
{
	struct piix4_pm *s = dev;
	uint8_t bytes[PM_LEN + 8];
	uint64_t value = 0;

	update_sci(s);
	memcpy(bytes, s->s.scratch, PM_LEN);
	put_le16(bytes + PMSTS, s->s.sts);
	put_le16(bytes + PMEN, s->s.en);
	put_le16(bytes + PMCNTRL, s->s.cntrl);
	put_le32(bytes + PMTMR, (uint32_t)ticks(s) & 0xffffff);
	memcpy(&value, bytes + offset, size);
	return value;
}

/* Stores of any width: each register takes the bytes that hit it. */
static uint16_t merge(uint16_t old, unsigned reg, uint64_t offset, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		if (offset + i == reg)
			old = (uint16_t)((old & 0xff00) | (value >> (8 * i) & 0xff));
		else if (offset + i == reg + 1)
			old = (uint16_t)((old & 0x00ff) | (value >> (8 * i) & 0xff) << 8);
	return old;
}

static void write_pm(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix4_pm *s = dev;

	update_sci(s);
	if (offset < PMEN)
		s->s.sts &= (uint16_t)~(merge(0, PMSTS, offset, value, size) & STS_ALL);
	if (offset < PMCNTRL && offset + size > PMEN)
		s->s.en = merge(s->s.en, PMEN, offset, value, size);
	if (offset < PMCNTRL + 2 && offset + size > PMCNTRL)
		write_cntrl(s, merge(s->s.cntrl, PMCNTRL, offset, value, size));
	for (unsigned i = 0; i < size; i++)
		if (offset + i >= PMTMR + 4)
			s->s.scratch[offset + i] = (uint8_t)(value >> (8 * i));
	update_sci(s);
}

static const struct io_ops pm_ops = { read_pm, write_pm, .max_size = 4 };

/* --- general purpose events, SMBus ----------------------------------------------------------------------------- */

static uint64_t read_gpe(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return ((struct piix4_pm *)dev)->s.gpe[offset];
}

static void write_gpe(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix4_pm *s = dev;

	(void)size;
	if (offset < PM_GPE_LEN / 2)
		s->s.gpe[offset] &= (uint8_t)~value;
	else
		s->s.gpe[offset] = (uint8_t)value;
	update_sci(s);
}

static uint64_t read_smbus(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return ((struct piix4_pm *)dev)->s.smbus[offset];
}

static void write_smbus(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix4_pm *s = dev;

	(void)size;
	if (offset == SMBHSTSTS) {
		s->s.smbus[SMBHSTSTS] &= (uint8_t)~value;
		return;
	}
	s->s.smbus[offset] = (uint8_t)value;
	if (offset == SMBHSTCNT && value & SMBHSTCNT_START) {
		s->s.smbus[SMBHSTCNT] &= (uint8_t)~SMBHSTCNT_START;
		s->s.smbus[SMBHSTSTS] |= SMBHSTSTS_DEV_ERR;     /* no device acknowledges its address */
	}
}

static const struct io_ops gpe_ops = { read_gpe, write_gpe, .max_size = 1 };
static const struct io_ops smbus_ops = { read_smbus, write_smbus, .max_size = 1 };

/* --- placement ------------------------------------------------------------------------------------------------- */

static void place(struct piix4_pm *s, uint64_t *mapped, bool on, unsigned reg, unsigned len, const struct io_ops *ops,
		  const char *name)
{
	uint64_t base = le16(pci_config_bytes(s->pci) + reg) & ~(len - 1);
	struct err e;

	if (!on || !base)
		base = UINT64_MAX;
	if (base == *mapped)
		return;
	if (*mapped != UINT64_MAX)
		bus_unmap(s->cfg.ports, *mapped);
	*mapped = UINT64_MAX;
	if (base == UINT64_MAX)
		return;
	if (bus_map(s->cfg.ports, base, len, ops, s, name, &e))
		*mapped = base;
	else
		log_guest("piix4_pm", "%s", e.text);
}

static void update_places(struct piix4_pm *s)
{
	const uint8_t *config = pci_config_bytes(s->pci);

	place(s, &s->pm_mapped, config[CONFIG_PMREGMISC] & PMREGMISC_ENABLE, CONFIG_PMBA, PM_LEN, &pm_ops, "acpi-pm");
	place(s, &s->smbus_mapped, config[CONFIG_SMBHSTCFG] & SMBHSTCFG_ENABLE, CONFIG_SMBBA, SMBUS_LEN, &smbus_ops, "smbus");
}

static void config_written(void *owner, unsigned offset, unsigned size)
{
	(void)offset;
	(void)size;
	update_places(owner);
}

void piix4_pm_place(struct piix4_pm *s)
{
	uint8_t *config = pci_config_bytes(s->pci);

	put_le32(config + CONFIG_PMBA, PM_BASE | 1);
	config[CONFIG_PMREGMISC] = PMREGMISC_ENABLE;
	put_le32(config + CONFIG_SMBBA, PM_SMBUS_BASE | 1);
	config[CONFIG_SMBHSTCFG] = SMBHSTCFG_ENABLE | 4 << 1;
	config[PCI_INT_LINE] = PM_SCI_IRQ;
	update_places(s);
}

static void reset(void *owner)
{
	struct piix4_pm *s = owner;
	uint8_t *config = pci_config_bytes(s->pci);

	memset(&s->s, 0, sizeof(s->s));
	s->s.overflows = ticks(s) / TIMER_HALF;
	config[CONFIG_PMBA] = config[CONFIG_SMBBA] = 1;
	/* APMC's SMI is marked as enabled, by which firmware knows that system management mode is set up, or not its affair */
	config[CONFIG_DEVACTB + 3] = DEVACTB_APMC_EN;
	update_places(s);
	update_sci(s);
}

static void loaded(void *owner)
{
	struct piix4_pm *s = owner;

	update_places(s);
	timer_set(&s->timer, s->s.deadline);
}

struct piix4_pm *piix4_pm_new(const struct piix4_pm_config *config, struct err *err)
{
	struct piix4_pm *s = calloc(1, sizeof(*s));
	uint8_t *writable;

	assert(s);
	s->cfg = *config;
	s->pm_mapped = s->smbus_mapped = UINT64_MAX;
	timer_init(&s->timer, config->clock, fire, s);
	s->pci = pci_add(config->pci, &(struct pci_config){ .name = "PIIX4_PM", .vendor = 0x8086, .device = 0x7113,
		.subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 3, .class_code = 6, .subclass = 0x80,
		.int_pin = 1, .devfn = 1 << 3 | 3, .owner = s, .config_written = config_written }, err);
	if (!s->pci) {
		free(s);
		return NULL;
	}
	writable = pci_config_writable(s->pci);
	put_le32(writable + CONFIG_PMBA, 0xffc0);
	put_le32(writable + CONFIG_SMBBA, 0xfff0);
	put_le32(writable + CONFIG_DEVACTB, 0xffffffff);
	writable[CONFIG_PMREGMISC] = 0x01;
	writable[CONFIG_SMBHSTCFG] = 0x0f;
	bus_map(config->ports, PM_GPE_BASE, PM_GPE_LEN, &gpe_ops, s, "acpi-gpe0", NULL);
	state_add(config->states, &(struct state_section){ .name = "piix4_pm", .version = 1, .data = &s->s,
		.size = sizeof(s->s), .owner = s, .reset = reset, .loaded = loaded });
	reset(s);
	return s;
}

void piix4_pm_free(struct piix4_pm *s)
{
	if (s)
		timer_cancel(&s->timer);
	free(s);
}
