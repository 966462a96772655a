/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_end.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t receive(void *owner, const struct frame *frames, size_t n)
{
	struct fake_end *e = owner;
	size_t i;

	e->calls++;
	for (i = 0; i < n && e->room; i++) {
		struct fake_frame *f;

		e->frame = realloc(e->frame, (e->frames + 1) * sizeof(*e->frame));
		assert(e->frame);
		f = &e->frame[e->frames++];
		f->facts = frames[i];
		f->facts.iov = NULL;
		f->data = malloc(frames[i].len);
		assert(f->data && frame_copy(&frames[i], 0, f->data, frames[i].len) == frames[i].len);
		if (e->room != SIZE_MAX)
			e->room--;
	}
	return i;
}

static void ready(void *owner)
{
	struct fake_end *e = owner;

	e->readies++;
}

static void changed(void *owner)
{
	struct fake_end *e = owner;

	e->changes++;
}

static const struct port_ops ops = { .receive = receive, .ready = ready, .changed = changed };

void fake_end_init(struct fake_end *e)
{
	memset(e, 0, sizeof(*e));
	e->room = SIZE_MAX;
	port_init(&e->port, &ops, e, "fake");
}

void fake_end_clear(struct fake_end *e)
{
	for (size_t i = 0; i < e->frames; i++)
		free(e->frame[i].data);
	free(e->frame);
	e->frame = NULL;
	e->frames = 0;
}

void fake_end_free(struct fake_end *e)
{
	port_part(&e->port);
	fake_end_clear(e);
}

void fake_end_open(struct fake_end *e, size_t room)
{
	e->room = room;
	port_ready(&e->port);
}

const struct fake_frame *fake_end_frame(const struct fake_end *e, size_t i)
{
	assert(i < e->frames);
	return &e->frame[i];
}

void fake_frame_fill(uint8_t *buf, size_t len, uint8_t seed)
{
	const uint8_t head[14] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, seed, 0x88, 0xb5 };

	memcpy(buf, head, sizeof(head));
	for (size_t i = sizeof(head); i < len; i++)
		buf[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}
