"""websockets_client.py BASE TRANSPORT TOPIC CURSOR: prints events, one a line."""

import asyncio
import json
import sys
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

base, _, topic, cursor = sys.argv[1:]


async def main():
    global cursor
    while True:
        query = urlencode({"topic": topic, "after": cursor})
        url = f"{base.replace('http', 'ws')}/v1/websocket?{query}"
        try:
            async with connect(url, subprotocols=["fanlight.v1"]) as socket:
                async for document in socket:
                    event = json.loads(document)
                    if "id" in event:  # controls have none
                        print(document, flush=True)
                        cursor = event["id"]
        except (ConnectionClosed, InvalidHandshake, OSError, EOFError):
            pass  # the connection broke
        await asyncio.sleep(0.1)


asyncio.run(main())
