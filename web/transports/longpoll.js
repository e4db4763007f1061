// @ts-check
// Asks, and the gateway holds the question until there is an answer: one request for each event or batch.
import { accepted } from '../problem.js';

/** @typedef {import('../subscription.js').Subscription} Subscription */

export const name = 'longpoll';

/**
 * @param {Subscription} subscription
 * @param {number} [timeout] seconds that the gateway may hold the question
 */
export function address(subscription, timeout = 25) {
  return subscription.url('v1/longpoll', { timeout: String(timeout) });
}

/**
 * @param {Subscription} subscription
 * @param {AbortSignal} signal
 */
export async function connect(subscription, signal) {
  // The first question may not wait: a held one looks the same as one that never arrived.
  for (let timeout = 0; !signal.aborted; timeout = 25) {
    subscription.request();
    const response = await accepted(
      await fetch(address(subscription, timeout), { cache: 'no-store', signal }),
    );
    const body = await response.arrayBuffer();
    subscription.opened();
    subscription.received(body.byteLength);
    take(subscription, body, response.headers.get('fanlight-cursor'));
  }
}

/**
 * One answer, whole or not at all: a cut one throws before its first event counts.
 * @param {Subscription} subscription
 * @param {ArrayBuffer} body empty (204) where nothing came in time
 * @param {string | null} cursor
 */
function take(subscription, body, cursor) {
  const answer = body.byteLength ? JSON.parse(new TextDecoder().decode(body)) : { events: [], cursor };
  if (answer.gap) subscription.gap(answer.gap);
  for (const event of answer.events) subscription.event(event);
  subscription.cursor = answer.cursor;
}
