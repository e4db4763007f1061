import { parseTime } from './clock.ts';

/** An event as the page knows it, the same object in every lane. */
export interface Published {
  /** Counts on this page, from 1. What is written beside a dot; its hue is its remainder. */
  readonly n: number;
  readonly id: string;
  readonly topic: string;
  /** When the gateway took it, on the gateway's clock (ms since 1970). */
  readonly time: number;
  /** The same on the page's clock. */
  readonly at: number;
}

/** What a lane or the page's own socket was given. */
export interface Given {
  id: string;
  topic: string;
  time: string;
}

/** How long an event is kept, ms. */
const KEPT = 150_000;
const MOST = 40_000;

/** `<epoch>-<offset>`: events of one epoch are ordered by offset. */
export function place(id: string): [epoch: string, offset: number] {
  const dash = id.lastIndexOf('-');
  return [id.slice(0, dash), Number(id.slice(dash + 1))];
}

/** Whether `id` lies behind `from` and not behind `to`; ids of another epoch than `to` do not. */
export function between(id: string, from: string, to: string): boolean {
  const [epoch, offset] = place(id);
  const [first, low] = place(from);
  const [last, high] = place(to);
  return epoch === last && offset <= high && (first !== epoch || offset > low);
}

/**
 * All that was published since the page was opened, as whoever saw it first tells: mostly the page's own socket, which
 * is not shaped. In the order in which it was seen.
 */
export class Log {
  readonly events: Published[] = [];
  private byId = new Map<string, Published>();
  private listeners: ((event: Published) => void)[] = [];
  private onPage: (time: number) => number;
  count = 0;

  constructor(onPage: (time: number) => number) {
    this.onPage = onPage;
  }

  /** The event with this id, new or known. */
  see(given: Given): Published {
    const known = this.byId.get(given.id);
    if (known) return known;
    const time = parseTime(given.time);
    this.count += 1;
    const event = { n: this.count, id: given.id, topic: given.topic, time, at: this.onPage(time) };
    this.events.push(event);
    this.byId.set(event.id, event);
    for (const listener of this.listeners) listener(event);
    return event;
  }

  get(id: string): Published | undefined {
    return this.byId.get(id);
  }

  onPublished(listener: (event: Published) => void): void {
    this.listeners.push(listener);
  }

  forget(now: number): void {
    let gone = this.events.findIndex((event) => event.at > now - KEPT);
    if (gone < 0) gone = this.events.length;
    gone = Math.max(gone, this.events.length - MOST);
    for (const event of this.events.splice(0, gone)) this.byId.delete(event.id);
  }

  clear(): void {
    this.events.length = 0;
    this.byId.clear();
    this.count = 0;
  }
}
