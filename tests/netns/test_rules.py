# SPDX-License-Identifier: MIT
"""Where a guest may go and how: restrict=, allow=, deny=, host-loopback=, outbound-addr=, outbound-if=; and a pause (points 23, 41)."""
import os
import re
import signal
import socket
import subprocess
import time

from netns import FAR, OUTER, Guest, Server, UdpServer, case, check, echo, need, run, sh, temporary
import netns
from test_program import refused
from test_tftp import make, sha

TRY = r"""
import socket, sys
def attempt(address, port):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    s.settimeout(2)
    try:
        s.connect((address, port))
        return 'open'
    except OSError as e:
        return e.__class__.__name__ if not e.errno else {111: 'refused', 113: 'prohibited', 101: 'unreachable', 110: 'silent'}.get(e.errno, str(e.errno))
for i in range(1, len(sys.argv), 2):
    print(attempt(sys.argv[i], int(sys.argv[i + 1])))
"""


def attempts(net, *where, expected):
    args = [str(x) for pair in where for x in pair]
    got = run(["python3", "-c", TRY] + args, net=net).ok().out.split()
    check(got == expected, "%s: %s gave %s, not %s", net, where, got, expected)


@case
def allow_and_deny_decide_by_the_first_rule_that_fits():
    with Server(echo) as local, Server(echo, OUTER) as outer:
        there, here = (OUTER, outer.port), ("10.0.2.2", local.port)
        attempts(None, there, here, expected=["open", "open"])
        attempts("deny=198.51.100.0/24", there, here, expected=["prohibited", "open"])
        attempts("deny=*:%d" % outer.port, there, (FAR, 1), expected=["prohibited", "refused"])
        attempts("allow=%s:%d" % there, there, here, (FAR, 1), expected=["open", "prohibited", "prohibited"])
        attempts("allow=%s,deny=198.51.100.0/24" % OUTER, there, (netns.ROUTER, 1), here, expected=["open", "prohibited", "open"])
        attempts("deny=10.0.2.2", here, there, expected=["prohibited", "open"])
    with Server(echo, "::1") as six:        # the gateway's names are one destination
        attempts("deny=10.0.2.2:%d" % six.port, ("fec0::2", six.port), expected=["13"])       # EACCES: Linux is more exact by IPv6
        attempts("deny=[fec0::2]:%d" % (six.port + 1), ("fec0::2", six.port), expected=["open"])
        attempts("allow=10.0.2.2", ("fec0::2", six.port), ("2001:db8:2::1", 1), expected=["open", "13"])
    r = run("ping -c 1 -W 2 %s; ping -c 1 -W 2 10.0.2.2" % FAR, net="deny=203.0.113.0/24")
    check("Packet filtered" in r.out or "prohibited" in r.out.lower(), "ping of a forbidden host: %s", r.out)
    r.ok()


@case
def without_host_loopback_the_host_is_out_of_reach():
    with Server(echo) as local, Server(echo, "0.0.0.0") as everywhere:
        attempts("host-loopback=off", ("10.0.2.2", local.port), ("10.0.2.2", everywhere.port), (OUTER, everywhere.port), (FAR, 1),
                 ("127.0.0.2", local.port), expected=["refused", "refused", "prohibited", "refused", "refused"])
        attempts("host-loopback=on", ("10.0.2.2", local.port), (OUTER, everywhere.port), expected=["open", "open"])


@case
def what_leaves_has_the_address_and_interface_asked_for():
    sh("ip addr add 198.51.100.77/24 dev up0; ip link add dead0 type veth peer name dead1; ip link set dead0 up")
    try:
        p = netns.world.far.start(["socat", "TCP-LISTEN:7000,reuseaddr,fork", "SYSTEM:echo $SOCAT_PEERADDR"], 7000)
        u = netns.world.far.start(["python3", "-c", "import socket\ns = socket.socket(2, 2)\ns.bind(('', 7001))\nwhile True:\n"
                                   " a = s.recvfrom(9)[1]\n s.sendto((a[0] + '\\n').encode(), a)"], 7001, udp=True)
        try:
            ask = "socat -T 4 -t 4 - TCP:%s:7000 </dev/null; echo x | socat -T 1.5 -t 1.5 - UDP:%s:7001" % (FAR, FAR)
            got = run(ask).ok().out.split()
            check(got == [OUTER, OUTER], "without the option: %s", got)
            got = run(ask, net="outbound-addr=198.51.100.77").ok().out.split()
            check(got == 2 * ["198.51.100.77"], "with outbound-addr: %s", got)
            got = run(ask, net="outbound-if=up0").ok().out.split()
            check(got == [OUTER, OUTER], "by its own interface: %s", got)
            with Server(echo) as local:
                attempts("outbound-if=dead0", (FAR, 7000), ("10.0.2.2", local.port), expected=["TimeoutError", "open"])        # nobody is there
                attempts("outbound-addr=198.51.100.77", ("10.0.2.2", local.port), expected=["open"])
        finally:
            p.kill()
            u.kill()
    finally:
        sh("ip addr del 198.51.100.77/24 dev up0; ip link del dead0")
    refused(["--net", "outbound-if=none0", "--", "true"], "outbound-if 'none0': No such device", status=125)
    refused(["--net", "outbound-addr=203.0.113.9", "--", "true"], "outbound-addr '203.0.113.9': Cannot assign requested address", status=125)


# What the guest of restrict=on may see: its own, guestfwd, and that .2 and .3 are there.
SCAN = r"""
import socket, select, time
def scan(address, ports):
    open_, pending = [], {}
    for port in ports:
        s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
        s.setblocking(False)
        try:
            s.connect((address, port))
        except BlockingIOError:
            pass
        except OSError:
            s.close()
            continue
        pending[s] = port
        if len(pending) > 200:
            open_ += reap(pending)
    return open_ + reap(pending)
def reap(pending):
    found, until = [], time.time() + 0.3
    while pending and time.time() < until:
        for s in select.select([], list(pending), [], 0.05)[1]:
            if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(pending[s])
            del pending[s]
    for s in list(pending):
        del pending[s]
    return found
def udp(address, port, data):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.3)
    try:
        s.sendto(data, (address, port))
        return s.recv(1000)
    except OSError:
        return None
"""


@case
def a_restricted_guest_finds_everything_closed_but_what_was_given_to_it():
    seen = []
    with Server(echo) as local, Server(echo, OUTER) as outer, UdpServer(lambda d, a: seen.append(a) or b"leak", OUTER) as leak:
        code = SCAN + """
print(scan('10.0.2.2', range(1, 1025)) + scan('10.0.2.2', [%d]), scan('10.0.2.3', range(1, 1025)), scan('10.0.2.100', range(1, 200)),
      scan('%s', [%d, 22, 80]), scan('%s', [22, 80]), udp('%s', %d, b'x'), udp('10.0.2.3', 53, b'\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\1a\\0\\0\\1\\0\\1'),
      udp('10.0.2.2', %d, b'x'))
""" % (local.port, OUTER, outer.port, FAR, OUTER, leak.port, leak.port)
        r = netns.python(code, net="restrict=on,guestfwd=tcp:10.0.2.100:80-cmd:cat", timeout=60).ok()
        check(r.out.strip() == "[] [] [80] [] [] None None None", "open: %s", r.out)
        check(not seen and not local.clients and not outer.clients, "something got out: %s %s %s", seen, local.clients, outer.clients)
    r = run("ping -c 1 -W 2 10.0.2.2 >/dev/null && ping -c 1 -W 2 10.0.2.3 >/dev/null && ! ping -c 1 -W 1 %s >/dev/null" % FAR, net="restrict=on")
    r.ok()


@case
def a_restricted_guest_has_dhcp_and_tftp_and_nmap_finds_nothing():
    need("busybox", "tftp", "nmap")
    with temporary() as d, Server(echo, port=7777):
        want = make(d + "/f", 3000)
        with Guest("restrict=on,tftp=" + d, configure=False) as g:
            g.run("ip link set tap0 up; busybox udhcpc -i tap0 -n -q -f -t 3 -T 1 -s /bin/true").ok()
            g.run("ip addr add 10.0.2.15/24 dev tap0; ip route add default via 10.0.2.2").ok()
            os.mkdir(d + "/got")
            os.chmod(d + "/got", 0o777)
            g.run("cd %s/got && tftp -m binary 10.0.2.2 -c get f" % d).ok()
            check(sha(d + "/got/f") == want, "what TFTP brought is not the same")
            r = g.run("nmap -n -Pn -sS -F --max-retries 1 --host-timeout 10 10.0.2.2 10.0.2.3 %s; nmap -n -Pn -sS -p 7777 10.0.2.2 %s" % (FAR, OUTER),
                      timeout=60).ok()
            check("open" not in r.out and r.out.count("Nmap scan report") == 5, "%s", r.out)


@case
def a_restricted_guest_answers_who_came_to_it():
    s = netns.listener()
    port = s.getsockname()[1]
    s.close()
    with Guest("restrict=on,hostfwd=tcp:127.0.0.1:%d-:7000" % port) as g:
        p = g.start(["socat", "TCP-LISTEN:7000,fork", "EXEC:cat"])
        for _ in range(50):
            if ":7000" in g.run("ss -tln").out:
                break
            time.sleep(0.05)
        with socket.create_connection(("127.0.0.1", port), 5) as c:
            c.settimeout(5)
            c.sendall(b"hello")
            check(c.recv(100) == b"hello", "no echo")
        p.kill()


@case
def a_stopped_program_goes_on_with_its_connections():
    need("socat")
    with Server(echo) as local, Guest() as g:
        code = """
import socket, sys
s = socket.create_connection(('10.0.2.2', %d), 5)
s.settimeout(30)
for line in sys.stdin:
    s.sendall(line.encode())
    got = b''
    while len(got) < len(line):
        got += s.recv(100)
    print(got.decode().strip(), flush=True)
""" % local.port
        p = subprocess.Popen(g.inside(["python3", "-u", "-c", code]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n, pause in (("one", 0), ("two", 4), ("three", 0)):
            if pause:
                os.kill(g.process.pid, signal.SIGSTOP)
            p.stdin.write(n.encode() + b"\n")
            p.stdin.flush()
            if pause:
                time.sleep(pause)
                os.kill(g.process.pid, signal.SIGCONT)
            got = p.stdout.readline().decode().strip()
            check(got == n, "%r instead of %r", got, n)
        p.stdin.close()
        check(p.wait(5) == 0, "the client failed")


@case
def limits_make_the_idlest_go_and_the_next_one_served():
    with Server(echo) as local:
        code = """
import socket
all = []
for i in range(100):
    s = socket.create_connection(('10.0.2.2', %d), 5)
    s.settimeout(5)
    s.sendall(b'x')
    all.append(s)
    assert s.recv(1) == b'x'
try:
    all[0].sendall(b'x')
    first = all[0].recv(1)
except ConnectionResetError:
    first = 'reset'
all[99].sendall(b'y')
print(first, all[99].recv(1))
""" % local.port
        r = netns.python(code, net="max-flows=16").ok()
        check(r.out.strip() == "reset b'y'", "%s", r.out)


@case
def every_option_is_in_the_documents():
    out = subprocess.run([netns.PROGRAM, "--net", "help"], capture_output=True, timeout=10).stdout.decode()
    names = [line.split("=")[0] for line in out.splitlines()]
    check(len(names) > 30, "--net help lists %s", names)
    for document in ("NETWORK.md", "tenbox.1"):
        with open(os.path.join(netns.TOP, "docs", document)) as f:
            text = f.read().replace("\\", "")
        missing = [n for n in names if not re.search(r"(?<![-a-z])%s(?![-a-z])" % n, text)]
        check(not missing, "%s does not say what these are: %s", document, missing)
        if document == "NETWORK.md":
            missing = [n for n in names if not re.search(r"[`,]%s=[^ `|]" % n, text)]
            check(not missing, "%s has no example of %s", document, missing)


@case
def bad_values_are_named():
    for option, reason in (("mtu=1", "'mtu' expects a number from 576 to 65520, not '1'"), ("deny=x", "'deny' does not accept 'x': the address is none"),
                           ("allow=1.2.3.4:0", "PORTS is"), ("outbound-addr=x", "expects an address, not 'x'"), ("max-flows=x", "expects a number"),
                           ("host-loopback=maybe", "'host-loopback' expects 'on' or 'off', not 'maybe'"), ("frob=1", "Invalid parameter 'frob'"),
                           ("domainname=", "cannot be empty"), ("tftp=/nonexistent", "No such file"), ("dnssearch=a..b", "is not a domain name")):
        refused(["--net", option, "--", "true"], reason, status=125)
