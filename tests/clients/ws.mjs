// ws.mjs BASE TRANSPORT TOPIC CURSOR: prints events, one a line.
import WebSocket from "ws";

const [base, , topic, first] = process.argv.slice(2);
let cursor = first;

function connect() {
	const query = `topic=${encodeURIComponent(topic)}&after=${cursor}`;
	const socket = new WebSocket(`${base.replace("http", "ws")}/v1/websocket?${query}`, "fanlight.v1");
	socket.on("message", (data) => {
		const message = JSON.parse(data);
		// Controls have no id. A heartbeat moves the cursor while there is nothing else to say.
		if (message.control === "cursor") cursor = message.cursor;
		if (message.control === "gap") console.error(`events were lost: ${message.reason}`);
		if (message.id === undefined) return;
		console.log(data.toString());
		cursor = message.id;
	});
	socket.on("error", () => {}); // and then it closes
	socket.on("close", () => setTimeout(connect, 50 + Math.random() * 100));
}

connect();
