/* SPDX-License-Identifier: MIT */
/*
 * Intel 82540EM, 82544GC and 82545EM: registers, interrupts, EEPROM and PHY.
 * Source: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (8254x), section numbers below;
 * the PHY is the Marvell 88E1000 family as chapter 13.4.7 shows it.
 *
 * Left out on purpose: flow control frames, TBI, wake-up, flexible filters (the registers keep what is written), collisions.
 * The FCS that goes into a receive buffer while SECRC is off is four zero bytes.
 */
#include "hw/nic/e1000_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "hw/state.h"

static const struct {
	const char *name;
	uint16_t device, phy_id2;
} models[] = {
	[E1000_82540EM] = { "e1000", 0x100e, 0x0c20 },
	[E1000_82544GC] = { "e1000-82544gc", 0x100c, 0x0c30 },
	[E1000_82545EM] = { "e1000-82545em", 0x100f, 0x0c20 },
};

enum {
	VENDOR_INTEL = 0x8086,
	AUTONEG_MS = 20,                /* a real partner takes a second or more; drivers poll or wait for LSC */
	UNIT_ITR_NS = 256, UNIT_DELAY_NS = 1024,
};

/* --- interrupts (3.2.7, 3.4.3, 13.4.17..21) ----------------------------------------------------------------------- */

static void arm(struct e1000 *s)
{
	const struct e1000_state *st = &s->st;
	uint64_t first = MIN(st->irq_due, MIN(MIN(st->rx_due, st->rx_abs), MIN(MIN(st->tx_due, st->tx_abs), st->link_due)));

	timer_set(&s->timer, first);
}

/* The one place that moves the pin.  ITR keeps interrupts apart: one that comes too soon waits in irq_due. */
static void update_irq(struct e1000 *s)
{
	uint64_t now;

	if (!(R(s, ICR) & R(s, IMS))) {
		s->st.irq_due = CLOCK_NEVER;
		s->intx = false;
	} else if (!s->intx) {
		now = clock_now(s->cfg.clock);
		if (now < s->st.irq_next) {
			s->st.irq_due = s->st.irq_next;
		} else {
			s->st.irq_due = CLOCK_NEVER;
			if (!s->cfg.no_mitigation)
				s->st.irq_next = now + (uint64_t)(R(s, ITR) & 0xffff) * UNIT_ITR_NS;
			s->intx = true;
		}
	}
	pci_intx(s->pci, s->intx);
	arm(s);
}

void e1000_raise(struct e1000 *s, uint32_t causes)
{
	R(s, ICR) |= causes & INT_ALL;
	update_irq(s);
}

/* `delay` restarts with each event, `absolute` runs from the first (RDTR and RADV, TIDV and TADV). */
static void event_later(struct e1000 *s, uint32_t delay, uint32_t absolute, uint64_t *due, uint64_t *abs, uint32_t cause)
{
	uint64_t now;

	if (delay == 0 || s->cfg.no_mitigation) {
		e1000_raise(s, cause);
		return;
	}
	now = clock_now(s->cfg.clock);
	*due = now + (uint64_t)delay * UNIT_DELAY_NS;
	if (absolute && *abs == CLOCK_NEVER)
		*abs = now + (uint64_t)absolute * UNIT_DELAY_NS;
	arm(s);
}

void e1000_rx_done(struct e1000 *s)
{
	event_later(s, R(s, RDTR) & 0xffff, R(s, RADV) & 0xffff, &s->st.rx_due, &s->st.rx_abs, INT_RXT0);
}

void e1000_tx_done_later(struct e1000 *s)
{
	event_later(s, R(s, TIDV) & 0xffff, R(s, TADV) & 0xffff, &s->st.tx_due, &s->st.tx_abs, INT_TXDW);
}

bool e1000_link_up(const struct e1000 *s)
{
	return R(s, STATUS) & STATUS_LU;
}

/* The PHY's link and the SLU bit make STATUS.LU; a change is an LSC interrupt. */
static void update_link(struct e1000 *s)
{
	bool was = e1000_link_up(s), is = s->st.link && (R(s, CTRL) & CTRL_SLU);
	uint16_t *phy = s->st.phy;

	phy[PHY_STATUS] &= (uint16_t)~(PHY_STATUS_LINK | PHY_STATUS_AN_DONE);
	phy[PHY_PSSTAT] &= (uint16_t)~PHY_PSSTAT_LINK;
	if (s->st.link) {
		phy[PHY_STATUS] |= PHY_STATUS_LINK | PHY_STATUS_AN_DONE;
		phy[PHY_PSSTAT] |= PHY_PSSTAT_LINK;
	}
	R(s, STATUS) &= ~(uint32_t)STATUS_LU;
	if (is)
		R(s, STATUS) |= STATUS_LU;
	if (is != was)
		e1000_raise(s, INT_LSC);
	if (is && !was)
		bell_ring(&s->rx_bell);
}

static void start_autonegotiation(struct e1000 *s)
{
	s->st.link = false;
	update_link(s);
	s->st.link_due = s->port.link_down ? CLOCK_NEVER : clock_now(s->cfg.clock) + MS(AUTONEG_MS);
	arm(s);
}

static void timer_fired(void *owner)
{
	struct e1000 *s = owner;
	struct e1000_state *st = &s->st;
	uint64_t now = clock_now(s->cfg.clock);
	uint32_t causes = 0;

	if (st->link_due <= now) {
		st->link_due = CLOCK_NEVER;
		st->link = !s->port.link_down;
		update_link(s);
	}
	if (st->rx_due <= now || st->rx_abs <= now) {
		st->rx_due = st->rx_abs = CLOCK_NEVER;
		causes |= INT_RXT0;
	}
	if (st->tx_due <= now || st->tx_abs <= now) {
		st->tx_due = st->tx_abs = CLOCK_NEVER;
		causes |= INT_TXDW;
	}
	e1000_raise(s, causes);
}

/* --- statistics (13.7) -------------------------------------------------------------------------------------------- */

void e1000_count(struct e1000 *s, unsigned reg, uint32_t n)
{
	uint32_t *r = &s->st.reg[reg / 4];

	*r = *r + n < *r ? UINT32_MAX : *r + n;
}

void e1000_count64(struct e1000 *s, unsigned reg_low, uint64_t n)
{
	uint32_t *r = &s->st.reg[reg_low / 4];
	uint64_t old = (uint64_t)r[1] << 32 | r[0], sum = old + n < old ? UINT64_MAX : old + n;

	r[0] = (uint32_t)sum;
	r[1] = (uint32_t)(sum >> 32);
}

/* PRC64..PRC1522 and PTC64..PTC1522: six registers by length, FCS included. */
void e1000_count_size(struct e1000 *s, unsigned reg_64, uint32_t len)
{
	unsigned i = len <= 64 ? 0 : len <= 127 ? 1 : len <= 255 ? 2 : len <= 511 ? 3 : len <= 1023 ? 4 : 5;

	e1000_count(s, reg_64 + 4 * i, 1);
}

/* --- PHY (13.4.7) ------------------------------------------------------------------------------------------------- */

static void reset_phy(struct e1000 *s)
{
	static const uint16_t power_on[PHY_COUNT] = {
		[PHY_CTRL] = 0x1140,            /* autonegotiate, full duplex, 1000 */
		[PHY_STATUS] = 0x7949,
		[PHY_ID1] = 0x0141, [PHY_AN_ADV] = 0x0de1, [PHY_LP_ABILITY] = 0x45e1, [PHY_AN_EXP] = 0x000f,
		[PHY_GCON] = 0x0e00, [PHY_GSTATUS] = 0x3c00, [PHY_EXT_STATUS] = 0x3000,
		[PHY_PSCON] = 0x0360,
		[PHY_PSSTAT] = PHY_PSSTAT_SPEED_1000 | PHY_PSSTAT_DUPLEX | PHY_PSSTAT_RESOLVED,
		[PHY_EPSCON] = 0x0d60,
	};

	memcpy(s->st.phy, power_on, sizeof(power_on));
	s->st.phy[PHY_ID2] = models[s->cfg.model].phy_id2;
}

static void write_phy(struct e1000 *s, unsigned n, uint16_t v)
{
	switch (n) {
	case PHY_CTRL:
		if (v & PHY_CTRL_RESET) {
			reset_phy(s);
			start_autonegotiation(s);
			return;
		}
		s->st.phy[PHY_CTRL] = v & (uint16_t)~PHY_CTRL_RESTART_AN;
		if ((v & PHY_CTRL_AN) && (v & PHY_CTRL_RESTART_AN))
			start_autonegotiation(s);
		return;
	case PHY_AN_ADV: case PHY_GCON: case PHY_PSCON: case PHY_INTE: case PHY_EPSCON: case 29: case 30:
		s->st.phy[n] = v;
		return;
	default:
		log_guest("e1000", "write of %04x to PHY register %u, which is read-only", v, n);
	}
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static void reset_chip(struct e1000 *s)
{
	struct e1000_state *st = &s->st;

	memset(st->reg, 0, sizeof(st->reg));
	R(s, CTRL) = CTRL_FD | CTRL_ASDE | CTRL_SLU | CTRL_SPEED_1000;
	R(s, STATUS) = STATUS_FD | STATUS_SPEED_1000 | STATUS_ASDV_1000;
	R(s, EECD) = EECD_PRES;
	R(s, TIPG) = 0x00602008;
	R(s, PBA) = 0x00100030;
	R(s, LEDCTL) = 0x07061302;
	R(s, TXDCTL) = 0;
	R(s, TSPMT) = 0x01000400;
	/* the address from the EEPROM (5.6.2) */
	st->reg[REG_RA / 4] = (uint32_t)st->eeprom.word[0] | (uint32_t)st->eeprom.word[1] << 16;
	st->reg[REG_RA / 4 + 1] = st->eeprom.word[2] | RAH_AV;
	memset(&st->context, 0, sizeof(st->context));
	memset(&st->tso_context, 0, sizeof(st->tso_context));
	st->irq_due = st->rx_due = st->rx_abs = st->tx_due = st->tx_abs = st->link_due = CLOCK_NEVER;
	st->irq_next = 0;
	s->epoch++;
	s->tx_waits = false;
	port_forget(&s->port);
	update_irq(s);
	st->link = !s->port.link_down;
	update_link(s);
	R(s, ICR) = 0;
	update_irq(s);
}

static void write_eeprom_defaults(struct e1000 *s)
{
	uint16_t *w = s->st.eeprom.word, sum = 0;
	const uint8_t *mac = s->cfg.mac;
	uint16_t device = models[s->cfg.model].device;

	memset(w, 0xff, sizeof(s->st.eeprom.word));
	for (int i = 0; i < 3; i++)
		w[i] = le16(mac + 2 * i);
	w[0x03] = 0x0000;               /* compatibility */
	w[0x08] = 0x3000, w[0x09] = 0x1000;     /* PBA number */
	w[0x0a] = 0x6408;               /* initialization control 1 (5.6.7): signature 01, load ids */
	w[0x0b] = 0x1100, w[0x0c] = 0x1af4;     /* subsystem */
	w[0x0d] = device, w[0x0e] = VENDOR_INTEL;
	w[0x0f] = 0x3040;               /* initialization control 2 */
	w[0x10] = 0x0008, w[0x11] = 0x2000, w[0x12] = 0x7e14, w[0x13] = 0x0048;
	w[0x14] = 0x1000, w[0x15] = 0x00d8, w[0x16] = 0x0000, w[0x17] = 0x2700;
	w[0x20] = 0x0000, w[0x21] = 0x0050, w[0x22] = 0x0722, w[0x23] = 0x0000, w[0x24] = 0x0000;
	w[0x2f] = 0x0602;               /* LED configuration */
	for (int i = 0; i < 0x3f; i++)
		sum = (uint16_t)(sum + w[i]);
	w[0x3f] = (uint16_t)(0xbaba - sum);     /* 5.6.35: all words add up to BABAh */
}

static void power_on(void *owner)
{
	struct e1000 *s = owner;

	eeprom93_reset(&s->st.eeprom);
	write_eeprom_defaults(s);
	memset(s->st.pbm, 0, sizeof(s->st.pbm));
	s->st.io_address = 0;
	reset_phy(s);
	reset_chip(s);
}

static void loaded(void *owner)
{
	struct e1000 *s = owner;

	s->epoch++;
	s->intx = false;
	update_irq(s);
	bell_ring(&s->tx_bell);
	bell_ring(&s->rx_bell);
}

static uint32_t read_plain(struct e1000 *s, unsigned reg)
{
	return s->st.reg[reg / 4];
}

static uint32_t read_and_clear(struct e1000 *s, unsigned reg)
{
	uint32_t v = s->st.reg[reg / 4];

	s->st.reg[reg / 4] = 0;
	return v;
}

/* The high half of a 64-bit counter: reading it clears both (13.7.24). */
static uint32_t read_and_clear_pair(struct e1000 *s, unsigned reg)
{
	s->st.reg[reg / 4 - 1] = 0;
	return read_and_clear(s, reg);
}

static uint32_t read_zero(struct e1000 *s, unsigned reg)
{
	(void)s, (void)reg;
	return 0;
}

static uint32_t read_icr(struct e1000 *s, unsigned reg)
{
	uint32_t v = read_and_clear(s, reg);

	update_irq(s);
	return v;
}

static uint32_t read_eecd(struct e1000 *s, unsigned reg)
{
	uint32_t v = s->st.reg[reg / 4] & ~(uint32_t)EECD_DO;

	return v | (eeprom93_out(&s->st.eeprom) ? EECD_DO : 0);
}

static void write_plain(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v;
}

static void write_16(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v & 0xffff;
}

static void write_base_low(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v & ~15u;
}

static void write_ring_length(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v & 0xfff80;       /* a multiple of 128 bytes, 8 descriptors */
}

static void ignore(struct e1000 *s, unsigned reg, uint32_t v)
{
	(void)s;
	log_guest("e1000", "write of %08x to register %05x, which is read-only", v, reg);
}

static void write_ctrl(struct e1000 *s, unsigned reg, uint32_t v)
{
	if (v & CTRL_RST) {
		reset_chip(s);
		return;
	}
	s->st.reg[reg / 4] = v;
	update_link(s);
}

static void write_ctrl_ext(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v & ~(uint32_t)(CTRL_EXT_ASDCHK | CTRL_EXT_EE_RST);
}

static void write_eecd(struct e1000 *s, unsigned reg, uint32_t v)
{
	uint32_t keep = v & (EECD_SK | EECD_CS | EECD_DI | 0x30 | EECD_REQ);

	s->st.reg[reg / 4] = keep | EECD_PRES | (v & EECD_REQ ? EECD_GNT : 0);
	eeprom93_drive(&s->st.eeprom, v & EECD_CS, v & EECD_SK, v & EECD_DI);
}

static void write_eerd(struct e1000 *s, unsigned reg, uint32_t v)
{
	unsigned address = v >> 8 & 0xff;

	if (!(v & EERD_START)) {
		s->st.reg[reg / 4] = v & 0xff00;
		return;
	}
	v = (v & 0xff00) | EERD_DONE;
	if (address < EEPROM93_WORDS)
		v |= (uint32_t)s->st.eeprom.word[address] << 16;
	s->st.reg[reg / 4] = v;
}

static void write_mdic(struct e1000 *s, unsigned reg, uint32_t v)
{
	unsigned phy = v >> 21 & 31, n = v >> 16 & 31;

	v &= ~(uint32_t)(MDIC_R | MDIC_E);
	if (phy != 1) {
		v |= MDIC_E;
	} else if (v & MDIC_OP_READ) {
		v = (v & 0xffff0000) | s->st.phy[n];
	} else if (v & MDIC_OP_WRITE) {
		write_phy(s, n, (uint16_t)v);
	}
	s->st.reg[reg / 4] = v | MDIC_R;
	if (v & MDIC_I)
		e1000_raise(s, INT_MDAC);
}

static void write_ics(struct e1000 *s, unsigned reg, uint32_t v)
{
	(void)reg;
	e1000_raise(s, v);
}

static void write_icr(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] &= ~v;
	update_irq(s);
}

static void write_ims(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] |= v & INT_ALL;
	update_irq(s);
}

static void write_imc(struct e1000 *s, unsigned reg, uint32_t v)
{
	(void)reg;
	R(s, IMS) &= ~v;
	update_irq(s);
}

static void write_rctl(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v & ~0xf9204c01u;
	bell_ring(&s->rx_bell);
}

static void write_tctl(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v;
	bell_ring(&s->tx_bell);
}

static void write_rdtr(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v & 0xffff;
	if (v >> 31) {                          /* FPD: flush (13.4.30) */
		s->st.rx_due = s->st.rx_abs = CLOCK_NEVER;
		e1000_raise(s, INT_RXT0);
	}
}

static void write_tidv(struct e1000 *s, unsigned reg, uint32_t v)
{
	s->st.reg[reg / 4] = v & 0xffff;
}

/* RDT and TDT come through the doorbell as well, without the machine lock. */
static void write_tail(struct e1000 *s, unsigned reg, uint32_t v)
{
	__atomic_store_n(&s->st.reg[reg / 4], v & 0xffff, __ATOMIC_SEQ_CST);
	if (reg == REG_TDT)
		bell_ring(&s->tx_bell);
	else if (__atomic_load_n(&s->rx_waits, __ATOMIC_SEQ_CST))       /* else nobody waits for room (e1000_receive) */
		bell_ring(&s->rx_bell);
}

#define X(name) [REG_##name / 4]
#define RANGE(name, count) [REG_##name / 4 ... REG_##name / 4 + (count) - 1]

static uint32_t (*const read_reg[REG_PLAIN / 4])(struct e1000 *s, unsigned reg) = {
	X(CTRL) = read_plain, X(STATUS) = read_plain, X(EECD) = read_eecd, X(EERD) = read_plain, X(CTRL_EXT) = read_plain,
	X(MDIC) = read_plain, X(FCAL) = read_plain, X(FCAH) = read_plain, X(FCT) = read_plain, X(VET) = read_plain,
	X(ICR) = read_icr, X(ITR) = read_plain, X(ICS) = read_zero, X(IMS) = read_plain, X(IMC) = read_zero,
	X(RCTL) = read_plain, X(FCTTV) = read_plain, X(TXCW) = read_plain, X(RXCW) = read_plain, X(TCTL) = read_plain,
	X(TIPG) = read_plain, X(AIT) = read_plain, X(LEDCTL) = read_plain, X(PBA) = read_plain,
	X(FCRTL) = read_plain, X(FCRTH) = read_plain,
	X(RDBAL) = read_plain, X(RDBAH) = read_plain, X(RDLEN) = read_plain, X(RDH) = read_plain, X(RDT) = read_plain,
	X(RDTR) = read_plain, X(RXDCTL) = read_plain, X(RADV) = read_plain, X(RSRPD) = read_plain,
	X(TDBAL) = read_plain, X(TDBAH) = read_plain, X(TDLEN) = read_plain, X(TDH) = read_plain, X(TDT) = read_plain,
	X(TIDV) = read_plain, X(TXDCTL) = read_plain, X(TADV) = read_plain, X(TSPMT) = read_plain,
	[REG_CRCERRS / 4 ... REG_GORCL / 4 - 1] = read_and_clear, [REG_GOTCH / 4 + 1 ... REG_TORL / 4 - 1] = read_and_clear,
	[REG_TOTH / 4 + 1 ... REG_STATS_END / 4 - 1] = read_and_clear,
	X(GORCL) = read_plain, X(GORCH) = read_and_clear_pair, X(GOTCL) = read_plain, X(GOTCH) = read_and_clear_pair,
	X(TORL) = read_plain, X(TORH) = read_and_clear_pair, X(TOTL) = read_plain, X(TOTH) = read_and_clear_pair,
	X(RXCSUM) = read_plain, RANGE(MTA, MTA_COUNT) = read_plain, RANGE(RA, 2 * RA_COUNT) = read_plain,
	RANGE(VFTA, VFTA_COUNT) = read_plain, X(WUC) = read_plain, X(WUFC) = read_plain, X(WUS) = read_plain,
	X(MANC) = read_plain, X(IPAV) = read_plain, RANGE(IP4AT, 8) = read_plain, RANGE(IP6AT, 4) = read_plain,
	X(WUPL) = read_plain, RANGE(FFLT, 8) = read_plain, RANGE(FFMT, 256) = read_plain, RANGE(FFVT, 256) = read_plain,
};

static void (*const write_reg[REG_PLAIN / 4])(struct e1000 *s, unsigned reg, uint32_t v) = {
	X(CTRL) = write_ctrl, X(STATUS) = ignore, X(EECD) = write_eecd, X(EERD) = write_eerd, X(CTRL_EXT) = write_ctrl_ext,
	X(MDIC) = write_mdic, X(FCAL) = write_plain, X(FCAH) = write_16, X(FCT) = write_16, X(VET) = write_16,
	X(ICR) = write_icr, X(ITR) = write_16, X(ICS) = write_ics, X(IMS) = write_ims, X(IMC) = write_imc,
	X(RCTL) = write_rctl, X(FCTTV) = write_16, X(TXCW) = write_plain, X(RXCW) = ignore, X(TCTL) = write_tctl,
	X(TIPG) = write_plain, X(AIT) = write_16, X(LEDCTL) = write_plain, X(PBA) = write_plain,
	X(FCRTL) = write_plain, X(FCRTH) = write_plain,
	X(RDBAL) = write_base_low, X(RDBAH) = write_plain, X(RDLEN) = write_ring_length, X(RDH) = write_16, X(RDT) = write_tail,
	X(RDTR) = write_rdtr, X(RXDCTL) = write_plain, X(RADV) = write_16, X(RSRPD) = write_16,
	X(TDBAL) = write_base_low, X(TDBAH) = write_plain, X(TDLEN) = write_ring_length, X(TDH) = write_16, X(TDT) = write_tail,
	X(TIDV) = write_tidv, X(TXDCTL) = write_plain, X(TADV) = write_16, X(TSPMT) = write_plain,
	[REG_CRCERRS / 4 ... REG_STATS_END / 4 - 1] = ignore,
	X(RXCSUM) = write_plain, RANGE(MTA, MTA_COUNT) = write_plain, RANGE(RA, 2 * RA_COUNT) = write_plain,
	RANGE(VFTA, VFTA_COUNT) = write_plain, X(WUC) = write_plain, X(WUFC) = write_plain, X(WUS) = write_plain,
	X(MANC) = write_plain, X(IPAV) = write_plain, RANGE(IP4AT, 8) = write_plain, RANGE(IP6AT, 4) = write_plain,
	X(WUPL) = ignore, RANGE(FFLT, 8) = write_plain, RANGE(FFMT, 256) = write_plain, RANGE(FFVT, 256) = write_plain,
};

static uint64_t mmio_read(void *dev, uint64_t offset, unsigned size)
{
	struct e1000 *s = dev;
	unsigned reg = (unsigned)offset & ~3u;

	(void)size;
	if (reg >= REG_PBM)
		return s->st.pbm[(reg - REG_PBM) / 4];
	if (reg < REG_PLAIN && read_reg[reg / 4])
		return read_reg[reg / 4](s, reg);
	log_guest("e1000", "read of register %05x, which the chip does not have", reg);
	return 0;
}

static void mmio_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct e1000 *s = dev;
	unsigned reg = (unsigned)offset & ~3u;

	(void)size;
	if (reg >= REG_PBM)
		s->st.pbm[(reg - REG_PBM) / 4] = (uint32_t)value;
	else if (reg < REG_PLAIN && write_reg[reg / 4])
		write_reg[reg / 4](s, reg, (uint32_t)value);
	else
		log_guest("e1000", "write of %08x to register %05x, which the chip does not have", (uint32_t)value, reg);
}

static bool mmio_doorbell(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	if (size != 4 || (offset != REG_TDT && offset != REG_RDT))
		return false;
	write_tail(dev, (unsigned)offset, (uint32_t)value);
	return true;
}

static const struct io_ops mmio_ops = { mmio_read, mmio_write, .min_size = 4, .max_size = 4, .doorbell = mmio_doorbell };

/* The I/O window: IOADDR at 0 chooses, IODATA at 4 accesses (13.2.2). */
static uint64_t window_read(void *dev, uint64_t offset, unsigned size)
{
	struct e1000 *s = dev;

	if (offset == 0)
		return s->st.io_address;
	if (offset == 4 && s->st.io_address < REG_END)
		return mmio_read(s, s->st.io_address, size);
	return 0;
}

static void window_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct e1000 *s = dev;

	if (offset == 0)
		s->st.io_address = (uint32_t)value;
	else if (offset == 4 && s->st.io_address < REG_END)
		mmio_write(s, s->st.io_address, value, size);
}

static const struct io_ops window_ops = { window_read, window_write, .min_size = 4, .max_size = 4 };

/* --- the port's other calls, life cycle ---------------------------------------------------------------------------- */

static void port_changed(void *owner)
{
	struct e1000 *s = owner;

	if (s->port.link_down) {
		s->st.link = false;
		s->st.link_due = CLOCK_NEVER;
		update_link(s);
	} else if (!s->st.link && s->st.link_due == CLOCK_NEVER) {
		start_autonegotiation(s);
	}
}

static const struct port_ops port_ops = {
	.receive = e1000_receive, .ready = e1000_transmit_ready, .changed = port_changed,
};

/* Bus Master Enable came on: rings that waited for it go on. */
static void config_written(void *owner, unsigned offset, unsigned size)
{
	struct e1000 *s = owner;

	if (offset <= PCI_COMMAND && offset + size > PCI_COMMAND && pci_master(s->pci)) {
		bell_ring(&s->tx_bell);
		bell_ring(&s->rx_bell);
	}
}

struct e1000 *e1000_new(const struct e1000_config *config, struct err *err)
{
	struct e1000 *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	s->pci = pci_add(config->pci, &(struct pci_config){
		.name = models[config->model].name, .vendor = VENDOR_INTEL, .device = models[config->model].device,
		.subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 3, .class_code = 2, .subclass = 0, .int_pin = 1,
		.devfn = config->devfn, .owner = s, .config_written = config_written }, err);
	if (!s->pci) {
		free(s);
		return NULL;
	}
	pci_bar(s->pci, 0, REG_END, PCI_BAR_MEM32, &mmio_ops, s);
	pci_bar(s->pci, 1, 64, PCI_BAR_IO, &window_ops, s);
	if (config->rom && !pci_rom_image(s->pci, config->rom, config->rom_len, config->rom_patch_ids, err)) {
		free(s);
		return NULL;
	}
	port_init(&s->port, &port_ops, s, config->name);
	s->port.guard = config->guard;
	timer_init(&s->timer, config->clock, timer_fired, s);
	bell_init(&s->tx_bell, config->clock, e1000_transmit, s);
	bell_init(&s->rx_bell, config->clock, e1000_receive_again, s);
	s->tx_bell.quick = s->rx_bell.quick = true;
	state_add(config->states, &(struct state_section){
		.name = "e1000", .instance = config->instance, .version = 1, .data = &s->st, .size = sizeof(s->st),
		.owner = s, .reset = power_on, .loaded = loaded });
	power_on(s);
	return s;
}

void e1000_free(struct e1000 *s)
{
	if (!s)
		return;
	port_part(&s->port);
	timer_cancel(&s->timer);
	bell_cancel(&s->tx_bell);
	bell_cancel(&s->rx_bell);
	free(s);
}

struct port *e1000_port(struct e1000 *s)
{
	return &s->port;
}

struct pci_device *e1000_pci(struct e1000 *s)
{
	return s->pci;
}

void e1000_print(struct e1000 *s, void (*out)(void *to, const char *line), void *to)
{
	char line[160];

	snprintf(line, sizeof(line), "%s: link %s, ICR %05x IMS %05x ITR %u", s->cfg.name, e1000_link_up(s) ? "up" : "down",
		 R(s, ICR), R(s, IMS), R(s, ITR));
	out(to, line);
	snprintf(line, sizeof(line), "  tx: TDH %u TDT %u of %u%s, %u frames", R(s, TDH), R(s, TDT), R(s, TDLEN) / 16,
		 s->tx_waits ? ", waiting" : "", R(s, GPTC));
	out(to, line);
	snprintf(line, sizeof(line), "  rx: RDH %u RDT %u of %u%s, %u frames, RCTL %08x", R(s, RDH), R(s, RDT), R(s, RDLEN) / 16,
		 s->rx_waits ? ", waiting" : "", R(s, GPRC), R(s, RCTL));
	out(to, line);
}
