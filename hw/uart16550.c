/* SPDX-License-Identifier: MIT */
/*
 * The PC16550D UART (National Semiconductor data sheet, June 1995), eight byte-wide registers.
 *
 * There is no line and so no baud rate: what the guest sends leaves at once and what comes from the host arrives at
 * once, with two brakes.  The host may take less than the guest sends: `out` fills, then the transmit FIFO, and THRE
 * stays low.  And a driver that loops on the interrupt until none is pending must come to an end: after BURST bytes
 * the transmit interrupt, and after each FIFO full the next received bytes, wait for BATCH_NS.
 *
 *      guest -> THR -> tx[16] -> out[4096] -> chardev            chardev -> rx[16] -> RBR -> guest
 *
 * The divisor only sets the length of the receive time-out.  Left out on purpose: sending breaks, parity and framing.
 */
#include "hw/uart16550.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	RBR = 0 /* RO */, THR = 0 /* WO */, DLL = 0 /* DLAB */, IER = 1, DLM = 1 /* DLAB */, IIR = 2 /* RO */,
	FCR = 2 /* WO */, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7, REG_COUNT = 8,

	IER_ERBFI = 1, IER_ETBEI = 2, IER_ELSI = 4, IER_EDSSI = 8, IER_MASK = 15,

	IIR_NONE = 1, IIR_MODEM = 0, IIR_THRE = 2, IIR_RDA = 4, IIR_LINE = 6, IIR_TIMEOUT = 12, IIR_FIFO = 0xc0,

	FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_DMA = 8, FCR_TRIGGER = 0xc0,

	LCR_WLS = 3, LCR_STB = 4, LCR_PEN = 8, LCR_DLAB = 0x80,

	MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16, MCR_MASK = 31,

	LSR_DR = 1, LSR_OE = 2, LSR_PE = 4, LSR_FE = 8, LSR_BI = 16, LSR_THRE = 32, LSR_TEMT = 64, LSR_FIFO_ERROR = 128,
	LSR_CHAR_ERRORS = LSR_PE | LSR_FE | LSR_BI,

	MSR_DCTS = 1, MSR_DDSR = 2, MSR_TERI = 4, MSR_DDCD = 8, MSR_DELTAS = 15,
	MSR_CTS = 16, MSR_DSR = 32, MSR_RI = 64, MSR_DCD = 128,

	FIFO = 16, OUT = 4096,
	BURST = 4096,                   /* bytes sent within one run of an interrupt handler */
	BAUD_BASE = 115200,             /* 1.8432 MHz / 16 */
};

#define BATCH_NS US(100)
#define TIMEOUT_MAX_NS MS(20)           /* of the receive time-out: nobody wants to feel 50 baud */

struct uart16550 {
	struct uart16550_config cfg;
	struct timer flush, timeout, accept;
	bool level;                     /* of the line, as last driven */
	/* what reset() restores: */
	struct uart16550_state {
		uint8_t ier, fcr, lcr, mcr, msr, scr;
		uint8_t overrun;                /* LSR_OE or 0 */
		uint8_t rx_count, rx_head, tx_count;
		uint8_t rx[FIFO], rx_errors[FIFO];      /* LSR_CHAR_ERRORS of each byte */
		uint8_t tx[FIFO];
		bool thre_pending;              /* the transmit interrupt is asserted (if enabled) */
		bool thre_held;                 /* ... or will be, when the batch is out */
		bool timed_out;                 /* the receive time-out is asserted */
		bool rx_wait;                   /* the host was told that there is no room */
		uint16_t divisor;
		uint32_t burst;                 /* bytes sent since the guest saw no interrupt pending */
		uint32_t out_count;
		uint64_t flush_at, timeout_at, accept_at;
		uint8_t out[OUT];
	} r;
};

static unsigned rx_depth(const struct uart16550 *s)
{
	return s->r.fcr & FCR_ENABLE ? FIFO : 1;
}

static unsigned rx_trigger(const struct uart16550 *s)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return s->r.fcr & FCR_ENABLE ? level[s->r.fcr >> 6] : 1;
}

static uint8_t line_status(const struct uart16550 *s)
{
	uint8_t lsr = s->r.overrun;

	if (s->r.rx_count)
		lsr |= LSR_DR | s->r.rx_errors[s->r.rx_head];
	if (s->r.tx_count == 0)
		lsr |= LSR_THRE | LSR_TEMT;
	if (s->r.fcr & FCR_ENABLE)
		for (unsigned i = 0; i < s->r.rx_count; i++)
			if (s->r.rx_errors[(s->r.rx_head + i) % FIFO])
				lsr |= LSR_FIFO_ERROR;
	return lsr;
}

/* The highest interrupt that is enabled and asserted (table 4 of the data sheet). */
static uint8_t interrupt_id(const struct uart16550 *s)
{
	uint8_t ier = s->r.ier;

	if ((ier & IER_ELSI) && (line_status(s) & (LSR_OE | LSR_CHAR_ERRORS)))
		return IIR_LINE;
	if ((ier & IER_ERBFI) && s->r.rx_count >= rx_trigger(s))
		return IIR_RDA;
	if ((ier & IER_ERBFI) && s->r.timed_out)
		return IIR_TIMEOUT;
	if ((ier & IER_ETBEI) && s->r.thre_pending)
		return IIR_THRE;
	if ((ier & IER_EDSSI) && (s->r.msr & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct uart16550 *s)
{
	bool level = interrupt_id(s) != IIR_NONE;

	if (level == s->level)
		return;
	s->level = level;
	irq_set(&s->cfg.irq, level);
}

static void arm(struct timer *t, uint64_t *at, uint64_t deadline)
{
	*at = deadline;
	timer_set(t, deadline);
}

/* --- received bytes ----------------------------------------------------------------------------------------------- */

static void start_timeout(struct uart16550 *s)
{
	uint64_t divisor = s->r.divisor ? s->r.divisor : 1, ns;
	unsigned bits = 1 + 5 + (s->r.lcr & LCR_WLS) + !!(s->r.lcr & LCR_PEN) + 1 + !!(s->r.lcr & LCR_STB);

	s->r.timed_out = false;
	if (!(s->r.fcr & FCR_ENABLE) || s->r.rx_count == 0) {
		arm(&s->timeout, &s->r.timeout_at, CLOCK_NEVER);
		return;
	}
	ns = 4 * bits * divisor * S(1) / BAUD_BASE;     /* four character times */
	arm(&s->timeout, &s->r.timeout_at, clock_now(s->cfg.clock) + MIN(ns, TIMEOUT_MAX_NS));
}

static void timeout(void *owner)
{
	struct uart16550 *s = owner;

	s->r.timeout_at = CLOCK_NEVER;
	s->r.timed_out = s->r.rx_count != 0;
	update_irq(s);
}

static void push_rx(struct uart16550 *s, uint8_t byte, uint8_t errors)
{
	unsigned i;

	if (s->r.rx_count == rx_depth(s)) {
		s->r.overrun = LSR_OE;
		if (s->r.fcr & FCR_ENABLE)
			return;                 /* the shift register is overwritten, the FIFO stays */
		s->r.rx_count = 0;              /* RBR is overwritten */
	}
	i = (s->r.rx_head + s->r.rx_count++) % FIFO;
	s->r.rx[i] = byte;
	s->r.rx_errors[i] = errors;
}

static uint8_t pop_rx(struct uart16550 *s)
{
	uint8_t byte = s->r.rx[s->r.rx_head];

	if (s->r.rx_count == 0)
		return byte;                    /* the last one again */
	if (s->r.rx_count > 1)
		s->r.rx_head = (s->r.rx_head + 1) % FIFO;
	else
		s->r.rx_errors[s->r.rx_head] = 0;
	s->r.rx_count--;
	start_timeout(s);
	if (s->r.rx_count == 0 && s->r.rx_wait) {
		s->r.rx_wait = false;
		arm(&s->accept, &s->r.accept_at, clock_now(s->cfg.clock) + BATCH_NS);
	}
	update_irq(s);
	return byte;
}

static void clear_rx(struct uart16550 *s)
{
	memset(s->r.rx_errors, 0, sizeof(s->r.rx_errors));
	s->r.rx_count = s->r.rx_head = 0;
	start_timeout(s);
	if (s->r.rx_wait) {
		s->r.rx_wait = false;
		arm(&s->accept, &s->r.accept_at, clock_now(s->cfg.clock) + BATCH_NS);
	}
}

static void accept(void *owner)
{
	struct uart16550 *s = owner;

	s->r.accept_at = CLOCK_NEVER;
	if (s->cfg.chardev && s->cfg.chardev->accept_input)
		s->cfg.chardev->accept_input(s->cfg.chardev);
}

static size_t can_receive(void *owner)
{
	struct uart16550 *s = owner;
	size_t room = s->r.accept_at != CLOCK_NEVER || (s->r.mcr & MCR_LOOP) ? 0 : rx_depth(s) - s->r.rx_count;

	if (room == 0 && s->r.accept_at == CLOCK_NEVER)
		s->r.rx_wait = true;
	return room;
}

static void receive(void *owner, const uint8_t *buf, size_t len)
{
	struct uart16550 *s = owner;

	for (size_t i = 0; i < len; i++)
		push_rx(s, buf[i], 0);
	if (s->r.rx_count == rx_depth(s))
		s->r.rx_wait = true;            /* a host that knows it is full need not ask */
	start_timeout(s);
	update_irq(s);
}

static void received_break(void *owner)
{
	struct uart16550 *s = owner;

	if (s->r.mcr & MCR_LOOP)
		return;
	push_rx(s, 0, LSR_BI);
	start_timeout(s);
	update_irq(s);
}

/* --- sent bytes --------------------------------------------------------------------------------------------------- */

static void sent(struct uart16550 *s)
{
	if (s->r.burst < BURST)
		s->r.thre_pending = true;
	else
		s->r.thre_held = true;
}

static void put_out(struct uart16550 *s, uint8_t byte)
{
	s->r.out[s->r.out_count++] = byte;
	s->r.burst++;
	if (s->r.out_count == OUT)
		arm(&s->flush, &s->r.flush_at, 0);
	else if (s->r.flush_at == CLOCK_NEVER)
		arm(&s->flush, &s->r.flush_at, clock_now(s->cfg.clock) + BATCH_NS);
}

static void write_out(struct uart16550 *s)
{
	size_t n = s->cfg.chardev ? s->cfg.chardev->write(s->cfg.chardev, s->r.out, s->r.out_count) : s->r.out_count;

	assert(n <= s->r.out_count);
	memmove(s->r.out, s->r.out + n, s->r.out_count - n);
	s->r.out_count -= (uint32_t)n;
}

static void flush(void *owner)
{
	struct uart16550 *s = owner;
	unsigned n;

	s->r.flush_at = CLOCK_NEVER;
	if (s->r.out_count)
		write_out(s);
	n = MIN((unsigned)s->r.tx_count, (unsigned)(OUT - s->r.out_count));
	if (n) {
		for (unsigned i = 0; i < n; i++)
			put_out(s, s->r.tx[i]);
		memmove(s->r.tx, s->r.tx + n, FIFO - n);
		s->r.tx_count -= (uint8_t)n;
		if (s->r.tx_count == 0)
			sent(s);
	}
	if (s->r.thre_held) {
		s->r.thre_held = false;
		s->r.burst = 0;
		s->r.thre_pending = true;
	}
	update_irq(s);
}

static void write_thr(struct uart16550 *s, uint8_t byte)
{
	s->r.thre_pending = false;
	if (s->r.mcr & MCR_LOOP) {
		push_rx(s, byte, 0);
		start_timeout(s);
		sent(s);
	} else if (s->r.tx_count == 0 && s->r.out_count < OUT) {
		put_out(s, byte);
		sent(s);
	} else if (s->r.tx_count < rx_depth(s)) {
		s->r.tx[s->r.tx_count++] = byte;
	} else {
		s->r.tx[s->r.tx_count - 1] = byte;
		log_guest("uart16550", "byte sent while the transmitter is full");
	}
	update_irq(s);
}

/* --- modem lines -------------------------------------------------------------------------------------------------- */

static void update_modem(struct uart16550 *s)
{
	uint8_t mcr = s->r.mcr, now = 0, change;

	if (mcr & MCR_LOOP)
		now = (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) | (mcr & MCR_OUT1 ? MSR_RI : 0) |
		      (mcr & MCR_OUT2 ? MSR_DCD : 0);
	else if (s->cfg.chardev)
		now = MSR_CTS | MSR_DSR | MSR_DCD;
	change = now ^ s->r.msr;
	s->r.msr = now | (s->r.msr & MSR_DELTAS);
	s->r.msr |= (change & MSR_CTS ? MSR_DCTS : 0) | (change & MSR_DSR ? MSR_DDSR : 0) |
		    (change & ~now & MSR_RI ? MSR_TERI : 0) | (change & MSR_DCD ? MSR_DDCD : 0);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static uint64_t uart_read(void *dev, uint64_t offset, unsigned size)
{
	struct uart16550 *s = dev;
	uint8_t value;

	(void)size;
	switch (offset) {
	case RBR:
		return s->r.lcr & LCR_DLAB ? s->r.divisor & 0xff : pop_rx(s);
	case IER:
		return s->r.lcr & LCR_DLAB ? s->r.divisor >> 8 : s->r.ier;
	case IIR:
		value = interrupt_id(s);
		if (value == IIR_THRE) {
			s->r.thre_pending = false;
			update_irq(s);
		} else if (value == IIR_NONE) {
			s->r.burst = 0;
		}
		return value | (s->r.fcr & FCR_ENABLE ? IIR_FIFO : 0);
	case LCR:
		return s->r.lcr;
	case MCR:
		return s->r.mcr;
	case LSR:
		value = line_status(s);
		if (value & (LSR_OE | LSR_CHAR_ERRORS)) {
			s->r.overrun = 0;
			s->r.rx_errors[s->r.rx_head] = 0;
			update_irq(s);
		}
		return value;
	case MSR:
		value = s->r.msr;
		if (value & MSR_DELTAS) {
			s->r.msr &= ~MSR_DELTAS;
			update_irq(s);
		}
		return value;
	case SCR:
		return s->r.scr;
	}
	return 0xff;
}

static void write_fcr(struct uart16550 *s, uint8_t value)
{
	bool toggled = (value ^ s->r.fcr) & FCR_ENABLE;

	if (toggled || (value & FCR_CLEAR_RX))
		clear_rx(s);
	if ((toggled || (value & FCR_CLEAR_TX)) && s->r.tx_count) {
		s->r.tx_count = 0;
		sent(s);
	}
	/* "must be a 1 when other FCR bits are written to or they will not be programmed" */
	s->r.fcr = value & FCR_ENABLE ? value & (FCR_ENABLE | FCR_DMA | FCR_TRIGGER) : 0;
	update_irq(s);
}

static void write_ier(struct uart16550 *s, uint8_t value)
{
	/* Enabling the transmit interrupt while THR is empty asserts it. */
	if ((value & ~s->r.ier & IER_ETBEI) && s->r.tx_count == 0 && !s->r.thre_held)
		s->r.thre_pending = true;
	s->r.ier = value & IER_MASK;
	update_irq(s);
}

static void uart_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct uart16550 *s = dev;

	(void)size;
	switch (offset) {
	case THR:
		if (s->r.lcr & LCR_DLAB)
			s->r.divisor = (uint16_t)((s->r.divisor & 0xff00) | value);
		else
			write_thr(s, (uint8_t)value);
		break;
	case IER:
		if (s->r.lcr & LCR_DLAB)
			s->r.divisor = (uint16_t)((s->r.divisor & 0xff) | value << 8);
		else
			write_ier(s, (uint8_t)value);
		break;
	case FCR:
		write_fcr(s, (uint8_t)value);
		break;
	case LCR:
		s->r.lcr = (uint8_t)value;
		break;
	case MCR:
		value &= MCR_MASK;
		if ((s->r.mcr & ~value & MCR_LOOP) && s->r.rx_wait) {
			s->r.rx_wait = false;
			arm(&s->accept, &s->r.accept_at, 0);
		}
		s->r.mcr = (uint8_t)value;
		update_modem(s);
		update_irq(s);
		break;
	case SCR:
		s->r.scr = (uint8_t)value;
		break;
	}
}

static const struct io_ops uart_ops = { .read = uart_read, .write = uart_write, .max_size = 1 };
static const struct chardev_user uart_user = {
	.can_receive = can_receive, .receive = receive, .writable = flush, .brk = received_break,
};

static void reset(void *owner)
{
	struct uart16550 *s = owner;
	bool wait = s->r.rx_wait || s->r.rx_count;

	while (s->r.out_count) {                /* sent is sent: a reset of the machine does not call it back */
		uint32_t before = s->r.out_count;

		write_out(s);
		if (s->r.out_count == before)
			break;
	}
	s->r = (struct uart16550_state){
		.divisor = 12,                  /* 9600 */
		.flush_at = CLOCK_NEVER, .timeout_at = CLOCK_NEVER, .accept_at = CLOCK_NEVER,
	};
	timer_cancel(&s->flush);
	timer_cancel(&s->timeout);
	timer_cancel(&s->accept);
	update_modem(s);
	s->r.msr &= ~MSR_DELTAS;
	if (wait)
		arm(&s->accept, &s->r.accept_at, 0);
	update_irq(s);
}

static void loaded(void *owner)
{
	struct uart16550 *s = owner;

	s->r.rx_head %= FIFO;
	s->r.rx_count = MIN(s->r.rx_count, (uint8_t)FIFO);
	s->r.tx_count = MIN(s->r.tx_count, (uint8_t)FIFO);
	s->r.out_count = MIN(s->r.out_count, (uint32_t)OUT);
	timer_set(&s->flush, s->r.flush_at);
	timer_set(&s->timeout, s->r.timeout_at);
	timer_set(&s->accept, s->r.accept_at);
	s->level = interrupt_id(s) != IIR_NONE;
	irq_set(&s->cfg.irq, s->level);
}

struct uart16550 *uart16550_new(const struct uart16550_config *config)
{
	struct uart16550 *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	timer_init(&s->flush, s->cfg.clock, flush, s);
	timer_init(&s->timeout, s->cfg.clock, timeout, s);
	timer_init(&s->accept, s->cfg.clock, accept, s);
	reset(s);
	if (s->cfg.chardev) {
		s->cfg.chardev->user = &uart_user;
		s->cfg.chardev->owner = s;
	}
	bus_map(s->cfg.ports, s->cfg.base, REG_COUNT, &uart_ops, s, "uart16550", NULL);
	state_add(s->cfg.states, &(struct state_section){
		.name = "uart16550", .instance = s->cfg.instance, .version = 1, .data = &s->r, .size = sizeof(s->r),
		.owner = s, .reset = reset, .loaded = loaded });
	return s;
}

void uart16550_free(struct uart16550 *s)
{
	if (!s)
		return;
	reset(s);                               /* writes out what is left */
	timer_cancel(&s->accept);
	if (s->cfg.chardev) {
		s->cfg.chardev->user = NULL;
		s->cfg.chardev->owner = NULL;
	}
	bus_unmap(s->cfg.ports, s->cfg.base);
	free(s);
}
