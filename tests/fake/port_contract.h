/* SPDX-License-Identifier: MIT */
/*
 * What every card and every backend must do as one end of a cable (net/port.h).  A test program describes how to drive
 * its end from behind (for a card: as its driver; for a backend: as the network) and calls port_contract_run from main.
 */
#ifndef TESTS_PORT_CONTRACT_H
#define TESTS_PORT_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/port.h"

struct contract {
	const char *name;
	/* A bench with the end under test, up and taking frames, promiscuous if it filters.  Nothing is joined to its port. */
	void *(*make)(void);
	void (*free)(void *bench);      /* frees the end too, joined or not, frames held or not */
	struct port *(*port)(void *bench);
	/* From behind: send a frame of 60..1514 bytes.  false: no room now (a ring is full). */
	bool (*send)(void *bench, const uint8_t *frame, size_t len);
	/* Let work that was put off happen (advance the clock). */
	void (*run)(void *bench);
	/* From behind: take the next frame that arrived; returns its length (at most max), 0 if there is none. */
	size_t (*take)(void *bench, uint8_t *frame, size_t max);
	/* Stop making room for arriving frames, and make room again.  NULL for an end that always takes. */
	void (*close)(void *bench);
	void (*open)(void *bench);
	bool pads;                      /* frames under 60 bytes arrive padded to 60 */
};

/* Runs the suite; returns the number of failed tests. */
int port_contract_run(const struct contract *c);

#endif
