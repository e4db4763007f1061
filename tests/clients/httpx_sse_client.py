"""httpx_sse_client.py BASE TRANSPORT TOPIC CURSOR: prints events, one a line."""

import sys
import time

import httpx
from httpx_sse import connect_sse

base, _, topic, cursor = sys.argv[1:]

with httpx.Client(timeout=httpx.Timeout(5, read=45)) as client:
    while True:
        headers = {"Last-Event-ID": cursor}
        try:
            with connect_sse(client, "GET", f"{base}/v1/sse", params={"topic": topic}, headers=headers) as source:
                for event in source.iter_sse():
                    if event.event == "message":
                        print(event.data, flush=True)
                    # The heartbeat moves it too.
                    cursor = event.id or cursor
        except httpx.TransportError:
            pass  # the connection broke
        time.sleep(0.1)
