# SPDX-License-Identifier: MIT
"""A bad cable.  Runs inside the namespace: makes a card of its own, eth0, with the guest's address, and carries frames between it and
tap0; of a hundred it loses, doubles and holds back (so that others overtake it) as many as the arguments say, each way."""
import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 2, 0x1000, 0x4000
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 263, 15, 23, 3
HELD_S = 0.004                  # the longest that a frame is held back


def card():
    """eth0, whose frames carry the same header of offloads as those of tap0, so that long segments cross as they are."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return fd


def wire():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("tap0", ETH_P_ALL))
    return s


class Way:
    """One direction."""

    def __init__(self, send, rates):
        self.send, self.rates, self.held = send, rates, []
        self.count = {"whole": 0, "lost": 0, "doubled": 0, "late": 0}

    def carry(self, frame):
        lost, doubled, late = self.rates
        chance = random.random() * 100
        if chance < lost:
            self.count["lost"] += 1
        elif chance < lost + doubled:
            self.count["doubled"] += 1
            self.send(frame)
            self.send(frame)
        elif chance < lost + doubled + late:
            self.count["late"] += 1
            self.held.append((time.monotonic() + random.uniform(0.001, HELD_S), frame))
        else:
            self.count["whole"] += 1
            self.send(frame)

    def release(self):
        now = time.monotonic()
        for entry in [e for e in self.held if e[0] <= now]:
            self.held.remove(entry)
            self.send(entry[1])


def main():
    random.seed(27)
    rates = [float(a) for a in sys.argv[1:4]]
    subprocess.run(["sh", "-ec", "sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1; ip link set tap0 arp off up"], check=True)
    tap, near = card(), wire()
    subprocess.run(["sh", "-ec", "sysctl -qw net.ipv4.tcp_congestion_control=reno; ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2"], check=True)

    def quietly(write):         # a full queue is one more frame lost
        def send(frame):
            try:
                write(frame)
            except OSError:
                pass
        return send
    out, back = Way(quietly(near.send), rates), Way(quietly(lambda f: os.write(tap, f)), rates)
    print("up", flush=True)
    while True:
        for s in select.select([tap, near], [], [], 0.005)[0]:
            for _ in range(64):
                try:
                    if s is tap:
                        out.carry(os.read(tap, 70000))
                    else:
                        back.carry(near.recv(70000, socket.MSG_DONTWAIT))
                except BlockingIOError:
                    break
        for way in (out, back):
            way.release()
        if os.path.exists(sys.argv[4]):
            print(out.count, back.count, flush=True)
            return


main()
