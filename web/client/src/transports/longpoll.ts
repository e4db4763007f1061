import { exchange } from '../http.ts';
import { sleep } from '../sleep.ts';
import type { Transport } from '../transport.ts';

/** Asks, and the gateway holds the question until there is an answer: one request for each event or batch. */
export const longpoll: Transport = {
  name: 'longpoll',
  streams: false,
  available: () => true,
  async connect(attempt) {
    const { signal, options } = attempt;
    // The first question may not wait: one that is held looks the same as one that never arrived.
    for (let timeout = 0; !signal.aborted; timeout = options.longpollTimeout) {
      const asked = Date.now();
      const came = await exchange(attempt, 'longpoll', { timeout }, timeout * 1000);
      // One that is not held, for whatever reason, makes it a poll.
      if (came === undefined && timeout) await sleep(asked + options.pollInterval - Date.now(), signal);
    }
  },
};
