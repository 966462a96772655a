# SPDX-License-Identifier: MIT
"""Frames that no honest guest sends.  After each flood the next honest request is served, and memory is as before."""
from netns import EchoServer, Guest, UdpServer, case, check, temporary

HONEST = """
s = socket.create_connection(('10.0.2.2', %d), 5); s.settimeout(5); s.send(b'still?'); assert s.recv(10) == b'still?'; s.close()
import subprocess
assert subprocess.run(['ping', '-c', '1', '-W', '2', '10.0.2.2'], stdout=subprocess.DEVNULL).returncode == 0
print('alive')
"""


class Target:
    """A guest with all services, watched."""

    def __init__(self, net="", grows=4096):
        self.tcp, self.udp = EchoServer(), UdpServer(lambda d, a: d)
        self.folder = temporary()
        with open(self.folder.name + "/f", "w") as f:
            f.write("x" * 1000)
        self.guest = Guest("tftp=%s,dns-host=127.0.0.1:%d%s" % (self.folder.name, self.udp.port, net))
        self.grows = grows

    def __enter__(self):
        self.honest()
        self.before = self.guest.resident()
        return self

    def honest(self):
        r = self.guest.python(HONEST % self.tcp.port)
        check(self.guest.process.poll() is None, "tenbox-net is gone: %s", self.guest.process.poll())
        check("alive" in r.out, "%s %s", r.out, r.err)

    def attack(self, code, timeout=40):
        r = self.guest.python("w = Wire()\nME, GW, TCP, UDP = '10.0.2.15', '10.0.2.2', %d, %d\nrandom.seed(7)\n%s" %
                              (self.tcp.port, self.udp.port, code), timeout=timeout)
        check(self.guest.process.poll() is None, "tenbox-net is gone: %s", self.guest.process.poll())
        r.ok()
        self.honest()
        return r.out

    def __exit__(self, kind, *exc):
        try:
            if kind is None:
                after = self.guest.resident()
                check(after - self.before < self.grows, "memory: %d KB became %d KB", self.before, after)
        finally:
            self.guest.__exit__()
            self.tcp.__exit__()
            self.udp.__exit__()
            self.folder.cleanup()
        check("assert" not in self.guest.err.lower(), "it says: %s", self.guest.err)


# One valid frame of each protocol, as (destination, type, payload).
FRAMES = """
frames = [
    (BROADCAST, 0x0806, struct.pack('>HHBBH6s4s6s4s', 1, 0x0800, 6, 4, 1, w.mac, address(ME), b'', address(GW))),
    (GATEWAY, 0x0800, ip4(ME, GW, 1, icmp(8, 0, 0x00010001, b'0123456789'))),
    (GATEWAY, 0x0800, ip4(ME, GW, 17, udp(ME, GW, 4000, UDP, b'hello'))),
    (GATEWAY, 0x0800, ip4(ME, '10.0.2.3', 17, udp(ME, '10.0.2.3', 4001, 53, b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7example\\4test\\0\\0\\1\\0\\1'))),
    (GATEWAY, 0x0800, ip4(ME, GW, 17, udp(ME, GW, 4002, 69, b'\\0\\1f\\0octet\\0blksize\\0' + b'1000\\0'))),
    (BROADCAST, 0x0800, ip4('0.0.0.0', '255.255.255.255', 17, udp('0.0.0.0', '255.255.255.255', 68, 67, dhcp(w.mac, [(53, b'\\1'), (55, b'\\1\\3\\6')])))),
    (GATEWAY, 0x0800, ip4('10.0.2.77', GW, 6, tcp('10.0.2.77', GW, 4003, TCP, 1, 0, SYN, options=b'\\2\\4\\5\\xb4\\1\\3\\3\\7'))),
    (GATEWAY, 0x0800, ip4('10.0.2.77', GW, 6, tcp('10.0.2.77', GW, 4004, TCP, 1, 1, ACK | PSH, b'data'))),
    (b'\\x33\\x33\\0\\0\\0\\2', 0x86dd, struct.pack('>IHBB16s16s', 6 << 28, 8, 58, 255, b'\\xfe\\x80' + b'\\0' * 13 + b'\\1', b'\\xff\\2' + b'\\0' * 13 + b'\\2') + b'\\x85\\0\\x7b\\xb8\\0\\0\\0\\0'),
]
"""


@case
def every_frame_cut_short_at_every_length():
    with Target() as t:
        t.attack(FRAMES + """
for dst, kind, payload in frames:
    whole = eth(w.mac, dst, kind, payload)
    for n in range(14, len(whole) + 1): w.raw(whole[:n])
    for n in range(1, 40): w.raw(whole + b'\\xa5' * n)
""")


@case
def ethertypes_of_all_kinds():
    with Target() as t:
        t.attack("""
for kind in list(range(0, 0x10000, 37)) + [0x8100, 0x88a8, 0x88f8, 0x8847, 0x86dd, 0x0800, 0x0806, 0x8863]:
    w.raw(eth(w.mac, GATEWAY, kind, os.urandom(60))); w.raw(eth(w.mac, BROADCAST, kind, b''))
""")


@case
def ip_headers_that_lie():
    with Target() as t:
        t.attack("""
u = udp(ME, GW, 4000, UDP, b'x' * 30)
for ihl in range(16): w.send(ip4(ME, GW, 17, u, ihl=ihl))
for version in range(16): w.send(ip4(ME, GW, 17, u, version=version))
for total in list(range(0, 70)) + [1500, 65535]: w.send(ip4(ME, GW, 17, u, total=total))
for n in range(1, 11): w.send(ip4(ME, GW, 17, u, options=bytes(random.randrange(256) for _ in range(4 * n))))
for src in ('0.0.0.0', '255.255.255.255', '10.0.2.255', '10.0.2.2', '10.0.2.3', '127.0.0.1', '224.0.0.1', '8.8.8.8', '240.0.0.1'):
    w.send(ip4(src, GW, 17, udp(src, GW, 4000, UDP, b'x'))); w.send(ip4(src, GW, 6, tcp(src, GW, 4000, TCP, 1, 0, SYN)))
for dst in ('0.0.0.0', '127.0.0.1', '255.255.255.255', '224.0.0.1', '10.0.2.0', '10.0.2.255', '10.0.2.77', '240.0.0.1'):
    w.send(ip4(ME, dst, 17, udp(ME, dst, 4000, UDP, b'x'))); w.send(ip4(ME, dst, 6, tcp(ME, dst, 4000, TCP, 1, 0, SYN)))
for ttl in (0, 1): w.send(ip4(ME, GW, 17, u, ttl=ttl)); w.send(ip4(ME, '203.0.113.1', 17, udp(ME, '203.0.113.1', 1, 2, b''), ttl=ttl))
for p in range(256): w.send(ip4(ME, GW, p, os.urandom(40)))
bad = bytearray(ip4(ME, GW, 17, u)); bad[10] ^= 1; w.send(bytes(bad))
""")


@case
def fragments_in_every_wrong_order():
    with Target(grows=6000) as t:
        t.attack("""
def frag(i, offset, more, data, proto=17, dst=GW): w.send(ip4(ME, dst, proto, data, ident=i, fragment=offset // 8 | (0x2000 if more else 0)))
for i in range(3000):
    kind = i % 10
    if kind == 0: frag(i, 65528, False, b'x' * 100)
    elif kind == 1: frag(i, 0, True, b'x' * 8); frag(i, 0, True, b'y' * 16); frag(i, 8, False, b'z' * 8)
    elif kind == 2: frag(i, 8, False, b'z' * 8); frag(i, 0, True, b'x' * 8)
    elif kind == 3: frag(i, 0, True, b'')
    elif kind == 4: frag(i, 1480, True, b'x' * 13)
    elif kind == 5: [frag(i, n * 8, True, b'x' * 8) for n in range(20)]
    elif kind == 6: frag(i, 0, True, b'x' * 1000)
    elif kind == 7: frag(i, 1000, False, b'x' * 1000); frag(i, 504, True, b'x' * 1000)
    elif kind == 8: frag(i, 0, True, os.urandom(24), proto=6); frag(i, 24, False, os.urandom(24), proto=6)
    else: frag(i, 0, True, os.urandom(24), proto=1); frag(i, 24, False, os.urandom(24), proto=1)
""")


@case
def tcp_segments_of_all_flags_and_offsets():
    with Target() as t:
        t.attack("""
src = '10.0.2.77'
h = Hand(w, GW, TCP); h.open()
for flags in range(256):
    for sport in (h.sport, 31000 + flags):
        w.send(ip4(src, GW, 6, tcp(src, GW, sport, TCP, h.seq, h.ack, flags, b'd' if flags & 1 else b'')))
for doff in range(16): w.send(ip4(src, GW, 6, tcp(src, GW, 32000, TCP, 1, 0, SYN, doff=doff)))
for ports in ((0, TCP), (33000, 0), (0, 0)): w.send(ip4(src, GW, 6, tcp(src, GW, ports[0], ports[1], 1, 0, SYN)))
for n in range(41): w.send(ip4(src, GW, 6, tcp(src, GW, 34000 + n, TCP, 1, 0, SYN, options=os.urandom(n // 4 * 4))))
w.send(ip4(GW, GW, 6, tcp(GW, GW, TCP, TCP, 1, 0, SYN)))                    # land
w.send(ip4(src, GW, 6, tcp(src, GW, 35000, TCP, 1, 0, SYN, b'data in a SYN' * 50)))
w.send(ip4(src, GW, 6, tcp(src, GW, 35001, TCP, 1, 0, SYN | FIN | URG | PSH, b'x')))
""")


@case
def random_segments_near_the_window():
    with Target() as t:
        t.attack("""
src = '10.0.2.77'
for round in range(6):
    h = Hand(w, GW, TCP, sport=36000 + round); s = h.open(options=b'\\2\\4\\5\\xb4\\1\\3\\3' + bytes((round,)), window=random.choice((0, 1, 100, 5000, 65535)))
    for i in range(500):
        flags = random.choice((ACK, ACK | PSH, ACK | FIN, ACK | URG, SYN | ACK, RST, 0, random.randrange(256))) if random.random() < 0.4 else ACK | PSH
        if flags & RST and random.random() < 0.9: flags = ACK
        seq = h.seq + random.choice((0, 0, 0, 1, -1, 1000, -1000, random.randrange(-70000, 70000)))
        data = os.urandom(random.choice((0, 1, 10, 500, 1400)))
        w.send(ip4(src, GW, 6, tcp(src, GW, h.sport, TCP, seq, h.ack + random.choice((0, 0, 0, 1, -1, 100, 70000)), flags, data,
               window=random.choice((0, 1, 50, 1000, 65535)), urgent=random.choice((0, 1, 70, 65535)),
               options=random.choice((b'', b'', b'\\2\\4\\0\\1', b'\\2\\4\\xff\\xff', b'\\3\\3\\x0e\\1', os.urandom(8), b'\\x08\\x0a' + os.urandom(8) + b'\\1\\1')))))
        if seq == h.seq: h.seq += len(data)
""")


@case
def a_flood_of_syns_to_nowhere_and_to_somewhere():
    with Target(grows=30000) as t:
        t.attack("""
for i in range(20000):
    src = '10.0.2.%d' % (20 + i % 200)
    dst = '203.0.113.68' if i % 2 else GW
    w.send(ip4(src, dst, 6, tcp(src, dst, 1024 + i // 200, 80 if i % 2 else TCP, i, 0, SYN, options=b'\\2\\4\\5\\xb4')))
    if i % 500 == 0: time.sleep(0.005)
""")


@case
def udp_headers_that_lie_and_many_flows():
    with Target(grows=12000) as t:
        t.attack("""
for length in list(range(0, 60)) + [65535]: w.send(ip4(ME, GW, 17, udp(ME, GW, 4000, UDP, b'x' * 40, length=length)))
for sport, dport in ((0, UDP), (4000, 0), (0, 0)): w.send(ip4(ME, GW, 17, udp(ME, GW, sport, dport, b'x')))
w.send(ip4(ME, GW, 17, udp(ME, GW, 4000, UDP, b'x', summed=False)))
for i in range(30000):
    src = '10.0.2.%d' % (20 + i % 100)
    w.send(ip4(src, GW, 17, udp(src, GW, 1024 + i // 100, UDP, b'x')))
""")


@case
def pings_and_requests_of_many_identities():
    with Target(grows=8000) as t:
        t.attack("""
for i in range(5000):
    w.send(ip4(ME, '203.0.113.1', 1, icmp(8, 0, i << 16 | 1, b'x')))
    w.send(ip4('0.0.0.0', '255.255.255.255', 17, udp('0.0.0.0', '255.255.255.255', 68, 67, dhcp(b'\\x52\\x54\\0\\1' + struct.pack('>H', i), [(53, b'\\1')]))), dst=BROADCAST)
    w.send(ip4(ME, GW, 17, udp(ME, GW, 10000 + i, 69, b'\\0\\1f\\0octet\\0')))
    w.send(struct.pack('>HHBBH6s4s6s4s', 1, 0x0800, 6, 4, 1, b'\\x52\\x54\\0\\2' + struct.pack('>H', i), address('10.0.2.%d' % (i % 250 + 4)), b'', address(GW)), dst=BROADCAST, kind=0x0806)
# the honest kernel's own address, as it was
w.send(struct.pack('>HHBBH6s4s6s4s', 1, 0x0800, 6, 4, 1, w.mac, address(ME), b'', address(GW)), dst=BROADCAST, kind=0x0806)
""")


@case
def ipv6_headers_that_lie():
    with Target(",ipv4=on,ipv6=on") as t:
        t.attack("""
src, dst = b'\\xfe\\xc0' + b'\\0' * 13 + b'\\x15', b'\\xfe\\xc0' + b'\\0' * 13 + b'\\2'
def ip6(next, payload, length=None, s=src, d=dst, hops=64, version=6): return struct.pack('>IHBB16s16s', version << 28, len(payload) if length is None else length, next, hops, s, d) + payload
def send(p): w.send(p, kind=0x86dd)
for version in range(16): send(ip6(17, b'x' * 20, version=version))
for n in list(range(0, 60)) + [65535]: send(ip6(17, os.urandom(40), length=n))
for next in range(256): send(ip6(next, os.urandom(40)))
chain = b''.join(bytes((0, 0)) + b'\\1\\4\\0\\0\\0\\0' for _ in range(100)); send(ip6(0, chain + b'\\x11\\0' + b'\\1\\4\\0\\0\\0\\0'))
send(ip6(60, b'\\x3c\\0\\1\\4\\0\\0\\0\\0' * 100)); send(ip6(43, b'\\x11\\2\\0\\xff' + b'\\0' * 20)); send(ip6(0, b'\\x3a\\0\\xc2\\4\\0\\1\\0\\0'))
for i in range(2000): send(ip6(44, struct.pack('>BBHI', 17, 0, random.choice((0, 1, 8, 0xfff9, 1480 | 1)), i % 50) + os.urandom(random.randrange(60))))
for t in range(256): send(ip6(58, bytes((t, 0, 0, 0)) + os.urandom(60), hops=255)); w.send(ip6(58, bytes((t, 0, 0, 0)) + os.urandom(20), d=b'\\xff\\2' + b'\\0' * 13 + b'\\1', hops=255), dst=b'\\x33\\x33\\0\\0\\0\\1', kind=0x86dd)
for s in (b'\\0' * 16, b'\\0' * 15 + b'\\1', b'\\xff' * 16, b'\\0' * 10 + b'\\xff\\xff\\x7f\\0\\0\\1', dst): send(ip6(17, os.urandom(20), s=s))
for d in (b'\\0' * 16, b'\\0' * 15 + b'\\1', b'\\xff\\2' + b'\\0' * 14, b'\\0' * 10 + b'\\xff\\xff\\x7f\\0\\0\\1', b'\\xfe\\x80' + b'\\0' * 14): send(ip6(17, os.urandom(20), d=d)); send(ip6(6, os.urandom(20), d=d))
""")


@case
def thousands_of_connections_opened_and_dropped_leave_memory_flat():
    with Target(grows=6000) as t:
        for _ in range(2):
            t.attack("""
for i in range(1500):
    s = socket.socket(); s.connect((GW, TCP)); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()
""")
            memory = t.guest.resident()
        check(memory - t.before < 6000, "%d KB became %d", t.before, memory)


