// The page in a real browser, in front of the real gateway, over real connections.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { TransportName } from '../../src/transports.ts';
import { expected, gateway, network, open, TRANSPORTS, type View } from './harness.ts';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const STREAMS = ['chunked', 'sse', 'websocket'] as const;

async function lossless(view: View): Promise<void> {
  for (const [name, lane] of Object.entries(await view.lanes()))
    expect([lane.missed, lane.duplicated, lane.gaps], name).toEqual([0, 0, 0]);
}

async function accessible(view: View): Promise<void> {
  await view.page.evaluate(AXE);
  // Every colour in which a number may stand, whichever stand there now.
  const contrasts = await view.page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    const light = (name: string) => {
      const hex = style
        .getPropertyValue(name)
        .trim()
        .replace(/^#(.)(.)(.)$/, '#$1$1$2$2$3$3');
      const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
        const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
        return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    return [0, 1, 2, 3, 4].map((n) => {
      const [one, other] = [light(`--e${n}`), light(`--on${n}`)];
      return Math.max(one, other) / Math.min(one, other);
    });
  });
  expect(Math.min(...contrasts)).toBeGreaterThanOrEqual(4.5);
  const found = await view.page.evaluate(async () => {
    const { violations } = await Reflect.get(globalThis, 'axe').run();
    return violations.map(
      ({ id, nodes }: { id: string; nodes: { html: string; failureSummary: string }[] }) => ({
        id,
        nodes: nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`),
      }),
    );
  });
  expect(found).toEqual([]);
}

test('the lab: every lane receives in this browser, and the figures agree with what is set', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=5&rtt=120&poll=1000&up=1&size=200`);
  await view.connected();
  await view.delivered(75);
  const lanes = await view.lanes();
  // Half a round trip: none is quicker, and among so many one is hardly slower, however busy the machine.
  for (const name of TRANSPORTS) expect(lanes[name].least, name).toBeGreaterThanOrEqual(59);
  for (const name of STREAMS) expect(lanes[name].least, name).toBeLessThan(60 + 25);
  // What the machine adds to the middle one.
  const noise = lanes.websocket.p50 - 60;
  // Half the interval and half a round trip, on average.
  expect(lanes.poll.p50).toBeGreaterThan(350);
  expect(lanes.poll.p50).toBeLessThan(850 + 3 * noise);
  expect(lanes.poll.p99).toBeGreaterThan(lanes.poll.p50);
  expect(lanes.longpoll.p50).toBeLessThan(lanes.poll.p50);
  // The gateway and the browser share a clock here.
  const doubt = Number(await view.page.getAttribute('.clock', 'data-uncertainty'));
  expect(doubt).toBeGreaterThan(0);
  expect(doubt).toBeLessThan(20);
  for (const name of TRANSPORTS)
    expect(await view.page.textContent(`[data-transport=${name}] .http`), name).toBe('http/1.1');
  await lossless(view);
  expect(await view.page.textContent('#reading')).toMatch(
    /At 5\/s, polling every 1\u202fs sends [\d.]+ times/,
  );
  expect([...view.hosts]).toEqual(['127.0.0.1']);
  expect(view.errors).toEqual([]);
});

/** What the browser's DevTools say that each lane was sent, by the `client` that its requests name. */
async function received(view: View) {
  const devtools = await view.page.context().newCDPSession(view.page);
  await devtools.send('Network.enable');
  const clients = new Map<string, string>();
  const bytes = new Map<string, number>();
  const asked = (requestId: string, url: string) => {
    const client = new URL(url).searchParams.get('client');
    if (client) clients.set(requestId, client);
  };
  const came = (requestId: string, count: number) => {
    const client = clients.get(requestId);
    if (client) bytes.set(client, (bytes.get(client) ?? 0) + count);
  };
  devtools.on('Network.requestWillBeSent', ({ requestId, request }) => asked(requestId, request.url));
  devtools.on('Network.webSocketCreated', ({ requestId, url }) => asked(requestId, url));
  // The head of an answer, then its body as it stood on the wire.
  devtools.on('Network.responseReceived', ({ requestId, response }) =>
    came(requestId, response.encodedDataLength),
  );
  devtools.on('Network.dataReceived', ({ requestId, encodedDataLength }) =>
    came(requestId, encodedDataLength),
  );
  devtools.on('Network.webSocketHandshakeResponseReceived', ({ requestId, response }) =>
    came(requestId, response.headersText?.length ?? 0),
  );
  // Frames are told without their heads, and pings not at all.
  devtools.on('Network.webSocketFrameReceived', ({ requestId, response }) => {
    const { length } = Buffer.from(response.payloadData);
    came(requestId, length + (length < 126 ? 2 : 4));
  });
  await view.page.reload();
  // The last: those before it are of the page that was left.
  return (name: TransportName) => [...bytes].findLast(([client]) => client.endsWith(`.${name}`)) ?? ['', 0];
}

test('each lane’s ledger agrees with what the browser’s own network figures say', async () => {
  const { url, publish } = await gateway('serve');
  const view = await open(`${url}/?topic=lab/a&poll=500`);
  const bytes = await received(view);
  await view.connected();
  const ids = await publish(
    'lab/a',
    ...Array.from({ length: 30 }, (_, n) => ({ n, text: '창문'.repeat(20) })),
  );
  await view.shows(ids.at(-1) as string);
  for (const name of TRANSPORTS) {
    // What came last, a heartbeat of up to 98 bytes, is told with what comes next.
    const differ = async () => {
      const [client, came] = bytes(name);
      const { transports } = await (await fetch(`${url}/v1/ledger?client=${client}`)).json();
      const out = Object.values<number>(transports[name].out).reduce((sum, count) => sum + count, 0);
      expect(out, name).toBeGreaterThan(6000);
      return Math.abs(out - came);
    };
    await expect.poll(differ, { timeout: 20_000, message: name }).toBeLessThan(100);
  }
  expect(view.errors).toEqual([]);
});

test('the network is cut and comes back: every lane resumes, and nothing is lost', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=10&rtt=20&poll=250`);
  await view.connected();
  await view.delivered(10);
  await view.page.click('#cut');
  await view.page.locator('.state.bad').waitFor();
  await view.page.locator('[data-transport=sse][data-state=reconnecting]').waitFor();
  expect(await view.page.textContent('#reading')).toMatch(/waits in the log/);
  await expect.poll(() => view.page.textContent('#cut'), { timeout: 10_000 }).toBe('Cut the network');
  await view.connected();
  const { sse } = await view.lanes();
  await view.delivered(sse.delivered + 20);
  await lossless(view);
  await expect.poll(() => view.page.textContent('#reading')).toMatch(/events replayed; nothing was lost/);
  expect(view.errors.filter((error) => !expected(error))).toEqual([]);
});

test('a cut that outlasts what the gateway keeps is told as a gap, in every lane', async () => {
  const { url } = await gateway('serve', ['--lab', '--history-events', '20']);
  const view = await open(`${url}/?rate=40&rtt=0&poll=250&kbps=0`);
  await view.connected();
  await view.delivered(20);
  await view.page.click('#cut');
  await view.page.locator('.state.bad').waitFor();
  await expect.poll(() => view.page.textContent('#cut'), { timeout: 10_000 }).toBe('Cut the network');
  await view.connected();
  const { websocket } = await view.lanes();
  await view.delivered(websocket.delivered + 40);
  for (const [name, lane] of Object.entries(await view.lanes())) {
    expect(lane.gaps, name).toBeGreaterThanOrEqual(1);
    expect(lane.missed, name).toBeGreaterThan(20);
    expect(lane.duplicated, name).toBe(0);
  }
  await expect.poll(() => view.page.textContent('#reading')).toMatch(/events are gone.*gap/);
});

test('a hundred events a second: none is lost, and the page keeps its frames', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=100&rtt=40&kbps=0&poll=1000&size=120&window=8`);
  await view.connected();
  await view.delivered(300);
  const tasks = await traced(view, () => view.delivered(1000));
  expect(tasks.length).toBeGreaterThan(100);
  // Of CPU, ms: what others do on this machine is not the page's.
  expect(Math.max(...tasks)).toBeLessThan(50);
  await lossless(view);
  // On a machine that tests share: a sign of life, not a benchmark.
  expect(Number(await view.page.getAttribute('.fluency', 'data-fps'))).toBeGreaterThan(5);
  expect(await view.page.textContent('.fluency')).toMatch(/frames\/s · longest block .*ms$/);
  expect(view.errors).toEqual([]);
});

test('the start is in pieces: no task of it is long', async () => {
  const { url } = await gateway('demo');
  const view = await open(url);
  await view.connected();
  const tasks = await traced(view, async () => {
    await view.page.reload();
    await view.delivered(3);
    await view.page.locator('.charts canvas').nth(2).waitFor();
  });
  expect(Math.max(...tasks)).toBeLessThan(35);
  expect(view.errors).toEqual([]);
});

/** How much CPU each task of the page's main thread took meanwhile, ms. */
async function traced(view: View, act: () => Promise<unknown>): Promise<number[]> {
  const devtools = await view.page.context().browser()?.newBrowserCDPSession();
  if (!devtools) throw new Error('no browser');
  interface Traced {
    name: string;
    pid: number;
    tid: number;
    tdur?: number;
  }
  const events: Traced[] = [];
  devtools.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as Traced[])));
  await devtools.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['toplevel', 'devtools.timeline'] },
  });
  await act();
  const complete = new Promise((resolve) => devtools.on('Tracing.tracingComplete', resolve));
  await devtools.send('Tracing.end');
  await complete;
  const frame = events.find(({ name }) => name === 'FireAnimationFrame');
  if (!frame) throw new Error('no frame was drawn');
  return events
    .filter(({ name, pid, tid }) => pid === frame.pid && tid === frame.tid && name.endsWith('RunTask'))
    .map(({ tdur }) => (tdur ?? 0) / 1000);
}

test('one origin for all lanes: a second tab takes the connections, and the page says so', async () => {
  const { url } = await gateway('demo');
  const address = `${url}/?shared=1&rate=1&rtt=20&poll=1000&up=0`;
  const view = await open(address);
  await view.connected();
  for (let more = 0; more < 2; more += 1) {
    const tab = await view.page.context().newPage();
    await tab.goto(address);
    await tab.locator('[data-transport=websocket][data-state=open]').waitFor();
  }
  await view.page.bringToFront();
  await expect
    .poll(() => view.page.textContent('#reading'), { timeout: 40_000 })
    .toMatch(/Six connections to this origin are taken.*poll/);
  // The page's own work goes on: its socket is none of the six.
  expect(await view.page.locator('[data-transport=websocket]').getAttribute('data-state')).toBe('open');
});

test('a slow line of few connections is not taken for six that are taken', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?shared=1&off=chunked,longpoll&rate=5&size=2000&kbps=64&poll=500&up=0`);
  const said = new Set<string>();
  for (let second = 0; second < 12; second += 1) {
    await view.page.waitForTimeout(1000);
    said.add((await view.page.textContent('#reading')) ?? '');
  }
  expect([...said].filter((text) => /Six connections/.test(text))).toEqual([]);
});

test('nor is a network that is slow at times', async () => {
  const { port, publish } = await gateway('serve');
  const slow = await network(port, () => (Date.now() % 3000 < 900 ? 1200 : 100));
  const view = await open(`${slow.url}/?topic=lab/a&poll=1000`);
  await view.connected();
  let claims = 0;
  for (let event = 0; event < 60; event += 1) {
    await publish('lab/a', event);
    await view.page.waitForTimeout(250);
    const reading = (await view.page.textContent('#reading')) ?? '';
    if (event > 20 && /Six connections/.test(reading)) claims += 1;
  }
  // Before the WebSocket has felt it, too, one cannot know.
  expect(claims).toBeLessThan(10);
});

test('tabs that share one line share its network, and its cut', async () => {
  const { url } = await gateway('demo');
  const query = 'shared=1&off=chunked,longpoll&rate=5&poll=500&up=0';
  const view = await open(`${url}/?${query}&rtt=20`);
  const knob = (page: View['page']) => page.locator('output[for=knob-rtt]').textContent();
  await view.page.locator('[data-transport=websocket][data-state=open]').waitFor();
  const tab = await view.page.context().newPage();
  await tab.goto(`${url}/?${query}&rtt=300`);
  await expect.poll(() => knob(view.page)).toBe('300\u202fms');
  expect(new URL(view.page.url()).searchParams.get('rtt')).toBe('300');
  // Four connections are none too many: slow as the line is, nothing is held back.
  for (let second = 0; second < 5; second += 1) {
    await view.page.waitForTimeout(1000);
    expect(await view.page.textContent('#reading')).not.toMatch(/Six connections/);
  }
  await tab.locator('#cut').click();
  await expect.poll(() => view.page.textContent('.state')).toMatch(/network cut/);
  await expect.poll(() => view.page.textContent('.state'), { timeout: 20_000 }).toMatch(/3 of 5 connected/);
});

test('lines that cannot be reached, as through a forwarded port, are told', async () => {
  const { port } = await gateway('demo');
  const forwarded = await network(port);
  const view = await open(`${forwarded.url}/?rtt=0`);
  await view.page.locator('#unreached').waitFor({ timeout: 40_000 });
  expect(await view.page.locator('.lane[data-state=open]').count()).toBe(0);
  const near = await open(`http://127.0.0.1:${port}/?rtt=600&kbps=32`);
  await near.connected();
  await near.page.waitForTimeout(13_000);
  expect(await near.page.locator('#unreached').count()).toBe(0);
});

test('a buffering proxy before a quiet stream: held, and neither broken nor asked again', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=0.5&rtt=20&poll=1000&up=0`);
  await view.connected();
  const requests: string[] = [];
  view.page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (/^.v1.(chunked|sse)$/.test(pathname)) requests.push(pathname);
  });
  await view.page.check('#buffering');
  const held = view.page.locator('.lane[data-state=held]');
  await held.nth(1).waitFor();
  // Longer than an answer may be late, or a stream silent, elsewhere.
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  expect(await held.locator('h2').allTextContents()).toEqual(['chunked', 'sse']);
  expect(await held.locator('.how').allTextContents()).toEqual(Array(2).fill('open, but the proxy holds it'));
  expect(await view.page.textContent('.state')).toBe('5 of 5 connected');
  expect(requests.toSorted()).toEqual(['/v1/chunked', '/v1/sse']);
  expect(view.errors).toEqual([]);
  // A connection that dies is noticed, held or not.
  await view.page.click('#cut');
  await view.page.locator('[data-transport=sse]:not([data-state=held])').waitFor();
  await held.nth(1).waitFor();
  await view.page.uncheck('#buffering');
  await view.connected();
  const { websocket } = await view.lanes();
  await view.delivered(websocket.delivered);
  await lossless(view);
});

test('other conditions: the sentence judges nothing that was published before they held', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=10&rtt=20&poll=250`);
  await view.connected();
  await view.delivered(20);
  await view.page.evaluate(() => {
    const said: string[] = [];
    Reflect.set(globalThis, 'said', said);
    const reading = document.querySelector('#reading') as Element;
    new MutationObserver(() => said.push(reading.textContent ?? '')).observe(reading, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  await view.page.check('#buffering');
  const said = () => view.page.evaluate(() => Reflect.get(globalThis, 'said') as string[]);
  await expect.poll(async () => (await said()).some((text) => /^A proxy holds/.test(text))).toBe(true);
  // Whatever is said of the streams behind the proxy, they are not as quick as they were before it.
  for (const text of await said())
    for (const [, late] of text.matchAll(/(?:SSE is|chunked) ([\d.]+)\u202fms/g))
      expect(Number(late), text).toBeGreaterThan(100);
  expect(await said()).not.toContainEqual(expect.stringMatching(/^At 10/));
});

test('a pause: the drawing stands and says so, the figures go on', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=10&rtt=20&poll=250`, { viewport: { width: 360, height: 800 } });
  await view.delivered(10);
  await view.page.click('#pause');
  await view.page.getByText('paused: the drawing stands, the figures go on').waitFor();
  expect(await view.page.textContent('.state')).toBe('paused');
  const drawn = () =>
    view.page.evaluate(() => {
      const lane = document.querySelector('[data-transport=sse]') as Element;
      return [lane.querySelector('canvas')?.toDataURL(), lane.querySelector('.chip')?.textContent];
    });
  // What was under way then is drawn once it has come.
  await view.delivered((await view.lanes()).sse.delivered + 3);
  const before = await drawn();
  await view.delivered((await view.lanes()).sse.delivered + 20);
  expect(await drawn()).toEqual(before);
  await view.page.click('#pause');
  await expect.poll(drawn).not.toEqual(before);
  await lossless(view);
});

test('on a phone the state and what was delivered, missed and duplicated are readable', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=5&rtt=20&poll=250`, { viewport: { width: 360, height: 800 } });
  await view.delivered(5);
  for (const language of ['English', '한국어']) {
    await view.page.getByRole('button', { name: language }).click();
    const shown = await view.page.evaluate(() =>
      ['.state', '.lane:not(.head) .nums > :nth-child(n + 5) .cap'].flatMap((selector) =>
        [...document.querySelectorAll(selector)].map((element) => {
          const { left, right, height, width } = element.getBoundingClientRect();
          return height > 10 && width > 10 && left >= 0 && right <= innerWidth;
        }),
      ),
    );
    expect(shown).toEqual(Array(1 + 3 * TRANSPORTS.length).fill(true));
  }
});

test('offline: the page says so, and misses nothing when it is back', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=5&rtt=20&poll=500`);
  await view.connected();
  await view.delivered(5);
  await view.page.context().setOffline(true);
  await expect.poll(() => view.page.textContent('.state span')).toBe('offline');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await view.page.context().setOffline(false);
  const { sse } = await view.lanes();
  await view.connected();
  await view.delivered(sse.delivered + 15);
  await lossless(view);
  expect(view.errors.filter((error) => !expected(error))).toEqual([]);
});

test('without lab mode: own topics over the gateway’s own origin, and what is disabled says why', async () => {
  const { url, publish } = await gateway('serve');
  const view = await open(`${url}/?topic=orders/**&poll=500`);
  await view.connected();
  await view.page.locator('#quiet').waitFor();
  const command = (await view.page.textContent('#quiet code')) ?? '';
  expect(await view.page.isDisabled('#cut')).toBe(true);
  expect(await view.page.isDisabled('#knob-rtt')).toBe(true);
  expect(await view.page.textContent('.note')).toMatch(/lab mode is off/);
  const ids = await publish('orders/1', 1, { text: '창문' }, 3);
  await view.shows(ids[2] as string);
  await view.page.locator('#quiet').waitFor({ state: 'detached' });
  for (const [name, lane] of Object.entries(await view.lanes())) expect(lane.delivered, name).toBe(3);
  await lossless(view);
  expect(view.errors).toEqual([]);
  // What the empty page says one should do works.
  await promisify(execFile)('sh', ['-c', command]);
  // The client library, ready to import.
  // (As text: the test runner would have its own way with an import.)
  const given = await view.page.evaluate(`(async () => {
    const { connect } = await import('./client.js');
    const connection = connect(location.href, { topics: ['orders/1'], last: 1, transports: ['sse'] });
    for await (const event of connection) {
      connection.close();
      return event.data;
    }
  })()`);
  expect(given).toBe(3);
  // The page's own stream.
  await view.page.getByRole('button', { name: 'Generated stream' }).click();
  await view.delivered(3);
  expect(new URL(view.page.url()).searchParams.get('source')).toBe('generated');
  expect(view.errors).toEqual([]);
});

test('a gateway that is killed and started anew: each lane is told that the log began anew', async () => {
  const first = await gateway('serve');
  const view = await open(`${first.url}/?topic=lab/**&poll=250`);
  await view.connected();
  const ids = await first.publish('lab/a', 1, 2, 3);
  await view.shows(ids[2] as string);
  await first.stop();
  await view.page.locator('.lane[data-state=reconnecting]').nth(4).waitFor();
  const second = await gateway('serve', [], first.port);
  await view.connected();
  const more = await second.publish('lab/a', 4);
  await view.shows(more[0] as string);
  for (const [name, lane] of Object.entries(await view.lanes())) {
    expect(lane.gaps, name).toBe(1);
    expect(lane.delivered, name).toBe(4);
  }
  expect(view.errors.filter((error) => !expected(error))).toEqual([]);
});

test('a real network that breaks under the page', async () => {
  const { port, publish } = await gateway('serve');
  const wire = await network(port);
  const view = await open(`${wire.url}/?topic=lab/**&poll=250`);
  await view.connected();
  const ids = await publish('lab/a', 1, 2);
  await view.shows(ids[1] as string);
  for (let round = 0; round < 2; round += 1) {
    wire.cut();
    await view.page.locator('.lane[data-state=reconnecting]').nth(4).waitFor();
    ids.push(...(await publish('lab/a', 'while cut', 'while cut')));
    wire.restore();
    await view.connected();
    ids.push(...(await publish('lab/b', 'after')));
    await view.shows(ids.at(-1) as string);
  }
  for (const [name, lane] of Object.entries(await view.lanes()))
    expect(lane.delivered, name).toBe(ids.length);
  await lossless(view);
});

test('topics that are refused are told, and others work again', async () => {
  const { url, publish } = await gateway('serve');
  const view = await open(`${url}/?topic=lab/**`);
  await view.connected();
  await view.page.fill('input.topics', 'lab//x');
  await view.page.keyboard.press('Enter');
  await view.page.locator('#problem').waitFor();
  await view.page.fill('input.topics', 'lab/x lab/y');
  await view.page.keyboard.press('Enter');
  await view.connected();
  expect(new URL(view.page.url()).searchParams.getAll('topic')).toEqual(['lab/x', 'lab/y']);
  const ids = await publish('lab/y', 1);
  await view.shows(ids[0] as string);
});

test('everything by keys: presets, knobs, stepping through events, pause, stop', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=2&rtt=20&poll=500`);
  const { page } = view;
  await view.delivered(4);
  await page.focus('#lanes');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  const spoken = page.locator('p[aria-live]');
  await expect.poll(() => spoken.textContent()).toMatch(/^Event \d+: poll [\d.]+\u202fm?s, longpoll/);
  const first = await spoken.textContent();
  await page.keyboard.press('ArrowLeft');
  await expect.poll(() => spoken.textContent()).not.toBe(first);
  await page.keyboard.press('Escape');
  await expect.poll(() => spoken.textContent()).toBe('');
  await page.keyboard.press('Space');
  expect(await page.getAttribute('#pause', 'aria-pressed')).toBe('true');
  await page.keyboard.press('Space');
  expect(await page.getAttribute('#pause', 'aria-pressed')).toBe('false');
  await page.focus('#knob-rtt');
  await page.keyboard.press('ArrowRight');
  expect(await page.getAttribute('#knob-rtt', 'aria-valuetext')).toBe('40\u202fms');
  expect(new URL(page.url()).searchParams.get('rtt')).toBe('40');
  await page.getByRole('button', { name: 'Delivery tracking' }).focus();
  await page.keyboard.press('Enter');
  expect(new URL(page.url()).search).toBe('?preset=delivery');
  await page.getByRole('button', { name: 'Stop sse' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('[data-transport=sse][data-state=stopped]').waitFor();
  await page.keyboard.press('Enter');
  await page.locator('[data-transport=sse][data-state=open]').waitFor();
  expect(view.errors).toEqual([]);
});

test('pointing at an event holds the view and tells its latency in every lane', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=5&rtt=40&poll=500`);
  await view.delivered(20);
  const box = await view.page.locator('.lane.head canvas').boundingBox();
  if (!box) throw new Error('no canvas');
  const spoken = view.page.locator('p[aria-live]');
  // Somewhere on the publisher's line there is one.
  for (let x = box.x + box.width - 150; x > box.x + 60 && !(await spoken.textContent()); x -= 9)
    await view.page.mouse.move(x, box.y + 27);
  const told = (await spoken.textContent()) ?? '';
  for (const name of TRANSPORTS) expect(told).toMatch(new RegExp(`${name} [\\d.]+\u202fm?s`));
  await view.page.mouse.move(5, 5);
  await expect.poll(() => spoken.textContent()).toBe('');
});

test('exports: every event as CSV and JSON, the diagrams as a picture', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?rate=5&rtt=20&poll=250`);
  await view.delivered(10);
  const files: Record<string, Buffer> = {};
  for (const kind of ['CSV', 'JSON', 'PNG']) {
    const download = view.page.waitForEvent('download');
    await view.page.getByRole('button', { name: kind, exact: true }).click();
    files[kind] = await readFile(await (await download).path());
  }
  const rows = (files.CSV?.toString() ?? '').trim().split('\r\n');
  expect(rows[0]).toBe(
    'n,id,topic,published,poll_ms,poll_note,longpoll_ms,longpoll_note,chunked_ms,chunked_note,sse_ms,sse_note,websocket_ms,websocket_note',
  );
  expect(rows.length).toBeGreaterThan(10);
  expect(rows[1]).toMatch(/^1,\w+-\d+,lab\/\w+,\d{4}-.*Z,[\d.]+,,[\d.]+,,[\d.]+,,[\d.]+,,[\d.]+,$/);
  const document = JSON.parse(files.JSON?.toString() ?? '');
  expect(document.lanes.map((lane: { transport: string }) => lane.transport)).toEqual([...TRANSPORTS]);
  expect(document.lanes[3].events.length).toBeGreaterThanOrEqual(10);
  expect(document.lanes[3].ledger.bytes.payload).toBeGreaterThan(0);
  expect(document.settings).toMatchObject({ rate: 5, rtt: 20, poll: 250 });
  // The figures can be computed from what stands beside them.
  const [from, to] = [document.figures_from, document.figures_to].map(Date.parse) as [number, number];
  const published = new Map(document.events.map(({ id, time }: { id: string; time: string }) => [id, time]));
  for (const lane of document.lanes) {
    const late = lane.events
      .filter(({ id }: { id: string }) => (published.get(id) as string) >= lane.judged_since)
      .map((event: { staleness_ms: number }) => event.staleness_ms)
      .toSorted((a: number, b: number) => a - b);
    expect(lane.figures.staleness_p50_ms, lane.transport).toBe(late[Math.ceil(late.length / 2) - 1]);
    const asked = lane.requests.filter((at: string) => Date.parse(at) >= from).length;
    expect(lane.figures.requests_per_minute, lane.transport).toBeCloseTo((asked * 60_000) / (to - from), 0);
    const sum = (account: { bytes: Record<string, number> } | null) =>
      Object.values(account?.bytes ?? {}).reduce((all, bytes) => all + bytes, 0);
    const spent = sum(lane.ledger) - sum(lane.ledger_before);
    const shown = lane.ledger.events - (lane.ledger_before?.events ?? 0);
    expect(lane.figures.bytes_per_event, lane.transport).toBeCloseTo(spent / shown, 6);
  }
  expect(files.PNG?.subarray(1, 4).toString()).toBe('PNG');
  expect(files.PNG?.length).toBeGreaterThan(20_000);
});

test('Korean: from the browser or the address, whole, and switched without a reconnect', async () => {
  const { url } = await gateway('demo');
  for (const options of [{ locale: 'ko-KR' }, { query: '?lang=ko' }]) {
    const { query = '', ...context } = options as { query?: string };
    const view = await open(`${url}/${query}`, context);
    await view.connected();
    expect(await view.page.getAttribute('html', 'lang')).toBe('ko');
    const latin = await view.page.evaluate(() => {
      const names =
        /^(poll|longpoll|chunked|sse|websocket|http\/1\.1|Fanlight|English|CSV|JSON|PNG|TCP\/IP|[\d.,\s\u202f×–+±%/·−]|ms|s|k?B|M?bit|kbit|p50|p99|per|now)*$/;
      const found: string[] = [];
      const walk = document.createTreeWalker(
        document.querySelector('#page') as Element,
        NodeFilter.SHOW_TEXT,
      );
      for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const text = node.textContent?.trim() ?? '';
        if (text && !/\p{Script=Hangul}/u.test(text) && !names.test(text)) found.push(text);
      }
      return found;
    });
    expect(latin).toEqual([]);
    const requests = await view.page.evaluate(() => performance.now());
    await view.page.getByRole('button', { name: 'English' }).click();
    expect(await view.page.getAttribute('html', 'lang')).toBe('en');
    expect(await view.page.textContent('#cut')).toBe('Cut the network');
    expect(requests).toBeGreaterThan(0);
    await view.connected();
    await view.close();
  }
});

test.each([
  ['light', '', {}],
  ['dark, Korean, with tables and a cut', '?theme=dark&lang=ko', { cut: true }],
  ['narrow', '?preset=ticker', { width: 360 }],
  ['without lab mode', '?topic=a', { serve: true }],
] as const)('axe-core finds nothing: %s', async (_, query, how) => {
  const { url } = await gateway('serve' in how ? 'serve' : 'demo');
  const width = 'width' in how ? how.width : 1440;
  const view = await open(`${url}/${query}`, { viewport: { width, height: 844 } });
  await view.connected();
  await view.page.locator('.alt summary').click();
  if (width < 900) await view.page.locator('.knobs-box summary').click();
  if ('cut' in how) await view.page.click('#cut');
  await accessible(view);
});

test('no width makes the page scroll sideways', async () => {
  const { url } = await gateway('demo');
  const view = await open(`${url}/?preset=ticker`);
  await view.delivered(5);
  for (const width of [360, 390, 700, 901, 1181, 1440, 2560]) {
    await view.page.setViewportSize({ width, height: 900 });
    for (const language of ['English', '한국어']) {
      await view.page.getByRole('button', { name: language }).click();
      const over = await view.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(over, `${width} ${language}`).toBeLessThanOrEqual(0);
    }
    // Long enough for the charts to be drawn at this width, with what there is.
    const { sse } = await view.lanes();
    await view.delivered(sse.delivered + 25, ['sse']);
  }
  expect(view.errors).toEqual([]);
});

test.each([5, 100])(
  'reduced motion: diagrams and squares move in steps of a second, at %d/s',
  async (rate) => {
    const { url } = await gateway('demo');
    const view = await open(`${url}/?rate=${rate}&rtt=20&poll=1000`, { reducedMotion: 'reduce' });
    await view.delivered(rate);
    // How often each changes, looked at in every frame.
    const changes = await view.page.evaluate(async () => {
      const moving = [...document.querySelectorAll('.lane[data-transport] :is(canvas, .chip)')];
      const look = (one: Element) =>
        one instanceof HTMLCanvasElement ? one.toDataURL() : `${one.innerHTML} ${one.className}`;
      const last = moving.map(look);
      const counts = moving.map(() => 0);
      const until = performance.now() + 2500;
      while (performance.now() < until) {
        await new Promise(requestAnimationFrame);
        moving.forEach((one, at) => {
          const next = look(one);
          if (next !== last[at]) counts[at] = (counts[at] ?? 0) + 1;
          last[at] = next;
        });
      }
      return counts;
    });
    expect(changes.length).toBe(2 * TRANSPORTS.length);
    expect(Math.min(...changes)).toBeGreaterThanOrEqual(1);
    // Three steps, and once more each where what was under way at its edge has come since.
    expect(Math.max(...changes)).toBeLessThanOrEqual(6);
  },
);
