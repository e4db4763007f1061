import type { Trace } from '../../client/src/index.ts';
import { between, type Log, type Published, place } from '../published.ts';
import { isCollected, isStream, type TransportName } from '../transports.ts';
import { Delay } from './delay.ts';
import type { Arrival, Exchange, Flight, Mark } from './marks.ts';
import { bounds, type Shape } from './shape.ts';

/** A request that takes so much longer than its way was held back by the browser, ms. A busy page is late by less. */
const HELD_BACK = 300;
/** Events closer than this came together, ms. */
const TOGETHER = 4;
/** Ends of our own making: nothing broke. */
const OURS = new Set(['closed', 'changed', 'renewed', 'climbed']);
/** So long a connection behind a proxy that buffers may be unknown to the gateway, and round trips besides, ms. */
const UNKNOWN = 6000;
/** How long is kept what may still be drawn, and what is counted, ms. */
const DRAWN = 32_000;
const COUNTED = 150_000;

/**
 * What one lane has seen, from the client's trace: enough to draw it to scale and to count it. The page sees only its
 * own end of the wire; when something left the server is the moment at which it came less the measured one-way delay.
 */
export class LaneRecord {
  readonly transport: TransportName;
  readonly delay: Delay;
  flights = new Map<string, Flight>();
  /** Published, and not come yet; in their order. */
  readonly pending = new Map<string, Flight>();
  exchanges: Exchange[] = [];
  marks: Mark[] = [];
  arrivals: Arrival[] = [];
  /** When requests left, ms; a WebSocket handshake is one. */
  requests: number[] = [];
  /** Answers of polls: when, and whether they brought something. */
  answers: { at: number; isEmpty: boolean }[] = [];
  delivered = 0;
  missed = 0;
  duplicated = 0;
  replayed = 0;
  gaps = 0;
  /** The origin has fewer connections than the browser opens, or is slow by itself: it holds nothing back. */
  isRoomy = false;
  private shape: Shape;
  private log: Log;
  private open: Exchange | undefined;
  private last: Flight | undefined;
  private slots: boolean[] = [];
  /** A connection went before this one: what is older than it is given again, and not for the first time. */
  private isResumed = false;

  constructor(transport: TransportName, log: Log, shape: Shape) {
    this.transport = transport;
    this.log = log;
    this.shape = shape;
    this.delay = new Delay(...bounds(shape));
  }

  /** The newest event that was shown. */
  get shown(): Published | undefined {
    return this.arrivals.at(-1)?.event;
  }

  /** Now. */
  get exchange(): Exchange | undefined {
    return this.open;
  }

  /**
   * Whether the browser holds the present request back, since its connections to the origin are taken: a poll is not
   * answered, or a long poll is not although something was published.
   */
  isHeldBack(now: number): boolean {
    const exchange = this.open;
    if (!this.isCrowded || !exchange || exchange.opened !== undefined || this.transport === 'websocket')
      return false;
    // A proxy that buffers holds a stream's head as well.
    if (this.isBuffered) return false;
    const patience = 4 * this.delay.value + 500;
    if (now - exchange.asked < patience) return false;
    if (this.transport !== 'longpoll') return true;
    const first = this.pending.values().next().value;
    return first !== undefined && now - Math.max(first.event.at, exchange.asked) > patience;
  }

  private get isCrowded(): boolean {
    return this.shape.shared && !this.isRoomy;
  }

  get isLossy(): boolean {
    return this.shape.loss > 0;
  }

  /** Whether a proxy collects what comes. */
  get isBuffered(): boolean {
    return this.shape.buffering && isCollected(this.transport);
  }

  /** Whether the connection is open, as the gateway says, and the proxy has let nothing through yet. */
  get isHeldByProxy(): boolean {
    return this.isBuffered && this.open?.isKnown === true && this.open.opened === undefined;
  }

  /** How many connections of this lane the gateway has, as it said at `at`. */
  confirm(connections: number, at: number): void {
    const exchange = this.open;
    if (!exchange || at < exchange.asked) return;
    if (connections > 0) {
      exchange.isKnown = true;
      delete exchange.gone;
    } else exchange.gone ??= at;
  }

  /** Whether the connection is dead. Behind a proxy that buffers silence says nothing, so the gateway is believed. */
  isDead(now: number): boolean {
    const exchange = this.open;
    if (!exchange || !this.isBuffered) return false;
    const isThere = exchange.isKnown || exchange.opened !== undefined;
    return now - (exchange.gone ?? (isThere ? now : exchange.asked)) > UNKNOWN + 3 * this.shape.rtt;
  }

  reshape(shape: Shape): void {
    if (shape.rtt !== this.shape.rtt) this.delay.reset(...bounds(shape));
    this.shape = shape;
  }

  published(event: Published): void {
    if (this.flights.has(event.id)) return;
    let slot = this.slots.indexOf(false);
    if (slot < 0) slot = this.slots.length;
    this.slots[slot] = true;
    const flight: Flight = { event, slot, index: 0 };
    this.flights.set(event.id, flight);
    this.pending.set(event.id, flight);
  }

  trace(entry: Trace): void {
    switch (entry.kind) {
      case 'request':
        return this.asked(entry.at);
      case 'answer':
        return this.answered(entry.at, entry.status);
      case 'event': {
        const event = this.log.get(entry.id);
        if (event) this.arrived(event, entry.at, entry.replayed && this.isResumed);
        return;
      }
      case 'empty':
        this.marks.push({ kind: 'empty', at: entry.at, delay: this.delay.value });
        this.answers.push({ at: entry.at, isEmpty: true });
        return this.finish(entry.at, false);
      case 'heartbeat':
        this.marks.push({ kind: 'heartbeat', at: entry.at, delay: this.delay.value });
        return;
      case 'gap':
        return this.gap(entry.from, entry.to, entry.reason, entry.at);
      case 'end':
        this.isResumed ||= this.delivered > 0 || this.open?.opened !== undefined;
        return this.finish(entry.at, !OURS.has(entry.reason));
      case 'wait':
        return this.finish(entry.at, true);
    }
  }

  /** A message of the viewer's; whoever keeps what is returned says when it was answered. */
  said(at: number, isFrame: boolean): Mark & { kind: 'said' } {
    const mark: Mark & { kind: 'said' } = { kind: 'said', at, isFrame, delay: this.delay.value };
    this.marks.push(mark);
    if (!isFrame) this.requests.push(at);
    return mark;
  }

  /** `shown`: the time at the right edge, if it stands still. */
  forget(now: number, shown = now): void {
    const isOld = (from: number, to: number) => to < now - DRAWN && (to < shown - DRAWN || from > shown);
    this.exchanges = this.exchanges.filter((x) => x === this.open || !isOld(x.asked, x.done ?? now));
    this.marks = this.marks.filter((mark) => !isOld(mark.at, mark.at));
    for (const [id, { event, at, isLost }] of this.flights)
      if (isOld(event.at, at ?? (isLost ? event.at : now))) this.flights.delete(id);
    const counted = now - COUNTED;
    if ((this.arrivals[0]?.at ?? now) < counted) this.arrivals = this.arrivals.filter((a) => a.at > counted);
    if ((this.requests[0] ?? now) < counted) this.requests = this.requests.filter((at) => at > counted);
    this.answers = this.answers.filter((answer) => answer.at > counted);
  }

  private asked(at: number): void {
    if (this.open) this.finish(at, false);
    this.requests.push(at);
    this.open = { asked: at, reached: at + this.delay.value };
    this.exchanges.push(this.open);
  }

  private answered(at: number, status: number): void {
    const exchange = this.open;
    if (!exchange) return;
    exchange.opened = at;
    if (status >= 400) exchange.isFailed = true;
    const trip = at - exchange.asked;
    const isImmediate = this.transport !== 'longpoll';
    if (isImmediate && trip < this.shape.rtt * 1.5 + 50) this.delay.roundTrip(trip);
    const delay = this.delay.value;
    // A new connection costs a round trip before the request can leave.
    if (isImmediate && delay > 2 && trip > 3.6 * delay && trip < 4.6 * delay + 20) {
      exchange.handshake = exchange.asked;
      exchange.asked += trip / 2;
    } else if (isImmediate && this.isStalled(trip - 2 * delay)) exchange.lost = 'answer';
    else if (this.transport === 'poll' && this.isCrowded && trip > 2 * delay + HELD_BACK) {
      exchange.queued = exchange.asked;
      exchange.asked = at - 2 * delay;
    }
    exchange.reached = Math.min(exchange.asked + delay, at - delay);
    if (!isImmediate) exchange.reached = Math.min(exchange.asked + delay, at);
    if (!isStream(this.transport)) exchange.answered = Math.max(exchange.reached, at - delay);
  }

  private finish(at: number, hasEnded: boolean): void {
    const exchange = this.open;
    this.open = undefined;
    this.last = undefined;
    if (!exchange || exchange.done !== undefined) return;
    exchange.done = at;
    if (exchange.opened === undefined) exchange.isFailed = true;
    const isCut = hasEnded && isStream(this.transport) && exchange.opened !== undefined;
    if (isCut) exchange.isBroken = true;
    exchange.answered ??= isCut ? at : Math.max(exchange.reached, at - this.delay.value);
  }

  private arrived(event: Published, at: number, isReplayed: boolean): void {
    const known = this.flights.get(event.id);
    if (known?.at !== undefined) {
      this.duplicated += 1;
      return;
    }
    if (!known) this.published(event);
    const flight = this.flights.get(event.id) as Flight;
    this.skipTo(flight);
    flight.at = at;
    if (isReplayed) flight.isReplayed = true;
    const previous = this.last;
    const isNew = !previous?.batch || at - previous.batch.at > TOGETHER;
    const batch = isNew || !previous?.batch ? { at, count: 0, replayed: 0 } : previous.batch;
    flight.batch = batch;
    flight.index = batch.count;
    batch.count += 1;
    batch.at = at;
    if (isReplayed) batch.replayed += 1;
    this.place(flight, at, isNew ? undefined : previous);
    this.last = flight;
    this.release(flight);
    if (this.transport === 'poll' || this.transport === 'longpoll') {
      const answered = this.answers.at(-1);
      if (!answered || answered.isEmpty || (this.open?.opened ?? at) > answered.at)
        this.answers.push({ at, isEmpty: false });
    }
    this.delivered += 1;
    if (isReplayed) this.replayed += 1;
    this.arrivals.push({ event, at, late: at - event.at, isReplayed });
  }

  /** When it left, and what held it up on the way. */
  private place(flight: Flight, at: number, previous: Flight | undefined): void {
    const delay = this.delay.value;
    const published = flight.event.at;
    const exchange = this.open;
    flight.landed = at;
    if (this.transport === 'poll') {
      if (exchange?.lost && published > exchange.reached + 1) {
        exchange.lost = 'request';
        exchange.reached = exchange.answered ?? exchange.reached;
      }
      flight.sent = Math.max(
        published,
        exchange?.lost === 'answer' ? exchange.reached : (exchange?.answered ?? at - delay),
      );
      if (exchange?.lost === 'answer') {
        flight.dropped = flight.sent;
        flight.sent = at - delay;
      }
      return;
    }
    if (this.transport === 'longpoll' && exchange) this.unqueue(exchange, published, at);
    const ready = Math.max(published, exchange?.reached ?? published);
    const excess = at - ready - delay;
    if (!flight.isReplayed && ready === published && this.transport !== 'longpoll')
      this.delay.oneWay(at - published);
    // Whatever comes together with a segment that was sent again stood behind it, however short.
    const wasStalled =
      previous && (previous.dropped !== undefined || (previous.landed ?? at) < at - TOGETHER);
    if (!flight.isReplayed && wasStalled && excess > TOGETHER) {
      flight.sent = ready;
      flight.landed = Math.min(at, ready + delay);
      return;
    }
    if (!flight.isReplayed && this.isStalled(excess)) {
      flight.dropped = ready;
      flight.sent = at - delay;
      return;
    }
    if (this.isBuffered && excess > 20) {
      flight.isHeld = true;
      flight.sent = ready;
      return;
    }
    // Behind another on a slow line, or in an answer that left later.
    const behind =
      this.transport === 'longpoll' ? (exchange?.answered ?? at - delay) : (this.last?.at ?? 0) - delay;
    flight.sent = Math.max(ready, Math.min(at - delay, behind));
  }

  /** A long poll that was not answered although something was there had not left the browser. */
  private unqueue(exchange: Exchange, published: number, at: number): void {
    const delay = this.delay.value;
    if (!this.isCrowded || exchange.queued !== undefined || exchange.opened === undefined) return;
    if (at - Math.max(published, exchange.reached) - delay < HELD_BACK) return;
    exchange.queued = exchange.asked;
    exchange.asked = exchange.opened - 2 * delay;
    exchange.reached = exchange.opened - delay;
    exchange.answered = exchange.reached;
  }

  /** A lost segment costs a round trip and 200 ms at the least: in the gateway's model, and in most kernels. */
  private isStalled(excess: number): boolean {
    return this.isLossy && excess > 0.7 * (this.shape.rtt + 200);
  }

  private gap(from: string, to: string, reason: string, at: number): void {
    let count = 0;
    for (const flight of this.pending.values()) {
      const [epoch] = place(flight.event.id);
      // Of a log that is no more, nothing comes any more.
      if (!between(flight.event.id, from, to) && !(reason === 'restarted' && epoch === place(from)[0]))
        continue;
      this.lose(flight);
      count += 1;
    }
    this.gaps += 1;
    this.marks.push({ kind: 'gap', at, count, reason });
  }

  /** Whatever was published before this one and did not come will not come: a hole nobody told of. */
  private skipTo(flight: Flight): void {
    const [epoch, offset] = place(flight.event.id);
    for (const other of this.pending.values()) {
      if (other === flight) return;
      const [itsEpoch, itsOffset] = place(other.event.id);
      if (itsEpoch === epoch && itsOffset < offset) this.lose(other);
    }
  }

  private lose(flight: Flight): void {
    flight.isLost = true;
    this.missed += 1;
    this.release(flight);
  }

  private release(flight: Flight): void {
    if (this.pending.delete(flight.event.id)) this.slots[flight.slot] = false;
  }
}
