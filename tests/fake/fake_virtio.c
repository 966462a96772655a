/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_virtio.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

enum {
	LEGACY_FEATURES = 0, LEGACY_DRIVER_FEATURES = 4, LEGACY_PFN = 8, LEGACY_SIZE = 12, LEGACY_SELECT = 14,
	LEGACY_NOTIFY = 16, LEGACY_STATUS = 18, LEGACY_CONFIG_VECTOR = 20, LEGACY_QUEUE_VECTOR = 22,
	F_INDIRECT = 28, F_EVENT_IDX = 29, F_VERSION_1 = 32,
};

static uint64_t rd(struct fake_virtio *d, unsigned offset, unsigned size)
{
	return d->modern ? bus_read(d->board->memory, d->bar + offset, size) :
			   bus_read(d->board->ports, d->io + offset, size);
}

static void wr(struct fake_virtio *d, unsigned offset, uint64_t value, unsigned size)
{
	struct bus *bus = d->modern ? d->board->memory : d->board->ports;
	uint64_t at = (d->modern ? d->bar : d->io) + offset;

	if (!bus_doorbell(bus, at, value, size))
		bus_write(bus, at, value, size);
}

uint64_t fake_virtio_alloc(struct fake_virtio *d, size_t len)
{
	uint64_t at = d->next;

	d->next += (len + 4095) & ~(uint64_t)4095;
	assert(d->next <= FAKE_BOARD_RAM);
	memset(d->board->ram + at, 0, len);
	return at;
}

uint8_t fake_virtio_status(struct fake_virtio *d)
{
	return (uint8_t)rd(d, d->modern ? 0x14 : LEGACY_STATUS, 1);
}

void fake_virtio_set_status(struct fake_virtio *d, uint8_t status)
{
	wr(d, d->modern ? 0x14 : LEGACY_STATUS, status, 1);
}

uint64_t fake_virtio_config(struct fake_virtio *d, unsigned offset, unsigned size)
{
	return rd(d, d->modern ? 0x2000 + offset : (d->msix ? 24 : 20) + offset, size);
}

uint64_t fake_virtio_offered(struct fake_virtio *d)
{
	uint64_t f;

	if (!d->modern)
		return rd(d, LEGACY_FEATURES, 4);
	wr(d, 0x00, 0, 4);
	f = rd(d, 0x04, 4);
	wr(d, 0x00, 1, 4);
	return f | rd(d, 0x04, 4) << 32;
}

static void choose(struct fake_virtio *d, uint64_t features)
{
	d->features = features;
	if (!d->modern) {
		wr(d, LEGACY_DRIVER_FEATURES, features, 4);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		wr(d, 0x08, i, 4);
		wr(d, 0x0c, features >> (32 * i), 4);
	}
}

static void add_queue(struct fake_virtio *d, unsigned n)
{
	struct fake_ring *r = &d->ring[n];

	memset(r, 0, sizeof(*r));
	wr(d, d->modern ? 0x16 : LEGACY_SELECT, n, 2);
	r->size = (uint16_t)rd(d, d->modern ? 0x18 : LEGACY_SIZE, 2);
	if (!r->size)
		return;
	r->desc = fake_virtio_alloc(d, 16 * r->size + 4 + 2 * r->size + 2 + 8192 + 4 + 8 * r->size + 2);
	r->avail = r->desc + 16 * r->size;
	r->used = (r->avail + 4 + 2 * r->size + 2 + 4095) & ~(uint64_t)4095;
	for (uint16_t i = 0; i < r->size; i++)
		r->free[r->frees++] = (uint16_t)(r->size - 1 - i);
	if (d->msix)
		wr(d, d->modern ? 0x1a : LEGACY_QUEUE_VECTOR, n + 1, 2);
	if (!d->modern) {
		wr(d, LEGACY_PFN, r->desc >> 12, 4);
		return;
	}
	wr(d, 0x20, r->desc, 4);
	wr(d, 0x24, r->desc >> 32, 4);
	wr(d, 0x28, r->avail, 4);
	wr(d, 0x2c, r->avail >> 32, 4);
	wr(d, 0x30, r->used, 4);
	wr(d, 0x34, r->used >> 32, 4);
	wr(d, 0x1c, 1, 2);
}

static void enable_msix(struct fake_virtio *d, unsigned queues)
{
	uint64_t table = pci_bar_address(d->pci, 1);
	unsigned devfn = (unsigned)pci_devfn(d->pci);

	for (unsigned v = 0; v <= queues; v++) {
		bus_write(d->board->memory, table + 16 * v, 0xfee00000, 4);
		bus_write(d->board->memory, table + 16 * v + 4, 0, 4);
		bus_write(d->board->memory, table + 16 * v + 8, v, 4);
		bus_write(d->board->memory, table + 16 * v + 12, 0, 4);
	}
	pci_config_write(d->board->pci, 0, devfn, 0x98 + 2, 0x8000, 2);
}

void fake_virtio_start(struct fake_virtio *d, struct fake_board *b, struct pci_device *pci, bool modern, bool msix,
		       uint64_t features, unsigned queues)
{
	uint64_t next = d->board == b && d->next ? d->next : 0x10000;

	*d = (struct fake_virtio){ .board = b, .pci = pci, .modern = modern, .msix = msix, .next = next, .queues = queues };
	d->io = pci_bar_address(pci, 0);
	d->bar = pci_bar_address(pci, 4);
	fake_virtio_set_status(d, 0);
	fake_virtio_set_status(d, 1);
	fake_virtio_set_status(d, 3);
	choose(d, fake_virtio_offered(d) & (features | (modern ? (uint64_t)1 << F_VERSION_1 : 0)));
	if (modern) {
		fake_virtio_set_status(d, 11);
		assert(fake_virtio_status(d) == 11);
	}
	pci_config_write(b->pci, 0, (unsigned)pci_devfn(pci), 0x98 + 2, 0, 2);
	if (msix) {
		enable_msix(d, queues);
		wr(d, modern ? 0x10 : LEGACY_CONFIG_VECTOR, 0, 2);
	}
	for (unsigned i = 0; i < queues; i++)
		add_queue(d, i);
	fake_virtio_set_status(d, modern ? 15 : 7);
}

static void put_desc(struct fake_virtio *d, uint64_t at, const struct fake_piece *p, bool more, uint16_t next)
{
	uint8_t *desc = d->board->ram + at;

	put_le64(desc, p->addr);
	put_le32(desc + 8, p->len);
	put_le16(desc + 12, (uint16_t)((more ? 1 : 0) | (p->write ? 2 : 0)));
	put_le16(desc + 14, next);
}

int fake_virtio_add(struct fake_virtio *d, unsigned queue, const struct fake_piece *piece, unsigned n, bool indirect)
{
	struct fake_ring *r = &d->ring[queue];
	unsigned need = indirect ? 1 : n;
	uint16_t head, at;

	if (r->frees < need)
		return -1;
	head = r->free[r->frees - 1];
	if (indirect) {
		uint64_t table = fake_virtio_alloc(d, 16 * n);

		for (unsigned i = 0; i < n; i++)
			put_desc(d, table + 16 * i, &piece[i], i + 1 < n, (uint16_t)(i + 1));
		put_desc(d, r->desc + 16 * head, &(struct fake_piece){ table, 16 * n, false }, false, 0);
		put_le16(d->board->ram + r->desc + 16 * head + 12, 4);
	} else {
		for (unsigned i = 0; i < n; i++) {
			at = r->free[r->frees - 1 - i];
			put_desc(d, r->desc + 16 * at, &piece[i], i + 1 < n, i + 1 < n ? r->free[r->frees - 2 - i] : 0);
		}
	}
	r->frees -= (uint16_t)need;
	r->chain[head] = (uint16_t)need;
	put_le16(d->board->ram + r->avail + 4 + 2 * (r->added & (r->size - 1)), head);
	r->added++;
	return head;
}

void fake_virtio_publish(struct fake_virtio *d, unsigned queue)
{
	put_le16(d->board->ram + d->ring[queue].avail + 2, d->ring[queue].added);
}

bool fake_virtio_kick(struct fake_virtio *d, unsigned queue)
{
	struct fake_ring *r = &d->ring[queue];
	const uint8_t *ram = d->board->ram;
	uint16_t old = le16(ram + r->avail + 2), event = le16(ram + r->used + 4 + 8 * r->size);
	bool wanted;

	fake_virtio_publish(d, queue);
	if (d->features >> F_EVENT_IDX & 1)
		wanted = (uint16_t)(r->added - event - 1) < (uint16_t)(r->added - old);
	else
		wanted = !(le16(ram + r->used) & 1);
	if (wanted)
		wr(d, d->modern ? 0x3000 + 4 * queue : LEGACY_NOTIFY, queue, 2);
	return wanted;
}

int fake_virtio_take(struct fake_virtio *d, unsigned queue, uint32_t *len)
{
	struct fake_ring *r = &d->ring[queue];
	const uint8_t *ram = d->board->ram, *elem;
	uint16_t head, at;

	if (le16(ram + r->used + 2) == r->taken)
		return -1;
	elem = ram + r->used + 4 + 8 * (r->taken++ & (r->size - 1));
	head = (uint16_t)le32(elem);
	assert(head < r->size && r->chain[head]);
	if (len)
		*len = le32(elem + 4);
	at = head;
	for (unsigned i = 0; i < r->chain[head]; i++) {
		r->free[r->frees++] = at;
		at = le16(ram + r->desc + 16 * at + 14);
	}
	r->chain[head] = 0;
	return head;
}

void fake_virtio_want_interrupt(struct fake_virtio *d, unsigned queue)
{
	struct fake_ring *r = &d->ring[queue];

	put_le16(d->board->ram + r->avail + 4 + 2 * r->size, r->taken);
}
