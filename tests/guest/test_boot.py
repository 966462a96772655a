# SPDX-License-Identifier: MIT
"""Real guests on the real program: kernels with their own drivers, firmware, boot loaders, and what they do on the network."""
import hashlib
import os
import socket
import sys
import tempfile
import time

import host
from tenbox import CASES, GUEST, Failed, Machine, case, free_port, initrd_with, png_size, run

# Bytes of each transfer: the full check is 200 MB (TENBOX_TRANSFER=209715200).
TRANSFER = int(os.environ.get("TENBOX_TRANSFER", 16 << 20))
# How much slower than a plain host a machine may be before a guest counts as stuck.
PATIENCE = float(os.environ.get("TENBOX_PATIENCE", 1))
ACCEL = os.environ.get("TENBOX_ACCEL")
HTTP, DNS = host.start()


def direct(arch, script, directory, *more, memory=512, append=""):
    """Arguments for a direct boot of the small guest that runs `script`."""
    args = ["-m", memory, "-kernel", os.path.join(GUEST, arch, "vmlinuz"), "-initrd", initrd_with(arch, script, directory),
            "-append", "console=ttyS0 quiet panic=-1 tenbox.port=%d %s" % (HTTP, append), "-nographic"]
    if ACCEL:
        args += ["-accel", ACCEL]
    return args + list(more)


def seconds(n):
    return n * PATIENCE


def boot(arch, script, expects, *more, status=0, limit=150, **keywords):
    """Boots, expects the patterns in order, and the exit status in the end."""
    with tempfile.TemporaryDirectory() as directory:
        with Machine(direct(arch, script, directory, *more, **keywords)) as machine:
            for pattern in expects:
                machine.expect(pattern, seconds(limit))
            found = machine.wait(seconds(60))
            if found != status:
                machine.fail("exit status %d, not %d" % (found, status))
            return machine.text()


LEASE = r"dhcp: ip=10\.0\.2\.15/24 router=10\.0\.2\.2 dns=10\.0\.2\.3"
NETWORK = """
net
ping -c 2 10.0.2.2 >/dev/null && say "ping works"
port=$(arg port)
wget -q -O /tmp/file http://10.0.2.2:$port/random/%d
say "down $(sha256sum </tmp/file | cut -d' ' -f1)"
say "up $(put /up /tmp/file)"
"""


def network(arch, *more, **keywords):
    digest = host.sha256(TRANSFER)
    boot(arch, NETWORK % TRANSFER, [r"/init started", LEASE, "ping works", "down " + digest, "up " + digest],
         *more, memory=1024, limit=150 + TRANSFER / 500e3, **keywords)


@case
def virtio_net_moves_files_both_ways():
    network("amd64", "-nic", "user,model=virtio-net-pci")


@case
def e1000_moves_files_both_ways():
    network("amd64", "-nic", "user,model=e1000")


@case
def both_engines_agree_through_a_boot():
    """One block in a hundred is run by the interpreter too, and compared; a difference ends the program with status 1."""
    if ACCEL != "interp":
        for arch in ("amd64", "i386"):
            boot(arch, 'net\nping -c 2 10.0.2.2 >/dev/null && say "ping works"', [r"/init started", LEASE, "ping works"],
                 "-accel", "xlat,verify=100", "-nic", "user,model=virtio-net-pci", memory=256)


@case
def no_network_option_means_e1000_on_the_user_network():
    boot("amd64", 'net\nsay "card $(cat /sys/bus/pci/devices/*3.0/device) $(cat /sys/class/net/eth0/address)"',
         [LEASE, "card 0x100e 52:54:00:12:34:56"])


@case
def two_processors_are_seen_and_used():
    boot("amd64", 'net\nsay "cpus $(nproc)"\nfor i in 1 2; do (taskset $i sh -c "i=0; while [ \\$i -lt 2000 ]; do i=\\$((i+1)); done";'
         ' say done) & done; wait', [LEASE, "cpus 2", "done", "done"], "-smp", "2", "-nic", "user,model=virtio-net-pci")


@case
def four_processors_are_seen_and_used():
    boot("amd64", 'net\nsay "cpus $(nproc)"', [LEASE, "cpus 4"], "-smp", "4", limit=300)


@case
def four_transfers_at_once_arrive_whole():
    size = TRANSFER // 4
    script = "net\nport=$(arg port)\nfor i in 1 2 3 4; do (say \"got $(wget -q -O - http://10.0.2.2:$port/random/%d | " \
             "sha256sum | cut -d' ' -f1)\") & done; wait" % size
    digest = host.sha256(size)
    boot("amd64", script, [LEASE] + ["got " + digest] * 4, "-nic", "user,model=virtio-net-pci", limit=150 + TRANSFER / 500e3)


@case
def a_32_bit_pae_kernel_uses_the_network():
    network("i386", "-nic", "user,model=virtio-net-pci")


@case
def a_32_bit_pae_kernel_drives_e1000():
    boot("i386", "net", [LEASE], "-nic", "user,model=e1000")


@case
def a_reboot_reboots():
    with tempfile.TemporaryDirectory() as directory:
        with Machine(direct("amd64", "say up\nreboot -f", directory, "-nic", "none")) as machine:
            machine.expect("tenbox-guest: up", seconds(150))
            machine.expect("tenbox-guest: up", seconds(150))


@case
def no_reboot_ends_at_a_reboot():
    boot("amd64", "reboot -f", ["/init started"], "-no-reboot", "-nic", "none")


@case
def a_kernel_panic_reboots_and_so_ends_with_no_reboot():
    boot("amd64", "echo c >/proc/sysrq-trigger", ["/init started"], "-no-reboot", "-nic", "none")


@case
def a_server_in_the_guest_is_reached_through_hostfwd():
    port, closed = free_port(), free_port()
    script = 'net\nmkdir /www; echo "hello from inside" >/www/index.html\nhttpd -p 80 -h /www\nsay ready\nread line'
    with tempfile.TemporaryDirectory() as directory:
        nic = "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:%d-:80,hostfwd=tcp:127.0.0.1:%d-:81" % (port, closed)
        with Machine(direct("amd64", script, directory, "-nic", nic), stdin=True) as machine:
            machine.expect("tenbox-guest: ready", seconds(150))
            with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                data = b""
                while part := s.recv(4096):
                    data += part
            if b"hello from inside" not in data:
                machine.fail("the guest's server answered %r" % data)
            try:
                with socket.create_connection(("127.0.0.1", closed), timeout=20) as s:
                    s.settimeout(20)
                    data = s.recv(1)
                machine.fail("a refused port answered %r" % data)
            except ConnectionResetError:
                pass


@case
def sigterm_ends_cleanly():
    with tempfile.TemporaryDirectory() as directory:
        with Machine(direct("amd64", "say up\nsleep 1000", directory, "-nic", "none")) as machine:
            machine.expect("tenbox-guest: up", seconds(150))
            machine.process.terminate()
            if machine.wait(10) != 0:
                machine.fail("exit status %d" % machine.process.returncode)


# --- firmware and boot loaders -------------------------------------------------------------------------------------

def media(*args):
    return ["-m", "512", "-nographic"] + (["-accel", ACCEL] if ACCEL else []) + [str(a) for a in args]


def image(name):
    return os.path.join(GUEST, "images", name)


def media_boot(limit, expects, *args):
    with Machine(media(*args)) as machine:
        for pattern in expects:
            machine.expect(pattern, seconds(limit))
        if machine.wait(seconds(60)) != 0:
            machine.fail("exit status %d" % machine.process.returncode)


@case
def seabios_and_grub_boot_an_ide_disk():
    media_boot(300, ["GRUB", LEASE, "hello from x86_64"],
               "-drive", "file=%s,format=raw,if=ide,snapshot=on" % image("grub.img"))


@case
def seabios_and_grub_boot_a_virtio_disk():
    media_boot(300, ["GRUB", LEASE, "hello from x86_64", "disk vda has 65536 sectors"],
               "-drive", "file=%s,format=raw,if=virtio,snapshot=on" % image("grub.img"))


@case
def an_isolinux_cd_boots():
    media_boot(300, ["ISOLINUX", LEASE, "hello from x86_64", "disk sr0 has"], "-cdrom", image("isolinux.iso"))


@case
def ipxe_iso_boots_and_gets_a_lease():
    with Machine(media("-cdrom", "/usr/lib/ipxe/ipxe.iso")) as machine:
        machine.expect("iPXE", seconds(120))
        machine.expect(r"net0: 10\.0\.2\.15|Configuring \(net0 [0-9a-f:]+\)\.+ ok", seconds(120))


@case
def the_virtio_rom_gets_a_lease():
    """That of e1000 boots a whole kernel in test_core.py."""
    with Machine(media("-boot", "n", "-nic", "user,model=virtio-net-pci")) as machine:
        machine.expect("iPXE", seconds(120))
        machine.expect(r"Configuring \(net0 52:54:00:12:34:56\)\.+ ok", seconds(120))
        machine.expect(r"10\.0\.2\.15", seconds(30))


@case
def screendump_shows_the_screen():
    with tempfile.TemporaryDirectory() as directory:
        sock, picture = os.path.join(directory, "monitor"), os.path.join(directory, "screen.png")
        with Machine(media("-boot", "n", "-nic", "none", "-monitor", "unix:%s,server=on,wait=off" % sock)) as machine:
            time.sleep(seconds(15))
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(20)
                s.connect(sock)
                s.sendall(("screendump %s\n" % picture).encode())
                deadline = time.time() + 20
                while not os.path.exists(picture) and time.time() < deadline:
                    time.sleep(0.1)
                time.sleep(0.5)
                width, height = png_size(picture)
                if (width, height) not in ((720, 400), (640, 400), (640, 480)):
                    raise Failed("the picture has %d x %d pixels" % (width, height))
                s.sendall(b"quit\n")
            if machine.wait(10) != 0:
                machine.fail("exit status %d" % machine.process.returncode)


@case
def a_disc_is_put_in_changed_and_taken_out():
    script = """
sum() { while ! dd if=/dev/sr0 of=/tmp/disc bs=2048 count=40 2>/dev/null || [ $(stat -c %s /tmp/disc) != 81920 ]; do sleep 0.2; done
	say "$1 $(sha256sum </tmp/disc | cut -d' ' -f1)"; }
say "drive is empty"
sum first
while [ $(cat /tmp/disc | sha256sum | cut -c1-8) = $(dd if=/dev/sr0 bs=2048 count=40 2>/dev/null | sha256sum | cut -c1-8) ]; do sleep 0.2; done
sum second
while dd if=/dev/sr0 of=/dev/null bs=2048 count=1 2>/dev/null; do sleep 0.2; done
say "gone"
"""
    discs = [b"".join(host.blocks(81920)), b"".join(host.blocks(81920 * 2))[81920:]]
    with tempfile.TemporaryDirectory() as directory:
        sock = os.path.join(directory, "monitor")
        for i, data in enumerate(discs):
            with open(os.path.join(directory, "disc%d" % i), "wb") as f:
                f.write(data)
        with Machine(direct("amd64", script, directory, "-nic", "none", "-monitor", "unix:%s,server=on,wait=off" % sock,
                            append="tenbox.ide")) as machine:
            machine.expect("drive is empty", seconds(100))
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(20)
                s.connect(sock)
                for i, word in enumerate(("first", "second")):
                    s.sendall(("change -f ide1-cd0 %s raw\n" % os.path.join(directory, "disc%d" % i)).encode())
                    machine.expect("%s %s" % (word, hashlib.sha256(discs[i]).hexdigest()), seconds(60))
                s.sendall(b"eject -f ide1-cd0\n")
                machine.expect("gone", seconds(60))
            if machine.wait(seconds(60)) != 0:
                machine.fail("exit status %d" % machine.process.returncode)


if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[1:]))
