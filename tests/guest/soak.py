# SPDX-License-Identifier: MIT
"""Boots in a row: soak.py [N] boots the Debian kernel N times to traffic on the network and power-off, with 1, 2 and 4
processors and both cards in turn, and counts what fails.  Environment: TENBOX, TENBOX_ACCEL (an engine), TENBOX_JOBS
(so many at once), TENBOX_SMP ("1 2 4"), TENBOX_KEEP (a folder for the consoles of those that failed)."""
import concurrent.futures
import os
import re
import sys
import tempfile
import time

import host
from test_boot import LEASE, direct
from tenbox import Failed, Machine

SIZE = 1 << 20
SCRIPT = """
net
port=$(arg port)
wget -q -O /tmp/file http://10.0.2.2:$port/random/%d
say "down $(sha256sum </tmp/file | cut -d' ' -f1)"
say "up $(put /up /tmp/file)"
ping -c 1 10.0.2.2 >/dev/null && say "ping works"
dmesg | grep -E 'WARNING:|BUG:|Oops|unstable|stall|lockup' | sed 's/^/complaint: /'
""" % SIZE
CARDS = ("virtio-net-pci", "e1000")
# Faults of the machine, and what a host too busy to run its processors can bring about as well.
WRONG = re.compile(r"Kernel panic.*|complaint: .*(WARNING:|BUG:|Oops).*")
ODD = re.compile(r"complaint: .*")


def boot(number, cpus, card):
    """One boot; returns the seconds, what went wrong (None: nothing), and complaints of the kernel that are none."""
    began = time.time()
    with tempfile.TemporaryDirectory() as directory:
        args = direct("amd64", SCRIPT, directory, "-smp", cpus, "-nic", "user,model=" + card, "-no-reboot")
        with Machine(args) as machine:
            try:
                digest = host.sha256(SIZE)
                for pattern in ("/init started, %d cpu" % cpus, LEASE, "down " + digest, "up " + digest, "ping works"):
                    machine.expect(pattern, 150)
                status = machine.wait(60)
                if status != 0:
                    machine.fail("exit status %d" % status)
                if WRONG.search(machine.text()):
                    machine.fail(WRONG.search(machine.text()).group(0))
            except Failed as error:
                keep = os.environ.get("TENBOX_KEEP")
                if keep:
                    with open(os.path.join(keep, "soak-%d.txt" % number), "w") as f:
                        f.write(machine.text())
                return time.time() - began, str(error), []
    return time.time() - began, None, ODD.findall(machine.text())


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    smp = [int(n) for n in os.environ.get("TENBOX_SMP", "1 2 4").split()]
    plan = [(i, smp[i % len(smp)], CARDS[i // len(smp) % len(CARDS)]) for i in range(count)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("TENBOX_JOBS", "1"))) as pool:
        for (number, cpus, card), (seconds, wrong, odd) in zip(plan, pool.map(lambda p: boot(*p), plan)):
            result = "FAILED" if wrong else "ok    "
            print("  %s %3d: %d cpu, %-15s %6.1f s" % (result, number, cpus, card, seconds), flush=True)
            for line in odd:
                print("    " + line, flush=True)
            if wrong:
                print("    " + wrong, flush=True)
                failed += 1
    print("soak: %d passed, %d failed" % (count - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
