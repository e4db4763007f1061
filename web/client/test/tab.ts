// A tab that can be hidden and frozen. Playwright keeps its pages shown, and what is shown never freezes; so this one is
// driven over the DevTools protocol itself.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { WebSocket } from 'undici';

export interface Tab {
  evaluate<T>(expression: string): Promise<T>;
  /** Puts another tab before it, and stops all that runs in it. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  close(): Promise<void>;
}

export async function tab(url: string): Promise<Tab> {
  const profile = await mkdtemp(path.join(tmpdir(), 'fanlight-tab-'));
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
  ];
  const words = [...flags, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'];
  const child = spawn(process.env.CHROMIUM ?? '/usr/bin/chromium', words, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  const socket = new WebSocket(await endpoint(child.stderr));
  await new Promise((open) => {
    socket.onopen = open;
  });

  let calls = 0;
  const pending = new Map<number, (answer: { result?: unknown; error?: { message: string } }) => void>();
  socket.onmessage = ({ data }) => {
    const answer = JSON.parse(data);
    pending.get(answer.id)?.(answer);
    pending.delete(answer.id);
  };
  const call = <T>(method: string, params: object = {}, sessionId?: string) =>
    new Promise<T>((done, failed) => {
      pending.set(++calls, ({ result, error }) =>
        error ? failed(new Error(`${method}: ${error.message}`)) : done(result as T),
      );
      socket.send(JSON.stringify({ id: calls, method, params, sessionId }));
    });
  const open = async (address: string) => {
    const { targetId } = await call<{ targetId: string }>('Target.createTarget', { url: address });
    return {
      targetId,
      ...(await call<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })),
    };
  };
  const own = await open(url);
  const other = await open('about:blank');
  const show = ({ targetId }: { targetId: string }) => call('Target.activateTarget', { targetId });
  const evaluate = async <T>(expression: string) => {
    const params = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await call<{
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    }>('Runtime.evaluate', params, own.sessionId);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  const until = async (expression: string) => {
    for (let tries = 0; !(await evaluate(expression)); tries++) {
      if (tries > 500) throw new Error(`never: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await show(own);
  await until(`location.href === ${JSON.stringify(url)} && document.readyState === 'complete'`);
  return {
    evaluate,
    async freeze() {
      await show(other);
      await until('document.hidden');
      await call('Page.setWebLifecycleState', { state: 'frozen' }, own.sessionId);
    },
    async thaw() {
      await call('Page.setWebLifecycleState', { state: 'active' }, own.sessionId);
      await show(own);
    },
    async close() {
      socket.close();
      child.kill();
      await exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Where it can be driven, which it says once it listens. */
async function endpoint(stderr: NodeJS.ReadableStream): Promise<string> {
  for await (const line of readline.createInterface(stderr)) {
    const [, found] = /^DevTools listening on (ws:\S+)$/.exec(line) ?? [];
    if (found) return found;
  }
  throw new Error('the browser does not start');
}
