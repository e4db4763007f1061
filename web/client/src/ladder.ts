import type { Problem } from './problem.ts';
import type { Timing } from './types.ts';

/** How an attempt went. */
export interface Outcome {
  /** For how long something came, in ms; `undefined` if nothing ever did. */
  lived: number | undefined;
  /** Whether something on the way holds back what should have come. */
  buffered: boolean;
  /** The pause that the gateway asked for, in ms. */
  pause: number | undefined;
  /** The least pause that the transport's own protocol asks for, in ms. */
  floor: number;
  problem: Problem | undefined;
}

/** Failures in a row that a transport which worked is forgiven: it is rather the network. */
const FORGIVEN = 2;

/**
 * Which transport to try next, and when. Transports are tried downwards without a pause until one works; after a
 * round in which none did, again from the top after a pause that grows. No clock, no I/O.
 */
export class Ladder {
  /** The transport in use, or tried. */
  index = 0;
  /** Rounds in a row in which nothing worked. */
  rounds = 0;
  #steps: number;
  #timing: Timing;
  #random: () => number;
  /** Whether the one at `index` ever worked since it was chosen, and its failures in a row since it was steady. */
  #worked = false;
  #fails = 0;
  #pauses = 0;
  #climbs = 0;
  /** How many in a row the gateway does not have. */
  #missing = 0;

  constructor(steps: number, timing: Timing, random: () => number = Math.random) {
    this.#steps = steps;
    this.#timing = timing;
    this.#random = random;
  }

  /** Ms to wait before the next attempt; `undefined` if there is no transport left that could ever work. */
  next({ lived, buffered, pause, floor, problem }: Outcome): number | undefined {
    if (lived !== undefined) {
      this.#worked = true;
      this.#missing = this.rounds = 0;
      if (lived >= this.#timing.steady) {
        this.#fails = this.#pauses = 0;
        if (!this.index) this.#climbs = 0;
      }
    }
    // What the gateway itself says of its state is no fault of the transport's.
    if (pause !== undefined || (problem?.type && !problem.unfit)) return this.#wait(pause ?? 0);
    this.#missing = problem?.type && problem.unfit ? this.#missing + 1 : 0;
    if (this.#missing >= this.#steps) return undefined;
    this.#fails += 1;
    const forgiven = this.#worked && !buffered && !problem?.unfit ? FORGIVEN : 0;
    if (this.#fails <= forgiven) return this.#wait(floor);
    if (this.index < this.#steps - 1) {
      this.choose(this.index + 1);
      return 0;
    }
    this.choose(0);
    this.rounds += 1;
    return this.#wait(floor);
  }

  /** Goes on with another transport. */
  choose(index: number): void {
    this.index = index;
    this.#worked = false;
    this.#fails = 0;
  }

  /** After how many ms on a lesser transport a better one is worth another try. Each call counts as one. */
  climb(): number {
    return Math.min(this.#timing.climbMax, this.#timing.climb * 2 ** this.#climbs++);
  }

  /** Exponential, with full jitter, on top of what was asked for. */
  #wait(least: number): number {
    const span = Math.min(this.#timing.backoffMax, this.#timing.backoff * 2 ** this.#pauses++);
    return least + this.#random() * span;
  }
}
