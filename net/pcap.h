/* SPDX-License-Identifier: MIT */
/* -object filter-dump: the frames of a port into a pcap file (classic format, microseconds, Ethernet). */
#ifndef NET_PCAP_H
#define NET_PCAP_H

#include <stdint.h>

#include "base/err.h"
#include "net/port.h"

struct pcap;

/*
 * Make the file and write its header; frames are cut to maxlen bytes.  now: virtual ns, counted from the host's time of day at the
 * call.  NULL with err, and no file, if it cannot be written.
 */
struct pcap *pcap_open(const char *path, uint32_t maxlen, uint64_t (*now)(void *owner), void *owner, struct err *err);
/* To hang into a port; the caller takes it out again before pcap_close. */
struct port_filter *pcap_filter(struct pcap *p);
void pcap_close(struct pcap *p);

#endif
