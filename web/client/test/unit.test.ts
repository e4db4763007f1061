// What needs no gateway: the choice of a transport, the pauses, the reading of streams, and what all of it weighs.
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { Backoff, type Outcome } from '../src/backoff.ts';
import { lines } from '../src/http.ts';
import { connect } from '../src/index.ts';
import { Ladder } from '../src/ladder.ts';
import { Problem, problemOf } from '../src/problem.ts';
import { Queue } from '../src/queue.ts';
import type { Attempt, Message, Transport } from '../src/transport.ts';
import { sse } from '../src/transports/sse.ts';
import { Chance } from './harness.ts';

const timing = {
  answer: 1,
  hello: 1,
  grace: 1,
  steady: 10_000,
  backoff: 500,
  backoffMax: 30_000,
  climb: 100,
  climbMax: 1_000,
};
const named = (name: string) => ({ name }) as Transport;
const steps = [named('websocket'), named('sse'), named('poll')] as const;
const outcome = (more: Partial<Outcome> = {}): Outcome => ({
  opened: 0,
  lived: 0,
  reason: '',
  pause: undefined,
  floor: 0,
  ...more,
});
const worked = outcome({ opened: 1, lived: 1 });
const steady = outcome({ opened: 1, lived: 10_000 });

describe('pauses', () => {
  test('grow twofold to their bound, and are drawn from the whole span', () => {
    const backoff = new Backoff(named('sse'), { timing }, () => 1);
    const spans = Array.from({ length: 9 }, () => backoff.next(worked, undefined));
    expect(spans).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    const none = new Backoff(named('sse'), { timing }, () => 0);
    expect(none.next(worked, undefined)).toBe(0);
    const chance = new Chance('jitter');
    const drawn = Array.from({ length: 1000 }, () =>
      new Backoff(named('sse'), { timing }, () => chance.next()).next(worked, undefined),
    );
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = drawn.filter((ms) => Math.floor((ms as number) / 50) === tenth).length;
      expect(share).toBeGreaterThan(50);
    }
  });

  test('are forgotten after sustained uptime, and not before', () => {
    const backoff = new Backoff(named('sse'), { timing }, () => 1);
    for (let n = 0; n < 4; n++) backoff.next(outcome(), undefined);
    expect(backoff.next(outcome({ opened: 1, lived: 9_999 }), undefined)).toBe(8000);
    expect(backoff.next(steady, undefined)).toBe(500);
  });

  test('come on top of what was asked for', () => {
    const backoff = new Backoff(named('sse'), { timing }, () => 0.5);
    expect(backoff.next(outcome({ pause: 3000, floor: 10 }), undefined)).toBe(3250);
    expect(backoff.next(outcome({ floor: 2000 }), undefined)).toBe(2500);
    expect(backoff.next(outcome(), new Problem({ status: 503 }, 7000))).toBe(8000);
  });

  test('end where the gateway refuses for good', () => {
    const type = '/docs/errors#x';
    for (const status of [400, 401, 403, 413]) {
      expect(
        new Backoff(named('sse'), { timing }).next(outcome(), new Problem({ type, status })),
      ).toBeUndefined();
    }
    for (const problem of [
      { type, status: 503 },
      { type, status: 429 },
      { type, status: 408 },
      { status: 403 },
      { status: 502 },
    ]) {
      expect(new Backoff(named('sse'), { timing }).next(outcome(), new Problem(problem))).toBeDefined();
    }
  });
});

describe('the ladder', () => {
  const ladder = () => new Ladder(steps, { timing }, () => 1);
  const walk = (chosen: Ladder, ...outcomes: [Outcome, Problem?][]) =>
    outcomes.map(([one, problem]) => [chosen.next(one, problem), chosen.transport.name]);

  test('goes down at once from what never worked, and up again after a pause', () => {
    const nothing = outcome();
    expect(walk(ladder(), [nothing], [nothing], [nothing], [nothing])).toEqual([
      [0, 'sse'],
      [0, 'poll'],
      [500, 'websocket'],
      [0, 'sse'],
    ]);
  });

  test('forgives what worked twice', () => {
    expect(walk(ladder(), [worked], [outcome()], [outcome()])).toEqual([
      [500, 'websocket'],
      [1000, 'websocket'],
      [0, 'sse'],
    ]);
    // Steady in between: it begins anew.
    expect(walk(ladder(), [worked], [worked], [steady], [outcome()], [outcome()])).toEqual([
      [500, 'websocket'],
      [1000, 'websocket'],
      [500, 'websocket'],
      [1000, 'websocket'],
      [0, 'sse'],
    ]);
  });

  test('leaves what is buffered at once, and what is silent the second time', () => {
    expect(walk(ladder(), [outcome({ opened: 1, reason: 'buffered' })])).toEqual([[0, 'sse']]);
    const silent = outcome({ opened: 1, reason: 'silence' });
    expect(walk(ladder(), [silent], [silent])).toEqual([
      [500, 'websocket'],
      [0, 'sse'],
    ]);
  });

  test('leaves what the gateway does not have, and gives up if that is everything', () => {
    const missing = new Problem({ type: '/docs/errors#not-found', status: 404 });
    expect(walk(ladder(), [outcome(), missing], [outcome(), missing], [outcome(), missing])).toEqual([
      [0, 'sse'],
      [0, 'poll'],
      [undefined, 'poll'],
    ]);
    // A proxy's 404 says nothing about the gateway.
    const proxys = new Problem({ status: 404 });
    expect(walk(ladder(), [outcome(), proxys], [outcome(), proxys], [outcome(), proxys])[2]).toEqual([
      500,
      'websocket',
    ]);
  });

  test('stays where the gateway asks for a pause', () => {
    const busy = new Problem({ type: '/docs/errors#unavailable', status: 503 }, 4000);
    expect(walk(ladder(), [outcome(), busy], [outcome({ pause: 100 })])).toEqual([
      [4500, 'websocket'],
      [1100, 'websocket'],
    ]);
  });

  test('climbs less and less often, until the best was steady', () => {
    const chosen = ladder();
    walk(chosen, [outcome()], [outcome()]);
    expect(chosen.better.map(({ name }) => name)).toEqual(['websocket', 'sse']);
    expect(Array.from({ length: 5 }, () => chosen.climb())).toEqual([100, 200, 400, 800, 1000]);
    chosen.choose(steps[0]);
    chosen.next(steady, undefined);
    expect(chosen.climb()).toBe(100);
  });
});

describe('streams', () => {
  /** An answer whose body comes in these pieces. */
  const answer = (...pieces: Uint8Array[]) =>
    new Response(
      new ReadableStream({
        pull(controller) {
          const piece = pieces.shift();
          if (piece) controller.enqueue(piece);
          else controller.close();
        },
      }),
    );
  const all = async (parts: AsyncIterable<string>) => {
    const read: string[] = [];
    for await (const part of parts) read.push(part);
    return read;
  };
  const text = 'a\né팬🌈\r\n\n{"x":"\u2028\u0085"}\rlast\ncut';
  const bytes = new TextEncoder().encode(text);
  const whole = ['a', 'é팬🌈', '', '{"x":"\u2028\u0085"}', 'last'];

  test('are read the same wherever they are split', async () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(await all(lines(answer(bytes.subarray(0, cut), bytes.subarray(cut))))).toEqual(whole);
    }
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(await all(lines(answer(...single)))).toEqual(whole);
  });

  test('SSE is read as WHATWG HTML, 9.2.6 has it', async () => {
    const taken: Message[] = [];
    let retry = 0;
    const stream =
      ': a comment\r\nretry: 7\n\nevent: control\rdata:{"a":\ndata: 1}\nid: 3\n\ndata: {"b":": 2"}\n\ndata: {"cut":1}\n';
    const attempt = {
      options: { heartbeat: 15, fetch: async () => answer(new TextEncoder().encode(stream)) },
      url: () => new URL('http://localhost/v1/sse'),
      query: () => new URLSearchParams(),
      request() {},
      answer() {},
      retry: (ms: number) => {
        retry = ms;
      },
      take: (message: Message) => taken.push(message),
    };
    await sse.connect(attempt as unknown as Attempt);
    expect(taken).toEqual([{ a: 1 }, { b: ': 2' }]);
    expect(retry).toBe(7);
  });
});

describe('problems', () => {
  test('are read from any answer', async () => {
    const wait = async (header: string) =>
      (await problemOf(new Response('x', { status: 503, headers: { 'retry-after': header } }))).retryAfter;
    expect(await wait('3')).toBe(3000);
    expect(await wait(new Date(Date.now() + 10_000).toUTCString())).toBeGreaterThan(8_000);
    expect(await wait('soon')).toBeUndefined();
    const problem = await problemOf(Response.json({ type: 't', detail: 'why', field: 'f' }, { status: 400 }));
    expect(problem).toMatchObject({ type: 't', message: 'why', field: 'f', status: 400, name: 'Problem' });
    expect((await problemOf(new Response(null, { status: 502 }))).message).toBe('HTTP 502');
  });
});

describe('the queue', () => {
  const event = (id: string) => ({ id, topic: 't', time: '', data: id });

  test('is bounded, and says when half of it was taken', async () => {
    let drained = 0;
    const queue = new Queue(4, () => drained++);
    const loop = queue.loop(
      () => {},
      () => true,
    );
    expect(['1', '2', '3', '4'].map((id, n) => queue.push(event(id), `${n}`, false))).toEqual([
      false,
      false,
      false,
      true,
    ]);
    await loop.next();
    await loop.next();
    expect([queue.isFull(), drained, queue.cursor('4')]).toEqual([true, 0, '1']);
    await loop.next();
    expect([queue.isFull(), drained, queue.cursor('4')]).toEqual([false, 1, '2']);
  });

  test('answers whoever asks twice in turn', async () => {
    const queue = new Queue(4, () => {});
    const loop = queue.loop(
      () => {},
      () => true,
    );
    const both = Promise.all([loop.next(), loop.next()]);
    queue.push(event('1'), '0', false);
    queue.push(event('2'), '1', false);
    expect((await both).map(({ value }) => value.id)).toEqual(['1', '2']);
    expect(queue.cursor('2')).toBe('1');
  });

  test('gives nothing to a loop that was left', async () => {
    const queue = new Queue(4, () => {});
    const loop = () =>
      queue.loop(
        () => {},
        () => true,
      );
    const left = loop();
    const waits = left.next();
    await left.return?.();
    const end = { done: true, value: undefined };
    expect(await waits).toEqual(end);
    const other = loop();
    await left.return?.();
    queue.push(event('1'), '0', false);
    expect(await left.next()).toEqual(end);
    expect((await other.next()).value.id).toBe('1');
  });

  test('takes one loop at a time', () => {
    const connection = connect('http://localhost', { transports: ['poll'] });
    connection[Symbol.asyncIterator]();
    expect(() => connection[Symbol.asyncIterator]()).toThrow('one loop');
    connection.close();
  });
});

describe('what cannot be meant', () => {
  test('is an error at once', () => {
    expect(() => connect('http://localhost', { transports: ['socketio' as never] })).toThrow(
      'websocket,sse,chunked',
    );
    expect(() =>
      connect('http://localhost', { transports: ['websocket'], WebSocket: undefined as never }),
    ).toThrow('WebSocket');
    expect(() => connect('nowhere')).toThrow('URL');
  });
});

describe('minified and compressed', () => {
  const size = async (contents: string) => {
    const stdin = {
      contents,
      resolveDir: new URL('../src', import.meta.url).pathname,
      loader: 'ts' as const,
    };
    const options = { bundle: true, minify: true, format: 'esm', target: 'es2022', write: false } as const;
    const [file] = (await build({ stdin, ...options })).outputFiles;
    return gzipSync(file?.contents ?? '', { level: 9 }).length;
  };

  test('the whole is at most 12 KiB', async () => {
    const bytes = await size("export * from './index.ts'");
    console.log(`whole: ${bytes} bytes`);
    expect(bytes).toBeLessThanOrEqual(12 << 10);
  });

  test.each(['poll', 'longpoll', 'chunked', 'sse', 'websocket'])(
    'the core with %s alone is at most 3 KiB',
    async (transport) => {
      const bytes = await size(`export { connect, ${transport} } from './core.ts'`);
      console.log(`${transport}: ${bytes} bytes`);
      expect(bytes).toBeLessThanOrEqual(3 << 10);
    },
  );
});
