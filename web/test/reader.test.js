// @ts-check
// The reader of the API's description in a real browser, which has no network but the gateway.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browser, gateway } from './harness.js';

test('the reader shows every operation and asks nobody else', async () => {
  const { url, kill } = await gateway('serve');
  const chromium = await browser();
  try {
    const described = await (await fetch(`${url}/openapi.json`)).json();
    const page = await chromium.newPage();
    /** @type {string[]} */
    const elsewhere = [];
    /** @type {string[]} */
    const faults = [];
    page.on('request', (request) => {
      if (!request.url().startsWith(`${url}/`) && !request.url().startsWith('data:'))
        elsewhere.push(request.url());
    });
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) faults.push(message.text());
    });
    let shown = '';
    for (const { name } of described.tags) {
      // A section is drawn when one goes there.
      await page.goto(`${url}/docs#tag/${name.toLowerCase()}`);
      await page.reload();
      await page.getByRole('heading', { name, exact: true }).waitFor();
      shown += await page.locator('body').innerText();
    }
    for (const path of Object.keys(described.paths)) assert.ok(shown.includes(path), path);
    assert.ok(shown.includes(url), 'the gateway is where the examples go');
    assert.deepEqual([elsewhere, faults], [[], []]);
  } finally {
    await chromium.close();
    await kill();
  }
});
