# SPDX-License-Identifier: MIT
"""Figures, not tests: bench.py BUILD [OPTIONS] [NAME...] runs the benchmarks whose names begin with one of NAME, or the
one line of a benchmark that NAME says in full (cpu/sieve), on tenbox and, where it is installed, on qemu-system-x86_64
(TCG) in the same run, and prints a table and, as the last line, the same as JSON."""
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
WORKS = ("sieve qsort calls crc bytecode chase nbody matrix x87 memcpy strings syscalls faults pipes forks execs "
         "signals rewrites").split()
results = []
PXE_MB = 40


def report(name, unit, ours, theirs=None, more_is_better=True):
    ratio = None
    if ours and theirs:
        ratio = ours / theirs if more_is_better else theirs / ours
    results.append({"name": name, "unit": unit, "ours": ours, "peer": theirs, "ratio": ratio})
    peer = "" if theirs is None else "peer %.4g, %.2f times as good" % (theirs, ratio or 0)
    print("%-28s %10s %-8s %s" % (name, "-" if ours is None else "%.4g" % ours, unit, peer), flush=True)


def machine(program, *args, stdin=False):
    tenbox.TENBOX = program
    args = list(args) + ["-nographic", "-no-reboot"]
    if program == PEER:
        args += ["-accel", "tcg"]
    elif ACCEL:
        args += ["-accel", ACCEL]
    return tenbox.Machine(args, stdin)


def build(*tool):
    """Runs one of tools/ that makes what a benchmark boots; it does nothing if that is there."""
    subprocess.run(tool, check=True, cwd=TOP)


class Guest:
    """A direct boot of the small guest with a script, on either program."""

    def __init__(self, program, script, *more, arch="amd64", programs=(), archives=(), ram=RAM):
        self.directory = tempfile.TemporaryDirectory()
        kernel = os.path.join(tenbox.GUEST, arch, "vmlinuz")
        initrd = tenbox.initrd_with(arch, script, self.directory.name, programs, archives)
        self.machine = machine(program, "-m", ram, "-kernel", kernel, "-initrd", initrd,
                               "-append", "console=ttyS0 quiet tenbox.port=%d" % PORT, *more)

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
    """Figures of the host or of the peer, kept from run to run: with --peer=cached they are not measured again."""

    def __init__(self, name):
        self.path = os.path.join(BUILD, "bench-%s.json" % name)
        try:
            with open(self.path) as f:
                self.values = json.load(f)
        except (OSError, ValueError):
            self.values = {}

    def get(self, lines, measure):
        """{line: (seconds, checksum)}; `measure` gets those that are to be measured now, and yields (line, that)."""
        if options.peer == "none":
            return {}
        if options.peer == "cached":
            lines = [line for line in lines if line not in self.values]
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


def next_mark(guest):
    m = guest.expect(MARK + "|guestmark: .* failed", 1200)
    if not m.group(1):
        guest.fail(m.group(0))
    return m.group(1), (float(m.group(2)), m.group(3))


def geometric_mean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else None


def cell(value, form="%.4f"):
    return "-" if value is None else form % value


def table(group, lines, in_guest, natively=None):
    """Measures the lines on the host, the peer and tenbox and prints each.  `in_guest(program, lines)` and
    `natively(lines)` yield (line, (seconds, checksum or None))."""
    native = Kept("native-" + group).get(lines, lambda some: dict(natively(some))) if natively else {}
    peer = Kept("peer-" + group).get(lines, lambda some: dict(in_guest(PEER, some))) if PEER else {}
    print("%-16s %9s %9s %9s %9s %9s" % ("seconds", "native", "TCG", "ours", "TCG/ours", "ours/nat."))
    rows = []
    for name, (seconds, check) in in_guest(OURS, lines):
        row = {"name": group + "/" + name, "unit": "s", "ours": seconds, "native": None, "peer": None, "wrong": False}
        for who, key in ((native, "native"), (peer, "peer")):
            if name in who:
                row[key] = who[name][0]
                row["wrong"] |= who[name][1] != check
        row["ratio"] = row["peer"] and row["peer"] / seconds
        row["over_native"] = row["native"] and seconds / row["native"]
        rows.append(row)
        print("%-16s %9s %9s %9.4f %9s %9s%s" % (
            row["name"], cell(row["native"]), cell(row["peer"]), seconds, cell(row["ratio"], "%.2f"),
            cell(row["over_native"], "%.2f"), "  WRONG RESULT" if row["wrong"] else ""), flush=True)
    results.extend(rows)
    if len(rows) > 1:
        means = [geometric_mean([row[key] for row in rows if row[key]]) for key in ("ratio", "over_native")]
        results.append({"name": group + "/geometric-mean", "ratio": means[0], "over_native": means[1]})
        print("%-46s %9s %9s" % (group + "/geometric-mean", cell(means[0], "%.2f"), cell(means[1], "%.2f")))


def works_in_guest(program, lines, *more):
    script = "/guestmark -r %d %s" % (options.repeats, " ".join(lines))
    with Guest(program, script, "-nic", "none", *more, programs=[GUESTMARK]) as guest:
        for _ in lines:
            yield next_mark(guest)


def works_natively(lines):
    command = [GUESTMARK, "-r", str(options.repeats)] + lines
    out = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return [(name, (float(s), check)) for name, s, check in re.findall(MARK, out)]


def bench_cpu():
    table("cpu", lines_of("cpu", WORKS), works_in_guest, works_natively)


# Real programs.  openssl counts what it does in a given time, so its lines are seconds for 1 MB, or for one signature.
SPEED = {"sha256": "-bytes 16384 -evp sha256", "aes-128-cbc": "-bytes 16384 -evp aes-128-cbc", "rsa2048": "rsa2048"}
COMMANDS = {
    "xz": "{xz} -6 -T1 -c data",
    "python": "{python} work.py",
    "gcc": "sh -c '{gcc} -std=gnu11 -O2 -D_GNU_SOURCE -c -o /tmp/tenbox-work.o guestmark.c && cat /tmp/tenbox-work.o'",
}


def speed_result(name, text):
    """Seconds from the line for machines that `openssl speed -mr` ends with."""
    m = re.search(r"\+F:\d+:[^:]+:([\d.]+)|\+F2:\d+:2048:([\d.]+):", text)
    if not m:
        raise tenbox.Failed("openssl speed said nothing of %s:\n%s" % (name, text))
    return name, (1e6 / float(m.group(1)) if m.group(1) else 1 / float(m.group(2)), None)


def real_in_guest(program, lines):
    script = "export PYTHONHOME=/usr PATH=/usr/bin:$PATH\ncd /work\nmkdir -p /tmp\n"
    names = {"xz": "xz", "python": "python3", "gcc": "gcc"}
    for line in lines:
        if line in SPEED:
            script += "openssl speed -mr -elapsed -seconds 2 %s 2>/dev/null; say did %s\n" % (SPEED[line], line)
        else:
            script += "/guestmark -r %d -time %s %s\n" % (min(options.repeats, 2), line, COMMANDS[line].format(**names))
    archive = os.path.join(tenbox.GUEST, "real/real.cpio")
    with Guest(program, script, "-nic", "none", programs=[GUESTMARK], archives=[archive], ram=1024) as guest:
        for line in lines:
            if line in SPEED:
                before = guest.seen
                guest.expect("did " + line, 300)
                yield speed_result(line, guest.text()[before:])
            else:
                yield next_mark(guest)


def real_natively(lines):
    """The same files, run by their own dynamic linker; of gcc, the host's if its version is the same."""
    root = os.path.join(tenbox.GUEST, "real")
    libraries = ":".join(os.path.join(root, d) for d in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"))
    run = "%s/lib64/ld-linux-x86-64.so.2 --library-path %s %s/usr/bin/" % (root, libraries, root)
    names = {"xz": run + "xz", "python": run + "python3", "gcc": "gcc"}
    for line in lines:
        if line in SPEED:
            command = run + "openssl speed -mr -elapsed -seconds 2 " + SPEED[line]
        else:
            command = "%s -r %d -time %s %s" % (GUESTMARK, options.repeats, line, COMMANDS[line].format(**names))
        if line == "gcc":
            version = subprocess.run(["gcc", "-dumpversion"], capture_output=True, check=True).stdout.decode().strip()
            if not os.path.exists(os.path.join(root, "usr/bin/gcc-" + version)):
                continue
        out = subprocess.run(command, shell=True, capture_output=True, check=True, cwd=os.path.join(root, "fs/work"),
                             env=dict(os.environ, PYTHONHOME=os.path.join(root, "usr"))).stdout.decode()
        if line in SPEED:
            yield speed_result(line, out)
        else:
            m = re.search(MARK, out)
            yield line, (float(m.group(2)), m.group(3))


def bench_real():
    build("tools/build-bench")
    table("real", lines_of("real", list(SPEED) + list(COMMANDS)), real_in_guest, real_natively)


def bench_boot():
    """From the program's start to the guest's /init."""
    build("tools/build-guest", "i386")
    build("tools/build-images")

    def once(program, line):
        if line != "grub":
            with Guest(program, "say up", "-nic", "none", arch=line) as guest:
                guest.expect("/init started", 300)
                return time.time() - guest.started
        disk = "file=%s,format=raw,if=ide,snapshot=on" % os.path.join(tenbox.GUEST, "images/grub.img")
        with machine(program, "-m", RAM, "-nic", "none", "-drive", disk, stdin=True) as guest:
            guest.expect("tenbox guest", 100)
            guest.type("\r")
            guest.expect("/init started", 300)
            return time.time() - guest.started

    def in_guest(program, lines):
        for line in lines:
            yield line, (min(once(program, line) for _ in range(options.repeats)), None)
    table("boot", lines_of("boot", ["amd64", "i386", "grub"]), in_guest)


def bench_smp():
    """Two busy loops on two processors: the seconds of one loop, of two at once, and how much more work two do."""
    first = len(results)
    table("smp", ["busy1", "busy2"], lambda program, lines: works_in_guest(program, lines, "-smp", "2"), works_natively)
    rows = {row["name"]: row for row in results[first:]}
    one, two = rows["smp/busy1"], rows["smp/busy2"]
    gain = {key: 2 * one[key] / two[key] for key in ("native", "peer", "ours") if one[key]}
    results.append(dict(gain, name="smp/two-against-one"))
    print("%-16s %9s %9s %9s" % ("smp/gain", *(cell(gain.get(key), "%.2f") for key in ("native", "peer", "ours"))))


def bench_interp():
    command = [os.path.join(BUILD, "tests/bench/bench_cpu")]
    out = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    for name, mips in re.findall(r"^(\S+)\s+([\d.]+) MIPS", out, re.M):
        report("interp/" + name, "MIPS", float(mips))


def rss_shared(pid):
    """Resident KB that is not the guest's RAM: the one mapping that is as large."""
    total = 0
    guest = False
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            m = re.match(r"^([0-9a-f]+)-([0-9a-f]+) ", line)
            if m:
                guest = int(m.group(2), 16) - int(m.group(1), 16) >= RAM << 20
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


IPERF3 = shutil.which("iperf3")
IPERF_LINE = r"\s([\d.]+) Mbits/sec +receiver"


def with_libraries(program):
    """The program of the host's and what it is linked with: files for the guest's root, and the shell's words that run it there."""
    found = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], capture_output=True, check=True).stdout.decode())
    loader = next(path for path in found if "/ld-linux" in path)
    return [program] + found, "LD_LIBRARY_PATH=/ /%s /%s" % (os.path.basename(loader), os.path.basename(program))


def network(model):
    """Both directions of one TCP stream by iperf3, the best of some short runs, and the time of a ping."""
    if not IPERF3:
        print("%-28s %10s needs iperf3" % ("net/" + model, "-"))
        return
    files, iperf = with_libraries(IPERF3)
    server = subprocess.Popen([IPERF3, "-s", "-p", str(IPERF_PORT)], stdout=subprocess.DEVNULL)
    script = "net\nmkdir -p /tmp\n"
    for word, how in (("up", ""), ("down", " -R")):
        script += ("for i in $(seq %d); do say %s $(%s -c 10.0.2.2 -p %d -t 3 -f m%s | grep -a receiver); done\n" %
                   (options.repeats, word, iperf, IPERF_PORT, how))
    script += """say "quick $(ping -c 50 -A 10.0.2.2 | sed -n 's/.*= //p')"\n"""
    script += """say "slow $(ping -c 20 -i 0.1 10.0.2.2 | sed -n 's/.*= //p')"\n"""

    def once(program):
        with Guest(program, script, "-nic", "user,model=" + model, programs=files) as machine:
            values = []
            for word in ("up", "down"):
                values.append(max(float(machine.expect("guest: %s .*%s" % (word, IPERF_LINE), 100).group(1))
                                  for _ in range(options.repeats)))
            for word in ("quick", "slow"):
                values.append(float(machine.expect(word + r" [\d.]+/([\d.]+)/", 60).group(1)))
            return values
    try:
        ours = once(OURS)
        theirs = once(PEER) if peer_runs() else [None] * 4
    finally:
        server.kill()
        server.wait()
    report("net/%s/guest-to-host" % model, "Mbit/s", ours[0], theirs[0])
    report("net/%s/host-to-guest" % model, "Mbit/s", ours[1], theirs[1])
    report("net/%s/ping" % model, "ms", ours[2], theirs[2], more_is_better=False)
    report("net/%s/ping-pauses" % model, "ms", ours[3], theirs[3], more_is_better=False)


def bench_net_virtio():
    network("virtio-net-pci")


def bench_net_e1000():
    network("e1000")


def bench_net_pxe():
    """SeaBIOS and the card's iPXE: seconds from the boot script's start until a large initrd is there by TFTP."""
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "boot.ipxe"), "w") as f:
            f.write("#!ipxe\necho tftp begins\ninitrd initrd.img\necho tftp is done\nimgstat\nshell\n")
        with open(os.path.join(directory, "initrd.img"), "wb") as f:
            f.write(os.urandom(PXE_MB << 20))

        def once(program):
            nic = "user,model=e1000,tftp=%s,bootfile=boot.ipxe" % directory
            with machine(program, "-m", RAM, "-boot", "n", "-nic", nic) as guest:
                guest.expect("tftp begins", 100)
                began = time.time()
                guest.expect("tftp is done", 300)
                took = time.time() - began
                guest.expect(r"initrd.img : %d bytes" % (PXE_MB << 20), 10)
                return took
        ours, theirs = pair(lambda program: min(once(program) for _ in range(options.repeats)))
    report("net/pxe/tftp-%d-MB" % PXE_MB, "s", ours, theirs, more_is_better=False)


def bench_stack():
    import stack
    stack.bench(report, BUILD)


BENCHES = {"cpu": bench_cpu, "real": bench_real, "boot": bench_boot, "smp": bench_smp, "interp": bench_interp,
           "idle": bench_idle, "net/virtio-net-pci": bench_net_virtio, "net/e1000": bench_net_e1000,
           "net/pxe": bench_net_pxe, "stack": bench_stack}


def parse():
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("build", help="the folder of the build, which holds tenbox")
    parser.add_argument("names", nargs="*", help="benchmarks, or lines of them")
    parser.add_argument("--accel", help="the engine of tenbox (its default)")
    parser.add_argument("--peer", choices=("run", "cached", "none"), default="run",
                        help="run: measure peer and host too; cached: only lines never measured; none: not at all")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each work, of which the shortest counts")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    options = parse()
    BUILD = os.path.abspath(options.build)
    OURS = os.path.join(BUILD, "tenbox")
    GUESTMARK = os.path.join(BUILD, "tests/bench/guestmark")
    ACCEL = options.accel
    PORT, _ = host.start()
    IPERF_PORT = tenbox.free_port()
    chosen = [n for n in BENCHES
              if not options.names or any(n.startswith(w) or w.startswith(n + "/") for w in options.names)]
    if not chosen:
        sys.exit("bench: no benchmark of that name; there are " + ", ".join(BENCHES))
    try:
        for n in chosen:
            BENCHES[n]()
    except tenbox.Failed as error:
        sys.exit("bench: %s" % error)
    print(json.dumps(results))
