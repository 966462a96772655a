# SPDX-License-Identifier: MIT
"""tenbox-net itself: what it makes inside, its exit status, its descriptors, and what it says when it cannot."""
import os
import re
import signal
import subprocess
import time

import netns
from netns import PROGRAM, TOP, Failed, Guest, Server, Skipped, case, check, expect, need, run, tcpdump, temporary


def refused(args, *patterns, status=1, prefix=()):
    done = subprocess.run(list(prefix) + [PROGRAM] + args, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, cwd=TOP)
    text = done.stderr.decode().strip()
    check(done.returncode == status, "%s: status %d, not %d: %s", args, done.returncode, status, text)
    check(text.startswith("tenbox-net: ") and "\n" not in text, "%s: not one line of tenbox-net's: %s", args, text)
    for p in patterns:
        expect(p, text, str(args))


@case
def bad_options_are_named():
    refused([], "PID", "COMMAND")
    refused(["--frob"], "--frob")
    refused(["--net"], "--net needs an argument")
    refused(["--net", "frob=1", "1"], "frob")
    refused(["--net", "net=10.0.2.0/24,host=1.2.3.4", "1"], "network")
    refused(["--net", "hostfwd=tcp::22", "1"], "hostfwd|tcp::22")
    refused(["--net", "mtu=1", "1"], "mtu")
    refused(["--ifname", "a/b", "1"], "a/b")
    refused(["--ifname", "much-too-long-a-name", "1"], "much-too-long")
    refused(["--ready-fd", "99", "1"], "99", "descriptor")
    refused(["--pcap", "/nowhere/file", "--", "true"], "--pcap", "/nowhere/file", "No such file", status=125)
    refused(["frob"], "frob", "process id")
    refused(["1", "2"], "'2'")
    refused(["--netns", "/dev/null"], "/dev/null", "not the file of a network namespace")
    refused(["--netns", "/nowhere/ns"], "/nowhere/ns", "No such file")
    refused(["999999999"], "999999999", "no such process")
    refused([str(os.getpid())], "network namespace of tenbox-net itself")
    refused(["--log", "frob", "1"], "frob")


@case
def a_taken_port_is_named_before_anything_is_made():
    with Server(netns.echo) as server:
        refused(["--net", "hostfwd=tcp:127.0.0.1:%d-:22" % server.port, "--", "echo", "not reached"], "Address already in use", status=125)


@case
def help_and_version_are_no_error():
    for args, word in ((["--help"], "COMMAND"), (["--version"], "tenbox-net"), (["--net", "help"], "hostfwd")):
        done = subprocess.run([PROGRAM] + args, capture_output=True, timeout=10)
        check(done.returncode == 0 and word in done.stdout.decode(), "%s: %s", args, done)


@case
def exit_status_and_signals_pass_through():
    check(run("exit 0").status == 0 and run("exit 7").status == 7 and run(["false"]).status == 1, "an exit status is lost")
    check(run("kill -USR1 $$").status == -signal.SIGUSR1, "a signal is lost")
    check(run("kill -KILL $$").status == -signal.SIGKILL, "SIGKILL is lost")
    check(run(["/nowhere/program"]).status == 127, "a missing program is not 127")
    check(run(["/etc/passwd"]).status == 126, "a file that is no program is not 126")
    p = subprocess.Popen(netns.command_line("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"), stdout=subprocess.PIPE)
    p.stdout.readline()
    p.send_signal(signal.SIGTERM)
    check(p.wait(timeout=5) == 9, "SIGTERM does not reach the command")
    p.stdout.close()


@case
def the_command_does_not_outlive_tenbox_net():
    p = subprocess.Popen(netns.command_line("echo $$; exec sleep 1000"), stdout=subprocess.PIPE)
    child = int(p.stdout.readline())
    p.kill()
    p.wait()
    p.stdout.close()
    # the number that the command sees is the one that we see: there is no process namespace
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    raise Failed("the command lives on")


@case
def configure_sets_interface_routes_and_resolver():
    with open("/etc/resolv.conf") as f:
        before = f.read()
    r = run("ip -o addr show tap0; ip -o link show tap0; ip route; echo --; cat /etc/resolv.conf; id -u; ls -d /tmp/* >/dev/null",
            net="dnssearch=a.test,dnssearch=b.test,mtu=9000").ok()
    expect(r"inet 10\.0\.2\.15/24", r.out)
    expect("mtu 9000", r.out)
    expect("state UNKNOWN|state UP", r.out)
    expect("default via 10.0.2.2 dev tap0", r.out)
    expect("--\nnameserver 10.0.2.3\nsearch a.test b.test\n", r.out.replace("nameserver fec0::3\n", ""))
    expect(r"^0$", r.out)
    with open("/etc/resolv.conf") as f:
        check(f.read() == before, "the host's resolv.conf is not as it was")
    r = run("ip -o addr show tap0; ip route", net="net=192.168.76.0/28,dhcpstart=192.168.76.9").ok()
    expect(r"inet 192\.168\.76\.9/28", r.out)
    expect("default via 192.168.76.2", r.out)


@case
def without_configure_there_is_an_interface_and_no_more():
    r = run("ip -o link; ip -o addr; ip route; cat /etc/resolv.conf", configure=False, options=["--ifname", "eth7"], net="mtu=1400").ok()
    expect("eth7: .*mtu 1400", r.out)
    check("inet 10.0.2" not in r.out and "10.0.2.3" not in r.out and "default via" not in r.out, "it is configured: %s", r.out)
    expect("lo: .*UP", r.out)


@case
def a_process_is_given_the_network_and_ends_it():
    holder = netns.Holder()
    read, write = os.pipe()
    p = subprocess.Popen([PROGRAM, "--configure", "--ready-fd", str(write), str(holder.pid)], pass_fds=[write])
    os.close(write)
    check(os.read(read, 10) == b"1", "nothing on --ready-fd")
    check(os.read(read, 10) == b"", "--ready-fd stays open")
    os.close(read)
    try:
        expect("10.0.2.15/24", holder.run("ip -o addr show tap0"))
        holder.run("ping -c 1 -W 2 10.0.2.2")
    finally:
        holder.stop()
    check(p.wait(timeout=5) == 0, "status %s", p.returncode)


@case
def a_path_is_given_the_network_until_exit_fd_closes():
    holder = netns.Holder()
    ready, ready_w = os.pipe()
    end_r, end = os.pipe()
    p = subprocess.Popen([PROGRAM, "--configure", "--ready-fd", str(ready_w), "--exit-fd", str(end_r), "--netns",
                          "/proc/%d/ns/net" % holder.pid], pass_fds=[ready_w, end_r])
    os.close(ready_w)
    os.close(end_r)
    try:
        check(os.read(ready, 1) == b"1", "not ready")
        holder.run("ping -c 1 -W 2 10.0.2.2")
        os.close(end)
        check(p.wait(timeout=5) == 0, "status %s", p.returncode)
        check("tap0" not in holder.run("ip -o link"), "the TAP stays")
    finally:
        os.close(ready)
        holder.stop()


@case
def a_signal_ends_an_attached_network():
    holder = netns.Holder()
    ready, ready_w = os.pipe()
    p = subprocess.Popen([PROGRAM, "--ready-fd", str(ready_w), str(holder.pid)], pass_fds=[ready_w])
    os.close(ready_w)
    try:
        check(os.read(ready, 1) == b"1", "not ready")
        refused([str(holder.pid)], "tap0", "busy|in use")
        p.send_signal(signal.SIGTERM)
        check(p.wait(timeout=5) == 0, "status %s", p.returncode)
    finally:
        os.close(ready)
        holder.stop()


def as_nobody():
    with open("/proc/self/uid_map") as f:
        if not any(int(first) <= 65534 < int(first) + int(count) for first, _, count in (line.split() for line in f)):
            raise Skipped("not root: all tests run as an ordinary user already")
    if os.stat("/dev/net/tun").st_mode & 0o666 != 0o666:
        raise Skipped("/dev/net/tun is not open to all, and no other can be made here")
    need("setpriv")
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


@case
def an_ordinary_user_needs_no_privilege():
    with Server(netns.echo) as server:
        r = run(["bash", "-c", "id -u; ip -o addr show tap0; cat /etc/resolv.conf; exec 3<>/dev/tcp/10.0.2.2/%d; echo hello >&3; "
                 "head -1 <&3" % server.port], prefix=as_nobody()).ok()
        expect(r"^0\n.*inet 10\.0\.2\.15/24.*^nameserver 10.0.2.3$.*^hello$", r.out)


@case
def an_ordinary_user_is_told_what_is_missing():
    nobody = as_nobody()
    private = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev/net; exec \"$@\"", "sh"]
    refused(["--", "true"], "/dev/net/tun", "modprobe tun|--device", status=125, prefix=private + nobody)
    private[4] = "mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200; exec \"$@\""
    refused(["--", "true"], "/dev/net/tun", "mode 0666", status=125, prefix=private + nobody)
    private[4] = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$@\""
    limited = ["unshare", "-U", "-r"] + private
    limited.remove("-m")
    refused(["--", "true"], "make a user and network namespace", "max_user_namespaces", status=125, prefix=limited)
    holder = netns.Holder()
    try:
        refused([str(holder.pid)], "process %d|namespace" % holder.pid, "another user|CAP_SYS_ADMIN|Permission|not permitted", prefix=nobody)
    finally:
        holder.stop()


@case
def a_capture_has_both_directions():
    need("tcpdump")
    with temporary() as d:
        path = os.path.join(d, "all.pcap")
        run("ping -c 2 -i 0.2 10.0.2.2", options=["--pcap", path]).ok()
        out = tcpdump("-nr", path)
        expect("10.0.2.15 > 10.0.2.2: ICMP echo request.*seq 1,", out)
        expect("10.0.2.2 > 10.0.2.15: ICMP echo reply.*seq 2,", out)


@case
def what_the_command_said_last_arrives():
    got = []

    def sink(c):
        data = b""
        time.sleep(0.5)
        while True:
            part = c.recv(65536)
            if not part:
                break
            data += part
        got.append(len(data))
    with Server(sink) as server:
        run(["python3", "-c", "import socket\ns = socket.create_connection(('10.0.2.2', %d))\ns.sendall(b'x' * 3000000)" % server.port]).ok()
        for _ in range(50):
            if got:
                break
            time.sleep(0.02)
    check(got == [3000000], "of 3000000 bytes written before the end %s arrived", got)


@case
def two_networks_of_one_plan_do_not_meet():
    """The same four numbers at the same time; one ends, the other goes on."""
    code = ("import socket, struct, sys\ns = socket.socket()\ns.bind(('10.0.2.15', 20000))\ns.settimeout(3)\n"
            "s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\ns.connect(('10.0.2.2', %d))\n"
            "for line in sys.stdin:\n s.sendall(line.encode())\n print(s.recv(100).decode(), end='', flush=True)\n")
    with Server(netns.echo) as server, Guest() as a, Guest() as b:
        clients = [subprocess.Popen(g.inside(["python3", "-uc", code % server.port]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                   for g in (a, b)]

        def turn(n, text):
            clients[n].stdin.write(text)
            clients[n].stdin.flush()
            got = clients[n].stdout.readline()
            check(got == text, "guest %d hears %r instead of %r", n, got, text)
        for i in range(5):
            turn(0, b"first %d\n" % i)
            turn(1, b"second %d\n" % i)
        clients[0].communicate(timeout=5)
        turn(1, b"still here\n")
        clients[1].communicate(timeout=5)


@case
def nothing_is_left_behind():
    with Server(netns.echo) as server, Guest() as g:
        before = g.descriptors()
        for _ in range(3):
            g.python("for i in range(100):\n s = socket.create_connection(('10.0.2.2', %d))\n s.send(b'x')\n s.recv(1)\n s.close()" %
                     server.port).ok()
        g.expect_descriptors(before)
    check(not re.search("error|assert", g.err, re.I), "it says: %s", g.err)


# What the network needs once it runs.  A name that is not here is a reason to look, before someone puts it behind a filter.
CALLS = set("""epoll_pwait2 epoll_wait epoll_ctl read write readv writev recvmsg sendmsg recvmmsg sendmmsg recvfrom sendto socket bind connect
listen accept4 getsockname getpeername getsockopt setsockopt shutdown close ioctl getrandom clock_gettime prlimit64 getrlimit mmap munmap mremap brk
madvise openat openat2 stat newfstatat fstat statx lseek pread64 restart_syscall fcntl sysinfo futex inotify_init1 inotify_add_watch
inotify_rm_watch pidfd_open""".split())


@case
def the_running_network_makes_few_kinds_of_system_calls():
    need("strace", "curl", "dig")
    with Server(netns.echo) as server, temporary() as d, Guest("tftp=" + d) as g:
        with open(d + "/f", "w") as f:
            f.write("x" * 1000)
        path = d + "/trace"
        tracer = subprocess.Popen(["strace", "-qq", "-o", path, "-p", str(g.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.5)
        if tracer.poll() is not None:
            raise Skipped("strace may not trace here: %s" % tracer.stderr.read().decode().strip())
        g.run("ping -c 1 -W 2 10.0.2.2; ping -c 1 -W 2 %s; curl -sS tftp://10.0.2.2/f; dig +time=1 +tries=1 @10.0.2.3 a.test; dig +tcp +time=1 "
              "+tries=1 @10.0.2.3 a.test; curl -sS -m 1 http://%s:9/; curl -sS -m 1 http://10.0.2.2:9/" % (netns.FAR, netns.FAR))
        g.python("s = socket.create_connection(('10.0.2.2', %d)); s.send(b'x' * 100000); print(len(s.recv(100000)))" % server.port).ok()
        tracer.send_signal(signal.SIGTERM)
        tracer.wait(timeout=5)
        tracer.stderr.close()
        with open(path) as f:
            seen = set(re.findall(r"^(\w+)\(", f.read(), re.M))
    check("epoll_pwait2" in seen or "epoll_wait" in seen, "nothing was traced: %s", seen)
    check(seen <= CALLS, "system calls that were not made before: %s", ", ".join(sorted(seen - CALLS)))
