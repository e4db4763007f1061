import { Ladder } from './ladder.ts';
import { Problem } from './problem.ts';
import { sleep } from './sleep.ts';
import type { Send, Transport } from './transport.ts';
import { type Shared, type Sink, Trial } from './trial.ts';
import type { State } from './types.ts';
import { onWake } from './wake.ts';

/** For whom connections are made. */
export interface Host extends Sink {
  /** Why none is wanted now. */
  rest(): 'idle' | 'paused' | undefined;
  state(state: State): void;
  failed(error: Error): void;
  /** The gateway refuses, for good. Whether the request was changed so that it is worth another try. */
  refused(problem: Error): boolean;
  /** A connection ended, and with it what was under way on it. */
  ended(): void;
}

/** Makes one connection after the other, each from where the last one came to. */
export class Runner {
  readonly #shared: Shared;
  readonly #transports: readonly Transport[];
  readonly #ladder: Ladder;
  readonly #host: Host;
  #trial: Trial | undefined;
  #rest: AbortController = new AbortController();
  #closed = false;
  #everOpen = false;
  #token: string | undefined;
  /** Whether the next token has to be a new one; whether the one at hand is, and has not worked yet. */
  #renew = false;
  #renewed = false;
  #unhook: () => void;

  constructor(shared: Shared, transports: readonly Transport[], host: Host) {
    this.#shared = shared;
    this.#transports = transports;
    this.#ladder = new Ladder(transports.length, shared.timing);
    this.#host = host;
    this.#unhook = onWake((moved) => {
      // The machine may be elsewhere: what is open is probably dead, and the best transport may work there.
      if (moved) {
        this.#ladder.choose(0);
        this.restart('woken');
      } else this.#trial?.check();
      this.#rest.abort();
    });
  }

  get transport(): Transport {
    return this.#transports[this.#ladder.index] as Transport;
  }

  get rounds(): number {
    return this.#ladder.rounds;
  }

  /** Sends an operation, while there is a connection that can. */
  get send(): Send | undefined {
    return this.#trial?.opened ? this.#trial.send : undefined;
  }

  /** Ends the connection, to make a new one at once, or none if none is wanted. */
  restart(reason: string): void {
    this.#trial?.abort(reason);
    this.#rest.abort();
  }

  close(): void {
    this.#closed = true;
    this.#unhook();
    this.restart('closed');
  }

  /** The bearer token, asked for if need be. */
  async token(renew = false): Promise<string | undefined> {
    const { token } = this.#shared.options;
    if (typeof token !== 'function') return token;
    if (renew || this.#renew || this.#token === undefined) {
      const again = renew || this.#renew;
      this.#token = await token(again);
      this.#renew = false;
      this.#renewed = again;
    }
    return this.#token;
  }

  /** Until it is closed, or refused. */
  async run(): Promise<void> {
    while (!this.#closed) {
      const rest = this.#host.rest();
      if (rest) {
        this.#host.state(rest);
        await this.#wait();
        continue;
      }
      this.#host.state(this.#everOpen ? 'reconnecting' : 'connecting');
      const trial = new Trial(
        this.#shared,
        this.transport,
        this.#sink(() => trial),
      );
      this.#trial = trial;
      const error = await this.#attempt(trial);
      this.#trial = undefined;
      this.#host.ended();
      if (this.#closed) return;
      // Our own doing: no failure, no pause.
      if (['changed', 'full', 'woken', 'climbed', 'renewed'].includes(trial.reason)) continue;
      const problem = trial.problem ?? (error instanceof Problem ? error : undefined);
      if (problem?.status === 401 && typeof this.#shared.options.token === 'function' && !this.#renewed) {
        this.#renew = true;
        continue;
      }
      if (problem?.final && !problem.unfit) {
        if (this.#host.refused(problem)) continue;
        return;
      }
      const why =
        problem ?? (trial.reason || !(error instanceof Error) ? new Error(trial.reason || 'ended') : error);
      if (trial.pause === undefined) this.#host.failed(why);
      const ended = trial.reason ? trial.heard : Date.now();
      const wait = this.#ladder.next({
        lived: trial.opened ? ended - trial.opened : undefined,
        buffered: trial.reason === 'buffered',
        pause: trial.pause ?? problem?.retryAfter,
        floor: trial.floor,
        problem,
      });
      if (wait === undefined) {
        this.#host.refused(why);
        return;
      }
      if (!wait) continue;
      this.#host.state(this.#everOpen ? 'reconnecting' : 'connecting');
      trial.trace({ kind: 'wait', ms: wait });
      await this.#wait(wait);
    }
  }

  /** Waits so long, or until someone calls. */
  async #wait(ms = 2 ** 31 - 1): Promise<void> {
    this.#rest = new AbortController();
    await sleep(ms, this.#rest.signal);
  }

  /** Serves one attempt, and says why it failed, if it did. */
  async #attempt(trial: Trial): Promise<unknown> {
    let failure: unknown;
    try {
      trial.token = await this.token();
      await trial.transport.connect(trial);
    } catch (error) {
      failure = error;
    }
    trial.end(failure);
    return failure;
  }

  #sink(trial: () => Trial): Sink {
    const host = this.#host;
    const opened = () => {
      this.#everOpen = true;
      this.#renewed = false;
      host.state('open');
      host.opened();
      if (this.#ladder.index) void this.#climb(trial());
    };
    const expiring = () => {
      this.#renew = true;
      host.expiring();
    };
    return {
      opened,
      expiring,
      event: (event) => host.event(event),
      moved: (cursor) => host.moved(cursor),
      gap: (gap) => host.gap(gap),
      answered: (answer) => host.answered(answer),
    };
  }

  /** While a lesser transport serves, sees from time to time whether a better one works by now. */
  async #climb(current: Trial): Promise<void> {
    const none = () => {};
    while (!current.signal.aborted) {
      await sleep(this.#ladder.climb(), current.signal);
      for (let index = 0; index < this.#ladder.index && !current.signal.aborted; index++) {
        const sink = { opened: () => probe.abort('works'), event: none, moved: none, gap: none };
        const better = this.#transports[index] as Transport;
        const probe: Trial = new Trial(this.#shared, better, { ...sink, answered: none, expiring: none });
        await this.#attempt(probe);
        if (!probe.opened || current.signal.aborted) continue;
        this.#ladder.choose(index);
        current.abort('climbed');
      }
    }
  }
}
