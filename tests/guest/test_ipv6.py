# SPDX-License-Identifier: MIT
"""IPv6 from inside: a Debian kernel finds its own address, and what it then reaches."""
import os
import socket
import tempfile

import host
from tenbox import Machine, case, free_port
from test_boot import DNS, HTTP, TRANSFER, boot, direct, media, seconds

# Waits for an address that is no longer being tested for a double.
SLAAC = """
ifconfig eth0 up
for i in $(seq 100); do
	ip -6 addr show dev eth0 | grep fec0: | grep -qv tentative && break
	sleep 0.1
done
say "address $(ip -6 addr show dev eth0 | sed -n 's/.*inet6 \\(fec0:[^ ]*\\).*/\\1/p')"
say "route $(ip -6 route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')"
"""
ADDRESS = [r"address fec0::5054:ff:fe12:3456/64", r"route fe80::2"]
NIC = "user,model=virtio-net-pci,dns-host=127.0.0.1:%d" % DNS


def inside(script, expects, nic=NIC, **keywords):
    boot("amd64", SLAAC + script, ADDRESS + expects, "-nic", nic, **keywords)


if host.has_ipv6():
    @case
    def a_guest_finds_its_ipv6_address_and_reaches_the_host():
        digest = host.sha256(TRANSFER)
        script = """
ping6 -c 2 fec0::2 >/dev/null && say "gateway answers"
ping6 -c 1 fec0::3 >/dev/null && say "relay answers"
ping6 -c 1 -s 8000 fec0::2 >/dev/null && say "long pings come whole"
ping6 -c 1 -I eth0 fe80::2 >/dev/null && say "link answers"
nslookup demo.tenbox.test fec0::3 | grep -q 192.0.2.42 && say "names are resolved"
nslookup demo.tenbox.test [fec0::2]:%d | grep -q 192.0.2.42 && say "datagrams go to ::1 and back"
port=$(arg port)
wget -q -O /tmp/file http://[fec0::2]:$port/random/%d
say "down $(sha256sum </tmp/file | cut -d' ' -f1)"
{ printf 'PUT /up HTTP/1.0\r\nContent-Length: %%d\r\n\r\n' "$(stat -c %%s /tmp/file)"; cat /tmp/file; } >/tmp/put
say "up $(nc fec0::2 $port </tmp/put | tail -n 1)"
nc fec0::2 1 </dev/null || say "closed is closed"
""" % (DNS, TRANSFER)
        inside(script, ["gateway answers", "relay answers", "long pings come whole", "link answers", "names are resolved",
                        "datagrams go to ::1 and back", "down " + digest, "up " + digest, "closed is closed"],
               memory=1024, limit=150 + TRANSFER / 500e3)

    @case
    def a_restricted_guest_reaches_nothing_by_ipv6():
        inside("""
ping6 -c 1 fec0::2 >/dev/null && say "gateway answers"
nc -w 3 fec0::2 $(arg port) </dev/null && say "wrong: the host" || say "no host"
timeout 8 nslookup demo.tenbox.test fec0::3 | grep -q 192.0.2.42 && say "wrong: a name" || say "no names"
""", ["gateway answers", "no host", "no names"], NIC + ",restrict=on")

    @case
    def a_server_in_the_guest_is_reached_by_its_ipv6_address():
        port = free_port()
        rule = "hostfwd=tcp:[::1]:%d-[fec0::5054:ff:fe12:3456]:80" % port
        script = SLAAC + 'mkdir /www; echo "hello by six" >/www/index.html\nhttpd -p [::]:80 -h /www\nsay ready\nread line'
        with tempfile.TemporaryDirectory() as directory:
            with Machine(direct("amd64", script, directory, "-nic", NIC + "," + rule), stdin=True) as machine:
                machine.expect("tenbox-guest: ready", seconds(150))
                with socket.create_connection(("::1", port), timeout=20) as s:
                    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    data = b""
                    while part := s.recv(4096):
                        data += part
                if b"hello by six" not in data:
                    machine.fail("the guest's server answered %r" % data)

    @case
    def ipxe_boots_from_the_url_that_dhcpv6_tells():
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            with open(os.path.join(directory, "boot.ipxe"), "w") as f:
                f.write("#!ipxe\necho booted by ${net0/ip6}\nshell\n")
            nic = "user,model=e1000,ipv6=on,tftp=%s,bootfile=boot.ipxe" % directory
            with Machine(media("-cdrom", "/usr/lib/ipxe/ipxe.iso", "-nic", nic)) as machine:
                machine.expect("booted by fec0::5054:ff:fe12:3456", seconds(200))   # it waits for DHCPv4 first

    @case
    def a_guest_with_ipv6_only_works_and_one_without_has_none():
        digest = host.sha256(4 << 20)
        inside("""
port=$(arg port)
wget -q -O /tmp/file http://[fec0::2]:$port/random/%d
say "down $(sha256sum </tmp/file | cut -d' ' -f1)"
{ printf 'PUT /up HTTP/1.0\r\nContent-Length: %%d\r\n\r\n' "$(stat -c %%s /tmp/file)"; cat /tmp/file; } >/tmp/put
say "up $(nc fec0::2 $port </tmp/put | tail -n 1)"
""" % (4 << 20), ["down " + digest, "up " + digest], NIC.replace("virtio-net-pci", "e1000") + ",ipv6=on")
        boot("amd64", """
net
sleep 3
say "site $(ip -6 addr show dev eth0 | grep -c fec0:) routes $(ip -6 route | grep -c '^default via')"
""", ["site 0 routes 0"], "-nic", NIC + ",ipv6=off")
