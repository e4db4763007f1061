"""aiohttp_client.py BASE TRANSPORT TOPIC CURSOR: prints events, one a line."""

import asyncio
import json
import sys

import aiohttp

base, transport, topic, cursor = sys.argv[1:]


def show(document):
    global cursor
    event = json.loads(document)
    if "id" in event:  # controls have none
        print(document, flush=True)
        cursor = event["id"]


async def websocket(session, url, params):
    async with session.ws_connect(url, params=params, heartbeat=30) as socket:
        async for message in socket:
            show(message.data)


async def chunked(session, url, params):
    async with session.get(url, params=params) as response:
        async for line in response.content:
            if line.endswith(b"\n"):  # or it was cut
                show(line.decode().rstrip("\n"))


async def longpoll(session, url, params):
    global cursor
    async with session.get(url, params=params) as response:
        if response.status == 200:
            answer = await response.json()
            for event in answer["events"]:
                print(json.dumps(event), flush=True)
            cursor = answer["cursor"]


async def main():
    timeout = aiohttp.ClientTimeout(total=None, sock_read=65)
    read = {"websocket": websocket, "chunked": chunked, "longpoll": longpoll, "poll": longpoll}[transport]
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                await read(session, f"{base}/v1/{transport}", {"topic": topic, "after": cursor})
            except (aiohttp.ClientError, asyncio.TimeoutError):
                pass  # the connection broke
            await asyncio.sleep(0.05)


asyncio.run(main())
