/* SPDX-License-Identifier: MIT */
/* A picture of what a display shows. */
#ifndef HW_DISPLAY_H
#define HW_DISPLAY_H

#include <stdint.h>

struct image {
	unsigned width, height;         /* pixels */
	uint8_t *rgb;                   /* 3 bytes a pixel, rows from the top; malloc'ed, the receiver frees it */
};

#endif
