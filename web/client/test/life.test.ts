// What happens to a connection in its life: gateways that go and come back, tokens that end, pages that are reloaded.
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Gap, Options, Trace, TransportName } from '../src/index.ts';
import { collect, connect, gateway, TRANSPORTS, until } from './harness.ts';
import { proxy } from './proxy.ts';

const problem = (status: number, name: string) => ({
  status,
  headers: { 'content-type': 'application/problem+json' },
  body: JSON.stringify({ type: `/docs/errors#${name}`, title: name, status }),
});

async function served(flags: string[] = []) {
  const server = await gateway(flags);
  onTestFinished(() => server.stop());
  return server;
}

describe.each(TRANSPORTS)('%s', (transport) => {
  const transports: TransportName[] = [transport];

  test('a gateway that drains and comes back: everything before, a gap, everything after', async () => {
    const first = await served();
    const waits: number[] = [];
    const errors: Error[] = [];
    const trace = (entry: Trace) => void (entry.kind === 'wait' && waits.push(entry.ms));
    const connection = connect(first.url, { topics: 'a', transports, trace });
    const events = collect(connection);
    const gaps: Gap[] = [];
    connection.onGap((gap) => gaps.push(gap));
    connection.onError((error) => errors.push(error));
    await until(() => connection.state === 'open', 'open');
    const [before] = await first.publish('a', 'before');
    await until(() => events.length === 1, 'the first');
    await first.stop('SIGTERM');
    await until(() => connection.state === 'reconnecting', 'its end');
    const second = await gateway([], first.port);
    onTestFinished(() => second.stop());
    await second.publish('a', 'after');
    await until(() => events.length === 2, 'both events');
    expect(events.map((event) => event.data)).toEqual(['before', 'after']);
    expect(gaps).toEqual([{ from: before, to: expect.any(String), reason: 'restarted' }]);
    // The gateway says when to come back: between one and two times its `retry`.
    if (['websocket', 'sse', 'chunked'].includes(transport)) expect(waits[0]).toBeGreaterThanOrEqual(100);
  });

  test('a history that was too short is told, once, and with its bounds', async () => {
    const server = await served(['--history-events', '5']);
    const [from] = await server.publish('a', 0);
    const ids = await server.publish('a', 1, 2, 3, 4, 5, 6, 7);
    const connection = connect(server.url, { topics: 'a', after: from as string, transports });
    const events = collect(connection);
    const gaps: Gap[] = [];
    connection.onGap((gap) => gaps.push(gap));
    await until(() => events.length === 5, 'what is held');
    expect(gaps).toEqual([{ from, to: ids[1], reason: 'evicted' }]);
  });

  test('a gap that nobody listens to is a warning', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    onTestFinished(() => warn.mockRestore());
    const server = await served();
    await server.publish('a', 1);
    collect(connect(server.url, { topics: 'a', after: '123-4', transports }));
    await until(() => warn.mock.calls.length > 0, 'the warning');
    expect(warn.mock.calls[0]).toEqual([
      'fanlight: events were lost',
      expect.objectContaining({ reason: 'restarted' }),
    ]);
  });

  test('the cursor is kept over reloads', async () => {
    const server = await served();
    const kept = new Map<string, string>();
    const storage = {
      getItem: async (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    };
    const load = (options: Options) =>
      connect(server.url, { topics: 'a', last: 10, transports, storage, ...options });
    const ids = await server.publish('a', 1, 2, 3, 4, 5);
    const first = load({});
    const taken: unknown[] = [];
    for await (const event of first) {
      taken.push(event.data);
      if (event.data === 3) break;
    }
    first.close();
    await until(
      () => [...kept.values()].join() === ids[2],
      () => `${[...kept.entries()]}`,
    );
    expect([...kept.keys()]).toEqual([`fanlight:${server.url}/:a`]);
    const second = load({});
    const events = collect(second);
    await until(() => events.length === 2, 'the rest');
    expect(events.map((event) => event.data)).toEqual([4, 5]);
    const other = collect(load({ storageKey: 'other' }));
    await until(() => other.length === 5, 'all');
  });

  test('a kept cursor that is none is a gap, and what is held follows', async () => {
    const server = await served();
    await server.publish('a', 1, 2);
    const head = await server.cursor();
    // The same log, but ahead of it: as after a restore from a backup.
    const cursor = head.replace(/-.*/, '-99999');
    const storage = { getItem: () => cursor, setItem: () => {} };
    const connection = connect(server.url, { topics: 'a', storage, transports });
    const gaps: Gap[] = [];
    connection.onGap((gap) => gaps.push(gap));
    const events = collect(connection);
    await until(() => events.length === 2, 'what is held');
    expect(gaps).toEqual([{ from: cursor, to: cursor, reason: 'unknown' }]);
  });

  test('a publish that was not answered is sent again, and is in the log once', async () => {
    const server = await served();
    const between = await proxy(server.port);
    onTestFinished(() => between.close());
    let cuts = 0;
    between.fate = (endpoint) => (endpoint === 'publish' && cuts++ < 2 ? { bytes: 1 } : 'pass');
    const connection = connect(between.url, { topics: 'a', transports, after: 'earliest' });
    const events = collect(connection);
    await until(() => connection.state === 'open', 'open');
    const ids: Promise<string>[] = [];
    for (let n = 0; n < 10; n++) {
      ids.push(connection.publish('a', n));
      // A WebSocket dies under what it carries; the rest go by request.
      if (n === 4 && transport === 'websocket') between.cut();
    }
    const published = await Promise.all(ids);
    await until(() => events.length >= 10, 'all');
    expect(events.map((event) => event.data)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(events.map((event) => event.id)).toEqual(published);
  });
});

describe('tokens', () => {
  test.each(['sse', 'chunked', 'longpoll', 'poll'] as const)(
    '%s: one that is refused is renewed, once',
    async (transport) => {
      const server = await served();
      const between = await proxy(server.port);
      onTestFinished(() => between.close());
      let good = 'two';
      between.fate = (_, { headers }) =>
        headers.authorization === `Bearer ${good}` ? 'pass' : problem(401, 'unauthorized');
      const asked: boolean[] = [];
      const tokens = ['one', 'two', 'three'];
      const connection = connect(between.url, {
        topics: 'a',
        transports: [transport],
        token: async (renew) => {
          asked.push(renew);
          return tokens.shift() ?? 'none';
        },
      });
      const events = collect(connection);
      await until(() => connection.state === 'open', 'open');
      expect(asked).toEqual([false, true]);
      await connection.publish('a', 1);
      await until(() => events.length === 1, 'the event');
      good = 'three';
      between.cut();
      await until(() => asked.length === 3, 'another');
      await connection.publish('a', 2);
      await until(() => events.length === 2, 'the second');
      // None that is good is left.
      good = 'four';
      between.cut();
      await until(() => connection.state === 'refused', 'refused');
      expect(asked).toEqual([false, true, true, true]);
    },
  );

  test('a fixed one that is refused is the end', async () => {
    const server = await served();
    const between = await proxy(server.port);
    onTestFinished(() => between.close());
    between.fate = () => problem(401, 'unauthorized');
    const connection = connect(between.url, { topics: 'a', transports: ['sse', 'poll'], token: 'bad' });
    await until(() => connection.state === 'refused', 'refused');
    expect(between.asked).toEqual(['sse']);
  });

  test('a WebSocket carries it in its address, and a new one when the old one expires', async () => {
    const sockets: FakeSocket[] = [];
    class FakeSocket {
      sent: Record<string, unknown>[] = [];
      onopen = () => {};
      onmessage = (_: { data: string }) => {};
      onclose = (_: { code: number; reason: string }) => {};
      url: URL;
      constructor(url: URL) {
        this.url = url;
        sockets.push(this);
        setTimeout(() => this.onopen());
      }
      send(text: string) {
        this.sent.push(JSON.parse(text));
      }
      tell(message: unknown) {
        this.onmessage({ data: JSON.stringify(message) });
      }
      close() {}
    }
    let tokens = 0;
    const connection = connect('http://localhost', {
      topics: 'a',
      transports: ['websocket'],
      WebSocket: FakeSocket as unknown as typeof WebSocket,
      token: () => `token-${++tokens}`,
    });
    await until(() => sockets.length === 1, 'a socket');
    expect(`${sockets[0]?.url}`).toBe(
      'ws://localhost/v1/websocket?topic=a&heartbeat=15&access_token=token-1',
    );
    sockets[0]?.tell({
      control: 'error',
      type: '/docs/errors#unauthorized',
      status: 401,
      title: 'Unauthorized',
    });
    sockets[0]?.onclose({ code: 1008, reason: 'token_expired' });
    await until(() => sockets.length === 2, 'another');
    expect(sockets[1]?.url.searchParams.get('access_token')).toBe('token-2');
    await new Promise((resolve) => setTimeout(resolve, 5));
    sockets[1]?.tell({ control: 'hello', cursor: 'x-1' });
    expect(connection.state).toBe('open');
    sockets[1]?.tell({ control: 'expiring' });
    await until(() => sockets[1]?.sent.length, 'the new token');
    expect(sockets[1]?.sent).toEqual([{ op: 'auth', token: 'token-3', ref: 1 }]);
    sockets[1]?.tell({ control: 'ack', ref: 1 });
    sockets[1]?.tell({ control: 'what', is: 'new' });
    expect(connection.state).toBe('open');
    // Where it is not taken on the connection, a new one has it.
    sockets[1]?.tell({ control: 'expiring' });
    await until(() => sockets[1]?.sent.length === 2, 'the next');
    sockets[1]?.tell({ control: 'error', ref: 2, type: '/docs/errors#invalid-request', status: 400 });
    await until(() => sockets.length === 3, 'a third');
    expect(`${sockets[2]?.url}`).toContain('after=x-1');
    expect(sockets[2]?.url.searchParams.get('access_token')).toBe('token-4');
  });
});

test('what happens on the wire can be followed', async () => {
  const server = await served();
  for (const transport of TRANSPORTS) {
    const trace: Trace[] = [];
    const [old] = await server.publish(transport, 'old');
    const between = await proxy(server.port);
    onTestFinished(() => between.close());
    const options: Options = {
      topics: transport,
      transports: [transport],
      trace: (entry) => trace.push(entry),
    };
    const connection = connect(between.url, { ...options, after: old as string });
    const events = collect(connection);
    await until(() => connection.state === 'open', 'open');
    const [live] = await server.publish(transport, 'live');
    await until(() => events.length === 1, 'the event');
    between.fate = () => 'reset';
    between.cut();
    await until(() => trace.some(({ kind }) => kind === 'wait'), 'a pause');
    const [missed] = await server.publish(transport, 'missed');
    between.fate = () => 'pass';
    await until(() => events.length === 2, 'the missed one');
    expect(trace.every((entry) => entry.transport === transport && entry.at > 0)).toBe(true);
    const kinds = trace.map(({ kind }) => kind);
    expect(kinds.slice(0, 2)).toEqual(['request', 'answer']);
    expect(trace[1]).toMatchObject({ status: transport === 'websocket' ? 101 : expect.any(Number) });
    const told = trace.flatMap((entry) => (entry.kind === 'event' ? [[entry.id, entry.replayed]] : []));
    expect(told).toEqual([
      [live, false],
      [missed, true],
    ]);
    expect(kinds).toContain('end');
    if (transport === 'poll') expect(kinds).toContain('empty');
  }
});
