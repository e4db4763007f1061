import type { Lab } from '../lab.ts';
import type { LaneRecord } from '../lane/record.ts';
import { total } from '../ledger.ts';
import { quantile } from '../numbers.ts';

/** A series per lane over shared x values; null where there is nothing. */
export interface Table {
  x: number[];
  lanes: (number | null)[][];
}

/** Staleness over time: the median of each bucket, and its p99. x: s before now; y: ms. */
export interface Staleness extends Table {
  p99: (number | null)[][];
}

/** How long back the charts go, ms. */
export const REACH = 120_000;

/** The same for the staleness, which is looked at closely unless events are rare. */
export function reachFor(rate: number): number {
  return rate < 0.4 ? REACH : REACH / 2;
}

export function staleness(records: readonly LaneRecord[], now: number, rate: number): Staleness {
  const bucket = rate < 0.4 ? 10_000 : 3000;
  const last = Math.floor(now / bucket);
  const count = Math.floor(reachFor(rate) / bucket);
  const x = Array.from({ length: count }, (_, at) =>
    Math.min(0, ((last - count + 1 + at + 0.5) * bucket - now) / 1000),
  );
  const [lanes, p99]: (number | null)[][][] = [[], []];
  for (const record of records) {
    const late: number[][] = Array.from({ length: count }, () => []);
    for (let at = record.arrivals.length - 1; at >= 0; at -= 1) {
      const arrival = record.arrivals[at];
      if (!arrival) continue;
      const index = Math.floor(arrival.at / bucket) - (last - count + 1);
      if (index < 0) break;
      late[index]?.push(Math.max(0.1, arrival.late));
    }
    const sorted = late.map((values) => Float64Array.from(values).sort());
    lanes?.push(sorted.map((values) => (values.length ? quantile(values, 0.5) : null)));
    p99?.push(sorted.map((values) => (values.length > 1 ? quantile(values, 0.99) : null)));
  }
  return { x, lanes: lanes ?? [], p99: p99 ?? [] };
}

/** Share of events, in %, that were not staler than x ms. */
export function distribution(records: readonly LaneRecord[], from: number, since: number): Table {
  const steps = 121;
  const sorted = records.map((record) => {
    const late: number[] = [];
    for (let at = record.arrivals.length - 1; at >= 0; at -= 1) {
      const arrival = record.arrivals[at];
      if (!arrival || arrival.at < from) break;
      if (arrival.event.at < since) continue;
      late.push(arrival.late);
    }
    return Float64Array.from(late).sort();
  });
  // 1 ms to 100 s, or less where nothing is as late.
  const most = Math.max(10, ...sorted.map((values) => values.at(-1) ?? 0));
  const decades = Math.min(5, Math.ceil(Math.log10(most)));
  const x = Array.from({ length: steps }, (_, at) => 10 ** ((at / (steps - 1)) * decades));
  const lanes = sorted.map((values) => {
    let below = 0;
    return x.map((limit) => {
      while (below < values.length && (values[below] as number) <= limit) below += 1;
      return values.length ? (below / values.length) * 100 : null;
    });
  });
  return { x, lanes };
}

/** Bytes on the wire since `from`, summed. x: s before now. */
export function cumulative(lab: Lab, from: number, now: number): Table {
  const begin = Math.max(from, now - REACH);
  const seconds = Math.max(10, Math.ceil((now - begin) / 1000));
  const x = Array.from({ length: seconds + 1 }, (_, at) => at - seconds);
  const lanes = lab.lanes.map(({ transport }) => {
    const accounts = lab.ledger.since(transport, 0);
    const before = accounts.findLast((account) => account.at <= begin);
    const start = before ? total(before.bytes) : 0;
    let at = 0;
    let sum: number | null = accounts.length ? 0 : null;
    return x.map((second) => {
      const until = now + second * 1000;
      for (let next = accounts[at]; next && next.at <= until; next = accounts[at]) {
        if (next.at >= begin) sum = total(next.bytes) - start;
        at += 1;
      }
      return sum;
    });
  });
  return { x, lanes };
}
