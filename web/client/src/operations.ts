import { Problem, problemOf } from './problem.ts';
import { sleep } from './sleep.ts';
import type { Control, Send, Settled } from './transport.ts';
import type { PublishOptions } from './types.ts';

/** Publishes that may be under way at a time. */
const MAX_PUBLISHES = 1000;
/** How often a publish is tried: within the two minutes for which the gateway remembers its key. */
const TRIES = 6;

type Answer = Extract<Control, { control: 'ack' | 'error' }>;

interface Pending {
  done: (answer: Answer) => void;
  failed: (error: Error) => void;
}

interface Publish {
  topic: string;
  data: unknown;
  type: string | undefined;
  key: string;
}

/** Over what. */
interface Way {
  readonly options: Settled;
  readonly base: URL;
  /** Sends on the connection, while there is one that can. */
  send(): Send | undefined;
  token(renew?: boolean): Promise<string | undefined>;
  /** An answer does not come: the connection is as good as none, whatever else comes on it. */
  overdue(): void;
}

/** What is sent to the gateway: on the WebSocket where there is one, else by requests of its own. */
export class Operations {
  readonly #way: Way;
  #ref = 0;
  #pending: Map<number, Pending> = new Map();
  #publishes = 0;
  /** Publishes by request, one after the other, so that their order stays. */
  #queued = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #closed: AbortController = new AbortController();
  #error: Error | undefined;

  constructor(way: Way) {
    this.#way = way;
  }

  async publish(topic: string, data: unknown, { type, key }: PublishOptions = {}): Promise<string> {
    if (this.#error) throw this.#error;
    if (data === undefined) throw new TypeError('undefined cannot be published: JSON has no such value');
    if (this.#publishes >= MAX_PUBLISHES) throw new Error(`${MAX_PUBLISHES} publishes are under way already`);
    const event = { topic, data, type, key: key ?? randomKey() };
    this.#publishes += 1;
    try {
      return await (this.#queued || !this.#way.send() ? this.#inTurn(event) : this.#send(event));
    } finally {
      this.#publishes -= 1;
    }
  }

  /** Sends an operation, and waits for its answer. */
  operate(operation: Record<string, unknown>): Promise<Answer> {
    const timer = setTimeout(() => this.#way.overdue(), this.#patience);
    const answer = new Promise<Answer>((done, failed) => {
      const ref = ++this.#ref;
      this.#pending.set(ref, { done, failed });
      this.#way.send()?.({ ...operation, ref });
    });
    return answer.finally(() => clearTimeout(timer));
  }

  answered(answer: Answer): void {
    const ref = answer.ref as number;
    const pending = this.#pending.get(ref);
    this.#pending.delete(ref);
    if (answer.control === 'error') pending?.failed(new Problem(answer));
    else pending?.done(answer);
  }

  /** The connection ended: whether what was under way on it was carried out is not known. */
  ended(error: Error = new Error('the connection ended')): void {
    for (const { failed } of this.#pending.values()) failed(error);
    this.#pending.clear();
  }

  close(error: Error): void {
    this.#error ??= error;
    this.#closed.abort();
    this.ended(error);
  }

  /** For the whole of an answer, in ms. */
  get #patience(): number {
    return this.#way.options.timing.answer * 2;
  }

  async #send(event: Publish): Promise<string> {
    try {
      const answer = await this.operate({ op: 'publish', ...event });
      return answer.control === 'ack' ? (answer.id ?? '') : '';
    } catch (error) {
      if (error instanceof Problem && error.final && error.status !== 401) throw error;
      // Perhaps it was carried out: the key sees to it that it is so once. If not, a pause or another token may help.
      return this.#inTurn(event);
    }
  }

  #inTurn(event: Publish): Promise<string> {
    this.#queued += 1;
    const posted = this.#turn
      .then(() => this.#post(event))
      .finally(() => {
        this.#queued -= 1;
      });
    this.#turn = posted.catch(() => {});
    return posted;
  }

  async #post({ topic, data, type, key }: Publish): Promise<string> {
    const { options, base } = this.#way;
    const url = new URL('v1/publish', base);
    const query = { topic, ...(type && { type }), ...(options.client && { client: options.client }) };
    url.search = `${new URLSearchParams(query)}`;
    let renew = false;
    for (let tries = 1; ; tries++) {
      if (this.#error) throw this.#error;
      let failure: unknown;
      try {
        const token = await this.#way.token(renew);
        const response = await options.fetch(url, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'idempotency-key': key,
            ...(token && { authorization: `Bearer ${token}` }),
          },
          body: JSON.stringify(data),
          credentials: options.credentials,
          signal: AbortSignal.timeout(this.#patience),
        });
        if (response.ok) return ((await response.json()) as { id: string }).id;
        failure = await problemOf(response);
      } catch (error) {
        failure = error;
      }
      const problem = failure instanceof Problem ? failure : undefined;
      const mayRenew: boolean = problem?.status === 401 && typeof options.token === 'function' && !renew;
      if (tries >= TRIES || (problem?.final && !mayRenew)) throw failure;
      renew = mayRenew;
      const pause = Math.random() * options.timing.backoff * 2 ** tries;
      await sleep(mayRenew ? 0 : (problem?.retryAfter ?? 0) + pause, this.#closed.signal);
    }
  }
}

/** `crypto.randomUUID` is there in secure contexts only. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join('-');
}
