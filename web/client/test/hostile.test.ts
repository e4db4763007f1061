// A server that is broken, or means ill: nothing that it says crashes a client, makes it haste, or moves its place.
import { createHash } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FanlightEvent, Options } from '../src/index.ts';
import { collect, connect, pause, until } from './harness.ts';

const HELLO = '{"control":"hello","cursor":"e-1"}';
const event = (n: number) => JSON.stringify({ id: `e-${n}`, topic: 'a', time: '', data: n });

interface Server {
  url: string;
  /** Targets that were asked for. */
  asked: string[];
}

/**
 * Answers requests as it is told to, and each WebSocket with the next list of texts: all in one piece, but for those
 * with a `ref`, which wait until something is asked.
 */
async function server(answer: http.RequestListener, ...sockets: string[][]): Promise<Server> {
  const asked: string[] = [];
  const made = http.createServer((request, response) => {
    asked.push(request.url as string);
    answer(request, response);
  });
  made.on('upgrade', (request, socket) => {
    asked.push(request.url as string);
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    socket.on('error', () => {});
    const head = [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Protocol: fanlight.v1',
      `Sec-WebSocket-Accept: ${createHash('sha1').update(key).digest('base64')}`,
    ];
    const texts = sockets.shift() ?? [];
    const framed = (text: string) => {
      const bytes = Buffer.from(text);
      return Buffer.concat([Buffer.from([0x81, bytes.length]), bytes]);
    };
    const frames = texts.filter((text) => !text.includes('"ref"')).map(framed);
    const replies = texts.filter((text) => text.includes('"ref"')).map(framed);
    socket.on('data', () => socket.write(replies.shift() ?? ''));
    socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), ...frames]));
  });
  await new Promise<void>((listening) => made.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    made.closeAllConnections();
    made.close();
  });
  return { url: `http://127.0.0.1:${(made.address() as AddressInfo).port}`, asked };
}

/** Lines of a stream that stays open, … */
const open = (...lines: string[]): http.RequestListener => {
  return (_, response) => response.write(`${lines.join('\n')}\n`);
};
/** … or ends. */
const ended = (...lines: string[]): http.RequestListener => {
  return (_, response) => response.end(`${lines.join('\n')}\n`);
};
const options = (transport: 'websocket' | 'sse' | 'chunked' | 'longpoll' | 'poll'): Options => ({
  topics: 'a',
  transports: [transport],
});

describe('pauses', () => {
  const asked = (ms: string) => ended(HELLO, `{"control":"reconnect","after_ms":${ms}}`);
  test.each<[string, 'chunked' | 'sse', http.RequestListener]>([
    ['of 300 years', 'chunked', asked('1e13')],
    ['that are no number', 'chunked', asked('"soon"')],
    ['that are an object', 'chunked', asked('{}')],
    ['that lie in the past', 'chunked', asked('-1e13')],
    [
      'of an answer',
      'chunked',
      (_, response) => response.writeHead(503, { 'retry-after': '99999999999' }).end(),
    ],
    ['of an event stream', 'sse', ended('retry: 99999999999', `data: ${HELLO}`, '')],
  ])('%s are no haste', async (_, transport, answer) => {
    const { url, asked } = await server(answer);
    connect(url, { ...options(transport), timing: { backoff: 500, backoffMax: 500 } }).onEvent(() => {});
    await pause(700);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.length).toBeLessThan(12);
  });
});

describe('a message', () => {
  test.each(['{', 'null', '5', '"control"', '{"control":"error","detail":{"toString":1}}'])(
    'that cannot be read ends the connection, not the program: %s',
    async (text) => {
      const { url, asked } = await server(() => {}, [HELLO, text, event(3)], [HELLO, event(2), event(3)]);
      const events = collect(connect(url, options('websocket')));
      await until(() => events.length >= 2, 'the events');
      expect(events.map(({ id }) => id)).toEqual(['e-2', 'e-3']);
      expect(asked[1]).toContain('after=e-1');
    },
  );

  test.each(['{}', '[]', '{"control":"hello"}', '{"control":"cursor","cursor":""}'])(
    'that names no place moves none: %s',
    async (text) => {
      const { url, asked } = await server(ended(HELLO, text));
      const events = collect(connect(url, options('chunked')));
      await until(() => asked.length > 1, 'another request');
      expect(asked[1]).toContain('after=e-1');
      expect(events).toEqual([]);
    },
  );

  test('has no say over the prototype', async () => {
    const { url } = await server(open(HELLO, '{"id":"e-2","topic":"a","data":1,"__proto__":{"evil":1}}'));
    const events = collect(connect(url, options('chunked')));
    await until(() => events.length, 'the event');
    expect((events[0] as FanlightEvent & { evil?: 1 }).evil).toBeUndefined();
  });
});

test('a long poll that is not held is no haste', async () => {
  const { url, asked } = await server((_, response) =>
    response.writeHead(204, { 'fanlight-cursor': 'e-1' }).end(),
  );
  connect(url, { ...options('longpoll'), pollInterval: 200 }).onEvent(() => {});
  await pause(900);
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.length).toBeLessThan(8);
});

test('a poll that has always more, and nothing, is no haste', async () => {
  const { url, asked } = await server((_, response) =>
    response.end('{"events":[],"cursor":"e-1","more":true}'),
  );
  connect(url, { ...options('poll'), pollInterval: 200 }).onEvent(() => {});
  await pause(900);
  expect(asked.length).toBeLessThan(8);
});

test.each([
  ['for now', 429],
  ['for its token', 401],
])('a publish that is refused %s on a WebSocket is tried again', async (_, status) => {
  const tokens: (string | undefined)[] = [];
  const { url } = await server(
    ({ headers }, response) => {
      tokens.push(headers.authorization);
      if (status === 401 && headers.authorization === 'Bearer old')
        response.writeHead(401, { 'content-type': 'application/problem+json' }).end('{"type":"t"}');
      else response.end('{"id":"e-9"}');
    },
    [HELLO, `{"control":"error","ref":1,"type":"t","status":${status}}`],
  );
  const token = (renew: boolean) => (renew ? 'new' : 'old');
  const connection = connect(url, { ...options('websocket'), token });
  connection.onEvent(() => {});
  await until(() => connection.state === 'open', 'open');
  expect(await connection.publish('a', 1)).toBe('e-9');
  expect(tokens).toEqual(status === 401 ? ['Bearer old', 'Bearer new'] : ['Bearer old']);
});

describe('an operation that a WebSocket leaves without an answer', () => {
  const silent = async () => {
    const { url, asked } = await server((_, response) => response.end('{"id":"e-9"}'), [HELLO], [HELLO]);
    const connection = connect(url, { ...options('websocket'), timing: { answer: 150 } });
    const errors: string[] = [];
    connection.onEvent(() => {});
    connection.onError((error) => errors.push(error.message));
    await until(() => connection.state === 'open', 'open');
    return { connection, asked, errors };
  };

  test('is published by request', async () => {
    const { connection, asked, errors } = await silent();
    let id: string | undefined;
    void connection.publish('a', 1).then((published) => {
      id = published;
    });
    await until(() => id, 'its id', 3_000);
    expect(id).toBe('e-9');
    expect(errors).toEqual(['no answer']);
    expect(asked.some((target) => target.startsWith('/v1/publish'))).toBe(true);
  });

  test('is what the next connection asks for', async () => {
    const { connection, asked, errors } = await silent();
    let done = false;
    void connection.subscribe('b').then(() => {
      done = true;
    });
    await until(() => done, 'the change', 3_000);
    expect(errors).toEqual(['no answer']);
    expect(asked).toHaveLength(2);
    expect(asked[1]).toContain('topic=a&topic=b');
  });
});

test.each(['websocket', 'chunked'] as const)('a trace that throws costs %s no event', async (transport) => {
  const uncaught: unknown[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error));
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const other of others) process.on('uncaughtException', other);
  });
  const { url } = await server(open(HELLO, event(2)), [HELLO, event(2)]);
  let isBroken = true;
  const trace = () => {
    if (isBroken) throw new Error('mine');
  };
  const events = collect(connect(url, { ...options(transport), trace }));
  await until(() => events.length, 'the event', 3_000);
  await until(() => uncaught.length, 'the error');
  isBroken = false;
  await pause(20);
});

describe('topics', () => {
  test('cannot be changed once it is over, and nobody waits for it', async () => {
    const { url } = await server(open(HELLO));
    const connection = connect(url, options('chunked'));
    const waits = connection.subscribe('b');
    const queued = connection.subscribe('c');
    connection.close();
    await expect(waits).rejects.toThrow('closed');
    await expect(queued).rejects.toThrow('closed');
    await expect(connection.subscribe('d')).rejects.toThrow('closed');
    await expect(connection.unsubscribe('a')).rejects.toThrow('closed');
  });

  test('that were named twice are one when another is added', async () => {
    const { url, asked } = await server(open(HELLO));
    const connection = connect(url, { ...options('chunked'), topics: ['a', 'a'] });
    connection.onEvent(() => {});
    await until(() => connection.state === 'open', 'open');
    await connection.subscribe('b');
    expect(connection.topics).toEqual(['a', 'b']);
    expect(asked.at(-1)).toContain('topic=a&topic=b');
  });
});

test('the address may be written as that of a WebSocket', async () => {
  const { url } = await server(open(HELLO, event(2)));
  const events = collect(connect(url.replace('http', 'ws'), options('chunked')));
  await until(() => events.length, 'the event', 3_000);
});

test('a listener that takes its own place hears each event once', async () => {
  const { url } = await server(open(HELLO, event(2), event(3)));
  const connection = connect(url, options('chunked'));
  const heard: string[] = [];
  const again = () => {
    const off = connection.onEvent(({ id }) => {
      if (heard.push(id) > 100) return;
      off();
      again();
    });
  };
  again();
  await until(() => heard.length >= 2, 'both');
  expect(heard).toEqual(['e-2', 'e-3']);
});

test('a listener that another one ended hears nothing more', async () => {
  const { url } = await server(open(HELLO, event(2)));
  const connection = connect(url, options('chunked'));
  const heard: string[] = [];
  connection.onEvent(({ id }) => {
    heard.push(id);
    off();
  });
  const off = connection.onEvent(() => heard.push('too late'));
  await until(() => heard.length, 'the event');
  expect(heard).toEqual(['e-2']);
});
