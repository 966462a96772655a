# SPDX-License-Identifier: MIT
"""IPv6 with a Linux kernel as guest: rdisc6, dhclient, dhcpcd, ping, traceroute, curl, dig, and sockets."""
import hashlib
import os
import re
import shutil
import socket
import time

import netns
from netns import Guest, Server, UdpServer, case, check, echo, expect, need, python, run, temporary

ROUTER6, FAR6, OUTER6, UNREACHABLE6 = "2001:db8:1::1", "2001:db8:2::1", "2001:db8:1::2", "2001:db8:2::66"
# A host that has nothing but loopback, with or without IPv6 there.
LONELY = ["unshare", "-n", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh"]
SIXLESS = ["unshare", "-n", "sh", "-c", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link set lo up; exec \"$@\"", "sh"]


def slaac(g):
    """The address that the kernel made of the advertised prefix, when it may be used."""
    deadline = time.time() + 5
    while time.time() < deadline:
        m = re.search(r"inet6 (fec0::\S+:\S+)/64 scope site dynamic(?! tentative)", g.run("ip -6 addr show dev tap0").out)
        if m:
            return m.group(1)
        time.sleep(0.05)
    raise netns.Failed("no address:\n" + g.run("ip -6 addr").out)


# --- addresses ----------------------------------------------------------------------------------------------------------

@case
def a_kernel_gets_address_route_and_resolver_by_itself():
    need("rdisc6")
    with Guest("dnssearch=a.test,dnssearch=b.test,mtu=1400", configure=False) as g:
        start = time.time()
        g.run("ip link set tap0 up").ok()
        address = slaac(g)
        check(time.time() - start < 4, "%.1f s for an address", time.time() - start)        # two tests for doubles, of a second each
        expect(r"default via fe80::2 dev tap0 proto ra", g.run("ip -6 route").out)
        check(g.run("cat /proc/sys/net/ipv6/conf/tap0/mtu").out == "1400\n", "the MTU is not told")
        g.run("ping -c 3 -i 0.2 -W 2 -I %s %s" % (address, FAR6)).ok()
        out = g.run("rdisc6 -1 tap0").ok().out
        for line in ("Stateful address conf. *: *No", "Stateful other conf. *: *Yes", "Router lifetime *: *1800", "MTU *: *1400",
                     "Prefix *: fec0::/64", "Recursive DNS server *: fec0::3", "DNS search list *: a.test b.test", "from fe80::2"):
            expect(line, out)


@case
def an_address_that_is_the_gateways_is_found_to_be_taken():
    with Guest() as g:
        for address in ("fec0::2", "fec0::3", "fe80::2"):
            g.run("ip -6 addr add %s/64 dev tap0" % address)
            for _ in range(30):
                if "dadfailed" in g.run("ip -6 addr show dev tap0 to " + address).out:
                    break
                time.sleep(0.1)
            expect("inet6 %s/64 .*dadfailed" % address, g.run("ip -6 addr show dev tap0").out)
        g.run("ip -6 addr add fec0::77/64 dev tap0").ok()
        time.sleep(2)
        check("dadfailed" not in g.run("ip -6 addr show dev tap0 to fec0::77").out, "a free address is not")


@case
def the_gateway_is_still_there_when_asked_again():
    with Guest() as g:
        slaac(g)                        # the kernel probes with its link-local address, which is there by then
        g.run("ping -c 3 -i 0.2 -W 2 fec0::2").ok()
        expect(r"fec0::2 dev tap0 lladdr 52:56:00:00:00:02 router", g.run("ip -6 neigh").out)
        g.run("echo 1 >/proc/sys/net/ipv6/neigh/tap0/delay_first_probe_time; ip -6 neigh change fec0::2 dev tap0 nud stale; "
              "ping -c 3 -i 0.2 -W 2 fec0::2; sleep 2").ok()
        expect(r"fec0::2 dev tap0 lladdr 52:56:00:00:00:02 .*REACHABLE", g.run("ip -6 neigh").out)
        g.run("ip -6 neigh flush dev tap0; ping -c 3 -i 0.2 -W 2 fec0::2").ok()


def dhclient(g, directory, *words):
    with open(os.path.join(directory, "script"), "w") as f:
        f.write("#!/bin/sh\nenv | grep -E '^(new_|reason)' >>%s/result\nexit 0\n" % directory)
    with open(os.path.join(directory, "conf"), "w") as f:
        f.write("also request dhcp6.bootfile-url;\n")
    os.chmod(os.path.join(directory, "script"), 0o755)
    open(os.path.join(directory, "leases"), "a").close()
    r = g.run(["dhclient", "-6", "-1", "-v", "-cf", directory + "/conf", "-lf", directory + "/leases", "-pf", directory + "/pid",
               "-sf", directory + "/script", *words, "tap0"])
    try:
        with open(os.path.join(directory, "result")) as f:
            return r, f.read()
    except FileNotFoundError:
        return r, ""


@case
def dhclient_is_told_what_there_is_and_gets_an_address():
    need("dhclient")
    with temporary() as directory, Guest("dnssearch=a.test,bootfile=boot.efi", configure=False) as g:
        os.chmod(directory, 0o777)
        g.run("ip link set lo up; ip link set tap0 up").ok()
        slaac(g)
        r, result = dhclient(g, directory, "-S")
        check(r.status == 0, "%s", r.err)
        expect("new_dhcp6_name_servers=fec0::3", result)
        expect("new_dhcp6_domain_search=a.test.", result)
        g.run("pkill -F %s/pid" % directory)
        r, result = dhclient(g, directory)
        check(r.status == 0, "%s", r.err)
        expect("new_ip6_address=fec0::15", result)
        r, result = dhclient(g, directory, "-r")
        expect("RELEASE6", result)
        expect(r"XMT: Release on tap0", r.err)


@case
def dhcpcd_configures_both_families():
    need("dhcpcd")
    with temporary() as directory, Guest("dnssearch=a.test", configure=False) as g:
        conf = os.path.join(directory, "conf")
        with open(conf, "w") as f:
            f.write("duid ll\nnohook resolv.conf,hostname,ntp,timesyncd,lookup-hostname\nipv6rs\nia_na 1\noption domain_name_servers\n")
        r = g.run(["unshare", "-m", "sh", "-c", "mount -t tmpfs none /var/lib/dhcpcd; mount -t tmpfs none /run; ip link set tap0 up; "
                   "timeout 15 dhcpcd -1 -f %s --waitip=46 tap0" % conf])
        out = g.run("ip addr show dev tap0").out
        check("inet 10.0.2.15/24" in out and "inet6 fec0::15/128" in out, "%s\n%s\n%s", r.out, r.err, out)


# --- ping, traceroute, errors -------------------------------------------------------------------------------------------

@case
def ping6_works_near_and_far_in_all_sizes():
    with Guest() as g:
        for host in ("fec0::2", "fec0::3", "fe80::2%tap0", OUTER6, ROUTER6, FAR6):
            expect("3 received", g.run("ping -6 -c 3 -i 0.05 -w 5 " + host).ok().out)
        for size in (0, 56, 1452, 1453, 8000, 65000):
            for host in ("fec0::2", FAR6):
                r = g.run("ping -6 -c 2 -i 0.05 -w 5 -s %d -p a5c3 %s" % (size, host)).ok()
                check("wrong data" not in r.out and "2 received" in r.out, "%d bytes to %s: %s", size, host, r.out)


@case
def traceroute6_sees_every_hop():
    need("traceroute")
    with Guest() as g:
        for kind in ("-U", "-I"):
            r = g.run("traceroute -6 %s -n -q 1 -w 2 -m 6 %s" % (kind, FAR6)).ok()
            hops = [h for h in re.findall(r"^ *\d+ +(\S+)", r.out, re.M) if h != "to"]
            check(hops[-3:] == ["fec0::2", ROUTER6, FAR6], "%s: %s", kind, r.out)


REFUSALS = """
import errno
for host, port in %r:
    start = time.time()
    s = socket.socket(socket.AF_INET6); s.settimeout(5)
    try: s.connect((host, port)); print(host, port, 'open')
    except OSError as e: print(host, port, errno.errorcode.get(e.errno, 'silence'), 'late' if time.time() - start > 0.1 else 'at once')
    u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.settimeout(2); u.setsockopt(41, 25, 1); u.connect((host, port))
    try: u.send(b'x'); u.recv(10); print(host, 'answer')
    except OSError as e: print('udp', host, port, errno.errorcode.get(e.errno, 'silence'))
"""


@case
def refusals_arrive_as_what_they_are():
    out = python(REFUSALS % [("fec0::2", 9), ("fec0::3", 54), (FAR6, 9)]).ok().out
    for line in ("fec0::2 9 ECONNREFUSED at once", "fec0::3 54 ECONNREFUSED at once", FAR6 + " 9 ECONNREFUSED at once",
                 "udp fec0::2 9 ECONNREFUSED", "udp fec0::3 54 ECONNREFUSED", "udp %s 9 ECONNREFUSED" % FAR6):
        check(line in out, "no '%s' in %s", line, out)
    out = python(REFUSALS % [(UNREACHABLE6, 80)]).ok().out
    expect(r"^%s 80 E(HOST|NET)UNREACH" % UNREACHABLE6, out)
    expect(r"udp %s 80 E(HOST|NET)UNREACH" % UNREACHABLE6, out)


@case
def a_host_without_ipv6_says_so_at_once():
    for host in (LONELY, SIXLESS):
        out = python(REFUSALS % [(FAR6, 443)], prefix=host).ok().out
        expect(r"^%s 443 ENETUNREACH at once" % FAR6, out)
        expect(r"udp %s 443 ENETUNREACH" % FAR6, out)


@case
def a_client_of_both_families_falls_back_without_a_pause():
    need("curl")
    script = "exec 3<>/dev/null; python3 -m http.server -b 127.0.0.1 8123 >/dev/null 2>&1 & p=$!; sleep 1; \"$@\"; r=$?; kill $p; exit $r"
    prefix = LONELY[:-2] + [LONELY[-2].replace("exec \"$@\"", script), "sh"]
    r = run("curl -s -o /dev/null -w '%%{http_code} %%{time_total} %%{remote_ip}' --resolve both.test:8123:[%s],10.0.2.2 http://both.test:8123/" %
            FAR6, prefix=prefix)
    code, seconds, address = r.ok().out.split()
    check(code == "200" and address == "10.0.2.2" and float(seconds) < 0.15, "%s", r.out)


@case
def a_smaller_mtu_on_the_ipv6_way_is_told():
    netns.world.router.run("ip link set far0 mtu 1400")
    try:
        out = python("""
import errno
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.setsockopt(41, 23, 2); s.connect((%r, 9))      # IPV6_PMTUDISC_DO
for i in range(5):
    try: s.send(b'x' * 1440)
    except OSError as e: print(errno.errorcode[e.errno], s.getsockopt(41, 24)); break
    time.sleep(0.2)
""" % FAR6).ok().out
        expect("EMSGSIZE 1400", out)
    finally:
        netns.world.router.run("ip link set far0 mtu 1500; ip -6 route flush cache")


# --- TCP, UDP, services -------------------------------------------------------------------------------------------------

@case
def bytes_go_both_ways_by_tcp():
    size = 32 << 20
    data = hashlib.shake_256(b"six").digest(1 << 20) * (size >> 20)
    got = {}

    def serve(c):
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
        h = hashlib.sha256()
        while part := c.recv(1 << 20):
            h.update(part)
        got["up"] = h.hexdigest()

    with Server(serve, "::1") as local, Server(serve, OUTER6) as outer:
        for host, port in (("fec0::2", local.port), (OUTER6, outer.port)):
            got.clear()
            r = python("""
import hashlib
s = socket.create_connection((%r, %d), 10); h = hashlib.sha256(); all = b''
while True:
    part = s.recv(1 << 20)
    if not part: break
    h.update(part)
    all += part
print(h.hexdigest()); s.sendall(all); s.close()
""" % (host, port), timeout=40).ok()
            want = hashlib.sha256(data).hexdigest()
            deadline = time.time() + 5
            while "up" not in got and time.time() < deadline:
                time.sleep(0.01)
            check(r.out.strip() == want and got.get("up") == want, "%s: %s %s, not %s", host, r.out, got, want)


@case
def datagrams_of_all_sizes_go_both_ways():
    with UdpServer(lambda d, a: d[::-1], "::1") as local, UdpServer(lambda d, a: d[::-1], OUTER6) as outer:
        out = python("""
for host, port in %r:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(3)
    for n in (0, 1, 1452, 1453, 3000, 20000, 65000):
        d = bytes(i * 7 & 255 for i in range(n)); s.sendto(d, (host, port))
        back, who = s.recvfrom(70000)
        if back != d[::-1] or who[:2] != (host, port): print('wrong', host, n, len(back), who)
print('done')
""" % [("fec0::2", local.port), (OUTER6, outer.port)]).ok().out
        check(out == "done\n", "%s", out)


@case
def names_are_resolved_by_ipv6():
    need("dig")

    def answer(query):
        end = query.index(b"\0", 12) + 5
        return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end] + b"\xc0\x0c\0\x1c\0\1\0\0\0\x3c\0\x10" + \
            socket.inet_pton(socket.AF_INET6, "2001:db8::42")

    def tcp(c):
        n = int.from_bytes(c.recv(2), "big")
        reply = answer(c.recv(n))
        c.sendall(len(reply).to_bytes(2, "big") + reply)

    with UdpServer(lambda d, a: answer(d), "::1") as udp, Server(tcp, "::1", udp.port):
        with Guest("dns-host=[::1]:%d" % udp.port) as g:
            for more in ("", "+tcp"):
                expect("^2001:db8::42$", g.run("dig +short +tries=1 +time=2 %s @fec0::3 AAAA six.test" % more).ok().out)
            expect("^2001:db8::42$", g.run("dig +short +tries=1 +time=2 @fe80::3%tap0 AAAA six.test").ok().out)


@case
def files_are_served_by_tftp_over_ipv6():
    need("curl")
    with temporary() as directory:
        sizes = (0, 511, 512, 513, 1 << 20)
        for n in sizes:
            with open(os.path.join(directory, "f%d" % n), "wb") as f:
                f.write(os.urandom(n))
        with Guest("tftp=" + directory) as g:
            for n in sizes:
                with open(os.path.join(directory, "f%d" % n), "rb") as f:
                    want = hashlib.sha256(f.read()).hexdigest()
                for options in ("", "--tftp-blksize 1428"):
                    r = g.run("curl -s -g %s 'tftp://[fec0::2]/f%d' | sha256sum" % (options, n)).ok()
                    check(r.out.split()[0] == want, "f%d %s: %s", n, options, r.out)
            if shutil.which("atftp"):
                g.run("cd /tmp && atftp -g -r f513 -l /dev/null fec0::2").ok()


@case
def clients_from_afar_keep_their_ipv6_address():
    with Guest("hostfwd=tcp:[::]:7022-[fec0::15]:7000,hostfwd=udp:[::]:7022-[fec0::15]:7000") as g:
        server = g.start(["python3", "-uc", """
import socket
l = socket.create_server(('fec0::15', 7000), family=socket.AF_INET6); u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(('fec0::15', 7000))
print('up')
c, a = l.accept(); c.sendall(a[0].encode()); c.close()
d, a = u.recvfrom(99); u.sendto(a[0].encode(), a)
"""])
        check(server.stdout.readline() == b"up\n", "no server")
        out = netns.world.far.run("python3 -c \"import socket; s = socket.create_connection((\\\"%s\\\", 7022), 5); print(s.recv(99)); "
                                  "u = socket.socket(socket.AF_INET6, 2); u.settimeout(3); u.sendto(b\\\"x\\\", (\\\"%s\\\", 7022)); "
                                  "print(u.recvfrom(99))\"" % (OUTER6, OUTER6))
        server.wait(5)
        check(out.startswith("b'%s'\n(b'%s', ('%s', 7022" % (FAR6, FAR6, OUTER6)), "%s", out)


@case
def a_restricted_guest_finds_every_ipv6_door_closed():
    with Server(echo, "::1") as local, Server(echo, OUTER6) as outer, UdpServer(lambda d, a: d, "::1") as udp:
        out = python("""
import errno
for host in ('fec0::2', 'fec0::3', 'fe80::2%%tap0', %r, %r, '64:ff9b::c633:6402', '2002:c633:6402::1'):
    for port in (22, 53, 80, %d, %d):
        try:
            s = socket.create_connection((host, port), 1); print('open', host, port)
        except OSError: pass
    u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.settimeout(0.3)
    for port in (53, %d):
        try:
            u.sendto(b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\1x\\0\\0\\1\\0\\1', (host.split('%%')[0], port, 0, socket.if_nametoindex('tap0')))
            u.recv(99); print('answer', host, port)
        except OSError: pass
print('done')
""" % (OUTER6, FAR6, local.port, outer.port, udp.port), net="restrict=on", timeout=60).ok().out
        check(out == "done\n", "%s", out)
        check(not local.clients and not outer.clients, "the host saw clients")
        with Guest("restrict=on") as g:
            g.run("ping -c 1 -W 5 fec0::2").ok()
            check(g.run("ping -c 2 -i 0.2 -W 1 %s" % FAR6).status != 0, "ping leaves")
            check("fec0::3" not in g.run("rdisc6 -1 tap0").out, "the relay is announced")


@case
def two_thousand_ipv6_connections_leave_nothing_behind():
    with Server(echo, "::1") as server, Guest() as g:
        before = g.descriptors()
        out = g.python("""
for i in range(2000):
    s = socket.create_connection(('fec0::2', %d), 5); s.sendall(b'x'); s.recv(1); s.close()
print('done')
""" % server.port, timeout=60).ok().out
        check(out == "done\n", "%s", out)
        g.expect_descriptors(before)
