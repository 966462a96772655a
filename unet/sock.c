/* SPDX-License-Identifier: MIT */
/* The host's own sockets: non-blocking system calls, watched by a loop (the owner). */
#include "unet/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unet/command.h"
#include "unet/unet.h"

enum {
	RESERVED_FDS = 48,              /* descriptors that the network leaves to the rest of the process */
	SOCK_PIECES = 128,              /* of one datagram */
};

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103                 /* linux/udp.h */
#define UDP_GRO 104
#endif

static socklen_t length_of(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_UNIX)
		return sizeof(struct sockaddr_un);
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static int result(int r)
{
	return r < 0 ? -errno : r;
}

/*
 * Descriptors are handed out lowest first, so a high number means that the table is nearly full.  The limit is looked up
 * when a number is higher than any before.
 */
static int keep_reserve(int fd)
{
	static int highest = -1;
	struct rlimit r;

	if (fd <= highest)
		return fd;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY &&
	    (rlim_t)fd + RESERVED_FDS >= r.rlim_cur) {
		close(fd);
		return -EMFILE;
	}
	highest = fd;
	return fd;
}

static int host_open(void *owner, int family, int type, int protocol)
{
	(void)owner;
	return keep_reserve(result(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)));
}

static void host_close(void *owner, int fd)
{
	(void)owner;
	close(fd);
}

static int host_bind(void *owner, int fd, const struct sockaddr_storage *a)
{
	(void)owner;
	return result(bind(fd, (const struct sockaddr *)a, length_of(a)));
}

static bool is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)a;

	if (a->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
	return a->ss_family == AF_INET && (ntohl(in->sin_addr.s_addr) >> 24) == 127;
}

static int host_connect(void *owner, int fd, const struct sockaddr_storage *a)
{
	int r = result(connect(fd, (const struct sockaddr *)a, length_of(a)));

	(void)owner;
	/* on loopback the handshake is done by now, or refused: asking again saves a round of the loop */
	if (r == -EINPROGRESS && is_loopback(a)) {
		r = result(connect(fd, (const struct sockaddr *)a, length_of(a)));
		if (r == -EALREADY)
			r = -EINPROGRESS;
		else if (r == -EISCONN)
			r = 0;
	}
	return r;
}

static int host_listen(void *owner, int fd, int backlog)
{
	(void)owner;
	return result(listen(fd, backlog));
}

static int host_accept(void *owner, int fd, struct sockaddr_storage *peer)
{
	socklen_t len = sizeof(*peer);

	(void)owner;
	return keep_reserve(result(accept4(fd, (struct sockaddr *)peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)));
}

static int host_name(void *owner, int fd, struct sockaddr_storage *a)
{
	socklen_t len = sizeof(*a);

	(void)owner;
	return result(getsockname(fd, (struct sockaddr *)a, &len));
}

static int host_error(void *owner, int fd)
{
	int e = 0;
	socklen_t len = sizeof(e);

	(void)owner;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		return -errno;
	return -e;
}

static int set_int(int fd, int level, int name, int value)
{
	return result(setsockopt(fd, level, name, &value, sizeof(value)));
}

static int host_set(void *owner, int fd, enum sock_option option, int value)
{
	struct linger linger = { 1, 0 };
	int family = AF_INET;
	socklen_t len = sizeof(family);

	(void)owner;
	switch (option) {
	case SOCK_RESET_ON_CLOSE:
		return result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	case SOCK_NODELAY:
		return set_int(fd, IPPROTO_TCP, TCP_NODELAY, value);
	case SOCK_REUSE:
		return set_int(fd, SOL_SOCKET, SO_REUSEADDR, value);
	case SOCK_KEEPALIVE:
		return set_int(fd, SOL_SOCKET, SO_KEEPALIVE, value);
	case SOCK_OOB_INLINE:
		return set_int(fd, SOL_SOCKET, SO_OOBINLINE, value);
	case SOCK_V6ONLY:
		return set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, value);
	case SOCK_PORT_LATER:
		return set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, value);
	case SOCK_MERGE:
		return set_int(fd, IPPROTO_UDP, UDP_GRO, value);
	case SOCK_LOCAL:
	case SOCK_TTL:
	case SOCK_ERROR_QUEUE:
		break;
	}
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	if (option == SOCK_LOCAL)
		return family == AF_INET6 ? set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, value) :
					    set_int(fd, IPPROTO_IP, IP_PKTINFO, value);
	if (family == AF_INET6)
		return set_int(fd, IPPROTO_IPV6, option == SOCK_TTL ? IPV6_UNICAST_HOPS : IPV6_RECVERR, value);
	return set_int(fd, IPPROTO_IP, option == SOCK_TTL ? IP_TTL : IP_RECVERR, value);
}

static ssize_t host_send(void *owner, int fd, const struct iovec *iov, int n, const struct sockaddr_storage *to)
{
	struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
	ssize_t r;

	(void)owner;
	if (to) {
		m.msg_name = (void *)to;
		m.msg_namelen = length_of(to);
	}
	do
		r = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t host_receive(void *owner, int fd, const struct iovec *iov, int n, struct sockaddr_storage *from)
{
	struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
	ssize_t r;

	(void)owner;
	if (from) {
		m.msg_name = from;
		m.msg_namelen = sizeof(*from);
	}
	do
		r = recvmsg(fd, &m, MSG_DONTWAIT | (from ? MSG_TRUNC : 0));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* --- datagrams in batches ---------------------------------------------------------------------------------------- */

/* Room for what goes along with one datagram: its segments' length and an address. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void read_control(struct msghdr *m, struct sock_in *d)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int size;

			memcpy(&size, CMSG_DATA(c), sizeof(size));
			d->segment = (uint32_t)size < d->len ? (uint16_t)size : 0;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct sockaddr_in *in = (struct sockaddr_in *)&d->local;
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			in->sin_family = AF_INET;
			in->sin_addr = info.ipi_spec_dst;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct sockaddr_in6 *in = (struct sockaddr_in6 *)&d->local;
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			in->sin6_family = AF_INET6;
			in->sin6_addr = info.ipi6_addr;
			in->sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
		}
	}
}

static int host_receive_many(void *owner, int fd, struct sock_in *d, int n)
{
	struct mmsghdr m[SOCK_BATCH];
	struct iovec iov[SOCK_BATCH];
	union control control[SOCK_BATCH];
	int r;

	(void)owner;
	n = n < SOCK_BATCH ? n : SOCK_BATCH;
	for (int i = 0; i < n; i++) {
		iov[i] = (struct iovec){ d[i].data, d[i].room };
		m[i].msg_hdr = (struct msghdr){ .msg_name = &d[i].from, .msg_namelen = sizeof(d[i].from), .msg_iov = &iov[i],
						.msg_iovlen = 1, .msg_control = control[i].bytes,
						.msg_controllen = sizeof(control[i].bytes) };
	}
	do
		r = recvmmsg(fd, m, (unsigned)n, MSG_DONTWAIT | MSG_TRUNC, NULL);
	while (r < 0 && errno == EINTR);
	for (int i = 0; i < r; i++) {
		d[i].len = m[i].msg_len;
		d[i].segment = 0;
		d[i].local.ss_family = AF_UNSPEC;
		read_control(&m[i].msg_hdr, &d[i]);
	}
	return r < 0 ? -errno : r;
}

static struct cmsghdr *add_control(struct msghdr *m, union control *room, int level, int type, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(room->bytes + m->msg_controllen);

	m->msg_control = room->bytes;
	m->msg_controllen += CMSG_SPACE(len);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	return c;
}

static void describe(struct msghdr *m, union control *room, const struct sock_out *d)
{
	*m = (struct msghdr){ .msg_name = (void *)d->to, .msg_namelen = length_of(d->to), .msg_iov = (struct iovec *)d->iov,
			      .msg_iovlen = (size_t)d->n };
	memset(room, 0, sizeof(*room));
	if (d->segment)
		memcpy(CMSG_DATA(add_control(m, room, IPPROTO_UDP, UDP_SEGMENT, sizeof(d->segment))), &d->segment,
		       sizeof(d->segment));
	if (d->local && d->local->ss_family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst = ((const struct sockaddr_in *)d->local)->sin_addr };

		memcpy(CMSG_DATA(add_control(m, room, IPPROTO_IP, IP_PKTINFO, sizeof(info))), &info, sizeof(info));
	} else if (d->local && d->local->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)d->local;
		struct in6_pktinfo info = { .ipi6_addr = in->sin6_addr, .ipi6_ifindex = in->sin6_scope_id };

		memcpy(CMSG_DATA(add_control(m, room, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(info))), &info, sizeof(info));
	}
}

/* Segments one by one, for a host or a path that does not cut them.  Returns 1, or -errno if the first fails. */
static int send_singly(int fd, const struct sock_out *d)
{
	struct sock_out one = { .to = d->to, .local = d->local };
	size_t skip = 0;
	int at = 0, sent = 0;

	while (at < d->n) {
		struct iovec iov[SOCK_PIECES];
		union control control;
		struct msghdr m;
		size_t left = d->segment;
		int n = 0;

		while (left && at < d->n && n < SOCK_PIECES) {
			size_t here = d->iov[at].iov_len - skip;

			here = here < left ? here : left;
			iov[n++] = (struct iovec){ (char *)d->iov[at].iov_base + skip, here };
			left -= here;
			skip += here;
			if (skip == d->iov[at].iov_len) {
				at++;
				skip = 0;
			}
		}
		one.iov = iov;
		one.n = n;
		describe(&m, &control, &one);
		if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && !sent)
			return -errno;
		sent = 1;
	}
	return 1;
}

static int host_send_many(void *owner, int fd, const struct sock_out *d, int n)
{
	struct mmsghdr m[SOCK_BATCH];
	union control control[SOCK_BATCH];
	int r;

	(void)owner;
	n = n < SOCK_BATCH ? n : SOCK_BATCH;
	for (int i = 0; i < n; i++)
		describe(&m[i].msg_hdr, &control[i], &d[i]);
	do
		r = sendmmsg(fd, m, (unsigned)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r < 0 && d->segment && (errno == EINVAL || errno == EIO || errno == EMSGSIZE || errno == ENOPROTOOPT ||
				    errno == EOPNOTSUPP))
		return send_singly(fd, d);
	return r < 0 ? -errno : r;
}

static ssize_t host_send_urgent(void *owner, int fd, uint8_t byte)
{
	ssize_t r = send(fd, &byte, 1, MSG_OOB | MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)owner;
	return r < 0 ? -errno : r;
}

static int host_at_mark(void *owner, int fd)
{
	(void)owner;
	return result(sockatmark(fd));
}

static int host_errors(void *owner, int fd, struct sock_error *e)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6)) + 64];
	} control;
	struct iovec iov = { e->data, sizeof(e->data) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &e->to, .msg_namelen = sizeof(e->to),
			    .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	ssize_t r;

	(void)owner;
	e->to.ss_family = e->offender.ss_family = AF_UNSPEC;
	e->icmp = 0;
	e->error = 0;
	r = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
	if (r < 0)
		return -errno;
	e->len = (uint32_t)r;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct sock_extended_err x;
		size_t room = c->cmsg_len - CMSG_LEN(0), want;

		if (!((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		      (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) || room < sizeof(x))
			continue;
		memcpy(&x, CMSG_DATA(c), sizeof(x));
		e->error = (int)x.ee_errno;
		e->icmp = x.ee_origin == SO_EE_ORIGIN_ICMP ? 4 : x.ee_origin == SO_EE_ORIGIN_ICMP6 ? 6 : 0;
		e->type = x.ee_type;
		e->code = x.ee_code;
		e->info = x.ee_info;
		want = e->icmp == 6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
		if (e->icmp && room >= sizeof(x) + want)
			memcpy(&e->offender, CMSG_DATA(c) + sizeof(x), want);
	}
	return 0;
}

static uint32_t host_round_trip(void *owner, int fd)
{
	struct tcp_info info = { .tcpi_rtt = 0 };
	socklen_t len = sizeof(info);

	(void)owner;
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ? 0 : info.tcpi_rtt;
}

static int host_shutdown(void *owner, int fd)
{
	(void)owner;
	return result(shutdown(fd, SHUT_WR));
}

static int host_watch(void *owner, int fd, struct loop_fd *w, unsigned events,
		      void (*ready)(void *owner, unsigned events), void *ready_owner)
{
	return loop_add(owner, w, fd, events, ready, ready_owner);
}

static void host_rewatch(void *owner, struct loop_fd *w, unsigned events)
{
	(void)owner;
	loop_change(w, events);
}

static void host_unwatch(void *owner, struct loop_fd *w)
{
	(void)owner;
	loop_remove(w);
}

static ssize_t host_file(void *owner, const char *path, char *buf, size_t size, uint64_t *stamp)
{
	struct stat st;
	ssize_t n, got = 0;
	int fd;

	(void)owner;
	if (stat(path, &st) < 0)
		return -errno;
	*stamp = ((uint64_t)st.st_mtim.tv_sec * 1000000007u) ^ (uint64_t)st.st_mtim.tv_nsec ^
		 ((uint64_t)st.st_ino << 20) ^ ((uint64_t)st.st_size << 40);
	if (!buf)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	while ((size_t)got < size && (n = read(fd, buf + got, size - (size_t)got)) > 0)
		got += n;
	close(fd);
	return got;
}

static int host_run(void *owner, struct commands **all, const char *command)
{
	return keep_reserve(commands_run(all, owner, command));
}

static void host_stop(void *owner, struct commands *all)
{
	(void)owner;
	commands_free(all);
}

static int host_device(void *owner, int fd, const char *name)
{
	(void)owner;
	return result(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)));
}

static int host_remove(void *owner, const char *path)
{
	struct stat st;

	(void)owner;
	if (lstat(path, &st) < 0)
		return -errno;
	return S_ISSOCK(st.st_mode) ? result(unlink(path)) : -EEXIST;
}

static const char *host_look_up(void *owner, const char *name, uint16_t port, struct sockaddr_storage *a)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *found;
	int e = getaddrinfo(name, NULL, &hints, &found);

	(void)owner;
	if (e)
		return gai_strerror(e);
	memset(a, 0, sizeof(*a));
	memcpy(a, found->ai_addr, found->ai_addrlen);
	if (a->ss_family == AF_INET6)
		((struct sockaddr_in6 *)a)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)a)->sin_port = htons(port);
	freeaddrinfo(found);
	return NULL;
}

const struct unet_sockets *unet_host_sockets(void)
{
	static const struct unet_sockets host = {
		.open = host_open, .close = host_close, .bind = host_bind, .connect = host_connect,
		.listen = host_listen, .accept = host_accept, .name = host_name, .error = host_error,
		.set = host_set, .send = host_send, .receive = host_receive, .send_urgent = host_send_urgent,
		.receive_many = host_receive_many, .send_many = host_send_many, .at_mark = host_at_mark, .errors = host_errors,
		.round_trip = host_round_trip, .shutdown = host_shutdown, .watch = host_watch, .rewatch = host_rewatch, .unwatch = host_unwatch,
		.file = host_file, .run = host_run, .stop = host_stop, .device = host_device, .remove = host_remove,
		.look_up = host_look_up,
	};

	return &host;
}
