/* SPDX-License-Identifier: MIT */
/* Drives the card as a driver would, through its registers and rings; sections are VIRTIO 1.1's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "hw/nic/virtio_net.h"
#include "tests/fake/fake_end.h"
#include "tests/fake/fake_virtio.h"
#include "tests/fake/port_contract.h"

enum {
	RX = 0, TX = 1, CTRL = 2,
	F_CSUM = 0, F_GUEST_CSUM = 1, F_GUEST_TSO4 = 7, F_HOST_TSO4 = 11, F_MRG_RXBUF = 15, F_STATUS = 16, F_CTRL_VQ = 17,
	F_CTRL_RX = 18, F_CTRL_VLAN = 19, F_CTRL_RX_EXTRA = 20, F_GUEST_ANNOUNCE = 21, F_MQ = 22, F_CTRL_MAC_ADDR = 23, F_INDIRECT = 28,
	F_EVENT_IDX = 29, F_RING_RESET = 40,
	BUFFER = 2048, RX_BUFFERS = 64, TX_BUFFERS = 16,
};
#define BIT(n) ((uint64_t)1 << (n))
#define EVERYTHING (~(BIT(F_MQ) | BIT(F_CTRL_VLAN)))

struct mode {
	bool modern, msix;
	uint64_t features;
	unsigned queues;
};

struct bench {
	struct fake_board board;
	struct virtio_net *nic;
	struct fake_virtio d;
	struct fake_end far;
	unsigned header;
	bool closed;                    /* put no buffers back */
	uint32_t buffer;                /* bytes of a receive buffer */
	unsigned rx_buffers;
	uint64_t rx_addr[1024], tx_addr[1024];  /* by head */
	uint64_t tx_pool[TX_BUFFERS];
	unsigned tx_free;
};

static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static void add_rx(struct bench *t, uint64_t addr)
{
	struct fake_piece p = { addr, t->buffer, true };
	int head = fake_virtio_add(&t->d, RX, &p, 1, false);

	assert_true(head >= 0);
	t->rx_addr[head] = addr;
}

static void add_rx_buffers(struct bench *t)
{
	for (unsigned i = 0; i < t->rx_buffers; i++)
		add_rx(t, fake_virtio_alloc(&t->d, t->buffer));
	fake_virtio_kick(&t->d, RX);
}

static void start(struct bench *t, const struct mode *m)
{
	fake_virtio_start(&t->d, &t->board, virtio_net_pci(t->nic), m->modern, m->msix, m->features, m->queues);
	t->header = m->modern || t->d.features & BIT(F_MRG_RXBUF) ? 12 : 10;
	t->tx_free = 0;
	for (unsigned i = 0; i < TX_BUFFERS; i++)
		t->tx_pool[t->tx_free++] = fake_virtio_alloc(&t->d, 80000);
	add_rx_buffers(t);
	fake_board_run(&t->board);
}

static struct bench *make(const struct mode *m, unsigned pairs)
{
	struct bench *t = calloc(1, sizeof(*t));
	struct virtio_net_config c;
	struct err err;

	fake_board_init(&t->board);
	virtio_net_defaults(&c);
	c.pci = t->board.pci;
	c.clock = t->board.clock.clock;
	c.states = t->board.states;
	c.queues = pairs;
	virtio_net_property(&c, "mq", pairs > 1);
	memcpy(c.mac, mac, sizeof(mac));
	t->nic = virtio_net_new(&c, &err);
	assert_non_null(t->nic);
	fake_board_start(&t->board);
	t->buffer = BUFFER;
	t->rx_buffers = RX_BUFFERS;
	if (m)
		start(t, m);
	return t;
}

static void destroy(void *bench)
{
	struct bench *t = bench;

	virtio_net_free(t->nic);
	fake_board_free(&t->board);
	free(t);
}

/* --- the contract suite, in three ways of driving the card ------------------------------------------------------- */

static void *make_modern(void)
{
	return make(&(struct mode){ .modern = true, .msix = true, .queues = 3,
				    .features = BIT(F_MRG_RXBUF) | BIT(F_INDIRECT) | BIT(F_EVENT_IDX) | BIT(F_CTRL_VQ) }, 1);
}

static void *make_offloading(void)
{
	return make(&(struct mode){ .modern = true, .msix = true, .queues = 3, .features = EVERYTHING }, 1);
}

static void *make_legacy(void)
{
	return make(&(struct mode){ .queues = 2, .features = BIT(F_STATUS) }, 1);
}

static struct port *port_of(void *bench)
{
	struct bench *t = bench;

	return virtio_net_port(t->nic);
}

static void reclaim(struct bench *t)
{
	int head;

	while ((head = fake_virtio_take(&t->d, TX, NULL)) >= 0)
		t->tx_pool[t->tx_free++] = t->tx_addr[head];
}

/* A frame with this header in front. */
static bool transmit(struct bench *t, const uint8_t *hdr, const uint8_t *frame, size_t len)
{
	struct fake_piece p[3];
	uint64_t at;
	int head;

	reclaim(t);
	if (!t->tx_free)
		return false;
	at = t->tx_pool[--t->tx_free];
	memcpy(t->board.ram + at, hdr, t->header);
	memcpy(t->board.ram + at + t->header, frame, len);
	p[0] = (struct fake_piece){ at, t->header, false };
	p[1] = (struct fake_piece){ at + t->header, 14, false };
	p[2] = (struct fake_piece){ at + t->header + 14, (uint32_t)len - 14, false };
	head = fake_virtio_add(&t->d, TX, p, 3, t->d.features & BIT(F_INDIRECT) && len & 1);
	assert_true(head >= 0);
	t->tx_addr[head] = at;
	fake_virtio_kick(&t->d, TX);
	return true;
}

static bool send_frame(void *bench, const uint8_t *frame, size_t len)
{
	static const uint8_t none[12];

	return transmit(bench, none, frame, len);
}

static void run(void *bench)
{
	struct bench *t = bench;

	fake_board_run(&t->board);
}

static size_t take_with_header(struct bench *t, uint8_t *hdr, uint8_t *frame, size_t max)
{
	uint32_t len;
	int head = fake_virtio_take(&t->d, RX, &len);
	size_t total = 0;
	unsigned buffers = 1;

	if (head < 0)
		return 0;
	for (unsigned i = 0; i < buffers; i++) {
		uint64_t addr = t->rx_addr[head];
		const uint8_t *from = t->board.ram + addr;

		assert_true(len <= t->buffer);
		if (i == 0) {
			memcpy(hdr, from, t->header);
			if (t->header == 12)
				buffers = le16(hdr + 10);
			assert_true(buffers >= 1);
			from += t->header;
			len -= t->header;
		}
		assert_true(total + len <= max);
		memcpy(frame + total, from, len);
		total += len;
		if (!t->closed)
			add_rx(t, addr);
		if (i + 1 < buffers) {
			head = fake_virtio_take(&t->d, RX, &len);
			assert_true(head >= 0);
		}
	}
	if (!t->closed)
		fake_virtio_kick(&t->d, RX);
	return total;
}

static size_t take_frame(void *bench, uint8_t *frame, size_t max)
{
	uint8_t hdr[12];

	return take_with_header(bench, hdr, frame, max);
}

static void close_rx(void *bench)
{
	struct bench *t = bench;

	t->closed = true;
}

static void open_rx(void *bench)
{
	struct bench *t = bench;

	t->closed = false;
}

#define CONTRACT(title, maker) { .name = title, .make = maker, .free = destroy, .port = port_of, .send = send_frame, \
	.run = run, .take = take_frame, .close = close_rx, .open = open_rx }
static const struct contract contracts[] = {
	CONTRACT("virtio-net, modern", make_modern),
	CONTRACT("virtio-net, modern with offloads", make_offloading),
	CONTRACT("virtio-net, legacy", make_legacy),
};

/* --- what only this card does ---------------------------------------------------------------------------------- */

static int setup(void **state)
{
	struct bench *t = make_offloading();

	fake_end_init(&t->far);
	t->far.port.accepts = PORT_CSUM | PORT_TSO4 | PORT_TSO6 | PORT_USO;
	port_join(port_of(t), &t->far.port);
	run(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	fake_end_free(&t->far);
	destroy(t);
	return 0;
}

static void identity_is_qemus(void **state)
{
	struct bench *t = *state;
	const uint8_t *c = pci_config_bytes(virtio_net_pci(t->nic));
	static const uint8_t caps[] = { 0x98, 0x84, 0x70, 0x60, 0x50, 0x40, 0 };
	uint8_t at = c[PCI_CAP_PTR];

	assert_int_equal(le32(c), 0x10001af4);
	assert_int_equal(le32(c + PCI_SUBSYS_VENDOR), 0x00011af4);
	assert_int_equal(le32(c + PCI_REVISION), 0x02000000);
	for (unsigned i = 0; i < sizeof(caps); at = c[at + 1], i++) {
		assert_int_equal(at, caps[i]);
		if (!at)
			break;
	}
}

static void configuration_shows_address_and_link(void **state)
{
	struct bench *t = *state;
	uint8_t got[6];

	for (unsigned i = 0; i < 6; i++)
		got[i] = (uint8_t)fake_virtio_config(&t->d, i, 1);
	assert_memory_equal(got, mac, 6);
	assert_int_equal(fake_virtio_config(&t->d, 6, 2), 1);
}

static void a_link_change_interrupts_and_shows(void **state)
{
	struct bench *t = *state;

	port_set_link(&t->far.port, false);
	assert_int_equal(fake_virtio_config(&t->d, 6, 2), 0);
	assert_int_equal(t->board.msi[0], 1);
	port_set_link(&t->far.port, true);
	assert_int_equal(fake_virtio_config(&t->d, 6, 2), 1);
	assert_int_equal(t->board.msi[0], 2);
}

static void a_tso_frame_crosses_in_one_piece_with_its_facts(void **state)
{
	struct bench *t = *state;
	static uint8_t frame[60054];
	uint8_t hdr[12] = { 1, GSO_TCPV4, 54, 0, 0xb4, 0x05, 34, 0, 16, 0 };
	const struct fake_frame *f;

	fake_frame_fill(frame, sizeof(frame), 3);
	assert_true(transmit(t, hdr, frame, sizeof(frame)));
	run(t);
	f = fake_end_frame(&t->far, 0);
	assert_int_equal(f->facts.len, sizeof(frame));
	assert_memory_equal(f->data, frame, sizeof(frame));
	assert_int_equal(f->facts.gso, GSO_TCPV4);
	assert_int_equal(f->facts.gso_size, 1460);
	assert_true(f->facts.needs_csum);
	assert_int_equal(f->facts.csum_start, 34);
	assert_int_equal(f->facts.csum_offset, 16);
}

static void a_large_frame_fills_merged_buffers(void **state)
{
	struct bench *t = *state;
	static uint8_t frame[30000], got[FRAME_MAX];
	struct iovec iov = { frame, sizeof(frame) };
	struct frame f = { .iov = &iov, .iov_count = 1, .len = sizeof(frame), .needs_csum = true, .csum_start = 34,
			   .csum_offset = 16, .gso = GSO_TCPV4, .gso_size = 1448, .hdr_len = 66 };
	uint8_t hdr[12];

	fake_frame_fill(frame, sizeof(frame), 1);
	assert_int_equal(port_send(&t->far.port, &f, 1), 1);
	assert_int_equal(take_with_header(t, hdr, got, sizeof(got)), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
	assert_int_equal(hdr[0], 1);
	assert_int_equal(hdr[1], GSO_TCPV4);
	assert_int_equal(le16(hdr + 2), 66);
	assert_int_equal(le16(hdr + 4), 1448);
	assert_int_equal(le16(hdr + 6), 34);
	assert_int_equal(le16(hdr + 8), 16);
	assert_int_equal(le16(hdr + 10), (sizeof(frame) + 12 + BUFFER - 1) / BUFFER);
}

static void a_frame_larger_than_the_buffers_left_waits_and_then_arrives(void **state)
{
	struct bench *t = *state;
	static uint8_t frame[60000], got[FRAME_MAX];
	struct iovec iov = { frame, sizeof(frame) };
	struct frame f = { .iov = &iov, .iov_count = 1, .len = sizeof(frame), .needs_csum = true, .csum_start = 34,
			   .csum_offset = 16, .gso = GSO_TCPV4, .gso_size = 1448, .hdr_len = 66 };
	uint8_t hdr[12];

	fake_frame_fill(frame, sizeof(frame), 1);
	t->closed = true;
	assert_int_equal(port_send(&t->far.port, &f, 1), 1);
	assert_int_equal(port_send(&t->far.port, &f, 1), 1);
	assert_int_equal(port_send(&t->far.port, &f, 1), 0);
	assert_int_equal(t->far.readies, 0);
	t->closed = false;
	assert_int_equal(take_with_header(t, hdr, got, sizeof(got)), sizeof(frame));
	run(t);
	assert_true(t->far.readies >= 1);
	assert_int_equal(port_send(&t->far.port, &f, 1), 1);
	assert_int_equal(take_with_header(t, hdr, got, sizeof(got)), sizeof(frame));
	assert_int_equal(take_with_header(t, hdr, got, sizeof(got)), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
}

static void a_verified_frame_is_marked_valid(void **state)
{
	struct bench *t = *state;
	uint8_t frame[100], got[200], hdr[12];
	struct iovec iov = { frame, sizeof(frame) };
	struct frame f = { .iov = &iov, .iov_count = 1, .len = sizeof(frame), .csum_valid = true };

	fake_frame_fill(frame, sizeof(frame), 1);
	assert_int_equal(port_send(&t->far.port, &f, 1), 1);
	assert_int_equal(take_with_header(t, hdr, got, sizeof(got)), 100);
	assert_int_equal(hdr[0], 2);
	assert_int_equal(le16(hdr + 10), 1);
}

static void a_dhcp_reply_arrives_with_its_sum_made(void **state)
{
	struct bench *t = *state;
	uint8_t frame[14 + 20 + 8 + 300] = { [12] = 8, [14] = 0x45, [23] = 17, [35] = 67, [37] = 68 };
	struct iovec iov = { frame, sizeof(frame) };
	struct frame f = { .iov = &iov, .iov_count = 1, .len = sizeof(frame), .needs_csum = true, .csum_start = 34, .csum_offset = 6 };
	uint8_t got[400], hdr[12];

	memset(frame + 42, 0x5a, 300);
	assert_int_equal(port_send(&t->far.port, &f, 1), 1);
	assert_int_equal(take_with_header(t, hdr, got, sizeof(got)), sizeof(frame));
	assert_int_equal(hdr[0], 2);
	assert_int_equal(be16(got + 40), checksum(frame + 34, 308));
}

static void one_batch_gives_one_interrupt(void **state)
{
	struct bench *t = *state;
	uint8_t bytes[20][100];
	struct iovec iov[20];
	struct frame f[20];

	for (unsigned i = 0; i < 20; i++) {
		fake_frame_fill(bytes[i], 100, (uint8_t)i);
		iov[i] = (struct iovec){ bytes[i], 100 };
		f[i] = (struct frame){ .iov = &iov[i], .iov_count = 1, .len = 100 };
	}
	fake_virtio_want_interrupt(&t->d, RX);
	assert_int_equal(port_send(&t->far.port, f, 20), 20);
	assert_int_equal(t->board.msi[RX + 1], 1);
	assert_int_equal(port_send(&t->far.port, f, 20), 20);
	assert_int_equal(t->board.msi[RX + 1], 1);
}

static void the_interrupt_for_sent_frames_waits_for_more_of_them(void **state)
{
	struct bench *t = *state;
	uint8_t frame[100];

	fake_frame_fill(frame, sizeof(frame), 1);
	fake_virtio_want_interrupt(&t->d, TX);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(send_frame(t, frame, sizeof(frame)));
		run(t);
		assert_true(le16(t->board.ram + t->d.ring[TX].used + 2) == i + 1);       /* seen at once by who looks */
		fake_clock_advance(&t->board.clock, US(40));
		assert_int_equal(t->board.msi[TX + 1], 0);
	}
	fake_clock_advance(&t->board.clock, MS(1));
	assert_int_equal(t->board.msi[TX + 1], 1);
	assert_true(send_frame(t, frame, sizeof(frame)));
	start(t, &(struct mode){ .modern = true, .msix = true, .queues = 3, .features = EVERYTHING });
	fake_clock_advance(&t->board.clock, MS(1));
	assert_int_equal(t->board.msi[TX + 1], 1);
}

static void a_burst_needs_one_kick(void **state)
{
	struct bench *t = *state;
	uint8_t frame[200];
	unsigned kicks = 0;

	for (unsigned i = 0; i < 10; i++) {
		struct fake_piece p = { t->tx_pool[i], 212, false };

		fake_frame_fill(frame, sizeof(frame), (uint8_t)i);
		memset(t->board.ram + p.addr, 0, 12);
		memcpy(t->board.ram + p.addr + 12, frame, sizeof(frame));
		assert_true(fake_virtio_add(&t->d, TX, &p, 1, false) >= 0);
		kicks += fake_virtio_kick(&t->d, TX);
	}
	run(t);
	assert_int_equal(kicks, 1);
	assert_int_equal(t->far.frames, 10);
	assert_int_equal(t->far.calls, 1);
}

/* Sends a control command; returns the ack byte. */
static int command(struct bench *t, uint8_t class, uint8_t cmd, const void *data, size_t len)
{
	uint64_t at = fake_virtio_alloc(&t->d, len + 3);
	uint8_t *ram = t->board.ram + at;
	struct fake_piece p[3] = { { at, 2, false }, { at + 2, (uint32_t)len, false }, { at + 2 + len, 1, true } };

	ram[0] = class;
	ram[1] = cmd;
	memcpy(ram + 2, data, len);
	ram[2 + len] = 0xff;
	assert_true(fake_virtio_add(&t->d, CTRL, p, 3, false) >= 0);
	fake_virtio_kick(&t->d, CTRL);
	run(t);
	assert_true(fake_virtio_take(&t->d, CTRL, NULL) >= 0);
	return ram[2 + len];
}

static bool arrives(struct bench *t, const uint8_t *dst)
{
	uint8_t frame[100], got[200];

	fake_frame_fill(frame, sizeof(frame), 9);
	memcpy(frame, dst, 6);
	assert_true(port_send_bytes(&t->far.port, frame, sizeof(frame)));
	return take_frame(t, got, sizeof(got)) == sizeof(frame);
}

static void filters_follow_the_control_queue(void **state)
{
	struct bench *t = *state;
	static const uint8_t other[6] = { 0x52, 0x54, 0, 1, 1, 1 }, group[6] = { 1, 0, 0x5e, 0, 0, 1 };
	static const uint8_t group2[6] = { 1, 0, 0x5e, 0, 0, 2 }, all[6] = { 255, 255, 255, 255, 255, 255 };
	static const uint8_t table[] = { 1, 0, 0, 0, 0x52, 0x54, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1 };
	uint8_t on = 1, off = 0;

	assert_true(arrives(t, other));                 /* promiscuous until told otherwise */
	assert_int_equal(command(t, 0, 0, &off, 1), 0);
	assert_true(arrives(t, mac));
	assert_true(arrives(t, all));
	assert_false(arrives(t, other));
	assert_false(arrives(t, group));
	assert_int_equal(command(t, 1, 0, table, sizeof(table)), 0);
	assert_true(arrives(t, other));
	assert_true(arrives(t, group));
	assert_false(arrives(t, group2));
	assert_int_equal(command(t, 0, 1, &on, 1), 0);
	assert_true(arrives(t, group2));
	assert_int_equal(command(t, 0, 3, &on, 1), 0);  /* NOMULTI beats it */
	assert_false(arrives(t, group));
	assert_int_equal(command(t, 0, 5, &on, 1), 0);
	assert_false(arrives(t, all));
	assert_int_equal(command(t, 1, 1, group2, 6), 0);
	assert_int_equal(fake_virtio_config(&t->d, 0, 4), 0x005e0001);
	assert_int_equal(command(t, 1, 0, table, sizeof(table) - 1), 1);
	assert_int_equal(command(t, 0, 6, &on, 1), 1);
	assert_int_equal(command(t, 77, 0, &on, 1), 1);
	assert_int_equal(command(t, 4, 0, table, 2), 1);        /* no multiqueue here */
}

static void the_guest_is_asked_to_announce_itself_and_acknowledges(void **state)
{
	struct bench *t = *state;

	assert_true(virtio_net_announce(t->nic));
	assert_int_equal(fake_virtio_config(&t->d, 6, 2), 3);
	assert_int_equal(t->board.msi[0], 1);
	port_set_link(&t->far.port, false);             /* it is still to do when the link is back */
	port_set_link(&t->far.port, true);
	assert_int_equal(fake_virtio_config(&t->d, 6, 2), 3);
	assert_int_equal(command(t, 3, 1, "", 0), 1);
	assert_int_equal(command(t, 3, 0, "", 0), 0);
	assert_int_equal(fake_virtio_config(&t->d, 6, 2), 1);
	port_set_link(&t->far.port, false);
	assert_false(virtio_net_announce(t->nic));
	start(t, &(struct mode){ .modern = true, .msix = true, .queues = 3, .features = EVERYTHING & ~BIT(F_GUEST_ANNOUNCE) });
	port_set_link(&t->far.port, true);
	assert_false(virtio_net_announce(t->nic));      /* this driver can't */
}

static void too_long_an_address_table_lets_all_pass(void **state)
{
	struct bench *t = *state;
	static uint8_t table[4 + 65 * 6 + 4];
	static const uint8_t other[6] = { 0x52, 0x54, 0, 1, 1, 1 }, group[6] = { 1, 0, 0x5e, 0, 0, 1 };
	uint8_t off = 0;

	table[0] = 65;
	assert_int_equal(command(t, 0, 0, &off, 1), 0);
	assert_int_equal(command(t, 1, 0, table, sizeof(table)), 0);
	assert_true(arrives(t, other));
	assert_false(arrives(t, group));
	put_le32(table, 0x2aaaaaab);                    /* times 6 is more than 32 bits */
	assert_int_equal(command(t, 1, 0, table, sizeof(table)), 1);
}

static void offloads_can_be_switched_at_run_time(void **state)
{
	struct bench *t = *state;
	uint8_t bits[8] = { 0 };

	assert_true(port_far_accepts(&t->far.port) & PORT_TSO4);
	assert_int_equal(command(t, 5, 0, bits, 8), 0);
	assert_int_equal(port_far_accepts(&t->far.port), 0);
	bits[0] = 2;
	assert_int_equal(command(t, 5, 0, bits, 8), 0);
	assert_int_equal(port_far_accepts(&t->far.port), PORT_CSUM);
	bits[7] = 0x80;
	assert_int_equal(command(t, 5, 0, bits, 8), 1);
	fake_virtio_set_status(&t->d, 0);
	run(t);
	assert_int_equal(port_far_accepts(&t->far.port), 0);
}

static void a_reset_while_a_send_waits_forgets_it(void **state)
{
	struct bench *t = *state;
	uint8_t frame[100];

	t->far.room = 0;
	fake_frame_fill(frame, sizeof(frame), 1);
	assert_true(send_frame(t, frame, sizeof(frame)));
	run(t);
	assert_true(port_of(t)->waiting);
	start(t, &(struct mode){ .modern = true, .queues = 3, .features = EVERYTHING });
	assert_false(port_of(t)->waiting);
	t->far.room = SIZE_MAX;
	fake_frame_fill(frame, sizeof(frame), 2);
	assert_true(send_frame(t, frame, sizeof(frame)));
	run(t);
	assert_int_equal(t->far.frames, 1);
	assert_memory_equal(fake_end_frame(&t->far, 0)->data, frame, sizeof(frame));
}

static int depth, entered;

static void guard_enter(void *owner)
{
	(void)owner;
	depth++;
	entered++;
}

/* The lock is free: another processor resets the card in the middle of a send. */
static void guard_leave(void *owner)
{
	struct bench *t = owner;

	depth--;
	fake_virtio_set_status(&t->d, 0);
}

static void a_reset_during_a_send_leaves_the_new_rings_alone(void **state)
{
	struct bench *t = *state;
	struct port_guard guard = { guard_enter, guard_leave, t };
	uint8_t frame[100];

	depth = 1;
	entered = 0;
	port_of(t)->guard = &guard;
	fake_frame_fill(frame, sizeof(frame), 1);
	assert_true(send_frame(t, frame, sizeof(frame)));
	run(t);
	port_of(t)->guard = NULL;
	assert_int_equal(depth, 1);
	assert_true(entered >= 1);
	assert_int_equal(t->far.frames, 1);
	assert_int_equal(fake_virtio_take(&t->d, TX, NULL), -1);
}

static void bad_transmit_headers_are_dropped_and_given_back(void **state)
{
	struct bench *t = *state;
	static const uint8_t bad[][12] = {
		{ 1, 0, 0, 0, 0, 0, 99, 0, 0, 0 },              /* sum begins at the end */
		{ 1, 0, 0, 0, 0, 0, 34, 0, 0xff, 0xff },
		{ 1, 1, 54, 0, 0, 0, 34, 0, 16, 0 },            /* TSO with segments of 0 bytes */
		{ 0, 1, 54, 0, 100, 0, 34, 0, 16, 0 },          /* TSO without a sum to make */
		{ 1, 2, 54, 0, 100, 0, 34, 0, 16, 0 },          /* an unknown kind */
		{ 1, 0x7f, 54, 0, 100, 0, 34, 0, 16, 0 },
		{ 1, 1, 54, 0, 100, 0, 90, 0, 16, 0 },
	};
	uint8_t frame[100];
	struct fake_piece p = { t->tx_pool[0], 20, false };

	fake_frame_fill(frame, sizeof(frame), 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(transmit(t, bad[i], frame, sizeof(frame)));
		run(t);
		reclaim(t);
		assert_int_equal(t->tx_free, TX_BUFFERS);
		assert_int_equal(t->far.frames, 0);
	}
	assert_true(fake_virtio_add(&t->d, TX, &p, 1, false) >= 0);     /* shorter than header and Ethernet header */
	fake_virtio_kick(&t->d, TX);
	run(t);
	assert_true(fake_virtio_take(&t->d, TX, NULL) >= 0);
	assert_true(send_frame(t, frame, sizeof(frame)));
	run(t);
	assert_int_equal(t->far.frames, 1);
}

static void a_frame_in_very_many_pieces_is_sent(void **state)
{
	struct bench *t = *state;
	struct fake_piece p[200];
	uint8_t frame[8 * 199];
	uint64_t at = fake_virtio_alloc(&t->d, 4 * 4096);

	fake_frame_fill(frame, sizeof(frame), 4);
	p[0] = (struct fake_piece){ at, 12, false };
	for (unsigned i = 1; i < 200; i++) {
		p[i] = (struct fake_piece){ at + 16 + i * 24, 8, false };
		memcpy(t->board.ram + p[i].addr, frame + (i - 1) * 8, 8);
	}
	assert_true(fake_virtio_add(&t->d, TX, p, 200, true) >= 0);
	fake_virtio_kick(&t->d, TX);
	run(t);
	assert_int_equal(fake_end_frame(&t->far, 0)->facts.len, sizeof(frame));
	assert_memory_equal(fake_end_frame(&t->far, 0)->data, frame, sizeof(frame));
}

static void without_a_driver_frames_are_dropped_and_nobody_waits(void **state)
{
	struct bench *t = *state;
	uint8_t frame[100];

	fake_virtio_set_status(&t->d, 0);
	run(t);
	fake_frame_fill(frame, sizeof(frame), 1);
	for (int i = 0; i < 500; i++)
		assert_true(port_send_bytes(&t->far.port, frame, sizeof(frame)));
}

static void a_sender_that_waits_is_freed_when_the_driver_goes(void **state)
{
	struct bench *t = *state;
	uint8_t frame[100];
	unsigned i = 0;

	fake_frame_fill(frame, sizeof(frame), 1);
	while (port_send_bytes(&t->far.port, frame, sizeof(frame)))
		i++;
	assert_int_equal(i, RX_BUFFERS);
	assert_int_equal(t->far.readies, 0);
	fake_virtio_set_status(&t->d, 0);
	run(t);
	assert_int_equal(t->far.readies, 1);
}

static void a_legacy_driver_without_msix_gets_the_line(void **state)
{
	struct bench *t = *state;
	uint8_t frame[100];
	struct fake_irq *line;

	start(t, &(struct mode){ .queues = 3 });
	line = &t->board.pirq[pci_pirq((unsigned)pci_devfn(virtio_net_pci(t->nic)), 1)];
	fake_frame_fill(frame, sizeof(frame), 1);
	assert_true(port_send_bytes(&t->far.port, frame, sizeof(frame)));
	assert_true(line->level);
	assert_int_equal(bus_read(t->board.ports, t->d.io + 19, 1), 1);         /* ISR, read to clear */
	assert_false(line->level);
	assert_int_equal(bus_read(t->board.ports, t->d.io + 19, 1), 0);
	port_set_link(&t->far.port, false);
	assert_int_equal(bus_read(t->board.ports, t->d.io + 19, 1), 2);
}

static void a_legacy_driver_may_write_its_address(void **state)
{
	struct bench *t = *state;

	start(t, &(struct mode){ .queues = 2 });
	for (unsigned i = 0; i < 6; i++)
		bus_write(t->board.ports, t->d.io + 20 + i, 0x10 + i, 1);
	assert_int_equal(fake_virtio_config(&t->d, 0, 4), 0x13121110);
	assert_int_equal(fake_virtio_config(&t->d, 4, 2), 0x1514);
	bus_write(t->board.ports, t->d.io + 26, 0, 2);
	assert_int_equal(fake_virtio_config(&t->d, 6, 2), 1);
}

static void the_window_in_configuration_space_reaches_the_registers(void **state)
{
	struct bench *t = *state;
	unsigned devfn = (unsigned)pci_devfn(virtio_net_pci(t->nic));
	struct pci_bus *pci = t->board.pci;

	pci_config_write(pci, 0, devfn, 0x88, 4, 1);            /* BAR4 */
	pci_config_write(pci, 0, devfn, 0x8c, 0x2000, 4);
	pci_config_write(pci, 0, devfn, 0x90, 4, 4);
	assert_int_equal(pci_config_read(pci, 0, devfn, 0x94, 4), le32(mac));
	pci_config_write(pci, 0, devfn, 0x8c, 0x16, 4);         /* queue_select */
	pci_config_write(pci, 0, devfn, 0x90, 2, 4);
	pci_config_write(pci, 0, devfn, 0x94, 1, 2);
	assert_int_equal(pci_config_read(pci, 0, devfn, 0x94, 2), 1);
	pci_config_write(pci, 0, devfn, 0x8c, 0xfffffffe, 4);   /* beyond the BAR: nothing happens */
	pci_config_write(pci, 0, devfn, 0x94, 1, 2);
	(void)pci_config_read(pci, 0, devfn, 0x94, 4);
}

static void one_queue_is_reset_and_used_again(void **state)
{
	struct bench *t = *state;
	uint8_t frame[100], got[200];

	assert_true(t->d.features & BIT(F_RING_RESET));
	bus_write(t->board.memory, t->d.bar + 0x16, RX, 2);
	bus_write(t->board.memory, t->d.bar + 0x3a, 1, 2);
	assert_int_equal(bus_read(t->board.memory, t->d.bar + 0x3a, 2), 0);
	assert_int_equal(bus_read(t->board.memory, t->d.bar + 0x1c, 2), 0);
	fake_frame_fill(frame, sizeof(frame), 1);
	assert_true(port_send_bytes(&t->far.port, frame, sizeof(frame)));       /* dropped */
	assert_int_equal(take_frame(t, got, sizeof(got)), 0);
	assert_true(send_frame(t, frame, sizeof(frame)));                       /* the other queue goes on */
	run(t);
	assert_int_equal(t->far.frames, 1);
}

static void frames_spread_over_queue_pairs_in_use(void **state)
{
	struct bench *t = make(NULL, 4);
	uint8_t frame[60] = { [12] = 8, [14] = 0x45, [23] = 6 }, pairs[2] = { 4, 0 };
	unsigned used[4] = { 0 };

	(void)state;
	fake_virtio_start(&t->d, &t->board, virtio_net_pci(t->nic), true, true, BIT(F_MQ) | BIT(F_CTRL_VQ), 9);
	t->header = 12;
	fake_end_init(&t->far);
	port_join(port_of(t), &t->far.port);
	assert_int_equal(fake_virtio_config(&t->d, 8, 2), 4);
	for (unsigned q = 0; q < 8; q += 2)
		for (unsigned i = 0; i < 64; i++) {
			struct fake_piece p = { fake_virtio_alloc(&t->d, 256), 256, true };

			assert_true(fake_virtio_add(&t->d, q, &p, 1, false) >= 0);
			fake_virtio_kick(&t->d, q);
		}
	run(t);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 40; i++) {
			put_be16(frame + 34, (uint16_t)(1000 + i));
			assert_true(port_send_bytes(&t->far.port, frame, sizeof(frame)));
		}
		for (unsigned q = 0; q < 4; q++) {
			used[q] = 0;
			while (fake_virtio_take(&t->d, 2 * q, NULL) >= 0)
				used[q]++;
		}
		if (round)
			break;
		assert_int_equal(used[0], 40);          /* one pair until the driver says how many */
		{
			uint64_t at = fake_virtio_alloc(&t->d, 16);
			struct fake_piece p[2] = { { at, 4, false }, { at + 8, 1, true } };

			memcpy(t->board.ram + at, (uint8_t[]){ 4, 0, pairs[0], pairs[1] }, 4);
			t->board.ram[at + 8] = 0xff;
			assert_true(fake_virtio_add(&t->d, 8, p, 2, false) >= 0);
			fake_virtio_kick(&t->d, 8);
			run(t);
			assert_int_equal(t->board.ram[at + 8], 0);
		}
	}
	assert_int_equal(used[0] + used[1] + used[2] + used[3], 40);
	for (unsigned q = 0; q < 4; q++)
		assert_true(used[q] > 0);
	fake_end_free(&t->far);
	destroy(t);
}

static void properties_take_features_and_what_needs_them_away(void **state)
{
	struct fake_board b;
	struct virtio_net_config c;
	struct virtio_net *nic;
	struct fake_virtio d = { 0 };
	uint64_t f;

	(void)state;
	fake_board_init(&b);
	virtio_net_defaults(&c);
	c.pci = b.pci;
	c.clock = b.clock.clock;
	c.states = b.states;
	c.host_mtu = 9000;
	c.vectors = 0;
	assert_true(virtio_net_property(&c, "csum", false));
	assert_true(virtio_net_property(&c, "ctrl_vq", false));
	assert_false(virtio_net_property(&c, "rss", true));
	nic = virtio_net_new(&c, NULL);
	fake_board_start(&b);
	fake_virtio_start(&d, &b, virtio_net_pci(nic), true, false, 0, 2);
	f = fake_virtio_offered(&d);
	assert_int_equal(f & (BIT(F_CSUM) | BIT(F_HOST_TSO4) | BIT(F_CTRL_VQ) | BIT(F_CTRL_RX) | BIT(F_CTRL_MAC_ADDR)), 0);
	assert_true(f & BIT(F_GUEST_TSO4) && f & BIT(3));
	assert_int_equal(fake_virtio_config(&d, 10, 2), 9000);
	assert_int_equal(pci_config_bytes(virtio_net_pci(nic))[PCI_CAP_PTR], 0x84);     /* no MSI-X */
	virtio_net_free(nic);
	fake_board_free(&b);
}

static void impossible_properties_are_named(void **state)
{
	struct fake_board b;
	struct virtio_net_config c, bad;
	struct err err;

	(void)state;
	fake_board_init(&b);
	virtio_net_defaults(&c);
	c.pci = b.pci;
	c.clock = b.clock.clock;
	c.states = b.states;
	bad = c;
	bad.rx_queue_size = 300;
	assert_null(virtio_net_new(&bad, &err));
	assert_non_null(strstr(err.text, "rx_queue_size 300"));
	bad = c;
	bad.queues = 9;
	assert_null(virtio_net_new(&bad, &err));
	bad = c;
	bad.disable_legacy = bad.disable_modern = true;
	assert_null(virtio_net_new(&bad, &err));
	assert_non_null(strstr(err.text, "disable-legacy"));
	bad = c;
	bad.host_mtu = 20;
	assert_null(virtio_net_new(&bad, &err));
	fake_board_free(&b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(identity_is_qemus),
		T(configuration_shows_address_and_link),
		T(a_link_change_interrupts_and_shows),
		T(a_tso_frame_crosses_in_one_piece_with_its_facts),
		T(a_large_frame_fills_merged_buffers),
		T(a_frame_larger_than_the_buffers_left_waits_and_then_arrives),
		T(a_verified_frame_is_marked_valid),
		T(a_dhcp_reply_arrives_with_its_sum_made),
		T(one_batch_gives_one_interrupt),
		T(the_interrupt_for_sent_frames_waits_for_more_of_them),
		T(a_burst_needs_one_kick),
		T(filters_follow_the_control_queue),
		T(the_guest_is_asked_to_announce_itself_and_acknowledges),
		T(too_long_an_address_table_lets_all_pass),
		T(offloads_can_be_switched_at_run_time),
		T(a_reset_while_a_send_waits_forgets_it),
		T(a_reset_during_a_send_leaves_the_new_rings_alone),
		T(bad_transmit_headers_are_dropped_and_given_back),
		T(a_frame_in_very_many_pieces_is_sent),
		T(without_a_driver_frames_are_dropped_and_nobody_waits),
		T(a_sender_that_waits_is_freed_when_the_driver_goes),
		T(a_legacy_driver_without_msix_gets_the_line),
		T(a_legacy_driver_may_write_its_address),
		T(the_window_in_configuration_space_reaches_the_registers),
		T(one_queue_is_reset_and_used_again),
		cmocka_unit_test(frames_spread_over_queue_pairs_in_use),
		cmocka_unit_test(properties_take_features_and_what_needs_them_away),
		cmocka_unit_test(impossible_properties_are_named),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(contracts); i++)
		failed += port_contract_run(&contracts[i]);
	return failed;
}
