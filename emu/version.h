/* SPDX-License-Identifier: MIT */
/* The version that -version and the monitor show. */
#ifndef EMU_VERSION_H
#define EMU_VERSION_H

#define TENBOX_VERSION "0.1"

#endif
