/* SPDX-License-Identifier: MIT */
/*
 * Virtqueues and device life cycle: VIRTIO 1.1, sections 2.1, 2.6 and 3.1, with the legacy notes of each.
 * Left out on purpose: packed virtqueues, IN_ORDER, NOTIFICATION_DATA, an IOMMU.
 *
 *   desc   [size] of { le64 addr, le32 len, le16 flags, le16 next }
 *   avail  le16 flags, le16 idx, le16 ring[size], le16 used_event
 *   used   le16 flags, le16 idx, { le32 id, le32 len } ring[size], le16 avail_event
 *
 * The guest's processors write desc and avail while we read them: each word is read once, and every check is made on the
 * copy.  idx is read with acquire and written with release; around "am I wanted?" both sides need a full fence
 * (section 2.6.10.2).
 */
#include "hw/virtio.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/log.h"
#include "hw/pci.h"
#include "hw/state.h"

enum {
	DESC_SIZE = 16, DESC_LEN = 8, DESC_FLAGS = 12, DESC_NEXT = 14,
	DESC_F_NEXT = 1, DESC_F_WRITE = 2, DESC_F_INDIRECT = 4,
	RING_FLAGS = 0, RING_IDX = 2, RING_RING = 4,
	AVAIL_F_NO_INTERRUPT = 1, USED_F_NO_NOTIFY = 1,
	USED_ELEM = 8,
	ISR_QUEUE = 1, ISR_CONFIG = 2,
};

static struct virtq_state *state(const struct virtq *q)
{
	return &q->dev->s.q[q->index];
}

/* --- words of the rings ---------------------------------------------------------------------------------------- */

static uint16_t get16(struct virtq *q, const uint8_t *host, uint64_t base, uint32_t offset)
{
	uint16_t v;

	if (host)
		return __atomic_load_n((const uint16_t *)(host + offset), __ATOMIC_ACQUIRE);
	pci_dma_read(q->dev->pci, base + offset, &v, sizeof(v));
	return v;
}

static void put16(struct virtq *q, uint8_t *host, uint64_t base, uint32_t offset, uint16_t v)
{
	if (host) {
		__atomic_store_n((uint16_t *)(host + offset), v, __ATOMIC_RELEASE);
		pci_dma_dirty(q->dev->pci, base + offset, sizeof(v));
	} else {
		pci_dma_write(q->dev->pci, base + offset, &v, sizeof(v));
	}
}

static uint32_t avail_size(uint16_t size)
{
	return RING_RING + 2u * size + 2;
}

static uint32_t used_size(uint16_t size)
{
	return RING_RING + USED_ELEM * (uint32_t)size + 2;
}

static uint8_t *ring_host(struct virtq *q, uint64_t addr, uint32_t len)
{
	struct iovec iov;

	return pci_dma_map(q->dev->pci, addr, len, &iov, 1) == 1 ? iov.iov_base : NULL;
}

static void map_rings(struct virtq *q)
{
	const struct virtq_state *s = state(q);

	q->mapped = true;
	q->desc = ring_host(q, s->desc, DESC_SIZE * (uint32_t)s->size);
	q->avail = ring_host(q, s->avail, avail_size(s->size));
	q->used = ring_host(q, s->used, used_size(s->size));
}

static void unmap_rings(struct virtq *q)
{
	q->mapped = false;
	q->desc = q->avail = q->used = NULL;
	q->pending = 0;
}

/* --- life cycle ------------------------------------------------------------------------------------------------ */

uint64_t virtio_offered(const struct virtio *v)
{
	return v->cfg.features | (v->cfg.disable_modern ? 0 : VIRTIO_BIT(VIRTIO_F_VERSION_1));
}

bool virtio_live(const struct virtio *v)
{
	return v->s.status & VIRTIO_DRIVER_OK && !v->s.broken && !v->s.resetting && pci_master(v->pci);
}

bool virtq_live(const struct virtq *q)
{
	return state(q)->enabled && virtio_live(q->dev);
}

void virtio_break(struct virtio *v, const char *why)
{
	if (v->s.broken)
		return;
	log_guest("virtio", "%s: %s; the device stops until it is reset", v->cfg.name, why);
	v->s.broken = true;
	if (!virtio_modern(v))
		return;
	v->s.status |= VIRTIO_NEEDS_RESET;
	virtio_pci_interrupt(v, v->s.config_vector, ISR_CONFIG);
}

void virtio_config_changed(struct virtio *v)
{
	v->s.config_generation++;
	if (v->s.status & VIRTIO_DRIVER_OK)
		virtio_pci_interrupt(v, v->s.config_vector, ISR_CONFIG);
}

static void reset(struct virtio *v)
{
	v->generation++;
	__atomic_store_n(&v->kicked, 0, __ATOMIC_RELAXED);
	memset(&v->s, 0, sizeof(v->s));
	v->s.config_vector = VIRTIO_NO_VECTOR;
	for (unsigned i = 0; i < v->cfg.queues; i++) {
		unmap_rings(&v->q[i]);
		v->s.q[i].size = v->q[i].max_size;
		v->s.q[i].vector = VIRTIO_NO_VECTOR;
	}
	v->cfg.ops->reset(v->cfg.owner);
	virtio_pci_update(v);
}

static void state_reset(void *owner)
{
	reset(owner);
}

static void state_loaded(void *owner)
{
	struct virtio *v = owner;

	v->generation++;
	for (unsigned i = 0; i < v->cfg.queues; i++) {
		unmap_rings(&v->q[i]);
		virtio_ring(v, i);
	}
	virtio_pci_update(v);
}

void virtio_set_status(struct virtio *v, uint8_t status)
{
	uint8_t old = v->s.status;

	if (!status) {
		/* a modern driver reads status until it is 0; a legacy one does not wait (section 2.1.2, 4.1.4.3.2) */
		if (virtio_modern(v) && v->cfg.ops->busy && v->cfg.ops->busy(v->cfg.owner))
			v->s.resetting = true;
		else
			reset(v);
		return;
	}
	if (v->s.driver_features & ~virtio_offered(v))
		status &= (uint8_t)~VIRTIO_FEATURES_OK;
	v->s.status = status | (old & VIRTIO_NEEDS_RESET);
	if (status & ~old & VIRTIO_DRIVER_OK) {
		v->s.driver_features &= virtio_offered(v);
		v->cfg.ops->started(v->cfg.owner);
		for (unsigned i = 0; i < v->cfg.queues; i++)
			virtio_ring(v, i);      /* what was made available before this, section 3.1.1 step 8 */
	}
}

void virtio_idle(struct virtio *v)
{
	if (v->s.resetting)
		reset(v);
}

void virtio_ring(struct virtio *v, unsigned n)
{
	if (n >= v->cfg.queues)
		return;
	__atomic_fetch_or(&v->kicked, 1u << n, __ATOMIC_SEQ_CST);
	bell_ring(&v->bell);
}

static void answer(void *owner)
{
	struct virtio *v = owner;
	uint32_t kicked = __atomic_exchange_n(&v->kicked, 0, __ATOMIC_SEQ_CST);

	for (; kicked; kicked &= kicked - 1) {
		unsigned n = (unsigned)__builtin_ctz(kicked);

		/* look again each time: a kick may let go of the lock, and the guest may reset meanwhile */
		if (virtq_live(&v->q[n]))
			v->cfg.ops->kick(v->cfg.owner, n);
	}
}

void virtio_enable_queue(struct virtio *v, unsigned n)
{
	struct virtq *q = &v->q[n];
	struct virtq_state *s = state(q);

	if (s->enabled)
		return;
	/* sections 2.6 and 2.6.2: powers of two, natural alignment */
	if (!s->size || s->size & (s->size - 1) || s->size > q->max_size || s->desc & 15 || s->avail & 1 || s->used & 3) {
		virtio_break(v, "a virtqueue of impossible size or alignment was enabled");
		return;
	}
	unmap_rings(q);
	s->next_avail = s->next_used = s->signalled = 0;
	q->avail_seen = 0;
	s->enabled = true;
	virtio_ring(v, n);
}

void virtio_reset_queue(struct virtio *v, unsigned n)
{
	v->generation++;
	unmap_rings(&v->q[n]);
	v->s.q[n] = (struct virtq_state){ .size = v->q[n].max_size, .vector = VIRTIO_NO_VECTOR };
	if (v->cfg.ops->queue_reset)
		v->cfg.ops->queue_reset(v->cfg.owner, n);
}

bool virtio_init(struct virtio *v, const struct virtio_config *config, struct err *err)
{
	assert(config->queues <= VIRTIO_QUEUES_MAX && config->config_len <= VIRTIO_CONFIG_MAX);
	memset(v, 0, sizeof(*v));
	v->cfg = *config;
	for (unsigned i = 0; i < config->queues; i++) {
		v->q[i] = (struct virtq){ .dev = v, .index = i, .max_size = config->queue_size[i] };
		assert(config->queue_size[i] && config->queue_size[i] <= VIRTQ_SIZE_MAX);
	}
	if (!virtio_pci_init(v, err))
		return false;
	bell_init(&v->bell, config->clock, answer, v);
	v->bell.quick = config->quick;
	state_add(config->states, &(struct state_section){ .name = "virtio", .instance = (unsigned)pci_devfn(v->pci),
		.version = 1, .data = &v->s, .size = sizeof(v->s), .owner = v, .reset = state_reset,
		.loaded = state_loaded });
	reset(v);
	return true;
}

void virtio_exit(struct virtio *v)
{
	bell_cancel(&v->bell);
}

/* --- taking buffers -------------------------------------------------------------------------------------------- */

/* Reads avail->idx.  false: it is not what a driver could have put there. */
static bool look(struct virtq *q)
{
	const struct virtq_state *s = state(q);
	uint16_t idx = get16(q, q->avail, s->avail, RING_IDX);

	if ((uint16_t)(idx - s->next_avail) > s->size) {
		virtio_break(q->dev, "avail->idx is ahead of the ring");
		return false;
	}
	q->avail_seen = idx;
	return true;
}

bool virtq_empty(struct virtq *q)
{
	const struct virtq_state *s = state(q);

	if (q->dev->s.broken)
		return true;
	if (!q->mapped)
		map_rings(q);
	return q->avail_seen == s->next_avail && (!look(q) || q->avail_seen == s->next_avail);
}

/* One table of descriptors: the ring's, or an indirect one. */
struct table {
	const uint8_t *host;            /* NULL: go through DMA */
	uint64_t addr;
	uint32_t count;
};

static bool fetch(struct virtq *q, const struct table *t, uint32_t i, uint8_t *desc)
{
	if (t->host) {
		memcpy(desc, t->host + i * DESC_SIZE, DESC_SIZE);
		return true;
	}
	return pci_dma_read(q->dev->pci, t->addr + i * DESC_SIZE, desc, DESC_SIZE);
}

static const char *open_indirect(struct virtq *q, struct table *t, const uint8_t *desc, unsigned pieces)
{
	uint32_t len = le32(desc + DESC_LEN);

	if (!virtio_has(q->dev, VIRTIO_F_INDIRECT_DESC))
		return "an indirect descriptor without the feature";
	if (pieces || le16(desc + DESC_FLAGS) & DESC_F_NEXT)
		return "an indirect descriptor inside a chain";
	if (!len || len % DESC_SIZE)
		return "an indirect table of a broken size";
	t->addr = le64(desc);
	t->count = MIN(len / DESC_SIZE, VIRTQ_CHAIN_MAX);       /* no longer chain is walked */
	t->host = ring_host(q, t->addr, t->count * DESC_SIZE);
	return NULL;
}

/* Walks a chain into the device's list of pieces.  Returns NULL, or what is wrong with it. */
static const char *walk(struct virtq *q, struct virtq_chain *c)
{
	struct virtq_seg *seg = q->dev->seg;
	struct table t = { q->desc, state(q)->desc, state(q)->size };
	uint32_t i = c->head, steps = 0;
	bool indirect = false;
	uint8_t desc[DESC_SIZE];
	uint16_t flags;

	for (;;) {
		if (!fetch(q, &t, i, desc))
			return "a descriptor where no memory is";
		flags = le16(desc + DESC_FLAGS);
		if (flags & DESC_F_INDIRECT) {
			const char *why = indirect ? "an indirect table in an indirect table" :
						     open_indirect(q, &t, desc, steps);

			if (why)
				return why;
			indirect = true;
			i = 0;
			continue;
		}
		if (++steps > t.count)
			return "a chain of descriptors that loops";
		seg[c->out + c->in] = (struct virtq_seg){ le64(desc), le32(desc + DESC_LEN) };
		if (flags & DESC_F_WRITE) {
			c->in_len += seg[c->out + c->in].len;
			c->in++;
		} else if (c->in) {
			return "a readable piece behind a writable one";
		} else {
			c->out_len += seg[c->out].len;
			c->out++;
		}
		if (!(flags & DESC_F_NEXT))
			return NULL;
		i = le16(desc + DESC_NEXT);
		if (i >= t.count)
			return "a descriptor number beyond the table";
	}
}

bool virtq_pop(struct virtq *q, struct virtq_chain *c)
{
	struct virtq_state *s = state(q);
	const char *why;
	uint16_t head;

	if (virtq_empty(q))
		return false;
	head = get16(q, q->avail, s->avail, RING_RING + 2u * (s->next_avail & (s->size - 1)));
	*c = (struct virtq_chain){ .head = head, .seg = q->dev->seg };
	why = head >= s->size ? "a head beyond the table" : walk(q, c);
	if (why) {
		virtio_break(q->dev, why);
		return false;
	}
	s->next_avail++;
	return true;
}

void virtq_unpop(struct virtq *q, unsigned n)
{
	state(q)->next_avail -= (uint16_t)n;
}

/* --- giving them back ------------------------------------------------------------------------------------------ */

void virtq_push(struct virtq *q, uint16_t head, uint32_t len)
{
	const struct virtq_state *s = state(q);
	uint32_t at = RING_RING + USED_ELEM * ((uint32_t)(s->next_used + q->pending) & (s->size - 1u));
	uint8_t elem[USED_ELEM];

	if (!q->mapped)
		map_rings(q);
	put_le32(elem, head);
	put_le32(elem + 4, len);
	if (q->used)
		memcpy(q->used + at, elem, sizeof(elem));
	else
		pci_dma_write(q->dev->pci, s->used + at, elem, sizeof(elem));
	q->pending++;
}

void virtq_unpush(struct virtq *q)
{
	q->pending = 0;
}

static bool wants_interrupt(struct virtq *q, uint16_t old, uint16_t new)
{
	const struct virtq_state *s = state(q);
	uint16_t event;

	if (virtio_has(q->dev, VIRTIO_F_NOTIFY_ON_EMPTY) && !virtio_modern(q->dev) && s->next_used == s->next_avail &&
	    get16(q, q->avail, s->avail, RING_IDX) == s->next_avail)
		return true;
	if (!virtio_has(q->dev, VIRTIO_F_EVENT_IDX))
		return !(get16(q, q->avail, s->avail, RING_FLAGS) & AVAIL_F_NO_INTERRUPT);
	/* section 2.6.7.2: when used_event lies in [old, new) */
	event = get16(q, q->avail, s->avail, RING_RING + 2u * s->size);
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

void virtq_publish(struct virtq *q)
{
	struct virtq_state *s = state(q);
	uint32_t first = s->next_used & (s->size - 1u), n = MIN(q->pending, s->size - first);

	if (!q->pending)
		return;
	if (q->used) {
		pci_dma_dirty(q->dev->pci, s->used + RING_RING + USED_ELEM * first, USED_ELEM * n);
		if (n < q->pending)
			pci_dma_dirty(q->dev->pci, s->used + RING_RING, USED_ELEM * (q->pending - n));
	}
	s->next_used += q->pending;
	q->pending = 0;
	put16(q, q->used, s->used, RING_IDX, s->next_used);
}

void virtq_signal(struct virtq *q)
{
	struct virtq_state *s = state(q);
	uint16_t old = s->signalled;

	if (old == s->next_used)
		return;
	s->signalled = s->next_used;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (wants_interrupt(q, old, s->next_used))
		virtio_pci_interrupt(q->dev, s->vector, ISR_QUEUE);
}

void virtq_flush(struct virtq *q)
{
	virtq_publish(q);
	virtq_signal(q);
}

bool virtq_want_kicks(struct virtq *q)
{
	const struct virtq_state *s = state(q);
	uint16_t seen;

	if (virtq_empty(q) && q->dev->s.broken)
		return false;
	seen = q->avail_seen;
	if (virtio_has(q->dev, VIRTIO_F_EVENT_IDX))
		put16(q, q->used, s->used, RING_RING + USED_ELEM * (uint32_t)s->size, seen);
	else
		put16(q, q->used, s->used, RING_FLAGS, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return look(q) && q->avail_seen != seen;
}

void virtq_no_kicks(struct virtq *q)
{
	const struct virtq_state *s = state(q);

	if (!q->mapped)
		map_rings(q);
	/* with event indices a ring beyond avail_event is never asked for: leaving it behind is enough */
	if (!virtio_has(q->dev, VIRTIO_F_EVENT_IDX))
		put16(q, q->used, s->used, RING_FLAGS, USED_F_NO_NOTIFY);
}

/* --- their bytes ----------------------------------------------------------------------------------------------- */

/* The next stretch of the pieces seg[0..n) from *offset on, at most len bytes; false at the end. */
static bool stretch(const struct virtq_seg *seg, unsigned n, unsigned *i, uint64_t *offset, uint64_t len,
		    struct virtq_seg *part)
{
	while (*i < n && *offset >= seg[*i].len) {
		*offset -= seg[*i].len;
		++*i;
	}
	if (*i == n)
		return false;
	part->addr = seg[*i].addr + *offset;
	part->len = (uint32_t)MIN(len, seg[*i].len - *offset);
	*offset += part->len;
	return true;
}

bool virtq_read(struct virtq *q, const struct virtq_chain *c, uint64_t offset, void *buf, size_t len)
{
	uint8_t *to = buf;
	struct virtq_seg part;
	unsigned i = 0;

	while (len) {
		if (!stretch(c->seg, c->out, &i, &offset, len, &part) ||
		    !pci_dma_read(q->dev->pci, part.addr, to, part.len)) {
			memset(to, 0, len);
			return false;
		}
		to += part.len;
		len -= part.len;
	}
	return true;
}

bool virtq_write(struct virtq *q, const struct virtq_chain *c, uint64_t offset, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	struct virtq_seg part;
	unsigned i = 0;

	while (len) {
		if (!stretch(c->seg + c->out, c->in, &i, &offset, len, &part) ||
		    !pci_dma_write(q->dev->pci, part.addr, from, part.len))
			return false;
		from += part.len;
		len -= part.len;
	}
	return true;
}

size_t virtq_map(struct virtq *q, const struct virtq_chain *c, bool in, uint64_t offset, uint64_t len, struct iovec *iov,
		 size_t max)
{
	const struct virtq_seg *seg = in ? c->seg + c->out : c->seg;
	unsigned n = in ? c->in : c->out, i = 0;
	struct virtq_seg part;
	size_t count = 0, got;

	while (len) {
		if (!stretch(seg, n, &i, &offset, len, &part))
			return 0;
		got = pci_dma_map(q->dev->pci, part.addr, part.len, iov + count, max - count);
		if (!got)
			return 0;
		count += got;
		len -= part.len;
	}
	return count;
}

size_t virtq_segs(const struct virtq_chain *c, bool in, uint64_t offset, uint64_t len, struct virtq_seg *seg, size_t max)
{
	unsigned i = 0;
	size_t count = 0;

	for (; len; len -= seg[count++].len)
		if (count == max ||
		    !stretch(in ? c->seg + c->out : c->seg, in ? c->in : c->out, &i, &offset, len, &seg[count]))
			return 0;
	return count;
}

void virtq_dirty(struct virtq *q, const struct virtq_seg *seg, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pci_dma_dirty(q->dev->pci, seg[i].addr, seg[i].len);
}
