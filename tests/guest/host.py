# SPDX-License-Identifier: MIT
"""The host's side of the guest tests, on loopback only: an HTTP server that gives and takes deterministic bytes, and a DNS server,
both on 127.0.0.1 and, where the host has it, on ::1 with the same ports.

GET /random/N  N bytes;  GET /sha256/N  their digest;  PUT anything  answers with the digest of what arrived.
Run as a program it serves until its standard input closes and prints "http PORT dns PORT".
"""
import hashlib
import http.server
import socket
import struct
import sys
import threading

BLOCK = hashlib.shake_256(b"tenbox").digest(1 << 20)


def blocks(n):
    """n bytes that are the same every time and differ from block to block."""
    i = 0
    while n > 0:
        part = struct.pack("<Q", i) + BLOCK[8:]
        yield part[:n]
        n -= len(part)
        i += 1


def sha256(n):
    digest = hashlib.sha256()
    for part in blocks(n):
        digest.update(part)
    return digest.hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, parts, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        for part in parts:
            self.wfile.write(part)

    def do_GET(self):
        words = self.path.strip("/").split("/")
        if len(words) == 2 and words[0] == "random":
            n = int(words[1])
            self.answer(blocks(n), n)
        elif len(words) == 2 and words[0] == "sha256":
            text = (sha256(int(words[1])) + "\n").encode()
            self.answer([text], len(text))
        else:
            self.send_error(404)

    def do_PUT(self):
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left > 0:
            part = self.rfile.read(min(left, 1 << 20))
            if not part:
                break
            digest.update(part)
            left -= len(part)
        text = (digest.hexdigest() + "\n").encode()
        self.answer([text], len(text))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Server6(Server):
    address_family = socket.AF_INET6


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def dns_answer(query):
    """Answers A questions for demo.tenbox.test with 192.0.2.42 and everything else with NXDOMAIN."""
    end = query.index(b"\0", 12) + 5
    name, qtype = query[12:end - 4].lower(), query[end - 4:end - 2]
    known = name == b"\4demo\6tenbox\4test\0"
    records = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x2a" if known and qtype == b"\0\1" else b""
    flags = b"\x81\x80" if known else b"\x81\x83"
    return query[:2] + flags + b"\0\1" + struct.pack(">H", 1 if records else 0) + b"\0\0\0\0" + query[12:end] + records


def serve_dns(sock):
    while True:
        query, peer = sock.recvfrom(2048)
        try:
            sock.sendto(dns_answer(query), peer)
        except (ValueError, IndexError):
            pass


def start():
    """Starts both servers in threads; returns (http port, dns port)."""
    servers = [Server(("127.0.0.1", 0), Handler)]
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
    socks[0].bind(("127.0.0.1", 0))
    http_port, dns_port = servers[0].server_address[1], socks[0].getsockname()[1]
    if has_ipv6():
        servers.append(Server6(("::1", http_port), Handler))
        socks.append(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        socks[1].bind(("::1", dns_port))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    for sock in socks:
        threading.Thread(target=serve_dns, args=(sock,), daemon=True).start()
    return http_port, dns_port


if __name__ == "__main__":
    print("http %d dns %d" % start(), flush=True)
    sys.stdin.read()
