/* SPDX-License-Identifier: MIT */
/* The registry of plain-data sections.  It only grows while the machine is put together. */
#include "hw/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct state_list {
	struct state_section *sections;
	size_t count, room;
};

struct state_list *state_list_new(void)
{
	struct state_list *l = calloc(1, sizeof(*l));

	assert(l);
	return l;
}

void state_list_free(struct state_list *l)
{
	if (!l)
		return;
	free(l->sections);
	free(l);
}

void state_add(struct state_list *l, const struct state_section *s)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->count; i++)
		assert(l->sections[i].instance != s->instance || strcmp(l->sections[i].name, s->name) != 0);
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 32;
		l->sections = realloc(l->sections, l->room * sizeof(*l->sections));
		assert(l->sections);
	}
	l->sections[l->count++] = *s;
}

void state_reset_all(struct state_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->sections[i].reset)
			l->sections[i].reset(l->sections[i].owner);
}

const struct state_section *state_get(const struct state_list *l, size_t index)
{
	return index < l->count ? &l->sections[index] : NULL;
}
