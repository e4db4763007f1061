import { Client } from './connection.ts';
import { canShare, SharedClient } from './tabs.ts';
import type { Transport } from './transport.ts';
import { chunked } from './transports/chunked.ts';
import { longpoll } from './transports/longpoll.ts';
import { poll } from './transports/poll.ts';
import { sse } from './transports/sse.ts';
import { websocket } from './transports/websocket.ts';
import type { Connection, Options, TransportName } from './types.ts';

export { Problem, type ProblemDocument } from './problem.ts';
export type { Attempt, Control, Message, Send, Settled, Transport } from './transport.ts';
export type * from './types.ts';

/** All five, the best first. */
export const transports: Readonly<Record<TransportName, Transport>> = {
  websocket,
  sse,
  chunked,
  longpoll,
  poll,
};

/** Events of some topics, over whatever works best. It begins once the caller has had time to listen. */
export function connect<Data = unknown>(url: string | URL, options: Options = {}): Connection<Data> {
  const named = chosen(options);
  return new Client(url, options, named) as Connection as Connection<Data>;
}

/**
 * The same, made once for all tabs that ask for the same topics at the same address; its topics are fixed. Where tabs
 * cannot find each other (outside of browsers, or without HTTPS), it is a connection of its own.
 */
export function share<Data = unknown>(url: string | URL, options: Options = {}): Connection<Data> {
  const Shared = canShare() ? SharedClient : Client;
  return new Shared(url, options, chosen(options)) as Connection as Connection<Data>;
}

function chosen(options: Options): Transport[] {
  const wanted = options.transports ?? (Object.keys(transports) as TransportName[]);
  const named = wanted.map((one) => (typeof one === 'string' ? transports[one] : one));
  if (named.includes(undefined as never)) {
    throw new TypeError(`transports are ${Object.keys(transports)}, not ${wanted}`);
  }
  return named;
}
