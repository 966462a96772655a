/* SPDX-License-Identifier: MIT */
/*
 * The two ends of small TCP loads, for tests/bench/stack.py.
 *   echo PORT                          serves 127.0.0.1 on this and the next PORTS - 1 ports: each byte comes back
 *   conn HOST PORT SECONDS PARALLEL    open, a byte each way, close: prints connections a second.  All PORTS take
 *                                      turns, so that those in TIME_WAIT leave enough of the client's ports
 *   idle HOST PORT COUNT               opens COUNT connections, prints how many, keeps them until standard input ends
 *   rtt HOST PORT ROUNDS               one byte there and back: prints the median in microseconds
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, ROUNDS_MAX = 100000, PORTS = 32 };

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Nagle's algorithm stays on: no end ever has a second byte to send before the first is answered. */
static int new_socket(int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die(host);
	return a;
}

static void watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void serve(const char *port)
{
	struct sockaddr_in a = address("127.0.0.1", port);
	int epoll = epoll_create1(0), listeners[PORTS], one = 1;
	struct epoll_event events[EVENTS];
	char buf[4096];

	for (int i = 0; i < PORTS; i++) {
		listeners[i] = new_socket(SOCK_NONBLOCK);
		setsockopt(listeners[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(listeners[i], (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listeners[i], 4096) < 0)
			die("bind");
		watch(epoll, listeners[i], EPOLLIN);
		a.sin_port = htons((uint16_t)(ntohs(a.sin_port) + 1));
	}
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd, c;
			ssize_t got;

			if (fd >= listeners[0] && fd <= listeners[PORTS - 1]) {
				while ((c = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
					watch(epoll, c, EPOLLIN);
				continue;
			}
			got = recv(fd, buf, sizeof(buf), 0);
			if (got <= 0 || send(fd, buf, (size_t)got, MSG_NOSIGNAL) != got)
				close(fd);
		}
	}
}

static void begin(int epoll, const struct sockaddr_in *to)
{
	static unsigned turn;
	struct sockaddr_in a = *to;
	int fd = new_socket(SOCK_NONBLOCK);

	a.sin_port = htons((uint16_t)(ntohs(a.sin_port) + turn++ % PORTS));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)
		die("connect");
	watch(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void connections(const struct sockaddr_in *to, double seconds, int parallel)
{
	uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9), done = 0, failed = 0;
	int epoll = epoll_create1(0);
	struct epoll_event events[EVENTS];

	for (int i = 0; i < parallel; i++)
		begin(epoll, to);
	while (now() < end) {
		int n = epoll_wait(epoll, events, EVENTS, 100);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			char c = 'x';

			if (!(events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))) {
				if (send(fd, &c, 1, MSG_NOSIGNAL) == 1)
					continue;       /* connected */
				failed++;
			} else if (recv(fd, &c, 1, 0) == 1) {
				done++;
			} else {
				failed++;
			}
			close(fd);
			begin(epoll, to);
		}
	}
	printf("%.0f %.0f\n", (double)done * 1e9 / (double)(now() - start), (double)failed);
}

static void idle(const struct sockaddr_in *to, int count)
{
	struct rlimit r;
	int opened = 0;
	char c;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	for (; opened < count; opened++)
		if (connect(new_socket(0), (const struct sockaddr *)to, sizeof(*to)) < 0)
			break;
	printf("%d\n", opened);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void round_trips(const struct sockaddr_in *to, int rounds)
{
	static uint64_t times[ROUNDS_MAX];
	int fd = new_socket(0);
	char c = 'x';

	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		die("connect");
	for (int i = 0; i < rounds; i++) {
		uint64_t start = now();

		if (send(fd, &c, 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1)
			die("echo");
		times[i] = now() - start;
	}
	qsort(times, (size_t)rounds, sizeof(times[0]), by_size);
	printf("%.1f\n", (double)times[rounds / 2] / 1000);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to;

	if (argc == 3 && !strcmp(argv[1], "echo"))
		serve(argv[2]);
	if (argc < 5)
		return 2;
	to = address(argv[2], argv[3]);
	if (!strcmp(argv[1], "conn") && argc == 6)
		connections(&to, atof(argv[4]), atoi(argv[5]));
	else if (!strcmp(argv[1], "idle"))
		idle(&to, atoi(argv[4]));
	else if (!strcmp(argv[1], "rtt") && atoi(argv[4]) > 0 && atoi(argv[4]) <= ROUNDS_MAX)
		round_trips(&to, atoi(argv[4]));
	else
		return 2;
	return 0;
}
