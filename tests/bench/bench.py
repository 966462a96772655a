# SPDX-License-Identifier: MIT
"""Figures, not tests: bench.py BUILD [NAME...] runs the benchmarks whose names begin with one of NAME, on tenbox and, where it is
installed, on qemu-system-x86_64 (TCG) in the same run, and prints a table and, as the last line, the same as JSON."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/guest"))
import host  # noqa: E402
import tenbox  # noqa: E402

BUILD = os.path.abspath(sys.argv[1])
OURS = os.path.join(BUILD, "tenbox")
PEER = shutil.which("qemu-system-x86_64")
RAM = 512
results = []


def report(name, unit, ours, theirs=None, more_is_better=True):
    ratio = None
    if ours and theirs:
        ratio = ours / theirs if more_is_better else theirs / ours
    results.append({"name": name, "unit": unit, "ours": ours, "peer": theirs, "ratio": ratio})
    print("%-28s %10s %-8s %s" % (name, "-" if ours is None else "%.4g" % ours, unit,
                                  "" if theirs is None else "peer %.4g, %.2f times as good" % (theirs, ratio or 0)), flush=True)


class Guest:
    """A direct boot of the small guest with a script, on either program."""

    def __init__(self, program, script, *more):
        self.directory = tempfile.TemporaryDirectory()
        tenbox.TENBOX = program
        kernel = os.path.join(tenbox.GUEST, "amd64/vmlinuz")
        args = ["-m", RAM, "-kernel", kernel, "-initrd", tenbox.initrd_with("amd64", script, self.directory.name),
                "-append", "console=ttyS0 quiet tenbox.port=%d" % PORT, "-nographic", "-no-reboot"] + list(more)
        self.machine = tenbox.Machine(args)

    def __enter__(self):
        return self.machine

    def __exit__(self, *exc):
        self.machine.__exit__(*exc)
        self.directory.cleanup()


def programs():
    return [OURS] + ([PEER] if PEER else [])


def pair(function):
    values = [function(p) for p in programs()]
    return values[0], values[1] if len(values) > 1 else None


def bench_cpu():
    out = subprocess.run([os.path.join(BUILD, "tests/bench/bench_cpu")], capture_output=True, check=True).stdout.decode()
    for name, mips in re.findall(r"^(\S+)\s+([\d.]+) MIPS", out, re.M):
        report("cpu/interp/" + name, "MIPS", float(mips))


def bench_boot():
    def once(program):
        with Guest(program, "say up", "-nic", "none") as machine:
            machine.expect("/init started", 200)
            return time.time() - machine.started
    report("boot/kernel-to-init", "s", *pair(once), more_is_better=False)


def rss_shared(pid):
    """Resident KB that is not the guest's RAM (a memfd mapping)."""
    total = 0
    guest = False
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            if re.match(r"^[0-9a-f]+-[0-9a-f]+ ", line):
                guest = "tenbox-ram" in line
            elif line.startswith("Rss:") and not guest:
                total += int(line.split()[1])
    return total


def bench_idle():
    with Guest(OURS, "net\nsay idle\nsleep 1000", "-nic", "user,model=virtio-net-pci") as machine:
        machine.expect("tenbox-guest: idle", 200)
        time.sleep(3)
        def cpu():
            with open("/proc/%d/stat" % machine.process.pid) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        before = cpu()
        time.sleep(10)
        report("idle/cpu", "% core", (cpu() - before) * 10)
        report("memory/beyond-guest-ram", "MB", rss_shared(machine.process.pid) / 1024)


def network(model):
    size = 64 << 20
    script = """net
port=$(arg port)
t() { cut -d' ' -f1 /proc/uptime; }
a=$(t); wget -q -O /dev/null http://10.0.2.2:$port/random/%d; b=$(t); say "down $a $b"
dd if=/dev/zero of=/tmp/f bs=1M count=64 2>/dev/null
a=$(t); put /up /tmp/f >/dev/null; b=$(t); say "up $a $b"
say "ping $(ping -c 20 -A 10.0.2.2 | sed -n 's/.*= //p')"
""" % size

    def once(program):
        with Guest(program, script, "-nic", "user,model=" + model) as machine:
            values = []
            for word in ("down", "up"):
                m = machine.expect(word + r" ([\d.]+) ([\d.]+)", 400)
                values.append(size * 8 / 1e6 / max(float(m.group(2)) - float(m.group(1)), 0.01))
            m = machine.expect(r"ping [\d.]+/([\d.]+)/", 60)
            return values + [float(m.group(1))]
    ours = once(OURS)
    theirs = once(PEER) if PEER else [None] * 3
    report("net/%s/host-to-guest" % model, "Mbit/s", ours[0], theirs[0])
    report("net/%s/guest-to-host" % model, "Mbit/s", ours[1], theirs[1])
    report("net/%s/ping" % model, "ms", ours[2], theirs[2], more_is_better=False)


def bench_net_virtio():
    network("virtio-net-pci")


def bench_net_e1000():
    network("e1000")


BENCHES = {"cpu": bench_cpu, "boot": bench_boot, "idle": bench_idle, "net/virtio-net-pci": bench_net_virtio, "net/e1000": bench_net_e1000}

if __name__ == "__main__":
    PORT, _ = host.start()
    chosen = [n for n in BENCHES if not sys.argv[2:] or any(n.startswith(w) for w in sys.argv[2:])]
    if not chosen:
        sys.exit("bench: no benchmark of that name; there are " + ", ".join(BENCHES))
    for n in chosen:
        BENCHES[n]()
    print(json.dumps(results))
