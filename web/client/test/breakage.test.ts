// Networks that break, each in a way of its own, under a publisher that does not stop.
import { afterAll, beforeAll, describe, type ExpectStatic, test } from 'vitest';
import type { FanlightEvent, Gap, Options, Trace, TransportName } from '../src/index.ts';
import {
  Chance,
  collect,
  connect,
  type Finished,
  type Gateway,
  gateway,
  PATHS,
  Publisher,
  TRANSPORTS,
  until,
} from './harness.ts';
import { type Fate, proxy, type Relay } from './proxy.ts';

const STREAMS = ['websocket', 'sse', 'chunked'];
/** Fates that a whole answer survives, and so polls. */
const OF_STREAMS: Record<string, Fate> = {
  'a cut after 40 ms': { ms: 40 },
  'a body held back': { buffer: 1 << 20 },
  'an answer held back': { bufferAll: 1 << 20 },
};
const FAILURES: Record<string, Fate> = {
  'a 502': { status: 502 },
  "a proxy's own 403": { status: 403, headers: { 'content-type': 'text/html' }, body: '<h1>no' },
  'a reset': 'reset',
  silence: 'hang',
  'a cut after 300 bytes': { bytes: 300 },
};

for (const [path, flags] of Object.entries(PATHS)) {
  describe(path, () => {
    let server: Gateway;
    let topics = 0;
    beforeAll(async () => {
      server = await gateway(['--history-events', '100000', ...flags]);
    });
    afterAll(() => server.stop());

    /** A connection through a proxy, while events are published. */
    async function through(finished: Finished, fate: Relay['fate'], options: Options = {}) {
      const topic = `b/${++topics}`;
      const between = await proxy(server.port);
      between.fate = fate;
      const chance = new Chance(topic);
      const after = await server.cursor();
      const connection = connect(
        between.url,
        { topics: topic, after, heartbeat: 5, longpollTimeout: 1, ...options },
        finished,
      );
      const events = collect(connection);
      const gaps: Gap[] = [];
      connection.onGap((gap) => gaps.push(gap));
      const publisher = new Publisher(server, topic, chance);
      finished(async () => {
        await publisher.stop();
        between.close();
      });
      return { connection, events, gaps, between, publisher, chance };
    }

    /** Stops the publisher, and waits for all that it published: each once, in order. */
    async function complete(
      expect: ExpectStatic,
      events: FanlightEvent[],
      publisher: Publisher,
      gaps: Gap[] = [],
    ) {
      await publisher.stop();
      const { ids } = publisher;
      await until(
        () => events.at(-1)?.id === ids.at(-1),
        () => `${events.length} of ${ids.length} events`,
      );
      expect(events.map((event) => event.id)).toEqual(ids);
      expect(gaps).toEqual([]);
    }

    // The gateway's path makes no difference to these.
    const fates = path === 'taken' ? { ...FAILURES, ...OF_STREAMS } : {};
    for (const [name, fate] of Object.entries(fates)) {
      const broken = name in OF_STREAMS ? STREAMS : TRANSPORTS.slice(0, -1);
      test.concurrent.for(broken)(
        `falls back from %s and all before it, for ${name}`,
        async (transport, { expect, onTestFinished }) => {
          const order: readonly string[] = TRANSPORTS;
          const last = order.indexOf(transport);
          // Long enough for what works, on a machine that is busy.
          const timing = { answer: fate === 'hang' ? 1_500 : 5_000, hello: 1_500, climb: 60_000 };
          const isBroken = (asked: string) => order.indexOf(asked) >= 0 && order.indexOf(asked) <= last;
          const { connection, events, gaps, publisher } = await through(
            onTestFinished,
            (asked) => (isBroken(asked) ? fate : 'pass'),
            { timing },
          );
          await until(
            () => connection.transport === order[last + 1] && connection.state === 'open',
            () => `${connection.state} on ${connection.transport}`,
          );
          const { length } = events;
          await until(() => events.length > length + 20, 'events over what works');
          await complete(expect, events, publisher, gaps);
          expect(connection.transport).toBe(order[last + 1]);
        },
      );
    }

    test.concurrent('a proxy that lets the beginning through and holds back the rest is found out', async ({
      expect,
      onTestFinished,
    }) => {
      const ends: string[] = [];
      const { connection, events, gaps, publisher } = await through(
        onTestFinished,
        (asked) => (asked === 'poll' ? 'pass' : { freeze: 20 }),
        {
          transports: ['sse', 'poll'],
          trace: (entry) => void (entry.kind === 'end' && ends.push(entry.reason)),
        },
      );
      await until(() => connection.transport === 'poll' && connection.state === 'open', 'poll', 20_000);
      // Once it may have been the network.
      expect(ends).toEqual(['silence', 'silence']);
      await complete(expect, events, publisher, gaps);
    });

    test.concurrent('headers that are stripped on the way harm nothing but an upgrade', async ({
      expect,
      onTestFinished,
    }) => {
      const strip = [
        'upgrade',
        'connection',
        'fanlight-cursor',
        'content-type',
        'cache-control',
        'x-accel-buffering',
      ];
      for (const transport of TRANSPORTS) {
        const { connection, events, publisher } = await through(onTestFinished, () => ({ strip }), {
          transports: [transport, 'poll'],
        });
        await until(() => events.length > 20, 'events');
        await complete(expect, events, publisher);
        expect(connection.transport).toBe(transport === 'websocket' ? 'poll' : transport);
      }
    });

    test.concurrent('climbs back once the best works again, and loses nothing on the way', async ({
      expect,
      onTestFinished,
    }) => {
      const ends: Trace[] = [];
      const { connection, events, gaps, between, publisher } = await through(
        onTestFinished,
        (asked) => (STREAMS.includes(asked) ? 'reset' : 'pass'),
        { timing: { climb: 100 }, trace: (entry) => entry.kind === 'end' && ends.push(entry) },
      );
      await until(() => connection.transport === 'longpoll' && connection.state === 'open', 'longpoll');
      await until(
        () => between.asked.filter((asked) => asked === 'websocket').length > 2,
        'a try at something better',
      );
      expect(connection.transport).toBe('longpoll');
      between.fate = (asked) => (asked === 'websocket' ? 'reset' : 'pass');
      await until(() => connection.transport === 'sse' && connection.state === 'open', 'sse');
      between.fate = () => 'pass';
      await until(() => connection.transport === 'websocket' && connection.state === 'open', 'websocket');
      expect(
        ends.filter(({ reason }: Trace & { reason?: string }) => reason === 'climbed').length,
      ).toBeGreaterThan(1);
      await complete(expect, events, publisher, gaps);
    });

    test.concurrent.for(STREAMS)(
      '%s that is half open is noticed by the heartbeat that does not come',
      async (stream, { expect, onTestFinished }) => {
        const transports = [stream as TransportName];
        const ends: string[] = [];
        const trace = (entry: Trace) => void (entry.kind === 'end' && ends.push(entry.reason));
        let fate: Fate = { freeze: 300 };
        const { events, gaps, publisher, connection } = await through(onTestFinished, () => fate, {
          transports,
          trace,
        });
        await until(() => events.length > 0, 'events');
        fate = 'pass';
        // A heartbeat is due 5 s after the last message, and waited for a second more.
        await until(() => ends.length > 0, 'its end', 10_000);
        expect(ends).toEqual(['silence']);
        await complete(expect, events, publisher, gaps);
        expect(connection.state).toBe('open');
      },
    );

    test.concurrent.for(['longpoll', 'poll'] as const)(
      '%s gives up a request that is not answered',
      async (transport, { expect, onTestFinished }) => {
        const ends: string[] = [];
        const trace = (entry: Trace) => void (entry.kind === 'end' && ends.push(entry.reason));
        let fate: Fate = 'pass';
        const { events, gaps, publisher, between } = await through(onTestFinished, () => fate, {
          transports: [transport],
          trace,
        });
        await until(() => events.length > 0, 'events');
        fate = 'hang';
        const { length } = between.asked;
        await until(() => between.asked.length > length, 'a request that hangs');
        fate = 'pass';
        await until(() => ends.length > 0, 'its end', 10_000);
        expect(ends).toEqual(['no answer']);
        await complete(expect, events, publisher, gaps);
      },
    );

    test.concurrent('the pause that the gateway, or a proxy, asks for is kept', async ({
      expect,
      onTestFinished,
    }) => {
      const waits: number[] = [];
      let refusals = 2;
      const topic = 'pause/1';
      const between = await proxy(server.port);
      onTestFinished(() => between.close());
      const busy = {
        status: 503,
        headers: { 'retry-after': '1', 'content-type': 'application/problem+json' },
      };
      const body = JSON.stringify({ type: '/docs/errors#unavailable', title: 'Unavailable', status: 503 });
      between.fate = () => (refusals-- > 0 ? { ...busy, body } : 'pass');
      const begun = Date.now();
      const connection = connect(
        between.url,
        {
          topics: topic,
          transports: ['sse', 'poll'],
          trace: (entry) => entry.kind === 'wait' && waits.push(entry.ms),
        },
        onTestFinished,
      );
      await until(() => connection.state === 'open', 'open');
      expect(Date.now() - begun).toBeGreaterThan(2000);
      expect(waits).toHaveLength(2);
      for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(1000);
      // Busy is not broken.
      expect(connection.transport).toBe('sse');
    });

    test.concurrent('what EventSource would wait, SSE waits', async ({ expect, onTestFinished }) => {
      const waits: number[] = [];
      const { connection, events, publisher, between } = await through(onTestFinished, () => 'pass', {
        transports: ['sse'],
        trace: (entry) => entry.kind === 'wait' && waits.push(entry.ms),
      });
      await until(() => events.length > 5, 'events');
      between.cut();
      await until(() => waits.length === 1, 'a wait');
      // The tests' gateways say `retry: 100`.
      expect(waits[0]).toBeGreaterThanOrEqual(100);
      await complete(expect, events, publisher);
      await until(() => connection.state === 'open', 'open');
    });

    test.concurrent.for([...TRANSPORTS, 'all'] as const)(
      '%s: nothing is lost in hundreds of random changes',
      async (name, { expect, onTestFinished }) => {
        const wanted = Number(process.env.FANLIGHT_CHANGES ?? 170);
        let ends = 0;
        const used = new Set<string>();
        const { between, chance, events, publisher, gaps } = await through(
          onTestFinished,
          () => ({ ms: 30 }),
          {
            transports: name === 'all' ? TRANSPORTS : [name],
            pollInterval: 5,
            timing: { backoff: 5, backoffMax: 20, hello: 300, answer: 300, climb: 50, climbMax: 100 },
            trace: ({ kind, transport }) => {
              if (kind === 'end') ends += 1;
              if (kind === 'event') used.add(transport);
            },
          },
        );
        between.fate = () => {
          const strip = ['fanlight-cursor', 'content-type'];
          const cuts = [
            { bytes: chance.below(chance.of([200, 3000])) },
            { ms: chance.below(60) },
            { ms: chance.below(60), strip },
          ];
          // A proxy that holds back what comes, until there is enough of it, and is cut in the end.
          const held = chance.below(20) ? 'reset' : { bufferAll: 4096, ms: 400 };
          return chance.of<Fate>([...cuts, { status: 502 }, 'reset', held]);
        };
        await until(
          () => ends >= wanted,
          () => `${ends} of ${wanted} changes`,
          55_000,
        );
        between.fate = () => 'pass';
        between.cut();
        await complete(expect, events, publisher, gaps);
        console.log(`${name}: ${events.length} events over ${ends} connections, by ${[...used]}`);
        if (name === 'all') expect(used.size).toBe(5);
      },
    );
  });
}
