# SPDX-License-Identifier: MIT
"""Makes inputs of fuzz_unet_frames from captures: what the guest sent, with the pauses between.

seeds.py CAPTURES OUT: each capture that says something new becomes one file in OUT (tests/fuzz/seeds/unet_frames), at most
LIMIT bytes.  `make seeds` takes the captures from tests/netns.
"""
import glob
import hashlib
import os
import struct
import sys

LIVE, TIME, LIMIT = 17, 5, 4000      # fuzz_unet_frames.c: OP_LIVE, OP_TIME


def frames(path):
    data = open(path, "rb").read()
    if len(data) < 24:
        return
    nanoseconds = struct.unpack("<I", data[:4])[0] == 0xa1b23c4d
    at = 24
    while at + 16 <= len(data):
        s, fraction, have, length = struct.unpack("<IIII", data[at:at + 16])
        yield s + fraction / (1e9 if nanoseconds else 1e6), data[at + 16:at + 16 + have]
        at += 16 + have


def chunk(op, data):
    return bytes([op]) + struct.pack(">H", len(data)) + data


def kind(frame):
    """What is new about a frame: protocol, ports of services, flags."""
    kind, ip = frame[12:14], frame[14:]
    if kind == b"\x08\x00" and len(ip) >= 24:
        h = (ip[0] & 15) * 4
        l4 = ip[h:h + 20]
        port = min(struct.unpack(">HH", l4[:4])) if ip[9] in (6, 17) else 0
        return kind, ip[9], port if port < 1024 else 0, l4[13] if ip[9] == 6 and len(l4) == 20 else l4[0], len(frame) > 200
    if kind == b"\x86\xdd" and len(ip) >= 44:
        return kind, ip[6], ip[40] if ip[6] == 58 else struct.unpack(">H", ip[42:44])[0] % 1024
    return (kind,)


def main(captures, out):
    os.makedirs(out, exist_ok=True)
    seen = set()
    for path in sorted(glob.glob(os.path.join(captures, "*.pcap"))):
        program, last, new = b"\x00", None, False
        for when, frame in frames(path):
            if len(frame) < 14 or frame[6:8] in (b"\x52\x55", b"\x52\x56"):       # unet's own
                continue
            pause = min(int(((when - last) if last else 0) * 100), 255)
            step = (chunk(TIME, bytes([pause])) if pause else b"") + chunk(LIVE, frame)
            last = when
            if len(program) + len(step) > LIMIT:
                continue
            new |= kind(frame) not in seen
            seen.add(kind(frame))
            program += step
        if new:
            with open(os.path.join(out, hashlib.sha1(program).hexdigest()[:12]), "wb") as f:
                f.write(program)


main(*sys.argv[1:])
