// @ts-check
import { Problem } from './problem.js';

/**
 * An event document, as every transport delivers it.
 * @typedef {object} EventDocument
 * @property {string} id the cursor: `<epoch>-<offset>`
 * @property {string} topic
 * @property {string} [type]
 * @property {string} time
 * @property {unknown} [data]
 * @property {string} [datacontenttype] beside `data_base64`
 * @property {string} [data_base64]
 *
 * @typedef {{from: string, to: string, reason: string}} Gap a hole that the gateway tells of
 *
 * What the gateway says about the stream, between events.
 * @typedef {{control: 'hello' | 'cursor', cursor: string}
 *   | {control: 'gap'} & Gap
 *   | {control: 'reconnect', after_ms: number}
 *   | {control: 'error', status: number, title?: string, detail?: string, field?: string}
 * } Control
 *
 * One of the modules under `transports/`.
 * @typedef {object} Transport
 * @property {string} name
 * @property {(subscription: Subscription) => URL} address where the next connection goes
 * @property {(subscription: Subscription, signal: AbortSignal) => Promise<void>} connect
 *   one connection (of the polls: one run of requests) until it ends; it throws where it fails
 *
 * @typedef {'connecting' | 'open' | 'reconnecting' | 'refused' | 'closed'} State
 *
 * @typedef {object} Observer who is told what happens
 * @property {(state: State, detail?: string) => void} state
 * @property {() => void} request
 * @property {(bytes: number) => void} received
 * @property {(event: EventDocument) => void} event
 * @property {(gap: Gap) => void} gap
 */

/** The first back-off is drawn from [0, this), each further one from twice the span. */
const BACKOFF_BASE = 500;
const BACKOFF_CAP = 15_000;
/** Only a connection that stood this long clears the back-off: one that dies at once must not spin. */
const STEADY = 10_000;
/**
 * A connection this long without a byte is dead, though nothing said so (a laptop that slept, a cable that
 * was pulled). Streams are asked for a heartbeat every 15 s, long polls for an answer within 25 s.
 */
const SILENCE = 40_000;
const WATCH = 5_000;

/** Milliseconds to wait after so many failures: exponential, with full jitter. */
export function backoff(/** @type {number} */ failures, random = Math.random) {
  return random() * Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** failures);
}

/**
 * One subscription over one transport. It holds the cursor, and connects again from there for as long as it
 * takes. The transport calls the verbs below in the order in which things reach it; every event that comes is
 * handed on: nothing here filters a duplicate or hides a hole.
 */
export class Subscription {
  #observer;
  #stopped = new AbortController();
  #attempt = new AbortController();
  #failures = 0;
  #openedAt = 0;
  #heardAt = 0;
  /** @type {number | undefined} */
  #after;

  /**
   * @param {Transport} transport
   * @param {object} options
   * @param {string} options.base the gateway's address
   * @param {readonly string[]} options.topics
   * @param {string} options.cursor where to begin: the first event is the next one after it
   * @param {() => number} options.interval milliseconds from poll to poll
   * @param {Observer} observer
   */
  constructor(transport, { base, topics, cursor, interval }, observer) {
    this.base = base;
    this.topics = topics;
    this.cursor = cursor;
    this.interval = interval;
    this.#observer = observer;
    this.#run(transport);
  }

  /** Ends it: nothing is reported afterwards. */
  close() {
    this.#stopped.abort();
    this.#attempt.abort();
  }

  /**
   * The address of an endpoint with this subscription's topics and cursor, and what else it takes.
   * @param {string} path
   * @param {Record<string, string>} [fields]
   */
  url(path, fields = {}) {
    const url = new URL(path, this.base);
    for (const topic of this.topics) url.searchParams.append('topic', topic);
    url.searchParams.set('after', this.cursor);
    for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
    return url;
  }

  /** A request goes out. */
  request() {
    this.#heardAt = performance.now();
    this.#observer.request();
  }

  /** The gateway took it. */
  opened() {
    this.#openedAt ||= performance.now();
    this.#observer.state('open');
  }

  /** The connection broke, and the browser itself makes the next one. */
  lost() {
    this.#observer.state('reconnecting');
  }

  /** Bytes came, before they are looked at. */
  received(/** @type {number} */ bytes) {
    this.#heardAt = performance.now();
    this.#observer.received(bytes);
  }

  event(/** @type {EventDocument} */ event) {
    this.#observer.event(event);
    this.cursor = event.id;
  }

  /** A gap moves no cursor: if the connection breaks before the next event, it is told again. */
  gap(/** @type {Gap} */ gap) {
    this.#observer.gap(gap);
  }

  control(/** @type {Control} */ control) {
    switch (control.control) {
      case 'hello':
      case 'cursor':
        this.cursor = control.cursor;
        break;
      case 'gap':
        this.gap(control);
        break;
      case 'reconnect':
        this.#after = control.after_ms;
        break;
      case 'error':
        this.#observer.state('reconnecting', new Problem(control).message);
        break;
      // What a later gateway may say is none of our business yet.
    }
  }

  async #run(/** @type {Transport} */ transport) {
    const stopped = this.#stopped.signal;
    const watch = setInterval(() => {
      if (performance.now() - this.#heardAt > SILENCE) this.#attempt.abort();
    }, WATCH);
    this.#observer.state('connecting');
    while (!stopped.aborted) {
      this.#attempt = new AbortController();
      this.#openedAt = 0;
      this.#after = undefined;
      let detail = '';
      try {
        await transport.connect(this, this.#attempt.signal);
      } catch (error) {
        if (error instanceof Problem) {
          if (error.final && !stopped.aborted) {
            this.#observer.state('refused', error.message);
            break;
          }
          this.#after = error.retryAfter;
          detail = error.message;
        }
      }
      if (stopped.aborted) break;
      this.#observer.state('reconnecting', detail);
      if (this.#openedAt && performance.now() - this.#openedAt > STEADY) this.#failures = 0;
      await sleep(this.#after ?? backoff(this.#failures++), stopped);
    }
    clearInterval(watch);
    if (stopped.aborted) this.#observer.state('closed');
  }
}

/**
 * Waits; ends early when told to stop, and when the browser finds that it has a network again.
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function sleep(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      removeEventListener('online', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    addEventListener('online', done);
    if (signal.aborted) done();
  });
}
