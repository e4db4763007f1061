// Publish/subscribe with Socket.IO: topics are rooms. Heartbeats as often as the gateway's.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    io.to(url.searchParams.get('topic')).emit('e', JSON.parse(Buffer.concat(parts)));
    response.writeHead(200, { 'Content-Length': 0 }).end();
  });
});
server.keepAliveTimeout = 3_600_000;
const io = new Server(server, { perMessageDeflate: false, serveClient: false, pingInterval: 15_000 });
io.on('connection', (socket) => socket.join(socket.handshake.query.topic));
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
