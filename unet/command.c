/* SPDX-License-Identifier: MIT */
/*
 * A command gets one end of a socket pair as its standard input and output, and a pipe as its standard error, whose
 * lines go to the user.  Nothing of ours is open in it but these.  posix_spawn(3) makes it: a fork would copy the page
 * tables of all of a guest's memory.
 *
 * A pidfd (Linux 5.3) tells the loop of its end, so no signal handler is needed and no zombie stays.  We keep the
 * command's end of the socket open until then and drain it: a command that goes without having read all of its input
 * would otherwise turn what it wrote last into a reset connection.  The other end's close before that means a connection
 * that was cut off, and SIGHUP for the command and what it started.
 */
#include "unet/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"

enum {
	LINE_MAX_LEN = 300, LINES_PER_SECOND = 20,
	END_TRIES = 20, END_WAIT_MS = 10,       /* between SIGTERM and SIGKILL */
	NAME_LEN = 40,                          /* of a command, in what we say about it */
};

extern char **environ;

struct command {
	struct commands *all;
	struct command *next;
	pid_t pid;
	int process, errors, end;               /* pidfd; pipe, -1: closed; its end of the pair */
	struct loop_fd process_watch, errors_watch, end_watch;
	char name[NAME_LEN];
	char line[LINE_MAX_LEN];
	size_t len;
};

struct commands {
	struct command *first;
	unsigned count;
	struct loop *loop;
	time_t second;                          /* of the last line said, and how many in it */
	unsigned lines, left_out;
};

/* --- what it says ------------------------------------------------------------------------------------------------- */

static void say(struct command *c)
{
	struct commands *all = c->all;
	struct timespec now;

	c->line[c->len] = '\0';
	for (size_t i = 0; i < c->len; i++)     /* a terminal must not be steered by it */
		if ((unsigned char)c->line[i] < ' ' || c->line[i] == 0x7f)
			c->line[i] = c->line[i] == '\t' ? ' ' : '?';
	c->len = 0;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != all->second) {
		if (all->left_out)
			log_user("guestfwd: %u more lines of commands", all->left_out);
		all->second = now.tv_sec;
		all->lines = all->left_out = 0;
	}
	if (++all->lines > LINES_PER_SECOND)
		all->left_out++;
	else
		log_user("guestfwd '%s': %s", c->name, c->line);
}

static void close_errors(struct command *c)
{
	if (c->errors < 0)
		return;
	if (c->len)
		say(c);
	loop_remove(&c->errors_watch);
	close(c->errors);
	c->errors = -1;
}

static void on_errors(void *owner, unsigned events)
{
	struct command *c = owner;
	char buf[2048];
	ssize_t n = read(c->errors, buf, sizeof(buf));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_errors(c);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n' || c->len == LINE_MAX_LEN - 1)
			say(c);
		if (buf[i] != '\n')
			c->line[c->len++] = buf[i];
	}
}

/* --- its end ------------------------------------------------------------------------------------------------------ */

static void forget(struct command *c)
{
	struct command **at = &c->all->first;
	char buf[4096];

	/* what it said last, and a grandchild may hold the pipe for ever */
	for (int i = 0; c->errors >= 0 && i < 64; i++) {
		struct pollfd p = { .fd = c->errors, .events = POLLIN };

		if (poll(&p, 1, 0) != 1)
			break;
		on_errors(c, 0);
	}
	close_errors(c);
	for (int i = 0; i < 1024 && recv(c->end, buf, sizeof(buf), MSG_DONTWAIT) > 0; i++)
		;
	loop_remove(&c->end_watch);
	close(c->end);
	loop_remove(&c->process_watch);
	close(c->process);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->all->count--;
	free(c);
}

/* True if it has ended, and is no more. */
static bool reap(struct command *c)
{
	int status = 0;
	pid_t r = waitpid(c->pid, &status, WNOHANG);

	if (r == 0 || (r < 0 && errno == EINTR))
		return false;
	if (r == c->pid && status) {
		if (WIFSIGNALED(status))
			log_net("guestfwd", "'%s' ended by signal %d", c->name, WTERMSIG(status));
		else
			log_net("guestfwd", "'%s' ended with status %d", c->name, WEXITSTATUS(status));
	}
	forget(c);
	return true;
}

static void on_end(void *owner, unsigned events)
{
	(void)events;
	reap(owner);
}

/* The stream was closed before the command ended: a connection that was reset, say.  It is told as a terminal would. */
static void on_hang_up(void *owner, unsigned events)
{
	struct command *c = owner;

	(void)events;
	loop_remove(&c->end_watch);
	kill(-c->pid, SIGHUP);
}

/* --- its beginning ------------------------------------------------------------------------------------------------ */

static int spawn(const char *command, int end, int errors, pid_t *pid)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);    /* to end it with all that it started */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, end, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, end, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	r = posix_spawn(pid, "/bin/sh", &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -r;
}

/* Fills in the descriptors; -errno if one is not to be had. */
static int open_ends(struct command *c, int *ours, int *their_errors)
{
	int pair[2], pipes[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (pipe2(pipes, O_CLOEXEC) < 0) {
		int error = errno;

		close(pair[0]);
		close(pair[1]);
		return -error;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	*ours = pair[0];
	c->end = pair[1];
	c->errors = pipes[0];
	*their_errors = pipes[1];
	return 0;
}

static int start(struct command *c, const char *command)
{
	int ours = -1, their_errors = -1, r = open_ends(c, &ours, &their_errors);

	if (r < 0)
		return r;
	r = spawn(command, c->end, their_errors, &c->pid);
	close(their_errors);
	if (r == 0) {
		c->process = (int)syscall(SYS_pidfd_open, c->pid, 0);
		r = c->process < 0 ? -errno : loop_add(c->all->loop, &c->process_watch, c->process, LOOP_READ, on_end, c);
		if (r == 0)
			r = loop_add(c->all->loop, &c->errors_watch, c->errors, LOOP_READ, on_errors, c);
		if (r == 0)
			r = loop_add(c->all->loop, &c->end_watch, c->end, 0, on_hang_up, c);
		if (r < 0) {
			kill(-c->pid, SIGKILL);
			waitpid(c->pid, NULL, 0);
			loop_remove(&c->process_watch);
			loop_remove(&c->errors_watch);
			if (c->process >= 0)
				close(c->process);
		}
	}
	if (r == 0)
		return ours;
	close(ours);
	close(c->end);
	close(c->errors);
	return r;
}

int commands_run(struct commands **at, struct loop *loop, const char *command)
{
	struct commands *all = *at;
	struct command *c;
	int fd;

	if (!all)
		all = *at = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->loop = loop;
	if (all->count == COMMANDS)
		return -EAGAIN;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->all = all;
	snprintf(c->name, sizeof(c->name), "%s", command);
	fd = start(c, command);
	if (fd < 0) {
		log_net("guestfwd", "'%s' can't be started: %s", c->name, strerror(-fd));
		free(c);
		return fd;
	}
	c->next = all->first;
	all->first = c;
	all->count++;
	return fd;
}

unsigned commands_running(const struct commands *all)
{
	return all ? all->count : 0;
}

static void reap_all(struct commands *all)
{
	for (struct command *c = all->first, *next; c; c = next) {
		next = c->next;
		reap(c);
	}
}

void commands_free(struct commands *all)
{
	static const struct timespec wait = { 0, END_WAIT_MS * 1000000 };

	if (!all)
		return;
	reap_all(all);
	for (struct command *c = all->first; c; c = c->next)
		kill(-c->pid, SIGTERM);
	for (int i = 0; all->first && i < END_TRIES; i++) {
		nanosleep(&wait, NULL);
		reap_all(all);
	}
	while (all->first) {
		struct command *c = all->first;

		kill(-c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
		forget(c);
	}
	free(all);
}
