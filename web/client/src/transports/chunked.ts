import { ask, lines } from '../http.ts';
import type { Transport } from '../transport.ts';

/** Asks once, and the answer never ends: a line of JSON for each event, read as it comes. */
export const chunked: Transport = {
  name: 'chunked',
  streams: true,
  available: () => true,
  async connect(attempt) {
    const { heartbeat } = attempt.options;
    for await (const line of lines(await ask(attempt, 'chunked', { heartbeat })))
      attempt.take(JSON.parse(line));
  },
};
