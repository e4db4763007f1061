#!/usr/bin/env python3
"""Record what each transport puts on the wire, and count it.

    python3 docs/exchanges.py [--url http://127.0.0.1:8080] [--events 20] [--every 1] [--poll 1] [--quiet 60]

Needs Python 3.9 and a running gateway (`cargo run --release`). All five transports listen to one topic of
this run's own, each over a raw socket, while events are published to it at random moments, `--every` seconds
apart on average. It prints

1. the literal exchange of each transport for a first event;
2. a table for the events that follow: requests, bytes in both directions, and how late the events were;
3. a table for `--quiet` seconds in which nothing happens.

Bytes are those above TCP: request heads, response heads, framing and events. A request carries what curl
sends; a browser sends several hundred bytes more with each, `--header 'Name: value'` (repeatable) adds them.
"""

import argparse, base64, json, os, random, re, socket, statistics, struct, threading, time
from urllib.parse import urlsplit

DOCUMENT = re.compile(rb'\{"id":"([^"]+)","topic":.*?\}\}')


class Wire:
    """A socket that counts and remembers."""

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = self.received = b""

    def send(self, data):
        self.sent += data
        self.socket.sendall(data)

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.received += data
        return data


class Lane(threading.Thread):
    """One transport that listens, until it is told to stop."""

    def __init__(self, run, name, wait=None):
        super().__init__(daemon=True)
        self.run_, self.name_, self.wait_ = run, name, wait
        self.wire = Wire(run.address)
        self.requests, self.documents, self.delays = 0, 0, []
        self.first, self.seen, self.stopped = None, set(), False

    def request(self, query, extra=""):
        self.requests += 1
        head = f"GET /v1/{self.name_}?topic={self.run_.topic}{query} HTTP/1.1\r\nHost: {self.run_.host}\r\n"
        head += "User-Agent: curl/8.5.0\r\nAccept: */*\r\n" if not extra else extra
        head += "".join(header + "\r\n" for header in self.run_.headers)
        self.wire.send(head.encode() + b"\r\n")

    def note(self, data):
        now = time.monotonic()
        for found in DOCUMENT.finditer(data):
            cursor = found.group(1).decode()
            if cursor not in self.seen:
                self.seen.add(cursor)
                self.documents += len(found.group(0))
                self.delays.append((cursor, now))

    def totals(self):
        return len(self.wire.sent), len(self.wire.received), self.requests, len(self.seen), self.documents

    def run(self):
        try:
            if self.name_ in ("poll", "longpoll"):
                self.ask()
            else:
                self.listen()
        except (EOFError, OSError):
            if not self.stopped:
                raise

    def ask(self):
        cursor = self.run_.cursor
        while not self.stopped:
            at = len(self.wire.received), len(self.wire.sent)
            self.request(f"&after={cursor}")
            head = self.wire.receive()
            while b"\r\n\r\n" not in head:
                head += self.wire.receive()
            head, body = head.split(b"\r\n\r\n", 1)
            length = re.search(rb"content-length: (\d+)", head)
            while length and len(body) < int(length.group(1)):
                body += self.wire.receive()
            self.note(body)
            if body and not self.first:
                self.first = self.wire.sent[at[1]:], self.wire.received[at[0]:]
            cursor = re.search(rb"fanlight-cursor: (\S+)", head).group(1).decode()
            if self.wait_:
                time.sleep(self.wait_)

    def listen(self):
        extra = ""
        if self.name_ == "websocket":
            key = base64.b64encode(os.urandom(16)).decode()
            extra = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     f"Sec-WebSocket-Key: {key}\r\n")
        self.request(f"&after={self.run_.cursor}", extra)
        while not self.stopped:
            data = self.wire.receive()
            self.note(data)
            if self.name_ == "websocket" and b"\x89\x00" in data:
                self.wire.send(b"\x8a\x80" + os.urandom(4))
            if self.seen and not self.first:
                self.first = self.wire.sent, self.wire.received

    def stop(self):
        self.stopped = True
        self.wire.socket.close()


class Run:
    def __init__(self, options):
        url = urlsplit(options.url)
        self.host, self.address = url.netloc, (url.hostname, url.port or 80)
        self.topic = f"exchange/{random.randrange(10**6):06}"
        self.headers, self.options = options.header, options
        self.cursor = self.ask("GET", "/v1/cursor")["cursor"]
        self.published = {}
        self.lanes = [Lane(self, "poll", options.poll), Lane(self, "longpoll"), Lane(self, "chunked"),
                      Lane(self, "sse"), Lane(self, "websocket")]

    def ask(self, method, path, body=b""):
        wire = Wire(self.address)
        wire.send(f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n"
                  f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            while True:
                wire.receive()
        except EOFError:
            return json.loads(wire.received.split(b"\r\n\r\n", 1)[1])

    def events(self, count):
        for n in range(count):
            time.sleep(random.uniform(0, 2 * self.options.every))
            data = json.dumps({"state": "picked up", "courier": 7, "n": n}).encode()
            before = time.monotonic()
            cursor = self.ask("POST", f"/v1/publish?topic={self.topic}&type=status", data)["id"]
            self.published[cursor] = before
        time.sleep(self.options.poll + 0.5)

    def table(self, before, seconds, quiet):
        if quiet:
            print(f"\n| transport | requests | bytes up | bytes down | bytes in {seconds:.0f} s |")
            print("|---|---|---|---|---|")
        else:
            print("\n| transport | requests | bytes up | bytes down | bytes per event | of them the event "
                  "| late by, median / worst |")
            print("|---|---|---|---|---|---|---|")
        for lane, start in zip(self.lanes, before):
            up, down, requests, events, documents = (b - a for a, b in zip(start, lane.totals()))
            name = f"`{lane.name_}`" + (f", every {self.options.poll:g} s" if lane.wait_ else "")
            if quiet:
                print(f"| {name} | {requests} | {up} | {down} | {up + down} |")
                continue
            assert events == self.options.events, f"{lane.name_}: {events} of {self.options.events}"
            late = sorted((at - self.published[cursor]) * 1000 for cursor, at in lane.delays[1:])
            print(f"| {name} | {requests} | {up} | {down} | {(up + down) / events:.0f} | "
                  f"{documents / events:.0f} | {statistics.median(late):.0f} / {late[-1]:.0f} ms |")

    def main(self):
        for lane in self.lanes:
            lane.start()
        self.events(1)
        for lane in self.lanes:
            show(lane)
        begin, opened = time.monotonic(), [lane.totals() for lane in self.lanes]
        self.events(self.options.events)
        took, counts = time.monotonic() - begin, [lane.totals() for lane in self.lanes]
        print(f"\n{self.options.events} more events in {took:.0f} s, on connections that are open:")
        self.table(opened, took, False)
        if self.options.quiet:
            time.sleep(self.options.quiet)
            print(f"\n{self.options.quiet:g} s in which nothing happened:")
            self.table(counts, self.options.quiet, True)
        for lane in self.lanes:
            lane.stop()


def show(lane):
    sent, received = lane.first
    print(f"\n── {lane.name_} ──")
    for line in sent.decode().split("\r\n"):
        print(f"> {line}".rstrip())
    head, body = received.split(b"\r\n\r\n", 1)
    for line in head.decode().split("\r\n"):
        print(f"< {line}")
    print("<")
    if lane.name_ == "websocket":
        while len(body) >= 2:
            size, at = body[1], 2
            if size == 126:
                size, at = struct.unpack(">H", body[2:4])[0], 4
            print(f"< [{body[:at].hex(' ')}] {body[at:at + size].decode()}")
            body = body[at + size:]
        return
    text = body.decode()
    for line in text.replace("\r\n", "\\r\\n\n").split("\n"):
        print(f"< {line}".rstrip())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--every", type=float, default=1, metavar="SECONDS")
    parser.add_argument("--poll", type=float, default=1, metavar="SECONDS")
    parser.add_argument("--quiet", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    Run(parser.parse_args()).main()
