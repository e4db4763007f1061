import { Operations } from './operations.ts';
import { Problem } from './problem.ts';
import { Queue } from './queue.ts';
import { type Host, Runner } from './runner.ts';
import type { Settled, Transport } from './transport.ts';
import type { Shared } from './trial.ts';
import type {
  CommonOptions,
  Connection,
  CoreOptions,
  FanlightEvent,
  Gap,
  PublishOptions,
  State,
  Timing,
  TransportName,
} from './types.ts';

const TIMING: Timing = {
  answer: 5_000,
  hello: 4_000,
  grace: 7_500,
  steady: 10_000,
  backoff: 500,
  backoffMax: 30_000,
  climb: 15_000,
  climbMax: 600_000,
};

/** Events of some topics, over the transports that are given. It begins once the caller has had time to listen. */
export function connect<Data = unknown>(url: string | URL, options: CoreOptions): Connection<Data> {
  return new Client(url, options) as Connection as Connection<Data>;
}

type Listener<T> = (value: T) => void;

class Client implements Connection {
  #topics: readonly string[];
  #state: State = 'connecting';
  #options: Settled;
  #runner: Runner;
  #operations: Operations;
  #queue: Queue;
  /** Behind the last event that came. */
  #cursor: string | undefined;
  #after: string | undefined;
  #last: number | undefined;
  #stored: string | undefined;
  #key: string;
  #events: Set<Listener<FanlightEvent>> = new Set();
  #gaps: Set<Listener<Gap>> = new Set();
  #states: Set<Listener<State>> = new Set();
  #errors: Set<Listener<Error>> = new Set();
  /** The change of topics that is under way. */
  #change: { before: readonly string[]; done: () => void; failed: (error: Error) => void } | undefined;
  #changes: Promise<unknown> = Promise.resolve();

  constructor(url: string | URL, given: CoreOptions) {
    const options = settled(given);
    const base = new URL(url, globalThis.location?.href);
    if (!base.pathname.endsWith('/')) base.pathname += '/';
    const transports = given.transports.filter((transport) => transport.available(options));
    if (!transports[0])
      throw new Error('no transport can be had here: give `WebSocket` as an option, or name others');
    this.#options = options;
    this.#topics = list(options.topics ?? []);
    this.#after = options.after;
    this.#last = options.last;
    this.#key = options.storageKey ?? `fanlight:${base.href}:${this.#topics}`;
    const shared: Shared = {
      options,
      base,
      timing: { ...TIMING, ...options.timing },
      lag: Infinity,
      query: () => this.#query(),
      rounds: () => this.#runner.rounds,
    };
    this.#runner = new Runner(shared, transports as readonly Transport[], this.#host());
    this.#operations = new Operations(shared, this.#runner);
    this.#queue = new Queue(options.queue ?? 1000, () => this.#runner.restart('taken'));
    void this.#start();
  }

  get cursor(): string | undefined {
    return this.#queue.cursor(this.#cursor);
  }

  get state(): State {
    return this.#state;
  }

  get transport(): TransportName {
    return this.#runner.transport.name;
  }

  get topics(): readonly string[] {
    return this.#topics;
  }

  onEvent(listener: Listener<FanlightEvent>): () => void {
    return added(this.#events, listener);
  }

  onGap(listener: Listener<Gap>): () => void {
    return added(this.#gaps, listener);
  }

  onState(listener: Listener<State>): () => void {
    return added(this.#states, listener);
  }

  onError(listener: Listener<Error>): () => void {
    return added(this.#errors, listener);
  }

  publish(topic: string, data: unknown, options?: PublishOptions): Promise<string> {
    return this.#operations.publish(topic, data, options);
  }

  subscribe(topics: string | readonly string[]): Promise<void> {
    const more = list(topics);
    return this.#changed('subscribe', more, () => [...new Set([...this.#topics, ...more])]);
  }

  unsubscribe(topics: string | readonly string[]): Promise<void> {
    const fewer = list(topics);
    return this.#changed('unsubscribe', fewer, () => this.#topics.filter((topic) => !fewer.includes(topic)));
  }

  close(): void {
    this.#end('closed', new Error('the connection was closed'));
    this.#queue.end();
  }

  [Symbol.asyncIterator](): AsyncIterator<FanlightEvent> {
    return this.#queue.loop(() => {
      // A callback has had what the loop leaves behind.
      if (this.#events.size) this.#queue.clear();
      this.#save();
    });
  }

  async #start(): Promise<void> {
    try {
      const { storage } = this.#options;
      this.#cursor = this.#stored = (await storage?.getItem(this.#key)) || undefined;
    } catch (error) {
      emit(this.#errors, error as Error);
    }
    await this.#runner.run();
  }

  #query(): URLSearchParams {
    const query = new URLSearchParams(this.#topics.map((topic) => ['topic', topic]));
    const { client } = this.#options;
    const after = this.#cursor ?? this.#after;
    if (after) query.set('after', after);
    else if (this.#last) query.set('last', `${this.#last}`);
    if (client) query.set('client', client);
    return query;
  }

  #host(): Host {
    return {
      rest: () => (!this.#topics.length ? 'idle' : this.#queue.isFull() ? 'paused' : undefined),
      state: (state) => this.#become(state),
      failed: (error) => emit(this.#errors, error),
      refused: (error) => this.#refused(error),
      opened: () => this.#change?.done(),
      ended: () => this.#operations.ended(),
      answered: (answer) => this.#operations.answered(answer),
      gap: (gap) => this.#gap(gap),
      event: (event) => this.#event(event),
      moved: (cursor) => this.#moved(cursor),
      expiring: () => void this.#operations.renew(),
    };
  }

  #event(event: FanlightEvent): void {
    emit(this.#events, event);
    const isFull = this.#queue.push(event, this.#cursor, !this.#events.size);
    this.#moved(event.id);
    if (isFull) this.#runner.restart('full');
  }

  #moved(cursor: string): void {
    this.#cursor = cursor;
    this.#save();
  }

  #gap(gap: Gap): void {
    if (!this.#gaps.size) console.warn('fanlight: events were lost, and nobody listens with onGap', gap);
    emit(this.#gaps, gap);
  }

  /** Keeps the cursor, once for all that comes in one piece. */
  #save(): void {
    const { storage } = this.#options;
    if (!storage) return;
    queueMicrotask(async () => {
      const { cursor } = this;
      if (!cursor || cursor === this.#stored) return;
      this.#stored = cursor;
      try {
        await storage.setItem(this.#key, cursor);
      } catch (error) {
        emit(this.#errors, error as Error);
      }
    });
  }

  #refused(error: Error): boolean {
    const { status, field } = error as Problem;
    if (this.#change) {
      this.#topics = this.#change.before;
      this.#change.failed(error);
      return true;
    }
    // A cursor that we kept is none of this log, for nobody's fault: what is held follows, after a gap.
    if (status === 400 && field === 'after' && this.#cursor) {
      this.#gap({ from: this.#cursor, to: this.#cursor, reason: 'unknown' });
      this.#cursor = undefined;
      this.#after = 'earliest';
      return true;
    }
    this.#end('refused', error);
    emit(this.#errors, error);
    this.#queue.end(error);
    return false;
  }

  #end(state: State, error: Error): void {
    this.#change?.failed(error);
    this.#operations.close(error);
    this.#runner.close();
    this.#become(state);
  }

  #become(state: State): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    emit(this.#states, state);
  }

  /** Changes of topics, one after the other. */
  #changed(op: string, topic: readonly string[], next: () => readonly string[]): Promise<void> {
    const change = this.#changes.then(async () => {
      const before = this.#topics;
      this.#topics = next();
      if (this.#topics.length === before.length) return;
      if (this.#topics.length && before.length && this.#runner.send) {
        try {
          await this.#operations.operate({ op, topic });
          return;
        } catch (error) {
          if (error instanceof Problem) this.#topics = before;
          if (error instanceof Problem) throw error;
          // The connection broke: the next one asks for what is wanted now.
        }
      } else this.#runner.restart('changed');
      if (!this.#topics.length) return;
      await new Promise<void>((done, failed) => {
        this.#change = { before, done, failed };
      }).finally(() => {
        this.#change = undefined;
      });
    });
    this.#changes = change.catch(() => {});
    return change;
  }
}

function settled(given: CommonOptions): Settled {
  return {
    pollInterval: 2000,
    longpollTimeout: 25,
    heartbeat: 15,
    credentials: 'same-origin',
    fetch: (...request) => fetch(...request),
    ...(globalThis.WebSocket && { WebSocket }),
    ...given,
  };
}

function list(topics: string | readonly string[]): readonly string[] {
  return typeof topics === 'string' ? [topics] : topics;
}

/** Twice the same listener is two of them. */
function added<T>(listeners: Set<Listener<T>>, listener: Listener<T>): () => void {
  const entry: Listener<T> = (value) => listener(value);
  listeners.add(entry);
  return () => void listeners.delete(entry);
}

/** One that throws costs no other its turn. */
function emit<T>(listeners: Set<Listener<T>>, value: T): void {
  for (const listener of listeners) {
    try {
      listener(value);
    } catch (error) {
      setTimeout(() => {
        throw error;
      });
    }
  }
}
