import { Feed, list } from './feed.ts';
import { Ladder } from './ladder.ts';
import { Operations } from './operations.ts';
import { Problem } from './problem.ts';
import { Queue } from './queue.ts';
import { sleep } from './sleep.ts';
import { Traced } from './traced.ts';
import type { Control, Send, Transport } from './transport.ts';
import type { Host } from './trial.ts';
import type { Connection, FanlightEvent, Options, PublishOptions, State } from './types.ts';

/** A change of topics that waits for the gateway. */
interface Change {
  before: readonly string[];
  done: () => void;
  failed: (error: Error) => void;
}

/** A feed with all that applications want besides: fall-back, loops, publishing, changes, renewal, storage. */
export class Client extends Feed implements Connection {
  declare protected readonly strategy: Ladder;
  declare protected trial: Traced | undefined;
  readonly #queue: Queue;
  readonly #operations: Operations;
  readonly #storage: Options['storage'];
  readonly #key: string;
  #stored: string | undefined;
  #token: string | undefined;
  /** Whether the gateway wants another token; whether it was given one, and has not answered yet. */
  #renew = false;
  #renewed = false;
  /** Whether to begin with all that is held, since the place where we were is none of this log. */
  #anew = false;
  #change: Change | undefined;
  #changes: Promise<unknown> = Promise.resolve();
  /** Why it is over. */
  #why: Error | undefined;

  constructor(url: string | URL, options: Options, transports: readonly Transport[]) {
    // Those who know WebSockets write `ws:`.
    super(`${url}`.replace(/^ws(?=s?:)/i, 'http'), options, transports);
    this.#queue = new Queue(options.queue ?? 1000, () => this.restart('taken'));
    this.#operations = new Operations({
      options: this.options,
      base: this.base,
      send: () => this.#send,
      token: (renew) => this.token(renew),
      overdue: () => this.trial?.abort('no answer'),
    });
    this.#storage = options.storage;
    this.#key = options.storageKey ?? `fanlight:${this.base.href}:${this.topics}`;
  }

  override get cursor(): string | undefined {
    return this.#queue.cursor(this.last);
  }

  [Symbol.asyncIterator](): AsyncIterator<FanlightEvent> {
    return this.#queue.loop(
      () => this.#save(),
      () => this.#isUnheard,
    );
  }

  override onEvent(listener: (event: FanlightEvent) => void): () => void {
    const { cursor } = this;
    // What nobody has had by now comes again.
    if (this.#queue.release()) {
      this.last = cursor;
      this.restart('changed');
    }
    return super.onEvent(listener);
  }

  publish(topic: string, data: unknown, options?: PublishOptions): Promise<string> {
    return this.#operations.publish(topic, data, options);
  }

  subscribe(topics: string | readonly string[]): Promise<void> {
    const more = list(topics);
    return this.#changed('subscribe', more, () => [...new Set([...this.topics, ...more])]);
  }

  unsubscribe(topics: string | readonly string[]): Promise<void> {
    const fewer = list(topics);
    return this.#changed('unsubscribe', fewer, () => this.topics.filter((topic) => !fewer.includes(topic)));
  }

  override query(): URLSearchParams {
    const query = super.query();
    if (this.#anew && !this.last) query.set('after', 'earliest');
    return query;
  }

  override opened(): void {
    super.opened();
    this.#renewed = false;
    this.#change?.done();
    if (this.strategy.better.length) void this.#climb(this.trial as Traced);
  }

  override event(event: FanlightEvent): void {
    const before = this.last;
    super.event(event);
    if (this.#queue.push(event, before, this.#isUnheard)) this.restart('full');
    this.#save();
  }

  override moved(cursor: string): void {
    super.moved(cursor);
    this.#save();
  }

  told(control: Control): void {
    if (control.control === 'expiring') void this.#expiring();
    else if ('ref' in control) this.#operations.answered(control);
  }

  protected override choice(transports: readonly [Transport, ...Transport[]]): Ladder {
    return new Ladder(transports, this.options);
  }

  protected override attempt(transport: Transport): Traced {
    return new Traced(this, transport);
  }

  protected override rest(): State | undefined {
    return super.rest() ?? (this.#queue.isFull() ? 'paused' : undefined);
  }

  /** The bearer token, a new one if need be. */
  protected override async token(renew: boolean = this.#renew): Promise<string | undefined> {
    const { token } = this.options;
    if (typeof token !== 'function') return token;
    if (renew || this.#token === undefined) {
      this.#token = await token(renew);
      this.#renewed = renew;
      this.#renew = false;
    }
    return this.#token;
  }

  protected override elsewhere(): void {
    this.strategy.restart();
  }

  protected override ended(): void {
    this.#operations.ended();
  }

  protected override refused(error: Error): boolean {
    const { status, field } = error as Problem;
    if (status === 401 && typeof this.options.token === 'function' && !this.#renewed) {
      this.#renew = true;
      return true;
    }
    if (this.#change) {
      this.topics = this.#change.before;
      this.#change.failed(error);
      return true;
    }
    // A cursor that was kept is none of this log, for nobody's fault.
    if (status === 400 && field === 'after' && this.last) {
      this.gap({ from: this.last, to: this.last, reason: 'unknown' });
      this.last = undefined;
      this.#anew = true;
      return true;
    }
    return false;
  }

  protected override waits(trial: Traced, ms: number): void {
    trial.trace({ kind: 'wait', ms });
  }

  protected override finish(state: State, error?: Error): void {
    super.finish(state, error);
    this.#why ??= error ?? new Error('the connection was closed');
    this.#change?.failed(this.#why);
    this.#operations.close(this.#why);
    this.#queue.end(error);
  }

  protected override async run(): Promise<void> {
    await this.restore();
    await super.run();
  }

  /** Where the last page load ended. */
  protected async restore(): Promise<void> {
    try {
      this.#stored = (await this.#storage?.getItem(this.#key)) || undefined;
      this.last = this.#stored;
    } catch (error) {
      this.failed(error as Error);
    }
  }

  /** Whether events have to wait for a loop, or a listener, that is still to come. */
  get #isUnheard(): boolean {
    return !this.listeners.event.size && !this.options.trace;
  }

  get #send(): Send | undefined {
    return this.trial?.opened ? this.trial.send : undefined;
  }

  /** Keeps the cursor, once for all that comes in one piece. */
  #save(): void {
    if (!this.#storage) return;
    queueMicrotask(async () => {
      const { cursor } = this;
      if (!cursor || cursor === this.#stored) return;
      this.#stored = cursor;
      try {
        await this.#storage?.setItem(this.#key, cursor);
      } catch (error) {
        this.failed(error as Error);
      }
    });
  }

  /** The token ends soon: the gateway is given a new one, on the connection if that can be. */
  async #expiring(): Promise<void> {
    this.#renew = true;
    try {
      if (this.#send) {
        await this.#operations.operate({ op: 'auth', token: await this.token() });
        return;
      }
    } catch {
      // A new connection, then.
    }
    this.restart('renewed');
  }

  /** While a lesser transport serves, sees from time to time whether a better one works by now. */
  async #climb(current: Traced): Promise<void> {
    const none = () => {};
    while (!current.signal.aborted) {
      await sleep(this.strategy.climb(), current.signal);
      for (const transport of this.strategy.better) {
        if (current.signal.aborted) return;
        const { options, base } = this;
        const ask = { options, base, query: () => this.query(), patience: () => 1 };
        // Its first message says enough; events are left to the connection that follows.
        const host: Host = {
          ...ask,
          opened: () => probe.abort('it works'),
          event: none,
          moved: none,
          gap: none,
        };
        const probe: Traced = new Traced(host, transport);
        await probe.run(this.token());
        if (!probe.opened || current.signal.aborted) continue;
        this.strategy.choose(transport);
        current.abort('climbed', true);
      }
    }
  }

  /** Changes of topics, one after the other. */
  #changed(op: string, topic: readonly string[], next: () => readonly string[]): Promise<void> {
    const change = this.#changes.then(async () => {
      if (this.#why) throw this.#why;
      const before = [...new Set(this.topics)];
      this.topics = before;
      this.topics = next();
      if (this.topics.length === before.length) return;
      await this.#applied({ op, topic }, before);
    });
    this.#changes = change.catch(() => {});
    return change;
  }

  async #applied(operation: Record<string, unknown>, before: readonly string[]): Promise<void> {
    if (this.#send && before.length && this.topics.length) {
      try {
        await this.#operations.operate(operation);
        return;
      } catch (error) {
        if (error instanceof Problem) {
          this.topics = before;
          throw error;
        }
        // The connection broke: the next one asks for what is wanted now.
      }
    } else this.restart('changed');
    if (this.#why) throw this.#why;
    if (!this.topics.length) return;
    try {
      await new Promise<void>((done, failed) => {
        this.#change = { before, done, failed };
      });
    } finally {
      this.#change = undefined;
    }
  }
}
