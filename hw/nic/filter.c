/* SPDX-License-Identifier: MIT */
#include "hw/nic/filter.h"

bool filter_has(const struct filter_table *t, const uint8_t *mac)
{
	for (unsigned i = 0; i < t->count; i++)
		if (!memcmp(t->mac[i], mac, ETH_ALEN))
			return true;
	return false;
}

uint32_t filter_crc(const uint8_t *mac)
{
	uint32_t crc = UINT32_MAX;

	for (unsigned i = 0; i < ETH_ALEN; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			uint32_t feedback = (crc >> 31) ^ (mac[i] >> bit & 1);

			crc = crc << 1 ^ (feedback ? 0x04c11db7 : 0);
		}
	return crc;
}

uint32_t filter_crc_le(const uint8_t *mac)
{
	uint32_t crc = filter_crc(mac), back = 0;

	for (unsigned bit = 0; bit < 32; bit++)
		back |= (crc >> bit & 1) << (31 - bit);
	return back;
}
