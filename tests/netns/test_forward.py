# SPDX-License-Identifier: MIT
"""hostfwd and guestfwd (points 37 to 40 of the black-box list)."""
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time

from netns import FAR, OUTER, Failed, Guest, Server, case, check, echo, expect, listener
import netns
from test_program import refused

SERVER = r"""
import socket, sys, threading
s = socket.socket(socket.AF_INET6 if %r == '::' else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((%r, %d))
s.listen(100)
print('ready', flush=True)
def serve(c, a):
    c.sendall(('%%s:%%d ' %% a[:2]).encode())
    while True:
        d = c.recv(65536)
        if not d:
            break
        c.sendall(d)
    c.close()
while True:
    c, a = s.accept()
    threading.Thread(target=serve, args=(c, a), daemon=True).start()
"""


def serve(guest, port, address="0.0.0.0"):
    """A server inside that says who came and then echoes."""
    p = guest.start(["python3", "-c", SERVER % (address, address, port)])
    if p.stdout.readline() != b"ready\n":
        raise Failed("no server inside: %s" % p.stderr.read().decode())
    return p


def free_port(count=1):
    while True:
        s = listener()
        port = s.getsockname()[1]
        s.close()
        if port + count < 65536:
            return port


def talk(where, text=b"hello", family=socket.AF_INET, source=None):
    """What the server inside calls us, and our text back."""
    with socket.socket(family) as c:
        c.settimeout(10)
        if source:
            c.bind((source, 0))
        c.connect(where)
        c.sendall(text)
        c.shutdown(socket.SHUT_WR)
        got = b""
        while True:
            d = c.recv(65536)
            if not d:
                break
            got += d
        own = c.getsockname()
    who, _, rest = got.partition(b" ")
    check(rest == text, "%r came back instead of %r", rest, text)
    return who.decode(), own


@case
def clients_are_seen_by_their_own_address_and_loopback_as_the_gateway():
    port = free_port()
    with Guest("hostfwd=tcp::%d-:7000" % port) as g:
        serve(g, 7000)
        who, own = talk(("127.0.0.1", port))
        check(who == "10.0.2.2:%d" % own[1], "a client on loopback is %s", who)
        out = netns.world.far.run("python3 -c \"import socket; s = socket.create_connection((\\\"%s\\\", %d), 5); print(s.getsockname()[1], "
                                  "s.recv(100).decode())\"" % (OUTER, port)).split()
        check(out[1] == "%s:%s" % (FAR, out[0]), "a far client at port %s is %s", out[0], out[1])


@case
def forwards_are_made_for_ranges_ipv6_and_unix_sockets():
    port = free_port(3)
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "s-1")
        with Guest("hostfwd=tcp:127.0.0.1:%d-%d-:7000,hostfwd=tcp:[::1]:%d-:7001,hostfwd=unix:%s-:7002" %
                   (port, port + 2, port, path)) as g:
            for i in range(3):
                serve(g, 7000 + i)
            for i in range(3):
                talk(("127.0.0.1", port + i))
            who, _ = talk(("::1", port), family=socket.AF_INET6)
            check(who.startswith("10.0.2.2:"), "a client by IPv6 is %s", who)
            who, _ = talk(path, family=socket.AF_UNIX)
            check(who.startswith("10.0.2.2:"), "a client by a unix socket is %s", who)
            os.kill(g.process.pid, 9)
            g.process.wait()
        check(os.path.exists(path), "who was killed can't have removed the file")
        with Guest("hostfwd=unix:%s-:7002" % path) as g:        # the file of a dead process is no obstacle
            serve(g, 7002)
            talk(path, family=socket.AF_UNIX)
        check(not os.path.exists(path), "the socket's file is left behind")


@case
def forwards_lead_to_ipv6_guests_and_guestfwd_has_ipv6_addresses():
    port = free_port()
    with Guest("hostfwd=tcp:[::1]:%d-[fec0::15]:7000,hostfwd=tcp:127.0.0.1:%d-[fec0::15]:7000,guestfwd=tcp:[fec0::100]:80-cmd:cat" %
               (port, port)) as g:
        serve(g, 7000, "::")
        who, own = talk(("::1", port), family=socket.AF_INET6)
        check(who == "fec0::2:%d" % own[1], "a client on loopback is %s", who)
        who, _ = talk(("127.0.0.1", port))
        check(who.startswith("fec0::2:"), "a client by IPv4 is %s", who)
        out = g.python("import socket\ns = socket.create_connection(('fec0::100', 80), 5)\ns.sendall(b'hi')\nprint(s.recv(9))\n").ok().out
        check(out == "b'hi'\n", "guestfwd: %s", out)
        g.run("ping -c 1 -W 2 fec0::100").ok()
    with Guest("ipv4=off,hostfwd=tcp:[::1]:%d-:7000" % port) as g:  # the first DHCP address is one of IPv6 then
        serve(g, 7000, "::")
        talk(("::1", port), family=socket.AF_INET6)
    refused(["--net", "ipv6=off,hostfwd=tcp::%d-[fec0::15]:22" % port, "--", "true"], "Bad guest address: no guest", status=125)


@case
def udp_clients_get_their_answers_from_where_they_asked():
    port = free_port()
    with Guest("hostfwd=udp:127.0.0.1:%d-:7000" % port) as g:
        p = g.start(["python3", "-c", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('0.0.0.0', 7000))\n"
                     "print('ready', flush=True)\nwhile True:\n d, a = s.recvfrom(65536)\n s.sendto(d.upper(), a)"])
        p.stdout.readline()
        for source in ("127.0.0.1", "127.0.0.77"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.bind((source, 0))
                s.connect(("127.0.0.1", port))
                s.send(b"question")
                check(s.recv(100) == b"QUESTION", "no answer to %s", source)


@case
def a_free_port_is_reported():
    with Guest("hostfwd=tcp:127.0.0.1:0-:7000") as g:
        serve(g, 7000)
        line = g.process.stderr.readline().decode()
        talk(("127.0.0.1", int(expect(r"hostfwd 'tcp:127.0.0.1:0-:7000' is at port (\d+)\n", line, "standard error").group(1))))


@case
def a_guest_that_refuses_resets_the_client():
    port = free_port()
    with Guest("hostfwd=tcp:127.0.0.1:%d-:7000" % port):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as c:
                raise Failed("%r instead of a reset" % c.recv(100))
        except ConnectionResetError:
            pass


@case
def forwards_that_cannot_be_are_refused_with_place_and_reason():
    port = free_port()
    for rule, reason in (("tcp:127.0.0.1:x-:22", "Bad host port: 'x'"), ("tcp::9-8-:22", "Bad host port: '9-8'"),
                         ("tcp:[::1:22-:22", "Bad host address: '\\['"), ("unix:here-:22", "Bad path"),
                         ("tcp::%d-8.8.8.8:22" % port, "Bad guest address"), ("tcp:192.0.2.1:%d-:22" % port, "Cannot assign requested address"),
                         ("unix:/nonexistent/s-:22", "No such file or directory")):
        refused(["--net", "hostfwd=" + rule, "--", "true"], "host forwarding rule", reason, status=125)
    with listener() as s:
        rule = "tcp:127.0.0.1:%d-%d-:22" % (s.getsockname()[1] - 1, s.getsockname()[1] + 1)
        refused(["--net", "hostfwd=" + rule, "--", "true"], "port %d" % s.getsockname()[1], "Address already in use", status=125)
    for rule, reason in (("tcp:10.0.2.100:80", "Missing - separator"), ("tcp:10.0.9.1:80-cmd:true", "Conflicting/invalid host:port"),
                         ("tcp:10.0.2.2:80-cmd:true", "Conflicting/invalid host:port"), ("udp:10.0.2.9:80-cmd:true", "Bad protocol name"),
                         ("tcp:10.0.2.9:80-stdio", "are possible here")):
        refused(["--net", "guestfwd=" + rule, "--", "true"], "guest forwarding rule", reason, status=125)


# --- guestfwd -----------------------------------------------------------------------------------------------------------

@case
def a_command_serves_each_connection():
    code = """
import socket
def ask(text):
    s = socket.create_connection(('10.0.2.100', 7), 5)
    s.sendall(text)
    s.shutdown(socket.SHUT_WR)
    got = b''
    while True:
        d = s.recv(65536)
        if not d:
            return got
        got += d
print(ask(b'abc'), ask(b'x' * 300000) == b'X' * 300000)
"""
    with Guest("guestfwd=tcp:10.0.2.100:7-cmd:tr a-z A-Z; echo done; echo trouble >&2") as g:
        before = g.descriptors()
        out = g.python(code.replace("== b'X' * 300000", "== b'X' * 300000 + b'done\\n'")).ok().out
        check(out == "b'ABCdone\\n' True\n", "%s", out)
        g.expect_descriptors(before)
    expect(r"tr a-z A-Z; echo done; echo trouble .*': trouble", g.err, "what tenbox-net says")


def children(pid):
    found = []
    for p in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % p) as f:
                rest = f.read().rpartition(")")[2].split()
            if p.isdigit() and int(rest[1]) == pid:
                found.append((int(p), rest[0]))
        except (OSError, ValueError):
            pass
    return found


@case
def a_hundred_commands_at_a_time_leave_no_zombie():
    code = """
import socket
all = [socket.create_connection(('10.0.2.100', 7), 10) for i in range(100)]
for i, s in enumerate(all):
    s.sendall(b'%d\\n' % i)
print([s.makefile().readline() for s in all] == ['%d\\n' % i for i in range(100)])
input()
"""
    with Guest("guestfwd=tcp:10.0.2.100:7-cmd:exec cat") as g:
        before = len(children(g.process.pid))
        p = subprocess.Popen(g.inside(["python3", "-c", code]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        check(p.stdout.readline() == b"True\n", "not all of them answer")
        check(len(children(g.process.pid)) == before + 100, "%d processes", len(children(g.process.pid)))
        p.communicate(b"\n", timeout=10)
        for _ in range(100):
            left = children(g.process.pid)
            if len(left) == before:
                return
            time.sleep(0.05)
        raise Failed("%d processes are left: %s" % (len(left) - before, left))


@case
def addresses_and_sockets_are_reached_and_their_refusal_is_ours():
    with tempfile.TemporaryDirectory() as d, Server(echo) as tcp:
        path = os.path.join(d, "s")
        with socket.socket(socket.AF_UNIX) as u:
            u.bind(path)
            u.listen(5)
            threading.Thread(target=lambda: echo(u.accept()[0]), daemon=True).start()
            code = """
import socket
for port in (1, 2, 3, 4, 5, 6):
    try:
        s = socket.create_connection(('10.0.2.4', port), 5)
        s.sendall(b'hello')
        print(s.recv(100).decode())
    except OSError as e:
        print(type(e).__name__)
"""
            r = netns.python(code, net="guestfwd=tcp::1-tcp:127.0.0.1:%d,guestfwd=tcp::2-unix:%s,guestfwd=tcp::3-tcp:127.0.0.1:1,"
                             "guestfwd=tcp::4-unix:/nonexistent,guestfwd=tcp::6-tcp:localhost:%d" % (tcp.port, path, tcp.port)).ok()
            check(r.out.split() == ["hello", "hello"] + 3 * ["ConnectionRefusedError"] + ["hello"], "%s", r.out)


@case
def a_reset_crosses_a_forward_both_ways():
    port = free_port()
    with Guest("hostfwd=tcp:127.0.0.1:%d-:7000" % port) as g:
        serve(g, 7000)
        with socket.create_connection(("127.0.0.1", port), 5) as c:
            c.recv(100)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for _ in range(50):
            if "ESTAB" not in g.run("ss -tn sport = :7000").out:
                return
            time.sleep(0.05)
        raise Failed("the guest did not hear of the reset")
