// websocket.mjs BASE TRANSPORT TOPIC CURSOR: prints events, one a line. Node 20 has it behind
// --experimental-websocket, Node 22 and browsers have it as it is.
const [base, , topic, first] = process.argv.slice(2);
let cursor = first;

function connect() {
	const query = `topic=${encodeURIComponent(topic)}&after=${cursor}`;
	const socket = new WebSocket(`${base.replace("http", "ws")}/v1/websocket?${query}`, "fanlight.v1");
	socket.addEventListener("message", ({ data }) => {
		const message = JSON.parse(data);
		// Controls have no id. A heartbeat moves the cursor while there is nothing else to say.
		if (message.control === "cursor") cursor = message.cursor;
		if (message.id === undefined) return;
		console.log(data);
		cursor = message.id;
	});
	// Node 20 tells a handshake that broke off as an error alone, others as an error and a close.
	socket.addEventListener("close", later);
	socket.addEventListener("error", later);
}

let waiting;

function later() {
	clearTimeout(waiting);
	waiting = setTimeout(connect, 50 + Math.random() * 100);
}

connect();
