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
  #items: Item[] = [];
  #max: number;
  #drained: () => void;
  #looping = false;
  #looped = false;
  #busy = false;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #paused = false;

  constructor(max: number, drained: () => void) {
    this.#max = max;
    this.#drained = drained;
  }

  /** Behind what was processed; `last` is what came. */
  cursor(last: string | undefined): string | undefined {
    const [first] = this.#items;
    return first ? first.before : last;
  }

  /** Whether as much waits as may. Once it was full, until half of it was taken. */
  isFull(): boolean {
    this.#paused &&= this.#items.length > this.#max / 2;
    return this.#paused;
  }

  /** Keeps an event if a loop wants it, or will (`kept`, where nobody else has had it), and says whether it is full. */
  push(event: FanlightEvent, before: string | undefined, kept: boolean): boolean {
    if (!this.#looping && !(this.#looped && kept)) return false;
    this.#items.push({ event, before });
    this.#wake?.();
    this.#paused ||= this.#items.length >= this.#max;
    return this.#paused;
  }

  clear(): void {
    this.#items = [];
  }

  /** Loops get what waits, and then the error; without one they end at once. */
  end(error?: Error): void {
    this.#ended = true;
    this.#error = error;
    if (!error) this.clear();
    this.#wake?.();
  }

  /** `left` is called when an event was processed. */
  loop(processed: () => void): AsyncIterator<FanlightEvent> {
    if (this.#looping) throw new Error('a connection has one loop at a time');
    this.#looping = this.#looped = true;
    const done = () => {
      if (!this.#busy) return;
      this.#busy = false;
      const wasPaused = this.#paused;
      this.#items.shift();
      if (wasPaused && !this.isFull()) this.#drained();
    };
    return {
      next: async () => {
        if (this.#busy) {
          done();
          processed();
        }
        for (;;) {
          const [first] = this.#items;
          if (first) {
            this.#busy = true;
            return { done: false, value: first.event };
          }
          if (this.#error) throw this.#error;
          if (this.#ended) return { done: true, value: undefined };
          await new Promise<void>((wake) => {
            this.#wake = wake;
          });
        }
      },
      return: async () => {
        done();
        this.#looping = false;
        processed();
        return { done: true, value: undefined };
      },
    };
  }
}
