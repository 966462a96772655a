# SPDX-License-Identifier: MIT
"""Figures, not tests: bench.py BUILD [OPTIONS] [NAME...] runs the benchmarks whose names begin with one of NAME, or the one line
of a benchmark that NAME says in full (cpu/sieve), on tenbox and, where it is installed, on qemu-system-x86_64 (TCG) in the same
run, and prints a table and, as the last line, the same as JSON."""
import argparse
import json
import math
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

RAM = 512
PEER = shutil.which("qemu-system-x86_64")
# The lines of the group cpu, as guestmark names them.
WORKS = ("sieve qsort calls crc bytecode chase nbody matrix x87 memcpy strings syscalls faults pipes forks execs signals "
         "rewrites").split()
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

    def __init__(self, program, script, *more, programs=(), ram=RAM):
        self.directory = tempfile.TemporaryDirectory()
        tenbox.TENBOX = program
        kernel = os.path.join(tenbox.GUEST, "amd64/vmlinuz")
        initrd = tenbox.initrd_with("amd64", script, self.directory.name, programs)
        args = ["-m", ram, "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet tenbox.port=%d" % PORT,
                "-nographic", "-no-reboot"] + list(more)
        if program == OURS and ACCEL:
            args += ["-accel", ACCEL]
        elif program == PEER:
            args += ["-accel", "tcg"]
        self.machine = tenbox.Machine(args)

    def __enter__(self):
        return self.machine

    def __exit__(self, *exc):
        self.machine.__exit__(*exc)
        self.directory.cleanup()


def peer_runs():
    return PEER and options.peer == "run"


def pair(function):
    return function(OURS), function(PEER) if peer_runs() else None


class Kept:
    """Figures of the host and of the peer, kept from run to run: with --peer=cached they are not measured again."""

    def __init__(self, name):
        self.path = os.path.join(BUILD, "bench-%s.json" % name)
        try:
            with open(self.path) as f:
                self.values = json.load(f)
        except (OSError, ValueError):
            self.values = {}

    def get(self, lines, measure):
        """A dictionary of the lines; `measure` is called for those that are to be measured now, and gives another one."""
        if options.peer == "cached":
            lines = [line for line in lines if line not in self.values]
        if options.peer == "none":
            return {}
        if lines:
            self.values.update(measure(lines))
            with open(self.path, "w") as f:
                json.dump(self.values, f)
        return self.values


def lines_of(group, all_lines):
    """Those lines of a group that the command line asks for."""
    chosen = [line for line in all_lines if group + "/" + line in options.names]
    return chosen or list(all_lines)


MARK = r"guestmark (\S+) ([\d.]+) ([0-9a-f]{16})"


def in_guest(program, lines, *more):
    """Yields [name, (seconds, checksum)] of each work while the guest does them."""
    script = "/guestmark -r %d %s" % (options.repeats, " ".join(lines))
    with Guest(program, script, "-nic", "none", *more, programs=[GUESTMARK]) as machine:
        for _ in lines:
            m = machine.expect(MARK, 1200)
            yield m.group(1), (float(m.group(2)), m.group(3))
        machine.wait(60)


def natively(lines):
    out = subprocess.run([GUESTMARK, "-r", str(options.repeats)] + lines, capture_output=True, check=True).stdout.decode()
    return {name: (float(s), check) for name, s, check in re.findall(MARK, out)}


def geometric_mean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else None


def bench_cpu():
    lines = lines_of("cpu", WORKS)
    native = Kept("native").get(lines, natively)
    peer = Kept("peer").get(lines, lambda some: dict(in_guest(PEER, some))) if PEER else {}
    print("%-16s %9s %9s %9s %9s %9s" % ("seconds", "native", "TCG", "ours", "TCG/ours", "ours/nat."))
    ratios, over_native = [], []
    for name, (seconds, check) in in_guest(OURS, lines):
        row = {"name": "cpu/" + name, "unit": "s", "ours": seconds, "peer": None, "native": None, "ratio": None, "wrong": False}
        for who, key in ((native, "native"), (peer, "peer")):
            if name in who:
                row[key] = who[name][0]
                row["wrong"] |= who[name][1] != check
        if row["peer"]:
            row["ratio"] = row["peer"] / seconds
            ratios.append(row["ratio"])
        if row["native"]:
            over_native.append(seconds / row["native"])
        results.append(row)
        print("cpu/%-12s %9s %9s %9.4f %9s %9s%s" % (
            name, "%.4f" % row["native"] if row["native"] else "-", "%.4f" % row["peer"] if row["peer"] else "-", seconds,
            "%.2f" % row["ratio"] if row["ratio"] else "-", "%.2f" % over_native[-1] if row["native"] else "-",
            "  WRONG RESULT" if row["wrong"] else ""), flush=True)
    mean, native_mean = geometric_mean(ratios), geometric_mean(over_native)
    results.append({"name": "cpu/geometric-mean", "unit": "", "ratio": mean, "over_native": native_mean})
    print("%-46s %9s %9s" % ("cpu/geometric-mean", "%.2f" % mean if mean else "-", "%.2f" % native_mean if native_mean else "-"))


def bench_interp():
    out = subprocess.run([os.path.join(BUILD, "tests/bench/bench_cpu")], capture_output=True, check=True).stdout.decode()
    for name, mips in re.findall(r"^(\S+)\s+([\d.]+) MIPS", out, re.M):
        report("interp/" + name, "MIPS", float(mips))


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
    theirs = once(PEER) if peer_runs() else [None] * 3
    report("net/%s/host-to-guest" % model, "Mbit/s", ours[0], theirs[0])
    report("net/%s/guest-to-host" % model, "Mbit/s", ours[1], theirs[1])
    report("net/%s/ping" % model, "ms", ours[2], theirs[2], more_is_better=False)


def bench_net_virtio():
    network("virtio-net-pci")


def bench_net_e1000():
    network("e1000")


BENCHES = {"cpu": bench_cpu, "interp": bench_interp, "boot": bench_boot, "idle": bench_idle, "net/virtio-net-pci": bench_net_virtio,
           "net/e1000": bench_net_e1000}


def parse():
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("build", help="the folder of the build, which holds tenbox")
    parser.add_argument("names", nargs="*", help="benchmarks, or lines of them")
    parser.add_argument("--accel", help="the engine of tenbox (its default)")
    parser.add_argument("--peer", choices=("run", "cached", "none"), default="run",
                        help="run: measure the peer and the host too; cached: only lines never measured; none: not at all")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each work, of which the shortest counts")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    BUILD = os.path.abspath(options.build)
    OURS = os.path.join(BUILD, "tenbox")
    GUESTMARK = os.path.join(BUILD, "tests/bench/guestmark")
    ACCEL = options.accel
    PORT, _ = host.start()
    chosen = [n for n in BENCHES if not options.names or any(n.startswith(w) or w.startswith(n + "/") for w in options.names)]
    if not chosen:
        sys.exit("bench: no benchmark of that name; there are " + ", ".join(BENCHES))
    try:
        for n in chosen:
            BENCHES[n]()
    except tenbox.Failed as error:
        sys.exit("bench: %s" % error)
    print(json.dumps(results))
