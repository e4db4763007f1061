// The gateway as a process, a network that can fail, and a browser that keeps account of what its page was given.
import { once } from 'node:events';
import net from 'node:net';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { binary, CHROMIUM, type Gateway, start } from '../../client/test/launch.ts';
import { TRANSPORTS, type TransportName } from '../../src/transports.ts';

export { TRANSPORTS };

let browser: Browser;
/** What a test opened, closed when it ends, however it ends. */
export const cleanup: (() => unknown)[] = [];

beforeAll(async () => {
  process.env.FANLIGHT_BINARY = binary();
  browser = await chromium.launch(CHROMIUM);
});
afterAll(() => browser.close());
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

/** Starts a gateway that ends with the test, and waits until it listens. */
export async function gateway(command: 'demo' | 'serve', flags: string[] = [], port = 0): Promise<Gateway> {
  const words = [command, '--listen', `127.0.0.1:${port}`, ...flags];
  const started = await start(words, process.env.VERBOSE ? 'inherit' : 'ignore');
  cleanup.push(() => started.stop());
  return started;
}

/** A network between the browser and a gateway. `lag`: how long it keeps what is sent now, ms. */
export async function network(port: number, lag?: () => number) {
  const sockets = new Set<net.Socket>();
  let up = true;
  const server = net.createServer((near) => {
    if (!up) return near.resetAndDestroy();
    const far = net.connect(port, '127.0.0.1');
    if (lag) {
      delay(near, far, lag);
      delay(far, near, lag);
    } else near.pipe(far).pipe(near);
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
  cleanup.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    /** Breaks every connection and takes no new one. */
    cut() {
      up = false;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    restore() {
      up = true;
    },
  };
}

/** Passes on in order, and late. */
function delay(from: net.Socket, to: net.Socket, lag: () => number): void {
  let last = Promise.resolve();
  from.on('data', (data) => {
    const due = Date.now() + lag();
    last = last.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, due - Date.now()));
      to.write(data);
    });
  });
}

/** What a lane says of itself to whoever tests it. */
export interface LaneData {
  state: string;
  delivered: number;
  missed: number;
  duplicated: number;
  gaps: number;
  last: string | undefined;
  /** ms */
  least: number;
  p50: number;
  p99: number;
  bytes: Record<string, number> | undefined;
}

export interface View {
  page: Page;
  /** Errors and warnings of the console. */
  errors: string[];
  /** Who was called. */
  hosts: Set<string>;
  /** Waits until every lane is open. */
  connected(): Promise<void>;
  lanes(): Promise<Record<TransportName, LaneData>>;
  /** Waits until every lane has shown so many events. */
  delivered(count: number, names?: readonly TransportName[]): Promise<void>;
  /** Waits until every lane has shown this event last. */
  shows(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens the page. */
export async function open(url: string, options: BrowserContextOptions = {}): Promise<View> {
  const context = await browser.newContext({
    locale: 'en-US',
    viewport: { width: 1440, height: 900 },
    ...options,
  });
  const page = await context.newPage();
  const close = () => context.close();
  cleanup.push(close);
  const errors: string[] = [];
  const hosts = new Set<string>();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => hosts.add(new URL(request.url()).hostname));
  await page.goto(url);
  return {
    page,
    errors,
    hosts,
    close,
    connected: () =>
      page
        .locator('.lane[data-state=open]')
        .nth(TRANSPORTS.length - 1)
        .waitFor(),
    lanes: async () => {
      const all = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>('[data-transport]')].map((lane) => ({ ...lane.dataset })),
      );
      const lanes = all.map((data) => [
        data.transport,
        {
          state: data.state,
          delivered: Number(data.delivered),
          missed: Number(data.missed),
          duplicated: Number(data.duplicated),
          gaps: Number(data.gaps),
          last: data.last,
          least: Number(data.least),
          p50: Number(data.p50),
          p99: Number(data.p99),
          bytes: data.bytes && JSON.parse(data.bytes),
        },
      ]);
      return Object.fromEntries(lanes);
    },
    delivered: async (count, names = TRANSPORTS) => {
      await page.waitForFunction(
        ({ count, names }) =>
          names.every((name) => {
            const lane = document.querySelector<HTMLElement>(`[data-transport=${name}]`);
            return Number(lane?.dataset.delivered) >= count;
          }),
        { count, names },
        { timeout: 60_000 },
      );
    },
    shows: async (id) => {
      await page.waitForFunction(
        ({ id, names }) =>
          names.every(
            (name) => document.querySelector<HTMLElement>(`[data-transport=${name}]`)?.dataset.last === id,
          ),
        { id, names: TRANSPORTS },
        { timeout: 60_000 },
      );
    },
  };
}

/** The errors that a browser writes down for a connection which the test itself broke. */
export function expected(error: string): boolean {
  return /net::ERR_(CONNECTION|INCOMPLETE|INTERNET|EMPTY|NETWORK|SOCKET|ABORTED|ADDRESS)|^WebSocket connection to/.test(
    error,
  );
}
