/* SPDX-License-Identifier: MIT */
#include "base/checksum.h"

#include "base/bytes.h"

/*
 * One's complement addition does not care about byte order, so the words are added as the host reads them,
 * 32 bits at a time into 64, and the folded result is swapped once.
 */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t s = 0;

	while (len >= 32) {
		s += (uint64_t)le32(p) + le32(p + 4) + le32(p + 8) + le32(p + 12);
		s += (uint64_t)le32(p + 16) + le32(p + 20) + le32(p + 24) + le32(p + 28);
		p += 32;
		len -= 32;
	}
	while (len >= 4) {
		s += le32(p);
		p += 4;
		len -= 4;
	}
	if (len >= 2) {
		s += le16(p);
		p += 2;
		len -= 2;
	}
	if (len)
		s += *p;
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return sum + __builtin_bswap16((uint16_t)s);
}

uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t checksum(const void *data, size_t len)
{
	return (uint16_t)~checksum_fold(checksum_add(0, data, len));
}

uint64_t checksum_pseudo(const void *src, const void *dst, size_t addr_len, uint8_t protocol, uint32_t payload_len)
{
	uint64_t sum = checksum_add(0, src, addr_len);

	sum = checksum_add(sum, dst, addr_len);
	return sum + protocol + (payload_len >> 16) + (payload_len & 0xffff);
}
