import { Client } from './connection.ts';
import { exchange } from './http.ts';
import { sleep } from './sleep.ts';
import { Traced } from './traced.ts';
import type { Transport } from './transport.ts';
import type { Host } from './trial.ts';
import type { FanlightEvent, Gap, Options, State, TransportName } from './types.ts';

/** What the tab that leads tells the others, in the order in which it happened to it. */
type Told =
  /** What moved its cursor from where to where: an event, or nothing but time. */
  | { before: string | undefined; to: string; event?: FanlightEvent }
  | { gap: Gap }
  /** Its state, and that it is alive. */
  | { state: State; transport: TransportName }
  /** Where it is now, for one who asked. All that it told before lies up to there. */
  | { where: string };
type Message = Told | { ask: true };

/** A tab that leads says something this often (a hidden one's timers run once a minute), … */
const ALIVE = 20_000;
/** … and one that said nothing for so long does not run any more. */
const DEAD = 90_000;
/** Cursors that are remembered, so that what comes again is known. */
const RECENT = 4096;
/** What may wait while this tab is behind. */
const MAX_PENDING = 1000;

/** Whether tabs can find each other here. */
export function canShare(): boolean {
  return !!globalThis.BroadcastChannel && !!globalThis.navigator?.locks;
}

/**
 * A connection that all tabs with the same address and topics have together. One of them, which holds a lock, makes it,
 * and tells the others what comes; when it goes, another takes over from where it is itself. Each tab has a cursor of
 * its own, and fetches by polls what the others had before it.
 */
export class SharedClient extends Client {
  readonly #name: string;
  readonly #channel: BroadcastChannel;
  readonly #ends: AbortController = new AbortController();
  #leads = false;
  /** Ends the wait for the lock; lets go of it. */
  #queued: AbortController | undefined;
  #pass: () => void = () => {};
  /** Whether this tab has let go of it until its loop has room again. */
  #passed = false;
  /** Whether what the leader tells follows on what this tab has; if not, what it tells waits. */
  #synced = false;
  #catching: Traced | undefined;
  #pending: Told[] = [];
  #recent: Set<string> = new Set();
  #current: FanlightEvent | undefined;
  #heard: number = Date.now();
  /** How the leader fares. */
  #leader: State = 'connecting';
  #over: TransportName | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(url: string | URL, options: Options, transports: readonly Transport[]) {
    super(url, options, transports);
    this.#name = `fanlight:${this.base.href}:${[...this.topics].sort()}`;
    this.#channel = new BroadcastChannel(this.#name);
  }

  override get transport(): TransportName {
    return (!this.#leads && this.#over) || super.transport;
  }

  override async subscribe(): Promise<void> {
    throw new Error('the topics of a shared connection are fixed: make another one');
  }

  override async unsubscribe(): Promise<void> {
    await this.subscribe();
  }

  override event(event: FanlightEvent): void {
    this.#current = event;
    super.event(event);
    this.#current = undefined;
  }

  override moved(cursor: string): void {
    const before = this.last;
    super.moved(cursor);
    this.#recent.delete(cursor);
    this.#recent.add(cursor);
    if (this.#recent.size > RECENT) this.#recent.delete(this.#recent.values().next().value as string);
    this.#tell({ before, to: cursor, ...(this.#current && { event: this.#current }) });
  }

  override gap({ from, to, reason }: Gap): void {
    const gap = { from, to, reason };
    super.gap(gap);
    this.#tell({ gap });
  }

  protected override rest(): State | undefined {
    return super.rest() ?? (this.#leads ? undefined : this.#leader);
  }

  protected override restart(reason: string): void {
    super.restart(reason);
    // A tab whose loop is slow keeps no other waiting.
    if (reason === 'full' && this.#leads) this.#pass();
    if (reason !== 'taken') return;
    if (this.#passed) void this.#queue();
    this.#ask();
  }

  protected override async restore(): Promise<void> {
    await super.restore();
    if (this.#ends.signal.aborted) return;
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#hears(data);
    this.onState(() => this.#tellState());
    this.#timer = setInterval(() => this.#watch(), ALIVE);
    void this.#queue();
    this.#ask();
  }

  protected override finish(state: State, error?: Error): void {
    super.finish(state, error);
    clearInterval(this.#timer);
    this.#ends.abort();
    this.#queued?.abort();
    this.#catching?.abort(state);
    this.#channel.close();
  }

  /** Waits for its turn to lead, leads until it is closed, or robbed, and queues again. */
  async #queue(steal = false): Promise<void> {
    this.#queued?.abort();
    const queued = new AbortController();
    this.#queued = queued;
    this.#passed = false;
    const held = () => {
      if (this.#ends.signal.aborted) return;
      this.#passed = super.rest() === 'paused';
      if (this.#passed) return;
      this.#leads = true;
      // From here on it is the connection that brings what this tab has not.
      this.#catching?.abort('leads');
      this.#pending = [];
      this.restart('leads');
      return new Promise<void>((ended) => {
        this.#pass = () => {
          this.#passed = true;
          ended();
        };
        this.#ends.signal.addEventListener('abort', () => ended());
      });
    };
    try {
      await navigator.locks.request(this.#name, steal ? { steal } : { signal: queued.signal }, held);
    } catch {
      // Robbed, by one that took this tab for dead, or another wait has replaced this one.
    }
    if (this.#queued !== queued || this.#ends.signal.aborted) return;
    this.#leads = this.#synced = false;
    this.restart('led');
    this.#ask();
    if (!this.#passed) void this.#queue();
  }

  #watch(): void {
    if (this.#leads) this.#tellState();
    else if (Date.now() - this.#heard > DEAD) {
      this.#heard = Date.now();
      void this.#queue(true);
    }
  }

  #ask(): void {
    if (!this.#leads && !this.#ends.signal.aborted)
      this.#channel.postMessage({ ask: true } satisfies Message);
  }

  #tell(told: Told): void {
    if (this.#leads && !this.#ends.signal.aborted) this.#channel.postMessage(told);
  }

  #tellState(): void {
    const { state, transport } = this;
    this.#tell({ state, transport });
  }

  #hears(message: Message): void {
    if ('ask' in message) {
      this.#tellState();
      if (this.last) this.#tell({ where: this.last });
      return;
    }
    // What is left of one that led before.
    if (this.#leads) return;
    this.#heard = Date.now();
    if ('state' in message) {
      const { state, transport } = message;
      this.#over = transport;
      // Whoever leads next will see for himself.
      this.#leader = state === 'closed' || state === 'refused' ? 'reconnecting' : state;
      this.restart('led');
    } else if ('where' in message) {
      // All that waits was told before it.
      if (!this.#synced && !this.#catching) void this.#sync(message.where, []);
    } else if (this.#synced) this.#apply(message);
    else if (!this.#catching) this.#ask();
    else if (this.#pending.push(message) > MAX_PENDING) this.#catching.abort('too much waits');
  }

  #apply(told: Told): void {
    if ('gap' in told) this.gap(told.gap);
    if (!('to' in told)) return;
    const { before, to, event } = told;
    if (before === this.last) {
      if (super.rest() === 'paused') this.#synced = false;
      else if (event) this.event(event);
      else this.moved(to);
    } else if (event && !this.#recent.has(to)) {
      // Something between was not heard.
      this.#synced = false;
      if (before) void this.#sync(before, [told]);
      else this.#ask();
    }
  }

  /** Fetches what lies between this tab's place and `where`, and then goes on with what the leader tells. */
  async #sync(where: string, told: Told[]): Promise<void> {
    this.#pending = told;
    const begun = this.last ?? this.options.after;
    const isDone =
      begun === where || (!begun && !this.options.last) || (await this.#fetch(begun ? { until: where } : {}));
    if (this.#leads || this.#ends.signal.aborted) return;
    if (!isDone) {
      await sleep(1000, this.#ends.signal);
      this.#ask();
      return;
    }
    if (begun || !this.last) this.moved(where);
    this.#synced = true;
    for (const waiting of this.#pending.splice(0)) {
      if (this.#synced) this.#apply(waiting);
      else if (this.#catching) this.#pending.push(waiting);
    }
  }

  /** Polls until there is no more. Whether that is so. */
  async #fetch(fields: Record<string, string>): Promise<boolean> {
    let isDone = false;
    const polls: Transport = {
      name: 'poll',
      streams: false,
      available: () => true,
      connect: async (attempt) => {
        while (await exchange(attempt, 'poll', fields)) if (super.rest()) return;
        isDone = !attempt.signal.aborted;
      },
    };
    const { options, base } = this;
    const host: Host = {
      options,
      base,
      patience: () => 1,
      query: () => this.query(),
      opened: () => {},
      event: (event) => this.event(event),
      moved: (cursor) => this.moved(cursor),
      gap: (gap) => this.gap(gap),
    };
    this.#catching = new Traced(host, polls);
    const error = await this.#catching.run(this.token());
    this.#catching = undefined;
    if (!isDone && !this.#leads && !this.#ends.signal.aborted) this.failed(error);
    return isDone;
  }
}
