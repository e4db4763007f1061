import { Backoff } from './backoff.ts';
import type { Settled, Transport } from './transport.ts';
import { type Host, Trial } from './trial.ts';
import type { CommonOptions, FanlightEvent, Gap, State, Subscription, TransportName } from './types.ts';
import { onWake } from './wake.ts';

export type Listener<T> = (value: T) => void;
export interface Told {
  event: FanlightEvent;
  gap: Gap;
  state: State;
  error: Error;
}

/** Events of some topics: one connection after the other, each from where the last one came to. */
export class Feed implements Subscription, Host {
  readonly options: Settled;
  readonly base: URL;
  state: State = 'connecting';
  topics: readonly string[];
  protected trial: Trial | undefined;
  /** Behind the last event that came; `undefined` as long as the options say where to begin. */
  protected last: string | undefined;
  protected readonly strategy: Backoff;
  readonly #unhook: () => void;
  protected readonly listeners: { [K in keyof Told]: Set<Listener<Told[K]>> } = {
    event: new Set(),
    gap: new Set(),
    state: new Set(),
    error: new Set(),
  };
  #wake: () => void = () => {};
  #done = false;

  constructor(url: string | URL, options: CommonOptions, transports: readonly Transport[]) {
    this.options = settled(options);
    this.base = new URL(url, globalThis.location?.href);
    this.base.pathname = this.base.pathname.replace(/\/*$/, '/');
    const usable = transports.filter((transport) => transport.available(this.options));
    if (!usable[0]) throw new Error('no WebSocket here: give one as an option');
    this.strategy = this.choice(usable as [Transport]);
    this.topics = list(options.topics ?? []);
    this.#unhook = onWake((moved, thawed) => {
      if (moved) this.elsewhere();
      if (moved || thawed) this.restart('woken');
      this.trial?.check();
      this.#wake();
    });
    // Once the caller has had time to listen.
    queueMicrotask(() => this.run());
  }

  get cursor(): string | undefined {
    return this.last;
  }

  get transport(): TransportName {
    return this.strategy.transport.name;
  }

  onEvent(listener: Listener<FanlightEvent>): () => void {
    return this.#on('event', listener);
  }

  onGap(listener: Listener<Gap>): () => void {
    return this.#on('gap', listener);
  }

  onState(listener: Listener<State>): () => void {
    return this.#on('state', listener);
  }

  onError(listener: Listener<Error>): () => void {
    return this.#on('error', listener);
  }

  close(): void {
    this.finish('closed');
  }

  // What the attempts ask and tell.

  patience(): number {
    return this.strategy.patience();
  }

  query(): URLSearchParams {
    const { after, last, client } = this.options;
    const query = new URLSearchParams(this.topics.map((topic) => ['topic', topic]));
    const position = this.last ?? after;
    if (position) query.set('after', position);
    else if (last) query.set('last', `${last}`);
    if (client) query.set('client', client);
    return query;
  }

  opened(): void {
    this.#become('open');
  }

  event(event: FanlightEvent): void {
    this.emit('event', event);
    this.moved(event.id);
  }

  moved(cursor: string): void {
    this.last = cursor;
  }

  gap({ from, to, reason }: Gap): void {
    const gap = { from, to, reason };
    // A loss is never hidden.
    if (!this.listeners.gap.size) console.warn('fanlight: events were lost', gap);
    this.emit('gap', gap);
  }

  // What a richer connection does with it.

  protected choice(transports: readonly [Transport, ...Transport[]]): Backoff {
    return new Backoff(transports[0], this.options);
  }

  protected attempt(transport: Transport): Trial {
    return new Trial(this, transport);
  }

  protected async token(): Promise<string | undefined> {
    const { token } = this.options;
    return typeof token === 'function' ? token(false) : token;
  }

  /** Why no connection is wanted now. */
  protected rest(): State | undefined {
    return this.topics.length ? undefined : 'idle';
  }

  /** A connection ended, and with it what was under way on it. */
  protected ended(): void {}

  /** The gateway refuses. Whether what it was asked was changed, so that it is worth another try. */
  protected refused(_: Error): boolean {
    return false;
  }

  /** The network may be another one. */
  protected elsewhere(): void {}

  /** Ends the connection, to make a new one at once, or none if none is wanted. */
  protected restart(reason: string): void {
    this.trial?.abort(reason, true);
    this.#wake();
  }

  /** What ended is followed by an attempt after so many ms. */
  protected waits(_trial: Trial, _ms: number): void {}

  protected failed(error: Error): void {
    this.emit('error', error);
  }

  /** The end: of our own will, or for an error. */
  protected finish(state: State, _?: Error): void {
    if (this.#done) return;
    this.#done = true;
    this.#unhook();
    this.restart(state);
    this.#become(state);
  }

  protected async run(): Promise<void> {
    let wasOpen = false;
    for (let wait: number | undefined; !this.#done; ) {
      const rest = this.rest();
      this.#become(rest ?? (wasOpen ? 'reconnecting' : 'connecting'));
      // A listener may have closed it.
      if (this.#done) return;
      if (rest || wait) {
        await this.#sleep(rest ? 2 ** 31 - 1 : wait);
        wait = 0;
        continue;
      }
      const trial = this.attempt(this.strategy.transport);
      this.trial = trial;
      const error = await trial.run(this.token());
      this.trial = undefined;
      this.ended();
      wasOpen ||= !!trial.opened;
      if (trial.again) continue;
      wait = this.strategy.next(trial, error);
      if (wait === undefined && this.refused(error)) continue;
      if (trial.pause === undefined) this.failed(error);
      if (wait === undefined) this.finish('refused', error);
      else if (wait) this.waits(trial, wait);
    }
  }

  /** Waits so long, or until woken. */
  #sleep(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #become(state: State): void {
    if (this.state === state) return;
    this.state = state;
    this.emit('state', state);
  }

  /** Twice the same listener is two of them. */
  #on<K extends keyof Told>(kind: K, listener: Listener<Told[K]>): () => void {
    const entry: Listener<Told[K]> = (value) => listener(value);
    this.listeners[kind].add(entry);
    return () => {
      this.listeners[kind].delete(entry);
    };
  }

  /** One that throws costs no other its turn. */
  protected emit<K extends keyof Told>(kind: K, value: Told[K]): void {
    const listeners = this.listeners[kind];
    // Those that are there now: one that is added meanwhile hears the next.
    for (const listener of [...listeners]) {
      try {
        if (listeners.has(listener)) listener(value);
      } catch (error) {
        setTimeout(() => {
          throw error;
        });
      }
    }
  }
}

export function list(topics: string | readonly string[]): readonly string[] {
  return typeof topics === 'string' ? [topics] : topics;
}

function settled(options: CommonOptions): Settled {
  return {
    pollInterval: 2000,
    longpollTimeout: 25,
    heartbeat: 15,
    credentials: 'same-origin',
    fetch: (...request) => fetch(...request),
    WebSocket: globalThis.WebSocket,
    ...options,
    timing: {
      answer: 5000,
      hello: 4000,
      grace: 7500,
      steady: 10000,
      backoff: 500,
      backoffMax: 30000,
      ...options.timing,
    },
  };
}
