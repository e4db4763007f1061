// The same in a real browser: networks that break, that go away, pages that are frozen, and many of them.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Connection, connect, Options, TransportName } from '../src/index.ts';
import { bundled, hold, launch, seen } from './browser.ts';
import { Chance, type Gateway, gateway, PATHS, Publisher, pause, QUICK, TRANSPORTS } from './harness.ts';
import { type Fate, proxy } from './proxy.ts';
import { tab } from './tab.ts';

let browser: Browser;
let script: string;
beforeAll(async () => {
  browser = await launch();
  script = await bundled('../src/index.ts');
});
afterAll(() => browser.close());

async function context(): Promise<BrowserContext> {
  const opened = await browser.newContext();
  onTestFinished(() => opened.close());
  return opened;
}

/** Waits until something holds of a page. */
async function until(
  page: Page,
  holds: (now: Awaited<ReturnType<typeof seen>>) => boolean,
  what: string,
): Promise<void> {
  const end = Date.now() + 30_000;
  for (let now = await seen(page); !holds(now); now = await seen(page)) {
    if (Date.now() > end)
      throw new Error(`not in time: ${what}: ${JSON.stringify({ ...now, ids: now.ids.length })}`);
    await pause(20);
  }
}

let topics = 0;

/** A page with a connection through a network of its own, while events are published. */
async function page(server: Gateway, options: Options) {
  const topic = `p/${++topics}`;
  const network = await proxy(server.port);
  onTestFinished(() => network.close());
  const inside = await context();
  const opened = await inside.newPage();
  const after = await server.cursor();
  await hold(opened, script, network.url, {
    topics: topic,
    after,
    heartbeat: 5,
    longpollTimeout: 1,
    pollInterval: 20,
    ...options,
  });
  const chance = new Chance(topic);
  const publisher = new Publisher(server, topic, chance);
  onTestFinished(() => publisher.stop());
  const complete = async () => {
    await publisher.stop();
    const { ids } = publisher;
    await until(opened, (now) => now.ids.at(-1) === ids.at(-1), `the last of ${ids.length}`);
    const now = await seen(opened);
    expect(now.ids).toEqual(ids);
    expect(now.gaps).toEqual([]);
    return now;
  };
  return { page: opened, context: inside, network, publisher, chance, complete };
}

for (const [path, flags] of Object.entries(PATHS)) {
  describe(path, () => {
    let server: Gateway;
    beforeAll(async () => {
      server = await gateway(['--history-events', '100000', ...flags]);
    });
    afterAll(() => server.stop());

    test.each([...TRANSPORTS, 'all'] as const)('%s: nothing is lost in random changes', async (name) => {
      const {
        page: opened,
        network,
        chance,
        complete,
      } = await page(server, {
        transports: name === 'all' ? TRANSPORTS : [name],
        timing: { backoff: 5, backoffMax: 20, hello: 300, answer: 300, climb: 50, climbMax: 100 },
      });
      network.fate = () => {
        const cuts = [{ bytes: chance.below(chance.of([200, 3000])) }, { ms: chance.below(60) }];
        return chance.of<Fate>([...cuts, { status: 502 }, 'reset']);
      };
      network.cut();
      await until(opened, (now) => now.ends >= 40, 'forty changes');
      network.fate = () => 'pass';
      network.cut();
      await complete();
    });

    // The gateway's path makes no difference to what follows.
    if (path !== 'taken') return;

    test.each(TRANSPORTS)('%s: offline, and back', async (transport) => {
      const {
        page: opened,
        context: inside,
        network,
        complete,
        publisher,
      } = await page(server, {
        transports: [transport],
        // What ends the wait is that the browser is online again.
        timing: { backoff: 600_000, backoffMax: 600_000 },
      });
      await until(opened, (now) => now.ids.length > 5, 'events');
      await inside.setOffline(true);
      network.cut();
      await until(opened, (now) => now.state === 'reconnecting', 'its end');
      const { length } = publisher.ids;
      await pause(300);
      expect(publisher.ids.length).toBeGreaterThan(length);
      await inside.setOffline(false);
      await until(opened, (now) => now.state === 'open', 'back');
      await complete();
    });

    test.each(['websocket', 'sse', 'chunked'] as const)('%s: a machine that slept', async (transport) => {
      const {
        page: opened,
        network,
        complete,
      } = await page(server, { transports: [transport], heartbeat: 60 });
      await until(opened, (now) => now.ids.length > 5, 'events');
      // Its peer is gone, and nobody told it; an hour has passed, and its timers do not know.
      network.hush();
      await pause(100);
      const before = await seen(opened);
      await opened.evaluate(() => {
        const { now } = Date;
        Date.now = () => now() + 3_600_000;
        document.dispatchEvent(new Event('visibilitychange'));
      });
      await until(opened, (now) => now.state === 'open' && now.ends === 1, 'another connection');
      expect(before.ends).toBe(0);
      await complete();
    });

    test.each(TRANSPORTS)(
      '%s: a page that was frozen, and whose connection died meanwhile',
      async (transport) => {
        const topic = `frozen/${transport}`;
        const network = await proxy(server.port);
        onTestFinished(() => network.close());
        const opened = await tab(`${network.url}/healthz`);
        onTestFinished(() => opened.close());
        const options = {
          topics: topic,
          after: await server.cursor(),
          transports: [transport],
          pollInterval: 20,
          timing: QUICK,
        };
        await opened.evaluate(`${script};
        globalThis.fanlight = fanlight; globalThis.ids = []; globalThis.ticks = 0;
        setInterval(() => ticks++, 10);
        globalThis.connection = fanlight.connect(${JSON.stringify(network.url)}, ${JSON.stringify(options)});
        connection.onEvent(({ id }) => ids.push(id)); 0`);
        const publisher = new Publisher(server, topic, new Chance(topic));
        onTestFinished(() => publisher.stop());
        const come = (what: string, holds: string) =>
          expect.poll(() => opened.evaluate<boolean>(holds), { timeout: 20_000, message: what }).toBe(true);
        await come('events', 'ids.length > 5');
        await opened.freeze();
        const ticks = await opened.evaluate<number>('ticks');
        network.cut();
        const { length } = publisher.ids;
        await pause(500);
        expect(publisher.ids.length).toBeGreaterThan(length);
        // It does stand still.
        expect(await opened.evaluate('ticks')).toBe(ticks);
        await opened.thaw();
        await publisher.stop();
        await come('everything', `ids.at(-1) === '${publisher.ids.at(-1)}'`);
        expect(await opened.evaluate('ids')).toEqual(publisher.ids);
      },
    );
  });
}

/** What a tab holds. */
interface Held {
  fanlight: { connect: typeof connect };
  connection: Connection;
  heard: number;
}

describe('ten tabs over HTTP/1.1', () => {
  let server: Gateway;
  beforeAll(async () => {
    server = await gateway();
  });
  afterAll(() => server.stop());

  /** How many of ten tabs are open, and how many hear an event, where so many are expected to. */
  async function tabs(expected: number, options: Options): Promise<{ open: number; heard: number }> {
    const inside = await context();
    const pages: Page[] = [];
    // Loaded before any of them connects: a page, too, needs one of the six.
    for (let n = 0; n < 10; n++) {
      const opened = await inside.newPage();
      await opened.goto(`${server.url}/healthz`);
      await opened.addScriptTag({ content: script });
      pages.push(opened);
    }
    const topic = `tabs/${++topics}`;
    for (const opened of pages) {
      await opened.evaluate(
        ([url, options]) => {
          const scope = globalThis as unknown as Held;
          scope.heard = 0;
          scope.connection = scope.fanlight.connect(url, options);
          scope.connection.onEvent(() => {
            scope.heard += 1;
          });
        },
        [server.url, { topics: topic, ...options }] as const,
      );
    }
    const look = () => {
      const { connection, heard } = globalThis as unknown as Held;
      return { isOpen: connection.state === 'open', heard };
    };
    const count = async () => {
      const found = await Promise.all(pages.map((opened) => opened.evaluate(look)));
      const open = found.filter(({ isOpen }) => isOpen).length;
      return { open, heard: found.filter(({ heard }) => heard === 1).length };
    };
    /** Waits for so many, and then whether there are more. */
    const settled = async (what: 'open' | 'heard') => {
      await expect
        .poll(async () => (await count())[what], { timeout: 20_000 })
        .toBeGreaterThanOrEqual(expected);
      await pause(1_000);
    };
    await settled('open');
    await server.publish(topic, 'to all');
    await settled('heard');
    return count();
  }

  test('WebSockets are counted apart: all ten hear', async () => {
    expect(await tabs(10, {})).toEqual({ open: 10, heard: 10 });
  });

  test.each(['sse', 'chunked'] as const)(
    '%s: six hear, and four wait for a connection',
    async (transport) => {
      expect(await tabs(6, { transports: [transport] })).toEqual({ open: 6, heard: 6 });
    },
  );

  test('poll: all ten hear, since each lets go of its connection', async () => {
    expect(await tabs(10, { transports: ['poll'], pollInterval: 200 })).toEqual({ open: 10, heard: 10 });
  });

  test('long polls take turns', async () => {
    // Nobody waits for longer than others hold their connections.
    const transports: TransportName[] = ['longpoll'];
    expect(await tabs(10, { transports, longpollTimeout: 1, timing: { answer: 20_000 } })).toMatchObject({
      heard: 10,
    });
  });
});
