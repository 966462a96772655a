# SPDX-License-Identifier: MIT
"""Makes inputs of the network's fuzz harnesses from captures.

seeds.py CAPTURES OUT: `make seeds` takes the captures from tests/netns; OUT is tests/fuzz/seeds.  One capture becomes
one input of unet_frames (what the guest sent, with the pauses between), its conversations inputs of unet_tcp, dhcp,
dhcp6, dns and tftp, each in the form that the harness tells of.  An input is kept if it says something new, at most
LIMIT bytes of it.
"""
import glob
import hashlib
import os
import struct
import sys

LIMIT = 4000
LIVE, FRAMES_TIME = 17, 5                                       # fuzz_unet_frames.c
OPEN, DATA, ACK, SEND, CLOSE, RESET, TIME = 0, 2, 3, 6, 8, 9, 14        # fuzz_unet_tcp.c
FIN, SYN, RST, PSH = 1, 2, 4, 8
UNET = (b"\x52\x55", b"\x52\x56")


def frames(path):
    data = open(path, "rb").read()
    if len(data) < 24:
        return
    nanoseconds = struct.unpack("<I", data[:4])[0] == 0xa1b23c4d
    at = 24
    while at + 16 <= len(data):
        s, fraction, have, length = struct.unpack("<IIII", data[at:at + 16])
        frame = data[at + 16:at + 16 + have]
        if len(frame) >= 14:
            yield s + fraction / (1e9 if nanoseconds else 1e6), frame
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


def whole_capture(path, seen):
    program, last, new = b"\x00", None, False
    for when, frame in frames(path):
        if frame[6:8] in UNET or len(frame) > LIMIT:
            continue
        pause = max(0, min(int(((when - last) if last else 0) * 100), 255))
        step = (chunk(FRAMES_TIME, bytes([pause])) if pause else b"") + chunk(LIVE, frame)
        last = when
        if len(program) + len(step) > LIMIT:
            continue
        new |= kind(frame) not in seen
        seen.add(kind(frame))
        program += step
    return program if new else b""


def layer4(frame):
    """Protocol, ports, header and payload of a whole packet; None if there is none."""
    ip = frame[14:]
    if frame[12:14] == b"\x08\x00" and len(ip) >= 28 and not struct.unpack(">H", ip[6:8])[0] & 0x3fff:
        protocol, l4 = ip[9], ip[(ip[0] & 15) * 4:struct.unpack(">H", ip[2:4])[0]]
    elif frame[12:14] == b"\x86\xdd" and len(ip) >= 48:
        protocol, l4 = ip[6], ip[40:40 + struct.unpack(">H", ip[4:6])[0]]
    else:
        return None
    if protocol not in (6, 17) or len(l4) < (20 if protocol == 6 else 8):
        return None
    header = (l4[12] >> 4) * 4 if protocol == 6 else 8
    if not (20 if protocol == 6 else 8) <= header <= len(l4):
        return None
    return (protocol,) + struct.unpack(">HH", l4[:4]) + (l4[:header], l4[header:])


def tcp_options(header):
    """MSS and window scale of a SYN."""
    mss, scale, at = 536, 15, 20
    while at + 4 <= len(header) and header[at]:
        if header[at] == 2:
            mss = struct.unpack(">H", header[at + 2:at + 4])[0]
        if header[at] == 3:
            scale = header[at + 2]
        at += 1 if header[at] == 1 else max(header[at + 1], 2)
    return mss, scale


def conversations(path):
    """The flows of a capture: (protocol, guest's port, far port) -> [(time, from the guest, header, payload)]."""
    flows = {}
    for when, frame in frames(path):
        l4 = layer4(frame)
        if l4:
            guest = frame[6:8] not in UNET
            ports = l4[1:3] if guest else l4[2:0:-1]
            flows.setdefault((l4[0],) + ports, []).append((when, guest, l4[3], l4[4]))
    return flows


def tcp(flow):
    program, shape, last = b"\x00", [], flow[0][0]
    for when, guest, header, payload in flow:
        flags, window, length = header[13], header[14:16], min(len(payload), 65535)
        pause = max(0, min(int((when - last) * 100), 255))
        last = when
        if pause:
            program += chunk(TIME, bytes([pause]))
        if flags & RST:
            step = chunk(RESET, b"\0")
        elif guest and flags & SYN:
            mss, scale = tcp_options(header)
            step = chunk(OPEN, struct.pack(">BHB", 0, mss, scale) + window)
        elif guest and (payload or flags & FIN):
            step = chunk(DATA, struct.pack(">BBH", 0, flags & (FIN | PSH), length) + window)
        elif guest:
            step = chunk(ACK, b"\0" + window)
        else:
            step = (chunk(SEND, struct.pack(">BH", 0, length)) if payload else b"") + \
                (chunk(CLOSE, b"\0") if flags & FIN else b"")
        if len(program) + len(step) > LIMIT // 8:
            break
        program += step
        shape.append((guest, flags, len(payload).bit_length() // 4, pause > 0))
    return program, tuple(shape[:12])


def dhcp(flow, flags):
    """Messages of the guest's, as they are."""
    said = [payload for _, guest, _, payload in flow if guest]
    return b"".join(struct.pack(">HB", len(p), flags) + p for p in said), tuple(p[240:] or p[:1] for p in said)


def dns(flow):
    out = b""
    for _, guest, header, payload in flow:
        out += bytes([0 if guest else 1, header[1] if guest else 0]) + struct.pack(">H", len(payload)) + payload
    return out, tuple((guest, payload[2:4], payload[-4:]) for _, guest, _, payload in flow[:2])


def tftp(flow):
    """A request for a file that the harness has, with the options of the real one, and as many acknowledgements."""
    out, shape = b"\0", []
    for _, guest, _, payload in flow:
        if not guest or len(payload) < 4 or len(out) > 400:
            continue
        if payload[1] in (1, 2):
            words = b"a\0" + payload[2:].split(b"\0", 1)[1]
            out += bytes([0, 0x80 if payload[1] == 2 else 0, len(words) & 255]) + words[:255]
            shape += words.split(b"\0")[1::2]
        elif payload[1] == 4:
            out += b"\2\0\0"
        elif len(payload) < 256:
            out += bytes([6, 0, len(payload)]) + payload
    return out, tuple(shape)


def main(captures, out):
    seen = set()

    def keep(harness, program, shape):
        if not program or len(program) > LIMIT or (harness, shape) in seen:
            return
        seen.add((harness, shape))
        folder = os.path.join(out, harness)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, hashlib.sha1(program).hexdigest()[:12]), "wb") as f:
            f.write(program)

    for path in sorted(glob.glob(os.path.join(captures, "*.pcap"))):
        keep("unet_frames", whole_capture(path, seen), path)
        flows = conversations(path)
        transfers = {}                  # of TFTP: the server's port changes
        for (protocol, port, far), flow in flows.items():
            if protocol == 6:
                keep("unet_tcp", *tcp(flow))
            elif far == 67:
                keep("dhcp", *dhcp(flow, 1))
            elif far == 547:
                keep("dhcp6", *dhcp(flow, 1))
            elif far == 53:
                keep("dns", *dns(flow))
            elif far == 69 or port in transfers:
                transfers.setdefault(port, []).extend(flow)
        for flow in transfers.values():
            keep("tftp", *tftp(flow))


main(*sys.argv[1:])
