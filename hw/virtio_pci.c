/* SPDX-License-Identifier: MIT */
/*
 * virtio over PCI: VIRTIO 1.1, section 4.1, and its legacy interface, section 4.1.4.8.  Layout as QEMU's:
 *
 *   BAR0  I/O, legacy registers          BAR1  MSI-X table and pending bits, 4 KB
 *   BAR4  16 KB: common configuration 0, ISR 1000h, device configuration 2000h, notify 3000h (4 bytes a queue)
 *   40h common, 50h ISR, 60h device, 70h notify, 84h configuration access, 98h MSI-X
 */
#include <assert.h>

#include "base/bytes.h"
#include "base/log.h"
#include "hw/pci.h"
#include "hw/virtio.h"

enum {
	VENDOR = 0x1af4, MODERN_ID = 0x1040, QEMU_SUBSYSTEM = 0x1100, CAP_VENDOR = 0x09,

	LEGACY_FEATURES = 0 /* RO */, LEGACY_DRIVER_FEATURES = 4, LEGACY_PFN = 8, LEGACY_SIZE = 12 /* RO */,
	LEGACY_SELECT = 14, LEGACY_NOTIFY = 16, LEGACY_STATUS = 18, LEGACY_ISR = 19 /* RC */,
	LEGACY_CONFIG_VECTOR = 20, LEGACY_QUEUE_VECTOR = 22,    /* only while MSI-X is enabled */
	LEGACY_HEADER = 20, LEGACY_HEADER_MSIX = 24, LEGACY_PAGE_SHIFT = 12,

	COMMON_DEVICE_SELECT = 0x00, COMMON_DEVICE_FEATURES = 0x04, COMMON_DRIVER_SELECT = 0x08,
	COMMON_DRIVER_FEATURES = 0x0c, COMMON_CONFIG_VECTOR = 0x10, COMMON_NUM_QUEUES = 0x12, COMMON_STATUS = 0x14,
	COMMON_GENERATION = 0x15, COMMON_QUEUE_SELECT = 0x16, COMMON_QUEUE_SIZE = 0x18, COMMON_QUEUE_VECTOR = 0x1a,
	COMMON_QUEUE_ENABLE = 0x1c, COMMON_QUEUE_NOTIFY_OFF = 0x1e, COMMON_QUEUE_DESC = 0x20,
	COMMON_QUEUE_DRIVER = 0x28, COMMON_QUEUE_DEVICE = 0x30, COMMON_QUEUE_NOTIFY_DATA = 0x38,
	COMMON_QUEUE_RESET = 0x3a, COMMON_SIZE = 0x3c,

	WINDOW = 0x1000, WINDOW_COMMON = 0x0000, WINDOW_ISR = 0x1000, WINDOW_DEVICE = 0x2000, WINDOW_NOTIFY = 0x3000,
	MODERN_BAR_SIZE = 0x4000, NOTIFY_MULTIPLIER = 4,
	MSIX_BAR_SIZE = 0x1000, MSIX_PBA = 0x800, MSIX_CAP = 0x98, MSIX_VECTORS_MAX = 128,

	CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_PCI_CFG = 5,   /* cfg_type, section 4.1.4 */
	CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_DATA = 16,
	CAP_SIZE = 16, CAP_NOTIFY_SIZE = 20, CAP_PCI_CFG_SIZE = 20,
	BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4,
};

/* --- interrupts ------------------------------------------------------------------------------------------------ */

/* The one place that moves the line. */
void virtio_pci_update(struct virtio *v)
{
	pci_intx(v->pci, v->s.isr && !pci_msix_enabled(v->pci));
}

void virtio_pci_interrupt(struct virtio *v, uint16_t vector, uint8_t isr)
{
	if (pci_msix_enabled(v->pci)) {
		if (vector != VIRTIO_NO_VECTOR)
			pci_msix_send(v->pci, vector);
		return;
	}
	v->s.isr |= isr;
	virtio_pci_update(v);
}

static uint8_t read_isr(struct virtio *v)
{
	uint8_t isr = v->s.isr;

	v->s.isr = 0;
	virtio_pci_update(v);
	return isr;
}

static uint16_t vector_or_none(const struct virtio *v, uint64_t value)
{
	return value < v->cfg.vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

/* --- device configuration -------------------------------------------------------------------------------------- */

static uint64_t device_config_read(struct virtio *v, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (offset + size <= v->cfg.config_len)
		memcpy(&value, v->s.config + offset, size);
	return value;
}

static void device_config_write(struct virtio *v, uint64_t offset, uint64_t value, unsigned size)
{
	if (v->cfg.ops->config_write && offset + size <= v->cfg.config_len)
		v->cfg.ops->config_write(v->cfg.owner, (unsigned)offset, (uint32_t)value, size);
}

/* --- the legacy interface -------------------------------------------------------------------------------------- */

static struct virtq_state *selected(struct virtio *v)
{
	return v->s.queue_select < v->cfg.queues ? &v->s.q[v->s.queue_select] : NULL;
}

static unsigned legacy_header(const struct virtio *v)
{
	return pci_msix_enabled(v->pci) ? LEGACY_HEADER_MSIX : LEGACY_HEADER;
}

static uint64_t legacy_read(void *dev, uint64_t offset, unsigned size)
{
	struct virtio *v = dev;
	const struct virtq_state *q = selected(v);

	if (offset >= legacy_header(v))
		return device_config_read(v, offset - legacy_header(v), size);
	switch (offset) {
	case LEGACY_FEATURES:
		return (uint32_t)v->cfg.features;
	case LEGACY_DRIVER_FEATURES:
		return (uint32_t)v->s.driver_features;
	case LEGACY_PFN:
		return q && q->enabled ? q->desc >> LEGACY_PAGE_SHIFT : 0;
	case LEGACY_SIZE:
		return q ? v->q[v->s.queue_select].max_size : 0;
	case LEGACY_SELECT:
		return v->s.queue_select;
	case LEGACY_STATUS:
		return v->s.status;
	case LEGACY_ISR:
		return read_isr(v);
	case LEGACY_CONFIG_VECTOR:
		return v->s.config_vector;
	case LEGACY_QUEUE_VECTOR:
		return q ? q->vector : VIRTIO_NO_VECTOR;
	}
	return 0;
}

static void legacy_place(struct virtio *v, uint32_t pfn)
{
	struct virtq_state *q = selected(v);
	uint16_t vector;

	if (!q)
		return;
	if (!pfn) {                     /* section 4.1.5.1.4.1: how a legacy driver takes a queue away, or the device */
		vector = q->vector;
		virtio_reset_queue(v, v->s.queue_select);
		q->vector = vector;
		return;
	}
	if (q->enabled)
		virtio_reset_queue(v, v->s.queue_select);
	q->size = v->q[v->s.queue_select].max_size;
	q->desc = (uint64_t)pfn << LEGACY_PAGE_SHIFT;
	q->avail = q->desc + 16 * (uint64_t)q->size;
	q->used = (q->avail + 4 + 2 * (uint64_t)q->size + 2 + 4095) & ~(uint64_t)4095;
	virtio_enable_queue(v, v->s.queue_select);
}

static bool legacy_doorbell(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)size;
	if (offset != LEGACY_NOTIFY)
		return false;
	virtio_ring(dev, value & 0xffff);
	return true;
}

static void legacy_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct virtio *v = dev;
	struct virtq_state *q = selected(v);

	if (offset >= legacy_header(v)) {
		device_config_write(v, offset - legacy_header(v), value, size);
		return;
	}
	switch (offset) {
	case LEGACY_DRIVER_FEATURES:
		if (!(v->s.status & VIRTIO_DRIVER_OK))
			v->s.driver_features = value & (uint32_t)virtio_offered(v);
		break;
	case LEGACY_PFN:
		legacy_place(v, (uint32_t)value);
		break;
	case LEGACY_SELECT:
		v->s.queue_select = (uint16_t)value;
		break;
	case LEGACY_NOTIFY:
		legacy_doorbell(v, offset, value, size);
		break;
	case LEGACY_STATUS:
		virtio_set_status(v, (uint8_t)value);
		break;
	case LEGACY_CONFIG_VECTOR:
		v->s.config_vector = vector_or_none(v, value);
		break;
	case LEGACY_QUEUE_VECTOR:
		if (q)
			q->vector = vector_or_none(v, value);
		break;
	default:
		log_guest("virtio", "%s: store to legacy register 0x%x ignored", v->cfg.name, (unsigned)offset);
	}
}

static const struct io_ops legacy_ops = {
	.read = legacy_read, .write = legacy_write, .max_size = 4, .doorbell = legacy_doorbell,
};

/* --- the modern interface -------------------------------------------------------------------------------------- */

static uint32_t feature_half(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

/* The 32-bit half of a 64-bit address register at `offset` from the register at `base`. */
static uint32_t half(uint64_t value, uint64_t offset)
{
	return (uint32_t)(offset & 4 ? value >> 32 : value);
}

static uint64_t common_read(struct virtio *v, uint64_t offset)
{
	const struct virtq_state *q = selected(v);

	switch (offset) {
	case COMMON_DEVICE_SELECT:
		return v->s.device_select;
	case COMMON_DEVICE_FEATURES:
		return feature_half(virtio_offered(v), v->s.device_select);
	case COMMON_DRIVER_SELECT:
		return v->s.driver_select;
	case COMMON_DRIVER_FEATURES:
		return feature_half(v->s.driver_features, v->s.driver_select);
	case COMMON_CONFIG_VECTOR:
		return v->s.config_vector;
	case COMMON_NUM_QUEUES:
		return v->cfg.queues;
	case COMMON_STATUS:
		return v->s.status;
	case COMMON_GENERATION:
		return v->s.config_generation;
	case COMMON_QUEUE_SELECT:
		return v->s.queue_select;
	}
	if (!q)
		return 0;
	switch (offset) {
	case COMMON_QUEUE_SIZE:
		return q->size;
	case COMMON_QUEUE_VECTOR:
		return q->vector;
	case COMMON_QUEUE_ENABLE:
		return q->enabled;
	case COMMON_QUEUE_NOTIFY_OFF:
		return v->s.queue_select;
	case COMMON_QUEUE_DESC:
	case COMMON_QUEUE_DESC + 4:
		return half(q->desc, offset);
	case COMMON_QUEUE_DRIVER:
	case COMMON_QUEUE_DRIVER + 4:
		return half(q->avail, offset);
	case COMMON_QUEUE_DEVICE:
	case COMMON_QUEUE_DEVICE + 4:
		return half(q->used, offset);
	}
	return 0;                       /* QUEUE_RESET reads 0: a queue's reset is over at once */
}

static void set_half(struct virtq_state *q, uint64_t *address, uint64_t offset, uint64_t value)
{
	if (q->enabled)
		return;
	if (offset & 4)
		*address = (*address & 0xffffffff) | value << 32;
	else
		*address = (*address & ~(uint64_t)0xffffffff) | (uint32_t)value;
}

static void queue_write(struct virtio *v, struct virtq_state *q, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case COMMON_QUEUE_SIZE:
		if (!q->enabled)
			q->size = (uint16_t)value;
		break;
	case COMMON_QUEUE_VECTOR:
		q->vector = vector_or_none(v, value);
		break;
	case COMMON_QUEUE_ENABLE:
		if (value == 1)
			virtio_enable_queue(v, v->s.queue_select);
		else
			log_guest("virtio", "%s: queue_enable is written 0x%x", v->cfg.name, (unsigned)value);
		break;
	case COMMON_QUEUE_DESC:
	case COMMON_QUEUE_DESC + 4:
		set_half(q, &q->desc, offset, value);
		break;
	case COMMON_QUEUE_DRIVER:
	case COMMON_QUEUE_DRIVER + 4:
		set_half(q, &q->avail, offset, value);
		break;
	case COMMON_QUEUE_DEVICE:
	case COMMON_QUEUE_DEVICE + 4:
		set_half(q, &q->used, offset, value);
		break;
	case COMMON_QUEUE_RESET:
		if (value == 1 && virtio_has(v, VIRTIO_F_RING_RESET))
			virtio_reset_queue(v, v->s.queue_select);
		break;
	default:
		log_guest("virtio", "%s: store to common register 0x%x ignored", v->cfg.name, (unsigned)offset);
	}
}

static void common_write(struct virtio *v, uint64_t offset, uint64_t value)
{
	struct virtq_state *q = selected(v);
	uint64_t mask = (uint64_t)UINT32_MAX << (v->s.driver_select ? 32 : 0);

	switch (offset) {
	case COMMON_DEVICE_SELECT:
		v->s.device_select = (uint32_t)value;
		break;
	case COMMON_DRIVER_SELECT:
		v->s.driver_select = (uint32_t)value;
		break;
	case COMMON_DRIVER_FEATURES:
		if (v->s.driver_select < 2 && !(v->s.status & (VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK)))
			v->s.driver_features = (v->s.driver_features & ~mask) |
					       (value & 0xffffffff) << (v->s.driver_select ? 32 : 0);
		break;
	case COMMON_CONFIG_VECTOR:
		v->s.config_vector = vector_or_none(v, value);
		break;
	case COMMON_STATUS:
		virtio_set_status(v, (uint8_t)value);
		break;
	case COMMON_QUEUE_SELECT:
		v->s.queue_select = (uint16_t)value;
		break;
	default:
		if (q)
			queue_write(v, q, offset, value);
	}
}

static uint64_t modern_read(void *dev, uint64_t offset, unsigned size)
{
	struct virtio *v = dev;
	unsigned at = offset & (WINDOW - 1);

	switch (offset & ~(uint64_t)(WINDOW - 1)) {
	case WINDOW_COMMON:
		return common_read(v, at);
	case WINDOW_ISR:
		return at == 0 ? read_isr(v) : 0;
	case WINDOW_DEVICE:
		return device_config_read(v, at, size);
	}
	return 0;
}

static bool modern_doorbell(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)value;
	(void)size;
	if (offset < WINDOW_NOTIFY)
		return false;
	virtio_ring(dev, (unsigned)(offset - WINDOW_NOTIFY) / NOTIFY_MULTIPLIER);
	return true;
}

static void modern_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct virtio *v = dev;
	unsigned at = offset & (WINDOW - 1);

	switch (offset & ~(uint64_t)(WINDOW - 1)) {
	case WINDOW_COMMON:
		common_write(v, at, value);
		break;
	case WINDOW_DEVICE:
		device_config_write(v, at, value, size);
		break;
	case WINDOW_NOTIFY:
		modern_doorbell(v, offset, value, size);
		break;
	}
}

static const struct io_ops modern_ops = {
	.read = modern_read, .write = modern_write, .max_size = 4, .doorbell = modern_doorbell,
};

/* BAR1 holds nothing but what pci.c answers. */
static const struct io_ops msix_ops = { .max_size = 8 };

/* --- configuration access, section 4.1.4.7: a window into the BARs for code that cannot map them ---------------- */

static bool window(struct virtio *v, const struct io_ops **ops, uint64_t *offset, unsigned *size)
{
	const uint8_t *cap = pci_config_bytes(v->pci) + v->pci_cfg_cap;
	uint64_t bar_size = cap[CAP_BAR] == BAR_MODERN ? MODERN_BAR_SIZE : 0;

	*ops = &modern_ops;
	*offset = le32(cap + CAP_OFFSET);
	*size = le32(cap + CAP_LENGTH);
	return (*size == 1 || *size == 2 || *size == 4) && *offset % *size == 0 && *offset + *size <= bar_size;
}

static bool touches_data(const struct virtio *v, unsigned offset, unsigned size)
{
	unsigned data = v->pci_cfg_cap + CAP_DATA;

	return v->pci_cfg_cap && offset < data + 4 && offset + size > data;
}

static void config_written(void *owner, unsigned offset, unsigned size)
{
	struct virtio *v = owner;
	const struct io_ops *ops;
	uint64_t at;
	unsigned n;

	if (touches_data(v, offset, size) && window(v, &ops, &at, &n)) {
		uint8_t *data = pci_config_bytes(v->pci) + v->pci_cfg_cap + CAP_DATA;

		io_write(ops, v, at, n == 4 ? le32(data) : n == 2 ? le16(data) : *data, n);
	}
	virtio_pci_update(v);           /* MSI-X may have been switched on or off */
}

static void config_reading(void *owner, unsigned offset, unsigned size)
{
	struct virtio *v = owner;
	const struct io_ops *ops;
	uint64_t at;
	unsigned n;

	if (touches_data(v, offset, size) && window(v, &ops, &at, &n))
		put_le32(pci_config_bytes(v->pci) + v->pci_cfg_cap + CAP_DATA, (uint32_t)io_read(ops, v, at, n));
}

/* --- making the function --------------------------------------------------------------------------------------- */

static unsigned add_cap(struct virtio *v, unsigned offset, uint8_t type, uint8_t size, uint32_t at, uint32_t len)
{
	uint8_t *cap;

	pci_capability(v->pci, CAP_VENDOR, offset, size);
	cap = pci_config_bytes(v->pci) + offset;
	cap[2] = size;
	cap[3] = type;
	cap[CAP_BAR] = type == CAP_PCI_CFG ? 0 : BAR_MODERN;
	put_le32(cap + CAP_OFFSET, at);
	put_le32(cap + CAP_LENGTH, len);
	return offset;
}

static void add_modern(struct virtio *v)
{
	unsigned notify;
	uint8_t *w;

	pci_bar(v->pci, BAR_MODERN, MODERN_BAR_SIZE, PCI_BAR_MEM64_PREFETCH, &modern_ops, v);
	add_cap(v, 0x40, CAP_COMMON, CAP_SIZE, WINDOW_COMMON, WINDOW);
	add_cap(v, 0x50, CAP_ISR, CAP_SIZE, WINDOW_ISR, WINDOW);
	add_cap(v, 0x60, CAP_DEVICE, CAP_SIZE, WINDOW_DEVICE, WINDOW);
	notify = add_cap(v, 0x70, CAP_NOTIFY, CAP_NOTIFY_SIZE, WINDOW_NOTIFY, WINDOW);
	put_le32(pci_config_bytes(v->pci) + notify + 16, NOTIFY_MULTIPLIER);
	v->pci_cfg_cap = add_cap(v, 0x84, CAP_PCI_CFG, CAP_PCI_CFG_SIZE, 0, 0);
	w = pci_config_writable(v->pci) + v->pci_cfg_cap;
	w[CAP_BAR] = 0xff;
	memset(w + CAP_OFFSET, 0xff, 12);       /* offset, length, data */
}

static unsigned legacy_size(const struct virtio *v)
{
	unsigned need = (v->cfg.vectors ? LEGACY_HEADER_MSIX : LEGACY_HEADER) + v->cfg.config_len, size = 32;

	while (size < need)
		size *= 2;
	return size;
}

bool virtio_pci_init(struct virtio *v, struct err *err)
{
	const struct virtio_config *c = &v->cfg;
	bool legacy = !c->disable_legacy;

	if (c->disable_legacy && c->disable_modern)
		return err_set(err, "%s: neither the legacy nor the modern interface is left (disable-legacy and disable-modern)",
			       c->name);
	if (c->vectors > MSIX_VECTORS_MAX)
		return err_set(err, "%s: %u vectors are more than %u", c->name, c->vectors, MSIX_VECTORS_MAX);
	v->pci = pci_add(c->pci, &(struct pci_config){
		.name = c->name, .vendor = VENDOR,
		.device = legacy ? c->legacy_id : (uint16_t)(MODERN_ID + c->type),
		.subsystem_vendor = VENDOR, .subsystem = legacy ? (uint16_t)c->type : QEMU_SUBSYSTEM,
		.revision = legacy ? 0 : 1, .class_code = c->class_code, .subclass = c->subclass, .int_pin = 1,
		.devfn = c->devfn, .owner = v, .config_written = config_written, .config_reading = config_reading,
	}, err);
	if (!v->pci)
		return false;
	if (legacy)
		pci_bar(v->pci, BAR_LEGACY, legacy_size(v), PCI_BAR_IO, &legacy_ops, v);
	if (!c->disable_modern)
		add_modern(v);
	if (c->vectors) {
		pci_bar(v->pci, BAR_MSIX, MSIX_BAR_SIZE, PCI_BAR_MEM32, &msix_ops, v);
		pci_msix_init(v->pci, MSIX_CAP, c->vectors, BAR_MSIX, 0, MSIX_PBA);
	}
	return true;
}
