// @ts-check

/** The gateway's answer to a request that it did not carry out (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {{status?: number, title?: string, detail?: string, field?: string}} members
   * @param {number} [retryAfter] milliseconds, where the gateway named a time
   */
  constructor(members, retryAfter) {
    super(members.detail || members.title || `HTTP ${members.status}`);
    this.status = members.status ?? 0;
    this.field = members.field;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request would be refused again: no reason to repeat it. */
  get final() {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

/**
 * Hands a good answer on, and throws any other as a {@link Problem}.
 * @param {Response} response
 */
export async function accepted(response) {
  if (response.ok) return response;
  const seconds = Number(response.headers.get('retry-after'));
  throw new Problem(
    { status: response.status, ...(await response.json().catch(() => ({}))) },
    seconds > 0 ? seconds * 1000 : undefined,
  );
}
