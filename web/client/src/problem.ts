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
  readonly status: number;
  readonly type: string | undefined;
  readonly field: string | undefined;
  /** No sooner than after so many ms. */
  readonly retryAfter: number | undefined;

  constructor(document: ProblemDocument, retryAfter?: number) {
    super(document.detail || document.title || `HTTP ${document.status}`);
    this.name = 'Problem';
    this.status = document.status ?? 0;
    this.type = document.type;
    this.field = document.field;
    this.retryAfter = retryAfter;
  }

  /** Whether this transport, but perhaps not another, is what does not work here. */
  get unfit(): boolean {
    return [404, 405, 406, 426, 501].includes(this.status);
  }

  /** Whether the gateway itself said so (a proxy knows none of its types), and would say so again. */
  get final(): boolean {
    return !!this.type && this.status >= 400 && this.status < 500 && ![408, 429].includes(this.status);
  }
}

/** What an answer that is not a good one says. */
export async function problemOf(response: Response): Promise<Problem> {
  // RFC 9110, 10.2.3: seconds, or a date.
  const header = response.headers.get('retry-after') ?? '';
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  const document: ProblemDocument = await response.json().catch(() => ({}));
  return new Problem({ ...document, status: response.status }, wait > 0 ? wait : undefined);
}
