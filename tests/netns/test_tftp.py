# SPDX-License-Identifier: MIT
"""TFTP with tftp-hpa, atftp, curl, busybox, and packets made by hand."""
import hashlib
import os

from netns import Guest, case, check, need, run, temporary

SIZES = (0, 1, 511, 512, 513, 1023, 1428, 1 << 20)


def make(path, size, seed=1):
    data = hashlib.shake_128(b"%d" % seed).digest(min(size, 1 << 20))
    data = (data * (size // max(len(data), 1) + 1))[:size]
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, 0o644)
    return hashlib.sha256(data).hexdigest()


def sha(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Folders:
    """What is served, and where files go."""

    def __init__(self):
        self.root = temporary()
        self.served, self.got = self.root.name + "/served", self.root.name + "/got"
        os.mkdir(self.served)
        os.mkdir(self.got)
        os.chmod(self.got, 0o777)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.root.cleanup()


@case
def tftp_hpa_gets_files_of_all_sizes():
    need("tftp")
    with Folders() as d, Guest("tftp=" + d.served) as g:
        for size in SIZES:
            want = make("%s/f%d" % (d.served, size), size)
            g.run("cd %s && tftp -m binary 10.0.2.2 -c get f%d" % (d.got, size)).ok()
            check(sha("%s/f%d" % (d.got, size)) == want, "%d bytes are not the same", size)


@case
def block_numbers_wrap_in_long_files():
    need("tftp")
    with Folders() as d, Guest("tftp=" + d.served) as g:
        for size in (65536 * 512, 65536 * 512 + 100, 70 << 20):
            want = make(d.served + "/long", size)
            g.run("cd %s && tftp -m binary 10.0.2.2 -c get long" % d.got, timeout=40).ok()
            check(sha(d.got + "/long") == want, "%d bytes are not the same", size)


@case
def atftp_negotiates_options():
    need("atftp")
    with Folders() as d, Guest("tftp=" + d.served) as g:
        want = make(d.served + "/f", 3000000)
        for options in (["blksize 1428", "tsize 0", "timeout 2"], ["blksize 8192"], ["blksize 1428", "windowsize 16"], []):
            g.run(["atftp"] + [w for o in options for w in ("--option", o)] + ["-g", "-r", "f", "-l", d.got + "/f", "10.0.2.2"]).ok()
            check(sha(d.got + "/f") == want, "%s: not the same", options)
            os.remove(d.got + "/f")


@case
def curl_and_busybox_get_files():
    need("curl", "busybox")
    with Folders() as d, Guest("tftp=" + d.served) as g:
        want = make(d.served + "/f", 200000)
        for blksize in (8, 512, 1468):
            g.run("curl -sS --tftp-blksize %d -o %s/f tftp://10.0.2.2/f" % (blksize, d.got)).ok()
            check(sha(d.got + "/f") == want, "blksize %d: not the same", blksize)
        g.run("cd %s && rm -f f && busybox tftp -g -r f -b 1024 10.0.2.2" % d.got).ok()
        check(sha(d.got + "/f") == want, "busybox: not the same")


@case
def netascii_converts_line_ends():
    need("tftp")
    with Folders() as d:
        text = b"one\ntwo\r\nthree\0four\rfive\n" * 100
        with open(d.served + "/text", "wb") as f:
            f.write(text)
        run("cd %s && tftp -m netascii 10.0.2.2 -c get text" % d.got, net="tftp=" + d.served).ok()
        with open(d.got + "/text", "rb") as f:
            check(f.read() == text, "what netascii made of it does not come back")


@case
def what_is_outside_stays_outside():
    need("atftp")
    with Folders() as d, Guest("tftp=" + d.served) as g:
        with open(d.root.name + "/secret", "w") as f:
            f.write("secret")
        make(d.served + "/ok", 100)
        os.symlink("../secret", d.served + "/link")
        os.symlink("/etc/passwd", d.served + "/absolute")
        os.symlink("ok", d.served + "/inside")
        os.mkdir(d.served + "/dir")
        os.mkfifo(d.served + "/fifo")
        make(d.served + "/unreadable", 10)
        out = g.python("""
def rrq(name, mode=b'octet', op=1, end=b'\\0'):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
    s.sendto(struct.pack('>H', op) + name + b'\\0' + mode + end, ('10.0.2.2', 69))
    try: a = s.recv(2000)
    except OSError: return 'silence'
    return 'data' if a[1] == 3 else 'error%d' % a[3]
for n in (b'ok', b'/ok', b'//ok', b'inside', b'dir/../ok'): print(n, rrq(n))
print('--')
for n in (b'../secret', b'..', b'a/../../secret', b'dir/../../secret', b'..\\\\secret', b'//etc/passwd', b'C:x', b'link', b'absolute', b'x\\0../secret', b'fifo', b'dir', b'.', b'', b'/', b'none',
          b'a' * 511, b'a' * 513, b'/proc/self/environ', b'dir/'):
    print(n[:20], rrq(n))
print('--')
print(rrq(b'ok', b'mail'), rrq(b'ok', end=b''), rrq(b'new', op=2), rrq(b'none'), rrq(b'ok', b'OcTeT'))
""", timeout=40).ok().out
        good, bad, rest = out.split("--\n")
        check(good.count("data") == 4 + ("dir/../ok' data" in good), "what is inside: %s", good)
        check("data" not in bad, "what is outside: %s", bad)
        m = rest.split()
        check(m[0] == "error4" and m[1] in ("error2", "error4", "error0", "silence") and m[2] == "error2" and m[3] == "error1" and m[4] == "data",
              "modes: %s", rest)
        check(not os.path.exists(d.served + "/new"), "a file was written")


@case
def a_hundred_clients_at_once_are_all_served_in_the_end():
    """64 at a time; who lost his place to a later one asks again, as a client does."""
    with Folders() as d, Guest("tftp=" + d.served) as g:
        make(d.served + "/f", 5000)
        out = g.python("""
import selectors
class Client:
    def __init__(self): self.start()
    def start(self):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); self.s.setblocking(False); self.want, self.got, self.heard = 1, b'', time.time()
        self.s.sendto(b'\\0\\1f\\0octet\\0', ('10.0.2.2', 69)); poll.register(self.s, selectors.EVENT_READ, self)
    def end(self): poll.unregister(self.s); self.s.close()
    def hear(self):
        a, peer = self.s.recvfrom(600); self.heard = time.time()
        if a[:2] == b'\\0\\5': self.end(); self.start(); return False
        assert a[:2] == b'\\0\\3', a
        self.s.sendto(b'\\0\\4' + a[2:4], peer)
        if a[2:4] != struct.pack('>H', self.want): return False
        self.want += 1; self.got += a[4:]
        return len(a) < 516
poll = selectors.DefaultSelector()
left = [Client() for _ in range(100)]; done, again = 0, 0
end = time.time() + 20
while left and time.time() < end:
    for key, _ in poll.select(0.1):
        c = key.data
        if c.s is key.fileobj and c.hear(): done += len(c.got) == 5000; left.remove(c); c.end()
    for c in left:
        if time.time() - c.heard > 0.7: c.end(); c.start(); again += 1
print(done, again)
""", timeout=40).ok().out.split()
    check(int(out[0]) == 100, "%s of 100, after asking again %s times", *out)


@case
def lost_and_repeated_acknowledgements():
    with Folders() as d, Guest("tftp=" + d.served) as g:
        make(d.served + "/f", 2000)
        out = g.python("""
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b'\\0\\1f\\0octet\\0', ('10.0.2.2', 69))
a, peer = s.recvfrom(600); print('own-port' if peer[1] != 69 else 'port-69')
b, _ = s.recvfrom(600); print('again' if a == b else 'other')          # no ACK: it comes again
for _ in range(3): s.sendto(b'\\0\\4\\0\\1', peer)                        # three for one: one block 2
s.settimeout(0.5); blocks = []
try:
    while True: blocks.append(s.recv(600)[3])
except OSError: pass
print('once' if blocks == [2] else blocks)
t = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); t.settimeout(1); t.sendto(b'\\0\\4\\0\\2', peer)
try: e = t.recv(600); print('error5' if e[:4] == b'\\0\\5\\0\\5' else e[:4])
except OSError: print('silence')
s.settimeout(3); s.sendto(b'\\0\\4\\0\\2', peer); c = s.recv(600)
while c[3] == 2: c = s.recv(600)
print('goes-on' if c[:4] == b'\\0\\3\\0\\3' else c[:4])
""", timeout=20).ok().out
    check(out.split() == ["own-port", "again", "once", "error5", "goes-on"], "%s", out)


@case
def without_a_folder_there_is_no_service():
    r = run(["python3", "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect(('10.0.2.2', 69)); s.send(b'\\0\\1f\\0octet\\0')
try: print(s.recv(100)[:4])
except OSError as e: print(type(e).__name__)
"""])
    check("\\x00\\x03" not in r.out, "%s", r.out)
