import { Problem } from '../problem.ts';
import type { Transport } from '../transport.ts';

/** The longest query; beyond it the topics are asked for once the socket is open. */
const MAX_QUERY = 4096;

/** One socket, open both ways: a frame for each event, and operations on the way up. */
export const websocket: Transport = {
  name: 'websocket',
  streams: true,
  available: (options) => !!options.WebSocket,
  connect(attempt) {
    const { signal, options, token } = attempt;
    const { heartbeat } = options;
    const url = attempt.url('websocket');
    url.protocol = url.protocol.replace('http', 'ws');
    const query = attempt.query({ heartbeat });
    // What a first `subscribe` has to say, where the query may not.
    const first = `${query}`.length > MAX_QUERY ? subscription(query) : undefined;
    // A browser's WebSocket sends no header of ours.
    if (token) query.set('access_token', token);
    url.search = `${query}`;
    attempt.request();
    return new Promise((resolve, reject) => {
      const Socket = options.WebSocket as typeof WebSocket;
      const socket = new Socket(url, 'fanlight.v1');
      let isOpen = false;
      let isBegun = false;
      signal.addEventListener('abort', () => {
        socket.close();
        // Its own close may take as long as the peer likes.
        resolve();
      });
      socket.onopen = () => {
        isOpen = true;
        attempt.answer(101);
        if (first) socket.send(JSON.stringify(first));
        attempt.sends((operation) => socket.send(JSON.stringify(operation)));
      };
      socket.onmessage = ({ data }) => {
        try {
          const message = JSON.parse(data);
          if (!first || isBegun) return attempt.take(message);
          // The hello is that of a connection without topics: its cursor is not ours.
          if (message.ref !== first.ref) return;
          isBegun = true;
          const { ref: _, ...rest } = message;
          attempt.take(message.control === 'ack' ? { control: 'hello', cursor: message.cursor } : rest);
          if (message.control !== 'ack') socket.close();
        } catch (error) {
          // What cannot be read may have been an event: nothing behind it counts, and the next connection fetches it.
          socket.onmessage = null;
          reject(error);
        }
      };
      socket.onclose = ({ code, reason }) => {
        if (!isOpen) reject(new Error('the WebSocket was refused, or cut'));
        // The one code after which the same would happen again.
        else if (code === 1008) reject(refusal(reason));
        else resolve();
      };
      // And then it closes.
      socket.onerror = () => {};
    });
  },
};

/** Moves the topics and the position out of a query, into an operation. */
function subscription(query: URLSearchParams) {
  const [after, last] = [query.get('after'), query.get('last')];
  const operation = { op: 'subscribe', ref: 0, topic: query.getAll('topic') };
  for (const field of ['topic', 'after', 'last']) query.delete(field);
  return { ...operation, ...(after && { after }), ...(last && { last: Number(last) }) };
}

/** What a close with 1008 says in one word. Most come behind an `error`, which says more. */
function refusal(type: string): Problem {
  return new Problem({ type, title: type, status: type === 'token_expired' ? 401 : 403 });
}
