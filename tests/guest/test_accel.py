# SPDX-License-Identifier: MIT
"""The engines as their options choose them: hosts that refuse, logs, counted instructions."""
import ctypes
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

from tenbox import CASES, GUEST, TENBOX, TOP, UNPRIVILEGED, Machine, case, initrd_with, run

KERNEL = os.path.join(GUEST, "bare/testdev.elf")
SCRATCH = tempfile.TemporaryDirectory()
MODULE = os.path.join(SCRATCH.name, "module")
with open(MODULE, "w") as file:
    file.write("module")
BARE = ["-nographic", "-nic", "none", "-kernel", KERNEL, "-initrd", MODULE + " argument", "-append", "verbose exit=1", "-device", "pc-testdev", "-device", "pci-testdev",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]

BPF_LD_W_ABS, BPF_JEQ, BPF_JSET, BPF_RET = 0x20, 0x15, 0x45, 0x06
SYS_MMAP, SYS_MPROTECT, EACCES = 9, 10, 13
PROT_EXEC, MAP_SHARED = 4, 1
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def refuse_executable_memory():
    """From now on this process and what it starts gets EACCES for memory made executable, as SELinux may have it."""
    # struct seccomp_data: nr, arch, ip, args
    program = [(BPF_LD_W_ABS, 0, 0, 0), (BPF_JEQ, 3, 0, SYS_MPROTECT), (BPF_JEQ, 0, 5, SYS_MMAP),
               (BPF_LD_W_ABS, 0, 0, 40), (BPF_JSET, 0, 3, MAP_SHARED),
               (BPF_LD_W_ABS, 0, 0, 32), (BPF_JSET, 0, 1, PROT_EXEC),
               (BPF_RET, 0, 0, 0x00050000 | EACCES), (BPF_RET, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *i) for i in program))
    filter_ = struct.pack("=Hxxxxxx", len(program)) + struct.pack("=Q", ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def refused(*more):
    p = subprocess.run(UNPRIVILEGED + [TENBOX, *BARE, *more], stdin=subprocess.DEVNULL, capture_output=True, cwd=TOP, timeout=100,
                       preexec_fn=refuse_executable_memory, text=True)
    return p.returncode, p.stdout, p.stderr


@case
def without_executable_memory_the_interpreter_runs_and_a_line_says_so():
    for more in ([], ["-accel", "tcg"]):
        status, out, err = refused(*more)
        assert status == 3 and "all of it works" in out, (status, out, err)
        assert len(err.splitlines()) == 1 and "warning: no binary translator: this host does not let memory be executed" in err, err


@case
def without_executable_memory_accel_xlat_is_an_error():
    status, out, err = refused("-accel", "xlat")
    assert status == 1 and not out, (status, out, err)
    assert len(err.splitlines()) == 1 and "-accel xlat: this host does not let memory be executed: mprotect: Permission denied" in err, err
    status, out, err = refused("-accel", "interp")
    assert status == 3 and not err, (status, err)


def bare(*more, status=3):
    with Machine(BARE + list(more)) as machine:
        found = machine.wait(100)
        assert found == status and "all of it works" in machine.text(), "%s: %s %s" % (more, found, machine.text() + machine.stderr())


def logged(*more):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "log")
        bare("-D", path, *more)
        with open(path) as f:
            return f.read()


@case
def the_log_shows_guest_code_and_the_host_code_made_of_it():
    text = logged("-d", "in_asm,op,out_asm")
    assert re.search(r"^cpu0: block \d+ at [0-9a-f]{6,}, key [0-9a-f]+, [2-9]\d* instructions$", text, re.M)
    guest = re.search(r"^  0000000000[0-9a-f]{6}  cmp .*$", text, re.M)
    op = re.search(r"^  0000000000[0-9a-f]{6}  cmp +live [oszapc-]{6}, flags in (memory|the host's)", text, re.M)
    host = re.search(r"^    0x[0-9a-f]+  (3d|83|81)[0-9a-f]+ +cmp ", text, re.M)
    assert guest and op and host, (guest, op, host)
    assert re.search(r"^  .*  (out|hlt|lidt) .*interpreter", text, re.M), "nothing goes to the interpreter"


@case
def exec_shows_each_block_and_blocks_can_be_single_instructions():
    text = logged("-d", "in_asm,exec,nochain", "-accel", "xlat,one-insn-per-tb=on")
    blocks = re.findall(r"^cpu0: block \d+ at ([0-9a-f]+), key [0-9a-f]+, (\d+) instructions$", text, re.M)
    assert len(blocks) > 100 and all(n == "1" for _, n in blocks)
    entered = re.findall(r"^cpu0: ([0-9a-f]{16}) image [0-9a-f]{4} rax ", text, re.M)
    assert len(entered) > len(blocks) and set(int(b[0], 16) for b in blocks) <= set(int(e, 16) for e in entered)


@case
def perf_finds_the_names_of_translated_code():
    with Machine(BARE + ["-perfmap"]) as machine:
        path = "/tmp/perf-%d.map" % machine.process.pid
        try:
            assert machine.wait(100) == 3, machine.text() + machine.stderr()
            with open(path) as f:
                lines = f.read().splitlines()
        finally:
            if os.path.exists(path):
                os.unlink(path)
    assert lines[0].endswith("translator's ways in and out") and len(lines) > 50, lines[:3]
    end = 0
    for line in lines[1:]:
        match = re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) guest ([0-9a-f]{16})", line)
        assert match and int(match.group(1), 16) >= end, line
        end = int(match.group(1), 16) + int(match.group(2), 16)


def typed(lines, *more):
    """What the monitor says to these lines while the bare kernel idles."""
    args = BARE[1:] + ["-display", "none", "-serial", "null", "-monitor", "stdio", "-smp", "2", *more]
    with Machine(args, stdin=True) as machine:
        machine.expect(r"\(tenbox\) ", 20)
        machine.type("".join(line + "\n" for line in lines))
        machine.wait(60)
        return machine.text()


@case
def the_monitor_tells_what_the_translator_did():
    text = typed(["info jit", "quit"], "-S")
    assert re.search(r"cpu0: code \d+ of \d+ KiB.*blocks 0", text) and "cpu1: code" in text, text
    text = typed(["info jit", "quit"], "-S", "-accel", "interp")
    assert "cpu0: the interpreter is the engine" in text, text
    with tempfile.TemporaryDirectory() as directory:
        initrd_with("amd64", "while :; do :; done", directory)
        args = ["-m", 256, "-kernel", os.path.join(GUEST, "amd64/vmlinuz"), "-initrd", os.path.join(directory, "initrd.cpio"),
                "-append", "console=ttyS0", "-display", "none", "-serial", "null", "-nic", "none", "-monitor", "stdio", "-smp", "2"]
        with Machine(args, stdin=True) as machine:
            for _ in range(60):
                machine.type("info jit\n")
                made = machine.expect(r"translated:  blocks (\d+), instructions (\d+), guest bytes \d+, host bytes \d+", 30)
                if int(made.group(1)) > 20000:
                    break
                time.sleep(0.5)
            machine.type("log exec\n")
            time.sleep(0.3)
            machine.type("log none\ninfo jit\nquit\n")
            for pattern in (r"chains:      made [1-9]\d+, undone \d+", r"TLB fills:   [1-9]\d+", r"device or read-only memory +\d+, stores [1-9]\d*",
                            r"handlers called in place, by opcode: [1-9]\d*", r"interpreter by opcode: \d+", r"cpu1: code"):
                machine.expect(pattern, 30)
            assert machine.wait(60) == 0
            assert re.search(r"^cpu[01]: [0-9a-f]{16} image", machine.stderr(), re.M), "no block in the log"


@case
def hosts_without_this_and_that_run_guests_all_the_same():
    script = """echo sum $(cat /bin/busybox | sha256sum)
awk 'BEGIN { for (i = 1; i < 2000; i++) s += i / 3.7 * (i % 7 - 3.1); printf "%.12f\\n", s }'
"""
    sums = set()
    with tempfile.TemporaryDirectory() as directory:
        initrd_with("amd64", script, directory)
        for more in ([], ["-accel", "xlat,without=bmi2+fsgsbase"], ["-accel", "xlat,without=avx", "-cpu", "max"], ["-cpu", "max"],
                     ["-accel", "xlat,without=xsave+avx+bmi2+fsgsbase", "-smp", "2"]):
            args = ["-m", 256, "-kernel", os.path.join(GUEST, "amd64/vmlinuz"), "-initrd", os.path.join(directory, "initrd.cpio"),
                    "-append", "console=ttyS0 quiet panic=-1", "-nographic", "-nic", "none"]
            with Machine(args + more) as machine:
                assert machine.wait(200) == 0, machine.text()
                found = re.search(r"sum ([0-9a-f]{64}).*\n(-?\d+\.\d{12})", machine.text())
                assert found, machine.text()
                sums.add(found.groups())
    assert len(sums) == 1, sums


@case
def odd_settings_of_the_translator_still_run():
    for more in (["-accel", "xlat,tb-size=1"], ["-accel", "xlat,exact-flags=on"], ["-d", "nochain", "-D", os.devnull],
                 ["-accel", "tcg,tb-size=1,thread=multi", "-smp", "4"], ["-singlestep"], ["-accel", "xlat", "-icount", "3"]):
        bare(*more)


SCRIPT = """
cat /proc/interrupts /proc/stat
cat /proc/uptime
i=0; while [ $i -lt 300 ]; do i=$((i+1)); done
dmesg | tail -3
"""


def counted(directory, engine, *more):
    args = ["-m", 256, "-kernel", os.path.join(GUEST, "amd64/vmlinuz"), "-initrd", os.path.join(directory, "initrd.cpio"),
            "-append", "console=ttyS0 panic=-1", "-nographic", "-nic", "none", "-icount", "3,sleep=off", "-accel", engine]
    with Machine(args + list(more)) as machine:
        assert machine.wait(300) == 0, machine.text()
        return machine.text()


@case
def a_counted_boot_is_the_same_each_time_and_on_both_engines():
    with tempfile.TemporaryDirectory() as directory:
        initrd_with("amd64", SCRIPT, directory)
        first = counted(directory, "xlat")
        assert "Power down" in first, first
        assert counted(directory, "xlat") == first, "two runs of the translator differ"
        assert counted(directory, "xlat,one-insn-per-tb=on,tb-size=1") == first, "the translator's settings make a difference"
        assert counted(directory, "interp") == first, "the interpreter differs from the translator"


if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[1:]))
