/* SPDX-License-Identifier: MIT */
/* tenbox: options in, a machine out, run until it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "emu/machine.h"
#include "emu/stdio.h"

struct signals {
	struct machine *machine;
	int fd;
	struct loop_fd watch;
};

static void fail(const struct err *err)
{
	log_user("%s", err->text);
}

static void signal_ready(void *owner, unsigned events)
{
	struct signals *s = owner;
	struct signalfd_siginfo info;

	(void)events;
	while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCONT) {
			stdio_resume();
			continue;
		}
		if (info.ssi_pid && info.ssi_code <= 0)
			log_user("terminating on signal %u from pid %u", info.ssi_signo, info.ssi_pid);
		else
			log_user("terminating on signal %u", info.ssi_signo);
		run_request_quit(s->machine->run, 0);
	}
}

/* An assertion of ours failed: leave a usable terminal. */
static void on_abort(int number)
{
	stdio_restore();
	signal(number, SIG_DFL);
	raise(number);
}

static sigset_t block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCONT);
	sigprocmask(SIG_BLOCK, &set, NULL);     /* before any thread is made: all inherit it */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGABRT, on_abort);
	return set;
}

static bool watch_signals(struct signals *s, struct machine *m, const sigset_t *set, struct err *err)
{
	int r;

	s->machine = m;
	s->fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	r = s->fd < 0 ? -errno : loop_add(run_loop(m->run), &s->watch, s->fd, LOOP_READ, signal_ready, s);
	return r == 0 || err_errno(err, -r, "cannot watch signals");
}

static bool write_pid(const char *path, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[32];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), n;

	if (fd < 0)
		return err_errno(err, errno, "-pidfile %s: cannot create PID file", path);
	/* The lock stays until the process ends, and tells a live file from one left behind. */
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		err_errno(err, errno, "-pidfile %s: cannot lock PID file (another tenbox uses it)", path);
		close(fd);
		return false;
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n) {
		err_errno(err, errno, "-pidfile %s: cannot write PID file", path);
		unlink(path);
		close(fd);
		return false;
	}
	return true;
}

/*
 * -daemonize: the parent waits until the child has set up its machine, so that its exit status tells.  Returns the
 * descriptor to report on, in the child.
 */
static int go_to_background(void)
{
	int pipe_fds[2];
	pid_t child;
	char status = 1;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	child = fork();
	if (child < 0)
		return -1;
	if (child > 0) {
		close(pipe_fds[1]);
		if (read(pipe_fds[0], &status, 1) != 1)
			status = 1;
		_exit(status);
	}
	close(pipe_fds[0]);
	setsid();
	return pipe_fds[1];
}

static void report_ready(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (write(fd, "\0", 1) != 1)
		return;
	close(fd);
	if (chdir("/") == 0 && null >= 0)
		for (int i = 0; i < 3; i++)
			dup2(null, i);
	if (null > 2)
		close(null);
}

static bool start_log(const struct options *o, struct err *err)
{
	int r;

	log_mask = o->log_items;
	if (!o->log_file)
		return true;
	r = log_open(o->log_file);
	return r == 0 || err_errno(err, -r, "-D %s: cannot write the log", o->log_file);
}

int main(int argc, char **argv)
{
	struct options options;
	struct signals signals = { .fd = -1 };
	struct machine *m = NULL;
	struct err err = { "" };
	sigset_t set;
	int status = 1, report = -1;

	switch (options_parse(&options, argc, argv, &err)) {
	case OPTIONS_DONE:
		options_free(&options);
		return fflush(stdout) == 0 ? 0 : 1;
	case OPTIONS_BAD:
		fail(&err);
		options_free(&options);
		return 1;
	case OPTIONS_RUN:
		break;
	}
	if (options.daemonize) {
		report = go_to_background();
		if (report < 0) {
			err_errno(&err, errno, "-daemonize");
			fail(&err);
			return 1;
		}
	}
	set = block_signals();
	m = machine_new(&options, &err);
	if (!m || !start_log(&options, &err) || !watch_signals(&signals, m, &set, &err) ||
	    (options.pidfile && !write_pid(options.pidfile, &err))) {
		stdio_restore();
		fail(&err);
		goto out;
	}
	if (report >= 0)
		report_ready(report);
	status = run_main(m->run);
	if (options.pidfile)
		unlink(options.pidfile);
out:
	if (signals.fd >= 0) {
		loop_remove(&signals.watch);
		close(signals.fd);
	}
	machine_free(m);
	options_free(&options);
	return status;
}
