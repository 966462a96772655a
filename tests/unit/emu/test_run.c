/* SPDX-License-Identifier: MIT */
/* The loop and the processors' threads around a machine that is a few bytes of ROM. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "emu/run.h"

enum { ROUNDS_MAX = 300000, STARVED = 99, READY = 42, PAGE = 4096, PORT = 0x80 };

struct bench {
	struct run *run;
	struct bus *memory, *ports;
	struct cpus *cpus;
	uint8_t *rom;
	int pipe[2];
	struct loop_fd watch;
	struct timer timer;
	struct bell bell;
	unsigned rounds, resets, stores, here, rung;
	pthread_t loop_thread;
	uint64_t seen;
	bool reset_fails;
};

static uint64_t read_port(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

/* What the guest stores ends the machine with that status. */
static void write_port(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct bench *b = dev;

	(void)offset;
	(void)size;
	b->stores++;
	run_request_quit(b->run, (int)value);
}

static const struct io_ops port_ops = { read_port, write_port, .max_size = 4 };

static bool on_reset(void *owner, struct err *err)
{
	struct bench *b = owner;

	if (b->reset_fails)
		return err_set(err, "no");
	b->resets++;
	cpus_reset(b->cpus);
	if (b->resets == 3)
		run_request_quit(b->run, READY);
	return true;
}

static int no_vector(void *owner) { (void)owner; return -1; }
static void no_eoi(void *owner, uint8_t vector) { (void)owner; (void)vector; }
static void no_ferr(void *owner) { (void)owner; }

static void open_bench(struct bench *b, const struct run_config *config, const uint8_t *code, size_t len)
{
	struct err err;

	memset(b, 0, sizeof(*b));
	b->run = run_new(config, &err);
	assert_non_null(b->run);
	b->memory = bus_new(BUS_MEMORY);
	b->ports = bus_new(BUS_PORTS);
	b->rom = aligned_alloc(PAGE, PAGE);
	assert_non_null(b->rom);
	memset(b->rom, 0xf4, PAGE);
	memcpy(b->rom + PAGE - 16, code, len);          /* the reset vector */
	bus_map_ram(b->memory, 0xfffff000, PAGE, b->rom, BUS_ROM, "rom");
	assert_true(bus_map(b->ports, PORT, 1, &port_ops, b, "port", NULL));
	b->cpus = cpus_new(&(struct cpus_config){ .ops = run_cpu_ops(), .owner = b->run, .count = 1,
						  .engine = CPU_INTERP, .tsc_hz = 1000000000,
						  .icount = config->icount }, &err);
	assert_non_null(b->cpus);
	run_attach(b->run, &(struct run_machine){ .cpus = b->cpus, .memory = b->memory, .ports = b->ports,
						  .int_ack = no_vector, .apic_eoi = no_eoi, .ferr = no_ferr,
						  .reset = on_reset, .owner = b });
	cpus_reset(b->cpus);
	assert_int_equal(pipe(b->pipe), 0);
}

static void close_bench(struct bench *b)
{
	loop_remove(&b->watch);
	close(b->pipe[0]);
	close(b->pipe[1]);
	if (b->timer.clock)
		timer_cancel(&b->timer);
	if (b->bell.clock)
		bell_cancel(&b->bell);
	cpus_free(b->cpus);
	run_free(b->run);
	bus_free(b->memory);
	bus_free(b->ports);
	free(b->rom);
}

static const uint8_t halt[] = { 0xfa, 0xf4, 0xeb, 0xfd };               /* cli; hlt; jmp to it */
static const uint8_t spin[] = { 0xeb, 0xfe };
static const uint8_t tell_7[] = { 0xb0, 0x07, 0xe6, PORT, 0xeb, 0xfe }; /* mov al, 7; out 80h, al; jmp $ */
static const uint8_t triple_fault[] = { 0x0f, 0x01, 0x1e, 0, 0, 0xcc }; /* lidt [0]: no IDT there; int3 */

static void pipe_ready(void *owner, unsigned events)
{
	struct bench *b = owner;

	(void)events;
	run_request_quit(b->run, READY);
}

static void fire_again(void *owner)
{
	struct bench *b = owner;

	if (++b->rounds == ROUNDS_MAX)
		run_request_quit(b->run, STARVED);
	timer_soon(&b->timer);
}

static void ring_again(void *owner)
{
	struct bench *b = owner;

	if (++b->rounds == ROUNDS_MAX)
		run_request_quit(b->run, STARVED);
	else
		bell_ring(&b->bell);
}

enum busy { MACHINE_TIMER, LOOP_TIMER, BELL };

/* A descriptor that becomes ready while there is something due in every round. */
static void starve(const struct run_config *config, enum busy what)
{
	struct bench b;

	open_bench(&b, config, halt, sizeof(halt));
	timer_init(&b.timer, what == MACHINE_TIMER ? run_clock(b.run) : run_loop_clock(b.run), fire_again, &b);
	bell_init(&b.bell, run_clock(b.run), ring_again, &b);
	if (what == BELL)
		bell_ring(&b.bell);
	else
		timer_soon(&b.timer);
	assert_int_equal(loop_add(run_loop(b.run), &b.watch, b.pipe[0], LOOP_READ, pipe_ready, &b), 0);
	assert_int_equal(write(b.pipe[1], "x", 1), 1);
	assert_int_equal(run_main(b.run), READY);
	close_bench(&b);
}

static void descriptors_are_looked_at_while_timers_and_bells_come_without_a_pause(void **state)
{
	(void)state;
	for (enum busy what = MACHINE_TIMER; what <= BELL; what++)
		starve(&(struct run_config){ 0 }, what);
}

static void so_they_are_in_icount_mode(void **state)
{
	(void)state;
	for (enum busy what = MACHINE_TIMER; what <= BELL; what++)
		starve(&(struct run_config){ .icount = true, .icount_shift = 3, .icount_sleep = true }, what);
}

static void fire_and_quit(void *owner)
{
	struct bench *b = owner;

	b->seen = run_now(b->run);
	run_request_quit(b->run, READY);
}

static void a_timer_ends_the_sleep_of_an_idle_machine(void **state)
{
	static const struct run_config configs[] = {
		{ 0 }, { .icount = true, .icount_shift = 3, .icount_sleep = true },
		{ .icount = true, .icount_shift = 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		struct bench b;

		open_bench(&b, &configs[i], halt, sizeof(halt));
		timer_init(&b.timer, run_clock(b.run), fire_and_quit, &b);
		timer_set(&b.timer, MS(20));
		assert_int_equal(run_main(b.run), READY);
		assert_true(b.seen >= MS(20));
		close_bench(&b);
	}
}

static void a_timer_comes_to_a_busy_machine_too(void **state)
{
	static const struct run_config configs[] = { { 0 }, { .icount = true, .icount_shift = 3 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		struct bench b;

		open_bench(&b, &configs[i], spin, sizeof(spin));
		timer_init(&b.timer, run_clock(b.run), fire_and_quit, &b);
		timer_set(&b.timer, MS(2));
		assert_int_equal(run_main(b.run), READY);
		assert_true(b.seen >= MS(2));
		close_bench(&b);
	}
}

static void a_store_of_the_guest_ends_it_with_its_status(void **state)
{
	static const struct run_config configs[] = { { 0 }, { .icount = true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		struct bench b;

		open_bench(&b, &configs[i], tell_7, sizeof(tell_7));
		assert_int_equal(run_main(b.run), 7);
		assert_int_equal(b.stores, 1);
		close_bench(&b);
	}
}

static const uint8_t ring_often[] = {           /* mov cx, 100h; loop $; mov [8000h], al; jmp to the start */
	0xb9, 0x00, 0x01, 0xe2, 0xfe, 0xa2, 0x00, 0x80, 0xeb, 0xf6,
};

static bool ring_port(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct bench *b = dev;

	(void)offset;
	(void)value;
	(void)size;
	__atomic_fetch_add(&b->rung, 1, __ATOMIC_RELAXED);
	bell_ring(&b->bell);
	return true;
}

static const struct io_ops doorbell_ops = { read_port, write_port, .max_size = 4, .doorbell = ring_port };

enum { ANSWERS = 3000 };

/* The first answer arms the timer; it and enough answers together are the end. */
static void answer_ring(void *owner)
{
	struct bench *b = owner;

	b->here += !pthread_equal(pthread_self(), b->loop_thread);
	if (++b->rounds == 1)
		timer_set(&b->timer, clock_now(run_clock(b->run)) + MS(1));
	if (b->rounds >= ANSWERS && b->seen)
		run_request_quit(b->run, READY);
}

static void note_time(void *owner)
{
	struct bench *b = owner;

	b->seen = run_now(b->run);
}

static unsigned answered_here(bool quick)
{
	struct bench b;

	open_bench(&b, &(struct run_config){ 0 }, ring_often, sizeof(ring_often));
	assert_true(bus_map(b.memory, 0x8000, PAGE, &doorbell_ops, &b, "bell", NULL));
	b.loop_thread = pthread_self();
	timer_init(&b.timer, run_clock(b.run), note_time, &b);
	bell_init(&b.bell, run_clock(b.run), answer_ring, &b);
	b.bell.quick = quick;
	assert_int_equal(run_main(b.run), READY);
	assert_true(b.rounds >= ANSWERS && b.rung >= b.rounds);
	close_bench(&b);
	return b.here;
}

static void a_quick_bell_is_answered_by_who_rang_while_the_loop_sleeps(void **state)
{
	(void)state;
	assert_true(answered_here(true) > 0);
	assert_int_equal(answered_here(false), 0);
}

static void a_triple_fault_resets(void **state)
{
	static const struct run_config configs[] = { { 0 }, { .icount = true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		struct bench b;

		open_bench(&b, &configs[i], triple_fault, sizeof(triple_fault));
		assert_int_equal(run_main(b.run), READY);
		assert_int_equal(b.resets, 3);
		close_bench(&b);
	}
}

static void a_reset_ends_it_under_no_reboot_and_a_failed_one_always(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, &(struct run_config){ .no_reboot = true }, triple_fault, sizeof(triple_fault));
	assert_int_equal(run_main(b.run), 0);
	assert_int_equal(b.resets, 0);
	close_bench(&b);
	open_bench(&b, &(struct run_config){ 0 }, triple_fault, sizeof(triple_fault));
	b.reset_fails = true;
	assert_int_equal(run_main(b.run), 1);
	close_bench(&b);
}

/* On the loop thread: stop, note the time, go on later. */
static void stop_and_go(void *owner, unsigned events)
{
	struct bench *b = owner;
	char c;

	(void)events;
	assert_int_equal(read(b->pipe[0], &c, 1), 1);
	if (!b->seen) {
		run_stop(b->run);
		b->seen = run_now(b->run);
		usleep(20000);
		assert_true(run_now(b->run) == b->seen);
		assert_false(run_running(b->run));
		assert_int_equal(write(b->pipe[1], "x", 1), 1);
		return;
	}
	run_cont(b->run);
	assert_true(run_now(b->run) < b->seen + MS(10));        /* those 20 ms did not happen */
	run_freeze(b->run);
	run_thaw(b->run);
	run_request_quit(b->run, READY);
}

static void time_stands_still_while_it_is_stopped(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, &(struct run_config){ 0 }, spin, sizeof(spin));
	assert_int_equal(loop_add(run_loop(b.run), &b.watch, b.pipe[0], LOOP_READ, stop_and_go, &b), 0);
	assert_int_equal(write(b.pipe[1], "x", 1), 1);
	assert_int_equal(run_main(b.run), READY);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_are_looked_at_while_timers_and_bells_come_without_a_pause),
		cmocka_unit_test(so_they_are_in_icount_mode),
		cmocka_unit_test(a_timer_ends_the_sleep_of_an_idle_machine),
		cmocka_unit_test(a_timer_comes_to_a_busy_machine_too),
		cmocka_unit_test(a_store_of_the_guest_ends_it_with_its_status),
		cmocka_unit_test(a_quick_bell_is_answered_by_who_rang_while_the_loop_sleeps),
		cmocka_unit_test(a_triple_fault_resets),
		cmocka_unit_test(a_reset_ends_it_under_no_reboot_and_a_failed_one_always),
		cmocka_unit_test(time_stands_still_while_it_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
