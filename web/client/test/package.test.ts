// The package as npm would install it, in a Node that has no WebSocket, and its types.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, expectTypeOf, onTestFinished, test } from 'vitest';
import * as core from '../src/core.ts';
import * as whole from '../src/index.ts';
import { gateway } from './harness.ts';

const run = promisify(execFile);
const here = new URL('..', import.meta.url).pathname;

test('what is built runs in Node as it is, with its types beside it', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'fanlight-package-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const manifest = JSON.parse(await readFile(`${here}/package.json`, 'utf8'));
  expect(manifest.dependencies).toBeUndefined();
  await run('npx', ['tsc', '-p', 'tsconfig.build.json', '--outDir', `${folder}/node_modules/fanlight/dist`], {
    cwd: here,
  });
  await writeFile(`${folder}/node_modules/fanlight/package.json`, JSON.stringify(manifest));
  const server = await gateway();
  onTestFinished(() => server.stop());
  await server.publish('a', 'one', 'two');
  const program = `
    import { connect } from 'fanlight';
    import { connect as small, longpoll } from 'fanlight/core';
    delete globalThis.WebSocket;
    const connection = connect('${server.url}', { topics: 'a', after: 'earliest' });
    for await (const { data } of connection) {
      console.log(connection.transport, data);
      if (data === 'two') break;
    }
    connection.close();
    const subscription = small('${server.url}', { topics: 'a', last: 1, transport: longpoll });
    subscription.onEvent(({ data }) => {
      console.log(subscription.transport, data);
      subscription.close();
    });
  `;
  await writeFile(`${folder}/program.mjs`, program);
  // It ends by itself: nothing of a closed connection keeps a process alive.
  const { stdout, stderr } = await run(process.execPath, ['program.mjs'], { cwd: folder, timeout: 20_000 });
  expect(stdout).toBe('sse one\nsse two\nlongpoll two\n');
  expect(stderr).toBe('');
  const strict = [
    '--strict',
    '--noEmit',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--lib',
    'es2022,dom',
    '--types',
    '',
  ];
  await writeFile(
    `${folder}/typed.mts`,
    `import { connect, type FanlightEvent } from 'fanlight';
     import { connect as small, sse } from 'fanlight/core';
     const off: () => void = connect<{ n: number }>('x', { transports: ['sse', 'poll'] }).onEvent(({ data }) => data.n.toFixed());
     small('x', { transport: sse }).onEvent((event: FanlightEvent) => off());
     // @ts-expect-error no such transport
     connect('x', { transports: ['socketio'] });
     // @ts-expect-error the core has no loops
     for await (const _ of small('x', { transport: sse }));
    `,
  );
  await run(`${here}/node_modules/.bin/tsc`, [...strict, 'typed.mts'], { cwd: folder });
});

test('types say what is meant', () => {
  expectTypeOf(whole.connect).returns.toExtend<whole.Connection>();
  expectTypeOf<whole.Connection<number>>().toExtend<AsyncIterable<whole.FanlightEvent<number>>>();
  expectTypeOf(core.connect).returns.not.toExtend<AsyncIterable<unknown>>();
  expectTypeOf<whole.Trace['transport']>().toEqualTypeOf<whole.TransportName>();
  expectTypeOf<Extract<whole.Trace, { kind: 'answer' }>>().toExtend<{ at: number; status: number }>();
  expectTypeOf<whole.Connection['publish']>().returns.resolves.toBeString();
  expectTypeOf<whole.Options['token']>().toEqualTypeOf<whole.Token | undefined>();
  expect(Object.keys(whole.transports)).toEqual(['websocket', 'sse', 'chunked', 'longpoll', 'poll']);
});
