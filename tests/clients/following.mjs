// poll, longpoll and chunked over any fetch.

export async function follow(fetch, url, first) {
	const read = url.includes("/v1/chunked?") ? stream : answer;
	let cursor = first;
	for (;;) {
		try {
			const response = await fetch(`${url}&after=${cursor}`, { cache: "no-store" });
			for await (const [event, next] of read(response)) {
				if (event) console.log(JSON.stringify(event));
				cursor = next;
			}
		} catch {
			// The connection broke; the cursor is behind the last event that was whole.
		}
		await new Promise((done) => setTimeout(done, 50 + Math.random() * 100));
	}
}

async function* answer(response) {
	if (response.status === 200) {
		const { events, cursor } = await response.json();
		for (const event of events) yield [event, event.id];
		yield [undefined, cursor];
	}
}

async function* stream(response) {
	let text = "";
	// A character may be split between two pieces, so one decoder reads them all.
	const decoder = new TextDecoder();
	for await (const piece of response.body) {
		text += decoder.decode(piece, { stream: true });
		const lines = text.split("\n");
		text = lines.pop();
		for (const line of lines) {
			const event = JSON.parse(line);
			if (event.id !== undefined) yield [event, event.id];
		}
	}
}
