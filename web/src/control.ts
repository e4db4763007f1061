import type { Clock } from './clock.ts';
import { parseTime } from './clock.ts';
import type { LedgerDocument } from './ledger.ts';
import type { Given } from './published.ts';

/** For whom the socket is. */
export interface Listener {
  /** What is published, as the publisher's line shows it. */
  event(event: Given, at: number): void;
  ledger(document: LedgerDocument, at: number): void;
  /** The cursor is known from which the lanes begin. */
  ready(cursor: string): void;
  state(isOpen: boolean): void;
  /** An operation of ours was refused. */
  refused(detail: string): void;
}

/** How often the clocks are compared, ms; the first few times more often. */
const CLOCK = 4000;
const CLOCK_FIRST = 150;
const FIRST = 6;
/** The pause before the next attempt, ms: drawn from 0 to the span, which doubles up to the last. */
const BACKOFF = 250;
const BACKOFF_MAX = 4000;

/**
 * The page's own work over one WebSocket to its own origin: what is published, the ledgers, the clock, and publishing.
 * A WebSocket is none of the six connections that the lanes may need.
 */
export class Control {
  private socket: WebSocket | undefined;
  private readonly base: URL;
  private readonly listener: Listener;
  private readonly clock: Clock;
  private topics: readonly string[] = [];
  private ledgers: readonly string[];
  private cursor: string | undefined;
  private asked = new Map<number, number>();
  private ref = 0;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private ticking: ReturnType<typeof setTimeout> | undefined;
  private isClosed = false;
  private hasClock = true;

  constructor(base: URL, clients: readonly string[], clock: Clock, listener: Listener) {
    this.base = base;
    this.ledgers = clients.map((client) => `$ledger/${client}`);
    this.clock = clock;
    this.listener = listener;
  }

  /** Watches these from now on: a new connection, with a new beginning. */
  watch(topics: readonly string[]): void {
    this.topics = topics;
    this.cursor = undefined;
    this.drop();
    this.open();
  }

  /** Publishes on the socket; a lost one is lost. */
  publish(topic: string, data: unknown): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.ref += 1;
    this.socket.send(JSON.stringify({ op: 'publish', ref: this.ref, topic, data }));
  }

  close(): void {
    this.isClosed = true;
    this.drop();
  }

  private drop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.ticking);
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
  }

  private open(): void {
    if (this.isClosed) return;
    const url = new URL('v1/websocket', this.base);
    url.protocol = url.protocol.replace('http', 'ws');
    for (const topic of [...this.topics, ...this.ledgers]) url.searchParams.append('topic', topic);
    if (this.cursor) url.searchParams.set('after', this.cursor);
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.take(JSON.parse(data), performance.now());
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      clearTimeout(this.ticking);
      this.listener.state(false);
      this.failures += 1;
      const span = Math.min(BACKOFF_MAX, BACKOFF * 2 ** this.failures);
      this.timer = setTimeout(() => this.open(), Math.random() * span);
    };
  }

  private take(message: Record<string, unknown>, at: number): void {
    const control = message.control;
    if (control === undefined) {
      const topic = String(message.topic);
      if (topic.startsWith('$ledger/')) this.listener.ledger(message.data as LedgerDocument, at);
      else {
        this.cursor = String(message.id);
        this.listener.event(message as unknown as Given, at);
      }
      return;
    }
    if (control === 'hello') {
      const isFirst = this.cursor === undefined;
      this.cursor = String(message.cursor);
      this.failures = 0;
      this.asked.clear();
      this.listener.state(true);
      if (isFirst) this.listener.ready(this.cursor);
      this.tick(FIRST);
    } else if (control === 'cursor') this.cursor = String(message.cursor);
    else if (control === 'ack' && typeof message.ref === 'number') {
      const sent = this.asked.get(message.ref);
      this.asked.delete(message.ref);
      if (sent !== undefined && typeof message.time === 'string')
        this.clock.add({ sent, received: at, time: parseTime(message.time) });
    } else if (control === 'error') {
      if (typeof message.ref === 'number' && this.asked.delete(message.ref)) this.hasClock = false;
      else this.listener.refused(String(message.detail ?? message.title ?? ''));
    }
  }

  /** Compares the clocks, again and again. */
  private tick(quick: number): void {
    if (!this.hasClock) return;
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.ref += 1;
      this.asked.set(this.ref, performance.now());
      this.socket.send(JSON.stringify({ op: 'clock', ref: this.ref }));
    }
    this.ticking = setTimeout(() => this.tick(quick - 1), quick > 0 ? CLOCK_FIRST : CLOCK);
  }
}
