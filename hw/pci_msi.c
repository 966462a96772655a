/* SPDX-License-Identifier: MIT */
/*
 * Message-signalled interrupts: MSI with one vector and MSI-X (PCI Local Bus Specification 3.0, section 6.8).
 * Left out on purpose: several MSI vectors, MSI's per-vector masks (both optional).
 */
#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "hw/pci_device.h"
#include "hw/state.h"

enum {
	CAP_MSI = 0x05, CAP_MSIX = 0x11,
	MSI_CONTROL = 2, MSI_ADDRESS = 4, MSI_DATA = 12, MSI_SIZE = 14,
	MSI_ENABLE = 1 << 0, MSI_64 = 1 << 7,
	MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_PBA = 8, MSIX_SIZE = 12,
	MSIX_FUNCTION_MASK = 1 << 14, MSIX_ENABLE = 1 << 15,
	ENTRY_ADDRESS = 0, ENTRY_DATA = 8, ENTRY_CONTROL = 12,
	ENTRY_MASKED = 1,
	VECTORS_MAX = 2048,
};

/* A message is a memory write: it needs bus mastering, and may be aimed at plain memory. */
static void send(struct pci_device *d, uint64_t addr, uint32_t data)
{
	const struct msi_sink *sink = pci_msi_sink(d);
	uint8_t bytes[4];

	if (!pci_master(d))
		return;
	if (addr >> 20 == 0xfee) {
		if (sink->send)
			sink->send(sink->owner, addr, data);
		return;
	}
	put_le32(bytes, data);
	pci_dma_write(d, addr & ~(uint64_t)3, bytes, sizeof(bytes));
}

void pci_msi_init(struct pci_device *d, unsigned offset)
{
	assert(!d->msi_cap);
	d->msi_cap = offset = pci_capability(d, CAP_MSI, offset, MSI_SIZE);
	put_le16(d->state.config + offset + MSI_CONTROL, MSI_64);
	put_le16(d->writable + offset + MSI_CONTROL, MSI_ENABLE);
	put_le32(d->writable + offset + MSI_ADDRESS, 0xfffffffc);
	put_le32(d->writable + offset + MSI_ADDRESS + 4, 0xffffffff);
	put_le16(d->writable + offset + MSI_DATA, 0xffff);
}

bool pci_msi_enabled(const struct pci_device *d)
{
	return d->msi_cap && d->state.config[d->msi_cap + MSI_CONTROL] & MSI_ENABLE;
}

void pci_msi_send(struct pci_device *d)
{
	const uint8_t *cap = d->state.config + d->msi_cap;

	if (pci_msi_enabled(d))
		send(d, le64(cap + MSI_ADDRESS), le16(cap + MSI_DATA));
}

/* --- MSI-X ----------------------------------------------------------------------------------------------------- */

static unsigned control(const struct pci_device *d)
{
	return le16(d->state.config + d->msix.cap + MSIX_CONTROL);
}

bool pci_msix_enabled(const struct pci_device *d)
{
	return d->msix.cap && control(d) & MSIX_ENABLE;
}

static bool masked(const struct pci_device *d, unsigned vector)
{
	return control(d) & MSIX_FUNCTION_MASK || d->msix.table[vector * MSIX_ENTRY + ENTRY_CONTROL] & ENTRY_MASKED;
}

void pci_msix_send(struct pci_device *d, unsigned vector)
{
	struct pci_msix *m = &d->msix;
	const uint8_t *entry = m->table + vector * MSIX_ENTRY;

	if (!pci_msix_enabled(d) || vector >= m->vectors)
		return;
	if (masked(d, vector))
		m->pending[vector / 64] |= (uint64_t)1 << (vector % 64);
	else
		send(d, le64(entry + ENTRY_ADDRESS), le32(entry + ENTRY_DATA));
}

static void send_pending(struct pci_device *d, unsigned vector)
{
	uint64_t bit = (uint64_t)1 << (vector % 64);

	if (!(d->msix.pending[vector / 64] & bit) || !pci_msix_enabled(d) || masked(d, vector))
		return;
	d->msix.pending[vector / 64] &= ~bit;
	pci_msix_send(d, vector);
}

void pci_msix_config_written(struct pci_device *d, unsigned offset, unsigned size)
{
	unsigned at = d->msix.cap + MSIX_CONTROL;

	if (!d->msix.cap || offset >= at + 2 || offset + size <= at)
		return;
	for (unsigned v = 0; v < d->msix.vectors; v++)
		send_pending(d, v);
}

static uint64_t msix_read(void *dev, uint64_t offset, unsigned size)
{
	struct pci_device *d = dev;
	struct pci_msix *m = &d->msix;
	size_t table = m->vectors * MSIX_ENTRY, pba = (m->vectors + 63) / 64 * 8;
	uint64_t value = 0;

	if (offset - m->table_offset < table && offset - m->table_offset + size <= table) {
		memcpy(&value, m->table + (offset - m->table_offset), size);
		return value;
	}
	if (offset - m->pba_offset < pba && offset - m->pba_offset + size <= pba) {
		memcpy(&value, (uint8_t *)m->pending + (offset - m->pba_offset), size);
		return value;
	}
	return m->ops ? io_read(m->ops, m->dev, offset, size) : 0;
}

static void msix_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct pci_device *d = dev;
	struct pci_msix *m = &d->msix;
	size_t table = m->vectors * MSIX_ENTRY, pba = (m->vectors + 63) / 64 * 8;

	if (offset - m->table_offset < table && offset - m->table_offset + size <= table) {
		unsigned at = (unsigned)(offset - m->table_offset), vector = at / MSIX_ENTRY;

		if (size < 4 || at % size) {
			log_guest("pci", "%s: %u-byte store into the MSI-X table ignored", d->cfg.name, size);
			return;
		}
		memcpy(m->table + at, &value, size);
		m->table[vector * MSIX_ENTRY + ENTRY_ADDRESS] &= 0xfc;
		send_pending(d, vector);
		return;
	}
	if (offset - m->pba_offset < pba)
		return;                 /* read-only */
	if (m->ops)
		io_write(m->ops, m->dev, offset, value, size);
}

static bool msix_doorbell(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct pci_device *d = dev;
	struct pci_msix *m = &d->msix;

	if (offset - m->table_offset < m->vectors * MSIX_ENTRY || !m->ops || !m->ops->doorbell)
		return false;
	return m->ops->doorbell(m->dev, offset, value, size);
}

void pci_msix_reset(struct pci_device *d)
{
	struct pci_msix *m = &d->msix;

	if (!m->cap)
		return;
	memset(m->table, 0, m->vectors * MSIX_ENTRY + (m->vectors + 63) / 64 * 8);
	for (unsigned v = 0; v < m->vectors; v++)
		m->table[v * MSIX_ENTRY + ENTRY_CONTROL] = ENTRY_MASKED;
}

void pci_msix_init(struct pci_device *d, unsigned cap_offset, unsigned vectors, int bar, uint32_t table, uint32_t pba)
{
	struct pci_msix *m = &d->msix;
	struct pci_bar_slot *slot = &d->bar[bar];
	size_t pba_size = (vectors + 63) / 64 * 8, size = vectors * MSIX_ENTRY + pba_size;

	assert(!m->cap && vectors >= 1 && vectors <= VECTORS_MAX && slot->size && !slot->host);
	assert(table % 8 == 0 && pba % 8 == 0 && table + vectors * MSIX_ENTRY <= slot->size && pba + pba_size <= slot->size);
	m->cap = pci_capability(d, CAP_MSIX, cap_offset, MSIX_SIZE);
	put_le16(d->state.config + m->cap + MSIX_CONTROL, (uint16_t)(vectors - 1));
	put_le32(d->state.config + m->cap + MSIX_TABLE, table | (uint32_t)bar);
	put_le32(d->state.config + m->cap + MSIX_PBA, pba | (uint32_t)bar);
	put_le16(d->writable + m->cap + MSIX_CONTROL, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	m->vectors = vectors;
	m->bar = bar;
	m->table_offset = table;
	m->pba_offset = pba;
	m->table = calloc(1, size);
	assert(m->table);
	m->pending = (uint64_t *)(m->table + vectors * MSIX_ENTRY);
	m->ops = slot->ops;
	m->dev = slot->dev;
	m->wrapper = (struct io_ops){ msix_read, msix_write, .min_size = 1, .max_size = 8, .doorbell = msix_doorbell };
	slot->ops = &m->wrapper;
	slot->dev = d;
	state_add(pci_states(d), &(struct state_section){ .name = "msix", .instance = d->devfn, .version = 1,
		.data = m->table, .size = size });
	pci_msix_reset(d);
}

void pci_msix_free(struct pci_device *d)
{
	free(d->msix.table);
}
