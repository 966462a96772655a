/* SPDX-License-Identifier: MIT */
/*
 * An address space of registers and memory; a PC has two, the 64-bit memory space and the 64 KB of ports.
 * Devices map windows onto it; processors and bus masters read and write it.
 *
 * Calls come with the machine lock held, but for bus_page and the dma_ functions' plain-RAM path, which any
 * thread may use at any time.
 */
#ifndef HW_BUS_H
#define HW_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

struct bus;

struct io_ops {
	/* offset is from the window's base; size is 1, 2, 4 or 8, within [min_size, max_size]. */
	uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
	void (*write)(void *dev, uint64_t offset, uint64_t value, unsigned size);
	uint8_t min_size;               /* narrower accesses are widened: read and cut, write at its own offset (0: 1) */
	uint8_t max_size;               /* wider ones are split, low address first (0: 4) */
	/*
	 * Some stores here are doorbells: called WITHOUT the machine lock, on the vCPU's thread.  Returns false, having done
	 * nothing, if this store is none: `write` then gets it, with the lock.  It may only note the store by an atomic
	 * operation and bell_ring (base/clock.h) the loop.
	 */
	bool (*doorbell)(void *dev, uint64_t offset, uint64_t value, unsigned size);
	/* Bus masters may reach it (VGA memory).  All others refuse DMA, so that no device is re-entered through its own ring. */
	bool dma;
};

/* One access to a window's ops, split and widened as they ask: what the bus does once it has found the window. */
uint64_t io_read(const struct io_ops *ops, void *dev, uint64_t offset, unsigned size);
void io_write(const struct io_ops *ops, void *dev, uint64_t offset, uint64_t value, unsigned size);

enum bus_kind { BUS_MEMORY, BUS_PORTS };

struct bus *bus_new(enum bus_kind kind);
void bus_free(struct bus *b);

/*
 * Map a register window.  Windows may not overlap one another (false, with err): the first one stays.  Over RAM a
 * window wins, as a PCI hole or the VGA window does.  `name` is kept (info mtree).
 */
bool bus_map(struct bus *b, uint64_t base, uint64_t len, const struct io_ops *ops, void *dev, const char *name,
	     struct err *err);
void bus_unmap(struct bus *b, uint64_t base);   /* harmless if nothing begins there */

/* Map host memory: page-aligned base and len; host stays the caller's.  A later map over the same pages replaces it there. */
enum bus_ram { BUS_RAM, BUS_ROM /* reads only; stores are dropped */ };
void bus_map_ram(struct bus *b, uint64_t base, uint64_t len, void *host, enum bus_ram kind, const char *name);
void bus_unmap_ram(struct bus *b, uint64_t base, uint64_t len);
/* Whether any RAM or ROM, or any window, lies in [base, base+len). */
bool bus_has_ram(struct bus *b, uint64_t base, uint64_t len);
bool bus_has_window(struct bus *b, uint64_t base, uint64_t len);

/* Accesses by a processor or a bus master.  Where nothing answers, reads give all ones and stores vanish. */
uint64_t bus_read(struct bus *b, uint64_t addr, unsigned size);
void bus_write(struct bus *b, uint64_t addr, uint64_t value, unsigned size);
/* Without the machine lock: true if addr is a doorbell that took the store. */
bool bus_doorbell(struct bus *b, uint64_t addr, uint64_t value, unsigned size);

/* The 4 KB page at addr (page-aligned) as host memory; NULL if it is not plain memory (go through bus_read). */
struct bus_page {
	uint8_t *host;
	bool writable;                  /* false: ROM, or watched: stores must go through bus_write */
};
bool bus_page(struct bus *b, uint64_t addr, struct bus_page *page);

/* Bulk access by bus masters; they cross pages and windows.  false: some byte was not memory (reads give ones there). */
bool dma_read(struct bus *b, uint64_t addr, void *buf, size_t len);
bool dma_write(struct bus *b, uint64_t addr, const void *buf, size_t len);
/*
 * Zero-copy: host pieces of [addr, addr+len) appended to iov (adjacent ones merged).  Returns the number of pieces
 * used, 0 if any of it is not RAM or it needs more than max.  The pointers stay valid as long as the machine.
 * After writing through them call dma_dirty.
 */
size_t dma_map(struct bus *b, uint64_t addr, size_t len, struct iovec *iov, size_t max);
void dma_dirty(struct bus *b, uint64_t addr, size_t len);

/* The processors' interest in memory. */
struct bus_listener {
	void (*remapped)(void *owner);                                  /* drop cached bus_page answers */
	void (*code_written)(void *owner, uint64_t addr, size_t len);   /* a bus master stored into a page marked as code */
	void *owner;
};
void bus_listen(struct bus *b, const struct bus_listener *l);  /* copied; up to four */
/* Mark or unmark a RAM page as holding translated code, so that code_written is called for it. */
void bus_mark_code(struct bus *b, uint64_t addr, bool code);

void bus_print(struct bus *b, void (*out)(void *to, const char *line), void *to);       /* info mtree */

#endif
