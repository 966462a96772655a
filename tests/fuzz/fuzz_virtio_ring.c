/* SPDX-License-Identifier: MIT */
/*
 * A guest that writes anything into its rings and registers.  The input is a program: each step stores bytes into the page
 * where rings and tables lie, stores to a register, rings, resets, sends a frame from the network, or lets time pass.
 * A disk and a network card share the board, so that each finds the other's leavings in memory.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "hw/nic/virtio_net.h"
#include "hw/virtio_blk.h"
#include "tests/fake/fake_disk.h"
#include "tests/fake/fake_end.h"
#include "tests/fake/fake_virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA = 0x10000, ARENA_SIZE = 0x100000, STEPS_MAX = 200 };

struct world {
	struct fake_board board;
	struct fake_disk disk;
	struct virtio_blk *blk;
	struct virtio_net *net;
	struct fake_end far;
	struct fake_virtio d[2];
};

static void start(struct world *w, uint8_t how)
{
	uint64_t features = ~(uint64_t)0;
	struct pci_device *pci[2] = { virtio_blk_pci(w->blk), virtio_net_pci(w->net) };

	if (how & 1)
		features &= ~((uint64_t)1 << 29);
	if (how & 2)
		features &= ~((uint64_t)1 << 15);
	for (int i = 0; i < 2; i++) {
		w->d[i].board = &w->board;
		w->d[i].next = ARENA + (uint64_t)i * ARENA_SIZE / 2;
		fake_virtio_start(&w->d[i], &w->board, pci[i], how & 4, how & 8, features, i ? 3 : 1);
	}
	/* some buffers that are in order, for what follows to spoil */
	for (unsigned n = 0; n < 8; n++) {
		struct fake_piece rx = { ARENA + ARENA_SIZE - 0x8000 + n * 0x800, 0x800, true };
		struct fake_piece tx[2] = { { ARENA + ARENA_SIZE - 0x9000 + n * 64, 12, false }, { ARENA, 1500, false } };

		fake_virtio_add(&w->d[1], 0, &rx, 1, false);
		fake_virtio_add(&w->d[1], 1, tx, 2, n & 1);
	}
	fake_virtio_publish(&w->d[1], 0);
	fake_virtio_publish(&w->d[1], 1);
}

static uint64_t ring_address(const struct world *w, struct cursor *c)
{
	const struct fake_virtio *d = &w->d[cursor_u8(c) & 1];
	const struct fake_ring *r = &d->ring[cursor_u8(c) % 3];
	uint64_t base[] = { r->desc, r->avail, r->used, ARENA };

	return base[cursor_u8(c) & 3] + cursor_be16(c) % 8192;
}

static void step(struct world *w, struct cursor *c)
{
	uint8_t op = cursor_u8(c), n;
	struct fake_virtio *d = &w->d[op >> 4 & 1];
	uint8_t bytes[256];
	uint64_t at;

	switch (op & 15) {
	case 0: case 1: case 2: case 3: case 4:
		at = ring_address(w, c);
		n = cursor_u8(c) & 31;
		for (unsigned i = 0; i < n; i++)
			bytes[i] = cursor_u8(c);
		memcpy(w->board.ram + at, bytes, n);
		break;
	case 5:                         /* a descriptor with an address that may be in order */
		at = ring_address(w, c) & ~(uint64_t)15;
		put_le64(w->board.ram + at, op & 0x80 ? ring_address(w, c) : (uint64_t)cursor_be32(c) << (op >> 5));
		put_le32(w->board.ram + at + 8, op & 0x40 ? cursor_be16(c) : cursor_be32(c));
		put_le16(w->board.ram + at + 12, cursor_u8(c) & 7);
		put_le16(w->board.ram + at + 14, cursor_u8(c) & 15);
		break;
	case 6:                         /* one more head */
		n = cursor_u8(c) % 3;
		if (!d->ring[n].size)
			break;
		put_le16(w->board.ram + d->ring[n].avail + 4 + 2 * (d->ring[n].added & (d->ring[n].size - 1)), cursor_u8(c) & 15);
		d->ring[n].added++;
		fake_virtio_publish(d, n);
		/* fall through */
	case 7: case 8:
		bus_write(w->board.memory, d->bar + 0x3000 + 4 * (cursor_u8(c) & 7), 0, 2);
		break;
	case 9:
		bus_write(w->board.memory, d->bar + cursor_u8(c) % 64, cursor_be32(c), 1u << (cursor_u8(c) % 3));
		break;
	case 10:
		bus_write(w->board.ports, d->io + cursor_u8(c) % 64, cursor_be32(c), 1u << (cursor_u8(c) % 3));
		break;
	case 11:
		(void)bus_read(w->board.memory, d->bar + cursor_be16(c) % 0x4000, 4);
		(void)bus_read(w->board.ports, d->io + cursor_u8(c) % 64, 2);
		break;
	case 12:
		n = cursor_u8(c);
		fake_frame_fill(bytes, MAX(n, 14), n);
		port_send_bytes(&w->far.port, bytes, MAX(n, 14));
		break;
	case 13:
		w->far.room = op & 0x80 ? SIZE_MAX : op >> 4;
		port_ready(&w->far.port);
		break;
	case 14:
		if (op & 0x80)
			start(w, op >> 4);
		else
			pci_config_write(w->board.pci, 0, (unsigned)pci_devfn(d->pci), 0x84 + cursor_u8(c) % 0x20, cursor_be32(c), 4);
		break;
	case 15:
		fake_clock_advance(&w->board.clock, 0);
		fake_disk_run(&w->disk);
		break;
	}
}

/* Made once: a new board for each input would spend the time on clearing memory. */
static struct world *make_world(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct virtio_blk_config blk = { .name = "blk", .devfn = -1 };
	struct virtio_net_config net;

	fake_board_init(&w->board);
	fake_disk_init(&w->disk, 1 << 16);
	fake_end_init(&w->far);
	blk.pci = w->board.pci;
	blk.clock = w->board.clock.clock;
	blk.states = w->board.states;
	blk.disk = &w->disk.disk;
	w->blk = virtio_blk_new(&blk, NULL);
	virtio_net_defaults(&net);
	net.pci = w->board.pci;
	net.clock = w->board.clock.clock;
	net.states = w->board.states;
	w->net = virtio_net_new(&net, NULL);
	port_join(virtio_net_port(w->net), &w->far.port);
	return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world *w;
	struct cursor c = cursor_of(data, size);

	if (!w)
		w = make_world();
	memset(w->board.ram + ARENA, 0, ARENA_SIZE);
	fake_board_start(&w->board);
	w->far.room = SIZE_MAX;
	start(w, cursor_u8(&c));

	for (unsigned i = 0; i < STEPS_MAX && cursor_left(&c); i++)
		step(w, &c);
	/* after a reset all is well again: a frame gets through */
	fake_disk_run(&w->disk);
	state_reset_all(w->board.states);
	fake_clock_advance(&w->board.clock, 0);
	fake_end_clear(&w->far);
	w->far.room = SIZE_MAX;
	port_ready(&w->far.port);
	fake_board_start(&w->board);
	start(w, 4 | 8);
	for (unsigned i = 0; i < 3; i++)
		fake_clock_advance(&w->board.clock, 0);
	if (bus_doorbell(w->board.memory, w->d[1].bar + 0x3004, 1, 2))
		fake_clock_advance(&w->board.clock, 0);
	if (w->far.frames != 8)
		abort();
	fake_end_clear(&w->far);
	return 0;
}
