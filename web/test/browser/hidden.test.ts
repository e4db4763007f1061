// The page in a tab that nobody sees: browsers slow its timers, or stop it altogether.
import { expect, test } from 'vitest';
import { cleanup, gateway, TRANSPORTS } from './harness.ts';
import { type Tab, tab } from './tab.ts';

async function opened(query: string): Promise<Tab> {
  const { url } = await gateway('demo');
  const page = await tab(`${url}/${query}`);
  cleanup.push(page.close);
  await page.until(`document.querySelectorAll('.lane[data-state=open]').length === ${TRANSPORTS.length}`);
  return page;
}

const LANES = `[...document.querySelectorAll('[data-transport]')].map((lane) => ({ ...lane.dataset }))`;

async function lossless(page: Tab, atLeast: number): Promise<void> {
  await page.until(`${LANES}.every((lane) => Number(lane.delivered) >= ${atLeast})`);
  for (const lane of await page.evaluate<Record<string, string>[]>(LANES))
    expect([lane.missed, lane.duplicated, lane.gaps], lane.transport).toEqual(['0', '0', '0']);
}

test('a hidden tab: its polls come late, nothing is lost, and the page says so', async () => {
  const page = await opened('?rate=4&rtt=20&poll=250');
  await page.hide();
  await new Promise((resolve) => setTimeout(resolve, 5000));
  await page.show();
  await page.until(`/hidden for/.test(document.querySelector('#reading').textContent)`);
  const said = await page.evaluate<string>(`document.querySelector('#reading').textContent`);
  const [, polls, due] = /polls went out (\d+) times where (\d+) were due.*nothing was lost/.exec(said) ?? [];
  expect(Number(due)).toBeGreaterThanOrEqual(18);
  // Chromium lets the timers of a hidden page run once a second.
  expect(Number(polls)).toBeGreaterThan(0);
  expect(Number(polls)).toBeLessThan(Number(due) * 0.75);
  await lossless(page, 40);
});

test('a frozen page catches up without a loss', async () => {
  const page = await opened('?rate=5&rtt=20&poll=500');
  await page.until(`${LANES}.every((lane) => Number(lane.delivered) >= 5)`);
  await page.freeze();
  // Longer than the longest silence that a stream may keep.
  await new Promise((resolve) => setTimeout(resolve, 14_000));
  await page.show();
  await page.until(`document.querySelectorAll('.lane[data-state=open]').length === ${TRANSPORTS.length}`);
  await lossless(page, 90);
});

test('the button hides the tab for ten seconds, and shows it again by itself', async () => {
  const page = await opened('?rate=4&rtt=20&poll=250');
  await page.click('#hide');
  await page.until('document.hidden');
  const since = Date.now();
  await page.until('!document.hidden');
  // The timer of a hidden tab is up to a second late.
  expect(Date.now() - since).toBeGreaterThan(8500);
  expect(Date.now() - since).toBeLessThan(15_000);
  await page.until(`/hidden for/.test(document.querySelector('#reading').textContent)`);
  await lossless(page, 40);
});
