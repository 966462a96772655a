# SPDX-License-Identifier: MIT
"""Kernels of our own (tests/guest/bare) on the devices for test kernels: what images written for QEMU rely on."""
import os
import sys
import tempfile

from tenbox import CASES, GUEST, Machine, case, run

DEVICES = ["-device", "pc-testdev", "-device", "pci-testdev", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
ACCEL = ["-accel", os.environ["TENBOX_ACCEL"]] if os.environ.get("TENBOX_ACCEL") else []
LINES = ["multiboot magic", "memory sizes", "a module", "command line", "the register at E0h", "its bytes at E8h",
         "flush at E4h", "memory at FF000000h", "line 14 interrupts through the PIC", "once an edge", "and again",
         "line 15 interrupts through the I/O APIC", "memory BAR", "I/O BAR"]


def testdev(*more):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "module")
        with open(path, "w") as f:
            f.write("module")
        kernel = os.path.join(GUEST, "bare/testdev.elf")
        args = ["-nographic", "-nic", "none", "-kernel", kernel, "-initrd", path + " argument"]
        with Machine(args + DEVICES + (ACCEL if "-icount" not in more else []) + list(more)) as machine:
            return machine.wait(60), machine.text()


@case
def a_test_kernel_for_qemu_finds_its_devices_and_its_exit_status():
    status, text = testdev("-append", "verbose exit=21")
    assert status == 21 * 2 + 1, "exit status %s\n%s" % (status, text)
    for line in LINES:
        assert "ok: " in text and line in text, "no line for %s\n%s" % (line, text)
    assert "all of it works" in text


@case
def a_test_kernel_runs_in_icount_mode_and_with_two_processors():
    for more in (["-icount", "3"], ["-smp", "2"], ["-device", "pci-testdev,membar=1M"]):
        status, text = testdev("-append", "exit=1", *more)
        assert status == 3, "%s: exit status %s\n%s" % (" ".join(more), status, text)


@case
def the_usual_command_line_of_test_kernels_is_understood():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "module")
        with open(path, "w") as f:
            f.write("module")
        line = ("-nodefaults -device pc-testdev -device isa-debug-exit,iobase=0xf4,iosize=0x4 -vnc none -serial stdio "
                "-device pci-testdev -machine accel=tcg -smp 1 -cpu max -no-reboot -append exit=5")
        kernel = os.path.join(GUEST, "bare/testdev.elf")
        with Machine(line.split() + ["-kernel", kernel, "-initrd", path, *ACCEL]) as machine:
            status, text = machine.wait(60), machine.text()
    assert status == 11 and "all of it works" in text, "exit status %s\n%s" % (status, text)


@case
def a_test_kernel_that_fails_ends_with_its_own_status():
    status, text = testdev("-append", "no status")
    assert status == 99 * 2 + 1 and "FAILED: command line" in text, "exit status %s\n%s" % (status, text)


@case
def an_x87_error_without_numeric_error_bit_is_irq_13():
    kernel = os.path.join(GUEST, "bare/fpu.elf")
    with Machine(["-nographic", "-nic", "none", "-kernel", kernel, *DEVICES[-2:], *ACCEL]) as machine:
        status, text = machine.wait(60), machine.text()
    assert status == 3 and "port F0h lets the next one in" in text, "exit status %s\n%s" % (status, text)


if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[1:]))
