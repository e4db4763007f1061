import type { Problem } from './problem.ts';
import type { Transport } from './transport.ts';

/** How events travel. The same words stand in URLs, metrics and reports. */
export type TransportName = 'poll' | 'longpoll' | 'chunked' | 'sse' | 'websocket';

/** An event document, the same on every transport. */
export interface FanlightEvent<Data = unknown> {
  /** Its place in the log, and so the cursor behind which to resume. Opaque. */
  readonly id: string;
  readonly topic: string;
  /** What the publisher called it. */
  readonly type?: string;
  /** When the gateway took it (RFC 3339, microseconds). It informs; the order is that of arrival. */
  readonly time: string;
  /** The JSON value, or the text, as it was published. Absent where `data_base64` stands. */
  readonly data: Data;
  /** The media type of what is neither JSON nor text. */
  readonly datacontenttype?: string;
  /** Its bytes (RFC 4648, 4). */
  readonly data_base64?: string;
}

/** Events between `from` and `to` that the gateway could not deliver. */
export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly reason: 'evicted' | 'overrun' | 'restarted' | 'unknown';
}

/**
 * - `idle`: no topics, so nothing is asked for
 * - `connecting`: nothing has come yet
 * - `open`: the gateway has answered
 * - `reconnecting`: the connection ended, and the next attempt is under way or waits for its time
 * - `paused`: a loop has not taken what waits for it; the connection comes back once it did
 * - `refused`: the gateway will not serve this, whatever we do; {@link Connection.onError} was told why
 * - `closed`: by {@link Connection.close}
 */
export type State = 'idle' | 'connecting' | 'open' | 'reconnecting' | 'paused' | 'refused' | 'closed';

/** What happened on the wire, for whoever wants to draw it. `at` is of `performance.now()`, in ms. */
export type Trace = { at: number; transport: TransportName } & (
  | { kind: 'request' }
  | { kind: 'answer'; status: number }
  | { kind: 'event'; id: string; replayed: boolean }
  | { kind: 'empty' }
  | { kind: 'heartbeat' }
  | { kind: 'gap'; from: string; to: string; reason: string }
  | { kind: 'end'; reason: string }
  | { kind: 'wait'; ms: number }
);

/** Where a cursor is kept over reloads: `localStorage`, or anything of that shape, asynchronous if need be. */
export interface CursorStorage {
  getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(key: string, value: string): unknown;
}

/** A bearer token, or who gives one. `renew` says that the last one was refused or expires. */
export type Token = string | ((renew: boolean) => string | Promise<string>);

/** Durations in ms. The defaults suit browsers; tests and strange networks may want others. */
export interface Timing {
  /**
   * For the head of an answer, or a WebSocket handshake. Doubled with each round in which all failed. A publish, or a
   * change of topics on a WebSocket, has twice this for the whole of its answer.
   */
  answer: number;
  /** From there to the first message: something on the way that holds it back longer is buffering. */
  hello: number;
  /** Beyond the time at which a heartbeat, or the answer to a long poll, is due. */
  grace: number;
  /** What a connection has to stand before its predecessors' failures are forgotten. */
  steady: number;
  /** The first back-off is drawn from 0 to this, each further one from twice the span, … */
  backoff: number;
  /** … up to this. */
  backoffMax: number;
  /** After how long on a lesser transport a better one is tried. Doubled each time that it does not work, … */
  climb: number;
  /** … up to this. */
  climbMax: number;
}

/** What every connection may be told. */
export interface CommonOptions {
  /** Topics and patterns (`orders/42/status`, `orders/*`, `host/**`). More can be added later. */
  topics?: string | readonly string[];
  /** Begin behind this cursor, or with all that is held (`'earliest'`). Without it and `last`: from now. */
  after?: string;
  /** Begin with the newest so many events of each topic. */
  last?: number;
  /** A bearer token, or a function that gives one and is asked again when it is refused or expires. */
  token?: Token;
  /** The name under which the gateway books what this connection costs (`GET /v1/ledger?client=…`). */
  client?: string;
  /** From poll to poll, in ms. By default 2000. */
  pollInterval?: number;
  /** How long the gateway may hold a long poll, in seconds, up to 60. By default 25. */
  longpollTimeout?: number;
  /** Seconds of silence after which the gateway sends a heartbeat, 5 to 60. By default 15. */
  heartbeat?: number;
  /**
   * Events that may wait for a `for await` loop, or for the first listener (unless there is `trace`); beyond them
   * the connection pauses. By default 1000.
   */
  queue?: number;
  /** Whether cookies go along (`fetch`'s option). By default `'same-origin'`. */
  credentials?: RequestCredentials;
  /** Told of everything on the wire. */
  trace?: (entry: Trace) => void;
  fetch?: typeof globalThis.fetch;
  WebSocket?: typeof globalThis.WebSocket;
  timing?: Partial<Timing>;
}

/** What a {@link Connection} may be told besides. */
export interface Options extends CommonOptions {
  /** In order of preference. One: only that. By default websocket, sse, chunked, longpoll, poll. */
  transports?: readonly (TransportName | Transport)[];
  /** Keeps the cursor, so that the next page load resumes: it then beats `after` and `last`. */
  storage?: CursorStorage;
  /** Its key there. By default made of the address and the topics. */
  storageKey?: string;
}

/** What `fanlight/core` may be told: the transport that is named is the only one that is bundled. */
export interface CoreOptions extends CommonOptions {
  transport: Transport;
}

export interface PublishOptions {
  /** What the event is called. */
  type?: string;
  /** Idempotency key: the same one for the same event has no second effect. By default a new one each time. */
  key?: string;
}

/** Events of some topics. */
export interface Subscription<Data = unknown> {
  /** Behind the last event that was processed; `undefined` until the gateway has named a place. */
  readonly cursor: string | undefined;
  readonly state: State;
  /** What is in use, or tried. */
  readonly transport: TransportName;
  readonly topics: readonly string[];
  /** Each event, in order, once. What is returned ends it. */
  onEvent(listener: (event: FanlightEvent<Data>) => void): () => void;
  /** Each loss that the gateway tells of. Without a listener it is a warning on the console. */
  onGap(listener: (gap: Gap) => void): () => void;
  onState(listener: (state: State) => void): () => void;
  /** Each failure: a {@link Problem} where the gateway said why. Only `refused` is for good. */
  onError(listener: (error: Error | Problem) => void): () => void;
  /** Ends it, loops too. */
  close(): void;
}

/** Events of some topics, over whatever works, in loops too, and the way back. */
export interface Connection<Data = unknown> extends Subscription<Data>, AsyncIterable<FanlightEvent<Data>> {
  /** Publishes, and again until it is answered; in order, once. Resolves with the event's id. */
  publish(topic: string, data: unknown, options?: PublishOptions): Promise<string>;
  /** Adds topics: from here on. Rejects if the gateway refuses them; the others go on. */
  subscribe(topics: string | readonly string[]): Promise<void>;
  unsubscribe(topics: string | readonly string[]): Promise<void>;
}
