// The pictures of the page in both READMEs, taken of a running demo: `npm --prefix web run pictures`.
// FANLIGHT_BINARY names the gateway; by default the release build.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const binary = process.env.FANLIGHT_BINARY ?? path.join(root, 'target/release/fanlight');

/** File, what is shown, and how long it runs before the picture is taken, in s. */
const PICTURES = [
  { name: 'page', query: '?preset=chat&theme=light&lang=en', seconds: 45 },
  { name: 'page-ko', query: '?preset=chat&theme=light&lang=ko', seconds: 45 },
  { name: 'page-cut', query: '?preset=chat&theme=dark&lang=en', seconds: 30, cut: true },
  { name: 'page-cut-ko', query: '?preset=chat&theme=dark&lang=ko', seconds: 30, cut: true },
];

const gateway = spawn(binary, ['demo', '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const [line] = await once(readline.createInterface(gateway.stdout), 'line');
  const url = /^listening on (http:\S+)$/.exec(line)?.[1];
  for (const { name, query, seconds, cut } of PICTURES) {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, deviceScaleFactor: 1 });
    await page.goto(`${url}/${query}`);
    await page.locator('.lane[data-state=open]').nth(4).waitFor();
    await page.waitForTimeout(seconds * 1000);
    if (cut) {
      await page.click('#cut');
      await page.locator('.lane[data-state=reconnecting]').nth(4).waitFor();
      // It ends by itself, and every lane comes back with what it was owed.
      await page.locator('#cut[aria-pressed=false]').waitFor();
      await page.locator('.lane[data-state=open]').nth(4).waitFor();
      await page.waitForTimeout(1500);
    }
    await page.mouse.move(1, 1);
    await page.screenshot({ path: path.join(root, 'docs', `${name}.png`) });
    await page.close();
    console.log(`docs/${name}.png`);
  }
} finally {
  await browser.close();
  gateway.kill('SIGKILL');
}
