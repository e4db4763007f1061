import { Backoff, type Failure, type Outcome } from './backoff.ts';
import type { Settled, Transport } from './transport.ts';

/**
 * Failures in a row that a transport which worked is forgiven, by reason; by default 2, since it is rather the
 * network. What is silent once lost its peer; what is silent again is held back on the way.
 */
const FORGIVEN: Record<string, number> = { buffered: 0, silence: 1 };

/**
 * Several transports, the best first. They are tried downwards without a pause until one works; after a round in
 * which none did, again from the top after a pause that grows. No clock, no I/O.
 */
export class Ladder extends Backoff {
  readonly #steps: readonly [Transport, ...Transport[]];
  /** Whether the one in use ever worked since it was chosen, and its failures in a row since it was steady. */
  #worked = false;
  #fails = 0;
  #climbs = 0;
  /** How many in a row the gateway does not have. */
  #missing = 0;

  constructor(
    steps: readonly [Transport, ...Transport[]],
    options: Pick<Settled, 'timing'>,
    random?: () => number,
  ) {
    super(steps[0], options, random);
    this.#steps = steps;
  }

  /** Those that would be better than the one in use, the best first. */
  get better(): readonly Transport[] {
    return this.#steps.slice(0, this.#steps.indexOf(this.transport));
  }

  override next(outcome: Outcome, problem: Failure | undefined): number | undefined {
    const unfit = isUnfit(problem);
    if (outcome.opened) this.#worked = true;
    if (outcome.opened && outcome.lived >= this.timing.steady) {
      this.#fails = 0;
      if (this.transport === this.#steps[0]) this.#climbs = 0;
    }
    // What the gateway itself says of its state, or of the request, is no fault of the transport's.
    const asked = outcome.pause ?? problem?.retryAfter;
    if (asked !== undefined || (problem?.type && !unfit)) return super.next(outcome, problem);
    this.#missing = unfit && problem?.type ? this.#missing + 1 : 0;
    if (this.#missing >= this.#steps.length) return undefined;
    this.#fails += 1;
    const forgiven = this.#worked && !unfit ? (FORGIVEN[outcome.reason] ?? 2) : 0;
    if (this.#fails > forgiven) {
      const below = this.#steps[this.#steps.indexOf(this.transport) + 1];
      this.choose(below ?? this.#steps[0]);
      if (below) return 0;
    }
    return super.next(outcome, undefined);
  }

  /** The network may be another one: who knows what works there. */
  restart(): void {
    this.choose(this.#steps[0]);
  }

  /** Goes on with another transport. */
  choose(transport: Transport): void {
    this.transport = transport;
    this.#worked = false;
    this.#fails = 0;
  }

  /** After how many ms on a lesser transport a better one is worth a try. Each call counts as one. */
  climb(): number {
    const { climb = 15_000, climbMax = 600_000 } = this.timing;
    return Math.min(climbMax, climb * 2 ** this.#climbs++);
  }
}

/** Whether this transport, but perhaps not another, is what does not work here. */
function isUnfit(problem: Failure | undefined): boolean {
  return [404, 405, 406, 426, 501].includes(problem?.status ?? 0);
}
