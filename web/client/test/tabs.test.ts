// Tabs that share one connection, in a real browser.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Connection, FanlightEvent, Gap, Options, share } from '../src/index.ts';
import { bundled, launch } from './browser.ts';
import { Chance, type Gateway, gateway, Publisher, pause, QUICK } from './harness.ts';
import { proxy, type Relay } from './proxy.ts';

interface Tab {
  fanlight: { share: typeof share };
  connection: Connection;
  ids: string[];
  gaps: Gap[];
}

let browser: Browser;
let script: string;
let server: Gateway;
let network: Relay;
let context: BrowserContext;
beforeAll(async () => {
  browser = await launch();
  script = await bundled('../src/index.ts');
});
afterAll(() => browser.close());
beforeEach(async () => {
  server = await gateway(['--history-events', '100000']);
  network = await proxy(server.port);
  context = await browser.newContext();
});
afterEach(async () => {
  await context.close();
  network.close();
  await server.stop();
});

async function open(options: Options, prepare = async (_: Page) => {}): Promise<Page> {
  const page = await context.newPage();
  await prepare(page);
  await page.goto(`${network.url}/healthz`);
  await page.addScriptTag({ content: script });
  await page.evaluate(
    ([url, options]) => {
      const scope = globalThis as unknown as Tab;
      scope.ids = [];
      scope.gaps = [];
      scope.connection = scope.fanlight.share(url, options);
      scope.connection.onEvent(({ id }: FanlightEvent) => scope.ids.push(id));
      scope.connection.onGap((gap: Gap) => scope.gaps.push(gap));
    },
    [network.url, { ...options, timing: { ...QUICK, answer: 5_000 } }] as const,
  );
  return page;
}

const look = (page: Page) =>
  page.evaluate(() => {
    const { connection, ids, gaps } = globalThis as unknown as Tab;
    const { state, transport, cursor } = connection;
    return { ids, gaps, state, transport, cursor };
  });
const comes = (page: Page, id: string | undefined) =>
  expect.poll(async () => (await look(page)).ids.at(-1), { timeout: 20_000 }).toBe(id);

describe('tabs that share', () => {
  test('ten of them hear everything over the one event stream that they may keep open', async () => {
    const topics = 'shared/ten';
    const pages: Page[] = [];
    for (let n = 0; n < 10; n++) pages.push(await open({ topics, transports: ['sse'] }));
    for (const page of pages)
      await expect.poll(async () => (await look(page)).state, { timeout: 10_000 }).toBe('open');
    // What a follower asks its leader takes no time that could be waited for but this: it knows its place.
    for (const page of pages)
      await expect.poll(async () => (await look(page)).cursor, { timeout: 10_000 }).toBeTruthy();
    const ids = await server.publish(topics, 1, 2, 3);
    for (const page of pages) {
      await comes(page, ids[2]);
      expect(await look(page)).toMatchObject({ ids, gaps: [], transport: 'sse' });
    }
    expect(network.asked.filter((asked) => asked === 'sse')).toHaveLength(1);
    const published = await pages[7]?.evaluate(() =>
      (globalThis as unknown as Tab).connection.publish('shared/ten', 4),
    );
    for (const page of pages) await comes(page, published);
  });

  test('each has its own beginning', async () => {
    const topics = 'shared/begin';
    const ids = await server.publish(topics, ...Array.from({ length: 250 }, (_, n) => n));
    const leader = await open({ topics, transports: ['websocket'], last: 1 });
    await comes(leader, ids[249]);
    const [after, last, now] = [
      await open({ topics, transports: ['websocket'], after: ids[9] as string }),
      await open({ topics, transports: ['websocket'], last: 120 }),
      await open({ topics, transports: ['websocket'] }),
    ];
    await comes(after, ids[249]);
    await comes(last, ids[249]);
    await expect.poll(async () => (await look(now)).cursor).toBe(ids[249]);
    const [next] = await server.publish(topics, 'next');
    for (const page of [leader, after, last, now]) await comes(page, next);
    expect((await look(after)).ids).toEqual([...ids.slice(10), next]);
    expect((await look(last)).ids).toEqual([...ids.slice(-120), next]);
    expect((await look(now)).ids).toEqual([next]);
    expect(network.asked.filter((asked) => asked === 'websocket')).toHaveLength(1);
  });

  test('when the one that leads goes, another goes on, and none misses anything', async () => {
    const topics = 'shared/heirs';
    const after = await server.cursor();
    const publisher = new Publisher(server, topics, new Chance(topics));
    onTestFinished(() => publisher.stop());
    const pages: Page[] = [];
    for (let n = 0; n < 4; n++) pages.push(await open({ topics, after, transports: ['sse'] }));
    for (let n = 4; n < 8; n++) {
      await pause(300);
      // The oldest leads.
      await pages.shift()?.close();
      network.cut();
      pages.push(await open({ topics, after, transports: ['sse'] }));
    }
    await pause(300);
    await publisher.stop();
    for (const page of pages) {
      await comes(page, publisher.ids.at(-1));
      const { ids, gaps } = await look(page);
      expect(ids).toEqual(publisher.ids);
      expect(gaps).toEqual([]);
    }
  });

  test('one that is robbed of its lead follows, and nothing is missed or comes twice', async () => {
    const topics = 'shared/robbed';
    const after = await server.cursor();
    const publisher = new Publisher(server, topics, new Chance(topics));
    onTestFinished(() => publisher.stop());
    const pages = [
      await open({ topics, after, transports: ['sse'] }),
      await open({ topics, after, transports: ['sse'] }),
    ];
    const robber = await context.newPage();
    await robber.goto(`${network.url}/healthz`);
    for (let times = 0; times < 3; times++) {
      await pause(300);
      await robber.evaluate(
        (name) =>
          navigator.locks.request(name, { steal: true }, () => new Promise((end) => setTimeout(end, 100))),
        `fanlight:${network.url}/:${topics}`,
      );
    }
    await pause(300);
    await publisher.stop();
    for (const page of pages) {
      await comes(page, publisher.ids.at(-1));
      expect((await look(page)).ids).toEqual(publisher.ids);
    }
    expect(network.asked.filter((asked) => asked === 'sse').length).toBeGreaterThan(2);
  });

  test('one whose loop is slow keeps no other waiting, and gets everything in its own time', async () => {
    const topics = 'shared/slow';
    const after = await server.cursor();
    const slow = await context.newPage();
    await slow.goto(`${network.url}/healthz`);
    await slow.addScriptTag({ content: script });
    await slow.evaluate(
      ([url, options]) => {
        const scope = globalThis as unknown as Tab & { loop: AsyncIterator<FanlightEvent> };
        scope.ids = [];
        scope.gaps = [];
        scope.connection = scope.fanlight.share(url, options);
        scope.loop = scope.connection[Symbol.asyncIterator]();
      },
      [network.url, { topics, after, transports: ['sse'], queue: 5 } as Options] as const,
    );
    await expect.poll(async () => (await look(slow)).state).toBe('open');
    const quick = await open({ topics, after, transports: ['sse'] });
    const ids = await server.publish(topics, ...Array.from({ length: 60 }, (_, n) => n));
    await comes(quick, ids[59]);
    expect((await look(quick)).ids).toEqual(ids);
    await expect.poll(async () => (await look(slow)).state).toBe('paused');
    const taken = await slow.evaluate(async () => {
      const { loop } = globalThis as unknown as { loop: AsyncIterator<FanlightEvent> };
      const all: string[] = [];
      while (all.length < 60) all.push((await loop.next()).value.id);
      return all;
    });
    expect(taken).toEqual(ids);
  });

  test('one that leads and does not run any more is taken for dead', async () => {
    const topics = 'shared/hung';
    const after = await server.cursor();
    const leader = await open({ topics, after, transports: ['sse'] });
    await expect.poll(async () => (await look(leader)).state).toBe('open');
    const heir = await open({ topics, after, transports: ['sse'] }, (page) => page.clock.install());
    const [first] = await server.publish(topics, 1);
    for (const page of [leader, heir]) await comes(page, first);
    // Its script is busy for longer than this test: it hears nothing, and says nothing.
    await leader.evaluate(() => {
      setTimeout(() => {
        const end = performance.now() + 4_000;
        while (performance.now() < end);
      });
    });
    await pause(100);
    const [second] = await server.publish(topics, 2);
    await heir.clock.fastForward(100_000);
    await comes(heir, second);
    expect(network.asked.filter((asked) => asked === 'sse')).toHaveLength(2);
    // Once it runs again it hears that it was robbed, and follows.
    const [third] = await server.publish(topics, 3);
    for (const page of [leader, heir]) {
      await comes(page, third);
      expect((await look(page)).ids).toEqual([first, second, third]);
    }
  });

  test('one with other topics has its own', async () => {
    const one = await open({ topics: 'shared/a' });
    const other = await open({ topics: 'shared/b' });
    for (const page of [one, other]) await expect.poll(async () => (await look(page)).state).toBe('open');
    const [a] = await server.publish('shared/a', 1);
    const [b] = await server.publish('shared/b', 1);
    await comes(one, a);
    await comes(other, b);
    const refused = one.evaluate(() => (globalThis as unknown as Tab).connection.subscribe('shared/b'));
    await expect(refused).rejects.toThrow('fixed');
  });
});
