# SPDX-License-Identifier: MIT
"""The core of the network's black-box list from a real guest, in two boots: iPXE fetches the Debian kernel by TFTP, which then uses each
service once; another serves while the monitor changes forwards, pulls the cable and presses the reset button."""
import hashlib
import os
import re
import shutil
import socket
import tempfile
import time

import host
from tenbox import GUEST, Failed, Machine, case, free_port, initrd_with
from test_boot import DNS, HTTP, direct, media, seconds

SIZE = 3 << 20

CORE = """
net
say "resolver $(tr '\\n' ' ' </etc/resolv.conf)"
nslookup demo.tenbox.test | grep -q 192.0.2.42 && say "names are resolved"
nslookup nowhere.tenbox.test 10.0.2.3 2>&1 | grep -q NXDOMAIN && say "and what is none is none"
tftp -g -b 1428 -r file -l /tmp/file 10.0.2.2 && say "tftp $(sha256sum </tmp/file | cut -d' ' -f1)"
tftp -g -r ../secret -l /tmp/secret 10.0.2.2 2>/dev/null || say "tftp keeps to its folder"
port=$(arg port)
wget -q -O /tmp/down http://10.0.2.2:$port/random/SIZE && say "down $(sha256sum </tmp/down | cut -d' ' -f1)"
say "up $(put /up /tmp/down)"
ping -c 3 -s 8000 10.0.2.2 >/dev/null && ping -c 1 10.0.2.3 >/dev/null && say "ping works"
say "hops $(traceroute -n -m 5 -q 1 -w 3 $(arg own) 2>/dev/null | sed -n 's/^ *[0-9]*  \\([0-9.]*\\).*/\\1/p' | tr '\\n' ' ')"
say "forward $(echo hello | nc 10.0.2.100 7)"
nc -w 5 10.0.2.2 $(arg closed) </dev/null 2>&1 | grep -q refused && say "closed is closed"
for i in $(seq 100); do ip -6 addr show dev eth0 | grep fec0: | grep -qv tentative && break; sleep 0.1; done
say "six $(ip -6 addr show dev eth0 | sed -n 's/.*inet6 \\(fec0:[^ ]*\\).*/\\1/p') by $(ip -6 route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')"
wget -q -O - http://[SIX]:$port/random/SIZE >/tmp/six; say "by six $(sha256sum </tmp/six | cut -d' ' -f1)"
""".replace("SIZE", str(SIZE))
SERVE = """
net
mkdir /www
wget -q -O /www/big http://10.0.2.2:$(arg port)/random/SIZE
httpd -p 80 -h /www
say ready
sleep 1000
""".replace("SIZE", str(SIZE))


def own_address():
    """One of this machine's own that is not loopback; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("203.0.113.1", 9))
            return s.getsockname()[0]
        except OSError:
            return "10.0.2.2"


@case
def ipxe_boots_debian_by_tftp_and_it_uses_every_service():
    digest, own = host.sha256(SIZE), own_address()
    script = CORE.replace("[SIX]", "[fec0::2]" if host.has_ipv6() else "10.0.2.2")
    with tempfile.TemporaryDirectory() as directory:
        served = os.path.join(directory, "served")
        os.mkdir(served)
        os.chmod(directory, 0o755)
        with open(os.path.join(directory, "secret"), "w") as f:
            f.write("secret")
        data = b"".join(host.blocks(200001))
        menu = ("#!ipxe\nkernel vmlinuz initrd=initrd.cpio console=ttyS0 quiet panic=-1 tenbox.port=%d tenbox.own=%s tenbox.closed=%d\n"
                "initrd initrd.cpio\nboot\n" % (HTTP, own, free_port()))
        for name, content in (("file", data), ("boot.ipxe", menu.encode())):
            with open(os.path.join(served, name), "wb") as f:
                f.write(content)
        shutil.copy(os.path.join(GUEST, "amd64", "vmlinuz"), served)
        initrd_with("amd64", script, served)
        nic = ("user,model=e1000,tftp=%s,bootfile=boot.ipxe,dns-host=127.0.0.1:%d,dnssearch=tenbox.test,guestfwd=tcp:10.0.2.100:7-cmd:exec tr a-z A-Z"
               % (served, DNS))
        hops = "hops 10.0.2.2 $" if own == "10.0.2.2" else "hops 10.0.2.2 %s $" % re.escape(own)
        with Machine(media("-boot", "n", "-nic", nic)) as machine:
            for pattern in ("iPXE", "vmlinuz.* ok", r"initrd\.cpio.* ok", "/init started",
                            r"dhcp: ip=10\.0\.2\.15/24 router=10\.0\.2\.2 dns=10\.0\.2\.3 lease=86400 server=10\.0\.2\.2", "resolver search tenbox.test nameserver 10.0.2.3",
                            "names are resolved", "and what is none is none", "tftp " + hashlib.sha256(data).hexdigest(), "tftp keeps to its folder",
                            "down " + digest, "up " + digest, "ping works", "(?m)" + hops, "forward HELLO", "closed is closed",
                            r"six fec0::5054:ff:fe12:3456/64 by fe80::2", "by six " + digest):
                machine.expect(pattern, seconds(200))
            if machine.wait(seconds(60)) != 0:
                machine.fail("exit status %d" % machine.process.returncode)


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds(20))
        self.socket.connect(path)
        self.answer()

    def answer(self):
        text = b""
        while not text.endswith(b"(tenbox) "):
            part = self.socket.recv(65536)
            if not part:
                raise Failed("the monitor is gone: %s" % text.decode())
            text += part
        return text.decode().replace("\r", "")

    def __call__(self, line):
        self.socket.sendall(line.encode() + b"\n")
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()


def start_get(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=seconds(30))
    s.sendall(b"GET /big HTTP/1.0\r\n\r\n")
    return s


def rest(s, data=b""):
    """All that still comes, as the digest of the body."""
    while part := s.recv(65536):
        data += part
    s.close()
    return hashlib.sha256(data.partition(b"\r\n\r\n")[2]).hexdigest()


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return False
    except ConnectionRefusedError:
        return True


@case
def forwards_cable_and_reset_button_are_used_while_data_flows():
    digest, port = host.sha256(SIZE), free_port()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "monitor")
        with Machine(direct("amd64", SERVE, directory, "-nic", "user,id=u0,model=virtio-net-pci", "-monitor",
                            "unix:%s,server=on,wait=off" % path)) as machine:
            machine.expect("tenbox-guest: ready", seconds(150))
            descriptors = "/proc/%d/fd" % machine.process.pid
            with Monitor(path) as monitor:
                rule = "hostfwd_add u0 tcp:127.0.0.1:%d-:80" % port
                before = len(os.listdir(descriptors))
                said = monitor(rule)
                if "rror" in said or "nvalid" in said or "ould not" in said:
                    machine.fail(said)
                # a rule that goes leaves its connections alone
                s = start_get(port)
                first = s.recv(1000)
                table = monitor("info usernet")
                for row in (r"TCP\[HOST_FORWARD\] +\d+ +127\.0\.0\.1 +%d +10\.0\.2\.15 +80 " % port, r"TCP\[ESTABLISHED\] +\d+ "):
                    if not re.search(row, table):
                        machine.fail("no /%s/ in %s" % (row, table))
                monitor("hostfwd_remove u0 tcp:127.0.0.1:%d" % port)
                if rest(s, first) != digest:
                    machine.fail("what came after hostfwd_remove is not the same")
                if not refuses(port):
                    machine.fail("the port is still there")
                if "ould not set up host forwarding rule" not in monitor("hostfwd_add u0 tcp:127.0.0.1:%d-:80" % HTTP):
                    machine.fail("a taken port is no error")
                # the cable is out for a while in the midst of data
                monitor(rule)
                s = start_get(port)
                first = s.recv(1000)
                monitor("set_link u0 off")
                time.sleep(1)
                monitor("set_link u0 on")
                if rest(s, first) != digest:
                    machine.fail("what came after the cable was out is not the same")
                # and the guest is reset: its connections end with one, the next find the new one
                s = start_get(port)
                first = s.recv(1000)
                monitor("system_reset")
                machine.expect("tenbox-guest: ready", seconds(150))
                try:
                    s.settimeout(seconds(60))
                    while s.recv(65536):
                        pass
                    machine.fail("the connection of the guest that was ended in peace")
                except ConnectionResetError:
                    s.close()
                if rest(start_get(port)) != digest:
                    machine.fail("the new guest's file is not the same")
                for _ in range(100):
                    left = len(os.listdir(descriptors))
                    if left <= before + 1:
                        break
                    time.sleep(0.1)
                else:
                    machine.fail("%d descriptors became %d: %s" % (before, left, monitor("info usernet")))
