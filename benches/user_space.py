#!/usr/bin/env python3
"""What a delivery costs the gateway in user space: the same publishes with no subscriber and with 100.

    benches/user_space.py                 time, over 2.1 million deliveries a transport
    benches/user_space.py --callgrind     instructions, over 100,000 (needs valgrind)
    benches/user_space.py --hosted        on the hosted path
    benches/user_space.py --client        each subscriber on an account of its own (client=ID)

Linux; the server has core 0, this client core 1.
"""

import argparse
import os
import select
import socket
import subprocess
import sys
import tempfile

SUBSCRIBERS = 100
BODY = b'"' + b"x" * 198 + b'"'
PUBLISH = (
    b"POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def subscribe(port, transport, account):
    conn = socket.create_connection(("127.0.0.1", port))
    fields = UPGRADE if transport == "websocket" else b""
    target = f"/v1/{transport}?topic=a" + (f"&client={account}" if account else "")
    conn.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (target.encode(), fields))
    heard = b""
    while b"hello" not in heard:
        heard += conn.recv(4096)
    conn.setblocking(False)
    return conn


def deliver(port, transport, subscribers, events, accounts=False):
    """Publishes, and waits after each event until everyone has it."""
    poll, conns = select.epoll(), {}
    for number in range(1, subscribers + 1):
        conn = subscribe(port, transport, f"c{number}" if accounts else "")
        conns[conn.fileno()] = conn
        poll.register(conn, select.EPOLLIN)
    publisher = socket.create_connection(("127.0.0.1", port))
    publisher.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(events):
        publisher.sendall(PUBLISH)
        answer = b""
        while b'{"id"' not in answer:
            answer += publisher.recv(4096)
        missing = subscribers
        while missing > 0:
            ready = poll.poll(10)
            if not ready:
                sys.exit(f"{missing} of {subscribers} deliveries did not come")
            for number, _ in ready:
                missing -= conns[number].recv(65536).count(b'"topic":"a"')


def measure(asked, transport, subscribers, events):
    """User time in seconds, or instructions."""
    program, callgrind = asked.program, asked.callgrind
    command = ["taskset", "-c", "0", program, "serve", "--listen", "127.0.0.1:0", "--cores", "1", "--log-level", "warn"]
    command += ["--no-takeover"] if asked.hosted else []
    out = tempfile.NamedTemporaryFile()
    if callgrind:
        command[3:3] = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    port = int(server.stdout.readline().rsplit(":", 1)[1])
    deliver(port, transport, subscribers, events, asked.client)
    with open(f"/proc/{server.pid}/stat") as stat:
        user = int(stat.read().rsplit(")", 1)[1].split()[11]) / os.sysconf("SC_CLK_TCK")
    server.terminate()
    said = server.communicate()[1]
    if not callgrind:
        return user
    return int(next(line for line in said.splitlines() if "Collected" in line).rsplit(":", 1)[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/fanlight")
    parser.add_argument("--callgrind", action="store_true")
    parser.add_argument("--hosted", action="store_true")
    parser.add_argument("--client", action="store_true")
    asked = parser.parse_args()
    os.sched_setaffinity(0, {1})
    events = 1000 if asked.callgrind else 21000
    for transport in ["sse", "chunked", "websocket"]:
        without, with_them = (
            measure(asked, transport, subscribers, events) for subscribers in (0, SUBSCRIBERS)
        )
        each = (with_them - without) / (events * SUBSCRIBERS)
        unit = f"{each:.0f} instructions" if asked.callgrind else f"{each * 1e6:.2f} µs in user space"
        print(f"{transport}: {unit} a delivery, over {events * SUBSCRIBERS:,}")


main()
