import type { TransportName } from '../client/src/index.ts';

export type { TransportName };

/** In the order of the lanes. */
export const TRANSPORTS = [
  'poll',
  'longpoll',
  'chunked',
  'sse',
  'websocket',
] as const satisfies readonly TransportName[];

/** Whether the answer has no end. */
export function isStream(transport: TransportName): boolean {
  return transport !== 'poll' && transport !== 'longpoll';
}

/** Whether a proxy that buffers collects it: an answer of HTTP without an end. */
export function isCollected(transport: TransportName): boolean {
  return transport === 'chunked' || transport === 'sse';
}
