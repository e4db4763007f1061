// @ts-check
// What needs no browser: the arithmetic, the words, and the transports' common shape.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { afterEach, test } from 'node:test';
import { Problem } from '../problem.js';
import { backoff, Subscription } from '../subscription.js';
import { Tally } from '../tally.js';
import { covers, parse } from '../topics.js';
import * as chunked from '../transports/chunked.js';
import { amount, en, ko } from '../words.js';

const TRANSPORTS = ['poll', 'longpoll', 'chunked', 'sse', 'websocket'];

test('every transport has one shape: the same items in the same order', async () => {
  for (const name of TRANSPORTS) {
    const text = await readFile(new URL(`../transports/${name}.js`, import.meta.url), 'utf8');
    const items = [...text.matchAll(/^(?:export )?(?:async )?(?:function|const) (\w+)/gm)].map(
      ([, item]) => item,
    );
    const shape = items.filter((item) => item !== 'encoder');
    assert.deepEqual(shape, ['name', 'address', 'connect', 'take'], name);
    assert.equal((await import(`../transports/${name}.js`)).name, name);
  }
});

test('both languages say everything, with the same values in it', () => {
  assert.deepEqual(Object.keys(ko), Object.keys(en));
  const values = (/** @type {string} */ text) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const [word, text] of Object.entries(ko)) {
    assert.match(text, /\p{Script=Hangul}/u, word);
    assert.deepEqual(values(text), values(en[/** @type {keyof typeof en} */ (word)]), word);
  }
});

test('a pattern covers what the gateway says it covers', () => {
  const yes = [
    ['a/b', 'a/b'],
    ['a/*', 'a/b'],
    ['*/b', 'a/b'],
    ['a/**', 'a/b'],
    ['a/**', 'a/b/c'],
    ['**', 'a'],
    ['*/**', 'a/b'],
    ['$ledger/**', '$ledger/x'],
  ];
  const no = [
    ['a/b', 'a'],
    ['a/*', 'a'],
    ['a/*', 'a/b/c'],
    ['a/**', 'a'],
    ['*/**', 'a'],
    ['**', '$ledger/x'],
    ['*/x', '$ledger/x'],
    ['a/b', 'a/B'],
  ];
  for (const [pattern = '', topic = ''] of yes) assert.ok(covers(pattern, topic), `${pattern} ${topic}`);
  for (const [pattern = '', topic = ''] of no) assert.ok(!covers(pattern, topic), `${pattern} ${topic}`);
});

test('topics are separated by spaces or commas, and named once', () => {
  assert.deepEqual(parse('  a/b, c/** \ta/b\n주문/*'), ['a/b', 'c/**', '주문/*']);
  assert.deepEqual(parse('  '), []);
});

test('amounts have three digits and a unit', () => {
  for (const [bytes, text] of /** @type {[number, string][]} */ ([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [9994, '9.99 kB'],
    [9996, '10.0 kB'],
    [99_960, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [1.234e13, '12.3 TB'],
  ])) {
    assert.equal(amount(bytes).join(' '), text);
  }
});

test('the tally: what is passed over is missed, what comes again is duplicated', () => {
  const tally = new Tally(2);
  const give = (/** @type {number} */ lane, /** @type {number[]} */ ...offsets) => {
    for (const offset of offsets) tally.delivered(lane, `e-${offset}`);
  };
  give(0, 3, 5, 9);
  assert.deepEqual(tally.of(1), { missed: 0, duplicated: 0 }, 'being behind is no loss');
  give(1, 3, 9);
  assert.deepEqual(tally.of(1), { missed: 1, duplicated: 0 }, '5 was passed over');
  give(1, 9);
  assert.deepEqual(tally.of(1), { missed: 1, duplicated: 1 });
  give(1, 12, 14);
  give(0, 14);
  assert.deepEqual(tally.of(0), { missed: 1, duplicated: 0 }, '12 was passed over');
  give(1, 20);
  give(0, 21);
  give(1, 21);
  assert.deepEqual(tally.of(0), { missed: 2, duplicated: 0 });
});

test('the tally sees what the other lane brings late: a lane that is ahead has missed it', () => {
  const tally = new Tally(2);
  tally.delivered(0, 'e-9');
  tally.delivered(1, 'e-4');
  assert.deepEqual(tally.of(0), { missed: 1, duplicated: 0 });
  assert.deepEqual(tally.of(1), { missed: 0, duplicated: 0 });
});

test('the tally goes over to a new log, whose offsets begin again', () => {
  const tally = new Tally(2);
  for (const id of ['old-7', 'old-8', 'new-1', 'new-2']) tally.delivered(0, id);
  for (const id of ['old-7', 'new-1', 'new-2']) tally.delivered(1, id);
  assert.deepEqual(tally.of(0), { missed: 0, duplicated: 0 });
  assert.deepEqual(tally.of(1), { missed: 1, duplicated: 0 });
});

test('the tally forgets what is long ago, and accuses nobody of it', () => {
  const tally = new Tally(2);
  for (let offset = 1; offset <= 100_000; offset += 1) tally.delivered(0, `e-${offset}`);
  for (let offset = 1; offset <= 100_000; offset += 1) tally.delivered(1, `e-${offset}`);
  assert.deepEqual(tally.of(0), { missed: 0, duplicated: 0 });
  assert.deepEqual(tally.of(1), { missed: 0, duplicated: 0 });
  tally.delivered(1, 'e-17');
  assert.deepEqual(tally.of(1), { missed: 0, duplicated: 1 });
});

test('the back-off doubles up to a bound, and is drawn from all of it', () => {
  const most = [0, 1, 2, 3, 4, 5, 50].map((failures) => backoff(failures, () => 1));
  assert.deepEqual(most, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
  assert.equal(
    backoff(5, () => 0),
    0,
  );
});

// The browser's, where a subscription uses them.
globalThis.addEventListener ??= () => {};
globalThis.removeEventListener ??= () => {};

/** @type {Subscription[]} */
const opened = [];
afterEach(() => {
  for (const subscription of opened.splice(0)) subscription.close();
});

/** A subscription whose transport is the test's, and what it reports. */
function subscribed(/** @type {import('../subscription.js').Transport['connect']} */ connect) {
  /** @type {string[]} */
  const told = [];
  const subscription = new Subscription(
    { name: 'test', address: () => new URL('http://127.0.0.1'), connect },
    { base: 'http://127.0.0.1/', topics: ['a/b', 'c/**'], cursor: 'e-1', interval: () => 1000 },
    {
      state: (state, detail) => told.push(detail ? `${state}: ${detail}` : state),
      request: () => {},
      received: () => {},
      event: (event) => told.push(event.id),
      gap: (gap) => told.push(`gap ${gap.reason}`),
    },
  );
  opened.push(subscription);
  return { subscription, told };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a subscription goes on at the last event that it processed, whatever ended the connection', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  /** @type {string[]} */
  const from = [];
  const { told } = subscribed(async (subscription) => {
    from.push(subscription.cursor);
    subscription.opened();
    subscription.control({ control: 'hello', cursor: subscription.cursor });
    const next = Number(subscription.cursor.slice(2)) + 1;
    subscription.gap({ from: subscription.cursor, to: `e-${next}`, reason: 'evicted' });
    if (from.length === 1) throw new TypeError('the gap was not followed by an event: it moves no cursor');
    subscription.event({ id: `e-${next}`, topic: 'a/b', time: '' });
    if (from.length === 3) subscription.control({ control: 'cursor', cursor: 'e-100' });
  });
  for (let round = 0; round < 3; round += 1) {
    await turn();
    t.mock.timers.tick(15_000);
    await turn();
  }
  assert.deepEqual(from, ['e-1', 'e-1', 'e-2', 'e-100']);
  assert.deepEqual(told.slice(0, 8), [
    'connecting',
    'open',
    'gap evicted',
    'reconnecting',
    'open',
    'gap evicted',
    'e-2',
    'reconnecting',
  ]);
});

test('a subscription does not repeat what was refused for good, and says why', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  let asked = 0;
  const { told } = subscribed(async () => {
    asked += 1;
    throw new Problem(
      asked === 1 ? { status: 503, detail: 'full' } : { status: 400, detail: 'no such topic' },
      3000,
    );
  });
  await turn();
  t.mock.timers.tick(2999);
  await turn();
  assert.equal(asked, 1, 'Retry-After is waited for');
  t.mock.timers.tick(1);
  await turn();
  t.mock.timers.tick(100_000);
  await turn();
  assert.deepEqual(told, ['connecting', 'reconnecting: full', 'refused: no such topic']);
});

test('a drained connection comes back when it was told to', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  let asked = 0;
  subscribed(async (subscription) => {
    asked += 1;
    subscription.control({ control: 'reconnect', after_ms: 60_000 });
  });
  await turn();
  t.mock.timers.tick(59_999);
  await turn();
  assert.equal(asked, 1);
  t.mock.timers.tick(1);
  await turn();
  assert.equal(asked, 2);
});

test('a stream is read right wherever the network cuts it, inside a character too', async (t) => {
  const lines = [
    '{"control":"hello","cursor":"e-1"}',
    '{"id":"e-2","data":"창문 🪟"}',
    '{"id":"e-3","data":"é"}',
  ];
  const bytes = new TextEncoder().encode(`${lines.join('\n')}\n{"id":"e-4","cut`);
  for (let size = 1; size <= bytes.length; size += 1) {
    t.mock.method(globalThis, 'fetch', async () => {
      return new Response(
        new ReadableStream({
          start(stream) {
            for (let at = 0; at < bytes.length; at += size) stream.enqueue(bytes.slice(at, at + size));
            stream.close();
          },
        }),
      );
    });
    /** @type {unknown[]} */
    const texts = [];
    let received = 0;
    const subscription = /** @type {Subscription} */ (
      /** @type {unknown} */ ({
        url: () => new URL('http://127.0.0.1/'),
        request() {},
        opened() {},
        received: (/** @type {number} */ count) => {
          received += count;
        },
        control: (/** @type {{cursor: string}} */ { cursor }) => texts.push(cursor),
        event: (/** @type {{data: string}} */ { data }) => texts.push(data),
      })
    );
    await chunked.connect(subscription, new AbortController().signal);
    assert.deepEqual(texts, ['e-1', '창문 🪟', 'é'], `chunks of ${size}`);
    assert.equal(received, bytes.length);
  }
});
