// A tab that can be hidden and frozen in truth. Playwright keeps its pages shown, and what is shown never freezes; so
// this browser is driven over a pipe in the DevTools protocol itself.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';

export interface Tab {
  evaluate<T>(expression: string): Promise<T>;
  /** As if by a person, so that it may open a tab. */
  click(selector: string): Promise<void>;
  /** Waits until it is true. */
  until(expression: string): Promise<void>;
  /** Puts another tab before it. */
  hide(): Promise<void>;
  /** Hides it, and stops all that runs in it. */
  freeze(): Promise<void>;
  /** Lets it run, and puts it to the front. */
  show(): Promise<void>;
  close(): Promise<void>;
}

interface Answer {
  id: number;
  result?: unknown;
  error?: { message: string };
}

const PATIENCE = 40_000;

export async function tab(url: string): Promise<Tab> {
  const profile = await mkdtemp(path.join(tmpdir(), 'fanlight-page-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--lang=en-US'];
  const child = spawn(
    process.env.CHROMIUM ?? '/usr/bin/chromium',
    [...flags, '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  const exited = once(child, 'exit');
  const call = caller(child.stdio[3] as Writable, child.stdio[4] as Readable);
  const open = async (address: string) => {
    const { targetId } = await call<{ targetId: string }>('Target.createTarget', { url: address });
    const attached = await call<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true });
    return { targetId, sessionId: attached.sessionId };
  };
  const own = await open(url);
  const other = await open('about:blank');
  const front = ({ targetId }: { targetId: string }) => call('Target.activateTarget', { targetId });
  const state = (state: 'frozen' | 'active') => call('Page.setWebLifecycleState', { state }, own.sessionId);
  const evaluate = async <T>(expression: string, userGesture = false): Promise<T> => {
    const { result, exceptionDetails } = await call<{
      result: { value: T };
      exceptionDetails?: { text: string };
    }>(
      'Runtime.evaluate',
      { expression, returnByValue: true, awaitPromise: true, userGesture },
      own.sessionId,
    );
    if (exceptionDetails) throw new Error(`${exceptionDetails.text}: ${expression}`);
    return result.value;
  };
  const until = async (expression: string) => {
    const end = Date.now() + PATIENCE;
    while (!(await evaluate(expression))) {
      if (Date.now() > end) throw new Error(`never: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const hide = async () => {
    await front(other);
    await until('document.hidden');
  };
  await front(own);
  await until(`location.href.startsWith(${JSON.stringify(url)}) && document.readyState === 'complete'`);
  return {
    evaluate: (expression) => evaluate(expression),
    click: (selector) => evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`, true),
    until,
    hide,
    async freeze() {
      await hide();
      await state('frozen');
    },
    async show() {
      await state('active');
      await front(own);
      await until('!document.hidden');
    },
    async close() {
      child.kill();
      await exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Calls methods: messages are JSON, each followed by a NUL. */
function caller(out: Writable, into: Readable) {
  const pending = new Map<number, (answer: Answer) => void>();
  let calls = 0;
  let rest = '';
  into.setEncoding('utf8').on('data', (text: string) => {
    const messages = (rest + text).split('\0');
    rest = messages.pop() ?? '';
    for (const message of messages) {
      const answer = JSON.parse(message) as Answer;
      pending.get(answer.id)?.(answer);
      pending.delete(answer.id);
    }
  });
  return <T = unknown>(method: string, params: object = {}, sessionId?: string): Promise<T> =>
    new Promise((done, failed) => {
      calls += 1;
      pending.set(calls, ({ result, error }) =>
        error ? failed(new Error(`${method}: ${error.message}`)) : done(result as T),
      );
      out.write(`${JSON.stringify({ id: calls, method, params, sessionId })}\0`);
    });
}
