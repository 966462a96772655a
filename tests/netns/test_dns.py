# SPDX-License-Identifier: MIT
"""The DNS relay with dig, against resolvers made here."""
import os
import socket
import struct
import subprocess
import time

import netns
from netns import FAR, Guest, Server, UdpServer, case, check, expect, need, run, temporary


def name_end(q):
    at = 12
    while q[at]:
        at += q[at] + 1
    return at + 5


def question_name(q):
    parts, at = [], 12
    while q[at]:
        parts.append(q[at + 1:at + 1 + q[at]].decode())
        at += q[at] + 1
    return ".".join(parts)


def answer(q, tcp=False, text=b"10.1.2.3"):
    """A record for what is asked: A 10.1.2.3, AAAA 2001:db8::53, TXT and SRV; big.test fits TCP only."""
    end = name_end(q)
    kind = struct.unpack(">H", q[end - 4:end - 2])[0]
    name = question_name(q)
    if name == "nowhere.test":
        return q[:2] + b"\x81\x83" + q[4:6] + b"\0\0\0\0\0\0" + q[12:end]
    if name == "big.test" and not tcp:
        return q[:2] + b"\x83\x80" + q[4:6] + b"\0\0\0\0\0\0" + q[12:end]
    data = {1: socket.inet_aton("10.1.2.3"), 28: socket.inet_pton(socket.AF_INET6, "2001:db8::53"),
            33: struct.pack(">HHH", 1, 2, 443) + b"\4host\4test\0"}.get(kind, bytes((len(text),)) + text)
    records = [data] * (60 if name == "big.test" else 1)
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(d)) + d for d in records)
    return q[:2] + b"\x81\x80" + q[4:6] + struct.pack(">HHH", len(records), 0, 0) + q[12:end] + body


def tcp_answers(c):
    while True:
        head = c.recv(2)
        if len(head) < 2:
            return
        q = c.recv(struct.unpack(">H", head)[0])
        a = answer(q, tcp=True)
        c.sendall(struct.pack(">H", len(a)) + a)


class Resolver:
    def __init__(self, udp=lambda q, a: answer(q), tcp=tcp_answers, address="127.0.0.1", port=0):
        self.udp = UdpServer(udp, address, port)
        self.port = self.udp.port
        self.tcp = Server(tcp, address, self.port)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.udp.__exit__()
        self.tcp.__exit__()


def to(resolver, address="127.0.0.1"):
    return "dns-host=%s:%d" % (address, resolver.port)


@case
def dig_gets_every_kind_of_record():
    need("dig")
    with Resolver() as r, Guest(to(r)) as g:
        for kind, want in (("A", "10.1.2.3"), ("AAAA", "2001:db8::53"), ("TXT", '"10.1.2.3"'), ("SRV", "1 2 443 host.test.")):
            for more in ("", "+tcp", "+bufsize=4096"):
                got = g.run("dig +short +time=2 +tries=1 @10.0.2.3 example.test %s %s" % (kind, more)).ok().out.strip()
                check(got == want, "%s %s: %s", kind, more, got)
        expect("status: NXDOMAIN", g.run("dig @10.0.2.3 nowhere.test").ok().out)
        expect("10.1.2.3", g.run("dig +short example.test").ok().out, "dig by resolv.conf")
        expect("flags:.* do;|flags: do", g.run("dig +dnssec +qr @10.0.2.3 example.test").ok().out)


@case
def an_answer_too_long_for_udp_comes_by_tcp():
    need("dig")
    with Resolver() as r:
        out = run("dig @10.0.2.3 big.test +time=2", net=to(r)).ok().out
    expect("Truncated, retrying in TCP", out)
    expect("ANSWER: 60", out)
    expect(r"\(TCP\)", out)


@case
def the_second_resolver_answers_when_the_first_does_not():
    need("dig")
    with Resolver(udp=lambda q, a: None, tcp=lambda c: None) as first, Resolver() as second:
        start = time.time()
        out = run("dig +short +time=6 +tries=1 @10.0.2.3 example.test", net=to(first) + "," + to(second)).ok().out
    check(out.strip() == "10.1.2.3" and time.time() - start < 5, "%s after %.1f s", out, time.time() - start)


@case
def without_any_answer_it_is_servfail():
    need("dig")
    with Resolver(udp=lambda q, a: None, tcp=lambda c: None) as silent:
        expect("status: SERVFAIL", run("dig +time=8 +tries=1 @10.0.2.3 example.test", net=to(silent)).ok().out)


@case
def resolv_conf_is_read_again_when_it_changes():
    need("dig")
    with temporary() as d:
        path = os.path.join(d, "resolv.conf")

        def write(text):
            with open(path + ".new", "w") as f:
                f.write(text)
            os.rename(path + ".new", path)
        write("nameserver 127.0.0.53\n")
        # a mount namespace of its own, in which /etc/resolv.conf is a link into our folder
        bind = ["unshare", "-m", "sh", "-c", "cp -r /etc/. %s/etc 2>/dev/null; rm -f %s/etc/resolv.conf && ln -s %s %s/etc/resolv.conf && "
                "mount --bind %s/etc /etc && exec \"$@\"" % (d, d, path, d, d), "sh"]
        os.mkdir(os.path.join(d, "etc"))
        with Resolver(address="127.0.0.53", port=53), Resolver(udp=lambda q, a: answer(q).replace(b"\x0a\1\2\3", b"\x0a\4\5\6"),
                                                             address="127.0.0.54", port=53):
            p = subprocess.Popen(bind + netns.command_line(
                "dig +short @10.0.2.3 one.test; echo next; read x; sleep 1.1; dig +short @10.0.2.3 two.test", configure=True),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                first = p.stdout.readline() + p.stdout.readline()
                write("# moved\nnameserver 127.0.0.54\n")
                out, err = p.communicate(b"\n", timeout=15)
            finally:
                if p.poll() is None:
                    p.kill()
                    p.wait()
        check(first.split()[:1] == [b"10.1.2.3"], "the first resolver: %s %s", first, err)
        check(out.strip() == b"10.4.5.6", "after the change: %s", out)


@case
def an_ipv6_resolver_serves_an_ipv4_guest():
    need("dig")
    with Resolver(address="::1") as r:
        expect("^10.1.2.3$", run("dig +short @10.0.2.3 example.test", net="dns-host=[::1]:%d" % r.port).ok().out)


@case
def a_resolver_with_a_scoped_address_is_asked():
    need("dig")
    address = netns.sh("ip -6 -o addr show dev up0 scope link").split()[3].split("/")[0] + "%up0"
    with Resolver(address=address) as r:
        expect("^10.1.2.3$", run("dig +short @10.0.2.3 example.test; dig +tcp +short @10.0.2.3 example.test", net="dns-host=[%s]:%d" %
                                 (address, r.port)).ok().out)


@case
def other_ports_of_the_relay_are_refused():
    with Resolver() as r, Guest(to(r)) as g:
        out = g.python("""
s = socket.socket(); s.settimeout(2)
try: s.connect(('10.0.2.3', 54)); print('connected')
except ConnectionRefusedError: print('refused')
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(2); u.connect(('10.0.2.3', 54)); u.send(b'x')
try: u.recv(10); print('answer')
except OSError as e: print('unreachable' if e.errno else 'silent')
""").ok().out
    check(out.split() == ["refused", "unreachable"], "%s", out)


@case
def forged_answers_are_ignored():
    need("dig")
    state = {}

    def resolver(q, address):
        evil = answer(q).replace(b"\x0a\1\2\3", b"\x06\6\6\6")
        state["ports"] = state.get("ports", set()) | {address[1]}
        state["ids"] = state.get("ids", set()) | {q[:2]}
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.sendto(evil, address)                                 # from another port
        other.close()
        wrong_id = bytes((q[0] ^ 1,)) + evil[1:]
        wrong_question = evil.replace(b"\7example", b"\7exemple")
        return [wrong_id, wrong_question, b"", evil[:11], answer(q)]
    with Resolver(udp=resolver) as r, Guest(to(r)) as g:
        for _ in range(5):
            got = g.run("dig +short +time=3 +tries=1 @10.0.2.3 example.test").ok().out.strip()
            check(got == "10.1.2.3", "%s", got)
    check(len(state["ports"]) >= 4 and len(state["ids"]) == 5, "ports %s, ids %s: they can be guessed", state["ports"], state["ids"])


@case
def five_thousand_queries_from_a_thousand_ports():
    with Resolver() as r, Guest(to(r)) as g:
        out = g.python("""
q = lambda i: struct.pack('>HHHHHH', i, 0x100, 1, 0, 0, 0) + b'\\7example\\4test\\0\\0\\1\\0\\1'
socks = []
for i in range(1000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('10.0.2.3', 53)); socks.append(s)
got = 0
for round in range(5):
    for part in range(0, 1000, 100):
        for i in range(part, part + 100): socks[i].send(q(i))
        for i in range(part, part + 100):
            socks[i].settimeout(3)
            try: a = socks[i].recv(600); got += a[:2] == struct.pack('>H', i) and a[-4:] == bytes((10, 1, 2, 3))
            except OSError: pass
print(got)
""", timeout=40).ok().out
    check(int(out) == 5000, "%s of 5000 answers", out)


@case
def a_restricted_guest_resolves_nothing():
    need("dig")
    with Resolver() as r:
        res = run("dig +time=1 +tries=1 @10.0.2.3 example.test; dig +tcp +time=1 +tries=1 @10.0.2.3 example.test", net="restrict=on," + to(r))
    check("10.1.2.3" not in res.out, "%s", res.out)


@case
def the_resolver_may_be_far_away():
    need("dig")
    with Guest("dns-host=%s:5300" % FAR) as g:
        server = netns.world.far.start(["python3", "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 5300)); s.settimeout(15)
while True:
    q, a = s.recvfrom(600); end = q.index(b'\\0', 12) + 5
    s.sendto(q[:2] + b'\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0' + q[12:end] + b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\x0a\\7\\7\\7', a)
"""], 5300, udp=True)
        try:
            expect("^10.7.7.7$", g.run("dig +short +time=3 @10.0.2.3 far.test").ok().out)
        finally:
            server.kill()
            server.wait()


@case
def the_hosts_file_of_the_host_is_not_leaked():
    need("dig")
    with Resolver(udp=lambda q, a: answer(q) if question_name(q) != "localhost" else q[:2] + b"\x81\x83" + q[4:6] + b"\0\0\0\0\0\0" + q[12:name_end(q)]) as r:
        out = run("dig @10.0.2.3 localhost", net=to(r)).ok().out
    expect("NXDOMAIN", out)
    check("ANSWER SECTION" not in out, "%s", out)
