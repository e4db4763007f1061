"""requests_client.py BASE TRANSPORT TOPIC CURSOR: prints events, one a line."""

import json
import sys
import time

import requests

base, transport, topic, cursor = sys.argv[1:]
session = requests.Session()


def show(event):
    global cursor
    print(json.dumps(event), flush=True)
    cursor = event["id"]


while True:
    params = {"topic": topic, "after": cursor}
    url = f"{base}/v1/{transport}"
    try:
        with session.get(url, params=params, stream=transport == "chunked", timeout=(5, 65)) as response:
            if transport == "chunked":
                # One byte at a time would be slow, more would wait: None takes what has come.
                rest = b""
                for piece in response.iter_content(chunk_size=None):
                    *lines, rest = (rest + piece).split(b"\n")
                    for event in map(json.loads, lines):
                        if "id" in event:  # controls have none
                            show(event)
            elif response.status_code == 200:
                answer = response.json()
                for event in answer["events"]:
                    show(event)
                cursor = answer["cursor"]
    except requests.RequestException:
        pass  # the connection broke
    time.sleep(0.1)
