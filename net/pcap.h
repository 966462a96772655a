/* SPDX-License-Identifier: MIT */
/* Frames of a port written to a capture file (-object filter-dump). */
#ifndef NET_PCAP_H
#define NET_PCAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "net/port.h"

enum { PCAP_BOTH, PCAP_FROM_OWNER, PCAP_TO_OWNER };    /* which frames, seen from the port that is watched */

struct pcap_config {
	const char *path;               /* created, or emptied */
	uint32_t maxlen;                /* bytes of a frame that are kept; 0: 65536 */
	const struct clock *clock;      /* timestamps are its time ... */
	uint64_t base_ns;               /* ... and this, the wall clock's time at its zero */
	int direction;
};

struct pcap;

/*
 * Opens the file and watches p.  NULL with err ("PATH: reason"), and no new file.  Each frame is one record as it crosses: a GSO frame
 * is one long frame, a sum still to be made is not made yet.
 */
struct pcap *pcap_new(const struct pcap_config *config, struct port *p, struct err *err);
/* Stops watching and closes the file. */
void pcap_free(struct pcap *s);

#endif
