// The gateway and the browser as the tests start them, the page's too. Nothing here but Node's own modules.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A Chromium that calls nobody but the gateway. */
export const CHROMIUM = {
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
};

/** Builds the gateway and says where it is, unless the environment names one. */
export function binary(): string {
  if (process.env.FANLIGHT_BINARY) return process.env.FANLIGHT_BINARY;
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  execFileSync('cargo', ['build', '--quiet', '--bin', 'fanlight'], { cwd: root, stdio: 'inherit' });
  return path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/fanlight');
}

export interface Gateway {
  url: string;
  port: number;
  child: ChildProcess;
  /** Publishes one after the other, and returns their ids. */
  publish(topic: string, ...data: unknown[]): Promise<string[]>;
  cursor(): Promise<string>;
  /** By default as a power cut would. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a gateway with these words, and waits until it listens. */
export async function start(words: string[], stderr: 'inherit' | 'ignore'): Promise<Gateway> {
  const child = spawn(binary(), words, { stdio: ['ignore', 'pipe', stderr] });
  const [line] = await Promise.race([
    once(readline.createInterface(child.stdout as NodeJS.ReadableStream), 'line'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the gateway ended with ${code}`))),
  ]);
  const url = /^listening on (http:\S+)$/.exec(line)?.[1] as string;
  return {
    url,
    port: Number(new URL(url).port),
    child,
    async publish(topic, ...data) {
      const ids: string[] = [];
      for (const one of data) {
        const response = await fetch(`${url}/v1/publish?topic=${topic}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(one),
        });
        if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
        ids.push(((await response.json()) as { id: string }).id);
      }
      return ids;
    },
    async cursor() {
      return ((await (await fetch(`${url}/v1/cursor`)).json()) as { cursor: string }).cursor;
    },
    async stop(signal = 'SIGKILL') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}
