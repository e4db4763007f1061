// Publish/subscribe with the npm package `ws`, as its own documentation broadcasts: one `send` for each client.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const topics = new Map();
const server = createServer((request, response) => {
  const topic = new URL(request.url, 'http://localhost').searchParams.get('topic');
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const data = Buffer.concat(parts);
    for (const client of topics.get(topic) ?? []) client.send(data, { binary: false });
    response.writeHead(200, { 'Content-Length': 0 }).end();
  });
});
server.keepAliveTimeout = 3_600_000;
new WebSocketServer({ server, perMessageDeflate: false, backlog: 4096 }).on('connection', (client, request) => {
  const topic = new URL(request.url, 'http://localhost').searchParams.get('topic');
  if (!topics.has(topic)) topics.set(topic, new Set());
  topics.get(topic).add(client);
  client.on('close', () => topics.get(topic).delete(client));
  client.on('error', () => {});
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
