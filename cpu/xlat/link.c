/* SPDX-License-Identifier: MIT */
/*
 * Ways from block to block, and their end.  A direct exit within its page is patched into the code: the target is what
 * it is as long as the page's bytes are.  One that leaves its page goes through a slot in memory, and indirect branches
 * through a table by the low bits of RIP; both hold only as long as linear pages mean the same code, and are reset when
 * that may have changed.  Kernel code that lies in global pages outlives a change of address space.
 */
#include "cpu/mmu.h"
#include "cpu/xlat/run.h"
#include "cpu/xlat/xlat.h"

static void put32(struct xlat *x, uint32_t field, uint32_t to)
{
	int32_t d = (int32_t)(to - (field + 4));

	memcpy(x->rw + field, &d, 4);
}

static void point(struct xlat *x, const struct link *l, uint32_t to)
{
	uint64_t address = (uintptr_t)xlat_rx(x, to);

	if (l->slot)
		memcpy(x->rw + l->field, &address, 8);
	else
		put32(x, l->field, to);
}

static void unlink_it(struct xlat *x, struct link *l)
{
	*l->in_at = l->next_in;
	if (l->next_in)
		l->next_in->in_at = l->in_at;
	l->to = NULL;
	point(x, l, l->stub);
	x->count.unlinks++;
}

/* Where kernels lie.  What lies elsewhere than it should costs time, not more. */
static bool upper(const struct cpu *c, uint64_t rip)
{
	return long_mode(c) ? rip >> 63 : rip >= 0xc0000000;
}

/* Slots that lead to the lower half of the addresses, or to the upper. */
static void reset_slots(struct xlat *x, bool half)
{
	unsigned k;

	for (k = 0; k < x->slots_used[half]; k++) {
		struct link *l = x->slots[half][k];

		l->listed = false;
		if (l->to)
			unlink_it(x, l);
	}
	x->slots_used[half] = 0;
}

void xlat_forget_slots(struct xlat *x, const uint8_t *from, const uint8_t *to)
{
	unsigned half, k, kept;

	for (half = 0; half < 2; half++) {
		struct link **slots = x->slots[half];

		for (k = kept = 0; k < x->slots_used[half]; k++)
			if ((const uint8_t *)slots[k] < from || (const uint8_t *)slots[k] >= to)
				slots[kept++] = slots[k];
		x->slots_used[half] = kept;
	}
}

static void reset_table(struct cpu *c, unsigned t)
{
	struct xlat *x = c->x;
	void *miss = xlat_rx(x, x->stub.miss);
	unsigned k, n = x->ind_count[t];

	if (n > ARRAY_SIZE(x->ind_used[t])) {
		for (k = 0; k < ARRAY_SIZE(c->indirect[t]); k++)
			c->indirect[t][k] = miss;
	} else {
		for (k = 0; k < n; k++)
			c->indirect[t][x->ind_used[t][k]] = miss;
	}
	x->ind_count[t] = 0;
}

unsigned xlat_ind_table(struct cpu *c)
{
	/* A table of 64-bit code is always for the same key: translated code itself changes between them (STAC, CLAC). */
	unsigned t = (c->key & KEY_USER ? 1 : c->key & KEY_SMAP ? 0 : 2) + (code64(c) ? 3 : 0);

	if (!(c->key & KEY_FLAT_CS))
		return IND_SEGMENTED;           /* of all modes: targets check env.cs */
	if (c->x->ind_key[t] != c->key) {
		reset_table(c, t);
		c->x->ind_key[t] = c->key;
	}
	return t;
}

bool xlat_segment(struct cpu *c)
{
	const struct segment *s = &c->s.seg[SEG_CS];
	struct xlat *x = c->x;
	uint32_t base = (uint32_t)s->base, now = c->xe.cs, h;

	if (c->key & KEY_FLAT_CS) {
		c->xe.cs = 0;
		return true;
	}
	if (now && x->segment[now].base == base && x->segment[now].limit == s->limit && x->segment[now].key == c->key)
		return true;
	for (h = (base >> 4 ^ base >> 16 ^ s->limit ^ c->key * 31);; h++) {
		now = x->segment_hash[h % SEGMENT_HASH];
		if (!now)
			break;
		if (x->segment[now].base == base && x->segment[now].limit == s->limit && x->segment[now].key == c->key) {
			c->xe.cs = now;
			return true;
		}
	}
	if (x->segments == SEGMENTS)
		return false;
	now = ++x->segments;
	x->segment[now].base = base;
	x->segment[now].limit = s->limit;
	x->segment[now].key = c->key;
	x->segment_hash[h % SEGMENT_HASH] = (uint16_t)now;
	c->xe.cs = now;
	return true;
}

void xlat_forget_segments(struct xlat *x)
{
	x->segments = 0;
	memset(x->segment_hash, 0, sizeof(x->segment_hash));
}

void xlat_link(struct cpu *c, struct link *l, struct xblock *to)
{
	struct xlat *x = c->x;

	if (l->to)
		return;
	if (l->slot && !l->listed) {
		bool half = upper(c, l->rip);

		if (x->slots_used[half] == ARRAY_SIZE(x->slots[half]))
			reset_slots(x, half);
		x->slots[half][x->slots_used[half]++] = l;
		l->listed = true;
	}
	l->to = to;
	l->next_in = to->in;
	if (to->in)
		to->in->in_at = &l->next_in;
	l->in_at = &to->in;
	to->in = l;
	point(x, l, l->saved ? to->saved : to->direct);
	x->count.links++;
}

void xlat_remember(struct cpu *c, struct xblock *b)
{
	struct xlat *x = c->x;
	unsigned t = b->ind, slot = b->ind_slot;

	if (x->ind_count[t] < ARRAY_SIZE(x->ind_used[t]))
		x->ind_used[t][x->ind_count[t]] = (uint16_t)slot;
	if (x->ind_count[t] <= ARRAY_SIZE(x->ind_used[t]))
		x->ind_count[t]++;
	c->indirect[t][slot] = xlat_rx(x, b->indirect);
}

/* --- called by others ------------------------------------------------------------------------------------------- */

void xlat_drop(struct cpu *c, struct block *block)
{
	struct xblock *b = (struct xblock *)block;
	struct xlat *x = c->x;
	unsigned k;

	while (b->in)
		unlink_it(x, b->in);
	for (k = 0; k < b->links; k++)
		if (b->link[k].to)
			unlink_it(x, &b->link[k]);
	if (c->indirect[b->ind][b->ind_slot] == xlat_rx(x, b->indirect))
		c->indirect[b->ind][b->ind_slot] = xlat_rx(x, x->stub.miss);
	x->count.drops++;
}

static void forget_low(struct xlat *x)
{
	x->lows = 0;
	x->low_generation++;
}

void xlat_reset(struct cpu *c)
{
	struct xlat *x = c->x;
	unsigned t, k;

	for (t = 0; t < IND_TABLES; t++)
		for (k = 0; k < ARRAY_SIZE(c->indirect[t]); k++)
			c->indirect[t][k] = xlat_rx(x, x->stub.miss);
	memset(x->ind_count, 0, sizeof(x->ind_count));
	x->slots_used[0] = x->slots_used[1] = 0;
	cache_reset(x);
	x->count.flushes++;
	memset(x->exec_pages, 0, sizeof(x->exec_pages));
	memset(x->exec_gigs, 0, sizeof(x->exec_gigs));
	x->kernel_local = false;
	forget_low(x);
	mmu_forget_fetches(c);          /* so that xlat_fetched() hears of every page again */
}

static unsigned page_hash(uint64_t page) { return (unsigned)(page ^ page >> 15 ^ page >> 30) & 32767; }

/* Pages of the lower half that links lead to: all still where they were?  Those that this space was asked for before are. */
static bool low_is_same(struct cpu *c)
{
	const struct xlat *x = c->x;
	struct tlb_space *s = c->space;
	unsigned k, seen = s->low_generation == x->low_generation ? s->low_seen : 0;

	if (x->lows > ARRAY_SIZE(x->low))
		return false;
	for (k = x->lows; k-- > seen;)
		if (!code_is_at(c, x->low[k].linear, x->low[k].user, x->low[k].gpa))
			return false;
	s->low_seen = x->lows;
	s->low_generation = x->low_generation;
	return true;
}

static void note_low(struct xlat *x, uint64_t linear, uint64_t gpa, bool user)
{
	unsigned k;

	linear &= ~0xfffull;
	for (k = 0; k < x->lows && k < ARRAY_SIZE(x->low); k++)
		if (x->low[k].linear == linear && x->low[k].user == user && x->low[k].gpa == gpa)
			return;
	if (k < ARRAY_SIZE(x->low)) {
		x->low[k].linear = linear;
		x->low[k].gpa = gpa;
		x->low[k].user = user;
	}
	x->lows = k + 1;
}

void xlat_fetched(struct cpu *c, uint64_t linear, uint64_t gpa, bool global, bool large)
{
	struct xlat *x = c->x;
	unsigned h = page_hash(linear >> 12);

	x->exec_pages[h / 64] |= 1ull << h % 64;
	if (large)
		x->exec_gigs[linear >> 30 >> 6 & 3] |= 1ull << (linear >> 30 & 63);
	if (upper(c, linear) ? !global : c->s.cpl != 3)
		x->kernel_local = true;
	if (!upper(c, linear))
		note_low(x, linear, gpa, c->s.cpl == 3);
}

void xlat_map_changed(struct cpu *c, bool keep_global)
{
	struct xlat *x = c->x;
	bool kernel = !keep_global || x->kernel_local, user = kernel || !low_is_same(c);
	unsigned t;

	if (!user)
		return;
	reset_slots(x, false);
	if (kernel)
		reset_slots(x, true);
	for (t = 0; t < IND_TABLES; t++)
		if (kernel || t % 3 == 1 || t == IND_SEGMENTED)
			reset_table(c, t);
	forget_low(x);
	mmu_forget_fetches(c);
	if (kernel) {
		x->kernel_local = false;
		memset(x->exec_pages, 0, sizeof(x->exec_pages));
		memset(x->exec_gigs, 0, sizeof(x->exec_gigs));
	}
}

bool xlat_page_changed(struct cpu *c, uint64_t linear)
{
	const struct xlat *x = c->x;
	unsigned h = page_hash(linear >> 12);

	if (!(x->exec_pages[h / 64] >> h % 64 & 1) && !(x->exec_gigs[linear >> 30 >> 6 & 3] >> (linear >> 30 & 63) & 1))
		return false;
	return upper(c, linear) || x->kernel_local || !low_is_same(c);
}
