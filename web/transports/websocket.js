// @ts-check
// One socket, open both ways: a frame for each event. It resumes nothing by itself, so the cursor goes along.
import { Problem } from '../problem.js';

/** @typedef {import('../subscription.js').Subscription} Subscription */

export const name = 'websocket';

/** @param {Subscription} subscription */
export function address(subscription) {
  const url = subscription.url('v1/websocket', { heartbeat: '15' });
  url.protocol = url.protocol.replace('http', 'ws');
  return url;
}

/**
 * @param {Subscription} subscription
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function connect(subscription, signal) {
  subscription.request();
  const socket = new WebSocket(address(subscription), 'fanlight.v1');
  return new Promise((resolve, reject) => {
    socket.onopen = () => subscription.opened();
    socket.onmessage = (message) => take(subscription, message);
    socket.onclose = ({ code, reason }) => {
      // 1008 is the one close after which the same request would be refused again.
      if (code === 1008) reject(new Problem({ status: 403, title: reason }));
      else resolve();
    };
    signal.addEventListener('abort', () => {
      socket.close();
      resolve();
    });
  });
}

const encoder = new TextEncoder();

/**
 * One frame.
 * @param {Subscription} subscription
 * @param {MessageEvent<string>} message
 */
function take(subscription, message) {
  subscription.received(encoder.encode(message.data).byteLength);
  const content = JSON.parse(message.data);
  if ('control' in content) subscription.control(content);
  else subscription.event(content);
}
