/* SPDX-License-Identifier: MIT */
/* `info usernet`: one line per flow and forward, in the columns that QEMU's users know. */
#include <arpa/inet.h>
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

void print_row(void (*out)(void *to, const char *line), void *to, const char *label, int fd, const struct addr *src,
	       int src_port, const struct addr *dst, int dst_port, uint32_t recvq, uint32_t sendq)
{
	char line[200], a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN], p[8], q[8];

	address(src, a);
	address(dst, b);
	port(src_port, p);
	port(dst_port, q);
	snprintf(line, sizeof(line), "%-19s %3d %15s %s %15s %s %5u %5u", label, fd, a, p, b, q, recvq, sendq);
	out(to, line);
}

void print_path_row(void (*out)(void *to, const char *line), void *to, int fd, const char *path, const struct addr *dst,
		    int dst_port)
{
	char line[300], b[INET6_ADDRSTRLEN];

	address(dst, b);
	snprintf(line, sizeof(line), "%-19s %3d %15s %5s %15s %5d %5u %5u  %s", "  UNIX[HOST_FORWARD]", fd, "-", "-", b, dst_port, 0,
		 0, path);
	out(to, line);
}

void print_guestfwd_row(void (*out)(void *to, const char *line), void *to, const struct addr *a, int port, bool command,
			const char *target)
{
	char line[300], b[INET6_ADDRSTRLEN];

	address(a, b);
	snprintf(line, sizeof(line), "%-19s %3s %15s %5s %15s %5d %5u %5u  %s%s", "  TCP[GUEST_FORWARD]", "-", "*", "-", b, port, 0, 0,
		 command ? "cmd:" : "", target);
	out(to, line);
}

void unet_print(struct unet *u, void (*out)(void *to, const char *line), void *to)
{
	out(to, "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ");
	fwd_print(u, out, to);
	guestfwd_print(u, out, to);
	tcp_print(u, out, to);
	mappings_print(u, &u->udp, "UDP", true, out, to);
	mappings_print(u, &u->icmp, "ICMP", false, out, to);
}

void unet_get_counters(const struct unet *u, struct unet_counters *out)
{
	*out = u->counters;
}
