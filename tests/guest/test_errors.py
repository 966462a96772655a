# SPDX-License-Identifier: MIT
"""What a user gets for a bad set-up: one line that names the option, the value and the reason, status 1, nothing left behind."""
import os
import re
import socket
import subprocess
import sys
import tempfile

from tenbox import CASES, GUEST, TENBOX, TOP, UNPRIVILEGED, Failed, case, run

KERNEL = os.path.join(GUEST, "amd64", "vmlinuz")


def refused(args, *patterns, status=1):
    """Runs tenbox; it must end at once with `status` and one line on stderr that matches every pattern."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(UNPRIVILEGED + [TENBOX] + [str(a) for a in args], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=20, cwd=TOP, env=dict(os.environ, TMPDIR=directory))
        left = os.listdir(directory)
    text = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode != status:
        raise Failed("%s: status %d, not %d: %s" % (args, done.returncode, status, text))
    if len(text.split("\n")) != 1:
        raise Failed("%s: not one line: %s" % (args, text))
    if not text.startswith("tenbox: "):
        raise Failed("%s: does not begin with the program's name: %s" % (args, text))
    for pattern in patterns:
        if not re.search(pattern, text):
            raise Failed("%s: no /%s/ in: %s" % (args, pattern, text))
    if left:
        raise Failed("%s: left %s behind" % (args, left))


@case
def unknown_things_are_named():
    refused(["-frobnicate"], "-frobnicate")
    refused(["-device", "frob"], "frob")
    refused(["-device", "e1000,frob=1"], "e1000", "frob")
    refused(["-netdev", "frob,id=n"], "frob")
    refused(["-netdev", "user,id=n,frob=1"], "frob")
    refused(["-nic", "user,model=frob"], "frob")
    refused(["-cpu", "frob"], "frob")
    refused(["-cpu", "qemu64,+frob"], "frob")
    refused(["-accel", "frob"], "frob")
    refused(["-accel", "kvm"], "KVM")
    refused(["-machine", "frob"], "frob")
    refused(["-d", "frob"], "frob")
    refused(["-vga", "frob"], "frob")
    refused(["-display", "frob"], "frob")
    refused(["-object", "frob,id=x"], "frob")


@case
def malformed_values_are_named():
    refused(["-m", "0"], "-m", "0")
    refused(["-m", "lots"], "-m", "lots")
    refused(["-m", "100T"], "-m 104857600M", "the host has only")
    refused(["-smp", "0"], "-smp")
    refused(["-smp", "9"], "-smp", "9")
    refused(["-nic", "user,mac=01:02:03:04:05:06"], "multicast")
    refused(["-nic", "user,mac=zz"], "zz|invalid syntax")
    refused(["-nic", "user,ipv4=maybe"], "ipv4", "on")
    refused(["-nic", "user,net=10.0.2.0/99"], "mask|99")
    refused(["-nic", "user,host=1.2.3.4"], "network")
    refused(["-nic", "user,hostfwd=tcp::22"], r"tcp::22", r"\(.*\)")
    refused(["-nic", "user,hostfwd=frob::22-:22"], "frob", "protocol")
    refused(["-nic", "user,hostfwd=tcp::99999-:22"], "port")
    refused(["-netdev", "user"], "id")
    refused(["-m"], "-m", "argument")


@case
def options_of_the_network_are_named_with_the_reason():
    for option, *reasons in (
            ("mtu=1", "'mtu' expects a number from 576 to 65520, not '1'"), ("deny=10.0.0.0/33", "'deny'", "mask", "0 to 32"),
            ("allow=1.2.3.4:0", "'allow'", "PORTS"), ("outbound-addr=eth0", "outbound-addr", "eth0"), ("outbound-if=none0", "none0", "No such device"),
            ("max-flows=many", "max-flows", "number", "many"), ("host-loopback=maybe", "'host-loopback' expects 'on' or 'off', not 'maybe'"),
            ("dns-host=x", "dns-host", "'x'"), ("dnssearch=a..b", "dnssearch", "a..b"), ("tftp=/nonexistent", "/nonexistent", "No such file"),
            ("domainname=", "domainname", "empty"), ("ipv4=off,ipv6=off", "IPv4 and IPv6 disabled"),
            ("hostfwd=tcp:[::1:22-:22", "Bad host address: '\\['"), ("hostfwd=tcp::9-8-:22", "Bad host port: '9-8'"),
            ("hostfwd=tcp::8000-8010-:80-81", "as many as host ports"), ("hostfwd=unix:s-:22", "Bad path"),
            ("hostfwd=unix:/nonexistent/s-:22", "/nonexistent/s", "No such file"), ("hostfwd=tcp:192.0.2.1:8022-:22", "192.0.2.1", "Cannot assign"),
            ("hostfwd=tcp::8022-9.9.9.9:22", "Bad guest address"), ("guestfwd=tcp:10.0.2.9:80", "tcp:10.0.2.9:80'", "Missing - separator"),
            ("guestfwd=tcp:9.9.9.9:80-cmd:cat", "Conflicting/invalid host:port"), ("guestfwd=udp:10.0.2.9:80-cmd:cat", "Bad protocol name"),
            ("guestfwd=tcp:10.0.2.9:80-chardev:none", "chardev 'none' not found"), ("guestfwd=tcp:10.0.2.9:80-frob", "'frob' is not a valid character device"),
            ("guestfwd=tcp:10.0.2.9:80-tcp:127.0.0.1", "tcp:HOST:PORT is expected"), ("smb=/", "smb", "not part of this build")):
        refused(["-nic", "user," + option], *reasons)


@case
def a_taken_port_is_named_with_the_reason():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        rule = "tcp:127.0.0.1:%d-:22" % s.getsockname()[1]
        refused(["-nic", "user,hostfwd=" + rule], re.escape(rule), "[Aa]ddress already in use")


def broken(directory, name, data):
    path = os.path.join(directory, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


@case
def kernels_that_are_none_are_refused():
    with tempfile.TemporaryDirectory() as d:
        with open(KERNEL, "rb") as f:
            whole = f.read()
        refused(["-kernel", d + "/none"], "-kernel|kernel", "No such file")
        refused(["-kernel", d], "kernel", "directory")
        refused(["-kernel", broken(d, "empty", b"")], "kernel", "empty")
        refused(["-kernel", broken(d, "text", b"hello " * 5000)], "kernel", "text")
        refused(["-kernel", broken(d, "short", whole[:3000])], "kernel", "short")
        refused(["-kernel", broken(d, "half", whole[:len(whole) // 2])], "kernel", "half")
        refused(["-kernel", KERNEL, "-initrd", d + "/none"], "initrd", "No such file")
        refused(["-kernel", KERNEL, "-initrd", d], "initrd", "directory")
        refused(["-initrd", KERNEL], "initrd", "kernel")
        refused(["-append", "x"], "append", "kernel")


@case
def firmware_that_is_none_is_refused():
    with tempfile.TemporaryDirectory() as d:
        refused(["-bios", d + "/none"], "none", "No such file|failed to find")
        refused(["-bios", d], "bios", "directory")
        refused(["-bios", broken(d, "odd", b"x" * 1000)], "odd")
        refused(["-bios", broken(d, "empty", b"")], "empty")
        refused(["-device", "e1000,romfile=" + d + "/none"], "none", "No such file|failed to find")
        refused(["-device", "e1000,romfile=" + broken(d, "rom", b"no rom at all" * 100)], "rom")


@case
def disks_that_are_none_are_refused():
    with tempfile.TemporaryDirectory() as d:
        refused(["-hda", d + "/none"], "none", "No such file")
        refused(["-hda", d], "directory")
        refused(["-cdrom", d + "/none"], "none", "No such file")
        refused(["-drive", "file=%s,format=qcow2" % broken(d, "disk", b"\0" * 4096)], "qcow2")
        refused(["-drive", "file=%s,if=frob" % broken(d, "disk", b"\0" * 4096)], "frob")
        refused(["-hda", broken(d, "tiny", b"x")], "tiny")
        refused(["-drive", "if=ide,file=%s,frob=1" % broken(d, "disk", b"\0" * 4096)], "frob")
        path = broken(d, "locked", b"\0" * 4096)
        refused(["-hda", path, "-hdb", path], "locked", "lock|use")


@case
def help_is_no_error():
    for args, word in ((["-h"], "-netdev"), (["--help"], "-netdev"), (["-version"], "tenbox"), (["-device", "help"], "e1000"),
                       (["-cpu", "help"], "x86-64-v2"), (["-machine", "help"], "pc"), (["-netdev", "help"], "user"),
                       (["-nic", "model=help"], "virtio-net-pci"), (["-d", "help"], "guest_errors"), (["-accel", "help"], "interp"),
                       (["-device", "e1000,help"], "mac")):
        done = subprocess.run([TENBOX] + args, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        if done.returncode != 0 or word not in done.stdout.decode():
            raise Failed("%s: status %d, no %s in: %s" % (args, done.returncode, word, done.stdout.decode()[:500]))


if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[1:]))
