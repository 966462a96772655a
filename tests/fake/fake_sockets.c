/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_sockets.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "tests/fake/fake_digest.h"

static struct fake_socket *get(struct fake_sockets *f, int fd)
{
	assert(fd >= 3 && fd < f->high && f->s[fd].open);
	return &f->s[fd];
}

void fake_address(struct sockaddr_storage *a, const char *ip, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)a;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)a;

	memset(a, 0, sizeof(*a));
	if (strchr(ip, ':')) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		if (inet_pton(AF_INET6, ip, &in6->sin6_addr) != 1)
			abort();
		return;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	if (inet_pton(AF_INET, ip, &in->sin_addr) != 1)
		abort();
}

const char *fake_text(const struct sockaddr_storage *a)
{
	static char text[80];
	char ip[INET6_ADDRSTRLEN];

	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)a;

		snprintf(text, sizeof(text), "%s:%u", inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip)), ntohs(in->sin_port));
	} else if (a->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)a;

		snprintf(text, sizeof(text), "[%s]:%u", inet_ntop(AF_INET6, &in->sin6_addr, ip, sizeof(ip)),
			 ntohs(in->sin6_port));
	} else {
		strcpy(text, "none");
	}
	return text;
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

static void digest_address(char what, int fd, const struct sockaddr_storage *a)
{
	const char *text = fake_digest_on ? fake_text(a) : "";

	fake_digest(what, (uint64_t)fd, text, strlen(text));
}

/* All zero again; of the large tables only what was used. */
static void forget(struct fake_socket *s)
{
	unsigned out = MIN(s->out_count, FAKE_DATAGRAMS), in = s->in_high;

	free(s->sent);
	free(s->input);
	for (unsigned i = 0; i < out; i++)
		free(s->out[i].data);
	for (unsigned i = 0; i < in; i++)
		free(s->in[i].data);
	memset(s, 0, offsetof(struct fake_socket, out));
	memset(s->out, 0, out * sizeof(s->out[0]));
	memset(s->in, 0, in * sizeof(s->in[0]));
}

static int take_fd(struct fake_sockets *f)
{
	int fd = 3;

	if (f->open_count >= f->open_limit)
		return -EMFILE;
	while (fd < f->high && f->s[fd].open)
		fd++;
	if (fd == FAKE_SOCKETS)
		return -EMFILE;
	if (fd >= f->high)
		f->high = fd + 1;
	forget(&f->s[fd]);
	f->s[fd].open = true;
	f->s[fd].send_space = SIZE_MAX;
	f->open_count++;
	f->s[fd].born = ++f->opened;
	f->last_open = fd;
	return fd;
}

static int open_(void *owner, int family, int type, int protocol)
{
	struct fake_sockets *f = owner;
	int fd = f->open_error < 0 ? f->open_error : f->no_ipv6 && family == AF_INET6 ? -EAFNOSUPPORT : take_fd(f);

	if (f->on_open)
		f->on_open();
	fake_digest('O', (uint64_t)family << 32 | (uint64_t)type << 16 | (uint64_t)protocol, &fd, sizeof(fd));
	if (fd >= 0) {
		f->s[fd].family = family;
		f->s[fd].type = type;
		f->s[fd].protocol = protocol;
		fake_address(&f->s[fd].local, "0.0.0.0", 0);
	}
	return fd;
}

static void close_(void *owner, int fd)
{
	struct fake_sockets *f = owner;
	struct fake_socket *s = get(f, fd);

	assert(!s->watch);
	fake_digest('C', s->reset_on_close, &fd, sizeof(fd));
	s->open = false;
	f->open_count--;
	f->last_closed = fd;
	f->last_closed_reset = s->reset_on_close;
	f->resets += s->reset_on_close;
}

static int bind_(void *owner, int fd, const struct sockaddr_storage *a)
{
	struct fake_sockets *f = owner;
	struct fake_socket *s = get(f, fd);
	struct sockaddr_in *in = (struct sockaddr_in *)&s->local;

	digest_address('B', fd, a);
	if (a->ss_family == AF_UNIX) {
		const char *path = ((const struct sockaddr_un *)a)->sun_path;
		bool taken = !strcmp(path, f->stale);

		for (int i = 3; i < f->high; i++)
			taken |= f->s[i].open && f->s[i].local.ss_family == AF_UNIX &&
				 !strcmp(((const struct sockaddr_un *)&f->s[i].local)->sun_path, path);
		if (!taken)
			memcpy(&s->local, a, sizeof(s->local));
		return taken ? -EADDRINUSE : 0;
	}
	if (f->bind_error)
		return -f->bind_error;
	for (int i = 3; i < f->high; i++)
		if (i != fd && f->s[i].open && f->s[i].type == s->type && ((const struct sockaddr_in *)a)->sin_port &&
		    !memcmp(&f->s[i].local, a, sizeof(struct sockaddr_in)))
			return -EADDRINUSE;
	memcpy(&s->local, a, sizeof(s->local));
	if (!in->sin_port)
		in->sin_port = htons(f->next_port++);
	return 0;
}

static int connect_(void *owner, int fd, const struct sockaddr_storage *a)
{
	struct fake_sockets *f = owner;
	struct fake_socket *s = get(f, fd);
	int r = s->type == SOCK_DGRAM ? 0 : f->on_connect ? f->on_connect(f->on_connect_owner, a) : f->connect_result;

	digest_address('P', fd, a);
	memcpy(&s->peer, a, sizeof(s->peer));
	if (s->type == SOCK_DGRAM && *f->own && !strncmp(fake_text(a), f->own, strlen(f->own)))
		memcpy(&s->local, a, sizeof(s->local));
	s->connected = r == 0;
	s->connecting = r == -EINPROGRESS;
	return r;
}

static int run_(void *owner, struct commands **all, const char *command)
{
	struct fake_sockets *f = owner;
	int fd = f->run_error < 0 ? f->run_error : take_fd(f);

	if (fd < 0)
		return fd;
	f->s[fd].family = AF_UNIX;
	f->s[fd].type = SOCK_STREAM;
	f->s[fd].connected = true;
	snprintf(f->command, sizeof(f->command), "%s", command);
	*all = (struct commands *)f;            /* never looked into */
	return fd;
}

static void stop_(void *owner, struct commands *all)
{
	struct fake_sockets *f = owner;

	assert(all == (struct commands *)f);
	f->stopped = true;
}

static int device_(void *owner, int fd, const char *name)
{
	struct fake_socket *s = get(owner, fd);

	if (!strcmp(name, "none"))
		return -ENODEV;
	snprintf(s->device, sizeof(s->device), "%s", name);
	return 0;
}

static int remove_(void *owner, const char *path)
{
	struct fake_sockets *f = owner;

	f->removed++;
	if (!strcmp(path, f->stale))
		f->stale[0] = '\0';
	return 0;
}

static int listen_(void *owner, int fd, int backlog)
{
	fake_digest('L', (uint64_t)backlog, &fd, sizeof(fd));
	get(owner, fd)->listening = true;
	return 0;
}

static int accept_(void *owner, int fd, struct sockaddr_storage *peer)
{
	struct fake_sockets *f = owner;
	struct fake_socket *s = get(f, fd);
	int n;

	if (!s->client_count)
		return -EAGAIN;
	n = take_fd(f);
	if (n < 0)
		return n;
	*peer = s->clients[0];
	memmove(s->clients, s->clients + 1, --s->client_count * sizeof(s->clients[0]));
	f->s[n].family = peer->ss_family;
	f->s[n].type = SOCK_STREAM;
	f->s[n].connected = true;
	f->s[n].peer = *peer;
	return n;
}

static int name_(void *owner, int fd, struct sockaddr_storage *a)
{
	*a = get(owner, fd)->local;
	return 0;
}

static int error_(void *owner, int fd)
{
	struct fake_socket *s = get(owner, fd);
	int e = s->pending_error;

	s->pending_error = 0;
	return -e;
}

static int set_(void *owner, int fd, enum sock_option option, int value)
{
	struct fake_socket *s = get(owner, fd);

	fake_digest('s', (uint64_t)option << 32 | (uint32_t)value, &fd, sizeof(fd));
	if (option == SOCK_RESET_ON_CLOSE)
		s->reset_on_close = true;
	else if (option == SOCK_TTL)
		s->ttl = value;
	else if (option == SOCK_LOCAL)
		s->tell_local = value;
	else if (option == SOCK_KEEPALIVE)
		s->keepalive = value;
	return 0;
}

static size_t total(const struct iovec *iov, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

static void gather(uint8_t *to, const struct iovec *iov, int n, size_t len)
{
	for (int i = 0; i < n && len; i++) {
		size_t here = MIN(len, iov[i].iov_len);

		memcpy(to, iov[i].iov_base, here);
		to += here;
		len -= here;
	}
}

static size_t scatter(const struct iovec *iov, int n, const uint8_t *from, size_t len)
{
	size_t done = 0;

	for (int i = 0; i < n && done < len; i++) {
		size_t here = MIN(len - done, iov[i].iov_len);

		memcpy(iov[i].iov_base, from + done, here);
		done += here;
	}
	return done;
}

static void keep_datagram(struct fake_datagram *d, const struct sockaddr_storage *a, size_t len)
{
	free(d->data);
	d->addr = *a;
	d->local.ss_family = AF_UNSPEC;
	d->segment = 0;
	d->len = len;
	d->data = malloc(len + 1);
	assert(d->data);
}

static ssize_t send_(void *owner, int fd, const struct iovec *iov, int n, const struct sockaddr_storage *to)
{
	struct fake_socket *s = get(owner, fd);
	size_t len = total(iov, n);

	if (s->type == SOCK_DGRAM) {
		struct fake_datagram *d = &s->out[s->out_count % FAKE_DATAGRAMS];
		int e = s->send_error;

		s->send_error = 0;
		if (e)
			return -e;
		keep_datagram(d, to ? to : &s->peer, len);
		d->ttl = s->ttl;
		gather(d->data, iov, n, len);
		digest_address('T', s->ttl, &d->addr);
		fake_digest('D', (uint64_t)fd, d->data, len);
		s->out_count++;
		return (ssize_t)len;
	}
	s->send_calls++;
	if (s->pending_error || !s->connected || s->shut)
		return s->pending_error ? -s->pending_error : -EPIPE;
	len = MIN(len, s->send_space);
	if (!len)
		return -EAGAIN;
	if (s->send_space != SIZE_MAX)
		s->send_space -= len;
	if (s->sent_len + len > s->sent_room) {
		s->sent_room = 2 * (s->sent_len + len);
		s->sent = realloc(s->sent, s->sent_room);
		assert(s->sent);
	}
	gather(s->sent + s->sent_len, iov, n, len);
	fake_digest('S', (uint64_t)fd, s->sent + s->sent_len, len);
	s->sent_len += len;
	return (ssize_t)len;
}

static ssize_t receive_(void *owner, int fd, const struct iovec *iov, int n, struct sockaddr_storage *from)
{
	struct fake_socket *s = get(owner, fd);
	size_t got;

	if (s->pending_error) {
		int e = s->pending_error;

		s->pending_error = 0;
		return -e;
	}
	if (s->type == SOCK_DGRAM) {
		struct fake_datagram *d = &s->in[s->in_first];

		if (!s->in_count)
			return -EAGAIN;
		scatter(iov, n, d->data, d->len);
		if (from)
			*from = d->addr;
		s->in_first = (s->in_first + 1) % FAKE_DATAGRAMS;
		s->in_count--;
		return (ssize_t)d->len;
	}
	got = s->input_len - s->input_at;
	if (s->mark > s->input_at + 1)          /* as Linux: up to urgent data, then it */
		got = MIN(got, s->mark - 1 - s->input_at);
	got = got ? scatter(iov, n, s->input + s->input_at, got) : 0;
	s->input_at += got;
	if (s->input_at >= s->mark)
		s->mark = 0;
	return got ? (ssize_t)got : s->eof ? 0 : -EAGAIN;
}

static int receive_many_(void *owner, int fd, struct sock_in *d, int n)
{
	struct fake_socket *s = get(owner, fd);

	for (int i = 0; i < n; i++) {
		struct fake_datagram *in = &s->in[s->in_first];
		struct iovec iov = { d[i].data, d[i].room };
		ssize_t r;

		d[i].segment = s->in_count ? in->segment : 0;
		d[i].local.ss_family = AF_UNSPEC;
		if (s->in_count && s->tell_local)
			d[i].local = in->local;
		r = receive_(owner, fd, &iov, 1, &d[i].from);
		if (r < 0)
			return i ? i : (int)r;
		d[i].len = (uint32_t)r;
	}
	return n;
}

static int send_many_(void *owner, int fd, const struct sock_out *d, int n)
{
	struct fake_socket *s = get(owner, fd);

	s->many_calls++;
	for (int i = 0; i < n; i++) {
		size_t len = total(d[i].iov, d[i].n), each = d[i].segment ? d[i].segment : len, at = 0;
		uint8_t *all = malloc(len + 1);

		assert(all && (!d[i].segment || (len + each - 1) / each <= SOCK_SEGMENTS));
		gather(all, d[i].iov, d[i].n, len);
		s->merged += d[i].segment != 0;
		do {
			struct iovec iov = { all + at, MIN(each, len - at) };
			ssize_t r = send_(owner, fd, &iov, 1, d[i].to);

			if (r < 0) {
				free(all);
				return i ? i : (int)r;
			}
			if (d[i].local)
				s->out[(s->out_count - 1) % FAKE_DATAGRAMS].local = *d[i].local;
			at += each;
		} while (at < len);
		free(all);
	}
	return n;
}

static ssize_t send_urgent_(void *owner, int fd, uint8_t byte)
{
	struct fake_socket *s = get(owner, fd);
	struct iovec iov = { &byte, 1 };
	ssize_t r = send_(owner, fd, &iov, 1, NULL);

	if (r == 1) {
		s->urgent_sent++;
		s->urgent_at = s->sent_len - 1;
	}
	return r;
}

static int at_mark_(void *owner, int fd)
{
	struct fake_socket *s = get(owner, fd);

	return s->mark == s->input_at + 1;
}

static int errors_(void *owner, int fd, struct sock_error *e)
{
	struct fake_socket *s = get(owner, fd);

	if (!s->error_count)
		return -EAGAIN;
	*e = s->errors[0];
	memmove(s->errors, s->errors + 1, --s->error_count * sizeof(s->errors[0]));
	return 0;
}

static uint32_t round_trip_(void *owner, int fd)
{
	return get(owner, fd)->connected ? 1230 : 0;
}

static int shutdown_(void *owner, int fd)
{
	struct fake_socket *s = get(owner, fd);

	fake_digest('H', (uint64_t)fd, NULL, 0);
	s->shut = true;
	s->shutdowns++;
	return 0;
}

static int watch_(void *owner, int fd, struct loop_fd *w, unsigned events, void (*ready)(void *owner, unsigned events),
		  void *ready_owner)
{
	struct fake_socket *s = get(owner, fd);

	assert(!s->watch);
	*w = (struct loop_fd){ .loop = (struct loop *)owner, .fd = fd, .events = events, .ready = ready, .owner = ready_owner };
	s->watch = w;
	return 0;
}

static void rewatch_(void *owner, struct loop_fd *w, unsigned events)
{
	get(owner, w->fd)->rewatches += w->events != events;
	w->events = events;
}

static void unwatch_(void *owner, struct loop_fd *w)
{
	if (!w->loop)
		return;
	get(owner, w->fd)->watch = NULL;
	w->loop = NULL;
}

static ssize_t file_(void *owner, const char *path, char *buf, size_t size, uint64_t *stamp)
{
	struct fake_sockets *f = owner;
	size_t n = MIN(size, strlen(f->file));

	(void)path;
	if (f->file_error)
		return -f->file_error;
	*stamp = f->file_stamp;
	if (!buf)
		return 0;
	f->file_reads++;
	memcpy(buf, f->file, n);
	return (ssize_t)n;
}

static const char *look_up_(void *owner, const char *name, uint16_t port, struct sockaddr_storage *a)
{
	struct sockaddr_in *in = (struct sockaddr_in *)a;

	(void)owner;
	if (strcmp(name, "known.example"))
		return "Name or service not known";
	memset(a, 0, sizeof(*a));
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr("192.0.2.80");
	in->sin_port = htons(port);
	return NULL;
}

const struct unet_sockets fake_sockets_ops = {
	.open = open_, .close = close_, .bind = bind_, .connect = connect_, .listen = listen_, .accept = accept_,
	.name = name_, .error = error_, .set = set_, .send = send_, .receive = receive_, .errors = errors_,
	.receive_many = receive_many_, .send_many = send_many_, .send_urgent = send_urgent_, .at_mark = at_mark_,
	.round_trip = round_trip_, .shutdown = shutdown_, .watch = watch_, .rewatch = rewatch_, .unwatch = unwatch_, .file = file_,
	.run = run_, .stop = stop_, .device = device_, .remove = remove_, .look_up = look_up_,
};

/* --- the other side --------------------------------------------------------------------------------------------- */

/* The last table freed, all zero: a fuzzer makes one for each input, and they are large. */
static struct fake_socket *spare;

void fake_sockets_init(struct fake_sockets *f)
{
	memset(f, 0, sizeof(*f));
	f->s = spare ? spare : calloc(FAKE_SOCKETS, sizeof(*f->s));
	assert(f->s);
	spare = NULL;
	f->high = 3;
	f->open_limit = FAKE_SOCKETS - 3;
	f->next_port = 40000;
	f->own = "";
	f->file_stamp = 1;
	f->last_open = f->last_closed = -1;
}

void fake_sockets_free(struct fake_sockets *f)
{
	for (int i = 3; i < f->high; i++)
		forget(&f->s[i]);
	free(spare);
	spare = f->s;
}

static unsigned ready(const struct fake_socket *s)
{
	unsigned events = 0;
	bool unread = s->input_at < s->input_len || s->eof;

	if (!s->open || !s->watch)
		return 0;
	if (s->pending_error || s->error_count || (s->eof && s->shut))
		events |= LOOP_HUP;
	if ((s->watch->events & LOOP_READ) && (s->listening ? s->client_count > 0 : s->type == SOCK_DGRAM ? s->in_count > 0 :
					       unread || s->pending_error))
		events |= LOOP_READ;
	if ((s->watch->events & LOOP_PRI) && s->mark)
		events |= LOOP_PRI;
	if ((s->watch->events & LOOP_WRITE) && !s->connecting && (s->send_space || s->pending_error))
		events |= LOOP_WRITE;
	return events;
}

void fake_sockets_poll(struct fake_sockets *f, int rounds)
{
	bool any = true;

	while (any && rounds-- > 0) {
		any = false;
		for (int i = 3; i < f->high; i++) {
			unsigned events = ready(&f->s[i]);

			if (!events)
				continue;
			f->s[i].watch->ready(f->s[i].watch->owner, events);
			any = true;
		}
	}
}

void fake_sockets_resolv(struct fake_sockets *f, const char *text)
{
	snprintf(f->file, sizeof(f->file), "%s", text);
	f->file_stamp++;
}

void fake_connect_done(struct fake_sockets *f, int fd, int error)
{
	struct fake_socket *s = get(f, fd);

	s->connecting = false;
	s->connected = error == 0;
	s->pending_error = error;
}

void fake_peer_sends(struct fake_sockets *f, int fd, const void *data, size_t len)
{
	struct fake_socket *s = get(f, fd);

	if (!len)
		return;
	if (s->input_at < s->input_len)
		memmove(s->input, s->input + s->input_at, s->input_len - s->input_at);
	s->mark -= MIN(s->mark, s->input_at);
	s->input_len -= s->input_at;
	s->input_at = 0;
	s->input = realloc(s->input, s->input_len + len);
	assert(s->input);
	memcpy(s->input + s->input_len, data, len);
	s->input_len += len;
}

void fake_peer_sends_urgent(struct fake_sockets *f, int fd, const void *data, size_t len)
{
	struct fake_socket *s = get(f, fd);

	fake_peer_sends(f, fd, data, len);
	s->mark = s->input_len;
}

void fake_peer_closes(struct fake_sockets *f, int fd)
{
	get(f, fd)->eof = true;
}

void fake_peer_resets(struct fake_sockets *f, int fd)
{
	struct fake_socket *s = get(f, fd);

	s->pending_error = ECONNRESET;
	s->connected = false;
}

void fake_peer_datagram(struct fake_sockets *f, int fd, const char *from, uint16_t port, const void *data, size_t len)
{
	struct fake_socket *s = get(f, fd);
	struct sockaddr_storage a;
	struct fake_datagram *d;

	if (s->in_count == FAKE_DATAGRAMS)
		return;
	fake_address(&a, from, port);
	d = &s->in[(s->in_first + s->in_count++) % FAKE_DATAGRAMS];
	s->in_high = MAX(s->in_high, (unsigned)(d - s->in) + 1);
	keep_datagram(d, &a, len);
	memcpy(d->data, data, len);
}

void fake_peer_segments(struct fake_sockets *f, int fd, const char *from, uint16_t port, const void *data, size_t len,
			uint16_t segment)
{
	struct fake_socket *s = get(f, fd);

	fake_peer_datagram(f, fd, from, port, data, len);
	s->in[(s->in_first + s->in_count - 1) % FAKE_DATAGRAMS].segment = segment;
}

void fake_peer_icmp(struct fake_sockets *f, int fd, const struct sock_error *e)
{
	struct fake_socket *s = get(f, fd);

	if (s->error_count < ARRAY_SIZE(s->errors))
		s->errors[s->error_count++] = *e;
}

void fake_client_connects(struct fake_sockets *f, int fd, const char *from, uint16_t port)
{
	struct fake_socket *s = get(f, fd);

	assert(s->client_count < ARRAY_SIZE(s->clients));
	fake_address(&s->clients[s->client_count++], from, port);
}

const struct fake_datagram *fake_last_sent(const struct fake_sockets *f, int fd)
{
	const struct fake_socket *s = &f->s[fd];

	return s->out_count ? &s->out[(s->out_count - 1) % FAKE_DATAGRAMS] : NULL;
}

int fake_find(const struct fake_sockets *f, const char *to)
{
	for (int i = 3; i < f->high; i++)
		if (f->s[i].open && (f->s[i].connected || f->s[i].connecting) && !strcmp(fake_text(&f->s[i].peer), to))
			return i;
	return -1;
}
