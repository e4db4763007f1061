// undici.mjs BASE TRANSPORT TOPIC CURSOR: prints events, one a line.
import { fetch, WebSocket } from "undici";
import { follow } from "./following.mjs";

const [base, transport, topic, first] = process.argv.slice(2);
const query = `topic=${encodeURIComponent(topic)}`;

if (transport === "websocket") connect(first);
else await follow(fetch, `${base}/v1/${transport}?${query}`, first);

function connect(cursor) {
	let last = cursor;
	const socket = new WebSocket(`${base.replace("http", "ws")}/v1/websocket?${query}&after=${cursor}`);
	socket.onmessage = ({ data }) => {
		const { id } = JSON.parse(data);
		if (id === undefined) return; // a control
		console.log(data);
		last = id;
	};
	socket.onclose = () => setTimeout(connect, 50 + Math.random() * 100, last);
}
