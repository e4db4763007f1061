export { connect } from './connection.ts';
export { Problem, type ProblemDocument } from './problem.ts';
export type { Attempt, Control, Message, Send, Settled, Transport } from './transport.ts';
export { chunked } from './transports/chunked.ts';
export { longpoll } from './transports/longpoll.ts';
export { poll } from './transports/poll.ts';
export { sse } from './transports/sse.ts';
export { websocket } from './transports/websocket.ts';
export type * from './types.ts';
