// What every transport has to do, over both of the gateway's delivery paths.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Problem } from '../src/index.ts';
import { collect, connect, type Gateway, gateway, PATHS, pause, TRANSPORTS, until } from './harness.ts';

for (const [path, flags] of Object.entries(PATHS)) {
  describe(path, () => {
    let server: Gateway;
    let topics = 0;
    beforeAll(async () => {
      server = await gateway(flags);
    });
    afterAll(() => server.stop());
    const fresh = () => `t/${++topics}`;

    describe.each(TRANSPORTS)('%s', (transport) => {
      const only = (options: object) => connect(server.url, { transports: [transport], ...options });

      test('delivers events in order, as they were published', async () => {
        const topic = fresh();
        const connection = only({ topics: topic });
        const events = collect(connection);
        expect(connection.state).toBe('connecting');
        await until(() => connection.state === 'open', 'open');
        const data = [1, 'two', null, { three: [3] }, '팬🌈\n\r\0\u2028', 'x'.repeat(60_000)];
        const ids = await server.publish(topic, ...data);
        await until(() => events.length === data.length, 'all');
        expect(events.map((event) => event.data)).toEqual(data);
        expect(events.map((event) => event.id)).toEqual(ids);
        expect(events[0]).toMatchObject({ topic, time: expect.stringMatching(/^\d{4}-.*Z$/) });
        expect(connection.cursor).toBe(ids.at(-1));
        expect(connection.transport).toBe(transport);
      });

      test('begins behind a cursor, with all that is held, with the newest, or with the next', async () => {
        const topic = fresh();
        const ids = await server.publish(topic, 1, 2, 3, 4, 5);
        const begun = [
          [{ after: ids[1] }, [3, 4, 5, 6]],
          [{ after: 'earliest' }, [1, 2, 3, 4, 5, 6]],
          [{ last: 2 }, [4, 5, 6]],
          [{}, [6]],
        ] as const;
        const seen = begun.map(([position]) => {
          const connection = only({ topics: topic, ...position });
          return [connection, collect(connection)] as const;
        });
        await until(() => seen.every(([connection]) => connection.state === 'open'), 'open');
        await server.publish(topic, 6);
        await until(() => seen.every(([, events]) => events.at(-1)?.data === 6), 'the sixth everywhere');
        expect(seen.map(([, events]) => events.map((event) => event.data))).toEqual(
          begun.map(([, data]) => data),
        );
      });

      test('a loop takes each event once, and what it leaves is for the next', async () => {
        const topic = fresh();
        const connection = only({ topics: topic, after: 'earliest' });
        const ids = await server.publish(topic, ...Array.from({ length: 20 }, (_, n) => n));
        const first: unknown[] = [];
        for await (const event of connection) {
          first.push(event.data);
          // The event that the loop is busy with is not processed yet.
          if (event.data === 8) expect(connection.cursor).toBe(ids[7]);
          if (event.data === 9) break;
        }
        expect(connection.cursor).toBe(ids[9]);
        const second: unknown[] = [];
        for await (const event of connection) if (second.push(event.data) === 10) break;
        expect([...first, ...second]).toEqual(Array.from({ length: 20 }, (_, n) => n));
      });

      test('a loop that is slow pauses the connection, and loses nothing', async () => {
        const topic = fresh();
        const connection = only({ topics: topic, after: 'earliest', queue: 10 });
        const loop = connection[Symbol.asyncIterator]();
        const all = Array.from({ length: 100 }, (_, n) => n);
        const ids = await server.publish(topic, ...all);
        const taken = [(await loop.next()).value.data, (await loop.next()).value.data];
        await until(() => connection.state === 'paused', 'paused');
        expect(connection.cursor).toBe(ids[0]);
        while (taken.length < all.length) taken.push((await loop.next()).value.data);
        expect(taken).toEqual(all);
        await until(() => connection.state === 'open', 'open again');
      });

      test('topics come and go, and the others miss nothing', async () => {
        const [kept, added] = [fresh(), fresh()];
        const connection = only({ topics: kept });
        const events = collect(connection);
        await until(() => connection.state === 'open', 'open');
        const steady = server.publish(kept, ...Array.from({ length: 50 }, (_, n) => n));
        await connection.subscribe([added]);
        expect(connection.topics).toEqual([kept, added]);
        await server.publish(added, 'heard');
        await until(() => events.some((event) => event.data === 'heard'), 'the added topic');
        await connection.unsubscribe(added);
        expect(connection.topics).toEqual([kept]);
        await server.publish(added, 'unheard');
        await steady;
        await server.publish(kept, 'end');
        await until(() => events.at(-1)?.data === 'end', 'the end');
        const data = events.filter((event) => event.topic === kept).map((event) => event.data);
        expect(data).toEqual([...Array.from({ length: 50 }, (_, n) => n), 'end']);
        expect(events.map((event) => event.data)).not.toContain('unheard');
      });

      test('topics that are refused change nothing', async () => {
        const topic = fresh();
        const connection = only({ topics: topic });
        const events = collect(connection);
        await until(() => connection.state === 'open', 'open');
        const error = await connection.subscribe('not//a/topic').catch((refusal) => refusal);
        expect(error).toBeInstanceOf(Problem);
        expect(error).toMatchObject({ status: 400, field: 'topic' });
        expect(connection.topics).toEqual([topic]);
        await server.publish(topic, 'still');
        await until(() => events.length === 1, 'the event');
      });

      test('without topics it waits for the first', async () => {
        const topic = fresh();
        const connection = only({});
        const events = collect(connection);
        await until(() => connection.state === 'idle', 'idle');
        expect(await connection.publish(topic, 'early')).toMatch(/-/);
        await connection.subscribe(topic);
        await connection.publish(topic, 'now');
        await until(() => events.length === 1, 'the event');
        expect(events[0]?.data).toBe('now');
        await connection.unsubscribe(topic);
        await until(() => connection.state === 'idle', 'idle');
      });

      test('publishes in order, once, and says where', async () => {
        const topic = fresh();
        const connection = only({ topics: topic });
        const events = collect(connection);
        await until(() => connection.state === 'open', 'open');
        const ids = await Promise.all(
          Array.from({ length: 50 }, (_, n) => connection.publish(topic, n, { type: 'count' })),
        );
        const again = [await connection.publish(topic, 'keyed', { key: `k${topic}` })];
        again.push(await connection.publish(topic, 'keyed', { key: `k${topic}` }));
        expect(again[0]).toBe(again[1]);
        await until(() => events.length === 51, 'all');
        expect(events.map((event) => event.id)).toEqual([...ids, again[0]]);
        expect(events[0]?.type).toBe('count');
        await expect(connection.publish('$not/ours', 1)).rejects.toThrow(Problem);
        await expect(connection.publish(topic, undefined)).rejects.toThrow(TypeError);
      });

      test('a request that is refused for good ends it, and says why', async () => {
        const connection = only({ topics: 'a//b' });
        const errors: Error[] = [];
        connection.onError((error) => errors.push(error));
        const loop = connection[Symbol.asyncIterator]().next();
        await expect(loop).rejects.toMatchObject({ status: 400, field: 'topic' });
        expect(connection.state).toBe('refused');
        expect(errors).toHaveLength(1);
        await expect(connection.publish('a', 1)).rejects.toThrow();
      });

      test('a hundred long topics are one subscription', async () => {
        const many = Array.from({ length: 100 }, (_, n) => `${fresh()}/${'long'.repeat(40)}/${n}`);
        const [first, last] = [many[0] as string, many.at(-1) as string];
        await server.publish(last, 'old');
        const connection = only({ topics: many, last: 1 });
        const events = collect(connection);
        await until(() => events.length === 1, 'the old one');
        await server.publish(first, 'new');
        await until(() => events.length === 2, 'the new one');
        expect(events.map((event) => event.data)).toEqual(['old', 'new']);
      });

      test('a listener that throws costs no other its turn', async () => {
        const topic = fresh();
        const thrown: unknown[] = [];
        const catcher = (error: unknown) => thrown.push(error);
        const usual = process.listeners('uncaughtException');
        process.removeAllListeners('uncaughtException');
        process.on('uncaughtException', catcher);
        onTestFinished(() => {
          process.off('uncaughtException', catcher);
          for (const listener of usual) process.on('uncaughtException', listener);
        });
        const connection = only({ topics: topic });
        const ended = connection.onEvent(() => {
          throw new Error('mine');
        });
        const events = collect(connection);
        await until(() => connection.state === 'open', 'open');
        await server.publish(topic, 1);
        await until(() => events.length === 1, 'the event');
        await until(() => thrown.length === 1, 'the error, uncaught');
        ended();
        await server.publish(topic, 2);
        await until(() => events.length === 2, 'the second');
        await pause(10);
        expect(thrown).toHaveLength(1);
      });

      test('may be closed by any listener', async () => {
        const topic = fresh();
        await server.publish(topic, 1, 2);
        const closed = await Promise.all(
          (['onEvent', 'onState', 'onError'] as const).map(async (kind) => {
            const connection = only({ topics: kind === 'onError' ? 'a//b' : topic, after: 'earliest' });
            const events = collect(connection);
            connection[kind](() => connection.close());
            await until(() => connection.state === 'closed', kind);
            return events.length;
          }),
        );
        expect(closed).toEqual([1, 0, 0]);
      });

      test('close ends loops, and nothing comes afterwards', async () => {
        const topic = fresh();
        const connection = only({ topics: topic });
        const events = collect(connection);
        const states: string[] = [];
        connection.onState((state) => states.push(state));
        await until(() => connection.state === 'open', 'open');
        const loop = connection[Symbol.asyncIterator]().next();
        connection.close();
        expect(await loop).toEqual({ done: true, value: undefined });
        const [id] = await server.publish(topic, 1);
        const later = connect(server.url, { topics: topic, after: 'earliest', transports: [transport] });
        const seen = collect(later);
        await until(() => seen.at(-1)?.id === id, 'the event elsewhere');
        expect(events).toEqual([]);
        expect(states).toEqual(['open', 'closed']);
      });
    });
  });
}
