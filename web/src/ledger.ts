import { TRANSPORTS, type TransportName } from './transports.ts';

/** What the gateway booked, as the page draws it, from the most useful bytes to the least. */
export const PARTS = [
  'payload',
  'envelope',
  'framing',
  'heads',
  'controls',
  'heartbeats',
  'empty',
  'tcpip',
] as const;
export type Part = (typeof PARTS)[number];
export type Bytes = Record<Part, number>;

type Kinds = Partial<Record<Exclude<Part, 'tcpip'>, number>>;

/** `GET /v1/ledger`, and the data of `$ledger/…`. */
export interface LedgerDocument {
  client: string;
  time: string;
  transports: Record<
    string,
    {
      requests: number;
      events: number;
      open: number;
      in: Kinds;
      out: Kinds;
      tcp?: {
        segments_in: number;
        segments_out: number;
        retransmits: number;
        rtt_us: number;
        bytes_in: number;
        bytes_out: number;
      };
    }
  >;
}

/** A lane's account at one moment: everything since the page was opened. */
export interface Account {
  at: number;
  bytes: Bytes;
  events: number;
  requests: number;
  segments: number;
  /** Connections of its subscription that the gateway has. */
  open: number;
}

export function total(bytes: Bytes): number {
  return PARTS.reduce((sum, part) => sum + bytes[part], 0);
}

export function nothing(): Bytes {
  return Object.fromEntries(PARTS.map((part) => [part, 0])) as Bytes;
}

/** Sums the subscription and what the viewer sent, both ways. */
export function account(document: LedgerDocument, at: number): Account {
  const bytes = nothing();
  const sum: Account = { at, bytes, events: 0, requests: 0, segments: 0, open: 0 };
  for (const [name, booked] of Object.entries(document.transports)) {
    for (const side of [booked.in, booked.out])
      for (const part of PARTS) if (part !== 'tcpip') bytes[part] += side[part] ?? 0;
    bytes.tcpip += (booked.tcp?.bytes_in ?? 0) + (booked.tcp?.bytes_out ?? 0);
    sum.segments += (booked.tcp?.segments_in ?? 0) + (booked.tcp?.segments_out ?? 0);
    sum.requests += booked.requests;
    if (name === 'publish') continue;
    sum.events += booked.events;
    sum.open += booked.open;
  }
  return sum;
}

/** How long accounts are kept, ms. */
const KEPT = 150_000;

/** The accounts of all lanes over time. */
export class Ledger {
  private accounts = new Map<TransportName, Account[]>(TRANSPORTS.map((name) => [name, []]));

  /** Takes a document of `<page>.<transport>`. */
  take(document: LedgerDocument, at: number): void {
    const name = document.client.slice(document.client.lastIndexOf('.') + 1) as TransportName;
    const kept = this.accounts.get(name);
    if (!kept) return;
    kept.push(account(document, at));
    // One older than the span has to stay, as what the others are compared with.
    while (kept.length > 2 && (kept[1] as Account).at < at - KEPT) kept.shift();
  }

  latest(name: TransportName): Account | undefined {
    return this.accounts.get(name)?.at(-1);
  }

  /** The one that what was booked after `from` is compared with; undefined where that is all. */
  before(name: TransportName, from: number): Account | undefined {
    return this.accounts.get(name)?.findLast((account) => account.at <= from);
  }

  since(name: TransportName, from: number): Account[] {
    return this.accounts.get(name)?.filter((account) => account.at >= from) ?? [];
  }

  /** What was booked after `from`; undefined where the gateway has told nothing. */
  between(name: TransportName, from: number): Account | undefined {
    const last = this.latest(name);
    if (!last) return;
    const first = this.before(name, from);
    if (!first) return last;
    const bytes = nothing();
    for (const part of PARTS) bytes[part] = last.bytes[part] - first.bytes[part];
    return {
      at: last.at,
      bytes,
      events: last.events - first.events,
      requests: last.requests - first.requests,
      segments: last.segments - first.segments,
      open: last.open,
    };
  }

  /** Another stream: what was booked so far was the last one's, and is what the next is compared with. */
  clear(): void {
    for (const kept of this.accounts.values()) kept.splice(0, kept.length - 1);
  }
}
