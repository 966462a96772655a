/* SPDX-License-Identifier: MIT */
/* DHCP options (RFC 2132) in a message: found, and written within bounds. */
#ifndef DHCP_OPTION_H
#define DHCP_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	OPT_PAD = 0, OPT_MASK = 1, OPT_ROUTER = 3, OPT_DNS = 6, OPT_HOSTNAME = 12, OPT_DOMAIN = 15, OPT_MTU = 26,
	OPT_BROADCAST = 28, OPT_REQUESTED = 50, OPT_LEASE = 51, OPT_OVERLOAD = 52, OPT_TYPE = 53, OPT_SERVER = 54,
	OPT_PARAMETERS = 55, OPT_MESSAGE = 56, OPT_MAX_SIZE = 57, OPT_T1 = 58, OPT_T2 = 59, OPT_CLASS = 60,
	OPT_CLIENT_ID = 61, OPT_TFTP_SERVER = 66, OPT_BOOTFILE = 67, OPT_SEARCH = 119, OPT_END = 255,

	/* the fixed part (RFC 2131 figure 1) */
	MSG_OP = 0, MSG_HTYPE = 1, MSG_HLEN = 2, MSG_XID = 4, MSG_SECS = 8, MSG_FLAGS = 10, MSG_CIADDR = 12,
	MSG_YIADDR = 16, MSG_SIADDR = 20, MSG_GIADDR = 24, MSG_CHADDR = 28, MSG_SNAME = 44, MSG_FILE = 108,
	MSG_COOKIE = 236,
	MSG_OPTIONS = 240, SNAME_LEN = 64, FILE_LEN = 128,
};

/* Where option values lie in a message: the first of each code counts. */
struct option_set {
	struct {
		const uint8_t *data;    /* NULL: absent */
		uint8_t len;
	} value[256];
};

/* Reads the options of a message of at least MSG_OPTIONS bytes, `file` and `sname` too if option 52 says so.  What is
 * cut off or behind the end is ignored. */
void option_parse(struct option_set *set, const uint8_t *message, size_t len);

struct option_writer {
	uint8_t *at, *end;              /* end leaves room for OPT_END */
	bool full;                      /* something did not fit */
};
/* Adds one whole option, or nothing. */
void option_put(struct option_writer *w, uint8_t code, const void *data, size_t len);
void option_put_u32(struct option_writer *w, uint8_t code, uint32_t host_order);
/* Option 119 (RFC 3397): a compressed list of names, in as many options as it takes. */
void option_put_search(struct option_writer *w, const char *const *names);
/* Encodes the list; returns its length, or 0 if a name is not one or there is no room. */
size_t option_encode_search(const char *const *names, uint8_t *out, size_t room);
/* The same without compression, as DHCPv6 (RFC 8415 section 10) and router advertisements want it. */
size_t option_encode_names(const char *const *names, uint8_t *out, size_t room);

#endif
