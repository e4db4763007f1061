import { beforeEach, expect, test } from 'vitest';
import type { Trace } from '../../client/src/index.ts';
import { measure } from '../../src/figures.ts';
import { LaneRecord } from '../../src/lane/record.ts';
import type { Shape } from '../../src/lane/shape.ts';
import { Ledger } from '../../src/ledger.ts';
import { Log, type Published } from '../../src/published.ts';
import type { TransportName } from '../../src/transports.ts';

/** The gateway's clock is this far ahead of the page's, ms. */
const AHEAD = 1_000_000;
const SHAPE: Shape = { rtt: 100, loss: 0, buffering: false, shared: false, isShaped: true };

let log: Log;
beforeEach(() => {
  log = new Log((time) => time - AHEAD);
});

type Traced<T> = T extends unknown ? Omit<T, 'at' | 'transport'> : never;

function lane(transport: TransportName, shape: Partial<Shape> = {}) {
  const record = new LaneRecord(transport, log, { ...SHAPE, ...shape });
  log.onPublished((event) => record.published(event));
  const trace = (at: number, entry: Traced<Trace>) => record.trace({ at, transport, ...entry } as Trace);
  const flight = (event: Published) => {
    const found = record.flights.get(event.id);
    if (!found) throw new Error('no flight');
    return found;
  };
  return { record, trace, flight };
}

function publish(offset: number, at: number, epoch = 'e'): Published {
  return log.see({ id: `${epoch}-${offset}`, topic: 'a', time: new Date(at + AHEAD).toISOString() });
}

const shown = (event: Published, replayed = false): Traced<Trace> => ({
  kind: 'event',
  id: event.id,
  replayed,
});

test('a poll: what was published waits until the answer leaves, and takes half a round trip', () => {
  const { record, trace, flight } = lane('poll');
  const [first, second] = [publish(1, 500), publish(2, 800)];
  trace(1000, { kind: 'request' });
  trace(1100, { kind: 'answer', status: 200 });
  trace(1102, shown(first));
  trace(1102, shown(second));
  expect(flight(first)).toMatchObject({ slot: 0, sent: 1050, at: 1102, index: 0 });
  expect(flight(second)).toMatchObject({ slot: 1, sent: 1050, index: 1 });
  expect(flight(first).batch).toBe(flight(second).batch);
  expect(record.exchanges[0]).toMatchObject({ asked: 1000, reached: 1050, answered: 1050, opened: 1100 });
  expect(record.arrivals.map(({ late }) => late)).toEqual([602, 302]);
  expect(record).toMatchObject({ delivered: 2, missed: 0, duplicated: 0 });
  expect(record.answers).toEqual([{ at: 1102, isEmpty: false }]);
});

test('an empty poll is a mark, and is counted as empty', () => {
  const { record, trace } = lane('poll');
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 204 });
  trace(101, { kind: 'empty' });
  expect(record.marks).toEqual([{ kind: 'empty', at: 101, delay: 50 }]);
  expect(record.answers).toEqual([{ at: 101, isEmpty: true }]);
  expect(record.requests).toEqual([0]);
});

test('a first request costs two round trips, of which one is the handshake', () => {
  const { record, trace } = lane('poll');
  trace(0, { kind: 'request' });
  trace(200, { kind: 'answer', status: 204 });
  expect(record.exchanges[0]).toMatchObject({ handshake: 0, asked: 100, reached: 150, answered: 150 });
});

test('a long poll holds: an event that comes while it is open does not wait', () => {
  const { trace, flight, record } = lane('longpoll');
  trace(0, { kind: 'request' });
  const event = publish(1, 3000);
  trace(3050, { kind: 'answer', status: 200 });
  trace(3051, shown(event));
  expect(flight(event).sent).toBe(3000);
  expect(record.exchanges[0]).toMatchObject({ reached: 50, answered: 3000 });
});

test('a long poll that is on its way: the event waits until it is there', () => {
  const { trace, flight } = lane('longpoll');
  const event = publish(1, 1010);
  trace(1000, { kind: 'request' });
  trace(1100, { kind: 'answer', status: 200 });
  trace(1100, shown(event));
  expect(flight(event).sent).toBe(1050);
});

test('a stream: an event leaves when it is published, and the quickest one tells the delay', () => {
  const { record, trace, flight } = lane('sse');
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 200 });
  const event = publish(1, 1000);
  trace(1044, shown(event));
  expect(flight(event)).toMatchObject({ sent: 1000, at: 1044 });
  expect(record.delay.value).toBe(44);
});

test('a lost segment, and what stands behind it', () => {
  const { trace, flight } = lane('sse', { loss: 0.05 });
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 200 });
  const [first, lost, behind] = [publish(1, 900), publish(2, 1000), publish(3, 1100)];
  trace(950, shown(first));
  // 300 ms later than usual: a round trip and 200 ms.
  trace(1350, shown(lost));
  trace(1351, shown(behind));
  expect(flight(lost)).toMatchObject({ dropped: 1000, sent: 1300, landed: 1350 });
  expect(flight(behind)).toMatchObject({ sent: 1100, landed: 1150, at: 1351 });
  expect(flight(behind).dropped).toBeUndefined();
});

test('a proxy that buffers holds events half-way', () => {
  const { trace, flight } = lane('chunked', { buffering: true });
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 200 });
  const event = publish(1, 1000);
  trace(4000, shown(event));
  expect(flight(event)).toMatchObject({ isHeld: true, sent: 1000 });
});

test('events that are given again are counted, once', () => {
  const { record, trace, flight } = lane('websocket');
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 101 });
  const [first, second] = [publish(1, 500), publish(2, 1000)];
  trace(550, shown(first));
  trace(600, { kind: 'end', reason: 'cut' });
  expect(record.exchanges[0]).toMatchObject({ isBroken: true, done: 600 });
  trace(2000, { kind: 'request' });
  trace(2100, { kind: 'answer', status: 101 });
  trace(2110, shown(second, true));
  expect(flight(second)).toMatchObject({ isReplayed: true, batch: { replayed: 1 } });
  expect(record).toMatchObject({ delivered: 2, replayed: 1, missed: 0, duplicated: 0 });
  trace(2120, shown(first));
  expect(record).toMatchObject({ delivered: 2, duplicated: 1 });
});

test('what was published before the first connection is not given again', () => {
  const { record, trace } = lane('sse');
  const event = publish(1, 0);
  trace(10, { kind: 'request' });
  trace(110, { kind: 'answer', status: 200 });
  trace(111, shown(event, true));
  expect(record).toMatchObject({ delivered: 1, replayed: 0 });
});

test('our own end breaks nothing', () => {
  const { record, trace } = lane('sse');
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 200 });
  trace(600, { kind: 'end', reason: 'closed' });
  expect(record.exchanges[0]?.isBroken).toBeUndefined();
});

test('a gap names what is lost, and nothing else', () => {
  const { record, trace, flight } = lane('sse');
  const events = [1, 2, 3, 4].map((offset) => publish(offset, offset * 100));
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 200 });
  trace(500, { kind: 'gap', from: 'e-0', to: 'e-2', reason: 'evicted' });
  trace(501, shown(events[2] as Published, true));
  trace(501, shown(events[3] as Published, true));
  expect(record).toMatchObject({ missed: 2, delivered: 2, gaps: 1 });
  expect(events.map((event) => flight(event).isLost)).toEqual([true, true, undefined, undefined]);
  expect(record.marks.find((mark) => mark.kind === 'gap')).toMatchObject({ count: 2, reason: 'evicted' });
});

test('a log that began anew takes what was pending of the old one', () => {
  const { record, trace } = lane('poll');
  publish(7, 100, 'old');
  trace(200, { kind: 'request' });
  trace(300, { kind: 'answer', status: 200 });
  trace(300, { kind: 'gap', from: 'old-6', to: 'new-0', reason: 'restarted' });
  const fresh = publish(1, 250, 'new');
  trace(301, shown(fresh));
  expect(record).toMatchObject({ missed: 1, delivered: 1 });
});

test('a hole that nobody told of is a loss, too', () => {
  const { record, trace } = lane('sse');
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 200 });
  const [, second] = [publish(1, 200), publish(2, 300)];
  trace(350, shown(second as Published));
  expect(record).toMatchObject({ missed: 1, gaps: 0, delivered: 1 });
});

test('a request that the browser holds back is told from one that is under way', () => {
  const { record, trace } = lane('poll', { shared: true });
  trace(0, { kind: 'request' });
  trace(900, { kind: 'answer', status: 204 });
  expect(record.exchanges[0]).toMatchObject({ queued: 0, asked: 800 });
  trace(2000, { kind: 'request' });
  trace(2290, { kind: 'answer', status: 204 });
  expect(record.exchanges[1]?.queued, 'a page that was busy for a moment').toBeUndefined();
});

test('a long poll that never left the browser', () => {
  const { record, trace, flight } = lane('longpoll', { shared: true });
  trace(0, { kind: 'request' });
  expect(record.isHeldBack(20_000), 'nothing was published that it could have brought').toBe(false);
  const event = publish(1, 1000);
  expect(record.isHeldBack(1100)).toBe(false);
  expect(record.isHeldBack(3000)).toBe(true);
  trace(5000, { kind: 'answer', status: 200 });
  trace(5001, shown(event));
  expect(record.isHeldBack(5002)).toBe(false);
  expect(record.exchanges[0]).toMatchObject({ queued: 0, asked: 4900, reached: 4950 });
  expect(flight(event).sent).toBe(4950);
});

test('on a slow line that has room nothing is held back by the browser', () => {
  const { record, trace } = lane('poll', { shared: true });
  record.isRoomy = true;
  trace(0, { kind: 'request' });
  expect(record.isHeldBack(20_000)).toBe(false);
  trace(30_000, { kind: 'answer', status: 204 });
  expect(record.exchanges[0]?.queued).toBeUndefined();
});

test('a lane with an origin of its own is never held back', () => {
  const { record, trace } = lane('poll');
  trace(0, { kind: 'request' });
  expect(record.isHeldBack(20_000)).toBe(false);
});

test('an attempt without an answer has failed', () => {
  const { record, trace } = lane('sse');
  trace(0, { kind: 'request' });
  trace(30, { kind: 'end', reason: 'Failed to fetch' });
  trace(30, { kind: 'wait', ms: 100 });
  expect(record.exchanges).toHaveLength(1);
  expect(record.exchanges[0]).toMatchObject({ isFailed: true, done: 30 });
});

test('what is old is forgotten, the counts are not', () => {
  const { record, trace } = lane('sse');
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 200 });
  for (let n = 1; n <= 1000; n += 1) {
    const event = publish(n, n * 1000);
    trace(n * 1000 + 50, shown(event));
  }
  record.forget(1_000_100);
  expect(record.flights.size).toBeLessThan(50);
  expect(record.arrivals.length).toBeLessThan(200);
  expect(record.delivered).toBe(1000);
  expect(record.exchanges).toHaveLength(1);
});

test('bars that wait use the lowest place that is free', () => {
  const { trace, flight } = lane('poll');
  const [a, b] = [publish(1, 0), publish(2, 10)];
  trace(20, { kind: 'request' });
  trace(120, { kind: 'answer', status: 200 });
  trace(120, shown(a));
  const c = publish(3, 130);
  trace(140, shown(b));
  const d = publish(4, 150);
  expect([a, b, c, d].map((event) => flight(event).slot)).toEqual([0, 1, 0, 1]);
});

test('a proxy that buffers holds a stream’s hello: open as far as the gateway knows, and not dead', () => {
  const { record, trace } = lane('sse', { buffering: true });
  trace(1000, { kind: 'request' });
  expect(record.isHeldByProxy).toBe(false);
  // What was told before is of the connection that went before.
  record.confirm(1, 900);
  expect(record.isHeldByProxy).toBe(false);
  record.confirm(1, 1200);
  expect(record.isHeldByProxy).toBe(true);
  expect(record.isDead(600_000)).toBe(false);
  trace(601_000, { kind: 'answer', status: 200 });
  expect(record.isHeldByProxy).toBe(false);
  expect(record.isDead(900_000)).toBe(false);
});

test('behind a proxy that buffers a connection is dead that the gateway has no more, or never had', () => {
  const { record, trace } = lane('chunked', { buffering: true });
  trace(1000, { kind: 'request' });
  expect(record.isDead(6000)).toBe(false);
  expect(record.isDead(8000)).toBe(true);
  record.confirm(1, 1200);
  record.confirm(0, 20_000);
  expect(record.isDead(25_000)).toBe(false);
  expect(record.isDead(27_000)).toBe(true);
  record.confirm(1, 27_000);
  expect(record.isDead(90_000)).toBe(false);
});

test('what a proxy lets pass at once is not held by it', () => {
  for (const transport of ['poll', 'longpoll', 'websocket'] as const) {
    const { record, trace } = lane(transport, { buffering: true });
    trace(1000, { kind: 'request' });
    record.confirm(1, 1200);
    expect([record.isHeldByProxy, record.isDead(60_000)], transport).toEqual([false, false]);
  }
});

test('figures judge what was published since the conditions hold, whenever it comes', () => {
  const { record, trace } = lane('sse');
  trace(0, { kind: 'request' });
  trace(100, { kind: 'answer', status: 200 });
  const before = publish(1, 900);
  // From 1000 on there is another network; what is under way does not know.
  trace(1400, shown(before));
  expect(measure(record, new Ledger(), 1000, 1500, 1000)).toMatchObject({ events: 0, p50: Number.NaN });
  trace(2050, shown(publish(2, 2000)));
  expect(measure(record, new Ledger(), 1000, 2100, 1000)).toMatchObject({ events: 1, p50: 50, delivered: 2 });
});

test('what a pause shows stays, and what nobody can see meanwhile does not pile up', () => {
  const { record, trace } = lane('sse');
  const [seen, unseen, recent] = [publish(1, 10_000), publish(2, 40_000), publish(3, 100_000)];
  for (const event of [seen, unseen, recent]) trace(event.at + 50, shown(event));
  record.forget(110_000, 15_000);
  expect([...record.flights.keys()]).toEqual([seen.id, recent.id]);
  record.forget(110_000);
  expect([...record.flights.keys()]).toEqual([recent.id]);
  expect(record).toMatchObject({ delivered: 3, missed: 0 });
});
