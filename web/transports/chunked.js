// @ts-check
// Asks once, and the answer never ends: a line of JSON for each event, read as the bytes come in.
import { accepted } from '../problem.js';

/** @typedef {import('../subscription.js').Subscription} Subscription */

export const name = 'chunked';

/** @param {Subscription} subscription */
export function address(subscription) {
  return subscription.url('v1/chunked', { heartbeat: '15' });
}

/**
 * @param {Subscription} subscription
 * @param {AbortSignal} signal
 */
export async function connect(subscription, signal) {
  subscription.request();
  const response = await accepted(await fetch(address(subscription), { cache: 'no-store', signal }));
  subscription.opened();
  // A chunk may end inside a line, and inside a character: the decoder keeps the one, `rest` the other.
  const decoder = new TextDecoder();
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  let rest = '';
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    subscription.received(chunk.value.byteLength);
    const lines = (rest + decoder.decode(chunk.value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(subscription, line);
  }
}

/**
 * One line.
 * @param {Subscription} subscription
 * @param {string} line
 */
function take(subscription, line) {
  const message = JSON.parse(line);
  if ('control' in message) subscription.control(message);
  else subscription.event(message);
}
