/* SPDX-License-Identifier: MIT */
/*
 * An address space: a sorted list of register windows and one of memory segments, at most a few dozen each.
 *
 *   windows   [first..last] -> ops, dev       disjoint; ports find theirs in a 64 K table, memory by a cached binary search
 *   segments  [first..last] -> host, kind     disjoint; a window over a segment wins
 *   view      segments less the pages that windows touch: what bus_page and DMA may use as plain memory
 *
 * The view and the windows are published for readers without the lock: a writer fills the idle one of two copies and
 * then moves `version`; a reader that finds the version changed under it looks again.
 */
#include "hw/bus.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	PAGE = 4096, PAGE_SHIFT = 12,
	WINDOWS_MAX = 254,              /* numbers in the port table fit a byte, 0 is "none" */
	SEGMENTS_MAX = 128,
	VIEW_MAX = SEGMENTS_MAX + WINDOWS_MAX,
	LISTENERS_MAX = 4,
	PORTS = 65536,
	CODE_BITS = 40,                 /* memory above 1 TiB is never plain, so it needs no code marks */
};

struct window {
	uint64_t first, last;
	const struct io_ops *ops;
	void *dev;
	const char *name;
};

struct segment {
	uint64_t first, last;
	uint8_t *host;                  /* of first */
	enum bus_ram kind;
	const char *name;
};

struct view {
	unsigned segments, windows;
	struct segment segment[VIEW_MAX];
	struct window window[WINDOWS_MAX];
};

struct bus {
	enum bus_kind kind;
	unsigned windows, segments;
	unsigned last_hit;              /* window that answered last */
	struct window window[WINDOWS_MAX];
	struct segment segment[SEGMENTS_MAX];
	uint8_t *port_table;            /* BUS_PORTS: window number + 1 */
	unsigned version;
	struct view *view;              /* two; BUS_MEMORY only */
	uint64_t *code;                 /* a bit per page; untouched parts cost nothing */
	struct bus_listener listener[LISTENERS_MAX];
	unsigned listeners;
};

static uint64_t ones(unsigned size)
{
	return size >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * size)) - 1;
}

/* --- one access to one device ---------------------------------------------------------------------------------- */

uint64_t io_read(const struct io_ops *ops, void *dev, uint64_t offset, unsigned size)
{
	unsigned min = ops->min_size ? ops->min_size : 1, max = ops->max_size ? ops->max_size : 4;
	uint64_t value = 0;

	if (!ops->read)
		return ones(size);
	if (size >= min && size <= max)
		return ops->read(dev, offset, size) & ones(size);
	if (size > max) {
		for (unsigned i = 0; i < size; i += max)
			value |= (ops->read(dev, offset + i, max) & ones(max)) << (8 * i);
		return value;
	}
	/* narrower than the device: read the unit that holds it, two of them if it lies across */
	for (unsigned i = 0; i < size;) {
		uint64_t at = offset + i, unit = at & ~(uint64_t)(min - 1);
		unsigned skip = (unsigned)(at - unit), n = MIN(size - i, min - skip);

		value |= (ops->read(dev, unit, min) >> (8 * skip) & ones(n)) << (8 * i);
		i += n;
	}
	return value;
}

void io_write(const struct io_ops *ops, void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	unsigned min = ops->min_size ? ops->min_size : 1, max = ops->max_size ? ops->max_size : 4;

	if (!ops->write)
		return;
	value &= ones(size);
	if (size <= max) {
		ops->write(dev, offset, value, MAX(size, min));
		return;
	}
	for (unsigned i = 0; i < size; i += max)
		ops->write(dev, offset + i, value >> (8 * i) & ones(max), max);
}

/* --- look-up --------------------------------------------------------------------------------------------------- */

/* Index of the first entry whose `last` is not below addr; entries are disjoint and ascending. */
#define FIND_FROM(array, count, addr) ({ \
	unsigned lo_ = 0, hi_ = (count); \
	while (lo_ < hi_) { \
		unsigned mid_ = (lo_ + hi_) / 2; \
		if ((array)[mid_].last < (addr)) \
			lo_ = mid_ + 1; \
		else \
			hi_ = mid_; \
	} \
	lo_; })

static const struct window *window_at(struct bus *b, uint64_t addr)
{
	unsigned i;

	if (b->kind == BUS_PORTS) {
		i = b->port_table[addr & (PORTS - 1)];
		return i ? &b->window[i - 1] : NULL;
	}
	i = b->last_hit;
	if (i < b->windows && addr >= b->window[i].first && addr <= b->window[i].last)
		return &b->window[i];
	i = FIND_FROM(b->window, b->windows, addr);
	if (i == b->windows || b->window[i].first > addr)
		return NULL;
	b->last_hit = i;
	return &b->window[i];
}

static const struct segment *segment_at(const struct bus *b, uint64_t addr)
{
	unsigned i = FIND_FROM(b->segment, b->segments, addr);

	return i < b->segments && b->segment[i].first <= addr ? &b->segment[i] : NULL;
}

/* A copy of the plain segment at addr, from any thread. */
static bool plain_at(const struct bus *b, uint64_t addr, struct segment *out)
{
	if (!b->view)
		return false;
	for (;;) {
		unsigned version = __atomic_load_n(&b->version, __ATOMIC_ACQUIRE);
		const struct view *v = &b->view[version & 1];
		unsigned count = MIN(v->segments, (unsigned)VIEW_MAX), i = FIND_FROM(v->segment, count, addr);
		bool found = i < count && v->segment[i].first <= addr;

		if (found)
			*out = v->segment[i];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&b->version, __ATOMIC_RELAXED) == version)
			return found;
	}
}

/* --- publishing ------------------------------------------------------------------------------------------------ */

static void view_add(struct view *v, uint64_t first, uint64_t last, const struct segment *of)
{
	assert(v->segments < VIEW_MAX);
	v->segment[v->segments++] = (struct segment){ first, last, of->host + (first - of->first), of->kind, of->name };
}

static void publish(struct bus *b)
{
	struct view *v;

	if (!b->view)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	v = &b->view[(b->version + 1) & 1];
	v->segments = 0;
	v->windows = b->windows;
	memcpy(v->window, b->window, b->windows * sizeof(b->window[0]));
	for (unsigned i = 0; i < b->segments; i++) {
		const struct segment *s = &b->segment[i];
		uint64_t at = s->first;
		bool done = false;

		for (unsigned w = FIND_FROM(b->window, b->windows, s->first); w < b->windows && !done; w++) {
			uint64_t first = b->window[w].first & ~(uint64_t)(PAGE - 1);
			uint64_t last = b->window[w].last | (PAGE - 1);

			if (first > s->last)
				break;
			if (first > at)
				view_add(v, at, first - 1, s);
			done = last >= s->last;
			at = MAX(at, last + 1);
		}
		if (!done)
			view_add(v, at, s->last, s);
	}
	__atomic_store_n(&b->version, b->version + 1, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < b->listeners; i++)
		if (b->listener[i].remapped)
			b->listener[i].remapped(b->listener[i].owner);
}

struct bus *bus_new(enum bus_kind kind)
{
	struct bus *b = calloc(1, sizeof(*b));

	assert(b);
	b->kind = kind;
	if (kind == BUS_PORTS) {
		b->port_table = calloc(1, PORTS);
		assert(b->port_table);
	} else {
		b->view = calloc(2, sizeof(*b->view));
		b->code = calloc(1, ((size_t)1 << (CODE_BITS - PAGE_SHIFT)) / 8);
		assert(b->view && b->code);
	}
	return b;
}

void bus_free(struct bus *b)
{
	if (!b)
		return;
	free(b->port_table);
	free(b->view);
	free(b->code);
	free(b);
}

/* --- register windows ------------------------------------------------------------------------------------------ */

/* Port numbers move when a window is added or removed: the table is written anew (rare). */
static void number_ports(struct bus *b)
{
	if (b->kind != BUS_PORTS)
		return;
	memset(b->port_table, 0, PORTS);
	for (unsigned i = 0; i < b->windows; i++)
		memset(b->port_table + b->window[i].first, (int)i + 1, b->window[i].last - b->window[i].first + 1);
}

bool bus_map(struct bus *b, uint64_t base, uint64_t len, const struct io_ops *ops, void *dev, const char *name,
	     struct err *err)
{
	uint64_t last = base + len - 1;
	unsigned i;

	assert(len > 0 && ops);
	if (last < base || (b->kind == BUS_PORTS && last >= PORTS))
		return err_set(err, "%s: 0x%" PRIx64 " and %" PRIu64 " bytes leave the address space", name, base, len);
	i = FIND_FROM(b->window, b->windows, base);
	if (i < b->windows && b->window[i].first <= last)
		return err_set(err, "%s: 0x%" PRIx64 " and %" PRIu64 " bytes overlap %s at 0x%" PRIx64, name, base, len,
			       b->window[i].name, b->window[i].first);
	if (b->windows == WINDOWS_MAX)
		return err_set(err, "%s: no more than %d register windows fit the bus", name, WINDOWS_MAX);
	memmove(&b->window[i + 1], &b->window[i], (b->windows - i) * sizeof(b->window[0]));
	b->window[i] = (struct window){ base, last, ops, dev, name };
	b->windows++;
	number_ports(b);
	publish(b);
	return true;
}

void bus_unmap(struct bus *b, uint64_t base)
{
	unsigned i = FIND_FROM(b->window, b->windows, base);

	if (i == b->windows || b->window[i].first != base)
		return;
	b->windows--;
	memmove(&b->window[i], &b->window[i + 1], (b->windows - i) * sizeof(b->window[0]));
	number_ports(b);
	publish(b);
}

bool bus_has_window(struct bus *b, uint64_t base, uint64_t len)
{
	unsigned i = FIND_FROM(b->window, b->windows, base);

	return i < b->windows && b->window[i].first <= base + len - 1;
}

/* --- memory ---------------------------------------------------------------------------------------------------- */

static void insert_segment(struct bus *b, unsigned i, struct segment s)
{
	assert(b->segments < SEGMENTS_MAX);
	memmove(&b->segment[i + 1], &b->segment[i], (b->segments - i) * sizeof(b->segment[0]));
	b->segment[i] = s;
	b->segments++;
}

/* Make room: cut [first..last] out of what is there.  Returns the index where a segment for it belongs. */
static unsigned cut(struct bus *b, uint64_t first, uint64_t last)
{
	unsigned i = FIND_FROM(b->segment, b->segments, first);

	if (i < b->segments && b->segment[i].first < first) {
		struct segment rest = b->segment[i];

		b->segment[i++].last = first - 1;
		rest.host += first - rest.first;
		rest.first = first;
		insert_segment(b, i, rest);
	}
	while (i < b->segments && b->segment[i].first <= last) {
		struct segment *s = &b->segment[i];

		if (s->last > last) {
			s->host += last + 1 - s->first;
			s->first = last + 1;
			break;
		}
		b->segments--;
		memmove(s, s + 1, (b->segments - i) * sizeof(*s));
	}
	return i;
}

/* Join segment i with its successor if they are one piece of host memory. */
static void join(struct bus *b, unsigned i)
{
	struct segment *s = &b->segment[i];

	if (i + 1 >= b->segments || s->last + 1 != s[1].first || s->host + (s->last - s->first) + 1 != s[1].host ||
	    s->kind != s[1].kind || s->name != s[1].name)
		return;
	s->last = s[1].last;
	b->segments--;
	memmove(s + 1, s + 2, (b->segments - i - 1) * sizeof(*s));
}

void bus_map_ram(struct bus *b, uint64_t base, uint64_t len, void *host, enum bus_ram kind, const char *name)
{
	unsigned i;

	assert(b->kind == BUS_MEMORY && len > 0 && base % PAGE == 0 && len % PAGE == 0);
	assert(base + len <= (uint64_t)1 << CODE_BITS && base + len > base);
	i = cut(b, base, base + len - 1);
	insert_segment(b, i, (struct segment){ base, base + len - 1, host, kind, name });
	join(b, i);
	if (i > 0)
		join(b, i - 1);
	publish(b);
}

void bus_unmap_ram(struct bus *b, uint64_t base, uint64_t len)
{
	assert(len > 0 && base + len > base);
	cut(b, base, base + len - 1);
	publish(b);
}

bool bus_has_ram(struct bus *b, uint64_t base, uint64_t len)
{
	unsigned i = FIND_FROM(b->segment, b->segments, base);

	return i < b->segments && b->segment[i].first <= base + len - 1;
}

bool bus_page(struct bus *b, uint64_t addr, struct bus_page *page)
{
	struct segment s;

	if (!plain_at(b, addr, &s))
		return false;
	*page = (struct bus_page){ s.host + (addr - s.first), s.kind == BUS_RAM };
	return true;
}

/* --- code marks ------------------------------------------------------------------------------------------------ */

static bool code_at(const struct bus *b, uint64_t page)
{
	return __atomic_load_n(&b->code[page / 64], __ATOMIC_RELAXED) >> (page % 64) & 1;
}

void bus_mark_code(struct bus *b, uint64_t addr, bool code)
{
	uint64_t page = addr >> PAGE_SHIFT, bit = (uint64_t)1 << (page % 64);

	if (!b->code || addr >> CODE_BITS)
		return;
	if (code)
		__atomic_fetch_or(&b->code[page / 64], bit, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&b->code[page / 64], ~bit, __ATOMIC_SEQ_CST);
}

/* Plain memory in [addr, addr+len) was stored into: tell whoever keeps translations of it. */
static void written(struct bus *b, uint64_t addr, size_t len)
{
	for (uint64_t end = addr + len; addr < end;) {
		uint64_t next = MIN((addr | (PAGE - 1)) + 1, end);

		if (code_at(b, addr >> PAGE_SHIFT))
			for (unsigned i = 0; i < b->listeners; i++)
				if (b->listener[i].code_written)
					b->listener[i].code_written(b->listener[i].owner, addr, next - addr);
		addr = next;
	}
}

void bus_listen(struct bus *b, const struct bus_listener *l)
{
	assert(b->listeners < LISTENERS_MAX);
	b->listener[b->listeners++] = *l;
}

/* --- accesses -------------------------------------------------------------------------------------------------- */

/* One byte or a whole access that lies within one window or one segment. */
static bool read_within(struct bus *b, uint64_t addr, unsigned size, uint64_t *value)
{
	const struct window *w = window_at(b, addr);
	const struct segment *s;

	if (w) {
		if (w->last - addr < size - 1)
			return false;
		*value = io_read(w->ops, w->dev, addr - w->first, size);
		return true;
	}
	s = segment_at(b, addr);
	if (s && s->last - addr >= size - 1 && !(size > 1 && window_at(b, addr + size - 1))) {
		*value = 0;
		memcpy(value, s->host + (addr - s->first), size);
		return true;
	}
	*value = ones(size);
	/* nothing here: nothing at the last byte either, in all cases but those worth a second look */
	return size == 1;
}

uint64_t bus_read(struct bus *b, uint64_t addr, unsigned size)
{
	uint64_t value = 0, byte;

	if (read_within(b, addr, size, &value))
		return value;
	value = 0;
	for (unsigned i = 0; i < size; i++) {
		read_within(b, addr + i, 1, &byte);
		value |= (byte & 0xff) << (8 * i);
	}
	return value;
}

static bool write_within(struct bus *b, uint64_t addr, uint64_t value, unsigned size)
{
	const struct window *w = window_at(b, addr);
	const struct segment *s;

	if (w) {
		if (w->last - addr < size - 1)
			return false;
		io_write(w->ops, w->dev, addr - w->first, value, size);
		return true;
	}
	s = segment_at(b, addr);
	if (s && s->last - addr >= size - 1 && !(size > 1 && window_at(b, addr + size - 1))) {
		if (s->kind == BUS_RAM) {
			memcpy(s->host + (addr - s->first), &value, size);
			written(b, addr, size);
		}
		return true;
	}
	return size == 1;
}

void bus_write(struct bus *b, uint64_t addr, uint64_t value, unsigned size)
{
	if (write_within(b, addr, value, size))
		return;
	for (unsigned i = 0; i < size; i++)
		write_within(b, addr + i, value >> (8 * i) & 0xff, 1);
}

bool bus_doorbell(struct bus *b, uint64_t addr, uint64_t value, unsigned size)
{
	struct window w;

	if (!b->view)
		return false;
	for (;;) {
		unsigned version = __atomic_load_n(&b->version, __ATOMIC_ACQUIRE);
		const struct view *v = &b->view[version & 1];
		unsigned count = MIN(v->windows, (unsigned)WINDOWS_MAX), i = FIND_FROM(v->window, count, addr);
		bool found = i < count && v->window[i].first <= addr;

		if (found)
			w = v->window[i];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&b->version, __ATOMIC_RELAXED) != version)
			continue;
		if (!found || !w.ops->doorbell || w.last - addr < size - 1)
			return false;
		return w.ops->doorbell(w.dev, addr - w.first, value & ones(size), size);
	}
}

/* --- bus masters ----------------------------------------------------------------------------------------------- */

/* One byte that is not plain memory: a window that takes DMA, or memory in a page that a window shares. */
static bool dma_byte(struct bus *b, uint64_t addr, uint8_t *byte, bool write)
{
	const struct window *w = window_at(b, addr);

	if (w && !w->ops->dma) {
		log_guest("bus", "DMA onto the registers of %s at 0x%" PRIx64 " refused", w->name, addr);
		return false;
	}
	if (!w && !segment_at(b, addr)) {
		log_guest("bus", "DMA to 0x%" PRIx64 ", where nothing is", addr);
		return false;
	}
	if (write)
		bus_write(b, addr, *byte, 1);
	else
		*byte = (uint8_t)bus_read(b, addr, 1);
	return true;
}

/* Stretches where nothing is are skipped as a whole, so that a long transfer to nowhere costs little. */
static size_t hole(struct bus *b, uint64_t addr, size_t len)
{
	uint64_t end = addr + (len - 1);
	unsigned w = FIND_FROM(b->window, b->windows, addr), s = FIND_FROM(b->segment, b->segments, addr);

	if (w < b->windows && b->window[w].first <= end)
		end = b->window[w].first - 1;
	if (s < b->segments && b->segment[s].first <= end)
		end = b->segment[s].first - 1;
	return (size_t)(end - addr) + 1;
}

static bool dma_slow(struct bus *b, uint64_t *addr, uint8_t **buf, size_t *len, bool write)
{
	bool present = window_at(b, *addr) || segment_at(b, *addr);
	size_t n = present ? MIN(*len, PAGE - (*addr & (PAGE - 1))) : hole(b, *addr, *len);
	bool ok = present;

	if (!present) {
		log_guest("bus", "DMA to 0x%" PRIx64 ", where nothing is", *addr);
		if (!write)
			memset(*buf, 0xff, n);
	}
	for (size_t i = 0; present && i < n; i++) {
		if (dma_byte(b, *addr + i, *buf + i, write))
			continue;
		if (!write)
			(*buf)[i] = 0xff;
		ok = false;
	}
	*addr += n;
	*buf += n;
	*len -= n;
	return ok;
}

bool dma_read(struct bus *b, uint64_t addr, void *to, size_t len)
{
	uint8_t *buf = to;
	bool ok = true;

	if (addr + len < addr) {
		memset(to, 0xff, len);
		return false;
	}
	while (len) {
		struct segment s;
		size_t n;

		if (!plain_at(b, addr, &s)) {
			ok &= dma_slow(b, &addr, &buf, &len, false);
			continue;
		}
		n = (size_t)MIN((uint64_t)len - 1, s.last - addr) + 1;
		memcpy(buf, s.host + (addr - s.first), n);
		addr += n;
		buf += n;
		len -= n;
	}
	return ok;
}

bool dma_write(struct bus *b, uint64_t addr, const void *from, size_t len)
{
	uint8_t *buf = (uint8_t *)from; /* dma_slow only reads it when it writes the bus */
	bool ok = true;

	if (addr + len < addr)
		return false;
	while (len) {
		struct segment s;
		size_t n;

		if (!plain_at(b, addr, &s)) {
			ok &= dma_slow(b, &addr, &buf, &len, true);
			continue;
		}
		n = (size_t)MIN((uint64_t)len - 1, s.last - addr) + 1;
		if (s.kind == BUS_RAM) {
			memcpy(s.host + (addr - s.first), buf, n);
			written(b, addr, n);
		} else {
			ok = false;
		}
		addr += n;
		buf += n;
		len -= n;
	}
	return ok;
}

size_t dma_map(struct bus *b, uint64_t addr, size_t len, struct iovec *iov, size_t max)
{
	size_t count = 0;

	if (addr + len < addr)
		return 0;
	while (len) {
		struct segment s;
		uint8_t *host;
		size_t n;

		if (!plain_at(b, addr, &s) || s.kind != BUS_RAM)
			return 0;
		host = s.host + (addr - s.first);
		n = (size_t)MIN((uint64_t)len - 1, s.last - addr) + 1;
		if (count && (uint8_t *)iov[count - 1].iov_base + iov[count - 1].iov_len == host) {
			iov[count - 1].iov_len += n;
		} else {
			if (count == max)
				return 0;
			iov[count++] = (struct iovec){ host, n };
		}
		addr += n;
		len -= n;
	}
	return count;
}

void dma_dirty(struct bus *b, uint64_t addr, size_t len)
{
	if (len && addr + len > addr && (addr + len - 1) >> CODE_BITS == 0)
		written(b, addr, len);
}

/* --- info mtree ------------------------------------------------------------------------------------------------ */

void bus_print(struct bus *b, void (*out)(void *to, const char *line), void *to)
{
	int digits = b->kind == BUS_PORTS ? 4 : 16;
	unsigned w = 0, s = 0;
	char line[160];

	while (w < b->windows || s < b->segments) {
		if (s == b->segments || (w < b->windows && b->window[w].first <= b->segment[s].first)) {
			const struct window *p = &b->window[w++];

			snprintf(line, sizeof(line), "  %0*" PRIx64 "-%0*" PRIx64 " (i/o): %s", digits, p->first, digits,
				 p->last, p->name);
		} else {
			const struct segment *p = &b->segment[s++];

			snprintf(line, sizeof(line), "  %0*" PRIx64 "-%0*" PRIx64 " (%s): %s", digits, p->first, digits,
				 p->last, p->kind == BUS_RAM ? "ram" : "rom", p->name);
		}
		out(to, line);
	}
}
