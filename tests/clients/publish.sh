curl -fsS "$1/v1/publish?topic=orders/42/status" -H 'Content-Type: application/json' -d '{"state":"picked-up"}'
