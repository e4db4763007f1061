import { Problem } from './problem.ts';
import type { Attempt, Control, Message, Send, Settled, Transport } from './transport.ts';
import type { FanlightEvent, Gap, Timing, Trace } from './types.ts';

type Traced<T> = T extends unknown ? Omit<T, 'at' | 'transport'> : never;

/** What all attempts of a connection share. */
export interface Shared {
  readonly options: Settled;
  readonly timing: Timing;
  /** Ends with a slash. */
  readonly base: URL;
  query(): URLSearchParams;
  /** Rounds in a row in which nothing worked. */
  rounds(): number;
  /** The least time by which an event was older than its arrival, the difference of the clocks included. */
  lag: number;
}

/** Who is told what an attempt brings. */
export interface Sink {
  opened(): void;
  event(event: FanlightEvent): void;
  moved(cursor: string): void;
  gap(gap: Gap): void;
  /** An operation was answered. */
  answered(answer: Control & { ref: number }): void;
  expiring(): void;
}

/** One attempt at a connection, under watch: what should come and does not come in time ends it. */
export class Trial implements Attempt {
  readonly options: Settled;
  readonly transport: Transport;
  token: string | undefined;
  /** Why we ended it ourselves. */
  reason = '';
  /** When the first message came; 0 if none did. */
  opened = 0;
  /** When the last one came. */
  heard = 0;
  /** The problem that was told in-band. */
  problem: Problem | undefined;
  /** The pause that the gateway asked for. */
  pause: number | undefined;
  /** The pause that the transport's protocol asks for. */
  floor = 0;
  send: Send | undefined;
  #shared: Shared;
  #sink: Sink;
  #controller: AbortController = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deadline = Infinity;
  #overdue = '';

  constructor(shared: Shared, transport: Transport, sink: Sink) {
    this.options = shared.options;
    this.transport = transport;
    this.#shared = shared;
    this.#sink = sink;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  url(path: string): URL {
    return new URL(`v1/${path}`, this.#shared.base);
  }

  query(fields: Record<string, string | number> = {}): URLSearchParams {
    const query = this.#shared.query();
    for (const [name, value] of Object.entries(fields)) query.set(name, `${value}`);
    return query;
  }

  request(held = 0): void {
    const { answer, grace } = this.#shared.timing;
    this.#expect(answer * 2 ** Math.min(3, this.#shared.rounds()) + held + (held && grace), 'no answer');
    this.trace({ kind: 'request' });
  }

  answer(status: number): void {
    // The whole answer of a poll may be long; of a stream this is only the hello.
    const { answer, hello } = this.#shared.timing;
    this.#expect(this.transport.silence(this.options) ? hello : answer * 10, 'buffered');
    this.trace({ kind: 'answer', status });
  }

  sends(send: Send): void {
    this.send = send;
  }

  take(message: Message): void {
    if (this.signal.aborted) return;
    this.#heard();
    // The listener may have ended it.
    if (this.signal.aborted) return;
    if ('control' in message) return this.#control(message);
    this.#traceEvent(message);
    this.#sink.event(message);
  }

  drained(cursor: string, empty: boolean): void {
    if (this.signal.aborted) return;
    this.#heard();
    if (this.signal.aborted) return;
    if (empty) this.trace({ kind: 'empty' });
    if (cursor) this.#sink.moved(cursor);
  }

  retry(ms: number): void {
    if (ms >= 0) this.floor = ms;
  }

  /** Ends it from our side. */
  abort(reason: string): void {
    this.reason ||= reason;
    this.#controller.abort();
  }

  /** Ends it if something is overdue: timers stand still in a page that sleeps. */
  check(): void {
    if (Date.now() >= this.#deadline) this.abort(this.#overdue);
  }

  /** It is over. */
  end(error: unknown): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
    this.trace({ kind: 'end', reason: this.reason || (error instanceof Error ? error.message : 'ended') });
  }

  trace(entry: Traced<Trace>): void {
    this.options.trace?.({ at: performance.now(), transport: this.transport.name, ...entry } as Trace);
  }

  #control(control: Control): void {
    switch (control.control) {
      case 'cursor':
        this.trace({ kind: 'heartbeat' });
        return this.#sink.moved(control.cursor);
      case 'hello':
        return this.#sink.moved(control.cursor);
      case 'gap': {
        const { from, to, reason } = control;
        this.trace({ kind: 'gap', from, to, reason });
        return this.#sink.gap({ from, to, reason });
      }
      case 'reconnect':
        this.pause = control.after_ms;
        return;
      case 'expiring':
        return this.#sink.expiring();
      case 'ack':
        return this.#sink.answered(control);
      case 'error':
        if (control.ref !== undefined) return this.#sink.answered({ ...control, ref: control.ref });
        this.problem = new Problem(control, this.floor || undefined);
    }
  }

  #heard(): void {
    this.heard = Date.now();
    const silence = this.transport.silence(this.options);
    const deadline = silence ? this.heard + silence * 1000 + this.#shared.timing.grace : Infinity;
    const earlier = deadline < this.#deadline;
    this.#deadline = deadline;
    this.#overdue = 'silence';
    // A timer that is set already finds the later deadline when it fires.
    if (earlier) this.#arm();
    if (this.opened) return;
    this.opened = this.heard;
    this.#sink.opened();
  }

  #expect(ms: number, overdue: string): void {
    this.#deadline = Date.now() + ms;
    this.#overdue = overdue;
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.signal.aborted || this.#deadline === Infinity) return;
    this.#timer = setTimeout(() => {
      this.check();
      this.#arm();
    }, this.#deadline - Date.now());
  }

  #traceEvent({ id, time }: FanlightEvent): void {
    if (!this.options.trace) return;
    const taken = Date.parse(time);
    this.#shared.lag = Math.min(this.#shared.lag, this.heard - taken);
    this.trace({ kind: 'event', id, replayed: taken + this.#shared.lag < this.opened });
  }
}
