/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_chardev.h"

#include "base/bytes.h"

static size_t fake_write(struct chardev *c, const void *buf, size_t len)
{
	struct fake_chardev *f = CONTAINER_OF(c, struct fake_chardev, chardev);
	size_t n = MIN(MIN(len, f->room), sizeof(f->sent) - f->len);

	f->writes++;
	memcpy(f->sent + f->len, buf, n);
	f->len += n;
	f->room -= n;
	return n;
}

static void fake_accept(struct chardev *c)
{
	struct fake_chardev *f = CONTAINER_OF(c, struct fake_chardev, chardev);

	f->accepts++;
}

void fake_chardev_init(struct fake_chardev *f)
{
	memset(f, 0, sizeof(*f));
	f->chardev.write = fake_write;
	f->chardev.accept_input = fake_accept;
	f->room = SIZE_MAX;
}

size_t fake_chardev_type(struct fake_chardev *f, const void *buf, size_t len)
{
	size_t n = f->chardev.user->can_receive(f->chardev.owner);

	n = MIN(n, len);
	if (n)
		f->chardev.user->receive(f->chardev.owner, buf, n);
	return n;
}
