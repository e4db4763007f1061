// @ts-check
// The same endless answer, in the form that browsers know: EventSource parses it, remembers the last id, and
// by itself connects again with that id as `Last-Event-ID`, which beats the `after` of the address it repeats.

/** @typedef {import('../subscription.js').Subscription} Subscription */

export const name = 'sse';

/** @param {Subscription} subscription */
export function address(subscription) {
  return subscription.url('v1/sse', { heartbeat: '15' });
}

/**
 * @param {Subscription} subscription
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function connect(subscription, signal) {
  subscription.request();
  const source = new EventSource(address(subscription));
  return new Promise((resolve) => {
    source.onopen = () => subscription.opened();
    source.onmessage = (message) => take(subscription, message);
    source.addEventListener('control', (message) => take(subscription, message));
    source.onerror = () => {
      // For most failures the browser comes back by itself; after an answer that is no event stream it never does.
      if (source.readyState === EventSource.CLOSED) return resolve();
      subscription.lost();
      subscription.request();
    };
    signal.addEventListener('abort', () => {
      source.close();
      resolve();
    });
  });
}

const encoder = new TextEncoder();

/**
 * One message. The script sees its id and its data; the rest of the block stays with the browser.
 * @param {Subscription} subscription
 * @param {MessageEvent<string>} message
 */
function take(subscription, message) {
  subscription.received(encoder.encode(message.data).byteLength);
  const content = JSON.parse(message.data);
  if ('control' in content) subscription.control(content);
  else subscription.event(content);
}
