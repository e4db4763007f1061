/** The members of a problem document (RFC 9457), as they stand in an answer or in an `error` control. */
export interface ProblemDocument {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  /** The parameter, header, key or `body` to blame. */
  field?: string;
}

/** Why the gateway, or something before it, did not do what it was asked to. */
export class Problem extends Error {
  /** The HTTP status; 0 where there was none. */
  declare readonly status: number;
  declare readonly type: string | undefined;
  declare readonly field: string | undefined;
  /** No sooner than after so many ms. */
  declare readonly retryAfter: number | undefined;

  constructor({ type, title, status = 0, detail, field }: ProblemDocument, retryAfter?: number) {
    super(detail || title || `HTTP ${status}`);
    Object.assign(this, { name: 'Problem', status, type, field, retryAfter });
  }

  /** Whether the gateway itself said so (a proxy knows none of its types), and would say so again. */
  get final(): boolean {
    return !!this.type && /^4(?!08|29)/.test(this.status as unknown as string);
  }
}

/** What an answer that is not a good one says. */
export async function problemOf(response: Response): Promise<Problem> {
  const { status, headers } = response;
  // RFC 9110, 10.2.3: seconds, or a date.
  const header = headers.get('retry-after') as string;
  const wait = +header * 1000 || Date.parse(header) - Date.now();
  return new Problem({ ...(await response.json().catch(() => {})), status }, wait > 0 ? wait : undefined);
}
