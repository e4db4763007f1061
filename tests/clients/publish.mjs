const response = await fetch(`${process.argv[2]}/v1/publish?topic=orders/42/status`, {
	method: "POST",
	// With a key of its own a publish can be repeated until it is answered: it is carried out once.
	headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
	body: JSON.stringify({ state: "picked-up" }),
});
if (!response.ok) throw new Error((await response.json()).detail);
console.log((await response.json()).id);
