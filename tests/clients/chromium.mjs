// chromium.mjs BASE TRANSPORT TOPIC CURSOR: prints events, one a line. What runs in the page is the browser's own.
import { chromium } from "playwright-core";

const [base, transport, topic, cursor] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
process.on("SIGTERM", () => browser.close().then(() => process.exit()));
const page = await browser.newPage();
await page.exposeFunction("print", (line) => console.log(line));
// Any page of the gateway's own origin will do.
await page.goto(`${base}/healthz`);
await page.evaluate(
	({ transport, query, cursor }) => {
		const transports = {
			sse() {
				// It reconnects by itself, with the id of the last event that was whole.
				new EventSource(`/v1/sse?${query}&after=${cursor}`).onmessage = ({ data }) => print(data);
			},
			websocket(after = cursor) {
				let last = after;
				const socket = new WebSocket(`/v1/websocket?${query}&after=${after}`.replace(/^/, `ws://${location.host}`));
				socket.onmessage = ({ data }) => {
					const { id } = JSON.parse(data);
					if (id === undefined) return; // a control
					print(data);
					last = id;
				};
				socket.onclose = () => setTimeout(transports.websocket, 100, last);
			},
			async chunked(last = cursor) {
				try {
					const { body } = await fetch(`/v1/chunked?${query}&after=${last}`, { cache: "no-store" });
					const reader = body.pipeThrough(new TextDecoderStream()).getReader();
					let text = "";
					for (;;) {
						const { value, done } = await reader.read();
						if (done) break;
						const lines = (text + value).split("\n");
						text = lines.pop();
						for (const line of lines) {
							const { id } = JSON.parse(line);
							if (id === undefined) continue; // a control
							print(line);
							last = id;
						}
					}
				} catch {
					// The connection broke.
				}
				setTimeout(transports.chunked, 100, last);
			},
		};
		transports[transport]();
	},
	{ transport, query: `topic=${encodeURIComponent(topic)}`, cursor },
);
