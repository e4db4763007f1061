// Every code block of docs/client.md, as it stands there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, gateway, pause, until } from './harness.ts';
import { proxy } from './proxy.ts';

const source = await readFile(new URL('../../../docs/client.md', import.meta.url), 'utf8');
const blocks = [...source.matchAll(/^```js\n(.*?)^```/gms)].map(
  ([, block], n) => [n + 1, block as string] as const,
);

/** What Node 20 has not, and browsers have. */
const PRELUDE = `
  import { WebSocket } from 'undici';
  globalThis.WebSocket = WebSocket;
  globalThis.localStorage = Object.create({
    getItem(key) { return this[key] ?? null; },
    setItem(key, value) { this[key] = value; },
  });
`;

describe('docs/client.md', () => {
  let server: Gateway;
  let folder: string;
  let publishing = true;
  let published: Promise<void>;
  beforeAll(async () => {
    server = await gateway();
    folder = await mkdtemp(path.join(tmpdir(), 'fanlight-docs-'));
    published = (async () => {
      while (publishing) {
        await server.publish('orders/42/status', { state: 'picked-up' }, { state: 'delivered' });
        await pause(100);
      }
    })();
  });
  afterAll(async () => {
    publishing = false;
    await published;
    await server.stop();
    await rm(folder, { recursive: true });
  });

  test('has code', () => {
    expect(blocks.length).toBeGreaterThan(8);
  });

  test.for(blocks)('block %i prints something, and complains of nothing', async ([n, block]) => {
    const child = await run(n, block, server.url);
    const said = { out: '', err: '' };
    child.stdout.on('data', (piece) => (said.out += piece));
    child.stderr.on('data', (piece) => (said.err += piece));
    try {
      await until(
        () => said.out.includes('\n'),
        () => `a line of block ${n}; it says ${JSON.stringify(said)}`,
      );
      // Long enough for what it does first to go wrong.
      await pause(200);
    } finally {
      child.kill();
    }
    console.log(`${n}: ${said.out.split('\n').slice(0, 3).join(' | ')}`);
    expect(said.err.replace(/\(node:\d+\) (Experimental|\[UNDICI)[^\n]*\n(\(Use [^\n]*\n)?/g, '')).toBe('');
  });

  test('a process ends whose WebSocket is never answered its close', async () => {
    const [n, block] = blocks.find(([, block]) => block.includes('unref')) ?? [0, ''];
    const relay = await proxy(server.port);
    const child = await run(n, block, relay.url);
    const ended = once(child, 'exit');
    try {
      await once(child.stdout, 'data');
      expect(relay.asked).toEqual(['websocket']);
      relay.hush();
      child.kill('SIGINT');
      expect(await Promise.race([ended, pause(3_000)])).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
      relay.close();
    }
  });

  /** Runs a block against this address. */
  async function run(n: number, block: string, url: string) {
    const file = path.join(folder, `${n}.mjs`);
    const here = new URL('..', import.meta.url).pathname;
    const text = block.replaceAll('http://127.0.0.1:8080', url);
    expect(text).not.toBe(block);
    await writeFile(path.join(folder, 'prelude.js'), PRELUDE);
    await build({
      stdin: {
        contents: `import ${JSON.stringify(path.join(folder, 'prelude.js'))};\n${text}`,
        resolveDir: here,
        loader: 'js',
      },
      alias: {
        'fanlight/core': `${here}/src/core.ts`,
        fanlight: `${here}/src/index.ts`,
        undici: `${here}/node_modules/undici/index.js`,
      },
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: file,
      logLevel: 'error',
    });
    return spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  }
});
