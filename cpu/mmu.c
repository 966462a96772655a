/* SPDX-License-Identifier: MIT */
/*
 * Memory as one processor reaches it: physical memory, RAM or devices; accesses by linear address, through the TLBs
 * (tlb.c) or, where those have nothing, the page tables (walk.c); fetches of code.
 */
#include "cpu/mmu.h"

#include "cpu/code.h"
#include "cpu/interp/interp.h"
#include "cpu/seg.h"
#include "cpu/walk.h"

/* --- physical memory -------------------------------------------------------------------------------------------- */

void outside_begin(struct cpu *c)
{
	if (c->xe.fpu)
		xlat_save_vector(c);
	atomic_store(&c->in_guest, false);
}

void outside_end(struct cpu *c)
{
	atomic_store(&c->in_guest, true);
	if (atomic_load(&c->events) & EV_WORK)
		code_do_work(c);
}

uint8_t *phys_page(struct cpu *c, uint64_t gpa, bool *writable)
{
	uint64_t page = PAGE_OF(gpa);
	unsigned slot = (unsigned)(page >> 12) % ARRAY_SIZE(c->phys);
	struct cpu_page p = { NULL, false };

	if (!c->phys[slot].valid || c->phys[slot].gpa != page) {
		if (c->xe.fpu)
			xlat_save_vector(c);
		if (lapic_covers(&c->apic, page) || !c->all->ops->page(c->all->owner, page, &p))
			p.host = NULL;
		c->phys[slot].gpa = page;
		c->phys[slot].host = p.host;
		c->phys[slot].writable = p.host && p.writable;
		c->phys[slot].valid = true;
	}
	if (writable)
		*writable = c->phys[slot].writable;
	return c->phys[slot].host;
}

static uint64_t device_read(struct cpu *c, uint64_t gpa, unsigned size)
{
	uint64_t v;

	if (lapic_covers(&c->apic, gpa))
		return lapic_mmio_read(&c->apic, (uint32_t)gpa & 0xfff, size);
	outside_begin(c);
	v = c->all->ops->mem_read(c->all->owner, gpa, size);
	outside_end(c);
	return v;
}

void phys_write_device(struct cpu *c, uint64_t gpa, uint64_t v, unsigned size)
{
	if (lapic_covers(&c->apic, gpa)) {
		lapic_mmio_write(&c->apic, (uint32_t)gpa & 0xfff, v, size);
		return;
	}
	outside_begin(c);
	c->all->ops->mem_write(c->all->owner, gpa, v, size);
	outside_end(c);
}

static uint64_t host_read(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1: return *p;
	case 2: return le16(p);
	case 4: return le32(p);
	default: return le64(p);
	}
}

static void host_write(uint8_t *p, uint64_t v, unsigned size)
{
	switch (size) {
	case 1: *p = (uint8_t)v; break;
	case 2: put_le16(p, (uint16_t)v); break;
	case 4: put_le32(p, (uint32_t)v); break;
	default: put_le64(p, v); break;
	}
}

uint64_t phys_read(struct cpu *c, uint64_t gpa, unsigned size)
{
	uint8_t *host;

	gpa &= c->all->a20_mask;
	host = phys_page(c, gpa, NULL);
	return host ? host_read(host + (gpa & 0xfff), size) : device_read(c, gpa, size);
}

void phys_write(struct cpu *c, uint64_t gpa, uint64_t v, unsigned size)
{
	bool writable;
	uint8_t *host;

	gpa &= c->all->a20_mask;
	host = phys_page(c, gpa, &writable);
	if (!host || !writable) {
		phys_write_device(c, gpa, v, size);
		return;
	}
	host_write(host + (gpa & 0xfff), v, size);
	code_stored(c, gpa, size);
}

/* --- TLB misses ------------------------------------------------------------------------------------------------- */

static unsigned tlb_index(const struct cpu *c)
{
	if (c->s.cpl == 3)
		return TLB_USER;
	return c->s.cr4 & CR4_SMAP && !(c->s.flags & FLAG_AC) ? TLB_SMAP : TLB_KERNEL;
}

static bool alignment_checked(const struct cpu *c)
{
	return c->s.cpl == 3 && c->s.cr0 & CR0_AM && c->s.flags & FLAG_AC;
}

void mmu_select_tlb(struct cpu *c)
{
	unsigned index = tlb_index(c);

	if (alignment_checked(c) || c->watch)
		index = TLB_NEVER;
	c->tlb = &c->tlbs[index];
}

/*
 * Where a data access goes that stays within one page: host address, NULL for a device (and for a store to ROM); the
 * guest-physical address in *gpa.  Faults if it is not permitted.
 */
static uint8_t *translate(struct cpu *c, uint64_t linear, enum access kind, uint64_t *gpa)
{
	unsigned index = tlb_index(c), slot = (unsigned)(linear >> 12) & (TLB_SIZE - 1);
	bool write = kind == ACC_WRITE, ram;
	const struct tlb_page *page = &c->tlbs[index].page[write][slot];
	struct walk w;
	uint8_t *host;
	int err;

	if (page->linear == PAGE_OF(linear)) {
		*gpa = PAGE_OF(page->gpa) | (linear & 0xfff);
		return c->tlbs[index].e[write][slot].host + (linear & 0xfff);
	}
	err = mmu_walk(c, linear, kind, index == TLB_USER, index == TLB_SMAP, &w);
	if (err >= 0)
		fault_page(c, linear, (uint32_t)err);
	*gpa = w.gpa;
	host = phys_page(c, w.gpa, &ram);
	if (!host || (write && !ram))
		return NULL;
	if (c->s.cr0 & CR0_PG || linear <= UINT32_MAX)
		tlb_enter(c, index, linear, &w, host, ram, write);
	return host + (linear & 0xfff);
}

bool tlb_fill(struct cpu *c, uint64_t linear, bool write)
{
	unsigned index = tlb_index(c);
	struct tlb_entry *e;
	struct walk w;
	uint8_t *host;
	bool ram;

	c->xe.fill_error = -1;
	if (long_mode(c) && !canonical(linear))         /* the walk does not see the upper bits */
		return false;
	c->xe.fill_error = mmu_walk(c, linear, write ? ACC_WRITE : ACC_READ, index == TLB_USER, index == TLB_SMAP, &w);
	if (c->xe.fill_error >= 0)
		return false;
	host = phys_page(c, w.gpa, &ram);
	if (!host || (write && !ram) || !(c->s.cr0 & CR0_PG || linear <= UINT32_MAX))
		return false;
	e = tlb_enter(c, index, linear, &w, host, ram, write);
	return e->tag == PAGE_OF(linear);
}

/* Data breakpoints and alignment, for accesses that come here because of TLB_NEVER. */
static void look_at(struct cpu *c, uint64_t linear, unsigned size, enum access kind, bool natural)
{
	if (c->tlb != &c->tlbs[TLB_NEVER])
		return;
	if (natural && alignment_checked(c) && linear & (size - 1))
		fault(c, VEC_AC, 0);
	if (c->watch)
		debug_watch(c, linear, size, kind == ACC_WRITE);
}

static uint64_t ld_slow(struct cpu *c, uint64_t linear, unsigned size)
{
	unsigned first = 4096 - (unsigned)(linear & 0xfff);
	uint64_t gpa, gpa2, v = 0;
	uint8_t *host, *host2;
	unsigned k;

	look_at(c, linear, size, ACC_READ, true);
	host = translate(c, linear, ACC_READ, &gpa);
	if (first >= size)
		return host ? host_read(host, size) : device_read(c, gpa, size);
	host2 = translate(c, (linear + first) & c->linear_mask, ACC_READ, &gpa2);
	host = translate(c, linear, ACC_READ, &gpa);
	for (k = 0; k < size; k++) {
		bool second = k >= first;
		uint8_t *h = second ? host2 : host;
		unsigned at = second ? k - first : k;

		v |= (uint64_t)(h ? h[at] : (uint8_t)device_read(c, (second ? gpa2 : gpa) + at, 1)) << (8 * k);
	}
	return v;
}

static void st_slow(struct cpu *c, uint64_t linear, uint64_t v, unsigned size)
{
	unsigned first = 4096 - (unsigned)(linear & 0xfff);
	uint64_t gpa, gpa2;
	uint8_t *host, *host2;
	unsigned k;

	look_at(c, linear, size, ACC_WRITE, true);
	if (first >= size) {
		host = translate(c, linear, ACC_WRITE, &gpa);
		if (host) {
			host_write(host, v, size);
			code_stored(c, gpa, size);
		} else {
			phys_write_device(c, gpa, v, size);
		}
		return;
	}
	translate(c, linear, ACC_WRITE, &gpa);
	host2 = translate(c, (linear + first) & c->linear_mask, ACC_WRITE, &gpa2);
	host = translate(c, linear, ACC_WRITE, &gpa);
	for (k = 0; k < size; k++, v >>= 8) {
		bool second = k >= first;
		uint8_t *h = second ? host2 : host;
		unsigned at = second ? k - first : k;

		if (h)
			h[at] = (uint8_t)v;
		else
			phys_write_device(c, (second ? gpa2 : gpa) + at, (uint8_t)v, 1);
	}
	if (host)
		code_stored(c, gpa, first);
	if (host2)
		code_stored(c, gpa2, size - first);
}

/* --- access by the running privilege ---------------------------------------------------------------------------- */

#define LD(name, type, size) \
type name(struct cpu *c, uint64_t linear) \
{ \
	const struct tlb_entry *e = &c->tlb->e[TLB_READ][linear >> 12 & (TLB_SIZE - 1)]; \
	uint64_t offset = linear - e->tag; \
	type v; \
\
	if (__builtin_expect(offset > 4096 - (size), 0)) \
		return (type)ld_slow(c, linear, (size)); \
	memcpy(&v, e->host + offset, sizeof(v)); \
	return v; \
}
#define ST(name, type, size) \
void name(struct cpu *c, uint64_t linear, type v) \
{ \
	const struct tlb_entry *e = &c->tlb->e[TLB_WRITE][linear >> 12 & (TLB_SIZE - 1)]; \
	uint64_t offset = linear - e->tag; \
\
	if (__builtin_expect(offset > 4096 - (size), 0)) \
		st_slow(c, linear, v, (size)); \
	else \
		memcpy(e->host + offset, &v, sizeof(v)); \
}
LD(ld8, uint8_t, 1)
LD(ld16, uint16_t, 2)
LD(ld32, uint32_t, 4)
LD(ld64, uint64_t, 8)
ST(st8, uint8_t, 1)
ST(st16, uint16_t, 2)
ST(st32, uint32_t, 4)
ST(st64, uint64_t, 8)

uint8_t *ld_host(struct cpu *c, uint64_t linear, unsigned len)
{
	const struct tlb_entry *e = &c->tlb->e[TLB_READ][linear >> 12 & (TLB_SIZE - 1)];
	uint64_t offset = linear - e->tag, gpa;

	if (offset <= 4096 - (uint64_t)len)
		return e->host + offset;
	if ((linear & 0xfff) + len > 4096)
		return NULL;
	look_at(c, linear, len, ACC_READ, false);
	return translate(c, linear, ACC_READ, &gpa);
}

uint8_t *st_host(struct cpu *c, uint64_t linear, unsigned len)
{
	const struct tlb_entry *e = &c->tlb->e[TLB_WRITE][linear >> 12 & (TLB_SIZE - 1)];
	uint64_t offset = linear - e->tag, gpa;
	uint8_t *host;

	if (offset <= 4096 - (uint64_t)len)
		return e->host + offset;
	if ((linear & 0xfff) + len > 4096)
		return NULL;
	look_at(c, linear, len, ACC_WRITE, false);
	host = translate(c, linear, ACC_WRITE, &gpa);
	return host && code_page_is_clean(c, gpa) ? host : NULL;
}

/* The part of [linear, linear+len) in its first page. */
static unsigned first_part(uint64_t linear, unsigned len)
{
	unsigned room = 4096 - (unsigned)(linear & 0xfff);

	return MIN(room, len);
}

static void check(struct cpu *c, uint64_t linear, unsigned len, enum access kind)
{
	unsigned first = first_part(linear, len);
	uint64_t gpa;

	translate(c, linear, kind, &gpa);
	if (first < len)
		translate(c, (linear + first) & c->linear_mask, kind, &gpa);
}

void probe_read(struct cpu *c, uint64_t linear, unsigned len)
{
	check(c, linear, len, ACC_READ);
}

void probe_write(struct cpu *c, uint64_t linear, unsigned len)
{
	check(c, linear, len, ACC_WRITE);
}

void ld_bytes(struct cpu *c, uint64_t linear, void *buf, unsigned len)
{
	uint8_t *to = buf, *host;
	uint64_t gpa;
	unsigned n, k;

	look_at(c, linear, len, ACC_READ, false);
	check(c, linear, len, ACC_READ);
	for (; len; len -= n, to += n, linear = (linear + n) & c->linear_mask) {
		n = first_part(linear, len);
		host = translate(c, linear, ACC_READ, &gpa);
		if (host)
			memcpy(to, host, n);
		else
			for (k = 0; k < n; k++)
				to[k] = (uint8_t)device_read(c, gpa + k, 1);
	}
}

void st_bytes(struct cpu *c, uint64_t linear, const void *buf, unsigned len)
{
	const uint8_t *from = buf;
	uint8_t *host;
	uint64_t gpa;
	unsigned n, k;

	look_at(c, linear, len, ACC_WRITE, false);
	check(c, linear, len, ACC_WRITE);
	for (; len; len -= n, from += n, linear = (linear + n) & c->linear_mask) {
		n = first_part(linear, len);
		host = translate(c, linear, ACC_WRITE, &gpa);
		if (host) {
			memcpy(host, from, n);
			code_stored(c, gpa, n);
			continue;
		}
		for (k = 0; k + 8 <= n && !((gpa + k) & 7); k += 8)
			phys_write_device(c, gpa + k, le64(from + k), 8);
		for (; k < n; k++)
			phys_write_device(c, gpa + k, from[k], 1);
	}
}

/* --- implicit supervisor accesses ------------------------------------------------------------------------------- */

/* Descriptor tables and task state: as supervisor whatever the CPL, SMAP whatever AC is at CPL 3. */
static uint8_t *translate_system(struct cpu *c, uint64_t linear, enum access kind, uint64_t *gpa)
{
	bool smap = c->s.cr4 & CR4_SMAP && (c->s.cpl == 3 || !(c->s.flags & FLAG_AC)), ram;
	unsigned index = smap ? TLB_SMAP : TLB_KERNEL;
	unsigned slot = (unsigned)(linear >> 12) & (TLB_SIZE - 1);
	const struct tlb_page *page = &c->tlbs[index].page[kind == ACC_WRITE][slot];
	struct walk w;
	uint8_t *host;
	int err;

	if (page->linear == PAGE_OF(linear)) {
		*gpa = PAGE_OF(page->gpa) | (linear & 0xfff);
		return c->tlbs[index].e[kind == ACC_WRITE][slot].host + (linear & 0xfff);
	}
	err = mmu_walk(c, linear, kind, false, smap, &w);
	if (err >= 0)
		fault_page(c, linear, (uint32_t)err);
	*gpa = w.gpa;
	host = phys_page(c, w.gpa, &ram);
	if (!host || (kind == ACC_WRITE && !ram))
		return NULL;
	return host + (linear & 0xfff);
}

uint64_t ld_system(struct cpu *c, uint64_t linear, unsigned size)
{
	uint64_t v = 0, gpa;
	uint8_t *host;
	unsigned k;

	linear &= c->linear_mask;
	if ((linear & 0xfff) + size <= 4096) {
		host = translate_system(c, linear, ACC_READ, &gpa);
		return host ? host_read(host, size) : device_read(c, gpa, size);
	}
	for (k = 0; k < size; k++)
		v |= ld_system(c, linear + k, 1) << (8 * k);
	return v;
}

void st_system(struct cpu *c, uint64_t linear, uint64_t v, unsigned size)
{
	uint64_t gpa;
	uint8_t *host;
	unsigned k;

	linear &= c->linear_mask;
	host = translate_system(c, linear, ACC_WRITE, &gpa);
	if ((linear & 0xfff) + size <= 4096) {
		if (host) {
			host_write(host, v, size);
			code_stored(c, gpa, size);
		} else {
			phys_write_device(c, gpa, v, size);
		}
		return;
	}
	translate_system(c, (linear + size - 1) & c->linear_mask, ACC_WRITE, &gpa);
	for (k = 0; k < size; k++)
		st_system(c, linear + k, v >> (8 * k) & 0xff, 1);
}

/* --- code ------------------------------------------------------------------------------------------------------- */

void fetch_page(struct cpu *c, uint64_t linear, uint64_t *gpa, uint8_t **host)
{
	bool user = c->s.cpl == 3;
	unsigned slot = (unsigned)(linear >> 12) % ARRAY_SIZE(c->itlb[0]);
	struct walk w;
	int err;

	if (c->itlb[user][slot].page != (PAGE_OF(linear) | c->space->number)) {
		err = mmu_walk(c, linear, ACC_EXEC, user, false, &w);
		if (err >= 0)
			fault_page(c, linear, (uint32_t)err);
		c->itlb[user][slot].page = PAGE_OF(linear) | c->space->number;
		c->itlb[user][slot].gpa = PAGE_OF(w.gpa);
		c->itlb[user][slot].host = phys_page(c, w.gpa, NULL);
		if (w.shift > 12)
			mmu_fetched_large(c, linear);
		if (c->x)
			xlat_fetched(c, linear, PAGE_OF(w.gpa), w.global, w.shift > 12);
	}
	*gpa = c->itlb[user][slot].gpa;
	*host = c->itlb[user][slot].host;
}

bool code_is_at(struct cpu *c, uint64_t linear, bool user, uint64_t gpa)
{
	struct walk w;

	return mmu_walk(c, linear, ACC_EXEC, user, false, &w) < 0 && PAGE_OF(w.gpa) == gpa;
}

uint8_t fetch_byte_slow(struct cpu *c, uint64_t gpa)
{
	return (uint8_t)device_read(c, gpa, 1);
}

