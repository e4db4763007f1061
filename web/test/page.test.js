// @ts-check
// The page in a real browser, in front of the real gateway.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';
import { browser, expected, gateway, network, open, TRANSPORTS } from './harness.js';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** @type {import('playwright-core').Browser} */
let chromium;
before(async () => {
  chromium = await browser();
});
after(() => chromium.close());

/** What a test opened, closed when it ends, however it ends. @type {(() => unknown)[]} */
const cleanup = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function started(/** @type {Parameters<typeof gateway>} */ ...options) {
  const running = await gateway(...options);
  cleanup.push(running.kill);
  return running;
}

async function wired(/** @type {number} */ port) {
  const wire = await network(port);
  cleanup.push(wire.close);
  return wire;
}

async function opened(/** @type {string} */ url, /** @type {Parameters<typeof open>[2]} */ options = {}) {
  const view = await open(chromium, url, options);
  cleanup.push(view.close);
  return view;
}

/** Every lane was given exactly these, in this order. */
async function shows(/** @type {Awaited<ReturnType<typeof open>>} */ view, /** @type {string[]} */ ids) {
  await view.given(/** @type {string} */ (ids.at(-1)));
  const seen = await view.seen();
  for (const transport of TRANSPORTS) assert.deepEqual(seen[transport], ids, transport);
}

async function lossless(/** @type {Awaited<ReturnType<typeof open>>} */ view) {
  for (const transport of TRANSPORTS) {
    for (const figure of ['missed', 'duplicated', 'gaps']) {
      assert.equal(await view.figure(transport, figure), '0', `${transport} ${figure}`);
    }
  }
}

test('the demo: all five lanes show this host, event for event, and nothing goes elsewhere', async () => {
  const { url } = await started('demo');
  const view = await opened(url);
  const poll = view.page.locator('[data-transport=poll]');
  await view.page.waitForFunction(
    () =>
      [...document.querySelectorAll('.lane')].every(
        (lane) => Number(/** @type {HTMLElement} */ (lane).dataset.delivered) >= 20,
      ),
    null,
    { timeout: 30_000 },
  );
  const seen = await view.seen();
  const longest = Object.values(seen).reduce((a, b) => (a.length > b.length ? a : b));
  assert.equal(new Set(longest).size, longest.length, 'none twice');
  for (const transport of TRANSPORTS) {
    const ids = seen[transport] ?? [];
    assert.ok(ids.length >= 20, transport);
    assert.deepEqual(ids, longest.slice(0, ids.length), transport);
  }
  await lossless(view);
  assert.match((await poll.locator('li').first().textContent()) ?? '', /host\//);
  assert.ok(Number(await view.figure('poll', 'requests')) > 1);
  for (const stream of ['chunked', 'sse', 'websocket'])
    assert.equal(await view.figure(stream, 'requests'), '1');
  assert.equal(await view.page.locator('#connected').textContent(), '5 of 5 connected');
  assert.deepEqual([...view.hosts], [new URL(url).host]);
  assert.deepEqual(view.errors, []);
});

test('an event keeps its hue, its number and its text in every lane', async () => {
  const { url, publish } = await started('serve');
  const view = await opened(`${url}/?topic=lab/**`);
  const text = '창문 열림 🪟 <b>&amp;"';
  const ids = await publish('lab/a', 1, { text }, 3);
  await shows(view, ids);
  await view.page.waitForFunction(() => document.querySelectorAll('.lane li').length === 15);
  for (const transport of TRANSPORTS) {
    const rows = view.page.locator(`[data-transport=${transport}] li`);
    assert.deepEqual(
      await rows.evaluateAll((all) => all.map((row) => row.dataset.id)),
      ids.toReversed(),
      'the newest stands on top',
    );
    assert.deepEqual(
      await rows.evaluateAll((all) => all.map((row) => row.className)),
      ids.toReversed().map((id) => `hue-${Number(id.slice(id.lastIndexOf('-') + 1)) % 5}`),
    );
    assert.equal(await rows.nth(1).locator('code').textContent(), JSON.stringify({ text }));
    assert.equal(await rows.nth(1).locator('span').textContent(), 'lab/a');
    assert.equal(await view.page.locator(`[data-transport=${transport}]`).getAttribute('data-last'), ids[2]);
  }
  assert.deepEqual(view.errors, []);
});

test('what the form publishes appears in all five lanes, and its topic in the address', async () => {
  const { url, publish } = await started('serve');
  const view = await opened(`${url}/?topic=other/**`);
  await publish('other/a', 'before');
  await view.page.fill('#publish-data', '{"greeting": "안녕"}');
  await view.page.click('#publish button');
  await view.page.waitForFunction(() => document.querySelectorAll('.lane li[data-id]').length === 5);
  for (const row of await view.page.locator('.lane li').all()) {
    assert.match((await row.textContent()) ?? '', /lab\/hello.*안녕/);
  }
  assert.match((await view.page.textContent('#published')) ?? '', /^Published as \w+-2$/);
  assert.deepEqual(new URL(view.page.url()).searchParams.getAll('topic'), ['other/**', 'lab/hello']);
  assert.equal(await view.page.inputValue('#topics'), 'other/** lab/hello');
  await view.page.fill('#publish-data', 'no JSON');
  await view.page.click('#publish button');
  await view.page.waitForFunction(() => document.querySelectorAll('.lane li[data-id]').length === 10);
  assert.equal(await view.page.locator('[data-transport=sse] li code').first().textContent(), '"no JSON"');
  await lossless(view);
  assert.deepEqual(view.errors, []);
});

test('topics that are refused are told beside their field, and change nothing', async () => {
  const { url, publish } = await started('serve');
  const view = await opened(`${url}/?topic=lab/**`);
  await view.page.fill('#topics', 'lab//x');
  await view.page.keyboard.press('Enter');
  await view.page.locator('#watch-problem:not(:empty)').waitFor();
  assert.equal(await view.page.getAttribute('#topics', 'aria-invalid'), 'true');
  await view.page.fill('#publish-topic', 'lab/*');
  await view.page.click('#publish button');
  await view.page.locator('#publish-problem:not(:empty)').waitFor();
  assert.equal(await view.page.getAttribute('#publish-topic', 'aria-invalid'), 'true');
  assert.equal(await view.page.getAttribute('#publish-data', 'aria-invalid'), 'false');
  assert.deepEqual(new URL(view.page.url()).searchParams.getAll('topic'), ['lab/**']);
  await shows(view, await publish('lab/x', 1));
  await view.page.fill('#topics', 'lab/x lab/y');
  await view.page.click('#watch button');
  await view.page.waitForFunction(() => location.search === '?topic=lab/x&topic=lab/y');
  assert.equal(await view.page.textContent('#watch-problem'), '');
  assert.deepEqual(
    view.errors.filter((error) => !/status of 400/.test(error)),
    [],
  );
});

test('a cut network: every lane comes back and goes on where it was', async () => {
  const { port, publish } = await started('serve');
  const wire = await wired(port);
  const view = await opened(`${wire.url}/?topic=lab/**&interval=0.5`);
  const ids = await publish('lab/a', 1, 2, 3);
  await shows(view, ids);
  for (let round = 0; round < 3; round += 1) {
    wire.cut();
    await view.page.locator('.lane[data-state=reconnecting]').nth(4).waitFor();
    ids.push(...(await publish('lab/a', 'while cut', 'while cut')), ...(await publish('lab/b', 'while cut')));
    wire.restore();
    // Some come while some lanes are back and others are not.
    for (let more = 0; more < 20; more += 1) ids.push(...(await publish('lab/c', more)));
    await shows(view, ids);
    await view.connected();
  }
  await lossless(view);
  assert.deepEqual(
    view.errors.filter((error) => !expected(error)),
    [],
  );
});

test('a browser that says it is offline: nothing is lost when it is back', async () => {
  const { url, publish } = await started('serve');
  const view = await opened(`${url}/?topic=lab/**&interval=0.5`);
  const ids = await publish('lab/a', 1);
  await shows(view, ids);
  await view.page.context().setOffline(true);
  await view.page.locator('[data-transport=poll][data-state=reconnecting]').waitFor();
  ids.push(...(await publish('lab/a', 2, 3)));
  await view.page.context().setOffline(false);
  ids.push(...(await publish('lab/a', 4)));
  await shows(view, ids);
  await lossless(view);
  assert.deepEqual(
    view.errors.filter((error) => !expected(error)),
    [],
  );
});

test('connections that died in silence are noticed by their silence', async () => {
  const { port, publish } = await started('serve');
  const wire = await wired(port);
  const view = await opened(`${wire.url}/?topic=lab/**`);
  const ids = await publish('lab/a', 1);
  await shows(view, ids);
  await view.page.clock.install();
  await view.page.clock.resume();
  // The watch that runs is the page's own clock's; a page that begins anew is under the test's.
  await view.page.reload();
  await view.connected();
  const again = await publish('lab/a', 2);
  await shows(view, again);
  wire.freeze();
  again.push(...(await publish('lab/a', 3)));
  await view.page.clock.fastForward(45_000);
  await shows(view, again);
  await lossless(view);
});

test('a killed gateway: every lane says that the log began anew, and shows all of the new one', async () => {
  const first = await started('serve');
  const view = await opened(`${first.url}/?topic=lab/**&interval=0.5`);
  const ids = await first.publish('lab/a', 1, 2, 3);
  await shows(view, ids);
  await first.kill();
  await view.page.locator('.lane[data-state=reconnecting]').nth(4).waitFor();
  const second = await started('serve', [], first.port);
  ids.push(...(await second.publish('lab/a', 4, 5, 6)));
  await shows(view, ids);
  await view.connected();
  ids.push(...(await second.publish('lab/a', 7)));
  await shows(view, ids);
  const gaps = await view.gaps();
  for (const transport of TRANSPORTS) {
    assert.deepEqual(
      gaps[transport]?.map(({ reason }) => reason),
      ['restarted'],
      transport,
    );
    assert.match(gaps[transport]?.[0]?.from ?? '', new RegExp(`^${ids[2]}$`), transport);
  }
  await view.page.locator('.lane li.gap').nth(4).waitFor();
  assert.match((await view.page.locator('.lane li.gap').first().textContent()) ?? '', /the log began anew/);
  assert.deepEqual(
    view.errors.filter((error) => !expected(error)),
    [],
  );
});

test('a lane that was behind when the gateway died has missed what it had not fetched', async () => {
  const first = await started('serve');
  const view = await opened(`${first.url}/?topic=lab/**&interval=10`);
  const streams = TRANSPORTS.filter((name) => name !== 'poll');
  const ids = await first.publish('lab/a', 1, 2);
  await view.page.waitForFunction(
    ({ streams, id }) => streams.every((name) => Reflect.get(globalThis, 'seen')[name]?.includes(id)),
    { streams, id: /** @type {string} */ (ids[1]) },
  );
  await first.kill();
  const second = await started('serve', [], first.port);
  const more = await second.publish('lab/a', 3);
  await view.given(/** @type {string} */ (more[0]));
  await view.page.waitForFunction(
    () => document.querySelector('[data-transport=poll] [data-figure=missed]')?.textContent === '2',
  );
  assert.deepEqual((await view.seen()).poll, more);
  assert.deepEqual(
    (await view.gaps()).poll?.map(({ reason }) => reason),
    ['restarted'],
  );
  for (const transport of streams) assert.equal(await view.figure(transport, 'missed'), '0');
});

test('what the gateway no longer holds is told as a gap, then comes what it still holds', async () => {
  const { port, publish } = await started('serve', ['--history-events', '5']);
  const wire = await wired(port);
  const view = await opened(`${wire.url}/?topic=lab/a&interval=0.5`);
  const ids = await publish('lab/a', 1, 2, 3);
  await shows(view, ids);
  wire.cut();
  await view.page.locator('.lane[data-state=reconnecting]').nth(4).waitFor();
  const lost = await publish('lab/a', ...Array.from({ length: 20 }, (_, at) => at));
  wire.restore();
  await shows(view, [...ids, ...lost.slice(-5)]);
  const gaps = await view.gaps();
  for (const transport of TRANSPORTS) {
    assert.deepEqual(
      gaps[transport]?.map(({ from, to, reason }) => ({ from, to, reason })),
      [{ from: ids[2], to: lost[14], reason: 'evicted' }],
      transport,
    );
    // Fails where there is more than one.
    await view.page.locator(`[data-transport=${transport}] li.gap`).waitFor();
  }
});

test('a flood leaves the page bounded, and nothing out', async () => {
  const { url, publish } = await started('serve', ['--history-events', '10000']);
  const view = await opened(`${url}/?topic=lab/**&interval=0.5`);
  /** @type {string[]} */
  let ids = [];
  for (let batch = 0; batch < 20; batch += 1) {
    const lines = Array.from({ length: 250 }, (_, at) => JSON.stringify({ batch, at })).join('\n');
    const response = await fetch(`${url}/v1/publish?topic=lab/flood`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines,
    });
    ids = ids.concat(/** @type {{ids: string[]}} */ (await response.json()).ids);
  }
  ids.push(...(await publish('lab/end', 0)));
  await shows(view, ids);
  await view.page.waitForFunction(() =>
    [...document.querySelectorAll('.lane')].every(
      (lane) => /** @type {HTMLElement} */ (lane).dataset.delivered === '5001',
    ),
  );
  assert.ok((await view.page.locator('.lane li').count()) <= 5 * 60);
  await lossless(view);
  assert.deepEqual(view.errors, []);
});

test('pausing and pointing hold the lists; the counting goes on', async () => {
  const { url, publish } = await started('serve');
  const view = await opened(`${url}/?topic=lab/**&interval=0.5`);
  const ids = await publish('lab/a', 1, 2);
  const rows = view.page.locator('[data-transport=sse] li');
  await view.page.waitForFunction(() => document.querySelectorAll('.lane li').length === 10);

  await view.page.focus('#pause');
  await view.page.keyboard.press('Enter');
  ids.push(...(await publish('lab/a', 3)));
  await view.page.locator('.lane[data-delivered="3"]').nth(4).waitFor();
  assert.equal(await rows.count(), 2);
  assert.equal(await view.page.textContent('#pause'), 'Resume');
  await view.page.keyboard.press('Enter');
  await rows.nth(2).waitFor();

  await rows.nth(1).hover();
  assert.equal(await view.page.locator('.pointed').count(), 5, 'the same event in every lane');
  ids.push(...(await publish('lab/a', 4)));
  await view.page.locator('.lane[data-delivered="4"]').nth(4).waitFor();
  assert.equal(await rows.count(), 3);
  await view.page.mouse.move(1, 1);
  await rows.nth(3).waitFor();
  await shows(view, ids);
  await lossless(view);
});

test('where nothing was published yet, the page says how to, and what it says works', async () => {
  const { url } = await started('serve');
  const view = await opened(`${url}/?topic=it's/**`);
  const quiet = view.page.locator('#quiet');
  await quiet.waitFor();
  const { execFile } = await import('node:child_process');
  const command = (await quiet.locator('code').first().textContent()) ?? '';
  await new Promise((resolve, reject) => {
    execFile('sh', ['-c', command], (error) => (error ? reject(error) : resolve(undefined)));
  });
  await view.page.locator('.lane[data-delivered="1"]').nth(4).waitFor();
  await quiet.waitFor({ state: 'hidden' });
});

test('Korean: from the browser or the address, whole, and switched without a reconnect', async () => {
  const { url, publish } = await started('serve');
  for (const view of [
    await opened(`${url}/?topic=lab/**`, { locale: 'ko-KR' }),
    await opened(`${url}/?topic=lab/**&lang=ko`),
  ]) {
    assert.equal(await view.page.getAttribute('html', 'lang'), 'ko');
    // Everything but names, numbers, units and commands.
    const words = await view.page.evaluate(() =>
      [...document.querySelectorAll('[data-word], .state span, #published, option')]
        .filter((place) => place.tagName !== 'OPTION')
        .map((place) => place.textContent ?? ''),
    );
    for (const word of words) assert.match(word, /^$|\p{Script=Hangul}/u);
    const labels = await view.page.evaluate(() =>
      [...document.querySelectorAll('[data-label], .events')].map((place) =>
        place.getAttribute('aria-label'),
      ),
    );
    for (const label of labels) assert.match(label ?? '', /\p{Script=Hangul}/u);
    await view.page.click('#language [value=en]');
    assert.equal(await view.page.getAttribute('html', 'lang'), 'en');
    assert.equal(new URL(view.page.url()).searchParams.get('lang'), 'en');
    await view.page.click('#language [value=ko]');
    assert.equal(await view.page.locator('[data-transport=sse] .state').textContent(), '열림');
    assert.equal(await view.figure('sse', 'requests'), '1');
    await view.close();
  }
  await publish('lab/x', 1);
});

test('no width makes the page scroll sideways', async () => {
  const { url } = await started('demo');
  const long = `${'segment/'.repeat(15)}${'x'.repeat(100)}`;
  const view = await opened(`${url}/?topic=host/**&topic=${long}`, { viewport: { width: 320, height: 640 } });
  await view.page.fill('#publish-topic', long);
  await view.page.click('#publish button');
  await view.page.locator('.lane li').nth(4).waitFor();
  for (const language of ['en', 'ko']) {
    await view.page.click(`#language [value=${language}]`);
    for (const width of [320, 360, 390, 699, 700, 768, 1024, 1099, 1100, 1440, 2560]) {
      await view.page.setViewportSize({ width, height: 900 });
      const wide = await view.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${language}: ${wide} at ${width}`);
    }
  }
});

test('axe finds no barrier: both themes, both languages, wide and narrow, good and bad times', async () => {
  const first = await started('serve');
  for (const [query, width] of /** @type {[string, number][]} */ ([
    ['theme=light&lang=en', 1440],
    ['theme=dark&lang=ko', 360],
    ['theme=light&lang=ko', 900],
    ['theme=dark&lang=en', 1440],
  ])) {
    const view = await opened(`${first.url}/?topic=lab/**&${query}`, { viewport: { width, height: 900 } });
    await first.publish('lab/a', { text: 'hello' });
    await view.page.locator('.lane li').nth(4).waitFor();
    await barrierless(view.page, query);
    if (query.startsWith('theme=dark&lang=en')) {
      await first.kill();
      const second = await started('serve', [], first.port);
      await view.page.locator('.lane li.gap').nth(4).waitFor();
      await barrierless(view.page, `${query}, with gaps`);
      await second.kill();
      await view.page.locator('.lane[data-state=reconnecting]').nth(4).waitFor();
      await barrierless(view.page, `${query}, reconnecting`);
    }
    await view.close();
  }
});

async function barrierless(/** @type {import('playwright-core').Page} */ page, /** @type {string} */ when) {
  // Not as a script element: the page's policy forbids that, as it should.
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { violations } = await Reflect.get(globalThis, 'axe').run();
    return violations.map(
      (/** @type {{id: string, impact: string, nodes: {html: string, failureSummary: string}[]}} */ rule) =>
        `${rule.impact}: ${rule.id}: ${rule.nodes[0]?.html} ${rule.nodes[0]?.failureSummary}`,
    );
  });
  assert.deepEqual(violations, [], when);
}

test('everything can be reached and seen by keyboard', async () => {
  const { url } = await started('serve');
  const view = await opened(`${url}/?topic=lab/**`);
  const reached = [];
  for (let press = 0; press < 11; press += 1) {
    await view.page.keyboard.press('Tab');
    reached.push(
      await view.page.evaluate(() => {
        const at = /** @type {HTMLElement} */ (document.activeElement);
        if (getComputedStyle(at).outlineStyle === 'none') throw new Error(`no focus ring: ${at.outerHTML}`);
        return at.id || /** @type {HTMLButtonElement} */ (at).value || at.textContent;
      }),
    );
  }
  assert.deepEqual(reached, [
    'en',
    'ko',
    'light',
    'dark',
    'pause',
    'topics',
    'Show',
    'publish-topic',
    'publish-data',
    'Publish',
    'interval',
  ]);
});
