// The reader of the API's description in a real browser, which has no network but the gateway.
import { expect, test } from 'vitest';
import { gateway, open } from './harness.ts';

test('the reader shows every operation and asks nobody else', async () => {
  const { url } = await gateway('serve');
  const described = await (await fetch(`${url}/openapi.json`)).json();
  const view = await open(`${url}/docs`);
  let shown = '';
  for (const { name } of described.tags) {
    // A section is drawn when one goes there.
    await view.page.goto(`${url}/docs#tag/${name.toLowerCase()}`);
    await view.page.reload();
    await view.page.getByRole('heading', { name, exact: true }).waitFor();
    shown += await view.page.locator('body').textContent();
  }
  for (const path of Object.keys(described.paths)) expect(shown, path).toContain(path);
  expect(shown, 'the gateway is where the examples go').toContain(url);
  expect([...view.hosts].filter(Boolean)).toEqual(['127.0.0.1']);
  expect(view.errors.filter((error) => /Content Security Policy|Error:/.test(error))).toEqual([]);
});
