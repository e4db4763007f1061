// @ts-check
// Asks on a timer: is there anything after my cursor? Most answers are empty, and what came in between waits.
import { accepted } from '../problem.js';
import { sleep } from '../subscription.js';

/** @typedef {import('../subscription.js').Subscription} Subscription */

export const name = 'poll';

/** @param {Subscription} subscription */
export function address(subscription) {
  return subscription.url('v1/poll');
}

/**
 * @param {Subscription} subscription
 * @param {AbortSignal} signal
 */
export async function connect(subscription, signal) {
  while (!signal.aborted) {
    const asked = performance.now();
    subscription.request();
    const response = await accepted(await fetch(address(subscription), { cache: 'no-store', signal }));
    const body = await response.arrayBuffer();
    subscription.opened();
    subscription.received(body.byteLength);
    const more = take(subscription, body, response.headers.get('fanlight-cursor'));
    if (!more) await sleep(asked + subscription.interval() - performance.now(), signal);
  }
}

/**
 * One answer, whole or not at all: a cut one throws before its first event counts.
 * @param {Subscription} subscription
 * @param {ArrayBuffer} body empty (204) where there was nothing
 * @param {string | null} cursor
 */
function take(subscription, body, cursor) {
  const answer = body.byteLength ? JSON.parse(new TextDecoder().decode(body)) : { events: [], cursor };
  if (answer.gap) subscription.gap(answer.gap);
  for (const event of answer.events) subscription.event(event);
  subscription.cursor = answer.cursor;
  return Boolean(answer.more);
}
