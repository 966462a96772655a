# SPDX-License-Identifier: MIT
"""Frames by hand, for what no ordinary client does.  Runs inside the namespace."""
import os
import random
import select
import socket
import struct
import time

DEVICE = "tap0"
BROADCAST = b"\xff" * 6
GATEWAY = bytes((0x52, 0x55, 10, 0, 2, 2))


def mac():
    with open("/sys/class/net/%s/address" % DEVICE) as f:        # the sysfs may be the host's: ask the kernel
        return bytes.fromhex(f.read().strip().replace(":", ""))


def our_mac(s):
    return s.getsockname()[4]


def packet_socket():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((DEVICE, 0))
    return s


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(src, dst, protocol, payload, ttl=64, ident=None, fragment=0, options=b"", total=None, tos=0, version=4, ihl=None):
    ihl = (20 + len(options)) // 4 if ihl is None else ihl
    h = struct.pack(">BBHHHBBH4s4s", version << 4 | ihl, tos, total if total is not None else 20 + len(options) + len(payload),
                    random.randrange(65536) if ident is None else ident, fragment, ttl, protocol, 0,
                    socket.inet_aton(src), socket.inet_aton(dst)) + options
    return h[:10] + struct.pack(">H", checksum(h)) + h[12:] + payload


def pseudo(src, dst, protocol, length):
    return socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">BBH", 0, protocol, length)


def udp(src, dst, sport, dport, data, length=None, summed=True):
    n = 8 + len(data) if length is None else length
    h = struct.pack(">HHHH", sport, dport, n, 0)
    c = checksum(pseudo(src, dst, 17, n) + h + data) or 0xffff
    return h[:6] + struct.pack(">H", c if summed else 0) + data


def tcp(src, dst, sport, dport, seq, ack, flags, data=b"", window=65535, options=b"", doff=None, urgent=0):
    doff = (20 + len(options)) // 4 if doff is None else doff
    h = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, doff << 4, flags, window, 0, urgent) + options
    c = checksum(pseudo(src, dst, 6, len(h) + len(data)) + h + data)
    return h[:16] + struct.pack(">H", c) + h[18:] + data


def icmp(kind, code, rest, data=b""):
    h = struct.pack(">BBHI", kind, code, 0, rest) + data
    return h[:2] + struct.pack(">H", checksum(h)) + h[4:]


def eth(src, dst, kind, payload):
    return dst + src + struct.pack(">H", kind) + payload


class Wire:
    """All frames of the interface, both ways."""

    def __init__(self):
        self.s = packet_socket()
        self.mac = our_mac(self.s)

    def send(self, payload, dst=GATEWAY, kind=0x0800, src=None):
        self.s.send(eth(src or self.mac, dst, kind, payload))

    def raw(self, frame):
        self.s.send(frame)

    def frames(self, seconds):
        """Frames that arrive, with their outgoing copies left out, for so long."""
        end = time.time() + seconds
        while True:
            left = end - time.time()
            if left <= 0 or not select.select([self.s], [], [], left)[0]:
                return
            frame, address = self.s.recvfrom(70000)
            if address[2] != socket.PACKET_OUTGOING:
                yield frame

    def ip(self, protocol, seconds):
        for f in self.frames(seconds):
            if f[12:14] == b"\x08\0" and f[23] == protocol:
                n = (f[14] & 15) * 4
                yield f[14:14 + n], f[14 + n:14 + struct.unpack(">H", f[16:18])[0]]


# --- DHCP -----------------------------------------------------------------------------------------------------------------

def dhcp(chaddr, options, xid=0x12345678, ciaddr="0.0.0.0", flags=0, op=1, cookie=b"\x63\x82\x53\x63", pad=300):
    b = struct.pack(">BBBBIHH4s4s4s4s16s192s", op, 1, 6, 0, xid, 0, flags, socket.inet_aton(ciaddr), b"", b"", b"", chaddr, b"") + cookie
    for code, value in options:
        b += bytes((code, len(value))) + value
    b += b"\xff" if cookie else b""
    return b.ljust(pad, b"\0")


class DhcpReply:
    def __init__(self, ip, body):
        self.src, self.dst = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
        data = body[8:]
        self.size = len(data)
        self.xid = struct.unpack(">I", data[4:8])[0]
        self.yiaddr, self.siaddr = socket.inet_ntoa(data[16:20]), socket.inet_ntoa(data[20:24])
        self.chaddr, self.file = data[28:34], data[108:236].rstrip(b"\0")
        self.options, self.order = {}, []
        o = data[240:]
        while o and o[0] != 255:
            if o[0] == 0:
                o = o[1:]
                continue
            self.options[o[0]] = self.options.get(o[0], b"") + o[2:2 + o[1]]
            self.order.append(o[0])
            o = o[2 + o[1]:]
        self.kind = self.options.get(53, b"\0")[0]


def dhcp_ask(wire, options, chaddr=None, seconds=2, src="0.0.0.0", dst="255.255.255.255", **more):
    """Sends one request; the reply, or None."""
    xid = random.randrange(1 << 32)
    chaddr = chaddr or wire.mac
    wire.send(ip4(src, dst, 17, udp(src, dst, 68, 67, dhcp(chaddr, options, xid=xid, **more))), dst=BROADCAST if src == "0.0.0.0" else GATEWAY,
              src=chaddr)
    for ip, body in wire.ip(17, seconds):
        if body[:4] == b"\0\x43\0\x44":
            r = DhcpReply(ip, body)
            if r.xid == xid:
                return r
    return None


def address(text):
    return socket.inet_aton(text)


# --- a TCP end by hand ------------------------------------------------------------------------------------------------------

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


class Segment:
    def __init__(self, body):
        self.sport, self.dport, self.seq, self.ack, off, self.flags, self.window = struct.unpack(">HHIIBBH", body[:16])
        self.urgent = struct.unpack(">H", body[18:20])[0]
        self.options, self.data = body[20:(off >> 4) * 4], body[(off >> 4) * 4:]


class Hand:
    """A connection of 10.0.2.77, an address that the kernel inside does not have, so it keeps out of it."""

    def __init__(self, wire, dst, dport, sport=None, src="10.0.2.77"):
        self.wire, self.src, self.dst, self.dport = wire, src, dst, dport
        self.sport = sport or random.randrange(20000, 30000)
        self.seq, self.ack = random.randrange(1 << 32), 0

    def announce(self):
        """ARP: where 10.0.2.77 is."""
        b = struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, self.wire.mac, address(self.src), b"", address("10.0.2.2"))
        self.wire.send(b, dst=BROADCAST, kind=0x0806)

    def send(self, flags, data=b"", **more):
        self.wire.send(ip4(self.src, self.dst, 6, tcp(self.src, self.dst, self.sport, self.dport, self.seq, self.ack, flags, data, **more)))
        self.seq = (self.seq + len(data) + bool(flags & SYN) + bool(flags & FIN)) & 0xffffffff

    def segments(self, seconds):
        for ip, body in self.wire.ip(6, seconds):
            s = Segment(body)
            if (s.sport, s.dport) == (self.dport, self.sport):
                yield s

    def wait(self, wanted, seconds=2):
        """The first segment with these flags; None."""
        for s in self.segments(seconds):
            if s.flags & wanted == wanted:
                return s
        return None

    def open(self, options=b"\x02\x04\x05\xb4", window=65535):
        self.announce()
        self.send(SYN, options=options, window=window)
        s = self.wait(SYN)
        if s:
            self.ack = (s.seq + 1) & 0xffffffff
            self.send(ACK, window=window)
        return s
