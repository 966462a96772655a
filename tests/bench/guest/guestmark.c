/* SPDX-License-Identifier: MIT */
/*
 * The works of `make bench B=cpu`: guestmark [-r REPEATS] [NAME...] runs those named (or all of them), each in a
 * process of its own, and prints "guestmark NAME SECONDS CHECKSUM": the shortest of REPEATS (3) times, and a number
 * that must be the same wherever the work runs, so that a processor that computes wrongly shows.  The same static
 * program runs in the guests and on the host.  Everything stays on one processor, so that the host has no advantage of
 * the guest with one.  "busyN" is a loop on N processors at once; "-time NAME COMMAND..." measures a program from its
 * start to its end, and the checksum is its output's.
 */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MB = 1 << 20,
	REPEATS = 3,
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *pages(size_t size, int protection)
{
	void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One number out of a double's bits: equal only if the last bit of the arithmetic is. */
static uint64_t bits_of(double d)
{
	uint64_t v;

	memcpy(&v, &d, sizeof(v));
	return v;
}

/* --- integers and memory --- */

static uint64_t sieve(void)
{
	static unsigned char composite[2 * MB];
	uint64_t primes = 0;

	for (int round = 0; round < 4; round++) {
		memset(composite, 0, sizeof(composite));
		for (size_t i = 2; i < sizeof(composite); i++) {
			if (composite[i])
				continue;
			primes += i;
			for (size_t k = i + i; k < sizeof(composite); k += i)
				composite[k] = 1;
		}
	}
	return primes;
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t sort(void)
{
	static uint64_t keys[300000];
	uint64_t state = 88172645463325252, sum = 0;
	size_t n = sizeof(keys) / sizeof(keys[0]);

	for (size_t i = 0; i < n; i++)
		keys[i] = next_random(&state);
	qsort(keys, n, sizeof(keys[0]), compare_keys);
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + keys[i];
	return sum;
}

static __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls"))) uint64_t fibonacci(unsigned n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t calls(void)
{
	return fibonacci(31);
}

static uint64_t crc(void)
{
	static uint32_t table[256];
	static unsigned char data[MB];
	uint32_t c = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? 0xedb88320 ^ table[i] >> 1 : table[i] >> 1;
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + (i >> 8));
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < sizeof(data); i++)
			c = table[(c ^ data[i]) & 0xff] ^ c >> 8;
	return ~c;
}

/* A small stack machine; each operation jumps to the next one's label itself, as good interpreters do. */
static uint64_t bytecode(void)
{
	enum { PUSH, ADD, MULTIPLY, XOR, SWAP, DUP, LOAD, STORE, SUBTRACT, JUMP_IF, HALT };
	static const unsigned char program[] = {
		PUSH, 1, LOAD, 0, ADD, STORE, 0,                /* v0 += 1 */
		LOAD, 1, PUSH, 31, MULTIPLY, LOAD, 0, XOR, STORE, 1,    /* v1 = v1 * 31 ^ v0 */
		LOAD, 1, DUP, ADD, LOAD, 2, SWAP, SUBTRACT, STORE, 2,   /* v2 -= 2 * v1 */
		LOAD, 3, PUSH, 1, SUBTRACT, DUP, STORE, 3, JUMP_IF, 0, HALT,
	};
	static void *const labels[] = {
		&&push, &&add, &&multiply, &&xor, &&swap, &&dup, &&load, &&store, &&subtract, &&jump_if, &&halt,
	};
	uint64_t stack[16], *top = stack, v[4] = { 0, 1, 2, 400000 }, t;
	const unsigned char *pc = program;

#define NEXT goto *labels[*pc++]
	NEXT;
push:   *++top = *pc++; NEXT;
add:    top--; top[0] += top[1]; NEXT;
multiply: top--; top[0] *= top[1]; NEXT;
xor:    top--; top[0] ^= top[1]; NEXT;
swap:   t = top[0]; top[0] = top[-1]; top[-1] = t; NEXT;
dup:    top[1] = top[0]; top++; NEXT;
load:   *++top = v[*pc++]; NEXT;
store:  v[*pc++] = *top--; NEXT;
subtract: top--; top[0] -= top[1]; NEXT;
jump_if: t = *pc++; if (*top--) pc = program + t; NEXT;
halt:   return v[0] ^ v[1] ^ v[2];
#undef NEXT
}

static uint64_t chase(void)
{
	struct node {
		struct node *next;
		uint64_t value[7];
	};
	enum { NODES = 4 * MB / sizeof(struct node) };
	static struct node nodes[NODES];
	static uint32_t order[NODES];
	uint64_t state = 1234567, sum = 0;
	struct node *p = nodes;

	for (uint32_t i = 0; i < NODES; i++)
		order[i] = i;
	for (uint32_t i = NODES - 1; i > 0; i--) {
		uint32_t k = (uint32_t)(next_random(&state) % (i + 1)), t = order[i];

		order[i] = order[k];
		order[k] = t;
	}
	for (uint32_t i = 0; i < NODES; i++) {
		nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
		nodes[order[i]].value[0] = i;
	}
	for (int i = 0; i < 10000000; i++) {
		sum += p->value[0];
		p = p->next;
	}
	return sum;
}

static uint64_t copy(void)
{
	unsigned char *a = pages(4 * MB, PROT_READ | PROT_WRITE), *b = pages(4 * MB, PROT_READ | PROT_WRITE);
	uint64_t sum = 0;

	for (int i = 0; i < 4 * MB; i += 64)
		a[i] = (unsigned char)(i >> 6);
	for (int i = 0; i < 200; i++) {
		a[i * 64] ^= 0x55;
		memcpy(b, a, 4 * MB);
		sum = sum * 3 + b[i * 64];
	}
	munmap(a, 4 * MB);
	munmap(b, 4 * MB);
	return sum;
}

/* The libc's own strlen, strchr and memcmp (run() makes it choose those with SSE2, which every machine here has). */
static uint64_t strings(void)
{
	static char a[8192], b[8192];
	uint64_t sum = 0;

	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'a', sizeof(b) - 1);
	for (volatile size_t round = 0; round < 60000; round++) {
		size_t length = 64 + (round * 53) % 8000;

		a[length] = 0;
		b[length] = 0;
		sum += strlen(a);
		sum += (uint64_t)(strchr(b, 0) - b);
		sum += (uint64_t)(memcmp(a, b, length + 1) == 0);
		a[length] = 'a';
		b[length] = 'a';
	}
	return sum;
}

/* --- floating point --- */

struct body {
	double p[3], v[3], mass;
};

static double square_root(double d)
{
	__asm__("sqrtsd %0, %0" : "+x"(d));
	return d;
}

static uint64_t nbody(void)
{
	enum { BODIES = 5 };
	struct body all[BODIES];
	uint64_t state = 42;

	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++) {
			all[i].p[k] = (double)(next_random(&state) % 10000) / 100;
			all[i].v[k] = (double)(next_random(&state) % 1000) / 10000;
			all[i].mass = 1 + i;
		}
	for (int step = 0; step < 200000; step++) {
		for (int i = 0; i < BODIES; i++)
			for (int j = i + 1; j < BODIES; j++) {
				double d[3], square = 0.01, pull;

				for (int k = 0; k < 3; k++) {
					d[k] = all[i].p[k] - all[j].p[k];
					square += d[k] * d[k];
				}
				pull = 0.001 / (square * square_root(square));
				for (int k = 0; k < 3; k++) {
					all[i].v[k] -= d[k] * all[j].mass * pull;
					all[j].v[k] += d[k] * all[i].mass * pull;
				}
			}
		for (int i = 0; i < BODIES; i++)
			for (int k = 0; k < 3; k++)
				all[i].p[k] += 0.001 * all[i].v[k];
	}
	return bits_of(all[0].p[0] + all[1].p[1] + all[2].p[2]);
}

static uint64_t matrix(void)
{
	enum { N = 256 };
	static float a[N][N], b[N][N], c[N][N];
	double sum = 0;

	for (int i = 0; i < N; i++)
		for (int k = 0; k < N; k++) {
			a[i][k] = (float)((i * 7 + k * 3) % 17) * 0.25f;
			b[i][k] = (float)((i * 5 + k * 11) % 13) * 0.5f;
			c[i][k] = 0;
		}
	for (int round = 0; round < 10; round++)
		for (int i = 0; i < N; i++)
			for (int k = 0; k < N; k++) {
				float f = a[i][k];

				for (int j = 0; j < N; j++)
					c[i][j] += f * b[k][j];
			}
	for (int i = 0; i < N; i++)
		sum += (double)c[i][(i * 31) % N];
	return bits_of(sum);
}

static uint64_t x87(void)
{
	long double sum = 0, product = 1;

	for (int k = 1; k < 1000000; k++) {
		long double x = k;

		sum += (k & 1 ? 1.0L : -1.0L) / (x * x + 0.5L);
		product *= 1.0L + 1.0L / (x * x);
	}
	return bits_of((double)sum) ^ bits_of((double)product);
}

/* --- the kernel's work --- */

static uint64_t syscalls(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < 400000; i++)
		sum += syscall(SYS_getppid) > 0;
	return sum;
}

static uint64_t faults(void)
{
	enum { PAGES = 41000 };
	unsigned char *p = pages(PAGES * 4096ul, PROT_READ | PROT_WRITE);
	uint64_t sum = 0;

	madvise(p, PAGES * 4096ul, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < PAGES; i++)
		p[i * 4096] = (unsigned char)i;
	for (size_t i = 0; i < PAGES; i++)
		sum += p[i * 4096];
	munmap(p, PAGES * 4096ul);
	return sum;
}

static uint64_t pipes(void)
{
	int there[2], back[2], n = 12000;
	uint64_t sum = 0;
	unsigned char c = 0;
	pid_t child;

	if (pipe(there) < 0 || pipe(back) < 0)
		die("pipe");
	child = fork();
	if (child == 0) {
		for (int i = 0; i < n; i++) {
			if (read(there[0], &c, 1) != 1)
				_exit(1);
			c++;
			if (write(back[1], &c, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < n; i++) {
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			die("pipes");
		sum += c;
	}
	waitpid(child, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	return sum;
}

static uint64_t wait_status(pid_t child)
{
	int status = -1;

	if (child < 0 || waitpid(child, &status, 0) != child)
		die("wait");
	return (uint64_t)WEXITSTATUS(status);
}

static uint64_t forks(void)
{
	static unsigned char touched[MB];
	uint64_t sum = 0;

	memset(touched, 1, sizeof(touched));
	for (int i = 0; i < 300; i++) {
		pid_t child = fork();

		if (child == 0) {
			touched[4096 * (i % 256)] = (unsigned char)i;
			_exit(touched[4096 * (i % 256)] & 0x7f);
		}
		sum += wait_status(child);
	}
	return sum;
}

static uint64_t execs(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < 120; i++) {
		pid_t child = fork();

		if (child == 0) {
			execl("/proc/self/exe", "guestmark", "-exit", (char *)NULL);
			_exit(127);
		}
		sum += wait_status(child);
	}
	return sum;
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught += number == SIGUSR1;
}

static uint64_t signals(void)
{
	pid_t self = getpid();

	caught = 0;
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 80000; i++)
		kill(self, SIGUSR1);
	return (uint64_t)caught;
}

static uint64_t rewrites(void)
{
	/* mov eax, imm32; lea eax, [rax + rdi]; ret */
	static const unsigned char code[] = { 0xb8, 0, 0, 0, 0, 0x8d, 0x04, 0x38, 0xc3 };
	unsigned char *p = pages(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
	uint32_t (*function)(uint32_t) = (uint32_t (*)(uint32_t))(void *)p;
	uint64_t sum = 0;

	memcpy(p, code, sizeof(code));
	for (uint32_t i = 0; i < 40000; i++) {
		uint32_t value = i * 2654435761u;

		memcpy(p + 1, &value, 4);
		__asm__ volatile("" ::: "memory");
		sum += function(i);
	}
	munmap(p, 4096);
	return sum;
}

/* A loop for `smp`: registers and a little memory, no system call. */
static uint64_t busy(void)
{
	volatile uint64_t sink = 0;
	uint64_t state = 99;

	for (int i = 0; i < 200000000; i++)
		if ((next_random(&state) & 0xff) == 0)
			sink = sink + state;
	return sink;
}

static const struct work {
	const char *name;
	uint64_t (*function)(void);
} works[] = {
	{ "sieve", sieve }, { "qsort", sort }, { "calls", calls }, { "crc", crc }, { "bytecode", bytecode },
	{ "chase", chase }, { "nbody", nbody }, { "matrix", matrix }, { "x87", x87 }, { "memcpy", copy },
	{ "strings", strings },
	{ "syscalls", syscalls }, { "faults", faults }, { "pipes", pipes }, { "forks", forks }, { "execs", execs },
	{ "signals", signals }, { "rewrites", rewrites },
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void measure(const struct work *w, int repeats)
{
	double best = 1e9;
	uint64_t sum = 0;

	for (int i = 0; i < repeats; i++) {
		double began = now(), took;
		uint64_t s = w->function();

		took = now() - began;
		if (took < best)
			best = took;
		if (i && s != sum)
			printf("guestmark: %s gave two results\n", w->name);
		sum = s;
	}
	printf("guestmark %s %.6f %016llx\n", w->name, best, (unsigned long long)sum);
	fflush(stdout);
}

/* smp: the loop on `count` processors at once; wall time until the last is ready. */
static void measure_busy(int count, int repeats)
{
	double best = 1e9;

	for (int i = 0; i < repeats; i++) {
		double began = now(), took;
		pid_t children[8];

		for (int k = 0; k < count; k++) {
			children[k] = fork();
			if (children[k] == 0) {
				cpu_set_t set;

				CPU_ZERO(&set);
				CPU_SET(k, &set);
				sched_setaffinity(0, sizeof(set), &set);
				_exit(busy() == 0);
			}
		}
		for (int k = 0; k < count; k++)
			wait_status(children[k]);
		took = now() - began;
		if (took < best)
			best = took;
	}
	printf("guestmark busy%d %.6f %016llx\n", count, best, (unsigned long long)busy());
	fflush(stdout);
}

/* Runs a program; returns a hash (FNV-1a) of what it writes on its standard output. */
static uint64_t program_output(char **argv)
{
	static unsigned char data[65536];
	uint64_t sum = 0xcbf29ce484222325;
	int out[2];
	ssize_t n;
	pid_t child;

	if (pipe(out) < 0)
		die("pipe");
	child = fork();
	if (child == 0) {
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	while ((n = read(out[0], data, sizeof(data))) > 0)
		for (ssize_t i = 0; i < n; i++)
			sum = (sum ^ data[i]) * 0x100000001b3;
	close(out[0]);
	if (wait_status(child))
		printf("guestmark: %s failed\n", argv[0]);
	return sum;
}

static void measure_program(const char *name, char **argv, int repeats)
{
	double best = 1e9;
	uint64_t sum = 0;

	for (int i = 0; i < repeats; i++) {
		double began = now(), took;

		sum = program_output(argv);
		took = now() - began;
		if (took < best)
			best = took;
	}
	printf("guestmark %s %.6f %016llx\n", name, best, (unsigned long long)sum);
	fflush(stdout);
}

static void stay_on_this_processor(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* The work in a process of its own: what one leaves behind in the libc's or the kernel's tables is not another's. */
static void run(const struct work *w, int repeats)
{
	pid_t child = fork();

	if (child == 0) {
		char text[16];

		/* Read by the C library when a program starts. */
		if (!strcmp(w->name, "strings") && !getenv("GLIBC_TUNABLES")) {
			snprintf(text, sizeof(text), "%d", repeats);
			setenv("GLIBC_TUNABLES",
			       "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,-AVX512BW", 1);
			execl("/proc/self/exe", "guestmark", "-r", text, w->name, (char *)NULL);
			die("exec");
		}
		stay_on_this_processor();
		measure(w, repeats);
		_exit(0);
	}
	if (wait_status(child))
		printf("guestmark: %s failed\n", w->name);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int repeats = REPEATS, first = 1;

	if (argc > 1 && !strcmp(argv[1], "-exit"))
		return 3;
	if (argc > 2 && !strcmp(argv[1], "-r")) {
		repeats = atoi(argv[2]);
		first = 3;
	}
	if (argc > first + 2 && !strcmp(argv[first], "-time")) {
		measure_program(argv[first + 1], argv + first + 2, repeats);
		return 0;
	}
	for (int i = first; i < argc; i++)
		if (!strncmp(argv[i], "busy", 4) && atoi(argv[i] + 4) >= 1 && atoi(argv[i] + 4) <= 8)
			measure_busy(atoi(argv[i] + 4), repeats);
	for (size_t k = 0; k < sizeof(works) / sizeof(works[0]); k++) {
		bool wanted = first >= argc;

		for (int i = first; i < argc; i++)
			if (!strcmp(argv[i], works[k].name))
				wanted = true;
		if (wanted)
			run(&works[k], repeats);
	}
	return 0;
}
