// The example: two people, two rooms, and a gateway that goes away.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { bundled, launch } from './browser.ts';
import { gateway } from './harness.ts';

let browser: Browser;
let site: http.Server;
let origin: string;
beforeAll(async () => {
  browser = await launch();
  const folder = new URL('../../examples/chat/', import.meta.url);
  const script = await bundled('../../examples/chat/chat.ts');
  const types = { html: 'text/html', css: 'text/css', js: 'text/javascript' };
  site = http.createServer(async ({ url }, response) => {
    const file = url === '/chat.css' ? 'chat.css' : url === '/chat.js' ? 'chat.js' : 'index.html';
    const body = file === 'chat.js' ? script : await readFile(new URL(file, folder));
    response.writeHead(200, { 'content-type': types[file.split('.')[1] as 'js'] }).end(body);
  });
  await new Promise<void>((listening) => site.listen(0, '127.0.0.1', listening));
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await browser.close();
  site.close();
});

async function enter(url: string, name: string, room: string): Promise<Page> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  page.on('pageerror', (error) => {
    throw error;
  });
  await page.goto(url);
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('textbox', { name: 'Room' }).fill(room);
  await page.getByRole('button', { name: 'Enter' }).click();
  await page.getByText('Connected over').waitFor();
  return page;
}

const say = async (page: Page, text: string) => {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
};
const log = (page: Page) => page.locator('#messages li > div').allTextContents();

test.each(['websocket', 'sse', 'poll'] as const)('people meet in a room, over %s', async (transport) => {
  const server = await gateway(['--allow-origin', origin]);
  onTestFinished(() => server.stop());
  const url = `${origin}/?gateway=${server.url}&transports=${transport}`;
  const ann = await enter(url, 'Ann', 'lobby');
  await say(ann, 'first <b>words</b>');
  await ann.getByText('first <b>words</b>').waitFor();

  // Who comes later reads what was said, and is seen.
  const bob = await enter(url, 'Bob', 'lobby');
  await bob.getByText('first <b>words</b>').waitFor();
  for (const page of [ann, bob])
    await page.locator('#people', { hasText: 'Ann' }).filter({ hasText: 'Bob' }).waitFor();
  const cid = await enter(url, 'Cid', 'kitchen');

  await bob.getByLabel('Message', { exact: true }).pressSequentially('hel');
  await ann.getByText('Bob is typing …').waitFor();
  await say(bob, 'hello 팬🌈');
  await ann.getByText('hello 팬🌈').waitFor();
  expect(await log(ann)).toEqual(['first <b>words</b>', 'hello 팬🌈']);
  expect(await log(cid)).toEqual([]);
  expect(await ann.locator('#messages li.mine').count()).toBe(1);

  await bob.getByRole('button', { name: 'Leave' }).click();
  await expect.poll(() => ann.locator('#people').textContent(), { timeout: 10_000 }).toBe('Ann');

  // A log that was in memory is gone with its gateway, and the room says so.
  await server.stop('SIGTERM');
  const again = await gateway(['--allow-origin', origin], server.port);
  onTestFinished(() => again.stop());
  await ann.getByText('Some messages were lost here.').waitFor();
  await ann.getByText(`Connected over ${transport}`).waitFor();
  await say(ann, 'still here');
  await ann.getByText('still here').waitFor();
});

test('a room that was left says nothing in the next one, and what is no message is passed over', async () => {
  const server = await gateway(['--allow-origin', origin]);
  onTestFinished(() => server.stop());
  const ann = await enter(`${origin}/?gateway=${server.url}&transports=sse`, 'Ann', 'lobby');
  await server.publish('chat/lobby/messages', null, 5, {});
  await say(ann, 'hello');
  await ann.getByText('hello').waitFor();
  expect(await log(ann)).toEqual(['hello']);

  // The gateway is slow to take the farewell.
  await ann.route('**/v1/publish?*', (route) => setTimeout(() => route.continue().catch(() => {}), 2_000));
  await ann.getByRole('button', { name: 'Leave' }).click();
  await ann.getByRole('textbox', { name: 'Room' }).fill('kitchen');
  await ann.getByRole('button', { name: 'Enter' }).click();
  await ann.getByText('Connected over').waitFor();
  await server.publish('chat/lobby/messages', { id: 'x', name: 'Bob', text: 'in the lobby' });
  await server.publish('chat/kitchen/messages', { id: 'x', name: 'Bob', text: 'in the kitchen' });
  await ann.getByText('in the kitchen').waitFor();
  expect(await log(ann)).toEqual(['in the kitchen']);
});
