# SPDX-License-Identifier: MIT
"""Guests that do their worst: tenbox goes on answering its monitor, or ends as a PC would, and never hangs or crashes."""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

from tenbox import CASES, Machine, case, run

ACCEL = os.environ.get("TENBOX_ACCEL")


def multiboot(directory, source):
    """A multiboot image (a.out kludge) of 32-bit code, assembled by as; entered at 1 MB in flat protected mode."""
    text = os.path.join(directory, "guest.S")
    with open(text, "w") as f:
        f.write(".intel_syntax noprefix\n.code32\n.globl _start\n_start:\n" + source + "\n")
    subprocess.run(["as", "--32", "-o", text + ".o", text], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x100020", "--oformat=binary", "-o", text + ".bin", text + ".o"], check=True)
    with open(text + ".bin", "rb") as f:
        code = f.read()
    flags = 1 << 16
    head = struct.pack("<III", 0x1BADB002, flags, -(0x1BADB002 + flags) & 0xffffffff)
    head += struct.pack("<IIIII", 0x100000, 0x100000, 0x100020 + len(code), 0x100020 + len(code) + 65536, 0x100020)
    path = os.path.join(directory, "guest.img")
    with open(path, "wb") as f:
        f.write(head + code)
    return path


def arguments(directory, source, *more):
    args = ["-m", "64", "-kernel", multiboot(directory, source), "-display", "none", "-serial", "stdio", "-no-reboot"]
    return args + (["-accel", ACCEL] if ACCEL else []) + list(more)


def ends(source, status, *more):
    with tempfile.TemporaryDirectory() as directory:
        with Machine(arguments(directory, source, *more)) as machine:
            found = machine.wait(30)
            if found != status:
                machine.fail("exit status %d, not %d" % (found, status))


def survives(source, *more, seconds=6):
    """Runs the guest for some seconds; unless it has reset the machine by itself, the monitor must answer and quit."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "monitor")
        with Machine(arguments(directory, source, "-monitor", "unix:%s,server=on,wait=off" % path, *more)) as machine:
            deadline = time.time() + seconds
            while time.time() < deadline and machine.process.poll() is None:
                time.sleep(0.1)
            if machine.process.poll() is None:
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(20)
                    s.connect(path)
                    s.sendall(b"info registers\n")
                    text = b""
                    while b"CR0" not in text:
                        text += s.recv(4096)
                    s.sendall(b"quit\n")
            if machine.wait(20) != 0:
                machine.fail("exit status %d" % machine.process.returncode)


RANDOM = "imul ebx, ebx, 1103515245\n add ebx, 12345\n"


@case
def a_triple_fault_resets():
    ends("lidt [idt]\n int3\n idt: .word 0\n .long 0", 0)


@case
def a_wild_jump_ends_in_a_reset():
    ends("lidt [idt]\n mov eax, 0xdeadbeef\n jmp eax\n idt: .word 0\n .long 0", 0)


@case
def isa_debug_exit_gives_the_status():
    ends("mov eax, 20\n mov dx, 0xf4\n out dx, eax", 41, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04")


@case
def halt_without_interrupts_can_be_quit():
    survives("cli\n hlt", seconds=2)


@case
def every_port_hammered_with_noise():
    # but for the neighbourhoods of 64h, 92h, 604h and CF9h, where a store resets or powers off and so ends the test early
    spared = "".join("cmp ecx, %#x\n je 1b\n" % port for port in (0x50, 0x60, 0x80, 0x90, 0x5f0, 0x600, 0xcf0))
    survives("mov ebx, 1\n 1: " + RANDOM + "mov edx, ebx\n shr edx, 12\n and edx, 0xffff\n mov ecx, edx\n and ecx, 0xfff0\n" + spared + RANDOM +
             "mov eax, ebx\n test eax, 0x10000\n jz 2f\n out dx, al\n in eax, dx\n jmp 1b\n 2: out dx, eax\n in al, dx\n jmp 1b",
             "-nic", "user,model=e1000", "-device", "virtio-net-pci", "-vga", "std")


@case
def every_device_register_hammered_with_noise():
    survives("mov ebx, 7\n 1: " + RANDOM + "mov edi, ebx\n or edi, 0xe0000000\n " + RANDOM + "mov [edi], ebx\n mov eax, [edi]\n mov [edi], bl\n jmp 1b",
             "-nic", "user,model=e1000", "-device", "virtio-net-pci", "-vga", "std")


@case
def e1000_rings_full_of_noise():
    # BAR0 is where the direct boot has put it: config mechanism 1, slot by slot, first e1000
    survives("mov ebx, 3\n mov esi, 0x80001800\n"
             "mov eax, esi\n or eax, 0x10\n mov dx, 0xcf8\n out dx, eax\n mov dx, 0xcfc\n in eax, dx\n and eax, 0xfffffff0\n mov ebp, eax\n"
             "mov eax, esi\n or eax, 4\n mov dx, 0xcf8\n out dx, eax\n mov dx, 0xcfc\n mov eax, 7\n out dx, eax\n"
             "1: mov ecx, 4096\n mov edi, 0x200000\n 2: " + RANDOM + "mov eax, ebx\n and eax, 0x3fffffff\n stosd\n loop 2b\n"
             "mov dword ptr [ebp + 0x3800], 0x200000\n mov dword ptr [ebp + 0x3808], 4096\n mov dword ptr [ebp + 0x400], 2\n"
             "mov dword ptr [ebp + 0x2800], 0x202000\n mov dword ptr [ebp + 0x2808], 4096\n mov dword ptr [ebp + 0x100], 0x801e\n"
             + RANDOM + "mov eax, ebx\n shr eax, 24\n mov [ebp + 0x3818], eax\n mov [ebp + 0x2818], eax\n jmp 1b",
             "-nic", "user,model=e1000")


@case
def code_that_rewrites_itself_for_ever():
    survives("1: inc byte ptr [2f + 1]\n 2: mov al, 0\n add ecx, eax\n jmp 1b", seconds=3)


if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[1:]))
