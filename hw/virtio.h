/* SPDX-License-Identifier: MIT */
/*
 * What virtio devices share: features, status, configuration space and split virtqueues (VIRTIO 1.1, sections 2 and 4.1).
 * A device embeds a struct virtio, hands in its ops, and gets: the PCI function (virtio_pci.c), queues whose every
 * guest-written word is fetched once and checked, and doorbells that reach it on the loop thread.
 *
 * Rings and buffers lie in guest memory, which the guest's processors write all the time.  A ring that breaks the rules
 * breaks the device: it stops, says NEEDS_RESET where the driver can see that, and waits for a reset.
 */
#ifndef HW_VIRTIO_H
#define HW_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/err.h"

struct pci_bus;
struct pci_device;
struct state_list;
struct virtio;

enum {
	VIRTIO_QUEUES_MAX = 17,
	VIRTQ_SIZE_MAX = 1024,
	VIRTQ_CHAIN_MAX = 1024,         /* descriptors of one buffer */
	VIRTIO_CONFIG_MAX = 64,
	VIRTIO_NO_VECTOR = 0xffff,
};

enum {                                  /* feature bits of section 6, and of the legacy interface */
	VIRTIO_F_NOTIFY_ON_EMPTY = 24, VIRTIO_F_ANY_LAYOUT = 27, VIRTIO_F_INDIRECT_DESC = 28, VIRTIO_F_EVENT_IDX = 29,
	VIRTIO_F_VERSION_1 = 32, VIRTIO_F_RING_RESET = 40,
};

#define VIRTIO_BIT(n) ((uint64_t)1 << (n))

enum {                                  /* device status, section 2.1 */
	VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8, VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

/* One piece of a buffer, in guest-physical memory. */
struct virtq_seg {
	uint64_t addr;
	uint32_t len;
};

/* A buffer that the driver made available: pieces to read, then pieces to write. */
struct virtq_chain {
	uint16_t head;
	unsigned out, in;               /* pieces: seg[0..out), seg[out..out+in) */
	uint64_t out_len, in_len;
	const struct virtq_seg *seg;    /* the device's; until its next virtq_pop */
};

struct virtq {
	struct virtio *dev;
	unsigned index;
	uint16_t max_size;
	/* host addresses of the rings, or NULL: not plain memory, or not looked up yet */
	uint8_t *desc, *avail, *used;
	bool mapped;
	uint16_t avail_seen;            /* the last avail->idx read */
	uint16_t pending;               /* used elements written but not published */
};

struct virtio_ops {
	/* The driver rang for queue n (or it may have work); on the loop thread.  The queue is live. */
	void (*kick)(void *owner, unsigned n);
	/* Status 0 was written, or power-on: forget everything under way.  Queues are off already. */
	void (*reset)(void *owner);
	/* Before RESET takes effect: true while requests are under way whose buffers the host may still write.  May be NULL. */
	bool (*busy)(void *owner);
	/* DRIVER_OK: virtio_has() and the queues hold what the driver chose. */
	void (*started)(void *owner);
	/* Queue n was taken out of service by itself (RING_RESET).  May be NULL. */
	void (*queue_reset)(void *owner, unsigned n);
	/* The driver wrote configuration bytes; device decides what to keep in config[].  May be NULL: all is read-only. */
	void (*config_write)(void *owner, unsigned offset, uint32_t value, unsigned size);
};

struct virtio_config {
	struct pci_bus *pci;
	struct clock *clock;
	struct state_list *states;
	const char *name;               /* kept: "virtio-net-pci" */
	unsigned type;                  /* device ID of section 5: 1 net, 2 block */
	uint16_t legacy_id;             /* PCI device ID of the transitional device */
	uint8_t class_code, subclass;
	int devfn;
	bool disable_legacy, disable_modern;
	uint64_t features;              /* offered; the ring's and transport's own are up to the caller, VERSION_1 is not */
	unsigned queues;
	uint16_t queue_size[VIRTIO_QUEUES_MAX];
	unsigned config_len;
	unsigned vectors;               /* MSI-X; 0: none */
	bool quick;                     /* kick() may run on the driver's processor: struct bell */
	const struct virtio_ops *ops;
	void *owner;
};

struct virtq_state {
	uint64_t desc, avail, used;     /* guest-physical */
	uint16_t size, vector, next_avail, next_used;
	uint16_t signalled;             /* used elements whose interrupt is decided on */
	bool enabled;
};

struct virtio {
	struct virtio_config cfg;
	struct pci_device *pci;
	struct virtq q[VIRTIO_QUEUES_MAX];
	struct bell bell;
	uint32_t kicked;                /* atomic: a bit per queue */
	uint32_t generation;            /* counts resets of the device and of queues */
	unsigned pci_cfg_cap;           /* offset of the configuration access capability; 0: none */
	struct virtq_seg seg[VIRTQ_CHAIN_MAX];
	/* what reset restores: */
	struct virtio_state {
		uint64_t driver_features;
		uint32_t device_select, driver_select;
		uint16_t config_vector, queue_select;
		uint8_t status, isr, config_generation;
		bool broken, resetting;
		uint8_t config[VIRTIO_CONFIG_MAX];
		struct virtq_state q[VIRTIO_QUEUES_MAX];
	} s;
};

/* Creates the PCI function.  Fill s.config in ops->reset, which is called from here too. */
bool virtio_init(struct virtio *v, const struct virtio_config *config, struct err *err);
/* Takes the device off its clock; the PCI function stays the bus's. */
void virtio_exit(struct virtio *v);

static inline bool virtio_has(const struct virtio *v, unsigned feature)
{
	return v->s.driver_features >> feature & 1;
}
/* Whether the driver speaks the modern interface, in which the net header has 12 bytes, and so on. */
static inline bool virtio_modern(const struct virtio *v) { return virtio_has(v, VIRTIO_F_VERSION_1); }
/* DRIVER_OK and neither broken nor off the bus. */
bool virtio_live(const struct virtio *v);
/* config[] changed: tell the driver. */
void virtio_config_changed(struct virtio *v);
/* The guest broke a rule that leaves no way on. */
void virtio_break(struct virtio *v, const char *why);
/* A request ended after a reset had to wait for it (ops->busy). */
void virtio_idle(struct virtio *v);
/* Have ops->kick called for queue n from the loop; any thread. */
void virtio_ring(struct virtio *v, unsigned n);

/* Whether the queue can be used now. */
bool virtq_live(const struct virtq *q);
/* Take the next buffer.  false: none, or the ring is bad (the device is then broken). */
bool virtq_pop(struct virtq *q, struct virtq_chain *c);
/* Give back the last n buffers popped and not pushed: they will be popped again. */
void virtq_unpop(struct virtq *q, unsigned n);
/* The device is done with a buffer and has written len bytes of it.  The driver learns of it at virtq_flush. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t len);
/* Take back all that was pushed since the last flush. */
void virtq_unpush(struct virtq *q);
/* Publish what was pushed; interrupt for what was published, if the driver wants that; both. */
void virtq_publish(struct virtq *q);
void virtq_signal(struct virtq *q);
static inline uint16_t virtq_unsignalled(const struct virtq *q)
{
	const struct virtq_state *s = &q->dev->s.q[q->index];

	return (uint16_t)(s->next_used - s->signalled);
}
void virtq_flush(struct virtq *q);
/* Whether nothing is left to pop. */
bool virtq_empty(struct virtq *q);
/*
 * Do or do not want to be rung for buffers beyond those seen.  Wanting returns true if some came meanwhile: pop on, there may
 * be no ring for them.
 */
bool virtq_want_kicks(struct virtq *q);
void virtq_no_kicks(struct virtq *q);

/* Copy from the readable, or to the writable part, at an offset.  false: past its end, or no memory there. */
bool virtq_read(struct virtq *q, const struct virtq_chain *c, uint64_t offset, void *buf, size_t len);
bool virtq_write(struct virtq *q, const struct virtq_chain *c, uint64_t offset, const void *buf, size_t len);
/*
 * Host pieces of len bytes at an offset of the readable or the writable part, written to iov.  Returns how many, 0 if there
 * is no RAM, or more than max.  Who stores through pieces of the writable part keeps the guest addresses, and calls
 * virtq_dirty on them then.
 */
size_t virtq_map(struct virtq *q, const struct virtq_chain *c, bool in, uint64_t offset, uint64_t len, struct iovec *iov,
		 size_t max);
/* The guest addresses of those bytes; returns how many, 0 if more than max. */
size_t virtq_segs(const struct virtq_chain *c, bool in, uint64_t offset, uint64_t len, struct virtq_seg *seg, size_t max);
void virtq_dirty(struct virtq *q, const struct virtq_seg *seg, size_t n);

/* virtio.c and virtio_pci.c to each other. */
bool virtio_pci_init(struct virtio *v, struct err *err);
void virtio_pci_interrupt(struct virtio *v, uint16_t vector, uint8_t isr);
void virtio_pci_update(struct virtio *v);
uint64_t virtio_offered(const struct virtio *v);
void virtio_set_status(struct virtio *v, uint8_t status);
void virtio_enable_queue(struct virtio *v, unsigned n);
void virtio_reset_queue(struct virtio *v, unsigned n);

#endif
