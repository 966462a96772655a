# SPDX-License-Identifier: MIT
"""Options of the user network from a real guest: guestfwd to a command, a socket and a character device, restrict=on, and a pause."""
import os
import signal
import socket
import sys
import tempfile
import threading
import time

from tenbox import CASES, Machine, case, free_port, run
from test_boot import direct, seconds


def echo_upper(server):
    while True:
        try:
            c, _ = server.accept()
        except OSError:
            return
        with c:
            c.sendall(c.recv(100).upper())


@case
def a_restricted_guest_uses_guestfwd_and_nothing_else():
    script = """net
ask() { (echo "$3"; sleep 2) | timeout 20 nc $1 $2 | head -n 1; }
say "command: $(ask 10.0.2.100 1 hello)"
say "socket: $(ask 10.0.2.100 2 hello)"
say "stream: $(ask 10.0.2.4 3 hello)"
say "file: $(echo to a file | nc -w 2 10.0.2.4 5)"
say "closed: $(nc 10.0.2.100 4 </dev/null 2>&1)"
say "host: $(nc 10.0.2.2 %d </dev/null 2>&1)"
say "outside: $(nc -w 5 203.0.113.1 80 </dev/null 2>&1)"
ping -c 1 -W 5 10.0.2.100 >/dev/null && say "the address answers"
"""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as plain, socket.socket() as tcp:
        path, stream = os.path.join(directory, "plain"), os.path.join(directory, "stream")
        plain.bind(path)
        plain.listen(5)
        threading.Thread(target=echo_upper, args=(plain,), daemon=True).start()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(5)
        nic = ("user,model=virtio-net-pci,restrict=on,guestfwd=tcp:10.0.2.100:1-cmd:sed -u s/hello/goodbye/,guestfwd=tcp:10.0.2.100:2-unix:%s,"
               "guestfwd=tcp::3-chardev:c0,guestfwd=tcp::5-file:%s" % (path, directory + "/out"))
        with Machine(direct("amd64", script % tcp.getsockname()[1], directory, "-nic", nic, "-chardev",
                            "socket,id=c0,path=%s,server=on,wait=off" % stream)) as machine:
            machine.expect("tenbox-guest: command: goodbye", seconds(150))
            with socket.socket(socket.AF_UNIX) as c:
                c.connect(stream)
                c.settimeout(seconds(60))
                machine.expect("tenbox-guest: socket: HELLO", seconds(60))
                got = c.recv(100)
                if got != b"hello\n":
                    machine.fail("the stream got %r" % got)
                c.sendall(b"from the stream\n")
                machine.expect("tenbox-guest: stream: from the stream", seconds(60))
            machine.expect("tenbox-guest: file: \n", seconds(60))
            with open(directory + "/out", "rb") as f:
                if f.read() != b"to a file\n":
                    machine.fail("the file does not hold what was said to it")
            machine.expect("tenbox-guest: closed: .*refused", seconds(60))
            machine.expect("tenbox-guest: host: .*refused", seconds(60))
            machine.expect("tenbox-guest: outside: .*(refused|unreachable)", seconds(60))
            machine.expect("tenbox-guest: the address answers", seconds(60))
            if machine.wait(seconds(60)) != 0:
                machine.fail("exit status %d" % machine.process.returncode)


@case
def a_connection_lives_through_a_pause_of_the_program():
    port = free_port()
    script = "net\nnc -l -p 80 -e cat &\nuntil cat /proc/net/tcp* | grep -q ':0050 '; do sleep 0.2; done\nsay ready\nwait\n"
    with tempfile.TemporaryDirectory() as directory:
        with Machine(direct("amd64", script, directory, "-nic", "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:%d-:80" % port)) as machine:
            machine.expect("tenbox-guest: ready", seconds(150))
            with socket.create_connection(("127.0.0.1", port), timeout=seconds(20)) as s:
                def turn(text):
                    got = b""
                    while len(got) < len(text) and (part := s.recv(100)):
                        got += part
                    if got != text:
                        machine.fail("%r came back instead of %r" % (got, text))
                s.sendall(b"before")
                turn(b"before")
                os.kill(machine.process.pid, signal.SIGSTOP)
                s.sendall(b"meanwhile")
                time.sleep(4)
                os.kill(machine.process.pid, signal.SIGCONT)
                turn(b"meanwhile")
                s.sendall(b"after")
                turn(b"after")
            if machine.wait(seconds(60)) != 0:
                machine.fail("exit status %d" % machine.process.returncode)


if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[1:]))
