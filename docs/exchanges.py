#!/usr/bin/env python3
"""What each transport puts on the wire for the same events: the figures of the README's table.

    fanlight serve --listen 127.0.0.1:8080        # in one terminal
    python3 docs/exchanges.py                     # in another; --url, --events, --literal

It opens one raw socket per transport and speaks HTTP by hand, so that every byte is its own and none a
library's: the request has the fewest headers that the gateway takes (a browser adds 400 to 700 bytes to each
request). It publishes events one at a time, each with 8 bytes of data in a document of about 115 bytes, and
waits until each has arrived before it publishes the next. Bytes are those of the application: TCP and IP add
40 to 52 for each segment. With `--literal` it prints the exchange of one event, byte for byte.
"""

import argparse
import base64
import http.client
import json
import os
import socket
import struct
import time
from urllib.parse import urlsplit

IDLE = 60  # seconds of silence that the idle column stands for
DATA = b'{"n":%d}'


class Wire:
    """A socket that counts, and remembers if it is to be shown."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = f"{host}:{port}"
        self.buffer = b""
        self.reset()

    def reset(self):
        self.up = self.down = self.requests = 0
        self.log = []

    def send(self, data):
        self.socket.sendall(data)
        self.up += len(data)
        self.log.append((">", data))

    def get(self, path, headers=""):
        self.requests += 1
        self.send(f"GET {path} HTTP/1.1\r\nhost: {self.host}\r\n{headers}\r\n".encode())

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the gateway closed the connection")
        self.down += len(data)
        self.log.append(("<", data))
        self.buffer += data

    def until(self, end):
        while end not in self.buffer:
            self.more()
        at = self.buffer.index(end) + len(end)
        taken, self.buffer = self.buffer[:at], self.buffer[at:]
        return taken

    def exactly(self, count):
        while len(self.buffer) < count:
            self.more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def answer(self):
        head = self.until(b"\r\n\r\n").decode()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = self.exactly(int(fields.get("content-length", 0)))
        return int(head.split()[1]), fields, body


class Polling:
    """Asks with its cursor; the answer carries the next one."""

    def __init__(self, name, wire, topic):
        self.name, self.wire, self.topic = name, wire, topic
        wire.get(f"/v1/{name}?topic={topic}")
        self.cursor = wire.answer()[1]["fanlight-cursor"]

    def ask(self, more=""):
        self.wire.get(f"/v1/{self.name}?topic={self.topic}&after={self.cursor}{more}")

    def take(self):
        status, fields, body = self.wire.answer()
        self.cursor = fields["fanlight-cursor"]
        return json.loads(body)["events"] if status == 200 else []


class Stream:
    """Opens once; then it only listens."""

    def __init__(self, name, wire, topic):
        self.name, self.wire = name, wire
        headers = ""
        if name == "websocket":
            key = base64.b64encode(os.urandom(16)).decode()
            headers = (
                "connection: Upgrade\r\nupgrade: websocket\r\n"
                f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
            )
        wire.get(f"/v1/{name}?topic={topic}&heartbeat=5", headers)
        wire.until(b"\r\n\r\n")
        self.message()

    def ask(self, more=""):
        pass

    def message(self):
        """The next message of any kind, as an object."""
        if self.name == "websocket":
            while True:
                first, length = self.wire.exactly(2)
                if length == 126:
                    (length,) = struct.unpack("!H", self.wire.exactly(2))
                payload = self.wire.exactly(length)
                if first & 0x0F == 9:  # a ping is answered, masked as a client must
                    self.wire.send(bytes([0x8A, 0x80, 0, 0, 0, 0]))
                elif first & 0x0F == 1:
                    return json.loads(payload)
        size = int(self.wire.until(b"\r\n"), 16)
        chunk = self.wire.exactly(size + 2)[:-2]
        lines = [line for line in chunk.split(b"\n") if line.startswith((b"data: ", b"{"))]
        return json.loads(lines[0].removeprefix(b"data: "))

    def take(self):
        while True:
            message = self.message()
            if "control" not in message:
                return [message]


def measure(name, args, host, port):
    wire = Wire(host, port)
    topic = args.topic
    side = (Polling if name in ("poll", "longpoll") else Stream)(name, wire, topic)
    opening = (wire.up, wire.down)
    publisher = http.client.HTTPConnection(host, port)
    wire.reset()
    documents = 0
    for n in range(args.events):
        if name == "longpoll":
            side.ask()
            time.sleep(0.002)  # so that it waits, as it does when events are rare
        publisher.request("POST", f"/v1/publish?topic={topic}", DATA % (n % 10), {"Content-Type": "application/json"})
        published = json.loads(publisher.getresponse().read())["id"]
        if name == "poll":
            side.ask()
        events = side.take()
        assert [event["id"] for event in events] == [published], (events, published)
        documents += len(json.dumps(events[0], separators=(",", ":")).encode())
        if n == 0 and args.literal:
            print(f"--- {name}")
            for direction, data in wire.log:
                print("".join(f"{direction} {line!r}\n" for line in data.splitlines(keepends=True)), end="")
    document = documents / args.events
    busy = (wire.requests / args.events, wire.up / args.events, wire.down / args.events)
    wire.reset()
    if name == "poll":
        side.ask()
        side.take()
        idle, every = wire.up + wire.down, 1
    elif name == "longpoll":
        side.ask("&timeout=0.2")
        side.take()
        # What it would be without the shorter time-out, which a client leaves out.
        idle, every = wire.up + wire.down - len("&timeout=0.2"), 25
    else:
        while side.message().get("control") != "cursor":
            pass
        if name == "websocket":
            wire.exactly(2)
            wire.send(bytes([0x8A, 0x80, 0, 0, 0, 0]))
        idle, every = wire.up + wire.down, 15
    return opening, busy, document, idle * IDLE // every, IDLE / every


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--topic", default="orders/42/status")
    parser.add_argument("--literal", action="store_true", help="print the exchange of one event")
    args = parser.parse_args()
    url = urlsplit(args.url)
    rows = []
    for name in ("poll", "longpoll", "chunked", "sse", "websocket"):
        opening, (requests, up, down), document, idle, beats = measure(name, args, url.hostname, url.port)
        rows.append(
            f"| {name} | {opening[0]} + {opening[1]} | {requests:.0f} | {up:.0f} | {down:.0f} "
            f"| {up + down - document:.0f} | {idle} ({beats:.0f} ×) |"
        )
    print("| transport | to open: bytes up + down | requests per event | bytes up per event | bytes down per event "
          "| of these not the event | bytes per idle minute |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print(f"\nThe event document: {document:.0f} bytes. {args.events} events, one at a time.")
    print("Idle: poll asks each second, longpoll waits 25 s, the streams send a heartbeat in 15 s.")


if __name__ == "__main__":
    main()
