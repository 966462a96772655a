/* SPDX-License-Identifier: MIT */
/*
 * Transfers.  Each has a port of our own as its identifier (RFC 1350 section 4), sends a window of blocks, and goes on
 * when the last of them is acknowledged; an ACK of an earlier block starts again behind it (RFC 7440), but the same ACK
 * twice does not send the data twice (the Sorcerer's Apprentice).  Block numbers wrap to 0.
 *
 * In netascii a line feed becomes CR LF and a carriage return CR NUL (RFC 764), so the place in the file where a block
 * begins is known only for blocks that have been made: it is kept for the window.
 *
 * With single_port all transfers share port 69 and clients are told apart by their own.
 */
#include "tftp/tftp.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	RRQ = 1, WRQ = 2, DATA = 3, ACK = 4, ERROR = 5, OACK = 6,
	E_UNDEFINED = 0, E_NOT_FOUND = 1, E_ACCESS = 2, E_ILLEGAL = 4, E_UNKNOWN_ID = 5,
	BLOCK_DEFAULT = 512, BLOCK_MIN = 8, BLOCK_MAX = 65464, HEADER = 4,
	WINDOW_MAX = 64, TIMEOUT_DEFAULT_S = 1, TRIES = 5, REQUEST_MAX = 1400, OACK_MAX = 200,
	FIRST_PORT = 49152, PORTS = 16384,
};

/* Where a block begins in the file; in netascii, with the second half of a pair still to be written. */
struct place {
	uint64_t offset;
	int pending;                    /* -1: none */
};

struct session {
	bool used;
	struct tftp *t;
	struct tftp_peer peer;
	uint16_t port;                  /* ours */
	int file;
	uint64_t size;
	bool netascii;
	uint32_t block_size, window;
	uint8_t timeout_s;
	/* blocks are numbered from 1 without wrapping; OACK is block 0 */
	uint64_t acked, sent;           /* last one acknowledged; last one sent */
	uint64_t last;                  /* the short one that ends the file; 0: not made yet */
	struct place places[WINDOW_MAX + 1];    /* of block n at n % (WINDOW_MAX + 1) */
	uint8_t oack[OACK_MAX];
	size_t oack_len;
	unsigned tries;
	uint64_t used_ns;
	struct timer timer;
};

struct tftp {
	struct tftp_config cfg;
	struct session sessions[TFTP_SESSIONS];
	unsigned count;
	uint8_t packet[4 + BLOCK_MAX];
	uint8_t text[BLOCK_MAX];        /* file bytes before they become netascii */
};

static void send_packet(struct session *s, size_t len)
{
	s->t->cfg.send(s->t->cfg.owner, &s->peer, s->port, s->t->packet, len);
}

static void send_error(struct tftp *t, const struct tftp_peer *to, uint16_t port, unsigned code, const char *text)
{
	uint8_t m[100];
	size_t n = strlen(text);

	assert(n < sizeof(m) - 5);
	put_be16(m, ERROR);
	put_be16(m + 2, (uint16_t)code);
	memcpy(m + 4, text, n + 1);
	t->cfg.send(t->cfg.owner, to, port, m, n + 5);
}

static void finish(struct session *s)
{
	s->t->cfg.files->close(s->t->cfg.files_owner, s->file);
	timer_cancel(&s->timer);
	s->used = false;
	s->t->count--;
}

static void arm(struct session *s)
{
	unsigned backoff = MIN(s->tries, 3u);

	timer_set(&s->timer, clock_now(s->t->cfg.clock) + (S(s->timeout_s) << backoff));
}

/* --- data ------------------------------------------------------------------------------------------------------- */

static struct place *place_of(struct session *s, uint64_t block)
{
	return &s->places[block % (WINDOW_MAX + 1)];
}

/* The bytes of a block from `from` on into out; *to becomes where the next block begins.  -errno on failure. */
static ssize_t fill(struct session *s, struct place from, uint8_t *out, struct place *to)
{
	const struct tftp_config *c = &s->t->cfg;
	size_t n = 0;
	ssize_t got;

	if (!s->netascii) {
		got = c->files->read(c->files_owner, s->file, from.offset, out, s->block_size);
		*to = (struct place){ from.offset + (got > 0 ? (uint64_t)got : 0), -1 };
		return got;
	}
	if (from.pending >= 0)
		out[n++] = (uint8_t)from.pending;
	from.pending = -1;
	got = c->files->read(c->files_owner, s->file, from.offset, s->t->text, s->block_size);
	for (ssize_t i = 0; i < got && n < s->block_size; i++) {
		uint8_t b = s->t->text[i];

		from.offset++;
		out[n++] = b == '\n' ? '\r' : b;
		if (b != '\n' && b != '\r')
			continue;
		b = b == '\n' ? '\n' : '\0';
		if (n < s->block_size)
			out[n++] = b;
		else
			from.pending = b;
	}
	*to = from;
	return got < 0 ? got : (ssize_t)n;
}

/* Sends what the window allows beyond `sent`. */
static void send_window(struct session *s)
{
	while (s->sent < s->acked + s->window && (!s->last || s->sent < s->last)) {
		uint64_t block = s->sent + 1;
		struct place next;
		ssize_t n = fill(s, *place_of(s, block), s->t->packet + 4, &next);

		if (n < 0) {
			send_error(s->t, &s->peer, s->port, E_UNDEFINED, "File read failed");
			finish(s);
			return;
		}
		put_be16(s->t->packet, DATA);
		put_be16(s->t->packet + 2, (uint16_t)block);
		*place_of(s, block + 1) = next;
		if ((uint32_t)n < s->block_size)
			s->last = block;
		s->sent = block;
		send_packet(s, 4 + (size_t)n);
	}
	arm(s);
}

static void again(void *owner)
{
	struct session *s = owner;

	if (++s->tries > TRIES) {
		log_net("tftp", "a client has stopped answering");
		finish(s);
		return;
	}
	if (s->oack_len && s->acked == 0 && s->sent == 0) {
		memcpy(s->t->packet, s->oack, s->oack_len);
		send_packet(s, s->oack_len);
		arm(s);
		return;
	}
	s->sent = s->acked;
	send_window(s);
}

static void acknowledged(struct session *s, uint16_t number)
{
	uint64_t block = (s->acked & ~(uint64_t)0xffff) | number;

	if (block < s->acked)
		block += 0x10000;
	if (s->oack_len && s->sent == 0 && number == 0) {       /* of the OACK: now the first window */
		s->oack_len = 0;
		s->tries = 0;
		send_window(s);
		return;
	}
	if (block > s->sent)
		return;                 /* of nothing we sent, or of what was acknowledged long ago */
	if (block == s->acked)
		return;                 /* once more: the timer sends again if need be */
	s->acked = block;
	s->tries = 0;
	s->used_ns = clock_now(s->t->cfg.clock);
	if (s->last && s->acked >= s->last) {
		finish(s);
		return;
	}
	s->sent = s->acked;             /* an ACK within the window says that the rest of it was lost */
	send_window(s);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

/* The next NUL-terminated word; NULL if there is none. */
static const char *word(struct cursor *c)
{
	const uint8_t *start = c->p, *nul = cursor_left(c) ? memchr(start, 0, cursor_left(c)) : NULL;

	if (!nul)
		return NULL;
	cursor_take(c, (size_t)(nul - start) + 1);
	return (const char *)start;
}

/* A decimal number of at most max; false if it is anything else. */
static bool number(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (!*text || strlen(text) > 19)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*value = v;
	return v <= max;
}

static void accept_option(struct session *s, const char *name, uint64_t value)
{
	size_t room = sizeof(s->oack) - s->oack_len;
	int n = snprintf((char *)s->oack + s->oack_len, room, "%s%c%llu", name, 0, (unsigned long long)value);

	if (n > 0 && (size_t)n + 1 <= room)
		s->oack_len += (size_t)n + 1;
}

/* RFC 2347: an option that we do not know, or whose value is out of range, is not answered. */
static void negotiate(struct session *s, struct cursor *c)
{
	uint32_t fits = s->peer.room > HEADER + BLOCK_DEFAULT ? s->peer.room - HEADER : BLOCK_DEFAULT;
	bool seen[4] = { false };
	const char *name, *text;
	uint64_t v;

	s->oack_len = 2;
	put_be16(s->oack, OACK);
	while ((name = word(c)) && (text = word(c))) {
		if (!strcasecmp(name, "blksize") && !seen[0] && number(text, UINT32_MAX, &v) && v >= BLOCK_MIN) {
			seen[0] = true;
			s->block_size = (uint32_t)MIN(v, MIN((uint64_t)fits, BLOCK_MAX));
			accept_option(s, "blksize", s->block_size);
		} else if (!strcasecmp(name, "tsize") && !seen[1] && !s->netascii && number(text, UINT64_MAX, &v)) {
			seen[1] = true;         /* netascii has another length, unknown yet */
			accept_option(s, "tsize", s->size);
		} else if (!strcasecmp(name, "timeout") && !seen[2] && number(text, 255, &v) && v >= 1) {
			seen[2] = true;
			s->timeout_s = (uint8_t)v;
			accept_option(s, "timeout", v);
		} else if (!strcasecmp(name, "windowsize") && !seen[3] && number(text, 65535, &v) && v >= 1) {
			seen[3] = true;
			s->window = (uint32_t)MIN(v, (uint64_t)WINDOW_MAX);
			accept_option(s, "windowsize", s->window);
		}
	}
	if (s->oack_len == 2)
		s->oack_len = 0;
}

/* A free slot, or that of the client that was silent longest. */
static struct session *take_session(struct tftp *t, const struct tftp_peer *peer)
{
	struct session *best = NULL;

	for (unsigned i = 0; i < TFTP_SESSIONS; i++) {          /* asks again: the old transfer is dead */
		struct session *s = &t->sessions[i];

		if (s->used && !memcmp(&s->peer, peer, sizeof(*peer)))
			finish(s);
	}
	for (unsigned i = 0; i < TFTP_SESSIONS; i++) {
		struct session *s = &t->sessions[i];

		if (!s->used)
			return s;
		if (!best || s->used_ns < best->used_ns)
			best = s;
	}
	finish(best);
	return best;
}

static uint16_t free_port(struct tftp *t)
{
	uint16_t port;
	bool taken;

	if (t->cfg.single_port)
		return TFTP_PORT;
	do {
		t->cfg.random(t->cfg.owner, &port, 2);
		port = (uint16_t)(FIRST_PORT + port % PORTS);
		taken = false;
		for (unsigned i = 0; i < TFTP_SESSIONS; i++)
			taken |= t->sessions[i].used && t->sessions[i].port == port;
	} while (taken);
	return port;
}

static void read_request(struct tftp *t, const struct tftp_peer *from, struct cursor *c)
{
	const char *name = word(c), *mode = word(c);
	struct session *s;
	uint64_t size = 0;
	bool netascii;
	uint16_t port;
	int file;

	if (!name || !mode || !*name || strlen(name) >= TFTP_NAME_MAX) {
		send_error(t, from, TFTP_PORT, E_ACCESS, "Access violation");
		return;
	}
	netascii = !strcasecmp(mode, "netascii");
	if (!netascii && strcasecmp(mode, "octet")) {
		send_error(t, from, TFTP_PORT, E_ILLEGAL, "Unsupported transfer mode");
		return;
	}
	file = t->cfg.files->open(t->cfg.files_owner, name, &size);
	if (file < 0) {
		bool missing = file == -ENOENT || file == -ENOTDIR;

		log_net("tftp", "request for '%s' refused: %s", name, strerror(-file));
		send_error(t, from, TFTP_PORT, missing ? E_NOT_FOUND : E_ACCESS,
			   missing ? "File not found" : "Access violation");
		return;
	}
	s = take_session(t, from);
	port = free_port(t);
	memset(s, 0, sizeof(*s));
	s->used = true;
	t->count++;
	s->t = t;
	s->peer = *from;
	s->port = port;
	s->file = file;
	s->size = size;
	s->netascii = netascii;
	s->block_size = BLOCK_DEFAULT;
	s->window = 1;
	s->timeout_s = TIMEOUT_DEFAULT_S;
	s->used_ns = clock_now(t->cfg.clock);
	*place_of(s, 1) = (struct place){ 0, -1 };
	timer_init(&s->timer, t->cfg.clock, again, s);
	negotiate(s, c);
	if (s->oack_len) {
		memcpy(t->packet, s->oack, s->oack_len);
		send_packet(s, s->oack_len);
		arm(s);
	} else {
		send_window(s);
	}
}

bool tftp_input(struct tftp *t, const struct tftp_peer *from, uint16_t to_port, const void *data, size_t len)
{
	struct cursor c = cursor_of(data, len);
	uint16_t opcode = cursor_be16(&c), block;

	if (to_port == TFTP_PORT && (!t->cfg.single_port || (opcode != ACK && opcode != ERROR))) {
		if (c.bad)
			return true;
		if (opcode == RRQ)
			read_request(t, from, &c);
		else if (opcode == WRQ)
			send_error(t, from, TFTP_PORT, E_ACCESS, "Access violation");
		return true;
	}
	for (unsigned i = 0; i < TFTP_SESSIONS; i++) {
		struct session *s = &t->sessions[i];

		if (!s->used || s->port != to_port)
			continue;
		if (memcmp(&s->peer, from, sizeof(*from))) {    /* someone else: the transfer goes on */
			if (t->cfg.single_port)
				continue;
			if (opcode != ERROR)
				send_error(t, from, to_port, E_UNKNOWN_ID, "Unknown transfer ID");
			return true;
		}
		block = cursor_be16(&c);
		if (opcode == ERROR)
			finish(s);
		else if (opcode == ACK && !c.bad)
			acknowledged(s, block);
		return true;
	}
	return to_port == TFTP_PORT;
}

unsigned tftp_sessions(const struct tftp *t)
{
	return t->count;
}

struct tftp *tftp_new(const struct tftp_config *config)
{
	struct tftp *t = calloc(1, sizeof(*t));

	if (t)
		t->cfg = *config;
	return t;
}

void tftp_free(struct tftp *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < TFTP_SESSIONS; i++)
		if (t->sessions[i].used)
			finish(&t->sessions[i]);
	free(t);
}
