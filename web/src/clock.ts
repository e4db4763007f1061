/**
 * The gateway's clock, seen from the page. A question goes out at `sent`, its answer with the gateway's time comes at
 * `received`: the time was read somewhere between, so the middle is wrong by half the round trip at most (as in NTP).
 * Of the last questions the quickest is believed.
 */
export interface Sample {
  /** Page clock (`performance.now()`), ms. */
  sent: number;
  received: number;
  /** Gateway's wall clock, ms since 1970. */
  time: number;
}

const KEPT = 12;
/** What two quartz clocks may drift apart, per ms. A sample ages by it. */
const DRIFT = 50e-6;

export class Clock {
  private samples: Sample[] = [];
  /** Gateway's wall clock minus page clock, ms. Before any sample: the browser's own idea of the time. */
  offset = performance.timeOrigin;
  /** By how much the offset may be wrong at most, ms; undefined while it is only assumed. */
  uncertainty: number | undefined;

  add(sample: Sample): void {
    this.samples.push(sample);
    if (this.samples.length > KEPT) this.samples.shift();
    const doubt = (s: Sample) => (s.received - s.sent) / 2 + (sample.received - s.received) * DRIFT;
    const best = this.samples.reduce((a, b) => (doubt(b) <= doubt(a) ? b : a));
    this.offset = best.time - (best.sent + best.received) / 2;
    this.uncertainty = doubt(best);
  }

  /** Another connection may lead to another machine. */
  forget(): void {
    this.samples = [];
  }

  /** A time of the gateway's on the page's clock. */
  onPage(time: number): number {
    return time - this.offset;
  }
}

/** RFC 3339 in UTC with up to microseconds, as ms since 1970: `Date.parse` would cut to whole ms. */
export function parseTime(text: string): number {
  const dot = text.indexOf('.');
  if (dot < 0) return Date.parse(text);
  const end = text.indexOf('Z', dot);
  if (end < 0) return Date.parse(text);
  return Date.parse(`${text.slice(0, dot)}Z`) + Number(`0${text.slice(dot, end)}`) * 1000;
}
