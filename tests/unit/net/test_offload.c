/* SPDX-License-Identifier: MIT */
/* Segments and sums, checked by an independent receiver: payload put together again, every checksum verified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "net/eth.h"
#include "net/offload.h"

enum { MAX = 66000 };

/* A frame in the making, and the pieces it is cut into at odd places. */
struct made {
	uint8_t bytes[MAX];
	struct iovec iov[FRAME_IOV_SEND];
	struct frame frame;
	unsigned l3, l4, head;
	bool ip6;
};

static void cut(struct made *m, unsigned pieces)
{
	size_t at = 0, len = m->frame.len;

	for (unsigned i = 0; i < pieces; i++) {
		size_t n = i + 1 == pieces ? len - at : (i * 37 + 5) % 97 + 1;

		if (n > len - at)
			n = len - at;
		m->iov[i] = (struct iovec){ m->bytes + at, n };
		at += n;
	}
	m->frame.iov = m->iov;
	m->frame.iov_count = pieces;
}

static void make(struct made *m, enum gso gso, bool ip6, unsigned vlans, uint32_t payload, uint16_t size, unsigned pieces)
{
	bool tcp = gso == GSO_TCPV4 || gso == GSO_TCPV6;
	unsigned l4_len = tcp ? 32 : 8;
	uint8_t *b = m->bytes, *ip, *l4;
	uint64_t sum;

	memset(m, 0, sizeof(*m));
	memcpy(b, "\x52\x54\x00\x00\x00\x01\x52\x54\x00\x00\x00\x02", 12);
	for (unsigned i = 0; i < vlans; i++)
		put_be32(b + 12 + 4 * i, 0x81000007);
	m->l3 = 14 + 4 * vlans;
	m->ip6 = ip6;
	m->l4 = m->l3 + (ip6 ? 40 : 24);
	m->head = m->l4 + l4_len;
	put_be16(b + m->l3 - 2, ip6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	ip = b + m->l3;
	l4 = b + m->l4;
	if (ip6) {
		ip[0] = 0x60;
		put_be16(ip + 4, (uint16_t)(l4_len + payload));
		ip[6] = tcp ? 6 : 17;
		ip[7] = 64;
		memset(ip + 8, 0x11, 16);
		memset(ip + 24, 0x22, 16);
		sum = checksum_pseudo(ip + 8, ip + 24, 16, ip[6], l4_len + payload);
	} else {
		ip[0] = 0x46;                           /* with four bytes of options */
		put_be16(ip + 2, (uint16_t)(24 + l4_len + payload));
		put_be16(ip + 4, 0xfffe);
		ip[8] = 64;
		ip[9] = tcp ? 6 : 17;
		memset(ip + 12, 10, 8);
		memset(ip + 20, 1, 4);
		sum = checksum_pseudo(ip + 12, ip + 16, 4, ip[9], l4_len + payload);
	}
	put_be16(l4, 1234);
	put_be16(l4 + 2, 80);
	if (tcp) {
		put_be32(l4 + 4, 0xfffffff0);           /* wraps */
		l4[12] = 8 << 4;
		l4[13] = 0x10 | TCP_FLAG_FIN | TCP_FLAG_PSH | TCP_FLAG_CWR;
		memset(l4 + 20, 1, 12);
	} else {
		put_be16(l4 + 4, (uint16_t)(8 + payload));
	}
	put_be16(l4 + (tcp ? 16 : 6), checksum_fold(sum));
	for (uint32_t i = 0; i < payload; i++)
		b[m->head + i] = (uint8_t)(i * 31 + (i >> 8));
	m->frame = (struct frame){ .len = m->head + payload, .needs_csum = true, .gso = gso, .gso_size = size,
		.csum_start = (uint16_t)m->l4, .csum_offset = tcp ? 16 : 6, .hdr_len = (uint16_t)m->head };
	cut(m, pieces);
}

static uint32_t flatten(const struct segment *s, uint8_t *to)
{
	assert_true(s->frame.iov_count <= FRAME_IOV_MAX);
	assert_int_equal(frame_copy(&s->frame, 0, to, MAX), s->frame.len);
	return s->frame.len;
}

static void check_transport_sum(const struct made *m, const uint8_t *p, uint32_t len)
{
	const uint8_t *ip = p + m->l3;
	uint32_t l4_len = len - m->l4;
	uint64_t sum = m->ip6 ? checksum_pseudo(ip + 8, ip + 24, 16, ip[6], l4_len) :
				checksum_pseudo(ip + 12, ip + 16, 4, ip[9], l4_len);

	assert_int_equal(checksum_fold(checksum_add(sum, p + m->l4, l4_len)), 0xffff);
}

static void check_ip(const struct made *m, const uint8_t *p, uint32_t len)
{
	const uint8_t *ip = p + m->l3;

	assert_memory_equal(p, m->bytes, m->l3);
	if (m->ip6) {
		assert_int_equal(be16(ip + 4), len - m->l3 - 40);
	} else {
		assert_int_equal(be16(ip + 2), len - m->l3);
		assert_int_equal(checksum(ip, 24), 0);
	}
}

static void segment_tcp(bool ip6, unsigned vlans, uint32_t payload, uint16_t size, unsigned pieces, unsigned accepts)
{
	static struct made m;
	static uint8_t flat[MAX];
	struct offload o;
	uint32_t done = 0;

	make(&m, ip6 ? GSO_TCPV6 : GSO_TCPV4, ip6, vlans, payload, size, pieces);
	assert_true(offload_facts_ok(&m.frame));
	assert_false(offload_fits(&m.frame, accepts));
	assert_true(offload_begin(&o, &m.frame, accepts));
	assert_int_equal(o.segments, payload ? (payload + size - 1) / size : 1);
	for (uint32_t k = 0; k < o.segments; k++) {
		struct segment s;
		uint32_t len, want = MIN(size, payload - done);
		const uint8_t *l4;

		assert_true(offload_make(&o, k, &s));
		len = flatten(&s, flat);
		assert_int_equal(len, m.head + want);
		check_ip(&m, flat, len);
		if (!ip6)
			assert_int_equal(be16(flat + m.l3 + 4), (uint16_t)(0xfffe + k));
		l4 = flat + m.l4;
		assert_int_equal(be32(l4 + 4), 0xfffffff0 + done);
		assert_int_equal(l4[13], 0x10 | (k + 1 == o.segments ? TCP_FLAG_FIN | TCP_FLAG_PSH : 0) |
				 (k == 0 ? TCP_FLAG_CWR : 0));
		assert_memory_equal(flat + m.head, m.bytes + m.head + done, want);
		if (accepts & PORT_CSUM) {
			assert_true(s.frame.needs_csum && s.frame.csum_start == m.l4 && s.frame.csum_offset == 16);
			put_be16(flat + m.l4 + 16, checksum(flat + m.l4, len - m.l4));
		} else {
			assert_true(s.frame.csum_valid && !s.frame.needs_csum);
		}
		check_transport_sum(&m, flat, len);
		done += want;
	}
	assert_int_equal(done, payload);
}

static void tcp_is_cut_into_segments_that_verify(void **state)
{
	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++)
		for (unsigned accepts = 0; accepts <= PORT_CSUM; accepts++) {
			segment_tcp(ip6, 0, 64000, 1448, 60, accepts);
			segment_tcp(ip6, 1, 2896, 1448, 3, accepts);
			segment_tcp(ip6, 2, 1449, 1448, 1, accepts);
			segment_tcp(ip6, 0, 1000, 1448, 7, accepts);
			segment_tcp(ip6, 0, 0, 1448, 2, accepts);
			segment_tcp(ip6, 0, 3001, 77, 68, accepts);
		}
}

static void any_segment_can_be_made_first(void **state)
{
	static struct made m;
	static uint8_t flat[MAX];
	struct offload o;
	struct segment s;

	(void)state;
	make(&m, GSO_TCPV4, false, 0, 20000, 1000, 50);
	assert_true(offload_begin(&o, &m.frame, 0));
	for (unsigned i = 0; i < 20; i++) {
		unsigned k = i * 7 % 20;
		uint32_t len;

		assert_true(offload_make(&o, k, &s));
		len = flatten(&s, flat);
		check_transport_sum(&m, flat, len);
		assert_memory_equal(flat + m.head, m.bytes + m.head + 1000 * k, 1000);
	}
}

static void udp_is_cut_into_datagrams_that_verify(void **state)
{
	static struct made m;
	static uint8_t flat[MAX];

	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++) {
		struct offload o;
		struct segment s;

		make(&m, GSO_UDP_L4, ip6, 0, 5000, 1200, 9);
		assert_true(offload_begin(&o, &m.frame, PORT_CSUM | PORT_TSO4));
		assert_int_equal(o.segments, 5);
		assert_true(offload_begin(&o, &m.frame, 0));
		for (uint32_t k = 0; k < 5; k++) {
			uint32_t want = k < 4 ? 1200 : 200, len;

			assert_true(offload_make(&o, k, &s));
			len = flatten(&s, flat);
			assert_int_equal(len, m.head + want);
			assert_int_equal(be16(flat + m.l4 + 4), 8 + want);
			check_ip(&m, flat, len);
			check_transport_sum(&m, flat, len);
			assert_memory_equal(flat + m.head, m.bytes + m.head + 1200 * k, want);
		}
	}
}

static void udp_is_cut_into_fragments_of_one_datagram(void **state)
{
	static struct made m;
	static uint8_t flat[MAX], whole[MAX];

	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++) {
		struct offload o;
		struct segment s;
		uint32_t at = 0, extra = ip6 ? 8 : 0;

		make(&m, GSO_UDP, ip6, 0, 5000, 1480 + 5, 11);
		assert_true(offload_begin(&o, &m.frame, PORT_CSUM));
		assert_int_equal(o.segments, 4);
		memcpy(whole, m.bytes, m.l4);
		for (uint32_t k = 0; k < 4; k++) {
			uint32_t len, off;
			bool more;

			assert_true(offload_make(&o, k, &s));
			assert_false(s.frame.needs_csum);
			len = flatten(&s, flat);
			check_ip(&m, flat, len);
			if (ip6) {
				assert_int_equal(flat[m.l3 + 6], IPPROTO_ID_FRAGMENT);
				assert_int_equal(flat[m.l4], IPPROTO_ID_UDP);
				off = be16(flat + m.l4 + 2) & 0xfff8;
				more = be16(flat + m.l4 + 2) & 1;
			} else {
				off = (be16(flat + m.l3 + 6) & IP4_OFFSET) * 8u;
				more = be16(flat + m.l3 + 6) & IP4_MF;
				assert_int_equal(be16(flat + m.l3 + 4), 0xfffe);
			}
			assert_int_equal(off, at);
			assert_int_equal(more, k < 3);
			memcpy(whole + m.l4 + at, flat + m.l4 + extra, len - m.l4 - extra);
			at += len - m.l4 - extra;
		}
		assert_int_equal(at, 5008);
		check_transport_sum(&m, whole, m.l4 + at);
		assert_memory_equal(whole + m.head, m.bytes + m.head, 5000);
	}
}

static void a_sum_is_filled_in_wherever_the_pieces_end(void **state)
{
	static struct made m;
	static uint8_t flat[MAX];

	(void)state;
	for (unsigned pieces = 1; pieces <= FRAME_IOV_SEND; pieces++) {
		struct offload o;
		struct segment s;
		uint32_t len;

		make(&m, GSO_NONE, pieces & 1, 0, 900 + pieces, 0, pieces);
		assert_true(offload_facts_ok(&m.frame));
		assert_true(offload_fits(&m.frame, PORT_CSUM));
		assert_false(offload_fits(&m.frame, PORT_TSO4));
		assert_true(offload_begin(&o, &m.frame, 0));
		assert_int_equal(o.segments, 1);
		assert_true(offload_make(&o, 0, &s));
		len = flatten(&s, flat);
		assert_int_equal(len, m.frame.len);
		check_transport_sum(&m, flat, len);
		put_be16(flat + m.l4 + 6, be16(m.bytes + m.l4 + 6));
		assert_memory_equal(flat, m.bytes, len);
	}
}

static void a_udp_sum_of_zero_becomes_ones(void **state)
{
	static struct made m;
	uint8_t flat[MAX];
	struct offload o;
	struct segment s;
	uint16_t rest;

	(void)state;
	make(&m, GSO_NONE, false, 0, 100, 0, 1);
	rest = checksum_fold(checksum_add(0, m.bytes + m.l4, 108 - 2));
	put_be16(m.bytes + m.head + 98, (uint16_t)~rest);       /* makes the whole 0xffff, its complement 0 */
	assert_true(offload_begin(&o, &m.frame, 0));
	assert_true(offload_make(&o, 0, &s));
	flatten(&s, flat);
	assert_int_equal(be16(flat + m.l4 + 6), 0xffff);
}

static void facts_outside_the_frame_are_refused(void **state)
{
	static struct made m;
	struct frame f;

	(void)state;
	make(&m, GSO_TCPV4, false, 0, 3000, 1448, 4);
#define REFUSED(change) (f = m.frame, change, assert_false(offload_facts_ok(&f)))
	REFUSED(f.csum_start = 13);
	REFUSED(f.csum_start = (uint16_t)(f.len - 17));
	REFUSED(f.csum_offset = 0xffff);
	REFUSED((f.csum_start = 0xffff, f.csum_offset = 0xffff));
	REFUSED(f.gso_size = 0);
	REFUSED(f.gso = 2);
	REFUSED(f.gso = 99);
	REFUSED(f.needs_csum = false);
	REFUSED(f.csum_offset = 6);
	f = m.frame;
	f.gso_size = 1;
	{
		struct offload o;

		assert_false(offload_begin(&o, &f, 0)); /* 3000 segments of a byte */
	}
}

static void headers_that_belie_the_facts_are_refused(void **state)
{
	static struct made m;
	struct offload o;

	(void)state;
#define BELIED(kind, six, change) (make(&m, kind, six, 0, 3000, 1448, 4), change, assert_false(offload_begin(&o, &m.frame, 0)))
	BELIED(GSO_TCPV4, true, (void)0);
	BELIED(GSO_TCPV6, false, (void)0);
	BELIED(GSO_TCPV4, false, m.bytes[m.l3 + 9] = 17);
	BELIED(GSO_TCPV4, false, m.bytes[m.l3] = 0x45);
	BELIED(GSO_TCPV4, false, m.bytes[m.l3] = 0x66);
	BELIED(GSO_TCPV4, false, m.bytes[13] = 6);
	BELIED(GSO_TCPV4, false, m.bytes[m.l4 + 12] = 4 << 4);
	BELIED(GSO_TCPV4, false, m.frame.csum_start++);
	BELIED(GSO_TCPV4, false, m.frame.csum_start = 2000);
	BELIED(GSO_TCPV6, true, m.bytes[m.l3 + 6] = 44);
	BELIED(GSO_TCPV6, true, (m.bytes[m.l3 + 6] = 0, m.bytes[m.l4] = 6, m.bytes[m.l4 + 1] = 255));
	BELIED(GSO_UDP_L4, false, m.bytes[m.l3 + 9] = 6);
}

static void extension_headers_stay_in_front(void **state)
{
	static struct made m;
	static uint8_t flat[MAX];
	struct offload o;
	struct segment s;

	(void)state;
	make(&m, GSO_TCPV6, true, 0, 3000, 1448, 1);
	memmove(m.bytes + m.l4 + 8, m.bytes + m.l4, 32 + 3000);
	memset(m.bytes + m.l4, 0, 8);
	m.bytes[m.l3 + 6] = IPPROTO_ID_DSTOPTS;
	m.bytes[m.l4] = IPPROTO_ID_TCP;
	m.frame.len += 8;
	m.frame.csum_start += 8;
	m.iov[0].iov_len += 8;
	assert_true(offload_begin(&o, &m.frame, 0));
	assert_int_equal(o.segments, 3);
	assert_true(offload_make(&o, 1, &s));
	assert_int_equal(flatten(&s, flat), m.head + 8 + 1448);
	assert_int_equal(be16(flat + m.l3 + 4), 8 + 32 + 1448);
	assert_memory_equal(flat + m.head + 8, m.bytes + m.head + 8 + 1448, 1448);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_cut_into_segments_that_verify),
		cmocka_unit_test(any_segment_can_be_made_first),
		cmocka_unit_test(udp_is_cut_into_datagrams_that_verify),
		cmocka_unit_test(udp_is_cut_into_fragments_of_one_datagram),
		cmocka_unit_test(a_sum_is_filled_in_wherever_the_pieces_end),
		cmocka_unit_test(a_udp_sum_of_zero_becomes_ones),
		cmocka_unit_test(facts_outside_the_frame_are_refused),
		cmocka_unit_test(headers_that_belie_the_facts_are_refused),
		cmocka_unit_test(extension_headers_stay_in_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
