// A browser that calls nobody but the gateway, and pages in it that hold a client.
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { Connection, connect, FanlightEvent, Gap, Options } from '../src/index.ts';
import { QUICK } from './harness.ts';
import { CHROMIUM } from './launch.ts';

export function launch(): Promise<Browser> {
  return chromium.launch(CHROMIUM);
}

/** A source of the client as one script, that leaves what it exports in `fanlight`. */
export async function bundled(file: string, globalName = 'fanlight'): Promise<string> {
  const entryPoints = [new URL(file, import.meta.url).pathname];
  const alias = { fanlight: new URL('../src/index.ts', import.meta.url).pathname };
  const options = { bundle: true, format: 'iife', target: 'es2022', write: false } as const;
  return (await build({ entryPoints, alias, globalName, ...options })).outputFiles[0]?.text ?? '';
}

/** What a page holds. */
export interface Held {
  connection: Connection;
  events: FanlightEvent[];
  gaps: Gap[];
  states: string[];
  ends: number;
}

/** Connects in a page of the gateway's own origin. */
export async function hold(page: Page, script: string, url: string, options: Options): Promise<void> {
  await page.goto(`${url}/healthz`);
  await page.addScriptTag({ content: script });
  await page.evaluate(
    ([url, options]) => {
      const scope = globalThis as unknown as { fanlight: { connect: typeof connect }; held: Held };
      const trace: Options['trace'] = ({ kind }) => {
        if (kind === 'end') held.ends += 1;
      };
      const connection = scope.fanlight.connect(url, { ...options, trace });
      const held: Held = { connection, events: [], gaps: [], states: [], ends: 0 };
      connection.onEvent((event) => held.events.push(event));
      connection.onGap((gap) => held.gaps.push(gap));
      connection.onState((state) => held.states.push(state));
      scope.held = held;
    },
    [url, { ...options, timing: { ...QUICK, ...options.timing } }] as const,
  );
}

/** What a page has come to. */
export function seen(page: Page): Promise<{
  ids: string[];
  gaps: Gap[];
  states: string[];
  state: string;
  transport: string;
  ends: number;
}> {
  return page.evaluate(() => {
    const { connection, events, gaps, states, ends } = (globalThis as unknown as { held: Held }).held;
    const { state, transport } = connection;
    return { ids: events.map(({ id }) => id), gaps, states, state, transport, ends };
  });
}
