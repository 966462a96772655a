/* SPDX-License-Identifier: MIT */
/*
 * The cache of decoded blocks and its upkeep.
 *
 * Blocks are private to a processor.  A store to a page with code (its own, another processor's, a bus master's) drops the
 * blocks whose bytes it hits: at once in the storing processor's cache, by posted work in the others'.  Granules of 64 bytes
 * tell quickly of most stores that they hit none.
 * That is as x86 has it: a processor sees its own stores to code at the next instruction (the running block is left after
 * the store), those of others once it has synchronised with them, and posted work is done before a processor takes an
 * interrupt and whenever it returns from a device.
 *
 * When the first code of a page is decoded, write tags for it may be in other processors' TLBs.  They are taken off before
 * a byte is decoded: the decoder posts that work and waits for those who are running guest code.
 */
#include "cpu/code.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "cpu/mmu.h"

enum {
	ARENA_BYTES = 32 << 20,
	ARENA_BESIDE = 8 << 20,         /* where the translator has memory of its own */
	HASH_BITS = 17, PAGE_HASH_BITS = 10,
	PAGES = 16384,                  /* pages of RAM with code of one processor */
	IDLE_STORES = 32,               /* a page without blocks is given up after so many */
};

struct code_page {
	uint64_t page;
	uint64_t granules;
	struct block *blocks;           /* linked through page_next[]: [1] for blocks whose page2 this is */
	unsigned idle;                  /* stores since it had a block */
	struct code_page *next;         /* in the hash, or free */
};

struct code_cache {
	uint8_t *arena;
	size_t size, used;
	bool stale;                     /* everything was dropped while a block ran: flush before decoding more */
	struct block *hash[1 << HASH_BITS];
	struct code_page *page_hash[1 << PAGE_HASH_BITS], *free_pages;
	struct code_page pages[PAGES];
};

static void lock(atomic_flag *l)
{
	while (atomic_flag_test_and_set_explicit(l, memory_order_acquire))
		__builtin_ia32_pause();
}

static void unlock(atomic_flag *l)
{
	atomic_flag_clear_explicit(l, memory_order_release);
}

bool code_share_init(struct cpus *s)
{
	s->code_by = calloc(CODE_PAGES, sizeof(*s->code_by));
	s->write_tag_by = calloc(CODE_PAGES, sizeof(*s->write_tag_by));
	s->code_granules = calloc(CODE_PAGES, sizeof(*s->code_granules));
	return s->code_by && s->write_tag_by && s->code_granules;
}

void code_share_free(struct cpus *s)
{
	free((void *)s->code_by);
	free((void *)s->write_tag_by);
	free((void *)s->code_granules);
}

static void free_all_pages(struct code_cache *k)
{
	size_t n;

	memset(k->page_hash, 0, sizeof(k->page_hash));
	k->free_pages = NULL;
	for (n = PAGES; n-- > 0;) {
		k->pages[n].next = k->free_pages;
		k->free_pages = &k->pages[n];
	}
}

struct code_cache *code_new(bool translator)
{
	struct code_cache *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->size = translator ? ARENA_BESIDE : ARENA_BYTES;
	k->arena = malloc(k->size);
	if (!k->arena) {
		free(k);
		return NULL;
	}
	free_all_pages(k);
	return k;
}

void code_free(struct code_cache *k)
{
	if (!k)
		return;
	free(k->arena);
	free(k);
}

void *code_alloc(struct cpu *c, size_t size)
{
	struct code_cache *k = c->code;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (size > k->size - k->used)
		return NULL;
	p = k->arena + k->used;
	k->used += size;
	return p;
}

void code_unalloc(struct cpu *c, void *mark)
{
	c->code->used = (size_t)((uint8_t *)mark - c->code->arena);
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

static struct code_page **page_bucket(struct code_cache *k, uint64_t page)
{
	return &k->page_hash[page >> 12 & ((1 << PAGE_HASH_BITS) - 1)];
}

static struct code_page *find_page(struct code_cache *k, uint64_t page)
{
	struct code_page *p = *page_bucket(k, page);

	while (p && p->page != page)
		p = p->next;
	return p;
}

/* c has no more code of this page. */
static void unmark(struct cpu *c, uint64_t page)
{
	struct cpus *s = c->all;
	size_t at = code_index(page);
	bool last;

	lock(&s->code_lock);
	last = atomic_fetch_and(&s->code_by[at], (uint8_t)~(1u << c->index)) == 1u << c->index;
	if (last)
		atomic_store(&s->code_granules[at], 0);
	unlock(&s->code_lock);
	if (last) {
		/*
		 * Not outside_end: it would do work that others have posted, and whoever called us is in the middle of
		 * dropping code.  The work stays posted, and EV_WORK ends the block.
		 */
		outside_begin(c);
		s->ops->mark_code(s->owner, page, false);
		atomic_store(&c->in_guest, true);
	}
}

/* Returns a ticket: the work is done once to->work.done has reached it. */
static uint32_t post(struct cpu *to, uint64_t gpa, unsigned len, bool untag)
{
	struct cpu_work *w = &to->work;
	uint32_t ticket;

	lock(&w->lock);
	ticket = ++w->posted;
	if (w->count == ARRAY_SIZE(w->item)) {
		w->all_code = w->all_tlb = true;
	} else {
		w->item[w->count].gpa = gpa;
		w->item[w->count].len = len;
		w->item[w->count++].untag = untag;
	}
	unlock(&w->lock);
	cpu_event(to, EV_WORK);
	return ticket;
}

void code_mark(struct cpu *c, uint64_t page)
{
	struct cpus *s = c->all;
	size_t at = code_index(page);
	uint8_t me = (uint8_t)(1u << c->index), old, tagged;
	uint32_t ticket;
	unsigned k;

	if (atomic_load(&s->code_by[at]) & me)
		return;
	lock(&s->code_lock);
	old = atomic_fetch_or(&s->code_by[at], me);
	unlock(&s->code_lock);
	if (old)
		return;
	tagged = atomic_load(&s->write_tag_by[at]);
	if (tagged & me) {
		tlb_untag(c, page);
		atomic_fetch_and(&s->write_tag_by[at], (uint8_t)~me);
	}
	outside_begin(c);
	s->ops->mark_code(s->owner, page, true);
	for (k = 0; k < s->count; k++) {
		if (k == c->index || !(tagged & 1u << k))
			continue;
		ticket = post(s->cpu[k], page, 4096, true);
		while (atomic_load(&s->cpu[k]->in_guest) && (int32_t)(atomic_load(&s->cpu[k]->work.done) - ticket) < 0)
			__builtin_ia32_pause();
	}
	outside_end(c);
}

/* The granules that [gpa, gpa+len) touches, as bits. */
static uint64_t granules_of(uint64_t gpa, unsigned len)
{
	unsigned first = gpa >> 6 & 63, last = (unsigned)(gpa + len - 1) >> 6 & 63;

	return (~0ull >> (63 - (last - first))) << first;
}

void code_note(struct cpu *c, uint64_t gpa, unsigned len)
{
	atomic_fetch_or(&c->all->code_granules[code_index(gpa)], granules_of(gpa, len));
}

void code_note_granules(struct cpu *c, uint64_t page, uint64_t granules)
{
	if (granules)
		atomic_fetch_or(&c->all->code_granules[code_index(page)], granules);
}

/* --- blocks ----------------------------------------------------------------------------------------------------- */

static struct block **bucket(struct code_cache *k, uint64_t gpa, uint32_t key)
{
	uint64_t h = (gpa ^ (uint64_t)key << 40) * 0x9e3779b97f4a7c15ull;

	return &k->hash[h >> (64 - HASH_BITS)];
}

struct block *code_find(struct cpu *c, uint64_t gpa, uint32_t key)
{
	struct block *b = *bucket(c->code, gpa, key);

	while (b && (b->gpa != gpa || b->key != key))
		b = b->hash_next;
	return b;
}

struct block *code_find_at(struct cpu *c, uint64_t gpa, uint32_t key, uint64_t rip)
{
	struct block *b = *bucket(c->code, gpa, key);

	while (b && (b->gpa != gpa || b->key != key || b->rip != rip))
		b = b->hash_next;
	return b;
}

/* The part of b on page number n of its pages. */
static uint64_t block_granules(const struct block *b, unsigned n)
{
	unsigned room = 4096 - (unsigned)(b->gpa & 0xfff);

	if (b->page2 == NO_PAGE)
		return granules_of(b->gpa, b->bytes) | b->looked;
	return n ? granules_of(b->page2, b->bytes - room) : granules_of(b->gpa, room);
}

/* Which of b's pages that is. */
static unsigned page_index(const struct block *b, uint64_t page)
{
	return b->page2 == page && (b->gpa & ~0xfffull) != page;
}

static void link_page(struct cpu *c, struct block *b, unsigned n)
{
	struct code_cache *k = c->code;
	uint64_t page = n ? b->page2 : b->gpa & ~0xfffull;
	struct code_page *p = find_page(k, page);

	if (!p) {
		p = k->free_pages;
		assert(p);              /* code_add saw to it */
		k->free_pages = p->next;
		p->page = page;
		p->granules = 0;
		p->blocks = NULL;
		p->next = *page_bucket(k, page);
		*page_bucket(k, page) = p;
	}
	b->page_next[n] = p->blocks;
	if (p->blocks)
		p->blocks->page_at[page_index(p->blocks, page)] = &b->page_next[n];
	b->page_at[n] = &p->blocks;
	p->idle = 0;
	p->blocks = b;
	p->granules |= block_granules(b, n);
}

/* Needs two free code pages: code_flush() otherwise. */
static bool pages_left(const struct code_cache *k)
{
	return k->free_pages && k->free_pages->next;
}

void code_add(struct cpu *c, struct block *b)
{
	struct block **at = bucket(c->code, b->gpa, b->key);

	assert(pages_left(c->code));
	b->valid = true;
	b->hash_next = *at;
	*at = b;
	link_page(c, b, 0);
	if (b->page2 != NO_PAGE)
		link_page(c, b, 1);
}

static void unlink_hash(struct code_cache *k, struct block *b)
{
	struct block **at = bucket(k, b->gpa, b->key);

	while (*at != b)
		at = &(*at)->hash_next;
	*at = b->hash_next;
}

static void unlink_page(struct code_page *p, struct block *b)
{
	unsigned n = page_index(b, p->page);
	struct block *next = b->page_next[n];

	if (!b->page_at[n])
		return;
	*b->page_at[n] = next;
	if (next)
		next->page_at[page_index(next, p->page)] = b->page_at[n];
	b->page_at[n] = NULL;
}

static void free_page(struct cpu *c, struct code_page *p)
{
	struct code_page **at = page_bucket(c->code, p->page);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->next = c->code->free_pages;
	c->code->free_pages = p;
	unmark(c, p->page);
}

static void drop_block(struct cpu *c, struct block *b)
{
	struct code_page *p;

	b->valid = false;
	if (b->key & KEY_XLAT)
		xlat_drop(c, b);
	unlink_hash(c->code, b);
	p = find_page(c->code, b->gpa & ~0xfffull);
	if (p)
		unlink_page(p, b);
	if (b->page2 != NO_PAGE) {
		p = find_page(c->code, b->page2);
		if (p)
			unlink_page(p, b);
	}
	if (b == c->block)
		c->leave = true;
}

/* The page's granules stay as they are, too many perhaps: the next store that hits one settles them. */
void code_drop(struct cpu *c, struct block *b)
{
	struct code_page *p = find_page(c->code, b->gpa & ~0xfffull);
	struct code_page *second = b->page2 == NO_PAGE ? NULL : find_page(c->code, b->page2);

	drop_block(c, b);
	if (p && !p->blocks)
		free_page(c, p);
	if (second && second != p && !second->blocks)
		free_page(c, second);
}

/*
 * A store to a page whose blocks are all gone.  Code that is rewritten will soon be decoded again, so the page keeps its
 * mark for a while: giving write tags back and taking them off again is the dearer.
 */
static void store_to_idle(struct cpu *c, struct code_page *p)
{
	if (p && !p->blocks && ++p->idle > IDLE_STORES)
		free_page(c, p);
}

/* After blocks of p went: what remains, here and for all to see. */
static void settle_page(struct cpu *c, struct code_page *p)
{
	struct cpus *s = c->all;
	size_t at = code_index(p->page);
	struct block *b;

	p->granules = 0;
	for (b = p->blocks; b; b = b->page_next[page_index(b, p->page)])
		p->granules |= block_granules(b, page_index(b, p->page));
	lock(&s->code_lock);
	if (atomic_load(&s->code_by[at]) == 1u << c->index)
		atomic_store(&s->code_granules[at], p->granules);
	unlock(&s->code_lock);
}

/* Drop b, of p's blocks; what it had on another page is settled at once. */
static void drop_from(struct cpu *c, struct code_page *p, struct block *b)
{
	uint64_t first = b->gpa & ~0xfffull, second = b->page2;
	struct code_page *other;

	drop_block(c, b);
	if (second == NO_PAGE)
		return;
	other = find_page(c->code, first == p->page ? second : first);
	if (other && other != p)
		settle_page(c, other);
}

/* Whether [gpa, gpa+len) holds bytes of b that lie on page number n of its pages, or what it was only looked at for. */
static bool overlaps(const struct block *b, unsigned n, uint64_t gpa, unsigned len)
{
	unsigned room = 4096 - (unsigned)(b->gpa & 0xfff);
	uint64_t from = n ? b->page2 : b->gpa, to;

	to = n ? b->page2 + b->bytes - room : b->page2 == NO_PAGE ? b->gpa + b->bytes : b->gpa + room;
	return (gpa < to && from < gpa + len) || (!n && b->looked & granules_of(gpa, len));
}

/* Drop the blocks that have bytes in [gpa, gpa+len), which lies in one page: programs keep variables beside their code. */
static void drop_stored(struct cpu *c, uint64_t gpa, unsigned len)
{
	uint64_t page = gpa & ~0xfffull, left = 0;
	struct code_page *p = find_page(c->code, page);
	struct block *b, *next;

	if (!p) {
		/* Marked, but the decoder has added no block yet: it will compare the bytes. */
		return;
	}
	if (!p->blocks) {
		store_to_idle(c, p);
		return;
	}
	for (b = p->blocks; b; b = next) {
		unsigned n = page_index(b, page);

		next = b->page_next[n];
		if (overlaps(b, n, gpa, len))
			drop_from(c, p, b);
		else
			left |= block_granules(b, n);
	}
	if (!(granules_of(gpa, len) & left))
		settle_page(c, p);
}

/* The memory map changed: drop the blocks whose page is other memory now. */
static void drop_moved(struct cpu *c)
{
	struct code_cache *k = c->code;
	struct code_page *p;
	size_t n;

	for (n = 0; n < ARRAY_SIZE(k->page_hash); n++)
		for (p = k->page_hash[n]; p; p = p->next) {
			const uint8_t *host = phys_page(c, p->page, NULL);
			struct block *b, *next;

			for (b = p->blocks; b; b = next) {
				next = b->page_next[page_index(b, p->page)];
				if (!host || b->page2 != NO_PAGE || b->code != host + (b->gpa & 0xfff))
					drop_from(c, p, b);
			}
			settle_page(c, p);
		}
	c->leave = true;
}

void code_stored_slow(struct cpu *c, uint64_t gpa, unsigned len)
{
	struct cpus *s = c->all;
	uint64_t granules = atomic_load(&s->code_granules[code_index(gpa)]), hit = granules_of(gpa, len) & granules;
	uint8_t by;
	unsigned k;

	if (!hit) {
		if (!granules)
			store_to_idle(c, find_page(c->code, gpa & ~0xfffull));
		return;
	}
	by = atomic_load(&s->code_by[code_index(gpa)]);
	for (k = 0; k < s->count; k++)
		if (k != c->index && by & 1u << k)
			post(s->cpu[k], gpa, len, false);
	if (by & 1u << c->index)
		drop_stored(c, gpa, len);
}

void cpus_code_written(struct cpus *s, uint64_t gpa, size_t len)
{
	uint64_t end = gpa + len, next;
	unsigned k;
	uint8_t by;

	for (; gpa < end; gpa = next) {
		next = MIN((gpa | 0xfff) + 1, end);
		if (!(atomic_load(&s->code_granules[code_index(gpa)]) & granules_of(gpa, (unsigned)(next - gpa))))
			continue;
		by = atomic_load(&s->code_by[code_index(gpa)]);
		for (k = 0; k < s->count; k++)
			if (by & 1u << k)
				post(s->cpu[k], gpa, (unsigned)(next - gpa), false);
	}
}

static void drop_everything(struct cpu *c)
{
	struct code_cache *k = c->code;
	struct code_page *p;
	size_t n;
	struct block *b;

	for (n = 0; n < PAGES; n++)     /* pages in use only: those on the free list have no blocks */
		for (b = k->pages[n].blocks; b; b = b->page_next[page_index(b, k->pages[n].page)])
			b->valid = false;
	memset(k->hash, 0, sizeof(k->hash));
	for (n = 0; n < ARRAY_SIZE(k->page_hash); n++)
		for (p = k->page_hash[n]; p; p = p->next) {
			p->blocks = NULL;
			unmark(c, p->page);
		}
	free_all_pages(k);
	if (c->x)
		xlat_reset(c);
	code_map_changed(c, false);
	c->leave = true;
	k->stale = true;
}

void code_flush(struct cpu *c)
{
	drop_everything(c);
	c->code->used = 0;
	c->code->stale = false;
}

static void free_idle_pages(struct cpu *c)
{
	struct code_cache *k = c->code;
	struct code_page *p, *next;
	size_t n;

	for (n = 0; n < ARRAY_SIZE(k->page_hash); n++)
		for (p = k->page_hash[n]; p; p = next) {
			next = p->next;
			if (!p->blocks)
				free_page(c, p);
		}
}

bool code_room(struct cpu *c)
{
	if (!pages_left(c->code))
		free_idle_pages(c);
	return !c->code->stale && pages_left(c->code) && c->code->size - c->code->used > 64 << 10;
}

void code_map_changed(struct cpu *c, bool keep_global)
{
	if (c->x)
		xlat_map_changed(c, keep_global);
	c->jump_generation += 1 << KEY_BITS;
	if (c->jump_generation == 0) {
		if (c->xe.fpu)
			xlat_save_vector(c);
		memset(c->jumps, 0, sizeof(c->jumps));
	}
	c->jump_tag = c->jump_generation | c->key;
}

/* --- work posted by others -------------------------------------------------------------------------------------- */

static void do_posted(struct cpu *c)
{
	struct cpu_work *w = &c->work;
	struct cpu_work todo;
	uint32_t ticket;
	unsigned k;

	atomic_fetch_and(&c->events, ~(unsigned)EV_WORK);
	lock(&w->lock);
	ticket = w->posted;
	todo.count = w->count;
	todo.all_code = w->all_code;
	todo.all_tlb = w->all_tlb;
	todo.moved = w->moved;
	memcpy(todo.item, w->item, w->count * sizeof(w->item[0]));
	w->count = 0;
	w->all_code = w->all_tlb = w->moved = false;
	unlock(&w->lock);

	for (k = 0; k < todo.count; k++) {
		uint64_t gpa = todo.item[k].gpa;

		if (todo.item[k].untag) {
			tlb_untag(c, gpa);
			atomic_fetch_and(&c->all->write_tag_by[code_index(gpa)], (uint8_t)~(1u << c->index));
		} else {
			drop_stored(c, gpa, todo.item[k].len);
		}
	}
	if (todo.all_tlb)
		mmu_remapped(c);
	if (todo.all_code)
		drop_everything(c);
	else if (todo.moved)
		drop_moved(c);
	atomic_store(&w->done, ticket);
}

void code_do_work(struct cpu *c)
{
	do {
		do_posted(c);
	} while (atomic_load(&c->events) & EV_WORK);    /* posted while marks were taken back */
}

void code_post_remapped(struct cpu *c)
{
	lock(&c->work.lock);
	c->work.all_tlb = c->work.moved = true;
	unlock(&c->work.lock);
	cpu_event(c, EV_WORK);
}
