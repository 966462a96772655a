/* SPDX-License-Identifier: MIT */
/* tenbox-net: a user-mode network for a network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/opts.h"
#include "net/pcap.h"
#include "net/tap.h"
#include "netns/space.h"
#include "unet/unet.h"

#define DRAIN_QUIET MS(20)              /* after the command: until nothing has crossed for so long ... */
#define DRAIN_MAX S(5)                  /* ... but no longer than this */

enum { EXIT_OURS = 1, EXIT_OURS_COMMAND = 125 };        /* as env(1) and timeout(1) do */

struct options {
	struct opts net;
	struct space_config space;
	const char *ifname, *pcap;
	bool configure;
	int ready_fd, exit_fd;
};

struct program {
	struct options o;
	struct setup setup;
	struct space space;
	struct loop *loop;
	struct clock *clock;
	struct unet *unet;
	struct tap *tap;
	struct pcap *pcap;
	uint64_t now;
	struct loop_fd signal_watch, process_watch, exit_watch;
	int signal_fd, process_fd;
	bool done, command_ended;
	int status, wait_status;
};

static const char usage_text[] =
	"usage: tenbox-net [OPTIONS] (PID | --netns PATH | -- COMMAND [ARGS...])\n"
	"Gives a network namespace the network 10.0.2.0/24, over a TAP that is made inside.\n"
	"  PID              the network namespace of this process; ends with it\n"
	"  --netns PATH     the network namespace that this file stands for\n"
	"  -- COMMAND       runs COMMAND in a new user and network namespace; ends with it, with its exit status\n"
	"  --net LIST       KEY=VALUE,...: the options of tenbox -netdev user (help lists them)\n"
	"  --configure      sets address, routes and, for COMMAND, the resolver inside\n"
	"  --ifname NAME    of the TAP (tap0)\n"
	"  --ready-fd N     writes a byte '1' to this descriptor when the network is up\n"
	"  --exit-fd N      ends when this descriptor becomes readable or is closed at the far end\n"
	"  --pcap FILE      captures all frames\n"
	"  --log LIST       of 'net': says on stderr what is refused or dropped\n"
	"  --version, --help\n";

/* --- options ------------------------------------------------------------------------------------------------------ */

static bool descriptor(const char *option, const char *text, int *fd, struct err *err)
{
	uint64_t n;

	if (!opt_parse_number(text, &n) || n > INT32_MAX || fcntl((int)n, F_GETFD) < 0)
		return err_set(err, "%s %s: not an open descriptor", option, text);
	*fd = (int)n;
	fcntl(*fd, F_SETFD, FD_CLOEXEC);        /* ours, not the command's */
	return true;
}

static void print_line(void *to, const char *line)
{
	fprintf(to, "%s\n", line);
}

static bool add_net(struct opts *all, const char *text, struct err *err)
{
	struct opts one;

	if (!opts_parse(&one, text, NULL, err)) {
		err_prefix(err, "--net %s", text);
		return false;
	}
	for (size_t i = 0; i < one.count; i++)
		opts_add(all, one.list[i].key, one.list[i].value);
	opts_free(&one);
	return true;
}

static bool target(struct options *o, int rest, char **argv, bool dashes, struct err *err)
{
	uint64_t pid;

	if (o->space.path)
		return rest == 0 || err_set(err, "'%s' is too much: --netns says where", argv[0]);
	if (rest == 0)
		return err_set(err, "give a PID, --netns PATH, or -- COMMAND (--help says more)");
	if (dashes) {
		o->space.command = argv;
		return true;
	}
	if (!opt_parse_number(argv[0], &pid) || pid == 0 || pid > INT32_MAX)
		return err_set(err, "'%s' is not a process id (a command comes behind '--')", argv[0]);
	if (rest > 1)
		return err_set(err, "'%s' is too much behind the process id", argv[1]);
	o->space.pid = (pid_t)pid;
	return true;
}

static bool log_items(const char *list, struct err *err)
{
	const char *bad;

	return log_parse(list, &log_mask, &bad) || err_set(err, "--log %s: there is no '%s'", list, bad);
}

/* false: *status is what to exit with, and err says why if it has a text. */
static bool parse(struct options *o, int argc, char **argv, int *status, struct err *err)
{
	enum { NET = 256, CONFIGURE, IFNAME, READY_FD, EXIT_FD, PCAP, NETNS, LOG, VERSION, HELP };
	static const struct option longs[] = {
		{ "net", required_argument, NULL, NET }, { "configure", no_argument, NULL, CONFIGURE },
		{ "ifname", required_argument, NULL, IFNAME }, { "ready-fd", required_argument, NULL, READY_FD },
		{ "exit-fd", required_argument, NULL, EXIT_FD }, { "pcap", required_argument, NULL, PCAP },
		{ "netns", required_argument, NULL, NETNS }, { "log", required_argument, NULL, LOG },
		{ "version", no_argument, NULL, VERSION }, { "help", no_argument, NULL, HELP }, { NULL, 0, NULL, 0 },
	};
	int c;
	bool ok = true;

	*o = (struct options){ .ifname = "tap0", .ready_fd = -1, .exit_fd = -1 };
	*status = EXIT_OURS;
	opterr = 0;
	while (ok && (c = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
		switch (c) {
		case NET:
			if (!strcmp(optarg, "help")) {
				unet_config_help(print_line, stdout);
				*status = 0;
				return false;
			}
			ok = add_net(&o->net, optarg, err);
			break;
		case CONFIGURE: o->configure = true; break;
		case IFNAME: o->ifname = optarg; break;
		case READY_FD: ok = descriptor("--ready-fd", optarg, &o->ready_fd, err); break;
		case EXIT_FD: ok = descriptor("--exit-fd", optarg, &o->exit_fd, err); break;
		case PCAP: o->pcap = optarg; break;
		case NETNS: o->space.path = optarg; break;
		case LOG: ok = log_items(optarg, err); break;
		case VERSION: printf("tenbox-net 0.1\n"); *status = 0; return false;
		case HELP: case 'h': fputs(usage_text, stdout); *status = 0; return false;
		case ':': ok = err_set(err, "%s needs an argument", argv[optind - 1]); break;
		default: ok = err_set(err, "invalid option '%s' (--help lists them)", argv[optind - 1]);
		}
	}
	if (ok && (!*o->ifname || strlen(o->ifname) > 15 || strpbrk(o->ifname, "/: \t%")))
		ok = err_set(err, "--ifname %s: not the name of an interface", o->ifname);
	return ok && target(o, argc - optind, argv + optind, optind > 1 && !strcmp(argv[optind - 1], "--"), err);
}

static unsigned prefix_length(struct in_addr mask)
{
	return (unsigned)__builtin_popcount(mask.s_addr);
}

static void plan_setup(struct program *p, const struct unet_config *c, const char *search)
{
	struct setup *s = &p->setup;

	*s = (struct setup){ .mtu = c->mtu, .configure = p->o.configure, .ipv4 = c->ipv4, .address = c->dhcpstart,
			     .gateway = c->host, .dns = c->dns, .prefix_len = prefix_length(c->mask), .search = search,
			     .ipv6 = c->ipv6, .address6 = c->prefix, .gateway6 = c->host6, .dns6 = c->dns6,
			     .prefix_len6 = c->prefixlen };
	s->address6.s6_addr[15] |= 0x15;        /* as the last byte of IPv4's is written */
	snprintf(s->ifname, sizeof(s->ifname), "%s", p->o.ifname);
	p->o.space.setup = s;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

/* The stack's time stands still while one round of events is worked off: from the first look on. */
static uint64_t program_now(void *owner)
{
	struct program *p = owner;

	if (!p->now)
		p->now = clock_monotonic(NULL);
	return p->now;
}

static void stop(struct program *p, int status)
{
	p->done = true;
	p->status = status;
}

static void on_signal(void *owner, unsigned events)
{
	struct program *p = owner;
	struct signalfd_siginfo info;

	(void)events;
	while (read(p->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (!p->space.child)
			stop(p, 0);
		else if (info.ssi_code <= 0)    /* sent to us alone; the terminal's go to the whole group */
			kill(p->space.child, (int)info.ssi_signo);
	}
}

static void on_process(void *owner, unsigned events)
{
	struct program *p = owner;

	(void)events;
	if (p->space.child && waitpid(p->space.child, &p->wait_status, WNOHANG) == p->space.child)
		p->command_ended = true;
	stop(p, 0);
	loop_remove(&p->process_watch);
}

static void on_exit_fd(void *owner, unsigned events)
{
	(void)events;
	stop(owner, 0);
}

static void on_gone(void *owner)
{
	log_user("the TAP device was removed");
	stop(owner, EXIT_OURS);
}

static bool watch(struct program *p, struct loop_fd *w, int fd, void (*ready)(void *owner, unsigned events),
		  const char *what, struct err *err)
{
	int r = fd < 0 ? -errno : loop_add(p->loop, w, fd, LOOP_READ, ready, p);

	return r == 0 || err_errno(err, -r, "cannot watch %s", what);
}

static bool watch_all(struct program *p, const sigset_t *signals, struct err *err)
{
	pid_t process = p->space.child ? p->space.child : p->o.space.pid;

	p->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!watch(p, &p->signal_watch, p->signal_fd, on_signal, "signals", err))
		return false;
	if (process) {
		p->process_fd = (int)syscall(SYS_pidfd_open, process, 0);
		if (!watch(p, &p->process_watch, p->process_fd, on_process, "the process", err))
			return false;
	}
	return p->o.exit_fd < 0 || watch(p, &p->exit_watch, p->o.exit_fd, on_exit_fd, "--exit-fd", err);
}

static void round_of_events(struct program *p, uint64_t wait)
{
	uint64_t deadline = clock_deadline(p->clock);

	p->now = clock_monotonic(NULL);
	if (deadline != CLOCK_NEVER)
		wait = MIN(wait, deadline > p->now ? deadline - p->now : 0);
	p->now = 0;                     /* what woke us happens now, not when we fell asleep */
	loop_poll(p->loop, wait);
	p->now = 0;
	clock_run(p->clock);
}

/* What the command's kernel still had to send when it ended goes out, too. */
static void drain(struct program *p)
{
	uint64_t begin = clock_monotonic(NULL), last = begin, now = begin, seen = 0;
	struct unet_counters n;

	while (now - begin < DRAIN_MAX && now - last < DRAIN_QUIET) {
		round_of_events(p, MS(5));
		unet_get_counters(p->unet, &n);
		now = clock_monotonic(NULL);
		if (n.frames_in + n.frames_out != seen || unet_busy(p->unet))
			last = now;
		seen = n.frames_in + n.frames_out;
	}
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void report_ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		log_user("--ready-fd %d: %s", fd, strerror(errno));
	close(fd);
}

static bool capture(struct program *p, struct err *err)
{
	struct timespec wall;

	if (!p->o.pcap)
		return true;
	clock_gettime(CLOCK_REALTIME, &wall);
	p->pcap = pcap_new(&(struct pcap_config){ .path = p->o.pcap, .clock = p->clock, .direction = PCAP_BOTH,
			   .base_ns = (uint64_t)wall.tv_sec * 1000000000 + (uint64_t)wall.tv_nsec - clock_monotonic(NULL) },
			   unet_port(p->unet), err);
	return p->pcap || (err_prefix(err, "--pcap"), false);
}

static bool start(struct program *p, struct err *err)
{
	struct rlimit files;

	/* after the command's process was made: it keeps the limit that it was given */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	p->tap = tap_new(&(struct tap_config){ .fd = p->space.tap, .loop = p->loop, .name = p->space.ifname,
					       .gone = on_gone, .owner = p }, err);
	if (!p->tap)
		return false;
	port_join(unet_port(p->unet), tap_port(p->tap));
	return true;
}

static void end(struct program *p)
{
	if (p->unet)
		port_part(unet_port(p->unet));
	pcap_free(p->pcap);
	tap_free(p->tap);
	unet_free(p->unet);
	loop_remove(&p->signal_watch);
	loop_remove(&p->process_watch);
	loop_remove(&p->exit_watch);
	if (p->signal_fd >= 0)
		close(p->signal_fd);
	if (p->process_fd >= 0)
		close(p->process_fd);
	if (p->space.control >= 0)
		close(p->space.control);
	if (p->space.tap >= 0)
		close(p->space.tap);
	if (p->clock)
		clock_free(p->clock);
	loop_free(p->loop);
	opts_free(&p->o.net);
}

/* The command's status is ours; so is the signal that ended it. */
static int pass_on(int wait_status)
{
	sigset_t set;
	int number;

	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	number = WTERMSIG(wait_status);
	prctl(PR_SET_DUMPABLE, 0);      /* one core file is enough */
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	return 128 + number;
}

static sigset_t block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return set;
}

static void join_words(const char *const *words, char *text, size_t size)
{
	size_t at = 0;

	*text = '\0';
	for (size_t i = 0; words[i] && at < size; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%s", i ? " " : "", words[i]);
}

static bool config_net(struct unet_config *c, const struct opts *o, struct err *err)
{
	unet_config_defaults(c);
	for (size_t i = 0; i < o->count; i++) {
		if (!unet_config_knows(o->list[i].key))
			return err_set(err, "Invalid parameter '%s' (--net help lists them)", o->list[i].key);
		if (!unet_config_set(c, o->list[i].key, o->list[i].value, err))
			return false;
	}
	return unet_config_finish(c, err);
}

static bool prepare(struct program *p, struct unet_config *c, struct err *err)
{
	if (!config_net(c, &p->o.net, err)) {
		err_prefix(err, "--net");
		return false;
	}
	p->now = clock_monotonic(NULL);
	p->loop = loop_new();
	p->clock = clock_new(&(struct clock_config){ .now = program_now, .owner = p });
	if (!p->loop || !p->clock)
		return err_errno(err, errno, "event loop");
	c->loop = p->loop;
	c->clock = p->clock;
	/* before anything is made inside: a forward that cannot be bound is told first */
	p->unet = unet_new(c, err);
	if (!p->unet) {
		err_prefix(err, "--net");
		return false;
	}
	return capture(p, err);
}

int main(int argc, char **argv)
{
	struct program p = { .space = { .tap = -1, .control = -1 }, .signal_fd = -1, .process_fd = -1 };
	struct unet_config config;
	struct err err = { "" };
	sigset_t signals;
	char search[UNET_SEARCHES * 256];
	int status;

	log_name = "tenbox-net";
	if (!parse(&p.o, argc, argv, &status, &err)) {
		if (*err.text)
			log_user("%s", err.text);
		end(&p);
		return status;
	}
	status = p.o.space.command ? EXIT_OURS_COMMAND : EXIT_OURS;
	signals = block_signals();
	if (!prepare(&p, &config, &err))
		goto out;
	join_words(config.dnssearch, search, sizeof(search));
	plan_setup(&p, &config, search);
	if (!space_open(&p.space, &p.o.space, &err) || !start(&p, &err) || !watch_all(&p, &signals, &err))
		goto out;
	report_ready(p.o.ready_fd);
	if (!space_go(&p.space, &status, &err))
		goto out;
	while (!p.done)
		round_of_events(&p, CLOCK_NEVER);
	status = p.status;
	if (p.command_ended)
		drain(&p);
out:
	if (*err.text)
		log_user("%s", err.text);
	end(&p);
	return p.command_ended ? pass_on(p.wait_status) : status;
}
