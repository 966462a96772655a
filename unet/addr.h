/* SPDX-License-Identifier: MIT */
/* Addresses of both families in one type: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
#ifndef UNET_ADDR_H
#define UNET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"

struct addr {
	uint8_t b[16];
};

static inline struct addr addr_from4(const void *four)
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.b + 12, four, 4);
	return a;
}

static inline struct addr addr_from6(const void *sixteen)
{
	struct addr a;

	memcpy(a.b, sixteen, 16);
	return a;
}

static inline bool addr_is4(const struct addr *a)
{
	return le64(a->b) == 0 && le32(a->b + 8) == 0xffff0000;
}

static inline bool addr_is_link_local(const struct addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* Whether two IPv6 addresses have the first n bits in common. */
static inline bool addr6_same_net(const void *a, const void *b, unsigned n)
{
	const uint8_t *p = a, *q = b;

	return !memcmp(p, q, n / 8) && (n % 8 == 0 || (p[n / 8] ^ q[n / 8]) >> (8 - n % 8) == 0);
}

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return !memcmp(a->b, b->b, 16);
}

/* 0.0.0.0 */
static inline bool addr_is_any4(const struct addr *a)
{
	return addr_is4(a) && le32(a->b + 12) == 0;
}

/* The IPv4 address in network order, as struct in_addr holds it. */
static inline uint32_t addr_v4(const struct addr *a)
{
	return le32(a->b + 12);
}

/* The bytes and their number as they stand in a packet. */
static inline const uint8_t *addr_wire(const struct addr *a)
{
	return addr_is4(a) ? a->b + 12 : a->b;
}

static inline size_t addr_wire_len(const struct addr *a)
{
	return addr_is4(a) ? 4 : 16;
}

static inline void addr_to_sock(const struct addr *a, uint16_t port, struct sockaddr_storage *s)
{
	memset(s, 0, sizeof(struct sockaddr_in6));
	if (addr_is4(a)) {
		struct sockaddr_in *in = (struct sockaddr_in *)s;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b + 12, 4);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)s;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, a->b, 16);
	}
}

static inline bool addr_from_sock(const struct sockaddr_storage *s, struct addr *a, uint16_t *port)
{
	if (s->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)s;

		*a = addr_from4(&in->sin_addr);
		*port = ntohs(in->sin_port);
		return true;
	}
	if (s->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;

		*a = addr_from6(&in6->sin6_addr);
		*port = ntohs(in6->sin6_port);
		return true;
	}
	return false;
}

#endif
