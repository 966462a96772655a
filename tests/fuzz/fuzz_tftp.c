/* SPDX-License-Identifier: MIT */
/*
 * The TFTP server: requests and acknowledgements from the input, of four clients, over a real folder with things beside it
 * that nobody may get at, by openat2 and by the walk.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_digest.h"
#include "tftp/root.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 4, OURS = 3 };

static struct tftp_root *root;
static ino_t ours[OURS];
static dev_t device;

static struct {
	struct tftp_peer last_to;
	uint16_t port[CLIENTS], block[CLIENTS];
	unsigned sent;
	int open_files;
	uint8_t random;
} seen;

static void make_file(int dir, const char *name, size_t size, ino_t *inode)
{
	char data[3000];
	struct stat st;
	int fd = openat(dir, name, O_WRONLY | O_CREAT, 0666);

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = "a\r\nb\0c"[i % 6];
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || fstat(fd, &st) < 0)
		abort();
	close(fd);
	if (inode)
		*inode = st.st_ino;
	device = st.st_dev;
}

/* Everything is removed again by name; the descriptor keeps none of it alive but the folder itself. */
static char top[] = "/tmp/fuzz_tftp.XXXXXX";

static void clean_up(void)
{
	static const char *const names[] = { "in/a", "in/sub/b", "in/sub/c", "in/out", "in/up", "in/pipe", "in/here", "in/sub", "in", "secret" };
	char path[100];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		if (unlink(path) < 0)
			rmdir(path);
	}
	rmdir(top);
}

static void set_up(void)
{
	struct err err;
	char path[100];
	int dir;

	if (root)
		return;
	if (!mkdtemp(top))
		abort();
	atexit(clean_up);
	dir = open(top, O_RDONLY | O_DIRECTORY);
	if (mkdirat(dir, "in", 0777) < 0 || mkdirat(dir, "in/sub", 0777) < 0 || symlinkat("../secret", dir, "in/out") < 0 ||
	    symlinkat("..", dir, "in/up") < 0 || symlinkat("sub/b", dir, "in/here") < 0 || mkfifoat(dir, "in/pipe", 0666) < 0)
		abort();
	make_file(dir, "secret", 100, NULL);
	make_file(dir, "in/a", 3000, &ours[0]);
	make_file(dir, "in/sub/b", 512, &ours[1]);
	make_file(dir, "in/sub/c", 0, &ours[2]);
	close(dir);
	snprintf(path, sizeof(path), "%s/in", top);
	root = tftp_root_open(path, &err);
	if (!root)
		abort();
}

static int open_(void *owner, const char *name, uint64_t *size)
{
	int fd = tftp_root_files.open(owner, name, size);
	struct stat st;
	bool mine = false;

	if (fd < 0)
		return fd;
	assert(fstat(fd, &st) == 0 && st.st_dev == device);
	for (int i = 0; i < OURS; i++)
		mine |= st.st_ino == ours[i];
	if (!mine)
		abort();                /* it got out */
	seen.open_files++;
	return fd;
}

static void close_(void *owner, int file)
{
	seen.open_files--;
	tftp_root_files.close(owner, file);
}

static ssize_t read_(void *owner, int file, uint64_t offset, void *buf, size_t len)
{
	return tftp_root_files.read(owner, file, offset, buf, len);
}

static void send_(void *owner, const struct tftp_peer *to, uint16_t from_port, const void *data, size_t len)
{
	const uint8_t *m = data;

	(void)owner;
	assert(len >= 4 && len <= to->room && to->address[0] < CLIENTS);
	seen.sent++;
	fake_digest('R', (uint64_t)to->address[0] << 32 | to->port << 16 | from_port, data, len);
	if (be16(m) == 5) {
		assert(memchr(m + 4, 0, len - 4) == m + len - 1);
		return;
	}
	seen.port[to->address[0]] = from_port;
	seen.block[to->address[0]] = be16(m) == 6 ? 0 : be16(m + 2);
}

static void random_(void *owner, void *buf, size_t len)
{
	(void)owner;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = seen.random += 73;
}

/* A request with a likely beginning: what follows are its options, or another name. */
static size_t request(uint8_t *m, uint8_t how, const uint8_t *p, size_t n)
{
	static const char *const names[] = { "a", "sub/b", "here", "sub/c", "/a", "out", "up/secret", "pipe", "../secret", "sub/../a" };
	size_t len = 2;

	put_be16(m, how & 0x80 ? 2 : 1);
	if (how & 1) {
		strcpy((char *)m + len, names[(how >> 1) % ARRAY_SIZE(names)]);
		len += strlen((char *)m + len) + 1;
		strcpy((char *)m + len, how & 0x40 ? "netascii" : "octet");
		len += strlen((char *)m + len) + 1;
	}
	memcpy(m + len, p, n);
	return len + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tftp_files files = { open_, read_, close_ };
	struct cursor in = cursor_of(data, size);
	uint8_t first = cursor_u8(&in);
	struct fake_clock clock;
	struct tftp *t;

	set_up();
	memset(&seen, 0, sizeof(seen));
	fake_clock_init(&clock);
	tftp_root_walk(root, first & 1);
	t = tftp_new(&(struct tftp_config){ .clock = clock.clock, .files = &files, .files_owner = root, .single_port = first & 2,
					    .send = send_, .random = random_ });
	while (t && cursor_left(&in)) {
		uint8_t op = cursor_u8(&in), how = cursor_u8(&in);
		size_t n = MIN((size_t)cursor_u8(&in) * (op & 0x80 ? 6 : 1), cursor_left(&in)), len;
		const uint8_t *p = cursor_take(&in, n);
		struct tftp_peer peer = { .address = { op >> 3 & 3 }, .port = 1000, .room = 1472 };
		unsigned before = seen.sent;
		uint8_t *m;

		if (!p)
			break;
		m = malloc(n + 64);
		assert(m);
		switch (op & 7) {
		case 0:
		case 1:
			len = request(m, how, p, n);
			m = realloc(m, len);
			tftp_input(t, &peer, TFTP_PORT, m, len);
			break;
		case 2:
		case 3:         /* of what was sent last, or near it */
			put_be16(m, 4);
			put_be16(m + 2, (uint16_t)(seen.block[peer.address[0]] + (int8_t)how / 16));
			tftp_input(t, &peer, seen.port[peer.address[0]], m, 4);
			break;
		case 4:
			fake_clock_advance(&clock, MS(20u * how));
			break;
		case 5:
			peer.port = how;
			/* fall through */
		default:
			memcpy(m, p, n);
			m = realloc(m, n ? n : 1);
			tftp_input(t, &peer, seen.port[peer.address[0]], m, n);
			break;
		}
		free(m);
		/* no more than a window for each datagram, or each client's for a tick */
		assert(seen.sent - before <= 64 * ((op & 7) == 4 ? CLIENTS * 6 : 1));
		assert(tftp_sessions(t) <= TFTP_SESSIONS && seen.open_files == (int)tftp_sessions(t));
	}
	tftp_free(t);
	assert(seen.open_files == 0);
	fake_clock_free(&clock);
	return 0;
}
