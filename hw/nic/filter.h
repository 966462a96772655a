/* SPDX-License-Identifier: MIT */
/* Address filters that several cards have: exact tables, and the CRC of an address of which each card hashes some bits. */
#ifndef HW_NIC_FILTER_H
#define HW_NIC_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/eth.h"

enum { FILTER_TABLE_MAX = 64 };

struct filter_table {
	uint8_t count;
	uint8_t mac[FILTER_TABLE_MAX][ETH_ALEN];
};

bool filter_has(const struct filter_table *t, const uint8_t *mac);
/*
 * The CRC register (IEEE 802.3, 3.2.9, polynomial 04C11DB7h, initially ones, not complemented) after the six bytes came in,
 * as a shift register that moves left: the first bit on the wire went in first.  Bits 31..26 of it are the hash of the
 * DP8390, RTL8139 and i8255x.
 */
uint32_t filter_crc(const uint8_t *mac);
/* The same register with its bits in the opposite order: what the LANCE (bits 31..26) and the DC21x4 (bits 8..0) look at. */
uint32_t filter_crc_le(const uint8_t *mac);

#endif
