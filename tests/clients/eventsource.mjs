// eventsource.mjs BASE TRANSPORT TOPIC CURSOR: prints events, one a line.
import { EventSource } from "eventsource";

const [base, , topic, cursor] = process.argv.slice(2);
const url = `${base}/v1/sse?topic=${encodeURIComponent(topic)}&after=${cursor}`;

// It reconnects by itself, with the id of the last event that was whole.
const source = new EventSource(url);
source.onmessage = ({ data }) => console.log(data);
source.addEventListener("control", ({ data }) => {
	const { control, reason } = JSON.parse(data);
	if (control === "gap") console.error(`events were lost: ${reason}`);
});
