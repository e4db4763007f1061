import type { FanlightEvent } from './types.ts';

interface Item {
  event: FanlightEvent;
  /** The cursor behind which it comes. */
  before: string | undefined;
}

/**
 * Events that wait for a `for await` loop. The first of them is the one that the loop is busy with: it counts as
 * processed when the loop asks for the next, or is left.
 */
export class Queue {
  readonly #max: number;
  readonly #drained: () => void;
  #items: Item[] = [];
  #looping = false;
  #busy = false;
  #full = false;
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => {};

  constructor(max: number, drained: () => void) {
    this.#max = max;
    this.#drained = drained;
  }

  /** Behind what was processed; `last` is what came. */
  cursor(last: string | undefined): string | undefined {
    const [first] = this.#items;
    return first ? first.before : last;
  }

  /** Whether as much waits as may: once it does, until half of it was taken. */
  isFull(): boolean {
    this.#full = this.#items.length > (this.#full ? this.#max / 2 : this.#max - 1);
    return this.#full;
  }

  /** Keeps an event for the loop, or, where nobody has had it (`kept`), for the next; and says whether it is full. */
  push(event: FanlightEvent, before: string | undefined, kept: boolean): boolean {
    if (this.#ended || !(this.#looping || kept)) return false;
    this.#items.push({ event, before });
    this.#wake();
    return this.isFull();
  }

  /** Gives up what waits for no loop, and says whether there was anything. */
  release(): boolean {
    if (this.#looping || !this.#items.length) return false;
    this.#items = [];
    return true;
  }

  /** With an error the loop gets what waits, and then the error; without one it ends at once. */
  end(error?: Error): void {
    this.#ended = true;
    this.#error = error;
    if (!error) this.#items = [];
    this.#wake();
  }

  /** `processed` is called when an event was; `kept` tells whether what is left behind is for the next loop. */
  loop(processed: () => void, kept: () => boolean): AsyncIterator<FanlightEvent> {
    if (this.#looping) throw new Error('a connection has one loop at a time');
    this.#looping = true;
    const done = () => {
      if (!this.#busy) return;
      this.#busy = false;
      const wasFull = this.#full;
      this.#items.shift();
      if (wasFull && !this.isFull()) this.#drained();
      processed();
    };
    let isLeft = false;
    const next = async (): Promise<IteratorResult<FanlightEvent>> => {
      for (done(); !isLeft; ) {
        const [first] = this.#items;
        if (first) {
          this.#busy = true;
          return { done: false, value: first.event };
        }
        if (this.#error) throw this.#error;
        if (this.#ended) break;
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
      return { done: true, value: undefined };
    };
    // Who asks again before there was an answer gets the one after it.
    let turn: Promise<unknown> = Promise.resolve();
    return {
      next: () => {
        const result = turn.then(next);
        turn = result.catch(() => {});
        return result;
      },
      return: async () => {
        if (!isLeft) {
          done();
          isLeft = true;
          this.#looping = false;
          if (!kept()) this.#items = [];
          this.#wake();
        }
        return { done: true, value: undefined };
      },
    };
  }
}
