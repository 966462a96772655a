# SPDX-License-Identifier: MIT
"""DHCP and BOOTP with udhcpc, dhclient, dhcpcd, and requests made by hand."""
import os
import time

from netns import Guest, case, check, expect, need, python, run, tcpdump, temporary

UDHCPC = """#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
echo "event=$1"
env | grep -E '^(ip|subnet|mask|broadcast|router|dns|lease|serverid|search|siaddr|boot_file|bootfile|tftp|mtu|hostname|domain|opt53)='
"""


def udhcpc(net=None, more="", timeout=15, pcap=None):
    need("busybox")
    with temporary() as d:
        script = os.path.join(d, "script")
        with open(script, "w") as f:
            f.write(UDHCPC)
        os.chmod(script, 0o755)
        return run("ip link set tap0 up; busybox udhcpc -i tap0 -n -q -f -t 3 -T 1 -s %s -O search -O bootfile -O tftp -O mtu -O staticroutes "
                   "-O broadcast %s" % (script, more), configure=False, net=net, timeout=timeout, options=["--pcap", pcap] if pcap else [])


@case
def udhcpc_gets_the_first_address_at_once():
    start = time.time()
    r = udhcpc().ok()
    check(time.time() - start < 3, "it took %.1f s", time.time() - start)
    for line in ("ip=10.0.2.15", "subnet=255.255.255.0", "mask=24", "router=10.0.2.2", "dns=10.0.2.3", "serverid=10.0.2.2", "lease=86400",
                 "broadcast=10.0.2.255"):
        expect("^%s$" % line.replace(".", r"\."), r.out)
    check("mtu=" not in r.out, "an MTU of 1500 is worth no option: %s", r.out)


@case
def udhcpc_sees_every_option():
    r = udhcpc("mtu=1400,hostname=box,domainname=lan.test,dnssearch=a.example,dnssearch=b.a.example,bootfile=/x.0,tftp-server-name=boot.test").ok()
    for line in ("mtu=1400", "hostname=box", "domain=lan.test", "search=a.example b.a.example", "boot_file=/x.0", "siaddr=10.0.2.2"):
        expect("^%s ?$" % line, r.out)
    expect("^bootfile=/x.0$", r.out)
    expect("^tftp=boot.test$", r.out)


@case
def tcpdump_reads_every_option():
    need("tcpdump")
    with temporary() as d:
        path = os.path.join(d, "pcap")
        udhcpc("mtu=1400,hostname=box,domainname=lan.test,dnssearch=a.example,bootfile=/x.0,tftp-server-name=boot.test", pcap=path).ok()
        out = tcpdump("-vvnr", path, "src host 10.0.2.2")
    ack = out[out.index("DHCP-Message (53), length 1: ACK"):]
    for line in ("Server-IP 10.0.2.2", 'file "/x.0"'):
        expect(line, out)
    for line in (r"Server-ID \(54\), length 4: 10.0.2.2", r"Lease-Time \(51\), length 4: 86400", r"RN \(58\), length 4: 43200", r"RB \(59\), length 4: 75600",
                 r"Subnet-Mask \(1\), length 4: 255.255.255.0", r"BR \(28\), length 4: 10.0.2.255", r"Default-Gateway \(3\), length 4: 10.0.2.2",
                 r"Domain-Name-Server \(6\), length 4: 10.0.2.3", r'Hostname \(12\), length 3: "box"', r'Domain-Name \(15\), length 8: "lan.test"',
                 r"MTU \(26\), length 2: 1400", r'TFTP \(66\), length 9: "boot.test"', r'BF \(67\), length 4: "/x.0"', r"\(119\), length 11"):
        expect(line, ack)
    check("invalid" not in out and "|" not in out, "%s", out)


@case
def udhcpc_gets_the_address_it_asks_for():
    expect("^ip=10.0.2.20$", udhcpc(more="-r 10.0.2.20").ok().out)


@case
def other_networks_have_their_own_plan():
    expect("^ip=192.168.76.9$.*^router=192.168.76.2$|^router=192.168.76.2$.*^ip=192.168.76.9$|ip=192.168.76.9",
           udhcpc("net=192.168.76.0/24,dhcpstart=192.168.76.9").ok().out)
    expect("^ip=172.16.2.15$", udhcpc("net=172.16.0.0").ok().out)
    expect("^mask=12$", udhcpc("net=172.16.0.0").ok().out)
    expect("^ip=192.168.7.15$", udhcpc("net=192.168.7.0/27").ok().out)
    expect("^ip=10.7.7.5$", udhcpc("net=10.7.7.0/28").ok().out)
    for net, mask in (("10.0.0.0", 8), ("172.31.0.0", 12), ("130.1.0.0", 16), ("192.168.0.0", 16), ("198.18.0.0", 15), ("203.0.113.0", 24)):
        expect("^mask=%d$" % mask, udhcpc("net=" + net).ok().out)


@case
def a_network_without_room_is_refused():
    for net, why in (("net=10.0.2.0/30", "DHCP|different"), ("net=10.0.0.0/3", "netmask|range"), ("net=10.0.2.0/24,host=10.0.3.1", "Host"),
                     ("net=10.0.2.0/24,dns=10.0.2.2", "DNS")):
        r = run("true", net=net)
        check(r.status == 125, "%s: status %s", net, r.status)
        expect(why, r.err)


@case
def restricted_guests_learn_no_router_and_no_resolver():
    r = udhcpc("restrict=on").ok()
    expect("^ip=10.0.2.15$", r.out)
    check("router=" not in r.out and "dns=" not in r.out, "%s", r.out)


@case
def without_ipv4_nobody_answers():
    check(udhcpc("ipv4=off,ipv6=on").status != 0, "there is a lease")


@case
def dhclient_keeps_its_lease_and_gives_it_back():
    need("dhclient")
    with Guest(configure=False) as g, temporary() as d:
        common = "dhclient -v -1 -sf /bin/true -lf %s/leases -pf %s/pid -cf /dev/null " % (d, d)
        g.run("ip link set tap0 up").ok()
        r = g.run(common + "tap0")
        expect("DHCPACK of 10.0.2.15 from 10.0.2.2", r.err)
        g.run("kill $(cat %s/pid)" % d)
        r = g.run(common + "tap0")
        expect("DHCPREQUEST for 10.0.2.15", r.err)
        expect("DHCPACK of 10.0.2.15 from 10.0.2.2", r.err)
        # it asks its server for what it gives back, so its address must be there
        g.run("ip addr add 10.0.2.15/24 dev tap0").ok()
        r = g.run(common + "-r tap0")
        expect("DHCPRELEASE of 10.0.2.15", r.err)
        g.run("ip addr flush dev tap0").ok()
        r = g.python("w = Wire()\nr = dhcp_ask(w, [(53, b'\\1'), (50, address('10.0.2.15'))], "
                     "chaddr=b'\\x52\\x54\\0\\0\\0\\7')\nprint(r.yiaddr)").ok()
        expect("10.0.2.15", r.out, "what the next client that asks for it is offered")


@case
def dhcpcd_by_client_id_gets_a_lease():
    need("dhcpcd")
    with temporary() as d:
        script, conf = os.path.join(d, "hook"), os.path.join(d, "conf")
        with open(script, "w") as f:
            f.write("#!/bin/sh\n[ \"$reason\" = BOUND ] && echo bound $new_ip_address $new_routers $new_domain_name_servers\nexit 0\n")
        with open(conf, "w") as f:
            f.write("clientid\noption domain_name_servers, domain_name, routers\n")
        os.chmod(script, 0o755)
        # dhcpcd keeps its files in folders of its own: a tmpfs over them, in a mount namespace of its own
        r = run(["unshare", "-m", "sh", "-c", "mount -t tmpfs none /run; mount -t tmpfs none /var/lib/dhcpcd 2>/dev/null; "
                               "ip link set tap0 up; dhcpcd -4 -1 -B -t 8 --noarp -f %s -c %s tap0" % (conf, script)], configure=False)
        expect("leased 10.0.2.15 for 86400 seconds", r.out + r.err)


@case
def requests_by_hand_get_what_the_rfc_says():
    r = python_up("""
def mac(n): return b'\\x52\\x54\\0\\0\\0' + bytes((n,))
def ask(kind, chaddr, *more, **kw): return dhcp_ask(w, [(53, bytes((kind,)))] + list(more), chaddr=chaddr, seconds=1, **kw)

a = ask(1, mac(1)); print('offer', a.kind, a.yiaddr, a.order[0], a.size >= 300)
b = ask(3, mac(1), (50, address(a.yiaddr)), (54, address('10.0.2.2')))
print('ack', b.kind, b.yiaddr, [int.from_bytes(b.options[n], 'big') for n in (51, 58, 59)])
c = ask(1, mac(2)); print('second', c.yiaddr != a.yiaddr)
d = ask(3, mac(3), (50, address('10.0.2.20'))); print('init-reboot', d.kind, d.yiaddr)
e = ask(3, mac(4), (50, address('192.168.1.5'))); print('elsewhere', e.kind, e.dst)
f = ask(3, mac(5), (50, address('10.0.2.20'))); print('taken', f.kind)
g = ask(3, mac(1), ciaddr='10.0.2.15', src='10.0.2.15', dst='10.0.2.2'); print('renew', g.kind, g.yiaddr)
h = ask(8, mac(6), ciaddr='10.0.2.99', src='10.0.2.99', dst='10.0.2.2'); print('inform', h.kind, h.yiaddr, 51 in h.options, 54 in h.options)
i = ask(1, mac(7)); ask(3, mac(7), (50, address(i.yiaddr)), (54, address('10.0.2.2')))
assert ask(4, mac(7), (50, address(i.yiaddr)), (54, address('10.0.2.2'))) is None
j = ask(1, mac(7)); print('declined', i.yiaddr != j.yiaddr)
k = dhcp_ask(w, [], chaddr=mac(8), seconds=1); l = ask(1, mac(9), (80, b'')); print('rapid commit', l.kind)              # is not for IPv4 here: an offer
print('bootp', k.yiaddr.startswith('10.0.2.'), k.size >= 300, 53 in k.options)
""")
    for line in (r"offer 2 10\.0\.2\.15 53 True", r"ack 5 10\.0\.2\.15 \[86400, 43200, 75600\]", "second True", r"init-reboot 5 10\.0\.2\.20",
                 r"elsewhere 6 255\.255\.255\.255", "taken 6", r"renew 5 10\.0\.2\.15", r"inform 5 0\.0\.0\.0 False True", "declined True", "rapid commit 2",
                 "bootp True True False"):
        expect("^%s$" % line, r.out)


def python_up(code, **more):
    return python("import subprocess\nsubprocess.run(['ip', 'link', 'set', 'tap0', 'up'], check=True)\nw = Wire()\n" + code,
                  configure=False, timeout=30, **more).ok()


@case
def when_all_addresses_are_taken_the_idlest_client_loses_its_own():
    r = python_up("""
got = []
for n in range(140):
    m = b'\\x52\\x54\\0\\0\\1' + bytes((n,))
    o = dhcp_ask(w, [(53, b'\\1')], chaddr=m, seconds=0.3)
    if not o: break
    a = dhcp_ask(w, [(53, b'\\3'), (50, address(o.yiaddr)), (54, address('10.0.2.2'))], chaddr=m, seconds=0.3)
    if not a or a.kind != 5: break
    got.append(a.yiaddr)
print(len(got), len(set(got)))
""")
    n, different = (int(x) for x in r.out.split())
    check(n == 140 and 100 <= different <= 128, "%d leases, %d different", n, different)


@case
def a_long_search_list_is_split():
    names = ["%s%d.example" % ("x" * 50, i) for i in range(6)]
    r = python_up("""
r = dhcp_ask(w, [(53, b'\\1'), (57, b'\\4\\0')])
print(len(r.options[119]), r.order.count(119), r.size)
""", net=",".join("dnssearch=" + n for n in names))
    length, parts, _ = (int(x) for x in r.out.split())
    check(length > 255 and parts >= 2, "%d bytes in %d options", length, parts)


@case
def malformed_requests_get_nothing_and_harm_nothing():
    r = python_up("""
good = dhcp(w.mac, [(53, b'\\1')])
n = 0
def send(b): w.send(ip4('0.0.0.0', '255.255.255.255', 17, udp('0.0.0.0', '255.255.255.255', 68, 67, b)), dst=BROADCAST)
for length in range(0, 300): send(good[:length])
for bad in (b'\\x35\\xff', b'\\x35\\0', b'\\0' * 1200, b'\\x35\\1\\1' * 400, b'\\x34\\1\\3' + b'\\x35\\1\\1', b'\\xff', b'\\x0c\\xff' + b'a' * 255, b'\\x32\\4\\n\\0'):
    send(good[:240] + bad)
for hlen in range(256): send(good[:2] + bytes((hlen,)) + good[3:])
print(dhcp_ask(w, [(53, b'\\1')], seconds=2).yiaddr)
""")
    expect(r"^10\.0\.2\.", r.out)
