/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"

static void fake_submit(struct disk *d, struct disk_request *r)
{
	struct fake_disk *f = CONTAINER_OF(d, struct fake_disk, disk);
	uint64_t total = 0;

	for (size_t i = 0; i < r->iov_count; i++)
		total += r->iov[i].iov_len;
	assert(r->len % 512 == 0 && r->offset % 512 == 0);
	assert((r->op != DISK_READ && r->op != DISK_WRITE) || total == r->len);
	r->next = NULL;
	*f->last = r;
	f->last = &r->next;
}

static void fake_tray(struct disk *d, bool open)
{
	struct fake_disk *f = CONTAINER_OF(d, struct fake_disk, disk);

	(void)open;
	f->trays++;
}

void fake_disk_init(struct fake_disk *f, uint64_t size)
{
	memset(f, 0, sizeof(*f));
	f->data = malloc(size ? size : 1);
	assert(f->data);
	for (uint64_t i = 0; i < size; i++)
		f->data[i] = fake_disk_byte(i);
	f->disk = (struct disk){
		.submit = fake_submit, .size = size, .present = true, .name = "fake", .tray = fake_tray };
	f->last = &f->first;
}

void fake_disk_free(struct fake_disk *f)
{
	free(f->data);
}

static int work(struct fake_disk *f, struct disk_request *r)
{
	uint8_t *p = f->data + r->offset;

	f->last_len = r->len;
	if (f->error && (f->error_offset == UINT64_MAX ||
			 (f->error_offset >= r->offset && f->error_offset < r->offset + r->len)))
		return f->error;
	if (r->op == DISK_FLUSH) {
		f->flushes++;
		return 0;
	}
	if (r->offset > f->disk.size || r->len > f->disk.size - r->offset)
		return EIO;
	if (r->op == DISK_WRITE_ZEROES || r->op == DISK_DISCARD)
		memset(p, 0, r->len);
	for (size_t i = 0; i < r->iov_count; i++) {
		if (r->op == DISK_READ)
			memcpy(r->iov[i].iov_base, p, r->iov[i].iov_len);
		else
			memcpy(p, r->iov[i].iov_base, r->iov[i].iov_len);
		p += r->iov[i].iov_len;
	}
	return 0;
}

int fake_disk_run(struct fake_disk *f)
{
	int n = 0;

	while (f->first) {
		struct disk_request *r = f->first;

		f->first = r->next;
		if (!f->first)
			f->last = &f->first;
		f->requests++;
		n++;
		r->done(r->owner, r, work(f, r));
	}
	return n;
}
