/* SPDX-License-Identifier: MIT */
/* `info usernet`: one line per flow and forward, in the columns that QEMU's users know. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "unet/stack.h"

static void address(const struct addr *a, char text[INET6_ADDRSTRLEN])
{
	if (addr_is4(a) && addr_v4(a) == 0)
		strcpy(text, "*");
	else if (!inet_ntop(addr_is4(a) ? AF_INET : AF_INET6, addr_wire(a), text, INET6_ADDRSTRLEN))
		strcpy(text, "?");
}

static void port(int number, char text[8])
{
	if (number < 0)
		strcpy(text, " -   ");
	else
		snprintf(text, 8, "%5d", number & 0xffff);
}

/* What QEMU does not show: bytes both ways, age in seconds, and the time to the far end and back in milliseconds. */
static void print_more(struct unet *u, const struct print_row *r, char *at, size_t room)
{
	char rtt[16] = "-";

	if (r->rtt_us)
		snprintf(rtt, sizeof(rtt), "%" PRIu32 ".%02" PRIu32, r->rtt_us / 1000, r->rtt_us / 10 % 100);
	snprintf(at, room, " %10" PRIu64 " %10" PRIu64 " %5" PRIu64 " %7s", r->to_host, r->to_guest,
		 (unet_now(u) - r->opened_ns) / S(1), rtt);
}

void print_row(struct unet *u, const struct print_row *r, void (*out)(void *to, const char *line), void *to)
{
	char line[300], a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN], p[8], q[8];

	address(&r->src, a);
	address(&r->dst, b);
	port(r->src_port, p);
	port(r->dst_port, q);
	snprintf(line, sizeof(line), "%-19s %3d %15s %s %15s %s %5u %5u", r->label, r->fd, a, p, b, q, r->recvq, r->sendq);
	if (r->flow)
		print_more(u, r, line + strlen(line), sizeof(line) - strlen(line));
	out(to, line);
}

void print_path_row(void (*out)(void *to, const char *line), void *to, int fd, const char *path, const struct addr *dst,
		    int dst_port)
{
	char line[300], b[INET6_ADDRSTRLEN];

	address(dst, b);
	snprintf(line, sizeof(line), "%-19s %3d %15s %5s %15s %5d %5u %5u  %s", "  UNIX[HOSTFWD]", fd, "-", "-", b,
		 dst_port, 0, 0, path);
	out(to, line);
}

void print_guestfwd_row(void (*out)(void *to, const char *line), void *to, const struct addr *a, int port, bool command,
			const char *target)
{
	char line[300], b[INET6_ADDRSTRLEN];

	address(a, b);
	snprintf(line, sizeof(line), "%-19s %3s %15s %5s %15s %5d %5u %5u  %s%s", "  TCP[GUESTFWD]", "-", "*", "-", b,
		 port, 0, 0, command ? "cmd:" : "", target);
	out(to, line);
}

void unet_print(struct unet *u, void (*out)(void *to, const char *line), void *to)
{
	out(to, "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ"
		"     ToHost    ToGuest   Age  RTT ms");
	fwd_print(u, out, to);
	guestfwd_print(u, out, to);
	tcp_print(u, out, to);
	mappings_print(u, &u->udp, "UDP", true, out, to);
	mappings_print(u, &u->icmp, "ICMP", false, out, to);
}

void unet_print_counters(const struct unet *u, void (*out)(void *to, const char *line), void *to)
{
	char line[120];

#define X(name, text) \
	snprintf(line, sizeof(line), "%-20s %12" PRIu64 "  %s", #name, u->counters.name, text); \
	out(to, line);
	UNET_COUNTERS(X)
#undef X
}

void unet_get_counters(const struct unet *u, struct unet_counters *out)
{
	*out = u->counters;
}
