/* SPDX-License-Identifier: MIT */
/*
 * A program with a network inside: a guest that asks who the gateway is, and pings it.
 *     cc embed.c $(pkg-config --cflags --libs unet) -o embed && ./embed
 */
#include <stdio.h>
#include <unet/unet.h>

/* From 10.0.2.15 at 52:54:00:12:34:56: ARP, who has 10.0.2.2?  And an ICMP echo request to it. */
static const uint8_t arp[60] = "\xff\xff\xff\xff\xff\xffRT\0\x12\x34\x56\x08\6" "\0\1\x08\0\6\4\0\1"
			       "RT\0\x12\x34\x56\x0a\0\2\x0f" "\0\0\0\0\0\0\x0a\0\2\2";
static const uint8_t ping[60] = "RU\x0a\0\2\2RT\0\x12\x34\x56\x08\0" "\x45\0\0\x1c\0\0\0\0\x40\1\x62\xd1"
				"\x0a\0\2\x0f\x0a\0\2\2" "\x08\0\xf7\xfd\0\1\0\1";

/* Frames for us.  The bytes are ours only during the call; all are taken, so the network never has to wait. */
static size_t receive(void *owner, const struct frame *frames, size_t n)
{
	bool *answered = owner;
	uint8_t f[1514] = { 0 };

	for (size_t i = 0; i < n; i++) {
		frame_copy(&frames[i], 0, f, sizeof(f));
		if (f[13] == 6)
			printf("10.0.2.2 is at %02x:%02x:%02x:%02x:%02x:%02x\n", f[22], f[23], f[24], f[25], f[26], f[27]);
		if (f[13] == 0 && f[23] == 1 && f[34] == 0)
			*answered = puts("10.0.2.2 answers our ping") >= 0;
	}
	return n;
}

int main(void)
{
	struct unet_config config;
	struct unet *u = NULL;
	struct port port;
	struct err err;
	bool answered = false;

	unet_config_defaults(&config);
	config.clock = clock_new(&(struct clock_config){ .now = clock_monotonic });
	config.loop = loop_new();
	if (!unet_config_set(&config, "hostname", "embedded", &err) || !unet_config_finish(&config, &err) ||
	    !(u = unet_new(&config, &err))) {
		fprintf(stderr, "embed: %s\n", err.text);
		return 1;
	}
	port_init(&port, &(struct port_ops){ .receive = receive }, &answered, "us");
	port_join(&port, unet_port(u));
	port_send_bytes(&port, arp, sizeof(arp));
	port_send_bytes(&port, ping, sizeof(ping));
	for (int i = 0; i < 100 && !answered; i++) {    /* a program with more to do goes on here until it ends */
		loop_poll(config.loop, MS(10));
		clock_run(config.clock);
	}
	port_part(&port);
	unet_free(u);
	clock_free(config.clock);
	loop_free(config.loop);
	return !answered;
}
