/* SPDX-License-Identifier: MIT */
/* A byte stream between a device (serial port, debug console) and the host; emu/ implements the host's side. */
#ifndef HW_CHARDEV_H
#define HW_CHARDEV_H

#include <stddef.h>
#include <stdint.h>

struct chardev {
	/* Device to host.  Returns how many bytes were taken; less than len: the device waits for writable(). */
	size_t (*write)(struct chardev *c, const void *buf, size_t len);
	/* The device has room again after can_receive said too little. */
	void (*accept_input)(struct chardev *c);
	/* Both set by the device (NULL: nobody listens); called with the machine lock held, on the loop thread. */
	const struct chardev_user *user;
	void *owner;                    /* handed to the calls of user */
};

struct chardev_user {
	size_t (*can_receive)(void *owner);                             /* bytes that receive would take now */
	void (*receive)(void *owner, const uint8_t *buf, size_t len);   /* len <= can_receive() */
	void (*writable)(void *owner);                                  /* may be NULL */
	void (*brk)(void *owner);                                       /* a break condition came in; may be NULL */
};

#endif
