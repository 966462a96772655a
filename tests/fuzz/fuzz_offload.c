/* SPDX-License-Identifier: MIT */
/* Frames with arbitrary offload facts, in arbitrary pieces, sent to an end that accepts little and is often full. */
#include <stdlib.h>

#include "base/bytes.h"
#include "net/offload.h"
#include "net/port.h"
#include "tests/fake/fake_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct far {
	struct port port;
	size_t room;
};

/* What comes out must be a frame that this end takes, with every byte in reach. */
static size_t receive(void *owner, const struct frame *frames, size_t n)
{
	static uint8_t copy[FRAME_MAX];
	struct far *far = owner;
	size_t i;

	for (i = 0; i < n && far->room; i++, far->room--) {
		const struct frame *f = &frames[i];
		size_t sum = 0;

		for (uint32_t k = 0; k < f->iov_count; k++)
			sum += f->iov[k].iov_len;
		if (f->len < 14 || f->len > FRAME_MAX || f->iov_count > FRAME_IOV_MAX || sum != f->len ||
		    !offload_facts_ok(f) || !offload_fits(f, far->port.accepts) || frame_copy(f, 0, copy, sizeof(copy)) != f->len)
			abort();
		fake_digest('F', (uint64_t)f->gso << 32 | f->gso_size, copy, f->len);
	}
	return i;
}

static const uint8_t headers[2][54] = {
	{ [12] = 8, [14] = 0x45, [23] = 6, [46] = 0x50 },
	{ [12] = 0x86, [13] = 0xdd, [14] = 0x60, [20] = 17 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct port_ops ops = { .receive = receive };
	static const uint8_t kinds[] = { GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4, 2 };
	static uint8_t bytes[FRAME_MAX];
	struct cursor c = cursor_of(data, size);
	struct port port;
	struct far far = { .room = 0 };
	struct iovec iov[FRAME_IOV_SEND];
	uint8_t how = cursor_u8(&c);
	struct frame f = { .iov = iov, .needs_csum = how & 1, .gso_ecn = how & 2, .gso = kinds[(how >> 2) % 6] };
	uint32_t at = 0;

	port_init(&port, &ops, NULL, "a");
	port_init(&far.port, &ops, &far, "b");
	far.port.accepts = cursor_u8(&c);
	f.csum_start = how & 0x20 ? 34 : how & 0x40 ? 54 : cursor_be16(&c);
	f.csum_offset = how & 0x80 ? (f.gso == GSO_TCPV4 || f.gso == GSO_TCPV6 ? 16 : 6) : cursor_u8(&c);
	f.gso_size = cursor_be16(&c);
	f.hdr_len = cursor_be16(&c);
	f.len = cursor_be16(&c) + (how & 2 ? 1000 : 0);
	memset(bytes, 0x5a, 512);
	memcpy(bytes, headers[f.csum_start == 54], sizeof(headers[0]));
	while (cursor_left(&c) > 40) {
		unsigned where = cursor_u8(&c) % 100;

		bytes[where] = cursor_u8(&c);
	}
	for (; f.iov_count < FRAME_IOV_SEND - 1 && at < f.len; f.iov_count++) {
		uint32_t n = cursor_left(&c) ? cursor_u8(&c) * 8u : f.len;

		n = MIN(n, f.len - at);
		iov[f.iov_count] = (struct iovec){ bytes + at, n };
		at += n;
	}
	iov[f.iov_count++] = (struct iovec){ bytes + at, f.len - at };
	port_join(&port, &far.port);
	for (unsigned i = 0; i < 3000 && !port_send(&port, &f, 1); i++)
		far.room = 1 + i % 40;
	if (port.waiting)
		abort();                /* not through although the far end made room again and again */
	port_part(&port);
	return 0;
}
