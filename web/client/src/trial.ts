import { Problem } from './problem.ts';
import type { Attempt, Control, Message, Send, Settled, Transport } from './transport.ts';
import type { FanlightEvent, Gap } from './types.ts';

/** For whom an attempt is made, and who is told what it brings. */
export interface Host {
  readonly options: Settled;
  /** The gateway's address. Ends with a slash. */
  readonly base: URL;
  /** How many times longer than usual to wait for an answer. */
  patience(): number;
  /** Topics and position. */
  query(): URLSearchParams;
  opened(): void;
  event(event: FanlightEvent): void;
  moved(cursor: string): void;
  gap(gap: Gap): void;
  /** A control that is about neither events nor the connection's end. */
  told?(control: Control): void;
}

/** One attempt at a connection, under watch: what should come and does not come in time ends it. */
export class Trial implements Attempt {
  readonly options: Settled;
  readonly transport: Transport;
  token: string | undefined;
  /** Why we ended it ourselves, and whether the next is to follow at once. */
  reason = '';
  again = false;
  /** When the first message came, and the last; 0 if none did. When it was over. */
  opened = 0;
  heard = 0;
  ended = 0;
  /** The problem that was told in-band. */
  problem: Problem | undefined;
  /** The pause that the gateway asked for, and the least that the transport's own protocol asks for. In ms. */
  pause: number | undefined;
  floor = 0;
  send: Send | undefined;
  readonly #host: Host;
  readonly #controller: AbortController = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deadline = Infinity;
  #overdue = '';

  constructor(host: Host, transport: Transport) {
    this.options = host.options;
    this.transport = transport;
    this.#host = host;
  }

  /** For how many ms something came; what is silent does not live. */
  get lived(): number {
    return (this.reason ? this.heard : this.ended) - this.opened;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  url(path: string): URL {
    return new URL(`v1/${path}`, this.#host.base);
  }

  query(fields: Record<string, string | number>): URLSearchParams {
    const query = this.#host.query();
    for (const name in fields) query.set(name, `${fields[name]}`);
    return query;
  }

  request(held = 0): void {
    const { answer, grace } = this.options.timing;
    this.#expect('no answer', held ? held + grace : answer * this.#host.patience());
  }

  answer(_: number): void {
    // Of a stream only the hello has to come; the whole answer of a poll may be long.
    const { answer, hello } = this.options.timing;
    this.#expect('buffered', this.transport.streams ? hello : answer * 6);
  }

  sends(send: Send): void {
    this.send = send;
  }

  take(message: Message): void {
    if (!this.#hears()) return;
    if ('control' in message) this.control(message);
    // Without one there would be no place to go on from.
    else if (message.id) this.#host.event(message);
  }

  drained(cursor: string, _: boolean): void {
    if (this.#hears()) this.#moved(cursor);
  }

  retry(ms: number): void {
    if (ms >= 0) this.floor = ms;
  }

  /** Ends it from our side. */
  abort(reason: string, again = false): void {
    this.reason ||= reason;
    this.again ||= again;
    this.#controller.abort();
  }

  /** Ends it if something is overdue. Timers stand still in a page that sleeps, so wakers call this too. */
  check(): void {
    const left = this.#deadline - Date.now();
    clearTimeout(this.#timer);
    if (left <= 0) this.abort(this.#overdue);
    else if (left < Infinity) this.#timer = setTimeout(() => this.check(), left);
  }

  /** Serves the connection until it ends, and says why it did. */
  async run(token: Promise<string | undefined>): Promise<Error> {
    let failure = new Error('the connection ended');
    try {
      this.token = await token;
      if (!this.signal.aborted) await this.transport.connect(this);
    } catch (error) {
      failure = error as Error;
    }
    clearTimeout(this.#timer);
    this.ended = Date.now();
    this.#controller.abort();
    return this.problem ?? (this.reason ? new Error(this.reason) : failure);
  }

  protected control(control: Control): void {
    const host = this.#host;
    if (control.control === 'hello' || control.control === 'cursor') this.#moved(control.cursor);
    else if (control.control === 'gap') host.gap(control);
    else if (control.control === 'reconnect') this.pause = control.after_ms;
    // With a `ref` it is an operation that was refused: whoever asked for it is told.
    else if (control.control !== 'error' || control.ref !== undefined) host.told?.(control);
    else this.problem = new Problem(control, this.floor || undefined);
  }

  #moved(cursor: string): void {
    if (cursor) this.#host.moved(cursor);
  }

  /** Something came. Whether it is wanted: the listeners may have ended this. */
  #hears(): boolean {
    const { signal, options, transport } = this;
    if (signal.aborted) return false;
    this.heard = Date.now();
    const silence = transport.streams ? options.heartbeat * 1000 + options.timing.grace : Infinity;
    // The timer that is set finds the later deadline when it fires.
    if (this.#overdue === 'silence') this.#deadline = this.heard + silence;
    else this.#expect('silence', silence);
    if (!this.opened) {
      this.opened = this.heard;
      this.#host.opened();
    }
    return !signal.aborted;
  }

  #expect(overdue: string, ms: number): void {
    this.#overdue = overdue;
    this.#deadline = Date.now() + ms;
    this.check();
  }
}
