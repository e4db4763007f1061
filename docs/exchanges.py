#!/usr/bin/env python3
"""The literal exchange of each transport, and what it costs on the wire: bytes of HTTP and WebSocket, as a raw
socket sees them, without TCP/IP's own.

    fanlight serve --heartbeat 5s &
    python3 docs/exchanges.py [--url http://127.0.0.1:8080] [--exchanges]

Ten events of 200 bytes of data are published one after the other, each once the one before was received. Then
nothing happens for a heartbeat. With --exchanges the first event's bytes are shown as they went.
"""

import argparse
import json
import socket
import time
from urllib.parse import urlsplit

EVENTS = 10
DATA = json.dumps({"state": "picked up", "by": "x" * 168})
TOPIC = "orders/42/status"


class Wire:
    """A connection that counts, and remembers what went over it."""

    def __init__(self, address):
        self.host = f"{address[0]}:{address[1]}"
        self.socket = socket.create_connection(address, timeout=30)
        self.sent, self.received, self.requests = 0, 0, 0
        self.log, self.unread = [], b""

    def get(self, target, *headers):
        lines = [f"GET {target} HTTP/1.1", f"Host: {self.host}", *headers]
        self.send("\r\n".join(lines + ["", ""]).encode())
        self.requests += 1

    def send(self, data):
        self.socket.sendall(data)
        self.sent += len(data)
        self.log.append((">", data))

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit(f"the gateway closed the connection after {self.log}")
        self.received += len(data)
        self.log.append(("<", data))
        self.unread += data

    def until(self, mark):
        while mark not in self.unread:
            self.receive()
        at = self.unread.index(mark) + len(mark)
        taken, self.unread = self.unread[:at], self.unread[at:]
        return taken

    def answer(self):
        head = self.until(b"\r\n\r\n").decode().lower()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        length = int(fields.get("content-length", 0))
        while len(self.unread) < length:
            self.receive()
        self.unread = self.unread[length:]
        return fields.get("fanlight-cursor")

    def counts(self):
        return self.requests, self.sent, self.received


def publish(address):
    wire = Wire(address)
    body = DATA.encode()
    wire.send(
        f"POST /v1/publish?topic={TOPIC} HTTP/1.1\r\nHost: {wire.host}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    identity = json.loads(wire.until(b"}").split(b"\r\n\r\n")[1])["id"]
    return identity


def minus(after, before):
    return [a - b for a, b in zip(after, before)]


def requests(address, path, asks):
    """Polling: a request for each event, and one that finds nothing."""
    wire = Wire(address)
    wire.get(f"/v1/poll?topic={TOPIC}")
    cursor = wire.answer()
    opened = wire.counts()
    wire.log.clear()
    for _ in range(EVENTS):
        if path == "longpoll":
            wire.get(asks(cursor))
            time.sleep(0.05)
            publish(address)
        else:
            publish(address)
            wire.get(asks(cursor))
        cursor = wire.answer()
    full = wire.counts()
    first = [entry for entry in wire.log[:2]]
    wire.get(asks(cursor).replace("timeout=25", "timeout=1"))
    wire.answer()
    return opened, minus(full, opened), minus(wire.counts(), full), first


def stream(address, target, *headers):
    """A stream: opened once, then an event is what it is, and silence costs a heartbeat."""
    wire = Wire(address)
    wire.get(target, *headers)
    wire.until(b"hello")
    wire.until(b"}")
    time.sleep(0.1)
    wire.socket.setblocking(False)
    try:
        wire.receive()
    except BlockingIOError:
        pass
    wire.socket.settimeout(30)
    opened, opening = wire.counts(), list(wire.log)
    for _ in range(EVENTS):
        identity = publish(address).encode()
        wire.until(b'"id":"' + identity)
        wire.until(b"}}")
        time.sleep(0.02)
    full = wire.counts()
    wire.until(b'"control":"cursor"')
    time.sleep(0.1)
    return opened, minus(full, opened), minus(wire.counts(), full), opening + wire.log[len(opening):len(opening) + 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--exchanges", action="store_true", help="show the bytes of the first event")
    given = parser.parse_args()
    url = urlsplit(given.url)
    address = (url.hostname, url.port or 80)
    handshake = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    results = {
        "poll": requests(address, "poll", lambda c: f"/v1/poll?topic={TOPIC}&after={c}"),
        "longpoll": requests(address, "longpoll", lambda c: f"/v1/longpoll?topic={TOPIC}&after={c}&timeout=25"),
        "chunked": stream(address, f"/v1/chunked?topic={TOPIC}"),
        "sse": stream(address, f"/v1/sse?topic={TOPIC}"),
        "websocket": stream(address, f"/v1/websocket?topic={TOPIC}", *handshake),
    }
    print(f"{EVENTS} events with {len(DATA)} bytes of data each, on one topic\n")
    print("| transport | to open, bytes | requests per event | bytes per event, up + down | while nothing happens |")
    print("|---|--:|--:|--:|---|")
    for name, (opened, full, quiet, _) in results.items():
        up, down = full[1] / EVENTS, full[2] / EVENTS
        if name in ("poll", "longpoll"):
            silence = f"{quiet[1]} + {quiet[2]} per {'poll' if name == 'poll' else 'time-out'}"
        else:
            silence = f"{quiet[2]} per heartbeat"
        print(f"| {name} | {opened[1] + opened[2]} | {full[0] / EVENTS:g} | {up:.0f} + {down:.0f} | {silence} |")
    if given.exchanges:
        for name, (*_, log) in results.items():
            print(f"\n== {name}")
            for way, data in log:
                text = data.decode("latin-1").replace("x" * 168, "x…")
                print("\n".join(f"{way} {line}" for line in text.rstrip("\r\n").split("\n")))


if __name__ == "__main__":
    main()
