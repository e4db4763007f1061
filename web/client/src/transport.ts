import type { CommonOptions, FanlightEvent, Gap, Timing, TransportName } from './types.ts';

/** What the gateway says on its own account. A control that is not here is skipped. */
export type Control =
  | { control: 'hello' | 'cursor'; cursor: string }
  | ({ control: 'gap' } & Gap)
  | { control: 'reconnect'; after_ms: number }
  | { control: 'expiring' }
  | { control: 'ack'; ref: number; cursor?: string; id?: string }
  | { control: 'error'; ref?: number; status?: number; title?: string; detail?: string; field?: string };

export type Message = FanlightEvent | Control;

/** Options, with their defaults in place. */
export type Settled = CommonOptions &
  Required<
    Pick<CommonOptions, 'pollInterval' | 'longpollTimeout' | 'heartbeat' | 'fetch' | 'credentials'>
  > & {
    timing: Omit<Timing, 'climb' | 'climbMax'> & Partial<Timing>;
  };

/** One operation on a WebSocket, answered by an `ack`. */
export type Send = (operation: Record<string, unknown>) => void;

/**
 * What a transport is given to serve one connection, and tells what happens, in this order. After `signal` is
 * aborted nothing that it tells is heard.
 */
export interface Attempt {
  readonly options: Settled;
  readonly signal: AbortSignal;
  /** The bearer token of this attempt. */
  readonly token: string | undefined;
  /** The address of an endpoint, without a query. */
  url(path: string): URL;
  /** Topics and position, as they are now, and what else the endpoint takes. */
  query(fields: Record<string, string | number>): URLSearchParams;
  /** A request leaves, and may be held so many ms before it is answered. */
  request(held?: number): void;
  /** The head of its answer has come. */
  answer(status: number): void;
  /** From now on operations can be sent. */
  sends(send: Send): void;
  /** An event or a control. */
  take(message: Message): void;
  /** Everything up to there has come, and it was `empty`: nothing. */
  drained(cursor: string, empty: boolean): void;
  /** The pause before the next attempt, in ms, unless a control says otherwise. */
  retry(ms: number): void;
}

/** A way for events to come. */
export interface Transport {
  readonly name: TransportName;
  /** Whether its answers have no end, so that silence tells: heartbeats are due. */
  readonly streams: boolean;
  /** Whether it can be had here at all. */
  available(options: Settled): boolean;
  /** Serves one connection, of the polls: one run of requests, until it ends or fails. */
  connect(attempt: Attempt): Promise<void>;
}
