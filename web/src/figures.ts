import type { LaneRecord } from './lane/record.ts';
import { type Bytes, type Ledger, nothing, PARTS, total } from './ledger.ts';
import { quantile } from './numbers.ts';

/** What one lane's numbers say over the last while. NaN, or undefined: nothing to say. */
export interface Figures {
  /** Staleness when shown, ms. */
  p50: number;
  p99: number;
  least: number;
  /** Events shown in the span. */
  events: number;
  requestsPerMinute: number;
  /** Of the gateway's ledger. */
  bytesPerEvent: number;
  parts: Bytes;
  bytes: number;
  /** Share of polls that brought nothing; NaN where nobody polls. */
  emptyShare: number;
  delivered: number;
  missed: number;
  duplicated: number;
}

/** Over what is summed, ms: half a minute, or long enough for ten events. */
export function spanFor(eventsPerSecond: number): number {
  return Math.min(120_000, Math.max(30_000, 10_000 / Math.max(0.01, eventsPerSecond)));
}

/** From `from` to `now`. What was published before `since` went under other conditions, and is not judged. */
export function measure(
  record: LaneRecord,
  ledger: Ledger,
  from: number,
  now: number,
  since: number,
): Figures {
  const late: number[] = [];
  for (let at = record.arrivals.length - 1; at >= 0; at -= 1) {
    const arrival = record.arrivals[at];
    if (!arrival || arrival.at < from) break;
    if (arrival.event.at >= since) late.push(arrival.late);
  }
  const sorted = Float64Array.from(late).sort();
  const requests = record.requests.filter((at) => at >= from).length;
  const answers = record.answers.filter((answer) => answer.at >= from);
  const booked = ledger.between(record.transport, from);
  const events = booked?.events ?? 0;
  const parts = nothing();
  if (booked && events > 0) for (const part of PARTS) parts[part] = booked.bytes[part] / events;
  return {
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    least: sorted[0] ?? Number.NaN,
    events: sorted.length,
    requestsPerMinute: requests / (Math.max(1000, now - from) / 60_000),
    bytesPerEvent: booked && events > 0 ? total(parts) : Number.NaN,
    parts,
    bytes: booked ? total(booked.bytes) : Number.NaN,
    emptyShare: answers.length
      ? answers.filter((answer) => answer.isEmpty).length / answers.length
      : Number.NaN,
    delivered: record.delivered,
    missed: record.missed,
    duplicated: record.duplicated,
  };
}
