# SPDX-License-Identifier: MIT
"""Starts tenbox with a guest, reads its console, and says what went wrong: the shared part of the guest tests."""
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TENBOX = os.environ.get("TENBOX", os.path.join(TOP, "build/release/tenbox"))
GUEST = os.path.join(TOP, "build/guest")


# As root, give up every capability first: tenbox must not need one.
UNPRIVILEGED = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"] if os.geteuid() == 0 else []
CASES = []


class Failed(Exception):
    pass


def case(function):
    """Marks a test; run() takes them in order."""
    CASES.append(function)
    return function


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpio_entry(name, mode, data):
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def initrd_with(arch, script, directory, programs=(), archives=()):
    """The guest's initrd with archives, programs of the host as /NAME, and `script` as /test.sh added; returns the path."""
    path = os.path.join(directory, "initrd.cpio")
    with open(path, "wb") as f:
        for name in [os.path.join(GUEST, arch, "initrd.cpio"), *archives]:
            with open(name, "rb") as g:
                shutil.copyfileobj(g, f)
            f.write(b"\0" * (-f.tell() % 512))
        for program in programs:
            with open(program, "rb") as g:
                f.write(cpio_entry(os.path.basename(program), 0o100755, g.read()))
        f.write(cpio_entry("test.sh", 0o100755, script.encode()) + cpio_entry("TRAILER!!!", 0, b""))
    return path


class Machine:
    """One tenbox process; the guest's serial console is its standard output."""

    def __init__(self, args, stdin=False):
        self.output = b""
        self.seen = 0
        self.errors = tempfile.TemporaryFile()
        self.started = time.time()
        self.process = subprocess.Popen(UNPRIVILEGED + [TENBOX] + [str(a) for a in args], stdout=subprocess.PIPE, stderr=self.errors,
                                        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, cwd=TOP)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")

    def text(self):
        return self.output.decode("utf-8", "replace").replace("\r", "")

    def read(self, deadline):
        left = deadline - time.time()
        if left <= 0:
            return None
        ready, _, _ = select.select([self.process.stdout], [], [], left)
        if not ready:
            return None
        data = os.read(self.process.stdout.fileno(), 65536)
        self.output += data
        return data

    def fail(self, what):
        tail = "\n".join("    | " + line for line in self.text().split("\n")[-25:])
        raise Failed("%s\n%s\n    stderr: %s" % (what, tail, self.stderr()[-2000:]))

    def expect(self, pattern, seconds):
        """Waits until the console, after what was matched before, shows the regular expression; returns the match."""
        deadline = time.time() + seconds
        while True:
            match = re.search(pattern, self.text()[self.seen:])
            if match:
                self.seen += match.end()
                return match
            data = self.read(deadline)
            if data is None:
                self.fail("no /%s/ within %d s" % (pattern, seconds))
            if data == b"":
                self.process.wait()
                self.fail("ended (status %s) before /%s/" % (self.process.returncode, pattern))

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self, seconds):
        """Waits for the process to end by itself; returns its exit status."""
        deadline = time.time() + seconds
        while True:
            data = self.read(deadline)
            if data is None:
                self.fail("still running after %d s" % seconds)
            if data == b"":
                return self.process.wait(timeout=10)


def png_size(path):
    with open(path, "rb") as f:
        head = f.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise Failed("%s is no PNG" % path)
    return struct.unpack(">II", head[16:24])


def run(cases, argv):
    """Runs the test functions of `cases` (those whose name holds one of argv's words, if any); returns the exit status."""
    passed, failed = 0, 0
    for function in cases:
        name = function.__name__.replace("_", " ")
        if argv and not any(word in function.__name__ for word in argv):
            continue
        start = time.time()
        try:
            function()
            print("  ok      %-70s %6.1f s" % (name, time.time() - start), flush=True)
            passed += 1
        except (Failed, AssertionError, OSError, subprocess.TimeoutExpired) as error:
            print("  FAILED  %s\n    %s" % (name, error), flush=True)
            failed += 1
    print("guest: %d passed, %d failed" % (passed, failed))
    return 1 if failed else 0
