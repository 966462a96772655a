# SPDX-License-Identifier: MIT
"""UDP, ICMP and traceroute with ping, traceroute, iperf3, ntpd, and sockets."""
import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time

import netns
from netns import FAR, OUTER, ROUTER, Guest, UdpServer, case, check, expect, need, python, run, temporary


@case
def ping_works_to_all_near_and_far():
    with Guest() as g:
        for host in ("10.0.2.2", "10.0.2.3", OUTER, ROUTER, FAR):
            expect("3 received", g.run("ping -c 3 -i 0.05 -w 5 " + host).ok().out)


@case
def pings_of_all_sizes_keep_their_bytes():
    with Guest() as g:
        for size in (0, 56, 1472, 1473, 8000, 65000):
            for host in ("10.0.2.2", FAR):
                r = g.run("ping -c 2 -i 0.05 -w 5 -s %d -p a5c3 %s" % (size, host)).ok()
                check("wrong data" not in r.out and "2 received" in r.out, "%d bytes to %s: %s", size, host, r.out)


@case
def a_thousand_fast_pings_keep_id_and_order():
    with Guest() as g:
        procs = [g.start("ping -q -i 0.002 -c 500 -W 2 " + host) for host in (FAR, FAR, "10.0.2.2")]
        for p in procs:
            out = p.communicate(timeout=20)[0].decode()
            expect("500 received|49[5-9] received", out)
            check("duplicates" not in out, "%s", out)


@case
def two_guests_ping_with_one_identifier():
    """Both on one cable, with the same identifier and sequence numbers; each gets its own bytes back."""
    out = python("""
w = Wire(); sides = [Hand(w, '203.0.113.1', 0, src='10.0.2.%d' % n) for n in (77, 78)]
for s in sides: s.announce()
for i in range(5):
    for s in sides: w.send(ip4(s.src, s.dst, 1, icmp(8, 0, 0x12340000 | i, s.src.encode() * 3)))
right = wrong = 0
for ip, body in w.ip(1, 2):
    if body[0] != 0 or body[4:6] != b'\\x12\\x34': continue
    if body[8:] == socket.inet_ntoa(ip[16:20]).encode() * 3: right += 1
    else: wrong += 1
    if right + wrong == 10: break
print(right, wrong)
""").ok().out
    check(out.split() == ["10", "0"], "right and wrong answers: %s", out)


@case
def forbidden_ping_sockets_are_said_once():
    command = ["unshare", "-n", "sh", "-c", "ip link set lo up; ip link add d0 type veth peer name d1; ip addr add 192.0.2.1/24 dev d0; "
               "ip link set d0 up; ip link set d1 up; exec \"$@\"", "sh"]      # a new namespace allows nobody
    r = run("ping -c 3 -i 0.2 -W 1 192.0.2.9; ping -c 1 -W 1 10.0.2.2", prefix=command)
    check(r.status == 0, "the gateway does not answer: %s", r.out)
    check(r.err.count("ping_group_range") == 1, "what is said: %s", r.err)


@case
def traceroute_sees_every_hop():
    need("traceroute")
    with Guest() as g:
        for kind in ("-U", "-I", "-T -p 9"):
            r = g.run("traceroute %s -n -q 1 -w 2 -m 6 %s" % (kind, FAR)).ok()
            hops = re.findall(r"^ *\d+ +(\S+)", r.out, re.M)[0:]
            hops = [h for h in hops if h != "to"]
            check(hops[-3:] == ["10.0.2.2", ROUTER, FAR], "%s: %s", kind, r.out)


@case
def udp_errors_come_back_as_what_they_are():
    out = python("""
import errno
for host, port in (('10.0.2.2', 9), ('203.0.113.1', 9), ('203.0.113.66', 9), ('203.0.113.67', 9)):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.6); s.connect((host, port))
    s.setsockopt(0, 11, 1)                              # IP_RECVERR: host unreachable is not told without
    for _ in range(5):                                  # the router does not answer each
        try: s.send(b'x'); s.recv(10); print(host, 'answer')
        except OSError as e: print(host, errno.errorcode.get(e.errno, 'silence'))
""").ok().out
    for line in ("10.0.2.2 ECONNREFUSED", "203.0.113.1 ECONNREFUSED", "203.0.113.66 EHOSTUNREACH", "203.0.113.67 E"):
        check(line in out, "no '%s' in %s", line, out)


@case
def mtr_sees_every_hop():
    need("mtr")
    with Guest() as g:
        for kind in ("", "--udp", "--tcp -P 9"):
            r = g.run("mtr -n -r -c 3 -i 0.2 -G 1 %s --json %s" % (kind, FAR)).ok()
            hops = [(h["host"], h["Loss%"]) for h in json.loads(r.out)["report"]["hubs"]]
            check([h for h, _ in hops] == ["10.0.2.2", ROUTER, FAR] and not any(lost for _, lost in hops), "%s: %s", kind, hops)


@case
def icmp_errors_quote_the_guests_packet_and_name_the_offender():
    out = python("""
w = Wire()
p = ip4('10.0.2.15', '203.0.113.1', 17, udp('10.0.2.15', '203.0.113.1', 4444, 9, b'payload'), ident=0x1234)
w.send(p)
for ip, body in w.ip(1, 2):
    q = body[8:]
    print(socket.inet_ntoa(ip[12:16]), body[0], body[1], socket.inet_ntoa(q[12:16]), socket.inet_ntoa(q[16:20]), struct.unpack('>HH', q[20:24]), q[28:35])
    break
w.send(ip4('10.0.2.15', '203.0.113.1', 17, udp('10.0.2.15', '203.0.113.1', 4444, 9, b'x'), ttl=2))
for ip, body in w.ip(1, 2): print(socket.inet_ntoa(ip[12:16]), body[0], body[1]); break
""").ok().out
    expect(r"203\.0\.113\.1 3 3 10\.0\.2\.15 203\.0\.113\.1 \(4444, 9\) b'payload'", out)
    expect(r"^198\.51\.100\.1 11 0$", out)


@case
def a_smaller_mtu_on_the_way_is_told():
    netns.world.router.run("ip link set far0 mtu 1400")
    try:
        out = python("""
import errno
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(0, 10, 2); s.connect(('203.0.113.1', 9))        # IP_PMTUDISC_DO
for i in range(5):
    try: s.send(b'x' * 1450)
    except OSError as e: print(errno.errorcode[e.errno], s.getsockopt(0, 14)); break
    time.sleep(0.2)
""").ok().out
        expect("EMSGSIZE 1400", out)
        with UdpServer(lambda d, a: d, address=OUTER) as server:
            check(server.port, "no port")
    finally:
        netns.world.router.run("ip link set far0 mtu 1500; ip route flush cache")


@case
def datagrams_of_all_sizes_go_and_come():
    with UdpServer(lambda d, a: d) as server, Guest() as g:
        out = g.python("""
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect(('10.0.2.2', %d))
for n in (0, 1, 1471, 1472, 1473, 3000, 8000, 40000, 65507):
    d = bytes(i * 7 & 255 for i in range(n)); s.send(d); print(n, s.recv(65536) == d)
""" % server.port).ok().out
    check(out.count("True") == 9, "%s", out)


@case
def iperf3_udp_at_all_sizes():
    need("iperf3")
    with Guest() as g:
        for options in ("-l 1400", "-l 8000", "-l 64000", "-l 1400 -R", "-l 8000 -R", "-l 64000 -R"):
            end = g.iperf3("-u -b 50M -t 1 " + options)["sum"]
            check(end["packets"] > 50 and end["lost_percent"] < 60, "%s: %s", options, {k: end[k] for k in ("packets", "lost_percent")})


@case
def quic_carries_files_both_families():
    """ngtcp2's client and server: HTTP/3 with path MTU discovery."""
    need("gtlsclient", "gtlsserver", "openssl")
    with temporary() as d, Guest() as g:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", d + "/key",
                        "-out", d + "/cert", "-days", "2", "-subj", "/CN=quic.test"], check=True, capture_output=True, timeout=10)
        data = random.Random(29).randbytes(5000000)
        os.mkdir(d + "/docs")
        with open(d + "/docs/big", "wb") as f:
            f.write(data)
        for address, host in (("127.0.0.1", "10.0.2.2"), ("::1", "fec0::2")):
            server = subprocess.Popen([shutil.which("gtlsserver"), "-q", "-d", d + "/docs", address, "4433", d + "/key", d + "/cert"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            netns.wait_listening(4433, udp=True)
            try:
                g.run(["gtlsclient", "-q", "--download=" + d, "--exit-on-all-streams-close", host, "4433", "https://quic.test/big"]).ok()
            finally:
                server.kill()
                server.wait()
            with open(d + "/big", "rb") as f:
                check(f.read() == data, "%s: what QUIC brought is not the same", host)
            os.remove(d + "/big")


@case
def the_mapping_does_not_depend_on_the_far_end():
    seen = []

    def note(d, a):
        seen.append(a)
        return repr(a).encode()
    with UdpServer(note) as a, UdpServer(note) as b, UdpServer(note, address=OUTER) as c:
        out = python("""
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
for host, port in (('10.0.2.2', %d), ('10.0.2.2', %d), ('%s', %d)):
    s.sendto(b'who am I', (host, port)); d, f = s.recvfrom(100); print(f == (host, port))
""" % (a.port, b.port, OUTER, c.port)).ok().out
    check(out.split() == ["True"] * 3, "%s", out)
    check(len({port for _, port in seen}) == 1, "the ports that the host saw: %s", seen)


@case
def anyone_may_answer_and_is_named():
    """As RFC 4787's endpoint-independent filtering: a third party that learns the port gets through."""
    with UdpServer(lambda d, a: d) as first:
        third = netns.listener("127.0.0.1", 0, socket.SOCK_DGRAM)

        def handler(d, a):
            third.sendto(b"from the third", a)
            return b"from the second"
        with UdpServer(handler) as second:
            out = python("""
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b'x', ('10.0.2.2', %d)); s.recvfrom(100)
s.sendto(b'x', ('10.0.2.2', %d))
print(sorted(s.recvfrom(100) for _ in range(2)))
""" % (first.port, second.port)).ok().out
        where = third.getsockname()[1]
        third.close()
    check(out.strip() == repr(sorted([(b"from the second", ("10.0.2.2", second.port)), (b"from the third", ("10.0.2.2", where))])), "%s", out)


@case
def many_ports_reach_the_cap_and_the_last_ones_work():
    with UdpServer(lambda d, a: d) as server, Guest("max-udp=200") as g:
        before = g.descriptors()
        out = g.python("""
last = []
for i in range(2000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.bind(('', 20000 + i)); s.sendto(b'x', ('10.0.2.2', %d))
    last.append(s)
    if len(last) > 50: last.pop(0).close()
    if i %% 50 == 49: time.sleep(0.005)
ok = 0
for s in last[-20:]:
    s.sendto(b'y', ('10.0.2.2', %d)); d = s.recv(10)
    while d == b'x': d = s.recv(10)
    ok += d == b'y'
print(ok)
""" % (server.port, server.port)).ok().out
        check(out.strip() == "20", "%s of 20", out)
        check(g.descriptors() <= before + 210, "%d descriptors became %d", before, g.descriptors())


@case
def broadcasts_and_multicasts_do_not_leave():
    heard = []

    def listen(s):
        s.settimeout(2)
        try:
            while True:
                heard.append(s.recvfrom(100))
        except OSError:
            pass
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    s.bind(("up0", 0))
    t = threading.Thread(target=listen, args=(s,))
    t.start()
    python("""
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(0, socket.IP_MULTICAST_TTL, 8)
for a in ('255.255.255.255', '10.0.2.255', '224.0.0.251', '239.255.255.250', '10.0.2.77'):
    try: s.sendto(b'MARK', (a, 5353))
    except OSError: pass
time.sleep(0.3)
""").ok()
    t.join()
    s.close()
    check(not any(b"MARK" in d for d, _ in heard), "%s", heard)


@case
def ntpd_sets_no_clock_but_gets_its_answer():
    need("busybox")
    if "ntpd" not in subprocess.run(["busybox", "--list"], capture_output=True).stdout.decode().split():
        raise netns.Skipped("this busybox has no ntpd")
    asked = []

    def ntp(d, a):
        asked.append(len(d))
        now = int((time.time() + 2208988800) * 65536) << 16
        return bytes((0x24, 2, 4, 0xec)) + b"\0" * 8 + b"LOCL" + now.to_bytes(8, "big") + d[40:48] + now.to_bytes(8, "big") * 2
    with UdpServer(ntp, port=123):
        run("busybox ntpd -n -w -p 10.0.2.2 & p=$!; sleep 1; kill $p", timeout=10)
    check(asked and asked[0] == 48, "no request came: %s", asked)


@case
def a_socket_that_listens_twice_gets_answers_from_the_address_it_asked():
    """Two destinations in turn, both on the host's loopback: 10.0.2.2 and 10.0.2.3."""
    need("dig")
    with UdpServer(lambda d, a: d) as server, UdpServer(lambda d, a: d[:2] + b"\x81\x83" + d[4:]) as resolver:
        out = python("""
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
q = b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\1a\\0\\0\\1\\0\\1'
for i in range(3):
    for to in (('10.0.2.2', %d), ('10.0.2.3', 53)): s.sendto(q, to)
    print(sorted(s.recvfrom(100)[1][0] for _ in range(2)))
""" % server.port, net="dns-host=127.0.0.1:%d" % resolver.port).ok().out
    check(out.count("['10.0.2.2', '10.0.2.3']") == 3, "%s", out)
