import { ask, lines } from '../http.ts';
import type { Transport } from '../transport.ts';

/** The same endless answer as `text/event-stream` (WHATWG HTML, 9.2.6), which everything on the way knows. */
export const sse: Transport = {
  name: 'sse',
  streams: true,
  available: () => true,
  async connect(attempt) {
    const { heartbeat } = attempt.options;
    let data = '';
    for await (const line of lines(await ask(attempt, 'sse', { heartbeat }))) {
      // The cursor stands in each document too, so `id:` and `event:` say nothing new.
      const value = line.replace(/^\w+: ?/, '');
      if (line.startsWith('data:')) data += `${value}\n`;
      if (line.startsWith('retry:')) attempt.retry(Number(value));
      if (line || !data) continue;
      attempt.take(JSON.parse(data));
      data = '';
    }
  },
};
