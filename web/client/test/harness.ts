// The gateway as a process, a publisher that keeps account, and chance that can be had again.
import { WebSocket as UndiciWebSocket } from 'undici';
import { onTestFinished } from 'vitest';
import {
  type Connection,
  connect as connectTo,
  type FanlightEvent,
  type Options,
  type Timing,
} from '../src/index.ts';
import { type Gateway, start } from './launch.ts';

export type { Gateway };

export const TRANSPORTS = ['websocket', 'sse', 'chunked', 'longpoll', 'poll'] as const;
/** Both ways in which the gateway delivers. */
export const PATHS = { taken: [], hosted: ['--no-takeover'] } as const;

/** Node 20 has none of its own. */
export const WebSocket = UndiciWebSocket as unknown as typeof globalThis.WebSocket;

/** Durations for a network that is a loop. */
export const QUICK: Partial<Timing> = {
  backoff: 20,
  backoffMax: 200,
  answer: 5_000,
  hello: 2_000,
  grace: 1_000,
  steady: 1_000,
};

/** Starts a gateway and waits until it listens. */
export function gateway(flags: readonly string[] = [], port = 0): Promise<Gateway> {
  const listen = ['--listen', `127.0.0.1:${port}`];
  return start(['serve', ...listen, '--log-level', 'error', '--retry', '100ms', ...flags], 'inherit');
}

/** What is to be done when a test is over; tests that run side by side name theirs. */
export type Finished = (done: () => void | Promise<void>) => void;

/** A connection that ends with the test. */
export function connect(url: string, options: Options, finished: Finished = onTestFinished): Connection {
  const connection = connectTo(url, {
    WebSocket,
    pollInterval: 20,
    ...options,
    timing: { ...QUICK, ...options.timing },
  });
  finished(() => connection.close());
  return connection;
}

/** What a connection delivers, in order. */
export function collect(connection: Connection): FanlightEvent[] {
  const events: FanlightEvent[] = [];
  connection.onEvent((event) => events.push(event));
  return events;
}

/** Waits until something holds, and says what did not. */
export async function until(holds: () => unknown, what: string | (() => string), ms = 20_000): Promise<void> {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === 'string' ? what : what()}`);
    await pause(5);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Chance from a seed (mulberry32), which is printed: `SEED=… npx vitest run` has it again. */
export class Chance {
  readonly seed: number;
  #state: number;

  constructor(name: string) {
    this.seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
    this.#state = this.seed;
    console.log(`${name}: SEED=${this.seed}`);
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}

/** Publishes in bursts, without an end, and keeps the ids in order. */
export class Publisher {
  readonly ids: string[] = [];
  #stopped = false;
  #done: Promise<void>;

  constructor(gateway: Gateway, topic: string, chance: Chance) {
    const run = async () => {
      while (!this.#stopped) {
        const burst = Array.from({ length: 1 + chance.below(4) }, () => ({
          n: this.ids.length,
          // Of any length, with characters of one to four bytes: cuts fall everywhere.
          pad: chance.of(['a', 'é', '팬', '🌈']).repeat(chance.below(60)),
        }));
        this.ids.push(...(await gateway.publish(topic, ...burst)));
        await pause(chance.below(30));
      }
    };
    this.#done = run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }
}
