# SPDX-License-Identifier: MIT
"""Black-box tests of the network with real clients, in a namespace that tenbox-net made: the shared part.

The tests run in a network namespace of their own, so "the host" and its loopback are theirs, and beyond it is a router (198.51.100.1)
and a far host (203.0.113.1), two more namespaces joined by veth pairs.  Nothing is sent anywhere else.  As root they use
namespaces only; anyone else gets a user namespace around them all, if the host lets him."""
import itertools
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.environ.get("TENBOX_NET", os.path.join(TOP, "build/release/tenbox-net"))
ROUTER, FAR, OUTER = "198.51.100.1", "203.0.113.1", "198.51.100.2"
# Addresses of IPv6 are there at once, the links' own too, so the first packets of a world wait for nothing.
NO_DAD = "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0; "
WORKERS = int(os.environ.get("NETNS_WORKERS", "4"))
WORKER = os.environ.get("TENBOX_TEST_WORKER")    # in one of them: "its number/how many"
CASES = []
world = None


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


CAPTURES = os.environ.get("CAPTURES")
captures = itertools.count()


def case(function):
    """Marks a test; run() takes them in order."""
    CASES.append(function)
    return function


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise Skipped("%s is not installed" % p)


def check(condition, message, *args):
    if not condition:
        raise Failed(message % args if args else message)


def expect(pattern, text, what="the output"):
    m = re.search(pattern, text, re.S | re.M)
    if not m:
        raise Failed("no /%s/ in %s:\n%s" % (pattern, what, text[-1500:]))
    return m


# --- the world ----------------------------------------------------------------------------------------------------------

def sh(command):
    done = subprocess.run(["sh", "-ec", command], capture_output=True, timeout=20)
    if done.returncode:
        raise OSError("%s: %s" % (command, done.stderr.decode().strip()))
    return done.stdout.decode()


def tcpdump(*args):
    """What it reads in a capture.  In a user namespace it cannot change from root to a user of its own, so it is one from the start."""
    done = subprocess.run(["unshare", "-U", "--map-user=1000", "--map-group=1000", "tcpdump", *args], capture_output=True, timeout=10)
    return done.stdout.decode()


def wait_listening(port, udp=False, prefix=()):
    """Until a server that was just started can be asked."""
    for _ in range(200):
        if subprocess.run(list(prefix) + ["ss", "-Hln" + ("u" if udp else "t"), "sport = :%d" % port], capture_output=True).stdout:
            return
        time.sleep(0.02)
    raise Failed("no server comes up on port %d" % port)


class Holder:
    """A network namespace, kept by a sleeping process."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "1000"])
        own = os.readlink("/proc/self/ns/net")
        deadline = time.time() + 5
        while os.readlink("/proc/%d/ns/net" % self.process.pid) == own:
            if self.process.poll() is not None or time.time() > deadline:
                raise OSError("unshare -n makes no namespace")
            time.sleep(0.005)
        self.pid = self.process.pid
        self.run(NO_DAD + "ip link set lo up")

    def run(self, command):
        return sh("nsenter -t %d -n sh -ec '%s'" % (self.pid, command))

    def start(self, args, port, udp=False):
        """A server, which is there when this returns."""
        prefix = ["nsenter", "-t", str(self.pid), "-n"]
        p = subprocess.Popen(prefix + args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_listening(port, udp, prefix)
        return p

    def stop(self):
        self.process.kill()
        self.process.wait()


class World:
    def __init__(self):
        sh(NO_DAD + "ip link set lo up")
        self.router, self.far = Holder(), Holder()
        sh("ip link add up0 type veth peer name down0 netns %d" % self.router.pid)
        self.router.run("ip link add far0 type veth peer name near0 netns %d" % self.far.pid)
        sh("ip addr add %s/24 dev up0; ip -6 addr add 2001:db8:1::2/64 dev up0 nodad; ip link set up0 up" % OUTER)
        self.router.run("ip addr add %s/24 dev down0; ip addr add 203.0.113.254/24 dev far0; ip -6 addr add 2001:db8:1::1/64 dev down0 nodad; "
                        "ip -6 addr add 2001:db8:2::ff/64 dev far0 nodad; ip link set down0 up; ip link set far0 up; "
                        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0; "
                        "ip route add unreachable 203.0.113.66/32; ip route add prohibit 203.0.113.67/32; ip route add blackhole 203.0.113.68/32; "
                        "ip -6 route add unreachable 2001:db8:2::66" % ROUTER)
        self.far.run("ip addr add %s/24 dev near0; ip -6 addr add 2001:db8:2::1/64 dev near0 nodad; ip link set near0 up; "
                     "ip route add default via 203.0.113.254; ip -6 route add default via 2001:db8:2::ff; "
                     "sysctl -qw net.ipv4.icmp_ratelimit=0" % FAR)
        sh("ip route add default via %s; ip -6 route add default via 2001:db8:1::1" % ROUTER)
        sh("sysctl -qw net.ipv4.ping_group_range='0 2147483647' || sysctl -qw net.ipv4.ping_group_range='0 0'")
        for setting in ("route.error_cost=0", "icmp_msgs_per_sec=100000", "icmp_msgs_burst=10000"):  # where there are such
            subprocess.run(["nsenter", "-t", str(self.router.pid), "-n", "sysctl", "-qw", "net.ipv4." + setting], capture_output=True)
        sh("ping -6 -c 1 -w 5 2001:db8:2::1 >/dev/null; ping -c 1 -w 5 %s >/dev/null" % FAR)      # until the links are up and all are known
        self.private_tun()

    def private_tun(self):
        """As root: /dev/net/tun as it usually is, open to all, and a temporary folder that all may read."""
        if os.geteuid() == 0 and os.stat("/dev/net/tun").st_mode & 0o666 != 0o666:
            subprocess.run(["sh", "-c", "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200"], capture_output=True)

    def stop(self):
        self.far.stop()
        self.router.stop()


# --- tenbox-net ---------------------------------------------------------------------------------------------------------

class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def ok(self):
        check(self.status == 0, "status %s\n%s\n%s", self.status, self.out[-1500:], self.err[-1500:])
        return self


def command_line(command, net=None, configure=True, options=()):
    args = [PROGRAM] + (["--configure"] if configure else []) + (["--net", net] if net else []) + list(options)
    if CAPTURES and "--pcap" not in options:        # for tests/fuzz/seeds.py
        args += ["--pcap", os.path.join(CAPTURES, "%03d.pcap" % next(captures))]
    args += ["--"]
    return args + (["sh", "-c", command] if isinstance(command, str) else list(command))


def run(command, net=None, configure=True, options=(), timeout=20, prefix=()):
    """A command (a shell's line, or a list) on a network of its own."""
    p = subprocess.Popen(list(prefix) + command_line(command, net, configure, options), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=TOP, start_new_session=True)
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, err = p.communicate()
        raise Failed("still running after %d s: %s\n%s\n%s" % (timeout, command, out.decode("utf-8", "replace")[-1500:],
                                                               err.decode("utf-8", "replace")[-1500:])) from None
    return Result(p.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def python(code, **more):
    """Python code inside, with wire.py at hand."""
    return run(["python3", "-c", "import sys; sys.path.insert(0, %r); from wire import *\n%s" % (HERE, code)], **more)


class Guest:
    """A network that stays while the test runs commands inside."""

    def __init__(self, net=None, configure=True, options=()):
        self.process = subprocess.Popen(command_line(["sh", "-c", "echo up; exec sleep 1000"], net, configure, options),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=TOP)
        if self.process.stdout.readline() != b"up\n":
            raise Failed("tenbox-net: %s" % self.process.stderr.read().decode())
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as f:
            self.pid = int(f.read().split()[0])
        self.err = ""

    def inside(self, args):
        return ["nsenter", "-t", str(self.pid), "-U", "-n", "-m", "--preserve-credentials"] + \
            (["sh", "-c", args] if isinstance(args, str) else list(args))

    def run(self, args, timeout=20):
        try:
            done = subprocess.run(self.inside(args), capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, cwd=TOP)
        except subprocess.TimeoutExpired as e:
            raise Failed("still running after %d s: %s\n%s" % (timeout, args, (e.stdout or b"").decode("utf-8", "replace")[-1000:])) from None
        return Result(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    def python(self, code, **more):
        return self.run(["python3", "-c", "import sys; sys.path.insert(0, %r); from wire import *\n%s" % (HERE, code)], **more)

    def start(self, args):
        return subprocess.Popen(self.inside(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=TOP)

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def expect_descriptors(self, before, seconds=5):
        """No more than so many are open, soon."""
        deadline = time.time() + seconds
        while self.descriptors() > before and time.time() < deadline:
            time.sleep(0.02)
        check(self.descriptors() <= before, "%d descriptors became %d", before, self.descriptors())

    def iperf3(self, options, timeout=15):
        """What iperf3 inside says in the end, with a server of its own on the host's loopback."""
        port = listener().getsockname()[1]
        server = subprocess.Popen(["iperf3", "-s", "-1", "-p", str(port), "-B", "127.0.0.1"], stdout=subprocess.DEVNULL)
        wait_listening(port)
        try:
            return json.loads(self.run("iperf3 -J -c 10.0.2.2 -p %d %s" % (port, options), timeout=timeout).ok().out)["end"]
        finally:
            server.kill()
            server.wait()

    def resident(self):
        """KB"""
        with open("/proc/%d/statm" % self.process.pid) as f:
            return int(f.read().split()[1]) * 4

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        try:
            self.err = self.process.communicate(timeout=5)[1].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("tenbox-net does not end with its command") from None


# --- servers on "the host" ----------------------------------------------------------------------------------------------

def listener(address="127.0.0.1", port=0, kind=socket.SOCK_STREAM, backlog=4096):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(socket.getaddrinfo(address, port)[0][4])
    if kind == socket.SOCK_STREAM:
        s.listen(backlog)
    return s


class Server:
    """Calls handler(connection) in a thread for each client; port is where."""

    def __init__(self, handler, address="127.0.0.1", port=0):
        self.socket = listener(address, port)
        self.port = self.socket.getsockname()[1]
        self.errors, self.clients = [], []
        self.handler = handler
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                c, address = self.socket.accept()
            except OSError:
                return
            c.settimeout(20)
            self.clients.append(address)
            threading.Thread(target=self.handle, args=(c,), daemon=True).start()

    def handle(self, c):
        try:
            self.handler(c)
        except OSError as error:
            self.errors.append(error)
        finally:
            c.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class EchoServer(Server):
    """The same for echo, in one thread however many clients there are."""

    def __init__(self):
        super().__init__(None)

    def serve(self):
        s = selectors.DefaultSelector()
        self.socket.setblocking(False)
        s.register(self.socket, selectors.EVENT_READ)
        while True:
            for key, _ in s.select(1):
                c = key.fileobj
                try:
                    if c is self.socket:
                        c = c.accept()[0]
                        c.setblocking(False)
                        s.register(c, selectors.EVENT_READ)
                    else:
                        data = c.recv(65536)
                        if data:
                            c.send(data)
                            continue
                        s.unregister(c)
                        c.close()
                except OSError:
                    if c is self.socket:
                        return
                    s.unregister(c)
                    c.close()


class UdpServer:
    """handler(data, address) -> answer, a list of answers, or None."""

    def __init__(self, handler, address="127.0.0.1", port=0):
        self.socket = listener(address, port, socket.SOCK_DGRAM)
        self.port = self.socket.getsockname()[1]
        self.handler = handler
        self.closed = False
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                data, address = self.socket.recvfrom(65536)
                if self.closed:
                    return
                answer = self.handler(data, address)
                for a in answer if isinstance(answer, list) else [answer]:
                    if a is not None:
                        self.socket.sendto(a, address)
            except OSError:
                if self.closed:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.closed = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


def echo(c):
    while True:
        data = c.recv(65536)
        if not data:
            return
        c.sendall(data)


# --- running ------------------------------------------------------------------------------------------------------------

def namespaces():
    return ["unshare"] + ([] if os.geteuid() == 0 else ["-U", "-r"]) + ["-n", "-m", "--propagation", "slave"]


def possible():
    """Whether there can be namespaces here; says why not."""
    if WORKER:
        return True
    probe = subprocess.run(namespaces() + ["true"], capture_output=True)
    reason = probe.stderr.decode().strip() if probe.returncode else None
    if not reason:
        try:
            os.close(os.open("/dev/net/tun", os.O_RDWR))
        except OSError as error:
            reason = str(error)
    if reason:
        print("  skipped everything: %s" % reason)
        print("netns: 0 passed, 0 failed")
    return not reason


def run_one(function):
    """-> how it went, and the line about it."""
    name = function.__name__.replace("_", " ")
    start = time.time()
    try:
        function()
        return "passed", "  ok      %-76s %6.1f s" % (name, time.time() - start)
    except Skipped as reason:
        return "skipped", "  skipped %-76s %s" % (name, reason)
    except (Failed, AssertionError, OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return "failed", "  FAILED  %s\n    %s: %s" % (name, type(error).__name__, str(error).replace("\n", "\n    "))


def run_share(cases, number, of):
    """Every of-th case, in a world of its own; the results as lines."""
    global world
    world = World()
    try:
        for function in cases[number::of]:
            print("%s\t%s" % run_one(function), end="\0", flush=True)
    finally:
        world.stop()


def run_cases(cases, argv):
    """Most cases wait more than they work, so a few worlds share them."""
    chosen = [f for f in cases if not argv or any(word in f.__name__ for word in argv)]
    if WORKER:
        run_share(chosen, *(int(n) for n in WORKER.split("/")))
        return 0
    count = {"passed": 0, "failed": 0, "skipped": 0}
    workers = min(WORKERS, len(chosen))
    environment = dict(os.environ)
    running = []
    for n in range(workers):
        environment["TENBOX_TEST_WORKER"] = "%d/%d" % (n, workers)
        running.append(subprocess.Popen(namespaces() + [sys.executable] + sys.argv, stdout=subprocess.PIPE, env=environment))

    def follow(p):
        text = b""
        while True:
            data = os.read(p.stdout.fileno(), 65536)
            if not data:
                break
            text += data
            *lines, text = text.split(b"\0")
            for line in lines:
                how, said = line.decode("utf-8", "replace").split("\t", 1)
                count[how] += 1
                print(said, flush=True)
        if p.wait() != 0:
            print("  FAILED  a part of the tests ended with status %d" % p.returncode, flush=True)
            count["failed"] += 1
    threads = [threading.Thread(target=follow, args=(p,)) for p in running]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if count["skipped"]:
        print("netns: %d skipped, for the reasons given" % count["skipped"])
    print("netns: %d passed, %d failed" % (count["passed"], count["failed"]))
    return 1 if count["failed"] else 0


def temporary():
    d = tempfile.TemporaryDirectory()
    os.chmod(d.name, 0o755)
    return d
