import { type Connection, connect, type Options, type Trace } from '../../client/src/index.ts';
import type { Account } from '../ledger.ts';
import type { Log } from '../published.ts';
import { isCollected, type TransportName } from '../transports.ts';
import { LaneRecord } from './record.ts';
import type { Shape } from './shape.ts';

/** `held`: open, as the gateway says, and a proxy has let nothing through yet. */
export type LaneState = 'stopped' | 'connecting' | 'open' | 'held' | 'reconnecting' | 'refused';

export interface LaneOptions {
  /** Ends with a slash. */
  url: URL;
  topics: readonly string[];
  /** From where, if the lane has no cursor of its own yet. */
  after: string | undefined;
  pollInterval: number;
  /** The name that the gateway books it under. */
  client: string;
  /** Whether a proxy stands before it that buffers. */
  buffering: boolean;
}

/** Small pauses: on this host there is nobody to spare, and what is to be seen should be seen soon. */
const TIMING = { backoff: 250, backoffMax: 1500, answer: 6000 };
/** Behind a proxy that buffers nothing is overdue: whether the connection lives the gateway's ledger says. */
const PATIENT = { ...TIMING, answer: Infinity, hello: Infinity, grace: Infinity };
/** Seconds; the least that the gateway takes, so that it is seen. */
const HEARTBEAT = 5;

/** One transport's connection, and its record. */
export class Lane {
  readonly transport: TransportName;
  record: LaneRecord;
  /** Why it was refused, or the last failure. */
  problem = '';
  /** What the browser says of its requests, `http/1.1`; empty while it does not. */
  protocol = '';
  onChange: () => void = () => {};
  /** Started by the viewer: what was published before is late by the stop, not by the transport. */
  since = 0;
  private told: Exclude<LaneState, 'held'> = 'stopped';
  private connection: Connection | undefined;
  private cursor: string | undefined;
  private options: LaneOptions | undefined;
  private waiting: Trace | undefined;
  private readonly log: Log;
  private shape: Shape;
  private said = 0;

  constructor(transport: TransportName, log: Log, shape: Shape) {
    this.transport = transport;
    this.log = log;
    this.shape = shape;
    this.record = this.begin();
  }

  private begin(): LaneRecord {
    const record = new LaneRecord(this.transport, this.log, this.shape);
    // Until something says otherwise.
    record.isRoomy = true;
    return record;
  }

  get state(): LaneState {
    const isWaiting = this.told === 'connecting' || this.told === 'reconnecting';
    return isWaiting && this.record.isHeldByProxy ? 'held' : this.told;
  }

  get isOpen(): boolean {
    return this.state === 'open' || this.state === 'held';
  }

  /** Whether it goes over this way. */
  goes(url: URL, buffering: boolean): boolean {
    const options = this.options;
    const isSame = !isCollected(this.transport) || options?.buffering === buffering;
    return this.told !== 'stopped' && options?.url.href === url.href && isSame;
  }

  /** What the gateway says of it. Begins anew if it is dead and the client cannot know. */
  confirm(account: Account | undefined, now: number): void {
    if (account) this.record.confirm(account.open, account.at);
    if (this.connection && this.options && this.record.isDead(now)) this.start(this.options);
  }

  reshape(shape: Shape): void {
    this.shape = shape;
    this.record.reshape(shape);
  }

  /** Begins, or goes on from its own cursor where only the way there changed. */
  start(options: LaneOptions): void {
    this.stop();
    this.options = options;
    if (options.url.protocol.startsWith('http') && this.transport === 'websocket') this.protocol = 'http/1.1';
    const after = this.cursor ?? options.after;
    const given: Options = {
      topics: options.topics,
      transports: [this.transport],
      pollInterval: options.pollInterval,
      heartbeat: HEARTBEAT,
      credentials: 'omit',
      timing: options.buffering && isCollected(this.transport) ? PATIENT : TIMING,
      trace: (entry) => {
        if (this.connection === connection) this.take(entry);
      },
    };
    if (after) given.after = after;
    given.client = options.client;
    const connection: Connection = connect(options.url, given);
    this.connection = connection;
    connection.onEvent((event) => {
      if (this.connection !== connection) return;
      this.cursor = event.id;
      const known = this.log.see(event);
      const waiting = this.waiting;
      this.waiting = undefined;
      if (waiting?.kind === 'event' && waiting.id === known.id) this.record.trace(waiting);
    });
    connection.onGap(() => {});
    connection.onError((error) => {
      this.problem = error.message;
    });
    connection.onState((state) => {
      if (this.connection !== connection) return;
      if (connection.cursor) this.cursor = connection.cursor;
      if (state === 'open') this.problem = '';
      if (state === 'open' || state === 'connecting' || state === 'reconnecting' || state === 'refused')
        this.become(state);
    });
    this.become('connecting');
  }

  /** Ends the connection and keeps the cursor. */
  stop(): void {
    const connection = this.connection;
    this.connection = undefined;
    if (connection) {
      this.cursor = connection.cursor ?? this.cursor;
      connection.close();
      this.record.trace({ kind: 'end', at: performance.now(), transport: this.transport, reason: 'closed' });
    }
    this.become('stopped');
  }

  /** Another stream: what was counted was of the last one. */
  clear(): void {
    this.stop();
    this.cursor = undefined;
    this.record = this.begin();
  }

  /** Sends a message of the viewer's, as this transport can: a frame, or a POST beside the stream. */
  say(topic: string): void {
    if (!this.connection || !this.isOpen) return;
    const isFrame = this.transport === 'websocket';
    this.said += 1;
    const mark = this.record.said(performance.now(), isFrame);
    this.connection.publish(topic, { from: this.transport, n: this.said }).then(
      () => {
        mark.back = performance.now();
      },
      () => {
        mark.isFailed = true;
      },
    );
  }

  private take(entry: Trace): void {
    if (entry.kind === 'event' && !this.log.get(entry.id)) {
      this.waiting = entry;
      return;
    }
    this.record.trace(entry);
  }

  private become(state: Exclude<LaneState, 'held'>): void {
    if (this.told === state) return;
    this.told = state;
    this.onChange();
  }
}
