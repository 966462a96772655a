# SPDX-License-Identifier: MIT
"""Over a cable that loses, doubles and swaps frames: nothing that arrives is wrong (point 27)."""
import hashlib
import os
import re

import netns
from netns import Guest, Server, UdpServer, case, check, echo, need, temporary
from test_dns import Resolver
from test_tcp import HttpServer, pattern
from test_tftp import make, sha


class BadCable:
    """A guest behind lossy.py."""

    def __init__(self, net, lost, doubled, late):
        self.guest, self.folder, self.rates = Guest(net, configure=False), temporary(), (lost, doubled, late)

    def __enter__(self):
        self.guest.__enter__()
        self.end = self.folder.name + "/end"
        self.cable = self.guest.start(["python3", os.path.join(netns.HERE, "lossy.py")] + [str(r) for r in self.rates] + [self.end])
        if self.cable.stdout.readline() != b"up\n":
            raise netns.Failed("no cable: %s" % self.cable.stderr.read().decode())
        return self

    def run(self, *args, **more):
        return self.guest.run(*args, **more)

    def counts(self):
        """What it did to frames, both ways; it ends with that."""
        open(self.end, "w").close()
        return [int(n) for n in re.findall(r": (\d+)", self.cable.communicate(timeout=5)[0].decode())]

    def __exit__(self, *exc):
        if self.cable.poll() is None:
            self.cable.kill()
            self.cable.wait()
        self.guest.__exit__()
        self.folder.cleanup()


@case
def every_byte_crosses_a_bad_cable():
    """The stack keeps nothing that comes out of order, so upwards a gap costs all that follows it: less is sent there, at lower rates."""
    need("curl")
    with HttpServer() as web, temporary() as d:
        with open(d + "/up", "wb") as f:
            f.write(pattern(200000))
        for rates, down, up in (((1, 1, 1), 8 << 20, 200000), ((5, 3, 5), 24 << 20, 0), ((0, 0, 30), 8 << 20, 0)):
            with BadCable("mtu=1500", *rates) as g:
                r = g.run("curl -sS http://10.0.2.2:%d/%d | sha256sum" % (web.port, down), timeout=40).ok()
                check(r.out.split()[0] == hashlib.sha256(pattern(down)).hexdigest(), "%s: %s %s", rates, r.out, r.err)
                if up:
                    r = g.run("curl -sS -T %s/up http://10.0.2.2:%d/" % (d, web.port), timeout=60).ok()
                    check(r.out == hashlib.sha256(pattern(up)).hexdigest(), "%s: %s %s", rates, r.out, r.err)
                counts = g.counts()
                check(sum(counts[1:4]) > 3 and sum(counts[5:8]) > 3, "the cable did nothing: %s", counts)


@case
def services_stand_a_bad_cable():
    need("dig", "tftp")
    with Resolver() as r, UdpServer(lambda d, a: d) as udp, Server(echo) as tcp, temporary() as d:
        want = make(d + "/f", 50000)
        os.mkdir(d + "/got")
        os.chmod(d + "/got", 0o777)
        with BadCable("tftp=%s,dns-host=127.0.0.1:%d" % (d, r.port), 3, 3, 3) as g:
            g.run("cd %s/got && tftp -m binary 10.0.2.2 -c get f" % d, timeout=60).ok()
            check(sha(d + "/got/f") == want, "what TFTP brought is not the same")
            for _ in range(10):
                got = g.run("dig +short +time=1 +tries=6 @10.0.2.3 example.test").out
                check(got.split("\n")[-2:] == ["10.1.2.3", ""], "no name: %s", got)
            out = g.run("ping -q -c 200 -i 0.005 -W 2 10.0.2.2").out
            check(175 <= int(re.search(r"(\d+) received", out).group(1)) <= 200, "%s", out)
            # connections come up, talk and end, each with whatever the cable does to its SYN, data and FIN
            out = g.guest.python("""
ok = 0
for i in range(25):
    s = socket.create_connection(('10.0.2.2', %d), 20); s.settimeout(20)
    s.sendall(b'a%%d' %% i); ok += s.recv(20) == b'a%%d' %% i; s.shutdown(socket.SHUT_WR); ok += s.recv(1) == b''; s.close()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(0.3); u.connect(('10.0.2.2', %d)); odd = 0
for i in range(100):
    u.send(b'%%d' %% i)
    try: odd += not u.recv(20).isdigit()
    except TimeoutError: pass
print(ok, odd)
""" % (tcp.port, udp.port), timeout=90).ok().out
            check(out.split() == ["50", "0"], "%s", out)
