// fetch.mjs BASE TRANSPORT TOPIC CURSOR: prints events, one a line. With Node's own fetch.
import { follow } from "./following.mjs";

const [base, transport, topic, cursor] = process.argv.slice(2);
await follow(fetch, `${base}/v1/${transport}?topic=${encodeURIComponent(topic)}`, cursor);
