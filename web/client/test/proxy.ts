// What stands between a client and a gateway, and does to the traffic what a test says.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

/** What happens to a request, or to a WebSocket. All bytes are of the answer's body, or of the socket's. */
export type Fate =
  | 'pass'
  /** Answered by the proxy alone. */
  | { status: number; headers?: Record<string, string>; body?: string }
  /** The connection is reset before an answer. */
  | 'reset'
  /** Nothing ever comes. */
  | 'hang'
  /** The head passes at once, the body only when it has ended or so much has gathered. */
  | { buffer: number }
  /** Head and body both wait for that. */
  | { bufferAll: number }
  /** Cut after so many bytes. */
  | { bytes: number }
  /** Cut after so many ms. */
  | { ms: number }
  /** These headers do not pass, in either direction. */
  | { strip: string[] }
  /** After so many ms nothing passes any more, and nobody is told. */
  | { freeze: number };

export interface Relay {
  url: string;
  /** The transport of each request that came. */
  asked: string[];
  /** What is done to each; `transport` is the last segment of the path. */
  fate: (transport: string, request: http.IncomingMessage) => Fate;
  /** Resets everything that is open. */
  cut(): void;
  /** What is open stays so, and carries nothing any more. */
  hush(): void;
  close(): void;
}

export async function proxy(port: number): Promise<Relay> {
  const sockets = new Set<net.Socket>();
  const hushes = new Set<() => void>();
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((request, response) => {
    const fate = decided(request);
    if (fate === 'reset') return void request.socket.resetAndDestroy();
    if (fate === 'hang') return;
    if (has(fate, 'status')) return void response.writeHead(fate.status, fate.headers).end(fate.body);
    const headers = stripped(request.headers, fate);
    const { method, url: path } = request;
    const upstream = http.request({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
      pass(answer, response, fate, hushes);
    });
    upstream.on('error', () => request.socket.destroy());
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  });
  server.on('upgrade', (request: http.IncomingMessage, near: net.Socket, early: Buffer) => {
    const fate = decided(request);
    if (fate === 'reset') return void near.resetAndDestroy();
    if (fate === 'hang') return;
    if (has(fate, 'status'))
      return void near.end(`HTTP/1.1 ${fate.status} No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    const far = net.connect(port, '127.0.0.1');
    keep(far);
    const head = Object.entries(stripped(request.headers, fate)).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    far.write(`GET ${request.url} HTTP/1.1\r\n${head.join('')}\r\n`);
    far.write(early);
    near.pipe(far);
    forward(far, near, fate, hushes);
    near.on('close', () => far.destroy());
  });
  server.on('connection', keep);
  await once(server.listen(0, '127.0.0.1'), 'listening');

  const proxied: Relay = {
    url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    asked: [],
    fate: () => 'pass',
    cut() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    hush() {
      for (const hushed of hushes) hushed();
    },
    close() {
      server.close();
      agent.destroy();
      this.cut();
    },
  };
  return proxied;

  function keep(socket: net.Socket): void {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  }

  function decided(request: http.IncomingMessage): Fate {
    const transport = /^\/v1\/(\w+)/.exec(request.url ?? '')?.[1] ?? '';
    proxied.asked.push(transport);
    return proxied.fate(transport, request);
  }
}

function pass(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  fate: Fate,
  hushes: Set<() => void>,
): void {
  // The answer lets go of it at its end.
  const { socket } = response;
  const holdsHead = has(fate, 'bufferAll');
  const start = () => {
    if (response.headersSent) return;
    response.writeHead(answer.statusCode ?? 500, stripped(answer.headers, fate));
    response.flushHeaders();
  };
  if (!holdsHead) start();
  const least = holdsHead ? fate.bufferAll : has(fate, 'buffer') ? fate.buffer : 0;
  let left = has(fate, 'bytes') ? fate.bytes : Infinity;
  let isFrozen = false;
  let held: Buffer[] = [];
  const flush = () => {
    start();
    for (const piece of held) response.write(piece);
    held = [];
  };
  if (has(fate, 'ms')) setTimeout(() => socket?.resetAndDestroy(), fate.ms);
  const freeze = () => {
    isFrozen = true;
  };
  hushes.add(freeze);
  if (has(fate, 'freeze')) setTimeout(freeze, fate.freeze);
  answer.on('data', (piece: Buffer) => {
    if (isFrozen) return;
    held.push(piece.subarray(0, left));
    left -= piece.length;
    if (left <= 0) {
      // The bytes that may pass do.
      flush();
      setImmediate(() => socket?.destroy());
    } else if (held.reduce((sum, { length }) => sum + length, 0) >= least) flush();
  });
  answer.on('end', () => {
    if (isFrozen || left <= 0) return;
    flush();
    response.end();
  });
  answer.on('error', () => socket?.destroy());
}

function forward(far: net.Socket, near: net.Socket, fate: Fate, hushes: Set<() => void>): void {
  let left = has(fate, 'bytes') ? fate.bytes : Infinity;
  let isFrozen = false;
  let isHead = true;
  let held: Buffer[] = [];
  const least = has(fate, 'buffer') ? fate.buffer : has(fate, 'bufferAll') ? fate.bufferAll : 0;
  if (has(fate, 'ms')) setTimeout(() => near.resetAndDestroy(), fate.ms);
  const freeze = () => {
    isFrozen = true;
  };
  hushes.add(freeze);
  if (has(fate, 'freeze')) setTimeout(freeze, fate.freeze);
  far.on('data', (data: Buffer) => {
    let piece = data;
    if (isFrozen) return;
    const end = piece.indexOf('\r\n\r\n') + 4;
    if (isHead && end >= 4) {
      near.write(piece.subarray(0, end));
      piece = piece.subarray(end);
      isHead = false;
    }
    held.push(piece.subarray(0, left));
    left -= piece.length;
    if (left <= 0 || held.reduce((sum, { length }) => sum + length, 0) >= least) {
      for (const part of held) near.write(part);
      held = [];
    }
    if (left <= 0) setImmediate(() => near.destroy());
  });
  far.on('close', () => {
    if (!isFrozen) near.destroy();
  });
}

function stripped(headers: http.IncomingHttpHeaders, fate: Fate): http.IncomingHttpHeaders {
  const kept = { ...headers };
  if (has(fate, 'strip')) for (const name of fate.strip) delete kept[name];
  return kept;
}

function has<K extends string>(fate: Fate, key: K): fate is Extract<Fate, Record<K, unknown>> {
  return typeof fate === 'object' && key in fate;
}
