// @ts-check
// The gateway as a process, a network that can fail, and a browser that keeps account of what its page was given.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

/** @typedef {import('playwright-core').Page} Page */

export const TRANSPORTS = ['poll', 'longpoll', 'chunked', 'sse', 'websocket'];

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Builds the gateway and says where it is, unless the environment names one. */
function binary() {
  if (process.env.FANLIGHT_BINARY) return process.env.FANLIGHT_BINARY;
  execFileSync('cargo', ['build', '--quiet', '--bin', 'fanlight'], { cwd: ROOT, stdio: 'inherit' });
  return path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/fanlight');
}

const BINARY = binary();

/**
 * Starts a gateway and waits until it listens.
 * @param {'demo' | 'serve'} command
 * @param {string[]} [flags]
 * @param {number} [port]
 */
export async function gateway(command, flags = [], port = 0) {
  const child = spawn(BINARY, [command, '--listen', `127.0.0.1:${port}`, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await Promise.race([
    once(readline.createInterface(child.stdout), 'line'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the gateway ended with ${code}`))),
  ]);
  const url = /** @type {string} */ (/^listening on (http:\S+)$/.exec(line)?.[1]);
  return {
    url,
    port: Number(new URL(url).port),
    /** Ends it as a power cut would. */
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    /**
     * Publishes events one after the other; the answers are their ids.
     * @param {string} topic
     * @param {unknown[]} events
     */
    async publish(topic, ...events) {
      const ids = [];
      for (const event of events) {
        const response = await fetch(`${url}/v1/publish?topic=${topic}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(event),
        });
        if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
        ids.push(/** @type {{id: string}} */ (await response.json()).id);
      }
      return ids;
    },
  };
}

/** A network between the browser and a gateway. */
export async function network(/** @type {number} */ port) {
  /** @type {Set<net.Socket>} */
  const sockets = new Set();
  let up = true;
  const server = net.createServer((near) => {
    if (!up) return near.resetAndDestroy();
    const far = net.connect(port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${/** @type {net.AddressInfo} */ (server.address()).port}`,
    /** Breaks every connection and takes no new one. */
    cut() {
      up = false;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    restore() {
      up = true;
    },
    /** Every connection that is open stays so, and carries nothing any more; new ones work. */
    freeze() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** A browser that calls nobody but the gateway. */
export function browser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/**
 * Opens the page and waits until all lanes are connected.
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function open(browser, url, options) {
  const context = await browser.newContext({ locale: 'en-US', ...options });
  const page = await context.newPage();
  /** @type {string[]} */
  const errors = [];
  /** @type {Set<string>} */
  const hosts = new Set();
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  await page.addInitScript(() => {
    const seen = /** @type {Record<string, string[]>} */ ({});
    const gaps = /** @type {Record<string, unknown[]>} */ ({});
    const lane = (/** @type {Event} */ event) =>
      /** @type {HTMLElement} */ (event.target).dataset.transport ?? '';
    document.addEventListener('fanlight:event', (event) => {
      seen[lane(event)] ??= [];
      seen[lane(event)]?.push(/** @type {CustomEvent} */ (event).detail);
    });
    document.addEventListener('fanlight:gap', (event) => {
      gaps[lane(event)] ??= [];
      gaps[lane(event)]?.push(/** @type {CustomEvent} */ (event).detail);
    });
    Object.assign(globalThis, { seen, gaps });
  });
  await page.goto(url);
  const opened = {
    page,
    errors,
    hosts,
    /** Waits until every lane is open. */
    connected: () => page.locator('.lane[data-state=open]').nth(4).waitFor(),
    /** What each lane was given, in order. @returns {Promise<Record<string, string[]>>} */
    seen: () => page.evaluate(() => structuredClone(Reflect.get(globalThis, 'seen'))),
    /** The gaps that each lane was told of. @returns {Promise<Record<string, {from: string, to: string, reason: string}[]>>} */
    gaps: () => page.evaluate(() => structuredClone(Reflect.get(globalThis, 'gaps'))),
    /** Waits until every lane was given an event. */
    given: (/** @type {string} */ id) =>
      page.waitForFunction(
        ({ id, transports }) =>
          transports.every((name) => Reflect.get(globalThis, 'seen')[name]?.includes(id)),
        { id, transports: TRANSPORTS },
        { timeout: 60_000 },
      ),
    /** What a lane shows under a name. */
    figure: async (/** @type {string} */ transport, /** @type {string} */ name) =>
      page.locator(`[data-transport=${transport}] [data-figure=${name}]`).textContent(),
    close: () => context.close(),
  };
  await opened.connected();
  return opened;
}

/** The errors that a browser writes down for a connection which the test itself broke. */
export function expected(/** @type {string} */ error) {
  return /net::ERR_(CONNECTION|INCOMPLETE|INTERNET|EMPTY|NETWORK|SOCKET)|^WebSocket connection to/.test(
    error,
  );
}
