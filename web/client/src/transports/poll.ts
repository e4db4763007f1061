import { exchange } from '../http.ts';
import { sleep } from '../sleep.ts';
import type { Transport } from '../transport.ts';

/** Asks on a timer: is there anything behind my cursor? Most answers are empty, and what came meanwhile waits. */
export const poll: Transport = {
  name: 'poll',
  streams: false,
  available: () => true,
  async connect(attempt) {
    const { signal, options } = attempt;
    while (!signal.aborted) {
      const asked = Date.now();
      const more = await exchange(attempt, 'poll', {});
      if (!more) await sleep(asked + options.pollInterval - Date.now(), signal);
    }
  },
};
