/* SPDX-License-Identifier: MIT */
/* The Internet checksum (RFC 1071). */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Adds len bytes to a running sum (start with 0), in network order as 16-bit words, a last odd byte padded with zero.
 * Only the last piece of a chain may have an odd length.
 */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len);
/* Folds a running sum to 16 bits in host order, NOT complemented (what a pseudo-header seed in a packet holds). */
uint16_t checksum_fold(uint64_t sum);
/* The finished checksum of one piece, host order: store it with put_be16. */
uint16_t checksum(const void *data, size_t len);
/* The sum of the TCP/UDP/ICMPv6 pseudo-header: addr_len is 4 or 16, payload_len includes the transport header. */
uint64_t checksum_pseudo(const void *src, const void *dst, size_t addr_len, uint8_t protocol, uint32_t payload_len);

#endif
