import { Feed } from './feed.ts';
import type { CoreOptions, Subscription } from './types.ts';

export { Problem, type ProblemDocument } from './problem.ts';
export type { Attempt, Control, Message, Send, Settled, Transport } from './transport.ts';
export { chunked } from './transports/chunked.ts';
export { longpoll } from './transports/longpoll.ts';
export { poll } from './transports/poll.ts';
export { sse } from './transports/sse.ts';
export { websocket } from './transports/websocket.ts';
export type * from './types.ts';

/** Events of some topics over one transport, and no more than that. */
export function connect<Data = unknown>(url: string | URL, options: CoreOptions): Subscription<Data> {
  return new Feed(url, options, [options.transport]) as Subscription as Subscription<Data>;
}
