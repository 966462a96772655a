# SPDX-License-Identifier: MIT
"""TCP with curl, iperf3, ssh, socat, nc, nmap, Python's sockets, and segments made by hand."""
import hashlib
import http.server
import os
import random
import re
import resource
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

import netns
from netns import FAR, EchoServer, Guest, Server, case, check, expect, need, python, run, temporary


def pattern(size):
    block = hashlib.shake_128(b"pattern").digest(1 << 20)
    return (block * (size // len(block) + 1))[:size]


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        size = int(self.path.strip("/") or 0)
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(pattern(size))

    def do_PUT(self):
        left, h = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            data = self.rfile.read(min(left, 1 << 16))
            h.update(data)
            left -= len(data)
        answer = h.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


class HttpServer:
    def __init__(self, address="127.0.0.1"):
        kind = type("Here", (http.server.ThreadingHTTPServer,), {"address_family": socket.AF_INET6 if ":" in address else socket.AF_INET})
        self.server = kind((address, 0), Web)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


@case
def pieces_of_any_size_arrive_as_one_stream():
    def server(c):                      # says back what it hears, in pieces of other sizes
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sizes, kept = random.Random(1), b""
        while True:
            data = c.recv(sizes.choice((1, 7, 100, 1460, 5000, 70000)))
            if not data:
                break
            kept += data
            n = sizes.randrange(len(kept) + 1)
            c.sendall(kept[:n])
            kept = kept[n:]
        c.sendall(kept)
    with Server(server) as there:
        out = python("""
import hashlib, threading
r = random.Random(2); s = socket.create_connection(('10.0.2.2', %d)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
said, heard = hashlib.sha256(), hashlib.sha256()
def speak():
    for i in range(1500):
        d = r.randbytes(r.choice((1, 2, 99, 536, 1459, 1460, 1461, 4000, 65535, 70001)) if i %% 10 == 0 else r.randrange(1, 3000)); said.update(d); s.sendall(d)
    s.shutdown(socket.SHUT_WR)
t = threading.Thread(target=speak); t.start()
while True:
    d = s.recv(r.choice((1, 1000, 65536)))
    if not d: break
    heard.update(d)
t.join(); print(said.hexdigest() == heard.hexdigest())
""" % there.port, timeout=40).ok().out
    check(out.strip() == "True", "%s", out)


@case
def curl_moves_every_byte_both_ways_at_every_mtu():
    need("curl")
    size = 30 << 20
    want = hashlib.sha256(pattern(size)).hexdigest()
    with HttpServer() as web, temporary() as d:
        with open(d + "/up", "wb") as f:
            f.write(pattern(size))
        for mtu in (576, 1280, 1500, 9000, 65520):
            r = run("curl -sS http://10.0.2.2:%d/%d | sha256sum; curl -sS -T %s/up http://10.0.2.2:%d/; echo" % (web.port, size, d, web.port),
                    net="mtu=%d" % mtu).ok()
            check([w for w in r.out.split() if len(w) == 64] == [want, want], "mtu %d: %s", mtu, r.out)


@case
def without_offloads_inside_every_byte_arrives_too():
    need("curl", "ethtool")
    size = 10 << 20
    want = hashlib.sha256(pattern(size)).hexdigest()
    with HttpServer() as web, temporary() as d:
        with open(d + "/up", "wb") as f:
            f.write(pattern(size))
        r = run("ethtool -K tap0 tso off gso off gro off tx off 2>/dev/null; curl -sS http://10.0.2.2:%d/%d | sha256sum; "
                "curl -sS -T %s/up http://10.0.2.2:%d/; echo" % (web.port, size, d, web.port)).ok()
    check([w for w in r.out.split() if len(w) == 64] == [want, want], "%s", r.out)


@case
def iperf3_runs_both_ways_in_parallel_and_with_small_windows():
    need("iperf3")
    for mtu, options in ((1500, "-P 8"), (1500, "-P 8 -R"), (1500, "-w 64K"), (1500, "-w 64K -R"), (576, "-n 40M"), (576, "-n 40M -R"),
                         (1280, "-n 80M -P 2"), (1280, "-n 80M -P 2 -R"), (9000, "-n 80M"), (9000, "-n 80M -R"), (65520, "-n 80M"), (65520, "-n 80M -R")):
        with Guest("mtu=%d" % mtu) as g:
            received = g.iperf3(options if "-n" in options else "-t 1 " + options)["sum_received"]
            check(received["bits_per_second"] > 50e6, "mtu %d %s: %s", mtu, options, received)


def heard(c):
    got = 0
    while True:
        data = c.recv(65536)
        if not data:
            return got
        got += len(data)


def closing_server(order, log):
    """Each close order as the host's end does it; notes how the guest's end looked from here."""
    def handler(c):
        if order == "guest-first":
            got = heard(c)
            c.sendall(b"y" * 70000)
            log.append(("eof", got))
        elif order in ("host-first", "both"):
            c.sendall(b"y" * 70000)
            c.shutdown(socket.SHUT_WR)
            log.append(("eof", heard(c)))
        elif order == "guest-reset":
            try:
                log.append(("eof", heard(c)))
            except ConnectionResetError:
                log.append(("reset", 0))
        else:                           # the host resets
            c.recv(1)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            log.append(("reset", 0))
    return handler


CLIENT = """
import sys
order, port = %r, %d
s = socket.create_connection(('10.0.2.2', port), 5); s.settimeout(10)
def drain():
    n = 0
    try:
        while True:
            d = s.recv(65536)
            if not d: return 'eof', n
            n += len(d)
    except ConnectionResetError: return 'reset', n
if order == 'guest-first': s.sendall(b'x' * 80000); s.shutdown(socket.SHUT_WR); print(*drain())
elif order == 'host-first': r = drain(); s.sendall(b'x' * 80000); s.close(); print(*r)
elif order == 'both': s.sendall(b'x' * 80000); s.shutdown(socket.SHUT_WR); print(*drain())
elif order == 'guest-reset': s.send(b'x'); time.sleep(0.1); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close(); print('done')
elif order == 'host-reset': s.send(b'x'); print(*drain())
"""


@case
def closes_half_closes_and_resets_pass_through():
    for order, inside, outside in (("guest-first", "eof 70000", ("eof", 80000)), ("host-first", "eof 70000", ("eof", 80000)),
                                   ("both", "eof 70000", ("eof", 80000)), ("guest-reset", "done", ("reset", 0)), ("host-reset", "reset 0", ("reset", 0))):
        log = []
        with Server(closing_server(order, log)) as server:
            out = python(CLIENT % (order, server.port)).ok().out.strip()
            for _ in range(100):
                if log:
                    break
                time.sleep(0.02)
        check(out == inside and log == [outside], "%s: inside %s, outside %s", order, out, log)


@case
def a_closed_port_refuses_at_once_and_an_unreachable_host_is_named():
    closed = netns.listener()
    port = closed.getsockname()[1]
    closed.close()
    out = python("""
import errno
for host, port in (('10.0.2.2', %d), ('203.0.113.1', 9), ('203.0.113.66', 80), ('203.0.113.67', 80)):
    s = socket.socket(); s.settimeout(3); t = time.time()
    try: s.connect((host, port)); print('connected')
    except OSError as e: print(host, errno.errorcode.get(e.errno, e), time.time() - t < 0.3)
""" % port).ok().out
    for line in ("10.0.2.2 ECONNREFUSED True", "203.0.113.1 ECONNREFUSED True", "203.0.113.66 EHOSTUNREACH True"):
        check(line in out, "no '%s' in: %s", line, out)
    expect("203.0.113.67 (EACCES|EHOSTUNREACH|ENETUNREACH|EPERM) True", out)


def connecting(address):
    """How many of the host's sockets wait for this address."""
    return len(netns.sh("ss -Htn state syn-sent dst " + address).splitlines())


@case
def a_black_hole_gets_no_syn_ack_and_a_reset_cancels_the_connect():
    with Guest() as g:
        out = g.python("""
w = Wire(); h = Hand(w, '203.0.113.68', 80, sport=20068); h.seq = 1000; h.announce()
for i in range(3): h.seq = 1000; h.send(SYN, options=b'\\x02\\x04\\x05\\xb4'); print(h.wait(0, 0.5) is None)
""").ok().out
        check(out.split() == ["True"] * 3, "%s", out)
        check(connecting("203.0.113.68") == 1, "%d sockets for three SYNs", connecting("203.0.113.68"))
        g.python("w = Wire(); h = Hand(w, '203.0.113.68', 80, sport=20068); h.seq = 1001; h.send(RST)").ok()
        for _ in range(50):
            if connecting("203.0.113.68") == 0:
                return
            time.sleep(0.02)
        raise netns.Failed("the host still connects: %s" % netns.sh("ss -tn state syn-sent"))


@case
def a_slow_accept_is_a_slow_syn_ack_and_one_connect():
    """The far host's backlog is full: its kernel answers no SYN until there is room.  The guest asks again after a second."""
    p = netns.world.far.start(["python3", "-c", """
import socket, time
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); l.bind(('0.0.0.0', 7001)); l.listen(0)
c = [socket.socket() for _ in range(2)]
for s in c: s.setblocking(False); s.connect_ex(('127.0.0.1', 7001))
time.sleep(2.5)
for _ in range(3):
    s, a = l.accept(); s.send(b'hello')
time.sleep(5)
"""], 7001)
    try:
        with Guest() as g:
            client = g.start(["python3", "-c", "import socket, time\nt = time.time(); s = socket.create_connection(('203.0.113.1', 7001), 10); "
                                               "print(time.time() - t > 0.8, s.recv(5))"])
            time.sleep(1.3)
            check(connecting(FAR) == 1, "%d sockets on the way", connecting(FAR))
            out = client.communicate(timeout=15)[0].decode()
        check("True" in out and "hello" in out, "%s", out)
    finally:
        p.kill()
        p.wait()


@case
def thousands_of_connections_leave_nothing_behind():
    def one(c):
        c.sendall(c.recv(1))
    with Server(one) as server, Guest() as g:
        before = g.descriptors()
        out = g.python("""
ok = 0
for i in range(2500):
    s = socket.create_connection(('10.0.2.2', %d)); s.send(b'x'); ok += s.recv(1) == b'x'; s.close()
print(ok)
""" % server.port, timeout=40).ok().out
        check(int(out) == 2500, "%s of 2500", out)
        g.expect_descriptors(before)


@case
def ten_thousand_connections_at_a_time_all_answer():
    """With the places that it takes, by max-flows=."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(10000, hard - 500 if hard != resource.RLIM_INFINITY else 10000)
    with EchoServer() as server, Guest("max-flows=16384,max-pending=4096") as g:
        before = g.descriptors()
        out = g.python("""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
count, port, all = %d, %d, []
start = time.time()
for i in range(count):
    s = socket.create_connection(('10.0.2.2', port), 10) if i %% 2 else socket.create_connection(('10.0.2.2', port), 10, ('10.0.2.15', 10000 + i)); all.append(s)
took = time.time() - start
for s in all: s.settimeout(20); s.send(b'x')
print(sum(s.recv(1) == b'x' for s in all), int(count / took))
""" % (count, server.port), timeout=60).ok().out.split()
        check(int(out[0]) == count, "%s of %d answer", out[0], count)
        check(int(out[1]) > 200, "only %s connections a second", out[1])
        g.expect_descriptors(before, 15)


@case
def the_same_port_serves_again_after_every_kind_of_end():
    for end in ("guest", "host", "reset"):
        def handler(c, how=end):
            c.recv(1)
            c.sendall(b"y")
            if how == "guest":
                c.recv(1)
        with Server(handler) as server:
            out = python("""
end = %r
for i in range(5):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.settimeout(3)
    s.bind(('10.0.2.15', 23456))
    s.connect(('10.0.2.2', %d)); s.send(b'x'); assert s.recv(1) == b'y'
    if end == 'host': assert s.recv(1) == b''
    if end != 'host': s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close(); time.sleep(0.05)
print('ok')
""" % (end, server.port)).ok().out
            check("ok" in out, "%s: %s", end, out)


@case
def ssh_carries_commands_files_forwards_and_rsync():
    need("ssh", "ssh-keygen", "sshd", "scp")
    sshd = shutil.which("sshd")
    with temporary() as d:
        os.chmod(d, 0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "%s/%s" % (d, name)], check=True, timeout=10)
        shutil.copy(d + "/user.pub", d + "/authorized")
        port = 2200
        with open(d + "/config", "w") as f:
            f.write("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nStrictModes no\nUsePAM no\n"
                    "PidFile none\nSubsystem sftp internal-sftp\n" % (port, d, d))
        with open(d + "/passwd", "w") as f:
            f.write("root:x:0:0::/root:/bin/sh\nsshd:x:100:100::/run/sshd:/bin/false\ntester:x:1000:1000::%s:/bin/bash\n" % d)
        # sshd as an ordinary user of a user namespace of its own, who then is the one that may log in: it takes no privilege
        server = subprocess.Popen(["unshare", "-m", "sh", "-ec", "mount --bind %s/passwd /etc/passwd; exec unshare -U --map-user=1000 "
                                   "--map-group=1000 %s -D -f %s/config" % (d, sshd, d)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        options = "-q -F none -o User=tester -i %s/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes" % d
        try:
            for _ in range(10):
                if server.poll() is not None:
                    raise netns.Skipped("sshd does not start here")
                time.sleep(0.02)
            netns.wait_listening(port)
            with Guest() as g, HttpServer() as web:
                r = g.run("ssh %s -p %d 10.0.2.2 'echo over $((6*7))'" % (options, port))
                expect("over 42", r.ok().out)
                r = g.run("dd if=/dev/urandom of=%s/f bs=64k count=100 2>/dev/null; scp %s -P %d %s/f 10.0.2.2:%s/copy && sha256sum %s/f %s/copy" %
                          (d, options, port, d, d, d, d)).ok()
                sums = re.findall(r"[0-9a-f]{64}", r.out)
                check(sums[0] == sums[1], "%s", r.out)
                r = g.run("ssh %s -p %d -f -L 8088:127.0.0.1:%d 10.0.2.2 'sleep 0.5'; curl -sS http://127.0.0.1:8088/100000 | wc -c" %
                          (options, port, web.port)).ok()
                check(r.out.strip() == "100000", "%s", r.out)
                r = g.run("ssh %s -p %d -f -D 1088 10.0.2.2 'sleep 0.7'; curl -sS --socks5 127.0.0.1:1088 http://127.0.0.1:%d/100000 | wc -c" %
                          (options, port, web.port)).ok()
                check(r.out.strip() == "100000", "by SOCKS: %s", r.out)
                inside = g.start(["python3", "-c", "import socket\nl = socket.create_server(('127.0.0.1', 7100)); print('up', flush=True)\n"
                                                   "c = l.accept()[0]; c.sendall(b'from inside'); c.close()"])
                inside.stdout.readline()
                r = g.run("ssh %s -p %d -R 8089:127.0.0.1:7100 10.0.2.2 'exec 3<>/dev/tcp/127.0.0.1/8089; cat <&3'" % (options, port))
                check("from inside" in r.out, "by a port of the host: %s %s", r.out, r.err)
                inside.wait(5)
                if shutil.which("rsync"):
                    os.mkdir(d + "/tree")
                    for i in range(300):
                        with open("%s/tree/%d" % (d, i), "wb") as f:
                            f.write(random.Random(i).randbytes(i * 37))
                    g.run(["sh", "-c", "rsync -rt -e 'ssh %s -p %d' %s/tree/ 10.0.2.2:%s/there && rsync -rt -e 'ssh %s -p %d' 10.0.2.2:%s/there/ %s/back && "
                           "diff -r %s/tree %s/back" % (options, port, d, d, options, port, d, d, d, d)]).ok()
        finally:
            server.kill()
            server.wait()


@case
def git_clones_from_a_server_on_the_host():
    need("git")
    with temporary() as d:
        git = "git -C %s/src -c user.name=x -c user.email=x@example.test " % d
        subprocess.run("mkdir %s/src && %s init -q && head -c 3000000 /dev/urandom >%s/src/big && %s add . && %s commit -qm one" %
                       (d, git, d, git, git), shell=True, check=True, timeout=20, capture_output=True)
        p = subprocess.Popen(["git", "daemon", "--reuseaddr", "--export-all", "--base-path=" + d, "--listen=127.0.0.1", "--port=9418", d],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                             env=dict(os.environ, GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*"))
        try:
            time.sleep(0.4)
            if p.poll() is not None:
                raise netns.Skipped("git daemon does not start: %s" % p.stderr.read().decode().strip())
            run("git clone -q git://10.0.2.2/src/.git %s/copy && cmp %s/src/big %s/copy/big" % (d, d, d)).ok()
        finally:
            os.killpg(p.pid, 15)
            p.wait()
            p.stderr.close()


@case
def socat_half_closes_through():
    need("socat")
    with Guest() as g:
        port = netns.listener().getsockname()[1]
        server = subprocess.Popen(["socat", "TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr" % port, "EXEC:sort"])
        netns.wait_listening(port)
        try:
            r = g.run("printf 'c\\na\\nb\\n' | socat -t 5 - TCP:10.0.2.2:%d" % port).ok()
            check(r.out == "a\nb\nc\n", "%s", r.out)
        finally:
            server.kill()
            server.wait()


@case
def small_messages_take_no_delayed_acknowledgement():
    def two_then_answer(c):
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            got = b""
            while len(got) < 2:
                part = c.recv(2 - len(got))
                if not part:
                    return
                got += part
            c.sendall(b"z")
    with Server(two_then_answer) as server:
        out = python("""
import statistics
s = socket.create_connection(('10.0.2.2', %d)); times = []
for i in range(300):
    t = time.time(); s.send(b'a'); s.send(b'b'); s.recv(1); times.append(time.time() - t)     # Nagle is on
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); one = []
for i in range(500):
    t = time.time(); s.send(b'ab'); s.recv(1); one.append(time.time() - t)
print(statistics.median(times) * 1e6, sorted(times)[-5] * 1e6, statistics.median(one) * 1e6)
""" % server.port).ok().out
    median, worst, plain = (float(x) for x in out.split())
    check(median < 5000 and worst < 35000 and plain < 3000, "write-write-read %.0f us, worst %.0f; ping-pong %.0f us", median, worst, plain)


@case
def closed_windows_open_again():
    data = pattern(3 << 20)

    def slow(c):
        time.sleep(2)
        h = hashlib.sha256()
        while True:
            part = c.recv(65536)
            if not part:
                break
            h.update(part)
        c.sendall(h.hexdigest().encode())

    def fast(c):
        c.sendall(data)
    with Server(slow) as a, Server(fast) as b:
        out = python("""
import hashlib, threading
def up():
    block = hashlib.shake_128(b'pattern').digest(1 << 20)
    s = socket.create_connection(('10.0.2.2', %d)); s.sendall(block * 3); s.shutdown(socket.SHUT_WR); print('up', s.recv(64).decode())
def down():
    s = socket.create_connection(('10.0.2.2', %d)); time.sleep(2.5); h = hashlib.sha256()
    while True:
        d = s.recv(65536)
        if not d: break
        h.update(d)
    print('down', h.hexdigest())
t = threading.Thread(target=up); t.start(); down(); t.join()
""" % (a.port, b.port), timeout=25).ok().out
    want = hashlib.sha256(data).hexdigest()
    check(sorted(out.split("\n"))[1:] == ["down " + want, "up " + want], "%s", out)


@case
def urgent_data_arrives_as_urgent_both_ways():
    got = {}

    def handler(c):
        c.settimeout(None)              # with a timeout Python waits for ordinary data
        poll = select.poll()
        poll.register(c, select.POLLPRI)
        check(poll.poll(5000), "no urgent data at the host")
        got["host"] = c.recv(1, socket.MSG_OOB)
        c.send(b"!", socket.MSG_OOB)
        c.recv(10)
        time.sleep(0.3)
    with Server(handler) as server:
        out = python("""
import select
s = socket.create_connection(('10.0.2.2', %d)); s.send(b'?', socket.MSG_OOB)
p = select.poll(); p.register(s, select.POLLPRI); assert p.poll(5000); print(s.recv(1, socket.MSG_OOB)); s.send(b'end')
""" % server.port).out
    check("b'!'" in out and got.get("host") == b"?", "inside %s, outside %s %s", out, got, server.errors)


@case
def any_mss_and_window_scale_is_taken():
    with Server(lambda c: c.sendall(b"z" * 5000)) as server, Guest() as g:
        for options in (b"", b"\2\4\0\1", b"\2\4\xff\xff", b"\2\4\5\xb4\1\3\3\0", b"\2\4\5\xb4\1\3\3\x0e", b"\2\4\5\xb4\4\2\1\1",
                        b"\2\4\5\xb4\x08\x0a\0\0\0\1\0\0\0\0\1\1", b"\xfd\x06abcd\1\1", b"\2\4\5\xb4\3\3\xff\1", b"\1\1\1\2"):
            out = g.python("""
w = Wire(); h = Hand(w, '10.0.2.2', %d); s = h.open(options=%r, window=4000)
got, largest = 0, 0
for s in h.segments(1.5):
    if s.flags & RST: break
    if s.data and s.seq == h.ack: h.ack += len(s.data); got += len(s.data); largest = max(largest, len(s.data)); h.send(ACK, window=4000)
    if s.flags & FIN or got == 5000: break
print(got, largest)
h.send(RST | ACK)
""" % (server.port, options)).ok().out.split()
            check(out[0] == "5000", "options %s: %s of 5000 bytes", options.hex(), out)


@case
def the_client_of_the_far_host_is_the_host():
    need("curl")
    p = netns.world.far.start(["python3", "-m", "http.server", "--bind", FAR, "8000", "--directory", netns.HERE], 8000)
    try:
        r = run("curl -sS --retry 10 --retry-connrefused --retry-delay 1 http://%s:8000/wire.py | sha256sum; sha256sum <%s/wire.py" % (FAR, netns.HERE)).ok()
        sums = re.findall(r"[0-9a-f]{64}", r.out)
        check(len(sums) == 2 and sums[0] == sums[1], "%s", r.out)
    finally:
        p.kill()
        p.wait()


@case
def nmap_sees_what_is_open_and_what_is_not():
    need("nmap")
    with Server(netns.echo, port=7777):
        r = run("nmap -n -Pn -sT -p 7770-7780 10.0.2.2; nmap -n -Pn -sS -p 7770-7780 10.0.2.2", timeout=30).ok()
    check(len(re.findall("7777/tcp open", r.out)) == 2, "%s", r.out)
    check(len(re.findall("tcp closed", r.out)) == 20, "%s", r.out)


@case
def host_loopback_off_keeps_the_host_to_itself():
    with Server(netns.echo) as server:
        out = python("""
for host in ('10.0.2.2', '127.0.0.1', '0.0.0.0', '198.51.100.2'):
    s = socket.socket(); s.settimeout(1)
    if host.startswith(('127', '0.')): continue
    try: s.connect((host, %d)); print(host, 'connected')
    except OSError as e: print(host, 'no')
w = Wire()
for dst in ('127.0.0.1', '127.1.2.3', '0.0.0.0', '0.1.2.3', '240.0.0.1', '169.254.169.254'):
    h = Hand(w, dst, %d); h.announce(); h.send(SYN, options=b'\\2\\4\\5\\xb4'); s = h.wait(SYN, 0.2); print(dst, 'connected' if s else 'no')
""" % (server.port, server.port), net="host-loopback=off").ok().out
    check("connected" not in out, "%s", out)
