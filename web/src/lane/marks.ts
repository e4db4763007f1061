import type { Published } from '../published.ts';

/** Events that came at one moment. */
export interface Batch {
  at: number;
  count: number;
  replayed: number;
}

/** One event on its way through one lane. All times are of the page's clock, ms. */
export interface Flight {
  readonly event: Published;
  /** Which of the stacked bars it waits in, from 0. */
  slot: number;
  /** Left the server. Before, it waited. */
  sent?: number;
  /** Reached the browser's side; later than this it stood behind a lost segment. */
  landed?: number;
  /** Shown. */
  at?: number;
  /** When the segment left that was lost; `sent` is then its second start. */
  dropped?: number;
  /** Held half-way by a proxy that buffers. */
  isHeld?: boolean;
  isReplayed?: boolean;
  /** Told as lost. */
  isLost?: boolean;
  batch?: Batch;
  /** Its place in the batch, from 0. */
  index: number;
}

/** A request and its answer; of a stream: the connection. */
export interface Exchange {
  /** A TCP handshake went before, from here to `asked`. */
  handshake?: number;
  /** The browser held it back from here to `asked`: its connections were taken. */
  queued?: number;
  /** Left the browser. */
  asked: number;
  /** Reached the server: from here on it may speak, … */
  reached: number;
  /** … until here: the answer, or its end, left. */
  answered?: number;
  /** The answer's head has come to the browser. */
  opened?: number;
  /** It is over in the browser. */
  done?: number;
  /** Nothing came back, or a refusal. */
  isFailed?: boolean;
  /** It ended in the middle. */
  isBroken?: boolean;
  /** A segment was lost: of the request, or of the answer. */
  lost?: 'request' | 'answer';
  /** The gateway has it, as its ledger says; or has it no more, since then. */
  isKnown?: boolean;
  gone?: number;
}

export type Mark =
  | { kind: 'heartbeat'; at: number; delay: number }
  | { kind: 'empty'; at: number; delay: number }
  | { kind: 'gap'; at: number; count: number; reason: string }
  /** The viewer's own message: a frame on the socket, or a POST beside the stream, answered at `back`. */
  | { kind: 'said'; at: number; isFrame: boolean; delay: number; back?: number; isFailed?: boolean };

/** For the figures. */
export interface Arrival {
  readonly event: Published;
  readonly at: number;
  readonly late: number;
  readonly isReplayed: boolean;
}
