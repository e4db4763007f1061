import { Client } from './connection.ts';
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
  const wanted = options.transports ?? (Object.keys(transports) as TransportName[]);
  const named = wanted.map((one) => (typeof one === 'string' ? transports[one] : one));
  if (named.includes(undefined as never))
    throw new TypeError(`transports are ${Object.keys(transports)}, not ${wanted}`);
  return new Client(url, options, named) as Connection as Connection<Data>;
}
