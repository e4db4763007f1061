import type { Problem } from './problem.ts';
import type { Settled, Transport } from './transport.ts';

/** Why an attempt ended: what is no {@link Problem} has nothing of one. */
export type Failure = Error & Partial<Problem>;

/** How an attempt went. All in ms. */
export interface Outcome {
  /** When something came for the first time; 0 if nothing ever did. */
  readonly opened: number;
  /** For how long something came. */
  readonly lived: number;
  /** Why we ended it ourselves. */
  readonly reason: string;
  /** The pause that the gateway asked for. */
  readonly pause: number | undefined;
  /** The least pause that the transport's own protocol asks for. */
  readonly floor: number;
}

/** Whoever asks for more, or for what is no number, is mistaken; a timer set beyond 24 days fires at once. */
const MAX_PAUSE = 3_600_000;

/** One transport, again and again: exponential back-off with full jitter, forgotten after sustained uptime alone. */
export class Backoff {
  transport: Transport;
  protected readonly timing: Settled['timing'];
  readonly #random: () => number;
  #pauses = 0;

  constructor(transport: Transport, { timing }: Pick<Settled, 'timing'>, random: () => number = Math.random) {
    this.transport = transport;
    this.timing = timing;
    this.#random = random;
  }

  /** How many times longer than usual to wait for an answer. */
  patience(): number {
    return 2 ** Math.min(3, this.#pauses);
  }

  /** Ms to wait before the next attempt; `undefined` if there is nothing left that could ever work. */
  next({ opened, lived, pause, floor }: Outcome, problem: Failure | undefined): number | undefined {
    const { steady, backoff, backoffMax } = this.timing;
    if (problem?.final) return;
    if (opened && lived >= steady) this.#pauses = 0;
    // On top of what was asked for: all others were asked for the same.
    const least = Math.max(pause ?? problem?.retryAfter ?? floor, 0) || 0;
    return Math.min(least, MAX_PAUSE) + this.#random() * Math.min(backoffMax, backoff * 2 ** this.#pauses++);
  }
}
