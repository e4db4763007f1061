import { problemOf } from './problem.ts';
import type { Attempt } from './transport.ts';

/** The longest query; beyond it the same fields go as a form. The gateway takes targets of 8 KiB. */
const MAX_QUERY = 4096;
/** The longest line: no event is anywhere near it. */
const MAX_LINE = 1 << 24;

/** Asks an endpoint of the gateway, and throws what is not a good answer. */
export async function ask(
  attempt: Attempt,
  path: string,
  fields: Record<string, string | number>,
  held?: number,
): Promise<Response> {
  const { token, options, signal } = attempt;
  const url = attempt.url(path);
  const query = attempt.query(fields);
  const long = `${query}`.length > MAX_QUERY;
  if (!long) url.search = `${query}`;
  attempt.request(held);
  const response = await options.fetch(url, {
    method: long ? 'POST' : 'GET',
    body: long ? query : null,
    headers: token ? { authorization: `Bearer ${token}` } : {},
    // Without it, two equal requests of a page wait for each other in the browser's cache.
    cache: 'no-store',
    credentials: options.credentials,
    signal,
  });
  attempt.answer(response.status);
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** One whole answer of a poll, or a long poll. It says whether more is to be had at once; of an empty one, nothing. */
export async function exchange(
  attempt: Attempt,
  path: string,
  fields: Record<string, string | number>,
  held?: number,
): Promise<boolean | undefined> {
  const response = await ask(attempt, path, fields, held);
  // Whole or not at all: a body that was cut throws before its first event counts.
  const text = await response.text();
  const { gap, events, cursor, more } = text
    ? JSON.parse(text)
    : { events: [], cursor: response.headers.get('fanlight-cursor') };
  if (gap) attempt.take({ control: 'gap', ...gap });
  for (const event of events) attempt.take(event);
  // A 204 whose header was stripped on the way still says that nothing is new.
  const empty = !gap && !events.length;
  attempt.drained(cursor ?? '', empty);
  return empty ? undefined : !!more;
}

/** Lines of a stream, each without its end (LF, CRLF or CR), as they come; what is cut off at the end is not one. */
export async function* lines(response: Response): AsyncGenerator<string, void, undefined> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  // A piece may end inside a line, and inside a character: the decoder keeps the one, `rest` the other.
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // A CR at the end may be half of a CRLF.
      const parts = rest.split(/\r\n|\n|\r(?!$)/);
      rest = parts.pop() as string;
      if (rest.length > MAX_LINE) throw new Error('a line is too long');
      yield* parts;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
