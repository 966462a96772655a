/* SPDX-License-Identifier: MIT */
/* The 8254x, driven through its registers and rings as a driver would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "hw/nic/e1000.h"
#include "hw/nic/e1000_reg.h"
#include "hw/pci.h"
#include "hw/state.h"
#include "net/eth.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"
#include "tests/fake/port_contract.h"

enum {
	RAM = 4 << 20, BAR = 0xe0000000, DEVFN = 3 << 3,
	TX_RING = 0x10000, RX_RING = 0x20000, RX_BUFFERS = 0x100000, TX_BUFFERS = 0x200000,
	KEPT = 64,
};

static const uint8_t MAC[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

struct bench {
	struct fake_clock clock;
	struct fake_irq irq;
	struct bus *memory, *ports;
	struct pci_bus *pci;
	struct state_list *states;
	struct e1000 *card;
	uint8_t *ram;

	struct port far;
	bool far_full;
	size_t frames;
	struct { uint8_t bytes[70000]; uint32_t len; struct frame facts; } *kept;
};

static size_t far_receive(void *owner, const struct frame *frames, size_t n)
{
	struct bench *b = owner;

	if (b->far_full)
		return 0;
	for (size_t i = 0; i < n; i++) {
		assert_true(b->frames < KEPT);
		b->kept[b->frames].len = frames[i].len;
		b->kept[b->frames].facts = frames[i];
		frame_copy(&frames[i], 0, b->kept[b->frames].bytes, frames[i].len);
		b->frames++;
	}
	return n;
}

static const struct port_ops far_ops = { .receive = far_receive };

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->kept = calloc(KEPT, sizeof(*b->kept));
	fake_clock_init(&b->clock);
	b->memory = bus_new(BUS_MEMORY);
	b->ports = bus_new(BUS_PORTS);
	b->ram = aligned_alloc(4096, RAM);
	memset(b->ram, 0, RAM);
	bus_map_ram(b->memory, 0, RAM, b->ram, BUS_RAM, "ram");
	b->states = state_list_new();
	b->pci = pci_bus_new(&(struct pci_bus_config){
		.memory = b->memory, .ports = b->ports,
		.pirq = { fake_irq_line(&b->irq), fake_irq_line(&b->irq), fake_irq_line(&b->irq), fake_irq_line(&b->irq) } });
	b->card = e1000_new(&(struct e1000_config){
		.pci = b->pci, .clock = b->clock.clock, .states = b->states, .name = "e1000.0", .devfn = DEVFN,
		.mac = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 } }, NULL);
	assert_non_null(b->card);
	port_init(&b->far, &far_ops, b, "far");
	b->far.accepts = PORT_CSUM | PORT_TSO4 | PORT_TSO6;
	port_join(e1000_port(b->card), &b->far);
	pci_config_write(b->pci, 0, DEVFN, PCI_BAR0, BAR, 4);
	pci_config_write(b->pci, 0, DEVFN, PCI_BAR0 + 4, 0xc000, 4);
	pci_config_write(b->pci, 0, DEVFN, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	e1000_free(b->card);
	pci_bus_free(b->pci);
	state_list_free(b->states);
	bus_free(b->memory);
	bus_free(b->ports);
	fake_clock_free(&b->clock);
	free(b->ram);
	free(b->kept);
	free(b);
	return 0;
}

static uint32_t rd(struct bench *b, unsigned reg) { return (uint32_t)bus_read(b->memory, BAR + reg, 4); }
static void wr(struct bench *b, unsigned reg, uint32_t v) { bus_write(b->memory, BAR + reg, v, 4); }
static void run(struct bench *b) { fake_clock_advance(&b->clock, US(1)); }

static void start_tx(struct bench *b, unsigned descriptors)
{
	wr(b, REG_TDBAL, TX_RING);
	wr(b, REG_TDBAH, 0);
	wr(b, REG_TDLEN, descriptors * 16);
	wr(b, REG_TDH, 0);
	wr(b, REG_TDT, 0);
	wr(b, REG_TCTL, TCTL_EN | TCTL_PSP);
}

static void start_rx(struct bench *b, unsigned descriptors, unsigned tail, uint32_t rctl)
{
	for (unsigned i = 0; i < descriptors; i++)
		put_le64(b->ram + RX_RING + 16 * i, RX_BUFFERS + 2048 * i);
	wr(b, REG_RDBAL, RX_RING);
	wr(b, REG_RDLEN, descriptors * 16);
	wr(b, REG_RDH, 0);
	wr(b, REG_RDT, tail);
	wr(b, REG_RCTL, RCTL_EN | RCTL_BAM | RCTL_SECRC | rctl);
	run(b);
}

static void tx_desc(struct bench *b, unsigned i, uint64_t low, uint32_t third, uint32_t fourth)
{
	put_le64(b->ram + TX_RING + 16 * i, low);
	put_le32(b->ram + TX_RING + 16 * i + 8, third);
	put_le32(b->ram + TX_RING + 16 * i + 12, fourth);
}

/* A TCP/IPv4 frame at gpa; returns its length. */
static uint32_t tcp_frame(struct bench *b, uint32_t gpa, uint32_t payload)
{
	uint8_t *p = b->ram + gpa;

	memset(p, 0, 54);
	memcpy(p, "\x52\x55\x0a\x00\x02\x02", 6);
	memcpy(p + 6, MAC, 6);
	put_be16(p + 12, ETHERTYPE_IP4);
	p[14] = 0x45;
	put_be16(p + 16, (uint16_t)(40 + payload));
	p[22] = 64, p[23] = 6;
	memcpy(p + 26, "\x0a\x00\x02\x0f\x0a\x00\x02\x02", 8);
	put_be16(p + 34, 1000), put_be16(p + 36, 80);
	p[46] = 0x50, p[47] = 0x18;
	for (uint32_t i = 0; i < payload; i++)
		p[54 + i] = (uint8_t)(i * 7);
	return 54 + payload;
}

static uint8_t frame_for[2000];

static bool give(struct bench *b, const uint8_t *dst, size_t len)
{
	memcpy(frame_for, dst, 6);
	memcpy(frame_for + 6, "\x52\x55\x0a\x00\x02\x02", 6);
	put_be16(frame_for + 12, 0x88b5);
	for (size_t i = 14; i < sizeof(frame_for); i++)
		frame_for[i] = (uint8_t)(i * 3);
	return port_send_bytes(&b->far, frame_for, len);
}

/* --- identity ------------------------------------------------------------------------------------------------------ */

static uint16_t eerd(struct bench *b, unsigned word)
{
	wr(b, REG_EERD, word << 8 | EERD_START);
	assert_true(rd(b, REG_EERD) & EERD_DONE);
	return (uint16_t)(rd(b, REG_EERD) >> 16);
}

static void eeprom_holds_the_address_and_adds_up_to_baba(void **state)
{
	struct bench *b = *state;
	uint16_t sum = 0;

	for (unsigned i = 0; i < 64; i++)
		sum = (uint16_t)(sum + eerd(b, i));
	assert_int_equal(sum, 0xbaba);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(eerd(b, i), le16(MAC + 2 * i));
	assert_int_equal(rd(b, REG_RA), le32(MAC));
	assert_int_equal(rd(b, REG_RA + 4), le16(MAC + 4) | RAH_AV);
}

static void phy_answers_at_address_1_only(void **state)
{
	struct bench *b = *state;

	wr(b, REG_MDIC, MDIC_OP_READ | 1 << 21 | PHY_ID1 << 16);
	assert_int_equal(rd(b, REG_MDIC) & 0xffff, 0x0141);
	assert_true(rd(b, REG_MDIC) & MDIC_R);
	assert_false(rd(b, REG_MDIC) & MDIC_E);
	wr(b, REG_MDIC, MDIC_OP_READ | 2 << 21 | PHY_ID1 << 16);
	assert_true(rd(b, REG_MDIC) & MDIC_E);
}

static void autonegotiation_brings_the_link_back_with_an_interrupt(void **state)
{
	struct bench *b = *state;

	assert_true(rd(b, REG_STATUS) & STATUS_LU);
	wr(b, REG_IMS, INT_LSC);
	wr(b, REG_MDIC, MDIC_OP_WRITE | 1 << 21 | PHY_CTRL << 16 | PHY_CTRL_AN | PHY_CTRL_RESTART_AN);
	assert_false(rd(b, REG_STATUS) & STATUS_LU);
	assert_true(b->irq.level);
	assert_true(rd(b, REG_ICR) & INT_LSC);
	assert_false(b->irq.level);
	fake_clock_advance(&b->clock, S(2));
	assert_true(rd(b, REG_STATUS) & STATUS_LU);
	assert_true(b->irq.level);
}

static void set_link_off_drops_the_carrier(void **state)
{
	struct bench *b = *state;

	port_set_link(&b->far, false);
	port_set_link(e1000_port(b->card), false);
	assert_false(rd(b, REG_STATUS) & STATUS_LU);
	port_set_link(e1000_port(b->card), true);
	fake_clock_advance(&b->clock, S(2));
	assert_true(rd(b, REG_STATUS) & STATUS_LU);
}

static void io_window_reaches_the_same_registers(void **state)
{
	struct bench *b = *state;

	bus_write(b->ports, 0xc000, REG_TIPG, 4);
	bus_write(b->ports, 0xc004, 0x123456, 4);
	assert_int_equal(rd(b, REG_TIPG), 0x123456);
	bus_write(b->ports, 0xc000, 0xffffffff, 4);
	assert_int_equal(bus_read(b->ports, 0xc004, 4), 0);
}

/* --- transmission -------------------------------------------------------------------------------------------------- */

static void legacy_frame_in_two_buffers_goes_out_and_reports(void **state)
{
	struct bench *b = *state;

	start_tx(b, 8);
	wr(b, REG_IMS, INT_TXDW);
	memset(b->ram + TX_BUFFERS, 0xaa, 100);
	memset(b->ram + TX_BUFFERS + 0x1000, 0xbb, 50);
	tx_desc(b, 0, TX_BUFFERS, 100, 0);
	tx_desc(b, 1, TX_BUFFERS + 0x1000, 50 | TXD_EOP | TXD_IFCS | TXD_RS, 0);
	wr(b, REG_TDT, 1);
	run(b);
	assert_int_equal(b->frames, 0);                 /* its end is not there yet */
	assert_int_equal(rd(b, REG_TDH), 0);
	wr(b, REG_TDT, 2);
	run(b);
	assert_int_equal(b->frames, 1);
	assert_int_equal(b->kept[0].len, 150);
	assert_int_equal(b->kept[0].bytes[99], 0xaa);
	assert_int_equal(b->kept[0].bytes[100], 0xbb);
	assert_int_equal(rd(b, REG_TDH), 2);
	assert_int_equal(b->ram[TX_RING + 12] & TXD_STA_DD, 0);         /* no RS, no report */
	assert_int_equal(b->ram[TX_RING + 28] & TXD_STA_DD, TXD_STA_DD);
	assert_true(b->irq.level);
	assert_true(rd(b, REG_ICR) & INT_TXDW);
	assert_int_equal(rd(b, REG_GPTC), 1);
	assert_int_equal(rd(b, REG_GPTC), 0);           /* cleared by reading */
}

static void a_full_far_end_keeps_the_ring_as_it_is(void **state)
{
	struct bench *b = *state;

	start_tx(b, 8);
	b->far_full = true;
	for (unsigned i = 0; i < 5; i++)
		tx_desc(b, i, TX_BUFFERS, 64 | TXD_EOP | TXD_RS, 0);
	wr(b, REG_TDT, 5);
	run(b);
	assert_int_equal(rd(b, REG_TDH), 0);
	assert_int_equal(b->ram[TX_RING + 12] & TXD_STA_DD, 0);
	b->far_full = false;
	port_ready(&b->far);
	run(b);
	assert_int_equal(b->frames, 5);
	assert_int_equal(rd(b, REG_TDH), 5);
}

static void the_ring_wraps(void **state)
{
	struct bench *b = *state;

	start_tx(b, 8);
	for (unsigned round = 0; round < 5; round++) {
		unsigned at = round * 5 % 8;

		for (unsigned i = 0; i < 5; i++)
			tx_desc(b, (at + i) % 8, TX_BUFFERS, 64 | TXD_EOP | TXD_RS, 0);
		wr(b, REG_TDT, (at + 5) % 8);
		run(b);
		assert_int_equal(rd(b, REG_TDH), (at + 5) % 8);
	}
	assert_int_equal(b->frames, 25);
}

static void context_asks_for_ip_and_tcp_checksums(void **state)
{
	struct bench *b = *state;
	uint32_t len = tcp_frame(b, TX_BUFFERS, 100);

	start_tx(b, 8);
	tx_desc(b, 0, 14 | 24ull << 8 | 33ull << 16 | 34ull << 32 | 50ull << 40, TXD_DEXT | TUCMD_TCP | TUCMD_IP, 0);
	tx_desc(b, 1, TX_BUFFERS, len | TXD_DTYP_DATA | TXD_DEXT | TXD_EOP | TXD_RS, TXD_POPTS_IXSM | TXD_POPTS_TXSM);
	wr(b, REG_TDT, 2);
	run(b);
	assert_int_equal(b->frames, 1);
	assert_int_equal(checksum(b->kept[0].bytes + 14, 20), 0);
	assert_true(b->kept[0].facts.needs_csum);
	assert_int_equal(b->kept[0].facts.csum_start, 34);
	assert_int_equal(b->kept[0].facts.csum_offset, 16);
	assert_int_equal(le16(b->ram + TX_BUFFERS + 24), 0);    /* the guest's own bytes stay as they were */
}

static void a_far_end_without_offloads_gets_finished_checksums(void **state)
{
	struct bench *b = *state;
	uint32_t len = tcp_frame(b, TX_BUFFERS, 101);
	uint8_t *p;

	port_accepts(&b->far, 0);
	put_be16(b->ram + TX_BUFFERS + 50, checksum_fold(checksum_pseudo(b->ram + TX_BUFFERS + 26, b->ram + TX_BUFFERS + 30, 4, 6, 121)));
	start_tx(b, 8);
	tx_desc(b, 0, 14 | 24ull << 8 | 33ull << 16 | 34ull << 32 | 50ull << 40, TXD_DEXT | TUCMD_TCP | TUCMD_IP, 0);
	tx_desc(b, 1, TX_BUFFERS, len | TXD_DTYP_DATA | TXD_DEXT | TXD_EOP | TXD_RS, TXD_POPTS_IXSM | TXD_POPTS_TXSM);
	wr(b, REG_TDT, 2);
	run(b);
	assert_int_equal(b->frames, 1);
	p = b->kept[0].bytes;
	assert_int_equal(checksum_fold(checksum_add(checksum_pseudo(p + 26, p + 30, 4, 6, 121), p + 34, 121)), 0xffff);
}

static void tso_in_scattered_buffers_crosses_in_one_piece(void **state)
{
	struct bench *b = *state;
	uint32_t len = tcp_frame(b, TX_BUFFERS, 20000);

	put_be16(b->ram + TX_BUFFERS + 16, 0);          /* drivers leave the length to the chip */
	start_tx(b, 8);
	tx_desc(b, 0, 14 | 24ull << 8 | 33ull << 16 | 34ull << 32 | 50ull << 40,
		(len - 54) | TXD_DEXT | TXD_TSE | TUCMD_TCP | TUCMD_IP, 54u << 8 | 1460u << 16);
	tx_desc(b, 1, TX_BUFFERS, 54 | TXD_DTYP_DATA | TXD_DEXT | TXD_TSE, TXD_POPTS_IXSM | TXD_POPTS_TXSM);
	tx_desc(b, 2, TX_BUFFERS + 54, 10000 | TXD_DTYP_DATA | TXD_DEXT | TXD_TSE, 0);
	tx_desc(b, 3, TX_BUFFERS + 54 + 10000, 10000 | TXD_DTYP_DATA | TXD_DEXT | TXD_TSE | TXD_EOP | TXD_RS, 0);
	wr(b, REG_TDT, 4);
	run(b);
	assert_int_equal(b->frames, 1);
	assert_int_equal(b->kept[0].len, len);
	assert_int_equal(b->kept[0].facts.gso, GSO_TCPV4);
	assert_int_equal(b->kept[0].facts.gso_size, 1460);
	assert_int_equal(be16(b->kept[0].bytes + 16), 20040);
	assert_int_equal(checksum(b->kept[0].bytes + 14, 20), 0);
	assert_memory_equal(b->kept[0].bytes + 54, b->ram + TX_BUFFERS + 54, 20000);
	assert_int_equal(rd(b, REG_TSCTC), 1);
	assert_int_equal(rd(b, REG_GPTC), 14);
}

static void tso_is_cut_for_a_far_end_that_cannot(void **state)
{
	struct bench *b = *state;
	uint32_t len = tcp_frame(b, TX_BUFFERS, 4000), total = 0;

	port_accepts(&b->far, 0);
	put_be16(b->ram + TX_BUFFERS + 16, 0);
	start_tx(b, 8);
	tx_desc(b, 0, 14 | 24ull << 8 | 33ull << 16 | 34ull << 32 | 50ull << 40,
		(len - 54) | TXD_DEXT | TXD_TSE | TUCMD_TCP | TUCMD_IP, 54u << 8 | 1460u << 16);
	tx_desc(b, 1, TX_BUFFERS, len | TXD_DTYP_DATA | TXD_DEXT | TXD_TSE | TXD_EOP | TXD_RS, TXD_POPTS_IXSM | TXD_POPTS_TXSM);
	wr(b, REG_TDT, 2);
	run(b);
	assert_int_equal(b->frames, 3);
	for (size_t i = 0; i < 3; i++) {
		uint8_t *p = b->kept[i].bytes;
		uint32_t l4 = b->kept[i].len - 34;

		assert_int_equal(checksum(p + 14, 20), 0);
		assert_int_equal(checksum_fold(checksum_add(checksum_pseudo(p + 26, p + 30, 4, 6, l4), p + 34, l4)), 0xffff);
		assert_int_equal(be32(p + 38), total);
		assert_memory_equal(p + 54, b->ram + TX_BUFFERS + 54 + total, l4 - 20);
		total += l4 - 20;
	}
	assert_int_equal(total, 4000);
}

static void vlan_tag_is_inserted_on_demand(void **state)
{
	struct bench *b = *state;
	uint32_t len = tcp_frame(b, TX_BUFFERS, 60);

	start_tx(b, 8);
	wr(b, REG_CTRL, rd(b, REG_CTRL) | CTRL_VME);
	wr(b, REG_VET, 0x8100);
	tx_desc(b, 0, TX_BUFFERS, len | TXD_EOP | TXD_RS | TXD_VLE, 0x0123u << 16);
	wr(b, REG_TDT, 1);
	run(b);
	assert_int_equal(b->frames, 1);
	assert_int_equal(b->kept[0].len, len + 4);
	assert_int_equal(be32(b->kept[0].bytes + 12), 0x81000123);
	assert_memory_equal(b->kept[0].bytes + 16, b->ram + TX_BUFFERS + 12, len - 12);
}

static void delayed_report_waits_for_tidv(void **state)
{
	struct bench *b = *state;

	start_tx(b, 8);
	wr(b, REG_IMS, INT_TXDW);
	wr(b, REG_TIDV, 100);                           /* 102.4 us */
	tx_desc(b, 0, TX_BUFFERS, 64 | TXD_EOP | TXD_RS | TXD_IDE, 0);
	wr(b, REG_TDT, 1);
	run(b);
	assert_int_equal(b->ram[TX_RING + 12] & TXD_STA_DD, TXD_STA_DD);
	assert_false(b->irq.level);
	fake_clock_advance(&b->clock, US(90));
	assert_false(b->irq.level);
	fake_clock_advance(&b->clock, US(20));
	assert_true(b->irq.level);
}

static void itr_keeps_interrupts_apart(void **state)
{
	struct bench *b = *state;

	start_tx(b, 8);
	wr(b, REG_IMS, INT_TXDW);
	wr(b, REG_ITR, 1000);                           /* 256 us */
	for (unsigned i = 0; i < 2; i++) {
		tx_desc(b, i, TX_BUFFERS, 64 | TXD_EOP | TXD_RS, 0);
		wr(b, REG_TDT, i + 1);
		run(b);
		assert_int_equal(b->irq.level, i == 0);
		rd(b, REG_ICR + (i ? 0x10 : 0));        /* the first is taken; the second stays pending */
	}
	fake_clock_advance(&b->clock, US(300));
	assert_true(b->irq.level);
	assert_int_equal(b->irq.rises, 2);
}

static void garbage_rings_hurt_nobody(void **state)
{
	struct bench *b = *state;

	srand(7);
	start_tx(b, 8);
	for (int round = 0; round < 3000; round++) {
		for (int i = 0; i < 128; i++)
			b->ram[TX_RING + i] = (uint8_t)rand();
		if (round % 3)                          /* addresses that exist more often than not */
			for (int i = 0; i < 8; i++)
				put_le64(b->ram + TX_RING + 16 * i, (uint64_t)rand() % (RAM + 4096));
		wr(b, REG_TDH, (uint32_t)rand() % 9);
		wr(b, REG_TDT, (uint32_t)rand() % 9);
		if (round % 50 == 0)
			wr(b, REG_TDLEN, (uint32_t)rand());
		if (round % 50 == 1)
			wr(b, REG_TDLEN, 128);
		run(b);
		b->frames = 0;
	}
	wr(b, REG_CTRL, CTRL_RST);
	start_tx(b, 8);
	tx_desc(b, 0, TX_BUFFERS, 64 | TXD_EOP | TXD_RS, 0);
	wr(b, REG_TDT, 1);
	run(b);
	assert_int_equal(b->frames, 1);                 /* the next honest frame passes */
}

static void dma_onto_its_own_registers_sends_what_they_read(void **state)
{
	struct bench *b = *state;

	start_tx(b, 8);
	tx_desc(b, 0, BAR + REG_RA, 64 | TXD_EOP | TXD_RS, 0);
	tx_desc(b, 1, 0xd0000000, 64 | TXD_EOP | TXD_RS, 0);
	wr(b, REG_TDT, 2);
	run(b);
	assert_int_equal(rd(b, REG_TDH), 2);
	assert_int_equal(b->frames, 2);
	assert_int_equal(b->kept[1].bytes[20], 0xff);   /* nothing there: all ones */
}

/* --- reception ----------------------------------------------------------------------------------------------------- */

static void a_frame_for_us_is_stored_and_reported(void **state)
{
	struct bench *b = *state;

	start_rx(b, 8, 7, 0);
	wr(b, REG_IMS, INT_RXT0);
	assert_true(give(b, MAC, 300));
	run(b);
	assert_memory_equal(b->ram + RX_BUFFERS, frame_for, 300);
	assert_int_equal(le16(b->ram + RX_RING + 8), 300);
	assert_int_equal(b->ram[RX_RING + 12] & (RXD_DD | RXD_EOP), RXD_DD | RXD_EOP);
	assert_int_equal(b->ram[RX_RING + 13], 0);
	assert_int_equal(rd(b, REG_RDH), 1);
	assert_true(b->irq.level);
	assert_int_equal(rd(b, REG_GPRC), 1);
}

static void a_short_frame_is_padded_and_the_fcs_counts_unless_stripped(void **state)
{
	struct bench *b = *state;

	start_rx(b, 8, 7, 0);
	memset(b->ram + RX_BUFFERS, 0xee, 100);
	give(b, MAC, 20);
	run(b);
	assert_int_equal(le16(b->ram + RX_RING + 8), 60);
	assert_int_equal(b->ram[RX_BUFFERS + 20], 0);
	assert_int_equal(b->ram[RX_BUFFERS + 60], 0xee);
	wr(b, REG_RCTL, RCTL_EN | RCTL_BAM);
	give(b, MAC, 100);
	run(b);
	assert_int_equal(le16(b->ram + RX_RING + 16 + 8), 104);
}

static void filters_decide_by_address(void **state)
{
	struct bench *b = *state;
	static const uint8_t other[6] = { 0x52, 0x54, 0, 1, 2, 3 }, multicast[6] = { 1, 0, 0x5e, 0, 0, 0xfb };
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	unsigned bits;

	start_rx(b, 64, 63, 0);
	give(b, other, 64), give(b, multicast, 64);
	assert_int_equal(rd(b, REG_RDH), 0);
	give(b, all, 64);
	assert_int_equal(rd(b, REG_RDH), 1);
	bits = (unsigned)(0xfb << 8 | 0x00) >> 4 & 0xfff;               /* MO 0: bits 47:36 */
	wr(b, REG_MTA + 4 * (bits >> 5), 1u << (bits & 31));
	give(b, multicast, 64);
	assert_int_equal(rd(b, REG_RDH), 2);
	wr(b, REG_RCTL, rd(b, REG_RCTL) | RCTL_UPE);
	give(b, other, 64);
	assert_int_equal(rd(b, REG_RDH), 3);
	wr(b, REG_RCTL, (rd(b, REG_RCTL) & ~(uint32_t)(RCTL_BAM | RCTL_UPE)));
	give(b, all, 64);
	assert_int_equal(rd(b, REG_RDH), 3);
}

static void without_descriptors_the_sender_waits_and_goes_on_at_rdt(void **state)
{
	struct bench *b = *state;

	start_rx(b, 8, 2, 0);
	assert_true(give(b, MAC, 64));
	assert_true(give(b, MAC, 64));
	assert_false(give(b, MAC, 64));
	wr(b, REG_RDT, 4);
	run(b);
	assert_true(give(b, MAC, 64));
	assert_int_equal(rd(b, REG_RDH), 3);
}

static void rdt_rings_only_while_a_frame_waits_for_room(void **state)
{
	struct bench *b = *state;

	start_rx(b, 8, 1, 0);
	run(b);
	wr(b, REG_RDT, 2);
	assert_true(clock_deadline(b->clock.clock) > 0);
	assert_true(give(b, MAC, 64));
	assert_true(give(b, MAC, 64));
	assert_false(give(b, MAC, 64));
	wr(b, REG_RDT, 3);
	assert_int_equal(clock_deadline(b->clock.clock), 0);
	run(b);
	assert_true(give(b, MAC, 64));
}

static void a_long_frame_takes_several_descriptors(void **state)
{
	struct bench *b = *state;

	start_rx(b, 8, 7, 3u << 16);                    /* 256-byte buffers */
	assert_true(give(b, MAC, 600));
	run(b);
	assert_int_equal(rd(b, REG_RDH), 3);
	assert_int_equal(le16(b->ram + RX_RING + 8), 256);
	assert_int_equal(b->ram[RX_RING + 12] & RXD_EOP, 0);
	assert_int_equal(le16(b->ram + RX_RING + 32 + 8), 600 - 512);
	assert_int_equal(b->ram[RX_RING + 32 + 12] & RXD_EOP, RXD_EOP);
	assert_memory_equal(b->ram + RX_BUFFERS + 2 * 2048, frame_for + 512, 88);
}

static void oversize_needs_lpe(void **state)
{
	struct bench *b = *state;

	start_rx(b, 8, 7, 0);
	give(b, MAC, 1600);
	assert_int_equal(rd(b, REG_RDH), 0);
	assert_int_equal(rd(b, REG_ROC), 1);
	wr(b, REG_RCTL, rd(b, REG_RCTL) | RCTL_LPE);
	give(b, MAC, 1600);
	assert_int_equal(rd(b, REG_RDH), 1);
}

static void vlan_tag_is_stripped_into_the_descriptor(void **state)
{
	struct bench *b = *state;
	uint8_t f[80] = { 0 };

	start_rx(b, 8, 7, 0);
	wr(b, REG_VET, 0x8100);
	wr(b, REG_CTRL, rd(b, REG_CTRL) | CTRL_VME);
	memcpy(f, MAC, 6);
	put_be32(f + 12, 0x81002005);
	put_be16(f + 16, 0x0800);
	memset(f + 18, 0x5a, 62);
	assert_true(port_send_bytes(&b->far, f, sizeof(f)));
	run(b);
	assert_int_equal(le16(b->ram + RX_RING + 8), 76);
	assert_int_equal(b->ram[RX_RING + 12] & RXD_VP, RXD_VP);
	assert_int_equal(le16(b->ram + RX_RING + 14), 0x2005);
	assert_int_equal(be16(b->ram + RX_BUFFERS + 12), 0x0800);
	assert_int_equal(b->ram[RX_BUFFERS + 14], 0x5a);
}

static void reset_forgets_rings_and_interrupts(void **state)
{
	struct bench *b = *state;

	start_rx(b, 8, 2, 0);
	wr(b, REG_IMS, INT_RXT0);
	give(b, MAC, 64);
	run(b);
	assert_true(b->irq.level);
	wr(b, REG_CTRL, CTRL_RST);
	assert_false(b->irq.level);
	assert_int_equal(rd(b, REG_RCTL), 0);
	assert_int_equal(rd(b, REG_IMS), 0);
	assert_int_equal(rd(b, REG_RDLEN), 0);
	assert_true(give(b, MAC, 64));                  /* deaf, so the wire does not wait */
	state_reset_all(b->states);
	assert_true(rd(b, REG_STATUS) & STATUS_LU);
}

/* --- the contract suite: the card as one end of a cable, driven through its rings ----------------------------------- */

enum { CONTRACT_RING = 32, CONTRACT_BUFFER = 2048 };

struct driver {
	struct bench *b;
	unsigned tx_tail, rx_next;
	bool closed;
};

static void *contract_make(void)
{
	struct driver *d = calloc(1, sizeof(*d));
	void *state;

	setup(&state);
	d->b = state;
	port_part(&d->b->far);
	start_tx(d->b, CONTRACT_RING);
	start_rx(d->b, CONTRACT_RING, CONTRACT_RING - 1, RCTL_UPE | RCTL_MPE);
	return d;
}

static void contract_free(void *bench)
{
	struct driver *d = bench;
	void *state = d->b;

	teardown(&state);
	free(d);
}

static struct port *contract_port(void *bench)
{
	return e1000_port(((struct driver *)bench)->b->card);
}

static bool contract_send(void *bench, const uint8_t *frame, size_t len)
{
	struct driver *d = bench;
	unsigned next = (d->tx_tail + 1) % CONTRACT_RING;

	if (next == rd(d->b, REG_TDH))
		return false;
	memcpy(d->b->ram + TX_BUFFERS + d->tx_tail * CONTRACT_BUFFER, frame, len);
	tx_desc(d->b, d->tx_tail, TX_BUFFERS + d->tx_tail * CONTRACT_BUFFER, (uint32_t)len | TXD_EOP | TXD_IFCS | TXD_RS, 0);
	d->tx_tail = next;
	wr(d->b, REG_TDT, next);
	return true;
}

static void contract_run(void *bench)
{
	fake_clock_advance(&((struct driver *)bench)->b->clock, MS(25));        /* a link that comes back negotiates first */
}

static size_t contract_take(void *bench, uint8_t *frame, size_t max)
{
	struct driver *d = bench;
	uint8_t *desc = d->b->ram + RX_RING + 16 * d->rx_next;
	size_t len = le16(desc + 8);

	if (!(desc[12] & RXD_DD))
		return 0;
	memcpy(frame, d->b->ram + RX_BUFFERS + 2048 * d->rx_next, len < max ? len : max);
	desc[12] = 0;
	if (!d->closed)
		wr(d->b, REG_RDT, d->rx_next);
	d->rx_next = (d->rx_next + 1) % CONTRACT_RING;
	return len < max ? len : max;
}

static void contract_close(void *bench)
{
	struct driver *d = bench;

	d->closed = true;
	wr(d->b, REG_RDT, rd(d->b, REG_RDH));           /* no descriptor is the card's */
	run(d->b);
}

static void contract_open(void *bench)
{
	struct driver *d = bench;

	d->closed = false;
	wr(d->b, REG_RDT, (rd(d->b, REG_RDH) + CONTRACT_RING - 1) % CONTRACT_RING);
	run(d->b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(eeprom_holds_the_address_and_adds_up_to_baba), T(phy_answers_at_address_1_only),
		T(autonegotiation_brings_the_link_back_with_an_interrupt), T(set_link_off_drops_the_carrier),
		T(io_window_reaches_the_same_registers),
		T(legacy_frame_in_two_buffers_goes_out_and_reports), T(a_full_far_end_keeps_the_ring_as_it_is), T(the_ring_wraps),
		T(context_asks_for_ip_and_tcp_checksums), T(a_far_end_without_offloads_gets_finished_checksums),
		T(tso_in_scattered_buffers_crosses_in_one_piece), T(tso_is_cut_for_a_far_end_that_cannot),
		T(vlan_tag_is_inserted_on_demand), T(delayed_report_waits_for_tidv), T(itr_keeps_interrupts_apart),
		T(garbage_rings_hurt_nobody), T(dma_onto_its_own_registers_sends_what_they_read),
		T(a_frame_for_us_is_stored_and_reported), T(a_short_frame_is_padded_and_the_fcs_counts_unless_stripped),
		T(filters_decide_by_address), T(without_descriptors_the_sender_waits_and_goes_on_at_rdt),
		T(filters_decide_by_address), T(rdt_rings_only_while_a_frame_waits_for_room),
		T(a_long_frame_takes_several_descriptors), T(oversize_needs_lpe), T(vlan_tag_is_stripped_into_the_descriptor),
		T(reset_forgets_rings_and_interrupts),
	};

	const struct contract contract = {
		.name = "e1000", .make = contract_make, .free = contract_free, .port = contract_port, .send = contract_send,
		.run = contract_run, .take = contract_take, .close = contract_close, .open = contract_open, .pads = true,
	};

	return cmocka_run_group_tests(tests, NULL, NULL) + port_contract_run(&contract);
}
