import type { Control, Message } from './transport.ts';
import { Trial } from './trial.ts';
import type { Trace } from './types.ts';

type Entry<T> = T extends unknown ? Omit<T, 'at' | 'transport'> : never;

/** The least time by which an event was older than its arrival, the difference of the clocks included. */
let lag = Infinity;

/** An attempt that says what happens. */
export class Traced extends Trial {
  trace(entry: Entry<Trace>): void {
    try {
      this.options.trace?.({ at: performance.now(), transport: this.transport.name, ...entry } as Trace);
    } catch (error) {
      // It costs nobody an event, and the connection nothing.
      setTimeout(() => {
        throw error;
      });
    }
  }

  override request(held?: number): void {
    super.request(held);
    this.trace({ kind: 'request' });
  }

  override answer(status: number): void {
    super.answer(status);
    this.trace({ kind: 'answer', status });
  }

  override take(message: Message): void {
    if (!this.signal.aborted && 'id' in message && 'topic' in message) {
      const [now, taken] = [Date.now(), Date.parse(message.time)];
      lag = Math.min(lag, now - taken);
      this.trace({ kind: 'event', id: message.id, replayed: taken + lag < (this.opened || now) });
    }
    super.take(message);
  }

  override drained(cursor: string, empty: boolean): void {
    if (empty && !this.signal.aborted) this.trace({ kind: 'empty' });
    super.drained(cursor, empty);
  }

  override async run(token: Promise<string | undefined>): Promise<Error> {
    const error = await super.run(token);
    this.trace({ kind: 'end', reason: error.message });
    return error;
  }

  protected override control(control: Control): void {
    if (control.control === 'cursor') this.trace({ kind: 'heartbeat' });
    if (control.control === 'gap') {
      const { from, to, reason } = control;
      this.trace({ kind: 'gap', from, to, reason });
    }
    super.control(control);
  }
}
