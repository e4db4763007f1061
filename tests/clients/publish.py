import sys

import requests

answer = requests.post(
    f"{sys.argv[1]}/v1/publish",
    params={"topic": "orders/42/status"},
    json={"state": "picked-up"},
    timeout=10,
)
answer.raise_for_status()
print(answer.json()["id"])
